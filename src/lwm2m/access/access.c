/* SPDX-License-Identifier: Apache-2.0 */
#include "lwm2m/access/access.h"

#include <errno.h>

#include "lwm2m/access/access_internal.h"
#include "lwm2m/account/account.h"

#define ACCOUNTS_MAX 1024 /* looked at; more cannot be served at once */

/* --- looking into object 2 --- */
int64_t access_number(const Tree *tree, const Path *p) {
        const Value *v;
        Value n;

        return tree_get(tree, p, &v) == 0 && value_convert(v, VALUE_INTEGER, &n) == 0 ? n.i : -1;
}

uint16_t access_owner(const Tree *tree, uint16_t id) {
        int64_t owner = access_number(tree, &PATH_OIR(OBJECT_ACCESS_CONTROL, id, ACCESS_OWNER));

        return owner > 0 && owner <= ID_MAX ? (uint16_t) owner : ID_RESERVED;
}

/* The entry of ssid in 2/id/2, -1 when it has none. */
static int64_t acl_entry(const Access *a, uint16_t id, uint16_t ssid) {
        return access_number(a->tree, &PATH_OIRI(OBJECT_ACCESS_CONTROL, id, ACCESS_ACL, ssid));
}

bool access_find(const Access *a, uint16_t object, uint16_t instance, uint16_t *ret) {
        unsigned n = GPOINTER_TO_UINT(g_hash_table_lookup(
                a->by_target, GUINT_TO_POINTER(access_target(object, instance))));

        if (n == 0)
                return false;
        *ret = (uint16_t) (n - 1);
        return true;
}

/* --- deciding --- */
bool access_is_enforced(const Access *a) {
        return a->accounts->len > 1;
}

static unsigned rights_listed(const Access *a, uint16_t ssid, uint16_t id) {
        int64_t entry = acl_entry(a, id, ssid);

        if (entry < 0 && access_owner(a->tree, id) == ssid)
                return ACCESS_ALL;
        if (entry < 0)
                entry = acl_entry(a, id, 0);
        return entry < 0 ? 0 : (unsigned) entry & ACCESS_ALL;
}

static unsigned rights_unlisted(const Access *a, uint16_t ssid, const Path *p) {
        const AccessRule *rule;

        if (!a->policy)
                return a->n_provided > 0 ? 0 : ACCESS_ALL;
        rule = access_policy_find(a->policy, p);
        return rule ? access_rule_rights(rule, ssid) : 0;
}

/* Only an entry of the server's own lets it create, not the default one (section 8.2). */
static unsigned rights_on_object(const Access *a, uint16_t ssid, const Path *p) {
        uint16_t id;
        unsigned rights;

        if (access_find(a, p->id[0], ID_RESERVED, &id)) {
                int64_t entry = acl_entry(a, id, ssid);

                rights = entry < 0 ? 0 : (unsigned) entry;
        } else
                rights = rights_unlisted(a, ssid, p);
        return rights & ACCESS_CREATE;
}

/* "Only such a server can manage the resources of this instance" (E.3); reading needs nothing. */
static unsigned rights_on_control(const Access *a, uint16_t ssid, const Path *p) {
        if (p->n < 2)
                return 0;
        return !access_is_enforced(a) || access_owner(a->tree, p->id[1]) == ssid
                       ? ACCESS_READ | ACCESS_WRITE
                       : ACCESS_READ;
}

unsigned access_rights(const Access *a, uint16_t ssid, const Path *p) {
        const Path instance = path_prefix(p, MIN(p->n, 2));
        unsigned rights;
        uint16_t id;

        if (p->n == 0)
                return 0;
        if (p->id[0] == OBJECT_ACCESS_CONTROL)
                return rights_on_control(a, ssid, p);
        if (!access_is_enforced(a))
                return ACCESS_ALL;
        if (p->n == 1)
                return rights_on_object(a, ssid, p);
        rights = access_find(a, p->id[0], p->id[1], &id) ? rights_listed(a, ssid, id)
                                                         : rights_unlisted(a, ssid, &instance);
        return rights & ~(unsigned) ACCESS_CREATE;
}

int access_check(const Access *a, uint16_t ssid, const Path *p, unsigned right) {
        if (ssid == 0)
                return 0;
        if (p->n > 0 && p->id[0] == OBJECT_ACCESS_CONTROL &&
            right & (ACCESS_CREATE | ACCESS_DELETE | ACCESS_EXECUTE))
                return -EPERM;
        return access_rights(a, ssid, p) & right ? 0 : -EACCES;
}

/* --- the index of object 2 --- */
static void unlist(Access *a, uint16_t id) {
        const Listed *l = g_hash_table_lookup(a->by_instance, GUINT_TO_POINTER(id + 1U));

        if (!l)
                return;
        a->n_provided -= l->provided;
        if (GPOINTER_TO_UINT(g_hash_table_lookup(a->by_target, GUINT_TO_POINTER(l->target))) ==
            id + 1U)
                g_hash_table_remove(a->by_target, GUINT_TO_POINTER(l->target));
        g_hash_table_remove(a->by_instance, GUINT_TO_POINTER(id + 1U));
}

