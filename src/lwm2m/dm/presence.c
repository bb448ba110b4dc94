/* SPDX-License-Identifier: Apache-2.0 */
#include "lwm2m/dm/presence.h"

#include "lwm2m/dm/dm_internal.h"
#include "lwm2m/observe/observe.h"
#include "lwm2m/send/send_queue.h"

void peer_set_waker(Peer *p, PresenceWake wake, void *userdata) {
        p->wake = wake;
        p->wake_userdata = userdata;
}

void peer_set_presence(Peer *p, Presence presence) {
        if (p->presence == presence)
                return;
        p->presence = presence;
        send_queue_presence_changed(p->sends);
        /* What waited may go, or, for a server that has gone, is to be stored. */
        if (presence != PRESENCE_ABSENT || p->backlog)
                observe_presence_changed(p);
}

Presence peer_presence(const Peer *p) {
        return p->presence;
}

bool peer_is_there(const Peer *p) {
        return p->presence == PRESENCE_ASLEEP || (p->presence == PRESENCE_AWAKE && p->link);
}

bool peer_may_send(Peer *p, bool at_once, uint64_t now_usec) {
        if (p->presence == PRESENCE_ASLEEP)
                return p->wake && p->wake(p->wake_userdata, at_once, now_usec) && p->link;
        return p->presence == PRESENCE_AWAKE && p->link;
}
