/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "coap/block1.h"
#include "coap/spool.h"
#include "lwm2m/transport.h"

#define SEC UINT64_C(1000000)

static const Block1Config config = {
        .body_max = 200000, .transfers_max = 3, .lifetime_usec = 100 * SEC, .szx = 6
};

static uint8_t pattern(size_t i, unsigned seed) {
        return (uint8_t) (i * 31 + (i >> 8) * 7 + seed);
}

static Block1Result receive(Block1 *b, const char *key, Block block, size_t n, unsigned seed,
                            uint64_t now) {
        uint8_t payload[2048];
        Block1Request request = { .key = (const uint8_t *) key,
                                  .n_key = strlen(key),
                                  .block = block,
                                  .size1 = -1,
                                  .payload = payload,
                                  .n_payload = n };
        Block1Result result;

        for (size_t i = 0; i < n; i++)
                payload[i] = pattern(block_offset(&block) + i, seed);
        block1_receive(b, &request, now, &result);
        assert_true(result.code == 0 || result.body == NULL);
        return result;
}

static Block1Result full(Block1 *b, const char *key, uint32_t num, uint8_t szx, unsigned seed,
                         uint64_t now) {
        return receive(b, key, (Block){ .num = num, .more = true, .szx = szx }, block_size(szx),
                       seed, now);
}

static void assert_body(GBytes *body, size_t n, unsigned seed) {
        const uint8_t *v = g_bytes_get_data(body, NULL);

        assert_int_equal(g_bytes_get_size(body), n);
        for (size_t i = 0; i < n; i++)
                assert_int_equal(v[i], pattern(i, seed));
        g_bytes_unref(body);
}

static void test_interleaved(void **state) {
        g_autoptr(Block1) b = block1_new(&config);
        static const char *const keys[] = { "a", "bb", "ab" };

        for (uint32_t num = 0; num < 100; num++)
                for (unsigned k = 0; k < 3; k++) {
                        Block1Result r = full(b, keys[k], num, 4, k, num);

                        assert_int_equal(r.code, CODE(2, 31));
                        assert_int_equal(r.block.num, num);
                        assert_true(r.block.more);
                }
        assert_int_equal(block1_count(b), 3);
        for (unsigned k = 0; k < 3; k++) {
                Block1Result r =
                        receive(b, keys[k], (Block){ .num = 100, .szx = 4 }, k * 100, k, 200);

                assert_int_equal(r.code, 0);
                assert_body(r.body, 25600 + k * 100, k);
        }
        assert_int_equal(block1_count(b), 0);
}

/* Above 64 KiB the body is in a file; what comes out is the same. */
static void test_spooled(void **state) {
        g_autoptr(Block1) b = block1_new(&config);
        Block1Result r;

        for (uint32_t num = 0; num < 195; num++)
                assert_int_equal(full(b, "k", num, 6, 9, 0).code, CODE(2, 31));
        r = receive(b, "k", (Block){ .num = 195, .szx = 6 }, 1, 9, 0);
        assert_int_equal(r.code, 0);
        assert_body(r.body, 195 * 1024 + 1, 9);
}

static void test_spool_fails(void **state) {
        Block1Config broken = config;
        Block1Result r = { .code = 0 };

        broken.spool_directory = "/nonexistent/directory";
        {
                g_autoptr(Block1) b = block1_new(&broken);

                for (uint32_t num = 0; num < 65; num++)
                        r = full(b, "k", num, 6, 9, 0);
                assert_int_equal(r.code, CODE(5, 0));
                assert_int_equal(block1_count(b), 0);
        }
}

static void test_sizes_change(void **state) {
        Block1Config small = config;
        Block1Result r;

        small.szx = 2;
        {
                g_autoptr(Block1) b = block1_new(&small);

                r = full(b, "k", 0, 6, 1, 0);
                assert_int_equal(r.code, CODE(2, 31));
                assert_int_equal(r.block.szx, 2); /* asks for 64 bytes */
                assert_int_equal(full(b, "k", 16, 2, 1, 0).code, CODE(2, 31));
                r = receive(b, "k", (Block){ .num = 17, .szx = 2 }, 0, 1, 0);
                assert_int_equal(r.code, 0);
                assert_body(r.body, 1024 + 64, 1);
        }
}

