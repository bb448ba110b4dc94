/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The local end of a link's socket: address, port and socket options.
 *
 * A link over which the server was heard leaves its port and message ids to the next one to the
 * same server, also over a restart of the daemon: without security that server knows us by address
 * and port, and what it observes would end with them (RFC 7641, section 3.6). */
#include "coap/link.h"

typedef struct LocalPorts LocalPorts; /* of closed links, by Short Server ID */

LocalPorts *local_ports_new(void);
LocalPorts *local_ports_free(LocalPorts *p);

void local_set(Link *l, const SocketOptions *options); /* copied */
void local_clear(Link *l);

LinkPlace local_place(const Link *l);
/* Of an earlier process; one of this process goes before. */
void local_take_place(Link *l, const LinkPlace *place);
/* What to bind the socket to. 1; 0: to nothing in particular; or why there is nothing: -ENODEV,
 * -EADDRNOTAVAIL, -EAFNOSUPPORT, with words in l->socket_error_text. */
int local_address(Link *l, const struct sockaddr *remote, coap_address_t *ret);
void local_clear_port(coap_address_t *a); /* any will do */
/* Sets the options of the session's socket, before anything is sent where that is possible. The
 * error goes to l->socket_error as well. */
int local_apply(Link *l, const coap_session_t *session);
int local_apply_to(Link *l, int fd, int family); /* of a socket of ours */
/* The session is there: goes on with the message ids of the link before, and forgets them. */
void local_connected(Link *l);
/* The session goes on after message id mid: a server takes one of the same port, seen within
 * EXCHANGE_LIFETIME, for a repetition. */
void local_continue(Link *l, uint16_t mid);
bool local_forget_port(Link *l); /* it cannot be had; true if there was one */
/* The link is about to be closed. */
void local_keep(Link *l);
