/* SPDX-License-Identifier: Apache-2.0 */
#include "coap/oscore_crypto.h"

#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>

typedef EVP_CIPHER_CTX CipherContext;
typedef EVP_KDF_CTX KdfContext;

G_DEFINE_AUTOPTR_CLEANUP_FUNC(CipherContext, EVP_CIPHER_CTX_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(KdfContext, EVP_KDF_CTX_free)

static const EVP_CIPHER *cipher_of(const OscoreAead *aead) {
        if (aead->number == 24)
                return EVP_chacha20_poly1305();
        if (aead->number <= 3)
                return aead->n_key == 16   ? EVP_aes_128_gcm()
                       : aead->n_key == 24 ? EVP_aes_192_gcm()
                                           : EVP_aes_256_gcm();
        return aead->n_key == 16 ? EVP_aes_128_ccm() : EVP_aes_256_ccm();
}

static bool is_ccm(const OscoreAead *aead) {
        return aead->number >= 10 && aead->number != 24;
}

/* CCM wants to know all lengths before the first byte; tag is NULL when encrypting. */
static bool begin(CipherContext *x, const OscoreCipher *c, size_t n, const uint8_t *tag) {
        const int encrypt = !tag, n_tag = c->aead->n_tag;
        int done;

        if (EVP_CipherInit_ex(x, cipher_of(c->aead), NULL, NULL, NULL, encrypt) != 1 ||
            EVP_CIPHER_CTX_ctrl(x, EVP_CTRL_AEAD_SET_IVLEN, c->aead->n_nonce, NULL) != 1)
                return false;
        if ((tag || is_ccm(c->aead)) &&
            EVP_CIPHER_CTX_ctrl(x, EVP_CTRL_AEAD_SET_TAG, n_tag, (void *) tag) != 1)
                return false;
        if (EVP_CipherInit_ex(x, NULL, NULL, c->key, c->nonce, encrypt) != 1)
                return false;
        if (is_ccm(c->aead) && EVP_CipherUpdate(x, NULL, &done, NULL, (int) n) != 1)
                return false;
        return EVP_CipherUpdate(x, NULL, &done, c->aad, (int) c->n_aad) == 1;
}

int oscore_encrypt(const OscoreCipher *c, const uint8_t *plain, size_t n, uint8_t *out) {
        g_autoptr(CipherContext) x = EVP_CIPHER_CTX_new();
        int done, rest;

        if (!x || !begin(x, c, n, NULL) || EVP_CipherUpdate(x, out, &done, plain, (int) n) != 1 ||
            EVP_CipherFinal_ex(x, out + done, &rest) != 1 ||
            EVP_CIPHER_CTX_ctrl(x, EVP_CTRL_AEAD_GET_TAG, c->aead->n_tag, out + n) != 1)
                return -EIO;
        return 0;
}

/* With CCM the update fails for a wrong tag, with the others the end of it. */
int oscore_decrypt(const OscoreCipher *c, const uint8_t *sealed, size_t n, uint8_t *out) {
        g_autoptr(CipherContext) x = EVP_CIPHER_CTX_new();
        size_t n_plain;
        int done, rest;

        if (n < c->aead->n_tag)
                return -EBADMSG;
        n_plain = n - c->aead->n_tag;
        if (!x || !begin(x, c, n_plain, sealed + n_plain) ||
            EVP_CipherUpdate(x, out, &done, sealed, (int) n_plain) != 1)
                return -EBADMSG;
        if (!is_ccm(c->aead) && EVP_CipherFinal_ex(x, out + done, &rest) != 1)
                return -EBADMSG;
        return 0;
}

static OSSL_PARAM octets(const char *name, const void *data, size_t n) {
        static uint8_t none[1];

        return OSSL_PARAM_construct_octet_string(name, data ? (void *) data : none, n);
}

int oscore_derive_bytes(const char *hash, GBytes *secret, GBytes *salt, const uint8_t *info,
                        size_t n_info, uint8_t *out, size_t n_out) {
        EVP_KDF *kdf = EVP_KDF_fetch(NULL, OSSL_KDF_NAME_HKDF, NULL);
        g_autoptr(KdfContext) x = kdf ? EVP_KDF_CTX_new(kdf) : NULL;
        gsize n_secret, n_salt;
        const void *secret_bytes = g_bytes_get_data(secret, &n_secret),
                   *salt_bytes = g_bytes_get_data(salt, &n_salt);
        const OSSL_PARAM params[] = {
                OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, (char *) hash, 0),
                octets(OSSL_KDF_PARAM_KEY, secret_bytes, n_secret),
                octets(OSSL_KDF_PARAM_SALT, salt_bytes, n_salt),
                octets(OSSL_KDF_PARAM_INFO, info, n_info),
                OSSL_PARAM_construct_end(),
        };

        EVP_KDF_free(kdf);
        return x && EVP_KDF_derive(x, out, n_out, params) == 1 ? 0 : -EIO;
}
