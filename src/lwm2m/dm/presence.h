/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Whether something of ours (a notification, a Send) may leave for a server. In queue mode the
 * server takes us for asleep some time after the last message (TS Core 1.1.1, section 6.2.1.2); it
 * is told by an Update that we are awake, and only when it has answered do data leave.
 *
 * Who has something to send asks peer_may_send() and keeps it when that says false: the wake-up is
 * under way then, and peer_set_presence() lets what waits go. The owner of the Peer (server.c) sets
 * the presence; what becomes of things that wait is for observe.c and others to know. */
#include <stdbool.h>
#include <stdint.h>

#include "lwm2m/dm/dm.h"

typedef enum Presence {
        PRESENCE_AWAKE,  /* registered and reachable; also a Peer without an owner */
        PRESENCE_ABSENT, /* not registered: what is due waits for the registration */
        PRESENCE_ASLEEP, /* registered; an Update has to come first */
} Presence;

/* Data wait for a server that is asleep: begins to wake it. Safe to call again and again. at_once:
 * they do not wait for the Update's answer. True: they may leave now, the link is there. */
typedef bool (*PresenceWake)(void *userdata, bool at_once, uint64_t now_usec);

void peer_set_waker(Peer *p, PresenceWake wake, void *userdata); /* NULL: never wakes */
void peer_set_presence(Peer *p, Presence presence);
Presence peer_presence(const Peer *p);
/* Something may become due: false while there is no point in looking at it. */
bool peer_is_there(const Peer *p);
/* True: it may leave now, over the link. False: it has to wait; a server that is asleep is being
 * woken for it. */
bool peer_may_send(Peer *p, bool at_once, uint64_t now_usec);
