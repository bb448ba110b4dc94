/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The value of a Block1 or Block2 option (RFC 7959, section 2.2). */
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BLOCK_SZX_MAX 6u  /* 1024 bytes */
#define BLOCK_SZX_BERT 7u /* over TCP: some of 1024 bytes in one message (RFC 8323, section 6) */
#define BLOCK_NUM_MAX 0xfffffu /* 20 bits */

/* How long a peer may take for its next block: MAX_TRANSMIT_WAIT (RFC 7252, section 4.8.2). */
#define BLOCK_PATIENCE_USEC (UINT64_C(93) * 1000000)

typedef struct Block {
        uint32_t num;
        bool more;
        uint8_t szx; /* 0…6: blocks of 16…1024 bytes; 7: BERT, num counts in 1024 bytes */
} Block;

static inline size_t block_size(uint8_t szx) {
        return (size_t) 16 << szx;
}

/* What num counts. */
static inline size_t block_unit(uint8_t szx) {
        return block_size(szx < BLOCK_SZX_MAX ? szx : BLOCK_SZX_MAX);
}

static inline size_t block_offset(const Block *b) {
        return b->num * block_unit(b->szx);
}

/* Whether n bytes may be the payload of such a block. */
static inline bool block_holds(const Block *b, size_t n) {
        size_t unit = block_unit(b->szx);

        if (b->szx == BLOCK_SZX_BERT)
                return !b->more || (n > 0 && n % unit == 0);
        return b->more ? n == unit : n <= unit;
}

/* The largest szx whose blocks are not above size, which must be 16 or more. */
static inline uint8_t block_szx(size_t size) {
        uint8_t szx = 0;

        while (szx < BLOCK_SZX_MAX && block_size(szx + 1) <= size)
                szx++;
        return szx;
}

/* -EINVAL: longer than 3 bytes, or the size that only BERT has. */
static inline int block_parse(const uint8_t *value, size_t n, bool bert, Block *ret) {
        uint32_t v = 0;

        if (n > 3)
                return -EINVAL;
        for (size_t i = 0; i < n; i++)
                v = v << 8 | value[i];
        if ((v & 7) > BLOCK_SZX_MAX && !bert)
                return -EINVAL;
        *ret = (Block){ .num = v >> 4, .more = v & 8, .szx = v & 7 };
        return 0;
}

static inline uint32_t block_value(const Block *b) {
        return b->num << 4 | (b->more ? 8u : 0u) | b->szx;
}
