/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* CBOR (RFC 8949) item by item, for the formats built on it. libcbor's streaming decoder reads the
 * items; its cbor_load() would build a tree with one allocation an item before any limit could be
 * checked, keep duplicate keys, and look at no tag. */
#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "codec/reader.h"
#include "codec/value.h"

typedef enum CborKind {
        CBOR_KIND_UINT,   /* .n */
        CBOR_KIND_NEGINT, /* -1 - .n */
        CBOR_KIND_BYTES,  /* .data, .n, or chunks if indefinite */
        CBOR_KIND_TEXT,
        CBOR_KIND_ARRAY, /* .n items, or up to a break */
        CBOR_KIND_MAP,   /* .n pairs */
        CBOR_KIND_TAG,   /* .n, of the item that follows */
        CBOR_KIND_FLOAT, /* .d; half, single or double */
        CBOR_KIND_BOOL,  /* .n */
        CBOR_KIND_NULL,
        CBOR_KIND_UNDEFINED,
        CBOR_KIND_BREAK,
} CborKind;

typedef struct CborItem {
        CborKind kind;
        bool indefinite;
        uint64_t n;
        double d;
        const uint8_t *data; /* borrowed from the Reader's bytes */
} CborItem;

/* -EBADMSG for malformed or truncated bytes. */
int cborio_read(Reader *in, CborItem *ret);
/* Steps through an array or map that cborio_read() gave: 1 with the next item (for a map, the next
 * key), 0 at the end. The caller reads all of each item, and after a key its value. */
int cborio_next(Reader *in, CborItem *container, CborItem *ret);
/* Passes over the rest of item, whatever it is, at most depth levels deep (-E2BIG). */
int cborio_skip(Reader *in, const CborItem *item, unsigned depth);
/* The bytes of a byte or text string; chunks are joined in scratch. */
int cborio_string(Reader *in, const CborItem *item, GByteArray *scratch, const uint8_t **ret,
                  size_t *ret_n);
/* The value that item begins, as it stands: tags 0 and 1 give Time, 2 to 5 numbers, others are
 * passed over. Text becomes a link where type is Objlnk. null gives VALUE_NONE. -EINVAL for arrays,
 * maps and undefined, -ERANGE for numbers that do not fit. */
int cborio_value(Reader *in, const CborItem *item, ValueType type, unsigned depth, Value *ret);

/* What files of ours consist of: exactly such an item, of definite length. -EBADMSG for anything
 * else, and for a number above max. */
int cborio_take_uint(Reader *in, uint64_t max, uint64_t *ret);
int cborio_take_array(Reader *in, uint64_t *ret_n);

void cborio_put_uint(GByteArray *out, uint64_t n);
void cborio_put_int(GByteArray *out, int64_t i);
void cborio_put_float(GByteArray *out, double d); /* single when exact, else double */
void cborio_put_text(GByteArray *out, const void *data, size_t n);
void cborio_put_array(GByteArray *out, size_t n);
void cborio_put_map(GByteArray *out, size_t n);
/* Any value; a Time gets tag 1 when asked, VALUE_NONE is null. */
void cborio_put_value(GByteArray *out, const Value *v, bool tag_time);
