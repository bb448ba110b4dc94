/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The D-Bus front door: the connection, its name, and the interfaces of DBUS.md on it. Losing the
 * bus ends nothing but claims, subscriptions and holds; it is tried again with back-off. */
#include <stdbool.h>
#include <stdint.h>

#include "bus/grants.h"
#include "lwm2m/account/key_provider.h"
#include "lwm2m/client/client.h"
#include "util/loop.h"

#define BUS_NAME "org.lwm2md.Client1"
#define BUS_PATH "/org/lwm2md/Client1"
#define BUS_SERVERS BUS_PATH "/server"
#define BUS_API_VERSION 1

typedef struct BusConfig {
        const char *const *features;   /* of the transport, for Manager.Features; NULL; copied */
        const char *secrets_directory; /* where files are that AddServer names without a path;
                                          copied */
        const char *address;           /* "system", "session", "none" or a D-Bus address */
        const char *instance; /* NULL, or the last part of the name: org.lwm2md.Client1.NAME */
        uint32_t claims_per_user, subscriptions_per_user;
        uint32_t fds_per_user;    /* holds and monitors */
        uint32_t calls_per_user;  /* that wait for applications */
        uint64_t values_per_user; /* in a second */
        Grants *grants;           /* gets one more reference; NULL: no rules */
        uint32_t queue_max; /* calls to applications waiting for one of the 64 places in flight;
                               then -EBUSY */
} BusConfig;

typedef struct Bus Bus;

int bus_new(const BusConfig *config, Loop *loop, Bus **ret);
Bus *bus_free(Bus *b);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Bus, bus_free)
/* For DmConfig.apps; userdata is the Bus. */
const AppOps *bus_app_ops(void);
/* What the bus asks of the daemon: 0, or -errno with *ret_error (g_free()). */
typedef struct BusHooks {
        void (*ready)(void *userdata); /* once the name is owned; at once with "none" */
        int (*reload)(void *userdata, char **ret_error);
        int (*factory_reset)(void *userdata, bool keep_servers, char **ret_error);
        void (*sleep)(void *userdata, bool before); /* system sleep: as SleepHooks */
} BusHooks;

/* Connects and owns the name once the loop has nothing else to do, so that registering need not
 * wait for it. A bus that is not there yet is tried again later. -EINVAL: the address cannot be
 * one. hooks are copied. */
int bus_start(Bus *b, Client *client, const BusHooks *hooks, void *userdata);
/* Before the client goes: no method runs any more, holds and subscriptions end. Calls to
 * applications can still be cancelled; bus_free() comes when the Dm that made them has gone. */
void bus_stop(Bus *b);
/* Other rules from now on (one more reference). Claims and subscriptions they do not allow end. */
void bus_set_grants(Bus *b, Grants *grants);
/* Asks applications for credentials; returns its userdata, which lasts as long as the bus. */
void *bus_key_provider(Bus *b, const KeyProvider **ret);
bool bus_is_connected(const Bus *b);
