/* SPDX-License-Identifier: Apache-2.0 */
#include "codec_fixture.h"

#define F FORMAT_SENML_CBOR

static void test_decode(void **state) {
        static const struct {
                const char *base, *hex, *expected;
        } cases[] = {
                /* [{-2: "/3/0/", 0: "0", 3: "ab"}, {0: "6/1", 2: 5}] */
                { "/3/0", "82 a3 21 65 2f332f302f 00 61 30 03 62 6162 a2 00 63 362f31 02 05",
                  "/3/0/0=sab /3/0/6/1=i5" },
                { "/3/0/9", "81 a2 00 66 2f332f302f39 02 05", "/3/0/9=i5" },
                { "/3/0/9", "9f bf 02 05 00 7f 63 2f332f 63 302f39 ff ff ff",
                  "/3/0/9=i5" }, /* all indefinite */
                { "/9/0", "81 a3 21 65 2f392f302f 00 61 35 04 f5", "/9/0/5=b1" },
                { "/9/0", "81 a3 21 65 2f392f302f 00 61 36 08 42 00ff", "/9/0/6=oAP8=" },
                { "/9/0", "81 a3 21 65 2f392f302f 00 61 38 63 766c6f 63 333a30", "/9/0/8=l3:0" },
                /* a peer without "vlo": [{-2: "/9/0/", 0: "8", 3: "3:0"}] */
                { "/9/0", "81 a3 21 65 2f392f302f 00 61 38 03 63 333a30", "/9/0/8=l3:0" },
                { "/9/0", "81 a3 21 65 2f392f302f 00 61 34 02 f93e00", "/9/0/4=f1.5" }, /* half */
                { "/9/0", "81 a3 21 65 2f392f302f 00 61 34 02 c4 82 20 0f",
                  "/9/0/4=f1.5" }, /* 15 * 10^-1 */
                { "/9/0", "81 a3 21 65 2f392f302f 00 61 37 02 c1 1a514b67b0",
                  "/9/0/7=t1363896240" },
                { "/9/0", "81 a3 21 65 2f392f302f 00 61 33 02 1bffffffffffffffff",
                  "/9/0/3=u18446744073709551615" },
                { "/9/0", "81 a3 21 65 2f392f302f 00 61 32 02 f6", "/9/0/2=-" },
                /* bv -5: 20, then 1 and -1; bu -4, u 1, ut 7 and unknown ones are passed over */
                { "/9/0",
                  "82 a6 21 65 2f392f302f 24 14 23 61 56 00 61 32 02 01 01 63 43656c a4 00 61 34 "
                  "02 20 07 01 18 63 82 01 a0",
                  "/9/0/2=i21 /9/0/4=f19" },
                { "/9/0", "81 a4 20 0a 21 65 2f392f302f 00 61 35 04 f4", "/9/0/5=b0" }, /* bver */
                { "/9/0", "81 a2 61 6e 66 2f392f302f35 62 7662 f4",
                  "/9/0/5=b0" }, /* labels as text */
                /* bt -3: 1700000000, t 6: 1.5, then -1 */
                { "/9/0/2",
                  "83 a3 21 66 2f392f302f32 22 1a6553f100 02 01 a2 06 f93e00 02 02 a2 06 20 02 03",
                  "/9/0/2=i1@1700000000000000000 /9/0/2=i2@1700000001500000000 "
                  "/9/0/2=i3@1699999999000000000" },
                { "/9/0/2", "81 a3 00 66 2f392f302f32 06 29 02 01",
                  "/9/0/2=i1@1699999990000000000" }, /* now - 10 */
                { "/9/0/2", "81 a3 00 66 2f392f302f32 06 fb41d954fc40000000 02 01",
                  "/9/0/2=i1@1700000000000000000" },
                { "/3/0", "80", "/3/0=-" },
                { "/3/0/6", "9fff", "/3/0/6=-" },
        };

        for (size_t i = 0; i < G_N_ELEMENTS(cases); i++)
                assert_decodes_hex(F, cases[i].base, cases[i].hex, cases[i].expected);
}

