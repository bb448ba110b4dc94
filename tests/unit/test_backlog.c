/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client_fixture.h"
#include "lwm2m/observe/backlog.h"
#include "lwm2m/dm/keeper.h"

#define URI "coap://192.0.2.1"
#define SETTLE (10 * SEC)

static char directory[64];

static Value value_double(double d) {
        return (Value){ .type = VALUE_FLOAT, .d = d };
}

static void empty_directory(void) {
        g_autoptr(GDir) dir = g_dir_open(directory, 0, NULL);
        const char *name;

        while (dir && (name = g_dir_read_name(dir))) {
                g_autofree char *path = g_build_filename(directory, name, NULL);

                unlink(path);
        }
}

static Bed *bed_of(uint64_t memory, uint64_t file) {
        Bed *b;

        fake_store_clear();
        empty_directory();
        b = bed_new();
        b->observations_told = true;
        b->config.version = (Version){ 1, 2 };
        b->config.settle_usec = SETTLE;
        b->config.directory = directory;
        b->config.stored_memory_max = memory;
        b->config.stored_file_max = file;
        return b;
}

static void start(Bed *b) {
        bed_boot(b);
        bed_add(b, 1, URI, 86400);
        bed_create(b, "/3303/0");
        bed_set(b, "/3303/0/5700", value_double(20));
        bed_start(b);
        bed_register(b, 1);
}

static Bed *registered_small(uint64_t memory, uint64_t file) {
        Bed *b = bed_of(memory, file);

        start(b);
        return b;
}

static Bed *registered(void) {
        return registered_small(0, 1 << 20);
}

static Bed *observed(int format) {
        Bed *b = registered();

        assert_int_equal(bed_observe(b, 1, "/3303/0/5700", "tok", format), CODE(2, 5));
        bed_advance(b, 2 * KEEPER_BURST_USEC);
        g_string_truncate(b->log, 0);
        return b;
}

/* The way to the server is gone until go_on(). */
static void go_offline(Bed *b) {
        Link *l = bed_link(b, 1);

        l->events.down(l->owner, -ENETUNREACH, "no network", b->now);
        bed_advance(b, 0);
}

static void link_up(Bed *b) {
        if (!bed_link(b, 1)) { /* it waits for its next attempt */
                assert_int_equal(client_update(b->client, 1, b->now), 0);
                bed_advance(b, 0);
        }
        bed_up(b, 1);
}

static void go_on(Bed *b) {
        link_up(b);
        assert_string_equal(bed_request(b, 1)->path, "/rd/1");
        bed_answer(b, 1, CODE(2, 4), NULL);
        g_string_truncate(b->log, 0);
}

static void set_value(Bed *b, double d) {
        bed_set(b, "/3303/0/5700", value_double(d));
        bed_advance(b, SEC);
}

static unsigned queued(const Bed *b) {
        ServerInfo info;

        assert_int_equal(client_server_info(b->client, 1, &info), 0);
        return info.queued_notifications;
}

static unsigned dropped(const Bed *b) {
        uint64_t waiting, n_delivered, n_dropped;

        dm_stored_notifications(b->dm, &waiting, &n_delivered, &n_dropped);
        return (unsigned) n_dropped;
}

static void assert_notified(Bed *b, const char *text) {
        const FakeMessage *m = bed_notification(b, 1);

        assert_non_null(m);
        assert_int_equal(m->code, CODE(2, 5));
        assert_string_equal(fake_text(m), text);
        assert_true(m->confirmable);
        bed_ack(b, 1, 0);
}

static void assert_silent(Bed *b) {
        assert_null(bed_notification(b, 1));
}

/* --- the rule --- */

