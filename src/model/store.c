/* SPDX-License-Identifier: Apache-2.0 */
#include "model/store.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "model/store_internal.h"
#include "util/cleanup.h"

#define JOURNAL_BYTES_DEFAULT (1ULL << 20)
#define FILE_BYTES_DEFAULT (256ULL << 20)
#define FILE_BYTES_LIMIT (1ULL << 31) /* lengths in GByteArray have 32 bits */

void store_message(const Store *s, int level, const char *format, ...) {
        g_autofree char *text = NULL;
        va_list ap;

        va_start(ap, format);
        text = g_strdup_vprintf(format, ap);
        va_end(ap);
        if (s->message)
                s->message(s->message_userdata, level, text);
}

/* --- what is on disk --- */

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

/* --- commits --- */

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

static void note_pending(Store *s) {
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

static int on_prepare(void *userdata, Origin origin, uint16_t ssid, const Change *changes,
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
                note_pending(s);
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

static GPtrArray *sorted_keys(GHashTable *table, GCompareFunc compare) {
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
        paths = sorted_keys(s->dirty, compare_paths);
        names = sorted_keys(s->dirty_blobs, NULL);
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

/* --- policies --- */

typedef struct PolicyChange {
        Store *store;
        Ensured ensured;
        GPtrArray *dropped; /* Path *, to be unmarked */
        Path instance;      /* a stored one under PERSIST_NEVER with nothing to keep so far */
        bool open, failed;
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
                note_pending(s);
        return r;
}

/* --- blobs --- */

int store_put_blob(Store *s, const char *name, const void *data, size_t n) {
        bool was_pending = store_pending(s);
        GBytes *old = g_hash_table_lookup(s->blobs, name);
        g_autoptr(GBytes) blob = NULL;

        if (*name == '\0' || strlen(name) > STORE_BLOB_NAME_MAX || !g_utf8_validate(name, -1, NULL))
                return -EINVAL;
        if (n > STORE_BLOB_MAX)
                return -E2BIG;
        if (data)
                blob = g_bytes_new(data, n);
        if (old ? blob && g_bytes_equal(old, blob) : !blob)
                return 0;
        if (blob)
                g_hash_table_insert(s->blobs, g_strdup(name), g_steal_pointer(&blob));
        else
                g_hash_table_remove(s->blobs, name);
        g_hash_table_add(s->dirty_blobs, g_strdup(name));
        if (!was_pending)
                note_pending(s);
        return 0;
}

int store_get_blob(const Store *s, const char *name, GBytes **ret) {
        GBytes *blob = g_hash_table_lookup(s->blobs, name);

        if (!blob)
                return -ENOENT;
        *ret = g_bytes_ref(blob);
        return 0;
}

static int compare_names(const void *a, const void *b) {
        return strcmp(*(char *const *) a, *(char *const *) b);
}

void store_foreach_blob(const Store *s, const char *prefix,
                        void (*func)(void *userdata, const char *name, GBytes *blob),
                        void *userdata) {
        g_autoptr(GPtrArray) names = sorted_keys(s->blobs, compare_names);

        for (unsigned i = 0; i < names->len; i++)
                if (g_str_has_prefix(names->pdata[i], prefix))
                        func(userdata, names->pdata[i],
                             g_hash_table_lookup(s->blobs, names->pdata[i]));
}

/* --- opening, closing, forgetting --- */

uint64_t store_n_syncs(const Store *s) {
        return s->n_syncs;
}

static int unmark_node(void *userdata, const Path *p, const Value *v, const ResourceDef *def) {
        Store *s = ((void **) userdata)[0];

        if (!((void **) userdata)[1] || !store_is_account(p->id[0]))
                tree_set_mark(s->tree, p, 0);
        return 0;
}

static gboolean is_no_account(gpointer key, gpointer value, gpointer userdata) {
        return !store_is_account(((const Path *) key)->id[0]);
}

int store_reset(Store *s, bool keep_accounts) {
        void *context[2] = { s, keep_accounts ? s : NULL };
        GHashTableIter iter;
        void *unit;
        int r;

        op_put_reset(s->ops, keep_accounts);
        r = store_append(s, s->ops);
        bytes_wipe(s->ops);
        if (r < 0)
                return r;
        tree_walk(s->tree, &PATH_ROOT, unmark_node, context);
        g_hash_table_remove_all(s->dirty);
        g_hash_table_remove_all(s->dirty_blobs);
        g_hash_table_remove_all(s->blobs);
        if (keep_accounts)
                g_hash_table_foreach_remove(s->shadows, is_no_account, NULL);
        else
                g_hash_table_remove_all(s->shadows);
        g_hash_table_iter_init(&iter, s->units);
        while (g_hash_table_iter_next(&iter, NULL, &unit)) {
                Unit *u = unit;

                if (keep_accounts && u->id == UNIT_ACCOUNTS)
                        continue;
                unit_clear_orphans(u);
                u->touched = true;
        }
        r = store_compact(s);
        if (r >= 0)
                store_remove_former(s, keep_accounts);
        return r;
}

/* Applying may come before definitions; an entry that still does not fit goes back. */
int store_adopt(Store *s) {
        GHashTableIter iter;
        void *unit;
        int n = 0;

        s->replaying = true;
        tree_begin(s->tree, ORIGIN_INTERNAL, 0);
        g_hash_table_iter_init(&iter, s->units);
        while (g_hash_table_iter_next(&iter, NULL, &unit))
                n += unit_adopt(s, unit);
        (void) tree_commit(s->tree); /* on_prepare() lets it pass */
        s->replaying = false;
        store_report_orphans(s, LOG_LEVEL_WARNING);
        return n;
}

static int open_directory(Store *s) {
        struct stat st;

        if (g_mkdir_with_parents(s->directory, 0700) < 0)
                return -errno;
        s->dirfd = open(s->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (s->dirfd < 0 || fstat(s->dirfd, &st) < 0)
                return -errno;
        if (flock(s->dirfd, LOCK_EX | LOCK_NB) < 0)
                return errno == EWOULDBLOCK ? -EBUSY : -errno;
        if (st.st_mode & 022)
                store_message(s, LOG_LEVEL_WARNING, "%s: other users may write into it",
                              s->directory);
        return 0;
}

static void free_shadow(void *shadow) {
        value_clear(shadow);
        g_free(shadow);
}

static void unref_bytes(void *bytes) {
        g_bytes_unref(bytes);
}

static Store *store_free(Store *s) {
        if (!s)
                return NULL;
        journal_close(&s->journal);
        close_fd(&s->dirfd);
        g_hash_table_unref(s->units);
        g_hash_table_unref(s->policies);
        g_hash_table_unref(s->dirty);
        g_hash_table_unref(s->shadows);
        g_hash_table_unref(s->blobs);
        g_hash_table_unref(s->dirty_blobs);
        bytes_wipe(s->ops);
        g_byte_array_unref(s->ops);
        g_free(s->directory);
        g_free(s);
        return NULL;
}
static Store *store_alloc(const StoreConfig *config, Tree *tree) {
        Store *s = g_new0(Store, 1);

        s->tree = tree;
        s->directory = g_strdup(config->directory);
        s->dirfd = s->journal.fd = -1;
        s->journal_bytes_max =
                config->journal_bytes_max ? config->journal_bytes_max : JOURNAL_BYTES_DEFAULT;
        s->file_bytes_max = config->file_bytes_max ? config->file_bytes_max : FILE_BYTES_DEFAULT;
        s->file_bytes_max = MIN(s->file_bytes_max, FILE_BYTES_LIMIT);
        s->compact_at = s->journal_bytes_max;
        s->units = g_hash_table_new_full(NULL, NULL, NULL, store_unit_free);
        s->policies = path_table_new(NULL);
        s->dirty = path_table_new(NULL);
        s->shadows = path_table_new(free_shadow);
        s->blobs = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, unref_bytes);
        s->dirty_blobs = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
        s->ops = g_byte_array_new();
        return s;
}

int store_open(const StoreConfig *config, Tree *tree,
               void (*message)(void *userdata, int level, const char *text), void *userdata,
               Store **ret) {
        Store *s = store_alloc(config, tree);
        int r;

        s->message = message;
        s->message_userdata = userdata;
        r = open_directory(s);
        if (r >= 0) {
                s->journal.dirfd = s->dirfd;
                r = store_load(s);
        }
        if (r < 0) {
                store_free(s);
                return r;
        }
        tree_on_prepare(tree, on_prepare, s);
        *ret = s;
        return 0;
}

Store *store_close(Store *s) {
        int r;

        if (!s)
                return NULL;
        r = store_sync(s);
        if (r < 0)
                store_message(s, LOG_LEVEL_ERROR, "%s: the last values could not be written: %s",
                              s->directory, g_strerror(-r));
        tree_on_prepare(s->tree, NULL, NULL);
        return store_free(s);
}
