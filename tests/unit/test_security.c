/* SPDX-License-Identifier: Apache-2.0 */
/* Links over DTLS against an OpenSSL server in this process: each mode, each cipher suite, resumed
 * sessions, wrong credentials of each kind, and servers that fall silent. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <netinet/in.h>
#include <netinet/ip.h>
#include <malloc.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "coap/coap_transport.h"
#include "coap/link.h"
#include "coap/packet.h"
#include "coap/security.h"
#include "dtls_peer.h"
#include "lwm2m/account/cipher_suite.h"
#include "lwm2m/account/credentials.h"
#include "pki.h"
#include "util/loop.h"

#define IDENTITY "urn:dev:test"
#define WAIT_MSEC 10000

typedef struct Fixture {
        Loop *loop;
        CoapTransport *transport;
        const TransportOps *ops;
        DtlsPeer *peer;
        LoopSource *source;
        Timer *timer;
        Pki *pki;
        const char *host; /* in the URI */
        bool expired;

        /* the server's side */
        unsigned n_established, n_closed, n_messages;
        unsigned handshake_messages;
        bool server_resumed;
        char *identity, *sni, *server_cipher;
        int server_alert;
        DtlsClient *client;
        uint8_t last[2048];
        size_t n_last;
        bool keep_quiet; /* answers no request */

        /* ours */
        Link *link;
        unsigned n_secured, n_up, n_down, n_answers, n_requests;
        int down, error, alert;
        char *reason, *cipher;
        bool resumed;
        GBytes *session;
} Fixture;

/* --- fixture --- */

static void on_expired(void *userdata, uint64_t now_usec) {
        ((Fixture *) userdata)->expired = true;
}

static bool run_for(Fixture *f, unsigned msec, const unsigned *count) {
        unsigned before = count ? *count : 0;

        f->expired = false;
        timer_arm(f->timer, loop_now(f->loop) + msec * USEC_PER_MSEC);
        while (!f->expired && (!count || *count == before))
                g_main_context_iteration(NULL, TRUE);
        timer_disarm(f->timer);
        return count && *count != before;
}

static void on_fd(void *userdata, int fd, short revents) {
        dtls_peer_read(((Fixture *) userdata)->peer);
}

static void set_text(char **where, const char *text) {
        g_free(*where);
        *where = g_strdup(text);
}

static void on_established(void *userdata, DtlsClient *c, const DtlsHandshake *h) {
        Fixture *f = userdata;

        f->n_established++;
        f->client = c;
        f->server_resumed = h->resumed;
        f->handshake_messages = h->n_messages;
        set_text(&f->identity, h->identity);
        set_text(&f->sni, h->sni);
        set_text(&f->server_cipher, h->cipher);
}

/* Requests are answered by 2.05 with their own message id and token. */
static void on_message(void *userdata, DtlsClient *c, const uint8_t *data, size_t n) {
        Fixture *f = userdata;
        uint8_t answer[12];
        size_t n_token = data[0] & 15u;

        f->n_messages++;
        f->client = c;
        assert_true(n >= 4 + n_token && n <= sizeof(f->last));
        memcpy(f->last, data, n);
        f->n_last = n;
        if (f->keep_quiet || (data[0] >> 4 & 3) != PACKET_CON || data[1] == 0 ||
            data[1] >= CODE(1, 0))
                return;
        memcpy(answer, data, 4 + n_token);
        answer[0] = (uint8_t) (1 << 6 | PACKET_ACK << 4 | n_token);
        answer[1] = CODE(2, 5);
        dtls_client_send(c, answer, 4 + n_token);
}

static void on_closed(void *userdata, DtlsClient *c, int alert, bool received, const char *reason) {
        Fixture *f = userdata;

        f->n_closed++;
        f->server_alert = alert;
}

static void on_secured(void *owner, const LinkSecurity *s, uint64_t now_usec) {
        Fixture *f = owner;

        f->n_secured++;
        assert_int_equal(f->n_up + 1, f->n_secured);
        f->resumed = s->resumed;
        set_text(&f->cipher, s->cipher);
        g_clear_pointer(&f->session, g_bytes_unref);
        f->session = s->session ? g_bytes_ref(s->session) : NULL;
}

static void on_up(void *owner, uint64_t now_usec) {
        ((Fixture *) owner)->n_up++;
}

static void close_link(Fixture *f) {
        if (f->link)
                f->ops->close(f->link);
        f->link = NULL;
}

static void on_down(void *owner, int error, const char *reason, uint64_t now_usec) {
        Fixture *f = owner;

        f->n_down++;
        f->down = error;
        set_text(&f->reason, reason);
        close_link(f);
}

static void on_alert(void *owner, uint8_t description, uint64_t now_usec) {
        ((Fixture *) owner)->alert = description;
}

static void on_request(void *owner, Exchange *x, const Message *request, uint64_t now_usec) {
        Fixture *f = owner;
        Message m = MESSAGE_INIT(CODE(2, 5));

        f->n_requests++;
        f->ops->respond(x, &m);
}

static const LinkEvents events = { .secured = on_secured,
                                   .up = on_up,
                                   .down = on_down,
                                   .alert = on_alert,
                                   .request = on_request };

static void on_response(void *userdata, int error, const Message *response, uint64_t now_usec) {
        Fixture *f = userdata;

        f->n_answers++;
        f->error = error;
}

static void open_transport(Fixture *f, const CoapConfig *config) {
        assert_int_equal(coap_transport_new(f->loop, config, &f->transport), 0);
}

static int set_up(void **state) {
        Fixture *f = g_new0(Fixture, 1);

        assert_int_equal(loop_new(&f->loop), 0);
        f->ops = coap_transport_ops();
        f->timer = timer_new(loop_timers(f->loop), on_expired, f);
        f->pki = pki_new();
        f->host = "127.0.0.1";
        f->server_alert = f->alert = -1;
        *state = f;
        return 0;
}

