/* SPDX-License-Identifier: Apache-2.0 */
#include "dm_fixture.h"

#include <errno.h>
#include <string.h>

#define JSON(path, rest) "[{\"bn\":\"" path "\"," rest "]"

static void assert_created(Fixture *f, uint8_t code, const char *location) {
        assert_int_equal(code, CODE(2, 1));
        assert_string_equal(fake_last_answer(f->transport)->path, location);
}

static void test_without_id(void **state) {
        static const uint8_t bare[] = { 0xc1, 0x01, 0x07, 0xc2, 0x02, 'h', 'i' };
        Fixture *f = *state;

        assert_created(f, post_bytes(f, "/33000", 11542, bare, sizeof(bare)), "/33000/1");
        assert_value(f, "/33000/1/1", "7");
        assert_value(f, "/33000/1/2", "hi");
        assert_created(f, post(f, "/33001", -1, NULL), "/33001/0"); /* nothing is mandatory there */
        assert_int_equal(post(f, "/33000", 110, JSON("/33000/", "\"n\":\"1\",\"v\":8}")),
                         CODE(4, 0)); /* a value for /33000/1 */
}

static void test_with_id(void **state) {
        static const uint8_t wrapped[] = { 0x03, 0x05, 0xc1, 0x01, 0x07 };
        Fixture *f = *state;

        assert_created(f, post_bytes(f, "/33000", 11542, wrapped, sizeof(wrapped)), "/33000/5");
        assert_value(f, "/33000/5/1", "7");
        assert_created(f, post(f, "/33000", 110, JSON("/33000/65534/", "\"n\":\"1\",\"v\":8}")),
                       "/33000/65534");
        assert_value(f, "/33000/65534/1", "8");
        assert_int_equal(get(f, "/33000/65534/1", 0), CODE(2, 5));
}

static void test_codes(void **state) {
        static const struct {
                const char *path;
                int format;
                const char *body;
                uint8_t code;
        } cases[] = {
                { "/33000", 110, JSON("/33000/0/", "\"n\":\"1\",\"v\":8}"),
                  CODE(4, 0) }, /* exists */
                { "/33000", 110, JSON("/33000/7/", "\"n\":\"2\",\"vs\":\"x\"}"),
                  CODE(4, 0) }, /* 1 is mandatory */
                { "/33000", -1, NULL, CODE(4, 0) },
                { "/33000", 110, JSON("/33000/7/", "\"n\":\"1\",\"v\":101}"), CODE(4, 0) },
                { "/33000", 110, JSON("/33000/7/", "\"n\":\"1\",\"vs\":\"x\"}"), CODE(4, 0) },
                { "/33000", 110, JSON("/33000/", "\"n\":\"7/1\",\"v\":8},{\"n\":\"8/1\",\"v\":8}"),
                  CODE(4, 0) }, /* two */
                { "/33000", 110, JSON("/3303/7/", "\"n\":\"5601\",\"v\":8}"), CODE(4, 0) },
                { "/33000", 110, "{", CODE(4, 0) },
                { "/33000", 110, JSON("/33000/7/", "\"n\":\"1\",\"v\":8},{\"n\":\"0\",\"v\":1}"),
                  CODE(4, 5) }, /* read-only */
                { "/33000", 110, JSON("/33000/99/", "\"n\":\"1\",\"v\":8}"),
                  CODE(4, 5) }, /* the daemon refuses */
                { "/33001", 110, JSON("/33001/1/", "\"n\":\"0\",\"v\":8}"),
                  CODE(4, 5) }, /* one instance only */
                { "/1", 110, JSON("/1/7/", "\"n\":\"1\",\"v\":8}"), CODE(4, 5) },
                { "/0", 110, JSON("/0/7/", "\"n\":\"0\",\"vs\":\"coap://x\"}"), CODE(4, 1) },
                { "/33000", 110, JSON("/0/7/", "\"n\":\"0\",\"vs\":\"coap://x\"}"), CODE(4, 1) },
                { "/4711", 110, JSON("/4711/7/", "\"n\":\"0\",\"v\":1}"), CODE(4, 4) },
                { "/33000", 0, "x", CODE(4, 15) },
                { "/33000", 4711, "x", CODE(4, 15) },
                { "/33000", -1, "x", CODE(4, 15) },
                { "/33000", 110, JSON("/33000/7/", "\"n\":\"1\",\"v\":8},{\"n\":\"4711\",\"v\":1}"),
                  CODE(2, 1) }, /* left out */
        };
        Fixture *f = *state;

        for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
                uint8_t code = post(f, cases[i].path, cases[i].format, cases[i].body);

                if (code != cases[i].code)
                        fail_msg("POST %s '%s': %u.%02u", cases[i].path,
                                 cases[i].body ? cases[i].body : "", code >> 5, code & 31);
                if (code != CODE(2, 1))
                        assert_false(tree_exists(f->tree, &PATH_OI(33000, 7)));
        }
        assert_value(f, "/33000/7/1", "8");
        assert_int_equal(tree_n_instances(f->tree, 33000), 2);
        assert_int_equal(tree_n_instances(f->tree, 33001), 0);
}

