/* SPDX-License-Identifier: Apache-2.0 */
#include "observe_model.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define RETRY 30000
#define DAY (24 * 3600 * 1000)

#define INSTANCE_LEAVES(i)                                                                         \
        { { { 33002, i, 0 }, 3 }, KIND_FLOAT, false },                                             \
                { { { 33002, i, 1 }, 3 }, KIND_INTEGER, false },                                   \
                { { { 33002, i, 2 }, 3 }, KIND_TEXT, false },                                      \
                { { { 33002, i, 3 }, 3 }, KIND_BOOLEAN, false },                                   \
                { { { 33002, i, 4, 0 }, 4 }, KIND_FLOAT, false },                                  \
                { { { 33002, i, 4, 1 }, 4 }, KIND_FLOAT, false }, {                                \
                { { 33002, i, 4, 2 }, 4 }, KIND_FLOAT, false                                       \
        }

const ModelLeaf model_leaves[] = {
        { { { 3303, 0, 5700 }, 3 }, KIND_FLOAT, false },
        { { { 3303, 1, 5700 }, 3 }, KIND_FLOAT, false },
        { { { 3303, 2, 5700 }, 3 }, KIND_FLOAT, false },
        INSTANCE_LEAVES(0),
        INSTANCE_LEAVES(1),
        INSTANCE_LEAVES(2),
        { { { 33003, 0, 0 }, 3 }, KIND_FLOAT, true },
        { { { 33003, 0, 1 }, 3 }, KIND_FLOAT, false },
};
const size_t model_n_leaves = sizeof(model_leaves) / sizeof(model_leaves[0]);
#define LEAVES (sizeof(model_leaves) / sizeof(model_leaves[0]))

typedef enum Reason { NOTHING, CHANGED, NEWS } Reason;

typedef struct Values {
        bool has[LEAVES];
        double value[LEAVES];
} Values;

typedef struct Observation {
        bool runs, composite;
        int server, n;
        ModelPath path[MODEL_PATHS];
        ModelAttributes own;
        int64_t told, evaluated, asked, confirmed, retry; /* when */
        Values server_has;                                /* what it was told last … */
        bool known;                                       /* … unless that may be lost */
        bool remembered[LEAVES]; /* conditions need to know what was told of it, and do */
        bool seen[LEAVES];       /* of edge: the value looked at last */
        Reason reason;
        bool concerned[MODEL_PATHS]; /* what reason is about */
        bool path_deleted;           /* perhaps only for a moment */
        bool on_way, on_way_confirmable;
        bool to_send; /* the application was asked in this moment, and its answer is news */
} Observation;

typedef struct Written {
        int server;
        ModelPath path;
        ModelAttributes attributes;
} Written;

struct Model {
        int64_t now;
        Values now_has, before;
        bool instance[2][MODEL_INSTANCES], instance_before[2][MODEL_INSTANCES];
        double app;
        bool app_fails;
        double defaults[MODEL_SERVERS][MODEL_NAMES]; /* 0 is none */
        bool up[MODEL_SERVERS], hold;
        Written *written;
        size_t n_written;
        Observation observation[MODEL_SERVERS][MODEL_OBSERVATIONS];
};

static void event(Model *m, Observation *o, Reason reason, const ModelPath *at, bool below);

/* --- paths and values --- */
bool model_covers(const ModelPath *above, const ModelPath *p) {
        if (above->n > p->n)
                return false;
        for (int i = 0; i < above->n; i++)
                if (above->id[i] != p->id[i])
                        return false;
        return true;
}

static bool same(const ModelPath *a, const ModelPath *b) {
        return a->n == b->n && model_covers(a, b);
}

static ModelPath cut(const ModelPath *p, int n) {
        ModelPath r = { { 0 }, n };

        for (int i = 0; i < n; i++)
                r.id[i] = p->id[i];
        return r;
}

static int object_index(int object) {
        return object == 3303 ? 0 : 1;
}

static bool *instance_at(const Model *m, int object, int instance) {
        return &((Model *) m)->instance[object_index(object)][instance];
}

