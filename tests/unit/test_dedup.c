/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "coap/dedup.h"

static const DedupLimits limits = { .entries_max = 4, .bytes_max = 100 };

static DedupState look(Dedup *d, uint16_t mid, uint64_t fingerprint, bool confirmable, uint64_t now,
                       GBytes **answer) {
        void *owner;

        return dedup_look(d, mid, fingerprint, confirmable, now, &owner, answer);
}

static void test_states(void **state) {
        g_autoptr(Dedup) d = dedup_new(&limits);
        GBytes *answer;
        void *owner;
        int x;

        assert_int_equal(look(d, 7, 1, true, 0, &answer), DEDUP_NEW);
        assert_int_equal(dedup_look(d, 7, 1, true, 1, &owner, &answer), DEDUP_PENDING);
        assert_null(owner);
        dedup_own(d, 7, &x);
        assert_int_equal(dedup_look(d, 7, 1, true, 1, &owner, &answer), DEDUP_PENDING);
        assert_ptr_equal(owner, &x);
        dedup_answer(d, 7, NULL, false, "no", 2); /* not who works on it */
        assert_int_equal(look(d, 7, 1, true, 2, &answer), DEDUP_PENDING);
        dedup_answer(d, 7, &x, false, "yes", 3);
        assert_int_equal(look(d, 7, 1, true, 3, &answer), DEDUP_ANSWERED);
        assert_int_equal(g_bytes_get_size(answer), 3);
        assert_memory_equal(g_bytes_get_data(answer, NULL), "yes", 3);
        /* Same id, other message. */
        assert_int_equal(look(d, 7, 2, true, 4, &answer), DEDUP_NEW);
        assert_null(answer);
        dedup_answer(d, 7, NULL, false, NULL, 0);
        assert_int_equal(look(d, 7, 2, true, 5, &answer), DEDUP_ANSWERED);
        assert_null(answer);
}

static void test_lifetimes(void **state) {
        g_autoptr(Dedup) d = dedup_new(&limits);
        GBytes *answer;

        look(d, 1, 1, true, 0, &answer);
        dedup_answer(d, 1, NULL, false, "a", 1);
        look(d, 2, 1, false, 0, &answer);
        dedup_answer(d, 2, NULL, true, "b", 1);
        assert_int_equal(look(d, 1, 1, true, DEDUP_EXCHANGE_LIFETIME_USEC - 1, &answer),
                         DEDUP_ANSWERED);
        assert_int_equal(look(d, 2, 1, false, DEDUP_NON_LIFETIME_USEC - 1, &answer),
                         DEDUP_ANSWERED);
        assert_int_equal(dedup_expire(d, 0), DEDUP_NON_LIFETIME_USEC);
        assert_int_equal(dedup_expire(d, DEDUP_NON_LIFETIME_USEC), DEDUP_EXCHANGE_LIFETIME_USEC);
        assert_int_equal(dedup_count(d), 1);
        assert_int_equal(look(d, 2, 1, false, DEDUP_NON_LIFETIME_USEC, &answer), DEDUP_NEW);
        dedup_answer(d, 2, NULL, true, NULL, 0);
        /* Without a call of expire, too. */
        assert_int_equal(look(d, 1, 1, true, DEDUP_EXCHANGE_LIFETIME_USEC, &answer), DEDUP_NEW);
        dedup_answer(d, 1, NULL, true, NULL, 0);
        assert_int_equal(dedup_expire(d, 10 * DEDUP_EXCHANGE_LIFETIME_USEC), UINT64_MAX);
        assert_int_equal(dedup_count(d), 0);
        assert_int_equal(dedup_bytes(d), 0);
}

/* A flood of reads leaves the answer to an Execute where it is. */
static void test_bounded(void **state) {
        g_autoptr(Dedup) d = dedup_new(&limits);
        static const uint8_t large[60];
        GBytes *answer;

        look(d, 1, 1, true, 0, &answer);
        dedup_answer(d, 1, NULL, false, "executed", 8);
        for (uint16_t mid = 100; mid < 200; mid++) {
                look(d, mid, 1, true, mid, &answer);
                dedup_answer(d, mid, NULL, true, large, sizeof(large));
                assert_true(dedup_bytes(d) <= 100 + 8);
                assert_true(dedup_count(d) <= 2 * 4);
        }
        assert_int_equal(look(d, 1, 1, true, 300, &answer), DEDUP_ANSWERED);
        assert_int_equal(look(d, 199, 1, true, 300, &answer), DEDUP_ANSWERED);
        assert_int_equal(look(d, 100, 1, true, 300, &answer), DEDUP_NEW);
        for (uint16_t mid = 300; mid < 310; mid++) {
                look(d, mid, 1, true, mid, &answer);
                dedup_answer(d, mid, NULL, false, "x", 1);
        }
        assert_int_equal(look(d, 309, 1, true, 310, &answer), DEDUP_ANSWERED);
        assert_int_equal(look(d, 305, 1, true, 310, &answer), DEDUP_NEW);
        assert_int_equal(look(d, 1, 1, true, 310, &answer), DEDUP_NEW);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_states),
                cmocka_unit_test(test_lifetimes),
                cmocka_unit_test(test_bounded),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
