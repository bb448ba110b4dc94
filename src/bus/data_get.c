/* SPDX-License-Identifier: Apache-2.0 */
/* The Data methods that look: Get, GetMany, List. */
#include <errno.h>
#include <string.h>

#include "bus/data.h"
#include "bus/gate.h"
#include "lwm2m/dm/samples.h"
#include "util/cleanup.h"

/* A larger answer would pass the bus's limit of a message, which ends the connection. */
#define ANSWER_VALUES_MAX 200000
#define ANSWER_NODES_MAX 100000
#define PREFIXES_MAX 10000 /* each is a walk, also one that finds nothing */

static bool is_multiple(const Tree *tree, const Path *p) {
        const ResourceDef *def = tree_resource_def(tree, p);

        return def && def->multiple && p->n == 3;
}

int data_not_found(const Tree *tree, const Path *p, sd_bus_error *error) {
        Path instance = path_prefix(p, MIN(p->n, 2));

        if (!tree_object_def(tree, p->id[0], -1))
                return bus_error_named(error, ERROR_PREFIX "NotDefined",
                                       "%s: no definition of object %u is known (see Model.Define)",
                                       PATH_TEXT(p), p->id[0]);
        if (!tree_exists(tree, &instance))
                return bus_error(error, -ENOENT, "%s: there is no Object Instance %s", PATH_TEXT(p),
                                 PATH_TEXT(&instance));
        if (p->n >= 3 && !tree_resource_def(tree, p))
                return bus_error(error, -ENOENT, "%s: object %u has no resource %u", PATH_TEXT(p),
                                 p->id[0], p->id[2]);
        return bus_error(error, -ENOENT, "%s: has no value", PATH_TEXT(p));
}

/* Why a value did not fit into the answer. */
static const char *reason_of_append(int r) {
        switch (r) {
        case -ENOENT:
                return "the application gave no value for this path";
        case -E2BIG:
                return "too big for one message, use GetFd (lwm2mctl fetch)";
        default:
                return NULL;
        }
}

static void on_read(void *userdata, int error, const char *text, const RecordList *records,
                    uint64_t now_usec) {
        Pending *p = userdata;
        sd_bus_message *reply = NULL;
        int r;

        if (error < 0) {
                pending_fail(p, error, text);
                return;
        }
        r = sd_bus_message_new_method_return(p->call, &reply);
        if (r >= 0)
                r = variant_append_records(reply, &p->path,
                                           is_multiple(client_tree(p->bus->client), &p->path),
                                           records);
        if (r >= 0)
                sd_bus_send(NULL, reply, NULL);
        sd_bus_message_unref(reply);
        if (r < 0)
                pending_fail(p, r, reason_of_append(r));
        else
                pending_free(p);
}

int method_get(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Bus *b = userdata;
        Tree *tree = client_tree(b->client);
        sd_bus_message *reply = NULL;
        Pending *pending;
        Path p;
        int r;

        r = path_argument(m, &p, 3, 4, error);
        if (r >= 0)
                r = check_access(m, &p, false, error);
        if (r >= 0)
                r = options_read(m, NULL, error);
        if (r < 0)
                return r;

        pending = pending_new(b, m, &p);
        r = pending_count(pending, error);
        if (r < 0) {
                pending_free(pending);
                return r;
        }
        r = dm_read(client_dm(b->client), &p, on_read, pending, bus_now(b));
        if (r >= 0)
                return 1;
        pending_free(pending);

        r = sd_bus_message_new_method_return(m, &reply);
        if (r >= 0)
                r = variant_append_tree(reply, tree, &p);
        if (r >= 0)
                r = sd_bus_send(NULL, reply, NULL);
        sd_bus_message_unref(reply);
        if (r == -ENOENT)
                return data_not_found(tree, &p, error);
        if (r == -E2BIG)
                return bus_error(error, r, "%s: %s", PATH_TEXT(&p), reason_of_append(r));
        return r < 0 ? r : 1;
}

typedef struct Walk {
        sd_bus_message *reply;
        Bus *bus;
        size_t n, n_bytes;
        uint32_t depth;        /* List: deepest level told */
        int object;            /* List: told already, -1 none */
        bool samples;          /* GetMany: of what is cached, all there are */
        const GrantView *view; /* what of it the sender may read; NULL: all */
} Walk;

static bool is_visible(const Walk *w, const Path *p) {
        if (path_has_keys(p))
                return false;
        return !w->view || grant_view_may(w->view, RIGHT_GET, p);
}

static int append_value(Walk *w, const Path *p, const Value *v, int64_t time_ns) {
        int r;

        w->n_bytes += variant_size(v);
        if (++w->n > ANSWER_VALUES_MAX || w->n_bytes > BUS_VALUE_BYTES_MAX)
                return -E2BIG;
        r = sd_bus_message_open_container(w->reply, 'r', "svx");
        if (r >= 0)
                r = sd_bus_message_append(w->reply, "s", PATH_TEXT(p));
        if (r >= 0)
                r = variant_append(w->reply, v);
        if (r >= 0)
                r = sd_bus_message_append(w->reply, "x", time_ns);
        return r < 0 ? r : sd_bus_message_close_container(w->reply);
}

