/* SPDX-License-Identifier: Apache-2.0 */
/* Time series from the change of a value to the server's acknowledgement. */
#include "dm_fixture.h"

#include <errno.h>
#include <string.h>

#include "lwm2m/dm/samples.h"

#define NOW INT64_C(1700001000000000000) /* when a test begins */
#define S INT64_C(1000000000)

static void cache(Fixture *f, const char *path, SeriesPolicy policy) {
        OpError error;
        Path p;

        assert_int_equal(path_parse(path, &p), 0);
        if (samples_configure(f->dm, &p, &policy, &error) < 0)
                fail_msg("%s", error.text);
}

static uint8_t observe_as(Fixture *f, const char *path, int accept, const char *token) {
        return fixture_ask(f, &(Ask){ .method = METHOD_GET,
                                      .path = path,
                                      .format = -1,
                                      .accept = accept,
                                      .token = token });
}

static const char *notified(const Fixture *f) {
        Call *c = fake_open_call(f->transport, 0);

        return c ? fake_text(&c->message) : "nothing";
}

static void acknowledge(Fixture *f) {
        fake_call_end(fake_open_call(f->transport, 0), 0, f->now);
}

static uint32_t cached(const Fixture *f, const char *path) {
        SeriesInfo info = { .n = 0 };
        Path p;

        assert_int_equal(path_parse(path, &p), 0);
        series_info(f->series, &p, &info);
        return info.n;
}

static unsigned times_in(const char *text) {
        unsigned n = 0;

        for (; (text = strstr(text, "\"v\":")); text++)
                n++;
        return n;
}

/* --- reading --- */
static void test_read(void **state) {
        Fixture *f = *state;

        cache(f, "/3303/0/5700", (SeriesPolicy){ .samples = 10 });
        get(f, "/3303/0/5700", FORMAT_SENML_JSON); /* no sample yet: the value */
        assert_string_equal(answer_text(f), "[{\"n\":\"/3303/0/5700\",\"v\":21.5}]");
        set_float(f, "/3303/0/5700", 22);
        pass(f, 2.5);
        set_float(f, "/3303/0/5700", 22); /* equal, but measured again */
        for (int i = 0; i < 2; i++) {     /* reading takes nothing away */
                get(f, "/3303/0/5700", FORMAT_SENML_JSON);
                assert_string_equal(answer_text(f),
                                    "[{\"bn\":\"/3303/0/5700\",\"bt\":1700001000,\"v\":22},"
                                    "{\"t\":2.5,\"v\":22}]");
        }
        get(f, "/3303/0", FORMAT_SENML_JSON);
        assert_string_equal(answer_text(f),
                            "[{\"bn\":\"/3303/0/\",\"bt\":1700001000,\"n\":\"5700\",\"v\":22},"
                            "{\"n\":\"5700\",\"t\":2.5,\"v\":22}]");
        get(f, "/3303/0/5700", FORMAT_TEXT);
        assert_string_equal(answer_text(f), "22");
        get(f, "/3303/0/5700", -1); /* no Accept: a format that can tell */
        assert_int_equal(fake_last_answer(f->transport)->format, FORMAT_SENML_CBOR);
        get(f, "/3303/0/5700", FORMAT_LWM2M_CBOR);
        assert_int_equal(g_bytes_get_size(fake_last_answer(f->transport)->payload), 14);
        assert_int_equal(cached(f, "/3303/0/5700"), 2);
}

static void test_read_latest(void **state) {
        Fixture *f = *state;

        cache(f, "/3303", (SeriesPolicy){ .samples = 10, .read_latest = true });
        set_float(f, "/3303/0/5700", 22);
        set_float(f, "/3303/0/5700", 23);
        get(f, "/3303/0/5700", FORMAT_SENML_JSON);
        assert_string_equal(answer_text(f), "[{\"n\":\"/3303/0/5700\",\"v\":23}]");
        assert_int_equal(cached(f, "/3303/0/5700"), 2);
}