static void stop_server(Fixture *f) {
        loop_source_free(f->source);
        f->source = NULL;
        f->peer = dtls_peer_free(f->peer);
}

static int tear_down(void **state) {
        Fixture *f = *state;

        close_link(f);
        stop_server(f);
        timer_free(f->timer);
        coap_transport_free(f->transport);
        loop_free(f->loop);
        pki_free(f->pki);
        g_clear_pointer(&f->session, g_bytes_unref);
        g_free(f->identity);
        g_free(f->sni);
        g_free(f->server_cipher);
        g_free(f->reason);
        g_free(f->cipher);
        g_free(f);
        return 0;
}

static void serve(Fixture *f, const DtlsPeerConfig *config) {
        static const DtlsPeerEvents peer_events = { on_established, on_message, on_closed };

        stop_server(f);
        assert_int_equal(dtls_peer_new(config, &peer_events, f, &f->peer), 0);
        f->source = loop_add_fd(f->loop, dtls_peer_fd(f->peer), POLLIN, on_fd, NULL, f);
}

static GBytes *psk(void) {
        return g_bytes_new_static("\x01\x00secret\xff", 9);
}

static void serve_psk(Fixture *f, const char *ciphers) {
        g_autoptr(GBytes) key = psk();

        serve(f, &(DtlsPeerConfig){ .identity = IDENTITY, .psk = key, .ciphers = ciphers });
}

static void set_bytes(GBytes **where, GBytes *bytes) {
        g_bytes_unref(*where);
        *where = bytes;
}

static Credentials *psk_credentials(void) {
        Credentials *c = credentials_new(SECURITY_MODE_PSK);

        set_bytes(&c->identity, g_bytes_new_static(IDENTITY, strlen(IDENTITY)));
        set_bytes(&c->secret, psk());
        return c;
}

static void open_with(Fixture *f, const Credentials *c, GBytes *session, bool ignore_dates) {
        g_autofree char *uri = g_strdup_printf("coaps://%s:%u", f->host, dtls_peer_port(f->peer));
        LinkConfig config = { .uri = uri,
                              .ssid = 1,
                              .credentials = c,
                              .session = session,
                              .ignore_dates = ignore_dates };

        if (!f->transport)
                open_transport(f, &(CoapConfig){ 0 });
        close_link(f);
        assert_int_equal(f->ops->open(f->transport, &config, &events, f, &f->link), 0);
}

static void connects(Fixture *f, const Credentials *c) {
        open_with(f, c, NULL, false);
        if (!run_for(f, WAIT_MSEC, &f->n_up))
                fail_msg("not up: %s", f->reason ? f->reason : "no reason");
}

static void fails(Fixture *f, const Credentials *c, int error, const char *reason) {
        unsigned up = f->n_up;

        open_with(f, c, NULL, false);
        assert_true(run_for(f, WAIT_MSEC, &f->n_down));
        if (f->down != error || !strstr(f->reason, reason))
                fail_msg("%d, %s", f->down, f->reason);
        assert_int_equal(f->n_up, up);
}

static void ask(Fixture *f) {
        static const char *const path[] = { "rd", NULL };
        Message m = MESSAGE_INIT(METHOD_POST);
        Call *call;

        m.path = path;
        assert_int_equal(f->ops->request(f->link, &m, on_response, f, &call), 0);
}

static void asks(Fixture *f) {
        ask(f);
        assert_true(run_for(f, WAIT_MSEC, &f->n_answers));
        assert_int_equal(f->error, 0);
}

/* --- pre-shared keys --- */

static void test_psk(void **state) {
        Fixture *f = *state;
        g_autoptr(Credentials) c = psk_credentials();

        serve_psk(f, NULL);
        connects(f, c);
        assert_string_equal(f->cipher, "TLS_PSK_WITH_AES_128_CCM_8");
        assert_string_equal(f->identity, IDENTITY);
        assert_string_equal(f->sni, ""); /* an address is no name (RFC 6066, section 3) */
        assert_false(f->resumed);
        assert_non_null(f->session);
        asks(f);
        /* The server asks, too. */
        dtls_client_send(f->client, "\x40\x01\x12\x34", 4);
        assert_true(run_for(f, WAIT_MSEC, &f->n_messages));
        assert_int_equal(f->n_requests, 1);
        assert_memory_equal(f->last, "\x60\x45\x12\x34", 4);
}

static void test_each_psk_suite(void **state) {
        Fixture *f = *state;
        const CipherSuite *suite;

        for (size_t i = 0; (suite = cipher_suite_at(i)); i++) {
                g_autoptr(Credentials) c = psk_credentials();

                if (suite->kind != CIPHER_PSK)
                        continue;
                serve_psk(f, NULL);
                c->n_suites = 1;
                c->suites[0] = suite->number;
                connects(f, c);
                assert_string_equal(f->cipher, suite->name);
                assert_string_equal(f->server_cipher, suite->name);
                asks(f);
        }
}

static void test_no_suite_in_common(void **state) {
        Fixture *f = *state;
        g_autoptr(Credentials) c = psk_credentials();

        serve_psk(f, "PSK-AES256-GCM-SHA384:@SECLEVEL=0");
        c->n_suites = 1;
        c->suites[0] = 0xc0a8;
        fails(f, c, -EKEYREJECTED, "no cipher suite");
        assert_int_equal(f->alert, SSL_AD_HANDSHAKE_FAILURE);
}

static void test_unknown_identity(void **state) {
        Fixture *f = *state;
        g_autoptr(Credentials) c = psk_credentials();

        serve_psk(f, NULL);
        set_bytes(&c->identity, g_bytes_new_static("stranger", 8));
        fails(f, c, -EKEYREJECTED, "does not know our identity");
        assert_int_equal(f->alert, SSL_AD_UNKNOWN_PSK_IDENTITY);
}

