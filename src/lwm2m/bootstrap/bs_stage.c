/* SPDX-License-Identifier: Apache-2.0 */
#include "lwm2m/bootstrap/bs_stage.h"

#include <errno.h>

#include "lwm2m/bootstrap/bs_account.h"

#define PATHS_MAX 4096
#define BYTES_MAX (1U << 20)

/* At the path of an object instance: it must be there. Of a multiple resource: it is emptied, and
 * its instances stand below. Elsewhere a value. */
typedef struct Staged {
        Path path;
        Value value; /* owned */
} Staged;

struct BsStage {
        Tree *tree;
        BsLimits limits;
        GArray *deleted; /* of Path: instances, objects, the root; none inside another */
        GTree *written;  /* Path * (of the Staged) -> Staged */
        uint64_t n_bytes;
        uint16_t bs_instance; /* of object 0; ID_RESERVED without one */
        uint16_t bs_oscore;   /* of object 21; ID_RESERVED */
};

static void free_staged(void *data) {
        Staged *s = data;

        value_clear(&s->value);
        g_free(s);
}

static int compare_keys(const void *a, const void *b, void *userdata) {
        return path_compare(a, b);
}

BsStage *bs_stage_new(Tree *tree, const BsLimits *limits) {
        g_autoptr(Account) account = bs_account_load(tree);
        BsStage *s = g_new(BsStage, 1);

        *s = (BsStage){
                .tree = tree,
                .limits = *limits,
                .deleted = g_array_new(FALSE, FALSE, sizeof(Path)),
                .written = g_tree_new_full(compare_keys, NULL, NULL, free_staged),
                .bs_instance = account ? account->security_instance : ID_RESERVED,
                .bs_oscore = ID_RESERVED,
        };
        if (account)
                (void) bs_account_oscore(tree, account->security_instance, &s->bs_oscore);
        s->limits.paths = limits->paths ? limits->paths : PATHS_MAX;
        s->limits.bytes = limits->bytes ? limits->bytes : BYTES_MAX;
        return s;
}

BsStage *bs_stage_free(BsStage *s) {
        if (!s)
                return NULL;
        g_tree_unref(s->written);
        g_array_unref(s->deleted);
        g_free(s);
        return NULL;
}

bool bs_stage_is_empty(const BsStage *s) {
        return s->deleted->len == 0 && g_tree_nnodes(s->written) == 0;
}

static int fail(char **ret_error, int error, const Path *p, const char *why) {
        *ret_error = g_strdup_printf("%s: %s", PATH_TEXT(p), why);
        return error;
}

/* --- what is there --- */

static bool is_spared(const BsStage *s, const Path *instance) {
        return instance->id[0] == OBJECT_DEVICE ||
               (instance->id[0] == OBJECT_SECURITY && instance->id[1] == s->bs_instance) ||
               (instance->id[0] == OBJECT_OSCORE && instance->id[1] == s->bs_oscore);
}

static bool is_deleted(const BsStage *s, const Path *instance) {
        if (is_spared(s, instance))
                return false;
        for (guint i = 0; i < s->deleted->len; i++)
                if (path_covers(&g_array_index(s->deleted, Path, i), instance))
                        return true;
        return false;
}

static bool is_there(const BsStage *s, const Path *instance) {
        return g_tree_lookup(s->written, instance) ||
               (tree_exists(s->tree, instance) && !is_deleted(s, instance));
}

/* What the values of an instance must follow: an instance that stays keeps its version. */
static const ObjectDef *definition(const BsStage *s, const Path *instance) {
        return tree_object_def(
                s->tree, instance->id[0],
                tree_exists(s->tree, instance) && !is_deleted(s, instance) ? instance->id[1] : -1);
}

static size_t value_bytes(const Value *v) {
        switch (v->type) {
        case VALUE_STRING:
        case VALUE_OPAQUE:
        case VALUE_CORELNK:
                return v->length;
        default:
                return 0;
        }
}

static void drop(BsStage *s, const Path *p) {
        const Staged *staged = g_tree_lookup(s->written, p);

        if (!staged)
                return;
        s->n_bytes -= value_bytes(&staged->value);
        g_tree_remove(s->written, p);
}

typedef struct Below {
        const BsStage *stage;
        const Path *prefix;
        GArray *paths;
        bool sparing;
} Below;

