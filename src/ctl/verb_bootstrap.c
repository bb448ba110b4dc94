/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "ctl/json.h"
#include "ctl/owner.h"
#include "ctl/server.h"
#include "ctl/verbs.h"

/* The daemon ends both in time; only a longer wait than that is none of it. */
#define BOOTSTRAP_USEC (UINT64_C(905) * 1000000)
#define TEST_USEC (UINT64_C(140) * 1000000)

static void wait_long(Ctl *c, uint64_t usec) {
        if (c->timeout_usec == 0)
                c->timeout_usec = usec;
}

/* --- bootstrap: followed step by step to its end --- */

#define BOOT SERVER_ROOT "/bootstrap"

typedef struct Following {
        Ctl *c;
        Owner *owner;
        uint32_t job;
        bool over;
        char *state;  /* of the bootstrap server, as shown last; NULL: none of an attempt yet */
        char *result; /* of the job; NULL: the daemon has left */
        char *error;
} Following;

/* The fields are what --json shows of it, the text what people read; taken over. */
static void print_step(const Following *f, const char *step, const char *text, cJSON *fields) {
        if (f->c->json) {
                cJSON_AddItemToObject(fields, "step", cJSON_CreateString(step));
                json_print_line(fields);
        } else {
                g_autofree char *shown = printable(text);

                printf("%-12s %s\n", step, shown);
        }
        cJSON_Delete(fields);
}

static void print_going(const Following *f, const char *step, const cJSON *server) {
        const char *uri = json_string(server, "Uri", "");
        cJSON *fields = cJSON_CreateObject();

        cJSON_AddStringToObject(fields, "uri", uri);
        print_step(f, step, uri, fields);
}

static void print_asking(const Following *f, const cJSON *server) {
        g_autofree char *text = NULL;
        cJSON *fields = cJSON_CreateObject();
        const char *cipher;

        cipher = json_string(server, "Cipher", "");
        cJSON_AddStringToObject(fields, "peer", json_string(server, "Peer", ""));
        cJSON_AddStringToObject(fields, "security", json_string(server, "Security", ""));
        cJSON_AddStringToObject(fields, "cipher", cipher);
        cJSON_AddBoolToObject(fields, "resumed", json_bool(server, "Resumed"));
        text = g_strdup_printf("%s%s%s%s", json_string(server, "Peer", ""), *cipher ? ", " : "",
                               cipher, json_bool(server, "Resumed") ? ", resumed" : "");
        print_step(f, "asking", text, fields);
}

static void show_state(Following *f, const char *state) {
        g_autoptr(cJSON) server = NULL;

        if (g_strcmp0(state, f->state) == 0 || f->over)
                return;
        /* What passes quickly may not have been told apart. */
        if (strcmp(state, "bootstrapping") == 0 && !f->state)
                show_state(f, "connecting");
        g_free(f->state);
        f->state = g_strdup(state);
        if (!g_str_has_suffix(state, "ing") ||
            ctl_properties(f->c, BOOT, "Server", &server) != CTL_OK)
                return;
        if (strcmp(state, "bootstrapping") == 0)
                print_asking(f, server);
        else /* resolving or connecting */
                print_going(f, state, server);
}

static int on_changed(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        g_autoptr(cJSON) values = NULL;
        Following *f = userdata;
        const char *state;
        int r;

        if (!owner_sent(f->owner, m))
                return 0;
        r = sd_bus_message_skip(m, "s");
        if (r >= 0)
                r = json_read(m, &values);
        if (r < 0)
                return r;
        state = json_string(values, "State", NULL);
        if (state)
                show_state(f, state);
        return 0;
}

static void show_failure(const Following *f, const cJSON *details) {
        const char *code = json_string(details, "code", json_string(details, "error", "")),
                   *text = json_string(details, "text", "");
        bool open = *json_string(details, "session", "");
        int64_t at = g_ascii_strtoll(json_string(details, "retry-at", "0"), NULL, 10);
        g_autofree char *when = time_text(at), *line = NULL;
        cJSON *fields = cJSON_CreateObject();

        cJSON_AddStringToObject(fields, "error", code);
        cJSON_AddStringToObject(fields, "text", text);
        if (at > 0)
                json_add_integer(fields, "retry-at", at);
        line = g_strdup_printf("%s: %s%s%s", code, text,
                               open     ? " (the server may put it right)"
                               : at > 0 ? "; next attempt "
                                        : "",
                               at > 0 ? when : "");
        print_step(f, open ? "rejected" : "failed", line, fields);
}

static void show_accounts(const Following *f) {
        g_autoptr(cJSON) servers = NULL;
        g_autoptr(GString) text = g_string_new(NULL);
        cJSON *fields = cJSON_CreateObject(), *list = cJSON_AddArrayToObject(fields, "servers");
        const cJSON *server;

        (void) server_list(f->c, &servers);
        cJSON_ArrayForEach(server, servers) {
                const char *name = json_string(server, "Name", "?"),
                           *uri = json_string(server, "Uri", "?");
                cJSON *item;

                if (strcmp(name, "bootstrap") == 0)
                        continue;
                item = cJSON_CreateObject();
                cJSON_AddStringToObject(item, "server", name);
                cJSON_AddStringToObject(item, "uri", uri);
                cJSON_AddItemToArray(list, item);
                g_string_append_printf(text, "%sserver %s %s", text->len ? ", " : "", name, uri);
        }
        print_step(f, "complete", text->str, fields);
}

