/* SPDX-License-Identifier: Apache-2.0 */
/* What each commit means for the disk: now, later, or never. */
#include <errno.h>
#include <string.h>

#include "model/store_internal.h"

void store_mark_stored(Store *s, const Path *p) {
        for (uint8_t n = 2; n <= p->n; n++) {
                Path at = path_prefix(p, n);

                tree_set_mark(s->tree, &at, MARK_STORED | (n < p->n ? tree_mark(s->tree, &at) : 0));
        }
        g_hash_table_remove(s->shadows, p);
}

const Value *store_disk_value(const Store *s, const Path *p, const Value *v) {
        const Value *shadow;

        if (!(tree_mark(s->tree, p) & MARK_SHADOWED))
                return v;
        shadow = g_hash_table_lookup(s->shadows, p);
        return shadow ? shadow : v;
}

bool store_is_persisted(const Store *s, const Path *path) {
        return tree_mark(s->tree, path) == MARK_STORED && !g_hash_table_contains(s->dirty, path);
}

typedef enum Action {
        ACTION_NONE,
        ACTION_STORE,  /* durable before the commit counts */
        ACTION_LATER,  /* with the next sync */
        ACTION_SHADOW, /* the disk keeps the value from before */
} Action;

/* The disk has just this value and nothing newer waits. */
static bool is_stored_already(const Store *s, const Change *c, const Value *v) {
        return c->old && value_equal(c->old, v) && store_is_persisted(s, &c->path);
}

static Action classify_set(const Store *s, Origin origin, const Change *c) {
        Persist policy = store_policy(s, &c->path);
        uint8_t mark = tree_mark(s->tree, &c->path);
        const Value *v = NULL;

        if (tree_get(s->tree, &c->path, &v) == 0 && is_stored_already(s, c, v))
                return ACTION_NONE;
        if (store_is_account(c->path.id[0]))
                return ACTION_STORE;
        if (origin == ORIGIN_SERVER)
                return policy == PERSIST_NEVER ? ACTION_NONE : ACTION_STORE;
        if (!v && mark & MARK_STORED)
                return ACTION_STORE; /* emptied: what went is not to come back */
        if (policy == PERSIST_ALWAYS)
                return ACTION_LATER;
        return v && c->old && mark == MARK_STORED && !value_equal(c->old, v) ? ACTION_SHADOW
                                                                             : ACTION_NONE;
}

static Action classify(Store *s, Origin origin, const Change *c) {
        switch (c->kind) {
        case CHANGE_CREATED:
                if (store_is_account(c->path.id[0]))
                        return ACTION_STORE;
                return origin == ORIGIN_INTERNAL || store_policy(s, &c->path) == PERSIST_NEVER
                               ? ACTION_NONE
                               : ACTION_STORE;
        case CHANGE_DELETED:
                return c->mark || unit_has_orphan(store_unit(s, store_unit_id(&c->path)), &c->path)
                               ? ACTION_STORE
                               : ACTION_NONE;
        case CHANGE_SET:
                return classify_set(s, origin, c);
        }
        return ACTION_NONE;
}

typedef struct Ensured {
        Path last; /* which instance the operations so far make sure of */
        bool any;
} Ensured;

static bool is_ensured(const Ensured *ensured, const Path *p) {
        return ensured->any && path_covers(&ensured->last, p);
}

static int estimate_node(void *userdata, const Path *p, const Value *v, const ResourceDef *def) {
        size_t *bytes = userdata;

        *bytes += 64;
        if (v && (v->type == VALUE_STRING || v->type == VALUE_OPAQUE || v->type == VALUE_CORELNK))
                *bytes += v->length;
        return 0;
}

static int put_node(void *userdata, const Path *p, const Value *v, const ResourceDef *def) {
        GByteArray *out = userdata;

        if (p->n > 2 && !v)
                op_put(out, OP_CLEAR, p);
        else if (v)
                op_put_set(out, p, v);
        return 0;
}

