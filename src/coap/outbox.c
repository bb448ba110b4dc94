/* SPDX-License-Identifier: Apache-2.0 */
#include "coap/outbox.h"

#include <assert.h>
#include <errno.h>

void outbox_init(Outbox *o, unsigned max) {
        *o = (Outbox){ .max = max };
        g_queue_init(&o->waiting);
}

int outbox_push(Outbox *o, OutboxItem *item) {
        assert(!item->queued && o->current != item);
        if (o->waiting.length >= o->max)
                return -ENOBUFS;
        item->node.data = item;
        item->queued = true;
        g_queue_push_tail_link(&o->waiting, &item->node);
        return 0;
}

OutboxItem *outbox_next(Outbox *o) {
        OutboxItem *item;

        if (o->current || !o->waiting.head)
                return NULL;
        item = o->waiting.head->data;
        g_queue_unlink(&o->waiting, &item->node);
        item->queued = false;
        o->current = item;
        return item;
}

OutboxItem *outbox_done(Outbox *o) {
        return g_steal_pointer(&o->current);
}

bool outbox_remove(Outbox *o, OutboxItem *item) {
        if (o->current == item) {
                o->current = NULL;
                return true;
        }
        if (item->queued)
                g_queue_unlink(&o->waiting, &item->node);
        item->queued = false;
        return false;
}
