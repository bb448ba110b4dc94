/* SPDX-License-Identifier: Apache-2.0 */
#include "util/parse.h"

#include <errno.h>
#include <glib.h>
#include <math.h>
#include <string.h>

#include "util/base64.h"

static bool is_digit(char c) {
        return c >= '0' && c <= '9';
}

/* The digits at the beginning of *text; -EINVAL for none and for a needless leading zero. */
static int take_digits(const char **text, uint64_t max, uint64_t *ret) {
        const char *p = *text;
        uint64_t value = 0;

        if (!p || !is_digit(*p) || (*p == '0' && is_digit(p[1])))
                return -EINVAL;
        for (; is_digit(*p); p++) {
                uint64_t digit = (uint64_t) (*p - '0');

                if (digit > max || value > (max - digit) / 10) {
                        /* Malformed text stays malformed, however large its beginning is. */
                        p += strspn(p, "0123456789");
                        *text = p;
                        return -ERANGE;
                }
                value = value * 10 + digit;
        }
        *text = p;
        *ret = value;
        return 0;
}

int parse_u64(const char *text, uint64_t max, uint64_t *ret) {
        uint64_t value = 0;
        int r;

        r = take_digits(&text, max, &value);
        if (r == -EINVAL || *text != '\0')
                return -EINVAL;
        if (r < 0)
                return r;
        *ret = value;
        return 0;
}

int parse_u16(const char *text, uint16_t *ret) {
        uint64_t value;
        int r;

        r = parse_u64(text, UINT16_MAX, &value);
        if (r < 0)
                return r;
        *ret = (uint16_t) value;
        return 0;
}

int parse_u32(const char *text, uint32_t *ret) {
        uint64_t value;
        int r;

        r = parse_u64(text, UINT32_MAX, &value);
        if (r < 0)
                return r;
        *ret = (uint32_t) value;
        return 0;
}

int parse_i64(const char *text, int64_t *ret) {
        bool negative = text && *text == '-';
        uint64_t value;
        int r;

        r = parse_u64(negative ? text + 1 : text, (uint64_t) INT64_MAX + negative, &value);
        if (r < 0)
                return r;
        *ret = negative ? (int64_t) (0 - value) : (int64_t) value;
        return 0;
}

/* number = [ minus ] int [ frac ] [ exp ] (RFC 8259, section 6) */
static bool is_json_number(const char *p) {
        if (*p == '-')
                p++;
        if (!is_digit(*p) || (*p == '0' && is_digit(p[1])))
                return false;
        p += strspn(p, "0123456789");
        if (*p == '.') {
                p++;
                if (!is_digit(*p))
                        return false;
                p += strspn(p, "0123456789");
        }
        if (*p == 'e' || *p == 'E') {
                p++;
                if (*p == '+' || *p == '-')
                        p++;
                if (!is_digit(*p))
                        return false;
                p += strspn(p, "0123456789");
        }
        return *p == '\0';
}

int parse_double(const char *text, double *ret) {
        double value;

        if (!text || !is_json_number(text))
                return -EINVAL;
        value = g_ascii_strtod(text, NULL);
        if (!isfinite(value))
                return -ERANGE;
        *ret = value;
        return 0;
}

int parse_bool(const char *text, bool *ret) {
        static const char *const words[][2] = {
                { "false", "true" }, { "0", "1" }, { "no", "yes" }, { "off", "on" }
        };

        for (size_t i = 0; text && i < G_N_ELEMENTS(words); i++)
                for (int b = 0; b < 2; b++)
                        if (strcmp(text, words[i][b]) == 0) {
                                *ret = b;
                                return 0;
                        }
        return -EINVAL;
}

/* Digits behind a decimal point as billionths; at most nine of them. */
static int take_fraction(const char **text, uint64_t *ret) {
        const char *p = *text;
        uint64_t value = 0, unit = 100000000;

        for (; is_digit(*p); p++, unit /= 10) {
                if (unit == 0)
                        return -EINVAL;
                value += unit * (uint64_t) (*p - '0');
        }
        if (p == *text)
                return -EINVAL;
        *text = p;
        *ret = value;
        return 0;
}

int parse_duration(const char *text, uint64_t *ret_usec) {
        static const struct {
                const char *name;
                uint64_t usec;
        } units[] = {
                { "", 1000000 },     { "us", 1 },         { "ms", 1000 },       { "s", 1000000 },
                { "min", 60000000 }, { "h", 3600000000 }, { "d", 86400000000 },
        };
        uint64_t whole = 0, billionths = 0, usec;
        int r, range;

        range = take_digits(&text, UINT64_MAX, &whole);
        if (range == -EINVAL)
                return range;
        if (*text == '.') {
                text++;
                r = take_fraction(&text, &billionths);
                if (r < 0)
                        return r;
        }
        for (size_t i = 0; i < G_N_ELEMENTS(units); i++) {
                if (strcmp(text, units[i].name) != 0)
                        continue;
                /* The fraction of a day in microseconds times a billion still fits 128 bits only.
                 */
                usec = (uint64_t) ((unsigned __int128) billionths * units[i].usec / 1000000000);
                if (range < 0 || !g_uint64_checked_mul(&whole, whole, units[i].usec) ||
                    !g_uint64_checked_add(&whole, whole, usec))
                        return -ERANGE;
                *ret_usec = whole;
                return 0;
        }
        return -EINVAL;
}

int parse_size(const char *text, uint64_t *ret) {
        static const char *const units[] = { "", "K", "M", "G" };
        uint64_t value = 0;
        int range;

        range = take_digits(&text, UINT64_MAX, &value);
        if (range == -EINVAL)
                return range;
        for (unsigned i = 0; i < G_N_ELEMENTS(units); i++) {
                if (strcmp(text, units[i]) != 0)
                        continue;
                if (range < 0 || value > UINT64_MAX >> (10 * i))
                        return -ERANGE;
                *ret = value << (10 * i);
                return 0;
        }
        return -EINVAL;
}

int parse_hex(const char *text, uint8_t **ret, size_t *ret_n) {
        g_autofree uint8_t *bytes = NULL;
        size_t n;

        if (!text)
                return -EINVAL;
        n = strlen(text);
        if (n % 2 != 0)
                return -EINVAL;
        bytes = g_malloc(n / 2 + 1);
        for (size_t i = 0; i < n / 2; i++) {
                int high = g_ascii_xdigit_value(text[2 * i]);
                int low = g_ascii_xdigit_value(text[2 * i + 1]);

                if (high < 0 || low < 0)
                        return -EINVAL;
                bytes[i] = (uint8_t) (high << 4 | low);
        }
        *ret = g_steal_pointer(&bytes);
        *ret_n = n / 2;
        return 0;
}

int parse_base64(const char *text, uint8_t **ret, size_t *ret_n) {
        g_autofree uint8_t *bytes = NULL;
        size_t n;
        int r;

        if (!text)
                return -EINVAL;
        n = strlen(text);
        bytes = g_malloc(n / 4 * 3 + 3);
        r = base64_decode(text, n, false, bytes, ret_n);
        if (r < 0)
                return r;
        *ret = g_steal_pointer(&bytes);
        return 0;
}
