/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The LwM2M JSON format of version 1.0 (TS 1.0.2, section 6.4.4), older than SenML and unlike it:
 * one object with a base name, a base time and the entries "e". */
#include "codec/sink.h"

int lwm2m_json_decode(Sink *s, const void *data, size_t n);
int lwm2m_json_encode(const Path *base, const Record *records, size_t n_records, GByteArray *out);
