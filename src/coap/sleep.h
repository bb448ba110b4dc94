/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A link that rests in queue mode: TransportOps.busy_until, sleep and wake. */
#include "coap/link.h"

/* Something waits for an answer, an acknowledgement or an address. */
bool link_is_open(const Link *l);
uint64_t link_busy_until(const Link *l, uint64_t now_usec);
int link_sleep(Link *l, bool deaf, uint64_t now_usec);
void link_wake(Link *l);
