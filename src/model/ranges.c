/* SPDX-License-Identifier: Apache-2.0 */
#include "model/ranges.h"

#include <ctype.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

#define DASH "\xe2\x80\x93"     /* U+2013 */
#define ELLIPSIS "\xe2\x80\xa6" /* U+2026 */

/* A number as text gives it: exact when it is whole and fits in 64 bits. */
typedef struct Number {
        double d;
        uint64_t magnitude;
        bool negative, whole;
} Number;

typedef enum ItemForm { ITEM_NUMBER, ITEM_LABEL, ITEM_RANGE, ITEM_DASHED } ItemForm;

typedef struct Item {
        Number min, max;
        ItemForm form;
        bool length_unit; /* followed by "bytes" or the like */
} Item;

static bool is_text(ValueType type) {
        return type == VALUE_STRING || type == VALUE_OPAQUE || type == VALUE_CORELNK;
}

static const char *skip_space(const char *p) {
        return p + strspn(p, " \t\r\n");
}

static bool take(const char **p, const char *word) {
        size_t n = strlen(word);

        if (g_ascii_strncasecmp(*p, word, n) != 0)
                return false;
        *p += n;
        return true;
}

static bool take_hex(const char **text, Number *ret) {
        const char *p = *text;
        size_t n;

        if (p[0] != '0' || (p[1] != 'x' && p[1] != 'X'))
                return false;
        p += 2;
        n = strspn(p, "0123456789abcdefABCDEF");
        if (n == 0 || n > 16)
                return false;
        *ret = (Number){ .magnitude = g_ascii_strtoull(p, NULL, 16), .whole = true };
        ret->d = (double) ret->magnitude;
        *text = p + n;
        return true;
}

/* Takes [-+] digits [. digits]; the dots of a range are not a fraction. */
static bool take_number(const char **text, Number *ret) {
        const char *p = *text, *digits;
        char buffer[64] = "";
        Number number = { .whole = true };
        size_t n;

        if (take_hex(text, ret))
                return true;
        number.negative = *p == '-';
        if (*p == '-' || *p == '+')
                p++;
        digits = p;
        p += strspn(p, "0123456789");
        if (p == digits || p - digits > 20)
                return false;
        for (const char *q = digits; q < p; q++) {
                uint64_t digit = (uint64_t) (*q - '0');

                if (number.magnitude > (UINT64_MAX - digit) / 10)
                        return false;
                number.magnitude = number.magnitude * 10 + digit;
        }
        if (*p == '.' && isdigit((unsigned char) p[1])) {
                const char *fraction = ++p;

                p += strspn(p, "0123456789");
                number.whole = strspn(fraction, "0") == (size_t) (p - fraction);
        }
        n = (size_t) (p - digits);
        if (n >= sizeof(buffer))
                return false;
        memcpy(buffer, digits, n);
        number.d = g_ascii_strtod(buffer, NULL);
        if (number.negative)
                number.d = -number.d;
        *ret = number;
        *text = p;
        return true;
}

/* What stands between the two numbers of a range; false if there is nothing of the kind. */
static bool take_range_sign(const char **text, ItemForm *ret) {
        const char *p = skip_space(*text);

        if (take(&p, "...") || take(&p, "..") || take(&p, ELLIPSIS) || take(&p, "to "))
                *ret = ITEM_RANGE;
        else if (take(&p, "-") || take(&p, DASH))
                *ret = ITEM_DASHED;
        else
                return false;
        *text = skip_space(p);
        return true;
}

static bool take_unit(const char **text) {
        static const char *const units[] = { "bytes",      "byte",      "octets", "octet",
                                             "characters", "character", "chars",  "char" };

        for (size_t i = 0; i < G_N_ELEMENTS(units); i++)
                if (take(text, units[i]))
                        return true;
        return false;
}

static bool item_parse(const char *text, ValueType type, Item *ret) {
        Item item = { .form = ITEM_NUMBER };
        const char *p = skip_space(text), *after;

        if (!take_number(&p, &item.min))
                return false;
        item.max = item.min;
        after = p;
        if (take_range_sign(&p, &item.form)) {
                if (!take_number(&p, &item.max)) {
                        /* "0 - off" names a number. */
                        if (item.form != ITEM_DASHED || !isspace((unsigned char) *after) ||
                            *p == '\0')
                                return false;
                        item.form = ITEM_LABEL;
                        *ret = item;
                        return true;
                }
                if (item.min.d > item.max.d) {
                        Number swap = item.min;

                        item.min = item.max;
                        item.max = swap;
                }
        } else if (*skip_space(p) == ':' || *skip_space(p) == '=') {
                item.form = ITEM_LABEL;
                *ret = item;
                return true;
        }
        p = skip_space(p);
        if (is_text(type))
                item.length_unit = take_unit(&p);
        else if (*p == '%')
                p++;
        if (*skip_space(p) != '\0')
                return false;
        *ret = item;
        return true;
}

/* A number as the type has it. A limit beyond the type is the type's own: an upper one of 2^64 - 1
 * restricts no Integer. */
