/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/tlv.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <string.h>

#include "codec/reader.h"
#include "codec/span.h"

#define LENGTH_MAX 0xffffff /* three bytes of length */

typedef enum Kind { /* bits 7 and 6 of the type byte */
                    KIND_INSTANCE = 0,
                    KIND_RESOURCE_INSTANCE = 1,
                    KIND_MULTIPLE = 2,
                    KIND_RESOURCE = 3,
} Kind;

typedef struct Tlv {
        Kind kind;
        uint16_t id;
        Reader value;
} Tlv;

static int read_tlv(Reader *in, Tlv *ret) {
        uint32_t type, id, length;
        int r;

        r = reader_be(in, 1, &type);
        if (r < 0)
                return r;
        r = reader_be(in, type & 0x20 ? 2 : 1, &id);
        if (r < 0)
                return r;
        length = type & 7;
        if (type & 0x18) {
                r = reader_be(in, type >> 3 & 3, &length);
                if (r < 0)
                        return r;
        }
        if (id > ID_MAX)
                return -EBADMSG;
        ret->kind = (Kind) (type >> 6);
        ret->id = (uint16_t) id;
        return reader_take(in, length, &ret->value);
}

static uint64_t big_endian(const Reader *in) {
        uint64_t value = 0;

        for (size_t i = 0; i < in->left; i++)
                value = value << 8 | in->pos[i];
        return value;
}

/* Integers have 1, 2, 4 or 8 bytes and nothing between. */
static int read_integer(const Reader *in, bool is_signed, Value *ret) {
        uint64_t u = big_endian(in);

        if (in->left != 1 && in->left != 2 && in->left != 4 && in->left != 8)
                return -EINVAL;
        if (!is_signed)
                ret->u = u;
        else if (in->left == 8)
                ret->i = (int64_t) u;
        else
                ret->i = (int64_t) (u << (64 - 8 * in->left)) >> (64 - 8 * in->left);
        return 0;
}

static int read_float(const Reader *in, Value *ret) {
        uint64_t u = big_endian(in);
        uint32_t half = (uint32_t) u;
        float f;

        if (in->left == 4) {
                memcpy(&f, &half, sizeof(f));
                ret->d = (double) f;
                return 0;
        }
        if (in->left != 8)
                return -EINVAL;
        memcpy(&ret->d, &u, sizeof(ret->d));
        return 0;
}

/* A value has no type of its own: it is what the schema says, or opaque. */
static int read_value(const Reader *in, ValueType type, Value *ret) {
        Value v = { .type = (uint8_t) type };
        int r = 0;

        switch (type) {
        case VALUE_INTEGER:
        case VALUE_TIME:
                r = read_integer(in, true, &v);
                break;
        case VALUE_UNSIGNED:
                r = read_integer(in, false, &v);
                break;
        case VALUE_FLOAT:
                r = read_float(in, &v);
                break;
        case VALUE_BOOLEAN:
                if (in->left != 1 || in->pos[0] > 1)
                        return -EINVAL;
                v.b = in->pos[0];
                break;
        case VALUE_OBJLNK:
                if (in->left != 4)
                        return -EINVAL;
                v.link.object = (uint16_t) (in->pos[0] << 8 | in->pos[1]);
                v.link.instance = (uint16_t) (in->pos[2] << 8 | in->pos[3]);
                break;
        case VALUE_STRING:
        case VALUE_CORELNK:
        case VALUE_OPAQUE:
                v = value_text(type, in->pos, in->left);
                break;
        case VALUE_NONE:
        case _VALUE_TYPE_MAX:
                v = value_text(VALUE_OPAQUE, in->pos, in->left);
                break;
        }
        if (r < 0)
                return r;
        *ret = v;
        return 0;
}

static int decode_value(Sink *s, const Path *p, const Tlv *t) {
        Value v;
        int r;

        r = read_value(&t->value, sink_at(s, p), &v);
        if (r < 0)
                return r;
        return sink_add(s, p, &v, RECORD_NO_TIME);
}

