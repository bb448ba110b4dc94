/* SPDX-License-Identifier: Apache-2.0 */
#include "util/loop.h"

#include <errno.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "util/cleanup.h"

struct Loop {
        GMainLoop *main;
        TimerQueue *timers;
        int timer_fd;
        LoopSource *timer_source;
        uint64_t next_usec, set_usec; /* wanted, and what the timerfd is set to */
        int code;
};

/* Our part of a source: GLib owns the GSource, we own this, and the GSource is destroyed with it.
 */
struct LoopSource {
        Loop *loop;
        GSource *source;
        gpointer tag;
        int fd, signo; /* signo: fd is a signalfd of ours; else 0 */
        short events;
        Timer *timeout;
        LoopFdFunc fd_func;
        LoopFunc func, prepare;
        void *userdata;
};

typedef struct FdSource {
        GSource base;
        LoopSource *s;
} FdSource;

/* The timerfd is set once before a sleep, not at each change of the queue: timers that come and go
 * within one turn of the loop cost no system call. False: one is due now, there is no sleep. */
static bool set_timerfd(Loop *l) {
        uint64_t next_usec = l->next_usec;
        struct itimerspec it = { 0 };

        if (next_usec == l->set_usec)
                return true;
        if (next_usec != USEC_INFINITY) {
                if (next_usec <= loop_now(l))
                        return false;
                it.it_value.tv_sec = (time_t) (next_usec / USEC_PER_SEC);
                it.it_value.tv_nsec = (long) (next_usec % USEC_PER_SEC) * 1000;
        }
        l->set_usec = next_usec;
        timerfd_settime(l->timer_fd, TFD_TIMER_ABSTIME, &it, NULL);
        return true;
}

/* What one source arms here, the timerfd has to know before the sleep, also when its own turn to
 * prepare was earlier. */
static gboolean fd_prepare(GSource *source, gint *timeout) {
        LoopSource *s = ((FdSource *) source)->s;
        bool is_timer = s->fd == s->loop->timer_fd, sleeps = true;

        if (s->prepare)
                s->prepare(s->userdata);
        if (s->prepare || is_timer)
                sleeps = set_timerfd(s->loop);
        *timeout = sleeps ? -1 : 0;
        return is_timer && !sleeps;
}

static gboolean fd_check(GSource *source) {
        return g_source_query_unix_fd(source, ((FdSource *) source)->s->tag) != 0;
}

static void dispatch_signal(const LoopSource *s) {
        struct signalfd_siginfo info;

        if (read(s->fd, &info, sizeof(info)) == sizeof(info))
                s->func(s->userdata);
}

static gboolean fd_dispatch(GSource *source, GSourceFunc callback, gpointer userdata) {
        LoopSource *s = ((FdSource *) source)->s;

        if (s->signo) {
                dispatch_signal(s);
                return G_SOURCE_CONTINUE;
        }
        s->fd_func(s->userdata, s->fd, (short) g_source_query_unix_fd(source, s->tag));
        return G_SOURCE_CONTINUE;
}

static GSourceFuncs fd_funcs = { .prepare = fd_prepare,
                                 .check = fd_check,
                                 .dispatch = fd_dispatch };

LoopSource *loop_add_fd(Loop *l, int fd, short events, LoopFdFunc func, LoopFunc prepare,
                        void *userdata) {
        LoopSource *s = g_new0(LoopSource, 1);

        s->loop = l;
        s->fd = fd;
        s->events = events;
        s->fd_func = func;
        s->prepare = prepare;
        s->userdata = userdata;
        s->source = g_source_new(&fd_funcs, sizeof(FdSource));
        ((FdSource *) s->source)->s = s;
        /* No loop is ever run inside a handler, and GLib would take the descriptor out of its poll
         * set around each dispatch: three system calls and a second turn of the loop every time. */
        g_source_set_can_recurse(s->source, TRUE);
        s->tag = g_source_add_unix_fd(s->source, fd, (GIOCondition) (events | POLLERR | POLLHUP));
        g_source_attach(s->source, NULL);
        return s;
}

/* GLib wakes the loop for each modification, also when nothing changes. */
void loop_source_set_events(LoopSource *s, short events) {
        if (events == s->events)
                return;
        s->events = events;
        g_source_modify_unix_fd(s->source, s->tag, (GIOCondition) (events | POLLERR | POLLHUP));
}

