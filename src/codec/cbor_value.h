/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The CBOR format (TS Core 1.1.1, section 7.4.5 and appendix C): one value of any type. */
#include "codec/sink.h"

int cbor_value_decode(Sink *s, const void *data, size_t n);
int cbor_value_encode(const Path *base, const Record *records, size_t n_records, GByteArray *out);
