/* SPDX-License-Identifier: Apache-2.0 */
#include "bus/senders.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <string.h>

#include "util/log.h"
#include "util/timerq.h"

#define SENDERS_MAX 512 /* unique names known; the oldest goes */
#define USERS_MAX 1024  /* with something to count */
#define GROUPS_MAX 1024 /* of one user */
#define BUS_CALL_USEC (2 * USEC_PER_SEC)

typedef struct User {
        uint32_t n_calls;
        uint64_t budget; /* values left of this second */
        uint64_t refilled_usec;
} User;

struct Senders {
        Grants *grants;
        SenderLimits limits;
        GHashTable *by_name; /* unique name -> Sender */
        GQueue names;        /* its keys, oldest first; owned by it */
        GHashTable *groups;  /* uid -> GArray of gid_t: as the user database has them */
        GHashTable *users;   /* uid -> User */
};

/* --- life --- */
static void free_sender(void *sender) {
        grant_view_clear(&((Sender *) sender)->view);
        g_free(sender);
}

static void unref_array(void *array) {
        g_array_unref(array);
}

Senders *senders_new(Grants *g, const SenderLimits *limits) {
        Senders *s = g_new(Senders, 1);

        *s = (Senders){
                .grants = grants_ref(g),
                .limits = *limits,
                .by_name = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, free_sender),
                .groups = g_hash_table_new_full(NULL, NULL, NULL, unref_array),
                .users = g_hash_table_new_full(NULL, NULL, NULL, g_free),
        };
        return s;
}

void senders_forget(Senders *s) {
        g_queue_clear(&s->names);
        g_hash_table_remove_all(s->by_name);
        g_hash_table_remove_all(s->groups);
}

Senders *senders_free(Senders *s) {
        if (!s)
                return NULL;
        senders_forget(s);
        g_hash_table_unref(s->by_name);
        g_hash_table_unref(s->groups);
        g_hash_table_unref(s->users);
        grants_unref(s->grants);
        g_free(s);
        return NULL;
}

void senders_set_grants(Senders *s, Grants *g) {
        senders_forget(s); /* the views are of the former rules */
        grants_ref(g);
        grants_unref(s->grants);
        s->grants = g;
}

const Grants *senders_grants(const Senders *s) {
        return s->grants;
}

const SenderLimits *senders_limits(const Senders *s) {
        return &s->limits;
}

/* --- who it is --- */
typedef struct Credentials {
        uid_t uid;
        bool has_uid;
        GArray *gids; /* gid_t; NULL: the bus does not tell */
} Credentials;

static int read_gids(sd_bus_message *m, GArray **ret) {
        const void *gids;
        size_t n;
        int r;

        r = sd_bus_message_enter_container(m, 'v', "au");
        if (r >= 0)
                r = sd_bus_message_read_array(m, 'u', &gids, &n);
        if (r < 0)
                return r;
        if (!*ret && n / sizeof(uint32_t) <= GROUPS_MAX) {
                *ret = g_array_new(FALSE, FALSE, sizeof(gid_t));
                g_array_append_vals(*ret, gids, (guint) (n / sizeof(uint32_t)));
        }
        return sd_bus_message_exit_container(m);
}

static int read_credential(sd_bus_message *m, Credentials *c) {
        const char *key;
        uint32_t uid;
        int r;

        r = sd_bus_message_read_basic(m, 's', &key);
        if (r < 0)
                return r;
        if (strcmp(key, "UnixGroupIDs") == 0)
                return read_gids(m, &c->gids);
        if (strcmp(key, "UnixUserID") != 0)
                return sd_bus_message_skip(m, "v");
        r = sd_bus_message_read(m, "v", "u", &uid);
        c->uid = uid;
        c->has_uid = r >= 0;
        return r;
}

/* No /proc: what stands there may be of another process by then. */
static int ask_bus(sd_bus *bus, const char *name, Credentials *ret) {
        sd_bus_message *call = NULL, *reply = NULL;
        int r;

        r = sd_bus_message_new_method_call(bus, &call, "org.freedesktop.DBus",
                                           "/org/freedesktop/DBus", "org.freedesktop.DBus",
                                           "GetConnectionCredentials");
        if (r >= 0)
                r = sd_bus_message_append(call, "s", name);
        if (r >= 0)
                r = sd_bus_call(bus, call, BUS_CALL_USEC, NULL, &reply);
        if (r >= 0)
                r = sd_bus_message_enter_container(reply, 'a', "{sv}");
        while (r >= 0 && (r = sd_bus_message_enter_container(reply, 'e', "sv")) > 0) {
                r = read_credential(reply, ret);
                if (r >= 0)
                        r = sd_bus_message_exit_container(reply);
        }
        sd_bus_message_unref(call);
        sd_bus_message_unref(reply);
        return r < 0 ? r : ret->has_uid ? 0 : -ENODATA;
}