/* -ENOENT is also for an object that is not known, not for one without instances. */
static int walk(Walk *w, const Path *p, TreeVisit visit) {
        if (p->n > 0 && !tree_object_def(client_tree(w->bus->client), p->id[0], -1))
                return -ENOENT;
        return dm_walk(client_dm(w->bus->client), p, visit, w);
}

/* The samples of one cache on their way into the answer. */
typedef struct Samples {
        Walk *walk;
        const Path *path;
        int error;
} Samples;

static void on_sample(void *userdata, int64_t time_ns, const Value *v) {
        Samples *s = userdata;

        if (s->error >= 0)
                s->error = append_value(s->walk, s->path, v, time_ns);
}

/* Returns how many. */
static int append_samples(Walk *w, const Path *p) {
        const Series *series = dm_series(client_dm(w->bus->client));
        Samples s = { .walk = w, .path = p };
        size_t n;

        if (!series)
                return 0;
        n = series_read(series, p, ANSWER_VALUES_MAX + 1, on_sample, &s);
        return s.error < 0 ? s.error : (int) n;
}

static int visit_value(void *userdata, const Path *p, const Value *v, const ResourceDef *def) {
        Walk *w = userdata;
        int r;

        if (!v || v->type == VALUE_NONE || !is_visible(w, p))
                return 0;
        r = w->samples ? append_samples(w, p) : 0;
        if (r != 0)
                return MIN(r, 0);
        return append_value(w, p, v, 0);
}

static int append_prefix(Walk *w, sd_bus_message *m, const Path *p, sd_bus_error *error) {
        int r;

        r = check_right_some(m, p, &w->view, error);
        if (r < 0)
                return r;
        r = walk(w, p, visit_value);
        if (r == -ENOENT)
                return data_not_found(client_tree(w->bus->client), p, error);
        if (r == -E2BIG)
                return bus_error(error, r,
                                 "%s: more than %d values or %d bytes of them: ask for less at "
                                 "once, and for big ones with GetFd",
                                 PATH_TEXT(p), ANSWER_VALUES_MAX, BUS_VALUE_BYTES_MAX);
        return r;
}

/* The options stand behind the prefixes, and say how these are answered. */
static int read_prefixes(sd_bus_message *m, GArray *ret, bool *ret_samples, sd_bus_error *error) {
        const Option options[] = { { "samples", OPTION_BOOL, ret_samples }, { NULL } };
        int r;

        r = read_paths(m, 0, PREFIXES_MAX, NULL, ret, error);
        return r < 0 ? r : options_read(m, options, error);
}

int method_get_many(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        g_autoptr(GArray) prefixes = g_array_new(FALSE, FALSE, sizeof(Path));
        Walk w = { .bus = userdata };
        int r;

        r = read_prefixes(m, prefixes, &w.samples, error);
        if (r < 0)
                return r;
        r = sd_bus_message_new_method_return(m, &w.reply);
        if (r >= 0)
                r = sd_bus_message_open_container(w.reply, 'a', "(svx)");
        for (guint i = 0; i < prefixes->len && r >= 0; i++)
                r = append_prefix(&w, m, &g_array_index(prefixes, Path, i), error);
        if (r >= 0)
                r = sd_bus_message_close_container(w.reply);
        return reply_send(w.reply, r);
}

/* --- List --- */

static const char *operations_text(const ResourceDef *def) {
        static const char *const texts[] = { "", "R", "W", "RW", "E", "RE", "WE", "RWE" };

        return def ? texts[def->operations & 7] : "";
}

static int append_observers(Walk *w, const Path *p) {
        g_autofree uint16_t *ids = NULL;
        size_t n;
        int r;

        r = sd_bus_message_open_container(w->reply, 'e', "sv");
        if (r >= 0)
                r = sd_bus_message_append(w->reply, "s", "observed_by");
        if (r >= 0)
                r = sd_bus_message_open_container(w->reply, 'v', "aq");
        if (r < 0)
                return r;
        ids = dm_observers(client_dm(w->bus->client), p, &n);
        r = sd_bus_message_append_array(w->reply, 'q', ids, n * sizeof(uint16_t));
        if (r >= 0)
                r = sd_bus_message_close_container(w->reply);
        return r < 0 ? r : sd_bus_message_close_container(w->reply);
}

