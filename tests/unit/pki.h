/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Keys and certificates for tests, made anew each time: files in a folder of their own. */
#include <glib.h>
#include <stdbool.h>

typedef struct Pki Pki;

typedef struct PkiWish {
        const char *name;     /* of the files: NAME.pem and NAME.key, NAME.pub */
        const char *issuer;   /* NULL: signs itself */
        const char *subject;  /* common name */
        const char *alt;      /* "DNS:localhost,IP:127.0.0.1"; NULL */
        int from_sec, to_sec; /* of validity, from now; 0, 0: an hour around now */
        bool authority;
} PkiWish;

Pki *pki_new(void);
Pki *pki_free(Pki *p);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Pki, pki_free)
const char *pki_folder(const Pki *p);
void pki_issue(Pki *p, const PkiWish *wish);
const char *pki_path(Pki *p, const char *file);                      /* valid as long as p */
GBytes *pki_read(Pki *p, const char *file);                          /* PEM */
GBytes *pki_der(Pki *p, const char *file);                           /* of a PEM file */
GBytes *pki_digest(Pki *p, const char *file, const char *algorithm); /* of its DER */
