/* SPDX-License-Identifier: Apache-2.0 */
#include "coap/block2.h"

#include <string.h>

typedef struct Kept {
        Body body;
        GBytes *key;
        uint64_t payload_hash, last_usec, expires_usec;
        bool read; /* to its end */
} Kept;

struct Block2 {
        Block2Config config;
        GQueue kept; /* oldest first; few by limit */
        size_t bytes;
};

Block2 *block2_new(const Block2Config *config) {
        Block2 *b = g_new0(Block2, 1);

        b->config = *config;
        return b;
}

static void drop(Block2 *b, GList *node) {
        Kept *k = node->data;

        b->bytes -= g_bytes_get_size(k->body.bytes);
        g_queue_delete_link(&b->kept, node);
        g_bytes_unref(k->body.bytes);
        g_bytes_unref(k->key);
        g_free(k);
}

Block2 *block2_free(Block2 *b) {
        if (!b)
                return NULL;
        while (b->kept.head)
                drop(b, b->kept.head);
        g_free(b);
        return NULL;
}

uint64_t block2_hash(const void *data, size_t n) {
        const uint8_t *p = data;
        uint64_t h = UINT64_C(0x9e3779b97f4a7c15) ^ n, v;

        for (; n >= sizeof(v); n -= sizeof(v), p += sizeof(v)) {
                memcpy(&v, p, sizeof(v));
                h = (h ^ v) * UINT64_C(0xff51afd7ed558ccd);
                h ^= h >> 32;
        }
        for (v = 0; n > 0; n--)
                v = v << 8 | *p++;
        h = (h ^ v) * UINT64_C(0xc4ceb9fe1a85ec53);
        return h ^ h >> 29;
}

void block2_etag(const void *data, size_t n, uint8_t ret[static PACKET_ETAG_MAX]) {
        uint64_t h = block2_hash(data, n);

        memcpy(ret, &h, sizeof(h));
}

static bool has_key(const Kept *k, const Block2Key *key, bool any_payload) {
        return g_bytes_get_size(k->key) == key->n &&
               (any_payload || k->payload_hash == key->payload_hash) &&
               memcmp(g_bytes_get_data(k->key, NULL), key->v, key->n) == 0;
}

static GList *find(const Block2 *b, const Block2Key *key, bool any_payload) {
        for (GList *l = b->kept.tail; l; l = l->prev)
                if (has_key(l->data, key, any_payload))
                        return l;
        return NULL;
}

void block2_keep(Block2 *b, const Block2Key *key, const Body *body, uint64_t now_usec) {
        size_t n = g_bytes_get_size(body->bytes);
        GList *same;
        Kept *k;

        (void) block2_expire(b, now_usec);
        same = find(b, key, false);
        if (same)
                drop(b, same);
        if (n > b->config.bytes_max || b->config.bodies_max == 0)
                return;
        while (b->kept.head &&
               (b->bytes + n > b->config.bytes_max || b->kept.length >= b->config.bodies_max))
                drop(b, b->kept.head);
        k = g_new0(Kept, 1);
        k->body = *body;
        k->body.bytes = g_bytes_ref(body->bytes);
        k->key = g_bytes_new(key->v, key->n);
        k->payload_hash = key->payload_hash;
        k->last_usec = now_usec;
        k->expires_usec = now_usec + b->config.lifetime_usec;
        g_queue_push_tail(&b->kept, k);
        b->bytes += n;
}

const Body *block2_find(Block2 *b, const Block2Key *key, uint64_t now_usec) {
        GList *l = find(b, key, key->payload_hash == 0);
        Kept *k = l ? l->data : NULL;

        if (!k)
                return NULL;
        if (k->expires_usec <= now_usec) {
                drop(b, l);
                return NULL;
        }
        k->last_usec = now_usec;
        k->expires_usec = now_usec + b->config.lifetime_usec;
        g_queue_unlink(&b->kept, l); /* the youngest again */
        g_queue_push_tail_link(&b->kept, l);
        return &k->body;
}

void block2_read(Block2 *b, const Block2Key *key, uint64_t now_usec) {
        GList *l = find(b, key, key->payload_hash == 0);

        if (!l)
                return;
        ((Kept *) l->data)->expires_usec = now_usec + BLOCK2_READ_USEC;
        ((Kept *) l->data)->read = true;
}

uint64_t block2_expire(Block2 *b, uint64_t now_usec) {
        uint64_t next = UINT64_MAX;

        for (GList *l = b->kept.head, *following; l; l = following) {
                uint64_t due = ((Kept *) l->data)->expires_usec;

                following = l->next;
                if (due <= now_usec)
                        drop(b, l);
                else
                        next = MIN(next, due);
        }
        return next;
}

uint64_t block2_busy_until(const Block2 *b, uint64_t now_usec) {
        uint64_t until = 0;

        for (GList *l = b->kept.head; l; l = l->next) {
                const Kept *k = l->data;

                if (!k->read)
                        until = MAX(until,
                                    MIN(k->last_usec + BLOCK_PATIENCE_USEC, k->expires_usec));
        }
        return until > now_usec ? until : 0;
}

size_t block2_bytes(const Block2 *b) {
        return b->bytes;
}

GBytes *block2_pack_key(const Block2Key *key) {
        uint8_t *bytes = g_malloc(sizeof(uint64_t) + key->n);

        memcpy(bytes, &key->payload_hash, sizeof(uint64_t));
        if (key->n > 0)
                memcpy(bytes + sizeof(uint64_t), key->v, key->n);
        return g_bytes_new_take(bytes, sizeof(uint64_t) + key->n);
}

bool block2_unpack_key(GBytes *packed, Block2Key *ret) {
        gsize n = 0;
        const uint8_t *bytes = packed ? g_bytes_get_data(packed, &n) : NULL;

        if (n < sizeof(uint64_t))
                return false;
        *ret = (Block2Key){ .v = bytes + sizeof(uint64_t), .n = n - sizeof(uint64_t) };
        memcpy(&ret->payload_hash, bytes, sizeof(uint64_t));
        return true;
}

int block2_slice(size_t size, const Block *asked, uint8_t szx, size_t n_bert, Block *ret,
                 size_t *ret_offset, size_t *ret_n) {
        /* The first block may be made smaller; a later one names its place in the size it was asked
         * in. */
        Block b = { .num = asked->num, .szx = asked->num == 0 ? MIN(asked->szx, szx) : asked->szx };
        size_t offset = block_offset(&b), n;

        if (b.szx == BLOCK_SZX_BERT && n_bert == 0)
                b.szx = BLOCK_SZX_MAX; /* counts the same */
        if (offset > size || (offset == size && size > 0))
                return -ERANGE;
        n = MIN(size - offset, b.szx == BLOCK_SZX_BERT ? n_bert : block_size(b.szx));
        b.more = offset + n < size;
        *ret = b;
        *ret_offset = offset;
        *ret_n = n;
        return 0;
}
