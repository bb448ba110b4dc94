/* SPDX-License-Identifier: Apache-2.0 */
#include "model/idmap.h"

#include <assert.h>
#include <glib.h>
#include <string.h>

static bool has(const IdNode *node, unsigned i) {
        return node->bits[i / 64] >> (i % 64) & 1;
}

/* How many entries stand before i. */
static unsigned rank(const IdNode *node, unsigned i) {
        unsigned n = 0;

        for (unsigned word = 0; word < i / 64; word++)
                n += (unsigned) __builtin_popcountll(node->bits[word]);
        return n + (unsigned) __builtin_popcountll(node->bits[i / 64] &
                                                   ((UINT64_C(1) << (i % 64)) - 1));
}

static unsigned count(const IdNode *node) {
        return rank(node, 255) + has(node, 255);
}

static void node_insert(IdNode *node, unsigned i, void *value) {
        unsigned n = count(node), at = rank(node, i);

        if ((n & (n - 1)) == 0) /* 0 and each power of two: full */
                node->v = g_renew(void *, node->v, n == 0 ? 1 : n * 2);
        assert(node->v);
        memmove(node->v + at + 1, node->v + at, (n - at) * sizeof(*node->v));
        node->v[at] = value;
        node->bits[i / 64] |= UINT64_C(1) << (i % 64);
}

static void node_remove(IdNode *node, unsigned i) {
        unsigned n = count(node), at = rank(node, i);

        memmove(node->v + at, node->v + at + 1, (n - at - 1) * sizeof(*node->v));
        node->bits[i / 64] &= ~(UINT64_C(1) << (i % 64));
        n--;
        if (n == 0)
                g_clear_pointer(&node->v, g_free);
        else if ((n & (n - 1)) == 0)
                node->v = g_renew(void *, node->v, n);
}

/* The first entry at or after i, or 256. */
static unsigned node_next(const IdNode *node, unsigned i) {
        for (unsigned word = i / 64; word < 4; word++) {
                uint64_t bits = node->bits[word];

                if (word == i / 64)
                        bits &= ~UINT64_C(0) << (i % 64);
                if (bits)
                        return word * 64 + (unsigned) __builtin_ctzll(bits);
        }
        return 256;
}

static IdNode *page(const IdMap *m, unsigned i) {
        return has(&m->top, i) ? m->top.v[rank(&m->top, i)] : NULL;
}

void **idmap_find(const IdMap *m, uint16_t id) {
        const IdNode *node = page(m, id >> 8);

        return node && has(node, id & 0xff) ? &node->v[rank(node, id & 0xff)] : NULL;
}

void *idmap_get(const IdMap *m, uint16_t id) {
        void **at = idmap_find(m, id);

        return at ? *at : NULL;
}

void idmap_set(IdMap *m, uint16_t id, void *value) {
        IdNode *node = page(m, id >> 8);

        if (!node) {
                node = g_new0(IdNode, 1);
                node_insert(&m->top, id >> 8, node);
        }
        if (has(node, id & 0xff)) {
                assert(node->v);
                node->v[rank(node, id & 0xff)] = value;
                return;
        }
        node_insert(node, id & 0xff, value);
        m->n++;
}

void *idmap_remove(IdMap *m, uint16_t id) {
        IdNode *node = page(m, id >> 8);
        void *value = idmap_get(m, id);

        if (!value)
                return NULL;
        node_remove(node, id & 0xff);
        if (!node->v) {
                node_remove(&m->top, id >> 8);
                g_free(node);
        }
        m->n--;
        return value;
}

void *idmap_next(const IdMap *m, uint32_t from, uint16_t *ret_id) {
        unsigned low = from & 0xff;

        if (from > UINT16_MAX)
                return NULL;
        for (unsigned i = node_next(&m->top, from >> 8); i < 256;
             i = i < 255 ? node_next(&m->top, i + 1) : 256) {
                const IdNode *node = m->top.v[rank(&m->top, i)];
                unsigned k = node_next(node, i == from >> 8 ? low : 0);

                if (k < 256) {
                        *ret_id = (uint16_t) (i << 8 | k);
                        return node->v[rank(node, k)];
                }
        }
        return NULL;
}

int idmap_first_free(const IdMap *m) {
        for (unsigned i = 0; i < 256; i++) {
                const IdNode *node = page(m, i);

                for (unsigned word = 0; word < 4; word++) {
                        uint64_t unused = node ? ~node->bits[word] : ~UINT64_C(0);
                        unsigned id = i << 8 | word * 64;

                        if (unused)
                                id |= (unsigned) __builtin_ctzll(unused);
                        if (unused)
                                return id < UINT16_MAX ? (int) id : -1;
                }
        }
        return -1;
}

void idmap_clear(IdMap *m) {
        for (unsigned i = node_next(&m->top, 0); i < 256;
             i = i < 255 ? node_next(&m->top, i + 1) : 256) {
                IdNode *node = m->top.v[rank(&m->top, i)];

                g_free(node->v);
                g_free(node);
        }
        g_free(m->top.v);
        *m = (IdMap){ 0 };
}
