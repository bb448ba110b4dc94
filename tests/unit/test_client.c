/* SPDX-License-Identifier: Apache-2.0 */
#include "client_fixture.h"

#include <errno.h>
#include <string.h>

#define LINKS_1_1 "</>;rt=\"oma.lwm2m\";ct=\"60 110 112 11542 11543\""

static Bed *started(void) {
        Bed *b;

        fake_store_clear();
        b = bed_new();
        bed_boot(b);
        bed_add(b, 1, "coap://192.0.2.1:5683", 300);
        bed_log(b, "+1");
        bed_start(b);
        return b;
}

static Bed *registered(void) {
        Bed *b = started();

        bed_register(b, 1);
        bed_log(b, "registration-complete@1");
        return b;
}

static void test_register(void **state) {
        Bed *b = started();
        const FakeMessage *m;
        ServerInfo info;

        assert_string_equal(bed_link(b, 1)->uri, "coap://192.0.2.1:5683");
        assert_string_equal(bed_state(b, 1), "connecting");
        assert_string_equal(client_state(b->client), "registering");
        bed_up(b, 1);
        m = bed_request(b, 1);
        assert_int_equal(m->code, METHOD_POST);
        assert_true(m->confirmable);
        assert_string_equal(m->path, "/rd");
        assert_string_equal(m->query, "ep=dev&lt=300&lwm2m=1.1&b=U");
        assert_int_equal(m->format, FORMAT_LINK);
        assert_string_equal(fake_text(m), LINKS_1_1 ",</1/0>,</3/0>");

        bed_answer(b, 1, CODE(2, 1), "/rd/a/b/c/d");
        assert_int_equal(client_server_info(b->client, 1, &info), 0);
        assert_string_equal(info.state, "registered");
        assert_string_equal(info.location, "/rd/a/b/c/d");
        assert_string_equal(info.uri, "coap://192.0.2.1:5683");
        assert_string_equal(info.security, "nosec");
        assert_string_equal(info.peer, "192.0.2.1:5683");
        assert_string_equal(info.last_error_code, "");
        assert_true(info.last_registered_ns == WALL_START_SEC * 1000000000);
        assert_true(info.next_update_usec == b->now + 290 * SEC);
        assert_int_equal(info.lifetime_sec, 300);
        assert_string_equal(client_state(b->client), "online");
        bed_log(b, "registration-complete@1");
        assert_string_equal(b->details, "location=/rd/a/b/c/d version=1.1 lifetime=300 "
                                        "next-update=1764000290000000000");

        bed_advance(b, 290 * SEC);
        m = bed_request(b, 1);
        assert_string_equal(m->path, "/rd/a/b/c/d");
        assert_string_equal(m->query, ""); /* nothing has changed */
        assert_null(m->payload);
        assert_int_equal(m->format, -1);
        bed_answer(b, 1, CODE(2, 4), NULL);
        bed_log(b, "reg-update@1 reg-update-complete@1");
        bed_free(b);
}

static void test_all_parameters(void **state) {
        Bed *b;

        fake_store_clear();
        b = bed_new();
        b->config.queue_mode = true;
        b->config.sms = (char *) "491701234567";
        b->config.version = (Version){ 1, 2 };
        bed_boot(b);
        bed_add(b, 7, "coap://192.0.2.7", 0);
        bed_start(b);
        bed_up(b, 7);
        assert_string_equal(bed_request(b, 7)->query,
                            "ep=dev&lt=300&lwm2m=1.2&b=U&Q&sms=491701234567");
        bed_free(b);

        b = bed_new();
        b->config.queue_mode = true;
        b->config.version = (Version){ 1, 0 };
        bed_boot(b);
        bed_add(b, 7, "coap://192.0.2.7", 0);
        bed_start(b);
        bed_up(b, 7);
        assert_string_equal(bed_request(b, 7)->query, "ep=dev&lt=300&lwm2m=1.0&b=UQ");
        bed_free(b);
}

