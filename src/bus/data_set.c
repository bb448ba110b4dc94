/* SPDX-License-Identifier: Apache-2.0 */
/* The Data methods that change something: Set, SetMany, Apply, Create, Delete, SetFd, Execute,
 * Configure. Each becomes one list of operations, asks the applications concerned (but never the
 * sender about its own paths), and is applied as a whole. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bus/data.h"
#include "util/cleanup.h"

#define OPERATIONS_MAX 100000
#define FD_BYTES_MAX VALUE_LENGTH_MAX

typedef struct SetOptions {
        bool create, partial, has_persist, persist;
} SetOptions;

/* One change on its way: from the arguments over the applications' Prepare to the reply. */
typedef struct Edit {
        Bus *bus;
        sd_bus_message *call;
        OpList ops;
        AppCall *prepared;
        char *reply_path; /* Create answers with the instance's path */
        uint64_t reply_bytes;
        bool reply_has_bytes;
} Edit;

static Edit *edit_free(Edit *e) {
        if (!e)
                return NULL;
        op_list_clear(&e->ops);
        sd_bus_message_unref(e->call);
        g_free(e->reply_path);
        g_free(e);
        return NULL;
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Edit, edit_free)

static Edit *edit_new(Bus *b, sd_bus_message *call) {
        Edit *e = g_new0(Edit, 1);

        e->bus = b;
        e->call = sd_bus_message_ref(call);
        return e;
}

static int edit_reply(Edit *e) {
        if (e->reply_path)
                return sd_bus_reply_method_return(e->call, "s", e->reply_path);
        if (e->reply_has_bytes)
                return sd_bus_reply_method_return(e->call, "t", e->reply_bytes);
        if (strcmp(sd_bus_message_get_member(e->call), "SetMany") == 0)
                return sd_bus_reply_method_return(e->call, "a(uss)", 0);
        return reply_ok(e->call);
}

static int edit_reply_error(Edit *e, int error, const char *text) {
        sd_bus_error be = SD_BUS_ERROR_NULL;
        int r;

        bus_error(&be, error, "%s", text);
        r = sd_bus_reply_method_error(e->call, &be);
        sd_bus_error_free(&be);
        return r;
}

static int edit_apply(Edit *e, OpError *error) {
        return dm_apply(client_dm(e->bus->client), e->ops.v, e->ops.n, error, bus_now(e->bus));
}

static void on_prepared(void *userdata, int error, const char *text, const RecordList *records,
                        uint64_t now_usec) {
        g_autoptr(Edit) e = userdata;
        g_autofree char *message = NULL;
        OpError why;
        int r;

        if (error < 0) {
                message = g_strdup_printf("%s: refused by the application that owns it: %s",
                                          PATH_TEXT(&e->ops.v[0].path),
                                          text ? text : g_strerror(-error));
                edit_reply_error(e, error, message);
                return;
        }
        r = edit_apply(e, &why);
        handlers_app_ops.finish(e->prepared, r >= 0);
        if (r < 0)
                edit_reply_error(e, r, why.text);
        else
                edit_reply(e);
}

static bool sender_owns(Bus *b, sd_bus_message *m, const Path *p) {
        const GPtrArray *list = claims_find(b->claims, p);
        const char *sender = sd_bus_message_get_sender(m);

        for (guint i = 0; list && i < list->len; i++) {
                const Claim *c = g_ptr_array_index(list, i);

                if (c->owner && g_strcmp0(owner_name(c->owner), sender) == 0)
                        return true;
        }
        return false;
}

static bool others_must_be_asked(Bus *b, sd_bus_message *m, const OpList *ops) {
        for (size_t i = 0; i < ops->n; i++)
                if ((handlers_app_ops.claimed(b->handlers, &ops->v[i].path) &
                     (APP_WRITE | APP_CREATE)) &&
                    !sender_owns(b, m, &ops->v[i].path))
                        return true;
        return false;
}

static int edit_run(Edit *edit, sd_bus_error *error) {
        g_autoptr(Edit) e = edit;
        OpError why;
        int r;

        if (others_must_be_asked(e->bus, e->call, &e->ops)) {
                e->prepared = handlers_app_ops.prepare(e->bus->handlers, e->ops.v, e->ops.n,
                                                       &(AppContext){ 0 }, on_prepared, e);
                if (e->prepared) {
                        g_steal_pointer(&e);
                        return 1;
                }
        }
        r = edit_apply(e, &why);
        if (r < 0)
                return bus_error(error, r, "%s", why.text);
        return edit_reply(e);
}

