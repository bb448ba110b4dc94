/* SPDX-License-Identifier: Apache-2.0 */
#include "dm_fixture.h"

#include <string.h>

static void test_read_codes(void **state) {
        static const struct {
                const char *json;
                int accept;
                uint8_t code;
        } cases[] = {
                { "[{\"n\":\"/3/0/0\"},{\"n\":\"/3303/0\"}]", 110, CODE(2, 5) },
                { "[{\"n\":\"/3/0/0\"}]", 112, CODE(2, 5) },
                { "[{\"n\":\"/3/0/0\"}]", 11544, CODE(2, 5) },
                { "[{\"n\":\"/3/0/0\"},{\"n\":\"/4711\"}]", -1, CODE(2, 5) },
                { "[{\"n\":\"/3/0/0\"},{\"n\":\"/33000/0/3\"},{\"n\":\"/3/0/4\"}]", -1,
                  CODE(2, 5) },
                { "[{\"n\":\"/4711\"},{\"n\":\"/33000/0/3\"}]", -1, CODE(4, 4) },
                { "[{\"n\":\"/3/0/0\"},{\"n\":\"/0/0/0\"}]", -1, CODE(4, 1) },
                { "[{\"n\":\"/21\"}]", -1, CODE(4, 1) },
                { "[]", -1, CODE(4, 0) },
                { "", -1, CODE(4, 0) },
                { "[{\"n\":\"/3/x\"}]", -1, CODE(4, 0) },
                { "[{\"n\":\"3\"},{\"n\":", -1, CODE(4, 0) },
                { "[{\"n\":\"/3/0/0\"}]", 0, CODE(4, 6) },
                { "[{\"n\":\"/3/0/0\"}]", 11542, CODE(4, 6) },
                { "[{\"n\":\"/3/0/0\"}]", 40, CODE(4, 6) },
                { "[{\"n\":\"/1\"},{\"n\":\"/2\"},{\"n\":\"/3\"},{\"n\":\"/4\"},{\"n\":\"/"
                  "5\"},{\"n\":\"/6\"}]",
                  -1, CODE(4, 13) },
        };
        Fixture *f = *state;

        for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
                uint8_t code = fetch(f, cases[i].json, cases[i].accept);

                if (code != cases[i].code)
                        fail_msg("FETCH %s (%d): %u.%02u", cases[i].json, cases[i].accept,
                                 code >> 5, code & 31);
        }
}

static uint8_t fetch_as(Fixture *f, const char *path, int format) {
        static const char body[] = "[{\"n\":\"/3/0/0\"}]";

        return fixture_ask(f, &(Ask){ .method = METHOD_FETCH,
                                      .path = path,
                                      .format = format,
                                      .accept = -1,
                                      .observe = -1,
                                      .payload = body,
                                      .n_payload = strlen(body) });
}

/* The body is what its Content-Format says; the answer what Accept says. */
static void test_read_formats(void **state) {
        Fixture *f = *state;

        assert_int_equal(fetch_as(f, "/", 110), CODE(2, 5));
        assert_int_equal(fake_last_answer(f->transport)->format, 112);
        assert_int_equal(fetch_as(f, "/", 320), CODE(2, 5));
        assert_int_equal(fetch_as(f, "/", 112), CODE(4, 0));
        assert_int_equal(fetch_as(f, "/", -1), CODE(4, 15));
        assert_int_equal(fetch_as(f, "/", 0), CODE(4, 15));
        assert_int_equal(fetch_as(f, "/", 11542), CODE(4, 15));
        assert_int_equal(fetch_as(f, "/3", 110), CODE(4, 5));
        assert_int_equal(fetch_as(f, "/0", 110), CODE(4, 1));
}

static unsigned count(const char *text, const char *what) {
        unsigned n = 0;

        for (const char *c = text; (c = strstr(c, what)); c++)
                n++;
        return n;
}

/* Overlapping paths: each value once. */
static void test_read_overlap(void **state) {
        Fixture *f = *state;

        assert_int_equal(
                fetch(f, "[{\"n\":\"/3303/1\"},{\"n\":\"/3303\"},{\"n\":\"/3303/0/5700\"}]", 110),
                CODE(2, 5));
        assert_int_equal(count(answer_text(f), "21.5"), 1);
        assert_int_equal(count(answer_text(f), "22.5"), 1);
        assert_int_equal(fetch(f, "[{\"n\":\"/3303\"},{\"n\":\"/3303\"}]", 110), CODE(2, 5));
        assert_int_equal(count(answer_text(f), "21.5"), 1);
}

static void test_read_root(void **state) {
        Fixture *f = *state;

        assert_int_equal(fetch(f, "[{\"n\":\"/\"}]", 110), CODE(2, 5));
        assert_non_null(strstr(answer_text(f), "ACME"));
        assert_non_null(strstr(answer_text(f), "21.5"));
        assert_non_null(strstr(answer_text(f), "86400"));
        assert_null(strstr(answer_text(f), "192.0.2.1")); /* object 0 */
}

