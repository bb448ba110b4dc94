/* SPDX-License-Identifier: Apache-2.0 */
#include "dm_fixture.h"
#include "lwm2m/dm/presence.h"

/* The newest notification that is still on its way. */
static const FakeMessage *on_way(const Fixture *f) {
        Call *c = fake_open_call(f->transport, 0);

        assert_non_null(c);
        return &c->message;
}

static void acknowledge(Fixture *f) {
        fake_call_end(fake_open_call(f->transport, 0), 0, f->now);
}

typedef struct Wakes {
        unsigned n;
        bool at_once, last_at_once;
} Wakes;

static bool on_wake(void *userdata, bool at_once, uint64_t now_usec) {
        Wakes *w = userdata;

        w->n++;
        w->last_at_once = at_once;
        return w->at_once;
}

static void test_asleep(void **state) {
        Fixture *f = *state;
        Wakes wakes = { .n = 0 };

        observe(f, "/3303/0/5700", "a");
        pass(f, 0);
        peer_set_waker(f->peer, on_wake, &wakes);
        peer_set_presence(f->peer, PRESENCE_ASLEEP);
        pass(f, 1000);
        assert_int_equal(wakes.n, 0); /* nothing is due */
        set_float(f, "/3303/0/5700", 21.5);
        pass(f, 1);
        assert_int_equal(wakes.n, 0); /* nor is a value that is as it was */
        set_float(f, "/3303/0/5700", 23.5);
        pass(f, 1);
        assert_int_equal(wakes.n, 1);
        assert_false(wakes.last_at_once);
        assert_int_equal(fake_n_sent(f->transport), 0);
        set_float(f, "/3303/0/5700", 24.5);
        pass(f, 1);
        assert_int_equal(fake_n_sent(f->transport), 0);

        /* The Update was answered: one notification, with the newest value. */
        peer_set_presence(f->peer, PRESENCE_AWAKE);
        pass(f, 0);
        assert_int_equal(fake_n_sent(f->transport), 1);
        assert_string_equal(fake_text(on_way(f)), "24.5");
        acknowledge(f);
        pass(f, 1000);
        assert_int_equal(fake_n_sent(f->transport), 1);
}

/* The times of the attributes count on while the server sleeps. */
static void test_asleep_times(void **state) {
        Fixture *f = *state;
        Wakes wakes = { .n = 0 };

        attributes(f, "/3303/0/5700", "pmin=10&pmax=100");
        observe(f, "/3303/0/5700", "a");
        pass(f, 0);
        peer_set_waker(f->peer, on_wake, &wakes);
        peer_set_presence(f->peer, PRESENCE_ASLEEP);
        pass(f, 5);
        set_float(f, "/3303/0/5700", 23.5);
        pass(f, 4);
        assert_int_equal(wakes.n, 0);
        pass(f, 1);
        assert_int_equal(wakes.n, 1);
        peer_set_presence(f->peer, PRESENCE_AWAKE);
        pass(f, 0);
        acknowledge(f);
        peer_set_presence(f->peer, PRESENCE_ASLEEP);
        pass(f, 99);
        assert_int_equal(wakes.n, 1);
        pass(f, 1);
        assert_int_equal(wakes.n, 2);
}

static void test_asleep_at_once(void **state) {
        Fixture *f = *state;
        Wakes wakes = { .at_once = true };

        observe(f, "/3303/0/5700", "a");
        peer_set_waker(f->peer, on_wake, &wakes);
        peer_set_presence(f->peer, PRESENCE_ASLEEP);
        set_float(f, "/3303/0/5700", 23.5);
        pass(f, 0);
        assert_int_equal(wakes.n, 1);
        assert_int_equal(fake_n_sent(f->transport), 1);
}

/* Also the last word about a thing that is gone waits. */
static void test_asleep_gone(void **state) {
        Fixture *f = *state;
        Wakes wakes = { .n = 0 };

        observe(f, "/3303/1/5700", "a");
        peer_set_waker(f->peer, on_wake, &wakes);
        peer_set_presence(f->peer, PRESENCE_ASLEEP);
        delete_path(f, "/3303/1");
        pass(f, 0);
        assert_int_equal(wakes.n, 1);
        assert_int_equal(fake_n_sent(f->transport), 0);
        assert_int_equal(dm_n_observations(f->dm), 1);
        peer_set_presence(f->peer, PRESENCE_AWAKE);
        pass(f, 0);
        assert_int_equal(on_way(f)->code, CODE(4, 4));
        assert_int_equal(dm_n_observations(f->dm), 0);
        acknowledge(f);
}

/* A server that is not registered is not woken, and hears the newest once it is. */
static void test_absent(void **state) {
        Fixture *f = *state;
        Wakes wakes = { .n = 0 };

        observe(f, "/3303/0/5700", "a");
        peer_set_waker(f->peer, on_wake, &wakes);
        peer_set_presence(f->peer, PRESENCE_ABSENT);
        set_float(f, "/3303/0/5700", 23.5);
        pass(f, 10);
        assert_int_equal(wakes.n, 0);
        assert_int_equal(fake_n_sent(f->transport), 0);
        peer_set_presence(f->peer, PRESENCE_AWAKE);
        pass(f, 0);
        assert_string_equal(fake_text(on_way(f)), "23.5");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                DM_TEST(test_asleep),      DM_TEST(test_asleep_times), DM_TEST(test_asleep_at_once),
                DM_TEST(test_asleep_gone), DM_TEST(test_absent),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
