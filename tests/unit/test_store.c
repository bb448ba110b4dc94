/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <glib.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/wait.h>

#include "codec/cborio.h"
#include "model/store.h"
#include "model/store_format.h"
#include "model/store_internal.h"
#include "util/log.h"

#include "faults.h"

#define R(id, multiple, type)                                                                      \
        "<Item ID=\"" id                                                                           \
        "\"><Name>R</Name><Operations>RW</Operations><MultipleInstances>" multiple                 \
        "</MultipleInstances><Mandatory>Optional</Mandatory><Type>" type "</Type></Item>"
#define OBJECT(id, version)                                                                        \
        "<Object><Name>A</Name><ObjectID>" id "</ObjectID><ObjectVersion>" version                 \
        "</ObjectVersion>"                                                                         \
        "<MultipleInstances>Multiple</MultipleInstances><Mandatory>Optional</"                     \
        "Mandatory><Resources>" R("0", "Single", "String") R("1", "Single", "Integer") R(          \
                "2", "Single", "Unsigned Integer") R("3", "Single", "Float")                       \
                R("4", "Single", "Boolean") R("5", "Single", "Opaque") R("6", "Single", "Time")    \
                        R("7", "Single", "Objlnk") R("8", "Single", "Corelnk")                     \
                                R("10", "Multiple", "Integer")                                     \
                                        R("11", "Multiple", "String") "</Resources></Object>"

static const char definitions[] = "<LWM2M>" OBJECT("0", "1.0") OBJECT("1", "1.1") OBJECT("9", "1.0")
        OBJECT("10", "2.3") "</LWM2M>";
static const char one_more[] = "<LWM2M>" OBJECT("77", "1.0") "</LWM2M>";

/* One run of the daemon. */
typedef struct Run {
        Schema *schema;
        Tree *tree;
        Store *store;
} Run;

typedef struct Fixture {
        char *dir;
        StoreConfig config;
        Run run;
        GPtrArray *messages;
        unsigned n_pending;
} Fixture;

static void on_message(void *userdata, int level, const char *text) {
        const char *name = strrchr(text, '/');

        assert_true(level >= LOG_LEVEL_ERROR && level <= LOG_LEVEL_NOTICE);
        g_ptr_array_add(userdata, g_strdup(name ? name + 1 : text));
}

static int run_open(Fixture *f, const char *dir, const char *xml, Run *ret) {
        char *error = NULL;
        int r;

        f->config.directory = dir;
        g_ptr_array_set_size(f->messages, 0);
        ret->schema = schema_new();
        assert_int_equal(schema_add_xml(ret->schema, "x", xml, strlen(xml), NULL, &error), 0);
        ret->tree = tree_new(ret->schema);
        ret->store = NULL;
        r = store_open(&f->config, ret->tree, on_message, f->messages, &ret->store);
        if (r < 0)
                assert_null(ret->store);
        return r;
}

static void run_close(Run *run) {
        run->store = store_close(run->store);
        run->tree = tree_free(run->tree);
        run->schema = schema_free(run->schema);
}

/* The daemon is killed: nothing more is written. */
static void run_kill(Run *run) {
        faults.calls = 0;
        faults.fail_at = 1;
        faults.error = EIO;
        run_close(run);
        faults.fail_at = 0;
}

static void restart(Fixture *f) {
        run_kill(&f->run);
        assert_int_equal(run_open(f, f->dir, definitions, &f->run), 0);
}

static void restart_properly(Fixture *f) {
        run_close(&f->run);
        assert_int_equal(run_open(f, f->dir, definitions, &f->run), 0);
}

static int setup(void **state) {
        Fixture *f = g_new0(Fixture, 1);

        memset(&faults, 0, sizeof(faults));
        f->messages = g_ptr_array_new_with_free_func(g_free);
        f->dir = g_dir_make_tmp("store-XXXXXX", NULL);
        assert_int_equal(run_open(f, f->dir, definitions, &f->run), 0);
        assert_int_equal(f->messages->len, 0);
        *state = f;
        return 0;
}

static void remove_directory(const char *dir) {
        GDir *d = g_dir_open(dir, 0, NULL);
        const char *name;

        while (d && (name = g_dir_read_name(d))) {
                g_autofree char *file = g_build_filename(dir, name, NULL);

                if (unlink(file) < 0)
                        rmdir(file);
        }
        if (d)
                g_dir_close(d);
        rmdir(dir);
}

static int teardown(void **state) {
        Fixture *f = *state;

        memset(&faults, 0, sizeof(faults));
        run_close(&f->run);
        remove_directory(f->dir);
        g_ptr_array_unref(f->messages);
        g_free(f->dir);
        g_free(f);
        return 0;
}

static int dump_node(void *userdata, const Path *p, const Value *v, const ResourceDef *def) {
        g_autofree char *text = v ? value_format(v) : NULL;

        g_string_append_printf(userdata, "%s%s%s ", PATH_TEXT(p), v ? "=" : "", v ? text : "");
        return 0;
}

static char *dump(const Run *run) {
        GString *text = g_string_new(NULL);

        tree_walk(run->tree, &PATH_ROOT, dump_node, text);
        return g_string_free(text, FALSE);
}

static void assert_tree(Fixture *f, const char *expected) {
        g_autofree char *text = dump(&f->run);

        assert_string_equal(text, expected);
}

static void assert_message(Fixture *f, const char *part) {
        for (unsigned i = 0; i < f->messages->len; i++)
                if (strstr(f->messages->pdata[i], part))
                        return;
        for (unsigned i = 0; i < f->messages->len; i++)
                print_message("%s\n", (char *) f->messages->pdata[i]);
        fail_msg("no message '%s'", part);
}

/* --- short hands for transactions --- */

static void begin(Fixture *f, Origin origin) {
        tree_begin(f->run.tree, origin, origin == ORIGIN_SERVER ? 1 : 0);
}

static void commit(Fixture *f) {
        assert_int_equal(tree_commit(f->run.tree), 0);
}

static void set(Fixture *f, Path p, int64_t i) {
        assert_int_equal(tree_set(f->run.tree, &p, &(Value){ .type = VALUE_INTEGER, .i = i }), 0);
}

static void create(Fixture *f, Origin origin, uint16_t object, uint16_t instance) {
        begin(f, origin);
        assert_int_equal(tree_create(f->run.tree, object, instance, (Version){ 0, 0 }), 0);
        commit(f);
}

static void put(Fixture *f, Origin origin, Path p, int64_t i) {
        begin(f, origin);
        set(f, p, i);
        commit(f);
}

static void drop(Fixture *f, Origin origin, Path p) {
        begin(f, origin);
        assert_int_equal(tree_delete(f->run.tree, &p), 0);
        commit(f);
}

static char *file_name(Fixture *f, const char *name) {
        return g_build_filename(f->dir, name, NULL);
}

static bool file_exists(Fixture *f, const char *name) {
        g_autofree char *file = file_name(f, name);

        return access(file, F_OK) == 0;
}

static char *file_get(Fixture *f, const char *name, gsize *ret_n) {
        g_autofree char *file = file_name(f, name);
        char *data;

        assert_true(g_file_get_contents(file, &data, ret_n, NULL));
        return data;
}

