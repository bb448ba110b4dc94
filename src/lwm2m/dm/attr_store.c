/* SPDX-License-Identifier: Apache-2.0 */
#include "lwm2m/dm/attr_store.h"

#include <cbor.h>
#include <errno.h>

#define BLOB_VERSION 1

typedef struct Entry {
        Path path;
        uint16_t ssid;
        Attrs attrs;
} Entry;

struct AttrStore {
        GSequence *entries; /* by path, then server: what is below a path stands together */
};

AttrStore *attr_store_new(void) {
        AttrStore *s = g_new0(AttrStore, 1);

        s->entries = g_sequence_new(g_free);
        return s;
}

AttrStore *attr_store_free(AttrStore *s) {
        if (s)
                g_clear_pointer(&s->entries, g_sequence_free);
        g_free(s);
        return NULL;
}

static int compare(const void *a, const void *b, void *userdata) {
        const Entry *x = a, *y = b;
        int r = path_compare(&x->path, &y->path);

        return r != 0 ? r : (int) x->ssid - (int) y->ssid;
}

static GSequenceIter *find(const AttrStore *s, uint16_t ssid, const Path *p) {
        return g_sequence_lookup(s->entries, &(Entry){ .path = *p, .ssid = ssid }, compare, NULL);
}

const Attrs *attr_store_get(const AttrStore *s, uint16_t ssid, const Path *p) {
        GSequenceIter *i;

        if (g_sequence_is_empty(s->entries))
                return NULL;
        i = find(s, ssid, p);
        return i ? &((Entry *) g_sequence_get(i))->attrs : NULL;
}

int attr_store_put(AttrStore *s, uint16_t ssid, const Path *p, const Attrs *a) {
        GSequenceIter *i = find(s, ssid, p);
        Entry *e;

        if (i && a->set == 0)
                g_sequence_remove(i);
        else if (i)
                ((Entry *) g_sequence_get(i))->attrs = *a;
        else if (a->set != 0) {
                if (g_sequence_get_length(s->entries) >= ATTR_STORE_PATHS_MAX)
                        return -EDQUOT;
                e = g_new(Entry, 1);
                *e = (Entry){ .path = *p, .ssid = ssid, .attrs = *a };
                g_sequence_insert_sorted(s->entries, e, compare, NULL);
        }
        return 0;
}

void attr_store_inherit(const AttrStore *s, uint16_t ssid, const Path *p, Attrs *a) {
        for (uint8_t n = 1; n <= p->n; n++) {
                const Path level = path_prefix(p, n);
                const Attrs *own = attr_store_get(s, ssid, &level);

                if (own)
                        attrs_overlay(a, own);
        }
}

/* Server 0 has no attributes: the search ends before the first entry of p. */
static GSequenceIter *first_at(const AttrStore *s, const Path *p) {
        return g_sequence_search(s->entries, &(Entry){ .path = *p }, compare, NULL);
}

void attr_store_foreach(const AttrStore *s, uint16_t ssid, const Path *p,
                        void (*func)(void *userdata, const Path *path, const Attrs *a),
                        void *userdata) {
        if (g_sequence_is_empty(s->entries))
                return;
        for (GSequenceIter *i = first_at(s, p); !g_sequence_iter_is_end(i);
             i = g_sequence_iter_next(i)) {
                const Entry *e = g_sequence_get(i);

                if (!path_covers(p, &e->path))
                        break;
                if (e->ssid == ssid)
                        func(userdata, &e->path, &e->attrs);
        }
}

size_t attr_store_drop(AttrStore *s, const Path *p) {
        GSequenceIter *i;
        size_t n = 0;

        if (g_sequence_is_empty(s->entries))
                return 0;
        i = first_at(s, p);
        while (!g_sequence_iter_is_end(i) && path_covers(p, &((Entry *) g_sequence_get(i))->path)) {
                GSequenceIter *next = g_sequence_iter_next(i);

                g_sequence_remove(i);
                i = next;
                n++;
        }
        return n;
}

