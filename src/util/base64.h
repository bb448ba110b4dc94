/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Base64 (RFC 4648): the common alphabet with padding (text/plain, LwM2M JSON) and the one safe in
 * URLs without padding (SenML's "vd"). */
#include <stdbool.h>
#include <stddef.h>

/* Characters base64_encode() writes for n bytes, without a NUL. */
size_t base64_length(size_t n, bool url);
void base64_encode(const void *data, size_t n, bool url, char *out);
/* Decodes n characters into out, which has room for n / 4 * 3 + 2 bytes. Padding may be missing but
 * not wrong, and unused bits are zero: each text stands for other bytes. -EINVAL otherwise. */
int base64_decode(const char *text, size_t n, bool url, void *out, size_t *ret_n);
