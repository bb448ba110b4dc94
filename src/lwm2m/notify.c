/* SPDX-License-Identifier: Apache-2.0 */
/* When a notification is due and how it gets out: the second half of observe.h. */
#include <errno.h>
#include <string.h>

#include "lwm2m/code.h"
#include "lwm2m/notify_body.h"
#include "util/log.h"

/* --- when --- */
void notify_queue(Observation *o) {
        Observer *s = o->observer;

        if (o->queued)
                return;
        o->queued = true;
        g_queue_push_tail_link(&s->queue, &o->queue_node);
        if (s->n_suspended == 0)
                timer_arm(s->flush, 0);
}

void notify_mark(Observation *o, bool urgent) {
        o->changed = true;
        o->urgent = o->urgent || urgent;
        notify_queue(o);
}

static void refresh(Observation *o) {
        Attrs a;

        if (!o->stale)
                return;
        o->stale = false;
        observation_effective(o, &a);
        o->pmin_usec = attrs_has(&a, ATTR_PMIN) ? (uint64_t) a.value[ATTR_PMIN] * USEC_PER_SEC : 0;
        o->pmax_usec = attrs_has(&a, ATTR_PMAX) ? (uint64_t) a.value[ATTR_PMAX] * USEC_PER_SEC : 0;
        if (o->pmax_usec < o->pmin_usec) /* such a pmax is ignored: section 5.1.2 */
                o->pmax_usec = 0;
}

static uint64_t due(Observation *o) {
        uint64_t t = USEC_INFINITY;

        refresh(o);
        if (o->changed)
                t = o->urgent || o->pmin_usec == 0 ? 0 : o->last_usec + o->pmin_usec;
        if (o->pmax_usec > 0)
                t = MIN(t, o->last_usec + o->pmax_usec);
        return t;
}

static void on_timer(void *userdata, uint64_t now_usec) {
        Observation *o = userdata;

        if (o->observer->n_suspended > 0)
                notify_queue(o);
        else
                notify_process(o, now_usec);
}

static void set_timer(Observation *o, uint64_t due_usec) {
        if (!o->timer && due_usec == USEC_INFINITY)
                return;
        if (!o->timer)
                o->timer = timer_new(o->observer->dm->config.timers, on_timer, o);
        timer_arm(o->timer, due_usec);
}

/* --- sending --- */
static void on_sent(void *userdata, int error, uint64_t now_usec) {
        Observation *o = userdata;

        o->call = NULL;
        switch (error) {
        case 0:
                notify_body_settled(o, true);
                observe_event(o, "notify-acked", "");
                notify_process(o, now_usec);
                break;
        case -ETIMEDOUT:
                observe_event(o, "notify-timeout", "");
                observation_end(o, "notification timed out");
                break;
        case -ECONNRESET:
                observation_end(o, "rejected by the server");
                break;
        default: /* the way is broken, not the observation: the value waits for a link or for the
                    next change */
                o->changed = true;
                notify_body_settled(o, false);
        }
}

static void on_last_sent(void *userdata, int error, uint64_t now_usec) {
}

/* False: it stays due until the server is awake (presence.h). */
static bool may_send(Observation *o, uint64_t now_usec) {
        if (peer_may_send(o->peer, false, now_usec))
                return true;
        o->changed = o->urgent = true; /* due now, hence also when it is let go */
        return false;
}

/* What is observed is gone: tells so and ends (RFC 7641, section 4.2). */
static void send_end(Observation *o, int error, uint64_t now_usec) {
        const TransportOps *transport = o->observer->dm->config.transport;
        Message m = MESSAGE_INIT(code_from_errno(error));
        Call *call;

        if (!may_send(o, now_usec))
                return;
        m.token = o->token;
        transport->notify(o->peer->link, &m, on_last_sent, NULL, &call);
        observation_end(o, error == -ENOENT ? "observed path is gone"
                                            : "observed path cannot be read");
}

static bool is_news(const Observation *o, GBytes *payload, uint64_t now_usec) {
        if (o->pmax_usec > 0 && now_usec >= o->last_usec + o->pmax_usec)
                return true;
        return !o->last_payload || !g_bytes_equal(o->last_payload, payload);
}

