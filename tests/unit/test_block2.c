/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "coap/block2.h"

#define SEC UINT64_C(1000000)

static const Block2Config config = { .bytes_max = 1000,
                                     .bodies_max = 3,
                                     .lifetime_usec = 100 * SEC };

static Block2Key key(const char *text, uint64_t payload_hash) {
        return (Block2Key){ .v = (const uint8_t *) text,
                            .n = strlen(text),
                            .payload_hash = payload_hash };
}

static void keep(Block2 *b, const char *text, uint64_t hash, size_t n, uint8_t fill, uint64_t now) {
        g_autofree uint8_t *v = g_malloc(n);
        Block2Key k = key(text, hash);
        Body body = { .code = CODE(2, 5), .format = fill };

        memset(v, fill, n);
        body.bytes = g_bytes_new_take(g_steal_pointer(&v), n);
        block2_etag(g_bytes_get_data(body.bytes, NULL), n, body.etag);
        block2_keep(b, &k, &body, now);
        g_bytes_unref(body.bytes);
}

static int found(Block2 *b, const char *text, uint64_t hash, uint64_t now) {
        Block2Key k = key(text, hash);
        const Body *body = block2_find(b, &k, now);

        if (!body)
                return -1;
        assert_int_equal(((const uint8_t *) g_bytes_get_data(body->bytes, NULL))[0], body->format);
        return body->format;
}

static void test_find(void **state) {
        g_autoptr(Block2) b = block2_new(&config);

        keep(b, "GET /3", 0, 100, 1, 0);
        keep(b, "FETCH", 77, 100, 2, 0);
        keep(b, "FETCH", 78, 100, 3, 0);
        assert_int_equal(found(b, "GET /3", 0, 0), 1);
        assert_int_equal(found(b, "GET /3/", 0, 0), -1);
        assert_int_equal(found(b, "FETCH", 77, 0), 2);
        assert_int_equal(found(b, "FETCH", 79, 0), -1);
        assert_int_equal(found(b, "FETCH", 0, 0), 2); /* the one read last */
        assert_int_equal(found(b, "FETCH", 78, 0), 3);
        assert_int_equal(found(b, "FETCH", 0, 0), 3);
        keep(b, "GET /3", 0, 50, 9, 0); /* in place of the old one */
        assert_int_equal(found(b, "GET /3", 0, 0), 9);
        assert_int_equal(block2_bytes(b), 250);
}

static void test_bounded(void **state) {
        g_autoptr(Block2) b = block2_new(&config);

        keep(b, "huge", 0, 1001, 1, 0);
        assert_int_equal(found(b, "huge", 0, 0), -1);
        keep(b, "1", 0, 400, 1, 0);
        keep(b, "2", 0, 400, 2, 0);
        assert_int_equal(found(b, "1", 0, 0), 1);
        keep(b, "3", 0, 400, 3, 0); /* "2" was used less lately */
        assert_int_equal(found(b, "2", 0, 0), -1);
        assert_int_equal(found(b, "1", 0, 0), 1);
        keep(b, "4", 0, 10, 4, 0);
        keep(b, "5", 0, 10, 5, 0);
        assert_int_equal(found(b, "3", 0, 0), -1);
        assert_true(block2_bytes(b) <= 1000);
        keep(b, "huge", 0, 1001, 1, 0);
        assert_int_equal(found(b, "5", 0, 0), 5);
}

static void test_forgotten(void **state) {
        g_autoptr(Block2) b = block2_new(&config);
        Block2Key k = key("1", 0);

        keep(b, "1", 0, 10, 1, 0);
        assert_int_equal(found(b, "1", 0, 99 * SEC), 1);
        assert_int_equal(block2_expire(b, 100 * SEC), 199 * SEC);
        block2_read(b, &k, 100 * SEC);
        assert_int_equal(block2_expire(b, 100 * SEC), 100 * SEC + BLOCK2_READ_USEC);
        assert_int_equal(block2_expire(b, 100 * SEC + BLOCK2_READ_USEC), UINT64_MAX);
        assert_int_equal(block2_bytes(b), 0);
        keep(b, "1", 0, 10, 1, 200 * SEC);
        assert_int_equal(found(b, "1", 0, 300 * SEC), -1);
}

static void test_packed_key(void **state) {
        g_autoptr(GBytes) packed = NULL, cut = g_bytes_new_static("1234567", 7);
        Block2Key k = key("one", 5), got;

        packed = block2_pack_key(&k);
        assert_true(block2_unpack_key(packed, &got));
        assert_int_equal(got.n, 3);
        assert_memory_equal(got.v, "one", 3);
        assert_int_equal(got.payload_hash, 5);
        assert_false(block2_unpack_key(cut, &got));
        assert_false(block2_unpack_key(NULL, &got));
}

