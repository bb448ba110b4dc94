/* SPDX-License-Identifier: Apache-2.0 */
#include "coap/exchange.h"

#include <string.h>

#include "coap/call.h"
#include "coap/fit.h"
#include "coap/link_oscore.h"
#include "coap/link_tcp.h"
#include "util/log.h"

/* What an answer takes from its request. */
typedef struct Reply {
        uint8_t type, code; /* of the request */
        uint16_t mid;
        Token token;
        bool acked; /* an empty ACK has gone out: the answer is a message of its own */
        bool safe;  /* asking again does no harm */
        bool has_block1, has_block2;
        Block block1, block2;
        int no_response;
        const void *owner; /* as dedup_own() has it */
        OscoreReply oscore;
} Reply;

struct Exchange {
        Link *link; /* NULL: closed meanwhile */
        GList node, unacked_node;
        bool waits_for_ack;
        uint64_t ack_due_usec;
        Reply reply;
        uint64_t payload_hash;
        size_t n_key;
        uint8_t key[];
};

static bool is_safe(uint8_t code) {
        return code == METHOD_GET || code == METHOD_FETCH;
}

static Reply reply_to(const Packet *p) {
        return (Reply){
                .type = p->type,
                .code = p->code,
                .mid = p->mid,
                .token = p->token,
                .safe = is_safe(p->code),
                .has_block2 = p->has_block2,
                .block2 = p->block2,
                .no_response = p->no_response,
        };
}

static Block2Key key_of(const Exchange *x) {
        return (Block2Key){ .v = x->key, .n = x->n_key, .payload_hash = x->payload_hash };
}

/* --- answers --- */

static void send_plain(Link *l, const uint8_t *bytes, size_t n) {
        int r = link_transmit(l, bytes, n);

        if (r < 0 && l->tcp) /* it will not ask again: what it has asked for must not be missing */
                link_tcp_overrun(l, r);
        else if (r < 0)
                log_full(LOG_LEVEL_DEBUG, r, &(LogFields){ .ssid = l->ssid },
                         "Cannot send to the server, it will ask again: %m");
}

static size_t write_empty_ack(const Reply *reply, uint8_t buffer[static 4]) {
        PacketOut o = PACKET_OUT_INIT;

        o.type = PACKET_ACK;
        o.mid = reply->mid;
        return (size_t) packet_write(&o, buffer, 4);
}

static void send_empty_ack(Link *l, Reply *reply) {
        uint8_t buffer[4];

        send_plain(l, buffer, write_empty_ack(reply, buffer));
        reply->acked = true;
}

/* RFC 7967: the server does not want to hear answers of this class. */
static bool is_unwanted(const Reply *reply, uint8_t code) {
        return reply->no_response > 0 && (code >> 5) > 0 &&
               (reply->no_response & 1 << ((code >> 5) - 1));
}

static void finish_silently(Link *l, Reply *reply) {
        uint8_t buffer[4];
        size_t n = reply->type == PACKET_CON ? write_empty_ack(reply, buffer) : 0;

        if (n > 0 && !reply->acked)
                send_plain(l, buffer, n);
        dedup_answer(l->dedup, reply->mid, reply->owner, reply->safe, buffer, n);
}

/* As a message of its own; what a retransmitted request gets from now on is the empty ACK. */
static void send_separate(Link *l, const Reply *reply, uint8_t *bytes, size_t n) {
        uint8_t ack[4];
        int k;

        if (reply->type == PACKET_CON && call_send(l, &reply->oscore, bytes, n) == 0) {
                dedup_answer(l->dedup, reply->mid, reply->owner, reply->safe, ack,
                             write_empty_ack(reply, ack));
                return;
        }
        k = link_oscore_seal(l, &reply->oscore, bytes, n, n + link_oscore_overhead(l), NULL);
        if (k >= 0) {
                packet_set_mid(bytes, link_next_mid(l));
                send_plain(l, bytes, (size_t) k);
        }
        dedup_answer(l->dedup, reply->mid, reply->owner, reply->safe, NULL, 0);
}

/* In the acknowledgement. What is remembered for a retransmitted request are the same bytes:
 * nothing is encrypted twice. */
static int send_piggybacked(Link *l, const Reply *reply, uint8_t *bytes, size_t n) {
        int k = link_oscore_seal(l, &reply->oscore, bytes, n, n + link_oscore_overhead(l), NULL);

        if (k < 0)
                return k;
        send_plain(l, bytes, (size_t) k);
        dedup_answer(l->dedup, reply->mid, reply->owner, reply->safe, bytes, (size_t) k);
        return 0;
}

