/* SPDX-License-Identifier: Apache-2.0 */
#include "dm_fixture.h"

#include <errno.h>
#include <string.h>

#include "lwm2m/dm/dm_internal.h"
#include "lwm2m/dm/samples.h"
#include "lwm2m/send/send.h"
#include "lwm2m/send/send_body.h"

/* --- a job and what was told of it --- */
typedef struct Told {
        GString *text; /* "acked; " or "refused 1:acked 2:refused/4.05(why); " for several */
        SendJob *job;
} Told;

static void on_done(void *userdata, const SendReport *report, uint64_t now_usec) {
        Told *t = userdata;

        g_string_append(t->text, send_result_name(report->result));
        for (size_t i = 0; i < report->n_outcomes; i++) {
                const SendOutcome *o = &report->outcomes[i];

                if (report->n_outcomes > 1)
                        g_string_append_printf(t->text, " %u:%s", o->ssid,
                                               send_result_name(o->result));
                if (o->code && o->result != SEND_ACKED)
                        g_string_append_printf(t->text, "/%u.%02u", o->code >> 5, o->code & 31u);
                if (o->text)
                        g_string_append_printf(t->text, "(%s)", o->text);
        }
        g_string_append(t->text, "; ");
        t->job = NULL;
}

typedef struct Bed {
        Fixture *f;
        Told told;
        unsigned n_wakes, n_wakes_at_once, n_doubts;
} Bed;

static bool on_wake(void *userdata, bool at_once, uint64_t now_usec) {
        Bed *b = userdata;

        (*(at_once ? &b->n_wakes_at_once : &b->n_wakes))++;
        return at_once;
}

static void on_doubt(void *userdata, uint16_t ssid, uint64_t now_usec) {
        assert_int_equal(ssid, 1);
        ((Bed *) userdata)->n_doubts++;
}

static void set_presence(Bed *b, Presence presence) {
        peer_set_presence(b->f->peer, presence);
        if (presence == PRESENCE_AWAKE)
                peer_confirmed(b->f->peer);
}

static void set_muted(Fixture *f, bool muted) {
        const Value v = { .type = VALUE_BOOLEAN, .b = muted };

        tree_begin(f->tree, ORIGIN_INTERNAL, 0);
        assert_int_equal(tree_set(f->tree, &PATH_OIR(1, 0, 23), &v), 0);
        assert_int_equal(tree_commit(f->tree), 0);
}

static int setup(void **state) {
        Bed *b = g_new0(Bed, 1);

        fixture_setup((void **) &b->f);
        set_muted(b->f, false);
        b->told.text = g_string_new(NULL);
        dm_on_doubt(b->f->dm, on_doubt, b);
        peer_set_waker(b->f->peer, on_wake, b);
        *state = b;
        return 0;
}

static int teardown(void **state) {
        Bed *b = *state;

        fixture_teardown((void **) &b->f);
        g_string_free(b->told.text, TRUE);
        g_free(b);
        return 0;
}

#define SEND_TEST(f) cmocka_unit_test_setup_teardown((f), setup, teardown)

static const SendRequest plain = { .format = FORMAT_NONE, .time_ns = RECORD_NO_TIME };

/* paths: "/3/0/0 /3303". Returns what send_start() does; the reason stands in told. */
static int send_with(Bed *b, const char *paths, SendRequest rq) {
        g_auto(GStrv) words = g_strsplit(paths, " ", -1);
        g_autofree Path *list = g_new0(Path, g_strv_length(words) + 1);
        g_autofree char *why = NULL;
        int r;

        rq.paths = list;
        for (char **w = words; *w && **w; w++)
                assert_int_equal(path_parse(*w, &list[rq.n_paths++]), 0);
        r = send_start(b->f->dm, &rq, on_done, &b->told, &b->told.job, &why, b->f->now);
        if (r < 0)
                g_string_append_printf(b->told.text, "%s", why);
        else
                assert_null(why);
        return r;
}

static int send_json(Bed *b, const char *paths) {
        SendRequest rq = plain;

        rq.format = FORMAT_SENML_JSON;
        return send_with(b, paths, rq);
}

static void expect(Bed *b, const char *told) {
        pass(b->f, 0);
        assert_string_equal(b->told.text->str, told);
        g_string_truncate(b->told.text, 0);
}

/* The one request under way; it is a Send. */
static Call *under_way(Bed *b) {
        Call *c;

        pass(b->f, 0);
        assert_int_equal(fake_n_open(b->f->transport), 1);
        c = fake_open_call(b->f->transport, 0);
        assert_int_equal(c->message.code, METHOD_POST);
        assert_string_equal(c->message.path, "/dp");
        assert_true(c->message.confirmable);
        return c;
}

static void nothing_under_way(Bed *b) {
        pass(b->f, 0);
        assert_int_equal(fake_n_open(b->f->transport), 0);
}

static void answer_with(Bed *b, uint8_t code, const char *text) {
        g_autoptr(GBytes) payload = text ? g_bytes_new(text, strlen(text)) : NULL;
        Message m = MESSAGE_INIT(code);

        m.payload = payload;
        fake_call_respond(under_way(b), &m, b->f->now);
        pass(b->f, 0);
}

static void answer(Bed *b, uint8_t code) {
        answer_with(b, code, NULL);
}

static void expect_body(Bed *b, const char *json) {
        assert_string_equal(fake_text(&under_way(b)->message), json);
}

