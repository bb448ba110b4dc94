/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lwm2m/send/send_sched.h"

#define WALL_NS (INT64_C(1764000000) * 1000000000) /* at second 0 */
#define START_USEC (1000 * USEC_PER_SEC)

static const Path temperature = PATH_OIR(3303, 0, 5700);

typedef struct Bed {
        TimerQueue *timers;
        SendSched *sched;
        uint64_t now;
        GString *kept;  /* "20@0 31@10>20": value, time of the sample, and when it was kept if later
                         */
        GString *sent;  /* "3@10 ": at second 10 a Send began with three samples waiting before */
        double present; /* what read() gives; NAN: nothing */
        unsigned n_room;
        bool fails; /* what send() does */
} Bed;

static double second(const Bed *b) {
        return (double) (b->now - START_USEC) / (double) USEC_PER_SEC;
}

static int64_t wall_ns(void *userdata) {
        const Bed *b = userdata;

        return WALL_NS + (int64_t) (b->now - START_USEC) * 1000;
}

static void note(Bed *b, const Value *v, int64_t time_ns) {
        const double time = (double) (time_ns - WALL_NS) / 1e9;

        g_string_append_printf(b->kept, "%s%g@%g", b->kept->len ? " " : "", v->d, time);
        if (time != second(b))
                g_string_append_printf(b->kept, ">%g", second(b));
        if (b->n_room > 0)
                b->n_room--;
}

static void on_keep(void *userdata, const Path *p, const Value *v, int64_t time_ns) {
        note(userdata, v, time_ns);
}

static int on_read(void *userdata, const Path *p, Value *ret) {
        const Bed *b = userdata;

        if (isnan(b->present))
                return -ENOENT;
        *ret = (Value){ .type = VALUE_FLOAT, .d = b->present };
        return 0;
}

static bool on_full(void *userdata, const Path *p) {
        return ((Bed *) userdata)->n_room == 0;
}

static void on_send(void *userdata, uint64_t now_usec) {
        Bed *b = userdata;

        g_string_append_printf(b->sent, "%s%g", b->sent->len ? " " : "", second(b));
        if (b->fails)
                send_sched_failed(b->sched, now_usec);
}

static const SchedOps ops = {
        .wall_ns = wall_ns,
        .keep = on_keep,
        .read = on_read,
        .full = on_full,
        .send = on_send,
};

static int setup(void **state) {
        Bed *b = g_new0(Bed, 1);

        b->timers = timerq_new();
        b->now = START_USEC;
        b->kept = g_string_new(NULL);
        b->sent = g_string_new(NULL);
        b->present = NAN;
        b->n_room = 1000000;
        b->sched = send_sched_new(b->timers, &ops, b);
        *state = b;
        return 0;
}

static int teardown(void **state) {
        Bed *b = *state;

        send_sched_free(b->sched);
        timerq_free(b->timers);
        g_string_free(b->kept, TRUE);
        g_string_free(b->sent, TRUE);
        g_free(b);
        return 0;
}

static void run_until(Bed *b, double sec) {
        const uint64_t end = START_USEC + (uint64_t) (sec * (double) USEC_PER_SEC);

        while (timerq_next(b->timers) <= end) {
                b->now = MAX(b->now, timerq_next(b->timers));
                timerq_run(b->timers, b->now);
        }
        b->now = end;
}

static void set_rule(Bed *b, const Path *p, const char *text) {
        g_auto(GStrv) words = g_strsplit(text, " ", -1);
        Attrs rule = { .set = 0 };

        for (char **w = words; *w && **w; w++) {
                AttrName name;
                double value;

                assert_int_equal(send_sched_parse_rule(*w, &name, &value), 0);
                rule.set |= (uint16_t) (1U << name);
                rule.value[name] = value;
        }
        assert_int_equal(send_sched_set_rule(b->sched, p, &rule, b->now), 0);
}

static void sample_at(Bed *b, const Path *p, double value, double time) {
        const Value v = { .type = VALUE_FLOAT, .d = value };
        const int64_t time_ns = WALL_NS + (int64_t) (time * 1e9);

        if (send_sched_sample(b->sched, p, &v, time_ns, b->now))
                note(b, &v, time_ns);
}

static void control(Bed *b, SchedControl c) {
        send_sched_set_control(b->sched, &c, b->now);
}

