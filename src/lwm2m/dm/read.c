/* SPDX-License-Identifier: Apache-2.0 */
#include "lwm2m/dm/read.h"

#include <errno.h>
#include <stdlib.h>

#include "lwm2m/observe/observe.h"
#include "lwm2m/dm/operation.h"
#include "lwm2m/dm/samples_read.h"

static void clear_value(void *value) {
        value_clear(value);
}

void read_result_clear(ReadResult *r) {
        g_free(r->v);
        g_clear_pointer(&r->owned, g_array_unref);
        *r = (ReadResult){ .v = NULL };
}

static void add_borrowed(ReadResult *r, const Path *p, const Value *v, int64_t time_ns) {
        if (r->n == r->n_allocated) {
                r->n_allocated = MAX(r->n_allocated * 2, 8);
                r->v = g_renew(Record, r->v, r->n_allocated);
        }
        r->v[r->n++] = (Record){ .path = *p, .value = v ? *v : VALUE_INIT, .time_ns = time_ns };
}

static void add_owned(ReadResult *r, const Path *p, Value *v /* taken over */, int64_t time_ns) {
        Value value = value_steal(v);

        if (!r->owned) {
                r->owned = g_array_new(FALSE, FALSE, sizeof(Value));
                g_array_set_clear_func(r->owned, clear_value);
        }
        g_array_append_val(r->owned, value);
        add_borrowed(r, p, &value, time_ns);
}

/* --- formats --- */
int read_format(Version version, const Path *base, const ResourceDef *def, int accept,
                bool composite, Format *ret) {
        const bool single = def && (base->n == 4 || !def->multiple);
        const ValueType type = def ? (ValueType) def->type : VALUE_NONE;
        Format f;

        if (accept < 0) {
                if (!composite && !version_reaches(version, 1, 1))
                        f = FORMAT_TLV;
                else if (!composite && single)
                        f = type == VALUE_OPAQUE ? FORMAT_OPAQUE : FORMAT_TEXT;
                else
                        f = FORMAT_SENML_CBOR;
                *ret = f;
                return 0;
        }
        if (format_from_number((unsigned) accept, &f) < 0)
                return -ENOMEDIUM;
        if (f == FORMAT_LINK || f == FORMAT_SENML_ETCH_JSON || f == FORMAT_SENML_ETCH_CBOR)
                return -ENOMEDIUM;
        if (!format_fits(f, base, def && def->multiple && base->n == 3, type, composite))
                return -ENOMEDIUM;
        *ret = f;
        return 0;
}

/* Empty instances and empty multiple resources are something only nested formats can say. */
static bool shows_empty(Format f) {
        return f == FORMAT_TLV || f == FORMAT_LWM2M_CBOR;
}

/* --- one resource --- */
typedef struct Collector {
        const Dm *dm;
        uint16_t ssid;
        const RecordList *answers;
        ReadResult *result;
        GArray *ask;
        bool show_empty;
        /* the instance the walk is in */
        const ObjectDef *def;
        Path instance, multiple;
        uint16_t next; /* index of the definition's first resource not looked at yet */
        bool skip_instance, skip_resource, in_instance, in_multiple;
        size_t n_at_instance, n_at_multiple;
        int error;
} Collector;

static bool is_readable(const ResourceDef *def) {
        return def->operations & OPERATION_READ;
}

/* An application's value is as the definition asks, or an error of the application. */
static int add_answer(Collector *c, const Record *record, const ResourceDef *def) {
        g_auto(Value) v = VALUE_INIT;

        if (record->path.n != (def->multiple ? 4 : 3))
                return -EIO;
        if (value_convert(&record->value, (ValueType) def->type, &v) < 0 ||
            resource_check(def, &v) < 0)
                return -EIO;
        add_owned(c->result, &record->path, &v, record->time_ns);
        return 0;
}

static int compare_path(const void *a, const void *b) {
        return path_compare(&((const Record *) a)->path, &((const Record *) b)->path);
}

