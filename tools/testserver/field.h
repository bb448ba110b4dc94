/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Fields of a JSON command. The getters trust the types: command.c has checked them. */
#include <cjson/cJSON.h>

#include "wire.h"

const char *field_string(const cJSON *o, const char *key); /* NULL when absent or no string */
double field_number(const cJSON *o, const char *key, double otherwise);
bool field_bool(const cJSON *o, const char *key, bool otherwise);

int field_parse_code(const char *text, uint8_t *ret);        /* "4.04" */
int field_parse_hex(const char *text, GBytes **ret);         /* an even number of digits */
int field_parse_token(const char *text, Token *ret);         /* up to 8 bytes of hex */
int field_parse_format(const cJSON *item, int *ret);         /* a number or a name */
int field_parse_options(const cJSON *list, GArray *options); /* [[number, value], …] appended */

/* The payload of a command: "payload" (text), "hex", "base64", "file" or {"fill": N}; NULL for
 * none. -EINVAL, or -ENOENT for a file that cannot be read. */
int field_payload(const cJSON *o, GBytes **ret);