static bool to_signed(const Number *n, int64_t *ret) {
        if (!n->whole)
                return false;
        if (n->negative)
                *ret = n->magnitude > (uint64_t) INT64_MAX ? INT64_MIN : -(int64_t) n->magnitude;
        else
                *ret = n->magnitude > (uint64_t) INT64_MAX ? INT64_MAX : (int64_t) n->magnitude;
        return true;
}

static bool to_unsigned(const Number *n, uint64_t *ret) {
        *ret = n->negative ? 0 : n->magnitude;
        return n->whole;
}

static bool item_to_range(const Item *item, ValueType type, Range *ret) {
        *ret = (Range){ 0 };
        if (type == VALUE_FLOAT) {
                ret->min = item->min.d;
                ret->max = item->max.d;
                return true;
        }
        if (type == VALUE_UNSIGNED)
                return !(item->max.negative && item->max.magnitude > 0) &&
                       to_unsigned(&item->min, &ret->umin) && to_unsigned(&item->max, &ret->umax);
        if (is_text(type)) {
                if (item->min.negative || item->form == ITEM_LABEL ||
                    (item->form == ITEM_DASHED && !item->length_unit))
                        return false;
        }
        return to_signed(&item->min, &ret->imin) && to_signed(&item->max, &ret->imax);
}

static size_t texts_parse(char **parts, size_t n, Range **ret) {
        g_autofree Range *ranges = g_new0(Range, n);

        if (n < 2)
                return 0;
        for (size_t i = 0; i < n; i++) {
                size_t length = strlen(parts[i]);

                if (length >= 2 && (*parts[i] == '"' || *parts[i] == '\'') &&
                    parts[i][length - 1] == *parts[i]) {
                        parts[i][length - 1] = '\0';
                        memmove(parts[i], parts[i] + 1, length - 1);
                } else if (strpbrk(parts[i], " \t\r\n<>:=") || strstr(parts[i], "..") ||
                           length == 0) {
                        return 0;
                }
        }
        for (size_t i = 0; i < n; i++)
                ranges[i].text = g_strdup(parts[i]);
        *ret = g_steal_pointer(&ranges);
        return n;
}

static size_t numbers_parse(char **parts, size_t n, ValueType type, Range **ret) {
        g_autofree Range *ranges = g_new0(Range, n + 1);
        Item item;
        bool list = n > 1;

        for (size_t i = 0; i < n; i++) {
                if (!item_parse(parts[i], type, &item) || !item_to_range(&item, type, &ranges[i]))
                        return 0;
                if (n == 1 && (item.form == ITEM_NUMBER || item.form == ITEM_LABEL)) {
                        if (!is_text(type))
                                return 0;
                        ranges[0].imin = 0;
                }
                if (item.form == ITEM_RANGE || item.form == ITEM_DASHED)
                        list = false;
        }
        if (is_text(type) && list)
                ranges[n++] = (Range){ 0 };
        *ret = g_steal_pointer(&ranges);
        return n;
}

size_t ranges_parse(const char *text, ValueType type, Range **ret) {
        g_autofree char *copy = text ? g_strstrip(g_strdup(text)) : NULL;
        g_auto(GStrv) parts = NULL;
        const char *separator;
        size_t n, n_ranges;

        *ret = NULL;
        if (!copy || *copy == '\0' || type == VALUE_NONE || type == VALUE_BOOLEAN ||
            type == VALUE_OBJLNK)
                return 0;
        separator = strchr(copy, '\n')  ? "\n"
                    : strchr(copy, ';') ? ";"
                    : strchr(copy, '|') ? "|"
                                        : ",";
        parts = g_strsplit(copy, separator, RANGES_MAX + 1);
        n = g_strv_length(parts);
        if (n > 1 && *g_strstrip(parts[n - 1]) == '\0')
                n--; /* a separator at the end */
        if (n > RANGES_MAX)
                return 0;
        for (size_t i = 0; i < n; i++)
                g_strstrip(parts[i]);
        n_ranges = numbers_parse(parts, n, type, ret);
        if (n_ranges == 0 && type == VALUE_STRING)
                n_ranges = texts_parse(parts, n, ret);
        return n_ranges;
}

static bool range_match(const Range *r, const Value *v) {
        switch ((ValueType) v->type) {
        case VALUE_FLOAT:
                return v->d >= r->min && v->d <= r->max;
        case VALUE_UNSIGNED:
                return v->u >= r->umin && v->u <= r->umax;
        case VALUE_INTEGER:
        case VALUE_TIME:
                return v->i >= r->imin && v->i <= r->imax;
        case VALUE_STRING:
        case VALUE_OPAQUE:
        case VALUE_CORELNK:
                if (r->text)
                        return strlen(r->text) == v->length &&
                               memcmp(r->text, v->data, v->length) == 0;
                return v->length >= r->imin && v->length <= r->imax;
        case VALUE_NONE:
        case VALUE_BOOLEAN:
        case VALUE_OBJLNK:
        case _VALUE_TYPE_MAX:
                break;
        }
        return true;
}

bool ranges_match(const Range *ranges, size_t n, const Value *v) {
        for (size_t i = 0; i < n; i++)
                if (range_match(&ranges[i], v))
                        return true;
        return n == 0;
}

Range *ranges_free(Range *ranges, size_t n) {
        for (size_t i = 0; i < n; i++)
                g_free(ranges[i].text);
        g_free(ranges);
        return NULL;
}
