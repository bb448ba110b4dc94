/* SPDX-License-Identifier: Apache-2.0 */
/* dtls_peer.h once more, on Mbed TLS, which has Connection IDs (RFC 9146) and OpenSSL has not: a
 * client that has agreed on one is known by it, whatever address its records come from. Sessions
 * are not resumed; raw public keys and chosen cipher suites there are none. */
#include <arpa/inet.h>
#include <errno.h>
#include <mbedtls/ctr_drbg.h>
#include <mbedtls/entropy.h>
#include <mbedtls/error.h>
#include <mbedtls/ssl.h>
#include <netinet/in.h>
#include <psa/crypto.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "dtls_peer.h"

#define DATAGRAM_MAX 2048
#define CLIENTS_MAX 256u
#define CID_LENGTH 6u
#define RECORD_HANDSHAKE 22
#define RECORD_CID 25 /* RFC 9146, section 4 */
#define AT_CID 11u    /* in a record of that type */

struct DtlsPeer {
        DtlsPeerEvents events;
        void *userdata;
        char *identity;
        GBytes *psk;
        bool mute, without_cid;
        mbedtls_ssl_config conf;
        mbedtls_entropy_context entropy;
        mbedtls_ctr_drbg_context random;
        mbedtls_x509_crt certificate, authority;
        mbedtls_pk_context key;
        int fd;
        uint16_t port;
        unsigned n_datagrams;
        GPtrArray *clients;
};

struct DtlsClient {
        DtlsPeer *peer;
        struct sockaddr_storage address;
        socklen_t n_address;
        mbedtls_ssl_context ssl;
        uint8_t cid[CID_LENGTH];
        const uint8_t *in; /* the datagram being read */
        size_t n_in;
        gint64 delay_from;
        uint32_t delays[2]; /* of the library's timer, in ms */
        bool established, gone;
        unsigned n_messages;
        char *identity;
        void *data;
        GDestroyNotify free_data;
};

/* --- what Mbed TLS asks for --- */

static unsigned count_handshakes(const uint8_t *data, size_t n) {
        unsigned found = 0;

        for (size_t length; n >= 13; data += length, n -= length) {
                length = 13u + ((size_t) data[11] << 8 | data[12]);
                if (data[0] == RECORD_CID || length > n)
                        break;
                found += data[0] == RECORD_HANDSHAKE;
        }
        return found;
}

static int on_send(void *userdata, const unsigned char *data, size_t n) {
        DtlsClient *c = userdata;

        c->n_messages += count_handshakes(data, n);
        (void) sendto(c->peer->fd, data, n, 0, (struct sockaddr *) &c->address, c->n_address);
        return (int) n; /* lost or not */
}

static int on_recv(void *userdata, unsigned char *data, size_t n) {
        DtlsClient *c = userdata;
        size_t got = MIN(c->n_in, n);

        if (got == 0)
                return MBEDTLS_ERR_SSL_WANT_READ;
        memcpy(data, c->in, got);
        c->n_in = 0;
        return (int) got;
}

static void on_set_delay(void *userdata, uint32_t middle_ms, uint32_t end_ms) {
        DtlsClient *c = userdata;

        c->delay_from = g_get_monotonic_time();
        c->delays[0] = middle_ms;
        c->delays[1] = end_ms;
}

static int on_get_delay(void *userdata) {
        const DtlsClient *c = userdata;
        gint64 passed_ms = (g_get_monotonic_time() - c->delay_from) / 1000;

        if (c->delays[1] == 0)
                return -1;
        return (passed_ms >= c->delays[0]) + (passed_ms >= c->delays[1]);
}

static int on_psk(void *userdata, mbedtls_ssl_context *ssl, const unsigned char *identity,
                  size_t n) {
        DtlsPeer *p = userdata;
        DtlsClient *c = mbedtls_ssl_get_user_data_p(ssl);
        gsize n_key;
        const uint8_t *key = g_bytes_get_data(p->psk, &n_key);

        if (strlen(p->identity) != n || memcmp(p->identity, identity, n) != 0)
                return MBEDTLS_ERR_SSL_UNKNOWN_IDENTITY;
        g_free(c->identity);
        c->identity = g_strndup((const char *) identity, n);
        return mbedtls_ssl_set_hs_psk(ssl, key, n_key);
}

/* --- clients --- */

static void client_free(void *data) {
        DtlsClient *c = data;

        if (c->free_data)
                c->free_data(c->data);
        mbedtls_ssl_free(&c->ssl);
        g_free(c->identity);
        g_free(c);
}

static DtlsClient *find_by_address(DtlsPeer *p, const struct sockaddr_storage *a, socklen_t n) {
        for (guint i = 0; i < p->clients->len; i++) {
                DtlsClient *c = g_ptr_array_index(p->clients, i);

                if (c->n_address == n && memcmp(&c->address, a, n) == 0)
                        return c;
        }
        return NULL;
}

