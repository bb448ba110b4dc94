/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <malloc.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model/tree.h"

#define R(id, multiple, type, range)                                                               \
        "<Item ID=\"" id                                                                           \
        "\"><Name>R</Name><Operations>RW</Operations><MultipleInstances>" multiple                 \
        "</MultipleInstances><Mandatory>Optional</Mandatory><Type>" type                           \
        "</Type><RangeEnumeration>" range "</RangeEnumeration></Item>"

/* Resource n of object 1 has ValueType n + 1; 10 and up are special. Object 2 is single. */
static const char xml[] =
        "<LWM2M><Object><Name>A</Name><ObjectID>1</ObjectID><MultipleInstances>Multiple</"
        "MultipleInstances>"
        "<Mandatory>Optional</Mandatory><Resources>" R("0", "Single", "String", "") R(
                "1", "Single", "Integer", "") R("2", "Single", "Unsigned Integer",
                                                "") R("3", "Single", "Float",
                                                      "") R("4", "Single", "Boolean",
                                                            "") R("5", "Single", "Opaque", "")
                R("6", "Single", "Time", "") R("7", "Single", "Objlnk", "") R(
                        "8", "Single", "Corelnk", "") R("10", "Multiple", "Integer", "0..1000000")
                        R("11", "Single", "Integer",
                          "0..100") "<Item "
                                    "ID=\"12\"><Name>E</Name><Operations>E</"
                                    "Operations><MultipleInstances>Single</MultipleInstances>"
                                    "<Mandatory>Optional</Mandatory><Type/></Item></Resources></"
                                    "Object>"
                                    "<Object><Name>B</Name><ObjectID>2</"
                                    "ObjectID><MultipleInstances>Single</MultipleInstances>"
                                    "<Mandatory>Optional</Mandatory><Resources>" R(
                                            "0", "Single", "Integer",
                                            "") "</Resources></Object></LWM2M>";

typedef struct Fixture {
        Schema *schema;
        Tree *tree;
} Fixture;

static int setup(void **state) {
        Fixture *f = g_new0(Fixture, 1);
        char *error = NULL;

        f->schema = schema_new();
        assert_int_equal(schema_add_xml(f->schema, "x", xml, strlen(xml), NULL, &error), 0);
        f->tree = tree_new(f->schema);
        tree_begin(f->tree, ORIGIN_INTERNAL, 0);
        *state = f;
        return 0;
}

static int teardown(void **state) {
        Fixture *f = *state;

        tree_free(f->tree); /* mostly with an open transaction */
        schema_free(f->schema);
        g_free(f);
        return 0;
}

static Value integer(int64_t i) {
        return (Value){ .type = VALUE_INTEGER, .i = i };
}

static int set_integer(Tree *t, Path p, int64_t i) {
        return tree_set(t, &p, &(Value){ .type = VALUE_INTEGER, .i = i });
}

static int64_t get_integer(const Tree *t, Path p) {
        const Value *v;

        assert_int_equal(tree_get(t, &p, &v), 0);
        assert_int_equal(v->type, VALUE_INTEGER);
        return v->i;
}

static void test_create(void **state) {
        Tree *t = ((Fixture *) *state)->tree;
        const Version any = { 0, 0 };

        assert_int_equal(tree_create(t, 9, 0, any), -ENOENT);
        assert_int_equal(tree_create(t, 1, 0, (Version){ 1, 1 }), -ENOENT);
        assert_int_equal(tree_create(t, 1, 65535, any), -EINVAL);
        assert_int_equal(tree_create(t, 1, 65534, any), 0);
        assert_int_equal(tree_create(t, 1, 65534, (Version){ 1, 0 }), -EEXIST);
        assert_int_equal(tree_create(t, 2, 1, any), -EPERM);
        assert_int_equal(tree_create(t, 2, 0, any), 0);
        assert_int_equal(tree_create(t, 2, 0, any), -EEXIST);
        assert_int_equal(tree_n_instances(t, -1), 2);
        assert_int_equal(tree_n_instances(t, 1), 1);
        assert_int_equal(tree_n_instances(t, 9), 0);
        tree_set_limits(t, 2, 0);
        assert_int_equal(tree_create(t, 1, 0, any), -EDQUOT);
        tree_set_limits(t, 3, 0);
        assert_int_equal(tree_create(t, 1, 0, any), 0);
}

