/* SPDX-License-Identifier: Apache-2.0 */
#include "codec_fixture.h"

/* The Device object of the specification's examples (TS Core 1.1.1, section 7.4.3.2). */
#define DEVICE_RESOURCES                                                                           \
        "c8 00 14 4f70656e204d6f62696c6520416c6c69616e6365"     /* 0 Open Mobile Alliance */       \
        "c8 01 16 4c69676874776569676874204d324d20436c69656e74" /* 1 Lightweight M2M Client */     \
        "c8 02 09 333435303030313233"                           /* 2 345000123 */                  \
        "c3 03 312e30"                                          /* 3 1.0 */                        \
        "86 06 41 00 01 41 01 05"                               /* 6 [1, 5] */                     \
        "88 07 08 42 00 0ed8 42 01 1388"                        /* 7 [3800, 5000] */               \
        "87 08 41 00 7d 42 01 0384"                             /* 8 [125, 900] */                 \
        "c1 09 64"                                              /* 9 100 */                        \
        "c1 0a 0f"                                              /* 10 15 */                        \
        "83 0b 41 00 00"                                        /* 11 [0] */                       \
        "c4 0d 5182428f"                                        /* 13 1367491215 */                \
        "c6 0e 2b30323a3030"                                    /* 14 +02:00 */                    \
        "c1 10 55"                                              /* 16 U */

#define DEVICE_TEXT                                                                                \
        "/3/0/0=sOpen Mobile Alliance /3/0/1=sLightweight M2M Client /3/0/2=s345000123 "           \
        "/3/0/3=s1.0 "                                                                             \
        "/3/0/6/0=i1 /3/0/6/1=i5 /3/0/7/0=i3800 /3/0/7/1=i5000 /3/0/8/0=i125 /3/0/8/1=i900 "       \
        "/3/0/9=i100 /3/0/10=i15 /3/0/11/0=i0 /3/0/13=t1367491215 /3/0/14=s+02:00 /3/0/16=sU"

static void test_device(void **state) {
        RecordList l = { 0 };

        assert_int_equal(decode_hex(FORMAT_TLV, "/3/0", DEVICE_RESOURCES, &l), 0);
        assert_encodes_hex(FORMAT_TLV, "/3/0", &l, DEVICE_RESOURCES);
        assert_encodes_hex(FORMAT_TLV, "/3", &l, "08 00 79 " DEVICE_RESOURCES);
        assert_list(&l, DEVICE_TEXT);
        /* An instance may be wrapped, whether the request named the object or the instance. */
        assert_decodes_hex(FORMAT_TLV, "/3", "08 00 79 " DEVICE_RESOURCES, DEVICE_TEXT);
        assert_decodes_hex(FORMAT_TLV, "/3/0", "08 00 79 " DEVICE_RESOURCES, DEVICE_TEXT);
}

static void test_levels(void **state) {
        assert_decodes_hex(FORMAT_TLV, "/3/0/9", "c1 09 64", "/3/0/9=i100");
        assert_decodes_hex(FORMAT_TLV, "/3/0/9", "03 00 c1 09 64", "/3/0/9=i100");
        assert_decodes_hex(FORMAT_TLV, "/3/0/6", "86 06 41 00 01 41 01 05",
                           "/3/0/6/0=i1 /3/0/6/1=i5");
        assert_decodes_hex(FORMAT_TLV, "/3/0/6", "41 00 01 41 01 05", "/3/0/6/0=i1 /3/0/6/1=i5");
        assert_decodes_hex(FORMAT_TLV, "/3/0/6/1", "41 01 05", "/3/0/6/1=i5");
        assert_decodes_hex(FORMAT_TLV, "/3/0/6/1", "83 06 41 01 05", "/3/0/6/1=i5");
        /* two instances, one empty; object level */
        assert_decodes_hex(FORMAT_TLV, "/3", "00 00 03 01 c1 09 64", "/3/0=- /3/1/9=i100");
        assert_decodes_hex(FORMAT_TLV, "/3", "", "");
        assert_decodes_hex(FORMAT_TLV, "/3/0", "", "/3/0=-");
        assert_decodes_hex(FORMAT_TLV, "/3/0", "00 00", "/3/0=-");
        assert_decodes_hex(FORMAT_TLV, "/3/0", "80 06", "/3/0/6=-");
        assert_decodes_hex(FORMAT_TLV, "/3/0/6", "", "/3/0/6=-");
        assert_decodes_hex(FORMAT_TLV, "/3/0/6", "80 06", "/3/0/6=-");
}

