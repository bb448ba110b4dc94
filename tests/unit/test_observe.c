/* SPDX-License-Identifier: Apache-2.0 */
#include "dm_fixture.h"

#include <errno.h>
#include <string.h>

/* The index-th notification from the newest that is still on its way. */
static const FakeMessage *on_way(const Fixture *f, unsigned index) {
        Call *c = fake_open_call(f->transport, index);

        assert_non_null(c);
        return &c->message;
}

static void acknowledge(Fixture *f) {
        fake_call_end(fake_open_call(f->transport, 0), 0, f->now);
}

/* Until nothing is on its way: one notification of a server is, at a time. */
static void acknowledge_all(Fixture *f) {
        while (fake_n_open(f->transport))
                acknowledge(f);
}

/* What was sent, the index-th from the newest, on its way or not. */
static const FakeMessage *sent(const Fixture *f, guint index) {
        const GPtrArray *l = f->transport->sent;

        assert_true(index < l->len);
        return &((const Call *) l->pdata[l->len - 1 - index])->message;
}

static void assert_token(const FakeMessage *m, const char *token) {
        gsize n;
        const void *data = g_bytes_get_data(m->token, &n);

        assert_int_equal(n, strlen(token));
        assert_memory_equal(data, token, n);
}

static unsigned n_observations;
static void on_info(void *userdata, const ObservationInfo *info) {
        n_observations++;
}

static unsigned count(Fixture *f) {
        n_observations = 0;
        dm_foreach_observation(f->dm, 0, on_info, NULL);
        return n_observations;
}

static void test_basic(void **state) {
        Fixture *f = *state;

        assert_int_equal(observe(f, "/3303/0/5700", "ab"), CODE(2, 5));
        assert_int_equal(fake_last_answer(f->transport)->observe, 0);
        assert_string_equal(f->events->str, "observer-added 1 /3303/0/5700; ");
        pass(f, 10);
        assert_int_equal(fake_n_sent(f->transport), 0);

        set_float(f, "/3303/0/5700", 23.5);
        assert_int_equal(fake_n_sent(f->transport), 0); /* nothing leaves inside the change … */
        pass(f, 0);                                     /* … but in the same turn of the loop */
        assert_int_equal(fake_n_sent(f->transport), 1);
        assert_int_equal(on_way(f, 0)->code, CODE(2, 5));
        assert_int_equal(on_way(f, 0)->format, 0);
        assert_int_equal(on_way(f, 0)->observe, 1);
        assert_true(on_way(f, 0)->confirmable);
        assert_token(on_way(f, 0), "ab");
        assert_string_equal(fake_text(on_way(f, 0)), "23.5");

        /* One at a time: of what comes meanwhile only the newest is sent. */
        set_float(f, "/3303/0/5700", 24.5);
        pass(f, 0);
        set_float(f, "/3303/0/5700", 25.5);
        pass(f, 0);
        assert_int_equal(fake_n_sent(f->transport), 1);
        acknowledge(f);
        assert_int_equal(fake_n_sent(f->transport), 2);
        assert_string_equal(fake_text(on_way(f, 0)), "25.5");
        assert_int_equal(on_way(f, 0)->observe, 2);
        acknowledge(f);
        assert_int_equal(fake_n_sent(f->transport), 2);
        assert_string_equal(f->events->str, "observer-added 1 /3303/0/5700; notify-acked 1 "
                                            "/3303/0/5700; notify-acked 1 /3303/0/5700; ");
}

/* A value set to what it was, and one that comes back before anything was sent, is no news. */
static void test_no_news(void **state) {
        Fixture *f = *state;

        observe(f, "/3303/0/5700", "a");
        set_float(f, "/3303/0/5700", 21.5);
        pass(f, 1);
        set_float(f, "/3303/0/5700", 1);
        set_float(f, "/3303/0/5700", 21.5);
        pass(f, 1);
        assert_int_equal(fake_n_sent(f->transport), 0);
}

static uint8_t observe_any(Fixture *f, const char *path, const char *token, int accept) {
        return fixture_ask(f, &(Ask){ .method = METHOD_GET,
                                      .path = path,
                                      .format = -1,
                                      .accept = accept,
                                      .token = token });
}