static void test_free_id(void **state) {
        Tree *t = ((Fixture *) *state)->tree;
        uint16_t id;

        for (unsigned i = 0; i < 600; i++) {
                assert_int_equal(tree_free_instance_id(t, 1, &id), 0);
                assert_int_equal(id, i);
                assert_int_equal(tree_create(t, 1, id, (Version){ 0, 0 }), 0);
        }
        assert_int_equal(tree_delete(t, &PATH_OI(1, 300)), 0);
        assert_int_equal(tree_free_instance_id(t, 1, &id), 0);
        assert_int_equal(id, 300);
        for (unsigned i = 0; i < 65535; i++)
                tree_create(t, 1, (uint16_t) i, (Version){ 0, 0 });
        assert_int_equal(tree_n_instances(t, 1), 65535);
        assert_int_equal(tree_free_instance_id(t, 1, &id), -ENOSPC);
        assert_int_equal(tree_free_instance_id(t, 2, &id), 0);
        assert_int_equal(tree_create(t, 2, id, (Version){ 0, 0 }), 0);
        assert_int_equal(tree_free_instance_id(t, 2, &id), -ENOSPC);
}

static void test_set_errors(void **state) {
        Tree *t = ((Fixture *) *state)->tree;
        g_auto(Value) text = value_string("5"), bad = value_text(VALUE_STRING, "\xff", 1);
        Value v = integer(5);

        assert_int_equal(tree_set(t, &PATH_OIR(1, 0, 1), &v), -ENOENT);
        assert_int_equal(tree_create(t, 1, 0, (Version){ 0, 0 }), 0);
        assert_int_equal(tree_set(t, &PATH_OIR(1, 0, 99), &v), -ENOENT);
        assert_int_equal(tree_set(t, &PATH_OIR(1, 1, 1), &v), -ENOENT);
        assert_int_equal(tree_set(t, &PATH_ROOT, &v), -EISDIR);
        assert_int_equal(tree_set(t, &PATH_O(1), &v), -EISDIR);
        assert_int_equal(tree_set(t, &PATH_OI(1, 0), &v), -EISDIR);
        assert_int_equal(tree_set(t, &PATH_OIR(1, 0, 10), &v), -EISDIR);
        assert_int_equal(tree_set(t, &PATH_OIRI(1, 0, 1, 0), &v), -ENOTDIR);
        assert_int_equal(tree_set(t, &PATH_OIRI(1, 0, 10, 65535), &v), -EINVAL);
        assert_int_equal(tree_set(t, &PATH_OIR(1, 0, 12), &v), -EPERM);
        assert_int_equal(tree_set(t, &PATH_OIR(1, 0, 1), &text), -EINVAL);
        assert_int_equal(tree_set(t, &PATH_OIR(1, 0, 0), &v), -EINVAL);
        assert_int_equal(tree_set(t, &PATH_OIR(1, 0, 0), &bad), -EINVAL);
        assert_int_equal(tree_set(t, &PATH_OIR(1, 0, 1), &VALUE_INIT), -EINVAL);
        assert_int_equal(set_integer(t, PATH_OIR(1, 0, 11), 101), -ERANGE);
        assert_int_equal(set_integer(t, PATH_OIR(1, 0, 2), -1), -ERANGE);
        assert_int_equal(set_integer(t, PATH_OIRI(1, 0, 10, 0), -1), -ERANGE);
        assert_false(
                tree_exists(t, &PATH_OIR(1, 0, 10))); /* the failed one left no empty resource */
        assert_int_equal(tree_delete(t, &PATH_OIR(1, 0, 1)), -ENOENT);
        assert_int_equal(tree_delete(t, &PATH_OIRI(1, 0, 10, 0)), -ENOENT);
        assert_int_equal(tree_delete(t, &PATH_OI(1, 1)), -ENOENT);
        assert_int_equal(tree_delete(t, &PATH_O(1)), -EISDIR);
        assert_int_equal(tree_clear_resource(t, &PATH_OIR(1, 0, 1)), -ENOTDIR);
        assert_int_equal(tree_clear_resource(t, &PATH_OIR(1, 0, 12)), -EPERM);
        assert_int_equal(tree_clear_resource(t, &PATH_OIR(1, 0, 99)), -ENOENT);
        assert_int_equal(tree_clear_resource(t, &PATH_OI(1, 0)), -EISDIR);
        assert_int_equal(tree_clear_resource(t, &PATH_OIRI(1, 0, 10, 0)), -ENOTDIR);
}

