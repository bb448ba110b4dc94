/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Keeps the observations of one server on disk, so that a restart inside the lifetime goes on with
 * them. What an observation costs is itself: one blob each, "observation-<server>-<id>".
 *
 * A server must never wait for notifications of an observation that a restart has forgotten.
 * Writing each one to flash before its 2.05 would do, at a sync each; instead the first one of a
 * burst marks the set as open, which is on disk before the answer leaves, and a moment later the
 * whole burst and the end of the mark are written as one entry of the journal. A process that dies
 * in between leaves the mark behind, and the next one registers anew, which ends all observations
 * on both sides. So there are two syncs a burst, however large. */
#include <stdbool.h>
#include <stdint.h>

#include "lwm2m/dm/dm.h"
#include "model/store.h"

#define KEEPER_BURST_USEC USEC_PER_SEC /* how long the set may be open */
#define KEEPER_LATER_USEC                                                                          \
        (15 * USEC_PER_SEC) /* what does no harm when it is lost: ends, numbers                    \
                             */

typedef struct Keeper Keeper;

/* peer is borrowed and is freed before the keeper. store NULL: nothing is kept. */
Keeper *keeper_new(Store *store, TimerQueue *timers, Peer *peer, uint16_t ssid);
Keeper *keeper_free(Keeper *k); /* writes nothing */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Keeper, keeper_free)

/* The former process has ended while its set was open. */
bool keeper_is_open(const Keeper *k);
/* Gives the peer what is on disk, and writes that it has; how many there were. When the
 * registration is not gone on with they are to be dropped again, so that each is told of. */
unsigned keeper_restore(Keeper *k, uint64_t settled_usec, uint64_t now_usec);
/* Puts what waits into the store, which the caller syncs. For the end of a run also what each
 * observer knows, so that the next run can be silent about what has not changed. */
void keeper_flush(Keeper *k);
void keeper_flush_last(Keeper *k);
/* The account is gone: nothing stays on disk. */
void keeper_forget(Keeper *k);
