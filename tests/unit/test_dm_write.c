/* SPDX-License-Identifier: Apache-2.0 */
/* Write: Replace and Partial Update, response codes, Write-Attributes, and applications in the way.
 */
#include "dm_fixture.h"

#include <errno.h>
#include <string.h>

static void test_codes(void **state) {
        static const struct {
                uint8_t method;
                const char *path;
                int format;
                const char *body;
                uint8_t code;
        } cases[] = {
                { METHOD_PUT, "/33000/0/1", 0, "7", CODE(2, 4) },
                { METHOD_PUT, "/33000/0/1", 60, "\x07", CODE(2, 4) },
                { METHOD_PUT, "/33000/0/2", 0, "", CODE(2, 4) },
                { METHOD_PUT, "/33000/0/3", 0, "secret", CODE(2, 4) },
                { METHOD_PUT, "/33000/0/5/1", 0, "2.5", CODE(2, 4) },
                { METHOD_PUT, "/33000/0/5/9", 0, "2.5", CODE(2, 4) },
                { METHOD_PUT, "/33000/0/6", 42, "abc", CODE(2, 4) },
                { METHOD_PUT, "/33000/0/7", 0, "1", CODE(2, 4) },
                { METHOD_PUT, "/33000/0/12", 0, "-5", CODE(2, 4) },
                { METHOD_PUT, "/33000/0/13", 0, "3:0", CODE(2, 4) },
                { METHOD_PUT, "/33000/0/14", 0, "18446744073709551615", CODE(2, 4) },
                { METHOD_PUT, "/33000/0/1", 110, "[{\"bn\":\"/33000/0/1\",\"v\":8}]", CODE(2, 4) },
                { METHOD_POST, "/33000/0", 110, "[{\"bn\":\"/33000/0/\",\"n\":\"1\",\"v\":8}]",
                  CODE(2, 4) },
                /* 4.00 */
                { METHOD_PUT, "/33000/0/1", 0, "x", CODE(4, 0) },
                { METHOD_PUT, "/33000/0/1", 0, "", CODE(4, 0) },
                { METHOD_PUT, "/33000/0/1", 0, "1.5", CODE(4, 0) },
                { METHOD_PUT, "/33000/0/1", 0, "101", CODE(4, 0) }, /* out of range */
                { METHOD_PUT, "/33000/0/1", 0, "99999999999999999999", CODE(4, 0) },
                { METHOD_PUT, "/33000/0/2", 0, "\xff", CODE(4, 0) }, /* not UTF-8 */
                { METHOD_PUT, "/33000/0/7", 0, "2", CODE(4, 0) },
                { METHOD_PUT, "/33000/0/13", 0, "3", CODE(4, 0) },
                { METHOD_PUT, "/33000/0/14", 0, "-1", CODE(4, 0) },
                { METHOD_PUT, "/33000/0", 11542, "\xc1", CODE(4, 0) },
                { METHOD_PUT, "/33000/0", 110, "[", CODE(4, 0) },
                { METHOD_PUT, "/33000/0", 112, "\x81", CODE(4, 0) },
                { METHOD_PUT, "/33000/0/1", 110, "[{\"bn\":\"/33000/0/2\",\"vs\":\"x\"}]",
                  CODE(4, 0) }, /* elsewhere */
                { METHOD_POST, "/33000/0", 110, "[{\"bn\":\"/3303/0/\",\"n\":\"5601\",\"v\":8}]",
                  CODE(4, 0) },
                { METHOD_PUT, "/33000/0", 110, "[{\"bn\":\"/33000/0/\",\"n\":\"2\",\"vs\":\"x\"}]",
                  CODE(4, 0) },                                   /* 1 missing */
                { METHOD_PUT, "/33000/0", -1, NULL, CODE(4, 0) }, /* Write-Attributes without any */
                /* 4.01, whatever the path or a record says */
                { METHOD_PUT, "/0/0/0", 0, "coap://x", CODE(4, 1) },
                { METHOD_POST, "/0/0", 11542, "", CODE(4, 1) },
                { METHOD_PUT, "/21/0/0", 42, "x", CODE(4, 1) },
                { METHOD_PUT, "/0/0/0", -1, NULL, CODE(4, 1) },
                /* 4.04 */
                { METHOD_PUT, "/33000/1/1", 0, "1", CODE(4, 4) },
                { METHOD_PUT, "/33000/0/4711", 0, "1", CODE(4, 4) },
                { METHOD_PUT, "/33000/0/1/0", 0, "1", CODE(4, 4) },
                { METHOD_PUT, "/4711/0", 110, "[]", CODE(4, 4) },
                { METHOD_POST, "/33000/1", 110, "[]", CODE(4, 4) },
                { METHOD_POST, "/33000/0", 110, "[{\"bn\":\"/33000/0/\",\"n\":\"4711\",\"v\":8}]",
                  CODE(4, 4) },
                { METHOD_PUT, "/33000/x", 0, "1", CODE(4, 4) },
                /* 4.05 */
                { METHOD_PUT, "/", 110, "[]", CODE(4, 5) },
                { METHOD_POST, "/", 110, "[]", CODE(4, 5) },
                { METHOD_PUT, "/33000", 110, "[]", CODE(4, 5) },
                { METHOD_PUT, "/33000/0/0", 0, "1", CODE(4, 5) },
                { METHOD_PUT, "/33000/0/4", 0, "1", CODE(4, 5) },
                { METHOD_PUT, "/33000/0/10/0", 0, "x", CODE(4, 5) },
                { METHOD_POST, "/33000/0", 110, "[{\"bn\":\"/33000/0/\",\"n\":\"0\",\"v\":8}]",
                  CODE(4, 5) },
                { METHOD_POST, "/33000/0/1", 0, "8", CODE(4, 5) }, /* that would be Execute */
                { METHOD_PATCH, "/33000/0", 110, "[]", CODE(4, 5) },
                { 20, "/33000/0", 110, "[]", CODE(4, 5) },
                /* 4.15 */
                { METHOD_PUT, "/33000/0/1", 4711, "7", CODE(4, 15) },
                { METHOD_PUT, "/33000/0/1", 40, "7", CODE(4, 15) },
                { METHOD_PUT, "/33000/0/1", 320, "7", CODE(4, 15) },
                { METHOD_PUT, "/33000/0/1", -1, "7", CODE(4, 15) },
                { METHOD_PUT, "/33000/0", 0, "7", CODE(4, 15) },
                { METHOD_PUT, "/33000/0", 42, "7", CODE(4, 15) },
                { METHOD_POST, "/33000/0", -1, "7", CODE(4, 15) },
        };
        Fixture *f = *state;

        for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
                uint8_t code = cases[i].method == METHOD_POST
                                       ? post(f, cases[i].path, cases[i].format, cases[i].body)
                               : cases[i].method == METHOD_PUT
                                       ? put(f, cases[i].path, cases[i].format, cases[i].body)
                                       : fixture_ask(f, &(Ask){ .method = cases[i].method,
                                                                .path = cases[i].path,
                                                                .format = cases[i].format,
                                                                .accept = -1,
                                                                .observe = -1 });

                if (code != cases[i].code)
                        fail_msg("%u %s (%d) '%s': %u.%02u", cases[i].method, cases[i].path,
                                 cases[i].format, cases[i].body ? cases[i].body : "", code >> 5,
                                 code & 31);
        }
        assert_value(f, "/33000/0/1", "8");
        assert_value(f, "/33000/0/2", "");
        assert_value(f, "/33000/0/5/1", "2.5");
        assert_value(f, "/33000/0/14", "18446744073709551615");
        assert_value(f, "/0/0/0", "coap://192.0.2.1");
}