static void file_put(Fixture *f, const char *name, const void *data, size_t n) {
        g_autofree char *file = file_name(f, name);
        int fd;

        unlink(file);
        fd = open(file, O_WRONLY | O_CREAT | O_EXCL, 0600);
        assert_true(fd >= 0);
        assert_int_equal(syscall(SYS_write, fd, data, n), n);
        close(fd);
}

/* --- what survives --- */

static void test_server_writes(void **state) {
        Fixture *f = *state;
        uint64_t syncs;

        create(f, ORIGIN_SERVER, 9, 3);
        put(f, ORIGIN_SERVER, PATH_OIR(9, 3, 1), -5);
        syncs = store_n_syncs(f->run.store);
        put(f, ORIGIN_SERVER, PATH_OIR(9, 3, 1), -5); /* the disk has it */
        assert_int_equal(store_n_syncs(f->run.store), syncs);
        assert_true(store_is_persisted(f->run.store, &PATH_OIR(9, 3, 1)));
        begin(f, ORIGIN_SERVER);
        set(f, PATH_OIRI(9, 3, 10, 7), 7);
        set(f, PATH_OIRI(9, 3, 10, 1), 1);
        assert_int_equal(tree_clear_resource(f->run.tree, &PATH_OIR(9, 3, 11)), 0);
        commit(f);
        assert_int_equal(store_n_syncs(f->run.store), syncs + 1);
        assert_false(store_pending(f->run.store));
        restart(f);
        assert_tree(f, "/9/3 /9/3/1=-5 /9/3/10 /9/3/10/1=1 /9/3/10/7=7 /9/3/11 ");
        assert_int_equal(f->messages->len, 0);
        assert_true(store_is_persisted(f->run.store, &PATH_OIRI(9, 3, 10, 1)));
        assert_int_equal(tree_object_def(f->run.tree, 9, 3)->version.major, 1);
}

static void test_types(void **state) {
        Fixture *f = *state;
        g_auto(Value) string = value_string("täxt"), opaque = value_text(VALUE_OPAQUE, "\0\xff", 2),
                      core = value_text(VALUE_CORELNK, "</1>", 4);
        const Value values[] = {
                string,
                { .type = VALUE_INTEGER, .i = INT64_MIN },
                { .type = VALUE_UNSIGNED, .u = UINT64_MAX },
                { .type = VALUE_FLOAT, .d = -0.1 },
                { .type = VALUE_BOOLEAN, .b = true },
                opaque,
                { .type = VALUE_TIME, .i = -1 },
                { .type = VALUE_OBJLNK, .link = { 65535, 65535 } },
                core,
        };

        f->config.journal_bytes_max = 1; /* through the object's file as well */
        for (int pass = 0; pass < 2; pass++) {
                g_autofree char *before = NULL, *after = NULL;

                begin(f, ORIGIN_SERVER);
                assert_int_equal(tree_create(f->run.tree, 10, (uint16_t) pass, (Version){ 0, 0 }),
                                 0);
                for (uint16_t i = 0; i < G_N_ELEMENTS(values); i++)
                        assert_int_equal(tree_set(f->run.tree, &PATH_OIR(10, pass, i), &values[i]),
                                         0);
                commit(f);
                before = dump(&f->run);
                restart(f);
                after = dump(&f->run);
                assert_string_equal(before, after);
                assert_int_equal(tree_object_def(f->run.tree, 10, pass)->version.minor, 3);
        }
        assert_true(file_exists(f, "object-10.cbor"));
}

static void test_app_values(void **state) {
        Fixture *f = *state;

        create(f, ORIGIN_APP, 9, 0);
        put(f, ORIGIN_APP, PATH_OIR(9, 0, 1), 1);
        assert_false(store_pending(f->run.store));
        assert_false(store_is_persisted(f->run.store, &PATH_OIR(9, 0, 1)));
        assert_true(store_is_persisted(f->run.store, &PATH_OI(9, 0)));
        put(f, ORIGIN_SERVER, PATH_OIR(9, 0, 2), 5);
        put(f, ORIGIN_APP, PATH_OIR(9, 0, 2), 6);
        put(f, ORIGIN_APP, PATH_OIR(9, 0, 2), 7);
        assert_false(store_is_persisted(f->run.store, &PATH_OIR(9, 0, 2)));
        f->config.journal_bytes_max = 1;
        restart(f); /* the server's last word is back */
        assert_tree(f, "/9/0 /9/0/2=5 ");
        put(f, ORIGIN_APP, PATH_OIR(9, 0, 2), 8);
        put(f, ORIGIN_SERVER, PATH_OIR(9, 0, 1), 1); /* writes the object's file */
        restart_properly(f);
        assert_tree(f, "/9/0 /9/0/1=1 /9/0/2=5 ");
        put(f, ORIGIN_APP, PATH_OIR(9, 0, 2), 8);
        put(f, ORIGIN_SERVER, PATH_OIR(9, 0, 2), 9);
        assert_true(store_is_persisted(f->run.store, &PATH_OIR(9, 0, 2)));
        restart(f);
        assert_tree(f, "/9/0 /9/0/1=1 /9/0/2=9 ");
}

static void test_internal(void **state) {
        Fixture *f = *state;

        create(f, ORIGIN_INTERNAL, 9, 0);
        put(f, ORIGIN_INTERNAL, PATH_OIR(9, 0, 1), 1);
        create(f, ORIGIN_INTERNAL, 1, 0); /* an account */
        put(f, ORIGIN_INTERNAL, PATH_OIR(1, 0, 1), 60);
        restart(f);
        assert_tree(f, "/1/0 /1/0/1=60 ");
        create(f, ORIGIN_INTERNAL, 9, 0);
        put(f, ORIGIN_SERVER, PATH_OIR(9, 0, 1), 2); /* brings its instance */
        restart(f);
        assert_tree(f, "/1/0 /1/0/1=60 /9/0 /9/0/1=2 ");
        assert_true(file_exists(f, "journal"));
}

static void on_pending(void *userdata) {
        ((Fixture *) userdata)->n_pending++;
}

