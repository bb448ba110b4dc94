/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What object 3 does beside holding values (TS Core 1.1.1, appendix E.4): the clock, the list of
 * errors, and what this client supports. Reboot and factory reset belong to applications. */
#include "lwm2m/dm/dm.h"

#define DEVICE_OFFSET_MAX_SEC                                                                      \
        (INT64_C(200) * 366 * 86400) /* how far a server may set the clock off */

typedef struct Device {
        Tree *tree;
        const char *binding; /* 3/0/16 */
        int64_t (*wall_clock_ns)(void);
        int64_t offset_sec; /* of the device's time, when a server has set it, from the system's */
} Device;

/* Makes /3/0 when there is none, and its list of errors (none) when it has none; what else is
 * missing is computed when asked. After the owner's values are in the tree. */
int device_seed(Device *d);
/* The behaviour's userdata is the Device. */
extern const Behaviour device_behaviour;