static void test_falls_back(void **state) {
        Bed *b = started();
        ServerInfo info;

        bed_up(b, 1);
        bed_answer(b, 1, CODE(4, 12), NULL);
        assert_string_equal(bed_request(b, 1)->query, "ep=dev&lt=300&lwm2m=1.0&b=U");
        assert_string_equal(
                fake_text(bed_request(b, 1)),
                "</>;rt=\"oma.lwm2m\";ct=11543,</1>;ver=1.1,</1/0>,</3>;ver=1.1,</3/0>");
        bed_answer(b, 1, CODE(2, 1), "/rd/1");
        assert_int_equal(client_server_info(b->client, 1, &info), 0);
        assert_int_equal(info.version.minor, 0);
        bed_free(b);
}

static void test_needs_a_location(void **state) {
        Bed *b = started();

        bed_up(b, 1);
        bed_answer(b, 1, CODE(2, 1), NULL);
        assert_string_equal(bed_state(b, 1), "failed");
        bed_log(b, "registration-failure@1");
        assert_non_null(strstr(b->details, "no usable Location-Path"));
        bed_free(b);
}

static void test_failure_is_told(void **state) {
        Bed *b = started();
        ServerInfo info;

        bed_up(b, 1);
        bed_no_answer(b, 1, -ETIMEDOUT);
        bed_log(b, "reg-timeout@1");
        assert_int_equal(client_server_info(b->client, 1, &info), 0);
        assert_string_equal(info.last_error_code, "timeout");
        assert_string_equal(client_state(b->client), "offline");
        assert_true(g_str_has_prefix(b->details, "error=timeout text=Connection timed out "
                                                 "retry-at=17640000"));
        bed_advance(b, 66 * SEC);
        bed_up(b, 1);
        bed_answer(b, 1, CODE(4, 3), NULL);
        assert_true(g_str_has_prefix(b->details, "code=4.03 text=the server refused retry-at="));
        bed_advance(b, 140 * SEC);
        bed_register(b, 1);
        assert_int_equal(client_server_info(b->client, 1, &info), 0);
        assert_string_equal(info.last_error_code, "");
        bed_free(b);
}

static void test_lifetime_written(void **state) {
        Bed *b = registered();

        assert_int_equal(bed_ask(b, 1, METHOD_PUT, "/1/0/1", "310"), CODE(2, 4));
        bed_advance(b, 0);
        assert_string_equal(bed_request(b, 1)->query, "lt=310");
        assert_null(bed_request(b, 1)->payload);
        bed_answer(b, 1, CODE(2, 4), NULL);
        bed_log(b, "reg-update@1 reg-update-complete@1");
        bed_advance(b, 299 * SEC);
        assert_null(bed_request(b, 1));
        bed_advance(b, 1 * SEC);
        assert_string_equal(bed_request(b, 1)->query, "");
        bed_free(b);
}

static void test_lifetime_is_never_too_low(void **state) {
        Bed *b = registered();

        assert_int_equal(bed_ask(b, 1, METHOD_PUT, "/1/0/1", "299"), CODE(4, 0));
        assert_int_equal(bed_ask(b, 1, METHOD_PUT, "/1/0/1", "-1"), CODE(4, 0));
        assert_int_equal(bed_ask(b, 1, METHOD_PUT, "/1/0/1", "300"), CODE(2, 4));
        assert_int_equal(bed_ask(b, 1, METHOD_PUT, "/1/0/1", "0"), CODE(2, 4)); /* for ever */
        bed_advance(b, 0);
        assert_string_equal(bed_request(b, 1)->query, "lt=0");
        bed_free(b);
}

static void test_update_trigger(void **state) {
        Bed *b = registered();

        assert_int_equal(bed_ask(b, 1, METHOD_POST, "/1/0/8", NULL), CODE(2, 4));
        assert_null(bed_request(b, 1)); /* the answer leaves first */
        bed_advance(b, 0);
        assert_string_equal(bed_request(b, 1)->path, "/rd/1");
        bed_answer(b, 1, CODE(2, 4), NULL);
        assert_int_equal(bed_ask(b, 1, METHOD_POST, "/1/0/8", NULL), CODE(2, 4));
        bed_advance(b, 14 * SEC);
        assert_null(bed_request(b, 1));
        bed_advance(b, 1 * SEC);
        assert_non_null(bed_request(b, 1));
        bed_free(b);
}

