/* SPDX-License-Identifier: Apache-2.0 */
/* What object 0 says of security, and the sessions kept beside it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lwm2m/account/account.h"
#include "lwm2m/account/cipher_suite.h"
#include "lwm2m/server/session.h"
#include "model/store.h"

#define HOUR_NS (INT64_C(3600) * 1000000000)

typedef struct Device {
        Schema *schema;
        Tree *tree;
        Store *store;
        char *folder;
} Device;

static void on_message(void *userdata, int level, const char *text) {
        fail_msg("%s", text);
}

static void open_store(Device *d) {
        store_close(d->store);
        if (d->tree)
                tree_free(d->tree);
        d->tree = tree_new(d->schema);
        assert_int_equal(store_open(&(StoreConfig){ .directory = d->folder }, d->tree, on_message,
                                    NULL, &d->store),
                         0);
}

static int set_up(void **state) {
        Device *d = g_new0(Device, 1);

        d->schema = schema_new();
        schema_add_directory(d->schema, getenv("LWM2MD_OBJECTS"), NULL, NULL);
        schema_set_release(d->schema, (Version){ 1, 1 });
        d->folder = g_dir_make_tmp("lwm2md-XXXXXX", NULL);
        open_store(d);
        *state = d;
        return 0;
}

static int tear_down(void **state) {
        Device *d = *state;
        g_autofree char *command = g_strdup_printf("rm -r '%s'", d->folder);

        store_close(d->store);
        tree_free(d->tree);
        schema_free(d->schema);
        assert_int_equal(system(command), 0); /* NOLINT: a folder of ours */
        g_free(d->folder);
        g_free(d);
        return 0;
}

static void set_bytes(GBytes **where, const char *text) {
        g_bytes_unref(*where);
        *where = credentials_bytes(text, strlen(text));
}

static Credentials *make(int64_t mode) {
        Credentials *c = credentials_new(mode);

        set_bytes(&c->identity, "identity");
        set_bytes(&c->peer, "peer");
        set_bytes(&c->secret, "secret");
        return c;
}

static void add(Device *d, uint16_t ssid, const char *uri, const Credentials *c) {
        ServerAccount account = { .uri = uri, .ssid = ssid, .credentials = c };
        g_autofree char *error = NULL;
        int r = account_add(d->tree, &account, 60, &error);

        if (r < 0)
                fail_msg("%s", error);
}

static void test_account_keeps_everything(void **state) {
        Device *d = *state;
        g_autoptr(Credentials) c = make(SECURITY_MODE_X509), read = NULL;
        g_autoptr(GPtrArray) accounts = NULL;

        c->sni = g_strdup("lwm2m.example");
        c->matching = MATCHING_SHA384;
        c->usage = USAGE_TRUST_ANCHOR;
        c->n_suites = 2;
        c->suites[0] = 0xc0ae;
        c->suites[1] = 0xc02b;
        add(d, 1, "coaps://host", c);
        open_store(d); /* from the disk */
        read = credentials_load(d->tree, 0);
        assert_true(credentials_equal(read, c));
        accounts = accounts_load(d->tree, 60, 16, NULL, NULL);
        assert_int_equal(accounts->len, 1);
        assert_true(
                credentials_equal(((Account *) g_ptr_array_index(accounts, 0))->credentials, c));
        c->suites[1] = 0xc0ac;
        assert_false(credentials_equal(read, c));
}

static void test_checks(void **state) {
        static const struct {
                int64_t mode;
                bool secure;
                const char *without; /* a letter each: identity, peer, secret */
                int error;
        } cases[] = {
                { SECURITY_MODE_NOSEC, false, "ips", 0 },
                { SECURITY_MODE_NOSEC, true, "", -EINVAL },
                { SECURITY_MODE_PSK, false, "", -EINVAL },
                { SECURITY_MODE_PSK, true, "p", 0 },
                { SECURITY_MODE_PSK, true, "i", -ENOKEY },
                { SECURITY_MODE_PSK, true, "s", -ENOKEY },
                { SECURITY_MODE_RPK, true, "i", 0 },
                { SECURITY_MODE_RPK, true, "p", -ENOKEY },
                { SECURITY_MODE_RPK, true, "s", -ENOKEY },
                { SECURITY_MODE_X509, true, "", 0 },
                { SECURITY_MODE_X509, true, "i", -ENOKEY },
                { SECURITY_MODE_X509, true, "p", -ENOKEY },
                { SECURITY_MODE_X509, true, "s", -ENOKEY },
                { SECURITY_MODE_EST, true, "", 0 },
                { SECURITY_MODE_EST, true, "ips", 0 },
                { SECURITY_MODE_EST, false, "", -EINVAL },
                { 17, true, "", -EINVAL },
        };

        for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
                g_autoptr(Credentials) c = make(cases[i].mode);
                g_autofree char *error = NULL;
                int r;

                if (strchr(cases[i].without, 'i'))
                        set_bytes(&c->identity, "");
                if (strchr(cases[i].without, 'p'))
                        set_bytes(&c->peer, "");
                if (strchr(cases[i].without, 's'))
                        set_bytes(&c->secret, "");
                r = credentials_check(c, cases[i].secure, &error);
                if (r != cases[i].error || (r < 0) != (error != NULL))
                        fail_msg("case %zu: %d (%s)", i, r, error ? error : "");
        }
}

