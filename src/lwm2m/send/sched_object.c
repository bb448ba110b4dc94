/* SPDX-License-Identifier: Apache-2.0 */
#include "lwm2m/send/sched_object.h"

#include <errno.h>
#include <string.h>

#include "lwm2m/dm/dm_internal.h"
#include "lwm2m/dm/samples.h"
#include "lwm2m/send/send.h"
#include "lwm2m/send/send_sched.h"
#include "model/path_table.h"
#include "util/log.h"

struct SchedObject {
        Dm *dm;
        Tree *tree;
        SendSched *sched;
        GHashTable *paths; /* set of those of resources with rules */
        GPtrArray *jobs;   /* of Job: at most one for each server */
        bool incomplete;   /* some rules are for objects that nobody knows yet */
        Timer *reload;
};

typedef struct Job {
        SchedObject *object;
        SendJob *send;
        uint16_t ssid;
        bool again; /* more was to be sent meanwhile */
} Job;

/* --- what is written --- */
static const char *text_at(const SchedObject *o, const Path *p) {
        const Value *v = dm_pending(o->dm, p);

        if (!v && tree_get(o->tree, p, &v) < 0)
                return NULL;
        return v->type == VALUE_STRING ? v->data : NULL;
}

/* A path of a resource that samples can be taken of; the definition need not be known yet. */
static int check_path(const SchedObject *o, const char *text, Path *ret) {
        const ResourceDef *def;

        if (path_parse(text, ret) < 0 || ret->n != 3 || dm_is_hidden(ret->id[0]))
                return -EINVAL;
        if (!tree_object_def(o->tree, ret->id[0], ret->id[1]))
                return 0;
        def = tree_resource_def(o->tree, ret);
        return def && def->operations & OPERATION_READ && sample_fits((ValueType) def->type)
                       ? 0
                       : -EINVAL;
}

static int write_path(const SchedObject *o, const Path *p, const char *text) {
        Path other = PATH_O(OBJECT_SCHED_RULES), mine;

        if (check_path(o, text, &mine) < 0)
                return -EINVAL;
        while (tree_next_instance(o->tree, &other, &other) == 0 &&
               other.id[0] == OBJECT_SCHED_RULES) {
                const Path resource = path_child(&other, SCHED_PATH);
                const char *theirs = other.id[1] != p->id[1] ? text_at(o, &resource) : NULL;

                if (theirs && strcmp(theirs, text) == 0)
                        return -EINVAL; /* two instances for one resource */
        }
        return 0;
}

typedef struct Others {
        const SchedObject *object;
        uint16_t instance; /* not this one */
        AttrName name;
        bool found;
} Others;

static int look_for_name(void *userdata, const Path *p, const Value *v, const ResourceDef *def) {
        Others *o = userdata;
        const char *text = p->n == 4 && p->id[3] != o->instance ? text_at(o->object, p) : NULL;
        AttrName name;
        double value;

        if (text && send_sched_parse_rule(text, &name, &value) == 0 && name == o->name)
                o->found = true;
        return o->found;
}

static int write_rule(const SchedObject *o, const Path *p, const char *text) {
        const Path resource = path_prefix(p, 3);
        Others others = { .object = o, .instance = p->id[3] };
        double value;

        if (!*text)
                return 0; /* no rule */
        if (send_sched_parse_rule(text, &others.name, &value) < 0)
                return -EINVAL;
        tree_walk(o->tree, &resource, look_for_name, &others);
        return others.found ? -EINVAL : 0; /* the same name twice */
}

static int on_write(void *userdata, uint16_t ssid, const Path *p, const Value *v,
                    uint64_t now_usec) {
        int r = 0;

        if (v->type != VALUE_STRING)
                return -ENOSYS;
        if (p->n == 3 && p->id[2] == SCHED_PATH)
                r = write_path(userdata, p, v->data);
        else if (p->n == 4 && p->id[2] == SCHED_RULES)
                r = write_rule(userdata, p, v->data);
        return r < 0 ? r : -ENOSYS; /* good; stored like any other value */
}

static const Behaviour rules_behaviour = { .write = on_write };

static int on_execute(void *userdata, uint16_t ssid, const Path *p, const ExecuteArg *args,
                      size_t n_args, uint64_t now_usec) {
        SchedObject *o = userdata;

        if (p->id[2] != SCHED_FLUSH)
                return -ENOSYS;
        send_sched_flush(o->sched, now_usec);
        return 0;
}

static bool on_executes(void *userdata, const Path *p) {
        return p->n == 3 && p->id[2] == SCHED_FLUSH;
}

