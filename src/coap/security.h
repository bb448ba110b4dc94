/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* (D)TLS of one link, as OpenSSL has it under libcoap. libcoap makes the SSL object, drives the
 * handshake and moves the records; this decides everything about it: cipher suites, credentials,
 * what is accepted of the server, and the session to resume. Good for DTLS and TLS alike.
 *
 * How: libcoap has no settings for most of it, but OpenSSL tells of every new SSL object, which
 * gets an info callback; the first thing that callback hears is the start of the handshake, before
 * the ClientHello is written. Nothing of OpenSSL is touched before the first security_new(). */
#include <coap3/coap.h>

#include "lwm2m/account/credentials.h"
#include "lwm2m/transport.h"

typedef struct Security Security;

typedef enum SecurityState {
        SECURITY_WAITING, /* no handshake yet */
        SECURITY_HANDSHAKE,
        SECURITY_ESTABLISHED,
        SECURITY_FAILED, /* or the session is over */
} SecurityState;

typedef struct SecurityConfig {
        const Credentials *credentials; /* copied; checked with credentials_check() */
        const char *host;               /* of the URI, without brackets */
        const char *secrets_directory;  /* where file:NAME is; NULL: only file:/… */
        const char *trust_store;        /* PEM file or hashed folder for certificate usages 0 and 1;
                                           NULL: the system's */
        GBytes *session;                /* to resume; NULL */
        bool ignore_dates;
        bool stream; /* for security_tls_start(): always OpenSSL, whatever libcoap has */
        bool once;   /* no session is to be resumed later */
        struct evp_pkey_st *key; /* our private key, if it is in a token (token.h): in place of that
                                    of the credentials. Must outlive the session */
        /* The socket is there and nothing has been sent over it; may be NULL. */
        void (*connected)(void *userdata, const coap_session_t *session);
        void *userdata;
} SecurityConfig;

/* Reads and checks everything now, so that the handshake does not fail for it. -ENOKEY, -EINVAL,
 * -EPROTONOSUPPORT, or the error of a file; *ret_error (g_free()) says what is wrong. */
int security_new(const SecurityConfig *config, Security **ret, char **ret_error);
Security *security_free(Security *s); /* the session was released before */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Security, security_free)

/* coap_new_client_session() for COAP_PROTO_DTLS or COAP_PROTO_TLS; starts the handshake, or with
 * TLS the connection. NULL with errno. */
coap_session_t *security_connect(Security *s, coap_context_t *context, const coap_address_t *local,
                                 const coap_address_t *remote, coap_proto_t proto);
/* Handshake messages in datagrams that fit any path, whatever libcoap was told of the MTU since. */
void security_cut_flights(Security *s);
/* Takes the state from libcoap's, which is all that is known without OpenSSL. */
void security_look_at(Security *s, const coap_session_t *session);
bool security_is_opaque(const Security *s); /* not OpenSSL: the functions for messages do nothing */
SecurityState security_state(const Security *s);
/* Of an established session; borrowed. */
void security_agreed(const Security *s, LinkSecurity *ret);
/* Why there is no session, or none any more: a negative errno as LinkEvents.down() has it, and text
 * for people (g_free()). silent: the time for the handshake is up. */
int security_failure(const Security *s, bool silent, char **ret_text);
int security_alert(const Security *s); /* the last one received; -1: none */

/* Whether a datagram is made of whole records that may be given to OpenSSL: an encrypted one that
 * is too short ends the session there, where RFC 6347 (section 4.1.2.7) wants it dropped. */
bool security_is_sound(const Security *s, const uint8_t *datagram, size_t n);
/* A look at the first bytes of the message in a datagram, which libcoap will still get with that
 * same datagram: how many, 0 when it is no message (handshake, alert, forgery). */
size_t security_look(Security *s, const uint8_t *datagram, size_t n, uint8_t *head, size_t n_head);
/* Takes the message that security_look() has seen. */
size_t security_take(Security *s, uint8_t *buffer, size_t n_buffer);

/* TLS over a stream of the caller's, without libcoap: bytes go in and come out, nothing waits.
 * Starts the handshake; 0, or what security_failure() says. */
int security_tls_start(Security *s);
/* Takes what has come of the stream, and goes on with the handshake as far as it does; the state
 * tells how far. 0, or negative: it has failed, or the session is broken. */
int security_tls_feed(Security *s, const uint8_t *bytes, size_t n);
/* What was decrypted. Bytes, 0: nothing yet; -ECONNRESET: the server has ended it, -EPROTO. */
ssize_t security_tls_read(Security *s, uint8_t *buffer, size_t n);
int security_tls_write(Security *s, const uint8_t *bytes, size_t n); /* all of it, or -EPROTO */
bool security_tls_has_alpn(const Security *s); /* the server has chosen "coap" */
void security_tls_end(Security *s);            /* says so to the server (close_notify) */
/* Appends what the stream is to be given, handshake and alerts included. */
void security_tls_output(Security *s, GByteArray *out);

const char *security_library(void); /* below libcoap: "openssl", "gnutls", "mbedtls" …; "none" */
bool security_has_dtls(void);       /* this libcoap has DTLS */
bool security_is_openssl(void); /* … on OpenSSL: everything, cipher suites and resumption, too */
bool security_has_x509(void);   /* certificates; some of them, see security_pki.h */
bool security_has_rpk(void);    /* raw public keys: OpenSSL 3.2 and later, or GnuTLS */
bool security_has_cid(void);    /* Connection IDs */
