/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/value.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "util/base64.h"
#include "util/parse.h"

G_STATIC_ASSERT(sizeof(Value) == 16);

static bool has_data(ValueType type) {
        return type == VALUE_STRING || type == VALUE_OPAQUE || type == VALUE_CORELNK;
}

void value_clear(Value *v) {
        if (has_data(v->type) && v->data) {
                /* Any opaque value may be a key. */
                explicit_bzero(v->data, v->length);
                g_free(v->data);
        }
        *v = VALUE_INIT;
}

Value value_steal(Value *v) {
        Value stolen = *v;

        *v = VALUE_INIT;
        return stolen;
}

Value value_copy(const Value *v) {
        return has_data(v->type) ? value_text(v->type, v->data, v->length) : *v;
}

Value value_string(const char *text) {
        return value_text(VALUE_STRING, text, strlen(text));
}

Value value_text(ValueType type, const void *data, size_t n) {
        Value v = { .type = (uint8_t) type, .length = (uint32_t) n };

        assert(has_data(type) && n <= VALUE_LENGTH_MAX);
        v.data = g_malloc(n + 1);
        if (n > 0)
                memcpy(v.data, data, n);
        v.data[n] = '\0';
        return v;
}

bool value_equal(const Value *a, const Value *b) {
        if (a->type != b->type)
                return false;
        switch ((ValueType) a->type) {
        case VALUE_STRING:
        case VALUE_OPAQUE:
        case VALUE_CORELNK:
                return a->length == b->length && memcmp(a->data, b->data, a->length) == 0;
        case VALUE_INTEGER:
        case VALUE_TIME:
                return a->i == b->i;
        case VALUE_UNSIGNED:
                return a->u == b->u;
        case VALUE_FLOAT:
                return a->d == b->d || (isnan(a->d) && isnan(b->d));
        case VALUE_BOOLEAN:
                return a->b == b->b;
        case VALUE_OBJLNK:
                return a->link.object == b->link.object && a->link.instance == b->link.instance;
        case VALUE_NONE:
        case _VALUE_TYPE_MAX:
                break;
        }
        return true;
}

/* An integer of either sign: magnitude and sign, so that all 64 bits of both types fit. */
typedef struct Whole {
        uint64_t magnitude;
        bool negative;
} Whole;

static int to_whole(const Value *v, Whole *ret) {
        double d;

        if (v->type == VALUE_UNSIGNED) {
                *ret = (Whole){ .magnitude = v->u };
                return 0;
        }
        if (v->type == VALUE_INTEGER || v->type == VALUE_TIME) {
                *ret = (Whole){ .magnitude = v->i < 0 ? 0 - (uint64_t) v->i : (uint64_t) v->i,
                                .negative = v->i < 0 };
                return 0;
        }
        if (v->type != VALUE_FLOAT)
                return -EINVAL;
        d = fabs(v->d);
        if (!(d < 0x1p64) || d != trunc(d)) /* also NaN */
                return -ERANGE;
        *ret = (Whole){ .magnitude = (uint64_t) d, .negative = v->d < 0 };
        return 0;
}

static int from_whole(Whole w, ValueType type, Value *ret) {
        Value v = { .type = (uint8_t) type };

        if (type == VALUE_FLOAT) {
                double d = (double) w.magnitude;

                if (d >= 0x1p64 || (uint64_t) d != w.magnitude)
                        return -ERANGE;
                v.d = w.negative ? -d : d;
        } else if (type == VALUE_UNSIGNED) {
                if (w.negative)
                        return -ERANGE;
                v.u = w.magnitude;
        } else {
                if (w.magnitude > (uint64_t) INT64_MAX + w.negative)
                        return -ERANGE;
                v.i = w.negative ? (int64_t) (0 - w.magnitude) : (int64_t) w.magnitude;
        }
        *ret = v;
        return 0;
}

static bool is_text(ValueType type) {
        return type == VALUE_STRING || type == VALUE_CORELNK;
}

static bool is_number(ValueType type) {
        return type == VALUE_INTEGER || type == VALUE_UNSIGNED || type == VALUE_FLOAT ||
               type == VALUE_TIME;
}

int value_convert(const Value *in, ValueType type, Value *ret) {
        Whole w;
        int r;

        if (is_text(type)) {
                if (!is_text(in->type) || !g_utf8_validate(in->data, in->length, NULL))
                        return -EINVAL;
                *ret = value_text(type, in->data, in->length);
                return 0;
        }
        if (in->type == type) {
                *ret = value_copy(in);
                return 0;
        }
        if (!is_number(type) || !is_number(in->type))
                return -EINVAL;
        r = to_whole(in, &w);
        if (r < 0)
                return r;
        return from_whole(w, type, ret);
}

static int parse_float(const char *text, double *ret) {
        static const struct {
                const char *name;
                double value;
        } special[] = { { "NaN", NAN }, { "Infinity", INFINITY }, { "-Infinity", -INFINITY } };

        for (size_t i = 0; i < G_N_ELEMENTS(special); i++)
                if (strcmp(text, special[i].name) == 0) {
                        *ret = special[i].value;
                        return 0;
                }
        return parse_double(text, ret);
}

static int parse_link(const char *text, Value *ret) {
        const char *colon = strchr(text, ':');
        char object[6] = "";
        int r;

        if (!colon || (size_t) (colon - text) >= sizeof(object))
                return -EINVAL;
        memcpy(object, text, (size_t) (colon - text));
        r = parse_u16(object, &ret->link.object);
        if (r < 0)
                return r;
        return parse_u16(colon + 1, &ret->link.instance);
}

