/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <string.h>

#include "model/ranges.h"

static bool match(const char *text, const Value *v) {
        Range *ranges = NULL;
        size_t n = ranges_parse(text, (ValueType) v->type, &ranges);
        bool matches = ranges_match(ranges, n, v);

        ranges_free(ranges, n);
        return matches;
}

static bool match_integer(const char *text, int64_t i) {
        return match(text, &(Value){ .type = VALUE_INTEGER, .i = i });
}

static bool match_float(const char *text, double d) {
        return match(text, &(Value){ .type = VALUE_FLOAT, .d = d });
}

static bool match_unsigned(const char *text, uint64_t u) {
        return match(text, &(Value){ .type = VALUE_UNSIGNED, .u = u });
}

static bool match_length(const char *text, ValueType type, size_t n) {
        char bytes[300];
        Value v;
        bool matches;

        memset(bytes, 'x', sizeof(bytes));
        v = value_text(type, bytes, n);
        matches = match(text, &v);
        value_clear(&v);
        return matches;
}

static bool match_string(const char *text, const char *string) {
        Value v = value_string(string);
        bool matches = match(text, &v);

        value_clear(&v);
        return matches;
}

/* Each form admits inside and refuses outside. */
static void test_integers(void **state) {
        static const struct {
                const char *text;
                int64_t inside[3], outside[2];
        } cases[] = {
                { "0..100", { 0, 50, 100 }, { -1, 101 } },
                { " 0 .. 100 ", { 0, 50, 100 }, { -1, 101 } },
                { "0...100", { 0, 50, 100 }, { -1, 101 } },
                { "0\xe2\x80\xa6"
                  "100",
                  { 0, 50, 100 },
                  { -1, 101 } },
                { "0-100", { 0, 50, 100 }, { -1, 101 } },
                { "0 - 100", { 0, 50, 100 }, { -1, 101 } },
                { "0\xe2\x80\x93"
                  "100",
                  { 0, 50, 100 },
                  { -1, 101 } },
                { "0 to 100", { 0, 50, 100 }, { -1, 101 } },
                { "0..100%", { 0, 50, 100 }, { -1, 101 } },
                { "0.0..100.00", { 0, 50, 100 }, { -1, 101 } },
                { "0x00..0x64", { 0, 50, 100 }, { -1, 101 } },
                { "-90..90", { -90, 0, 90 }, { -91, 91 } },
                { "-90-90", { -90, 0, 90 }, { -91, 91 } },
                { "-90..+90", { -90, 0, 90 }, { -91, 91 } },
                { "-30..-120", { -30, -100, -120 }, { -29, -121 } },
                { "0,1,2", { 0, 1, 2 }, { -1, 3 } },
                { "0;1;2;", { 0, 1, 2 }, { -1, 3 } },
                { "0|1|2", { 0, 1, 2 }, { -1, 3 } },
                { "5, 10, 15", { 5, 10, 15 }, { 6, 0 } },
                { "0..3, 99", { 0, 3, 99 }, { 4, 98 } },
                { "0; 3..20", { 0, 3, 20 }, { 1, 21 } },
                { "0: off\n\t\t1: on\n\t\t255: stuck", { 0, 1, 255 }, { 2, 254 } },
                { "0: off, or so\n1: on\n2: x", { 0, 1, 2 }, { 3, -1 } },
                { "0 = off; 1 = on; 2 = x", { 0, 1, 2 }, { 3, -1 } },
                { "0 - off\n1 - on\n2 - x", { 0, 1, 2 }, { 3, -1 } },
        };

        for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
                for (size_t k = 0; k < 3; k++)
                        if (!match_integer(cases[i].text, cases[i].inside[k]))
                                fail_msg("'%s' refuses %lld", cases[i].text,
                                         (long long) cases[i].inside[k]);
                for (size_t k = 0; k < 2; k++)
                        if (match_integer(cases[i].text, cases[i].outside[k]))
                                fail_msg("'%s' admits %lld", cases[i].text,
                                         (long long) cases[i].outside[k]);
        }
}

static void test_prose(void **state) {
        static const char *const cases[] = {
                "",
                " ",
                "255",
                "8-Bits",
                "2 bytes",
                "1 bytes",
                "ON;OFF",
                "0..",
                "..5",
                "0..5..7",
                "<7 to >12.5",
                "2 Instances",
                "0: only",
                "0..5 V",
                "see [SENSOR]",
                "bit field",
                "0..1e",
                "1 or 2",
                "0.5..2",
                "-",
                ",",
                "0..5, x",
                "99999999999999999999999..5",
                "0x..0x5",
                "1-",
                "0..5;;7",
        };
        Range *ranges = (Range *) 1;

        for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
                if (ranges_parse(cases[i], VALUE_INTEGER, &ranges) != 0)
                        fail_msg("'%s' is no range", cases[i]);
                assert_null(ranges);
        }
        assert_int_equal(ranges_parse(NULL, VALUE_INTEGER, &ranges), 0);
        assert_int_equal(ranges_parse("0..1", VALUE_BOOLEAN, &ranges), 0);
        assert_int_equal(ranges_parse("0..1", VALUE_OBJLNK, &ranges), 0);
        assert_int_equal(ranges_parse("0..1", VALUE_NONE, &ranges), 0);
        assert_true(match_integer("prose", 4711));
}

