/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What a load program found, and its one line of JSON on stdout: n, wall_s, rate, bytes,
 * latency_us {p50, p99, max}, failed, retransmits, codes {"2.05": n}. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct Result {
        uint32_t *latencies; /* tenths of a microsecond */
        size_t n, n_max, failed, retransmits;
        uint64_t started, ended, bytes; /* ns of CLOCK_MONOTONIC; payload bytes */
        unsigned codes[256];            /* CoAP response codes */
} Result;

void result_init(Result *r, size_t n_max);

/* One answer came latency_ns after its request. */
void result_add(Result *r, uint64_t latency_ns);

/* Prints and frees. */
void result_print(Result *r);

/* Says what failed (with errno when it is set) on stderr and exits with 2. */
_Noreturn void result_die(const char *what);