/* --- which samples are kept --- */
typedef struct Case {
        const char *what, *rule;
        const char *samples; /* "second:value", "!second:value" what read() gives from then on */
        double end;          /* runs on until then */
        const char *kept;
} Case;

static const Case cases[] = {
        { "an empty rule keeps all", "", "0:20 1:20 2:21", 9, "20@0 20@1 21@2" },
        { "the first one always", "gt=50", "3:20", 9, "20@3" },

        { "gt: crossing up and down, once each", "gt=30", "0:20 1:29 2:31 3:40 4:30.5 5:30 6:10", 9,
          "20@0 31@2 30@5" },
        { "gt: the limit itself is below", "gt=30", "0:20 1:30 2:30.1", 9, "20@0 30.1@2" },
        { "lt: crossing down and up, once each", "lt=10", "0:20 1:11 2:9 3:5 4:10 5:30", 9,
          "20@0 9@2 10@4" },
        { "lt: the limit itself is above", "lt=10", "0:20 1:10 2:9.9", 9, "20@0 9.9@2" },
        { "gt and lt: either", "gt=30 lt=10", "0:20 1:31 2:20 3:9 4:8 5:20", 9,
          "20@0 31@1 20@2 9@3 20@5" },
        { "over both at once", "gt=30 lt=10", "0:40 1:5", 9, "40@0 5@1" },

        { "st: from the value kept last", "st=5", "0:20 1:22 2:24 3:25 4:27 5:30 6:24", 9,
          "20@0 25@3 30@5 24@6" },
        { "st: downward as well", "st=5", "0:20 1:15.1 2:15", 9, "20@0 15@2" },
        { "st=0: every one", "st=0", "0:20 1:20", 9, "20@0 20@1" },
        { "st or gt", "st=5 gt=30", "0:27 1:31 2:33 3:36 4:29", 9, "27@0 31@1 36@3 29@4" },

        { "pmin: the last one of those that come too early", "pmin=10", "0:1 2:2 5:3", 30,
          "1@0 3@5>10" },
        { "pmin: begins again when one that waited is kept", "pmin=10", "0:1 5:2 12:3 16:4", 40,
          "1@0 2@5>10 4@16>20" },
        { "pmin: hence one in each pmin", "pmin=10", "0:1 9:2 19:3 20:4", 40,
          "1@0 2@9>10 3@19>20 4@20>30" },
        { "pmin: one that is late enough at once", "pmin=10", "0:1 10:2 25:3", 40,
          "1@0 2@10 3@25" },
        { "pmin and gt: what crossed within pmin goes with the value that is then", "pmin=10 gt=30",
          "0:20 2:31 4:35", 30, "20@0 35@4>10" },
        { "pmin and gt: even when it has gone back", "pmin=10 gt=30", "0:20 2:31 4:20", 30,
          "20@0 20@4>10" },
        { "pmin and st: nothing waits that is no step", "pmin=10 st=5", "0:20 2:22 5:24 12:26", 30,
          "20@0 26@12" },

        { "pmax: the value again, with that time", "pmax=10", "0:1", 25, "1@0 1@10 1@20" },
        { "pmax: from the last one kept", "pmax=10", "0:1 6:2", 20, "1@0 2@6 2@16" },
        { "pmax and st: the last value, kept or not", "pmax=10 st=5", "0:20 4:22", 15,
          "20@0 22@10" },
        { "pmax at or below pmin: none", "pmin=10 pmax=10", "0:1", 40, "1@0" },
        { "pmax above pmin", "pmin=5 pmax=10", "0:1 2:2", 20, "1@0 2@2>5 2@15" },
        { "pmax: nothing to repeat yet", "pmax=10", "", 40, "" },

        { "epmin: the last one within it is looked at after it", "epmin=10", "0:1 2:2 5:3", 30,
          "1@0 3@5>10" },
        { "epmin and gt: what crossed and went back within it was not seen", "epmin=10 gt=30",
          "0:20 2:31 4:20", 30, "20@0" },
        { "epmin and gt: what is still there was", "epmin=10 gt=30", "0:20 2:31 4:32", 30,
          "20@0 32@4>10" },
        { "epmin and pmin: looked at, then held back", "epmin=5 pmin=10", "0:1 2:2 7:3", 30,
          "1@0 3@7>10" },

        { "epmax: looked at where it is", "epmax=10", "!0:7", 25, "7@10 7@20" },
        { "epmax: from the last one looked at", "epmax=10", "!0:7 4:1", 25, "1@4 7@14 7@24" },
        { "epmax and st: kept when it is a step", "epmax=10 st=5", "0:20 !1:22 !15:26", 45,
          "20@0 26@20" },
        { "epmax: where there is no value", "epmax=10", "", 30, "" },
};

