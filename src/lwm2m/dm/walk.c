/* SPDX-License-Identifier: Apache-2.0 */
/* dm_walk(): the tree, and between its resources those that it has no value for. */
#include <errno.h>

#include "lwm2m/dm/dm_internal.h"

typedef struct Walk {
        const Dm *dm;
        TreeVisit visit;
        void *userdata;
        /* the instance the walk is in */
        Path instance;
        const ObjectDef *def;
        uint16_t next; /* index of the definition's first resource not passed yet */
} Walk;

static bool is_computed(const Walk *w, const Path *p, const ResourceDef *def, Value *ret) {
        return def->operations & OPERATION_READ && !def->multiple &&
               dm_behaviour_read(w->dm, p, ret) == 0;
}

static bool is_handled(const Dm *dm, const Path *p, const ResourceDef *def) {
        if (def->operations & OPERATION_EXECUTE)
                return def->mandatory || dm_claimed(dm, p) & APP_EXECUTE ||
                       dm_behaviour_executes(dm, p);
        return def->operations & OPERATION_READ && dm_claimed(dm, p) & APP_READ;
}

/* A resource that the tree does not have; -ENOENT when nobody else does either. */
static int visit_absent(Walk *w, const Path *p, const ResourceDef *def) {
        g_auto(Value) v = VALUE_INIT;

        if (is_computed(w, p, def, &v))
                return w->visit(w->userdata, p, &v, def);
        return is_handled(w->dm, p, def) ? w->visit(w->userdata, p, NULL, def) : -ENOENT;
}

/* Those of the instance up to (not with) id. */
static int visit_absent_until(Walk *w, unsigned id) {
        for (; w->def && w->next < w->def->n_resources && w->def->resources[w->next].id < id;
             w->next++) {
                const ResourceDef *def = &w->def->resources[w->next];
                const Path p = path_child(&w->instance, def->id);
                int r = visit_absent(w, &p, def);

                if (r != 0 && r != -ENOENT)
                        return r;
        }
        return 0;
}

static int visit_instance(Walk *w, const Path *p) {
        int r;

        r = visit_absent_until(w, ID_RESERVED);
        if (r != 0)
                return r;
        w->instance = *p;
        w->def = tree_object_def(w->dm->tree, p->id[0], p->id[1]);
        w->next = 0;
        return w->visit(w->userdata, p, NULL, NULL);
}

static int on_visit(void *userdata, const Path *p, const Value *v, const ResourceDef *def) {
        Walk *w = userdata;
        g_auto(Value) computed = VALUE_INIT;
        int r;

        if (p->n == 2)
                return visit_instance(w, p);
        if (p->n == 4)
                return w->visit(w->userdata, p, v, def);
        r = visit_absent_until(w, p->id[2]);
        if (r != 0)
                return r;
        if (w->def && w->next < w->def->n_resources && w->def->resources[w->next].id == p->id[2])
                w->next++;
        return w->visit(w->userdata, p, is_computed(w, p, def, &computed) ? &computed : v, def);
}

int dm_walk(const Dm *dm, const Path *prefix, TreeVisit visit, void *userdata) {
        Walk w = { .dm = dm, .visit = visit, .userdata = userdata };
        const Path instance = path_prefix(prefix, MIN(prefix->n, 2));
        const ResourceDef *def;
        int r;

        if (prefix->n >= 2 && !tree_exists(dm->tree, &instance))
                return -ENOENT;
        if (prefix->n >= 3 && !tree_exists(dm->tree, prefix)) {
                def = tree_resource_def(dm->tree, prefix);
                return prefix->n == 3 && def ? visit_absent(&w, prefix, def) : -ENOENT;
        }
        r = tree_walk(dm->tree, prefix, on_visit, &w);
        return r != 0 ? r : visit_absent_until(&w, ID_RESERVED);
}
