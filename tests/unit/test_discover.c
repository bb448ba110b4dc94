/* SPDX-License-Identifier: Apache-2.0 */
#include "dm_fixture.h"

static uint8_t discover(Fixture *f, const char *path, const char *query) {
        return fixture_ask(f, &(Ask){ .method = METHOD_GET,
                                      .path = path,
                                      .query = query,
                                      .format = -1,
                                      .accept = 40,
                                      .observe = -1 });
}

static void assert_links(Fixture *f, const char *path, const char *query, const char *expected) {
        assert_int_equal(discover(f, path, query), CODE(2, 5));
        assert_int_equal(fake_last_answer(f->transport)->format, 40);
        assert_string_equal(answer_text(f), expected);
}

static void test_levels(void **state) {
        Fixture *f = *state;

        assert_links(f, "/3303", NULL,
                     "</3303>;ver=1.1,</3303/0>,</3303/0/5700>,</3303/1>,</3303/1/5700>");
        assert_links(f, "/3", NULL, "</3>;ver=1.1,</3/0>,</3/0/0>,</3/0/4>,</3/0/7>;dim=2");
        assert_links(f, "/3/0", NULL, "</3/0>,</3/0/0>,</3/0/4>,</3/0/7>;dim=2");
        assert_links(f, "/3/0/7", NULL, "</3/0/7>;dim=2,</3/0/7/0>,</3/0/7/1>");
        assert_links(f, "/3/0/0", NULL, "</3/0/0>");
        assert_links(f, "/3/0/7/1", NULL, "</3/0/7/1>");
        assert_links(f, "/1", NULL, "</1>;ver=1.1,</1/0>;ssid=1,</1/0/0>,</1/0/1>,</1/0/8>");
        assert_links(f, "/33001", NULL, "</33001>");
        peer_set_version(f->peer, (Version){ 1, 0 });
        assert_links(f, "/3/0/7", NULL, "</3/0/7>;dim=2"); /* 1.0 has no resource instances */
}

/* What has no value is there when somebody stands behind it: the daemon (8, 9) or an application.
 */
static void test_handled(void **state) {
        Fixture *f = *state;

        assert_links(f, "/33000/0", NULL,
                     "</33000/0>,</33000/0/1>,</33000/0/2>,</33000/0/5>;dim=2,</33000/0/8>,</33000/"
                     "0/9>");
        fake_apps_claim(f->apps, "/33000/0/0", APP_READ);
        fake_apps_claim(f->apps, "/33000/0/4", APP_EXECUTE);
        assert_links(f, "/33000/0", NULL,
                     "</33000/0>,</33000/0/0>,</33000/0/1>,</33000/0/2>,</33000/0/4>,</33000/0/"
                     "5>;dim=2,</33000/0/8>,"
                     "</33000/0/9>");
        assert_links(f, "/33000/0/4", NULL, "</33000/0/4>");
        assert_links(f, "/33000/0/8", NULL, "</33000/0/8>");
        assert_int_equal(discover(f, "/33000/0/6", NULL), CODE(4, 4));
}

static void test_attributes(void **state) {
        Fixture *f = *state;

        attributes(f, "/3303", "pmin=10&pmax=60");
        attributes(f, "/3303/0", "pmin=5");
        attributes(f, "/3303/0/5700", "gt=30.5&lt=-2");
        attributes(f, "/3/0/7/1", "st=100");
        assert_links(f, "/3303", NULL,
                     "</3303>;ver=1.1;pmin=10;pmax=60,</3303/0>;pmin=5,</3303/0/"
                     "5700>;gt=30.5;lt=-2,</3303/1>,</3303/1/5700>");
        assert_links(f, "/3303/0", NULL, "</3303/0>;pmin=5,</3303/0/5700>;gt=30.5;lt=-2");
        assert_links(f, "/3303/0/5700", NULL,
                     "</3303/0/5700>;pmin=5;pmax=60;gt=30.5;lt=-2"); /* inherited, too */
        assert_links(f, "/3/0/7", NULL, "</3/0/7>;dim=2,</3/0/7/0>,</3/0/7/1>;st=100");

        peer_free(f->peer); /* another server has its own */
        f->peer = peer_new(f->dm, 2);
        assert_links(f, "/3303/0/5700", NULL, "</3303/0/5700>");
}

static void test_depth(void **state) {
        Fixture *f = *state;

        assert_links(f, "/3", "depth=0", "</3>;ver=1.1");
        assert_links(f, "/3", "depth=1", "</3>;ver=1.1,</3/0>");
        assert_links(f, "/3", "depth=3",
                     "</3>;ver=1.1,</3/0>,</3/0/0>,</3/0/4>,</3/0/7>;dim=2,</3/0/7/0>,</3/0/7/1>");
        assert_links(f, "/3/0", "depth=0", "</3/0>");
        assert_links(f, "/3/0", "depth=2",
                     "</3/0>,</3/0/0>,</3/0/4>,</3/0/7>;dim=2,</3/0/7/0>,</3/0/7/1>");
        assert_links(f, "/3/0/7", "depth=0", "</3/0/7>;dim=2");
}

static void test_codes(void **state) {
        static const struct {
                const char *path, *query;
                uint8_t code;
        } cases[] = {
                { "/", NULL, CODE(4, 5) },
                { "/4711", NULL, CODE(4, 4) },
                { "/3/1", NULL, CODE(4, 4) },
                { "/3/0/4711", NULL, CODE(4, 4) },
                { "/3/0/7/9", NULL, CODE(4, 4) },
                { "/3/0/0/0", NULL, CODE(4, 4) },
                { "/x", NULL, CODE(4, 4) },
                { "/0", NULL, CODE(4, 1) },
                { "/0/0/5", NULL, CODE(4, 1) },
                { "/21", NULL, CODE(4, 1) },
                { "/3", "depth=4", CODE(4, 0) },
                { "/3", "depth=", CODE(4, 0) },
                { "/3", "depth=-1", CODE(4, 0) },
                { "/3", "deep=1", CODE(4, 0) },
                { "/3", "depth=1&depth=1", CODE(4, 0) },
        };
        Fixture *f = *state;

        for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
                uint8_t code = discover(f, cases[i].path, cases[i].query);

                if (code != cases[i].code)
                        fail_msg("%s?%s: %u.%02u", cases[i].path,
                                 cases[i].query ? cases[i].query : "", code >> 5, code & 31);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                DM_TEST(test_levels), DM_TEST(test_handled), DM_TEST(test_attributes),
                DM_TEST(test_depth),  DM_TEST(test_codes),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
