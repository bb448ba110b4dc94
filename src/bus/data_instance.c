/* SPDX-License-Identifier: Apache-2.0 */
/* Data.Create and Data.Delete. */
#include <errno.h>

#include "bus/data_edit.h"
#include "bus/gate.h"

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
                if (r == -ENOSPC)
                        return bus_error(error, -EEXIST,
                                         "%s: all its Object Instances exist already",
                                         PATH_TEXT(&p));
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

                if (e->ops.n >= EDIT_OPERATIONS_MAX)
                        return bus_error(error, -E2BIG, "More than %d values in one Create",
                                         EDIT_OPERATIONS_MAX);
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
                        return edit_variant_error(error, r, &resource);
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
        g_autoptr(GArray) paths = g_array_new(FALSE, FALSE, sizeof(Path));
        g_autoptr(Edit) e = edit_new(b, m);
        int r;

        r = read_paths(m, 2, EDIT_OPERATIONS_MAX, check_path_write, paths, error);
        if (r >= 0)
                r = options_read(m, NULL, error);
        if (r < 0)
                return r;
        for (guint i = 0; i < paths->len; i++) {
                const Path *p = &g_array_index(paths, Path, i);

                op_list_add(&e->ops, p->n == 2 ? OP_DELETE : OP_UNSET, p, NULL);
        }
        return edit_run(g_steal_pointer(&e), error);
}
