/* SPDX-License-Identifier: Apache-2.0 */
#include "lwm2m/observe.h"

#include <errno.h>

#include "lwm2m/notify_body.h"

Observer *observer_new(Dm *dm) {
        Observer *s = g_new(Observer, 1);

        *s = (Observer){ .dm = dm, .index = path_index_new() };
        s->flush = timer_new(dm->config.timers, notify_on_flush, s);
        return s;
}

Observer *observer_free(Observer *s) {
        if (s) {
                timer_free(s->flush);
                path_index_free(s->index);
        }
        g_free(s);
        return NULL;
}

void observe_event(const Observation *o, const char *name, const char *why) {
        const DmConfig *config = &o->observer->dm->config;

        if (config->event)
                config->event(config->event_userdata, name, o->peer->ssid, &o->target.paths[0],
                              why);
}

/* --- begin and end --- */
static void unindex(Observation *o) {
        for (size_t i = 0; i < o->target.n; i++)
                path_index_remove(o->observer->index, &o->target.paths[i], o);
        o->observer->n--;
}

static void observation_free(Observation *o) {
        const TransportOps *transport = o->observer->dm->config.transport;

        unindex(o);
        if (o->queued)
                g_queue_unlink(&o->observer->queue, &o->queue_node);
        if (o->job)
                *o->job = NULL;
        if (o->call)
                transport->cancel(o->call);
        operation_free(o->asking);
        timer_free(o->timer);
        g_clear_pointer(&o->last_payload, g_bytes_unref);
        g_clear_pointer(&o->token, g_bytes_unref);
        g_free(o->target.paths);
        g_free(o);
}

/* Without a word: whoever ends it has told, or has nothing to tell. */
static void end(Observation *o) {
        g_hash_table_remove(o->peer->observations, o->token);
        observation_free(o);
}

void observation_end(Observation *o, const char *why) {
        if (o->established)
                observe_event(o, "observer-removed", why);
        end(o);
}

static int take_attributes(Request *rq, const ReadTarget *target, Attrs *ret) {
        const ResourceDef *def = NULL;
        const char *bad = "", *why = "";
        AttrsUpdate update = { .remove = 0 };

        if (!rq->message->query || !rq->message->query[0])
                return 0;
        if (!version_reaches(rq->peer->version, 1, 2))
                return request_fail(rq, -EINVAL, "Observe has attributes since LwM2M 1.2 only");
        if (attrs_parse(rq->message->query, &update, &bad) < 0 || update.remove)
                return request_fail(rq, -EINVAL, "Bad attribute '%s'", bad);
        if (!target->composite && target->paths[0].n >= 3)
                def = tree_resource_def(rq->dm->tree, &target->paths[0]);
        if (!target->composite && attrs_check_target(&update, &target->paths[0], def) < 0)
                return request_fail(rq, -EINVAL, "An attribute does not fit the target");
        if (attrs_check(&update.set, &why) < 0)
                return request_fail(rq, -EINVAL, "%s", why);
        *ret = update.set;
        return 0;
}

static bool is_full(const Request *rq) {
        const DmConfig *config = &rq->dm->config;

        return rq->dm->observer->n >= config->observations_max ||
               g_hash_table_size(rq->peer->observations) >= config->observations_per_peer_max;
}

int observe_begin(Request *rq, const ReadTarget *target, Observation **ret) {
        g_autoptr(GBytes) token =
                rq->message->token ? g_bytes_ref(rq->message->token) : g_bytes_new(NULL, 0);
        Attrs own = { .set = 0 };
        uint32_t sequence = 0;
        Observation *o;
        int r;

        r = take_attributes(rq, target, &own);
        if (r < 0)
                return r;
        o = g_hash_table_lookup(rq->peer->observations, token);
        if (o) {
                sequence = o->sequence + 1; /* the server goes on comparing */
                observation_end(o, "observed again with the same token");
        }
        if (is_full(rq))
                return 0;

        o = g_new(Observation, 1);
        *o = (Observation){
                .peer = rq->peer,
                .observer = rq->dm->observer,
                .token = g_bytes_ref(token),
                .target = *target,
                .own = own,
                .sequence = sequence,
                .stale = true,
        };
        o->queue_node.data = o;
        o->target.paths = g_memdup2(target->paths, target->n * sizeof(Path));
        for (size_t i = 0; i < target->n; i++)
                path_index_add(o->observer->index, &target->paths[i], o);
        o->observer->n++;
        g_hash_table_insert(rq->peer->observations, o->token, o);
        *ret = o;
        return 0;
}

int observation_establish(Observation *o, GBytes *payload, uint64_t now_usec) {
        o->job = NULL;
        o->established = true;
        o->last_usec = o->last_sent_usec = now_usec;
        if (g_bytes_get_size(payload) <= LAST_PAYLOAD_MAX)
                o->last_payload = g_bytes_ref(payload);
        observe_event(o, "observer-added", "");
        notify_queue(o); /* for pmax, and for what changed while applications were asked */
        return (int) (o->sequence & OBSERVE_MASK);
}

void observation_abandon(Observation *o) {
        end(o);
}

void observation_set_job(Observation *o, Observation **slot) {
        o->job = slot;
}

void observe_cancel(Peer *p, GBytes *token, const char *why) {
        g_autoptr(GBytes) key = token ? g_bytes_ref(token) : g_bytes_new(NULL, 0);
        Observation *o = g_hash_table_lookup(p->observations, key);

        if (o)
                observation_end(o, why);
}

void observe_drop(Peer *p, const char *why) {
        GHashTableIter i;
        void *o;

        for (;;) {
                g_hash_table_iter_init(&i, p->observations);
                if (!g_hash_table_iter_next(&i, NULL, &o))
                        break;
                observation_end(o, why);
        }
}

