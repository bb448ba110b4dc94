/* SPDX-License-Identifier: Apache-2.0 */
#include "coap/security_plain.h"

#include <errno.h>

const char *security_plain_library(void) {
        const coap_tls_version_t *version = coap_get_tls_library_version();

        switch (version ? (int) version->type : COAP_TLS_LIBRARY_NOTLS) {
        case COAP_TLS_LIBRARY_TINYDTLS:
                return "TinyDTLS";
        case COAP_TLS_LIBRARY_OPENSSL:
                return "OpenSSL";
        case COAP_TLS_LIBRARY_GNUTLS:
                return "GnuTLS";
        case COAP_TLS_LIBRARY_MBEDTLS:
                return "Mbed TLS";
        case COAP_TLS_LIBRARY_NOTLS:
                return "no TLS library";
        default:
                return "another TLS library";
        }
}

bool security_plain_has_cid(void) {
#if HAVE_COAP_CID
        return coap_dtls_cid_is_supported();
#else
        return false;
#endif
}

int security_plain_check(const Credentials *c, char **ret_error) {
        if (!coap_dtls_is_supported())
                *ret_error = g_strdup("this libcoap has no DTLS");
        else if (c->mode != SECURITY_MODE_PSK)
                *ret_error = g_strdup_printf("certificates and raw public keys need a libcoap with "
                                             "OpenSSL, this one has %s",
                                             security_plain_library());
        else if (c->n_suites > 0)
                *ret_error = g_strdup_printf("cipher suites can be chosen with OpenSSL only, this "
                                             "libcoap has %s",
                                             security_plain_library());
        else
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
