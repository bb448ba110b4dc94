/* SPDX-License-Identifier: Apache-2.0 */
#include "codec_fixture.h"

static Value integer(int64_t i) {
        return (Value){ .type = VALUE_INTEGER, .i = i };
}

static Value floating(double d) {
        return (Value){ .type = VALUE_FLOAT, .d = d };
}

static void assert_converts(Value in, ValueType type, const char *expected) {
        g_autofree char *text = NULL;
        g_auto(Value) out = VALUE_INIT;

        assert_int_equal(value_convert(&in, type, &out), 0);
        assert_int_equal(out.type, type);
        text = value_format(&out);
        assert_string_equal(text, expected);
        value_clear(&in);
}

static void assert_refused(Value in, ValueType type, int error) {
        Value out = integer(42);

        assert_int_equal(value_convert(&in, type, &out), error);
        assert_true(out.type == VALUE_INTEGER && out.i == 42);
        value_clear(&in);
}

static void test_convert_numbers(void **state) {
        const Value largest = { .type = VALUE_UNSIGNED, .u = UINT64_MAX };

        assert_converts(integer(5), VALUE_FLOAT, "5");
        assert_converts(integer(5), VALUE_UNSIGNED, "5");
        assert_converts(integer(-5), VALUE_TIME, "-5");
        assert_converts(integer(INT64_MIN), VALUE_FLOAT, "-9.223372036854776e+18");
        assert_converts(integer((INT64_C(1) << 53) + 2), VALUE_FLOAT, "9007199254740994");
        assert_converts(floating(21), VALUE_INTEGER, "21");
        assert_converts(floating(-0.0), VALUE_INTEGER, "0");
        assert_converts(floating(-0x1p63), VALUE_INTEGER, "-9223372036854775808");
        assert_converts(floating(0x1p63), VALUE_UNSIGNED, "9223372036854775808");
        assert_converts(largest, VALUE_UNSIGNED, "18446744073709551615");
        assert_refused(integer((INT64_C(1) << 53) + 1), VALUE_FLOAT, -ERANGE);
        assert_refused(integer(INT64_MAX), VALUE_FLOAT, -ERANGE);
        assert_refused(largest, VALUE_FLOAT, -ERANGE);
        assert_refused(largest, VALUE_INTEGER, -ERANGE);
        assert_refused(integer(-1), VALUE_UNSIGNED, -ERANGE);
        assert_refused(floating(21.5), VALUE_INTEGER, -ERANGE);
        assert_refused(floating(0x1p63), VALUE_INTEGER, -ERANGE);
        assert_refused(floating(0x1p64), VALUE_UNSIGNED, -ERANGE);
        assert_refused(floating(NAN), VALUE_INTEGER, -ERANGE);
        assert_refused(floating(INFINITY), VALUE_UNSIGNED, -ERANGE);
        assert_refused(integer(1), VALUE_BOOLEAN, -EINVAL);
        assert_refused((Value){ .type = VALUE_BOOLEAN, .b = true }, VALUE_INTEGER, -EINVAL);
        assert_refused(VALUE_INIT, VALUE_INTEGER, -EINVAL);
}

static void test_convert_text(void **state) {
        assert_converts(value_string("</3>"), VALUE_CORELNK, "</3>");
        assert_converts(value_text(VALUE_CORELNK, "</3>", 4), VALUE_STRING, "</3>");
        assert_converts(value_string("\u20ac"), VALUE_STRING, "\u20ac");
        assert_converts(value_text(VALUE_OPAQUE, "\0\xff", 2), VALUE_OPAQUE, "AP8=");
        assert_refused(value_string("5"), VALUE_INTEGER, -EINVAL);
        assert_refused(integer(5), VALUE_STRING, -EINVAL);
        assert_refused(value_string("x"), VALUE_OPAQUE, -EINVAL);
        assert_refused(value_text(VALUE_OPAQUE, "x", 1), VALUE_STRING, -EINVAL);
        assert_refused(value_string("\xc3"), VALUE_STRING, -EINVAL);
        assert_refused(value_string("\xed\xa0\x80"), VALUE_STRING, -EINVAL); /* a surrogate */
        assert_refused(value_text(VALUE_STRING, "a\0b", 3), VALUE_STRING, -EINVAL);
}

static void test_parse_and_format(void **state) {
        static const struct {
                ValueType type;
                const char *text;
        } same[] = {
                { VALUE_STRING, "" },
                { VALUE_STRING, "a b" },
                { VALUE_INTEGER, "-9223372036854775808" },
                { VALUE_UNSIGNED, "18446744073709551615" },
                { VALUE_TIME, "1367491215" },
                { VALUE_BOOLEAN, "0" },
                { VALUE_BOOLEAN, "1" },
                { VALUE_FLOAT, "21.5" },
                { VALUE_FLOAT, "0.1" },
                { VALUE_FLOAT, "-0" },
                { VALUE_FLOAT, "4.94065645841247e-324" },
                { VALUE_FLOAT, "1.7976931348623157e+308" },
                { VALUE_FLOAT, "0.30000000000000004" },
                { VALUE_FLOAT, "NaN" },
                { VALUE_FLOAT, "-Infinity" },
                { VALUE_OPAQUE, "" },
                { VALUE_OPAQUE, "AA==" },
                { VALUE_OPAQUE, "+/8=" },
                { VALUE_OBJLNK, "3:0" },
                { VALUE_OBJLNK, "65535:65535" },
                { VALUE_CORELNK, "</3/0>" },
        };

        for (size_t i = 0; i < G_N_ELEMENTS(same); i++) {
                g_autofree char *text = NULL;
                g_auto(Value) v = VALUE_INIT;

                assert_int_equal(value_parse(same[i].text, same[i].type, &v), 0);
                assert_int_equal(v.type, same[i].type);
                text = value_format(&v);
                assert_string_equal(text, same[i].text);
        }
}

