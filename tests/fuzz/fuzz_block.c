/* SPDX-License-Identifier: Apache-2.0 */
/* A server's messages made of the input, one after the other: what they say is bounded and survives
 * being written and read again; uploads and downloads in blocks end with the bytes sent and never
 * keep more than they may. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "coap/block1.h"
#include "coap/block2.h"
#include "coap/dedup.h"
#include "coap/pdu.h"

#define CHECK(condition) ((condition) ? (void) 0 : failed(#condition))

#define SEC UINT64_C(1000000)
#define BODY_MAX 4096u
#define BYTES_MAX 8192u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void failed(const char *condition) {
        fprintf(stderr, "not so: %s\n", condition);
        abort();
}

static const DedupLimits dedup_limits = { .entries_max = 8, .bytes_max = 256 };
static const Block1Config block1_config = {
        .body_max = BODY_MAX, .transfers_max = 3, .lifetime_usec = 247 * SEC, .szx = 4
};
static const Block2Config block2_config = { .bytes_max = BYTES_MAX,
                                            .bodies_max = 3,
                                            .lifetime_usec = 247 * SEC };

typedef struct State {
        Dedup *dedup;
        Block1 *block1;
        Block2 *block2;
        uint64_t now;
        const uint8_t *pos;
        size_t left;
} State;

static uint8_t next(State *s) {
        if (s->left == 0)
                return 0;
        s->left--;
        return *s->pos++;
}

static const uint8_t *next_bytes(State *s, size_t *n) {
        const uint8_t *p = s->pos;

        *n = MIN(*n, s->left);
        s->pos += *n;
        s->left -= *n;
        return p;
}

/* Numbers the parser knows, so that most of the input says something. */
static uint16_t next_number(State *s, uint16_t last) {
        static const uint16_t known[] = { 1,  4,  5,  6,  8,  11,  12,  15,  17,
                                          23, 27, 28, 35, 60, 258, 292, 2049 };
        uint16_t number = known[next(s) % G_N_ELEMENTS(known)];

        return MAX(number, last);
}

static void read_message(State *s, Packet *p) {
        static const uint8_t methods[] = { METHOD_GET, METHOD_PUT, METHOD_POST, METHOD_FETCH };
        uint8_t shape = next(s), token = next(s);
        size_t n_payload = (size_t) next(s) << (shape >> 6);
        uint16_t number = 0;

        packet_begin(p, shape >> 2 & 1, methods[shape & 3], next(s), &token, shape >> 3 & 1);
        p->stream = p->mid & 0x80;
        for (unsigned i = 0; i < (shape >> 4 & 3u) * 3u; i++) {
                size_t n = next(s) % 20;
                const uint8_t *value;

                number = next_number(s, number);
                value = next_bytes(s, &n);
                packet_option(p, number, value, n);
        }
        packet_end(p, s->pos, n_payload = MIN(n_payload, s->left));
        (void) next_bytes(s, &n_payload);
        CHECK(p->n_path <= PACKET_SEGMENTS_MAX && !p->path[p->n_path]);
        CHECK(p->n_query <= PACKET_SEGMENTS_MAX && !p->query[p->n_query]);
}

/* Written and read by libcoap it is the same message. */
static void check_round_trip(Packet *p) {
        uint8_t buffer[PACKET_OUT_MAX];
        Message m = packet_message(p, NULL, NULL);
        PacketOut o = PACKET_OUT_INIT;
        size_t n_key, n_again;
        coap_pdu_t *pdu;
        Packet again;
        int n;

        if ((p->has_block1 && p->block1.szx == BLOCK_SZX_BERT) ||
            (p->has_block2 && p->block2.szx == BLOCK_SZX_BERT) || p->size >= PACKET_IN_MAX)
                return; /* libcoap is for datagrams here */
        for (size_t i = 0; i < p->n_query; i++)
                if (!p->query[i][0])
                        return; /* which libcoap takes for malformed, so that it never comes in */
        o.type = p->type;
        o.mid = p->mid;
        o.token = p->token;
        o.message = &m;
        o.request = true;
        o.block1 = p->has_block1 ? &p->block1 : NULL;
        o.block2 = p->has_block2 ? &p->block2 : NULL;
        o.size1 = p->size1;
        o.size2 = p->size2;
        o.payload = p->payload;
        o.n_payload = p->n_payload;
        n = packet_write(&o, buffer, sizeof(buffer));
        CHECK(n > 0 && (size_t) n <= p->size);
        pdu = pdu_new(buffer, (size_t) n);
        CHECK(pdu);
        pdu_read(pdu, &again);
        CHECK(again.refusal == 0 && again.size == (size_t) n && again.mid == p->mid);
        CHECK(again.n_payload == p->n_payload && again.format == p->format &&
              again.observe == p->observe);
        (void) packet_key(p, false, &n_key);
        (void) packet_key(&again, false, &n_again);
        CHECK(n_key == n_again && memcmp(p->key, again.key, n_key) == 0);
        coap_delete_pdu(pdu);
}

