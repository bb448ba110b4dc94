/* SPDX-License-Identifier: Apache-2.0 */
/* Transactions of the tree: the notes of a commit, rollback, and a random walk beside a model that
 * is nothing but a hash table of texts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/tree.h"
#include "model/tree_marks.h"

#define R(id, multiple, type)                                                                      \
        "<Item ID=\"" id                                                                           \
        "\"><Name>R</Name><Operations>RW</Operations><MultipleInstances>" multiple                 \
        "</MultipleInstances><Mandatory>Optional</Mandatory><Type>" type "</Type></Item>"

static const char xml[] =
        "<LWM2M><Object><Name>A</Name><ObjectID>1</ObjectID><MultipleInstances>Multiple</"
        "MultipleInstances>"
        "<Mandatory>Optional</Mandatory><Resources>" R("0", "Single", "Integer")
                R("1", "Single", "String") R("2", "Multiple", "Integer") R(
                        "3", "Multiple",
                        "String") "</Resources></Object>"
                                  "<Object><Name>B</Name><ObjectID>2</"
                                  "ObjectID><MultipleInstances>Multiple</MultipleInstances>"
                                  "<Mandatory>Optional</Mandatory><Resources>" R(
                                          "0", "Single", "Integer") "</Resources></Object></LWM2M>";

typedef struct Fixture {
        Schema *schema;
        Tree *tree;
        GString *notes;
        int prepare_result, n_prepared, n_committed;
        bool nest;
} Fixture;

static const char *kind_names[] = {
        [CHANGE_SET] = "set", [CHANGE_CREATED] = "created", [CHANGE_DELETED] = "deleted"
};

static void on_commit(void *userdata, Origin origin, uint16_t ssid, const Change *changes,
                      size_t n) {
        Fixture *f = userdata;

        f->n_committed++;
        for (size_t i = 0; i < n; i++) {
                g_string_append_printf(f->notes, "%s %s", kind_names[changes[i].kind],
                                       PATH_TEXT(&changes[i].path));
                if (changes[i].old && changes[i].old->type == VALUE_INTEGER)
                        g_string_append_printf(f->notes, " was %d", (int) changes[i].old->i);
                if (changes[i].mark)
                        g_string_append_printf(f->notes, " mark %u", changes[i].mark);
                g_string_append(f->notes, "; ");
                assert_int_equal(tree_exists(f->tree, &changes[i].path) ||
                                         changes[i].kind == CHANGE_DELETED,
                                 1);
        }
        if (f->nest) {
                f->nest = false;
                tree_begin(f->tree, ORIGIN_INTERNAL, 0);
                assert_int_equal(tree_create(f->tree, 2, 9, (Version){ 0, 0 }), 0);
                assert_int_equal(tree_commit(f->tree), 0);
        }
}

static int on_prepare(void *userdata, Origin origin, uint16_t ssid, const Change *changes,
                      size_t n) {
        Fixture *f = userdata;

        f->n_prepared++;
        return f->prepare_result;
}

static int setup(void **state) {
        Fixture *f = g_new0(Fixture, 1);
        char *error = NULL;

        f->schema = schema_new();
        assert_int_equal(schema_add_xml(f->schema, "x", xml, strlen(xml), NULL, &error), 0);
        f->tree = tree_new(f->schema);
        f->notes = g_string_new(NULL);
        tree_on_commit(f->tree, on_commit, f);
        tree_on_prepare(f->tree, on_prepare, f);
        *state = f;
        return 0;
}

static int teardown(void **state) {
        Fixture *f = *state;

        tree_free(f->tree);
        schema_free(f->schema);
        g_string_free(f->notes, TRUE);
        g_free(f);
        return 0;
}

static void set(Fixture *f, Path p, int64_t i) {
        assert_int_equal(tree_set(f->tree, &p, &(Value){ .type = VALUE_INTEGER, .i = i }), 0);
}

static void create(Fixture *f, uint16_t object, uint16_t instance) {
        assert_int_equal(tree_create(f->tree, object, instance, (Version){ 0, 0 }), 0);
}

static void drop(Fixture *f, Path p) {
        assert_int_equal(tree_delete(f->tree, &p), 0);
}

static void begin(Fixture *f) {
        g_string_truncate(f->notes, 0);
        tree_begin(f->tree, ORIGIN_SERVER, 7);
}

static void commit(Fixture *f, const char *expected) {
        assert_int_equal(tree_commit(f->tree), 0);
        assert_string_equal(f->notes->str, expected);
}

static void test_notes(void **state) {
        Fixture *f = *state;

        begin(f);
        commit(f, "");
        assert_int_equal(f->n_prepared + f->n_committed, 0);
        begin(f);
        create(f, 1, 0);
        set(f, PATH_OIR(1, 0, 0), 1);
        commit(f, "created /1/0; set /1/0/0; ");
        begin(f);
        set(f, PATH_OIR(1, 0, 0), 1);
        commit(f, "set /1/0/0 was 1; ");
        begin(f);
        set(f, PATH_OIRI(1, 0, 2, 5), 1);
        set(f, PATH_OIR(1, 0, 0), 2);
        set(f, PATH_OIRI(1, 0, 2, 5), 2);
        set(f, PATH_OIR(1, 0, 0), 3);
        commit(f, "set /1/0/2/5; set /1/0/0 was 1; ");
        begin(f);
        drop(f, PATH_OIRI(1, 0, 2, 5));
        drop(f, PATH_OIR(1, 0, 0));
        commit(f, "deleted /1/0/2/5; deleted /1/0/0; ");
        begin(f);
        drop(f, PATH_OI(1, 0));
        commit(f, "deleted /1/0; ");
}

static void test_coalesced(void **state) {
        Fixture *f = *state;

        begin(f); /* came and went */
        create(f, 1, 3);
        set(f, PATH_OIR(1, 3, 0), 1);
        drop(f, PATH_OI(1, 3));
        commit(f, "");
        begin(f);
        create(f, 1, 3);
        drop(f, PATH_OI(1, 3));
        create(f, 1, 3);
        set(f, PATH_OIR(1, 3, 0), 1);
        set(f, PATH_OIRI(1, 3, 2, 0), 1);
        commit(f, "created /1/3; set /1/3/0; set /1/3/2/0; ");
        begin(f); /* replaced */
        drop(f, PATH_OI(1, 3));
        create(f, 1, 3);
        set(f, PATH_OIR(1, 3, 0), 2);
        commit(f, "deleted /1/3; created /1/3; set /1/3/0; ");
        begin(f); /* the order replays to the same state */
        set(f, PATH_OIRI(1, 3, 2, 1), 1);
        assert_int_equal(tree_clear_resource(f->tree, &PATH_OIR(1, 3, 2)), 0);
        set(f, PATH_OIRI(1, 3, 2, 1), 2);
        set(f, PATH_OIRI(1, 3, 2, 0), 2);
        commit(f, "set /1/3/2; set /1/3/2/1; set /1/3/2/0; ");
        begin(f);
        set(f, PATH_OIRI(1, 3, 2, 1), 3);
        assert_int_equal(tree_clear_resource(f->tree, &PATH_OIR(1, 3, 2)), 0);
        commit(f, "set /1/3/2; ");
        begin(f);
        drop(f, PATH_OI(1, 3));
        create(f, 1, 3);
        drop(f, PATH_OI(1, 3));
        commit(f, "deleted /1/3; ");
}

