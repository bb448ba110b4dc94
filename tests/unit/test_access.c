/* SPDX-License-Identifier: Apache-2.0 */
/* Access control: each operation by each right, on each level; owners, defaults, Create; object 2
 * in step with object instances; rights that change under observations; servers that go. */
#include "dm_fixture.h"

#include <errno.h>
#include <string.h>

#include "lwm2m/access/access.h"

/* Server 1 is the fixture's; 2 and more come with with_server(). */
static Peer *with_server(Fixture *f, uint16_t ssid) {
        char path[32];
        Peer *p;

        for (unsigned object = 0; object < 2; object++) {
                g_snprintf(path, sizeof(path), "/%u/%u", object, ssid);
                create(f, path);
                g_strlcat(path, object == 0 ? "/10" : "/0", sizeof(path));
                set_integer(f, path, ssid);
        }
        p = peer_new(f->dm, ssid);
        peer_set_link(p, fake_link_new(f->transport));
        return p;
}

static void without_server(Fixture *f, uint16_t ssid) {
        g_auto(OpList) ops = { .v = NULL };
        OpError error;

        op_list_add(&ops, OP_DELETE, &PATH_OI(0, ssid), NULL);
        op_list_add(&ops, OP_DELETE, &PATH_OI(1, ssid), NULL);
        assert_int_equal(ops_apply(f->tree, ops.v, ops.n, ORIGIN_APP, 0, &error), 0);
}

/* An Access Control instance as a bootstrap would write it; acl is "2=5 0=1", owner 65535 none. */
static void control(Fixture *f, uint16_t id, uint16_t object, uint16_t instance, const char *acl,
                    uint16_t owner) {
        g_auto(GStrv) entries = g_strsplit(acl, " ", -1);
        g_autofree char *base = g_strdup_printf("/2/%u", id);
        char path[64];

        create(f, base);
        g_snprintf(path, sizeof(path), "%s/0", base);
        set_integer(f, path, object);
        g_snprintf(path, sizeof(path), "%s/1", base);
        set_integer(f, path, instance);
        g_snprintf(path, sizeof(path), "%s/3", base);
        set_integer(f, path, owner);
        for (char **e = entries; *e && **e; e++) {
                g_snprintf(path, sizeof(path), "%s/2/%d", base, atoi(*e));
                set_integer(f, path, atoi(strchr(*e, '=') + 1));
        }
}

static void policy(Fixture *f, const char *path, const char *text) {
        g_autofree char *why = NULL;
        AccessPolicy *p = access_policy_new();
        Path parsed;

        assert_int_equal(path_parse(path, &parsed), 0);
        assert_int_equal(access_policy_add(p, &parsed, text, &why), 0);
        dm_set_access_policy(f->dm, p);
}

static bool exists(const Fixture *f, const char *path) {
        Path p;

        assert_int_equal(path_parse(path, &p), 0);
        return tree_exists(f->tree, &p);
}

/* --- Discover --- */
static void discovered(Fixture *f, const char *path, uint8_t code, const char *expected) {
        assert_int_equal(get(f, path, 40), code);
        if (code == CODE(2, 5))
                assert_string_equal(answer_text(f), expected);
        else
                assert_non_null(strstr(answer_text(f), expected));
}

static void test_discover_tells_all(void **state) {
        Fixture *f = *state;

        with_server(f, 2);
        control(f, 0, 3303, 0, "2=31", ID_RESERVED);
        control(f, 1, 3303, 1, "1=1", ID_RESERVED);
        discovered(f, "/3303", CODE(2, 5),
                   "</3303>;ver=1.1,</3303/0>,</3303/0/5700>,</3303/1>,</3303/1/5700>");
        discovered(f, "/3303/0", CODE(2, 5), "</3303/0>,</3303/0/5700>");
        discovered(f, "/3303/0/5700", CODE(2, 5), "</3303/0/5700>");
}

static void test_discover_tells_what_is_permitted(void **state) {
        Fixture *f = *state;

        dm_set_discover(f->dm, true); /* of one server: everything */
        control(f, 0, 3303, 0, "2=31", ID_RESERVED);
        discovered(f, "/3303/0", CODE(2, 5), "</3303/0>,</3303/0/5700>");
        with_server(f, 2);
        discovered(f, "/3303", CODE(2, 5), "</3303>;ver=1.1");
        control(f, 1, 3303, 1, "1=4 2=31", ID_RESERVED); /* any right will do */
        discovered(f, "/3303", CODE(2, 5), "</3303>;ver=1.1,</3303/1>,</3303/1/5700>");
        discovered(f, "/3303/0", CODE(4, 1), "/3303/0: not for this server");
        discovered(f, "/3303/0/5700", CODE(4, 1), "/3303/0/5700: not for this server");
        discovered(f, "/3303/1/5700", CODE(2, 5), "</3303/1/5700>");
        discovered(f, "/3303/2", CODE(4, 4), "");
        discovered(f, "/2/0/3", CODE(2, 5), "</2/0/3>"); /* all may read it */
        discovered(f, "/0/0", CODE(4, 1), "");
        set_integer(f, "/2/1/2/1", 0);
        discovered(f, "/3303", CODE(2, 5), "</3303>;ver=1.1");
        dm_set_discover(f->dm, false);
        discovered(f, "/3303/0", CODE(2, 5), "</3303/0>,</3303/0/5700>");
}