static void send_reply(Link *l, Reply *reply, PacketOut *o) {
        size_t size = fit_message_max(l);
        g_autofree uint8_t *buffer = NULL;
        int n;

        if (is_unwanted(reply, o->message ? o->message->code : o->code)) {
                finish_silently(l, reply);
                return;
        }
        o->token = reply->token;
        o->type = reply->type == PACKET_CON && !reply->acked ? PACKET_ACK : reply->type;
        o->mid = reply->mid;
        /* The answer that observes is the first of several. */
        reply->oscore.own |= o->message && o->message->observe >= 0;
        buffer = g_malloc(size);
        n = packet_write(o, buffer, size - link_oscore_overhead(l));
        if (n < 0) {
                log_full(LOG_LEVEL_WARNING, n, &(LogFields){ .ssid = l->ssid },
                         "Cannot write an answer, answering 5.00: %m");
                *o = PACKET_OUT_INIT;
                o->code = CODE(5, 0);
                send_reply(l, reply, o);
                return;
        }
        if (o->type == PACKET_ACK) {
                if (send_piggybacked(l, reply, buffer, (size_t) n) < 0)
                        finish_silently(l, reply); /* the link has ended */
        } else
                send_separate(l, reply, buffer, (size_t) n);
}

static void send_code(Link *l, Reply *reply, uint8_t code, int64_t size1) {
        PacketOut o = PACKET_OUT_INIT;

        o.code = code;
        o.size1 = size1;
        o.block1 = reply->has_block1 ? &reply->block1 : NULL;
        send_reply(l, reply, &o);
}

static void refuse_body(Link *l, Reply *reply, size_t n_body) {
        static const char text[] = "The answer does not fit into a message";
        PacketOut o = PACKET_OUT_INIT;

        fit_complain(l, "An answer", n_body);
        o.code = CODE(5, 0);
        o.payload = (const uint8_t *) text;
        o.n_payload = sizeof(text) - 1;
        send_reply(l, reply, &o);
}

/* Whether and how the body must go in blocks. */
static int fit_answer(const Link *l, const Reply *reply, const Message *m, size_t n_body,
                      Fit *ret) {
        static const uint8_t etag[PACKET_ETAG_MAX];
        PacketOut o = PACKET_OUT_INIT;
        int n;

        /* Over UDP an answer has few options, and room for them beside the largest block. */
        if (!l->tcp)
                return fit_body(l, 0, n_body, ret);
        o.message = m;
        o.token = reply->token;
        o.block1 = reply->has_block1 ? &reply->block1 : NULL;
        o.etag = etag;
        n = fit_head(&o);
        return n < 0 ? n : fit_body(l, (size_t) n, n_body, ret);
}

/* A body, or the part of it that was asked for. etag may be NULL when none was made yet. */
static void send_body(Link *l, Reply *reply, const Block2Key *key, const Message *m,
                      const uint8_t *etag, uint64_t now_usec) {
        PacketOut o = PACKET_OUT_INIT;
        Block block;
        uint8_t made[PACKET_ETAG_MAX];
        size_t n_body, offset, n;
        const uint8_t *body =
                m->payload ? g_bytes_get_data(m->payload, &n_body) : (n_body = 0, NULL);
        Fit fit;

        if (fit_answer(l, reply, m, n_body, &fit) < 0) {
                refuse_body(l, reply, n_body);
                return;
        }
        if (!reply->has_block2 && !fit.in_blocks) {
                block = (Block){ .num = 0 };
                offset = 0;
                n = n_body;
        } else if (block2_slice(n_body,
                                reply->has_block2 ? &reply->block2 : &(Block){ .szx = fit.szx },
                                fit.szx, fit.n_bert, &block, &offset, &n) < 0) {
                send_code(l, reply, CODE(4, 0), -1);
                return;
        }
        o.message = m;
        o.payload = body ? body + offset : NULL;
        o.n_payload = n;
        o.block1 = reply->has_block1 ? &reply->block1 : NULL;
        if (block.more || block.num > 0 || (reply->has_block2 && n_body > 0))
                o.block2 = &block;
        if (block.more || block.num > 0) {
                if (!etag) {
                        block2_etag(body, n_body, made);
                        etag = made;
                }
                o.etag = etag;
        }
        if (block.more && block.num == 0)
                o.size2 = (int64_t) n_body;
        if (block.more && etag == made) {
                Body kept = { .bytes = m->payload, .code = m->code, .format = m->format };

                memcpy(kept.etag, made, sizeof(made));
                block2_keep(l->block2, key, &kept, now_usec);
        }
        if (!block.more && block.num > 0)
                block2_read(l->block2, key, now_usec);
        send_reply(l, reply, &o);
}

static void send_kept(Link *l, Reply *reply, const Block2Key *key, const Body *kept,
                      uint64_t now_usec) {
        g_autoptr(GBytes) bytes = g_bytes_ref(kept->bytes);
        Message m = MESSAGE_INIT(kept->code);
        Body copy = *kept;

        m.format = copy.format;
        m.payload = bytes;
        send_body(l, reply, key, &m, copy.etag, now_usec);
}

