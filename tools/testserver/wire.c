/* SPDX-License-Identifier: Apache-2.0 */
#include "wire.h"

#include <errno.h>
#include <string.h>

static void option_clear(void *p) {
        g_clear_pointer(&((Option *) p)->value, g_bytes_unref);
}

GArray *options_new(void) {
        GArray *options = g_array_new(FALSE, TRUE, sizeof(Option));

        g_array_set_clear_func(options, option_clear);
        return options;
}

void options_add(GArray *options, uint16_t number, const void *value, size_t length) {
        Option o = { .number = number, .value = g_bytes_new(value, length) };

        g_array_append_val(options, o);
}

void options_add_uint(GArray *options, uint16_t number, uint32_t value) {
        uint8_t bytes[4] = { value >> 24, value >> 16, value >> 8, value };
        size_t skip = 0;

        while (skip < sizeof(bytes) && bytes[skip] == 0)
                skip++;
        options_add(options, number, bytes + skip, sizeof(bytes) - skip);
}

Message *message_new(WireType type, uint8_t code, uint16_t mid, const Token *token) {
        Message *m = g_new0(Message, 1);

        m->type = type;
        m->code = code;
        m->mid = mid;
        if (token)
                m->token = *token;
        m->options = options_new();
        return m;
}

Message *message_free(Message *m) {
        if (m) {
                g_clear_pointer(&m->options, g_array_unref);
                g_clear_pointer(&m->payload, g_bytes_unref);
        }
        g_free(m);
        return NULL;
}

int message_uint(const Message *m, uint16_t number, uint32_t *ret) {
        for (guint i = 0; i < m->options->len; i++) {
                const Option *o = &g_array_index(m->options, Option, i);
                const uint8_t *bytes;
                uint32_t value = 0;
                size_t length;

                if (o->number != number)
                        continue;
                bytes = g_bytes_get_data(o->value, &length);
                if (length > sizeof(value))
                        return -EBADMSG;
                for (size_t k = 0; k < length; k++)
                        value = value << 8 | bytes[k];
                *ret = value;
                return 0;
        }
        return -ENOENT;
}

int message_block(const Message *m, uint16_t number, Block *ret) {
        uint32_t value;
        int r = message_uint(m, number, &value);

        if (r < 0)
                return r;
        if (value >> 24)
                return -EBADMSG;
        *ret = (Block){ .num = value >> 4, .more = value >> 3 & 1, .szx = value & 7 };
        return 0;
}

char *message_joined(const Message *m, uint16_t number, char separator) {
        GString *text = g_string_new(NULL);

        for (guint i = 0; i < m->options->len; i++) {
                const Option *o = &g_array_index(m->options, Option, i);
                size_t length;
                const char *value;

                if (o->number != number)
                        continue;
                value = g_bytes_get_data(o->value, &length);
                g_string_append_c(text, separator);
                g_string_append_len(text, value, (gssize) length);
        }
        return g_string_free(text, FALSE);
}

static size_t block_unit(const Block *b) {
        return (size_t) 16 << MIN(b->szx, 6);
}

size_t block_offset(const Block *b) {
        return b->num * block_unit(b);
}

bool block_fits(const Block *b, size_t length) {
        if (b->szx == 7)
                return !b->more || (length > 0 && length % block_unit(b) == 0);
        return b->more ? length == block_unit(b) : length <= block_unit(b);
}

/* The nibbles 13 and 14 stand for one and two more bytes; 15 belongs to the payload marker alone.
 */
static int take_nibble(const uint8_t **p, const uint8_t *end, unsigned nibble, uint32_t *ret) {
        if (nibble == 15)
                return -EBADMSG;
        if (nibble < 13) {
                *ret = nibble;
                return 0;
        }
        if (nibble == 13) {
                if (end - *p < 1)
                        return -EBADMSG;
                *ret = 13U + *(*p)++;
                return 0;
        }
        if (end - *p < 2)
                return -EBADMSG;
        *ret = 269U + ((uint32_t) (*p)[0] << 8 | (*p)[1]);
        *p += 2;
        return 0;
}