static gboolean on_below(void *key, void *value, void *userdata) {
        const Path *p = key, instance = path_prefix(p, 2);
        Below *below = userdata;

        if (path_covers(below->prefix, p) &&
            !(below->sparing && is_spared(below->stage, &instance)))
                g_array_append_vals(below->paths, p, 1);
        return FALSE;
}

static void drop_below(BsStage *s, const Path *prefix, bool sparing) {
        Below below = { .stage = s,
                        .prefix = prefix,
                        .paths = g_array_new(FALSE, FALSE, sizeof(Path)),
                        .sparing = sparing };

        g_tree_foreach(s->written, on_below, &below);
        for (guint i = 0; i < below.paths->len; i++)
                drop(s, &g_array_index(below.paths, Path, i));
        g_array_unref(below.paths);
}

static void put(BsStage *s, const Path *p, Value *value /* taken over; may be NULL */) {
        Staged *staged = g_new(Staged, 1);

        drop(s, p);
        *staged = (Staged){ .path = *p, .value = value ? value_steal(value) : VALUE_INIT };
        s->n_bytes += value_bytes(&staged->value);
        g_tree_insert(s->written, &staged->path, staged);
}

static bool has_room(const BsStage *s, size_t n_paths, uint64_t n_bytes) {
        return s->deleted->len + (size_t) g_tree_nnodes(s->written) + n_paths <= s->limits.paths &&
               s->n_bytes + n_bytes <= s->limits.bytes;
}

/* --- Write --- */

static int check_instance(const BsStage *s, const Path *instance, const ObjectDef **ret,
                          char **ret_error) {
        const ObjectDef *def = definition(s, instance);

        if (!def)
                return fail(ret_error, -ENOENT, &(Path){ .id = { instance->id[0] }, .n = 1 },
                            "the object is not supported");
        if (instance->id[1] > ID_MAX || (!def->multiple && instance->id[1] != 0))
                return fail(ret_error, -EINVAL, instance, "no such object instance is possible");
        *ret = def;
        return 0;
}

/* 1 when the record is to be ignored. Converts its value. */
static int check_record(const Path *base, const ObjectDef *def, Record *r, char **ret_error) {
        const ResourceDef *resource = object_resource(def, r->path.id[2]);
        g_auto(Value) converted = VALUE_INIT;
        int k;

        if (!resource)
                return base->n < 3 ? 1 : fail(ret_error, -ENOENT, &r->path, "no such resource");
        if (resource->type == VALUE_NONE)
                return fail(ret_error, -EINVAL, &r->path, "executable, has no value");
        if (r->path.n == 4 && (!resource->multiple || r->path.id[3] > ID_MAX))
                return fail(ret_error, -EINVAL, &r->path, "no such resource instance is possible");
        if (r->value.type == VALUE_NONE)
                return r->path.n == 3 && resource->multiple
                               ? 0
                               : fail(ret_error, -EINVAL, &r->path, "no value");
        if (r->path.n == 3 && resource->multiple)
                return fail(ret_error, -EINVAL, &r->path,
                            "a multiple resource, its instances must be named");
        k = value_convert(&r->value, (ValueType) resource->type, &converted);
        if (k >= 0)
                k = resource_check(resource, &converted);
        if (k < 0)
                return fail(ret_error, k, &r->path,
                            k == -ERANGE ? "out of range" : "not a value of its type");
        /* Only the owner of the device may name files of it as keys. */
        if (r->path.id[0] == OBJECT_SECURITY && credentials_is_reference(&converted))
                return fail(ret_error, -EINVAL, &r->path,
                            "the name of a file or of a key in a token is no key");
        value_clear(&r->value);
        r->value = value_steal(&converted);
        return 0;
}

