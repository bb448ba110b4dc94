/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "util/cleanup.h"
#include "util/log.h"

/* Runs log_full() with stderr in a file and returns what was written. */
static char *capture(int level, int error, const LogFields *fields, const char *text) {
        char name[] = "/tmp/lwm2md-log-XXXXXX";
        autoclose int fd = mkstemp(name), old = dup(STDERR_FILENO);
        char *content;

        dup2(fd, STDERR_FILENO);
        assert_int_equal(log_full(level, error, fields, "%s: %m", text),
                         error < 0 ? error : -error);
        fflush(stderr);
        dup2(old, STDERR_FILENO);
        assert_true(g_file_get_contents(name, &content, NULL, NULL));
        unlink(name);
        return content;
}

static void test_levels(void **state) {
        int level;

        assert_int_equal(log_level_parse("debug", &level), 0);
        assert_int_equal(level, LOG_LEVEL_DEBUG);
        assert_int_equal(log_level_parse("err", &level), 0);
        assert_string_equal(log_level_name(level), "error");
        assert_int_equal(log_level_parse("loud", &level), -EINVAL);
        log_set_level(LOG_LEVEL_WARNING);
        assert_int_equal(log_info("not seen"), 0);
        assert_int_equal(log_at(LOG_LEVEL_INFO, -ENOENT, NULL, "not seen"), -ENOENT);
        assert_int_equal(log_at(LOG_LEVEL_INFO, ENOENT, NULL, "not seen"), -ENOENT);
        log_set_level(LOG_LEVEL_INFO);
}

static void test_one_message_is_one_line(void **state) {
        g_autofree char *a =
                capture(LOG_LEVEL_ERROR, ENOENT, &(LogFields){ .ssid = 7 }, "a\nerror: forged");
        g_autofree char *b = capture(LOG_LEVEL_DEBUG, 0, NULL, "not seen");

        assert_string_equal(a, "error: server 7: a error: forged: No such file or directory\n");
        assert_string_equal(b, "");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_levels),
                cmocka_unit_test(test_one_message_is_one_line),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
