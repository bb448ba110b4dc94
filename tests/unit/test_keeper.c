/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "client_fixture.h"
#include "lwm2m/dm/keeper.h"
#include "lwm2m/observe/observe_save.h"

#define URI "coap://192.0.2.1"
#define SETTLE (10 * SEC)

static Value value_double(double d) {
        return (Value){ .type = VALUE_FLOAT, .d = d };
}

/* Registered for an hour, with a sensor. */
static Bed *registered(void) {
        Bed *b;

        fake_store_clear();
        b = bed_new();
        b->observations_told = true;
        b->config.settle_usec = SETTLE;
        bed_boot(b);
        bed_add(b, 1, URI, 3600);
        bed_create(b, "/3303/0");
        bed_set(b, "/3303/0/5700", value_double(20));
        bed_start(b);
        bed_register(b, 1);
        return b;
}

static Bed *observed(void) {
        Bed *b = registered();

        assert_int_equal(bed_observe(b, 1, "/3303/0/5700", "tok", 0), CODE(2, 5));
        bed_advance(b, 2 * KEEPER_BURST_USEC);
        g_string_truncate(b->log, 0);
        return b;
}

/* From the start to the answer of the Update, which it has to be. */
static void go_on(Bed *b) {
        bed_start(b);
        bed_up(b, 1);
        assert_string_equal(bed_request(b, 1)->path, "/rd/1");
        bed_answer(b, 1, CODE(2, 4), NULL);
        g_string_truncate(b->log, 0);
}

static void assert_notified(Bed *b, const char *token, const char *text) {
        const FakeMessage *m = bed_notification(b, 1);
        gsize n;

        assert_non_null(m);
        assert_int_equal(m->code, CODE(2, 5));
        assert_string_equal(fake_text(m), text);
        assert_memory_equal(g_bytes_get_data(m->token, &n), token, strlen(token));
        assert_int_equal(n, strlen(token));
        bed_ack(b, 1, 0);
}

static void assert_silent(Bed *b) {
        assert_null(bed_notification(b, 1));
}

static unsigned n_observations(const Bed *b) {
        return (unsigned) dm_n_observations(b->dm);
}

/* --- going on --- */

static void test_goes_on(void **state) {
        Bed *b = observed();

        bed_kill(b, 60);
        go_on(b);
        assert_int_equal(n_observations(b), 1);
        bed_set(b, "/3303/0/5700", value_double(21));
        bed_advance(b, 0);
        assert_notified(b, "tok", "21");
        bed_free(b);
}

/* What was sent last is not known after a kill: the state is told once, when it has settled. */
static void test_tells_the_state(void **state) {
        Bed *b = observed();

        bed_kill(b, 60);
        go_on(b);
        bed_advance(b, SETTLE - SEC);
        assert_silent(b);
        bed_advance(b, SEC);
        assert_notified(b, "tok", "20");
        bed_advance(b, 60 * SEC);
        assert_silent(b);
        bed_free(b);
}

static void stop_keeping(Bed *b) {
        assert_int_equal(client_stop(b->client, true, NULL, NULL, b->now), 0);
        bed_advance(b, 0);
        client_save_last(b->client);
        assert_int_equal(store_sync(fake_store), 0);
}

static void test_stopped_in_order(void **state) {
        Bed *b = observed();

        stop_keeping(b);
        bed_kill(b, 60);
        go_on(b);
        bed_advance(b, 60 * SEC);
        assert_silent(b); /* the same as before */

        stop_keeping(b);
        bed_kill(b, 60);
        bed_set(b, "/3303/0/5700", value_double(25));
        go_on(b);
        bed_advance(b, SETTLE);
        assert_notified(b, "tok", "25");

        /* What an orderly stop has noted holds for one start. */
        stop_keeping(b);
        bed_kill(b, 60);
        go_on(b);
        bed_set(b, "/3303/0/5700", value_double(26));
        bed_advance(b, 0);
        assert_notified(b, "tok", "26");
        bed_kill(b, 60);
        bed_set(b, "/3303/0/5700", value_double(25));
        go_on(b);
        bed_advance(b, SETTLE);
        assert_notified(b, "tok", "25");
        bed_free(b);
}