/* The server drops our Finished without a word, so that only time can tell. */
static void test_wrong_psk(void **state) {
        Fixture *f = *state;
        g_autoptr(Credentials) c = psk_credentials();

        open_transport(f, &(CoapConfig){ .handshake_usec = 1500 * USEC_PER_MSEC });
        serve_psk(f, NULL);
        set_bytes(&c->secret, g_bytes_new_static("another", 7));
        fails(f, c, -EKEYREJECTED, "another key for our identity");
        assert_int_equal(f->n_established, 0);
}

static void test_bad_identities(void **state) {
        Fixture *f = *state;
        g_autofree char *text = g_strnfill(200, 'x');
        g_autoptr(Credentials) c = psk_credentials();

        serve_psk(f, NULL);
        set_bytes(&c->identity, g_bytes_new_static("a\0b", 3));
        fails(f, c, -EINVAL, "zero byte");
        set_bytes(&c->identity, g_bytes_new(text, 200));
        fails(f, c, -EINVAL, "above 127 bytes");
        set_bytes(&c->identity, g_bytes_new(text, 127));
        fails(f, c, -EKEYREJECTED, "does not know our identity");
}

static void test_silence(void **state) {
        Fixture *f = *state;
        g_autoptr(Credentials) c = psk_credentials();

        open_transport(f, &(CoapConfig){ .handshake_usec = 1500 * USEC_PER_MSEC });
        serve_psk(f, NULL);
        dtls_peer_mute(f->peer, true);
        fails(f, c, -ETIMEDOUT, "no answer to the handshake");
        assert_true(dtls_peer_n_datagrams(f->peer) >= 2); /* the ClientHello was repeated */
}

static void test_nobody_there(void **state) {
        Fixture *f = *state;
        g_autoptr(Credentials) c = psk_credentials();
        uint16_t port;

        open_transport(f, &(CoapConfig){ .handshake_usec = 1500 * USEC_PER_MSEC });
        serve_psk(f, NULL);
        port = dtls_peer_port(f->peer);
        open_with(f, c, NULL, false);
        stop_server(f);
        assert_true(port > 0);
        assert_true(run_for(f, WAIT_MSEC, &f->n_down));
        assert_int_equal(f->down, -ECONNREFUSED);
}

static void test_many_at_once(void **state) {
        Fixture *f = *state;
        g_autoptr(Credentials) c = psk_credentials();
        g_autofree char *uri = NULL;
        LinkConfig config = { .ssid = 2, .credentials = c };
        Link *silent;
        DtlsPeer *mute;
        static const DtlsPeerEvents none;
        g_autoptr(GBytes) key = psk();

        /* A silent server beside a good one delays nobody. */
        assert_int_equal(dtls_peer_new(&(DtlsPeerConfig){ .identity = IDENTITY, .psk = key }, &none,
                                       NULL, &mute),
                         0);
        serve_psk(f, NULL);
        open_transport(f, &(CoapConfig){ 0 });
        config.uri = uri = g_strdup_printf("coaps://127.0.0.1:%u", dtls_peer_port(mute));
        assert_int_equal(f->ops->open(f->transport, &config, &events, f, &silent), 0);
        connects(f, c);
        asks(f);
        f->ops->close(silent);
        dtls_peer_free(mute);
}

/* --- sessions --- */

static void test_resumption(void **state) {
        Fixture *f = *state;
        g_autoptr(Credentials) c = psk_credentials();
        g_autoptr(GBytes) session = NULL, key = psk();
        unsigned full;

        for (int tickets = 0; tickets < 2; tickets++) {
                serve(f, &(DtlsPeerConfig){ .identity = IDENTITY, .psk = key, .tickets = tickets });
                connects(f, c);
                asks(f);
                full = f->handshake_messages;
                g_clear_pointer(&session, g_bytes_unref);
                session = g_bytes_ref(f->session);
                for (int i = 0; i < 2; i++) {
                        open_with(f, c, session, false);
                        assert_true(run_for(f, WAIT_MSEC, &f->n_up));
                        assert_true(f->resumed);
                        asks(f);
                        assert_true(f->server_resumed);
                        assert_true(f->handshake_messages < full);
                }
                /* The server has lost it: a full handshake, without a detour. */
                dtls_peer_forget(f->peer);
                open_with(f, c, session, false);
                assert_true(run_for(f, WAIT_MSEC, &f->n_up));
                assert_false(f->resumed);
                asks(f);
        }
        /* Nonsense from the disk is no session. */
        g_clear_pointer(&session, g_bytes_unref);
        session = g_bytes_new_static("nonsense", 8);
        open_with(f, c, session, false);
        assert_true(run_for(f, WAIT_MSEC, &f->n_up));
        assert_false(f->resumed);
}

/* What the disk has made of a session: cut, and each time with another bit turned. Whatever OpenSSL
 * reads in it, the link comes up or says that it has failed, and the next one without it is up. */
static void test_damaged_sessions(void **state) {
        Fixture *f = *state;
        g_autoptr(Credentials) c = psk_credentials();
        g_autoptr(GBytes) good = NULL;
        const uint8_t *data;
        unsigned n_up = 0;
        gsize n;

        /* With another secret than ours the server says nothing. */
        open_transport(f, &(CoapConfig){ .handshake_usec = 300 * USEC_PER_MSEC });
        serve_psk(f, NULL);
        connects(f, c);
        good = g_bytes_ref(f->session);
        data = g_bytes_get_data(good, &n);
        for (gsize i = 0; i < 2 * n; i += i < n ? 3 : 1) {
                g_autoptr(GBytes) bad = NULL;
                g_autofree uint8_t *copy = g_memdup2(data, n);
                unsigned up = f->n_up, down = f->n_down;

                copy[i % n] ^= (uint8_t) (1 << i % 8);
                bad = g_bytes_new(copy, i < n ? n : i - n);
                open_with(f, c, bad, false);
                for (unsigned t = 0; t < WAIT_MSEC && f->n_up == up && f->n_down == down; t++)
                        run_for(f, 1, &f->n_up);
                assert_true(f->n_up > up || f->n_down > down);
                n_up += f->n_up > up;
        }
        assert_true(n_up > n); /* most are no sessions at all */
        connects(f, c);
        asks(f);
}

