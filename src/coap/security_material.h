/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Our key and certificates, and what we expect of the server: read for one handshake, out of the
 * account, files, or a token. */
#include <openssl/x509.h>

#include "coap/security.h"

typedef struct SecurityMaterial {
        EVP_PKEY *key;          /* ours */
        bool in_token;          /* it came as SecurityConfig.key */
        STACK_OF(X509) * chain; /* ours, the end entity first; NULL without certificate */
        GPtrArray *records;     /* of GBytes: what the server's certificate or key must match */
} SecurityMaterial;

void security_material_init(SecurityMaterial *m);
void security_material_clear(SecurityMaterial *m);
/* For raw public keys and certificates. -EINVAL or the error of a file, *ret_error (g_free())
 * begins with the resource. */
int security_material_read(SecurityMaterial *m, const SecurityConfig *config, char **ret_error);
