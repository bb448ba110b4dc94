/* SPDX-License-Identifier: Apache-2.0 */
/* Which of several addresses a link goes to: over real sockets at 127.0.0.2, .3 and .4, which are
 * one server by name. */
#include "coap_peer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "coap/hosts.h"
#include "coap/link.h"
#include "lwm2m/account/credentials.h"

#define EARS 3

typedef enum Manners { NOBODY, SILENT, PINGS, ANSWERS, FORGES, COOKIES } Manners;

/* One of the server's addresses. */
typedef struct Ear {
        LoopSource *source;
        Manners manners;
        int fd;
        unsigned n_probes, n_messages;
        in_port_t probe_port, message_port;
        struct sockaddr_in from; /* of the last */
        uint8_t last[256];
        size_t n_last;
} Ear;

typedef struct Bed {
        Fixture *f;
        Ear ears[EARS];
        uint16_t port;
        uint64_t opened_usec;
} Bed;

/* --- the server --- */

static void reply(const Ear *e, const void *bytes, size_t n) {
        (void) sendto(e->fd, bytes, n, 0, (const void *) &e->from, sizeof(e->from));
}

static void answer_probe(const Ear *e) {
        uint8_t reset[] = { 0x70, 0, e->last[2], e->last[3] };
        static const uint8_t hello_verify[] = {
                22, 0xfe, 0xff, 0, 0, 0, 0, 0, 0, 0, 0,    0,    16, 3, 0,
                0,  4,    0,    0, 0, 0, 0, 0, 0, 4, 0xfe, 0xff, 1,  7,
        };

        if (e->manners == FORGES)
                reset[3] ^= 1;
        if (e->manners == COOKIES)
                reply(e, hello_verify, sizeof(hello_verify));
        else
                reply(e, reset, sizeof(reset));
}

static void acknowledge(const Ear *e) {
        const uint8_t n_token = e->last[0] & 15;
        uint8_t ack[4 + PACKET_TOKEN_MAX] = { 0x60 | n_token, CODE(2, 5), e->last[2], e->last[3] };

        memcpy(ack + 4, e->last + 4, n_token);
        reply(e, ack, 4U + n_token);
}

static void on_datagram(void *userdata, int fd, short revents) {
        Ear *e = userdata;
        socklen_t n_from = sizeof(e->from);
        ssize_t n = recvfrom(fd, e->last, sizeof(e->last), 0, (void *) &e->from, &n_from);

        assert_true(n >= 4);
        e->n_last = (size_t) n;
        if (e->last[0] == 22 || e->last[1] == 0) {
                e->n_probes++;
                e->probe_port = e->from.sin_port;
                if (e->manners >= PINGS)
                        answer_probe(e);
                return;
        }
        e->n_messages++;
        e->message_port = e->from.sin_port;
        if (e->manners == ANSWERS)
                acknowledge(e);
}

static void hear(Bed *b, unsigned i, Manners manners) {
        struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(b->port) };
        Ear *e = &b->ears[i];
        socklen_t n = sizeof(at);

        e->manners = manners;
        if (manners == NOBODY || e->fd >= 0)
                return;
        at.sin_addr.s_addr = htonl(0x7f000002 + i);
        e->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        assert_int_equal(bind(e->fd, (const void *) &at, sizeof(at)), 0);
        assert_int_equal(getsockname(e->fd, (void *) &at, &n), 0);
        b->port = ntohs(at.sin_port);
        e->source = loop_add_fd(b->f->loop, e->fd, POLLIN, on_datagram, NULL, e);
}

static int look_up(const char *host, const char *port, const struct addrinfo *hints,
                   struct addrinfo **ret) {
        unsigned n = (unsigned) strtoul(host, NULL, 10);
        struct addrinfo **end = ret;

        for (unsigned i = 0; i < n; i++) {
                g_autofree char *address = g_strdup_printf("127.0.0.%u", 2 + i);
                int r = getaddrinfo(address, port, hints, end);

                if (r)
                        return r;
                end = &(*end)->ai_next;
        }
        return 0;
}

