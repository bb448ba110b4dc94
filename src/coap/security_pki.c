/* SPDX-License-Identifier: Apache-2.0 */
#include "coap/security_pki.h"

#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <string.h>

#include "coap/security_material.h"
#include "coap/security_plain.h"

#define DEPTH_MAX 9 /* of a chain, below its anchor */

struct SecurityPki {
        Credentials *credentials;
        char *name;                    /* that the server's certificate must have */
        GBytes *chain, *key, *anchors; /* PEM, ending with a zero byte; libcoap has pointers */
        SecurityMaterial material;
        bool ignore_dates;
        bool asked; /* the library has asked us about the server */
        long verify;
};

G_DEFINE_AUTOPTR_CLEANUP_FUNC(BIO, BIO_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(X509, X509_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(EVP_PKEY, EVP_PKEY_free)

static bool is_library(coap_tls_library_t type) {
        const coap_tls_version_t *version = coap_get_tls_library_version();

        return coap_dtls_is_supported() && version && version->type == type;
}

bool security_pki_has_x509(void) {
        return is_library(COAP_TLS_LIBRARY_GNUTLS) || is_library(COAP_TLS_LIBRARY_MBEDTLS);
}

bool security_pki_has_rpk(void) {
        return is_library(COAP_TLS_LIBRARY_GNUTLS);
}

static bool is_address(const char *host) {
        struct in6_addr a;

        return inet_pton(AF_INET, host, &a) == 1 || inet_pton(AF_INET6, host, &a) == 1;
}

/* --- what is to be set --- */

static int refuse(char **ret_error, const char *what) {
        *ret_error = g_strdup_printf("%s a libcoap with OpenSSL, this one has %s", what,
                                     security_plain_name(true));
        return -EPROTONOSUPPORT;
}

static int check(const SecurityConfig *config, char **ret_error) {
        const Credentials *c = config->credentials;
        const bool rpk = c->mode == SECURITY_MODE_RPK;

        if (!security_pki_has_x509())
                return refuse(ret_error, "certificates and raw public keys need");
        if (rpk && !security_pki_has_rpk())
                return refuse(ret_error, "raw public keys need");
        if (c->n_suites > 0)
                return refuse(ret_error, "a choice of cipher suites needs");
        if (config->key)
                return refuse(ret_error, "private keys in tokens need");
        if (!rpk && c->usage <= USAGE_SERVICE_CONSTRAINT)
                return refuse(ret_error, "certificate usages 0 and 1 need");
        if (!rpk && c->usage == USAGE_TRUST_ANCHOR && c->matching != MATCHING_EXACT)
                return refuse(ret_error, "an authority known by its digest needs");
        if (!rpk && c->usage == USAGE_DOMAIN_ISSUED && !is_library(COAP_TLS_LIBRARY_GNUTLS))
                return refuse(ret_error, "certificate usage 3 needs");
        return 0;
}

static GBytes *take_text(BIO *bio) {
        char *data;
        long n;
        GBytes *bytes;

        (void) BIO_write(bio, "", 1);
        n = BIO_get_mem_data(bio, &data);
        bytes = credentials_bytes(data, n > 0 ? (size_t) n : 0);
        if (n > 0)
                explicit_bzero(data, (size_t) n);
        return bytes;
}

static void write_own(SecurityPki *p) {
        g_autoptr(BIO) chain = BIO_new(BIO_s_mem()), key = BIO_new(BIO_s_mem());

        for (int i = 0; p->material.chain && i < sk_X509_num(p->material.chain); i++)
                (void) PEM_write_bio_X509(chain, sk_X509_value(p->material.chain, i));
        if (!p->material.chain)
                (void) PEM_write_bio_PUBKEY(chain, p->material.key);
        (void) PEM_write_bio_PrivateKey(key, p->material.key, NULL, NULL, 0, NULL, NULL);
        p->chain = take_text(chain);
        p->key = take_text(key);
}

static void write_anchors(SecurityPki *p) {
        g_autoptr(BIO) anchors = BIO_new(BIO_s_mem());

        for (guint i = 0; i < p->material.records->len; i++) {
                gsize n;
                const uint8_t *der =
                        g_bytes_get_data(g_ptr_array_index(p->material.records, i), &n);
                g_autoptr(X509) x = d2i_X509(NULL, &der, (long) n);

                if (x)
                        (void) PEM_write_bio_X509(anchors, x);
        }
        p->anchors = take_text(anchors);
}

int security_pki_new(const SecurityConfig *config, SecurityPki **ret, char **ret_error) {
        g_autoptr(SecurityPki) p = NULL;
        int r;

        r = check(config, ret_error);
        if (r < 0)
                return r;
        p = g_new0(SecurityPki, 1);
        p->credentials = credentials_copy(config->credentials);
        p->name = g_strdup(p->credentials->sni ? p->credentials->sni : config->host);
        p->ignore_dates = config->ignore_dates;
        security_material_init(&p->material);
        r = security_material_read(&p->material, config, ret_error);
        if (r < 0)
                return r;
        write_own(p);
        if (p->credentials->mode == SECURITY_MODE_X509 &&
            p->credentials->usage == USAGE_TRUST_ANCHOR)
                write_anchors(p);
        *ret = g_steal_pointer(&p);
        return 0;
}

SecurityPki *security_pki_free(SecurityPki *p) {
        if (!p)
                return NULL;
        credentials_free(p->credentials);
        security_material_clear(&p->material);
        g_clear_pointer(&p->chain, g_bytes_unref);
        g_clear_pointer(&p->key, g_bytes_unref);
        g_clear_pointer(&p->anchors, g_bytes_unref);
        g_free(p->name);
        g_free(p);
        return NULL;
}

/* --- what comes of it --- */

static long check_name(const SecurityPki *p, const uint8_t *der, size_t n) {
        g_autoptr(X509) x = d2i_X509(NULL, &der, (long) n);

        if (!x)
                return X509_V_ERR_UNSPECIFIED;
        if (is_address(p->name))
                return X509_check_ip_asc(x, p->name, 0) == 1 ? X509_V_OK
                                                             : X509_V_ERR_IP_ADDRESS_MISMATCH;
        return X509_check_host(x, p->name, 0, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS, NULL) == 1
                       ? X509_V_OK
                       : X509_V_ERR_HOSTNAME_MISMATCH;
}

/* As 0/x/4 has it: the certificate or key itself, or a digest of it. */
static long check_match(const SecurityPki *p, const uint8_t *der, size_t n) {
        static const GChecksumType types[] = { [MATCHING_SHA256] = G_CHECKSUM_SHA256,
                                               [MATCHING_SHA384] = G_CHECKSUM_SHA384,
                                               [MATCHING_SHA512] = G_CHECKSUM_SHA512 };
        g_autoptr(GChecksum) sum = NULL;
        g_autoptr(GBytes) shown = NULL;
        uint8_t digest[64];
        gsize n_digest = sizeof(digest);

        if (p->credentials->matching == MATCHING_EXACT)
                shown = g_bytes_new(der, n);
        else {
                sum = g_checksum_new(types[p->credentials->matching]);
                g_checksum_update(sum, der, (gssize) n);
                g_checksum_get_digest(sum, digest, &n_digest);
                shown = g_bytes_new(digest, n_digest);
        }
        for (guint i = 0; i < p->material.records->len; i++)
                if (g_bytes_equal(shown, g_ptr_array_index(p->material.records, i)))
                        return X509_V_OK;
        return X509_V_ERR_DANE_NO_MATCH;
}

static int on_certificate(const char *cn, const uint8_t *der, size_t n, coap_session_t *session,
                          unsigned depth, int validated, void *userdata) {
        SecurityPki *p = userdata;
        const bool anchored = p->anchors;

        if (depth > 0) /* of the chain, which is the library's business */
                return !anchored || validated;
        p->asked = true;
        p->verify = anchored ? check_name(p, der, n) : check_match(p, der, n);
        if (p->verify == X509_V_OK && anchored && !validated)
                p->verify = X509_V_ERR_CERT_UNTRUSTED;
        return p->verify == X509_V_OK;
}

static coap_dtls_pki_t make_setup(SecurityPki *p) {
        const bool anchored = p->anchors, rpk = p->credentials->mode == SECURITY_MODE_RPK;
        coap_dtls_pki_t s = {
                .version = COAP_DTLS_PKI_SETUP_VERSION,
                .verify_peer_cert = anchored,
                .check_common_ca = anchored,
                .allow_self_signed = !anchored && !rpk,
                .allow_expired_certs = !anchored || p->ignore_dates,
                .cert_chain_validation = anchored,
                .cert_chain_verify_depth = anchored ? DEPTH_MAX : 0,
                .allow_no_crl = 1,
                .is_rpk_not_cert = rpk,
                .validate_cn_call_back = on_certificate,
                .cn_call_back_arg = p,
                .client_sni = is_address(p->name) ? NULL : p->name,
                .pki_key.key_type = COAP_PKI_KEY_PEM_BUF,
        };
        coap_pki_key_pem_buf_t *k = &s.pki_key.key.pem_buf;

#if HAVE_COAP_CID
        s.use_cid = 1;
#endif
        k->public_cert = g_bytes_get_data(p->chain, &k->public_cert_len);
        k->private_key = g_bytes_get_data(p->key, &k->private_key_len);
        if (anchored)
                k->ca_cert = g_bytes_get_data(p->anchors, &k->ca_cert_len);
        return s;
}

/* Mbed TLS verifies no certificate before it knows the name, which libcoap does not tell it of an
 * address: that is not for the ClientHello (RFC 6066, section 3), which is out by now. */
static void tell_name(const SecurityPki *p, const coap_session_t *session) {
        int (*set_hostname)(void *tls, const char *name);
        coap_tls_library_t library = COAP_TLS_LIBRARY_NOTLS;
        void *tls = coap_session_get_tls(session, &library);

        if (tls && is_library(COAP_TLS_LIBRARY_MBEDTLS) &&
            security_plain_find("mbedtls_ssl_set_hostname", &set_hostname))
                (void) set_hostname(tls, p->name);
}

coap_session_t *security_pki_connect(SecurityPki *p, coap_context_t *context,
                                     const coap_address_t *local, const coap_address_t *remote,
                                     coap_proto_t proto) {
        coap_dtls_pki_t setup = make_setup(p);
        coap_session_t *session;

        p->asked = false;
        p->verify = X509_V_OK;
        session = coap_new_client_session_pki(context, local, remote, proto, &setup);
        if (session && is_address(p->name))
                tell_name(p, session);
        return session;
}

long security_pki_verdict(const SecurityPki *p, bool established) {
        /* libcoap asks of what Mbed TLS is not content with, but GnuTLS always. */
        if (established && !p->asked && !is_library(COAP_TLS_LIBRARY_MBEDTLS))
                return X509_V_ERR_UNSPECIFIED;
        return p->verify;
}
