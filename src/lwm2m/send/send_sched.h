/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The send scheduler: which samples of a resource are kept, and when what is kept is sent. Knows
 * neither caches nor servers; objects 10523 and 10524, which steer it, are sched_object.h.
 *
 * A resource with a rule is looked at by it, one without is not scheduled. Of the samples of a
 * resource with gt, lt or st those are kept with which the value crosses gt or lt (either way), or
 * is at least st away from the one kept last; without these, all, as the first one always. A sample
 * that comes earlier than pmin after the last one kept waits until then, and a later one takes its
 * place. After pmax without one, if it is longer than pmin, the value is kept again with the time
 * that is then. Samples closer than epmin are not looked at, but the last of them when it has
 * passed; after epmax without one the value is looked at where it is. Periods between samples are
 * those of their own times, so that what is pushed later than it was measured means the same. A
 * sample older than the last one is kept when the rule keeps all.
 *
 * What is kept is sent when there are max_samples, when the oldest is max_age old, when a cache is
 * full, at a registration, with flush_on_update at an Update, and by send_sched_flush(). While
 * paused only the last of these sends. What did not arrive is due again. */
#include "lwm2m/observe/attrs.h"
#include "util/timerq.h"

#define SCHED_RULES_MAX 10000 /* resources with a rule */
#define SCHED_LINES_MAX 20000 /* resource instances that were seen, more are not scheduled */

typedef struct SendSched SendSched;

typedef struct SchedControl { /* 0: no such bound */
        uint32_t max_samples, max_age_sec;
        bool paused, flush_on_update;
} SchedControl;

/* Run from timers, the clock alone from anywhere. */
typedef struct SchedOps {
        int64_t (*wall_ns)(void *userdata); /* UTC since 1970 */
        /* A sample that waited, or that pmax repeats, is kept now. */
        void (*keep)(void *userdata, const Path *p, const Value *v, int64_t time_ns);
        /* The value as it is; -ENOENT there is none. */
        int (*read)(void *userdata, const Path *p, Value *ret);
        bool (*full)(void *userdata, const Path *p); /* the cache of p has no room */
        /* Sends what is kept for the resources with rules, if there is anything. */
        void (*send)(void *userdata, uint64_t now_usec);
} SchedOps;

SendSched *send_sched_new(TimerQueue *timers, const SchedOps *ops, void *userdata);
SendSched *send_sched_free(SendSched *s);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SendSched, send_sched_free)

void send_sched_set_control(SendSched *s, const SchedControl *control, uint64_t now_usec);
/* One rule as text, "pmin=60"; -EINVAL. Of gt, lt, st and the four periods. */
int send_sched_parse_rule(const char *text, AttrName *ret_name, double *ret_value);
/* The rule of a resource (n = 3); NULL takes it away. -EDQUOT. */
int send_sched_set_rule(SendSched *s, const Path *resource, const Attrs *rule, uint64_t now_usec);
bool send_sched_has_rule(const SendSched *s, const Path *p);
Path *send_sched_paths(const SendSched *s, size_t *ret_n); /* with rules, in order; g_free() */

/* A sample at p: true if it is to be kept now. v is Integer, Unsigned, Time, Float or Boolean. */
bool send_sched_sample(SendSched *s, const Path *p, const Value *v, int64_t time_ns,
                       uint64_t now_usec);
void send_sched_flush(SendSched *s, uint64_t now_usec);
void send_sched_registered(SendSched *s, uint64_t now_usec);
void send_sched_updated(SendSched *s, uint64_t now_usec);
/* What send() sent last did not arrive, at one server at least: it is due again, but unless
 * something orders it not before SCHED_RETRY_USEC. */
void send_sched_failed(SendSched *s, uint64_t now_usec);
#define SCHED_RETRY_USEC (60 * USEC_PER_SEC)
uint64_t send_sched_waiting(const SendSched *s); /* samples kept since the last send() */