/* --- each operation by each right --- */
#define PROBE "/33000/0"

static uint8_t do_read_instance(Fixture *f) {
        return get(f, PROBE, 11542);
}
static uint8_t do_read_resource(Fixture *f) {
        return get(f, PROBE "/1", 0);
}
static uint8_t do_read_element(Fixture *f) {
        return get(f, PROBE "/5/1", 0);
}
static uint8_t do_observe(Fixture *f) {
        return observe(f, PROBE "/1", "o");
}
static uint8_t do_attributes_instance(Fixture *f) {
        return attributes(f, PROBE, "pmin=1");
}
static uint8_t do_attributes_resource(Fixture *f) {
        return attributes(f, PROBE "/1", "pmin=1");
}
static uint8_t do_attributes_element(Fixture *f) {
        return attributes(f, PROBE "/5/1", "pmin=1");
}
static uint8_t do_attributes_object(Fixture *f) {
        return attributes(f, "/33000", "pmin=1");
}
static uint8_t do_discover_object(Fixture *f) {
        return get(f, "/33000", 40);
}
static uint8_t do_discover_instance(Fixture *f) {
        return get(f, PROBE, 40);
}
static uint8_t do_read_object(Fixture *f) {
        return get(f, "/33000", 11542);
}
static uint8_t do_read_composite(Fixture *f) {
        return fetch(f, "[{\"n\":\"" PROBE "/1\"}]", 110);
}
static uint8_t do_write_resource(Fixture *f) {
        return put(f, PROBE "/1", 0, "7");
}
static uint8_t do_write_element(Fixture *f) {
        return put(f, PROBE "/5/1", 0, "2.5");
}
static uint8_t do_replace(Fixture *f) {
        return put(f, PROBE, 110, "[{\"bn\":\"" PROBE "/\",\"n\":\"1\",\"v\":8}]");
}
static uint8_t do_update(Fixture *f) {
        return post(f, PROBE, 110, "[{\"bn\":\"" PROBE "/\",\"n\":\"1\",\"v\":8}]");
}
static uint8_t do_write_composite(Fixture *f) {
        return ipatch(f, "[{\"n\":\"" PROBE "/1\",\"v\":9}]");
}
static uint8_t do_execute(Fixture *f) {
        return post(f, PROBE "/9", -1, NULL);
}
static uint8_t do_delete(Fixture *f) {
        return delete_path(f, "/33000/5");
}

static void test_each_operation(void **state) {
        static const struct {
                uint8_t (*ask)(Fixture *f);
                unsigned right; /* one it needs; 0: none */
                uint8_t code;   /* with it */
        } cases[] = {
                { do_read_instance, ACCESS_READ, CODE(2, 5) },
                { do_read_resource, ACCESS_READ, CODE(2, 5) },
                { do_read_element, ACCESS_READ, CODE(2, 5) },
                { do_observe, ACCESS_READ, CODE(2, 5) },
                { do_read_composite, ACCESS_READ, CODE(2, 5) },
                { do_attributes_instance, ACCESS_READ, CODE(2, 4) },
                { do_attributes_resource, ACCESS_READ, CODE(2, 4) },
                { do_attributes_element, ACCESS_READ, CODE(2, 4) },
                { do_write_resource, ACCESS_WRITE, CODE(2, 4) },
                { do_write_element, ACCESS_WRITE, CODE(2, 4) },
                { do_replace, ACCESS_WRITE, CODE(2, 4) },
                { do_update, ACCESS_WRITE, CODE(2, 4) },
                { do_write_composite, ACCESS_WRITE, CODE(2, 4) },
                { do_execute, ACCESS_EXECUTE, CODE(2, 4) },
                { do_delete, ACCESS_DELETE, CODE(2, 2) },
                { do_attributes_object, 0, CODE(2, 4) },
                { do_discover_object, 0, CODE(2, 5) },
                { do_discover_instance, 0, CODE(2, 5) },
                { do_read_object, 0, CODE(2, 5) },
        };
        Fixture *f = *state;

        f->peer = with_server(f, 2);
        control(f, 0, 33000, 0, "2=0", 65535);
        for (unsigned rights = 0; rights <= ACCESS_ALL; rights++) {
                set_integer(f, "/2/0/2/2", rights);
                if (!exists(f, "/33000/5")) {
                        create(f, "/33000/5");
                        control(f, 9, 33000, 5, "2=0", 65535);
                }
                set_integer(f, "/2/9/2/2", rights);
                for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
                        uint8_t code;
                        bool may = !cases[i].right || rights & cases[i].right;

                        set_float(f, PROBE "/5/1", 1.5); /* a Replace takes it away */
                        code = cases[i].ask(f);
                        if (code != (may ? cases[i].code : CODE(4, 1)))
                                fail_msg("case %zu with rights %u: %u.%02u", i, rights, code >> 5,
                                         code & 31);
                }
        }
        peer_free(f->peer);
}