static void test_always(void **state) {
        Fixture *f = *state;
        uint64_t syncs;

        store_on_pending(f->run.store, on_pending, f);
        create(f, ORIGIN_APP, 9, 0);
        assert_int_equal(store_set_policy(f->run.store, &PATH_OI(9, 0), PERSIST_ALWAYS), 0);
        assert_int_equal(store_sync(f->run.store), 0);
        syncs = store_n_syncs(f->run.store);
        for (int i = 0; i < 100; i++)
                put(f, ORIGIN_APP, PATH_OIRI(9, 0, 10, i % 10), i);
        assert_int_equal(f->n_pending, 1);
        assert_true(store_pending(f->run.store));
        assert_false(store_is_persisted(f->run.store, &PATH_OIRI(9, 0, 10, 1)));
        assert_int_equal(store_n_syncs(f->run.store), syncs);
        assert_int_equal(store_sync(f->run.store), 0);
        assert_int_equal(store_sync(f->run.store), 0);
        assert_int_equal(store_n_syncs(f->run.store), syncs + 1);
        assert_true(store_is_persisted(f->run.store, &PATH_OIRI(9, 0, 10, 1)));
        put(f, ORIGIN_APP, PATH_OIRI(9, 0, 10, 1), 91); /* nothing new */
        assert_false(store_pending(f->run.store));
        put(f, ORIGIN_APP, PATH_OIRI(9, 0, 10, 1), 92);
        put(f, ORIGIN_SERVER, PATH_OIRI(9, 0, 10, 1), 91); /* at once, and nothing waits any more */
        assert_false(store_pending(f->run.store));
        put(f, ORIGIN_APP, PATH_OIRI(9, 0, 10, 0), 1000); /* will be lost */
        assert_int_equal(f->n_pending, 3);
        restart(f);
        assert_tree(f,
                    "/9/0 /9/0/10 /9/0/10/0=90 /9/0/10/1=91 /9/0/10/2=92 /9/0/10/3=93 /9/0/10/4=94 "
                    "/9/0/10/5=95 /9/0/10/6=96 /9/0/10/7=97 /9/0/10/8=98 /9/0/10/9=99 ");
        assert_int_equal(store_set_policy(f->run.store, &PATH_O(9), PERSIST_ALWAYS), 0);
        put(f, ORIGIN_APP, PATH_OIR(9, 0, 1), 3);
        drop(f, ORIGIN_APP, PATH_OIR(9, 0, 10));
        assert_int_equal(store_compact(f->run.store), 0);
        assert_int_equal(store_sync(f->run.store), 0);
        put(f, ORIGIN_APP, PATH_OIR(9, 0, 2), 4);
        assert_int_equal(store_compact(f->run.store), 0); /* of what was synced nothing is lost */
        assert_int_equal(store_compact(f->run.store), 0); /* nor with the former journal */
        restart(f);
        assert_tree(f, "/9/0 /9/0/1=3 ");
        assert_int_equal(store_set_policy(f->run.store, &PATH_O(9), PERSIST_ALWAYS), 0);
        put(f, ORIGIN_APP, PATH_OIR(9, 0, 1), 3);
        put(f, ORIGIN_APP, PATH_OIR(9, 0, 2), 4);
        drop(f, ORIGIN_APP, PATH_OIR(9, 0, 2));
        restart_properly(f); /* closing writes what waits */
        assert_tree(f, "/9/0 /9/0/1=3 ");
}

static void test_always_emptied(void **state) {
        Fixture *f = *state;

        assert_int_equal(store_set_policy(f->run.store, &PATH_ROOT, PERSIST_ALWAYS), 0);
        create(f, ORIGIN_APP, 9, 0);
        begin(f, ORIGIN_APP);
        assert_int_equal(tree_clear_resource(f->run.tree, &PATH_OIR(9, 0, 10)), 0);
        set(f, PATH_OIRI(9, 0, 10, 1), 1);
        commit(f);
        put(f, ORIGIN_SERVER, PATH_OIRI(9, 0, 10, 2), 2);
        assert_int_equal(store_sync(f->run.store), 0);
        restart(f);
        assert_tree(f, "/9/0 /9/0/10 /9/0/10/1=1 /9/0/10/2=2 ");
        begin(f, ORIGIN_APP); /* what an app takes away does not come back, whatever the policy */
        assert_int_equal(tree_clear_resource(f->run.tree, &PATH_OIR(9, 0, 10)), 0);
        commit(f);
        restart(f);
        assert_tree(f, "/9/0 /9/0/10 ");
}

static void test_policies(void **state) {
        Fixture *f = *state;
        Store *s = f->run.store;

        assert_int_equal(store_policy(s, &PATH_OIR(9, 0, 1)), PERSIST_SERVER_WRITES);
        assert_int_equal(store_policy(s, &PATH_OIR(1, 0, 1)), PERSIST_ALWAYS);
        assert_int_equal(store_set_policy(s, &PATH_ROOT, PERSIST_NEVER), 0);
        assert_int_equal(store_set_policy(s, &PATH_OI(9, 0), PERSIST_ALWAYS), 0);
        assert_int_equal(store_set_policy(s, &PATH_OIR(9, 0, 1), PERSIST_SERVER_WRITES), 0);
        assert_int_equal(store_policy(s, &PATH_OIR(9, 0, 1)), PERSIST_SERVER_WRITES);
        assert_int_equal(store_policy(s, &PATH_OIRI(9, 0, 10, 1)), PERSIST_ALWAYS);
        assert_int_equal(store_policy(s, &PATH_OI(9, 1)), PERSIST_NEVER);
        assert_int_equal(store_policy(s, &PATH_OI(1, 1)), PERSIST_ALWAYS);
        assert_int_equal(store_set_policy(s, &PATH_O(1), PERSIST_NEVER), -EPERM);
        assert_int_equal(store_set_policy(s, &PATH_O(1), PERSIST_ALWAYS), 0);
        assert_int_equal(store_set_policy(s, &PATH_ROOT, PERSIST_DEFAULT), 0);
        assert_int_equal(store_policy(s, &PATH_OI(9, 1)), PERSIST_SERVER_WRITES);
        for (int i = 0; i < 65534; i++)
                (void) store_set_policy(s, &PATH_OI(10, i), PERSIST_ALWAYS);
        assert_int_equal(store_set_policy(s, &PATH_OIR(10, 0, 1), PERSIST_ALWAYS), -EDQUOT);
}

/* A new policy writes or drops what is there. */
static void test_policy_changes(void **state) {
        Fixture *f = *state;

        create(f, ORIGIN_APP, 9, 0);
        create(f, ORIGIN_APP, 9, 1);
        put(f, ORIGIN_APP, PATH_OIR(9, 0, 1), 1);
        put(f, ORIGIN_SERVER, PATH_OIR(9, 0, 2), 2);
        put(f, ORIGIN_SERVER, PATH_OIR(9, 1, 2), 3);
        put(f, ORIGIN_APP, PATH_OIR(9, 1, 2), 4);
        assert_int_equal(store_set_policy(f->run.store, &PATH_O(9), PERSIST_ALWAYS), 0);
        assert_true(store_pending(f->run.store));
        assert_int_equal(store_sync(f->run.store), 0);
        restart(f);
        assert_tree(f, "/9/0 /9/0/1=1 /9/0/2=2 /9/1 /9/1/2=4 ");
        assert_int_equal(store_set_policy(f->run.store, &PATH_OIR(9, 0, 2), PERSIST_ALWAYS), 0);
        assert_int_equal(store_set_policy(f->run.store, &PATH_O(9), PERSIST_NEVER), 0);
        assert_tree(f, "/9/0 /9/0/1=1 /9/0/2=2 /9/1 /9/1/2=4 ");
        assert_false(store_is_persisted(f->run.store, &PATH_OI(9, 1)));
        create(f, ORIGIN_SERVER, 9, 5); /* never means never */
        put(f, ORIGIN_SERVER, PATH_OIR(9, 5, 1), 4);
        restart(f);
        assert_tree(f, "/9/0 /9/0/2=2 ");
        put(f, ORIGIN_APP, PATH_OIR(9, 0, 1), 1);
        assert_int_equal(store_set_policy(f->run.store, &PATH_O(9), PERSIST_ALWAYS), 0);
        assert_true(store_pending(f->run.store));
        assert_int_equal(store_set_policy(f->run.store, &PATH_O(9), PERSIST_DEFAULT), 0);
        assert_false(store_pending(f->run.store));
        faults.fail_at = 1;
        faults.calls = 0;
        faults.error = ENOSPC; /* dropping needs space, too */
        assert_int_equal(store_set_policy(f->run.store, &PATH_O(9), PERSIST_NEVER), -ENOSPC);
        assert_int_equal(store_policy(f->run.store, &PATH_O(9)), PERSIST_SERVER_WRITES);
        assert_true(store_is_persisted(f->run.store, &PATH_OIR(9, 0, 2)));
}