static void test_levels(void **state) {
        Fixture *f = *state;

        assert_int_equal(observe_any(f, "/3303", "1", 110), CODE(2, 5));
        assert_int_equal(observe_any(f, "/3303/0", "2", 11542), CODE(2, 5));
        assert_int_equal(observe_any(f, "/33000/0/5", "3", 112), CODE(2, 5));
        assert_int_equal(observe_any(f, "/33000/0/5/1", "4", 0), CODE(2, 5));
        set_float(f, "/3303/0/5700", 1);
        pass(f, 0);
        acknowledge_all(f);
        assert_int_equal(fake_n_sent(f->transport), 2);
        set_float(f, "/3303/1/5700", 2);
        pass(f, 0);
        assert_int_equal(fake_n_sent(f->transport), 3);
        assert_token(on_way(f, 0), "1");
        assert_int_equal(on_way(f, 0)->format, 110);
        acknowledge(f);
        set_float(f, "/33000/0/5/3", 7);
        pass(f, 0);
        assert_int_equal(fake_n_sent(f->transport), 4);
        acknowledge(f);
        set_float(f, "/33000/0/5/1", 7);
        pass(f, 0);
        acknowledge_all(f);
        assert_int_equal(fake_n_sent(f->transport), 6);
        create(f, "/3303/9"); /* an instance more is news for the object; with SenML only once it
                                 has a value */
        set_float(f, "/3303/9/5700", 3);
        pass(f, 0);
        assert_int_equal(fake_n_sent(f->transport), 7);
        acknowledge(f);
        assert_true(dm_is_observed(f->dm, &PATH_OIR(3303, 7, 5700)));
        assert_true(dm_is_observed(f->dm, &PATH_OI(33000, 0)));
        assert_false(dm_is_observed(f->dm, &PATH_O(3)));
}

static void test_server_write(void **state) {
        Fixture *f = *state;

        observe(f, "/33000/0/1", "t");
        assert_int_equal(put(f, "/33000/0/1", 0, "44"), CODE(2, 4));
        pass(f, 0);
        assert_string_equal(fake_text(on_way(f, 0)), "44");
        acknowledge(f);
}

static void test_codes(void **state) {
        Fixture *f = *state;

        assert_int_equal(observe(f, "/4711", "1"), CODE(4, 4));
        assert_int_equal(observe(f, "/33000/0/3", "1"), CODE(4, 5));
        assert_int_equal(observe(f, "/0/0/0", "1"), CODE(4, 1));
        assert_int_equal(observe(f, "/3303/0", "1"), CODE(4, 6)); /* text */
        assert_int_equal(observe(f, "/", "1"), CODE(4, 5));
        assert_int_equal(count(f), 0);
        assert_string_equal(f->events->str, "");
        assert_int_equal(observe(f, "/3303/0/5700", ""),
                         CODE(2, 5)); /* an empty token is one, too */
        assert_int_equal(observe(f, "/3303/0/5700", "12345678"), CODE(2, 5));
        assert_int_equal(count(f), 2);
}

static uint8_t cancel(Fixture *f, const char *path, const char *token) {
        return fixture_ask(f, &(Ask){ .method = METHOD_GET,
                                      .path = path,
                                      .format = -1,
                                      .accept = 0,
                                      .observe = 1,
                                      .token = token });
}

static void test_cancel(void **state) {
        g_autoptr(GBytes) b = g_bytes_new_static("b", 1);
        Fixture *f = *state;

        observe(f, "/3303/0/5700", "a");
        observe(f, "/3303/0/5700", "b"); /* several of one path */
        assert_int_equal(count(f), 2);
        assert_int_equal(cancel(f, "/3303/0/5700", "a"), CODE(2, 5));
        assert_int_equal(fake_last_answer(f->transport)->observe, -1);
        assert_int_equal(count(f), 1);
        assert_int_equal(cancel(f, "/3303/0/5700", "zz"), CODE(2, 5)); /* unknown: a read */
        set_float(f, "/3303/0/5700", 1);
        pass(f, 0);
        assert_int_equal(fake_n_sent(f->transport), 1);
        peer_reset(f->peer, b, f->now); /* while the notification is on its way */
        assert_int_equal(count(f), 0);
        assert_int_equal(fake_n_open(f->transport), 0);
        set_float(f, "/3303/0/5700", 2);
        pass(f, 1);
        assert_int_equal(fake_n_sent(f->transport), 1);
        assert_non_null(strstr(f->events->str, "observer-removed 1 /3303/0/5700; "));
}

