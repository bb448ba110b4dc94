/* SPDX-License-Identifier: Apache-2.0 */
/* Data.Subscribe: a client names prefixes and gets Changed signals, unicast, with the values below
 * them that servers changed (with local=true also those that applications set). Within
 * min_interval_ms changes of one path coalesce to the newest; a path list that grows past its limit
 * is cut and counted as lost. A bus or a subscriber that does not read has changes coalesce, too.
 */
#include <errno.h>
#include <string.h>

#include "bus/flow.h"
#include "bus/gate.h"
#include "lwm2m/observe/path_index.h"
#include "model/path_table.h"

#define PREFIXES_MAX 256
#define PENDING_MAX 1024
#define BEHIND_USEC (100 * USEC_PER_MSEC) /* until a bus that was behind is tried again */
#define CHANGED_BYTES_MAX (1 << 20)       /* of text and opaque values in one Changed */
#define CHANGED_BYTES_EACH 64u            /* about what a value or name takes beside its text */

struct Subscriptions {
        Bus *bus;
        Tree *tree;       /* listened to */
        GPtrArray *all;   /* Subscription */
        PathIndex *index; /* of them, by their prefixes */
        uint32_t last_id;
        unsigned n_touched; /* Touched signals in this second */
        uint64_t touched_since_usec;
};

typedef struct Subscription {
        Subscriptions *owner_list;
        uint32_t id;
        Owner *owner;
        GArray *prefixes; /* Path */
        uint32_t min_interval_ms;
        bool local;
        GHashTable *pending; /* Path -> itself */
        uint64_t n_lost;
        uint64_t last_sent_usec;
        Timer *timer;
        Flow flow;
        Origin origin; /* of the newest change pending */
        uint16_t ssid;
} Subscription;

static void subscription_free(gpointer p) {
        Subscription *s = p;

        flow_clear(&s->flow);
        for (guint i = 0; i < s->prefixes->len; i++)
                path_index_remove(s->owner_list->index, &g_array_index(s->prefixes, Path, i), s);
        owner_give_back(s->owner, QUOTA_SUBSCRIPTIONS);
        owner_unref(s->owner);
        g_array_unref(s->prefixes);
        g_hash_table_unref(s->pending);
        timer_free(s->timer);
        g_free(s);
}

static int compare_paths(gconstpointer a, gconstpointer b) {
        return path_compare(*(const Path *const *) a, *(const Path *const *) b);
}

typedef struct Fill {
        sd_bus_message *m;
        int64_t now_ns;
        size_t n_bytes, n_values;
        uint64_t n_lost; /* values that did not fit */
} Fill;

static int append_value(void *userdata, const Path *p, const Value *v, const ResourceDef *def) {
        Fill *fill = userdata;
        int r;

        if (!v || v->type == VALUE_NONE || path_has_keys(p))
                return 0;
        if (fill->n_bytes + variant_size(v) > CHANGED_BYTES_MAX) {
                fill->n_lost++;
                return 0;
        }
        fill->n_bytes += variant_size(v);
        fill->n_values++;
        r = sd_bus_message_open_container(fill->m, 'r', "svx");
        if (r >= 0)
                r = sd_bus_message_append(fill->m, "s", PATH_TEXT(p));
        if (r >= 0)
                r = variant_append(fill->m, v);
        if (r >= 0)
                r = sd_bus_message_append(fill->m, "x", fill->now_ns);
        return r < 0 ? r : sd_bus_message_close_container(fill->m);
}

/* Deleted paths have no value to tell; their names go into the details. */
static int append_details(const Subscription *s, sd_bus_message *m, const GPtrArray *gone,
                          uint64_t n_lost) {
        int r;

        r = sd_bus_message_open_container(m, 'a', "{sv}");
        if (r >= 0)
                r = sd_bus_message_append(m, "{sv}{sv}", "op", "s",
                                          s->origin == ORIGIN_SERVER ? "server" : "local", "server",
                                          "q", s->ssid);
        if (r >= 0 && n_lost > 0)
                r = sd_bus_message_append(m, "{sv}", "lost", "t", n_lost);
        if (r >= 0 && gone->len > 0) {
                r = sd_bus_message_open_container(m, 'e', "sv");
                if (r >= 0)
                        r = sd_bus_message_append(m, "s", "deleted");
                if (r >= 0)
                        r = sd_bus_message_open_container(m, 'v', "as");
                if (r >= 0)
                        r = sd_bus_message_open_container(m, 'a', "s");
                for (guint i = 0; i < gone->len && r >= 0; i++)
                        r = sd_bus_message_append(
                                m, "s", PATH_TEXT((const Path *) g_ptr_array_index(gone, i)));
                for (int i = 0; i < 3 && r >= 0; i++)
                        r = sd_bus_message_close_container(m);
        }
        return r < 0 ? r : sd_bus_message_close_container(m);
}

