/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* OSCORE (RFC 8613): one security context, and messages sealed and opened with it. Pure functions
 * of their arguments: which numbers were used and seen is oscore_state.h's, and the exchange of
 * messages link_oscore.h's.
 *
 * Why not libcoap's, which has it from 4.3.2 on: as far as 4.3.5 it decrypts a retransmitted
 * request before anybody can tell that it is one and answers "Replay detected"; a request that
 * overtook another moves its replay window backwards, so that the newer one is taken a second time;
 * what it remembers of a request it stores before the request has proved genuine; every piggybacked
 * answer becomes a confirmable message of its own; and its observations end with the session, where
 * ours outlive the process. None of it can be mended from outside. This one works with every
 * libcoap, and over TCP and inside DTLS, too. */
#include "coap/packet.h"
#include "lwm2m/account/oscore_keys.h"

typedef struct Oscore Oscore;

/* A Partial IV, which is the sender's sequence number: five bytes at most. */
#define OSCORE_NUMBER_MAX ((UINT64_C(1) << 40) - 1)
typedef struct OscoreNumber {
        uint8_t v[5], n; /* n is 0: none */
} OscoreNumber;

OscoreNumber oscore_number(uint64_t number);
uint64_t oscore_number_value(const OscoreNumber *n);

/* The value of the option (section 6.1); points into the packet. */
typedef struct OscoreOption {
        OscoreNumber number;
        bool has_id, has_context;
        const uint8_t *id, *context;
        size_t n_id, n_context;
} OscoreOption;

/* keys were checked (oscore_keys_check()). -EIO: libcrypto would not. */
int oscore_new(const OscoreKeys *keys, Oscore **ret);
Oscore *oscore_free(Oscore *o); /* wipes */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Oscore, oscore_free)
/* Hexadecimal digits that are the same for the same keys, and tell nothing of them: one half for
 * those we send with, which have our numbers, and one for those of the server. */
#define OSCORE_NAME_HALF 16u
const char *oscore_name(const Oscore *o);

/* The message that packet_write() made, protected, into out. Returns its length; -EMSGSIZE. A
 * request, or an answer that must not take the nonce of its request (a notification; one to what
 * may be a replay), has a number of its own (own); request is that of the request an answer is for,
 * NULL for a request. */
int oscore_seal(const Oscore *o, const OscoreNumber *request, const OscoreNumber *own,
                const uint8_t *message, size_t n, uint8_t *out, size_t n_out);
size_t oscore_overhead(const Oscore *o); /* bytes a message grows by, at most */

int oscore_parse_option(const uint8_t *value, size_t n, OscoreOption *ret); /* -EBADMSG */
/* Whether a request with this option is for us. */
bool oscore_is_ours(const Oscore *o, const OscoreOption *option);
/* Decrypts the payload of p into plain (at least p->n_payload bytes). request: of the request that
 * p answers, NULL when p is a request itself. Returns the length; -EBADMSG: another key, or it was
 * changed on the way. */
int oscore_open(const Oscore *o, const Packet *p, const OscoreOption *option,
                const OscoreNumber *request, uint8_t *plain);
/* The message that was protected, from what oscore_open() gave; borrows from plain. outer: what it
 * came in. -EBADMSG: no message, or a response in place of a request and the other way round. */
int oscore_read(const Packet *outer, const uint8_t *plain, size_t n, Packet *ret);
