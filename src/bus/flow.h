/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Flow control towards one reader of unicast signals. A bus daemon keeps what a client does not
 * read on the account of who sent it (127 MiB on a system bus) and then reads no more from the
 * sender, whom everybody else waits for. So after FLOW_WINDOW bytes the reader is sent a Ping
 * (org.freedesktop.DBus.Peer), which every D-Bus library answers by itself and in order, and gets
 * nothing more before its answer. */
#include <stdbool.h>
#include <stddef.h>

#include "bus/bus_internal.h"

#define FLOW_WINDOW (256u << 10)

typedef struct Flow {
        Bus *bus;
        char *name; /* of the reader, unique */
        size_t n_unconfirmed;
        bool counted; /* its ping is in flight */
        sd_bus_slot *ping;
        Timer *again;
        void (*resume)(void *userdata, uint64_t now_usec);
        void *userdata;
} Flow;

/* resume runs when a closed flow is open again. */
void flow_init(Flow *f, Bus *b, const char *name, void (*resume)(void *userdata, uint64_t now_usec),
               void *userdata);
void flow_clear(Flow *f);

bool flow_is_open(const Flow *f);
/* n bytes have been sent; with more than the window the flow closes. */
void flow_sent(Flow *f, size_t n);
