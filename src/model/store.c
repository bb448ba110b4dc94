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

static bool has_orphans(Store *s) {
        GHashTableIter iter;
        void *unit;

        g_hash_table_iter_init(&iter, s->units);
        while (g_hash_table_iter_next(&iter, NULL, &unit))
                if (((const Unit *) unit)->orphans)
                        return true;
        return false;
}

int store_adopt(Store *s) {
        GHashTableIter iter;
        void *unit;
        int n = 0;

        if (!has_orphans(s))
                return 0;
        s->replaying = true;
        tree_begin(s->tree, ORIGIN_INTERNAL, 0);
        g_hash_table_iter_init(&iter, s->units);
        while (g_hash_table_iter_next(&iter, NULL, &unit))
                n += unit_adopt(s, unit);
        (void) tree_commit(s->tree); /* store_on_prepare() lets it pass */
        s->replaying = false;
        if (!s->orphans_told)
                store_report_orphans(s, LOG_LEVEL_WARNING);
        s->orphans_told = true;
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
        /* A journal that may be written into would hide it until the first compaction. */
        if (faccessat(s->dirfd, ".", W_OK | X_OK, AT_EACCESS) < 0)
                return -errno;
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
        tree_on_prepare(tree, store_on_prepare, s);
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