/* What a read of the leaf gives. */
static bool get(const Model *m, size_t leaf, double *ret) {
        if (model_leaves[leaf].asked) {
                *ret = m->app;
                return true;
        }
        *ret = m->now_has.value[leaf];
        return m->now_has.has[leaf];
}

static bool covers_leaf(const Observation *o, size_t leaf) {
        for (int i = 0; i < o->n; i++)
                if (model_covers(&o->path[i], &model_leaves[leaf].path))
                        return true;
        return false;
}

static Values read_all(const Model *m, const Observation *o) {
        Values v;

        memset(&v, 0, sizeof(v));
        for (size_t i = 0; i < LEAVES; i++) {
                double d;

                if (covers_leaf(o, i) && get(m, i, &d)) {
                        v.has[i] = true;
                        v.value[i] = d;
                }
        }
        return v;
}

static bool is_empty(const Values *v) {
        for (size_t i = 0; i < LEAVES; i++)
                if (v->has[i])
                        return false;
        return true;
}

static bool equal(const Values *a, const Values *b) {
        for (size_t i = 0; i < LEAVES; i++)
                if (a->has[i] != b->has[i] || (a->has[i] && a->value[i] != b->value[i]))
                        return false;
        return true;
}

/* --- attributes --- */
static ModelAttributes *written_at(const Model *m, int server, const ModelPath *p) {
        for (size_t i = 0; i < m->n_written; i++)
                if (m->written[i].server == server && same(&m->written[i].path, p))
                        return &m->written[i].attributes;
        return NULL;
}

static void lay_over(ModelAttributes *a, const ModelAttributes *top) {
        for (int i = 0; top && i < MODEL_NAMES; i++)
                if (top->has[i]) {
                        a->has[i] = true;
                        a->value[i] = top->value[i];
                }
}

/* In effect at p: of the server, the object, the instance, the resource, the resource instance. */
static ModelAttributes in_effect(const Model *m, int server, const ModelPath *p) {
        ModelAttributes a;

        memset(&a, 0, sizeof(a));
        for (int i = 0; i < MODEL_NAMES; i++)
                if (m->defaults[server][i] > 0) {
                        a.has[i] = true;
                        a.value[i] = m->defaults[server][i];
                }
        for (int n = 1; n <= p->n; n++) {
                const ModelPath level = cut(p, n);

                lay_over(&a, written_at(m, server, &level));
        }
        return a;
}

static bool has_conditions(const ModelAttributes *a) {
        return a->has[GT] || a->has[LT] || a->has[ST] || a->has[EDGE];
}

/* Of a leaf, for an observation: false if there are none. */
static bool conditions(const Model *m, const Observation *o, size_t leaf, ModelAttributes *ret) {
        *ret = in_effect(m, o->server, &model_leaves[leaf].path);
        lay_over(ret, &o->own);
        return has_conditions(ret);
}

static ModelAttributes of_path(const Model *m, const Observation *o, int i) {
        ModelAttributes a = in_effect(m, o->server, &o->path[i]);

        lay_over(&a, &o->own);
        return a;
}

static int64_t period(const ModelAttributes *a, ModelName name) {
        return a->has[name] ? (int64_t) (a->value[name] * 1000) : 0;
}

static bool are_coherent(const ModelAttributes *a) {
        if (!a->has[GT] || !a->has[LT])
                return true;
        if (a->value[LT] >= a->value[GT])
                return false;
        return !a->has[ST] || a->value[LT] + 2 * a->value[ST] < a->value[GT];
}

static bool is_reversed(const ModelAttributes *a, ModelName min, ModelName max) {
        return a->has[min] && a->has[max] && a->value[max] > 0 && a->value[min] > a->value[max];
}

/* Whether numbers, or Booleans, are at p. */
static bool fits(const ModelPath *p, bool edge) {
        for (size_t i = 0; p->n >= 3 && i < LEAVES; i++)
                if (model_covers(p, &model_leaves[i].path)) {
                        const ModelKind kind = model_leaves[i].kind;

                        return edge ? kind == KIND_BOOLEAN
                                    : kind == KIND_FLOAT || kind == KIND_INTEGER;
                }
        return false;
}

