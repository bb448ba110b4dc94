/* SPDX-License-Identifier: Apache-2.0 */
#include "lwm2m/observe/observe.h"

#include <errno.h>

#include "lwm2m/observe/backlog.h"
#include "lwm2m/observe/evaluate.h"
#include "lwm2m/observe/judge.h"
#include "lwm2m/observe/notify_body.h"
#include "lwm2m/dm/samples.h"
#include "lwm2m/dm/write_attributes.h"

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
        o->peer->n_observed_paths -= o->target.n;
}

static void observation_free(Observation *o) {
        (void) backlog_forget(o->peer->backlog, o);
        observe_save_ended(o);
        unindex(o);
        series_reader_free(o->reader);
        notify_withdraw(o);
        evaluation_leave(o);
        if (o->job)
                *o->job = NULL;
        timer_free(o->timer);
        references_free(o->references);
        g_clear_pointer(&o->token, g_bytes_unref);
        g_clear_pointer(&o->request_key, g_bytes_unref);
        g_free(o->own);
        g_free(o->path_states);
        g_free(o->target.paths);
        g_free(o);
}

/* Without a word: whoever ends it has told, or has nothing to tell. */
static void end(Observation *o) {
        g_hash_table_remove(o->peer->observations, o->token);
        observation_free(o);
}

void observation_end(Observation *o, const char *why) {
        const uint64_t n = backlog_forget(o->peer->backlog, o);
        g_autofree char *text = NULL;

        if (n > 0)
                why = text =
                        g_strdup_printf("%s; %" G_GUINT64_FORMAT " stored notification%s dropped",
                                        why, n, n == 1 ? "" : "s");
        if (o->established)
                observe_event(o, "observer-removed", why);
        end(o);
}

/* Composite ones hold many paths: so many on average, or a server could have as much memory as it
 * likes. */
#define PATHS_PER_OBSERVATION 4U

static bool is_full(const Peer *p, size_t n_paths) {
        const DmConfig *config = &p->dm->config;

        return p->dm->observer->n >= config->observations_max ||
               g_hash_table_size(p->observations) >= config->observations_per_peer_max ||
               p->n_observed_paths + n_paths >
                       (uint64_t) config->observations_per_peer_max * PATHS_PER_OBSERVATION;
}

/* In a format with time it is a reader of the caches it covers, as soon as there are any. */
static void begin_series(Observation *o) {
        Series *series = o->observer->dm->config.series;
        uint64_t identity;

        if (!series || o->reader || !format_has_time(o->target.format) ||
            !series_has_policies(series))
                return;
        identity = samples_identity(o->peer->ssid, "observe", o->target.paths, o->target.n);
        o->reader = series_reader_new(series, identity, o->target.paths, o->target.n);
}

/* Takes references and copies. */
static Observation *observation_new(Peer *p, const ObservationRecord *record) {
        Observation *o = g_new(Observation, 1);

        *o = (Observation){
                .peer = p,
                .observer = p->dm->observer,
                .token = g_bytes_ref(record->token),
                .request_key = record->request_key ? g_bytes_ref(record->request_key) : NULL,
                .target = record->target,
                .own = record->own ? g_memdup2(record->own, sizeof(Attrs)) : NULL,
                .sequence = record->sequence,
                .stale = true,
        };
        o->queue_node.data = o->save_node.data = o;
        o->target.ssid = p->ssid; /* whose rights count, also for one that is kept on disk */
        o->target.paths = g_memdup2(o->target.paths, o->target.n * sizeof(Path));
        if (o->target.composite)
                o->path_states = g_new0(PathState, o->target.n);
        for (size_t i = 0; i < o->target.n; i++)
                path_index_add(o->observer->index, &o->target.paths[i], o);
        o->observer->n++;
        p->n_observed_paths += o->target.n;
        g_hash_table_insert(p->observations, o->token, o);
        begin_series(o);
        return o;
}

