/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ctl/child.h"
#include "util/cleanup.h"

typedef struct Stream {
        LoopSource *source;
        GString *text;
        size_t max;
        int fd;
        bool overflow;
} Stream;

struct Child {
        Loop *loop;
        ChildDone done;
        void *userdata;
        GBytes *input;
        size_t written;
        LoopSource *in_source, *exit_source;
        Stream out, err;
        Timer *timer;
        pid_t pid;
        int in_fd, pid_fd;
        bool timed_out;
};

static void on_input(void *userdata, int fd, short revents) {
        Child *c = userdata;
        gsize n;
        const uint8_t *bytes = g_bytes_get_data(c->input, &n);
        ssize_t w;

        w = n > c->written ? write(fd, bytes + c->written, n - c->written) : 0;
        if (w > 0)
                c->written += (size_t) w;
        if (c->written < n && (w >= 0 || errno == EAGAIN || errno == EINTR))
                return;
        /* All is written, or the command does not read: that is its choice. */
        c->in_source = loop_source_free(c->in_source);
        close_fd(&c->in_fd);
}

/* false at the end of the stream. */
static bool drain(Stream *s) {
        char chunk[4096];

        for (;;) {
                ssize_t n = read(s->fd, chunk, sizeof(chunk));
                size_t room = s->max - s->text->len;

                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0)
                        return n < 0 && errno == EAGAIN;
                s->overflow = s->overflow || (size_t) n > room;
                g_string_append_len(s->text, chunk, (gssize) MIN((size_t) n, room));
        }
}

static void on_stream(void *userdata, int fd, short revents) {
        Stream *s = userdata;

        if (drain(s))
                return;
        s->source = loop_source_free(s->source);
        close_fd(&s->fd);
}

static void on_exit_event(void *userdata, int fd, short revents) {
        Child *c = userdata;
        ChildResult result = { .output = c->out.text, .errors = c->err.text };

        c->exit_source = loop_source_free(c->exit_source);
        while (waitpid(c->pid, &result.status, 0) < 0 && errno == EINTR)
                ;
        c->pid = 0;
        if (c->out.fd >= 0)
                drain(&c->out);
        if (c->err.fd >= 0)
                drain(&c->err);
        result.timed_out = c->timed_out;
        result.too_long = c->out.overflow;
        c->done(c->userdata, &result);
}

static void on_timeout(void *userdata, uint64_t now_usec) {
        Child *c = userdata;

        c->timed_out = true;
        kill(-c->pid, SIGKILL);
}

static int make_pipe(int *ret_ours, int *ret_theirs, bool ours_writes) {
        int fds[2];

        if (pipe2(fds, O_CLOEXEC) < 0)
                return -errno;
        *ret_ours = fds[ours_writes ? 1 : 0];
        *ret_theirs = fds[ours_writes ? 0 : 1];
        return fcntl(*ret_ours, F_SETFL, O_NONBLOCK) < 0 ? -errno : 0;
}

static int spawn(Child *c, char *const *argv, char *const *environment, const int *theirs) {
        posix_spawn_file_actions_t actions;
        posix_spawnattr_t attributes;
        sigset_t none, all;
        int r;

        sigemptyset(&none);
        sigfillset(&all);
        posix_spawn_file_actions_init(&actions);
        posix_spawnattr_init(&attributes);
        for (int fd = 0; fd < 3; fd++)
                posix_spawn_file_actions_adddup2(&actions, theirs[fd], fd);
        posix_spawnattr_setpgroup(&attributes, 0);
        posix_spawnattr_setsigmask(&attributes, &none);
        posix_spawnattr_setsigdefault(&attributes, &all);
        posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK |
                                                      POSIX_SPAWN_SETSIGDEF);
        r = posix_spawnp(&c->pid, argv[0], &actions, &attributes, argv, environment);
        posix_spawnattr_destroy(&attributes);
        posix_spawn_file_actions_destroy(&actions);
        if (r != 0) {
                c->pid = 0;
                return -r;
        }
        c->pid_fd = (int) syscall(SYS_pidfd_open, c->pid, 0);
        return c->pid_fd < 0 ? -errno : 0;
}

static int start(Child *c, char *const *argv, char *const *environment) {
        autoclose int in = -1, out = -1, err = -1;
        int r;

        r = make_pipe(&c->in_fd, &in, true);
        if (r >= 0)
                r = make_pipe(&c->out.fd, &out, false);
        if (r >= 0)
                r = make_pipe(&c->err.fd, &err, false);
        if (r < 0)
                return r;
        return spawn(c, argv, environment, (int[]){ in, out, err });
}

int child_new(Loop *loop, char *const *argv, char *const *environment, GBytes *input,
              uint64_t timeout_usec, ChildDone done, void *userdata, Child **ret) {
        g_autoptr(Child) c = g_new0(Child, 1);
        int r;

        c->loop = loop;
        c->done = done;
        c->userdata = userdata;
        c->input = g_bytes_ref(input);
        c->out = (Stream){ .text = g_string_new(NULL), .max = CHILD_OUTPUT_MAX, .fd = -1 };
        c->err = (Stream){ .text = g_string_new(NULL), .max = CHILD_ERRORS_MAX, .fd = -1 };
        c->in_fd = c->pid_fd = -1;
        r = start(c, argv, environment);
        if (r < 0)
                return r;
        c->in_source = loop_add_fd(loop, c->in_fd, POLLOUT, on_input, NULL, c);
        c->out.source = loop_add_fd(loop, c->out.fd, POLLIN, on_stream, NULL, &c->out);
        c->err.source = loop_add_fd(loop, c->err.fd, POLLIN, on_stream, NULL, &c->err);
        c->exit_source = loop_add_fd(loop, c->pid_fd, POLLIN, on_exit_event, NULL, c);
        if (timeout_usec > 0) {
                c->timer = timer_new(loop_timers(loop), on_timeout, c);
                timer_arm(c->timer, loop_now(loop) + timeout_usec);
        }
        *ret = g_steal_pointer(&c);
        return 0;
}

static void stream_clear(Stream *s) {
        s->source = loop_source_free(s->source);
        close_fd(&s->fd);
        if (s->text)
                g_string_free(s->text, TRUE);
        s->text = NULL;
}

Child *child_free(Child *c) {
        if (!c)
                return NULL;
        if (c->pid > 0) {
                kill(-c->pid, SIGKILL);
                while (waitpid(c->pid, NULL, 0) < 0 && errno == EINTR)
                        ;
        }
        timer_free(c->timer);
        loop_source_free(c->in_source);
        loop_source_free(c->exit_source);
        stream_clear(&c->out);
        stream_clear(&c->err);
        close_fd(&c->in_fd);
        close_fd(&c->pid_fd);
        g_bytes_unref(c->input);
        g_free(c);
        return NULL;
}