static DtlsClient *find_by_cid(DtlsPeer *p, const uint8_t *data, size_t n) {
        for (guint i = 0; n >= AT_CID + CID_LENGTH && i < p->clients->len; i++) {
                DtlsClient *c = g_ptr_array_index(p->clients, i);

                if (memcmp(c->cid, data + AT_CID, CID_LENGTH) == 0)
                        return c;
        }
        return NULL;
}

static DtlsClient *add_client(DtlsPeer *p, const struct sockaddr_storage *a, socklen_t n) {
        DtlsClient *c;

        if (p->clients->len >= CLIENTS_MAX)
                g_ptr_array_remove_index(p->clients, 0);
        c = g_new0(DtlsClient, 1);
        c->peer = p;
        c->address = *a;
        c->n_address = n;
        mbedtls_ssl_init(&c->ssl);
        g_ptr_array_add(p->clients, c);
        (void) mbedtls_ctr_drbg_random(&p->random, c->cid, sizeof(c->cid));
        if (mbedtls_ssl_setup(&c->ssl, &p->conf) != 0 ||
            mbedtls_ssl_set_cid(&c->ssl,
                                p->without_cid ? MBEDTLS_SSL_CID_DISABLED : MBEDTLS_SSL_CID_ENABLED,
                                c->cid, sizeof(c->cid)) != 0)
                g_error("Mbed TLS makes no session");
        mbedtls_ssl_set_user_data_p(&c->ssl, c);
        mbedtls_ssl_set_bio(&c->ssl, c, on_send, on_recv, NULL);
        mbedtls_ssl_set_timer_cb(&c->ssl, c, on_set_delay, on_get_delay);
        return c;
}

static void tell_established(DtlsClient *c) {
        const mbedtls_x509_crt *x = mbedtls_ssl_get_peer_cert(&c->ssl);
        g_autofree char *cipher =
                g_strdelimit(g_strdup(mbedtls_ssl_get_ciphersuite(&c->ssl)), "-", '_');
        unsigned char cid[MBEDTLS_SSL_CID_OUT_LEN_MAX];
        char subject[256] = "";
        int enabled = 0;
        size_t n;

        if (x)
                (void) mbedtls_x509_dn_gets(subject, sizeof(subject), &x->subject);
        (void) mbedtls_ssl_get_peer_cid(&c->ssl, &enabled, cid, &n);
        c->established = true;
        c->peer->events.established(c->peer->userdata, c,
                                    &(DtlsHandshake){ .identity = c->identity ?: subject,
                                                      .cipher = cipher,
                                                      .sni = "",
                                                      .cid = enabled,
                                                      .n_messages = c->n_messages });
}

static void end(DtlsClient *c, int error) {
        char reason[128];

        mbedtls_strerror(error, reason, sizeof(reason));
        c->gone = true;
        c->peer->events.closed(c->peer->userdata, c, -1, false, reason);
}

/* One datagram: the handshake, then messages. The address becomes the client's once a record from
 * it was proven to be the client's own (RFC 9146, section 6). */
static void step(DtlsClient *c, const struct sockaddr_storage *from, socklen_t n_from) {
        uint8_t buffer[DATAGRAM_MAX];
        int r = 0;

        if (!c->established) {
                r = mbedtls_ssl_handshake(&c->ssl);
                if (r == 0)
                        tell_established(c);
        }
        while (c->established && !c->gone) {
                r = mbedtls_ssl_read(&c->ssl, buffer, sizeof(buffer));
                if (r <= 0)
                        break;
                c->address = *from;
                c->n_address = n_from;
                c->peer->events.message(c->peer->userdata, c, buffer, (size_t) r);
        }
        if (r < 0 && r != MBEDTLS_ERR_SSL_WANT_READ && r != MBEDTLS_ERR_SSL_WANT_WRITE)
                end(c, r);
}

static bool is_first_hello(const uint8_t *data, size_t n) {
        return n > 25 && data[0] == RECORD_HANDSHAKE && data[3] == 0 && data[4] == 0 &&
               data[13] == MBEDTLS_SSL_HS_CLIENT_HELLO && data[17] == 0 && data[18] == 0;
}

static DtlsClient *client_for(DtlsPeer *p, const uint8_t *data, size_t n,
                              const struct sockaddr_storage *a, socklen_t n_a) {
        DtlsClient *c;

        if (n > 0 && data[0] == RECORD_CID)
                return find_by_cid(p, data, n);
        c = find_by_address(p, a, n_a);
        if (c && c->established && is_first_hello(data, n)) { /* it begins anew */
                g_ptr_array_remove(p->clients, c);
                c = NULL;
        }
        return c || !is_first_hello(data, n) ? c : add_client(p, a, n_a);
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
        c = p->mute ? NULL : client_for(p, buffer, (size_t) n, &a, n_a);
        if (!c)
                return;
        c->in = buffer;
        c->n_in = (size_t) n;
        if (buffer[0] != RECORD_CID)
                c->n_messages += count_handshakes(buffer, (size_t) n);
        step(c, &a, n_a);
        c->in = NULL;
        c->n_in = 0;
        if (c->gone)
                g_ptr_array_remove(p->clients, c);
}

