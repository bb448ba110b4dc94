/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A command run beside the loop: bytes to its standard input, its output and the first part of its
 * errors kept, its end or a deadline reported once. It gets a process group of its own, which is
 * killed at the deadline. It is done when the process ends, whoever else still has its output. */
#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "util/loop.h"

#define CHILD_OUTPUT_MAX (64U << 10) /* bytes of the standard output; more is a failure */
#define CHILD_ERRORS_MAX (4U << 10)  /* bytes of the errors; the rest is read and dropped */

typedef struct Child Child;

typedef struct ChildResult {
        int status; /* of waitpid() */
        bool timed_out, too_long;
        const GString *output, *errors; /* borrowed */
} ChildResult;
typedef void (*ChildDone)(void *userdata, const ChildResult *result);

/* argv and environment end with NULL; argv[0] is looked for in PATH, no shell is involved.
 * timeout_usec of 0: none. 0, or a negative errno when it could not be started. */
int child_new(Loop *loop, char *const *argv, char *const *environment, GBytes *input,
              uint64_t timeout_usec, ChildDone done, void *userdata, Child **ret);
/* Kills it if it still runs; done is not called any more. Allowed from within done. */
Child *child_free(Child *c);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Child, child_free)
