/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/opaque.h"

#include <errno.h>

int opaque_decode(Sink *s, const void *data, size_t n) {
        ValueType type;
        Value v;

        if (s->base->n < 3 || s->paths)
                return -ENOTSUP;
        type = sink_at(s, s->base);
        if (type != VALUE_NONE && type != VALUE_OPAQUE)
                return -EINVAL;
        v = value_text(VALUE_OPAQUE, data, n);
        return sink_add(s, s->base, &v, RECORD_NO_TIME);
}

int opaque_encode(const Path *base, const Record *records, size_t n_records, GByteArray *out) {
        const Record *last = n_records > 0 ? &records[n_records - 1] : NULL;

        if (!last || !path_equal(&last->path, base) || last->value.type != VALUE_OPAQUE)
                return -ENOTSUP;
        g_byte_array_append(out, (const guint8 *) last->value.data, last->value.length);
        return 0;
}
