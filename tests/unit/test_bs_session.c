/* SPDX-License-Identifier: Apache-2.0 */
/* Bootstrap as the whole client does it, on virtual time: accounts, what a bootstrap server may ask
 * for, Finish, and what becomes of the registrations. */
#include "client_fixture.h"

#include <errno.h>
#include <string.h>

#include "codec/format.h"
#include "lwm2m/account/oscore_keys.h"
#include "lwm2m/bootstrap/bs_account.h"

#define BS_URI "coap://bs.example"
/* A whole account, as one body for /0/1 and one for /1/0. */
#define SECURITY(ssid)                                                                             \
        "[{\"bn\":\"/0/1/\",\"n\":\"0\",\"vs\":\"coap://a.example\"},{\"n\":\"1\",\"vb\":false},"  \
        "{\"n\":\"2\",\"v\":3},{\"n\":\"3\",\"vd\":\"\"},{\"n\":\"4\",\"vd\":\"\"},"               \
        "{\"n\":\"5\",\"vd\":\"\"},{\"n\":\"10\",\"v\":" #ssid "}]"
#define SERVER(ssid)                                                                               \
        "[{\"bn\":\"/1/0/\",\"n\":\"0\",\"v\":" #ssid "},{\"n\":\"1\",\"v\":600},"                 \
        "{\"n\":\"6\",\"vb\":true},{\"n\":\"7\",\"vs\":\"U\"}]"

typedef struct Request {
        uint8_t method;
        const char *path, *text;
        int format, accept;
} Request;

static uint8_t ask_link(Bed *b, Link *l, const Request *rq) {
        g_auto(GStrv) parts = g_strsplit(rq->path + 1, "/", -1);
        Message m = MESSAGE_INIT(rq->method);

        m.path = rq->path[1] ? (const char *const *) parts : NULL;
        m.format = rq->format;
        m.accept = rq->accept;
        if (rq->text)
                m.payload = g_bytes_new(rq->text, strlen(rq->text));
        fake_forget_answers(b->transport);
        assert_non_null(l);
        l->events.request(l->owner, fake_exchange_new(b->transport), &m, b->now);
        g_clear_pointer(&m.payload, g_bytes_unref);
        assert_non_null(fake_last_answer(b->transport));
        return fake_last_answer(b->transport)->code;
}

static uint8_t ask(Bed *b, uint8_t method, const char *path, const char *text, int format,
                   int accept) {
        const Request rq = { method, path, text, format, accept };

        return ask_link(b, bed_link(b, BS_SSID), &rq);
}

static uint8_t put(Bed *b, const char *path, const char *json) {
        return ask(b, METHOD_PUT, path, json, FORMAT_SENML_JSON, -1);
}

static uint8_t delete (Bed *b, const char *path) {
        return ask(b, METHOD_DELETE, path, NULL, -1, -1);
}

static uint8_t finish(Bed *b) {
        uint8_t code = ask(b, METHOD_POST, "/bs", NULL, -1, -1);

        bed_advance(b, 0);
        return code;
}

static const char *discover(Bed *b, const char *path) {
        assert_int_equal(ask(b, METHOD_GET, path, NULL, -1, FORMAT_LINK), CODE(2, 5));
        assert_int_equal(fake_last_answer(b->transport)->format, FORMAT_LINK);
        return fake_text(fake_last_answer(b->transport));
}

static const char *why(Bed *b) {
        return fake_text(fake_last_answer(b->transport));
}

/* The value at path as text, "none" without one. */
static const char *at(const Bed *b, const char *path) {
        static char *text;
        const Value *v;
        Path p;

        assert_int_equal(path_parse(path, &p), 0);
        g_free(text);
        text = tree_get(b->tree, &p, &v) == 0 ? value_format(v) : g_strdup("none");
        return text;
}

static bool there(const Bed *b, const char *path) {
        Path p;

        assert_int_equal(path_parse(path, &p), 0);
        return tree_exists(b->tree, &p);
}

static void add_bootstrap(Bed *b, uint32_t hold_off_sec, uint32_t timeout_sec) {
        ServerAccount account = { .uri = BS_URI,
                                  .bootstrap = true,
                                  .hold_off_sec = hold_off_sec,
                                  .account_timeout_sec = timeout_sec };
        g_autofree char *error = NULL;

        if (client_add_account(b->client, &account, &error, b->now) < 0)
                fail_msg("%s", error);
}

static int setup_version(void **state, uint8_t minor) {
        Bed *b = bed_new();

        fake_store_clear();
        assert_int_equal(schema_prefer(b->schema, 0, (Version){ 1, 1 }), 0);
        if (minor != 1)
                b->config.version = (Version){ 1, minor };
        bed_boot(b);
        *state = b;
        return 0;
}

static int setup(void **state) {
        return setup_version(state, 1);
}

static int setup_1_0(void **state) {
        return setup_version(state, 0);
}

static int teardown(void **state) {
        bed_free(*state);
        fake_store_clear();
        return 0;
}

/* A client that has nothing but the bootstrap server's account, asked for a bootstrap. */
static void open_session(Bed *b) {
        bed_start(b);
        bed_up(b, BS_SSID);
        assert_string_equal(bed_request(b, BS_SSID)->path, "/bs");
        bed_answer(b, BS_SSID, CODE(2, 4), NULL);
        g_string_truncate(b->log, 0);
}

static int setup_session(void **state) {
        setup(state);
        add_bootstrap(*state, 0, 0);
        open_session(*state);
        return 0;
}

static void give_account(Bed *b) {
        assert_int_equal(put(b, "/0/1", SECURITY(101)), CODE(2, 4));
        assert_int_equal(put(b, "/1/0", SERVER(101)), CODE(2, 4));
}

/* --- the way through --- */

static void test_first_bootstrap(void **state) {
        Bed *b = *state;

        add_bootstrap(b, 0, 0);
        bed_log(b, "+0");
        assert_string_equal(client_state(b->client), "stopped");
        bed_start(b);
        assert_string_equal(client_state(b->client), "bootstrapping");
        assert_string_equal(bed_state(b, BS_SSID), "resolving");
        bed_up(b, BS_SSID);
        assert_int_equal(bed_request(b, BS_SSID)->code, METHOD_POST);
        assert_string_equal(bed_request(b, BS_SSID)->path, "/bs");
        assert_string_equal(bed_request(b, BS_SSID)->query, "ep=dev&pct=112");
        bed_answer(b, BS_SSID, CODE(2, 4), NULL);
        assert_string_equal(bed_state(b, BS_SSID), "bootstrapping");
        give_account(b);
        assert_false(there(b, "/1/0")); /* nothing before the end */
        bed_log(b, "bootstrap-reg-complete@0");
        assert_int_equal(finish(b), CODE(2, 4));
        bed_log(b, "bootstrap-transfer-complete@0 +101");
        assert_string_equal(b->details, "uri=" BS_URI);
        assert_string_equal(at(b, "/0/1/0"), "coap://a.example");
        assert_string_equal(at(b, "/1/0/1"), "600");
        assert_string_equal(at(b, "/1/0/12"), "1764000000"); /* Last Bootstrapped */
        assert_true(there(b, "/0/0"));                       /* the account of the session */
        bed_register(b, 101);
        assert_string_equal(client_state(b->client), "online");
        /* Nothing else is welcome on that link, and in the end it is closed. */
        assert_int_equal(put(b, "/1/0", SERVER(101)), CODE(4, 1));
        assert_int_equal(finish(b), CODE(4, 1));
        bed_advance(b, 100 * SEC);
        assert_null(bed_link(b, BS_SSID));
        assert_string_equal(bed_state(b, BS_SSID), "idle");
}