/* Everything is looked at before anything is kept; what is to be ignored loses its path. */
static int check_records(const BsStage *s, const Path *base, RecordList *records,
                         char **ret_error) {
        uint64_t n_bytes = 0;

        for (size_t i = 0; i < records->n; i++) {
                Record *record = &records->v[i];
                const Path instance = path_prefix(&record->path, MIN(record->path.n, 2));
                const ObjectDef *def;
                int r;

                if (record->path.n < 2 || (record->path.n == 2 && record->value.type))
                        return fail(ret_error, -EINVAL, &record->path, "a value needs a resource");
                r = check_instance(s, &instance, &def, ret_error);
                if (r >= 0 && record->path.n > 2)
                        r = check_record(base, def, record, ret_error);
                if (r < 0)
                        return r;
                if (r > 0) {
                        record->path = instance;
                        value_clear(&record->value);
                } else
                        n_bytes += value_bytes(&record->value);
        }
        /* Each record may bring its instance and the emptying of its resource. */
        if (!has_room(s, records->n * 3 + 1, n_bytes))
                return fail(ret_error, -E2BIG, base, "more than a bootstrap session may write");
        return 0;
}

/* A multiple resource is written as a whole (section 6.1.7.6 knows no instances of it). */
static void keep_record(BsStage *s, Record *r, Path *emptied) {
        const Path instance = path_prefix(&r->path, 2);
        const ResourceDef *def;
        Path resource;

        if (!g_tree_lookup(s->written, &instance))
                put(s, &instance, NULL);
        if (r->path.n == 2)
                return;
        resource = path_prefix(&r->path, 3);
        def = object_resource(definition(s, &instance), resource.id[2]);
        if (def->multiple && !path_equal(emptied, &resource)) {
                drop_below(s, &resource, false);
                put(s, &resource, NULL);
                *emptied = resource;
        }
        if (r->value.type != VALUE_NONE)
                put(s, &r->path, &r->value);
}

int bs_stage_write(BsStage *s, const Path *base, RecordList *records, char **ret_error) {
        Path emptied = PATH_ROOT;
        int r;

        if (base->n == 4)
                return fail(ret_error, -EPERM, base,
                            "resource instances are written with their "
                            "resource");
        if (base->n == 3 && !tree_object_def(s->tree, base->id[0], -1))
                return fail(ret_error, -ENOENT, base, "the object is not supported");
        if (base->n == 3 && records->n == 0)
                return fail(ret_error, -EINVAL, base, "no value");
        record_list_sort(records);
        r = check_records(s, base, records, ret_error);
        if (r < 0)
                return r;
        for (size_t i = 0; i < records->n; i++)
                keep_record(s, &records->v[i], &emptied);
        /* An instance without any resource that we know is an instance all the same. */
        if (base->n == 2 && records->n == 0) {
                const ObjectDef *def;

                r = check_instance(s, base, &def, ret_error);
                if (r < 0)
                        return r;
                put(s, base, NULL);
        }
        return 0;
}

/* --- Delete --- */

static int check_delete(const BsStage *s, const Path *p, char **ret_error) {
        if (p->n > 2)
                return fail(ret_error, -EPERM, p, "only object instances are deleted");
        if (p->n == 0)
                return 0;
        if (!tree_object_def(s->tree, p->id[0], -1))
                return fail(ret_error, -EINVAL, p, "no such object");
        if (p->id[0] == OBJECT_DEVICE)
                return fail(ret_error, -EINVAL, p, "must not be deleted");
        if (p->n == 2 && is_spared(s, p))
                return fail(ret_error, -EINVAL, p,
                            "the account of the bootstrap server must not be deleted");
        if (p->n == 2 && !is_there(s, p))
                return fail(ret_error, -EINVAL, p, "no such object instance");
        return 0;
}

static void delete_path(BsStage *s, const Path *p) {
        drop_below(s, p, true);
        for (guint i = s->deleted->len; i > 0; i--) {
                const Path *other = &g_array_index(s->deleted, Path, i - 1);

                if (path_covers(other, p))
                        return;
                if (path_covers(p, other))
                        g_array_remove_index_fast(s->deleted, i - 1);
        }
        g_array_append_vals(s->deleted, p, 1);
}

int bs_stage_delete(BsStage *s, const Path *p, char **ret_error) {
        int r;

        r = check_delete(s, p, ret_error);
        if (r < 0)
                return r;
        if (!has_room(s, 1, 0))
                return fail(ret_error, -E2BIG, p, "more than a bootstrap session may delete");
        delete_path(s, p);
        return 0;
}

/* --- Bootstrap-Pack --- */

