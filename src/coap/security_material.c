/* SPDX-License-Identifier: Apache-2.0 */
#include "coap/security_material.h"

#include <errno.h>
#include <openssl/err.h>

#include "coap/material.h"
#include "lwm2m/account/credentials_file.h"
#include "util/complain.h"

G_DEFINE_AUTOPTR_CLEANUP_FUNC(EVP_PKEY, EVP_PKEY_free)

void security_material_init(SecurityMaterial *m) {
        *m = (SecurityMaterial){ .records = g_ptr_array_new_with_free_func(
                                         (GDestroyNotify) g_bytes_unref) };
}

void security_material_clear(SecurityMaterial *m) {
        EVP_PKEY_free(m->key);
        sk_X509_pop_free(m->chain, X509_free);
        g_clear_pointer(&m->records, g_ptr_array_unref);
        m->key = NULL;
        m->chain = NULL;
}

/* "0/x/5: not a private key …" */
static int name_resource(char **text, int error, const char *resource) {
        char *why = *text;

        *text = g_strdup_printf("%s: %s", resource, why ? why : g_strerror(-error));
        g_free(why);
        return error;
}

static int read_own(SecurityMaterial *m, const SecurityConfig *config, char **ret_error) {
        const Credentials *c = config->credentials;
        g_autoptr(GBytes) secret = NULL, certificate = NULL;
        int r;

        if (config->key && EVP_PKEY_up_ref(config->key) == 1) {
                m->key = config->key;
                m->in_token = true;
        } else {
                r = credentials_read(c->secret, config->secrets_directory, true, &secret,
                                     ret_error);
                if (r >= 0)
                        r = material_private_key(secret, &m->key, ret_error);
                if (r < 0)
                        return name_resource(ret_error, r, "0/x/5");
        }
        if (c->mode == SECURITY_MODE_RPK)
                return 0;
        r = credentials_read(c->identity, config->secrets_directory, false, &certificate,
                             ret_error);
        if (r >= 0)
                r = material_certificates(certificate, &m->chain, ret_error);
        if (r < 0)
                return name_resource(ret_error, r, "0/x/3");
        if (X509_check_private_key(sk_X509_value(m->chain, 0), m->key) == 1)
                return 0;
        ERR_clear_error();
        return complain(ret_error, -EINVAL,
                        "the private key (0/x/5) is not that of the "
                        "certificate (0/x/3)");
}

static void add_record(SecurityMaterial *m, uint8_t *der, int n) {
        if (n > 0)
                g_ptr_array_add(m->records, g_bytes_new(der, (gsize) n));
        OPENSSL_free(der);
}

static int add_key_record(SecurityMaterial *m, GBytes *bytes, char **ret_error) {
        g_autoptr(EVP_PKEY) key = NULL;
        uint8_t *der = NULL;
        int r;

        r = material_public_key(bytes, &key, ret_error);
        if (r >= 0)
                add_record(m, der, i2d_PUBKEY(key, &der));
        return r;
}

static int add_certificate_records(SecurityMaterial *m, GBytes *bytes, char **ret_error) {
        STACK_OF(X509) *list = NULL;
        int r;

        r = material_certificates(bytes, &list, ret_error);
        if (r < 0)
                return r;
        for (int i = 0; i < sk_X509_num(list); i++) {
                uint8_t *der = NULL;
                int n = i2d_X509(sk_X509_value(list, i), &der);

                add_record(m, der, n);
        }
        sk_X509_pop_free(list, X509_free);
        return 0;
}

static int read_peer(SecurityMaterial *m, const SecurityConfig *config, char **ret_error) {
        static const size_t digests[] = { 0, 32, 48, 64 };
        const Credentials *c = config->credentials;
        g_autoptr(GBytes) bytes = NULL;
        int r;

        r = credentials_read(c->peer, config->secrets_directory, false, &bytes, ret_error);
        if (r >= 0 && c->matching != MATCHING_EXACT) {
                if (g_bytes_get_size(bytes) == digests[c->matching])
                        g_ptr_array_add(m->records, g_bytes_ref(bytes));
                else
                        r = complain(ret_error, -EINVAL, "a digest of %zu bytes expected",
                                     digests[c->matching]);
        } else if (r >= 0 && c->mode == SECURITY_MODE_RPK)
                r = add_key_record(m, bytes, ret_error);
        else if (r >= 0)
                r = add_certificate_records(m, bytes, ret_error);
        return r < 0 ? name_resource(ret_error, r, "0/x/4") : 0;
}

int security_material_read(SecurityMaterial *m, const SecurityConfig *config, char **ret_error) {
        int r;

        r = read_own(m, config, ret_error);
        return r < 0 ? r : read_peer(m, config, ret_error);
}
