/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The Sends that wait for one server, or are on their way to it: one request at a time, in the
 * order they came. A Send waits while the server is not registered, asleep in queue mode (unless it
 * must go now), or notifications are held. A request that is lost with its connection is sent again
 * after the next registration; one without an answer after the server has answered an Update, a
 * second time. Whatever happens, a Send ends at its deadline. */
#include "lwm2m/send/send_source.h"

typedef enum SendResult { /* the worst last */
                          SEND_ACKED,
                          SEND_MUTED,          /* 1/x/23 */
                          SEND_NOT_SUPPORTED,  /* LwM2M 1.0, or a format that is not in 1.1 */
                          SEND_NOT_REGISTERED, /* when it was asked for */
                          SEND_TIMEOUT,        /* no answer, or the deadline */
                          SEND_REFUSED,        /* see code */
                          SEND_DENIED,         /* the server may not read it */
                          SEND_FULL,           /* too many wait for this server already */
                          SEND_GONE,           /* the account was removed, or the daemon ends */
                          SEND_FAILED,         /* here: no value, nothing that can be sent */
} SendResult;
const char *send_result_name(SendResult r); /* "acked", "muted", … */

/* text may be NULL: the server's diagnostic, or what failed. */
typedef void (*SendTaskDone)(void *userdata, SendResult result, uint8_t code, const char *text,
                             uint64_t now_usec);

SendQueue *send_queue_new(Peer *peer);
SendQueue *send_queue_free(SendQueue *q); /* what waits ends with SEND_GONE */

/* -EDQUOT: the queue is full. done runs once, never inside. now: also while the server sleeps. */
int send_queue_add(SendQueue *q, SendContent *content, bool now, uint64_t deadline_usec,
                   SendTaskDone done, void *userdata, SendTask **ret);
bool send_queue_has_room(const SendQueue *q, size_t bytes);
/* Nobody waits for the result; done does not run. What is on its way cannot be called back. */
void send_task_drop(SendTask *t);

void send_queue_link_changed(SendQueue *q);
void send_queue_presence_changed(SendQueue *q);
void send_queue_confirmed(SendQueue *q); /* the server has answered a Register or an Update */
void send_queue_look(SendQueue *q);      /* soon: a hold ended */
size_t send_queue_length(const SendQueue *q);
