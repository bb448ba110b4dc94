/* SPDX-License-Identifier: Apache-2.0 */
/* A smartcard's file: every object it is said to have lies within, one behind the other. */
#include <stdlib.h>

#include "fuzz.h"
#include "lwm2m/bootstrap/bs_card.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
        BsCardObject objects[BS_CARD_OBJECTS_MAX];
        const uint8_t *end = data;
        int k = bs_card_read(data, n, objects);

        if (k > 0)
                CHECK(bs_card_is_one(data, n));
        for (int i = 0; i < k; i++) {
                CHECK(objects[i].instances.pos > end);
                end = objects[i].instances.pos + objects[i].instances.left;
                CHECK(end <= data + n);
        }
        return 0;
}
