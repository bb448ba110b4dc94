/* SPDX-License-Identifier: Apache-2.0 */
#include "model/path_table.h"

static guint path_hash(gconstpointer path) {
        const Path *p = path;
        uint64_t h = p->n;

        for (uint8_t i = 0; i < p->n; i++)
                h = (h ^ p->id[i]) * UINT64_C(0x9e3779b97f4a7c15);
        return (guint) (h >> 32);
}

static gboolean path_same(gconstpointer a, gconstpointer b) {
        return path_equal(a, b);
}

GHashTable *path_table_new(GDestroyNotify free_value) {
        return g_hash_table_new_full(path_hash, path_same, g_free, free_value);
}

Path *path_dup(const Path *p) {
        return g_memdup2(p, sizeof(*p));
}
