/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* When the client bootstraps (TS Core 1.1.1, sections 6.1.4 and 6.1.5): follows the bootstrap
 * server's account in the tree, and starts what is needed when there is nothing to register with,
 * when a server's retries are used up (1/x/16), when one asks for it (1/x/9), or a user does. The
 * client owns it and tells it what happens to the other servers. Registrations go on during a
 * bootstrap: nothing changes before its end. */
#include "lwm2m/bootstrap/bs_server.h"

typedef struct BsControl BsControl;

typedef struct BsControlOps {
        /* New accounts are in the tree: all servers register anew. */
        void (*transferred)(void *userdata, uint64_t now_usec);
        /* bs_control_holds() has become false. */
        void (*released)(void *userdata, uint64_t now_usec);
        void (*changed)(void *userdata, uint64_t now_usec); /* what a state shows */
} BsControlOps;

BsControl *bs_control_new(const ServerEnv *env /* borrowed */, const BsControlOps *ops,
                          void *userdata);
BsControl *bs_control_free(BsControl *b);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(BsControl, bs_control_free)

/* first: the servers wait until a bootstrap has been done, or has failed once. */
void bs_control_start(BsControl *b, bool first, uint64_t now_usec);
void bs_control_stop(BsControl *b, uint64_t now_usec);
void bs_control_pause(BsControl *b, uint64_t now_usec);
void bs_control_resume(BsControl *b, uint64_t now_usec);

/* The accounts in the tree may have changed; n_servers are there to register with. */
void bs_control_follow(BsControl *b, unsigned n_servers, uint64_t now_usec);
void bs_control_registered(BsControl *b, uint64_t now_usec);
/* From within the machine of that server. */
void bs_control_exhausted(BsControl *b, const Server *s, uint64_t now_usec);

/* -ENOENT no bootstrap server, -EALREADY under way. */
int bs_control_now(BsControl *b, uint64_t now_usec);
/* The same when whoever asks has been answered. */
int bs_control_soon(BsControl *b, uint64_t now_usec);

bool bs_control_has_account(const BsControl *b);
bool bs_control_holds(const BsControl *b);
bool bs_control_is_active(const BsControl *b);
bool bs_control_is_waiting(const BsControl *b);
int bs_control_info(const BsControl *b, ServerInfo *ret); /* -ENOENT */
