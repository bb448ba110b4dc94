/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <unistd.h>

#include "model/series_internal.h"
#include "util/cleanup.h"
#include "util/file.h"
#include "util/log.h"

#define CHUNK 65536U                /* samples of one entry */
#define FRAME_BYTES (4U << 20)      /* of the file when it is written anew */
#define FILE_BYTES_MAX (1ULL << 31) /* a GByteArray has 32 bits */
#define SLACK_BYTES (512U << 10)    /* what has gone may take as much as what is there, and this */

static void tell(const Series *s, int level, const char *format, ...)
        __attribute__((format(printf, 3, 4)));
static void tell(const Series *s, int level, const char *format, ...) {
        g_autofree char *text = NULL;
        va_list ap;

        va_start(ap, format);
        text = g_strdup_vprintf(format, ap);
        va_end(ap);
        if (s->message)
                s->message(s->message_userdata, level, text);
}

bool disk_keeps(const Series *s, const Path *p) {
        return s->file && s->config.kept && s->config.kept(s->config.userdata, p);
}

static void note_pending(Series *s) {
        if (s->is_pending)
                return;
        s->is_pending = true;
        if (s->config.pending)
                s->config.pending(s->config.userdata);
}

/* --- writing --- */
static int write_anew(Series *s);

static int append(Series *s, const GByteArray *entries) {
        int r = 0;

        note_pending(s); /* after a failure the next sync writes it anew */
        if (s->file->fd < 0 && !s->file_failed)
                r = write_anew(s);
        if (r >= 0)
                r = series_file_append(s->file, entries);
        if (r < 0)
                s->file_failed = true;
        return r;
}

static void put_chunks(GByteArray *out, const Cache *c, uint64_t seq, const Sample *samples,
                       size_t n) {
        for (size_t i = 0; i < n; i += CHUNK)
                series_put_samples(out, &c->path, c->type, seq + i, samples + i, MIN(n - i, CHUNK));
}

int disk_added(Series *s, const Cache *c, const Sample *samples, size_t n, uint64_t new_first) {
        g_autoptr(GByteArray) out = NULL;

        if (!c->kept || s->loading)
                return 0;
        out = g_byte_array_new();
        if (new_first > c->first_seq)
                series_put_first(out, &c->path, new_first);
        put_chunks(out, c, cache_end(c), samples, n);
        return append(s, out);
}

/* What is not written here is found when the file is written anew, before which the samples cannot
 * be lost but may be sent again. */
static void append_or_tell(Series *s, const Cache *c, const GByteArray *entries) {
        int r;

        r = append(s, entries);
        if (r >= 0)
                return;
        tell(s, LOG_LEVEL_ERROR,
             "Cannot note what became of the samples of %s, after a crash some may be sent again: "
             "%s",
             PATH_TEXT(&c->path), g_strerror(-r));
        close_fd(&s->file->fd);
}

void disk_acked(Series *s, const Cache *c, uint64_t identity, uint64_t acked) {
        g_autoptr(GByteArray) out = NULL;

        if (!c->kept || s->loading)
                return;
        out = g_byte_array_new();
        series_put_acked(out, &c->path, identity, acked);
        append_or_tell(s, c, out);
}

void disk_sent(Series *s, const Cache *c, const Left *left) {
        g_autoptr(GByteArray) out = NULL;

        if (!c->kept || s->loading)
                return;
        out = g_byte_array_new();
        series_put_sent(out, &c->path, left->identity, left->sent, left->number);
        append_or_tell(s, c, out);
}

void disk_first(Series *s, const Cache *c, uint64_t new_first) {
        g_autoptr(GByteArray) out = NULL;

        if (!c->kept || s->loading)
                return;
        out = g_byte_array_new();
        series_put_first(out, &c->path, new_first);
        append_or_tell(s, c, out);
}

void disk_removed(Series *s, const Cache *c) {
        g_autoptr(GByteArray) out = NULL;

        if (!c->kept || s->loading)
                return;
        out = g_byte_array_new();
        series_put_gone(out, &c->path);
        append_or_tell(s, c, out);
}

