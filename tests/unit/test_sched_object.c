/* SPDX-License-Identifier: Apache-2.0 */
/* The send scheduler with its objects, caches and servers. */
#include "dm_fixture.h"

#include <errno.h>
#include <string.h>

#include "lwm2m/dm/dm_internal.h"
#include "lwm2m/dm/samples.h"
#include "lwm2m/send/sched_object.h"

typedef struct Bed {
        Fixture *f;
        SchedObject *object;
} Bed;

static void set_value(Fixture *f, const char *path, Value v /* taken over */) {
        Path p;

        assert_int_equal(path_parse(path, &p), 0);
        tree_begin(f->tree, ORIGIN_APP, 0);
        if (!tree_exists(f->tree, &(Path){ .id = { p.id[0], p.id[1] }, .n = 2 }))
                assert_int_equal(tree_create(f->tree, p.id[0], p.id[1], (Version){ 0, 0 }), 0);
        assert_int_equal(tree_set(f->tree, &p, &v), 0);
        assert_int_equal(tree_commit(f->tree), 0);
        value_clear(&v);
}

static void set_bool(Bed *b, const char *path, bool v) {
        set_value(b->f, path, (Value){ .type = VALUE_BOOLEAN, .b = v });
        pass(b->f, 0);
}

static void set_int(Bed *b, const char *path, int64_t i) {
        set_value(b->f, path, (Value){ .type = VALUE_INTEGER, .i = i });
        pass(b->f, 0);
}

static void set_text(Bed *b, const char *path, const char *text) {
        set_value(b->f, path, value_string(text));
        pass(b->f, 0);
}

static int setup(void **state) {
        Bed *b = g_new0(Bed, 1);

        fixture_setup((void **) &b->f);
        b->object = sched_object_new(b->f->dm, b->f->tree, b->f->timers);
        set_bool(b, "/1/0/23", false);
        *state = b;
        return 0;
}

static int teardown(void **state) {
        Bed *b = *state;

        sched_object_free(b->object);
        fixture_teardown((void **) &b->f);
        g_free(b);
        return 0;
}

/* One measurement a second. */
static void measure(Bed *b, const char *path, const double *values, int n) {
        for (int i = 0; i < n; i++) {
                set_float(b->f, path, values[i]);
                pass(b->f, 1);
        }
}
#define MEASURE(b, path, ...)                                                                      \
        measure((b), (path), (const double[]){ __VA_ARGS__ },                                      \
                sizeof((const double[]){ __VA_ARGS__ }) / sizeof(double))

static int cached(const Bed *b, const char *path) {
        SeriesInfo info;
        Path p;

        assert_int_equal(path_parse(path, &p), 0);
        if (!series_policy(b->f->series, &p))
                return -1;
        return series_info(b->f->series, &p, &info) ? (int) info.n : 0;
}

static unsigned n_open(Bed *b) {
        pass(b->f, 0);
        return fake_n_open(b->f->transport);
}

/* The values of the one Send that is under way, "20 31"; "nothing". */
static char *sent(Bed *b) {
        const FormatLimits limits = { .now_ns = INT64_C(1800000000) * 1000000000 };
        const FormatSchema schema = tree_format_schema(b->f->tree);
        g_auto(RecordList) got = { .v = NULL };
        GString *s = g_string_new(NULL);
        GBytes *body;

        if (n_open(b) == 0)
                return g_string_free(g_string_append(s, "nothing"), FALSE);
        assert_int_equal(n_open(b), 1);
        assert_string_equal(fake_open_call(b->f->transport, 0)->message.path, "/dp");
        body = fake_open_call(b->f->transport, 0)->message.payload;
        assert_int_equal(format_decode(FORMAT_SENML_CBOR, &PATH_ROOT, g_bytes_get_data(body, NULL),
                                       g_bytes_get_size(body), &schema, &limits, &got, NULL),
                         0);
        for (size_t i = 0; i < got.n; i++) {
                assert_true(got.v[i].time_ns != RECORD_NO_TIME);
                g_string_append_printf(s, "%s%g", i ? " " : "", got.v[i].value.d);
        }
        return g_string_free(s, FALSE);
}

static void expect_sent(Bed *b, const char *expected) {
        g_autofree char *got = sent(b);

        assert_string_equal(got, expected);
}