static void run_case(Bed *b, const Case *c) {
        g_auto(GStrv) samples = g_strsplit(c->samples, " ", -1);

        set_rule(b, &temperature, c->rule);
        for (char **s = samples; *s && **s; s++) {
                const bool present = **s == '!';
                char *end;
                const double time = strtod(*s + present, &end), value = strtod(end + 1, NULL);

                run_until(b, time);
                if (present)
                        b->present = value;
                else
                        sample_at(b, &temperature, value, time);
        }
        run_until(b, c->end);
}

static void test_rules(void **state) {
        for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
                void *b;

                setup(&b);
                run_case(b, &cases[i]);
                if (strcmp(((Bed *) b)->kept->str, cases[i].kept) != 0)
                        fail_msg("%s: kept '%s', expected '%s'", cases[i].what,
                                 ((Bed *) b)->kept->str, cases[i].kept);
                teardown(&b);
        }
}

static void expect_kept(Bed *b, const char *kept) {
        assert_string_equal(b->kept->str, kept);
        g_string_truncate(b->kept, 0);
}

/* What was measured earlier and comes in one piece is judged by its own times. */
static void test_pushed_later(void **state) {
        Bed *b = *state;

        set_rule(b, &temperature, "pmin=60");
        run_until(b, 1000);
        for (int i = 0; i <= 180; i += 20)
                sample_at(b, &temperature, i, 500 + i);
        expect_kept(b, "0@500>1000 60@560>1000 120@620>1000 180@680>1000");
        run_until(b, 2000);
        expect_kept(b, "");
}

static void test_out_of_order(void **state) {
        Bed *b = *state;

        set_rule(b, &temperature, "");
        run_until(b, 10);
        sample_at(b, &temperature, 1, 10);
        sample_at(b, &temperature, 2, 5);
        expect_kept(b, "1@10 2@5>10");
        set_rule(b, &temperature, "st=3");
        sample_at(b, &temperature, 9, 6); /* when it was not the last one */
        sample_at(b, &temperature, 3, 11);
        sample_at(b, &temperature, 4, 12);
        expect_kept(b, "4@12>10");
}

static void test_a_rule_changes(void **state) {
        Bed *b = *state;

        set_rule(b, &temperature, "pmin=100");
        sample_at(b, &temperature, 1, 0);
        run_until(b, 1);
        sample_at(b, &temperature, 2, 1);
        expect_kept(b, "1@0");
        set_rule(b, &temperature, "pmin=100 pmax=200");
        run_until(b, 100);
        expect_kept(b, "2@1>100"); /* what waited goes on waiting */
        run_until(b, 300);
        expect_kept(b, "2@300");
        assert_int_equal(send_sched_set_rule(b->sched, &temperature, NULL, b->now), 0);
        run_until(b, 1000);
        sample_at(b, &temperature, 3, 1000);
        expect_kept(b, "");
        assert_false(send_sched_has_rule(b->sched, &temperature));
}

static void test_which_resources(void **state) {
        static const Path other = PATH_OIR(3303, 1, 5700), multiple = PATH_OIR(3, 0, 7);
        static const Path first = PATH_OIRI(3, 0, 7, 0), second_one = PATH_OIRI(3, 0, 7, 1);
        g_autofree Path *paths = NULL;
        Bed *b = *state;
        size_t n;

        set_rule(b, &temperature, "st=5");
        set_rule(b, &multiple, "st=5");
        sample_at(b, &other, 1, 0);
        expect_kept(b, ""); /* no rule, not scheduled */
        sample_at(b, &first, 10, 0);
        sample_at(b, &second_one, 14, 0); /* each for itself */
        sample_at(b, &first, 14, 0);
        sample_at(b, &first, 15, 0);
        expect_kept(b, "10@0 14@0 15@0");
        assert_true(send_sched_has_rule(b->sched, &first));
        paths = send_sched_paths(b->sched, &n);
        assert_int_equal(n, 2);
        assert_true(path_equal(&paths[0], &multiple) && path_equal(&paths[1], &temperature));
}