int observe_begin(Request *rq, const ReadTarget *target, Observation **ret) {
        g_autoptr(GBytes) token =
                rq->message->token ? g_bytes_ref(rq->message->token) : g_bytes_new(NULL, 0);
        g_autofree Attrs *own = NULL;
        ObservationRecord record = { .token = token, .request_key = rq->message->request_key };
        Observation *o;
        int r;

        r = write_attributes_of_observe(rq, target, &own);
        if (r < 0)
                return r;
        o = g_hash_table_lookup(rq->peer->observations, token);
        if (o) {
                record.sequence = o->sequence + 1; /* the server goes on comparing */
                observation_end(o, "observed again with the same token");
        }
        if (is_full(rq->peer, target->n))
                return 0;
        if (record.request_key && g_bytes_get_size(record.request_key) > OBSERVE_REQUEST_KEY_MAX)
                record.request_key = NULL;
        record.target = *target;
        record.own = own;
        *ret = observation_new(rq->peer, &record);
        if ((*ret)->reader) /* a new observation has numbers of its own */
                series_reader_forget_sent((*ret)->reader);
        return 0;
}

static void mark_waiting(Observation *o) {
        if (o->reader && series_reader_waiting(o->reader) > 0)
                notify_mark(o, PENDING_NEWS, NULL, true);
}

int observe_restore(Peer *p, const ObservationRecord *record, uint64_t digest, uint64_t now_usec,
                    Observation **ret) {
        Observation *o;

        if (is_full(p, record->target.n))
                return -EDQUOT;
        o = observation_new(p, record);
        judge_rewritten(o);
        o->established = true;
        o->digest = digest;
        o->moments = (Moments){ .told_usec = now_usec, .evaluated_usec = now_usec };
        o->last_confirmed_usec = now_usec;
        mark_waiting(o);
        *ret = o;
        return 0;
}

