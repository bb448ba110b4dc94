/* SPDX-License-Identifier: Apache-2.0 */
/* Queue mode, seen through the whole client on virtual time. */
#include "client_fixture.h"

#include <errno.h>
#include <string.h>

static Bed *queue_bed(void) {
        Bed *b;

        fake_store_clear();
        b = bed_new();
        b->config.queue_mode = true;
        return b;
}

static void boot(Bed *b, uint32_t lifetime) {
        bed_boot(b);
        bed_add(b, 1, "coap://192.0.2.1:5683", lifetime);
        bed_start(b);
        bed_register(b, 1);
        bed_log(b, "+1 registration-complete@1");
}

static Bed *registered(void) {
        Bed *b = queue_bed();

        boot(b, 300);
        return b;
}

static Bed *registered_with(QueueSocket socket, bool at_once) {
        Bed *b = queue_bed();

        b->config.awake.socket = socket;
        b->config.awake.at_once = at_once;
        boot(b, 300);
        return b;
}

static const char *queue(const Bed *b, uint16_t ssid) {
        ServerInfo info;

        assert_int_equal(client_server_info(b->client, ssid, &info), 0);
        return info.queue;
}

static void activity(Bed *b, uint16_t ssid) {
        Link *l = bed_link(b, ssid);

        l->events.activity(l->owner, b->now);
        bed_advance(b, 0);
}

static void observe(Bed *b, const char *path) {
        g_auto(GStrv) parts = g_strsplit(path + 1, "/", -1);
        g_autoptr(GBytes) token = g_bytes_new("t", 1);
        Message m = MESSAGE_INIT(METHOD_GET);
        Link *l = bed_link(b, 1);

        m.path = (const char *const *) parts;
        m.observe = 0;
        m.token = token;
        fake_forget_answers(b->transport);
        l->events.request(l->owner, fake_exchange_new(b->transport), &m, b->now);
        assert_int_equal(fake_last_answer(b->transport)->code, CODE(2, 5));
        bed_advance(b, 0);
        bed_log(b, "");
}

/* The notification under way, or NULL. */
static Call *notification(const Bed *b) {
        Call *c = fake_open_call(b->transport, 0);

        return c && c->notified ? c : NULL;
}

static void acknowledge(Bed *b) {
        assert_non_null(notification(b));
        fake_call_end(notification(b), 0, b->now);
        activity(b, 1);
}

/* --- to sleep and back --- */

static void test_sleeps(void **state) {
        Bed *b = registered();
        ServerInfo info;

        assert_string_equal(queue(b, 1), "awake");
        bed_advance(b, 93 * SEC - 1);
        assert_false(bed_link(b, 1)->asleep);
        bed_log(b, "");
        bed_advance(b, 1);
        assert_true(bed_link(b, 1)->asleep);
        assert_true(bed_link(b, 1)->deaf);
        bed_log(b, "queue-mode-rx-off@1");
        assert_string_equal(b->details, "socket=stop-polling next-update=1764000290000000000");
        assert_int_equal(client_server_info(b->client, 1, &info), 0);
        assert_string_equal(info.queue, "asleep");
        assert_string_equal(info.state, "registered");
        assert_true(info.next_update_usec == b->now + 197 * SEC);
        assert_string_equal(client_state(b->client), "online");

        /* Nothing at all happens until the Update. */
        assert_true(timerq_next(b->timers) == b->now + 197 * SEC);
        bed_advance(b, 197 * SEC);
        assert_false(bed_link(b, 1)->asleep);
        assert_string_equal(bed_state(b, 1), "updating");
        assert_string_equal(queue(b, 1), "awake");
        bed_answer(b, 1, CODE(2, 4), NULL);
        bed_log(b, "reg-update@1 reg-update-complete@1");
        bed_advance(b, 92 * SEC);
        assert_string_equal(queue(b, 1), "awake");
        bed_advance(b, 1 * SEC);
        assert_string_equal(queue(b, 1), "asleep");
        bed_free(b);
}

