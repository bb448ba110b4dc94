/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <glib/gstdio.h>

#include "daemon/endpoint.h"

static void put(const char *folder, const char *name, const char *file, const char *text) {
        g_autofree char *dir = g_build_filename(folder, name, NULL),
                        *path = g_build_filename(dir, file, NULL);

        assert_int_equal(g_mkdir_with_parents(dir, 0700), 0);
        assert_true(g_file_set_contents(path, text, -1, NULL));
}

static void interface(const char *folder, const char *name, const char *assigned, const char *type,
                      const char *address) {
        put(folder, name, "addr_assign_type", assigned);
        put(folder, name, "type", type);
        put(folder, name, "address", address);
}

static void test_names(void **state) {
        g_autofree char *folder = g_dir_make_tmp("lwm2md-net-XXXXXX", NULL);
        g_autofree char *id = g_build_filename(folder, "id", "machine", NULL);
        g_autofree char *name = NULL;
        const char *argv[] = { "rm", "-rf", folder, NULL };

        assert_int_equal(endpoint_default(folder, id, &name), -ENODEV);
        put(folder, "id", "machine", "0123456789abcdef0123456789abcdeX\n");
        assert_int_equal(endpoint_default(folder, id, &name), -ENODEV);
        put(folder, "id", "machine", "0123456789abcdef0123456789abcdef\n");
        assert_int_equal(endpoint_default(folder, id, &name), 0);
        assert_string_equal(name, "urn:uuid:01234567-89ab-cdef-0123-456789abcdef");
        g_clear_pointer(&name, g_free);

        interface(folder, "lo", "0\n", "772\n", "00:00:00:00:00:00\n");
        interface(folder, "docker0", "1\n", "1\n", "02:42:ac:11:00:02\n"); /* random */
        interface(folder, "zero", "0\n", "1\n", "00:00:00:00:00:00\n");
        assert_int_equal(endpoint_default(folder, id, &name), 0);
        assert_true(g_str_has_prefix(name, "urn:uuid:"));
        g_clear_pointer(&name, g_free);

        interface(folder, "eth1", "0\n", "1\n", "00:24:BE:80:4F:F2\n");
        interface(folder, "eth0", "0\n", "1\n", "00:24:BE:80:4F:F1\n");
        assert_int_equal(endpoint_default(folder, id, &name), 0);
        assert_string_equal(name, "urn:dev:mac:0024befffe804ff1");
        assert_true(g_spawn_sync(NULL, (char **) argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, NULL,
                                 NULL, NULL, NULL));
}

int main(void) {
        const struct CMUnitTest tests[] = { cmocka_unit_test(test_names) };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
