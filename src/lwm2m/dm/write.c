/* SPDX-License-Identifier: Apache-2.0 */
#include "lwm2m/dm/write.h"

#include <errno.h>
#include <string.h>

#include "codec/format.h"
#include "lwm2m/dm/operation.h"

/* --- the common end of all changes --- */
typedef struct WriteJob {
        Dm *dm;
        uint16_t ssid;
        OpList ops;
        WriteAnswer answer;
} WriteJob;

static void write_job_free(void *userdata) {
        WriteJob *job = userdata;

        op_list_clear(&job->ops);
        g_free(job);
}

static void send_answer(Responder *to, const WriteAnswer *answer) {
        Message m = MESSAGE_INIT(answer->code);
        char text[4][8];
        const char *location[5] = { NULL };

        for (unsigned i = 0; i < answer->location.n; i++) {
                g_snprintf(text[i], sizeof(text[i]), "%u", answer->location.id[i]);
                location[i] = text[i];
        }
        if (answer->location.n > 0)
                m.path = location;
        responder_send(to, &m);
}

static int commit(WriteJob *job, OpError *error, uint64_t now_usec) {
        return dm_commit(job->dm, &job->ops, ORIGIN_SERVER, job->ssid, error, now_usec);
}

/* The owners agree. Others may have changed the tree since: it checks everything once more. */
static void on_prepared(Operation *o, void *state, int error, const char *text,
                        const RecordList *records, uint64_t now_usec) {
        WriteJob *job = state;
        OpError failed;
        int r;

        if (error < 0) {
                operation_fail(o, error, text, now_usec);
                return;
        }
        r = commit(job, &failed, now_usec);
        operation_finish(o, r == 0);
        if (r < 0) {
                operation_fail(o, r, failed.text, now_usec);
                return;
        }
        send_answer(operation_responder(o), &job->answer);
        operation_free(o);
}

static bool has_owner(const Dm *dm, const OpList *ops) {
        for (size_t i = 0; i < ops->n; i++)
                if (dm_claimed(dm, &ops->v[i].path) & (APP_WRITE | APP_CREATE))
                        return true;
        return false;
}

/* 1 when applications are asked: the job is the operation's then. */
static int ask_owners(Request *rq, WriteJob *job) {
        const AppOps *apps = rq->dm->config.apps;
        const AppContext context = { .ssid = rq->peer->ssid };
        Operation *o;
        AppCall *call;
        int r;

        if (!has_owner(rq->dm, &job->ops))
                return 0;
        r = operation_new(rq->dm, rq->peer, &rq->to, on_prepared, job, write_job_free, &o);
        if (r < 0)
                return r;
        call = apps->prepare(rq->dm->config.apps_userdata, job->ops.v, job->ops.n, &context,
                             operation_done, o);
        if (call) {
                operation_wait_prepare(o, call);
                return 1;
        }
        operation_disband(o, &rq->to);
        return 0;
}

int write_submit(Request *rq, OpList *ops, const WriteAnswer *answer) {
        WriteJob *job = g_new(WriteJob, 1);
        OpError failed;
        int r;

        *job = (WriteJob){ .dm = rq->dm, .ssid = rq->peer->ssid, .ops = *ops, .answer = *answer };
        *ops = (OpList){ .v = NULL };

        r = ask_owners(rq, job);
        if (r == 1)
                return 0;
        if (r == 0) {
                r = commit(job, &failed, rq->now_usec);
                if (r < 0)
                        request_fail(rq, r, "%s", failed.text);
                else
                        send_answer(&rq->to, answer);
        }
        write_job_free(job);
        return r;
}

/* --- bodies --- */
int write_format(const Request *rq, const Path *base, const ResourceDef *def, bool composite,
                 Format *ret) {
        const int number = rq->message->format;
        Format f;

        if (number < 0 || format_from_number((unsigned) number, &f) < 0)
                return -EMEDIUMTYPE;
        if (f == FORMAT_LINK)
                return -EMEDIUMTYPE;
        if ((f == FORMAT_SENML_ETCH_JSON || f == FORMAT_SENML_ETCH_CBOR) && !composite)
                return -EMEDIUMTYPE;
        if (!format_fits(f, base, def && def->multiple && base->n == 3,
                         def ? (ValueType) def->type : VALUE_NONE, composite))
                return -EMEDIUMTYPE;
        *ret = f;
        return 0;
}

int write_decode(Request *rq, Format format, const Path *base, RecordList *ret) {
        const FormatSchema schema = tree_format_schema(rq->dm->tree);
        Path bad = PATH_ROOT;
        const void *data;
        size_t n;
        int r;

        data = request_payload(rq, &n);
        r = format_decode(format, base, data, n, &schema, &rq->dm->config.limits, ret, &bad);
        if (r == -ENOTSUP)
                return -EMEDIUMTYPE;
        if (r < 0 && bad.n > 0) {
                int hidden = dm_access(&bad);

                return hidden < 0 ? hidden
                                  : request_fail(rq, r, "%s: %s", PATH_TEXT(&bad),
                                                 r == -EINVAL ? "not a value of its type, or "
                                                                "outside of the request's path"
                                                              : strerror(-r));
        }
        if (r < 0)
                return request_fail(rq, r, "Malformed %s", format_name(format));
        return 0;
}