/* What must be there before ops->v[first…] can be set: the instance, when the caller asked to have
 * it made. */
static void add_missing_instance(Bus *b, const Path *p, OpList *ops) {
        Path instance = path_prefix(p, 2);

        if (tree_exists(client_tree(b->client), &instance))
                return;
        for (size_t i = 0; i < ops->n; i++)
                if (ops->v[i].kind == OP_CREATE && path_equal(&ops->v[i].path, &instance))
                        return;
        op_list_add(ops, OP_CREATE, &instance, NULL);
}

static int read_set_options(Bus *b, sd_bus_message *m, bool many, SetOptions *ret,
                            sd_bus_error *error) {
        const Option options[] = { { "create", OPTION_BOOL, &ret->create },
                                   { many ? "partial" : "persist", OPTION_BOOL,
                                     many ? &ret->partial : &ret->persist },
                                   { NULL } };

        return options_read(m, options, error);
}

static int variant_error(sd_bus_error *error, int r, const Path *p, sd_bus_message *m) {
        const char *content = "?";

        if (r != -EINVAL && r != -E2BIG)
                return r;
        sd_bus_message_peek_type(m, NULL, &content);
        return bus_error(
                error, r,
                "%s: a variant of this type is no LwM2M value (s x t d b ay (qq), or a{qv} for a "
                "multiple resource)",
                PATH_TEXT(p));
}

/* A path and its variant, checked; appended to ops. */
static int read_assignment(Bus *b, sd_bus_message *m, OpList *ops, sd_bus_error *error) {
        Path p;
        int r;

        r = path_argument(m, &p, 3, 4, error);
        if (r < 0)
                return r;
        r = check_access(m, &p, true, error);
        if (r < 0)
                return r;
        r = variant_read_set(m, &p, ops);
        return r < 0 ? variant_error(error, r, &p, m) : 0;
}

int method_set(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Bus *b = userdata;
        g_autoptr(Edit) e = edit_new(b, m);
        g_auto(OpList) sets = { 0 };
        SetOptions options = { 0 };
        Path p;
        int r;

        r = read_assignment(b, m, &sets, error);
        if (r < 0)
                return r;
        r = read_set_options(b, m, false, &options, error);
        if (r < 0)
                return r;
        p = sets.v[0].path;
        if (options.create)
                add_missing_instance(b, &p, &e->ops);
        for (size_t i = 0; i < sets.n; i++)
                op_list_add(&e->ops, sets.v[i].kind, &sets.v[i].path, &sets.v[i].value);
        if (options.persist && client_store(b->client)) {
                r = store_set_policy(client_store(b->client), &p, PERSIST_ALWAYS);
                if (r < 0)
                        return bus_error(error, r, "%s: cannot be kept: %m", PATH_TEXT(&p));
        }
        return edit_run(g_steal_pointer(&e), error);
}

/* partial: each good value by itself, and a list of the others. */
static int set_partially(Bus *b, sd_bus_message *m, const GArray *ends, OpList *ops) {
        sd_bus_message *reply = NULL;
        size_t first = 0;
        int r;

        r = sd_bus_message_new_method_return(m, &reply);
        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'a', "(uss)");
        for (guint i = 0; i < ends->len && r >= 0; i++) {
                size_t end = g_array_index(ends, size_t, i);
                OpError why;
                int failed;

                failed = dm_apply(client_dm(b->client), ops->v + first, end - first, &why,
                                  bus_now(b));
                if (failed < 0) {
                        sd_bus_error e = SD_BUS_ERROR_NULL;

                        bus_error(&e, failed, "%s", why.text);
                        r = sd_bus_message_append(reply, "(uss)", i, e.name, e.message);
                        sd_bus_error_free(&e);
                }
                first = end;
        }
        if (r >= 0)
                r = sd_bus_message_close_container(reply);
        if (r >= 0)
                r = sd_bus_send(NULL, reply, NULL);
        sd_bus_message_unref(reply);
        return r < 0 ? r : 1;
}

