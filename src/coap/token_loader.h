/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* token_load() without waiting: one thread at a time asks the token, and the answer comes back as
 * an event of the loop. A token that does not answer keeps its thread; whoever wants something of
 * it then is told so when his time is up. */
#include "coap/token.h"
#include "util/loop.h"

#define TOKEN_LOADS_MAX 256u

typedef struct TokenLoader TokenLoader;
typedef struct TokenLoad TokenLoad;

/* error 0: keys, which the callee may take out of *keys. Else as token_load() has it, and text. */
typedef void (*TokenLoadFunc)(void *userdata, int error, const char *text, TokenKeys *keys,
                              uint64_t now_usec);

int token_loader_new(Loop *loop, const TokenConfig *config, TokenLoader **ret);
/* The loads must have been cancelled, and the keys freed. A thread still at work ends on its own.
 */
TokenLoader *token_loader_free(TokenLoader *l);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(TokenLoader, token_loader_free)

/* func runs once, later, -ETIMEDOUT after usec. -ENOBUFS: too many already. */
int token_loader_start(TokenLoader *l, const Credentials *c, uint64_t usec, TokenLoadFunc func,
                       void *userdata, TokenLoad **ret);
/* func will not run; accepts NULL. Not from within func, where the load is over already. */
TokenLoad *token_load_cancel(TokenLoad *load);
