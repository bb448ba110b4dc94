/* SPDX-License-Identifier: Apache-2.0 */
#include "model/series_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "codec/cborio.h"
#include "model/store_format.h"
#include "util/cleanup.h"
#include "util/file.h"

/* --- entries --- */
static void put_head(GByteArray *out, size_t n, SeriesEntryKind kind, const Path *p) {
        cborio_put_array(out, n);
        cborio_put_uint(out, kind);
        cborio_put_array(out, p->n);
        for (uint8_t i = 0; i < p->n; i++)
                cborio_put_uint(out, p->id[i]);
}

static void put_words(GByteArray *out, const Sample *samples, size_t n, bool times) {
        Value v = { .type = VALUE_OPAQUE, .length = (uint32_t) (n * 8) };
        g_autofree uint64_t *words = g_new(uint64_t, n);

        for (size_t i = 0; i < n; i++)
                words[i] = GUINT64_TO_LE(times ? (uint64_t) samples[i].time_ns : samples[i].bits);
        v.data = (char *) words;
        cborio_put_value(out, &v, false);
}

void series_put_samples(GByteArray *out, const Path *p, ValueType type, uint64_t seq,
                        const Sample *samples, size_t n) {
        put_head(out, 6, ENTRY_SAMPLES, p);
        cborio_put_uint(out, type);
        cborio_put_uint(out, seq);
        put_words(out, samples, n, true);
        put_words(out, samples, n, false);
}

void series_put_acked(GByteArray *out, const Path *p, uint64_t identity, uint64_t seq) {
        put_head(out, 4, ENTRY_ACKED, p);
        cborio_put_uint(out, identity);
        cborio_put_uint(out, seq);
}

void series_put_sent(GByteArray *out, const Path *p, uint64_t identity, uint64_t seq,
                     uint32_t number) {
        put_head(out, 5, ENTRY_SENT, p);
        cborio_put_uint(out, identity);
        cborio_put_uint(out, seq);
        cborio_put_uint(out, number);
}

void series_put_first(GByteArray *out, const Path *p, uint64_t seq) {
        put_head(out, 3, ENTRY_FIRST, p);
        cborio_put_uint(out, seq);
}

void series_put_gone(GByteArray *out, const Path *p) {
        put_head(out, 2, ENTRY_GONE, p);
}

static int read_path(Reader *in, Path *ret) {
        Path p = PATH_ROOT;
        uint64_t n, id;
        int r;

        r = cborio_take_array(in, &n);
        if (r < 0)
                return r;
        if (n < 3 || n > 4)
                return -EBADMSG;
        while (n-- > 0) {
                r = cborio_take_uint(in, ID_MAX, &id);
                if (r < 0)
                        return r;
                p = path_child(&p, (uint16_t) id);
        }
        *ret = p;
        return 0;
}

static int read_words(Reader *in, Reader *ret) {
        CborItem item;
        int r;

        r = cborio_read(in, &item);
        if (r < 0)
                return r;
        if (item.kind != CBOR_KIND_BYTES || item.indefinite || item.n % 8)
                return -EBADMSG;
        *ret = (Reader){ .pos = item.data, .left = (size_t) item.n };
        return 0;
}

static int read_samples(Reader *in, SeriesEntry *e) {
        uint64_t type;
        int r;

        r = cborio_take_uint(in, _VALUE_TYPE_MAX - 1, &type);
        if (r < 0)
                return r;
        e->type = (ValueType) type;
        if (!sample_fits(e->type))
                return -EBADMSG;
        r = cborio_take_uint(in, UINT64_MAX / 2, &e->seq);
        if (r >= 0)
                r = read_words(in, &e->times);
        if (r >= 0)
                r = read_words(in, &e->values);
        if (r < 0)
                return r;
        e->n = e->times.left / 8;
        return e->values.left == e->times.left ? 0 : -EBADMSG;
}

