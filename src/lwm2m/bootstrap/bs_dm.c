/* SPDX-License-Identifier: Apache-2.0 */
#include "lwm2m/bootstrap/bs_dm.h"

#include <errno.h>
#include <string.h>

#include "codec/format.h"
#include "lwm2m/bootstrap/bs_account.h"
#include "lwm2m/bootstrap/bs_discover.h"
#include "lwm2m/dm/dm_internal.h"
#include "lwm2m/dm/read.h"
#include "util/parse.h"

#define ANSWER_LINKS_MAX (4U << 20)

struct BsDm {
        BsDmConfig config;
        Dm *dm;
        Tree *tree;
        BsStage *stage; /* NULL without a session */
        /* A Finish that waits for applications. */
        AppCall *call;
        Responder to; /* exchange NULL: a pack, nobody waits for an answer */
        OpList ops;
        bool deciding;
};

typedef struct Ask {
        BsDm *d;
        const Message *message;
        Path path;
        bool is_bs; /* the path is /bs */
        Responder *to;
        char *why; /* owned: the diagnostic payload of a failure */
} Ask;

/* --- what is asked --- */

static int fail(Ask *a, int error, const char *why) {
        g_free(a->why);
        a->why = g_strdup(why);
        return error;
}

static int parse_path(Ask *a) {
        const char *const *path = a->message->path;

        a->path = PATH_ROOT;
        a->is_bs = path && path[0] && strcmp(path[0], "bs") == 0 && !path[1];
        if (a->is_bs)
                return 0;
        for (size_t i = 0; path && path[i]; i++) {
                if (i == 4 || parse_u16(path[i], &a->path.id[i]) < 0 || a->path.id[i] > ID_MAX)
                        return fail(a, -ENOENT, "No such path");
                a->path.n++;
        }
        return 0;
}

/* --- Discover and Read: on the tree as it would be --- */

static int on_discover(void *userdata, const Tree *tree) {
        Ask *a = userdata;
        Message m = MESSAGE_INIT(CODE(2, 5));
        g_autoptr(GBytes) payload = NULL;
        char *links = bs_discover(tree, &a->path, a->d->config.version);
        size_t n = strlen(links);

        payload = g_bytes_new_take(links, n);
        if (n > ANSWER_LINKS_MAX)
                return fail(a, -EFBIG, "Too many object instances");
        m.format = FORMAT_LINK;
        m.payload = payload;
        responder_send(a->to, &m);
        return 0;
}

typedef struct Reading {
        Ask *ask;
        Format format;
        GArray *records; /* of Record, values borrowed */
} Reading;

static int on_value(void *userdata, const Path *p, const Value *v, const ResourceDef *def) {
        GArray *records = ((Reading *) userdata)->records;
        const Record r = { .path = *p, .value = v ? *v : VALUE_INIT, .time_ns = RECORD_NO_TIME };

        if (v)
                g_array_append_val(records, r);
        return 0;
}

static int on_read(void *userdata, const Tree *tree) {
        Reading *reading = userdata;
        Ask *a = reading->ask;
        const FormatSchema schema = tree_format_schema(tree);
        g_autoptr(GByteArray) body = g_byte_array_new();
        g_autoptr(GBytes) payload = NULL;
        Message m = MESSAGE_INIT(CODE(2, 5));
        int r;

        if (a->path.n == 2 && !tree_exists(tree, &a->path))
                return fail(a, -ENOENT, "No such object instance");
        tree_walk(tree, &a->path, on_value, reading);
        r = format_encode(reading->format, &a->path,
                          (const Record *) (const void *) reading->records->data,
                          reading->records->len, &schema, body);
        if (r < 0)
                return r == -ENOTSUP ? -ENOMEDIUM : r;
        payload = g_byte_array_free_to_bytes(g_steal_pointer(&body));
        m.format = (int) reading->format;
        m.payload = payload;
        responder_send(a->to, &m);
        return 0;
}

static int look(Ask *a, int (*func)(void *userdata, const Tree *tree), void *userdata) {
        g_auto(OpList) ops = { .v = NULL };
        OpError error = { .text = "" };
        int r;

        bs_stage_ops(a->d->stage, &ops);
        r = ops_try(a->d->tree, ops.v, ops.n, func, userdata, &error);
        return r < 0 && !a->why ? fail(a, r, error.text) : r;
}

static int discover(Ask *a) {
        if (a->path.n > 1)
                return fail(a, -EPERM, "Discover goes to the root or an object");
        if (a->path.n == 1 && !tree_object_def(a->d->tree, a->path.id[0], -1))
                return fail(a, -ENOENT, "No such object");
        return look(a, on_discover, a);
}