static int send_changed(Subscription *s) {
        Bus *b = s->owner_list->bus;
        Tree *tree = client_tree(b->client);
        g_autoptr(GPtrArray) paths = g_ptr_array_new(), gone = g_ptr_array_new();
        Fill fill = { .now_ns = g_get_real_time() * 1000 };
        GHashTableIter i;
        gpointer key;
        int r;

        g_hash_table_iter_init(&i, s->pending);
        while (g_hash_table_iter_next(&i, &key, NULL))
                g_ptr_array_add(tree_exists(tree, key) ? paths : gone, key);
        g_ptr_array_sort(paths, compare_paths);
        g_ptr_array_sort(gone, compare_paths);

        r = sd_bus_message_new_signal(b->bus, &fill.m, BUS_PATH, BUS_NAME ".Data", "Changed");
        if (r >= 0)
                r = sd_bus_message_append(fill.m, "u", s->id);
        if (r >= 0)
                r = sd_bus_message_open_container(fill.m, 'a', "(svx)");
        for (guint k = 0; k < paths->len && r >= 0; k++)
                r = tree_walk(tree, g_ptr_array_index(paths, k), append_value, &fill);
        if (r >= 0)
                r = sd_bus_message_close_container(fill.m);
        if (r >= 0)
                r = append_details(s, fill.m, gone, s->n_lost + fill.n_lost);
        if (r >= 0)
                r = sd_bus_send_to(b->bus, fill.m, owner_name(s->owner), NULL);
        if (r >= 0)
                flow_sent(&s->flow,
                          fill.n_bytes + CHANGED_BYTES_EACH * (1 + fill.n_values + gone->len));
        sd_bus_message_unref(fill.m);
        return r;
}

static void on_due(void *userdata, uint64_t now_usec) {
        Subscription *s = userdata;

        if (!s->owner_list->bus->bus || !flow_is_open(&s->flow))
                return;
        if (bus_is_behind(s->owner_list->bus)) {
                timer_arm(s->timer, now_usec + BEHIND_USEC);
                return;
        }
        send_changed(s);
        g_hash_table_remove_all(s->pending);
        s->n_lost = 0;
        s->last_sent_usec = now_usec;
}

static void on_flow_open(void *userdata, uint64_t now_usec) {
        Subscription *s = userdata;

        if (g_hash_table_size(s->pending) > 0)
                timer_arm(s->timer, now_usec);
}

static void note(Subscription *s, const Path *p, Origin origin, uint16_t ssid) {
        if (g_hash_table_contains(s->pending, p))
                ;
        else if (g_hash_table_size(s->pending) >= PENDING_MAX)
                s->n_lost++;
        else
                g_hash_table_add(s->pending, path_dup(p));
        s->origin = origin;
        s->ssid = ssid;
        if (timer_due(s->timer) == USEC_INFINITY) {
                uint64_t now_usec = bus_now(s->owner_list->bus);
                uint64_t due = s->last_sent_usec + s->min_interval_ms * USEC_PER_MSEC;

                timer_arm(s->timer, s->last_sent_usec ? MAX(now_usec, due) : now_usec);
        }
}

#define TOUCHED_PER_SECOND 100

/* Everybody may hear of it, so no value goes out; and no more than the bus can stand. */
static void touch(Subscriptions *all, const Change *change, uint16_t ssid) {
        static const char *const names[] = {
                [CHANGE_SET] = "write", [CHANGE_CREATED] = "create", [CHANGE_DELETED] = "delete"
        };
        uint64_t now_usec = bus_now(all->bus);

        if (path_has_keys(&change->path))
                return;
        if (now_usec - all->touched_since_usec >= USEC_PER_SEC) {
                all->touched_since_usec = now_usec;
                all->n_touched = 0;
        }
        if (all->n_touched++ >= TOUCHED_PER_SECOND || bus_is_behind(all->bus))
                return;
        sd_bus_emit_signal(all->bus->bus, BUS_PATH, BUS_NAME ".Data", "Touched", "ssq",
                           PATH_TEXT(&change->path), names[change->kind], ssid);
}

typedef struct Noted {
        const Path *path;
        Origin origin;
        uint16_t ssid;
} Noted;

static void on_covered(void *userdata, void *thing) {
        const Noted *noted = userdata;
        Subscription *s = thing;

        if (noted->origin == ORIGIN_SERVER || s->local)
                note(s, noted->path, noted->origin, noted->ssid);
}

static void on_commit(void *userdata, Origin origin, uint16_t ssid, const Change *changes,
                      size_t n) {
        Subscriptions *all = userdata;

        if (!all->bus->bus)
                return;
        for (size_t c = 0; c < n && origin == ORIGIN_SERVER; c++)
                touch(all, &changes[c], ssid);
        for (size_t c = 0; c < n && all->all->len > 0; c++) {
                Noted noted = { .path = &changes[c].path, .origin = origin, .ssid = ssid };

                if (!path_has_keys(noted.path))
                        path_index_covering(all->index, noted.path, on_covered, &noted);
        }
}

