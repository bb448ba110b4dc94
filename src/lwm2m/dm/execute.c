/* SPDX-License-Identifier: Apache-2.0 */
#include "lwm2m/dm/execute.h"

#include <errno.h>
#include <string.h>

#include "codec/format.h"
#include "lwm2m/dm/execute_args.h"
#include "lwm2m/dm/operation.h"

static int check_target(const Dm *dm, uint16_t ssid, const Path *p) {
        const Path instance = path_prefix(p, MIN(p->n, 2));
        const ResourceDef *def;
        int r;

        if (p->n < 3)
                return -EPERM;
        if (!tree_exists(dm->tree, &instance))
                return -ENOENT;
        r = dm_may(dm, ssid, &instance, ACCESS_EXECUTE);
        if (r < 0)
                return r;
        def = tree_resource_def(dm->tree, p);
        if (!def)
                return -ENOENT;
        if (p->n != 3 || !(def->operations & OPERATION_EXECUTE))
                return -EPERM;
        return 0;
}

static void on_executed(Operation *o, void *state, int error, const char *text,
                        const RecordList *records, uint64_t now_usec) {
        if (error < 0)
                operation_fail(o, error, text, now_usec);
        else
                operation_respond(o, &MESSAGE_INIT(CODE(2, 4)));
}

/* -ENOSYS: nobody handles p. */
static int ask_owner(const Dm *dm, Operation *o, const Path *p, const ExecuteArgs *args,
                     const char *raw, uint16_t ssid) {
        const AppContext context = { .ssid = ssid };

        if (!(dm_claimed(dm, p) & APP_EXECUTE))
                return -ENOSYS;
        operation_wait(o, dm->config.apps->execute(dm->config.apps_userdata, p, args->v, args->n,
                                                   raw, &context, operation_done, o));
        return 0;
}

static int parse_body(Request *rq, ExecuteArgs *ret, char **ret_raw) {
        const int format = rq->message->format;
        const char *data;
        size_t n;
        Format f;
        int r;

        if (format >= 0 && (format_from_number((unsigned) format, &f) < 0 || f != FORMAT_TEXT))
                return -EMEDIUMTYPE;
        data = request_payload(rq, &n);
        r = execute_args_parse(data, n, ret);
        if (r < 0)
                return request_fail(rq, r, "Bad arguments");
        *ret_raw = g_strndup(data ? data : "", n);
        return 0;
}

int execute_request(Request *rq) {
        g_auto(ExecuteArgs) args = { .n = 0 };
        g_autofree char *raw = NULL;
        Operation *o;
        int r;

        r = check_target(rq->dm, rq->peer->ssid, &rq->path);
        if (r == -EACCES)
                return request_fail(rq, r, "%s: not for this server", PATH_TEXT(&rq->path));
        if (r < 0)
                return r;
        r = parse_body(rq, &args, &raw);
        if (r < 0)
                return r;
        r = dm_behaviour_execute(rq->dm, rq->peer->ssid, &rq->path, args.v, args.n, rq->now_usec);
        if (r == 0)
                responder_code(&rq->to, CODE(2, 4));
        if (r != -ENOSYS)
                return r;

        if (!(dm_claimed(rq->dm, &rq->path) & APP_EXECUTE))
                return request_fail(rq, -EPERM, "%s: nobody handles it", PATH_TEXT(&rq->path));
        r = operation_new(rq->dm, rq->peer, &rq->to, on_executed, NULL, NULL, &o);
        return r < 0 ? r : ask_owner(rq->dm, o, &rq->path, &args, raw, rq->peer->ssid);
}

/* --- local --- */
static void on_executed_locally(Operation *o, void *state, int error, const char *text,
                                const RecordList *records, uint64_t now_usec) {
        if (error < 0)
                operation_fail(o, error, text, now_usec);
        else
                operation_deliver(o, NULL, now_usec);
}

int execute_local(Dm *dm, const Path *p, const char *text, AppDone done, void *userdata,
                  uint64_t now_usec) {
        g_auto(ExecuteArgs) args = { .n = 0 };
        Operation *o;
        int r;

        r = check_target(dm, 0, p);
        if (r < 0)
                return r;
        r = execute_args_parse(text, text ? strlen(text) : 0, &args);
        if (r < 0)
                return r;
        if (!dm_behaviour_executes(dm, p) && !(dm_claimed(dm, p) & APP_EXECUTE))
                return -ENOSYS;
        r = operation_new_local(dm, done, userdata, on_executed_locally, NULL, NULL, &o);
        if (r < 0)
                return r;
        r = dm_behaviour_execute(dm, 0, p, args.v, args.n, now_usec);
        if (r != -ENOSYS) {
                operation_defer(o, r);
                return 0;
        }
        r = ask_owner(dm, o, p, &args, text ? text : "", 0);
        if (r < 0)
                operation_forget(o);
        return r;
}