/* The answers for p and below; they are sorted by path. Returns how many. */
static int add_answers(Collector *c, const Path *p, const ResourceDef *def) {
        const RecordList *l = c->answers;
        size_t low = 0, high = l->n;
        int r, n = 0;

        while (low < high) {
                const size_t middle = low + (high - low) / 2;

                if (path_compare(&l->v[middle].path, p) < 0)
                        low = middle + 1;
                else
                        high = middle;
        }
        for (; low < l->n && path_covers(p, &l->v[low].path); low++) {
                r = add_answer(c, &l->v[low], def);
                if (r < 0)
                        return r;
                n++;
        }
        return n;
}

/* Whether somebody else than the tree answers for p: 1 if so (values or a question were added). */
static int collect_elsewhere(Collector *c, const Path *p, const ResourceDef *def) {
        g_auto(Value) v = VALUE_INIT;
        int r;

        if (!def->multiple || p->n == 4) {
                r = dm_behaviour_read(c->dm, p, &v);
                if (r == 0) {
                        add_owned(c->result, p, &v, RECORD_NO_TIME);
                        c->result->elsewhere = true;
                        return 1;
                }
                if (r != -ENOSYS)
                        return r;
        }
        if (!samples_asks(c->dm, p))
                return 0;
        c->result->elsewhere = true;
        if (c->answers) {
                r = add_answers(c, p, def);
                return r < 0 ? r : 1;
        }
        if (!c->ask)
                return 0;
        g_array_append_vals(c->ask, p, 1);
        return 1;
}

/* --- a walk: instances and objects --- */
/* Resources that the tree has no value for, up to (not with) id: computed ones and those of
 * applications. */
static int collect_absent(Collector *c, unsigned id) {
        int r;

        for (; c->def && c->next < c->def->n_resources && c->def->resources[c->next].id < id;
             c->next++) {
                const ResourceDef *def = &c->def->resources[c->next];
                const Path p = path_child(&c->instance, def->id);

                if (!is_readable(def) || def->type == VALUE_NONE)
                        continue;
                r = collect_elsewhere(c, &p, def);
                if (r < 0)
                        return r;
        }
        return 0;
}

static void end_multiple(Collector *c) {
        if (c->in_multiple && c->show_empty && c->result->n == c->n_at_multiple)
                add_borrowed(c->result, &c->multiple, NULL, RECORD_NO_TIME);
        c->in_multiple = false;
}

static int end_instance(Collector *c) {
        int r;

        end_multiple(c);
        if (!c->in_instance)
                return 0;
        c->in_instance = false;
        r = collect_absent(c, ID_RESERVED);
        if (r < 0)
                return r;
        if (c->show_empty && c->result->n == c->n_at_instance)
                add_borrowed(c->result, &c->instance, NULL, RECORD_NO_TIME);
        return 0;
}

static int begin_instance(Collector *c, const Path *p) {
        int r;

        r = end_instance(c);
        if (r < 0)
                return r;
        c->skip_instance = dm_may(c->dm, c->ssid, p, ACCESS_READ) < 0;
        if (c->skip_instance)
                return 0;
        c->in_instance = true;
        c->instance = *p;
        c->def = tree_object_def(c->dm->tree, p->id[0], p->id[1]);
        c->next = 0;
        c->n_at_instance = c->result->n;
        return 0;
}

static int visit_resource(Collector *c, const Path *p, const Value *v, const ResourceDef *def) {
        int r;

        end_multiple(c);
        r = collect_absent(c, p->id[2]);
        if (r < 0)
                return r;
        if (c->def && c->next < c->def->n_resources && c->def->resources[c->next].id == p->id[2])
                c->next++;

        c->skip_resource = !is_readable(def);
        if (c->skip_resource)
                return 0;
        r = collect_elsewhere(c, p, def);
        if (r != 0) {
                c->skip_resource = true;
                return r < 0 ? r : 0;
        }
        if (v) {
                add_borrowed(c->result, p, v, RECORD_NO_TIME);
                return 0;
        }
        c->in_multiple = true;
        c->multiple = *p;
        c->n_at_multiple = c->result->n;
        return 0;
}

static int on_visit(void *userdata, const Path *p, const Value *v, const ResourceDef *def) {
        Collector *c = userdata;

        if (p->n == 2)
                return begin_instance(c, p);
        if (c->skip_instance)
                return 0;
        if (p->n == 3)
                return visit_resource(c, p, v, def);
        if (!c->skip_resource)
                add_borrowed(c->result, p, v, RECORD_NO_TIME);
        return 0;
}

