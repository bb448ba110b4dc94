/* SPDX-License-Identifier: Apache-2.0 */
#include "lwm2m/send/send_queue.h"

#include <errno.h>
#include <string.h>

#include "lwm2m/account/account.h"
#include "util/log.h"

#define TRIES 2       /* of a request that a server which answers Updates leaves unanswered */
#define TEXT_MAX 240U /* bytes of a server's diagnostic that are kept */

struct SendTask {
        SendQueue *queue;
        SendSource *source;
        size_t n_body, size; /* records in the body that is on its way, and its bytes */
        size_t bytes_max;
        uint64_t deadline_usec;
        unsigned n_unanswered;
        bool now, unknown; /* unknown: was answered 4.04 already */
        SendTaskDone done;
        void *userdata;
        GList node;
};

struct SendQueue {
        Peer *peer;
        GQueue tasks; /* of SendTask */
        size_t bytes;
        Call *call;
        SendTask *sent; /* what call carries */
        bool doubt;     /* waits until the server has answered an Update */
        bool look;      /* the timer is armed for now */
        Timer *timer;
};

const char *send_result_name(SendResult r) {
        static const char *const names[] = {
                [SEND_ACKED] = "acked",
                [SEND_MUTED] = "muted",
                [SEND_NOT_SUPPORTED] = "not-supported",
                [SEND_NOT_REGISTERED] = "not-registered",
                [SEND_TIMEOUT] = "timeout",
                [SEND_REFUSED] = "refused",
                [SEND_DENIED] = "denied",
                [SEND_FULL] = "full",
                [SEND_GONE] = "gone",
                [SEND_FAILED] = "failed",
        };

        return names[r];
}

/* --- ends --- */
static const TransportOps *transport(const SendQueue *q) {
        return q->peer->dm->config.transport;
}

static void call_back(SendQueue *q) {
        if (q->call)
                transport(q)->cancel(q->call);
        q->call = NULL;
        q->sent = NULL;
}

static void forget(SendTask *t) {
        SendQueue *q = t->queue;

        if (q->sent == t)
                call_back(q);
        g_queue_unlink(&q->tasks, &t->node);
        q->bytes -= send_source_content(t->source)->size;
        send_source_free(t->source);
        g_free(t);
}

static void finish(SendTask *t, SendResult result, uint8_t code, const char *text,
                   uint64_t now_usec) {
        const SendTaskDone done = t->done;
        void *userdata = t->userdata;

        log_with(result == SEND_ACKED ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO,
                 (&(LogFields){ .ssid = t->queue->peer->ssid }), "Send: %s%s%s",
                 send_result_name(result), text && *text ? ": " : "", text ? text : "");
        forget(t);
        done(userdata, result, code, text, now_usec);
}

void send_task_drop(SendTask *t) {
        SendQueue *q = t->queue;

        forget(t);
        send_queue_look(q);
}

/* --- what came of a request --- */

/* Asks for an Update: its answer tells whether the server is there and knows us. */
static void doubt(SendQueue *q, uint64_t now_usec) {
        dm_doubt(q->peer->dm, q->peer->ssid, now_usec);
        q->doubt = true; /* after it: what has happened by now is no answer */
}

static void on_no_answer(SendQueue *q, SendTask *t, int error, uint64_t now_usec) {
        log_full(LOG_LEVEL_INFO, error, &(LogFields){ .ssid = q->peer->ssid },
                 "No answer to a Send: %m");
        if (error == -EMSGSIZE || error == -EPROTO) {
                finish(t, SEND_FAILED, 0, g_strerror(-error), now_usec);
                return;
        }
        if (++t->n_unanswered >= TRIES)
                finish(t, SEND_TIMEOUT, 0, g_strerror(-error), now_usec);
        doubt(q, now_usec);
}

/* The server takes less at a time. */
static bool shrink(SendTask *t) {
        if (t->n_body < 2)
                return false;
        t->bytes_max = t->size / 2;
        return true;
}

static char *diagnostic(const Message *response) {
        gsize n = 0;
        const char *data = response->payload ? g_bytes_get_data(response->payload, &n) : NULL;
        g_autofree char *text = data ? g_strndup(data, MIN(n, TEXT_MAX)) : NULL;

        return text ? g_utf8_make_valid(text, -1) : NULL;
}

static void on_refusal(SendQueue *q, SendTask *t, const Message *response, uint64_t now_usec) {
        g_autofree char *text = diagnostic(response);

        if (response->code == CODE(4, 13) && shrink(t))
                return;
        /* It does not know our registration: an Update finds out, and registers anew if so. */
        if (response->code == CODE(4, 4) && !t->unknown) {
                t->unknown = true;
                doubt(q, now_usec);
                return;
        }
        finish(t, SEND_REFUSED, response->code, text, now_usec);
}

static void on_response(void *userdata, int error, const Message *response, uint64_t now_usec) {
        SendQueue *q = userdata;
        SendTask *t = q->sent;

        q->call = NULL;
        q->sent = NULL;
        if (error < 0)
                on_no_answer(q, t, error, now_usec);
        else if (response->code >> 5 != 2)
                on_refusal(q, t, response, now_usec);
        else {
                t->n_unanswered = 0;
                if (send_source_acknowledge(t->source))
                        finish(t, SEND_ACKED, response->code, NULL, now_usec);
        }
        send_queue_look(q);
}