static void test_wide_identifiers(void **state) {
        g_auto(RecordList) l = { 0 };

        assert_decodes_hex(FORMAT_TLV, "/77", "28 012c 09 e1 00ff 61 e2 fffe 0102",
                           "/77/300/255=oYQ== /77/300/65534=oAQI=");
        add(&l, "/77/300/255", VALUE_OPAQUE, "YQ==");
        add(&l, "/77/300/256", VALUE_OPAQUE, "YQ==");
        add(&l, "/77/300/65534", VALUE_OPAQUE, "AQI=");
        assert_encodes_hex(FORMAT_TLV, "/77", &l, "28 012c 0c c1 ff 61 e1 0100 61 e2 fffe 0102");
}

/* Lengths in the type byte and in one, two and three bytes. */
static void test_lengths(void **state) {
        static const struct {
                size_t n;
                const char *head;
        } cases[] = { { 7, "c701" },           { 8, "c80108" },       { 255, "c801ff" },
                      { 256, "d0010100" },     { 65535, "d001ffff" }, { 65536, "d801010000" },
                      { 300000, "d8010493e0" } };

        for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
                g_autofree char *text = g_strnfill(cases[i].n, 'x');
                g_autoptr(GByteArray) out = g_byte_array_new();
                g_autofree uint8_t *head = NULL;
                g_auto(RecordList) l = { 0 }, back = { 0 };
                size_t n_head;

                add(&l, "/9/0/1", VALUE_STRING, text);
                assert_int_equal(encode_list(FORMAT_TLV, "/9/0", &l, out), 0);
                assert_int_equal(parse_hex(cases[i].head, &head, &n_head), 0);
                assert_int_equal(out->len, n_head + cases[i].n);
                assert_memory_equal(out->data, head, n_head);
                assert_int_equal(decode(FORMAT_TLV, "/9/0", out->data, out->len, &back), 0);
                assert_true(value_equal(&l.v[0].value, &back.v[0].value));
        }
}

static void test_integers(void **state) {
        static const struct {
                ValueType type;
                const char *text, *hex;
        } cases[] = {
                { VALUE_INTEGER, "0", "c10200" },
                { VALUE_INTEGER, "-1", "c102ff" },
                { VALUE_INTEGER, "127", "c1027f" },
                { VALUE_INTEGER, "128", "c2020080" },
                { VALUE_INTEGER, "-128", "c10280" },
                { VALUE_INTEGER, "-129", "c202ff7f" },
                { VALUE_INTEGER, "32768", "c40200008000" },
                { VALUE_INTEGER, "2147483648", "c802080000000080000000" },
                { VALUE_INTEGER, "-9223372036854775808", "c802088000000000000000" },
                { VALUE_UNSIGNED, "255", "c103ff" },
                { VALUE_UNSIGNED, "256", "c2030100" },
                { VALUE_UNSIGNED, "65536", "c40300010000" },
                { VALUE_UNSIGNED, "4000000000", "c403ee6b2800" },
                { VALUE_UNSIGNED, "4294967296", "c803080000000100000000" },
                { VALUE_UNSIGNED, "18446744073709551615", "c80308ffffffffffffffff" },
                { VALUE_TIME, "1367491215", "c4075182428f" },
                { VALUE_TIME, "-1", "c107ff" },
                { VALUE_FLOAT, "21.5", "c40441ac0000" },
                { VALUE_FLOAT, "0.1", "c804083fb999999999999a" },
                { VALUE_FLOAT, "Infinity", "c4047f800000" },
                { VALUE_BOOLEAN, "1", "c10501" },
                { VALUE_BOOLEAN, "0", "c10500" },
                { VALUE_OBJLNK, "66:65535", "c4080042ffff" },
                { VALUE_OPAQUE, "", "c006" },
        };

        for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
                g_auto(RecordList) l = { 0 };
                g_autofree char *path = g_strdup_printf("/9/0/%d", cases[i].type), *expected = NULL;

                add(&l, path, cases[i].type, cases[i].text);
                assert_encodes_hex(FORMAT_TLV, path, &l, cases[i].hex);
                expected = list_text(&l);
                assert_decodes_hex(FORMAT_TLV, path, cases[i].hex, expected);
        }
        /* longer than needed is allowed */
        assert_decodes_hex(FORMAT_TLV, "/9/0/2", "c8 02 08 ffffffffffffffff", "/9/0/2=i-1");
        assert_decodes_hex(FORMAT_TLV, "/9/0/3", "c4 03 00000005", "/9/0/3=u5");
        assert_decodes_hex(FORMAT_TLV, "/9/0/4", "c8 04 08 4035800000000000", "/9/0/4=f21.5");
        assert_decodes_hex(FORMAT_TLV, "/9/0/4", "c4 04 7fc00000", "/9/0/4=fNaN");
}

static void test_unknown_is_opaque(void **state) {
        assert_decodes_hex(FORMAT_TLV, "/77/0", "c2 05 0102 83 06 41 00 07",
                           "/77/0/5=oAQI= /77/0/6/0=oBw==");
        assert_decodes_hex(FORMAT_TLV, "/3/0", "c1 63 01", "/3/0/99=oAQ==");
}

