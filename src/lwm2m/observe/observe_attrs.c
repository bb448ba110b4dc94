/* SPDX-License-Identifier: Apache-2.0 */
/* By which attributes an observation goes: part of observation.h. Periods, con and hqmax are those
 * in effect at the observed path. Each path of a composite observation keeps its pmin: a change at
 * one path does not wait for the pmin of another; of the rest the most demanding one counts. */
#include "lwm2m/observe/observation.h"

/* The server's own account holds the defaults: 1/x/2 and 1/x/3. */
static void find_defaults(const Tree *tree, uint16_t ssid, Attrs *ret) {
        static const struct {
                uint16_t resource;
                AttrName name;
        } defaults[] = { { 2, ATTR_PMIN }, { 3, ATTR_PMAX } };
        Path p = PATH_O(1);
        const Value *v;

        while (tree_next_instance(tree, &p, &p) == 0 && p.id[0] == 1) {
                const Path id = path_child(&p, 0);

                if (tree_get(tree, &id, &v) < 0 || v->type != VALUE_INTEGER || v->i != ssid)
                        continue;
                for (size_t i = 0; i < G_N_ELEMENTS(defaults); i++) {
                        const Path r = path_child(&p, defaults[i].resource);

                        if (tree_get(tree, &r, &v) < 0 || v->type != VALUE_INTEGER || v->i < 0 ||
                            v->i > UINT32_MAX)
                                continue;
                        ret->value[defaults[i].name] = (double) v->i;
                        ret->set |= (uint16_t) (1U << defaults[i].name);
                }
                return;
        }
}

static const Attrs *defaults_of(const Peer *p) {
        Peer *cache = (Peer *) p;

        if (!p->defaults_known) {
                cache->defaults = (Attrs){ .set = 0 };
                find_defaults(p->dm->tree, p->ssid, &cache->defaults);
                cache->defaults_known = true;
        }
        return &p->defaults;
}

bool observe_defaults_differ(Peer *p) {
        const Attrs former = *defaults_of(p);

        p->defaults_known = false;
        return !attrs_equal(&former, defaults_of(p));
}

static void effective_at(const Observation *o, size_t i, Attrs *ret) {
        *ret = *defaults_of(o->peer);
        attr_store_inherit(o->observer->dm->attrs, o->peer->ssid, &o->target.paths[i], ret);
        if (o->own)
                attrs_overlay(ret, o->own);
}

static double of(const Attrs *a, AttrName name) {
        return attrs_has(a, name) ? a->value[name] : 0;
}

static void put(Attrs *a, AttrName name, double value) {
        a->value[name] = value;
        a->set |= (uint16_t) (1U << name);
}

static bool is_sooner(double a, double b) {
        return a > 0 && (b <= 0 || a < b);
}

static void merge(Attrs *all, const Attrs *a) {
        if (of(a, ATTR_PMIN) < of(all, ATTR_PMIN))
                put(all, ATTR_PMIN, of(a, ATTR_PMIN));
        if (of(a, ATTR_EPMIN) < of(all, ATTR_EPMIN))
                put(all, ATTR_EPMIN, of(a, ATTR_EPMIN));
        if (is_sooner(of(a, ATTR_PMAX), of(all, ATTR_PMAX)))
                put(all, ATTR_PMAX, of(a, ATTR_PMAX));
        if (is_sooner(of(a, ATTR_EPMAX), of(all, ATTR_EPMAX)))
                put(all, ATTR_EPMAX, of(a, ATTR_EPMAX));
        if (attrs_has(a, ATTR_CON) && of(a, ATTR_CON) >= of(all, ATTR_CON))
                put(all, ATTR_CON, of(a, ATTR_CON));
        if (of(a, ATTR_HQMAX) > of(all, ATTR_HQMAX))
                put(all, ATTR_HQMAX, of(a, ATTR_HQMAX));
}

void observation_effective(const Observation *o, Attrs *ret) {
        effective_at(o, 0, ret);
        for (size_t i = 1; i < o->target.n; i++) {
                Attrs a;

                effective_at(o, i, &a);
                merge(ret, &a);
        }
}

/* A pmax below the pmin of its path counts for nothing (section 5.1.2). */
static void refresh_composite(Observation *o, Periods *ret) {
        for (size_t i = 0; i < o->target.n; i++) {
                Periods p;
                Attrs a;

                effective_at(o, i, &a);
                p = periods_from(&a);
                o->path_states[i].pmin = p.pmin;
                if (i == 0) {
                        *ret = p;
                        continue;
                }
                if (is_sooner(p.pmax, ret->pmax))
                        ret->pmax = p.pmax;
                if (is_sooner(p.epmax, ret->epmax))
                        ret->epmax = p.epmax;
                ret->epmin = MIN(ret->epmin, p.epmin);
        }
}

/* What is pending may be told when the pmin of one of the paths it is about is over. */
static uint32_t pending_pmin(const Observation *o) {
        bool found = false;
        uint32_t pmin = 0;

        for (size_t i = 0; o->path_states && i < o->target.n; i++) {
                const PathState *s = &o->path_states[i];

                if (s->triggered && (!found || s->pmin < pmin))
                        pmin = s->pmin;
                found = found || s->triggered;
        }
        return pmin;
}

void observation_refresh(Observation *o) {
        Attrs a;

        if (o->stale) {
                o->stale = false;
                observation_effective(o, &a);
                o->confirmable = attrs_has(&a, ATTR_CON) ? (int8_t) a.value[ATTR_CON] : -1;
                o->hqmax = attrs_has(&a, ATTR_HQMAX) && a.value[ATTR_HQMAX] < UINT32_MAX
                                   ? (uint32_t) a.value[ATTR_HQMAX]
                                   : UINT32_MAX;
                o->periods = periods_from(&a);
                if (o->path_states) {
                        refresh_composite(o, &o->periods);
                        o->stale_pmin = true;
                }
        }
        if (o->stale_pmin) {
                o->stale_pmin = false;
                o->periods.pmin = pending_pmin(o);
        }
}