static Bed *bed_new(Manners first, Manners second, Manners third) {
        Bed *b = g_new0(Bed, 1);

        b->f = fixture_new(&(CoapConfig){ .ack_timeout_usec = USEC_PER_SEC });
        b->f->transport->resolver = resolver_free(b->f->transport->resolver);
        assert_int_equal(resolver_new(b->f->loop, look_up, &b->f->transport->resolver), 0);
        for (unsigned i = 0; i < EARS; i++)
                b->ears[i].fd = -1;
        hear(b, 2, third == NOBODY ? SILENT : third); /* for the port */
        hear(b, 1, second);
        hear(b, 0, first);
        return b;
}

static void bed_free(Bed *b) {
        for (unsigned i = 0; i < EARS; i++) {
                loop_source_free(b->ears[i].source);
                if (b->ears[i].fd >= 0)
                        close(b->ears[i].fd);
        }
        fixture_free(b->f);
        g_free(b);
}

/* --- the client --- */

static void close_link(Bed *b) {
        if (b->f->link)
                b->f->ops->close(b->f->link);
        b->f->link = NULL;
        b->f->up = false;
        for (unsigned i = 0; i < EARS; i++)
                b->ears[i].n_probes = b->ears[i].n_messages = 0;
}

static void open_link(Bed *b, const char *name) {
        g_autofree char *uri = g_strdup_printf("coap://%s.test:%u", name, b->port);
        LinkConfig config = { .ssid = 1, .uri = uri };

        close_link(b);
        b->opened_usec = loop_now(b->f->loop);
        assert_int_equal(
                b->f->ops->open(b->f->transport, &config, &fixture_events, b->f, &b->f->link), 0);
}

static unsigned msec_since_open(const Bed *b) {
        return (unsigned) ((loop_now(b->f->loop) - b->opened_usec) / USEC_PER_MSEC);
}

static void assert_peer(Bed *b, const char *address) {
        run_until(b->f, b->f->up);
        assert_true(g_str_has_prefix(b->f->ops->peer(b->f->link), address));
}

static void ask(Bed *b, unsigned ear) {
        Message m = MESSAGE_INIT(METHOD_GET);
        Call *call;

        b->f->answers = 0;
        assert_int_equal(b->f->ops->request(b->f->link, &m, fixture_on_response, b->f, &call), 0);
        run_until(b->f, b->ears[ear].n_messages);
}

static void ask_and_hear(Bed *b, unsigned ear) {
        ask(b, ear);
        run_until(b->f, b->f->answers);
        assert_int_equal(b->f->error, 0);
}

/* --- over UDP --- */

/* Nobody at the first: the last one left is taken, without a probe. */
static void test_refused(void **state) {
        Bed *b = bed_new(NOBODY, ANSWERS, SILENT);

        open_link(b, "2");
        assert_peer(b, "127.0.0.3:");
        assert_true(msec_since_open(b) < 200);
        ask_and_hear(b, 1);
        assert_int_equal(b->ears[1].n_probes, 0);
        bed_free(b);
}

/* Of three, the next comes at once, not after the head start. */
static void test_refused_goes_on(void **state) {
        Bed *b = bed_new(NOBODY, ANSWERS, SILENT);

        open_link(b, "3");
        assert_peer(b, "127.0.0.3:");
        assert_true(msec_since_open(b) < 200);
        assert_int_equal(b->ears[1].n_probes, 1);
        assert_int_equal(b->ears[2].n_probes, 0);
        bed_free(b);
}

/* One that swallows everything: the next answers, and everything goes there, from one port. */
static void test_silent(void **state) {
        Bed *b = bed_new(SILENT, SILENT, ANSWERS);

        open_link(b, "3");
        assert_peer(b, "127.0.0.4:");
        assert_in_range(msec_since_open(b), 450, 4000);
        ask_and_hear(b, 2);
        assert_int_equal(b->ears[0].n_messages + b->ears[1].n_messages, 0);
        assert_true(b->ears[2].probe_port != b->ears[2].message_port);
        bed_free(b);
}

/* The head start: a server that answers at its first address is left alone at the others. */
static void test_first(void **state) {
        Bed *b = bed_new(ANSWERS, ANSWERS, ANSWERS);

        open_link(b, "3");
        assert_peer(b, "127.0.0.2:");
        ask_and_hear(b, 0);
        run_for(b->f, 600, NULL, 0);
        assert_int_equal(b->ears[1].n_probes + b->ears[2].n_probes, 0);
        bed_free(b);
}