static void test_bootstrap_trigger(void **state) {
        Bed *b = registered();

        assert_int_equal(bed_ask(b, 1, METHOD_POST, "/1/0/9", NULL), CODE(4, 5));
        bed_free(b);
}

static void test_instances_changed(void **state) {
        Bed *b = registered();

        bed_create(b, "/3303/0");
        bed_create(b, "/3303/4");
        bed_set(b, "/3303/0/5700", (Value){ .type = VALUE_FLOAT, .d = 21 });
        bed_advance(b, SEC - 1);
        assert_null(bed_request(b, 1));
        bed_advance(b, 1);
        assert_string_equal(fake_text(bed_request(b, 1)),
                            LINKS_1_1 ",</1/0>,</3/0>,</3303>;ver=1.1,</3303/0>,</3303/4>");
        assert_int_equal(bed_request(b, 1)->format, FORMAT_LINK);
        assert_string_equal(bed_request(b, 1)->query, "");
        bed_answer(b, 1, CODE(2, 4), NULL);
        bed_advance(b, 20 * SEC);
        assert_null(bed_request(b, 1));
        bed_set(b, "/3303/0/5700", (Value){ .type = VALUE_FLOAT, .d = 22 });
        bed_advance(b, 20 * SEC);
        assert_null(bed_request(b, 1)); /* a value is no change of the list */
        bed_delete(b, "/3303/4");
        bed_advance(b, SEC);
        assert_string_equal(fake_text(bed_request(b, 1)),
                            LINKS_1_1 ",</1/0>,</3/0>,</3303>;ver=1.1,</3303/0>");
        bed_free(b);
}

static void test_lost_registration(void **state) {
        Bed *b = registered();

        assert_int_equal(client_update(b->client, 0, b->now), 0);
        bed_advance(b, 0);
        bed_answer(b, 1, CODE(4, 4), NULL);
        assert_string_equal(bed_request(b, 1)->path, "/rd");
        assert_null(fake_store_get("registration-1"));
        bed_answer(b, 1, CODE(2, 1), "/rd/new");
        assert_string_equal(bed_state(b, 1), "registered");
        bed_free(b);
}

/* A server may ask before it has answered our Register. */
static void test_requests_during_registration(void **state) {
        Bed *b = started();

        bed_up(b, 1);
        assert_int_equal(bed_ask(b, 1, METHOD_GET, "/3/0/16", NULL), CODE(2, 5));
        bed_free(b);
}

static void test_disable(void **state) {
        Bed *b = registered();

        bed_set(b, "/1/0/5", value_int(60));
        bed_advance(b, 0);
        assert_int_equal(bed_ask(b, 1, METHOD_POST, "/1/0/4", NULL), CODE(2, 4));
        assert_null(bed_request(b, 1));
        bed_advance(b, 0);
        assert_int_equal(bed_request(b, 1)->code, METHOD_DELETE);
        assert_string_equal(bed_request(b, 1)->path, "/rd/1");
        bed_answer(b, 1, CODE(2, 2), NULL);
        bed_log(b, "deregister@1 disconnect@1 server-disabled@1");
        assert_string_equal(b->details, "retry-at=1764000060000000000");
        assert_string_equal(client_state(b->client), "disabled");
        assert_null(bed_link(b, 1));
        bed_advance(b, 59 * SEC);
        assert_null(bed_link(b, 1));
        bed_advance(b, 1 * SEC);
        bed_register(b, 1);
        bed_free(b);
}

static void on_stopped(void *userdata) {
        ((Bed *) userdata)->n_stopped++;
}