static void test_types(void **state) {
        Tree *t = ((Fixture *) *state)->tree;
        g_auto(Value) string = value_string("täxt"), opaque = value_text(VALUE_OPAQUE, "\0\xff", 2),
                      core = value_text(VALUE_CORELNK, "</1>", 4);
        const Value values[] = {
                string,
                integer(INT64_MIN),
                { .type = VALUE_UNSIGNED, .u = UINT64_MAX },
                { .type = VALUE_FLOAT, .d = -0.1 },
                { .type = VALUE_BOOLEAN, .b = true },
                opaque,
                { .type = VALUE_TIME, .i = -1 },
                { .type = VALUE_OBJLNK, .link = { 65535, 65535 } },
                core,
        };

        assert_int_equal(tree_create(t, 1, 0, (Version){ 0, 0 }), 0);
        for (uint16_t i = 0; i < G_N_ELEMENTS(values); i++) {
                const Value *v;

                assert_int_equal(tree_set(t, &PATH_OIR(1, 0, i), &values[i]), 0);
                assert_int_equal(tree_get(t, &PATH_OIR(1, 0, i), &v), 0);
                assert_true(value_equal(v, &values[i]));
                assert_ptr_not_equal(v, &values[i]);
        }
}

static void test_exact_conversions(void **state) {
        Tree *t = ((Fixture *) *state)->tree;
        const Value half = { .type = VALUE_FLOAT, .d = 0.5 }, two = { .type = VALUE_FLOAT, .d = 2 };
        const Value *v;

        assert_int_equal(tree_create(t, 1, 0, (Version){ 0, 0 }), 0);
        assert_int_equal(tree_set(t, &PATH_OIR(1, 0, 1), &two), 0);
        assert_int_equal(get_integer(t, PATH_OIR(1, 0, 1)), 2);
        assert_int_equal(tree_set(t, &PATH_OIR(1, 0, 1), &half), -ERANGE);
        assert_int_equal(get_integer(t, PATH_OIR(1, 0, 1)), 2);
        assert_int_equal(set_integer(t, PATH_OIR(1, 0, 3), 7), 0);
        assert_int_equal(tree_get(t, &PATH_OIR(1, 0, 3), &v), 0);
        assert_true(v->type == VALUE_FLOAT && v->d == 7);
        assert_int_equal(set_integer(t, PATH_OIR(1, 0, 3), (INT64_C(1) << 53) + 1), -ERANGE);
        assert_int_equal(set_integer(t, PATH_OIR(1, 0, 6), 1), 0);
}