/* A write that is refused changes nothing, even if only one of several values is not allowed. */
static void test_refused_as_a_whole(void **state) {
        Fixture *f = *state;

        f->peer = with_server(f, 2);
        control(f, 0, 33000, 0, "2=2", 65535);
        control(f, 1, 3303, 0, "2=1", 65535);
        assert_int_equal(ipatch(f, "[{\"n\":\"/33000/0/1\",\"v\":9},"
                                   "{\"n\":\"/3303/0/5601\",\"v\":1}]"),
                         CODE(4, 1));
        assert_value(f, "/33000/0/1", "5");
        assert_non_null(strstr(answer_text(f), "/3303/0"));
        peer_free(f->peer);
}

/* --- whose rights --- */
static void test_who(void **state) {
        static const struct {
                const char *acl;
                uint16_t owner;
                unsigned rights_1, rights_2;
        } cases[] = {
                { "", 65535, 0, 0 },        { "0=1", 65535, 1, 1 }, { "0=7 2=2", 65535, 7, 2 },
                { "0=7 2=0", 65535, 7, 0 }, /* an entry of its own, though it grants nothing */
                { "", 1, 15, 0 },           /* the owner, without an entry: all, Create excepted */
                { "0=1", 1, 15, 1 },        /* … the default is not for it */
                { "1=1 0=3", 1, 1, 3 },     /* … with an entry */
                { "1=31 2=16", 2, 15, 0 },  /* Create is no right on an instance */
        };
        Fixture *f = *state;
        Peer *p = with_server(f, 2);

        for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
                for (uint16_t ssid = 1; ssid <= 2; ssid++)
                        for (unsigned right = 1; right <= 16; right *= 2) {
                                unsigned has = ssid == 1 ? cases[i].rights_1 : cases[i].rights_2;

                                if (!exists(f, "/2/3"))
                                        control(f, 3, 3303, 1, cases[i].acl, cases[i].owner);
                                if (dm_may(f->dm, ssid, &PATH_OIR(3303, 1, 5700), right) !=
                                    (has & right ? 0 : -EACCES))
                                        fail_msg("case %zu, server %u, right %u", i, ssid, right);
                        }
                assert_int_equal(tree_exists(f->tree, &PATH_OI(2, 3)), 1);
                tree_begin(f->tree, ORIGIN_APP, 0);
                assert_int_equal(tree_delete(f->tree, &PATH_OI(2, 3)), 0);
                assert_int_equal(tree_commit(f->tree), 0);
        }
        assert_int_equal(dm_may(f->dm, 1, &PATH_OIR(0, 0, 0), ACCESS_READ), -EACCES);
        assert_int_equal(dm_may(f->dm, 0, &PATH_OIR(3303, 1, 5700), ACCESS_WRITE), 0);
        peer_free(p);
}

static void test_single_server(void **state) {
        Fixture *f = *state;
        Peer *p;

        /* The only server may do everything, whatever object 2 says (section 8.2.1) … */
        control(f, 0, 3303, 0, "1=0", 65535);
        assert_int_equal(get(f, "/3303/0/5700", 0), CODE(2, 5));
        assert_int_equal(post(f, "/33001", -1, NULL), CODE(2, 1));
        /* … and where object 2 is used it is kept for what comes later (section 8). */
        assert_value(f, "/2/1/0", "33001");
        assert_value(f, "/2/1/1", "0");
        assert_value(f, "/2/1/3", "1");
        assert_int_equal(delete_path(f, "/33001/0"), CODE(2, 2));
        assert_false(exists(f, "/2/1"));

        p = with_server(f, 2);
        assert_int_equal(get(f, "/3303/0/5700", 0), CODE(4, 1));
        without_server(f, 2);
        assert_int_equal(get(f, "/3303/0/5700", 0), CODE(2, 5));
        peer_free(p);
}

static void test_half_an_account(void **state) {
        Fixture *f = *state;

        /* Object 1 alone is nobody: server 1 is still the only one. */
        create(f, "/1/7");
        set_integer(f, "/1/7/0", 7);
        control(f, 0, 3303, 0, "1=0", 65535);
        assert_int_equal(get(f, "/3303/0/5700", 0), CODE(2, 5));
        create(f, "/0/7");
        set_integer(f, "/0/7/10", 7);
        assert_int_equal(get(f, "/3303/0/5700", 0), CODE(4, 1));
}