int series_entry_next(Reader *in, SeriesEntry *ret) {
        static const uint8_t lengths[] = { 6, 4, 3, 2, 5 };
        SeriesEntry e = { .n = 0 };
        uint64_t n, kind, number = 0;
        int r;

        if (in->left == 0)
                return 0;
        r = cborio_take_array(in, &n);
        if (r >= 0)
                r = cborio_take_uint(in, ENTRY_SENT, &kind);
        if (r >= 0)
                r = read_path(in, &e.path);
        if (r < 0)
                return r;
        if (n != lengths[kind])
                return -EBADMSG;
        e.kind = (SeriesEntryKind) kind;
        if (e.kind == ENTRY_SAMPLES)
                r = read_samples(in, &e);
        if (r >= 0 && (e.kind == ENTRY_ACKED || e.kind == ENTRY_SENT))
                r = cborio_take_uint(in, UINT64_MAX, &e.identity);
        if (r >= 0 && (e.kind == ENTRY_ACKED || e.kind == ENTRY_FIRST || e.kind == ENTRY_SENT))
                r = cborio_take_uint(in, UINT64_MAX / 2, &e.seq);
        if (r >= 0 && e.kind == ENTRY_SENT)
                r = cborio_take_uint(in, UINT32_MAX, &number);
        if (r < 0)
                return r;
        e.number = (uint32_t) number;
        *ret = e;
        return 1;
}

static uint64_t word_at(const Reader *words, size_t i) {
        uint64_t word;

        memcpy(&word, words->pos + i * 8, sizeof(word));
        return GUINT64_FROM_LE(word);
}

Sample series_entry_sample(const SeriesEntry *e, size_t i) {
        return (Sample){ .time_ns = (int64_t) word_at(&e->times, i),
                         .bits = word_at(&e->values, i) };
}

/* --- the file --- */
static bool is_whole(Reader entries) {
        SeriesEntry e;
        int r;

        while ((r = series_entry_next(&entries, &e)) > 0)
                ;
        return r == 0;
}

int series_file_read(const void *data, size_t n,
                     void (*entry)(void *userdata, const SeriesEntry *e), void *userdata,
                     size_t *ret_torn) {
        Reader in = { .pos = data, .left = n }, entries;
        SeriesEntry e;
        uint64_t seq;
        int r;

        r = header_next(&in, SERIES_FILE_NAME, &seq);
        if (r < 0)
                return r;
        for (;;) {
                *ret_torn = in.left;
                if (frame_next(&in, &entries) <= 0 || !is_whole(entries))
                        return 0;
                while (series_entry_next(&entries, &e) > 0)
                        entry(userdata, &e);
        }
}

SeriesFile *series_file_new(int dirfd) {
        SeriesFile *f = g_new(SeriesFile, 1);

        *f = (SeriesFile){ .dirfd = dirfd, .fd = -1 };
        return f;
}

SeriesFile *series_file_free(SeriesFile *f) {
        if (f)
                close_fd(&f->fd);
        g_free(f);
        return NULL;
}

int series_file_open(SeriesFile *f, size_t size) {
        int fd = openat(f->dirfd, SERIES_FILE_NAME, O_WRONLY | O_CLOEXEC | O_NOFOLLOW | O_APPEND);

        if (fd < 0)
                return -errno;
        f->fd = fd;
        f->size = size;
        f->dirty = false;
        return 0;
}

int series_file_append(SeriesFile *f, const GByteArray *entries) {
        g_autoptr(GByteArray) frame = g_byte_array_sized_new(entries->len + FRAME_HEAD_LENGTH);
        int r;

        if (f->fd < 0)
                return -EIO;
        frame_put(frame, entries->data, entries->len);
        r = file_write_all(f->fd, frame->data, frame->len);
        if (r >= 0) {
                f->size += frame->len;
                f->dirty = true;
                return 0;
        }
        if (ftruncate(f->fd, (off_t) f->size) < 0)
                close_fd(&f->fd);
        return r;
}

int series_file_replace(SeriesFile *f, const GPtrArray *frames) {
        g_autoptr(GByteArray) whole = g_byte_array_new();
        int r;

        header_put(whole, SERIES_FILE_NAME, 0);
        for (guint i = 0; i < frames->len; i++) {
                const GByteArray *entries = frames->pdata[i];

                frame_put(whole, entries->data, entries->len);
        }
        r = file_replace_at(f->dirfd, SERIES_FILE_NAME, whole->data, whole->len, false);
        if (r < 0)
                return r;
        close_fd(&f->fd); /* it leads to the former file */
        r = file_sync_directory(f->dirfd);
        return r < 0 ? r : series_file_open(f, whole->len);
}

int series_file_sync(SeriesFile *f) {
        if (!f->dirty || f->fd < 0)
                return 0;
        if (fdatasync(f->fd) < 0)
                return -errno;
        f->dirty = false;
        return 0;
}
