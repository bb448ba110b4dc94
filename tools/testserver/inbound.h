/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Every datagram that arrives: told apart, de-duplicated, matched and answered. */
#include "rule.h"
#include "server.h"

typedef struct Reply {
        uint8_t code;
        GArray *options; /* may be NULL */
        GBytes *payload; /* may be NULL */
} Reply;

/* One message as a datagram. */
void inbound_take(Server *s, const Address *from, const uint8_t *data, size_t length);
gboolean inbound_on_readable(int fd, GIOCondition condition, void *userdata);

/* ACK or Reset, remembered for retransmissions of `m`. */
void inbound_answer_empty(Server *s, const Address *to, const Message *m, WireType type,
                          const Rule *rule);

/* Answers the request `m` as `rule` (may be NULL) wants it; returns the code sent, or 0 when the
 * rule says that nothing is. */
uint8_t inbound_reply(Server *s, const Address *to, const Message *m, const Reply *reply,
                      const Rule *rule);

void inbound_clear(Server *s);
