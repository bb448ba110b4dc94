/* SPDX-License-Identifier: Apache-2.0 */
/* Changing the tree: an undo log makes a transaction reversible, an event list tells what it did.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "model/objectdef.h"
#include "model/tree_internal.h"

typedef enum UndoKind {
        UNDO_CREATED,  /* take the instance away */
        UNDO_DELETED,  /* put instance back */
        UNDO_ADDED,    /* take the slot away */
        UNDO_REMOVED,  /* put slot back */
        UNDO_REPLACED, /* give the slot its former value */
        UNDO_EMPTIED,  /* give the slot its former items */
} UndoKind;

struct Undo {
        Path path;
        UndoKind kind;
        union {
                Slot slot;
                Instance *instance;
        };
};

struct Event {
        Path path;
        uint8_t kind; /* ChangeKind */
        uint8_t mark;
        bool keep;
        int32_t undo; /* which entry has the former value; -1 none */
        uint32_t seq;
};

/* Enough for everyday transactions to run without allocation. */
#define TXN_RESERVED 16
#define TXN_KEPT_MAX 1024 /* a larger list is given back to the heap */

void tree_begin(Tree *t, Origin origin, uint16_t ssid) {
        assert(!t->active);
        t->active = true;
        t->origin = origin;
        t->ssid = ssid;
        if (!t->undo)
                t->undo = g_array_sized_new(FALSE, FALSE, sizeof(Undo), TXN_RESERVED);
        if (!t->events)
                t->events = g_array_sized_new(FALSE, FALSE, sizeof(Event), TXN_RESERVED);
}

static void note(Tree *t, const Path *p, ChangeKind kind, uint8_t mark, int32_t undo) {
        Event e = { .path = *p,
                    .kind = (uint8_t) kind,
                    .mark = mark,
                    .undo = undo,
                    .seq = t->events->len };

        g_array_append_val(t->events, e);
}

static int32_t undo_slot(Tree *t, const Path *p, UndoKind kind, const Slot *slot) {
        Undo u = { .path = *p, .kind = kind };

        if (slot)
                u.slot = *slot;
        g_array_append_val(t->undo, u);
        return (int32_t) t->undo->len - 1;
}

static void undo_instance(Tree *t, const Path *p, UndoKind kind, Instance *instance) {
        Undo u = { .path = *p, .kind = kind, .instance = instance };

        g_array_append_val(t->undo, u);
}

/* --- operations --- */

int tree_create(Tree *t, uint16_t object, uint16_t instance, Version version) {
        const ObjectDef *def = schema_object(t->schema, object, version);

        assert(t->active);
        if (!def || instance == ID_RESERVED)
                return def ? -EINVAL : -ENOENT;
        if (tree_instance(t, object, instance))
                return -EEXIST;
        if (!def->multiple && (instance != 0 || tree_n_instances(t, object) > 0))
                return -EPERM;
        if (t->instances_max > 0 && t->n_instances >= t->instances_max)
                return -EDQUOT;
        tree_insert_instance(t, object, instance, instance_new(def));
        undo_instance(t, &PATH_OI(object, instance), UNDO_CREATED, NULL);
        note(t, &PATH_OI(object, instance), CHANGE_CREATED, 0, -1);
        return 0;
}

/* The list a slot of this path lives in; NULL if its parent is not there. */
static Slots **slot_list(Tree *t, const Path *p) {
        Instance **instance = tree_instance_place(t, p->id[0], p->id[1]);
        Slot *resource;

        if (!instance || p->n == 3)
                return instance;
        resource = slots_get(*instance, p->id[2]);
        return resource && resource->multiple ? &resource->items : NULL;
}

static Slot *add_slot(Tree *t, const Path *p, bool multiple) {
        Slot *slot = slots_add(slot_list(t, p), p->id[p->n - 1]);

        slot->multiple = multiple;
        undo_slot(t, p, UNDO_ADDED, NULL);
        return slot;
}

/* Whether p may hold a value; *ret is its definition. */
static int check_target(const Tree *t, const Path *p, const ResourceDef **ret) {
        const Instance *instance;
        const ResourceDef *def;

        if (p->n < 3)
                return -EISDIR;
        instance = tree_instance(t, p->id[0], p->id[1]);
        def = instance ? object_resource(instance->def, p->id[2]) : NULL;
        if (!def)
                return -ENOENT;
        if (def->type == VALUE_NONE)
                return -EPERM;
        if (p->n == 4 && !def->multiple)
                return -ENOTDIR;
        if (p->n == 4 && p->id[3] == ID_RESERVED)
                return -EINVAL;
        *ret = def;
        return 0;
}

/* Room for slot->value to become v, and for one more instance of a multiple resource. */
static int check_limits(const Tree *t, const Path *p, const Slot *slot, const Value *v) {
        const Slot new_slot = { .value = *v };
        const uint64_t former = slot ? slot_bytes(slot) : 0, wanted = slot_bytes(&new_slot);
        const Slot *resource;

        /* What does not grow is always good, also when the limit was larger once. */
        if (t->bytes_max > 0 && wanted > former && t->n_bytes - former + wanted > t->bytes_max)
                return -EDQUOT;
        if (slot || p->n == 3)
                return 0;
        resource = tree_slot(t, &(Path){ .id = { p->id[0], p->id[1], p->id[2] }, .n = 3 });
        if (resource && resource->items && resource->items->n >= TREE_RESOURCE_INSTANCES_MAX)
                return -EDQUOT;
        return 0;
}