/* What waits behind one that is taken back goes, also when the first in line has no news left. */
static void test_cancel_lets_go(void **state) {
        g_autoptr(GBytes) a = g_bytes_new_static("a", 1);
        Fixture *f = *state;

        observe(f, "/3303/0/5700", "a");
        observe(f, "/3303/1/5700", "b");
        observe(f, "/33000/0/1", "c");
        set_float(f, "/3303/0/5700", 1);
        pass(f, 0);
        set_float(f, "/3303/1/5700", 1);
        pass(f, 0);
        set_integer(f, "/33000/0/1", 7);
        pass(f, 0);
        set_float(f, "/3303/1/5700", 22.5); /* as it was */
        pass(f, 0);
        assert_int_equal(fake_n_sent(f->transport), 1);
        peer_reset(f->peer, a, f->now);
        pass(f, 0);
        assert_int_equal(fake_n_sent(f->transport), 2);
        assert_token(on_way(f, 0), "c");
        acknowledge(f);
}

static void test_same_token(void **state) {
        Fixture *f = *state;

        observe(f, "/3303/0/5700", "a");
        set_float(f, "/3303/0/5700", 1);
        pass(f, 0);
        acknowledge(f);
        assert_int_equal(observe(f, "/3303/1/5700", "a"), CODE(2, 5));
        assert_int_equal(fake_last_answer(f->transport)->observe, 2); /* goes on growing */
        assert_int_equal(count(f), 1);
        set_float(f, "/3303/0/5700", 2);
        pass(f, 0);
        assert_int_equal(fake_n_open(f->transport), 0);
        set_float(f, "/3303/1/5700", 2);
        pass(f, 0);
        assert_int_equal(fake_n_open(f->transport), 1);
}

static void test_lost(void **state) {
        Fixture *f = *state;

        observe(f, "/3303/0/5700", "a");
        observe(f, "/3303/1/5700", "b");
        set_float(f, "/3303/0/5700", 1);
        pass(f, 0);
        fake_call_end(fake_open_call(f->transport, 0), -ETIMEDOUT, f->now);
        assert_int_equal(count(f), 1);
        assert_non_null(strstr(f->events->str,
                               "notify-timeout 1 /3303/0/5700; observer-removed 1 /3303/0/5700; "));
        set_float(f, "/3303/1/5700", 1);
        pass(f, 0);
        fake_call_end(fake_open_call(f->transport, 0), -ECONNRESET, f->now);
        assert_int_equal(count(f), 0);
}

/* --- pmin and pmax --- */
static void test_pmin(void **state) {
        Fixture *f = *state;

        attributes(f, "/3303/0/5700", "pmin=10");
        observe(f, "/3303/0/5700", "a");
        pass(f, 4);
        set_float(f, "/3303/0/5700", 1);
        pass(f, 3);
        set_float(f, "/3303/0/5700", 2);
        pass(f, 2.9);
        assert_int_equal(fake_n_sent(f->transport), 0);
        pass(f, 0.1); /* 10 s after the answer: one for both */
        assert_int_equal(fake_n_sent(f->transport), 1);
        assert_string_equal(fake_text(on_way(f, 0)), "2");
        acknowledge(f);
        pass(f, 100);
        assert_int_equal(fake_n_sent(f->transport), 1);
        set_float(f, "/3303/0/5700", 3);
        pass(f, 0); /* long enough ago */
        assert_int_equal(fake_n_sent(f->transport), 2);
}

