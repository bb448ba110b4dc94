/* SPDX-License-Identifier: Apache-2.0 */
#include "dm_fixture.h"

#include <errno.h>
#include <string.h>

static void add(OpList *l, OpKind kind, const char *path, Value v) {
        Path p;

        assert_int_equal(path_parse(path, &p), 0);
        op_list_add(l, kind, &p, &v);
}

static Value integer(int64_t i) {
        return (Value){ .type = VALUE_INTEGER, .i = i };
}

static void test_names(void **state) {
        static const char *const names[] = {
                "create", "delete", "set", "unset", "replace", "expect"
        };
        OpKind kind = OP_SET;

        for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
                assert_int_equal(op_from_name(names[i], &kind), 0);
                assert_string_equal(op_name(kind), names[i]);
        }
        assert_int_equal(op_from_name("Set", &kind), -EINVAL);
        assert_int_equal(op_from_name("", &kind), -EINVAL);
}

static void test_good(void **state) {
        g_auto(OpList) l = { .v = NULL };
        Fixture *f = *state;
        OpError e;

        add(&l, OP_EXPECT, "/33000/0/1", integer(5));
        add(&l, OP_EXPECT, "/33000/0/5/1", (Value){ .type = VALUE_FLOAT, .d = 0.5 });
        add(&l, OP_EXPECT, "/33000/4", VALUE_INIT);
        add(&l, OP_CREATE, "/33000/4", VALUE_INIT);
        add(&l, OP_SET, "/33000/4/1", integer(8));
        add(&l, OP_SET, "/33000/4/5/2", integer(8));
        add(&l, OP_UNSET, "/33000/0/2", VALUE_INIT);
        add(&l, OP_REPLACE, "/33000/0/5", VALUE_INIT);
        add(&l, OP_SET, "/33000/0/5/7", integer(7));
        add(&l, OP_DELETE, "/3303/1", VALUE_INIT);
        assert_int_equal(ops_apply(f->tree, l.v, l.n, ORIGIN_APP, 0, &e), 0);
        assert_value(f, "/33000/4/1", "8");
        assert_value(f, "/33000/4/5/2", "8");
        assert_value(f, "/33000/0/2", "none");
        assert_value(f, "/33000/0/5/1", "none");
        assert_value(f, "/33000/0/5/7", "7");
        assert_false(tree_exists(f->tree, &PATH_OI(3303, 1)));
}