/* Who answered last is asked first. */
static void test_remembered(void **state) {
        Bed *b = bed_new(SILENT, ANSWERS, SILENT);

        open_link(b, "2");
        assert_peer(b, "127.0.0.3:");
        ask_and_hear(b, 1);
        hear(b, 0, ANSWERS);
        for (unsigned i = 0; i < 2; i++) {
                open_link(b, "2");
                assert_peer(b, "127.0.0.3:");
                assert_int_equal(b->ears[0].n_probes, 0);
                ask_and_hear(b, 1);
        }
        hear(b, 1, SILENT); /* has gone */
        open_link(b, "2");
        assert_peer(b, "127.0.0.2:");
        bed_free(b);
}

/* … also when that was in another process. */
static void test_place(void **state) {
        Bed *b = bed_new(ANSWERS, ANSWERS, ANSWERS);
        g_autofree char *uri = g_strdup_printf("coap://3.test:%u", b->port);
        LinkConfig config = { .ssid = 1, .uri = uri, .place = { .address = "127.0.0.4" } };

        assert_int_equal(
                b->f->ops->open(b->f->transport, &config, &fixture_events, b->f, &b->f->link), 0);
        assert_peer(b, "127.0.0.4:");
        assert_string_equal(b->f->ops->place(b->f->link).address, "127.0.0.4");
        assert_int_equal(b->ears[0].n_probes + b->ears[1].n_probes, 0);
        bed_free(b);
}

/* Pings are answered, messages are not: the next link begins elsewhere. */
static void test_deaf(void **state) {
        Bed *b = bed_new(PINGS, ANSWERS, SILENT);

        open_link(b, "2");
        assert_peer(b, "127.0.0.2:");
        ask(b, 0);
        open_link(b, "2");
        assert_peer(b, "127.0.0.3:");
        assert_int_equal(b->ears[0].n_probes, 0);
        bed_free(b);
}

/* No probe is answered: the first is taken after a while, and the next one the next time. Where it
 * works in spite of that, nothing is lost on probes any more. */
static void test_mute(void **state) {
        Bed *b = bed_new(SILENT, SILENT, SILENT);

        open_link(b, "2");
        assert_peer(b, "127.0.0.2:");
        assert_in_range(msec_since_open(b), 1400, 4000);
        assert_true(b->ears[0].n_probes >= 2); /* one may get lost */
        ask(b, 0);
        open_link(b, "2");
        assert_peer(b, "127.0.0.3:");
        ask(b, 1);
        acknowledge(&b->ears[1]);
        run_until(b->f, b->f->answers);
        open_link(b, "2");
        assert_peer(b, "127.0.0.3:");
        assert_true(msec_since_open(b) < 200);
        assert_int_equal(b->ears[0].n_probes + b->ears[1].n_probes, 0);
        ask(b, 1); /* silent now: probes are worth their time again */
        open_link(b, "2");
        assert_peer(b, "127.0.0.2:");
        assert_true(b->ears[0].n_probes > 0);
        bed_free(b);
}

/* Of somebody who does not see what we send. */
static void test_forged(void **state) {
        Bed *b = bed_new(FORGES, ANSWERS, SILENT);

        open_link(b, "2");
        assert_peer(b, "127.0.0.3:");
        bed_free(b);
}

static void test_closed_meanwhile(void **state) {
        Bed *b = bed_new(SILENT, SILENT, SILENT);

        open_link(b, "2");
        run_until(b->f, b->ears[0].n_probes);
        assert_int_equal(b->f->ops->busy_until(b->f->link, loop_now(b->f->loop)), UINT64_MAX);
        close_link(b);
        run_for(b->f, 400, NULL, 0);
        assert_false(b->f->up);
        assert_int_equal(b->ears[1].n_probes, 0);
        bed_free(b);
}