static void test_activity(void **state) {
        Bed *b = registered();

        bed_advance(b, 50 * SEC);
        activity(b, 1);
        bed_advance(b, 92 * SEC);
        assert_string_equal(queue(b, 1), "awake");
        bed_advance(b, 1 * SEC);
        assert_string_equal(queue(b, 1), "asleep");
        bed_free(b);
}

static void test_without(void **state) {
        Bed *b = bed_new();

        fake_store_clear();
        boot(b, 300);
        assert_string_equal(queue(b, 1), "none");
        bed_advance(b, 200 * SEC);
        assert_string_equal(queue(b, 1), "none");
        assert_false(bed_link(b, 1)->asleep);
        bed_free(b);
}

/* LwM2M 1.0 has it in the binding. */
static void test_1_0(void **state) {
        Bed *b = queue_bed();

        b->config.version = (Version){ 1, 0 };
        b->config.awake.time_usec = 10 * SEC;
        bed_boot(b);
        bed_add(b, 1, "coap://192.0.2.1:5683", 300);
        bed_start(b);
        bed_up(b, 1);
        assert_string_equal(bed_request(b, 1)->query, "ep=dev&lt=300&lwm2m=1.0&b=UQ");
        assert_string_equal(queue(b, 1), "none");
        bed_answer(b, 1, CODE(2, 1), "/rd/1");
        assert_string_equal(queue(b, 1), "awake");
        bed_advance(b, 10 * SEC);
        assert_string_equal(queue(b, 1), "asleep");
        bed_free(b);
}

/* The server itself asks for it, and for the contrary, with 1/x/7: in force once it has the Update.
 */
static void test_binding_written(void **state) {
        static const char *const updates[] = { "b=U&Q", "b=U" };
        Bed *b = bed_new();

        fake_store_clear();
        boot(b, 300);
        bed_advance(b, 20 * SEC);
        for (unsigned i = 0; i < 2; i++) {
                assert_int_equal(bed_ask(b, 1, METHOD_PUT, "/1/0/7", i == 0 ? "UQ" : "U"),
                                 CODE(2, 4));
                assert_string_equal(queue(b, 1), i == 0 ? "none" : "awake");
                bed_advance(b, 15 * SEC);
                assert_string_equal(bed_request(b, 1)->query, updates[i]);
                bed_answer(b, 1, CODE(2, 4), NULL);
                assert_string_equal(queue(b, 1), i == 0 ? "awake" : "none");
        }
        bed_advance(b, 200 * SEC);
        assert_false(bed_link(b, 1)->asleep);
        bed_free(b);
}

/* Each server as its options say; without any as the client's do. */
static void test_several(void **state) {
        static const ServerOptions options[] = {
                { .ssid = 2,
                  .has_queue_mode = true,
                  .queue_mode = true,
                  .awake = { .time_usec = 20 * SEC, .socket = QUEUE_SOCKET_LISTEN } },
                { .ssid = 3, .has_queue_mode = true, .queue_mode = false },
                { .ssid = 4, .awake = { .time_usec = 30 * SEC, .socket = QUEUE_SOCKET_CLOSE } },
        };
        Bed *b = queue_bed();

        b->config.awake.time_usec = 10 * SEC;
        b->config.options = options;
        b->config.n_options = G_N_ELEMENTS(options);
        bed_boot(b);
        for (uint16_t ssid = 1; ssid <= 4; ssid++)
                bed_add(b, ssid, "coap://192.0.2.1:5683", 300);
        bed_start(b);
        for (uint16_t ssid = 1; ssid <= 4; ssid++) {
                bed_up(b, ssid);
                assert_string_equal(bed_request(b, ssid)->query,
                                    ssid == 3 ? "ep=dev&lt=300&lwm2m=1.1&b=U"
                                              : "ep=dev&lt=300&lwm2m=1.1&b=U&Q");
                bed_answer(b, ssid, CODE(2, 1), "/rd/x");
        }
        bed_advance(b, 10 * SEC);
        assert_string_equal(queue(b, 1), "asleep");
        assert_true(bed_link(b, 1)->deaf);
        assert_string_equal(queue(b, 2), "awake");
        bed_advance(b, 10 * SEC);
        assert_string_equal(queue(b, 2), "asleep");
        assert_false(bed_link(b, 2)->deaf);
        assert_string_equal(queue(b, 4), "awake");
        bed_advance(b, 10 * SEC);
        assert_string_equal(queue(b, 4), "asleep");
        assert_null(bed_link(b, 4));
        assert_string_equal(queue(b, 3), "none");
        bed_free(b);
}

