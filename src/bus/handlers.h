/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Calls to applications' Handler objects: implements AppOps over the claims. The bus allows one
 * connection 128 pending replies by default; at most 64 calls are in flight, the rest waits in a
 * bounded queue. An application that does not answer does not keep the others from being asked:
 * each has a few places in a reserve beyond the 64, and no one may fill the queue. */

#include "bus/claims.h"
#include "bus/sdbus.h"
#include "lwm2m/app.h"
#include "util/loop.h"

#define HANDLER_INTERFACE "org.lwm2md.Client1.Handler"
#define CALLS_IN_FLIGHT_MAX 64
#define CALLS_RESERVE 48 /* more, for applications with fewer than … */
#define CALLS_OF_APP_MIN 4

typedef struct Handlers Handlers;

Handlers *handlers_new(Loop *loop, const Claims *claims, uint32_t queue_max);
Handlers *handlers_free(Handlers *h);
void handlers_set_bus(Handlers *h,
                      sd_bus *bus); /* NULL: gone; everything waiting fails with -EHOSTUNREACH */
/* Tells the application that its claim is gone; nothing is waited for. */
void handlers_released(Handlers *h, const Claim *claim, const char *reason);
/* The functions of AppOps; their userdata is the Handlers. */
extern const AppOps handlers_app_ops;