static void test_refused(void **state) {
        static const struct {
                const char *base, *hex;
                int error;
        } cases[] = {
                { "/", "c1 09 64", -ENOTSUP },
                { "/9/0/2", "c0 02", -EINVAL }, /* integers of 0, 3, 5, 6, 7 bytes */
                { "/9/0/2", "c3 02 000001", -EINVAL },
                { "/9/0/2", "c5 02 0000000001", -EINVAL },
                { "/9/0/2", "c6 02 000000000001", -EINVAL },
                { "/9/0/2", "c7 02 00000000000001", -EINVAL },
                { "/9/0/2", "c8 02 09 000000000000000001", -EINVAL },
                { "/9/0/3", "c3 03 000001", -EINVAL },
                { "/9/0/4", "c2 04 3c00", -EINVAL },
                { "/9/0/5", "c1 05 02", -EINVAL },
                { "/9/0/5", "c2 05 0001", -EINVAL },
                { "/9/0/5", "c0 05", -EINVAL },
                { "/9/0/8", "c2 08 0001", -EINVAL },
                { "/9/0/1", "c1 01 ff", -EINVAL },     /* not UTF-8 */
                { "/9/0/1", "c3 01 610062", -EINVAL }, /* NUL */
                { "/9/0/1", "c1 02 01", -EINVAL },     /* another resource than the request's */
                { "/9/1", "03 00 c1 02 01", -EINVAL }, /* another instance */
                { "/9/1", "00 00", -EINVAL },
                { "/9/0/101/1", "41 02 61", -EINVAL }, /* another resource instance */
                { "/9/0/1", "c1 01 61 c1 01 62", -EBADMSG },
                { "/9/0", "c1 01 61 c1 01 62", -EBADMSG }, /* twice the same */
                { "/9/0", "c1 02 01 c1 01 62 c1 02 01", -EBADMSG },
                { "/9", "03 00 c1 01 61 03 00 c1 02 01", -EBADMSG },
                { "/9/0", "83 65 41 00 61 83 65 41 01 61", -EBADMSG },
                { "/9/0", "83 65 41 00 61 c1 65 61", -EBADMSG },
                { "/9/0", "83 65 c1 00 61", -EBADMSG }, /* a resource in a resource */
                { "/9", "c1 01 61", -EBADMSG },         /* resources without an instance */
                { "/9/0", "41 00 61", -EBADMSG },
                { "/9", "06 00 03 00 c1 01 61", -EBADMSG }, /* an instance in an instance */
                { "/9/0", "e1 ffff 61", -EBADMSG },         /* identifier 65535 */
                { "/9/0/1", "", -EBADMSG },
                { "/9/0/101/0", "", -EBADMSG },
                { "/9/0", "c1 01 61 00", -EBADMSG },
        };

        for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
                RecordList l = { 0 };

                assert_int_equal(decode_hex(FORMAT_TLV, cases[i].base, cases[i].hex, &l),
                                 cases[i].error);
                assert_null(l.v);
        }
}

static void test_error_path(void **state) {
        static const uint8_t body[] = { 0xc1, 1, 'a', 0x83, 102, 0x41, 3, 9, 0xc1, 5, 7 };
        RecordList l = { 0 };
        Path at = PATH_ROOT;

        assert_int_equal(format_decode(FORMAT_TLV, &PATH_OI(9, 4), body, sizeof(body),
                                       &fixture_schema, NULL, &l, &at),
                         -EINVAL);
        assert_true(path_equal(&at, &PATH_OIR(9, 4, 5)));
}

/* Of all beginnings only those that end with a whole TLV are bodies. */
static void test_truncated(void **state) {
        g_autofree uint8_t *bytes = NULL;
        g_autofree char *joined = NULL;
        g_auto(GStrv) parts = g_strsplit("08 00 79 " DEVICE_RESOURCES, " ", -1);
        size_t n;

        joined = g_strjoinv("", parts);
        assert_int_equal(parse_hex(joined, &bytes, &n), 0);
        assert_truncated_refused(FORMAT_TLV, "/3/0/9", bytes, n);
        for (size_t i = 1; i < n; i++) {
                g_autofree uint8_t *part = g_memdup2(bytes, i);
                RecordList l = { 0 };

                assert_int_equal(decode(FORMAT_TLV, "/3", part, i, &l), -EBADMSG);
                assert_int_equal(decode(FORMAT_TLV, "/3/0", part, i, &l), -EBADMSG);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_device),           cmocka_unit_test(test_levels),
                cmocka_unit_test(test_wide_identifiers), cmocka_unit_test(test_lengths),
                cmocka_unit_test(test_integers),         cmocka_unit_test(test_unknown_is_opaque),
                cmocka_unit_test(test_refused),          cmocka_unit_test(test_error_path),
                cmocka_unit_test(test_truncated),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