int method_set_many(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Bus *b = userdata;
        g_autoptr(Edit) e = edit_new(b, m);
        g_autoptr(GArray) ends = g_array_new(FALSE, FALSE, sizeof(size_t));
        SetOptions options = { 0 };
        int r;

        r = sd_bus_message_enter_container(m, 'a', "(sv)");
        while (r >= 0 && (r = sd_bus_message_enter_container(m, 'r', "sv")) > 0) {
                if (e->ops.n >= OPERATIONS_MAX)
                        return bus_error(error, -E2BIG, "More than %d values in one SetMany",
                                         OPERATIONS_MAX);
                r = read_assignment(b, m, &e->ops, error);
                if (r < 0)
                        return r;
                g_array_append_val(ends, e->ops.n);
                r = sd_bus_message_exit_container(m);
        }
        if (r >= 0)
                r = sd_bus_message_exit_container(m);
        if (r >= 0)
                r = read_set_options(b, m, true, &options, error);
        if (r < 0)
                return r;
        if (options.create) {
                g_auto(OpList) with_instances = { 0 };

                for (size_t i = 0; i < e->ops.n; i++)
                        add_missing_instance(b, &e->ops.v[i].path, &with_instances);
                if (with_instances.n > 0 && options.partial)
                        return bus_error_named(error, ERROR_PREFIX "InvalidOption",
                                               "create and partial exclude each other");
                for (size_t i = 0; i < e->ops.n; i++)
                        op_list_add(&with_instances, e->ops.v[i].kind, &e->ops.v[i].path,
                                    &e->ops.v[i].value);
                op_list_clear(&e->ops);
                e->ops = with_instances;
                with_instances = (OpList){ 0 };
        }
        if (options.partial && !others_must_be_asked(b, m, &e->ops))
                return set_partially(b, m, ends, &e->ops);
        if (options.partial)
                return bus_error_named(error, ERROR_PREFIX "NotAllowed",
                                       "partial does not work on paths that another "
                                       "application claimed for writing");
        return edit_run(g_steal_pointer(&e), error);
}

static int read_op(Bus *b, sd_bus_message *m, OpList *ops, sd_bus_error *error) {
        const char *name;
        OpKind kind;
        Path p;
        int r;

        r = sd_bus_message_read_basic(m, 's', &name);
        if (r < 0)
                return r;
        if (op_from_name(name, &kind) < 0)
                return bus_error_named(
                        error, ERROR_PREFIX "InvalidValue",
                        "'%s' is not an operation (create, delete, set, unset, replace, expect)",
                        name);
        r = path_argument(m, &p, 2, 4, error);
        if (r < 0)
                return r;
        r = check_access(m, &p, true, error);
        if (r < 0)
                return r;
        if (kind == OP_SET || kind == OP_EXPECT) {
                g_auto(RecordList) records = { 0 };
                bool multiple;

                if (kind == OP_SET && p.n >= 3)
                        r = variant_read_set(m, &p, ops);
                else
                        r = variant_read(m, &p, &records, &multiple);
                if (r < 0)
                        return variant_error(error, r, &p, m);
                if (kind == OP_SET && p.n >= 3)
                        return 0;
                if (kind == OP_SET || records.n != 1 || multiple)
                        return bus_error_named(error, ERROR_PREFIX "InvalidPath",
                                               "%s: %s takes the path of one value", PATH_TEXT(&p),
                                               name);
                op_list_add(ops, OP_EXPECT, &p, &records.v[0].value);
                return 0;
        }
        r = sd_bus_message_skip(m, "v");
        if (r >= 0)
                op_list_add(ops, kind, &p, NULL);
        return r;
}

int method_apply(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Bus *b = userdata;
        g_autoptr(Edit) e = edit_new(b, m);
        int r;

        r = sd_bus_message_enter_container(m, 'a', "(ssv)");
        while (r >= 0 && (r = sd_bus_message_enter_container(m, 'r', "ssv")) > 0) {
                if (e->ops.n >= OPERATIONS_MAX)
                        return bus_error(error, -E2BIG, "More than %d operations in one Apply",
                                         OPERATIONS_MAX);
                r = read_op(b, m, &e->ops, error);
                if (r < 0)
                        return r;
                r = sd_bus_message_exit_container(m);
        }
        if (r >= 0)
                r = sd_bus_message_exit_container(m);
        if (r >= 0)
                r = options_read(m, NULL, error);
        if (r < 0)
                return r;
        return edit_run(g_steal_pointer(&e), error);
}

