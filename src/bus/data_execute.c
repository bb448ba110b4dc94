/* SPDX-License-Identifier: Apache-2.0 */
/* Data.Execute. */
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
