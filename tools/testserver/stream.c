/* SPDX-License-Identifier: Apache-2.0 */
#include "stream.h"

#include <errno.h>
#include <glib-unix.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "inbound.h"
#include "report.h"
#include "stream_tls.h"

#define FRAME_MAX (8U << 20)

enum { CSM = WIRE_CODE(7, 1), PING, PONG, RELEASE, ABORT };

typedef struct Stream {
        Server *server;
        Address peer;
        int fd;
        guint source;
        SSL *ssl; /* NULL: without */
        bool secured, open;
        GByteArray *in, *out;
        uint32_t max_message;
        bool blocks;
        uint16_t next_mid;
} Stream;

struct Streams {
        StreamConfig config;
        SSL_CTX *context;
        guint source;
        GPtrArray *list;
        unsigned n_connections;
};

static gboolean on_ready(int fd, GIOCondition condition, void *userdata);

static cJSON *stream_event(const Stream *x, const char *name) {
        cJSON *event = report_event(name);
        g_autofree char *address = address_to_string(&x->peer);

        cJSON_AddStringToObject(event, "addr", address);
        return event;
}

static void stream_free(void *p) {
        Stream *x = p;

        if (x->source != 0)
                g_source_remove(x->source);
        if (x->ssl) /* else OpenSSL drops the session of a client that has gone without a word */
                SSL_set_shutdown(x->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
        SSL_free(x->ssl);
        close(x->fd);
        g_byte_array_unref(x->in);
        g_byte_array_unref(x->out);
        g_free(x);
}

static void end(Stream *x, const char *reason) {
        cJSON *event = stream_event(x, "disconnected");

        cJSON_AddStringToObject(event, "reason", reason);
        report_print(event);
        g_ptr_array_remove(x->server->streams->list, x);
}

static Stream *find(Server *s, const Address *to) {
        for (guint i = 0; s->streams && i < s->streams->list->len; i++) {
                Stream *x = s->streams->list->pdata[i];

                if (address_equal(&x->peer, to))
                        return x;
        }
        return NULL;
}

/* --- out --- */

static void watch(Stream *x) {
        GIOCondition wanted = G_IO_IN | (x->out->len > 0 ? G_IO_OUT : 0);

        if (x->source != 0)
                g_source_remove(x->source);
        x->source = g_unix_fd_add(x->fd, wanted, on_ready, x);
}

static void flush(Stream *x) {
        while (x->out->len > 0) {
                ssize_t n = x->ssl ? tls_write(x->ssl, x->out->data, x->out->len)
                                   : send(x->fd, x->out->data, x->out->len, MSG_NOSIGNAL);

                if (n <= 0)
                        break; /* later, or the reader finds out */
                g_byte_array_remove_range(x->out, 0, (guint) n);
        }
        watch(x);
}

static void put_frame(Stream *x, uint8_t code, const uint8_t *token, size_t n_token,
                      const uint8_t *body, size_t n_body) {
        uint8_t head[6];
        size_t n = 0;

        head[n++] = (uint8_t) ((n_body < 13      ? n_body
                                : n_body < 269   ? 13
                                : n_body < 65805 ? 14
                                                 : 15)
                                       << 4 |
                               n_token);
        if (n_body >= 65805)
                for (int shift = 24; shift >= 0; shift -= 8)
                        head[n++] = (uint8_t) ((n_body - 65805) >> shift);
        else if (n_body >= 269) {
                head[n++] = (uint8_t) ((n_body - 269) >> 8);
                head[n++] = (uint8_t) (n_body - 269);
        } else if (n_body >= 13)
                head[n++] = (uint8_t) (n_body - 13);
        head[n++] = code;
        g_byte_array_append(x->out, head, (guint) n);
        if (n_token > 0)
                g_byte_array_append(x->out, token, (guint) n_token);
        if (n_body > 0)
                g_byte_array_append(x->out, body, (guint) n_body);
}

void streams_send(Server *s, const Address *to, GBytes *bytes, bool raw) {
        Stream *x = find(s, to);
        size_t n, n_token;
        const uint8_t *data = g_bytes_get_data(bytes, &n);

        if (!x)
                return; /* as a datagram to nobody */
        if (raw)
                g_byte_array_append(x->out, data, (guint) n);
        else if (n > 4 || data[1] != 0) {
                n_token = data[0] & 15;
                put_frame(x, data[1], data + 4, n_token, data + 4 + n_token, n - 4 - n_token);
        }
        flush(x);
}

static void send_csm(Stream *x) {
        const StreamConfig *c = &x->server->streams->config;
        uint32_t max = c->max_message;
        uint8_t body[8], n = 4, *pos = body;

        if (c->no_csm)
                return;
        while (n > 1 && max >> (8 * (n - 1)) == 0)
                n--;
        *pos++ = (uint8_t) (2 << 4 | n);
        for (unsigned i = n; i > 0; i--)
                *pos++ = (uint8_t) (max >> (8 * (i - 1)));
        if (!c->no_blocks)
                *pos++ = 2 << 4;
        put_frame(x, CSM, NULL, 0, body, (size_t) (pos - body));
        flush(x);
}

/* --- in --- */

static void take_csm(Stream *x, const Message *m) {
        uint32_t value;

        if (message_uint(m, 2, &value) >= 0)
                x->max_message = value;
        x->blocks |= message_uint(m, 4, &value) >= 0;
        x->open = true;
}

/* false when the connection is over. */
static bool take_signal(Stream *x, const Message *m) {
        cJSON *event = stream_event(x, "signal");

        report_message(event, m);
        (void) report_body(event, m->payload, NULL);
        report_print(event);
        if (m->code == CSM)
                take_csm(x, m);
        else if (m->code == PING && x->server->pong) {
                put_frame(x, PONG, m->token.bytes, m->token.length, NULL, 0);
                flush(x);
        }
        return m->code != RELEASE && m->code != ABORT;
}

/* A frame as a datagram; bytes it takes, 0 when it is not whole, or -EBADMSG. */
static ssize_t take_frame(Stream *x, GByteArray *datagram) {
        const uint8_t *data = x->in->data;
        size_t n_extended, n_token, n_body, head;

        if (x->in->len < 2)
                return 0;
        n_body = data[0] >> 4;
        n_token = data[0] & 15;
        n_extended = n_body < 13 ? 0 : (size_t) 1 << (n_body - 13);
        head = 2 + n_extended;
        if (n_token > 8)
                return -EBADMSG;
        if (x->in->len < head)
                return 0;
        if (n_extended > 0) {
                static const size_t base[] = { 13, 269, 65805 };
                size_t v = 0;

                for (size_t i = 0; i < n_extended; i++)
                        v = v << 8 | data[1 + i];
                n_body = base[n_body - 13] + v;
        }
        if (n_body > FRAME_MAX)
                return -EBADMSG;
        if (x->in->len < head + n_token + n_body)
                return 0;
        g_byte_array_set_size(datagram, 4);
        datagram->data[0] = (uint8_t) (0x50 | n_token);
        datagram->data[1] = data[head - 1];
        datagram->data[2] = (uint8_t) (x->next_mid >> 8);
        datagram->data[3] = (uint8_t) x->next_mid;
        x->next_mid++;
        g_byte_array_append(datagram, data + head, (guint) (n_token + n_body));
        return (ssize_t) (head + n_token + n_body);
}

/* false when the connection is over. */
static bool take_message(Stream *x, const GByteArray *datagram) {
        Server *s = x->server;
        Address from = x->peer;
        g_autoptr(Message) m = NULL;

        if (datagram->data[1] == 0)
                return true; /* an empty message */
        if (datagram->data[1] >> 5 != 7) {
                inbound_take(s, &from, datagram->data, datagram->len);
                return find(s, &from) == x;
        }
        if (message_parse(datagram->data, datagram->len, &m) < 0) {
                end(x, "broken signal");
                return false;
        }
        if (take_signal(x, m))
                return true;
        end(x, m->code == RELEASE ? "released by the client" : "aborted by the client");
        return false;
}

/* false when the connection is over. */
static bool take_all(Stream *x) {
        g_autoptr(GByteArray) datagram = g_byte_array_new();
        ssize_t n;

        while ((n = take_frame(x, datagram)) > 0) {
                g_byte_array_remove_range(x->in, 0, (guint) n);
                if (!take_message(x, datagram))
                        return false;
        }
        if (n < 0)
                end(x, "no frame");
        return n >= 0;
}

static bool secure(Stream *x) {
        cJSON *event;
        int r;

        if (!x->ssl || x->secured)
                return true;
        r = tls_accept(x->ssl);
        if (r == 0)
                return false;
        if (r < 0) {
                end(x, tls_reason());
                return false;
        }
        x->secured = true;
        event = stream_event(x, "handshake");
        tls_describe(x->ssl, event);
        report_print(event);
        send_csm(x);
        return true;
}

static gboolean on_ready(int fd, GIOCondition condition, void *userdata) {
        Stream *x = userdata;
        uint8_t buffer[65536];
        ssize_t n;

        if (!secure(x))
                return G_SOURCE_CONTINUE;
        if (condition & G_IO_OUT)
                flush(x);
        do {
                n = x->ssl ? tls_read(x->ssl, buffer, sizeof(buffer))
                           : recv(fd, buffer, sizeof(buffer), 0);
                if (n > 0)
                        g_byte_array_append(x->in, buffer, (guint) n);
        } while (n > 0 && x->ssl); /* what OpenSSL holds does not show at the socket */
        if (n < 0 && errno == EAGAIN)
                n = 1;
        if (take_all(x) && n <= 0)
                end(x, n == 0 ? "closed by the client" : strerror(errno));
        return G_SOURCE_CONTINUE;
}

static gboolean on_connection(int fd, GIOCondition condition, void *userdata) {
        Server *s = userdata;
        Address peer = { .length = sizeof(peer.storage) };
        int c = accept4(fd, (struct sockaddr *) &peer.storage, &peer.length,
                        SOCK_NONBLOCK | SOCK_CLOEXEC);
        Stream *x;
        cJSON *event;

        if (c < 0)
                return G_SOURCE_CONTINUE;
        (void) setsockopt(c, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int));
        x = g_new0(Stream, 1);
        *x = (Stream){ .server = s,
                       .peer = peer,
                       .fd = c,
                       .in = g_byte_array_new(),
                       .out = g_byte_array_new(),
                       .max_message = 1152,
                       .next_mid = (uint16_t) g_random_int() };
        if (s->streams->context)
                x->ssl = tls_new(s->streams->context, c);
        g_ptr_array_add(s->streams->list, x);
        event = stream_event(x, "connected");
        cJSON_AddNumberToObject(event, "number", ++s->streams->n_connections);
        report_print(event);
        watch(x);
        if (!x->ssl)
                send_csm(x);
        return G_SOURCE_CONTINUE;
}

