/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The libcoap side of a link: context, session, descriptor, and libcoap's callbacks. */
#include <sys/socket.h>

#include "coap/link.h"

void link_io_setup(void); /* once, before the first context */

/* Makes context and connected session; -EHOSTUNREACH … when no socket can be had for address. */
int link_io_open(Link *l, const struct sockaddr *address, socklen_t n);
void link_io_close(Link *l);
/* "address:port", for people. */
char *link_io_name_peer(const struct sockaddr *address, socklen_t n);
/* Whether the loop looks after it: messages that come, and libcoap's own timer. */
void link_io_watch(Link *l, bool on);
void link_io_find_socket(Link *l); /* anew, if libcoap may have taken another */
/* Takes back what libcoap still retransmits. Not from within libcoap's callbacks. */
void link_io_withdraw(Link *l);
