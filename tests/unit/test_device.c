/* SPDX-License-Identifier: Apache-2.0 */
#include "client_fixture.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Object 3 as a server sees it. */
static int set_up(void **state) {
        Bed *b;

        setenv("TZ", "XXX-5:30", 1);
        tzset();
        fake_store_clear();
        b = bed_new();
        bed_boot(b);
        bed_add(b, 1, "coap://192.0.2.1", 400);
        *state = b;
        return 0;
}

static int tear_down(void **state) {
        bed_free(*state);
        return 0;
}

static void start(Bed *b) {
        bed_start(b);
        bed_register(b, 1);
}

static const char *read_text(Bed *b, const char *path) {
        assert_int_equal(bed_ask(b, 1, METHOD_GET, path, NULL), CODE(2, 5));
        return fake_text(fake_last_answer(b->transport));
}

static void expect(Bed *b, const char *path, const char *expected) {
        g_auto(GStrv) parts = g_strsplit(path + 1, "/", -1);
        Message m = MESSAGE_INIT(METHOD_GET);
        Link *l = bed_link(b, 1);

        m.path = (const char *const *) parts;
        m.accept = FORMAT_TEXT;
        fake_forget_answers(b->transport);
        l->events.request(l->owner, fake_exchange_new(b->transport), &m, b->now);
        bed_advance(b, 0);
        assert_int_equal(fake_last_answer(b->transport)->code, CODE(2, 5));
        assert_string_equal(fake_text(fake_last_answer(b->transport)), expected);
}

static void test_time(void **state) {
        Bed *b = *state;

        start(b);
        expect(b, "/3/0/13", "1764000000");
        bed_advance(b, 10 * SEC);
        expect(b, "/3/0/13", "1764000010");
        assert_int_equal(bed_ask(b, 1, METHOD_PUT, "/3/0/13", "1700000000"), CODE(2, 4));
        expect(b, "/3/0/13", "1700000000");
        bed_advance(b, 5 * SEC);
        expect(b, "/3/0/13", "1700000005");
        assert_int_equal(bed_ask(b, 1, METHOD_PUT, "/3/0/13", "9223372036854775807"), CODE(4, 0));
        assert_int_equal(bed_ask(b, 1, METHOD_PUT, "/3/0/13", "-9223372036854775808"), CODE(4, 0));
        expect(b, "/3/0/13", "1700000005");
}

static void test_defaults(void **state) {
        Bed *b = *state;

        start(b);
        expect(b, "/3/0/0", "unknown");
        expect(b, "/3/0/11/0", "0");
        expect(b, "/3/0/14", "+05:30");
        expect(b, "/3/0/16", "UT");
        expect(b, "/3/0/19", "lwm2md " PROJECT_VERSION);
        assert_true(strlen(read_text(b, "/3/0/1")) > 0);
        assert_int_equal(bed_ask(b, 1, METHOD_GET, "/3/0/2", NULL), CODE(4, 4)); /* not known */
}

static void test_owners_words_win(void **state) {
        Bed *b = *state;

        bed_create(b, "/3/0");
        bed_set(b, "/3/0/0", value_string("ACME"));
        bed_set(b, "/3/0/11/4", value_int(2));
        bed_set(b, "/3/0/14", value_string("+01:00"));
        start(b);
        expect(b, "/3/0/0", "ACME");
        expect(b, "/3/0/14", "+01:00");
        expect(b, "/3/0/11/4", "2");
        assert_int_equal(bed_ask(b, 1, METHOD_GET, "/3/0/11/0", NULL), CODE(4, 4));
}

static void test_reset_errors(void **state) {
        Bed *b = *state;

        bed_create(b, "/3/0");
        bed_set(b, "/3/0/11/0", value_int(1));
        bed_set(b, "/3/0/11/1", value_int(7));
        start(b);
        assert_int_equal(bed_ask(b, 1, METHOD_POST, "/3/0/12", NULL), CODE(2, 4));
        expect(b, "/3/0/11/0", "0");
        assert_int_equal(bed_ask(b, 1, METHOD_GET, "/3/0/11/1", NULL), CODE(4, 4));
}

/* Reboot and factory reset are an application's; without one they are refused, never 2.04. */
static void test_reboot_needs_an_owner(void **state) {
        Bed *b = *state;

        start(b);
        assert_int_equal(bed_ask(b, 1, METHOD_POST, "/3/0/4", NULL), CODE(4, 5));
        assert_int_equal(bed_ask(b, 1, METHOD_POST, "/3/0/5", NULL), CODE(4, 5));
        assert_int_equal(bed_ask(b, 1, METHOD_DELETE, "/3/0", NULL), CODE(4, 5));
}

static void test_binding_of_1_0(void **state) {
        Bed *b;

        b = bed_new();
        b->config.version = (Version){ 1, 0 };
        b->config.queue_mode = true;
        bed_boot(b);
        bed_add(b, 1, "coap://192.0.2.1", 400);
        start(b);
        expect(b, "/3/0/16", "UQ");
        bed_free(b);
}

#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void) {
        const struct CMUnitTest tests[] = {
                T(test_time),
                T(test_defaults),
                T(test_owners_words_win),
                T(test_reset_errors),
                T(test_reboot_needs_an_owner),
                cmocka_unit_test(test_binding_of_1_0),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
