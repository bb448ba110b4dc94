/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The client registration and information reporting interfaces, seen from the server: Register,
 * Update, De-register and Send. Other requests are reported and answered by rules. */
#include "rule.h"
#include "server.h"

/* What a request is, by method and path; fills `params` with its query, "path" and "ep". */
const char *registry_kind(Server *s, const Address *from, const Message *m, cJSON *params);

void registry_on_request(Server *s, const Address *from, const Message *m, const char *kind,
                         const cJSON *params, const Rule *rule);

void registry_forget(Server *s, Registration *reg);
void registry_init(Server *s);
void registry_clear(Server *s);
