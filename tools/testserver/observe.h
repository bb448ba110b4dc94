/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Observations that clients hold for us, and the notifications that come. */
#include "rule.h"
#include "server.h"

typedef struct Observation {
        Server *server;
        Token token;
        Address peer;
        char *endpoint;
        char *path;      /* "" for a composite one */
        uint8_t method;  /* GET or FETCH */
        GArray *options; /* those of the request, to ask for later blocks and to cancel */
        GBytes *payload;
        cJSON *id;       /* of the command that made it */
        bool reset_next; /* answer the next notification with Reset and forget it */
} Observation;

Observation *observation_free(Observation *o);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Observation, observation_free)

/* Takes `o`; one with the same token and peer is replaced. */
void observe_begin(Server *s, Observation *o);
void observe_end(Server *s, const Token *token);

/* By token, or by endpoint and path when `token` is NULL. */
Observation *observe_find(Server *s, const Token *token, const char *endpoint, const char *path);

/* true when `m` was a notification; then it has been answered and reported. */
bool observe_on_response(Server *s, const Address *from, const Message *m, const Rule *rule);
