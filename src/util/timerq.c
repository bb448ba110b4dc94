/* SPDX-License-Identifier: Apache-2.0 */
#include "util/timerq.h"

#include <assert.h>
#include <stdbool.h>

/* A binary heap of borrowed timers; each knows its index, so that it can be moved or taken out.
 * Ties are broken by the order of arming, which makes runs repeatable. */
struct TimerQueue {
        GPtrArray *heap;
        uint64_t sequence;
        uint64_t announced_usec;
        void (*changed)(void *userdata, uint64_t next_usec);
        void *userdata;
};

struct Timer {
        TimerQueue *q;
        TimerFunc func;
        void *userdata;
        uint64_t due_usec;
        uint64_t sequence;
        guint index; /* NOT_IN_HEAP when disarmed */
};

#define NOT_IN_HEAP G_MAXUINT

static Timer *at(const TimerQueue *q, guint i) {
        return g_ptr_array_index(q->heap, i);
}

static bool before(const Timer *a, const Timer *b) {
        return a->due_usec != b->due_usec ? a->due_usec < b->due_usec : a->sequence < b->sequence;
}

static void put(TimerQueue *q, guint i, Timer *t) {
        g_ptr_array_index(q->heap, i) = t;
        t->index = i;
}

static void sift_up(TimerQueue *q, Timer *t) {
        guint i = t->index;

        while (i > 0 && before(t, at(q, (i - 1) / 2))) {
                put(q, i, at(q, (i - 1) / 2));
                i = (i - 1) / 2;
        }
        put(q, i, t);
}

static void sift_down(TimerQueue *q, Timer *t) {
        guint i = t->index, n = q->heap->len;

        for (;;) {
                guint child = 2 * i + 1;

                if (child >= n)
                        break;
                if (child + 1 < n && before(at(q, child + 1), at(q, child)))
                        child++;
                if (!before(at(q, child), t))
                        break;
                put(q, i, at(q, child));
                i = child;
        }
        put(q, i, t);
}

static void heap_remove(TimerQueue *q, Timer *t) {
        Timer *last = g_ptr_array_steal_index(q->heap, q->heap->len - 1);

        if (last != t) {
                put(q, t->index, last);
                sift_up(q, last);
                sift_down(q, last);
        }
        t->index = NOT_IN_HEAP;
}

static void announce(TimerQueue *q) {
        uint64_t next = timerq_next(q);

        if (next == q->announced_usec)
                return;
        q->announced_usec = next;
        if (q->changed)
                q->changed(q->userdata, next);
}

TimerQueue *timerq_new(void) {
        TimerQueue *q = g_new0(TimerQueue, 1);

        q->heap = g_ptr_array_new();
        q->announced_usec = USEC_INFINITY;
        return q;
}

TimerQueue *timerq_free(TimerQueue *q) {
        if (!q)
                return NULL;
        assert(q->heap->len == 0);
        g_ptr_array_unref(q->heap);
        g_free(q);
        return NULL;
}

uint64_t timerq_next(const TimerQueue *q) {
        return q->heap->len > 0 ? at(q, 0)->due_usec : USEC_INFINITY;
}

void timerq_run(TimerQueue *q, uint64_t now_usec) {
        /* What a timer arms now has a later sequence number and waits for the next call: a timer
         * that re-arms itself for a time already due cannot keep us here. */
        uint64_t last = q->sequence;

        while (q->heap->len > 0) {
                Timer *t = at(q, 0);

                if (t->due_usec > now_usec || t->sequence > last)
                        break;
                heap_remove(q, t);
                t->due_usec = USEC_INFINITY;
                t->func(t->userdata, now_usec);
        }
        announce(q);
}

void timerq_on_change(TimerQueue *q, void (*changed)(void *userdata, uint64_t next_usec),
                      void *userdata) {
        q->changed = changed;
        q->userdata = userdata;
        q->announced_usec = USEC_INFINITY;
        announce(q);
}

Timer *timer_new(TimerQueue *q, TimerFunc func, void *userdata) {
        Timer *t = g_new0(Timer, 1);

        t->q = q;
        t->func = func;
        t->userdata = userdata;
        t->due_usec = USEC_INFINITY;
        t->index = NOT_IN_HEAP;
        return t;
}

Timer *timer_free(Timer *t) {
        if (!t)
                return NULL;
        timer_disarm(t);
        g_free(t);
        return NULL;
}

void timer_arm(Timer *t, uint64_t due_usec) {
        TimerQueue *q = t->q;

        if (due_usec == USEC_INFINITY) {
                timer_disarm(t);
                return;
        }
        t->due_usec = due_usec;
        t->sequence = ++q->sequence;
        if (t->index == NOT_IN_HEAP) {
                g_ptr_array_add(q->heap, t);
                t->index = q->heap->len - 1;
        }
        sift_up(q, t);
        sift_down(q, t);
        announce(q);
}

void timer_disarm(Timer *t) {
        if (t->index == NOT_IN_HEAP)
                return;
        heap_remove(t->q, t);
        t->due_usec = USEC_INFINITY;
        announce(t->q);
}

uint64_t timer_due(const Timer *t) {
        return t->due_usec;
}
