/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Keys and certificates that stay where they are, in a TPM, a smart card or an HSM: store:URI in
 * place of resources 3, 4 and 5 of object 0, found by OpenSSL's stores (OSSL_STORE) in providers
 * that the owner has named. A private key does not come out; its provider signs with it.
 *
 * The providers live in a library context of their own. In the usual one, that of libcoap, a TPM's
 * would be asked for digests, ciphers and random numbers as well, of whatever the process does.
 *
 * token_load() takes as long as the token does: token_loader.h has a thread for it. What may be
 * called from several threads says so. */
#include <glib.h>
#include <openssl/evp.h>

#include "lwm2m/account/credentials.h"

typedef struct Token Token;

typedef struct TokenConfig {
        const char *const *providers; /* names, NULL-terminated; NULL: only OpenSSL's own */
        const char *pin_file;         /* its first line; a name in secrets_directory, or a path */
        const char *secrets_directory;
} TokenConfig; /* NULL for nothing; copied */

/* Nothing is loaded yet. It must outlive the keys that come from it. */
Token *token_new(const TokenConfig *config);
Token *token_ref(Token *t); /* from any thread, as the next */
Token *token_unref(Token *t);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Token, token_unref)

/* Credentials with certificates (DER) in place of references to a store, and the private key if it
 * is in one (else NULL), usable in the library's usual context. That it can sign was tried. */
typedef struct TokenKeys {
        Credentials *credentials;
        EVP_PKEY *key;
} TokenKeys;
void token_keys_clear(TokenKeys *k);

/* Blocks. From any thread, one at a time. -EINVAL: the URI, several keys; -ENOPKG: a provider
 * cannot be loaded, or none knows such URIs; -ENOKEY: not there, no token; -EKEYREJECTED: the PIN
 * or the key; *ret_error (g_free()) says what, with the resource before it.
 *
 * A PIN that was refused is not tried again while it is the same, for a token locks itself after a
 * few. */
int token_load(Token *t, const Credentials *c, TokenKeys *ret, char **ret_error);

/* For who signs: waits until nobody else is using the token. false: not within usec. */
bool token_enter(Token *t, uint64_t usec);
void token_leave(Token *t);

/* What OpenSSL has noted of the last failure in this thread, for people; g_free(). The note is
 * gone then. NULL: nothing. */
char *token_take_error(void);
