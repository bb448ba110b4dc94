/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/json.h"

#include <errno.h>
#include <string.h>

#include "codec/number.h"

void json_init(Json *j, const void *data, size_t n, unsigned depth) {
        *j = (Json){ .in = { .pos = data, .left = n },
                     .scratch = g_string_new(NULL),
                     .depth = depth };
}

void json_clear(Json *j) {
        if (j->scratch)
                g_string_free(j->scratch, TRUE);
        *j = (Json){ 0 };
}

static void skip_space(Json *j) {
        while (j->in.left > 0 && (*j->in.pos == ' ' || *j->in.pos == '\t' || *j->in.pos == '\n' ||
                                  *j->in.pos == '\r'))
                reader_skip(&j->in, 1);
}

static int take(Json *j, char c) {
        skip_space(j);
        if (j->in.left == 0 || *j->in.pos != (uint8_t) c)
                return -EBADMSG;
        reader_skip(&j->in, 1);
        return 0;
}

int json_peek(Json *j, JsonKind *ret) {
        skip_space(j);
        if (j->in.left == 0)
                return -EBADMSG;
        switch (*j->in.pos) {
        case '{':
                *ret = JSON_OBJECT;
                return 0;
        case '[':
                *ret = JSON_ARRAY;
                return 0;
        case '"':
                *ret = JSON_STRING;
                return 0;
        case 't':
                *ret = JSON_TRUE;
                return 0;
        case 'f':
                *ret = JSON_FALSE;
                return 0;
        case 'n':
                *ret = JSON_NULL;
                return 0;
        case '-':
        case '0' ... '9':
                *ret = JSON_NUMBER;
                return 0;
        default:
                return -EBADMSG;
        }
}

static int enter(Json *j, JsonKind kind) {
        int r;

        r = take(j, kind == JSON_OBJECT ? '{' : '[');
        if (r < 0)
                return r;
        if (j->depth == 0)
                return -E2BIG;
        j->depth--;
        return 0;
}

/* 1 while another member or element follows, 0 at the end. */
static int next(Json *j, JsonKind kind, bool *first) {
        bool was_first = *first;

        *first = false;
        if (take(j, kind == JSON_OBJECT ? '}' : ']') == 0) {
                j->depth++;
                return 0;
        }
        if (!was_first && take(j, ',') < 0)
                return -EBADMSG;
        return 1;
}

static int read_hex4(Json *j, uint32_t *ret) {
        uint32_t value = 0;

        if (j->in.left < 4)
                return -EBADMSG;
        for (int i = 0; i < 4; i++) {
                int digit = g_ascii_xdigit_value((char) j->in.pos[i]);

                if (digit < 0)
                        return -EBADMSG;
                value = value << 4 | (uint32_t) digit;
        }
        reader_skip(&j->in, 4);
        *ret = value;
        return 0;
}

/* \u and, above U+FFFF, the second half of the pair; half a pair alone stands for nothing. */
static int read_unicode(Json *j) {
        uint32_t c, low;
        int r;

        r = read_hex4(j, &c);
        if (r < 0)
                return r;
        if (c >= 0xd800 && c <= 0xdfff) {
                if (c >= 0xdc00 || j->in.left < 2 || memcmp(j->in.pos, "\\u", 2) != 0)
                        return -EBADMSG;
                reader_skip(&j->in, 2);
                r = read_hex4(j, &low);
                if (r < 0)
                        return r;
                if (low < 0xdc00 || low > 0xdfff)
                        return -EBADMSG;
                c = 0x10000 + ((c - 0xd800) << 10 | (low - 0xdc00));
        }
        g_string_append_unichar(j->scratch, c);
        return 0;
}

static int read_escape(Json *j) {
        static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
        const char *at;
        char c;

        if (j->in.left == 0)
                return -EBADMSG;
        c = (char) *j->in.pos;
        reader_skip(&j->in, 1);
        if (c == 'u')
                return read_unicode(j);
        at = c ? strchr(from, c) : NULL;
        if (!at)
                return -EBADMSG;
        g_string_append_c(j->scratch, to[at - from]);
        return 0;
}

/* Characters up to the closing quote or the next backslash. */
static size_t plain_length(const Reader *in) {
        size_t n = 0;

        while (n < in->left && in->pos[n] >= 0x20 && in->pos[n] != '"' && in->pos[n] != '\\')
                n++;
        return n;
}

