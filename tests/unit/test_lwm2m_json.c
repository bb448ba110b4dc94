/* SPDX-License-Identifier: Apache-2.0 */
#include "codec_fixture.h"

#define F FORMAT_LWM2M_JSON

static void test_decode(void **state) {
        static const struct {
                const char *base, *text, *expected;
        } cases[] = {
                { "/3/0",
                  "{\"bn\":\"/3/0/\",\"e\":[{\"n\":\"0\",\"sv\":\"Open\"},{\"n\":\"6/"
                  "0\",\"v\":1},{\"n\":\"6/1\",\"v\":5},{\"n\":\"13\",\"v\":1367491215}]}",
                  "/3/0/0=sOpen /3/0/6/0=i1 /3/0/6/1=i5 /3/0/13=t1367491215" },
                { "/3/0", "{\"e\":[{\"n\":\"0\",\"sv\":\"x\"}]}", "/3/0/0=sx" },
                { "/3/0/0", "{\"e\":[{\"sv\":\"x\"}]}", "/3/0/0=sx" },
                { "/3/0/0", "{\"e\":[{\"n\":\"\",\"sv\":\"x\"}]}", "/3/0/0=sx" },
                { "/3/0/0", "{\"bn\":\"/3/0/0\",\"e\":[{\"sv\":\"x\"}]}", "/3/0/0=sx" },
                { "/3/0/6", "{\"e\":[{\"n\":\"0\",\"v\":1},{\"n\":\"1\",\"v\":2}]}",
                  "/3/0/6/0=i1 /3/0/6/1=i2" },
                { "/3", "{\"e\":[{\"n\":\"0/9\",\"v\":1}],\"bn\":\"/3/\"}", "/3/0/9=i1" },
                { "/3", "{\"bn\":\"/\",\"e\":[{\"n\":\"3/0/9\",\"v\":1}]}", "/3/0/9=i1" },
                { "/9/0",
                  "{\"e\":[{\"n\":\"5\",\"bv\":true},{\"n\":\"6\",\"sv\":\"+/"
                  "8=\"},{\"n\":\"8\",\"ov\":\"3:0\"},{\"n\":\"9\",\"sv\":\"</"
                  "3>\"},{\"n\":\"4\",\"v\":1.5},{\"n\":\"3\",\"v\":18446744073709551615}]}",
                  "/9/0/5=b1 /9/0/6=o+/8= /9/0/8=l3:0 /9/0/9=c</3> /9/0/4=f1.5 "
                  "/9/0/3=u18446744073709551615" },
                { "/9/0/8", "{\"e\":[{\"sv\":\"3:0\"}]}", "/9/0/8=l3:0" },
                { "/9/0/2",
                  "{\"bn\":\"/9/0/"
                  "2\",\"bt\":1320078429,\"e\":[{\"v\":1},{\"t\":-5,\"v\":2},{\"v\":3,\"t\":1.5}]}",
                  "/9/0/2=i1@1320078429000000000 /9/0/2=i2@1320078424000000000 "
                  "/9/0/2=i3@1320078430500000000" },
                { "/3/0", "{\"bn\":\"/3/0/\",\"e\":[]}", "/3/0=-" },
                { "/9/0/1", "{\"x\":[{\"y\":1}],\"e\":[{\"sv\":\"\\u20ac\",\"z\":null}]}",
                  "/9/0/1=s€" }
        };

        for (size_t i = 0; i < G_N_ELEMENTS(cases); i++)
                assert_decodes(F, cases[i].base, cases[i].text, cases[i].expected);
}