/* RFC 8428, section 6: the example of a current measured over time, with LwM2M's names. */
static void test_rfc8428(void **state) {
        assert_decodes_hex(
                F, "/9/0/104",
                "87 a7 21 68 2f392f302f313034 22 fb41d303a15b001062 23 61 41 20 05 00 62 2f30 01 "
                "61 56 "
                "02 fb405e066666666666 a3 00 62 2f31 06 24 02 fb3ff3333333333333 "
                "a3 00 62 2f31 06 23 02 fb3ff4cccccccccccd a3 00 62 2f31 06 22 02 "
                "fb3ff6666666666666 "
                "a3 00 62 2f31 06 21 02 f93e00 a3 00 62 2f31 06 20 02 fb3ff999999999999a "
                "a3 00 62 2f31 06 00 02 fb3ffb333333333333",
                "/9/0/104/0=f120.1@1276020076001000000 /9/0/104/1=f1.2@1276020071001000000 "
                "/9/0/104/1=f1.3@1276020072001000000 /9/0/104/1=f1.4@1276020073001000000 "
                "/9/0/104/1=f1.5@1276020074001000000 /9/0/104/1=f1.6@1276020075001000000 "
                "/9/0/104/1=f1.7@1276020076001000000");
}

static void test_refused(void **state) {
        static const struct {
                const char *hex;
                int error;
        } cases[] = {
                { "", -EBADMSG },
                { "a0", -EBADMSG },
                { "81 80", -EBADMSG },
                { "81 a0", -EBADMSG },
                { "81 a2 00 66 2f392f302f32 02 01 00", -EBADMSG },    /* something behind it */
                { "81 a3 00 66 2f392f302f32 02 01 02 01", -EBADMSG }, /* twice the same label */
                { "81 a3 00 66 2f392f302f32 02 01 04 f5", -EBADMSG }, /* two values */
                { "81 a3 00 66 2f392f302f32 02 01 00 66 2f392f302f32", -EBADMSG },
                { "82 a2 00 66 2f392f302f32 02 01 a2 00 66 2f392f302f32 02 01", -EBADMSG },
                { "81 a2 00 66 2f392f302f32 05 01", -EBADMSG }, /* sums */
                { "81 a3 25 01 00 66 2f392f302f32 02 01", -EBADMSG },
                { "81 a3 20 0b 00 66 2f392f302f32 02 01", -EBADMSG },      /* version 11 */
                { "81 a3 62 785f 01 00 66 2f392f302f32 02 01", -EBADMSG }, /* "x_" */
                { "81 a2 00 46 2f392f302f32 02 01", -EBADMSG },            /* a name in bytes */
                { "81 a2 00 66 2f392f302f32 f4 01", -EBADMSG },            /* a label false */
                { "81 a2 00 66 2f392f302f32 02 61 31", -EBADMSG },
                { "81 a2 00 66 2f392f302f31 03 01", -EBADMSG },
                { "81 a2 00 66 2f392f302f35 04 01", -EBADMSG },
                { "81 a2 00 66 2f392f302f36 08 61 31", -EBADMSG },
                { "81 a2 00 66 2f392f302f38 63 766c6f 01", -EBADMSG },
                { "81 a2 00 66 2f392f302f38 63 766c6f 61 33", -EINVAL },
                { "81 a2 00 66 2f392f302f32 02 f93e00", -ERANGE },
                { "81 a2 00 66 2f392f302f33 02 20", -ERANGE },
                { "81 a2 00 66 2f392f302f31 02 01", -EINVAL },
                { "81 a2 00 66 2f392f302f31 03 61 ff", -EINVAL },
                { "81 a2 00 66 2f382f302f31 03 61 61", -EINVAL },
                { "81 a2 00 64 2f392f30 02 01", -EINVAL },
                { "81 a2 00 65 2f392f302f 02 01", -EBADMSG },
                { "81 a3 00 66 2f392f302f32 06 fb7e37e43c8800759c 02 01", -ERANGE },
                { "81 a3 00 66 2f392f302f32 06 f97e00 02 01", -ERANGE },
                { "9b7fffffffffffffff a2", -EBADMSG },
                { "81 bb7fffffffffffffff 00", -EBADMSG },
                { "81 a3 00 66 2f392f302f32 02 01 18 63 81818181818181818181818181818181818101",
                  -E2BIG },
        };
        RecordList l = { 0 };

        for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
                int r = decode_hex(F, "/9/0", cases[i].hex, &l);

                if (r != cases[i].error)
                        print_message("%s: %d\n", cases[i].hex, r);
                assert_int_equal(r, cases[i].error);
                assert_null(l.v);
        }
}