int json_string(Json *j, const char **ret, size_t *ret_n) {
        const char *start;
        size_t n;
        int r;

        r = take(j, '"');
        if (r < 0)
                return r;
        start = (const char *) j->in.pos;
        n = plain_length(&j->in);
        if (n < j->in.left && j->in.pos[n] == '\\') {
                g_string_truncate(j->scratch, 0);
                while (n < j->in.left && j->in.pos[n] == '\\') {
                        g_string_append_len(j->scratch, (const char *) j->in.pos, (gssize) n);
                        reader_skip(&j->in, n + 1);
                        r = read_escape(j);
                        if (r < 0)
                                return r;
                        n = plain_length(&j->in);
                }
                g_string_append_len(j->scratch, (const char *) j->in.pos, (gssize) n);
                start = j->scratch->str;
                *ret_n = j->scratch->len;
        } else
                *ret_n = n;
        if (n >= j->in.left || j->in.pos[n] != '"')
                return -EBADMSG;
        reader_skip(&j->in, n + 1);
        *ret = start;
        /* Also refuses \u0000, which no String of LwM2M can hold. */
        return g_utf8_validate_len(start, *ret_n, NULL) ? 0 : -EBADMSG;
}

static int read_member_name(Json *j, const char **ret, size_t *ret_n) {
        int r;

        r = json_string(j, ret, ret_n);
        if (r < 0)
                return r;
        return take(j, ':');
}

int json_number(Json *j, const char **ret, size_t *ret_n) {
        size_t n = 0;

        skip_space(j);
        while (n < j->in.left && j->in.pos[n] && strchr("+-.0123456789eE", j->in.pos[n]))
                n++;
        if (n == 0)
                return -EBADMSG;
        *ret = (const char *) j->in.pos;
        *ret_n = n;
        reader_skip(&j->in, n);
        return 0;
}

int json_literal(Json *j) {
        static const char *const words[] = { "true", "false", "null" };

        skip_space(j);
        for (size_t i = 0; i < G_N_ELEMENTS(words); i++) {
                size_t n = strlen(words[i]);

                if (j->in.left >= n && memcmp(j->in.pos, words[i], n) == 0) {
                        reader_skip(&j->in, n);
                        return 0;
                }
        }
        return -EBADMSG;
}

static int each(Json *j, JsonKind kind, JsonItem item, void *userdata) {
        const char *name = NULL;
        bool first = true;
        size_t n = 0;
        int r;

        r = enter(j, kind);
        if (r < 0)
                return r;
        while ((r = next(j, kind, &first)) > 0) {
                if (kind == JSON_OBJECT)
                        r = read_member_name(j, &name, &n);
                if (r >= 0)
                        r = item(userdata, j, name, n);
                if (r < 0)
                        return r;
        }
        return r;
}

int json_array(Json *j, JsonItem item, void *userdata) {
        return each(j, JSON_ARRAY, item, userdata);
}

int json_object(Json *j, JsonItem item, void *userdata) {
        return each(j, JSON_OBJECT, item, userdata);
}

static int skip_item(void *userdata, Json *j, const char *name, size_t n_name) {
        return json_skip(j);
}

int json_skip(Json *j) {
        const char *text;
        JsonKind kind;
        size_t n;
        int r;

        r = json_peek(j, &kind);
        if (r < 0)
                return r;
        switch (kind) {
        case JSON_OBJECT:
        case JSON_ARRAY:
                return each(j, kind, skip_item, NULL);
        case JSON_STRING:
                return json_string(j, &text, &n);
        case JSON_NUMBER:
                r = json_number(j, &text, &n);
                return r < 0 ? r : number_check(text, n);
        case JSON_TRUE:
        case JSON_FALSE:
        case JSON_NULL:
                break;
        }
        return json_literal(j);
}

int json_end(Json *j) {
        skip_space(j);
        return j->in.left == 0 ? 0 : -EBADMSG;
}

void json_put_string(GByteArray *out, const void *data, size_t n) {
        static const char escaped[] = "\b\t\n\f\r\"\\", letters[] = "btnfr\"\\";
        const guint8 *p = data, *end = p + n;

        g_byte_array_append(out, (const guint8 *) "\"", 1);
        while (p < end) {
                const guint8 *start = p;
                char code[7];
                const char *at;

                while (p < end && *p >= 0x20 && *p != '"' && *p != '\\')
                        p++;
                g_byte_array_append(out, start, (guint) (p - start));
                if (p == end)
                        break;
                at = *p ? strchr(escaped, *p) : NULL;
                if (at)
                        g_snprintf(code, sizeof(code), "\\%c", letters[at - escaped]);
                else
                        g_snprintf(code, sizeof(code), "\\u%04x", *p);
                g_byte_array_append(out, (const guint8 *) code, (guint) strlen(code));
                p++;
        }
        g_byte_array_append(out, (const guint8 *) "\"", 1);
}
