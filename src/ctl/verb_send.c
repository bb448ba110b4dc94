/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "ctl/json.h"
#include "ctl/owner.h"
#include "ctl/schema.h"
#include "ctl/verbs.h"
#include "util/parse.h"

#define SLACK_USEC                                                                                 \
        UINT64_C(5000000) /* the daemon ends the Send in time; longer than that is not it */

typedef struct Send {
        Ctl *c;
        Owner *owner;
        uint32_t job;
        char *result;
        cJSON *details;
        bool stop;
} Send;

static void on_owner(void *userdata, const char *unique) {
        Send *s = userdata;

        if (!unique)
                s->stop = true;
}

static int on_done(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        const char *kind, *result;
        Send *s = userdata;
        uint32_t job;

        if (!owner_sent(s->owner, m) || sd_bus_message_read(m, "uss", &job, &kind, &result) < 0 ||
            job != s->job || strcmp(kind, "send") != 0)
                return 0;
        s->result = g_strdup(result);
        s->stop = true;
        return json_read(m, &s->details) < 0 ? 0 : 1;
}

/* --- the call --- */

static CtlExit append_paths(sd_bus_message *m, const Args *a) {
        int r;

        r = sd_bus_message_open_container(m, 'a', "s");
        for (unsigned i = 0; r >= 0 && i < a->words->len; i++) {
                g_autofree char *text = NULL;
                CtlPath p;
                CtlExit code;

                code = ctl_path(args_word(a, i), 1, 4, &p);
                if (code != CTL_OK)
                        return code;
                text = ctl_path_text(&p);
                r = sd_bus_message_append(m, "s", text);
        }
        if (r >= 0)
                r = sd_bus_message_close_container(m);
        return r < 0 ? ctl_protocol_fail(r, "Send") : CTL_OK;
}

static int append_flags(sd_bus_message *m, const Args *a) {
        static const struct {
                const char *flag, *option;
        } flags[] = { { "--now", "now" },
                      { "--queue", "queue" },
                      { "--with-cache", "with_cache" } };
        int r = 0;

        for (size_t i = 0; i < G_N_ELEMENTS(flags) && r >= 0; i++)
                if (args_get(a, flags[i].flag))
                        r = sd_bus_message_append(m, "{sv}", flags[i].option, "b", 1);
        if (r >= 0 && args_get(a, "--time"))
                r = sd_bus_message_append(m, "{sv}", "time", "x", INT64_C(0));
        if (r >= 0 && args_get(a, "--format"))
                r = sd_bus_message_append(m, "{sv}", "format", "s", args_get(a, "--format"));
        return r;
}

static CtlExit append_options(sd_bus_message *m, const Send *s, const Args *a) {
        const char *server = args_get(a, "--server");
        uint16_t ssid = 0;
        int r;

        if (server && (parse_u16(server, &ssid) < 0 || ssid == 0 || ssid == UINT16_MAX))
                return ctl_fail(CTL_USAGE, "--server=%s: expected a short id, 1 to 65534", server);
        if (s->c->timeout_usec / 1000 > UINT32_MAX)
                return ctl_fail(CTL_USAGE, "--timeout: a Send waits for at most 49 days");
        r = sd_bus_message_open_container(m, 'a', "{sv}");
        if (r >= 0)
                r = append_flags(m, a);
        if (r >= 0 && ssid > 0)
                r = sd_bus_message_append(m, "{sv}", "server", "q", ssid);
        if (r >= 0 && s->c->timeout_usec > 0)
                r = sd_bus_message_append(m, "{sv}", "timeout_ms", "u",
                                          (uint32_t) MAX(s->c->timeout_usec / 1000, 1));
        if (r >= 0)
                r = sd_bus_message_close_container(m);
        return r < 0 ? ctl_protocol_fail(r, "Send") : CTL_OK;
}

