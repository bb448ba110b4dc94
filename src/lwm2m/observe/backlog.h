/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Notifications that could not be sent (TS Core 1.1.1, appendix E.2, resource 6: Notification
 * Storing When Disabled or Offline). While a server is not reachable its observations are looked at
 * as always, and what would have been sent is kept here instead, with its time where the format has
 * a place for it. When the server is back they go out in order, one confirmable message at a time,
 * and each is dropped when it was acknowledged; what happens meanwhile waits for the end of that.
 *
 * The newest are in memory; when they are too many they move to a file, and when that is full the
 * oldest go. hqmax (1.2) bounds how many are kept of one observation. A registration that is lost
 * takes its observations with it, and those what was kept for them: it could not be told any more.
 */
#include <stdbool.h>
#include <stdint.h>

#include "lwm2m/dm/dm.h"

typedef struct Observation Observation;
typedef struct ReadResult ReadResult;
typedef struct Backlog Backlog;

typedef struct BacklogConfig {
        const char *directory;         /* for the file; NULL: nothing leaves the memory; copied */
        uint64_t memory_max, file_max; /* bytes */
        int64_t (*wall_clock_ns)(void);
} BacklogConfig;

/* Belongs to the peer, which frees it. */
Backlog *backlog_new(Peer *p, const BacklogConfig *config);
Backlog *backlog_free(Backlog *b); /* what is in memory is lost; NULL is fine */

/* 1/x/6. What is kept already stays. */
void backlog_set_storing(Backlog *b, bool storing);
/* After the observations of a former process were restored: takes over what it kept. */
void backlog_restore(Backlog *b);
/* Everything into the file: the process ends. */
void backlog_flush(Backlog *b);
/* The file stays as it is, whatever becomes of observations from now on. NULL is fine. */
void backlog_leave_file(Backlog *b);
/* The server has just answered a Register or an Update. */
void backlog_note_registered(Backlog *b);

/* --- for notify.c and observe.c --- b may be NULL */
/* The server is not reachable, and what is due of o is kept for it. */
bool backlog_takes(Observation *o);
/* Something is kept and goes before anything new, or an Update is to tell whether the server is
 * there. */
bool backlog_is_first(const Backlog *b);
/* Keeps what o would say. An error as of read_encode(). */
int backlog_store(Backlog *b, Observation *o, const ReadResult *result, uint64_t now_usec);
/* The confirmable notification with this body is on its way; NULL: it has arrived. */
void backlog_note_sent(Backlog *b, Observation *o, GBytes *payload);
/* It has not got through. True: it is kept, to be sent again; false: it will not be. */
bool backlog_take_back(Backlog *b, Observation *o, int error, uint64_t now_usec);
/* Something may have changed that lets what is kept go. */
void backlog_kick(Backlog *b);
/* The link is about to go. */
void backlog_withdraw(Backlog *b);
/* o ends; returns how many were kept for it and go with it. */
uint64_t backlog_forget(Backlog *b, Observation *o);

typedef struct BacklogCounts {
        uint64_t waiting, bytes;             /* now */
        uint64_t stored, delivered, dropped; /* since the start; dropped: for want of room, by
                                                hqmax, or with their observation */
} BacklogCounts;
void backlog_counts(const Backlog *b, BacklogCounts *ret);
