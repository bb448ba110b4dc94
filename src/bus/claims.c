/* SPDX-License-Identifier: Apache-2.0 */
#include "bus/claims.h"

#include <errno.h>
#include <glib.h>

#include "model/path_table.h"

struct Claims {
        TimerQueue *timers;
        GHashTable *by_id;            /* id -> Claim, owned */
        GHashTable *by_path;          /* Path -> GPtrArray of Claim, borrowed */
        GPtrArray *standing;          /* Claim */
        GHashTable *standing_by_path; /* Path -> GPtrArray of one of them, borrowed */
        uint32_t last_id;
        void (*ended)(void *userdata, const Claim *claim);
        void *userdata;
};

/* A claim and what its grace timer needs. */
typedef struct Entry {
        Claim claim; /* first: by_id and by_path hand out Claim * */
        Claims *claims;
} Entry;

static void entry_free(gpointer p) {
        Entry *e = p;

        timer_free(e->claim.grace);
        if (e->claim.owner) {
                owner_give_back(e->claim.owner, QUOTA_CLAIMS);
                owner_unref(e->claim.owner);
        }
        g_free(e->claim.handler);
        g_free(e->claim.prefixes);
        g_free(e);
}

static void list_free(gpointer p) {
        g_ptr_array_unref(p);
}

static void standing_free(gpointer p) {
        Claim *c = p;

        g_free((char *) c->bus_name);
        g_free(c->handler);
        g_free(c->prefixes);
        g_free(c);
}

Claims *claims_new(TimerQueue *timers, void (*ended)(void *userdata, const Claim *claim),
                   void *userdata) {
        Claims *cs = g_new0(Claims, 1);

        cs->timers = timers;
        cs->by_id = g_hash_table_new_full(NULL, NULL, NULL, entry_free);
        cs->by_path = path_table_new(list_free);
        cs->standing = g_ptr_array_new_with_free_func(standing_free);
        cs->standing_by_path = path_table_new(list_free);
        cs->ended = ended;
        cs->userdata = userdata;
        return cs;
}

Claims *claims_free(Claims *cs) {
        if (!cs)
                return NULL;
        g_hash_table_unref(cs->standing_by_path);
        g_ptr_array_unref(cs->standing);
        g_hash_table_unref(cs->by_path);
        g_hash_table_unref(cs->by_id);
        g_free(cs);
        return NULL;
}

static void forget(Claims *cs, Claim *c) {
        for (size_t i = 0; i < c->n_prefixes; i++) {
                GPtrArray *list = g_hash_table_lookup(cs->by_path, &c->prefixes[i]);

                g_ptr_array_remove(list, c);
                if (list->len == 0)
                        g_hash_table_remove(cs->by_path, &c->prefixes[i]);
        }
        g_hash_table_remove(cs->by_id, GUINT_TO_POINTER(c->id));
}

static const Claim *conflict(const Claims *cs, const Claim *wanted) {
        for (size_t i = 0; i < wanted->n_prefixes; i++) {
                const GPtrArray *list = g_hash_table_lookup(cs->by_path, &wanted->prefixes[i]);

                for (guint k = 0; list && k < list->len; k++) {
                        const Claim *other = g_ptr_array_index(list, k);
                        bool gives_way = !other->owner && (other->uid == wanted->uid ||
                                                           other->on_vanish == ON_VANISH_MARK);

                        if (!gives_way && !(wanted->share && other->share))
                                return other;
                }
        }
        return NULL;
}

/* Vanished claims on any prefix of wanted, all of which give way (conflict() has looked). */
static void replace_vanished(Claims *cs, const Claim *wanted) {
        for (size_t i = 0; i < wanted->n_prefixes; i++) {
                GPtrArray *list;

                while ((list = g_hash_table_lookup(cs->by_path, &wanted->prefixes[i]))) {
                        Claim *gone = NULL;

                        for (guint k = 0; k < list->len && !gone; k++)
                                if (!((Claim *) g_ptr_array_index(list, k))->owner)
                                        gone = g_ptr_array_index(list, k);
                        if (!gone)
                                break;
                        forget(cs, gone);
                }
        }
}

static void on_grace_over(void *userdata, uint64_t now_usec) {
        Entry *e = userdata;
        Claims *cs = e->claims;

        if (e->claim.on_vanish == ON_VANISH_MARK)
                return;
        cs->ended(cs->userdata, &e->claim);
        forget(cs, &e->claim);
}

int claims_add(Claims *cs, const Claim *wanted, uint32_t *ret_id, const Claim **ret_other) {
        uint32_t limit;
        Entry *e;

        *ret_other = conflict(cs, wanted);
        if (*ret_other)
                return -EEXIST;
        if (owner_take(wanted->owner, QUOTA_CLAIMS, &limit) < 0)
                return -EDQUOT;
        replace_vanished(cs, wanted);

        e = g_new0(Entry, 1);
        e->claims = cs;
        e->claim = *wanted;
        do {
                e->claim.id = ++cs->last_id;
        } while (e->claim.id == 0 || claims_by_id(cs, e->claim.id));
        e->claim.owner = owner_ref(wanted->owner);
        e->claim.handler = g_strdup(wanted->handler);
        e->claim.prefixes = g_memdup2(wanted->prefixes, wanted->n_prefixes * sizeof(Path));
        e->claim.grace = timer_new(cs->timers, on_grace_over, e);
        g_hash_table_insert(cs->by_id, GUINT_TO_POINTER(e->claim.id), e);
        for (size_t i = 0; i < e->claim.n_prefixes; i++) {
                GPtrArray *list = g_hash_table_lookup(cs->by_path, &e->claim.prefixes[i]);

                if (!list) {
                        list = g_ptr_array_new();
                        g_hash_table_insert(cs->by_path, path_dup(&e->claim.prefixes[i]), list);
                }
                g_ptr_array_add(list, &e->claim);
        }
        *ret_id = e->claim.id;
        return 0;
}