static void test_too_large(void **state) {
        Fixture *f = *state;
        g_autofree char *big = g_malloc0(1 << 20);
        Dm *dm = dm_new(&(DmConfig){ .tree = f->tree,
                                     .timers = f->timers,
                                     .transport = &fake_transport_ops,
                                     .limits = { .bytes = 1000, .records = 3 } });
        Peer *former = f->peer;

        f->peer = peer_new(dm, 1);
        assert_int_equal(put_bytes(f, "/33000/0/6", 42, big, 1 << 20), CODE(4, 13));
        assert_int_equal(put_bytes(f, "/33000/0/6", 42, big, 900), CODE(2, 4));
        assert_int_equal(post(f, "/33000/0", 110,
                              "[{\"bn\":\"/33000/0/5/"
                              "\",\"n\":\"1\",\"v\":1},{\"n\":\"2\",\"v\":1},{\"n\":\"3\",\"v\":1},"
                              "{\"n\":\"4\",\"v\":1}]"),
                         CODE(4, 13));
        assert_value(f, "/33000/0/5/1", "0.5");
        f->peer = former;
        dm_free(dm);
}

/* PUT makes the instance what the body says, as far as a server may write it; POST adds. */
static void test_replace_instance(void **state) {
        Fixture *f = *state;

        set_integer(f, "/33000/0/0", 77); /* read-only: stays */
        assert_int_equal(
                put(f, "/33000/0", 110,
                    "[{\"bn\":\"/33000/0/\",\"n\":\"1\",\"v\":9},{\"n\":\"5/7\",\"v\":7.5}]"),
                CODE(2, 4));
        assert_value(f, "/33000/0/0", "77");
        assert_value(f, "/33000/0/1", "9");
        assert_value(f, "/33000/0/2", "none");
        assert_value(f, "/33000/0/5/1", "none");
        assert_value(f, "/33000/0/5/7", "7.5");
}

