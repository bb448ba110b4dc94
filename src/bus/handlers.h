/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Calls to applications' Handler objects: implements AppOps over the claims. The bus allows one
 * connection 128 pending replies by default; at most 64 calls are in flight, the rest waits in a
 * bounded queue. */
#include <systemd/sd-bus.h>

#include "bus/claims.h"
#include "lwm2m/app.h"
#include "util/loop.h"

#define HANDLER_INTERFACE "org.lwm2md.Client1.Handler"
#define CALLS_IN_FLIGHT_MAX 64

typedef struct Handlers Handlers;

Handlers *handlers_new(Loop *loop, const Claims *claims, uint32_t queue_max);
Handlers *handlers_free(Handlers *h);
void handlers_set_bus(Handlers *h,
                      sd_bus *bus); /* NULL: gone; everything waiting fails with -EHOSTUNREACH */
/* Tells the application that its claim is gone; nothing is waited for. */
void handlers_released(Handlers *h, const Claim *claim, const char *reason);
/* The functions of AppOps; their userdata is the Handlers. */
extern const AppOps handlers_app_ops;
