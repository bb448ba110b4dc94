/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/cborio.h"

#include <cbor.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "codec/number.h"

/* The type of lengths in libcbor's callbacks depends on its version. */
#if CBOR_MAJOR_VERSION > 0 || CBOR_MINOR_VERSION >= 10
typedef uint64_t Length;
#else
typedef size_t Length;
#endif

static void on_uint8(void *item, uint8_t n) {
        *(CborItem *) item = (CborItem){ .kind = CBOR_KIND_UINT, .n = n };
}

static void on_uint16(void *item, uint16_t n) {
        *(CborItem *) item = (CborItem){ .kind = CBOR_KIND_UINT, .n = n };
}

static void on_uint32(void *item, uint32_t n) {
        *(CborItem *) item = (CborItem){ .kind = CBOR_KIND_UINT, .n = n };
}

static void on_uint64(void *item, uint64_t n) {
        *(CborItem *) item = (CborItem){ .kind = CBOR_KIND_UINT, .n = n };
}

static void on_negint8(void *item, uint8_t n) {
        *(CborItem *) item = (CborItem){ .kind = CBOR_KIND_NEGINT, .n = n };
}

static void on_negint16(void *item, uint16_t n) {
        *(CborItem *) item = (CborItem){ .kind = CBOR_KIND_NEGINT, .n = n };
}

static void on_negint32(void *item, uint32_t n) {
        *(CborItem *) item = (CborItem){ .kind = CBOR_KIND_NEGINT, .n = n };
}

static void on_negint64(void *item, uint64_t n) {
        *(CborItem *) item = (CborItem){ .kind = CBOR_KIND_NEGINT, .n = n };
}

static void on_bytes(void *item, cbor_data data, Length n) {
        *(CborItem *) item = (CborItem){ .kind = CBOR_KIND_BYTES, .n = n, .data = data };
}

static void on_text(void *item, cbor_data data, Length n) {
        *(CborItem *) item = (CborItem){ .kind = CBOR_KIND_TEXT, .n = n, .data = data };
}

static void on_bytes_start(void *item) {
        *(CborItem *) item = (CborItem){ .kind = CBOR_KIND_BYTES, .indefinite = true };
}

static void on_text_start(void *item) {
        *(CborItem *) item = (CborItem){ .kind = CBOR_KIND_TEXT, .indefinite = true };
}

static void on_array(void *item, Length n) {
        *(CborItem *) item = (CborItem){ .kind = CBOR_KIND_ARRAY, .n = n };
}

static void on_array_indefinite(void *item) {
        *(CborItem *) item = (CborItem){ .kind = CBOR_KIND_ARRAY, .indefinite = true };
}

static void on_map(void *item, Length n) {
        *(CborItem *) item = (CborItem){ .kind = CBOR_KIND_MAP, .n = n };
}

static void on_map_indefinite(void *item) {
        *(CborItem *) item = (CborItem){ .kind = CBOR_KIND_MAP, .indefinite = true };
}

static void on_tag(void *item, uint64_t n) {
        *(CborItem *) item = (CborItem){ .kind = CBOR_KIND_TAG, .n = n };
}

static void on_float(void *item, float d) {
        *(CborItem *) item = (CborItem){ .kind = CBOR_KIND_FLOAT, .d = (double) d };
}

static void on_double(void *item, double d) {
        *(CborItem *) item = (CborItem){ .kind = CBOR_KIND_FLOAT, .d = d };
}

static void on_bool(void *item, bool b) {
        *(CborItem *) item = (CborItem){ .kind = CBOR_KIND_BOOL, .n = b };
}

static void on_null(void *item) {
        *(CborItem *) item = (CborItem){ .kind = CBOR_KIND_NULL };
}

static void on_undefined(void *item) {
        *(CborItem *) item = (CborItem){ .kind = CBOR_KIND_UNDEFINED };
}

static void on_break(void *item) {
        *(CborItem *) item = (CborItem){ .kind = CBOR_KIND_BREAK };
}

