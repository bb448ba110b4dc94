/* SPDX-License-Identifier: Apache-2.0 */
#include "model/series_internal.h"

/* --- who covers what --- */
static void attach(SeriesReader *r, Cache *c) {
        Cursor *cursor = g_new(Cursor, 1);
        uint64_t acked = c->first_seq, sent = 0;

        for (guint i = 0; i < c->cursors->len; i++) { /* another one of the same name */
                const Cursor *other = c->cursors->pdata[i];

                if (other->reader->identity == r->identity)
                        acked = MAX(acked, other->acked);
        }
        for (guint i = c->left->len; i > 0; i--) {
                const Left *left = &g_array_index(c->left, Left, i - 1);

                if (left->identity != r->identity)
                        continue;
                acked = MAX(acked, left->acked);
                sent = left->sent;
                r->number = left->number;
                g_array_remove_index_fast(c->left, i - 1);
        }
        acked = MIN(acked, cache_end(c));
        *cursor = (Cursor){ .cache = c,
                            .reader = r,
                            .acked = acked,
                            .taken = acked,
                            .sent = MIN(sent, cache_end(c)) };
        g_ptr_array_add(c->cursors, cursor);
        g_hash_table_insert(r->cursors, c, cursor);
}

static void attach_all(SeriesReader *r, const Path *prefix) {
        const GPtrArray *caches = r->series->caches;

        for (guint i = series_place(r->series, prefix); i < caches->len; i++) {
                Cache *c = caches->pdata[i];

                if (!path_covers(prefix, &c->path))
                        break;
                if (g_hash_table_contains(r->cursors, c))
                        continue;
                attach(r, c);
                cache_release(r->series, c); /* what its former one left to somebody who has gone */
        }
}

void cache_attach_readers(Series *s, Cache *c) {
        for (int n = g_hash_table_size(s->readers) > 0 ? c->path.n : -1; n >= 0; n--) {
                const Path prefix = path_prefix(&c->path, (uint8_t) n);
                const GPtrArray *list = g_hash_table_lookup(s->readers, &prefix);

                for (guint i = 0; list && i < list->len; i++) {
                        SeriesReader *r = list->pdata[i];

                        if (!g_hash_table_contains(r->cursors, c))
                                attach(r, c);
                }
        }
}

void cache_detach_readers(Cache *c) {
        while (c->cursors->len > 0) {
                Cursor *cursor = g_ptr_array_steal_index_fast(c->cursors, c->cursors->len - 1);

                g_hash_table_remove(cursor->reader->cursors, c); /* frees it */
        }
}

/* --- life --- */
SeriesReader *series_reader_new(Series *s, uint64_t identity, const Path *prefixes, size_t n) {
        SeriesReader *r = g_new(SeriesReader, 1);

        *r = (SeriesReader){
                .series = s,
                .identity = identity,
                .paths = g_memdup2(prefixes, n * sizeof(Path)),
                .n_paths = n,
                .cursors = g_hash_table_new_full(NULL, NULL, NULL, g_free),
        };
        for (size_t i = 0; i < n; i++) {
                GPtrArray *list = g_hash_table_lookup(s->readers, &prefixes[i]);

                if (!list) {
                        list = g_ptr_array_new();
                        g_hash_table_insert(s->readers, path_dup(&prefixes[i]), list);
                }
                g_ptr_array_add(list, r);
                attach_all(r, &prefixes[i]);
        }
        return r;
}

static void merge(Left *into, const Left *left) {
        into->acked = MAX(into->acked, left->acked);
        if (left->sent > into->acked) {
                into->sent = left->sent;
                into->number = left->number;
        }
        if (into->sent <= into->acked)
                into->sent = 0;
}

void cache_leave(Cache *c, const Left *left) {
        if (left->acked <= c->first_seq && left->sent <= c->first_seq)
                return; /* the next one begins there anyway */
        for (guint i = 0; i < c->left->len; i++) {
                Left *other = &g_array_index(c->left, Left, i);

                if (other->identity == left->identity) {
                        merge(other, left);
                        return;
                }
        }
        if (c->left->len >= LEFT_MAX)
                g_array_remove_index(c->left, 0);
        g_array_append_vals(c->left, left, 1);
}

static void unlist(SeriesReader *r, const Path *prefix) {
        GPtrArray *list = g_hash_table_lookup(r->series->readers, prefix);

        g_ptr_array_remove_fast(list, r);
        if (list->len == 0)
                g_hash_table_remove(r->series->readers, prefix);
}

SeriesReader *series_reader_free(SeriesReader *r) {
        GHashTableIter i;
        void *value;

        if (!r)
                return NULL;
        for (size_t k = 0; k < r->n_paths; k++)
                unlist(r, &r->paths[k]);
        g_hash_table_iter_init(&i, r->cursors);
        while (g_hash_table_iter_next(&i, NULL, &value)) {
                Cursor *cursor = value;

                g_ptr_array_remove_fast(cursor->cache->cursors, cursor);
                cache_leave(cursor->cache, &(Left){ .identity = r->identity,
                                                    .acked = cursor->acked,
                                                    .sent = cursor->sent,
                                                    .number = r->number });
                cache_release(r->series, cursor->cache);
        }
        g_hash_table_unref(r->cursors);
        g_free(r->paths);
        g_free(r);
        return NULL;
}

