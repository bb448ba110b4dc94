/* SPDX-License-Identifier: Apache-2.0 */
#include "coap/call.h"

#include <string.h>

#include "coap/call_internal.h"
#include "coap/fit.h"
#include "coap/link_io.h"
#include "coap/link_tcp.h"
#include "util/log.h"

/* --- calls --- */

Call *call_new(Link *l, CallKind kind, void *userdata) {
        Call *c = g_new0(Call, 1);

        c->link = l;
        c->kind = kind;
        c->userdata = userdata;
        c->node.data = c->finished_node.data = c;
        g_queue_push_tail_link(&l->calls, &c->node);
        return c;
}

void call_drop(Call *c) {
        Link *l = c->link;

        if (outbox_remove(&l->outbox, &c->item))
                l->withdraw = true;
        if (c->request) {
                request_forget_token(c);
                request_free(c->request);
        }
        if (c->finished)
                g_queue_unlink(&l->finished, &c->finished_node);
        g_queue_unlink(&l->calls, &c->node);
        g_clear_pointer(&c->bytes, g_bytes_unref);
        g_free(c);
}

void call_finish(Call *c, int error) {
        if (c->finished)
                return;
        if (c->request) {
                request_forget_token(c);
                timer_disarm(c->request->timer);
        }
        c->finished = true;
        c->error = error;
        g_queue_push_tail_link(&c->link->finished, &c->finished_node);
        if (c->link->depth == 0)
                link_defer(c->link);
}

void call_free_all(Link *l) {
        while (l->calls.head)
                call_drop(l->calls.head->data);
}

void call_cancel(Call *c) {
        Link *l = c->link;

        call_drop(c);
        if (l->depth == 0)
                link_defer(l);
}

/* --- on the wire --- */

/* From outside, at once; from within a callback, when the frame is left. */
static void send_soon(Link *l) {
        if (l->depth > 0)
                return;
        call_send_next(l);
        link_defer(l);
}

static int queue(Call *c) {
        int r;

        r = outbox_push(&c->link->outbox, &c->item);
        if (r == 0)
                send_soon(c->link);
        return r;
}

static int transmit_current(Link *l, Call *c) {
        g_autofree uint8_t *buffer = NULL;
        int n, r;

        if (c->kind == CALL_REQUEST) {
                n = request_write(c, &buffer);
                if (n < 0)
                        return n;
        } else {
                n = (int) g_bytes_get_size(c->bytes);
                buffer = g_malloc((size_t) n + link_oscore_overhead(l));
                memcpy(buffer, g_bytes_get_data(c->bytes, NULL), (size_t) n);
                n = link_oscore_seal(l, &c->oscore, buffer, (size_t) n,
                                     (size_t) n + link_oscore_overhead(l), NULL);
                if (n < 0)
                        return n;
        }
        l->current_mid = link_next_mid(l);
        packet_set_mid(buffer, l->current_mid);
        r = link_transmit(l, buffer, (size_t) n);
        if (r == 0 && l->tcp && c->kind == CALL_NOTIFICATION)
                link_tcp_confirm(l);
        return r;
}

bool call_send_next(Link *l) {
        Call *c;
        int r;

        /* What libcoap is to forget would take the next message with it. */
        if (l->withdraw || l->closed || !link_has_way(l))
                return false;
        if (l->lingering && !coap_can_exit(l->context))
                return false;
        l->lingering = false;
        c = (Call *) outbox_next(&l->outbox);
        if (!c)
                return false;
        l->fate = FATE_OPEN;
        r = transmit_current(l, c);
        if (r < 0) {
                l->fate = FATE_FAILED;
                l->fate_error = r;
        }
        return true;
}

static int fate_errno(const Link *l, Fate fate) {
        switch (fate) {
        case FATE_RESET:
                return -ECONNRESET;
        case FATE_TIMEOUT:
                return -ETIMEDOUT;
        case FATE_REFUSED:
                return -ECONNREFUSED;
        case FATE_FAILED:
                return l->fate_error;
        case FATE_OPEN:
        default:
                return 0;
        }
}

void call_settle_current(Link *l, Fate fate, uint64_t now_usec) {
        Call *c = (Call *) l->outbox.current;
        int error = fate_errno(l, fate);

        if (!c)
                return;
        if (fate == FATE_REFUSED) {
                /* A hint: libcoap goes on trying, and the server may be back for the next one. Only
                 * who asked something wants to know at once. */
                if (c->kind != CALL_REQUEST)
                        return;
                l->withdraw = true;
        }
        (void) outbox_done(&l->outbox);
        if (c->kind == CALL_REQUEST && error == 0) {
                request_acknowledged(c, now_usec);
                return;
        }
        if (c->kind == CALL_NOTIFICATION && fate == FATE_RESET) {
                g_queue_push_tail(&l->resets, g_bytes_new(c->token.v, c->token.n));
        }
        call_finish(c, error);
}

void call_run_finished(Link *l, uint64_t now_usec) {
        while (!l->closed && l->finished.head) {
                Call *c = l->finished.head->data;
                ResponseFunc on_response = c->on_response;
                NotifyFunc on_notified = c->on_notified;
                void *userdata = c->userdata;
                int error = c->error;

                call_drop(c); /* before the callback, which may close the link */
                if (on_response)
                        on_response(userdata, error, NULL, now_usec);
                else if (on_notified)
                        on_notified(userdata, error, now_usec);
        }
}