static void test_bootstrap_of_1_0(void **state) {
        Bed *b = *state;

        add_bootstrap(b, 0, 0);
        bed_start(b);
        bed_up(b, BS_SSID);
        assert_string_equal(bed_request(b, BS_SSID)->query, "ep=dev");
        bed_answer(b, BS_SSID, CODE(2, 4), NULL);
        assert_true(g_str_has_prefix(discover(b, "/0"), "</>;lwm2m=1.0,</0>;ver=1."));
        assert_null(strstr(discover(b, "/0"), "uri="));
}

static void test_hold_off(void **state) {
        Bed *b = *state;

        add_bootstrap(b, 30, 0);
        bed_start(b);
        assert_string_equal(client_state(b->client), "bootstrapping");
        bed_advance(b, 29 * SEC);
        assert_null(bed_link(b, BS_SSID));
        bed_advance(b, SEC);
        assert_non_null(bed_link(b, BS_SSID));
}

/* LwM2M 1.0: in that time the server may begin by itself; later versions do not wait for it. */
static void test_unsolicited(void **state) {
        Bed *b = *state;

        add_bootstrap(b, 30, 0);
        bed_start(b);
        assert_non_null(bed_link(b, BS_SSID));
        bed_up(b, BS_SSID);
        bed_advance(b, 10 * SEC);
        assert_string_equal(bed_state(b, BS_SSID), "idle");
        give_account(b);
        assert_string_equal(bed_state(b, BS_SSID), "bootstrapping");
        assert_int_equal(finish(b), CODE(2, 4));
        bed_log(b, "+0 bootstrap-reg-complete@0 bootstrap-transfer-complete@0 +101");
        bed_register(b, 101);
        assert_string_equal(client_state(b->client), "online");
}

static void test_unsolicited_that_does_not_come(void **state) {
        Bed *b = *state;

        add_bootstrap(b, 30, 0);
        bed_start(b);
        bed_up(b, BS_SSID);
        bed_link(b, BS_SSID)
                ->events.down(bed_link(b, BS_SSID)->owner, -ENETUNREACH, "no route", b->now);
        assert_string_equal(bed_state(b, BS_SSID), "idle"); /* it means nothing yet */
        bed_advance(b, 30 * SEC);
        bed_up(b, BS_SSID);
        assert_string_equal(bed_request(b, BS_SSID)->path, "/bs");
}

static void test_no_account_at_all(void **state) {
        Bed *b = *state;

        bed_start(b);
        bed_advance(b, 1000 * SEC);
        assert_string_equal(client_state(b->client), "offline");
        assert_int_equal(client_bootstrap(b->client, b->now), -ENOENT);
        assert_int_equal(client_start_bootstrap(b->client, NULL, b->now), -EALREADY);
}

static void test_account_of_the_bootstrap_server(void **state) {
        ServerAccount account = { .uri = "coap://other.example", .bootstrap = true };
        g_autofree char *error = NULL;
        Bed *b = *state;
        ServerInfo info;
        size_t n;

        assert_int_equal(client_server_info(b->client, BS_SSID, &info), -ENOENT);
        assert_int_equal(client_remove_account(b->client, BS_SSID, b->now), -ENOENT);
        add_bootstrap(b, 5, 0);
        assert_string_equal(at(b, "/0/0/1"), "1");
        assert_string_equal(at(b, "/0/0/11"), "5");
        assert_int_equal(client_add_account(b->client, &account, &error, b->now), -EEXIST);
        assert_non_null(strstr(error, BS_URI));
        assert_int_equal(client_server_info(b->client, BS_SSID, &info), 0);
        assert_string_equal(info.uri, BS_URI);
        g_free(client_servers(b->client, &n));
        assert_int_equal(n, 0); /* it is none to register with */
        bed_log(b, "+0");
        assert_int_equal(client_remove_account(b->client, BS_SSID, b->now), 0);
        bed_log(b, "-0");
        assert_false(there(b, "/0/0"));
}

/* --- failures --- */

static void test_refused_and_tried_again(void **state) {
        Bed *b = *state;

        add_bootstrap(b, 0, 0);
        bed_start(b);
        bed_up(b, BS_SSID);
        bed_answer(b, BS_SSID, CODE(4, 0), NULL);
        bed_log(b, "+0 bootstrap-reg-failure@0");
        assert_non_null(strstr(b->details, "code=4.00"));
        assert_non_null(strstr(b->details, "retry-at="));
        assert_string_equal(bed_state(b, BS_SSID), "failed");
        assert_string_equal(client_state(b->client), "bootstrapping");
        assert_null(bed_link(b, BS_SSID));
        bed_advance(b, 12 * SEC);
        assert_non_null(bed_link(b, BS_SSID));
}

static void test_silent_session_is_forgotten(void **state) {
        Bed *b = *state;

        give_account(b);
        bed_advance(b, 246 * SEC);
        assert_non_null(bed_link(b, BS_SSID));
        bed_advance(b, SEC);
        bed_log(b, "bootstrap-reg-failure@0");
        assert_null(bed_link(b, BS_SSID));
        bed_advance(b, 12 * SEC);
        bed_up(b, BS_SSID);
        bed_answer(b, BS_SSID, CODE(2, 4), NULL);
        assert_null(strstr(discover(b, "/"), "</1/0>")); /* of the former session */
        assert_int_equal(finish(b), CODE(4, 6));
}

static void test_endless_session_ends(void **state) {
        Bed *b = *state;

        give_account(b);
        for (unsigned i = 0; i < 7 && bed_link(b, BS_SSID); i++) {
                assert_int_equal(put(b, "/1/0", SERVER(101)), CODE(2, 4));
                bed_advance(b, 100 * SEC);
        }
        assert_null(bed_link(b, BS_SSID));
        assert_false(there(b, "/1/0"));
}