static void test_pmax(void **state) {
        Fixture *f = *state;

        attributes(f, "/3303/0", "pmax=60");
        observe(f, "/3303/0/5700", "a");
        pass(f, 59.9);
        assert_int_equal(fake_n_sent(f->transport), 0);
        pass(f, 0.1);
        assert_int_equal(fake_n_sent(f->transport), 1); /* unchanged, and told all the same */
        assert_string_equal(fake_text(on_way(f, 0)), "21.5");
        pass(f, 200);
        assert_int_equal(fake_n_sent(f->transport), 1); /* still on its way */
        acknowledge(f);
        assert_int_equal(fake_n_sent(f->transport), 2);
        acknowledge(f);
        pass(f, 30);
        set_float(f, "/3303/0/5700", 1); /* restarts the period */
        pass(f, 59);
        assert_int_equal(fake_n_sent(f->transport), 3);
        acknowledge(f);
        pass(f, 60);
        assert_int_equal(fake_n_sent(f->transport), 4);
        acknowledge(f);
        /* Attributes written while it runs count at once: the last one was sent 59 s ago. */
        attributes(f, "/3303/0/5700", "pmax=5");
        pass(f, 0);
        assert_int_equal(fake_n_sent(f->transport), 5);
        acknowledge(f);
        attributes(f, "/3303/0/5700", "pmax");
        attributes(f, "/3303/0", "pmax");
        pass(f, 1000);
        assert_int_equal(fake_n_sent(f->transport), 5);
}

/* 1/x/2 and 1/x/3 of the server's account, overridden level by level. */
static void test_defaults(void **state) {
        Fixture *f = *state;

        set_integer(f, "/1/0/2", 20);
        set_integer(f, "/1/0/3", 100);
        observe(f, "/3303/0/5700", "a");
        set_float(f, "/3303/0/5700", 1);
        pass(f, 19);
        assert_int_equal(fake_n_sent(f->transport), 0);
        set_integer(f, "/1/0/2", 19); /* at run time, too */
        pass(f, 0);
        assert_int_equal(fake_n_sent(f->transport), 1);
        acknowledge(f);
        pass(f, 100);
        assert_int_equal(fake_n_sent(f->transport), 2);
        acknowledge(f);
        attributes(f, "/3303", "pmin=1");
        attributes(f, "/3303/0", "pmin=3");
        set_float(f, "/3303/0/5700", 2);
        pass(f, 2.9);
        assert_int_equal(fake_n_sent(f->transport), 2);
        pass(f, 0.1);
        assert_int_equal(fake_n_sent(f->transport), 3);
}

static void test_reversed(void **state) {
        Fixture *f = *state;

        attributes(f, "/3303", "pmax=5");
        attributes(f, "/3303/0/5700", "pmin=50"); /* another level: taken, and pmax is ignored */
        observe(f, "/3303/0/5700", "a");
        pass(f, 49);
        assert_int_equal(fake_n_sent(f->transport), 0);
        set_float(f, "/3303/0/5700", 2);
        pass(f, 1);
        assert_int_equal(fake_n_sent(f->transport), 1);
}

static void test_own_attributes(void **state) {
        Fixture *f = *state;
        Ask ask = { .method = METHOD_GET,
                    .path = "/3303/0/5700",
                    .query = "pmin=7",
                    .format = -1,
                    .accept = 0,
                    .token = "a" };

        assert_int_equal(fixture_ask(f, &ask), CODE(4, 0)); /* since 1.2 */
        peer_set_version(f->peer, (Version){ 1, 2 });
        assert_int_equal(fixture_ask(f, &ask), CODE(2, 5));
        set_float(f, "/3303/0/5700", 2);
        pass(f, 6.9);
        assert_int_equal(fake_n_sent(f->transport), 0);
        pass(f, 0.1);
        assert_int_equal(fake_n_sent(f->transport), 1);
        ask.query = "pmin=x";
        assert_int_equal(fixture_ask(f, &ask), CODE(4, 0));
}