static void test_app(void **state) {
        Fixture *f = *state;
        AppCall *c;

        fake_apps_claim(f->apps, "/33000", APP_CREATE);
        assert_int_equal(post(f, "/33000", 110, JSON("/33000/7/", "\"n\":\"1\",\"v\":8}")), 0);
        c = fake_apps_last(f->apps);
        assert_string_equal(c->what, "create:/33000/7");
        /* Somebody else takes the id meanwhile. */
        create(f, "/33000/7");
        fake_app_answer(c, 0, NULL, NULL, f->now);
        assert_int_equal(fake_last_answer(f->transport)->code, CODE(4, 0));
        assert_true(c->finished && !c->committed);
        assert_value(f, "/33000/7/1", "none");

        assert_int_equal(delete_path(f, "/33000/7"), 0);
        c = fake_apps_last(f->apps);
        assert_string_equal(c->what, "delete:/33000/7");
        fake_app_answer(c, -EACCES, NULL, NULL, f->now);
        assert_int_equal(fake_last_answer(f->transport)->code, CODE(4, 1));
        assert_true(tree_exists(f->tree, &PATH_OI(33000, 7)));
}

static void test_delete(void **state) {
        static const struct {
                const char *path;
                uint8_t minor, code;
        } cases[] = {
                { "/", 1, CODE(4, 5) },
                { "/33000", 1, CODE(4, 5) },
                { "/4711", 1, CODE(4, 4) },
                { "/33000/7", 1, CODE(4, 4) },
                { "/33000/0/1", 1, CODE(4, 5) },
                { "/33000/0/6", 1, CODE(4, 4) },
                { "/33000/0/5/1", 1, CODE(4, 5) }, /* since 1.2 */
                { "/33000/0/5/1", 2, CODE(2, 2) },
                { "/33000/0/5/1", 2, CODE(4, 4) },
                { "/33000/0/1", 2, CODE(4, 5) },
                { "/3/0/7/0", 2, CODE(4, 5) }, /* read-only */
                { "/3/0", 1, CODE(4, 5) },
                { "/1/0", 1, CODE(4, 5) },
                { "/0/0", 1, CODE(4, 1) },
                { "/33000/0", 1, CODE(2, 2) },
                { "/33000/0", 1, CODE(4, 4) },
        };
        Fixture *f = *state;

        for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
                uint8_t code;

                peer_set_version(f->peer, (Version){ 1, cases[i].minor });
                code = delete_path(f, cases[i].path);
                if (code != cases[i].code)
                        fail_msg("DELETE %s: %u.%02u", cases[i].path, code >> 5, code & 31);
        }
        assert_false(tree_exists(f->tree, &PATH_OI(33000, 0)));
        assert_true(tree_exists(f->tree, &PATH_OI(3, 0)));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                DM_TEST(test_without_id), DM_TEST(test_with_id), DM_TEST(test_codes),
                DM_TEST(test_app),        DM_TEST(test_delete),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
