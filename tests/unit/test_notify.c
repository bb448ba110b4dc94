/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <glib.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "daemon/notify.h"
#include "util/cleanup.h"

static void receive(const char *name, bool abstract) {
        struct sockaddr_un a = { .sun_family = AF_UNIX };
        autoclose int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        char buffer[64];
        ssize_t n;

        g_strlcpy(a.sun_path, name, sizeof(a.sun_path));
        if (abstract)
                a.sun_path[0] = '\0';
        assert_int_equal(bind(fd, (struct sockaddr *) &a,
                              (socklen_t) (offsetof(struct sockaddr_un, sun_path) + strlen(name) +
                                           !abstract)),
                         0);
        g_setenv("NOTIFY_SOCKET", name, TRUE);
        assert_int_equal(notify_state("READY=1"), 1);
        n = recv(fd, buffer, sizeof(buffer), MSG_DONTWAIT);
        assert_int_equal(n, 7);
        assert_memory_equal(buffer, "READY=1", 7);
}

static void test_sockets(void **state) {
        g_autofree char *folder = g_dir_make_tmp("lwm2md-notify-XXXXXX", NULL);
        g_autofree char *path = g_build_filename(folder, "socket", NULL);
        g_autofree char *abstract = g_strdup_printf("@lwm2md-test-%d", getpid());

        g_unsetenv("NOTIFY_SOCKET");
        assert_int_equal(notify_state("READY=1"), 0);
        receive(path, false);
        receive(abstract, true);
        assert_int_equal(notify_state("READY=1"), -ECONNREFUSED); /* bound no more */
        g_setenv("NOTIFY_SOCKET", "relative", TRUE);
        assert_int_equal(notify_state("READY=1"), -EINVAL);
        unlink(path);
        rmdir(folder);
}

static void test_watchdog(void **state) {
        char pid[32];

        g_unsetenv("WATCHDOG_USEC");
        assert_true(notify_watchdog_usec() == 0);
        g_setenv("WATCHDOG_USEC", "30000000", TRUE);
        assert_true(notify_watchdog_usec() == 30000000);
        g_setenv("WATCHDOG_PID", "1", TRUE);
        assert_true(notify_watchdog_usec() == 0);
        snprintf(pid, sizeof(pid), "%d", getpid());
        g_setenv("WATCHDOG_PID", pid, TRUE);
        assert_true(notify_watchdog_usec() == 30000000);
        g_setenv("WATCHDOG_USEC", "soon", TRUE);
        assert_true(notify_watchdog_usec() == 0);
}

int main(void) {
        const struct CMUnitTest tests[] = { cmocka_unit_test(test_sockets),
                                            cmocka_unit_test(test_watchdog) };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
