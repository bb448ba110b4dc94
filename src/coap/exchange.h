/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Requests of the server: duplicates, blocks, and answers that come at once, later, or after an
 * empty ACK. */
#include "coap/link.h"

void exchange_receive(Link *l, Packet *p, uint64_t now_usec);
void exchange_respond(Exchange *x, const Message *response);
/* Acknowledges what has waited for so long that its answer will be separate; a timer's function. */
void exchange_on_ack_timer(void *userdata, uint64_t now_usec);
/* The link goes: what is open is only freed by its exchange_respond(). */
void exchange_orphan_all(Link *l);