static void test_nobody_provided(void **state) {
        Fixture *f = *state;

        /* Two servers and no word about rights: as the accounts are trusted, both may. */
        f->peer = with_server(f, 2);
        assert_int_equal(get(f, "/3303/0/5700", 0), CODE(2, 5));
        assert_int_equal(put(f, "/33000/0/1", 0, "7"), CODE(2, 4));
        /* A bootstrap that provides Access Control instances means all: the rest is nobody's. */
        control(f, 0, 3303, 0, "0=1", 65535);
        assert_int_equal(get(f, "/3303/0/5700", 0), CODE(2, 5));
        assert_int_equal(get(f, "/3303/1/5700", 0), CODE(4, 1));
        assert_int_equal(post(f, "/33001", -1, NULL), CODE(4, 1));
        peer_free(f->peer);
}

/* --- what is there to be read --- */
static void test_filtered(void **state) {
        Fixture *f = *state;

        f->peer = with_server(f, 2);
        control(f, 0, 3303, 0, "2=0", 65535);
        control(f, 1, 3303, 1, "2=1", 65535);
        assert_int_equal(get(f, "/3303", 110), CODE(2, 5));
        assert_null(strstr(answer_text(f), "21.5"));
        assert_non_null(strstr(answer_text(f), "22.5"));

        assert_int_equal(fetch(f, "[{\"n\":\"/3303/0/5700\"},{\"n\":\"/3303/1/5700\"}]", 110),
                         CODE(2, 5));
        assert_null(strstr(answer_text(f), "21.5"));
        assert_non_null(strstr(answer_text(f), "22.5"));
        assert_int_equal(fetch(f, "[{\"n\":\"/3303/0\"},{\"n\":\"/3303/9\"}]", 110), CODE(4, 1));
        assert_int_equal(fetch(f, "[{\"n\":\"/3303/9\"}]", 110), CODE(4, 4));
        /* Named alone; what is not there is not there for anybody. */
        assert_int_equal(get(f, "/3303/0", 110), CODE(4, 1));
        assert_int_equal(get(f, "/3303/0/5700", 0), CODE(4, 1));
        assert_int_equal(get(f, "/3303/0/4711", 0), CODE(4, 1));
        assert_int_equal(get(f, "/3303/9", 110), CODE(4, 4));

        set_integer(f, "/2/1/2/2", 0);
        assert_int_equal(get(f, "/3303", 110), CODE(2, 5));
        assert_string_equal(answer_text(f), "[]");
        peer_free(f->peer);
}

/* --- Create and Delete --- */
#define NEW "[{\"bn\":\"/33000/7/\",\"n\":\"1\",\"v\":8}]"

static void test_create(void **state) {
        Fixture *f = *state;
        Peer *first = f->peer, *second = with_server(f, 2);

        control(f, 0, 33000, 65535, "1=16 0=16", 65535);
        f->peer = second; /* the default entry does not let anybody create */
        assert_int_equal(post(f, "/33000", 110, NEW), CODE(4, 1));
        assert_int_equal(post(f, "/33001", -1, NULL), CODE(4, 1));
        f->peer = first;
        assert_int_equal(post(f, "/33000", 110, NEW), CODE(2, 1));
        assert_value(f, "/2/1/0", "33000");
        assert_value(f, "/2/1/1", "7");
        assert_value(f, "/2/1/2/1", "none"); /* the owner needs none: it has all rights */
        assert_value(f, "/2/1/3", "1");
        assert_int_equal(put(f, "/33000/7/1", 0, "9"), CODE(2, 4));
        f->peer = second;
        assert_int_equal(get(f, "/33000/7/1", 0), CODE(4, 1));
        assert_int_equal(delete_path(f, "/33000/7"), CODE(4, 1));
        f->peer = first;
        assert_int_equal(delete_path(f, "/33000/7"), CODE(2, 2));
        assert_false(exists(f, "/2/1"));
        assert_int_equal(dm_may(f->dm, 1, &PATH_O(33000), ACCESS_CREATE), 0);

        /* Nothing is left of it when the device removes the instance, either. */
        assert_int_equal(post(f, "/33000", 110, NEW), CODE(2, 1));
        tree_begin(f->tree, ORIGIN_INTERNAL, 0);
        assert_int_equal(tree_delete(f->tree, &PATH_OI(33000, 7)), 0);
        assert_int_equal(tree_commit(f->tree), 0);
        assert_false(exists(f, "/2/1"));
        peer_free(second);
}

/* What was left of a former instance of the same number is not what the new one's owner gets. */
static void test_create_over_left(void **state) {
        Fixture *f = *state;
        Peer *second = with_server(f, 2);

        control(f, 0, 33000, 65535, "1=16", 65535);
        control(f, 1, 33000, 7, "0=31", 2);
        assert_int_equal(post(f, "/33000", 110, NEW), CODE(2, 1));
        assert_int_equal(dm_may(f->dm, 1, &PATH_OI(33000, 7), ACCESS_WRITE), 0);
        assert_int_equal(dm_may(f->dm, 2, &PATH_OI(33000, 7), ACCESS_READ), -EACCES);
        peer_free(second);
}

