/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Change value conditions (TS Core 1.1.1, section 5.1.2: gt, lt, st; 1.2: edge), as pure logic:
 * what the server was told last and what is there now go in, whether it has to be told comes out.
 *
 * gt and lt: the value is on another side of the threshold than what was told last, in either
 * direction; gt belongs to the lower side, lt to the upper one. st: it is at least that far away
 * from it. edge (Booleans): it turns false (0) or true (1). Any one of them is enough. A value
 * without conditions is worth telling when it differs. */
#include <stdbool.h>

#include "codec/value.h"
#include "lwm2m/observe/attrs.h"

/* Whether a has one of gt, lt, st, edge. */
bool condition_is_set(const Attrs *a);
/* a has at least one. then and now as of condition_number(). For edge then is the value looked at
 * last, told or not. A number that becomes none (NaN), or one again, always counts. */
bool condition_met(const Attrs *a, double then, double now);
/* Numeric and Boolean (0, 1) values; false for others. Integers above 2^53 are rounded. */
bool condition_number(const Value *v, double *ret);
