/* SPDX-License-Identifier: Apache-2.0 */
/* Manager.Monitor: what happens, as JSON lines on a pipe. The pipe is all the memory a reader gets:
 * lines that do not fit are dropped and counted, and the next line that fits says how many
 * ("lost"). */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "bus/bus_internal.h"
#include "util/cleanup.h"

#define MONITORS_MAX 64
#define PIPE_BYTES (256 * 1024)

enum { KIND_REGISTRATION = 1, KIND_OBSERVATION = 2, KIND_VALUE = 4 };

struct Monitors {
        Bus *bus;
        Tree *tree;     /* listened to */
        GPtrArray *all; /* Monitor */
};

typedef struct Monitor {
        Monitors *monitors;
        Owner *owner;
        int fd;
        LoopSource *source; /* tells when the reader went away */
        unsigned kinds;
        uint64_t n_lost;
} Monitor;

static void monitor_free(gpointer p) {
        Monitor *m = p;

        loop_source_free(m->source);
        close_fd(&m->fd);
        owner_give_back(m->owner, QUOTA_FDS);
        owner_unref(m->owner);
        g_free(m);
}

static void on_reader_gone(void *userdata, int fd, short revents) {
        Monitor *m = userdata;

        if (revents & (POLLERR | POLLHUP))
                g_ptr_array_remove(m->monitors->all, m);
}

/* JSON string content (RFC 8259, section 7). */
static void append_escaped(GString *s, const char *text) {
        for (const unsigned char *p = (const unsigned char *) text; *p; p++)
                if (*p == '"' || *p == '\\')
                        g_string_append_printf(s, "\\%c", *p);
                else if (*p < ' ')
                        g_string_append_printf(s, "\\u%04x", *p);
                else
                        g_string_append_c(s, (char) *p);
}

static void append_pair(GString *s, const char *key, const char *text) {
        g_string_append_c(s, '"');
        append_escaped(s, key);
        g_string_append(s, "\":\"");
        append_escaped(s, text);
        g_string_append_c(s, '"');
}

static unsigned kind_of(const char *event) {
        return g_str_has_prefix(event, "observer-") || g_str_has_prefix(event, "notify-")
                       ? KIND_OBSERVATION
                       : KIND_REGISTRATION;
}

static void send_line(Monitor *m, GString *line) {
        ssize_t n;

        if (m->n_lost > 0)
                g_string_append_printf(line, ",\"lost\":%" PRIu64, m->n_lost);
        g_string_append(line, "}\n");
        /* At most PIPE_BUF bytes go out whole or not at all (pipe(7)). */
        n = line->len <= PIPE_BUF ? write(m->fd, line->str, line->len) : -1;
        if (n == (ssize_t) line->len)
                m->n_lost = 0;
        else
                m->n_lost++;
}

void monitors_event(Monitors *s, const ClientEvent *event) {
        for (guint i = 0; i < s->all->len; i++) {
                Monitor *m = g_ptr_array_index(s->all, i);
                g_autoptr(GString) line = NULL;
                bool first = true;

                if (!(m->kinds & kind_of(event->name)))
                        continue;
                line = g_string_new("{");
                append_pair(line, "event", event->name);
                g_string_append_printf(
                        line, ",\"time\":%" PRId64 ".%09" PRId64 ",\"server\":%u,\"details\":{",
                        event->time_ns / 1000000000, event->time_ns % 1000000000, event->ssid);
                for (const char *const *d = event->details; d && d[0] && d[1]; d += 2) {
                        if (!first)
                                g_string_append_c(line, ',');
                        append_pair(line, d[0], d[1]);
                        first = false;
                }
                g_string_append_c(line, '}');
                send_line(m, line);
        }
}

