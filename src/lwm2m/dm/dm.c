/* SPDX-License-Identifier: Apache-2.0 */
#include "lwm2m/dm/dm.h"

#include <errno.h>
#include <string.h>

#include "lwm2m/observe/backlog.h"
#include "lwm2m/code.h"
#include "lwm2m/dm/dispatch.h"
#include "lwm2m/dm/dm_internal.h"
#include "lwm2m/dm/execute.h"
#include "lwm2m/observe/observe.h"
#include "lwm2m/dm/operation.h"
#include "lwm2m/dm/read.h"
#include "lwm2m/dm/samples.h"
#include "lwm2m/send/send.h"

#define OBSERVATIONS_MAX 20000
#define OBSERVATIONS_PER_PEER_MAX 10000
#define OPERATIONS_MAX 256
#define COMPOSITE_PATHS_MAX 1000
#define SENDS_MAX 64
#define SEND_BYTES_MAX (4U << 20)
#define SEND_BODY_MAX (64U << 10)
#define SEND_TIMEOUT_USEC (3600 * USEC_PER_SEC)

typedef struct BehaviourEntry {
        Behaviour behaviour;
        void *userdata;
} BehaviourEntry;

/* --- life --- */
static void forget_attributes(Dm *dm, const Change *changes, size_t n) {
        size_t dropped = 0;

        for (size_t i = 0; i < n; i++) {
                const size_t former = dropped;

                if (changes[i].kind == CHANGE_DELETED && changes[i].path.n == 2 &&
                    !tree_exists(dm->tree, &changes[i].path))
                        dropped += attr_store_drop(dm->attrs, &changes[i].path);
                for (GList *p = dropped > former ? dm->peers.head : NULL; p; p = p->next)
                        observe_attributes_changed(dm, ((Peer *) p->data)->ssid, &changes[i].path);
        }
        if (dropped > 0 && dm->config.attributes_changed)
                dm->config.attributes_changed(dm->config.event_userdata);
}

static void on_rights_changed(void *userdata, const Path *instance) {
        observe_access_changed(userdata, instance);
}

static void on_committed(void *userdata, Origin origin, uint16_t ssid, const Change *changes,
                         size_t n) {
        Dm *dm = userdata;
        bool others = access_follow(dm->access, changes, n, on_rights_changed, dm);

        forget_attributes(dm, changes, n);
        samples_on_commit(dm, origin, changes, n);
        observe_changes(dm, changes, n);
        if (others)
                observe_access_changed(dm, &PATH_ROOT);
        /* Last, since these are transactions of their own. */
        access_drop_deleted(dm->access, changes, n);
        access_forget_servers(dm->access);
        if (others)
                access_complete(dm->access);
}

static void unref_array(void *array) {
        g_array_unref(array);
}

Dm *dm_new(const DmConfig *config) {
        Dm *dm = g_new(Dm, 1);
        DmConfig *c = &dm->config;

        *dm = (Dm){
                .config = *config,
                .tree = config->tree,
                .behaviours =
                        g_hash_table_new_full(g_direct_hash, g_direct_equal, NULL, unref_array),
                .attrs = attr_store_new(),
                .access = access_new(config->tree),
        };
        c->observations_max = c->observations_max ? c->observations_max : OBSERVATIONS_MAX;
        c->observations_per_peer_max = c->observations_per_peer_max ? c->observations_per_peer_max
                                                                    : OBSERVATIONS_PER_PEER_MAX;
        c->operations_max = c->operations_max ? c->operations_max : OPERATIONS_MAX;
        c->composite_paths_max =
                c->composite_paths_max ? c->composite_paths_max : COMPOSITE_PATHS_MAX;
        c->sends_max = c->sends_max ? c->sends_max : SENDS_MAX;
        c->send_bytes_max = c->send_bytes_max ? c->send_bytes_max : SEND_BYTES_MAX;
        c->send_body_max = c->send_body_max ? c->send_body_max : SEND_BODY_MAX;
        c->send_timeout_usec = c->send_timeout_usec ? c->send_timeout_usec : SEND_TIMEOUT_USEC;
        dm->observer = observer_new(dm);
        tree_on_commit(dm->tree, on_committed, dm);
        return dm;
}

Dm *dm_free(Dm *dm) {
        if (!dm)
                return NULL;
        while (dm->peers.head)
                peer_free(dm->peers.head->data);
        send_free_all(dm);
        while (dm->operations.head)
                operation_free(dm->operations.head->data);
        tree_remove_listener(dm->tree, on_committed, dm);
        observer_free(dm->observer);
        attr_store_free(dm->attrs);
        access_free(dm->access);
        g_hash_table_unref(dm->behaviours);
        g_free(dm);
        return NULL;
}

