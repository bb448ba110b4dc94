/* SPDX-License-Identifier: Apache-2.0 */
#include "lwm2m/send/send_source.h"

#include <errno.h>

#include "lwm2m/dm/samples.h"
#include "lwm2m/send/send_body.h"

#define BYTES_OF_A_SAMPLE 10U /* at least, in any format */

struct SendSource {
        const Dm *dm;
        SendContent *content;
        uint16_t ssid;
        SeriesReader *reader; /* NULL without caches */
        GArray *cached;       /* of Path: those of content that the server may read */
        size_t next, n_made;  /* first record not acknowledged; how many are in the last body */
        uint64_t n_wanted;    /* samples that were there when the first body was made */
        bool begun;
};

/* --- content --- */
SendContent *send_content_new(Format format, RecordList *records) {
        SendContent *c = g_new(SendContent, 1);

        *c = (SendContent){ .n_refs = 1, .format = format, .records = *records };
        *records = (RecordList){ .v = NULL };
        for (size_t i = 0; i < c->records.n; i++)
                c->size += send_record_size(&c->records.v[i]);
        return c;
}

SendContent *send_content_ref(SendContent *c) {
        c->n_refs++;
        return c;
}

SendContent *send_content_unref(SendContent *c) {
        if (!c || --c->n_refs > 0)
                return NULL;
        record_list_clear(&c->records);
        g_clear_pointer(&c->cached, g_array_unref);
        g_free(c);
        return NULL;
}

/* --- life --- */
/* All Sends to a server have one name: what it got with one is not in the next. */
static SeriesReader *open_reader(const SendSource *s) {
        return series_reader_new(s->dm->config.series, samples_identity(s->ssid, "send", NULL, 0),
                                 (const Path *) (const void *) s->cached->data, s->cached->len);
}

static void open_caches(SendSource *s) {
        const GArray *all = s->content->cached;

        s->cached = g_array_new(FALSE, FALSE, sizeof(Path));
        for (guint i = 0; i < all->len; i++) {
                const Path *p = &g_array_index(all, Path, i);

                if (dm_may(s->dm, s->ssid, p, ACCESS_READ) == 0)
                        g_array_append_vals(s->cached, p, 1);
        }
        if (s->cached->len > 0)
                s->reader = open_reader(s);
}

/* What Sends before this one have brought while it waited is not for it any more. */
static void begin(SendSource *s) {
        SeriesReader *former = s->reader;

        s->reader = open_reader(s);
        series_reader_free(former);
        s->n_wanted = series_reader_waiting(s->reader);
        s->begun = true;
}

SendSource *send_source_new(const Dm *dm, uint16_t ssid, SendContent *content) {
        SendSource *s = g_new0(SendSource, 1);

        s->dm = dm;
        s->ssid = ssid;
        s->content = send_content_ref(content);
        if (content->cached && dm->config.series)
                open_caches(s);
        return s;
}

SendSource *send_source_free(SendSource *s) {
        if (!s)
                return NULL;
        series_reader_free(s->reader);
        g_clear_pointer(&s->cached, g_array_unref);
        send_content_unref(s->content);
        g_free(s);
        return NULL;
}

const SendContent *send_source_content(const SendSource *s) {
        return s->content;
}

/* --- bodies --- */
typedef struct Taking {
        GArray *records; /* of Record; nothing in them is owned */
        Path path;
} Taking;

static void add_sample(void *userdata, int64_t time_ns, const Value *v) {
        Taking *t = userdata;
        const Record r = { .path = t->path, .value = *v, .time_ns = time_ns };

        g_array_append_val(t->records, r);
}

static gint compare_records(gconstpointer a, gconstpointer b) {
        const Record *x = a, *y = b;
        const int r = path_compare(&x->path, &y->path);

        return r != 0 ? r : (x->time_ns > y->time_ns) - (x->time_ns < y->time_ns);
}

/* The records that are left, and up to max samples. */
static GArray *take(SendSource *s, size_t max) {
        const RecordList *l = &s->content->records;
        Taking t = { .records = g_array_new(FALSE, FALSE, sizeof(Record)) };

        if (l->n > s->next)
                g_array_append_vals(t.records, l->v + s->next, (guint) (l->n - s->next));
        series_reader_begin(s->reader, max);
        for (guint i = 0; i < s->cached->len; i++) {
                t.path = g_array_index(s->cached, Path, i);
                series_reader_take(s->reader, &t.path, add_sample, &t);
        }
        g_array_sort(t.records, compare_records);
        return t.records;
}

static size_t fewer(size_t n, size_t size, size_t bytes_max) {
        const size_t guess = (size_t) ((double) n * (double) bytes_max / (double) size * 0.95);

        return CLAMP(guess, 1, n - 1);
}

/* With all records that are left. -E2BIG: not even one sample fits beside them. */
static int make_with_samples(SendSource *s, size_t bytes_max, GBytes **ret, size_t *ret_n) {
        const FormatSchema schema = tree_format_schema(s->dm->tree);
        const size_t n_records = s->content->records.n - s->next;
        size_t max = MAX(bytes_max / BYTES_OF_A_SAMPLE, 1);

        for (;;) {
                g_autoptr(GArray) records = take(s, max);
                g_autoptr(GByteArray) out = g_byte_array_new();
                const size_t n = series_reader_taken(s->reader);
                int r;

                if (records->len == 0)
                        return -ENODATA;
                r = format_encode(s->content->format, &PATH_ROOT,
                                  (const Record *) (const void *) records->data, records->len,
                                  &schema, out);
                if (r < 0)
                        return r;
                if (out->len <= bytes_max || (n_records == 0 && n < 2)) {
                        *ret_n = records->len;
                        *ret = g_byte_array_free_to_bytes(g_steal_pointer(&out));
                        return 0;
                }
                if (n < 2)
                        return -E2BIG;
                max = fewer(n, out->len, bytes_max);
        }
}

static int make_of_records(SendSource *s, size_t bytes_max, GBytes **ret) {
        const FormatSchema schema = tree_format_schema(s->dm->tree);
        const RecordList *l = &s->content->records;

        if (s->reader)
                series_reader_begin(s->reader, 0);
        return send_body_make(s->content->format, l->v + s->next, l->n - s->next, bytes_max,
                              &schema, ret, &s->n_made);
}

int send_source_make(SendSource *s, size_t bytes_max, GBytes **ret, size_t *ret_n) {
        int r;

        if (s->reader) {
                if (!s->begun)
                        begin(s);
                s->n_made = s->content->records.n - s->next;
                r = make_with_samples(s, bytes_max, ret, ret_n);
                if (r != -E2BIG)
                        return r;
        }
        if (s->next >= s->content->records.n)
                return -ENODATA;
        r = make_of_records(s, bytes_max, ret);
        if (r >= 0)
                *ret_n = s->n_made;
        return r;
}

bool send_source_acknowledge(SendSource *s) {
        s->next += s->n_made;
        s->n_made = 0;
        if (s->reader) {
                s->n_wanted -= MIN(s->n_wanted, series_reader_taken(s->reader));
                series_reader_ack(s->reader);
        }
        return s->next >= s->content->records.n &&
               (!s->reader || s->n_wanted == 0 || series_reader_waiting(s->reader) == 0);
}