static void test_encode(void **state) {
        g_auto(RecordList) l = { 0 };

        add(&l, "/3/0/9", VALUE_INTEGER, "100");
        assert_encodes_hex(F, "/3/0/9", &l, "81 a2 00 66 2f332f302f39 02 1864");
        add(&l, "/3/0/13", VALUE_TIME, "1363896240");
        add(&l, "/3/0/14", VALUE_STRING, "ab");
        add(&l, "/9/0/4", VALUE_FLOAT, "0.1");
        add(&l, "/9/0/5", VALUE_BOOLEAN, "1");
        add(&l, "/9/0/6", VALUE_OPAQUE, "AP8=");
        add(&l, "/9/0/7", VALUE_NONE, NULL);
        add(&l, "/9/0/8", VALUE_OBJLNK, "3:0");
        assert_encodes_hex(F, "/", &l,
                           "87 a3 21 65 2f332f302f 00 61 39 02 1864 a2 00 62 3133 02 1a514b67b0 a2 "
                           "00 62 3134 03 62 6162 "
                           "a3 21 65 2f392f302f 00 61 34 02 fb3fb999999999999a a2 00 61 35 04 f5 "
                           "a2 00 61 36 08 42 00ff "
                           "a2 00 61 38 63 766c6f 63 333a30");
        record_list_clear(&l);
        assert_encodes_hex(F, "/3/0", &l, "80");
}

static void test_encode_times(void **state) {
        g_auto(RecordList) l = { 0 };

        add(&l, "/9/0/2", VALUE_INTEGER, "1");
        add(&l, "/9/0/2", VALUE_INTEGER, "2");
        add(&l, "/9/0/2", VALUE_INTEGER, "3");
        l.v[0].time_ns = NOW_NS;
        l.v[1].time_ns = NOW_NS + 1500000000;
        l.v[2].time_ns = NOW_NS - 1000000000;
        assert_encodes_hex(F, "/9/0/2", &l,
                           "83 a3 21 66 2f392f302f32 22 1a6553f100 02 01 a2 06 fa3fc00000 02 02 a2 "
                           "06 20 02 03");
}

static void test_paths(void **state) {
        static const uint8_t good[] = { 0x82, 0xa1, 0x00, 0x64, '/',  '3',  '/', '0', 0xa2,
                                        0x21, 0x62, '/',  '9',  0x00, 0x62, '/', '1' },
                             value[] = { 0x81, 0xa2, 0x00, 0x62, '/', '3', 0x02, 0x01 };
        RecordList l = { 0 };

        assert_int_equal(format_decode_paths(F, good, sizeof(good) - 1, NULL, &l), -EBADMSG);
        assert_int_equal(format_decode_paths(F, value, sizeof(value), NULL, &l), -EINVAL);
        assert_int_equal(format_decode_paths(FORMAT_SENML_ETCH_CBOR, good, sizeof(good), NULL, &l),
                         0);
        assert_list(&l, "/3/0=- /9/1=-");
}

static void test_truncated(void **state) {
        static const uint8_t body[] = { 0x82, 0xa4, 0x21, 0x65, '/',  '9',  '/',  '0',  '/',
                                        0x22, 0x1a, 0x65, 0x53, 0xf1, 0x00, 0x00, 0x61, '1',
                                        0x03, 0x7f, 0x61, 'a',  0x61, 'b',  0xff, 0xa2, 0x00,
                                        0x61, '4',  0x02, 0xc4, 0x82, 0x20, 0x0f };

        assert_truncated_refused(F, "/9/0", body, sizeof(body));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_decode),       cmocka_unit_test(test_rfc8428),
                cmocka_unit_test(test_refused),      cmocka_unit_test(test_encode),
                cmocka_unit_test(test_encode_times), cmocka_unit_test(test_paths),
                cmocka_unit_test(test_truncated),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
