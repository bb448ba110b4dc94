/* SPDX-License-Identifier: Apache-2.0 */
/* Messages as bytes (coap/packet.h) and through libcoap (coap/pdu.h). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "coap/pdu.h"

static void read_bytes(const uint8_t *bytes, size_t n, Packet *ret, coap_pdu_t **keep) {
        *keep = pdu_new(bytes, n);
        assert_non_null(*keep);
        pdu_read(*keep, ret);
}

static void test_exact_bytes(void **state) {
        static const char *const path[] = { "rd", NULL }, *const query[] = { "ep=a", NULL };
        static const uint8_t expected[] = { 0x42, 0x02, 0x12, 0x34, 'T',  'k', 0xb2,
                                            'r',  'd',  0x11, 40,   0x34, 'e', 'p',
                                            '=',  'a',  0xc1, 0x0e, 0xff, '<', '>' };
        uint8_t buffer[64];
        Message m = MESSAGE_INIT(METHOD_POST);
        PacketOut o = PACKET_OUT_INIT;
        Block b = { .num = 0, .more = true, .szx = 6 };

        m.path = path;
        m.query = query;
        m.format = 40;
        o.type = PACKET_CON;
        o.mid = 0x1234;
        o.token = (Token){ .v = "Tk", .n = 2 };
        o.message = &m;
        o.request = true;
        o.block1 = &b;
        o.payload = (const uint8_t *) "<>";
        o.n_payload = 2;
        assert_int_equal(packet_write(&o, buffer, sizeof(buffer)), sizeof(expected));
        assert_memory_equal(buffer, expected, sizeof(expected));
        packet_set_mid(buffer, 0xabcd);
        assert_int_equal(buffer[2], 0xab);
        assert_int_equal(buffer[3], 0xcd);
        for (size_t n = 0; n < sizeof(expected); n++)
                assert_int_equal(packet_write(&o, buffer, n), -EMSGSIZE);
}

static void test_round_trip(void **state) {
        char longest[256], too_long[257];
        const char *path[] = { "a", longest, "", "fourteen-bytes", NULL },
                   *query[] = { "x=1", "y", NULL };
        const char *bad_path[] = { too_long, NULL };
        uint8_t buffer[PACKET_OUT_MAX], payload[300];
        static const uint8_t etag[] = { 1, 2, 3, 4, 5, 6, 7, 8 };
        Block b1 = { .num = 1000, .more = true, .szx = 5 }, b2 = { .num = BLOCK_NUM_MAX, .szx = 0 };
        Message m = MESSAGE_INIT(METHOD_FETCH);
        PacketOut o = PACKET_OUT_INIT;
        coap_pdu_t *pdu;
        Packet p;
        int n;

        memset(longest, 'l', 255);
        longest[255] = 0;
        memset(too_long, 'l', 256);
        too_long[256] = 0;
        memset(payload, 0xff, sizeof(payload));
        m.path = path;
        m.query = query;
        m.format = 11542;
        m.accept = 0;
        m.observe = 0xabcdef;
        o.type = PACKET_NON;
        o.mid = 77;
        o.token = (Token){ .v = "12345678", .n = 8 };
        o.message = &m;
        o.request = true;
        o.block1 = &b1;
        o.block2 = &b2;
        o.etag = etag;
        o.size1 = 70000;
        o.size2 = 0;
        o.payload = payload;
        o.n_payload = sizeof(payload);
        n = packet_write(&o, buffer, sizeof(buffer));
        assert_true(n > 0);
        read_bytes(buffer, (size_t) n, &p, &pdu);
        assert_int_equal(p.type, PACKET_NON);
        assert_int_equal(p.mid, 77);
        assert_int_equal(p.code, METHOD_FETCH);
        assert_int_equal(p.refusal, 0);
        assert_int_equal(p.token.n, 8);
        assert_memory_equal(p.token.v, "12345678", 8);
        assert_int_equal(p.size, n);
        assert_int_equal(p.format, 11542);
        assert_int_equal(p.accept, 0);
        assert_int_equal(p.observe, 0xabcdef);
        assert_int_equal(block_value(&p.block1), block_value(&b1));
        assert_int_equal(block_value(&p.block2), block_value(&b2));
        assert_int_equal(p.size1, 70000);
        assert_int_equal(p.size2, 0);
        assert_int_equal(p.n_etag, 8);
        assert_memory_equal(p.etag, etag, 8);
        for (size_t i = 0; i < 4; i++)
                assert_string_equal(p.path[i], path[i]);
        assert_null(p.path[4]);
        assert_string_equal(p.query[1], "y");
        assert_int_equal(p.n_payload, sizeof(payload));
        assert_memory_equal(p.payload, payload, sizeof(payload));
        coap_delete_pdu(pdu);

        m.path = bad_path;
        assert_int_equal(packet_write(&o, buffer, sizeof(buffer)), -EINVAL);
        m.path = NULL;
        m.format = 65536;
        assert_int_equal(packet_write(&o, buffer, sizeof(buffer)), -EINVAL);
}

static void begin(Packet *p) {
        packet_begin(p, PACKET_CON, METHOD_PUT, 1, (const uint8_t *) "t", 1);
}

static void option(Packet *p, uint16_t number, const char *value) {
        packet_option(p, number, (const uint8_t *) value, strlen(value));
}

static uint8_t refusal_of(uint16_t number, const void *value, size_t n, unsigned times) {
        Packet p;

        begin(&p);
        for (unsigned i = 0; i < times; i++)
                packet_option(&p, number, value, n);
        packet_end(&p, NULL, 0);
        assert_true(p.n_path <= PACKET_SEGMENTS_MAX && p.path[p.n_path] == NULL);
        return p.refusal;
}

static void test_refusals(void **state) {
        static const struct {
                uint16_t number;
                const char *value;
                size_t n;
                unsigned times;
                uint8_t code;
        } cases[] = {
                { 11, "3", 1, PACKET_SEGMENTS_MAX, 0 },
                { 11, "3", 1, PACKET_SEGMENTS_MAX + 1, CODE(4, 4) },
                { 15, "3", 1, PACKET_SEGMENTS_MAX + 1, CODE(4, 0) },
                { 11, "a\0b", 3, 1, CODE(4, 0) },
                { 11, "\xff", 1, 1, CODE(4, 0) },
                { 12, "\0\0\0", 3, 1, CODE(4, 15) },
                { 12, "\0", 1, 2, CODE(4, 15) },
                { 17, "\0\0\0", 3, 1, CODE(4, 2) },
                { 17, "\0", 1, 2, CODE(4, 2) },
                { 23, "\x07", 1, 1, CODE(4, 0) },
                { 27, "\x01", 1, 2, CODE(4, 0) },
                { 27, "\0\0\0\0", 4, 1, CODE(4, 0) },
                { 1, "x", 1, 1, CODE(4, 2) },
                { 5, "", 0, 1, CODE(4, 2) },
                { 35, "coap://x", 8, 1, CODE(5, 5) },
                { 39, "coap", 4, 1, CODE(5, 5) },
                { 3, "host", 4, 1, 0 }, /* we are whoever was meant */
                { 7, "\x16\x33", 2, 1, 0 },
                { 6, "\1\1\1\1", 4, 1, 0 }, /* elective: a bad one is ignored */
                { 60, "\1\1\1\1\1", 5, 1, 0 },
                { 8, "\xff", 1, 1, 0 }, /* Location-Path of a request says nothing */
                { 292, "tag", 3, 1, 0 },
                { 2048, "elective", 8, 3, 0 },
        };

        for (size_t i = 0; i < G_N_ELEMENTS(cases); i++)
                assert_int_equal(
                        refusal_of(cases[i].number, cases[i].value, cases[i].n, cases[i].times),
                        cases[i].code);
}

