/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What the fuzz targets of the formats share: the first byte of the input chooses the request's
 * base, the rest is the body. A body that decodes must come back the same from its own encoding. */
#include <glib.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "codec/format.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* Stays when assertions are compiled out. */
#define CHECK(condition)                                                                           \
        do {                                                                                       \
                if (!(condition))                                                                  \
                        abort();                                                                   \
        } while (0)

#define FUZZ_NOW_NS (INT64_C(1700000000) * 1000000000)

/* Object 9: single resources numbered as the types are, multiple ones from 100 on. */
static inline ValueType fuzz_type(void *userdata, const Path *p) {
        if (p->n < 3 || p->id[0] != 9 || p->id[2] % 100 >= _VALUE_TYPE_MAX)
                return VALUE_NONE;
        return (ValueType) (p->id[2] % 100);
}

static inline bool fuzz_multiple(void *userdata, const Path *p) {
        return p->id[2] >= 100;
}

/* What all formats carry: records with a value. */
static inline size_t fuzz_next(const RecordList *l, size_t i) {
        while (i < l->n && l->v[i].value.type == VALUE_NONE)
                i++;
        return i;
}

static inline void fuzz_same(const RecordList *a, const RecordList *b) {
        size_t i = fuzz_next(a, 0), j = fuzz_next(b, 0);

        for (; i < a->n && j < b->n; i = fuzz_next(a, i + 1), j = fuzz_next(b, j + 1)) {
                CHECK(path_equal(&a->v[i].path, &b->v[j].path));
                CHECK(value_equal(&a->v[i].value, &b->v[j].value));
                CHECK(a->v[i].time_ns == b->v[j].time_ns);
        }
        CHECK(i >= a->n && j >= b->n);
}

static inline void fuzz_again(Format f, const Path *base, const FormatSchema *schema,
                              const FormatLimits *limits, RecordList *l) {
        g_autoptr(GByteArray) out = g_byte_array_new();
        g_auto(RecordList) back = { 0 };

        record_list_sort(l);
        if (format_encode(f, base, l->v, l->n, schema, out) < 0)
                return; /* NaN in JSON, times before 1978, null */
        CHECK(format_decode(f, base, out->data, out->len, schema, limits, &back, NULL) == 0);
        record_list_sort(&back); /* SenML has those without a time first */
        fuzz_same(l, &back);
}

static inline int fuzz_format(Format f, const uint8_t *data, size_t n) {
        static const Path bases[] = {
                { .n = 0 },         PATH_O(9),         PATH_OI(9, 0),       PATH_OIR(9, 0, 1),
                PATH_OIR(9, 0, 2),  PATH_OIR(9, 0, 4), PATH_OIR(9, 0, 6),   PATH_OIR(9, 0, 7),
                PATH_OIR(9, 0, 8),  PATH_OIR(9, 0, 9), PATH_OIR(9, 0, 101), PATH_OIRI(9, 0, 102, 1),
                PATH_OIR(77, 0, 0), PATH_OIR(9, 0, 3), PATH_OIR(9, 0, 5)
        };
        const FormatSchema schema = { .type = fuzz_type, .multiple = fuzz_multiple };
        const FormatLimits limits = { .records = 1000, .now_ns = FUZZ_NOW_NS };
        g_auto(RecordList) l = { 0 }, paths = { 0 };
        const Path *base;
        Path at;

        if (n == 0)
                return 0;
        base = &bases[*data % G_N_ELEMENTS(bases)];
        if (format_decode(f, base, data + 1, n - 1, &schema, &limits, &l, &at) == 0) {
                for (size_t i = 0; i < l.n; i++)
                        CHECK(path_covers(base, &l.v[i].path));
                fuzz_again(f, base, &schema, &limits, &l);
        } else
                CHECK(l.n == 0 && !l.v);
        format_decode_paths(f, data + 1, n - 1, &limits, &paths);
        return 0;
}
