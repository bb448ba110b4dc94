/* SPDX-License-Identifier: Apache-2.0 */
#include "coap/token_key.h"

#include <errno.h>
#include <openssl/core.h>
#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/param_build.h>
#include <openssl/provider.h>
#include <string.h>

#include "util/timerq.h"

#define PROVIDER "lwm2md"
#define PROPERTIES "provider=" PROVIDER
#define PARAM_HELD "lwm2md-held"
/* Whoever uses the token at a handshake of ours is loading keys, for another server. */
#define SIGN_WAIT_USEC (2 * USEC_PER_SEC)

/* --- key management --- the functions of provider-keymgmt(7) */

typedef struct Key {
        TokenKey *held; /* NULL: empty */
} Key;

static void *key_new(void *provider) {
        return g_new0(Key, 1);
}

static void key_free(void *data) {
        Key *k = data;

        if (k && k->held)
                token_key_unref(k->held);
        g_free(k);
}

static int key_has(const void *data, int selection) {
        return data && ((const Key *) data)->held;
}

static int key_match(const void *a, const void *b, int selection) {
        const Key *x = a, *y = b;

        return x->held && y->held && EVP_PKEY_eq(x->held->key, y->held->key) == 1;
}

static const OSSL_PARAM *key_import_types(int selection) {
        static const OSSL_PARAM types[] = { OSSL_PARAM_octet_ptr(PARAM_HELD, NULL, 0),
                                            OSSL_PARAM_END };

        return types;
}

static int key_import(void *data, int selection, const OSSL_PARAM params[]) {
        const OSSL_PARAM *p = OSSL_PARAM_locate_const(params, PARAM_HELD);
        const void *held = NULL;
        Key *k = data;
        size_t n;

        if (!p || k->held || OSSL_PARAM_get_octet_ptr(p, &held, &n) != 1 || n != sizeof(TokenKey))
                return 0;
        k->held = token_key_ref((TokenKey *) (uintptr_t) held);
        return 1;
}

static const OSSL_PARAM *key_export_types(int selection) {
        static const OSSL_PARAM types[] = {
                OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, NULL, 0),
                OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_PUB_KEY, NULL, 0),
                OSSL_PARAM_BN(OSSL_PKEY_PARAM_RSA_N, NULL, 0),
                OSSL_PARAM_BN(OSSL_PKEY_PARAM_RSA_E, NULL, 0),
                OSSL_PARAM_END,
        };

        return selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY ? NULL : types;
}

static int key_export(void *data, int selection, OSSL_CALLBACK *take, void *userdata) {
        OSSL_PARAM *params = NULL;
        Key *k = data;
        int ok;

        if (!k->held || selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY ||
            EVP_PKEY_todata(k->held->key, EVP_PKEY_PUBLIC_KEY, &params) != 1)
                return 0;
        ok = take(params, userdata);
        OSSL_PARAM_free(params);
        return ok;
}

static const OSSL_PARAM *key_gettable(void *provider) {
        static const OSSL_PARAM params[] = {
                OSSL_PARAM_int(OSSL_PKEY_PARAM_BITS, NULL),
                OSSL_PARAM_int(OSSL_PKEY_PARAM_SECURITY_BITS, NULL),
                OSSL_PARAM_int(OSSL_PKEY_PARAM_MAX_SIZE, NULL),
                OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, NULL, 0),
                OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_DEFAULT_DIGEST, NULL, 0),
                OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_ENCODED_PUBLIC_KEY, NULL, 0),
                OSSL_PARAM_END,
        };

        return params;
}

static int key_get_params(void *data, OSSL_PARAM params[]) {
        const Key *k = data;

        return k->held && EVP_PKEY_get_params(k->held->key, params) == 1;
}

static const char *name_ec(int operation) {
        return operation == OSSL_OP_SIGNATURE ? "ECDSA" : "EC";
}

static const char *name_rsa(int operation) {
        return "RSA";
}

#define FUNCTION(id, f)                                                                            \
        { id, (void (*)(void))(f) }
