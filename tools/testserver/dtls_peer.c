/* SPDX-License-Identifier: Apache-2.0 */
#include "dtls_peer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define DATAGRAM_MAX 2048
#define CLIENTS_MAX 256u
#define MTU 1200
#define AT_RANDOM 27 /* in the record of a ClientHello: after two headers and the version */

struct DtlsPeer {
        DtlsPeerEvents events;
        void *userdata;
        char *identity, *certificate, *key, *authority, *client_key, *ciphers;
        GBytes *psk;
        bool tickets, cookies, mute;
        SSL_CTX *context;
        BIO_METHOD *method;
        int fd;
        uint16_t port;
        unsigned n_datagrams;
        GPtrArray *clients;
};

struct DtlsClient {
        DtlsPeer *peer;
        struct sockaddr_storage address;
        socklen_t n_address;
        SSL *ssl;
        const uint8_t *in; /* the datagram being read */
        size_t n_in;
        uint8_t random[32]; /* of the ClientHello that began it */
        bool established, gone, received;
        int alert;
        unsigned n_messages;
        char *identity;
        void *data;
        GDestroyNotify free_data;
};

/* --- a BIO of datagrams --- */

static int bio_write(BIO *b, const char *data, int n) {
        DtlsClient *c = BIO_get_data(b);

        BIO_clear_retry_flags(b);
        (void) sendto(c->peer->fd, data, (size_t) n, 0, (struct sockaddr *) &c->address,
                      c->n_address);
        return n; /* lost or not */
}

static int bio_read(BIO *b, char *data, int n) {
        DtlsClient *c = BIO_get_data(b);
        size_t got = MIN(c->n_in, (size_t) n);

        BIO_clear_retry_flags(b);
        if (got == 0) {
                BIO_set_retry_read(b);
                return -1;
        }
        memcpy(data, c->in, got);
        c->n_in = 0;
        return (int) got;
}

static long bio_ctrl(BIO *b, int command, long number, void *pointer) {
        return command == BIO_CTRL_FLUSH || command == BIO_CTRL_DGRAM_SET_NEXT_TIMEOUT;
}

static BIO_METHOD *make_method(void) {
        BIO_METHOD *m = BIO_meth_new(BIO_TYPE_DGRAM, "test datagrams");

        BIO_meth_set_write(m, bio_write);
        BIO_meth_set_read(m, bio_read);
        BIO_meth_set_ctrl(m, bio_ctrl);
        return m;
}

/* --- callbacks --- */

static DtlsClient *client_of(const SSL *ssl) {
        return SSL_get_app_data(ssl);
}

static unsigned on_psk(SSL *ssl, const char *identity, unsigned char *psk, unsigned n_psk) {
        DtlsClient *c = client_of(ssl);
        gsize n;
        const void *key = g_bytes_get_data(c->peer->psk, &n);

        if (strcmp(identity, c->peer->identity) != 0 || n > n_psk)
                return 0;
        g_free(c->identity);
        c->identity = g_strdup(identity);
        memcpy(psk, key, n);
        return (unsigned) n;
}

static void on_message(int out, int version, int type, const void *data, size_t n, SSL *ssl,
                       void *userdata) {
        DtlsClient *c = client_of(ssl);

        if (type == SSL3_RT_HANDSHAKE && c)
                c->n_messages++;
}

static void on_info(const SSL *ssl, int where, int ret) {
        DtlsClient *c = client_of(ssl);

        if (c && where & SSL_CB_ALERT) {
                c->alert = ret & 0xff;
                c->received = (where & SSL_CB_READ) != 0;
        }
}

static int on_make_cookie(SSL *ssl, unsigned char *cookie, unsigned *n) {
        *n = 16;
        memcpy(cookie, client_of(ssl)->random, *n);
        return 1;
}

static int on_check_cookie(SSL *ssl, const unsigned char *cookie, unsigned n) {
        return n == 16 && memcmp(cookie, client_of(ssl)->random, n) == 0;
}

static int on_verify_raw(int ok, X509_STORE_CTX *store) {
        return 1; /* the key is compared once the handshake is over */
}

/* --- context --- */

