/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Scope-bound release of what has no g_autoptr of its own. */
#include <glib.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

static inline void close_fd(int *fd) {
        if (*fd >= 0)
                close(*fd);
        *fd = -1;
}

static inline void close_file(FILE **f) {
        if (*f)
                fclose(*f);
        *f = NULL;
}

/* An owning descriptor; -1 when it holds none. */
#define autoclose __attribute__((cleanup(close_fd)))
#define autofclose __attribute__((cleanup(close_file)))

/* Hands an autoclose descriptor to somebody else. */
static inline int steal_fd(int *fd) {
        int r = *fd;

        *fd = -1;
        return r;
}
