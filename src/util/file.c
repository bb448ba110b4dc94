/* SPDX-License-Identifier: Apache-2.0 */
#include "util/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/cleanup.h"

#define N_BAD_MAX 5

typedef char FileName[FILE_NAME_LENGTH_MAX + 16];

static void with_suffix(const char *name, const char *suffix, FileName ret) {
        g_snprintf(ret, sizeof(FileName), "%s%s", name, suffix);
}

static int check_file(int fd, uint64_t max, struct stat *st, bool *ret_was_open) {
        if (fstat(fd, st) < 0)
                return -errno;
        if (!S_ISREG(st->st_mode))
                return -EINVAL;
        if (st->st_uid != geteuid() && st->st_uid != 0)
                return -EPERM;
        if ((uint64_t) st->st_size > max)
                return -EFBIG;
        *ret_was_open = (st->st_mode & 077) != 0;
        if (*ret_was_open && fchmod(fd, 0600) < 0)
                return -errno;
        return 0;
}

static int read_all(int fd, uint8_t *data, size_t n, size_t *ret_n) {
        size_t done = 0;

        while (done < n) {
                ssize_t k = read(fd, data + done, n - done);

                if (k < 0 && errno == EINTR)
                        continue;
                if (k < 0)
                        return -errno;
                if (k == 0)
                        break;
                done += (size_t) k;
        }
        *ret_n = done;
        return 0;
}

int file_read_at(int dirfd, const char *name, uint64_t max, uint8_t **ret, size_t *ret_n,
                 bool *ret_was_open) {
        autoclose int fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
        uint8_t *data;
        struct stat st;
        int r;

        if (fd < 0)
                return errno == ELOOP ? -EINVAL : -errno;
        r = check_file(fd, max, &st, ret_was_open);
        if (r < 0)
                return r;
        data = g_try_malloc((size_t) st.st_size + 1);
        if (!data)
                return -ENOMEM;
        r = read_all(fd, data, (size_t) st.st_size, ret_n);
        if (r < 0) {
                explicit_bzero(data, (size_t) st.st_size);
                g_free(data);
                return r;
        }
        *ret = data;
        return 0;
}

int file_write_all(int fd, const void *data, size_t n) {
        const char *p = data;

        while (n > 0) {
                ssize_t k = write(fd, p, n);

                if (k < 0 && errno == EINTR)
                        continue;
                if (k < 0)
                        return -errno;
                if (k == 0)
                        return -EIO;
                p += k;
                n -= (size_t) k;
        }
        return 0;
}

/* A second name is best, for then NAME never goes away; not every file system has them. */
static int keep_former(int dirfd, const char *name) {
        FileName old;

        with_suffix(name, ".old", old);
        if (faccessat(dirfd, name, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
                return 0; /* there is none, and an older one is all we have */
        if (unlinkat(dirfd, old, 0) < 0 && errno != ENOENT)
                return -errno;
        if (linkat(dirfd, name, dirfd, old, 0) >= 0)
                return 0;
        if (errno != EPERM && errno != EOPNOTSUPP && errno != ENOSYS && errno != EMLINK)
                return -errno;
        return renameat(dirfd, name, dirfd, old) < 0 ? -errno : 0;
}

static int write_temporary(int dirfd, const char *name, const void *data, size_t n) {
        autoclose int fd = -1;
        int r;

        if (unlinkat(dirfd, name, 0) < 0 && errno != ENOENT)
                return -errno;
        fd = openat(dirfd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (fd < 0)
                return -errno;
        r = file_write_all(fd, data, n);
        if (r < 0)
                return r;
        return fsync(fd) < 0 ? -errno : 0;
}

int file_replace_at(int dirfd, const char *name, const void *data, size_t n, bool keep_old) {
        FileName temporary;
        int r;

        with_suffix(name, ".tmp", temporary);
        r = write_temporary(dirfd, temporary, data, n);
        if (r >= 0 && keep_old)
                r = keep_former(dirfd, name);
        if (r >= 0 && renameat(dirfd, temporary, dirfd, name) < 0)
                r = -errno;
        if (r < 0)
                (void) unlinkat(dirfd, temporary, 0);
        return r;
}

int file_set_aside_at(int dirfd, const char *name) {
        struct timespec oldest = { 0 };
        FileName bad;
        int number = -1;

        for (int i = 0; i < N_BAD_MAX; i++) {
                char suffix[16];
                struct stat st;

                g_snprintf(suffix, sizeof(suffix), ".bad-%d", i);
                with_suffix(name, suffix, bad);
                if (fstatat(dirfd, bad, &st, AT_SYMLINK_NOFOLLOW) < 0) {
                        number = i;
                        break;
                }
                if (number < 0 || st.st_ctim.tv_sec < oldest.tv_sec ||
                    (st.st_ctim.tv_sec == oldest.tv_sec && st.st_ctim.tv_nsec < oldest.tv_nsec)) {
                        number = i;
                        oldest = st.st_ctim;
                }
        }
        g_snprintf(bad, sizeof(bad), "%s.bad-%d", name, number);
        return renameat(dirfd, name, dirfd, bad) < 0 ? -errno : number;
}

int file_sync_directory(int dirfd) {
        return fsync(dirfd) < 0 ? -errno : 0;
}

static int compare_names(const void *a, const void *b) {
        return strcmp(*(char *const *) a, *(char *const *) b);
}

/* GDir would make ready a conversion of texts for each folder that is not there. */
int file_list(const char *folder, const char *suffix, GPtrArray *ret) {
        DIR *dir = opendir(folder);
        const struct dirent *entry;

        if (!dir)
                return -errno;
        while ((entry = readdir(dir)))
                if (entry->d_name[0] != '.' && g_str_has_suffix(entry->d_name, suffix))
                        g_ptr_array_add(ret, g_strdup(entry->d_name));
        closedir(dir);
        g_ptr_array_sort(ret, compare_names);
        return 0;
}