static void test_parse_refused(void **state) {
        static const struct {
                ValueType type;
                const char *text;
                int error;
        } cases[] = {
                { VALUE_INTEGER, "9223372036854775808", -ERANGE },
                { VALUE_INTEGER, "1.0", -EINVAL },
                { VALUE_INTEGER, "", -EINVAL },
                { VALUE_UNSIGNED, "-1", -EINVAL },
                { VALUE_UNSIGNED, "18446744073709551616", -ERANGE },
                { VALUE_FLOAT, "1e999", -ERANGE },
                { VALUE_FLOAT, "nan", -EINVAL },
                { VALUE_FLOAT, "0x1p3", -EINVAL },
                { VALUE_BOOLEAN, "true", -EINVAL },
                { VALUE_BOOLEAN, "2", -EINVAL },
                { VALUE_BOOLEAN, "01", -EINVAL },
                { VALUE_BOOLEAN, "", -EINVAL },
                { VALUE_OPAQUE, "A", -EINVAL },
                { VALUE_OPAQUE, "AA=", -EINVAL },
                { VALUE_OPAQUE, "AB==", -EINVAL }, /* bits that would be lost */
                { VALUE_OPAQUE, "A A=", -EINVAL },
                { VALUE_OPAQUE, "-_8=", -EINVAL },
                { VALUE_OBJLNK, "3", -EINVAL },
                { VALUE_OBJLNK, "3:", -EINVAL },
                { VALUE_OBJLNK, ":3", -EINVAL },
                { VALUE_OBJLNK, "3:65536", -ERANGE },
                { VALUE_OBJLNK, "123456:0", -EINVAL },
                { VALUE_OBJLNK, "3:0:0", -EINVAL },
                { VALUE_STRING, "\xff", -EINVAL },
                { VALUE_NONE, "", -EINVAL },
        };

        for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
                Value v = integer(42);

                assert_int_equal(value_parse(cases[i].text, cases[i].type, &v), cases[i].error);
                assert_true(v.type == VALUE_INTEGER && v.i == 42);
        }
}

/* The text of a double reads back as the same double. */
static void test_float_exact(void **state) {
        g_autoptr(GRand) g = g_rand_new_with_seed(1);
        char text[VALUE_NUMBER_MAX];

        for (int i = 0; i < 20000; i++) {
                uint64_t u = (uint64_t) g_rand_int(g) << 32 | g_rand_int(g);
                Value v = { .type = VALUE_FLOAT }, back;
                size_t n;

                memcpy(&v.d, &u, sizeof(u));
                n = value_format_number(&v, text);
                assert_int_equal(n, strlen(text));
                assert_int_equal(value_parse(text, VALUE_FLOAT, &back), 0);
                assert_true(value_equal(&v, &back));
        }
}

static void test_ownership(void **state) {
        Value v = value_string("abc"), copy = value_copy(&v), stolen = value_steal(&v);

        assert_int_equal(v.type, VALUE_NONE);
        assert_true(value_equal(&copy, &stolen));
        assert_ptr_not_equal(copy.data, stolen.data);
        assert_int_equal(copy.data[copy.length], '\0');
        value_clear(&copy);
        value_clear(&copy);
        assert_false(value_equal(&copy, &stolen));
        value_clear(&stolen);
        v = value_text(VALUE_OPAQUE, NULL, 0);
        assert_int_equal(v.length, 0);
        assert_int_equal(*v.data, '\0');
        value_clear(&v);
}

static void test_equal(void **state) {
        const Value nan1 = floating(NAN), nan2 = floating(-NAN), zero = floating(0), i = integer(0);
        const Value a = { .type = VALUE_OBJLNK, .link = { 3, 0 } },
                    b = { .type = VALUE_OBJLNK, .link = { 3, 1 } };

        assert_true(value_equal(&nan1, &nan2));
        assert_false(value_equal(&nan1, &zero));
        assert_false(value_equal(&zero, &i));
        assert_true(value_equal(&a, &a));
        assert_false(value_equal(&a, &b));
        assert_true(value_equal(&VALUE_INIT, &VALUE_INIT));
        assert_string_equal(value_type_name(VALUE_UNSIGNED), "Unsigned Integer");
        assert_string_equal(value_type_name(VALUE_CORELNK), "Corelnk");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_convert_numbers),
                cmocka_unit_test(test_convert_text),
                cmocka_unit_test(test_parse_and_format),
                cmocka_unit_test(test_parse_refused),
                cmocka_unit_test(test_float_exact),
                cmocka_unit_test(test_ownership),
                cmocka_unit_test(test_equal),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
