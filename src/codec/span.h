/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Records in path order seen as a tree, for encoders that nest: a Span is the run of records that
 * share their first depth identifiers, that is, one node. Nothing is allocated. */
#include <stdbool.h>
#include <stddef.h>

#include "codec/record.h"

typedef struct Span {
        const Record *records; /* borrowed */
        size_t n;              /* 0 past the last child */
        uint8_t depth;
} Span;

static inline uint16_t span_id(const Span *s) {
        return s->records[0].path.id[s->depth - 1];
}

/* A node without children: a value, or an empty node. The last record of the run counts: the latest
 * of a time series, and, should a node be listed before its children, those. */
static inline bool span_is_leaf(const Span *s) {
        return s->records[s->n - 1].path.n == s->depth;
}

static inline const Value *span_value(const Span *s) {
        return &s->records[s->n - 1].value;
}

static inline Span span_run(const Span *parent, size_t from) {
        uint8_t at = parent->depth;
        size_t end = from;

        while (end < parent->n &&
               parent->records[end].path.id[at] == parent->records[from].path.id[at])
                end++;
        return (Span){ .records = parent->records + from,
                       .n = end - from,
                       .depth = (uint8_t) (at + 1) };
}

/* The children of a node that is no leaf. */
static inline Span span_first(const Span *parent) {
        size_t from = 0;

        while (parent->records[from].path.n <= parent->depth)
                from++;
        return span_run(parent, from);
}

static inline Span span_next(const Span *parent, const Span *child) {
        return span_run(parent, (size_t) (child->records - parent->records) + child->n);
}
