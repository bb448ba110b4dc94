/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "lwm2m/access/access_policy.h"

static Path parse(const char *text) {
        Path p;

        assert_int_equal(path_parse(text, &p), 0);
        return p;
}

static int add(AccessPolicy *policy, const char *path, const char *text) {
        g_autofree char *why = NULL;
        const Path p = parse(path);
        int r;

        r = access_policy_add(policy, &p, text, &why);
        assert_true(r == 0 ? !why : why && *why);
        return r;
}

static unsigned rights(const AccessPolicy *policy, const char *path, uint16_t ssid) {
        const Path p = parse(path);
        const AccessRule *rule = access_policy_find(policy, &p);

        return rule ? access_rule_rights(rule, ssid) : 99;
}

static void test_rules(void **state) {
        g_autoptr(AccessPolicy) policy = access_policy_new();

        assert_int_equal(rights(policy, "/3/0", 101), 99);
        assert_int_equal(add(policy, "/", "*:R"), 0);
        assert_int_equal(add(policy, "/3303", "owner:102, 101:RWEDC;103:none 104:all\t*:RE"), 0);
        assert_int_equal(add(policy, "/3303/7", "101:WR"), 0);
        assert_int_equal(rights(policy, "/3/0", 101), ACCESS_READ);
        assert_int_equal(rights(policy, "/3303", 101), ACCESS_ALL);
        assert_int_equal(rights(policy, "/3303/0", 102), ACCESS_ALL & ~ACCESS_CREATE);
        assert_int_equal(rights(policy, "/3303/0", 103), 0);
        assert_int_equal(rights(policy, "/3303/0", 104), ACCESS_ALL);
        assert_int_equal(rights(policy, "/3303/0", 105), ACCESS_READ | ACCESS_EXECUTE);
        /* The most specific rule decides alone. */
        assert_int_equal(rights(policy, "/3303/7", 101), ACCESS_READ | ACCESS_WRITE);
        assert_int_equal(rights(policy, "/3303/7", 105), 0);
        /* A later one takes the place. */
        assert_int_equal(add(policy, "/3303/7", ""), 0);
        assert_int_equal(rights(policy, "/3303/7", 101), 0);
}

static void test_owner(void **state) {
        g_autoptr(AccessPolicy) policy = access_policy_new();
        const Path p = parse("/3303/0");

        assert_int_equal(add(policy, "/", "owner:101 101:R"), 0);
        assert_int_equal(rights(policy, "/3/0", 101), ACCESS_READ); /* an entry counts more */
        assert_int_equal(access_policy_find(policy, &p)->owner, 101);
        assert_int_equal(add(policy, "/", "*:R"), 0);
        assert_int_equal(access_policy_find(policy, &p)->owner, ID_RESERVED);
}

static void test_refused(void **state) {
        static const struct {
                const char *path, *text;
        } bad[] = {
                { "/", "R" },
                { "/", "*" },
                { "/", "*:" },
                { "/", ":R" },
                { "/", "*:X" },
                { "/", "*:r" },
                { "/", "0:R" },
                { "/", "65535:R" },
                { "/", "-1:R" },
                { "/", "101:R 101:W" },
                { "/", "*:R *:W" },
                { "/", "owner:101 owner:102" },
                { "/", "owner:0" },
                { "/", "owner:*" },
                { "/", "owner:65535" },
                { "/3303/0", "101:C" },
                { "/3303/0/5700", "*:R" },
                { "/0", "*:R" },
                { "/21/0", "*:R" },
                { "/2", "*:R" },
        };
        g_autoptr(AccessPolicy) policy = access_policy_new();
        g_autoptr(GString) many = g_string_new(NULL);

        assert_int_equal(add(policy, "/", "*:R"), 0);
        for (size_t i = 0; i < G_N_ELEMENTS(bad); i++)
                assert_int_equal(add(policy, bad[i].path, bad[i].text), -EINVAL);
        for (unsigned i = 1; i <= ACCESS_ENTRIES_MAX + 1; i++)
                g_string_append_printf(many, "%u:R ", i);
        assert_int_equal(add(policy, "/", many->str), -EINVAL);
        assert_int_equal(rights(policy, "/3/0", 1), ACCESS_READ); /* nothing changed */
        *strrchr(many->str, ' ') = '\0';
        *strrchr(many->str, ' ') = '\0';
        assert_int_equal(add(policy, "/", many->str), 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_rules),
                cmocka_unit_test(test_owner),
                cmocka_unit_test(test_refused),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
