/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "model/store_internal.h"

int store_put_blob(Store *s, const char *name, const void *data, size_t n) {
        bool was_pending = store_pending(s);
        GBytes *old = g_hash_table_lookup(s->blobs, name);
        g_autoptr(GBytes) blob = NULL;

        if (*name == '\0' || strlen(name) > STORE_BLOB_NAME_MAX || !g_utf8_validate(name, -1, NULL))
                return -EINVAL;
        if (n > STORE_BLOB_MAX)
                return -E2BIG;
        if (data)
                blob = bytes_private(data, n);
        if (old ? blob && g_bytes_equal(old, blob) : !blob)
                return 0;
        if (blob)
                g_hash_table_insert(s->blobs, g_strdup(name), g_steal_pointer(&blob));
        else
                g_hash_table_remove(s->blobs, name);
        g_hash_table_add(s->dirty_blobs, g_strdup(name));
        if (!was_pending)
                store_note_pending(s);
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
        g_autoptr(GPtrArray) names = store_sorted_keys(s->blobs, compare_names);

        for (unsigned i = 0; i < names->len; i++)
                if (g_str_has_prefix(names->pdata[i], prefix))
                        func(userdata, names->pdata[i],
                             g_hash_table_lookup(s->blobs, names->pdata[i]));
}
