/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Reads OMA's LWM2M.xsd form into definitions. Elements it does not know are passed over; what it
 * knows must be right. There are no entities beside XML's five, and nothing outside the text is
 * read. */
#include <glib.h>
#include <stddef.h>

#include "model/schema.h"

#define SCHEMA_XML_BYTES_MAX (1U << 20)
#define SCHEMA_XML_OBJECTS_MAX 256 /* in one text */
#define SCHEMA_RESOURCES_MAX 2000  /* of one object */

/* Appends an ObjectDef, owned once, to ret for every object of the text, in its order. -EBADMSG,
 * -E2BIG; ret is then as before and *ret_line and *ret_reason, owned by the caller, say why. */
int schema_xml_parse(const char *xml, size_t n, GPtrArray *ret, unsigned *ret_line,
                     char **ret_reason);
/* What a text defines, from its head: true if that is said before its resources, which are not
 * looked at. With whole the rest is, too, as far as it takes to know that this is the only object,
 * and that the text was not cut; without it the text may be. */
bool schema_xml_look(const char *xml, size_t n, bool whole, uint16_t *ret_id, Version *ret_version,
                     Version *ret_lwm2m_version);
