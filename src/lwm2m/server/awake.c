/* SPDX-License-Identifier: Apache-2.0 */
#include "lwm2m/server/awake.h"

#define LOOK_AGAIN_USEC USEC_PER_SEC /* the link was not ready to sleep */

struct Awake {
        AwakeConfig config;
        const TransportOps *transport;
        Peer *peer; /* NULL once the account is gone */
        Link *link; /* NULL while there is none */
        Rd *rd;     /* the one followed last */
        Timer *timer;
        AwakeState state;
        bool wanted; /* an Update was asked for, to wake the server */
        unsigned n_holds;
        const unsigned *n_holds_all;
        uint64_t last_usec; /* last message */
        AwakeChanged changed;
        void *userdata;
};

static uint64_t awake_usec(const Awake *a) {
        return a->config.time_usec ?: AWAKE_TIME_DEFAULT_USEC;
}

static Presence presence(const Awake *a) {
        switch (a->state) {
        case AWAKE_ALWAYS:
        case AWAKE_UP:
                return PRESENCE_AWAKE;
        case AWAKE_ASLEEP:
        case AWAKE_WAKING:
                return PRESENCE_ASLEEP;
        case AWAKE_ABSENT:
        default:
                return PRESENCE_ABSENT;
        }
}

static void set_state(Awake *a, AwakeState state, uint64_t now_usec) {
        AwakeState before = a->state;

        if (state == before)
                return;
        a->state = state;
        a->wanted = false;
        if (state == AWAKE_UP)
                timer_arm(a->timer, a->last_usec + awake_usec(a));
        else
                timer_disarm(a->timer);
        if (a->peer)
                peer_set_presence(a->peer, presence(a));
        a->changed(a->userdata, before, now_usec);
}

static void stay_up(Awake *a, uint64_t now_usec) {
        a->last_usec = now_usec;
        set_state(a, AWAKE_UP, now_usec);
        if (timer_due(a->timer) == USEC_INFINITY)
                timer_arm(a->timer, now_usec + awake_usec(a));
}

/* --- to sleep --- */

static void go_to_sleep(Awake *a, uint64_t now_usec) {
        bool deaf = a->config.socket != QUEUE_SOCKET_LISTEN;

        if (a->transport->sleep(a->link, deaf, now_usec) < 0) {
                timer_arm(a->timer, now_usec + LOOK_AGAIN_USEC);
                return;
        }
        if (a->config.socket == QUEUE_SOCKET_CLOSE && rd_input(a->rd, RD_SLEEP, now_usec) < 0) {
                a->transport->wake(a->link);
                timer_arm(a->timer, now_usec + LOOK_AGAIN_USEC);
                return;
        }
        set_state(a, AWAKE_ASLEEP, now_usec);
}

/* Until when something keeps us awake; 0: nothing. */
static uint64_t busy_until(const Awake *a, uint64_t now_usec) {
        uint64_t next = rd_next_usec(a->rd);

        /* Sleeping for a moment would only cost: what is about to change becomes one Update. */
        if (next <= now_usec + RD_COALESCE_USEC)
                return MAX(next, now_usec) + 1;
        return a->transport->busy_until(a->link, now_usec);
}

static void on_timer(void *userdata, uint64_t now_usec) {
        Awake *a = userdata;
        uint64_t due = a->last_usec + awake_usec(a), busy;

        if (now_usec < due) {
                timer_arm(a->timer, due);
                return;
        }
        if (!a->link || a->n_holds > 0 || *a->n_holds_all > 0)
                return; /* the end of the last hold comes back here */
        busy = busy_until(a, now_usec);
        if (busy > now_usec)
                timer_arm(a->timer, busy); /* USEC_INFINITY: its end is activity */
        else
                go_to_sleep(a, now_usec);
}

/* --- and up again --- */

static void wake_link(Awake *a) {
        if (a->link)
                a->transport->wake(a->link);
}

void awake_contact(Awake *a, uint64_t now_usec) {
        if (a->state != AWAKE_ASLEEP)
                return;
        wake_link(a);
        set_state(a, AWAKE_WAKING, now_usec);
}

