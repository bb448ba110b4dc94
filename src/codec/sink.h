/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Where the decoders put what they found: one Sink holds the request's base, the schema, the limits
 * and the records so far, and applies the rules that all formats share. */
#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "codec/format.h"

typedef struct Sink {
        const Path *base;           /* borrowed */
        const FormatSchema *schema; /* borrowed; may be NULL */
        size_t records_max;
        unsigned depth_max;
        int64_t now_ns; /* relative times count from here */
        bool paths;     /* the body of a FETCH: paths alone */
        RecordList list;
        GArray *keys;    /* of Path: what the open maps have seen so far */
        Path error_path; /* the record at work; n = 0 between records */
} Sink;

void sink_init(Sink *s, const Path *base, const FormatSchema *schema, const FormatLimits *limits);
void sink_clear(Sink *s);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Sink, sink_clear)

/* Work on p begins: errors from here on are its errors. Returns the schema's type of it. */
ValueType sink_at(Sink *s, const Path *p);
bool sink_is_multiple(const Sink *s, const Path *p); /* p is the path of a resource */
/* Adds a record; value is taken over in every case. -EINVAL outside the base, a value above the
 * level of resources, or of another type; -ERANGE; -E2BIG too many records. */
int sink_add(Sink *s, const Path *p, Value *value, int64_t time_ns);
int sink_add_empty(Sink *s, const Path *p);
/* SenML and LwM2M JSON: seconds since 1970, or relative to now below 2^28 (RFC 8428,
 * section 4.5.3), as nanoseconds; 0 stands for none. -ERANGE. */
int sink_time(const Sink *s, int64_t sum_ns, int64_t *ret);

/* Keys of one map or of one level of TLVs must differ: sink_keys_open(), sink_key() for each,
 * sink_keys_close(), which is -EBADMSG if two were equal. Levels nest. */
size_t sink_keys_open(Sink *s);
void sink_key(Sink *s, const Path *key);
int sink_keys_close(Sink *s, size_t mark);
/* Refuses two records of the same path and time, and one path inside another, with -EBADMSG. */
int sink_finish(Sink *s);
