/* SPDX-License-Identifier: Apache-2.0 */
/* Links over TLS (coaps+tcp) against an OpenSSL server in a thread of this process, which greets
 * with its CSM, asks as often as it is told, and waits for the Release. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>

#include "coap/coap_transport.h"
#include "coap/frame.h"
#include "lwm2m/account/credentials.h"
#include "pki.h"
#include "util/cleanup.h"
#include "util/loop.h"

#define IDENTITY "urn:dev:test"
#define KEY "0123456789abcdef"
#define WAIT_MSEC 10000

typedef struct Server {
        SSL_CTX *context;
        int listener;
        GThread *thread;
        unsigned n_requests; /* sent in one record or more, at once */
        bool no_alpn;
        /* Of the last connection; valid when the thread was joined. */
        bool established, resumed, released, goodbye;
        unsigned n_answers;
        char cipher[64];
} Server;

typedef struct Fixture {
        Loop *loop;
        CoapTransport *transport;
        const TransportOps *ops;
        Timer *timer;
        Pki *pki;
        Server server;
        char uri[64];
        bool expired;
        Link *link;
        unsigned n_up, n_down, n_requests, wanted;
        int down, alert;
        char *reason, *cipher;
        bool resumed;
        GBytes *session;
} Fixture;

/* --- the server --- */

static unsigned on_psk(SSL *ssl, const char *identity, unsigned char *psk, unsigned n_psk) {
        if (strcmp(identity, IDENTITY) != 0)
                return 0;
        memcpy(psk, KEY, sizeof(KEY) - 1);
        return sizeof(KEY) - 1;
}

/* Answers, or the Release, out of what has come. */
static void take(Server *s, GByteArray *in) {
        FrameHead h;

        while (frame_head(in->data, in->len, &h) > 0 && frame_size(&h) <= in->len) {
                s->n_answers += h.code >> 5 == 2;
                s->released |= h.code == SIGNAL_RELEASE;
                g_byte_array_remove_range(in, 0, (guint) frame_size(&h));
        }
}

static void talk(Server *s, SSL *ssl) {
        g_autoptr(GByteArray) in = g_byte_array_new();
        g_autoptr(GByteArray) out = g_byte_array_new();
        uint8_t buffer[4096];
        int n;

        g_byte_array_append(out, (const uint8_t *) "\x00\xe1", 2);
        for (unsigned i = 0; i < s->n_requests; i++)
                g_byte_array_append(out, (const uint8_t *) "\x21\x03\x61\xb1\x33", 5);
        assert_int_equal(SSL_write(ssl, out->data, (int) out->len), (int) out->len);
        while ((n = SSL_read(ssl, buffer, sizeof(buffer))) > 0) {
                g_byte_array_append(in, buffer, (guint) n);
                take(s, in);
        }
        s->goodbye = SSL_get_error(ssl, n) == SSL_ERROR_ZERO_RETURN;
}

static int on_alpn(SSL *ssl, const unsigned char **out, unsigned char *n_out,
                   const unsigned char *in, unsigned n_in, void *userdata) {
        assert_int_equal(n_in, 5);
        assert_memory_equal(in,
                            "\x04"
                            "coap",
                            5);
        *out = in + 1;
        *n_out = 4;
        return ((const Server *) userdata)->no_alpn ? SSL_TLSEXT_ERR_NOACK : SSL_TLSEXT_ERR_OK;
}

static void *serve_one(void *userdata) {
        Server *s = userdata;
        autoclose int fd = accept4(s->listener, NULL, NULL, SOCK_CLOEXEC);
        SSL *ssl = SSL_new(s->context);

        SSL_set_fd(ssl, fd);
        s->established = s->resumed = s->released = s->goodbye = false;
        s->n_answers = 0;
        if (SSL_accept(ssl) == 1) {
                s->established = true;
                s->resumed = SSL_session_reused(ssl);
                g_strlcpy(s->cipher, SSL_CIPHER_standard_name(SSL_get_current_cipher(ssl)),
                          sizeof(s->cipher));
                talk(s, ssl);
        }
        SSL_free(ssl);
        return NULL;
}

static void serve(Fixture *f) {
        assert_null(f->server.thread);
        f->server.thread = g_thread_new("server", serve_one, &f->server);
}