/* --- behaviours --- */
void dm_add_behaviour(Dm *dm, uint16_t object, const Behaviour *behaviour, void *userdata) {
        GArray *entries = g_hash_table_lookup(dm->behaviours, GUINT_TO_POINTER(object));
        const BehaviourEntry e = { .behaviour = *behaviour, .userdata = userdata };

        if (!entries) {
                entries = g_array_new(FALSE, FALSE, sizeof(BehaviourEntry));
                g_hash_table_insert(dm->behaviours, GUINT_TO_POINTER(object), entries);
        }
        g_array_append_val(entries, e);
}

static const BehaviourEntry *behaviours_of(const Dm *dm, const Path *p, size_t *ret_n) {
        const GArray *entries = g_hash_table_lookup(dm->behaviours, GUINT_TO_POINTER(p->id[0]));

        *ret_n = entries ? entries->len : 0;
        return entries ? (const BehaviourEntry *) (const void *) entries->data : NULL;
}

int dm_behaviour_read(const Dm *dm, const Path *p, Value *ret) {
        const BehaviourEntry *e;
        size_t n;

        e = behaviours_of(dm, p, &n);
        for (size_t i = 0; i < n; i++) {
                int r = e[i].behaviour.read ? e[i].behaviour.read(e[i].userdata, p, ret) : -ENOSYS;

                if (r != -ENOSYS)
                        return r;
        }
        return -ENOSYS;
}

int dm_behaviour_execute(const Dm *dm, uint16_t ssid, const Path *p, const ExecuteArg *args,
                         size_t n_args, uint64_t now_usec) {
        const BehaviourEntry *e;
        size_t n;

        e = behaviours_of(dm, p, &n);
        for (size_t i = 0; i < n; i++) {
                const Behaviour *b = &e[i].behaviour;
                int r = b->execute ? b->execute(e[i].userdata, ssid, p, args, n_args, now_usec)
                                   : -ENOSYS;

                if (r != -ENOSYS)
                        return r;
        }
        return -ENOSYS;
}

bool dm_behaviour_executes(const Dm *dm, const Path *p) {
        const BehaviourEntry *e;
        size_t n;

        e = behaviours_of(dm, p, &n);
        for (size_t i = 0; i < n; i++)
                if (e[i].behaviour.execute &&
                    (!e[i].behaviour.executes || e[i].behaviour.executes(e[i].userdata, p)))
                        return true;
        return false;
}

typedef struct CommitContext {
        const Dm *dm;
        uint16_t ssid;
        uint64_t now_usec;
} CommitContext;

static bool on_concerns(void *userdata, const Path *p) {
        const CommitContext *c = userdata;
        const BehaviourEntry *e;
        size_t n;

        e = behaviours_of(c->dm, p, &n);
        for (size_t i = 0; i < n; i++)
                if (e[i].behaviour.write)
                        return true;
        return false;
}

static int before_one(const CommitContext *c, const BehaviourEntry *e, const Op *op) {
        const Behaviour *b = &e->behaviour;

        if (op->kind == OP_CREATE)
                return b->create ? b->create(e->userdata, c->ssid, &op->path) : -ENOSYS;
        if (op->kind == OP_DELETE)
                return b->remove ? b->remove(e->userdata, c->ssid, &op->path) : -ENOSYS;
        return b->write ? b->write(e->userdata, c->ssid, &op->path, &op->value, c->now_usec)
                        : -ENOSYS;
}

static int on_before(void *userdata, const Op *op) {
        const CommitContext *c = userdata;
        const BehaviourEntry *e;
        size_t n;

        e = behaviours_of(c->dm, &op->path, &n);
        for (size_t i = 0; i < n; i++) {
                int r = before_one(c, &e[i], op);

                if (r != -ENOSYS)
                        return r;
        }
        return -ENOSYS;
}

/* ops, and after them what they mean for object 2: more is freed by the caller. NULL: ops alone. */
static Op *extend(const Dm *dm, const Op *ops, size_t n, uint16_t ssid, OpList *more, int *ret) {
        Op *all;

        *ret = access_extend(dm->access, ops, n, ssid, more);
        if (*ret < 0 || more->n == 0)
                return NULL;
        all = g_new(Op, n + more->n); /* the values stay where they are */
        memcpy(all, ops, n * sizeof(Op));
        memcpy(all + n, more->v, more->n * sizeof(Op));
        return all;
}

