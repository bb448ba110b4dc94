/* SPDX-License-Identifier: Apache-2.0 */
#include "coap/material.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <string.h>

#include "lwm2m/account/credentials.h"

#define PEM_BEGIN "-----BEGIN "

G_DEFINE_AUTOPTR_CLEANUP_FUNC(BIO, BIO_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(X509, X509_free)

static bool is_pem(GBytes *bytes) {
        gsize n;
        const char *data = g_bytes_get_data(bytes, &n);

        return data && memmem(data, n, PEM_BEGIN, strlen(PEM_BEGIN));
}

static BIO *bio_of(GBytes *bytes) {
        gsize n;
        const void *data = g_bytes_get_data(bytes, &n);

        return BIO_new_mem_buf(data, (int) n);
}

/* Never asks for a passphrase: nobody is there to answer. */
static int no_passphrase(char *buffer, int size, int writing, void *userdata) {
        return -1;
}

static int complain(char **ret_error, const char *text) {
        ERR_clear_error();
        *ret_error = g_strdup(text);
        return -EINVAL;
}

static X509 *next_der(const uint8_t **at, const uint8_t *end) {
        return *at < end ? d2i_X509(NULL, at, end - *at) : NULL;
}

int material_certificates(GBytes *bytes, STACK_OF(X509) * *ret, char **ret_error) {
        STACK_OF(X509) *list = sk_X509_new_null();
        g_autoptr(BIO) bio = bio_of(bytes);
        const bool pem = is_pem(bytes);
        gsize n;
        const uint8_t *at = g_bytes_get_data(bytes, &n), *end = at ? at + n : NULL;
        X509 *x;

        ERR_clear_error();
        while ((x = pem ? PEM_read_bio_X509(bio, NULL, no_passphrase, NULL) : next_der(&at, end))) {
                if (sk_X509_num(list) >= (int) MATERIAL_CERTIFICATES_MAX ||
                    sk_X509_push(list, x) <= 0) {
                        X509_free(x);
                        sk_X509_pop_free(list, X509_free);
                        return complain(ret_error, "too many certificates");
                }
        }
        if (sk_X509_num(list) == 0 ||
            (pem ? ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE : at != end)) {
                sk_X509_pop_free(list, X509_free);
                return complain(ret_error, "not a certificate (X.509, DER or PEM)");
        }
        ERR_clear_error();
        *ret = list;
        return 0;
}

int material_private_key(GBytes *bytes, EVP_PKEY **ret, char **ret_error) {
        gsize n;
        const uint8_t *at = g_bytes_get_data(bytes, &n);
        EVP_PKEY *key;

        if (is_pem(bytes)) {
                g_autoptr(BIO) bio = bio_of(bytes);

                key = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL);
        } else
                key = d2i_AutoPrivateKey(NULL, &at, (long) n);
        if (!key)
                return complain(ret_error, "not a private key (PKCS#8, SEC 1 or PKCS#1, DER or "
                                           "PEM, without passphrase)");
        *ret = key;
        return 0;
}

int material_public_key(GBytes *bytes, EVP_PKEY **ret, char **ret_error) {
        gsize n;
        const uint8_t *at = g_bytes_get_data(bytes, &n), *der = at;
        g_autoptr(X509) x = NULL;
        EVP_PKEY *key;

        if (is_pem(bytes)) {
                g_autoptr(BIO) bio = bio_of(bytes), again = bio_of(bytes);

                key = PEM_read_bio_PUBKEY(bio, NULL, no_passphrase, NULL);
                x = key ? NULL : PEM_read_bio_X509(again, NULL, no_passphrase, NULL);
        } else {
                key = d2i_PUBKEY(NULL, &at, (long) n);
                x = key ? NULL : d2i_X509(NULL, &der, (long) n);
        }
        if (x)
                key = X509_get_pubkey(x);
        if (!key)
                return complain(ret_error, "not a public key (SubjectPublicKeyInfo, DER or PEM)");
        ERR_clear_error();
        *ret = key;
        return 0;
}