static void join(Fixture *f) {
        g_thread_join(g_steal_pointer(&f->server.thread));
}

/* --- fixture --- */

static void on_expired(void *userdata, uint64_t now_usec) {
        ((Fixture *) userdata)->expired = true;
}

static int setup(void **state) {
        Fixture *f = g_new0(Fixture, 1);
        struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        socklen_t n = sizeof(a);

        assert_int_equal(loop_new(&f->loop), 0);
        assert_int_equal(coap_transport_new(f->loop,
                                            &(CoapConfig){ .handshake_usec = 1500 * USEC_PER_MSEC },
                                            &f->transport),
                         0);
        f->ops = coap_transport_ops();
        f->timer = timer_new(loop_timers(f->loop), on_expired, f);
        f->pki = pki_new();
        f->server.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal(bind(f->server.listener, (struct sockaddr *) &a, sizeof(a)), 0);
        assert_int_equal(listen(f->server.listener, 4), 0);
        assert_int_equal(getsockname(f->server.listener, (struct sockaddr *) &a, &n), 0);
        g_snprintf(f->uri, sizeof(f->uri), "coaps+tcp://127.0.0.1:%u", ntohs(a.sin_port));
        f->server.context = SSL_CTX_new(TLS_server_method());
        SSL_CTX_set_alpn_select_cb(f->server.context, on_alpn, &f->server);
        assert_int_equal(SSL_CTX_set_cipher_list(f->server.context, "ALL:PSK:@SECLEVEL=0"), 1);
        SSL_CTX_set_session_id_context(f->server.context, (const unsigned char *) "t", 1);
        f->alert = -1;
        *state = f;
        return 0;
}

static int teardown(void **state) {
        Fixture *f = *state;

        if (f->link)
                f->ops->close(f->link);
        if (f->server.thread)
                join(f);
        close_fd(&f->server.listener);
        SSL_CTX_free(f->server.context);
        g_free(f->reason);
        g_free(f->cipher);
        g_clear_pointer(&f->session, g_bytes_unref);
        pki_free(f->pki);
        timer_free(f->timer);
        coap_transport_free(f->transport);
        loop_free(f->loop);
        g_free(f);
        return 0;
}

static void on_secured(void *owner, const LinkSecurity *s, uint64_t now_usec) {
        Fixture *f = owner;

        g_free(f->cipher);
        f->cipher = g_strdup(s->cipher);
        f->resumed = s->resumed;
        g_clear_pointer(&f->session, g_bytes_unref);
        f->session = s->session ? g_bytes_ref(s->session) : NULL;
}

static void on_up(void *owner, uint64_t now_usec) {
        Fixture *f = owner;

        assert_non_null(f->cipher);
        f->n_up++;
}

static void on_down(void *owner, int error, const char *reason, uint64_t now_usec) {
        Fixture *f = owner;

        f->n_down++;
        f->down = error;
        g_free(f->reason);
        f->reason = g_strdup(reason);
        f->ops->close(f->link);
        f->link = NULL;
}

static void on_alert(void *owner, uint8_t description, uint64_t now_usec) {
        ((Fixture *) owner)->alert = description;
}

static void on_request(void *owner, Exchange *x, const Message *request, uint64_t now_usec) {
        Fixture *f = owner;
        Message m = MESSAGE_INIT(CODE(2, 4));

        f->n_requests++;
        f->ops->respond(x, &m);
}

static const LinkEvents events = { .secured = on_secured,
                                   .up = on_up,
                                   .down = on_down,
                                   .alert = on_alert,
                                   .request = on_request };

/* Until *count is as high as wanted. */
static void run_until(Fixture *f, const unsigned *count, unsigned wanted) {
        f->expired = false;
        timer_arm(f->timer, loop_now(f->loop) + WAIT_MSEC * USEC_PER_MSEC);
        while (!f->expired && *count < wanted)
                g_main_context_iteration(NULL, TRUE);
        timer_disarm(f->timer);
        if (*count < wanted)
                fail_msg("%u of %u; %s", *count, wanted, f->reason ? f->reason : "");
}

static void open_link(Fixture *f, const Credentials *c, GBytes *session) {
        LinkConfig config = { .uri = f->uri, .ssid = 1, .credentials = c, .session = session };

        f->n_up = f->n_down = f->n_requests = 0;
        assert_int_equal(f->ops->open(f->transport, &config, &events, f, &f->link), 0);
}