static void test_inconsistent_is_refused_and_put_right(void **state) {
        Bed *b = *state;

        assert_int_equal(put(b, "/0/1", SECURITY(101)), CODE(2, 4));
        assert_int_equal(put(b, "/1/0", SERVER(102)), CODE(2, 4));
        assert_int_equal(finish(b), CODE(4, 6));
        assert_string_equal(why(b), "/0/1/10: object 1 has no instance with Short Server ID 101");
        bed_log(b, "bootstrap-reg-failure@0");
        assert_false(there(b, "/0/1"));
        assert_false(there(b, "/1/0"));
        assert_int_equal(put(b, "/1/0", "[{\"n\":\"/1/0/0\",\"v\":101}]"), CODE(2, 4));
        assert_int_equal(finish(b), CODE(2, 4));
        assert_string_equal(at(b, "/1/0/0"), "101");
        assert_string_equal(at(b, "/1/0/1"), "600");
}

static void test_what_is_inconsistent(void **state) {
        static const struct {
                const char *path, *json, *why;
        } cases[] = {
                /* clang-format off */
                { "/0/1/10", "[{\"n\":\"/0/1/10\",\"v\":7}]", "/0/1/10: object 1 has no instance with Short Server ID 7" },
                { "/0/1/0", "[{\"n\":\"/0/1/0\",\"vs\":\"http://x\"}]", "/0/1: 'http://x': not a CoAP URI" },
                { "/0/1/2", "[{\"n\":\"/0/1/2\",\"v\":0}]", "/0/1: the URI says coap://, which is without security, and the security mode is another: use coaps://" },
                { "/0/1", "[{\"n\":\"/0/1/0\",\"vs\":\"coaps://x\"},{\"n\":\"/0/1/2\",\"v\":0}]", "/0/1: no PSK identity (0/x/3)" },
                { "/0/1/1", "[{\"n\":\"/0/1/1\",\"vb\":true}]", "/1/0/0: object 0 has no account with Short Server ID 101" },
                { "/0/1/17", "[{\"n\":\"/0/1/17\",\"vlo\":\"21:5\"}]", "/0/1/17: there is no /21/5" },
                { "/1/0/7", "[{\"n\":\"/1/0/7\",\"vs\":\"XYZ\"}]", "/1/0/7: binding 'XYZ' cannot be used" },
                { "/1/0/1", "[{\"n\":\"/1/0/1\",\"v\":-1}]", "/1/0/1: no lifetime" },
                { "/1/1", "[{\"n\":\"/1/1/0\",\"v\":101},{\"n\":\"/1/1/1\",\"v\":9},{\"n\":\"/1/1/6\",\"vb\":true},{\"n\":\"/1/1/7\",\"vs\":\"U\"}]",
                  "/1/0/0: Short Server ID 101 is there twice" },
                { "/1/1", "[{\"n\":\"/1/1/0\",\"v\":102}]", "/1/1/1: the mandatory Lifetime is missing" },
                { "/0/5", "[{\"n\":\"/0/5/10\",\"v\":5}]", "/0/5/0: the mandatory LwM2M Server URI is missing" },
                /* clang-format on */
        };

        for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
                void *bed;

                setup_session(&bed);
                give_account(bed);
                assert_int_equal(put(bed, cases[i].path, cases[i].json), CODE(2, 4));
                assert_int_equal(finish(bed), CODE(4, 6));
                assert_string_equal(why(bed), cases[i].why);
                assert_false(there(bed, "/1/0"));
                teardown(&bed);
        }
}

#define OSCORE(client, server)                                                                     \
        "[{\"n\":\"/21/7/0\",\"vd\":\"MDEyMzQ1Njc4OWFiY2RlZg\"},"                                  \
        "{\"n\":\"/21/7/1\",\"vd\":\"" client "\"},{\"n\":\"/21/7/2\",\"vd\":\"" server "\"}]"
#define OSCORE_LINK(i) "[{\"n\":\"/0/" #i "/17\",\"vlo\":\"21:7\"}]"

static void test_oscore_account(void **state) {
        g_autoptr(Credentials) c = NULL;
        Bed *b = *state;

        give_account(b);
        assert_int_equal(put(b, "/21/7", OSCORE("Yw", "Yw")), CODE(2, 4));
        assert_int_equal(put(b, "/0/1/17", OSCORE_LINK(1)), CODE(2, 4));
        assert_int_equal(finish(b), CODE(4, 6)); /* both sides would use the same numbers */
        assert_string_equal(why(b), "/0/1: the OSCORE Sender ID and Recipient ID are the same");
        assert_false(there(b, "/21/7"));

        assert_int_equal(put(b, "/21/7", OSCORE("Yw", "cw")), CODE(2, 4));
        assert_int_equal(put(b, "/0/2",
                             "[{\"n\":\"/0/2/0\",\"vs\":\"coap://b.example\"},"
                             "{\"n\":\"/0/2/17\",\"vlo\":\"21:7\"}]"),
                         CODE(2, 4));
        assert_int_equal(finish(b), CODE(4, 6));
        assert_string_equal(why(b), "/0/1/17: another account links to /21/7, too");
        assert_int_equal(delete (b, "/0/2"), CODE(2, 2));
        assert_int_equal(finish(b), CODE(2, 4));
        c = credentials_load(b->tree, 1);
        assert_non_null(c->oscore);
        assert_null(c->oscore->fault);
        assert_string_equal(credentials_name(c), "oscore");
        assert_memory_equal(g_bytes_get_data(c->oscore->sender_id, NULL), "c", 1);
}

static void test_nothing_is_inconsistent(void **state) {
        assert_int_equal(finish(*state), CODE(4, 6));
        assert_string_equal(why(*state), "no server to register with is left");
}

static void test_full_disk_changes_nothing(void **state) {
        Bed *b = *state;

        give_account(b);
        tree_set_limits(b->tree, tree_n_instances(b->tree, -1) + 1, 0);
        assert_int_equal(finish(b), CODE(5, 0));
        assert_false(there(b, "/0/1"));
        assert_false(there(b, "/1/0"));
        tree_set_limits(b->tree, 0, 0);
        assert_int_equal(finish(b), CODE(2, 4));
}

/* --- Write --- */

