/* SPDX-License-Identifier: Apache-2.0 */
#include "coap/dropped.h"

#include "util/timerq.h"

#define MINUTE_USEC (60 * USEC_PER_SEC)

uint64_t dropped_note(Dropped *d, uint64_t now_usec) {
        uint64_t n = ++d->n;

        if (d->n_minute == 0 || now_usec - d->minute_usec >= MINUTE_USEC) {
                d->minute_usec = now_usec;
                d->n_minute = 0;
        }
        if (++d->n_minute != DROPPED_MANY)
                return 0;
        d->n = 0;
        return n;
}
