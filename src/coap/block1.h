/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Uploads in blocks (Block1, RFC 7959, section 2.5): puts the blocks of several bodies at once
 * together. Pure logic on the caller's clock; the caller answers the requests. */
#include <glib.h>
#include <stdint.h>

#include "coap/block.h"

/* A transfer without a block for so long may be given up for a new one when there are too many. */
#define BLOCK1_IDLE_USEC (UINT64_C(10) * 1000000)

typedef struct Block1 Block1;

typedef struct Block1Config {
        const char *spool_directory; /* borrowed; see spool.h */
        size_t body_max;
        unsigned transfers_max;
        uint64_t lifetime_usec; /* a transfer without a block for so long is forgotten */
        uint8_t szx;            /* the largest blocks asked for; 7: BERT is fine */
} Block1Config;

typedef struct Block1Request {
        const uint8_t *key; /* same for all blocks of a body (packet_key()) */
        size_t n_key;
        Block block;
        int64_t size1; /* -1 without the option */
        const uint8_t *payload;
        size_t n_payload;
} Block1Request;

typedef struct Block1Result {
        uint8_t code;  /* 0: body is whole; 2.31: goes on; 4.00, 4.08, 4.13, 5.00, 5.03: refused */
        Block block;   /* for the Block1 option of the answer, if code is 0 or 2.31 */
        int64_t size1; /* of a 4.13: the largest body taken; else -1 */
        GBytes *body;  /* with code 0; the caller's */
} Block1Result;

Block1 *block1_new(const Block1Config *config);
Block1 *block1_free(Block1 *b);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Block1, block1_free)

void block1_receive(Block1 *b, const Block1Request *request, uint64_t now_usec, Block1Result *ret);
/* Forgets abandoned transfers. When to call again; UINT64_MAX when none is open. */
uint64_t block1_expire(Block1 *b, uint64_t now_usec);
/* Until when a further block of what is open may come; 0: nothing is open, or it is too late. */
uint64_t block1_busy_until(const Block1 *b, uint64_t now_usec);
unsigned block1_count(const Block1 *b);
