/* SPDX-License-Identifier: Apache-2.0 */
#include "coap/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "util/cleanup.h"

struct Spool {
        const char *directory;
        size_t size_max, size;
        GByteArray *pending; /* the whole body, or what the file has not got yet */
        int fd;
};

typedef struct Mapping {
        void *address;
        size_t n;
} Mapping;

Spool *spool_new(const char *directory, size_t size_max) {
        Spool *s = g_new0(Spool, 1);

        s->directory = directory ?: "/var/tmp";
        s->size_max = size_max;
        s->pending = g_byte_array_new();
        s->fd = -1;
        return s;
}

Spool *spool_free(Spool *s) {
        if (!s)
                return NULL;
        g_clear_pointer(&s->pending, g_byte_array_unref);
        close_fd(&s->fd);
        g_free(s);
        return NULL;
}

static int open_unnamed(const char *directory) {
        g_autofree char *name = NULL;
        int fd;

        fd = open(directory, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
        if (fd >= 0)
                return fd;
        /* Not every file system knows O_TMPFILE. */
        if (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL)
                return -errno;
        name = g_build_filename(directory, ".transfer-XXXXXX", NULL);
        fd = mkostemp(name, O_CLOEXEC);
        if (fd < 0)
                return -errno;
        unlink(name);
        return fd;
}

static int flush(Spool *s) {
        size_t done = 0;

        if (s->fd < 0) {
                int fd = open_unnamed(s->directory);

                if (fd < 0)
                        return fd;
                s->fd = fd;
        }
        while (done < s->pending->len) {
                ssize_t n = write(s->fd, s->pending->data + done, s->pending->len - done);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return -errno;
                done += (size_t) n;
        }
        g_byte_array_set_size(s->pending, 0);
        return 0;
}

int spool_append(Spool *s, const void *data, size_t n) {
        if (n > s->size_max - s->size)
                return -EFBIG;
        if (s->pending->len + n > SPOOL_MEMORY_MAX) {
                int r = flush(s);

                if (r < 0)
                        return r;
        }
        g_byte_array_append(s->pending, data, (guint) n);
        s->size += n;
        return 0;
}

size_t spool_size(const Spool *s) {
        return s->size;
}

static void unmap(void *userdata) {
        Mapping *m = userdata;

        munmap(m->address, m->n);
        g_free(m);
}

static int map(Spool *s, GBytes **ret) {
        Mapping *m;
        void *address;
        int r;

        r = flush(s);
        if (r < 0)
                return r;
        address = mmap(NULL, s->size, PROT_READ, MAP_PRIVATE, s->fd, 0);
        if (address == MAP_FAILED)
                return -errno;
        m = g_new(Mapping, 1);
        *m = (Mapping){ .address = address, .n = s->size };
        *ret = g_bytes_new_with_free_func(address, s->size, unmap, m);
        return 0;
}

int spool_finish(Spool *s, GBytes **ret) {
        if (s->fd >= 0)
                return map(s, ret);
        *ret = g_byte_array_free_to_bytes(g_steal_pointer(&s->pending));
        return 0;
}