static void test_check_of_numbers(void **state) {
        g_autoptr(Credentials) c = make(SECURITY_MODE_X509);
        char *error = NULL;

        c->usage = 4;
        assert_int_equal(credentials_check(c, true, &error), -EINVAL);
        g_free(error);
        c->usage = USAGE_TRUST_ANCHOR;
        c->matching = 4;
        assert_int_equal(credentials_check(c, true, &error), -EINVAL);
        g_free(error);
        c->matching = MATCHING_EXACT;
        c->n_suites = 1;
        c->suites[0] = 0xc0a8; /* of pre-shared keys */
        assert_int_equal(credentials_check(c, true, &error), -EINVAL);
        g_free(error);
}

static void test_refused_accounts(void **state) {
        Device *d = *state;
        g_autoptr(Credentials) c = make(SECURITY_MODE_PSK);
        ServerAccount account = { .uri = "coap://host", .ssid = 1, .credentials = c };
        char *error = NULL;

        assert_int_equal(account_add(d->tree, &account, 60, &error), -EINVAL);
        assert_null(strstr(error, "secret")); /* never in a message */
        g_free(error);
        account = (ServerAccount){ .uri = "coaps://host", .ssid = 1 };
        assert_int_equal(account_add(d->tree, &account, 60, &error), -EINVAL);
        g_free(error);
        assert_int_equal(tree_n_instances(d->tree, -1), 0);
}

static void test_unknown_suites_are_left_out(void **state) {
        Device *d = *state;
        g_autoptr(Credentials) c = make(SECURITY_MODE_PSK), read = NULL;
        static const uint64_t suites[] = { 0x1301, 0xc0a8, 0xffffffffffff, 0x00a8 };

        add(d, 1, "coaps://host", c);
        tree_begin(d->tree, ORIGIN_INTERNAL, 0);
        for (uint16_t i = 0; i < G_N_ELEMENTS(suites); i++) {
                Value v = { .type = VALUE_UNSIGNED, .u = suites[i] };

                assert_int_equal(tree_set(d->tree, &PATH_OIRI(0, 0, 16, i), &v), 0);
        }
        assert_int_equal(tree_commit(d->tree), 0);
        read = credentials_load(d->tree, 0);
        assert_int_equal(read->n_suites, 2);
        assert_int_equal(read->suites[0], 0xc0a8);
        assert_int_equal(read->suites[1], 0x00a8);
}

static void test_parse(void **state) {
        static const struct {
                const char *text, *bytes;
                size_t n;
                int error;
        } cases[] = {
                { "plain", "plain", 5, 0 },       { "", "", 0, 0 },
                { "hex:00fF", "\0\xff", 2, 0 },   { "base64:AAH/", "\0\1\xff", 3, 0 },
                { "hex:0", NULL, 0, -EINVAL },    { "hex:zz", NULL, 0, -EINVAL },
                { "base64:*", NULL, 0, -EINVAL }, { "hex", "hex", 3, 0 },
        };

        for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
                g_autoptr(GBytes) bytes = NULL;

                assert_int_equal(credentials_parse(cases[i].text, strlen(cases[i].text), &bytes),
                                 cases[i].error);
                if (cases[i].error < 0)
                        continue;
                assert_int_equal(g_bytes_get_size(bytes), cases[i].n);
                assert_memory_equal(g_bytes_get_data(bytes, NULL), cases[i].bytes, cases[i].n);
        }
}

static void test_suites(void **state) {
        const CipherSuite *a, *b;

        for (size_t i = 0; (a = cipher_suite_at(i)); i++) {
                assert_ptr_equal(cipher_suite_by_name(a->name), a);
                assert_ptr_equal(cipher_suite_by_number(a->number), a);
                for (size_t k = 0; k < i; k++) {
                        b = cipher_suite_at(k);
                        assert_int_not_equal(a->number, b->number);
                }
        }
        assert_null(cipher_suite_by_name("TLS_NULL_WITH_NULL_NULL"));
        assert_null(cipher_suite_by_number(0));
}