#define JSON_ACME "[{\"n\":\"/3/0/0\",\"vs\":\"ACME\"}]"

/* --- what is sent --- */
static void test_acked(void **state) {
        Bed *b = *state;

        assert_int_equal(send_with(b, "/3/0/0", plain), 0);
        assert_int_equal(fake_n_open(b->f->transport), 0); /* never from within */
        assert_int_equal(under_way(b)->message.format, FORMAT_SENML_CBOR);
        expect(b, "");
        answer(b, CODE(2, 4));
        expect(b, "acked; ");
        nothing_under_way(b);
}

static void test_paths(void **state) {
        Bed *b = *state;

        assert_int_equal(send_json(b, "/3303/1 /3303 /3/0/7/1 /3/0/7/1 /3/0/0"), 0);
        expect_body(b, "[{\"bn\":\"/3/0/\",\"n\":\"0\",\"vs\":\"ACME\"},{\"n\":\"7/1\",\"v\":5000},"
                       "{\"bn\":\"/3303/0/\",\"n\":\"5700\",\"v\":21.5},"
                       "{\"bn\":\"/3303/1/\",\"n\":\"5700\",\"v\":22.5}]");
        answer(b, CODE(2, 4));
        expect(b, "acked; ");
}

static void test_time(void **state) {
        SendRequest rq = plain;
        Bed *b = *state;

        rq.format = FORMAT_SENML_JSON;
        rq.time_ns = INT64_C(1764000000) * 1000000000;
        assert_int_equal(send_with(b, "/3/0/0", rq), 0);
        expect_body(b, "[{\"bt\":1764000000,\"n\":\"/3/0/0\",\"vs\":\"ACME\"}]");
        answer(b, CODE(2, 4));
        expect(b, "acked; ");
}

static void test_refused_here(void **state) {
        static const struct {
                const char *paths, *why;
                int error;
        } cases[] = {
                { "", "There is no path to send", -EINVAL },
                { "/", "/: a Send names objects or less", -EINVAL },
                { "/3 /0/0/0", "/0/0/0: keys and credentials are not sent", -EACCES },
                { "/21", "/21: keys and credentials are not sent", -EACCES },
                { "/3/0/0 /3303/7", "/3303/7: there is nothing", -ENOENT },
                { "/3/0/0 /3303/0/5701", "/3303/0/5701: there is nothing", -ENOENT },
                { "/33001", "/33001: there is no value", -ENOENT },
                { "/33000/0/3", "/33000/0/3: it is not readable", -EPERM },
                { "/33000/0/4", "/33000/0/4: it is not readable", -EPERM },
                { "/3 /4 /5 /6 /7 /8", "More than 5 paths ([Limits] CompositePaths)", -E2BIG },
        };
        Bed *b = *state;

        for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
                assert_int_equal(send_with(b, cases[i].paths, plain), cases[i].error);
                expect(b, cases[i].why);
        }
        nothing_under_way(b);
}

static void test_formats(void **state) {
        static const Format bad[] = { FORMAT_TLV, FORMAT_TEXT, FORMAT_LWM2M_JSON,
                                      FORMAT_SENML_ETCH_CBOR };
        SendRequest rq = plain;
        Bed *b = *state;

        for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
                rq.format = bad[i];
                assert_int_equal(send_with(b, "/3/0/0", rq), -ENOTSUP);
                g_string_truncate(b->told.text, 0);
        }
        /* LwM2M CBOR came with 1.2. */
        rq.format = FORMAT_LWM2M_CBOR;
        assert_int_equal(send_with(b, "/3/0/0", rq), -ESRCH);
        expect(b, "There is no server that takes a Send in LwM2M CBOR");
        rq.ssid = 1;
        assert_int_equal(send_with(b, "/3/0/0", rq), 0);
        expect(b, "not-supported; ");
        peer_set_version(b->f->peer, (Version){ 1, 2 });
        assert_int_equal(send_with(b, "/3/0/0", rq), 0);
        assert_int_equal(under_way(b)->message.format, FORMAT_LWM2M_CBOR);
        answer(b, CODE(2, 4));
        expect(b, "acked; ");
}

static void test_not_with_1_0(void **state) {
        SendRequest rq = plain;
        Bed *b = *state;

        peer_set_version(b->f->peer, (Version){ 1, 0 });
        assert_int_equal(send_with(b, "/3/0/0", rq), -ESRCH);
        expect(b, "There is no server that takes a Send");
        rq.ssid = 1;
        assert_int_equal(send_with(b, "/3/0/0", rq), 0);
        expect(b, "not-supported; ");
        rq.ssid = 2;
        assert_int_equal(send_with(b, "/3/0/0", rq), -ESRCH);
        expect(b, "There is no server 2");
}

/* --- applications --- */
static void test_apps_are_asked(void **state) {
        Bed *b = *state;
        g_auto(RecordList) records = { .v = NULL };
        Value v = { .type = VALUE_FLOAT, .d = 30 };

        fake_apps_claim(b->f->apps, "/3303/1/5700", APP_READ);
        assert_int_equal(send_json(b, "/3303"), 0);
        nothing_under_way(b);
        assert_string_equal(fake_apps_last(b->f->apps)->what, "/3303/1/5700");
        record_list_add(&records, &PATH_OIR(3303, 1, 5700), &v, RECORD_NO_TIME);
        fake_app_answer(fake_apps_last(b->f->apps), 0, NULL, &records, b->f->now);
        expect_body(b, "[{\"bn\":\"/3303/0/\",\"n\":\"5700\",\"v\":21.5},"
                       "{\"bn\":\"/3303/1/\",\"n\":\"5700\",\"v\":30}]");
        answer(b, CODE(2, 4));
        expect(b, "acked; ");
}

