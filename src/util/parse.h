/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Numbers and sizes in text. Every function takes the whole text: no leading or trailing space, no
 * sign unless said, no locale. They return 0, -EINVAL for what is not of the form, -ERANGE for what
 * does not fit; the output is written on success only. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Decimal digits only, no sign, at most max. Here and below a leading zero is refused unless the
 * whole part is "0" itself. */
int parse_u64(const char *text, uint64_t max, uint64_t *ret);
int parse_u16(const char *text, uint16_t *ret);
int parse_u32(const char *text, uint32_t *ret);
/* Decimal with an optional '-' ('+' is refused). */
int parse_i64(const char *text, int64_t *ret);
/* Decimal notation of RFC 8259 (no hexadecimal, no infinity, no NaN); "+" refused. */
int parse_double(const char *text, double *ret);
/* "true"/"false", "1"/"0", "yes"/"no", "on"/"off". */
int parse_bool(const char *text, bool *ret);
/* Seconds with an optional unit us, ms, s, min, h, d ("90", "1.5s", "10min") to microseconds. */
int parse_duration(const char *text, uint64_t *ret_usec);
/* Bytes with an optional unit K, M, G (powers of 1024). */
int parse_size(const char *text, uint64_t *ret);
/* An even count of hexadecimal digits into memory freed with g_free(). */
int parse_hex(const char *text, uint8_t **ret, size_t *ret_n);
/* Base64 as util/base64.h has it, likewise. */
int parse_base64(const char *text, uint8_t **ret, size_t *ret_n);
