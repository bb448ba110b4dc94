/* SPDX-License-Identifier: Apache-2.0 */
#include "lwm2m/ops.h"

#include <errno.h>
#include <string.h>

static const char *const op_names[] = {
        [OP_CREATE] = "create", [OP_DELETE] = "delete",   [OP_SET] = "set",
        [OP_UNSET] = "unset",   [OP_REPLACE] = "replace", [OP_EXPECT] = "expect",
};

const char *op_name(OpKind kind) {
        return op_names[kind];
}

int op_from_name(const char *name, OpKind *ret) {
        for (size_t i = 0; i < G_N_ELEMENTS(op_names); i++)
                if (strcmp(name, op_names[i]) == 0) {
                        *ret = (OpKind) i;
                        return 0;
                }
        return -EINVAL;
}

void op_list_add(OpList *l, OpKind kind, const Path *path, Value *value) {
        if (l->n == l->n_allocated) {
                l->n_allocated = MAX(l->n_allocated * 2, 8);
                l->v = g_renew(Op, l->v, l->n_allocated);
        }
        l->v[l->n++] = (Op){
                .path = *path,
                .value = value ? value_steal(value) : VALUE_INIT,
                .kind = kind,
        };
}

void op_list_clear(OpList *l) {
        for (size_t i = 0; i < l->n; i++)
                value_clear(&l->v[i].value);
        g_free(l->v);
        *l = (OpList){ .v = NULL };
}

/* --- what went wrong, in words --- */
static const char *reason_of_set(const Tree *tree, const Op *op, int error) {
        static __thread char text[192];
        const ResourceDef *def = tree_resource_def(tree, &op->path);

        switch (-error) {
        case EINVAL:
                if (!def || def->type == op->value.type)
                        return "not a valid value";
                g_snprintf(text, sizeof(text), "%s expected, got %s", value_type_name(def->type),
                           op->value.type == VALUE_NONE ? "nothing"
                                                        : value_type_name(op->value.type));
                return text;
        case ERANGE:
                if (def && def->range_text && def->range_text[0])
                        g_snprintf(text, sizeof(text), "out of range, allowed is %s",
                                   def->range_text);
                else
                        g_snprintf(text, sizeof(text), "does not fit the type %s",
                                   def ? value_type_name(def->type) : "of the resource");
                return text;
        case ENOENT:
                return def ? "no such object instance"
                       : tree_object_def(tree, op->path.id[0], -1)
                               ? "no such resource in the object's definition"
                               : "the object is not defined";
        case EISDIR:
                return "a multiple resource, name one of its instances";
        case ENOTDIR:
                return "not a multiple resource";
        case EPERM:
                return def && def->type != VALUE_NONE ? "stays as it is, it names the account"
                                                      : "executable, has no value";
        default:
                return strerror(-error);
        }
}

static const char *reason_of_create(const Op *op, int error) {
        switch (-error) {
        case EEXIST:
                return "exists already";
        case ENOENT:
                return "the object is not defined";
        case EDQUOT:
                return "the limit of object instances is reached";
        case EPERM:
                return "the object has one instance only, with id 0";
        case EINVAL:
                return "not the path of an object instance";
        default:
                return strerror(-error);
        }
}

static const char *reason(const Tree *tree, const Op *op, int error) {
        if (error == -EDQUOT && op->kind != OP_CREATE)
                return "the limit of bytes in values is reached";
        switch (op->kind) {
        case OP_CREATE:
                return reason_of_create(op, error);
        case OP_SET:
                return reason_of_set(tree, op, error);
        case OP_EXPECT:
                return error == -EBADE ? "is not as expected" : strerror(-error);
        case OP_DELETE:
        case OP_UNSET:
        case OP_REPLACE:
        default:
                return error == -ENOENT  ? "does not exist"
                       : error == -EPERM ? "the object's definition does not allow it"
                                         : strerror(-error);
        }
}

static int fail(const Tree *tree, const Op *op, size_t index, int r, OpError *error) {
        if (error) {
                error->index = index;
                g_snprintf(error->text, sizeof(error->text), "%s: %s", PATH_TEXT(&op->path),
                           reason(tree, op, r));
        }
        return r;
}

/* --- applying --- */
static int on_writable(void *userdata, const Path *p, const Value *v, const ResourceDef *def) {
        if (p->n == 3 && def->operations & OPERATION_WRITE)
                g_array_append_vals(userdata, p, 1);
        return 0;
}

static int apply_replace(Tree *tree, const Path *p) {
        g_autoptr(GArray) paths = NULL;
        const ResourceDef *def;
        int r;

        if (p->n == 3) {
                def = tree_resource_def(tree, p);
                if (!def)
                        return -ENOENT;
                return def->multiple ? tree_clear_resource(tree, p) : 0;
        }
        if (p->n != 2)
                return -EINVAL;
        if (!tree_exists(tree, p))
                return -ENOENT;
        paths = g_array_new(FALSE, FALSE, sizeof(Path));
        tree_walk(tree, p, on_writable, paths);
        for (guint i = 0; i < paths->len; i++) {
                r = tree_delete(tree, &g_array_index(paths, Path, i));
                if (r < 0)
                        return r;
        }
        return 0;
}

