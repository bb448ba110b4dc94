/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Keys and certificates as OpenSSL wants them, from DER or PEM.
 * *ret_error (g_free()) says what is wrong, without a word of the content. */
#include <glib.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#define MATERIAL_CERTIFICATES_MAX 512u /* of one bundle */

/* One or more certificates, the first one first; -EINVAL. */
int material_certificates(GBytes *bytes, STACK_OF(X509) * *ret, char **ret_error);
int material_private_key(GBytes *bytes, EVP_PKEY **ret, char **ret_error);
/* SubjectPublicKeyInfo, alone or in a certificate. */
int material_public_key(GBytes *bytes, EVP_PKEY **ret, char **ret_error);