/* An address of another family than Bind= is none. */
static void test_options(void **state) {
        Bed *b = bed_new(ANSWERS, SILENT, SILENT);
        g_autofree char *uri = g_strdup_printf("coap://2.test:%u", b->port);
        LinkConfig config = { .ssid = 1, .uri = uri, .socket = { .bind = "::1" } };

        assert_int_equal(
                b->f->ops->open(b->f->transport, &config, &fixture_events, b->f, &b->f->link), 0);
        run_until(b->f, b->f->down);
        assert_int_equal(b->f->down, -EAFNOSUPPORT);
        assert_string_equal(b->f->down_reason, "Bind=::1: the server has no IPv6 address");
        bed_free(b);
}

/* --- over DTLS --- */

static int make_cookie(SSL *ssl, unsigned char *cookie, unsigned *n) {
        memset(cookie, 7, 16);
        *n = 16;
        return 1;
}

static int check_cookie(SSL *ssl, const unsigned char *cookie, unsigned n) {
        return n == 16 && cookie[0] == 7;
}

/* What a server made of OpenSSL says to the probe. */
static uint8_t reply_of_openssl(const uint8_t *probe, size_t n, uint8_t *type) {
        struct sockaddr_in at = { .sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        SSL_CTX *context = SSL_CTX_new(DTLS_server_method());
        BIO_ADDR *from = BIO_ADDR_new();
        socklen_t n_at = sizeof(at);
        int client, server;
        uint8_t bytes[256] = { 0 };
        SSL *ssl;

        server = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        client = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        assert_int_equal(bind(server, (const void *) &at, sizeof(at)), 0);
        assert_int_equal(getsockname(server, (void *) &at, &n_at), 0);
        assert_int_equal(connect(client, (const void *) &at, sizeof(at)), 0);
        SSL_CTX_set_cookie_generate_cb(context, make_cookie);
        SSL_CTX_set_cookie_verify_cb(context, check_cookie);
        ssl = SSL_new(context);
        SSL_set_options(ssl, SSL_OP_COOKIE_EXCHANGE);
        SSL_set_bio(ssl, BIO_new_dgram(server, BIO_CLOSE), NULL);
        BIO_up_ref(SSL_get_rbio(ssl));
        SSL_set0_wbio(ssl, SSL_get_rbio(ssl));
        assert_int_equal(send(client, probe, n, 0), (ssize_t) n);
        assert_int_equal(DTLSv1_listen(ssl, from), 0);
        assert_true(recv(client, bytes, sizeof(bytes), MSG_DONTWAIT) > 13);
        SSL_free(ssl);
        SSL_CTX_free(context);
        BIO_ADDR_free(from);
        close(client);
        *type = bytes[13];
        return bytes[0];
}

static void test_dtls(void **state) {
        Bed *b = bed_new(SILENT, COOKIES, SILENT);
        g_autofree char *uri = g_strdup_printf("coaps://2.test:%u", b->port);
        g_autoptr(Credentials) c = credentials_new(SECURITY_MODE_PSK);
        LinkConfig config = { .ssid = 1, .uri = uri, .credentials = c };
        uint8_t type = 0;
        in_port_t probe_port;

        c->identity = g_bytes_new("id", 2);
        c->secret = g_bytes_new("0123456789abcdef", 16);
        assert_int_equal(
                b->f->ops->open(b->f->transport, &config, &fixture_events, b->f, &b->f->link), 0);
        run_until(b->f, b->ears[0].n_probes);
        assert_int_equal(reply_of_openssl(b->ears[0].last, b->ears[0].n_last, &type), 22);
        assert_int_equal(type, 3); /* HelloVerifyRequest */
        run_until(b->f, b->ears[1].n_probes);
        probe_port = b->ears[1].probe_port;
        b->ears[1].manners = SILENT;
        b->ears[1].n_probes = 0;
        run_until(b->f, b->ears[1].n_probes); /* the handshake, from the link's own port */
        assert_true(b->ears[1].probe_port != probe_port);
        assert_true(g_str_has_prefix(b->f->ops->peer(b->f->link), "127.0.0.3:"));
        bed_free(b);
}

/* --- over TCP --- */

typedef struct Listener {
        int fd, filler[8];
} Listener;

/* full: connections are taken no more; a client waits without a word. */
static bool listen_at(Listener *t, unsigned i, uint16_t *port, bool full) {
        struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(*port) };
        socklen_t n = sizeof(at);
        const int on = 1;

        at.sin_addr.s_addr = htonl(0x7f000002 + i);
        t->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        (void) setsockopt(t->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
        assert_int_equal(bind(t->fd, (const void *) &at, sizeof(at)), 0);
        assert_int_equal(listen(t->fd, full ? 0 : 8), 0);
        assert_int_equal(getsockname(t->fd, (void *) &at, &n), 0);
        *port = ntohs(at.sin_port);
        for (unsigned k = 0; k < G_N_ELEMENTS(t->filler); k++) {
                struct pollfd p = { .events = POLLOUT };

                t->filler[k] = -1;
                if (!full)
                        continue;
                p.fd = t->filler[k] =
                        socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
                (void) connect(p.fd, (const void *) &at, sizeof(at));
                full = poll(&p, 1, 200) > 0;
                if (!full)
                        return true; /* this one waits */
        }
        return t->filler[0] < 0;
}

static void listener_close(Listener *t) {
        for (unsigned k = 0; k < G_N_ELEMENTS(t->filler); k++)
                if (t->filler[k] >= 0)
                        close(t->filler[k]);
        close(t->fd);
}

static void test_tcp(void **state) {
        Bed *b = bed_new(NOBODY, NOBODY, SILENT);
        Listener slow, good;
        uint16_t port = 0;
        g_autofree char *uri = NULL;
        LinkConfig config = { .ssid = 1 };
        uint8_t csm[16];
        int fd = -1;

        assert_true(listen_at(&slow, 1, &port, true));
        (void) listen_at(&good, 2, &port, false);
        config.uri = uri = g_strdup_printf("coap+tcp://3.test:%u", port); /* refused, slow, good */
        b->opened_usec = loop_now(b->f->loop);
        assert_int_equal(
                b->f->ops->open(b->f->transport, &config, &fixture_events, b->f, &b->f->link), 0);
        for (unsigned i = 0; i < 100 && fd < 0; i++) {
                run_for(b->f, 50, NULL, 0);
                fd = accept(good.fd, NULL, NULL);
        }
        assert_true(fd >= 0);
        assert_true(msec_since_open(b) < 3000);
        run_for(b->f, 100, NULL, 0);
        assert_true(recv(fd, csm, sizeof(csm), MSG_DONTWAIT) > 1);
        assert_int_equal(csm[1], 0xe1); /* 7.01 */
        assert_true(g_str_has_prefix(b->f->ops->peer(b->f->link), "127.0.0.4:"));
        close(fd);
        listener_close(&slow);
        listener_close(&good);
        bed_free(b);
}

/* One that takes the connection and says nothing is not the one to begin with the next time. */
static void test_tcp_that_is_of_no_use(void **state) {
        Bed *b = bed_new(NOBODY, NOBODY, SILENT);
        static const char *const peers[] = { "127.0.0.2:", "127.0.0.3:", "127.0.0.2:" };
        Listener first, second;
        uint16_t port = 0;
        g_autofree char *uri = NULL;
        LinkConfig config = { .ssid = 1 };

        (void) listen_at(&first, 0, &port, false);
        (void) listen_at(&second, 1, &port, false);
        config.uri = uri = g_strdup_printf("coap+tcp://2.test:%u", port);
        for (unsigned i = 0; i < G_N_ELEMENTS(peers); i++) {
                close_link(b);
                assert_int_equal(b->f->ops->open(b->f->transport, &config, &fixture_events, b->f,
                                                 &b->f->link),
                                 0);
                run_until(b->f, b->f->link->peer);
                assert_true(g_str_has_prefix(b->f->link->peer, peers[i]));
        }
        listener_close(&first);
        listener_close(&second);
        bed_free(b);
}

/* --- what is remembered --- */

static unsigned order(const Hosts *h, const char *host, unsigned n, char *text) {
        g_autofree char *name = g_strdup_printf("%u", n);
        Address found[ADDRESSES_MAX];
        struct addrinfo *list = NULL;
        unsigned k;

        assert_int_equal(
                look_up(name, "1",
                        &(struct addrinfo){ .ai_socktype = SOCK_DGRAM, .ai_flags = AI_NUMERICHOST },
                        &list),
                0);
        k = hosts_order(h, host, list, found);
        for (unsigned i = 0; i < k; i++) {
                const struct sockaddr_in *a = (const void *) &found[i].v;

                text[i] = (char) ('0' + (ntohl(a->sin_addr.s_addr) & 255));
        }
        text[k] = 0;
        freeaddrinfo(list);
        return k;
}

static void test_hosts(void **state) {
        Hosts *h = hosts_new();
        struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000004) };
        Address heard = { .n = sizeof(at) };
        char text[ADDRESSES_MAX + 1];

        memcpy(&heard.v, &at, sizeof(at));
        order(h, "a", 3, text);
        assert_string_equal(text, "234");
        hosts_silent(h, "a");
        order(h, "a", 3, text);
        assert_string_equal(text, "342");
        hosts_heard(h, "a", &heard, false);
        order(h, "a", 3, text);
        assert_string_equal(text, "423"); /* whatever the port */
        order(h, "b", 3, text);
        assert_string_equal(text, "234");
        order(h, "a", 2, text);
        assert_string_equal(text, "23"); /* it has gone from the name */
        hosts_silent(h, "a");
        order(h, "a", 3, text);
        assert_string_equal(text, "234");
        assert_int_equal(order(h, "a", 12, text), ADDRESSES_MAX);
        assert_int_equal(order(h, NULL, 1, text), 1);

        hosts_suggest(h, "c", "127.0.0.3");
        hosts_suggest(h, "c", "127.0.0.4"); /* known already */
        hosts_suggest(h, "d", "c.example");
        hosts_suggest(h, "d", "");
        order(h, "c", 3, text);
        assert_string_equal(text, "324");
        order(h, "d", 3, text);
        assert_string_equal(text, "234");

        hosts_heard(h, "a", &heard, true);
        assert_true(hosts_is_mute(h, "a"));
        hosts_silent(h, "a");
        assert_false(hosts_is_mute(h, "a"));
        hosts_heard(h, "a", &heard, true);
        for (unsigned i = 0; i < 2 * HOSTS_MAX; i++) {
                g_autofree char *name = g_strdup_printf("host-%u", i);

                hosts_heard(h, name, &heard, true);
        }
        assert_false(hosts_is_mute(h, "a")); /* more names than are kept */
        hosts_free(h);
}

