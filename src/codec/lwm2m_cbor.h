/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The LwM2M CBOR format (TS Core 1.2, section 7.4.7): maps from identifiers to maps or values,
 * always from the root; an array as key stands for several levels at once. A FETCH names paths by
 * maps that end in null or an empty map, or by an array of such arrays. */
#include "codec/sink.h"

int lwm2m_cbor_decode(Sink *s, const void *data, size_t n);
int lwm2m_cbor_encode(const Path *base, const Record *records, size_t n_records, GByteArray *out);