/* The relative path "/R" or "/R/RI" of a Create below instance. */
static int join(const Path *instance, const char *relative, Path *ret) {
        Path p;

        if (path_parse(relative, &p) < 0 || p.n < 1 || p.n > 2)
                return -EINVAL;
        *ret = path_child(instance, p.id[0]);
        if (p.n == 2)
                *ret = path_child(ret, p.id[1]);
        return 0;
}

int method_create(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Bus *b = userdata;
        g_autoptr(Edit) e = edit_new(b, m);
        uint16_t id;
        Path p;
        int r;

        r = path_argument(m, &p, 1, 2, error);
        if (r >= 0)
                r = check_access(m, &p, true, error);
        if (r < 0)
                return r;
        if (p.n == 1) {
                r = tree_free_instance_id(client_tree(b->client), p.id[0], &id);
                if (r < 0)
                        return bus_error(error, r, "%s: no free Object Instance ID: %m",
                                         PATH_TEXT(&p));
                p = path_child(&p, id);
        }
        op_list_add(&e->ops, OP_CREATE, &p, NULL);
        e->reply_path = g_strdup(PATH_TEXT(&p));

        r = sd_bus_message_enter_container(m, 'a', "(sv)");
        while (r >= 0 && (r = sd_bus_message_enter_container(m, 'r', "sv")) > 0) {
                const char *text;
                Path resource;

                if (e->ops.n >= OPERATIONS_MAX)
                        return bus_error(error, -E2BIG, "More than %d values in one Create",
                                         OPERATIONS_MAX);
                r = sd_bus_message_read_basic(m, 's', &text);
                if (r < 0)
                        return r;
                if (join(&p, text, &resource) < 0)
                        return bus_error_named(error, ERROR_PREFIX "InvalidPath",
                                               "'%s': values of Create have paths relative to the "
                                               "instance (/5700)",
                                               text);
                r = variant_read_set(m, &resource, &e->ops);
                if (r < 0)
                        return variant_error(error, r, &resource, m);
                r = sd_bus_message_exit_container(m);
        }
        if (r >= 0)
                r = sd_bus_message_exit_container(m);
        if (r >= 0)
                r = options_read(m, NULL, error);
        if (r < 0)
                return r;
        return edit_run(g_steal_pointer(&e), error);
}

int method_delete(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Bus *b = userdata;
        g_autoptr(Edit) e = edit_new(b, m);
        int r;

        r = sd_bus_message_enter_container(m, 'a', "s");
        while (r >= 0 && (r = sd_bus_message_at_end(m, false)) == 0) {
                Path p;

                if (e->ops.n >= OPERATIONS_MAX)
                        return bus_error(error, -E2BIG, "More than %d paths in one Delete",
                                         OPERATIONS_MAX);
                r = path_argument(m, &p, 2, 4, error);
                if (r >= 0)
                        r = check_access(m, &p, true, error);
                if (r < 0)
                        return r;
                op_list_add(&e->ops, p.n == 2 ? OP_DELETE : OP_UNSET, &p, NULL);
        }
        if (r >= 0)
                r = sd_bus_message_exit_container(m);
        if (r >= 0)
                r = options_read(m, NULL, error);
        if (r < 0)
                return r;
        return edit_run(g_steal_pointer(&e), error);
}

/* A memfd must be sealed against writing and shrinking, or its owner could change it under us; a
 * regular file is read once, now. */