static void test_deletes(void **state) {
        Fixture *f = *state;

        for (uint16_t i = 0; i < 3; i++) {
                create(f, ORIGIN_SERVER, 9, i);
                begin(f, ORIGIN_SERVER);
                set(f, PATH_OIR(9, i, 1), i);
                set(f, PATH_OIRI(9, i, 10, 1), i);
                set(f, PATH_OIRI(9, i, 10, 2), i);
                commit(f);
        }
        drop(f, ORIGIN_APP, PATH_OI(9, 0));
        drop(f, ORIGIN_SERVER, PATH_OIR(9, 1, 1));
        drop(f, ORIGIN_INTERNAL, PATH_OIRI(9, 1, 10, 2));
        put(f, ORIGIN_APP, PATH_OIR(9, 2, 1), 77);
        assert_int_equal(g_hash_table_size(f->run.store->shadows), 1);
        drop(f, ORIGIN_APP, PATH_OIR(9, 2, 1)); /* an older value was on disk */
        assert_int_equal(g_hash_table_size(f->run.store->shadows), 0);
        put(f, ORIGIN_APP, PATH_OIRI(9, 2, 10, 1), 78);
        begin(f, ORIGIN_SERVER);
        assert_int_equal(tree_clear_resource(f->run.tree, &PATH_OIR(9, 2, 10)), 0);
        set(f, PATH_OIRI(9, 2, 10, 1), 2);
        set(f, PATH_OIRI(9, 2, 10, 2), 2);
        commit(f);
        assert_int_equal(g_hash_table_size(f->run.store->shadows), 0);
        restart(f);
        assert_tree(f, "/9/1 /9/1/10 /9/1/10/1=1 /9/2 /9/2/10 /9/2/10/1=2 /9/2/10/2=2 ");
        begin(f, ORIGIN_SERVER); /* replaced within one transaction */
        assert_int_equal(tree_delete(f->run.tree, &PATH_OI(9, 2)), 0);
        assert_int_equal(tree_create(f->run.tree, 9, 2, (Version){ 0, 0 }), 0);
        set(f, PATH_OIR(9, 2, 1), 4);
        commit(f);
        restart(f);
        assert_tree(f, "/9/1 /9/1/10 /9/1/10/1=1 /9/2 /9/2/1=4 ");
}

static void count_blob(void *userdata, const char *name, GBytes *blob) {
        g_string_append_printf(userdata, "%s:%zu ", name, g_bytes_get_size(blob));
}

static void test_blobs(void **state) {
        Fixture *f = *state;
        g_autoptr(GString) names = g_string_new(NULL);
        g_autoptr(GBytes) blob = NULL;
        g_autofree char *big = g_malloc0(STORE_BLOB_MAX + 1);
        char long_name[STORE_BLOB_NAME_MAX + 2];

        memset(long_name, 'n', sizeof(long_name));
        long_name[sizeof(long_name) - 1] = '\0';
        store_on_pending(f->run.store, on_pending, f);
        assert_int_equal(store_put_blob(f->run.store, "", "x", 1), -EINVAL);
        assert_int_equal(store_put_blob(f->run.store, "\xff", "x", 1), -EINVAL);
        assert_int_equal(store_put_blob(f->run.store, long_name, "x", 1), -EINVAL);
        assert_int_equal(store_put_blob(f->run.store, "big", big, STORE_BLOB_MAX + 1), -E2BIG);
        assert_int_equal(store_put_blob(f->run.store, "none", NULL, 0), 0);
        assert_false(store_pending(f->run.store));
        assert_int_equal(store_put_blob(f->run.store, "rd-1", "a\0b", 3), 0);
        assert_int_equal(store_put_blob(f->run.store, "rd-2", "", 0), 0);
        assert_int_equal(store_put_blob(f->run.store, "x", "y", 1), 0);
        assert_int_equal(f->n_pending, 1);
        assert_int_equal(store_sync(f->run.store), 0);
        assert_int_equal(store_put_blob(f->run.store, "x", "y", 1), 0);
        assert_false(store_pending(f->run.store)); /* the same */
        assert_int_equal(store_put_blob(f->run.store, "x", "z", 1), 0);
        f->config.journal_bytes_max = 1;
        restart(f); /* z was not synced */
        assert_int_equal(store_get_blob(f->run.store, "x", &blob), 0);
        assert_memory_equal(g_bytes_get_data(blob, NULL), "y", 1);
        store_foreach_blob(f->run.store, "rd-", count_blob, names);
        assert_string_equal(names->str, "rd-1:3 rd-2:0 ");
        assert_int_equal(store_put_blob(f->run.store, "x", NULL, 0), 0);
        g_clear_pointer(&blob, g_bytes_unref);
        assert_int_equal(store_get_blob(f->run.store, "x", &blob), -ENOENT);
        assert_int_equal(store_sync(f->run.store), 0);
        assert_true(file_exists(f, "blobs.cbor"));
        restart(f);
        assert_int_equal(store_get_blob(f->run.store, "x", &blob), -ENOENT);
        assert_int_equal(store_get_blob(f->run.store, "rd-1", &blob), 0);
}

static void test_reset(void **state) {
        Fixture *f = *state;

        for (int keep = 1; keep >= 0; keep--) {
                create(f, ORIGIN_SERVER, 9, 0);
                put(f, ORIGIN_SERVER, PATH_OIR(9, 0, 1), 2);
                if (keep) {
                        create(f, ORIGIN_SERVER, 1, 0);
                        put(f, ORIGIN_SERVER, PATH_OIR(1, 0, 1), 1);
                }
                assert_int_equal(store_put_blob(f->run.store, "b", "x", 1), 0);
                assert_int_equal(store_sync(f->run.store), 0);
                assert_int_equal(store_compact(f->run.store), 0);
                put(f, ORIGIN_SERVER, PATH_OIR(9, 0, 1), 4);
                put(f, ORIGIN_SERVER, PATH_OIR(1, 0, 2), 4);
                assert_int_equal(store_compact(f->run.store), 0);
                assert_true(file_exists(f, "object-9.cbor.old"));
                assert_int_equal(store_reset(f->run.store, keep), 0);
                assert_false(file_exists(f, "object-9.cbor.old"));
                assert_false(file_exists(f, "journal.old"));
                assert_int_equal(file_exists(f, "accounts.cbor.old"), keep);
                assert_false(store_is_persisted(f->run.store, &PATH_OIR(9, 0, 1)));
                if (keep)
                        put(f, ORIGIN_SERVER, PATH_OIR(9, 0, 2), 3); /* begins anew */
                restart(f);
                assert_tree(f, keep ? "/1/0 /1/0/1=1 /1/0/2=4 /9/0 /9/0/2=3 " : "");
                if (keep)
                        drop(f, ORIGIN_SERVER, PATH_OI(9, 0));
        }
        /* Interrupted after its journal entry it is done at the next start. */
        f->config.journal_bytes_max = 0;
        restart(f);
        create(f, ORIGIN_SERVER, 9, 0);
        create(f, ORIGIN_SERVER, 1, 0);
        faults.calls = 0;
        faults.fail_at = 3;
        faults.error = EIO;
        assert_int_equal(store_reset(f->run.store, true), -EIO);
        faults.fail_at = 0;
        restart(f);
        assert_tree(f, "/1/0 ");
        create(f, ORIGIN_SERVER, 9, 0);
        restart(f);
        assert_tree(f, "/1/0 /9/0 ");
}

