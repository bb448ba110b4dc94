/* SPDX-License-Identifier: Apache-2.0 */
/* The pure parts of the rules of observation: conditions, times, and what is remembered of values.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>

#include "lwm2m/observe/condition.h"
#include "lwm2m/observe/reference.h"
#include "lwm2m/observe/timing.h"

static Attrs parse(const char *text) {
        Attrs a = { .set = 0 };

        if (*text)
                assert_int_equal(attrs_parse_text(text, &a), 0);
        return a;
}

static void test_condition(void **state) {
        static const struct {
                const char *attributes;
                double then, now;
                bool met;
        } cases[] = {
                { "gt=5", 5, 5.1, true },       { "gt=5", 5.1, 5, true },
                { "gt=5", 5, 4, false },        { "gt=5", 6, 7, false },
                { "lt=5", 5, 4.9, true },       { "lt=5", 4.9, 5, true },
                { "lt=5", 5, 6, false },        { "st=1", 5, 6, true },
                { "st=1", 5, 4, true },         { "st=1", 5, 5.99, false },
                { "st=0", 5, 5, false },        { "st=0", 5, 5.1, true },
                { "edge=1", 0, 1, true },       { "edge=1", 1, 0, false },
                { "edge=0", 1, 0, true },       { "edge=0", 0, 1, false },
                { "gt=5&st=3", 1, 4, true },    { "gt=5&lt=2", 3, 1, true },
                { "gt=5&lt=2", 3, 4, false },   { "gt=5", 1, NAN, true },
                { "gt=5", NAN, NAN, false },    { "st=1", INFINITY, INFINITY, false },
                { "st=1", 5, -INFINITY, true }, { "gt=0", 0.0, -0.0, false },
                { "gt=-5", -6, -4, true },
        };

        for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
                const Attrs a = parse(cases[i].attributes);

                assert_true(condition_is_set(&a));
                if (condition_met(&a, cases[i].then, cases[i].now) != cases[i].met)
                        fail_msg("%s: %g, %g", cases[i].attributes, cases[i].then, cases[i].now);
        }
        assert_false(condition_is_set(&(Attrs[]){ parse("pmin=1&con=1") }[0]));
}

static void test_periods(void **state) {
        static const struct {
                const char *attributes;
                Periods periods;
        } cases[] = {
                { "", { 0, 0, 0, 0 } },
                { "pmin=5&pmax=5", { 5, 5, 0, 0 } },
                { "pmin=5&pmax=4", { 5, 0, 0, 0 } }, /* as inheritance may bring together */
                { "epmin=3&epmax=2", { 0, 0, 3, 0 } },
                { "pmin=4294967295&pmax=4294967295", { UINT32_MAX, UINT32_MAX, 0, 0 } },
        };

        for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
                const Periods p = periods_from(&(Attrs[]){ parse(cases[i].attributes) }[0]);

                assert_memory_equal(&p, &cases[i].periods, sizeof(p));
        }
}

#define S(seconds) ((uint64_t) (seconds) *USEC_PER_SEC)

