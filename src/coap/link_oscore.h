/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A link on which OSCORE is a must: everything but empty messages goes out protected, and what
 * comes unprotected is refused. Sits between the layer of messages (duplicates, acknowledgements)
 * and that of requests, answers and blocks, which see what was inside. Links with the same keys
 * share their numbers. */
#include "coap/link.h"
#include "coap/oscore.h"

/* Of keys that were checked; errors as oscore_state_open(), *ret_error (g_free()). */
int link_oscore_new(Link *l, const OscoreKeys *keys, char **ret_error);
LinkOscore *link_oscore_free(LinkOscore *o);
void link_oscore_free_all(CoapTransport *t);
size_t link_oscore_overhead(const Link *l); /* 0 without OSCORE */

/* What an answer needs to know of its request. */
typedef struct OscoreReply {
        bool sealed; /* the request was protected: so is the answer */
        bool own;    /* the answer must have a number of its own */
        OscoreNumber number;
} OscoreReply;

/* Protects the n bytes of a message in the buffer in their place; returns the new length, n without
 * OSCORE. reply is NULL for a request, whose number goes to *ret (may be NULL). A failure is the
 * link's end, its owner is told soon. */
int link_oscore_seal(Link *l, const OscoreReply *reply, uint8_t *buffer, size_t n, size_t n_buffer,
                     OscoreNumber *ret);

/* A request that did not pass. */
typedef struct OscoreRefusal {
        uint8_t code;
        const char *text;    /* diagnostic payload */
        bool protect;        /* the answer is protected … */
        const uint8_t *echo; /* … and has this Echo option of OSCORE_ECHO bytes; NULL: none */
} OscoreRefusal;
#define OSCORE_ECHO 8u

/* Opens a request into *ret, which borrows from plain (p->n_payload bytes); *ret_reply is for its
 * answer. False: refused. */
bool link_oscore_open_request(Link *l, const Packet *p, uint8_t *plain, Packet *ret,
                              OscoreReply *ret_reply, OscoreRefusal *ret_refusal);
/* The same for the answer to our request of that number. 0; -EKEYREJECTED: not what it should be,
 * which is the link's end as above. */
int link_oscore_open_answer(Link *l, const Packet *p, const OscoreNumber *request, uint8_t *plain,
                            Packet *ret);

/* Of a request that observes: what its notifications will need, in front of what the transport
 * keeps anyhow (Message.request_key); and the way back. -ESTALE: it was made with other keys or
 * without. */
GBytes *link_oscore_pack(const Link *l, const OscoreReply *reply, GBytes *key /* taken over */);
int link_oscore_unpack(const Link *l, GBytes *packed, OscoreReply *ret_reply, GBytes **ret_key);
