/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "lwm2m/dm/attr_store.h"

static int parse(const char *text, AttrsUpdate *ret) {
        g_auto(GStrv) query = g_strsplit(text, "&", -1);

        return attrs_parse((const char *const *) query, ret, NULL);
}

static Attrs attrs(const char *text) {
        AttrsUpdate u;

        assert_int_equal(parse(text, &u), 0);
        return u.set;
}

static void test_parse(void **state) {
        static const char *const good[] = {
                "pmin=0", "pmax=4294967295", "gt=-1.5",        "lt=1e3",
                "st=0",   "epmin=1",         "epmax=60",       "edge=1",
                "con=0",  "hqmax=10",        "pmin=1&pmax=60", "gt=10&lt=2&st=0.5",
        };
        static const char *const bad[] = {
                "",
                "pmin=",
                "pmin=-1",
                "pmin=1.5",
                "pmin=4294967296",
                "pmin=x",
                "pmin= 1",
                "PMIN=1",
                "gt=",
                "gt=abc",
                "gt=nan",
                "gt=inf",
                "gt=0x10",
                "st=-1",
                "edge=2",
                "con=2",
                "con=-1",
                "hqmax=-1",
                "unknown=1",
                "pmin=1&pmin=2",
                "pmin&pmin=2",
                "dim=3",
                "ver=1.1",
                "ssid=1",
                "pmin=1&",
                "=1",
                "pmin=1=2",
                "pmin=01",
        };
        AttrsUpdate u = { .remove = 0 };

        for (size_t i = 0; i < G_N_ELEMENTS(good); i++) {
                g_autofree char *shown = NULL;

                assert_int_equal(parse(good[i], &u), 0);
                shown = attrs_format(&u.set);
                if (!strchr(good[i], 'e') || strncmp(good[i], "lt=", 3) != 0)
                        assert_string_equal(shown, good[i]);
        }
        for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
                u.remove = 0x5555;
                if (parse(bad[i], &u) != -EINVAL)
                        fail_msg("'%s' was taken", bad[i]);
                assert_int_equal(u.remove, 0x5555);
        }
        assert_int_equal(attrs_parse(NULL, &u, NULL), -EINVAL);
}

static void test_update(void **state) {
        Attrs a = attrs("pmin=1&pmax=60&gt=5");
        g_autofree char *shown = NULL;
        AttrsUpdate u;

        assert_int_equal(parse("pmin&pmax=30&gt", &u), 0);
        attrs_update(&a, &u);
        shown = attrs_format(&a);
        assert_string_equal(shown, "pmax=30");
}

static void test_check(void **state) {
        static const struct {
                const char *text;
                int expected;
        } cases[] = {
                { "pmin=5&pmax=5", 0 },   { "pmin=6&pmax=5", -EINVAL },
                { "pmin=6&pmax=0", 0 },   { "epmin=2&epmax=1", -EINVAL },
                { "epmin=1&epmax=2", 0 }, { "lt=1&gt=2", 0 },
                { "lt=2&gt=1", -EINVAL }, { "lt=2&gt=2", -EINVAL },
                { "lt=1&gt=6&st=1", 0 },  { "lt=1&gt=6&st=2.5", -EINVAL },
                { "st=100", 0 },          { "gt=1&st=100", 0 },
        };

        for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
                const Attrs a = attrs(cases[i].text);
                const char *why = NULL;

                assert_int_equal(attrs_check(&a, &why), cases[i].expected);
                assert_true(!why == (cases[i].expected == 0));
        }
}

static void test_target(void **state) {
        static const ResourceDef number = { .type = VALUE_FLOAT }, text = { .type = VALUE_STRING },
                                 flag = { .type = VALUE_BOOLEAN };
        const struct {
                const char *text;
                Path path;
                const ResourceDef *def;
                int expected;
        } cases[] = {
                { "pmin=1", PATH_O(3), NULL, 0 },
                { "pmin=1", PATH_OIRI(3, 0, 7, 1), &number, 0 },
                { "gt=1", PATH_O(3), NULL, -EINVAL },
                { "gt=1", PATH_OI(3, 0), NULL, -EINVAL },
                { "gt=1", PATH_OIR(3, 0, 7), &number, 0 },
                { "st=1", PATH_OIR(3, 0, 0), &text, -EINVAL },
                { "gt", PATH_OIR(3, 0, 0), &text, -EINVAL },
                { "edge=1", PATH_OIR(3, 0, 0), &number, -EINVAL },
                { "edge=1", PATH_OIR(3, 0, 0), &flag, 0 },
                { "con=1&hqmax=3", PATH_OIR(3, 0, 0), &text, 0 },
        };

        for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
                AttrsUpdate u;

                assert_int_equal(parse(cases[i].text, &u), 0);
                assert_int_equal(attrs_check_target(&u, &cases[i].path, cases[i].def),
                                 cases[i].expected);
        }
}

static void put(AttrStore *s, uint16_t ssid, Path p, const char *text) {
        const Attrs a = text[0] ? attrs(text) : (Attrs){ .set = 0 };

        assert_int_equal(attr_store_put(s, ssid, &p, &a), 0);
}