/* A Create that fails leaves no Access Control instance behind. */
static void test_create_fails(void **state) {
        Fixture *f = *state;
        Peer *second = with_server(f, 2);
        uint32_t n;

        control(f, 0, 33000, 65535, "1=16", 65535);
        n = tree_n_instances(f->tree, 2);
        assert_int_equal(post(f, "/33000", 110, "[{\"bn\":\"/33000/7/\",\"n\":\"1\",\"v\":101}]"),
                         CODE(4, 0));
        assert_int_equal(post(f, "/33000", 110, "[{\"bn\":\"/33000/99/\",\"n\":\"1\",\"v\":1}]"),
                         CODE(4, 5));
        assert_int_equal(tree_n_instances(f->tree, 2), n);
        peer_free(second);
}

/* --- object 2 itself --- */
static void test_object_2(void **state) {
        Fixture *f = *state;
        Peer *first = f->peer, *second = with_server(f, 2);

        control(f, 0, 3303, 0, "2=1", 1);
        control(f, 1, 3303, 1, "0=1", 65535);
        f->peer = second;
        assert_int_equal(get(f, "/2", 110), CODE(2, 5));
        assert_int_equal(get(f, "/2/0/3", 0), CODE(2, 5));
        assert_int_equal(put(f, "/2/0/2/2", 0, "31"), CODE(4, 1));
        assert_int_equal(put(f, "/2/0/3", 0, "2"), CODE(4, 1));
        assert_int_equal(put(f, "/2/1/2/2", 0, "31"), CODE(4, 1)); /* the bootstrap's */
        assert_int_equal(post(f, "/2", 110, "[{\"bn\":\"/2/9/\",\"n\":\"3\",\"v\":2}]"),
                         CODE(4, 5));
        assert_int_equal(delete_path(f, "/2/0"), CODE(4, 5));
        assert_int_equal(post(f, "/2/0/3", -1, NULL), CODE(4, 5));

        f->peer = first;
        assert_int_equal(put(f, "/2/0/2/2", 0, "3"), CODE(2, 4));
        assert_int_equal(put(f, "/2/0/0", 0, "3"), CODE(4, 5)); /* read-only */
        assert_int_equal(delete_path(f, "/2/0"), CODE(4, 5));
        f->peer = second;
        assert_int_equal(put(f, "/3303/0/5750", 0, "x"), CODE(2, 4));
        f->peer = first; /* gives it away */
        assert_int_equal(put(f, "/2/0/3", 0, "2"), CODE(2, 4));
        assert_int_equal(put(f, "/2/0/2/2", 0, "1"), CODE(4, 1));
        peer_free(second);
}

/* --- observations --- */
static const FakeMessage *on_way(const Fixture *f, unsigned index) {
        Call *c = fake_open_call(f->transport, index);

        assert_non_null(c);
        return &c->message;
}

static uint8_t observe_object(Fixture *f, const char *path, const char *token) {
        return fixture_ask(f, &(Ask){ .method = METHOD_GET,
                                      .path = path,
                                      .format = -1,
                                      .accept = 110,
                                      .token = token });
}

static void test_withdrawn(void **state) {
        Fixture *f = *state;

        f->peer = with_server(f, 2);
        control(f, 0, 3303, 0, "2=1", 65535);
        control(f, 1, 3303, 1, "2=1", 65535);
        assert_int_equal(attributes(f, "/3303", "pmin=600"), CODE(2, 4));
        assert_int_equal(observe(f, "/3303/0/5700", "a"), CODE(2, 5));
        pass(f, 0);
        set_integer(f, "/2/0/2/2", 2);
        pass(f, 0); /* pmin does not hold that back */
        assert_int_equal(fake_n_sent(f->transport), 1);
        assert_int_equal(on_way(f, 0)->code, CODE(4, 1));
        assert_null(on_way(f, 0)->payload);
        fake_call_end(fake_open_call(f->transport, 0), 0, f->now);
        assert_false(dm_is_observed(f->dm, &PATH_OIR(3303, 0, 5700)));
        assert_non_null(strstr(f->events->str, "observer-removed 2 /3303/0/5700"));

        /* Of an object the instance is left out. */
        set_integer(f, "/2/0/2/2", 1);
        assert_int_equal(observe_object(f, "/3303", "b"), CODE(2, 5));
        pass(f, 0);
        set_integer(f, "/2/0/2/2", 0);
        pass(f, 600);
        assert_int_equal(on_way(f, 0)->code, CODE(2, 5));
        fake_call_end(fake_open_call(f->transport, 0), 0, f->now);
        /* What it may not read is no news to it. */
        pass(f, 1000);
        set_float(f, "/3303/0/5700", 50);
        pass(f, 1000);
        assert_int_equal(fake_n_sent(f->transport), 2);
        set_float(f, "/3303/1/5700", 51);
        pass(f, 1000);
        assert_int_equal(fake_n_sent(f->transport), 3);
        fake_call_end(fake_open_call(f->transport, 0), 0, f->now);
        peer_free(f->peer);
}

static void on_unsaved(void *userdata, bool began) {
}

static void on_put(void *userdata, uint64_t id, GBytes *bytes) {
        GBytes **kept = userdata;

        if (bytes)
                *kept = g_bytes_ref(bytes);
}