static CtlExit call(Send *s, const Args *a) {
        g_autoptr(sd_bus_message) m = NULL, reply = NULL;
        CtlExit code;
        int r;

        code = ctl_message(s->c, NULL, "Data", "Send", &m);
        if (code == CTL_OK)
                code = append_paths(m, a);
        if (code == CTL_OK)
                code = append_options(m, s, a);
        if (code == CTL_OK)
                code = ctl_send(s->c, m, NULL, &reply);
        if (code != CTL_OK)
                return code;
        r = sd_bus_message_read(reply, "u", &s->job);
        return r < 0 ? ctl_protocol_fail(r, "Send") : CTL_OK;
}

/* --- the result --- */

static CtlExit exit_of(const char *result) {
        static const struct {
                const char *result;
                CtlExit code;
        } codes[] = {
                { "acked", CTL_OK },
                { "timeout", CTL_TIMEOUT },
                { "muted", CTL_DENIED },
                { "denied", CTL_DENIED },
        };

        for (size_t i = 0; i < G_N_ELEMENTS(codes); i++)
                if (strcmp(result, codes[i].result) == 0)
                        return codes[i].code;
        return CTL_FAILED;
}

/* One line, and one for each server when there is more to say. */
static void print_result(const Send *s) {
        const cJSON *servers = cJSON_GetObjectItemCaseSensitive(s->details, "servers");
        const cJSON *errors = cJSON_GetObjectItemCaseSensitive(s->details, "errors");
        const cJSON *server;

        printf("status: %s\n", s->result);
        if (cJSON_GetArraySize(servers) < 2 && cJSON_GetArraySize(errors) == 0)
                return;
        cJSON_ArrayForEach(server, servers) {
                g_autofree char *error = printable(json_string(errors, server->string, ""));

                printf("server %s: %s%s%s\n", server->string,
                       json_string(servers, server->string, "?"), *error ? ", " : "", error);
        }
}

static void print_json(const Send *s) {
        static const char *const parts[] = { "servers", "errors" };
        g_autoptr(cJSON) out = cJSON_CreateObject();

        json_add_integer(out, "job", s->job);
        cJSON_AddStringToObject(out, "status", s->result);
        for (size_t i = 0; i < G_N_ELEMENTS(parts); i++) {
                const cJSON *part = cJSON_GetObjectItemCaseSensitive(s->details, parts[i]);

                cJSON_AddItemToObject(out, parts[i],
                                      part ? cJSON_Duplicate(part, true) : cJSON_CreateObject());
        }
        json_print_line(out);
}

static CtlExit wait_and_print(Send *s) {
        const uint64_t end = ctl_deadline(s->c);
        CtlExit code;

        code = ctl_loop(s->c, &s->stop, end < UINT64_MAX - SLACK_USEC ? end + SLACK_USEC : end);
        if (code == CTL_TIMEOUT)
                return ctl_fail(code, "the daemon has not told how the Send ended");
        if (code != CTL_OK)
                return code;
        if (!s->result)
                return ctl_fail(CTL_ABSENT, "the daemon left the bus before the Send was over");
        if (s->c->json)
                print_json(s);
        else
                print_result(s);
        return exit_of(s->result);
}

int verb_send(Ctl *c, const Args *a) {
        Send s = { .c = c };
        sd_bus_slot *slot = NULL;
        CtlExit code;

        code = owner_new(c, on_owner, &s, &s.owner);
        if (code == CTL_OK) {
                int r = sd_bus_match_signal(c->bus, &slot, c->name, BUS_ROOT,
                                            BUS_INTERFACE("Manager"), "JobDone", on_done, &s);

                code = r < 0 ? ctl_protocol_fail(r, "JobDone") : call(&s, a);
        }
        if (code == CTL_OK && args_get(a, "--no-wait"))
                printf(c->json ? "{\"job\":%" PRIu32 "}\n" : "%" PRIu32 "\n", s.job);
        else if (code == CTL_OK)
                code = wait_and_print(&s);
        sd_bus_slot_unref(slot);
        owner_free(s.owner);
        g_free(s.result);
        cJSON_Delete(s.details);
        return code;
}