int tree_set(Tree *t, const Path *p, const Value *v) {
        g_auto(Value) converted = VALUE_INIT;
        const ResourceDef *def;
        int32_t undo = -1;
        Slot *slot;
        int r;

        assert(t->active);
        r = check_target(t, p, &def);
        if (r < 0)
                return r;
        if (p->n == 3 && def->multiple)
                return -EISDIR;
        r = value_convert(v, (ValueType) def->type, &converted);
        if (r < 0)
                return r;
        r = resource_check(def, &converted);
        if (r < 0)
                return r;
        slot = tree_slot(t, p);
        r = check_limits(t, p, slot, &converted);
        if (r < 0)
                return r;
        if (slot) {
                undo = undo_slot(t, p, UNDO_REPLACED, slot);
                t->n_bytes -= slot_bytes(slot);
        } else {
                const Path resource = path_prefix(p, 3);

                if (p->n == 4 && !tree_slot(t, &resource))
                        add_slot(t, &resource, true);
                slot = add_slot(t, p, false);
        }
        slot->value = value_steal(&converted);
        t->n_bytes += slot_bytes(slot);
        note(t, p, CHANGE_SET, 0, undo);
        return 0;
}

int tree_clear_resource(Tree *t, const Path *p) {
        const ResourceDef *def;
        Slot *slot;
        int r;

        assert(t->active);
        if (p->n != 3)
                return p->n < 3 ? -EISDIR : -ENOTDIR;
        r = check_target(t, p, &def);
        if (r < 0)
                return r;
        if (!def->multiple)
                return -ENOTDIR;
        slot = tree_slot(t, p);
        if (slot) {
                undo_slot(t, p, UNDO_EMPTIED, slot);
                t->n_bytes -= slot_bytes(slot);
                slot->items = NULL;
        } else {
                add_slot(t, p, true);
        }
        note(t, p, CHANGE_SET, 0, -1);
        return 0;
}

static uint8_t instance_marks(const Instance *instance, uint64_t *ret_bytes) {
        uint8_t mark = instance->mark;

        *ret_bytes = 0;
        for (uint16_t i = 0; i < instance->n; i++) {
                mark |= slot_marks(&instance->v[i]);
                *ret_bytes += slot_bytes(&instance->v[i]);
        }
        return mark;
}

static int delete_instance(Tree *t, const Path *p) {
        Instance *instance = tree_take_instance(t, p->id[0], p->id[1]);
        uint64_t bytes;
        uint8_t mark;

        if (!instance)
                return -ENOENT;
        mark = instance_marks(instance, &bytes);
        t->n_bytes -= bytes;
        undo_instance(t, p, UNDO_DELETED, instance);
        note(t, p, CHANGE_DELETED, mark, -1);
        return 0;
}

int tree_delete(Tree *t, const Path *p) {
        Slots **list;
        Slot slot;

        assert(t->active);
        if (p->n < 2)
                return -EISDIR;
        if (p->n == 2)
                return delete_instance(t, p);
        list = slot_list(t, p);
        if (!list || !slots_get(*list, p->id[p->n - 1]))
                return -ENOENT;
        slot = slots_take(list, p->id[p->n - 1]);
        t->n_bytes -= slot_bytes(&slot);
        undo_slot(t, p, UNDO_REMOVED, &slot);
        note(t, p, CHANGE_DELETED, slot_marks(&slot), -1);
        return 0;
}

/* --- the end of a transaction --- */

static void undo_apply(Tree *t, Undo *u) {
        Slot *slot, removed;
        uint64_t bytes;

        switch (u->kind) {
        case UNDO_CREATED:
                slots_free(tree_take_instance(t, u->path.id[0], u->path.id[1]));
                break;
        case UNDO_DELETED:
                tree_insert_instance(t, u->path.id[0], u->path.id[1], u->instance);
                instance_marks(u->instance, &bytes);
                t->n_bytes += bytes;
                break;
        case UNDO_ADDED:
                removed = slots_take(slot_list(t, &u->path), u->path.id[u->path.n - 1]);
                t->n_bytes -= slot_bytes(&removed);
                slot_clear(&removed);
                break;
        case UNDO_REMOVED:
                slot = slots_add(slot_list(t, &u->path), u->path.id[u->path.n - 1]);
                *slot = u->slot;
                t->n_bytes += slot_bytes(slot);
                break;
        case UNDO_REPLACED:
        case UNDO_EMPTIED:
                slot = tree_slot(t, &u->path);
                t->n_bytes -= slot_bytes(slot);
                slot_clear(slot);
                *slot = u->slot;
                t->n_bytes += slot_bytes(slot);
                break;
        }
}

