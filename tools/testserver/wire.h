/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* CoAP messages as bytes (RFC 7252 section 3), for a tool that must be able to send what a library
 * would refuse: any message id, any token, any option in any number. A Message owns its parts. */
#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#define WIRE_DATAGRAM_MAX 65535U

typedef enum WireType { WIRE_CON, WIRE_NON, WIRE_ACK, WIRE_RST } WireType;

enum {
        OPTION_ETAG = 4,
        OPTION_OBSERVE = 6,
        OPTION_LOCATION_PATH = 8,
        OPTION_URI_PATH = 11,
        OPTION_CONTENT_FORMAT = 12,
        OPTION_MAX_AGE = 14,
        OPTION_URI_QUERY = 15,
        OPTION_ACCEPT = 17,
        OPTION_BLOCK2 = 23,
        OPTION_BLOCK1 = 27,
        OPTION_SIZE1 = 60,
};

#define WIRE_CODE(class, detail) ((uint8_t) (((class) << 5) | (detail)))
#define WIRE_CLASS(code) ((unsigned) (code) >> 5)

typedef struct Option {
        uint16_t number;
        GBytes *value;
} Option;

typedef struct Token {
        uint8_t length; /* 0 to 8 */
        uint8_t bytes[8];
} Token;

/* A Block1 or Block2 option (RFC 7959 section 2.2): the size is 16 << szx bytes; with 7 it is any
 * number of 1024 (RFC 8323 section 6). */
typedef struct Block {
        uint32_t num;
        bool more;
        uint8_t szx;
} Block;

typedef struct Message {
        WireType type;
        uint8_t code;
        uint16_t mid;
        Token token;
        GArray *options; /* of Option, in the order given */
        GBytes *payload; /* NULL for none */
} Message;

Message *message_new(WireType type, uint8_t code, uint16_t mid, const Token *token);
Message *message_free(Message *m);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Message, message_free)

GArray *options_new(void);
void options_add(GArray *options, uint16_t number, const void *value, size_t length);
void options_add_uint(GArray *options, uint16_t number, uint32_t value);

/* -ENOENT without the option, -EBADMSG with a value of the wrong length. */
int message_uint(const Message *m, uint16_t number, uint32_t *ret);
int message_block(const Message *m, uint16_t number, Block *ret);

size_t block_offset(const Block *b);
bool block_fits(const Block *b, size_t length); /* as its payload */

/* The values of a repeated option joined, each after `separator`. */
char *message_joined(const Message *m, uint16_t number, char separator);

int message_parse(const uint8_t *data, size_t length, Message **ret);
GBytes *message_encode(const Message *m); /* options are sorted by number, equal ones keep order */
