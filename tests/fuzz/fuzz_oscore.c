/* SPDX-License-Identifier: Apache-2.0 */
/* The OSCORE option, and what is inside of a message once it was decrypted. The first byte says how
 * much of the rest is the option; the remainder goes in as the plaintext of a request. */

#include "coap/oscore.h"
#include "fuzz.h"

static void look_at_option(const uint8_t *data, size_t n) {
        OscoreOption o;

        if (oscore_parse_option(data, n, &o) < 0)
                return;
        CHECK(o.number.n <= sizeof(o.number.v));
        if (o.has_context)
                CHECK(o.context >= data && o.context + o.n_context <= data + n);
        if (o.has_id)
                CHECK(o.id >= data && o.id + o.n_id <= data + n);
        CHECK(oscore_number_value(&o.number) <= OSCORE_NUMBER_MAX);
}

static void look_at_message(const uint8_t *data, size_t n) {
        Packet outer, p;

        packet_begin(&outer, PACKET_CON, METHOD_POST, 1, (const uint8_t *) "t", 1);
        packet_end(&outer, data, n);
        if (oscore_read(&outer, data, n, &p) < 0)
                return;
        CHECK(p.code > 0 && p.code < CODE(1, 0));
        CHECK(p.n_payload <= n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        size_t n_option;

        if (size == 0)
                return 0;
        n_option = MIN(data[0], size - 1);
        look_at_option(data + 1, n_option);
        look_at_message(data + 1 + n_option, size - 1 - n_option);
        return 0;
}
