/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A sorted map from identifiers (16 bits) to pointers: two levels of a bitmap with the pointers
 * that are present packed behind it. Lookup and step to the next are O(1); a lone entry costs about
 * 100 bytes, a dense one about 8. The pointers are borrowed, never NULL. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct IdNode {
        uint64_t bits[4];
        void **v; /* as many as there are bits set, room for the next power of two */
} IdNode;

typedef struct IdMap {
        IdNode top; /* of IdNode *, by the upper eight bits */
        uint32_t n;
} IdMap;

void *idmap_get(const IdMap *m, uint16_t id); /* NULL if there is none */
/* Where the pointer is kept, so that it can be exchanged; until the next idmap_set(). */
void **idmap_find(const IdMap *m, uint16_t id);
void idmap_set(IdMap *m, uint16_t id, void *value);
void *idmap_remove(IdMap *m, uint16_t id); /* what was there, or NULL */
/* The first entry with an identifier >= from; NULL at the end. */
void *idmap_next(const IdMap *m, uint32_t from, uint16_t *ret_id);
int idmap_first_free(
        const IdMap *m); /* lowest identifier without an entry; -1 if there is none up to 65534 */
void idmap_clear(IdMap *m); /* what the pointers lead to stays */
