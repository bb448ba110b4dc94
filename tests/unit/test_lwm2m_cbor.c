/* SPDX-License-Identifier: Apache-2.0 */
#include "codec_fixture.h"

#define F FORMAT_LWM2M_CBOR

static void test_decode(void **state) {
        /* {3: {0: {9: 100, 6: {0: 1, 1: 5}}}} and the same with keys of several levels */
        assert_decodes_hex(F, "/3/0", "a1 03 a1 00 a2 09 1864 06 a2 00 01 01 05",
                           "/3/0/9=i100 /3/0/6/0=i1 /3/0/6/1=i5");
        assert_decodes_hex(F, "/3/0", "a1 820300 a2 09 1864 06 a2 00 01 01 05",
                           "/3/0/9=i100 /3/0/6/0=i1 /3/0/6/1=i5");
        assert_decodes_hex(F, "/3/0/9", "a1 83030009 1864", "/3/0/9=i100");
        assert_decodes_hex(F, "/3/0/6", "a1 8403000601 05", "/3/0/6/1=i5");
        assert_decodes_hex(F, "/3", "a1 03 a2 00 a1 09 05 820109 06", "/3/0/9=i5 /3/1/9=i6");
        /* indefinite maps, arrays and strings */
        assert_decodes_hex(F, "/3/0", "bf 9f0300ff bf 00 7f 6161 6162 ff 09 05 ff ff",
                           "/3/0/0=sab /3/0/9=i5");
        /* several objects */
        assert_decodes_hex(F, "/", "a2 03 a1 00 a1 09 05 09 a1 00 a1 05 f5", "/3/0/9=i5 /9/0/5=b1");
        /* tags, links, times */
        assert_decodes_hex(F, "/9/0", "a1 820900 a3 07 c1 1a514b67b0 08 63 333a30 04 f93e00",
                           "/9/0/7=t1363896240 /9/0/8=l3:0 /9/0/4=f1.5");
        /* what is empty, and null */
        assert_decodes_hex(F, "/3/0", "a1 820300 a0", "/3/0=-");
        assert_decodes_hex(F, "/3", "a1 03 a1 01 a0", "/3/1=-");
        assert_decodes_hex(F, "/3", "a1 03 a0", "");
        assert_decodes_hex(F, "/3", "a0", "");
        assert_decodes_hex(F, "/3/0", "a1 820300 a2 06 a0 07 a1 01 f6", "/3/0/6=- /3/0/7/1=-");
}

static void test_refused(void **state) {
        static const struct {
                const char *base, *hex;
                int error;
        } cases[] = {
                { "/3/0", "", -EBADMSG },
                { "/3/0", "01", -EBADMSG },
                { "/3/0", "80", -EBADMSG },
                { "/3/0", "a1 820300 a1 09 05 00", -EBADMSG },       /* something behind it */
                { "/3/0", "a1 820301 a1 09 05", -EINVAL },           /* another instance */
                { "/3/0/9", "a1 03 a1 00 a2 09 05 0a 06", -EINVAL }, /* a resource beside */
                { "/", "a1 03 05", -EINVAL },                        /* a value for an object */
                { "/", "a1 820300 05", -EINVAL },
                { "/3/0", "a1 820300 a2 09 05 09 06", -EBADMSG }, /* keys twice */
                { "/3", "a2 03 a1 00 a1 09 05 03 a1 00 a1 0a 05", -EBADMSG },
                { "/3", "a1 03 a3 00 a1 09 05 01 a1 09 05 00 a1 0a 05", -EBADMSG },
                { "/3", "a2 03 a1 00 a1 09 05 83030009 06", -EBADMSG }, /* one path twice */
                { "/3/0", "a1 80 a1 09 05", -EBADMSG },
                { "/3/0", "a1 19ffff a1 00 a1 09 05", -EBADMSG },
                { "/3/0", "a1 20 a1 00 a1 09 05", -EBADMSG },
                { "/3/0", "a1 6133 a1 00 a1 09 05", -EBADMSG },
                { "/3/0", "a1 8403000900 a1 00 05", -EBADMSG }, /* five levels */
                { "/3/0", "a1 850300090000 05", -EBADMSG },
                { "/3/0", "a1 820300 a1 09 8105", -EINVAL },
                { "/3/0", "a1 820300 a1 09 f5", -EINVAL },
                { "/3/0", "a1 820300 a1 09 fb3ff8000000000000", -ERANGE },
                { "/3/0", "a1 820300 a1 00 61ff", -EINVAL },
                { "/3/0", "bf 820300 a1 09 05", -EBADMSG },
                { "/3/0", "bf 820300 ff", -EBADMSG },
        };
        const FormatLimits shallow = { .depth = 2 };
        RecordList l = { 0 };

        for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
                assert_int_equal(decode_hex(F, cases[i].base, cases[i].hex, &l), cases[i].error);
                assert_null(l.v);
        }
        assert_int_equal(format_decode(F, &PATH_O(3), "\xa1\x03\xa1\x00\xa1\x09\x05", 7,
                                       &fixture_schema, &shallow, &l, NULL),
                         -E2BIG);
}