/* A request that comes all the same, on a link that listens. */
static void test_listens(void **state) {
        Bed *b = registered_with(QUEUE_SOCKET_LISTEN, false);

        bed_advance(b, 93 * SEC);
        assert_true(bed_link(b, 1)->asleep);
        assert_false(bed_link(b, 1)->deaf);
        assert_int_equal(bed_ask(b, 1, METHOD_GET, "/1/0/1", NULL), CODE(2, 5));
        activity(b, 1);
        assert_string_equal(queue(b, 1), "awake");
        assert_false(bed_link(b, 1)->asleep);
        assert_null(bed_request(b, 1)); /* that needs no Update */
        bed_advance(b, 93 * SEC);
        assert_string_equal(queue(b, 1), "asleep");
        bed_free(b);
}

/* Another address is asked for on the way back, and the name may have become another one. */
static void test_closes(void **state) {
        Bed *b = registered_with(QUEUE_SOCKET_CLOSE, false);

        bed_advance(b, 93 * SEC);
        assert_null(bed_link(b, 1));
        assert_string_equal(queue(b, 1), "asleep");
        assert_string_equal(bed_state(b, 1), "registered");
        assert_string_equal(client_state(b->client), "online");
        bed_log(b, "queue-mode-rx-off@1");
        assert_string_equal(b->details, "socket=close next-update=1764000290000000000");
        assert_true(timerq_next(b->timers) == b->now + 197 * SEC);
        bed_advance(b, 197 * SEC);
        assert_non_null(bed_link(b, 1));
        assert_string_equal(bed_state(b, 1), "connecting");
        bed_up(b, 1);
        assert_string_equal(bed_request(b, 1)->path, "/rd/1");
        bed_answer(b, 1, CODE(2, 4), NULL);
        bed_log(b, "reg-update@1 reg-update-complete@1");
        assert_string_equal(queue(b, 1), "awake");
        bed_free(b);
}

/* The server ends a connection that is idle: nobody is woken for it, and what is due later makes a
 * new one. */
static void test_lost_asleep(void **state) {
        Bed *b = registered_with(QUEUE_SOCKET_LISTEN, true);
        Link *l;

        observe(b, "/3/0");
        bed_advance(b, 93 * SEC);
        bed_log(b, "queue-mode-rx-off@1");
        l = bed_link(b, 1);
        l->events.down(l->owner, -ESTALE, "closed", b->now);
        bed_advance(b, 0);
        assert_null(bed_link(b, 1));
        assert_string_equal(queue(b, 1), "asleep");
        assert_string_equal(bed_state(b, 1), "registered");
        bed_log(b, "");
        bed_advance(b, 30 * SEC);
        assert_null(bed_link(b, 1));
        bed_set(b, "/3/0/1", value_text(VALUE_STRING, "box", 3));
        bed_advance(b, 0);
        assert_string_equal(bed_state(b, 1), "connecting");
        bed_up(b, 1);
        assert_string_equal(bed_request(b, 1)->path, "/rd/1");
        bed_answer(b, 1, CODE(2, 4), NULL);
        acknowledge(b);
        bed_log(b, "reg-update@1 reg-update-complete@1");
        /* Awake it is an outage. */
        l = bed_link(b, 1);
        l->events.down(l->owner, -ESTALE, "closed", b->now);
        bed_advance(b, 0);
        assert_string_equal(bed_state(b, 1), "connecting");
        bed_log(b, "disconnect@1");
        bed_free(b);
}

