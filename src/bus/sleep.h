/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* System suspend as logind tells of it (org.freedesktop.login1, PrepareForSleep): a delay inhibitor
 * holds the suspend back until our state is saved, and is taken again after the wake-up. On a bus
 * without logind there is nothing but a match for its coming. */
#include <stdbool.h>

#include "bus/sdbus.h"

typedef struct Sleep Sleep;

/* before(): the system is about to sleep, and does when it has returned. after(): it is awake, or
 * did not sleep after all, or nobody will tell any more. In turns, beginning with before(). */
typedef struct SleepHooks {
        void (*before)(void *userdata);
        void (*after)(void *userdata);
} SleepHooks;

Sleep *sleep_new(const SleepHooks *hooks /* copied */, void *userdata);
Sleep *sleep_free(Sleep *s); /* no hook runs */
/* The connection to listen on; NULL: there is none any more. */
int sleep_set_bus(Sleep *s, sd_bus *bus);