static void test_too_many(void **state) {
        GString *text = g_string_new("0");
        Range *ranges;
        size_t n;

        for (int i = 1; i < RANGES_MAX; i++)
                g_string_append_printf(text, ",%d", i);
        n = ranges_parse(text->str, VALUE_INTEGER, &ranges);
        assert_int_equal(n, RANGES_MAX);
        ranges_free(ranges, n);
        g_string_append(text, ",256");
        assert_int_equal(ranges_parse(text->str, VALUE_INTEGER, &ranges), 0);
        g_string_free(text, TRUE);
}

static void test_limits_of_types(void **state) {
        assert_true(match_integer("0..18446744073709551615", INT64_MAX));
        assert_false(match_integer("0..18446744073709551615", -1));
        assert_true(match_integer("-9223372036854775808..0", INT64_MIN));
        assert_false(match_integer("-9223372036854775807..0", INT64_MIN));
        assert_true(match_unsigned("0..18446744073709551615", UINT64_MAX));
        assert_false(match_unsigned("0..18446744073709551614", UINT64_MAX));
        assert_true(match_unsigned("-1..5", 0));
        assert_false(match_unsigned("-1..5", 6));
        assert_true(match("0..10", &(Value){ .type = VALUE_TIME, .i = 10 }));
        assert_false(match("0..10", &(Value){ .type = VALUE_TIME, .i = 11 }));
}

static void test_floats(void **state) {
        assert_true(match_float("0.000001..1.0", 0.000001));
        assert_false(match_float("0.000001..1.0", 0.0000009));
        assert_true(match_float("0; 3.8..20.5", 0));
        assert_true(match_float("0; 3.8..20.5", 20.5));
        assert_false(match_float("0; 3.8..20.5", 3.7));
        assert_true(match_float("-180..180", -180));
        assert_false(match_float("-180..180", NAN));
        assert_false(match_float("-180..180", INFINITY));
        assert_true(match_float("any", NAN));
}

static void test_lengths(void **state) {
        static const ValueType types[] = { VALUE_STRING, VALUE_OPAQUE, VALUE_CORELNK };

        for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++) {
                assert_true(match_length("0..255", types[i], 255));
                assert_false(match_length("0..255", types[i], 256));
                assert_true(match_length("1..64 Bytes", types[i], 1));
                assert_false(match_length("1..64 bytes", types[i], 0));
                assert_false(match_length("1-64 characters", types[i], 65));
                assert_true(match_length("64", types[i], 64));
                assert_true(match_length("32 bytes", types[i], 0));
                assert_false(match_length("32 bytes", types[i], 33));
                assert_true(match_length("16,32,48", types[i], 32));
                assert_true(match_length("16,32,48", types[i], 0));
                assert_false(match_length("16,32,48", types[i], 17));
                assert_true(match_length("-1..5", types[i], 6)); /* prose */
        }
        assert_true(match_length("1-64", VALUE_STRING, 100)); /* perhaps a text of its own */
}

static void test_texts(void **state) {
        assert_true(match_string("ON;OFF", "ON"));
        assert_true(match_string("ON;OFF", "OFF"));
        assert_false(match_string("ON;OFF", "on"));
        assert_false(match_string("ON;OFF", "ON;OFF"));
        assert_false(match_string("U, UQ, S", ""));
        assert_true(match_string("1.0,1.1", "1.1"));
        assert_false(match_string("1.0,1.1", "1.2"));
        assert_true(match_string("\"a b\",'c'", "a b"));
        assert_true(match_string("\"a b\",'c'", "c"));
        assert_false(match_string("\"a b\",'c'", "d"));
        assert_true(match_string("One text", "another"));
        assert_true(match_string("Any UTF-8, no NUL", "x"));
        assert_true(match_length("ON;OFF", VALUE_OPAQUE, 7));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_integers), cmocka_unit_test(test_prose),
                cmocka_unit_test(test_too_many), cmocka_unit_test(test_limits_of_types),
                cmocka_unit_test(test_floats),   cmocka_unit_test(test_lengths),
                cmocka_unit_test(test_texts),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
