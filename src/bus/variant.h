/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* LwM2M values as D-Bus variants (DBUS.md part 3), lists of them, and options dictionaries. Lenient
 * in (any integer type, integer for Float), strict out. */
#include <stdbool.h>

#include "bus/sdbus.h"
#include "lwm2m/ops.h"
#include "model/tree.h"

/* Bytes of text and opaque values in one message: the system bus closes a connection that sends
 * more than 32 MiB at once. */
#define BUS_VALUE_BYTES_MAX (16 << 20)
/* What a value counts there. */
static inline size_t variant_size(const Value *v) {
        return v->type == VALUE_STRING || v->type == VALUE_CORELNK || v->type == VALUE_OPAQUE
                       ? v->length
                       : 0;
}

/* A variant as values below path: one record for a single value, one a resource instance for a{qv}.
 * For the latter *ret_multiple is true (also with no element). -EINVAL for a type that means
 * nothing, -E2BIG. */
int variant_read(sd_bus_message *m, const Path *path, RecordList *ret, bool *ret_multiple);
/* The variant of one value; VALUE_NONE cannot be written. Here and below -E2BIG for more than
 * BUS_VALUE_BYTES_MAX. */
int variant_append(sd_bus_message *m, const Value *v);
/* What the tree has at a resource, a{qv} when it is a multiple one; -ENOENT. */
int variant_append_tree(sd_bus_message *m, const Tree *tree, const Path *path);
/* The same from a list of records all at or below path. */
int variant_append_records(sd_bus_message *m, const Path *path, bool multiple,
                           const RecordList *records);
/* Adds what Set of that variant at path means: OP_SET, or OP_REPLACE and OP_SETs. */
int variant_read_set(sd_bus_message *m, const Path *path, OpList *ops);

typedef enum OptionType {
        OPTION_BOOL = 'b',
        OPTION_U32 = 'u',
        OPTION_U16 = 'q',
        OPTION_TEXT = 's',
        OPTION_U64 = 't',
        OPTION_I64 = 'x',
        OPTION_FD = 'h',
        OPTION_BYTES = 'y', /* text, or an array of bytes */
        OPTION_TEXTS = 'a', /* an array of texts */
} OptionType;

typedef struct Option {
        const char *name; /* NULL ends the table */
        OptionType type;
        void *ret; /* bool, uint32_t, uint16_t, uint64_t, int64_t, const char * or int (descriptor),
                      both borrowed from the message; GBytes * and char **, the caller's */
} Option;

/* Reads a trailing a{sv}. Keys that are not in options (may be NULL) are an InvalidOption error,
 * unless they start with "x-"; wrong types, too. */
int options_read(sd_bus_message *m, const Option *options, sd_bus_error *error);
/* Reads a path argument; an InvalidPath error names what was wrong. */
int path_argument(sd_bus_message *m, Path *ret, uint8_t n_min, uint8_t n_max, sd_bus_error *error);
