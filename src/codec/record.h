/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What every format decodes to and encodes from: a list of (path, value, time). A record without a
 * value stands for a path alone (Read-Composite), an Object Instance without resources, a multiple
 * resource without instances, or null. */
#include <glib.h>
#include <stddef.h>
#include <stdint.h>

#include "codec/path.h"
#include "codec/value.h"

typedef struct Record {
        Path path;
        Value value;     /* owned */
        int64_t time_ns; /* UTC since 1970; RECORD_NO_TIME when none was given */
} Record;

#define RECORD_NO_TIME INT64_MIN

typedef struct RecordList {
        Record *v; /* owned; in the order they were added */
        size_t n, n_allocated;
} RecordList;

/* Takes value over (VALUE_NONE is left behind). */
void record_list_add(RecordList *l, const Path *path, Value *value, int64_t time_ns);
void record_list_add_path(RecordList *l, const Path *path);
void record_list_clear(RecordList *l);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(RecordList, record_list_clear)
void record_list_sort(RecordList *l); /* by path, then time; stable */