static int parse_options(Message *m, const uint8_t *p, const uint8_t *end) {
        uint32_t number = 0, delta, length;
        int r;

        while (p < end && *p != 0xff) {
                uint8_t head = *p++;

                r = take_nibble(&p, end, head >> 4, &delta);
                if (r >= 0)
                        r = take_nibble(&p, end, head & 15, &length);
                if (r < 0)
                        return r;
                number += delta;
                if (number > UINT16_MAX || length > (size_t) (end - p))
                        return -EBADMSG;
                options_add(m->options, (uint16_t) number, p, length);
                p += length;
        }
        if (p == end)
                return 0;
        if (++p == end)
                return -EBADMSG; /* a marker without a payload */
        m->payload = g_bytes_new(p, (size_t) (end - p));
        return 0;
}

int message_parse(const uint8_t *data, size_t length, Message **ret) {
        g_autoptr(Message) m = NULL;
        Token token = { 0 };
        int r;

        if (length < 4 || data[0] >> 6 != 1)
                return -EBADMSG;
        token.length = data[0] & 15;
        if (token.length > sizeof(token.bytes) || length < 4U + token.length)
                return -EBADMSG;
        if (data[1] == 0 && length != 4)
                return -EBADMSG; /* an empty message is four bytes */
        memcpy(token.bytes, data + 4, token.length);

        m = message_new((WireType) (data[0] >> 4 & 3), data[1], (uint16_t) (data[2] << 8 | data[3]),
                        &token);
        r = parse_options(m, data + 4 + token.length, data + length);
        if (r < 0)
                return r;
        *ret = g_steal_pointer(&m);
        return 0;
}

static uint8_t put_nibble(uint32_t value, uint8_t extra[2], size_t *ret_length) {
        if (value < 13) {
                *ret_length = 0;
                return (uint8_t) value;
        }
        if (value < 269) {
                extra[0] = (uint8_t) (value - 13);
                *ret_length = 1;
                return 13;
        }
        extra[0] = (uint8_t) ((value - 269) >> 8);
        extra[1] = (uint8_t) (value - 269);
        *ret_length = 2;
        return 14;
}

static void put_option(GByteArray *out, uint32_t delta, GBytes *value) {
        uint8_t delta_extra[2] = { 0 }, length_extra[2] = { 0 }, head;
        size_t n_delta, n_length, length;
        const uint8_t *bytes = g_bytes_get_data(value, &length);

        head = (uint8_t) (put_nibble(delta, delta_extra, &n_delta) << 4);
        head |= put_nibble((uint32_t) length, length_extra, &n_length);
        g_byte_array_append(out, &head, 1);
        g_byte_array_append(out, delta_extra, (guint) n_delta);
        g_byte_array_append(out, length_extra, (guint) n_length);
        if (length > 0)
                g_byte_array_append(out, bytes, (guint) length);
}

static void put_options(GByteArray *out, const GArray *options) {
        uint32_t last = 0;

        for (;;) {
                uint32_t next = UINT32_MAX;

                for (guint i = 0; i < options->len; i++) {
                        uint32_t number = g_array_index(options, Option, i).number;

                        if ((number > last || (last == 0 && out->len == 0)) && number < next)
                                next = number;
                }
                if (next == UINT32_MAX)
                        return;
                for (guint i = 0, first = 1; i < options->len; i++) {
                        const Option *o = &g_array_index(options, Option, i);

                        if (o->number != next)
                                continue;
                        put_option(out, first ? next - last : 0, o->value);
                        first = 0;
                }
                last = next;
        }
}

GBytes *message_encode(const Message *m) {
        g_autoptr(GByteArray) options = g_byte_array_new();
        GByteArray *out = g_byte_array_new();
        uint8_t head[4] = { (uint8_t) (1 << 6 | m->type << 4 | m->token.length), m->code,
                            (uint8_t) (m->mid >> 8), (uint8_t) m->mid };

        g_byte_array_append(out, head, sizeof(head));
        g_byte_array_append(out, m->token.bytes, m->token.length);
        put_options(options, m->options);
        if (options->len > 0)
                g_byte_array_append(out, options->data, options->len);
        if (m->payload && g_bytes_get_size(m->payload) > 0) {
                size_t length;
                const uint8_t *bytes = g_bytes_get_data(m->payload, &length);

                g_byte_array_append(out, (const uint8_t *) "\xff", 1);
                g_byte_array_append(out, bytes, (guint) length);
        }
        return g_byte_array_free_to_bytes(out);
}
