/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Object definitions: what an object may contain. They come from OMA's LWM2M.xsd form (registry
 * files, data/objects, Model.Define); several versions of an object can be known at once. A
 * definition is immutable once added and lives until it is removed. */
#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "codec/format.h"

enum { OPERATION_READ = 1, OPERATION_WRITE = 2, OPERATION_EXECUTE = 4 };

typedef struct Version {
        uint8_t major, minor;
} Version;

/* One alternative of RangeEnumeration; lengths for String and Opaque. */
typedef struct Range {
        double min, max;     /* Float */
        int64_t imin, imax;  /* Integer, Time and lengths */
        uint64_t umin, umax; /* Unsigned Integer */
        char *text;          /* one allowed text of an enumeration of strings, else NULL */
} Range;

typedef struct ResourceDef {
        uint16_t id;
        uint8_t type; /* ValueType; VALUE_NONE for an executable one */
        uint8_t operations;
        bool multiple, mandatory;
        uint16_t n_ranges;
        Range *ranges; /* a value must match one of them; none: anything of the type */
        char *name, *units, *range_text, *description;
} ResourceDef;

typedef struct ObjectDef {
        uint16_t id;
        Version version, lwm2m_version; /* 1.0 when the file does not say */
        bool multiple, mandatory;
        char *name, *urn, *description;
        uint16_t n_resources;
        ResourceDef *resources; /* by id */
} ObjectDef;

typedef struct Schema Schema;

Schema *schema_new(void);
Schema *schema_free(Schema *s);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Schema, schema_free)

/* Adds every object of an XML text. source names it in messages. *ret_error, owned by the caller,
 * says "source:line: reason" on failure (-EBADMSG bad XML or definition, -E2BIG, -EEXIST the same
 * object and version with another content is in use). All or nothing. ret_added, if any, receives a
 * GArray of const ObjectDef *. */
int schema_add_xml(Schema *s, const char *source, const char *xml, size_t n, GArray **ret_added,
                   char **ret_error);
int schema_add_file(Schema *s, const char *file, GArray **ret_added, char **ret_error);
/* Every *.xml of a folder, in name order. A file that defines one object is read when that object
 * is first asked for, by schema_foreach() at the latest; it must stay where it is until then. One
 * named ID.xml or ID-MAJOR_MINOR.xml is not even opened before; should it define another object,
 * that is found all the same, but a second one only when the first is read. A bad file is passed to
 * on_error, then or now, and the rest loads. A later definition of the same object and version
 * replaces the earlier. Returns the number of objects found. */
int schema_add_directory(Schema *s, const char *directory,
                         void (*on_error)(void *userdata, const char *text), void *userdata);
int schema_remove(Schema *s, uint16_t id,
                  Version version); /* -ENOENT; the caller checks for instances */

/* The definition of that version; with version 0.0 the preferred one: schema_prefer(), else the
 * highest that the release of LwM2M knows, else the highest. NULL if not known. */
const ObjectDef *schema_object(const Schema *s, uint16_t id, Version version);
/* LwM2M 1.0, 1.1 and 1.2 ask for different versions of the core objects: new instances take the
 * definition whose LWM2MVersion is not above this one. 0.0, as at first, is any. */
void schema_set_release(Schema *s, Version lwm2m);
/* Makes version the one used for new instances of the object. -ENOENT. */
int schema_prefer(Schema *s, uint16_t id, Version version);
void schema_foreach(const Schema *s, void (*func)(void *userdata, const ObjectDef *def),
                    void *userdata);
const ResourceDef *object_resource(const ObjectDef *def, uint16_t resource);
/* Type, range, enumeration, UTF-8: 0, -EINVAL wrong type, -ERANGE. */
int resource_check(const ResourceDef *def, const Value *v);
