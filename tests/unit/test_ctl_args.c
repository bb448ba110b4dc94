/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "ctl/verbs.h"

static const Option own[] = {
        { "--long", "-l", NULL, "" }, { "--count", "-n", "N", "" }, { "-u8", NULL, NULL, "" }, { 0 }
};
static const Option *const tables[] = { own, NULL };

static int parse(const char *line, bool only_before_words, Args *ret, int *ret_next, char **error) {
        static char **words; /* Args points into them */

        g_strfreev(words);
        words = g_strsplit(line, " ", -1);
        return args_parse(tables, (int) g_strv_length(words), words, only_before_words, ret,
                          ret_next, error);
}

static void test_order(void **state) {
        g_auto(Args) a = { 0 };
        char *error = NULL;

        assert_int_equal(parse("a -l b --count=3 -u8 c", false, &a, NULL, &error), 0);
        assert_int_equal(a.words->len, 3);
        assert_string_equal(args_word(&a, 2), "c");
        assert_null(args_word(&a, 3));
        assert_non_null(args_get(&a, "--long"));
        assert_string_equal(args_get(&a, "--count"), "3");
        assert_non_null(args_get(&a, "-u8"));
        assert_null(args_get(&a, "--other"));
        assert_false(a.dashes);
        assert_int_equal(a.n_before, 3);
}

static void test_separate_argument(void **state) {
        g_auto(Args) a = { 0 };
        char *error = NULL;

        assert_int_equal(parse("-n 1 x -n 2", false, &a, NULL, &error), 0);
        assert_string_equal(args_get(&a, "--count"), "2");
        assert_int_equal(a.words->len, 1);
}

static void test_negative_number_is_a_word(void **state) {
        g_auto(Args) a = { 0 };
        char *error = NULL;

        assert_int_equal(parse("-3.5 -.5 - -l", false, &a, NULL, &error), 0);
        assert_int_equal(a.words->len, 3);
        assert_string_equal(args_word(&a, 0), "-3.5");
}

static void test_dashes(void **state) {
        g_auto(Args) a = { 0 };
        char *error = NULL;

        assert_int_equal(parse("p -l -- sh -c --long --", false, &a, NULL, &error), 0);
        assert_true(a.dashes);
        assert_int_equal(a.n_before, 1);
        assert_int_equal(a.words->len, 5);
        assert_string_equal(args_word(&a, 4), "--");
}

static void test_stops_at_verb(void **state) {
        g_auto(Args) a = { 0 };
        char *error = NULL;
        int next = 0;

        assert_int_equal(parse("-l verb --unknown", true, &a, &next, &error), 0);
        assert_int_equal(next, 1);
}

static void test_refused(void **state) {
        static const char *const lines[] = { "--longer", "-x",    "--long=1", "--count",
                                             "-ln",      "--lon", "-u16" };

        for (size_t i = 0; i < G_N_ELEMENTS(lines); i++) {
                Args a = { 0 };
                g_autofree char *error = NULL;

                assert_int_equal(parse(lines[i], false, &a, NULL, &error), -EINVAL);
                assert_non_null(error);
                assert_null(a.words);
        }
}

static void test_verbs(void **state) {
        char *server_add[] = { (char *) "server", (char *) "add", (char *) "uri" };
        char *serve[] = { (char *) "serve", (char *) "add" }, *read[] = { (char *) "read" };
        int n = 0;

        assert_string_equal(verb_find(3, server_add, &n)->name, "server add");
        assert_int_equal(n, 2);
        assert_string_equal(verb_find(1, read, &n)->name, "read");
        assert_int_equal(n, 1);
        assert_null(verb_find(1, server_add, &n));
        assert_null(verb_find(2, serve, &n));
        assert_null(verb_find(0, NULL, &n));
        for (const Verb *v = verbs; v->name; v++) {
                assert_non_null(v->run);
                assert_true(v->min <= v->max);
                for (const Verb *w = verbs; w < v; w++)
                        assert_string_not_equal(v->name, w->name);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_order),   cmocka_unit_test(test_separate_argument),
                cmocka_unit_test(test_dashes),  cmocka_unit_test(test_negative_number_is_a_word),
                cmocka_unit_test(test_refused), cmocka_unit_test(test_stops_at_verb),
                cmocka_unit_test(test_verbs),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
