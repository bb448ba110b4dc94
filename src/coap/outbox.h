/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The confirmable messages of one link, one at a time on the wire (NSTART 1, RFC 7252, section 4.7)
 * and the rest in order behind it. The library's own queue has no bound and gives nothing back, so
 * at most one message is in it. Items are the caller's; an item is in one outbox at most. */
#include <glib.h>
#include <stdbool.h>

typedef struct OutboxItem {
        GList node;
        bool queued;
} OutboxItem;

typedef struct Outbox {
        GQueue waiting;
        OutboxItem *current;
        unsigned max;
} Outbox;

void outbox_init(Outbox *o, unsigned max);
/* -ENOBUFS when max items wait. */
int outbox_push(Outbox *o, OutboxItem *item);
/* Takes the next item as the current one; NULL when there is one already, or nothing waits. */
OutboxItem *outbox_next(Outbox *o);
/* The current item is off the wire; returns it, or NULL. */
OutboxItem *outbox_done(Outbox *o);
/* Out of the queue; true when it was the current one, which then is none. */
bool outbox_remove(Outbox *o, OutboxItem *item);
