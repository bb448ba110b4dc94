/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

#include "ctl/handler.h"

typedef struct Run {
        Loop *loop;
        char *output, *errors;
        size_t n_output, n_errors;
        int status;
        bool timed_out, too_long;
} Run;

static char *copy(const GString *s) {
        char *bytes = g_malloc(s->len + 1);

        memcpy(bytes, s->str, s->len + 1);
        return bytes;
}

static void on_done(void *userdata, const ChildResult *result) {
        Run *r = userdata;

        r->status = result->status;
        r->timed_out = result->timed_out;
        r->too_long = result->too_long;
        r->n_output = result->output->len;
        r->n_errors = result->errors->len;
        r->output = copy(result->output);
        r->errors = copy(result->errors);
        loop_quit(r->loop, 0);
}

static void clear(Run *r) {
        g_free(r->output);
        g_free(r->errors);
}

static Run run(const char *script, GBytes *input, uint64_t timeout_usec) {
        char *argv[] = { (char *) "sh", (char *) "-c", (char *) script, NULL };
        g_auto(GStrv) environment = g_get_environ();
        g_autoptr(GBytes) none = g_bytes_new(NULL, 0);
        g_autoptr(Loop) loop = NULL;
        g_autoptr(Child) child = NULL;
        Run r = { 0 };

        assert_int_equal(loop_new(&loop), 0);
        r.loop = loop;
        assert_int_equal(child_new(loop, argv, environment, input ?: none, timeout_usec, on_done,
                                   &r, &child),
                         0);
        assert_int_equal(loop_run(loop), 0);
        return r;
}

static void test_input_and_output(void **state) {
        g_autofree char *bytes = g_malloc(CHILD_OUTPUT_MAX);
        g_autoptr(GBytes) input = NULL;
        Run r;

        for (size_t i = 0; i < CHILD_OUTPUT_MAX; i++)
                bytes[i] = (char) (i % 251);
        input = g_bytes_new(bytes, CHILD_OUTPUT_MAX);
        r = run("cat; echo done >&2; exit 3", input, 0);
        assert_int_equal(WEXITSTATUS(r.status), 3);
        assert_false(r.too_long);
        assert_int_equal(r.n_output, CHILD_OUTPUT_MAX);
        assert_memory_equal(r.output, bytes, CHILD_OUTPUT_MAX);
        assert_string_equal(r.errors, "done\n");
        clear(&r);
}

static void test_input_not_read(void **state) {
        g_autofree char *bytes = g_malloc0(1 << 20);
        g_autoptr(GBytes) input = g_bytes_new(bytes, 1 << 20);
        Run r = run("exit 0", input, 0);

        assert_int_equal(r.status, 0);
        clear(&r);
}

static void test_limits(void **state) {
        Run r = run("head -c 70000 /dev/zero; head -c 70000 /dev/zero >&2", NULL, 0);

        assert_true(r.too_long);
        assert_int_equal(r.status, 0);
        assert_int_equal(r.n_output, CHILD_OUTPUT_MAX);
        assert_int_equal(r.n_errors, CHILD_ERRORS_MAX);
        clear(&r);
}

/* The whole group dies, or the loop would wait for what the command has started. */
static void test_timeout(void **state) {
        Run r = run("sleep 30 & sleep 30", NULL, 50 * USEC_PER_MSEC);

        assert_true(r.timed_out);
        assert_true(WIFSIGNALED(r.status));
        assert_int_equal(WTERMSIG(r.status), SIGKILL);
        clear(&r);
}

static void test_background_keeps_output_open(void **state) {
        gint64 begun = g_get_monotonic_time();
        Run r = run("sleep 3 & echo early", NULL, 0);

        assert_true(g_get_monotonic_time() - begun < 2500000);
        assert_string_equal(r.output, "early\n");
        clear(&r);
}

static void test_missing_command(void **state) {
        char *argv[] = { (char *) "/nonexistent", NULL }, *environment[] = { NULL };
        g_autoptr(GBytes) none = g_bytes_new(NULL, 0);
        g_autoptr(Loop) loop = NULL;
        Child *child = NULL;
        Run r = { 0 };

        assert_int_equal(loop_new(&loop), 0);
        assert_int_equal(child_new(loop, argv, environment, none, 0, on_done, &r, &child), -ENOENT);
        assert_null(child);
}

static void test_error_names(void **state) {
        static const struct {
                int code;
                const char *read, *write;
        } cases[] = {
                { 0, NULL, NULL },
                { 1, SD_BUS_ERROR_FAILED, BUS_ERROR("InvalidValue") },
                { 65, BUS_ERROR("InvalidValue"), BUS_ERROR("InvalidValue") },
                { 66, BUS_ERROR("NotFound"), BUS_ERROR("NotFound") },
                { 75, BUS_ERROR("Busy"), BUS_ERROR("Busy") },
                { 77, BUS_ERROR("AccessDenied"), BUS_ERROR("AccessDenied") },
                { 78, BUS_ERROR("NotSupported"), BUS_ERROR("NotSupported") },
        };

        for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
                int status = cases[i].code << 8; /* as waitpid() tells an exit */
                const char *read = handler_error_name(status, false);
                const char *write = handler_error_name(status, true);

                assert_int_equal(g_strcmp0(read, cases[i].read), 0);
                assert_int_equal(g_strcmp0(write, cases[i].write), 0);
        }
        assert_string_equal(handler_error_name(SIGKILL, true), SD_BUS_ERROR_FAILED);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_input_and_output),
                cmocka_unit_test(test_input_not_read),
                cmocka_unit_test(test_limits),
                cmocka_unit_test(test_timeout),
                cmocka_unit_test(test_background_keeps_output_open),
                cmocka_unit_test(test_missing_command),
                cmocka_unit_test(test_error_names),
        };

        signal(SIGPIPE, SIG_IGN);
        return cmocka_run_group_tests(tests, NULL, NULL);
}