static void send_payload(Observation *o, GBytes *payload, uint64_t now_usec) {
        const TransportOps *transport = o->observer->dm->config.transport;
        Message m = MESSAGE_INIT(CODE(2, 5));
        int r;

        if (!is_news(o, payload, now_usec)) {
                set_timer(o, due(o));
                return;
        }
        if (!may_send(o, now_usec))
                return;
        m.token = o->token;
        m.format = o->target.format;
        m.payload = payload;
        m.observe = (int) (++o->sequence & OBSERVE_MASK);
        o->last_usec = now_usec;
        r = transport->notify(o->peer->link, &m, on_sent, o, &o->call);
        if (r < 0) {
                log_full(LOG_LEVEL_DEBUG, r,
                         &(LogFields){ .ssid = o->peer->ssid,
                                       .path = PATH_TEXT(&o->target.paths[0]) },
                         "Cannot send a notification, waiting for the next change: %m");
                o->call = NULL;
                o->changed = true;
                return;
        }
        o->last_sent_usec = now_usec;
        o->n_sent++;
        g_clear_pointer(&o->last_payload, g_bytes_unref);
        if (g_bytes_get_size(payload) <= LAST_PAYLOAD_MAX)
                o->last_payload = g_bytes_ref(payload);
}

static void send_result(Observation *o, const ReadResult *result, uint64_t now_usec) {
        g_autoptr(GBytes) payload = NULL;
        int r;

        r = notify_body_make(o, result, &payload);
        if (r < 0)
                log_full(LOG_LEVEL_WARNING, r,
                         &(LogFields){ .ssid = o->peer->ssid,
                                       .path = PATH_TEXT(&o->target.paths[0]) },
                         "Cannot encode a notification: %m");
        else
                send_payload(o, payload, now_usec);
}

static bool is_final(int error) {
        return error == -ENOENT || error == -EPERM || error == -EACCES;
}

void notify_on_answers(Operation *op, void *state, int error, const char *text,
                       const RecordList *records, uint64_t now_usec) {
        g_auto(ReadResult) result = { .v = NULL };
        Observation *o = state;
        int r = error;

        o->asking = NULL;
        operation_free(op);
        if (r == 0)
                r = read_collect_answered(o->observer->dm, &o->target, records, &result);
        if (!peer_is_there(o->peer) || o->observer->n_suspended > 0) {
                notify_mark(o, false); /* asks again when it may be sent */
                return;
        }
        if (r == 0)
                send_result(o, &result, now_usec);
        else if (error == 0 && is_final(r)) {
                send_end(o, r, now_usec);
                return;
        } else
                o->last_usec =
                        now_usec; /* the application is asked again at the next change or pmax */
        if (!o->call)
                set_timer(o, due(o));
}

static void ask_apps(Observation *o, const GArray *ask) {
        Dm *dm = o->observer->dm;
        const AppContext context = { .ssid = o->peer->ssid };

        o->asking = operation_new_silent(dm, o->peer, notify_on_answers, o);
        operation_wait(o->asking,
                       dm->config.apps->read(dm->config.apps_userdata,
                                             (const Path *) (const void *) ask->data, ask->len,
                                             &context, operation_done, o->asking));
}

static void send_now(Observation *o, uint64_t now_usec) {
        g_autoptr(GArray) ask = NULL;
        g_auto(ReadResult) result = { .v = NULL };
        g_autoptr(GBytes) payload = NULL;
        Dm *dm = o->observer->dm;
        GBytes *shared = notify_body_shared(o);
        int r;

        o->changed = o->urgent = false; /* a change from here on is a new one */
        if (shared) {
                send_payload(o, shared, now_usec);
                return;
        }
        ask = g_array_new(FALSE, FALSE, sizeof(Path));
        r = read_collect(dm, &o->target, NULL, &result, ask);
        if (r == 0 && ask->len > 0) {
                ask_apps(o, ask);
                return;
        }
        if (r == 0)
                r = notify_body_make(o, &result, &payload);
        if (r == 0)
                send_payload(o, payload, now_usec);
        else if (is_final(r))
                send_end(o, r, now_usec);
        else {
                log_full(LOG_LEVEL_WARNING, r,
                         &(LogFields){ .ssid = o->peer->ssid,
                                       .path = PATH_TEXT(&o->target.paths[0]) },
                         "Cannot read for a notification: %m");
                o->last_usec = now_usec;
                set_timer(o, due(o));
        }
}

void notify_process(Observation *o, uint64_t now_usec) {
        uint64_t due_usec;

        if (!o->established || !peer_is_there(o->peer) || o->call || o->asking)
                return; /* whoever ends that comes back here */
        due_usec = due(o);
        if (due_usec <= now_usec)
                send_now(o, now_usec);
        else
                set_timer(o, due_usec);
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

                g_queue_unlink(&s->queue, &o->queue_node);
                o->queued = false;
                notify_process(o, now_usec);
        }
        notify_bodies_end(s);
        if (!g_queue_is_empty(&s->queue))
                timer_arm(s->flush, 0);
}
