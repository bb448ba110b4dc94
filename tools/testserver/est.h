/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The EST side of the tool (RFC 9148): /crts, /att, /sen and /sren below /.well-known/est, answered
 * with certificates that OpenSSL signs; or with what a hostile server sends. */
#include "inbound.h"

typedef struct Est Est;

/* The command "est": its authority, and how it answers. */
int est_run(Server *s, const cJSON *command, cJSON *answer, char **ret_error);
Est *est_free(Est *e);

/* Whether it is a request for it. `reply->options` is there; the block of the request, if any, is
 * told of in it. Adds to the event what a request for a certificate has. */
bool est_answer(Server *s, const Address *from, const Message *m, const char *path, GBytes *body,
                Reply *reply, cJSON *event);
