/* SPDX-License-Identifier: Apache-2.0 */
#include "codec_fixture.h"

#include "codec/cborio.h"

static int read_hex(const char *hex, unsigned depth, Value *ret) {
        g_autofree uint8_t *bytes = NULL;
        Reader in;
        CborItem item;
        size_t n;
        int r;

        assert_int_equal(parse_hex(hex, &bytes, &n), 0);
        in = (Reader){ .pos = bytes, .left = n };
        r = cborio_read(&in, &item);
        if (r < 0)
                return r;
        r = cborio_value(&in, &item, VALUE_NONE, depth, ret);
        if (r >= 0)
                assert_int_equal(in.left, 0);
        return r;
}

/* The examples of RFC 8949, appendix A, that are values of LwM2M. */
static void test_rfc8949(void **state) {
        static const struct {
                const char *hex;
                ValueType type;
                const char *text;
        } cases[] = {
                { "00", VALUE_INTEGER, "0" },
                { "01", VALUE_INTEGER, "1" },
                { "0a", VALUE_INTEGER, "10" },
                { "17", VALUE_INTEGER, "23" },
                { "1818", VALUE_INTEGER, "24" },
                { "1819", VALUE_INTEGER, "25" },
                { "1864", VALUE_INTEGER, "100" },
                { "1903e8", VALUE_INTEGER, "1000" },
                { "1a000f4240", VALUE_INTEGER, "1000000" },
                { "1b000000e8d4a51000", VALUE_INTEGER, "1000000000000" },
                { "1bffffffffffffffff", VALUE_UNSIGNED, "18446744073709551615" },
                { "20", VALUE_INTEGER, "-1" },
                { "29", VALUE_INTEGER, "-10" },
                { "3863", VALUE_INTEGER, "-100" },
                { "3903e7", VALUE_INTEGER, "-1000" },
                { "f90000", VALUE_FLOAT, "0" },
                { "f98000", VALUE_FLOAT, "-0" },
                { "f93c00", VALUE_FLOAT, "1" },
                { "fb3ff199999999999a", VALUE_FLOAT, "1.1" },
                { "f93e00", VALUE_FLOAT, "1.5" },
                { "f97bff", VALUE_FLOAT, "65504" },
                { "fa47c35000", VALUE_FLOAT, "100000" },
                { "fa7f7fffff", VALUE_FLOAT, "3.4028234663852886e+38" },
                { "fb7e37e43c8800759c", VALUE_FLOAT, "1e+300" },
                { "f90001", VALUE_FLOAT, "5.9604644775390625e-08" },
                { "f90400", VALUE_FLOAT, "6.103515625e-05" },
                { "f9c400", VALUE_FLOAT, "-4" },
                { "fbc010666666666666", VALUE_FLOAT, "-4.1" },
                { "f97c00", VALUE_FLOAT, "Infinity" },
                { "f97e00", VALUE_FLOAT, "NaN" },
                { "f9fc00", VALUE_FLOAT, "-Infinity" },
                { "fa7f800000", VALUE_FLOAT, "Infinity" },
                { "fbfff0000000000000", VALUE_FLOAT, "-Infinity" },
                { "f4", VALUE_BOOLEAN, "0" },
                { "f5", VALUE_BOOLEAN, "1" },
                { "f6", VALUE_NONE, "" },
                { "c074323031332d30332d32315432303a30343a30305a", VALUE_TIME, "1363896240" },
                { "c11a514b67b0", VALUE_TIME, "1363896240" },
                /* RFC 8943: days since 1970 */
                { "d8641a00003dad", VALUE_TIME, "1364169600" },
                { "d86423", VALUE_TIME, "-345600" },
                { "d74401020304", VALUE_OPAQUE, "AQIDBA==" },
                { "d818456449455446", VALUE_OPAQUE, "ZElFVEY=" },
                { "d82076687474703a2f2f7777772e6578616d706c652e636f6d", VALUE_STRING,
                  "http://www.example.com" },
                { "40", VALUE_OPAQUE, "" },
                { "4401020304", VALUE_OPAQUE, "AQIDBA==" },
                { "60", VALUE_STRING, "" },
                { "6161", VALUE_STRING, "a" },
                { "6449455446", VALUE_STRING, "IETF" },
                { "62225c", VALUE_STRING, "\"\\" },
                { "62c3bc", VALUE_STRING, "\u00fc" },
                { "63e6b0b4", VALUE_STRING, "\u6c34" },
                { "64f0908591", VALUE_STRING, "\U00010151" },
                { "5f42010243030405ff", VALUE_OPAQUE, "AQIDBAU=" },
                { "7f657374726561646d696e67ff", VALUE_STRING, "streaming" },
                { "5fff", VALUE_OPAQUE, "" },
                { "c2420100", VALUE_INTEGER, "256" },
                { "c348ffffffffffffff00", VALUE_NONE, NULL }, /* below what 64 bits hold */
                { "c24a0000ffffffffffffffff", VALUE_UNSIGNED, "18446744073709551615" },
                { "c4822003", VALUE_FLOAT, "0.3" },
                { "c48221196ab3", VALUE_FLOAT, "273.15" },
                { "c4820203", VALUE_INTEGER, "300" },
                { "c49f2003ff", VALUE_FLOAT, "0.3" },
                { "c5822003", VALUE_FLOAT, "1.5" },
                { "d9d9f701", VALUE_INTEGER, "1" }, /* self-described CBOR */
        };

        for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
                g_autofree char *text = NULL;
                g_auto(Value) v = VALUE_INIT;
                int r = read_hex(cases[i].hex, 4, &v);

                if (!cases[i].text) {
                        assert_int_equal(r, -ERANGE);
                        continue;
                }
                assert_int_equal(r, 0);
                assert_int_equal(v.type, cases[i].type);
                text = value_format(&v);
                assert_string_equal(text, cases[i].text);
        }
}

