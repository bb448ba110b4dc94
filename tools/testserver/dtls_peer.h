/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The server's side of DTLS for tests, on OpenSSL alone (or on Mbed TLS: cid_peer.c): one UDP
 * socket, an association per client address, messages in and out as they are. It owns no loop: the
 * user polls the descriptor. */
#include <glib.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

typedef struct DtlsPeer DtlsPeer;
typedef struct DtlsClient DtlsClient;

typedef struct DtlsPeerConfig { /* NULL and 0: without */
        const char *address;    /* "127.0.0.1" */
        uint16_t port;
        const char *identity; /* PSK */
        GBytes *psk;
        const char *certificate, *key; /* PEM files */
        const char *authority;         /* PEM file: clients must have a certificate of it */
        const char *client_key;        /* PEM file with the client's public key: raw public keys */
        const char *ciphers;           /* in OpenSSL's names; NULL: what it has */
        bool tickets;                  /* sessions are kept by the clients, not here */
        bool cookies;                  /* HelloVerifyRequest first; OpenSSL only */
        bool without_cid;              /* no Connection ID; with OpenSSL there is none anyway */
} DtlsPeerConfig;

typedef struct DtlsHandshake {
        const char *identity; /* PSK identity or subject; "" */
        const char *cipher;   /* IANA name */
        const char *sni;      /* "" */
        bool resumed;
        bool cid;            /* a Connection ID was agreed on */
        unsigned n_messages; /* of the handshake, both ways */
} DtlsHandshake;

typedef struct DtlsPeerEvents {
        void (*established)(void *userdata, DtlsClient *c, const DtlsHandshake *handshake);
        void (*message)(void *userdata, DtlsClient *c, const uint8_t *data, size_t n);
        /* The association is over: an alert (number, received or not), or reason. */
        void (*closed)(void *userdata, DtlsClient *c, int alert, bool received, const char *reason);
} DtlsPeerEvents;

/* -EINVAL with a line on stderr when the files cannot be used; socket errors. */
int dtls_peer_new(const DtlsPeerConfig *config, const DtlsPeerEvents *events, void *userdata,
                  DtlsPeer **ret);
DtlsPeer *dtls_peer_free(DtlsPeer *p);
int dtls_peer_fd(const DtlsPeer *p);
uint16_t dtls_peer_port(const DtlsPeer *p);
void dtls_peer_read(DtlsPeer *p); /* the descriptor is readable */
/* All associations and sessions are gone without a word, as after a restart. */
void dtls_peer_forget(DtlsPeer *p);
void dtls_peer_mute(DtlsPeer *p, bool mute);       /* reads and answers nothing */
void dtls_peer_close_all(DtlsPeer *p);             /* with close_notify */
void dtls_peer_renegotiate(DtlsPeer *p);           /* asks for it, within each association */
unsigned dtls_peer_n_datagrams(const DtlsPeer *p); /* received */

int dtls_client_send(DtlsClient *c, const void *data, size_t n);
/* A datagram as it is, from the server's address. */
int dtls_client_send_raw(DtlsClient *c, const void *data, size_t n);
void dtls_client_set_data(DtlsClient *c, void *data, GDestroyNotify free);
void *dtls_client_data(const DtlsClient *c);