static void test_lost_session_is_noticed(void **state) {
        Fixture *f = *state;
        g_autoptr(Credentials) c = psk_credentials();

        open_transport(f, &(CoapConfig){ .ack_timeout_usec = USEC_PER_SEC });
        serve_psk(f, NULL);
        connects(f, c);
        asks(f);
        dtls_peer_forget(f->peer);
        ask(f);
        assert_true(run_for(f, WAIT_MSEC, &f->n_down));
        assert_int_equal(f->down, -ESTALE);
        assert_int_equal(f->n_answers, 1); /* the owner asks again over the next link */
}

static void test_closed_by_server(void **state) {
        Fixture *f = *state;
        g_autoptr(Credentials) c = psk_credentials();

        serve_psk(f, NULL);
        connects(f, c);
        asks(f);
        dtls_peer_close_all(f->peer);
        assert_true(run_for(f, WAIT_MSEC, &f->n_down));
        assert_int_equal(f->down, -ESTALE);
        assert_non_null(strstr(f->reason, "closed the session"));
}

/* Queue mode: the session outlives a sleep, and what comes meanwhile is not for us. */
static void test_sleep(void **state) {
        Fixture *f = *state;
        g_autoptr(Credentials) c = psk_credentials();

        serve_psk(f, NULL);
        open_with(f, c, NULL, false);
        assert_int_equal(f->ops->sleep(f->link, true, loop_now(f->loop)), -EBUSY);
        assert_true(f->ops->busy_until(f->link, loop_now(f->loop)) == UINT64_MAX);
        assert_true(run_for(f, WAIT_MSEC, &f->n_up));
        asks(f);
        run_for(f, 50, NULL);
        assert_true(f->ops->busy_until(f->link, loop_now(f->loop)) == 0);
        assert_int_equal(f->ops->sleep(f->link, true, loop_now(f->loop)), 0);
        for (unsigned i = 0; i < 3; i++)
                dtls_client_send(f->client, "\x40\x01\x00\x05", 4);
        run_for(f, 100, NULL);
        f->ops->wake(f->link);
        run_for(f, 100, NULL);
        assert_int_equal(f->n_requests, 0);
        asks(f);
        dtls_client_send(f->client, "\x40\x01\x00\x06", 4);
        assert_true(run_for(f, WAIT_MSEC, &f->n_requests));
        assert_int_equal(f->n_established, 1);
        assert_int_equal(f->n_down, 0);

        /* Closed instead: the session is resumed from another port. */
        run_for(f, 50, NULL);
        assert_int_equal(f->ops->sleep(f->link, true, loop_now(f->loop)), 0);
        {
                g_autoptr(GBytes) session = g_bytes_ref(f->session);

                open_with(f, c, session, false);
        }
        assert_true(run_for(f, WAIT_MSEC, &f->n_up));
        assert_true(f->resumed);
        asks(f);
}

/* Set before the first flight is out, by the hook that everything else is set by. */
static void test_socket_options(void **state) {
        Fixture *f = *state;
        g_autoptr(Credentials) c = psk_credentials();
        g_autofree char *uri = NULL;
        LinkConfig config = { .ssid = 1, .credentials = c, .socket = { .dscp = 46 } };
        int tos = 0;
        socklen_t n = sizeof(tos);

        serve_psk(f, NULL);
        uri = g_strdup_printf("coaps://127.0.0.1:%u", dtls_peer_port(f->peer));
        config.uri = uri;
        open_transport(f, &(CoapConfig){ 0 });
        assert_int_equal(f->ops->open(f->transport, &config, &events, f, &f->link), 0);
        assert_true(run_for(f, WAIT_MSEC, &f->n_up));
        assert_int_equal(getsockopt(f->link->socket_fd, IPPROTO_IP, IP_TOS, &tos, &n), 0);
        assert_int_equal(tos, 46 << 2);

        close_link(f);
        config.socket = (SocketOptions){ .interface = "none-such" };
        assert_int_equal(f->ops->open(f->transport, &config, &events, f, &f->link), 0);
        assert_true(run_for(f, WAIT_MSEC, &f->n_down));
        assert_int_equal(f->down, -ENODEV);
}

/* --- messages that libcoap gets wrong --- */

static void test_peek(void **state) {
        Fixture *f = *state;
        g_autoptr(Credentials) c = psk_credentials();

        serve_psk(f, NULL);
        connects(f, c);
        /* A method that nobody knows: 4.05. */
        dtls_client_send(f->client, "\x40\x1f\x00\x01", 4);
        assert_true(run_for(f, WAIT_MSEC, &f->n_messages));
        assert_memory_equal(f->last, "\x60\x85\x00\x01", 4);
        /* The CoAP ping. */
        dtls_client_send(f->client, "\x40\x00\x00\x02", 4);
        assert_true(run_for(f, WAIT_MSEC, &f->n_messages));
        assert_memory_equal(f->last, "\x70\x00\x00\x02", 4);
        /* Neither is taken for the other when both are there at once, with a request behind. */
        dtls_client_send(f->client, "\x40\x1f\x00\x03", 4);
        dtls_client_send(f->client, "\x40\x00\x00\x04", 4);
        dtls_client_send(f->client, "\x40\x01\x00\x05", 4);
        while (f->n_messages < 5)
                assert_true(run_for(f, WAIT_MSEC, &f->n_messages));
        assert_memory_equal(f->last, "\x60\x45\x00\x05", 4);
        assert_int_equal(f->n_requests, 1);
}