static void test_update_instance(void **state) {
        Fixture *f = *state;

        assert_int_equal(
                post(f, "/33000/0", 110,
                     "[{\"bn\":\"/33000/0/\",\"n\":\"1\",\"v\":9},{\"n\":\"5/7\",\"v\":7.5}]"),
                CODE(2, 4));
        assert_value(f, "/33000/0/1", "9");
        assert_value(f, "/33000/0/2", "two");
        assert_value(f, "/33000/0/5/1", "0.5");
        assert_value(f, "/33000/0/5/7", "7.5");
}

static void test_multiple_resource(void **state) {
        /* resource instances 2 = 1.0f and 3 = 2.0f */
        static const uint8_t tlv[] = { 0x88, 0x05, 0x0c, 0x44, 0x02, 0x3f, 0x80, 0,
                                       0,    0x44, 0x03, 0x40, 0,    0,    0 };
        Fixture *f = *state;

        assert_int_equal(post_bytes(f, "/33000/0/5", 11542, tlv, sizeof(tlv)), CODE(2, 4));
        assert_value(f, "/33000/0/5/1", "0.5"); /* merged */
        assert_value(f, "/33000/0/5/2", "1");
        assert_value(f, "/33000/0/5/3", "2");
        set_float(f, "/33000/0/5/9", 9);
        assert_int_equal(put_bytes(f, "/33000/0/5", 11542, tlv, sizeof(tlv)), CODE(2, 4));
        assert_value(f, "/33000/0/5/1", "none"); /* replaced */
        assert_value(f, "/33000/0/5/2", "1");
        assert_value(f, "/33000/0/5/9", "none");
}

/* One bad record and nothing is written. */
static void test_all_or_nothing(void **state) {
        static const char *const bodies[] = {
                "[{\"bn\":\"/33000/0/"
                "\",\"n\":\"2\",\"vs\":\"x\"},{\"n\":\"1\",\"v\":101}]",
                "[{\"bn\":\"/33000/0/"
                "\",\"n\":\"2\",\"vs\":\"x\"},{\"n\":\"0\",\"v\":1}]",
                "[{\"bn\":\"/33000/0/"
                "\",\"n\":\"2\",\"vs\":\"x\"},{\"n\":\"4711\",\"v\":1}]",
                "[{\"bn\":\"/33000/0/"
                "\",\"n\":\"2\",\"vs\":\"x\"},{\"n\":\"1\",\"vs\":\"x\"}]",
                "[{\"bn\":\"/33000/0/"
                "\",\"n\":\"2\",\"vs\":\"x\"},{\"n\":\"11\",\"v\":2}]", /* refused
                                                                           by
                                                                           the
                                                                           daemon
                                                                         */
        };
        Fixture *f = *state;

        for (size_t i = 0; i < G_N_ELEMENTS(bodies); i++) {
                assert_int_equal(post(f, "/33000/0", 110, bodies[i]) >> 5, 4);
                assert_value(f, "/33000/0/1", "5");
                assert_value(f, "/33000/0/2", "two");
                assert_true(fake_last_answer(f->transport)->payload); /* says why */
        }
}

