/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Create and Delete (TS Core 1.1.1, sections 6.3.7 and 6.3.8). */
#include "lwm2m/dm/dm_internal.h"

/* POST to an object. The instance's id stands in the body (a TLV of an instance, names /O/I/R) or
 * is the lowest free one. Resources the definition does not know are left out, as section 6.3.7
 * asks for optional ones that are not supported; read-only ones are refused with 4.05, missing
 * mandatory writable ones with 4.00. */
int create_request(Request *rq);
/* DELETE of an instance; in LwM2M 1.2 also of a resource instance. */
int delete_request(Request *rq);
