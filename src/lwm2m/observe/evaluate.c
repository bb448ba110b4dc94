/* SPDX-License-Identifier: Apache-2.0 */
#include "lwm2m/observe/evaluate.h"

#include "lwm2m/dm/operation.h"

struct Evaluation {
        Operation *operation; /* NULL while the answer is handed out */
        GPtrArray *members;   /* of Observation */
};

typedef struct Joining {
        Evaluation *evaluation;
        const Observation *first;
        uint64_t now_usec;
} Joining;

static void evaluation_free(Evaluation *e) {
        operation_free(e->operation);
        g_ptr_array_unref(e->members);
        g_free(e);
}

static void add(Evaluation *e, Observation *o) {
        g_ptr_array_add(e->members, o);
        o->evaluation = e;
        o->asked = o->pending;
        o->pending = PENDING_NONE; /* a change from here on is a new one */
}

static void on_answers(Operation *operation, void *state, int error, const char *text,
                       const RecordList *records, uint64_t now_usec) {
        Evaluation *e = state;

        e->operation = NULL;
        while (e->members->len > 0) {
                Observation *o = g_ptr_array_steal_index(e->members, 0);

                o->evaluation = NULL;
                notify_on_evaluated(o, error, records, now_usec);
        }
        operation_free(operation); /* and the records with it */
        evaluation_free(e);
}

static bool is_due(Observation *o, uint64_t now_usec) {
        observation_refresh(o);
        if (timing_due(&o->periods, &o->moments, o->pending, o->elsewhere) <= now_usec)
                return true;
        return o->elsewhere && o->periods.epmax > 0 && o->pending == PENDING_NONE &&
               timing_may_ask(&o->periods, &o->moments, now_usec);
}

/* Servers with rights of their own may not read the same. */
static bool may_read_the_same(const Observation *a, const Observation *b) {
        return a->peer == b->peer || !access_is_enforced(a->observer->dm->access);
}

static void on_same_path(void *userdata, void *thing) {
        const Joining *j = userdata;
        Observation *o = thing;

        if (o->target.composite || !may_read_the_same(o, j->first) || !o->established || o->call ||
            o->evaluation || !peer_is_there(o->peer))
                return;
        if (is_due(o, j->now_usec))
                add(j->evaluation, o);
}

void evaluate(Observation *o, const GArray *ask, uint64_t now_usec) {
        const DmConfig *config = &o->observer->dm->config;
        const AppContext context = { .ssid = o->peer->ssid };
        Evaluation *e = g_new(Evaluation, 1);

        *e = (Evaluation){ .members = g_ptr_array_new() };
        add(e, o);
        if (!o->target.composite)
                path_index_at(o->observer->index, &o->target.paths[0], on_same_path,
                              &(Joining){ .evaluation = e, .first = o, .now_usec = now_usec });
        e->operation = operation_new_silent(o->observer->dm, NULL, on_answers, e);
        operation_wait(e->operation,
                       config->apps->read(config->apps_userdata,
                                          (const Path *) (const void *) ask->data, ask->len,
                                          &context, operation_done, e->operation));
}

void evaluation_leave(Observation *o) {
        Evaluation *e = g_steal_pointer(&o->evaluation);

        if (!e)
                return;
        o->pending = MAX(o->pending, o->asked);
        g_ptr_array_remove(e->members, o);
        if (e->members->len == 0 && e->operation)
                evaluation_free(e);
}
