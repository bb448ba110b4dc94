/* SPDX-License-Identifier: Apache-2.0 */
#include "util/crc32c.h"

#define POLYNOMIAL 0x82f63b78U /* reflected */

/* Filled on first use: 1 KiB of zeros costs nothing in the program file. */
static uint32_t table[256];

static void fill_table(void) {
        for (uint32_t i = 0; i < 256; i++) {
                uint32_t crc = i;

                for (int bit = 0; bit < 8; bit++)
                        crc = crc & 1 ? crc >> 1 ^ POLYNOMIAL : crc >> 1;
                table[i] = crc;
        }
}

uint32_t crc32c(uint32_t crc, const void *data, size_t n) {
        const uint8_t *p = data;

        if (table[1] == 0)
                fill_table();
        crc = ~crc;
        for (size_t i = 0; i < n; i++)
                crc = crc >> 8 ^ table[(crc ^ p[i]) & 0xff];
        return ~crc;
}