/* An observation of an earlier process reads with its server's rights, too. */
static void test_restored(void **state) {
        Fixture *f = *state;
        Peer *first = f->peer, *second = with_server(f, 2);
        g_autoptr(GBytes) kept = NULL;

        control(f, 0, 3303, 0, "1=1", 65535);
        control(f, 1, 3303, 1, "1=1 2=1", 65535);
        f->peer = second;
        peer_keep_observations(second, 1, on_unsaved, NULL);
        assert_int_equal(observe_object(f, "/3303", "b"), CODE(2, 5));
        peer_save_observations(second, on_put, &kept);
        assert_non_null(kept);
        peer_free(second);

        second = peer_new(f->dm, 2);
        peer_set_link(second, fake_link_new(f->transport));
        assert_int_equal(peer_restore_observation(second, 1, kept, 0, f->now, f->now), 0);
        pass(f, 1);
        assert_string_equal(on_way(f, 0)->path, "");
        assert_non_null(g_strstr_len(fake_text(on_way(f, 0)), -1, "22.5"));
        assert_null(g_strstr_len(fake_text(on_way(f, 0)), -1, "21.5"));
        fake_call_end(fake_open_call(f->transport, 0), 0, f->now);
        f->peer = first;
        peer_free(second);
}

/* A second account turns rights on: what no Access Control instance speaks of ends. */
static void test_second_account(void **state) {
        Fixture *f = *state;
        Peer *second;

        control(f, 0, 3303, 1, "1=1", 65535);
        assert_int_equal(observe(f, "/3303/0/5700", "a"), CODE(2, 5));
        assert_int_equal(observe(f, "/3303/1/5700", "b"), CODE(2, 5));
        pass(f, 0);
        second = with_server(f, 2);
        pass(f, 0);
        assert_int_equal(fake_n_sent(f->transport), 1);
        assert_int_equal(on_way(f, 0)->code, CODE(4, 1));
        fake_call_end(fake_open_call(f->transport, 0), 0, f->now);
        assert_true(dm_is_observed(f->dm, &PATH_OIR(3303, 1, 5700)));
        peer_free(second);
}

/* One change, two servers with different rights on the same object: each gets its own body. */
static void test_bodies_apart(void **state) {
        Fixture *f = *state;
        Peer *first = f->peer, *second = with_server(f, 2);
        const FakeMessage *a, *b;

        control(f, 0, 3303, 0, "1=1", 65535);
        control(f, 1, 3303, 1, "1=1 2=1", 65535);
        assert_int_equal(observe_object(f, "/3303", "a"), CODE(2, 5));
        f->peer = second;
        assert_int_equal(observe_object(f, "/3303", "b"), CODE(2, 5));
        pass(f, 0);
        set_float(f, "/3303/1/5700", 99);
        pass(f, 0);
        assert_int_equal(fake_n_open(f->transport), 2);
        a = on_way(f, 1);
        b = on_way(f, 0);
        assert_true(g_bytes_get_size(a->payload) > g_bytes_get_size(b->payload));
        fake_call_end(fake_open_call(f->transport, 0), 0, f->now);
        fake_call_end(fake_open_call(f->transport, 0), 0, f->now);
        f->peer = first;
        peer_free(second);
}

/* --- the configuration --- */
static void test_policy(void **state) {
        Fixture *f = *state;
        Peer *second;

        policy(f, "/3303", "1:R *:RC");
        assert_int_equal(put(f, "/33000/0/1", 0, "7"), CODE(2, 4)); /* one server: no question */
        second = with_server(f, 2);
        assert_int_equal(tree_n_instances(f->tree, 2), 0);
        assert_int_equal(dm_may(f->dm, 1, &PATH_OI(3303, 0), ACCESS_READ), 0);
        assert_int_equal(dm_may(f->dm, 1, &PATH_OI(3303, 0), ACCESS_WRITE), -EACCES);
        assert_int_equal(dm_may(f->dm, 2, &PATH_O(3303), ACCESS_CREATE), 0);
        assert_int_equal(dm_may(f->dm, 1, &PATH_O(3303), ACCESS_CREATE), -EACCES);
        assert_int_equal(dm_may(f->dm, 1, &PATH_OI(33000, 0), ACCESS_READ), -EACCES);
        /* An Access Control instance counts more. */
        control(f, 0, 3303, 0, "1=3", 65535);
        assert_int_equal(dm_may(f->dm, 1, &PATH_OI(3303, 0), ACCESS_WRITE), 0);
        dm_set_access_policy(f->dm, NULL);
        assert_int_equal(dm_may(f->dm, 1, &PATH_OI(3303, 1), ACCESS_READ), -EACCES);
        peer_free(second);
}

