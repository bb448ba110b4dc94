/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* CoAP messages on a stream (RFC 8323, section 3.2): no message types and ids, a length instead.
 * What goes out is made of the same bytes as over UDP, what comes in ends as a Packet. No I/O. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "coap/packet.h"

#define FRAME_HEAD_MAX 6u /* bytes before the token */
/* What is needed beside the bytes of packet_write() to make a frame of them. */
#define FRAME_EXTRA FRAME_HEAD_MAX

/* Signalling codes (RFC 8323, section 5). */
enum {
        SIGNAL_CSM = CODE(7, 1),
        SIGNAL_PING = CODE(7, 2),
        SIGNAL_PONG = CODE(7, 3),
        SIGNAL_RELEASE = CODE(7, 4),
        SIGNAL_ABORT = CODE(7, 5)
};

/* Their options; the number means something together with the code only. */
enum {
        CSM_MAX_MESSAGE_SIZE = 2,
        CSM_BLOCK_WISE_TRANSFER = 4,
        PING_CUSTODY = 2,
        ABORT_BAD_CSM_OPTION = 2
};

typedef struct FrameHead {
        uint8_t code;
        uint8_t n_token;
        uint8_t n_head;  /* bytes before the token */
        uint64_t n_body; /* options and payload, behind the token */
} FrameHead;

static inline uint64_t frame_size(const FrameHead *h) {
        return h->n_head + h->n_token + h->n_body;
}

/* 1; 0 when n bytes are not enough to tell; -EBADMSG for a token length that is reserved. */
int frame_head(const uint8_t *bytes, size_t n, FrameHead *ret);
/* One whole frame as a non-confirmable Packet, which borrows the payload. -EBADMSG: no options. */
int frame_parse(const uint8_t *frame, const FrameHead *head, Packet *ret);

typedef struct FrameOption {
        uint32_t number; /* 0 before the first one */
        const uint8_t *value;
        size_t n;
} FrameOption;

/* The next of the options in bytes[*at, n), by *o. 1; 0 at the end, *at is where the payload
 * begins (n: there is none); -EBADMSG. */
int frame_next_option(const uint8_t *bytes, size_t n, size_t *at, FrameOption *o);

/* A frame of the message packet_write() made; bytes written, or -EMSGSIZE. */
int frame_write(const uint8_t *message, size_t n, uint8_t *buffer, size_t n_buffer);