static void test_behaviour(void **state) {
        Fixture *f = *state;

        assert_int_equal(put(f, "/33000/0/11", 0, "7"), CODE(2, 4));
        assert_value(f, "/33000/0/11", "7");
        assert_int_equal(put(f, "/33000/0/11", 0, "1"), CODE(2, 4));
        assert_value(f, "/33000/0/11", "7"); /* taken, not stored */
        assert_string_equal(f->executed->str, "took /33000/0/11 from 1; ");
        assert_int_equal(put(f, "/33000/0/11", 0, "2"), CODE(4, 0));
}

/* --- applications --- */
static void test_prepare(void **state) {
        Fixture *f = *state;
        AppCall *c;

        fake_apps_claim(f->apps, "/33000/0/1", APP_WRITE);
        assert_int_equal(
                post(f, "/33000/0", 110,
                     "[{\"bn\":\"/33000/0/\",\"n\":\"1\",\"v\":9},{\"n\":\"2\",\"vs\":\"x\"}]"),
                0);
        c = fake_apps_last(f->apps);
        assert_string_equal(c->what, "set:/33000/0/1");
        assert_value(f, "/33000/0/2", "two"); /* not yet */
        fake_app_answer(c, 0, NULL, NULL, f->now);
        assert_int_equal(fake_last_answer(f->transport)->code, CODE(2, 4));
        assert_true(c->committed);
        assert_value(f, "/33000/0/1", "9");
        assert_value(f, "/33000/0/2", "x");

        assert_int_equal(put(f, "/33000/0/1", 0, "10"), 0);
        c = fake_apps_last(f->apps);
        fake_app_answer(c, -EINVAL, "odd values only", NULL, f->now);
        assert_int_equal(fake_last_answer(f->transport)->code, CODE(4, 0));
        assert_string_equal(answer_text(f), "odd values only");
        assert_false(c->finished);
        assert_value(f, "/33000/0/1", "9");
}

/* The instance goes while its owner thinks: nothing is written, and the owner is told. */
static void test_prepare_overtaken(void **state) {
        g_auto(OpList) ops = { .v = NULL };
        Fixture *f = *state;
        const Path p = PATH_OI(33000, 0);
        AppCall *c;

        fake_apps_claim(f->apps, "/33000/0/1", APP_WRITE);
        assert_int_equal(put(f, "/33000/0/1", 0, "10"), 0);
        op_list_add(&ops, OP_DELETE, &p, NULL);
        assert_int_equal(ops_apply(f->tree, ops.v, ops.n, ORIGIN_APP, 0, NULL), 0);
        c = fake_apps_last(f->apps);
        fake_app_answer(c, 0, NULL, NULL, f->now);
        assert_int_equal(fake_last_answer(f->transport)->code, CODE(4, 4));
        assert_true(c->finished && !c->committed);
}

static int disk_error;
static int on_disk(void *userdata, Origin origin, uint16_t ssid, const Change *changes, size_t n) {
        return disk_error;
}

