/* SPDX-License-Identifier: Apache-2.0 */
#include "model/tree.h"

#include <assert.h>
#include <errno.h>

#include "model/objectdef.h"
#include "model/tree_internal.h"

Tree *tree_new(const Schema *schema) {
        Tree *t = g_new0(Tree, 1);

        t->schema = schema;
        t->listeners = g_array_new(FALSE, FALSE, sizeof(Listener));
        return t;
}

Tree *tree_free(Tree *t) {
        IdMap *object;
        uint16_t id, i;

        if (!t)
                return NULL;
        if (t->active)
                tree_abort(t);
        for (uint32_t next = 0; (object = idmap_next(&t->objects, next, &id)); next = id + 1U) {
                Instance *instance;

                for (uint32_t n = 0; (instance = idmap_next(object, n, &i)); n = i + 1U)
                        slots_free(instance);
                idmap_clear(object);
                g_free(object);
        }
        idmap_clear(&t->objects);
        g_array_unref(t->listeners);
        g_clear_pointer(&t->undo, g_array_unref);
        g_clear_pointer(&t->events, g_array_unref);
        g_free(t);
        return NULL;
}

const Schema *tree_schema(const Tree *t) {
        return t->schema;
}

void tree_on_prepare(Tree *t, TreePrepare func, void *userdata) {
        t->prepare = func;
        t->prepare_userdata = userdata;
}

void tree_on_commit(Tree *t, TreeCommitted func, void *userdata) {
        Listener listener = { func, userdata };

        g_array_append_val(t->listeners, listener);
}

void tree_remove_listener(Tree *t, TreeCommitted func, void *userdata) {
        for (unsigned i = t->listeners->len; i > 0; i--) {
                const Listener *l = &g_array_index(t->listeners, Listener, i - 1);

                if (l->func == func && l->userdata == userdata)
                        g_array_remove_index(t->listeners, i - 1);
        }
}

void tree_set_limits(Tree *t, uint32_t instances, uint64_t bytes) {
        t->instances_max = instances;
        t->bytes_max = bytes;
}

Instance *tree_instance(const Tree *t, uint16_t object, uint16_t instance) {
        const IdMap *instances = idmap_get(&t->objects, object);

        return instances ? idmap_get(instances, instance) : NULL;
}

Instance **tree_instance_place(const Tree *t, uint16_t object, uint16_t instance) {
        const IdMap *instances = idmap_get(&t->objects, object);

        return instances ? (Instance **) idmap_find(instances, instance) : NULL;
}

void tree_insert_instance(Tree *t, uint16_t object, uint16_t id, Instance *instance) {
        IdMap *instances = idmap_get(&t->objects, object);

        if (!instances) {
                instances = g_new0(IdMap, 1);
                idmap_set(&t->objects, object, instances);
        }
        idmap_set(instances, id, instance);
        t->n_instances++;
}

Instance *tree_take_instance(Tree *t, uint16_t object, uint16_t id) {
        IdMap *instances = idmap_get(&t->objects, object);
        Instance *instance = instances ? idmap_remove(instances, id) : NULL;

        if (!instance)
                return NULL;
        t->n_instances--;
        if (instances->n == 0)
                g_free(idmap_remove(&t->objects, object));
        return instance;
}

Slot *tree_slot(const Tree *t, const Path *p) {
        const Instance *instance = tree_instance(t, p->id[0], p->id[1]);
        Slot *slot = instance ? slots_get(instance, p->id[2]) : NULL;

        if (!slot || p->n == 3)
                return slot;
        return slot->multiple ? slots_get(slot->items, p->id[3]) : NULL;
}

bool tree_exists(const Tree *t, const Path *p) {
        switch (p->n) {
        case 0:
                return true;
        case 1:
                return idmap_get(&t->objects, p->id[0]);
        case 2:
                return tree_instance(t, p->id[0], p->id[1]);
        default:
                return tree_slot(t, p);
        }
}

int tree_get(const Tree *t, const Path *p, const Value **ret) {
        const Slot *slot;

        if (p->n < 3)
                return tree_exists(t, p) ? -EISDIR : -ENOENT;
        slot = tree_slot(t, p);
        if (!slot)
                return -ENOENT;
        if (slot->multiple)
                return -EISDIR;
        *ret = &slot->value;
        return 0;
}

const Value *tree_value(const Tree *t, const Path *p) {
        const Value *v;

        return tree_get(t, p, &v) == 0 ? v : NULL;
}

const ObjectDef *tree_object_def(const Tree *t, uint16_t object, int instance) {
        const Instance *i = NULL;

        if (instance >= 0 && instance <= UINT16_MAX)
                i = tree_instance(t, object, (uint16_t) instance);
        return i ? i->def : schema_object(t->schema, object, (Version){ 0, 0 });
}

const ResourceDef *tree_resource_def(const Tree *t, const Path *p) {
        const ObjectDef *def;

        if (p->n < 3)
                return NULL;
        def = tree_object_def(t, p->id[0], p->id[1]);
        return def ? object_resource(def, p->id[2]) : NULL;
}

/* --- walking --- */

typedef struct Walk {
        TreeVisit visit;
        void *userdata;
} Walk;