static bool names_fit(const ModelAttributes *set, const bool *unset, const ModelPath *p) {
        for (int i = 0; i < MODEL_NAMES; i++) {
                const bool named = set->has[i] || (unset && unset[i]);

                if (named && (i == GT || i == LT || i == ST) && !fits(p, false))
                        return false;
                if (named && i == EDGE && !fits(p, true))
                        return false;
        }
        return true;
}

static void rewritten(Model *m, int server, const ModelPath *p);

static bool agrees_with_others(const Model *m, int server, const ModelPath *p,
                               const ModelAttributes *a) {
        if (!are_coherent(a) || is_reversed(a, PMIN, PMAX) || is_reversed(a, EPMIN, EPMAX))
                return false;
        if (p->n == 4) {
                const ModelPath resource = cut(p, 3);
                ModelAttributes both = { .has = { false } };

                lay_over(&both, written_at(m, server, &resource));
                lay_over(&both, a);
                return are_coherent(&both);
        }
        for (size_t i = 0; p->n == 3 && i < m->n_written; i++) {
                ModelAttributes both = *a;

                if (m->written[i].server != server || m->written[i].path.n != 4 ||
                    !model_covers(p, &m->written[i].path))
                        continue;
                lay_over(&both, &m->written[i].attributes);
                if (!are_coherent(&both))
                        return false;
        }
        return true;
}

bool model_write_attributes(Model *m, int server, const ModelPath *p, const ModelAttributes *set,
                            const bool unset[MODEL_NAMES]) {
        ModelAttributes *there = written_at(m, server, p), a = { .has = { false } };

        if (there)
                a = *there;
        for (int i = 0; i < MODEL_NAMES; i++)
                if (unset[i])
                        a.has[i] = false;
        lay_over(&a, set);
        if (!names_fit(set, unset, p) || !agrees_with_others(m, server, p, &a))
                return false;
        if (!there) {
                m->written = realloc(m->written, (m->n_written + 1) * sizeof(Written));
                m->written[m->n_written] = (Written){ .server = server, .path = *p };
                there = &m->written[m->n_written++].attributes;
        }
        *there = a;
        rewritten(m, server, p);
        return true;
}

static void forget_attributes(Model *m, const ModelPath *p) {
        size_t n = 0;

        for (size_t i = 0; i < m->n_written; i++)
                if (!model_covers(p, &m->written[i].path))
                        m->written[n++] = m->written[i];
        m->n_written = n;
}

/* --- conditions --- */
static bool is_met(const ModelAttributes *a, double then, double now) {
        if (a->has[GT] && ((then <= a->value[GT] && now > a->value[GT]) ||
                           (now <= a->value[GT] && then > a->value[GT])))
                return true;
        if (a->has[LT] && ((then >= a->value[LT] && now < a->value[LT]) ||
                           (now >= a->value[LT] && then < a->value[LT])))
                return true;
        return a->has[ST] && then != now && fabs(then - now) >= a->value[ST];
}

/* A leaf has a value that may be another one than before. */
static Reason judge(const Model *m, Observation *o, size_t leaf, double now) {
        ModelAttributes a;
        bool before;

        if (!conditions(m, o, leaf, &a) || !o->remembered[leaf])
                return CHANGED;
        if (model_leaves[leaf].kind != KIND_BOOLEAN)
                return is_met(&a, o->server_has.value[leaf], now) ? NEWS : NOTHING;
        before = o->seen[leaf];
        o->seen[leaf] = now > 0;
        return before != (now > 0) && (a.value[EDGE] > 0) == (now > 0) ? NEWS : NOTHING;
}

/* --- what happens --- */
static void for_each(Model *m, void (*func)(Model *m, Observation *o, const void *userdata),
                     const void *userdata) {
        for (int s = 0; s < MODEL_SERVERS; s++)
                for (int t = 0; t < MODEL_OBSERVATIONS; t++)
                        if (m->observation[s][t].runs)
                                func(m, &m->observation[s][t], userdata);
}

