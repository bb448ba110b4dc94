/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What the tool prints: one JSON object a line. "t" is CLOCK_MONOTONIC in microseconds. */
#include <cjson/cJSON.h>

#include "wire.h"

/* Bodies up to this size are printed; of larger ones the length and SHA-256 are. */
#define REPORT_INLINE_MAX 16384U

cJSON *report_event(const char *name);
void report_message(cJSON *o, const Message *m);           /* type, mid, token, code, the options */
int report_body(cJSON *o, GBytes *body, const char *file); /* `file` may be NULL */
void report_hex(cJSON *o, const char *key, const uint8_t *data, size_t length);
void report_token(cJSON *o, const Token *token);
void report_code(cJSON *o, const char *key, uint8_t code);
void report_print(cJSON *o); /* takes `o` */
