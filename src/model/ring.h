/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Where the samples of one cache lie: a ring in order of arrival, 16 bytes a sample and 9 for
 * Boolean. It grows when told to; who fills it decides how far. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "codec/value.h"

typedef struct Sample {
        int64_t time_ns; /* UTC since 1970 */
        uint64_t bits;   /* of the value: sample_bits() */
} Sample;

/* Integer, Unsigned Integer, Float, Boolean and Time have a fixed size; no other can be cached. */
bool sample_fits(ValueType type);
uint64_t sample_bits(const Value *v); /* of one of those types */
Value sample_value(ValueType type, uint64_t bits);

typedef struct Ring {
        int64_t *times;
        void *values;            /* uint64_t, or uint8_t when narrow */
        uint32_t first, n, size; /* size: how many there is room for */
        bool narrow;
} Ring;

void ring_init(Ring *r, ValueType type);
void ring_clear(Ring *r); /* empties it and frees its memory */
size_t ring_sample_size(const Ring *r);
/* Makes room for size samples; not less than there are. */
void ring_resize(Ring *r, uint32_t size);
void ring_push(Ring *r, const Sample *s);  /* there must be room */
Sample ring_at(const Ring *r, uint32_t i); /* 0: the one that came first */
void ring_shift_time(Ring *r, uint32_t i, int64_t by_ns);
void ring_drop_first(Ring *r, uint32_t n); /* n <= r->n */
void ring_drop_last(Ring *r, uint32_t n);
