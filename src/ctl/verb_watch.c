/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "ctl/json.h"
#include "ctl/owner.h"
#include "ctl/schema.h"
#include "ctl/verbs.h"
#include "util/parse.h"

typedef struct Watch {
        Ctl *c;
        const Args *args;
        GPtrArray *paths; /* of char * */
        Owner *owner;
        uint32_t id, interval_ms;
        uint64_t left; /* values still to print; UINT64_MAX: no end */
        bool show_time, renew, stop;
} Watch;

static void print_value(void *userdata, const char *path, cJSON *value, int64_t time_ns) {
        Watch *w = userdata;
        g_autoptr(cJSON) owned = value;
        g_autofree char *text = NULL, *when = NULL;

        if (w->left == 0)
                return;
        if (w->left != UINT64_MAX && --w->left == 0)
                w->stop = true;
        if (w->c->json) {
                g_autoptr(cJSON) line = json_value_item(path, g_steal_pointer(&owned), time_ns);

                json_print_line(line);
                return;
        }
        text = json_text(value);
        when = !w->show_time ? g_strdup("") : time_ns > 0 ? time_text(time_ns) : g_strdup("-");
        printf("%s%s%s=%s\n", when, w->show_time ? " " : "", path, text);
}

static int on_changed(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        g_autoptr(cJSON) details = NULL;
        Watch *w = userdata;
        uint32_t id;
        int r;

        if (!owner_sent(w->owner, m))
                return 0;
        r = sd_bus_message_read(m, "u", &id);
        if (r < 0 || id != w->id)
                return r;
        r = json_read_values(m, print_value, w);
        if (r >= 0)
                r = json_read(m, &details);
        if (r < 0)
                return r;
        if (json_integer(details, "lost", 0) > 0)
                ctl_fail(CTL_FAILED, "%" G_GINT64_FORMAT " changes came too fast and are left out",
                         json_integer(details, "lost", 0));
        return 0;
}

static void on_owner(void *userdata, const char *unique) {
        Watch *w = userdata;

        if (!unique)
                ctl_fail(CTL_ABSENT, "the daemon left the bus; waiting for it");
        w->renew = unique != NULL;
        w->stop = w->stop || w->renew; /* leave the loop, to make calls outside of callbacks */
}

static CtlExit subscribe(Watch *w) {
        g_autoptr(sd_bus_message) m = NULL, reply = NULL;
        CtlExit code;
        int r;

        code = ctl_message(w->c, NULL, "Data", "Subscribe", &m);
        if (code != CTL_OK)
                return code;
        g_ptr_array_add(w->paths, NULL);
        r = sd_bus_message_append_strv(m, (char **) w->paths->pdata);
        g_ptr_array_set_size(w->paths, (int) w->paths->len - 1);
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'a', "{sv}");
        if (r >= 0 && !args_get(w->args, "--server-only"))
                r = sd_bus_message_append(m, "{sv}", "local", "b", 1);
        if (r >= 0 && w->interval_ms > 0)
                r = sd_bus_message_append(m, "{sv}", "min_interval_ms", "u", w->interval_ms);
        if (r >= 0)
                r = sd_bus_message_close_container(m);
        if (r < 0)
                return ctl_protocol_fail(r, "Subscribe");
        code = ctl_send(w->c, m, NULL, &reply);
        if (code != CTL_OK)
                return code;
        r = sd_bus_message_read(reply, "u", &w->id);
        return r < 0 ? ctl_protocol_fail(r, "Subscribe") : CTL_OK;
}

/* A path without a value yet may be watched as well. */
static CtlExit print_now(Watch *w) {
        for (guint i = 0; i < w->paths->len; i++) {
                const char *path = g_ptr_array_index(w->paths, i);
                g_autoptr(sd_bus_message) m = NULL, reply = NULL;
                sd_bus_error error = SD_BUS_ERROR_NULL;
                CtlExit code;
                int r;

                code = ctl_message(w->c, NULL, "Data", "GetMany", &m);
                if (code != CTL_OK)
                        return code;
                r = sd_bus_message_append(m, "asa{sv}", 1, path, 0);
                if (r >= 0)
                        r = sd_bus_call(w->c->bus, m, 0, &error, &reply);
                if (r >= 0)
                        r = json_read_values(reply, print_value, w);
                else if (ctl_error_code(error.name) == CTL_NOT_FOUND)
                        r = 0;
                if (r < 0)
                        code = ctl_bus_fail(w->c, &error, r, path);
                sd_bus_error_free(&error);
                if (code != CTL_OK)
                        return code;
        }
        return CTL_OK;
}

static CtlExit run(Watch *w) {
        uint64_t deadline = ctl_deadline(w->c);
        sd_bus_slot *slot = NULL;
        CtlExit code;
        int r;

        code = owner_new(w->c, on_owner, w, &w->owner);
        if (code != CTL_OK)
                return code;
        r = sd_bus_match_signal(w->c->bus, &slot, w->c->name, BUS_ROOT, BUS_INTERFACE("Data"),
                                "Changed", on_changed, w);
        if (r < 0)
                return ctl_protocol_fail(r, "Changed");
        code = subscribe(w);
        if (code == CTL_OK && args_get(w->args, "--initial"))
                code = print_now(w);
        while (code == CTL_OK && w->left > 0) {
                code = ctl_loop(w->c, &w->stop, deadline);
                if (code != CTL_OK || !w->renew)
                        break;
                w->renew = w->stop = false;
                code = subscribe(w);
        }
        sd_bus_slot_unref(slot);
        return code;
}

int verb_watch(Ctl *c, const Args *a) {
        const char *count = args_get(a, "--count"), *interval = args_get(a, "--interval");
        g_autoptr(GPtrArray) paths = g_ptr_array_new_with_free_func(g_free);
        Watch w = { .c = c, .args = a, .paths = paths, .left = UINT64_MAX };
        uint64_t interval_usec = 0;
        CtlExit code;

        w.show_time = args_get(a, "--time");
        if (count && (parse_u64(count, UINT64_MAX - 1, &w.left) < 0 || w.left == 0))
                return ctl_fail(CTL_USAGE, "--count=%s: expected a number from 1", count);
        if (interval &&
            (parse_duration(interval, &interval_usec) < 0 || interval_usec / 1000 > UINT32_MAX))
                return ctl_fail(CTL_USAGE, "--interval=%s: expected a time like 0.5s", interval);
        w.interval_ms = (uint32_t) (interval_usec / 1000);
        for (unsigned i = 0; i < a->words->len; i++) {
                CtlPath p;

                code = ctl_path(args_word(a, i), 0, 4, &p);
                if (code != CTL_OK)
                        return code;
                g_ptr_array_add(paths, ctl_path_text(&p));
        }
        code = run(&w);
        owner_free(w.owner);
        return code;
}