static void test_separate_response_again(void **state) {
        Fixture *f = *state;
        g_autoptr(Credentials) c = psk_credentials();
        uint8_t answer[16] = { 0 };
        size_t n_token;

        serve_psk(f, NULL);
        connects(f, c);
        f->keep_quiet = true;
        ask(f);
        assert_true(run_for(f, WAIT_MSEC, &f->n_messages));
        n_token = f->last[0] & 15u;
        memcpy(answer + 4, f->last + 4, n_token);
        answer[0] = (uint8_t) (1 << 6 | PACKET_ACK << 4);
        answer[2] = f->last[2];
        answer[3] = f->last[3];
        dtls_client_send(f->client, answer, 4);
        answer[0] = (uint8_t) (1 << 6 | PACKET_CON << 4 | n_token);
        answer[1] = CODE(2, 4);
        answer[2] = 0x77;
        for (unsigned i = 0; i < 3; i++) {
                dtls_client_send(f->client, answer, 4 + n_token);
                assert_true(run_for(f, WAIT_MSEC, &f->n_messages));
                assert_int_equal(f->last[0] >> 4 & 3, PACKET_ACK);
                assert_int_equal(f->last[2], 0x77);
        }
        assert_int_equal(f->n_answers, 1);
}

static void test_garbage(void **state) {
        Fixture *f = *state;
        g_autoptr(Credentials) c = psk_credentials();
        g_autofree uint8_t *junk = g_malloc(1400);

        serve_psk(f, NULL);
        connects(f, c);
        asks(f);
        for (unsigned i = 0; i < 1400; i++)
                junk[i] = (uint8_t) (i * 7 + 1);
        for (unsigned i = 0; i < 3000; i++) {
                static const uint8_t types[] = { 20, 21, 22, 23, 24, 25, 0, 255 };

                junk[0] = types[i % sizeof(types)];
                junk[1] = 0xfe;
                junk[2] = 0xfd;
                junk[3] = 0;
                junk[4] = i % 3;
                junk[11] = (uint8_t) ((1 + i % 1300) >> 8);
                junk[12] = (uint8_t) (1 + i % 1300);
                dtls_client_send_raw(f->client, junk, 1 + i % 1400);
                if (i % 16 == 0)
                        run_for(f, 1, NULL);
        }
        run_for(f, 100, NULL);
        assert_int_equal(f->n_down, 0);
        assert_int_equal(f->n_requests, 0);
        asks(f);
}

/* A server that refuses us again and again, and takes us again and again, costs no memory. */
static void test_many_handshakes_leave_nothing(void **state) {
        Fixture *f = *state;
        g_autoptr(Credentials) c = psk_credentials(), stranger = psk_credentials();
        size_t before = 0, after;

        serve_psk(f, NULL);
        set_bytes(&stranger->identity, g_bytes_new_static("stranger", 8));
        for (unsigned i = 0; i < 220; i++) {
                if (i == 20)
                        before = mallinfo2().uordblks;
                fails(f, stranger, -EKEYREJECTED, "does not know our identity");
                connects(f, c);
                close_link(f);
                dtls_peer_forget(f->peer);
        }
        after = mallinfo2().uordblks;
        if (after > before + 64 * 1024)
                fail_msg("%zu bytes more after 400 handshakes", after - before);
}

/* --- certificates --- */

static void make_certificates(Fixture *f) {
        pki_issue(f->pki, &(PkiWish){ .name = "ca", .subject = "Test CA", .authority = true });
        pki_issue(f->pki, &(PkiWish){ .name = "other", .subject = "Other CA", .authority = true });
        pki_issue(f->pki, &(PkiWish){ .name = "client", .issuer = "ca", .subject = IDENTITY });
        pki_issue(f->pki, &(PkiWish){ .name = "server",
                                      .issuer = "ca",
                                      .subject = "server",
                                      .alt = "DNS:localhost,DNS:lwm2m.example,IP:127.0.0.1" });
}

static void serve_x509(Fixture *f, const char *name, const char *authority) {
        g_autofree char *pem = g_strconcat(name, ".pem", NULL),
                        *key = g_strconcat(name, ".key", NULL);

        serve(f, &(DtlsPeerConfig){ .certificate = pki_path(f->pki, pem),
                                    .key = pki_path(f->pki, key),
                                    .authority = authority ? pki_path(f->pki, authority) : NULL });
}

static Credentials *x509_credentials(Fixture *f, const char *peer, CertificateUsage usage) {
        Credentials *c = credentials_new(SECURITY_MODE_X509);

        set_bytes(&c->identity, pki_read(f->pki, "client.pem"));
        set_bytes(&c->secret, pki_read(f->pki, "client.key"));
        set_bytes(&c->peer, pki_read(f->pki, peer));
        c->usage = (uint8_t) usage;
        return c;
}

static void test_x509(void **state) {
        Fixture *f = *state;
        g_autoptr(Credentials) c = NULL;

        make_certificates(f);
        c = x509_credentials(f, "ca.pem", USAGE_TRUST_ANCHOR);
        serve_x509(f, "server", "ca.pem");
        connects(f, c);
        assert_string_equal(f->cipher, "TLS_ECDHE_ECDSA_WITH_AES_128_CCM_8");
        assert_non_null(strstr(f->identity, IDENTITY));
        asks(f);
        f->host = "localhost";
        connects(f, c);
        assert_string_equal(f->sni, "localhost");
        /* DER does as well. */
        set_bytes(&c->identity, pki_der(f->pki, "client.pem"));
        set_bytes(&c->secret, pki_der(f->pki, "client.key"));
        set_bytes(&c->peer, pki_der(f->pki, "ca.pem"));
        connects(f, c);
        asks(f);
}

static void test_each_certificate_suite(void **state) {
        Fixture *f = *state;
        const CipherSuite *suite;

        make_certificates(f);
        serve_x509(f, "server", "ca.pem");
        for (size_t i = 0; (suite = cipher_suite_at(i)); i++) {
                g_autoptr(Credentials) c = x509_credentials(f, "ca.pem", USAGE_TRUST_ANCHOR);

                if (suite->kind != CIPHER_CERTIFICATE || strstr(suite->name, "_RSA_"))
                        continue;
                c->n_suites = 1;
                c->suites[0] = suite->number;
                connects(f, c);
                assert_string_equal(f->cipher, suite->name);
        }
}

