/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Credentials as an owner gives them, in configuration and over D-Bus: as text, and as files that
 * are read now or referred to. *ret_error (g_free()) never has a word of a secret. */
#include "lwm2m/account/credentials.h"

/* The bytes themselves, or those of the file that file:NAME names: in directory (NULL: none), or
 * anywhere with file:/…. secret: a file that others can read is refused (-EPERM). -EINVAL, -EFBIG
 * more than CREDENTIALS_BYTES_MAX, -ENOENT, -EACCES …. */
int credentials_read(GBytes *value, const char *directory, bool secret, GBytes **ret,
                     char **ret_error);
/* The whole of a regular file or memfd, from its beginning. name is for messages. */
int credentials_read_fd(int fd, const char *name, GBytes **ret, char **ret_error);
/* "file:NAME" for a name as an owner writes it; store:URI and provider: as they are, and
 * store: before a URI of PKCS#11 (RFC 7512). */
GBytes *credentials_reference(const char *name);

typedef struct OscoreSpec { /* bytes NULL: without */
        GBytes *sender_id, *recipient_id;
        GBytes *secret; /* or file:NAME, for the file's text as credentials_parse() has it */
        GBytes *salt, *id_context;
        const char *aead, *hkdf; /* names or COSE numbers; NULL: the default */
} OscoreSpec;

typedef struct CredentialsSpec {
        const char *mode;    /* NULL: as the rest has it */
        GBytes *identity;    /* PSK */
        GBytes *key;         /* pre-shared or private; or file:NAME, for a pre-shared key then the
                                file's text as credentials_parse() has it */
        GBytes *certificate; /* or public key (RPK) of ours; or file:NAME */
        GBytes *trust;       /* certificates that server certificates are issued by; or file:NAME */
        GBytes *server;      /* certificate or public key of the server; or file:NAME */
        const char *usage;   /* ca, service, anchor, domain; NULL: anchor with trust, else domain */
        const char *matching; /* exact, sha256, sha384, sha512; NULL: exact */
        const char *sni;
        const char *const *suites; /* IANA names; NULL: the usual ones */
        OscoreSpec oscore;
} CredentialsSpec;

/* directory: as above. Files of pre-shared keys and of OSCORE secrets are read, others referred to.
 * NULL in *ret when the spec is empty. -EINVAL, -ENOKEY … as credentials_check(). */
int credentials_build(const CredentialsSpec *spec, const char *directory, Credentials **ret,
                      char **ret_error);
/* The same, never NULL, where what the spec leaves open is as in base (NULL: nothing there). */
int credentials_build_on(const CredentialsSpec *spec, const Credentials *base,
                         const char *directory, Credentials **ret, char **ret_error);
