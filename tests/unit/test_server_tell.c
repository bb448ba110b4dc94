/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lwm2m/server/server_tell.h"
#include "util/timerq.h"

static bool was_told(Told *told, const char *event, const char *text, uint64_t now_sec) {
        const ServerInfo info = { .last_error_text = text };
        const RdEvent e = { .name = event, .failure = true };

        return tell_was_told(told, &info, &e, now_sec * USEC_PER_SEC);
}

static void test_once_a_minute(void **state) {
        Told told = { 0 };
        unsigned lines = 0;

        /* A server that refuses us every second, with one reason and then with three in turn. */
        for (unsigned s = 0; s < 600; s++)
                lines += !was_told(&told, "registration-failure", "refused", s);
        assert_int_equal(lines, 10);
        told_clear(&told);
        lines = 0;
        for (unsigned s = 0; s < 600; s++) {
                static const char *const reasons[] = { "one", "two", "three" };

                lines += !was_told(&told, "registration-failure", reasons[s % 3], 1000 + s);
        }
        assert_int_equal(lines, 30);
        told_clear(&told);
}

static void test_other_news_at_once(void **state) {
        Told told = { 0 };
        const ServerInfo info = { .last_error_text = "refused" };
        const RdEvent good = { .name = "registration-complete" };

        assert_false(was_told(&told, "registration-failure", "refused", 1));
        assert_false(was_told(&told, "network-error", "refused", 1));
        assert_false(was_told(&told, "registration-failure", "expired", 1));
        assert_true(was_told(&told, "registration-failure", "refused", 2));
        /* What is no failure is told each time. */
        assert_false(tell_was_told(&told, &info, &good, 2 * USEC_PER_SEC));
        assert_false(tell_was_told(&told, &info, &good, 2 * USEC_PER_SEC));
        /* More reasons than are remembered: the oldest is told again. */
        assert_false(was_told(&told, "registration-failure", "four", 3));
        assert_false(was_told(&told, "registration-failure", "five", 3));
        assert_false(was_told(&told, "registration-failure", "refused", 3));
        told_clear(&told);
}

int main(void) {
        static const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_once_a_minute),
                cmocka_unit_test(test_other_news_at_once),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
