/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/cbor_value.h"

#include <errno.h>

#include "codec/cborio.h"

int cbor_value_decode(Sink *s, const void *data, size_t n) {
        Reader in = { .pos = data, .left = n };
        Value v = VALUE_INIT;
        ValueType type;
        CborItem item;
        int r;

        if (s->base->n < 3 || s->paths)
                return -ENOTSUP;
        type = sink_at(s, s->base);
        r = cborio_read(&in, &item);
        if (r < 0)
                return r;
        r = cborio_value(&in, &item, type, s->depth_max, &v);
        if (r < 0)
                return r;
        r = in.left == 0 ? 0 : -EBADMSG;
        if (r < 0) {
                value_clear(&v);
                return r;
        }
        return sink_add(s, s->base, &v, RECORD_NO_TIME);
}

int cbor_value_encode(const Path *base, const Record *records, size_t n_records, GByteArray *out) {
        const Record *last = n_records > 0 ? &records[n_records - 1] : NULL;

        if (!last || !path_equal(&last->path, base) || last->value.type == VALUE_NONE)
                return -ENOTSUP;
        cborio_put_value(out, &last->value, true);
        return 0;
}