/* The first thing stored of an instance brings the instance itself. An account is stored whole or
 * not at all: half of one would be worse than none. */
static void put_ensure(Store *s, const Path *p, Ensured *ensured) {
        Path instance = path_prefix(p, 2);
        size_t bytes = 0;

        if (tree_mark(s->tree, &instance) & MARK_STORED || is_ensured(ensured, p))
                return;
        if (store_is_account(p->id[0])) {
                tree_walk(s->tree, &instance, estimate_node, &bytes);
                bytes_reserve(s->ops, bytes);
        }
        op_put_ensure(s->ops, &instance, tree_object_def(s->tree, p->id[0], p->id[1])->version);
        if (store_is_account(p->id[0]))
                tree_walk(s->tree, &instance, put_node, s->ops);
        *ensured = (Ensured){ .last = instance, .any = true };
}

static void put_current(Store *s, const Path *p, Ensured *ensured) {
        const Value *v;

        put_ensure(s, p, ensured);
        if (tree_get(s->tree, p, &v) == 0)
                op_put_set(s->ops, p, v);
        else
                op_put(s->ops, OP_CLEAR, p);
}

static void put_change(Store *s, const Change *c, Ensured *ensured) {
        switch (c->kind) {
        case CHANGE_CREATED:
                put_ensure(s, &c->path, ensured);
                break;
        case CHANGE_DELETED:
                op_put(s->ops, OP_DELETE, &c->path);
                ensured->any = false;
                break;
        case CHANGE_SET:
                if (!store_is_account(c->path.id[0]) || !is_ensured(ensured, &c->path))
                        put_current(s, &c->path, ensured);
                break;
        }
}

void store_note_pending(Store *s) {
        if (s->on_pending)
                s->on_pending(s->pending_userdata);
}

static int mark_node(void *userdata, const Path *p, const Value *v, const ResourceDef *def) {
        store_mark_stored(userdata, p);
        return 0;
}

/* The entry is on disk. */
static void after_store(Store *s, const Change *c) {
        Unit *u = store_unit(s, store_unit_id(&c->path));
        Path instance = path_prefix(&c->path, 2);

        u->touched = true;
        if (c->kind == CHANGE_DELETED) {
                unit_drop_orphans(u, &c->path);
                if (c->mark & MARK_SHADOWED)
                        path_table_drop(s->shadows, &c->path);
                return;
        }
        if (store_is_account(c->path.id[0]) && !(tree_mark(s->tree, &instance) & MARK_STORED))
                tree_walk(s->tree, &instance, mark_node, s);
        if (c->path.n == 3)
                path_table_drop(s->shadows, &c->path); /* also what a cleared resource had */
        store_mark_stored(s, &c->path);
        g_hash_table_remove(s->dirty, &c->path);
}

static void after_commit(Store *s, Origin origin, const Change *c) {
        Value *shadow;

        switch (classify(s, origin, c)) {
        case ACTION_STORE:
                after_store(s, c);
                break;
        case ACTION_LATER:
                g_hash_table_add(s->dirty, path_dup(&c->path));
                break;
        case ACTION_SHADOW:
                shadow = g_new(Value, 1);
                *shadow = value_copy(c->old);
                g_hash_table_insert(s->shadows, path_dup(&c->path), shadow);
                tree_set_mark(s->tree, &c->path, MARK_STORED | MARK_SHADOWED);
                break;
        case ACTION_NONE:
                break;
        }
}

static size_t estimate(const Store *s, const Change *changes, size_t n) {
        size_t bytes = 0;

        for (size_t i = 0; i < n; i++) {
                const Value *v = NULL;

                if (changes[i].kind == CHANGE_SET)
                        (void) tree_get(s->tree, &changes[i].path, &v);
                estimate_node(&bytes, &changes[i].path, v, NULL);
        }
        return bytes;
}

