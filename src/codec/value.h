/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* One LwM2M value (TS Core 1.1.1, appendix C). 16 bytes; numbers need no allocation. Text and bytes
 * are owned by the value and always followed by a NUL that length does not count. */
#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum ValueType {
        VALUE_NONE = 0, /* no value: an empty instance, a path without one, null */
        VALUE_STRING,
        VALUE_INTEGER,  /* .i, signed 64 bits */
        VALUE_UNSIGNED, /* .u, 64 bits */
        VALUE_FLOAT,    /* .d */
        VALUE_BOOLEAN,  /* .b */
        VALUE_OPAQUE,   /* .data, length */
        VALUE_TIME,     /* .i, seconds since 1970-01-01 UTC, signed */
        VALUE_OBJLNK,   /* .link */
        VALUE_CORELNK,  /* .data, length: a list of RFC 6690 links */
        _VALUE_TYPE_MAX,
} ValueType;

typedef struct Value {
        union {
                int64_t i;
                uint64_t u;
                double d;
                bool b;
                struct {
                        uint16_t object, instance;
                } link; /* 65535/65535 is the null link */
                char *data;
        };
        uint32_t length;
        uint8_t type; /* ValueType */
} Value;

#define VALUE_INIT ((Value){ .type = VALUE_NONE })
#define VALUE_LENGTH_MAX (64U << 20)
#define VALUE_NUMBER_MAX 32 /* the longest text of a number with its NUL */

void value_clear(Value *v); /* wipes and frees; the value is VALUE_NONE afterwards */
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Value, value_clear)
Value value_steal(Value *v);
Value value_copy(const Value *v);
Value value_string(const char *text);
Value value_text(ValueType type, const void *data,
                 size_t n); /* STRING, OPAQUE or CORELNK; n <= VALUE_LENGTH_MAX */
bool value_equal(const Value *a, const Value *b); /* same type and content; NaN equals NaN */

/* Exact conversion: Integer, Unsigned and Time into each other and into Float when nothing is lost,
 * Float into them when it has no fraction and fits, everything into its own type, String and CoRE
 * link into each other. No text to number, no number to Boolean. -EINVAL for a pair that has no
 * conversion, -ERANGE for a value that would change. Strings must be valid UTF-8 without NUL. */
int value_convert(const Value *in, ValueType type, Value *ret);
/* Text form as in format text/plain (appendix C): exact, opaque as base64, link as "o:i", Boolean
 * as 0 or 1; beyond it "NaN", "Infinity" and "-Infinity". -EINVAL and -ERANGE as above. */
int value_parse(const char *text, ValueType type, Value *ret);
char *value_format(const Value *v);
/* The same for Integer, Unsigned, Float, Boolean, Time and link, without allocation: a short
 * text that reads back as the same number. Returns its length. */
size_t value_format_number(const Value *v, char buffer[static VALUE_NUMBER_MAX]);
const char *value_type_name(
        ValueType type); /* "Integer", "Unsigned Integer", … as OMA writes them */