static void test_refused(void **state) {
        g_autoptr(Block1) b = block1_new(&config);
        Block1Request declared = { .key = (const uint8_t *) "k",
                                   .n_key = 1,
                                   .block = { .more = true, .szx = 0 },
                                   .size1 = 200001,
                                   .payload = (const uint8_t *) "0123456789abcdef",
                                   .n_payload = 16 };
        Block1Result r;

        /* No beginning; a hole; the same block again is no hole. */
        assert_int_equal(full(b, "k", 3, 4, 0, 0).code, CODE(4, 8));
        assert_int_equal(full(b, "k", 0, 4, 0, 0).code, CODE(2, 31));
        assert_int_equal(full(b, "k", 0, 4, 0, 0).code, CODE(2, 31));
        assert_int_equal(full(b, "k", 1, 4, 0, 0).code, CODE(2, 31));
        assert_int_equal(full(b, "k", 1, 4, 0, 0).code, CODE(2, 31));
        assert_int_equal(full(b, "k", 3, 4, 0, 0).code, CODE(4, 8));
        assert_int_equal(full(b, "k", 2, 4, 0, 0).code, CODE(4, 8)); /* it is gone */
        /* A block that is not full, or more than full. */
        assert_int_equal(receive(b, "k", (Block){ .more = true, .szx = 4 }, 255, 0, 0).code,
                         CODE(4, 0));
        assert_int_equal(receive(b, "k", (Block){ .more = false, .szx = 4 }, 257, 0, 0).code,
                         CODE(4, 0));
        /* Too large by what it says, and by what it is. */
        block1_receive(b, &declared, 0, &r);
        assert_int_equal(r.code, CODE(4, 13));
        assert_int_equal(r.size1, 200000);
        for (uint32_t num = 0; num < 195; num++)
                assert_int_equal(full(b, "k", num, 6, 0, 0).code, CODE(2, 31));
        r = full(b, "k", 195, 6, 0, 0);
        assert_int_equal(r.code, CODE(4, 13));
        assert_int_equal(r.size1, 200000);
        assert_int_equal(block1_count(b), 0);
        /* Numbers that would overflow an offset. */
        assert_int_equal(full(b, "k", BLOCK_NUM_MAX, 6, 0, 0).code, CODE(4, 8));
}

static void test_begins_again(void **state) {
        g_autoptr(Block1) b = block1_new(&config);
        Block1Result r;

        full(b, "k", 0, 4, 1, 0);
        full(b, "k", 1, 4, 1, 0);
        assert_int_equal(full(b, "k", 0, 4, 2, 0).code, CODE(2, 31));
        r = receive(b, "k", (Block){ .num = 1, .szx = 4 }, 5, 2, 0);
        assert_int_equal(r.code, 0);
        assert_body(r.body, 256 + 5, 2);
}

static void test_forgotten(void **state) {
        g_autoptr(Block1) b = block1_new(&config);

        assert_int_equal(full(b, "k", 0, 4, 0, 0).code, CODE(2, 31));
        assert_int_equal(full(b, "k", 1, 4, 0, 50 * SEC).code, CODE(2, 31));
        assert_int_equal(block1_expire(b, 60 * SEC), 150 * SEC);
        assert_int_equal(block1_expire(b, 150 * SEC), UINT64_MAX);
        assert_int_equal(block1_count(b), 0);
        assert_int_equal(full(b, "k", 2, 4, 0, 150 * SEC).code, CODE(4, 8));
}

static void test_too_many(void **state) {
        g_autoptr(Block1) b = block1_new(&config);
        Block1Result r;

        assert_int_equal(full(b, "1", 0, 4, 0, 0).code, CODE(2, 31));
        assert_int_equal(full(b, "2", 0, 4, 0, 0).code, CODE(2, 31));
        assert_int_equal(full(b, "3", 0, 4, 0, 0).code, CODE(2, 31));
        assert_int_equal(full(b, "4", 0, 4, 0, SEC).code, CODE(5, 3));
        assert_int_equal(full(b, "2", 1, 4, 0, SEC).code, CODE(2, 31)); /* who is in goes on */
        /* One block alone needs no place. */
        r = receive(b, "5", (Block){ .num = 0, .szx = 4 }, 5, 0, SEC);
        assert_int_equal(r.code, 0);
        g_bytes_unref(r.body);
        /* The idle one makes room. */
        assert_int_equal(full(b, "3", 1, 4, 0, 5 * SEC).code, CODE(2, 31));
        assert_int_equal(full(b, "4", 0, 4, 0, BLOCK1_IDLE_USEC).code, CODE(2, 31));
        assert_int_equal(full(b, "1", 1, 4, 0, BLOCK1_IDLE_USEC).code, CODE(4, 8));
        assert_int_equal(block1_count(b), 3);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_interleaved), cmocka_unit_test(test_spooled),
                cmocka_unit_test(test_spool_fails), cmocka_unit_test(test_sizes_change),
                cmocka_unit_test(test_refused),     cmocka_unit_test(test_begins_again),
                cmocka_unit_test(test_forgotten),   cmocka_unit_test(test_too_many),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