static int walk_items(const Walk *w, const Path *resource, const Slot *slot,
                      const ResourceDef *def) {
        for (uint16_t i = 0; slot->items && i < slot->items->n; i++) {
                Path p = path_child(resource, slot->items->v[i].id);
                int r;

                r = w->visit(w->userdata, &p, &slot->items->v[i].value, def);
                if (r != 0)
                        return r;
        }
        return 0;
}

static int walk_slot(const Walk *w, const Path *instance, const Slot *slot,
                     const ObjectDef *object) {
        const ResourceDef *def = object_resource(object, slot->id);
        Path p = path_child(instance, slot->id);
        int r;

        r = w->visit(w->userdata, &p, slot->multiple ? NULL : &slot->value, def);
        if (r != 0 || !slot->multiple)
                return r;
        return walk_items(w, &p, slot, def);
}

static int walk_instance(const Walk *w, const Path *p, const Instance *instance) {
        int r;

        r = w->visit(w->userdata, p, NULL, NULL);
        for (uint16_t i = 0; r == 0 && i < instance->n; i++)
                r = walk_slot(w, p, &instance->v[i], instance->def);
        return r;
}

static int walk_object(const Walk *w, uint16_t object, const IdMap *instances) {
        const Instance *instance;
        uint16_t id;
        int r;

        for (uint32_t next = 0; (instance = idmap_next(instances, next, &id)); next = id + 1U) {
                r = walk_instance(w, &PATH_OI(object, id), instance);
                if (r != 0)
                        return r;
        }
        return 0;
}

static int walk_root(const Walk *w, const IdMap *objects) {
        const IdMap *instances;
        uint16_t id;
        int r;

        for (uint32_t next = 0; (instances = idmap_next(objects, next, &id)); next = id + 1U) {
                r = walk_object(w, id, instances);
                if (r != 0)
                        return r;
        }
        return 0;
}

int tree_walk(const Tree *t, const Path *prefix, TreeVisit visit, void *userdata) {
        const Walk w = { visit, userdata };
        const Path p = path_prefix(prefix, MIN(prefix->n, 2));
        const IdMap *instances;
        const Instance *instance;
        const Slot *slot;

        if (prefix->n == 0)
                return walk_root(&w, &t->objects);
        instances = idmap_get(&t->objects, prefix->id[0]);
        if (prefix->n == 1)
                return instances ? walk_object(&w, prefix->id[0], instances) : 0;
        instance = instances ? idmap_get(instances, prefix->id[1]) : NULL;
        if (!instance)
                return 0;
        if (prefix->n == 2)
                return walk_instance(&w, &p, instance);
        slot = tree_slot(t, prefix);
        if (!slot)
                return 0;
        if (prefix->n == 3)
                return walk_slot(&w, &p, slot, instance->def);
        return visit(userdata, prefix, &slot->value, object_resource(instance->def, prefix->id[2]));
}

int tree_next_instance(const Tree *t, const Path *after, Path *ret) {
        uint32_t object = after->n > 0 ? after->id[0] : 0,
                 instance = after->n > 1 ? after->id[1] + 1U : 0;
        const IdMap *instances;
        uint16_t o, i;

        while ((instances = idmap_next(&t->objects, object, &o))) {
                if (idmap_next(instances, o == object ? instance : 0, &i)) {
                        *ret = PATH_OI(o, i);
                        return 0;
                }
                object = o + 1U;
                instance = 0;
        }
        return -ENOENT;
}

uint32_t tree_n_instances(const Tree *t, int object) {
        const IdMap *instances;

        if (object < 0)
                return t->n_instances;
        instances = object <= UINT16_MAX ? idmap_get(&t->objects, (uint16_t) object) : NULL;
        return instances ? instances->n : 0;
}

int tree_free_instance_id(const Tree *t, uint16_t object, uint16_t *ret) {
        static const IdMap none;
        const IdMap *instances = idmap_get(&t->objects, object);
        const ObjectDef *def = tree_object_def(t, object, -1);
        int id = idmap_first_free(instances ? instances : &none);

        if (id < 0 || (def && !def->multiple && id > 0))
                return -ENOSPC;
        *ret = (uint16_t) id;
        return 0;
}

/* --- marks and the view of decoders --- */

uint8_t tree_mark(const Tree *t, const Path *p) {
        const Instance *instance;
        const Slot *slot;

        if (p->n < 2)
                return 0;
        if (p->n == 2) {
                instance = tree_instance(t, p->id[0], p->id[1]);
                return instance ? instance->mark : 0;
        }
        slot = tree_slot(t, p);
        return slot ? slot->mark : 0;
}

void tree_set_mark(Tree *t, const Path *p, uint8_t mark) {
        Instance *instance;
        Slot *slot;

        assert(p->n >= 2);
        if (p->n == 2) {
                instance = tree_instance(t, p->id[0], p->id[1]);
                if (instance)
                        instance->mark = mark;
                return;
        }
        slot = tree_slot(t, p);
        if (slot)
                slot->mark = mark;
}

static ValueType format_type(void *userdata, const Path *path) {
        const ResourceDef *def = tree_resource_def(userdata, path);

        return def ? (ValueType) def->type : VALUE_NONE;
}

static bool format_multiple(void *userdata, const Path *path) {
        const ResourceDef *def = tree_resource_def(userdata, path);

        return def && def->multiple;
}

FormatSchema tree_format_schema(const Tree *t) {
        return (FormatSchema){ format_type, format_multiple, (void *) t };
}
