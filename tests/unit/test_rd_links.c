/* SPDX-License-Identifier: Apache-2.0 */
#include "client_fixture.h"

#include <stdlib.h>
#include <string.h>

#include "lwm2m/server/rd_links.h"

#define ROOT_1_0 "</>;rt=\"oma.lwm2m\";ct=11543"
#define ROOT_1_1 "</>;rt=\"oma.lwm2m\";ct=\"60 110 112 11542 11543\""
#define ROOT_1_2 "</>;rt=\"oma.lwm2m\";ct=\"60 110 112 11542 11543 11544\""

static const Version v1_0 = { 1, 0 }, v1_1 = { 1, 1 }, v1_2 = { 1, 2 };

typedef struct Device {
        Schema *schema;
        Tree *tree;
} Device;

static int set_up(void **state) {
        Device *d = g_new0(Device, 1);

        d->schema = schema_new();
        schema_add_directory(d->schema, getenv("LWM2MD_OBJECTS"), NULL, NULL);
        d->tree = tree_new(d->schema);
        *state = d;
        return 0;
}

static int tear_down(void **state) {
        Device *d = *state;

        tree_free(d->tree);
        schema_free(d->schema);
        g_free(d);
        return 0;
}

static void create(Device *d, uint16_t object, uint16_t instance, Version version) {
        tree_begin(d->tree, ORIGIN_INTERNAL, 0);
        assert_int_equal(tree_create(d->tree, object, instance, version), 0);
        assert_int_equal(tree_commit(d->tree), 0);
}

static void expect(Device *d, Version lwm2m, const char *expected) {
        g_autofree char *links = rd_links_format(d->tree, NULL, lwm2m);

        assert_string_equal(links, expected);
}

static void test_empty(void **state) {
        expect(*state, v1_0, ROOT_1_0);
        expect(*state, v1_1, ROOT_1_1);
        expect(*state, v1_2, ROOT_1_2);
}

static void test_hidden_objects(void **state) {
        create(*state, 0, 0, v1_1);
        create(*state, 0, 7, v1_1);
        create(*state, 21, 0, (Version){ 2, 0 });
        create(*state, 1, 0, v1_1);
        expect(*state, v1_1, ROOT_1_1 ",</1/0>");
}

/* What the server assumes anyway is not told; core objects differ by release. */
static void test_versions(void **state) {
        create(*state, 1, 3, v1_1);
        create(*state, 3, 0, v1_0);
        create(*state, 4, 0, (Version){ 1, 2 });
        create(*state, 5, 0, v1_1);
        create(*state, 3303, 0, v1_1);
        create(*state, 3303, 65534, v1_1);
        expect(*state, v1_0,
               ROOT_1_0 ",</1>;ver=1.1,</1/3>,</3/0>,</4>;ver=1.2,</4/0>,</5>;ver=1.1,</5/0>"
                        ",</3303>;ver=1.1,</3303/0>,</3303/65534>");
        expect(*state, v1_1,
               ROOT_1_1 ",</1/3>,</3>;ver=1.0,</3/0>,</4/0>,</5>;ver=1.1,</5/0>"
                        ",</3303>;ver=1.1,</3303/0>,</3303/65534>");
        expect(*state, v1_2,
               ROOT_1_2 ",</1>;ver=1.1,</1/3>,</3>;ver=1.0,</3/0>,</4>;ver=1.2,</4/0>,</5/0>"
                        ",</3303>;ver=1.1,</3303/0>,</3303/65534>");
}

static void test_order(void **state) {
        create(*state, 3311, 2, v1_0);
        create(*state, 3311, 10, v1_0);
        create(*state, 7, 0, v1_0);
        create(*state, 3311, 1, v1_0);
        expect(*state, v1_1, ROOT_1_1 ",</7/0>,</3311/1>,</3311/2>,</3311/10>");
}

/* Objects without instances that somebody offers to create, in the order of numbers. */
static void test_offered(void **state) {
        static const uint16_t ids[] = { 0, 3, 6, 16, 16, 3303, 3311, 31999 };
        g_autoptr(GArray) offered = g_array_new(FALSE, FALSE, sizeof(uint16_t));
        g_autofree char *links = NULL;
        Device *d = *state;

        g_array_append_vals(offered, ids, G_N_ELEMENTS(ids));
        create(d, 3, 0, v1_1);
        create(d, 3303, 2, v1_1);
        links = rd_links_format(d->tree, offered, v1_1);
        assert_string_equal(links, ROOT_1_1 ",</3/0>,</6>,</16>,</3303>;ver=1.1,</3303/2>,</3311>");
}

static void test_many(void **state) {
        Device *d = *state;
        g_autofree char *links = NULL;
        size_t n = 0;

        tree_begin(d->tree, ORIGIN_INTERNAL, 0);
        for (uint16_t i = 0; i < 20000; i++)
                assert_int_equal(tree_create(d->tree, 3311, i, v1_0), 0);
        assert_int_equal(tree_commit(d->tree), 0);
        links = rd_links_format(d->tree, NULL, v1_1);
        for (const char *p = links; (p = strstr(p, "</3311/")); p++)
                n++;
        assert_int_equal(n, 20000);
        assert_true(g_str_has_suffix(links, ",</3311/19999>"));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_empty, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_hidden_objects, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_versions, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_order, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_many, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_offered, set_up, tear_down),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
