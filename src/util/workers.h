/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What can only be done by waiting, done in threads: a job goes in from the loop's thread, a
 * bounded number of them is worked on at once, the others wait in order, and each comes back as an
 * event of the loop. A thread that is stuck holds its place and nothing else; it may outlive the
 * loop. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/loop.h"

typedef struct Workers Workers;

typedef struct WorkersOps {
        void (*work)(void *job); /* in a thread of its own; touches the job alone */
        /* In the loop's thread, once, and the job is the owner's again. error: 0, or negative when
         * no thread could be had and nothing was done. */
        void (*done)(void *owner, void *job, int error, uint64_t now_usec);
        void (*free)(void *job); /* the workers are gone; in any thread */
        unsigned threads_max;
        size_t stack_size; /* bytes */
} WorkersOps;

/* ops is borrowed and outlives everything. */
int workers_new(Loop *loop, const WorkersOps *ops, void *owner, Workers **ret);
/* Jobs that wait are freed now, those being worked on when they end. */
Workers *workers_free(Workers *w);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Workers, workers_free)

void workers_add(Workers *w, void *job);
/* A job there is nothing to work on: only comes back, soon. */
void workers_return(Workers *w, void *job);
/* True: it has only waited, and is the owner's again. False: it will come back. */
bool workers_withdraw(Workers *w, void *job);
