/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* sd-bus as bus/ uses it: loaded when a bus is first connected to. Its library brings seven others,
 * which together cost a start more than all the daemon does itself until it has registered; and
 * --bus=none does without them. The functions keep their names, each is a pointer of a table.
 * Before the library is there only those that release something may be called, with NULL. */
#include <systemd/sd-bus.h>

#include "bus/sdbus_functions.h"

#define SDBUS_MEMBER(name) __typeof__ (&(name))(name);
typedef struct SdBus {
        SDBUS_FUNCTIONS(SDBUS_MEMBER)
} SdBus;
extern SdBus sdbus;

#ifndef SDBUS_PLAIN
#include "bus/sdbus_names.h" /* sd_bus_new is (*sdbus.sd_bus_new) from here on, and so all others */
#if !HAVE_SDBUS_CLOSE_UNREF
/* util/sdbus_compat.h was read before the names. */
static inline sd_bus *sdbus_close_unref(sd_bus *bus) {
        if (bus)
                sd_bus_close(bus);
        return sd_bus_unref(bus);
}
#define sd_bus_close_unref sdbus_close_unref
#endif
#endif

/* 0, also when it is there already; -ELIBACC with a message logged. It is never unloaded. */
int sdbus_load(void);
