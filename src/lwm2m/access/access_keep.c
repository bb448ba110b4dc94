/* SPDX-License-Identifier: Apache-2.0 */
/* Object 2 in step with the object instances it speaks of: the second half of access.h. */
#include <errno.h>

#include "lwm2m/access/access_internal.h"
#include "lwm2m/account/account.h"
#include "util/log.h"

/* --- what is to be done beside some operations --- */
typedef struct Extension {
        const Access *a;
        OpList *ops;         /* what was found so far */
        GHashTable *deleted; /* numbers + 1 of Access Control instances that go; NULL for none */
        uint32_t next;       /* lowest number that may be free; 0: not looked yet */
        bool by_hand;        /* the operations make Access Control instances themselves */
} Extension;

static void note_deleted(Extension *e, uint16_t id) {
        if (!e->deleted)
                e->deleted = g_hash_table_new(NULL, NULL);
        g_hash_table_add(e->deleted, GUINT_TO_POINTER(id + 1U));
}

static bool is_deleted(const Extension *e, uint16_t id) {
        return e->deleted && g_hash_table_contains(e->deleted, GUINT_TO_POINTER(id + 1U));
}

static void add_delete(Extension *e, uint16_t id) {
        note_deleted(e, id);
        op_list_add(e->ops, OP_DELETE, &PATH_OI(OBJECT_ACCESS_CONTROL, id), NULL);
}

static int free_number(Extension *e, uint16_t *ret) {
        Path p = PATH_OI(OBJECT_ACCESS_CONTROL, e->next);
        int r;

        if (e->next == 0) {
                r = tree_free_instance_id(e->a->tree, OBJECT_ACCESS_CONTROL, &p.id[1]);
                if (r < 0)
                        return r;
        } else {
                while (p.id[1] <= ID_MAX && tree_exists(e->a->tree, &p))
                        p.id[1]++;
                if (p.id[1] > ID_MAX)
                        return -ENOSPC;
        }
        e->next = p.id[1] + 1U;
        *ret = p.id[1];
        return 0;
}

static void add_number(Extension *e, Path p, int64_t i) {
        op_list_add(e->ops, OP_SET, &p, &(Value){ .type = VALUE_INTEGER, .i = i });
}

/* The owner's full rights come from being the owner (8.2.1): it gets no entry but one that the
 * rule has for an instance of the device. */
static int add_control(Extension *e, const Path *instance, uint16_t owner, bool by_server) {
        const AccessRule *rule = e->a->policy ? access_policy_find(e->a->policy, instance) : NULL;
        uint16_t id;
        int r;

        r = free_number(e, &id);
        if (r < 0)
                return r;
        op_list_add(e->ops, OP_CREATE, &PATH_OI(OBJECT_ACCESS_CONTROL, id), NULL);
        add_number(e, PATH_OIR(OBJECT_ACCESS_CONTROL, id, ACCESS_OBJECT_ID), instance->id[0]);
        add_number(e, PATH_OIR(OBJECT_ACCESS_CONTROL, id, ACCESS_INSTANCE_ID), instance->id[1]);
        for (guint i = 0; rule && i < rule->entries->len; i++) {
                const AccessEntry *entry = &g_array_index(rule->entries, AccessEntry, i);

                if (!by_server || entry->ssid != owner)
                        add_number(e, PATH_OIRI(OBJECT_ACCESS_CONTROL, id, ACCESS_ACL, entry->ssid),
                                   entry->rights & ~ACCESS_CREATE);
        }
        add_number(e, PATH_OIR(OBJECT_ACCESS_CONTROL, id, ACCESS_OWNER), owner);
        return 0;
}

/* The server that is to own an instance of the device; ID_RESERVED: none, and no Access Control
 * instance is needed, since the policy itself decides. */
static uint16_t policy_owner(const Access *a, const Path *instance) {
        const AccessRule *rule = a->policy ? access_policy_find(a->policy, instance) : NULL;

        return rule ? rule->owner : ID_RESERVED;
}

static int extend_create(Extension *e, const Path *instance, uint16_t ssid) {
        const Access *a = e->a;
        uint16_t owner = ssid > 0 ? ssid : policy_owner(a, instance), id;
        bool listed = access_find(a, instance->id[0], instance->id[1], &id) && !is_deleted(e, id);
        int r;

        if (ssid == 0 && (owner == ID_RESERVED || listed || e->by_hand || !access_is_enforced(a)))
                return 0;
        /* Where object 2 is used with one server, it is kept there as well (section 8). */
        if (ssid > 0 && !access_is_enforced(a) &&
            tree_n_instances(a->tree, OBJECT_ACCESS_CONTROL) == 0)
                return 0;
        if (listed) /* left from a former instance of that number */
                add_delete(e, id);
        r = add_control(e, instance, owner, ssid > 0);
        return r == -ENOSPC && ssid == 0 ? 0 : r;
}