static void test_app_fails(void **state) {
        Bed *b = *state;

        fake_apps_claim(b->f->apps, "/3303", APP_READ);
        assert_int_equal(send_json(b, "/3303/0/5700"), 0);
        fake_app_answer(fake_apps_last(b->f->apps), -EBUSY, "sensor off", NULL, b->f->now);
        expect(b, "failed(sensor off); ");
        assert_int_equal(send_json(b, "/3303/0/5700"), 0);
        fake_app_answer(fake_apps_last(b->f->apps), 0, NULL, NULL, b->f->now);
        expect(b, "failed(there is no value); ");
}

/* --- servers that do not take it --- */
static void test_muted(void **state) {
        Bed *b = *state;

        set_muted(b->f, true);
        assert_int_equal(send_with(b, "/3/0/0", plain), 0);
        expect(b, "muted; ");
        tree_begin(b->f->tree, ORIGIN_INTERNAL, 0);
        assert_int_equal(tree_delete(b->f->tree, &PATH_OIR(1, 0, 23)), 0);
        assert_int_equal(tree_commit(b->f->tree), 0);
        assert_int_equal(send_with(b, "/3/0/0", plain), 0);
        expect(b, "muted; "); /* absent is true */
        set_muted(b->f, false);
        assert_int_equal(send_with(b, "/3/0/0", plain), 0);
        set_muted(b->f, true);
        expect(b, "muted; "); /* it had not left yet */
        nothing_under_way(b);
}

static void test_not_registered(void **state) {
        SendRequest rq = plain;
        Bed *b = *state;

        set_presence(b, PRESENCE_ABSENT);
        assert_int_equal(send_with(b, "/3/0/0", rq), 0);
        expect(b, "not-registered; ");
        rq.queue = true;
        assert_int_equal(send_with(b, "/3/0/0", rq), 0);
        nothing_under_way(b);
        set_presence(b, PRESENCE_AWAKE);
        answer(b, CODE(2, 4));
        expect(b, "acked; ");
        assert_int_equal(b->n_wakes + b->n_doubts, 0);
}

static void test_refused(void **state) {
        Bed *b = *state;

        assert_int_equal(send_with(b, "/3/0/0", plain), 0);
        answer_with(b, CODE(4, 0), "no such thing");
        expect(b, "refused/4.00(no such thing); ");
        assert_int_equal(send_with(b, "/3/0/0", plain), 0);
        answer(b, CODE(5, 3));
        expect(b, "refused/5.03; ");
}

/* --- the queue --- */
static void test_one_after_the_other(void **state) {
        Bed *b = *state;

        assert_int_equal(send_json(b, "/3/0/0"), 0);
        assert_int_equal(send_json(b, "/3303/0"), 0);
        expect_body(b, JSON_ACME);
        answer(b, CODE(2, 4));
        expect(b, "acked; ");
        expect_body(b, "[{\"n\":\"/3303/0/5700\",\"v\":21.5}]");
        answer(b, CODE(2, 4));
        expect(b, "acked; ");
        nothing_under_way(b);
}

static void test_full(void **state) {
        Bed *b = *state;

        b->f->dm->config.sends_max = 2;
        for (int i = 0; i < 2; i++)
                assert_int_equal(send_json(b, "/3/0/0"), 0);
        assert_int_equal(send_json(b, "/3/0/0"), -EDQUOT);
        expect(b, "2 Sends wait for server 1 already ([Limits] Sends, SendBytes)");
        for (int i = 0; i < 2; i++)
                answer(b, CODE(2, 4));
        expect(b, "acked; acked; ");
        b->f->dm->config.send_bytes_max = 2 * sizeof(Record);
        assert_int_equal(send_json(b, "/3/0/0"), 0);
        assert_int_equal(send_json(b, "/3/0/7"), 0);
        expect(b, "full; ");
        answer(b, CODE(2, 4));
        expect(b, "acked; ");
}

static void test_deadline(void **state) {
        SendRequest rq = plain;
        Bed *b = *state;

        rq.timeout_usec = 30 * USEC_PER_SEC;
        assert_int_equal(send_with(b, "/3/0/0", rq), 0);
        (void) under_way(b);
        pass(b->f, 29.9);
        expect(b, "");
        pass(b->f, 0.2);
        expect(b, "timeout(its time is over); ");
        nothing_under_way(b); /* its request is withdrawn */
        set_presence(b, PRESENCE_ABSENT);
        rq.queue = true;
        rq.timeout_usec = 0; /* an hour */
        assert_int_equal(send_with(b, "/3/0/0", rq), 0);
        pass(b->f, 3599);
        expect(b, "");
        pass(b->f, 2);
        expect(b, "timeout(its time is over); ");
}