static int fail_extend(const Op *ops, size_t n, int r, OpError *error) {
        error->index = n;
        g_snprintf(error->text, sizeof(error->text),
                   "%s: no number is left for its Access Control instance",
                   PATH_TEXT(&ops[0].path));
        return r;
}

static int commit(Dm *dm, const Op *ops, size_t n, Origin origin, uint16_t ssid, OpError *error,
                  uint64_t now_usec) {
        CommitContext c = { .dm = dm, .ssid = ssid, .now_usec = now_usec };
        const OpsHook hook = { .concerns = on_concerns, .before = on_before, .userdata = &c };
        g_auto(OpList) more = { .v = NULL };
        g_autofree Op *all = NULL;
        int r;

        all = extend(dm, ops, n, ssid, &more, &r);
        if (r < 0)
                return fail_extend(ops, n, r, error);
        if (all) {
                ops = all;
                n += more.n;
        }
        dm->pending = ops;
        dm->n_pending = n;
        r = ops_apply_hooked(dm->tree, ops, n, origin, ssid, &hook, error);
        dm->pending = NULL;
        dm->n_pending = 0;
        return r;
}

const Value *dm_pending(const Dm *dm, const Path *p) {
        for (size_t i = dm->n_pending; i > 0; i--)
                if (dm->pending[i - 1].kind == OP_SET && path_equal(&dm->pending[i - 1].path, p))
                        return &dm->pending[i - 1].value;
        return NULL;
}

int dm_commit(Dm *dm, const OpList *ops, Origin origin, uint16_t ssid, OpError *error,
              uint64_t now_usec) {
        return commit(dm, ops->v, ops->n, origin, ssid, error, now_usec);
}

int dm_apply(Dm *dm, const Op *ops, size_t n, OpError *error, uint64_t now_usec) {
        return commit(dm, ops, n, ORIGIN_APP, 0, error, now_usec);
}

/* --- access control --- */
void dm_set_access_policy(Dm *dm, AccessPolicy *policy) {
        access_set_policy(dm->access, policy);
        observe_access_changed(dm, &PATH_ROOT);
        access_complete(dm->access);
}

void dm_set_discover(Dm *dm, bool permitted) {
        dm->discover_permitted = permitted;
}

int dm_may(const Dm *dm, uint16_t ssid, const Path *p, unsigned right) {
        int r = dm_access(p);

        return r < 0 ? r : access_check(dm->access, ssid, p, right);
}

void dm_caches_changed(Dm *dm) {
        observe_caches_changed(dm);
}

Series *dm_series(const Dm *dm) {
        return dm->config.series;
}

/* --- servers --- */
static guint hash_token(const void *token) {
        return g_bytes_hash(token);
}

static gboolean equal_tokens(const void *a, const void *b) {
        return g_bytes_equal(a, b);
}

Peer *peer_new(Dm *dm, uint16_t ssid) {
        Peer *p = g_new(Peer, 1);

        *p = (Peer){
                .dm = dm,
                .ssid = ssid,
                .version = { 1, 1 },
                .observations = g_hash_table_new(hash_token, equal_tokens),
        };
        p->sends = send_queue_new(p);
        p->node.data = p;
        g_queue_push_tail_link(&dm->peers, &p->node);
        return p;
}

/* Counters of a server outlive it. */
static void note_backlog_gone(const Peer *p) {
        BacklogCounts counts;

        if (!p->backlog)
                return;
        backlog_counts(p->backlog, &counts);
        p->dm->gone_delivered += counts.delivered;
        p->dm->gone_dropped += counts.dropped;
}

Peer *peer_free(Peer *p) {
        if (!p)
                return NULL;
        backlog_leave_file(p->backlog);
        observe_drop(p, "server removed");
        note_backlog_gone(p);
        operation_drop_peer(p->dm, p);
        send_queue_free(p->sends);
        g_queue_unlink(&p->dm->peers, &p->node);
        g_hash_table_unref(p->observations);
        g_clear_pointer(&p->gone, g_array_unref);
        timer_free(p->settle);
        backlog_free(p->backlog);
        g_free(p);
        return NULL;
}

void peer_set_link(Peer *p, Link *link) {
        if (p->link == link)
                return;
        p->link = link;
        observe_link_changed(p);
        send_queue_link_changed(p->sends);
}

void peer_confirmed(Peer *p) {
        send_queue_confirmed(p->sends);
        if (p->backlog)
                backlog_note_registered(p->backlog);
}

void peer_set_version(Peer *p, Version version) {
        p->version = version;
}

size_t peer_n_observations(const Peer *p) {
        return g_hash_table_size(p->observations);
}

void peer_drop_observations(Peer *p, const char *why) {
        observe_drop(p, why);
}

