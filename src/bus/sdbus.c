/* SPDX-License-Identifier: Apache-2.0 */
#define SDBUS_PLAIN
#include "bus/sdbus.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdbool.h>

#include "util/log.h"

/* vtables point to it to say that they have names of arguments (SD_BUS_VTABLE_START); that is
 * looked at, the number is not. */
const unsigned sd_bus_object_vtable_format = 242;

static sd_bus *no_bus(sd_bus *bus) {
        return NULL;
}

static sd_bus_slot *no_slot(sd_bus_slot *slot) {
        return NULL;
}

static sd_bus_message *no_message(sd_bus_message *message) {
        return NULL;
}

static sd_bus_track *no_track(sd_bus_track *track) {
        return NULL;
}

static sd_bus_creds *no_creds(sd_bus_creds *creds) {
        return NULL;
}

static void no_error(sd_bus_error *error) {
}

SdBus sdbus = {
        .sd_bus_unref = no_bus,
#if HAVE_SDBUS_CLOSE_UNREF
        .sd_bus_close_unref = no_bus,
#endif
        .sd_bus_slot_unref = no_slot,
        .sd_bus_message_unref = no_message,
        .sd_bus_track_unref = no_track,
        .sd_bus_creds_unref = no_creds,
        .sd_bus_error_free = no_error,
};

static bool load_function(void *library, const char *name, void *ret) {
        void *function = dlsym(library, name);

        if (!function)
                return false;
        *(void **) ret = function; /* POSIX has it so: dlsym(3) */
        return true;
}

#undef SDBUS_MEMBER
#define SDBUS_MEMBER(name) load_function(library, SDBUS_TEXT(name), &loaded.name) &&
#define SDBUS_TEXT(name) #name

int sdbus_load(void) {
        static bool done;
        SdBus loaded = sdbus;
        void *library;

        if (done)
                return 0;
        library = dlopen(SDBUS_LIBRARY, RTLD_NOW | RTLD_LOCAL);
        if (!library)
                return log_error_errno(-ELIBACC, "Cannot load the D-Bus library: %s", dlerror());
        done = SDBUS_FUNCTIONS(SDBUS_MEMBER) true;
        if (!done) {
                log_error("%s is too old: %s", SDBUS_LIBRARY, dlerror());
                dlclose(library);
                return -ELIBACC;
        }
        sdbus = loaded;
        return 0;
}
