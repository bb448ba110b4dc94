/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What `handle` does with one call of the daemon: a Job is a row of runs of the command, one after
 * the other, whose results become the answer. It knows nothing of claims. */
#include "ctl/child.h"
#include "ctl/ctl.h"

#define HANDLER_JOBS_MAX 64 /* calls answered at the same time; the daemon has the same limit */

typedef struct Handler {
        Ctl *c;
        Loop *loop;
        char *const *argv;
        uint64_t timeout_usec; /* for one run */
        bool phases;           /* run for Commit and Abort as well */
        GPtrArray *jobs;       /* of Job, running */
        GHashTable *prepared;  /* txn -> Job, waiting for Commit or Abort; with phases only */
} Handler;

void handler_init(Handler *h, Ctl *c, Loop *loop, char *const *argv, uint64_t timeout_usec,
                  bool phases);
void handler_clear(Handler *h); /* kills what runs */
/* Drops what a daemon that is gone had prepared. */
void handler_forget(Handler *h);

int handler_execute(Handler *h, sd_bus_message *m, sd_bus_error *error);
int handler_read(Handler *h, sd_bus_message *m, sd_bus_error *error);
int handler_prepare(Handler *h, sd_bus_message *m, sd_bus_error *error);
int handler_finish(Handler *h, sd_bus_message *m, bool commit, sd_bus_error *error);

/* The error name for a command that ended with status; NULL for success. The exit codes of
 * sysexits.h say which; others are InvalidValue for a write, which the server sees as 4.00, and a
 * plain failure, 5.00, for the rest. */
const char *handler_error_name(int wait_status, bool is_write);