/* --- the way to the server, and being held --- */
static void test_link(void **state) {
        Fixture *f = *state;
        Link *other;

        attributes(f, "/3303/1", "pmax=50");
        observe(f, "/3303/0/5700", "a");
        observe(f, "/3303/1/5700", "b");
        set_float(f, "/3303/0/5700", 1);
        pass(f, 0);
        assert_int_equal(fake_n_sent(f->transport), 1);
        peer_set_link(f->peer, NULL); /* with one on its way */
        assert_int_equal(fake_n_open(f->transport), 0);
        set_float(f, "/3303/0/5700", 2);
        set_float(f, "/3303/0/5700", 3);
        pass(f, 100);
        assert_int_equal(fake_n_sent(f->transport), 1);
        assert_int_equal(count(f), 2);

        other = fake_link_new(f->transport);
        peer_set_link(f->peer, other);
        pass(f, 0);
        assert_ptr_equal(fake_open_call(f->transport, 0)->link, other);
        acknowledge_all(f);
        assert_int_equal(fake_n_sent(f->transport),
                         3); /* the newest value, and the pmax that passed */
        /* The one that was on its way may have been lost: it is sent again though nothing changed.
         */
        set_float(f, "/3303/0/5700", 4);
        pass(f, 0);
        peer_set_link(f->peer, NULL);
        peer_set_link(f->peer, f->link);
        pass(f, 0);
        assert_int_equal(fake_n_sent(f->transport), 5);
        assert_string_equal(fake_text(on_way(f, 0)), "4");
}

static void test_broken_way(void **state) {
        Fixture *f = *state;

        observe(f, "/3303/0/5700", "a");
        f->transport->send_error = -ENETUNREACH;
        set_float(f, "/3303/0/5700", 1);
        pass(f, 0);
        f->transport->send_error = 0;
        pass(f, 29);
        assert_int_equal(fake_n_sent(f->transport), 0); /* no busy loop */
        set_float(f, "/3303/0/5700", 2);
        pass(f, 1);
        assert_int_equal(fake_n_sent(f->transport), 1);
        fake_call_end(fake_open_call(f->transport, 0), -ECONNREFUSED, f->now);
        assert_int_equal(count(f), 1);
        pass(f, 30); /* nothing changed, but the server does not have it */
        assert_int_equal(fake_n_sent(f->transport), 2);
        assert_string_equal(fake_text(on_way(f, 0)), "2");
        acknowledge(f);
        pass(f, 100);
        assert_int_equal(fake_n_sent(f->transport), 2);
}

static void test_hold(void **state) {
        Fixture *f = *state;

        attributes(f, "/3303/1", "pmax=5");
        observe(f, "/3303/0/5700", "a");
        observe(f, "/3303/1/5700", "b");
        dm_suspend_notifications(f->dm);
        dm_suspend_notifications(f->dm);
        set_float(f, "/3303/0/5700", 1);
        pass(f, 10);
        set_float(f, "/3303/0/5700", 2);
        dm_resume_notifications(f->dm, f->now);
        pass(f, 10);
        assert_int_equal(fake_n_sent(f->transport), 0);
        dm_resume_notifications(f->dm, f->now);
        acknowledge_all(f);
        assert_int_equal(fake_n_sent(f->transport), 2); /* one each */
        assert_string_equal(fake_text(sent(f, 1)), "2");
        assert_string_equal(fake_text(sent(f, 0)), "22.5");
}

static void test_many_changes(void **state) {
        g_auto(OpList) ops = { .v = NULL };
        Fixture *f = *state;

        observe_any(f, "/33000/0", "a", 110);
        for (int i = 0; i < 100; i++) {
                const Path p = PATH_OIRI(33000, 0, 5, i);
                Value v = { .type = VALUE_FLOAT, .d = i + 0.25 };

                op_list_add(&ops, OP_SET, &p, &v);
        }
        assert_int_equal(ops_apply(f->tree, ops.v, ops.n, ORIGIN_APP, 0, NULL), 0);
        pass(f, 0);
        assert_int_equal(fake_n_sent(f->transport), 1);
}

