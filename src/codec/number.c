/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/number.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "util/parse.h"

#define NS_PER_S INT64_C(1000000000)

/* mantissa * 10^exponent; exact is false when the digits did not fit 64 bits. */
typedef struct Decimal {
        uint64_t mantissa;
        int exponent;
        bool negative, exact;
} Decimal;

static void add_digit(Decimal *d, char c, bool fraction) {
        uint64_t digit = (uint64_t) (c - '0');

        if (d->mantissa > (UINT64_MAX - digit) / 10) {
                d->exact = false;
                return;
        }
        d->mantissa = d->mantissa * 10 + digit;
        d->exponent -= fraction;
}

/* text has passed parse_double(), so its form is right. */
static Decimal split(const char *text) {
        Decimal d = { .exact = true, .negative = *text == '-' };
        const char *end, *p = text + d.negative;
        int exponent = 0;
        bool down;

        for (; *p >= '0' && *p <= '9'; p++)
                add_digit(&d, *p, false);
        if (*p == '.') {
                p++;
                end = p + strspn(p, "0123456789");
                while (end > p && end[-1] == '0')
                        end--;
                for (; p < end; p++)
                        add_digit(&d, *p, true);
                p += strspn(p, "0");
        }
        if (*p == 'e' || *p == 'E') {
                p++;
                down = *p == '-';
                p += *p == '-' || *p == '+';
                for (; *p >= '0' && *p <= '9'; p++)
                        if (exponent < 100000)
                                exponent = exponent * 10 + (*p - '0');
                d.exponent += down ? -exponent : exponent;
        }
        return d;
}

/* Moves the exponent to zero; false if the number is not whole or too large. */
static bool make_whole(Decimal *d) {
        if (!d->exact)
                return false;
        if (d->mantissa == 0)
                d->exponent = 0;
        for (; d->exponent < 0; d->exponent++) {
                if (d->mantissa % 10 != 0)
                        return false;
                d->mantissa /= 10;
        }
        for (; d->exponent > 0; d->exponent--)
                if (__builtin_mul_overflow(d->mantissa, UINT64_C(10), &d->mantissa))
                        return false;
        return !d->negative || d->mantissa <= (uint64_t) INT64_MAX + 1;
}

static int terminate(const char *text, size_t n, char buffer[static NUMBER_TEXT_MAX], double *ret) {
        int r;

        if (n >= NUMBER_TEXT_MAX)
                return -ERANGE;
        memcpy(buffer, text, n);
        buffer[n] = '\0';
        r = strlen(buffer) == n ? parse_double(buffer, ret) : -EINVAL;
        return r == -EINVAL ? -EBADMSG : r;
}

int number_parse(const char *text, size_t n, ValueType type, Value *ret) {
        char buffer[NUMBER_TEXT_MAX];
        Decimal decimal;
        double d;
        int r;

        r = terminate(text, n, buffer, &d);
        if (r < 0)
                return r;
        if (type != VALUE_FLOAT) {
                decimal = split(buffer);
                if (make_whole(&decimal) && !(decimal.negative && decimal.mantissa == 0)) {
                        if (decimal.negative || decimal.mantissa <= INT64_MAX)
                                *ret = (Value){ .type = VALUE_INTEGER,
                                                .i = decimal.negative
                                                             ? (int64_t) (0 - decimal.mantissa)
                                                             : (int64_t) decimal.mantissa };
                        else
                                *ret = (Value){ .type = VALUE_UNSIGNED, .u = decimal.mantissa };
                        return 0;
                }
                /* A double may look whole after rounding what was not. */
                if (type != VALUE_NONE && d != 0)
                        return -ERANGE;
        }
        *ret = (Value){ .type = VALUE_FLOAT, .d = d };
        return 0;
}

int number_check(const char *text, size_t n) {
        char buffer[NUMBER_TEXT_MAX];
        double d;

        return terminate(text, n, buffer, &d);
}

