/* SPDX-License-Identifier: Apache-2.0 */
#include "codec_fixture.h"

#include "codec/linkformat.h"

static char *dump(const char *text) {
        Reader in = { .pos = (const uint8_t *) text, .left = strlen(text) };
        GString *s = g_string_new(NULL);
        LinkParam param;
        LinkItem item;
        int r;

        while ((r = linkformat_next(&in, &item)) > 0) {
                g_string_append_printf(s, "{%.*s", (int) item.uri.left, item.uri.pos);
                while (linkformat_param(&item.params, &param) > 0) {
                        g_string_append_printf(s, " %.*s", (int) param.name.left, param.name.pos);
                        if (param.has_value)
                                g_string_append_printf(s, "%s%.*s", param.quoted ? ":=" : "=",
                                                       (int) param.value.left, param.value.pos);
                }
                g_string_append_c(s, '}');
        }
        assert_int_equal(r, 0);
        assert_int_equal(in.left, 0);
        return g_string_free(s, FALSE);
}

static void test_good(void **state) {
        static const struct {
                const char *text, *expected;
        } cases[] = {
                { "", "" },
                { "</3>", "{/3}" },
                { "<>", "{}" },
                { "</3/0>,</3/0/1>;dim=8;pmin=10", "{/3/0}{/3/0/1 dim=8 pmin=10}" },
                { "</>;rt=\"oma.lwm2m\";ct=11543,</1/0>", "{/ rt:=oma.lwm2m ct=11543}{/1/0}" },
                { "</sensors/temp>;rt=\"temperature-c\";if=\"sensor\";obs",
                  "{/sensors/temp rt:=temperature-c if:=sensor obs}" },
                { "</a>;title=\"x, <y>; \\\"z\\\"\",<coap://[::1]:5683/b?c=d>",
                  "{/a title:=x, <y>; \\\"z\\\"}{coap://[::1]:5683/b?c=d}" },
                { "</5>;ver=1.1;t=\"\"", "{/5 ver=1.1 t:=}" },
                { "</a>;title*=UTF-8'en'%e2", "{/a title*=UTF-8'en'%e2}" },
        };

        for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
                g_autofree char *text = dump(cases[i].text);

                assert_string_equal(text, cases[i].expected);
                assert_int_equal(linkformat_check(cases[i].text, strlen(cases[i].text)), 0);
        }
}

static void test_bad(void **state) {
        static const char *const cases[] = {
                "/3",          "<",
                "</3",         "</3>,",
                ",</3>",       "</3>,,</4>",
                "</3></4>",    "</3>;",
                "</3>;=1",     "</3>;a=",
                "</3>;a=\"",   "</3>;a=\"b",
                "</3>;a=\"\\", "</3>;a=\"b\"c",
                "</3> ",       " </3>",
                "</3>, </4>",  "<a b>",
                "<a\"b>",      "</3>;a b",
                "</3>;a=b c",  "</3>;a=\"\n\"",
                "<\xc3\xa9>",  "</3>x",
        };

        for (size_t i = 0; i < G_N_ELEMENTS(cases); i++)
                assert_int_equal(linkformat_check(cases[i], strlen(cases[i])), -EBADMSG);
        assert_int_equal(linkformat_check("</3>;a=\"\0\"", 10), -EBADMSG);
        assert_int_equal(linkformat_check("<\0>", 3), -EBADMSG);
}

/* Of all beginnings only these are lists, and none is read beyond its end. */
static void test_truncated(void **state) {
        static const char text[] = "</a>;t=\"\\\"\";obs,</b>;sz=10";
        static const char *const lists[] = { "",
                                             "</a>",
                                             "</a>;t",
                                             "</a>;t=\"\\\"\"",
                                             "</a>;t=\"\\\"\";o",
                                             "</a>;t=\"\\\"\";ob",
                                             "</a>;t=\"\\\"\";obs",
                                             "</a>;t=\"\\\"\";obs,</b>",
                                             "</a>;t=\"\\\"\";obs,</b>;s",
                                             "</a>;t=\"\\\"\";obs,</b>;sz",
                                             "</a>;t=\"\\\"\";obs,</b>;sz=1" };
        size_t next = 0;

        for (size_t n = 0; n < strlen(text); n++) {
                g_autofree char *part = g_malloc(n ? n : 1);

                memcpy(part, text, n);
                if (next < G_N_ELEMENTS(lists) && n == strlen(lists[next])) {
                        assert_int_equal(linkformat_check(part, n), 0);
                        next++;
                } else
                        assert_int_equal(linkformat_check(part, n), -EBADMSG);
        }
        assert_int_equal(next, G_N_ELEMENTS(lists));
}

/* A value of type Corelnk that comes in must be such a list. */
static void test_values(void **state) {
        RecordList l = { 0 };

        assert_decodes(FORMAT_TEXT, "/9/0/9", "</3/0>;ver=1.0,</4>", "/9/0/9=c</3/0>;ver=1.0,</4>");
        assert_decodes(FORMAT_SENML_JSON, "/9/0/9", "[{\"n\":\"/9/0/9\",\"vs\":\"\"}]", "/9/0/9=c");
        assert_int_equal(decode_text(FORMAT_TEXT, "/9/0/9", "/3/0", &l), -EINVAL);
        assert_int_equal(
                decode_text(FORMAT_SENML_JSON, "/9/0/9", "[{\"n\":\"/9/0/9\",\"vs\":\"</3\"}]", &l),
                -EINVAL);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_good),
                cmocka_unit_test(test_bad),
                cmocka_unit_test(test_truncated),
                cmocka_unit_test(test_values),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
