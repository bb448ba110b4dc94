/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The numbers of one security context, in memory and on disk: which of ours may be used, none twice
 * whatever happens (RFC 8613, section 7.2.1 and appendix B.1.1), and which of the server's have
 * been seen (section 7.4).
 *
 * Two small files in the state directory's folder oscore/, named after the keys. NAME has what must
 * survive a loss of power, and is on the disk before anything of it is used: numbers of ours are
 * reserved there by OSCORE_RESERVE_OWN, those of the server by OSCORE_RESERVE_PEER. NAME.seen has
 * the replay window, written after every request and not waited for: it outlives the process but
 * perhaps not the system, so it counts within the boot it is of. Without it a request below the
 * reserved numbers may be a replay; oscore_state_look() says so, and the caller asks the server for
 * a proof of freshness (appendix B.1.2). Each of these questions takes a number of ours, and who
 * sends old requests again and again must not keep the disk busy: the more numbers are used, the
 * more are reserved. */
#include <stdbool.h>
#include <stdint.h>

#include "coap/replay.h"

#define OSCORE_RESERVE_OWN 256u /* doubles up to: */
#define OSCORE_RESERVE_OWN_MAX 8192u
#define OSCORE_RESERVE_PEER 64u
/* Contexts remembered in all: a key is of no use for a replay once it is in no account. Of those
 * forgotten the highest number of ours is kept, in .floor, and is where all others begin: keys that
 * come back do so without a nonce that was used. */
#define OSCORE_STATES_MAX 256u

typedef struct OscoreState OscoreState;

typedef enum OscoreSight {
        OSCORE_FRESH,
        OSCORE_SEEN,      /* a replay, or too old to tell */
        OSCORE_UNCERTAIN, /* may be a replay of what came before a loss of power */
} OscoreSight;

/* directory: the state directory. name: oscore_name(); contexts of the same first half have one
 * sequence of our numbers and must not be open at the same time. A file that is damaged or cannot
 * be used is an error, as starting from zero would use numbers twice: -EBADMSG, -EACCES …;
 * *ret_error (g_free()). */
int oscore_state_open(const char *directory, const char *name, OscoreState **ret, char **ret_error);
OscoreState *oscore_state_close(OscoreState *s);

/* A number of ours that was never used; on disk before it returns. -EOVERFLOW: there are no more,
 * -ENOSPC …: it cannot be kept. */
int oscore_state_take_own(OscoreState *s, uint64_t *ret);

OscoreSight oscore_state_look(const OscoreState *s, uint64_t number);
/* The request with this number is genuine, and will be carried out. */
int oscore_state_take(OscoreState *s, uint64_t number);
/* … and is fresh, though nothing older can be told. */
int oscore_state_take_proved(OscoreState *s, uint64_t number);