static const struct cbor_callbacks callbacks = {
        .uint8 = on_uint8,
        .uint16 = on_uint16,
        .uint32 = on_uint32,
        .uint64 = on_uint64,
        .negint8 = on_negint8,
        .negint16 = on_negint16,
        .negint32 = on_negint32,
        .negint64 = on_negint64,
        .byte_string = on_bytes,
        .byte_string_start = on_bytes_start,
        .string = on_text,
        .string_start = on_text_start,
        .array_start = on_array,
        .indef_array_start = on_array_indefinite,
        .map_start = on_map,
        .indef_map_start = on_map_indefinite,
        .tag = on_tag,
        .float2 = on_float,
        .float4 = on_float,
        .float8 = on_double,
        .boolean = on_bool,
        .null = on_null,
        .undefined = on_undefined,
        .indef_break = on_break,
};

int cborio_read(Reader *in, CborItem *ret) {
        CborItem item = { 0 };
        struct cbor_decoder_result result;

        if (in->left == 0)
                return -EBADMSG;
        result = cbor_stream_decode(in->pos, in->left, &callbacks, &item);
        if (result.status != CBOR_DECODER_FINISHED || result.read == 0 || result.read > in->left)
                return -EBADMSG;
        /* libcbor up to 0.8 lets a length near 2^64 wrap around its own check. */
        if (item.data && item.n > (uint64_t) (in->pos + in->left - item.data))
                return -EBADMSG;
        reader_skip(in, result.read);
        /* Each item has a byte at least: a count above what is left cannot be true. */
        if ((item.kind == CBOR_KIND_ARRAY || item.kind == CBOR_KIND_MAP) && item.n > in->left)
                return -EBADMSG;
        *ret = item;
        return 0;
}

int cborio_next(Reader *in, CborItem *container, CborItem *ret) {
        int r;

        if (!container->indefinite && container->n == 0)
                return 0;
        r = cborio_read(in, ret);
        if (r < 0)
                return r;
        if (!container->indefinite)
                container->n--;
        if (ret->kind == CBOR_KIND_BREAK)
                return container->indefinite ? 0 : -EBADMSG;
        return 1;
}

/* The chunks of a string of indefinite length are definite strings of the same kind. */
static int next_chunk(Reader *in, CborItem *string, CborItem *ret) {
        int r;

        r = cborio_next(in, string, ret);
        if (r <= 0)
                return r;
        return ret->kind == string->kind && !ret->indefinite ? 1 : -EBADMSG;
}

int cborio_skip(Reader *in, const CborItem *item, unsigned depth) {
        CborItem container = *item, child;
        bool nested = item->kind == CBOR_KIND_ARRAY || item->kind == CBOR_KIND_MAP;
        int r;

        if (item->kind == CBOR_KIND_BREAK)
                return -EBADMSG;
        if (item->kind == CBOR_KIND_TAG) {
                if (depth == 0)
                        return -E2BIG;
                r = cborio_read(in, &child);
                return r < 0 ? r : cborio_skip(in, &child, depth - 1);
        }
        if ((item->kind == CBOR_KIND_BYTES || item->kind == CBOR_KIND_TEXT) && item->indefinite) {
                do
                        r = next_chunk(in, &container, &child);
                while (r > 0);
                return r;
        }
        if (!nested)
                return 0;
        if (depth == 0)
                return -E2BIG;
        while ((r = cborio_next(in, &container, &child)) > 0) {
                r = cborio_skip(in, &child, depth - 1);
                if (r >= 0 && item->kind == CBOR_KIND_MAP) {
                        r = cborio_read(in, &child);
                        if (r >= 0)
                                r = cborio_skip(in, &child, depth - 1);
                }
                if (r < 0)
                        return r;
        }
        return r;
}

int cborio_take_uint(Reader *in, uint64_t max, uint64_t *ret) {
        CborItem item;
        int r;

        r = cborio_read(in, &item);
        if (r < 0)
                return r;
        if (item.kind != CBOR_KIND_UINT || item.n > max)
                return -EBADMSG;
        *ret = item.n;
        return 0;
}