static int collect_walk(Collector *c, const Path *p) {
        int r;

        if (p->n == 1 && !tree_object_def(c->dm->tree, p->id[0], -1))
                return -ENOENT;
        if (p->n == 2 && !tree_exists(c->dm->tree, p))
                return -ENOENT;
        r = p->n == 2 ? dm_may(c->dm, c->ssid, p, ACCESS_READ) : 0;
        if (r < 0)
                return r;
        r = tree_walk(c->dm->tree, p, on_visit, c);
        return r < 0 ? r : end_instance(c);
}

/* --- resources and resource instances, named themselves --- */
static int on_instance(void *userdata, const Path *p, const Value *v, const ResourceDef *def) {
        Collector *c = userdata;

        if (p->n == 4)
                add_borrowed(c->result, p, v, RECORD_NO_TIME);
        return 0;
}

static int collect_resource(Collector *c, const Path *p) {
        const Path instance = path_prefix(p, 2);
        const ResourceDef *def;
        const Value *v;
        int r;

        if (!tree_exists(c->dm->tree, &instance))
                return -ENOENT;
        r = dm_may(c->dm, c->ssid, &instance, ACCESS_READ);
        if (r < 0)
                return r;
        def = tree_resource_def(c->dm->tree, p);
        if (!def || (p->n == 4 && !def->multiple))
                return -ENOENT;
        if (!is_readable(def))
                return -EPERM;
        r = collect_elsewhere(c, p, def);
        if (r != 0)
                return r < 0 ? r : 0;
        if (p->n == 4 || !def->multiple) {
                r = tree_get(c->dm->tree, p, &v);
                if (r == 0)
                        add_borrowed(c->result, p, v, RECORD_NO_TIME);
                return r;
        }
        if (!tree_exists(c->dm->tree, p))
                return -ENOENT;
        c->in_multiple = true;
        c->multiple = *p;
        c->n_at_multiple = c->result->n;
        tree_walk(c->dm->tree, p, on_instance, c);
        end_multiple(c);
        return 0;
}

static int collect(Collector *c, const Path *p) {
        int r;

        r = dm_access(p);
        if (r < 0)
                return r;
        return p->n >= 3 ? collect_resource(c, p) : collect_walk(c, p);
}

static int compare_paths(const void *a, const void *b) {
        return path_compare(a, b);
}

/* Paths of a composite request may overlap: each value is told once, in path order. */
static void remove_overlaps(ReadResult *r) {
        size_t n = 0;

        if (r->n < 2)
                return;
        qsort(r->v, r->n, sizeof(Record), compare_path);
        for (size_t i = 1; i < r->n; i++)
                if (!path_equal(&r->v[n].path, &r->v[i].path))
                        r->v[++n] = r->v[i];
        r->n = n + 1;
}

/* The same for the questions: what is below a path asked for is answered with it. */
static void remove_asked_twice(GArray *ask) {
        guint n = 0;

        if (ask->len < 2)
                return;
        g_array_sort(ask, compare_paths);
        for (guint i = 1; i < ask->len; i++) {
                const Path *last = &g_array_index(ask, Path, n), *p = &g_array_index(ask, Path, i);

                if (!path_covers(last, p))
                        g_array_index(ask, Path, ++n) = *p;
        }
        g_array_set_size(ask, n + 1);
}

/* Of several paths: those that are not there, not readable, or not for this server. */
static bool is_left_out(int r) {
        return r == -ENOENT || r == -EPERM || r == -EACCES;
}

static bool is_single(const Dm *dm, const Path *p) {
        return p->n == 4 || (p->n == 3 && !tree_resource_def(dm->tree, p)->multiple);
}

int read_collect(const Dm *dm, const ReadTarget *target, const RecordList *answers, ReadResult *ret,
                 GArray *ask) {
        g_auto(ReadResult) result = { .v = NULL };
        Collector c = {
                .dm = dm,
                .ssid = target->ssid,
                .answers = answers,
                .result = &result,
                .ask = ask,
                .show_empty = shows_empty(target->format),
        };
        const guint n_asked = ask ? ask->len : 0;
        int r, missing = -ENOENT;

        for (size_t i = 0; i < target->n; i++) {
                r = collect(&c, &target->paths[i]);
                if (r < 0 && !(target->composite && is_left_out(r)))
                        return r;
                if (r == -EACCES)
                        missing = r;
        }
        if (target->composite) {
                if (result.n == 0 && (!ask || ask->len == n_asked))
                        return missing;
                remove_overlaps(&result);
                if (ask)
                        remove_asked_twice(ask);
        } else if (result.n == 0 && answers && is_single(dm, &target->paths[0]))
                return -ENOENT; /* its application has no value either */
        *ret = result;
        result = (ReadResult){ .v = NULL };
        return 0;
}