static void extend_delete(Extension *e, const Path *instance) {
        uint16_t id;

        if (access_find(e->a, instance->id[0], instance->id[1], &id) && !is_deleted(e, id))
                add_delete(e, id);
}

/* What the operations themselves do to object 2 is not done twice. */
static void look_at_control(Extension *e, const Op *ops, size_t n) {
        for (size_t i = 0; i < n; i++) {
                if (ops[i].path.n != 2 || ops[i].path.id[0] != OBJECT_ACCESS_CONTROL)
                        continue;
                if (ops[i].kind == OP_DELETE)
                        note_deleted(e, ops[i].path.id[1]);
                e->by_hand = e->by_hand || ops[i].kind == OP_CREATE;
        }
}

static bool is_defined(const Access *a) {
        return tree_object_def(a->tree, OBJECT_ACCESS_CONTROL, -1);
}

int access_extend(const Access *a, const Op *ops, size_t n, uint16_t ssid, OpList *extra) {
        Extension e = { .a = a, .ops = extra };
        int r = 0;

        if (!is_defined(a))
                return 0;
        look_at_control(&e, ops, n);
        for (size_t i = 0; i < n && r >= 0; i++) {
                const Path *p = &ops[i].path;

                if (p->n != 2 || !access_is_governed(p->id[0]))
                        continue;
                if (ops[i].kind == OP_CREATE)
                        r = extend_create(&e, p, ssid);
                else if (ops[i].kind == OP_DELETE)
                        extend_delete(&e, p);
        }
        g_clear_pointer(&e.deleted, g_hash_table_unref);
        return r < 0 ? r : 0;
}

/* --- transactions of their own --- */
static void apply(Access *a, const OpList *ops, const char *what) {
        OpError error;
        int r;

        if (ops->n == 0)
                return;
        r = ops_apply(a->tree, ops->v, ops->n, ORIGIN_APP, 0, &error);
        if (r < 0)
                log_warning("%s: %s", what, error.text);
}

void access_complete(Access *a) {
        g_auto(OpList) ops = { .v = NULL };
        Extension e = { .a = a, .ops = &ops };
        Path p = PATH_ROOT;
        uint16_t id;
        int r = 0;

        if (!a->policy || !access_is_enforced(a) || !is_defined(a))
                return;
        while (r >= 0 && tree_next_instance(a->tree, &p, &p) == 0) {
                uint16_t owner = policy_owner(a, &p);

                if (access_is_governed(p.id[0]) && owner != ID_RESERVED &&
                    !access_find(a, p.id[0], p.id[1], &id))
                        r = add_control(&e, &p, owner, false);
        }
        if (r < 0)
                log_warning("There are as many Access Control instances as can be, and more "
                            "object instances: the rest goes by the configuration");
        apply(a, &ops, "Cannot make Access Control instances");
}

/* The numbers + 1 of the Access Control instances made in this commit. */
static GHashTable *made_now(const Change *changes, size_t n) {
        GHashTable *made = g_hash_table_new(NULL, NULL);

        for (size_t i = 0; i < n; i++)
                if (changes[i].kind == CHANGE_CREATED &&
                    changes[i].path.id[0] == OBJECT_ACCESS_CONTROL)
                        g_hash_table_add(made, GUINT_TO_POINTER(changes[i].path.id[1] + 1U));
        return made;
}

/* A bootstrap that deletes everything and writes rights means what the device will make again. */
void access_drop_deleted(Access *a, const Change *changes, size_t n) {
        g_autoptr(GHashTable) made = NULL;
        g_auto(OpList) ops = { .v = NULL };
        uint16_t id;

        for (size_t i = 0; i < n; i++) {
                const Path *p = &changes[i].path;

                if (changes[i].kind != CHANGE_DELETED || p->n != 2 ||
                    !access_is_governed(p->id[0]) || !access_find(a, p->id[0], p->id[1], &id) ||
                    tree_exists(a->tree, p))
                        continue;
                if (!made)
                        made = made_now(changes, n);
                if (!g_hash_table_contains(made, GUINT_TO_POINTER(id + 1U)))
                        op_list_add(&ops, OP_DELETE, &PATH_OI(OBJECT_ACCESS_CONTROL, id), NULL);
        }
        apply(a, &ops, "Cannot remove Access Control instances");
}

