/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What the interfaces of the bus share. Only files of bus/ include it. */

#include "bus/bus.h"
#include "bus/claims.h"
#include "bus/errors.h"
#include "bus/grants.h"
#include "bus/handlers.h"
#include "bus/owners.h"
#include "bus/providers.h"
#include "bus/sdbus.h"
#include "bus/senders.h"
#include "bus/sleep.h"
#include "bus/variant.h"
#include "lwm2m/send/send.h"

typedef struct Subscriptions Subscriptions;
typedef struct Holds Holds;
typedef struct Monitors Monitors;
typedef struct Jobs Jobs;
typedef struct Tests Tests;

struct Bus {
        BusConfig config;
        Loop *loop;
        Client *client; /* from bus_start() on */
        char *name, *instance_id;
        sd_bus *bus;                /* NULL while there is no connection */
        bool owned;                 /* the name is ours */
        bool stale;                 /* property changes were not told: the bus is behind */
        LoopSource *source, *first; /* first: to connect for the first time */
        Timer *reconnect;
        unsigned n_failed;
        unsigned n_pings; /* in flight: flow.h */

        Senders *senders;
        GPtrArray *vtables; /* sd_bus_vtable, given to sd-bus */
        Owners *owners;
        Claims *claims;
        Handlers *handlers;
        Providers *providers;
        Subscriptions *subscriptions;
        Holds *holds;
        Monitors *monitors;
        Jobs *jobs;
        Tests *tests;
        Sleep *sleep;

        BusHooks hooks;
        void *userdata;
};

/* Another application, or none, answers for what is below the prefixes of claim. */
void bus_owner_changed(Bus *b, const Claim *claim);

static inline uint64_t bus_now(const Bus *b) {
        return loop_now(b->loop);
}

/* The bus is not reading: sd-bus would keep what we send, up to hundreds of megabytes. Nothing that
 * nobody asked for is sent then; subscriptions coalesce, events are dropped (GetEvents has them).
 */
bool bus_is_behind(const Bus *b);

extern const sd_bus_vtable manager_vtable[], data_vtable[], claims_vtable[], model_vtable[],
        server_vtable[], log_control_vtable[];

/* The interfaces of BUS_PATH. */
typedef struct BusInterface {
        const char *name;
        const sd_bus_vtable *vtable;
} BusInterface;
#define BUS_ROOT_INTERFACES 4
extern const BusInterface bus_root_interfaces[BUS_ROOT_INTERFACES];

/* A message that carries what a method answers later. */
typedef struct Pending {
        Bus *bus;
        sd_bus_message *call;
        Path path;
        uid_t uid;
        bool counted; /* among the user's waiting calls */
} Pending;
Pending *pending_new(Bus *b, sd_bus_message *call, const Path *path);
/* Takes one of the user's places; LimitReached when he has none left. */
int pending_count(Pending *p, sd_bus_error *error);
Pending *pending_free(Pending *p);
int pending_fail(Pending *p, int error, const char *text); /* replies and frees */

/* Objects 0 and 21 hold keys: nothing of them is on the bus, not even that there is something. */
static inline bool path_has_keys(const Path *p) {
        return p->n > 0 && (p->id[0] == 0 || p->id[0] == 21);
}

/* --- gate.c --- Whether the sender is root, the daemon's own user, or one with allow=admin; else
 * an AccessDenied error that says what for. */
int require_admin(sd_bus_message *m, const char *what, sd_bus_error *error);
/* Objects 0 and 21 hold keys: never on the bus. Writing 1 and 2 is for administrators, and access.d
 * may say who may what for the rest. */
int check_access(sd_bus_message *m, const Path *p, bool write, sd_bus_error *error);
/* The sender of m as somebody who holds something of ours: owners_get(), with an error in words. */
int bus_owner(Bus *b, sd_bus_message *m, Owner **ret, sd_bus_error *error);
int reply_ok(sd_bus_message *m);
/* Sends what was built, unless building it failed with r; releases it. Returns as a method does. */
int reply_send(sd_bus_message *reply, int r);

/* --- subscriptions.c: unicast Changed signals --- */
Subscriptions *subscriptions_new(Bus *b);
Subscriptions *subscriptions_free(Subscriptions *s);
void subscriptions_vanished(Subscriptions *s, const Owner *o);
void subscriptions_attach(Subscriptions *s, Tree *tree);
void subscriptions_recheck(Subscriptions *s); /* rights have changed: ends what is not allowed */
int method_subscribe(sd_bus_message *m, void *userdata, sd_bus_error *error);
int method_unsubscribe(sd_bus_message *m, void *userdata, sd_bus_error *error);

/* --- holds.c: Data.Hold --- */
Holds *holds_new(Bus *b);
Holds *holds_free(Holds *h);
int method_hold(sd_bus_message *m, void *userdata, sd_bus_error *error);

/* --- monitors.c: Manager.Monitor --- */
Monitors *monitors_new(Bus *b);
Monitors *monitors_free(Monitors *s);
void monitors_attach(Monitors *s, Tree *tree);
void monitors_event(Monitors *s, const ClientEvent *event);
int method_monitor(sd_bus_message *m, void *userdata, sd_bus_error *error);

/* --- jobs.c: kind is "update", "register", "deregister" or
 * "bootstrap"; both reply with the job's number, or
 * later with wait --- */
Jobs *jobs_new(Bus *b);
Jobs *jobs_free(Jobs *jobs);
int jobs_add(Jobs *jobs, sd_bus_message *m, uint16_t ssid, const char *kind, bool wait,
             sd_bus_error *error);
int jobs_send(Jobs *jobs, sd_bus_message *m, const SendRequest *request, bool wait,
              sd_bus_error *error);
void jobs_event(Jobs *jobs, const ClientEvent *event);
/* Whoever asked is gone with the bus, and after a reconnect his name may be another's: what was
 * begun goes on, and nobody is told. */
void jobs_bus_gone(Jobs *jobs);

/* --- tests.c: Server.Test --- */
Tests *tests_new(Bus *b);
Tests *tests_free(Tests *tests);
int tests_add(Tests *tests, sd_bus_message *m, uint16_t ssid, sd_bus_error *error);
void tests_event(Tests *tests, const ClientEvent *event);
void tests_bus_gone(Tests *tests); /* they end: nobody waits for what they find */

/* --- manager.c, server.c --- */
void manager_event(Bus *b, const ClientEvent *event);
void manager_changed(Bus *b);
void server_path(uint16_t ssid, char buffer[static 64]);
/* The other way round; 0 is the bootstrap server (…/server/bootstrap). -EINVAL. */
int server_ssid_of(const char *path, uint16_t *ret);
int server_find(sd_bus *bus, const char *path, const char *interface, void *userdata,
                void **ret_found, sd_bus_error *error);
int server_enumerate(sd_bus *bus, const char *prefix, void *userdata, char ***ret_nodes,
                     sd_bus_error *error);
