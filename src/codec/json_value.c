/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/json_value.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#include "codec/number.h"
#include "util/base64.h"

static int read_string(Json *j, const char **ret, size_t *ret_n) {
        int r;

        r = json_string(j, ret, ret_n);
        if (r < 0)
                return r;
        return *ret_n <= VALUE_LENGTH_MAX ? 0 : -E2BIG;
}

int json_read_text(Json *j, Value *ret) {
        const char *text;
        size_t n;
        int r;

        r = read_string(j, &text, &n);
        if (r < 0)
                return r;
        *ret = value_text(VALUE_STRING, text, n);
        return 0;
}

int json_read_bool(Json *j, Value *ret) {
        JsonKind kind;
        int r;

        r = json_peek(j, &kind);
        if (r < 0)
                return r;
        if (kind != JSON_TRUE && kind != JSON_FALSE)
                return -EBADMSG;
        *ret = (Value){ .type = VALUE_BOOLEAN, .b = kind == JSON_TRUE };
        return json_literal(j);
}

int json_read_opaque(Json *j, bool url, Value *ret) {
        g_auto(Value) v = VALUE_INIT;
        const char *text;
        size_t n, n_bytes;
        int r;

        r = read_string(j, &text, &n);
        if (r < 0)
                return r;
        v.data = g_malloc(n / 4 * 3 + 3);
        v.type = VALUE_OPAQUE;
        r = base64_decode(text, n, url, v.data, &n_bytes);
        if (r < 0)
                return -EBADMSG;
        v.data[n_bytes] = '\0';
        v.length = (uint32_t) n_bytes;
        *ret = value_steal(&v);
        return 0;
}

int json_read_link(Json *j, Value *ret) {
        char buffer[VALUE_NUMBER_MAX];
        const char *text;
        size_t n;
        int r;

        r = json_string(j, &text, &n);
        if (r < 0)
                return r;
        if (n >= sizeof(buffer))
                return -EBADMSG;
        memcpy(buffer, text, n);
        buffer[n] = '\0';
        return value_parse(buffer, VALUE_OBJLNK, ret) < 0 ? -EBADMSG : 0;
}

int json_read_time(Json *j, int64_t *ret_ns) {
        const char *text;
        size_t n;
        int r;

        r = json_number(j, &text, &n);
        if (r < 0)
                return r;
        return number_parse_ns(text, n, ret_ns);
}

void json_put(GByteArray *out, const char *text) {
        g_byte_array_append(out, (const guint8 *) text, (guint) strlen(text));
}

int json_put_value(GByteArray *out, const Value *v, bool url) {
        char buffer[VALUE_NUMBER_MAX];
        size_t n;

        switch ((ValueType) v->type) {
        case VALUE_STRING:
        case VALUE_CORELNK:
                json_put_string(out, v->data, v->length);
                return 0;
        case VALUE_OPAQUE:
                json_put(out, "\"");
                n = base64_length(v->length, url);
                g_byte_array_set_size(out, (guint) (out->len + n));
                base64_encode(v->data, v->length, url, (char *) out->data + out->len - n);
                json_put(out, "\"");
                return 0;
        case VALUE_OBJLNK:
                json_put_string(out, buffer, value_format_number(v, buffer));
                return 0;
        case VALUE_BOOLEAN:
                json_put(out, v->b ? "true" : "false");
                return 0;
        case VALUE_FLOAT:
                if (!isfinite(v->d))
                        return -ENOTSUP;
                break;
        case VALUE_NONE:
                json_put(out, "null");
                return 0;
        case VALUE_INTEGER:
        case VALUE_UNSIGNED:
        case VALUE_TIME:
        case _VALUE_TYPE_MAX:
                break;
        }
        value_format_number(v, buffer);
        json_put(out, buffer);
        return 0;
}