static void test_read_app(void **state) {
        g_auto(RecordList) l = { .v = NULL };
        Fixture *f = *state;
        Path p = PATH_OIR(3303, 1, 5700);
        Value v = { .type = VALUE_FLOAT, .d = 99.5 };

        record_list_add(&l, &p, &v, RECORD_NO_TIME);
        fake_apps_claim(f->apps, "/3303/1", APP_READ);
        assert_int_equal(fetch(f, "[{\"n\":\"/3/0/0\"},{\"n\":\"/3303/1/5700\"}]", 110), 0);
        assert_string_equal(fake_apps_last(f->apps)->what, "/3303/1/5700");
        fake_app_answer(fake_apps_last(f->apps), 0, NULL, &l, f->now);
        assert_non_null(strstr(answer_text(f), "99.5"));
        assert_non_null(strstr(answer_text(f), "ACME"));
}

static void test_write_codes(void **state) {
        static const struct {
                const char *json;
                uint8_t minor, code;
        } cases[] = {
                { "[{\"n\":\"/33000/0/0\",\"v\":1},{\"n\":\"/33000/0/1\",\"v\":9}]", 1,
                  CODE(4, 5) },
                { "[{\"n\":\"/33000/0/1\",\"v\":9},{\"n\":\"/0/0/0\",\"vs\":\"coap://x\"}]", 1,
                  CODE(4, 1) },
                { "[{\"n\":\"/33000/0/1\",\"v\":9},{\"n\":\"/33000/1/1\",\"v\":1}]", 1,
                  CODE(4, 4) },
                { "[{\"n\":\"/33000/0/1\",\"v\":9},{\"n\":\"/33000/0/4711\",\"v\":1}]", 1,
                  CODE(4, 4) },
                { "[{\"n\":\"/33000/0/1\",\"v\":9},{\"n\":\"/33000/0/2\",\"v\":1}]", 1,
                  CODE(4, 0) },
                { "[{\"n\":\"/33000/0/1\",\"v\":9},{\"n\":\"/33000/0/1/0\",\"v\":1}]", 1,
                  CODE(4, 0) },
                { "[{\"n\":\"/33000/0/1\",\"v\":101}]", 1, CODE(4, 0) },
                { "[{\"n\":\"/33000/0/1\"}]", 1, CODE(4, 0) },
                { "[]", 1, CODE(4, 0) },
                { "[{\"n\":\"/33000/0/5/1\"}]", 1, CODE(4, 0) },
                { "[{\"n\":\"/33000/0/1\",\"v\":9},{\"n\":\"/33000/0/5/8\",\"v\":8},{\"n\":\"/1/0/"
                  "1\",\"v\":300}]",
                  1, CODE(2, 4) },
        };
        Fixture *f = *state;

        for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
                uint8_t code;

                assert_value(f, "/33000/0/1", "5");
                peer_set_version(f->peer, (Version){ 1, cases[i].minor });
                code = ipatch(f, cases[i].json);
                if (code != cases[i].code)
                        fail_msg("iPATCH %s: %u.%02u", cases[i].json, code >> 5, code & 31);
        }
        assert_value(f, "/33000/0/1", "9");
        assert_value(f, "/33000/0/5/1", "0.5"); /* merged */
        assert_value(f, "/33000/0/5/8", "8");
        assert_value(f, "/1/0/1", "300");
        assert_value(f, "/0/0/0", "coap://192.0.2.1");
}

/* In LwM2M 1.2 a record with null removes a resource instance. */
static void test_write_null(void **state) {
        static const uint8_t cbor[] = { 0x81, 0xa2, 0x00, 0x6c, '/', '3', '3', '0',  '0',
                                        '0',  '/',  '0',  '/',  '5', '/', '1', 0x02, 0xf6 };
        Fixture *f = *state;
        const Ask ask = { .method = METHOD_IPATCH,
                          .path = "/",
                          .format = 112,
                          .accept = -1,
                          .observe = -1,
                          .payload = cbor,
                          .n_payload = sizeof(cbor) };

        assert_int_equal(fixture_ask(f, &ask), CODE(4, 0));
        assert_value(f, "/33000/0/5/1", "0.5");
        peer_set_version(f->peer, (Version){ 1, 2 });
        assert_int_equal(fixture_ask(f, &ask), CODE(2, 4));
        assert_value(f, "/33000/0/5/1", "none");
        assert_value(f, "/33000/0/5/3", "1.5");
}

static void test_write_app(void **state) {
        Fixture *f = *state;

        fake_apps_claim(f->apps, "/3303", APP_WRITE);
        fake_apps_claim(f->apps, "/33000/0/1", APP_WRITE);
        assert_int_equal(
                ipatch(f, "[{\"n\":\"/33000/0/1\",\"v\":9},{\"n\":\"/33000/0/2\",\"vs\":\"x\"}]"),
                0);
        assert_string_equal(fake_apps_last(f->apps)->what, "set:/33000/0/1");
        fake_app_answer(fake_apps_last(f->apps), 0, NULL, NULL, f->now);
        assert_int_equal(fake_last_answer(f->transport)->code, CODE(2, 4));
        assert_value(f, "/33000/0/2", "x");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                DM_TEST(test_read_codes), DM_TEST(test_read_formats), DM_TEST(test_read_overlap),
                DM_TEST(test_read_root),  DM_TEST(test_read_app),     DM_TEST(test_write_codes),
                DM_TEST(test_write_null), DM_TEST(test_write_app),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
