/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Messages to the server that somebody waits for: requests with their answers, notifications with
 * their acknowledgement, and separate answers. */
#include "coap/link_oscore.h"

int call_request(Link *l, const Message *request, ResponseFunc done, void *userdata, Call **ret);
int call_notify(Link *l, const Message *notification, NotifyFunc done, void *userdata, Call **ret);
/* A confirmable answer nobody waits for; its message id is filled in, and it is protected when it
 * goes out. -ENOBUFS: queue full. */
int call_send(Link *l, const OscoreReply *oscore, const uint8_t *bytes, size_t n);
void call_cancel(Call *c);
void call_free_all(Link *l);

/* A response from the server; false when it answers nothing we asked. */
bool call_receive(Link *l, Packet *p, uint64_t now_usec);
/* Puts the next item on the wire, if it may be; sets the link's fate if that fails. True if one
 * went. */
bool call_send_next(Link *l);
/* The current item is off the wire. */
void call_settle_current(Link *l, Fate fate, uint64_t now_usec);
/* Runs the callbacks of finished calls. */
void call_run_finished(Link *l, uint64_t now_usec);
