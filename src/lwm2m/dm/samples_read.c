/* SPDX-License-Identifier: Apache-2.0 */
#include "lwm2m/dm/samples_read.h"

#define RECORDS_MAX 100000    /* in one answer, when no limit is configured */
#define BYTES_OF_A_SAMPLE 10U /* at least, in any format */

typedef struct Expansion {
        ReadResult *ret;
        Path path;
} Expansion;

static void append(ReadResult *r, const Record *record) {
        if (r->n == r->n_allocated) {
                r->n_allocated = MAX(r->n_allocated * 2, 8);
                r->v = g_renew(Record, r->v, r->n_allocated);
        }
        r->v[r->n++] = *record;
}

static void add_sample(void *userdata, int64_t time_ns, const Value *v) {
        Expansion *e = userdata;

        append(e->ret, &(Record){ .path = e->path, .value = *v, .time_ns = time_ns });
}

static bool is_cached(const Dm *dm, const Path *p) {
        return samples_cached(dm, p, tree_resource_def(dm->tree, p));
}

void samples_read(const Dm *dm, const ReadResult *in, ReadResult *ret) {
        const Series *series = dm->config.series;
        const size_t max = dm->config.limits.records ? dm->config.limits.records : RECORDS_MAX;
        ReadResult result = { .elsewhere = in->elsewhere };

        for (size_t i = 0; i < in->n; i++) {
                Expansion e = { .ret = &result, .path = in->v[i].path };
                const size_t room = max > result.n ? max - result.n : 0;

                if (!is_cached(dm, &e.path) || series_policy(series, &e.path)->read_latest ||
                    series_read(series, &e.path, room, add_sample, &e) == 0)
                        append(&result, &in->v[i]);
        }
        *ret = result;
}

size_t samples_take(const Dm *dm, const ReadResult *in, SeriesReader *reader, size_t max,
                    ReadResult *ret) {
        ReadResult result = { .elsewhere = in->elsewhere };

        series_reader_begin(reader, max);
        for (size_t i = 0; i < in->n; i++) {
                Expansion e = { .ret = &result, .path = in->v[i].path };

                if (!is_cached(dm, &e.path) ||
                    series_reader_take(reader, &e.path, add_sample, &e) == 0)
                        append(&result, &in->v[i]);
        }
        series_reader_pass(reader);
        *ret = result;
        return series_reader_taken(reader);
}

/* How many samples to try when taken of them made size bytes. */
static size_t fewer(size_t taken, size_t size, size_t limit) {
        const size_t guess = (size_t) ((double) taken * (double) limit / (double) size * 0.95);

        return CLAMP(guess, 1, taken - 1);
}

int samples_take_body(const Dm *dm, const ReadTarget *target, const ReadResult *in,
                      SeriesReader *reader, size_t limit, GBytes **ret) {
        size_t max = limit / BYTES_OF_A_SAMPLE;
        g_autoptr(GBytes) body = NULL;

        for (;;) {
                g_auto(ReadResult) result = { .v = NULL };
                size_t taken, size;
                int r;

                g_clear_pointer(&body, g_bytes_unref);
                taken = samples_take(dm, in, reader, max, &result);
                r = read_encode(dm, target, &result, &body);
                if (r < 0)
                        return r;
                size = g_bytes_get_size(body);
                if (size <= limit || taken < 2 || series_reader_is_repeating(reader))
                        break;
                max = fewer(taken, size, limit);
                /* Blocks cannot be avoided: then they should carry something. */
                if (max == 1 && limit < SAMPLES_BODY_BLOCKS_MAX) {
                        limit = SAMPLES_BODY_BLOCKS_MAX;
                        max = limit / BYTES_OF_A_SAMPLE;
                }
        }
        *ret = g_steal_pointer(&body);
        return 0;
}
