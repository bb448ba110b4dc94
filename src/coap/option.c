/* SPDX-License-Identifier: Apache-2.0 */
#include "coap/option.h"

#include <errno.h>
#include <string.h>

void option_put(OptionWriter *w, const void *data, size_t n) {
        if ((size_t) (w->end - w->pos) < n) {
                w->error = w->error ?: -EMSGSIZE;
                return;
        }
        if (n > 0)
                memcpy(w->pos, data, n);
        w->pos += n;
}

static uint8_t nibble(unsigned v) {
        return v >= 269 ? 14 : v >= 13 ? 13 : (uint8_t) v;
}

static void put_extended(OptionWriter *w, unsigned v) {
        uint8_t long_form[2] = { (uint8_t) ((v - 269) >> 8), (uint8_t) (v - 269) };
        uint8_t short_form = (uint8_t) (v - 13);

        if (v >= 269)
                option_put(w, long_form, 2);
        else if (v >= 13)
                option_put(w, &short_form, 1);
}

void option_write(OptionWriter *w, uint16_t number, const void *value, size_t n) {
        unsigned delta = (unsigned) (number - w->last);
        uint8_t first = (uint8_t) (nibble(delta) << 4 | nibble((unsigned) n));

        option_put(w, &first, 1);
        put_extended(w, delta);
        put_extended(w, (unsigned) n);
        option_put(w, value, n);
        w->last = number;
}
