/* SPDX-License-Identifier: Apache-2.0 */
#include "coap/frame.h"

#include <errno.h>
#include <string.h>

#define UDP_HEAD 4u
/* The smallest lengths that take one, two and four more bytes. */
#define LENGTH_8 13u
#define LENGTH_16 269u
#define LENGTH_32 65805u
#define PAYLOAD_MARKER 0xff

/* --- in --- */

static uint64_t big_endian(const uint8_t *v, size_t n) {
        uint64_t r = 0;

        for (size_t i = 0; i < n; i++)
                r = r << 8 | v[i];
        return r;
}

int frame_head(const uint8_t *bytes, size_t n, FrameHead *ret) {
        static const struct {
                uint8_t n;
                uint32_t base;
        } extended[] = { { 1, LENGTH_8 }, { 2, LENGTH_16 }, { 4, LENGTH_32 } };
        unsigned length, more = 0;

        if (n == 0)
                return 0;
        length = bytes[0] >> 4;
        *ret = (FrameHead){ .n_token = bytes[0] & 15, .n_body = length };
        if (ret->n_token > PACKET_TOKEN_MAX)
                return -EBADMSG;
        if (length >= 13)
                more = extended[length - 13].n;
        ret->n_head = (uint8_t) (1 + more + 1);
        if (n < ret->n_head)
                return 0;
        if (more > 0)
                ret->n_body = extended[length - 13].base + big_endian(bytes + 1, more);
        ret->code = bytes[1 + more];
        return 1;
}

/* A delta or a length of an option with what follows of it (RFC 7252, section 3.1). */
static bool take_extended(const uint8_t *bytes, size_t n, size_t *at, uint32_t *v) {
        size_t more = *v == 13 ? 1 : *v == 14 ? 2 : 0;

        if (*v == 15 || n - *at < more)
                return false;
        if (more > 0)
                *v = (more == 1 ? LENGTH_8 : LENGTH_16) + (uint32_t) big_endian(bytes + *at, more);
        *at += more;
        return true;
}

int frame_next_option(const uint8_t *bytes, size_t n, size_t *at, FrameOption *o) {
        uint32_t delta, length;

        if (*at >= n)
                return 0;
        if (bytes[*at] == PAYLOAD_MARKER) {
                (*at)++;
                return *at < n ? 0 : -EBADMSG; /* a marker and nothing behind it */
        }
        delta = bytes[*at] >> 4;
        length = bytes[*at] & 15;
        (*at)++;
        if (!take_extended(bytes, n, at, &delta) || !take_extended(bytes, n, at, &length) ||
            n - *at < length || o->number + delta > UINT16_MAX)
                return -EBADMSG;
        o->number += delta;
        o->value = bytes + *at;
        o->n = length;
        *at += length;
        return 1;
}

int frame_parse(const uint8_t *frame, const FrameHead *head, Packet *ret) {
        const uint8_t *token = frame + head->n_head, *body = token + head->n_token;
        FrameOption o = { .number = 0 };
        size_t at = 0, n = (size_t) head->n_body;
        int r;

        packet_begin_stream(ret, head->code, token, head->n_token);
        while ((r = frame_next_option(body, n, &at, &o)) > 0)
                packet_option(ret, (uint16_t) o.number, o.value, o.n);
        if (r < 0)
                return r;
        packet_end(ret, body + at, n - at);
        return 0;
}

/* --- out --- */

int frame_write(const uint8_t *message, size_t n, uint8_t *buffer, size_t n_buffer) {
        size_t n_token = message[0] & 15u, length, at = 0;

        if (n < UDP_HEAD + n_token || n_buffer < n + FRAME_HEAD_MAX)
                return -EMSGSIZE;
        length = n - UDP_HEAD - n_token;
        if (length >= LENGTH_32)
                return -EMSGSIZE;
        buffer[at++] = (uint8_t) ((length < LENGTH_8    ? length
                                   : length < LENGTH_16 ? 13u
                                                        : 14u)
                                          << 4 |
                                  n_token);
        if (length >= LENGTH_16) {
                buffer[at++] = (uint8_t) ((length - LENGTH_16) >> 8);
                buffer[at++] = (uint8_t) (length - LENGTH_16);
        } else if (length >= LENGTH_8)
                buffer[at++] = (uint8_t) (length - LENGTH_8);
        buffer[at++] = message[1];
        memcpy(buffer + at, message + UDP_HEAD, n - UDP_HEAD);
        return (int) (at + n - UDP_HEAD);
}
