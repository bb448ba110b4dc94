/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What SenML JSON and SenML CBOR share (RFC 8428, TS Core 1.1.1, section 7.4.4): how base fields
 * and records become paths, values and times, and, for the encoders, how records are cut into
 * fields. */
#include "codec/sink.h"

typedef enum SenmlField {
        SENML_BN, /* base name, time, unit, value, sum, version */
        SENML_BT,
        SENML_BU,
        SENML_BV,
        SENML_BS,
        SENML_BVER,
        SENML_N, /* name, unit, value, string, boolean, sum, time, update time, data, object link */
        SENML_U,
        SENML_V,
        SENML_VS,
        SENML_VB,
        SENML_S,
        SENML_T,
        SENML_UT,
        SENML_VD,
        SENML_VLO,
        SENML_UNKNOWN,
} SenmlField;

#define SENML_NAME_MAX 64 /* of each part of a name; a path is shorter */
#define SENML_VERSION 10  /* the newest bver this follows */

typedef struct SenmlName {
        char text[SENML_NAME_MAX];
        size_t n;
} SenmlName;

typedef struct SenmlPack { /* the base fields, valid until replaced */
        Sink *sink;
        SenmlName base_name;
        int64_t base_time_ns;
        Value base_value; /* Integer, Unsigned, Float or none */
} SenmlPack;

typedef struct SenmlRecord { /* one record while its fields come in, in any order */
        uint32_t seen;       /* bits 1 << SenmlField */
        SenmlName name;
        int64_t time_ns;
        Value value;        /* owned */
        const char *number; /* "v" of JSON as text, until the path and so the type are known */
        size_t n_number;
} SenmlRecord;

SenmlField senml_field(const char *label, size_t n); /* by its name in JSON */
/* Notes that the record has the field. -EBADMSG: twice, a second value, or a sum, for which LwM2M
 * has no meaning. */
int senml_seen(SenmlRecord *r, SenmlField field);
int senml_set_name(SenmlName *name, const void *text, size_t n); /* -EBADMSG if too long */
int senml_record_end(SenmlPack *pack,
                     SenmlRecord *r); /* resolves the record and adds it to the sink */
int senml_pack_end(SenmlPack *pack);

typedef struct SenmlWriter {
        const Path *base;
        bool single; /* one record in the pack: its whole path is its name */
        SenmlName base_name;
        int64_t base_time_s; /* 0 = none */
} SenmlWriter;

typedef struct SenmlEntry {         /* the fields a record needs beside its value */
        const SenmlName *base_name; /* NULL = as before; so are the others */
        SenmlName name;             /* empty = none */
        bool has_base_time, has_time;
        int64_t base_time_s, time_ns;
} SenmlEntry;

/* How many of records SenML carries: those with a value. */
size_t senml_count(const Record *records, size_t n_records);
/* Records without a time go first, where no base time has been set: one that ends with "bt":0 has a
 * time, which is now (RFC 8428, section 4.5.3). */
static inline bool senml_is_turn(const Record *r, bool timed) {
        return r->value.type != VALUE_NONE && (r->time_ns != RECORD_NO_TIME) == timed;
}
void senml_writer_init(SenmlWriter *w, const Path *base, size_t n_entries);
/* -ENOTSUP for a time before 2^28 s, which would mean something else. */
int senml_writer_next(SenmlWriter *w, const Record *r, SenmlEntry *ret);
