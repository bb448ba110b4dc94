/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* CoAP messages as bytes and options (RFC 7252, sections 3 and 5.10), without libcoap: what comes
 * in is collected option by option into a Packet, what goes out is written into a buffer. */
#include "coap/block.h"
#include "coap/option.h"
#include "lwm2m/transport.h"

enum { PACKET_CON, PACKET_NON, PACKET_ACK, PACKET_RST };

#define PACKET_TOKEN_MAX 8u
#define PACKET_ETAG_MAX 8u
#define PACKET_SEGMENTS_MAX                                                                        \
        32u /* Uri-Path, Location-Path and Uri-Query options of one message, each */
/* The most libcoap reads of one datagram; a message that fills it may have been cut. */
#define PACKET_IN_MAX 1472u
#define PACKET_OUT_MAX 1472u
#define PACKET_MESSAGE_SIZE                                                                        \
        1152u /* assumed to fit a path when nothing is known: RFC 7252, section 4.6 */
#define PACKET_TEXT_MAX (PACKET_IN_MAX + 2 * PACKET_SEGMENTS_MAX)
#define PACKET_KEY_MAX (PACKET_IN_MAX + 4 * PACKET_SEGMENTS_MAX)

typedef struct Token {
        uint8_t v[PACKET_TOKEN_MAX];
        uint8_t n;
} Token;

/* What tells one message from another: its header, and the response code that refuses it. */
typedef struct Packet {
        uint8_t type, code;
        uint16_t mid;
        Token token;
        bool stream;     /* over TCP: set by packet_begin_stream() */
        uint8_t refusal; /* 0, or the code to answer a request with; a response with it is unusable
                          */
        int format, accept, observe;
        int64_t size1, size2, max_age; /* -1 without the option */
        int no_response;               /* RFC 7967; -1 without the option */
        bool has_block1, has_block2, has_oscore;
        Block block1, block2;
        uint8_t etag[PACKET_ETAG_MAX];
        uint8_t n_etag, n_echo, n_oscore;
        uint8_t echo[OPTION_ECHO_MAX]; /* RFC 9175 */
        const uint8_t *oscore;         /* value of the option (RFC 8613), borrowed */
        size_t n_path, n_query;
        const char *path[PACKET_SEGMENTS_MAX + 1], *query[PACKET_SEGMENTS_MAX + 1]; /* into text */
        const uint8_t *payload;                                                     /* borrowed */
        size_t n_payload;
        size_t size;          /* on the wire */
        uint64_t fingerprint; /* of code, token, options and payload length: equal in a
                                 retransmission */

        /* Private. */
        uint16_t last;
        size_t n_text, n_key, n_tail;
        char text[PACKET_TEXT_MAX];
        uint8_t key[PACKET_KEY_MAX], tail[24];
} Packet;

/* --- in --- */
void packet_begin(Packet *p, uint8_t type, uint8_t code, uint16_t mid, const uint8_t *token,
                  size_t n_token);
/* Of a stream: no type and message id, blocks of BERT, and the size is somebody else's business. */
void packet_begin_stream(Packet *p, uint8_t code, const uint8_t *token, size_t n_token);
/* In ascending order of number, as they are on the wire. value is borrowed as data below is. */
void packet_option(Packet *p, uint16_t number, const uint8_t *value, size_t n);
/* data is borrowed as long as p is used. */
void packet_end(Packet *p, const uint8_t *data, size_t n);
/* What the blocks of one body have in common: method, Uri-Path, Uri-Query, Accept; for Block1
 * (upload) also Content-Format and Request-Tag (RFC 9175). Valid as long as p. */
const uint8_t *packet_key(Packet *p, bool upload, size_t *ret_n);
/* Borrows from p and from the bytes given. */
Message packet_message(const Packet *p, GBytes *token, GBytes *payload);

/* --- out --- */
typedef struct PacketOut {
        uint8_t type;
        uint16_t mid;
        Token token;
        const Message *message; /* its token and payload are not looked at; NULL with code 0 */
        uint8_t code;           /* of the message when that is NULL */
        bool request;           /* message->path is Uri-Path, else Location-Path */
        const Block *block1, *block2; /* NULL without */
        const uint8_t *etag;          /* 8 bytes, or NULL */
        int64_t size1, size2;         /* -1 without */
        int64_t max_age;              /* seconds; -1 without */
        const uint8_t *echo;          /* up to OPTION_ECHO_MAX bytes */
        size_t n_echo;                /* 0 without */
        const uint8_t *payload;
        size_t n_payload;
} PacketOut;

#define PACKET_OUT_INIT ((PacketOut){ .size1 = -1, .size2 = -1, .max_age = -1 })

/* Bytes written into buffer, or -EMSGSIZE (buffer or an option too small), -EINVAL (an option's
 * value RFC 7252 does not allow: a segment above 255 bytes, a format above 65535). */
int packet_write(const PacketOut *o, uint8_t *buffer, size_t n_buffer);
void packet_set_mid(uint8_t *buffer, uint16_t mid);
