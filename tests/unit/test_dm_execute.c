/* SPDX-License-Identifier: Apache-2.0 */
#include "dm_fixture.h"

#include <errno.h>

static void test_codes(void **state) {
        static const struct {
                const char *path;
                int format;
                const char *body;
                uint8_t code;
        } cases[] = {
                { "/33000/0/9", -1, NULL, CODE(2, 4) },
                { "/33000/0/9", 0, "0='a',1", CODE(2, 4) },
                { "/33000/0/9", -1, "0='a',1", CODE(2, 4) },
                { "/33000/0/9", 0, "a", CODE(4, 0) },
                { "/33000/0/9", 0, "0='a' ", CODE(4, 0) },
                { "/33000/0/9", 42, "0='a'", CODE(4, 15) },
                { "/33000/0/9", 4711, "0='a'", CODE(4, 15) },
                { "/33000/0/4", -1, NULL, CODE(4, 5) }, /* nobody handles it */
                { "/3/0/4", -1, NULL, CODE(4, 5) },
                { "/33000/0/1", -1, NULL, CODE(4, 5) }, /* not executable */
                { "/33000/0/5/1", -1, NULL, CODE(4, 5) },
                { "/33000/0/9/0", -1, NULL, CODE(4, 5) },
                { "/33000/1/9", -1, NULL, CODE(4, 4) },
                { "/33000/0/4711", -1, NULL, CODE(4, 4) },
                { "/4711/0/1", -1, NULL, CODE(4, 4) },
                { "/0/0/4", -1, NULL, CODE(4, 1) },
        };
        Fixture *f = *state;

        for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
                uint8_t code = post(f, cases[i].path, cases[i].format, cases[i].body);

                if (code != cases[i].code)
                        fail_msg("POST %s (%d): %u.%02u", cases[i].path, cases[i].format, code >> 5,
                                 code & 31);
        }
        assert_string_equal(f->executed->str,
                            "/33000/0/9 (0) for 1; /33000/0/9 (2) for 1; /33000/0/9 (2) for 1; ");
        assert_int_equal(f->apps->calls->len, 0);
}

static void test_app(void **state) {
        static const struct {
                int error;
                uint8_t code;
        } cases[] = {
                { 0, CODE(2, 4) },          { -ENOENT, CODE(4, 4) },       { -EPERM, CODE(4, 5) },
                { -EINVAL, CODE(4, 0) },    { -EACCES, CODE(4, 1) },       { -EBUSY, CODE(5, 3) },
                { -ETIMEDOUT, CODE(5, 3) }, { -EHOSTUNREACH, CODE(5, 3) }, { -ENOTSUP, CODE(5, 1) },
                { -EIO, CODE(5, 0) },
        };
        Fixture *f = *state;

        fake_apps_claim(f->apps, "/33000/0", APP_EXECUTE);
        for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
                assert_int_equal(post(f, "/33000/0/4", 0, "2='x',5"), 0);
                assert_string_equal(fake_apps_last(f->apps)->what, "/33000/0/4 2='x',5 (2)");
                assert_int_equal(fake_apps_last(f->apps)->ssid, 1);
                fake_app_answer(fake_apps_last(f->apps), cases[i].error, NULL, NULL, f->now);
                assert_int_equal(fake_last_answer(f->transport)->code, cases[i].code);
        }
        /* What the daemon does itself stays its own. */
        assert_int_equal(post(f, "/33000/0/9", -1, NULL), CODE(2, 4));
}

static void test_limit(void **state) {
        Fixture *f = *state;

        fake_apps_claim(f->apps, "/33000/0", APP_EXECUTE);
        for (int i = 0; i < 3; i++)
                assert_int_equal(post(f, "/33000/0/4", -1, NULL), 0);
        assert_int_equal(post(f, "/33000/0/4", -1, NULL), CODE(5, 3));
        assert_int_equal(f->apps->calls->len, 3);
        fake_app_answer(f->apps->calls->pdata[1], 0, NULL, NULL, f->now);
        assert_int_equal(post(f, "/33000/0/4", -1, NULL), 0);
        /* Two of them are still open when everything ends: each gets its answer. */
}

typedef struct Local {
        int error;
        unsigned n;
} Local;

static void on_local(void *userdata, int error, const char *text, const RecordList *records,
                     uint64_t now_usec) {
        *(Local *) userdata = (Local){ .error = error, .n = ((Local *) userdata)->n + 1 };
}

static void test_local(void **state) {
        Fixture *f = *state;
        Local l = { .n = 0 };
        const Path act = PATH_OIR(33000, 0, 4), reset = PATH_OIR(33000, 0, 9),
                   set = PATH_OIR(33000, 0, 1);

        assert_int_equal(dm_execute(f->dm, &act, "", on_local, &l, f->now), -ENOSYS);
        assert_int_equal(dm_execute(f->dm, &set, "", on_local, &l, f->now), -EPERM);
        assert_int_equal(dm_execute(f->dm, &PATH_OIR(33000, 5, 4), "", on_local, &l, f->now),
                         -ENOENT);
        assert_int_equal(dm_execute(f->dm, &reset, "x", on_local, &l, f->now), -EINVAL);
        assert_int_equal(dm_execute(f->dm, &reset, "1", on_local, &l, f->now), 0);
        assert_string_equal(f->executed->str, "/33000/0/9 (1) for 0; ");
        assert_int_equal(l.n, 0);
        pass(f, 0);
        assert_int_equal(l.n, 1);
        assert_int_equal(l.error, 0);

        fake_apps_claim(f->apps, "/33000/0", APP_EXECUTE);
        assert_int_equal(dm_execute(f->dm, &act, NULL, on_local, &l, f->now), 0);
        assert_int_equal(fake_apps_last(f->apps)->ssid, 0);
        fake_app_answer(fake_apps_last(f->apps), -EBUSY, NULL, NULL, f->now);
        assert_int_equal(l.n, 2);
        assert_int_equal(l.error, -EBUSY);

        assert_int_equal(dm_execute(f->dm, &act, NULL, on_local, &l, f->now), 0);
        f->dm = dm_free(f->dm);
        assert_int_equal(l.n, 3);
        assert_int_equal(l.error, -ECANCELED);
        assert_true(fake_apps_last(f->apps)->cancelled);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                DM_TEST(test_codes),
                DM_TEST(test_app),
                DM_TEST(test_limit),
                DM_TEST(test_local),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