static void test_connection_lost(void **state) {
        Bed *b = *state;

        assert_int_equal(send_json(b, "/3/0/0"), 0);
        assert_int_equal(send_json(b, "/3303/0"), 0);
        expect_body(b, JSON_ACME);
        peer_set_link(b->f->peer, NULL);
        set_presence(b, PRESENCE_ABSENT);
        nothing_under_way(b);
        pass(b->f, 600);
        peer_set_link(b->f->peer, b->f->link);
        nothing_under_way(b); /* connected is not registered */
        set_presence(b, PRESENCE_AWAKE);
        expect_body(b, JSON_ACME);
        answer(b, CODE(2, 4));
        answer(b, CODE(2, 4));
        expect(b, "acked; acked; ");
}

static void test_no_answer(void **state) {
        Bed *b = *state;

        assert_int_equal(send_json(b, "/3/0/0"), 0);
        fake_call_end(under_way(b), -ETIMEDOUT, b->f->now);
        nothing_under_way(b);
        expect(b, "");
        assert_int_equal(b->n_doubts, 1); /* is it there? */
        set_presence(b, PRESENCE_AWAKE);
        fake_call_end(under_way(b), -ETIMEDOUT, b->f->now);
        expect(b, "timeout(Connection timed out); ");
        nothing_under_way(b);
}

/* An outage is not held against the Send: it counts only what a living server leaves unanswered. */
static void test_outages(void **state) {
        Bed *b = *state;

        assert_int_equal(send_json(b, "/3/0/0"), 0);
        for (int i = 0; i < 5; i++) {
                fake_call_end(under_way(b), -ETIMEDOUT, b->f->now);
                set_presence(b, PRESENCE_ABSENT);
                nothing_under_way(b);
                set_presence(b, PRESENCE_AWAKE);
        }
        answer(b, CODE(2, 4));
        expect(b, "acked; ");
}

static void test_unknown_to_the_server(void **state) {
        Bed *b = *state;

        assert_int_equal(send_json(b, "/3/0/0"), 0);
        answer(b, CODE(4, 4));
        nothing_under_way(b);
        assert_int_equal(b->n_doubts, 1);
        set_presence(b, PRESENCE_ABSENT); /* registers anew */
        set_presence(b, PRESENCE_AWAKE);
        answer(b, CODE(2, 4));
        expect(b, "acked; ");
        assert_int_equal(send_json(b, "/3/0/0"), 0);
        answer(b, CODE(4, 4));
        set_presence(b, PRESENCE_AWAKE);
        answer(b, CODE(4, 4));
        expect(b, "refused/4.04; ");
}

static void test_asleep(void **state) {
        SendRequest rq = plain;
        Bed *b = *state;

        rq.format = FORMAT_SENML_JSON;
        set_presence(b, PRESENCE_ASLEEP);
        assert_int_equal(send_json(b, "/3303/0"), 0);
        assert_int_equal(send_json(b, "/3303/1"), 0);
        nothing_under_way(b);
        assert_true(b->n_wakes > 0);
        assert_int_equal(b->n_wakes_at_once, 0);
        rq.now = true; /* overtakes */
        assert_int_equal(send_with(b, "/3/0/0", rq), 0);
        expect_body(b, JSON_ACME);
        assert_int_equal(b->n_wakes_at_once, 1);
        answer(b, CODE(2, 4));
        nothing_under_way(b);
        set_presence(b, PRESENCE_AWAKE);
        answer(b, CODE(2, 4));
        answer(b, CODE(2, 4));
        expect(b, "acked; acked; acked; ");
        assert_int_equal(b->n_doubts, 0);
}

static void test_asleep_without_a_link(void **state) {
        SendRequest rq = plain;
        Bed *b = *state;

        rq.now = true;
        peer_set_link(b->f->peer, NULL);
        set_presence(b, PRESENCE_ASLEEP);
        assert_int_equal(send_with(b, "/3/0/0", rq), 0);
        nothing_under_way(b);
        assert_int_equal(b->n_wakes_at_once, 1);
        peer_set_link(b->f->peer, b->f->link);
        answer(b, CODE(2, 4));
        expect(b, "acked; ");
}

static void test_hold(void **state) {
        Bed *b = *state;

        dm_suspend_notifications(b->f->dm);
        assert_int_equal(send_json(b, "/3/0/0"), 0);
        nothing_under_way(b);
        dm_resume_notifications(b->f->dm, b->f->now);
        answer(b, CODE(2, 4));
        expect(b, "acked; ");
}

static void test_gone(void **state) {
        Bed *b = *state;

        assert_int_equal(send_json(b, "/3/0/0"), 0);
        (void) under_way(b);
        peer_free(b->f->peer);
        expect(b, "gone; ");
        b->f->peer = peer_new(b->f->dm, 1);
        peer_set_link(b->f->peer, b->f->link);
        set_presence(b, PRESENCE_AWAKE);
        /* While an application is asked: the queue has not seen it yet. */
        fake_apps_claim(b->f->apps, "/3303", APP_READ);
        assert_int_equal(send_json(b, "/3303/0/5700"), 0);
        peer_free(b->f->peer);
        fake_app_answer(fake_apps_last(b->f->apps), -EIO, NULL, NULL, b->f->now);
        expect(b, "failed(Input/output error); ");
        b->f->peer = NULL;
}

static void test_forgotten(void **state) {
        Bed *b = *state;

        assert_int_equal(send_json(b, "/3/0/0"), 0);
        send_job_forget(b->told.job);
        answer(b, CODE(2, 4));
        expect(b, "");
        assert_int_equal(send_json(b, "/3/0/0"), 0);
        fake_apps_claim(b->f->apps, "/3303", APP_READ);
        assert_int_equal(send_json(b, "/3303/0/5700"), 0);
        /* The teardown ends both. */
}