static void event(Model *m, Observation *o, Reason reason, const ModelPath *at, bool below) {
        if (reason == NOTHING)
                return;
        if (reason > o->reason)
                o->reason = reason;
        for (int i = 0; i < o->n; i++)
                if (!at || model_covers(&o->path[i], at) ||
                    (below && model_covers(at, &o->path[i])))
                        o->concerned[i] = true;
}

static void leaf_changed(Model *m, Observation *o, const void *userdata) {
        const size_t leaf = *(const size_t *) userdata;
        const bool had = m->before.has[leaf], has = m->now_has.has[leaf];

        if (has == had && (!has || m->now_has.value[leaf] == m->before.value[leaf]))
                return;
        if (covers_leaf(o, leaf))
                event(m, o, has ? judge(m, o, leaf, m->now_has.value[leaf]) : CHANGED,
                      &model_leaves[leaf].path, !has);
        if (!has && !o->composite && model_covers(&model_leaves[leaf].path, &o->path[0]))
                o->path_deleted = true;
}

static void instance_came(Model *m, Observation *o, const void *userdata) {
        const ModelPath *p = userdata;

        for (int i = 0; i < o->n; i++)
                if (model_covers(&o->path[i], p))
                        event(m, o, CHANGED, p, false);
}

static void instance_went(Model *m, Observation *o, const void *userdata) {
        const ModelPath *p = userdata;

        for (int i = 0; i < o->n; i++)
                if (model_covers(&o->path[i], p) || model_covers(p, &o->path[i]))
                        event(m, o, CHANGED, p, true);
        if (!o->composite && model_covers(p, &o->path[0]))
                o->path_deleted = true;
}

void model_begin(Model *m) {
        m->before = m->now_has;
        memcpy(m->instance_before, m->instance, sizeof(m->instance));
}

void model_set(Model *m, size_t leaf, double value) {
        m->now_has.has[leaf] = true;
        m->now_has.value[leaf] = value;
}

void model_unset(Model *m, size_t leaf) {
        m->now_has.has[leaf] = false;
}

void model_create(Model *m, int object, int instance) {
        *instance_at(m, object, instance) = true;
}

void model_delete(Model *m, int object, int instance) {
        const ModelPath p = { { object, instance }, 2 };

        *instance_at(m, object, instance) = false;
        for (size_t i = 0; i < LEAVES; i++)
                if (model_covers(&p, &model_leaves[i].path))
                        m->now_has.has[i] = false;
}

void model_commit(Model *m) {
        for (int o = 0; o < 2; o++)
                for (int i = 0; i < MODEL_INSTANCES; i++) {
                        const ModelPath p = { { o == 0 ? 3303 : 33002, i }, 2 };

                        if (m->instance_before[o][i] && !m->instance[o][i]) {
                                forget_attributes(m, &p);
                                for (int s = 0; s < MODEL_SERVERS; s++)
                                        rewritten(m, s, &p);
                                for_each(m, instance_went, &p);
                        } else if (!m->instance_before[o][i] && m->instance[o][i])
                                for_each(m, instance_came, &p);
                }
        for (size_t i = 0; i < LEAVES; i++) {
                const ModelPath *p = &model_leaves[i].path;

                if (p->id[0] == 33003 || m->instance[object_index(p->id[0])][p->id[1]])
                        for_each(m, leaf_changed, &i);
        }
}

bool model_has(const Model *m, size_t leaf) {
        return m->now_has.has[leaf];
}

bool model_has_instance(const Model *m, int object, int instance) {
        return *instance_at(m, object, instance);
}

void model_set_default(Model *m, int server, ModelName name, double value) {
        m->defaults[server][name] = value;
}

void model_app(Model *m, double value, bool fails) {
        m->app = value;
        m->app_fails = fails;
}

static void touched(Model *m, Observation *o, const void *userdata) {
        const size_t leaf = *(const size_t *) userdata;

        if (covers_leaf(o, leaf))
                event(m, o, CHANGED, &model_leaves[leaf].path, false);
}

void model_touch(Model *m, size_t leaf) {
        for_each(m, touched, &leaf);
}

