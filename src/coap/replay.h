/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Which numbers of the peer's have been seen (RFC 8613, section 7.4): the anti-replay algorithm of
 * RFC 6347, section 4.1.2.6. What is too old to be told counts as seen. */
#include <stdbool.h>
#include <stdint.h>

#define REPLAY_WINDOW 64u

typedef struct Replay {
        uint64_t next; /* one above the highest seen; 0: none was */
        uint64_t seen; /* bit i: next - 1 - i */
} Replay;

static inline bool replay_is_new(const Replay *r, uint64_t number) {
        uint64_t age;

        if (number >= r->next)
                return true;
        age = r->next - 1 - number;
        return age < REPLAY_WINDOW && !(r->seen >> age & 1);
}

/* Only once the message has proved genuine. */
static inline void replay_take(Replay *r, uint64_t number) {
        if (number >= r->next) {
                uint64_t shift = number + 1 - r->next;

                r->seen = shift < REPLAY_WINDOW ? r->seen << shift | 1 : 1;
                r->next = number + 1;
        } else if (r->next - 1 - number < REPLAY_WINDOW)
                r->seen |= UINT64_C(1) << (r->next - 1 - number);
}

/* Everything below counts as seen. */
static inline void replay_begin_at(Replay *r, uint64_t number) {
        r->next = number;
        r->seen = UINT64_MAX;
}