static void test_two_servers(void **state) {
        SendRequest rq = plain;
        Bed *b = *state;
        Peer *second = peer_new(b->f->dm, 2);
        Link *link = fake_link_new(b->f->transport);
        Message m = MESSAGE_INIT(CODE(2, 4));

        peer_set_link(second, link);
        assert_int_equal(send_with(b, "/3/0/0", rq), 0);
        answer(b, CODE(2, 4));
        expect(b, "muted 1:acked 2:muted; "); /* it has no instance of object 1 */

        create(b->f, "/1/1");
        tree_begin(b->f->tree, ORIGIN_INTERNAL, 0);
        assert_int_equal(
                tree_set(b->f->tree, &PATH_OIR(1, 1, 0), &(Value){ .type = VALUE_INTEGER, .i = 2 }),
                0);
        assert_int_equal(tree_set(b->f->tree, &PATH_OIR(1, 1, 23),
                                  &(Value){ .type = VALUE_BOOLEAN, .b = false }),
                         0);
        assert_int_equal(tree_commit(b->f->tree), 0);
        assert_int_equal(send_with(b, "/3/0/0", rq), 0);
        pass(b->f, 0);
        assert_int_equal(fake_n_open(b->f->transport), 2);
        assert_ptr_not_equal(fake_open_call(b->f->transport, 0)->link,
                             fake_open_call(b->f->transport, 1)->link);
        fake_call_respond(fake_open_call(b->f->transport, 1), &m, b->f->now);
        expect(b, "");
        answer(b, CODE(4, 5));
        expect(b, "refused 1:acked 2:refused/4.05; ");
        rq.ssid = 2;
        assert_int_equal(send_with(b, "/3/0/0", rq), 0);
        assert_ptr_equal(under_way(b)->link, link);
        answer(b, CODE(2, 4));
        expect(b, "acked; ");
        peer_free(second);
}

/* --- pieces --- */
static void test_pieces(void **state) {
        Bed *b = *state;
        unsigned n = 0;

        b->f->dm->config.send_body_max = 80;
        assert_int_equal(send_json(b, "/3303 /3/0/7"), 0);
        for (; fake_n_open(b->f->transport) > 0 || n == 0; n++) {
                assert_in_range(g_bytes_get_size(under_way(b)->message.payload), 1, 80);
                expect(b, "");
                answer(b, CODE(2, 4));
        }
        assert_int_equal(n, 2); /* of four records */
        expect(b, "acked; ");
}

static void test_too_large_for_the_server(void **state) {
        Bed *b = *state;

        assert_int_equal(send_json(b, "/3303"), 0);
        answer(b, CODE(4, 13));
        expect_body(b, "[{\"n\":\"/3303/0/5700\",\"v\":21.5}]");
        answer(b, CODE(2, 4));
        expect_body(b, "[{\"n\":\"/3303/1/5700\",\"v\":22.5}]");
        answer(b, CODE(4, 13)); /* that cannot be made smaller */
        expect(b, "refused/4.13; ");
}

static void test_records(void **state) {
        Bed *b = *state;
        g_auto(RecordList) records = { .v = NULL };
        g_autofree char *why = NULL;
        SendRequest rq = plain;
        Path p = PATH_OIR(3303, 0, 5700);

        for (int i = 0; i < 3; i++) {
                Value v = { .type = VALUE_FLOAT, .d = 20 + i };

                record_list_add(&records, &p, &v, (INT64_C(1764000000) + i) * 1000000000);
        }
        rq.format = FORMAT_SENML_JSON;
        assert_int_equal(send_records(b->f->dm, &rq, &records, on_done, &b->told, &b->told.job,
                                      &why, b->f->now),
                         0);
        assert_int_equal(records.n, 0);
        expect_body(b, "[{\"bn\":\"/3303/0/\",\"bt\":1764000000,\"n\":\"5700\",\"v\":20},"
                       "{\"n\":\"5700\",\"t\":1,\"v\":21},{\"n\":\"5700\",\"t\":2,\"v\":22}]");
        answer(b, CODE(2, 4));
        expect(b, "acked; ");
}

/* --- caches --- */
static void cache(Bed *b, const char *path, uint32_t samples) {
        const SeriesPolicy policy = { .samples = samples };
        OpError error;
        Path p;

        assert_int_equal(path_parse(path, &p), 0);
        if (samples_configure(b->f->dm, &p, &policy, &error) < 0)
                fail_msg("%s", error.text);
}

/* A value each second. */
static void measure(Bed *b, const char *path, double from, int n) {
        for (int i = 0; i < n; i++) {
                set_float(b->f, path, from + i);
                pass(b->f, 1);
        }
}

static uint32_t cached(Bed *b, const char *path) {
        SeriesInfo info = { .n = 0 };
        Path p;

        assert_int_equal(path_parse(path, &p), 0);
        series_info(b->f->series, &p, &info);
        return info.n;
}

static int send_cached(Bed *b, const char *paths, uint16_t ssid) {
        SendRequest rq = plain;

        rq.format = FORMAT_SENML_JSON;
        rq.with_cache = true;
        rq.ssid = ssid;
        return send_with(b, paths, rq);
}

