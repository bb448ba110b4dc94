/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ctl/json.h"
#include "ctl/owner.h"
#include "ctl/verbs.h"
#include "util/parse.h"

#define MONITOR_LINE_MAX (1U << 20) /* bytes of one JSON line of the daemon */

typedef struct Monitor {
        Ctl *c;
        Owner *owner;
        bool stop;
} Monitor;

/* Details are text; those that tell a time hold nanoseconds since the epoch. */
static char *detail_text(const cJSON *item) {
        const char *key = item->string ?: "";
        int64_t time_ns;

        if ((g_str_has_suffix(key, "-at") || strcmp(key, "next-update") == 0 ||
             strcmp(key, "until") == 0) &&
            (cJSON_IsString(item) || cJSON_IsRaw(item)) &&
            parse_i64(item->valuestring, &time_ns) >= 0)
                return time_text(time_ns);
        return json_text(item);
}

static void print_details(const cJSON *details) {
        const cJSON *item;

        cJSON_ArrayForEach(item, details) {
                g_autofree char *text = detail_text(item);
                const char *quote = !strchr(text, ' ') ? "" : strchr(text, '\'') ? "\"" : "'";

                printf(" %s=%s%s%s", item->string, quote, text, quote);
        }
        putchar('\n');
}

/* JSON in the form of the daemon's own stream. */
static void print_event(const Ctl *c, int64_t time_ns, const char *name, unsigned server,
                        cJSON *details) {
        g_autofree char *when = time_text(time_ns);

        if (c->json) {
                g_autofree char *stamp = g_strdup_printf(
                        "%" PRIi64 ".%09" PRIi64, time_ns / 1000000000, time_ns % 1000000000);
                g_autoptr(cJSON) line = cJSON_CreateObject();

                cJSON_AddStringToObject(line, "event", name);
                cJSON_AddRawToObject(line, "time", stamp);
                json_add_integer(line, "server", server);
                cJSON_AddItemReferenceToObject(line, "details", details);
                json_print_line(line);
                return;
        }
        printf("%s %s", when, name);
        if (server > 0)
                printf(" server=%u", server);
        print_details(details);
}

static int on_event(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        g_autoptr(cJSON) details = NULL;
        Monitor *o = userdata;
        const char *name;
        uint16_t server;
        int r;

        if (!owner_sent(o->owner, m))
                return 0;
        r = sd_bus_message_read(m, "sq", &name, &server);
        if (r >= 0)
                r = json_read(m, &details);
        if (r < 0)
                return r;
        print_event(o->c, g_get_real_time() * 1000, name, server, details);
        return 0;
}

static CtlExit print_history(Ctl *c) {
        g_autoptr(sd_bus_message) reply = NULL;
        CtlExit code;
        int r;

        code = ctl_call(c, NULL, "Manager", "GetEvents", NULL, &reply, "a{sv}", 0);
        if (code != CTL_OK)
                return code;
        r = sd_bus_message_enter_container(reply, 'a', "(xsqa{sv})");
        while (r >= 0 && (r = sd_bus_message_enter_container(reply, 'r', "xsqa{sv}")) > 0) {
                g_autoptr(cJSON) details = NULL;
                const char *name;
                int64_t time_ns;
                uint16_t server;

                r = sd_bus_message_read(reply, "xsq", &time_ns, &name, &server);
                if (r >= 0)
                        r = json_read(reply, &details);
                if (r >= 0)
                        r = sd_bus_message_exit_container(reply);
                if (r >= 0)
                        print_event(c, time_ns, name, server, details);
        }
        return r < 0 ? ctl_protocol_fail(r, "GetEvents") : CTL_OK;
}

static void on_owner(void *userdata, const char *unique) {
        ctl_fail(CTL_ABSENT, unique ? "the daemon is back" : "the daemon left the bus; waiting");
}

static CtlExit monitor_events(Monitor *o, bool history) {
        CtlExit code;
        int r;

        r = sd_bus_match_signal(o->c->bus, NULL, o->c->name, BUS_ROOT, BUS_INTERFACE("Manager"),
                                "Event", on_event, o);
        if (r < 0)
                return ctl_fail(CTL_FAILED, "Cannot watch %s: %s", o->c->name, g_strerror(-r));
        /* Events that come during this call are dispatched after it. */
        if (history) {
                code = print_history(o->c);
                if (code != CTL_OK)
                        return code;
        }
        return ctl_loop(o->c, &o->stop, ctl_deadline(o->c));
}