#define KEY_FUNCTIONS                                                                              \
        FUNCTION(OSSL_FUNC_KEYMGMT_NEW, key_new), FUNCTION(OSSL_FUNC_KEYMGMT_FREE, key_free),      \
                FUNCTION(OSSL_FUNC_KEYMGMT_HAS, key_has),                                          \
                FUNCTION(OSSL_FUNC_KEYMGMT_MATCH, key_match),                                      \
                FUNCTION(OSSL_FUNC_KEYMGMT_IMPORT, key_import),                                    \
                FUNCTION(OSSL_FUNC_KEYMGMT_IMPORT_TYPES, key_import_types),                        \
                FUNCTION(OSSL_FUNC_KEYMGMT_EXPORT, key_export),                                    \
                FUNCTION(OSSL_FUNC_KEYMGMT_EXPORT_TYPES, key_export_types),                        \
                FUNCTION(OSSL_FUNC_KEYMGMT_GET_PARAMS, key_get_params),                            \
                FUNCTION(OSSL_FUNC_KEYMGMT_GETTABLE_PARAMS, key_gettable)

static const OSSL_DISPATCH ec_functions[] = {
        KEY_FUNCTIONS,
        FUNCTION(OSSL_FUNC_KEYMGMT_QUERY_OPERATION_NAME, name_ec),
        { 0, NULL },
};
static const OSSL_DISPATCH rsa_functions[] = {
        KEY_FUNCTIONS,
        FUNCTION(OSSL_FUNC_KEYMGMT_QUERY_OPERATION_NAME, name_rsa),
        { 0, NULL },
};
static const OSSL_ALGORITHM keys[] = {
        { "EC:id-ecPublicKey:1.2.840.10045.2.1", PROPERTIES, ec_functions, NULL },
        { "RSA:rsaEncryption:1.2.840.113549.1.1.1", PROPERTIES, rsa_functions, NULL },
        { NULL, NULL, NULL, NULL },
};

/* --- signing --- the functions of provider-signature(7) */

typedef struct Signing {
        TokenKey *held;
        EVP_MD_CTX *digest;
        EVP_PKEY_CTX *key; /* the digest's; NULL before it is set up */
} Signing;

static void *signing_new(void *provider, const char *properties) {
        return g_new0(Signing, 1);
}

static void signing_free(void *data) {
        Signing *s = data;

        if (!s)
                return;
        EVP_MD_CTX_free(s->digest);
        if (s->held)
                token_key_unref(s->held);
        g_free(s);
}

static int signing_init(void *data, const char *digest, void *key, const OSSL_PARAM params[]) {
        Signing *s = data;
        Key *k = key;

        if (k && k->held) {
                if (s->held)
                        token_key_unref(s->held);
                s->held = token_key_ref(k->held);
        }
        if (!s->held)
                return 0;
        EVP_MD_CTX_free(s->digest);
        s->key = NULL;
        s->digest = EVP_MD_CTX_new();
        return s->digest && EVP_DigestSignInit_ex(s->digest, &s->key, digest, s->held->context,
                                                  s->held->properties, s->held->key, params) == 1;
}

static int signing_sign(void *data, unsigned char *out, size_t *ret_n, size_t room,
                        const unsigned char *in, size_t n_in) {
        Signing *s = data;
        size_t n = room;
        int ok;

        if (!s->key)
                return 0;
        if (!out)
                return EVP_DigestSign(s->digest, NULL, ret_n, in, n_in) == 1;
        if (!token_enter(s->held->token, SIGN_WAIT_USEC)) {
                ERR_raise_data(ERR_LIB_USER, ERR_R_INTERRUPTED_OR_CANCELLED,
                               "the token is busy with other keys");
                return 0;
        }
        ok = EVP_DigestSign(s->digest, out, &n, in, n_in) == 1;
        /* Random numbers for the signature have left something of this thread in the context, which
         * may go before the thread does: OpenSSL would look for it there. */
        OPENSSL_thread_stop_ex(s->held->context);
        token_leave(s->held->token);
        if (ok)
                *ret_n = n;
        return ok;
}

/* Padding of RSA. */
static const OSSL_PARAM *signing_settable(void *data, void *provider) {
        static const OSSL_PARAM params[] = {
                OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_PAD_MODE, NULL, 0),
                OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_PSS_SALTLEN, NULL, 0),
                OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_MGF1_DIGEST, NULL, 0),
                OSSL_PARAM_END,
        };

        return params;
}