static void test_disk_full(void **state) {
        Fixture *f = *state;
        AppCall *c;

        tree_on_prepare(f->tree, on_disk, NULL);
        disk_error = -ENOSPC;
        assert_int_equal(put(f, "/33000/0/1", 0, "10"), CODE(5, 0));
        assert_value(f, "/33000/0/1", "5");
        fake_apps_claim(f->apps, "/33000/0/1", APP_WRITE);
        put(f, "/33000/0/1", 0, "10");
        c = fake_apps_last(f->apps);
        fake_app_answer(c, 0, NULL, NULL, f->now);
        assert_int_equal(fake_last_answer(f->transport)->code, CODE(5, 0));
        assert_true(c->finished && !c->committed);
        disk_error = 0;
        put(f, "/33000/0/1", 0, "10");
        fake_app_answer(fake_apps_last(f->apps), 0, NULL, NULL, f->now);
        assert_value(f, "/33000/0/1", "10");
}

static void test_peer_goes(void **state) {
        Fixture *f = *state;

        fake_apps_claim(f->apps, "/33000/0/1", APP_WRITE);
        put(f, "/33000/0/1", 0, "10");
        peer_free(f->peer);
        assert_true(fake_apps_last(f->apps)->cancelled);
        assert_int_equal(fake_last_answer(f->transport)->code, CODE(5, 3));
        assert_value(f, "/33000/0/1", "5");
}

/* --- Write-Attributes --- */
static void assert_attributes(Fixture *f, const char *path, const char *expected) {
        g_autofree char *text = NULL;
        Path p;

        path_parse(path, &p);
        text = dm_attributes(f->dm, 1, &p);
        assert_string_equal(text, expected);
}

static void test_attributes(void **state) {
        static const struct {
                const char *path, *query;
                uint8_t code;
        } cases[] = {
                { "/3303", "pmin=1&pmax=9", CODE(2, 4) },
                { "/3303/0", "pmin=2", CODE(2, 4) },
                { "/3303/0/5700", "gt=30&lt=-5&st=0.5", CODE(2, 4) },
                { "/3/0/7/1", "pmax=100&epmin=1&epmax=2", CODE(2, 4) },
                { "/3/0/7/1", "con=1", CODE(4, 0) }, /* since 1.2 */
                { "/3/0/7/1", "hqmax", CODE(4, 0) },
                { "/33000/0/7", "edge=1", CODE(4, 0) },
                { "/3/0/7", "gt=10", CODE(2, 4) },
                { "/3/0/7/1", "lt=9&st=1", CODE(4, 0) }, /* with the gt of the resource */
                { "/3/0/7/1", "lt=7&st=1", CODE(2, 4) },
                { "/3/0/7", "gt=9", CODE(4, 0) }, /* with those of the resource instance */
                { "/3/0/7", "gt=9.5", CODE(2, 4) },
                { "/3/0/7", "gt", CODE(2, 4) },
                { "/3303", "pmin=10", CODE(4, 0) }, /* above the pmax that is there */
                { "/3303", "pmin=x", CODE(4, 0) },
                { "/3303", "pmim=1", CODE(4, 0) },
                { "/3303", "pmin=1&pmin=2", CODE(4, 0) },
                { "/3303", "gt=5", CODE(4, 0) },
                { "/3303/0", "st=5", CODE(4, 0) },
                { "/3/0/0", "gt=5", CODE(4, 0) },
                { "/3303/0/5700", "edge=1", CODE(4, 0) },
                { "/3303/0/5700", "lt=31", CODE(4, 0) },
                { "/3303/0/5700", "st=20", CODE(4, 0) },
                { "/3303/0/5700", "pmin=3&lt=31", CODE(4, 0) },
                { "/4711", "pmin=1", CODE(4, 4) },
                { "/3303/7", "pmin=1", CODE(4, 4) },
                { "/3303/0/4711", "pmin=1", CODE(4, 4) },
                { "/3/0/7/9", "pmin=1", CODE(4, 4) },
                { "/3/0/4", "pmin=1", CODE(4, 5) },
                { "/", "pmin=1", CODE(4, 5) },
                { "/0/0/1", "pmin=1", CODE(4, 1) },
        };
        Fixture *f = *state;

        for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
                uint8_t code = attributes(f, cases[i].path, cases[i].query);

                if (code != cases[i].code)
                        fail_msg("%s?%s: %u.%02u", cases[i].path, cases[i].query, code >> 5,
                                 code & 31);
        }
        assert_int_equal(f->n_attributes_changed, 8);
        assert_attributes(f, "/3303", "pmin=1&pmax=9");
        assert_attributes(f, "/3303/0", "pmin=2");
        assert_attributes(f, "/3303/0/5700", "gt=30&lt=-5&st=0.5");
        assert_attributes(f, "/3303/0/5601", "");
        assert_int_equal(attributes(f, "/3303", "pmin&pmax=4"), CODE(2, 4));
        assert_attributes(f, "/3303", "pmax=4");
        assert_int_equal(attributes(f, "/3303", "pmax"), CODE(2, 4));
        assert_attributes(f, "/3303", "");
}