/* An account that was forgotten is stored whole when something in it changes. */
static void test_whole_accounts(void **state) {
        Fixture *f = *state;

        create(f, ORIGIN_SERVER, 1, 0);
        put(f, ORIGIN_SERVER, PATH_OIR(1, 0, 1), 1);
        put(f, ORIGIN_SERVER, PATH_OIRI(1, 0, 10, 4), 2);
        assert_int_equal(store_reset(f->run.store, false), 0);
        put(f, ORIGIN_INTERNAL, PATH_OIR(1, 0, 2), 3);
        assert_true(store_is_persisted(f->run.store, &PATH_OIRI(1, 0, 10, 4)));
        restart(f);
        assert_tree(f, "/1/0 /1/0/1=1 /1/0/2=3 /1/0/10 /1/0/10/4=2 ");
}

/* --- the directory --- */

static void test_lock(void **state) {
        Fixture *f = *state;
        Run second;

        assert_int_equal(run_open(f, f->dir, definitions, &second), -EBUSY);
        run_close(&second);
        restart_properly(f);
}

static void test_directory(void **state) {
        Fixture *f = *state;
        g_autofree char *file = file_name(f, "plain"), *inside = NULL, *deep = NULL, *deeper = NULL;
        struct stat st;
        Run run;

        file_put(f, "plain", "x", 1);
        assert_int_equal(run_open(f, file, definitions, &run), -ENOTDIR);
        run_close(&run);
        inside = g_build_filename(file, "x", NULL);
        assert_int_equal(run_open(f, inside, definitions, &run), -ENOTDIR);
        run_close(&run);
        assert_int_equal(run_open(f, "/proc/nowhere/state", definitions, &run), -ENOENT);
        run_close(&run);
        deep = g_strconcat(f->dir, "-deep", NULL);
        deeper = g_build_filename(deep, "er", NULL);
        assert_int_equal(run_open(f, deeper, definitions, &run), 0);
        assert_int_equal(stat(deeper, &st), 0);
        assert_int_equal(st.st_mode & 07777, 0700);
        run_close(&run);
        assert_int_equal(chmod(deeper, 0777), 0);
        assert_int_equal(run_open(f, deeper, definitions, &run), 0);
        assert_message(f, "other users may write");
        run_close(&run);
        remove_directory(deeper);
        rmdir(deep);
}

static void test_modes(void **state) {
        Fixture *f = *state;
        GDir *dir;
        const char *name;
        unsigned n = 0;

        f->config.journal_bytes_max = 1;
        restart(f);
        create(f, ORIGIN_SERVER, 9, 0);
        create(f, ORIGIN_SERVER, 1, 0);
        assert_int_equal(store_compact(f->run.store), 0);
        create(f, ORIGIN_SERVER, 1, 1);
        assert_int_equal(store_compact(f->run.store), 0);
        dir = g_dir_open(f->dir, 0, NULL);
        while ((name = g_dir_read_name(dir))) {
                g_autofree char *file = file_name(f, name);
                struct stat st;

                assert_int_equal(stat(file, &st), 0);
                assert_int_equal(st.st_mode & 07777, 0600);
                assert_int_equal(chmod(file, 0644), 0);
                assert_false(g_str_has_suffix(name, ".tmp"));
                n++;
        }
        g_dir_close(dir);
        assert_int_equal(n, 5);
        restart(f);
        assert_message(f, "accounts.cbor: was open to other users, corrected");
        assert_tree(f, "/1/0 /1/1 /9/0 ");
}

/* --- damage --- */

/* Object 9 with an instance in its file, one in the former journal and one in the journal. */
static void prepare_damage(Fixture *f) {
        create(f, ORIGIN_SERVER, 9, 0);
        assert_int_equal(store_compact(f->run.store), 0);
        create(f, ORIGIN_SERVER, 9, 1);
        assert_int_equal(store_compact(f->run.store), 0);
        create(f, ORIGIN_SERVER, 9, 2);
        create(f, ORIGIN_SERVER, 10, 0);
        run_kill(&f->run);
}

static void reopen(Fixture *f) {
        assert_int_equal(run_open(f, f->dir, definitions, &f->run), 0);
}

typedef struct Saved {
        const char *name;
        char *data;
        gsize n;
} Saved;

static void save(Fixture *f, Saved saved[4]) {
        static const char *const names[] = { "object-9.cbor", "object-9.cbor.old", "journal",
                                             "journal.old" };

        for (int i = 0; i < 4; i++) {
                saved[i].name = names[i];
                saved[i].data = file_get(f, names[i], &saved[i].n);
        }
}

static void put_back(Fixture *f, const Saved saved[4]) {
        remove_directory(f->dir);
        assert_int_equal(mkdir(f->dir, 0700), 0);
        for (int i = 0; i < 4; i++)
                file_put(f, saved[i].name, saved[i].data, saved[i].n);
}

static void saved_free(Saved saved[4]) {
        for (int i = 0; i < 4; i++)
                g_free(saved[i].data);
}

static const char whole[] = "/9/0 /9/1 /9/2 /10/0 ";

/* Any byte cut off or changed in an object's file: the former copy and the journals replace it. */
static void test_damaged_file(void **state) {
        Fixture *f = *state;
        Saved saved[4];

        prepare_damage(f);
        save(f, saved);
        for (size_t i = 0; i < 2 * saved[0].n; i++) {
                g_autofree char *data = g_memdup2(saved[0].data, saved[0].n);
                size_t n = saved[0].n;

                if (i < n)
                        n = i;
                else
                        data[i - n] ^= (char) (1 << i % 8);
                put_back(f, saved);
                file_put(f, "object-9.cbor", data, n);
                reopen(f);
                assert_tree(f, whole);
                assert_true(file_exists(f, "object-9.cbor.bad-0"));
                assert_message(f, "object-9.cbor: loaded from its former copy");
                run_kill(&f->run);
                reopen(f); /* and it was repaired */
                assert_tree(f, whole);
                assert_int_equal(f->messages->len, 0);
                run_kill(&f->run);
        }
        put_back(f, saved);
        file_put(f, "object-9.cbor", "x", 1);
        file_put(f, "object-9.cbor.old", "x", 1);
        reopen(f);
        assert_message(f, "object-9.cbor: there is no former copy, its content is lost");
        assert_tree(f, "/9/1 /9/2 /10/0 "); /* what the journals have */
        saved_free(saved);
}