/* One that does not say what it is about is about nothing. */
static void list(Access *a, uint16_t id) {
        int64_t object = access_number(a->tree,
                                       &PATH_OIR(OBJECT_ACCESS_CONTROL, id, ACCESS_OBJECT_ID)),
                instance = access_number(a->tree,
                                         &PATH_OIR(OBJECT_ACCESS_CONTROL, id, ACCESS_INSTANCE_ID));
        unsigned other;
        Listed *l;

        if (object < 1 || object > ID_MAX || instance < 0 || instance > ID_RESERVED)
                return;
        l = g_new(Listed, 1);
        *l = (Listed){
                .target = access_target((uint16_t) object, (uint16_t) instance),
                .provided = access_owner(a->tree, id) == ID_RESERVED,
        };
        g_hash_table_insert(a->by_instance, GUINT_TO_POINTER(id + 1U), l);
        a->n_provided += l->provided;
        other = GPOINTER_TO_UINT(g_hash_table_lookup(a->by_target, GUINT_TO_POINTER(l->target)));
        if (other > 0)
                a->has_twins = true;
        if (other == 0 || other > id + 1U)
                g_hash_table_insert(a->by_target, GUINT_TO_POINTER(l->target),
                                    GUINT_TO_POINTER(id + 1U));
}

static void list_all(Access *a) {
        Path p = PATH_O(OBJECT_ACCESS_CONTROL);

        g_hash_table_remove_all(a->by_target);
        g_hash_table_remove_all(a->by_instance);
        a->n_provided = 0;
        a->has_twins = false;
        while (tree_next_instance(a->tree, &p, &p) == 0 && p.id[0] == OBJECT_ACCESS_CONTROL)
                list(a, p.id[1]);
}

/* --- the accounts --- */
static gint compare_ids(gconstpointer a, gconstpointer b) {
        return (int) *(const uint16_t *) a - (int) *(const uint16_t *) b;
}

static bool has_id(const GArray *ids, uint16_t id) {
        return g_array_binary_search((GArray *) ids, &id, compare_ids, NULL);
}

static GArray *load_accounts(const Access *a) {
        g_autoptr(GPtrArray) accounts = accounts_load(a->tree, 0, ACCOUNTS_MAX, NULL, NULL);
        GArray *ids = g_array_new(FALSE, FALSE, sizeof(uint16_t));

        for (guint i = 0; i < accounts->len; i++)
                g_array_append_val(ids, ((const Account *) accounts->pdata[i])->ssid);
        return ids; /* they come ascending */
}

/* Whether any came or went. */
static bool follow_accounts(Access *a) {
        g_autoptr(GArray) former = g_steal_pointer(&a->accounts);
        bool changed;

        a->accounts = load_accounts(a);
        changed = a->accounts->len != former->len;
        for (guint i = 0; i < former->len; i++) {
                uint16_t id = g_array_index(former, uint16_t, i);

                if (has_id(a->accounts, id))
                        continue;
                changed = true;
                if (!has_id(a->gone, id)) {
                        g_array_append_val(a->gone, id);
                        g_array_sort(a->gone, compare_ids);
                }
        }
        return changed;
}

/* --- life --- */
Access *access_new(Tree *tree) {
        Access *a = g_new(Access, 1);

        *a = (Access){
                .tree = tree,
                .by_target = g_hash_table_new(NULL, NULL),
                .by_instance = g_hash_table_new_full(NULL, NULL, NULL, g_free),
                .gone = g_array_new(FALSE, FALSE, sizeof(uint16_t)),
        };
        a->accounts = load_accounts(a);
        list_all(a);
        return a;
}

Access *access_free(Access *a) {
        if (!a)
                return NULL;
        access_policy_unref(a->policy);
        g_hash_table_unref(a->by_target);
        g_hash_table_unref(a->by_instance);
        g_array_unref(a->accounts);
        g_array_unref(a->gone);
        g_free(a);
        return NULL;
}

void access_set_policy(Access *a, AccessPolicy *policy) {
        access_policy_unref(a->policy);
        a->policy = policy;
}

/* --- following the tree --- */
typedef struct Affected {
        void (*func)(void *userdata, const Path *instance);
        void *userdata;
} Affected;

static void tell(const Access *a, uint16_t id, const Affected *affected) {
        const Listed *l = g_hash_table_lookup(a->by_instance, GUINT_TO_POINTER(id + 1U));

        if (l && (l->target & ID_RESERVED) != ID_RESERVED)
                affected->func(affected->userdata,
                               &PATH_OI(l->target >> 16, l->target & ID_RESERVED));
}

static void relist(Access *a, uint16_t id, const Affected *affected) {
        tell(a, id, affected); /* before and after: it may have been about another */
        unlist(a, id);
        if (tree_exists(a->tree, &PATH_OI(OBJECT_ACCESS_CONTROL, id)))
                list(a, id);
        tell(a, id, affected);
}

bool access_follow(Access *a, const Change *changes, size_t n,
                   void (*affected)(void *userdata, const Path *instance), void *userdata) {
        const Affected to = { .func = affected, .userdata = userdata };
        const unsigned n_provided = a->n_provided;
        bool accounts = false, control = false;
        int last = -1;

        for (size_t i = 0; i < n; i++) {
                const uint16_t *id = changes[i].path.id;

                accounts = accounts || id[0] == OBJECT_SECURITY || id[0] == OBJECT_SERVER;
                if (id[0] != OBJECT_ACCESS_CONTROL || id[1] == last)
                        continue; /* the changes of one instance mostly follow each other */
                last = id[1];
                control = true;
                relist(a, id[1], &to);
        }
        if (control && a->has_twins)
                list_all(a);
        if (accounts)
                accounts = follow_accounts(a);
        return accounts || (n_provided > 0) != (a->n_provided > 0);
}