/* Connects, answers what the server asks, and leaves. */
static void connects(Fixture *f, const Credentials *c, GBytes *session) {
        serve(f);
        open_link(f, c, session);
        run_until(f, &f->n_up, 1);
        run_until(f, &f->n_requests, f->server.n_requests);
        for (unsigned i = 0; i < 100 && f->server.n_requests > 0; i++)
                g_main_context_iteration(NULL, FALSE); /* the answers leave */
        f->ops->close(f->link);
        f->link = NULL;
        join(f);
        assert_true(f->server.established);
        assert_true(f->server.released);
        assert_true(f->server.goodbye);
        assert_int_equal(f->server.n_answers, f->server.n_requests);
        assert_string_equal(f->cipher, f->server.cipher);
        assert_int_equal(f->alert, -1);
}

static void fails(Fixture *f, const Credentials *c, int error, const char *reason) {
        serve(f);
        open_link(f, c, NULL);
        run_until(f, &f->n_down, 1);
        join(f);
        assert_int_equal(f->n_up, 0);
        if (f->down != error || !strstr(f->reason, reason))
                fail_msg("%d '%s'", f->down, f->reason);
}

static void set_bytes(GBytes **where, GBytes *bytes) {
        g_clear_pointer(where, g_bytes_unref);
        *where = bytes;
}

static Credentials *psk(const char *key) {
        Credentials *c = credentials_new(SECURITY_MODE_PSK);

        set_bytes(&c->identity, g_bytes_new(IDENTITY, strlen(IDENTITY)));
        set_bytes(&c->secret, g_bytes_new(key, strlen(key)));
        return c;
}

/* --- pre-shared keys --- */

static void test_psk(void **state) {
        Fixture *f = *state;
        g_autoptr(Credentials) c = psk(KEY);

        SSL_CTX_set_psk_server_callback(f->server.context, on_psk);
        f->server.n_requests = 3;
        connects(f, c, NULL);
        assert_string_equal(f->cipher, "TLS_PSK_WITH_AES_128_CCM_8");
}

/* More than one round of reading takes, and than one record holds. */
static void test_many_requests(void **state) {
        Fixture *f = *state;
        g_autoptr(Credentials) c = psk(KEY);

        SSL_CTX_set_psk_server_callback(f->server.context, on_psk);
        f->server.n_requests = 20000;
        connects(f, c, NULL);
}

static void test_wrong_psk(void **state) {
        Fixture *f = *state;
        g_autoptr(Credentials) c = psk("another");

        SSL_CTX_set_psk_server_callback(f->server.context, on_psk);
        fails(f, c, -EKEYREJECTED, "");
        assert_true(f->alert > 0);
        assert_false(f->server.established);
}

static void test_resumption(void **state) {
        Fixture *f = *state;
        g_autoptr(Credentials) c = psk(KEY);
        g_autoptr(GBytes) session = NULL;

        SSL_CTX_set_psk_server_callback(f->server.context, on_psk);
        connects(f, c, NULL);
        assert_false(f->resumed);
        session = g_steal_pointer(&f->session);
        assert_non_null(session);
        connects(f, c, session);
        assert_true(f->resumed);
        assert_true(f->server.resumed);
}

/* On another port than 5684 the server must choose CoAP by name (RFC 8323, section 8.2) … */
static void test_no_alpn(void **state) {
        Fixture *f = *state;
        g_autoptr(Credentials) c = psk(KEY);

        SSL_CTX_set_psk_server_callback(f->server.context, on_psk);
        f->server.no_alpn = true;
        fails(f, c, -EPROTO, "ALPN");
        assert_true(f->server.established);
        assert_null(f->cipher); /* nothing of it is kept */
}

/* … unless it is said to be fine without. */
static void test_alpn_optional(void **state) {
        static const CoapConfig optional = { .alpn_optional = true };
        Fixture *f = *state;
        g_autoptr(Credentials) c = psk(KEY);

        coap_transport_free(f->transport);
        assert_int_equal(coap_transport_new(f->loop, &optional, &f->transport), 0);
        SSL_CTX_set_psk_server_callback(f->server.context, on_psk);
        f->server.no_alpn = true;
        connects(f, c, NULL);
}

