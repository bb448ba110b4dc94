/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The enrolments of all servers in security mode 4: follows the accounts, gives them what was
 * enrolled, and holds a server back until there is a certificate for it. */
#include "lwm2m/est/est_server.h"

typedef struct EstControl EstControl;

typedef struct EstControlOps {
        /* A server has another certificate, or none any more: the accounts are to be followed. */
        void (*renewed)(void *userdata, uint64_t now_usec);
        void (*changed)(void *userdata, uint16_t ssid, uint64_t now_usec); /* what a state shows */
} EstControlOps;

EstControl *est_control_new(const ServerEnv *env /* borrowed */,
                            const EstConfig *config /* copied */, const EstControlOps *ops,
                            void *userdata);
EstControl *est_control_free(EstControl *c);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(EstControl, est_control_free)

/* The accounts as the tree has them, of Account: each gets its enrolled credentials. What belongs
 * to a server that is not among them any more is removed, from the disk, too. */
void est_control_follow(EstControl *c, GPtrArray *accounts, uint64_t now_usec);
/* The same for an account that was loaded for another use. */
void est_control_fill(const EstControl *c, Account *account);
/* The server has to wait for its certificate … */
bool est_control_holds(EstControl *c, const Account *account);
/* … and does so no longer. */
EstRelease est_control_releases(EstControl *c, const Account *account);
bool est_control_is_active(const EstControl *c); /* a server that is held back is being enrolled */

void est_control_start(EstControl *c, uint64_t now_usec);
void est_control_stop(EstControl *c, uint64_t now_usec);
void est_control_pause(EstControl *c, uint64_t now_usec);
/* How many there are: certificates may have ended during the pause. */
unsigned est_control_resume(EstControl *c, uint64_t now_usec);
/* -ENOENT none of that number in this mode, -EALREADY under way. */
int est_control_now(EstControl *c, uint16_t ssid, uint64_t now_usec);
/* As est_server_info(); nothing for servers in other modes. */
void est_control_info(const EstControl *c, uint16_t ssid, bool at_work, ServerInfo *ret);
