/* SPDX-License-Identifier: Apache-2.0 */
#include "bus/sleep.h"

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <string.h>
#include <unistd.h>

#include "util/log.h"

#define LOGIND "org.freedesktop.login1"
#define LOGIND_PATH "/org/freedesktop/login1"
#define LOGIND_MANAGER LOGIND ".Manager"

struct Sleep {
        SleepHooks hooks;
        void *userdata;
        sd_bus *bus; /* borrowed; NULL while there is none */
        sd_bus_slot *owner_match, *signal_match, *call;
        char *logind; /* unique name of the one that has answered; NULL: none */
        int fd;       /* the inhibitor; -1 */
        bool asleep;
};

static void drop_inhibitor(Sleep *s) {
        if (s->fd >= 0)
                (void) close(s->fd);
        s->fd = -1;
}

static void wake(Sleep *s) {
        if (!s->asleep)
                return;
        s->asleep = false;
        s->hooks.after(s->userdata);
}

static void forget_logind(Sleep *s) {
        s->call = sd_bus_slot_unref(s->call);
        g_clear_pointer(&s->logind, g_free);
        drop_inhibitor(s);
        wake(s);
}

/* --- the inhibitor --- */

static int on_inhibited(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        const sd_bus_error *error = sd_bus_message_get_error(m);
        Sleep *s = userdata;
        int fd, r;

        s->call = sd_bus_slot_unref(s->call);
        if (error) {
                /* Without logind there is nothing to say: most boxes have none. */
                log_debug("No notice of system sleep: %s", error->message);
                return 1;
        }
        r = sd_bus_message_read(m, "h", &fd);
        if (r >= 0) {
                drop_inhibitor(s);
                s->fd = fcntl(fd, F_DUPFD_CLOEXEC, 3); /* that of the message goes with it */
                r = s->fd < 0 ? -errno : 0;
        }
        if (r < 0) {
                log_warning_errno(r, "Cannot hold back system sleep: %m");
                return 1;
        }
        g_free(s->logind);
        s->logind = g_strdup(sd_bus_message_get_sender(m));
        return 1;
}

/* What logind answers also tells which connection is logind's. It is not started for us. */
static int inhibit(Sleep *s) {
        sd_bus_message *m = NULL;
        int r;

        s->call = sd_bus_slot_unref(s->call);
        r = sd_bus_message_new_method_call(s->bus, &m, LOGIND, LOGIND_PATH, LOGIND_MANAGER,
                                           "Inhibit");
        if (r >= 0)
                r = sd_bus_message_set_auto_start(m, false);
        if (r >= 0)
                r = sd_bus_message_append(m, "ssss", "sleep", "lwm2md",
                                          "Saving registrations and observations", "delay");
        if (r >= 0)
                r = sd_bus_call_async(s->bus, &s->call, m, on_inhibited, s, 0);
        sd_bus_message_unref(m);
        return r;
}

static void inhibit_again(Sleep *s) {
        int r = inhibit(s);

        if (r < 0)
                log_warning_errno(r, "Cannot hold back system sleep: %m");
}

/* --- signals --- */

static int on_prepare(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        const char *sender = sd_bus_message_get_sender(m);
        Sleep *s = userdata;
        int before, r;

        /* The bus lets everybody send us signals; only logind is believed. */
        if (!s->logind || g_strcmp0(sender, s->logind) != 0)
                return 0;
        r = sd_bus_message_read(m, "b", &before);
        if (r < 0)
                return 0;
        if (before && !s->asleep) {
                s->asleep = true;
                s->hooks.before(s->userdata);
                drop_inhibitor(s);
        } else if (!before) {
                wake(s);
                inhibit_again(s);
        }
        return 0;
}

static int on_owner(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        const char *name, *before, *now;
        Sleep *s = userdata;

        if (sd_bus_message_read(m, "sss", &name, &before, &now) < 0 || strcmp(name, LOGIND) != 0)
                return 0;
        forget_logind(s);
        if (*now)
                inhibit_again(s);
        return 0;
}

/* --- life --- */

int sleep_set_bus(Sleep *s, sd_bus *bus) {
        int r;

        s->owner_match = sd_bus_slot_unref(s->owner_match);
        s->signal_match = sd_bus_slot_unref(s->signal_match);
        forget_logind(s);
        s->bus = bus;
        if (!bus)
                return 0;
        r = sd_bus_add_match_async(bus, &s->owner_match,
                                   "type='signal',sender='org.freedesktop.DBus',"
                                   "path='/org/freedesktop/DBus',"
                                   "interface='org.freedesktop.DBus',member='NameOwnerChanged',"
                                   "arg0='" LOGIND "'",
                                   on_owner, NULL, s);
        if (r >= 0)
                r = sd_bus_match_signal_async(bus, &s->signal_match, LOGIND, LOGIND_PATH,
                                              LOGIND_MANAGER, "PrepareForSleep", on_prepare, NULL,
                                              s);
        return r < 0 ? r : inhibit(s);
}

Sleep *sleep_new(const SleepHooks *hooks, void *userdata) {
        Sleep *s = g_new0(Sleep, 1);

        s->hooks = *hooks;
        s->userdata = userdata;
        s->fd = -1;
        return s;
}

Sleep *sleep_free(Sleep *s) {
        if (!s)
                return NULL;
        s->asleep = false;
        (void) sleep_set_bus(s, NULL);
        g_free(s);
        return NULL;
}