static void test_get(void **state) {
        Tree *t = ((Fixture *) *state)->tree;
        const Value *v = NULL;

        assert_true(tree_exists(t, &PATH_ROOT));
        assert_false(tree_exists(t, &PATH_O(1)));
        assert_int_equal(tree_get(t, &PATH_O(1), &v), -ENOENT);
        assert_int_equal(tree_create(t, 1, 0, (Version){ 0, 0 }), 0);
        assert_true(tree_exists(t, &PATH_O(1)));
        assert_int_equal(tree_get(t, &PATH_ROOT, &v), -EISDIR);
        assert_int_equal(tree_get(t, &PATH_O(1), &v), -EISDIR);
        assert_int_equal(tree_get(t, &PATH_OI(1, 0), &v), -EISDIR);
        assert_int_equal(tree_get(t, &PATH_OI(1, 1), &v), -ENOENT);
        assert_int_equal(tree_get(t, &PATH_OIR(1, 0, 10), &v), -ENOENT);
        assert_int_equal(set_integer(t, PATH_OIRI(1, 0, 10, 5), 1), 0);
        assert_int_equal(set_integer(t, PATH_OIR(1, 0, 1), 2), 0);
        assert_int_equal(tree_get(t, &PATH_OIR(1, 0, 10), &v), -EISDIR);
        assert_int_equal(tree_get(t, &PATH_OIRI(1, 0, 10, 4), &v), -ENOENT);
        assert_int_equal(tree_get(t, &PATH_OIRI(1, 0, 1, 0), &v), -ENOENT);
        assert_false(tree_exists(t, &PATH_OIRI(1, 0, 1, 0)));
        assert_null(v);
        assert_int_equal(get_integer(t, PATH_OIRI(1, 0, 10, 5)), 1);
        assert_int_equal(tree_resource_def(t, &PATH_OIRI(1, 0, 10, 5))->id, 10);
        assert_null(tree_resource_def(t, &PATH_OI(1, 0)));
        assert_null(tree_resource_def(t, &PATH_OIR(1, 0, 99)));
        assert_non_null(tree_resource_def(t, &PATH_OIR(1, 77, 1)));
}

static void test_multiple(void **state) {
        Tree *t = ((Fixture *) *state)->tree;

        assert_int_equal(tree_create(t, 1, 0, (Version){ 0, 0 }), 0);
        assert_int_equal(tree_clear_resource(t, &PATH_OIR(1, 0, 10)), 0);
        assert_true(tree_exists(t, &PATH_OIR(1, 0, 10)));
        assert_int_equal(set_integer(t, PATH_OIRI(1, 0, 10, 7), 7), 0);
        assert_int_equal(set_integer(t, PATH_OIRI(1, 0, 10, 3), 3), 0);
        assert_int_equal(tree_delete(t, &PATH_OIRI(1, 0, 10, 7)), 0);
        assert_int_equal(tree_delete(t, &PATH_OIRI(1, 0, 10, 3)), 0);
        assert_true(tree_exists(t, &PATH_OIR(1, 0, 10))); /* empty, still there */
        assert_int_equal(set_integer(t, PATH_OIRI(1, 0, 10, 1), 1), 0);
        assert_int_equal(tree_clear_resource(t, &PATH_OIR(1, 0, 10)), 0);
        assert_false(tree_exists(t, &PATH_OIRI(1, 0, 10, 1)));
        for (unsigned i = 0; i < TREE_RESOURCE_INSTANCES_MAX; i++)
                assert_int_equal(set_integer(t, PATH_OIRI(1, 0, 10, i), i), 0);
        assert_int_equal(set_integer(t, PATH_OIRI(1, 0, 10, 60000), 1), -EDQUOT);
        assert_int_equal(set_integer(t, PATH_OIRI(1, 0, 10, 5), 1), 0);
}

static void test_bytes_limit(void **state) {
        Tree *t = ((Fixture *) *state)->tree;
        g_auto(Value) ten = value_string("0123456789"), six = value_string("012345"),
                      none = value_string("");

        tree_set_limits(t, 0, 2 * 24 + 16);
        assert_int_equal(tree_create(t, 1, 0, (Version){ 0, 0 }), 0);
        assert_int_equal(tree_create(t, 1, 1, (Version){ 0, 0 }), 0);
        assert_int_equal(tree_set(t, &PATH_OIR(1, 0, 0), &ten), 0);
        assert_int_equal(tree_set(t, &PATH_OIR(1, 1, 0), &ten), -EDQUOT);
        assert_int_equal(tree_set(t, &PATH_OIR(1, 1, 0), &six), 0);
        assert_int_equal(tree_set(t, &PATH_OIR(1, 1, 8), &none), -EDQUOT);
        assert_int_equal(tree_set(t, &PATH_OIR(1, 0, 0), &ten), 0); /* replaces its like */
        assert_int_equal(set_integer(t, PATH_OIR(1, 0, 1), 1), -EDQUOT);
        assert_int_equal(set_integer(t, PATH_OIRI(1, 0, 10, 1), 1), -EDQUOT);
        tree_set_limits(t, 0, 16); /* a smaller limit does not stop what is there */
        assert_int_equal(tree_set(t, &PATH_OIR(1, 0, 0), &ten), 0);
        assert_int_equal(tree_set(t, &PATH_OIR(1, 0, 0), &six), 0);
        tree_set_limits(t, 0, 2 * 24 + 16);
        assert_int_equal(tree_delete(t, &PATH_OI(1, 0)), 0);
        assert_int_equal(tree_set(t, &PATH_OIR(1, 1, 0), &ten), 0);
        tree_abort(t);
        tree_begin(t, ORIGIN_APP, 0);
        assert_int_equal(tree_create(t, 1, 0, (Version){ 0, 0 }), 0);
        assert_int_equal(tree_set(t, &PATH_OIR(1, 0, 0), &ten), 0); /* nothing counted is left */
        assert_int_equal(tree_set(t, &PATH_OIR(1, 0, 8), &six), 0);
}

