/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A verb that stays and is called by the daemon: the loop, the bus in it, a claim that is made
 * again whenever the daemon comes back, and the signals that end it. */
#include "ctl/ctl.h"
#include "util/loop.h"

typedef struct Service Service;

typedef struct ServiceOps {
        CtlExit (*claim)(void *userdata); /* with a daemon on the bus */
        void (*release)(void *userdata);  /* a signal ends us: takes the claim back */
        void (*forget)(void *userdata);   /* the daemon left the bus, or is another */
} ServiceOps;

CtlExit service_new(Ctl *c, const ServiceOps *ops, void *userdata, Service **ret);
Service *service_free(Service *s);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Service, service_free)
Loop *service_loop(const Service *s);
/* Whether the daemon sent m; else *error says that only it may. */
bool service_admits(const Service *s, sd_bus_message *m, sd_bus_error *error);
CtlExit service_run(Service *s); /* until a signal, service_end(), or a claim that fails */
void service_end(Service *s, CtlExit code);
