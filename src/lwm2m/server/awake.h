/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Queue mode of one server (TS Core 1.1.1, section 6.2.1.2; binding UQ of 1.0): some time after the
 * last message we are asleep to it, its link is not used, and an Update comes before anything else.
 * Awake follows the registration machine, owns the timer, puts the link to sleep and wakes it, and
 * sets the presence of the Peer, which is what makes data wait (presence.h).
 *
 * It never sleeps over something open: a request not answered, one of ours under way, a message not
 * acknowledged, a body half transferred, an Update that is due, or somebody's hold. */
#include <stdbool.h>
#include <stdint.h>

#include "lwm2m/dm/presence.h"
#include "lwm2m/server/rd.h"
#include "lwm2m/transport.h"
#include "util/timerq.h"

#define AWAKE_TIME_DEFAULT_USEC                                                                    \
        (93 * USEC_PER_SEC) /* MAX_TRANSMIT_WAIT: RFC 7252, section 4.8.2                          \
                             */

typedef enum QueueSocket {                            /* while asleep */
                           QUEUE_SOCKET_STOP_POLLING, /* kept; what comes is dropped unseen */
                           QUEUE_SOCKET_LISTEN,       /* kept and read: a request wakes us */
                           QUEUE_SOCKET_CLOSE,        /* closed; the name is looked up anew */
} QueueSocket;

typedef struct AwakeConfig {
        uint64_t time_usec; /* awake after the last message; 0 = 93 s */
        QueueSocket socket;
        bool at_once; /* data do not wait for the Update; has no effect on a closed socket */
} AwakeConfig;

typedef enum AwakeState {
        AWAKE_ABSENT, /* not registered */
        AWAKE_ALWAYS, /* registered without queue mode */
        AWAKE_UP,     /* until the time is over */
        AWAKE_ASLEEP,
        AWAKE_WAKING, /* our Update, or Register, is under way */
} AwakeState;

typedef struct Awake Awake;
/* Another state; may be called from within a change of rd's state. */
typedef void (*AwakeChanged)(void *userdata, AwakeState before, uint64_t now_usec);

/* n_holds_all: holds that concern every server; borrowed, as peer and transport are. */
Awake *awake_new(TimerQueue *timers, const TransportOps *transport, Peer *peer,
                 const unsigned *n_holds_all, AwakeChanged changed, void *userdata);
Awake *awake_free(Awake *a);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Awake, awake_free)

void awake_set_config(Awake *a, const AwakeConfig *config);
void awake_forget_peer(Awake *a);          /* it is about to be freed */
void awake_set_link(Awake *a, Link *link); /* NULL before it is closed */

/* rd has changed its state; queue: what was agreed with the server. */
void awake_follow(Awake *a, Rd *rd, bool queue, uint64_t now_usec);
void awake_note_activity(Awake *a, uint64_t now_usec); /* LinkEvents.activity */
/* A request of rd is about to leave: the link must be able to take the answer. */
void awake_contact(Awake *a, uint64_t now_usec);

/* While something that is no message of this server counts as activity (a download, say). They
 * nest; a hold does not wake who is asleep already. look: a hold of all servers was given back. */
void awake_hold(Awake *a);
void awake_release(Awake *a, uint64_t now_usec);
void awake_look(Awake *a, uint64_t now_usec);

AwakeState awake_state(const Awake *a);
const char *awake_text(const Awake *a);        /* "none", "awake", "asleep" */
const char *awake_socket_text(const Awake *a); /* "stop-polling", "listen", "close" */
