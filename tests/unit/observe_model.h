/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The rules of observation once more, slow and obvious, to hold the daemon against: everything is
 * looked up when it is needed, nothing is remembered but what the rules speak of. It shares no code
 * with src/.
 *
 * The device: two objects, of which instances come and go, with the values of leaves[] in
 * observe_model.c; all values are numbers here, text and Booleans too. Two servers, of LwM2M 1.2.
 * Times are milliseconds. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MODEL_SERVERS 2
#define MODEL_OBSERVATIONS 4 /* of one server: the most the fixture allows */
#define MODEL_PATHS 4        /* of one observation */
#define MODEL_INSTANCES 3
#define MODEL_NEVER INT64_MAX

typedef struct ModelPath {
        int id[4], n;
} ModelPath;

typedef enum ModelName { PMIN, PMAX, GT, LT, ST, EPMIN, EPMAX, EDGE, CON, MODEL_NAMES } ModelName;

typedef struct ModelAttributes {
        bool has[MODEL_NAMES];
        double value[MODEL_NAMES];
} ModelAttributes;

typedef enum ModelKind { KIND_FLOAT, KIND_INTEGER, KIND_TEXT, KIND_BOOLEAN } ModelKind;

typedef struct ModelLeaf {
        ModelPath path;
        ModelKind kind;
        bool asked; /* an application keeps the value */
} ModelLeaf;

typedef struct Model Model;

Model *model_new(void);
void model_free(Model *m);
extern const ModelLeaf model_leaves[];
extern const size_t model_n_leaves;
bool model_covers(const ModelPath *above, const ModelPath *p);

/* --- what happens --- */
void model_set_time(Model *m, int64_t now);
/* Changes between begin and commit are one transaction. Only what is possible may be asked for. */
void model_begin(Model *m);
void model_set(Model *m, size_t leaf, double value);
void model_unset(Model *m, size_t leaf);
void model_create(Model *m, int object, int instance);
void model_delete(Model *m, int object, int instance);
void model_commit(Model *m);
bool model_has(const Model *m, size_t leaf);
bool model_has_instance(const Model *m, int object, int instance);
void model_set_default(Model *m, int server, ModelName name, double value);
/* What the application would answer; fails: it would not. It answers when it is asked, at once. */
void model_app(Model *m, double value, bool fails);
/* The application sets its value in the tree, too, which says nothing but that it may have changed.
 */
void model_touch(Model *m, size_t leaf);
/* unset: names whose attribute is to go. Whether it is taken; nothing changes if not. */
bool model_write_attributes(Model *m, int server, const ModelPath *p, const ModelAttributes *set,
                            const bool unset[MODEL_NAMES]);
/* The answer: true, and the observation runs. One with the same token ends, unless the request is
 * refused for what it says. */
bool model_observe(Model *m, int server, int token, const ModelPath *paths, int n, bool composite,
                   const ModelAttributes *own);
void model_cancel(Model *m, int server, int token);
void model_link(Model *m, int server, bool up);
void model_hold(Model *m, bool hold);

/* --- what must come of it --- */
typedef struct ModelNotification {
        bool end; /* 4.04, and it is over */
        bool confirmable;
        size_t n;
        size_t leaf[64];
        double value[64];
} ModelNotification;

/* The next time at which something is to be sent, or to be looked at; MODEL_NEVER. */
int64_t model_next(const Model *m);
/* Asks the application where that is due; whether it was asked. To be called as soon as something
 * may be due, and again until it says false. */
bool model_evaluate(Model *m);
/* What is not worth a notification after all is forgotten. To be called when everything that
 * happens at a moment has happened. */
void model_look(Model *m);
/* Whether the observation has something to be sent now, and what. */
bool model_pending(const Model *m, int server, int token, ModelNotification *ret);
bool model_is_observed(const Model *m, int server, int token);
/* Whether another observation of the server waits for its turn, too, or had it just now. */
bool model_others_wait(const Model *m, int server, int token);
void model_sent(Model *m, int server, int token);   /* it is on its way */
void model_failed(Model *m, int server, int token); /* it could not be handed to the network */
void model_arrived(Model *m, int server, int token);
void model_lost(Model *m, int server, int token);  /* the way broke */
void model_ended(Model *m, int server, int token); /* timed out, or rejected */