static void test_with_cache(void **state) {
        Bed *b = *state;

        cache(b, "/3303/0/5700", 10);
        measure(b, "/3303/0/5700", 20, 2);
        assert_int_equal(send_json(b, "/3303/0"), 0); /* not asked for: the value */
        expect_body(b, "[{\"n\":\"/3303/0/5700\",\"v\":21}]");
        answer(b, CODE(2, 4));
        expect(b, "acked; ");
        assert_int_equal(cached(b, "/3303/0/5700"), 2);

        assert_int_equal(send_cached(b, "/3303 /3/0/0", 0), 0);
        expect_body(b, "[{\"bn\":\"/3/0/\",\"n\":\"0\",\"vs\":\"ACME\"},"
                       "{\"bn\":\"/3303/1/\",\"n\":\"5700\",\"v\":22.5},"
                       "{\"bn\":\"/3303/0/\",\"bt\":1700001000,\"n\":\"5700\",\"v\":20},"
                       "{\"n\":\"5700\",\"t\":1,\"v\":21}]");
        assert_int_equal(cached(b, "/3303/0/5700"), 2); /* not before it has arrived */
        measure(b, "/3303/0/5700", 30, 1);
        answer(b, CODE(2, 4));
        expect(b, "acked; ");
        assert_int_equal(cached(b, "/3303/0/5700"), 1); /* the one that came meanwhile */
        assert_int_equal(send_cached(b, "/3303/0", 0), 0);
        expect_body(b, "[{\"bt\":1700001002,\"n\":\"/3303/0/5700\",\"v\":30}]");
        answer(b, CODE(2, 4));
        expect(b, "acked; ");
        assert_int_equal(send_cached(b, "/3303/0", 0), 0); /* empty: the value */
        expect_body(b, "[{\"n\":\"/3303/0/5700\",\"v\":30}]");
        answer(b, CODE(2, 4));
        expect(b, "acked; ");
}

static void test_cache_is_kept(void **state) {
        Bed *b = *state;

        cache(b, "/3303/0/5700", 10);
        measure(b, "/3303/0/5700", 20, 3);
        assert_int_equal(send_cached(b, "/3303/0", 0), 0);
        answer(b, CODE(5, 0));
        expect(b, "refused/5.00; ");
        assert_int_equal(cached(b, "/3303/0/5700"), 3);
        assert_int_equal(send_cached(b, "/3303/0", 0), 0);
        fake_call_end(under_way(b), -ETIMEDOUT, b->f->now);
        set_presence(b, PRESENCE_AWAKE);
        fake_call_end(under_way(b), -ETIMEDOUT, b->f->now);
        expect(b, "timeout(Connection timed out); ");
        assert_int_equal(cached(b, "/3303/0/5700"), 3);
}

/* Every sample arrives once, in spite of the server's refusals and lost connections. */
static void test_a_long_cache(void **state) {
        const FormatLimits limits = { .now_ns = INT64_C(1800000000) * 1000000000 };
        Bed *b = *state;
        double next = 0;
        int n_lost = 0;

        b->f->dm->config.send_body_max = 400;
        cache(b, "/3303/0/5700", 1000);
        measure(b, "/3303/0/5700", 0, 300);
        assert_int_equal(send_cached(b, "/3303/0", 0), 0);
        for (int i = 0; next < 300; i++) {
                const FormatSchema schema = tree_format_schema(b->f->tree);
                g_auto(RecordList) got = { .v = NULL };
                GBytes *body = under_way(b)->message.payload;

                if (i % 3 == 2 && n_lost++ < 4) {
                        peer_set_link(b->f->peer, NULL);
                        set_presence(b, PRESENCE_ABSENT);
                        peer_set_link(b->f->peer, b->f->link);
                        set_presence(b, PRESENCE_AWAKE);
                        continue;
                }
                assert_in_range(g_bytes_get_size(body), 1, 400);
                assert_int_equal(format_decode(FORMAT_SENML_JSON, &PATH_ROOT,
                                               g_bytes_get_data(body, NULL), g_bytes_get_size(body),
                                               &schema, &limits, &got, NULL),
                                 0);
                for (size_t k = 0; k < got.n; k++)
                        assert_true(got.v[k].value.d == next++);
                answer(b, CODE(2, 4));
        }
        expect(b, "acked; ");
        nothing_under_way(b);
        assert_int_equal(cached(b, "/3303/0/5700"), 0);
}

static void add_second(Bed *b, Peer **ret) {
        create(b->f, "/1/1");
        set_integer(b->f, "/1/1/0", 2);
        tree_begin(b->f->tree, ORIGIN_INTERNAL, 0);
        assert_int_equal(tree_set(b->f->tree, &PATH_OIR(1, 1, 23),
                                  &(Value){ .type = VALUE_BOOLEAN, .b = false }),
                         0);
        assert_int_equal(tree_commit(b->f->tree), 0);
        *ret = peer_new(b->f->dm, 2);
        peer_set_link(*ret, fake_link_new(b->f->transport));
}

