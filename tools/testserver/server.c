/* SPDX-License-Identifier: Apache-2.0 */
#include "server.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "stream.h"

typedef struct Delayed {
        Server *server;
        Address to;
        GBytes *bytes;
        bool raw;
} Delayed;

static void transmit(Server *s, const Address *to, GBytes *bytes, bool raw) {
        size_t length;
        const void *data = g_bytes_get_data(bytes, &length);

        if (s->streams) {
                streams_send(s, to, bytes, raw);
                return;
        }
        if (sendto(s->fd, data, length, 0, (const struct sockaddr *) &to->storage, to->length) < 0)
                fprintf(stderr, "lwm2m-testserver: cannot send: %s\n", strerror(errno));
}

static void delayed_free(void *p) {
        g_bytes_unref(((Delayed *) p)->bytes);
        g_free(p);
}

static gboolean on_delay(void *p) {
        Delayed *d = p;

        transmit(d->server, &d->to, d->bytes, d->raw);
        return G_SOURCE_REMOVE;
}

static void send_copies(Server *s, const Address *to, GBytes *bytes, bool raw, unsigned first_ms,
                        unsigned copies, unsigned delay_ms) {
        for (unsigned i = 0; i < copies; i++, first_ms += delay_ms) {
                Delayed *d;

                if (first_ms == 0) {
                        transmit(s, to, bytes, raw);
                        continue;
                }
                d = g_new0(Delayed, 1);
                *d = (Delayed){ .server = s, .to = *to, .bytes = g_bytes_ref(bytes), .raw = raw };
                g_timeout_add_full(G_PRIORITY_DEFAULT, first_ms, on_delay, d, delayed_free);
        }
}

void server_send(Server *s, const Address *to, GBytes *bytes, unsigned first_ms, unsigned copies,
                 unsigned delay_ms) {
        send_copies(s, to, bytes, false, first_ms, copies, delay_ms);
}

void server_send_raw(Server *s, const Address *to, GBytes *bytes, unsigned copies,
                     unsigned delay_ms) {
        send_copies(s, to, bytes, true, 0, copies, delay_ms);
}

void server_send_empty(Server *s, const Address *to, WireType type, uint16_t mid) {
        uint8_t data[4] = { (uint8_t) (1 << 6 | type << 4), 0, (uint8_t) (mid >> 8),
                            (uint8_t) mid };
        g_autoptr(GBytes) bytes = g_bytes_new(data, sizeof(data));

        server_send(s, to, bytes, 0, 1, 0);
}

Token server_token(Server *s) {
        uint64_t value = s->next_token++;
        Token token = { .length = sizeof(token.bytes) };

        for (size_t i = 0; i < sizeof(token.bytes); i++)
                token.bytes[i] = (uint8_t) (value >> (56 - 8 * i));
        return token;
}

Registration *server_by_endpoint(Server *s, const char *endpoint) {
        for (guint i = s->registrations->len; i > 0; i--) {
                Registration *reg = s->registrations->pdata[i - 1];

                if (!endpoint || g_strcmp0(reg->endpoint, endpoint) == 0)
                        return reg;
        }
        return NULL;
}

Registration *server_by_location(Server *s, const char *location) {
        for (guint i = 0; i < s->registrations->len; i++) {
                Registration *reg = s->registrations->pdata[i];

                if (g_strcmp0(reg->location, location) == 0)
                        return reg;
        }
        return NULL;
}

Registration *server_by_address(Server *s, const Address *a) {
        for (guint i = s->registrations->len; i > 0; i--) {
                Registration *reg = s->registrations->pdata[i - 1];

                if (address_equal(&reg->peer, a))
                        return reg;
        }
        return NULL;
}
