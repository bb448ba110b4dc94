/* SPDX-License-Identifier: Apache-2.0 */
#include "codec_fixture.h"

static void test_decode(void **state) {
        assert_decodes(FORMAT_TEXT, "/3/0/0", "Open Mobile Alliance",
                       "/3/0/0=sOpen Mobile Alliance");
        assert_decodes(FORMAT_TEXT, "/3/0/0", "", "/3/0/0=s");
        assert_decodes(FORMAT_TEXT, "/3/0/9", "-100", "/3/0/9=i-100");
        assert_decodes(FORMAT_TEXT, "/3/0/6/1", "5", "/3/0/6/1=i5");
        assert_decodes(FORMAT_TEXT, "/9/0/2", "9223372036854775807", "/9/0/2=i9223372036854775807");
        assert_decodes(FORMAT_TEXT, "/9/0/3", "18446744073709551615",
                       "/9/0/3=u18446744073709551615");
        assert_decodes(FORMAT_TEXT, "/9/0/4", "1.5e3", "/9/0/4=f1500");
        assert_decodes(FORMAT_TEXT, "/9/0/5", "1", "/9/0/5=b1");
        assert_decodes(FORMAT_TEXT, "/9/0/6", "AP8=", "/9/0/6=oAP8=");
        assert_decodes(FORMAT_TEXT, "/9/0/7", "1367491215", "/9/0/7=t1367491215");
        assert_decodes(FORMAT_TEXT, "/9/0/8", "10:65535", "/9/0/8=l10:65535");
        assert_decodes(FORMAT_TEXT, "/77/0/1", "12", "/77/0/1=s12");
        assert_decodes_hex(FORMAT_OPAQUE, "/9/0/6", "00 ff 22", "/9/0/6=oAP8i");
        assert_decodes_hex(FORMAT_OPAQUE, "/9/0/6", "", "/9/0/6=o");
        assert_decodes_hex(FORMAT_OPAQUE, "/77/0/1", "31", "/77/0/1=oMQ==");
}

static void test_refused(void **state) {
        RecordList l = { 0 };

        assert_int_equal(decode_text(FORMAT_TEXT, "/3/0", "1", &l), -ENOTSUP);
        assert_int_equal(decode_text(FORMAT_TEXT, "/3/0/9", "", &l), -EINVAL);
        assert_int_equal(decode_text(FORMAT_TEXT, "/3/0/9", "1 ", &l), -EINVAL);
        assert_int_equal(decode_text(FORMAT_TEXT, "/3/0/9", "9223372036854775808", &l), -ERANGE);
        assert_int_equal(decode_text(FORMAT_TEXT, "/9/0/4", "NaN", &l), -EINVAL);
        assert_int_equal(decode_text(FORMAT_TEXT, "/9/0/4", "Infinity", &l), -EINVAL);
        assert_int_equal(decode_text(FORMAT_TEXT, "/9/0/5", "true", &l), -EINVAL);
        assert_int_equal(decode_text(FORMAT_TEXT, "/9/0/6", "A", &l), -EINVAL);
        assert_int_equal(decode_text(FORMAT_TEXT, "/3/0/0", "\xff", &l), -EINVAL);
        assert_int_equal(decode(FORMAT_TEXT, "/3/0/0", "a\0b", 3, &l), -EBADMSG);
        assert_int_equal(decode_text(FORMAT_OPAQUE, "/3/0/0", "a", &l), -EINVAL);
        assert_int_equal(decode_text(FORMAT_OPAQUE, "/3/0", "a", &l), -ENOTSUP);
        assert_null(l.v);
}

static void test_encode(void **state) {
        static const char *const texts[] = { NULL, "a \u20ac", "-5", "5",   "0.1",
                                             "1",  "AP8=",     "-1", "3:0", "</3>" };

        for (unsigned type = 1; type < _VALUE_TYPE_MAX; type++) {
                g_autofree char *path = g_strdup_printf("/9/0/%u", type);
                g_auto(RecordList) l = { 0 };

                add(&l, path, (ValueType) type, texts[type]);
                assert_encodes(FORMAT_TEXT, path, &l, texts[type]);
        }
}

static void test_encode_refused(void **state) {
        g_autoptr(GByteArray) out = g_byte_array_new();
        g_auto(RecordList) l = { 0 };

        assert_int_equal(encode_list(FORMAT_TEXT, "/9/0/1", &l, out), -ENOTSUP);
        assert_int_equal(encode_list(FORMAT_OPAQUE, "/9/0/1", &l, out), -ENOTSUP);
        assert_int_equal(encode_list(FORMAT_CBOR, "/9/0/1", &l, out), -ENOTSUP);
        add(&l, "/9/0/101", VALUE_NONE, NULL);
        assert_int_equal(encode_list(FORMAT_TEXT, "/9/0/101", &l, out), -ENOTSUP);
        assert_int_equal(encode_list(FORMAT_CBOR, "/9/0/101", &l, out), -ENOTSUP);
        record_list_clear(&l);
        add(&l, "/9/0/4", VALUE_FLOAT, "Infinity");
        assert_int_equal(encode_list(FORMAT_TEXT, "/9/0/4", &l, out), -ENOTSUP);
        assert_int_equal(encode_list(FORMAT_OPAQUE, "/9/0/4", &l, out), -ENOTSUP);
        assert_int_equal(out->len, 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_decode),
                cmocka_unit_test(test_refused),
                cmocka_unit_test(test_encode),
                cmocka_unit_test(test_encode_refused),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
