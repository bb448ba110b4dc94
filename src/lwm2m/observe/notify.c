/* SPDX-License-Identifier: Apache-2.0 */
/* When a notification is due and how it gets out: part of observation.h. */
#include <errno.h>
#include <string.h>

#include "lwm2m/observe/backlog.h"
#include "lwm2m/code.h"
#include "lwm2m/observe/evaluate.h"
#include "lwm2m/observe/judge.h"
#include "lwm2m/observe/notify_body.h"
#include "util/log.h"

/* One confirmable notification of a server is on its way at a time (NSTART, RFC 7252, section 4.7).
 * More in the transport's queue would only grow old there: what waits here is read when it goes. */
#define ON_WAY_MAX 1

/* After a notification could not be handed to the network, or read. */
#define RETRY_USEC (30 * USEC_PER_SEC)

/* RFC 7641, section 4.5: at least every 24 hours a notification has to be confirmable, so that an
 * observer that went away is found. */
#define CONFIRM_USEC (24 * 3600 * USEC_PER_SEC)

/* --- when --- */
static void unqueue(Observation *o) {
        if (o->in)
                g_queue_unlink(o->in, &o->queue_node);
        o->in = NULL;
}

static void push(Observation *o, GQueue *queue) {
        unqueue(o);
        o->in = queue;
        g_queue_push_tail_link(queue, &o->queue_node);
}

void notify_queue(Observation *o) {
        Observer *s = o->observer;

        if (o->in == &s->queue)
                return;
        push(o, &s->queue);
        if (s->n_suspended == 0)
                timer_arm(s->flush, 0);
}

static bool trigger(Observation *o, size_t i) {
        if (o->path_states[i].triggered)
                return false;
        o->path_states[i].triggered = o->stale_pmin = true;
        return true;
}

/* Whether one of the paths was not triggered yet. */
static bool trigger_paths(Observation *o, const Path *path, bool below) {
        bool any = false;

        for (size_t i = 0; o->path_states && i < o->target.n; i++) {
                const Path *p = &o->target.paths[i];

                if (!path || path_covers(p, path) || (below && path_covers(path, p)))
                        any = trigger(o, i) || any;
        }
        return any;
}

void notify_mark(Observation *o, Pending pending, const Path *path, bool below) {
        const Pending former = o->pending;

        if (pending == PENDING_NONE)
                return;
        o->pending = MAX(former, pending);
        /* What pends already has its timer, its place in a queue, or waits for what is under
         * way. */
        if (!trigger_paths(o, path, below) && former >= pending)
                return;
        if (o->in != &o->peer->ready)
                notify_queue(o);
}

static uint64_t due(Observation *o) {
        observation_refresh(o);
        return timing_due(&o->periods, &o->moments, o->pending, o->elsewhere);
}

static void on_timer(void *userdata, uint64_t now_usec) {
        notify_process(userdata, now_usec);
}

static void set_timer(Observation *o) {
        const uint64_t due_usec = due(o);

        if (!o->timer && due_usec == USEC_INFINITY)
                return;
        if (!o->timer)
                o->timer = timer_new(o->observer->dm->config.timers, on_timer, o);
        timer_arm(o->timer, due_usec);
}

/* Nothing pends but what happened since the values were asked for. */
static void settle(Observation *o) {
        if (o->pending != PENDING_NONE)
                return;
        for (size_t i = 0; o->path_states && i < o->target.n; i++)
                o->path_states[i].triggered = false;
        o->stale_pmin = o->path_states != NULL;
}

static void retry_later(Observation *o, uint64_t now_usec) {
        o->moments.retry_usec = now_usec + RETRY_USEC;
        set_timer(o);
}

/* --- sending --- */
static bool is_confirmable(const Observation *o, uint64_t now_usec) {
        const bool wanted =
                o->confirmable >= 0 ? o->confirmable > 0 : !o->observer->dm->config.non_confirmable;

        return wanted || notify_body_has_samples(o) ||
               now_usec - o->last_confirmed_usec >= CONFIRM_USEC;
}

