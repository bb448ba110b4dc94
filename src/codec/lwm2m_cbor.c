/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/lwm2m_cbor.h"

#include <errno.h>

#include "codec/cborio.h"
#include "codec/span.h"

static int append_id(const CborItem *item, Path *p) {
        if (item->kind != CBOR_KIND_UINT || item->n > ID_MAX || p->n >= 4)
                return -EBADMSG;
        *p = path_child(p, (uint16_t) item->n);
        return 0;
}

/* The identifiers of a key, one or an array of them, below parent. */
static int read_ids(Reader *in, const CborItem *key, const Path *parent, Path *ret) {
        CborItem array = *key, id;
        Path p = *parent;
        int r;

        if (key->kind != CBOR_KIND_ARRAY) {
                r = append_id(key, &p);
                if (r < 0)
                        return r;
        } else {
                while ((r = cborio_next(in, &array, &id)) > 0) {
                        r = append_id(&id, &p);
                        if (r < 0)
                                return r;
                }
                if (r < 0)
                        return r;
        }
        *ret = p;
        return 0;
}

static int decode_map(Sink *s, Reader *in, CborItem *map, const Path *parent, unsigned depth);

static int decode_node(Sink *s, Reader *in, const Path *p, unsigned depth) {
        Value v = VALUE_INIT;
        CborItem item;
        ValueType type;
        int r;

        type = sink_at(s, p);
        r = cborio_read(in, &item);
        if (r < 0)
                return r;
        if (item.kind == CBOR_KIND_MAP)
                return decode_map(s, in, &item, p, depth);
        r = cborio_value(in, &item, type, depth, &v);
        if (r < 0)
                return r;
        return sink_add(s, p, &v, RECORD_NO_TIME);
}

static int decode_map(Sink *s, Reader *in, CborItem *map, const Path *parent, unsigned depth) {
        size_t mark = sink_keys_open(s);
        bool empty = true;
        CborItem key;
        Path p;
        int r;

        if (depth == 0)
                return -E2BIG;
        while ((r = cborio_next(in, map, &key)) > 0) {
                empty = false;
                r = read_ids(in, &key, parent, &p);
                if (r < 0)
                        return r;
                if (p.n == parent->n) /* an empty array leads nowhere */
                        return -EBADMSG;
                sink_key(s, &p);
                r = decode_node(s, in, &p, depth - 1);
                if (r < 0)
                        return r;
        }
        if (r < 0)
                return r;
        /* An object without instances is no record; the others are. */
        if (empty && (s->paths ? parent->n > 0 : parent->n >= 2)) {
                r = sink_add_empty(s, parent);
                if (r < 0)
                        return r;
        }
        return sink_keys_close(s, mark);
}

static int decode_list(Sink *s, Reader *in, CborItem *list) {
        CborItem item;
        Path p;
        int r;

        while ((r = cborio_next(in, list, &item)) > 0) {
                if (item.kind != CBOR_KIND_ARRAY)
                        return -EBADMSG;
                r = read_ids(in, &item, &PATH_ROOT, &p);
                if (r < 0)
                        return r;
                r = sink_add_empty(s, &p);
                if (r < 0)
                        return r;
        }
        return r;
}

int lwm2m_cbor_decode(Sink *s, const void *data, size_t n) {
        Reader in = { .pos = data, .left = n };
        CborItem item;
        int r;

        r = cborio_read(&in, &item);
        if (r < 0)
                return r;
        if (item.kind == CBOR_KIND_ARRAY && s->paths)
                r = decode_list(s, &in, &item);
        else if (item.kind == CBOR_KIND_MAP)
                r = decode_map(s, &in, &item, &PATH_ROOT, s->depth_max);
        else
                r = -EBADMSG;
        if (r < 0)
                return r;
        return in.left == 0 ? 0 : -EBADMSG;
}

static int put_node(GByteArray *out, const Span *span) {
        size_t n = 0;
        Span child;
        int r;

        if (span->n == 0 || span_is_leaf(span)) {
                if (span->n > 0 && (span_value(span)->type != VALUE_NONE || span->depth == 4))
                        cborio_put_value(out, span_value(span), true);
                else
                        cborio_put_map(out, 0);
                return 0;
        }
        for (child = span_first(span); child.n > 0; child = span_next(span, &child))
                n++;
        cborio_put_map(out, n);
        for (child = span_first(span); child.n > 0; child = span_next(span, &child)) {
                cborio_put_uint(out, span_id(&child));
                r = put_node(out, &child);
                if (r < 0)
                        return r;
        }
        return 0;
}

int lwm2m_cbor_encode(const Path *base, const Record *records, size_t n_records, GByteArray *out) {
        Span span = { .records = records, .n = n_records, .depth = base->n };

        if (base->n > 0) {
                cborio_put_map(out, 1);
                if (base->n > 1)
                        cborio_put_array(out, base->n);
                for (int i = 0; i < base->n; i++)
                        cborio_put_uint(out, base->id[i]);
        }
        return put_node(out, &span);
}