static void answer(Bed *b, uint8_t code) {
        const Message m = MESSAGE_INIT(code);

        assert_int_equal(n_open(b), 1);
        fake_call_respond(fake_open_call(b->f->transport, 0), &m, b->f->now);
        pass(b->f, 0);
}

static void flush(Bed *b) {
        assert_int_equal(post(b->f, "/10523/0/3", -1, NULL), CODE(2, 4));
        pass(b->f, 0);
}

/* --- what is written --- */
static uint8_t write_text(Bed *b, const char *path, const char *text) {
        const uint8_t code = put(b->f, path, FORMAT_TEXT, text);

        pass(b->f, 0);
        return code;
}

static void test_paths_are_checked(void **state) {
        static const char *const bad[] = {
                "",           "3303/0/5700",   "/3303/0",      "/3303/0/5700/0", "/3303/0/5700/",
                "/0/0/10",    "/21/0/0",       "/3303/0/5701", "/3303/0/5605",   "/3303/0/9999",
                "/33000/0/3", "/3303/0/70000",
        };
        Bed *b = *state;

        create(b->f, "/10524/0");
        for (size_t i = 0; i < G_N_ELEMENTS(bad); i++)
                if (write_text(b, "/10524/0/0", bad[i]) != CODE(4, 0))
                        fail_msg("'%s' was taken", bad[i]);
        assert_value(b->f, "/10524/0/0", "none");
        assert_int_equal(write_text(b, "/10524/0/0", "/3303/0/5700"), CODE(2, 4));
        assert_int_equal(write_text(b, "/10524/0/0", "/3303/0/5700"), CODE(2, 4)); /* as it is */
        assert_int_equal(write_text(b, "/10524/0/0", "/65000/0/1"), CODE(2, 4)); /* not known yet */
        create(b->f, "/10524/1");
        assert_int_equal(write_text(b, "/10524/1/0", "/65000/0/1"), CODE(4, 0)); /* has rules */
        assert_int_equal(write_text(b, "/10524/1/0", "/3303/0/5700"), CODE(2, 4));
}

static uint8_t write_rules(Bed *b, uint8_t method, const char *json) {
        const uint8_t code = fixture_ask(b->f, &(Ask){ .method = method,
                                                       .path = "/10524/0/1",
                                                       .format = FORMAT_SENML_JSON,
                                                       .accept = -1,
                                                       .observe = -1,
                                                       .payload = json,
                                                       .n_payload = strlen(json) });

        pass(b->f, 0);
        return code;
}

static void test_rules_are_checked(void **state) {
        static const char *const bad[] = {
                "pmin", "pmin=x", "pmin=-1", "edge=1", "foo=1", " gt=1"
        };
        Bed *b = *state;

        set_text(b, "/10524/0/0", "/3303/0/5700");
        for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
                g_autofree char *json =
                        g_strdup_printf("[{\"n\":\"/10524/0/1/0\",\"vs\":\"%s\"}]", bad[i]);

                if (write_rules(b, METHOD_PUT, json) != CODE(4, 0))
                        fail_msg("'%s' was taken", bad[i]);
        }
        assert_int_equal(write_rules(b, METHOD_PUT,
                                     "[{\"bn\":\"/10524/0/1/\",\"n\":\"0\",\"vs\":\"gt=30\"},"
                                     "{\"n\":\"3\",\"vs\":\"pmin=5\"}]"),
                         CODE(2, 4));
        /* the same name twice: beside what is there, and within one request */
        assert_int_equal(write_text(b, "/10524/0/1/5", "gt=1"), CODE(4, 0));
        assert_int_equal(write_rules(b, METHOD_POST,
                                     "[{\"bn\":\"/10524/0/1/\",\"n\":\"6\",\"vs\":\"st=1\"},"
                                     "{\"n\":\"7\",\"vs\":\"st=2\"}]"),
                         CODE(4, 0));
        assert_value(b->f, "/10524/0/1/6", "none");
        assert_int_equal(write_text(b, "/10524/0/1/0", "gt=31"), CODE(2, 4));
        /* exchanged in one request */
        assert_int_equal(write_rules(b, METHOD_POST,
                                     "[{\"bn\":\"/10524/0/1/\",\"n\":\"0\",\"vs\":\"pmin=6\"},"
                                     "{\"n\":\"3\",\"vs\":\"gt=32\"}]"),
                         CODE(2, 4));
        /* replaced */
        assert_int_equal(write_rules(b, METHOD_PUT, "[{\"n\":\"/10524/0/1/1\",\"vs\":\"gt=33\"}]"),
                         CODE(2, 4));
        assert_value(b->f, "/10524/0/1/0", "none");
        /* an empty one is none */
        assert_int_equal(write_text(b, "/10524/0/1/1", ""), CODE(2, 4));
        MEASURE(b, "/3303/0/5700", 1, 2, 3);
        assert_int_equal(cached(b, "/3303/0/5700"), 3);
}