static void test_types(void **state) {
        static const Value values[] = {
                { .type = VALUE_INTEGER, .i = -3 }, { .type = VALUE_UNSIGNED, .u = 7 },
                { .type = VALUE_TIME, .i = 100 },   { .type = VALUE_BOOLEAN, .b = true },
                { .type = VALUE_FLOAT, .d = 0.25 },
        };
        static const bool kept[] = { true, true, true, true, false };
        Bed *b = *state;

        set_rule(b, &temperature, "st=1");
        for (size_t i = 0; i < G_N_ELEMENTS(values); i++)
                assert_int_equal(send_sched_sample(b->sched, &temperature, &values[i],
                                                   WALL_NS + (int64_t) i, b->now),
                                 kept[i]);
}

/* --- texts --- */
static void test_parse(void **state) {
        static const struct {
                const char *text;
                int name; /* -1: refused */
                double value;
        } texts[] = {
                { "pmin=0", ATTR_PMIN, 0 },
                { "pmax=4294967295", ATTR_PMAX, 4294967295.0 },
                { "epmin=1", ATTR_EPMIN, 1 },
                { "epmax=2", ATTR_EPMAX, 2 },
                { "gt=-1.5", ATTR_GT, -1.5 },
                { "lt=1e3", ATTR_LT, 1000 },
                { "st=0.5", ATTR_ST, 0.5 },
                { "", -1, 0 },
                { "pmin", -1, 0 },
                { "pmin=", -1, 0 },
                { "pmin=-1", -1, 0 },
                { "pmin=1.5", -1, 0 },
                { "pmin=4294967296", -1, 0 },
                { "st=-1", -1, 0 },
                { "gt=nan", -1, 0 },
                { "gt=x", -1, 0 },
                { "gt =1", -1, 0 },
                { "gt= 1", -1, 0 },
                { "edge=1", -1, 0 },
                { "con=1", -1, 0 },
                { "hqmax=1", -1, 0 },
                { "foo=1", -1, 0 },
                { "pmin=1&pmax=2", -1, 0 },
                { "=1", -1, 0 },
        };

        for (size_t i = 0; i < G_N_ELEMENTS(texts); i++) {
                AttrName name;
                double value;
                int r = send_sched_parse_rule(texts[i].text, &name, &value);

                if (r != (texts[i].name < 0 ? -EINVAL : 0))
                        fail_msg("'%s': %d", texts[i].text, r);
                if (r < 0)
                        continue;
                assert_int_equal(name, texts[i].name);
                assert_true(value == texts[i].value);
        }
}

/* --- when it is sent --- */
static void expect_sent(Bed *b, const char *sent) {
        assert_string_equal(b->sent->str, sent);
        g_string_truncate(b->sent, 0);
}

static void samples(Bed *b, double from, int n) {
        for (int i = 0; i < n; i++) {
                run_until(b, from + i);
                sample_at(b, &temperature, i, from + i);
        }
        run_until(b, from + n - 1);
}

static void test_max_samples(void **state) {
        Bed *b = *state;

        set_rule(b, &temperature, "");
        control(b, (SchedControl){ .max_samples = 3 });
        samples(b, 0, 7);
        expect_sent(b, "2 5");
        assert_int_equal(send_sched_waiting(b->sched), 1);
        control(b, (SchedControl){ .max_samples = 1 }); /* passed by what waits already */
        run_until(b, 7);
        expect_sent(b, "6");
}

static void test_max_age(void **state) {
        Bed *b = *state;

        set_rule(b, &temperature, "");
        control(b, (SchedControl){ .max_age_sec = 30 });
        samples(b, 10, 3);
        run_until(b, 39);
        expect_sent(b, "");
        run_until(b, 100);
        expect_sent(b, "40");
        sample_at(b, &temperature, 1, 80); /* is 20 s old as it comes */
        run_until(b, 200);
        expect_sent(b, "110");
        sample_at(b, &temperature, 1, 150);
        run_until(b, 200);
        expect_sent(b, "200");
        sample_at(b, &temperature, 1, 200);
        run_until(b, 210);
        control(b, (SchedControl){ .max_age_sec = 5 });
        run_until(b, 220);
        expect_sent(b, "210");
        control(b, (SchedControl){ .max_age_sec = 0 });
        sample_at(b, &temperature, 1, 220);
        run_until(b, 10000);
        expect_sent(b, "");
}

