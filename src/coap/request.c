/* SPDX-License-Identifier: Apache-2.0 */
/* Requests to the server: tokens, their own body by Block1, the answer's by Block2 (RFC 7959). */
#include <string.h>
#include <sys/random.h>

#include "coap/call.h"
#include "coap/call_internal.h"
#include "coap/fit.h"

void request_free(Request *r) {
        timer_free(r->timer);
        g_strfreev(r->path);
        g_strfreev(r->query);
        g_clear_pointer(&r->payload, g_bytes_unref);
        spool_free(r->answer);
        g_free(r);
}

void request_forget_token(Call *c) {
        Request *r = c->request;

        if (r->waiting)
                g_hash_table_remove(c->link->by_token, &r->token);
        r->waiting = false;
}

static void on_timer(void *userdata, uint64_t now_usec) {
        Call *c = userdata;
        Link *l = c->link;

        link_enter(l);
        call_finish(c, -ETIMEDOUT);
        link_settle(l, now_usec);
        link_leave(l);
}

void request_acknowledged(Call *c, uint64_t now_usec) {
        timer_arm(c->request->timer, now_usec + c->link->transport->config.response_usec);
}

/* --- out --- */

/* Off-path attackers must not guess it (RFC 7252, section 5.3.1). */
static void renew_token(Call *c) {
        Request *r = c->request;

        request_forget_token(c);
        do {
                if (getrandom(&r->token, sizeof(r->token), 0) != sizeof(r->token))
                        r->token = (uint64_t) g_random_int() << 32 | g_random_int();
        } while (g_hash_table_contains(c->link->by_token, &r->token));
        g_hash_table_insert(c->link->by_token, &r->token, c);
        r->waiting = true;
}

static size_t payload_size(const Request *r) {
        return r->payload ? g_bytes_get_size(r->payload) : 0;
}

static PacketOut outline(const Request *r) {
        PacketOut o = PACKET_OUT_INIT;

        o.type = r->message.confirmable ? PACKET_CON : PACKET_NON;
        o.token.n = sizeof(r->token);
        memcpy(o.token.v, &r->token, sizeof(r->token));
        o.message = &r->message;
        o.request = true;
        o.echo = r->echo;
        o.n_echo = r->n_echo;
        return o;
}

/* Blocks are as large as the link likes and the message size leaves room for. */
static int choose_size(Link *l, Request *r) {
        PacketOut o = outline(r);
        Fit fit;
        int n;

        n = fit_head(&o);
        if (n >= 0)
                n = fit_body(l, (size_t) n, payload_size(r), &fit);
        if (n == -EMSGSIZE)
                fit_complain(l, "A request", payload_size(r));
        if (n < 0)
                return n;
        r->szx = fit.szx;
        r->n_bert = fit.n_bert;
        r->in_blocks = fit.in_blocks;
        return 0;
}

int request_begin(Call *c, const Message *m) {
        Request *r = c->request = g_new0(Request, 1);

        r->timer = timer_new(loop_timers(c->link->transport->loop), on_timer, c);
        r->path = g_strdupv((char **) m->path);
        r->query = g_strdupv((char **) m->query);
        r->payload = m->payload ? g_bytes_ref(m->payload) : NULL;
        r->message = *m;
        r->message.path = (const char *const *) r->path;
        r->message.query = (const char *const *) r->query;
        r->message.token = NULL;
        r->message.payload = NULL;
        if (payload_size(r) > (size_t) BLOCK_NUM_MAX * block_size(0))
                return -EMSGSIZE;
        return choose_size(c->link, r);
}

/* The rest of an answer is asked for with the options of the request, but without its body. */
static int write_reading(const Request *r, PacketOut *o, uint8_t *buffer, size_t n_buffer) {
        Message m = r->message;
        int n;

        m.format = m.observe = -1;
        o->message = &m;
        o->block2 = &r->wanted;
        n = packet_write(o, buffer, n_buffer);
        o->message = NULL; /* m ends here */
        return n;
}

static size_t next_block(const Request *r) {
        return r->szx == BLOCK_SZX_BERT ? r->n_bert : block_size(r->szx);
}

