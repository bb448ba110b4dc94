/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The LwM2M bootstrap server: its account, its link, the bootstrap machine and the bootstrap
 * interface put together, as server.h does for a management server. Beside the client's servers
 * there is at most one. */
#include "lwm2m/bootstrap/bs_account.h"
#include "lwm2m/bootstrap/bs_stage.h"
#include "lwm2m/server/server.h"

typedef struct BsServer BsServer;

typedef struct BsServerEnv {     /* borrowed, outlives the server */
        const ServerEnv *server; /* of it changed() and userdata are not used */
        /* The machine is in another state; told last, the server may not be freed from within. */
        void (*changed)(void *userdata, uint64_t now_usec);
        /* New accounts are in the tree. */
        void (*transferred)(void *userdata, uint64_t now_usec);
        void *userdata;
} BsServerEnv;

BsServer *bs_server_new(const BsServerEnv *env, Account *account /* taken over */);
BsServer *bs_server_free(BsServer *s);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(BsServer, bs_server_free)

/* The account is gone: what was kept for the next link, too. */
void bs_server_forget(BsServer *s);

const Account *bs_server_account(const BsServer *s);
/* As it stands now, with the same address. */
void bs_server_set_account(BsServer *s, Account *account /* taken over */);

/* The client runs: the account's own end (0/x/12) is watched from now on. */
void bs_server_start(BsServer *s, uint64_t now_usec);
void bs_server_stop(BsServer *s, uint64_t now_usec);
void bs_server_pause(BsServer *s, uint64_t now_usec);
void bs_server_resume(BsServer *s, uint64_t now_usec);
/* Nothing to register with: after the hold-off time (0/x/11). Fine when it is under way. */
void bs_server_want(BsServer *s, uint64_t now_usec);
/* At once: a user, or 1/x/9. -EALREADY when it is under way. */
int bs_server_now(BsServer *s, uint64_t now_usec);
/* A server has registered us: what bs_server_want() began is not needed any more, unless the
 * bootstrap server is at work already. */
void bs_server_drop(BsServer *s, uint64_t now_usec);

bool bs_server_is_active(const BsServer *s);    /* talking with the server, or trying to */
bool bs_server_is_waiting(const BsServer *s);   /* hold-off, or between two attempts */
bool bs_server_is_lingering(const BsServer *s); /* done, still answering the server */
bool bs_server_has_failed(const BsServer *s);   /* the last attempt */
void bs_server_info(const BsServer *s, ServerInfo *ret);
