/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* CoAP datagrams (RFC 7252, 7959) for the load side: no allocation and no state, so that what the
 * benchmark measures is the peer. Works on the socket a peer has registered with; that socket is
 * inherited from lwm2m-bench. */
#include <netinet/in.h>
#include <stddef.h>
#include <stdbool.h>
#include <stdint.h>

#define WIRE_MAX 65536

enum { WIRE_CON, WIRE_NON, WIRE_ACK, WIRE_RST };
enum {
        WIRE_OBSERVE = 6,
        WIRE_LOCATION_PATH = 8,
        WIRE_URI_PATH = 11,
        WIRE_BLOCK2 = 23,
        WIRE_BLOCK1 = 27,
        WIRE_SIZE1 = 60
};

typedef struct Message {
        int type, token_length, code;
        uint16_t mid;
        const uint8_t *token, *options; /* options run up to the payload and include it */
        size_t options_length;
} Message;

/* Nanoseconds of CLOCK_MONOTONIC. */
uint64_t wire_now(void);

/* 0, or -1 when data is not a CoAP message of version 1. */
int wire_parse(const uint8_t *data, size_t n, Message *ret);

/* How often option `number` occurs; the first one's uint value and the payload's length are
 * written when the pointers are not NULL. -1 when the options are malformed. */
int wire_option(const Message *m, unsigned number, uint32_t *ret_value, size_t *ret_payload);

/* Append one option and return the new end; *last is the number of the option before. */
uint8_t *wire_put(uint8_t *p, unsigned *last, unsigned number, const void *value, unsigned length);
uint8_t *wire_put_uint(uint8_t *p, unsigned *last, unsigned number, uint32_t value);

/* Answers what is no response to a request of ours: acknowledges notifications, accepts Register
 * (2.01, Location rd/b), Update and De-register, resets a ping. */
void wire_answer(int fd, const struct sockaddr_in *to, const Message *m);