/* The switches are not a server's to take away. */
static int on_remove(void *userdata, uint16_t ssid, const Path *instance) {
        return ssid > 0 ? -EPERM : -ENOSYS;
}

static const Behaviour control_behaviour = {
        .execute = on_execute,
        .executes = on_executes,
        .remove = on_remove,
};

/* --- what it means --- */
static uint32_t count_at(const SchedObject *o, uint16_t resource) {
        const Path p = PATH_OIR(OBJECT_SCHED_CONTROL, 0, resource);
        const Value *v;
        Value n;

        if (tree_get(o->tree, &p, &v) < 0 || value_convert(v, VALUE_INTEGER, &n) < 0)
                return 0;
        return (uint32_t) CLAMP(n.i, 0, UINT32_MAX);
}

static bool flag_at(const SchedObject *o, uint16_t resource, bool otherwise) {
        const Path p = PATH_OIR(OBJECT_SCHED_CONTROL, 0, resource);
        const Value *v;

        return tree_get(o->tree, &p, &v) == 0 && v->type == VALUE_BOOLEAN ? v->b : otherwise;
}

static int add_rule(void *userdata, const Path *p, const Value *v, const ResourceDef *def) {
        Attrs *a = userdata;
        AttrName name;
        double value;

        if (p->n != 4 || p->id[2] != SCHED_RULES || v->type != VALUE_STRING || !*v->data)
                return 0;
        if (send_sched_parse_rule(v->data, &name, &value) < 0 || attrs_has(a, name)) {
                log_with(LOG_LEVEL_WARNING, (&(LogFields){ .path = PATH_TEXT(p) }),
                         "'%s' is not a rule, or is there twice, ignoring it", v->data);
                return 0;
        }
        a->set |= (uint16_t) (1U << name);
        a->value[name] = value;
        return 0;
}

static const SeriesPolicy policy_by_rule = {
        .samples = SCHED_CACHE_SAMPLES,
        .drop_oldest = true,
        .by_rule = true,
};

void sched_provide_cache(Series *series, const char *path) {
        Path p;

        if (path_parse(path, &p) == 0 && p.n == 3 && !series_policy(series, &p))
                (void) series_set_policy(series, &p, &policy_by_rule);
}

void sched_provide_caches(Series *series, const Tree *tree) {
        Path rule = PATH_O(OBJECT_SCHED_RULES);

        while (tree_next_instance(tree, &rule, &rule) == 0 && rule.id[0] == OBJECT_SCHED_RULES) {
                const Path resource = path_child(&rule, SCHED_PATH);
                const Value *v;

                if (tree_get(tree, &resource, &v) == 0 && v->type == VALUE_STRING)
                        sched_provide_cache(series, v->data);
        }
}

/* The cache that the resource needs. */
static int ensure_cache(SchedObject *o, const Path *p) {
        OpError error;
        int r;

        if (o->dm->config.series && series_policy(o->dm->config.series, p))
                return 0;
        r = samples_configure(o->dm, p, &policy_by_rule, &error);
        if (r < 0)
                log_warning_errno(r, "No samples are sent of %s", error.text);
        o->incomplete = o->incomplete || r < 0;
        return r;
}

static void load_rule(SchedObject *o, const Path *instance, GHashTable *old, uint64_t now_usec) {
        const Path resource = path_child(instance, SCHED_PATH);
        Attrs rule = { .set = 0 };
        const Value *v;
        Path p;

        if (tree_get(o->tree, &resource, &v) < 0 || v->type != VALUE_STRING || !*v->data)
                return; /* not filled in yet */
        if (check_path(o, v->data, &p) < 0 || g_hash_table_contains(o->paths, &p)) {
                log_with(LOG_LEVEL_WARNING, (&(LogFields){ .path = PATH_TEXT(&resource) }),
                         "'%s' is no resource to take samples of, or is there twice, ignoring it",
                         v->data);
                return;
        }
        if (ensure_cache(o, &p) < 0) /* also one that somebody has taken away since */
                return;
        g_hash_table_remove(old, &p);
        tree_walk(o->tree, instance, add_rule, &rule);
        if (send_sched_set_rule(o->sched, &p, &rule, now_usec) < 0)
                log_warning("More than %d resources with rules, ignoring those of %s",
                            SCHED_RULES_MAX, PATH_TEXT(instance));
        else
                g_hash_table_add(o->paths, path_dup(&p));
}

static void note_made(void *userdata, const Path *prefix, const SeriesPolicy *policy) {
        if (policy->by_rule)
                g_array_append_val((GArray *) userdata, *prefix);
}

