/* SPDX-License-Identifier: Apache-2.0 */
/* Units, what is orphaned in them, and tables keyed by paths. */
#include <string.h>

#include "model/store_internal.h"

bool store_is_account(uint16_t object) {
        return object == 0 || object == 1 || object == 2 || object == 21;
}

int store_unit_id(const Path *p) {
        return store_is_account(p->id[0]) ? UNIT_ACCOUNTS : p->id[0];
}

Unit *store_unit(Store *s, int id) {
        Unit *u = g_hash_table_lookup(s->units, GINT_TO_POINTER(id));

        if (u)
                return u;
        u = g_new0(Unit, 1);
        u->id = id;
        u->name = id == UNIT_ACCOUNTS ? g_strdup("accounts")
                  : id == UNIT_BLOBS  ? g_strdup("blobs")
                                      : g_strdup_printf("object-%d", id);
        g_hash_table_insert(s->units, GINT_TO_POINTER(id), u);
        return u;
}

char *store_unit_file(const Unit *u) {
        return g_strconcat(u->name, ".cbor", NULL);
}

static void orphan_free(void *orphan) {
        Orphan *o = orphan;

        bytes_wipe(o->raw);
        g_byte_array_unref(o->raw);
        g_free(o);
}

void unit_add_orphan(Unit *u, const StoreOp *op) {
        Orphan *o = g_new0(Orphan, 1);

        o->kind = op->kind;
        o->path = op->path;
        o->raw = g_byte_array_sized_new((guint) op->raw.left);
        g_byte_array_append(o->raw, op->raw.pos, (guint) op->raw.left);
        if (!u->orphans) {
                u->orphans = g_ptr_array_new_with_free_func(orphan_free);
                u->orphan_instances = path_table_new(NULL);
        }
        g_ptr_array_add(u->orphans, o);
        if (op->kind == OP_ENSURE)
                g_hash_table_add(u->orphan_instances, path_dup(&op->path));
}

void unit_clear_orphans(Unit *u) {
        g_clear_pointer(&u->orphans, g_ptr_array_unref);
        g_clear_pointer(&u->orphan_instances, g_hash_table_unref);
}

void unit_drop_orphans(Unit *u, const Path *below) {
        unsigned kept = 0;

        if (!u->orphans)
                return;
        for (unsigned i = 0; i < u->orphans->len; i++) {
                Orphan *o = u->orphans->pdata[i];

                if (path_covers(below, &o->path))
                        orphan_free(o);
                else
                        u->orphans->pdata[kept++] = o;
        }
        /* The rest of the array holds what was moved or freed. */
        g_ptr_array_set_free_func(u->orphans, NULL);
        g_ptr_array_set_size(u->orphans, (int) kept);
        g_ptr_array_set_free_func(u->orphans, orphan_free);
        path_table_drop(u->orphan_instances, below);
        if (kept == 0)
                unit_clear_orphans(u);
}

bool unit_has_orphan(const Unit *u, const Path *at_or_below) {
        for (unsigned i = 0; u->orphans && i < u->orphans->len; i++)
                if (path_covers(at_or_below, &((const Orphan *) u->orphans->pdata[i])->path))
                        return true;
        return false;
}

bool unit_has_orphan_instance(const Unit *u, const Path *p) {
        Path instance = path_prefix(p, 2);

        return u->orphan_instances && g_hash_table_contains(u->orphan_instances, &instance);
}

void store_unit_free(void *unit) {
        Unit *u = unit;

        unit_clear_orphans(u);
        g_free(u->name);
        g_free(u);
}

/* --- tables keyed by paths --- */

static gboolean is_below(gpointer key, gpointer value, gpointer prefix) {
        return path_covers(prefix, key);
}

void path_table_drop(GHashTable *table, const Path *below) {
        if (g_hash_table_size(table) > 0)
                g_hash_table_foreach_remove(table, is_below, (void *) below);
}
