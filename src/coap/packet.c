/* SPDX-License-Identifier: Apache-2.0 */
#include "coap/packet.h"

#include <string.h>

#include "coap/option.h"

#define FNV_BASIS UINT64_C(0xcbf29ce484222325)
#define FNV_PRIME UINT64_C(0x100000001b3)
#define SEGMENT_MAX 255u

/* --- in --- */

static void mix(Packet *p, const void *data, size_t n) {
        const uint8_t *v = data;

        for (size_t i = 0; i < n; i++)
                p->fingerprint = (p->fingerprint ^ v[i]) * FNV_PRIME;
}

static void refuse(Packet *p, uint8_t code) {
        if (p->refusal == 0)
                p->refusal = code;
}

static size_t option_header_size(unsigned delta, size_t n) {
        return 1 +
               (delta >= 269  ? 2u
                : delta >= 13 ? 1u
                              : 0u) +
               (n >= 269  ? 2u
                : n >= 13 ? 1u
                          : 0u);
}

void packet_begin(Packet *p, uint8_t type, uint8_t code, uint16_t mid, const uint8_t *token,
                  size_t n_token) {
        /* The large arrays at the end need no clearing. */
        memset(p, 0, offsetof(Packet, text));
        p->type = type;
        p->code = code;
        p->mid = mid;
        p->format = p->accept = p->observe = p->no_response = -1;
        p->size1 = p->size2 = p->max_age = -1;
        p->token.n = (uint8_t) MIN(n_token, PACKET_TOKEN_MAX);
        if (p->token.n > 0)
                memcpy(p->token.v, token, p->token.n);
        p->size = 4 + p->token.n;
        p->fingerprint = FNV_BASIS;
        mix(p, &code, sizeof(code));
        mix(p, p->token.v, p->token.n);
        p->key[p->n_key++] = code;
}

void packet_begin_stream(Packet *p, uint8_t code, const uint8_t *token, size_t n_token) {
        packet_begin(p, PACKET_NON, code, 0, token, n_token);
        p->stream = true;
}

/* Options with one small number; a second one is a critical or elective option repeated, which RFC
 * 7252, section 5.4.5, treats like one not understood. */
static bool take_uint(Packet *p, const uint8_t *value, size_t n, size_t n_max, int64_t *field,
                      int64_t max) {
        int64_t v = 0;

        if (n > n_max || *field >= 0)
                return false;
        for (size_t i = 0; i < n; i++)
                v = v << 8 | value[i];
        if (v > max)
                return false;
        *field = v;
        return true;
}

static bool take_int(Packet *p, const uint8_t *value, size_t n, size_t n_max, int *field, int max) {
        int64_t v = *field;

        if (!take_uint(p, value, n, n_max, &v, max))
                return false;
        *field = (int) v;
        return true;
}

static void take_text(Packet *p, const uint8_t *value, size_t n, const char **list, size_t *n_list,
                      uint8_t code) {
        if (n > SEGMENT_MAX || memchr(value, 0, n) ||
            !g_utf8_validate((const char *) value, (gssize) n, NULL)) {
                refuse(p, CODE(4, 0));
                return;
        }
        if (*n_list == PACKET_SEGMENTS_MAX || p->n_text + n + 1 > sizeof(p->text)) {
                refuse(p, code);
                return;
        }
        list[(*n_list)++] = p->text + p->n_text;
        memcpy(p->text + p->n_text, value, n);
        p->text[p->n_text + n] = 0;
        p->n_text += n + 1;
}

static void take_block(Packet *p, const uint8_t *value, size_t n, bool *has, Block *block) {
        if (*has || block_parse(value, n, p->stream, block) < 0)
                refuse(p, CODE(4, 0));
        else
                *has = true;
}

static void add_key(Packet *p, uint16_t number, const uint8_t *value, size_t n) {
        if (n > SEGMENT_MAX || p->n_key + n + 2 > sizeof(p->key))
                return; /* refused where the option is taken */
        p->key[p->n_key++] = (uint8_t) number;
        p->key[p->n_key++] = (uint8_t) n;
        memcpy(p->key + p->n_key, value, n);
        p->n_key += n;
}

/* A number may come with zeros in front and is the same (RFC 7252, section 3.2). */
static void add_key_uint(Packet *p, uint16_t number, const uint8_t *value, size_t n) {
        for (; n > 0 && *value == 0; n--)
                value++;
        add_key(p, number, value, n);
}