static void assert_effective(const AttrStore *s, uint16_t ssid, Path p, const char *expected) {
        g_autofree char *shown = NULL;
        Attrs a = { .set = 0 };

        attr_store_inherit(s, ssid, &p, &a);
        shown = attrs_format(&a);
        assert_string_equal(shown, expected);
}

static AttrStore *filled(void) {
        AttrStore *s = attr_store_new();

        put(s, 1, PATH_O(3303), "pmin=10&pmax=60");
        put(s, 1, PATH_OI(3303, 0), "pmin=5");
        put(s, 1, PATH_OIR(3303, 0, 5700), "gt=30.5&pmax=90");
        put(s, 2, PATH_O(3303), "pmin=99");
        put(s, 1, PATH_OIRI(3, 0, 7, 1), "st=2");
        return s;
}

static void test_inherit(void **state) {
        g_autoptr(AttrStore) s = filled();

        assert_effective(s, 1, PATH_O(3303), "pmin=10&pmax=60");
        assert_effective(s, 1, PATH_OI(3303, 0), "pmin=5&pmax=60");
        assert_effective(s, 1, PATH_OIR(3303, 0, 5700), "pmin=5&pmax=90&gt=30.5");
        assert_effective(s, 1, PATH_OIR(3303, 0, 5701), "pmin=5&pmax=60");
        assert_effective(s, 1, PATH_OIR(3303, 1, 5700), "pmin=10&pmax=60");
        assert_effective(s, 2, PATH_OIR(3303, 0, 5700), "pmin=99");
        assert_effective(s, 3, PATH_OIR(3303, 0, 5700), "");
        assert_effective(s, 1, PATH_OIRI(3, 0, 7, 0), "");
        assert_effective(s, 1, PATH_OIRI(3, 0, 7, 1), "st=2");
        assert_null(attr_store_get(s, 1, &PATH_OI(3303, 1)));
}

static void test_drop(void **state) {
        g_autoptr(AttrStore) s = filled();

        assert_int_equal(attr_store_drop(s, &PATH_OI(3303, 0)), 2);
        assert_effective(s, 1, PATH_OIR(3303, 0, 5700), "pmin=10&pmax=60");
        put(s, 1, PATH_O(3303), "");
        assert_effective(s, 1, PATH_O(3303), "");
        assert_int_equal(attr_store_drop_server(s, 2), 1);
        assert_int_equal(attr_store_drop_server(s, 2), 0);
        assert_effective(s, 2, PATH_O(3303), "");
        assert_effective(s, 1, PATH_OIRI(3, 0, 7, 1), "st=2");
}

static void test_blob(void **state) {
        g_autoptr(AttrStore) s = filled(), again = attr_store_new(), empty = attr_store_new();
        g_autoptr(GBytes) blob = attr_store_save(s), none = attr_store_save(empty), second = NULL;
        gsize size;
        const uint8_t *data = g_bytes_get_data(blob, &size);

        put(again, 9, PATH_O(1), "pmin=1");
        assert_int_equal(attr_store_load(again, blob), 0);
        assert_effective(again, 1, PATH_OIR(3303, 0, 5700), "pmin=5&pmax=90&gt=30.5");
        assert_effective(again, 9, PATH_O(1), ""); /* what was there is gone */
        second = attr_store_save(again);
        assert_true(g_bytes_equal(blob, second));

        for (gsize n = 0; n < size; n++) { /* every cut is refused and changes nothing */
                g_autoptr(GBytes) cut = g_bytes_new(data, n);

                assert_int_equal(attr_store_load(again, cut), -EBADMSG);
        }
        assert_effective(again, 1, PATH_O(3303), "pmin=10&pmax=60");
        assert_int_equal(attr_store_load(again, none), 0);
        assert_effective(again, 1, PATH_O(3303), "");
}

static void test_blob_foreign(void **state) {
        static const struct {
                const char *bytes;
                size_t n;
        } cases[] = {
                { "\x82\x02\x80", 3 },                          /* a later version */
                { "\x82\x01\x81\x83\x00\x62/3\x66pmin=1", 13 }, /* server 0 */
                { "\x82\x01\x81\x83\x01\x61/\x66pmin=1", 12 },  /* the root */
                { "\x82\x01\x81\x83\x01\x62/3\x66pmim=1", 13 }, /* no such attribute */
                { "\x82\x01\x81\x83\x01\x62/3\x64pmin", 11 },   /* no value */
                { "\x82\x01\x80\x00", 4 },                      /* something behind */
                { "\x01", 1 },
                { "\xa0", 1 },
        };
        g_autoptr(AttrStore) s = filled();

        for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
                g_autoptr(GBytes) blob = g_bytes_new(cases[i].bytes, cases[i].n);

                assert_int_equal(attr_store_load(s, blob), -EBADMSG);
        }
        assert_effective(s, 1, PATH_O(3303), "pmin=10&pmax=60");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_parse),   cmocka_unit_test(test_update),
                cmocka_unit_test(test_check),   cmocka_unit_test(test_target),
                cmocka_unit_test(test_inherit), cmocka_unit_test(test_drop),
                cmocka_unit_test(test_blob),    cmocka_unit_test(test_blob_foreign),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
