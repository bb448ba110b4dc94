/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Rules say how messages of a kind are answered. The first that fits and has times left is used;
 * without one the tool behaves as a plain server. */
#include "server.h"

typedef struct Rule {
        char *on; /* register, update, deregister, send, bootstrap, request, notify, response, any
                   */
        cJSON *match; /* query parameter or "path" -> text; NULL fits all */
        int times;    /* uses left, -1 for always */
        bool drop;    /* as if the datagram had been lost: a retransmission is looked at again */
        bool silent;  /* taken but never answered, retransmissions neither */
        bool reset;
        bool separate; /* empty ACK now, the answer confirmable after delay_ms */
        int code;      /* -1: the usual one */
        unsigned delay_ms, copies;
        int max_age; /* seconds; -1 for none */
        char *payload;
        int format; /* -1 for none */
        char *location;
} Rule;

/* Reads a "rule" command; `*ret_error` is a text for its sender. */
int rule_parse(const cJSON *command, Rule **ret, char **ret_error);
Rule *rule_free(Rule *rule);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Rule, rule_free)

/* `params` are the message's query parameters with "ep" and "path" added; NULL without. Counts. */
const Rule *rule_find(Server *s, const char *on, const cJSON *params);