static void test_read_composite(void **state) {
        Fixture *f = *state;

        cache(f, "/3303/0/5700", (SeriesPolicy){ .samples = 10 });
        set_float(f, "/3303/0/5700", 22);
        pass(f, 1);
        set_float(f, "/3303/0/5700", 23);
        fetch(f, "[{\"n\":\"/3303/0/5700\"},{\"n\":\"/3303\"},{\"n\":\"/3/0/0\"}]",
              FORMAT_SENML_JSON);
        assert_string_equal(answer_text(f),
                            "[{\"bn\":\"/3/0/\",\"n\":\"0\",\"vs\":\"ACME\"},"
                            "{\"bn\":\"/3303/1/\",\"n\":\"5700\",\"v\":22.5},"
                            "{\"bn\":\"/3303/0/\",\"bt\":1700001000,\"n\":\"5700\",\"v\":22},"
                            "{\"n\":\"5700\",\"t\":1,\"v\":23}]");
}

/* "Read handlers are not asked while cached." */
static void test_application_is_not_asked(void **state) {
        Fixture *f = *state;

        fake_apps_claim(f->apps, "/3303/0", APP_READ);
        cache(f, "/3303/0/5700", (SeriesPolicy){ .samples = 10 });
        set_float(f, "/3303/0/5700", 22);
        assert_int_equal(get(f, "/3303/0/5700", FORMAT_SENML_JSON), CODE(2, 5));
        cache(f, "/3303/0/5700", (SeriesPolicy){ .samples = 0 });
        assert_int_equal(get(f, "/3303/0/5700", FORMAT_SENML_JSON), 0);
        fake_app_answer(fake_apps_last(f->apps), -ENOENT, NULL, NULL, f->now);
}

static void test_write_of_a_server(void **state) {
        Fixture *f = *state;

        cache(f, "/33000", (SeriesPolicy){ .samples = 10 });
        assert_int_equal(put(f, "/33000/0/1", FORMAT_TEXT, "7"), CODE(2, 4));
        assert_int_equal(put(f, "/33000/0/1", FORMAT_TEXT, "999"), CODE(4, 0)); /* out of range */
        assert_int_equal(put(f, "/33000/0/2", FORMAT_TEXT, "text"), CODE(2, 4));
        assert_int_equal(put(f, "/33000/0/7", FORMAT_TEXT, "1"), CODE(2, 4));
        get(f, "/33000/0/7", FORMAT_SENML_JSON);
        assert_string_equal(answer_text(f),
                            "[{\"bt\":1700001000,\"n\":\"/33000/0/7\",\"vb\":true}]");
        set_float(f, "/33000/0/5/1", 2);
        assert_int_equal(cached(f, "/33000/0/1"), 1);
        assert_int_equal(cached(f, "/33000/0/2"), 0);
        assert_int_equal(cached(f, "/33000/0/5/1"), 1);
        delete_path(f, "/33000/0");
        assert_int_equal(cached(f, "/33000/0/1"), 0);
        assert_int_equal(series_bytes(f->series), 0);
}

/* --- notifications --- */
static void test_observe(void **state) {
        Fixture *f = *state;

        cache(f, "/3303/0/5700", (SeriesPolicy){ .samples = 10 });
        set_float(f, "/3303/0/5700", 1);
        observe_as(f, "/3303/0/5700", FORMAT_SENML_JSON, "a");
        /* Nobody acknowledges an answer: it tells the value, the samples follow. */
        assert_string_equal(answer_text(f), "[{\"n\":\"/3303/0/5700\",\"v\":1}]");
        pass(f, 0);
        assert_true(fake_open_call(f->transport, 0)->message.confirmable);
        assert_string_equal(notified(f), "[{\"bt\":1700001000,\"n\":\"/3303/0/5700\",\"v\":1}]");
        pass(f, 1);
        set_float(f, "/3303/0/5700", 2);
        pass(f, 1);
        set_float(f, "/3303/0/5700", 3);
        assert_int_equal(cached(f, "/3303/0/5700"), 3); /* nothing was acknowledged */
        acknowledge(f);
        assert_int_equal(cached(f, "/3303/0/5700"), 2);
        assert_string_equal(notified(f), "[{\"bn\":\"/3303/0/5700\",\"bt\":1700001001,\"v\":2},"
                                         "{\"t\":1,\"v\":3}]");
        acknowledge(f);
        assert_int_equal(cached(f, "/3303/0/5700"), 0);
        assert_string_equal(notified(f), "nothing");
        get(f, "/3303/0/5700", FORMAT_SENML_JSON);
        assert_string_equal(answer_text(f), "[{\"n\":\"/3303/0/5700\",\"v\":3}]");
        set_float(f, "/3303/0/5700", 4); /* and who cancels gets the value as well */
        fixture_ask(f, &(Ask){ .method = METHOD_GET,
                               .path = "/3303/0/5700",
                               .format = -1,
                               .accept = FORMAT_SENML_JSON,
                               .observe = 1,
                               .token = "a" });
        assert_string_equal(answer_text(f), "[{\"n\":\"/3303/0/5700\",\"v\":4}]");
        assert_int_equal(cached(f, "/3303/0/5700"), 1);
}