/* A datagram that fills libcoap's buffer may have been longer. */
/* Elective: of two, or of one that is too long, nothing is refused for it. */
static void test_max_age(void **state) {
        static const struct {
                uint8_t bytes[16];
                size_t n;
                int64_t expected;
        } cases[] = {
                { { 0x40, 0xa3, 0, 1 }, 4, -1 },
                { { 0x40, 0xa3, 0, 1, 0xd0, 1 }, 6, 0 },
                { { 0x40, 0xa3, 0, 1, 0xd2, 1, 0x0e, 0x10 }, 8, 3600 },
                { { 0x40, 0xa3, 0, 1, 0xd1, 1, 7, 0x01, 9 }, 9, 7 },
        };

        for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
                coap_pdu_t *pdu;
                Packet p;

                read_bytes(cases[i].bytes, cases[i].n, &p, &pdu);
                assert_int_equal(p.refusal, 0);
                assert_int_equal(packet_message(&p, NULL, NULL).max_age, cases[i].expected);
                coap_delete_pdu(pdu);
        }
}

static void test_cut(void **state) {
        static const uint8_t payload[PACKET_IN_MAX];
        Packet p;

        begin(&p); /* 5 bytes, and 1 before the payload */
        packet_end(&p, payload, PACKET_IN_MAX - 7);
        assert_int_equal(p.refusal, 0);
        assert_int_equal(p.size, PACKET_IN_MAX - 1);
        begin(&p);
        packet_end(&p, payload, PACKET_IN_MAX - 6);
        assert_int_equal(p.refusal, CODE(4, 13));
}

static void test_keys(void **state) {
        Packet a, b;
        const uint8_t *ka, *kb;
        size_t na, nb;

        begin(&a);
        option(&a, 11, "5");
        option(&a, 12, "\x2a");
        option(&a, 15, "q");
        option(&a, 292, "tag1");
        packet_end(&a, NULL, 0);
        begin(&b);
        option(&b, 11, "5");
        option(&b, 12, "\x2b");
        option(&b, 15, "q");
        option(&b, 292, "tag2");
        packet_end(&b, NULL, 0);
        ka = packet_key(&a, false, &na);
        kb = packet_key(&b, false, &nb);
        assert_int_equal(na, nb);
        assert_memory_equal(ka, kb, na);
        ka = packet_key(&a, true, &na);
        kb = packet_key(&b, true, &nb);
        assert_true(na != nb || memcmp(ka, kb, na) != 0);
        assert_true(a.fingerprint != b.fingerprint);

        /* "5/0" is not "50", and a path is not a query. */
        begin(&a);
        option(&a, 11, "5");
        option(&a, 11, "0");
        packet_end(&a, NULL, 0);
        begin(&b);
        option(&b, 11, "50");
        packet_end(&b, NULL, 0);
        ka = packet_key(&a, false, &na);
        kb = packet_key(&b, false, &nb);
        assert_true(na != nb || memcmp(ka, kb, na) != 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_exact_bytes), cmocka_unit_test(test_round_trip),
                cmocka_unit_test(test_refusals),    cmocka_unit_test(test_max_age),
                cmocka_unit_test(test_cut),         cmocka_unit_test(test_keys),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
