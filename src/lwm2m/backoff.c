/* SPDX-License-Identifier: Apache-2.0 */
#include "lwm2m/backoff.h"

#include "util/timerq.h"

static uint64_t doubled(uint32_t sec, uint32_t times) {
        /* 32 doublings of one second are 136 years. */
        return (uint64_t) MAX(sec, 1U) << MIN(times, 31U);
}

static uint64_t jitter(uint64_t sec, GRand *rnd, double low, double high) {
        return (uint64_t) ((double) sec * (double) USEC_PER_SEC *
                           g_rand_double_range(rnd, low, high));
}

void backoff_reset(Backoff *b) {
        b->attempts = b->sequences = b->beyond = 0;
}

void backoff_note_failure(Backoff *b) {
        if (b->attempts < UINT32_MAX)
                b->attempts++;
}

BackoffStage backoff_stage(const Backoff *b) {
        if (b->beyond > 0)
                return BACKOFF_EXHAUSTED;
        if (b->attempts < b->policy.count)
                return BACKOFF_ATTEMPT;
        if (b->policy.sequence_delay_sec != RETRY_NO_SEQUENCE &&
            b->sequences + 1 < b->policy.sequence_count)
                return BACKOFF_SEQUENCE;
        return BACKOFF_EXHAUSTED;
}

uint64_t backoff_step(Backoff *b, GRand *rnd) {
        uint32_t count = MAX(b->policy.count, 1U);
        uint64_t cap = MAX(b->policy.cap_sec, 1U);

        switch (backoff_stage(b)) {
        case BACKOFF_ATTEMPT:
                return jitter(doubled(b->policy.timer_sec, MAX(b->attempts, 1U) - 1), rnd, 1, 1.1);
        case BACKOFF_SEQUENCE:
                b->sequences++;
                b->attempts = 0;
                return jitter(MAX(b->policy.sequence_delay_sec, 1U), rnd, 1, 1.1);
        case BACKOFF_EXHAUSTED:
                break;
        }
        if (b->beyond < UINT32_MAX)
                b->beyond++;
        return jitter(
                MIN(cap, doubled(b->policy.timer_sec, MIN(count, 31U) + MIN(b->beyond, 31U) - 2)),
                rnd, 0.75, 1);
}