static void test_the_switches_stay(void **state) {
        Bed *b = *state;

        set_int(b, "/10523/0/1", 10);
        assert_int_equal(delete_path(b->f, "/10523/0"), CODE(4, 5));
        assert_int_equal(put(b->f, "/10523/0/1", FORMAT_TEXT, "-1"), CODE(4, 0));
        assert_int_equal(put(b->f, "/10523/0/1", FORMAT_TEXT, "20"), CODE(2, 4));
}

/* What stands in a file and is wrong is passed over. */
static void test_bad_values_are_ignored(void **state) {
        Bed *b = *state;

        set_text(b, "/10524/0/0", "/3303/0/5701"); /* past the checks: a text */
        set_text(b, "/10524/1/0", "/3303/0/5700");
        set_text(b, "/10524/1/1/0", "gt=30");
        set_text(b, "/10524/1/1/1", "gt=40");
        set_text(b, "/10524/1/1/2", "nonsense");
        set_text(b, "/10524/2/0", "/3303/0/5700");
        MEASURE(b, "/3303/0/5700", 20, 31, 41, 20);
        assert_int_equal(cached(b, "/3303/0/5700"), 3);
        assert_int_equal(cached(b, "/3303/0/5701"), -1);
}

/* --- what it does --- */
static void test_rules_decide(void **state) {
        Bed *b = *state;

        assert_int_equal(cached(b, "/3303/0/5700"), -1);
        set_text(b, "/10524/0/0", "/3303/0/5700");
        set_text(b, "/10524/0/1/0", "gt=30");
        assert_int_equal(cached(b, "/3303/0/5700"), 0); /* it got a cache */
        MEASURE(b, "/3303/0/5700", 20, 25, 31, 33, 29);
        MEASURE(b, "/3303/1/5700", 50, 51); /* no rule */
        assert_int_equal(cached(b, "/3303/0/5700"), 3);
        set_bool(b, "/10523/0/0", false);
        flush(b);
        expect_sent(b, "20 31 29");
        assert_int_equal(cached(b, "/3303/0/5700"), 3);
        answer(b, CODE(2, 4));
        assert_int_equal(cached(b, "/3303/0/5700"), 0);
        flush(b);
        expect_sent(b, "nothing");
}

static void test_a_cache_without_rules(void **state) {
        const SeriesPolicy policy = { .samples = 10 };
        OpError error;
        Bed *b = *state;

        assert_int_equal(samples_configure(b->f->dm, &PATH_O(3303), &policy, &error), 0);
        set_text(b, "/10524/0/0", "/3303/0/5700");
        set_text(b, "/10524/0/1/0", "st=100");
        MEASURE(b, "/3303/1/5700", 50, 51); /* is cached, but not scheduled */
        MEASURE(b, "/3303/0/5700", 20, 21);
        assert_int_equal(cached(b, "/3303/1/5700"), 2);
        set_bool(b, "/10523/0/0", false);
        flush(b);
        expect_sent(b, "20");
        answer(b, CODE(2, 4));
        assert_int_equal(delete_path(b->f, "/10524/0"), CODE(2, 2));
        pass(b->f, 0);
        assert_int_equal(cached(b, "/3303/0/5700"), 0); /* the cache was not the rule's */
        MEASURE(b, "/3303/0/5700", 22, 23);
        assert_int_equal(cached(b, "/3303/0/5700"), 2);
}

static void test_a_rule_goes(void **state) {
        Bed *b = *state;

        set_text(b, "/10524/0/0", "/3303/0/5700");
        MEASURE(b, "/3303/0/5700", 20, 21);
        assert_int_equal(write_text(b, "/10524/0/0", "/3303/1/5700"), CODE(2, 4));
        assert_int_equal(cached(b, "/3303/0/5700"), -1);
        assert_int_equal(cached(b, "/3303/1/5700"), 0);
        assert_int_equal(delete_path(b->f, "/10524/0"), CODE(2, 2));
        pass(b->f, 0);
        assert_int_equal(cached(b, "/3303/1/5700"), -1);
}