/* --- end of what is observed --- */
static void test_deleted(void **state) {
        Fixture *f = *state;

        attributes(f, "/33000", "pmin=100");
        observe(f, "/33000/0/1", "a");
        observe_any(f, "/33000", "b", 11542);
        assert_int_equal(delete_path(f, "/33000/0"), CODE(2, 2));
        pass(f, 0);
        assert_int_equal(fake_n_sent(f->transport), 1); /* pmin does not hold the end back … */
        assert_token(on_way(f, 0), "a");
        assert_int_equal(on_way(f, 0)->code, CODE(4, 4));
        assert_int_equal(on_way(f, 0)->observe, -1);
        assert_int_equal(count(f), 1);
        acknowledge(f);
        pass(f, 99);
        assert_int_equal(fake_n_sent(f->transport), 1);
        pass(f, 1); /* … but the notification that an instance of the object is gone */
        assert_token(on_way(f, 0), "b");
        assert_int_equal(on_way(f, 0)->code, CODE(2, 5));
        acknowledge(f);
        assert_int_equal(count(f), 1);
}

static void test_replaced_stays(void **state) {
        Fixture *f = *state;

        observe(f, "/33000/0/1", "a");
        assert_int_equal(put(f, "/33000/0", 110, "[{\"bn\":\"/33000/0/\",\"n\":\"1\",\"v\":9}]"),
                         CODE(2, 4));
        pass(f, 0);
        assert_int_equal(on_way(f, 0)->code, CODE(2, 5));
        assert_string_equal(fake_text(on_way(f, 0)), "9");
}

static void test_drop(void **state) {
        Fixture *f = *state;

        observe(f, "/33000/0/1", "a");
        observe(f, "/33000/0/2", "b");
        peer_drop_observations(f->peer, "registered anew");
        assert_int_equal(count(f), 0);
        assert_false(dm_is_observed(f->dm, &PATH_ROOT));
        set_integer(f, "/33000/0/1", 6);
        pass(f, 1);
        assert_int_equal(fake_n_sent(f->transport), 0);
}

static void test_limit(void **state) {
        Fixture *f = *state;

        for (int i = 0; i < 4; i++) {
                const char token[] = { (char) ('a' + i), 0 };

                assert_int_equal(observe(f, "/33000/0/1", token), CODE(2, 5));
                assert_int_equal(fake_last_answer(f->transport)->observe, 0);
        }
        assert_int_equal(observe(f, "/33000/0/1", "z"), CODE(2, 5));
        assert_int_equal(fake_last_answer(f->transport)->observe, -1); /* a plain read */
        assert_int_equal(count(f), 4);
        assert_int_equal(observe(f, "/33000/0/1", "a"), CODE(2, 5)); /* takes its own place */
        assert_true(fake_last_answer(f->transport)->observe > 0);
}

static void test_servers(void **state) {
        Fixture *f = *state;
        Peer *first = f->peer, *second = peer_new(f->dm, 2);

        peer_set_link(second, fake_link_new(f->transport));
        observe(f, "/33000/0/1", "a");
        attributes(f, "/33000/0/1", "pmin=10");
        f->peer = second;
        assert_int_equal(observe(f, "/33000/0/1", "a"), CODE(2, 5));
        assert_int_equal(count(f), 2);
        set_integer(f, "/33000/0/1", 6);
        pass(f, 0);
        assert_int_equal(fake_n_sent(f->transport),
                         1); /* the second's attributes are its own: none */
        acknowledge(f);
        peer_free(second);
        f->peer = first;
        pass(f, 10);
        assert_int_equal(fake_n_sent(f->transport), 2);
}

/* A server that goes for good takes its attributes along; the others keep theirs. */
static void test_forget_attributes(void **state) {
        Fixture *f = *state;
        g_autofree char *first = NULL, *second = NULL;
        const Path p = PATH_OIR(33000, 0, 1);
        Peer *mine = f->peer;

        attributes(f, "/33000/0/1", "pmin=10");
        observe(f, "/33000/0/1", "a");
        f->peer = peer_new(f->dm, 2);
        attributes(f, "/33000/0/1", "pmin=20");
        peer_forget_attributes(mine);
        first = dm_attributes(f->dm, 1, &p);
        second = dm_attributes(f->dm, 2, &p);
        assert_string_equal(first, "");
        assert_string_equal(second, "pmin=20");
        assert_int_equal(f->n_attributes_changed, 3);
        set_integer(f, "/33000/0/1", 6);
        pass(f, 0); /* nothing holds it back any more */
        assert_int_equal(fake_n_sent(f->transport), 1);
        acknowledge(f);
}

