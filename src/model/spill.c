/* SPDX-License-Identifier: Apache-2.0 */
#include "model/spill.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/crc32c.h"
#include "util/file.h"
#include "util/log.h"

#define HEADER 20 /* magic, offset of the front, checksum of that */
#define HEAD 8    /* of a record: length, checksum */
#define RECORD_MAX (16U << 20)

static const uint8_t magic[8] = { 'l', 'w', 'm', '2', 'm', 'q', '1', '\n' };

struct Spill {
        SpillConfig config;
        char *name;
        int dirfd, fd;       /* fd -1: there is no file */
        uint64_t front, end; /* offsets in it */
        uint64_t n;
};

static void message(const Spill *s, int level, const char *format, ...) G_GNUC_PRINTF(3, 4);
static void message(const Spill *s, int level, const char *format, ...) {
        g_autofree char *text = NULL;
        va_list args;

        if (!s->config.message)
                return;
        va_start(args, format);
        text = g_strdup_vprintf(format, args);
        va_end(args);
        s->config.message(s->config.userdata, level, text);
}

/* --- bytes --- */

static void put_le(uint8_t *to, uint64_t v, size_t n) {
        for (size_t i = 0; i < n; i++)
                to[i] = (uint8_t) (v >> (8 * i));
}

static uint64_t get_le(const uint8_t *from, size_t n) {
        uint64_t v = 0;

        for (size_t i = n; i > 0; i--)
                v = v << 8 | from[i - 1];
        return v;
}

static int read_at(int fd, uint64_t offset, void *to, size_t n) {
        uint8_t *p = to;

        while (n > 0) {
                ssize_t k = pread(fd, p, n, (off_t) offset);

                if (k < 0 && errno == EINTR)
                        continue;
                if (k <= 0)
                        return k < 0 ? -errno : -ENODATA;
                p += k;
                n -= (size_t) k;
                offset += (uint64_t) k;
        }
        return 0;
}

static void make_header(uint8_t header[static HEADER], uint64_t front) {
        memcpy(header, magic, sizeof(magic));
        put_le(header + 8, front, 8);
        put_le(header + 16, crc32c(0, header + 8, 8), 4);
}

static int write_at(int fd, uint64_t offset, const void *data, size_t n) {
        if (lseek(fd, (off_t) offset, SEEK_SET) < 0)
                return -errno;
        return file_write_all(fd, data, n);
}

/* --- records --- */

/* 0, or -EBADMSG when what stands at offset is no record, -ENODATA when it is the beginning of one
 * or nothing. */
static int read_record(const Spill *s, uint64_t offset, uint64_t size, GBytes **ret) {
        g_autofree uint8_t *data = NULL;
        uint8_t head[HEAD];
        uint64_t n;
        int r;

        if (offset + HEAD > size)
                return -ENODATA;
        r = read_at(s->fd, offset, head, HEAD);
        if (r < 0)
                return r;
        n = get_le(head, 4);
        if (n > RECORD_MAX)
                return -EBADMSG;
        if (offset + HEAD + n > size)
                return -ENODATA;
        data = g_malloc(n + 1);
        r = read_at(s->fd, offset + HEAD, data, n);
        if (r < 0)
                return r;
        if (crc32c(crc32c(0, head, 4), data, n) != get_le(head + 4, 4))
                return -EBADMSG;
        *ret = g_bytes_new_take(g_steal_pointer(&data), n);
        return 0;
}

static void put_record(GByteArray *out, GBytes *record) {
        uint8_t head[HEAD];
        gsize n;
        const void *data = g_bytes_get_data(record, &n);

        put_le(head, n, 4);
        put_le(head + 4, crc32c(crc32c(0, head, 4), data, n), 4);
        g_byte_array_append(out, head, HEAD);
        g_byte_array_append(out, data, (guint) n);
}

uint64_t spill_needs(size_t n_record) {
        return HEAD + n_record;
}

/* --- the file --- */

static void shut(Spill *s) {
        if (s->fd >= 0)
                (void) close(s->fd);
        s->fd = -1;
        s->front = s->end = s->n = 0;
}

static int make_file(Spill *s) {
        uint8_t header[HEADER];
        int r;

        s->fd = openat(s->dirfd, s->name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW,
                       0600);
        if (s->fd < 0)
                return -errno;
        make_header(header, HEADER);
        r = write_at(s->fd, 0, header, HEADER);
        if (r < 0) {
                shut(s);
                return r;
        }
        s->front = s->end = HEADER;
        return 0;
}