static int read_values(Ask *a) {
        Reading reading = { .ask = a };
        int r;

        if (a->path.n > 0 && dm_is_hidden(a->path.id[0]))
                return fail(a, -EACCES, "Object 0 and 21 are not read");
        if (a->path.n == 0 || a->path.n > 2 || (a->path.id[0] != 1 && a->path.id[0] != 2))
                return fail(a, -EPERM, "Only objects 1 and 2 and their instances are read");
        r = read_format(a->d->config.version, &a->path, NULL, a->message->accept, false,
                        &reading.format);
        if (r < 0)
                return r;
        if (!tree_object_def(a->d->tree, a->path.id[0], -1))
                return fail(a, -ENOENT, "No such object");
        reading.records = g_array_new(FALSE, FALSE, sizeof(Record));
        r = look(a, on_read, &reading);
        g_array_unref(reading.records);
        return r;
}

/* --- Write and Delete --- */

static int decode(BsDm *d, Format format, const Path *base, GBytes *payload, RecordList *ret,
                  char **ret_error) {
        const FormatSchema schema = tree_format_schema(d->tree);
        FormatLimits limits = d->dm->config.limits;
        Path bad = PATH_ROOT;
        gsize n = 0;
        const void *data = payload ? g_bytes_get_data(payload, &n) : NULL;
        int r;

        limits.records = d->config.limits.paths ? d->config.limits.paths : limits.records;
        r = format_decode(format, base, data, n, &schema, &limits, ret, &bad);
        if (r == -ENOTSUP)
                return -EMEDIUMTYPE;
        if (r < 0)
                *ret_error = bad.n > 0 ? g_strdup_printf("%s: %s", PATH_TEXT(&bad), g_strerror(-r))
                                       : g_strdup_printf("Malformed %s", format_name(format));
        return r;
}

static int write_format_of(const Ask *a, Format *ret) {
        const ResourceDef *def = tree_resource_def(a->d->tree, &a->path);
        const int number = a->message->format;
        Format f;

        if (number < 0 || format_from_number((unsigned) number, &f) < 0 || f == FORMAT_LINK ||
            !format_fits(f, &a->path, def && def->multiple && a->path.n == 3,
                         def ? (ValueType) def->type : VALUE_NONE, false))
                return -EMEDIUMTYPE;
        *ret = f;
        return 0;
}

static int write_values(Ask *a) {
        g_auto(RecordList) records = { .v = NULL };
        Format format;
        int r;

        if (a->path.n == 0)
                return fail(a, -EPERM, "Write needs an object");
        if (!tree_object_def(a->d->tree, a->path.id[0], -1))
                return fail(a, -ENOENT, "The object is not supported");
        r = write_format_of(a, &format);
        if (r < 0)
                return r;
        r = decode(a->d, format, &a->path, a->message->payload, &records, &a->why);
        if (r >= 0)
                r = bs_stage_write(a->d->stage, &a->path, &records, &a->why);
        if (r >= 0)
                responder_code(a->to, CODE(2, 4));
        return r;
}

static int delete_instances(Ask *a) {
        int r;

        r = bs_stage_delete(a->d->stage, &a->path, &a->why);
        if (r >= 0)
                responder_code(a->to, CODE(2, 2));
        return r;
}

/* --- Finish --- */

static int on_check(void *userdata, const Tree *tree) {
        return bs_account_check(tree, userdata);
}

/* What of the data model refuses is the server's to put right, what of the disk is ours. */
static uint8_t finish_code(int error) {
        switch (-error) {
        case EBADE:
        case EINVAL:
        case ERANGE:
        case ENOENT:
        case EEXIST:
        case EPERM:
        case EACCES:
        case EISDIR:
        case ENOTDIR:
                return CODE(4, 6);
        case EBUSY:
        case ETIMEDOUT:
        case EHOSTUNREACH:
                return CODE(5, 3);
        default:
                return CODE(5, 0);
        }
}

static void answer_finish(BsDm *d, int error, const char *text) {
        Message m = MESSAGE_INIT(error < 0 ? finish_code(error) : CODE(2, 4));
        g_autoptr(GBytes) payload = NULL;

        if (!d->to.exchange)
                return;
        if (error < 0 && text && *text) {
                payload = g_bytes_new(text, strnlen(text, DIAGNOSTIC_MAX));
                m.payload = payload;
        }
        responder_send(&d->to, &m);
}

static void finished(BsDm *d, int error, const char *text, uint64_t now_usec) {
        d->deciding = false;
        op_list_clear(&d->ops);
        answer_finish(d, error, text);
        if (error >= 0)
                d->stage = bs_stage_free(d->stage);
        d->config.finished(d->config.userdata, error, text, now_usec);
}

/* The accounts are looked at with the operations tried, then all goes in at once. */
static int apply(BsDm *d, char **ret_error, uint64_t now_usec) {
        OpError error = { .text = "" };
        int r;

        r = ops_try(d->tree, d->ops.v, d->ops.n, on_check, ret_error, &error);
        if (r >= 0)
                r = dm_commit(d->dm, &d->ops, ORIGIN_SERVER, BS_SSID, &error, now_usec);
        if (r < 0 && !*ret_error)
                *ret_error = g_strdup(error.text);
        return r;
}

static void on_prepared(void *userdata, int error, const char *text, const RecordList *records,
                        uint64_t now_usec) {
        BsDm *d = userdata;
        AppCall *call = g_steal_pointer(&d->call);
        g_autofree char *why = NULL;

        if (error < 0) {
                finished(d, error, text ? text : "an application refuses", now_usec);
                return;
        }
        error = apply(d, &why, now_usec);
        d->dm->config.apps->finish(call, error >= 0);
        finished(d, error, why, now_usec);
}

