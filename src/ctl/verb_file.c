/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctl/json.h"
#include "ctl/schema.h"
#include "ctl/verbs.h"
#include "util/cleanup.h"

#define PUT_PIPE_MAX ((uint64_t) 256 << 20) /* bytes taken from a pipe, as they stay in memory */

/* 0, or -EFBIG past max. */
static int copy(int from, int to, uint64_t max) {
        static char buffer[64 << 10];
        uint64_t done = 0;

        for (;;) {
                ssize_t n = read(from, buffer, sizeof(buffer));

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return -errno;
                if (n == 0)
                        return 0;
                done += (uint64_t) n;
                if (done > max)
                        return -EFBIG;
                for (ssize_t at = 0; at < n;) {
                        ssize_t w = write(to, buffer + at, (size_t) (n - at));

                        if (w < 0 && errno != EINTR)
                                return -errno;
                        at += w < 0 ? 0 : w;
                }
        }
}

/* The daemon takes regular files and sealed memory only, which nobody can shrink under it. */
CtlExit verb_file_open(const char *file, int *ret) {
        bool is_stdin = !file || strcmp(file, "-") == 0;
        const char *name = is_stdin ? "the standard input" : file;
        autoclose int from = -1, memory = -1;
        struct stat st;
        int r;

        from = is_stdin ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3)
                        : open(file, O_RDONLY | O_CLOEXEC);
        if (from < 0 || fstat(from, &st) < 0)
                return ctl_fail(CTL_FAILED, "Cannot open %s: %s", name, g_strerror(errno));
        if (S_ISREG(st.st_mode) && lseek(from, 0, SEEK_CUR) == 0) {
                *ret = steal_fd(&from);
                return CTL_OK;
        }
        if (S_ISDIR(st.st_mode))
                return ctl_fail(CTL_FAILED, "Cannot put '%s': it is a directory", name);
        memory = memfd_create("lwm2mctl-put", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        if (memory < 0)
                return ctl_fail(CTL_FAILED, "Cannot get memory for %s: %s", name,
                                g_strerror(errno));
        r = copy(from, memory, PUT_PIPE_MAX);
        if (r == -EFBIG)
                return ctl_fail(CTL_FAILED, "%s has more than 256 MiB; give a regular file", name);
        if (r < 0)
                return ctl_fail(CTL_FAILED, "Cannot read %s: %s", name, g_strerror(-r));
        if (lseek(memory, 0, SEEK_SET) < 0 ||
            fcntl(memory, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) <
                    0)
                return ctl_fail(CTL_FAILED, "Cannot seal the copy of %s: %s", name,
                                g_strerror(errno));
        *ret = steal_fd(&memory);
        return CTL_OK;
}

int verb_put(Ctl *c, const Args *a) {
        g_autoptr(sd_bus_message) reply = NULL;
        g_autofree char *path = NULL;
        autoclose int fd = -1;
        uint64_t n;
        CtlPath p;
        CtlExit code;
        int r;

        code = ctl_path(args_word(a, 0), 3, 4, &p);
        if (code == CTL_OK)
                code = verb_file_open(args_word(a, 1), &fd);
        if (code != CTL_OK)
                return code;
        path = ctl_path_text(&p);
        code = ctl_call(c, NULL, "Data", "SetFd", NULL, &reply, "sha{sv}", path, fd, 0);
        if (code != CTL_OK)
                return code;
        r = sd_bus_message_read(reply, "t", &n);
        if (r < 0)
                return ctl_protocol_fail(r, "SetFd");
        if (c->json) {
                g_autoptr(cJSON) out = cJSON_CreateObject();

                cJSON_AddStringToObject(out, "path", path);
                json_add_integer(out, "bytes", (int64_t) n);
                json_print_line(out);
        }
        return CTL_OK;
}

/* A file appears under its name when it is whole; the mode is what the umask leaves. */
static CtlExit save(int from, const char *file) {
        g_autofree char *part = g_strdup_printf("%s.XXXXXX", file);
        mode_t mask = umask(0);
        autoclose int to = -1;
        int r;

        umask(mask);
        to = mkostemp(part, O_CLOEXEC);
        if (to < 0)
                return ctl_fail(CTL_FAILED, "Cannot create '%s': %s", part, g_strerror(errno));
        r = copy(from, to, UINT64_MAX);
        if (r >= 0 && (fchmod(to, 0666 & ~mask) < 0 || fsync(to) < 0 || rename(part, file) < 0))
                r = -errno;
        if (r >= 0)
                return CTL_OK;
        unlink(part);
        return ctl_fail(CTL_FAILED, "Cannot write '%s': %s", file, g_strerror(-r));
}

int verb_fetch(Ctl *c, const Args *a) {
        g_autoptr(sd_bus_message) reply = NULL;
        g_autofree char *path = NULL;
        const char *file = args_word(a, 1);
        struct stat st;
        CtlPath p;
        CtlExit code;
        int fd, r; /* fd stays the message's */

        code = ctl_path(args_word(a, 0), 3, 4, &p);
        if (code != CTL_OK)
                return code;
        path = ctl_path_text(&p);
        code = ctl_call(c, NULL, "Data", "GetFd", NULL, &reply, "sa{sv}", path, 0);
        if (code != CTL_OK)
                return code;
        r = sd_bus_message_read(reply, "h", &fd);
        if (r < 0)
                return ctl_protocol_fail(r, "GetFd");
        (void) lseek(fd, 0, SEEK_SET); /* a pipe has no start to go to */
        if (file && strcmp(file, "-") != 0 && (stat(file, &st) < 0 || S_ISREG(st.st_mode)))
                return save(fd, file);
        if (file && strcmp(file, "-") != 0) {
                autoclose int to = open(file, O_WRONLY | O_CLOEXEC);

                r = to < 0 ? -errno : copy(fd, to, UINT64_MAX);
        } else
                r = copy(fd, STDOUT_FILENO, UINT64_MAX);
        return r < 0 ? ctl_fail(CTL_FAILED, "Cannot write '%s': %s", file ?: "-", g_strerror(-r))
                     : CTL_OK;
}
