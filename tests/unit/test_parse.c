/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <glib.h>
#include <math.h>
#include <string.h>

#include "util/parse.h"

static void test_unsigned(void **state) {
        uint64_t u = 7;
        uint32_t n = 7;
        uint16_t h = 7;

        assert_int_equal(parse_u64("0", 5, &u), 0);
        assert_true(u == 0);
        assert_int_equal(parse_u64("5", 5, &u), 0);
        assert_true(u == 5);
        assert_int_equal(parse_u64("6", 5, &u), -ERANGE);
        assert_int_equal(parse_u64("9", 5, &u), -ERANGE);
        assert_int_equal(parse_u64("18446744073709551615", UINT64_MAX, &u), 0);
        assert_true(u == UINT64_MAX);
        assert_int_equal(parse_u64("18446744073709551616", UINT64_MAX, &u), -ERANGE);
        assert_int_equal(parse_u64("99999999999999999999999", UINT64_MAX, &u), -ERANGE);
        assert_int_equal(parse_u64("99999999999999999999999x", UINT64_MAX, &u), -EINVAL);
        assert_true(u == UINT64_MAX);
        assert_int_equal(parse_u32("4294967295", &n), 0);
        assert_true(n == UINT32_MAX);
        assert_int_equal(parse_u32("4294967296", &n), -ERANGE);
        assert_int_equal(parse_u16("65535", &h), 0);
        assert_int_equal(h, 65535);
        assert_int_equal(parse_u16("65536", &h), -ERANGE);
        for (const char *const *bad = (const char *const[]){ "", "-1", "+1", " 1", "1 ", "01", "00",
                                                             "0x1", "1.0", "a", NULL };
             *bad; bad++)
                assert_int_equal(parse_u64(*bad, UINT64_MAX, &u), -EINVAL);
        assert_int_equal(parse_u64(NULL, UINT64_MAX, &u), -EINVAL);
}

static void test_signed(void **state) {
        int64_t i = 7;

        assert_int_equal(parse_i64("-9223372036854775808", &i), 0);
        assert_true(i == INT64_MIN);
        assert_int_equal(parse_i64("9223372036854775807", &i), 0);
        assert_true(i == INT64_MAX);
        assert_int_equal(parse_i64("-0", &i), 0);
        assert_true(i == 0);
        assert_int_equal(parse_i64("9223372036854775808", &i), -ERANGE);
        assert_int_equal(parse_i64("-9223372036854775809", &i), -ERANGE);
        for (const char *const *bad =
                     (const char *const[]){ "", "-", "--1", "+1", "-01", "1-", NULL };
             *bad; bad++)
                assert_int_equal(parse_i64(*bad, &i), -EINVAL);
        assert_int_equal(parse_i64(NULL, &i), -EINVAL);
}

static void test_double(void **state) {
        static const struct {
                const char *text;
                double value;
        } good[] = {
                { "0", 0 },      { "-0.5", -0.5 }, { "1e3", 1000 },         { "1.25E-2", 0.0125 },
                { "1e+2", 100 }, { "21", 21 },     { "5e-324", 0x1p-1074 }, { "1e-400", 0 }
        };
        double d = 7;

        for (size_t i = 0; i < G_N_ELEMENTS(good); i++) {
                assert_int_equal(parse_double(good[i].text, &d), 0);
                assert_true(d == good[i].value);
        }
        for (const char *const *bad = (const char *const[]){ "", "-", ".5", "5.", "1e", "1e+", "+1",
                                                             "01", "0x10", "inf", "NaN", "nan",
                                                             "1,5", " 1", "1 ", "1f", "--1", NULL };
             *bad; bad++)
                assert_int_equal(parse_double(*bad, &d), -EINVAL);
        assert_int_equal(parse_double("1e400", &d), -ERANGE);
        assert_int_equal(parse_double("-1e400", &d), -ERANGE);
        assert_true(d == 0);
}

