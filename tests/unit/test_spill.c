/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "model/spill.h"

#define NAME "queue"

static char directory[64], path[128];
static unsigned n_messages;

static void on_message(void *userdata, int level, const char *text) {
        n_messages++;
}

static Spill *open_spill(uint64_t max) {
        SpillConfig config = {
                .directory = directory, .name = NAME, .bytes_max = max, .message = on_message
        };
        Spill *s;

        assert_int_equal(spill_open(&config, &s), 0);
        return s;
}

static int setup(void **state) {
        n_messages = 0;
        g_strlcpy(directory, "/tmp/test-spill-XXXXXX", sizeof(directory));
        if (!mkdtemp(directory))
                return -1;
        g_snprintf(path, sizeof(path), "%s/" NAME, directory);
        return 0;
}

static int teardown(void **state) {
        g_autoptr(GDir) dir = g_dir_open(directory, 0, NULL);
        const char *name;

        while ((name = g_dir_read_name(dir))) {
                g_autofree char *file = g_build_filename(directory, name, NULL);

                unlink(file);
        }
        return rmdir(directory);
}

static int append(Spill *s, const char *text) {
        g_autoptr(GBytes) record = g_bytes_new(text, strlen(text));

        return spill_append(s, &record, 1);
}

static void assert_next(Spill *s, const char *text) {
        g_autoptr(GBytes) record = NULL;
        gsize n;

        assert_int_equal(spill_peek(s, &record), 0);
        n = g_bytes_get_size(record);
        assert_int_equal(n, strlen(text));
        assert_memory_equal(g_bytes_get_data(record, NULL), text, n);
        spill_pop(s);
}

static void assert_empty(Spill *s) {
        g_autoptr(GBytes) record = NULL;

        assert_int_equal(spill_peek(s, &record), -ENOENT);
        assert_int_equal(spill_count(s), 0);
        assert_int_equal(spill_bytes(s), 0);
}

static void test_first_in_first_out(void **state) {
        g_autoptr(Spill) s = open_spill(1000);

        assert_empty(s);
        assert_int_not_equal(access(path, F_OK), 0);
        assert_int_equal(append(s, "one"), 0);
        assert_int_equal(append(s, ""), 0);
        assert_int_equal(append(s, "three"), 0);
        assert_int_equal(spill_count(s), 3);
        assert_int_equal(spill_bytes(s), spill_needs(3) + spill_needs(0) + spill_needs(5));
        assert_next(s, "one");
        assert_next(s, "");
        assert_int_equal(append(s, "four"), 0);
        assert_next(s, "three");
        assert_next(s, "four");
        assert_empty(s);
        assert_int_not_equal(access(path, F_OK), 0); /* nothing waits, nothing lies about */
        assert_int_equal(append(s, "again"), 0);
        assert_next(s, "again");
}

static void test_is_there_again(void **state) {
        Spill *s = open_spill(1000);
        struct stat st;

        for (unsigned i = 0; i < 3; i++)
                assert_int_equal(append(s, "gone"), 0);
        assert_int_equal(append(s, "left"), 0);
        spill_pop(s);
        spill_pop(s);
        assert_int_equal(spill_sync(s), 0);
        spill_close(s);
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_mode & 0777, 0600);

        s = open_spill(1000);
        assert_int_equal(spill_count(s), 2);
        assert_next(s, "gone");
        assert_next(s, "left");
        assert_empty(s);
        spill_close(s);
        assert_int_equal(n_messages, 0);
}

static void test_limit(void **state) {
        g_autoptr(Spill) s = open_spill(100);
        g_autofree char *text = g_strnfill(42, 'x');
        struct stat st;

        assert_int_equal(append(s, text), 0);
        assert_int_equal(append(s, text), 0);
        assert_int_equal(spill_room(s), 0);
        assert_int_equal(append(s, ""), -ENOSPC);
        /* However long it goes on, the file stays small. */
        for (unsigned i = 0; i < 1000; i++) {
                assert_next(s, text);
                assert_int_equal(append(s, text), 0);
                assert_int_equal(stat(path, &st), 0);
                assert_true(st.st_size <= 250);
        }
        assert_int_equal(spill_count(s), 2);
}