static int read_fd(int fd, Value *ret, sd_bus_error *error) {
        g_autofree char *data = NULL;
        struct stat st;
        size_t n = 0;
        int seals;

        if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
                return bus_error_named(error, ERROR_PREFIX "InvalidValue",
                                       "Neither a sealed memfd nor a regular file");
        seals = fcntl(fd, F_GET_SEALS);
        if (seals >= 0 &&
            (seals & (F_SEAL_WRITE | F_SEAL_SHRINK)) != (F_SEAL_WRITE | F_SEAL_SHRINK) &&
            st.st_nlink == 0)
                return bus_error_named(error, ERROR_PREFIX "InvalidValue",
                                       "The memfd is not sealed (F_SEAL_WRITE | F_SEAL_SHRINK)");
        if (st.st_size > FD_BYTES_MAX)
                return bus_error(error, -E2BIG, "%jd bytes, at most %u are taken",
                                 (intmax_t) st.st_size, FD_BYTES_MAX);
        data = g_malloc((gsize) st.st_size + 1);
        while (n < (size_t) st.st_size) {
                ssize_t k = pread(fd, data + n, (size_t) st.st_size - n, (off_t) n);

                if (k < 0 && errno == EINTR)
                        continue;
                if (k < 0)
                        return bus_error(error, -errno, "Cannot read the file: %m");
                if (k == 0)
                        break;
                n += (size_t) k;
        }
        *ret = value_text(VALUE_OPAQUE, data, n);
        return 0;
}

int method_set_fd(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Bus *b = userdata;
        g_autoptr(Edit) e = edit_new(b, m);
        g_auto(Value) value = VALUE_INIT;
        Path p;
        int fd, r;

        r = path_argument(m, &p, 3, 4, error);
        if (r >= 0)
                r = check_access(m, &p, true, error);
        if (r >= 0)
                r = sd_bus_message_read_basic(m, 'h', &fd);
        if (r >= 0)
                r = options_read(m, NULL, error);
        if (r >= 0)
                r = read_fd(fd, &value, error);
        if (r < 0)
                return r;
        e->reply_has_bytes = true;
        e->reply_bytes = value.length;
        op_list_add(&e->ops, OP_SET, &p, &value);
        return edit_run(g_steal_pointer(&e), error);
}

static void on_executed(void *userdata, int error, const char *text, const RecordList *records,
                        uint64_t now_usec) {
        Pending *p = userdata;

        if (error < 0) {
                pending_fail(p, error, text);
                return;
        }
        reply_ok(p->call);
        pending_free(p);
}

int method_execute(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Bus *b = userdata;
        const char *args;
        Pending *pending;
        Path p;
        int r;

        r = path_argument(m, &p, 3, 3, error);
        if (r >= 0)
                r = check_access(m, &p, true, error);
        if (r >= 0)
                r = sd_bus_message_read_basic(m, 's', &args);
        if (r >= 0)
                r = options_read(m, NULL, error);
        if (r < 0)
                return r;
        pending = pending_new(b, m, &p);
        r = dm_execute(client_dm(b->client), &p, args, on_executed, pending, bus_now(b));
        if (r >= 0)
                return 1;
        pending_free(pending);
        if (r == -ENOSYS)
                return bus_error(error, r,
                                 "%s: no application handles this Execute (see Claims.Claim)",
                                 PATH_TEXT(&p));
        return bus_error(error, r, "%s: cannot be executed: %m", PATH_TEXT(&p));
}

int method_configure(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        static const char *const policies[] = { "default", "always", "server-writes", "never" };
        Bus *b = userdata;
        const char *persist = NULL;
        const Option options[] = { { "persist", OPTION_TEXT, &persist }, { NULL } };
        Path p;
        int r;

        r = path_argument(m, &p, 0, 4, error);
        if (r >= 0)
                r = check_access(m, &p, true, error);
        if (r >= 0)
                r = options_read(m, options, error);
        if (r < 0)
                return r;
        if (!persist)
                return bus_error_named(error, ERROR_PREFIX "InvalidOption",
                                       "Configure needs an option (persist)");
        if (!client_store(b->client))
                return bus_error(error, -ENOTSUP, "This daemon keeps nothing on disk");
        for (unsigned i = 0; i < G_N_ELEMENTS(policies); i++)
                if (strcmp(persist, policies[i]) == 0) {
                        r = store_set_policy(client_store(b->client), &p, (Persist) i);
                        return r < 0 ? bus_error(error, r, "%s: %m", PATH_TEXT(&p)) : reply_ok(m);
                }
        return bus_error_named(error, ERROR_PREFIX "InvalidOption",
                               "persist: '%s' is not default, always, server-writes or never",
                               persist);
}