/* --- commands --- */

unsigned streams_block_size(Server *s, const Address *to) {
        const Stream *x = find(s, to);

        /* Some bytes are for the options. */
        if (!x || !x->blocks || x->max_message <= 1152)
                return 1024;
        return MAX((MIN(x->max_message, 65536) - 128) / 1024 * 1024, 1024);
}

int streams_disconnect(Server *s, const Address *to, const char *how) {
        Stream *x = find(s, to);
        const struct linger at_once = { .l_onoff = 1 };

        if (!x)
                return -ENOENT;
        if (g_str_equal(how, "release"))
                put_frame(x, RELEASE, NULL, 0, NULL, 0);
        else if (g_str_equal(how, "abort"))
                put_frame(x, ABORT, NULL, 0,
                          (const uint8_t *) "\xff"
                                            "maintenance",
                          12);
        else if (g_str_equal(how, "rst"))
                (void) setsockopt(x->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
        else if (!g_str_equal(how, "fin"))
                return -EINVAL;
        flush(x);
        if (x->ssl && x->secured && !g_str_equal(how, "rst"))
                tls_shutdown(x->ssl);
        g_ptr_array_remove(s->streams->list, x);
        return 0;
}

int streams_ping(Server *s, const Address *to) {
        Stream *x = find(s, to);

        if (!x)
                return -ENOENT;
        put_frame(x, PING, (const uint8_t *) "ping", 4, NULL, 0);
        flush(x);
        return 0;
}

/* --- life --- */

int streams_open(Server *s, const StreamConfig *config, const char *address, uint16_t *ret_port) {
        Streams *t = g_new0(Streams, 1);
        int r;

        t->config = *config;
        t->config.max_message = config->max_message ? config->max_message : 65536;
        t->list = g_ptr_array_new_with_free_func(stream_free);
        s->streams = t;
        r = net_listen(address, &s->fd, &s->family, ret_port);
        if (r < 0)
                return r;
        if (config->psk || config->certificate) {
                t->context = tls_context(&t->config);
                if (!t->context)
                        return -EINVAL;
        }
        t->source = g_unix_fd_add(s->fd, G_IO_IN, on_connection, s);
        return 0;
}

void streams_clear(Server *s) {
        Streams *t = s->streams;

        if (!t)
                return;
        g_ptr_array_unref(t->list);
        tls_context_free(t->context);
        g_free(t);
        s->streams = NULL;
}
