/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* RangeEnumeration of OMA's object definitions. The field is free text; what is unmistakable is
 * read, the rest is prose and restricts nothing: numbers           "0..100", "0...100", "0-100", "1
 * to 5", "-30..-120" (either order), "0,1,2", "0; 3.8..20.5", "0: off" and "1 = on" in lines; one
 * number alone is prose (limit or only value?) String, Opaque,   lengths in bytes: "0..255",
 * "0..255 bytes", "64" (at most), "16,32,48" (one of these, or CoRE link         empty: servers
 * send empty keys they do not use) String            "ON;OFF": one of these texts Booleans and
 * object links have no ranges. */
#include <stdbool.h>
#include <stddef.h>

#include "model/schema.h"

#define RANGES_MAX 256 /* alternatives; a longer list is prose */

/* The number of alternatives written to *ret, an array to pass to ranges_free(); 0 and NULL for
 * prose. */
size_t ranges_parse(const char *text, ValueType type, Range **ret);
/* Whether v, which has that type, matches one of them. NaN is in no range. */
bool ranges_match(const Range *ranges, size_t n, const Value *v);
Range *ranges_free(Range *ranges, size_t n);