static void add_tail(Packet *p, uint8_t mark, const uint8_t *value, size_t n) {
        if (p->n_tail + n + 2 > sizeof(p->tail)) {
                refuse(p, CODE(4, 2));
                return;
        }
        p->tail[p->n_tail++] = mark;
        p->tail[p->n_tail++] = (uint8_t) n;
        memcpy(p->tail + p->n_tail, value, n);
        p->n_tail += n;
}

static void take_etag(Packet *p, const uint8_t *value, size_t n) {
        if (p->n_etag > 0 || n == 0 || n > PACKET_ETAG_MAX)
                return; /* of several in a request none is used */
        memcpy(p->etag, value, n);
        p->n_etag = (uint8_t) n;
}

static void take_echo(Packet *p, const uint8_t *value, size_t n) {
        if (n == 0 || n > sizeof(p->echo))
                return; /* elective */
        memcpy(p->echo, value, n);
        p->n_echo = (uint8_t) n;
}

static void take_oscore(Packet *p, const uint8_t *value, size_t n) {
        if (p->has_oscore || n > UINT8_MAX) {
                refuse(p, CODE(4, 2));
                return;
        }
        p->has_oscore = true;
        p->oscore = value;
        p->n_oscore = (uint8_t) n;
}

/* Critical options, those of an odd number, that ask for what is not done here must not be passed
 * over in silence (RFC 7252, section 5.4.1). libcoap has looked for them, but not in what was
 * decrypted, and not over TCP. */
static void take_other(Packet *p, uint16_t number) {
        if (number == OPTION_PROXY_URI || number == OPTION_PROXY_SCHEME)
                refuse(p, CODE(5, 5));
        else if (number % 2 == 1 && number != OPTION_URI_HOST && number != OPTION_URI_PORT)
                refuse(p, CODE(4, 2));
}

void packet_option(Packet *p, uint16_t number, const uint8_t *value, size_t n) {
        static const uint8_t none[1];

        if (!value)
                value = none;
        p->size += option_header_size((unsigned) (number - p->last), n) + n;
        p->last = number;
        mix(p, &number, sizeof(number));
        mix(p, value, n);

        switch (number) {
        case OPTION_ETAG:
                take_etag(p, value, n);
                break;
        case OPTION_OBSERVE:
                take_int(p, value, n, 3, &p->observe, 0xffffff);
                break;
        case OPTION_LOCATION_PATH:
        case OPTION_URI_PATH:
                if ((p->code < CODE(2, 0)) != (number == OPTION_URI_PATH))
                        break; /* means nothing in this kind of message */
                add_key(p, number, value, n);
                take_text(p, value, n, p->path, &p->n_path, CODE(4, 4));
                break;
        case OPTION_FORMAT:
                add_tail(p, 'f', value, n);
                if (!take_int(p, value, n, 2, &p->format, 0xffff))
                        refuse(p, CODE(4, 15));
                break;
        case OPTION_URI_QUERY:
                add_key(p, number, value, n);
                take_text(p, value, n, p->query, &p->n_query, CODE(4, 0));
                break;
        case OPTION_ACCEPT:
                add_key_uint(p, number, value, n);
                if (!take_int(p, value, n, 2, &p->accept, 0xffff))
                        refuse(p, CODE(4, 2));
                break;
        case OPTION_MAX_AGE:
                take_uint(p, value, n, 4, &p->max_age, UINT32_MAX);
                break;
        case OPTION_BLOCK2:
                take_block(p, value, n, &p->has_block2, &p->block2);
                break;
        case OPTION_BLOCK1:
                take_block(p, value, n, &p->has_block1, &p->block1);
                break;
        case OPTION_SIZE2:
                take_uint(p, value, n, 4, &p->size2, UINT32_MAX);
                break;
        case OPTION_SIZE1:
                take_uint(p, value, n, 4, &p->size1, UINT32_MAX);
                break;
        case OPTION_OSCORE:
                take_oscore(p, value, n);
                break;
        case OPTION_ECHO:
                take_echo(p, value, n);
                break;
        case OPTION_NO_RESPONSE:
                take_int(p, value, n, 1, &p->no_response, 0xff);
                break;
        case OPTION_REQUEST_TAG:
                add_tail(p, 't', value, n);
                break;
        default:
                take_other(p, number);
        }
}

void packet_end(Packet *p, const uint8_t *data, size_t n) {
        p->payload = data;
        p->n_payload = n;
        if (n > 0)
                p->size += 1 + n;
        mix(p, &n, sizeof(n));
        p->path[p->n_path] = NULL;
        p->query[p->n_query] = NULL;
        /* libcoap reads so much of a datagram and drops the rest without a word. */
        if (!p->stream && p->size >= PACKET_IN_MAX)
                refuse(p, CODE(4, 13));
}

