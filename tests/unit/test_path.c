/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "codec/path.h"

static void test_parse_good(void **state) {
        static const struct {
                const char *text;
                Path path;
        } cases[] = {
                { "/", PATH_ROOT },
                { "/0", PATH_O(0) },
                { "/3/0", PATH_OI(3, 0) },
                { "/3/0/13", PATH_OIR(3, 0, 13) },
                { "/3/0/6/1", PATH_OIRI(3, 0, 6, 1) },
                { "/65534/65534/65534/65534", PATH_OIRI(65534, 65534, 65534, 65534) },
        };

        for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
                Path p = PATH_O(9);

                assert_int_equal(path_parse(cases[i].text, &p), 0);
                assert_true(path_equal(&p, &cases[i].path));
                assert_string_equal(PATH_TEXT(&p), cases[i].text);
        }
}

static void test_parse_bad(void **state) {
        static const char *const cases[] = {
                "",
                "3",
                "3/0",
                "//",
                "/3/",
                "/3//0",
                "/03",
                "/00",
                "/65535",
                "/65536",
                "/-1",
                "/+1",
                "/ 3",
                "/3 ",
                "/3/0/0/0/0",
                "/a",
                "/3/0x1",
                "/4294967296",
                "/99999999999999999999",
        };

        for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
                Path p = PATH_O(9);

                assert_int_equal(path_parse(cases[i], &p), -EINVAL);
                assert_true(p.n == 1 && p.id[0] == 9);
        }
        assert_int_equal(path_parse(NULL, &(Path){ 0 }), -EINVAL);
}

static void test_order(void **state) {
        static const Path sorted[] = {
                { .n = 0 },
                PATH_O(1),
                PATH_OI(1, 0),
                PATH_OIR(1, 0, 0),
                PATH_OIRI(1, 0, 0, 0),
                PATH_OIR(1, 0, 1),
                PATH_OI(1, 1),
                PATH_O(2),
                PATH_O(256),
                PATH_OI(256, 0),
                PATH_OIRI(256, 0, 6, 65534),
        };

        for (size_t i = 0; i < sizeof(sorted) / sizeof(*sorted); i++)
                for (size_t j = 0; j < sizeof(sorted) / sizeof(*sorted); j++) {
                        int r = path_compare(&sorted[i], &sorted[j]);

                        assert_int_equal(r, i < j ? -1 : i > j);
                        assert_int_equal(path_equal(&sorted[i], &sorted[j]), i == j);
                }
}

static void test_covers(void **state) {
        const Path p = PATH_OIRI(3, 0, 6, 1), other = PATH_OIR(3, 0, 7);

        for (uint8_t n = 0; n <= 4; n++) {
                Path prefix = path_prefix(&p, n);

                assert_int_equal(prefix.n, n);
                assert_true(path_covers(&prefix, &p));
                assert_int_equal(path_covers(&prefix, &other), n <= 2);
                assert_int_equal(path_covers(&p, &prefix), n == 4);
        }
        assert_true(path_equal(&p, &(Path){ .id = { 3, 0, 6, 1 }, .n = 4 }));
        assert_string_equal(PATH_TEXT(&((Path[]){ path_child(&other, 65534) })[0]), "/3/0/7/65534");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_parse_good),
                cmocka_unit_test(test_parse_bad),
                cmocka_unit_test(test_order),
                cmocka_unit_test(test_covers),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
