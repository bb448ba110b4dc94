/* SPDX-License-Identifier: Apache-2.0 */
/* What a probe says of servers that fail at each step. */
#include "client_fixture.h"

#include <errno.h>
#include <string.h>

#include "lwm2m/client/probe.h"

typedef struct Rig {
        Bed *bed;
        Probe *probe;
        GString *said; /* "account=ok name=skipped …", texts of failures in brackets */
        unsigned n_done;
} Rig;

static void on_event(void *userdata, const ClientEvent *event) {
        Rig *r = userdata;

        if (r->probe)
                probe_event(r->probe, event, r->bed->now);
}

static void on_done(void *userdata, const ProbeStep *steps, size_t n, uint64_t now_usec) {
        Rig *r = userdata;

        r->n_done++;
        for (size_t i = 0; i < n; i++) {
                g_string_append_printf(r->said, "%s%s=%s", i ? " " : "", steps[i].name,
                                       steps[i].result);
                if (strcmp(steps[i].result, "failed") == 0)
                        g_string_append_printf(r->said, "(%s)", steps[i].text);
        }
}

static int setup(void **state) {
        static const ClientListener listener = { .event = on_event };
        Rig *r = g_new0(Rig, 1);

        fake_store_clear();
        r->bed = bed_new();
        r->said = g_string_new(NULL);
        bed_boot(r->bed);
        client_add_listener(r->bed->client, &listener, r);
        *state = r;
        return 0;
}

static int teardown(void **state) {
        Rig *r = *state;

        probe_free(r->probe);
        bed_free(r->bed);
        g_string_free(r->said, TRUE);
        g_free(r);
        fake_store_clear();
        return 0;
}

static void begin(Rig *r, uint16_t ssid) {
        assert_int_equal(probe_start(r->bed->client, ssid, on_done, r, r->bed->now, &r->probe), 0);
        assert_int_equal(r->n_done, 0); /* not from within */
        bed_advance(r->bed, 0);
}

/* The newest link: the probe's own. */
static Link *own_link(const Rig *r) {
        GPtrArray *links = r->bed->transport->links;

        assert_true(links->len > 0);
        return links->pdata[links->len - 1];
}

static void up(Rig *r) {
        Link *l = own_link(r);

        l->events.up(l->owner, r->bed->now);
}

static void answer(Rig *r, uint8_t code) {
        Message m = MESSAGE_INIT(code);

        fake_call_respond(fake_open_call(r->bed->transport, 0), &m, r->bed->now);
        bed_advance(r->bed, 0);
}

static void expect(Rig *r, const char *said) {
        assert_string_equal(r->said->str, said);
        assert_int_equal(r->n_done, 1);
        bed_advance(r->bed, 1000 * SEC);
        assert_int_equal(r->n_done, 1);
}

static void test_good(void **state) {
        Rig *r = *state;
        unsigned n_links;

        bed_add(r->bed, 101, "coap://a.example", 300);
        bed_start(r->bed);
        bed_register(r->bed, 101);
        n_links = r->bed->transport->links->len;
        begin(r, 101);
        up(r);
        assert_string_equal(bed_request(r->bed, 101)->path, "/.well-known/core");
        answer(r, CODE(4, 4));
        assert_int_equal(r->bed->transport->links->len, n_links); /* its own is closed */
        assert_string_equal(bed_request(r->bed, 101)->path, "/rd/101");
        answer(r, CODE(2, 4));
        assert_string_equal(r->said->str, "account=ok name=ok route=ok handshake=skipped answer=ok "
                                          "registration=ok");
        assert_int_equal(r->n_done, 1);
}

static void test_refused_registration(void **state) {
        Rig *r = *state;

        bed_add(r->bed, 101, "coap://192.0.2.1", 300);
        bed_start(r->bed);
        bed_up(r->bed, 101);
        bed_answer(r->bed, 101, CODE(4, 3), NULL);
        begin(r, 101);
        up(r);
        answer(r, CODE(2, 5));
        bed_up(r->bed, 101);
        bed_answer(r->bed, 101, CODE(4, 3), NULL);
        expect(r, "account=ok name=skipped route=ok handshake=skipped answer=ok "
                  "registration=failed(4.03 the server refused)");
}