/* The same in the journal: what was whole before, and behind a damaged byte, too. */
static void test_damaged_journal(void **state) {
        Fixture *f = *state;
        Saved saved[4];

        prepare_damage(f);
        save(f, saved);
        for (size_t i = 0; i < 2 * saved[2].n; i++) {
                g_autofree char *data = g_memdup2(saved[2].data, saved[2].n), *text = NULL;
                size_t n = saved[2].n;
                bool cut = i < n;

                if (cut)
                        n = i;
                else
                        data[i - n] ^= (char) (1 << i % 8);
                put_back(f, saved);
                file_put(f, "journal", data, n);
                reopen(f);
                text = dump(&f->run);
                assert_true(g_str_has_prefix(text, "/9/0 /9/1 "));
                if (!cut) /* one entry of two, or both */
                        assert_true(strstr(text, "/9/2 ") || strstr(text, "/10/0 "));
                assert_true(f->messages->len > 0 || strcmp(text, whole) == 0 || cut);
                create(f, ORIGIN_SERVER, 9, 100); /* goes on working */
                restart(f);
                assert_true(tree_exists(f->run.tree, &PATH_OI(9, 100)));
                assert_int_equal(f->messages->len, 0);
                run_kill(&f->run);
        }
        put_back(f, saved);
        file_put(f, "journal", "x", 1);
        reopen(f);
        assert_message(f, "journal: is damaged, set aside as journal.bad-0");
        assert_tree(f, "/9/0 /9/1 ");
        saved_free(saved);
}

static void put_future(Fixture *f, const char *name) {
        g_autoptr(GByteArray) payload = g_byte_array_new(), file = g_byte_array_new();

        cborio_put_text(payload, "lwm2md", 6);
        cborio_put_uint(payload, STORE_FORMAT_VERSION + 1);
        frame_put(file, payload->data, payload->len);
        file_put(f, name, file->data, file->len);
}

static void test_refused_files(void **state) {
        Fixture *f = *state;
        g_autofree char *file = file_name(f, "object-9.cbor");
        Saved saved[4];

        prepare_damage(f);
        save(f, saved);
        put_future(f, "object-9.cbor");
        reopen(f);
        assert_message(f, "object-9.cbor: was written by a later version of lwm2md, set aside as "
                          "object-9.cbor.bad-0");
        assert_tree(f, whole);
        run_kill(&f->run);

        put_back(f, saved);
        put_future(f, "journal");
        reopen(f);
        assert_message(
                f, "journal: was written by a later version of lwm2md, set aside as journal.bad-0");
        assert_tree(f, "/9/0 /9/1 ");
        run_kill(&f->run);

        put_back(f, saved);
        unlink(file);
        assert_int_equal(symlink("object-9.cbor.old", file), 0);
        reopen(f);
        assert_message(f, "object-9.cbor: is no regular file, set aside");
        assert_tree(f, whole);
        run_kill(&f->run);

        put_back(f, saved);
        unlink(file);
        assert_int_equal(mkdir(file, 0700), 0);
        reopen(f);
        assert_message(f, "object-9.cbor: is no regular file, set aside");
        assert_tree(f, whole);
        run_kill(&f->run);

        put_back(f, saved);
        file_put(f, "object-9.cbor", saved[1].data, saved[1].n);
        file_put(f, "object-10.cbor", saved[0].data, saved[0].n); /* another object's */
        reopen(f);
        assert_message(f, "object-10.cbor: is damaged");
        run_kill(&f->run);

        put_back(f, saved);
        f->config.file_bytes_max = 500;
        assert_int_equal(truncate(file, 501), 0);
        reopen(f);
        assert_message(f, "object-9.cbor: is larger than allowed");
        assert_tree(f, whole);
        saved_free(saved);
}

static void test_foreign_owner(void **state) {
        Fixture *f = *state;
        g_autofree char *file = file_name(f, "object-9.cbor");
        Saved saved[4];

        if (geteuid() != 0)
                skip();
        prepare_damage(f);
        save(f, saved);
        assert_int_equal(chown(file, 12345, 12345), 0);
        reopen(f);
        assert_message(f,
                       "object-9.cbor: belongs to another user, set aside as object-9.cbor.bad-0");
        assert_tree(f, whole);
        saved_free(saved);
}

static void test_bad_files_bounded(void **state) {
        Fixture *f = *state;
        unsigned n = 0;

        f->config.journal_bytes_max = 1;
        restart(f);
        create(f, ORIGIN_SERVER, 9, 0);
        for (int i = 0; i < 8; i++) {
                run_kill(&f->run);
                file_put(f, "object-9.cbor", "damage", 6);
                reopen(f);
                assert_tree(f, "/9/0 ");
                put(f, ORIGIN_SERVER, PATH_OIR(9, 0, 1), i);
                drop(f, ORIGIN_SERVER, PATH_OIR(9, 0, 1));
        }
        for (int i = 0; i < 20; i++) {
                g_autofree char *name = g_strdup_printf("object-9.cbor.bad-%d", i);

                n += file_exists(f, name);
        }
        assert_int_equal(n, 5);
}

/* --- a full disk --- */

static void disk_full(bool full) {
        faults.calls = 0;
        faults.fail_at = full ? 1 : 0;
        faults.error = ENOSPC;
        faults.once = false;
}

static void test_full_disk(void **state) {
        Fixture *f = *state;

        create(f, ORIGIN_SERVER, 9, 0);
        put(f, ORIGIN_SERVER, PATH_OIR(9, 0, 1), 1);
        assert_int_equal(store_set_policy(f->run.store, &PATH_OIR(9, 0, 2), PERSIST_ALWAYS), 0);
        disk_full(true);
        begin(f, ORIGIN_SERVER);
        set(f, PATH_OIR(9, 0, 1), 2);
        assert_int_equal(tree_commit(f->run.tree), -ENOSPC);
        assert_tree(f, "/9/0 /9/0/1=1 ");
        put(f, ORIGIN_APP, PATH_OIR(9, 0, 2), 3); /* costs no space now */
        put(f, ORIGIN_APP, PATH_OIR(9, 0, 3), 4);
        assert_int_equal(store_sync(f->run.store), -ENOSPC);
        assert_int_equal(store_sync(f->run.store), -ENOSPC);
        assert_true(store_pending(f->run.store));
        assert_tree(f, "/9/0 /9/0/1=1 /9/0/2=3 /9/0/3=4 ");
        disk_full(false);
        assert_int_equal(store_sync(f->run.store), 0);
        put(f, ORIGIN_SERVER, PATH_OIR(9, 0, 1), 5);
        restart(f);
        assert_tree(f, "/9/0 /9/0/1=5 /9/0/2=3 ");
        /* With the journal's limit passed and no room for the files the journal goes on alone. */
        f->config.journal_bytes_max = 1;
        restart(f);
        faults.calls = 0;
        faults.fail_at = 3;
        faults.error = ENOSPC;
        put(f, ORIGIN_SERVER, PATH_OIR(9, 0, 1), 6);
        assert_message(f, "cannot write its files: No space left on device");
        faults.fail_at = 0;
        put(f, ORIGIN_SERVER, PATH_OIR(9, 0, 1), 7);
        put(f, ORIGIN_SERVER, PATH_OIR(9, 0, 1), 8);
        assert_message(f, "can be written again");
        restart(f);
        assert_tree(f, "/9/0 /9/0/1=8 /9/0/2=3 ");
}