/* --- attributes --- */
static void on_stale(void *userdata, void *thing) {
        const uint16_t *ssid = userdata;
        Observation *o = thing;

        if (o->peer->ssid == *ssid) {
                o->stale = true;
                notify_queue(o);
        }
}

void observe_attributes_changed(Dm *dm, uint16_t ssid, const Path *p) {
        path_index_covering(dm->observer->index, p, on_stale, &ssid);
        path_index_below(dm->observer->index, p, on_stale, &ssid);
}

/* --- changes --- */
static void on_changed(void *userdata, void *thing) {
        notify_mark(thing, *(const bool *) userdata);
}

static bool is_default_change(const Change *c) {
        return c->path.id[0] == 1 &&
               (c->path.n == 2 || c->path.id[2] == 0 || c->path.id[2] == 2 || c->path.id[2] == 3);
}

static void all_stale(Dm *dm) {
        for (GList *i = dm->peers.head; i; i = i->next) {
                Peer *p = i->data;
                GHashTableIter j;
                void *o;

                g_hash_table_iter_init(&j, p->observations);
                while (g_hash_table_iter_next(&j, NULL, &o)) {
                        ((Observation *) o)->stale = true;
                        notify_queue(o);
                }
        }
}

void observe_changes(Dm *dm, const Change *changes, size_t n) {
        const PathIndex *index = dm->observer->index;
        bool defaults = false;

        if (path_index_is_empty(index))
                return;
        for (size_t i = 0; i < n; i++) {
                const Change *c = &changes[i];
                bool urgent = c->kind == CHANGE_DELETED && c->path.n == 2;

                if (dm_is_hidden(c->path.id[0]))
                        continue;
                path_index_covering(index, &c->path, on_changed, &urgent);
                if (c->kind == CHANGE_DELETED)
                        path_index_below(index, &c->path, on_changed, &urgent);
                defaults = defaults || is_default_change(c);
        }
        if (defaults)
                all_stale(dm);
}

/* Rights withdrawn end an observation, or take instances out of it, without waiting for pmin. */
void observe_access_changed(Dm *dm, const Path *p) {
        bool urgent = true;

        path_index_covering(dm->observer->index, p, on_changed, &urgent);
        path_index_below(dm->observer->index, p, on_changed, &urgent);
}

void observe_link_changed(Peer *p) {
        const TransportOps *transport = p->dm->config.transport;
        GHashTableIter i;
        void *value;

        g_hash_table_iter_init(&i, p->observations);
        while (g_hash_table_iter_next(&i, NULL, &value)) {
                Observation *o = value;

                if (o->call) { /* whether it arrived will not be known */
                        transport->cancel(g_steal_pointer(&o->call));
                        o->changed = true;
                        notify_body_settled(o, false);
                }
                if (p->link)
                        notify_queue(o);
        }
}

void observe_presence_changed(Peer *p) {
        GHashTableIter i;
        void *o;

        g_hash_table_iter_init(&i, p->observations);
        while (g_hash_table_iter_next(&i, NULL, &o))
                notify_queue(o);
}

void observe_suspend(Dm *dm) {
        dm->observer->n_suspended++;
}

void observe_resume(Dm *dm, uint64_t now_usec) {
        g_assert(dm->observer->n_suspended > 0);
        if (--dm->observer->n_suspended == 0)
                notify_on_flush(dm->observer, now_usec);
}

bool observe_is_suspended(const Dm *dm) {
        return dm->observer->n_suspended > 0;
}

/* --- telling --- */
void observe_foreach(const Peer *p, void (*func)(void *userdata, const ObservationInfo *info),
                     void *userdata) {
        GHashTableIter i;
        void *value;

        g_hash_table_iter_init(&i, p->observations);
        while (g_hash_table_iter_next(&i, NULL, &value)) {
                const Observation *o = value;
                g_autofree char *text = NULL;
                Attrs a;

                if (!o->established)
                        continue;
                observation_effective(o, &a);
                text = attrs_format(&a);
                func(userdata, &(ObservationInfo){
                                       .ssid = p->ssid,
                                       .paths = o->target.paths,
                                       .n_paths = o->target.n,
                                       .composite = o->target.composite,
                                       .pending = o->changed || o->call || o->asking,
                                       .format = o->target.format,
                                       .last_sent_usec = o->last_sent_usec,
                                       .n_sent = o->n_sent,
                                       .token = o->token,
                                       .attributes = text,
                               });
        }
}

bool observe_is_observed(const Dm *dm, const Path *p) {
        return path_index_touches(dm->observer->index, p);
}

guint observe_count(const Dm *dm) {
        return dm->observer->n;
}

static void collect_ssid(void *userdata, void *thing) {
        const Observation *o = thing;
        GArray *ids = userdata;

        for (guint i = 0; i < ids->len; i++)
                if (g_array_index(ids, uint16_t, i) == o->peer->ssid)
                        return;
        g_array_append_val(ids, o->peer->ssid);
}

static gint compare_ids(gconstpointer a, gconstpointer b) {
        return (int) *(const uint16_t *) a - (int) *(const uint16_t *) b;
}

uint16_t *observe_observers(const Dm *dm, const Path *p, size_t *ret_n) {
        GArray *ids = g_array_new(FALSE, FALSE, sizeof(uint16_t));

        path_index_covering(dm->observer->index, p, collect_ssid, ids);
        g_array_sort(ids, compare_ids);
        *ret_n = ids->len;
        return (uint16_t *) (void *) g_array_free(ids, FALSE);
}
