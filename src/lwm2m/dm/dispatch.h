/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* From a request's method, path and options to the operation it asks for (Transport 1.1.1,
 * section 6.4). */
#include "lwm2m/dm/dm_internal.h"

/* Answers rq now or later; a negative errno says that it did not, and why: see code_from_errno().
 */
int dispatch(Request *rq);