static void test_in_order(void **state) {
        Bed *b = observed(FORMAT_TEXT);
        int first;

        go_offline(b);
        for (int i = 1; i <= 4; i++)
                set_value(b, 20 + i);
        assert_int_equal(queued(b), 4);
        assert_silent(b);
        bed_up(b, 1);
        assert_silent(b); /* not before the Update was answered */
        bed_answer(b, 1, CODE(2, 4), NULL);
        first = bed_notification(b, 1)->observe;
        assert_notified(b, "21");
        assert_true(bed_notification(b, 1)->observe > first);
        assert_int_equal(queued(b), 3);
        assert_notified(b, "22");
        assert_notified(b, "23");
        assert_notified(b, "24");
        assert_int_equal(queued(b), 0);
        bed_advance(b, 60 * SEC);
        assert_silent(b);
        set_value(b, 30);
        assert_notified(b, "30");
        assert_int_equal(dropped(b), 0);
        bed_free(b);
}

static void test_with_times(void **state) {
        Bed *b = observed(FORMAT_SENML_JSON);
        g_autofree char *expected = NULL;
        int64_t at;

        go_offline(b);
        at = WALL_START_SEC + (int64_t) (b->now / SEC) - 5000;
        set_value(b, 21);
        bed_advance(b, 600 * SEC);
        go_on(b);
        expected = g_strdup_printf(
                "[{\"bt\":%" G_GINT64_FORMAT ",\"n\":\"/3303/0/5700\",\"v\":21}]", at);
        assert_notified(b, expected);
        set_value(b, 22); /* those that are sent at once need none */
        assert_notified(b, "[{\"n\":\"/3303/0/5700\",\"v\":22}]");
        bed_free(b);
}

static void test_conditions_hold(void **state) {
        Bed *b = registered();

        assert_int_equal(bed_attributes(b, 1, "/3303/0/5700", "pmin=10&gt=50"), CODE(2, 4));
        assert_int_equal(bed_observe(b, 1, "/3303/0/5700", "tok", FORMAT_TEXT), CODE(2, 5));
        bed_advance(b, 20 * SEC);
        go_offline(b);
        set_value(b, 30);
        assert_int_equal(queued(b), 0);
        set_value(b, 60);
        assert_int_equal(queued(b), 1);
        set_value(b, 40);
        set_value(b, 45);
        bed_advance(b, 8 * SEC);
        assert_int_equal(queued(b), 2);
        go_on(b);
        assert_notified(b, "60");
        assert_notified(b, "45");
        bed_free(b);
}

static void test_heartbeats(void **state) {
        Bed *b = registered();

        assert_int_equal(bed_attributes(b, 1, "/3303/0/5700", "pmax=100"), CODE(2, 4));
        assert_int_equal(bed_observe(b, 1, "/3303/0/5700", "tok", FORMAT_TEXT), CODE(2, 5));
        go_offline(b);
        bed_advance(b, 1050 * SEC);
        assert_int_equal(queued(b), 10);
        go_on(b);
        for (unsigned i = 0; i < 10; i++)
                assert_notified(b, "20");
        assert_silent(b);
        bed_free(b);
}

static void test_not_storing(void **state) {
        Bed *b = observed(FORMAT_TEXT);

        assert_int_equal(bed_write(b, "/1/0/6", value_bool(false)), 0);
        bed_advance(b, SEC);
        go_offline(b);
        for (int i = 1; i <= 4; i++)
                set_value(b, 20 + i);
        go_on(b);
        assert_notified(b, "24"); /* the state */
        assert_silent(b);

        go_offline(b);
        set_value(b, 25);
        set_value(b, 24);
        go_on(b);
        assert_silent(b); /* nothing has changed, all in all */
        bed_free(b);
}

