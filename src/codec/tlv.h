/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The TLV format (TS Core 1.1.1, section 7.4.3), at every level below the root. A body for an
 * Object holds Object Instances; for an Object Instance its resources or that one instance around
 * them; for a resource that resource, or the instances of a multiple one; for a Resource Instance
 * itself. */
#include "codec/sink.h"

int tlv_decode(Sink *s, const void *data, size_t n);
int tlv_encode(const Path *base, const Record *records, size_t n_records, GByteArray *out);