static void test_usages_and_matching(void **state) {
        static const char *const digests[] = { NULL, "SHA256", "SHA384", "SHA512" };
        static const struct {
                CertificateUsage usage;
                const char *right, *wrong;
        } cases[] = {
                { USAGE_CA_CONSTRAINT, "ca.pem", "other.pem" },
                { USAGE_SERVICE_CONSTRAINT, "server.pem", "client.pem" },
                { USAGE_TRUST_ANCHOR, "ca.pem", "other.pem" },
                { USAGE_DOMAIN_ISSUED, "server.pem", "client.pem" },
        };
        Fixture *f = *state;
        g_autofree char *chain = NULL, *leaf = NULL, *issuer = NULL;

        make_certificates(f);
        open_transport(f, &(CoapConfig){ .trust_store = pki_path(f->pki, "ca.pem") });
        /* A digest of the authority only helps when the server shows the authority itself. */
        g_file_get_contents(pki_path(f->pki, "server.pem"), &leaf, NULL, NULL);
        g_file_get_contents(pki_path(f->pki, "ca.pem"), &issuer, NULL, NULL);
        chain = g_strconcat(leaf, issuer, NULL);
        g_file_set_contents(pki_path(f->pki, "chain.pem"), chain, -1, NULL);
        serve(f, &(DtlsPeerConfig){ .certificate = pki_path(f->pki, "chain.pem"),
                                    .key = pki_path(f->pki, "server.key"),
                                    .authority = pki_path(f->pki, "ca.pem") });
        for (size_t i = 0; i < G_N_ELEMENTS(cases); i++)
                for (size_t matching = 0; matching < G_N_ELEMENTS(digests); matching++) {
                        g_autoptr(Credentials) c =
                                x509_credentials(f, cases[i].right, cases[i].usage);

                        c->matching = matching;
                        if (matching > 0)
                                set_bytes(&c->peer,
                                          pki_digest(f->pki, cases[i].right, digests[matching]));
                        connects(f, c);
                        set_bytes(&c->peer, matching > 0 ? pki_digest(f->pki, cases[i].wrong,
                                                                      digests[matching])
                                                         : pki_read(f->pki, cases[i].wrong));
                        fails(f, c, -EKEYREJECTED, "the server's certificate");
                        assert_int_equal(f->alert, -1); /* ours, not the server's */
                }
}

static void test_constraints_need_the_trust_store(void **state) {
        Fixture *f = *state;
        g_autoptr(Credentials) c = NULL;

        make_certificates(f);
        open_transport(f, &(CoapConfig){ .trust_store = pki_path(f->pki, "other.pem") });
        serve_x509(f, "server", "ca.pem");
        c = x509_credentials(f, "server.pem", USAGE_SERVICE_CONSTRAINT);
        fails(f, c, -EKEYREJECTED, "authority we do not know");
}

static void test_wrong_name(void **state) {
        Fixture *f = *state;
        g_autoptr(Credentials) c = NULL, pinned = NULL;

        make_certificates(f);
        pki_issue(f->pki, &(PkiWish){ .name = "server",
                                      .issuer = "ca",
                                      .subject = "server",
                                      .alt = "DNS:lwm2m.example" });
        serve_x509(f, "server", "ca.pem");
        c = x509_credentials(f, "ca.pem", USAGE_TRUST_ANCHOR);
        fails(f, c, -EKEYREJECTED, "another address");
        f->host = "localhost";
        fails(f, c, -EKEYREJECTED, "another name");
        c->sni = g_strdup("lwm2m.example"); /* 0/x/14 says whom we mean */
        connects(f, c);
        assert_string_equal(f->sni, "lwm2m.example");
        /* A certificate that is the expected one byte for byte needs no name. */
        pinned = x509_credentials(f, "server.pem", USAGE_DOMAIN_ISSUED);
        connects(f, pinned);
}

static void test_dates(void **state) {
        Fixture *f = *state;
        g_autoptr(Credentials) c = NULL;

        make_certificates(f);
        c = x509_credentials(f, "ca.pem", USAGE_TRUST_ANCHOR);
        pki_issue(f->pki, &(PkiWish){ .name = "server",
                                      .issuer = "ca",
                                      .subject = "server",
                                      .alt = "IP:127.0.0.1",
                                      .from_sec = -1000,
                                      .to_sec = -10 });
        serve_x509(f, "server", "ca.pem");
        fails(f, c, -EKEYEXPIRED, "has expired");
        open_with(f, c, NULL, true);
        assert_true(run_for(f, WAIT_MSEC, &f->n_up));
        pki_issue(f->pki, &(PkiWish){ .name = "server",
                                      .issuer = "ca",
                                      .subject = "server",
                                      .alt = "IP:127.0.0.1",
                                      .from_sec = 1000,
                                      .to_sec = 2000 });
        serve_x509(f, "server", "ca.pem");
        fails(f, c, -EKEYEXPIRED, "not valid yet");
        open_with(f, c, NULL, true);
        assert_true(run_for(f, WAIT_MSEC, &f->n_up));
}

static void test_our_certificate_is_refused(void **state) {
        Fixture *f = *state;
        g_autoptr(Credentials) c = NULL;

        make_certificates(f);
        serve_x509(f, "server", "other.pem");
        c = x509_credentials(f, "ca.pem", USAGE_TRUST_ANCHOR);
        fails(f, c, -EKEYREJECTED, "does not know the authority");
        assert_int_equal(f->alert, SSL_AD_UNKNOWN_CA);
        pki_issue(f->pki, &(PkiWish){ .name = "client",
                                      .issuer = "ca",
                                      .subject = IDENTITY,
                                      .from_sec = -1000,
                                      .to_sec = -10 });
        serve_x509(f, "server", "ca.pem");
        set_bytes(&c->identity, pki_read(f->pki, "client.pem"));
        set_bytes(&c->secret, pki_read(f->pki, "client.key"));
        fails(f, c, -EKEYEXPIRED, "our certificate has expired");
        assert_int_equal(f->alert, SSL_AD_CERTIFICATE_EXPIRED);
}

