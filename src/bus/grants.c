/* SPDX-License-Identifier: Apache-2.0 */
#include "bus/grants.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

struct Grants {
        unsigned n_refs;
        GPtrArray *rules;        /* GrantRule */
        GPtrArray *reservations; /* Reservation */
};

static const struct {
        const char *name;
        Right right;
} names[] = {
        { "get", RIGHT_GET },
        { "set", RIGHT_SET },
        { "push", RIGHT_PUSH },
        { "create", RIGHT_CREATE },
        { "delete", RIGHT_DELETE },
        { "claim", RIGHT_CLAIM },
        { "execute", RIGHT_EXECUTE },
        { "send", RIGHT_SEND },
        { "configure", RIGHT_CONFIGURE },
        { "hold", RIGHT_HOLD },
        { "events", RIGHT_EVENTS },
        { "admin", RIGHT_ADMIN },
        { "credentials", RIGHT_CREDENTIALS },
};

const char *right_name(Right right) {
        for (size_t i = 0; i < G_N_ELEMENTS(names); i++)
                if (names[i].right == right)
                        return names[i].name;
        return "?";
}

int right_from_name(const char *name, unsigned *ret) {
        if (strcmp(name, "all") == 0) {
                *ret = RIGHT_ALL;
                return 0;
        }
        for (size_t i = 0; i < G_N_ELEMENTS(names); i++)
                if (strcmp(names[i].name, name) == 0) {
                        *ret = names[i].right;
                        return 0;
                }
        return -EINVAL;
}

/* --- life --- */
GrantRule *grant_rule_new(const char *name) {
        GrantRule *r = g_new(GrantRule, 1);

        *r = (GrantRule){
                .name = g_strdup(name),
                .uids = g_array_new(FALSE, FALSE, sizeof(uid_t)),
                .gids = g_array_new(FALSE, FALSE, sizeof(gid_t)),
                .paths = g_array_new(FALSE, FALSE, sizeof(Path)),
        };
        return r;
}

GrantRule *grant_rule_free(GrantRule *r) {
        if (!r)
                return NULL;
        g_free(r->name);
        g_array_unref(r->uids);
        g_array_unref(r->gids);
        g_array_unref(r->paths);
        g_free(r);
        return NULL;
}

static void free_rule(void *rule) {
        grant_rule_free(rule);
}

Reservation *reservation_new(const char *bus_name) {
        Reservation *r = g_new(Reservation, 1);

        *r = (Reservation){
                .bus_name = g_strdup(bus_name),
                .paths = g_array_new(FALSE, FALSE, sizeof(Path)),
                .credentials = g_array_new(FALSE, FALSE, sizeof(uint16_t)),
        };
        return r;
}

Reservation *reservation_free(Reservation *r) {
        if (!r)
                return NULL;
        g_free(r->bus_name);
        g_free(r->handler);
        g_array_unref(r->paths);
        g_array_unref(r->credentials);
        g_free(r);
        return NULL;
}

static void free_reservation(void *reservation) {
        reservation_free(reservation);
}

Grants *grants_new(void) {
        Grants *g = g_new(Grants, 1);

        *g = (Grants){
                .n_refs = 1,
                .rules = g_ptr_array_new_with_free_func(free_rule),
                .reservations = g_ptr_array_new_with_free_func(free_reservation),
        };
        return g;
}

Grants *grants_ref(Grants *g) {
        g->n_refs++;
        return g;
}

Grants *grants_unref(Grants *g) {
        if (!g || --g->n_refs > 0)
                return NULL;
        g_ptr_array_unref(g->rules);
        g_ptr_array_unref(g->reservations);
        g_free(g);
        return NULL;
}

void grants_add(Grants *g, GrantRule *rule) {
        g_ptr_array_add(g->rules, rule);
}

void grants_reserve(Grants *g, Reservation *reservation) {
        g_ptr_array_add(g->reservations, reservation);
}

bool grants_has_groups(const Grants *g) {
        for (guint i = 0; i < g->rules->len; i++)
                if (((const GrantRule *) g->rules->pdata[i])->gids->len > 0)
                        return true;
        return false;
}

/* --- deciding --- */
static bool is_for(const GrantRule *r, const Subject *who) {
        for (guint i = 0; i < r->uids->len; i++)
                if (g_array_index(r->uids, uid_t, i) == who->uid)
                        return true;
        for (guint i = 0; i < r->gids->len; i++)
                for (size_t k = 0; k < who->n_gids; k++)
                        if (g_array_index(r->gids, gid_t, i) == who->gids[k])
                                return true;
        return false;
}

void grants_view(const Grants *g, const Subject *who, GrantView *ret) {
        *ret = (GrantView){
                .everything = who->uid == 0 || who->uid == geteuid(),
                .open = g->rules->len == 0,
                .rules = g_ptr_array_new(),
        };
        for (guint i = 0; i < g->rules->len; i++)
                if (is_for(g->rules->pdata[i], who))
                        g_ptr_array_add(ret->rules, g->rules->pdata[i]);
}

void grant_view_clear(GrantView *v) {
        g_clear_pointer(&v->rules, g_ptr_array_unref);
}

static bool covers(const GrantRule *r, const Path *path, bool some) {
        if (r->paths->len == 0)
                return true;
        for (guint i = 0; i < r->paths->len; i++) {
                const Path *prefix = &g_array_index(r->paths, Path, i);

                if (path_covers(prefix, path) || (some && path_covers(path, prefix)))
                        return true;
        }
        return false;
}

static bool view_may(const GrantView *v, Right right, const Path *path, bool some) {
        if (v->everything)
                return true;
        if (v->open && right < RIGHT_ADMIN)
                return true;
        for (guint i = 0; i < v->rules->len; i++) {
                const GrantRule *r = v->rules->pdata[i];

                if ((r->rights & right ||
                     (right == RIGHT_CREDENTIALS && r->rights & RIGHT_ADMIN)) &&
                    (!path || covers(r, path, some)))
                        return true;
        }
        return false;
}

bool grant_view_may(const GrantView *v, Right right, const Path *path) {
        return view_may(v, right, path, false);
}

bool grant_view_may_some(const GrantView *v, Right right, const Path *path) {
        return view_may(v, right, path, true);
}

void grants_foreach_reservation(const Grants *g, void (*func)(void *userdata, const Reservation *r),
                                void *userdata) {
        for (guint i = 0; i < g->reservations->len; i++)
                func(userdata, g->reservations->pdata[i]);
}

const Reservation *grants_reserved(const Grants *g, const Path *path) {
        for (guint i = 0; i < g->reservations->len; i++) {
                const Reservation *r = g->reservations->pdata[i];

                for (guint k = 0; k < r->paths->len; k++) {
                        const Path *prefix = &g_array_index(r->paths, Path, k);

                        if (path_covers(prefix, path) || path_covers(path, prefix))
                                return r;
                }
        }
        return NULL;
}
