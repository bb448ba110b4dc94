/* SPDX-License-Identifier: Apache-2.0 */
#include "lwm2m/send/send_body.h"

#define BYTES_OF_A_RECORD 2 /* at least, in any format */

size_t send_record_size(const Record *r) {
        const ValueType type = (ValueType) r->value.type;
        const bool has_bytes =
                type == VALUE_STRING || type == VALUE_OPAQUE || type == VALUE_CORELNK;

        return sizeof(Record) + (has_bytes ? r->value.length : 0);
}

static int encode(Format f, const Record *records, size_t n, const FormatSchema *schema,
                  GByteArray *out) {
        g_byte_array_set_size(out, 0);
        return format_encode(f, &PATH_ROOT, records, n, schema, out);
}

/* Fewer than n, if n records made size bytes: as many as should fit, with some room. */
static size_t fewer(size_t n, size_t size, size_t bytes_max) {
        const double share = (double) bytes_max / (double) size * 0.95;
        const size_t guess = (size_t) ((double) n * share);

        return CLAMP(guess, 1, n - 1);
}

int send_body_make(Format f, const Record *records, size_t n, size_t bytes_max,
                   const FormatSchema *schema, GBytes **ret, size_t *ret_n) {
        g_autoptr(GByteArray) out = g_byte_array_new();
        int r;

        n = MIN(n, MAX(bytes_max / BYTES_OF_A_RECORD, 1)); /* a long list is not tried as a whole */
        for (;;) {
                r = encode(f, records, n, schema, out);
                if (r < 0)
                        return r;
                if (n == 1 || out->len <= bytes_max)
                        break;
                n = fewer(n, out->len, bytes_max);
        }
        *ret = g_byte_array_free_to_bytes(g_steal_pointer(&out));
        *ret_n = n;
        return 0;
}