static bool is_asked(const Observation *o) {
        for (size_t i = 0; i < LEAVES; i++)
                if (model_leaves[i].asked && covers_leaf(o, i))
                        return true;
        return false;
}

static bool any_conditions(const Model *m, const Observation *o) {
        if (has_conditions(&o->own))
                return true;
        for (size_t i = 0; i < m->n_written; i++)
                for (int k = 0; k < o->n; k++) {
                        const ModelPath resource = cut(&o->path[k], o->path[k].n < 3 ? 0 : 3);

                        if (m->written[i].server == o->server &&
                            has_conditions(&m->written[i].attributes) &&
                            (model_covers(&o->path[k], &m->written[i].path) ||
                             (o->path[k].n == 4 && same(&resource, &m->written[i].path))))
                                return true;
                }
        return false;
}

/* What was told of a leaf is remembered where conditions need it: where it has some; where the
 * application is asked, of all that was told as soon as one has some. */
static bool needs_memory(const Model *m, const Observation *o, size_t leaf) {
        ModelAttributes a;

        return conditions(m, o, leaf, &a) || (is_asked(o) && any_conditions(m, o));
}

/* The server knows what is there. */
static void remember(const Model *m, Observation *o) {
        for (size_t i = 0; i < LEAVES; i++) {
                double d;

                if (!covers_leaf(o, i) || !get(m, i, &d) || o->remembered[i] ||
                    !needs_memory(m, o, i))
                        continue;
                o->remembered[i] = true;
                o->seen[i] = d > 0;
        }
}

/* The same, of what can be known without asking. */
static void remember_set(const Model *m, Observation *o) {
        for (size_t i = 0; i < LEAVES; i++) {
                ModelAttributes a;

                if (!covers_leaf(o, i) || model_leaves[i].asked || !m->now_has.has[i] ||
                    o->remembered[i] || !conditions(m, o, i, &a))
                        continue;
                o->remembered[i] = true;
                o->seen[i] = m->now_has.value[i] > 0;
        }
}

/* Attributes are others: what is there is held against them at once. */
static void look_again(Model *m, Observation *o) {
        for (size_t i = 0; i < LEAVES; i++) {
                Reason reason = NOTHING;
                ModelAttributes a;

                if (!o->remembered[i] || model_leaves[i].asked || !m->now_has.has[i])
                        continue;
                if (conditions(m, o, i, &a))
                        reason = judge(m, o, i, m->now_has.value[i]);
                else {
                        if (m->now_has.value[i] != o->server_has.value[i])
                                reason = CHANGED;
                        o->remembered[i] = is_asked(o);
                }
                event(m, o, reason, &model_leaves[i].path, false);
        }
        if (!any_conditions(m, o))
                memset(o->remembered, 0, sizeof(o->remembered));
        else if (o->reason == NOTHING)
                remember_set(m, o);
}

static void rewritten(Model *m, int server, const ModelPath *p) {
        for (int t = 0; t < MODEL_OBSERVATIONS; t++) {
                Observation *o = &m->observation[server][t];
                bool concerned = false;

                for (int i = 0; i < o->n; i++)
                        if (model_covers(p, &o->path[i]) || model_covers(&o->path[i], p))
                                concerned = true;
                if (o->runs && concerned)
                        look_again(m, o);
        }
}

static void told(Model *m, Observation *o) {
        o->server_has = read_all(m, o);
        o->known = true;
        for (size_t i = 0; i < LEAVES; i++) {
                o->remembered[i] = o->server_has.has[i] && needs_memory(m, o, i);
                o->seen[i] = o->server_has.value[i] > 0;
        }
        o->told = o->evaluated = m->now;
        o->retry = 0;
}

static void nothing_waits(Observation *o) {
        o->reason = NOTHING;
        memset(o->concerned, 0, sizeof(o->concerned));
}

