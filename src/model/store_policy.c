/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "model/store_internal.h"

static const char *const names[] = { "default", "always", "server-writes", "never" };

const char *persist_name(Persist policy) {
        return names[policy];
}

int persist_from_name(const char *name, Persist *ret) {
        for (unsigned i = 0; i < G_N_ELEMENTS(names); i++)
                if (strcmp(name, names[i]) == 0) {
                        *ret = (Persist) i;
                        return 0;
                }
        return -EINVAL;
}

Persist store_policy(const Store *s, const Path *path) {
        if (path->n > 0 && store_is_account(path->id[0]))
                return PERSIST_ALWAYS;
        for (int n = g_hash_table_size(s->policies) > 0 ? path->n : -1; n >= 0; n--) {
                Path prefix = path_prefix(path, (uint8_t) n);
                Persist policy =
                        (Persist) GPOINTER_TO_INT(g_hash_table_lookup(s->policies, &prefix));

                if (policy != PERSIST_DEFAULT)
                        return policy;
        }
        return PERSIST_SERVER_WRITES;
}

typedef struct PolicyChange {
        Store *store;
        GPtrArray *dropped; /* Path *, to be unmarked */
        Path instance;      /* a stored one under PERSIST_NEVER with nothing to keep so far */
        bool open;
} PolicyChange;

/* The instance before goes from the disk as a whole when nothing in it stays. */
static void finish_instance(PolicyChange *x) {
        if (x->open) {
                op_put(x->store->ops, OP_DELETE, &x->instance);
                g_ptr_array_add(x->dropped, path_dup(&x->instance));
        }
        x->open = false;
}

static int policy_node(void *userdata, const Path *p, const Value *v, const ResourceDef *def) {
        PolicyChange *x = userdata;
        Store *s = x->store;
        Persist policy = store_policy(s, p);
        uint8_t mark = tree_mark(s->tree, p);

        if (p->n == 2) {
                finish_instance(x);
                x->instance = *p;
                x->open = policy == PERSIST_NEVER && mark & MARK_STORED;
                return 0;
        }
        if (policy == PERSIST_NEVER && mark & MARK_STORED) {
                op_put(s->ops, OP_DELETE, p);
                g_ptr_array_add(x->dropped, path_dup(p));
        } else if (mark & MARK_STORED) {
                x->open = false;
        }
        if (policy == PERSIST_ALWAYS && mark != MARK_STORED)
                g_hash_table_add(s->dirty, path_dup(p));
        else if (policy != PERSIST_ALWAYS)
                g_hash_table_remove(s->dirty, p);
        return 0;
}

static int apply_policy(Store *s, const Path *prefix) {
        g_autoptr(GPtrArray) dropped = g_ptr_array_new_with_free_func(g_free);
        PolicyChange x = { .store = s, .dropped = dropped };
        int r = 0;

        tree_walk(s->tree, prefix, policy_node, &x);
        finish_instance(&x);
        if (s->ops->len > 0)
                r = store_append(s, s->ops);
        bytes_wipe(s->ops);
        for (unsigned i = 0; r >= 0 && i < dropped->len; i++) {
                const Path *p = dropped->pdata[i];

                store_unit(s, store_unit_id(p))->touched = true;
                tree_set_mark(s->tree, p, 0);
                g_hash_table_remove(s->shadows, p);
        }
        return r;
}

static void put_policy(Store *s, const Path *prefix, Persist policy) {
        if (policy == PERSIST_DEFAULT)
                g_hash_table_remove(s->policies, prefix);
        else
                g_hash_table_insert(s->policies, path_dup(prefix), GINT_TO_POINTER(policy));
}

int store_set_policy(Store *s, const Path *prefix, Persist policy) {
        Persist former = (Persist) GPOINTER_TO_INT(g_hash_table_lookup(s->policies, prefix));
        bool was_pending = store_pending(s);
        int r;

        if (prefix->n > 0 && store_is_account(prefix->id[0]))
                return policy == PERSIST_ALWAYS || policy == PERSIST_DEFAULT ? 0 : -EPERM;
        if (policy == former)
                return 0;
        if (former == PERSIST_DEFAULT && g_hash_table_size(s->policies) >= STORE_POLICIES_MAX)
                return -EDQUOT;
        put_policy(s, prefix, policy);
        r = apply_policy(s, prefix);
        if (r < 0)
                put_policy(s, prefix, former);
        if (!was_pending && store_pending(s))
                store_note_pending(s);
        return r;
}

int store_load_policies(Store *s, const char *text) {
        g_auto(GStrv) lines = g_strsplit(text, "\n", -1);

        for (char **line = lines; *line && **line; line++) {
                g_auto(GStrv) words = g_strsplit(*line, " ", -1);
                Persist policy;
                Path prefix;

                if (g_strv_length(words) != 2 || path_parse(words[0], &prefix) < 0 ||
                    persist_from_name(words[1], &policy) < 0 ||
                    store_set_policy(s, &prefix, policy) < 0)
                        return -EBADMSG;
        }
        return 0;
}
