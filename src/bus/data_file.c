/* SPDX-License-Identifier: Apache-2.0 */
/* Big values by file descriptor: GetFd, SetFd. */
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bus/data_edit.h"
#include "util/cleanup.h"

#define FD_BYTES_MAX VALUE_LENGTH_MAX

/* A memfd must be sealed against writing and shrinking, or its owner could change it under us; a
 * regular file is read once, now. */
static int read_fd(int fd, Value *ret, sd_bus_error *error) {
        g_autofree char *data = NULL;
        struct stat st;
        size_t n = 0;
        int seals;

        if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
                return bus_error_named(error, ERROR_PREFIX "InvalidValue",
                                       "Neither a sealed memfd nor a regular file");
        seals = fcntl(fd, F_GET_SEALS);
        if (seals >= 0 &&
            (seals & (F_SEAL_WRITE | F_SEAL_SHRINK)) != (F_SEAL_WRITE | F_SEAL_SHRINK) &&
            st.st_nlink == 0)
                return bus_error_named(error, ERROR_PREFIX "InvalidValue",
                                       "The memfd is not sealed (F_SEAL_WRITE | F_SEAL_SHRINK)");
        if (st.st_size > FD_BYTES_MAX)
                return bus_error(error, -E2BIG, "%jd bytes, at most %u are taken",
                                 (intmax_t) st.st_size, FD_BYTES_MAX);
        data = g_malloc((gsize) st.st_size + 1);
        while (n < (size_t) st.st_size) {
                ssize_t k = pread(fd, data + n, (size_t) st.st_size - n, (off_t) n);

                if (k < 0 && errno == EINTR)
                        continue;
                if (k < 0)
                        return bus_error(error, -errno, "Cannot read the file: %m");
                if (k == 0)
                        break;
                n += (size_t) k;
        }
        *ret = value_text(VALUE_OPAQUE, data, n);
        return 0;
}

int method_set_fd(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Bus *b = userdata;
        g_autoptr(Edit) e = edit_new(b, m);
        g_auto(Value) value = VALUE_INIT;
        Path p;
        int fd, r;

        r = path_argument(m, &p, 3, 4, error);
        if (r >= 0)
                r = check_access(m, &p, true, error);
        if (r >= 0)
                r = sd_bus_message_read_basic(m, 'h', &fd);
        if (r >= 0)
                r = options_read(m, NULL, error);
        if (r >= 0)
                r = read_fd(fd, &value, error);
        if (r < 0)
                return r;
        e->reply_has_bytes = true;
        e->reply_bytes = value.length;
        op_list_add(&e->ops, OP_SET, &p, &value);
        return edit_run(g_steal_pointer(&e), error);
}

static int make_memfd(const Value *v, int *ret) {
        autoclose int fd = memfd_create("lwm2md-value", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        size_t n = 0;

        if (fd < 0)
                return -errno;
        while (n < v->length) {
                ssize_t k = write(fd, v->data + n, v->length - n);

                if (k < 0)
                        return -errno;
                n += (size_t) k;
        }
        if (lseek(fd, 0, SEEK_SET) < 0 ||
            fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
                return -errno;
        *ret = steal_fd(&fd);
        return 0;
}

int method_get_fd(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Bus *b = userdata;
        Tree *tree = client_tree(b->client);
        autoclose int fd = -1;
        const Value *v;
        Path p;
        int r;

        r = path_argument(m, &p, 3, 4, error);
        if (r >= 0)
                r = check_access(m, &p, false, error);
        if (r >= 0)
                r = options_read(m, NULL, error);
        if (r < 0)
                return r;
        r = tree_get(tree, &p, &v);
        if (r < 0)
                return data_not_found(tree, &p, error);
        if (v->type != VALUE_OPAQUE && v->type != VALUE_STRING && v->type != VALUE_CORELNK)
                return bus_error(error, -EINVAL,
                                 "%s: only text and opaque values come as a file (use Get)",
                                 PATH_TEXT(&p));
        r = make_memfd(v, &fd);
        if (r < 0)
                return bus_error(error, r, "%s: %m", PATH_TEXT(&p));
        return sd_bus_reply_method_return(m, "h", fd);
}