static void test_down(void **state) {
        static const struct {
                int error;
                const char *reason, *said;
        } cases[] = {
                { -ENOENT, "no such name", "account=ok name=failed(no such name)" },
                { -ENETUNREACH, "no route", "account=ok name=ok route=failed(no route)" },
        };

        for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
                void *rig;
                Rig *r;
                Link *l;

                setup(&rig);
                r = rig;
                bed_add(r->bed, 101, "coap://a.example", 300);
                begin(r, 101);
                l = own_link(r);
                l->events.down(l->owner, cases[i].error, cases[i].reason, r->bed->now);
                expect(r, cases[i].said);
                teardown(&rig);
        }
}

static void test_no_answer(void **state) {
        Rig *r = *state;

        bed_add(r->bed, 101, "coap://192.0.2.1", 300);
        begin(r, 101);
        up(r);
        bed_advance(r->bed, PROBE_ANSWER_USEC);
        expect(r, "account=ok name=skipped route=ok handshake=skipped "
                  "answer=failed(no answer in time)");
}

/* The transport, which knows more, has the first word; an address is no name that could fail. */
static void test_nothing_at_all(void **state) {
        Rig *r = *state;
        Link *l;

        bed_add(r->bed, 101, "coap+tcp://192.0.2.1", 300);
        begin(r, 101);
        bed_advance(r->bed, 110 * SEC);
        l = own_link(r);
        l->events.down(l->owner, -ETIMEDOUT, "the server says nothing", r->bed->now);
        expect(r, "account=ok name=skipped route=failed(the server says nothing)");
}

static void test_not_even_an_error(void **state) {
        Rig *r = *state;

        bed_add(r->bed, 101, "coap+tcp://192.0.2.1", 300);
        begin(r, 101);
        bed_advance(r->bed, PROBE_LINK_USEC);
        expect(r, "account=ok name=skipped route=failed(no answer in time)");
}

static void test_nobody_listens(void **state) {
        Rig *r = *state;

        bed_add(r->bed, 101, "coap://192.0.2.1", 300);
        begin(r, 101);
        up(r);
        fake_call_end(fake_open_call(r->bed->transport, 0), -ECONNREFUSED, r->bed->now);
        expect(r, "account=ok name=skipped route=ok handshake=skipped "
                  "answer=failed(nobody listens at that port (ICMP))");
}

/* A Reset is an answer, too; and a client that does not run registers with nobody. */
static void test_reset_and_stopped(void **state) {
        Rig *r = *state;

        bed_add(r->bed, 101, "coap://192.0.2.1", 300);
        begin(r, 101);
        up(r);
        fake_call_end(fake_open_call(r->bed->transport, 0), -ECONNRESET, r->bed->now);
        expect(r, "account=ok name=skipped route=ok handshake=skipped answer=ok "
                  "registration=skipped");
}

static void test_bad_account(void **state) {
        Rig *r = *state;

        bed_add(r->bed, 101, "coap://192.0.2.1", 300);
        bed_set(r->bed, "/0/0/0", value_string("http://x"));
        begin(r, 101);
        expect(r, "account=failed('http://x': not a CoAP URI)");
}

static void test_bootstrap_server(void **state) {
        ServerAccount account = { .uri = "coap://192.0.2.7", .bootstrap = true };
        g_autofree char *error = NULL;
        Rig *r = *state;

        assert_int_equal(probe_start(r->bed->client, 0, on_done, r, r->bed->now, &r->probe),
                         -ENOENT);
        assert_int_equal(client_add_account(r->bed->client, &account, &error, r->bed->now), 0);
        begin(r, 0);
        up(r);
        answer(r, CODE(4, 4));
        expect(r, "account=ok name=skipped route=ok handshake=skipped answer=ok "
                  "registration=skipped");
}

static void test_freed_early(void **state) {
        Rig *r = *state;

        bed_add(r->bed, 101, "coap://192.0.2.1", 300);
        begin(r, 101);
        up(r);
        r->probe = probe_free(r->probe);
        bed_advance(r->bed, 1000 * SEC);
        assert_int_equal(r->n_done, 0);
        assert_int_equal(r->bed->transport->links->len, 0);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void) {
        const struct CMUnitTest tests[] = {
                T(test_good),
                T(test_refused_registration),
                cmocka_unit_test(test_down),
                T(test_nothing_at_all),
                T(test_not_even_an_error),
                T(test_no_answer),
                T(test_nobody_listens),
                T(test_reset_and_stopped),
                T(test_bad_account),
                T(test_bootstrap_server),
                T(test_freed_early),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
