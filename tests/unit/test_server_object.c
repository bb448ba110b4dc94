/* SPDX-License-Identifier: Apache-2.0 */
#include "client_fixture.h"

#include <errno.h>

/* Object 1 as a server and an application see it, through dm. */
static int set_up(void **state) {
        Bed *b;

        fake_store_clear();
        b = bed_new();
        bed_boot(b);
        bed_add(b, 1, "coap://192.0.2.1", 400);
        bed_start(b);
        bed_register(b, 1);
        *state = b;
        return 0;
}

static int tear_down(void **state) {
        bed_free(*state);
        return 0;
}

static int64_t number(Bed *b, uint16_t resource) {
        const Value *v;

        return tree_get(b->tree, &PATH_OIR(1, 0, resource), &v) < 0 ? -1 : v->i;
}

static void test_lifetime(void **state) {
        Bed *b = *state;

        assert_int_equal(bed_ask(b, 1, METHOD_PUT, "/1/0/1", "299"), CODE(4, 0)); /* the client's */
        assert_int_equal(bed_ask(b, 1, METHOD_PUT, "/1/0/1", "-1"), CODE(4, 0));
        assert_int_equal(bed_ask(b, 1, METHOD_PUT, "/1/0/1", "4294967296"), CODE(4, 0));
        assert_int_equal(number(b, 1), 400);
        assert_int_equal(bed_ask(b, 1, METHOD_PUT, "/1/0/1", "300"), CODE(2, 4));
        assert_int_equal(number(b, 1), 300);
        bed_advance(b, 0);
        assert_int_equal(bed_ask(b, 1, METHOD_PUT, "/1/0/1", "0"), CODE(2, 4));
        assert_int_equal(number(b, 1), 0);
        assert_int_equal(bed_write(b, "/1/0/1", value_int(-1)), -ERANGE);
        assert_int_equal(bed_write(b, "/1/0/1", value_int(60)), 0); /* the owner's wish */
        bed_advance(b, 0);
        assert_int_equal(bed_ask(b, 1, METHOD_PUT, "/1/0/1", "59"), CODE(4, 0));
        assert_int_equal(bed_ask(b, 1, METHOD_PUT, "/1/0/1", "61"), CODE(2, 4));
}

/* A low lifetime that the owner of the box chose may be written again as it is. */
static void test_lifetime_in_force(void **state) {
        Bed *b = *state;

        bed_set(b, "/1/0/1", value_int(20));
        bed_advance(b, 0);
        assert_int_equal(bed_ask(b, 1, METHOD_PUT, "/1/0/1", "19"), CODE(4, 0));
        assert_int_equal(bed_ask(b, 1, METHOD_PUT, "/1/0/1", "20"), CODE(2, 4));
        assert_int_equal(bed_ask(b, 1, METHOD_PUT, "/1/0/1", "600"), CODE(2, 4));
        bed_advance(b, 0);
        assert_int_equal(bed_ask(b, 1, METHOD_PUT, "/1/0/1", "19"), CODE(4, 0));
        bed_reboot(b, 1); /* the owner's choice is kept beside the server's */
        bed_start(b);
        bed_up(b, 1);
        assert_int_equal(bed_ask(b, 1, METHOD_PUT, "/1/0/1", "19"), CODE(4, 0));
        assert_int_equal(bed_ask(b, 1, METHOD_PUT, "/1/0/1", "25"), CODE(2, 4));
        bed_set(b, "/1/0/1", value_int(100));
        bed_advance(b, 0);
        assert_int_equal(bed_ask(b, 1, METHOD_PUT, "/1/0/1", "99"), CODE(4, 0));
}

static void test_no_forever_in_1_0(void **state) {
        Bed *b;

        b = bed_new();
        b->config.version = (Version){ 1, 0 };
        bed_boot(b);
        bed_add(b, 1, "coap://192.0.2.1", 400);
        assert_int_equal(bed_write(b, "/1/0/1", value_int(0)), -ERANGE);
        bed_free(b);
}

static int write_periods(Bed *b, int first, int64_t one, int second, int64_t two) {
        Op ops[] = {
                { .path = PATH_OIR(1, 0, first), .kind = OP_SET, .value = value_int(one) },
                { .path = PATH_OIR(1, 0, second), .kind = OP_SET, .value = value_int(two) },
        };
        OpError error;

        return dm_apply(b->dm, ops, 2, &error, b->now);
}