static void test_stop(void **state) {
        Bed *b = registered();

        assert_int_equal(client_stop(b->client, false, on_stopped, b, b->now), 0);
        assert_int_equal(client_stop(b->client, false, on_stopped, b, b->now), -ESHUTDOWN);
        assert_int_equal(client_start(b->client, NULL, b->now), -EALREADY);
        bed_advance(b, 0);
        assert_int_equal(bed_request(b, 1)->code, METHOD_DELETE);
        assert_int_equal(b->n_stopped, 0);
        bed_answer(b, 1, CODE(2, 2), NULL);
        assert_int_equal(b->n_stopped, 1);
        bed_log(b, "deregister@1 disconnect@1");
        assert_string_equal(client_state(b->client), "stopped");
        assert_null(bed_link(b, 1));
        assert_null(fake_store_get("registration-1"));
        assert_int_equal(client_update(b->client, 1, b->now), -ESHUTDOWN);
        assert_int_equal(client_start(b->client, "other", b->now), 0);
        bed_up(b, 1);
        assert_true(g_str_has_prefix(bed_request(b, 1)->query, "ep=other&"));
        bed_free(b);
}

static void test_stop_is_bounded(void **state) {
        Bed *b = registered();

        client_stop(b->client, false, on_stopped, b, b->now);
        bed_advance(b, 5 * SEC);
        assert_int_equal(b->n_stopped, 1);
        assert_int_equal(fake_n_open(b->transport), 0);
        assert_null(bed_link(b, 1));
        bed_free(b);
}

/* A forced stop does not make whoever waits for the gentle one wait for ever. */
static void test_two_stops(void **state) {
        Bed *b = registered();

        assert_int_equal(client_stop(b->client, false, on_stopped, b, b->now), 0);
        assert_int_equal(client_stop(b->client, true, on_stopped, b, b->now), 0);
        bed_advance(b, 0);
        assert_int_equal(b->n_stopped, 2);
        assert_int_equal(client_start(b->client, NULL, b->now), 0);
        assert_int_equal(client_stop(b->client, false, on_stopped, b, b->now), 0);
        for (int i = 1; i < 64; i++)
                assert_int_equal(client_stop(b->client, true, on_stopped, b, b->now), 0);
        assert_int_equal(client_stop(b->client, true, on_stopped, b, b->now), -EBUSY);
        bed_advance(b, 0);
        assert_int_equal(b->n_stopped, 66);
        bed_free(b);
}

static void test_forced_stop(void **state) {
        Bed *b = registered();

        client_stop(b->client, true, on_stopped, b, b->now);
        assert_int_equal(b->n_stopped, 0); /* never from within */
        bed_advance(b, 0);
        assert_int_equal(b->n_stopped, 1);
        assert_int_equal(fake_n_open(b->transport), 0);
        /* The server still has us: another start goes on from there, under the same name only. */
        assert_int_equal(client_start(b->client, NULL, b->now), 0);
        bed_up(b, 1);
        assert_string_equal(bed_request(b, 1)->path, "/rd/1");
        client_stop(b->client, true, NULL, NULL, b->now);
        bed_advance(b, 0);
        assert_int_equal(client_start(b->client, "other", b->now), 0);
        bed_up(b, 1);
        assert_string_equal(bed_request(b, 1)->path, "/rd");
        bed_free(b);
}

static void test_pause(void **state) {
        Bed *b = registered();

        assert_int_equal(client_resume(b->client, b->now), -EALREADY);
        assert_int_equal(client_pause(b->client, b->now), 0);
        assert_int_equal(client_pause(b->client, b->now), 0);
        bed_log(b, "engine-suspended@0");
        assert_string_equal(client_state(b->client), "paused");
        assert_int_equal(client_update(b->client, 1, b->now), -ENOTCONN);
        bed_advance(b, 100 * SEC);
        assert_null(bed_link(b, 1));
        bed_log(b, "");
        assert_int_equal(client_resume(b->client, b->now), 0);
        bed_up(b, 1);
        assert_string_equal(bed_request(b, 1)->path, "/rd/1");
        bed_answer(b, 1, CODE(2, 4), NULL);

        client_pause(b->client, b->now);
        bed_advance(b, 301 * SEC);
        client_resume(b->client, b->now);
        bed_up(b, 1);
        assert_string_equal(bed_request(b, 1)->path, "/rd");
        bed_free(b);
}

