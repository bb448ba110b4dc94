/* SPDX-License-Identifier: Apache-2.0 */
/* Bodies over TCP: in one message, in blocks, in blocks of several KiB (BERT, RFC 8323, section 6),
 * as the server's CSM allows. */
#include "tcp_fixture.h"

#include <string.h>

#define BERT BLOCK_SZX_BERT
#define WITH_BLOCKS_8K "\x22\x20\x00\x20" /* Max-Message-Size 8192, Block-Wise-Transfer */
#define ONLY_32K "\x22\x80\x00"
#define connect_with(f, text) tcp_connect_with((f), (text), sizeof(text) - 1)

static const char *const path[] = { "3", NULL };

static GBytes *make_body(size_t n) {
        uint8_t *v = g_malloc(n);

        for (size_t i = 0; i < n; i++)
                v[i] = (uint8_t) (i ^ i >> 8);
        return g_bytes_new_take(v, n);
}

static void is_body(GBytes *got, GBytes *wanted) {
        assert_non_null(got);
        assert_true(g_bytes_equal(got, wanted));
}

/* A request of the server's: method, blocks, and a part of a body. */
static void say_request(TcpFixture *f, uint8_t method, const Block *block1, const Block *block2,
                        GBytes *body, size_t offset, size_t n) {
        Message m = MESSAGE_INIT(method);
        PacketOut o = PACKET_OUT_INIT;

        m.path = path;
        o.message = &m;
        o.request = true;
        o.token = (Token){ .v = "q", .n = 1 };
        o.block1 = block1;
        o.block2 = block2;
        o.payload = body ? (const uint8_t *) g_bytes_get_data(body, NULL) + offset : NULL;
        o.n_payload = n;
        tcp_say_message(f, &o);
}

static void say_answer(TcpFixture *f, const Packet *to, uint8_t code, const Block *block1,
                       const Block *block2, GBytes *body, size_t offset, size_t n) {
        Message m = MESSAGE_INIT(code);
        PacketOut o = PACKET_OUT_INIT;

        o.message = &m;
        o.token = to->token;
        o.block1 = block1;
        o.block2 = block2;
        o.payload = body ? (const uint8_t *) g_bytes_get_data(body, NULL) + offset : NULL;
        o.n_payload = n;
        tcp_say_message(f, &o);
}

static void is_block(const Block *b, uint32_t num, bool more, uint8_t szx) {
        assert_int_equal(b->num, num);
        assert_int_equal(b->more, more);
        assert_int_equal(b->szx, szx);
}

/* --- requests of the server --- */

static void test_upload(void **state) {
        TcpFixture *f = tcp_fixture_new(NULL);
        g_autoptr(GBytes) body = make_body(20000);
        const Packet *p;

        connect_with(f, WITH_BLOCKS_8K);
        for (uint32_t num = 0; num < 16; num += 8) {
                say_request(f, METHOD_PUT, &(Block){ num, true, BERT }, NULL, body, num * 1024,
                            8192);
                p = tcp_hear_message(f);
                assert_int_equal(p->code, CODE(2, 31));
                assert_true(p->has_block1);
                is_block(&p->block1, num, true, BERT);
        }
        assert_int_equal(f->n_requests, 0);
        say_request(f, METHOD_PUT, &(Block){ 16, false, BERT }, NULL, body, 16384, 20000 - 16384);
        p = tcp_hear_message(f);
        assert_int_equal(p->code, CODE(2, 4));
        is_block(&p->block1, 16, false, BERT);
        assert_int_equal(f->n_requests, 1);
        is_body(f->body, body);
        /* In one message. */
        say_request(f, METHOD_PUT, NULL, NULL, body, 0, 20000);
        assert_int_equal(tcp_hear_message(f)->code, CODE(2, 4));
        is_body(f->body, body);
        /* Sizes may change on the way, as the offset tells. */
        say_request(f, METHOD_PUT, &(Block){ 0, true, 6 }, NULL, body, 0, 1024);
        assert_int_equal(tcp_hear_message(f)->code, CODE(2, 31));
        say_request(f, METHOD_PUT, &(Block){ 1, false, BERT }, NULL, body, 1024, 18976);
        assert_int_equal(tcp_hear_message(f)->code, CODE(2, 4));
        is_body(f->body, body);
        tcp_fixture_free(f);
}

