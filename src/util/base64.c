/* SPDX-License-Identifier: Apache-2.0 */
#include "util/base64.h"

#include <errno.h>
#include <stdint.h>

static const char common[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char for_url[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

size_t base64_length(size_t n, bool url) {
        return url ? n / 3 * 4 + (n % 3 ? n % 3 + 1 : 0) : (n + 2) / 3 * 4;
}

void base64_encode(const void *data, size_t n, bool url, char *out) {
        const char *alphabet = url ? for_url : common;
        const uint8_t *p = data;

        for (; n >= 3; n -= 3, p += 3) {
                *out++ = alphabet[p[0] >> 2];
                *out++ = alphabet[(p[0] & 3) << 4 | p[1] >> 4];
                *out++ = alphabet[(p[1] & 15) << 2 | p[2] >> 6];
                *out++ = alphabet[p[2] & 63];
        }
        if (n == 0)
                return;
        *out++ = alphabet[p[0] >> 2];
        *out++ = alphabet[(p[0] & 3) << 4 | (n > 1 ? p[1] >> 4 : 0)];
        if (n > 1)
                *out++ = alphabet[(p[1] & 15) << 2];
        else if (!url)
                *out++ = '=';
        if (!url)
                *out++ = '=';
}

static int sextet(char c, bool url) {
        if (c >= 'A' && c <= 'Z')
                return c - 'A';
        if (c >= 'a' && c <= 'z')
                return c - 'a' + 26;
        if (c >= '0' && c <= '9')
                return c - '0' + 52;
        if (c == (url ? '-' : '+'))
                return 62;
        if (c == (url ? '_' : '/'))
                return 63;
        return -EINVAL;
}

int base64_decode(const char *text, size_t n, bool url, void *out, size_t *ret_n) {
        uint8_t *to = out;
        uint32_t bits = 0;

        if (n > 0 && n % 4 == 0 && text[n - 1] == '=')
                n -= text[n - 2] == '=' ? 2 : 1;
        if (n % 4 == 1)
                return -EINVAL;
        for (size_t i = 0; i < n; i++) {
                int s = sextet(text[i], url);

                if (s < 0)
                        return s;
                bits = bits << 6 | (uint32_t) s;
                if (i % 4 > 0)
                        *to++ = (uint8_t) (bits >> (6 - 2 * (i % 4)));
        }
        if ((n % 4 == 2 && bits & 15) || (n % 4 == 3 && bits & 3))
                return -EINVAL;
        *ret_n = (size_t) (to - (uint8_t *) out);
        return 0;
}
