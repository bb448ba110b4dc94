/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "lwm2m/dm/execute_args.h"

static char *show(const ExecuteArgs *a) {
        GString *s = g_string_new(NULL);

        for (size_t i = 0; i < a->n; i++)
                g_string_append_printf(s, "%u%s%s|", a->v[i].digit, a->v[i].value ? ":" : "",
                                       a->v[i].value ? a->v[i].value : "");
        return g_string_free(s, FALSE);
}

static void test_good(void **state) {
        static const struct {
                const char *text, *expected;
        } cases[] = {
                { "", "" },
                { "0", "0|" },
                { "5='x'", "5:x|" },
                { "0=''", "0:|" },
                { "0='a',1,2='b'", "0:a|1|2:b|" },
                { "9,8,7,6,5,4,3,2,1,0", "9|8|7|6|5|4|3|2|1|0|" },
                { "2='10.3',7,0='https://example.org/?a=b,c#d[]{}~!'",
                  "2:10.3|7|0:https://example.org/?a=b,c#d[]{}~!|" },
        };

        for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
                g_auto(ExecuteArgs) a = { .n = 0 };
                g_autofree char *shown = NULL;

                assert_int_equal(execute_args_parse(cases[i].text, strlen(cases[i].text), &a), 0);
                shown = show(&a);
                assert_string_equal(shown, cases[i].expected);
        }
}

static void test_bad(void **state) {
        static const char *const cases[] = {
                ",",        "0,",       ",0",     "0,,1",   "a",       "10",       "0=",
                "0=a",      "0='a",     "0=a'",   "0='a'1", "0='a' ",  " 0",       "0='a b'",
                "0='a\"b'", "0='a\\b'", "0=''a'", "0,0",    "1='x',1", "0='\x7f'", "0='\xc3\xa4'",
                "0='\n'",   "0=\"a\"",  "-1",     "0 ='a'",
        };

        for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
                ExecuteArgs a = { .n = 77 };

                assert_int_equal(execute_args_parse(cases[i], strlen(cases[i]), &a), -EINVAL);
                assert_int_equal(a.n, 77);
        }
        /* A NUL is no character of the grammar either. */
        assert_int_equal(execute_args_parse("0='a\0b'", 7, &(ExecuteArgs){ .n = 0 }), -EINVAL);
}

/* Every cut of a good text is either good or refused, and never read past its end. */
static void test_truncated(void **state) {
        static const char text[] = "0='abc',1,2='d'";

        for (size_t n = 0; n < strlen(text); n++) {
                g_autofree char *copy = g_memdup2(text, n + !n);
                g_auto(ExecuteArgs) a = { .n = 0 };
                int expected = n == 0 || n == 1 || n == 7 || n == 9 || n == 11 ? 0 : -EINVAL;

                assert_int_equal(execute_args_parse(copy, n, &a), expected);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_good),
                cmocka_unit_test(test_bad),
                cmocka_unit_test(test_truncated),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