static void test_cached_while_observed(void **state) {
        Fixture *f = *state;

        observe_as(f, "/3303/0/5700", FORMAT_SENML_JSON, "a");
        cache(f, "/3303", (SeriesPolicy){ .samples = 10 });
        set_float(f, "/3303/0/5700", 1);
        set_float(f, "/3303/0/5700", 2);
        pass(f, 0);
        assert_string_equal(notified(f), "[{\"bn\":\"/3303/0/5700\",\"bt\":1700001000,\"v\":1},"
                                         "{\"t\":0.000000001,\"v\":2}]");
        acknowledge(f);
        assert_int_equal(cached(f, "/3303/0/5700"), 0);
}

static void test_pmin_gathers(void **state) {
        Fixture *f = *state;

        cache(f, "/3303/0/5700", (SeriesPolicy){ .samples = 10 });
        attributes(f, "/3303/0/5700", "pmin=10");
        observe_as(f, "/3303/0/5700", FORMAT_SENML_JSON, "a");
        for (int i = 1; i <= 3; i++) {
                pass(f, 1);
                set_float(f, "/3303/0/5700", i);
        }
        pass(f, 6.9);
        assert_string_equal(notified(f), "nothing");
        pass(f, 0.1);
        assert_string_equal(notified(f), "[{\"bn\":\"/3303/0/5700\",\"bt\":1700001001,\"v\":1},"
                                         "{\"t\":1,\"v\":2},{\"t\":2,\"v\":3}]");
        acknowledge(f);
}

/* The heartbeat tells the value when there is no new sample. */
static void test_pmax(void **state) {
        Fixture *f = *state;

        cache(f, "/3303/0/5700", (SeriesPolicy){ .samples = 10 });
        attributes(f, "/3303/0/5700", "pmax=10");
        observe_as(f, "/3303/0/5700", FORMAT_SENML_JSON, "a");
        set_float(f, "/3303/0/5700", 4);
        pass(f, 0);
        acknowledge(f);
        pass(f, 10);
        assert_string_equal(notified(f), "[{\"n\":\"/3303/0/5700\",\"v\":4}]");
        acknowledge(f);
}

static void test_lost_on_the_way(void **state) {
        Fixture *f = *state;
        int number;

        cache(f, "/3303/0/5700", (SeriesPolicy){ .samples = 10 });
        observe_as(f, "/3303/0/5700", FORMAT_SENML_JSON, "a");
        set_float(f, "/3303/0/5700", 1);
        pass(f, 0);
        number = fake_open_call(f->transport, 0)->message.observe;
        peer_set_link(f->peer, NULL); /* whether it arrived is not known */
        set_float(f, "/3303/0/5700", 2);
        pass(f, 5);
        peer_set_link(f->peer, f->link);
        pass(f, 0);
        /* The same once more, by which the server can tell: RFC 7641, section 3.4. */
        assert_string_equal(notified(f), "[{\"bt\":1700001000,\"n\":\"/3303/0/5700\",\"v\":1}]");
        assert_int_equal(fake_open_call(f->transport, 0)->message.observe, number);
        acknowledge(f);
        assert_string_equal(
                notified(f),
                "[{\"bt\":1700001000,\"n\":\"/3303/0/5700\",\"t\":0.000000001,\"v\":2}]");
        assert_int_equal(fake_open_call(f->transport, 0)->message.observe, number + 1);
        /* The server does not answer: it has forgotten, and later asks again. */
        fake_call_end(fake_open_call(f->transport, 0), -ETIMEDOUT, f->now);
        set_float(f, "/3303/0/5700", 3);
        assert_int_equal(cached(f, "/3303/0/5700"), 2);
        observe_as(f, "/3303/0/5700", FORMAT_SENML_JSON, "b");
        pass(f, 0);
        assert_int_equal(times_in(notified(f)), 2);
        acknowledge(f);
        assert_int_equal(cached(f, "/3303/0/5700"), 0);
}

