/* SPDX-License-Identifier: Apache-2.0 */
#include "model/series.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "model/series_internal.h"
#include "util/parse.h"

#define BYTES_DEFAULT (64ULL << 20)
#define GROWTH_MIN 16

static void cache_free(void *cache) {
        Cache *c = cache;

        cache_detach_readers(c);
        g_ptr_array_unref(c->cursors);
        g_array_unref(c->left);
        ring_clear(&c->ring);
        g_free(c);
}

static void unref_list(void *list) {
        g_ptr_array_unref(list);
}

Series *series_new(const SeriesConfig *config) {
        Series *s = g_new(Series, 1);

        *s = (Series){
                .config = *config,
                .policies = path_table_new(g_free),
                .caches = g_ptr_array_new_with_free_func(cache_free),
                .readers = path_table_new(unref_list),
                .payers = g_hash_table_new_full(NULL, NULL, NULL, g_free),
        };
        s->config.bytes_max = config->bytes_max ? config->bytes_max : BYTES_DEFAULT;
        return s;
}

Series *series_free(Series *s) {
        if (!s)
                return NULL;
        (void) series_sync(s);
        series_file_free(s->file);
        g_ptr_array_unref(s->caches);
        g_hash_table_unref(s->readers);
        g_hash_table_unref(s->policies);
        g_hash_table_unref(s->payers);
        g_free(s);
        return NULL;
}

/* --- caches by path --- */
guint series_place(const Series *s, const Path *p) {
        guint low = 0, high = s->caches->len;

        while (low < high) {
                const guint middle = low + (high - low) / 2;

                if (path_compare(&((const Cache *) s->caches->pdata[middle])->path, p) < 0)
                        low = middle + 1;
                else
                        high = middle;
        }
        return low;
}

Cache *series_cache(const Series *s, const Path *p) {
        const guint i = series_place(s, p);
        Cache *c = i < s->caches->len ? s->caches->pdata[i] : NULL;

        return c && path_equal(&c->path, p) ? c : NULL;
}

Cache *series_cache_make(Series *s, const Path *p, ValueType type, const SeriesPolicy *policy) {
        Cache *c = g_new(Cache, 1);

        *c = (Cache){
                .path = *p,
                .type = type,
                .policy = *policy,
                .newest_ns = INT64_MIN,
                .cursors = g_ptr_array_new(),
                .left = g_array_new(FALSE, FALSE, sizeof(Left)),
                .kept = disk_keeps(s, p),
        };
        ring_init(&c->ring, type);
        g_ptr_array_insert(s->caches, (int) series_place(s, p), c);
        cache_attach_readers(s, c);
        return c;
}

/* --- memory, and who is accountable for it --- */
void series_set_payer(Series *s, uint32_t payer) {
        s->payer = payer;
}

uint64_t series_bytes_of(const Series *s, uint32_t payer) {
        const uint64_t *n = g_hash_table_lookup(s->payers, GUINT_TO_POINTER(payer));

        return n ? *n : 0;
}

static uint64_t cache_bytes(const Cache *c) {
        return c->ring.size * ring_sample_size(&c->ring);
}

static void account(Series *s, const Cache *c, uint64_t before, uint64_t after) {
        const uint64_t n = series_bytes_of(s, c->payer) - before + after;

        s->n_bytes += after - before;
        if (c->payer == 0)
                return;
        if (n == 0)
                g_hash_table_remove(s->payers, GUINT_TO_POINTER(c->payer));
        else
                g_hash_table_insert(s->payers, GUINT_TO_POINTER(c->payer),
                                    g_memdup2(&n, sizeof(n)));
}

void cache_resize(Series *s, Cache *c, uint32_t size) {
        const uint64_t before = cache_bytes(c);

        ring_resize(&c->ring, size);
        account(s, c, before, cache_bytes(c));
        if (size == 0)
                c->payer = 0;
}

/* What is left for a larger ring in place of c's. */
static uint64_t bytes_left(const Series *s, const Cache *c) {
        const uint64_t others = s->n_bytes - cache_bytes(c);
        const uint64_t left = s->config.bytes_max > others ? s->config.bytes_max - others : 0;
        const uint64_t his = series_bytes_of(s, c->payer) - (c->payer ? cache_bytes(c) : 0);

        if (c->payer == 0 || s->config.bytes_per_payer == 0)
                return left;
        return MIN(left, s->config.bytes_per_payer > his ? s->config.bytes_per_payer - his : 0);
}