/* Only a bus that does not tell groups (before dbus 1.15) makes us ask the user database, and only
 * when some rule is for a group: once for each user. */
static GArray *look_up_groups(uid_t uid) {
        GArray *gids = g_array_sized_new(FALSE, FALSE, sizeof(gid_t), GROUPS_MAX);
        struct passwd entry, *found = NULL;
        int n = GROUPS_MAX;
        char buffer[4096];

        if (getpwuid_r(uid, &entry, buffer, sizeof(buffer), &found) != 0 || !found)
                return gids;
        if (getgrouplist(entry.pw_name, entry.pw_gid, (gid_t *) (void *) gids->data, &n) < 0)
                n = 0; /* in more groups than any rule needs */
        g_array_set_size(gids, (guint) n);
        return gids;
}

static const GArray *groups_of(Senders *s, uid_t uid) {
        GArray *gids = g_hash_table_lookup(s->groups, GUINT_TO_POINTER(uid));

        if (gids || !grants_has_groups(s->grants))
                return gids;
        gids = look_up_groups(uid);
        g_hash_table_insert(s->groups, GUINT_TO_POINTER(uid), gids);
        return gids;
}

static Sender *learn(Senders *s, const char *name, const Credentials *c) {
        const GArray *gids = c->gids ? c->gids : groups_of(s, c->uid);
        Sender *sender = g_new(Sender, 1);
        char *key = g_strdup(name);
        Subject who = { .uid = c->uid };

        if (gids) {
                who.gids = (const gid_t *) (const void *) gids->data;
                who.n_gids = gids->len;
        }
        sender->uid = c->uid;
        grants_view(s->grants, &who, &sender->view);
        while (g_hash_table_size(s->by_name) >= SENDERS_MAX)
                g_hash_table_remove(s->by_name, g_queue_pop_head(&s->names));
        g_hash_table_insert(s->by_name, key, sender);
        g_queue_push_tail(&s->names, key);
        return sender;
}

int senders_get(Senders *s, sd_bus *bus, const char *name, const Sender **ret) {
        Credentials c = { .gids = NULL };
        int r;

        if (!name)
                return -EACCES;
        *ret = g_hash_table_lookup(s->by_name, name);
        if (*ret)
                return 0;
        r = ask_bus(bus, name, &c);
        if (r >= 0)
                *ret = learn(s, name, &c);
        else
                log_debug_errno(r, "Cannot learn who %s is: %m", name);
        g_clear_pointer(&c.gids, g_array_unref);
        return r < 0 ? -EACCES : 0;
}

/* --- how much --- */
static gboolean is_idle(gpointer key, gpointer value, gpointer userdata) {
        return ((const User *) value)->n_calls == 0;
}

static User *user(Senders *s, uid_t uid) {
        User *u = g_hash_table_lookup(s->users, GUINT_TO_POINTER(uid));

        if (u)
                return u;
        if (g_hash_table_size(s->users) >= USERS_MAX)
                g_hash_table_foreach_remove(s->users, is_idle, NULL);
        u = g_new0(User, 1);
        u->budget = s->limits.values;
        g_hash_table_insert(s->users, GUINT_TO_POINTER(uid), u);
        return u;
}

int senders_take_call(Senders *s, uid_t uid) {
        User *u = user(s, uid);

        if (u->n_calls >= s->limits.calls)
                return -EDQUOT;
        u->n_calls++;
        return 0;
}

void senders_give_call(Senders *s, uid_t uid) {
        User *u = user(s, uid);

        g_assert(u->n_calls > 0);
        u->n_calls--;
}

int senders_spend(Senders *s, uid_t uid, uint64_t n, uint64_t now_usec) {
        User *u = user(s, uid);

        if (now_usec - u->refilled_usec >= USEC_PER_SEC) {
                u->budget = s->limits.values;
                u->refilled_usec = now_usec;
        }
        if (n > u->budget)
                return -EDQUOT;
        u->budget -= n;
        return 0;
}
