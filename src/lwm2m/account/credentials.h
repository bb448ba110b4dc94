/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What proves us to a server and the server to us: resources 2-5 and 13-16 of one instance of
 * object 0 (TS Core 1.1.1, appendix E.1), and their place in the tree. Bytes are kept as they are
 * given, DER or PEM. In place of a certificate or key stands, for the owner of the device alone,
 * "file:NAME", a file that is read at each connect (see security.h), or "store:URI", what OpenSSL
 * finds under that URI at each connect, in a TPM or a smart card (see coap/token.h). The bytes are
 * wiped when the last owner lets go. */
#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "model/tree.h"

typedef enum SecurityMode { /* 0/x/2 */
                            SECURITY_MODE_PSK = 0,
                            SECURITY_MODE_RPK = 1,
                            SECURITY_MODE_X509 = 2,
                            SECURITY_MODE_NOSEC = 3,
                            SECURITY_MODE_EST = 4,
} SecurityMode;

typedef enum MatchingType { /* 0/x/13: what 0/x/4 has of the server's certificate or key */
                            MATCHING_EXACT = 0,
                            MATCHING_SHA256 = 1,
                            MATCHING_SHA384 = 2,
                            MATCHING_SHA512 = 3,
} MatchingType;

typedef enum CertificateUsage { /* 0/x/15, as in RFC 6698 */
                                USAGE_CA_CONSTRAINT = 0,
                                USAGE_SERVICE_CONSTRAINT = 1,
                                USAGE_TRUST_ANCHOR = 2,
                                USAGE_DOMAIN_ISSUED = 3, /* when the resource is absent */
} CertificateUsage;

#define CREDENTIALS_SUITES_MAX 16u
#define CREDENTIALS_BYTES_MAX (256U << 10) /* of one certificate, bundle or key */
#define CREDENTIALS_REFERENCE "file:"
#define CREDENTIALS_STORE "store:"
#define CREDENTIALS_AWAITED "provider:" /* the whole of 0/x/5: key_provider.h */
#define CREDENTIALS_URI_MAX 2048u       /* bytes of a URI behind store: */

typedef struct Credentials {
        int64_t mode;
        GBytes *identity; /* 0/x/3: identity, public key, or certificate with its chain */
        GBytes *peer;     /* 0/x/4: the server's key or certificate, or what it was issued by */
        GBytes *secret;   /* 0/x/5: pre-shared or private key */
        char *sni;        /* 0/x/14; NULL: the host of the URI */
        uint8_t matching, usage;
        uint8_t n_suites; /* 0: the usual ones */
        uint16_t suites[CREDENTIALS_SUITES_MAX];
        struct OscoreKeys *oscore; /* 0/x/17, beside or without (D)TLS; NULL: no OSCORE */
} Credentials;

Credentials *credentials_new(int64_t mode); /* of empty bytes, USAGE_DOMAIN_ISSUED */
Credentials *credentials_copy(const Credentials *c);
Credentials *credentials_free(Credentials *c);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Credentials, credentials_free)
/* Bytes that are wiped when nobody holds them any more. */
GBytes *credentials_bytes(const void *data, size_t n);
/* file:NAME, store:URI or provider: in place of a key. */
bool credentials_is_reference(const Value *v);
/* The URI behind store:, g_free()d; NULL for anything else. */
char *credentials_store_uri(GBytes *value);
bool credentials_are_awaited(const Credentials *c); /* from an application, at each connect */
/* Whether certificates or a private key are to be had from a store: never of a pre-shared key. */
bool credentials_use_store(const Credentials *c);
/* Text, hex:… or base64:… (keys in configuration files and on the command line); -EINVAL. */
int credentials_parse(const char *text, size_t n, GBytes **ret);

Credentials *credentials_load(const Tree *tree, uint16_t instance);
/* Within the caller's transaction. An older version of object 0 without the resources it would take
 * is -ENOENT. */
int credentials_store(const Credentials *c, Tree *tree, uint16_t instance);
bool credentials_equal(const Credentials *a, const Credentials *b);
/* Whether they can be used under coap:// (secure: coaps://): 0, -EINVAL, -ENOKEY something is
 * missing, -EPROTONOSUPPORT; *ret_error (g_free()) says what. Content is not looked at. */
int credentials_check(const Credentials *c, bool secure, char **ret_error);

const char *credentials_mode_name(int64_t mode); /* "psk", "rpk", "x509", "nosec", "est", "?" */
/* For people: the mode, "oscore", or "psk+oscore" and so on. */
const char *credentials_name(const Credentials *c);
int credentials_mode_parse(const char *name, int64_t *ret); /* -EINVAL */
