/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>
#include <cmocka.h>

#include <errno.h>

#include "bus/grants.h"

#define SENSORD 4001
#define FOTA 4002
#define GUEST 4003
#define STAFF 5001

static Path parse(const char *text) {
        Path p;

        assert_int_equal(path_parse(text, &p), 0);
        return p;
}

static void add_paths(GArray *paths, const char *text) {
        g_auto(GStrv) words = g_strsplit(text, " ", -1);

        for (char **w = words; *w && **w; w++) {
                const Path p = parse(*w);

                g_array_append_val(paths, p);
        }
}

static void add(Grants *g, uid_t uid, gid_t gid, const char *paths, unsigned rights) {
        GrantRule *r = grant_rule_new("rule");

        if (uid)
                g_array_append_val(r->uids, uid);
        if (gid)
                g_array_append_val(r->gids, gid);
        add_paths(r->paths, paths);
        r->rights = rights;
        grants_add(g, r);
}

static bool may(const Grants *g, uid_t uid, gid_t gid, Right right, const char *path) {
        const Subject who = { .uid = uid, .gids = &gid, .n_gids = gid ? 1 : 0 };
        const Path p = parse(path ? path : "/");
        GrantView v;
        bool r;

        grants_view(g, &who, &v);
        r = grant_view_may(&v, right, path ? &p : NULL);
        assert_true(!r || !path || grant_view_may_some(&v, right, &p));
        grant_view_clear(&v);
        return r;
}

static bool may_some(const Grants *g, uid_t uid, const char *path) {
        const Subject who = { .uid = uid };
        const Path p = parse(path);
        GrantView v;
        bool r;

        grants_view(g, &who, &v);
        r = grant_view_may_some(&v, RIGHT_GET, &p);
        grant_view_clear(&v);
        return r;
}

static void test_no_rules(void **state) {
        g_autoptr(Grants) g = grants_new();

        for (unsigned right = 1; right < RIGHT_ADMIN; right <<= 1)
                assert_true(may(g, GUEST, 0, (Right) right, "/3303/0/5700"));
        assert_false(may(g, GUEST, 0, RIGHT_ADMIN, NULL));
        assert_true(may(g, 0, 0, RIGHT_ADMIN, NULL));
        assert_true(may(g, geteuid(), 0, RIGHT_ADMIN, NULL));
        assert_false(may(g, GUEST, 0, RIGHT_CREDENTIALS, NULL));
        assert_true(may(g, geteuid(), 0, RIGHT_CREDENTIALS, NULL));
}

static void test_rules(void **state) {
        g_autoptr(Grants) g = grants_new();

        assert_false(grants_has_groups(g));
        add(g, SENSORD, 0, "/3303 /3304/0", RIGHT_GET | RIGHT_SET);
        add(g, FOTA, 0, "/5", RIGHT_CLAIM);
        assert_false(grants_has_groups(g));
        add(g, 0, STAFF, "/", RIGHT_GET);
        add(g, 0, STAFF, "", RIGHT_ADMIN);
        assert_true(grants_has_groups(g));

        assert_true(may(g, SENSORD, 0, RIGHT_SET, "/3303/0/5700"));
        assert_true(may(g, SENSORD, 0, RIGHT_SET, "/3303"));
        assert_true(may(g, SENSORD, 0, RIGHT_GET, "/3304/0/5700/0"));
        assert_false(may(g, SENSORD, 0, RIGHT_CLAIM, "/3303/0"));
        assert_false(may(g, SENSORD, 0, RIGHT_GET, "/3304"));
        assert_false(may(g, SENSORD, 0, RIGHT_GET, "/3304/1"));
        assert_false(may(g, SENSORD, 0, RIGHT_GET, "/"));
        assert_false(may(g, SENSORD, 0, RIGHT_HOLD, NULL));
        assert_true(may_some(g, SENSORD, "/3304"));
        assert_true(may_some(g, SENSORD, "/"));
        assert_false(may_some(g, SENSORD, "/3304/1"));
        assert_false(may_some(g, FOTA, "/5"));

        assert_true(may(g, FOTA, 0, RIGHT_CLAIM, "/5/0/1"));
        assert_false(may(g, FOTA, 0, RIGHT_GET, "/5/0/1"));
        assert_false(may(g, GUEST, 0, RIGHT_GET, "/3303/0/5700"));
        /* By a group; rules add up. */
        assert_true(may(g, GUEST, STAFF, RIGHT_GET, "/3303/0/5700"));
        assert_true(may(g, GUEST, STAFF, RIGHT_ADMIN, NULL));
        assert_false(may(g, GUEST, STAFF, RIGHT_SET, "/3303/0/5700"));
        assert_true(may(g, FOTA, STAFF, RIGHT_GET, "/"));
        assert_false(may(g, STAFF, 0, RIGHT_GET, "/")); /* a user of that number is no group */
        assert_true(may(g, 0, 0, RIGHT_SET, "/"));
        /* Keys take a rule of their own, or one for administrators; neither is the other. */
        assert_false(may(g, SENSORD, 0, RIGHT_CREDENTIALS, NULL));
        assert_true(may(g, GUEST, STAFF, RIGHT_CREDENTIALS, NULL));
        add(g, FOTA, 0, "", RIGHT_ALL);
        assert_false(may(g, FOTA, 0, RIGHT_CREDENTIALS, NULL));
        add(g, FOTA, 0, "", RIGHT_CREDENTIALS);
        assert_true(may(g, FOTA, 0, RIGHT_CREDENTIALS, NULL));
        assert_false(may(g, FOTA, 0, RIGHT_ADMIN, NULL));
}

static void test_reserved(void **state) {
        g_autoptr(Grants) g = grants_new();
        Reservation *r = reservation_new("com.example.Sensors1");
        const Path below = parse("/3303/0/5700"), same = parse("/3303"), above = parse("/"),
                   other = parse("/3304");

        add_paths(r->paths, "/3303 /5/0");
        grants_reserve(g, r);
        assert_ptr_equal(grants_reserved(g, &below), r);
        assert_ptr_equal(grants_reserved(g, &same), r);
        assert_ptr_equal(grants_reserved(g, &above), r); /* it would take a part of it */
        assert_null(grants_reserved(g, &other));
}

static void test_names(void **state) {
        unsigned right;

        for (unsigned i = 1; i <= RIGHT_CREDENTIALS; i <<= 1) {
                assert_int_equal(right_from_name(right_name((Right) i), &right), 0);
                assert_int_equal(right, i);
        }
        assert_int_equal(right_from_name("all", &right), 0);
        assert_int_equal(right, RIGHT_ALL);
        assert_false(right & (RIGHT_ADMIN | RIGHT_CREDENTIALS));
        assert_int_equal(right_from_name("Get", &right), -EINVAL);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_no_rules),
                cmocka_unit_test(test_rules),
                cmocka_unit_test(test_reserved),
                cmocka_unit_test(test_names),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