static void test_slice(void **state) {
        static const struct {
                size_t size;
                Block asked;
                uint8_t szx;
                size_t n_bert;
                int result;
                Block block;
                size_t offset, n;
        } cases[] = {
                { 0, { 0, false, 6 }, 6, 0, 0, { 0, false, 6 }, 0, 0 },
                { 10, { 0, false, 6 }, 6, 0, 0, { 0, false, 6 }, 0, 10 },
                { 1024, { 0, false, 6 }, 6, 0, 0, { 0, false, 6 }, 0, 1024 },
                { 1025, { 0, false, 6 }, 6, 0, 0, { 0, true, 6 }, 0, 1024 },
                { 1025, { 1, false, 6 }, 6, 0, 0, { 1, false, 6 }, 1024, 1 },
                { 1024, { 1, false, 6 }, 6, 0, -ERANGE, { 0, false, 0 }, 0, 0 },
                { 1025, { 0, false, 6 }, 2, 0, 0, { 0, true, 2 }, 0, 64 }, /* we want less */
                { 1025, { 0, false, 0 }, 6, 0, 0, { 0, true, 0 }, 0, 16 }, /* the server wants less
                                                                            */
                { 1025, { 64, false, 0 }, 6, 0, 0, { 64, false, 0 }, 1024, 1 },
                { 1025, { 1, false, 6 }, 2, 0, 0, { 1, false, 6 }, 1024, 1 }, /* num counts its own
                                                                              size */
                { 0, { 1, false, 0 }, 6, 0, -ERANGE, { 0, false, 0 }, 0, 0 },
                { 1025, { BLOCK_NUM_MAX, false, 6 }, 6, 0, -ERANGE, { 0, false, 0 }, 0, 0 },
                /* BERT counts in 1024 bytes, and carries what there is room for. */
                { 9000, { 0, false, 7 }, 7, 4096, 0, { 0, true, 7 }, 0, 4096 },
                { 9000, { 4, false, 7 }, 7, 4096, 0, { 4, true, 7 }, 4096, 4096 },
                { 9000, { 8, false, 7 }, 7, 4096, 0, { 8, false, 7 }, 8192, 808 },
                { 9000, { 9, false, 7 }, 7, 4096, -ERANGE, { 0, false, 0 }, 0, 0 },
                { 9000, { 0, false, 7 }, 6, 0, 0, { 0, true, 6 }, 0, 1024 }, /* not by us */
                { 9000, { 4, false, 7 }, 6, 0, 0, { 4, true, 6 }, 4096, 1024 },
                { 9000, { 0, false, 5 }, 7, 4096, 0, { 0, true, 5 }, 0, 512 },
        };

        for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
                Block block;
                size_t offset, n;

                assert_int_equal(block2_slice(cases[i].size, &cases[i].asked, cases[i].szx,
                                              cases[i].n_bert, &block, &offset, &n),
                                 cases[i].result);
                if (cases[i].result < 0)
                        continue;
                assert_int_equal(block_value(&block), block_value(&cases[i].block));
                assert_int_equal(offset, cases[i].offset);
                assert_int_equal(n, cases[i].n);
        }
}

/* Every byte, and the length, counts. */
static void test_hash(void **state) {
        uint8_t v[40] = { 0 };

        for (size_t n = 0; n < sizeof(v); n++) {
                uint64_t h = block2_hash(v, n);

                assert_int_not_equal(h, block2_hash(v, n + 1));
                for (size_t i = 0; i < n; i++) {
                        v[i] ^= 0x80;
                        assert_int_not_equal(h, block2_hash(v, n));
                        v[i] ^= 0x80;
                }
                assert_int_equal(h, block2_hash(v, n));
        }
}

static void test_option(void **state) {
        Block b;

        for (uint32_t szx = 0; szx <= BLOCK_SZX_MAX; szx++) {
                uint8_t v[4] = { 0xff, 0xff, (uint8_t) (0xf8 | szx), 0 };

                assert_int_equal(block_parse(v, 3, false, &b), 0);
                assert_int_equal(b.num, BLOCK_NUM_MAX);
                assert_true(b.more);
                assert_int_equal(block_value(&b), 0xfffff8 | szx);
                assert_int_equal(block_parse(v, 4, true, &b), -EINVAL);
                assert_int_equal(block_szx(block_size(b.szx)), b.szx);
        }
        assert_int_equal(block_parse((const uint8_t *) "\x07", 1, false, &b), -EINVAL);
        assert_int_equal(block_parse((const uint8_t *) "\x2f", 1, true, &b), 0);
        assert_true(b.more && b.szx == BLOCK_SZX_BERT && block_offset(&b) == 2048);
        assert_int_equal(block_parse(NULL, 0, false, &b), 0);
        assert_int_equal(block_value(&b), 0);
        assert_int_equal(block_szx(31), 0);
        assert_int_equal(block_szx(100000), 6);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_find),      cmocka_unit_test(test_bounded),
                cmocka_unit_test(test_forgotten), cmocka_unit_test(test_packed_key),
                cmocka_unit_test(test_slice),     cmocka_unit_test(test_hash),
                cmocka_unit_test(test_option),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