/* As a factory reset does: the caches and the rules are gone, and the rules come back. */
static void test_a_cache_goes(void **state) {
        OpError error;
        Bed *b = *state;

        set_text(b, "/10524/0/0", "/3303/0/5700");
        assert_int_equal(samples_configure(b->f->dm, &PATH_OIR(3303, 0, 5700), NULL, &error), 0);
        assert_int_equal(cached(b, "/3303/0/5700"), -1);
        set_text(b, "/10524/0/0", "/3303/0/5700");
        MEASURE(b, "/3303/0/5700", 20, 21);
        assert_int_equal(cached(b, "/3303/0/5700"), 2);
        assert_int_equal(delete_path(b->f, "/10524/0"), CODE(2, 2));
        pass(b->f, 0);
        assert_int_equal(cached(b, "/3303/0/5700"), -1);
}

static void test_max_samples(void **state) {
        Bed *b = *state;

        set_text(b, "/10524/0/0", "/3303/0/5700");
        set_int(b, "/10523/0/1", 3);
        MEASURE(b, "/3303/0/5700", 20, 21);
        expect_sent(b, "nothing");
        MEASURE(b, "/3303/0/5700", 22);
        expect_sent(b, "20 21 22");
        MEASURE(b, "/3303/0/5700", 23, 24, 25, 26); /* it is under way still */
        answer(b, CODE(2, 4));
        expect_sent(b, "23 24 25 26");
        answer(b, CODE(2, 4));
        expect_sent(b, "nothing");
}

static void test_max_age_and_paused(void **state) {
        Bed *b = *state;

        set_text(b, "/10524/0/0", "/3303/0/5700");
        set_int(b, "/10523/0/2", 60);
        MEASURE(b, "/3303/0/5700", 20);
        pass(b->f, 58);
        expect_sent(b, "nothing");
        assert_int_equal(put(b->f, "/10523/0/0", FORMAT_TEXT, "1"), CODE(2, 4));
        pass(b->f, 100);
        expect_sent(b, "nothing");
        assert_int_equal(put(b->f, "/10523/0/0", FORMAT_TEXT, "0"), CODE(2, 4));
        pass(b->f, 0);
        expect_sent(b, "20");
        answer(b, CODE(2, 4));
}

static void test_pmin_and_pmax(void **state) {
        Bed *b = *state;

        set_text(b, "/10524/0/0", "/3303/0/5700");
        set_text(b, "/10524/0/1/0", "pmin=10");
        set_text(b, "/10524/0/1/1", "pmax=30");
        MEASURE(b, "/3303/0/5700", 20, 21, 22);
        assert_int_equal(cached(b, "/3303/0/5700"), 1);
        pass(b->f, 8);
        assert_int_equal(cached(b, "/3303/0/5700"), 2);
        pass(b->f, 31);
        assert_int_equal(cached(b, "/3303/0/5700"), 3);
        set_bool(b, "/10523/0/0", false);
        flush(b);
        expect_sent(b, "20 22 22");
        answer(b, CODE(2, 4));
}

static void test_a_full_cache(void **state) {
        const SeriesPolicy policy = { .samples = 4 };
        OpError error;
        Bed *b = *state;

        assert_int_equal(samples_configure(b->f->dm, &PATH_OIR(3303, 0, 5700), &policy, &error), 0);
        set_text(b, "/10524/0/0", "/3303/0/5700");
        MEASURE(b, "/3303/0/5700", 20, 21, 22);
        expect_sent(b, "nothing");
        MEASURE(b, "/3303/0/5700", 23);
        expect_sent(b, "20 21 22 23");
        answer(b, CODE(2, 4));
}

static void test_registrations(void **state) {
        Bed *b = *state;

        set_text(b, "/10524/0/0", "/3303/0/5700");
        MEASURE(b, "/3303/0/5700", 20);
        sched_object_event(b->object, "reg-update");
        expect_sent(b, "nothing");
        sched_object_event(b->object, "reg-update-complete");
        expect_sent(b, "20");
        answer(b, CODE(2, 4));
        MEASURE(b, "/3303/0/5700", 21);
        set_bool(b, "/10523/0/4", false);
        sched_object_event(b->object, "reg-update-complete");
        expect_sent(b, "nothing");
        sched_object_event(b->object, "registration-complete");
        expect_sent(b, "21");
        answer(b, CODE(2, 4));
}