static void test_hqmax(void **state) {
        Bed *b = registered();

        assert_int_equal(bed_attributes(b, 1, "/3303/0/5700", "hqmax=2"), CODE(2, 4));
        assert_int_equal(bed_observe(b, 1, "/3303/0/5700", "tok", FORMAT_TEXT), CODE(2, 5));
        go_offline(b);
        for (int i = 1; i <= 5; i++)
                set_value(b, 20 + i);
        assert_int_equal(queued(b), 2);
        assert_int_equal(dropped(b), 3);
        go_on(b);
        assert_notified(b, "24");
        assert_notified(b, "25");
        assert_silent(b);

        assert_int_equal(bed_attributes(b, 1, "/3303/0/5700", "hqmax=0"), CODE(2, 4));
        go_offline(b);
        set_value(b, 26);
        set_value(b, 27);
        go_on(b);
        assert_notified(b, "27");
        assert_silent(b);
        bed_free(b);
}

static void test_news_wait(void **state) {
        Bed *b = observed(FORMAT_TEXT);

        assert_int_equal(bed_observe(b, 1, "/3303/0/5701", "unit", FORMAT_TEXT), CODE(4, 4));
        bed_set(b, "/3303/0/5701", value_string("Cel"));
        assert_int_equal(bed_observe(b, 1, "/3303/0/5701", "unit", FORMAT_TEXT), CODE(2, 5));
        go_offline(b);
        set_value(b, 21);
        set_value(b, 22);
        go_on(b);
        bed_set(b, "/3303/0/5701", value_string("K"));
        set_value(b, 23);
        set_value(b, 24); /* now as always: the newest is enough */
        assert_notified(b, "21");
        assert_notified(b, "22");
        assert_notified(b, "K");
        assert_notified(b, "24");
        assert_silent(b);
        bed_free(b);
}

/* --- its end --- */

static void test_cancelled_meanwhile(void **state) {
        Bed *b = observed(FORMAT_TEXT);

        assert_int_equal(bed_observe(b, 1, "/3303/0", "all", FORMAT_SENML_JSON), CODE(2, 5));
        go_offline(b);
        set_value(b, 21);
        set_value(b, 22);
        go_on(b);
        assert_int_equal(queued(b), 4);
        bed_ack(b, 1, -ECONNRESET);
        assert_non_null(strstr(b->details, "error=rejected by the server; 2 stored"));
        assert_int_equal(queued(b), 2);
        assert_int_equal(dropped(b), 2);
        bed_ack(b, 1, 0);
        bed_ack(b, 1, 0);
        assert_silent(b);
        bed_free(b);
}

static void test_full_register(void **state) {
        Bed *b = observed(FORMAT_TEXT);

        go_offline(b);
        set_value(b, 21);
        bed_up(b, 1);
        bed_answer(b, 1, CODE(4, 4), NULL);
        assert_string_equal(b->details, "path=/3303/0/5700 error=registering anew; 1 stored "
                                        "notification dropped");
        assert_int_equal(queued(b), 0);
        assert_int_equal(dropped(b), 1);
        bed_answer(b, 1, CODE(2, 1), "/rd/1");
        assert_silent(b);
        bed_free(b);
}

/* Told in order: what is observed is gone after what was stored of it. */
static void test_path_is_gone(void **state) {
        Bed *b = observed(FORMAT_TEXT);

        go_offline(b);
        set_value(b, 21);
        bed_delete(b, "/3303/0");
        bed_advance(b, SEC);
        assert_int_equal(dm_n_observations(b->dm), 1);
        go_on(b);
        assert_notified(b, "21");
        assert_int_equal(bed_notification(b, 1)->code, CODE(4, 4));
        assert_int_equal(dm_n_observations(b->dm), 0);
        bed_free(b);
}

static void test_account_removed(void **state) {
        Bed *b = observed(FORMAT_TEXT);

        b->config.stored_memory_max = 1;
        go_offline(b);
        set_value(b, 21);
        assert_int_equal(client_remove_account(b->client, 1, b->now), 0);
        bed_advance(b, 10 * SEC);
        assert_int_equal(dropped(b), 1);
        bed_free(b);
}

/* --- not acknowledged --- */