static void print_line(const Ctl *c, const char *line) {
        g_autoptr(cJSON) item = c->json ? NULL : cJSON_Parse(line);
        const cJSON *time = cJSON_GetObjectItemCaseSensitive(item, "time");
        const cJSON *server = cJSON_GetObjectItemCaseSensitive(item, "server");
        int64_t time_ns = cJSON_IsNumber(time) ? (int64_t) (time->valuedouble * 1e3) * 1000000
                                               : g_get_real_time() * 1000;
        g_autofree char *when = time_text(time_ns);
        g_autofree char *path = printable(json_string(item, "path", ""));

        if (!item) { /* --json, or a line that is none */
                puts(line);
                return;
        }
        printf("%s %s%s%s", when, json_string(item, "event", "?"), path[0] ? " " : "", path);
        if (cJSON_IsNumber(server) && server->valuedouble > 0)
                printf(" server=%.0f", server->valuedouble);
        if (cJSON_HasObjectItem(item, "lost")) {
                g_autofree char *lost = json_text(cJSON_GetObjectItemCaseSensitive(item, "lost"));

                printf(" lost=%s", lost);
        }
        print_details(cJSON_GetObjectItemCaseSensitive(item, "details"));
}

/* Complete lines go out as they come; what is left stays in buffer. */
static CtlExit take_lines(const Ctl *c, GString *buffer) {
        char *end;

        while ((end = memchr(buffer->str, '\n', buffer->len))) {
                *end = '\0';
                print_line(c, buffer->str);
                g_string_erase(buffer, 0, end - buffer->str + 1);
        }
        if (buffer->len > MONITOR_LINE_MAX)
                return ctl_fail(CTL_FAILED, "monitor: a line of more than %u bytes",
                                MONITOR_LINE_MAX);
        return CTL_OK;
}

static CtlExit copy_lines(const Ctl *c, int fd) {
        g_autoptr(GString) buffer = g_string_new(NULL);
        uint64_t deadline = ctl_deadline(c);
        char chunk[16 << 10];
        CtlExit code;

        for (;;) {
                struct pollfd p = { .fd = fd, .events = POLLIN };
                uint64_t now = ctl_now();
                int wait = -1;
                ssize_t n;

                if (deadline != UINT64_MAX)
                        wait = now >= deadline ? 0
                                               : (int) MIN((deadline - now) / 1000 + 1, INT_MAX);
                if (poll(&p, 1, wait) == 0)
                        return CTL_TIMEOUT;
                n = read(fd, chunk, sizeof(chunk));
                if (n < 0 && (errno == EINTR || errno == EAGAIN))
                        continue;
                if (n <= 0)
                        return ctl_fail(CTL_ABSENT, "monitor: the daemon ended the stream");
                g_string_append_len(buffer, chunk, n);
                code = take_lines(c, buffer);
                if (code != CTL_OK)
                        return code;
        }
}

static CtlExit monitor_pipe(Ctl *c, bool history, bool values) {
        g_autoptr(sd_bus_message) reply = NULL;
        CtlExit code;
        int fd, r; /* fd stays the message's */

        if (values)
                code = ctl_call(c, NULL, "Manager", "Monitor", NULL, &reply, "asa{sv}", 3,
                                "registration", "observation", "value", 0);
        else
                code = ctl_call(c, NULL, "Manager", "Monitor", NULL, &reply, "asa{sv}", 2,
                                "registration", "observation", 0);
        if (code != CTL_OK)
                return code;
        r = sd_bus_message_read(reply, "h", &fd);
        if (r < 0)
                return ctl_protocol_fail(r, "Monitor");
        if (history) {
                code = print_history(c);
                if (code != CTL_OK)
                        return code;
        }
        return copy_lines(c, fd);
}

int verb_monitor(Ctl *c, const Args *a) {
        bool history = args_get(a, "--history"), values = args_get(a, "--values");
        g_autoptr(Owner) owner = NULL;
        Monitor o = { .c = c };
        CtlExit code;

        if (values || c->json)
                return monitor_pipe(c, history, values);
        code = owner_new(c, on_owner, &o, &owner);
        if (code != CTL_OK)
                return code;
        if (!owner_unique(owner))
                return ctl_bus_fail(c,
                                    &SD_BUS_ERROR_MAKE_CONST(SD_BUS_ERROR_NAME_HAS_NO_OWNER,
                                                             "nobody owns this name"),
                                    -ENXIO, NULL);
        o.owner = owner;
        return monitor_events(&o, history);
}