static void count(void *userdata, GBytes *record) {
        (*(unsigned *) userdata)++;
}

static void test_foreach(void **state) {
        g_autoptr(Spill) s = open_spill(1000);
        unsigned n = 0;

        assert_int_equal(spill_foreach(s, count, &n), 0);
        assert_int_equal(n, 0);
        for (unsigned i = 0; i < 5; i++)
                assert_int_equal(append(s, "x"), 0);
        spill_pop(s);
        assert_int_equal(spill_foreach(s, count, &n), 0);
        assert_int_equal(n, 4);
}

static off_t file_size(void) {
        struct stat st;

        assert_int_equal(stat(path, &st), 0);
        return st.st_size;
}

/* Wherever writing was cut short, what was whole before is there, and writing goes on. */
static void test_torn_end(void **state) {
        Spill *s = open_spill(1000);
        off_t whole, size;

        assert_int_equal(append(s, "first"), 0);
        whole = file_size();
        assert_int_equal(append(s, "second"), 0);
        size = file_size();
        spill_close(s);
        for (off_t at = size - 1; at >= whole; at--) {
                assert_int_equal(truncate(path, at), 0);
                s = open_spill(1000);
                assert_int_equal(spill_count(s), 1);
                assert_int_equal(append(s, "third"), 0);
                assert_int_equal(spill_count(s), 2);
                spill_close(s);
        }
        s = open_spill(1000);
        assert_next(s, "first");
        assert_next(s, "third");
        spill_close(s);
        assert_int_equal(n_messages, 0);
}

/* Any byte changed: it opens, what stands before is there, and nothing that is not what was
 * written. */
static void test_damage(void **state) {
        static const char *const texts[] = { "first", "second", "third" };
        g_autofree char *good = NULL;
        Spill *s = open_spill(1000);
        gsize size;

        for (unsigned i = 0; i < 3; i++)
                assert_int_equal(append(s, texts[i]), 0);
        spill_close(s);
        assert_true(g_file_get_contents(path, &good, &size, NULL));
        for (gsize at = 0; at < size; at++) {
                unsigned n = 0;

                good[at] ^= 0x40;
                assert_true(g_file_set_contents(path, good, (gssize) size, NULL));
                good[at] ^= 0x40;
                s = open_spill(1000);
                while (spill_count(s) > 0) {
                        assert_true(n < 3);
                        assert_next(s, texts[n++]);
                }
                if (at >= 20)
                        assert_true(n >= (at - 20) / 14); /* those before it */
                spill_close(s);
        }
        assert_true(n_messages > 0);
        s = open_spill(1000);
        assert_empty(s);
        spill_close(s);
}

static void test_not_a_file(void **state) {
        SpillConfig config = { .directory = directory, .name = NAME, .bytes_max = 100 };
        Spill *s = NULL;

        assert_int_equal(symlink("/etc/passwd", path), 0);
        assert_int_equal(spill_open(&config, &s), -ELOOP);
        assert_int_equal(unlink(path), 0);
        assert_int_equal(mkfifo(path, 0600), 0);
        assert_int_equal(spill_open(&config, &s), -EINVAL);
        assert_int_equal(unlink(path), 0);
        config.directory = "/nonexistent";
        assert_int_equal(spill_open(&config, &s), -ENOENT);
        assert_null(s);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_first_in_first_out, setup, teardown),
                cmocka_unit_test_setup_teardown(test_is_there_again, setup, teardown),
                cmocka_unit_test_setup_teardown(test_limit, setup, teardown),
                cmocka_unit_test_setup_teardown(test_foreach, setup, teardown),
                cmocka_unit_test_setup_teardown(test_torn_end, setup, teardown),
                cmocka_unit_test_setup_teardown(test_damage, setup, teardown),
                cmocka_unit_test_setup_teardown(test_not_a_file, setup, teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