/* --- a message --- */
static uint64_t acked_of(const Cursor *cursor) { /* the cache may have gone on without it */
        return MAX(cursor->acked, cursor->cache->first_seq);
}

void series_reader_begin(SeriesReader *r, size_t max) {
        GHashTableIter i;
        uint32_t number;
        void *value;

        r->budget = max;
        r->n_taken = 0;
        r->repeating = series_reader_repeats(r, &number);
        g_hash_table_iter_init(&i, r->cursors);
        while (g_hash_table_iter_next(&i, NULL, &value)) {
                Cursor *cursor = value;

                cursor->taken = cursor->acked = acked_of(cursor);
        }
}

size_t series_reader_take(SeriesReader *r, const Path *p, SeriesVisit visit, void *userdata) {
        const Cache *c = series_cache(r->series, p);
        Cursor *cursor = c ? g_hash_table_lookup(r->cursors, c) : NULL;
        uint64_t from, end;

        if (!cursor || cursor->taken > acked_of(cursor) || !cache_can_tell(r->series, c))
                return 0;
        from = acked_of(cursor);
        end = r->repeating ? cursor->sent : MIN(cache_end(c), from + r->budget);
        if (end <= from)
                return 0;
        cursor->taken = end;
        r->budget -= MIN(r->budget, (size_t) (end - from));
        r->n_taken += (size_t) (end - from);
        return cache_visit(r->series, c, from, end, visit, userdata);
}

bool series_reader_repeats(const SeriesReader *r, uint32_t *ret_number) {
        GHashTableIter i;
        void *value;

        g_hash_table_iter_init(&i, r->cursors);
        while (g_hash_table_iter_next(&i, NULL, &value)) {
                const Cursor *cursor = value;

                if (cursor->sent > acked_of(cursor)) {
                        *ret_number = r->number;
                        return true;
                }
        }
        return false;
}

bool series_reader_is_repeating(const SeriesReader *r) {
        return r->repeating;
}

void series_reader_sent(SeriesReader *r, uint32_t number) {
        GHashTableIter i;
        void *value;

        r->number = number;
        g_hash_table_iter_init(&i, r->cursors);
        while (g_hash_table_iter_next(&i, NULL, &value)) {
                Cursor *cursor = value;

                if (cursor->taken <= acked_of(cursor))
                        continue;
                cursor->sent = cursor->taken;
                disk_sent(
                        r->series, cursor->cache,
                        &(Left){ .identity = r->identity, .sent = cursor->sent, .number = number });
        }
}

void series_reader_forget_sent(SeriesReader *r) {
        GHashTableIter i;
        void *value;

        g_hash_table_iter_init(&i, r->cursors);
        while (g_hash_table_iter_next(&i, NULL, &value))
                ((Cursor *) value)->sent = 0;
}

size_t series_reader_taken(const SeriesReader *r) {
        return r->n_taken;
}

void series_reader_pass(SeriesReader *r) {
        GHashTableIter i;
        void *value;

        if (r->budget == 0 || r->repeating)
                return;
        g_hash_table_iter_init(&i, r->cursors);
        while (g_hash_table_iter_next(&i, NULL, &value)) {
                Cursor *cursor = value;

                if (cursor->taken > acked_of(cursor) || !cache_can_tell(r->series, cursor->cache))
                        continue;
                cursor->acked = cursor->taken = cache_end(cursor->cache);
                cache_release(r->series, cursor->cache);
        }
}

bool series_reader_is_idle(const SeriesReader *r) {
        return g_hash_table_size(r->cursors) == 0;
}

void cache_release(Series *s, Cache *c) {
        uint64_t all = UINT64_MAX;

        for (guint i = 0; i < c->cursors->len; i++)
                all = MIN(all, ((const Cursor *) c->cursors->pdata[i])->acked);
        if (c->cursors->len == 0 || all <= c->first_seq)
                return;
        disk_first(s, c, all);
        cache_drop_first(s, c, (uint32_t) (all - c->first_seq));
}

void series_reader_ack(SeriesReader *r) {
        GHashTableIter i;
        void *value;

        r->n_taken = 0;
        g_hash_table_iter_init(&i, r->cursors);
        while (g_hash_table_iter_next(&i, NULL, &value)) {
                Cursor *cursor = value;

                if (cursor->taken <= acked_of(cursor))
                        continue;
                cursor->acked = cursor->taken;
                disk_acked(r->series, cursor->cache, r->identity, cursor->acked);
                cache_release(r->series, cursor->cache);
        }
}

uint64_t series_reader_waiting(const SeriesReader *r) {
        GHashTableIter i;
        uint64_t n = 0;
        void *value;

        g_hash_table_iter_init(&i, r->cursors);
        while (g_hash_table_iter_next(&i, NULL, &value)) {
                const Cursor *cursor = value;
                uint64_t from = MAX(cursor->taken, cursor->cache->first_seq);

                if (cache_can_tell(r->series, cursor->cache))
                        n += cache_end(cursor->cache) - from;
        }
        return n;
}