static int print_node(void *userdata, const Path *p, const Value *v, const ResourceDef *def) {
        g_string_append_printf(userdata, "%s%s ", PATH_TEXT(p), v ? "=" : "");
        assert_true((p->n == 2) == (def == NULL));
        if (def)
                assert_int_equal(def->id, p->id[2]);
        return g_str_has_suffix(((GString *) userdata)->str, "/1/7/10/2= ") ? 42 : 0;
}

static void assert_walk(const Tree *t, Path prefix, const char *expected, int result) {
        g_autoptr(GString) text = g_string_new(NULL);

        assert_int_equal(tree_walk(t, &prefix, print_node, text), result);
        assert_string_equal(text->str, expected);
}

static void test_walk(void **state) {
        Tree *t = ((Fixture *) *state)->tree;

        assert_walk(t, PATH_ROOT, "", 0);
        assert_int_equal(tree_create(t, 2, 0, (Version){ 0, 0 }), 0);
        assert_int_equal(tree_create(t, 1, 300, (Version){ 0, 0 }), 0);
        assert_int_equal(tree_create(t, 1, 5, (Version){ 0, 0 }), 0);
        assert_int_equal(set_integer(t, PATH_OIRI(1, 5, 10, 9), 1), 0);
        assert_int_equal(set_integer(t, PATH_OIRI(1, 5, 10, 0), 1), 0);
        assert_int_equal(set_integer(t, PATH_OIR(1, 5, 11), 1), 0);
        assert_int_equal(set_integer(t, PATH_OIR(1, 5, 1), 1), 0);
        assert_int_equal(tree_clear_resource(t, &PATH_OIR(1, 300, 10)), 0);
        assert_walk(t, PATH_ROOT,
                    "/1/5 /1/5/1= /1/5/10 /1/5/10/0= /1/5/10/9= /1/5/11= /1/300 /1/300/10 /2/0 ",
                    0);
        assert_walk(t, PATH_O(1),
                    "/1/5 /1/5/1= /1/5/10 /1/5/10/0= /1/5/10/9= /1/5/11= /1/300 /1/300/10 ", 0);
        assert_walk(t, PATH_OI(1, 300), "/1/300 /1/300/10 ", 0);
        assert_walk(t, PATH_OIR(1, 5, 10), "/1/5/10 /1/5/10/0= /1/5/10/9= ", 0);
        assert_walk(t, PATH_OIR(1, 5, 11), "/1/5/11= ", 0);
        assert_walk(t, PATH_OIRI(1, 5, 10, 9), "/1/5/10/9= ", 0);
        assert_walk(t, PATH_OIRI(1, 5, 10, 8), "", 0);
        assert_walk(t, PATH_OIRI(1, 5, 11, 0), "", 0);
        assert_walk(t, PATH_OI(1, 6), "", 0);
        assert_walk(t, PATH_O(3), "", 0);
        assert_int_equal(tree_create(t, 1, 7, (Version){ 0, 0 }), 0);
        assert_int_equal(set_integer(t, PATH_OIRI(1, 7, 10, 2), 1), 0);
        assert_int_equal(set_integer(t, PATH_OIRI(1, 7, 10, 3), 1), 0);
        assert_walk(
                t, PATH_ROOT,
                "/1/5 /1/5/1= /1/5/10 /1/5/10/0= /1/5/10/9= /1/5/11= /1/7 /1/7/10 /1/7/10/2= ", 42);
}

