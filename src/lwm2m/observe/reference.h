/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What a server was told last of single values, for those whose conditions need it. Sorted by path;
 * a value takes 24 bytes whatever its type: numbers are kept, of others a digest. */
#include <glib.h>
#include <stdbool.h>

#include "codec/path.h"
#include "codec/value.h"

typedef struct Reference {
        union {
                double number; /* of a Boolean with edge: the one looked at last, told or not */
                uint64_t digest;
        };
        Path path;
        bool is_number;
        bool told; /* the Boolean that was told */
} Reference;

typedef GArray References; /* of Reference; NULL is an empty one */

Reference *references_find(const References *l, const Path *p); /* NULL if there is none */
void references_set(References **l, const Path *p, const Value *v);
void references_remove(References **l, const Path *p);
References *references_free(References *l);
/* Whether v is what was told. */
bool reference_equals(const Reference *r, const Value *v);

/* A digest of values in order: begins with 0, never ends as 0. */
uint64_t digest_value(uint64_t digest, const Value *v);
uint64_t digest_record(uint64_t digest, const Path *p, const Value *v);