static void test_doubt_answered(void **state) {
        Bed *b = observed(FORMAT_TEXT);

        set_value(b, 21);
        bed_ack(b, 1, -ETIMEDOUT);
        assert_int_equal(queued(b), 1);
        assert_string_equal(bed_request(b, 1)->path, "/rd/1"); /* is anybody there? */
        set_value(b, 22);
        assert_silent(b);
        bed_answer(b, 1, CODE(2, 4), NULL);
        assert_notified(b, "21");
        assert_notified(b, "22");
        assert_int_equal(dm_n_observations(b->dm), 1);
        /* Once acknowledged, the next time is a first time again. */
        set_value(b, 23);
        bed_ack(b, 1, -ETIMEDOUT);
        bed_answer(b, 1, CODE(2, 4), NULL);
        assert_notified(b, "23");
        bed_free(b);
}

/* What waits for a server that is asleep is stored when it cannot be woken. */
static void test_not_woken(void **state) {
        Bed *b = bed_of(0, 1 << 20);

        b->config.queue_mode = true;
        start(b);
        assert_int_equal(bed_observe(b, 1, "/3303/0/5700", "tok", FORMAT_TEXT), CODE(2, 5));
        bed_advance(b, 200 * SEC);
        assert_true(bed_link(b, 1)->asleep);
        set_value(b, 21);
        assert_string_equal(bed_request(b, 1)->path, "/rd/1");
        bed_no_answer(b, 1, -ETIMEDOUT);
        set_value(b, 22);
        set_value(b, 23);
        assert_int_equal(queued(b), 3);
        go_on(b);
        assert_notified(b, "21");
        assert_notified(b, "22");
        assert_notified(b, "23");
        assert_silent(b);
        bed_free(b);
}

/* Those that waited for their turn are stored when there is none. */
static void test_many_in_line(void **state) {
        Bed *b = observed(FORMAT_TEXT);
        static const char *const tokens[] = { "a", "b", "c" };

        for (size_t i = 0; i < G_N_ELEMENTS(tokens); i++)
                assert_int_equal(bed_observe(b, 1, "/3303/0/5700", tokens[i], FORMAT_TEXT),
                                 CODE(2, 5));
        set_value(b, 21);
        go_offline(b);
        bed_advance(b, SEC);
        set_value(b, 22);
        assert_int_equal(queued(b), 8);
        go_on(b);
        for (unsigned i = 0; i < 8; i++)
                assert_notified(b, i < 4 ? "21" : "22");
        assert_silent(b);
        bed_free(b);
}

/* The server answers, and does not acknowledge: RFC 7641, section 4.5. */
static void test_observer_lost(void **state) {
        Bed *b = observed(FORMAT_TEXT);

        set_value(b, 21);
        bed_ack(b, 1, -ETIMEDOUT);
        bed_answer(b, 1, CODE(2, 4), NULL);
        bed_ack(b, 1, -ETIMEDOUT);
        assert_int_equal(dm_n_observations(b->dm), 0);
        assert_non_null(strstr(b->log->str, "observer-removed@1"));
        assert_int_equal(queued(b), 0);
        bed_free(b);
}

/* An outage shorter than the lifetime ends with an Update, and nothing is lost. */
static void test_outage(void **state) {
        Bed *b = observed(FORMAT_TEXT);

        set_value(b, 21);
        bed_ack(b, 1, -ETIMEDOUT);
        bed_no_answer(b, 1, -ETIMEDOUT);
        assert_string_equal(bed_state(b, 1), "failed");
        set_value(b, 22);
        bed_advance(b, 300 * SEC);
        link_up(b);
        assert_string_equal(bed_request(b, 1)->path, "/rd/1");
        bed_no_answer(b, 1, -ETIMEDOUT);
        set_value(b, 23);
        bed_advance(b, 600 * SEC);
        go_on(b);
        assert_notified(b, "21");
        assert_notified(b, "22");
        assert_notified(b, "23");
        bed_free(b);
}