static int decode_level(Sink *s, const Path *parent, Reader in);

static int decode_tlv(Sink *s, const Path *parent, const Tlv *t) {
        static const Kind below[4][2] = {
                [1] = { KIND_INSTANCE, KIND_INSTANCE },
                [2] = { KIND_RESOURCE, KIND_MULTIPLE },
                [3] = { KIND_RESOURCE_INSTANCE, KIND_RESOURCE_INSTANCE },
        };
        Path p = path_child(parent, t->id);

        s->error_path = p;
        if (t->kind != below[parent->n][0] && t->kind != below[parent->n][1])
                return -EBADMSG;
        sink_key(s, &p);
        if (t->kind == KIND_RESOURCE || t->kind == KIND_RESOURCE_INSTANCE)
                return decode_value(s, &p, t);
        if (t->value.left == 0)
                return sink_add_empty(s, &p);
        return decode_level(s, &p, t->value);
}

static int decode_level(Sink *s, const Path *parent, Reader in) {
        size_t mark = sink_keys_open(s);
        Tlv t;
        int r;

        while (in.left > 0) {
                r = read_tlv(&in, &t);
                if (r < 0)
                        return r;
                r = decode_tlv(s, parent, &t);
                if (r < 0)
                        return r;
        }
        return sink_keys_close(s, mark);
}

/* The level at which a body for base begins: its children, or, one level further up, itself. */
static uint8_t first_level(const Path *base, Kind kind) {
        static const uint8_t levels[] = {
                [KIND_INSTANCE] = 1,
                [KIND_RESOURCE_INSTANCE] = 3,
                [KIND_MULTIPLE] = 2,
                [KIND_RESOURCE] = 2,
        };

        return MIN(levels[kind], base->n);
}

/* No instances of an object, an instance without resources, a multiple resource without instances.
 */
static int decode_empty(Sink *s) {
        if (s->base->n == 1)
                return 0;
        if (s->base->n == 2 || (s->base->n == 3 && sink_is_multiple(s, s->base)))
                return sink_add_empty(s, s->base);
        return -EBADMSG;
}

int tlv_decode(Sink *s, const void *data, size_t n) {
        Reader in = { .pos = data, .left = n }, peek = in;
        Path parent;
        Tlv t;
        int r;

        if (s->base->n == 0 || s->paths)
                return -ENOTSUP;
        s->error_path = *s->base;
        if (n == 0)
                return decode_empty(s);
        r = read_tlv(&peek, &t);
        if (r < 0)
                return r;
        parent = path_prefix(s->base, first_level(s->base, t.kind));
        /* A body that begins above base brings base alone. */
        if (parent.n < s->base->n && peek.left > 0)
                return -EBADMSG;
        return decode_level(s, &parent, in);
}

static size_t integer_size(int64_t i) {
        return i == (int8_t) i ? 1 : i == (int16_t) i ? 2 : i == (int32_t) i ? 4 : 8;
}

static bool fits_single(double d) {
        return isnan(d) || (double) (float) d == d;
}

static size_t value_size(const Value *v) {
        switch ((ValueType) v->type) {
        case VALUE_INTEGER:
        case VALUE_TIME:
                return integer_size(v->i);
        case VALUE_UNSIGNED:
                return v->u <= UINT8_MAX ? 1 : v->u <= UINT16_MAX ? 2 : v->u <= UINT32_MAX ? 4 : 8;
        case VALUE_FLOAT:
                return fits_single(v->d) ? 4 : 8;
        case VALUE_BOOLEAN:
                return 1;
        case VALUE_OBJLNK:
                return 4;
        case VALUE_STRING:
        case VALUE_OPAQUE:
        case VALUE_CORELNK:
                return v->length;
        case VALUE_NONE:
        case _VALUE_TYPE_MAX:
                break;
        }
        return 0;
}

static void put_be(GByteArray *out, uint64_t value, size_t n) {
        uint8_t bytes[8];

        for (size_t i = 0; i < n; i++)
                bytes[i] = (uint8_t) (value >> (8 * (n - 1 - i)));
        g_byte_array_append(out, bytes, (guint) n);
}