static void test_write_levels_and_formats(void **state) {
        Bed *b = *state;

        give_account(b);
        /* a whole object */
        assert_int_equal(put(b, "/3303",
                             "[{\"n\":\"/3303/4/5700\",\"v\":1.5},"
                             "{\"n\":\"/3303/9/5701\",\"vs\":\"Cel\"}]"),
                         CODE(2, 4));
        /* a single resource, read-only and not there, in text */
        assert_int_equal(ask(b, METHOD_PUT, "/3/0/1", "M-1", FORMAT_TEXT, -1), CODE(2, 4));
        /* opaque */
        assert_int_equal(ask(b, METHOD_PUT, "/0/1/3", "key", FORMAT_OPAQUE, -1), CODE(2, 4));
        /* TLV: resource 5 of /1/0, one byte */
        assert_int_equal(ask(b, METHOD_PUT, "/1/0", "\xc1\x05\x3c", FORMAT_TLV, -1), CODE(2, 4));
        /* a multiple resource is replaced as a whole */
        assert_int_equal(put(b, "/3/0/11",
                             "[{\"n\":\"/3/0/11/0\",\"v\":3},"
                             "{\"n\":\"/3/0/11/1\",\"v\":4}]"),
                         CODE(2, 4));
        assert_int_equal(put(b, "/3/0/11", "[{\"n\":\"/3/0/11/2\",\"v\":5}]"), CODE(2, 4));
        assert_int_equal(finish(b), CODE(2, 4));
        assert_string_equal(at(b, "/3303/4/5700"), "1.5");
        assert_string_equal(at(b, "/3303/9/5701"), "Cel");
        assert_string_equal(at(b, "/3/0/1"), "M-1");
        assert_string_equal(at(b, "/0/1/3"), "a2V5");
        assert_string_equal(at(b, "/1/0/5"), "60");
        assert_string_equal(at(b, "/3/0/11/2"), "5");
        assert_false(there(b, "/3/0/11/0"));
        assert_false(there(b, "/3/0/11/1"));
}

static void test_keys_come_through_unchanged(void **state) {
        static const uint8_t tlv[] = { 0xc3, 3,    0x00, 0xff, 0x0a, 0xc4, 4,   0xde,
                                       0xad, 0xbe, 0x00, 0xc2, 5,    0x00, 0x00 };
        Message m = MESSAGE_INIT(METHOD_PUT);
        static const char *const path[] = { "0", "1", NULL };
        const Value *v;
        Bed *b = *state;
        Link *l = bed_link(b, BS_SSID);

        give_account(b);
        m.path = path;
        m.format = FORMAT_TLV;
        m.payload = g_bytes_new_static(tlv, sizeof(tlv));
        l->events.request(l->owner, fake_exchange_new(b->transport), &m, b->now);
        g_bytes_unref(m.payload);
        assert_int_equal(fake_last_answer(b->transport)->code, CODE(2, 4));
        assert_int_equal(finish(b), CODE(2, 4));
        assert_int_equal(tree_get(b->tree, &PATH_OIR(0, 1, 3), &v), 0);
        assert_int_equal(v->length, 3);
        assert_memory_equal(v->data, tlv + 2, 3);
        assert_int_equal(tree_get(b->tree, &PATH_OIR(0, 1, 4), &v), 0);
        assert_int_equal(v->length, 4);
        assert_memory_equal(v->data, tlv + 7, 4);
        assert_int_equal(tree_get(b->tree, &PATH_OIR(0, 1, 5), &v), 0);
        assert_int_equal(v->length, 2);
        assert_memory_equal(v->data, tlv + 13, 2);
}

static void test_unknown_resources_are_ignored(void **state) {
        Bed *b = *state;

        give_account(b);
        assert_int_equal(
                put(b, "/1/0", "[{\"n\":\"/1/0/2\",\"v\":5},{\"n\":\"/1/0/999\",\"v\":1}]"),
                CODE(2, 4));
        assert_int_equal(finish(b), CODE(2, 4));
        assert_string_equal(at(b, "/1/0/2"), "5");
        assert_false(there(b, "/1/0/999"));
}

static void test_refused_writes(void **state) {
        static const struct {
                const char *path, *text;
                int format;
                uint8_t code;
        } cases[] = {
                { "/", "[]", FORMAT_SENML_JSON, CODE(4, 5) },
                { "/31000/0", "[{\"n\":\"/31000/0/0\",\"v\":1}]", FORMAT_SENML_JSON, CODE(4, 4) },
                { "/1/0/999", "1", FORMAT_TEXT, CODE(4, 4) },
                { "/1/0/1", "soon", FORMAT_TEXT, CODE(4, 0) },
                { "/1/0/0", "0", FORMAT_TEXT, CODE(4, 0) }, /* 1..65534 */
                { "/1/0/4", "1", FORMAT_TEXT, CODE(4, 0) }, /* executable */
                { "/1/0", "[{\"n\":\"/1/0/1\"", FORMAT_SENML_JSON, CODE(4, 0) },
                { "/1/0", "[{\"n\":\"/0/0/0\",\"vs\":\"x\"}]", FORMAT_SENML_JSON, CODE(4, 0) },
                { "/3/1", "[{\"n\":\"/3/1/0\",\"vs\":\"x\"}]", FORMAT_SENML_JSON, CODE(4, 0) },
                { "/1/0/1/0", "1", FORMAT_TEXT, CODE(4, 5) },
                { "/1/0", "5", FORMAT_TEXT, CODE(4, 15) },
                { "/1/0/1", "5", -1, CODE(4, 15) },
                { "/1/0/1", "5", 50, CODE(4, 15) },
                { "/1/65535", "[]", FORMAT_SENML_JSON, CODE(4, 4) },
                { "/1/x", "[]", FORMAT_SENML_JSON, CODE(4, 4) },
                { "/bs", "[]", FORMAT_SENML_JSON, CODE(4, 5) },
                { "/0/1/5", "file:/etc/shadow", FORMAT_OPAQUE, CODE(4, 0) },
                { "/0/1/5", "store:handle:0x81000001", FORMAT_OPAQUE, CODE(4, 0) },
                { "/0/1/3", "store:pkcs11:object=gw", FORMAT_OPAQUE, CODE(4, 0) },
                { "/0/1", "[{\"n\":\"/0/1/3\",\"vd\":\"ZmlsZTp4\"}]", FORMAT_SENML_JSON,
                  CODE(4, 0) },
        };
        Bed *b = *state;

        for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
                uint8_t code =
                        ask(b, METHOD_PUT, cases[i].path, cases[i].text, cases[i].format, -1);

                if (code != cases[i].code)
                        fail_msg("%s %s: %u.%02u", cases[i].path, cases[i].text, code >> 5,
                                 code & 31U);
        }
        assert_int_equal(ask(b, METHOD_POST, "/1/0", "[]", FORMAT_SENML_JSON, -1), CODE(4, 5));
        assert_int_equal(ask(b, METHOD_FETCH, "/", "[]", FORMAT_SENML_JSON, -1), CODE(4, 5));
        assert_int_equal(ask(b, METHOD_IPATCH, "/", "[]", FORMAT_SENML_JSON, -1), CODE(4, 5));
        give_account(b);
        assert_int_equal(finish(b), CODE(2, 4)); /* and nothing of it was kept */
        assert_string_equal(at(b, "/1/0/1"), "600");
}

/* A body with one bad record changes nothing at all. */
static void test_write_is_all_or_nothing(void **state) {
        Bed *b = *state;

        give_account(b);
        assert_int_equal(put(b, "/1/0", "[{\"n\":\"/1/0/2\",\"v\":5},{\"n\":\"/1/0/0\",\"v\":0}]"),
                         CODE(4, 0));
        assert_int_equal(finish(b), CODE(2, 4));
        assert_false(there(b, "/1/0/2"));
}