/* --- what keeps awake --- */

static void test_busy(void **state) {
        Bed *b = registered();

        b->transport->busy_until = b->now + 150 * SEC; /* a body half transferred */
        bed_advance(b, 149 * SEC);
        assert_string_equal(queue(b, 1), "awake");
        bed_advance(b, 1 * SEC);
        assert_string_equal(queue(b, 1), "asleep");
        bed_free(b);
}

/* A notification that is not acknowledged; its end is activity. */
static void test_unacknowledged(void **state) {
        Bed *b = registered();

        observe(b, "/3/0");
        bed_advance(b, 60 * SEC);
        bed_set(b, "/3/0/1", value_text(VALUE_STRING, "box", 3));
        bed_advance(b, 0);
        bed_advance(b, 120 * SEC);
        assert_string_equal(queue(b, 1), "awake");
        acknowledge(b);
        bed_advance(b, 92 * SEC);
        assert_string_equal(queue(b, 1), "awake");
        bed_advance(b, 1 * SEC);
        assert_string_equal(queue(b, 1), "asleep");
        bed_free(b);
}

/* Something came in just now: it is dealt with before anything else. */
static void test_just_in_time(void **state) {
        Bed *b = registered();

        b->transport->sleep_error = -EBUSY;
        bed_advance(b, 93 * SEC);
        assert_string_equal(queue(b, 1), "awake");
        activity(b, 1);
        b->transport->sleep_error = 0;
        bed_advance(b, 92 * SEC);
        assert_string_equal(queue(b, 1), "awake");
        bed_advance(b, 1 * SEC);
        assert_string_equal(queue(b, 1), "asleep");

        /* It was nothing for us: no activity, and the link is quiet a second later. */
        bed_advance(b, 104 * SEC);
        bed_answer(b, 1, CODE(2, 4), NULL);
        b->transport->sleep_error = -EBUSY;
        bed_advance(b, 93 * SEC);
        b->transport->sleep_error = 0;
        assert_string_equal(queue(b, 1), "awake");
        bed_advance(b, 1 * SEC);
        assert_string_equal(queue(b, 1), "asleep");
        bed_free(b);
}

static void test_hold(void **state) {
        Bed *b = registered();

        for (uint16_t ssid = 0; ssid <= 1; ssid++) {
                assert_int_equal(client_hold_awake(b->client, ssid), 0);
                assert_int_equal(client_hold_awake(b->client, ssid), 0);
                bed_advance(b, 100 * SEC);
                assert_string_equal(queue(b, 1), "awake");
                assert_int_equal(client_release_awake(b->client, ssid, b->now), 0);
                bed_advance(b, 93 * SEC);
                assert_string_equal(queue(b, 1), "awake");
                assert_int_equal(client_release_awake(b->client, ssid, b->now), 0);
                bed_advance(b, 92 * SEC);
                assert_string_equal(queue(b, 1), "awake");
                bed_advance(b, 1 * SEC);
                assert_string_equal(queue(b, 1), "asleep");
                bed_advance(b, 4 * SEC);
                bed_answer(b, 1, CODE(2, 4), NULL);
        }
        assert_int_equal(client_hold_awake(b->client, 9), -ENOENT);
        assert_int_equal(client_release_awake(b->client, 9, b->now), -ENOENT);
        bed_free(b);
}

/* An Update that is due in a moment comes first. */
static void test_update_is_due(void **state) {
        Bed *b = registered();

        bed_advance(b, 93 * SEC - SEC / 2);
        bed_create(b, "/3303/0");
        bed_advance(b, SEC / 2);
        assert_string_equal(queue(b, 1), "awake");
        bed_delete(b, "/3303/0"); /* and then there is nothing to tell */
        bed_advance(b, SEC);
        assert_null(bed_request(b, 1));
        assert_string_equal(queue(b, 1), "asleep");
        bed_free(b);
}

