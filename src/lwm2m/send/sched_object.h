/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Objects 10523 and 10524, Send Scheduler Control and Rules: what servers and the owner write there
 * steers the scheduler (send_sched.h), which decides what enters the caches of resources with rules
 * (samples.h) and when it is sent, with its times, to every server. A resource with a rule and
 * without a cache gets one of SCHED_CACHE_SAMPLES. Without an instance of 10524 nothing is done and
 * costs anything. */
#include "lwm2m/dm/dm.h"
#include "lwm2m/events.h"

#define SCHED_CACHE_SAMPLES 1000 /* when full, the oldest goes */

enum { OBJECT_SCHED_CONTROL = 10523, OBJECT_SCHED_RULES = 10524 };
enum { /* resources of object 10523 */
       SCHED_PAUSED = 0,
       SCHED_MAX_SAMPLES = 1,
       SCHED_MAX_AGE = 2,
       SCHED_FLUSH = 3,
       SCHED_FLUSH_ON_UPDATE = 4,
};
enum { /* resources of object 10524 */
       SCHED_PATH = 0,
       SCHED_RULES = 1,
};

typedef struct SchedObject SchedObject;

SchedObject *sched_object_new(Dm *dm, Tree *tree, TimerQueue *timers); /* borrowed, outlive it */
SchedObject *sched_object_free(SchedObject *o);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SchedObject, sched_object_free)
/* Gives the resource that path names the cache that a rule needs, unless it has one. At a start,
 * before the samples that were kept are read: without its cache they would be nobody's. */
void sched_provide_cache(Series *series, const char *path);
void sched_provide_caches(Series *series, const Tree *tree); /* of all rules in the tree */
/* For client_add_listener(), with the object as userdata: Sends are due at a registration. */
const ClientListener *sched_object_listener(void);
/* What the client's events lead to; for tests without a client. */
void sched_object_event(SchedObject *o, const char *name);