/* Caches that rules have made which are not there any more. */
static void drop_caches(SchedObject *o) {
        g_autoptr(GArray) made = g_array_new(FALSE, FALSE, sizeof(Path));
        OpError error;

        if (!o->dm->config.series || o->incomplete)
                return;
        series_foreach_policy(o->dm->config.series, note_made, made);
        for (guint i = 0; i < made->len; i++) {
                const Path *p = &g_array_index(made, Path, i);

                if (!g_hash_table_contains(o->paths, p))
                        (void) samples_configure(o->dm, p, NULL, &error);
        }
}

static void drop_rules(SchedObject *o, GHashTable *old, uint64_t now_usec) {
        GHashTableIter i;
        void *p;

        g_hash_table_iter_init(&i, old);
        while (g_hash_table_iter_next(&i, &p, NULL))
                (void) send_sched_set_rule(o->sched, p, NULL, now_usec);
        drop_caches(o);
}

static bool on_sample(void *userdata, const Path *p, const Value *v, int64_t time_ns) {
        SchedObject *o = userdata;

        return !send_sched_has_rule(o->sched, p) ||
               send_sched_sample(o->sched, p, v, time_ns, samples_now_usec(o->dm));
}

static void on_reload(void *userdata, uint64_t now_usec) {
        SchedObject *o = userdata;
        g_autoptr(GHashTable) old = g_steal_pointer(&o->paths);
        Path p = PATH_O(OBJECT_SCHED_RULES);

        o->paths = path_table_new(NULL);
        o->incomplete = false;
        while (tree_next_instance(o->tree, &p, &p) == 0 && p.id[0] == OBJECT_SCHED_RULES)
                load_rule(o, &p, old, now_usec);
        drop_rules(o, old, now_usec);
        send_sched_set_control(o->sched,
                               &(SchedControl){
                                       .paused = flag_at(o, SCHED_PAUSED, false),
                                       .max_samples = count_at(o, SCHED_MAX_SAMPLES),
                                       .max_age_sec = count_at(o, SCHED_MAX_AGE),
                                       .flush_on_update = flag_at(o, SCHED_FLUSH_ON_UPDATE, true),
                               },
                               now_usec);
        samples_set_filter(o->dm, g_hash_table_size(o->paths) > 0 ? on_sample : NULL, o);
}

static void on_commit(void *userdata, Origin origin, uint16_t ssid, const Change *changes,
                      size_t n) {
        SchedObject *o = userdata;

        for (size_t i = 0; i < n; i++)
                if (changes[i].path.id[0] == OBJECT_SCHED_CONTROL ||
                    changes[i].path.id[0] == OBJECT_SCHED_RULES ||
                    (o->incomplete && changes[i].kind == CHANGE_CREATED)) {
                        timer_arm(o->reload, 0);
                        return;
                }
}

/* --- sending --- */
static void start_job(SchedObject *o, uint16_t ssid, uint64_t now_usec);

static void job_free(void *userdata) {
        Job *j = userdata;

        if (j->send)
                send_job_forget(j->send);
        g_free(j);
}

static void on_sent(void *userdata, const SendReport *report, uint64_t now_usec) {
        Job *j = userdata;
        SchedObject *o = j->object;
        const bool again = j->again;
        const uint16_t ssid = j->ssid;

        j->send = NULL;
        g_ptr_array_remove_fast(o->jobs, j);
        if (report->result == SEND_GONE || report->result == SEND_NOT_SUPPORTED ||
            report->result == SEND_DENIED)
                return; /* a further attempt would end alike */
        if (report->result != SEND_ACKED) {
                log_with(LOG_LEVEL_INFO, (&(LogFields){ .ssid = ssid }),
                         "Scheduled samples are kept: %s", send_result_name(report->result));
                send_sched_failed(o->sched, now_usec);
        } else if (again)
                start_job(o, ssid, now_usec);
}

static bool job_runs(const SchedObject *o, uint16_t ssid) {
        for (guint i = 0; i < o->jobs->len; i++) {
                Job *j = o->jobs->pdata[i];

                if (j->ssid == ssid) {
                        j->again = true;
                        return true;
                }
        }
        return false;
}

static int look_for_samples(void *userdata, const Path *p, const Value *v, const ResourceDef *def) {
        SeriesInfo info;

        return v && series_info(userdata, p, &info) && info.n > 0;
}

/* Resources that have samples. */
static GArray *waiting_paths(const SchedObject *o) {
        GArray *waiting = g_array_new(FALSE, FALSE, sizeof(Path));
        g_autofree Path *paths = NULL;
        size_t n;

        paths = send_sched_paths(o->sched, &n);
        for (size_t i = 0; i < n; i++)
                if (tree_walk(o->tree, &paths[i], look_for_samples, o->dm->config.series) > 0)
                        g_array_append_vals(waiting, &paths[i], 1);
        return waiting;
}