static void test_refused(void **state) {
        static const struct {
                const char *text;
                int error;
        } cases[] = { { "", -EBADMSG },
                      { "[]", -EBADMSG },
                      { "{}", -EBADMSG },
                      { "{\"e\":{}}", -EBADMSG },
                      { "{\"e\":[}", -EBADMSG },
                      { "{\"e\":[{\"n\":\"1\",\"sv\":\"a\"}]", -EBADMSG },
                      { "{\"e\":[{\"n\":\"1\",\"sv\":\"a\"}]}x", -EBADMSG },
                      { "{\"e\":[],\"e\":[]}", -EBADMSG },
                      { "{\"bn\":\"/9/0/\",\"bn\":\"/9/0/\",\"e\":[]}", -EBADMSG },
                      { "{\"bt\":1,\"bt\":1,\"e\":[]}", -EBADMSG },
                      { "{\"e\":[{\"n\":\"1\",\"n\":\"1\",\"sv\":\"a\"}]}", -EBADMSG },
                      { "{\"e\":[{\"n\":\"1\",\"sv\":\"a\",\"v\":1}]}", -EBADMSG },
                      { "{\"e\":[{\"n\":\"1\",\"sv\":\"a\",\"sv\":\"a\"}]}", -EBADMSG },
                      { "{\"e\":[{\"n\":\"1\",\"sv\":\"a\"},{\"n\":\"1\",\"sv\":\"b\"}]}",
                        -EBADMSG },
                      { "{\"e\":[{\"n\":\"2\",\"v\":\"1\"}]}", -EBADMSG },
                      { "{\"e\":[{\"n\":\"5\",\"bv\":1}]}", -EBADMSG },
                      { "{\"e\":[{\"n\":\"8\",\"ov\":\"3\"}]}", -EBADMSG },
                      { "{\"e\":[{\"n\":\"6\",\"sv\":\"A\"}]}", -EBADMSG },
                      { "{\"e\":[{\"n\":\"2/\",\"v\":1}]}", -EBADMSG },
                      { "{\"e\":[{\"n\":\"2\",\"v\":1.5}]}", -ERANGE },
                      { "{\"e\":[{\"n\":\"2\",\"v\":9223372036854775808}]}", -ERANGE },
                      { "{\"e\":[{\"n\":\"2\",\"sv\":\"1\"}]}", -EINVAL },
                      { "{\"e\":[{\"n\":\"1\",\"v\":1}]}", -EINVAL },
                      { "{\"bn\":\"/9/1/\",\"e\":[{\"n\":\"1\",\"sv\":\"a\"}]}", -EINVAL },
                      { "{\"bn\":\"/9/0\",\"e\":[{\"sv\":\"a\"}]}", -EINVAL },
                      { "{\"bt\":9e9,\"e\":[{\"n\":\"2\",\"v\":1,\"t\":9e9}]}", -ERANGE } };
        RecordList l = { 0 };

        for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
                int r = decode_text(F, "/9/0", cases[i].text, &l);

                if (r != cases[i].error)
                        print_message("%s: %d\n", cases[i].text, r);
                assert_int_equal(r, cases[i].error);
                assert_null(l.v);
        }
        assert_int_equal(decode_text(F, "/", "{\"e\":[]}", &l), -ENOTSUP);
}

static void test_encode(void **state) {
        g_auto(RecordList) l = { 0 };

        add(&l, "/9/0/1", VALUE_STRING, "a\"");
        assert_encodes(F, "/9/0/1", &l, "{\"bn\":\"/9/0/1\",\"e\":[{\"sv\":\"a\\\"\"}]}");
        add(&l, "/9/0/3", VALUE_UNSIGNED, "18446744073709551615");
        add(&l, "/9/0/5", VALUE_BOOLEAN, "1");
        add(&l, "/9/0/6", VALUE_OPAQUE, "+/8=");
        add(&l, "/9/0/8", VALUE_OBJLNK, "3:0");
        add(&l, "/9/0/102/4", VALUE_INTEGER, "-4");
        add(&l, "/9/0/103", VALUE_NONE, NULL);
        assert_encodes(
                F, "/9/0", &l,
                "{\"bn\":\"/9/0/"
                "\",\"e\":[{\"n\":\"1\",\"sv\":\"a\\\"\"},{\"n\":\"3\",\"v\":18446744073709551615},"
                "{\"n\":\"5\",\"bv\":true},{\"n\":\"6\",\"sv\":\"+/"
                "8=\"},{\"n\":\"8\",\"ov\":\"3:0\"},"
                "{\"n\":\"102/4\",\"v\":-4}]}");
        record_list_clear(&l);
        assert_encodes(F, "/9/0", &l, "{\"bn\":\"/9/0/\",\"e\":[]}");
}

static void test_encode_times(void **state) {
        g_autoptr(GByteArray) out = g_byte_array_new();
        g_auto(RecordList) l = { 0 };

        add(&l, "/9/0/2", VALUE_INTEGER, "1");
        add(&l, "/9/0/2", VALUE_INTEGER, "2");
        l.v[0].time_ns = NOW_NS + 250000000;
        l.v[1].time_ns = NOW_NS;
        assert_encodes(
                F, "/9/0/2", &l,
                "{\"bn\":\"/9/0/2\",\"bt\":1700000000.25,\"e\":[{\"v\":1},{\"t\":-0.25,\"v\":2}]}");
        l.v[1].time_ns = RECORD_NO_TIME;
        assert_int_equal(encode_list(F, "/9/0/2", &l, out), -ENOTSUP);
        l.v[0].time_ns = l.v[1].time_ns = 5;
        assert_int_equal(encode_list(F, "/9/0/2", &l, out), -ENOTSUP);
}

static void test_truncated(void **state) {
        static const char text[] =
                "{\"bn\":\"/9/0/\",\"bt\":1700000000,\"e\":[{\"n\":\"1\",\"sv\":\"\\u20ac\"},"
                "{\"n\":\"5\",\"bv\":true},{\"n\":\"4\",\"v\":1.5e3}]}";

        assert_truncated_refused(F, "/9/0", text, strlen(text));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_decode),    cmocka_unit_test(test_refused),
                cmocka_unit_test(test_encode),    cmocka_unit_test(test_encode_times),
                cmocka_unit_test(test_truncated),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
