/* SPDX-License-Identifier: Apache-2.0 */
#include "client_fixture.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lwm2m/account/account.h"
#include "lwm2m/account/credentials_file.h"
#include "lwm2m/account/oscore_keys.h"

typedef struct Device {
        Schema *schema;
        Tree *tree;
        GString *problems;
} Device;

static int set_up(void **state) {
        Device *d = g_new0(Device, 1);

        d->schema = schema_new();
        schema_add_directory(d->schema, getenv("LWM2MD_OBJECTS"), NULL, NULL);
        assert_int_equal(schema_prefer(d->schema, 1, (Version){ 1, 1 }), 0);
        d->tree = tree_new(d->schema);
        d->problems = g_string_new(NULL);
        *state = d;
        return 0;
}

static int tear_down(void **state) {
        Device *d = *state;

        tree_free(d->tree);
        schema_free(d->schema);
        g_string_free(d->problems, TRUE);
        g_free(d);
        return 0;
}

static void on_problem(void *userdata, const char *text) {
        g_string_append_printf(userdata, "%s\n", text);
}

static GPtrArray *load(Device *d, uint32_t max) {
        g_string_truncate(d->problems, 0);
        return accounts_load(d->tree, 777, max, on_problem, d->problems);
}

static int add(Device *d, uint16_t ssid, const char *uri) {
        ServerAccount account = { .uri = uri, .ssid = ssid };
        g_autofree char *error = NULL;
        int r = account_add(d->tree, &account, 500, &error);

        assert_true((r < 0) == (error != NULL));
        return r;
}

static void set(Device *d, Path p, Value v) {
        tree_begin(d->tree, ORIGIN_INTERNAL, 0);
        assert_int_equal(tree_set(d->tree, &p, &v), 0);
        assert_int_equal(tree_commit(d->tree), 0);
        value_clear(&v);
}

static void test_add_and_load(void **state) {
        Device *d = *state;
        g_autoptr(GPtrArray) accounts = NULL;
        const Account *a;
        const Value *v;

        assert_int_equal(add(d, 65534, "coap://one.example:1234"), 0);
        assert_int_equal(add(d, 1, "coap://[2001:db8::1]"), 0);
        accounts = load(d, 16);
        assert_string_equal(d->problems->str, "");
        assert_int_equal(accounts->len, 2);
        a = g_ptr_array_index(accounts, 0);
        assert_int_equal(a->ssid, 1);
        assert_int_equal(a->server_instance, 1);
        assert_string_equal(a->uri, "coap://[2001:db8::1]");
        assert_int_equal(a->credentials->mode, SECURITY_MODE_NOSEC);
        assert_int_equal(a->lifetime_sec, 500);
        assert_string_equal(a->binding, "U");
        /* defaults of TS Core 1.1.1, table 6.2.1.1-1 */
        assert_int_equal(a->disable_timeout_sec, 86400);
        assert_int_equal(a->initial_delay_sec, 0);
        assert_false(a->has_priority);
        assert_false(a->failure_block);
        assert_true(a->bootstrap_on_failure);
        assert_int_equal(a->retry.count, 5);
        assert_int_equal(a->retry.timer_sec, 60);
        assert_int_equal(a->retry.sequence_delay_sec, 86400);
        assert_int_equal(a->retry.sequence_count, 1);
        assert_false(a->mute_send); /* 1/x/23 is there: its absence would mute */
        a = g_ptr_array_index(accounts, 1);
        assert_int_equal(a->ssid, 65534);
        /* what a server may expect of a complete account */
        assert_int_equal(tree_get(d->tree, &PATH_OIR(0, 0, 5), &v), 0);
        assert_int_equal(v->length, 0);
        assert_int_equal(tree_get(d->tree, &PATH_OIR(0, 0, 1), &v), 0);
        assert_false(v->b);
        assert_int_equal(tree_get(d->tree, &PATH_OIR(1, 0, 6), &v), 0);
        assert_true(v->b);
}