static void test_system_sleep(void **state) {
        Bed *b = registered();

        client_sleep(b->client, b->now);
        bed_log(b, "engine-suspended@0");
        assert_string_equal(b->details, "reason=system sleep");
        assert_null(bed_link(b, 1));
        b->now += 100 * SEC; /* nothing runs */
        client_wake(b->client, b->now);
        bed_up(b, 1);
        assert_string_equal(bed_request(b, 1)->path, "/rd/1");
        bed_answer(b, 1, CODE(2, 4), NULL);

        client_sleep(b->client, b->now);
        b->now += 301 * SEC; /* longer than the lifetime */
        client_wake(b->client, b->now);
        bed_up(b, 1);
        assert_string_equal(bed_request(b, 1)->path, "/rd");
        bed_answer(b, 1, CODE(2, 1), "/rd/1");

        client_sleep(b->client, b->now);
        client_wake(b->client, b->now);
        client_wake(b->client, b->now); /* once is enough */
        bed_up(b, 1);
        bed_free(b);
}

static void test_sleep_and_pause(void **state) {
        Bed *b = registered();

        client_pause(b->client, b->now);
        client_sleep(b->client, b->now);
        client_wake(b->client, b->now);
        assert_true(client_is_paused(b->client)); /* as somebody wanted */
        client_resume(b->client, b->now);
        client_sleep(b->client, b->now);
        client_pause(b->client, b->now);
        client_wake(b->client, b->now);
        assert_true(client_is_paused(b->client));
        client_resume(b->client, b->now);
        client_stop(b->client, true, NULL, NULL, b->now);
        bed_advance(b, 0);
        client_sleep(b->client, b->now);
        client_wake(b->client, b->now);
        assert_false(client_is_running(b->client));
        bed_free(b);
}

static void test_account_during_pause(void **state) {
        Bed *b = registered();

        client_pause(b->client, b->now);
        bed_add(b, 2, "coap://192.0.2.2", 0);
        bed_advance(b, 10 * SEC);
        assert_null(bed_link(b, 2));
        client_resume(b->client, b->now);
        assert_non_null(bed_link(b, 2));
        bed_free(b);
}

static void test_restart(void **state) {
        Bed *b = registered();

        bed_reboot(b, 100);
        bed_start(b);
        bed_up(b, 1);
        assert_string_equal(bed_request(b, 1)->path, "/rd/1");
        assert_string_equal(bed_request(b, 1)->query, "");
        assert_null(bed_request(b, 1)->payload);
        bed_answer(b, 1, CODE(2, 4), NULL);
        bed_reboot(b, 299); /* the Update began a new lifetime */
        bed_create(b, "/3303/0");
        bed_start(b);
        bed_up(b, 1);
        assert_string_equal(bed_request(b, 1)->path, "/rd/1");
        assert_non_null(bed_request(b, 1)->payload); /* what changed meanwhile */
        bed_reboot(b, 301);
        bed_start(b);
        bed_up(b, 1);
        assert_string_equal(bed_request(b, 1)->path, "/rd");
        bed_free(b);
}

static void expect_register_after(Bed *b) {
        bed_start(b);
        bed_up(b, 1);
        assert_string_equal(bed_request(b, 1)->path, "/rd");
        bed_free(b);
}

/* From another port a server without security takes us for somebody else. */
static void test_restart_at_the_same_place(void **state) {
        Bed *b = registered();

        bed_link(b, 1)->place = (LinkPlace){ .port = 41000, .mid_lead = 7 };
        assert_int_equal(client_update(b->client, 1, b->now), 0);
        bed_advance(b, 0);
        bed_answer(b, 1, CODE(2, 4), NULL);
        bed_reboot(b, 10);
        bed_start(b);
        assert_int_equal(bed_link(b, 1)->place.port, 41000);
        assert_int_equal(bed_link(b, 1)->place.mid_lead, 7);
        bed_free(b);
}