static GBytes *upload(State *s, Packet *p) {
        Block1Request request = { .block = p->block1,
                                  .size1 = p->size1,
                                  .payload = p->payload,
                                  .n_payload = p->n_payload };
        Block1Result r;

        request.key = packet_key(p, true, &request.n_key);
        block1_receive(s->block1, &request, s->now, &r);
        CHECK(block1_count(s->block1) <= block1_config.transfers_max);
        CHECK((r.code == 0) == (r.body != NULL));
        CHECK(r.code == 0 || r.code == CODE(2, 31) || r.code == CODE(4, 0) ||
              r.code == CODE(4, 8) || r.code == CODE(4, 13) || r.code == CODE(5, 3));
        CHECK(r.code != CODE(2, 31) || (p->block1.more && r.block.szx <= block1_config.szx));
        if (r.body) {
                size_t n = g_bytes_get_size(r.body);
                const uint8_t *v = g_bytes_get_data(r.body, NULL);

                CHECK(!p->block1.more && n <= BODY_MAX &&
                      n == block_offset(&p->block1) + p->n_payload);
                CHECK(p->n_payload == 0 ||
                      memcmp(v + n - p->n_payload, p->payload, p->n_payload) == 0);
        }
        return r.body;
}

static void download(State *s, Packet *p, const Block2Key *key) {
        uint8_t content[3000];
        Block asked = p->has_block2 ? p->block2 : (Block){ .szx = 6 }, block;
        size_t offset, n, size = 1000 + p->mid * 8u, n_bert = p->stream ? 2048 : 0;
        const Body *kept = block2_find(s->block2, key, s->now);

        memset(content, p->mid, sizeof(content));
        if (!kept || asked.num == 0) {
                Body body = { .bytes = g_bytes_new(content, MIN(size, sizeof(content))),
                              .code = CODE(2, 5) };

                block2_keep(s->block2, key, &body, s->now);
                g_bytes_unref(body.bytes);
                kept = block2_find(s->block2, key, s->now);
        }
        CHECK(kept && block2_bytes(s->block2) <= BYTES_MAX);
        size = g_bytes_get_size(kept->bytes);
        if (block2_slice(size, &asked, p->stream ? 7 : 5, n_bert, &block, &offset, &n) < 0) {
                CHECK(block_offset(&asked) >= size);
                return;
        }
        CHECK(offset + n <= size && block.more == (offset + n < size) &&
              (block.szx == BLOCK_SZX_BERT ? n <= n_bert : n <= block_size(block.szx)));
        CHECK(block_holds(&block, n));
        if (!block.more)
                block2_read(s->block2, key, s->now);
}

static void handle(State *s, Packet *p) {
        Block2Key key = { .payload_hash = 0 };
        GBytes *answer, *body = NULL;
        void *owner;
        DedupState state;

        state = dedup_look(s->dedup, p->mid, p->fingerprint, p->type == PACKET_CON, s->now, &owner,
                           &answer);
        if (state != DEDUP_NEW) {
                CHECK(state == DEDUP_ANSWERED && answer && g_bytes_get_size(answer) > 0);
                return;
        }
        if (p->refusal == 0) {
                check_round_trip(p);
                if (p->has_block1)
                        body = upload(s, p);
                key.v = packet_key(p, false, &key.n);
                if (body)
                        key.payload_hash =
                                block2_hash(g_bytes_get_data(body, NULL), g_bytes_get_size(body));
                download(s, p, &key);
        }
        dedup_answer(s->dedup, p->mid, NULL, p->code == METHOD_GET, "answer", 1 + p->mid % 6);
        CHECK(dedup_count(s->dedup) <= 2 * dedup_limits.entries_max);
        CHECK(dedup_bytes(s->dedup) <= 2 * dedup_limits.bytes_max);
        g_clear_pointer(&body, g_bytes_unref);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
        State s = { .dedup = dedup_new(&dedup_limits),
                    .block1 = block1_new(&block1_config),
                    .block2 = block2_new(&block2_config),
                    .pos = data,
                    .left = n };

        while (s.left > 0) {
                Packet p;

                s.now += (uint64_t) (next(&s) >> 4) * SEC;
                read_message(&s, &p);
                handle(&s, &p);
        }
        CHECK(dedup_expire(s.dedup, s.now + 1000 * SEC) == UINT64_MAX && dedup_count(s.dedup) == 0);
        CHECK(block1_expire(s.block1, s.now + 1000 * SEC) == UINT64_MAX &&
              block1_count(s.block1) == 0);
        CHECK(block2_expire(s.block2, s.now + 1000 * SEC) == UINT64_MAX &&
              block2_bytes(s.block2) == 0);
        dedup_free(s.dedup);
        block1_free(s.block1);
        block2_free(s.block2);
        return 0;
}
