/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Observations (TS Core 1.1.1, section 6.4; RFC 7641): who asked with which token for which paths,
 * when the next notification is due, and sending it. pmin holds changes back and merges them, pmax
 * repeats the value; a change after which the body would be what was sent last is no news and is
 * not sent. At most one notification of an observation is on its way; newer values wait for its end
 * and only the newest is sent. */
#include "lwm2m/dm/dm_internal.h"
#include "lwm2m/dm/read.h"

Observer *observer_new(Dm *dm);
Observer *observer_free(Observer *s); /* the peers are gone by then */

/* --- begin and end --- */
/* The request asks for an observation of target. Replaces one with the same token. *ret stays NULL,
 * and the answer is that of a plain read (RFC 7641, section 4.1), when a limit is reached. -EINVAL
 * bad attributes in the query. */
int observe_begin(Request *rq, const ReadTarget *target, Observation **ret);
/* The first answer goes out; returns its Observe value. */
int observation_establish(Observation *o, const ReadResult *result, uint64_t now_usec);
void observation_abandon(Observation *o); /* there will be no answer of success */
/* *slot is set to NULL if the observation ends before it was established or abandoned. */
void observation_set_job(Observation *o, Observation **slot);
void observe_cancel(Peer *p, GBytes *token, const char *why);
void observe_drop(Peer *p, const char *why);

/* --- what may lead to a notification --- */
/* Some resources are cached now that were not, or the other way round. */
void observe_caches_changed(Dm *dm);
void observe_sampled(Dm *dm, const Path *p); /* there are new samples at p */
void observe_changes(Dm *dm, const Change *changes, size_t n);
void observe_attributes_changed(Dm *dm, uint16_t ssid, const Path *p);
void observe_access_changed(Dm *dm, const Path *p); /* what servers may read at or below p */
void observe_owner_changed(Dm *dm, const Path *p);
void observe_link_changed(Peer *p);
void observe_presence_changed(Peer *p); /* what waited for it may go */
void observe_suspend(Dm *dm);
void observe_resume(Dm *dm, uint64_t now_usec);
bool observe_is_suspended(const Dm *dm);

void observe_foreach(const Peer *p, void (*func)(void *userdata, const ObservationInfo *info),
                     void *userdata);
bool observe_is_observed(const Dm *dm, const Path *p);
guint observe_count(const Dm *dm);
/* Short Server IDs whose observations cover p, ascending; g_free(). */
uint16_t *observe_observers(const Dm *dm, const Path *p, size_t *ret_n);
