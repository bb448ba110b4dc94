/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* libcoap's messages from and to our own. */
#include <coap3/coap.h>

#include "coap/packet.h"

/* The payload stays the PDU's. */
void pdu_read(const coap_pdu_t *pdu, Packet *ret);
/* NULL when libcoap does not take these bytes for a message; for coap_send(), which frees it. */
coap_pdu_t *pdu_new(const uint8_t *bytes, size_t n);
