/* SPDX-License-Identifier: Apache-2.0 */
#include "lwm2m/observe/notify_body.h"

#include "lwm2m/observe/judge.h"
#include "lwm2m/observe/observe_save.h"
#include "lwm2m/dm/samples_read.h"

void body_clear(Body *b) {
        g_clear_pointer(&b->payload, g_bytes_unref);
}

/* --- one body for all who observe the same --- */
typedef struct BodyKey {
        Path path;
        Format format;
        uint16_t ssid; /* 0 while all servers may read the same */
} BodyKey;

static guint hash_key(const void *key) {
        const BodyKey *k = key;
        const Path *p = &k->path;

        return (guint) p->id[0] * 31 + (guint) p->id[1] * 131 + (guint) p->id[2] * 1031 +
               (guint) p->id[3] * 8209 + (guint) k->format + p->n;
}

static gboolean equal_keys(const void *a, const void *b) {
        const BodyKey *x = a, *y = b;

        return x->format == y->format && x->ssid == y->ssid && path_equal(&x->path, &y->path);
}

static void body_free(void *userdata) {
        Body *b = userdata;

        body_clear(b);
        g_free(b);
}

static BodyKey body_key(const Observation *o) {
        return (BodyKey){
                .path = o->target.paths[0],
                .format = o->target.format,
                .ssid = access_is_enforced(o->observer->dm->access) ? o->peer->ssid : 0,
        };
}

void notify_bodies_begin(Observer *s) {
        s->bodies = g_hash_table_new_full(hash_key, equal_keys, g_free, body_free);
}

void notify_bodies_end(Observer *s) {
        g_clear_pointer(&s->bodies, g_hash_table_unref);
}

const Body *notify_body_shared(const Observation *o) {
        if (!o->observer->bodies || o->target.composite)
                return NULL;
        return g_hash_table_lookup(o->observer->bodies, &(const BodyKey[]){ body_key(o) });
}

static void share(const Observation *o, const Body *b) {
        const BodyKey key = body_key(o);
        Body copy = { .payload = g_bytes_ref(b->payload), .digest = b->digest };

        g_hash_table_insert(o->observer->bodies, g_memdup2(&key, sizeof(key)),
                            g_memdup2(&copy, sizeof(copy)));
}

/* --- making and hearing of them --- */
bool notify_body_has_samples(const Observation *o) {
        return o->reader && !series_reader_is_idle(o->reader);
}

int notify_body_make(Observation *o, const ReadResult *result, Body *ret) {
        Body b = { .digest = judge_digest(result) };
        int r;

        if (notify_body_has_samples(o)) {
                samples_note_clock(o->observer->dm);
                r = samples_take_body(o->observer->dm, &o->target, result, o->reader,
                                      SAMPLES_BODY_MAX, &b.payload);
                if (r >= 0)
                        *ret = b;
                return r;
        }
        r = read_encode(o->observer->dm, &o->target, result, &b.payload);
        if (r < 0)
                return r;
        if (o->observer->bodies && !o->target.composite && !result->elsewhere &&
            path_index_count(o->observer->index, &o->target.paths[0]) > 1)
                share(o, &b);
        *ret = b;
        return 0;
}

int notify_body_number(Observation *o) {
        uint32_t number;
        int next;

        if (!notify_body_has_samples(o))
                return observe_save_next_sequence(o);
        if (series_reader_is_repeating(o->reader) && series_reader_repeats(o->reader, &number))
                return (int) (number & OBSERVE_MASK);
        next = observe_save_next_sequence(o);
        series_reader_sent(o->reader, (uint32_t) next);
        return next;
}

/* The rest of what is to be told goes at once, whatever pmin says: it is one report in several
 * messages. */
static void acknowledge_samples(Observation *o) {
        if (series_reader_taken(o->reader) == 0)
                return;
        /* A server that had it before has let it pass, with all that is in it. */
        if (series_reader_is_repeating(o->reader)) {
                o->digest = 0;
                o->pending = MAX(o->pending, PENDING_CHANGE);
        }
        series_reader_ack(o->reader);
        if (series_reader_waiting(o->reader) == 0)
                return;
        o->pending = PENDING_NEWS;
        o->moments.told_usec = 0;
}

void notify_body_settled(Observation *o, bool acknowledged) {
        if (!acknowledged)
                o->digest = 0;
        if (o->reader && acknowledged)
                acknowledge_samples(o);
        else if (o->reader)
                series_reader_begin(o->reader, 0);
}
