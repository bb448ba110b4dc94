/* SPDX-License-Identifier: Apache-2.0 */
#include "result.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wire.h"

void result_die(const char *what) {
        fprintf(stderr, "%s: %s\n", what, errno ? strerror(errno) : "bad input");
        exit(2);
}

void result_init(Result *r, size_t n_max) {
        *r = (Result){ .n_max = n_max };
        r->latencies = calloc(n_max + 1, sizeof(*r->latencies));
        if (!r->latencies)
                result_die("calloc");
        r->started = wire_now();
}

void result_add(Result *r, uint64_t latency_ns) {
        uint64_t tenths = latency_ns / 100;

        if (r->n < r->n_max)
                r->latencies[r->n] = tenths > UINT32_MAX ? UINT32_MAX : (uint32_t) tenths;
        r->n++;
}

static int compare(const void *a, const void *b) {
        uint32_t x = *(const uint32_t *) a, y = *(const uint32_t *) b;

        return (x > y) - (x < y);
}

static double quantile(const Result *r, double q) {
        size_t n = r->n < r->n_max ? r->n : r->n_max;

        return n ? r->latencies[(size_t) ((double) (n - 1) * q)] / 10.0 : 0;
}

void result_print(Result *r) {
        double wall = (double) (r->ended - r->started) / 1e9;
        const char *comma = "";

        qsort(r->latencies, r->n < r->n_max ? r->n : r->n_max, sizeof(*r->latencies), compare);
        printf("{\"n\": %zu, \"wall_s\": %.6f, \"rate\": %.2f, \"bytes\": %llu, \"failed\": %zu, "
               "\"retransmits\": %zu, \"latency_us\": {\"p50\": %.1f, \"p99\": %.1f, \"max\": "
               "%.1f}, \"codes\": {",
               r->n, wall, wall > 0 ? (double) r->n / wall : 0, (unsigned long long) r->bytes,
               r->failed, r->retransmits, quantile(r, 0.5), quantile(r, 0.99), quantile(r, 1));
        for (int code = 0; code < 256; code++)
                if (r->codes[code]) {
                        printf("%s\"%d.%02d\": %u", comma, code >> 5, code & 31, r->codes[code]);
                        comma = ", ";
                }
        puts("}}");
        free(r->latencies);
        r->latencies = NULL;
}