/* --- out --- */
/* 0: it is on its way, or waits; otherwise t ended and the next may go. */
static int transmit(SendQueue *q, SendTask *t, uint64_t now_usec) {
        static const char *const path[] = { "dp", NULL };
        Message m = MESSAGE_INIT(METHOD_POST);
        g_autoptr(GBytes) body = NULL;
        int r;

        r = send_source_make(t->source, t->bytes_max, &body, &t->n_body);
        if (r == -ENODATA) { /* the server has all there was in the caches */
                finish(t, SEND_ACKED, 0, NULL, now_usec);
                return r;
        }
        if (r >= 0) {
                t->size = g_bytes_get_size(body);
                m.path = path;
                m.format = (int) send_source_content(t->source)->format;
                m.payload = body;
                r = transport(q)->request(q->peer->link, &m, on_response, q, &q->call);
        }
        if (r == -ENOTCONN)
                return 0; /* the link's fate will be told */
        if (r < 0) {
                finish(t, SEND_FAILED, 0, g_strerror(-r), now_usec);
                return r;
        }
        q->sent = t;
        return 0;
}

static int check(SendQueue *q, SendTask *t, uint64_t now_usec) {
        const Version v = q->peer->version;

        if (account_is_muted(q->peer->dm->tree, q->peer->ssid)) {
                finish(t, SEND_MUTED, 0, NULL, now_usec);
                return -EPERM;
        }
        if (!version_reaches(v, 1, 1) ||
            (send_source_content(t->source)->format == FORMAT_LWM2M_CBOR &&
             !version_reaches(v, 1, 2))) {
                finish(t, SEND_NOT_SUPPORTED, 0, NULL, now_usec);
                return -ENOTSUP;
        }
        return 0;
}

static SendTask *next_task(const SendQueue *q) {
        if (q->peer->presence == PRESENCE_ASLEEP)
                for (GList *i = q->tasks.head; i; i = i->next)
                        if (((SendTask *) i->data)->now)
                                return i->data;
        return q->tasks.head ? q->tasks.head->data : NULL;
}

/* The one whose turn it is; NULL if all wait. */
static SendTask *choose(SendQueue *q, uint64_t now_usec) {
        SendTask *t = next_task(q);

        if (!t || q->call || q->doubt || dm_is_suspended(q->peer->dm))
                return NULL;
        return peer_may_send(q->peer, t->now, now_usec) ? t : NULL;
}

static void expire(SendQueue *q, uint64_t now_usec) {
        GList *i = q->tasks.head;

        while (i) {
                SendTask *t = i->data;

                i = i->next;
                if (t->deadline_usec <= now_usec)
                        finish(t, SEND_TIMEOUT, 0, "its time is over", now_usec);
        }
}

static void arm(SendQueue *q) {
        uint64_t due = USEC_INFINITY;

        if (q->look)
                return;
        for (GList *i = q->tasks.head; i; i = i->next)
                due = MIN(due, ((SendTask *) i->data)->deadline_usec);
        timer_arm(q->timer, due);
}

static void on_timer(void *userdata, uint64_t now_usec) {
        SendQueue *q = userdata;
        SendTask *t;

        q->look = false;
        expire(q, now_usec);
        while ((t = choose(q, now_usec)))
                if (check(q, t, now_usec) == 0 && transmit(q, t, now_usec) == 0)
                        break;
        arm(q);
}

/* --- what is asked from outside --- */
SendQueue *send_queue_new(Peer *peer) {
        SendQueue *q = g_new0(SendQueue, 1);

        q->peer = peer;
        q->timer = timer_new(peer->dm->config.timers, on_timer, q);
        return q;
}

SendQueue *send_queue_free(SendQueue *q) {
        if (!q)
                return NULL;
        while (q->tasks.head)
                finish(q->tasks.head->data, SEND_GONE, 0, NULL, 0);
        timer_free(q->timer);
        g_free(q);
        return NULL;
}

bool send_queue_has_room(const SendQueue *q, size_t bytes) {
        const DmConfig *c = &q->peer->dm->config;

        return q->tasks.length < c->sends_max && bytes <= c->send_bytes_max &&
               q->bytes <= c->send_bytes_max - bytes;
}

int send_queue_add(SendQueue *q, SendContent *content, bool now, uint64_t deadline_usec,
                   SendTaskDone done, void *userdata, SendTask **ret) {
        SendTask *t;

        if (!send_queue_has_room(q, content->size))
                return -EDQUOT;
        t = g_new(SendTask, 1);
        *t = (SendTask){
                .queue = q,
                .source = send_source_new(q->peer->dm, q->peer->ssid, content),
                .bytes_max = q->peer->dm->config.send_body_max,
                .deadline_usec = deadline_usec,
                .now = now,
                .done = done,
                .userdata = userdata,
        };
        t->node.data = t;
        g_queue_push_tail_link(&q->tasks, &t->node);
        q->bytes += content->size;
        send_queue_look(q);
        *ret = t;
        return 0;
}

void send_queue_look(SendQueue *q) {
        q->look = true;
        timer_arm(q->timer, 0);
}

/* The old link is about to be closed: what it carries is lost with it, and goes again. */
void send_queue_link_changed(SendQueue *q) {
        call_back(q);
        send_queue_look(q);
}

/* What an outage leaves unanswered is not held against it. */
void send_queue_presence_changed(SendQueue *q) {
        if (q->peer->presence == PRESENCE_ABSENT)
                for (GList *i = q->tasks.head; i; i = i->next)
                        ((SendTask *) i->data)->n_unanswered = 0;
        send_queue_look(q);
}

void send_queue_confirmed(SendQueue *q) {
        q->doubt = false;
        send_queue_look(q);
}

size_t send_queue_length(const SendQueue *q) {
        return q->tasks.length;
}