static void test_a_cache_for_two(void **state) {
        Message ok = MESSAGE_INIT(CODE(2, 4));
        Bed *b = *state;
        Peer *second;

        add_second(b, &second);
        cache(b, "/3303/0/5700", 10);
        measure(b, "/3303/0/5700", 20, 3);
        assert_int_equal(send_cached(b, "/3303/0", 0), 0);
        pass(b->f, 0);
        assert_int_equal(fake_n_open(b->f->transport), 2);
        fake_call_respond(fake_open_call(b->f->transport, 0), &ok, b->f->now);
        assert_int_equal(cached(b, "/3303/0/5700"), 3); /* the other one has not got them */
        answer(b, CODE(2, 4));
        expect(b, "acked 1:acked 2:acked; ");
        assert_int_equal(cached(b, "/3303/0/5700"), 0);
        /* One that refuses has them with its next one; the other has none to get. */
        measure(b, "/3303/0/5700", 30, 2);
        assert_int_equal(send_cached(b, "/3303/0", 0), 0);
        pass(b->f, 0);
        fake_call_respond(fake_open_call(b->f->transport, 0), &(Message){ .code = CODE(5, 0) },
                          b->f->now);
        answer(b, CODE(5, 0));
        expect(b, "refused 1:refused/5.00 2:refused/5.00; ");
        assert_int_equal(cached(b, "/3303/0/5700"), 2);
        peer_free(second);
}

/* --- whatever happens --- */
typedef struct Walk {
        Bed *b;
        GRand *rnd;
        int n_measured, n_acked; /* samples are numbers, in order */
        unsigned n_jobs, n_ended;
        bool present;
} Walk;

static void on_walk_done(void *userdata, const SendReport *report, uint64_t now_usec) {
        Walk *w = userdata;

        assert_true(report->result == SEND_ACKED || report->result == SEND_TIMEOUT ||
                    report->result == SEND_REFUSED || report->result == SEND_NOT_REGISTERED);
        w->n_ended++;
}

static void start_one(Walk *w) {
        const Path path = PATH_OIR(3303, 0, 5700), other = PATH_OIR(3, 0, 0);
        g_autofree char *why = NULL;
        SendRequest rq = plain;
        SendJob *job;
        int r;

        rq.with_cache = g_rand_int_range(w->rnd, 0, 4) > 0;
        rq.queue = g_rand_boolean(w->rnd);
        rq.paths = rq.with_cache ? &path : &other;
        rq.n_paths = 1;
        rq.timeout_usec = (uint64_t) g_rand_int_range(w->rnd, 1, 300) * USEC_PER_SEC;
        r = send_start(w->b->f->dm, &rq, on_walk_done, w, &job, &why, w->b->f->now);
        assert_true(r == 0 || r == -EDQUOT);
        w->n_jobs += r == 0;
}

/* What the server takes it acknowledges. What was acknowledged never comes again, and nothing is
 * left out. */
static void serve(Walk *w, Call *c, uint8_t code) {
        const FormatLimits limits = { .now_ns = INT64_C(1800000000) * 1000000000 };
        const FormatSchema schema = tree_format_schema(w->b->f->tree);
        g_auto(RecordList) got = { .v = NULL };
        GBytes *body = c->message.payload;

        assert_int_equal(format_decode(FORMAT_SENML_CBOR, &PATH_ROOT, g_bytes_get_data(body, NULL),
                                       g_bytes_get_size(body), &schema, &limits, &got, NULL),
                         0);
        for (size_t i = 0; i < got.n && code == CODE(2, 4); i++)
                if (got.v[i].time_ns != RECORD_NO_TIME)
                        assert_true(got.v[i].value.d == w->n_acked++);
        fake_call_respond(c, &MESSAGE_INIT(code), w->b->f->now);
}

static void step(Walk *w) {
        static const uint8_t refusals[] = { CODE(4, 4), CODE(4, 13), CODE(5, 3) };
        Fixture *f = w->b->f;
        Call *c = fake_open_call(f->transport, 0);

        assert_true(fake_n_open(f->transport) <= 1);
        assert_true(!c || w->present);
        switch (g_rand_int_range(w->rnd, 0, 12)) {
        case 0:
        case 1:
        case 2:
                set_float(f, "/3303/0/5700", w->n_measured++);
                break;
        case 3:
                start_one(w);
                break;
        case 4:
                if (c)
                        serve(w, c, refusals[g_rand_int_range(w->rnd, 0, 3)]);
                break;
        case 5:
                if (c)
                        fake_call_end(c, -ETIMEDOUT, f->now);
                break;
        case 6:
                w->present = false;
                peer_set_link(f->peer, NULL);
                peer_set_presence(f->peer, PRESENCE_ABSENT);
                break;
        case 7:
                w->present = true;
                peer_set_link(f->peer, f->link);
                set_presence(w->b, PRESENCE_AWAKE);
                break;
        default:
                if (c)
                        serve(w, c, CODE(2, 4));
        }
        pass(f, g_rand_double_range(w->rnd, 0.1, 5));
}

static void walk(Bed *b, guint32 seed) {
        Walk w = { .b = b, .rnd = g_rand_new_with_seed(seed), .present = true };

        b->f->dm->config.sends_max = 8;
        b->f->dm->config.send_body_max = 200;
        cache(b, "/3303/0/5700", 100000);
        for (int i = 0; i < 20000; i++)
                step(&w);
        /* The server comes to stay: it gets all that is left. */
        peer_set_link(b->f->peer, b->f->link);
        set_presence(b, PRESENCE_AWAKE);
        while (w.n_ended < w.n_jobs) {
                Call *c = fake_open_call(b->f->transport, 0);

                if (c)
                        serve(&w, c, CODE(2, 4));
                pass(b->f, 1);
        }
        w.present = true;
        start_one(&w);
        while (w.n_acked < w.n_measured) {
                Call *c = fake_open_call(b->f->transport, 0);

                if (c)
                        serve(&w, c, CODE(2, 4));
                else
                        start_one(&w);
                pass(b->f, 1);
        }
        pass(b->f, 400);
        assert_int_equal(w.n_ended, w.n_jobs);
        assert_int_equal(cached(b, "/3303/0/5700"), 0);
        assert_true(w.n_measured > 1000 && w.n_jobs > 500);
        g_rand_free(w.rnd);
}