static void test_policy_owner(void **state) {
        g_auto(OpList) ops = { .v = NULL };
        Fixture *f = *state;
        OpError error;
        Peer *second;

        policy(f, "/3303", "owner:2 1:R");
        assert_int_equal(tree_n_instances(f->tree, 2), 0);
        second = with_server(f, 2);
        assert_int_equal(tree_n_instances(f->tree, 2), 2); /* for /3303/0 and /3303/1 */
        assert_value(f, "/2/1/1", "1");
        assert_value(f, "/2/1/2/1", "1");
        assert_value(f, "/2/1/3", "2");
        /* With each one that the device makes, in the same transaction. */
        op_list_add(&ops, OP_CREATE, &PATH_OI(3303, 5), NULL);
        op_list_add(&ops, OP_CREATE, &PATH_OI(3303, 6), NULL);
        op_list_add(&ops, OP_CREATE, &PATH_OI(33000, 6), NULL);
        assert_int_equal(dm_apply(f->dm, ops.v, ops.n, &error, f->now), 0);
        assert_int_equal(tree_n_instances(f->tree, 2), 4);
        assert_value(f, "/2/3/1", "6");
        op_list_clear(&ops);
        op_list_add(&ops, OP_DELETE, &PATH_OI(3303, 5), NULL);
        op_list_add(&ops, OP_CREATE, &PATH_OI(3303, 5), NULL);
        op_list_add(&ops, OP_DELETE, &PATH_OI(3303, 6), NULL);
        assert_int_equal(dm_apply(f->dm, ops.v, ops.n, &error, f->now), 0);
        assert_int_equal(tree_n_instances(f->tree, 2), 3);
        assert_int_equal(dm_may(f->dm, 2, &PATH_OI(3303, 5), ACCESS_DELETE), 0);
        /* Both at once by hand is not twice. */
        op_list_clear(&ops);
        op_list_add(&ops, OP_DELETE, &PATH_OI(3303, 0), NULL);
        op_list_add(&ops, OP_DELETE, &PATH_OI(2, 0), NULL);
        assert_int_equal(dm_apply(f->dm, ops.v, ops.n, &error, f->now), 0);
        assert_int_equal(tree_n_instances(f->tree, 2), 2);
        peer_free(second);
}

/* What a server creates is its own; the rule says what others may. */
static void test_policy_on_create(void **state) {
        Fixture *f = *state;
        Peer *second = with_server(f, 2);

        policy(f, "/33000", "1:C *:RC");
        assert_int_equal(post(f, "/33000", 110, NEW), CODE(2, 1));
        assert_value(f, "/2/0/3", "1");
        assert_value(f, "/2/0/2/0", "1");
        assert_value(f, "/2/0/2/1", "none");
        assert_int_equal(dm_may(f->dm, 1, &PATH_OI(33000, 7), ACCESS_DELETE), 0);
        assert_int_equal(dm_may(f->dm, 2, &PATH_OI(33000, 7), ACCESS_READ), 0);
        assert_int_equal(dm_may(f->dm, 2, &PATH_OI(33000, 7), ACCESS_WRITE), -EACCES);
        peer_free(second);
}

/* --- servers that go --- */
static void test_forgotten(void **state) {
        Fixture *f = *state;
        Peer *second = with_server(f, 2), *third = with_server(f, 3);

        create(f, "/33000/4");
        create(f, "/33000/5");
        control(f, 0, 33000, 0, "1=1 3=11", 2); /* 3 may write and delete: it inherits */
        control(f, 1, 33000, 4, "", 2);         /* only 2 had access: goes */
        control(f, 2, 33000, 5, "2=31 1=0", 2); /* the same */
        control(f, 3, 3303, 0, "2=3 1=1", 1);   /* loses an entry */
        control(f, 4, 33000, 65535, "2=16", 65535);
        control(f, 5, 3, 0, "", 2); /* the device's own instance stays */
        without_server(f, 2);
        assert_value(f, "/2/0/3", "3");
        assert_true(exists(f, "/33000/0"));
        assert_false(exists(f, "/33000/4") || exists(f, "/2/1"));
        assert_false(exists(f, "/33000/5") || exists(f, "/2/2"));
        assert_value(f, "/2/3/2/2", "none");
        assert_value(f, "/2/3/2/1", "1");
        assert_value(f, "/2/4/2/2", "none");
        assert_true(exists(f, "/3/0"));
        assert_false(exists(f, "/2/5"));
        peer_free(second);
        peer_free(third);
}

static void test_forgotten_keeps_devices(void **state) {
        Fixture *f = *state;
        Peer *second;

        policy(f, "/3303", "owner:2");
        second = with_server(f, 2);
        assert_true(exists(f, "/2/1"));
        without_server(f, 2);
        assert_true(exists(f, "/3303/0") && exists(f, "/3303/1"));
        assert_int_equal(tree_n_instances(f->tree, 2), 0);
        peer_free(second);
}

/* A bootstrap in one transaction: other servers, and rights also for what the device makes again.
 */
