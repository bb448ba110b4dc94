/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The asynchronous part of a request: while applications are asked, an Operation keeps whom to
 * answer and what to do next. It ends by operation_respond() or operation_fail(), or is freed
 * without a word. */
#include "lwm2m/dm/dm_internal.h"

/* The application has answered (see AppDone). Must end o, or hand another call to operation_wait().
 */
typedef void (*OperationStep)(Operation *o, void *state, int error, const char *text,
                              const RecordList *records, uint64_t now_usec);

/* Takes to->exchange over, and state. -EUSERS: too many operations wait; nothing was taken. */
int operation_new(Dm *dm, Peer *peer, Responder *to, OperationStep step, void *state,
                  GDestroyNotify free_state, Operation **ret);
/* One that answers by a callback instead: local requests over D-Bus. */
int operation_new_local(Dm *dm, AppDone done, void *userdata, OperationStep step, void *state,
                        GDestroyNotify free_state, Operation **ret);
/* One that answers nobody, for notifications; not bounded by operations_max. */
Operation *operation_new_silent(Dm *dm, Peer *peer, OperationStep step, void *state);
/* Nobody had to be asked: gives the exchange back and leaves state to the caller. */
void operation_disband(Operation *o, Responder *to);
void operation_forget(Operation *o); /* local: frees it without running its callback */
Operation *operation_free(
        Operation *o); /* withdraws its call; whoever waits for an answer gets 5.03 */

/* To be handed to AppOps together with o. */
void operation_done(void *userdata, int error, const char *text, const RecordList *records,
                    uint64_t now_usec);
void operation_wait(Operation *o, AppCall *call);
/* The call is a prepare(): after success it stays and must be finished. */
void operation_wait_prepare(Operation *o, AppCall *call);
void operation_finish(Operation *o, bool commit);
/* Local: runs step with error at the next turn of the timer queue. */
void operation_defer(Operation *o, int error);

void operation_respond(Operation *o, const Message *response);
void operation_fail(Operation *o, int error, const char *text, uint64_t now_usec);
void operation_deliver(Operation *o, const RecordList *records, uint64_t now_usec); /* local */
Responder *operation_responder(Operation *o);
void operation_drop_peer(Dm *dm, const Peer *peer); /* frees all operations of the peer */
