/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Names to addresses without waiting: each look-up runs in a thread of its own, a bounded number at
 * once, and its result comes back as an event of the loop. Two queries for one name share a
 * look-up, so that trying again while the first is still stuck takes no further thread. */
#include <netdb.h>
#include <stdint.h>

#include "util/loop.h"

#define RESOLVER_THREADS_MAX 16u
#define RESOLVER_QUERIES_MAX 256u
#define RESOLVER_HOST_MAX 253u

typedef struct Resolver Resolver;
typedef struct Query Query;

/* error 0: list in the order to try, borrowed until the call returns. Else a negative errno
 * (-ENOENT: no such name, -EAGAIN: for now) and text for people. */
typedef void (*QueryFunc)(void *userdata, int error, const char *text, const struct addrinfo *list,
                          uint64_t now_usec);
/* getaddrinfo() or what a test puts in its place; runs in the thread. */
typedef int (*LookupFunc)(const char *host, const char *port, const struct addrinfo *hints,
                          struct addrinfo **ret);

int resolver_new(Loop *loop, LookupFunc lookup, Resolver **ret); /* lookup NULL: getaddrinfo() */
/* Look-ups still running end on their own; their queries must have been cancelled. */
Resolver *resolver_free(Resolver *r);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Resolver, resolver_free)

/* func runs once, later. host may be an address as text. -EINVAL: empty or too long; -ENOBUFS: too
 * many queries. */
int resolver_query(Resolver *r, const char *host, uint16_t port, QueryFunc func, void *userdata,
                   Query **ret);
/* func will not run; accepts NULL. Not from within func, where the query is over already. */
Query *query_cancel(Query *q);
