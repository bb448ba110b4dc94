/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <time.h>

#include "ctl/owner.h"

struct Owner {
        OwnerFunc func;
        void *userdata;
        sd_bus_slot *slot;
        char *unique;
};

static int on_name_owner_changed(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        const char *name, *old, *new;
        Owner *o = userdata;
        int r;

        r = sd_bus_message_read(m, "sss", &name, &old, &new);
        if (r < 0)
                return r;
        g_free(o->unique);
        o->unique = new[0] ? g_strdup(new) : NULL;
        o->func(o->userdata, o->unique);
        return 0;
}

CtlExit owner_new(Ctl *c, OwnerFunc func, void *userdata, Owner **ret) {
        g_autoptr(Owner) o = g_new0(Owner, 1);
        g_autoptr(sd_bus_message) reply = NULL;
        g_autofree char *match = NULL;
        const char *unique;
        CtlExit code;
        int r;

        code = ctl_connect(c);
        if (code != CTL_OK)
                return code;
        o->func = func;
        o->userdata = userdata;
        match = g_strdup_printf("type='signal',sender='org.freedesktop.DBus',"
                                "path='/org/freedesktop/DBus',"
                                "interface='org.freedesktop.DBus',member='NameOwnerChanged',"
                                "arg0='%s'",
                                c->name);
        r = sd_bus_add_match(c->bus, &o->slot, match, on_name_owner_changed, o);
        if (r < 0)
                return ctl_fail(CTL_FAILED, "Cannot watch %s: %s", c->name, g_strerror(-r));
        r = sd_bus_call_method(c->bus, "org.freedesktop.DBus", "/org/freedesktop/DBus",
                               "org.freedesktop.DBus", "GetNameOwner", NULL, &reply, "s", c->name);
        if (r >= 0 && sd_bus_message_read(reply, "s", &unique) >= 0)
                o->unique = g_strdup(unique);
        *ret = g_steal_pointer(&o);
        return CTL_OK;
}

Owner *owner_free(Owner *o) {
        if (!o)
                return NULL;
        sd_bus_slot_unref(o->slot);
        g_free(o->unique);
        g_free(o);
        return NULL;
}

const char *owner_unique(const Owner *o) {
        return o->unique;
}

bool owner_sent(const Owner *o, sd_bus_message *m) {
        return o->unique && g_strcmp0(sd_bus_message_get_sender(m), o->unique) == 0;
}

uint64_t ctl_now(void) {
        struct timespec t;

        clock_gettime(CLOCK_MONOTONIC, &t);
        return (uint64_t) t.tv_sec * 1000000 + (uint64_t) t.tv_nsec / 1000;
}

uint64_t ctl_deadline(const Ctl *c) {
        return c->timeout_usec > 0 ? ctl_now() + c->timeout_usec : UINT64_MAX;
}

CtlExit ctl_loop(Ctl *c, const bool *stop, uint64_t deadline_usec) {
        while (!*stop) {
                uint64_t now = ctl_now();
                int r;

                r = sd_bus_process(c->bus, NULL);
                if (r == 0 && now >= deadline_usec)
                        return CTL_TIMEOUT;
                if (r == 0)
                        r = sd_bus_wait(c->bus, deadline_usec == UINT64_MAX ? UINT64_MAX
                                                                            : deadline_usec - now);
                if (r < 0 && r != -EINTR)
                        return ctl_fail(CTL_ABSENT, "The connection to the bus '%s' ended: %s",
                                        c->address, g_strerror(-r));
        }
        return CTL_OK;
}