/* --- sessions --- */

static Account *account_of(Device *d) {
        g_autoptr(GPtrArray) accounts = accounts_load(d->tree, 60, 16, NULL, NULL);

        assert_int_equal(accounts->len, 1);
        return g_ptr_array_steal_index(accounts, 0);
}

static void agree(Session *s, const char *text, bool resumed, int64_t wall_ns) {
        g_autoptr(GBytes) session = text ? g_bytes_new(text, strlen(text)) : NULL;

        session_agreed(s,
                       &(LinkSecurity){ .cipher = "TLS_X", .resumed = resumed, .session = session },
                       wall_ns);
}

static void assert_session(Session *s, const char *text, int64_t wall_ns) {
        GBytes *session = session_to_resume(s, wall_ns);

        assert_true((session != NULL) == (text != NULL));
        if (text)
                assert_memory_equal(g_bytes_get_data(session, NULL), text, strlen(text));
}

static void test_session_outlives_the_daemon(void **state) {
        Device *d = *state;
        g_autoptr(Credentials) c = make(SECURITY_MODE_PSK);
        g_autoptr(Account) a = NULL;
        Session *s;

        add(d, 1, "coaps://host", c);
        a = account_of(d);
        s = session_new(d->store, a);
        assert_session(s, NULL, 0);
        assert_string_equal(session_cipher(s), "");
        agree(s, "one", false, HOUR_NS);
        assert_string_equal(session_cipher(s), "TLS_X");
        session_link_closed(s, 0);
        assert_string_equal(session_cipher(s), "");
        assert_session(s, "one", 2 * HOUR_NS);
        session_free(s);
        open_store(d);
        s = session_new(d->store, a);
        assert_session(s, "one", 1000 * HOUR_NS); /* with pre-shared keys, for long */
        session_free(s);
        /* Another key: another session. */
        set_bytes(&a->credentials->secret, "other");
        s = session_new(d->store, a);
        assert_session(s, NULL, 2 * HOUR_NS);
        session_free(s);
        set_bytes(&a->credentials->secret, "secret");
        s = session_new(d->store, a);
        assert_session(s, NULL, 2 * HOUR_NS); /* and the old one is gone */
        session_free(s);
}

static void test_session_is_dropped(void **state) {
        Device *d = *state;
        g_autoptr(Credentials) c = make(SECURITY_MODE_X509);
        g_autoptr(Account) a = NULL;
        Session *s;

        add(d, 1, "coaps://host", c);
        a = account_of(d);
        s = session_new(d->store, a);
        agree(s, "one", false, 100 * HOUR_NS);
        agree(s, "two", true, 123 * HOUR_NS);
        assert_session(s, "two", 124 * HOUR_NS);
        assert_session(s, NULL, 125 * HOUR_NS); /* a day after the certificates were looked at */
        agree(s, "three", false, 200 * HOUR_NS);
        assert_session(s, NULL, 199 * HOUR_NS); /* the clock went back */
        agree(s, "four", false, 200 * HOUR_NS);
        session_link_closed(s, -ETIMEDOUT);
        session_link_closed(s, -ETIMEDOUT);
        assert_session(s, "four", 200 * HOUR_NS);
        session_link_closed(s, -ETIMEDOUT);
        assert_session(s, NULL, 200 * HOUR_NS);
        agree(s, "five", false, 200 * HOUR_NS);
        session_link_closed(s, -EPROTO);
        assert_session(s, NULL, 200 * HOUR_NS);
        agree(s, "six", false, 200 * HOUR_NS);
        agree(s, NULL, false, 200 * HOUR_NS); /* the server keeps none */
        assert_session(s, NULL, 200 * HOUR_NS);
        agree(s, "seven", false, 200 * HOUR_NS);
        session_forget(s);
        agree(s, "eight", false, 200 * HOUR_NS); /* of a link on its way out */
        session_free(s);
        s = session_new(d->store, a);
        assert_session(s, NULL, 200 * HOUR_NS);
        session_free(s);
}

#define UNIT(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
        const struct CMUnitTest tests[] = {
                UNIT(test_account_keeps_everything),
                UNIT(test_checks),
                UNIT(test_check_of_numbers),
                UNIT(test_refused_accounts),
                UNIT(test_unknown_suites_are_left_out),
                UNIT(test_parse),
                UNIT(test_suites),
                UNIT(test_session_outlives_the_daemon),
                UNIT(test_session_is_dropped),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
