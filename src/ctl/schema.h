/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What the daemon's Model says about objects and resources, asked once an object; and the values of
 * the command line that need it: "PATH=VALUE" takes the type the definition gives. */
#include "ctl/ctl.h"
#include "ctl/datum.h"

/* The object's description: name, urn, resources [{id, name, type, operations, multiple, …}]. Owned
 * by c. */
CtlExit schema_object(Ctl *c, uint16_t object, const cJSON **ret);
/* The description of the resource of p (n >= 3). */
CtlExit schema_resource(Ctl *c, const CtlPath *p, const cJSON **ret);
/* Without asking twice and without a message: NULL when there is none. */
const cJSON *schema_peek(Ctl *c, const CtlPath *p);

/* CTL_USAGE with a message. min and max are levels: 1 object … 4 resource instance. */
CtlExit ctl_path(const char *text, unsigned min, unsigned max, CtlPath *ret);
/* Cuts "PATH=VALUE"; *ret_value points into text. */
CtlExit ctl_assignment(const char *text, unsigned min, CtlPath *ret, const char **ret_value);

/* A value of the command line, checked against the definition before a message exists. */
typedef struct Input {
        CtlPath path;
        Datum value;   /* unless items */
        GArray *items; /* of DatumItem: a whole multiple resource */
} Input;
void input_clear(Input *i);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Input, input_clear)
/* type DATUM_NONE: the definition's. */
CtlExit input_parse(Ctl *c, const CtlPath *path, DatumType type, const char *text, Input *ret);
int input_append(sd_bus_message *m, const Input *i); /* a variant */
