/* SPDX-License-Identifier: Apache-2.0 */
#include "coap/block1.h"

#include <string.h>

#include "coap/spool.h"
#include "lwm2m/transport.h"

typedef struct Transfer {
        GBytes *key;
        Spool *spool;
        size_t last_offset; /* of the block taken last */
        uint64_t last_usec;
} Transfer;

/* Few by limit: a plain array is searched faster than a table. */
struct Block1 {
        Block1Config config;
        GPtrArray *transfers;
};

static void transfer_free(void *userdata) {
        Transfer *t = userdata;

        g_bytes_unref(t->key);
        spool_free(t->spool);
        g_free(t);
}

Block1 *block1_new(const Block1Config *config) {
        Block1 *b = g_new0(Block1, 1);

        b->config = *config;
        b->transfers = g_ptr_array_new_with_free_func(transfer_free);
        return b;
}

Block1 *block1_free(Block1 *b) {
        if (!b)
                return NULL;
        g_ptr_array_unref(b->transfers);
        g_free(b);
        return NULL;
}

static bool has_key(const Transfer *t, const Block1Request *request) {
        return g_bytes_get_size(t->key) == request->n_key &&
               memcmp(g_bytes_get_data(t->key, NULL), request->key, request->n_key) == 0;
}

static Transfer *find(const Block1 *b, const Block1Request *request) {
        for (guint i = 0; i < b->transfers->len; i++)
                if (has_key(b->transfers->pdata[i], request))
                        return b->transfers->pdata[i];
        return NULL;
}

static void drop(Block1 *b, Transfer *t) {
        if (t)
                g_ptr_array_remove_fast(b->transfers, t);
}

/* Room for one more: the one idle longest goes if it has been so for long enough. */
static bool make_room(Block1 *b, uint64_t now_usec) {
        Transfer *oldest = NULL;

        if (b->transfers->len < b->config.transfers_max)
                return true;
        for (guint i = 0; i < b->transfers->len; i++) {
                Transfer *t = b->transfers->pdata[i];

                if (!oldest || t->last_usec < oldest->last_usec)
                        oldest = t;
        }
        if (!oldest || now_usec - oldest->last_usec < BLOCK1_IDLE_USEC)
                return false;
        drop(b, oldest);
        return true;
}

static Transfer *start(Block1 *b, const Block1Request *request) {
        Transfer *t = g_new0(Transfer, 1);

        t->key = g_bytes_new(request->key, request->n_key);
        t->spool = spool_new(b->config.spool_directory, b->config.body_max);
        g_ptr_array_add(b->transfers, t);
        return t;
}

static void refuse(Block1 *b, Transfer *t, uint8_t code, Block1Result *ret) {
        drop(b, t);
        *ret = (Block1Result){ .code = code, .size1 = -1 };
        if (code == CODE(4, 13))
                ret->size1 = (int64_t) b->config.body_max;
}

/* The transfer this block goes on with, or begins; NULL when it has been refused. */
static Transfer *match(Block1 *b, const Block1Request *request, uint64_t now_usec,
                       Block1Result *ret) {
        Transfer *t = find(b, request);

        if (!block_holds(&request->block, request->n_payload)) {
                refuse(b, t, CODE(4, 0), ret);
                return NULL;
        }
        if (request->block.num > 0) {
                if (!t)
                        refuse(b, NULL, CODE(4, 8), ret);
                return t;
        }
        drop(b, t); /* begins again */
        if (request->size1 > 0 && (uint64_t) request->size1 > b->config.body_max) {
                refuse(b, NULL, CODE(4, 13), ret);
                return NULL;
        }
        if (request->block.more && !make_room(b, now_usec)) {
                refuse(b, NULL, CODE(5, 3), ret);
                return NULL;
        }
        return start(b, request);
}

static void finish(Block1 *b, Transfer *t, Block1Result *ret) {
        int r;

        r = spool_finish(t->spool, &ret->body);
        if (r < 0)
                refuse(b, t, CODE(5, 0), ret);
        else
                drop(b, t);
}

void block1_receive(Block1 *b, const Block1Request *request, uint64_t now_usec, Block1Result *ret) {
        size_t offset = block_offset(&request->block);
        Transfer *t;
        int r;

        *ret = (Block1Result){ .size1 = -1, .block = request->block };
        (void) block1_expire(b, now_usec);
        t = match(b, request, now_usec, ret);
        if (!t)
                return;
        t->last_usec = now_usec;
        /* Smaller blocks than the peer uses, from now on (section 2.5); num stays in its own size.
         */
        ret->block.szx = MIN(request->block.szx, b->config.szx);

        if (offset < spool_size(t->spool) && offset == t->last_offset && request->block.more) {
                ret->code = CODE(
                        2, 31); /* has it already: the answer was lost and the message id is new */
                return;
        }
        if (offset != spool_size(t->spool)) {
                refuse(b, t, CODE(4, 8), ret);
                return;
        }
        r = spool_append(t->spool, request->payload, request->n_payload);
        if (r < 0) {
                refuse(b, t, r == -EFBIG ? CODE(4, 13) : CODE(5, 0), ret);
                return;
        }
        t->last_offset = offset;
        if (request->block.more)
                ret->code = CODE(2, 31);
        else
                finish(b, t, ret);
}

uint64_t block1_expire(Block1 *b, uint64_t now_usec) {
        uint64_t next = UINT64_MAX;

        for (guint i = 0; i < b->transfers->len;) {
                Transfer *t = b->transfers->pdata[i];
                uint64_t due = t->last_usec + b->config.lifetime_usec;

                if (due <= now_usec) {
                        g_ptr_array_remove_index_fast(b->transfers, i);
                        continue;
                }
                next = MIN(next, due);
                i++;
        }
        return next;
}

uint64_t block1_busy_until(const Block1 *b, uint64_t now_usec) {
        uint64_t until = 0;

        for (guint i = 0; i < b->transfers->len; i++)
                until = MAX(until, ((const Transfer *) b->transfers->pdata[i])->last_usec);
        until += until > 0 ? MIN(BLOCK_PATIENCE_USEC, b->config.lifetime_usec) : 0;
        return until > now_usec ? until : 0;
}

unsigned block1_count(const Block1 *b) {
        return b->transfers->len;
}