static void test_restart_with_doubts(void **state) {
        g_autoptr(GBytes) junk = g_bytes_new_static("junk", 4);
        g_autoptr(GBytes) cut = NULL;
        Bed *b = registered();

        b->config.endpoint = (char *) "other";
        bed_reboot(b, 10);
        expect_register_after(b);

        b = registered();
        b->config.version = (Version){ 1, 0 };
        bed_reboot(b, 10);
        expect_register_after(b);

        b = registered();
        fake_wall_offset_ns = -INT64_C(3600) * 1000000000; /* the clock went back */
        bed_reboot(b, 10);
        expect_register_after(b);

        b = registered();
        fake_store_set("registration-1", junk);
        bed_reboot(b, 10);
        expect_register_after(b);

        b = registered();
        for (size_t n = g_bytes_get_size(fake_store_get("registration-1")); n-- > 0;) {
                GBytes *whole = g_bytes_ref(fake_store_get("registration-1"));

                cut = g_bytes_new_from_bytes(whole, 0, n);
                fake_store_set("registration-1", cut);
                g_clear_pointer(&cut, g_bytes_unref);
                bed_reboot(b, 0);
                bed_start(b);
                bed_up(b, 1);
                assert_string_equal(bed_request(b, 1)->path, "/rd");
                fake_store_set("registration-1", whole);
                g_bytes_unref(whole);
        }
        bed_free(b);
}

/* Registered is registered, whether or not the disk has room. */
static void test_full_disk(void **state) {
        Bed *b = started();

        fake_store_error = -ENOSPC;
        bed_register(b, 1);
        bed_free(b);
}

static void test_many_servers(void **state) {
        size_t n;
        Bed *b;

        fake_store_clear();
        b = bed_new();
        bed_boot(b);
        bed_add(b, 4, "coap://silent.example", 0);
        bed_add(b, 3, "coap://refusing.example", 0);
        bed_add(b, 2, "coap://unresolvable.example", 0);
        bed_add(b, 1, "coap://good.example", 0);
        g_autofree uint16_t *ids = client_servers(b->client, &n);
        assert_int_equal(n, 4);
        assert_int_equal(ids[0], 1);
        assert_int_equal(ids[3], 4);
        bed_start(b);
        assert_string_equal(bed_state(b, 2), "resolving");
        bed_up(b, 4);
        bed_up(b, 3);
        bed_link(b, 2)->events.down(bed_link(b, 2)->owner, -ENOENT, "no such name", b->now);
        bed_no_answer(b, 3, -ECONNREFUSED);
        bed_register(b, 1); /* and no time has passed */
        assert_string_equal(client_state(b->client), "online");
        assert_string_equal(bed_state(b, 2), "failed");
        assert_string_equal(bed_state(b, 3), "failed");
        assert_string_equal(bed_state(b, 4), "registering");
        bed_free(b);
}

static void add_ordered(Bed *b, uint16_t ssid, uint32_t priority, bool block) {
        g_autofree char *uri = g_strdup_printf("coap://192.0.2.%u", ssid);
        char path[PATH_TEXT_MAX];

        bed_add(b, ssid, uri, 0);
        bed_set(b, path_format(&PATH_OIR(1, ssid - 1, 13), path), value_uint(priority));
        bed_set(b, path_format(&PATH_OIR(1, ssid - 1, 15), path), value_bool(block));
        bed_set(b, path_format(&PATH_OIR(1, ssid - 1, 17), path), value_uint(1));
}

static void test_priority_order(void **state) {
        Bed *b;

        fake_store_clear();
        b = bed_new();
        bed_boot(b);
        add_ordered(b, 1, 30, false);
        add_ordered(b, 2, 20, true);
        add_ordered(b, 3, 10, false);
        bed_add(b, 4, "coap://192.0.2.4", 0); /* without priority: on its own */
        bed_set(b, "/1/0/14", value_uint(5));
        bed_advance(b, 0);
        bed_start(b);
        assert_non_null(bed_link(b, 4));
        assert_non_null(bed_link(b, 3));
        assert_null(bed_link(b, 2));
        assert_null(bed_link(b, 1));
        bed_up(b, 3);
        bed_answer(b, 3, CODE(4, 3), NULL); /* fails, and does not block */
        assert_non_null(bed_link(b, 2));
        assert_null(bed_link(b, 1));
        bed_up(b, 2);
        bed_answer(b, 2, CODE(4, 3), NULL); /* fails, and blocks */
        bed_advance(b, 10 * SEC);
        assert_null(bed_link(b, 1));
        assert_int_equal(client_register(b->client, 2, b->now), 0);
        bed_register(b, 2);
        bed_advance(b, 4 * SEC); /* 1/x/14 counts from the registration before */
        assert_null(bed_link(b, 1));
        bed_advance(b, 1 * SEC);
        bed_register(b, 1);
        bed_free(b);
}