int cborio_take_array(Reader *in, uint64_t *ret_n) {
        CborItem item;
        int r;

        r = cborio_read(in, &item);
        if (r < 0)
                return r;
        if (item.kind != CBOR_KIND_ARRAY || item.indefinite)
                return -EBADMSG;
        *ret_n = item.n;
        return 0;
}

int cborio_string(Reader *in, const CborItem *item, GByteArray *scratch, const uint8_t **ret,
                  size_t *ret_n) {
        CborItem string = *item, chunk;
        int r;

        if (item->kind != CBOR_KIND_BYTES && item->kind != CBOR_KIND_TEXT)
                return -EINVAL;
        if (!item->indefinite) {
                *ret = item->data;
                *ret_n = (size_t) item->n;
                return 0;
        }
        g_byte_array_set_size(scratch, 0);
        while ((r = next_chunk(in, &string, &chunk)) > 0)
                g_byte_array_append(scratch, chunk.data, (guint) chunk.n);
        if (r < 0)
                return r;
        *ret = scratch->data;
        *ret_n = scratch->len;
        return 0;
}

static int string_value(Reader *in, const CborItem *item, ValueType type, Value *ret) {
        g_autoptr(GByteArray) scratch = item->indefinite ? g_byte_array_new() : NULL;
        const uint8_t *data;
        size_t n;
        int r;

        r = cborio_string(in, item, scratch, &data, &n);
        if (r < 0)
                return r;
        if (n > VALUE_LENGTH_MAX)
                return -E2BIG;
        *ret = value_text(item->kind == CBOR_KIND_BYTES ? VALUE_OPAQUE : VALUE_STRING, data, n);
        if (item->kind == CBOR_KIND_TEXT && type == VALUE_OBJLNK) {
                Value text = *ret;

                r = strlen(text.data) == n ? value_parse(text.data, VALUE_OBJLNK, ret) : -EINVAL;
                value_clear(&text);
        }
        return r;
}

static int whole_value(bool negative, uint64_t n, Value *ret) {
        if (negative && n > INT64_MAX)
                return -ERANGE;
        if (negative)
                *ret = (Value){ .type = VALUE_INTEGER, .i = -1 - (int64_t) n };
        else if (n <= INT64_MAX)
                *ret = (Value){ .type = VALUE_INTEGER, .i = (int64_t) n };
        else
                *ret = (Value){ .type = VALUE_UNSIGNED, .u = n };
        return 0;
}

/* Tags 2 and 3: a number as bytes. */
static int bignum_value(Reader *in, bool negative, Value *ret) {
        g_autoptr(GByteArray) scratch = g_byte_array_new();
        const uint8_t *data;
        uint64_t value = 0;
        CborItem item;
        size_t n;
        int r;

        r = cborio_read(in, &item);
        if (r < 0)
                return r;
        if (item.kind != CBOR_KIND_BYTES)
                return -EBADMSG;
        r = cborio_string(in, &item, scratch, &data, &n);
        if (r < 0)
                return r;
        for (size_t i = 0; i < n; i++) {
                if (value >> 56)
                        return -ERANGE;
                value = value << 8 | data[i];
        }
        return whole_value(negative, value, ret);
}

/* Tag 1 (RFC 8949, section 3.4.2): whole or fractional seconds. Tag 0: a date in text. */
static int time_value(Reader *in, bool text, Value *ret) {
        g_autoptr(GDateTime) date = NULL;
        g_auto(Value) v = VALUE_INIT;
        CborItem item;
        int r;

        r = cborio_read(in, &item);
        if (r < 0)
                return r;
        if (text ? item.kind != CBOR_KIND_TEXT
                 : item.kind != CBOR_KIND_UINT && item.kind != CBOR_KIND_NEGINT &&
                            item.kind != CBOR_KIND_FLOAT)
                return -EBADMSG;
        r = cborio_value(in, &item, VALUE_NONE, 0, &v);
        if (r < 0)
                return r;
        if (!text)
                return value_convert(&v, VALUE_TIME, ret);
        date = strlen(v.data) == v.length ? g_date_time_new_from_iso8601(v.data, NULL) : NULL;
        if (!date)
                return -EBADMSG;
        if (g_date_time_get_microsecond(date) != 0)
                return -ERANGE;
        *ret = (Value){ .type = VALUE_TIME, .i = g_date_time_to_unix(date) };
        return 0;
}