static void test_no_certificate_at_all(void **state) {
        Fixture *f = *state;
        g_autoptr(Credentials) c = NULL;

        make_certificates(f);
        serve_psk(f, "PSK:@SECLEVEL=0");
        c = x509_credentials(f, "ca.pem", USAGE_TRUST_ANCHOR);
        fails(f, c, -EKEYREJECTED, "no cipher suite");
}

static void test_bad_material(void **state) {
        Fixture *f = *state;
        g_autoptr(Credentials) c = NULL;

        make_certificates(f);
        serve_x509(f, "server", "ca.pem");
        c = x509_credentials(f, "ca.pem", USAGE_TRUST_ANCHOR);
        set_bytes(&c->secret, pki_read(f->pki, "server.key"));
        fails(f, c, -EINVAL, "not that of the certificate");
        set_bytes(&c->secret, g_bytes_new_static("junk", 4));
        fails(f, c, -EINVAL, "0/x/5: not a private key");
        set_bytes(&c->secret, pki_read(f->pki, "client.key"));
        set_bytes(&c->identity, g_bytes_new_static("-----BEGIN CERTIFICATE-----\nx\n", 30));
        fails(f, c, -EINVAL, "0/x/3: not a certificate");
        set_bytes(&c->identity, pki_read(f->pki, "client.pem"));
        set_bytes(&c->peer, g_bytes_new_static("\x30\x03\x01\x01\xff", 5));
        fails(f, c, -EINVAL, "0/x/4: not a certificate");
        c->matching = MATCHING_SHA256;
        fails(f, c, -EINVAL, "32 bytes");
}

static void reference(GBytes **where, const char *name) {
        g_autofree char *text = g_strconcat("file:", name, NULL);

        set_bytes(where, g_bytes_new(text, strlen(text)));
}

static void test_files(void **state) {
        Fixture *f = *state;
        g_autoptr(Credentials) c = NULL;

        make_certificates(f);
        serve_x509(f, "server", "ca.pem");
        c = credentials_new(SECURITY_MODE_X509);
        c->usage = USAGE_TRUST_ANCHOR;
        reference(&c->identity, "client.pem");
        reference(&c->secret, pki_path(f->pki, "client.key"));
        reference(&c->peer, pki_path(f->pki, "ca.pem"));
        open_transport(f, &(CoapConfig){ .secrets_directory = pki_folder(f->pki) });
        connects(f, c);
        chmod(pki_path(f->pki, "client.key"), 0644);
        fails(f, c, -EPERM, "open to all users");
        chmod(pki_path(f->pki, "client.key"), 0640);
        connects(f, c);
        reference(&c->identity, "../client.pem");
        fails(f, c, -EINVAL, "neither an absolute path");
        reference(&c->identity, "sub/client.pem");
        fails(f, c, -EINVAL, "neither an absolute path");
        reference(&c->identity, "missing.pem");
        fails(f, c, -ENOENT, "missing.pem");
        reference(&c->identity, "/dev/zero");
        fails(f, c, -EINVAL, "not a regular file");
}

static void store(Fixture *f, GBytes **where, const char *file) {
        g_autofree char *text = g_strconcat("store:file:", pki_path(f->pki, file), NULL);

        set_bytes(where, g_bytes_new(text, strlen(text)));
}

/* Everything in OpenSSL's stores, through the scheme it has itself; the key signs in there. */
static void test_stores(void **state) {
        Fixture *f = *state;
        g_autoptr(Credentials) c = NULL;

        make_certificates(f);
        serve_x509(f, "server", "ca.pem");
        c = credentials_new(SECURITY_MODE_X509);
        c->usage = USAGE_TRUST_ANCHOR;
        store(f, &c->identity, "client.pem");
        store(f, &c->secret, "client.key");
        store(f, &c->peer, "ca.pem");
        connects(f, c);
        /* Some of it may be elsewhere. */
        set_bytes(&c->identity, pki_der(f->pki, "client.pem"));
        connects(f, c);
        store(f, &c->secret, "server.key");
        fails(f, c, -EINVAL, "the private key (0/x/5) is not that of the certificate (0/x/3)");
        store(f, &c->secret, "missing.key");
        fails(f, c, -ENOKEY, "0/x/5: 'file:/");
        store(f, &c->secret, "client.pem");
        fails(f, c, -ENOKEY, "there is no such private key");
        set_bytes(&c->secret, g_bytes_new_static("store:handle:0x81000001", 23));
        fails(f, c, -ENOPKG, "no provider knows such URIs (Providers of [Security]: none)");
}

/* --- credentials that are provided --- */

struct KeyQuestion {
        struct Vault *vault;
        LoopSource *idle;
        KeyAnswer done;
        void *userdata;
};

typedef struct Vault {
        Loop *loop;
        bool empty;         /* nobody provides */
        Credentials *gives; /* NULL: an error */
        unsigned n_asked, n_cancelled;
} Vault;

static bool vault_provides(void *userdata, uint16_t ssid) {
        const Vault *v = userdata;

        assert_int_equal(ssid, 1);
        return !v->empty;
}

static void on_vault(void *userdata) {
        KeyQuestion *q = userdata;
        Vault *v = q->vault;
        KeyAnswer done = q->done;
        void *whom = q->userdata;

        loop_source_free(q->idle);
        g_free(q);
        if (v->gives)
                done(whom, 0, NULL, credentials_copy(v->gives), loop_now(v->loop));
        else
                done(whom, -ENOKEY, "the vault is sealed", NULL, loop_now(v->loop));
}