static int append_attributes(Walk *w, const Path *p) {
        g_autofree uint16_t *servers = NULL;
        size_t n;
        int r = 0;

        servers = client_servers(w->bus->client, &n);
        for (size_t i = 0; i < n && r >= 0; i++) {
                g_autofree char *text = dm_attributes(client_dm(w->bus->client), servers[i], p);
                g_autofree char *key =
                        g_strdup_printf(n > 1 ? "attributes-%u" : "attributes", servers[i]);

                if (text && *text)
                        r = sd_bus_message_append(w->reply, "{sv}", key, "s", text);
        }
        return r;
}

static int append_owner(Walk *w, const Path *p) {
        const GPtrArray *list = claims_find(w->bus->claims, p);
        const Claim *c = list ? g_ptr_array_index(list, 0) : NULL;

        if (!c)
                return 0;
        return sd_bus_message_append(w->reply, "{sv}", "owner", "s",
                                     claim_address(c) ? claim_address(c) : "(gone)");
}

static int append_cache(Walk *w, const Path *p, const ResourceDef *def) {
        const Dm *dm = client_dm(w->bus->client);
        const SeriesPolicy *policy;
        SeriesInfo info = { .n = 0 };

        if (p->n != (def && def->multiple ? 4 : 3) || !samples_cached(dm, p, def))
                return 0;
        policy = series_policy(dm_series(dm), p);
        (void) series_info(dm_series(dm), p, &info);
        return sd_bus_message_append(w->reply, "{sv}{sv}{sv}{sv}{sv}", "cached", "u", info.n,
                                     "cache", "u", policy->samples, "cache_full", "s",
                                     policy->drop_oldest ? "oldest" : "newest", "cache_read", "s",
                                     policy->read_latest ? "latest" : "all", "cache_dropped", "t",
                                     info.n_dropped);
}

static int append_node(Walk *w, const Path *p, const Value *v, const ResourceDef *def) {
        Store *store = client_store(w->bus->client);
        int r;

        if (++w->n > ANSWER_NODES_MAX)
                return -E2BIG;
        r = sd_bus_message_open_container(w->reply, 'r', "sa{sv}");
        if (r >= 0)
                r = sd_bus_message_append(w->reply, "s", PATH_TEXT(p));
        if (r >= 0)
                r = sd_bus_message_open_container(w->reply, 'a', "{sv}");
        if (r >= 0 && def)
                r = sd_bus_message_append(w->reply, "{sv}{sv}{sv}{sv}", "name", "s",
                                          def->name ? def->name : "", "type", "s",
                                          def->type == VALUE_NONE ? "" : value_type_name(def->type),
                                          "ops", "s", operations_text(def), "multiple", "b",
                                          def->multiple && p->n == 3);
        if (r >= 0)
                r = append_owner(w, p);
        if (r >= 0)
                r = append_observers(w, p);
        if (r >= 0)
                r = append_attributes(w, p);
        if (r >= 0)
                r = append_cache(w, p, def);
        if (r >= 0 && v && store)
                r = sd_bus_message_append(w->reply, "{sv}", "persisted", "b",
                                          store_is_persisted(store, p));
        if (r >= 0)
                r = sd_bus_message_close_container(w->reply);
        return r < 0 ? r : sd_bus_message_close_container(w->reply);
}

static int visit_node(void *userdata, const Path *p, const Value *v, const ResourceDef *def) {
        Walk *w = userdata;
        int r;

        if (!is_visible(w, p))
                return 0;
        if (w->object != p->id[0]) { /* the walk visits no objects, only what is in them */
                const Path object = PATH_O(p->id[0]);

                w->object = p->id[0];
                r = append_node(w, &object, NULL, NULL);
                if (r < 0)
                        return r;
        }
        return p->n > w->depth ? 0 : append_node(w, p, v, def);
}

int method_list(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Walk w = { .bus = userdata, .depth = 4, .object = -1 };
        Tree *tree = client_tree(w.bus->client);
        uint32_t depth = 0;
        const Option options[] = { { "depth", OPTION_U32, &depth }, { NULL } };
        Path p;
        int r;

        r = path_argument(m, &p, 0, 4, error);
        if (r >= 0)
                r = check_right_some(m, &p, &w.view, error);
        if (r >= 0)
                r = options_read(m, options, error);
        if (r < 0)
                return r;
        if (depth > 0)
                w.depth = p.n + depth;
        if (p.n > 0)
                w.object = p.id[0]; /* known to who asks */
        r = sd_bus_message_new_method_return(m, &w.reply);
        if (r >= 0)
                r = sd_bus_message_open_container(w.reply, 'a', "(sa{sv})");
        if (r >= 0)
                r = walk(&w, &p, visit_node);
        if (r == -ENOENT)
                r = data_not_found(tree, &p, error);
        else if (r == -E2BIG)
                r = bus_error(error, r, "More than %d nodes: ask for less at once (depth)",
                              ANSWER_NODES_MAX);
        if (r >= 0)
                r = sd_bus_message_close_container(w.reply);
        return reply_send(w.reply, r);
}