/* A start with no room at all for a new journal. */
static void test_full_disk_at_start(void **state) {
        Fixture *f = *state;

        run_close(&f->run);
        remove_directory(f->dir);
        disk_full(true);
        reopen(f);
        begin(f, ORIGIN_SERVER);
        assert_int_equal(tree_create(f->run.tree, 9, 0, (Version){ 0, 0 }), 0);
        assert_int_equal(tree_commit(f->run.tree), -ENOSPC);
        disk_full(false);
        create(f, ORIGIN_SERVER, 9, 0);
        restart(f);
        assert_tree(f, "/9/0 ");
}

/* The real thing, where a small file system of our own can be had. */
static void full_tmpfs(Fixture *f) {
        g_autofree char *filler = file_name(f, "filler");
        static char block[4096];
        bool refused = false;
        int fd;

        reopen(f);
        create(f, ORIGIN_SERVER, 9, 0);
        fd = open(filler, O_WRONLY | O_CREAT, 0600);
        while (syscall(SYS_write, fd, block, sizeof(block)) > 0)
                ;
        close(fd);
        for (int i = 0; i < 2000 && !refused; i++) {
                begin(f, ORIGIN_SERVER);
                set(f, PATH_OIR(9, 0, 1), i);
                refused = tree_commit(f->run.tree) == -ENOSPC;
        }
        assert_true(refused);
        unlink(filler);
        put(f, ORIGIN_SERVER, PATH_OIR(9, 0, 1), 4711);
        restart(f);
        assert_tree(f, "/9/0 /9/0/1=4711 ");
        run_close(&f->run);
}