static int parse_opaque(const char *text, Value *ret) {
        size_t n = strlen(text), n_bytes;
        Value v = VALUE_INIT;
        int r;

        if (n / 4 * 3 > VALUE_LENGTH_MAX)
                return -ERANGE;
        v.data = g_malloc(n / 4 * 3 + 3);
        r = base64_decode(text, n, false, v.data, &n_bytes);
        if (r < 0) {
                g_free(v.data);
                return r;
        }
        v.data[n_bytes] = '\0';
        v.length = (uint32_t) n_bytes;
        v.type = VALUE_OPAQUE;
        *ret = v;
        return 0;
}

static int parse_text(const char *text, ValueType type, Value *ret) {
        size_t n = strlen(text);

        if (n > VALUE_LENGTH_MAX)
                return -ERANGE;
        if (!g_utf8_validate(text, (gssize) n, NULL))
                return -EINVAL;
        *ret = value_text(type, text, n);
        return 0;
}

int value_parse(const char *text, ValueType type, Value *ret) {
        Value v = { .type = (uint8_t) type };
        int r = -EINVAL;

        switch (type) {
        case VALUE_STRING:
        case VALUE_CORELNK:
                return parse_text(text, type, ret);
        case VALUE_OPAQUE:
                return parse_opaque(text, ret);
        case VALUE_INTEGER:
        case VALUE_TIME:
                r = parse_i64(text, &v.i);
                break;
        case VALUE_UNSIGNED:
                r = parse_u64(text, UINT64_MAX, &v.u);
                break;
        case VALUE_FLOAT:
                r = parse_float(text, &v.d);
                break;
        case VALUE_BOOLEAN:
                if ((*text == '0' || *text == '1') && text[1] == '\0') {
                        v.b = *text == '1';
                        r = 0;
                }
                break;
        case VALUE_OBJLNK:
                r = parse_link(text, &v);
                break;
        case VALUE_NONE:
        case _VALUE_TYPE_MAX:
                break;
        }
        if (r < 0)
                return r;
        *ret = v;
        return 0;
}

static size_t format_float(double d, char *buffer) {
        if (!isfinite(d))
                return (size_t) sprintf(buffer, "%s",
                                        isnan(d) ? "NaN"
                                        : d > 0  ? "Infinity"
                                                 : "-Infinity");
        if (fabs(d) < 1e15 && d == trunc(d) && !(d == 0 && signbit(d)))
                return (size_t) sprintf(buffer, "%" PRId64, (int64_t) d);
        for (int digits = 15; digits <= 17; digits++) {
                char format[] = "%.15g";

                format[3] = (char) ('0' + digits - 10);
                g_ascii_formatd(buffer, VALUE_NUMBER_MAX, format, d);
                if (g_ascii_strtod(buffer, NULL) == d)
                        break;
        }
        return strlen(buffer);
}

static size_t format_whole(bool negative, uint64_t magnitude, char *buffer) {
        char digits[20], *out = buffer;
        int n = 0;

        if (negative)
                *out++ = '-';
        do
                digits[n++] = (char) ('0' + magnitude % 10);
        while ((magnitude /= 10) > 0);
        while (n > 0)
                *out++ = digits[--n];
        *out = '\0';
        return (size_t) (out - buffer);
}

size_t value_format_number(const Value *v, char buffer[static VALUE_NUMBER_MAX]) {
        size_t n;

        switch ((ValueType) v->type) {
        case VALUE_INTEGER:
        case VALUE_TIME:
                return format_whole(v->i < 0, v->i < 0 ? 0 - (uint64_t) v->i : (uint64_t) v->i,
                                    buffer);
        case VALUE_UNSIGNED:
                return format_whole(false, v->u, buffer);
        case VALUE_FLOAT:
                return format_float(v->d, buffer);
        case VALUE_BOOLEAN:
                return format_whole(false, v->b, buffer);
        case VALUE_OBJLNK:
                n = format_whole(false, v->link.object, buffer);
                buffer[n++] = ':';
                return n + format_whole(false, v->link.instance, buffer + n);
        case VALUE_NONE:
        case VALUE_STRING:
        case VALUE_OPAQUE:
        case VALUE_CORELNK:
        case _VALUE_TYPE_MAX:
                break;
        }
        *buffer = '\0';
        return 0;
}

char *value_format(const Value *v) {
        char buffer[VALUE_NUMBER_MAX], *text;
        size_t n;

        if (is_text(v->type))
                return g_strndup(v->data, v->length);
        if (v->type == VALUE_OPAQUE) {
                n = base64_length(v->length, false);
                text = g_malloc(n + 1);
                base64_encode(v->data, v->length, false, text);
                text[n] = '\0';
                return text;
        }
        value_format_number(v, buffer);
        return g_strdup(buffer);
}

const char *value_type_name(ValueType type) {
        static const char *const names[] = {
                [VALUE_NONE] = "",           [VALUE_STRING] = "String",
                [VALUE_INTEGER] = "Integer", [VALUE_UNSIGNED] = "Unsigned Integer",
                [VALUE_FLOAT] = "Float",     [VALUE_BOOLEAN] = "Boolean",
                [VALUE_OPAQUE] = "Opaque",   [VALUE_TIME] = "Time",
                [VALUE_OBJLNK] = "Objlnk",   [VALUE_CORELNK] = "Corelnk",
        };

        return (unsigned) type < G_N_ELEMENTS(names) ? names[type] : "";
}
