/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/seed.h"

#include <errno.h>
#include <string.h>

#include "lwm2m/account/account.h"
#include "util/parse.h"

static int ensure_instance(Tree *tree, const Path *path, const char **why) {
        Path instance = path_prefix(path, 2);
        int r;

        if (tree_exists(tree, &instance))
                return 0;
        r = tree_create(tree, path->id[0], path->id[1], (Version){ 0, 0 });
        *why = r == -ENOENT   ? "no definition of this object is known (see [Objects] Path=)"
               : r == -EPERM  ? "this object has the one instance 0 only"
               : r == -EDQUOT ? "[Limits] Instances is reached"
                              : "cannot be created";
        return r;
}

/* As in text/plain (opaque as base64), opaque also as hex:… or text:…, booleans also as words. */
static int parse_text(const char *text, ValueType type, Value *ret) {
        g_autofree uint8_t *bytes = NULL;
        size_t n;
        bool b;
        int r;

        if (type == VALUE_BOOLEAN) {
                r = parse_bool(text, &b);
                if (r >= 0)
                        *ret = (Value){ .type = VALUE_BOOLEAN, .b = b };
                return r;
        }
        if (type != VALUE_OPAQUE)
                return value_parse(text, type, ret);
        if (g_str_has_prefix(text, "text:")) {
                *ret = value_text(VALUE_OPAQUE, text + 5, strlen(text + 5));
                return 0;
        }
        if (g_str_has_prefix(text, "hex:")) {
                r = parse_hex(text + 4, &bytes, &n);
                if (r >= 0)
                        *ret = value_text(VALUE_OPAQUE, bytes, n);
                return r;
        }
        return value_parse(g_str_has_prefix(text, "base64:") ? text + 7 : text, type, ret);
}

static int seed_one(Tree *tree, const SeedConfig *seed, bool replace, const char **why) {
        g_auto(Value) value = VALUE_INIT;
        const ResourceDef *def;
        int r;

        r = ensure_instance(tree, &seed->path, why);
        if (r < 0 || seed->path.n == 2)
                return r;
        def = tree_resource_def(tree, &seed->path);
        if (!def) {
                *why = "the object has no such resource";
                return -ENOENT;
        }
        if (def->multiple && seed->path.n == 3) {
                *why = "a multiple resource: say which resource instance, for example with /0 at "
                       "the end";
                return -EISDIR;
        }
        if (!replace && tree_exists(tree, &seed->path))
                return 0;
        if (def->type == VALUE_NONE) {
                *why = "an executable resource has no value";
                return -EPERM;
        }
        *why = value_type_name(def->type);
        r = parse_text(seed->text, def->type, &value);
        if (r < 0)
                return r;
        return tree_set(tree, &seed->path, &value);
}

/* What [Server] says itself is not for [Values] to change: who the account belongs to. */
static bool is_of_account(const Tree *tree, const Path *p) {
        const Path instance = path_prefix(p, 2);

        return p->id[0] == OBJECT_SERVER && p->n > 2 && p->id[2] != SERVER_SSID &&
               tree_exists(tree, &instance);
}

static int seed_all(const Config *config, Tree *tree, bool accounts, char **ret_error) {
        g_autoptr(GString) errors = g_string_new(NULL);

        tree_begin(tree, accounts ? ORIGIN_APP : ORIGIN_INTERNAL, 0);
        for (guint i = 0; i < config->seeds->len; i++) {
                const SeedConfig *seed = g_ptr_array_index(config->seeds, i);
                const char *why = "";
                int r;

                if (accounts && !is_of_account(tree, &seed->path))
                        continue;
                r = seed_one(tree, seed, accounts, &why);
                if (r == -EINVAL || r == -ERANGE)
                        g_string_append_printf(errors, "%s: [Values] %s: '%s' is not a %s%s\n",
                                               seed->where, PATH_TEXT(&seed->path), seed->text, why,
                                               r == -ERANGE ? " in the range of this resource"
                                                            : "");
                else if (r < 0)
                        g_string_append_printf(errors, "%s: [Values] %s: %s\n", seed->where,
                                               PATH_TEXT(&seed->path), why);
        }
        if (errors->len > 0) {
                tree_abort(tree);
                *ret_error = g_strchomp(g_string_free(g_steal_pointer(&errors), FALSE));
                return -EINVAL;
        }
        return tree_commit(tree);
}

int seed_apply(const Config *config, Tree *tree, char **ret_error) {
        return seed_all(config, tree, false, ret_error);
}

int seed_accounts(const Config *config, Tree *tree, char **ret_error) {
        return seed_all(config, tree, true, ret_error);
}