/* What came from the file is nobody's until somebody adds to it. */
static void take_over(Series *s, Cache *c) {
        const uint64_t n = cache_bytes(c);

        if (c->payer != 0 || s->payer == 0)
                return;
        account(s, c, n, 0);
        c->payer = s->payer;
        account(s, c, 0, n);
}

/* What is hardly used any more gives its memory back. */
static void shrink(Series *s, Cache *c) {
        if (c->ring.n == 0)
                cache_resize(s, c, 0);
        else if (c->ring.n < c->ring.size / 4 && c->ring.size > 4 * GROWTH_MIN)
                cache_resize(s, c, c->ring.n * 2);
}

static void pass_first(Series *s, Cache *c, uint32_t n) {
        ring_drop_first(&c->ring, n);
        c->first_seq += n;
        if (c->kept)
                s->n_samples_kept -= n;
        for (guint i = c->left->len; i > 0; i--) { /* what they spare has gone */
                const Left *left = &g_array_index(c->left, Left, i - 1);

                if (left->acked <= c->first_seq && left->sent <= c->first_seq)
                        g_array_remove_index_fast(c->left, i - 1);
        }
}

void cache_drop_first(Series *s, Cache *c, uint32_t n) {
        pass_first(s, c, n);
        shrink(s, c);
}

static void remove_cache(Series *s, guint at) {
        Cache *c = s->caches->pdata[at];

        disk_removed(s, c);
        if (c->kept)
                s->n_samples_kept -= c->ring.n;
        account(s, c, cache_bytes(c), 0);
        g_ptr_array_remove_index(s->caches, at);
}

void series_remove(Series *s, const Path *p) {
        const guint at = series_place(s, p);

        while (at < s->caches->len && path_covers(p, &((Cache *) s->caches->pdata[at])->path))
                remove_cache(s, at);
}

/* --- policies --- */
const SeriesPolicy *series_policy(const Series *s, const Path *p) {
        for (int n = g_hash_table_size(s->policies) > 0 ? p->n : -1; n >= 0; n--) {
                const Path prefix = path_prefix(p, (uint8_t) n);
                const SeriesPolicy *policy = g_hash_table_lookup(s->policies, &prefix);

                if (policy)
                        return policy->samples > 0 ? policy : NULL;
        }
        return NULL;
}

void series_foreach_policy(const Series *s, SeriesPolicyVisit visit, void *userdata) {
        GHashTableIter i;
        gpointer prefix, policy;

        g_hash_table_iter_init(&i, s->policies);
        while (g_hash_table_iter_next(&i, &prefix, &policy))
                visit(userdata, prefix, policy);
}

/* A smaller cache drops as a full one does. */
static void follow_policy(Series *s, Cache *c, const SeriesPolicy *policy) {
        uint32_t excess = c->ring.n > policy->samples ? c->ring.n - policy->samples : 0;

        c->policy = *policy;
        if (excess == 0)
                return;
        s->n_dropped += excess;
        c->n_dropped += excess;
        if (policy->drop_oldest)
                cache_drop_first(s, c, excess); /* written below */
        else {
                ring_drop_last(&c->ring, excess);
                if (c->kept)
                        s->n_samples_kept -= excess;
                for (guint i = 0; i < c->cursors->len; i++) {
                        Cursor *cursor = c->cursors->pdata[i];

                        cursor->acked = MIN(cursor->acked, cache_end(c));
                        cursor->taken = MIN(cursor->taken, cache_end(c));
                        cursor->sent = MIN(cursor->sent, cache_end(c));
                }
                shrink(s, c);
        }
        disk_changed(s, c);
}

int series_set_policy(Series *s, const Path *prefix, const SeriesPolicy *policy) {
        if (policy && policy->samples > SERIES_SAMPLES_MAX)
                return -ERANGE;
        if (policy && g_hash_table_size(s->policies) >= SERIES_POLICIES_MAX &&
            !g_hash_table_contains(s->policies, prefix))
                return -EDQUOT;
        if (policy)
                g_hash_table_insert(s->policies, path_dup(prefix),
                                    g_memdup2(policy, sizeof(*policy)));
        else
                g_hash_table_remove(s->policies, prefix);

        for (guint i = series_place(s, prefix); i < s->caches->len;) {
                Cache *c = s->caches->pdata[i];
                const SeriesPolicy *p;

                if (!path_covers(prefix, &c->path))
                        break;
                p = series_policy(s, &c->path);
                if (!p) {
                        remove_cache(s, i);
                        continue;
                }
                follow_policy(s, c, p);
                i++;
        }
        return 0;
}

