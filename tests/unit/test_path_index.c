/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "lwm2m/observe/path_index.h"

static void on_thing(void *userdata, void *thing) {
        g_string_append(userdata, thing);
}

static void assert_covering(const PathIndex *x, Path p, const char *expected) {
        g_autoptr(GString) s = g_string_new(NULL);

        path_index_covering(x, &p, on_thing, s);
        assert_string_equal(s->str, expected);
}

static void assert_below(const PathIndex *x, Path p, const char *expected) {
        g_autoptr(GString) s = g_string_new(NULL);

        path_index_below(x, &p, on_thing, s);
        assert_string_equal(s->str, expected);
}

static char names[][2] = { "a", "b", "c", "d", "e", "f", "g" };

static void test_find(void **state) {
        g_autoptr(PathIndex) x = path_index_new();
        const Path paths[] = { PATH_ROOT,
                               PATH_O(3),
                               PATH_OI(3, 0),
                               PATH_OIR(3, 0, 7),
                               PATH_OIRI(3, 0, 7, 1),
                               PATH_OIR(3, 1, 7),
                               PATH_OIR(3, 0, 7) };

        assert_true(path_index_is_empty(x));
        assert_false(path_index_touches(x, &PATH_ROOT));
        assert_covering(x, PATH_OI(3, 0), "");
        assert_below(x, PATH_ROOT, "");
        for (size_t i = 0; i < G_N_ELEMENTS(paths); i++)
                path_index_add(x, &paths[i], names[i]);

        assert_covering(x, PATH_OIRI(3, 0, 7, 1), "abcdge");
        assert_covering(x, PATH_OIRI(3, 0, 7, 2), "abcdg");
        assert_covering(x, PATH_OIR(3, 0, 8), "abc");
        assert_covering(x, PATH_O(4), "a");
        assert_below(x, PATH_OI(3, 0), "dge");
        assert_below(x, PATH_O(3), "cdgef");
        assert_below(x, PATH_OIR(3, 0, 7), "e");
        assert_below(x, PATH_OIRI(3, 0, 7, 1), "");
        assert_below(x, PATH_O(2), "");
        assert_int_equal(path_index_count(x, &paths[3]), 2);
        assert_int_equal(path_index_count(x, &PATH_O(4)), 0);

        for (size_t i = 0; i < 4; i++)
                path_index_remove(x, &paths[i], names[i]);
        path_index_remove(x, &PATH_O(9), names[0]); /* never there */
        assert_covering(x, PATH_OIRI(3, 0, 7, 1), "ge");
        assert_true(path_index_touches(x, &PATH_O(3)));
        assert_true(path_index_touches(x, &PATH_OIRI(3, 1, 7, 4)));
        assert_false(path_index_touches(x, &PATH_OI(3, 2)));
        assert_false(path_index_touches(x, &PATH_O(4)));
}

/* Many paths, looked up by comparison with a plain list. */
static void test_many(void **state) {
        g_autoptr(PathIndex) x = path_index_new();
        g_autoptr(GRand) rand = g_rand_new_with_seed(7);
        Path paths[500];

        for (size_t i = 0; i < G_N_ELEMENTS(paths); i++) {
                paths[i] = (Path){ .n = (uint8_t) g_rand_int_range(rand, 0, 5) };
                for (uint8_t j = 0; j < paths[i].n; j++)
                        paths[i].id[j] = (uint16_t) g_rand_int_range(rand, 0, 3);
                path_index_add(x, &paths[i], names[0]);
        }
        for (size_t i = 0; i < G_N_ELEMENTS(paths); i++) {
                g_autoptr(GString) covering = g_string_new(NULL), below = g_string_new(NULL);
                size_t n_covering = 0, n_below = 0;

                for (size_t j = 0; j < G_N_ELEMENTS(paths); j++) {
                        n_covering += path_covers(&paths[j], &paths[i]);
                        n_below += path_covers(&paths[i], &paths[j]) &&
                                   !path_equal(&paths[i], &paths[j]);
                }
                path_index_covering(x, &paths[i], on_thing, covering);
                path_index_below(x, &paths[i], on_thing, below);
                assert_int_equal(covering->len, n_covering);
                assert_int_equal(below->len, n_below);
        }
        for (size_t i = 0; i < G_N_ELEMENTS(paths); i++)
                path_index_remove(x, &paths[i], names[0]);
        assert_true(path_index_is_empty(x));
}

int main(void) {
        const struct CMUnitTest tests[] = { cmocka_unit_test(test_find),
                                            cmocka_unit_test(test_many) };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