/* --- servers that have gone (TS Core 1.1.1, appendix E.1.3) --- */
/* "The server who has the highest sum of each number assigned to an access right (Write: 1,
 * Delete: 1)"; 0 when none of those that stay has any right. */
static uint16_t elect(const Access *a, const Path *instance) {
        uint16_t best = 0;
        unsigned best_sum = 0;

        for (guint i = 0; i < a->accounts->len; i++) {
                uint16_t ssid = g_array_index(a->accounts, uint16_t, i), id;
                int64_t entry = -1;
                unsigned sum;

                if (access_find(a, instance->id[0], instance->id[1], &id)) {
                        entry = access_number(
                                a->tree, &PATH_OIRI(OBJECT_ACCESS_CONTROL, id, ACCESS_ACL, ssid));
                        if (entry < 0)
                                entry = access_number(a->tree, &PATH_OIRI(OBJECT_ACCESS_CONTROL, id,
                                                                          ACCESS_ACL, 0));
                }
                if (entry <= 0)
                        continue;
                sum = 1U + !!(entry & ACCESS_WRITE) + !!(entry & ACCESS_DELETE);
                if (sum > best_sum) {
                        best = ssid;
                        best_sum = sum;
                }
        }
        return best;
}

/* What the device made, or cannot be without, stays though no server may see it any more. */
static bool is_of_device(const Access *a, const Path *instance, uint16_t owner) {
        const ObjectDef *def = tree_object_def(a->tree, instance->id[0], -1);

        return policy_owner(a, instance) == owner || (def && def->mandatory);
}

/* What becomes of it without its owner; false: it goes. */
static bool replace_owner(const Access *a, uint16_t id, const Path *instance, uint16_t owner,
                          OpList *ops) {
        const Path control = PATH_OI(OBJECT_ACCESS_CONTROL, id);
        const Path p = path_child(&control, ACCESS_OWNER);
        uint16_t next = elect(a, instance), first = id;

        (void) access_find(a, instance->id[0], instance->id[1], &first);
        if (next > 0 && first == id) {
                op_list_add(ops, OP_SET, &p, &(Value){ .type = VALUE_INTEGER, .i = next });
                return true;
        }
        /* With another one about the same instance, that one counts. */
        if (first == id && tree_exists(a->tree, instance) && !is_of_device(a, instance, owner))
                op_list_add(ops, OP_DELETE, instance, NULL);
        op_list_add(ops, OP_DELETE, &control, NULL);
        return false;
}

static bool is_gone(const GArray *gone, uint16_t ssid) {
        for (guint i = 0; i < gone->len; i++)
                if (g_array_index(gone, uint16_t, i) == ssid)
                        return true;
        return false;
}

static void forget_in(const Access *a, uint16_t id, const GArray *gone, OpList *ops) {
        const Listed *l = g_hash_table_lookup(a->by_instance, GUINT_TO_POINTER(id + 1U));
        const uint16_t owner = access_owner(a->tree, id);

        if (l && (l->target & ID_RESERVED) != ID_RESERVED && is_gone(gone, owner) &&
            !replace_owner(a, id, &PATH_OI(l->target >> 16, l->target & ID_RESERVED), owner, ops))
                return;
        for (guint i = 0; i < gone->len; i++) {
                const Path entry = PATH_OIRI(OBJECT_ACCESS_CONTROL, id, ACCESS_ACL,
                                             g_array_index(gone, uint16_t, i));

                if (tree_exists(a->tree, &entry))
                        op_list_add(ops, OP_UNSET, &entry, NULL);
        }
}

void access_forget_servers(Access *a) {
        g_autoptr(GArray) gone = a->gone;
        g_auto(OpList) ops = { .v = NULL };
        Path p = PATH_O(OBJECT_ACCESS_CONTROL);

        if (gone->len == 0) {
                g_steal_pointer(&gone);
                return;
        }
        a->gone = g_array_new(FALSE, FALSE, sizeof(uint16_t));
        while (tree_next_instance(a->tree, &p, &p) == 0 && p.id[0] == OBJECT_ACCESS_CONTROL)
                forget_in(a, p.id[1], gone, &ops);
        apply(a, &ops, "Cannot take back the rights of a server that has gone");
}
