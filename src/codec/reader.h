/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Bytes from outside, read from the front; no function passes the end. -EBADMSG when too few are
 * left, and then nothing is taken. */
#include <errno.h>
#include <stddef.h>
#include <stdint.h>

typedef struct Reader {
        const uint8_t *pos; /* borrowed */
        size_t left;
} Reader;

/* n must not be more than is left. */
static inline void reader_skip(Reader *in, size_t n) {
        in->pos += n;
        in->left -= n;
}

static inline int reader_take(Reader *in, size_t n, Reader *ret) {
        if (n > in->left)
                return -EBADMSG;
        *ret = (Reader){ .pos = in->pos, .left = n };
        reader_skip(in, n);
        return 0;
}

/* An unsigned number of n bytes, 0..4, most significant first. */
static inline int reader_be(Reader *in, size_t n, uint32_t *ret) {
        uint32_t value = 0;

        if (n > in->left)
                return -EBADMSG;
        for (size_t i = 0; i < n; i++)
                value = value << 8 | in->pos[i];
        reader_skip(in, n);
        *ret = value;
        return 0;
}
