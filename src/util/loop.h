/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The event loop: the only place that sees GMainLoop. One thread; handlers return at once. The
 * loop drives one TimerQueue by a timerfd on CLOCK_BOOTTIME, so that lifetimes hold across
 * suspend. */
#include <glib.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>

#include "util/timerq.h"

typedef struct Loop Loop;
typedef struct LoopSource LoopSource;
typedef void (*LoopFdFunc)(void *userdata, int fd, short revents);
typedef void (*LoopFunc)(void *userdata);

int loop_new(Loop **ret);
Loop *loop_free(Loop *l);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Loop, loop_free)
TimerQueue *loop_timers(Loop *l);
uint64_t loop_now(const Loop *l); /* CLOCK_BOOTTIME, microseconds */
int loop_run(Loop *l);            /* returns the code given to loop_quit() */
void loop_quit(Loop *l, int code);

/* Watches fd (borrowed) for events (POLLIN, POLLOUT; POLLERR and POLLHUP always). prepare, if any,
 * runs before each sleep and may call loop_source_set_events() and loop_source_set_timeout(). */
LoopSource *loop_add_fd(Loop *l, int fd, short events, LoopFdFunc func, LoopFunc prepare,
                        void *userdata);
void loop_source_set_events(LoopSource *s, short events);
/* func runs with revents 0 at due_usec (loop_now() time); USEC_INFINITY for never. */
void loop_source_set_timeout(LoopSource *s, uint64_t due_usec);
/* Runs once, when the loop is about to sleep; the last one when there are no others. */
LoopSource *loop_add_idle(Loop *l, LoopFunc func, void *userdata);
LoopSource *loop_add_last(Loop *l, LoopFunc func, void *userdata);
/* The signal is blocked until the source is freed, in threads and programs started meanwhile, too,
 * unless they say otherwise. NULL: no descriptor left. */
LoopSource *loop_add_signal(Loop *l, int signo, LoopFunc func, void *userdata);
LoopSource *loop_source_free(LoopSource *s); /* accepts NULL; also from within its own function */
