/* SPDX-License-Identifier: Apache-2.0 */
/* Data.Hold (DBUS.md part 8): while the descriptor it returns is open (at most max_ms) changes take
 * effect but no notification leaves; afterwards each observation gets one with the final values.
 * The descriptor may be handed on to another process, so it alone says when the hold ends, not who
 * asked for it. */
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bus/bus_internal.h"
#include "util/cleanup.h"
#include "util/log.h"

#define MAX_MS_DEFAULT 5000
#define MAX_MS_LIMIT 600000

struct Holds {
        Bus *bus;
        GPtrArray *all; /* Hold */
};

typedef struct Hold {
        Bus *bus;
        Owner *owner;
        int fd;
        LoopSource *source;
        Timer *timer;
} Hold;

static void hold_free(gpointer p) {
        Hold *h = p;

        loop_source_free(h->source);
        timer_free(h->timer);
        close_fd(&h->fd);
        owner_give_back(h->owner, QUOTA_FDS);
        owner_unref(h->owner);
        dm_resume_notifications(client_dm(h->bus->client), bus_now(h->bus));
        g_free(h);
}

static void on_closed(void *userdata, int fd, short revents) {
        Hold *h = userdata;
        char byte;

        /* What is written into it is nobody's; its end is what we wait for. */
        if ((revents & POLLIN) && !(revents & POLLHUP) && recv(fd, &byte, 1, MSG_DONTWAIT) > 0)
                return;
        g_ptr_array_remove(h->bus->holds->all, h);
}

static void on_too_long(void *userdata, uint64_t now_usec) {
        Hold *h = userdata;

        log_warning("%s held notifications longer than it said, going on without it",
                    owner_name(h->owner));
        g_ptr_array_remove(h->bus->holds->all, h);
}

Holds *holds_new(Bus *b) {
        Holds *h = g_new0(Holds, 1);

        h->bus = b;
        h->all = g_ptr_array_new_with_free_func(hold_free);
        return h;
}

Holds *holds_free(Holds *h) {
        if (!h)
                return NULL;
        g_ptr_array_unref(h->all);
        g_free(h);
        return NULL;
}

int method_hold(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Bus *b = userdata;
        uint32_t max_ms = MAX_MS_DEFAULT, limit;
        const Option options[] = { { "max_ms", OPTION_U32, &max_ms }, { NULL } };
        autoclose int theirs = -1;
        Owner *owner;
        int fds[2];
        Hold *h;
        int r;

        r = options_read(m, options, error);
        if (r < 0)
                return r;
        if (max_ms == 0 || max_ms > MAX_MS_LIMIT)
                return bus_error_named(error, ERROR_PREFIX "InvalidOption",
                                       "max_ms is %u, allowed are 1 to %d", max_ms, MAX_MS_LIMIT);
        r = bus_owner(b, m, &owner, error);
        if (r < 0)
                return r;
        if (owner_take(owner, QUOTA_FDS, &limit) < 0) {
                owner_unref(owner);
                return bus_error(error, -EDQUOT,
                                 "This user has %u holds and monitors, the most allowed", limit);
        }
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0) {
                r = -errno;
                owner_give_back(owner, QUOTA_FDS);
                owner_unref(owner);
                return bus_error(error, r, "Cannot make a hold: %m");
        }
        theirs = fds[1];
        h = g_new0(Hold, 1);
        h->bus = b;
        h->owner = owner;
        h->fd = fds[0];
        h->source = loop_add_fd(b->loop, h->fd, POLLIN, on_closed, NULL, h);
        h->timer = timer_new(loop_timers(b->loop), on_too_long, h);
        timer_arm(h->timer, bus_now(b) + max_ms * USEC_PER_MSEC);
        dm_suspend_notifications(client_dm(b->client));
        g_ptr_array_add(b->holds->all, h);
        return sd_bus_reply_method_return(m, "h", theirs);
}
