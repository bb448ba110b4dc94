/* SPDX-License-Identifier: Apache-2.0 */
/* Data.Set, SetMany and Apply. */
#include <errno.h>

#include "bus/data_edit.h"
#include "bus/gate.h"
#include "model/path_table.h"

typedef struct SetOptions {
        bool create, partial, persist, boot;
        int64_t time_ns; /* INT64_MIN: not given */
} SetOptions;

#define SET_OPTIONS_INIT ((SetOptions){ .time_ns = INT64_MIN })

/* Puts the creation of the instances that sets lacks before it, for a caller who asked for it. */
static void create_missing(Bus *b, OpList *sets) {
        g_autoptr(GHashTable) seen = path_table_new(NULL);
        g_auto(OpList) all = { 0 };

        for (size_t i = 0; i < sets->n; i++) {
                Path instance = path_prefix(&sets->v[i].path, 2);

                if (!tree_exists(client_tree(b->client), &instance) &&
                    g_hash_table_add(seen, path_dup(&instance)))
                        op_list_add(&all, OP_CREATE, &instance, NULL);
        }
        if (all.n == 0)
                return;
        for (size_t i = 0; i < sets->n; i++)
                op_list_add(&all, sets->v[i].kind, &sets->v[i].path, &sets->v[i].value);
        op_list_clear(sets);
        *sets = all;
        all = (OpList){ 0 };
}

static int read_set_options(Edit *e, SetOptions *ret, sd_bus_error *error) {
        const Option options[] = { { "create", OPTION_BOOL, &ret->create },
                                   { "persist", OPTION_BOOL, &ret->persist },
                                   { "partial", OPTION_BOOL, &ret->partial },
                                   { "time", OPTION_I64, &ret->time_ns },
                                   { "boottime", OPTION_BOOL, &ret->boot },
                                   { NULL } };
        int r;

        r = options_read(e->call, options, error);
        if (r < 0)
                return r;
        if (ret->create && ret->partial)
                return bus_error_named(error, ERROR_PREFIX "InvalidOption",
                                       "create and partial exclude each other");
        if (ret->time_ns != INT64_MIN && (ret->create || ret->partial))
                return bus_error_named(error, ERROR_PREFIX "InvalidOption",
                                       "time and %s exclude each other",
                                       ret->create ? "create" : "partial");
        if (ret->boot && ret->time_ns == INT64_MIN)
                return bus_error_named(error, ERROR_PREFIX "InvalidOption",
                                       "boottime says what clock time is of, which is missing");
        if (ret->persist && !client_store(e->bus->client))
                return bus_error(error, -ENOTSUP, "persist: this daemon keeps nothing on disk");
        return 0;
}

/* A path and its variant, checked; appended to the operations. */
static int read_assignment(Edit *e, Path *ret, sd_bus_error *error) {
        int r;

        r = path_argument(e->call, ret, 3, 4, error);
        if (r < 0)
                return r;
        r = check_access(e->call, ret, true, error);
        if (r < 0)
                return r;
        r = variant_read_set(e->call, ret, &e->ops);
        return r < 0 ? edit_variant_error(error, r, ret) : 0;
}

/* With a time, what is cached becomes samples of that time; the rest is set as ever. */
static int take_time(Edit *e, const SetOptions *options, sd_bus_error *error) {
        Dm *dm = client_dm(e->bus->client);
        const Tree *tree = client_tree(e->bus->client);
        int64_t time_ns;
        OpError why;

        if (options->time_ns == INT64_MIN)
                return 0;
        e->push = sample_push_new(dm);
        e->applied = g_array_new(FALSE, FALSE, sizeof(Op));
        for (size_t i = 0; i < e->ops.n; i++) {
                const Op *op = &e->ops.v[i];
                int r;

                if (op->kind == OP_SET &&
                    samples_cached(dm, &op->path, tree_resource_def(tree, &op->path)))
                        r = sample_push_add(e->push, &op->path, &op->value, options->time_ns,
                                            options->boot, &why);
                else {
                        r = samples_check_time(dm, &op->path, options->time_ns, options->boot,
                                               &time_ns, &why);
                        g_array_append_vals(e->applied, op, 1);
                }
                if (r < 0)
                        return bus_error(error, r, "%s", why.text);
        }
        return 0;
}

int method_set(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Bus *b = userdata;
        g_autoptr(Edit) e = edit_new(b, m);
        SetOptions options = SET_OPTIONS_INIT;
        Path p;
        int r;

        r = read_assignment(e, &p, error);
        if (r >= 0)
                r = read_set_options(e, &options, error);
        if (r >= 0)
                r = take_time(e, &options, error);
        if (r < 0)
                return r;
        if (options.create)
                create_missing(b, &e->ops);
        if (options.persist) {
                e->keep = g_array_new(FALSE, FALSE, sizeof(Path));
                g_array_append_val(e->keep, p);
        }
        return edit_run(g_steal_pointer(&e), error);
}

/* One value of SetMany: its path, and the operations up to (not with) end that set it. */
typedef struct Assignment {
        Path path;
        size_t end;
} Assignment;