/* Tag 100 (RFC 8943): days since 1970. */
static int days_value(Reader *in, Value *ret) {
        CborItem item;
        int64_t seconds;
        Value days;
        int r;

        r = cborio_read(in, &item);
        if (r < 0)
                return r;
        if (item.kind != CBOR_KIND_UINT && item.kind != CBOR_KIND_NEGINT)
                return -EBADMSG;
        r = whole_value(item.kind == CBOR_KIND_NEGINT, item.n, &days);
        if (r < 0)
                return r;
        if (days.type != VALUE_INTEGER || __builtin_mul_overflow(days.i, 86400, &seconds))
                return -ERANGE;
        *ret = (Value){ .type = VALUE_TIME, .i = seconds };
        return 0;
}

/* Tags 4 and 5: mantissa * 10^exponent or 2^exponent. */
static int fraction_value(Reader *in, bool binary, ValueType type, Value *ret) {
        CborItem array, exponent, mantissa, end;
        char text[64];
        double d;
        int r;

        r = cborio_read(in, &array);
        if (r < 0 || array.kind != CBOR_KIND_ARRAY)
                return -EBADMSG;
        if (cborio_next(in, &array, &exponent) != 1 || cborio_next(in, &array, &mantissa) != 1 ||
            cborio_next(in, &array, &end) != 0)
                return -EBADMSG;
        if (exponent.kind > CBOR_KIND_NEGINT || mantissa.kind > CBOR_KIND_NEGINT)
                return -EBADMSG;
        if (exponent.n > 10000 || mantissa.n == UINT64_MAX)
                return -ERANGE;
        if (!binary) {
                r = snprintf(text, sizeof(text), "%s%" PRIu64 "e%s%" PRIu64,
                             mantissa.kind == CBOR_KIND_NEGINT ? "-" : "",
                             mantissa.n + (mantissa.kind == CBOR_KIND_NEGINT),
                             exponent.kind == CBOR_KIND_NEGINT ? "-" : "",
                             exponent.n + (exponent.kind == CBOR_KIND_NEGINT));
                return number_parse(text, (size_t) r, type, ret);
        }
        if (mantissa.n >= UINT64_C(1) << 53)
                return -ERANGE;
        d = mantissa.kind == CBOR_KIND_NEGINT ? -1.0 - (double) mantissa.n : (double) mantissa.n;
        d = ldexp(d, exponent.kind == CBOR_KIND_NEGINT ? -1 - (int) exponent.n : (int) exponent.n);
        if (!isfinite(d))
                return -ERANGE;
        *ret = (Value){ .type = VALUE_FLOAT, .d = d };
        return 0;
}

static bool is_whole_type(ValueType type) {
        return type == VALUE_INTEGER || type == VALUE_UNSIGNED || type == VALUE_TIME;
}

static int tagged_value(Reader *in, uint64_t tag, ValueType type, unsigned depth, Value *ret) {
        CborItem item;
        int r;

        switch (tag) {
        case 0:
        case 1:
                return time_value(in, tag == 0, ret);
        case 2:
        case 3:
                return bignum_value(in, tag == 3, ret);
        case 4:
        case 5:
                return fraction_value(
                        in, tag == 5,
                        type == VALUE_FLOAT || is_whole_type(type) ? type : VALUE_NONE, ret);
        case 100:
                return days_value(in, ret);
        default:
                break;
        }
        /* The others say how to show or to use a value (URI, base64 …) but leave it what it is. */
        if (depth == 0)
                return -E2BIG;
        r = cborio_read(in, &item);
        if (r < 0)
                return r;
        return cborio_value(in, &item, type, depth - 1, ret);
}