/* Of a name with many addresses of one family, and a few of the other, both are tried. */
static void test_families(void **state) {
        Hosts *h = hosts_new();
        struct sockaddr_in6 six = { .sin6_family = AF_INET6 };
        struct sockaddr_in four = { .sin_family = AF_INET };
        struct addrinfo list[12];
        Address found[ADDRESSES_MAX];
        char text[ADDRESSES_MAX + 1] = "";

        for (unsigned i = 0; i < G_N_ELEMENTS(list); i++) {
                bool last = i >= 10;

                list[i] = (struct addrinfo){
                        .ai_family = last ? AF_INET : AF_INET6,
                        .ai_addr = last ? (void *) &four : (void *) &six,
                        .ai_addrlen = last ? sizeof(four) : sizeof(six),
                        .ai_next = i + 1 < G_N_ELEMENTS(list) ? &list[i + 1] : NULL,
                };
        }
        assert_int_equal(hosts_order(h, "a", list, found), ADDRESSES_MAX);
        for (unsigned i = 0; i < ADDRESSES_MAX; i++)
                text[i] = found[i].v.ss_family == AF_INET ? '4' : '6';
        assert_string_equal(text, "64646666");
        assert_int_equal(hosts_order(h, "a", list + 10, found), 2);
        assert_int_equal(hosts_order(h, "a", NULL, found), 0);
        hosts_free(h);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_refused),    cmocka_unit_test(test_refused_goes_on),
                cmocka_unit_test(test_silent),     cmocka_unit_test(test_first),
                cmocka_unit_test(test_remembered), cmocka_unit_test(test_place),
                cmocka_unit_test(test_deaf),       cmocka_unit_test(test_mute),
                cmocka_unit_test(test_forged),     cmocka_unit_test(test_closed_meanwhile),
                cmocka_unit_test(test_options),    cmocka_unit_test(test_dtls),
                cmocka_unit_test(test_tcp),        cmocka_unit_test(test_tcp_that_is_of_no_use),
                cmocka_unit_test(test_hosts),      cmocka_unit_test(test_families),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