static void test_accounts_are_followed(void **state) {
        Bed *b = registered();
        size_t n;

        bed_add(b, 2, "coap://192.0.2.2", 0);
        bed_log(b, "+2");
        bed_register(b, 2);
        bed_log(b, "registration-complete@2");
        bed_advance(b, 2 * SEC); /* the list of objects has one more: server 1 is told */
        bed_answer(b, 1, CODE(2, 4), NULL);
        g_string_truncate(b->log, 0);

        assert_int_equal(client_remove_account(b->client, 2, b->now), 0);
        assert_int_equal(client_remove_account(b->client, 2, b->now), -ENOENT);
        assert_string_equal(bed_state(b, 2), "none");
        assert_int_equal(bed_request(b, 2)->code, METHOD_DELETE);
        assert_int_equal(bed_ask(b, 2, METHOD_GET, "/3/0/16", NULL), CODE(5, 3));
        bed_answer(b, 2, CODE(2, 2), NULL);
        assert_null(bed_link(b, 2));
        bed_log(b, "deregister@2 -2 disconnect@2");
        g_autofree uint16_t *ids = client_servers(b->client, &n);
        assert_int_equal(n, 1);
        assert_int_equal(ids[0], 1);
        bed_free(b);
}

/* Written over D-Bus rather than by lwm2mctl server. */
static void test_accounts_written_in_the_tree(void **state) {
        Bed *b = registered();

        bed_create(b, "/0/5");
        bed_set(b, "/0/5/0", value_string("coap://192.0.2.9"));
        bed_set(b, "/0/5/2", value_int(3));
        bed_set(b, "/0/5/10", value_int(9));
        bed_advance(b, 0);
        assert_string_equal(bed_state(b, 9), "none");
        bed_create(b, "/1/7");
        bed_set(b, "/1/7/0", value_int(9));
        bed_advance(b, 0);
        assert_non_null(bed_link(b, 9));
        bed_set(b, "/0/5/0", value_string("coap://192.0.2.10"));
        bed_advance(b, 0);
        assert_string_equal(bed_link(b, 9)->uri, "coap://192.0.2.10");
        bed_delete(b, "/1/7");
        bed_advance(b, 0);
        assert_string_equal(bed_state(b, 9), "none");
        assert_null(bed_link(b, 9));
        bed_free(b);
}

static void test_what_cannot_be_reached_yet(void **state) {
        ServerAccount account = { .uri = "coap+ws://192.0.2.3", .ssid = 3 };
        g_autofree char *error = NULL;
        Bed *b = registered();
        ServerInfo info;

        assert_int_equal(client_add_account(b->client, &account, &error, b->now), -EPROTONOSUPPORT);
        assert_non_null(strstr(error, "not a CoAP URI"));
        assert_string_equal(bed_state(b, 3), "none");
        bed_set(b, "/0/0/0", value_string("coap+ws://192.0.2.3"));
        bed_advance(b, 0);
        assert_int_equal(bed_request(b, 1)->code, METHOD_DELETE); /* at the former address */
        assert_string_equal(bed_state(b, 1), "failed");
        assert_int_equal(client_server_info(b->client, 1, &info), 0);
        assert_string_equal(info.last_error_code, "not-supported");
        assert_non_null(strstr(info.last_error_text, "not a CoAP URI"));
        bed_set(b, "/0/0/0", value_string("coap://192.0.2.3"));
        bed_advance(b, 0);
        assert_int_equal(b->transport->links->len, 2);
        bed_answer(b, 1, CODE(2, 2), NULL);
        bed_register(b, 1);
        assert_non_null(fake_store_get("registration-1"));
        bed_free(b);
}