static int load_certificates(DtlsPeer *p, SSL_CTX *x) {
        if (p->certificate && SSL_CTX_use_certificate_chain_file(x, p->certificate) != 1)
                return -EINVAL;
        if (p->key && SSL_CTX_use_PrivateKey_file(x, p->key, SSL_FILETYPE_PEM) != 1)
                return -EINVAL;
        if (p->authority) {
                if (SSL_CTX_load_verify_file(x, p->authority) != 1)
                        return -EINVAL;
                SSL_CTX_set_client_CA_list(x, SSL_load_client_CA_file(p->authority));
                SSL_CTX_set_verify(x, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
        }
        return 0;
}

static int allow_raw_keys(DtlsPeer *p, SSL_CTX *x) {
#if OPENSSL_VERSION_NUMBER >= 0x30200000L
        static const unsigned char raw[] = { TLSEXT_cert_type_rpk };

        if (!p->client_key)
                return 0;
        if (SSL_CTX_set1_server_cert_type(x, raw, 1) != 1 ||
            SSL_CTX_set1_client_cert_type(x, raw, 1) != 1)
                return -EINVAL;
        SSL_CTX_set_verify(x, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, on_verify_raw);
        return 0;
#else
        (void) on_verify_raw;
        return p->client_key ? -EINVAL : 0;
#endif
}

static int make_context(DtlsPeer *p) {
        static unsigned number; /* another context does not know the sessions of this one */
        unsigned id = ++number;
        SSL_CTX *x = SSL_CTX_new(DTLS_server_method());

        SSL_CTX_free(p->context);
        p->context = x;
        SSL_CTX_set_security_level(x, 0);
        SSL_CTX_set_min_proto_version(x, DTLS1_2_VERSION);
        SSL_CTX_set_options(x, SSL_OP_NO_QUERY_MTU | (p->tickets ? 0 : SSL_OP_NO_TICKET));
        SSL_CTX_set_session_id_context(x, (const unsigned char *) &id, sizeof(id));
        SSL_CTX_set_info_callback(x, on_info);
        SSL_CTX_set_msg_callback(x, on_message);
        if (p->psk)
                SSL_CTX_set_psk_server_callback(x, on_psk);
        if (p->cookies) {
                SSL_CTX_set_options(x, SSL_OP_COOKIE_EXCHANGE);
                SSL_CTX_set_cookie_generate_cb(x, on_make_cookie);
                SSL_CTX_set_cookie_verify_cb(x, on_check_cookie);
        }
        if (SSL_CTX_set_cipher_list(x, p->ciphers ? p->ciphers : "ALL:PSK:@SECLEVEL=0") == 1 &&
            load_certificates(p, x) == 0 && allow_raw_keys(p, x) == 0)
                return 0;
        ERR_print_errors_fp(stderr);
        return -EINVAL;
}

/* --- clients --- */

static void client_free(void *data) {
        DtlsClient *c = data;

        if (c->free_data)
                c->free_data(c->data);
        SSL_set_app_data(c->ssl, NULL);
        SSL_free(c->ssl);
        g_free(c->identity);
        g_free(c);
}

static DtlsClient *find_client(DtlsPeer *p, const struct sockaddr_storage *a, socklen_t n) {
        for (guint i = 0; i < p->clients->len; i++) {
                DtlsClient *c = g_ptr_array_index(p->clients, i);

                if (c->n_address == n && memcmp(&c->address, a, n) == 0)
                        return c;
        }
        return NULL;
}

static DtlsClient *add_client(DtlsPeer *p, const struct sockaddr_storage *a, socklen_t n) {
        DtlsClient *c;
        BIO *b;

        if (p->clients->len >= CLIENTS_MAX)
                g_ptr_array_remove_index(p->clients, 0);
        c = g_new0(DtlsClient, 1);
        c->peer = p;
        c->address = *a;
        c->n_address = n;
        c->alert = -1;
        c->ssl = SSL_new(p->context);
        b = BIO_new(p->method);
        BIO_set_data(b, c);
        BIO_set_init(b, 1);
        SSL_set_bio(c->ssl, b, b);
        SSL_set_app_data(c->ssl, c);
        SSL_set_mtu(c->ssl, MTU);
        SSL_set_accept_state(c->ssl);
        g_ptr_array_add(p->clients, c);
        return c;
}

static bool has_expected_key(const DtlsClient *c) {
#if OPENSSL_VERSION_NUMBER >= 0x30200000L
        EVP_PKEY *shown = SSL_get0_peer_rpk(c->ssl), *wanted;
        FILE *f = fopen(c->peer->client_key, "re");
        bool equal;

        wanted = f ? PEM_read_PUBKEY(f, NULL, NULL, NULL) : NULL;
        if (f)
                fclose(f);
        equal = shown && wanted && EVP_PKEY_eq(shown, wanted) == 1;
        EVP_PKEY_free(wanted);
        return equal;
#else
        return false;
#endif
}

static void tell_established(DtlsClient *c) {
        const char *sni = SSL_get_servername(c->ssl, TLSEXT_NAMETYPE_host_name);
        X509 *x = SSL_get1_peer_certificate(c->ssl);
        DtlsHandshake h = {
                .identity = c->identity ? c->identity : "",
                .cipher = SSL_CIPHER_standard_name(SSL_get_current_cipher(c->ssl)),
                .sni = sni ? sni : "",
                .resumed = SSL_session_reused(c->ssl),
                .n_messages = c->n_messages,
        };
        char subject[256];

        if (x) {
                X509_NAME_oneline(X509_get_subject_name(x), subject, sizeof(subject));
                h.identity = subject;
                X509_free(x);
        } else if (h.resumed && c->peer->identity)
                h.identity = c->peer->identity;
        c->established = true;
        c->peer->events.established(c->peer->userdata, c, &h);
}

static void end(DtlsClient *c, const char *reason) {
        c->gone = true;
        c->peer->events.closed(c->peer->userdata, c, c->alert, c->received, reason);
}

static void step(DtlsClient *c) {
        uint8_t buffer[DATAGRAM_MAX];
        int n, error;

        while (!c->gone) {
                ERR_clear_error();
                n = SSL_read(c->ssl, buffer, sizeof(buffer));
                if (!c->established && SSL_is_init_finished(c->ssl)) {
                        if (c->peer->client_key && !has_expected_key(c)) {
                                end(c, "another key than expected");
                                return;
                        }
                        tell_established(c);
                }
                if (n > 0) {
                        c->peer->events.message(c->peer->userdata, c, buffer, (size_t) n);
                        continue;
                }
                error = SSL_get_error(c->ssl, n);
                if (error != SSL_ERROR_WANT_READ) {
                        const char *reason = ERR_reason_error_string(ERR_peek_error());

                        end(c, reason ? reason : "closed");
                }
                return;
        }
}

/* A new ClientHello in an association that is there already: the client begins anew (RFC 6347,
 * section 4.2.8). */
static bool is_first_hello(const uint8_t *data, size_t n) {
        return n >= AT_RANDOM + 32 && data[0] == SSL3_RT_HANDSHAKE && data[3] == 0 &&
               data[4] == 0 && data[13] == SSL3_MT_CLIENT_HELLO && data[17] == 0 && data[18] == 0;
}

void dtls_peer_read(DtlsPeer *p) {
        uint8_t buffer[DATAGRAM_MAX];
        struct sockaddr_storage a = { 0 };
        socklen_t n_a = sizeof(a);
        ssize_t n =
                recvfrom(p->fd, buffer, sizeof(buffer), MSG_DONTWAIT, (struct sockaddr *) &a, &n_a);
        DtlsClient *c;

        if (n <= 0)
                return;
        p->n_datagrams++;
        if (p->mute)
                return;
        c = find_client(p, &a, n_a);
        if (c && is_first_hello(buffer, (size_t) n) &&
            memcmp(c->random, buffer + AT_RANDOM, sizeof(c->random)) != 0) {
                g_ptr_array_remove(p->clients, c);
                c = NULL;
        }
        if (!c) {
                if (!is_first_hello(buffer, (size_t) n))
                        return; /* of an association nobody knows any more */
                c = add_client(p, &a, n_a);
                memcpy(c->random, buffer + AT_RANDOM, sizeof(c->random));
        }
        c->in = buffer;
        c->n_in = (size_t) n;
        step(c);
        c->in = NULL;
        c->n_in = 0;
        if (c->gone)
                g_ptr_array_remove(p->clients, c);
}

int dtls_client_send(DtlsClient *c, const void *data, size_t n) {
        return SSL_write(c->ssl, data, (int) n) > 0 ? 0 : -EIO;
}

int dtls_client_send_raw(DtlsClient *c, const void *data, size_t n) {
        return sendto(c->peer->fd, data, n, 0, (struct sockaddr *) &c->address, c->n_address) < 0
                       ? -errno
                       : 0;
}

void dtls_client_set_data(DtlsClient *c, void *data, GDestroyNotify free) {
        c->data = data;
        c->free_data = free;
}

void *dtls_client_data(const DtlsClient *c) {
        return c->data;
}

/* --- life --- */

static int open_socket(DtlsPeer *p, const DtlsPeerConfig *config) {
        struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(config->port) };
        socklen_t n = sizeof(a);

        if (inet_pton(AF_INET, config->address ? config->address : "127.0.0.1", &a.sin_addr) != 1)
                return -EINVAL;
        p->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        if (p->fd < 0 || bind(p->fd, (struct sockaddr *) &a, sizeof(a)) < 0 ||
            getsockname(p->fd, (struct sockaddr *) &a, &n) < 0)
                return -errno;
        p->port = ntohs(a.sin_port);
        return 0;
}

