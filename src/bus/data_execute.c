/* SPDX-License-Identifier: Apache-2.0 */
/* Data.Execute, and Data.Configure. */
#include <errno.h>
#include <string.h>

#include "bus/data.h"

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
        r = pending_count(pending, error);
        if (r < 0) {
                pending_free(pending);
                return r;
        }
        r = dm_execute(client_dm(b->client), &p, args, on_executed, pending, bus_now(b));
        if (r >= 0)
                return 1;
        pending_free(pending);
        if (r == -ENOSYS)
                return bus_error(error, r,
                                 "%s: no application handles this Execute (see Claims.Claim)",
                                 PATH_TEXT(&p));
        return bus_error(error, r, "%s: cannot be executed: %s", PATH_TEXT(&p),
                         r == -EPERM    ? "it is not an executable resource"
                         : r == -EINVAL ? "the arguments are not like 0='a',1"
                         : r == -ENOENT ? "there is no such instance or resource"
                                        : g_strerror(-r));
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
