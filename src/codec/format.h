/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Content formats of LwM2M: which there are, which may be used where, and one pair of functions
 * that turns bytes into records and back. Each format lives in its own module below this one. */
#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "codec/record.h"

typedef enum Format { /* CoAP Content-Format numbers */
                      FORMAT_TEXT = 0,
                      FORMAT_LINK = 40,
                      FORMAT_OPAQUE = 42,
                      FORMAT_CBOR = 60,
                      FORMAT_SENML_JSON = 110,
                      FORMAT_SENML_CBOR = 112,
                      FORMAT_SENML_ETCH_JSON = 320, /* iPATCH/FETCH bodies; decoded as SenML */
                      FORMAT_SENML_ETCH_CBOR = 322,
                      FORMAT_TLV = 11542,
                      FORMAT_LWM2M_JSON = 11543,
                      FORMAT_LWM2M_CBOR = 11544,
                      FORMAT_NONE = -1, /* no Content-Format or Accept option */
} Format;

/* What a decoder must know of the data model. type() returns VALUE_NONE for a path it does not
 * know; such a record carries the type its bytes show (TLV: Opaque) so that the caller can say
 * which path was wrong. multiple() is asked for paths of resources. */
typedef struct FormatSchema {
        ValueType (*type)(void *userdata, const Path *path);
        bool (*multiple)(void *userdata, const Path *path);
        void *userdata;
} FormatSchema;

typedef struct FormatLimits { /* 0 = the default */
        size_t records;       /* 100000 */
        size_t bytes;         /* of the body and of what it decodes to; VALUE_LENGTH_MAX */
        unsigned depth;       /* of nested arrays and maps; 16 */
        int64_t now_ns;       /* UTC since 1970, for relative times; the clock's */
} FormatLimits;

/* Registered numbers of TLV and LwM2M JSON that older peers use (1542, 1543, 1541 for text, 1544)
 * map to the ones above. -ENOTSUP for a number that is no format of LwM2M. */
int format_from_number(unsigned number, Format *ret);
const char *format_name(Format f); /* "SenML CBOR", … */
int format_from_name(const char *text,
                     Format *ret); /* "senml-cbor", "tlv", "text", … or the number */
/* Whether the format can carry base: text, opaque and CBOR only a single value; TLV, LwM2M JSON and
 * the rest any level; composite = a request over several paths (SenML and LwM2M CBOR only). */
bool format_fits(Format f, const Path *base, bool multiple, ValueType type, bool composite);

/* Whether its records can have times: SenML alone. LwM2M CBOR has no place for them (TS Core 1.2.2,
 * section 7.4.7), nor have the others. */
bool format_has_time(Format f);

/* Decodes a body that a request addressed to base brought. Records come in the order of the body,
 * with absolute paths, all of them covered by base. Values have the schema's type when the schema
 * knows the path (exact conversion). -EBADMSG malformed, -EINVAL a path outside base or a value of
 * the wrong type, -ERANGE out of the type's range, -E2BIG a limit passed, -ENOTSUP not a format for
 * this base. *ret is written on success only. error_path, if not NULL, tells the path at fault (n =
 * 0 if none). */
int format_decode(Format f, const Path *base, const void *data, size_t n,
                  const FormatSchema *schema, const FormatLimits *limits, RecordList *ret,
                  Path *error_path);
/* The paths of a FETCH body (Read-Composite, Observe-Composite), repeated ones too: records without
 * values. */
int format_decode_paths(Format f, const void *data, size_t n, const FormatLimits *limits,
                        RecordList *ret);

/* Whether a Create's body says which instance it creates. TLV may hold bare resources instead; they
 * decode with the path of the new instance as base. */
bool format_names_instance(Format f, const void *data, size_t n);

/* Appends the body for records (in path order, all covered by base; several with the same path and
 * different times are a time series, of which formats without time take the last). multiple()
 * decides for a resource how TLV and LwM2M CBOR nest it. -ENOTSUP when the format cannot carry base
 * or a value. */
int format_encode(Format f, const Path *base, const Record *records, size_t n_records,
                  const FormatSchema *schema, GByteArray *out);