static bool has_owner(const Dm *dm, const OpList *ops) {
        for (size_t i = 0; i < ops->n; i++)
                if (dm_claimed(dm, &ops->v[i].path) & (APP_WRITE | APP_CREATE))
                        return true;
        return false;
}

static void decide(BsDm *d, uint64_t now_usec) {
        const AppContext context = { .ssid = BS_SSID };
        g_autofree char *why = NULL;
        OpError error = { .text = "" };
        int r;

        d->deciding = true;
        d->config.finish(d->config.userdata, now_usec);
        bs_stage_final_ops(d->stage, d->config.wall_clock_ns() / 1000000000, &d->ops);
        r = ops_try(d->tree, d->ops.v, d->ops.n, on_check, &why, &error);
        if (r >= 0 && has_owner(d->dm, &d->ops)) {
                d->call = d->dm->config.apps->prepare(d->dm->config.apps_userdata, d->ops.v,
                                                      d->ops.n, &context, on_prepared, d);
                if (d->call)
                        return;
        }
        if (r >= 0)
                r = apply(d, &why, now_usec);
        finished(d, r, why ? why : error.text, now_usec);
}

static int finish(Ask *a, uint64_t now_usec) {
        BsDm *d = a->d;

        if (a->message->query && a->message->query[0])
                return fail(a, -EINVAL, "Finish has no parameters");
        d->to = *a->to;
        a->to->exchange = NULL;
        decide(d, now_usec);
        return 0;
}

/* --- requests --- */

static int dispatch_request(Ask *a, uint64_t now_usec) {
        int r;

        if (!a->d->stage)
                return fail(a, -EACCES, "No bootstrap session");
        if (a->d->deciding)
                return fail(a, -EBUSY, "Bootstrap-Finish is being decided");
        r = parse_path(a);
        if (r < 0)
                return r;
        switch (a->message->code) {
        case METHOD_POST:
                return a->is_bs ? finish(a, now_usec) : fail(a, -EPERM, "POST goes to /bs");
        case METHOD_GET:
                if (a->is_bs)
                        break;
                return a->message->accept == FORMAT_LINK ? discover(a) : read_values(a);
        case METHOD_PUT:
                if (a->is_bs)
                        break;
                return write_values(a);
        case METHOD_DELETE:
                if (a->is_bs)
                        break;
                return delete_instances(a);
        default:
                break;
        }
        return fail(a, -EPERM, "Not an operation of the bootstrap interface");
}

void bs_dm_request(BsDm *d, Exchange *x, const Message *request, uint64_t now_usec) {
        const bool is_open = d->stage;
        Responder to = { .dm = d->dm, .exchange = x };
        Ask a = { .d = d, .message = request, .to = &to };
        int r;

        r = dispatch_request(&a, now_usec);
        if (r < 0)
                responder_fail(&to, r, a.why);
        g_free(a.why);
        if (is_open && d->stage && !d->deciding)
                d->config.operation(d->config.userdata, now_usec);
}

int bs_dm_pack(BsDm *d, int format, GBytes *payload, char **ret_error, uint64_t now_usec) {
        g_auto(RecordList) records = { .v = NULL };
        Format f;
        int r = -EMEDIUMTYPE;

        if (format >= 0 && format_from_number((unsigned) format, &f) >= 0 &&
            (f == FORMAT_SENML_JSON || f == FORMAT_SENML_CBOR || f == FORMAT_LWM2M_CBOR))
                r = decode(d, f, &PATH_ROOT, payload, &records, ret_error);
        if (r == -EMEDIUMTYPE)
                *ret_error =
                        g_strdup_printf("Content-Format %d is none of a Bootstrap-Pack", format);
        if (r < 0)
                return r;
        bs_dm_open(d);
        r = bs_stage_pack(d->stage, &records, ret_error);
        if (r < 0) {
                bs_dm_close(d);
                return r;
        }
        decide(d, now_usec);
        return 0;
}

/* --- life --- */

void bs_dm_open(BsDm *d) {
        bs_dm_close(d);
        d->stage = bs_stage_new(d->tree, &d->config.limits);
}

void bs_dm_close(BsDm *d) {
        if (d->call)
                d->dm->config.apps->cancel(g_steal_pointer(&d->call));
        if (d->to.exchange)
                responder_fail(&d->to, -ECANCELED, "The bootstrap session has ended");
        op_list_clear(&d->ops);
        d->deciding = false;
        d->stage = bs_stage_free(d->stage);
}

BsDm *bs_dm_new(const BsDmConfig *config) {
        BsDm *d = g_new0(BsDm, 1);

        d->config = *config;
        d->dm = config->dm;
        d->tree = config->dm->tree;
        d->to.dm = config->dm;
        return d;
}

BsDm *bs_dm_free(BsDm *d) {
        if (d)
                bs_dm_close(d);
        g_free(d);
        return NULL;
}