static void test_limits(void **state) {
        g_autoptr(GString) json = g_string_new("[");
        uint8_t code = CODE(2, 4);
        Bed *b = *state;

        for (unsigned i = 0; i < 1000; i++)
                g_string_append_printf(json, "%s{\"n\":\"/3303/%u/5701\",\"vs\":\"0123456789\"}",
                                       i ? "," : "", i);
        g_string_append_c(json, ']');
        for (unsigned i = 0; i < 9 && code == CODE(2, 4); i++) {
                g_autofree char *path = g_strdup_printf("/%u", 3303 + i);
                g_autofree char *from = g_strdup_printf("/%u/", 3303 + i);
                g_auto(GStrv) parts = g_strsplit(json->str, "/3303/", -1);
                g_autofree char *body = g_strjoinv(from, parts);

                if (i != 2 && i != 3 && i != 4 && i != 6) /* objects that there are */
                        code = put(b, path, body);
        }
        assert_int_equal(code, CODE(4, 13));
        assert_int_equal(delete (b, "/"), CODE(2, 2));
        give_account(b);
        assert_int_equal(finish(b), CODE(2, 4));
        assert_int_equal(tree_n_instances(b->tree, 3303), 0);
}

static void test_limit_of_bytes(void **state) {
        g_autofree char *big = g_strnfill(600 << 10, 'x');
        Bed *b = *state;

        assert_int_equal(ask(b, METHOD_PUT, "/3/0/0", big, FORMAT_TEXT, -1), CODE(2, 4));
        assert_int_equal(ask(b, METHOD_PUT, "/3/0/1", big, FORMAT_TEXT, -1), CODE(4, 13));
        assert_int_equal(ask(b, METHOD_PUT, "/3/0/0", "ACME", FORMAT_TEXT, -1), CODE(2, 4));
        assert_int_equal(ask(b, METHOD_PUT, "/3/0/1", big, FORMAT_TEXT, -1), CODE(2, 4));
}

/* --- one of two servers fails for good --- */

static bool falls_back(Bed *b) {
        bed_add(b, 1, "coap://a.example", 86400);
        bed_add(b, 2, "coap://b.example", 86400);
        add_bootstrap(b, 0, 0);
        bed_start(b);
        bed_register(b, 1);
        while (!strstr(b->log->str, "network-error@2")) {
                Link *l = bed_link(b, 2);

                if (l)
                        l->events.down(l->owner, -ENETUNREACH, "no route", b->now);
                bed_advance(b, 10 * SEC);
        }
        bed_advance(b, SEC);
        return bed_link(b, BS_SSID);
}

static void test_one_of_two_1_0(void **state) {
        assert_false(falls_back(*state));
}

static void test_one_of_two(void **state) {
        assert_true(falls_back(*state));
}

/* --- Delete --- */

static void test_delete_spares(void **state) {
        Bed *b = *state;

        bed_create(b, "/21/3");
        bed_create(b, "/21/4");
        bed_create(b, "/3303/0");
        bed_set(b, "/21/3/0", value_text(VALUE_OPAQUE, "0123456789abcdef", 16));
        bed_set(b, "/21/3/1", value_text(VALUE_OPAQUE, "c", 1));
        bed_set(b, "/21/3/2", value_text(VALUE_OPAQUE, "s", 1));
        bed_set(b, "/0/0/17", (Value){ .type = VALUE_OBJLNK, .link = { 21, 3 } });
        bed_advance(b, 0);
        /* the stage was made before: a new session sees it */
        bed_advance(b, 247 * SEC);
        bed_advance(b, 12 * SEC);
        bed_up(b, BS_SSID);
        bed_answer(b, BS_SSID, CODE(2, 4), NULL);
        assert_int_equal(delete (b, "/0/0"), CODE(4, 0));
        assert_int_equal(delete (b, "/21/3"), CODE(4, 0));
        assert_int_equal(delete (b, "/3/0"), CODE(4, 0));
        assert_int_equal(delete (b, "/3"), CODE(4, 0));
        assert_int_equal(delete (b, "/0/7"), CODE(4, 0));
        assert_int_equal(delete (b, "/31000"), CODE(4, 0));
        assert_int_equal(delete (b, "/3303/0/5700"), CODE(4, 5));
        assert_int_equal(delete (b, "/"), CODE(2, 2));
        give_account(b);
        assert_true(there(b, "/3303/0")); /* still */
        assert_int_equal(finish(b), CODE(2, 4));
        assert_false(there(b, "/3303/0"));
        assert_false(there(b, "/21/4"));
        assert_true(there(b, "/21/3"));
        assert_true(there(b, "/0/0"));
        assert_true(there(b, "/3/0"));
        assert_true(there(b, "/0/1"));
}

/* Whose an instance of object 21 is, is told as for objects 0 and 1. */
static void test_discover_oscore(void **state) {
        Bed *b = *state;

        bed_create(b, "/21/3");
        bed_create(b, "/21/4");
        bed_set(b, "/0/0/17", (Value){ .type = VALUE_OBJLNK, .link = { 21, 3 } });
        give_account(b);
        assert_int_equal(put(b, "/0/1/17", "[{\"n\":\"/0/1/17\",\"vlo\":\"21:4\"}]"), CODE(2, 4));
        assert_non_null(strstr(discover(b, "/21"), ",</21/3>,</21/4>;ssid=101"));
        assert_non_null(
                strstr(discover(b, "/0"), ",</0/0>,</0/1>;ssid=101;uri=\"coap://a.example\""));
}

static void test_delete_object_and_instance(void **state) {
        Bed *b = *state;

        bed_create(b, "/3303/0");
        bed_create(b, "/3303/1");
        bed_create(b, "/3304/0");
        give_account(b);
        assert_int_equal(put(b, "/3303/2", "[{\"n\":\"/3303/2/5700\",\"v\":1}]"), CODE(2, 4));
        assert_int_equal(delete (b, "/3303/2"), CODE(2, 2)); /* one of its own */
        assert_int_equal(delete (b, "/3303/2"), CODE(4, 0));
        assert_int_equal(delete (b, "/3303/1"), CODE(2, 2));
        assert_int_equal(delete (b, "/3303/1"), CODE(4, 0));
        assert_int_equal(delete (b, "/3304"), CODE(2, 2));
        assert_int_equal(delete (b, "/3304"), CODE(2, 2)); /* nothing left is fine */
        assert_int_equal(put(b, "/3304/5", "[{\"n\":\"/3304/5/5700\",\"v\":1}]"), CODE(2, 4));
        assert_int_equal(finish(b), CODE(2, 4));
        assert_true(there(b, "/3303/0"));
        assert_false(there(b, "/3303/1"));
        assert_false(there(b, "/3303/2"));
        assert_false(there(b, "/3304/0"));
        assert_true(there(b, "/3304/5"));
}

