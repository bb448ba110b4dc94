/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Time series of the device's data: which values become samples, who waits for them, and pushing
 * samples with times of their own. The caches themselves are model/series.h. */
#include "lwm2m/dm/dm.h"
#include "lwm2m/ops.h"
#include "model/series.h"

/* The blob of the store with the policies set at run time: as series_load_policies() reads them. */
#define SAMPLES_BLOB "caches"

/* Samples may be this much ahead of our clock: clocks of sensors drift. */
#define SAMPLE_AHEAD_NS INT64_C(60000000000)

/* Whether the values at p go into a cache: a policy covers it, and its type has a fixed size. */
bool samples_cached(const Dm *dm, const Path *p, const ResourceDef *def);
/* Whether an application has to be asked for the value at p: it answers for it, and p is not
 * cached. */
bool samples_asks(const Dm *dm, const Path *p);
/* From a commit of the tree: what was set by an application or a server is a sample. */
void samples_on_commit(Dm *dm, Origin origin, const Change *changes, size_t n);
/* Asked of each sample that comes: false and it is not kept now, but see samples_keep(). NULL: all
 * are kept. */
typedef bool (*SampleFilter)(void *userdata, const Path *p, const Value *v, int64_t time_ns);
void samples_set_filter(Dm *dm, SampleFilter filter, void *userdata);
/* Keeps a sample of a cached resource, past the filter. */
void samples_keep(Dm *dm, const Path *p, const Value *v, int64_t time_ns);
int64_t samples_now_ns(const Dm *dm);    /* as samples have it: boot time without a wall clock */
uint64_t samples_now_usec(const Dm *dm); /* of the timers */
/* Boot times become wall times once the wall clock is set. Cheap. */
void samples_note_clock(Dm *dm);
/* Of a reader: kind tells observations from Sends, paths are those it asks for. */
uint64_t samples_identity(uint16_t ssid, const char *kind, const Path *paths, size_t n);

/* Changes the caches' policy of a prefix, NULL takes it away. -ENOTSUP without caches, -EINVAL with
 * the error's text when nothing at or below prefix can be cached, -ERANGE, -EDQUOT. */
int samples_configure(Dm *dm, const Path *prefix, const SeriesPolicy *policy, OpError *error);

/* --- pushing --- Samples of any number of paths, taken or refused together. */
typedef struct SamplePush SamplePush;
SamplePush *sample_push_new(Dm *dm);
SamplePush *sample_push_free(SamplePush *b);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SamplePush, sample_push_free)
/* Adds one, checked like a value that is set. time_ns 0 is now; boot: it is CLOCK_BOOTTIME. -EPERM
 * p is not cached; -ERANGE a time that is too old or in the future; others as ops_apply(). */
int sample_push_add(SamplePush *b, const Path *p, const Value *v, int64_t time_ns, bool boot,
                    OpError *error);
/* The time alone. */
int samples_check_time(Dm *dm, const Path *p, int64_t time_ns, bool boot, int64_t *ret,
                       OpError *error);
/* Applies ops (may be none) and the values that the youngest samples are, as one transaction, then
 * caches the samples. *ret_dropped: how many samples went because a cache was full. */
int sample_push_commit(SamplePush *b, const Op *ops, size_t n_ops, size_t *ret_dropped,
                       OpError *error, uint64_t now_usec);