static void test_random_walk(void **state) {
        for (guint32 seed = 1; seed <= 20; seed++) {
                void *b;

                setup(&b);
                walk(b, seed);
                teardown(&b);
        }
}

/* Each body is as long as it may be, or has one record; together they are all records. */
static void test_body_sizes(void **state) {
        static const size_t limits[] = { 1, 50, 100, 1000, 5000, 1000000 };
        g_auto(RecordList) records = { .v = NULL };
        const FormatSchema schema = tree_format_schema(((Bed *) *state)->f->tree);

        for (unsigned i = 0; i < 500; i++) {
                Value v = { .type = VALUE_FLOAT, .d = i * 1.37 };
                Path p = PATH_OIR(3303, i, 5700);

                record_list_add(&records, &p, &v, RECORD_NO_TIME);
        }
        for (size_t l = 0; l < G_N_ELEMENTS(limits); l++) {
                size_t done = 0, n_bodies = 0, bytes = 0;

                while (done < records.n) {
                        g_autoptr(GBytes) body = NULL;
                        size_t n;

                        assert_int_equal(send_body_make(FORMAT_SENML_CBOR, records.v + done,
                                                        records.n - done, limits[l], &schema, &body,
                                                        &n),
                                         0);
                        assert_true(n > 0);
                        assert_true(n == 1 || g_bytes_get_size(body) <= limits[l]);
                        done += n;
                        n_bodies++;
                        bytes += g_bytes_get_size(body);
                }
                assert_int_equal(done, records.n);
                /* Hardly more than there must be. */
                if (limits[l] >= 1000)
                        assert_true(n_bodies <= bytes / limits[l] * 5 / 4 + 1);
        }
}

/* --- rights --- */
/* Each server gets what it may read (object 2), and one that may not read what was named nothing.
 */
static void test_rights(void **state) {
        static const char *const lines[] = { "/0/2/10=2",  "/1/2/0=2",    "/2/0/0=3303",
                                             "/2/0/1=0",   "/2/0/2/1=1",  "/2/0/3=65535",
                                             "/2/1/0=3",   "/2/1/1=0",    "/2/1/2/1=31",
                                             "/2/1/2/2=1", "/2/1/3=65535" };
        Bed *b = *state;
        Peer *second;

        create(b->f, "/0/2");
        create(b->f, "/1/2");
        create(b->f, "/2/0");
        create(b->f, "/2/1");
        for (size_t i = 0; i < G_N_ELEMENTS(lines); i++) {
                g_auto(GStrv) line = g_strsplit(lines[i], "=", 2);

                set_integer(b->f, line[0], atoi(line[1]));
        }
        second = peer_new(b->f->dm, 2);
        assert_int_equal(send_json(b, "/3/0/0 /3303"), 0);
        expect_body(b, "[{\"bn\":\"/3/0/\",\"n\":\"0\",\"vs\":\"ACME\"},"
                       "{\"bn\":\"/3303/0/\",\"n\":\"5700\",\"v\":21.5}]");
        answer(b, CODE(2, 4));
        expect(b, "muted 1:acked 2:muted; ");
        assert_int_equal(send_json(b, "/3303/1"), 0);
        /* What is named itself is not left out silently. */
        expect(b, "denied 1:denied(it may not read /3303/1) 2:muted; ");
        nothing_under_way(b);
        peer_free(second);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                SEND_TEST(test_acked),
                SEND_TEST(test_paths),
                SEND_TEST(test_time),
                SEND_TEST(test_refused_here),
                SEND_TEST(test_formats),
                SEND_TEST(test_not_with_1_0),
                SEND_TEST(test_apps_are_asked),
                SEND_TEST(test_app_fails),
                SEND_TEST(test_muted),
                SEND_TEST(test_not_registered),
                SEND_TEST(test_refused),
                SEND_TEST(test_one_after_the_other),
                SEND_TEST(test_full),
                SEND_TEST(test_deadline),
                SEND_TEST(test_connection_lost),
                SEND_TEST(test_no_answer),
                SEND_TEST(test_outages),
                SEND_TEST(test_unknown_to_the_server),
                SEND_TEST(test_asleep),
                SEND_TEST(test_asleep_without_a_link),
                SEND_TEST(test_hold),
                SEND_TEST(test_gone),
                SEND_TEST(test_forgotten),
                SEND_TEST(test_two_servers),
                SEND_TEST(test_pieces),
                SEND_TEST(test_too_large_for_the_server),
                SEND_TEST(test_records),
                SEND_TEST(test_with_cache),
                SEND_TEST(test_cache_is_kept),
                SEND_TEST(test_a_long_cache),
                SEND_TEST(test_a_cache_for_two),
                SEND_TEST(test_body_sizes),
                cmocka_unit_test(test_random_walk),
                SEND_TEST(test_rights),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