/* Two servers, and two observations of one of them: each gets each sample once. */
static void test_several_observers(void **state) {
        Fixture *f = *state;
        Peer *first = f->peer, *second = peer_new(f->dm, 2);
        unsigned n[2] = { 0 };

        peer_set_link(second, f->link);
        cache(f, "/3303", (SeriesPolicy){ .samples = 10 });
        observe_as(f, "/3303/0/5700", FORMAT_SENML_JSON, "a");
        observe_as(f, "/3303/0", FORMAT_SENML_JSON, "b");
        f->peer = second;
        observe_as(f, "/3303/0/5700", FORMAT_SENML_JSON, "a");
        f->peer = first;
        set_float(f, "/3303/0/5700", 1);
        pass(f, 0);
        assert_int_equal(fake_n_open(f->transport), 2); /* one a server at a time */
        for (unsigned i = 0; i < 2; i++) {
                Call *c = fake_open_call(f->transport, 1);

                assert_non_null(strstr(fake_text(&c->message), "\"bt\":1700001000"));
                fake_call_end(c, 0, f->now);
                assert_int_equal(cached(f, "/3303/0/5700"), 1); /* one or two are missing */
        }
        set_float(f, "/3303/0/5700", 2);
        pass(f, 1);
        while (fake_n_open(f->transport) > 0)
                acknowledge(f);
        assert_int_equal(cached(f, "/3303/0/5700"), 0);
        for (guint i = 0; i < f->transport->sent->len; i++) {
                const Call *c = f->transport->sent->pdata[i];

                for (unsigned k = 0; k < 2; k++)
                        n[k] += strstr(fake_text(&c->message), k ? "\"v\":2}" : "\"v\":1}") != NULL;
        }
        assert_int_equal(n[0], 3);
        assert_int_equal(n[1], 3);
        peer_free(second);
}

/* A format without time takes nothing, and waits for nothing. */
static void test_observer_without_time(void **state) {
        Fixture *f = *state;

        cache(f, "/3303/0/5700", (SeriesPolicy){ .samples = 10 });
        observe_as(f, "/3303/0/5700", FORMAT_TEXT, "a");
        set_float(f, "/3303/0/5700", 1);
        set_float(f, "/3303/0/5700", 2);
        pass(f, 0);
        assert_string_equal(notified(f), "2");
        acknowledge(f);
        assert_int_equal(cached(f, "/3303/0/5700"), 2);
        assert_int_equal(fake_n_sent(f->transport), 1);
        observe_as(f, "/3303/0/5700", FORMAT_SENML_JSON, "b");
        pass(f, 0);
        acknowledge(f);
        assert_int_equal(cached(f, "/3303/0/5700"), 0);
}

/* More than a message holds goes in several, each acknowledged by itself. */
static void test_many(void **state) {
        Fixture *f = *state;
        unsigned n = 0, n_messages = 0;

        cache(f, "/3303/0/5700", (SeriesPolicy){ .samples = 1000 });
        observe_as(f, "/3303/0/5700", FORMAT_SENML_JSON, "a");
        for (int i = 0; i < 1000; i++) {
                f->now += 1000;
                set_float(f, "/3303/0/5700", i);
        }
        pass(f, 0);
        while (fake_n_open(f->transport) > 0) {
                const Call *c = fake_open_call(f->transport, 0);
                const char *text = fake_text(&c->message);
                g_autofree char *first = g_strdup_printf("\"v\":%u}", n);

                assert_true(g_bytes_get_size(c->message.payload) <= 1024);
                assert_non_null(strstr(text, first));
                n += times_in(text);
                n_messages++;
                acknowledge(f);
                assert_int_equal(cached(f, "/3303/0/5700"), 1000 - n);
        }
        assert_int_equal(n, 1000);
        assert_true(n_messages < 40);
}

