/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Discover (TS Core 1.1.1, section 6.3.2; depth: 1.2): what is there, as CoRE links, with the
 * attributes that the asking server wrote at each path and, for a resource named itself, those it
 * inherits. */
#include "lwm2m/dm/dm_internal.h"

int discover_request(Request *rq);