/* Leaves behind what was taken from the front. */
static int rewrite(Spill *s) {
        const uint64_t n = s->end - s->front, kept = s->n;
        g_autofree uint8_t *data = g_try_malloc(HEADER + n);
        int r, fd;

        if (!data)
                return -ENOMEM;
        make_header(data, HEADER);
        r = read_at(s->fd, s->front, data + HEADER, n);
        if (r == 0)
                r = file_replace_at(s->dirfd, s->name, data, HEADER + n, false);
        if (r < 0)
                return r;
        fd = openat(s->dirfd, s->name, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
        if (fd < 0)
                return -errno;
        shut(s);
        s->fd = fd;
        s->front = HEADER;
        s->end = HEADER + n;
        s->n = kept;
        return 0;
}

void spill_clear(Spill *s) {
        shut(s);
        (void) unlinkat(s->dirfd, s->name, 0);
}

int spill_append(Spill *s, GBytes *const *records, size_t n) {
        g_autoptr(GByteArray) out = g_byte_array_new();
        int r = 0;

        for (size_t i = 0; i < n; i++) {
                if (g_bytes_get_size(records[i]) > RECORD_MAX)
                        return -ENOSPC;
                put_record(out, records[i]);
        }
        if (out->len > spill_room(s))
                return -ENOSPC;
        if (s->fd < 0)
                r = make_file(s);
        else if (s->end + out->len > 2 * s->config.bytes_max)
                r = rewrite(s);
        if (r == 0)
                r = write_at(s->fd, s->end, out->data, out->len);
        if (r < 0) {
                if (s->fd >= 0)
                        (void) !ftruncate(s->fd,
                                          (off_t) s->end); /* or it is cut off at the start */
                return r == -EDQUOT ? -ENOSPC : r;
        }
        s->end += out->len;
        s->n += n;
        return 0;
}

int spill_sync(Spill *s) {
        if (s->fd < 0)
                return 0;
        if (fdatasync(s->fd) < 0)
                return -errno;
        return file_sync_directory(s->dirfd);
}

int spill_peek(Spill *s, GBytes **ret) {
        return s->n > 0 ? read_record(s, s->front, s->end, ret) : -ENOENT;
}

void spill_pop(Spill *s) {
        uint8_t head[HEAD], header[HEADER];

        if (s->n == 0)
                return;
        if (s->n == 1 || read_at(s->fd, s->front, head, HEAD) < 0) {
                spill_clear(s); /* all is done with, or cannot be read any more */
                return;
        }
        s->n--;
        s->front += HEAD + get_le(head, 4);
        make_header(header, s->front);
        (void) write_at(s->fd, 0, header, HEADER);
}

int spill_foreach(Spill *s, void (*func)(void *userdata, GBytes *record), void *userdata) {
        uint64_t offset = s->front;

        for (uint64_t i = 0; i < s->n; i++) {
                g_autoptr(GBytes) record = NULL;
                int r = read_record(s, offset, s->end, &record);

                if (r < 0)
                        return r;
                offset += HEAD + g_bytes_get_size(record);
                func(userdata, record);
        }
        return 0;
}

uint64_t spill_count(const Spill *s) {
        return s->n;
}

uint64_t spill_bytes(const Spill *s) {
        return s->end - s->front;
}

uint64_t spill_room(const Spill *s) {
        return s->config.bytes_max - MIN(s->config.bytes_max, spill_bytes(s));
}

/* --- at the start --- */

static uint64_t front_of(const uint8_t header[static HEADER], uint64_t size) {
        const uint64_t front = get_le(header + 8, 8);

        if (crc32c(0, header + 8, 8) != get_le(header + 16, 4) || front < HEADER || front > size)
                return HEADER; /* from the beginning: some come again */
        return front;
}

/* Counts the records from offset; *ret_good is where they end. */
static int scan(Spill *s, uint64_t size, uint64_t *ret_good) {
        uint64_t offset = s->front;
        int r;

        for (;;) {
                g_autoptr(GBytes) record = NULL;

                r = read_record(s, offset, size, &record);
                if (r < 0)
                        break;
                offset += HEAD + g_bytes_get_size(record);
                s->n++;
        }
        *ret_good = offset;
        return r == -ENODATA ? 0 : r;
}

static int set_aside(Spill *s, uint64_t good, uint64_t size) {
        int number = file_set_aside_at(s->dirfd, s->name);

        message(s, LOG_LEVEL_WARNING,
                "%s is damaged, %" G_GUINT64_FORMAT " bytes of it are lost; set aside as .bad-%d",
                s->name, size - good, MAX(number, 0));
        if (number < 0)
                return number;
        /* The descriptor is still of the file that was set aside. */
        s->end = good;
        if (s->n > 0)
                return rewrite(s);
        shut(s);
        return 0;
}

static int take_over(Spill *s) {
        uint8_t header[HEADER];
        struct stat st;
        uint64_t good;
        int r;

        if (fstat(s->fd, &st) < 0)
                return -errno;
        if (!S_ISREG(st.st_mode))
                return -EINVAL;
        s->front = HEADER;
        r = read_at(s->fd, 0, header, HEADER);
        if (r == -ENODATA || (r == 0 && memcmp(header, magic, sizeof(magic)) != 0))
                return set_aside(s, 0, (uint64_t) st.st_size);
        if (r < 0)
                return r;
        s->front = front_of(header, (uint64_t) st.st_size);
        r = scan(s, (uint64_t) st.st_size, &good);
        if (r == -EBADMSG)
                return set_aside(s, good, (uint64_t) st.st_size);
        if (r < 0)
                return r;
        s->end = good;
        if (good < (uint64_t) st.st_size && ftruncate(s->fd, (off_t) good) < 0)
                return -errno;
        if (s->n == 0)
                spill_clear(s);
        return 0;
}

int spill_open(const SpillConfig *config, Spill **ret) {
        g_autoptr(Spill) s = g_new0(Spill, 1);
        int r;

        s->config = *config;
        s->config.directory = s->config.name = NULL;
        s->name = g_strdup(config->name);
        s->fd = -1;
        s->dirfd = open(config->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (s->dirfd < 0)
                return -errno;
        s->fd = openat(s->dirfd, s->name, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
        if (s->fd < 0 && errno != ENOENT)
                return -errno;
        r = s->fd >= 0 ? take_over(s) : 0;
        if (r < 0)
                return r;
        *ret = g_steal_pointer(&s);
        return 0;
}

Spill *spill_close(Spill *s) {
        if (!s)
                return NULL;
        shut(s);
        if (s->dirfd >= 0)
                (void) close(s->dirfd);
        g_free(s->name);
        g_free(s);
        return NULL;
}