const uint8_t *packet_key(Packet *p, bool upload, size_t *ret_n) {
        size_t n = MIN(p->n_tail, sizeof(p->key) - p->n_key);

        if (upload)
                memcpy(p->key + p->n_key, p->tail, n);
        *ret_n = p->n_key + (upload ? n : 0);
        return p->key;
}

Message packet_message(const Packet *p, GBytes *token, GBytes *payload) {
        return (Message){
                .code = p->code,
                .confirmable = p->type == PACKET_CON || p->type == PACKET_ACK,
                .format = p->format,
                .accept = p->accept,
                .observe = p->observe,
                .max_age = p->max_age,
                .path = p->n_path > 0 ? p->path : NULL,
                .query = p->n_query > 0 ? p->query : NULL,
                .token = token,
                .payload = payload,
        };
}

/* --- out --- */

static void put_uint(OptionWriter *w, uint16_t number, uint32_t v) {
        uint8_t bytes[4] = { (uint8_t) (v >> 24), (uint8_t) (v >> 16), (uint8_t) (v >> 8),
                             (uint8_t) v };
        size_t skip = 0;

        while (skip < 4 && bytes[skip] == 0)
                skip++;
        option_write(w, number, bytes + skip, 4 - skip);
}

static void put_strings(OptionWriter *w, uint16_t number, const char *const *v) {
        for (; v && *v; v++) {
                size_t n = strlen(*v);

                if (n > SEGMENT_MAX)
                        w->error = w->error ?: -EINVAL;
                else
                        option_write(w, number, *v, n);
        }
}

static void put_number(OptionWriter *w, uint16_t number, int v, int max) {
        if (v > max)
                w->error = w->error ?: -EINVAL;
        else if (v >= 0)
                put_uint(w, number, (uint32_t) v);
}

/* In ascending order of the option numbers. */
static void put_options(OptionWriter *w, const PacketOut *o) {
        static const Message none = { .format = -1, .accept = -1, .observe = -1 };
        const Message *m = o->message ?: &none;

        if (o->etag)
                option_write(w, OPTION_ETAG, o->etag, PACKET_ETAG_MAX);
        put_number(w, OPTION_OBSERVE, m->observe, 0xffffff);
        if (!o->request)
                put_strings(w, OPTION_LOCATION_PATH, m->path);
        else
                put_strings(w, OPTION_URI_PATH, m->path);
        put_number(w, OPTION_FORMAT, m->format, 0xffff);
        if (o->max_age >= 0)
                put_uint(w, OPTION_MAX_AGE, (uint32_t) MIN(o->max_age, UINT32_MAX));
        if (o->request)
                put_strings(w, OPTION_URI_QUERY, m->query);
        put_number(w, OPTION_ACCEPT, m->accept, 0xffff);
        if (o->block2)
                put_uint(w, OPTION_BLOCK2, block_value(o->block2));
        if (o->block1)
                put_uint(w, OPTION_BLOCK1, block_value(o->block1));
        if (o->size2 >= 0)
                put_uint(w, OPTION_SIZE2, (uint32_t) MIN(o->size2, UINT32_MAX));
        if (o->size1 >= 0)
                put_uint(w, OPTION_SIZE1, (uint32_t) MIN(o->size1, UINT32_MAX));
        if (o->n_echo > 0)
                option_write(w, OPTION_ECHO, o->echo, o->n_echo);
}

int packet_write(const PacketOut *o, uint8_t *buffer, size_t n_buffer) {
        OptionWriter w = { .pos = buffer, .end = buffer + n_buffer };
        uint8_t code = o->message ? o->message->code : o->code;
        uint8_t header[4] = { (uint8_t) (0x40 | o->type << 4 | o->token.n), code,
                              (uint8_t) (o->mid >> 8), (uint8_t) o->mid };

        option_put(&w, header, sizeof(header));
        option_put(&w, o->token.v, o->token.n);
        put_options(&w, o);
        if (o->n_payload > 0) {
                option_put(&w, "\xff", 1);
                option_put(&w, o->payload, o->n_payload);
        }
        return w.error ?: (int) (w.pos - buffer);
}

void packet_set_mid(uint8_t *buffer, uint16_t mid) {
        buffer[2] = (uint8_t) (mid >> 8);
        buffer[3] = (uint8_t) mid;
}
