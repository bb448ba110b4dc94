/* SPDX-License-Identifier: Apache-2.0 */
/* What the bytes of a connection are: signals, requests and answers. */
#include <string.h>

#include "coap/call.h"
#include "coap/exchange.h"
#include "coap/sleep.h"
#include "coap/tcp.h"

static void take_message(Link *l, Packet *p, uint64_t now_usec) {
        link_wake(l); /* a signal, as a late Pong, does not */
        l->active = l->tcp->worked = true;
        l->tcp->blocks |= p->has_block1 || p->has_block2;
        if (p->code < CODE(1, 0)) {
                if (p->code > METHOD_IPATCH)
                        p->refusal = CODE(4, 5);
                exchange_receive(l, p, now_usec);
        } else if (p->code >= CODE(2, 0) && p->code < CODE(6, 0))
                (void) call_receive(l, p, now_usec);
}

/* Of a message above what our CSM allows nothing is kept but who it is from. */
static void refuse_large(Link *l, const FrameHead *h, const uint8_t *frame, uint64_t now_usec) {
        Packet p;

        packet_begin_stream(&p, h->code, frame + h->n_head, h->n_token);
        packet_end(&p, NULL, 0);
        p.refusal = CODE(4, 13);
        take_message(l, &p, now_usec);
}

/* The server is there: no need to ask for a while. */
static void put_off_ping(Link *l, uint64_t now_usec) {
        Tcp *t = l->tcp;

        if (timer_due(t->ping) != USEC_INFINITY)
                timer_arm(t->ping, now_usec + l->transport->config.ping_usec);
}

static void take_frame(Link *l, const FrameHead *h, const uint8_t *frame, uint64_t now_usec) {
        Packet p;

        put_off_ping(l, now_usec);
        if (h->code >= CODE(7, 0)) {
                tcp_take_signal(l, h, frame);
                return;
        }
        if (h->code == 0)
                return;
        if (frame_parse(frame, h, &p) < 0)
                tcp_abort(l, "broken options");
        else
                take_message(l, &p, now_usec);
}

/* The first message is the CSM; what comes before it comes from no CoAP server. */
static bool open_by(Link *l, const FrameHead *h, uint64_t now_usec) {
        Tcp *t = l->tcp;

        if (h->code == 0)
                return true;
        if (h->code != SIGNAL_CSM) {
                if (h->code == SIGNAL_ABORT)
                        return true;
                tcp_abort(l, "the first message is no CSM");
                return false;
        }
        t->open = true;
        timer_disarm(t->deadline);
        if (l->transport->config.ping_usec > 0)
                timer_arm(t->ping, now_usec + l->transport->config.ping_usec);
        return true;
}

/* Who has said nothing sensible yet gets no room for much. */
static size_t message_max(const Link *l) {
        return l->tcp->open ? l->transport->config.message_max : TCP_IN_SIZE;
}

/* A message above that; of one that may be passed over, as much as there is of its head. */
static size_t take_large(Link *l, const FrameHead *h, const uint8_t *frame, size_t n,
                         uint64_t now_usec) {
        if (!l->tcp->open || h->code >= CODE(7, 0) || h->n_body > l->transport->config.body_max) {
                tcp_abort(l, "message too large");
                return 0;
        }
        if (n < (size_t) h->n_head + h->n_token)
                return 0;
        l->tcp->skip = h->n_body;
        refuse_large(l, h, frame, now_usec);
        return (size_t) h->n_head + h->n_token;
}

/* Grows for a message that is larger than the usual, and shrinks when they are usual again. */
static void make_room(Tcp *t, size_t n) {
        n = MAX(n, TCP_IN_SIZE);
        if (n == t->in_size || (n < t->in_size && t->n_in > 0))
                return;
        t->in = g_realloc(t->in, n);
        t->in_size = n;
}

/* How many bytes at frame are done with; 0: more are needed, or the connection is over. */
static size_t take_one(Link *l, const uint8_t *frame, size_t n, uint64_t now_usec) {
        Tcp *t = l->tcp;
        bool was_open = t->open;
        FrameHead h;
        int r;

        r = frame_head(frame, n, &h);
        if (r < 0)
                tcp_abort(l, "reserved token length");
        if (r <= 0)
                return 0;
        if (frame_size(&h) > message_max(l))
                return take_large(l, &h, frame, n, now_usec);
        t->wanted = (size_t) frame_size(&h);
        if (n < t->wanted || (!t->open && !open_by(l, &h, now_usec)))
                return 0;
        take_frame(l, &h, frame, now_usec);
        if (t->open && !was_open && t->error == 0 && l->events.up)
                l->events.up(l->owner, now_usec);
        return (size_t) frame_size(&h);
}

bool tcp_may_take(const Link *l) {
        return !l->closed && l->tcp->error == 0 && tcp_n_waiting(l->tcp) <= TCP_OUT_PAUSE;
}

void tcp_take_all(Link *l, uint64_t now_usec) {
        Tcp *t = l->tcp;
        size_t at = 0, n = 1;

        while (tcp_may_take(l) && n > 0 && at < t->n_in) {
                if (t->skip > 0) {
                        n = (size_t) MIN(t->skip, t->n_in - at);
                        t->skip -= n;
                } else
                        n = take_one(l, t->in + at, t->n_in - at, now_usec);
                at += n;
        }
        t->n_in -= at;
        memmove(t->in, t->in + at, t->n_in);
        if (at > 0)
                timer_disarm(t->rest);
        if (t->error == 0 && (t->n_in > 0 || t->skip > 0) && timer_due(t->rest) == USEC_INFINITY)
                timer_arm(t->rest, now_usec + tcp_patience(l));
        make_room(t, t->wanted);
}