static void test_no_storing_no_doubt(void **state) {
        Bed *b = observed(FORMAT_TEXT);

        assert_int_equal(bed_write(b, "/1/0/6", value_bool(false)), 0);
        bed_advance(b, SEC);
        set_value(b, 21);
        bed_ack(b, 1, -ETIMEDOUT);
        assert_int_equal(dm_n_observations(b->dm), 0);
        bed_free(b);
}

static unsigned count(const char *text, const char *part) {
        unsigned n = 0;

        for (; (text = strstr(text, part)); text += strlen(part))
                n++;
        return n;
}

/* Samples wait in their cache, and nothing of them is kept twice. */
static void test_samples(void **state) {
        const SeriesPolicy policy = { .samples = 10 };
        g_autoptr(GString) told = g_string_new(NULL);
        Bed *b = bed_of(0, 1 << 20);
        OpError error;

        b->series = series_new(&(SeriesConfig){ 0 });
        start(b);
        assert_int_equal(samples_configure(b->dm, &PATH_OIR(3303, 0, 5700), &policy, &error), 0);
        assert_int_equal(bed_observe(b, 1, "/3303/0/5700", "tok", FORMAT_SENML_JSON), CODE(2, 5));
        bed_advance(b, SEC);
        set_value(b, 21);
        bed_ack(b, 1, -ETIMEDOUT);
        set_value(b, 22);
        assert_silent(b);                /* in doubt */
        bed_no_answer(b, 1, -ETIMEDOUT); /* nobody is there */
        set_value(b, 23);
        go_on(b);
        while (bed_notification(b, 1)) {
                g_string_append(told, fake_text(bed_notification(b, 1)));
                bed_ack(b, 1, 0);
        }
        assert_int_equal(count(told->str, "\"v\":21}"), 1);
        assert_int_equal(count(told->str, "\"v\":22}"), 1);
        assert_int_equal(count(told->str, "\"v\":23}"), 1);
        assert_silent(b);
        assert_int_equal(queued(b), 0);
        bed_free(b);
}

/* Whether the one under way has arrived is not known: it is sent again. */
static void test_link_lost_while_sending(void **state) {
        Bed *b = observed(FORMAT_TEXT);

        set_value(b, 21);
        assert_non_null(bed_notification(b, 1));
        go_offline(b);
        set_value(b, 22);
        go_on(b);
        assert_non_null(bed_notification(b, 1));
        go_offline(b);
        set_value(b, 23);
        go_on(b);
        assert_notified(b, "21");
        assert_notified(b, "22");
        assert_notified(b, "23");
        assert_silent(b);
        bed_free(b);
}

static void test_send_fails(void **state) {
        Bed *b = observed(FORMAT_TEXT);

        go_offline(b);
        set_value(b, 21);
        bed_up(b, 1);
        b->transport->send_error = 0;
        bed_request(b, 1);
        bed_answer(b, 1, CODE(2, 4), NULL);
        bed_ack(b, 1, -ENETUNREACH);
        assert_silent(b);
        b->transport->send_error = -ENOBUFS;
        bed_advance(b, 31 * SEC);
        assert_silent(b);
        b->transport->send_error = 0;
        bed_advance(b, 31 * SEC);
        assert_notified(b, "21");
        bed_free(b);
}

static void test_held(void **state) {
        Bed *b = observed(FORMAT_TEXT);

        go_offline(b);
        set_value(b, 21);
        dm_suspend_notifications(b->dm);
        go_on(b);
        assert_silent(b);
        dm_resume_notifications(b->dm, b->now);
        bed_advance(b, 0);
        assert_notified(b, "21");
        bed_free(b);
}

/* --- memory and file --- */

static Bed *observed_small(uint64_t memory, uint64_t file) {
        Bed *b = registered_small(memory, file);

        assert_int_equal(bed_observe(b, 1, "/3303/0/5700", "tok", FORMAT_TEXT), CODE(2, 5));
        bed_advance(b, 2 * KEEPER_BURST_USEC);
        return b;
}

