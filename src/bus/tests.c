/* SPDX-License-Identifier: Apache-2.0 */
/* Server.Test: the answer comes when the server has been tried. */
#include <errno.h>

#include "bus/bus_internal.h"
#include "lwm2m/client/probe.h"

#define TESTS_MAX 16

struct Tests {
        Bus *bus;
        GPtrArray *all; /* Test */
};

typedef struct Test {
        Tests *tests;
        sd_bus_message *call;
        Probe *probe;
} Test;

static void test_free(void *data) {
        Test *t = data;

        probe_free(t->probe);
        sd_bus_message_unref(t->call);
        g_free(t);
}

static void on_done(void *userdata, const ProbeStep *steps, size_t n, uint64_t now_usec) {
        sd_bus_message *reply = NULL;
        Test *t = userdata;
        int r;

        r = sd_bus_message_new_method_return(t->call, &reply);
        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'a', "(sss)");
        for (size_t i = 0; i < n && r >= 0; i++) {
                g_autofree char *text = g_utf8_make_valid(steps[i].text, -1);

                r = sd_bus_message_append(reply, "(sss)", steps[i].name, steps[i].result, text);
        }
        if (r >= 0)
                r = sd_bus_message_close_container(reply);
        (void) reply_send(reply, r);
        g_ptr_array_remove(t->tests->all, t);
}

int tests_add(Tests *tests, sd_bus_message *m, uint16_t ssid, sd_bus_error *error) {
        Test *t;
        int r;

        if (tests->all->len >= TESTS_MAX)
                return bus_error(error, -EDQUOT, "%d tests are running already", TESTS_MAX);
        t = g_new0(Test, 1);
        t->tests = tests;
        t->call = sd_bus_message_ref(m);
        r = probe_start(tests->bus->client, ssid, on_done, t, bus_now(tests->bus), &t->probe);
        if (r < 0) {
                test_free(t);
                return bus_error(error, r, "The account is not complete");
        }
        g_ptr_array_add(tests->all, t);
        return 1;
}

void tests_event(Tests *tests, const ClientEvent *event) {
        for (guint i = 0; i < tests->all->len; i++)
                probe_event(((Test *) tests->all->pdata[i])->probe, event, bus_now(tests->bus));
}

void tests_bus_gone(Tests *tests) {
        g_ptr_array_set_size(tests->all, 0);
}

Tests *tests_new(Bus *b) {
        Tests *tests = g_new0(Tests, 1);

        tests->bus = b;
        tests->all = g_ptr_array_new_with_free_func(test_free);
        return tests;
}

Tests *tests_free(Tests *tests) {
        if (!tests)
                return NULL;
        g_ptr_array_unref(tests->all);
        g_free(tests);
        return NULL;
}