/* --- separate answers and notifications --- */

int call_send(Link *l, const OscoreReply *oscore, const uint8_t *bytes, size_t n) {
        Call *c = call_new(l, CALL_ANSWER, NULL);
        int r;

        c->oscore = *oscore;
        c->bytes = g_bytes_new(bytes, n);
        r = queue(c);
        if (r < 0)
                call_drop(c);
        return r;
}

static void keep_body(Link *l, const Message *m, GBytes *request_key, const uint8_t *etag) {
        Body body = { .bytes = m->payload, .code = m->code, .format = m->format };
        Block2Key key;

        if (!block2_unpack_key(request_key, &key))
                return; /* reading on reads again, and the ETag tells */
        memcpy(body.etag, etag, PACKET_ETAG_MAX);
        block2_keep(l->block2, &key, &body, link_now(l));
        link_keep_house(l, link_now(l));
}

/* Its first message, for g_free(), with room for what OSCORE adds; the server asks for the rest. */
static int write_notification(Link *l, const Message *m, GBytes *request_key, const Token *token,
                              uint8_t **ret) {
        PacketOut o = PACKET_OUT_INIT;
        Block block = { .num = 0 };
        uint8_t etag[PACKET_ETAG_MAX] = { 0 };
        size_t n_body = 0, offset;
        const uint8_t *body = m->payload ? g_bytes_get_data(m->payload, &n_body) : NULL;
        Fit fit;
        int n;

        o.type = m->confirmable ? PACKET_CON : PACKET_NON;
        o.token = *token;
        o.message = m;
        o.etag = etag;
        n = l->tcp ? fit_head(&o) : 0;
        if (n >= 0)
                n = fit_body(l, (size_t) n, n_body, &fit);
        if (n == -EMSGSIZE)
                fit_complain(l, "A notification", n_body);
        if (n < 0)
                return n;
        o.etag = NULL;
        o.payload = body;
        o.n_payload = n_body;
        if (fit.in_blocks)
                (void) block2_slice(n_body, &(Block){ .szx = fit.szx }, fit.szx, fit.n_bert, &block,
                                    &offset, &o.n_payload);
        if (block.more) {
                block2_etag(body, n_body, etag);
                o.etag = etag;
                o.block2 = &block;
                o.size2 = (int64_t) n_body;
                keep_body(l, m, request_key, etag);
        }
        *ret = g_malloc(fit.n_message);
        return packet_write(&o, *ret, fit.n_message - link_oscore_overhead(l));
}

/* bytes has room for what OSCORE adds. */
static int send_non(Link *l, const Token *token, const OscoreReply *oscore, uint8_t *bytes,
                    size_t n) {
        uint16_t mid = link_next_mid(l);
        int k = link_oscore_seal(l, oscore, bytes, n, n + link_oscore_overhead(l), NULL);

        if (k < 0)
                return k;
        if (l->tcp) /* nothing is ever rejected there */
                return link_transmit(l, bytes, (size_t) k);
        if (!l->non_sent)
                l->non_sent = g_new0(NonSent, NON_SENT_MAX);
        l->non_sent[mid % NON_SENT_MAX] = (NonSent){ .token = *token, .mid = mid, .used = true };
        packet_set_mid(bytes, mid);
        return link_transmit(l, bytes, (size_t) k);
}

int call_notify(Link *l, const Message *m, NotifyFunc done, void *userdata, Call **ret) {
        g_autofree uint8_t *buffer = NULL;
        Token token = { .n = 0 };
        size_t n_token = 0;
        const void *v = m->token ? g_bytes_get_data(m->token, &n_token) : NULL;
        g_autoptr(GBytes) request_key = NULL;
        OscoreReply oscore;
        Call *c;
        int n, r;

        if (!link_has_way(l))
                return -ENOTCONN;
        if (n_token > PACKET_TOKEN_MAX)
                return -EINVAL;
        token.n = (uint8_t) n_token;
        if (n_token > 0)
                memcpy(token.v, v, n_token);
        r = link_oscore_unpack(l, m->request_key, &oscore, &request_key);
        if (r < 0) { /* nobody could read it: as good as rejected */
                g_queue_push_tail(&l->resets, g_bytes_new(token.v, token.n));
                link_defer(l);
                return r;
        }
        n = write_notification(l, m, request_key, &token, &buffer);
        if (n < 0)
                return n;

        c = call_new(l, CALL_NOTIFICATION, userdata);
        c->token = token;
        c->oscore = oscore;
        c->on_notified = done;
        if (m->confirmable) {
                c->bytes = g_bytes_new(buffer, (size_t) n);
                r = queue(c);
        } else {
                r = send_non(l, &token, &oscore, buffer, (size_t) n);
                if (r == 0)
                        call_finish(c, 0);
        }
        if (r < 0) {
                call_drop(c);
                return r;
        }
        *ret = c;
        return 0;
}

/* --- requests --- */

int call_request(Link *l, const Message *m, ResponseFunc done, void *userdata, Call **ret) {
        Call *c;
        int r;

        if (!link_has_way(l))
                return -ENOTCONN;
        c = call_new(l, CALL_REQUEST, userdata);
        c->on_response = done;
        r = request_begin(c, m);
        if (r == 0)
                r = request_send(c);
        if (r < 0) {
                call_drop(c);
                return r;
        }
        send_soon(l);
        *ret = c;
        return 0;
}