/* The old account's farewell comes to its end after the new one has registered. */
static void test_successor_keeps_its_registration(void **state) {
        Bed *b = registered();
        Link *old = bed_link(b, 1), *new;

        bed_set(b, "/0/0/0", value_string("coap://192.0.2.3"));
        bed_advance(b, 0);
        assert_int_equal(b->transport->links->len, 2);
        assert_ptr_equal(b->transport->links->pdata[0], old);
        new = b->transport->links->pdata[1];
        new->events.up(new->owner, b->now);
        fake_call_respond(
                fake_open_call(b->transport, 0),
                &(Message){ .code = CODE(2, 1), .path = (const char *const[]){ "rd", "x", NULL } },
                b->now);
        assert_non_null(fake_store_get("registration-1"));
        bed_answer(b, 1, CODE(2, 2), NULL);
        assert_int_equal(b->transport->links->len, 1);
        assert_non_null(fake_store_get("registration-1"));
        assert_string_equal(bed_state(b, 1), "registered");
        bed_free(b);
}

static void test_commands(void **state) {
        Bed *b = registered();

        assert_int_equal(client_update(b->client, 9, b->now), -ENOENT);
        assert_int_equal(client_enable(b->client, 1, b->now), -ENOTCONN);
        assert_int_equal(client_deregister(b->client, 1, b->now), 0);
        bed_answer(b, 1, CODE(2, 2), NULL);
        assert_string_equal(bed_state(b, 1), "idle");
        assert_int_equal(client_update(b->client, 1, b->now), -ENOTCONN);
        assert_int_equal(client_update(b->client, 0, b->now), -ENOTCONN);
        bed_advance(b, 1000 * SEC); /* stays away */
        assert_null(bed_link(b, 1));
        assert_int_equal(client_register(b->client, 1, b->now), 0);
        bed_register(b, 1);
        assert_int_equal(client_disable(b->client, 1, 100, b->now), 0);
        bed_answer(b, 1, CODE(2, 2), NULL);
        assert_string_equal(bed_state(b, 1), "disabled");
        assert_int_equal(client_enable(b->client, 1, b->now), 0);
        bed_register(b, 1);
        assert_int_equal(client_start(b->client, "", b->now), -EALREADY);
        client_stop(b->client, true, NULL, NULL, b->now);
        bed_advance(b, 0);
        assert_int_equal(client_start(b->client, "", b->now), -EINVAL);
        assert_int_equal(client_start(b->client, "\xff", b->now), -EINVAL);
        bed_free(b);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_register),
                cmocka_unit_test(test_all_parameters),
                cmocka_unit_test(test_falls_back),
                cmocka_unit_test(test_needs_a_location),
                cmocka_unit_test(test_failure_is_told),
                cmocka_unit_test(test_lifetime_written),
                cmocka_unit_test(test_lifetime_is_never_too_low),
                cmocka_unit_test(test_update_trigger),
                cmocka_unit_test(test_bootstrap_trigger),
                cmocka_unit_test(test_instances_changed),
                cmocka_unit_test(test_lost_registration),
                cmocka_unit_test(test_requests_during_registration),
                cmocka_unit_test(test_disable),
                cmocka_unit_test(test_stop),
                cmocka_unit_test(test_stop_is_bounded),
                cmocka_unit_test(test_two_stops),
                cmocka_unit_test(test_forced_stop),
                cmocka_unit_test(test_pause),
                cmocka_unit_test(test_account_during_pause),
                cmocka_unit_test(test_system_sleep),
                cmocka_unit_test(test_sleep_and_pause),
                cmocka_unit_test(test_restart),
                cmocka_unit_test(test_restart_at_the_same_place),
                cmocka_unit_test(test_restart_with_doubts),
                cmocka_unit_test(test_full_disk),
                cmocka_unit_test(test_many_servers),
                cmocka_unit_test(test_priority_order),
                cmocka_unit_test(test_accounts_are_followed),
                cmocka_unit_test(test_accounts_written_in_the_tree),
                cmocka_unit_test(test_what_cannot_be_reached_yet),
                cmocka_unit_test(test_successor_keeps_its_registration),
                cmocka_unit_test(test_commands),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
