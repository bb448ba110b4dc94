/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What the tests of the formats share: a schema of one object, and short ways to decode and encode.
 * Object 9 has one single resource a type, numbered as the types are, and the same ones multiple
 * from 100 on; object 3 is the part of Device that the examples of the specifications use. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <glib.h>
#include <math.h>
#include <string.h>

#include "codec/format.h"
#include "util/parse.h"

#define NOW_NS (INT64_C(1700000000) * 1000000000)

static inline ValueType fixture_type(void *userdata, const Path *p) {
        static const ValueType device[] = {
                [0] = VALUE_STRING,   [1] = VALUE_STRING,  [2] = VALUE_STRING,
                [3] = VALUE_STRING,   [6] = VALUE_INTEGER, [7] = VALUE_INTEGER,
                [8] = VALUE_INTEGER,  [9] = VALUE_INTEGER, [10] = VALUE_INTEGER,
                [11] = VALUE_INTEGER, [13] = VALUE_TIME,   [14] = VALUE_STRING,
                [16] = VALUE_STRING,
        };

        if (p->n < 3)
                return VALUE_NONE;
        if (p->id[0] == 3)
                return p->id[2] < G_N_ELEMENTS(device) ? device[p->id[2]] : VALUE_NONE;
        if (p->id[0] == 9 && p->id[2] % 100 < _VALUE_TYPE_MAX)
                return (ValueType) (p->id[2] % 100);
        return VALUE_NONE;
}

static inline bool fixture_multiple(void *userdata, const Path *p) {
        if (p->id[0] == 3)
                return p->id[2] == 6 || p->id[2] == 7 || p->id[2] == 8 || p->id[2] == 11;
        return p->id[0] == 9 && p->id[2] >= 100;
}

static const FormatSchema fixture_schema = { .type = fixture_type, .multiple = fixture_multiple };
static const FormatLimits fixture_limits = { .now_ns = NOW_NS };

static inline int decode(Format f, const char *base, const void *data, size_t n, RecordList *ret) {
        Path p, at;

        assert_int_equal(path_parse(base, &p), 0);
        return format_decode(f, &p, data, n, &fixture_schema, &fixture_limits, ret, &at);
}

static inline int decode_text(Format f, const char *base, const char *text, RecordList *ret) {
        return decode(f, base, text, strlen(text), ret);
}

/* hex may have spaces between bytes. */
static inline int decode_hex(Format f, const char *base, const char *hex, RecordList *ret) {
        g_autofree uint8_t *bytes = NULL;
        g_auto(GStrv) parts = g_strsplit(hex, " ", -1);
        g_autofree char *joined = g_strjoinv("", parts);
        size_t n;

        assert_int_equal(parse_hex(joined, &bytes, &n), 0);
        return decode(f, base, bytes, n, ret);
}

/* One line a record: "/3/0/0=text" with the type's first letters, and "@time" in ns where there is
 * one. */
static inline char *list_text(const RecordList *l) {
        static const char *const letters[] = { "-", "s", "i", "u", "f", "b", "o", "t", "l", "c" };
        GString *s = g_string_new(NULL);

        for (size_t i = 0; i < l->n; i++) {
                g_autofree char *value = value_format(&l->v[i].value);

                g_string_append_printf(s, "%s%s=%s%s", i ? " " : "", PATH_TEXT(&l->v[i].path),
                                       letters[l->v[i].value.type], value);
                if (l->v[i].time_ns != RECORD_NO_TIME)
                        g_string_append_printf(s, "@%" G_GINT64_FORMAT, l->v[i].time_ns);
        }
        return g_string_free(s, FALSE);
}

static inline void assert_list(RecordList *l, const char *expected) {
        g_autofree char *text = list_text(l);

        assert_string_equal(text, expected);
        record_list_clear(l);
}

static inline void assert_decodes(Format f, const char *base, const char *text,
                                  const char *expected) {
        RecordList l = { 0 };

        assert_int_equal(decode_text(f, base, text, &l), 0);
        assert_list(&l, expected);
}

static inline void assert_decodes_hex(Format f, const char *base, const char *hex,
                                      const char *expected) {
        RecordList l = { 0 };

        assert_int_equal(decode_hex(f, base, hex, &l), 0);
        assert_list(&l, expected);
}

static inline int encode_list(Format f, const char *base, const RecordList *l, GByteArray *out) {
        Path p;

        assert_int_equal(path_parse(base, &p), 0);
        return format_encode(f, &p, l->v, l->n, &fixture_schema, out);
}

static inline void assert_encodes(Format f, const char *base, const RecordList *l,
                                  const char *expected) {
        g_autoptr(GByteArray) out = g_byte_array_new();

        assert_int_equal(encode_list(f, base, l, out), 0);
        g_byte_array_append(out, (const guint8 *) "", 1);
        assert_string_equal((const char *) out->data, expected);
}

static inline void assert_encodes_hex(Format f, const char *base, const RecordList *l,
                                      const char *hex) {
        g_autoptr(GByteArray) out = g_byte_array_new();
        g_auto(GStrv) parts = g_strsplit(hex, " ", -1);
        g_autofree char *expected = g_strjoinv("", parts);
        g_autoptr(GString) s = g_string_new(NULL);

        assert_int_equal(encode_list(f, base, l, out), 0);
        for (guint i = 0; i < out->len; i++)
                g_string_append_printf(s, "%02x", out->data[i]);
        assert_string_equal(s->str, expected);
}

static inline void add(RecordList *l, const char *path, ValueType type, const char *value) {
        Value v = VALUE_INIT;
        Path p;

        assert_int_equal(path_parse(path, &p), 0);
        if (type != VALUE_NONE)
                assert_int_equal(value_parse(value, type, &v), 0);
        record_list_add(l, &p, &v, RECORD_NO_TIME);
}

/* Every beginning of a body must be refused, and say nothing. */
static inline void assert_truncated_refused(Format f, const char *base, const void *data,
                                            size_t n) {
        for (size_t i = 0; i < n; i++) {
                g_autofree uint8_t *part =
                        g_memdup2(data, i + 1); /* exact size: the sanitizer sees over-reads */
                RecordList l = { 0 };
                uint8_t *exact = g_malloc(i ? i : 1);
                int r;

                memcpy(exact, part, i);
                r = decode(f, base, exact, i, &l);
                g_free(exact);
                assert_true(r < 0);
                assert_null(l.v);
        }
}