static void test_resources_are_read(void **state) {
        static const uint16_t numbers[] = { 14, 17, 18, 19, 20 };
        Device *d = *state;
        g_autoptr(GPtrArray) accounts = NULL;
        const Account *a;

        assert_int_equal(add(d, 1, "coap://one.example"), 0);
        set(d, PATH_OIR(1, 0, 1), value_int(60));
        set(d, PATH_OIR(1, 0, 5), value_int(61));
        set(d, PATH_OIR(1, 0, 7), value_string("UQ"));
        set(d, PATH_OIR(1, 0, 13), value_uint(9));
        set(d, PATH_OIR(1, 0, 15), value_bool(true));
        set(d, PATH_OIR(1, 0, 16), value_bool(false));
        set(d, PATH_OIR(1, 0, 23), value_bool(true));
        for (size_t i = 0; i < G_N_ELEMENTS(numbers); i++)
                set(d, PATH_OIR(1, 0, numbers[i]), value_uint(numbers[i] * 10U));
        accounts = load(d, 16);
        a = g_ptr_array_index(accounts, 0);
        assert_int_equal(a->lifetime_sec, 60);
        assert_int_equal(a->disable_timeout_sec, 61);
        assert_string_equal(a->binding, "UQ");
        assert_true(a->has_priority);
        assert_int_equal(a->priority, 9);
        assert_int_equal(a->initial_delay_sec, 140);
        assert_true(a->failure_block);
        assert_false(a->bootstrap_on_failure);
        assert_int_equal(a->retry.count, 170);
        assert_int_equal(a->retry.timer_sec, 180);
        assert_int_equal(a->retry.sequence_delay_sec, 190);
        assert_int_equal(a->retry.sequence_count, 200);
        assert_true(a->mute_send);
        assert_true(account_is_muted(d->tree, 1));
        assert_true(account_is_muted(d->tree, 2)); /* who is not there gets nothing */
        g_ptr_array_unref(accounts);
        tree_begin(d->tree, ORIGIN_APP, 0);
        assert_int_equal(tree_delete(d->tree, &PATH_OIR(1, 0, 23)), 0);
        assert_int_equal(tree_commit(d->tree), 0);
        assert_true(account_is_muted(d->tree, 1));
        set(d, PATH_OIR(1, 0, 23), value_bool(false));
        assert_false(account_is_muted(d->tree, 1));

        set(d, PATH_OIR(1, 0, 19), value_uint(UINT64_MAX)); /* MAX_VALUE of a wider type */
        set(d, PATH_OIR(1, 0, 1), value_int(-5));
        accounts = load(d, 16);
        a = g_ptr_array_index(accounts, 0);
        assert_int_equal(a->lifetime_sec, 0);
        assert_true(a->retry.sequence_delay_sec == RETRY_NO_SEQUENCE);
}

static void make(Device *d, uint16_t object, uint16_t instance) {
        tree_begin(d->tree, ORIGIN_INTERNAL, 0);
        assert_int_equal(tree_create(d->tree, object, instance, (Version){ 0, 0 }), 0);
        assert_int_equal(tree_commit(d->tree), 0);
}

static void test_what_makes_no_account(void **state) {
        Device *d = *state;
        g_autoptr(GPtrArray) accounts = NULL;

        assert_int_equal(add(d, 1, "coap://one.example"), 0);
        make(d, 1, 3); /* no number */
        make(d, 1, 4);
        set(d, PATH_OIR(1, 4, 0), value_int(1)); /* twice */
        make(d, 1, 5);
        set(d, PATH_OIR(1, 5, 0), value_int(5)); /* a bootstrap server's number */
        make(d, 0, 5);
        set(d, PATH_OIR(0, 5, 1), value_bool(true));
        set(d, PATH_OIR(0, 5, 10), value_int(5));
        accounts = load(d, 16);
        assert_int_equal(accounts->len, 1);
        assert_string_equal(d->problems->str,
                            "/1/3: no Short Server ID, ignoring it\n"
                            "/1/4: Short Server ID 1 is there twice, ignoring it\n"
                            "/1/5: object 0 has no account with Short Server ID 5, ignoring it\n");
        g_ptr_array_unref(accounts);

        assert_int_equal(add(d, 2, "coap://two.example"), 0);
        accounts = load(d, 1);
        assert_int_equal(accounts->len, 1);
        assert_non_null(strstr(d->problems->str, "more than 1 servers"));
}

static void test_add_refuses(void **state) {
        ServerAccount bad_binding = { .uri = "coap://x", .ssid = 3, .binding = "S" };
        g_autofree char *error = NULL;
        Device *d = *state;

        assert_int_equal(add(d, 1, "coap://one.example"), 0);
        assert_int_equal(add(d, 1, "coap://two.example"), -EEXIST);
        assert_int_equal(add(d, 0, "coap://two.example"), -EINVAL);
        assert_int_equal(add(d, 65535, "coap://two.example"), -EINVAL);
        assert_int_equal(add(d, 2, "two.example"), -EINVAL);
        assert_int_equal(account_add(d->tree, &bad_binding, 500, &error), -EINVAL);
        assert_string_equal(error,
                            "Binding 'S': U, T or both expected, and Q behind them for queue mode");
        assert_int_equal(tree_n_instances(d->tree, -1), 2); /* nothing else was made */
}

