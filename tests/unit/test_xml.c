/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "model/xml.h"

/* What a text says, one token after another: "<a>" "text" "[literal]" "</a>"; "!" an error, "?" a
 * bad reference. */
static char *tokens(const char *text, unsigned *ret_line) {
        GString *out = g_string_new(NULL);
        XmlReader x;
        XmlToken t;
        int r = xml_init(&x, text, strlen(text));

        while (r >= 0 && (r = xml_next(&x, &t)) > 0) {
                if (t.kind != XML_TEXT) {
                        g_string_append_printf(out, "<%s%.*s>", t.kind == XML_CLOSE ? "/" : "",
                                               (int) t.n, t.text);
                        continue;
                }
                g_string_append(out, t.literal ? "[" : "");
                if (xml_append(&t, out) < 0)
                        g_string_append_c(out, '?');
                g_string_append(out, t.literal ? "]" : "");
        }
        if (r < 0) {
                assert_true(x.error && (r == -EBADMSG || r == -E2BIG));
                g_string_append_c(out, '!');
        }
        *ret_line = xml_line(&x, x.pos);
        return g_string_free(out, FALSE);
}

static void assert_tokens(const char *text, const char *expected) {
        unsigned line;
        g_autofree char *found = tokens(text, &line);

        assert_string_equal(found, expected);
}

static void test_tokens(void **state) {
        assert_tokens("<a/>", "<a></a>");
        assert_tokens("\xef\xbb\xbf<?xml version='1.0'?>\r\n<!-- <a> -- -->\n<a>x</a>\n<!--y--> ",
                      "<a>x</a>");
        assert_tokens("<a b=\"1\" c = '>' ><b.c-d_:1 /></a >", "<a><b.c-d_:1></b.c-d_:1></a>");
        assert_tokens("<a>1<b>2</b>3<!--4-->5<?6?>7</a>", "<a>1<b>2</b>357</a>");
        assert_tokens("<a><![CDATA[<b>&amp;]]]></a>", "<a>[<b>&amp;]]</a>");
        assert_tokens("<!DOCTYPE a [<!ENTITY b \"]>\">]><a>\xc3\xa4</a>", "<a>\xc3\xa4</a>");
        assert_tokens("<\xc3\xa4>></\xc3\xa4>", "<\xc3\xa4>></\xc3\xa4>");
}

static void test_references(void **state) {
        assert_tokens("<a>&lt;&gt;&amp;&quot;&apos;</a>", "<a><>&\"'</a>");
        assert_tokens("<a>x&#65;y&#x20aC;z&#x10FFFF;</a>",
                      "<a>xAy\xe2\x82\xacz\xf4\x8f\xbf\xbf</a>");
        static const char *const bad[] = {
                "&",     "&amp",  "&;",       "&b;",          "&AMP;",      "&#;",    "&#x;",
                "&#0;",  "&#8;",  "&#xd800;", "&#xfffe;",     "&#x110000;", "&#-1;",  "&# 1;",
                "&#1a;", "&#xg;", "&#x+1;",   "&#123456789;", "&#x0x41;",   "& amp;", "&a<b/>mp;",
        };
        for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
                g_autofree char *text = g_strdup_printf("<a>%s</a>", bad[i]);
                unsigned line;
                g_autofree char *found = tokens(text, &line);

                assert_non_null(strchr(found, '?'));
        }
}

static void test_attributes(void **state) {
        static const char text[] = "<a  b=\"1 &lt; 2\"\n c = 'd\"' e=\"\" f='&x;'/>";
        g_autoptr(GString) value = g_string_new("before");
        XmlReader x;
        XmlToken t;

        assert_int_equal(xml_init(&x, text, strlen(text)), 0);
        assert_int_equal(xml_next(&x, &t), 1);
        assert_true(xml_is(&t, "a") && !xml_is(&t, "") && !xml_is(&t, "ab"));
        assert_int_equal(xml_attribute(&t, "b", value), 1);
        assert_string_equal(value->str, "1 < 2");
        assert_int_equal(xml_attribute(&t, "c", value), 1);
        assert_string_equal(value->str, "d\"");
        assert_int_equal(xml_attribute(&t, "e", value), 1);
        assert_string_equal(value->str, "");
        assert_int_equal(xml_attribute(&t, "f", value), -EBADMSG);
        assert_int_equal(xml_attribute(&t, "g", value), 0);
        assert_int_equal(xml_next(&x, &t), 1);
        assert_int_equal(t.kind, XML_CLOSE);
        assert_int_equal(xml_next(&x, &t), 0);
        assert_int_equal(xml_next(&x, &t), 0);
}