/* An instance that goes and comes again has nothing of what it was. */
static void test_delete_then_write(void **state) {
        Bed *b = *state;

        bed_create(b, "/3303/0");
        bed_set(b, "/3303/0/5701", value_string("Cel"));
        give_account(b);
        assert_int_equal(delete (b, "/3303/0"), CODE(2, 2));
        assert_int_equal(put(b, "/3303/0", "[{\"n\":\"/3303/0/5700\",\"v\":7}]"), CODE(2, 4));
        assert_int_equal(finish(b), CODE(2, 4));
        assert_string_equal(at(b, "/3303/0/5700"), "7");
        assert_false(there(b, "/3303/0/5701"));
}

/* --- Discover and Read --- */

static void test_discover(void **state) {
        Bed *b = *state;
        const char *links;

        bed_create(b, "/3303/0");
        assert_string_equal(discover(b, "/0"), "</>;lwm2m=1.1,</0/0>");
        assert_string_equal(discover(b, "/1"), "</>;lwm2m=1.1,</1>");
        give_account(b);
        assert_string_equal(discover(b, "/0"), "</>;lwm2m=1.1,</0/0>,"
                                               "</0/1>;ssid=101;uri=\"coap://a.example\"");
        assert_string_equal(discover(b, "/1"), "</>;lwm2m=1.1,</1/0>;ssid=101");
        links = discover(b, "/");
        assert_true(g_str_has_prefix(links, "</>;lwm2m=1.1,</0/0>,</0/1>;ssid=101;uri="));
        assert_non_null(strstr(links, ",</1/0>;ssid=101,"));
        assert_non_null(strstr(links, ",</3303/0>"));
        assert_non_null(strstr(links, ",</3304>")); /* known, without instance */
        assert_int_equal(delete (b, "/3303"), CODE(2, 2));
        assert_null(strstr(discover(b, "/"), "</3303/0>"));
        assert_true(there(b, "/3303/0")); /* seen by the session alone */
        assert_int_equal(ask(b, METHOD_GET, "/1/0", NULL, -1, FORMAT_LINK), CODE(4, 5));
        assert_int_equal(ask(b, METHOD_GET, "/31000", NULL, -1, FORMAT_LINK), CODE(4, 4));
}

static void test_read(void **state) {
        Bed *b = *state;

        give_account(b);
        assert_int_equal(ask(b, METHOD_GET, "/1", NULL, -1, FORMAT_SENML_JSON), CODE(2, 5));
        assert_non_null(strstr(why(b), "101"));
        assert_int_equal(ask(b, METHOD_GET, "/1/0", NULL, -1, FORMAT_TLV), CODE(2, 5));
        assert_int_equal(fake_last_answer(b->transport)->format, FORMAT_TLV);
        assert_int_equal(ask(b, METHOD_GET, "/1/0", NULL, -1, -1), CODE(2, 5));
        assert_int_equal(fake_last_answer(b->transport)->format, FORMAT_SENML_CBOR);
        assert_int_equal(ask(b, METHOD_GET, "/2", NULL, -1, FORMAT_SENML_JSON), CODE(2, 5));
        assert_string_equal(why(b), "[]");
        assert_int_equal(ask(b, METHOD_GET, "/1/5", NULL, -1, -1), CODE(4, 4));
        assert_int_equal(ask(b, METHOD_GET, "/0/0", NULL, -1, -1), CODE(4, 1));
        assert_int_equal(ask(b, METHOD_GET, "/21", NULL, -1, -1), CODE(4, 1));
        assert_int_equal(ask(b, METHOD_GET, "/3/0", NULL, -1, -1), CODE(4, 5));
        assert_int_equal(ask(b, METHOD_GET, "/1/0/0", NULL, -1, -1), CODE(4, 5));
        assert_int_equal(ask(b, METHOD_GET, "/", NULL, -1, -1), CODE(4, 5));
        assert_int_equal(ask(b, METHOD_GET, "/1/0", NULL, -1, FORMAT_TEXT), CODE(4, 6));
}

/* --- the bootstrap server's own account --- */

static void test_account_is_purged(void **state) {
        Bed *b = *state;

        add_bootstrap(b, 0, 200);
        open_session(b);
        give_account(b);
        assert_int_equal(finish(b), CODE(2, 4));
        bed_register(b, 101);
        bed_advance(b, 199 * SEC);
        assert_true(there(b, "/0/0"));
        g_string_truncate(b->log, 0);
        bed_advance(b, SEC);
        assert_false(there(b, "/0/0"));
        assert_non_null(strstr(b->log->str, "-0"));
        assert_int_equal(client_bootstrap(b->client, b->now), -ENOENT);
}

static void test_purge_counts_over_restarts(void **state) {
        Bed *b = *state;

        add_bootstrap(b, 0, 200);
        open_session(b);
        give_account(b);
        assert_int_equal(finish(b), CODE(2, 4));
        bed_reboot(b, 150);
        bed_start(b);
        bed_advance(b, 49 * SEC);
        assert_true(there(b, "/0/0"));
        bed_advance(b, SEC);
        assert_false(there(b, "/0/0"));
}

static void test_account_is_replaced(void **state) {
        Bed *b = *state;

        give_account(b);
        assert_int_equal(put(b, "/0/7",
                             "[{\"bn\":\"/0/7/\",\"n\":\"0\",\"vs\":\"coap://new.example\"},"
                             "{\"n\":\"1\",\"vb\":true},{\"n\":\"2\",\"v\":3}]"),
                         CODE(2, 4));
        assert_int_equal(finish(b), CODE(2, 4));
        assert_false(there(b, "/0/0"));
        assert_true(there(b, "/0/7"));
        /* The old link still answers should the 2.04 have been lost. */
        assert_non_null(bed_link(b, BS_SSID));
        bed_advance(b, 93 * SEC);
        assert_null(bed_link(b, BS_SSID));
        assert_int_equal(client_bootstrap(b->client, b->now), 0);
        assert_string_equal(bed_link(b, BS_SSID)->uri, "coap://new.example");
}

/* --- what starts a bootstrap --- */

static void register_first(Bed *b) {
        add_bootstrap(b, 0, 0);
        bed_add(b, 101, "coap://a.example", 600);
        bed_start(b);
        assert_null(bed_link(b, BS_SSID)); /* there is a server */
        bed_register(b, 101);
        g_string_truncate(b->log, 0);
}

static void test_trigger(void **state) {
        Bed *b = *state;

        register_first(b);
        assert_int_equal(bed_ask(b, 101, METHOD_POST, "/1/0/9", NULL), CODE(2, 4));
        bed_advance(b, 0);
        assert_non_null(bed_link(b, BS_SSID));
        assert_string_equal(client_state(b->client), "bootstrapping");
        assert_string_equal(bed_state(b, 101), "registered"); /* it goes on meanwhile */
        assert_int_equal(bed_ask(b, 101, METHOD_POST, "/1/0/9", NULL), CODE(5, 3));
        bed_up(b, BS_SSID);
        bed_answer(b, BS_SSID, CODE(2, 4), NULL);
        assert_int_equal(put(b, "/1/0/2", "[{\"n\":\"/1/0/2\",\"v\":7}]"), CODE(2, 4));
        assert_int_equal(finish(b), CODE(2, 4));
        assert_string_equal(at(b, "/1/0/2"), "7");
        /* A full Register to the same server. */
        assert_string_equal(bed_request(b, 101)->path, "/rd");
        bed_answer(b, 101, CODE(2, 1), "/rd/9");
        assert_string_equal(client_state(b->client), "online");
}