static void test_a_full_cache(void **state) {
        Bed *b = *state;

        set_rule(b, &temperature, "");
        b->n_room = 4;
        samples(b, 0, 3);
        expect_sent(b, "");
        samples(b, 3, 1);
        expect_sent(b, "3");
}

static void test_flush(void **state) {
        Bed *b = *state;

        set_rule(b, &temperature, "");
        samples(b, 1, 1);
        send_sched_flush(b->sched, b->now);
        run_until(b, 2);
        expect_sent(b, "1");
        control(b, (SchedControl){ .paused = true });
        samples(b, 2, 1);
        send_sched_flush(b->sched, b->now); /* an order is an order */
        run_until(b, 3);
        expect_sent(b, "2");
}

static void test_registrations(void **state) {
        Bed *b = *state;

        set_rule(b, &temperature, "");
        samples(b, 0, 1);
        send_sched_registered(b->sched, b->now);
        run_until(b, 1);
        expect_sent(b, "0");
        samples(b, 1, 1);
        send_sched_updated(b->sched, b->now); /* it is on by default */
        run_until(b, 2);
        expect_sent(b, "1");
        control(b, (SchedControl){ .flush_on_update = false });
        samples(b, 2, 1);
        send_sched_updated(b->sched, b->now);
        run_until(b, 3);
        expect_sent(b, "");
        send_sched_registered(b->sched, b->now);
        run_until(b, 4);
        expect_sent(b, "3");
}

static void test_paused(void **state) {
        Bed *b = *state;

        set_rule(b, &temperature, "");
        b->n_room = 3;
        control(b, (SchedControl){ .paused = true,
                                   .max_samples = 2,
                                   .max_age_sec = 5,
                                   .flush_on_update = true });
        samples(b, 0, 4);
        send_sched_registered(b->sched, b->now);
        send_sched_updated(b->sched, b->now);
        run_until(b, 100);
        expect_sent(b, "");
        expect_kept(b, "0@0 1@1 2@2 3@3");             /* collects on */
        control(b, (SchedControl){ .paused = false }); /* but a cache is full */
        run_until(b, 101);
        expect_sent(b, "100");
}

static void test_failures(void **state) {
        Bed *b = *state;

        set_rule(b, &temperature, "");
        control(b, (SchedControl){ .max_samples = 2, .flush_on_update = true });
        b->fails = true;
        samples(b, 0, 10);
        run_until(b, 200);
        expect_sent(b, "1 61 121 181"); /* once in a while */
        assert_int_equal(send_sched_waiting(b->sched), 10);
        b->fails = false;
        send_sched_updated(b->sched, b->now);
        run_until(b, 1000);
        expect_sent(b, "200");
        assert_int_equal(send_sched_waiting(b->sched), 0);
}

static void test_limits(void **state) {
        const Attrs all = { .set = 0 };
        Bed *b = *state;
        Path p = PATH_OIR(3303, 0, 5700);

        for (unsigned i = 0; i < SCHED_RULES_MAX; i++) {
                p.id[1] = (uint16_t) i;
                assert_int_equal(send_sched_set_rule(b->sched, &p, &all, b->now), 0);
        }
        p.id[1] = SCHED_RULES_MAX;
        assert_int_equal(send_sched_set_rule(b->sched, &p, &all, b->now), -EDQUOT);
        p = PATH_OIR(3303, 0, 5700);
        p.n = 4;
        for (unsigned i = 0; i < SCHED_LINES_MAX; i++) {
                p.id[3] = (uint16_t) i;
                sample_at(b, &p, 1, 0);
        }
        assert_int_equal(send_sched_waiting(b->sched), SCHED_LINES_MAX - SCHED_RULES_MAX);
}

#define SCHED_TEST(f) cmocka_unit_test_setup_teardown((f), setup, teardown)

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_rules),     SCHED_TEST(test_pushed_later),
                SCHED_TEST(test_out_of_order),    SCHED_TEST(test_a_rule_changes),
                SCHED_TEST(test_which_resources), SCHED_TEST(test_types),
                cmocka_unit_test(test_parse),     SCHED_TEST(test_max_samples),
                SCHED_TEST(test_max_age),         SCHED_TEST(test_a_full_cache),
                SCHED_TEST(test_flush),           SCHED_TEST(test_registrations),
                SCHED_TEST(test_paused),          SCHED_TEST(test_failures),
                SCHED_TEST(test_limits),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