static int write_plain(Call *c, uint8_t *buffer, size_t size) {
        Request *r = c->request;
        size_t n_payload = payload_size(r);
        PacketOut o;
        Block block;

        renew_token(c);
        o = outline(r);
        if (r->reading)
                return write_reading(r, &o, buffer, size);
        o.payload = r->payload ? (const uint8_t *) g_bytes_get_data(r->payload, NULL) + r->offset
                               : NULL;
        o.n_payload = n_payload - r->offset;
        if (r->in_blocks) {
                o.n_payload = MIN(o.n_payload, next_block(r));
                block = (Block){ .num = (uint32_t) (r->offset / block_unit(r->szx)),
                                 .more = r->offset + o.n_payload < n_payload,
                                 .szx = r->szx };
                o.block1 = &block;
                if (r->offset == 0)
                        o.size1 = (int64_t) n_payload;
        }
        r->n_sent = o.n_payload;
        return packet_write(&o, buffer, size);
}

int request_write(Call *c, uint8_t **ret) {
        size_t size = fit_message_max(c->link);
        int n;

        *ret = g_malloc(size);
        n = write_plain(c, *ret, size - link_oscore_overhead(c->link));
        return n < 0 ? n
                     : link_oscore_seal(c->link, NULL, *ret, (size_t) n, size, &c->request->number);
}

static int send_non(Call *c) {
        g_autofree uint8_t *buffer = NULL;
        Link *l = c->link;
        int n;

        n = request_write(c, &buffer);
        if (n < 0)
                return n;
        packet_set_mid(buffer, link_next_mid(l));
        request_acknowledged(c, link_now(l)); /* nothing else would end the wait */
        return link_transmit(l, buffer, (size_t) n);
}

int request_send(Call *c) {
        if (!c->request->message.confirmable)
                return send_non(c);
        timer_disarm(c->request->timer);
        return outbox_push(&c->link->outbox, &c->item);
}

/* --- in --- */

static void send_or_finish(Call *c) {
        int r;

        r = request_send(c);
        if (r < 0)
                call_finish(c, r);
}

static void deliver(Call *c, const Packet *p, GBytes *body, uint64_t now_usec) {
        ResponseFunc done = c->on_response;
        void *userdata = c->userdata;
        Message m = packet_message(p, NULL, body);

        call_drop(c);
        done(userdata, 0, &m, now_usec);
}

/* The server takes smaller blocks only: 4.13 with a Block1 or Size1 hint (sections 2.9.3 and 4). */
static bool can_shrink(const Request *r, const Packet *p, uint8_t *ret_szx) {
        if (p->code != CODE(4, 13) || payload_size(r) == 0)
                return false;
        if (p->has_block1 && p->block1.szx < r->szx) {
                *ret_szx = p->block1.szx;
                return true;
        }
        if (r->in_blocks || p->size1 < (int64_t) block_size(0) ||
            p->size1 >= (int64_t) payload_size(r))
                return false;
        *ret_szx = MIN(r->szx, block_szx((size_t) p->size1));
        return true;
}

/* The server has lost the blocks before this one (section 2.9.2): from the beginning, but once. */
static bool can_restart(const Request *r, const Packet *p) {
        return p->code == CODE(4, 8) && r->in_blocks && r->offset > 0 && !r->restarted;
}

/* The server wants to see that we are there and the request is no replay (RFC 9175, section 2.3;
 * RFC 8613, appendix B.1.2): the same again, with its Echo option. Without OSCORE that is
 * libcoap's. */
static bool can_echo(const Call *c, const Packet *p) {
        return c->link->oscore && p->code == CODE(4, 1) && p->n_echo > 0 && c->request->n_echo == 0;
}

static void echo(Call *c, const Packet *p) {
        memcpy(c->request->echo, p->echo, p->n_echo);
        c->request->n_echo = p->n_echo;
        send_or_finish(c);
}