static void put_left(GByteArray *out, const Cache *c, const Left *left) {
        if (left->acked > c->first_seq)
                series_put_acked(out, &c->path, left->identity, left->acked);
        if (left->sent > MAX(left->acked, c->first_seq))
                series_put_sent(out, &c->path, left->identity, left->sent, left->number);
}

static void put_cache(GByteArray *out, const Cache *c) {
        g_autofree Sample *samples = g_new(Sample, c->ring.n);

        for (uint32_t i = 0; i < c->ring.n; i++)
                samples[i] = ring_at(&c->ring, i);
        put_chunks(out, c, c->first_seq, samples, c->ring.n);
        for (guint i = 0; i < c->cursors->len; i++) {
                const Cursor *cursor = c->cursors->pdata[i];

                put_left(out, c,
                         &(Left){ .identity = cursor->reader->identity,
                                  .acked = cursor->acked,
                                  .sent = cursor->sent,
                                  .number = cursor->reader->number });
        }
        for (guint i = 0; i < c->left->len; i++)
                put_left(out, c, &g_array_index(c->left, Left, i));
}

void disk_changed(Series *s, const Cache *c) {
        g_autoptr(GByteArray) out = NULL;

        if (!c->kept || s->loading)
                return;
        out = g_byte_array_new();
        series_put_gone(out, &c->path);
        put_cache(out, c);
        append_or_tell(s, c, out);
}

static void unref_frame(void *frame) {
        g_byte_array_unref(frame);
}

static int write_anew(Series *s) {
        g_autoptr(GPtrArray) frames = g_ptr_array_new_with_free_func(unref_frame);
        GByteArray *frame = NULL;
        int r;

        for (guint i = 0; i < s->caches->len; i++) {
                const Cache *c = s->caches->pdata[i];

                if (!c->kept || c->ring.n == 0)
                        continue;
                if (!frame || frame->len > FRAME_BYTES) {
                        frame = g_byte_array_new();
                        g_ptr_array_add(frames, frame);
                }
                put_cache(frame, c);
        }
        r = series_file_replace(s->file, frames);
        s->file_failed = r < 0;
        return r;
}

static bool is_overgrown(const Series *s) {
        return s->file->size > SLACK_BYTES + 2 * s->n_samples_kept * sizeof(Sample);
}

int series_sync(Series *s) {
        int r;

        if (!s->file || !s->is_pending)
                return 0;
        r = s->file->fd < 0 || is_overgrown(s) ? write_anew(s) : series_file_sync(s->file);
        if (r >= 0)
                s->is_pending = false;
        return r;
}

bool series_pending(const Series *s) {
        return s->is_pending;
}

int series_kept_changed(Series *s, const Path *prefix) {
        for (guint i = series_place(s, prefix); i < s->caches->len; i++) {
                Cache *c = s->caches->pdata[i];
                bool kept;

                if (!path_covers(prefix, &c->path))
                        break;
                kept = disk_keeps(s, &c->path);
                if (kept == c->kept)
                        continue;
                if (!kept)
                        disk_removed(s, c);
                s->n_samples_kept += kept ? (uint64_t) c->ring.n : -(uint64_t) c->ring.n;
                c->kept = kept;
                disk_changed(s, c);
        }
        return s->file_failed ? -EIO : 0;
}

/* --- reading --- */
typedef struct Load {
        Series *series;
        uint64_t n_orphans; /* samples of paths that are not cached any more */
} Load;

static void load_samples(Load *l, const SeriesEntry *e) {
        Series *s = l->series;
        const SeriesPolicy *policy = series_policy(s, &e->path);
        g_autofree Sample *samples = NULL;
        Cache *c = series_cache(s, &e->path);
        size_t skip;

        if (!policy) {
                l->n_orphans += e->n;
                return;
        }
        if (!c)
                c = series_cache_make(s, &e->path, e->type, policy);
        if (c->ring.n == 0 || e->seq > cache_end(c)) {
                cache_drop_first(s, c, c->ring.n);
                c->first_seq = MAX(c->first_seq, e->seq);
        }
        skip = (size_t) MIN(cache_end(c) - MIN(e->seq, cache_end(c)), e->n); /* told before */
        samples = g_new(Sample, e->n);
        for (size_t i = 0; i < e->n; i++)
                samples[i] = series_entry_sample(e, i);
        (void) series_add(s, &e->path, e->type, samples + skip, e->n - skip, NULL);
}

