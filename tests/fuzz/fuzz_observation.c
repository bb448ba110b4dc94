/* SPDX-License-Identifier: Apache-2.0 */
/* Kept observations: a record that is taken is one that a server could have asked for, and says the
 * same when it is written again. */
#include "fuzz.h"

#include "lwm2m/observe/observe_save.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
        g_auto(ObservationRecord) one = { .token = NULL }, two = { .token = NULL };
        g_autoptr(GBytes) bytes = g_bytes_new(data, n), again = NULL, third = NULL;

        if (observation_record_decode(bytes, &one) < 0) {
                CHECK(!one.token && !one.target.paths);
                return 0;
        }
        CHECK(g_bytes_get_size(one.token) <= 8 && one.target.n > 0);
        CHECK(one.target.composite || (one.target.n == 1 && one.target.paths[0].n > 0));
        again = observation_record_encode(&one);
        CHECK(observation_record_decode(again, &two) == 0);
        third = observation_record_encode(&two);
        CHECK(g_bytes_equal(again, third));
        CHECK(one.target.n == two.target.n && one.sequence == two.sequence);
        return 0;
}