static int on_event(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        g_autoptr(cJSON) details = NULL;
        Following *f = userdata;
        uint16_t server;
        const char *name;
        int r;

        if (!owner_sent(f->owner, m) || f->over)
                return 0;
        r = sd_bus_message_read(m, "sq", &name, &server);
        if (r >= 0)
                r = json_read(m, &details);
        if (r < 0)
                return r;
        if (strcmp(name, "bootstrap-reg-complete") == 0) {
                show_state(f, "bootstrapping");
                print_step(f, "accepted", "the server writes what it has for us",
                           cJSON_CreateObject());
        } else if (strcmp(name, "bootstrap-reg-failure") == 0)
                show_failure(f, details);
        return 0;
}

static int on_done(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        g_autoptr(cJSON) details = NULL;
        const char *kind, *result;
        Following *f = userdata;
        uint32_t job;
        int r;

        if (!owner_sent(f->owner, m))
                return 0;
        r = sd_bus_message_read(m, "uss", &job, &kind, &result);
        if (r >= 0)
                r = json_read(m, &details);
        if (r < 0 || job != f->job)
                return r;
        f->over = true;
        f->result = g_strdup(result);
        f->error = g_strdup(json_string(details, "error", ""));
        return 0;
}

static void on_owner(void *userdata, const char *unique) {
        Following *f = userdata;

        f->over = f->over || !unique;
}

static CtlExit watch(Following *f) {
        CtlExit code;
        int r;

        code = owner_new(f->c, on_owner, f, &f->owner);
        if (code != CTL_OK)
                return code;
        r = sd_bus_match_signal(f->c->bus, NULL, f->c->name, BOOT,
                                "org.freedesktop.DBus.Properties", "PropertiesChanged", on_changed,
                                f);
        if (r >= 0)
                r = sd_bus_match_signal(f->c->bus, NULL, f->c->name, BUS_ROOT,
                                        BUS_INTERFACE("Manager"), "Event", on_event, f);
        if (r >= 0)
                r = sd_bus_match_signal(f->c->bus, NULL, f->c->name, BUS_ROOT,
                                        BUS_INTERFACE("Manager"), "JobDone", on_done, f);
        return r < 0 ? ctl_fail(CTL_FAILED, "Cannot watch %s: %s", f->c->name, g_strerror(-r))
                     : CTL_OK;
}

static CtlExit follow(Following *f) {
        CtlExit code;

        code = ctl_loop(f->c, &f->over, ctl_deadline(f->c));
        if (code == CTL_TIMEOUT)
                return ctl_fail(code, "bootstrap: not over after the time given, goes on");
        if (code != CTL_OK)
                return code;
        if (!f->result)
                return ctl_fail(CTL_ABSENT, "bootstrap: the daemon left the bus");
        if (strcmp(f->result, "complete") == 0) {
                show_accounts(f);
                return CTL_OK;
        }
        return ctl_fail(strcmp(f->result, "timeout") == 0 ? CTL_TIMEOUT : CTL_FAILED,
                        "bootstrap: %s%s%s", f->result, *f->error ? ": " : "", f->error);
}

static CtlExit ask(Ctl *c, uint32_t *ret_job) {
        g_autoptr(sd_bus_message) reply = NULL;
        CtlExit code;
        int r;

        code = ctl_call(c, NULL, "Manager", "Bootstrap", NULL, &reply, "a{sv}", 0);
        if (code != CTL_OK)
                return code;
        r = sd_bus_message_read(reply, "u", ret_job);
        return r < 0 ? ctl_protocol_fail(r, "Bootstrap") : CTL_OK;
}

int verb_bootstrap(Ctl *c, const Args *a) {
        Following f = { .c = c };
        CtlExit code;

        if (args_get(a, "--no-wait")) {
                code = ask(c, &f.job);
                if (code == CTL_OK)
                        printf("%u\n", f.job);
                return code;
        }
        wait_long(c, BOOTSTRAP_USEC);
        code = watch(&f);
        if (code == CTL_OK)
                code = ask(c, &f.job);
        if (code == CTL_OK)
                code = follow(&f);
        owner_free(f.owner);
        g_free(f.state);
        g_free(f.result);
        g_free(f.error);
        return code;
}

/* --- server test --- */

int verb_server_test(Ctl *c, const Args *a) {
        g_autofree char *path = NULL, *where = NULL;
        g_autoptr(sd_bus_message) reply = NULL;
        g_autoptr(cJSON) out = cJSON_CreateArray();
        const char *name, *result, *text;
        bool failed = false;
        CtlExit code;
        int r;

        code = server_path(args_word(a, 0), &path);
        if (code != CTL_OK)
                return code;
        where = g_strdup_printf("server %s", args_word(a, 0));
        wait_long(c, TEST_USEC);
        code = ctl_call(c, path, "Server", "Test", where, &reply, "a{sv}", 0);
        if (code != CTL_OK)
                return code;
        r = sd_bus_message_enter_container(reply, 'a', "(sss)");
        while (r > 0 && (r = sd_bus_message_read(reply, "(sss)", &name, &result, &text)) > 0) {
                cJSON *step = cJSON_CreateObject();

                cJSON_AddStringToObject(step, "step", name);
                cJSON_AddStringToObject(step, "result", result);
                cJSON_AddStringToObject(step, "text", text);
                cJSON_AddItemToArray(out, step);
                failed = failed || strcmp(result, "failed") == 0;
                if (!c->json) {
                        g_autofree char *shown = printable(text);

                        printf("%-14s %-9s %s\n", name, result, shown);
                }
        }
        if (r < 0)
                return ctl_protocol_fail(r, "Test");
        if (c->json)
                json_print_line(out);
        return failed ? CTL_FAILED : CTL_OK;
}
