/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "model/store_internal.h"
#include "util/file.h"
#include "util/parse.h"

#define OPS_PER_COMMIT 4096 /* bounds the undo log while a large object loads */

/* --- applying operations --- */

static int apply_to_tree(Store *s, const StoreOp *op) {
        int r;

        switch (op->kind) {
        case OP_ENSURE:
                r = tree_create(s->tree, op->path.id[0], op->path.id[1], op->version);
                return r == -EEXIST ? 0 : r;
        case OP_SET:
                return tree_set(s->tree, &op->path, &op->value);
        case OP_CLEAR:
                return tree_clear_resource(s->tree, &op->path);
        case OP_DELETE:
                r = tree_delete(s->tree, &op->path);
                return r == -ENOENT ? 0 : r;
        case OP_BLOB:
        case OP_UNBLOB:
        case OP_RESET:
        case _OP_KIND_MAX:
                break;
        }
        return -EINVAL;
}

/* What cannot be applied is kept for a time when its definition is known (again). Only what belongs
 * to an instance the disk does not have, because a file was lost, leads nowhere. Returns whether it
 * did. */
static bool apply(Store *s, Unit *u, const StoreOp *op) {
        int r;

        if (op->kind == OP_DELETE)
                unit_drop_orphans(u, &op->path);
        r = apply_to_tree(s, op);
        if (r >= 0) {
                if (op->kind != OP_DELETE)
                        store_mark_stored(s, &op->path);
                return true;
        }
        if (op->kind != OP_ENSURE && !unit_has_orphan_instance(u, &op->path)) {
                Path instance = path_prefix(&op->path, 2);

                if (!tree_exists(s->tree, &instance))
                        return false;
        }
        unit_add_orphan(u, op);
        return true;
}

int unit_adopt(Store *s, Unit *u) {
        g_autoptr(GPtrArray) orphans = g_steal_pointer(&u->orphans);
        int n = 0;

        g_clear_pointer(&u->orphan_instances, g_hash_table_unref);
        for (unsigned i = 0; orphans && i < orphans->len; i++) {
                const Orphan *o = orphans->pdata[i];
                Reader raw = { .pos = o->raw->data, .left = o->raw->len };
                unsigned before = u->orphans ? u->orphans->len : 0;
                StoreOp op;

                if (op_next(&raw, &op) > 0 && apply(s, u, &op) &&
                    before == (u->orphans ? u->orphans->len : 0))
                        n++;
        }
        return n;
}

static void apply_blob(Store *s, const StoreOp *op) {
        char *name = g_strndup((const char *) op->name.pos, op->name.left);

        if (op->kind == OP_UNBLOB) {
                g_hash_table_remove(s->blobs, name);
                g_free(name);
                return;
        }
        g_hash_table_insert(s->blobs, name, bytes_private(op->value.data, op->value.length));
}

/* --- files of units --- */

typedef struct FileText {
        uint8_t *data;
        size_t n;
} FileText;

