/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The inside of an object instance: a sorted array of resources, and for a multiple one a second
 * such array of its instances. 24 bytes a value. Only for the tree. */
#include <stdbool.h>
#include <stdint.h>

#include "codec/value.h"
#include "model/schema.h"

typedef struct Slots Slots, Instance;

typedef struct Slot {
        union {
                Value value;
                Slots *items; /* of a multiple resource; NULL for an empty one */
        };
        uint16_t id;
        bool multiple;
        uint8_t mark; /* tree_marks.h */
} Slot;

struct Slots {
        const ObjectDef *def; /* of an object instance: a reference; else NULL */
        uint16_t n, n_allocated;
        uint8_t mark; /* of an object instance */
        Slot v[];
};

Slot *slots_get(const Slots *s, uint16_t id); /* s may be NULL */
/* The first slot with an identifier >= id is s->v[result]; s may be NULL. */
uint16_t slots_position(const Slots *s, uint16_t id);
/* A new, zeroed slot; none with that id may be there. Slots move: pointers to others end here. */
Slot *slots_add(Slots **s, uint16_t id);
/* One that is there. The last one takes the array with it, unless it is an object instance. */
Slot slots_take(Slots **s, uint16_t id);
Instance *instance_new(const ObjectDef *def);
Slots *slots_free(Slots *s); /* an object instance, too */
void slot_clear(Slot *s);
/* Bytes of the values, that of text and opaque ones with them, and the marks, of a slot and all
 * below it. */
uint64_t slot_bytes(const Slot *s);
uint8_t slot_marks(const Slot *s);
