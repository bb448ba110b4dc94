/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <cmocka.h>

#include "util/cleanup.h"
#include "util/loop.h"

typedef struct Run {
        Loop *loop;
        GString *log;
        LoopSource *fd_source;
        Timer *timer;
        int event_fd;
} Run;

static void on_fd(void *userdata, int fd, short revents) {
        Run *run = userdata;

        g_string_append_c(run->log, revents & POLLIN ? 'f' : 't');
        if (revents & POLLIN)
                run->fd_source = loop_source_free(run->fd_source); /* from within */
        raise(SIGUSR1);
}

static void on_signal(void *userdata) {
        Run *run = userdata;

        g_string_append_c(run->log, 's');
        loop_quit(run->loop, 7);
}

static void on_timer(void *userdata, uint64_t now_usec) {
        Run *run = userdata;

        g_string_append_c(run->log, 'T');
        assert_true(now_usec <= loop_now(run->loop));
        eventfd_write(run->event_fd, 1);
}

static void on_idle(void *userdata) {
        Run *run = userdata;

        g_string_append_c(run->log, 'i');
        timer_arm(run->timer, loop_now(run->loop) + 1000);
}

static void test_everything_once(void **state) {
        autoclose int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
        g_autoptr(Loop) loop = NULL;
        g_autoptr(GString) log = g_string_new(NULL);
        Run run = { .log = log, .event_fd = fd };
        LoopSource *idle, *sig;

        assert_int_equal(loop_new(&loop), 0);
        run.loop = loop;
        run.timer = timer_new(loop_timers(loop), on_timer, &run);
        run.fd_source = loop_add_fd(loop, fd, POLLIN, on_fd, NULL, &run);
        idle = loop_add_idle(loop, on_idle, &run);
        sig = loop_add_signal(loop, SIGUSR1, on_signal, &run);

        assert_int_equal(loop_run(loop), 7);
        assert_string_equal(log->str, "iTfs");

        loop_source_free(idle);
        loop_source_free(sig);
        timer_free(run.timer);
        assert_null(run.fd_source);
}

static void test_source_timeout(void **state) {
        autoclose int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
        g_autoptr(Loop) loop = NULL;
        g_autoptr(GString) log = g_string_new(NULL);
        Run run = { .log = log };
        LoopSource *s, *sig;

        assert_int_equal(loop_new(&loop), 0);
        run.loop = loop;
        s = loop_add_fd(loop, fd, POLLIN, on_fd, NULL, &run);
        sig = loop_add_signal(loop, SIGUSR1, on_signal, &run);
        loop_source_set_timeout(s, loop_now(loop) + 2000);
        assert_int_equal(loop_run(loop), 7);
        assert_string_equal(log->str, "ts");
        loop_source_free(s);
        loop_source_free(sig);
}

typedef struct Late {
        Loop *loop;
        LoopSource *source;
        bool served, armed;
} Late;

static void on_late(void *userdata, int fd, short revents) {
        Late *late = userdata;
        uint64_t n;

        if (revents == 0)
                loop_quit(late->loop, 3);
        else
                late->served = read(fd, &n, sizeof(n)) == sizeof(n);
}

static void on_late_prepare(void *userdata) {
        Late *late = userdata;

        if (!late->served || late->armed)
                return;
        late->armed = true;
        loop_source_set_timeout(late->source, loop_now(late->loop) + 2000);
}

/* The last thing before a sleep. */
static void test_timeout_set_while_preparing(void **state) {
        autoclose int fd = eventfd(1, EFD_NONBLOCK | EFD_CLOEXEC);
        g_autoptr(Loop) loop = NULL;
        Late late = { 0 };

        assert_int_equal(loop_new(&loop), 0);
        late.loop = loop;
        late.source = loop_add_fd(loop, fd, POLLIN, on_late, on_late_prepare, &late);
        alarm(5);
        assert_int_equal(loop_run(loop), 3);
        alarm(0);
        loop_source_free(late.source);
}

static void on_turn(void *userdata) {
        Run *run = userdata;

        g_string_append_c(run->log, 'i');
}

static void on_last(void *userdata) {
        Run *run = userdata;

        g_string_append_c(run->log, 'l');
        loop_quit(run->loop, 4);
}

static void test_last(void **state) {
        g_autoptr(Loop) loop = NULL;
        g_autoptr(GString) log = g_string_new(NULL);
        Run run = { .log = log };
        LoopSource *last, *idle;

        assert_int_equal(loop_new(&loop), 0);
        run.loop = loop;
        last = loop_add_last(loop, on_last, &run);
        idle = loop_add_idle(loop, on_turn, &run);
        assert_int_equal(loop_run(loop), 4);
        assert_string_equal(log->str, "il");
        loop_source_free(last);
        loop_source_free(idle);
}

typedef struct Busy {
        Loop *loop;
        Timer *timer;
        unsigned n_runs, n_served;
} Busy;

static void on_busy(void *userdata, uint64_t now_usec) {
        Busy *busy = userdata;

        busy->n_runs++;
        timer_arm(busy->timer, now_usec);
}

static void on_busy_fd(void *userdata, int fd, short revents) {
        Busy *busy = userdata;

        if (++busy->n_served == 3)
                loop_quit(busy->loop, 5);
}

/* A timer that is always due takes no sleep and leaves others their turn. */
static void test_due_now(void **state) {
        autoclose int fd = eventfd(1, EFD_NONBLOCK | EFD_CLOEXEC);
        g_autoptr(Loop) loop = NULL;
        Busy busy = { 0 };
        LoopSource *source;

        assert_int_equal(loop_new(&loop), 0);
        busy.loop = loop;
        busy.timer = timer_new(loop_timers(loop), on_busy, &busy);
        source = loop_add_fd(loop, fd, POLLIN, on_busy_fd, NULL, &busy);
        timer_arm(busy.timer, 0);
        alarm(5);
        assert_int_equal(loop_run(loop), 5);
        alarm(0);
        assert_in_range(busy.n_runs, 2, 4);
        loop_source_free(source);
        timer_free(busy.timer);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_everything_once),
                cmocka_unit_test(test_source_timeout),
                cmocka_unit_test(test_timeout_set_while_preparing),
                cmocka_unit_test(test_due_now),
                cmocka_unit_test(test_last),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