int write_add_record(Request *rq, Record *record, bool is_new, OpList *ops) {
        const Path instance = path_prefix(&record->path, MIN(record->path.n, 2));
        const Tree *tree = rq->dm->tree;
        const ResourceDef *def;
        int r;

        r = dm_access(&record->path);
        if (r < 0)
                return r;
        if (record->path.n < 3)
                return request_fail(rq, -EINVAL, "%s: a value needs a resource",
                                    PATH_TEXT(&record->path));
        if (!is_new && !tree_exists(tree, &instance))
                return request_fail(rq, -ENOENT, "%s: no such object instance",
                                    PATH_TEXT(&instance));
        r = is_new ? 0 : request_may(rq, &instance, ACCESS_WRITE);
        if (r < 0)
                return r;
        def = tree_resource_def(tree, &record->path);
        if (!def)
                return request_fail(rq, -ENOENT, "%s: no such resource", PATH_TEXT(&record->path));
        if (!(def->operations & OPERATION_WRITE))
                return request_fail(rq, -EPERM, "%s: not writable", PATH_TEXT(&record->path));
        if (record->path.n == 4 && !def->multiple)
                return request_fail(rq, -EINVAL, "%s: not a multiple resource",
                                    PATH_TEXT(&record->path));

        if (record->value.type != VALUE_NONE) {
                op_list_add(ops, OP_SET, &record->path, &record->value);
                return 0;
        }
        if (record->path.n == 3 && def->multiple) { /* a multiple resource without instances */
                op_list_add(ops, OP_REPLACE, &record->path, NULL);
                return 0;
        }
        return request_fail(rq, -EINVAL, "%s: no value", PATH_TEXT(&record->path));
}

static bool sets_resource(const OpList *ops, const Path *resource) {
        for (size_t i = 0; i < ops->n; i++)
                if ((ops->v[i].kind == OP_SET || ops->v[i].kind == OP_REPLACE) &&
                    ops->v[i].path.n >= 3 && path_covers(resource, &ops->v[i].path))
                        return true;
        return false;
}

int write_check_mandatory(Request *rq, const ObjectDef *def, const Path *instance,
                          const OpList *ops) {
        for (unsigned i = 0; i < def->n_resources; i++) {
                const ResourceDef *resource = &def->resources[i];
                const Path p = path_child(instance, resource->id);

                if (resource->mandatory && resource->operations & OPERATION_WRITE &&
                    !sets_resource(ops, &p))
                        return request_fail(rq, -EINVAL, "%s: mandatory resource missing",
                                            PATH_TEXT(&p));
        }
        return 0;
}

/* --- Write --- */
/* Resources that a partial update or a replacement brings as a whole are replaced as a whole only
 * by PUT: POST adds to the instances of a multiple resource (section 6.3.3). */
static int build_ops(Request *rq, RecordList *records, bool replace, OpList *ops) {
        const ResourceDef *def =
                rq->path.n == 3 ? tree_resource_def(rq->dm->tree, &rq->path) : NULL;
        int r;

        if (replace && (rq->path.n == 2 || (def && def->multiple)))
                op_list_add(ops, OP_REPLACE, &rq->path, NULL);
        for (size_t i = 0; i < records->n; i++) {
                if (records->v[i].path.n == 2 && records->v[i].value.type == VALUE_NONE)
                        continue; /* an instance without resources */
                r = write_add_record(rq, &records->v[i], false, ops);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* The target must be there and be writable, whatever the body says. */
static int check_target(Request *rq, const ResourceDef **ret) {
        const Path instance = path_prefix(&rq->path, 2);
        const ResourceDef *def = NULL;
        int r;

        if (!tree_exists(rq->dm->tree, &instance))
                return request_fail(rq, -ENOENT, "%s: no such object instance",
                                    PATH_TEXT(&instance));
        r = request_may(rq, &instance, ACCESS_WRITE);
        if (r < 0)
                return r;
        if (rq->path.n >= 3) {
                def = tree_resource_def(rq->dm->tree, &rq->path);
                if (!def || (rq->path.n == 4 && !def->multiple))
                        return request_fail(rq, -ENOENT, "%s: no such resource",
                                            PATH_TEXT(&rq->path));
                if (!(def->operations & OPERATION_WRITE))
                        return request_fail(rq, -EPERM, "%s: not writable", PATH_TEXT(&rq->path));
        }
        *ret = def;
        return 0;
}

int write_request(Request *rq, bool replace) {
        g_auto(RecordList) records = { .v = NULL };
        g_auto(OpList) ops = { .v = NULL };
        const ResourceDef *def = NULL;
        Format format;
        int r;

        if (rq->path.n < 2)
                return request_fail(rq, -EPERM, "Write needs an object instance");
        r = check_target(rq, &def);
        if (r < 0)
                return r;
        r = write_format(rq, &rq->path, def, false, &format);
        if (r < 0)
                return r;
        r = write_decode(rq, format, &rq->path, &records);
        if (r < 0)
                return r;
        r = build_ops(rq, &records, replace, &ops);
        if (r < 0)
                return r;
        if (replace && rq->path.n == 2) {
                r = write_check_mandatory(
                        rq, tree_object_def(rq->dm->tree, rq->path.id[0], rq->path.id[1]),
                        &rq->path, &ops);
                if (r < 0)
                        return r;
        }
        return write_submit(rq, &ops, &(WriteAnswer){ .code = CODE(2, 4) });
}
