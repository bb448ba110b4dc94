/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Certificates and raw public keys with a libcoap on GnuTLS or Mbed TLS, by libcoap's own settings.
 * The chain is verified there, which is what a trust anchor takes (certificate usage 2); what a
 * certificate or key has to match itself (usage 3) is compared here, and so are names. What these
 * settings cannot express is refused:
 *   certificate usages 0 and 1, trust anchors by their digest, cipher suites, keys in tokens;
 *   with Mbed TLS, whose verdict on a chain nobody can overrule, usage 3 and raw public keys. */
#include <coap3/coap.h>

#include "coap/security.h"

typedef struct SecurityPki SecurityPki;

bool security_pki_has_x509(void); /* this libcoap has certificates, and not of OpenSSL */
bool security_pki_has_rpk(void);
/* -EPROTONOSUPPORT, or errors as security_new(). */
int security_pki_new(const SecurityConfig *config, SecurityPki **ret, char **ret_error);
SecurityPki *security_pki_free(SecurityPki *p); /* after the session's context */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SecurityPki, security_pki_free)
/* As security_connect(). */
coap_session_t *security_pki_connect(SecurityPki *p, coap_context_t *context,
                                     const coap_address_t *local, const coap_address_t *remote,
                                     coap_proto_t proto);
/* What was found wrong with the server's certificate or key, X509_V_…. established: the library is
 * content, which is not enough when it has not asked us. */
long security_pki_verdict(const SecurityPki *p, bool established);
