/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Bootstrap-Discover (TS Core 1.1.1, section 6.1.7.3). */
#include "lwm2m/dm/dm.h"

/* The objects and their instances at target, the root or an object, as links: with the LwM2M
 * version, versions of objects where they are not the usual ones, and of accounts the Short Server
 * ID and, since 1.1, the address. Objects without instances are in the list of the root. */
char *bs_discover(const Tree *tree, const Path *target, Version lwm2m);
