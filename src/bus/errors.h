/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Errno to D-Bus error names and back (DBUS.md part 5). */
#include "bus/sdbus.h"

#define ERROR_PREFIX "org.lwm2md.Client1.Error."

/* Sets error to the name that stands for r (a negative errno), with a text that carries path and
 * reason; returns r's sign kept, as sd-bus handlers do. */
int bus_error(sd_bus_error *error, int r, const char *format, ...)
        __attribute__((format(printf, 3, 4)));
int bus_error_named(sd_bus_error *error, const char *name, const char *format, ...)
        __attribute__((format(printf, 3, 4)));
/* What an application's error reply to a Handler call means, as AppDone's error. */
int bus_error_from_handler(const sd_bus_error *error);
