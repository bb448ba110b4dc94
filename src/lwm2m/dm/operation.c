/* SPDX-License-Identifier: Apache-2.0 */
#include "lwm2m/dm/operation.h"

#include <errno.h>

struct Operation {
        Dm *dm;
        Peer *peer; /* NULL: local */
        Responder to;
        AppDone done; /* local: whom to tell; NULL otherwise */
        void *userdata;
        OperationStep step;
        void *state;
        GDestroyNotify free_state;
        AppCall *call;
        bool pending, prepare; /* call has not been answered; call is a prepare() */
        bool counted;
        int deferred_error;
        Timer *timer;
        GList node; /* in Dm.operations */
};

static int add(Dm *dm, bool counted, OperationStep step, void *state, GDestroyNotify free_state,
               Operation **ret) {
        Operation *o;

        if (counted && dm->n_counted >= dm->config.operations_max)
                return -EUSERS;
        o = g_new(Operation, 1);
        *o = (Operation){
                .dm = dm,
                .step = step,
                .state = state,
                .free_state = free_state,
                .counted = counted,
        };
        o->node.data = o;
        g_queue_push_tail_link(&dm->operations, &o->node);
        dm->n_counted += counted;
        *ret = o;
        return 0;
}

int operation_new(Dm *dm, Peer *peer, Responder *to, OperationStep step, void *state,
                  GDestroyNotify free_state, Operation **ret) {
        int r;

        r = add(dm, true, step, state, free_state, ret);
        if (r < 0)
                return r;
        (*ret)->peer = peer;
        (*ret)->to = *to;
        to->exchange = NULL;
        return 0;
}

int operation_new_local(Dm *dm, AppDone done, void *userdata, OperationStep step, void *state,
                        GDestroyNotify free_state, Operation **ret) {
        int r;

        r = add(dm, true, step, state, free_state, ret);
        if (r < 0)
                return r;
        (*ret)->done = done;
        (*ret)->userdata = userdata;
        return 0;
}

Operation *operation_new_silent(Dm *dm, Peer *peer, OperationStep step, void *state) {
        Operation *o = NULL;

        add(dm, false, step, state, NULL, &o);
        o->peer = peer;
        return o;
}

static void release_call(Operation *o) {
        const AppOps *apps = o->dm->config.apps;
        AppCall *call = g_steal_pointer(&o->call);

        if (!call)
                return;
        if (o->pending)
                apps->cancel(call);
        else if (o->prepare)
                apps->finish(call, false);
}

Operation *operation_free(Operation *o) {
        if (!o)
                return NULL;
        release_call(o);
        g_queue_unlink(&o->dm->operations, &o->node);
        o->dm->n_counted -= o->counted;
        timer_free(o->timer);
        if (o->free_state)
                o->free_state(o->state);
        if (o->to.exchange)
                responder_fail(&o->to, -ECANCELED, NULL);
        if (o->done)
                o->done(o->userdata, -ECANCELED, NULL, NULL, 0);
        g_free(o);
        return NULL;
}

void operation_disband(Operation *o, Responder *to) {
        to->exchange = g_steal_pointer(&o->to.exchange);
        o->free_state = NULL;
        operation_free(o);
}

void operation_forget(Operation *o) {
        o->done = NULL;
        operation_free(o);
}

void operation_done(void *userdata, int error, const char *text, const RecordList *records,
                    uint64_t now_usec) {
        Operation *o = userdata;

        o->pending = false;
        if (error < 0 || !o->prepare)
                o->call = NULL; /* it is over; only a prepare() that succeeded waits for finish() */
        o->step(o, o->state, error, text, records, now_usec);
}

void operation_wait(Operation *o, AppCall *call) {
        o->call = call;
        o->pending = true;
        o->prepare = false;
}

void operation_wait_prepare(Operation *o, AppCall *call) {
        operation_wait(o, call);
        o->prepare = true;
}

void operation_finish(Operation *o, bool commit) {
        AppCall *call = g_steal_pointer(&o->call);

        if (call)
                o->dm->config.apps->finish(call, commit);
}

static void on_deferred(void *userdata, uint64_t now_usec) {
        Operation *o = userdata;

        o->step(o, o->state, o->deferred_error, NULL, NULL, now_usec);
}

void operation_defer(Operation *o, int error) {
        o->deferred_error = error;
        if (!o->timer)
                o->timer = timer_new(o->dm->config.timers, on_deferred, o);
        timer_arm(o->timer, 0);
}

void operation_respond(Operation *o, const Message *response) {
        if (o->to.exchange)
                responder_send(&o->to, response);
        operation_free(o);
}

/* The callback may come back into dm, so that it must not find a callback to run again. */
static void end_local(Operation *o, int error, const char *text, const RecordList *records,
                      uint64_t now_usec) {
        AppDone done = o->done;
        void *userdata = o->userdata;

        o->done = NULL;
        done(userdata, error, text, records, now_usec);
        operation_free(o);
}

void operation_fail(Operation *o, int error, const char *text, uint64_t now_usec) {
        if (o->to.exchange)
                responder_fail(&o->to, error, text);
        if (o->done)
                end_local(o, error, text, NULL, now_usec);
        else
                operation_free(o);
}

void operation_deliver(Operation *o, const RecordList *records, uint64_t now_usec) {
        end_local(o, 0, NULL, records, now_usec);
}

Responder *operation_responder(Operation *o) {
        return &o->to;
}

void operation_drop_peer(Dm *dm, const Peer *peer) {
        GList *i = dm->operations.head;

        while (i) {
                Operation *o = i->data;

                i = i->next;
                if (o->peer == peer)
                        operation_free(o);
        }
}