/* partial: each good value by itself, and a list of the others. */
static int set_partially(Edit *e, const GArray *assignments, bool persist) {
        sd_bus_message *reply = NULL;
        size_t first = 0;
        int r;

        r = sd_bus_message_new_method_return(e->call, &reply);
        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'a', "(uss)");
        for (guint i = 0; i < assignments->len && r >= 0; i++) {
                const Assignment *a = &g_array_index(assignments, Assignment, i);
                OpError why;
                int failed;

                failed = edit_apply_part(e, e->ops.v + first, a->end - first,
                                         persist ? &a->path : NULL, &why);
                if (failed < 0) {
                        sd_bus_error be = SD_BUS_ERROR_NULL;

                        bus_error(&be, failed, "%s", why.text);
                        r = sd_bus_message_append(reply, "(uss)", i, be.name, be.message);
                        sd_bus_error_free(&be);
                }
                first = a->end;
        }
        if (r >= 0)
                r = sd_bus_message_close_container(reply);
        return reply_send(reply, r);
}

static int read_assignments(Edit *e, GArray *ret, sd_bus_error *error) {
        sd_bus_message *m = e->call;
        int r;

        r = sd_bus_message_enter_container(m, 'a', "(sv)");
        while (r >= 0 && (r = sd_bus_message_enter_container(m, 'r', "sv")) > 0) {
                Assignment a;

                if (e->ops.n >= EDIT_OPERATIONS_MAX)
                        return bus_error(error, -E2BIG, "More than %d values in one SetMany",
                                         EDIT_OPERATIONS_MAX);
                r = read_assignment(e, &a.path, error);
                if (r < 0)
                        return r;
                a.end = e->ops.n;
                g_array_append_val(ret, a);
                r = sd_bus_message_exit_container(m);
        }
        return r < 0 ? r : sd_bus_message_exit_container(m);
}

int method_set_many(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Bus *b = userdata;
        g_autoptr(Edit) e = edit_new(b, m);
        g_autoptr(GArray) assignments = g_array_new(FALSE, FALSE, sizeof(Assignment));
        SetOptions options = SET_OPTIONS_INIT;
        int r;

        r = read_assignments(e, assignments, error);
        if (r >= 0)
                r = read_set_options(e, &options, error);
        if (r >= 0)
                r = take_time(e, &options, error);
        if (r < 0)
                return r;
        if (options.partial && edit_concerns_others(e))
                return bus_error_named(error, ERROR_PREFIX "NotAllowed",
                                       "partial does not work on paths that another "
                                       "application claimed for writing");
        if (options.partial) {
                r = edit_check(e, error);
                return r < 0 ? r : set_partially(e, assignments, options.persist);
        }
        if (options.create)
                create_missing(b, &e->ops);
        if (options.persist) {
                e->keep = g_array_new(FALSE, FALSE, sizeof(Path));
                for (guint i = 0; i < assignments->len; i++)
                        g_array_append_val(e->keep, g_array_index(assignments, Assignment, i).path);
        }
        return edit_run(g_steal_pointer(&e), error);
}

/* Each operation of Apply has paths of its own kind; the error tells where else to go. */
static int check_level(OpKind kind, const Path *p, sd_bus_error *error) {
        const char *hint = NULL;

        if ((kind == OP_CREATE || kind == OP_DELETE) && p->n != 2)
                hint = kind == OP_CREATE
                               ? "takes the path of an Object Instance; a resource or resource "
                                 "instance comes into being with set"
                               : "takes the path of an Object Instance; unset removes a resource "
                                 "or "
                                 "resource instance";
        else if (kind == OP_UNSET && p->n == 2)
                hint = "takes the path of a resource or resource instance; delete removes an "
                       "Object Instance";
        else if (kind == OP_REPLACE && p->n == 4)
                hint = "takes the path of an Object Instance or a multiple resource";
        else if ((kind == OP_SET || kind == OP_EXPECT) && p->n == 2)
                hint = "takes the path of a resource or resource instance";
        return hint ? bus_error_named(error, ERROR_PREFIX "InvalidPath", "%s: %s %s", PATH_TEXT(p),
                                      op_name(kind), hint)
                    : 0;
}

static int read_expect(sd_bus_message *m, const Path *p, OpList *ops, sd_bus_error *error) {
        g_auto(RecordList) records = { 0 };
        bool multiple;
        int r;

        r = variant_read(m, p, &records, &multiple);
        if (r < 0)
                return edit_variant_error(error, r, p);
        if (multiple || records.n != 1)
                return bus_error_named(error, ERROR_PREFIX "InvalidPath",
                                       "%s: expect takes the path of one value", PATH_TEXT(p));
        op_list_add(ops, OP_EXPECT, p, &records.v[0].value);
        return 0;
}

/* An expectation tells what is there, as a Get does. */
static Right right_of(OpKind kind) {
        return kind == OP_CREATE   ? RIGHT_CREATE
               : kind == OP_DELETE ? RIGHT_DELETE
               : kind == OP_EXPECT ? RIGHT_GET
                                   : RIGHT_SET;
}

static int read_op(sd_bus_message *m, OpList *ops, sd_bus_error *error) {
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
        if (r >= 0)
                r = check_right(m, right_of(kind), &p, error);
        if (r >= 0)
                r = check_level(kind, &p, error);
        if (r < 0)
                return r;
        if (kind == OP_EXPECT)
                return read_expect(m, &p, ops, error);
        if (kind == OP_SET) {
                r = variant_read_set(m, &p, ops);
                return r < 0 ? edit_variant_error(error, r, &p) : 0;
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
                if (e->ops.n >= EDIT_OPERATIONS_MAX)
                        return bus_error(error, -E2BIG, "More than %d operations in one Apply",
                                         EDIT_OPERATIONS_MAX);
                r = read_op(m, &e->ops, error);
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