/* --- exchanges --- */

static void arm_ack_timer(Link *l) {
        Exchange *first = l->unacked.head ? l->unacked.head->data : NULL;

        timer_arm(l->ack_timer, first ? first->ack_due_usec : USEC_INFINITY);
}

static void stop_waiting(Exchange *x) {
        Link *l = x->link;
        bool first;

        if (!l || !x->waits_for_ack)
                return;
        first = l->unacked.head == &x->unacked_node;
        x->waits_for_ack = false;
        g_queue_unlink(&l->unacked, &x->unacked_node);
        if (first)
                arm_ack_timer(l);
}

void exchange_on_ack_timer(void *userdata, uint64_t now_usec) {
        Link *l = userdata;

        link_enter(l);
        while (l->unacked.head && ((Exchange *) l->unacked.head->data)->ack_due_usec <= now_usec) {
                Exchange *x = l->unacked.head->data;

                send_empty_ack(l, &x->reply);
                stop_waiting(x);
        }
        arm_ack_timer(l);
        link_settle(l, now_usec);
        link_leave(l);
}

static Exchange *exchange_new(Link *l, const Reply *reply, const Packet *p, const Block2Key *key) {
        Exchange *x = g_malloc0(sizeof(*x) + key->n);

        x->link = l;
        x->reply = *reply;
        x->reply.owner = x;
        x->payload_hash = key->payload_hash;
        x->n_key = key->n;
        memcpy(x->key, key->v, key->n);
        x->node.data = x->unacked_node.data = x;
        g_queue_push_tail_link(&l->exchanges, &x->node);
        dedup_own(l->dedup, p->mid, x);
        return x;
}

static void detach(Exchange *x) {
        stop_waiting(x);
        g_queue_unlink(&x->link->exchanges, &x->node);
        x->link = NULL;
}

void exchange_orphan_all(Link *l) {
        while (l->exchanges.head)
                detach(l->exchanges.head->data);
}

void exchange_respond(Exchange *x, const Message *response) {
        Link *l = x->link;

        if (l) {
                Block2Key key = key_of(x);

                detach(x);
                send_body(l, &x->reply, &key, response, NULL, link_now(l));
                if (l->depth == 0)
                        link_defer(l);
        }
        g_free(x);
}

/* The owner may answer at once; what it has not answered on return waits for its answer or the
 * timer. */
static void hand_up(Link *l, const Reply *reply, const Packet *p, const Block2Key *key,
                    GBytes *body, uint64_t now_usec) {
        g_autoptr(GBytes) token = p->token.n > 0 ? g_bytes_new(p->token.v, p->token.n) : NULL;
        g_autoptr(GBytes) request_key =
                p->observe == 0 ? link_oscore_pack(l, &reply->oscore, block2_pack_key(key)) : NULL;
        Message m = packet_message(p, token, body);
        Exchange *x = exchange_new(l, reply, p, key);

        m.request_key = request_key;
        if (p->has_block2 && p->block2.num > 0)
                m.observe = -1; /* later blocks observe nothing (RFC 7959, section 2.6) */
        if (p->type == PACKET_CON) {
                x->ack_due_usec = now_usec + l->transport->config.separate_after_usec;
                x->waits_for_ack = true;
                g_queue_push_tail_link(&l->unacked, &x->unacked_node);
        }
        l->events.request(l->owner, x, &m, now_usec);
        if (!l->closed && l->unacked.head && timer_due(l->ack_timer) == USEC_INFINITY)
                arm_ack_timer(l);
}

/* --- requests --- */

/* False when the request is done with: refused, or a block that is not the last. */
static bool take_body(Link *l, Packet *p, Reply *reply, GBytes **ret_body, uint64_t now_usec) {
        Block1Request request = { .block = p->block1,
                                  .size1 = p->size1,
                                  .payload = p->payload,
                                  .n_payload = p->n_payload };
        Block1Result result;

        if (!p->has_block1) {
                *ret_body = p->n_payload > 0 ? g_bytes_new(p->payload, p->n_payload) : NULL;
                return true;
        }
        request.key = packet_key(p, true, &request.n_key);
        block1_receive(l->block1, &request, now_usec, &result);
        reply->has_block1 = result.code == 0 || result.code == CODE(2, 31);
        reply->block1 = result.block;
        if (result.code == 0) {
                *ret_body = result.body;
                return true;
        }
        /* Blocks in the middle are safe to take again, and many: they must not push out other
         * answers. */
        reply->safe = result.code == CODE(2, 31);
        send_code(l, reply, result.code, result.size1);
        return false;
}