static void set_values(Bed *b, int from, int to) {
        for (int i = from; i <= to; i++)
                set_value(b, i);
}

static void assert_values(Bed *b, int from, int to) {
        for (int i = from; i <= to; i++) {
                char text[16];

                g_snprintf(text, sizeof(text), "%d", i);
                assert_notified(b, text);
        }
}

static bool has_file(void) {
        g_autofree char *path = g_build_filename(directory, "notifications-1", NULL);

        return access(path, F_OK) == 0;
}

static void test_file(void **state) {
        Bed *b = observed_small(1000, 100000);

        go_offline(b);
        set_values(b, 100, 299);
        assert_true(has_file());
        assert_int_equal(queued(b), 200);
        go_on(b);
        assert_values(b, 100, 150);
        go_offline(b); /* in the midst of it */
        set_values(b, 300, 349);
        go_on(b);
        assert_values(b, 151, 349);
        assert_silent(b);
        assert_false(has_file());
        assert_int_equal(dropped(b), 0);
        bed_free(b);
}

static void test_file_is_full(void **state) {
        Bed *b = observed_small(1000, 2000);
        unsigned n;

        go_offline(b);
        set_values(b, 100, 999);
        n = queued(b);
        assert_in_range(n, 20, 100);
        assert_int_equal(dropped(b), 900 - n);
        go_on(b);
        assert_values(b, (int) (1000 - n), 999); /* the youngest */
        assert_silent(b);
        bed_free(b);
}

static void test_no_file(void **state) {
        Bed *b = observed_small(1000, 0);
        unsigned n;

        b->config.directory = NULL;
        bed_kill(b, 1);
        bed_start(b);
        bed_up(b, 1);
        bed_answer(b, 1, CODE(2, 4), NULL);
        go_offline(b);
        set_values(b, 100, 199);
        n = queued(b);
        assert_in_range(n, 2, 20);
        go_on(b);
        assert_values(b, (int) (200 - n), 199);
        bed_free(b);
}

/* One that fits nowhere: at least the state is told. */
static void test_too_large(void **state) {
        Bed *b = observed_small(1000, 1000);
        g_autofree char *text = g_strnfill(2000, 'x');

        bed_set(b, "/3303/0/5701", value_string("K"));
        assert_int_equal(bed_observe(b, 1, "/3303/0/5701", "unit", FORMAT_TEXT), CODE(2, 5));
        go_offline(b);
        bed_set(b, "/3303/0/5701", value_string(text));
        bed_advance(b, SEC);
        assert_int_equal(dropped(b), 1);
        go_on(b);
        assert_notified(b, text);
        assert_silent(b);
        bed_free(b);
}

static void test_hqmax_in_file(void **state) {
        Bed *b = observed_small(1000, 100000);

        assert_int_equal(bed_attributes(b, 1, "/3303/0/5700", "hqmax=30"), CODE(2, 4));
        go_offline(b);
        set_values(b, 100, 199);
        assert_int_equal(queued(b), 30);
        go_on(b);
        assert_values(b, 170, 199);
        assert_silent(b);
        bed_free(b);
}

static void test_over_a_kill(void **state) {
        Bed *b = observed_small(1000, 100000);
        unsigned n;

        go_offline(b);
        set_values(b, 100, 199);
        bed_kill(b, 60);
        bed_start(b);
        n = queued(b);
        assert_in_range(n, 50, 99); /* those in memory are gone */
        go_on(b);
        assert_values(b, 100, (int) (100 + n - 1));
        bed_advance(b, SETTLE);
        assert_notified(b, "199");
        assert_silent(b);
        assert_false(has_file());
        bed_free(b);
}

