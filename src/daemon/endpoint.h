/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The Endpoint Client Name a device has when nobody chose one (TS Core 1.1.1, section 6.2.1: a
 * URN). */

/* "urn:dev:mac:<EUI-64>" of the first network interface, by name, with a permanent Ethernet
 * address, else "urn:uuid:<machine-id>". To be freed; -ENODEV when the box has neither.
 * sys_class_net and machine_id are for tests; NULL = the system's. */
int endpoint_default(const char *sys_class_net, const char *machine_id, char **ret);
