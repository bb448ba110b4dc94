/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Paths and values as people type them, and their way into a D-Bus message. What may be written is
 * told by the object's definition (schema.h); this module knows text alone.
 *
 * Integer, Unsigned Integer: decimal. Float: decimal with optional exponent. Boolean: true false 1
 * 0 yes no on off. Time: seconds since 1970 UTC, 2026-01-02T03:04:05Z, or "now". Objlnk: O:I.
 * Opaque: hex:…, base64:…, text:…, or bare hexadecimal digits. A multiple resource as a whole:
 * {0=first,1=second}, where a value with , } or " stands in double quotes (\" and \\ inside). */
#include <glib.h>
#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-bus.h>

typedef struct CtlPath {
        uint16_t id[4];
        unsigned n; /* 0: the root */
} CtlPath;

/* "/3303/0/5700"; the leading slash may be missing, as in other shells. -EINVAL, -ERANGE. */
int ctl_path_parse(const char *text, CtlPath *ret);
char *ctl_path_text(const CtlPath *p); /* g_free() */

typedef enum DatumType {
        DATUM_NONE,
        DATUM_STRING,
        DATUM_INTEGER,
        DATUM_UNSIGNED,
        DATUM_FLOAT,
        DATUM_BOOLEAN,
        DATUM_OPAQUE,
        DATUM_TIME,
        DATUM_OBJLNK,
        DATUM_CORELNK,
        _DATUM_TYPE_MAX,
} DatumType;

/* OMA's names ("Unsigned Integer"); DATUM_NONE for another one. */
DatumType datum_type_parse(const char *name);
const char *datum_type_name(DatumType type);

#define DATUM_OPAQUE_MAX (64U << 10) /* bytes inside one D-Bus value; more goes by `put` */
#define DATUM_ITEMS_MAX 4096         /* instances of a multiple resource in one text */

typedef struct Datum {
        DatumType type;
        union {
                char *text; /* String, CoRE link */
                int64_t i;  /* Integer; Time in seconds */
                uint64_t u;
                double d;
                bool b;
                GBytes *bytes;
                struct {
                        uint16_t object, instance;
                } link;
        };
} Datum;

typedef struct DatumItem {
        uint16_t id;
        Datum value;
} DatumItem;

/* -EINVAL, -ERANGE or -E2BIG, with *ret_error (g_free()) saying what was expected. */
int datum_parse(DatumType type, const char *text, Datum *ret, char **ret_error);
void datum_clear(Datum *d);
/* The whole multiple resource: an array of DatumItem, ids ascending in the order given, none twice.
 */
int datum_parse_multiple(DatumType type, const char *text, GArray **ret, char **ret_error);

/* Appends a variant. */
int datum_append(sd_bus_message *m, const Datum *d);
int datum_append_multiple(sd_bus_message *m, const GArray *items);
