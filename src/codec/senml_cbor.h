/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The SenML CBOR format (RFC 8428, section 6; TS Core 1.1.1, section 7.4.4). */
#include "codec/sink.h"

int senml_cbor_decode(Sink *s, const void *data, size_t n);
int senml_cbor_encode(const Path *base, const Record *records, size_t n_records, GByteArray *out);
