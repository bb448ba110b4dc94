/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/linkformat.h"

#include <string.h>

static bool is_alnum(uint8_t c) {
        return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

static bool is_one_of(uint8_t c, const char *set) {
        return c != '\0' && strchr(set, c);
}

/* URI references of RFC 3986 */
static bool is_uri(uint8_t c) {
        return is_alnum(c) || is_one_of(c, "-._~:/?#[]@!$&'()*+,;=%");
}

/* attr-char of RFC 5987 and, at the end of a name, "*" */
static bool is_name(uint8_t c) {
        return is_alnum(c) || is_one_of(c, "!#$&+-.^_`|~*");
}

/* ptokenchar of RFC 6690 */
static bool is_token(uint8_t c) {
        return is_alnum(c) || is_one_of(c, "!#$%&'()*+-./:<=>?@[]^_`{|}~");
}

static Reader take_while(Reader *in, bool (*test)(uint8_t c)) {
        Reader start = *in;

        while (in->left > 0 && test(*in->pos))
                reader_skip(in, 1);
        start.left -= in->left;
        return start;
}

static bool take(Reader *in, char c) {
        if (in->left == 0 || *in->pos != (uint8_t) c)
                return false;
        reader_skip(in, 1);
        return true;
}

/* Up to the closing quote; a backslash takes the next character along. */
static int take_quoted(Reader *in, Reader *ret) {
        Reader start = *in;

        while (in->left > 0 && *in->pos != '"') {
                if (take(in, '\\') && in->left == 0)
                        return -EBADMSG;
                if ((*in->pos < 0x20 && *in->pos != '\t') || *in->pos == 0x7f)
                        return -EBADMSG;
                reader_skip(in, 1);
        }
        start.left -= in->left;
        if (!take(in, '"'))
                return -EBADMSG;
        *ret = start;
        return 0;
}

/* *( ";" name [ "=" ( token / quoted-string ) ] ) */
static int take_param(Reader *in, LinkParam *ret) {
        LinkParam p = { 0 };

        if (!take(in, ';'))
                return -EBADMSG;
        p.name = take_while(in, is_name);
        if (p.name.left == 0)
                return -EBADMSG;
        p.has_value = take(in, '=');
        if (p.has_value) {
                p.quoted = take(in, '"');
                if (p.quoted) {
                        if (take_quoted(in, &p.value) < 0)
                                return -EBADMSG;
                } else {
                        p.value = take_while(in, is_token);
                        if (p.value.left == 0)
                                return -EBADMSG;
                }
        }
        *ret = p;
        return 0;
}

int linkformat_next(Reader *in, LinkItem *ret) {
        Reader rest = *in;
        LinkParam param;
        LinkItem item;

        if (rest.left == 0)
                return 0;
        if (!take(&rest, '<'))
                return -EBADMSG;
        item.uri = take_while(&rest, is_uri);
        if (!take(&rest, '>'))
                return -EBADMSG;
        item.params = rest;
        while (rest.left > 0 && *rest.pos == ';')
                if (take_param(&rest, &param) < 0)
                        return -EBADMSG;
        item.params.left -= rest.left;
        /* Only between links is there a comma. */
        if (rest.left > 0 && (!take(&rest, ',') || rest.left == 0))
                return -EBADMSG;
        *in = rest;
        *ret = item;
        return 1;
}

int linkformat_param(Reader *params, LinkParam *ret) {
        if (params->left == 0)
                return 0;
        return take_param(params, ret) < 0 ? -EBADMSG : 1;
}

int linkformat_check(const void *data, size_t n) {
        Reader in = { .pos = data, .left = n };
        LinkItem item;
        int r;

        do
                r = linkformat_next(&in, &item);
        while (r > 0);
        return r;
}