static void test_bool(void **state) {
        bool b = true;

        for (const char *const *no = (const char *const[]){ "false", "0", "no", "off", NULL }; *no;
             no++) {
                b = true;
                assert_int_equal(parse_bool(*no, &b), 0);
                assert_false(b);
        }
        for (const char *const *yes = (const char *const[]){ "true", "1", "yes", "on", NULL }; *yes;
             yes++) {
                b = false;
                assert_int_equal(parse_bool(*yes, &b), 0);
                assert_true(b);
        }
        assert_int_equal(parse_bool("True", &b), -EINVAL);
        assert_int_equal(parse_bool("", &b), -EINVAL);
        assert_int_equal(parse_bool("2", &b), -EINVAL);
}

static void test_duration_and_size(void **state) {
        static const struct {
                const char *text;
                uint64_t usec;
        } durations[] = { { "0", 0 },
                          { "90", 90000000 },
                          { "1.5s", 1500000 },
                          { "10min", 600000000 },
                          { "2us", 2 },
                          { "2.9us", 2 },
                          { "0.5ms", 500 },
                          { "1.5h", 5400000000 },
                          { "1.000000001d", 86400000086 } };
        static const struct {
                const char *text;
                uint64_t bytes;
        } sizes[] = { { "0", 0 },           { "17", 17 },
                      { "2K", 2048 },       { "64M", 64 << 20 },
                      { "3G", 3221225472 }, { "17179869183G", 17179869183 << 30 } };
        uint64_t u = 7;

        for (size_t i = 0; i < G_N_ELEMENTS(durations); i++) {
                assert_int_equal(parse_duration(durations[i].text, &u), 0);
                assert_true(u == durations[i].usec);
        }
        for (size_t i = 0; i < G_N_ELEMENTS(sizes); i++) {
                assert_int_equal(parse_size(sizes[i].text, &u), 0);
                assert_true(u == sizes[i].bytes);
        }
        for (const char *const *bad =
                     (const char *const[]){ "", "s", "1 s", "-1", "1.", ".5", "1.s", "1x",
                                            "1.0000000001", "99999999999999999999x", NULL };
             *bad; bad++)
                assert_int_equal(parse_duration(*bad, &u), -EINVAL);
        for (const char *const *bad =
                     (const char *const[]){ "", "K", "1k", "1.5K", "-1", "1KB", NULL };
             *bad; bad++)
                assert_int_equal(parse_size(*bad, &u), -EINVAL);
        assert_int_equal(parse_duration("99999999999999999999s", &u), -ERANGE);
        assert_int_equal(parse_duration("18446744073710", &u), -ERANGE);
        assert_int_equal(parse_size("17179869184G", &u), -ERANGE);
}

static void test_hex(void **state) {
        g_autofree uint8_t *bytes = NULL, *empty = NULL;
        size_t n = 7;

        assert_int_equal(parse_hex("00fFa9", &bytes, &n), 0);
        assert_int_equal(n, 3);
        assert_memory_equal(bytes, "\x00\xff\xa9", 3);
        assert_int_equal(parse_hex("", &empty, &n), 0);
        assert_int_equal(n, 0);
        assert_int_equal(parse_hex("abc", &bytes, &n), -EINVAL);
        assert_int_equal(parse_hex("0g", &bytes, &n), -EINVAL);
        assert_int_equal(parse_hex(" 00f", &bytes, &n), -EINVAL);
}

static void test_base64(void **state) {
        static const char *const bad[] = { "Z",    "Zg=",  "Zg===", "Z*==",
                                           "Zh==", "Zm9=", " Zg==", "Zg==\n" };
        g_autofree uint8_t *bytes = NULL, *empty = NULL;
        size_t n;

        assert_int_equal(parse_base64("Zm8=", &bytes, &n), 0);
        assert_int_equal(n, 2);
        assert_memory_equal(bytes, "fo", 2);
        assert_int_equal(parse_base64("", &empty, &n), 0);
        assert_int_equal(n, 0);
        for (size_t i = 0; i < G_N_ELEMENTS(bad); i++)
                assert_int_equal(parse_base64(bad[i], &bytes, &n), -EINVAL);
        assert_int_equal(parse_base64(NULL, &bytes, &n), -EINVAL);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_unsigned),
                cmocka_unit_test(test_signed),
                cmocka_unit_test(test_double),
                cmocka_unit_test(test_bool),
                cmocka_unit_test(test_duration_and_size),
                cmocka_unit_test(test_hex),
                cmocka_unit_test(test_base64),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