int claims_release(Claims *cs, uint32_t id, const Owner *owner) {
        Claim *c = g_hash_table_lookup(cs->by_id, GUINT_TO_POINTER(id));

        if (!c)
                return -ENOENT;
        if (c->owner != owner)
                return -EACCES;
        forget(cs, c);
        return 0;
}

static bool concerns_object(const Claim *c, uint16_t object) {
        for (size_t i = 0; i < c->n_prefixes; i++)
                if (c->prefixes[i].id[0] == object)
                        return true;
        return false;
}

void claims_drop(Claims *cs, bool (*match)(void *userdata, const Claim *claim),
                 void (*told)(void *userdata, const Claim *claim), void *userdata) {
        g_autoptr(GList) all = g_hash_table_get_values(cs->by_id);

        for (GList *l = all; l; l = l->next) {
                Claim *c = l->data;

                if (!match(userdata, c))
                        continue;
                told(userdata, c);
                forget(cs, c);
        }
}

typedef struct ObjectGone {
        uint16_t object;
        void (*told)(void *userdata, const Claim *claim);
        void *userdata;
} ObjectGone;

static bool match_object(void *userdata, const Claim *c) {
        return concerns_object(c, ((const ObjectGone *) userdata)->object);
}

static void tell_object(void *userdata, const Claim *c) {
        const ObjectGone *g = userdata;

        g->told(g->userdata, c);
}

void claims_drop_object(Claims *cs, uint16_t object,
                        void (*told)(void *userdata, const Claim *claim), void *userdata) {
        ObjectGone gone = { .object = object, .told = told, .userdata = userdata };

        claims_drop(cs, match_object, tell_object, &gone);
}

void claims_vanished(Claims *cs, Owner *owner, uint64_t now_usec) {
        GHashTableIter i;
        gpointer value;

        g_hash_table_iter_init(&i, cs->by_id);
        while (g_hash_table_iter_next(&i, NULL, &value)) {
                Claim *c = value;

                if (c->owner != owner)
                        continue;
                owner_give_back(owner, QUOTA_CLAIMS);
                c->owner = owner_unref(c->owner);
                timer_arm(c->grace, now_usec + c->grace_ms * USEC_PER_MSEC);
        }
}

static const GPtrArray *find_longest(GHashTable *by_path, const Path *p) {
        if (g_hash_table_size(by_path) == 0)
                return NULL;
        for (int n = p->n; n >= 0; n--) {
                Path prefix = path_prefix(p, (uint8_t) n);
                const GPtrArray *list = g_hash_table_lookup(by_path, &prefix);

                if (list)
                        return list;
        }
        return NULL;
}

static bool is_somebody_there(const GPtrArray *list) {
        for (guint i = 0; list && i < list->len; i++)
                if (((const Claim *) list->pdata[i])->owner)
                        return true;
        return false;
}

const GPtrArray *claims_find(const Claims *cs, const Path *p) {
        const GPtrArray *list = find_longest(cs->by_path, p), *standing;

        if (is_somebody_there(list))
                return list;
        standing = find_longest(cs->standing_by_path, p);
        return standing ? standing : list;
}

/* --- standing ones --- */
void claims_add_standing(Claims *cs, const Claim *claim) {
        Claim *c = g_new(Claim, 1);

        *c = *claim;
        c->bus_name = g_strdup(claim->bus_name);
        c->handler = g_strdup(claim->handler);
        c->prefixes = g_memdup2(claim->prefixes, claim->n_prefixes * sizeof(Path));
        g_ptr_array_add(cs->standing, c);
        for (size_t i = 0; i < c->n_prefixes; i++) {
                GPtrArray *list = g_ptr_array_new();

                g_ptr_array_add(list, c);
                g_hash_table_insert(cs->standing_by_path, path_dup(&c->prefixes[i]), list);
        }
}

void claims_clear_standing(Claims *cs) {
        g_hash_table_remove_all(cs->standing_by_path);
        g_ptr_array_set_size(cs->standing, 0);
}

void claims_foreach_standing(const Claims *cs, void (*func)(void *userdata, const Claim *claim),
                             void *userdata) {
        for (guint i = 0; i < cs->standing->len; i++)
                func(userdata, cs->standing->pdata[i]);
}

const char *claim_address(const Claim *c) {
        return c->owner ? owner_name(c->owner) : c->bus_name;
}

static gint compare_claims(gconstpointer a, gconstpointer b) {
        uint32_t x = ((const Claim *) a)->id, y = ((const Claim *) b)->id;

        return x < y ? -1 : x > y;
}

void claims_foreach(const Claims *cs, void (*func)(void *userdata, const Claim *claim),
                    void *userdata) {
        g_autoptr(GList) all = g_list_sort(g_hash_table_get_values(cs->by_id), compare_claims);

        for (GList *l = all; l; l = l->next)
                func(userdata, l->data);
}

const Claim *claims_by_id(const Claims *cs, uint32_t id) {
        return g_hash_table_lookup(cs->by_id, GUINT_TO_POINTER(id));
}