static void test_over_a_stop(void **state) {
        Bed *b = observed_small(1000, 100000);

        go_offline(b);
        set_values(b, 100, 199);
        assert_int_equal(client_stop(b->client, true, NULL, NULL, b->now), 0);
        bed_advance(b, 0);
        client_save_last(b->client);
        assert_int_equal(store_sync(fake_store), 0);
        bed_kill(b, 60);
        bed_start(b);
        assert_int_equal(queued(b), 100);
        go_on(b);
        assert_values(b, 100, 199);
        bed_advance(b, 2 * SETTLE);
        assert_silent(b);
        bed_free(b);
}

static void test_file_of_a_lost_registration(void **state) {
        Bed *b = observed_small(1000, 100000);

        go_offline(b);
        set_values(b, 100, 199);
        b->config.endpoint = (char *) "other";
        bed_kill(b, 60);
        bed_start(b);
        assert_non_null(strstr(b->details, "stored notifications dropped"));
        assert_int_equal(queued(b), 0);
        assert_true(dropped(b) > 50);
        assert_false(has_file());
        bed_free(b);
}

/* The same token, and another observation: what was stored for the former is not for it. */
static void test_token_again(void **state) {
        Bed *b = observed_small(1000, 100000);

        bed_set(b, "/3303/0/5701", value_string("K"));
        go_offline(b);
        set_values(b, 100, 199);
        link_up(b);
        assert_int_equal(bed_observe(b, 1, "/3303/0/5701", "tok", FORMAT_TEXT), CODE(2, 5));
        bed_answer(b, 1, CODE(2, 4), NULL);
        assert_silent(b);
        assert_int_equal(queued(b), 0);
        bed_free(b);
}

static void test_damaged_file(void **state) {
        g_autofree char *path = g_build_filename(directory, "notifications-1", NULL);
        Bed *b = observed_small(1000, 100000);
        unsigned n;
        FILE *f;

        go_offline(b);
        set_values(b, 100, 199);
        f = fopen(path, "r+");
        assert_non_null(f);
        fseek(f, 1500, SEEK_SET);
        fputc('!', f);
        fclose(f);
        bed_kill(b, 60);
        bed_start(b);
        n = queued(b);
        assert_in_range(n, 10, 60);
        go_on(b);
        assert_values(b, 100, (int) (100 + n - 1));
        bed_free(b);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_in_order),
                cmocka_unit_test(test_with_times),
                cmocka_unit_test(test_conditions_hold),
                cmocka_unit_test(test_heartbeats),
                cmocka_unit_test(test_not_storing),
                cmocka_unit_test(test_hqmax),
                cmocka_unit_test(test_news_wait),
                cmocka_unit_test(test_cancelled_meanwhile),
                cmocka_unit_test(test_full_register),
                cmocka_unit_test(test_path_is_gone),
                cmocka_unit_test(test_account_removed),
                cmocka_unit_test(test_doubt_answered),
                cmocka_unit_test(test_not_woken),
                cmocka_unit_test(test_many_in_line),
                cmocka_unit_test(test_observer_lost),
                cmocka_unit_test(test_outage),
                cmocka_unit_test(test_no_storing_no_doubt),
                cmocka_unit_test(test_samples),
                cmocka_unit_test(test_link_lost_while_sending),
                cmocka_unit_test(test_send_fails),
                cmocka_unit_test(test_held),
                cmocka_unit_test(test_file),
                cmocka_unit_test(test_file_is_full),
                cmocka_unit_test(test_no_file),
                cmocka_unit_test(test_too_large),
                cmocka_unit_test(test_hqmax_in_file),
                cmocka_unit_test(test_over_a_kill),
                cmocka_unit_test(test_over_a_stop),
                cmocka_unit_test(test_file_of_a_lost_registration),
                cmocka_unit_test(test_token_again),
                cmocka_unit_test(test_damaged_file),
        };
        int r;

        g_strlcpy(directory, "/tmp/test-backlog-XXXXXX", sizeof(directory));
        if (!mkdtemp(directory))
                return 1;
        r = cmocka_run_group_tests(tests, NULL, NULL);
        empty_directory();
        rmdir(directory);
        return r;
}
