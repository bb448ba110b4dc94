/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/service.h"

#include <signal.h>

#include "ctl/owner.h"

struct Service {
        Ctl *c;
        ServiceOps ops;
        void *userdata;
        Owner *owner;
        Loop *loop;
        LoopSource *source;
        bool renew;
};

static void on_owner(void *userdata, const char *unique) {
        Service *s = userdata;

        s->ops.forget(s->userdata);
        if (!unique)
                ctl_fail(CTL_ABSENT, "the daemon left the bus; claiming again when it is back");
        s->renew = unique != NULL;
}

static void on_bus(void *userdata, int fd, short revents) {
        Service *s = userdata;
        CtlExit code;
        int r;

        do
                r = sd_bus_process(s->c->bus, NULL);
        while (r > 0);
        if (r < 0) {
                ctl_fail(CTL_ABSENT, "The connection to the bus '%s' ended: %s", s->c->address,
                         g_strerror(-r));
                loop_quit(s->loop, CTL_ABSENT);
                return;
        }
        if (!s->renew)
                return;
        s->renew = false;
        code = s->ops.claim(s->userdata);
        /* A daemon that ends again before it answered is waited for like before. */
        if (code != CTL_OK && code != CTL_ABSENT)
                loop_quit(s->loop, code);
}

static void prepare_bus(void *userdata) {
        Service *s = userdata;
        uint64_t due = UINT64_MAX, now = ctl_now();
        int events = sd_bus_get_events(s->c->bus);

        (void) sd_bus_get_timeout(s->c->bus, &due);
        if (due != UINT64_MAX) /* from CLOCK_MONOTONIC to the loop's clock */
                due = loop_now(s->loop) + (due > now ? due - now : 0);
        loop_source_set_events(s->source, (short) MAX(events, 0));
        loop_source_set_timeout(s->source, due);
}

static void on_stop(void *userdata) {
        Service *s = userdata;

        s->ops.release(s->userdata);
        loop_quit(s->loop, CTL_OK);
}

CtlExit service_new(Ctl *c, const ServiceOps *ops, void *userdata, Service **ret) {
        g_autoptr(Service) s = g_new0(Service, 1);
        CtlExit code;
        int r;

        s->c = c;
        s->ops = *ops;
        s->userdata = userdata;
        r = loop_new(&s->loop);
        if (r < 0)
                return ctl_fail(CTL_FAILED, "Cannot start the event loop: %s", g_strerror(-r));
        code = owner_new(c, on_owner, s, &s->owner);
        if (code == CTL_OK)
                *ret = g_steal_pointer(&s);
        return code;
}

Service *service_free(Service *s) {
        if (!s)
                return NULL;
        loop_source_free(s->source);
        owner_free(s->owner);
        loop_free(s->loop);
        g_free(s);
        return NULL;
}

Loop *service_loop(const Service *s) {
        return s->loop;
}

bool service_admits(const Service *s, sd_bus_message *m, sd_bus_error *error) {
        if (owner_sent(s->owner, m))
                return true;
        sd_bus_error_set_const(error, SD_BUS_ERROR_ACCESS_DENIED, "only lwm2md may call a handler");
        return false;
}

CtlExit service_run(Service *s) {
        LoopSource *term, *interrupt;
        CtlExit code = CTL_OK;

        if (owner_unique(s->owner))
                code = s->ops.claim(s->userdata);
        else
                ctl_fail(CTL_ABSENT, "the daemon is not on the bus '%s' yet; waiting for it",
                         s->c->address);
        if (code != CTL_OK)
                return code;
        s->source = loop_add_fd(s->loop, sd_bus_get_fd(s->c->bus), POLLIN, on_bus, prepare_bus, s);
        term = loop_add_signal(s->loop, SIGTERM, on_stop, s);
        interrupt = loop_add_signal(s->loop, SIGINT, on_stop, s);
        code = (CtlExit) loop_run(s->loop);
        s->source = loop_source_free(s->source);
        loop_source_free(term);
        loop_source_free(interrupt);
        return code;
}

void service_end(Service *s, CtlExit code) {
        loop_quit(s->loop, code);
}