static void test_full_file_system(void **state) {
        Fixture *f = *state;
        int status;
        pid_t pid;

        run_close(&f->run);
        pid = fork();
        if (pid == 0) {
                if (unshare(CLONE_NEWNS) < 0 ||
                    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
                    mount("none", f->dir, "tmpfs", 0, "size=128k") < 0)
                        _exit(77);
                full_tmpfs(f);
                _exit(0);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        reopen(f);
        if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
                skip();
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* --- definitions that come and go --- */

static void test_unknown_object(void **state) {
        Fixture *f = *state;
        char *error = NULL;

        f->config.journal_bytes_max = 1;
        run_close(&f->run);
        assert_int_equal(run_open(f, f->dir, one_more, &f->run), 0);
        create(f, ORIGIN_SERVER, 77, 0);
        put(f, ORIGIN_SERVER, PATH_OIR(77, 0, 1), 1);
        run_kill(&f->run);
        f->config.journal_bytes_max = 0;
        assert_int_equal(run_open(f, f->dir, one_more, &f->run), 0);
        put(f, ORIGIN_SERVER, PATH_OIR(77, 0, 1), 2); /* in the journal */
        create(f, ORIGIN_SERVER, 77, 1);
        run_kill(&f->run);
        f->config.journal_bytes_max = 1;
        for (int i = 0; i < 3;
             i++) { /* however often it is loaded and written without the definition */
                reopen(f);
                assert_message(f, "object-77: ");
                assert_tree(f, i < 1 ? "" : "/9/0 ");
                if (i == 0)
                        create(f, ORIGIN_SERVER, 9, 0);
                put(f, ORIGIN_SERVER, PATH_OIR(9, 0, 1), i);
                drop(f, ORIGIN_SERVER, PATH_OIR(9, 0, 1));
                run_kill(&f->run);
        }
        reopen(f);
        assert_int_equal(store_adopt(f->run.store), 0);
        assert_int_equal(
                schema_add_xml(f->run.schema, "x", one_more, strlen(one_more), NULL, &error), 0);
        assert_int_equal(store_adopt(f->run.store), 4);
        assert_tree(f, "/9/0 /77/0 /77/0/1=2 /77/1 ");
        assert_true(store_is_persisted(f->run.store, &PATH_OIR(77, 0, 1)));
        assert_int_equal(store_adopt(f->run.store), 0);
        drop(f, ORIGIN_SERVER, PATH_OI(77, 0));
        run_kill(&f->run);
        assert_int_equal(run_open(f, f->dir, one_more, &f->run), 0);
        assert_tree(f, "/77/1 ");
}

/* A resource the definition has lost: the rest of its instance loads, and a deletion takes it
 * along. */
static void test_unknown_resource(void **state) {
        static const char less[] =
                "<LWM2M><Object><Name>A</Name><ObjectID>9</ObjectID><MultipleInstances>Multiple"
                "</MultipleInstances><Mandatory>Optional</Mandatory><Resources>" R("1", "Single",
                                                                                   "Integer")
                        R("3", "Single", "String") "</Resources></Object></LWM2M>";
        Fixture *f = *state;

        for (uint16_t i = 0; i < 2; i++) {
                create(f, ORIGIN_SERVER, 9, i);
                put(f, ORIGIN_SERVER, PATH_OIR(9, i, 1), 1);
                put(f, ORIGIN_SERVER, PATH_OIR(9, i, 2), 2);
                put(f, ORIGIN_SERVER, PATH_OIR(9, i, 3), 3);
        }
        run_kill(&f->run);
        f->config.journal_bytes_max = 1;
        assert_int_equal(run_open(f, f->dir, less, &f->run), 0);
        assert_message(f, "object-9: 4 entries fit no definition known now, kept");
        assert_tree(f, "/9/0 /9/0/1=1 /9/1 /9/1/1=1 ");
        drop(f, ORIGIN_SERVER, PATH_OI(9, 0));
        create(f, ORIGIN_SERVER, 9, 0);
        assert_int_equal(store_compact(f->run.store), 0);
        restart(f);
        assert_tree(f, "/9/0 /9/1 /9/1/1=1 /9/1/2=2 /9/1/3=3 ");
        run_kill(&f->run);
        f->config.journal_bytes_max = 0;
        assert_int_equal(run_open(f, f->dir, less, &f->run), 0);
        assert_int_equal(store_compact(f->run.store), 0);
        drop(f, ORIGIN_SERVER, PATH_OI(9, 1)); /* in the journal */
        create(f, ORIGIN_SERVER, 9, 1);
        run_kill(&f->run);
        assert_int_equal(run_open(f, f->dir, less, &f->run), 0);
        assert_int_equal(f->messages->len, 0);
        assert_int_equal(store_compact(f->run.store), 0);
        restart(f);
        assert_tree(f, "/9/0 /9/1 ");
}

/* --- size --- */

static void test_compaction(void **state) {
        Fixture *f = *state;
        g_autofree char *journal = file_name(f, "journal");
        struct stat st;

        f->config.journal_bytes_max = 4096;
        restart(f);
        create(f, ORIGIN_SERVER, 9, 0);
        for (int i = 0; i < 5000; i++) {
                put(f, ORIGIN_SERVER, PATH_OIR(9, 0, 1), i);
                assert_int_equal(stat(journal, &st), 0);
                assert_true(st.st_size < 4096 + 100);
        }
        restart(f);
        assert_tree(f, "/9/0 /9/0/1=4999 ");
        f->config.file_bytes_max = 1000;
        restart(f);
        begin(f, ORIGIN_SERVER);
        {
                g_auto(Value) v =
                        value_text(VALUE_OPAQUE, memset((char[2000]){ 0 }, 'x', 2000), 2000);

                assert_int_equal(tree_set(f->run.tree, &PATH_OIR(9, 0, 5), &v), 0);
        }
        assert_int_equal(tree_commit(f->run.tree), -EFBIG); /* could not be read back */
        put(f, ORIGIN_SERVER, PATH_OIR(9, 0, 1), 1);
        restart(f);
        assert_tree(f, "/9/0 /9/0/1=1 ");
}

/* --- crashes --- */

typedef struct Shared { /* between the writer and its judge */
        volatile long done, synced;
} Shared;

/* A fixed course of work. What it has done after n steps is the same each time. */
static void work_step(Fixture *f, int i) {
        uint16_t instance = (uint16_t) (i * 7 % 5);

        switch (i % 6) {
        case 0:
                if (!tree_exists(f->run.tree, &PATH_OI(9, instance)))
                        create(f, ORIGIN_APP, 9, instance);
                break;
        case 1:
                if (!tree_exists(f->run.tree, &PATH_OI(1, instance)))
                        create(f, ORIGIN_SERVER, 1, instance);
                else
                        put(f, ORIGIN_SERVER, PATH_OIR(1, instance, 1), i);
                break;
        case 2:
        case 3:
                if (tree_exists(f->run.tree, &PATH_OI(9, instance))) {
                        begin(f, ORIGIN_SERVER);
                        set(f, PATH_OIR(9, instance, 1), i);
                        set(f, PATH_OIRI(9, instance, 10, i % 3), i);
                        commit(f);
                }
                break;
        case 4:
                if (i % 5 == 0 && tree_exists(f->run.tree, &PATH_OI(9, instance)))
                        drop(f, ORIGIN_SERVER, PATH_OI(9, instance));
                break;
        case 5:
                if (tree_exists(f->run.tree, &PATH_OI(10, 0)))
                        put(f, ORIGIN_APP, PATH_OIR(10, 0, 1), i);
                else
                        create(f, ORIGIN_APP, 10, 0);
                break;
        default:
                break;
        }
}

#define N_STEPS 96

/* Object 10 has app values under PERSIST_ALWAYS: they are safe with the next sync only. */
static void work(Fixture *f, Shared *shared) {
        assert_int_equal(store_set_policy(f->run.store, &PATH_O(10), PERSIST_ALWAYS), 0);
        for (int i = 0; i < N_STEPS; i++) {
                work_step(f, i);
                shared->done = i + 1;
                if (i % 8 == 7) {
                        assert_int_equal(store_sync(f->run.store), 0);
                        shared->synced = i + 1;
                }
        }
}

/* What each step leaves, without the values of object 10, and those by themselves. */
typedef struct Expected {
        char *all[N_STEPS + 1], *app[N_STEPS + 1];
} Expected;

static void strip_app_value(char *text, char **ret_app) {
        char *value = strstr(text, "/10/0/1=");

        *ret_app = g_strdup(value ? value : "");
        if (value)
                *value = '\0'; /* it is the last */
}

static void note_expected(Fixture *f, Expected *e) {
        e->all[0] = g_strdup("");
        e->app[0] = g_strdup("");
        for (int i = 0; i < N_STEPS; i++) {
                work_step(f, i);
                e->all[i + 1] = dump(&f->run);
                strip_app_value(e->all[i + 1], &e->app[i + 1]);
        }
}

static void judge(Fixture *f, const Expected *e, const Shared *shared, long at) {
        g_autofree char *text = NULL, *app = NULL;
        bool found = false;

        reopen(f);
        text = dump(&f->run);
        strip_app_value(text, &app);
        /* The step that was cut short may have reached the disk or not. */
        if (strcmp(text, e->all[shared->done]) != 0 &&
            (shared->done == N_STEPS || strcmp(text, e->all[shared->done + 1]) != 0))
                fail_msg("crash at call %ld after step %ld: %s\ninstead of %s", at, shared->done,
                         text, e->all[shared->done]);
        for (long i = shared->synced; i <= MIN(shared->done + 1, N_STEPS) && !found; i++)
                found = strcmp(app, e->app[i]) == 0;
        if (!found)
                fail_msg("crash at call %ld after step %ld: %s", at, shared->done, app);
        for (unsigned i = 0; i < f->messages->len; i++)
                assert_non_null(strstr(f->messages->pdata[i], "not finished"));
        run_kill(&f->run);
}

/* The process dies in the middle of its nth system call, for every n, with and without what was not
 * synced: what was acknowledged is there afterwards. */
static void crash_everywhere(Fixture *f, bool power_loss, int names_lost) {
        Shared *shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
                              MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        Expected e;
        int status = 0;
        long at;

        note_expected(f, &e);
        run_close(&f->run);
        f->config.journal_bytes_max = 300; /* several generations of files */
        for (at = 1;; at++) {
                pid_t pid;

                remove_directory(f->dir);
                *shared = (Shared){ 0 };
                pid = fork();
                if (pid == 0) {
                        memset(&faults, 0, sizeof(faults));
                        faults.power_loss = power_loss;
                        faults.names_lost = names_lost;
                        faults.crash_at = at;
                        reopen(f);
                        work(f, shared);
                        _exit(1); /* ran to its end */
                }
                assert_int_equal(waitpid(pid, &status, 0), pid);
                assert_true(WIFEXITED(status));
                judge(f, &e, shared, at);
                if (WEXITSTATUS(status) != 0)
                        break;
        }
        assert_int_equal(WEXITSTATUS(status), 1);
        assert_int_equal(shared->done, N_STEPS);
        print_message("%ld crashes\n", at - 1);
        assert_true(at > 200);
        munmap(shared, sizeof(*shared));
        for (int i = 0; i <= N_STEPS; i++) {
                g_free(e.all[i]);
                g_free(e.app[i]);
        }
        reopen(f);
}

static void test_crash(void **state) {
        crash_everywhere(*state, false, 0);
}

static void test_power_loss(void **state) {
        crash_everywhere(*state, true, 0);
}

static void test_names_lost(void **state) {
        crash_everywhere(*state, true, 1);
}

static void test_names_lost_out_of_order(void **state) {
        crash_everywhere(*state, true, 2);
}

int main(void) {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        const struct CMUnitTest tests[] = {
                T(test_server_writes),
                T(test_types),
                T(test_app_values),
                T(test_internal),
                T(test_always),
                T(test_always_emptied),
                T(test_policies),
                T(test_policy_changes),
                T(test_deletes),
                T(test_blobs),
                T(test_reset),
                T(test_whole_accounts),
                T(test_lock),
                T(test_directory),
                T(test_modes),
                T(test_damaged_file),
                T(test_damaged_journal),
                T(test_refused_files),
                T(test_foreign_owner),
                T(test_bad_files_bounded),
                T(test_full_disk),
                T(test_full_disk_at_start),
                T(test_full_file_system),
                T(test_unknown_object),
                T(test_unknown_resource),
                T(test_compaction),
                T(test_crash),
                T(test_power_loss),
                T(test_names_lost),
                T(test_names_lost_out_of_order),
        };
        /* Thousands of small files: in memory, if there is such a place. */
        if (!getenv("TMPDIR") && access("/dev/shm", W_OK) == 0)
                g_setenv("TMPDIR", "/dev/shm", TRUE);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
