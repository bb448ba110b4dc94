/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* When to try a failed communication again: the sequences of resources 17 to 20 of object 1 (TS
 * Core 1.1.1, section 6.2.1.1), and after them for ever, at growing intervals up to a cap. Delays
 * are jittered, so that a fleet does not come back as one: those of the specification by up to a
 * tenth more, never less; those after the sequences by up to a quarter less, never past the cap. */
#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#define RETRY_COUNT_DEFAULT 5
#define RETRY_TIMER_DEFAULT_SEC 60
#define RETRY_SEQUENCE_DELAY_DEFAULT_SEC 86400
#define RETRY_SEQUENCE_COUNT_DEFAULT 1
#define RETRY_NO_SEQUENCE UINT32_MAX /* a sequence delay that forbids another sequence */

typedef struct RetryPolicy {
        uint32_t count;              /* 1/x/17: attempts of one sequence; 0 counts as 1 */
        uint32_t timer_sec;          /* 1/x/18: before the second attempt, then doubling; 0 as 1 */
        uint32_t sequence_delay_sec; /* 1/x/19; RETRY_NO_SEQUENCE */
        uint32_t sequence_count;     /* 1/x/20; 0 counts as 1 */
        uint32_t cap_sec;            /* of the delays after the last sequence; 0 counts as 1 */
} RetryPolicy;

typedef enum BackoffStage {
        BACKOFF_ATTEMPT,   /* another attempt of this sequence follows */
        BACKOFF_SEQUENCE,  /* the first attempt of another sequence */
        BACKOFF_EXHAUSTED, /* the registration has failed as the specification sees it */
} BackoffStage;

typedef struct Backoff {
        RetryPolicy policy;
        uint32_t attempts;  /* failed ones of this sequence */
        uint32_t sequences; /* used up */
        uint32_t beyond;    /* delays given after the last sequence */
} Backoff;

void backoff_reset(Backoff *b);
void backoff_note_failure(Backoff *b);
BackoffStage backoff_stage(const Backoff *b); /* after a failure: what may follow */
/* Takes that step and tells the delay before the next attempt, jittered by rnd. */
uint64_t backoff_step(Backoff *b, GRand *rnd);