static int refuse(void *userdata, Origin origin, uint16_t ssid, const Change *changes, size_t n) {
        return -ENOSPC;
}

static void test_full_disk(void **state) {
        Device *d = *state;

        assert_int_equal(add(d, 1, "coap://one.example"), 0);
        tree_on_prepare(d->tree, refuse, NULL);
        assert_int_equal(add(d, 2, "coap://two.example"), -ENOSPC);
        assert_int_equal(account_remove(d->tree, 1), -ENOSPC);
        assert_int_equal(tree_n_instances(d->tree, -1), 2);
}

static void test_remove(void **state) {
        Device *d = *state;

        assert_int_equal(add(d, 1, "coap://one.example"), 0);
        assert_int_equal(add(d, 2, "coap://two.example"), 0);
        assert_int_equal(account_remove(d->tree, 3), -ENOENT);
        assert_int_equal(account_remove(d->tree, 1), 0);
        assert_int_equal(account_remove(d->tree, 1), -ENOENT);
        assert_int_equal(tree_n_instances(d->tree, -1), 2);
        assert_true(tree_exists(d->tree, &PATH_OI(0, 1)));
        assert_int_equal(add(d, 1, "coap://one.example"), 0);
        make(d, 1, 9); /* half an account can be cleared away, too */
        set(d, PATH_OIR(1, 9, 0), value_int(9));
        assert_int_equal(account_remove(d->tree, 9), 0);
}

static void test_uris(void **state) {
        static const struct {
                const char *uri;
                int expected;
        } cases[] = {
                { "coap://a", 0 },
                { "COAP://A.b-c_d.example:1", 0 },
                { "coap://192.0.2.1:65535/", 0 },
                { "coap://[::1]:5683", 0 },
                { "coap://[::1]", 0 },
                { "coaps://a", 0 },
                { "COAPS://[::1]:5684/", 0 },
                { "coaps://", -EINVAL },
                { "coap+tcp://a", 0 },
                { "COAP+TCP://[::1]:5683/", 0 },
                { "coap+tcp://", -EINVAL },
                { "coap+tcp://a:0", -EINVAL },
                { "coap+ws://a", -EPROTONOSUPPORT },
                { "coaps+tcp://a", 0 },
                { "http://a", -EPROTONOSUPPORT },
                { "", -EINVAL },
                { "coap:", -EINVAL },
                { "coap://", -EINVAL },
                { "coap:///", -EINVAL },
                { "coap://:5683", -EINVAL },
                { "coap://a:", -EINVAL },
                { "coap://a:0", -EINVAL },
                { "coap://a:65536", -EINVAL },
                { "coap://a:1x", -EINVAL },
                { "coap://a b", -EINVAL },
                { "coap://a/path", -EINVAL },
                { "coap://user@a", -EINVAL },
                { "coap://[::1", -EINVAL },
                { "coap://[]", -EINVAL },
                { "coap://[::1]x", -EINVAL },
                { "coap://[zz]", -EINVAL },
                { "coap://[::1%eth0]", 0 },
                { "coap://::1", -EINVAL },
        };
        g_autofree char *endless = g_strnfill(URI_TEXT_MAX + 1, 'x');
        g_autofree char *why = NULL;

        for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
                g_autofree char *error = NULL;
                int r = account_check_uri(cases[i].uri, &error);

                if (r != cases[i].expected)
                        fail_msg("'%s' gave %d (%s)", cases[i].uri, r, error ? error : "");
                assert_true((r < 0) == (error != NULL));
        }
        memcpy(endless, "coap://", 7);
        assert_int_equal(account_check_uri(endless, &why), -EINVAL);
}

/* --- OSCORE --- */

static int build(const OscoreSpec *oscore, Credentials **ret, char **ret_why) {
        return credentials_build(&(CredentialsSpec){ .oscore = *oscore }, NULL, ret, ret_why);
}