static void test_next(void **state) {
        Tree *t = ((Fixture *) *state)->tree;
        Path p = PATH_ROOT;

        assert_int_equal(tree_next_instance(t, &p, &p), -ENOENT);
        assert_int_equal(tree_create(t, 1, 0, (Version){ 0, 0 }), 0);
        assert_int_equal(tree_create(t, 1, 65534, (Version){ 0, 0 }), 0);
        assert_int_equal(tree_create(t, 2, 0, (Version){ 0, 0 }), 0);
        assert_int_equal(tree_next_instance(t, &p, &p), 0);
        assert_true(path_equal(&p, &PATH_OI(1, 0)));
        assert_int_equal(tree_next_instance(t, &p, &p), 0);
        assert_true(path_equal(&p, &PATH_OI(1, 65534)));
        assert_int_equal(tree_next_instance(t, &p, &p), 0);
        assert_true(path_equal(&p, &PATH_OI(2, 0)));
        assert_int_equal(tree_next_instance(t, &p, &p), -ENOENT);
        assert_int_equal(tree_next_instance(t, &PATH_O(2), &p), 0);
        assert_true(path_equal(&p, &PATH_OI(2, 0)));
        assert_int_equal(tree_next_instance(t, &PATH_OI(1, 12), &p), 0);
        assert_true(path_equal(&p, &PATH_OI(1, 65534)));
        assert_int_equal(tree_next_instance(t, &PATH_OI(65534, 65534), &p), -ENOENT);
}

/* What an instance with three numbers costs on the heap, many and few. */
static void test_compact(void **state) {
        Tree *t = ((Fixture *) *state)->tree;
        const int n = 60000;
        struct mallinfo2 before, after;
        size_t used;

        tree_abort(t);
        before = mallinfo2();
        for (int i = 0; i < n; i++) {
                tree_begin(t, ORIGIN_APP, 0);
                assert_int_equal(tree_create(t, 1, (uint16_t) i, (Version){ 0, 0 }), 0);
                for (uint16_t r = 1; r < 4; r++)
                        assert_int_equal(set_integer(t, PATH_OIR(1, i, r), i), 0);
                assert_int_equal(tree_commit(t), 0);
        }
        after = mallinfo2();
        used = after.uordblks + after.hblkhd - before.uordblks - before.hblkhd;
        print_message("%zu bytes an instance\n", used / (size_t) n);
        assert_true(used <= 200 * (size_t) n); /* 0 where a sanitizer has its own heap */
        for (int i = 0; i < n; i++)
                assert_int_equal(get_integer(t, PATH_OIR(1, i, 1)), i);
        tree_begin(t, ORIGIN_APP, 0);
}

static void test_format_schema(void **state) {
        Tree *t = ((Fixture *) *state)->tree;
        FormatSchema f = tree_format_schema(t);

        assert_int_equal(f.type(f.userdata, &PATH_OIR(1, 0, 3)), VALUE_FLOAT);
        assert_int_equal(f.type(f.userdata, &PATH_OIRI(1, 0, 10, 1)), VALUE_INTEGER);
        assert_int_equal(f.type(f.userdata, &PATH_OIR(1, 0, 12)), VALUE_NONE);
        assert_int_equal(f.type(f.userdata, &PATH_OIR(7, 0, 12)), VALUE_NONE);
        assert_true(f.multiple(f.userdata, &PATH_OIR(1, 0, 10)));
        assert_false(f.multiple(f.userdata, &PATH_OIR(1, 0, 3)));
        assert_false(f.multiple(f.userdata, &PATH_OIR(7, 0, 3)));
}

int main(void) {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        const struct CMUnitTest tests[] = {
                T(test_create),   T(test_free_id),     T(test_set_errors),
                T(test_types),    T(test_get),         T(test_exact_conversions),
                T(test_multiple), T(test_bytes_limit), T(test_walk),
                T(test_next),     T(test_compact),     T(test_format_schema),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