bool model_observe(Model *m, int server, int token, const ModelPath *paths, int n, bool composite,
                   const ModelAttributes *own) {
        Observation *o = &m->observation[server][token], fresh;
        ModelAttributes both;
        Values v;

        memset(&fresh, 0, sizeof(fresh));
        fresh.server = server;
        fresh.asked = -1;
        fresh.n = n;
        fresh.composite = composite;
        fresh.own = *own;
        memcpy(fresh.path, paths, (size_t) n * sizeof(ModelPath));
        v = read_all(m, &fresh);
        if (is_empty(&v) && (composite || paths[0].n >= 3))
                return false;
        if (!composite && paths[0].n == 2 && paths[0].id[0] != 33003 &&
            !*instance_at(m, paths[0].id[0], paths[0].id[1]))
                return false;
        if (composite ? own->has[GT] || own->has[LT] || own->has[ST] || own->has[EDGE]
                      : !names_fit(own, NULL, &paths[0]))
                return false;
        if (!are_coherent(own) || is_reversed(own, PMIN, PMAX) || is_reversed(own, EPMIN, EPMAX))
                return false;
        both = in_effect(m, server, &paths[0]);
        lay_over(&both, own);
        if (!composite && !are_coherent(&both))
                return false;
        *o = fresh;
        if (is_asked(o) && m->app_fails)
                return false;
        o->runs = true;
        o->confirmed = m->now;
        told(m, o);
        return true;
}

void model_cancel(Model *m, int server, int token) {
        m->observation[server][token].runs = false;
}

static void may_be_lost(Observation *o) {
        o->on_way = false;
        o->known = false;
        o->reason = NEWS;
        for (int i = 0; i < o->n; i++)
                o->concerned[i] = true;
}

void model_link(Model *m, int server, bool up) {
        m->up[server] = up;
        for (int t = 0; t < MODEL_OBSERVATIONS; t++)
                if (m->observation[server][t].runs && m->observation[server][t].on_way)
                        may_be_lost(&m->observation[server][t]);
}

void model_hold(Model *m, bool hold) {
        m->hold = hold;
}

void model_set_time(Model *m, int64_t now) {
        m->now = now;
}

/* --- what must come of it --- */
static bool is_confirmable(const Model *m, const Observation *o) {
        bool yes = false, no = false;

        for (int i = 0; i < o->n; i++) {
                const ModelAttributes a = of_path(m, o, i);

                yes = yes || (a.has[CON] && a.value[CON] > 0);
                no = no || (a.has[CON] && a.value[CON] <= 0);
        }
        return yes || !no || m->now - o->confirmed >= DAY;
}

static int64_t sooner(int64_t a, int64_t b) {
        return a < b ? a : b;
}

/* Of all paths, those for which the daemon is to hurry most. */
typedef struct Periods {
        int64_t pmin, pmax, epmin, epmax; /* pmin: of the paths concerned; MODEL_NEVER is none */
} Periods;

static Periods periods(const Model *m, const Observation *o) {
        Periods p = { MODEL_NEVER, MODEL_NEVER, MODEL_NEVER, MODEL_NEVER };

        for (int i = 0; i < o->n; i++) {
                const ModelAttributes a = of_path(m, o, i);

                if (o->concerned[i] || !o->composite)
                        p.pmin = sooner(p.pmin, period(&a, PMIN));
                if (period(&a, PMAX) > 0 && period(&a, PMAX) >= period(&a, PMIN))
                        p.pmax = sooner(p.pmax, period(&a, PMAX));
                p.epmin = sooner(p.epmin, period(&a, EPMIN));
                if (period(&a, EPMAX) > 0 && period(&a, EPMAX) >= period(&a, EPMIN))
                        p.epmax = sooner(p.epmax, period(&a, EPMAX));
        }
        return p;
}

static int64_t after(int64_t moment, int64_t period) {
        return period == MODEL_NEVER ? MODEL_NEVER : moment + period;
}

/* The soonest of: pmin after the last one when there is something to tell, pmax after it, and epmax
 * after the application was asked. Whether something changed is not asked before epmin. */