/* Those that are not, and RFC 8949, appendix F: not well-formed. */
static void test_refused(void **state) {
        static const struct {
                const char *hex;
                int error;
        } cases[] = {
                { "", -EBADMSG },
                { "3bffffffffffffffff", -ERANGE },
                { "3b8000000000000000", -ERANGE },
                { "c249010000000000000000", -ERANGE },
                { "f7", -EINVAL },
                { "80", -EINVAL },
                { "a0", -EINVAL },
                { "f0", -EBADMSG },
                { "f8ff", -EBADMSG },
                { "ff", -EBADMSG },
                { "18", -EBADMSG },
                { "1c", -EBADMSG },
                { "1f", -EBADMSG },
                { "3f", -EBADMSG },
                { "df", -EBADMSG },
                { "41", -EBADMSG },
                { "5bffffffffffffffff010203", -EBADMSG },
                { "7bfffffffffffffff0010203", -EBADMSG },
                { "5f00ff", -EBADMSG },
                { "5f6100ff", -EBADMSG },
                { "5f5f4100ffff", -EBADMSG },
                { "5f4100", -EBADMSG },
                { "7f4161ff", -EBADMSG },
                { "9affffffff", -EBADMSG },
                { "c1", -EBADMSG },
                { "c1f5", -EBADMSG },
                { "c1fb41d452d9ec200000", -ERANGE }, /* half a second */
                { "c001", -EBADMSG },
                { "c06161", -EBADMSG },
                { "c201", -EBADMSG },
                { "c481 01", -EBADMSG },
                { "c48301 02 03", -EBADMSG },
                { "c482 01f90000", -EBADMSG },
                { "c482 1a7fffffff 01", -ERANGE },
                { "c582 1903e8 1b0020000000000000", -ERANGE },
                { "c582 191f40 01", -ERANGE },
                { "d818d818d818d818d81801", -E2BIG },
        };

        for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
                g_auto(GStrv) parts = g_strsplit(cases[i].hex, " ", -1);
                g_autofree char *joined = g_strjoinv("", parts);
                Value v = { .type = VALUE_INTEGER, .i = 42 };

                assert_int_equal(read_hex(joined, 4, &v), cases[i].error);
        }
}

static void test_skip(void **state) {
        static const struct {
                const char *hex;
                int result;
        } cases[] = {
                { "80", 0 },
                { "83018202039f0405ff", 0 },
                { "bf61610161629f0203ffff", 0 },
                { "a56161614161626142616361436164614461656145", 0 },
                { "d81801", 0 },
                { "5f42010243030405ff", 0 },
                { "8181818101", 0 },
                { "818181818101", -E2BIG },
                { "c1c1c1c1c101", -E2BIG },
                { "a101", -EBADMSG },
                { "bf01ff", -EBADMSG },
                { "8201", -EBADMSG },
                { "9f01", -EBADMSG },
                { "81ff", -EBADMSG },
                { "a1ff00", -EBADMSG },
        };

        for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
                g_autofree uint8_t *bytes = NULL;
                CborItem item;
                Reader in;

                assert_int_equal(parse_hex(cases[i].hex, &bytes, &in.left), 0);
                in.pos = bytes;
                if (cborio_read(&in, &item) < 0) { /* a count that cannot be */
                        assert_int_equal(cases[i].result, -EBADMSG);
                        continue;
                }
                assert_int_equal(cborio_skip(&in, &item, 4), cases[i].result);
                if (cases[i].result == 0)
                        assert_int_equal(in.left, 0);
        }
}