/* What else is observed does not fit into a message by itself. */
static void test_many_beside_a_long_text(void **state) {
        Fixture *f = *state;
        g_autofree char *text = g_strnfill(2000, 'x');
        unsigned n = 0, n_messages = 0;

        assert_int_equal(put(f, "/33000/0/2", FORMAT_TEXT, text), CODE(2, 4));
        cache(f, "/33000/0/1", (SeriesPolicy){ .samples = 1000 });
        for (int i = 0; i < 500; i++)
                set_integer(f, "/33000/0/1", i % 100);
        observe_as(f, "/33000/0", FORMAT_SENML_JSON, "a");
        pass(f, 0);
        while (fake_n_open(f->transport) > 0) {
                n += times_in(fake_text(&fake_open_call(f->transport, 0)->message));
                n_messages++;
                acknowledge(f);
        }
        assert_true(n >= 500);
        assert_true(n_messages < 5);
        assert_int_equal(cached(f, "/33000/0/1"), 0);
}

static void test_observe_composite(void **state) {
        static const char body[] =
                "[{\"n\":\"/3303\"},{\"n\":\"/3303/0/5700\"},{\"n\":\"/3/0/0\"}]";
        Fixture *f = *state;

        cache(f, "/3303/0/5700", (SeriesPolicy){ .samples = 10 });
        assert_int_equal(fixture_ask(f, &(Ask){ .method = METHOD_FETCH,
                                                .format = FORMAT_SENML_JSON,
                                                .accept = FORMAT_SENML_JSON,
                                                .token = "c",
                                                .payload = body,
                                                .n_payload = strlen(body) }),
                         CODE(2, 5));
        set_float(f, "/3303/0/5700", 1);
        pass(f, 1);
        assert_string_equal(notified(f),
                            "[{\"bn\":\"/3/0/\",\"n\":\"0\",\"vs\":\"ACME\"},"
                            "{\"bn\":\"/3303/1/\",\"n\":\"5700\",\"v\":22.5},"
                            "{\"bn\":\"/3303/0/\",\"bt\":1700001000,\"n\":\"5700\",\"v\":1}]");
        acknowledge(f);
        assert_int_equal(cached(f, "/3303/0/5700"), 0);
}

static void test_held(void **state) {
        Fixture *f = *state;

        cache(f, "/3303/0/5700", (SeriesPolicy){ .samples = 10 });
        observe_as(f, "/3303/0/5700", FORMAT_SENML_JSON, "a");
        dm_suspend_notifications(f->dm);
        set_float(f, "/3303/0/5700", 1);
        set_float(f, "/3303/0/5700", 2);
        pass(f, 1);
        assert_string_equal(notified(f), "nothing");
        dm_resume_notifications(f->dm, f->now);
        assert_int_equal(times_in(notified(f)), 2); /* a hold takes no sample away */
        acknowledge(f);
}

/* --- pushing --- */
typedef struct Pushed {
        const char *path;
        double value;
        int64_t time_ns;
} Pushed;

static int push(Fixture *f, const Pushed *p, size_t n, size_t *dropped, OpError *error) {
        g_autoptr(SamplePush) b = sample_push_new(f->dm);

        for (size_t i = 0; i < n; i++) {
                const Value v = { .type = VALUE_FLOAT, .d = p[i].value };
                Path path;
                int r;

                assert_int_equal(path_parse(p[i].path, &path), 0);
                r = sample_push_add(b, &path, &v, p[i].time_ns, false, error);
                if (r < 0)
                        return r;
        }
        return sample_push_commit(b, NULL, 0, dropped, error, f->now);
}