int store_on_prepare(void *userdata, Origin origin, uint16_t ssid, const Change *changes,
                     size_t n) {
        Store *s = userdata;
        bool was_pending = store_pending(s);
        Ensured ensured = { .any = false };
        int r;

        if (s->replaying)
                return 0;
        for (size_t i = 0; i < n; i++) {
                if (classify(s, origin, &changes[i]) != ACTION_STORE)
                        continue;
                if (s->ops->len == 0)
                        bytes_reserve(s->ops, estimate(s, changes + i, n - i));
                put_change(s, &changes[i], &ensured);
        }
        if (s->ops->len > 0) {
                r = store_append(s, s->ops);
                if (r < 0) {
                        bytes_wipe(s->ops);
                        return r;
                }
        }
        for (size_t i = 0; i < n; i++)
                after_commit(s, origin, &changes[i]);
        store_compact_if_due(s);
        if (!was_pending && store_pending(s))
                store_note_pending(s);
        return 0;
}

/* --- what waits --- */

bool store_pending(const Store *s) {
        return g_hash_table_size(s->dirty) > 0 || g_hash_table_size(s->dirty_blobs) > 0;
}

void store_on_pending(Store *s, void (*func)(void *userdata), void *userdata) {
        s->on_pending = func;
        s->pending_userdata = userdata;
        if (func && store_pending(s))
                func(userdata);
}

static int compare_paths(const void *a, const void *b) {
        return path_compare(*(Path *const *) a, *(Path *const *) b);
}

GPtrArray *store_sorted_keys(GHashTable *table, GCompareFunc compare) {
        GPtrArray *keys = g_ptr_array_sized_new(g_hash_table_size(table) + 1);
        GHashTableIter iter;
        void *key;

        g_hash_table_iter_init(&iter, table);
        while (g_hash_table_iter_next(&iter, &key, NULL))
                g_ptr_array_add(keys, key);
        if (compare)
                g_ptr_array_sort(keys, compare);
        return keys;
}

static void put_dirty(Store *s, const GPtrArray *paths) {
        Ensured ensured = { .any = false };

        for (unsigned i = 0; i < paths->len; i++) {
                const Path *p = paths->pdata[i];
                const Value *v;

                if (!tree_exists(s->tree, p))
                        continue; /* deleted meanwhile, which was stored then */
                /* An empty resource that has something on disk by now is there. */
                if (tree_get(s->tree, p, &v) == 0 || !(tree_mark(s->tree, p) & MARK_STORED))
                        put_current(s, p, &ensured);
        }
}

static void put_dirty_blobs(Store *s, const GPtrArray *names) {
        for (unsigned i = 0; i < names->len; i++) {
                GBytes *blob = g_hash_table_lookup(s->blobs, names->pdata[i]);
                gsize n = 0;
                const void *data = blob ? g_bytes_get_data(blob, &n) : NULL;

                op_put_blob(s->ops, names->pdata[i], blob && !data ? "" : data, n);
        }
}

static void after_sync(Store *s, const GPtrArray *paths) {
        for (unsigned i = 0; i < paths->len; i++) {
                const Path *p = paths->pdata[i];

                if (!tree_exists(s->tree, p))
                        continue;
                store_unit(s, store_unit_id(p))->touched = true;
                store_mark_stored(s, p);
        }
        if (g_hash_table_size(s->dirty_blobs) > 0)
                store_unit(s, UNIT_BLOBS)->touched = true;
        g_hash_table_remove_all(s->dirty);
        g_hash_table_remove_all(s->dirty_blobs);
}

int store_sync(Store *s) {
        g_autoptr(GPtrArray) paths = NULL, names = NULL;
        int r = 0;

        if (!store_pending(s))
                return 0;
        paths = store_sorted_keys(s->dirty, compare_paths);
        names = store_sorted_keys(s->dirty_blobs, NULL);
        put_dirty(s, paths);
        put_dirty_blobs(s, names);
        if (s->ops->len > 0)
                r = store_append(s, s->ops);
        bytes_wipe(s->ops);
        if (r < 0)
                return r;
        after_sync(s, paths);
        store_compact_if_due(s);
        return 0;
}