/* --- data while asleep --- */

static void test_data(void **state) {
        Bed *b = registered();

        observe(b, "/3/0");
        bed_advance(b, 93 * SEC);
        bed_log(b, "queue-mode-rx-off@1");
        bed_set(b, "/3/0/1", value_text(VALUE_STRING, "box", 3));
        bed_advance(b, 0);
        assert_string_equal(bed_state(b, 1), "updating");
        assert_null(notification(b));
        bed_set(b, "/3/0/1", value_text(VALUE_STRING, "crate", 5));
        bed_advance(b, 1 * SEC);
        assert_int_equal(fake_n_open(b->transport), 1); /* one Update */
        bed_answer(b, 1, CODE(2, 4), NULL);
        assert_non_null(notification(b));
        acknowledge(b);
        bed_advance(b, 0);
        assert_int_equal(fake_n_open(b->transport), 0);
        bed_log(b, "reg-update@1 reg-update-complete@1");
        bed_advance(b, 92 * SEC);
        assert_string_equal(queue(b, 1), "awake");
        bed_advance(b, 1 * SEC);
        assert_string_equal(queue(b, 1), "asleep");
        bed_free(b);
}

/* The server has forgotten us: Register, and its observations are gone as ever. */
static void test_data_forgotten(void **state) {
        Bed *b = registered();

        observe(b, "/3/0");
        bed_advance(b, 93 * SEC);
        bed_log(b, "queue-mode-rx-off@1");
        bed_set(b, "/3/0/1", value_text(VALUE_STRING, "box", 3));
        bed_advance(b, 0);
        bed_answer(b, 1, CODE(4, 4), NULL);
        assert_string_equal(bed_request(b, 1)->path, "/rd");
        assert_null(notification(b));
        bed_answer(b, 1, CODE(2, 1), "/rd/2");
        bed_log(b, "reg-update@1 registration-failure@1 "
                   "registration-complete@1");
        assert_int_equal(fake_n_open(b->transport), 0);
        assert_string_equal(queue(b, 1), "awake");
        bed_free(b);
}

static void test_data_at_once(void **state) {
        Bed *b = registered_with(QUEUE_SOCKET_STOP_POLLING, true);

        observe(b, "/3/0");
        bed_advance(b, 93 * SEC);
        bed_log(b, "queue-mode-rx-off@1");
        bed_set(b, "/3/0/1", value_text(VALUE_STRING, "box", 3));
        bed_advance(b, 0);
        assert_string_equal(bed_state(b, 1), "registered");
        assert_string_equal(queue(b, 1), "awake");
        assert_false(bed_link(b, 1)->asleep);
        acknowledge(b);
        bed_log(b, ""); /* and no Update */
        bed_advance(b, 93 * SEC);
        assert_string_equal(queue(b, 1), "asleep");
        bed_free(b);
}

/* The box itself was off for longer than the lifetime: nothing leaves before a Register. */
static void test_data_too_late(void **state) {
        Bed *b = registered_with(QUEUE_SOCKET_STOP_POLLING, true);

        observe(b, "/3/0");
        bed_advance(b, 93 * SEC);
        bed_log(b, "queue-mode-rx-off@1");
        b->now += 300 * SEC;
        bed_set(b, "/3/0/1", value_text(VALUE_STRING, "box", 3));
        bed_advance(b, 0);
        assert_null(notification(b));
        assert_string_equal(bed_request(b, 1)->path, "/rd");
        bed_log(b, "reg-timeout@1");
        bed_free(b);
}