static void test_prepare(void **state) {
        Fixture *f = *state;

        begin(f);
        create(f, 1, 0);
        set(f, PATH_OIR(1, 0, 0), 1);
        commit(f, "created /1/0; set /1/0/0; ");
        f->prepare_result = -ENOSPC;
        begin(f);
        set(f, PATH_OIR(1, 0, 0), 2);
        create(f, 1, 1);
        assert_int_equal(tree_commit(f->tree), -ENOSPC);
        assert_string_equal(f->notes->str, "");
        assert_false(tree_exists(f->tree, &PATH_OI(1, 1)));
        f->prepare_result = 0;
        begin(f); /* the tree is usable again */
        set(f, PATH_OIR(1, 0, 0), 3);
        commit(f, "set /1/0/0 was 1; ");
        assert_int_equal(f->n_prepared, 3);
}

static void test_nested(void **state) {
        Fixture *f = *state;

        begin(f);
        create(f, 1, 0);
        f->nest = true;
        commit(f, "created /1/0; created /2/9; ");
        begin(f);
        set(f, PATH_OIR(1, 0, 0), 1);
        commit(f, "set /1/0/0; ");
}

static void test_marks(void **state) {
        Fixture *f = *state;

        begin(f);
        create(f, 1, 0);
        set(f, PATH_OIRI(1, 0, 2, 5), 1);
        commit(f, "created /1/0; set /1/0/2/5; ");
        assert_int_equal(tree_mark(f->tree, &PATH_OI(1, 0)), 0);
        tree_set_mark(f->tree, &PATH_OI(1, 0), MARK_STORED);
        tree_set_mark(f->tree, &PATH_OIRI(1, 0, 2, 5), MARK_SHADOWED);
        tree_set_mark(f->tree, &PATH_OIR(1, 7, 2), MARK_SHADOWED); /* is not there */
        assert_int_equal(tree_mark(f->tree, &PATH_OIR(1, 7, 2)), 0);
        assert_int_equal(tree_mark(f->tree, &PATH_O(1)), 0);
        begin(f);
        drop(f, PATH_OI(1, 0));
        create(f, 1, 0);
        assert_int_equal(tree_mark(f->tree, &PATH_OI(1, 0)), 0);
        tree_abort(f->tree);
        assert_int_equal(tree_mark(f->tree, &PATH_OI(1, 0)), MARK_STORED);
        assert_int_equal(tree_mark(f->tree, &PATH_OIRI(1, 0, 2, 5)), MARK_SHADOWED);
        begin(f);
        set(f, PATH_OIRI(1, 0, 2, 5), 2);
        commit(f, "set /1/0/2/5 was 1; ");
        assert_int_equal(tree_mark(f->tree, &PATH_OIRI(1, 0, 2, 5)), MARK_SHADOWED);
        begin(f);
        drop(f, PATH_OIR(1, 0, 2));
        drop(f, PATH_OI(1, 0));
        commit(f, "deleted /1/0/2 mark 2; deleted /1/0 mark 1; ");
}