size_t attr_store_drop_server(AttrStore *s, uint16_t ssid) {
        GSequenceIter *i = g_sequence_get_begin_iter(s->entries);
        size_t n = 0;

        while (!g_sequence_iter_is_end(i)) {
                GSequenceIter *next = g_sequence_iter_next(i);

                if (((Entry *) g_sequence_get(i))->ssid == ssid) {
                        g_sequence_remove(i);
                        n++;
                }
                i = next;
        }
        return n;
}

/* --- on disk --- */
static void push(cbor_item_t *array, cbor_item_t *item /* taken over */) {
        if (!cbor_array_push(array, item))
                g_error("Out of memory");
        cbor_decref(&item);
}

GBytes *attr_store_save(const AttrStore *s) {
        cbor_item_t *root = cbor_new_definite_array(2), *list;
        unsigned char *data = NULL;
        size_t size = 0, n;
        GBytes *blob;

        list = cbor_new_definite_array((size_t) g_sequence_get_length(s->entries));
        for (GSequenceIter *i = g_sequence_get_begin_iter(s->entries); !g_sequence_iter_is_end(i);
             i = g_sequence_iter_next(i)) {
                const Entry *e = g_sequence_get(i);
                g_autofree char *text = attrs_format(&e->attrs);
                cbor_item_t *item = cbor_new_definite_array(3);

                push(item, cbor_build_uint16(e->ssid));
                push(item, cbor_build_string(PATH_TEXT(&e->path)));
                push(item, cbor_build_string(text));
                push(list, item);
        }
        push(root, cbor_build_uint8(BLOB_VERSION));
        push(root, list);
        n = cbor_serialize_alloc(root, &data, &size);
        blob = g_bytes_new(data, n);
        free(data);
        cbor_decref(&root);
        return blob;
}

static char *item_text(const cbor_item_t *item) {
        if (!cbor_isa_string(item) || !cbor_string_is_definite(item))
                return NULL;
        return g_strndup((const char *) cbor_string_handle(item), cbor_string_length(item));
}

static int load_entry(AttrStore *s, cbor_item_t *item) {
        g_autofree char *path_text = NULL, *attrs_text = NULL;
        cbor_item_t **field;
        uint64_t ssid;
        Attrs attrs;
        Path path;

        if (!cbor_isa_array(item) || cbor_array_size(item) != 3)
                return -EBADMSG;
        field = cbor_array_handle(item);
        if (!cbor_isa_uint(field[0]))
                return -EBADMSG;
        ssid = cbor_get_int(field[0]);
        path_text = item_text(field[1]);
        attrs_text = item_text(field[2]);
        if (ssid == 0 || ssid > ID_MAX || !path_text || path_parse(path_text, &path) < 0 ||
            path.n == 0)
                return -EBADMSG;
        if (!attrs_text || attrs_parse_text(attrs_text, &attrs) < 0)
                return -EBADMSG;
        return attr_store_put(s, (uint16_t) ssid, &path, &attrs) < 0 ? -EBADMSG : 0;
}

static int load_root(AttrStore *s, cbor_item_t *root) {
        cbor_item_t **field;
        int r;

        if (!cbor_isa_array(root) || cbor_array_size(root) != 2)
                return -EBADMSG;
        field = cbor_array_handle(root);
        if (!cbor_isa_uint(field[0]) || cbor_get_int(field[0]) != BLOB_VERSION ||
            !cbor_isa_array(field[1]))
                return -EBADMSG;
        for (size_t i = 0; i < cbor_array_size(field[1]); i++) {
                r = load_entry(s, cbor_array_handle(field[1])[i]);
                if (r < 0)
                        return r;
        }
        return 0;
}

int attr_store_load(AttrStore *s, GBytes *blob) {
        g_autoptr(AttrStore) fresh = attr_store_new();
        struct cbor_load_result result;
        cbor_item_t *root;
        gsize size;
        const void *data = g_bytes_get_data(blob, &size);
        int r;

        if (size == 0)
                return -EBADMSG;
        root = cbor_load(data, size, &result);
        if (!root)
                return -EBADMSG;
        r = result.read == size ? load_root(fresh, root) : -EBADMSG;
        cbor_decref(&root);
        if (r < 0)
                return r;
        g_clear_pointer(&s->entries, g_sequence_free);
        s->entries = g_steal_pointer(&fresh->entries);
        return 0;
}
