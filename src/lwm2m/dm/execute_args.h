/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Arguments of Execute (TS Core 1.1.1, section 6.3.6): a comma separated list of a digit, or a
 * digit with a quoted text: 0='a',1,2='b'. A text holds printable ASCII without space, '"', ''' and
 * '\'. Each digit may stand once, so there are ten arguments at most. */
#include <glib.h>
#include <stddef.h>

#include "lwm2m/app.h"

#define EXECUTE_ARGS_MAX 10

typedef struct ExecuteArgs {
        ExecuteArg v[EXECUTE_ARGS_MAX]; /* in the order given; values owned */
        size_t n;
} ExecuteArgs;

/* n bytes of text, which may be empty. -EINVAL for what the grammar does not allow. */
int execute_args_parse(const char *text, size_t n, ExecuteArgs *ret);
void execute_args_clear(ExecuteArgs *a);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(ExecuteArgs, execute_args_clear)
