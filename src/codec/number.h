/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Numbers as they stand in JSON and CBOR, kept exact: 64 bits of integer survive in both. */
#include <stddef.h>
#include <stdint.h>

#include "codec/value.h"

#define NUMBER_TEXT_MAX 128 /* longer ones are refused with -ERANGE */

/* A number of RFC 8259 of n characters, not ended by a NUL. For type Float it is read as a double;
 * for Integer, Unsigned and Time it must be whole ("1e3" and "1.0" are) and fit 64 bits, -ERANGE
 * otherwise; with VALUE_NONE it is whichever holds it. -EBADMSG for what is no number. */
int number_parse(const char *text, size_t n, ValueType type, Value *ret);
int number_check(const char *text, size_t n); /* the form alone */
/* Seconds as nanoseconds, rounded. -ERANGE. */
int number_parse_ns(const char *text, size_t n, int64_t *ret);
int number_to_ns(const Value *seconds, int64_t *ret);
/* *v += addend, exact for whole numbers. -ERANGE, -EINVAL for what is no number. */
int number_add(Value *v, const Value *addend);
/* Appends the shortest text of nanoseconds as seconds, like 1700000000.25; buffer has room for 32.
 */
size_t number_format_ns(int64_t ns, char *buffer);