/* Another one is on its way to the server. An answer of applications that has come meanwhile is
 * sent nevertheless: they would have to be asked once more. */
static bool must_wait(Observation *o, uint64_t now_usec) {
        return o->peer->n_on_way >= ON_WAY_MAX && !backlog_takes(o) && is_confirmable(o, now_usec);
}

static void call_over(Observation *o) {
        o->call = NULL;
        if (o->call_confirmable)
                o->peer->n_on_way--;
        o->call_confirmable = false;
}

/* The way is free: for who waits longest. */
static void send_ready(Peer *p, uint64_t now_usec) {
        while (p->n_on_way < ON_WAY_MAX && !g_queue_is_empty(&p->ready)) {
                Observation *o = g_queue_peek_head(&p->ready);

                unqueue(o);
                notify_process(o, now_usec);
        }
        backlog_kick(p->backlog);
}

void notify_lost(Observation *o) {
        notify_body_settled(o, false);
        o->pending = PENDING_NEWS;
        trigger_paths(o, NULL, true);
}

static void on_sent(void *userdata, int error, uint64_t now_usec) {
        Observation *o = userdata;
        const bool confirmable = o->call_confirmable;
        Peer *peer = o->peer;

        call_over(o);
        switch (error) {
        case 0:
                notify_body_settled(o, true);
                if (confirmable) {
                        backlog_note_sent(peer->backlog, o, NULL);
                        observe_event(o, "notify-acked", "");
                }
                notify_process(o, now_usec);
                break;
        case -ETIMEDOUT:
                observe_event(o, "notify-timeout", "");
                if (!backlog_take_back(peer->backlog, o, error, now_usec))
                        observation_end(o, "notification timed out");
                break;
        case -ECONNRESET:
                observation_end(o, "rejected by the server");
                break;
        default: /* the way is broken, not the observation */
                if (backlog_take_back(peer->backlog, o, error, now_usec))
                        break;
                notify_lost(o);
                retry_later(o, now_usec);
        }
        send_ready(peer, now_usec);
}

void notify_withdraw(Observation *o) {
        Observer *s = o->observer;

        unqueue(o);
        if (!o->call)
                return;
        s->dm->config.transport->cancel(o->call);
        call_over(o);
        s->withdrawn = true;
        if (s->n_suspended == 0)
                timer_arm(s->flush, 0);
}

/* Nobody hears of what was withdrawn: those that waited for it are let go here. */
static void send_all_ready(Observer *s, uint64_t now_usec) {
        if (!s->withdrawn)
                return;
        s->withdrawn = false;
        for (GList *i = s->dm->peers.head; i; i = i->next)
                send_ready(i->data, now_usec);
}

static void on_last_sent(void *userdata, int error, uint64_t now_usec) {
}

/* What is observed is gone: tells so and ends (RFC 7641, section 4.2). */
static void send_end(Observation *o, int error, uint64_t now_usec) {
        const TransportOps *transport = o->observer->dm->config.transport;
        Message m = MESSAGE_INIT(code_from_errno(error));
        Call *call;

        if (!peer_may_send(o->peer, false, now_usec))
                return; /* due again when the server is awake */
        m.token = o->token;
        transport->notify(o->peer->link, &m, on_last_sent, NULL, &call);
        observation_end(o, error == -ENOENT ? "observed path is gone"
                                            : "observed path cannot be read");
}

static int hand_over(Observation *o, const Body *body, uint64_t now_usec) {
        Message m = MESSAGE_INIT(CODE(2, 5));
        int r;

        m.confirmable = is_confirmable(o, now_usec);
        m.token = o->token;
        m.format = o->target.format;
        m.payload = body->payload;
        m.request_key = o->request_key;
        m.observe = notify_body_number(o);
        r = o->observer->dm->config.transport->notify(o->peer->link, &m, on_sent, o, &o->call);
        if (r < 0) {
                o->call = NULL;
                return r;
        }
        o->call_confirmable = m.confirmable;
        if (m.confirmable) {
                o->peer->n_on_way++;
                o->last_confirmed_usec = now_usec;
                backlog_note_sent(o->peer->backlog, o, body->payload);
        }
        o->moments.told_usec = now_usec;
        o->moments.retry_usec = 0;
        o->n_sent++;
        return 0;
}