int read_collect_answered(const Dm *dm, const ReadTarget *target, const RecordList *records,
                          ReadResult *ret) {
        g_autofree Record *sorted = NULL; /* a shallow copy: the values stay where they are */
        RecordList answers = { .v = NULL };

        if (records && records->n > 0) {
                sorted = g_memdup2(records->v, records->n * sizeof(Record));
                qsort(sorted, records->n, sizeof(Record), compare_path);
                answers = (RecordList){ .v = sorted, .n = records->n };
        }
        return read_collect(dm, target, &answers, ret, NULL);
}

int read_encode(const Dm *dm, const ReadTarget *target, const ReadResult *result, GBytes **ret) {
        const FormatSchema schema = tree_format_schema(dm->tree);
        const Path base = target->composite ? PATH_ROOT : target->paths[0];
        GByteArray *out = g_byte_array_new();
        int r;

        r = format_encode(target->format, &base, result->v, result->n, &schema, out);
        if (r < 0) {
                g_byte_array_unref(out);
                return r == -ENOTSUP ? -ENOMEDIUM : r;
        }
        *ret = g_byte_array_free_to_bytes(out);
        return 0;
}

/* --- the request --- */
typedef struct ReadJob {
        Dm *dm;
        ReadTarget target;
        bool samples;             /* of what is cached; else the latest value */
        Observation *observation; /* to be started by the answer; NULL for none */
} ReadJob;

static void read_job_free(void *userdata) {
        ReadJob *job = userdata;

        if (job->observation)
                observation_abandon(job->observation);
        g_free(job->target.paths);
        g_free(job);
}

/* Answers with what was found; 0, or a negative errno and nothing was sent. */
static int answer(ReadJob *job, Responder *to, const ReadResult *result, uint64_t now_usec) {
        g_autoptr(GBytes) payload = NULL;
        g_auto(ReadResult) samples = { .v = NULL };
        Message m = MESSAGE_INIT(CODE(2, 5));
        int r;

        if (job->samples && job->dm->config.series && format_has_time(job->target.format))
                samples_read(job->dm, result, &samples);
        r = read_encode(job->dm, &job->target, samples.v ? &samples : result, &payload);
        if (r < 0)
                return r;
        m.format = job->target.format;
        m.payload = payload;
        if (job->observation)
                m.observe =
                        observation_establish(g_steal_pointer(&job->observation), result, now_usec);
        responder_send(to, &m);
        return 0;
}

static void on_answers(Operation *o, void *state, int error, const char *text,
                       const RecordList *records, uint64_t now_usec) {
        g_auto(ReadResult) result = { .v = NULL };
        ReadJob *job = state;
        int r = error;

        if (r == 0)
                r = read_collect_answered(job->dm, &job->target, records, &result);
        if (r == 0)
                r = answer(job, operation_responder(o), &result, now_usec);
        if (r < 0)
                operation_fail(o, r, text, now_usec);
        else
                operation_free(o);
}

/* Hands the waiting part over to an operation. */
static int wait_for_apps(Request *rq, ReadJob *job, const GArray *ask) {
        const AppOps *apps = rq->dm->config.apps;
        const AppContext context = { .ssid = rq->peer->ssid };
        Operation *o;
        int r;

        r = operation_new(rq->dm, rq->peer, &rq->to, on_answers, job, read_job_free, &o);
        if (r < 0)
                return r;
        operation_wait(o, apps->read(rq->dm->config.apps_userdata,
                                     (const Path *) (const void *) ask->data, ask->len, &context,
                                     operation_done, o));
        return 0;
}