static void test_due(void **state) {
        static const struct {
                Periods periods;
                Moments moments;
                Pending pending;
                bool asked;
                uint64_t due;
        } cases[] = {
                { { 0 }, { S(10), S(10), 0 }, PENDING_NONE, false, USEC_INFINITY },
                { { 0 }, { S(10), S(10), 0 }, PENDING_CHANGE, false, S(10) },
                { { .pmin = 5 }, { S(10), S(10), 0 }, PENDING_CHANGE, false, S(15) },
                { { .pmin = 5, .epmin = 9 }, { S(10), S(10), 0 }, PENDING_CHANGE, true, S(19) },
                { { .pmin = 5, .epmin = 9 }, { S(10), S(10), 0 }, PENDING_CHANGE, false, S(15) },
                { { .pmin = 5, .epmin = 9 }, { S(10), S(10), 0 }, PENDING_NEWS, true, S(15) },
                { { .pmax = 60 }, { S(10), S(40), 0 }, PENDING_NONE, true, S(70) },
                { { .pmax = 60, .epmax = 20 }, { S(10), S(40), 0 }, PENDING_NONE, true, S(60) },
                { { .pmax = 60, .epmax = 20 }, { S(10), S(40), 0 }, PENDING_NONE, false, S(70) },
                { { .pmin = 5, .pmax = 60, .epmin = 90 },
                  { S(10), S(40), 0 },
                  PENDING_CHANGE,
                  true,
                  S(70) },
                { { .pmin = 5 }, { S(10), S(10), S(99) }, PENDING_NEWS, false, S(99) },
                { { 0 }, { S(10), S(10), S(99) }, PENDING_NONE, false, USEC_INFINITY },
        };

        for (size_t i = 0; i < G_N_ELEMENTS(cases); i++)
                if (timing_due(&cases[i].periods, &cases[i].moments, cases[i].pending,
                               cases[i].asked) != cases[i].due)
                        fail_msg("case %zu", i);
}

static void test_references(void **state) {
        References *l = NULL;
        const Path a = PATH_OIR(3, 0, 9), b = PATH_OIRI(3, 0, 7, 1), c = PATH_OIR(3, 0, 0);
        Value number = { .type = VALUE_INTEGER, .i = 5 },
              flag = { .type = VALUE_BOOLEAN, .b = true };
        g_auto(Value) text = value_string("five");

        assert_null(references_find(l, &a));
        references_remove(&l, &a);
        references_set(&l, &a, &number);
        references_set(&l, &b, &flag);
        references_set(&l, &c, &text);
        assert_int_equal(l->len, 3);
        assert_true(references_find(l, &a)->is_number);
        assert_true(reference_equals(references_find(l, &a), &number));
        assert_false(reference_equals(references_find(l, &a), &text));
        assert_true(reference_equals(references_find(l, &c), &text));
        assert_true(reference_equals(references_find(l, &b), &flag));
        assert_int_equal(sizeof(Reference), 24); /* as its header says */
        number.i = 6;
        assert_false(reference_equals(references_find(l, &a), &number));
        references_set(&l, &a, &number);
        assert_true(reference_equals(references_find(l, &a), &number));
        references_remove(&l, &b);
        assert_null(references_find(l, &b));
        assert_non_null(references_find(l, &c));
        references_remove(&l, &a);
        references_remove(&l, &c);
        assert_null(l);
}

static void test_digest(void **state) {
        const Path p = PATH_OIR(3, 0, 9), q = PATH_OIR(3, 0, 10);
        Value one = { .type = VALUE_INTEGER, .i = 1 }, yes = { .type = VALUE_BOOLEAN, .b = true };
        g_auto(Value) text = value_string("abcdefghi"), other = value_string("abcdefghj"),
                      empty = value_string("");
        const uint64_t digests[] = {
                digest_record(1, &p, &one),   digest_record(1, &q, &one),
                digest_record(1, &p, &yes),   digest_record(1, &p, &text),
                digest_record(1, &p, &other), digest_record(1, &p, &empty),
                digest_record(2, &p, &one),   digest_record(1, &p, &VALUE_INIT),
        };

        for (size_t i = 0; i < G_N_ELEMENTS(digests); i++) {
                assert_int_not_equal(digests[i], 0);
                for (size_t j = 0; j < i; j++)
                        assert_int_not_equal(digests[i], digests[j]);
        }
        assert_int_equal(digest_record(1, &p, &text), digests[3]);
        one = (Value){ .type = VALUE_FLOAT, .d = 0.0 };
        yes = (Value){ .type = VALUE_FLOAT, .d = -0.0 }; /* equal for value_equal(), too */
        assert_int_equal(digest_value(1, &one), digest_value(1, &yes));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_condition), cmocka_unit_test(test_periods),
                cmocka_unit_test(test_due),       cmocka_unit_test(test_references),
                cmocka_unit_test(test_digest),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
