/* SPDX-License-Identifier: Apache-2.0 */
#include "lwm2m/notify_body.h"

/* --- one body for all who observe the same --- */
typedef struct BodyKey {
        Path path;
        Format format;
        uint16_t ssid; /* 0 while all servers may read the same */
} BodyKey;

static guint hash_body(const void *key) {
        const BodyKey *k = key;
        const Path *p = &k->path;

        return (guint) p->id[0] * 31 + (guint) p->id[1] * 131 + (guint) p->id[2] * 1031 +
               (guint) p->id[3] * 8209 + (guint) k->format + p->n;
}

static gboolean equal_bodies(const void *a, const void *b) {
        const BodyKey *x = a, *y = b;

        return x->format == y->format && x->ssid == y->ssid && path_equal(&x->path, &y->path);
}

static void unref_bytes(void *bytes) {
        g_bytes_unref(bytes);
}

static BodyKey body_key(const Observation *o) {
        return (BodyKey){
                .path = o->target.paths[0],
                .format = o->target.format,
                .ssid = access_is_enforced(o->observer->dm->access) ? o->peer->ssid : 0,
        };
}

GBytes *notify_body_shared(const Observation *o) {
        if (!o->observer->bodies || o->target.composite)
                return NULL;
        return g_hash_table_lookup(o->observer->bodies, &(const BodyKey[]){ body_key(o) });
}

static void share_body(const Observation *o, GBytes *payload) {
        const BodyKey key = body_key(o);

        if (o->observer->bodies && !o->target.composite &&
            path_index_count(o->observer->index, &key.path) > 1)
                g_hash_table_insert(o->observer->bodies, g_memdup2(&key, sizeof(key)),
                                    g_bytes_ref(payload));
}

void notify_bodies_begin(Observer *s) {
        s->bodies = g_hash_table_new_full(hash_body, equal_bodies, g_free, unref_bytes);
}

void notify_bodies_end(Observer *s) {
        g_clear_pointer(&s->bodies, g_hash_table_unref);
}

int notify_body_make(Observation *o, const ReadResult *result, GBytes **ret) {
        g_autoptr(GBytes) payload = NULL;
        int r;

        r = read_encode(o->observer->dm, &o->target, result, &payload);
        if (r < 0)
                return r;
        if (!result->owned)
                share_body(o, payload);
        *ret = g_steal_pointer(&payload);
        return 0;
}

void notify_body_settled(Observation *o, bool acknowledged) {
        if (!acknowledged)
                g_clear_pointer(&o->last_payload, g_bytes_unref);
}