static void test_upload_refused(void **state) {
        static const struct {
                Block block;
                size_t n;
                uint8_t code;
        } cases[] = {
                { { 0, true, BERT }, 1000, CODE(4, 0) }, /* no multiple of 1024 */
                { { 0, true, BERT }, 0, CODE(4, 0) },    /* nothing, and more to come */
                { { 3, true, BERT }, 1024, CODE(4, 8) }, /* of nothing begun */
                { { BLOCK_NUM_MAX, true, BERT }, 1024, CODE(4, 8) },
                { { 0, true, 6 }, 2048, CODE(4, 0) },
        };
        TcpFixture *f = tcp_fixture_new(&(CoapConfig){ .body_max = 5000 });
        g_autoptr(GBytes) body = make_body(8192);

        connect_with(f, WITH_BLOCKS_8K);
        for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
                say_request(f, METHOD_PUT, &cases[i].block, NULL, body, 0, cases[i].n);
                assert_int_equal(tcp_hear_message(f)->code, cases[i].code);
        }
        say_request(f, METHOD_PUT, &(Block){ 0, true, BERT }, NULL, body, 0, 4096);
        assert_int_equal(tcp_hear_message(f)->code, CODE(2, 31));
        say_request(f, METHOD_PUT, &(Block){ 4, true, BERT }, NULL, body, 4096, 4096);
        assert_int_equal(tcp_hear_message(f)->code, CODE(4, 13)); /* above body_max */
        assert_int_equal(f->n_requests, 0);
        assert_true(tcp_is_up(f) && f->link);
        tcp_fixture_free(f);
}

/* Reads an answer in blocks, from a first one that is in p. */
static GBytes *read_on(TcpFixture *f, const Packet *p, uint8_t szx, unsigned *ret_n) {
        GByteArray *all = g_byte_array_new();

        for (*ret_n = 1;; ++*ret_n) {
                assert_true(p->has_block2);
                assert_int_equal(block_offset(&p->block2), all->len);
                assert_int_equal(p->block2.szx, szx);
                assert_true(block_holds(&p->block2, p->n_payload));
                assert_true(p->size <= 8192);
                g_byte_array_append(all, p->payload, (guint) p->n_payload);
                if (!p->block2.more)
                        break;
                say_request(f, METHOD_GET, NULL, &(Block){ all->len / 1024, false, szx }, NULL, 0,
                            0);
                p = tcp_hear_message(f);
        }
        return g_byte_array_free_to_bytes(all);
}

static void test_answer(void **state) {
        TcpFixture *f = tcp_fixture_new(NULL);
        g_autoptr(GBytes) got = NULL, again = NULL;
        const Packet *p;
        unsigned n;

        f->payload = make_body(20000);
        connect_with(f, WITH_BLOCKS_8K);
        say_request(f, METHOD_GET, NULL, NULL, NULL, 0, 0);
        p = tcp_hear_message(f);
        assert_int_equal(p->size2, 20000);
        got = read_on(f, p, BERT, &n);
        is_body(got, f->payload);
        assert_int_equal(n, 3);
        /* The server may want small blocks all the same. */
        say_request(f, METHOD_GET, NULL, &(Block){ 0, false, 6 }, NULL, 0, 0);
        again = read_on(f, tcp_hear_message(f), 6, &n);
        is_body(again, f->payload);
        assert_int_equal(n, 20);
        /* What fits goes as it is. */
        g_bytes_unref(f->payload);
        f->payload = make_body(8000);
        say_request(f, METHOD_GET, NULL, NULL, NULL, 0, 0);
        p = tcp_hear_message(f);
        assert_false(p->has_block2);
        assert_int_equal(p->n_payload, 8000);
        tcp_fixture_free(f);
}

