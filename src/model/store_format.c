/* SPDX-License-Identifier: Apache-2.0 */
#include "model/store_format.h"

#include <errno.h>
#include <string.h>

#include "codec/cborio.h"
#include "util/crc32c.h"

#define MAGIC "lwm2md"

/* --- writing --- */

static void put_head(GByteArray *out, OpKind kind, const Path *p, size_t n_more) {
        cborio_put_array(out, 1 + p->n + n_more);
        cborio_put_uint(out, kind);
        for (uint8_t i = 0; i < p->n; i++)
                cborio_put_uint(out, p->id[i]);
}

void op_put(GByteArray *out, OpKind kind, const Path *p) {
        put_head(out, kind, p, 0);
}

void op_put_ensure(GByteArray *out, const Path *p, Version version) {
        put_head(out, OP_ENSURE, p, 2);
        cborio_put_uint(out, version.major);
        cborio_put_uint(out, version.minor);
}

void op_put_set(GByteArray *out, const Path *p, const Value *v) {
        put_head(out, OP_SET, p, 2);
        cborio_put_uint(out, v->type);
        if (v->type == VALUE_OBJLNK)
                cborio_put_uint(out, (uint32_t) v->link.object << 16 | v->link.instance);
        else
                cborio_put_value(out, v, false);
}

void op_put_blob(GByteArray *out, const char *name, const void *data, size_t n) {
        Value v = { .type = VALUE_OPAQUE, .length = (uint32_t) n };

        cborio_put_array(out, data ? 3 : 2);
        cborio_put_uint(out, data ? OP_BLOB : OP_UNBLOB);
        cborio_put_text(out, name, strlen(name));
        if (!data)
                return;
        v.data = (char *) data;
        cborio_put_value(out, &v, false);
}

void op_put_reset(GByteArray *out, bool keep_accounts) {
        cborio_put_array(out, 2);
        cborio_put_uint(out, OP_RESET);
        cborio_put_uint(out, keep_accounts);
}

/* --- reading --- */

static int read_path(Reader *in, uint8_t n, Path *ret) {
        uint64_t id = 0;

        *ret = (Path){ .n = n };
        for (uint8_t i = 0; i < n; i++) {
                if (cborio_take_uint(in, ID_MAX, &id) < 0)
                        return -EBADMSG;
                ret->id[i] = (uint16_t) id;
        }
        return 0;
}

static int read_string(Reader *in, CborKind kind, Reader *ret) {
        CborItem item;

        if (cborio_read(in, &item) < 0 || item.kind != kind || item.indefinite)
                return -EBADMSG;
        *ret = (Reader){ .pos = item.data, .left = (size_t) item.n };
        return 0;
}

static int read_text_value(Reader *in, ValueType type, Value *v) {
        Reader bytes;

        if (read_string(in, type == VALUE_OPAQUE ? CBOR_KIND_BYTES : CBOR_KIND_TEXT, &bytes) < 0 ||
            bytes.left > VALUE_LENGTH_MAX)
                return -EBADMSG;
        v->data = (char *) bytes.pos;
        v->length = (uint32_t) bytes.left;
        return 0;
}

static int read_number_value(Reader *in, ValueType type, Value *v) {
        CborItem item;

        if (cborio_read(in, &item) < 0)
                return -EBADMSG;
        if (type == VALUE_FLOAT && item.kind == CBOR_KIND_FLOAT) {
                v->d = item.d;
        } else if (type == VALUE_BOOLEAN && item.kind == CBOR_KIND_BOOL) {
                v->b = item.n != 0;
        } else if (type == VALUE_UNSIGNED && item.kind == CBOR_KIND_UINT) {
                v->u = item.n;
        } else if (type == VALUE_OBJLNK && item.kind == CBOR_KIND_UINT && item.n <= UINT32_MAX) {
                v->link.object = (uint16_t) (item.n >> 16);
                v->link.instance = (uint16_t) item.n;
        } else if ((type == VALUE_INTEGER || type == VALUE_TIME) && item.n <= INT64_MAX &&
                   (item.kind == CBOR_KIND_UINT || item.kind == CBOR_KIND_NEGINT)) {
                v->i = item.kind == CBOR_KIND_UINT ? (int64_t) item.n : -1 - (int64_t) item.n;
        } else {
                return -EBADMSG;
        }
        return 0;
}