static void test_data_closed(void **state) {
        Bed *b = registered_with(QUEUE_SOCKET_CLOSE, false);

        observe(b, "/3/0");
        bed_advance(b, 93 * SEC);
        assert_null(bed_link(b, 1));
        bed_set(b, "/3/0/1", value_text(VALUE_STRING, "box", 3));
        bed_advance(b, 0);
        assert_string_equal(bed_state(b, 1), "connecting");
        assert_string_equal(queue(b, 1), "awake");
        /* A newer value takes its place: the server is not away, which would store both. */
        bed_set(b, "/3/0/1", value_text(VALUE_STRING, "crate", 5));
        bed_advance(b, SEC / 2);
        bed_up(b, 1);
        assert_null(notification(b));
        assert_string_equal(bed_state(b, 1), "updating");
        bed_answer(b, 1, CODE(2, 4), NULL);
        acknowledge(b);
        assert_int_equal(fake_n_open(b->transport), 0);
        bed_log(b, "queue-mode-rx-off@1 reg-update@1 reg-update-complete@1");
        bed_free(b);
}

/* The wake-up finds nobody; the notification waits for the next attempt. */
static void test_data_unanswered(void **state) {
        Bed *b = registered_with(QUEUE_SOCKET_CLOSE, false);
        Link *l;

        observe(b, "/3/0");
        bed_advance(b, 93 * SEC);
        bed_set(b, "/3/0/1", value_text(VALUE_STRING, "box", 3));
        bed_advance(b, 0);
        l = bed_link(b, 1);
        l->events.down(l->owner, -ENETUNREACH, "no route", b->now);
        bed_advance(b, 0);
        assert_string_equal(bed_state(b, 1), "failed");
        assert_string_equal(queue(b, 1), "none");
        bed_log(b, "queue-mode-rx-off@1 registration-failure@1");
        bed_advance(b, 70 * SEC);
        bed_up(b, 1);
        assert_string_equal(bed_state(b, 1), "updating");
        bed_answer(b, 1, CODE(2, 4), NULL);
        assert_non_null(notification(b));
        bed_free(b);
}

/* --- times --- the earliest of UpdatePeriod and lifetime less early wins, 15 s at least */

static void expect_interval(Bed *b, uint32_t lifetime, uint64_t seconds) {
        ServerInfo info;

        b->config.awake.time_usec = 5 * SEC;
        boot(b, lifetime);
        bed_advance(b, 5 * SEC);
        bed_log(b, "queue-mode-rx-off@1");
        assert_int_equal(client_server_info(b->client, 1, &info), 0);
        if (seconds == 0) {
                assert_true(info.next_update_usec == USEC_INFINITY);
                assert_string_equal(b->details, "socket=stop-polling");
                assert_true(timerq_next(b->timers) == USEC_INFINITY);
                bed_advance(b, 1000000 * SEC);
                assert_string_equal(queue(b, 1), "asleep");
        } else {
                bed_advance(b, (seconds - 5) * SEC - 1);
                assert_null(bed_request(b, 1));
                bed_advance(b, 1);
                assert_non_null(bed_request(b, 1));
        }
        bed_free(b);
}

static void test_times(void **state) {
        static const struct {
                uint32_t lifetime, period, early, expected;
        } cases[] = {
                { 300, 0, 10, 290 }, { 300, 100, 10, 100 }, { 300, 1000, 10, 290 },
                { 300, 0, 250, 50 }, { 300, 0, 400, 15 },   { 300, 5, 10, 15 },
                { 0, 0, 10, 0 },     { 0, 600, 10, 600 },
        };

        for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
                Bed *b = queue_bed();

                b->config.update_period_sec = cases[i].period;
                b->config.update_early_sec = cases[i].early;
                b->config.lifetime_sec = cases[i].lifetime;
                expect_interval(b, cases[i].lifetime, cases[i].expected);
        }
}

/* A lifetime shorter than the awake time leaves none for sleeping. */
static void test_short_lifetime(void **state) {
        Bed *b = queue_bed();

        boot(b, 60);
        for (unsigned i = 0; i < 5; i++) {
                bed_advance(b, 50 * SEC);
                bed_answer(b, 1, CODE(2, 4), NULL);
                assert_string_equal(queue(b, 1), "awake");
        }
        bed_free(b);
}