/* --- certificates --- */

static Credentials *certificates(Fixture *f, const char *authority) {
        Credentials *c = credentials_new(SECURITY_MODE_X509);

        pki_issue(f->pki, &(PkiWish){ .name = "ca", .subject = "CA", .authority = true });
        pki_issue(f->pki, &(PkiWish){ .name = "other", .subject = "Other", .authority = true });
        pki_issue(f->pki, &(PkiWish){ .name = "client", .issuer = "ca", .subject = IDENTITY });
        pki_issue(f->pki, &(PkiWish){ .name = "server",
                                      .issuer = "ca",
                                      .subject = "server",
                                      .alt = "IP:127.0.0.1" });
        SSL_CTX_use_certificate_file(f->server.context, pki_path(f->pki, "server.pem"),
                                     SSL_FILETYPE_PEM);
        SSL_CTX_use_PrivateKey_file(f->server.context, pki_path(f->pki, "server.key"),
                                    SSL_FILETYPE_PEM);
        SSL_CTX_load_verify_locations(f->server.context, pki_path(f->pki, "ca.pem"), NULL);
        SSL_CTX_set_verify(f->server.context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT,
                           NULL);
        set_bytes(&c->identity, pki_read(f->pki, "client.pem"));
        set_bytes(&c->secret, pki_read(f->pki, "client.key"));
        set_bytes(&c->peer, pki_read(f->pki, authority));
        c->usage = USAGE_TRUST_ANCHOR;
        return c;
}

static void test_x509(void **state) {
        Fixture *f = *state;
        g_autoptr(Credentials) c = certificates(f, "ca.pem");

        f->server.n_requests = 1;
        connects(f, c, NULL);
        assert_true(g_str_has_prefix(f->cipher, "TLS_ECDHE_ECDSA_WITH_AES_128_"));
}

static void test_unknown_authority(void **state) {
        Fixture *f = *state;
        g_autoptr(Credentials) c = certificates(f, "other.pem");

        fails(f, c, -EKEYREJECTED, "");
        assert_false(f->server.established); /* it has heard why */
}

static void test_wrong_name(void **state) {
        Fixture *f = *state;
        g_autoptr(Credentials) c = certificates(f, "ca.pem");

        c->sni = g_strdup("another.example");
        fails(f, c, -EKEYREJECTED, "another name");
}

/* --- servers that are none --- */

static void *accept_and_say(void *userdata) {
        Server *s = userdata;
        autoclose int fd = accept4(s->listener, NULL, NULL, SOCK_CLOEXEC);
        char buffer[512];

        if (s->n_requests > 0)
                (void) send(fd, "\x00\xe1HTTP/1.1 400 Bad Request\r\n\r\n", 30, MSG_NOSIGNAL);
        while (recv(fd, buffer, sizeof(buffer), 0) > 0)
                ;
        return NULL;
}

static void test_silent(void **state) {
        Fixture *f = *state;
        g_autoptr(Credentials) c = psk(KEY);

        f->server.thread = g_thread_new("server", accept_and_say, &f->server);
        open_link(f, c, NULL);
        run_until(f, &f->n_down, 1);
        assert_int_equal(f->down, -ETIMEDOUT);
}

static void test_no_tls(void **state) {
        Fixture *f = *state;
        g_autoptr(Credentials) c = psk(KEY);

        f->server.n_requests = 1;
        f->server.thread = g_thread_new("server", accept_and_say, &f->server);
        open_link(f, c, NULL);
        run_until(f, &f->n_down, 1);
        assert_true(f->down == -EPROTO || f->down == -EKEYREJECTED);
        assert_int_equal(f->n_up, 0);
}

int main(void) {
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        const struct CMUnitTest tests[] = {
                CASE(test_psk),        CASE(test_many_requests), CASE(test_wrong_psk),
                CASE(test_resumption), CASE(test_x509),          CASE(test_unknown_authority),
                CASE(test_wrong_name), CASE(test_silent),        CASE(test_no_tls),
                CASE(test_no_alpn),    CASE(test_alpn_optional),
        };

        signal(SIGPIPE, SIG_IGN); /* OpenSSL's sockets in the server */
        return cmocka_run_group_tests(tests, NULL, NULL);
}