static void test_trigger_without_bootstrap_server(void **state) {
        Bed *b = *state;

        bed_add(b, 101, "coap://a.example", 600);
        bed_start(b);
        bed_register(b, 101);
        assert_int_equal(bed_ask(b, 101, METHOD_POST, "/1/0/9", NULL), CODE(4, 5));
}

/* Until the retries are used up. */
static void fail_to_register(Bed *b, uint16_t ssid) {
        while (!strstr(b->log->str, "network-error")) {
                while (!bed_link(b, ssid))
                        bed_advance(b, SEC);
                bed_up(b, ssid);
                bed_answer(b, ssid, CODE(4, 3), NULL);
        }
}

static void test_failed_registration_falls_back(void **state) {
        Bed *b = *state;

        add_bootstrap(b, 0, 0);
        bed_add(b, 101, "coap://old.example", 600);
        bed_start(b);
        fail_to_register(b, 101);
        assert_non_null(bed_link(b, BS_SSID));
        assert_non_null(strstr(b->log->str, "network-error@101"));
        bed_up(b, BS_SSID);
        bed_answer(b, BS_SSID, CODE(2, 4), NULL);
        assert_int_equal(delete (b, "/0"), CODE(2, 2));
        assert_int_equal(delete (b, "/1"), CODE(2, 2));
        give_account(b);
        assert_int_equal(finish(b), CODE(2, 4));
        assert_string_equal(bed_link(b, 101)->uri, "coap://a.example");
        bed_register(b, 101);
}

static void test_1_x_16_forbids_the_fall_back(void **state) {
        Bed *b = *state;

        add_bootstrap(b, 0, 0);
        bed_add(b, 101, "coap://old.example", 600);
        bed_set(b, "/1/0/16", value_bool(false));
        bed_start(b);
        fail_to_register(b, 101);
        assert_non_null(strstr(b->log->str, "network-error@101"));
        assert_null(bed_link(b, BS_SSID));
}

/* The server comes back while the bootstrap server is silent: no bootstrap is needed any more. */
static void test_fall_back_is_dropped(void **state) {
        Bed *b = *state;

        add_bootstrap(b, 0, 0);
        bed_add(b, 101, "coap://old.example", 600);
        bed_start(b);
        fail_to_register(b, 101);
        assert_non_null(bed_link(b, BS_SSID));
        while (!bed_link(b, 101))
                bed_advance(b, 10 * SEC);
        bed_register(b, 101);
        assert_null(bed_link(b, BS_SSID));
        assert_string_equal(client_state(b->client), "online");
        bed_advance(b, 400 * SEC);
        assert_null(bed_link(b, BS_SSID));
}

static void test_last_server_removed(void **state) {
        Bed *b = *state;

        register_first(b);
        assert_int_equal(client_remove_account(b->client, 101, b->now), 0);
        bed_advance(b, 0);
        assert_non_null(bed_link(b, BS_SSID));
}

static void test_user_bootstraps(void **state) {
        Bed *b = *state;

        assert_int_equal(client_bootstrap(b->client, b->now), -ESHUTDOWN);
        register_first(b);
        assert_int_equal(client_bootstrap(b->client, b->now), 0);
        assert_int_equal(client_bootstrap(b->client, b->now), -EALREADY);
        bed_up(b, BS_SSID);
        bed_answer(b, BS_SSID, CODE(4, 0), NULL);
        /* An answer of the server to register with does not end what a user wants. */
        assert_int_equal(client_update(b->client, 101, b->now), 0);
        bed_advance(b, 0);
        bed_answer(b, 101, CODE(2, 4), NULL);
        bed_advance(b, 12 * SEC);
        assert_non_null(bed_link(b, BS_SSID));
}

static void test_start_with_bootstrap_first(void **state) {
        Bed *b = *state;

        assert_int_equal(client_start_bootstrap(b->client, NULL, b->now), -ENOENT);
        add_bootstrap(b, 60, 0);
        bed_add(b, 101, "coap://a.example", 600);
        assert_int_equal(client_start_bootstrap(b->client, NULL, b->now), 0);
        bed_advance(b, 0);
        assert_null(bed_link(b, 101)); /* waits */
        bed_up(b, BS_SSID);
        bed_answer(b, BS_SSID, CODE(2, 4), NULL);
        assert_int_equal(finish(b), CODE(2, 4));
        assert_non_null(bed_link(b, 101));
        bed_register(b, 101);
}

static void test_start_with_failing_bootstrap_first(void **state) {
        Bed *b = *state;

        add_bootstrap(b, 0, 0);
        bed_add(b, 101, "coap://a.example", 600);
        assert_int_equal(client_start_bootstrap(b->client, NULL, b->now), 0);
        bed_up(b, BS_SSID);
        bed_answer(b, BS_SSID, CODE(4, 0), NULL);
        assert_non_null(bed_link(b, 101)); /* better than nothing */
        bed_register(b, 101);
        bed_advance(b, 12 * SEC);
        assert_non_null(bed_link(b, BS_SSID)); /* and still wanted */
}

static void test_other_servers_do_not_bootstrap(void **state) {
        Request rq = { METHOD_POST, "/bs", NULL, -1, -1 };
        Bed *b = *state;

        register_first(b);
        assert_int_equal(client_bootstrap(b->client, b->now), 0);
        bed_up(b, BS_SSID);
        bed_answer(b, BS_SSID, CODE(2, 4), NULL);
        assert_int_equal(ask_link(b, bed_link(b, 101), &rq), CODE(4, 4));
        rq = (Request){ METHOD_PUT, "/0/5", SECURITY(101), FORMAT_SENML_JSON, -1 };
        assert_int_equal(ask_link(b, bed_link(b, 101), &rq), CODE(4, 1));
}

static void test_requests_before_the_session(void **state) {
        Bed *b = *state;

        add_bootstrap(b, 0, 0);
        bed_start(b);
        assert_int_equal(put(b, "/1/0", SERVER(101)), CODE(4, 1)); /* not connected yet */
        bed_up(b, BS_SSID);
        assert_int_equal(put(b, "/1/0", SERVER(101)), CODE(2, 4)); /* ahead of its 2.04 */
        bed_log(b, "+0 bootstrap-reg-complete@0");
        bed_answer(b, BS_SSID, CODE(2, 4), NULL);
        assert_int_equal(put(b, "/0/1", SECURITY(101)), CODE(2, 4));
        assert_int_equal(finish(b), CODE(2, 4));
}