/* --- Observe-Composite --- */
static uint8_t observe_composite(Fixture *f, const char *json, const char *token, int value) {
        return fixture_ask(f, &(Ask){ .method = METHOD_FETCH,
                                      .path = "/",
                                      .format = 110,
                                      .accept = 110,
                                      .observe = value,
                                      .token = token,
                                      .payload = json,
                                      .n_payload = strlen(json) });
}

/* Four observations may hold 16 paths here; the paths are what costs memory. */
static void test_composite_limit(void **state) {
        static const char five[] = "[{\"n\":\"/3/0/0\"},{\"n\":\"/3303/0\"},{\"n\":\"/3303/1\"},"
                                   "{\"n\":\"/33000/0/1\"},{\"n\":\"/33000/0/2\"}]";
        Fixture *f = *state;

        for (int i = 0; i < 4; i++) {
                const char token[] = { (char) ('a' + i), 0 };

                assert_int_equal(observe_composite(f, five, token, 0), CODE(2, 5));
                assert_int_equal(fake_last_answer(f->transport)->observe, i < 3 ? 0 : -1);
        }
        assert_int_equal(observe(f, "/33000/0/1", "z"), CODE(2, 5)); /* for one there is room */
        assert_int_equal(fake_last_answer(f->transport)->observe, 0);
        observe_composite(f, five, "a", 1);
        observe_composite(f, five, "d", 0);
        assert_int_equal(fake_last_answer(f->transport)->observe, 0);
}

static void test_composite(void **state) {
        static const char json[] =
                "[{\"n\":\"/3303/0/5700\"},{\"n\":\"/33000/0/1\"},{\"n\":\"/4711\"}]";
        Fixture *f = *state;

        assert_int_equal(observe_composite(f, json, "c", 0), CODE(2, 5));
        assert_int_equal(fake_last_answer(f->transport)->observe, 0);
        set_float(f, "/3303/0/5700", 1.25);
        set_integer(f, "/33000/0/1", 6);
        set_float(f, "/3303/1/5700", 7.75); /* not asked for */
        pass(f, 0);
        assert_int_equal(fake_n_sent(f->transport), 1);
        assert_int_equal(on_way(f, 0)->format, 110);
        assert_non_null(strstr(fake_text(on_way(f, 0)), "1.25"));
        assert_non_null(strstr(fake_text(on_way(f, 0)), "6"));
        assert_null(strstr(fake_text(on_way(f, 0)), "7.75"));
        acknowledge(f);
        assert_int_equal(observe_composite(f, json, "c", 1), CODE(2, 5));
        assert_int_equal(count(f), 0);
        assert_int_equal(observe_composite(f, "[{\"n\":\"/4711\"}]", "c", 0), CODE(4, 4));
        assert_int_equal(observe_composite(f, "[{\"n\":\"/0\"}]", "c", 0), CODE(4, 1));
        assert_int_equal(count(f), 0);
}

static void test_composite_root(void **state) {
        Fixture *f = *state;

        assert_int_equal(observe_composite(f, "[{\"n\":\"/\"}]", "c", 0), CODE(2, 5));
        set_float(f, "/3303/1/5700", 7.75);
        pass(f, 0);
        assert_int_equal(fake_n_sent(f->transport), 1);
        acknowledge(f);
        set_integer(f, "/0/0/10", 2); /* what is hidden leads to nothing */
        pass(f, 0);
        assert_int_equal(fake_n_sent(f->transport), 1);
}

/* --- values of applications --- */
static RecordList value(double d) {
        RecordList l = { .v = NULL };
        const Path p = PATH_OIR(3303, 0, 5700);
        Value v = { .type = VALUE_FLOAT, .d = d };

        record_list_add(&l, &p, &v, RECORD_NO_TIME);
        return l;
}