static int64_t due(const Model *m, const Observation *o, bool *ret_repeat) {
        const Periods p = periods(m, o);
        int64_t t = MODEL_NEVER;

        if (o->reason != NOTHING)
                t = after(o->told, p.pmin);
        if (o->reason == CHANGED && is_asked(o) && after(o->evaluated, p.epmin) > t)
                t = after(o->evaluated, p.epmin);
        if (o->reason == NOTHING && is_asked(o))
                t = after(o->evaluated, p.epmax);
        *ret_repeat = after(o->told, p.pmax) <= m->now;
        t = sooner(t, after(o->told, p.pmax));
        return t != MODEL_NEVER && o->retry > t ? o->retry : t;
}

static bool is_gone(const Model *m, const Observation *o) {
        const Values v = read_all(m, o);
        const ModelPath *p = &o->path[0];

        if (o->composite || p->n >= 3)
                return is_empty(&v);
        return p->n == 2 && p->id[0] != 33003 && !*instance_at(m, p->id[0], p->id[1]);
}

static bool is_busy(const Model *m, const Observation *o) {
        for (int t = 0; t < MODEL_OBSERVATIONS; t++) {
                const Observation *other = &m->observation[o->server][t];

                if (other->runs && other->on_way && other->on_way_confirmable)
                        return is_confirmable(m, o);
        }
        return false;
}

typedef enum Turn { NOT_YET, ENDS, ASKS, NO_NEWS, SENDS } Turn;

static Turn turn(const Model *m, const Observation *o) {
        bool repeat;
        Values v;

        if (!o->runs || !m->up[o->server] || m->hold || o->on_way)
                return NOT_YET;
        if (o->path_deleted && m->now >= o->retry && is_gone(m, o))
                return ENDS;
        if (o->to_send)
                return SENDS;
        if (due(m, o, &repeat) > m->now || is_busy(m, o))
                return NOT_YET;
        if (is_asked(o))
                return ASKS;
        if (is_gone(m, o))
                return ENDS;
        v = read_all(m, o);
        if (repeat || o->reason == NEWS || (o->reason == CHANGED && !equal(&v, &o->server_has)))
                return SENDS;
        return NO_NEWS;
}

int64_t model_next(const Model *m) {
        int64_t next = MODEL_NEVER;

        for (int s = 0; s < MODEL_SERVERS; s++)
                for (int t = 0; t < MODEL_OBSERVATIONS; t++) {
                        const Observation *o = &m->observation[s][t];
                        bool repeat;
                        int64_t d;

                        if (!o->runs)
                                continue;
                        d = due(m, o, &repeat);
                        if (d > m->now && d < next)
                                next = d;
                }
        return next;
}

/* --- asking --- */
static Reason judge_answer(const Model *m, Observation *o, const Values *v) {
        Reason reason = o->reason;

        if (reason == NEWS)
                return reason;
        if (!any_conditions(m, o))
                return CHANGED; /* whether it is news shows the comparison */
        for (size_t i = 0; i < LEAVES; i++) {
                ModelAttributes a;
                Reason one = NOTHING;

                if (v->has[i] && o->remembered[i] && conditions(m, o, i, &a))
                        one = judge(m, o, i, v->value[i]);
                else if (v->has[i] != o->remembered[i] ||
                         (v->has[i] && v->value[i] != o->server_has.value[i]))
                        one = CHANGED;
                reason = one > reason ? one : reason;
        }
        return reason;
}

static void ask(Model *m, Observation *o) {
        const Values v = read_all(m, o);
        bool repeat, any = false;
        Reason reason;

        o->asked = m->now;
        if (m->app_fails) {
                o->retry = m->now + RETRY;
                return;
        }
        (void) due(m, o, &repeat);
        o->evaluated = m->now;
        o->retry = 0;
        reason = judge_answer(m, o, &v);
        if (!repeat && (reason == NOTHING || (reason == CHANGED && equal(&v, &o->server_has)))) {
                nothing_waits(o);
                remember(m, o);
                return;
        }
        o->reason = reason;
        for (int i = 0; i < o->n; i++)
                any = any || o->concerned[i];
        for (int i = 0; i < o->n && !any; i++)
                o->concerned[i] = true;
        o->to_send = repeat || m->now >= after(o->told, periods(m, o).pmin);
}

