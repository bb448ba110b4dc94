/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <glib/gstdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/seed.h"
#include "lwm2m/account/account.h"

typedef struct Device {
        Schema *schema;
        Tree *tree;
        GString *origins; /* of the commits: I internal, A application */
} Device;

static void on_commit(void *userdata, Origin origin, uint16_t ssid, const Change *changes,
                      size_t n) {
        Device *d = userdata;

        g_string_append_c(d->origins, "IAS"[origin]);
}

static int set_up(void **state) {
        Device *d = g_new0(Device, 1);

        d->schema = schema_new();
        schema_add_directory(d->schema, getenv("LWM2MD_OBJECTS"), NULL, NULL);
        d->tree = tree_new(d->schema);
        d->origins = g_string_new(NULL);
        *state = d;
        return 0;
}

static int tear_down(void **state) {
        Device *d = *state;

        tree_free(d->tree);
        schema_free(d->schema);
        g_string_free(d->origins, TRUE);
        g_free(d);
        return 0;
}

static Config *config(const char *values) {
        g_autofree char *folder = g_dir_make_tmp("lwm2md-seed-XXXXXX", NULL);
        g_autofree char *file = g_build_filename(folder, "lwm2md.conf", NULL);
        g_autofree char *text = g_strdup_printf("[Values]\n%s", values), *error = NULL;
        Config *c = NULL;

        assert_true(g_file_set_contents(file, text, -1, NULL));
        if (config_load(file, false, &c, &error) < 0)
                fail_msg("%s", error);
        g_remove(file);
        g_rmdir(folder);
        return c;
}

static void add_account(Device *d, uint16_t ssid) {
        ServerAccount account = { .uri = "coap://127.0.0.1", .ssid = ssid };
        g_autofree char *error = NULL;

        assert_int_equal(account_add(d->tree, &account, 500, &error), 0);
        tree_on_commit(d->tree, on_commit, d);
}

static void assert_value(const Device *d, Path p, const char *expected) {
        g_autofree char *text = NULL;
        const Value *v;

        if (tree_get(d->tree, &p, &v) == 0)
                text = value_format(v);
        if (g_strcmp0(text, expected) != 0)
                fail_msg("%s: %s instead of %s", PATH_TEXT(&p), text ? text : "nothing", expected);
}

static void test_absent_only(void **state) {
        Device *d = *state;
        g_autoptr(Config) c = config("/3/0/0=ACME\n/1/0/6=0\n/1/0/2=7\n/3303/2=\n");
        g_autofree char *error = NULL;

        add_account(d, 9);
        assert_int_equal(seed_apply(c, d->tree, &error), 0);
        assert_value(d, PATH_OIR(3, 0, 0), "ACME");
        assert_value(d, PATH_OIR(1, 0, 6), "1"); /* the account had it */
        assert_value(d, PATH_OIR(1, 0, 2), "7");
        assert_true(tree_exists(d->tree, &PATH_OI(3303, 2)));
        assert_string_equal(d->origins->str, "I");
}

static void test_accounts(void **state) {
        Device *d = *state;
        g_autoptr(Config) c = config("/3/0/0=ACME\n/1/0/6=0\n/1/0/0=5\n/1/1/2=7\n/1/0=\n");
        g_autofree char *error = NULL;

        add_account(d, 9);
        assert_int_equal(seed_accounts(c, d->tree, &error), 0);
        assert_value(d, PATH_OIR(1, 0, 6), "0");
        assert_value(d, PATH_OIR(1, 0, 0), "9"); /* whose account it is stays */
        /* All else is left to seed_apply(). */
        assert_false(tree_exists(d->tree, &PATH_OI(1, 1)));
        assert_false(tree_exists(d->tree, &PATH_OI(3, 0)));
        assert_string_equal(d->origins->str, "A");
}

static void test_refused(void **state) {
        static const char *const bad[] = { "/1/0/6=0\n/1/0/2=x\n", "/1/0/6=0\n/1/0/99=1\n",
                                           "/1/0/6=0\n/1/0/4=1\n" };
        Device *d = *state;

        add_account(d, 9);
        for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
                g_autoptr(Config) c = config(bad[i]);
                g_autofree char *error = NULL;

                assert_int_equal(seed_accounts(c, d->tree, &error), -EINVAL);
                assert_non_null(strstr(error, "lwm2md.conf:3: [Values] /1/0/"));
                assert_value(d, PATH_OIR(1, 0, 6), "1");
        }
        assert_string_equal(d->origins->str, "");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_absent_only, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_accounts, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_refused, set_up, tear_down),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