void series_clear(Series *s) {
        g_hash_table_remove_all(s->policies);
        series_remove(s, &PATH_ROOT);
}

bool series_has_policies(const Series *s) {
        return g_hash_table_size(s->policies) > 0;
}

int series_policy_parse(const char *text, SeriesPolicy *ret) {
        g_auto(GStrv) words = g_strsplit(text, " ", -1);
        SeriesPolicy policy = { 0 };

        if (!words[0] || parse_u32(words[0], &policy.samples) < 0)
                return -EINVAL;
        for (char **word = words + 1; *word; word++) {
                if (strcmp(*word, "oldest") == 0)
                        policy.drop_oldest = true;
                else if (strcmp(*word, "latest") == 0)
                        policy.read_latest = true;
                else if (strcmp(*word, "newest") != 0 && strcmp(*word, "all") != 0)
                        return -EINVAL;
        }
        if (policy.samples > SERIES_SAMPLES_MAX)
                return -ERANGE;
        *ret = policy;
        return 0;
}

char *series_policy_format(const SeriesPolicy *p) {
        return g_strdup_printf("%u %s %s", p->samples, p->drop_oldest ? "oldest" : "newest",
                               p->read_latest ? "latest" : "all");
}

static int load_policy(Series *s, const char *line) {
        const char *space = strchr(line, ' ');
        g_autofree char *name = space ? g_strndup(line, (gsize) (space - line)) : NULL;
        SeriesPolicy policy;
        Path prefix;

        if (!space || path_parse(name, &prefix) < 0 || series_policy_parse(space + 1, &policy) < 0)
                return -EBADMSG;
        return series_set_policy(s, &prefix, &policy);
}

int series_load_policies(Series *s, const char *text) {
        g_auto(GStrv) lines = g_strsplit(text, "\n", -1);

        for (char **line = lines; *line && **line; line++)
                if (load_policy(s, *line) < 0)
                        return -EBADMSG;
        return 0;
}

/* --- adding --- */
/* Room for n more, as far as the policy and the limit of all caches go. */
static void make_room(Series *s, Cache *c, size_t n) {
        const uint64_t wanted = MIN((uint64_t) c->ring.n + n, c->policy.samples);
        uint64_t size = wanted + wanted / 8 + GROWTH_MIN;

        take_over(s, c);
        if (wanted <= c->ring.size)
                return;
        size = MIN(size, c->policy.samples);
        size = MIN(size, bytes_left(s, c) / ring_sample_size(&c->ring));
        if (size > c->ring.size)
                cache_resize(s, c, (uint32_t) size);
        if (c->ring.size == 0) /* he may have nothing, another may */
                c->payer = 0;
}

typedef struct Fit {
        size_t skipped, accepted; /* of the samples that came */
        uint32_t gone;            /* of those that were there */
} Fit;

/* How n samples fit into a cache that has as much room as it gets. */
static Fit fit(const Cache *c, size_t n) {
        const uint32_t size = MIN(c->ring.size, c->policy.samples);
        const uint32_t room = size > c->ring.n ? size - c->ring.n : 0;
        Fit f = { .accepted = MIN(n, room) };

        if (!c->policy.drop_oldest || f.accepted == n)
                return f;
        f.accepted = MIN(n, size);
        f.skipped = n - f.accepted;
        f.gone = (uint32_t) (f.accepted - room);
        return f;
}

static Cache *cache_for(Series *s, const Path *p, ValueType type, const SeriesPolicy *policy) {
        Cache *c = series_cache(s, p);

        if (c && c->type != type) { /* the object has another definition now */
                remove_cache(s, series_place(s, p));
                c = NULL;
        }
        return c ? c : series_cache_make(s, p, type, policy);
}

static void push_all(Series *s, Cache *c, const Sample *samples, size_t n) {
        for (size_t i = 0; i < n; i++)
                ring_push(&c->ring, &samples[i]);
        if (c->kept)
                s->n_samples_kept += n;
        s->n_added += n;
}