/* With a lifetime for ever, data wake all the same. */
static void test_forever(void **state) {
        Bed *b = queue_bed();

        b->config.lifetime_sec = 0;
        boot(b, 0);
        observe(b, "/3/0");
        bed_advance(b, 1000000 * SEC);
        assert_string_equal(queue(b, 1), "asleep");
        bed_log(b, "queue-mode-rx-off@1");
        bed_set(b, "/3/0/1", value_text(VALUE_STRING, "box", 3));
        bed_advance(b, 0);
        bed_answer(b, 1, CODE(2, 4), NULL);
        acknowledge(b);
        bed_free(b);
}

/* --- what users and servers want of somebody asleep --- */

static void test_update(void **state) {
        Bed *b = registered();

        bed_advance(b, 93 * SEC);
        assert_int_equal(client_update(b->client, 1, b->now), 0);
        bed_advance(b, 0);
        assert_false(bed_link(b, 1)->asleep);
        assert_string_equal(bed_state(b, 1), "updating");
        bed_free(b);
}

/* 1/x/8 while awake, and the objects that change meanwhile. */
static void test_trigger(void **state) {
        Bed *b = registered();

        bed_advance(b, 80 * SEC);
        assert_int_equal(bed_ask(b, 1, METHOD_POST, "/1/0/8", NULL), CODE(2, 4));
        bed_advance(b, 0);
        bed_answer(b, 1, CODE(2, 4), NULL);
        bed_advance(b, 93 * SEC);
        assert_string_equal(queue(b, 1), "asleep");
        bed_create(b, "/3303/0");
        bed_advance(b, 1 * SEC);
        assert_non_null(strstr(fake_text(bed_request(b, 1)), "</3303/0>"));
        bed_answer(b, 1, CODE(2, 4), NULL);
        assert_string_equal(queue(b, 1), "awake");
        bed_free(b);
}

static void test_pause(void **state) {
        for (unsigned i = 0; i < 2; i++) {
                Bed *b = registered_with(i ? QUEUE_SOCKET_CLOSE : QUEUE_SOCKET_STOP_POLLING, false);

                bed_advance(b, 93 * SEC);
                assert_int_equal(client_pause(b->client, b->now), 0);
                bed_advance(b, 20 * SEC);
                assert_string_equal(queue(b, 1), "none");
                assert_int_equal(client_resume(b->client, b->now), 0);
                bed_advance(b, 0);
                bed_up(b, 1);
                assert_string_equal(bed_state(b, 1), "updating");
                bed_answer(b, 1, CODE(2, 4), NULL);
                bed_advance(b, 93 * SEC);
                assert_string_equal(queue(b, 1), "asleep");
                bed_free(b);
        }
}

static void on_stopped(void *userdata) {
        ((Bed *) userdata)->n_stopped++;
}

static void test_stop(void **state) {
        static const QueueSocket sockets[] = { QUEUE_SOCKET_STOP_POLLING, QUEUE_SOCKET_LISTEN,
                                               QUEUE_SOCKET_CLOSE };

        for (size_t i = 0; i < G_N_ELEMENTS(sockets); i++) {
                Bed *b = registered_with(sockets[i], false);

                bed_advance(b, 93 * SEC);
                assert_int_equal(client_stop(b->client, false, on_stopped, b, b->now), 0);
                bed_advance(b, 0);
                if (sockets[i] == QUEUE_SOCKET_CLOSE)
                        bed_up(b, 1);
                assert_int_equal(bed_request(b, 1)->code, METHOD_DELETE);
                bed_answer(b, 1, CODE(2, 2), NULL);
                assert_int_equal(b->n_stopped, 1);
                bed_free(b);
        }
}