int dtls_peer_new(const DtlsPeerConfig *config, const DtlsPeerEvents *events, void *userdata,
                  DtlsPeer **ret) {
        DtlsPeer *p = g_new0(DtlsPeer, 1);
        int r;

        p->fd = -1;
        p->events = *events;
        p->userdata = userdata;
        p->identity = g_strdup(config->identity);
        p->psk = config->psk ? g_bytes_ref(config->psk) : NULL;
        p->certificate = g_strdup(config->certificate);
        p->key = g_strdup(config->key);
        p->authority = g_strdup(config->authority);
        p->client_key = g_strdup(config->client_key);
        p->ciphers = g_strdup(config->ciphers);
        p->tickets = config->tickets;
        p->cookies = config->cookies;
        p->method = make_method();
        p->clients = g_ptr_array_new_with_free_func(client_free);
        r = open_socket(p, config);
        if (r >= 0)
                r = make_context(p);
        if (r < 0) {
                dtls_peer_free(p);
                return r;
        }
        *ret = p;
        return 0;
}

DtlsPeer *dtls_peer_free(DtlsPeer *p) {
        if (!p)
                return NULL;
        g_ptr_array_unref(p->clients);
        SSL_CTX_free(p->context);
        BIO_meth_free(p->method);
        if (p->fd >= 0)
                close(p->fd);
        g_clear_pointer(&p->psk, g_bytes_unref);
        g_free(p->identity);
        g_free(p->certificate);
        g_free(p->key);
        g_free(p->authority);
        g_free(p->client_key);
        g_free(p->ciphers);
        g_free(p);
        return NULL;
}

int dtls_peer_fd(const DtlsPeer *p) {
        return p->fd;
}

uint16_t dtls_peer_port(const DtlsPeer *p) {
        return p->port;
}

void dtls_peer_forget(DtlsPeer *p) {
        g_ptr_array_set_size(p->clients, 0);
        (void) make_context(p);
}

void dtls_peer_mute(DtlsPeer *p, bool mute) {
        p->mute = mute;
}

void dtls_peer_close_all(DtlsPeer *p) {
        for (guint i = 0; i < p->clients->len; i++)
                SSL_shutdown(((DtlsClient *) g_ptr_array_index(p->clients, i))->ssl);
        g_ptr_array_set_size(p->clients, 0);
}

void dtls_peer_renegotiate(DtlsPeer *p) {
        for (guint i = 0; i < p->clients->len; i++) {
                DtlsClient *c = g_ptr_array_index(p->clients, i);

                if (SSL_renegotiate(c->ssl) == 1)
                        (void) SSL_do_handshake(c->ssl);
        }
        ERR_clear_error();
}

unsigned dtls_peer_n_datagrams(const DtlsPeer *p) {
        return p->n_datagrams;
}