/* --- random walk --- */

typedef GHashTable Model; /* path text -> value text, "" for instances and multiple resources */

static Model *model_new(void) {
        return g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
}

static Model *model_copy(Model *m) {
        Model *copy = model_new();
        GHashTableIter iter;
        gpointer key, value;

        g_hash_table_iter_init(&iter, m);
        while (g_hash_table_iter_next(&iter, &key, &value))
                g_hash_table_insert(copy, g_strdup(key), g_strdup(value));
        return copy;
}

static bool model_has(Model *m, Path p) {
        return g_hash_table_contains(m, PATH_TEXT(&p));
}

static void model_put(Model *m, Path p, const char *value) {
        g_hash_table_insert(m, g_strdup(PATH_TEXT(&p)), g_strdup(value));
}

static gboolean is_below(gpointer key, gpointer value, gpointer userdata) {
        Path p;

        assert_int_equal(path_parse(key, &p), 0);
        return path_covers(userdata, &p);
}

static int model_delete(Model *m, Path p) {
        return g_hash_table_foreach_remove(m, is_below, &p) > 0 ? 0 : -ENOENT;
}

typedef struct Comparison {
        Model *model;
        Path last;
        size_t n;
} Comparison;

static int compare_node(void *userdata, const Path *p, const Value *v, const ResourceDef *def) {
        Comparison *c = userdata;
        const char *expected = g_hash_table_lookup(c->model, PATH_TEXT(p));
        g_autofree char *text = v ? value_format(v) : g_strdup("");

        if (!expected)
                fail_msg("%s should not be there", PATH_TEXT(p));
        assert_string_equal(text, expected);
        assert_true(c->n == 0 || path_compare(&c->last, p) < 0);
        c->last = *p;
        c->n++;
        return 0;
}

