/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "coap/dropped.h"
#include "util/timerq.h"

static void test_few_are_nothing(void **state) {
        Dropped d = { 0 };

        /* One a second for an hour. */
        for (uint64_t s = 0; s < 3600; s++)
                assert_int_equal(dropped_note(&d, s * USEC_PER_SEC), 0);
}

/* 100,000 within ten minutes: one line a minute, and all are counted. */
static void test_many_once_a_minute(void **state) {
        Dropped d = { 0 };
        uint64_t last = 0, sum = 0, n, now = 0;
        unsigned lines = 0;

        for (unsigned i = 0; i < 100000; i++) {
                now = 5 * USEC_PER_SEC + i * UINT64_C(6000);
                n = dropped_note(&d, now);
                if (n == 0)
                        continue;
                if (lines++ > 0)
                        assert_true(now - last >= 59 * USEC_PER_SEC);
                last = now;
                sum += n;
        }
        assert_int_equal(lines, 10);
        assert_int_equal(sum + d.n, 100000);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_few_are_nothing),
                cmocka_unit_test(test_many_once_a_minute),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
