/* SPDX-License-Identifier: Apache-2.0 */
#include "coap/security_plain.h"

#include <dlfcn.h>
#include <errno.h>
#include <string.h>

#define CID_MAX 255u      /* RFC 9146, section 3 */
#define LIBRARY_WOLFSSL 5 /* COAP_TLS_LIBRARY_WOLFSSL, since libcoap 4.3.5 */

const char *security_plain_name(bool for_people) {
        static const struct {
                int type;
                const char *name, *full_name;
        } libraries[] = {
                { COAP_TLS_LIBRARY_NOTLS, "none", "no TLS library" },
                { COAP_TLS_LIBRARY_TINYDTLS, "tinydtls", "TinyDTLS" },
                { COAP_TLS_LIBRARY_OPENSSL, "openssl", "OpenSSL" },
                { COAP_TLS_LIBRARY_GNUTLS, "gnutls", "GnuTLS" },
                { COAP_TLS_LIBRARY_MBEDTLS, "mbedtls", "Mbed TLS" },
                { LIBRARY_WOLFSSL, "wolfssl", "wolfSSL" },
        };
        const coap_tls_version_t *version = coap_get_tls_library_version();
        int type = version ? (int) version->type : COAP_TLS_LIBRARY_NOTLS;

        for (size_t i = 0; i < G_N_ELEMENTS(libraries); i++)
                if (libraries[i].type == type)
                        return for_people ? libraries[i].full_name : libraries[i].name;
        return for_people ? "another TLS library" : "other";
}

bool security_plain_has_cid(void) {
#if HAVE_COAP_CID
        return coap_dtls_cid_is_supported();
#else
        return false;
#endif
}

int security_plain_check(const Credentials *c, char **ret_error) {
        gsize n;
        const void *identity = g_bytes_get_data(c->identity, &n);

        if (!coap_dtls_is_supported())
                *ret_error = g_strdup("this libcoap has no DTLS");
        else if (c->n_suites > 0)
                *ret_error = g_strdup_printf("cipher suites can be chosen with OpenSSL only, this "
                                             "libcoap has %s",
                                             security_plain_name(true));
        else if (memchr(identity, 0, n)) {
                *ret_error = g_strdup_printf("a PSK identity with a zero byte cannot be sent by "
                                             "%s (0/x/3)",
                                             security_plain_name(true));
                return -EINVAL;
        } else
                return 0;
        return -EPROTONOSUPPORT;
}

coap_session_t *security_plain_connect(const Credentials *c, coap_context_t *context,
                                       const coap_address_t *local, const coap_address_t *remote,
                                       coap_proto_t proto) {
        coap_dtls_cpsk_t setup = { .version = COAP_DTLS_CPSK_SETUP_VERSION, .client_sni = c->sni };

        setup.psk_info.identity.s = g_bytes_get_data(c->identity, &setup.psk_info.identity.length);
        setup.psk_info.key.s = g_bytes_get_data(c->secret, &setup.psk_info.key.length);
#if HAVE_COAP_CID
        setup.use_cid = 1;
#endif
        return coap_new_client_session_psk2(context, local, remote, proto, &setup);
}

/* --- what was agreed on --- */

/* libcoap has brought its TLS library into the process, and hands out that one's session; we are
 * not linked with any of them. */
bool security_plain_find(const char *name, void *ret) {
        void *function = dlsym(RTLD_DEFAULT, name);

        memcpy(ret, &function, sizeof(function));
        return function;
}

static void ask_mbedtls(void *tls, LinkSecurity *ret) {
        int (*get_cid)(void *, int *enabled, unsigned char *cid, size_t *n);
        const char *(*get_suite)(const void *);
        unsigned char cid[CID_MAX];
        g_autofree char *name = NULL;
        int enabled = 0;
        size_t n = 0;

        if (security_plain_find("mbedtls_ssl_get_peer_cid", &get_cid))
                ret->cid = get_cid(tls, &enabled, cid, &n) == 0 && enabled && n > 0;
        if (!security_plain_find("mbedtls_ssl_get_ciphersuite", &get_suite) || !get_suite(tls))
                return;
        name = g_strdelimit(g_strdup(get_suite(tls)), "-", '_'); /* TLS-PSK-WITH-AES-128-CCM-8 */
        ret->cipher = g_intern_string(name);
}

static void ask_gnutls(void *tls, LinkSecurity *ret) {
        const char *(*get_suite)(const void *); /* GnuTLS 3.7.4 */

        if (security_plain_find("gnutls_ciphersuite_get", &get_suite) && get_suite(tls))
                ret->cipher = g_intern_string(get_suite(tls));
}

void security_plain_agreed(const coap_session_t *session, LinkSecurity *ret) {
        coap_tls_library_t library = COAP_TLS_LIBRARY_NOTLS;
        void *tls = coap_session_get_tls(session, &library);

        *ret = (LinkSecurity){ .cipher = security_plain_name(true) };
        if (tls && library == COAP_TLS_LIBRARY_MBEDTLS)
                ask_mbedtls(tls, ret);
        else if (tls && library == COAP_TLS_LIBRARY_GNUTLS)
                ask_gnutls(tls, ret);
}

int security_plain_failure(bool silent, char **ret_text) {
        *ret_text = silent ? g_strdup("no answer to the handshake, or none that is any good")
                           : g_strdup_printf("the handshake or the session was broken off, and %s "
                                             "does not tell why",
                                             security_plain_name(true));
        return silent ? -ETIMEDOUT : -EPROTO;
}