int observation_establish(Observation *o, const ReadResult *result, uint64_t now_usec) {
        o->job = NULL;
        judge_rewritten(o);
        o->established = true;
        o->elsewhere = result->elsewhere;
        o->moments = (Moments){ .told_usec = now_usec, .evaluated_usec = now_usec };
        o->last_confirmed_usec = now_usec;
        judge_told(o, result);
        observe_save_changed(o, true); /* before the server can know of it */
        observe_event(o, "observer-added", "");
        mark_waiting(o);
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
static void on_rewritten(void *userdata, void *thing) {
        const uint16_t *ssid = userdata;
        Observation *o = thing;

        if (o->peer->ssid != *ssid)
                return;
        o->stale = true;
        judge_rewritten(o);
        notify_queue(o);
}

void observe_attributes_changed(Dm *dm, uint16_t ssid, const Path *p) {
        path_index_covering(dm->observer->index, p, on_rewritten, &ssid);
        path_index_below(dm->observer->index, p, on_rewritten, &ssid);
}

/* 1/x/0, 1/x/2, 1/x/3 or the whole instance. */
static bool is_default_change(const Change *c) {
        return c->path.id[0] == 1 &&
               (c->path.n == 2 || c->path.id[2] == 0 || c->path.id[2] == 2 || c->path.id[2] == 3);
}

static void check_defaults(Dm *dm) {
        for (GList *i = dm->peers.head; i; i = i->next) {
                Peer *p = i->data;
                GHashTableIter j;
                void *o;

                if (!observe_defaults_differ(p))
                        continue;
                g_hash_table_iter_init(&j, p->observations);
                while (g_hash_table_iter_next(&j, NULL, &o)) {
                        ((Observation *) o)->stale = true;
                        notify_queue(o);
                }
        }
}

/* --- changes --- */
typedef struct Changed {
        const Path *path;
        const Value *value; /* what was set; NULL: something else happened */
} Changed;

static void on_changed(void *userdata, void *thing) {
        const Changed *c = userdata;
        Observation *o = thing;

        notify_mark(o, c->value ? judge_set(o, c->path, c->value) : PENDING_CHANGE, c->path, false);
}

static void on_changed_above(void *userdata, void *thing) {
        const Changed *c = userdata;
        Observation *o = thing;

        o->check_gone = !o->target.composite;
        notify_mark(o, PENDING_CHANGE, c->path, true);
        notify_queue(o);
}

/* Set to what it was. Where an application answers for it, that says nothing. */
static bool is_same(const Dm *dm, const Change *c, const Value *now) {
        return c->old && now && value_equal(c->old, now) && !samples_asks(dm, &c->path);
}

static void apply_change(Dm *dm, const Change *c) {
        const PathIndex *index = dm->observer->index;
        Changed changed = { .path = &c->path };

        if (c->kind == CHANGE_SET && tree_get(dm->tree, &c->path, &changed.value) < 0)
                changed.value = NULL;
        if (c->kind == CHANGE_SET && is_same(dm, c, changed.value))
                return;
        path_index_covering(index, &c->path, on_changed, &changed);
        if (c->kind == CHANGE_DELETED) /* emptied is deleted, one by one: tree.h */
                path_index_at(index, &c->path, on_changed_above, &changed);
        if (!changed.value && c->kind != CHANGE_CREATED)
                path_index_below(index, &c->path, on_changed_above, &changed);
}

void observe_changes(Dm *dm, const Change *changes, size_t n) {
        bool defaults = false;

        for (size_t i = 0; i < n; i++)
                defaults = defaults || is_default_change(&changes[i]);
        if (defaults)
                check_defaults(dm);
        if (path_index_is_empty(dm->observer->index))
                return;
        for (size_t i = 0; i < n; i++)
                if (!dm_is_hidden(changes[i].path.id[0]))
                        apply_change(dm, &changes[i]);
}

static void on_owner_changed(void *userdata, void *thing) {
        const Changed *c = userdata;

        notify_mark(thing, PENDING_CHANGE, c->path, true);
}

void observe_owner_changed(Dm *dm, const Path *p) {
        Changed changed = { .path = p };

        path_index_covering(dm->observer->index, p, on_owner_changed, &changed);
        path_index_below(dm->observer->index, p, on_owner_changed, &changed);
}

/* --- samples --- */
static void begin_all(Peer *p) {
        GHashTableIter i;
        void *o;

        g_hash_table_iter_init(&i, p->observations);
        while (g_hash_table_iter_next(&i, NULL, &o))
                begin_series(o);
}

void observe_caches_changed(Dm *dm) {
        for (GList *i = dm->peers.head; i; i = i->next)
                begin_all(i->data);
}

/* Each sample is to be told, be it equal to the one before, unless there are conditions. */
static void on_sampled(void *userdata, void *thing) {
        const Changed *c = userdata;
        Observation *o = thing;
        Pending pending;

        if (!o->reader)
                return;
        pending = judge_set(o, c->path, c->value);
        notify_mark(o, pending == PENDING_CHANGE ? PENDING_NEWS : pending, c->path, false);
}

void observe_sampled(Dm *dm, const Path *p) {
        Changed changed = { .path = p };

        if (tree_get(dm->tree, p, &changed.value) == 0)
                path_index_covering(dm->observer->index, p, on_sampled, &changed);
}

/* Rights withdrawn end an observation at once, or take instances out of it. */
void observe_access_changed(Dm *dm, const Path *p) {
        const PathIndex *index = dm->observer->index;
        Changed changed = { .path = p };

        path_index_covering(index, p, on_changed, &changed);
        path_index_at(index, p, on_changed_above, &changed);
        path_index_below(index, p, on_changed_above, &changed);
}

void observe_link_changed(Peer *p) {
        GHashTableIter i;
        void *value;

        backlog_withdraw(p->backlog);
        backlog_kick(p->backlog);

        g_hash_table_iter_init(&i, p->observations);
        while (g_hash_table_iter_next(&i, NULL, &value)) {
                Observation *o = value;

                if (o->call) { /* whether it arrived will not be known */
                        notify_withdraw(o);
                        if (!backlog_take_back(p->backlog, o, -ECONNABORTED, 0))
                                notify_lost(o);
                }
                if (p->link)
                        notify_queue(o);
        }
}

void observe_presence_changed(Peer *p) {
        GHashTableIter i;
        void *value;

        backlog_kick(p->backlog);
        g_hash_table_iter_init(&i, p->observations);
        while (g_hash_table_iter_next(&i, NULL, &value)) {
                Observation *o = value;

                if (o->untold && peer_presence(p) != PRESENCE_ABSENT) {
                        o->untold = false;
                        notify_lost(o);
                }
                notify_queue(o);
        }
}

void observe_suspend(Dm *dm) {
        dm->observer->n_suspended++;
}

void observe_resume(Dm *dm, uint64_t now_usec) {
        g_assert(dm->observer->n_suspended > 0);
        if (--dm->observer->n_suspended > 0)
                return;
        notify_on_flush(dm->observer, now_usec);
        for (GList *i = dm->peers.head; i; i = i->next)
                backlog_kick(((Peer *) i->data)->backlog);
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
                func(userdata,
                     &(ObservationInfo){
                             .ssid = p->ssid,
                             .paths = o->target.paths,
                             .n_paths = o->target.n,
                             .composite = o->target.composite,
                             .pending = o->pending != PENDING_NONE || o->call || o->evaluation,
                             .format = o->target.format,
                             .last_sent_usec = o->moments.told_usec,
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