void peer_forget_attributes(Peer *p) {
        if (attr_store_drop_server(p->dm->attrs, p->ssid) == 0)
                return;
        observe_attributes_changed(p->dm, p->ssid, &PATH_ROOT);
        if (p->dm->config.attributes_changed)
                p->dm->config.attributes_changed(p->dm->config.event_userdata);
}

void peer_request(Peer *p, Exchange *x, const Message *request, uint64_t now_usec) {
        Request rq = {
                .to = { .dm = p->dm, .exchange = x },
                .dm = p->dm,
                .peer = p,
                .message = request,
                .now_usec = now_usec,
        };
        int r;

        r = dispatch(&rq);
        if (r < 0)
                responder_fail(&rq.to, r, rq.text);
}

void peer_reset(Peer *p, GBytes *token, uint64_t now_usec) {
        observe_cancel(p, token, "rejected by the server");
}

/* --- everything --- */
void dm_suspend_notifications(Dm *dm) {
        observe_suspend(dm);
}

void dm_resume_notifications(Dm *dm, uint64_t now_usec) {
        observe_resume(dm, now_usec);
        for (GList *i = dm->peers.head; i; i = i->next)
                send_queue_look(((Peer *) i->data)->sends);
}

bool dm_is_suspended(const Dm *dm) {
        return observe_is_suspended(dm);
}

void dm_on_doubt(Dm *dm, void (*doubt)(void *userdata, uint16_t ssid, uint64_t now_usec),
                 void *userdata) {
        dm->doubt = doubt;
        dm->doubt_userdata = userdata;
}

void dm_doubt(const Dm *dm, uint16_t ssid, uint64_t now_usec) {
        if (dm->doubt)
                dm->doubt(dm->doubt_userdata, ssid, now_usec);
}

void dm_owner_changed(Dm *dm, const Path *p) {
        observe_owner_changed(dm, p);
}

int dm_execute(Dm *dm, const Path *p, const char *args, AppDone done, void *userdata,
               uint64_t now_usec) {
        return execute_local(dm, p, args, done, userdata, now_usec);
}

int dm_read(Dm *dm, const Path *p, AppDone done, void *userdata, uint64_t now_usec) {
        return read_local(dm, p, done, userdata);
}

void dm_foreach_observation(Dm *dm, uint16_t ssid,
                            void (*func)(void *userdata, const ObservationInfo *info),
                            void *userdata) {
        for (GList *i = dm->peers.head; i; i = i->next) {
                const Peer *p = i->data;

                if (ssid == 0 || p->ssid == ssid)
                        observe_foreach(p, func, userdata);
        }
}

bool dm_is_observed(const Dm *dm, const Path *p) {
        return observe_is_observed(dm, p);
}

uint64_t dm_n_sends(const Dm *dm) {
        return dm->sends.length;
}

uint64_t dm_n_observations(const Dm *dm) {
        return observe_count(dm);
}

void dm_stored_notifications(const Dm *dm, uint64_t *ret_waiting, uint64_t *ret_delivered,
                             uint64_t *ret_dropped) {
        *ret_waiting = 0;
        *ret_delivered = dm->gone_delivered;
        *ret_dropped = dm->gone_dropped;
        for (GList *i = dm->peers.head; i; i = i->next) {
                const Peer *p = i->data;
                BacklogCounts counts;

                if (!p->backlog)
                        continue;
                backlog_counts(p->backlog, &counts);
                *ret_waiting += counts.waiting;
                *ret_delivered += counts.delivered;
                *ret_dropped += counts.dropped;
        }
}

uint16_t *dm_observers(const Dm *dm, const Path *p, size_t *ret_n) {
        return observe_observers(dm, p, ret_n);
}

char *dm_attributes(const Dm *dm, uint16_t ssid, const Path *p) {
        const Attrs *a = attr_store_get(dm->attrs, ssid, p);

        return a ? attrs_format(a) : g_strdup("");
}

GBytes *dm_save_attributes(const Dm *dm) {
        return attr_store_save(dm->attrs);
}

int dm_load_attributes(Dm *dm, GBytes *blob) {
        int r;

        r = attr_store_load(dm->attrs, blob);
        if (r < 0)
                return r;
        for (GList *i = dm->peers.head; i; i = i->next)
                observe_attributes_changed(dm, ((Peer *) i->data)->ssid, &PATH_ROOT);
        return 0;
}

void dm_offered_objects(const Dm *dm, GArray *ret) {
        const AppOps *apps = dm->config.apps;

        if (apps && apps->offered)
                apps->offered(dm->config.apps_userdata, ret);
}
