/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Requests seen of late (RFC 7252, section 4.5): a retransmission is recognised by its message id
 * and gets the answer given before; its effect does not happen again. Answers to safe requests
 * (GET, FETCH, a block of a longer upload) are kept apart from the rest, so that a flood of Reads
 * does not push out the answer to an Execute. Pure bookkeeping: no clock, no I/O. */
#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#define DEDUP_EXCHANGE_LIFETIME_USEC (UINT64_C(247) * 1000000) /* confirmable: section 4.8.2 */
#define DEDUP_NON_LIFETIME_USEC (UINT64_C(145) * 1000000)      /* non-confirmable */

typedef struct Dedup Dedup;

typedef struct DedupLimits {
        unsigned entries_max; /* of each kind */
        size_t bytes_max;     /* of stored answers, of each kind */
} DedupLimits;

typedef enum DedupState {
        DEDUP_NEW,      /* not seen; remembered now, as pending */
        DEDUP_PENDING,  /* its answer is still being worked on; ret_owner is who works on it */
        DEDUP_ANSWERED, /* ret_answer is what was sent, NULL for nothing */
} DedupState;

Dedup *dedup_new(const DedupLimits *limits);
Dedup *dedup_free(Dedup *d);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Dedup, dedup_free)

/* fingerprint tells a retransmission from a new message of a restarted peer that reuses the message
 * id. ret_answer is borrowed until the next call. */
DedupState dedup_look(Dedup *d, uint16_t mid, uint64_t fingerprint, bool confirmable,
                      uint64_t now_usec, void **ret_owner, GBytes **ret_answer);
/* Who works on the pending request mid; shown by dedup_look(). */
void dedup_own(Dedup *d, uint16_t mid, void *owner);
/* The request mid, worked on by owner (NULL when none was named), is answered with these bytes
 * (copied; n may be 0). safe: doing it again does no harm. */
void dedup_answer(Dedup *d, uint16_t mid, const void *owner, bool safe, const void *answer,
                  size_t n);
/* As if it had not come: it was not the peer's. */
void dedup_forget(Dedup *d, uint16_t mid);
/* Drops what is too old. When to call again: USEC_INFINITY (UINT64_MAX) when nothing is left. */
uint64_t dedup_expire(Dedup *d, uint64_t now_usec);
unsigned dedup_count(const Dedup *d);
size_t dedup_bytes(const Dedup *d);