int cborio_value(Reader *in, const CborItem *item, ValueType type, unsigned depth, Value *ret) {
        switch (item->kind) {
        case CBOR_KIND_UINT:
        case CBOR_KIND_NEGINT:
                return whole_value(item->kind == CBOR_KIND_NEGINT, item->n, ret);
        case CBOR_KIND_BYTES:
        case CBOR_KIND_TEXT:
                return string_value(in, item, type, ret);
        case CBOR_KIND_TAG:
                return tagged_value(in, item->n, type, depth, ret);
        case CBOR_KIND_FLOAT:
                *ret = (Value){ .type = VALUE_FLOAT, .d = item->d };
                return 0;
        case CBOR_KIND_BOOL:
                *ret = (Value){ .type = VALUE_BOOLEAN, .b = item->n };
                return 0;
        case CBOR_KIND_NULL:
                *ret = VALUE_INIT;
                return 0;
        case CBOR_KIND_BREAK:
                return -EBADMSG;
        case CBOR_KIND_ARRAY:
        case CBOR_KIND_MAP:
        case CBOR_KIND_UNDEFINED:
                break;
        }
        return -EINVAL;
}

#define HEAD_MAX 9

static void put(GByteArray *out, const unsigned char *head, size_t n) {
        g_byte_array_append(out, head, (guint) n);
}

void cborio_put_uint(GByteArray *out, uint64_t n) {
        unsigned char head[HEAD_MAX];

        put(out, head, cbor_encode_uint(n, head, sizeof(head)));
}

void cborio_put_int(GByteArray *out, int64_t i) {
        unsigned char head[HEAD_MAX];

        if (i >= 0)
                cborio_put_uint(out, (uint64_t) i);
        else
                put(out, head, cbor_encode_negint((uint64_t) (-1 - i), head, sizeof(head)));
}

void cborio_put_float(GByteArray *out, double d) {
        unsigned char head[HEAD_MAX];

        if (isnan(d) || (double) (float) d == d)
                put(out, head, cbor_encode_single((float) d, head, sizeof(head)));
        else
                put(out, head, cbor_encode_double(d, head, sizeof(head)));
}

void cborio_put_text(GByteArray *out, const void *data, size_t n) {
        unsigned char head[HEAD_MAX];

        put(out, head, cbor_encode_string_start(n, head, sizeof(head)));
        put(out, data, n);
}

void cborio_put_array(GByteArray *out, size_t n) {
        unsigned char head[HEAD_MAX];

        put(out, head, cbor_encode_array_start(n, head, sizeof(head)));
}

void cborio_put_map(GByteArray *out, size_t n) {
        unsigned char head[HEAD_MAX];

        put(out, head, cbor_encode_map_start(n, head, sizeof(head)));
}

void cborio_put_value(GByteArray *out, const Value *v, bool tag_time) {
        char buffer[VALUE_NUMBER_MAX];
        unsigned char head[HEAD_MAX];

        switch ((ValueType) v->type) {
        case VALUE_STRING:
        case VALUE_CORELNK:
                cborio_put_text(out, v->data, v->length);
                break;
        case VALUE_OPAQUE:
                put(out, head, cbor_encode_bytestring_start(v->length, head, sizeof(head)));
                put(out, (const unsigned char *) v->data, v->length);
                break;
        case VALUE_TIME:
                if (tag_time)
                        put(out, head, cbor_encode_tag(1, head, sizeof(head)));
                cborio_put_int(out, v->i);
                break;
        case VALUE_INTEGER:
                cborio_put_int(out, v->i);
                break;
        case VALUE_UNSIGNED:
                cborio_put_uint(out, v->u);
                break;
        case VALUE_FLOAT:
                cborio_put_float(out, v->d);
                break;
        case VALUE_BOOLEAN:
                put(out, head, cbor_encode_bool(v->b, head, sizeof(head)));
                break;
        case VALUE_OBJLNK:
                cborio_put_text(out, buffer, value_format_number(v, buffer));
                break;
        case VALUE_NONE:
        case _VALUE_TYPE_MAX:
                put(out, head, cbor_encode_null(head, sizeof(head)));
                break;
        }
}