static int vault_ask(void *userdata, uint16_t ssid, const char *uri, const Credentials *account,
                     KeyAnswer done, void *done_userdata, KeyQuestion **ret) {
        Vault *v = userdata;
        KeyQuestion *q = g_new0(KeyQuestion, 1);

        assert_true(g_str_has_prefix(uri, "coaps://"));
        assert_int_equal(account->mode, SECURITY_MODE_PSK);
        v->n_asked++;
        *q = (KeyQuestion){ .vault = v, .done = done, .userdata = done_userdata };
        q->idle = loop_add_idle(v->loop, on_vault, q);
        *ret = q;
        return 0;
}

static void vault_cancel(KeyQuestion *q) {
        q->vault->n_cancelled++;
        loop_source_free(q->idle);
        g_free(q);
}

static void test_provided(void **state) {
        static const KeyProvider provider = { vault_provides, vault_ask, vault_cancel };
        Fixture *f = *state;
        Vault v = { .loop = f->loop, .empty = true };
        g_autoptr(Credentials) awaited = credentials_new(SECURITY_MODE_PSK);
        g_autoptr(Credentials) right = psk_credentials(), own = psk_credentials();
        g_autoptr(GBytes) kept = NULL;

        serve_psk(f, NULL);
        open_transport(f, &(CoapConfig){ 0 });
        coap_transport_set_provider(f->transport, &provider, &v);
        set_bytes(&awaited->secret, g_bytes_new_static("provider:", 9));
        fails(f, awaited, -ENOKEY, "waiting for an application that provides");
        assert_int_equal(v.n_asked, 0);
        /* With keys of its own an account needs nobody … */
        connects(f, own);
        kept = g_bytes_ref(f->session);
        /* … but somebody who is there is asked. */
        v.empty = false;
        fails(f, own, -ENOKEY, "the vault is sealed");
        v.gives = right;
        connects(f, awaited);
        asks(f);
        assert_int_equal(v.n_asked, 2);
        assert_null(f->session); /* there is none to be kept … */
        open_with(f, own, kept, false);
        assert_true(run_for(f, WAIT_MSEC, &f->n_up));
        assert_false(f->resumed); /* … and none is taken up */
        /* One who comes while the link gives up is asked after all. */
        v.empty = true;
        open_with(f, awaited, NULL, false);
        v.empty = false;
        assert_true(run_for(f, WAIT_MSEC, &f->n_up));
        /* Closed with the question open. */
        open_with(f, awaited, NULL, false);
        close_link(f);
        assert_int_equal(v.n_cancelled, 1);
}

static void test_x509_resumption(void **state) {
        Fixture *f = *state;
        g_autoptr(Credentials) c = NULL;
        g_autoptr(GBytes) session = NULL;

        make_certificates(f);
        serve_x509(f, "server", "ca.pem");
        c = x509_credentials(f, "ca.pem", USAGE_TRUST_ANCHOR);
        connects(f, c);
        session = g_bytes_ref(f->session);
        open_with(f, c, session, false);
        assert_true(run_for(f, WAIT_MSEC, &f->n_up));
        assert_true(f->resumed);
        asks(f);
}

/* --- raw public keys --- */

static Credentials *rpk_credentials(Fixture *f) {
        Credentials *c = credentials_new(SECURITY_MODE_RPK);

        set_bytes(&c->identity, pki_der(f->pki, "client.pub"));
        set_bytes(&c->secret, pki_der(f->pki, "client.key"));
        set_bytes(&c->peer, pki_der(f->pki, "server.pub"));
        return c;
}

static void test_rpk(void **state) {
        Fixture *f = *state;
        g_autoptr(Credentials) c = NULL;

        make_certificates(f);
        c = rpk_credentials(f);
        if (!coap_transport_has_rpk()) {
                serve_psk(f, NULL);
                fails(f, c, -EPROTONOSUPPORT, "OpenSSL 3.2");
                return;
        }
        serve(f, &(DtlsPeerConfig){ .certificate = pki_path(f->pki, "server.pem"),
                                    .key = pki_path(f->pki, "server.key"),
                                    .client_key = pki_path(f->pki, "client.pub") });
        connects(f, c);
        asks(f);
        set_bytes(&c->peer, pki_der(f->pki, "other.pub"));
        fails(f, c, -EKEYREJECTED, "not the one expected");
        c->matching = MATCHING_SHA256;
        set_bytes(&c->peer, pki_digest(f->pki, "server.pub", "SHA256"));
        connects(f, c);
        /* Out of OpenSSL's stores. */
        c->matching = MATCHING_EXACT;
        store(f, &c->secret, "client.key");
        store(f, &c->peer, "server.pub");
        connects(f, c);
        asks(f);
}

#define UNIT(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
        const struct CMUnitTest tests[] = {
                UNIT(test_psk),
                UNIT(test_each_psk_suite),
                UNIT(test_no_suite_in_common),
                UNIT(test_unknown_identity),
                UNIT(test_wrong_psk),
                UNIT(test_bad_identities),
                UNIT(test_silence),
                UNIT(test_nobody_there),
                UNIT(test_many_at_once),
                UNIT(test_resumption),
                UNIT(test_sleep),
                UNIT(test_socket_options),
                UNIT(test_damaged_sessions),
                UNIT(test_lost_session_is_noticed),
                UNIT(test_closed_by_server),
                UNIT(test_peek),
                UNIT(test_separate_response_again),
                UNIT(test_garbage),
                UNIT(test_many_handshakes_leave_nothing),
                UNIT(test_x509),
                UNIT(test_each_certificate_suite),
                UNIT(test_usages_and_matching),
                UNIT(test_constraints_need_the_trust_store),
                UNIT(test_wrong_name),
                UNIT(test_dates),
                UNIT(test_our_certificate_is_refused),
                UNIT(test_no_certificate_at_all),
                UNIT(test_bad_material),
                UNIT(test_files),
                UNIT(test_stores),
                UNIT(test_provided),
                UNIT(test_x509_resumption),
                UNIT(test_rpk),
        };

        if (!security_is_openssl()) {
                printf("libcoap is on %s, this is about OpenSSL\n", security_library());
                return 77; /* skipped, to meson */
        }
        return cmocka_run_group_tests(tests, NULL, NULL);
}
