/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Which of a server's addresses a link goes to, in the manner of RFC 8305: they are tried one after
 * the other, each with a short head start, and the first that answers is it. Before the link has a
 * socket, so that the server sees one address and port of ours with everything that belongs
 * together, and no message goes to two.
 *
 * Over TCP the connection itself is tried. Over UDP an empty message asks for a Reset (RFC 7252,
 * section 4.3), over DTLS a ClientHello without a cookie for a HelloVerifyRequest (RFC 6347,
 * section 4.2.1): neither leaves anything behind at the server. An address that is refused is out
 * of it at once, and over UDP the last one left is taken without a word; so is the first in the
 * list when none has answered in time, for there are servers that keep silent to both. */
#include "coap/link.h"

typedef enum RaceKind { RACE_UDP, RACE_DTLS, RACE_TCP } RaceKind;

typedef struct RaceResult {
        const Address *address; /* NULL with error */
        int fd;                 /* RACE_TCP: the connected socket, to be taken; else -1 */
        bool answered;
        int error; /* TCP: of the last; UDP: no socket for any. 0 */
        const char *text;
} RaceResult;

/* The race is over, and freed already. */
typedef void (*RaceFunc)(Link *l, const RaceResult *result, uint64_t now_usec);

/* func runs once, from the loop, within link_enter() and link_leave(). Negative errno, with words
 * in l->socket_error_text if they are about socket options: not one could be begun. */
int race_start(Link *l, RaceKind kind, const Address *addresses, unsigned n, RaceFunc func,
               Race **ret);
Race *race_free(Race *r); /* func will not run; accepts NULL */
