/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Keys and certificates as OpenSSL wants them, from DER or PEM, given as bytes or as file:NAME.
 * *ret_error (g_free()) says what is wrong, without a word of the content. */
#include <glib.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <stdbool.h>

#define MATERIAL_CERTIFICATES_MAX 512u /* of one bundle */

/* The bytes themselves, or those of the file that file:NAME names: in directory (NULL: none), or
 * anywhere with file:/…. secret: a file that others can read is refused (-EPERM). -EINVAL, -EFBIG
 * more than CREDENTIALS_BYTES_MAX, -ENOENT, -EACCES …. */
int material_read(GBytes *value, const char *directory, bool secret, GBytes **ret,
                  char **ret_error);
/* One or more certificates, the first one first; -EINVAL. */
int material_certificates(GBytes *bytes, STACK_OF(X509) * *ret, char **ret_error);
int material_private_key(GBytes *bytes, EVP_PKEY **ret, char **ret_error);
/* SubjectPublicKeyInfo, alone or in a certificate. */
int material_public_key(GBytes *bytes, EVP_PKEY **ret, char **ret_error);