int read_start(Request *rq, ReadTarget *target, bool observe) {
        g_autoptr(GArray) ask = g_array_new(FALSE, FALSE, sizeof(Path));
        g_auto(ReadResult) result = { .v = NULL };
        ReadJob *job = g_new(ReadJob, 1);
        int r;

        /* What is observed gets its samples in notifications, which are acknowledged; and who
         * cancels wants none. */
        *job = (ReadJob){ .dm = rq->dm, .target = *target, .samples = rq->message->observe < 0 };
        target->paths = NULL;
        samples_note_clock(rq->dm);
        r = read_collect(rq->dm, &job->target, NULL, &result, ask);
        if (r == 0 && observe)
                r = observe_begin(rq, &job->target, &job->observation);
        if (r == 0 && ask->len > 0) {
                r = wait_for_apps(rq, job, ask);
                if (r == 0) {
                        if (job->observation)
                                observation_set_job(job->observation, &job->observation);
                        return 0;
                }
        } else if (r == 0)
                r = answer(job, &rq->to, &result, rq->now_usec);
        read_job_free(job);
        return r;
}

static int choose_format(const Request *rq, const ResourceDef *def, Format *ret) {
        /* Plain text, which a single value has otherwise, has no place for samples. */
        if (rq->message->accept < 0 && version_reaches(rq->peer->version, 1, 1) &&
            samples_cached(rq->dm, &rq->path, def)) {
                *ret = FORMAT_SENML_CBOR;
                return 0;
        }
        return read_format(rq->peer->version, &rq->path, def, rq->message->accept, false, ret);
}

int read_request(Request *rq) {
        const ResourceDef *def =
                rq->path.n >= 3 ? tree_resource_def(rq->dm->tree, &rq->path) : NULL;
        ReadTarget target = { .n = 1, .ssid = rq->peer->ssid };
        int r;

        if (rq->path.n == 0)
                return request_fail(rq, -EPERM, "Read needs a path");
        r = dm_access(&rq->path);
        if (r < 0)
                return r;
        r = choose_format(rq, def, &target.format);
        if (r < 0) {
                /* What is not there is 4.04 or 4.05 in any format. */
                g_auto(ReadResult) result = { .v = NULL };
                int e;

                target.paths = &rq->path;
                target.format = FORMAT_TLV;
                e = read_collect(rq->dm, &target, NULL, &result, NULL);
                return is_left_out(e) ? e : r;
        }
        target.paths = g_memdup2(&rq->path, sizeof(Path));
        return read_start(rq, &target, rq->message->observe == 0);
}

/* --- local --- */
typedef struct LocalRead {
        Dm *dm;
        Path path;
        ReadTarget target;
} LocalRead;

static void on_read_locally(Operation *o, void *state, int error, const char *text,
                            const RecordList *records, uint64_t now_usec) {
        g_auto(ReadResult) result = { .v = NULL };
        LocalRead *l = state;
        int r = error;

        if (r == 0)
                r = read_collect_answered(l->dm, &l->target, records, &result);
        if (r < 0)
                operation_fail(o, r, text, now_usec);
        else
                operation_deliver(o, &(RecordList){ .v = result.v, .n = result.n }, now_usec);
}

int read_local(Dm *dm, const Path *p, AppDone done, void *userdata) {
        g_autoptr(GArray) ask = g_array_new(FALSE, FALSE, sizeof(Path));
        g_auto(ReadResult) result = { .v = NULL };
        LocalRead *l = g_new(LocalRead, 1);
        const AppContext context = { .ssid = 0 };
        Operation *o;
        int r;

        *l = (LocalRead){ .dm = dm, .path = *p };
        l->target = (ReadTarget){ .paths = &l->path, .n = 1, .format = FORMAT_SENML_CBOR };
        r = p->n > 0 ? read_collect(dm, &l->target, NULL, &result, ask) : -EINVAL;
        if (r == 0)
                r = operation_new_local(dm, done, userdata, on_read_locally, l, g_free, &o);
        if (r < 0) {
                g_free(l);
                return r;
        }
        if (ask->len == 0)
                operation_defer(o, 0); /* gathers once more then: computed values may be younger,
                                          never older */
        else
                operation_wait(o, dm->config.apps->read(dm->config.apps_userdata,
                                                        (const Path *) (const void *) ask->data,
                                                        ask->len, &context, operation_done, o));
        return 0;
}
