/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* CRC-32C (Castagnoli polynomial 0x1EDC6F41, reflected; as in RFC 3720, appendix B.4). */
#include <stddef.h>
#include <stdint.h>

/* Continues from crc, which is 0 for the first piece. */
uint32_t crc32c(uint32_t crc, const void *data, size_t n);
