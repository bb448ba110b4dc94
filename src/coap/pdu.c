/* SPDX-License-Identifier: Apache-2.0 */
#include "coap/pdu.h"

void pdu_read(const coap_pdu_t *pdu, Packet *ret) {
        coap_bin_const_t token = coap_pdu_get_token(pdu);
        coap_opt_iterator_t i;
        coap_opt_t *option;
        const uint8_t *data = NULL;
        size_t n = 0;

        packet_begin(ret, (uint8_t) coap_pdu_get_type(pdu), (uint8_t) coap_pdu_get_code(pdu),
                     (uint16_t) coap_pdu_get_mid(pdu), token.s, token.length);
        coap_option_iterator_init(pdu, &i, COAP_OPT_ALL);
        while ((option = coap_option_next(&i)))
                packet_option(ret, i.number, coap_opt_value(option), coap_opt_length(option));
        if (!coap_get_data(pdu, &n, &data))
                n = 0;
        packet_end(ret, data, n);
}

coap_pdu_t *pdu_new(const uint8_t *bytes, size_t n) {
        coap_pdu_t *pdu = coap_pdu_init(COAP_MESSAGE_CON, 0, 0, PACKET_OUT_MAX);

        if (pdu && !coap_pdu_parse(COAP_PROTO_UDP, bytes, n, pdu)) {
                coap_delete_pdu(pdu);
                return NULL;
        }
        return pdu;
}
