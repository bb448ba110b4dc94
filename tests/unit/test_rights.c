/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>
#include <glib/gstdio.h>

#include "daemon/rights.h"
#include "lwm2m/app.h"

typedef struct Folder {
        char *path, *config;
} Folder;

static int setup(void **state) {
        Folder *f = g_new(Folder, 1);

        f->path = g_dir_make_tmp("lwm2md-rights-XXXXXX", NULL);
        assert_non_null(f->path);
        f->config = g_build_filename(f->path, "lwm2md.conf", NULL);
        *state = f;
        return 0;
}

static int teardown(void **state) {
        Folder *f = *state;
        const char *argv[] = { "rm", "-rf", f->path, NULL };

        g_spawn_sync(NULL, (char **) argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, NULL, NULL, NULL,
                     NULL);
        g_free(f->path);
        g_free(f->config);
        g_free(f);
        return 0;
}

static void put(const Folder *f, const char *name, const char *text) {
        g_autofree char *file = g_build_filename(f->path, name, NULL);
        g_autofree char *parent = g_path_get_dirname(file);

        assert_int_equal(g_mkdir_with_parents(parent, 0700), 0);
        assert_true(g_file_set_contents(file, text, -1, NULL));
}

static Grants *load(const Folder *f) {
        g_autoptr(GString) errors = g_string_new(NULL);
        Grants *g = rights_load(f->config, errors);

        assert_string_equal(errors->str, "");
        return g;
}

static bool may(const Grants *g, uid_t uid, Right right, const char *path) {
        const Subject who = { .uid = uid };
        GrantView v;
        Path p;
        bool r;

        assert_int_equal(path_parse(path, &p), 0);
        grants_view(g, &who, &v);
        r = grant_view_may(&v, right, &p);
        grant_view_clear(&v);
        return r;
}

static void test_nothing_there(void **state) {
        g_autoptr(Grants) g = load(*state);

        assert_true(may(g, 4001, RIGHT_SET, "/3303"));
}

static void test_good(void **state) {
        g_autoptr(Grants) g = NULL;
        const Path p = { .id = { 3303, 1 }, .n = 2 };
        const Folder *f = *state;

        put(f, "access.d/10-apps.conf",
            "# comment\n[sensord]\nuser=4001\npaths=/3303;/3304\nallow=get,set, push\n"
            "[others]\nuser=4002 4003\ngroup=0\npaths=/\nallow=get\n");
        put(f, "access.d/20.conf", "[admin]\nuser=root,4002\nallow=admin;events\n");
        put(f, "access.d/30.txt", "not read");
        put(f, "apps.d/a.conf",
            "[com.example.Sensors1]\npaths=/3303/1\n[com.example.x-y]\npaths=/5\n");
        g = load(f);
        assert_true(may(g, 4001, RIGHT_PUSH, "/3304/0"));
        assert_false(may(g, 4001, RIGHT_CREATE, "/3304/0"));
        assert_true(may(g, 4003, RIGHT_GET, "/"));
        assert_true(may(g, 4002, RIGHT_ADMIN, "/"));
        assert_true(grants_has_groups(g));
        assert_string_equal(grants_reserved(g, &p)->bus_name, "com.example.Sensors1");
}

static void test_activate(void **state) {
        const Path p = { .id = { 5, 0, 2 }, .n = 3 }, other = { .id = { 3303 }, .n = 1 };
        g_autoptr(Grants) g = NULL;
        const Folder *f = *state;
        const Reservation *r;

        put(f, "apps.d/a.conf",
            "[com.example.A]\npaths=/5\nactivate=yes\nhandler=/com/example/a\n"
            "handles=execute,read\ntimeout=2s\n"
            "[com.example.B]\npaths=/3303\nhandler=/b\nhandles=read\n");
        g = load(f);
        r = grants_reserved(g, &p);
        assert_string_equal(r->handler, "/com/example/a");
        assert_int_equal(r->operations, APP_EXECUTE | APP_READ);
        assert_int_equal(r->timeout_ms, 2000);
        assert_int_equal(grants_reserved(g, &other)->operations, 0); /* it is not to be started */

        put(f, "apps.d/a.conf",
            "[com.example.A]\npaths=/5\nactivate=yes\nhandler=/com/example/a\n");
        grants_unref(g);
        g = load(f);
        assert_int_equal(grants_reserved(g, &p)->operations, APP_EXECUTE | APP_WRITE | APP_CREATE);
}

static void note_credentials(void *userdata, const Reservation *r) {
        g_array_append_vals(userdata, r->credentials->data, r->credentials->len);
}

static void test_credentials(void **state) {
        const uint16_t wanted[] = { 101, 0, PROVIDER_OF_ALL };
        g_autoptr(GArray) found = g_array_new(FALSE, FALSE, sizeof(uint16_t));
        g_autoptr(Grants) g = NULL;
        const Folder *f = *state;

        put(f, "apps.d/a.conf",
            "[com.example.A]\ncredentials=101;bootstrap;all\nactivate=yes\nhandler=/a\n");
        g = load(f);
        grants_foreach_reservation(g, note_credentials, found);
        assert_int_equal(found->len, 3);
        assert_memory_equal(found->data, wanted, sizeof(wanted));
}

