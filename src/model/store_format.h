/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The bytes of the store. A file is a CBOR sequence (RFC 8742) of frames, each an array of a
 * CRC-32C and a byte string; all heads have their full length, so a frame begins with the same
 * eleven bytes: 82 1a <crc> 5a <length> <payload>      the checksum covers length and payload The
 * payload of the first frame is the header: text "lwm2md", format version, name, sequence number; a
 * later format keeps at least this. Then come operations, each an array: in a file of the state one
 * frame of them, in the journal one frame a transaction, after its sequence number. */
#include <glib.h>
#include <stdint.h>

#include "codec/path.h"
#include "codec/reader.h"
#include "codec/value.h"
#include "model/schema.h"

#define STORE_FORMAT_VERSION 1
#define FRAME_HEAD_LENGTH 11

typedef enum OpKind {
        OP_ENSURE, /* object instance path, version: is there, of that version */
        OP_SET,    /* path, value */
        OP_CLEAR,  /* path of a multiple resource: is there, empty */
        OP_DELETE, /* path */
        OP_BLOB,   /* name, data */
        OP_UNBLOB, /* name */
        OP_RESET,  /* flag: keep accounts. Everything before is forgotten */
        _OP_KIND_MAX,
} OpKind;

typedef struct StoreOp {
        OpKind kind;
        Path path;
        Version version;
        Value value; /* text and bytes are borrowed from the reader's, without a NUL behind them */
        Reader name; /* of a blob */
        bool keep_accounts;
        Reader raw; /* the whole operation */
} StoreOp;

void op_put(GByteArray *out, OpKind kind, const Path *p); /* OP_CLEAR, OP_DELETE */
void op_put_ensure(GByteArray *out, const Path *p, Version version);
void op_put_set(GByteArray *out, const Path *p, const Value *v);
void op_put_blob(GByteArray *out, const char *name, const void *data,
                 size_t n); /* NULL: OP_UNBLOB */
void op_put_reset(GByteArray *out, bool keep_accounts);
/* 1 with the next operation, 0 at the end, -EBADMSG. */
int op_next(Reader *in, StoreOp *ret);
int ops_check(Reader in); /* whether all of them can be read */

/* Appends a frame around n bytes of payload, without another copy of them. */
void frame_put(GByteArray *out, const void *payload, size_t n);
/* Takes one frame off: 1 with its payload, 0 at the end, -EBADMSG (nothing taken) for anything
 * else. */
int frame_next(Reader *in, Reader *ret_payload);
void header_put(GByteArray *out, const char *name, uint64_t seq);
/* Takes the header frame off. -EBADMSG, -EPROTONOSUPPORT a later format version. */
int header_next(Reader *in, const char *name, uint64_t *ret_seq);
/* Takes the sequence number off a journal entry's payload. */
int entry_seq(Reader *payload, uint64_t *ret_seq);

/* Room for n more bytes, so that secrets are not left behind in memory the array grew out of. */
void bytes_reserve(GByteArray *bytes, size_t n);
void bytes_wipe(GByteArray *bytes); /* empties it */
/* A copy that is wiped with its last owner: a blob may hold keys, such as those of a session. */
GBytes *bytes_private(const void *data, size_t n);
