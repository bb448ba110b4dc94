/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The baseline on the bus: a service with Data.Set and Data.SetMany of lwm2md that reads every
 * argument, as any service must, and replies what the daemon replies. It keeps nothing. */
#include <systemd/sd-bus.h>

/* One value of a Set or SetMany, when the caller wants to do something with it. */
typedef void (*BareSet)(void *userdata, const char *path, double value);

/* Owns org.lwm2md.Bare1 on the bus at address. 0 or a negative errno. */
int bare_bus_open(const char *address, BareSet on_set, void *userdata, sd_bus **ret);
