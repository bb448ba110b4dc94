/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What client.c (the engine, and following the accounts), client_pause.c (standing still) and
 * client_servers.c (the verbs for one server) share. */
#include "lwm2m/account/account.h"
#include "lwm2m/bootstrap/bs_control.h"
#include "lwm2m/est/est_control.h"
#include "lwm2m/client/client.h"
#include "lwm2m/client/device.h"
#include "lwm2m/events.h"
#include "lwm2m/server/server.h"
#include "lwm2m/server/server_object.h"

typedef enum RunState { STOPPED, RUNNING, STOPPING } RunState;

#define STOPS_MAX 64

typedef struct Stop {
        void (*done)(void *userdata);
        void *userdata;
} Stop;

struct Client {
        ClientConfig config; /* texts owned */
        ClientParts parts;
        ServerEnv env;
        ServerObject server_object;
        Device device;
        Events *events;
        GRand *rnd;
        char *endpoint;
        GPtrArray *servers; /* by Short Server ID */
        GPtrArray *retired; /* de-registering, then freed */
        BsControl *bootstrap;
        EstControl *est;
        bool register_anew; /* a bootstrap has changed the accounts */
        Timer *accounts_timer, *retired_timer, *turns_timer, *stop_timer;
        RunState run;
        bool paused;
        bool sleeping; /* paused by client_sleep() */
        bool links_changed;
        const char *state; /* last one told */
        GArray *stops;     /* Stop: who waits for the end of a stop */
        uint64_t now_usec; /* of the last call that knew it: commits carry no time */
};

static inline Server *client_at(const GPtrArray *servers, guint i) {
        return g_ptr_array_index(servers, i);
}

void client_tell_state(Client *c); /* if it is another one than was told last */
void client_start_server(Client *c, Server *s, uint64_t now_usec);
Server *client_find(const Client *c, uint16_t ssid); /* NULL if there is none */