static int apply_expect(Tree *tree, const Op *op) {
        g_auto(Value) expected = VALUE_INIT;
        const Value *v;
        int r;

        if (op->value.type == VALUE_NONE)
                return tree_exists(tree, &op->path) ? -EBADE : 0;
        r = tree_get(tree, &op->path, &v);
        if (r == -ENOENT)
                return -EBADE;
        if (r < 0)
                return r;
        r = value_convert(&op->value, v->type, &expected);
        if (r < 0)
                return -EBADE;
        return value_equal(&expected, v) ? 0 : -EBADE;
}

static int apply_one(Tree *tree, const Op *op) {
        const Path *p = &op->path;

        switch (op->kind) {
        case OP_CREATE:
                return p->n == 2 ? tree_create(tree, p->id[0], p->id[1], (Version){ 0 }) : -EINVAL;
        case OP_DELETE:
                return p->n == 2 ? tree_delete(tree, p) : -EINVAL;
        case OP_SET:
                return p->n >= 3 && op->value.type != VALUE_NONE ? tree_set(tree, p, &op->value)
                                                                 : -EINVAL;
        case OP_UNSET:
                return p->n >= 3 ? tree_delete(tree, p) : -EINVAL;
        case OP_REPLACE:
                return apply_replace(tree, p);
        case OP_EXPECT:
                return apply_expect(tree, op);
        default:
                return -EINVAL;
        }
}

/* A value that a hook may take never reaches tree_set(), so it meets the definition here. */
static int apply_hooked_set(Tree *tree, const Op *op, const OpsHook *hook) {
        const Path instance = path_prefix(&op->path, 2);
        g_auto(Value) value = VALUE_INIT;
        const ResourceDef *def;
        int r;

        def = tree_resource_def(tree, &op->path);
        if (!def || !tree_exists(tree, &instance))
                return -ENOENT;
        r = value_convert(&op->value, def->type, &value);
        if (r < 0)
                return r;
        r = resource_check(def, &value);
        if (r < 0)
                return r;
        r = hook->before(hook->userdata, &(Op){ .path = op->path, .kind = OP_SET, .value = value });
        return r == -ENOSYS ? tree_set(tree, &op->path, &value) : r;
}

static bool is_deferred(const OpsHook *hook, const Op *op) {
        return hook && op->kind == OP_SET && op->path.n >= 3 && op->value.type != VALUE_NONE &&
               hook->concerns(hook->userdata, &op->path);
}

static int run(Tree *tree, const Op *ops, size_t n, const OpsHook *hook, OpError *error) {
        bool deferred = false;
        int r;

        for (size_t i = 0; i < n; i++) {
                if (is_deferred(hook, &ops[i])) {
                        deferred = true;
                        continue;
                }
                r = -ENOSYS;
                if (hook && (ops[i].kind == OP_CREATE || ops[i].kind == OP_DELETE))
                        r = hook->before(hook->userdata, &ops[i]);
                if (r == -ENOSYS || r == 0)
                        r = apply_one(tree, &ops[i]);
                if (r < 0)
                        return fail(tree, &ops[i], i, r, error);
        }
        /* What a hook takes cannot be taken back: it comes last, when the rest is known to be good.
         */
        for (size_t i = 0; deferred && i < n; i++) {
                if (!is_deferred(hook, &ops[i]))
                        continue;
                r = apply_hooked_set(tree, &ops[i], hook);
                if (r < 0)
                        return fail(tree, &ops[i], i, r, error);
        }
        return 0;
}

int ops_apply_hooked(Tree *tree, const Op *ops, size_t n, Origin origin, uint16_t ssid,
                     const OpsHook *hook, OpError *error) {
        int r;

        tree_begin(tree, origin, ssid);
        r = run(tree, ops, n, hook, error);
        if (r < 0) {
                tree_abort(tree);
                return r;
        }
        r = tree_commit(tree);
        if (r < 0 && error && n > 0) {
                error->index = n;
                g_snprintf(error->text, sizeof(error->text), "%s%s: cannot be stored: %s",
                           PATH_TEXT(&ops[0].path), n > 1 ? " and what came with it" : "",
                           strerror(-r));
        }
        return r;
}

int ops_apply(Tree *tree, const Op *ops, size_t n, Origin origin, uint16_t ssid, OpError *error) {
        return ops_apply_hooked(tree, ops, n, origin, ssid, NULL, error);
}

int ops_try(Tree *tree, const Op *ops, size_t n, int (*look)(void *userdata, const Tree *tree),
            void *userdata, OpError *error) {
        int r;

        tree_begin(tree, ORIGIN_INTERNAL, 0);
        r = run(tree, ops, n, NULL, error);
        if (r >= 0)
                r = look(userdata, tree);
        tree_abort(tree);
        return r;
}