static void test_push(void **state) {
        Fixture *f = *state;
        const Pushed samples[] = { { "/3303/0/5700", 1, NOW - 5 * S },
                                   { "/3303/1/5700", 7, NOW - 1 * S },
                                   { "/3303/0/5700", 3, NOW - 1 * S },
                                   { "/3303/0/5700", 2, NOW - 3 * S } };
        OpError error;
        size_t dropped;

        cache(f, "/3303", (SeriesPolicy){ .samples = 3 });
        observe_as(f, "/3303/0/5700", FORMAT_SENML_JSON, "a");
        assert_int_equal(push(f, samples, 4, &dropped, &error), 0);
        assert_int_equal(dropped, 0);
        assert_value(f, "/3303/0/5700", "3"); /* the youngest, not the last */
        assert_value(f, "/3303/1/5700", "7");
        pass(f, 0);
        assert_string_equal(notified(f), "[{\"bn\":\"/3303/0/5700\",\"bt\":1700000995,\"v\":1},"
                                         "{\"t\":2,\"v\":2},{\"t\":4,\"v\":3}]");
        /* A late one: told, but not the value; a full cache says so. */
        assert_int_equal(push(f, &(Pushed){ "/3303/0/5700", 9, NOW - 4 * S }, 1, &dropped, &error),
                         0);
        assert_int_equal(dropped, 1);
        acknowledge(f);
        assert_string_equal(notified(f), "[{\"n\":\"/3303/0/5700\",\"v\":3}]");
        acknowledge(f);
        assert_int_equal(push(f, &(Pushed){ "/3303/0/5700", 9, NOW - 4 * S }, 1, &dropped, &error),
                         0);
        assert_value(f, "/3303/0/5700", "3");
        pass(f, 0);
        assert_string_equal(notified(f), "[{\"bt\":1700000996,\"n\":\"/3303/0/5700\",\"v\":9}]");
        acknowledge(f);
        assert_int_equal(push(f, &(Pushed){ "/3303/0/5700", 4, 0 }, 1, &dropped, &error), 0);
        assert_value(f, "/3303/0/5700", "4");
        pass(f, 0);
        acknowledge(f);
}

/* A clock that ran ahead and was set back does not make what comes now old. */
static void test_push_after_the_clock_was_set_back(void **state) {
        Fixture *f = *state;
        OpError error;
        size_t dropped;

        cache(f, "/3303/0/5700", (SeriesPolicy){ .samples = 10 });
        f->wall_ns += 86400 * S;
        set_float(f, "/3303/0/5700", 1);
        f->wall_ns -= 86400 * S;
        assert_int_equal(push(f, &(Pushed){ "/3303/0/5700", 2, 0 }, 1, &dropped, &error), 0);
        assert_value(f, "/3303/0/5700", "2");
}

static void test_push_refused(void **state) {
        Fixture *f = *state;
        static const struct {
                Pushed sample;
                int error;
                const char *text;
        } bad[] = {
                { { "/3303/0/5700", 1, NOW + 61 * S },
                  -ERANGE,
                  "time 2023-11-14T22:31:01.000Z is in the future: it is 2023-11-14T22:30:00.000Z, "
                  "and at most 60 s ahead" },
                { { "/3303/0/5700", 1, 1700000000 },
                  -ERANGE,
                  "time 1970-01-01T00:00:01.700Z is before 2000 (in nanoseconds since 1970: "
                  "1700000000)" },
                { { "/3303/0/5700", 1, -5 }, -ERANGE, "before 2000" },
                { { "/3303/0/5700", 1, INT64_MAX }, -ERANGE, "in the future" },
                { { "/3303/9/5700", 1, NOW }, -ENOENT, "no such object instance" },
                { { "/3303/0/9999", 1, NOW }, -ENOENT, "no such resource" },
                { { "/33000/0/1", 1, NOW }, -EPERM, "no cache" },
                { { "/3303/0/5701", 1, NOW }, -EINVAL, "type String has no time series" },
                { { "/33000/0/7", 1, NOW }, -EINVAL, "Boolean expected, got Float" },
                { { "/33000/0/14", -1, NOW }, -ERANGE, "out of range" },
                { { "/33000/0/5", 1, NOW }, -EISDIR, "name one of its instances" },
                { { "/3303/0/5700/0", 1, NOW }, -ENOTDIR, "not a multiple resource" },
        };
        OpError error;
        size_t dropped;

        cache(f, "/3303", (SeriesPolicy){ .samples = 10 });
        cache(f, "/33000", (SeriesPolicy){ .samples = 10 });
        cache(f, "/33000/0/1", (SeriesPolicy){ .samples = 0 });
        for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
                const Pushed both[] = { { "/3303/1/5700", 5, NOW }, bad[i].sample };

                assert_int_equal(push(f, both, 2, &dropped, &error), bad[i].error);
                if (!strstr(error.text, bad[i].text) || !strstr(error.text, both[1].path))
                        fail_msg("'%s' does not say '%s'", error.text, bad[i].text);
                assert_int_equal(cached(f, "/3303/1/5700"), 0); /* none of them */
        }
        assert_int_equal(push(f, &(Pushed){ "/3303/0/5700", 1, NOW + 59 * S }, 1, &dropped, &error),
                         0);
}