static void test_bad(void **state) {
        static const struct {
                const char *file, *text, *where, *what;
        } bad[] = {
                { "access.d/a.conf", "[a]\nuser=4001\npaths=/x\nallow=get\n",
                  "a.conf:3: ", "'/x' is not a path" },
                { "access.d/a.conf", "[a]\nuser=4001\npaths=/0\nallow=get\n",
                  "a.conf:3: ", "keys" },
                { "access.d/a.conf", "[a]\nuser=4001\npaths=/3\nallow=got\n",
                  "a.conf:4: ", "'got' is not get, set" },
                { "access.d/a.conf", "[a]\nuser=no-such-user\npaths=/3\nallow=get\n",
                  "a.conf:2: ", "no user 'no-such-user'" },
                { "access.d/a.conf", "[a]\ngroup=no-such-group\npaths=/3\nallow=get\n",
                  "a.conf:2: ", "no group" },
                { "access.d/a.conf", "[a]\nuser=\npaths=/3\nallow=get\n",
                  "a.conf:2: ", "says nothing" },
                { "access.d/a.conf", "\n[a]\npaths=/3\nallow=get\n",
                  "a.conf:2: ", "needs user or group" },
                { "access.d/a.conf", "[a]\nuser=4001\nallow=get\n", "a.conf:1: ", "needs paths" },
                { "access.d/a.conf", "[a]\nuser=4001\npaths=/3\n", "a.conf:1: ", "needs allow" },
                { "access.d/a.conf", "[a]\nuser=4001\npath=/3\nallow=get\n",
                  "a.conf:3: ", "unknown key (known: user, group, paths, allow)" },
                { "access.d/a.conf", "user=1\n", "a.conf", "" },
                { "access.d", "a file, not a folder", "access.d", "" },
                { "apps.d/a.conf", "[sensors]\npaths=/3\n", "a.conf:1: ", "not a bus name" },
                { "apps.d/a.conf", "[:1.5]\npaths=/3\n", "a.conf:1: ", "not a bus name" },
                { "apps.d/a.conf", "[a.1b]\npaths=/3\n", "a.conf:1: ", "not a bus name" },
                { "apps.d/a.conf", "[a.b]\n", "a.conf:1: ", "needs paths" },
                { "apps.d/a.conf", "[a.b]\npaths=/3\nactivate=yes\n",
                  "a.conf:1: ", "needs handler" },
                { "apps.d/a.conf", "[a.b]\npaths=/3\nactivate=yes\nhandler=x\n",
                  "a.conf:4: ", "not an object path" },
                { "apps.d/a.conf", "[a.b]\npaths=/3\nhandler=/x//y\n",
                  "a.conf:3: ", "not an object path" },
                { "apps.d/a.conf", "[a.b]\npaths=/3\nhandler=/x/\n",
                  "a.conf:3: ", "not an object path" },
                { "apps.d/a.conf", "[a.b]\npaths=/3\nactivate=maybe\n", "a.conf:3: ", "boolean" },
                { "apps.d/a.conf", "[a.b]\npaths=/3\nhandles=writes\n",
                  "a.conf:3: ", "not execute, read, write or create" },
                { "apps.d/a.conf", "[a.b]\npaths=/3\ntimeout=10min\n", "a.conf:3: ", "240s" },
                { "apps.d/a.conf", "[a.b]\npaths=/3\nclaims=1\n",
                  "a.conf:3: ", "unknown key (known: paths, credentials, activate" },
                { "apps.d/a.conf", "[a.b]\ncredentials=101\nhandler=/x\n",
                  "a.conf:1: ", "credentials need activate=yes" },
                { "apps.d/a.conf", "[a.b]\ncredentials=0\n",
                  "a.conf:2: ", "not a Short Server ID" },
                { "apps.d/a.conf", "[a.b]\ncredentials=65535\n", "a.conf:2: ", "bootstrap or all" },
                { "apps.d/a.conf", "[a.b]\nhandler=/x\n", "a.conf:1: ", "paths or credentials" },
                { "apps.d/a.conf", "[a.b]\npaths=/3\n[a.c]\npaths=/3/0\n",
                  "a.conf:4: ", "reserved for a.b already" },
        };
        const Folder *f = *state;

        for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
                g_autofree char *file = g_build_filename(f->path, bad[i].file, NULL);
                g_autoptr(GString) errors = g_string_new(NULL);
                g_autoptr(Grants) g = NULL;

                g_rmdir(file);
                put(f, bad[i].file, bad[i].text);
                g = rights_load(f->config, errors);
                if (!strstr(errors->str, bad[i].where) || !strstr(errors->str, bad[i].what))
                        fail_msg("case %zu: %s", i, errors->str);
                g_unlink(file);
                if (strchr(bad[i].file, '/')) {
                        g_autofree char *parent = g_path_get_dirname(file);

                        g_rmdir(parent);
                }
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_nothing_there, setup, teardown),
                cmocka_unit_test_setup_teardown(test_good, setup, teardown),
                cmocka_unit_test_setup_teardown(test_activate, setup, teardown),
                cmocka_unit_test_setup_teardown(test_credentials, setup, teardown),
                cmocka_unit_test_setup_teardown(test_bad, setup, teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
