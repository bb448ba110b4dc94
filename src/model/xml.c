/* SPDX-License-Identifier: Apache-2.0 */
#include "model/xml.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static int fail(XmlReader *x, int code, const char *reason) {
        x->error = reason;
        return code;
}

static bool is_space(char c) {
        return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

enum { NAME = 1, NAME_START = 2 };

/* Which characters beyond ASCII a name may have is not looked at. */
static const uint8_t name_class[256] = {
        ['-'] = NAME,
        ['.'] = NAME,
        ['0' ... '9'] = NAME,
        [':'] = NAME | NAME_START,
        ['A' ... 'Z'] = NAME | NAME_START,
        ['_'] = NAME | NAME_START,
        ['a' ... 'z'] = NAME | NAME_START,
        [0x80 ... 0xff] = NAME | NAME_START,
};

/* Empty where none begins. */
static XmlName take_name(const char **pos, const char *end) {
        const char *from = *pos, *p = from;

        if (p < end && name_class[(uint8_t) *p] & NAME_START)
                do
                        p++;
                while (p < end && name_class[(uint8_t) *p]);
        *pos = p;
        return (XmlName){ .text = from, .n = (size_t) (p - from) };
}

static void skip_spaces(const char **pos, const char *end) {
        while (*pos < end && is_space(**pos))
                (*pos)++;
}

static bool same_name(XmlName a, XmlName b) {
        return a.n == b.n && memcmp(a.text, b.text, a.n) == 0;
}

static bool begins_with(const XmlReader *x, const char *prefix) {
        size_t n = strlen(prefix);

        return (size_t) (x->end - x->pos) >= n && memcmp(x->pos, prefix, n) == 0;
}

/* Whether text is found at or behind x->pos, where it then stands behind it; *ret is what came
 * before. */
static bool take_until(XmlReader *x, const char *text, XmlName *ret) {
        size_t n = strlen(text);
        const char *found = memmem(x->pos, (size_t) (x->end - x->pos), text, n);

        if (!found)
                return false;
        *ret = (XmlName){ .text = x->pos, .n = (size_t) (found - x->pos) };
        x->pos = found + n;
        return true;
}

/* Where the text stops being UTF-8, or its end. Most texts are ASCII, of which eight bytes are seen
 * at once. */
static const char *utf8_end(const char *text, size_t n) {
        const char *end;
        size_t at = 0;
        uint64_t word;

        for (; n - at >= sizeof(word); at += sizeof(word)) {
                memcpy(&word, text + at, sizeof(word));
                if (word & UINT64_C(0x8080808080808080))
                        break;
        }
        return g_utf8_validate(text + at, (gssize) (n - at), &end) ? text + n : end;
}

int xml_init(XmlReader *x, const char *text, size_t n) {
        const char *nul = memchr(text, '\0', n), *end = nul ? nul : text + n;

        *x = (XmlReader){ .start = text, .pos = utf8_end(text, (size_t) (end - text)) };
        x->end = text + n;
        if (x->pos < x->end)
                return fail(x, -EBADMSG, "the text is not UTF-8");
        x->pos = text;
        if (begins_with(x, "\xef\xbb\xbf"))
                x->pos += 3;
        return 0;
}

unsigned xml_line(const XmlReader *x, const char *at) {
        const char *p = x->start;
        unsigned line = 1;

        while ((p = memchr(p, '\n', (size_t) (at - p)))) {
                line++;
                p++;
        }
        return line;
}

bool xml_is(const XmlToken *token, const char *name) {
        return strlen(name) == token->n && memcmp(name, token->text, token->n) == 0;
}

/* --- references --- */

static const char *const entities[][2] = {
        { "amp", "&" }, { "lt", "<" }, { "gt", ">" }, { "quot", "\"" }, { "apos", "'" },
};

/* XML 1.0, 2.2 Characters. */
static bool is_character(unsigned long c) {
        return c == '\t' || c == '\n' || c == '\r' || (c >= 0x20 && c <= 0xd7ff) ||
               (c >= 0xe000 && c <= 0xfffd) || (c >= 0x10000 && c <= 0x10ffff);
}

static int append_character(XmlName name, GString *out) {
        const bool hex = name.n > 1 && name.text[1] == 'x';
        const size_t skip = hex ? 2 : 1;
        g_autofree char *digits = g_strndup(name.text + skip, name.n - skip);
        const size_t n = strspn(digits, hex ? "0123456789abcdefABCDEF" : "0123456789");
        unsigned long c;

        if (n == 0 || n > 8 || digits[n])
                return -EBADMSG;
        c = strtoul(digits, NULL, hex ? 16 : 10);
        if (!is_character(c))
                return -EBADMSG;
        g_string_append_unichar(out, (gunichar) c);
        return 0;
}

/* name is what stands between '&' and ';'. */
static int append_reference(XmlName name, GString *out) {
        if (name.n > 1 && *name.text == '#')
                return append_character(name, out);
        for (size_t i = 0; i < G_N_ELEMENTS(entities); i++)
                if (same_name(name, (XmlName){ entities[i][0], strlen(entities[i][0]) })) {
                        g_string_append(out, entities[i][1]);
                        return 0;
                }
        return -EBADMSG;
}

static int append_text(const char *text, size_t n, GString *out) {
        const char *end = text + n, *and, *semicolon;

        while ((and = memchr(text, '&', (size_t) (end - text)))) {
                g_string_append_len(out, text, and-text);
                semicolon = memchr(and, ';', (size_t) (end - and));
                if (!semicolon ||
                    append_reference((XmlName){ and+1, (size_t) (semicolon - and-1) }, out) < 0)
                        return -EBADMSG;
                text = semicolon + 1;
        }
        g_string_append_len(out, text, end - text);
        return 0;
}

int xml_append(const XmlToken *token, GString *out) {
        if (!token->literal)
                return append_text(token->text, token->n, out);
        g_string_append_len(out, token->text, (gssize) token->n);
        return 0;
}

/* --- tags --- */

/* One attribute from *pos: 1, 0 when there are only spaces left, -EBADMSG. */
static int next_attribute(const char **pos, const char *end, XmlName *ret_name,
                          XmlName *ret_value) {
        const char *from = *pos, *quote;

        skip_spaces(pos, end);
        if (*pos == end)
                return 0;
        if (*pos == from)
                return -EBADMSG;
        *ret_name = take_name(pos, end);
        skip_spaces(pos, end);
        if (ret_name->n == 0 || *pos == end || *(*pos)++ != '=')
                return -EBADMSG;
        skip_spaces(pos, end);
        if (*pos == end || (**pos != '"' && **pos != '\''))
                return -EBADMSG;
        quote = memchr(*pos + 1, **pos, (size_t) (end - *pos - 1));
        if (!quote)
                return -EBADMSG;
        *ret_value = (XmlName){ *pos + 1, (size_t) (quote - *pos - 1) };
        *pos = quote + 1;
        return memchr(ret_value->text, '<', ret_value->n) ? -EBADMSG : 1;
}

int xml_attribute(const XmlToken *token, const char *name, GString *ret) {
        const char *pos = token->attributes, *end = pos + token->n_attributes;
        XmlName wanted = { name, strlen(name) }, found, value;
        int r;

        while ((r = next_attribute(&pos, end, &found, &value)) > 0)
                if (same_name(found, wanted)) {
                        g_string_truncate(ret, 0);
                        r = append_text(value.text, value.n, ret);
                        return r < 0 ? r : 1;
                }
        return r;
}

/* The '>' that ends a tag, or NULL: one inside a value does not. */
static const char *tag_end(const char *pos, const char *end) {
        for (; pos < end && *pos != '>'; pos++)
                if (*pos == '"' || *pos == '\'') {
                        pos = memchr(pos + 1, *pos, (size_t) (end - pos - 1));
                        if (!pos)
                                return NULL;
                }
        return pos < end ? pos : NULL;
}

/* What stands between the name and the '>' of a tag. */
static int check_attributes(XmlReader *x, const char *pos, const char *end) {
        XmlName name, value;
        int r;

        while ((r = next_attribute(&pos, end, &name, &value)) > 0)
                ;
        return r < 0 ? fail(x, r, "an attribute is not of the form name=\"value\"") : 0;
}

/* From behind '<'. */
static int take_open(XmlReader *x, XmlToken *ret) {
        XmlName name = take_name(&x->pos, x->end);
        const char *rest = x->pos, *close = tag_end(rest, x->end), *end;
        int r;

        if (name.n == 0)
                return fail(x, -EBADMSG, "'<' begins no element");
        if (!close)
                return fail(x, -EBADMSG, "the text ends inside a tag");
        x->pos = close + 1;
        x->empty = close > rest && close[-1] == '/';
        end = close - x->empty;
        r = check_attributes(x, rest, end);
        if (r < 0)
                return r;
        if (x->depth == 0 && x->has_root)
                return fail(x, -EBADMSG, "a second root element");
        if (x->depth == XML_DEPTH_MAX)
                return fail(x, -E2BIG,
                            "more than " G_STRINGIFY(XML_DEPTH_MAX) " elements inside each other");
        x->has_root = true;
        x->open[x->depth++] = name;
        *ret = (XmlToken){ .kind = XML_OPEN,
                           .text = name.text,
                           .n = name.n,
                           .attributes = rest,
                           .n_attributes = (size_t) (end - rest) };
        return 1;
}

static int close_element(XmlReader *x, XmlToken *ret) {
        XmlName name = x->open[--x->depth];

        *ret = (XmlToken){ .kind = XML_CLOSE, .text = name.text, .n = name.n };
        return 1;
}

/* From behind "</". */
static int take_close(XmlReader *x, XmlToken *ret) {
        XmlName name = take_name(&x->pos, x->end);

        skip_spaces(&x->pos, x->end);
        if (x->pos == x->end)
                return fail(x, -EBADMSG, "the text ends inside a tag");
        if (*x->pos++ != '>')
                return fail(x, -EBADMSG, "a closing tag has more than its name");
        if (x->depth == 0 || !same_name(name, x->open[x->depth - 1]))
                return fail(x, -EBADMSG, "an element is closed that is not the last one open");
        return close_element(x, ret);
}

/* "<!DOCTYPE …>", maybe with declarations in brackets, from behind its '<'. */
static int skip_declaration(XmlReader *x) {
        unsigned depth = 1;

        while (depth > 0 && x->pos < x->end) {
                char c = *x->pos++;
                const char *quote;

                if (c == '<') {
                        depth++;
                } else if (c == '>') {
                        depth--;
                } else if (c == '"' || c == '\'') {
                        quote = memchr(x->pos, c, (size_t) (x->end - x->pos));
                        x->pos = quote ? quote + 1 : x->end;
                }
        }
        return depth > 0 ? fail(x, -EBADMSG, "the text ends inside a declaration") : 0;
}

/* What begins with '<': 0 for what is passed over. */
static int take_markup(XmlReader *x, XmlToken *ret) {
        XmlName skipped;

        if (begins_with(x, "<!--")) {
                x->pos += 4;
                return take_until(x, "-->", &skipped)
                               ? 0
                               : fail(x, -EBADMSG, "the text ends inside a comment");
        }
        if (begins_with(x, "<?"))
                return take_until(x, "?>", &skipped)
                               ? 0
                               : fail(x, -EBADMSG, "the text ends inside an instruction");
        if (begins_with(x, "<![CDATA[") && x->depth > 0) {
                x->pos += 9;
                if (!take_until(x, "]]>", &skipped))
                        return fail(x, -EBADMSG, "the text ends inside a CDATA section");
                *ret = (XmlToken){
                        .kind = XML_TEXT, .literal = true, .text = skipped.text, .n = skipped.n
                };
                return 1;
        }
        if (begins_with(x, "</")) {
                x->pos += 2;
                return take_close(x, ret);
        }
        x->pos++;
        if (begins_with(x, "!DOCTYPE") && !x->has_root)
                return skip_declaration(x);
        return take_open(x, ret);
}

/* Up to the next '<'. Outside the root there is nothing but space. */
static int take_text(XmlReader *x, XmlToken *ret) {
        const char *from = x->pos, *next = memchr(from, '<', (size_t) (x->end - from));

        if (x->depth == 0) {
                skip_spaces(&x->pos, x->end);
                return x->pos < x->end && *x->pos != '<'
                               ? fail(x, -EBADMSG, "text outside the root element")
                               : 0;
        }
        x->pos = next ? next : x->end;
        if (!next)
                return fail(x, -EBADMSG, "the text ends inside an element");
        *ret = (XmlToken){ .kind = XML_TEXT, .text = from, .n = (size_t) (next - from) };
        return 1;
}

int xml_next(XmlReader *x, XmlToken *ret) {
        int r = 0;

        if (x->empty) {
                x->empty = false;
                return close_element(x, ret);
        }
        while (r == 0 && x->pos < x->end)
                r = *x->pos == '<' ? take_markup(x, ret) : take_text(x, ret);
        if (r != 0)
                return r;
        if (x->depth > 0)
                return fail(x, -EBADMSG, "the text ends inside an element");
        return x->has_root ? 0 : fail(x, -EBADMSG, "there is no element");
}
