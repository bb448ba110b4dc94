/* SPDX-License-Identifier: Apache-2.0 */
/* What the TLS library of this libcoap can: the functions security_has_… of security.h. */
#include <openssl/opensslv.h>

#include "coap/security.h"
#include "coap/security_pki.h"
#include "coap/security_plain.h"

const char *security_library(void) {
        return security_plain_name(false);
}

bool security_has_dtls(void) {
        return coap_dtls_is_supported();
}

bool security_is_openssl(void) {
        const coap_tls_version_t *version = coap_get_tls_library_version();

        return coap_dtls_is_supported() && version && version->type == COAP_TLS_LIBRARY_OPENSSL;
}

bool security_has_x509(void) {
        return security_is_openssl() || security_pki_has_x509();
}

bool security_has_rpk(void) {
        return security_is_openssl() ? OPENSSL_VERSION_NUMBER >= 0x30200000L
                                     : security_pki_has_rpk();
}

/* OpenSSL has none, up to 3.5. */
bool security_has_cid(void) {
        return !security_is_openssl() && security_plain_has_cid();
}