static int read_value(Reader *in, Value *ret) {
        uint64_t type;
        int r;

        if (cborio_take_uint(in, _VALUE_TYPE_MAX - 1, &type) < 0)
                return -EBADMSG;
        *ret = VALUE_INIT;
        if (type == VALUE_STRING || type == VALUE_OPAQUE || type == VALUE_CORELNK)
                r = read_text_value(in, (ValueType) type, ret);
        else
                r = read_number_value(in, (ValueType) type, ret);
        if (r < 0)
                return r;
        ret->type = (uint8_t) type;
        return 0;
}

static int read_version(Reader *in, Version *ret) {
        uint64_t major, minor;

        if (cborio_take_uint(in, UINT8_MAX, &major) < 0 ||
            cborio_take_uint(in, UINT8_MAX, &minor) < 0)
                return -EBADMSG;
        *ret = (Version){ (uint8_t) major, (uint8_t) minor };
        return 0;
}

/* n items follow the kind. */
static int read_op(Reader *in, OpKind kind, uint64_t n, StoreOp *op) {
        uint64_t flag;
        int r;

        switch (kind) {
        case OP_ENSURE:
                if (n != 4 || read_path(in, 2, &op->path) < 0)
                        return -EBADMSG;
                return read_version(in, &op->version);
        case OP_SET:
                if (n < 5 || n > 6 || read_path(in, (uint8_t) (n - 2), &op->path) < 0)
                        return -EBADMSG;
                return read_value(in, &op->value);
        case OP_CLEAR:
                return n == 3 ? read_path(in, 3, &op->path) : -EBADMSG;
        case OP_DELETE:
                return n >= 2 && n <= 4 ? read_path(in, (uint8_t) n, &op->path) : -EBADMSG;
        case OP_BLOB:
                if (n != 2 || read_string(in, CBOR_KIND_TEXT, &op->name) < 0)
                        return -EBADMSG;
                return read_text_value(in, VALUE_OPAQUE, &op->value);
        case OP_UNBLOB:
                return n == 1 ? read_string(in, CBOR_KIND_TEXT, &op->name) : -EBADMSG;
        case OP_RESET:
                r = n == 1 ? cborio_take_uint(in, 1, &flag) : -EBADMSG;
                op->keep_accounts = r >= 0 && flag;
                return r;
        case _OP_KIND_MAX:
                break;
        }
        return -EBADMSG;
}

int op_next(Reader *in, StoreOp *ret) {
        StoreOp op = { .raw = *in };
        CborItem array;
        uint64_t kind;

        if (in->left == 0)
                return 0;
        if (cborio_read(in, &array) < 0 || array.kind != CBOR_KIND_ARRAY || array.indefinite ||
            array.n == 0 || cborio_take_uint(in, _OP_KIND_MAX - 1, &kind) < 0)
                return -EBADMSG;
        op.kind = (OpKind) kind;
        if (read_op(in, op.kind, array.n - 1, &op) < 0)
                return -EBADMSG;
        op.raw.left -= in->left;
        *ret = op;
        return 1;
}

int ops_check(Reader in) {
        StoreOp op;
        int r;

        do
                r = op_next(&in, &op);
        while (r > 0);
        return r;
}

/* --- frames --- */

static void put_be32(uint8_t *p, uint32_t n) {
        p[0] = (uint8_t) (n >> 24);
        p[1] = (uint8_t) (n >> 16);
        p[2] = (uint8_t) (n >> 8);
        p[3] = (uint8_t) n;
}

static uint32_t get_be32(const uint8_t *p) {
        return (uint32_t) p[0] << 24 | (uint32_t) p[1] << 16 | (uint32_t) p[2] << 8 | p[3];
}