static void test_format(void **state) {
        static const struct {
                ValueType type;
                const char *text, *hex;
        } cases[] = {
                { VALUE_STRING, "IETF", "6449455446" },
                { VALUE_INTEGER, "-500", "3901f3" },
                { VALUE_INTEGER, "-9223372036854775808", "3b7fffffffffffffff" },
                { VALUE_UNSIGNED, "18446744073709551615", "1bffffffffffffffff" },
                { VALUE_FLOAT, "1.5", "fa3fc00000" },
                { VALUE_FLOAT, "1.1", "fb3ff199999999999a" },
                { VALUE_FLOAT, "NaN", "fa7fc00000" },
                { VALUE_BOOLEAN, "1", "f5" },
                { VALUE_OPAQUE, "AQIDBA==", "4401020304" },
                { VALUE_TIME, "1363896240", "c11a514b67b0" },
                { VALUE_OBJLNK, "3:65535", "67333a3635353335" },
                { VALUE_CORELNK, "</3>", "643c2f333e" },
        };

        for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
                g_autofree char *path = g_strdup_printf("/9/0/%d", cases[i].type), *expected = NULL;
                g_auto(RecordList) l = { 0 };

                add(&l, path, cases[i].type, cases[i].text);
                assert_encodes_hex(FORMAT_CBOR, path, &l, cases[i].hex);
                expected = list_text(&l);
                assert_decodes_hex(FORMAT_CBOR, path, cases[i].hex, expected);
        }
        assert_decodes_hex(FORMAT_CBOR, "/9/0/4", "05", "/9/0/4=f5");
        assert_decodes_hex(FORMAT_CBOR, "/9/0/2", "f94500", "/9/0/2=i5");
        assert_decodes_hex(FORMAT_CBOR, "/9/0/7", "1a514b67b0", "/9/0/7=t1363896240");
        assert_decodes_hex(FORMAT_CBOR, "/9/0/107/2", "c11a514b67b0", "/9/0/107/2=t1363896240");
        assert_decodes_hex(FORMAT_CBOR, "/77/0/1", "c11a514b67b0", "/77/0/1=t1363896240");
}

static void test_format_refused(void **state) {
        static const struct {
                const char *base, *hex;
                int error;
        } cases[] = {
                { "/9/0", "01", -ENOTSUP },
                { "/9/0/2", "0101", -EBADMSG }, /* something behind it */
                { "/9/0/1", "6161 00", -EBADMSG },
                { "/9/0/2", "6135", -EINVAL },
                { "/9/0/2", "fb3ff8000000000000", -ERANGE },
                { "/9/0/2", "1bffffffffffffffff", -ERANGE },
                { "/9/0/3", "20", -ERANGE },
                { "/9/0/1", "61ff", -EINVAL },
                { "/9/0/1", "4161", -EINVAL },
                { "/9/0/6", "6161", -EINVAL },
                { "/9/0/5", "01", -EINVAL },
                { "/9/0/8", "6133", -EINVAL },
                { "/9/0/8", "63333a00", -EINVAL },
                { "/9/0/2", "8101", -EINVAL },
                { "/9/0/2", "", -EBADMSG },
        };

        for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
                RecordList l = { 0 };

                assert_int_equal(decode_hex(FORMAT_CBOR, cases[i].base, cases[i].hex, &l),
                                 cases[i].error);
                assert_null(l.v);
        }
        assert_truncated_refused(FORMAT_CBOR, "/9/0/6", "\x5f\x42\x01\x02\x43\x03\x04\x05\xff", 9);
        assert_truncated_refused(FORMAT_CBOR, "/9/0/7", "\xc1\x1a\x51\x4b\x67\xb0", 6);
        assert_truncated_refused(FORMAT_CBOR, "/9/0/4", "\xc4\x82\x21\x19\x6a\xb3", 6);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_rfc8949),        cmocka_unit_test(test_refused),
                cmocka_unit_test(test_skip),           cmocka_unit_test(test_format),
                cmocka_unit_test(test_format_refused),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
