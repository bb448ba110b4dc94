/* SPDX-License-Identifier: Apache-2.0 */
#include "model/ring.h"

#include <assert.h>
#include <string.h>

bool sample_fits(ValueType type) {
        return type == VALUE_INTEGER || type == VALUE_UNSIGNED || type == VALUE_FLOAT ||
               type == VALUE_BOOLEAN || type == VALUE_TIME;
}

uint64_t sample_bits(const Value *v) {
        uint64_t bits;

        if (v->type == VALUE_BOOLEAN)
                return v->b;
        memcpy(&bits, &v->u, sizeof(bits));
        return bits;
}

Value sample_value(ValueType type, uint64_t bits) {
        Value v = { .type = (uint8_t) type };

        if (type == VALUE_BOOLEAN)
                v.b = bits != 0;
        else
                memcpy(&v.u, &bits, sizeof(bits));
        return v;
}

void ring_init(Ring *r, ValueType type) {
        *r = (Ring){ .narrow = type == VALUE_BOOLEAN };
}

void ring_clear(Ring *r) {
        g_free(r->times);
        g_free(r->values);
        *r = (Ring){ .narrow = r->narrow };
}

static size_t value_size(const Ring *r) {
        return r->narrow ? sizeof(uint8_t) : sizeof(uint64_t);
}

size_t ring_sample_size(const Ring *r) {
        return sizeof(int64_t) + value_size(r);
}

/* Copies the samples to the front of other memory, in order. */
static void *straighten(const Ring *r, const void *from, size_t size, size_t width) {
        char *to = g_malloc(size * width);
        const char *v = from;
        uint32_t head = MIN(r->n, r->size - r->first);

        if (r->n > 0) {
                memcpy(to, v + r->first * width, head * width);
                memcpy(to + head * width, v, (r->n - head) * width);
        }
        return to;
}

void ring_resize(Ring *r, uint32_t size) {
        void *times, *values;

        assert(size >= r->n);
        if (size == r->size)
                return;
        if (size == 0) {
                ring_clear(r);
                return;
        }
        if (r->first == 0) { /* the usual case while it fills: may be extended in place */
                r->times = g_realloc_n(r->times, size, sizeof(int64_t));
                r->values = g_realloc_n(r->values, size, value_size(r));
        } else {
                times = straighten(r, r->times, size, sizeof(int64_t));
                values = straighten(r, r->values, size, value_size(r));
                g_free(r->times);
                g_free(r->values);
                r->times = times;
                r->values = values;
        }
        r->first = 0;
        r->size = size;
}

static uint32_t place(const Ring *r, uint32_t i) {
        uint64_t at = (uint64_t) r->first + i;

        return (uint32_t) (at >= r->size ? at - r->size : at);
}

void ring_push(Ring *r, const Sample *s) {
        uint32_t at;

        assert(r->n < r->size);
        at = place(r, r->n++);
        r->times[at] = s->time_ns;
        if (r->narrow)
                ((uint8_t *) r->values)[at] = (uint8_t) s->bits;
        else
                ((uint64_t *) r->values)[at] = s->bits;
}

Sample ring_at(const Ring *r, uint32_t i) {
        uint32_t at;

        assert(i < r->n);
        at = place(r, i);
        return (Sample){ .time_ns = r->times[at],
                         .bits = r->narrow ? ((const uint8_t *) r->values)[at]
                                           : ((const uint64_t *) r->values)[at] };
}

void ring_shift_time(Ring *r, uint32_t i, int64_t by_ns) {
        assert(i < r->n);
        r->times[place(r, i)] += by_ns;
}

void ring_drop_first(Ring *r, uint32_t n) {
        assert(n <= r->n);
        if (n == 0)
                return;
        r->first = place(r, n);
        r->n -= n;
        if (r->n == 0)
                r->first = 0;
}

void ring_drop_last(Ring *r, uint32_t n) {
        assert(n <= r->n);
        r->n -= n;
}
