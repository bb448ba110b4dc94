/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Timer queue: a heap of one-shot timers on a time line the caller owns (microseconds on
 * CLOCK_BOOTTIME in the daemon, anything in a test). It asks no clock and sleeps nowhere: whoever
 * drives it looks at timerq_next() and calls timerq_run(). Arming, moving and disarming are
 * O(log n). */
#include <glib.h>
#include <stdint.h>

#define USEC_PER_SEC UINT64_C(1000000)
#define USEC_PER_MSEC UINT64_C(1000)
#define USEC_INFINITY UINT64_MAX

typedef struct TimerQueue TimerQueue;
typedef struct Timer Timer;
typedef void (*TimerFunc)(void *userdata, uint64_t now_usec);

TimerQueue *timerq_new(void);
TimerQueue *timerq_free(TimerQueue *q); /* the timers must have been freed before */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(TimerQueue, timerq_free)

/* When the earliest timer is due; USEC_INFINITY when none is armed. */
uint64_t timerq_next(const TimerQueue *q);
/* Runs every timer due at now_usec, earliest first; a timer is disarmed before its function runs,
 * which may re-arm or free it. Timers armed meanwhile for a time already due run in the next call.
 */
void timerq_run(TimerQueue *q, uint64_t now_usec);
/* Called whenever the earliest due time changed, so that a timerfd can be set. */
void timerq_on_change(TimerQueue *q, void (*changed)(void *userdata, uint64_t next_usec),
                      void *userdata);

Timer *timer_new(TimerQueue *q, TimerFunc func, void *userdata);
Timer *timer_free(Timer *t); /* accepts NULL, armed and disarmed ones */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Timer, timer_free)
void timer_arm(Timer *t, uint64_t due_usec); /* USEC_INFINITY disarms */
void timer_disarm(Timer *t);
uint64_t timer_due(const Timer *t); /* USEC_INFINITY when disarmed */