static void fail(Observation *o, int error, const char *what, uint64_t now_usec) {
        log_full(LOG_LEVEL_DEBUG, error,
                 &(LogFields){ .ssid = o->peer->ssid, .path = PATH_TEXT(&o->target.paths[0]) },
                 "Cannot %s a notification, trying again later: %m", what);
        retry_later(o, now_usec);
}

static bool send_body(Observation *o, const Body *body, uint64_t now_usec) {
        int r;

        if (!peer_may_send(o->peer, false, now_usec))
                return false; /* stays due until the server is awake (presence.h) */
        r = hand_over(o, body, now_usec);
        if (r < 0)
                fail(o, r, "send", now_usec);
        return r == 0;
}

/* --- what there is to tell --- */
static bool is_news(const Observation *o, Pending pending, uint64_t digest, uint64_t now_usec) {
        return pending == PENDING_NEWS || timing_is_repeat(&o->periods, &o->moments, now_usec) ||
               (pending == PENDING_CHANGE && o->digest != digest);
}

/* Instead of sending it. */
static bool store(Observation *o, const ReadResult *result, uint64_t now_usec) {
        int r;

        r = backlog_store(o->peer->backlog, o, result, now_usec);
        if (r < 0) {
                fail(o, r, "store", now_usec);
                return false;
        }
        o->moments.told_usec = now_usec;
        judge_told(o, result);
        return true;
}

static bool tell(Observation *o, const ReadResult *result, uint64_t now_usec) {
        g_auto(Body) body = { .payload = NULL };
        int r;

        if (backlog_takes(o))
                return store(o, result, now_usec);
        r = notify_body_make(o, result, &body);
        if (r < 0) {
                fail(o, r, "encode", now_usec);
                return false;
        }
        if (!send_body(o, &body, now_usec))
                return false;
        judge_told(o, result);
        return true;
}

/* An evaluation for epmax does not know which path its news are of: the smallest pmin counts. */
static bool pending_path_unknown(const Observation *o) {
        for (size_t i = 0; i < o->target.n; i++)
                if (o->path_states[i].triggered)
                        return false;
        return true;
}

/* The values are known; pending says why they were looked at, o->pending what happened since. */
static void conclude(Observation *o, const ReadResult *result, Pending pending, uint64_t now_usec) {
        const Pending since = o->pending;

        o->elsewhere = result->elsewhere;
        o->moments.evaluated_usec = now_usec;
        o->moments.retry_usec = 0;
        if (o->elsewhere && pending != PENDING_NEWS)
                pending = MAX(pending, judge_result(o, result));
        if (!is_news(o, pending, judge_digest(result), now_usec)) {
                judge_seen(o, result);
                settle(o);
                set_timer(o);
                return;
        }
        o->pending = MAX(since, pending);
        if (o->path_states && pending_path_unknown(o))
                trigger_paths(o, NULL, true);
        observation_refresh(o);
        if (!timing_is_repeat(&o->periods, &o->moments, now_usec) &&
            !timing_may_tell(&o->periods, &o->moments, now_usec))
                set_timer(o); /* it was looked at within pmin, because of epmax */
        else if (tell(o, result, now_usec)) {
                o->pending = since;
                settle(o);
                if (!o->call)
                        set_timer(o); /* it was kept */
        }
}

/* Something of o may leave, or may be kept. */
static bool may_look(Observation *o) {
        return backlog_takes(o) || (peer_is_there(o->peer) && !backlog_is_first(o->peer->backlog));
}

static bool is_final(int error) {
        return error == -ENOENT || error == -EPERM || error == -EACCES;
}

/* After a restart what is observed may come later than we do. */
static void end_or_wait(Observation *o, int error, uint64_t now_usec) {
        if (!o->settling) {
                send_end(o, error, now_usec);
                return;
        }
        o->pending = PENDING_NONE;
        o->moments.told_usec = now_usec; /* not at once again because of pmax */
        settle(o);
        set_timer(o);
}

