/* SPDX-License-Identifier: Apache-2.0 */
/* Which attributes an observation goes by: part of observation.h. */
#include "lwm2m/observation.h"

/* The server's own account holds the defaults: 1/x/2 and 1/x/3. */
static void server_defaults(const Tree *tree, uint16_t ssid, Attrs *ret) {
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

                        if (tree_get(tree, &r, &v) < 0 || v->type != VALUE_INTEGER || v->i < 0)
                                continue;
                        ret->value[defaults[i].name] = (double) v->i;
                        ret->set |= (uint16_t) (1U << defaults[i].name);
                }
                return;
        }
}

/* Several paths, one notification: it must come as early as the most demanding of them says. */
static void merge_smallest(Attrs *a, const Attrs *b, AttrName name) {
        if (!attrs_has(b, name) || b->value[name] <= 0)
                return;
        if (!attrs_has(a, name) || a->value[name] <= 0 || b->value[name] < a->value[name])
                a->value[name] = b->value[name];
        a->set |= (uint16_t) (1U << name);
}

void observation_effective(const Observation *o, Attrs *ret) {
        const Dm *dm = o->observer->dm;
        Attrs defaults = { .set = 0 }, all = { .set = 0 };

        server_defaults(dm->tree, o->peer->ssid, &defaults);
        for (size_t i = 0; i < o->target.n; i++) {
                Attrs a = defaults;

                attr_store_inherit(dm->attrs, o->peer->ssid, &o->target.paths[i], &a);
                if (!o->target.composite)
                        all = a;
                else {
                        merge_smallest(&all, &a, ATTR_PMIN);
                        merge_smallest(&all, &a, ATTR_PMAX);
                }
        }
        attrs_overlay(&all, &o->own);
        *ret = all;
}
