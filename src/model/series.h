/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Time series: caches of timestamped samples, one for each resource or resource instance that a
 * policy covers, and the readers who wait for them. A sample has a number, given in the order of
 * arrival. A reader acknowledges numbers; a sample leaves its cache when every reader that covers
 * it has acknowledged it, and when the cache is full, by the policy's rule. Without a reader
 * nothing leaves but by that rule. Knows no server, no message and no clock.
 *
 * Samples may arrive in any order; who takes them gets them by time. Of several with the same time
 * the last to arrive counts. */
#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "codec/path.h"
#include "codec/value.h"
#include "model/ring.h"

#define SERIES_SAMPLES_MAX 10000000 /* of one cache */
#define SERIES_POLICIES_MAX 65536
/* Times before this (2000-01-01) are no wall clock times but CLOCK_BOOTTIME, noted while the wall
 * clock was not set. */
#define SERIES_TIME_MIN_NS INT64_C(946684800000000000)

typedef struct Series Series;
typedef struct SeriesReader SeriesReader;
typedef struct SeriesFile SeriesFile;

#define SERIES_FILE_NAME "samples" /* in the state directory */

typedef struct SeriesPolicy {
        uint32_t samples; /* how many; 0: none are cached */
        bool drop_oldest; /* when full; false: what comes is dropped (Zephyr's documented rule) */
        bool read_latest; /* a Read gives the latest value alone; false: all samples */
        bool by_rule;     /* made for a rule of the send scheduler, with which it goes */
} SeriesPolicy;

typedef struct SeriesConfig {
        uint64_t bytes_max;       /* of all caches; 0 = 64 MiB */
        uint64_t bytes_per_payer; /* of the caches of one payer; 0: as many as there are */
        /* Whether the samples of p are kept on disk; NULL: none are. */
        bool (*kept)(void *userdata, const Path *p);
        /* Something waits for series_sync(): the caller decides how long. May be NULL. */
        void (*pending)(void *userdata);
        void *userdata;
} SeriesConfig;

Series *series_new(const SeriesConfig *config);
Series *series_free(Series *s); /* readers are gone by then; what is kept stays in its file */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Series, series_free)

/* --- which resources --- The longest prefix that has a policy wins. NULL takes the prefix's
 * policy away; samples that no policy covers any more are dropped, and those that a smaller cache
 * has no room for. -EDQUOT more than SERIES_POLICIES_MAX, -ERANGE more than SERIES_SAMPLES_MAX. */
int series_set_policy(Series *s, const Path *prefix, const SeriesPolicy *policy);
const SeriesPolicy *series_policy(const Series *s, const Path *p); /* NULL: p is not cached */
typedef void (*SeriesPolicyVisit)(void *userdata, const Path *prefix, const SeriesPolicy *policy);
/* In no order; none may be set meanwhile. */
void series_foreach_policy(const Series *s, SeriesPolicyVisit visit, void *userdata);
bool series_has_policies(const Series *s);
void series_clear(Series *s); /* no policy, and no sample */
/* "600 oldest latest": the number, and words for what is not the default (newest, all). -EINVAL,
 * -ERANGE. */
int series_policy_parse(const char *text, SeriesPolicy *ret);
char *series_policy_format(const SeriesPolicy *p); /* g_free() */
/* Lines of a path and such a text. -EBADMSG: those before the bad line count. */
int series_load_policies(Series *s, const char *text);

/* --- samples --- Adds n samples in their order of arrival. -ENOENT p is not cached; errors of the
 * file that keeps them, and then none was added. *ret_dropped (may be NULL): how many went because
 * the cache, or the limit of all caches, was full: of these, or older ones. */
int series_add(Series *s, const Path *p, ValueType type, const Sample *samples, size_t n,
               size_t *ret_dropped);
/* What is at and below p is gone, its samples with it. */
void series_remove(Series *s, const Path *p);
/* The wall clock is set: boot times are wall_ns - boot_ns earlier than wall times. Until it was
 * told once samples with boot times are not given out. */
void series_clock_set(Series *s, int64_t offset_ns);

typedef void (*SeriesVisit)(void *userdata, int64_t time_ns, const Value *v);
/* The last max samples at p, by time; nothing leaves. Returns how many. */
size_t series_read(const Series *s, const Path *p, size_t max, SeriesVisit visit, void *userdata);

typedef struct SeriesInfo {
        Path path;
        ValueType type;
        SeriesPolicy policy;
        uint32_t n;
        uint64_t n_dropped;
        int64_t newest_ns; /* the youngest time ever added; INT64_MIN: none */
} SeriesInfo;
bool series_info(const Series *s, const Path *p,
                 SeriesInfo *ret); /* false: there is no cache yet */
uint64_t series_bytes(const Series *s);
/* Who is accountable for a cache is whoever's sample makes it grow first; what it takes counts for
 * him until it is empty again. payer is any number but 0, which is nobody: the device itself. */
void series_set_payer(Series *s, uint32_t payer); /* of the samples that come from now on */
uint64_t series_bytes_of(const Series *s, uint32_t payer);
void series_totals(const Series *s, uint64_t *ret_added, uint64_t *ret_dropped);

/* --- readers --- One is an observation, or a Send under way. identity names it beyond its life
 * (server and paths): a later reader of the same identity goes on where the former stopped. Another
 * begins with what the caches have. */
SeriesReader *series_reader_new(Series *s, uint64_t identity, const Path *prefixes, size_t n);
SeriesReader *series_reader_free(SeriesReader *r); /* it waits for nothing any more */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SeriesReader, series_reader_free)
/* A message begins; at most max samples go into it. What was taken before and not acknowledged will
 * be taken again. */
void series_reader_begin(SeriesReader *r, size_t max);
/* Its samples at p, by time; once a path and message. Returns how many. */
size_t series_reader_take(SeriesReader *r, const Path *p, SeriesVisit visit, void *userdata);
size_t series_reader_taken(const SeriesReader *r); /* since begin, acknowledged and all */
/* The message is whole: what it had room for and did not take is not for this reader, who may not
 * see it, and does not wait for it. */
void series_reader_pass(SeriesReader *r);
/* Whether it covers no cache. */
bool series_reader_is_idle(const SeriesReader *r);
/* It is about to be sent, with this number. If it is not acknowledged the next message has the same
 * samples, all of them and no others, and should have the same number, by which its receiver can
 * tell that it is no news; so after a restart, for kept samples. */
void series_reader_sent(SeriesReader *r, uint32_t number);
/* Whether the message begun, or the next one, is such a repetition, and its number. */
bool series_reader_repeats(const SeriesReader *r, uint32_t *ret_number);
bool series_reader_is_repeating(const SeriesReader *r); /* the message that was begun */
void series_reader_forget_sent(SeriesReader *r); /* its receiver knows nothing of those numbers */
/* Everything taken since begin has arrived. */
void series_reader_ack(SeriesReader *r);
/* How many samples wait that were neither acknowledged nor taken. */
uint64_t series_reader_waiting(const SeriesReader *r);

/* --- disk --- Samples of kept paths are written before series_add() returns, and what readers have
 * acknowledged before it leaves: a killed daemon has both when it starts again. series_sync() makes
 * them durable against a crash of the machine. */
int series_open_file(Series *s, int dirfd /* borrowed */,
                     void (*message)(void *userdata, int level, const char *text), void *userdata);
int series_sync(Series *s);
bool series_pending(const Series *s);
/* The config's kept() may say something else now at and below prefix. */
int series_kept_changed(Series *s, const Path *prefix);