/* A server that takes 1152 bytes and says that it knows blocks: as over UDP. */
static void test_answer_small(void **state) {
        TcpFixture *f = tcp_fixture_new(NULL);
        g_autoptr(GBytes) got = NULL;
        unsigned n;

        f->payload = make_body(3000);
        connect_with(f, "\x40");
        say_request(f, METHOD_GET, NULL, NULL, NULL, 0, 0);
        got = read_on(f, tcp_hear_message(f), 6, &n);
        is_body(got, f->payload);
        say_request(f, METHOD_GET, NULL, &(Block){ 0, false, BERT }, NULL, 0, 0);
        is_block(&tcp_hear_message(f)->block2, 0, true, 6);
        tcp_fixture_free(f);
}

/* --- requests to the server --- */

static void test_request(void **state) {
        TcpFixture *f = tcp_fixture_new(NULL);
        g_autoptr(GBytes) body = make_body(20000);
        const Packet *p;
        size_t at = 0;

        connect_with(f, WITH_BLOCKS_8K);
        tcp_ask(f, "dp", body);
        p = tcp_hear_message(f);
        is_block(&p->block1, 0, true, BERT);
        assert_int_equal(p->size1, 20000);
        assert_int_equal(p->n_payload, 7168);
        at = p->n_payload;
        say_answer(f, p, CODE(2, 31), &(Block){ 0, true, BERT }, NULL, NULL, 0, 0);
        p = tcp_hear_message(f);
        is_block(&p->block1, 7, true, BERT);
        at += p->n_payload;
        /* It would rather have smaller ones. */
        say_answer(f, p, CODE(2, 31), &(Block){ 7, true, 5 }, NULL, NULL, 0, 0);
        for (;;) {
                p = tcp_hear_message(f);
                assert_int_equal(p->block1.szx, 5);
                assert_int_equal(block_offset(&p->block1), at);
                assert_memory_equal(p->payload, (const uint8_t *) g_bytes_get_data(body, NULL) + at,
                                    p->n_payload);
                at += p->n_payload;
                if (!p->block1.more)
                        break;
                say_answer(f, p, CODE(2, 31), &p->block1, NULL, NULL, 0, 0);
        }
        assert_int_equal(at, 20000);
        say_answer(f, p, CODE(2, 4), &p->block1, NULL, NULL, 0, 0);
        tcp_run_until(f, tcp_is_answered);
        assert_int_equal(f->answer_code, CODE(2, 4));
        tcp_fixture_free(f);
}

static void test_answer_to_us(void **state) {
        TcpFixture *f = tcp_fixture_new(NULL);
        g_autoptr(GBytes) body = make_body(9000);
        const Packet *p;

        connect_with(f, WITH_BLOCKS_8K);
        tcp_ask(f, "bspack", NULL);
        p = tcp_hear_message(f);
        say_answer(f, p, CODE(2, 5), NULL, &(Block){ 0, true, BERT }, body, 0, 4096);
        p = tcp_hear_message(f);
        is_block(&p->block2, 4, false, BERT);
        say_answer(f, p, CODE(2, 5), NULL, &(Block){ 4, true, BERT }, body, 4096, 1024);
        p = tcp_hear_message(f);
        is_block(&p->block2, 5, false, BERT);
        say_answer(f, p, CODE(2, 5), NULL, &(Block){ 5, false, BERT }, body, 5120, 3880);
        tcp_run_until(f, tcp_is_answered);
        is_body(f->body, body);
        /* One that is no multiple of 1024 makes no body. */
        tcp_ask(f, "bspack", NULL);
        p = tcp_hear_message(f);
        say_answer(f, p, CODE(2, 5), NULL, &(Block){ 0, true, BERT }, body, 0, 1025);
        tcp_run_until(f, tcp_is_answered);
        assert_int_equal(f->error, -EBADMSG);
        tcp_fixture_free(f);
}

static void test_notification(void **state) {
        TcpFixture *f = tcp_fixture_new(NULL);
        g_autoptr(GBytes) body = make_body(10000), token = g_bytes_new_static("T", 1), got = NULL;
        Message m = MESSAGE_INIT(CODE(2, 5));
        const Packet *p;
        unsigned n;
        Call *c;

        connect_with(f, WITH_BLOCKS_8K);
        m.confirmable = false;
        m.observe = 9;
        m.token = token;
        m.payload = body;
        assert_int_equal(f->ops->notify(f->link, &m, NULL, NULL, &c), 0);
        p = tcp_hear_message(f);
        assert_int_equal(p->n_payload, 7168);
        f->payload = g_bytes_ref(body);
        got = read_on(f, p, BERT, &n);
        is_body(got, body);
        assert_int_equal(n, 2);
        tcp_fixture_free(f);
}