static void test_composite(void **state) {
        g_auto(ObservationRecord) out = { .token = NULL };
        Path paths[] = { PATH_O(3), PATH_OIR(3303, 0, 5700) };
        ObservationRecord in = {
                .token = g_bytes_new_static("12345678", 8),
                .request_key = g_bytes_new_static("key", 3),
                .target = { .paths = paths,
                            .n = 2,
                            .composite = true,
                            .format = FORMAT_SENML_CBOR },
                .sequence = 0xfffffff0,
                .run = 7,
        };
        g_autoptr(GBytes) bytes = NULL;
        Attrs own;

        assert_int_equal(attrs_parse_text("pmin=5&gt=1.5", &own), 0);
        in.own = &own;
        bytes = observation_record_encode(&in);
        assert_int_equal(observation_record_decode(bytes, &out), 0);
        assert_true(g_bytes_equal(in.token, out.token));
        assert_true(g_bytes_equal(in.request_key, out.request_key));
        assert_int_equal(out.target.n, 2);
        assert_true(path_equal(&paths[0], &out.target.paths[0]));
        assert_true(path_equal(&paths[1], &out.target.paths[1]));
        assert_true(out.target.composite);
        assert_int_equal(out.target.format, FORMAT_SENML_CBOR);
        assert_int_equal(out.sequence, in.sequence);
        assert_int_equal(out.run, 7);
        assert_true(out.own->value[ATTR_GT] > 1.4 && attrs_has(out.own, ATTR_PMIN));
        for (gsize n = 0; n < g_bytes_get_size(bytes); n++) {
                g_autoptr(GBytes) cut = g_bytes_new_from_bytes(bytes, 0, n);
                ObservationRecord none = { .token = NULL };

                assert_int_equal(observation_record_decode(cut, &none), -EBADMSG);
                assert_null(none.token);
        }
        g_bytes_unref(in.token);
        g_bytes_unref(in.request_key);
}

/* --- values that come later --- */

static void test_value_comes_later(void **state) {
        Bed *b = observed();

        bed_delete(b, "/3303/0");
        bed_create(b, "/3303/0");
        bed_kill(b, 60);
        go_on(b);
        bed_advance(b, SETTLE / 2);
        assert_silent(b);
        assert_int_equal(n_observations(b), 1);
        bed_set(b, "/3303/0/5700", value_double(23));
        bed_advance(b, 0);
        assert_notified(b, "tok", "23");
        bed_free(b);
}

static void test_value_never_comes(void **state) {
        Bed *b = observed();

        bed_kill(b, 60);
        bed_delete(b, "/3303/0");
        go_on(b);
        bed_advance(b, SETTLE - SEC);
        assert_int_equal(n_observations(b), 1);
        bed_advance(b, SEC);
        assert_int_equal(bed_notification(b, 1)->code, CODE(4, 4));
        assert_int_equal(n_observations(b), 0);
        assert_non_null(strstr(b->log->str, "observer-removed@1"));
        bed_advance(b, KEEPER_LATER_USEC);
        assert_int_equal(fake_store_count("observation-"), 0);
        bed_free(b);
}

/* --- not going on --- */

/* Acknowledged, and not on disk yet: the server must not wait for it. */
static void test_killed_in_a_burst(void **state) {
        Bed *b = observed();

        assert_int_equal(bed_observe(b, 1, "/3303/0", "new", -1), CODE(2, 5));
        bed_kill(b, 1);
        bed_start(b);
        bed_log(b, "observer-removed@1");
        assert_string_equal(b->details, "path=/3303/0/5700 error=stopped before all was kept");
        bed_up(b, 1);
        assert_string_equal(bed_request(b, 1)->path, "/rd");
        bed_answer(b, 1, CODE(2, 1), "/rd/2");
        bed_advance(b, 2 * KEEPER_LATER_USEC);
        assert_int_equal(fake_store_count("observation-"), 0);
        bed_kill(b, 1); /* nothing is left of it */
        bed_start(b);
        bed_up(b, 1);
        assert_string_equal(bed_request(b, 1)->path, "/rd/2");
        bed_free(b);
}

static void test_lifetime_passed(void **state) {
        Bed *b = observed();

        bed_kill(b, 3601);
        bed_start(b);
        bed_log(b, "observer-removed@1");
        assert_string_equal(b->details, "path=/3303/0/5700 error=lifetime passed");
        assert_int_equal(n_observations(b), 0);
        bed_free(b);
}

static void test_other_endpoint(void **state) {
        Bed *b = observed();

        b->config.endpoint = (char *) "other";
        bed_kill(b, 1);
        bed_start(b);
        bed_log(b, "observer-removed@1");
        assert_string_equal(b->details, "path=/3303/0/5700 error=started with other settings");
        bed_advance(b, SEC);
        assert_int_equal(fake_store_count("observation-"), 0);
        bed_free(b);
}

static void test_full_register(void **state) {
        Bed *b = observed();

        assert_int_equal(client_register(b->client, 1, b->now), 0);
        bed_advance(b, 0);
        bed_log(b, "observer-removed@1");
        assert_string_equal(b->details, "path=/3303/0/5700 error=registering anew");
        assert_int_equal(fake_store_count("observation-"), 0);
        bed_answer(b, 1, CODE(2, 1), "/rd/1");
        bed_kill(b, 1);
        go_on(b);
        assert_int_equal(n_observations(b), 0);
        bed_free(b);
}

