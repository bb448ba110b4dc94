/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Values of LwM2M as they stand in JSON, for both formats. Each function reads the one token that
 * must come next; -EBADMSG for any other, and for text that does not decode. */
#include "codec/json.h"
#include "codec/value.h"

int json_read_text(Json *j, Value *ret);
int json_read_bool(Json *j, Value *ret);
int json_read_opaque(Json *j, bool url, Value *ret); /* base64, see base64.h */
int json_read_link(Json *j, Value *ret);             /* "o:i" */
int json_read_time(Json *j, int64_t *ret_ns);        /* a number of seconds */

void json_put(GByteArray *out, const char *text); /* as it is */
/* -ENOTSUP for a Float that JSON cannot carry. */
int json_put_value(GByteArray *out, const Value *v, bool url);
