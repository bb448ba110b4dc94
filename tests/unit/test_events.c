/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "lwm2m/events.h"

static void on_event(void *userdata, const ClientEvent *event) {
        g_string_append_printf(userdata, "%s@%u:%d ", event->name, event->ssid,
                               (int) event->time_ns);
        for (size_t i = 0; event->details[i]; i += 2)
                g_string_append_printf(userdata, "[%s=%s] ", event->details[i],
                                       event->details[i + 1]);
}

static void on_changed(void *userdata, uint16_t ssid) {
        g_string_append_printf(userdata, "changed%u ", ssid);
}

static void on_added(void *userdata, uint16_t ssid) {
        g_string_append_printf(userdata, "added%u ", ssid);
}

static void on_removed(void *userdata, uint16_t ssid) {
        g_string_append_printf(userdata, "removed%u ", ssid);
}

static void expect(GString *s, const char *expected) {
        assert_string_equal(s->str, expected);
        g_string_truncate(s, 0);
}

static void test_listeners(void **state) {
        static const ClientListener all = { on_event, on_changed, on_added, on_removed },
                                    deaf = { 0 };
        static const char *const details[] = { "code", "4.03", "text", "no", NULL };
        g_autoptr(Events) e = events_new(10);
        g_autoptr(GString) one = g_string_new(NULL), two = g_string_new(NULL);

        events_emit(e, 1, "unheard", 0, NULL);
        events_add_listener(e, &all, one);
        events_add_listener(e, &deaf, NULL);
        events_emit(e, 2, "reg-update", 5, NULL);
        events_add_listener(e, &all, two);
        events_emit(e, 3, "registration-failure", 5, details);
        events_changed(e, 7);
        events_server_added(e, 8);
        events_server_removed(e, 9);
        expect(one, "reg-update@5:2 registration-failure@5:3 [code=4.03] [text=no] "
                    "changed7 added8 removed9 ");
        expect(two, "registration-failure@5:3 [code=4.03] [text=no] changed7 added8 removed9 ");
}

static void test_ring(void **state) {
        g_autoptr(Events) e = events_new(3), none = events_new(0);
        g_autoptr(GString) s = g_string_new(NULL);
        char name[] = "a";

        for (int i = 0; i < 5; i++, name[0]++)
                events_emit(e, i, name, 0, NULL);
        events_foreach(e, on_event, s);
        expect(s, "c@0:2 d@0:3 e@0:4 ");
        events_emit(none, 1, "x", 0, NULL);
        events_foreach(none, on_event, s);
        expect(s, "");
}

/* A peer's text may be anything: what leaves is bounded and valid UTF-8. */
static void test_details_are_tamed(void **state) {
        g_autofree char *endless = g_strnfill(EVENT_TEXT_MAX * 2, 'x');
        g_autoptr(Events) e = events_new(10);
        g_autoptr(GString) s = g_string_new(NULL);
        const char *many[2 * (EVENT_DETAILS_MAX + 5) + 1] = { NULL };
        const char *odd[] = { "text", "a\xff", "alone", NULL };

        events_emit(e, 1, "n", 0, odd);
        events_foreach(e, on_event, s);
        expect(s, "n@0:1 [text=a\xef\xbf\xbd] ");

        for (size_t i = 0; i < EVENT_DETAILS_MAX + 5; i++) {
                many[2 * i] = "k";
                many[2 * i + 1] = endless;
        }
        g_autoptr(Events) big = events_new(1);
        events_emit(big, 1, "n", 0, many);
        events_foreach(big, on_event, s);
        assert_int_equal(s->len,
                         strlen("n@0:1 ") + EVENT_DETAILS_MAX * (EVENT_TEXT_MAX + strlen("[k=] ")));
}

static Events *growing;
static void on_event_grow(void *userdata, const ClientEvent *event) {
        static const ClientListener more = { .event = on_event };

        for (int i = 0; i < 50; i++)
                events_add_listener(growing, &more, userdata);
}

static void test_listener_adds_listeners(void **state) {
        static const ClientListener first = { .event = on_event_grow };
        g_autoptr(GString) s = g_string_new(NULL);
        g_autoptr(Events) e = events_new(1);

        growing = e;
        events_add_listener(e, &first, s);
        events_emit(e, 1, "n", 0, NULL);
        assert_int_equal(s->len, 50 * strlen("n@0:1 "));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_listeners),
                cmocka_unit_test(test_ring),
                cmocka_unit_test(test_details_are_tamed),
                cmocka_unit_test(test_listener_adds_listeners),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