static void test_app(void **state) {
        g_auto(RecordList) one = value(1), two = value(2);
        Fixture *f = *state;

        fake_apps_claim(f->apps, "/3303/0", APP_READ);
        attributes(f, "/3303/0", "pmax=60");
        assert_int_equal(observe(f, "/3303/0/5700", "a"), 0);
        assert_int_equal(count(f), 0);
        set_float(f, "/3303/0/5700", 5); /* while it is asked */
        fake_app_answer(fake_apps_last(f->apps), 0, NULL, &one, f->now);
        assert_int_equal(fake_last_answer(f->transport)->observe, 0);
        assert_int_equal(count(f), 1);
        pass(f, 0); /* the change from meanwhile: asked again, the same answer, no news */
        assert_int_equal(f->apps->calls->len, 2);
        fake_app_answer(fake_apps_last(f->apps), 0, NULL, &one, f->now);
        assert_int_equal(fake_n_sent(f->transport), 0);

        pass(f, 60);
        assert_int_equal(f->apps->calls->len, 3);
        fake_app_answer(fake_apps_last(f->apps), 0, NULL, &two, f->now);
        assert_int_equal(fake_n_sent(f->transport), 1);
        assert_string_equal(fake_text(on_way(f, 0)), "2");
        acknowledge(f);

        pass(f, 60); /* an owner that fails costs one turn, not the observation */
        fake_app_answer(fake_apps_last(f->apps), -EHOSTUNREACH, NULL, NULL, f->now);
        assert_int_equal(fake_n_sent(f->transport), 1);
        assert_int_equal(count(f), 1);
        pass(f, 60);
        assert_int_equal(f->apps->calls->len, 5);
        peer_drop_observations(f->peer, "");
        assert_true(fake_apps_last(f->apps)->cancelled);
}

/* The observation goes while its first answer waits for an application: the answer is that of a
 * read. */
static void test_app_cancelled(void **state) {
        g_auto(RecordList) one = value(1);
        g_autoptr(GBytes) a = g_bytes_new_static("a", 1);
        Fixture *f = *state;

        fake_apps_claim(f->apps, "/3303/0", APP_READ);
        observe(f, "/3303/0/5700", "a");
        peer_reset(f->peer, a, f->now);
        fake_app_answer(fake_apps_last(f->apps), 0, NULL, &one, f->now);
        assert_int_equal(fake_last_answer(f->transport)->code, CODE(2, 5));
        assert_int_equal(fake_last_answer(f->transport)->observe, -1);

        observe(f, "/3303/0/5700", "a");
        fake_app_answer(fake_apps_last(f->apps), -EBUSY, NULL, NULL, f->now);
        assert_int_equal(fake_last_answer(f->transport)->code, CODE(5, 3));
        assert_int_equal(count(f), 0);
        assert_false(dm_is_observed(f->dm, &PATH_ROOT));

        observe(f, "/3303/0/5700", "a"); /* and the server with it */
        peer_free(f->peer);
        assert_int_equal(fake_last_answer(f->transport)->code, CODE(5, 3));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                DM_TEST(test_basic),          DM_TEST(test_no_news),
                DM_TEST(test_levels),         DM_TEST(test_server_write),
                DM_TEST(test_codes),          DM_TEST(test_cancel),
                DM_TEST(test_cancel_lets_go), DM_TEST(test_same_token),
                DM_TEST(test_lost),           DM_TEST(test_pmin),
                DM_TEST(test_pmax),           DM_TEST(test_defaults),
                DM_TEST(test_reversed),       DM_TEST(test_own_attributes),
                DM_TEST(test_link),           DM_TEST(test_broken_way),
                DM_TEST(test_hold),           DM_TEST(test_many_changes),
                DM_TEST(test_deleted),        DM_TEST(test_replaced_stays),
                DM_TEST(test_drop),           DM_TEST(test_limit),
                DM_TEST(test_servers),        DM_TEST(test_forget_attributes),
                DM_TEST(test_composite),      DM_TEST(test_composite_limit),
                DM_TEST(test_composite_root), DM_TEST(test_app),
                DM_TEST(test_app_cancelled),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
