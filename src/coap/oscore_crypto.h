/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The primitives OSCORE is made of, from OpenSSL's libcrypto: authenticated encryption, and the
 * HMAC-based key derivation of RFC 5869. */
#include <stddef.h>
#include <stdint.h>

#include "lwm2m/account/oscore_keys.h"

#define OSCORE_KEY_MAX 32u
#define OSCORE_NONCE_MAX 13u
#define OSCORE_TAG_MAX 16u

typedef struct OscoreCipher {
        const OscoreAead *aead;
        const uint8_t *key, *nonce; /* of the lengths of aead */
        const uint8_t *aad;
        size_t n_aad;
} OscoreCipher;

/* n bytes and the tag behind them into out; 0, or -EIO: libcrypto would not. */
int oscore_encrypt(const OscoreCipher *c, const uint8_t *plain, size_t n, uint8_t *out);
/* n is with the tag; -EBADMSG: it is not what was encrypted. */
int oscore_decrypt(const OscoreCipher *c, const uint8_t *sealed, size_t n, uint8_t *out);

/* hash as oscore_hkdf_hash() names it. */
int oscore_derive_bytes(const char *hash, GBytes *secret, GBytes *salt, const uint8_t *info,
                        size_t n_info, uint8_t *out, size_t n_out);
