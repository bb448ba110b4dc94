/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The opaque format (TS Core 1.1.1, section 7.4.2): the bytes of one Opaque value. */
#include "codec/sink.h"

int opaque_decode(Sink *s, const void *data, size_t n);
int opaque_encode(const Path *base, const Record *records, size_t n_records, GByteArray *out);