int dtls_client_send(DtlsClient *c, const void *data, size_t n) {
        return mbedtls_ssl_write(&c->ssl, data, n) > 0 ? 0 : -EIO;
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

static int load_certificates(DtlsPeer *p, const DtlsPeerConfig *config) {
        if (config->certificate &&
            (mbedtls_x509_crt_parse_file(&p->certificate, config->certificate) != 0 ||
             mbedtls_pk_parse_keyfile(&p->key, config->key, NULL, mbedtls_ctr_drbg_random,
                                      &p->random) != 0 ||
             mbedtls_ssl_conf_own_cert(&p->conf, &p->certificate, &p->key) != 0))
                return -EINVAL;
        mbedtls_ssl_conf_authmode(&p->conf, config->authority ? MBEDTLS_SSL_VERIFY_REQUIRED
                                                              : MBEDTLS_SSL_VERIFY_NONE);
        if (!config->authority)
                return 0;
        if (mbedtls_x509_crt_parse_file(&p->authority, config->authority) != 0)
                return -EINVAL;
        mbedtls_ssl_conf_ca_chain(&p->conf, &p->authority, NULL);
        return 0;
}

static int set_up(DtlsPeer *p, const DtlsPeerConfig *config) {
        if (psa_crypto_init() != PSA_SUCCESS ||
            mbedtls_ctr_drbg_seed(&p->random, mbedtls_entropy_func, &p->entropy, NULL, 0) != 0 ||
            mbedtls_ssl_config_defaults(&p->conf, MBEDTLS_SSL_IS_SERVER,
                                        MBEDTLS_SSL_TRANSPORT_DATAGRAM,
                                        MBEDTLS_SSL_PRESET_DEFAULT) != 0)
                return -EINVAL;
        mbedtls_ssl_conf_rng(&p->conf, mbedtls_ctr_drbg_random, &p->random);
        mbedtls_ssl_conf_dtls_cookies(&p->conf, NULL, NULL, NULL);
        if (mbedtls_ssl_conf_cid(&p->conf, CID_LENGTH, MBEDTLS_SSL_UNEXPECTED_CID_IGNORE) != 0)
                return -EINVAL;
        if (p->psk)
                mbedtls_ssl_conf_psk_cb(&p->conf, on_psk, p);
        return load_certificates(p, config);
}

int dtls_peer_new(const DtlsPeerConfig *config, const DtlsPeerEvents *events, void *userdata,
                  DtlsPeer **ret) {
        DtlsPeer *p;
        int r;

        if (config->client_key || config->ciphers || config->tickets || config->cookies) {
                fputs("not with Mbed TLS: client keys, cipher suites, tickets, cookies\n", stderr);
                return -EINVAL;
        }
        p = g_new0(DtlsPeer, 1);
        p->fd = -1;
        p->events = *events;
        p->userdata = userdata;
        p->identity = g_strdup(config->identity);
        p->psk = config->psk ? g_bytes_ref(config->psk) : NULL;
        p->without_cid = config->without_cid;
        p->clients = g_ptr_array_new_with_free_func(client_free);
        mbedtls_ssl_config_init(&p->conf);
        mbedtls_entropy_init(&p->entropy);
        mbedtls_ctr_drbg_init(&p->random);
        mbedtls_x509_crt_init(&p->certificate);
        mbedtls_x509_crt_init(&p->authority);
        mbedtls_pk_init(&p->key);
        r = open_socket(p, config);
        if (r >= 0)
                r = set_up(p, config);
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
        mbedtls_ssl_config_free(&p->conf);
        mbedtls_x509_crt_free(&p->certificate);
        mbedtls_x509_crt_free(&p->authority);
        mbedtls_pk_free(&p->key);
        mbedtls_ctr_drbg_free(&p->random);
        mbedtls_entropy_free(&p->entropy);
        if (p->fd >= 0)
                close(p->fd);
        g_clear_pointer(&p->psk, g_bytes_unref);
        g_free(p->identity);
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
}

void dtls_peer_mute(DtlsPeer *p, bool mute) {
        p->mute = mute;
}

void dtls_peer_close_all(DtlsPeer *p) {
        for (guint i = 0; i < p->clients->len; i++)
                (void) mbedtls_ssl_close_notify(
                        &((DtlsClient *) g_ptr_array_index(p->clients, i))->ssl);
        g_ptr_array_set_size(p->clients, 0);
}

void dtls_peer_renegotiate(DtlsPeer *p) {
        (void) p; /* Mbed TLS does not, unless told to */
}

unsigned dtls_peer_n_datagrams(const DtlsPeer *p) {
        return p->n_datagrams;
}
