/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "model/store_internal.h"
#include "util/file.h"

typedef struct Serializer {
        Store *store;
        GByteArray *out;
        size_t estimate;
} Serializer;

/* An upper bound, so that the array is allocated once: growing would leave copies of keys behind.
 */
static int estimate_node(void *userdata, const Path *p, const Value *v, const ResourceDef *def) {
        Serializer *x = userdata;

        x->estimate += 48;
        if (v) {
                const Value *disk = store_disk_value(x->store, p, v);

                if (disk->type == VALUE_STRING || disk->type == VALUE_OPAQUE ||
                    disk->type == VALUE_CORELNK)
                        x->estimate += disk->length;
        }
        return 0;
}

static int serialize_node(void *userdata, const Path *p, const Value *v, const ResourceDef *def) {
        const Serializer *x = userdata;

        if (!(tree_mark(x->store->tree, p) & MARK_STORED))
                return 0;
        if (p->n == 2)
                op_put_ensure(x->out, p,
                              tree_object_def(x->store->tree, p->id[0], p->id[1])->version);
        else if (!v)
                op_put(x->out, OP_CLEAR, p);
        else
                op_put_set(x->out, p, store_disk_value(x->store, p, v));
        return 0;
}

static void serialize_object(Serializer *x, uint16_t object) {
        x->estimate = 0;
        tree_walk(x->store->tree, &PATH_O(object), estimate_node, x);
        bytes_reserve(x->out, x->estimate);
        tree_walk(x->store->tree, &PATH_O(object), serialize_node, x);
}

static void serialize_blobs(Serializer *x) {
        GHashTableIter iter;
        void *name, *blob;

        g_hash_table_iter_init(&iter, x->store->blobs);
        while (g_hash_table_iter_next(&iter, &name, &blob)) {
                gsize n;
                const void *data = g_bytes_get_data(blob, &n);

                op_put_blob(x->out, name, data ? data : "", n);
        }
}

void unit_serialize(Store *s, Unit *u, GByteArray *out) {
        static const uint16_t accounts[] = { 0, 1, 2, 21 };
        Serializer x = { .store = s, .out = out };

        if (u->id == UNIT_BLOBS)
                serialize_blobs(&x);
        else if (u->id == UNIT_ACCOUNTS)
                for (size_t i = 0; i < G_N_ELEMENTS(accounts); i++)
                        serialize_object(&x, accounts[i]);
        else
                serialize_object(&x, (uint16_t) u->id);
        for (size_t i = 0; u->orphans && i < u->orphans->len; i++) {
                const Orphan *o = u->orphans->pdata[i];

                g_byte_array_append(out, o->raw->data, o->raw->len);
        }
}

static int unit_write(Store *s, Unit *u) {
        g_autoptr(GByteArray) ops = g_byte_array_new(), file = g_byte_array_new();
        g_autofree char *name = store_unit_file(u);
        uint64_t size;
        int r = 0;

        unit_serialize(s, u, ops);
        size = ops->len + 128ULL; /* with the heads */
        if (size > s->file_bytes_max) {
                r = -EFBIG; /* it could not be read back */
        } else {
                bytes_reserve(file, size);
                header_put(file, u->name, s->seq);
                frame_put(file, ops->data, ops->len);
                size = file->len;
                r = file_replace_at(s->dirfd, name, file->data, file->len, true);
        }
        bytes_wipe(ops);
        bytes_wipe(file);
        if (r < 0)
                return r;
        u->size = size;
        u->seq = s->seq;
        u->touched = false;
        return 0;
}

static int compact(Store *s) {
        uint64_t size = 0;
        GHashTableIter iter;
        void *unit;
        int r;

        g_hash_table_iter_init(&iter, s->units);
        while (g_hash_table_iter_next(&iter, NULL, &unit)) {
                Unit *u = unit;

                if (!u->touched)
                        continue;
                r = unit_write(s, u);
                if (r < 0)
                        return r;
                size += u->size;
        }
        /* The journal may go only after what replaces it is found under its name. */
        r = file_sync_directory(s->dirfd);
        if (r >= 0)
                r = journal_restart(&s->journal, s->seq);
        if (r < 0)
                return r;
        s->n_syncs++;
        /* A journal as large as what it spares to write anew halves the wear of writing. */
        s->compact_at = MIN(MAX(s->journal_bytes_max, size), s->file_bytes_max / 2);
        return 0;
}

int store_compact(Store *s) {
        int r;

        r = compact(s);
        if (r >= 0) {
                if (s->compact_error != 0)
                        store_message(s, LOG_LEVEL_NOTICE, "%s: can be written again",
                                      s->directory);
                s->compact_error = 0;
                return 0;
        }
        if (s->compact_error != r)
                store_message(s, LOG_LEVEL_ERROR, "%s: cannot write its files: %s", s->directory,
                              g_strerror(-r));
        s->compact_error = r;
        s->compact_at = s->journal.size + s->journal_bytes_max;
        return r;
}

void store_compact_if_due(Store *s) {
        if (s->journal.fd < 0 || s->journal.size > s->compact_at)
                (void) store_compact(
                        s); /* everything is in the journal; told, and tried again later */
}

int store_append(Store *s, GByteArray *ops) {
        uint64_t size = ops->len + 64ULL;
        int r;

        if (s->journal.fd < 0 || s->journal.size + size > s->file_bytes_max) {
                r = store_compact(s);
                if (r < 0)
                        return r;
        }
        if (s->journal.size + size > s->file_bytes_max)
                return -EFBIG;
        r = journal_append(&s->journal, s->seq + 1, ops);
        if (r < 0)
                return r;
        bytes_wipe(ops);
        s->seq++;
        s->n_syncs++;
        return 0;
}

/* After a reset nothing forgotten may stay behind in a former copy. */
void store_remove_former(Store *s, bool keep_accounts) {
        g_autoptr(GDir) dir = g_dir_open(s->directory, 0, NULL);
        const char *name;

        while (dir && (name = g_dir_read_name(dir))) {
                bool former = g_str_has_suffix(name, ".old") || g_str_has_suffix(name, ".tmp") ||
                              strstr(name, ".bad-");

                if (former && !(keep_accounts && g_str_has_prefix(name, "accounts.cbor")))
                        (void) unlinkat(s->dirfd, name, 0);
        }
        (void) file_sync_directory(s->dirfd);
}
