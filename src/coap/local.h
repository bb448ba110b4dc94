/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The local end of a link's socket. A link that is closed in its sleep (queue mode) leaves its port
 * and message ids to the next one to the same server: without security that server knows us by
 * address and port, and what it observes would end with them (RFC 7641, section 3.6). */
#include "coap/link.h"

typedef struct LocalPorts LocalPorts; /* of closed links, by Short Server ID */

LocalPorts *local_ports_new(void);
LocalPorts *local_ports_free(LocalPorts *p);

/* The link is about to be closed. */
void local_keep(Link *l);
/* What to bind the socket to; false: to nothing in particular. */
bool local_address(const Link *l, const struct sockaddr *remote, coap_address_t *ret);
/* The session is there: goes on with the message ids, and forgets what was kept. */
void local_connected(Link *l);