static void file_text_clear(FileText *t) {
        if (t->data)
                explicit_bzero(t->data, t->n);
        g_clear_pointer(&t->data, g_free);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(FileText, file_text_clear)

static const char *why(int error) {
        switch (-error) {
        case EBADMSG:
                return "is damaged";
        case EPROTONOSUPPORT:
                return "was written by a later version of lwm2md";
        case EPERM:
                return "belongs to another user";
        case EFBIG:
                return "is larger than allowed";
        case EINVAL:
                return "is no regular file";
        default:
                return g_strerror(-error);
        }
}

static int read_text(Store *s, const char *name, FileText *ret) {
        bool was_open;
        int r;

        r = file_read_at(s->dirfd, name, s->file_bytes_max, &ret->data, &ret->n, &was_open);
        if (r >= 0 && was_open)
                store_message(s, LOG_LEVEL_WARNING, "%s/%s: was open to other users, corrected",
                              s->directory, name);
        return r;
}

static void set_aside(Store *s, const char *name, int error) {
        int r;

        r = file_set_aside_at(s->dirfd, name);
        if (r < 0)
                store_message(s, LOG_LEVEL_ERROR, "%s/%s: %s, and cannot be set aside: %s",
                              s->directory, name, why(error), g_strerror(-r));
        else
                store_message(s, LOG_LEVEL_ERROR, "%s/%s: %s, set aside as %s.bad-%d", s->directory,
                              name, why(error), name, r);
}

static int check_unit_text(const Unit *u, const FileText *text, uint64_t *ret_seq,
                           Reader *ret_ops) {
        Reader in = { .pos = text->data, .left = text->n };
        int r;

        r = header_next(&in, u->name, ret_seq);
        if (r < 0)
                return r;
        if (frame_next(&in, ret_ops) <= 0 || in.left > 0)
                return -EBADMSG;
        return ops_check(*ret_ops);
}

static void apply_all(Store *s, Unit *u, Reader ops) {
        unsigned n = 0;
        StoreOp op;

        tree_begin(s->tree, ORIGIN_INTERNAL, 0);
        while (op_next(&ops, &op) > 0) {
                if (op.kind == OP_BLOB && u->id == UNIT_BLOBS)
                        apply_blob(s, &op);
                else if (op.kind < OP_BLOB && store_unit_id(&op.path) == u->id)
                        (void) apply(s, u, &op);
                if (++n % OPS_PER_COMMIT == 0) {
                        (void) tree_commit(s->tree);
                        tree_begin(s->tree, ORIGIN_INTERNAL, 0);
                }
        }
        (void) tree_commit(s->tree); /* nobody is asked while loading */
}

/* -ENOENT; any other error: it was set aside. */
static int load_unit_file(Store *s, Unit *u, const char *name) {
        g_auto(FileText) text = { 0 };
        uint64_t seq;
        Reader ops;
        int r;

        r = read_text(s, name, &text);
        if (r >= 0)
                r = check_unit_text(u, &text, &seq, &ops);
        if (r < 0) {
                if (r != -ENOENT)
                        set_aside(s, name, r);
                return r;
        }
        u->seq = seq;
        u->size = text.n;
        s->seq = MAX(s->seq, seq);
        apply_all(s, u, ops);
        return 0;
}

static void load_unit(Store *s, Unit *u) {
        g_autofree char *name = store_unit_file(u), *old = g_strconcat(name, ".old", NULL);
        int r;

        r = load_unit_file(s, u, name);
        if (r >= 0)
                return;
        u->touched = true; /* so that a good file is written */
        r = load_unit_file(s, u, old);
        if (r >= 0)
                store_message(s, LOG_LEVEL_WARNING, "%s/%s: loaded from its former copy",
                              s->directory, name);
        else
                store_message(s, LOG_LEVEL_ERROR,
                              "%s/%s: there is no former copy, its content is lost", s->directory,
                              name);
}

/* --- the journal --- */

static int collect_instance(void *userdata, const Path *p, const Value *v, const ResourceDef *def) {
        GArray *instances = userdata;

        if (p->n == 2)
                g_array_append_val(instances, *p);
        return 0;
}

static bool is_forgotten(const Unit *u, const StoreOp *op, uint64_t seq) {
        return u->seq < seq && !(op->keep_accounts && u->id == UNIT_ACCOUNTS);
}

/* Everything before was forgotten. */
static void apply_reset(Store *s, const StoreOp *op, uint64_t seq) {
        g_autoptr(GArray) instances = g_array_new(FALSE, FALSE, sizeof(Path));
        GHashTableIter iter;
        void *unit;

        tree_walk(s->tree, &PATH_ROOT, collect_instance, instances);
        for (unsigned i = 0; i < instances->len; i++) {
                const Path *p = &g_array_index(instances, Path, i);

                if (tree_mark(s->tree, p) & MARK_STORED &&
                    is_forgotten(store_unit(s, store_unit_id(p)), op, seq))
                        (void) tree_delete(s->tree, p);
        }
        g_hash_table_iter_init(&iter, s->units);
        while (g_hash_table_iter_next(&iter, NULL, &unit)) {
                Unit *u = unit;

                if (!is_forgotten(u, op, seq))
                        continue;
                u->touched = true;
                unit_clear_orphans(u);
                if (u->id == UNIT_BLOBS)
                        g_hash_table_remove_all(s->blobs);
        }
}

typedef struct Replay {
        Store *store;
        unsigned n_lost;
} Replay;

static void on_entry(void *userdata, uint64_t seq, Reader ops) {
        Replay *replay = userdata;
        Store *s = replay->store;
        StoreOp op;

        tree_begin(s->tree, ORIGIN_INTERNAL, 0);
        while (op_next(&ops, &op) > 0) {
                Unit *u;

                if (op.kind == OP_RESET) {
                        apply_reset(s, &op, seq);
                        continue;
                }
                u = store_unit(s, op.kind < OP_BLOB ? store_unit_id(&op.path) : UNIT_BLOBS);
                if (u->seq >= seq)
                        continue; /* its file has it */
                u->touched = true;
                if (u->id == UNIT_BLOBS)
                        apply_blob(s, &op);
                else if (!apply(s, u, &op))
                        replay->n_lost++;
        }
        (void) tree_commit(s->tree);
}

/* 0 or a negative errno; *ret says how the file was. */
static int replay_journal(Store *s, const char *name, JournalState *ret) {
        g_auto(FileText) text = { 0 };
        Replay replay = { .store = s };
        int r;

        r = read_text(s, name, &text);
        if (r >= 0)
                r = journal_read(text.data, text.n, on_entry, &replay, ret);
        if (r < 0)
                return r;
        s->seq = MAX(s->seq, ret->last_seq);
        if (ret->skipped > 0)
                store_message(s, LOG_LEVEL_ERROR,
                              "%s/%s: %" G_GUINT64_FORMAT " damaged bytes, the rest was read",
                              s->directory, name, ret->skipped);
        if (ret->torn > 0)
                store_message(s, LOG_LEVEL_NOTICE,
                              "%s/%s: its last entry was not finished (%" G_GUINT64_FORMAT
                              " bytes), dropped",
                              s->directory, name, ret->torn);
        if (replay.n_lost > 0)
                store_message(s, LOG_LEVEL_ERROR,
                              "%s/%s: %u changes belong to instances that are lost", s->directory,
                              name, replay.n_lost);
        return 0;
}

/* Returns whether appending may go on in the journal that is there. A damaged one stays in its
 * place until the files have what could be read of it. */
static bool load_journals(Store *s, bool *ret_damaged) {
        JournalState state = { 0 }, former;
        int r;

        /* Only of use when a file of the state was lost and its former copy was read; else every
         * entry is older than the files. */
        r = replay_journal(s, JOURNAL_NAME ".old", &former);
        if (r < 0 && r != -ENOENT)
                set_aside(s, JOURNAL_NAME ".old", r);
        r = replay_journal(s, JOURNAL_NAME, &state);
        if (r < 0 && r != -ENOENT)
                set_aside(s, JOURNAL_NAME, r);
        *ret_damaged = r >= 0 && state.skipped > 0;
        if (r < 0 || *ret_damaged)
                return false;
        return journal_open(&s->journal, s->dirfd, state.good) >= 0;
}

/* --- all together --- */

/* The unit a file belongs to; false for other files. */
static bool parse_name(const char *file, int *ret) {
        g_autofree char *name = g_strdup(file);
        uint16_t object;

        if (g_str_has_suffix(name, ".old"))
                name[strlen(name) - 4] = '\0';
        if (!g_str_has_suffix(name, ".cbor"))
                return false;
        name[strlen(name) - 5] = '\0';
        if (strcmp(name, "accounts") == 0)
                *ret = UNIT_ACCOUNTS;
        else if (strcmp(name, "blobs") == 0)
                *ret = UNIT_BLOBS;
        else if (g_str_has_prefix(name, "object-") && parse_u16(name + 7, &object) >= 0)
                *ret = object;
        else
                return false;
        return true;
}

static int compare_units(const void *a, const void *b) {
        const Unit *const *x = a, *const *y = b;

        return ((*x)->id > (*y)->id) - ((*x)->id < (*y)->id);
}

static int list_units(Store *s, GPtrArray *ret) {
        g_autoptr(GDir) dir = g_dir_open(s->directory, 0, NULL);
        const char *name;
        int id;

        if (!dir)
                return -EIO;
        while ((name = g_dir_read_name(dir))) {
                if (g_str_has_suffix(name, ".tmp"))
                        (void) unlinkat(s->dirfd, name, 0); /* never finished */
                else if (parse_name(name, &id) &&
                         !g_hash_table_contains(s->units, GINT_TO_POINTER(id)))
                        g_ptr_array_add(ret, store_unit(s, id));
        }
        g_ptr_array_sort(ret, compare_units);
        return 0;
}

void store_report_orphans(const Store *s, int level) {
        GHashTableIter iter;
        void *unit;

        g_hash_table_iter_init(&iter, s->units);
        while (g_hash_table_iter_next(&iter, NULL, &unit)) {
                const Unit *u = unit;

                if (u->orphans)
                        store_message(s, level,
                                      "%s/%s: %u entries fit no definition known now, kept",
                                      s->directory, u->name, u->orphans->len);
        }
}

int store_load(Store *s) {
        g_autoptr(GPtrArray) units = g_ptr_array_new();
        bool repair = false, damaged;
        int r;

        r = list_units(s, units);
        if (r < 0)
                return r;
        for (size_t i = 0; i < units->len; i++) {
                load_unit(s, units->pdata[i]);
                repair = repair || ((Unit *) units->pdata[i])->touched;
        }
        if (!load_journals(s, &damaged))
                repair = true;
        store_report_orphans(s, LOG_LEVEL_NOTICE);
        if (!repair)
                return 0;
        r = store_compact(s);
        if (r >= 0 && damaged)
                (void) file_set_aside_at(s->dirfd, JOURNAL_NAME ".old");
        /* A full disk, an I/O error do not keep the daemon from starting: the first write says so.
         */
        return r == -EROFS || r == -EACCES || r == -EPERM ? r : 0;
}