Subscriptions *subscriptions_new(Bus *b) {
        Subscriptions *s = g_new0(Subscriptions, 1);

        s->bus = b;
        s->all = g_ptr_array_new_with_free_func(subscription_free);
        s->index = path_index_new();
        return s;
}

Subscriptions *subscriptions_free(Subscriptions *s) {
        if (!s)
                return NULL;
        if (s->tree)
                tree_remove_listener(s->tree, on_commit, s);
        g_ptr_array_unref(s->all);
        path_index_free(s->index);
        g_free(s);
        return NULL;
}

void subscriptions_attach(Subscriptions *s, Tree *tree) {
        s->tree = tree;
        tree_on_commit(tree, on_commit, s);
}

void subscriptions_vanished(Subscriptions *s, const Owner *o) {
        for (guint i = s->all->len; i-- > 0;)
                if (((Subscription *) g_ptr_array_index(s->all, i))->owner == o)
                        g_ptr_array_remove_index(s->all, i);
}

static bool has_path(const GArray *paths, const Path *p) {
        for (guint i = 0; i < paths->len; i++)
                if (path_equal(&g_array_index(paths, Path, i), p))
                        return true;
        return false;
}

static bool is_allowed(const Subscription *s) {
        Bus *b = s->owner_list->bus;

        for (guint i = 0; i < s->prefixes->len; i++)
                if (!gate_may(b, owner_name(s->owner), RIGHT_GET,
                              &g_array_index(s->prefixes, Path, i)))
                        return false;
        return true;
}

void subscriptions_recheck(Subscriptions *s) {
        for (guint i = s->all->len; i-- > 0;)
                if (!is_allowed(g_ptr_array_index(s->all, i)))
                        g_ptr_array_remove_index(s->all, i);
}

static int read_prefixes(sd_bus_message *m, GArray *ret, sd_bus_error *error) {
        g_autoptr(GArray) all = g_array_new(FALSE, FALSE, sizeof(Path));
        int r;

        r = read_paths(m, 0, PREFIXES_MAX, check_path_read, all, error);
        if (r >= 0 && all->len == 0)
                return bus_error_named(error, ERROR_PREFIX "InvalidPath",
                                       "Subscribe needs at least one prefix (\"/\" is everything)");
        for (guint i = 0; r >= 0 && i < all->len; i++)
                if (!has_path(ret, &g_array_index(all, Path, i)))
                        g_array_append_val(ret, g_array_index(all, Path, i));
        return r;
}

int method_subscribe(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Bus *b = userdata;
        g_autoptr(GArray) prefixes = g_array_new(FALSE, FALSE, sizeof(Path));
        uint32_t interval = 0, limit;
        bool local = false;
        const Option options[] = { { "min_interval_ms", OPTION_U32, &interval },
                                   { "local", OPTION_BOOL, &local },
                                   { NULL } };
        Subscription *s;
        Owner *owner;
        int r;

        r = read_prefixes(m, prefixes, error);
        if (r >= 0)
                r = options_read(m, options, error);
        if (r >= 0)
                r = bus_owner(b, m, &owner, error);
        if (r < 0)
                return r;
        if (owner_take(owner, QUOTA_SUBSCRIPTIONS, &limit) < 0) {
                owner_unref(owner);
                return bus_error(error, -EDQUOT,
                                 "This user has %u subscriptions, the most allowed ([Limits] "
                                 "SubscriptionsPerUser)",
                                 limit);
        }
        s = g_new0(Subscription, 1);
        s->owner_list = b->subscriptions;
        s->id = ++b->subscriptions->last_id;
        s->owner = owner;
        s->prefixes = g_steal_pointer(&prefixes);
        s->min_interval_ms = interval;
        s->local = local;
        s->pending = path_table_new(NULL);
        s->timer = timer_new(loop_timers(b->loop), on_due, s);
        flow_init(&s->flow, b, owner_name(owner), on_flow_open, s);
        g_ptr_array_add(b->subscriptions->all, s);
        for (guint i = 0; i < s->prefixes->len; i++)
                path_index_add(b->subscriptions->index, &g_array_index(s->prefixes, Path, i), s);
        return sd_bus_reply_method_return(m, "u", s->id);
}

int method_unsubscribe(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Bus *b = userdata;
        const char *sender = sd_bus_message_get_sender(m);
        uint32_t id;
        int r;

        r = sd_bus_message_read(m, "u", &id);
        if (r < 0)
                return r;
        for (guint i = 0; i < b->subscriptions->all->len; i++) {
                const Subscription *s = g_ptr_array_index(b->subscriptions->all, i);

                if (s->id != id || g_strcmp0(owner_name(s->owner), sender) != 0)
                        continue;
                g_ptr_array_remove_index(b->subscriptions->all, i);
                return reply_ok(m);
        }
        return bus_error(error, -ENOENT, "You have no subscription %u", id);
}