/* One server at a time, so that one that is away does not keep the others from theirs. */
static void start_job(SchedObject *o, uint16_t ssid, uint64_t now_usec) {
        g_autoptr(GArray) paths = waiting_paths(o);
        g_autofree char *why = NULL;
        Job *j;
        int r;

        if (paths->len == 0)
                return;
        j = g_new0(Job, 1);
        j->object = o;
        j->ssid = ssid;
        r = send_start(o->dm,
                       &(SendRequest){
                               .ssid = ssid,
                               .paths = (const Path *) (const void *) paths->data,
                               .n_paths = paths->len,
                               .format = FORMAT_NONE,
                               .time_ns = RECORD_NO_TIME,
                               .with_cache = true,
                               .samples_only = true,
                               .queue = true,
                       },
                       on_sent, j, &j->send, &why, now_usec);
        if (r < 0) {
                log_full(LOG_LEVEL_WARNING, r, &(LogFields){ .ssid = ssid },
                         "Cannot send the scheduled samples: %s", why);
                send_sched_failed(o->sched, now_usec);
                g_free(j);
                return;
        }
        g_ptr_array_add(o->jobs, j);
}

static void on_send(void *userdata, uint64_t now_usec) {
        SchedObject *o = userdata;

        if (!o->dm->peers.head)
                send_sched_failed(o->sched, now_usec);
        for (GList *i = o->dm->peers.head; i; i = i->next) {
                const Peer *p = i->data;

                if (version_reaches(p->version, 1, 1) && !job_runs(o, p->ssid))
                        start_job(o, p->ssid, now_usec);
        }
}

/* --- the scheduler's surroundings --- */
static int64_t on_wall_ns(void *userdata) {
        return samples_now_ns(((SchedObject *) userdata)->dm);
}

static void on_keep(void *userdata, const Path *p, const Value *v, int64_t time_ns) {
        samples_keep(((SchedObject *) userdata)->dm, p, v, time_ns);
}

static int on_read(void *userdata, const Path *p, Value *ret) {
        const SchedObject *o = userdata;
        const Value *v;
        int r;

        r = dm_behaviour_read(o->dm, p, ret);
        if (r != -ENOSYS)
                return r;
        r = tree_get(o->tree, p, &v);
        if (r >= 0)
                *ret = value_copy(v);
        return r;
}

static bool on_full(void *userdata, const Path *p) {
        const SchedObject *o = userdata;
        SeriesInfo info;

        return series_info(o->dm->config.series, p, &info) && info.n >= info.policy.samples;
}

static const SchedOps sched_ops = {
        .wall_ns = on_wall_ns,
        .keep = on_keep,
        .read = on_read,
        .full = on_full,
        .send = on_send,
};

void sched_object_event(SchedObject *o, const char *name) {
        const uint64_t now_usec = samples_now_usec(o->dm);

        if (strcmp(name, "registration-complete") == 0)
                send_sched_registered(o->sched, now_usec);
        else if (strcmp(name, "reg-update-complete") == 0)
                send_sched_updated(o->sched, now_usec);
}

static void on_event(void *userdata, const ClientEvent *event) {
        sched_object_event(userdata, event->name);
}

const ClientListener *sched_object_listener(void) {
        static const ClientListener listener = { .event = on_event };

        return &listener;
}

SchedObject *sched_object_new(Dm *dm, Tree *tree, TimerQueue *timers) {
        SchedObject *o = g_new0(SchedObject, 1);

        o->dm = dm;
        o->tree = tree;
        o->sched = send_sched_new(timers, &sched_ops, o);
        o->paths = path_table_new(NULL);
        o->jobs = g_ptr_array_new_with_free_func(job_free);
        o->reload = timer_new(timers, on_reload, o);
        dm_add_behaviour(dm, OBJECT_SCHED_CONTROL, &control_behaviour, o);
        dm_add_behaviour(dm, OBJECT_SCHED_RULES, &rules_behaviour, o);
        tree_on_commit(tree, on_commit, o);
        timer_arm(o->reload, 0);
        return o;
}

SchedObject *sched_object_free(SchedObject *o) {
        if (!o)
                return NULL;
        tree_remove_listener(o->tree, on_commit, o);
        samples_set_filter(o->dm, NULL, NULL);
        g_ptr_array_unref(o->jobs);
        send_sched_free(o->sched);
        timer_free(o->reload);
        g_hash_table_unref(o->paths);
        g_free(o);
        return NULL;
}
