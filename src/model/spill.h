/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A queue of records in one file of the state directory, for what does not fit into memory: records
 * are appended, and taken from the front when they are done with. Each has a checksum; what a crash
 * has left half written at the end is cut off, and a file that is damaged elsewhere is set aside
 * and what stands before the damage goes on. How far the front has moved is noted in place and not
 * synced: after a power cut records may come again. */
#include <glib.h>
#include <stdint.h>

typedef struct Spill Spill;

typedef struct SpillConfig {
        const char *directory, *name; /* copied */
        uint64_t bytes_max;           /* of records that wait; the file takes at most twice that */
        void (*message)(void *userdata, int level, const char *text); /* may be NULL */
        void *userdata;
} SpillConfig;

/* Takes over what a former process has left. There is no file before the first append. -EACCES,
 * -EIO …. */
int spill_open(const SpillConfig *config, Spill **ret);
Spill *spill_close(Spill *s); /* the records stay */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Spill, spill_close)

/* At the end, all or none; the caller makes room. -ENOSPC more than bytes_max, or the disk is full.
 */
int spill_append(Spill *s, GBytes *const *records, size_t n);
int spill_sync(Spill *s);
/* The oldest; -ENOENT when there is none, -EIO. */
int spill_peek(Spill *s, GBytes **ret);
void spill_pop(Spill *s); /* the oldest is done with */
/* Each, oldest first. */
int spill_foreach(Spill *s, void (*func)(void *userdata, GBytes *record), void *userdata);
void spill_clear(Spill *s); /* removes the file */

uint64_t spill_count(const Spill *s);
uint64_t spill_bytes(const Spill *s);  /* of the records that wait, with their heads */
uint64_t spill_room(const Spill *s);   /* up to bytes_max */
uint64_t spill_needs(size_t n_record); /* bytes that a record takes */