static void test_bootstrap(void **state) {
        static const char *const lines[] = { "/0/5/10=5",    "/1/5/0=5",     "/0/6/10=6",
                                             "/1/6/0=6",     "/2/5/0=3303",  "/2/5/1=0",
                                             "/2/5/2/5=3",   "/2/5/3=65535", "/2/6/0=3303",
                                             "/2/6/1=65535", "/2/6/2/6=16",  "/2/6/3=65535" };
        static const char *const gone[] = { "/0/0", "/0/2", "/1/0", "/1/2", "/2/0", "/3303/0" };
        static const char *const made[] = { "/0/5", "/0/6", "/1/5", "/1/6", "/2/5", "/2/6" };
        Fixture *f = *state;
        Peer *second = with_server(f, 2);
        g_auto(OpList) ops = { .v = NULL };
        OpError error;
        Path p;

        control(f, 0, 3303, 0, "1=31", 65535);
        control(f, 1, 33000, 0, "2=31", 1); /* the bootstrap does not touch it: nobody is left */
        for (size_t i = 0; i < G_N_ELEMENTS(gone); i++) {
                assert_int_equal(path_parse(gone[i], &p), 0);
                op_list_add(&ops, OP_DELETE, &p, NULL);
        }
        for (size_t i = 0; i < G_N_ELEMENTS(made); i++) {
                assert_int_equal(path_parse(made[i], &p), 0);
                op_list_add(&ops, OP_CREATE, &p, NULL);
        }
        for (size_t i = 0; i < G_N_ELEMENTS(lines); i++) {
                g_auto(GStrv) line = g_strsplit(lines[i], "=", 2);
                Value v = { .type = VALUE_INTEGER, .i = atoi(line[1]) };

                assert_int_equal(path_parse(line[0], &p), 0);
                op_list_add(&ops, OP_SET, &p, &v);
        }
        assert_int_equal(ops_apply(f->tree, ops.v, ops.n, ORIGIN_SERVER, 0, &error), 0);
        assert_true(exists(f, "/2/5") && exists(f, "/2/6"));
        assert_false(exists(f, "/2/1") || exists(f, "/33000/0"));
        assert_int_equal(dm_may(f->dm, 5, &PATH_OI(3303, 0), ACCESS_WRITE), 0);
        assert_int_equal(dm_may(f->dm, 6, &PATH_OI(3303, 0), ACCESS_READ), -EACCES);
        assert_int_equal(dm_may(f->dm, 6, &PATH_O(3303), ACCESS_CREATE), 0);
        assert_int_equal(dm_may(f->dm, 5, &PATH_OI(3, 0), ACCESS_READ), -EACCES);
        assert_int_equal(dm_may(f->dm, 1, &PATH_OI(3303, 0), ACCESS_READ), -EACCES);
        peer_free(second);
}

/* --- what object 2 may look like --- */
static void test_odd_instances(void **state) {
        Fixture *f = *state;
        Peer *second = with_server(f, 2);

        control(f, 5, 3303, 0, "0=1", 65535);
        control(f, 3, 3303, 0, "0=2", 65535); /* twice the same: the lower number counts … */
        assert_int_equal(dm_may(f->dm, 1, &PATH_OI(3303, 0), ACCESS_WRITE), 0);
        assert_int_equal(dm_may(f->dm, 1, &PATH_OI(3303, 0), ACCESS_READ), -EACCES);
        tree_begin(f->tree, ORIGIN_APP, 0);
        tree_delete(f->tree, &PATH_OI(2, 3));
        tree_commit(f->tree); /* … and the other one, when it has gone */
        assert_int_equal(dm_may(f->dm, 1, &PATH_OI(3303, 0), ACCESS_READ), 0);
        create(f, "/2/0"); /* about nothing yet */
        set_integer(f, "/2/0/0", 3303);
        assert_int_equal(dm_may(f->dm, 1, &PATH_OI(3303, 0), ACCESS_READ), 0);
        set_integer(f, "/2/5/1", 1); /* about another one from now on */
        assert_int_equal(dm_may(f->dm, 1, &PATH_OI(3303, 0), ACCESS_READ), -EACCES);
        assert_int_equal(dm_may(f->dm, 1, &PATH_OI(3303, 1), ACCESS_READ), 0);
        peer_free(second);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                DM_TEST(test_discover_tells_all),
                DM_TEST(test_discover_tells_what_is_permitted),
                DM_TEST(test_each_operation),
                DM_TEST(test_refused_as_a_whole),
                DM_TEST(test_who),
                DM_TEST(test_single_server),
                DM_TEST(test_half_an_account),
                DM_TEST(test_nobody_provided),
                DM_TEST(test_filtered),
                DM_TEST(test_create),
                DM_TEST(test_create_over_left),
                DM_TEST(test_create_fails),
                DM_TEST(test_object_2),
                DM_TEST(test_withdrawn),
                DM_TEST(test_restored),
                DM_TEST(test_second_account),
                DM_TEST(test_bodies_apart),
                DM_TEST(test_policy),
                DM_TEST(test_policy_owner),
                DM_TEST(test_policy_on_create),
                DM_TEST(test_forgotten),
                DM_TEST(test_forgotten_keeps_devices),
                DM_TEST(test_bootstrap),
                DM_TEST(test_odd_instances),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
