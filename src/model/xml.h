/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* XML (W3C Recommendation 1.0, fifth edition) token by token, as far as definitions need it: UTF-8,
 * elements, attributes, text, CDATA sections and the five references every document has, with those
 * to characters. Comments, instructions and a document type are passed over; nothing is declared by
 * it and nothing outside the text is read. What is passed over by the caller, too, is only looked
 * at as far as finding its end takes. Tokens point into the text, nothing is copied. */
#include <glib.h>
#include <stdbool.h>
#include <stddef.h>

#define XML_DEPTH_MAX 16 /* elements inside each other */

typedef enum XmlKind {
        XML_OPEN,  /* of an element; an empty one has an XML_CLOSE, too */
        XML_CLOSE, /* of the last one that is open */
        XML_TEXT,  /* between tags; may come in parts */
} XmlKind;

typedef struct XmlToken {
        XmlKind kind;
        bool literal;     /* XML_TEXT: a CDATA section, where '&' is a character like others */
        const char *text; /* the element's name, or the text as it stands */
        size_t n;
        const char *attributes; /* XML_OPEN: what follows the name */
        size_t n_attributes;
} XmlToken;

typedef struct XmlName {
        const char *text;
        size_t n;
} XmlName;

typedef struct XmlReader {
        const char *start, *pos, *end; /* borrowed */
        XmlName open[XML_DEPTH_MAX];
        unsigned depth;
        bool empty; /* the last XML_OPEN was of an empty element */
        bool has_root;
        const char *error; /* a static text, once xml_next() has failed */
} XmlReader;

/* -EBADMSG and x->error: the text is no UTF-8. A byte order mark is passed over. */
int xml_init(XmlReader *x, const char *text, size_t n);
/* 1 with the next token, 0 at the end of a whole document, -EBADMSG (not well-formed) and -E2BIG
 * (too deep) with x->error set. */
int xml_next(XmlReader *x, XmlToken *ret);
unsigned xml_line(const XmlReader *x, const char *at); /* of a place in the text, from 1 */
/* Appends the text of an XML_TEXT, references replaced. -EBADMSG: a reference that is none. */
int xml_append(const XmlToken *token, GString *out);
/* 1 and the value of an attribute of an XML_OPEN, 0 if it has none of that name, -EBADMSG. */
int xml_attribute(const XmlToken *token, const char *name, GString *ret);
bool xml_is(const XmlToken *token, const char *name); /* of an element */