static void on_commit(void *userdata, Origin origin, uint16_t ssid, const Change *changes,
                      size_t n) {
        static const char *const names[] = {
                [CHANGE_SET] = "set", [CHANGE_CREATED] = "create", [CHANGE_DELETED] = "delete"
        };
        Monitors *s = userdata;

        for (guint i = 0; i < s->all->len; i++) {
                Monitor *m = g_ptr_array_index(s->all, i);

                if (!(m->kinds & KIND_VALUE))
                        continue;
                for (size_t c = 0; c < n; c++) {
                        g_autoptr(GString) line = NULL;

                        if (path_has_keys(&changes[c].path))
                                continue;
                        line = g_string_new("{");
                        append_pair(line, "event", names[changes[c].kind]);
                        g_string_append_c(line, ',');
                        append_pair(line, "path", PATH_TEXT(&changes[c].path));
                        g_string_append_printf(line, ",\"server\":%u", ssid);
                        send_line(m, line);
                }
        }
}

static int read_kinds(sd_bus_message *m, unsigned *ret, sd_bus_error *error) {
        static const char *const names[] = { "registration", "observation", "value" };
        int r;

        *ret = 0;
        r = sd_bus_message_enter_container(m, 'a', "s");
        while (r >= 0 && (r = sd_bus_message_at_end(m, false)) == 0) {
                const char *text;
                unsigned kind = 0;

                r = sd_bus_message_read_basic(m, 's', &text);
                if (r < 0)
                        return r;
                for (unsigned i = 0; i < G_N_ELEMENTS(names); i++)
                        if (strcmp(text, names[i]) == 0)
                                kind = 1U << i;
                if (!kind)
                        return bus_error_named(error, ERROR_PREFIX "InvalidValue",
                                               "'%s' is not registration, observation or value",
                                               text);
                *ret |= kind;
        }
        if (*ret == 0)
                *ret = KIND_REGISTRATION | KIND_OBSERVATION;
        return r < 0 ? r : sd_bus_message_exit_container(m);
}

int method_monitor(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Bus *b = userdata;
        autoclose int theirs = -1;
        uint32_t limit;
        unsigned kinds;
        Monitor *monitor;
        Owner *owner;
        int fds[2], r;

        r = read_kinds(m, &kinds, error);
        if (r >= 0)
                r = options_read(m, NULL, error);
        if (r >= 0)
                r = bus_owner(b, m, &owner, error);
        if (r < 0)
                return r;
        if (b->monitors->all->len >= MONITORS_MAX || owner_take(owner, QUOTA_FDS, &limit) < 0) {
                owner_unref(owner);
                return bus_error(error, -EDQUOT, "Too many monitors");
        }
        if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) < 0) {
                r = -errno;
                owner_give_back(owner, QUOTA_FDS);
                owner_unref(owner);
                return bus_error(error, r, "Cannot make a pipe: %m");
        }
        theirs = fds[0];
        fcntl(theirs, F_SETFL, 0); /* readers expect a pipe that blocks */
        fcntl(fds[1], F_SETPIPE_SZ, PIPE_BYTES);
        monitor = g_new0(Monitor, 1);
        monitor->monitors = b->monitors;
        monitor->owner = owner;
        monitor->kinds = kinds;
        monitor->fd = fds[1];
        monitor->source = loop_add_fd(b->loop, monitor->fd, 0, on_reader_gone, NULL, monitor);
        g_ptr_array_add(b->monitors->all, monitor);
        return sd_bus_reply_method_return(m, "h", theirs);
}

Monitors *monitors_new(Bus *b) {
        Monitors *s = g_new0(Monitors, 1);

        s->bus = b;
        s->all = g_ptr_array_new_with_free_func(monitor_free);
        return s;
}

void monitors_attach(Monitors *s, Tree *tree) {
        s->tree = tree;
        tree_on_commit(tree, on_commit, s);
}

Monitors *monitors_free(Monitors *s) {
        if (!s)
                return NULL;
        if (s->tree)
                tree_remove_listener(s->tree, on_commit, s);
        g_ptr_array_unref(s->all);
        g_free(s);
        return NULL;
}
