/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Sessions with a libcoap on another TLS library than OpenSSL, where the hook has nothing to hold
 * on to: what libcoap itself can be told; here with pre-shared keys, with certificates in
 * security_pki.h. No session is resumed; with a libcoap 4.3.5 on Mbed TLS a Connection ID is
 * offered (RFC 9146). What was agreed on is asked of the TLS library itself, for libcoap does not
 * tell. */
#include <coap3/coap.h>

#include "lwm2m/account/credentials.h"
#include "lwm2m/transport.h"

/* Of libcoap's TLS library: "GnuTLS", or "gnutls" for programs. */
const char *security_plain_name(bool for_people);
bool security_plain_has_cid(void);
/* A function of libcoap's TLS library, with which we are not linked; false: there is none. */
bool security_plain_find(const char *name, void *ret_function);
/* Whether a pre-shared key can be used. -EPROTONOSUPPORT, -EINVAL; *ret_error (g_free()). */
int security_plain_check(const Credentials *c, char **ret_error);
/* With a pre-shared key; as security_connect(). libcoap keeps a copy of the key as long as the
 * session. */
coap_session_t *security_plain_connect(const Credentials *c, coap_context_t *context,
                                       const coap_address_t *local, const coap_address_t *remote,
                                       coap_proto_t proto);
/* Of an established session; the cipher suite has the library's name when it does not tell. */
void security_plain_agreed(const coap_session_t *session, LinkSecurity *ret);
/* As security_failure(), of what only the library knows. */
int security_plain_failure(bool silent, char **ret_text);
