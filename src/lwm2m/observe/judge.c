/* SPDX-License-Identifier: Apache-2.0 */
#include "lwm2m/observe/judge.h"

#include "lwm2m/observe/condition.h"
#include "lwm2m/dm/samples.h"

/* --- conditions in effect --- */
/* Those of a value: written at its resource or its resource instance, and over them what came with
 * the Observe request itself. */
static bool conditions_at(const Observation *o, const Path *p, Attrs *ret) {
        if (!o->conditioned)
                return false;
        *ret = (Attrs){ .set = 0 };
        attr_store_inherit(o->observer->dm->attrs, o->peer->ssid, p, ret);
        if (o->own)
                attrs_overlay(ret, o->own);
        return condition_is_set(ret);
}

static void on_attrs(void *userdata, const Path *p, const Attrs *a) {
        if (condition_is_set(a))
                *(bool *) userdata = true;
}

static bool may_have_conditions(const Observation *o) {
        const AttrStore *store = o->observer->dm->attrs;
        bool found = o->own && condition_is_set(o->own);

        for (size_t i = 0; i < o->target.n && !found; i++) {
                const Path *p = &o->target.paths[i];

                attr_store_foreach(store, o->peer->ssid, p, on_attrs, &found);
                if (p->n == 4) { /* its resource's count for it, too */
                        const Path resource = path_prefix(p, 3);
                        const Attrs *a = attr_store_get(store, o->peer->ssid, &resource);

                        found = found || (a && condition_is_set(a));
                }
        }
        return found;
}

/* An application keeps it: what the tree has says nothing. */
static bool is_elsewhere(const Observation *o, const Path *p) {
        return o->elsewhere && samples_asks(o->observer->dm, p);
}

/* --- judging --- */
static Pending judge_value(Observation *o, const Attrs *conditions, Reference *r,
                           const Value *now) {
        bool met;
        double d;

        if (!condition_number(now, &d) || !r->is_number)
                return reference_equals(r, now) ? PENDING_NONE : PENDING_CHANGE;
        met = condition_met(conditions, r->number, d);
        if (attrs_has(conditions, ATTR_EDGE))
                r->number = d;
        return met ? PENDING_NEWS : PENDING_NONE;
}

Pending judge_set(Observation *o, const Path *p, const Value *now) {
        Reference *r;
        Attrs a;

        if (!conditions_at(o, p, &a) || is_elsewhere(o, p))
                return PENDING_CHANGE;
        r = references_find(o->references, p);
        return r ? judge_value(o, &a, r, now) : PENDING_CHANGE;
}

Pending judge_result(Observation *o, const ReadResult *result) {
        Pending pending = PENDING_NONE;
        guint n_known = 0;

        if (!o->conditioned)
                return PENDING_CHANGE; /* the digest tells */
        for (size_t i = 0; i < result->n; i++) {
                const Record *record = &result->v[i];
                Reference *r = references_find(o->references, &record->path);
                Pending one = PENDING_CHANGE;
                Attrs a;

                n_known += r != NULL;
                if (r && conditions_at(o, &record->path, &a))
                        one = judge_value(o, &a, r, &record->value);
                else if (r && reference_equals(r, &record->value))
                        one = PENDING_NONE;
                pending = MAX(pending, one);
        }
        if (o->references && n_known < o->references->len)
                pending = MAX(pending, PENDING_CHANGE); /* some are gone */
        return pending;
}

/* --- what the server knows --- */
/* Values that are asked for are compared one by one as soon as one of them has conditions, for a
 * digest of all cannot tell which it was. */
static bool needs_reference(const Observation *o, const Path *p) {
        Attrs a;

        return o->conditioned && (o->elsewhere || conditions_at(o, p, &a));
}

void judge_told(Observation *o, const ReadResult *result) {
        o->digest = judge_digest(result);
        if (!o->conditioned)
                return;
        o->references = references_free(o->references);
        for (size_t i = 0; i < result->n; i++)
                if (needs_reference(o, &result->v[i].path))
                        references_set(&o->references, &result->v[i].path, &result->v[i].value);
}

void judge_seen(Observation *o, const ReadResult *result) {
        if (!o->conditioned)
                return;
        for (size_t i = 0; i < result->n; i++) {
                const Record *record = &result->v[i];

                if (!references_find(o->references, &record->path) &&
                    needs_reference(o, &record->path))
                        references_set(&o->references, &record->path, &record->value);
        }
}

/* --- attributes written while it runs --- */
static int on_value(void *userdata, const Path *p, const Value *v, const ResourceDef *def) {
        Observation *o = userdata;
        Attrs a;

        if (v && !references_find(o->references, p) && conditions_at(o, p, &a) &&
            !is_elsewhere(o, p))
                references_set(&o->references, p, v);
        return 0;
}

static void on_conditions(void *userdata, const Path *p, const Attrs *a) {
        Observation *o = userdata;

        if (condition_is_set(a))
                tree_walk(o->observer->dm->tree, p, on_value, o);
}

/* As long as nothing waits to be told, the server knows what is in the tree. */
static void add_references(Observation *o) {
        for (size_t i = 0; i < o->target.n; i++) {
                const Path *p = &o->target.paths[i];

                if (p->n >= 3)
                        tree_walk(o->observer->dm->tree, p, on_value, o);
                else
                        attr_store_foreach(o->observer->dm->attrs, o->peer->ssid, p, on_conditions,
                                           o);
        }
}

/* What was told of one value, against what is there now. */
static Pending judge_reference(Observation *o, const Path *p) {
        Reference *r = references_find(o->references, p);
        const Value *v;
        bool equal;
        Attrs a;

        if (is_elsewhere(o, p) || tree_get(o->observer->dm->tree, p, &v) < 0)
                return PENDING_NONE; /* the next evaluation will tell */
        if (conditions_at(o, p, &a))
                return judge_value(o, &a, r, v);
        equal = reference_equals(r, v);
        if (!o->elsewhere)
                references_remove(&o->references, p);
        return equal ? PENDING_NONE : PENDING_CHANGE;
}

void judge_rewritten(Observation *o) {
        o->conditioned = may_have_conditions(o);
        for (guint i = o->references ? o->references->len : 0; i > 0; i--) {
                const Path p = g_array_index(o->references, Reference, i - 1).path;

                notify_mark(o, judge_reference(o, &p), &p, false);
        }
        if (!o->conditioned)
                o->references = references_free(o->references);
        else if (o->established && o->pending == PENDING_NONE)
                add_references(o);
}

uint64_t judge_digest(const ReadResult *result) {
        uint64_t digest = 1;

        for (size_t i = 0; i < result->n; i++)
                digest = digest_record(digest, &result->v[i].path, &result->v[i].value);
        return digest;
}