static void test_malformed(void **state) {
        static const struct {
                const char *text;
                unsigned line;
        } cases[] = {
                { "", 1 },
                { " \n ", 2 },
                { "<!-- -->", 1 },
                { "x<a/>", 1 },
                { "<a/>\nx", 2 },
                { "<a/><a/>", 1 },
                { "<a>\n<b>\n</a>\n</b>", 3 },
                { "</a>", 1 },
                { "<a></a></a>", 1 },
                { "<a>\n", 2 },
                { "<a", 1 },
                { "<a b", 1 },
                { "<a b>", 1 },
                { "<a b=>", 1 },
                { "<a b=1>", 1 },
                { "<a b=\"1>", 1 },
                { "<a b=\"<\"/>", 1 },
                { "<a b=\"1\"c=\"2\"/>", 1 },
                { "<a =\"1\"/>", 1 },
                { "<a/ >", 1 },
                { "<a></a b>", 1 },
                { "< a/>", 1 },
                { "<1/>", 1 },
                { "<a>\n<!-- ", 2 },
                { "<a>\n<? ", 2 },
                { "<a>\n<![CDATA[ ]]", 2 },
                { "<![CDATA[x]]><a/>", 1 },
                { "<!DOCTYPE a [", 1 },
                { "<!DOCTYPE a '>", 1 },
                { "<a><!DOCTYPE a></a>", 1 },
                { "<a>\n\n\xff</a>", 3 },
                { "<a>\xed\xa0\x80</a>", 1 },
        };

        for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
                unsigned line;
                g_autofree char *found = tokens(cases[i].text, &line);

                if (!g_str_has_suffix(found, "!") || line != cases[i].line)
                        fail_msg("'%s': %s in line %u", cases[i].text, found, line);
        }
}

/* A NUL is no character, wherever it stands; and nothing behind the end is looked at. */
static void test_bounds(void **state) {
        static const char text[] = "<?x?><!-- c --><ab cd='e'>f&lt;<g/><![CDATA[h]]></ab>";
        const size_t n = sizeof(text) - 1;
        XmlReader x;
        XmlToken t;
        int r;

        for (size_t i = 0; i < n; i++) {
                g_autofree char *cut = g_memdup2(text, n), *holed = g_memdup2(text, n);

                cut = g_realloc(cut, i + 1); /* a sanitizer sees what reads on */
                for (r = xml_init(&x, cut, i); r >= 0 && (r = xml_next(&x, &t)) > 0;)
                        ;
                assert_int_equal(r, -EBADMSG);
                holed[i] = '\0';
                assert_int_equal(xml_init(&x, holed, n), -EBADMSG);
                assert_ptr_equal(x.pos, holed + i);
        }
        for (r = xml_init(&x, text, n); r >= 0 && (r = xml_next(&x, &t)) > 0;)
                ;
        assert_int_equal(r, 0);
}

static void test_depth(void **state) {
        g_autoptr(GString) text = g_string_new(NULL);
        unsigned line;
        g_autofree char *found = NULL, *deeper = NULL;

        for (int i = 0; i < XML_DEPTH_MAX; i++)
                g_string_append(text, "<a>");
        for (int i = 0; i < XML_DEPTH_MAX; i++)
                g_string_append(text, "</a>");
        found = tokens(text->str, &line);
        assert_string_equal(found, text->str);
        g_string_insert(text, 0, "<a>");
        g_string_append(text, "</a>");
        deeper = tokens(text->str, &line);
        assert_true(g_str_has_suffix(deeper, "<a>!"));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_tokens),     cmocka_unit_test(test_references),
                cmocka_unit_test(test_attributes), cmocka_unit_test(test_malformed),
                cmocka_unit_test(test_bounds),     cmocka_unit_test(test_depth),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
