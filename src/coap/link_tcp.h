/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A link over TCP (RFC 8323) on a socket of our own: connection, signalling, and whole messages in
 * and out. libcoap has no part in it: its stream code waits for a silent peer within
 * coap_new_pdu(), reads messages as long as the peer says they are, and shows neither Pong nor
 * Release.
 *
 * Nothing is retransmitted or acknowledged here. A confirmable notification counts as delivered
 * when the Pong to a Ping behind it has come: the server has read all up to there then, which the
 * socket alone does not tell. */
#include "coap/link.h"

/* Goes on over a connected socket, taken over, to l->address. */
void link_tcp_begin(Link *l, int fd);
/* Tells the server, as far as that goes without waiting, and closes. */
Tcp *link_tcp_free(Link *l);
Tcp *link_tcp_new(Link *l);
/* TLS over it; everything is read that the handshake needs. Errors as security_new(). */
int link_tcp_secure(Link *l, const LinkConfig *config, const char *host, uint16_t port,
                    char **ret_error);

bool link_tcp_is_up(const Link *l); /* the server's CSM is here, and the connection has not ended */
/* Takes a message as packet_write() made it; an empty one means nothing here. 0: it is on its way,
 * unless the connection breaks, which ends the link. -ENOBUFS: too much waits, or the server takes
 * no messages of this size: -EMSGSIZE. */
int link_tcp_transmit(Link *l, const uint8_t *message, size_t n);
/* The message sent last is wanted to be confirmed. */
void link_tcp_confirm(Link *l);
bool link_tcp_is_confirmed(const Link *l); /* true when nothing is waited for */
void link_tcp_forget(Link *l);             /* nobody waits for the confirmation any more */
/* Tells the owner of a connection that has ended; it may close the link. */
void link_tcp_settle(Link *l, uint64_t now_usec);
void link_tcp_rest(Link *l, bool asleep); /* its timers, in queue mode */

/* What the server has said it can; of a link that is up. */
size_t link_tcp_message_max(const Link *l); /* bytes of a message to it */
bool link_tcp_has_blocks(const Link *l);    /* its CSM says so, or it has used them */
bool link_tcp_has_bert(const Link *l);
/* An answer could not be handed over (link_tcp_transmit()'s error): ends the connection. */
void link_tcp_overrun(Link *l, int error);
