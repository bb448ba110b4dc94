/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Datagrams from a server's address that a secure session does not act on: forged, replayed, cut or
 * out of place. A few are what networks do; many are told of, once a minute. */
#include <stdint.h>

#define DROPPED_MANY 100u /* within a minute */

typedef struct Dropped {      /* zero to begin with */
        uint64_t minute_usec; /* since when n_minute counts */
        uint64_t n_minute;
        uint64_t n; /* since the last line */
} Dropped;

/* One more. How many there were since the last line when another one is due now, else 0. */
uint64_t dropped_note(Dropped *d, uint64_t now_usec);