static void assert_same(const Tree *t, Model *m) {
        Comparison c = { .model = m };

        assert_int_equal(tree_walk(t, &PATH_ROOT, compare_node, &c), 0);
        assert_int_equal(c.n, g_hash_table_size(m));
}

static uint16_t any_instance(GRand *rand) {
        static const uint16_t ids[] = { 0, 1, 63, 64, 255, 256, 300, 65534 };

        return ids[g_rand_int_range(rand, 0, G_N_ELEMENTS(ids))];
}

static void step_set(Tree *t, Model *m, GRand *rand, Path p) {
        bool text = p.id[0] == 1 && (p.id[2] & 1);
        Value v;
        int r;

        if (text)
                v = value_string(g_rand_boolean(rand) ? "long enough to be noticed when it is lost"
                                                      : "");
        else
                v = (Value){ .type = VALUE_INTEGER, .i = g_rand_int_range(rand, 0, 1000) };
        r = tree_set(t, &p, &v);
        if (model_has(m, path_prefix(&p, 2))) {
                g_autofree char *formatted = value_format(&v);

                assert_int_equal(r, 0);
                model_put(m, p, formatted);
                if (p.n == 4)
                        model_put(m, path_prefix(&p, 3), "");
        } else {
                assert_int_equal(r, -ENOENT);
        }
        value_clear(&v);
}

static void step(Tree *t, Model *m, GRand *rand) {
        uint16_t object = (uint16_t) g_rand_int_range(rand, 1, 3);
        uint16_t resource = object == 1 ? (uint16_t) g_rand_int_range(rand, 0, 4) : 0;
        Path instance = PATH_OI(object, any_instance(rand)), p = path_child(&instance, resource);
        int action = g_rand_int_range(rand, 0, 20), r;

        if (resource >= 2 && action < 16)
                p = path_child(&p, any_instance(rand));
        if (action < 4) {
                r = tree_create(t, object, instance.id[1], (Version){ 0, 0 });
                assert_int_equal(r, model_has(m, instance) ? -EEXIST : 0);
                if (r == 0)
                        model_put(m, instance, "");
        } else if (action < 13) {
                step_set(t, m, rand, p);
        } else if (action < 18) {
                assert_int_equal(tree_delete(t, &p), model_delete(m, p));
        } else if (action == 18 && resource >= 2) {
                r = tree_clear_resource(t, &p);
                assert_int_equal(r, model_has(m, instance) ? 0 : -ENOENT);
                if (r == 0) {
                        model_delete(m, p);
                        model_put(m, p, "");
                }
        } else if (action == 19) {
                assert_int_equal(tree_delete(t, &instance), model_delete(m, instance));
        }
}

static void test_random_walk(void **state) {
        Fixture *f = *state;
        GRand *rand = g_rand_new_with_seed(20251123);
        Model *m = model_new();

        for (int txn = 0; txn < 2000; txn++) {
                Model *before = model_copy(m);

                tree_begin(f->tree, ORIGIN_APP, 0);
                for (int i = g_rand_int_range(rand, 0, 12); i > 0; i--)
                        step(f->tree, m, rand);
                f->prepare_result = 0;
                switch (g_rand_int_range(rand, 0, 4)) {
                case 0:
                        tree_abort(f->tree);
                        break;
                case 1:
                        f->prepare_result = -EIO;
                        if (tree_commit(f->tree) == -EIO)
                                break;
                        /* Nothing was left to refuse: as good as a commit. */
                        G_GNUC_FALLTHROUGH;
                default:
                        if (f->prepare_result == 0)
                                assert_int_equal(tree_commit(f->tree), 0);
                        g_hash_table_unref(before);
                        before = model_copy(m);
                        break;
                }
                g_hash_table_unref(m);
                m = before;
                if (txn % 10 == 0)
                        assert_same(f->tree, m);
        }
        assert_same(f->tree, m);
        g_hash_table_unref(m);
        g_rand_free(rand);
}

int main(void) {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        const struct CMUnitTest tests[] = {
                T(test_notes),  T(test_coalesced), T(test_prepare),
                T(test_nested), T(test_marks),     T(test_random_walk),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
