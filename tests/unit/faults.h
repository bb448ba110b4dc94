/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The system calls by which the store writes, with faults: they take the place of libc's in the
 * test program. Syncing is only counted unless asked otherwise, so that thousands of runs take
 * seconds. */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
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
        /* And what was done to a folder that was not synced: 1 all of it, 2 all but the journal,
         * for nothing promises an order. */
        int names_lost;
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

/* What was done to a folder since it was last synced, to be undone by a loss of power. */
typedef struct Entry {
        int dirfd;
        char name[128], from[128]; /* from: what a rename took */
        int backup;                /* of what name was before; -1 nothing */
} Entry;

static Entry entries[64];
static int n_entries, n_backups;

static const char *backup_name(int i, char buffer[static 32]) {
        snprintf(buffer, 32, ".before-%d", i);
        return buffer;
}

static void entry_note(int dirfd, const char *name, const char *from) {
        char backup[32];
        Entry *e = &entries[n_entries];

        if (!faults.power_loss || n_entries == 64)
                return;
        e->dirfd = dirfd;
        snprintf(e->name, sizeof(e->name), "%s", name);
        snprintf(e->from, sizeof(e->from), "%s", from ? from : "");
        e->backup = n_backups++;
        if (syscall(SYS_linkat, dirfd, name, dirfd, backup_name(e->backup, backup), 0) < 0)
                e->backup = -1;
        n_entries++;
}

static void entries_undo(void) {
        while (n_entries > 0) {
                const Entry *e = &entries[--n_entries];
                char backup[32];

                if (faults.names_lost == 2 && strncmp(e->name, "journal", 7) == 0)
                        continue;
                if (*e->from)
                        (void) syscall(SYS_renameat2, e->dirfd, e->name, e->dirfd, e->from, 0);
                else
                        (void) syscall(SYS_unlinkat, e->dirfd, e->name, 0);
                if (e->backup >= 0)
                        (void) syscall(SYS_renameat2, e->dirfd, backup_name(e->backup, backup),
                                       e->dirfd, e->name, 0);
        }
}

static void entries_keep(void) {
        while (n_entries > 0) {
                const Entry *e = &entries[--n_entries];
                char backup[32];

                if (e->backup >= 0)
                        (void) syscall(SYS_unlinkat, e->dirfd, backup_name(e->backup, backup), 0);
        }
}

static void crash(void) {
        if (faults.names_lost)
                entries_undo();
        else
                entries_keep();
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
        if (faults.power_loss) {
                struct stat st;

                unsynced_drop(fd);
                if (fstat(fd, &st) == 0 && S_ISDIR(st.st_mode))
                        entries_keep();
        }
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
        if (fault())
                return -1;
        entry_note(fd, to, from);
        return (int) syscall(SYS_renameat2, fd, from, to_fd, to, 0);
}

int linkat(int fd, const char *from, int to_fd, const char *to, int flags) {
        if (fault())
                return -1;
        entry_note(fd, to, NULL);
        return (int) syscall(SYS_linkat, fd, from, to_fd, to, flags);
}

int unlinkat(int fd, const char *name, int flags) {
        if (fault())
                return -1;
        entry_note(fd, name, NULL);
        return (int) syscall(SYS_unlinkat, fd, name, flags);
}