static void undo_discard(Undo *u) {
        switch (u->kind) {
        case UNDO_DELETED:
                slots_free(u->instance);
                break;
        case UNDO_REMOVED:
        case UNDO_REPLACED:
        case UNDO_EMPTIED:
                slot_clear(&u->slot);
                break;
        case UNDO_CREATED:
        case UNDO_ADDED:
                break;
        }
}

void tree_abort(Tree *t) {
        assert(t->active);
        for (unsigned i = t->undo->len; i > 0; i--)
                undo_apply(t, &g_array_index(t->undo, Undo, i - 1));
        g_array_set_size(t->undo, 0);
        g_array_set_size(t->events, 0);
        t->active = false;
}

static int compare_events(const void *x, const void *y) {
        const Event *a = x, *b = y;
        int r = path_compare(&a->path, &b->path);

        return r != 0 ? r : (a->seq > b->seq) - (a->seq < b->seq);
}

static int compare_seq(const void *x, const void *y) {
        const Event *a = x, *b = y;

        return (a->seq > b->seq) - (a->seq < b->seq);
}

/* Of the events of one path, in their order, keeps the last of each kind that still tells
 * something. */
static void coalesce_path(const Tree *t, Event *e, size_t n) {
        bool exists = tree_exists(t, &e->path), existed = e->kind != CHANGE_CREATED;
        Event *last[3] = { NULL };
        int32_t undo = -1;
        uint8_t mark = 0;

        for (size_t i = 0; i < n; i++) {
                if (e[i].kind == CHANGE_SET && !last[CHANGE_SET])
                        undo = e[i].undo; /* the value before all of them */
                last[e[i].kind] = &e[i];
                mark |= e[i].mark;
        }
        if (last[CHANGE_SET] && exists) {
                last[CHANGE_SET]->keep = true;
                last[CHANGE_SET]->undo = undo;
        }
        if (last[CHANGE_CREATED] && exists)
                last[CHANGE_CREATED]->keep = true;
        if (last[CHANGE_DELETED] && existed) {
                last[CHANGE_DELETED]->keep = true;
                last[CHANGE_DELETED]->mark = mark;
        }
}

/* Most transactions set each path once, in order. */
static bool all_plain_sets(const Event *e, size_t n) {
        for (size_t i = 0; i < n; i++)
                if (e[i].kind == CHANGE_DELETED ||
                    (i > 0 && path_compare(&e[i - 1].path, &e[i].path) >= 0))
                        return false;
        return true;
}

static void coalesce(const Tree *t, GArray *events) {
        Event *e = (void *) events->data;
        size_t n = events->len, kept = 0;

        if (all_plain_sets(e, n))
                return;
        qsort(e, n, sizeof(*e), compare_events);
        for (size_t i = 0, k; i < n; i = k) {
                for (k = i + 1; k < n && path_equal(&e[i].path, &e[k].path); k++)
                        ;
                coalesce_path(t, &e[i], k - i);
        }
        for (size_t i = 0; i < n; i++)
                if (e[i].keep)
                        e[kept++] = e[i];
        g_array_set_size(events, (unsigned) kept);
        qsort(e, kept, sizeof(*e), compare_seq);
}

static Change *make_changes(const Tree *t, const GArray *events) {
        Change *changes = g_new(Change, events->len + 1);

        for (unsigned i = 0; i < events->len; i++) {
                const Event *e = &g_array_index(events, Event, i);

                changes[i] =
                        (Change){ .path = e->path, .kind = (ChangeKind) e->kind, .mark = e->mark };
                if (e->undo >= 0)
                        changes[i].old = &g_array_index(t->undo, Undo, e->undo).slot.value;
        }
        return changes;
}

/* Gives the list back to the tree for the next transaction, unless a nested one made another. */
static void give_back(GArray **place, GArray *list) {
        if (*place || list->len > TXN_KEPT_MAX) {
                g_array_unref(list);
                return;
        }
        g_array_set_size(list, 0);
        *place = list;
}

int tree_commit(Tree *t) {
        g_autofree Change *changes = NULL;
        GArray *undo, *events;
        Origin origin = t->origin;
        uint16_t ssid = t->ssid;
        size_t n;
        int r;

        assert(t->active);
        coalesce(t, t->events);
        n = t->events->len;
        changes = make_changes(t, t->events);
        if (n > 0 && t->prepare) {
                r = t->prepare(t->prepare_userdata, origin, ssid, changes, n);
                if (r < 0) {
                        tree_abort(t);
                        return r;
                }
        }
        undo = g_steal_pointer(&t->undo);
        events = g_steal_pointer(&t->events);
        t->active = false;
        for (unsigned i = 0; n > 0 && i < t->listeners->len; i++) {
                const Listener listener = g_array_index(t->listeners, Listener, i);

                listener.func(listener.userdata, origin, ssid, changes, n);
        }
        for (unsigned i = 0; i < undo->len; i++)
                undo_discard(&g_array_index(undo, Undo, i));
        give_back(&t->undo, undo);
        give_back(&t->events, events);
        return 0;
}
