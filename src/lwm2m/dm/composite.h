/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Read-Composite and Observe-Composite by FETCH, Write-Composite by iPATCH, all on the empty path
 * (TS Core 1.1.1, sections 6.3.9, 6.3.10 and 6.4.4). Paths that are missing or unreadable are left
 * out of an answer; a write is done as a whole or not at all. Naming object 0 or 21 is refused
 * whatever else is asked. */
#include "lwm2m/dm/dm_internal.h"

int composite_read_request(Request *rq);
int composite_write_request(Request *rq);