static void put_float(GByteArray *out, double d) {
        uint64_t u;
        uint32_t half;
        float f = (float) d;

        if (fits_single(d)) {
                memcpy(&half, &f, sizeof(half));
                put_be(out, half, 4);
        } else {
                memcpy(&u, &d, sizeof(u));
                put_be(out, u, 8);
        }
}

static void put_value(GByteArray *out, const Value *v) {
        switch ((ValueType) v->type) {
        case VALUE_INTEGER:
        case VALUE_TIME:
                put_be(out, (uint64_t) v->i, integer_size(v->i));
                break;
        case VALUE_UNSIGNED:
                put_be(out, v->u, value_size(v));
                break;
        case VALUE_FLOAT:
                put_float(out, v->d);
                break;
        case VALUE_BOOLEAN:
                put_be(out, v->b, 1);
                break;
        case VALUE_OBJLNK:
                put_be(out, (uint64_t) v->link.object << 16 | v->link.instance, 4);
                break;
        case VALUE_STRING:
        case VALUE_OPAQUE:
        case VALUE_CORELNK:
                g_byte_array_append(out, (const guint8 *) v->data, v->length);
                break;
        case VALUE_NONE:
        case _VALUE_TYPE_MAX:
                break;
        }
}

static size_t header_size(uint16_t id, size_t length) {
        return 1 + (id > 0xff ? 2 : 1) +
               (length < 8         ? 0
                : length <= 0xff   ? 1
                : length <= 0xffff ? 2
                                   : 3);
}

static void put_header(GByteArray *out, Kind kind, uint16_t id, size_t length) {
        size_t n_length = header_size(id, length) - header_size(id, 0);
        uint8_t type = (uint8_t) (kind << 6 | (id > 0xff ? 0x20 : 0) | n_length << 3);

        if (n_length == 0)
                type |= (uint8_t) length;
        put_be(out, type, 1);
        put_be(out, id, id > 0xff ? 2 : 1);
        put_be(out, length, n_length);
}

/* Bytes of the content of the node that the span stands for. */
static size_t content_size(const Span *span) {
        size_t size = 0, n;
        Span child;

        if (span_is_leaf(span))
                return value_size(span_value(span));
        for (child = span_first(span); child.n > 0; child = span_next(span, &child)) {
                n = content_size(&child);
                size += header_size(span_id(&child), n) + n;
        }
        return size;
}

static int put_children(GByteArray *out, const Span *span);

static int put_node(GByteArray *out, const Span *span) {
        static const Kind kinds[] = {
                [2] = KIND_INSTANCE, [3] = KIND_MULTIPLE, [4] = KIND_RESOURCE_INSTANCE
        };
        size_t length = content_size(span);
        bool leaf = span_is_leaf(span), value = leaf && span_value(span)->type != VALUE_NONE;

        if (length > LENGTH_MAX || (value && span->depth < 3) || (!value && span->depth == 4))
                return -ENOTSUP;
        put_header(out, value && span->depth == 3 ? KIND_RESOURCE : kinds[span->depth],
                   span_id(span), length);
        if (!leaf)
                return put_children(out, span);
        if (value)
                put_value(out, span_value(span));
        return 0;
}

static int put_children(GByteArray *out, const Span *span) {
        int r;

        for (Span child = span_first(span); child.n > 0; child = span_next(span, &child)) {
                r = put_node(out, &child);
                if (r < 0)
                        return r;
        }
        return 0;
}

int tlv_encode(const Path *base, const Record *records, size_t n_records, GByteArray *out) {
        Span span = { .records = records, .n = n_records, .depth = base->n };

        if (base->n == 0)
                return -ENOTSUP;
        if (base->n <= 2)
                return n_records > 0 && !(span_is_leaf(&span)) ? put_children(out, &span) : 0;
        return n_records > 0 ? put_node(out, &span) : -ENOTSUP;
}
