/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Answers and notifications in blocks (Block2, RFC 7959, section 2.4): keeps the bodies the peer
 * has read the first block of, each under the request it answers, until the rest has been read.
 * The rest of a notification is read with the request its observation came with, not with the
 * token: Message.request_key. Pure logic on the caller's clock. */
#include <glib.h>
#include <stdint.h>

#include "coap/block.h"
#include "coap/packet.h"

#define BLOCK2_READ_USEC                                                                           \
        (UINT64_C(45) * 1000000) /* kept after its last block: MAX_TRANSMIT_SPAN                   \
                                  */

typedef struct Block2 Block2;

typedef struct Block2Config {
        size_t bytes_max; /* of all bodies kept */
        unsigned bodies_max;
        uint64_t lifetime_usec; /* without a block read */
} Block2Config;

/* A request whose answer was, or may be, in blocks. */
typedef struct Block2Key {
        const uint8_t *v; /* packet_key() */
        size_t n;
        uint64_t
                payload_hash; /* of a FETCH: block2_hash() of what it asks for; 0 without payload */
} Block2Key;

typedef struct Body {
        GBytes *bytes;
        uint8_t etag[PACKET_ETAG_MAX];
        uint8_t code;
        int format;
} Body;

Block2 *block2_new(const Block2Config *config);
Block2 *block2_free(Block2 *b);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Block2, block2_free)

uint64_t block2_hash(const void *data, size_t n);
void block2_etag(const void *data, size_t n, uint8_t ret[static PACKET_ETAG_MAX]);

/* Keeps body (its bytes are referenced) in place of what was kept for key. One above bytes_max is
 * not kept; the oldest go for it. */
void block2_keep(Block2 *b, const Block2Key *key, const Body *body, uint64_t now_usec);
/* What was kept for key, or NULL. Without payload, the last one of any payload: the later requests
 * of a FETCH in blocks repeat it or not (section 3.3). Borrowed until the next call. */
const Body *block2_find(Block2 *b, const Block2Key *key, uint64_t now_usec);
/* The last block has been read. */
void block2_read(Block2 *b, const Block2Key *key, uint64_t now_usec);
uint64_t block2_expire(Block2 *b, uint64_t now_usec);
/* Until when a further block of a body not yet read to its end may be asked for; 0: of none. */
uint64_t block2_busy_until(const Block2 *b, uint64_t now_usec);
size_t block2_bytes(const Block2 *b);

/* The key as Message.request_key, and back (borrowed); false for none. */
GBytes *block2_pack_key(const Block2Key *key);
bool block2_unpack_key(GBytes *packed, Block2Key *ret);

/* The part of a body of size bytes that block asked asks for, in blocks not above szx; of BERT,
 * n_bert bytes at most, a multiple of 1024, or 0 without it. -ERANGE: behind the end. */
int block2_slice(size_t size, const Block *asked, uint8_t szx, size_t n_bert, Block *ret,
                 size_t *ret_offset, size_t *ret_n);
