/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A link with (D)TLS: tells its owner when the handshake is over or has failed, and why, and finds
 * out when the server has lost the session, of which nothing else tells: to a server without it our
 * records are noise. */
#include "coap/link.h"

/* A Secure for l, with everything read that the handshake needs; errors as security_new(). */
int link_secure_new(Link *l, const LinkConfig *config, const char *host, char **ret_error);
Secure *link_secure_free(Secure *s); /* after the session's release */

coap_session_t *link_secure_connect(Link *l, const coap_address_t *local /* may be NULL */,
                                    const coap_address_t *remote);
void link_secure_connected(Link *l); /* the session is set up */
/* May call the owner, who may close the link. */
void link_secure_settle(Link *l, uint64_t now_usec);
/* After messages were sent: starts or ends the wait for a sign of the server. */
void link_secure_watch(Link *l, uint64_t now_usec);
bool link_secure_is_open(const Link *l); /* messages may be sent; true without security */

/* For peek: as security_is_sound(), security_look() and security_take(), and a sign of life. */
bool link_secure_is_sound(const Link *l, const uint8_t *datagram, size_t n);
size_t link_secure_look(Link *l, const uint8_t *datagram, size_t n, uint8_t *head, size_t n_head);
size_t link_secure_take(Link *l, uint8_t *buffer, size_t n_buffer);
bool link_secure_is_opaque(const Link *l); /* nothing can be seen there */
void link_secure_note_message(Link *l);    /* libcoap has handed one over */
/* A datagram was dropped, or is nothing that the session waits for. */
void link_secure_note_dropped(Link *l, uint64_t now_usec);
void link_secure_note_refused(Link *l); /* an ICMP error came back */