static void test_account_gone(void **state) {
        Bed *b = observed();

        assert_int_equal(client_remove_account(b->client, 1, b->now), 0);
        bed_advance(b, 0);
        assert_int_equal(fake_store_count("observation-"), 0);
        assert_int_equal(fake_store_count("observing-"), 0);
        bed_free(b);
}

static void test_cancelled(void **state) {
        Bed *b = observed();
        g_auto(GStrv) path = g_strsplit("3303/0/5700", "/", -1);
        Message m = MESSAGE_INIT(METHOD_GET);
        Link *l = bed_link(b, 1);

        m.path = (const char *const *) path;
        m.observe = 1;
        m.token = g_bytes_new_static("tok", 3);
        l->events.request(l->owner, fake_exchange_new(b->transport), &m, b->now);
        g_bytes_unref(m.token);
        bed_advance(b, 2 * KEEPER_LATER_USEC);
        assert_int_equal(fake_store_count("observation-"), 0);
        bed_kill(b, 1);
        go_on(b);
        assert_int_equal(n_observations(b), 0);
        bed_free(b);
}

static void test_damaged(void **state) {
        g_autoptr(GBytes) junk = g_bytes_new_static("\x99junk", 5);
        Bed *b = observed();

        fake_store_set("observation-1-00000000000000ff", junk);
        assert_int_equal(store_sync(fake_store), 0);
        bed_kill(b, 1);
        go_on(b);
        assert_int_equal(n_observations(b), 1);
        assert_int_equal(fake_store_count("observation-"), 1);
        bed_free(b);
}

/* --- numbers and cost --- */

/* RFC 7641, section 4.4, whatever was written before a kill. */
static bool is_later(int before, int after) {
        const uint32_t step = ((uint32_t) after - (uint32_t) before) & 0xffffff;

        return step > 0 && step < 1U << 23;
}

static void test_numbers_go_up(void **state) {
        Bed *b = observed();
        int before = 0;
        double v = 30;

        for (unsigned i = 0; i < 20; i++) {
                for (unsigned j = 0; j < i; j++) {
                        bed_set(b, "/3303/0/5700", value_double(v++));
                        bed_advance(b, 0);
                        assert_true(is_later(before, bed_notification(b, 1)->observe));
                        before = bed_notification(b, 1)->observe;
                        bed_ack(b, 1, 0);
                }
                bed_kill(b, 1);
                go_on(b);
        }
        bed_free(b);
}

/* More than one run may use without writing. */
static void test_numbers_are_renewed(void **state) {
        Bed *b = observed();
        int before = 0;

        for (unsigned i = 0; i < OBSERVE_ROOM + 10; i++) {
                bed_set(b, "/3303/0/5700", value_double(i + 100.0));
                bed_advance(b, 2 * USEC_PER_MSEC);
                before = bed_notification(b, 1)->observe;
                bed_ack(b, 1, 0);
        }
        bed_kill(b, 1);
        go_on(b);
        bed_advance(b, SETTLE);
        assert_true(is_later(before, bed_notification(b, 1)->observe));
        bed_free(b);
}

static void test_cost(void **state) {
        Bed *b = registered();
        unsigned before = fake_store_n_syncs;
        char token[8];

        for (unsigned i = 0; i < 100; i++) {
                g_snprintf(token, sizeof(token), "t%u", i);
                bed_observe(b, 1, "/3303/0/5700", token, -1);
        }
        bed_advance(b, 2 * KEEPER_BURST_USEC);
        assert_int_equal(fake_store_n_syncs, before + 2);
        assert_int_equal(fake_store_count("observation-"), 100);
        bed_advance(b, 600 * SEC);
        assert_int_equal(fake_store_n_syncs, before + 2);
        bed_free(b);
}

static void test_disk_full(void **state) {
        Bed *b = registered();

        fake_store_error = -ENOSPC;
        assert_int_equal(bed_observe(b, 1, "/3303/0/5700", "tok", 0), CODE(2, 5));
        bed_advance(b, 60 * SEC);
        fake_store_error = 0;
        bed_set(b, "/3303/0/5700", value_double(21));
        bed_advance(b, 0);
        assert_notified(b, "tok", "21");
        bed_free(b);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_goes_on),
                cmocka_unit_test(test_tells_the_state),
                cmocka_unit_test(test_stopped_in_order),
                cmocka_unit_test(test_composite),
                cmocka_unit_test(test_value_comes_later),
                cmocka_unit_test(test_value_never_comes),
                cmocka_unit_test(test_killed_in_a_burst),
                cmocka_unit_test(test_lifetime_passed),
                cmocka_unit_test(test_other_endpoint),
                cmocka_unit_test(test_full_register),
                cmocka_unit_test(test_account_gone),
                cmocka_unit_test(test_cancelled),
                cmocka_unit_test(test_damaged),
                cmocka_unit_test(test_numbers_go_up),
                cmocka_unit_test(test_numbers_are_renewed),
                cmocka_unit_test(test_cost),
                cmocka_unit_test(test_disk_full),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
