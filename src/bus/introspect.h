/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Answers Introspect where sd-bus itself would leave out the names of arguments: it is older than
 * that of systemd 252, or basu (util/sdbus_compat.h). Unused elsewhere. Format: D-Bus
 * Specification, "Introspection Data Format"; annotations as sd_bus_add_object_vtable(3) has them,
 * but for "Privileged", which no method behind gate_open() is. */

#include <glib.h>

#include "bus/sdbus.h"

/* Appends interface as vtable has it, with the names that the macros of sdbus_compat.h keep; args
 * of a member without them have none. Hidden members are left out. */
void introspect_interface(GString *xml, const char *interface, const sd_bus_vtable *vtable);
/* A filter with a Bus: answers for the main object and for servers there are; the rest is left to
 * sd-bus. */
int introspect_filter(sd_bus_message *m, void *userdata, sd_bus_error *error);