static void test_attributes_of_versions(void **state) {
        static const struct {
                const char *path, *query;
                uint8_t since;
        } cases[] = {
                { "/3303/0/5700", "pmin=1", 0 },  { "/3303/0/5700", "gt=1", 0 },
                { "/3303/0/5700", "epmin=1", 1 }, { "/3303/0/5700", "epmax=5", 1 },
                { "/33000/0/7", "edge=1", 2 },    { "/3303", "con=1", 2 },
                { "/3303", "hqmax=5", 2 },        { "/3303", "hqmax", 2 },
        };
        Fixture *f = *state;

        for (uint8_t minor = 0; minor <= 2; minor++) {
                peer_set_version(f->peer, (Version){ 1, minor });
                for (size_t i = 0; i < G_N_ELEMENTS(cases); i++)
                        if (attributes(f, cases[i].path, cases[i].query) !=
                            (minor >= cases[i].since ? CODE(2, 4) : CODE(4, 0)))
                                fail_msg("%s in 1.%u", cases[i].query, minor);
        }
        assert_int_equal(attributes(f, "/33000/0/7", "edge=2"), CODE(4, 0));
        assert_int_equal(attributes(f, "/33000/0/1", "edge=1"), CODE(4, 0));
        assert_int_equal(attributes(f, "/3303", "con=2"), CODE(4, 0));
        assert_int_equal(attributes(f, "/3303", "hqmax=-1"), CODE(4, 0));
}

/* They go with the instance, and only with it. */
static void test_attributes_end(void **state) {
        Fixture *f = *state;

        attributes(f, "/33000/0/1", "pmin=3");
        attributes(f, "/33000", "pmin=4");
        assert_int_equal(put(f, "/33000/0", 110, "[{\"bn\":\"/33000/0/\",\"n\":\"1\",\"v\":9}]"),
                         CODE(2, 4));
        assert_attributes(f, "/33000/0/1", "pmin=3");
        assert_int_equal(delete_path(f, "/33000/0"), CODE(2, 2));
        assert_attributes(f, "/33000/0/1", "");
        assert_attributes(f, "/33000", "pmin=4");
}

static void test_attributes_kept(void **state) {
        Fixture *f = *state;
        g_autoptr(GBytes) blob = NULL, bad = g_bytes_new_static("x", 1);

        attributes(f, "/33000/0/1", "pmin=3");
        blob = dm_save_attributes(f->dm);
        attributes(f, "/33000/0/1", "pmin");
        assert_int_equal(dm_load_attributes(f->dm, bad), -EBADMSG);
        assert_int_equal(dm_load_attributes(f->dm, blob), 0);
        assert_attributes(f, "/33000/0/1", "pmin=3");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                DM_TEST(test_codes),
                DM_TEST(test_too_large),
                DM_TEST(test_replace_instance),
                DM_TEST(test_update_instance),
                DM_TEST(test_multiple_resource),
                DM_TEST(test_all_or_nothing),
                DM_TEST(test_behaviour),
                DM_TEST(test_prepare),
                DM_TEST(test_prepare_overtaken),
                DM_TEST(test_disk_full),
                DM_TEST(test_attributes),
                DM_TEST(test_attributes_of_versions),
                DM_TEST(test_attributes_end),
                DM_TEST(test_attributes_kept),
                DM_TEST(test_peer_goes),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
