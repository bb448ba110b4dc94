/* SPDX-License-Identifier: Apache-2.0 */
#include "bus/flow.h"

#include <errno.h>

/* The bus allows one connection 128 pending replies; calls to applications need 64 of them. */
#define PINGS_MAX 32u
#define PING_TIMEOUT_USEC (60 * USEC_PER_SEC)
#define AGAIN_USEC (1 * USEC_PER_SEC)

void flow_init(Flow *f, Bus *b, const char *name, void (*resume)(void *userdata, uint64_t now_usec),
               void *userdata) {
        *f = (Flow){ .bus = b, .name = g_strdup(name), .resume = resume, .userdata = userdata };
}

static void drop_ping(Flow *f) {
        f->ping = sd_bus_slot_unref(f->ping);
        if (f->counted)
                f->bus->n_pings--;
        f->counted = false;
}

void flow_clear(Flow *f) {
        drop_ping(f);
        timer_free(f->again);
        g_free(f->name);
        *f = (Flow){ .bus = NULL };
}

bool flow_is_open(const Flow *f) {
        return f->n_unconfirmed < FLOW_WINDOW;
}

static void ping(Flow *f);

static void on_again(void *userdata, uint64_t now_usec) {
        ping(userdata);
}

static void ping_later(Flow *f) {
        if (!f->again)
                f->again = timer_new(loop_timers(f->bus->loop), on_again, f);
        timer_arm(f->again, bus_now(f->bus) + AGAIN_USEC);
}

/* An error from the reader says as well as an answer that it has read so far. Where the bus itself
 * refuses the call there is no control, and none is pretended. */
static int on_pong(sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        Flow *f = userdata;

        drop_ping(f);
        if (sd_bus_message_is_method_error(reply, SD_BUS_ERROR_NO_REPLY) ||
            sd_bus_message_is_method_error(reply, SD_BUS_ERROR_TIMEOUT)) {
                ping_later(f);
                return 1;
        }
        f->n_unconfirmed = 0;
        f->resume(f->userdata, bus_now(f->bus));
        return 1;
}

static int send_ping(Flow *f) {
        sd_bus_message *m = NULL;
        int r;

        if (f->bus->n_pings >= PINGS_MAX)
                return -EBUSY;
        r = sd_bus_message_new_method_call(f->bus->bus, &m, f->name, "/",
                                           "org.freedesktop.DBus.Peer", "Ping");
        if (r >= 0)
                r = sd_bus_call_async(f->bus->bus, &f->ping, m, on_pong, f, PING_TIMEOUT_USEC);
        sd_bus_message_unref(m);
        return r;
}

static void ping(Flow *f) {
        if (!f->bus->bus)
                return; /* readers go with the bus */
        if (send_ping(f) < 0) {
                ping_later(f);
                return;
        }
        f->counted = true;
        f->bus->n_pings++;
}

void flow_sent(Flow *f, size_t n) {
        bool was_open = flow_is_open(f);

        f->n_unconfirmed += n;
        if (was_open && !flow_is_open(f))
                ping(f);
}
