/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A private key of a token in the clothes of a plain one. libssl signs with whatever provider of
 * its own library context can do ECDSA or RSA, and gives the key's own provider the work only when
 * the key cannot be exported there; some providers for a TPM (tpm2-openssl 1.1 in Debian 12) do let
 * it be exported, without its secret half, and nothing can be signed. A provider of ours, built in,
 * stands between: it exports public keys only, and hands signing on to the provider of the key. */
#include "coap/token.h"

/* A key as its provider has it; the token's, which frees it once nobody holds a reference. */
typedef struct TokenKey {
        Token *token;
        OSSL_LIB_CTX *context;
        EVP_PKEY *key;
        char *uri;
        char *properties; /* that lead to its provider */
        unsigned n_refs;  /* the token's */
} TokenKey;
TokenKey *token_key_ref(TokenKey *k); /* from any thread */
void token_key_unref(TokenKey *k);

/* Loads the provider that stands between, once for a context of its own; to be unloaded. NULL: it
 * cannot be. */
OSSL_PROVIDER *token_key_provider(OSSL_LIB_CTX *context);
/* *ret has a reference, and can be used in any library context. context: that provider's, which
 * must outlive *ret. -ENOTSUP: neither EC nor RSA. */
int token_key_wrap(TokenKey *k, OSSL_LIB_CTX *context, EVP_PKEY **ret);
/* Signs something. 0, or -EKEYREJECTED with what OpenSSL has noted (token_take_error()). The caller
 * has entered the token. */
int token_key_try(const TokenKey *k);