static void test_disable(void **state) {
        static const QueueSocket sockets[] = { QUEUE_SOCKET_STOP_POLLING, QUEUE_SOCKET_CLOSE };

        for (size_t i = 0; i < G_N_ELEMENTS(sockets); i++) {
                Bed *b = registered_with(sockets[i], false);

                bed_advance(b, 93 * SEC);
                assert_int_equal(client_disable(b->client, 1, 60, b->now), 0);
                bed_advance(b, 0);
                if (sockets[i] == QUEUE_SOCKET_CLOSE)
                        bed_up(b, 1);
                bed_answer(b, 1, CODE(2, 2), NULL);
                assert_string_equal(bed_state(b, 1), "disabled");
                assert_string_equal(queue(b, 1), "none");
                bed_advance(b, 60 * SEC);
                bed_register(b, 1);
                bed_free(b);
        }
}

/* 1/x/4 from the server: the answer, then away, not asleep. */
static void test_disabled_by_server(void **state) {
        Bed *b = registered();

        bed_advance(b, 92 * SEC);
        assert_int_equal(bed_ask(b, 1, METHOD_POST, "/1/0/4", NULL), CODE(2, 4));
        bed_advance(b, 0);
        assert_int_equal(bed_request(b, 1)->code, METHOD_DELETE);
        bed_advance(b, 2 * SEC);
        assert_false(bed_link(b, 1)->asleep);
        bed_answer(b, 1, CODE(2, 2), NULL);
        assert_string_equal(bed_state(b, 1), "disabled");
        bed_free(b);
}

static void test_account_removed(void **state) {
        Bed *b = registered();

        observe(b, "/3/0");
        bed_advance(b, 93 * SEC);
        assert_int_equal(client_remove_account(b->client, 1, b->now), 0);
        bed_advance(b, 0);
        assert_int_equal(bed_request(b, 1)->code, METHOD_DELETE);
        bed_answer(b, 1, CODE(2, 2), NULL);
        bed_free(b);
}

/* kill -9 while asleep: goes on with an Update. */
static void test_killed(void **state) {
        Bed *b = registered_with(QUEUE_SOCKET_CLOSE, false);

        bed_advance(b, 93 * SEC);
        bed_reboot(b, 10);
        bed_start(b);
        bed_up(b, 1);
        assert_string_equal(bed_request(b, 1)->path, "/rd/1");
        bed_answer(b, 1, CODE(2, 4), NULL);
        bed_advance(b, 93 * SEC);
        assert_string_equal(queue(b, 1), "asleep");
        bed_free(b);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_sleeps),
                cmocka_unit_test(test_activity),
                cmocka_unit_test(test_without),
                cmocka_unit_test(test_1_0),
                cmocka_unit_test(test_binding_written),
                cmocka_unit_test(test_several),
                cmocka_unit_test(test_listens),
                cmocka_unit_test(test_closes),
                cmocka_unit_test(test_lost_asleep),
                cmocka_unit_test(test_busy),
                cmocka_unit_test(test_unacknowledged),
                cmocka_unit_test(test_just_in_time),
                cmocka_unit_test(test_hold),
                cmocka_unit_test(test_update_is_due),
                cmocka_unit_test(test_data),
                cmocka_unit_test(test_data_forgotten),
                cmocka_unit_test(test_data_at_once),
                cmocka_unit_test(test_data_too_late),
                cmocka_unit_test(test_data_closed),
                cmocka_unit_test(test_data_unanswered),
                cmocka_unit_test(test_times),
                cmocka_unit_test(test_short_lifetime),
                cmocka_unit_test(test_forever),
                cmocka_unit_test(test_update),
                cmocka_unit_test(test_trigger),
                cmocka_unit_test(test_pause),
                cmocka_unit_test(test_stop),
                cmocka_unit_test(test_disable),
                cmocka_unit_test(test_disabled_by_server),
                cmocka_unit_test(test_account_removed),
                cmocka_unit_test(test_killed),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
