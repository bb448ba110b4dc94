/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ctl/json.h"
#include "ctl/owner.h"
#include "ctl/verbs.h"
#include "util/cleanup.h"
#include "util/parse.h"

#define HOLD_DEFAULT_MS                                                                            \
        60000U /* a shell session's; the daemon's own default of 5 s is for programs */
#define UNLOCK_WAIT_SEC 5

/* A hold is kept by a descriptor, so it ends with the process that has it, however that dies. */
static CtlExit take_hold(Ctl *c, uint32_t max_ms, int *ret) {
        g_autoptr(sd_bus_message) reply = NULL;
        CtlExit code;
        int fd, r;

        code = ctl_call(c, NULL, "Data", "Hold", NULL, &reply, "a{sv}", 1, "max_ms", "u", max_ms);
        if (code != CTL_OK)
                return code;
        r = sd_bus_message_read(reply, "h", &fd);
        if (r < 0)
                return ctl_protocol_fail(r, "Hold");
        fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
        if (fd < 0)
                return ctl_fail(CTL_FAILED, "Cannot keep the hold: %s", g_strerror(errno));
        *ret = fd;
        return CTL_OK;
}

/* The command runs without the descriptor: what it leaves in the background does not keep the hold.
 */
static int run_held(Ctl *c, const Args *a, uint32_t max_ms) {
        autoclose int hold = -1;
        uint64_t begun;
        CtlExit code;
        int status, r;
        pid_t pid;

        code = take_hold(c, max_ms, &hold);
        if (code != CTL_OK)
                return code;
        begun = ctl_now();
        g_ptr_array_add(a->words, NULL);
        r = posix_spawnp(&pid, args_word(a, 0), NULL, NULL, (char **) a->words->pdata, environ);
        if (r != 0)
                return ctl_fail(r == ENOENT ? 127 : 126, "Cannot run '%s': %s", args_word(a, 0),
                                g_strerror(r));
        while (waitpid(pid, &status, 0) < 0)
                if (errno != EINTR)
                        return ctl_fail(CTL_FAILED, "Lost sight of '%s': %s", args_word(a, 0),
                                        g_strerror(errno));
        if (ctl_now() - begun > (uint64_t) max_ms * 1000) {
                ctl_fail(CTL_FAILED, "lock: the hold ended after %u ms, before the command did",
                         max_ms);
                ctl_hint("give it longer with --max=TIME");
        }
        return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* A folder that only this user can write: another one could plant a link or a foreign pid there. */
static CtlExit state_folder(char **ret) {
        const char *runtime = getenv("XDG_RUNTIME_DIR");
        g_autofree char *user = g_strdup_printf("/run/user/%u", getuid());
        g_autofree char *own = g_strdup_printf("/tmp/lwm2mctl-%u", getuid());
        struct stat st;

        if (runtime && runtime[0] == '/' && stat(runtime, &st) == 0 && st.st_uid == getuid()) {
                *ret = g_strdup(runtime);
                return CTL_OK;
        }
        if (stat(user, &st) == 0 && st.st_uid == getuid()) {
                *ret = g_steal_pointer(&user);
                return CTL_OK;
        }
        if (mkdir(own, 0700) < 0 && errno != EEXIST)
                return ctl_fail(CTL_FAILED, "Cannot create '%s': %s", own, g_strerror(errno));
        if (lstat(own, &st) < 0 || !S_ISDIR(st.st_mode) || st.st_uid != getuid() ||
            (st.st_mode & 077) != 0) {
                ctl_fail(CTL_FAILED, "'%s' is not a folder of this user alone", own);
                ctl_hint("remove it, or set XDG_RUNTIME_DIR");
                return CTL_FAILED;
        }
        *ret = g_steal_pointer(&own);
        return CTL_OK;
}

/* One file for each daemon a user can lock. */
static CtlExit pid_file(const Ctl *c, char **ret) {
        g_autofree char *folder = NULL;
        CtlExit code;

        code = state_folder(&folder);
        if (code != CTL_OK)
                return code;
        *ret = g_strdup_printf("%s/lwm2mctl-lock-%s-%08x.pid", folder, c->instance ?: "default",
                               g_str_hash(c->address));
        return CTL_OK;
}

static CtlExit open_pid_file(const char *file, int *ret) {
        int fd = open(file, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

        if (fd < 0)
                return ctl_fail(CTL_FAILED, "Cannot open '%s': %s", file, g_strerror(errno));
        *ret = fd;
        return CTL_OK;
}

/* The kernel's record lock tells who holds the file; the number inside is for people. A pid taken
 * from the lock cannot belong to some later process. 0: nobody. */
static pid_t holder(int fd) {
        struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

        if (fcntl(fd, F_GETLK, &lock) < 0 || lock.l_type == F_UNLCK)
                return 0;
        return lock.l_pid;
}

static void report(int pipe_fd, CtlExit code) {
        uint8_t byte = (uint8_t) code;

        while (write(pipe_fd, &byte, 1) < 0 && errno == EINTR)
                ;
        close(pipe_fd);
}

static void let_go_of_terminal(void) {
        autoclose int null = open("/dev/null", O_RDWR | O_CLOEXEC);

        if (null < 0)
                return;
        for (int fd = 0; fd < 3; fd++)
                (void) dup2(null, fd);
}

/* The background holder: until it is ended by `unlock`, or the daemon ends the hold. */
static int hold_on(Ctl *c, int file, uint32_t max_ms, int pipe_fd) {
        struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
        struct pollfd p = { .fd = -1, .events = POLLIN };
        autoclose int hold = -1;
        CtlExit code;

        if (fcntl(file, F_SETLK, &lock) < 0)
                code = ctl_fail(CTL_FAILED, "lock: somebody else just took it");
        else
                code = take_hold(c, max_ms, &hold);
        if (code == CTL_OK && (ftruncate(file, 0) < 0 || dprintf(file, "%d\n", getpid()) < 0))
                code = ctl_fail(CTL_FAILED, "Cannot write the pid file: %s", g_strerror(errno));
        if (code == CTL_OK && setsid() >= 0 && chdir("/") == 0)
                let_go_of_terminal();
        report(pipe_fd, code);
        if (code != CTL_OK)
                return code;
        p.fd = hold;
        while (poll(&p, 1, (int) MIN(max_ms, INT_MAX)) < 0 && errno == EINTR)
                ;
        return ftruncate(file, 0) < 0 ? CTL_FAILED : CTL_OK;
}

static CtlExit lock_session(Ctl *c, uint32_t max_ms) {
        g_autofree char *file = NULL;
        autoclose int fd = -1;
        int pipes[2];
        uint8_t byte;
        CtlExit code;
        pid_t pid;

        code = pid_file(c, &file);
        if (code == CTL_OK)
                code = open_pid_file(file, &fd);
        if (code != CTL_OK)
                return code;
        pid = holder(fd);
        if (pid > 0)
                return ctl_fail(CTL_FAILED, "already locked, by process %d; see `lwm2mctl unlock`",
                                pid);
        if (pipe2(pipes, O_CLOEXEC) < 0)
                return ctl_fail(CTL_FAILED, "Cannot start the holder: %s", g_strerror(errno));
        pid = fork();
        if (pid == 0) {
                close(pipes[0]);
                _exit(hold_on(c, fd, max_ms, pipes[1]));
        }
        close(pipes[1]);
        code = CTL_FAILED; /* the child has said why, unless there is none */
        if (pid < 0)
                ctl_fail(CTL_FAILED, "Cannot start the holder: %s", g_strerror(errno));
        else if (read(pipes[0], &byte, 1) == 1)
                code = (CtlExit) byte;
        close(pipes[0]);
        return code;
}

int verb_lock(Ctl *c, const Args *a) {
        const char *max = args_get(a, "--max");
        uint64_t max_usec = (uint64_t) HOLD_DEFAULT_MS * 1000;

        if (max &&
            (parse_duration(max, &max_usec) < 0 || max_usec < 1000 || max_usec / 1000 > INT32_MAX))
                return ctl_fail(CTL_USAGE, "--max=%s: expected a time like 90, 1.5s or 10min", max);
        if (!a->dashes)
                return lock_session(c, (uint32_t) (max_usec / 1000));
        if (a->words->len == 0)
                return ctl_fail(CTL_USAGE, "lock: a command is missing after '--'");
        return run_held(c, a, (uint32_t) (max_usec / 1000));
}

static void on_alarm(int signo) {
}

int verb_unlock(Ctl *c, const Args *a) {
        struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
        struct sigaction action = { .sa_handler = on_alarm }; /* without SA_RESTART */
        g_autofree char *file = NULL;
        autoclose int fd = -1;
        CtlExit code;
        pid_t pid;
        int r;

        code = pid_file(c, &file);
        if (code == CTL_OK)
                code = open_pid_file(file, &fd);
        if (code != CTL_OK)
                return code;
        pid = holder(fd);
        if (pid <= 0)
                return ctl_fail(CTL_NOT_FOUND, "not locked by this user, or the hold has ended");
        if (kill(pid, SIGTERM) < 0)
                return ctl_fail(CTL_FAILED, "Cannot end process %d: %s", pid, g_strerror(errno));
        sigaction(SIGALRM, &action, NULL);
        alarm(UNLOCK_WAIT_SEC);
        r = fcntl(fd, F_SETLKW, &lock);
        alarm(0);
        if (r < 0)
                return ctl_fail(CTL_TIMEOUT, "process %d does not end", pid);
        return ftruncate(fd, 0) < 0 ? CTL_FAILED : CTL_OK;
}
