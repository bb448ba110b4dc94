/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/text.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#include "util/base64.h"

int text_decode(Sink *s, const void *data, size_t n) {
        g_autofree char *text = NULL;
        ValueType type;
        Value v;
        int r;

        if (s->base->n < 3 || s->paths)
                return -ENOTSUP;
        type = sink_at(s, s->base);
        if (n > 0 && memchr(data, '\0', n))
                return -EBADMSG;
        text = g_strndup(n > 0 ? data : "", n);
        r = value_parse(text, type == VALUE_NONE ? VALUE_STRING : type, &v);
        if (r < 0)
                return r;
        /* value_parse() knows names for these, the format does not. */
        if (v.type == VALUE_FLOAT && !isfinite(v.d))
                return -EINVAL;
        return sink_add(s, s->base, &v, RECORD_NO_TIME);
}

static void append_base64(GByteArray *out, const Value *v) {
        size_t n = base64_length(v->length, false);

        if (n == 0)
                return;
        g_byte_array_set_size(out, (guint) (out->len + n));
        base64_encode(v->data, v->length, false, (char *) out->data + out->len - n);
}

int text_encode(const Path *base, const Record *records, size_t n_records, GByteArray *out) {
        char buffer[VALUE_NUMBER_MAX];
        const Value *v;

        if (n_records == 0 || !path_equal(&records[n_records - 1].path, base))
                return -ENOTSUP;
        v = &records[n_records - 1].value;
        if (v->type == VALUE_NONE || (v->type == VALUE_FLOAT && !isfinite(v->d)))
                return -ENOTSUP;
        if (v->type == VALUE_STRING || v->type == VALUE_CORELNK)
                g_byte_array_append(out, (const guint8 *) v->data, v->length);
        else if (v->type == VALUE_OPAQUE)
                append_base64(out, v);
        else
                g_byte_array_append(out, (const guint8 *) buffer,
                                    (guint) value_format_number(v, buffer));
        return 0;
}
