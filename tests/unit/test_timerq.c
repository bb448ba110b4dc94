/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "util/timerq.h"

typedef struct Note {
        GString *log;
        char name;
        Timer *timer;
        uint64_t again_usec;
} Note;

static void on_note(void *userdata, uint64_t now_usec) {
        Note *n = userdata;

        g_string_append_c(n->log, n->name);
        if (n->again_usec)
                timer_arm(n->timer, n->again_usec);
}

static void test_order(void **state) {
        g_autoptr(TimerQueue) q = timerq_new();
        g_autoptr(GString) log = g_string_new(NULL);
        Note notes[5];

        for (int i = 0; i < 5; i++) {
                notes[i] = (Note){ .log = log, .name = (char) ('a' + i) };
                notes[i].timer = timer_new(q, on_note, &notes[i]);
        }
        assert_true(timerq_next(q) == USEC_INFINITY);
        timer_arm(notes[0].timer, 50);
        timer_arm(notes[1].timer, 10);
        timer_arm(notes[2].timer, 10);
        timer_arm(notes[3].timer, 5);
        timer_arm(notes[4].timer, 70);
        assert_true(timerq_next(q) == 5);
        timer_disarm(notes[3].timer);
        assert_true(timerq_next(q) == 10);
        timer_arm(notes[0].timer, 9); /* moved forward */
        timerq_run(q, 60);
        assert_string_equal(log->str, "abc");
        assert_true(timer_due(notes[0].timer) == USEC_INFINITY);
        assert_true(timerq_next(q) == 70);
        for (int i = 0; i < 5; i++)
                timer_free(notes[i].timer);
}

static void test_rearm_in_the_past_ends(void **state) {
        g_autoptr(TimerQueue) q = timerq_new();
        g_autoptr(GString) log = g_string_new(NULL);
        Note n = { .log = log, .name = 'x', .again_usec = 1 };

        n.timer = timer_new(q, on_note, &n);
        timer_arm(n.timer, 1);
        timerq_run(q, 10);
        assert_string_equal(log->str, "x");
        timerq_run(q, 10);
        assert_string_equal(log->str, "xx");
        timer_free(n.timer);
}

static void on_change(void *userdata, uint64_t next_usec) {
        *(uint64_t *) userdata = next_usec;
}

static void test_random_walk(void **state) {
        g_autoptr(TimerQueue) q = timerq_new();
        g_autoptr(GRand) rnd = g_rand_new_with_seed(42);
        g_autoptr(GString) log = g_string_new(NULL);
        uint64_t announced = 0;
        Note notes[64];

        timerq_on_change(q, on_change, &announced);
        for (int i = 0; i < 64; i++) {
                notes[i] = (Note){ .log = log, .name = 'x' };
                notes[i].timer = timer_new(q, on_note, &notes[i]);
        }
        for (uint64_t now = 0; now < 20000; now++) {
                Timer *t = notes[g_rand_int_range(rnd, 0, 64)].timer;
                uint64_t least = USEC_INFINITY;

                if (g_rand_boolean(rnd))
                        timer_arm(t, now + (uint64_t) g_rand_int_range(rnd, 0, 50));
                else
                        timer_disarm(t);
                timerq_run(q, now);
                for (int i = 0; i < 64; i++)
                        least = MIN(least, timer_due(notes[i].timer));
                assert_true(timerq_next(q) == least);
                assert_true(least == USEC_INFINITY || least > now);
                assert_true(announced == least || (announced == 0 && least == USEC_INFINITY));
        }
        assert_true(log->len > 1000);
        for (int i = 0; i < 64; i++)
                timer_free(notes[i].timer);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_order),
                cmocka_unit_test(test_rearm_in_the_past_ends),
                cmocka_unit_test(test_random_walk),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
