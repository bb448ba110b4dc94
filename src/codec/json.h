/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* JSON (RFC 8259) token by token, for the two formats built on it. cJSON cannot keep what they
 * promise: it turns every number into a double, which loses integers above 2^53, accepts duplicate
 * names and bytes that are not UTF-8, ends strings at \u0000, and builds its whole tree before a
 * limit could be checked. */
#include <glib.h>
#include <stdbool.h>

#include "codec/reader.h"

typedef enum JsonKind {
        JSON_OBJECT,
        JSON_ARRAY,
        JSON_STRING,
        JSON_NUMBER,
        JSON_TRUE,
        JSON_FALSE,
        JSON_NULL,
} JsonKind;

typedef struct Json {
        Reader in;
        GString *scratch; /* of strings with escapes */
        unsigned depth;   /* levels that may still be opened */
} Json;

void json_init(Json *j, const void *data, size_t n, unsigned depth);
void json_clear(Json *j);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Json, json_clear)

/* What comes next; -EBADMSG, here and below, for malformed bytes. */
int json_peek(Json *j, JsonKind *ret);
/* The array that comes next, or the object, whose members have a name: item() reads each value, and
 * ends it all with an error. -E2BIG when it is too deep. The name is valid until the next string is
 * read. */
typedef int (*JsonItem)(void *userdata, Json *j, const char *name, size_t n_name);
int json_array(Json *j, JsonItem item, void *userdata);
int json_object(Json *j, JsonItem item, void *userdata);
int json_string(Json *j, const char **ret, size_t *ret_n); /* valid until the next one is read */
/* The text of a number, within the input. Its form is checked by number_parse(). */
int json_number(Json *j, const char **ret, size_t *ret_n);
int json_literal(Json *j); /* true, false or null */
int json_skip(Json *j);    /* any value */
int json_end(Json *j);     /* nothing but space is left */

void json_put_string(GByteArray *out, const void *data, size_t n); /* with its quotes; UTF-8 */