int bs_stage_pack(BsStage *s, RecordList *records, char **ret_error) {
        Path last = PATH_ROOT;
        int r;

        record_list_sort(records);
        r = check_records(s, &PATH_ROOT, records, ret_error);
        if (r < 0)
                return r;
        for (size_t i = 0; i < records->n; i++) {
                const Path object = path_prefix(&records->v[i].path, 1);

                if (!path_equal(&object, &last) && object.id[0] != OBJECT_DEVICE)
                        delete_path(s, &object);
                last = object;
        }
        return bs_stage_write(s, &PATH_ROOT, records, ret_error);
}

/* --- the operations --- */

static void add_deletes(const BsStage *s, OpList *ops) {
        Path p = PATH_ROOT;

        if (s->deleted->len == 0)
                return;
        while (tree_next_instance(s->tree, &p, &p) == 0)
                if (is_deleted(s, &p))
                        op_list_add(ops, OP_DELETE, &p, NULL);
}

typedef struct Adding {
        const BsStage *stage;
        OpList *ops;
} Adding;

static gboolean on_written(void *key, void *data, void *userdata) {
        const Adding *adding = userdata;
        const BsStage *s = adding->stage;
        const Staged *staged = data;
        Value copy = value_copy(&staged->value);

        if (staged->path.n == 2) {
                if (!tree_exists(s->tree, &staged->path) || is_deleted(s, &staged->path))
                        op_list_add(adding->ops, OP_CREATE, &staged->path, NULL);
        } else if (staged->value.type == VALUE_NONE)
                op_list_add(adding->ops, OP_REPLACE, &staged->path, NULL);
        else
                op_list_add(adding->ops, OP_SET, &staged->path, &copy);
        value_clear(&copy);
        return FALSE;
}

void bs_stage_ops(BsStage *s, OpList *ret) {
        Adding adding = { s, ret };

        add_deletes(s, ret);
        g_tree_foreach(s->written, on_written, &adding);
}

/* An account that was written takes the place of the former one (section 6.1.4, step 3). */
static gboolean on_new_account(void *key, void *data, void *userdata) {
        const Adding *adding = userdata;
        const BsStage *s = adding->stage;
        const Staged *staged = data;
        const Path *p = &staged->path, old = PATH_OI(OBJECT_SECURITY, s->bs_instance),
                   oscore = PATH_OI(OBJECT_OSCORE, s->bs_oscore);

        if (p->n != 3 || p->id[0] != OBJECT_SECURITY || p->id[2] != SECURITY_BOOTSTRAP ||
            p->id[1] == s->bs_instance || staged->value.type != VALUE_BOOLEAN || !staged->value.b)
                return FALSE;
        op_list_add(adding->ops, OP_DELETE, &old, NULL);
        if (s->bs_oscore != ID_RESERVED && tree_exists(s->tree, &oscore))
                op_list_add(adding->ops, OP_DELETE, &oscore, NULL);
        return TRUE;
}

static void add_times(const BsStage *s, int64_t now_sec, OpList *ops) {
        Path p = PATH_O(OBJECT_SERVER);
        g_autoptr(GArray) instances = g_array_new(FALSE, FALSE, sizeof(Path));

        while (tree_next_instance(s->tree, &p, &p) == 0 && p.id[0] == OBJECT_SERVER)
                if (!is_deleted(s, &p))
                        g_array_append_val(instances, p);
        for (size_t i = 0; i < ops->n; i++)
                if (ops->v[i].kind == OP_CREATE && ops->v[i].path.id[0] == OBJECT_SERVER)
                        g_array_append_val(instances, ops->v[i].path);
        for (guint i = 0; i < instances->len; i++) {
                const Path *instance = &g_array_index(instances, Path, i);
                const Path at = path_child(instance, SERVER_LAST_BOOTSTRAPPED);
                Value now = { .type = VALUE_TIME, .i = now_sec };

                if (object_resource(definition(s, instance), SERVER_LAST_BOOTSTRAPPED))
                        op_list_add(ops, OP_SET, &at, &now);
        }
}

void bs_stage_final_ops(BsStage *s, int64_t now_sec, OpList *ret) {
        Adding adding = { s, ret };

        bs_stage_ops(s, ret);
        if (s->bs_instance != ID_RESERVED)
                g_tree_foreach(s->written, on_new_account, &adding);
        add_times(s, now_sec, ret);
}