void frame_put(GByteArray *out, const void *payload, size_t n) {
        uint8_t head[FRAME_HEAD_LENGTH] = { 0x82, 0x1a, [6] = 0x5a };

        put_be32(head + 7, (uint32_t) n);
        put_be32(head + 2, crc32c(crc32c(0, head + 7, 4), payload, n));
        bytes_reserve(out, sizeof(head) + n);
        g_byte_array_append(out, head, sizeof(head));
        g_byte_array_append(out, payload, (guint) n);
}

int frame_next(Reader *in, Reader *ret_payload) {
        const uint8_t *head = in->pos;
        size_t n;

        if (in->left == 0)
                return 0;
        if (in->left < FRAME_HEAD_LENGTH || head[0] != 0x82 || head[1] != 0x1a || head[6] != 0x5a)
                return -EBADMSG;
        n = get_be32(head + 7);
        if (n > in->left - FRAME_HEAD_LENGTH ||
            crc32c(0, head + 7, n + 4) != get_be32(head + 2)) /* length and payload adjoin */
                return -EBADMSG;
        *ret_payload = (Reader){ .pos = head + FRAME_HEAD_LENGTH, .left = n };
        reader_skip(in, FRAME_HEAD_LENGTH + n);
        return 1;
}

void header_put(GByteArray *out, const char *name, uint64_t seq) {
        g_autoptr(GByteArray) payload = g_byte_array_new();

        cborio_put_text(payload, MAGIC, strlen(MAGIC));
        cborio_put_uint(payload, STORE_FORMAT_VERSION);
        cborio_put_text(payload, name, strlen(name));
        cborio_put_uint(payload, seq);
        frame_put(out, payload->data, payload->len);
}

static bool reader_is(const Reader *r, const char *text) {
        return r->left == strlen(text) && memcmp(r->pos, text, r->left) == 0;
}

int header_next(Reader *in, const char *name, uint64_t *ret_seq) {
        Reader rest = *in, payload, text;
        uint64_t version;

        if (frame_next(&rest, &payload) <= 0 || read_string(&payload, CBOR_KIND_TEXT, &text) < 0 ||
            !reader_is(&text, MAGIC) || cborio_take_uint(&payload, UINT64_MAX, &version) < 0)
                return -EBADMSG;
        if (version > STORE_FORMAT_VERSION)
                return -EPROTONOSUPPORT;
        if (version == 0 || read_string(&payload, CBOR_KIND_TEXT, &text) < 0 ||
            !reader_is(&text, name) || cborio_take_uint(&payload, UINT64_MAX, ret_seq) < 0 ||
            payload.left > 0)
                return -EBADMSG;
        *in = rest;
        return 0;
}

int entry_seq(Reader *payload, uint64_t *ret_seq) {
        return cborio_take_uint(payload, UINT64_MAX - 1, ret_seq);
}

void bytes_reserve(GByteArray *bytes, size_t n) {
        gsize length;
        guint8 *data = g_byte_array_steal(bytes, &length);

        g_byte_array_set_size(bytes, (guint) (length + n));
        g_byte_array_set_size(bytes, (guint) length);
        if (length > 0) {
                memcpy(bytes->data, data, length);
                explicit_bzero(data, length);
        }
        g_free(data);
}

void bytes_wipe(GByteArray *bytes) {
        if (bytes->len > 0)
                explicit_bzero(bytes->data, bytes->len);
        g_byte_array_set_size(bytes, 0);
}

typedef struct Private {
        size_t n;
        uint8_t data[];
} Private;

static void free_private(void *data) {
        Private *p = data;

        explicit_bzero(p->data, p->n);
        g_free(p);
}

GBytes *bytes_private(const void *data, size_t n) {
        Private *p = g_malloc(sizeof(*p) + n);

        p->n = n;
        if (n > 0)
                memcpy(p->data, data, n);
        return g_bytes_new_with_free_func(p->data, n, free_private, p);
}