static void load_first(Series *s, const SeriesEntry *e) {
        Cache *c = series_cache(s, &e->path);

        if (!c || e->seq <= c->first_seq)
                return;
        cache_drop_first(s, c, (uint32_t) MIN(e->seq - c->first_seq, c->ring.n));
        c->first_seq = MAX(c->first_seq, e->seq);
}

static void load_left(Cache *c, const SeriesEntry *e) {
        Left left = { .identity = e->identity, .number = e->number };

        if (e->kind == ENTRY_ACKED)
                left.acked = MIN(e->seq, cache_end(c));
        else
                left.sent = MIN(e->seq, cache_end(c));
        cache_leave(c, &left);
}

static void on_entry(void *userdata, const SeriesEntry *e) {
        Load *l = userdata;
        Cache *c;

        switch (e->kind) {
        case ENTRY_SAMPLES:
                load_samples(l, e);
                break;
        case ENTRY_ACKED:
        case ENTRY_SENT:
                c = series_cache(l->series, &e->path);
                if (c)
                        load_left(c, e);
                break;
        case ENTRY_FIRST:
                load_first(l->series, e);
                break;
        case ENTRY_GONE:
                series_remove(l->series, &e->path);
                break;
        }
}

/* Numbers that no daemon has counted up to begin anew, while there is room above them. */
static bool renumber(Cache *c) {
        const uint64_t by = c->first_seq;

        if (by <= UINT64_MAX / 4)
                return false;
        c->first_seq = 0;
        for (guint i = 0; i < c->left->len; i++) {
                Left *left = &g_array_index(c->left, Left, i);

                left->acked -= MIN(left->acked, by);
                left->sent -= MIN(left->sent, by);
        }
        return true;
}

/* *ret_anew: the file has to be written anew before anything can be appended. */
static int load(Series *s, const uint8_t *data, size_t n, bool *ret_anew) {
        Load l = { .series = s };
        size_t torn = 0;
        int r;

        s->loading = true;
        r = series_file_read(data, n, on_entry, &l, &torn);
        s->loading = false;
        if (r == -EPROTONOSUPPORT)
                return r;
        *ret_anew = r < 0 || torn > 0;
        for (guint i = 0; i < s->caches->len; i++)
                *ret_anew = renumber(s->caches->pdata[i]) || *ret_anew;
        if (r < 0 || torn > 0)
                tell(s, LOG_LEVEL_WARNING, "%s: the last %zu bytes are not whole and are left out",
                     SERIES_FILE_NAME, r < 0 ? n : torn);
        if (l.n_orphans > 0)
                tell(s, LOG_LEVEL_WARNING,
                     "%s: %" PRIu64 " samples of resources that are not cached any more are left "
                     "out",
                     SERIES_FILE_NAME, l.n_orphans);
        return 0;
}

int series_open_file(Series *s, int dirfd,
                     void (*message)(void *userdata, int level, const char *text), void *userdata) {
        g_autofree uint8_t *data = NULL;
        bool was_open = false, anew = true;
        size_t n;
        int r;

        s->message = message;
        s->message_userdata = userdata;
        s->file = series_file_new(dirfd);
        r = file_read_at(dirfd, SERIES_FILE_NAME, FILE_BYTES_MAX, &data, &n, &was_open);
        if (r >= 0)
                r = load(s, data, n, &anew);
        if (r >= 0 && anew)
                (void) file_set_aside_at(dirfd, SERIES_FILE_NAME);
        if (r == -ENOENT) /* made when there is something to keep */
                return 0;
        if (r >= 0)
                r = anew ? write_anew(s) : series_file_open(s->file, n);
        if (r < 0)
                s->file = series_file_free(s->file);
        return r;
}
