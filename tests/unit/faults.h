/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The system calls by which the store writes, with faults: they take the place of libc's in the
 * test program. Syncing is only counted unless asked otherwise, so that thousands of runs take
 * seconds. */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static struct {
        long calls;    /* made since the last reset */
        long crash_at; /* the process ends in the middle of this call; 0 never */
        long fail_at;  /* this call and those after it fail with error; 0 never */
        int error;
        bool once; /* only that one */
        long syncs;
        bool power_loss; /* a crash also loses what was written and not synced */
} faults;

typedef struct Unsynced {
        dev_t dev;
        ino_t ino;
        int fd;
        off_t synced;
        bool used;
} Unsynced;

static Unsynced unsynced[64];

static Unsynced *unsynced_find(int fd, bool make) {
        struct stat st;

        if (fstat(fd, &st) < 0)
                return NULL;
        for (size_t i = 0; i < 64; i++)
                if (unsynced[i].used && unsynced[i].ino == st.st_ino &&
                    unsynced[i].dev == st.st_dev)
                        return &unsynced[i];
        for (size_t i = 0; make && i < 64; i++)
                if (!unsynced[i].used) {
                        unsynced[i] = (Unsynced){ st.st_dev, st.st_ino, dup(fd), st.st_size, true };
                        return &unsynced[i];
                }
        return NULL;
}

static void unsynced_drop(int fd) {
        Unsynced *u = unsynced_find(fd, false);

        if (u) {
                close(u->fd);
                u->used = false;
        }
}

static void crash(void) {
        for (size_t i = 0; faults.power_loss && i < 64; i++)
                if (unsynced[i].used)
                        (void) syscall(SYS_ftruncate, unsynced[i].fd, unsynced[i].synced);
        _exit(0);
}

/* Whether the call should fail. */
static bool fault(void) {
        faults.calls++;
        if (faults.crash_at > 0 && faults.calls == faults.crash_at)
                crash();
        if (faults.fail_at > 0 &&
            (faults.once ? faults.calls == faults.fail_at : faults.calls >= faults.fail_at)) {
                errno = faults.error;
                return true;
        }
        return false;
}

ssize_t write(int fd, const void *data, size_t n) {
        if (fd <= 2)
                return syscall(SYS_write, fd, data, n);
        if (faults.power_loss)
                unsynced_find(fd, true);
        if (faults.crash_at > 0 && faults.calls + 1 == faults.crash_at && n > 1)
                (void) syscall(SYS_write, fd, data, n / 2);
        if (fault()) {
                if (n > 1 && errno == ENOSPC) { /* what fits is written */
                        (void) syscall(SYS_write, fd, data, n / 2);
                        errno = ENOSPC;
                }
                return -1;
        }
        return syscall(SYS_write, fd, data, n);
}

static int synced(int fd) {
        faults.syncs++;
        if (fault())
                return -1;
        if (faults.power_loss)
                unsynced_drop(fd);
        return 0;
}

int fdatasync(int fd) {
        return synced(fd);
}

int fsync(int fd) {
        return synced(fd);
}

int ftruncate(int fd, off_t length) {
        return fault() ? -1 : (int) syscall(SYS_ftruncate, fd, length);
}

int renameat(int fd, const char *from, int to_fd, const char *to) {
        return fault() ? -1 : (int) syscall(SYS_renameat2, fd, from, to_fd, to, 0);
}

int linkat(int fd, const char *from, int to_fd, const char *to, int flags) {
        return fault() ? -1 : (int) syscall(SYS_linkat, fd, from, to_fd, to, flags);
}

int unlinkat(int fd, const char *name, int flags) {
        return fault() ? -1 : (int) syscall(SYS_unlinkat, fd, name, flags);
}
