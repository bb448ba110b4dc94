/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* One LwM2M server: its account, its link, its registration machine, and its Peer in dm. Turns what
 * the machine decides into CoAP requests and events, and keeps the registration on disk. */
#include "lwm2m/account/account.h"
#include "lwm2m/server/awake.h"
#include "lwm2m/server/client_config.h"
#include "lwm2m/server/server_info.h"
#include "lwm2m/events.h"
#include "lwm2m/server/rd.h"

typedef struct Server Server;

typedef struct ServerEnv { /* borrowed, outlives the servers */
        const ClientConfig *config;
        const ClientParts *parts;
        Events *events;
        GRand *rnd;
        unsigned n_holds;     /* of queue mode, for all servers: client_hold_awake() */
        const char *endpoint; /* may be replaced between server_start() calls */
        /* The machine is in another state; told last, the server may not be freed from within. */
        void (*changed)(void *userdata, Server *s, uint64_t now_usec);
        /* All its retries are used up (network-error); told from within the machine. May be NULL.
         */
        void (*exhausted)(void *userdata, Server *s, uint64_t now_usec);
        void *userdata;
} ServerEnv;

Server *server_new(const ServerEnv *env, Account *account /* taken over */);
Server *server_free(Server *s); /* closes the link; nothing is sent */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Server, server_free)

const Account *server_account(const Server *s);
Rd *server_rd(Server *s);
Awake *server_awake(Server *s);
/* held: waits for RD_TURN. A registration kept on disk for the same endpoint and URI is continued.
 */
void server_start(Server *s, bool held, uint64_t now_usec);
bool server_is_started(const Server *s); /* since it was made or stopped with its client */
/* The account as it stands now, with the same URI (taken over): lifetime, binding and policies. */
void server_set_account(Server *s, Account *account, uint64_t now_usec);
/* The process is about to end with the registration alive: writes what the next one, which goes on
 * with it, can use. The caller syncs the store. */
void server_save_last(Server *s);
void server_flush(Server *s); /* puts what waits into the store */
/* The owner of the box, not the server, has set 1/x/1: told before server_set_account(). */
void server_note_owner_lifetime(Server *s);
/* The lowest lifetime the server may write: the client's, or what the owner chose for this account.
 */
uint32_t server_lifetime_min_sec(const Server *s);
/* The account is gone: de-registers if it can; requests are refused from now on. */
void server_retire(Server *s, uint64_t now_usec);
/* 1/x/4: after the answer has left. seconds: away for. */
void server_disable_soon(Server *s, uint32_t seconds, uint64_t now_usec);
void server_info(const Server *s, ServerInfo *ret);
int64_t server_wall_ns(const ServerEnv *env);
/* A new start of the machine, as after a restart of the client, with nothing sent to end what was
 * there before: a bootstrap may have changed the reason for its failures. */
void server_restart(Server *s, bool held, uint64_t now_usec);