int number_parse_ns(const char *text, size_t n, int64_t *ret) {
        char buffer[NUMBER_TEXT_MAX];
        Decimal decimal;
        Value v;
        double d;
        int r;

        r = terminate(text, n, buffer, &d);
        if (r < 0)
                return r;
        decimal = split(buffer);
        decimal.exponent += 9;
        if (make_whole(&decimal) && (decimal.negative || decimal.mantissa <= INT64_MAX)) {
                *ret = decimal.negative ? (int64_t) (0 - decimal.mantissa)
                                        : (int64_t) decimal.mantissa;
                return 0;
        }
        v = (Value){ .type = VALUE_FLOAT, .d = d };
        return number_to_ns(&v, ret);
}

int number_to_ns(const Value *seconds, int64_t *ret) {
        int64_t whole, part = 0, ns;
        double floored;

        if (seconds->type == VALUE_UNSIGNED)
                return -ERANGE; /* numbers below 2^63 are Integer here */
        if (seconds->type == VALUE_INTEGER || seconds->type == VALUE_TIME) {
                whole = seconds->i;
        } else if (seconds->type == VALUE_FLOAT) {
                floored = floor(seconds->d);
                if (!(fabs(floored) < 1e10))
                        return -ERANGE;
                whole = (int64_t) floored;
                /* So far from 1970 a double has no nanoseconds; what looks like them is noise. */
                if (fabs(floored) < 0x1p24)
                        part = (int64_t) llround((seconds->d - floored) * 1e9);
                else
                        part = (int64_t) llround((seconds->d - floored) * 1e6) * 1000;
        } else
                return -EINVAL;
        if (__builtin_mul_overflow(whole, NS_PER_S, &ns) || __builtin_add_overflow(ns, part, &ns) ||
            ns == INT64_MIN)
                return -ERANGE;
        *ret = ns;
        return 0;
}

static bool is_whole(const Value *v) {
        return v->type == VALUE_INTEGER || v->type == VALUE_UNSIGNED;
}

static __int128 widen(const Value *v) {
        return v->type == VALUE_UNSIGNED ? (__int128) v->u : (__int128) v->i;
}

static int to_double(const Value *v, double *ret) {
        if (v->type == VALUE_FLOAT)
                *ret = v->d;
        else if (is_whole(v))
                *ret = v->type == VALUE_UNSIGNED ? (double) v->u : (double) v->i;
        else
                return -EINVAL;
        return 0;
}

int number_add(Value *v, const Value *addend) {
        __int128 sum;
        double a, b;

        if (is_whole(v) && is_whole(addend)) {
                sum = widen(v) + widen(addend);
                if (sum < INT64_MIN || sum > (__int128) UINT64_MAX)
                        return -ERANGE;
                if (sum <= INT64_MAX)
                        *v = (Value){ .type = VALUE_INTEGER, .i = (int64_t) sum };
                else
                        *v = (Value){ .type = VALUE_UNSIGNED, .u = (uint64_t) sum };
                return 0;
        }
        if (to_double(v, &a) < 0 || to_double(addend, &b) < 0)
                return -EINVAL;
        *v = (Value){ .type = VALUE_FLOAT, .d = a + b };
        return 0;
}

size_t number_format_ns(int64_t ns, char *buffer) {
        uint64_t magnitude = ns < 0 ? 0 - (uint64_t) ns : (uint64_t) ns;
        int n;

        n = sprintf(buffer, "%s%" PRIu64, ns < 0 ? "-" : "", magnitude / (uint64_t) NS_PER_S);
        if (magnitude % (uint64_t) NS_PER_S == 0)
                return (size_t) n;
        n += sprintf(buffer + n, ".%09" PRIu64, magnitude % (uint64_t) NS_PER_S);
        while (buffer[n - 1] == '0')
                buffer[--n] = '\0';
        return (size_t) n;
}
