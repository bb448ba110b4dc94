/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The list of objects and instances that Register and Update carry (TS Core 1.1.1, section 6.2.1,
 * in the form of RFC 6690). */
#include <glib.h>
#include <stdint.h>

#include "model/tree.h"

/* Payload for a server of that LwM2M version: the root with rt and ct, then each object that has
 * instances and its instances, and in the order of numbers those of offered (of uint16_t, sorted;
 * NULL for none) that are defined and have no instance yet. Objects 0 and 21 are nobody's business.
 * An object's version is told when it is not the one the server assumes, unquoted: some servers
 * refuse quotes. */
char *rd_links_format(const Tree *tree, const GArray *offered, Version lwm2m);
/* The version a server of that LwM2M version assumes for an object (TS Core, section 7.2.2 and
 * appendices of 1.0, 1.1 and 1.2): that of the release for core objects, 1.0 for others. */
Version rd_links_default_version(uint16_t object, Version lwm2m);