static void test_configure_refused(void **state) {
        Fixture *f = *state;
        static const struct {
                const char *path, *text;
        } bad[] = {
                { "/3303/0/5701", "String; cached are" },
                { "/33000/0/6", "Opaque; cached are" },
                { "/33000/0/13", "Objlnk; cached are" },
                { "/33000/0/4", "an executable has no value" },
                { "/3303/0/1", "has no resource 1" },
                { "/4711", "no definition of object 4711" },
        };
        OpError error;
        Path p;

        for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
                assert_int_equal(path_parse(bad[i].path, &p), 0);
                assert_int_equal(samples_configure(f->dm, &p, &(SeriesPolicy){ 10 }, &error),
                                 -EINVAL);
                if (!strstr(error.text, bad[i].text))
                        fail_msg("'%s' does not say '%s'", error.text, bad[i].text);
        }
        assert_int_equal(
                samples_configure(f->dm, &PATH_O(3303), &(SeriesPolicy){ UINT32_MAX }, &error),
                -ERANGE);
}

/* Before the clock is set, samples have boot times, and wait. */
static void test_clock_not_set(void **state) {
        Fixture *f = *state;

        f->wall_ns = 0; /* 1970 */
        cache(f, "/3303/0/5700", (SeriesPolicy){ .samples = 10 });
        observe_as(f, "/3303/0/5700", FORMAT_SENML_JSON, "a");
        set_float(f, "/3303/0/5700", 1);
        pass(f, 1);
        assert_string_equal(notified(f), "[{\"n\":\"/3303/0/5700\",\"v\":1}]"); /* no time */
        acknowledge(f);
        assert_int_equal(cached(f, "/3303/0/5700"), 1);
        f->wall_ns = NOW - 1000 * S;
        set_float(f, "/3303/0/5700", 2);
        pass(f, 0);
        assert_string_equal(notified(f), "[{\"bn\":\"/3303/0/5700\",\"bt\":1700001000,\"v\":1},"
                                         "{\"t\":1,\"v\":2}]");
        acknowledge(f);
        assert_int_equal(cached(f, "/3303/0/5700"), 0);
}

static void test_boot_times(void **state) {
        Fixture *f = *state;
        g_autoptr(SamplePush) b = sample_push_new(f->dm);
        const Value v = { .type = VALUE_FLOAT, .d = 5 };
        const Path p = PATH_OIR(3303, 0, 5700);
        OpError error;
        size_t dropped;

        cache(f, "/3303/0/5700", (SeriesPolicy){ .samples = 10 });
        assert_int_equal(sample_push_add(b, &p, &v, 990 * S, true, &error), 0);
        assert_int_equal(sample_push_add(b, &p, &v, 1061 * S, true, &error), -ERANGE);
        assert_int_equal(sample_push_add(b, &p, &v, -1, true, &error), -ERANGE);
        assert_int_equal(sample_push_commit(b, NULL, 0, &dropped, &error, f->now), 0);
        get(f, "/3303/0/5700", FORMAT_SENML_JSON);
        assert_string_equal(answer_text(f), "[{\"bt\":1700000990,\"n\":\"/3303/0/5700\",\"v\":5}]");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                DM_TEST(test_read),
                DM_TEST(test_read_latest),
                DM_TEST(test_read_composite),
                DM_TEST(test_application_is_not_asked),
                DM_TEST(test_write_of_a_server),
                DM_TEST(test_observe),
                DM_TEST(test_cached_while_observed),
                DM_TEST(test_pmin_gathers),
                DM_TEST(test_pmax),
                DM_TEST(test_lost_on_the_way),
                DM_TEST(test_several_observers),
                DM_TEST(test_observer_without_time),
                DM_TEST(test_many),
                DM_TEST(test_many_beside_a_long_text),
                DM_TEST(test_observe_composite),
                DM_TEST(test_held),
                DM_TEST(test_push),
                DM_TEST(test_push_after_the_clock_was_set_back),
                DM_TEST(test_push_refused),
                DM_TEST(test_configure_refused),
                DM_TEST(test_clock_not_set),
                DM_TEST(test_boot_times),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