int series_add(Series *s, const Path *p, ValueType type, const Sample *samples, size_t n,
               size_t *ret_dropped) {
        const SeriesPolicy *policy = series_policy(s, p);
        Cache *c;
        Fit f;
        int r;

        if (!policy || !sample_fits(type))
                return -ENOENT;
        c = cache_for(s, p, type, policy);
        make_room(s, c, n);
        f = fit(c, n);
        r = f.accepted > 0
                    ? disk_added(s, c, samples + f.skipped, f.accepted, c->first_seq + f.gone)
                    : 0;
        if (r < 0)
                return r;
        pass_first(s, c, f.gone);
        push_all(s, c, samples + f.skipped, f.accepted);
        for (size_t i = 0; i < n; i++) /* those that had no room, too, became the value */
                c->newest_ns = MAX(c->newest_ns, samples[i].time_ns);
        n -= f.accepted;
        s->n_dropped += n + f.gone;
        c->n_dropped += n + f.gone;
        if (ret_dropped)
                *ret_dropped = n + f.gone;
        return 0;
}

/* --- clocks --- */
static void set_times(Cache *c, int64_t offset_ns) {
        for (uint32_t i = 0; i < c->ring.n; i++)
                if (ring_at(&c->ring, i).time_ns < SERIES_TIME_MIN_NS)
                        ring_shift_time(&c->ring, i, offset_ns);
        if (c->newest_ns != INT64_MIN && c->newest_ns < SERIES_TIME_MIN_NS)
                c->newest_ns += offset_ns;
}

void series_clock_set(Series *s, int64_t offset_ns) {
        if (s->clock_set)
                return;
        s->clock_set = true;
        for (guint i = 0; i < s->caches->len; i++) {
                Cache *c = s->caches->pdata[i];
                bool boot = c->newest_ns < SERIES_TIME_MIN_NS;

                for (uint32_t k = 0; k < c->ring.n && !boot; k++)
                        boot = ring_at(&c->ring, k).time_ns < SERIES_TIME_MIN_NS;
                if (!boot)
                        continue;
                set_times(c, offset_ns);
                disk_changed(s, c);
        }
}

/* --- looking --- */
typedef struct Item {
        Sample sample;
        uint32_t order;
} Item;

static int compare_items(const void *a, const void *b) {
        const Item *x = a, *y = b;

        if (x->sample.time_ns != y->sample.time_ns)
                return x->sample.time_ns < y->sample.time_ns ? -1 : 1;
        return x->order < y->order ? -1 : 1;
}

size_t cache_visit(const Series *s, const Cache *c, uint64_t from, uint64_t end, SeriesVisit visit,
                   void *userdata) {
        const size_t n = (size_t) (end - from);
        g_autofree Item *items = g_new(Item, n);
        bool sorted = true;
        size_t n_visited = 0;

        for (size_t i = 0; i < n; i++) {
                items[i] = (Item){ ring_at(&c->ring, (uint32_t) (from - c->first_seq + i)),
                                   (uint32_t) i };
                sorted = sorted &&
                         (i == 0 || items[i - 1].sample.time_ns <= items[i].sample.time_ns);
        }
        if (!sorted)
                qsort(items, n, sizeof(Item), compare_items);
        for (size_t i = 0; i < n; i++) {
                const Value v = sample_value(c->type, items[i].sample.bits);

                if (i + 1 < n && items[i].sample.time_ns == items[i + 1].sample.time_ns)
                        continue; /* corrected by the next one */
                visit(userdata, items[i].sample.time_ns, &v);
                n_visited++;
        }
        return n_visited;
}

size_t series_read(const Series *s, const Path *p, size_t max, SeriesVisit visit, void *userdata) {
        const Cache *c = series_cache(s, p);
        const uint64_t end = c ? cache_end(c) : 0;

        if (!c || !cache_can_tell(s, c))
                return 0;
        return cache_visit(s, c, end - MIN(max, c->ring.n), end, visit, userdata);
}

bool series_info(const Series *s, const Path *p, SeriesInfo *ret) {
        const Cache *c = series_cache(s, p);

        if (!c)
                return false;
        *ret = (SeriesInfo){
                .path = c->path,
                .type = c->type,
                .policy = c->policy,
                .n = c->ring.n,
                .n_dropped = c->n_dropped,
                .newest_ns = c->newest_ns,
        };
        return true;
}

uint64_t series_bytes(const Series *s) {
        return s->n_bytes;
}

void series_totals(const Series *s, uint64_t *ret_added, uint64_t *ret_dropped) {
        *ret_added = s->n_added;
        *ret_dropped = s->n_dropped;
}
