/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* When an observation has to be looked at again (TS Core 1.1.1, section 5.1.2: pmin, pmax, epmin,
 * epmax), as pure logic.
 *
 * What became worth telling waits for the end of pmin and is told then, whatever happened to the
 * value meanwhile ("MUST be sent as soon as pmin expires"). pmax after the last notification the
 * value is told again. epmin and epmax bound how often values are asked for that somebody else
 * keeps (read handlers, computed ones); values that are set need no asking and are judged when they
 * are set. */
#include <stdbool.h>
#include <stdint.h>

#include "lwm2m/observe/attrs.h"
#include "util/timerq.h"

typedef struct Periods {
        uint32_t pmin, pmax, epmin, epmax; /* seconds; 0: none */
} Periods;

typedef enum Pending {
        PENDING_NONE,
        PENDING_CHANGE, /* something changed; no news if it is again as it was told */
        PENDING_NEWS,   /* a condition was met, or what was sent is lost: to be told in any case */
} Pending;

typedef struct Moments {
        uint64_t told_usec;      /* the last notification, or the first answer */
        uint64_t evaluated_usec; /* values were asked for; 0 never */
        uint64_t retry_usec;     /* not before, after a failure; 0: at any time */
} Moments;

/* Of attributes in effect. A pmax below pmin, and an epmax below epmin, are ignored. */
Periods periods_from(const Attrs *a);
/* asked: some values have to be asked for. 0: at once; USEC_INFINITY: only when something
 * happens. */
uint64_t timing_due(const Periods *p, const Moments *m, Pending pending, bool asked);
/* pmax is over: tells again in any case. */
bool timing_is_repeat(const Periods *p, const Moments *m, uint64_t now_usec);
/* pmin is over. */
bool timing_may_tell(const Periods *p, const Moments *m, uint64_t now_usec);
/* epmin is over. */
bool timing_may_ask(const Periods *p, const Moments *m, uint64_t now_usec);
