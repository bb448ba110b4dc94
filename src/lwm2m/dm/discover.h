/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Discover (TS Core 1.1.1, section 6.3.2; depth: 1.2): what is there, as CoRE links, with the
 * attributes that the asking server wrote at each path and, for a resource named itself, those it
 * inherits.
 *
 * No right is needed for it (8.2, and 8.2.4 in so many words). With dm_set_discover() object
 * instances that the server may do nothing with are left out of an object's list, and a path in one
 * of them is answered 4.01; the registration names them all the same (6.2.1). */
#include "lwm2m/dm/dm_internal.h"

int discover_request(Request *rq);
