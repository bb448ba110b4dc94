/* SPDX-License-Identifier: Apache-2.0 */
#include "bus/owners.h"

#include <errno.h>
#include <glib.h>

#include "util/log.h"

struct Owners {
        uint32_t quotas[_QUOTA_MAX];
        GHashTable *by_name; /* unique name -> Owner, borrowed */
        GHashTable *by_uid;  /* uid -> Usage */
        void (*vanished)(void *userdata, Owner *o);
        void *userdata;
};

typedef struct Usage {
        uint32_t n[_QUOTA_MAX];
        uint32_t n_owners;
} Usage;

struct Owner {
        Owners *owners;
        char *name;
        uid_t uid;
        bool counted;
        unsigned n_ref;
        sd_bus_track *track;
};

Owners *owners_new(const uint32_t quotas[static _QUOTA_MAX],
                   void (*vanished)(void *userdata, Owner *o), void *userdata) {
        Owners *os = g_new0(Owners, 1);

        for (int i = 0; i < _QUOTA_MAX; i++)
                os->quotas[i] = quotas[i];
        os->by_name = g_hash_table_new(g_str_hash, g_str_equal);
        os->by_uid = g_hash_table_new_full(NULL, NULL, NULL, g_free);
        os->vanished = vanished;
        os->userdata = userdata;
        return os;
}

Owners *owners_free(Owners *os) {
        if (!os)
                return NULL;
        g_assert(g_hash_table_size(os->by_name) == 0);
        g_hash_table_unref(os->by_name);
        g_hash_table_unref(os->by_uid);
        g_free(os);
        return NULL;
}

/* A track that stays alive while empty is dispatched again and again: it goes with its only name.
 */
static int on_vanished(sd_bus_track *track, void *userdata) {
        Owner *o = owner_ref(userdata);

        o->track = sd_bus_track_unref(o->track);
        o->owners->vanished(o->owners->userdata, o);
        owner_unref(o);
        return 1;
}

void owners_drop_all(Owners *os) {
        g_autoptr(GList) all = g_hash_table_get_values(os->by_name);

        for (GList *l = all; l; l = l->next)
                owner_ref(l->data);
        for (GList *l = all; l; l = l->next) {
                Owner *o = l->data;

                o->track = sd_bus_track_unref(o->track);
                os->vanished(os->userdata, o);
                owner_unref(o);
        }
}

static int sender_uid(sd_bus_message *m, uid_t *ret) {
        sd_bus_creds *creds = NULL;
        int r;

        r = sd_bus_query_sender_creds(m, SD_BUS_CREDS_EUID, &creds);
        if (r >= 0)
                r = sd_bus_creds_get_euid(creds, ret);
        sd_bus_creds_unref(creds);
        return r;
}

static Usage *usage(Owners *os, uid_t uid) {
        Usage *u = g_hash_table_lookup(os->by_uid, GUINT_TO_POINTER(uid));

        if (!u) {
                u = g_new0(Usage, 1);
                g_hash_table_insert(os->by_uid, GUINT_TO_POINTER(uid), u);
        }
        return u;
}

static void drop_unused(Owners *os, uid_t uid) {
        const Usage *u = usage(os, uid);

        for (int i = 0; i < _QUOTA_MAX; i++)
                if (u->n[i] > 0)
                        return;
        if (u->n_owners == 0)
                g_hash_table_remove(os->by_uid, GUINT_TO_POINTER(uid));
}

static int count_owner(Owner *o) {
        Usage *u = usage(o->owners, o->uid);

        if (u->n_owners >= OWNERS_OF_USER_MAX ||
            g_hash_table_size(o->owners->by_name) > OWNERS_MAX) {
                drop_unused(o->owners, o->uid);
                return -EDQUOT;
        }
        u->n_owners++;
        o->counted = true;
        return 0;
}

int owners_get(Owners *os, sd_bus_message *m, Owner **ret) {
        const char *name = sd_bus_message_get_sender(m);
        Owner *o;
        int r;

        if (!name)
                return -EINVAL;
        o = g_hash_table_lookup(os->by_name, name);
        if (o) {
                *ret = owner_ref(o);
                return 0;
        }
        o = g_new0(Owner, 1);
        o->owners = os;
        o->name = g_strdup(name);
        o->n_ref = 1;
        g_hash_table_insert(os->by_name, o->name, o);
        r = sender_uid(m, &o->uid);
        if (r >= 0)
                r = count_owner(o);
        if (r >= 0)
                r = sd_bus_track_new(sd_bus_message_get_bus(m), &o->track, on_vanished, o);
        if (r >= 0)
                r = sd_bus_track_add_name(o->track, name);
        if (r < 0) {
                owner_unref(o);
                if (r == -EDQUOT)
                        return r;
                return log_warning_errno(r, "Cannot follow bus client %s: %m", name);
        }
        *ret = o;
        return 0;
}

Owner *owner_ref(Owner *o) {
        o->n_ref++;
        return o;
}

Owner *owner_unref(Owner *o) {
        if (!o || --o->n_ref > 0)
                return NULL;
        g_hash_table_remove(o->owners->by_name, o->name);
        sd_bus_track_unref(o->track);
        if (o->counted) {
                usage(o->owners, o->uid)->n_owners--;
                drop_unused(o->owners, o->uid);
        }
        g_free(o->name);
        g_free(o);
        return NULL;
}

const char *owner_name(const Owner *o) {
        return o->name;
}

uid_t owner_uid(const Owner *o) {
        return o->uid;
}

int owner_take(Owner *o, Quota q, uint32_t *ret_limit) {
        Usage *u = usage(o->owners, o->uid);

        *ret_limit = o->owners->quotas[q];
        if (u->n[q] >= o->owners->quotas[q])
                return -EDQUOT;
        u->n[q]++;
        return 0;
}

void owner_give_back(Owner *o, Quota q) {
        Usage *u = usage(o->owners, o->uid);

        g_assert(u && u->n[q] > 0);
        u->n[q]--;
        drop_unused(o->owners, o->uid);
}