static void test_stop_pause_resume(void **state) {
        Bed *b = *state;

        give_account(b);
        assert_int_equal(client_pause(b->client, b->now), 0);
        assert_null(bed_link(b, BS_SSID));
        assert_string_equal(client_state(b->client), "paused");
        bed_advance(b, 1000 * SEC);
        assert_null(bed_link(b, BS_SSID));
        assert_int_equal(client_resume(b->client, b->now), 0);
        assert_non_null(bed_link(b, BS_SSID));
        assert_int_equal(client_stop(b->client, false, NULL, NULL, b->now), 0);
        bed_advance(b, 0);
        assert_string_equal(client_state(b->client), "stopped");
        assert_null(bed_link(b, BS_SSID));
        assert_false(there(b, "/1/0"));
}

/* --- Bootstrap-Pack --- */

static int setup_pack(void **state) {
        Bed *b;

        setup_version(state, 2);
        b = *state;
        add_bootstrap(b, 0, 0);
        bed_create(b, "/3303/0");
        bed_create(b, "/3304/0");
        bed_start(b);
        bed_up(b, BS_SSID);
        assert_int_equal(bed_request(b, BS_SSID)->code, METHOD_GET);
        assert_string_equal(bed_request(b, BS_SSID)->path, "/bspack");
        assert_string_equal(bed_request(b, BS_SSID)->query, "ep=dev");
        assert_int_equal(bed_request(b, BS_SSID)->accept, FORMAT_SENML_CBOR);
        g_string_truncate(b->log, 0);
        return 0;
}

static void answer_pack(Bed *b, const char *json) {
        g_autoptr(GBytes) payload = g_bytes_new(json, strlen(json));
        Message m = MESSAGE_INIT(CODE(2, 5));

        m.format = FORMAT_SENML_JSON;
        m.payload = payload;
        fake_call_respond(fake_open_call(b->transport, 0), &m, b->now);
        bed_advance(b, 0);
}

static char *join_packs(const char *first, const char *second) {
        g_autofree char *head = g_strndup(first, strlen(first) - 1);

        return g_strconcat(head, ",", second + 1, NULL);
}

static void test_pack(void **state) {
        g_autofree char *accounts = join_packs(SECURITY(101), SERVER(101));
        g_autofree char *pack =
                join_packs(accounts, "[{\"bn\":\"/3303/5/\",\"n\":\"5700\",\"v\":3}]");
        Bed *b = *state;

        answer_pack(b, pack);
        bed_log(b, "bootstrap-reg-complete@0 bootstrap-transfer-complete@0 +101");
        assert_string_equal(at(b, "/1/0/0"), "101");
        assert_true(there(b, "/0/0"));
        assert_false(there(b, "/3303/0")); /* objects of the pack are replaced … */
        assert_true(there(b, "/3303/5"));
        assert_true(there(b, "/3304/0")); /* … and no others */
        bed_register(b, 101);
}

static void test_bad_pack_leads_to_a_request(void **state) {
        static const char *const packs[] = { "[{]", "[]", SERVER(101) };

        for (size_t i = 0; i < G_N_ELEMENTS(packs); i++) {
                void *bed;
                Bed *b;

                setup_pack(&bed);
                b = bed;
                answer_pack(b, packs[i]);
                assert_string_equal(bed_request(b, BS_SSID)->path, "/bs");
                assert_string_equal(bed_request(b, BS_SSID)->query, "ep=dev&pct=112");
                assert_false(there(b, "/1/0"));
                assert_true(there(b, "/3303/0"));
                bed_answer(b, BS_SSID, CODE(2, 4), NULL);
                give_account(b);
                assert_int_equal(finish(b), CODE(2, 4));
                teardown(&bed);
        }
}

static void test_no_pack_leads_to_a_request(void **state) {
        Bed *b = *state;

        bed_answer(b, BS_SSID, CODE(5, 1), NULL);
        assert_string_equal(bed_request(b, BS_SSID)->path, "/bs");
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
#define WITH_PACK(f) cmocka_unit_test_setup_teardown(f, setup_pack, teardown)
#define IN_SESSION(f) cmocka_unit_test_setup_teardown(f, setup_session, teardown)

int main(void) {
        const struct CMUnitTest tests[] = {
                T(test_first_bootstrap),
                cmocka_unit_test_setup_teardown(test_bootstrap_of_1_0, setup_1_0, teardown),
                T(test_hold_off),
                cmocka_unit_test_setup_teardown(test_unsolicited, setup_1_0, teardown),
                cmocka_unit_test_setup_teardown(test_unsolicited_that_does_not_come, setup_1_0,
                                                teardown),
                T(test_no_account_at_all),
                T(test_account_of_the_bootstrap_server),
                T(test_refused_and_tried_again),
                IN_SESSION(test_silent_session_is_forgotten),
                IN_SESSION(test_endless_session_ends),
                IN_SESSION(test_inconsistent_is_refused_and_put_right),
                cmocka_unit_test(test_what_is_inconsistent),
                IN_SESSION(test_oscore_account),
                IN_SESSION(test_nothing_is_inconsistent),
                IN_SESSION(test_full_disk_changes_nothing),
                IN_SESSION(test_write_levels_and_formats),
                IN_SESSION(test_keys_come_through_unchanged),
                IN_SESSION(test_unknown_resources_are_ignored),
                IN_SESSION(test_refused_writes),
                IN_SESSION(test_write_is_all_or_nothing),
                IN_SESSION(test_limits),
                IN_SESSION(test_limit_of_bytes),
                T(test_one_of_two),
                cmocka_unit_test_setup_teardown(test_one_of_two_1_0, setup_1_0, teardown),
                IN_SESSION(test_delete_spares),
                IN_SESSION(test_discover_oscore),
                IN_SESSION(test_delete_object_and_instance),
                IN_SESSION(test_delete_then_write),
                IN_SESSION(test_discover),
                IN_SESSION(test_read),
                T(test_account_is_purged),
                T(test_purge_counts_over_restarts),
                IN_SESSION(test_account_is_replaced),
                T(test_trigger),
                T(test_trigger_without_bootstrap_server),
                T(test_failed_registration_falls_back),
                T(test_1_x_16_forbids_the_fall_back),
                T(test_fall_back_is_dropped),
                T(test_last_server_removed),
                T(test_user_bootstraps),
                T(test_start_with_bootstrap_first),
                T(test_start_with_failing_bootstrap_first),
                T(test_other_servers_do_not_bootstrap),
                T(test_requests_before_the_session),
                IN_SESSION(test_stop_pause_resume),
                WITH_PACK(test_pack),
                cmocka_unit_test(test_bad_pack_leads_to_a_request),
                WITH_PACK(test_no_pack_leads_to_a_request),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