/* True when a further block of the body is on its way. */
static bool go_on_sending(Call *c, const Packet *p) {
        Request *r = c->request;
        uint8_t szx;

        if (can_shrink(r, p, &szx)) {
                r->szx = szx;
                r->in_blocks = true;
                r->offset = 0;
                send_or_finish(c);
                return true;
        }
        if (can_restart(r, p)) {
                r->restarted = true;
                r->offset = 0;
                send_or_finish(c);
                return true;
        }
        if (!r->in_blocks || p->code != CODE(2, 31))
                return false;
        if (r->offset + r->n_sent >= payload_size(r)) {
                call_finish(c, -EBADMSG); /* wants more than there is */
                return true;
        }
        r->offset += r->n_sent;
        if (p->has_block1)
                r->szx = MIN(r->szx, p->block1.szx);
        send_or_finish(c);
        return true;
}

/* Takes one block of the answer. 1: there are more; 0: it was the last; negative errno. */
static int take_block(Call *c, const Packet *p) {
        const CoapConfig *config = &c->link->transport->config;
        Request *r = c->request;
        int k;

        if (!block_holds(&p->block2, p->n_payload))
                return -EBADMSG;
        if (!r->reading) {
                r->answer = spool_new(c->link->transport->spool_directory,
                                      r->message.answer_max ?: config->body_max);
                r->n_etag = p->n_etag;
                memcpy(r->etag, p->etag, sizeof(r->etag));
        } else if (r->n_etag != p->n_etag || memcmp(r->etag, p->etag, r->n_etag) != 0)
                return -ESTALE; /* changed while it was read */
        if (block_offset(&p->block2) != spool_size(r->answer))
                return -EBADMSG;
        k = spool_append(r->answer, p->payload, p->n_payload);
        if (k < 0)
                return k;
        r->reading = true;
        r->wanted = (Block){ .num = (uint32_t) (spool_size(r->answer) / block_unit(p->block2.szx)),
                             .szx = p->block2.szx };
        return p->block2.more;
}

static void read_on(Call *c, const Packet *p, uint64_t now_usec) {
        g_autoptr(GBytes) body = NULL;
        int k;

        k = take_block(c, p);
        if (k == 0)
                k = spool_finish(c->request->answer, &body);
        if (k < 0)
                call_finish(c, k);
        else if (k > 0)
                send_or_finish(c);
        else
                deliver(c, p, body, now_usec);
}

static void take_answer(Call *c, const Packet *p, uint64_t now_usec) {
        g_autoptr(GBytes) body = NULL;

        if (p->refusal != 0) {
                call_finish(c, -EBADMSG);
                return;
        }
        if (can_echo(c, p)) {
                echo(c, p);
                return;
        }
        if (go_on_sending(c, p))
                return;
        if ((p->has_block2 && (p->block2.more || p->block2.num > 0)) || c->request->reading) {
                if (p->code >> 5 == 2 && p->has_block2) {
                        read_on(c, p, now_usec);
                        return;
                }
        }
        body = p->n_payload > 0 ? g_bytes_new(p->payload, p->n_payload) : NULL;
        deliver(c, p, body, now_usec);
}

static void open_answer(Call *c, const Packet *p, uint64_t now_usec) {
        g_autofree uint8_t *plain = g_malloc(p->n_payload + 1);
        Packet inner;

        /* Otherwise the link ends, which says why; the call ends with it. */
        if (link_oscore_open_answer(c->link, p, &c->request->number, plain, &inner) >= 0)
                take_answer(c, &inner, now_usec);
}

bool call_receive(Link *l, Packet *p, uint64_t now_usec) {
        uint64_t token;
        Call *c;

        if (p->token.n != sizeof(token))
                return false;
        memcpy(&token, p->token.v, sizeof(token));
        c = g_hash_table_lookup(l->by_token, &token);
        if (!c)
                return false;
        if (p->type == PACKET_CON) {
                l->last_response_mid = p->mid;
                l->has_last_response = true;
        }
        request_forget_token(c);
        timer_disarm(c->request->timer);
        /* libcoap does not retransmit it any more, even when the ACK is still missing. */
        (void) outbox_remove(&l->outbox, &c->item);
        if (!l->oscore && p->has_oscore)
                p->refusal = CODE(4, 2); /* critical, and of no use here */
        if (l->oscore)
                open_answer(c, p, now_usec);
        else
                take_answer(c, p, now_usec);
        return true;
}