/* A later block of an answer; true when it has been served or refused. */
static bool serve_block(Link *l, const Packet *p, Reply *reply, const Block2Key *key,
                        uint64_t now_usec) {
        const Body *kept;

        if (!p->has_block2 || p->block2.num == 0)
                return false;
        kept = block2_find(l->block2, key, now_usec);
        if (kept)
                send_kept(l, reply, key, kept, now_usec);
        else if (p->code != METHOD_GET && !(p->code == METHOD_FETCH && key->payload_hash != 0))
                send_code(l, reply, CODE(4, 8), -1); /* doing it again is not what is asked for */
        else
                return false; /* reading again; the ETag tells whether it is still the same */
        return true;
}

static void receive_opened(Link *l, Packet *p, const OscoreReply *oscore, uint64_t now_usec) {
        g_autoptr(GBytes) body = NULL;
        Reply reply = reply_to(p);
        Block2Key key = { .payload_hash = 0 };

        if (oscore)
                reply.oscore = *oscore;
        if (p->refusal != 0) {
                send_code(l, &reply, p->refusal,
                          p->refusal == CODE(4, 13) ? (int64_t) block_size(l->szx) : -1);
                return;
        }
        if (!take_body(l, p, &reply, &body, now_usec))
                return;
        key.v = packet_key(p, false, &key.n);
        if (body && p->code == METHOD_FETCH)
                key.payload_hash =
                        block2_hash(g_bytes_get_data(body, NULL), g_bytes_get_size(body)) ?: 1;
        if (serve_block(l, p, &reply, &key, now_usec))
                return;
        if (l->exchanges.length >= l->transport->config.exchanges_max || !l->events.request) {
                send_code(l, &reply, CODE(5, 3), -1);
                return;
        }
        hand_up(l, &reply, p, &key, body, now_usec);
}

/* Protected if the request was so, and the reason does not forbid it. */
static void refuse_protected(Link *l, const Packet *p, const OscoreReply *oscore,
                             const OscoreRefusal *refusal) {
        PacketOut o = PACKET_OUT_INIT;
        Reply reply = reply_to(p);

        reply.oscore = *oscore;
        reply.oscore.sealed = refusal->protect;
        reply.no_response = -1; /* whoever wrote it outside (RFC 8613, section 4.1.3.6) */
        reply.safe = true;
        o.code = refusal->code;
        o.max_age = refusal->protect ? -1 : 0;
        o.echo = refusal->echo;
        o.n_echo = refusal->echo ? OSCORE_ECHO : 0;
        o.payload = (const uint8_t *) refusal->text;
        o.n_payload = refusal->text ? strlen(refusal->text) : 0;
        send_reply(l, &reply, &o);
        /* What anybody can send must not be the answer to a genuine request that comes after it. */
        if (!refusal->protect && !l->tcp)
                dedup_forget(l->dedup, p->mid);
}

static void receive_protected(Link *l, const Packet *p, uint64_t now_usec) {
        g_autofree uint8_t *plain = g_malloc(p->n_payload + 1);
        OscoreRefusal refusal;
        OscoreReply oscore;
        Packet inner;

        if (link_oscore_open_request(l, p, plain, &inner, &oscore, &refusal))
                receive_opened(l, &inner, &oscore, now_usec);
        else
                refuse_protected(l, p, &oscore, &refusal);
}

static void receive_new(Link *l, Packet *p, uint64_t now_usec) {
        if (l->oscore) {
                receive_protected(l, p, now_usec);
                return;
        }
        if (p->has_oscore && p->refusal == 0)
                p->refusal = CODE(4, 2);
        receive_opened(l, p, NULL, now_usec);
}

static void receive_again(Link *l, Exchange *x) {
        if (!x || x->reply.type != PACKET_CON)
                return;
        send_empty_ack(l, &x->reply);
        stop_waiting(x);
}

void exchange_receive(Link *l, Packet *p, uint64_t now_usec) {
        GBytes *answer;
        void *owner;

        link_keep_house(l, now_usec);
        if (l->tcp) { /* nothing comes twice, and there is no message id to tell it by */
                receive_new(l, p, now_usec);
                return;
        }
        switch (dedup_look(l->dedup, p->mid, p->fingerprint, p->type == PACKET_CON, now_usec,
                           &owner, &answer)) {
        case DEDUP_PENDING:
                receive_again(l, owner);
                break;
        case DEDUP_ANSWERED:
                /* A duplicate that is not confirmable is ignored (RFC 7252, section 4.5). */
                if (answer && p->type == PACKET_CON)
                        send_plain(l, g_bytes_get_data(answer, NULL), g_bytes_get_size(answer));
                break;
        case DEDUP_NEW:
        default:
                receive_new(l, p, now_usec);
        }
}