static void test_periods(void **state) {
        Bed *b = *state;

        assert_int_equal(bed_write(b, "/1/0/2", value_int(10)), 0);
        assert_int_equal(bed_write(b, "/1/0/3", value_int(30)), 0);
        assert_int_equal(bed_write(b, "/1/0/2", value_int(31)), -ERANGE);
        assert_int_equal(bed_write(b, "/1/0/3", value_int(9)), -ERANGE);
        assert_int_equal(bed_write(b, "/1/0/2", value_int(-1)), -ERANGE);
        assert_int_equal(bed_write(b, "/1/0/3", value_int(-1)), -ERANGE);
        assert_int_equal(bed_write(b, "/1/0/5", value_int(-1)), -ERANGE);
        /* as a pair, in either order */
        assert_int_equal(write_periods(b, 2, 60, 3, 120), 0);
        assert_int_equal(write_periods(b, 3, 20, 2, 5), 0);
        assert_int_equal(write_periods(b, 2, 60, 3, 50), -ERANGE);
        assert_int_equal(write_periods(b, 3, 50, 2, 60), -ERANGE);
        assert_int_equal(number(b, 2), 5);
        assert_int_equal(number(b, 3), 20);
        assert_int_equal(bed_write(b, "/1/0/3", value_int(0)), 0); /* none */
        assert_int_equal(bed_write(b, "/1/0/2", value_int(1000)), 0);
}

static void test_binding(void **state) {
        static const char *const bad[] = { "", "S", "UTT", "QT", "Q", "QU", "UU", "u" };
        Bed *b = *state;

        for (size_t i = 0; i < G_N_ELEMENTS(bad); i++)
                assert_int_equal(bed_write(b, "/1/0/7", value_string(bad[i])), -EINVAL);
        assert_int_equal(bed_ask(b, 1, METHOD_PUT, "/1/0/7", "US"), CODE(4, 0));
        assert_int_equal(bed_ask(b, 1, METHOD_PUT, "/1/0/7", "UQ"), CODE(2, 4));
        bed_advance(b, USEC_PER_SEC);
        assert_string_equal(bed_request(b, 1)->query, "b=U&Q");
}

static void test_preferred_transport(void **state) {
        static const char *const bad[] = { "", "UT", "Q", "u", "X" };
        Bed *b = *state;

        for (size_t i = 0; i < G_N_ELEMENTS(bad); i++)
                assert_int_equal(bed_write(b, "/1/0/22", value_string(bad[i])), -EINVAL);
        assert_int_equal(bed_write(b, "/1/0/22", value_string("T")), 0);
}

static void test_short_id_stays(void **state) {
        Op ops[] = {
                { .path = PATH_OI(1, 5), .kind = OP_CREATE },
                { .path = PATH_OIR(1, 5, 0), .kind = OP_SET, .value = value_int(7) },
        };
        OpError error;
        Bed *b = *state;

        assert_int_equal(bed_write(b, "/1/0/0", value_int(7)), -EPERM);
        assert_int_equal(number(b, 0), 1);
        assert_int_equal(bed_write(b, "/1/0/0", value_int(1)), 0); /* as it is */
        assert_int_equal(dm_apply(b->dm, ops, 2, &error, b->now), 0);
        assert_int_equal(dm_apply(b->dm, ops + 1, 1, &error, b->now), 0);
        ops[1].value = value_int(8);
        assert_int_equal(dm_apply(b->dm, ops + 1, 1, &error, b->now), -EPERM);
        assert_string_equal(error.text, "/1/5/0: stays as it is, it names the account");
}

static void test_executes(void **state) {
        Bed *b = *state;

        assert_int_equal(bed_ask(b, 1, METHOD_POST, "/1/0/9", NULL), CODE(4, 5));
        assert_int_equal(bed_ask(b, 1, METHOD_POST, "/1/7/8", NULL), CODE(4, 4));
        assert_int_equal(bed_ask(b, 1, METHOD_POST, "/1/0/8", NULL), CODE(2, 4));
        assert_int_equal(bed_ask(b, 1, METHOD_POST, "/1/0/4", NULL), CODE(2, 4));
}

static void test_servers_make_no_accounts(void **state) {
        OpError error;
        Bed *b = *state;
        Op op = { .path = PATH_OI(1, 5), .kind = OP_CREATE };

        assert_int_equal(bed_ask(b, 1, METHOD_DELETE, "/1/0", NULL), CODE(4, 5));
        assert_int_equal(bed_ask(b, 1, METHOD_POST, "/1", NULL), CODE(4, 5));
        assert_int_equal(tree_n_instances(b->tree, 1), 1);
        assert_int_equal(dm_apply(b->dm, &op, 1, &error, b->now), 0); /* the box's owner may */
}

#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void) {
        const struct CMUnitTest tests[] = {
                T(test_lifetime),
                T(test_lifetime_in_force),
                cmocka_unit_test(test_no_forever_in_1_0),
                T(test_periods),
                T(test_binding),
                T(test_preferred_transport),
                T(test_short_id_stays),
                T(test_executes),
                T(test_servers_make_no_accounts),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
