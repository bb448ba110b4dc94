/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A look at datagrams before libcoap has them, for what it gets wrong and offers no hook for. Under
 * DTLS the look is at what was decrypted. */
#include "coap/link.h"

typedef enum PeekResult {
        PEEK_EMPTY, /* nothing to read */
        PEEK_TAKEN, /* dealt with: libcoap will not see it */
        PEEK_LEFT,  /* the next datagram is libcoap's */
} PeekResult;

/* The session's descriptor (stays the session's), hint if that still is it; -1 when it cannot be
 * told. */
int peek_find_socket(const coap_session_t *session, int hint);
PeekResult peek_next(Link *l, uint64_t now_usec);
