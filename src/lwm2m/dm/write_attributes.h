/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Write-Attributes (TS Core 1.1.1, section 6.3.4), and the attributes that an Observe request of
 * LwM2M 1.2 carries. What is wrong is answered 4.00 and changes nothing: names the server's version
 * does not know, values that are none, names that do not belong to the target, and conditions that
 * contradict each other, also together with those written one level up or down. A pmin above an
 * inherited pmax is no error: that pmax is ignored (section 5.1.2). */
#include "lwm2m/dm/dm_internal.h"
#include "lwm2m/dm/read.h"

int write_attributes_request(Request *rq);
/* *ret is NULL when the request carries none; g_free(). */
int write_attributes_of_observe(Request *rq, const ReadTarget *target, Attrs **ret);