static void test_bad(void **state) {
        const struct {
                OpKind kind;
                const char *path;
                Value value;
                int error;
                const char *text;
        } cases[] = {
                { OP_SET,
                  "/33000/0/1",
                  { .type = VALUE_FLOAT, .d = 1.5 },
                  -ERANGE,
                  "/33000/0/1: " },
                { OP_SET, "/33000/0/1", integer(101), -ERANGE, "/33000/0/1: out of range" },
                { OP_SET, "/33000/0/1", value_string("x"), -EINVAL,
                  "/33000/0/1: Integer expected, got String" },
                { OP_SET, "/33000/0/1", VALUE_INIT, -EINVAL,
                  "/33000/0/1: Integer expected, got nothing" },
                { OP_SET, "/33000/0/5", integer(1), -EISDIR, "/33000/0/5: a multiple resource" },
                { OP_SET, "/33000/0/1/0", integer(1), -ENOTDIR,
                  "/33000/0/1/0: not a multiple resource" },
                { OP_SET, "/33000/0/4", integer(1), -EPERM, "/33000/0/4: executable" },
                { OP_SET, "/33000/0/4711", integer(1), -ENOENT, "/33000/0/4711: no such resource" },
                { OP_SET, "/33000/9/1", integer(1), -ENOENT,
                  "/33000/9/1: no such object instance" },
                { OP_SET, "/33000/0", integer(1), -EINVAL, "/33000/0: " },
                { OP_SET, "/33000/0/11", integer(2), 0, "" }, /* ops alone know no behaviour */
                { OP_CREATE, "/33000/0", VALUE_INIT, -EEXIST, "/33000/0: exists already" },
                { OP_CREATE, "/4711/0", VALUE_INIT, -ENOENT, "/4711/0: the object is not defined" },
                { OP_CREATE, "/33001/1", VALUE_INIT, -EPERM, "/33001/1: " },
                { OP_CREATE, "/33000", VALUE_INIT, -EINVAL, "/33000: " },
                { OP_DELETE, "/33000/9", VALUE_INIT, -ENOENT, "/33000/9: does not exist" },
                { OP_DELETE, "/33000/0/1", VALUE_INIT, -EINVAL, "/33000/0/1: " },
                { OP_UNSET, "/33000/0/6", VALUE_INIT, -ENOENT, "/33000/0/6: does not exist" },
                { OP_UNSET, "/33000/0", VALUE_INIT, -EINVAL, "/33000/0: " },
                { OP_REPLACE, "/33000/9", VALUE_INIT, -ENOENT, "/33000/9: does not exist" },
                { OP_REPLACE, "/33000", VALUE_INIT, -EINVAL, "/33000: " },
                { OP_EXPECT, "/33000/0/1", integer(6), -EBADE, "/33000/0/1: is not as expected" },
                { OP_EXPECT, "/33000/0/1", value_string("5"), -EBADE,
                  "/33000/0/1: is not as expected" },
                { OP_EXPECT, "/33000/0/6", integer(6), -EBADE, "/33000/0/6: is not as expected" },
                { OP_EXPECT, "/33000/0", VALUE_INIT, -EBADE, "/33000/0: is not as expected" },
        };
        Fixture *f = *state;

        for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
                g_auto(OpList) l = { .v = NULL };
                OpError e = { .text = "" };
                int r;

                add(&l, OP_SET, "/33000/0/2", value_string("changed"));
                add(&l, cases[i].kind, cases[i].path, cases[i].value);
                r = ops_apply(f->tree, l.v, l.n, ORIGIN_APP, 0, &e);
                if (r != cases[i].error ||
                    strncmp(e.text, cases[i].text, strlen(cases[i].text)) != 0)
                        fail_msg("%s %s: %d '%s'", op_name(cases[i].kind), cases[i].path, r,
                                 e.text);
                if (r == 0)
                        continue;
                assert_int_equal(e.index, 1);
                if (i < 10)
                        assert_value(f, "/33000/0/2", "two"); /* nothing of it was done */
        }
}

static int on_prepare(void *userdata, Origin origin, uint16_t ssid, const Change *changes,
                      size_t n) {
        return -ENOSPC;
}

static void test_commit_fails(void **state) {
        g_auto(OpList) l = { .v = NULL };
        Fixture *f = *state;
        OpError e;

        tree_on_prepare(f->tree, on_prepare, NULL);
        add(&l, OP_SET, "/33000/0/1", integer(9));
        assert_int_equal(ops_apply(f->tree, l.v, l.n, ORIGIN_SERVER, 1, &e), -ENOSPC);
        assert_int_equal(e.index, 1);
        assert_value(f, "/33000/0/1", "5");
        assert_int_equal(ops_apply(f->tree, l.v, l.n, ORIGIN_SERVER, 1, NULL), -ENOSPC);
}

/* Through dm the daemon's own objects have their say, whoever changes them. */
static void test_behaviour(void **state) {
        g_auto(OpList) take = { .v = NULL }, refuse = { .v = NULL };
        Fixture *f = *state;
        OpError e;

        add(&take, OP_SET, "/33000/0/11", integer(1));
        add(&take, OP_SET, "/33000/0/1", integer(9));
        assert_int_equal(dm_apply(f->dm, take.v, take.n, &e, f->now), 0);
        assert_string_equal(f->executed->str, "took /33000/0/11 from 0; ");
        assert_value(f, "/33000/0/11", "none");
        assert_value(f, "/33000/0/1", "9");

        add(&refuse, OP_SET, "/33000/0/1", integer(10));
        add(&refuse, OP_SET, "/33000/0/11", integer(2));
        assert_int_equal(dm_apply(f->dm, refuse.v, refuse.n, &e, f->now), -EINVAL);
        assert_int_equal(e.index, 1);
        assert_value(f, "/33000/0/1", "9");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                DM_TEST(test_names),        DM_TEST(test_good),      DM_TEST(test_bad),
                DM_TEST(test_commit_fails), DM_TEST(test_behaviour),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