/* --- a server that offers no blocks --- */

static void test_no_blocks(void **state) {
        TcpFixture *f = tcp_fixture_new(NULL);
        g_autoptr(GBytes) token = g_bytes_new_static("T", 1), got = NULL;
        const char *const segments[] = { "dp", NULL };
        Message m = MESSAGE_INIT(CODE(2, 5)), request = MESSAGE_INIT(METHOD_POST);
        const Packet *p;
        unsigned n;
        Call *c;

        tcp_connect_link(f);
        f->payload = make_body(1100); /* above a block, below a message */
        say_request(f, METHOD_GET, NULL, NULL, NULL, 0, 0);
        p = tcp_hear_message(f);
        assert_false(p->has_block2);
        assert_int_equal(p->n_payload, 1100);
        g_bytes_unref(f->payload);
        f->payload = make_body(3000);
        say_request(f, METHOD_GET, NULL, NULL, NULL, 0, 0);
        p = tcp_hear_message(f);
        assert_int_equal(p->code, CODE(5, 0));
        assert_memory_equal(p->payload, "The answer does not fit", 23);
        m.token = token;
        m.observe = 9;
        m.payload = request.payload = f->payload;
        request.path = segments;
        assert_int_equal(f->ops->notify(f->link, &m, NULL, NULL, &c), -EMSGSIZE);
        assert_int_equal(f->ops->request(f->link, &request, NULL, NULL, &c), -EMSGSIZE);
        assert_int_equal(f->in->len, 0);
        /* Who asks for a block knows what it is. */
        say_request(f, METHOD_GET, NULL, &(Block){ 0, false, 6 }, NULL, 0, 0);
        got = read_on(f, tcp_hear_message(f), 6, &n);
        is_body(got, f->payload);
        tcp_fixture_free(f);
}

static void test_no_blocks_but_large(void **state) {
        TcpFixture *f = tcp_fixture_new(NULL);
        const Packet *p;

        f->payload = make_body(30000);
        connect_with(f, ONLY_32K);
        say_request(f, METHOD_GET, NULL, NULL, NULL, 0, 0);
        p = tcp_hear_message(f);
        assert_false(p->has_block2);
        assert_int_equal(p->n_payload, 30000);
        g_bytes_unref(f->payload);
        f->payload = make_body(33000);
        say_request(f, METHOD_GET, NULL, NULL, NULL, 0, 0);
        assert_int_equal(tcp_hear_message(f)->code, CODE(5, 0));
        tcp_fixture_free(f);
}

/* The CSM may come again, with other numbers (section 5.3). */
static void test_csm_changes(void **state) {
        TcpFixture *f = tcp_fixture_new(NULL);

        f->payload = make_body(3000);
        connect_with(f, WITH_BLOCKS_8K);
        say_request(f, METHOD_GET, NULL, NULL, NULL, 0, 0);
        assert_false(tcp_hear_message(f)->has_block2);
        tcp_say_text(f, "\x30\xe1\x22\x04\x80"); /* 1152: no BERT any more */
        say_request(f, METHOD_GET, NULL, NULL, NULL, 0, 0);
        is_block(&tcp_hear_message(f)->block2, 0, true, 6);
        tcp_say_text(f, "\x30\xe1\x22\x01\x00"); /* 256 */
        say_request(f, METHOD_GET, NULL, NULL, NULL, 0, 0);
        is_block(&tcp_hear_message(f)->block2, 0, true, 3);
        tcp_fixture_free(f);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_upload),       cmocka_unit_test(test_upload_refused),
                cmocka_unit_test(test_answer),       cmocka_unit_test(test_answer_small),
                cmocka_unit_test(test_request),      cmocka_unit_test(test_answer_to_us),
                cmocka_unit_test(test_notification), cmocka_unit_test(test_no_blocks),
                cmocka_unit_test(test_csm_changes),  cmocka_unit_test(test_no_blocks_but_large),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