static void on_timeout(void *userdata, uint64_t now_usec) {
        LoopSource *s = userdata;

        s->fd_func(s->userdata, s->fd, 0);
}

void loop_source_set_timeout(LoopSource *s, uint64_t due_usec) {
        if (!s->timeout)
                s->timeout = timer_new(s->loop->timers, on_timeout, s);
        if (timer_due(s->timeout) != due_usec)
                timer_arm(s->timeout, due_usec);
}

static gboolean run_once(gpointer userdata) {
        LoopSource *s = userdata;

        s->func(s->userdata);
        return G_SOURCE_REMOVE;
}

static LoopSource *add_idle(Loop *l, gint priority, LoopFunc func, void *userdata) {
        LoopSource *s = g_new0(LoopSource, 1);

        s->loop = l;
        s->func = func;
        s->userdata = userdata;
        s->source = g_idle_source_new();
        g_source_set_priority(s->source, priority);
        g_source_set_callback(s->source, run_once, s, NULL);
        g_source_attach(s->source, NULL);
        return s;
}

LoopSource *loop_add_idle(Loop *l, LoopFunc func, void *userdata) {
        return add_idle(l, G_PRIORITY_DEFAULT_IDLE, func, userdata);
}

LoopSource *loop_add_last(Loop *l, LoopFunc func, void *userdata) {
        return add_idle(l, G_PRIORITY_LOW, func, userdata);
}

static void block_signal(int how, int signo) {
        sigset_t set;

        sigemptyset(&set);
        sigaddset(&set, signo);
        pthread_sigmask(how, &set, NULL);
}

/* By a signalfd: GLib's own source for signals would keep a thread. */
LoopSource *loop_add_signal(Loop *l, int signo, LoopFunc func, void *userdata) {
        LoopSource *s;
        sigset_t set;
        int fd;

        sigemptyset(&set);
        sigaddset(&set, signo);
        fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
        if (fd < 0)
                return NULL;
        block_signal(SIG_BLOCK, signo);
        s = loop_add_fd(l, fd, POLLIN, NULL, NULL, userdata);
        s->func = func;
        s->signo = signo;
        return s;
}

LoopSource *loop_source_free(LoopSource *s) {
        if (!s)
                return NULL;
        g_source_destroy(s->source);
        g_source_unref(s->source);
        timer_free(s->timeout);
        if (s->signo) {
                close_fd(&s->fd);
                block_signal(SIG_UNBLOCK, s->signo);
        }
        g_free(s);
        return NULL;
}

uint64_t loop_now(const Loop *l) {
        struct timespec ts;

        clock_gettime(CLOCK_BOOTTIME, &ts);
        return (uint64_t) ts.tv_sec * USEC_PER_SEC + (uint64_t) ts.tv_nsec / 1000;
}

static void on_timerfd(void *userdata, int fd, short revents) {
        Loop *l = userdata;
        uint64_t n;

        if (revents != 0 && read(fd, &n, sizeof(n)) == sizeof(n))
                l->set_usec = USEC_INFINITY; /* it has fired and is disarmed */
        timerq_run(l->timers, loop_now(l));
}

static void on_next(void *userdata, uint64_t next_usec) {
        Loop *l = userdata;

        l->next_usec = next_usec;
}

int loop_new(Loop **ret) {
        g_autoptr(Loop) l = g_new0(Loop, 1);

        l->next_usec = l->set_usec = USEC_INFINITY;
        l->timers = timerq_new();
        l->timer_fd = timerfd_create(CLOCK_BOOTTIME, TFD_NONBLOCK | TFD_CLOEXEC);
        if (l->timer_fd < 0)
                return -errno;
        l->main = g_main_loop_new(NULL, FALSE);
        l->timer_source = loop_add_fd(l, l->timer_fd, POLLIN, on_timerfd, NULL, l);
        timerq_on_change(l->timers, on_next, l);
        *ret = g_steal_pointer(&l);
        return 0;
}

Loop *loop_free(Loop *l) {
        if (!l)
                return NULL;
        loop_source_free(l->timer_source);
        timerq_free(l->timers);
        g_clear_pointer(&l->main, g_main_loop_unref);
        close_fd(&l->timer_fd);
        g_free(l);
        return NULL;
}

TimerQueue *loop_timers(Loop *l) {
        return l->timers;
}

int loop_run(Loop *l) {
        g_main_loop_run(l->main);
        return l->code;
}

void loop_quit(Loop *l, int code) {
        l->code = code;
        g_main_loop_quit(l->main);
}