static bool joins(const Model *m, const Observation *o, const Observation *other) {
        const Periods p = periods(m, other);
        bool repeat;

        if (other == o || !other->runs || other->composite || other->on_way || other->to_send ||
            !m->up[other->server] || !same(&other->path[0], &o->path[0]))
                return false;
        return due(m, other, &repeat) <= m->now ||
               (other->reason == NOTHING && p.epmax != MODEL_NEVER &&
                m->now >= after(other->evaluated, p.epmin));
}

/* One question serves all of the same path that have something to ask by now. */
static void ask_with(Model *m, Observation *o) {
        ask(m, o);
        for (int s = 0; s < MODEL_SERVERS && !o->composite; s++)
                for (int t = 0; t < MODEL_OBSERVATIONS; t++)
                        if (joins(m, o, &m->observation[s][t]))
                                ask(m, &m->observation[s][t]);
}

bool model_evaluate(Model *m) {
        bool any = false;

        for (int s = 0; s < MODEL_SERVERS; s++)
                for (int t = 0; t < MODEL_OBSERVATIONS; t++)
                        if (turn(m, &m->observation[s][t]) == ASKS) {
                                ask_with(m, &m->observation[s][t]);
                                any = true;
                        }
        return any;
}

static void look(Model *m, Observation *o, const void *userdata) {
        if (o->path_deleted && m->up[o->server] && !m->hold && !o->on_way && m->now >= o->retry &&
            !is_gone(m, o))
                o->path_deleted = false; /* it was back before anybody looked */
        if (turn(m, o) == NO_NEWS) {
                nothing_waits(o);
                remember(m, o);
                o->retry = 0;
        }
}

void model_look(Model *m) {
        for_each(m, look, NULL);
}

bool model_pending(const Model *m, int server, int token, ModelNotification *ret) {
        const Observation *o = &m->observation[server][token];
        const Turn t = turn(m, o);

        memset(ret, 0, sizeof(*ret));
        ret->end = t == ENDS;
        ret->confirmable = t == ENDS || is_confirmable(m, o);
        if (t == SENDS) {
                const Values v = read_all(m, o);

                for (size_t i = 0; i < LEAVES; i++)
                        if (v.has[i]) {
                                ret->leaf[ret->n] = i;
                                ret->value[ret->n++] = v.value[i];
                        }
        }
        return t == ENDS || t == SENDS;
}

bool model_is_observed(const Model *m, int server, int token) {
        return m->observation[server][token].runs;
}

bool model_others_wait(const Model *m, int server, int token) {
        for (int t = 0; t < MODEL_OBSERVATIONS; t++) {
                const Observation *o = &m->observation[server][t];
                bool repeat;

                if (t != token && o->runs &&
                    (due(m, o, &repeat) <= m->now || o->path_deleted || o->to_send ||
                     o->asked == m->now))
                        return true;
        }
        return false;
}

void model_sent(Model *m, int server, int token) {
        Observation *o = &m->observation[server][token];

        if (turn(m, o) == ENDS) {
                o->runs = false;
                return;
        }
        o->on_way = true;
        o->on_way_confirmable = is_confirmable(m, o);
        if (o->on_way_confirmable)
                o->confirmed = m->now;
        told(m, o);
        nothing_waits(o);
        o->to_send = false;
}

void model_failed(Model *m, int server, int token) {
        Observation *o = &m->observation[server][token];

        if (turn(m, o) == ENDS)
                o->runs = false;
        else
                o->retry = m->now + RETRY;
        o->to_send = false;
}

void model_arrived(Model *m, int server, int token) {
        m->observation[server][token].on_way = false;
}

void model_lost(Model *m, int server, int token) {
        may_be_lost(&m->observation[server][token]);
        m->observation[server][token].retry = m->now + RETRY;
}

void model_ended(Model *m, int server, int token) {
        m->observation[server][token].runs = false;
}

Model *model_new(void) {
        Model *m = calloc(1, sizeof(Model));

        assert(m);
        for (int s = 0; s < MODEL_SERVERS; s++)
                m->up[s] = true;
        return m;
}

void model_free(Model *m) {
        free(m->written);
        free(m);
}
