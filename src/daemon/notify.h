/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The service manager's notification socket (sd_notify(3)), spoken here so that builds without
 * libsystemd have it too, and its watchdog. */
#include <stdint.h>

/* state is "READY=1", "STOPPING=1", "STATUS=…", several lines apart. 1 sent, 0 nobody listens, or
 * -errno. */
int notify_state(const char *state);
/* How often WATCHDOG=1 must be sent at least; 0 when no watchdog waits for this process. */
uint64_t notify_watchdog_usec(void);
