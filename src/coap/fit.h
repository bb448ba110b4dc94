/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* How a body travels over a link: in one message, in blocks (RFC 7959), or over TCP in blocks of
 * several KiB (BERT, RFC 8323, section 6), as the peer's CSM allows. */
#include "coap/link.h"

typedef struct Fit {
        bool in_blocks;
        uint8_t szx;      /* the largest blocks; of no meaning for a body that is whole */
        size_t n_bert;    /* payload of a message with BERT, a multiple of 1024; 0: not to be had */
        size_t n_message; /* bytes of a message, its options included */
} Fit;

/* The largest message the peer takes, as packet_write() makes it. */
size_t fit_message_max(const Link *l);
/* Bytes of a message but its payload, with the widest options of blocks. Negative errno as
 * packet_write(). */
int fit_head(const PacketOut *outline);
/* For a body of n_body bytes beside n_head bytes of the rest. -EMSGSIZE: one message is too small
 * for it, and the peer does not offer blocks, or not even the smallest fits. */
int fit_body(const Link *l, size_t n_head, size_t n_body, Fit *ret);
/* Says in the log what did not fit; aloud once for a link. */
void fit_complain(Link *l, const char *what, size_t n_body);