void awake_note_activity(Awake *a, uint64_t now_usec) {
        if (a->state == AWAKE_ASLEEP)
                wake_link(a);
        if (a->state == AWAKE_ASLEEP || a->state == AWAKE_UP)
                stay_up(a, now_usec);
}

/* PresenceWake. A lifetime that has passed needs a Register before anything else. */
static bool on_wanted(void *userdata, bool at_once, uint64_t now_usec) {
        Awake *a = userdata;

        if ((at_once || a->config.at_once) && a->config.socket != QUEUE_SOCKET_CLOSE && a->link &&
            rd_is_alive(a->rd, now_usec)) {
                awake_note_activity(a, now_usec);
                return true;
        }
        if (a->state == AWAKE_ASLEEP && !a->wanted) {
                a->wanted = true;
                (void) rd_input(a->rd, RD_UPDATE, now_usec);
        }
        return false;
}

void awake_follow(Awake *a, Rd *rd, bool queue, uint64_t now_usec) {
        a->rd = rd;
        switch ((int) rd_state(rd)) {
        case RD_REGISTERED:
                if (queue)
                        stay_up(a, now_usec);
                else
                        set_state(a, AWAKE_ALWAYS, now_usec);
                break;
        case RD_UPDATING: /* its answer decides */
                break;
        case RD_ASLEEP:
                set_state(a, AWAKE_ASLEEP, now_usec);
                break;
        case RD_CONNECTING: /* on the way back from its sleep a server does not count as lost */
                set_state(a, a->state == AWAKE_ASLEEP ? AWAKE_WAKING : AWAKE_ABSENT, now_usec);
                break;
        default:
                set_state(a, AWAKE_ABSENT, now_usec);
        }
}

/* --- holds --- */

void awake_look(Awake *a, uint64_t now_usec) {
        if (a->state == AWAKE_UP)
                stay_up(a, now_usec);
}

void awake_hold(Awake *a) {
        a->n_holds++;
}

void awake_release(Awake *a, uint64_t now_usec) {
        if (a->n_holds > 0 && --a->n_holds == 0)
                awake_look(a, now_usec);
}

/* --- life --- */

void awake_set_config(Awake *a, const AwakeConfig *config) {
        a->config = *config;
        if (a->state == AWAKE_UP)
                timer_arm(a->timer, a->last_usec + awake_usec(a));
}

void awake_set_link(Awake *a, Link *link) {
        a->link = link;
}

void awake_forget_peer(Awake *a) {
        if (a->peer)
                peer_set_waker(a->peer, NULL, NULL);
        a->peer = NULL;
}

Awake *awake_new(TimerQueue *timers, const TransportOps *transport, Peer *peer,
                 const unsigned *n_holds_all, AwakeChanged changed, void *userdata) {
        Awake *a = g_new0(Awake, 1);

        a->transport = transport;
        a->peer = peer;
        a->n_holds_all = n_holds_all;
        a->changed = changed;
        a->userdata = userdata;
        a->timer = timer_new(timers, on_timer, a);
        peer_set_waker(peer, on_wanted, a);
        peer_set_presence(peer, PRESENCE_ABSENT);
        return a;
}

Awake *awake_free(Awake *a) {
        if (!a)
                return NULL;
        awake_forget_peer(a);
        timer_free(a->timer);
        g_free(a);
        return NULL;
}

AwakeState awake_state(const Awake *a) {
        return a->state;
}

const char *awake_text(const Awake *a) {
        switch (a->state) {
        case AWAKE_UP:
        case AWAKE_WAKING:
                return "awake";
        case AWAKE_ASLEEP:
                return "asleep";
        case AWAKE_ABSENT:
        case AWAKE_ALWAYS:
        default:
                return "none";
        }
}

const char *awake_socket_text(const Awake *a) {
        static const char *const texts[] = {
                [QUEUE_SOCKET_STOP_POLLING] = "stop-polling",
                [QUEUE_SOCKET_LISTEN] = "listen",
                [QUEUE_SOCKET_CLOSE] = "close",
        };

        return texts[a->config.socket];
}
