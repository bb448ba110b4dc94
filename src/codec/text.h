/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The plain text format (TS Core 1.1.1, section 7.4.1, appendix C): one value of any type. */
#include "codec/sink.h"

int text_decode(Sink *s, const void *data, size_t n);
int text_encode(const Path *base, const Record *records, size_t n_records, GByteArray *out);
