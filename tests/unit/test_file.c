/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <glib.h>
#include <stdlib.h>
#include <string.h>

#include "util/file.h"

#include "faults.h"

typedef struct Fixture {
        char *dir;
        int fd;
} Fixture;

static int setup(void **state) {
        Fixture *f = g_new0(Fixture, 1);

        memset(&faults, 0, sizeof(faults));
        f->dir = g_dir_make_tmp("file-XXXXXX", NULL);
        f->fd = open(f->dir, O_RDONLY | O_DIRECTORY);
        *state = f;
        return 0;
}

static int teardown(void **state) {
        Fixture *f = *state;
        GDir *dir = g_dir_open(f->dir, 0, NULL);
        const char *name;

        memset(&faults, 0, sizeof(faults));
        while ((name = g_dir_read_name(dir)))
                if (unlinkat(f->fd, name, 0) < 0)
                        unlinkat(f->fd, name, AT_REMOVEDIR);
        g_dir_close(dir);
        close(f->fd);
        rmdir(f->dir);
        g_free(f->dir);
        g_free(f);
        return 0;
}

static void assert_content(Fixture *f, const char *name, const char *expected) {
        uint8_t *data;
        bool was_open;
        size_t n;

        assert_int_equal(file_read_at(f->fd, name, 100, &data, &n, &was_open), 0);
        assert_int_equal(n, strlen(expected));
        assert_memory_equal(data, expected, n);
        assert_false(was_open);
        g_free(data);
}

static int replace(Fixture *f, const char *text, bool keep_old) {
        return file_replace_at(f->fd, "x", text, strlen(text), keep_old);
}

static void test_replace(void **state) {
        Fixture *f = *state;
        struct stat st;

        assert_int_equal(replace(f, "one", true), 0);
        assert_content(f, "x", "one");
        assert_int_equal(faccessat(f->fd, "x.old", F_OK, 0), -1);
        assert_int_equal(replace(f, "two", true), 0);
        assert_int_equal(replace(f, "", true), 0);
        assert_content(f, "x", "");
        assert_content(f, "x.old", "two");
        assert_int_equal(replace(f, "three", false), 0);
        assert_content(f, "x.old", "two");
        assert_int_equal(fstatat(f->fd, "x", &st, 0), 0);
        assert_int_equal(st.st_mode & 07777, 0600);
        assert_int_equal(faccessat(f->fd, "x.tmp", F_OK, 0), -1);
}

/* Whatever call fails, the content is the former, or the new one with its success told. */
static void test_replace_fails(void **state) {
        static const int errors[] = { ENOSPC, EIO, EROFS };
        Fixture *f = *state;
        long at;
        int r = -1;

        assert_int_equal(replace(f, "one", true), 0);
        for (at = 1; r < 0; at++) {
                faults.calls = 0;
                faults.fail_at = at;
                faults.error = errors[at % 3];
                r = replace(f, "two", true);
                faults.fail_at = 0;
                if (r < 0) {
                        assert_int_equal(r, -errors[at % 3]);
                        assert_content(f, "x", "one");
                }
        }
        assert_true(at > 6);
        assert_content(f, "x", "two");
}

/* Where there are no hard links the former one is moved. */
static void test_no_links(void **state) {
        Fixture *f = *state;

        assert_int_equal(replace(f, "one", true), 0);
        faults.once = true;
        faults.calls = 0;
        faults.fail_at = 5; /* unlink, write, fsync, unlink of the former, link */
        faults.error = EOPNOTSUPP;
        assert_int_equal(replace(f, "two", true), 0);
        assert_int_equal(faults.calls, 7);
        assert_content(f, "x", "two");
        assert_content(f, "x.old", "one");
}

static void test_read_errors(void **state) {
        Fixture *f = *state;
        uint8_t *data = NULL;
        bool was_open = false;
        size_t n;

        assert_int_equal(file_read_at(f->fd, "x", 3, &data, &n, &was_open), -ENOENT);
        assert_int_equal(replace(f, "1234", false), 0);
        assert_int_equal(file_read_at(f->fd, "x", 3, &data, &n, &was_open), -EFBIG);
        assert_int_equal(symlinkat("x", f->fd, "link"), 0);
        assert_int_equal(file_read_at(f->fd, "link", 9, &data, &n, &was_open), -EINVAL);
        assert_int_equal(mkfifoat(f->fd, "fifo", 0600), 0);
        assert_int_equal(file_read_at(f->fd, "fifo", 9, &data, &n, &was_open), -EINVAL);
        assert_int_equal(mkdirat(f->fd, "dir", 0700), 0);
        assert_int_equal(file_read_at(f->fd, "dir", 9, &data, &n, &was_open), -EINVAL);
        if (geteuid() == 0) {
                assert_int_equal(fchownat(f->fd, "x", 12345, 12345, 0), 0);
                assert_int_equal(file_read_at(f->fd, "x", 9, &data, &n, &was_open), -EPERM);
                assert_int_equal(fchownat(f->fd, "x", 0, 0, 0), 0);
        }
        assert_null(data);
        assert_int_equal(fchmodat(f->fd, "x", 0640, 0), 0);
        assert_int_equal(file_read_at(f->fd, "x", 4, &data, &n, &was_open), 0);
        assert_true(was_open);
        g_free(data);
        assert_content(f, "x", "1234");
}

static void test_set_aside(void **state) {
        Fixture *f = *state;
        char text[] = "0";

        for (int i = 0; i < 7; i++) {
                text[0] = (char) ('0' + i);
                assert_int_equal(replace(f, text, false), 0);
                assert_int_equal(file_set_aside_at(f->fd, "x"), i % 5); /* the oldest goes */
                usleep(20000); /* the clock of files is coarse */
        }
        assert_content(f, "x.bad-1", "6");
        assert_content(f, "x.bad-2", "2");
        assert_int_equal(file_set_aside_at(f->fd, "x"), -ENOENT);
}

static void test_list(void **state) {
        static const char *const names[] = {
                "b.xml", "a.xml", ".c.xml", "d.xmlx", "x.xml.d", "xml"
        };
        g_autoptr(GPtrArray) found = g_ptr_array_new_with_free_func(g_free);
        Fixture *f = *state;
        g_autofree char *none = g_build_filename(f->dir, "none", NULL),
                        *file = g_build_filename(f->dir, "a.xml", NULL);

        for (size_t i = 0; i < G_N_ELEMENTS(names); i++)
                close(openat(f->fd, names[i], O_CREAT | O_WRONLY, 0600));
        assert_int_equal(file_list(f->dir, ".xml", found), 0);
        assert_int_equal(found->len, 2);
        assert_string_equal(found->pdata[0], "a.xml");
        assert_string_equal(found->pdata[1], "b.xml");
        assert_int_equal(file_list(none, ".xml", found), -ENOENT);
        assert_int_equal(file_list(file, ".xml", found), -ENOTDIR);
        assert_int_equal(found->len, 2);
}

int main(void) {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        const struct CMUnitTest tests[] = {
                T(test_list),     T(test_replace),     T(test_replace_fails),
                T(test_no_links), T(test_read_errors), T(test_set_aside),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