static void test_encode(void **state) {
        g_auto(RecordList) l = { 0 };

        add(&l, "/3/0/0", VALUE_STRING, "x");
        assert_encodes_hex(F, "/3/0/0", &l, "a1 83030000 6178");
        add(&l, "/3/0/6/0", VALUE_INTEGER, "1");
        add(&l, "/3/0/6/1", VALUE_INTEGER, "5");
        add(&l, "/3/0/7", VALUE_NONE, NULL);
        add(&l, "/3/0/13", VALUE_TIME, "1363896240");
        assert_encodes_hex(F, "/3/0", &l,
                           "a1 820300 a4 00 6178 06 a2 00 01 01 05 07 a0 0d c1 1a514b67b0");
        add(&l, "/3/1", VALUE_NONE, NULL);
        add(&l, "/9/300/2", VALUE_INTEGER, "-1");
        assert_encodes_hex(F, "/", &l,
                           "a2 03 a2 00 a4 00 6178 06 a2 00 01 01 05 07 a0 0d c1 1a514b67b0 01 a0 "
                           "09 a1 19012c a1 02 20");
        record_list_clear(&l);
        assert_encodes_hex(F, "/", &l, "a0");
        assert_encodes_hex(F, "/3/0", &l, "a1 820300 a0");
}

static void test_paths(void **state) {
        static const struct {
                const char *hex, *paths;
        } good[] = {
                { "82 83030000 820900", "/3/0/0=- /9/0=-" }, /* a list of paths */
                { "81 80", "/=-" },
                { "82 8103 8103", "/3=- /3=-" },                   /* the same twice */
                { "a2 83030000 f6 820900 f6", "/3/0/0=- /9/0=-" }, /* maps to null, or to nothing */
                { "a1 03 a1 00 a2 00 f6 01 a0", "/3/0/0=- /3/0/1=-" },
                { "80", "" },
        };
        static const char *const bad[] = { "81 03", "a1 83030000 05", "81 8103 00", "f6", "81" };

        for (size_t i = 0; i < G_N_ELEMENTS(good); i++) {
                g_autofree uint8_t *bytes = NULL;
                g_auto(GStrv) parts = g_strsplit(good[i].hex, " ", -1);
                g_autofree char *joined = g_strjoinv("", parts);
                RecordList l = { 0 };
                size_t n;

                assert_int_equal(parse_hex(joined, &bytes, &n), 0);
                assert_int_equal(format_decode_paths(F, bytes, n, NULL, &l), 0);
                assert_list(&l, good[i].paths);
        }
        for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
                g_autofree uint8_t *bytes = NULL;
                g_auto(GStrv) parts = g_strsplit(bad[i], " ", -1);
                g_autofree char *joined = g_strjoinv("", parts);
                RecordList l = { 0 };
                size_t n;

                assert_int_equal(parse_hex(joined, &bytes, &n), 0);
                assert_true(format_decode_paths(F, bytes, n, NULL, &l) < 0);
                assert_null(l.v);
        }
}

static void test_truncated(void **state) {
        static const uint8_t body[] = { 0xa1, 0x82, 0x03, 0x00, 0xa3, 0x00, 0x62, 'a',
                                        'b',  0x06, 0xbf, 0x00, 0x01, 0x01, 0x05, 0xff,
                                        0x0d, 0xc1, 0x1a, 0x51, 0x4b, 0x67, 0xb0 };

        assert_truncated_refused(F, "/3/0", body, sizeof(body));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_decode),    cmocka_unit_test(test_refused),
                cmocka_unit_test(test_encode),    cmocka_unit_test(test_paths),
                cmocka_unit_test(test_truncated),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