void notify_on_evaluated(Observation *o, int error, const RecordList *records, uint64_t now_usec) {
        g_auto(ReadResult) result = { .v = NULL };
        const Pending asked = o->asked;
        int r = error;

        if (r == 0)
                r = read_collect_answered(o->observer->dm, &o->target, records, &result);
        if (!may_look(o) || o->observer->n_suspended > 0) {
                o->pending = MAX(o->pending, asked); /* asks again when it may be sent */
                notify_queue(o);
        } else if (r == 0)
                conclude(o, &result, asked, now_usec);
        else if (error == 0 && is_final(r))
                end_or_wait(o, r, now_usec);
        else {
                o->pending = MAX(o->pending, asked);
                fail(o, r, "read for", now_usec);
        }
}

/* Somebody else's notification of the same values was made in this turn. */
static bool look_at_shared(Observation *o, uint64_t now_usec) {
        const Body *shared = o->conditioned || o->elsewhere || notify_body_has_samples(o)
                                     ? NULL
                                     : notify_body_shared(o);

        if (!shared || backlog_takes(o))
                return false;
        if (!is_news(o, o->pending, shared->digest, now_usec)) {
                o->pending = PENDING_NONE;
                set_timer(o);
        } else if (send_body(o, shared, now_usec)) {
                o->pending = PENDING_NONE;
                o->digest = shared->digest;
        }
        return true;
}

static void look(Observation *o, uint64_t now_usec) {
        g_autoptr(GArray) ask = NULL;
        g_auto(ReadResult) result = { .v = NULL };
        int r;

        if (look_at_shared(o, now_usec))
                return;
        ask = g_array_new(FALSE, FALSE, sizeof(Path));
        r = read_collect(o->observer->dm, &o->target, NULL, &result, ask);
        if (r == 0 && ask->len > 0)
                evaluate(o, ask, now_usec);
        else if (r == 0) {
                const Pending pending = o->pending;

                o->pending = PENDING_NONE;
                conclude(o, &result, pending, now_usec);
        } else if (is_final(r))
                end_or_wait(o, r, now_usec);
        else
                fail(o, r, "read for", now_usec);
}

/* Whether the path that was deleted is there no more. Not a matter of pmin: nothing can be told of
 * it. */
static bool is_gone(Observation *o, int *ret_error, uint64_t now_usec) {
        g_autoptr(GArray) ask = NULL;
        g_auto(ReadResult) result = { .v = NULL };

        if (!o->check_gone || now_usec < o->moments.retry_usec)
                return false;
        o->check_gone = false;
        ask = g_array_new(FALSE, FALSE, sizeof(Path));
        *ret_error = read_collect(o->observer->dm, &o->target, NULL, &result, ask);
        return is_final(*ret_error);
}

void notify_process(Observation *o, uint64_t now_usec) {
        int error;

        if (o->observer->n_suspended > 0) {
                notify_queue(o);
                return;
        }
        if (!o->established || !may_look(o) || o->call || o->evaluation)
                return; /* whoever ends that comes back here */
        if (is_gone(o, &error, now_usec)) {
                o->check_gone = true; /* still, if the end has to wait */
                send_end(o, error, now_usec);
        } else if (due(o) > now_usec)
                set_timer(o);
        else if (must_wait(o, now_usec))
                push(o, &o->peer->ready);
        else
                look(o, now_usec);
}

void notify_on_flush(void *userdata, uint64_t now_usec) {
        Observer *s = userdata;
        guint n = g_queue_get_length(&s->queue);

        if (s->n_suspended > 0)
                return;
        if (n > 1)
                notify_bodies_begin(s);
        /* Those queued meanwhile have their own turn. */
        for (; n > 0 && !g_queue_is_empty(&s->queue); n--) {
                Observation *o = g_queue_peek_head(&s->queue);

                unqueue(o);
                notify_process(o, now_usec);
        }
        send_all_ready(s, now_usec);
        notify_bodies_end(s);
        if (!g_queue_is_empty(&s->queue))
                timer_arm(s->flush, 0);
}