static int signing_set(void *data, const OSSL_PARAM params[]) {
        Signing *s = data;

        return !params || (s->key && EVP_PKEY_CTX_set_params(s->key, params) == 1);
}

static const OSSL_DISPATCH signing_functions[] = {
        FUNCTION(OSSL_FUNC_SIGNATURE_NEWCTX, signing_new),
        FUNCTION(OSSL_FUNC_SIGNATURE_FREECTX, signing_free),
        FUNCTION(OSSL_FUNC_SIGNATURE_DIGEST_SIGN_INIT, signing_init),
        FUNCTION(OSSL_FUNC_SIGNATURE_DIGEST_SIGN, signing_sign),
        FUNCTION(OSSL_FUNC_SIGNATURE_SET_CTX_PARAMS, signing_set),
        FUNCTION(OSSL_FUNC_SIGNATURE_SETTABLE_CTX_PARAMS, signing_settable),
        { 0, NULL },
};
static const OSSL_ALGORITHM signatures[] = {
        { "ECDSA", PROPERTIES, signing_functions, NULL },
        { "RSA:rsaEncryption:1.2.840.113549.1.1.1", PROPERTIES, signing_functions, NULL },
        { NULL, NULL, NULL, NULL },
};

/* --- the provider --- */

static const OSSL_ALGORITHM *query(void *provider, int operation, int *ret_no_cache) {
        *ret_no_cache = 0;
        switch (operation) {
        case OSSL_OP_KEYMGMT:
                return keys;
        case OSSL_OP_SIGNATURE:
                return signatures;
        default:
                return NULL;
        }
}

static int init(const OSSL_CORE_HANDLE *handle, const OSSL_DISPATCH *in, const OSSL_DISPATCH **out,
                void **ret_provider) {
        static const OSSL_DISPATCH functions[] = {
                FUNCTION(OSSL_FUNC_PROVIDER_QUERY_OPERATION, query),
                { 0, NULL },
        };

        *out = functions;
        *ret_provider = (void *) (uintptr_t) handle;
        return 1;
}

/* --- outside --- */

OSSL_PROVIDER *token_key_provider(OSSL_LIB_CTX *context) {
        return OSSL_PROVIDER_add_builtin(context, PROVIDER, init) == 1
                       ? OSSL_PROVIDER_load(context, PROVIDER)
                       : NULL;
}

int token_key_wrap(TokenKey *k, OSSL_LIB_CTX *context, EVP_PKEY **ret) {
        const char *name = EVP_PKEY_is_a(k->key, "EC")    ? "EC"
                           : EVP_PKEY_is_a(k->key, "RSA") ? "RSA"
                                                          : NULL;
        OSSL_PARAM params[] = { OSSL_PARAM_octet_ptr(PARAM_HELD, NULL, 0), OSSL_PARAM_END };
        EVP_PKEY_CTX *maker;
        void *pointer = k;
        bool ok;

        if (!name)
                return -ENOTSUP;
        maker = EVP_PKEY_CTX_new_from_name(context, name, PROPERTIES);
        params[0].data = &pointer;
        params[0].data_size = sizeof(TokenKey);
        ok = maker && EVP_PKEY_fromdata_init(maker) == 1 &&
             EVP_PKEY_fromdata(maker, ret, EVP_PKEY_KEYPAIR, params) == 1;
        EVP_PKEY_CTX_free(maker);
        return ok ? 0 : -EINVAL;
}

int token_key_try(const TokenKey *k) {
        static const uint8_t message[] = "lwm2md";
        EVP_MD_CTX *digest = EVP_MD_CTX_new();
        uint8_t out[1024]; /* RSA of 8192 bits */
        size_t n = sizeof(out);
        bool ok;

        ERR_clear_error();
        ok = digest &&
             EVP_DigestSignInit_ex(digest, NULL, "SHA256", k->context, k->properties, k->key,
                                   NULL) == 1 &&
             EVP_DigestSign(digest, out, &n, message, sizeof(message)) == 1;
        EVP_MD_CTX_free(digest);
        return ok ? 0 : -EKEYREJECTED;
}