static void test_failures(void **state) {
        Bed *b = *state;

        set_text(b, "/10524/0/0", "/3303/0/5700");
        set_int(b, "/10523/0/1", 2);
        MEASURE(b, "/3303/0/5700", 20, 21);
        answer(b, CODE(5, 0));
        assert_int_equal(cached(b, "/3303/0/5700"), 2);
        MEASURE(b, "/3303/0/5700", 22);
        expect_sent(b, "nothing"); /* not at once again */
        pass(b->f, 60);
        expect_sent(b, "20 21 22");
        answer(b, CODE(2, 4));
        assert_int_equal(cached(b, "/3303/0/5700"), 0);
        set_bool(b, "/1/0/23", true);
        MEASURE(b, "/3303/0/5700", 23, 24);
        expect_sent(b, "nothing");
        assert_int_equal(cached(b, "/3303/0/5700"), 2);
        set_bool(b, "/1/0/23", false);
        pass(b->f, 61);
        expect_sent(b, "23 24");
        answer(b, CODE(2, 4));
}

/* Each server gets every sample, whatever becomes of the others. */
static void test_a_server_that_is_away(void **state) {
        Bed *b = *state;
        Peer *second;

        set_int(b, "/1/1/0", 2);
        set_bool(b, "/1/1/23", false);
        second = peer_new(b->f->dm, 2);
        peer_set_presence(second, PRESENCE_ABSENT);
        set_text(b, "/10524/0/0", "/3303/0/5700");
        set_int(b, "/10523/0/1", 2);
        MEASURE(b, "/3303/0/5700", 20, 21);
        expect_sent(b, "20 21");
        answer(b, CODE(2, 4));
        assert_int_equal(cached(b, "/3303/0/5700"), 2);
        MEASURE(b, "/3303/0/5700", 22, 23);
        expect_sent(b, "22 23"); /* nothing twice */
        answer(b, CODE(2, 4));
        peer_set_link(second, fake_link_new(b->f->transport));
        peer_set_presence(second, PRESENCE_AWAKE);
        expect_sent(b, "20 21 22 23");
        answer(b, CODE(2, 4));
        expect_sent(b, "nothing");
        assert_int_equal(cached(b, "/3303/0/5700"), 0);
        peer_free(second);
}

static void test_pushed(void **state) {
        Bed *b = *state;
        g_autoptr(SamplePush) push = NULL;
        OpError error;
        size_t dropped;

        set_text(b, "/10524/0/0", "/3303/0/5700");
        set_text(b, "/10524/0/1/0", "st=2");
        push = sample_push_new(b->f->dm);
        for (int i = 0; i < 10; i++)
                assert_int_equal(sample_push_add(push, &PATH_OIR(3303, 0, 5700),
                                                 &(Value){ .type = VALUE_FLOAT, .d = i },
                                                 INT64_C(1700000000000000000) + i, false, &error),
                                 0);
        assert_int_equal(sample_push_commit(push, NULL, 0, &dropped, &error, b->f->now), 0);
        assert_int_equal(cached(b, "/3303/0/5700"), 5);
        assert_value(b->f, "/3303/0/5700", "9");
}

#define SCHED_TEST(f) cmocka_unit_test_setup_teardown((f), setup, teardown)

int main(void) {
        const struct CMUnitTest tests[] = {
                SCHED_TEST(test_paths_are_checked),     SCHED_TEST(test_rules_are_checked),
                SCHED_TEST(test_the_switches_stay),     SCHED_TEST(test_bad_values_are_ignored),
                SCHED_TEST(test_rules_decide),          SCHED_TEST(test_a_cache_without_rules),
                SCHED_TEST(test_a_rule_goes),           SCHED_TEST(test_a_cache_goes),
                SCHED_TEST(test_max_samples),           SCHED_TEST(test_max_age_and_paused),
                SCHED_TEST(test_pmin_and_pmax),         SCHED_TEST(test_a_full_cache),
                SCHED_TEST(test_registrations),         SCHED_TEST(test_failures),
                SCHED_TEST(test_a_server_that_is_away), SCHED_TEST(test_pushed),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
