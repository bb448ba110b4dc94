/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Sessions with a libcoap on another TLS library than OpenSSL, where the hook has nothing to hold
 * on to: what libcoap itself can be told, which is enough for pre-shared keys. No session is
 * resumed; with Mbed TLS or wolfSSL and libcoap 4.3.5 a Connection ID is offered (RFC 9146), and
 * libcoap does not tell whether the server has agreed. */
#include <coap3/coap.h>

#include "lwm2m/account/credentials.h"

const char *security_plain_library(void); /* "GnuTLS" … */
bool security_plain_has_cid(void);
/* -EPROTONOSUPPORT for modes that need OpenSSL; *ret_error (g_free()). */
int security_plain_check(const Credentials *c, char **ret_error);
/* As security_connect(). libcoap keeps a copy of the key as long as the session. */
coap_session_t *security_plain_connect(const Credentials *c, coap_context_t *context,
                                       const coap_address_t *local, const coap_address_t *remote,
                                       coap_proto_t proto);