static void test_oscore(void **state) {
        g_autoptr(GBytes) client = g_bytes_new("c", 1), server = g_bytes_new("s", 1),
                          secret = g_bytes_new("0123456789abcdef", 16);
        const OscoreSpec spec = { .sender_id = client,
                                  .recipient_id = server,
                                  .secret = secret,
                                  .salt = server,
                                  .aead = "A128GCM",
                                  .hkdf = "HKDF-SHA-512" };
        const Path keys = PATH_OI(OBJECT_OSCORE, 0);
        g_autoptr(Credentials) made = NULL, loaded = NULL, broken = NULL;
        ServerAccount account = { .uri = "coap://a", .ssid = 101 };
        g_autofree char *why = NULL;
        Device *d = *state;

        assert_int_equal(build(&spec, &made, &why), 0);
        assert_string_equal(credentials_name(made), "oscore");
        account.credentials = made;
        assert_int_equal(account_add(d->tree, &account, 500, &why), 0);
        assert_true(tree_exists(d->tree, &keys));
        loaded = credentials_load(d->tree, 0);
        assert_true(credentials_equal(loaded, made));
        assert_int_equal(loaded->oscore->aead, 1);
        assert_int_equal(loaded->oscore->hkdf, -11);
        assert_int_equal(account_check_security("coap://a", loaded, &why), 0);

        /* Broken keys are a broken account, and never one without protection. */
        set(d, PATH_OIR(OBJECT_SECURITY, 0, SECURITY_OSCORE),
            (Value){ .type = VALUE_OBJLNK, .link = { 21, 9 } });
        broken = credentials_load(d->tree, 0);
        assert_false(credentials_equal(broken, made));
        assert_int_equal(account_check_security("coap://a", broken, &why), -ENOKEY);
        assert_string_equal(why, "/0/0/17: there is no /21/9");
        set(d, PATH_OIR(OBJECT_SECURITY, 0, SECURITY_OSCORE),
            (Value){ .type = VALUE_OBJLNK, .link = { 21, 0 } });

        assert_int_equal(account_remove(d->tree, 101), 0);
        assert_false(tree_exists(d->tree, &keys));
}

/* Keys that an application provides do not take OSCORE from the account, whatever their mode. */
static void test_oscore_stays(void **state) {
        g_autoptr(GBytes) client = g_bytes_new("c", 1), server = g_bytes_new("s", 1),
                          secret = g_bytes_new("0123456789abcdef", 16);
        const CredentialsSpec account = {
                .mode = "psk",
                .identity = client,
                .key = secret,
                .oscore = { .sender_id = client, .recipient_id = server, .secret = secret }
        };
        const CredentialsSpec answers[] = {
                { .key = secret },
                { .mode = "rpk", .certificate = client, .key = secret, .server = server },
        };
        g_autoptr(Credentials) base = NULL;
        g_autofree char *why = NULL;

        assert_int_equal(credentials_build(&account, NULL, &base, &why), 0);
        for (size_t i = 0; i < G_N_ELEMENTS(answers); i++) {
                g_autoptr(Credentials) c = NULL;

                if (credentials_build_on(&answers[i], base, NULL, &c, &why) < 0)
                        fail_msg("%s", why);
                assert_true(c->oscore && oscore_keys_equal(c->oscore, base->oscore));
        }
}

static void test_bad_oscore(void **state) {
        g_autoptr(GBytes) client = g_bytes_new("c", 1), server = g_bytes_new("s", 1),
                          secret = g_bytes_new("0123456789abcdef", 16);
        const struct {
                OscoreSpec spec;
                int error;
        } cases[] = {
                { { .sender_id = client }, -ENOKEY },
                { { .sender_id = client, .recipient_id = server }, -ENOKEY },
                { { .recipient_id = server, .secret = secret }, -ENOKEY },
                { { .sender_id = client, .recipient_id = client, .secret = secret }, -EINVAL },
                { { .sender_id = secret, .recipient_id = server, .secret = secret }, -EINVAL },
                { { .sender_id = client, .recipient_id = server, .secret = secret, .aead = "x" },
                  -EINVAL },
                { { .sender_id = client, .recipient_id = server, .secret = secret, .hkdf = "x" },
                  -EINVAL },
                { { .hkdf = "HKDF-SHA-256" }, -ENOKEY },
        };

        for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
                g_autoptr(Credentials) c = NULL;
                g_autofree char *why = NULL;

                assert_int_equal(build(&cases[i].spec, &c, &why), cases[i].error);
                assert_null(c);
                assert_non_null(why);
                assert_null(strstr(why, "0123"));
        }
}

#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void) {
        const struct CMUnitTest tests[] = {
                T(test_add_and_load),
                T(test_resources_are_read),
                T(test_what_makes_no_account),
                T(test_add_refuses),
                T(test_full_disk),
                T(test_remove),
                T(test_uris),
                T(test_oscore),
                T(test_oscore_stays),
                T(test_bad_oscore),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
