/* SPDX-License-Identifier: Apache-2.0 */
/* The message layer over a real socket: piggybacked, separate and repeated messages, resets. */
#include "coap_peer.h"

#include <string.h>

#include "coap/link.h"

#define EMPTY 0

static void assert_header(const Datagram *d, uint8_t type, uint8_t code, int mid) {
        assert_int_equal(d->p.type, type);
        assert_int_equal(d->p.code, code);
        if (mid >= 0)
                assert_int_equal(d->p.mid, mid);
}

static void send_empty(Fixture *f, uint8_t type, uint16_t mid) {
        PacketOut o = PACKET_OUT_INIT;

        o.type = type;
        o.mid = mid;
        server_send_packet(f->server, &o);
}

static Exchange *take_exchange(Fixture *f) {
        g_autofree Asked *a = NULL;

        run_until(f, f->asked.length);
        a = g_queue_pop_head(&f->asked);
        g_free(a->path);
        g_clear_pointer(&a->token, g_bytes_unref);
        g_clear_pointer(&a->payload, g_bytes_unref);
        return a->exchange;
}

static void respond(Fixture *f, Exchange *x, uint8_t code) {
        Message m = MESSAGE_INIT(code);

        f->ops->respond(x, &m);
}

static void test_piggyback(void **state) {
        Fixture *f = fixture_new(NULL);
        Ask ask = {
                .type = PACKET_CON, .code = METHOD_GET, .mid = 100, .path = "3/0/0", .token = "abcd"
        };
        g_autofree Datagram *d = NULL;
        Asked *a;

        fixture_connect(f);
        f->body = g_bytes_new("hi", 2);
        d = server_query(f, &ask);
        assert_header(d, PACKET_ACK, CODE(2, 5), 100);
        assert_memory_equal(d->p.token.v, "abcd", 4);
        assert_int_equal(d->p.n_payload, 2);
        assert_int_equal(f->n_requests, 1);
        a = f->asked.head->data;
        assert_string_equal(a->path, "3/0/0");
        assert_int_equal(g_bytes_get_size(a->token), 4);
        run_until(f, f->n_activity);
        server_hears_nothing(f, 50); /* neither an empty ACK nor anything else */
        fixture_free(f);
}

static void test_separate(void **state) {
        Fixture *f = fixture_new(&(CoapConfig){ .separate_after_usec = 100 * USEC_PER_MSEC });
        Ask ask = {
                .type = PACKET_CON, .code = METHOD_POST, .mid = 7, .path = "3/0/4", .token = "T"
        };
        g_autofree Datagram *ack = NULL, *answer = NULL, *again = NULL;
        uint64_t start;
        Exchange *x;

        fixture_connect(f);
        f->keep = true;
        start = loop_now(f->loop);
        ack = server_query(f, &ask);
        assert_true(loop_now(f->loop) - start >= 100 * USEC_PER_MSEC);
        assert_header(ack, PACKET_ACK, EMPTY, 7);
        assert_int_equal(ack->n, 4);
        x = take_exchange(f);
        server_hears_nothing(f, 150);
        respond(f, x, CODE(2, 4));
        answer = server_receive(f);
        assert_header(answer, PACKET_CON, CODE(2, 4), -1);
        assert_memory_equal(answer->p.token.v, "T", 1);
        send_empty(f, PACKET_ACK, answer->p.mid);
        server_hears_nothing(f, 50);
        /* The request comes once more: its ACK, not its answer, and it is not done again. */
        again = server_query(f, &ask);
        assert_header(again, PACKET_ACK, EMPTY, 7);
        assert_int_equal(f->n_requests, 1);
        fixture_free(f);
}

static void test_duplicates(void **state) {
        Fixture *f = fixture_new(NULL);
        Ask ask = {
                .type = PACKET_CON, .code = METHOD_POST, .mid = 9, .path = "3/0/4", .token = "TT"
        };
        Datagram *d[3];

        fixture_connect(f);
        for (unsigned i = 0; i < 3; i++)
                server_ask(f, &ask);
        for (unsigned i = 0; i < 3; i++)
                d[i] = server_receive(f);
        assert_int_equal(f->n_requests, 1);
        for (unsigned i = 0; i < 3; i++) {
                assert_header(d[i], PACKET_ACK, CODE(2, 4), 9);
                assert_int_equal(d[i]->n, d[0]->n);
                assert_memory_equal(d[i]->bytes, d[0]->bytes, d[0]->n);
        }
        for (unsigned i = 0; i < 3; i++)
                g_free(d[i]);
        /* Another message that happens to have the same id (a restarted server) is not a duplicate.
         */
        ask.token = "UU";
        g_free(server_query(f, &ask));
        assert_int_equal(f->n_requests, 2);
        fixture_free(f);
}

static void test_duplicate_while_pending(void **state) {
        Fixture *f = fixture_new(NULL);
        Ask ask = {
                .type = PACKET_CON, .code = METHOD_POST, .mid = 9, .path = "3/0/4", .token = "TT"
        };
        g_autofree Datagram *ack = NULL, *answer = NULL;
        Exchange *x;

        fixture_connect(f);
        f->keep = true;
        server_ask(f, &ask);
        x = take_exchange(f);
        ack = server_query(f, &ask);
        assert_header(ack, PACKET_ACK, EMPTY, 9);
        assert_int_equal(f->n_requests, 1);
        respond(f, x, CODE(2, 4));
        answer = server_receive(f);
        assert_header(answer, PACKET_CON, CODE(2, 4), -1);
        fixture_free(f);
}

static void test_non(void **state) {
        Fixture *f = fixture_new(NULL);
        Ask ask = {
                .type = PACKET_NON, .code = METHOD_POST, .mid = 3, .path = "1/0/8", .token = "N"
        };
        g_autofree Datagram *d = NULL;

        fixture_connect(f);
        server_ask(f, &ask);
        server_ask(f, &ask);
        d = server_receive(f);
        assert_header(d, PACKET_NON, CODE(2, 4), -1);
        server_hears_nothing(f, 50);
        assert_int_equal(f->n_requests, 1);
        fixture_free(f);
}

static void notify(Fixture *f, bool confirmable, const char *token) {
        g_autoptr(GBytes) t = g_bytes_new(token, strlen(token)), v = g_bytes_new("21.5", 4);
        Message m = MESSAGE_INIT(CODE(2, 5));
        Call *call;

        m.confirmable = confirmable;
        m.token = t;
        m.payload = v;
        m.observe = 5;
        m.format = 0;
        f->answers = 0;
        assert_int_equal(f->ops->notify(f->link, &m, fixture_on_notified, f, &call), 0);
        assert_int_equal(f->answers, 0);
}

static void test_notify_acked(void **state) {
        Fixture *f = fixture_new(NULL);
        g_autofree Datagram *first = NULL, *second = NULL;

        fixture_connect(f);
        notify(f, true, "obs1");
        notify(f, true, "obs2");
        first = server_receive(f);
        assert_header(first, PACKET_CON, CODE(2, 5), -1);
        assert_int_equal(first->p.observe, 5);
        assert_int_equal(first->p.format, 0);
        assert_memory_equal(first->p.token.v, "obs1", 4);
        server_hears_nothing(f, 100); /* NSTART is 1 */
        send_empty(f, PACKET_ACK, first->p.mid);
        run_until(f, f->answers);
        assert_int_equal(f->error, 0);
        second = server_receive(f);
        assert_memory_equal(second->p.token.v, "obs2", 4);
        send_empty(f, PACKET_ACK, second->p.mid);
        f->answers = 0;
        run_until(f, f->answers);
        fixture_free(f);
}

static void test_notify_reset(void **state) {
        Fixture *f = fixture_new(NULL);
        g_autofree Datagram *con = NULL, *non = NULL;

        fixture_connect(f);
        notify(f, true, "con1");
        con = server_receive(f);
        send_empty(f, PACKET_RST, con->p.mid);
        run_until(f, f->n_resets);
        assert_int_equal(f->answers, 1);
        assert_int_equal(f->error, -ECONNRESET);
        assert_memory_equal(g_bytes_get_data(f->reset_token, NULL), "con1", 4);

        f->n_resets = 0;
        notify(f, false, "non1");
        non = server_receive(f);
        assert_header(non, PACKET_NON, CODE(2, 5), -1);
        run_until(f, f->answers);
        assert_int_equal(f->error, 0);
        send_empty(f, PACKET_RST, (uint16_t) (non->p.mid + 1)); /* of nothing we sent */
        send_empty(f, PACKET_RST, non->p.mid);
        send_empty(f, PACKET_RST, non->p.mid);
        run_until(f, f->n_resets);
        run_for(f, 50, NULL, 0);
        assert_int_equal(f->n_resets, 1);
        assert_memory_equal(g_bytes_get_data(f->reset_token, NULL), "non1", 4);
        fixture_free(f);
}

static void test_retransmitted(void **state) {
        Fixture *f =
                fixture_new(&(CoapConfig){ .ack_timeout_usec = USEC_PER_SEC, .max_retransmit = 1 });
        g_autofree Datagram *first = NULL, *second = NULL;

        fixture_connect(f);
        notify(f, true, "obs1");
        first = server_receive(f);
        second = server_receive(f);
        assert_int_equal(first->p.mid, second->p.mid);
        assert_int_equal(first->n, second->n);
        run_until(f, f->answers);
        assert_int_equal(f->error, -ETIMEDOUT);
        fixture_free(f);
}

static Call *request(Fixture *f, bool confirmable) {
        static const char *const path[] = { "rd", NULL };
        static const char *const query[] = { "ep=box", "lt=60", NULL };
        Message m = MESSAGE_INIT(METHOD_POST);
        Call *call;

        m.confirmable = confirmable;
        m.path = path;
        m.query = query;
        m.format = 40;
        f->answers = 0;
        assert_int_equal(f->ops->request(f->link, &m, fixture_on_response, f, &call), 0);
        return call;
}

static void reply(Fixture *f, const Datagram *d, uint8_t type, uint16_t mid) {
        static const char *const path[] = { "rd", "5", NULL };
        Message m = MESSAGE_INIT(CODE(2, 1));
        PacketOut o = PACKET_OUT_INIT;

        m.path = path;
        o.type = type;
        o.mid = mid;
        o.token = d->p.token;
        o.message = &m;
        server_send_packet(f->server, &o);
}

static void test_request(void **state) {
        Fixture *f = fixture_new(NULL);
        g_autofree Datagram *d = NULL, *e = NULL, *ack = NULL, *again = NULL, *g = NULL;

        fixture_connect(f);
        request(f, true);
        d = server_receive(f);
        assert_header(d, PACKET_CON, METHOD_POST, -1);
        assert_int_equal(d->p.format, 40);
        assert_string_equal(d->p.query[1], "lt=60");
        reply(f, d, PACKET_ACK, d->p.mid);
        run_until(f, f->answers);
        assert_int_equal(f->answer.code, CODE(2, 1));
        assert_string_equal(f->answer_path, "rd/5");

        /* Separate: acknowledged now, answered later, which we acknowledge. */
        request(f, true);
        e = server_receive(f);
        send_empty(f, PACKET_ACK, e->p.mid);
        server_hears_nothing(f, 50);
        assert_int_equal(f->answers, 0);
        reply(f, e, PACKET_CON, 4711);
        run_until(f, f->answers);
        assert_int_equal(f->error, 0);
        ack = server_receive(f);
        assert_header(ack, PACKET_ACK, EMPTY, 4711);
        /* Our ACK was lost: once more, but the answer is not news. */
        reply(f, e, PACKET_CON, 4711);
        again = server_receive(f);
        assert_header(again, PACKET_ACK, EMPTY, 4711);
        assert_int_equal(f->answers, 1);

        /* An answer to nothing is rejected. */
        reply(f, d, PACKET_CON, 4712);
        g = server_receive(f);
        assert_header(g, PACKET_RST, EMPTY, 4712);
        fixture_free(f);
}

static void test_request_fails(void **state) {
        Fixture *f = fixture_new(&(CoapConfig){ .response_usec = 100 * USEC_PER_MSEC });
        g_autofree Datagram *reset = NULL, *acked = NULL, *non = NULL, *cancelled = NULL,
                            *next = NULL;
        struct sockaddr_storage client;
        Call *call;

        fixture_connect(f);
        client = f->server->client;
        request(f, true);
        reset = server_receive(f);
        send_empty(f, PACKET_RST, reset->p.mid);
        run_until(f, f->answers);
        assert_int_equal(f->error, -ECONNRESET);

        request(f, true);
        acked = server_receive(f);
        send_empty(f, PACKET_ACK, acked->p.mid);
        run_until(f, f->answers);
        assert_int_equal(f->error, -ETIMEDOUT);

        request(f, false);
        non = server_receive(f);
        assert_header(non, PACKET_NON, METHOD_POST, -1);
        run_until(f, f->answers);
        assert_int_equal(f->error, -ETIMEDOUT);

        /* What is cancelled is not retransmitted, and the next one goes at once. */
        call = request(f, true);
        cancelled = server_receive(f);
        f->ops->cancel(call);
        notify(f, true, "next");
        next = server_receive(f);
        assert_memory_equal(next->p.token.v, "next", 4);
        assert_int_equal(next->p.mid, (uint16_t) (cancelled->p.mid + 1));
        server_hears_nothing(f, 100);
        assert_memory_equal(&client, &f->server->client, f->server->n_client);
        send_empty(f, PACKET_ACK, next->p.mid);
        run_until(f, f->answers);
        assert_int_equal(f->error, 0);
        fixture_free(f);
}

static void test_refused(void **state) {
        Fixture *f = fixture_new(NULL);
        uint64_t start;

        fixture_connect(f);
        f->server->source = loop_source_free(f->server->source);
        close(f->server->fd);
        f->server->fd = -1;
        for (unsigned i = 0; i < 3; i++) {
                start = loop_now(f->loop);
                request(f, true);
                run_until(f, f->answers);
                assert_int_equal(f->answers, 1);
                assert_int_equal(f->error, -ECONNREFUSED);
                assert_true(loop_now(f->loop) - start < USEC_PER_SEC);
        }
        fixture_free(f);
}

static void test_close_with_open_exchange(void **state) {
        Fixture *f = fixture_new(NULL);
        Ask ask = {
                .type = PACKET_CON, .code = METHOD_POST, .mid = 9, .path = "3/0/4", .token = "TT"
        };
        Exchange *x;

        fixture_connect(f);
        f->keep = true;
        server_ask(f, &ask);
        x = take_exchange(f);
        request(f, true);
        notify(f, true, "obs1");
        g_free(server_receive(f));
        f->ops->close(f->link);
        f->link = NULL;
        respond(f, x, CODE(2, 4));
        server_hears_nothing(f, 100);
        assert_int_equal(f->answers, 0);
        fixture_free(f);
}

static void close_in_callback(void *userdata, int error, const Message *response,
                              uint64_t now_usec) {
        Fixture *f = userdata;

        f->answers++;
        f->ops->close(f->link);
        f->link = NULL;
}

static void test_close_in_callback(void **state) {
        Fixture *f = fixture_new(NULL);
        Message m = MESSAGE_INIT(METHOD_GET);
        g_autofree Datagram *d = NULL;
        Call *call;

        fixture_connect(f);
        assert_int_equal(f->ops->request(f->link, &m, close_in_callback, f, &call), 0);
        d = server_receive(f);
        reply(f, d, PACKET_ACK, d->p.mid);
        run_until(f, f->answers);
        run_for(f, 50, NULL, 0);
        fixture_free(f);
}

static void test_open(void **state) {
        static const char *const good[] = { "coap://127.0.0.1", "coap://[::1]:5685",
                                            "coap://localhost:5685/" };
        static const struct {
                const char *uri;
                int error;
        } bad[] = { { "coaps://127.0.0.1", -EINVAL }, /* no credentials */
                    { "coaps+tcp://127.0.0.1", -EINVAL },
                    { "coap+ws://127.0.0.1", -EPROTONOSUPPORT },
                    { "http://127.0.0.1", -EINVAL },
                    { "127.0.0.1", -EINVAL },
                    { "", -EINVAL },
                    { "coap://:5683", -EINVAL },
                    { "coap://host:0", -EINVAL },
                    { "coap://host:99999", -EINVAL } };
        Fixture *f = fixture_new(NULL);
        LinkConfig config = { .ssid = 1 };

        for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
                config.uri = bad[i].uri;
                assert_int_equal(f->ops->open(f->transport, &config, &fixture_events, f, &f->link),
                                 bad[i].error);
                assert_null(f->link);
        }
        for (size_t i = 0; i < G_N_ELEMENTS(good); i++) {
                f->up = false;
                config.uri = good[i];
                assert_int_equal(f->ops->open(f->transport, &config, &fixture_events, f, &f->link),
                                 0);
                assert_null(f->ops->peer(f->link));
                run_until(f, f->up);
                assert_non_null(f->ops->peer(f->link));
                f->ops->close(f->link);
                f->link = NULL;
        }
        config.uri = "coap://no-such-host.invalid";
        assert_int_equal(f->ops->open(f->transport, &config, &fixture_events, f, &f->link), 0);
        run_until(f, f->down);
        assert_true(f->down < 0);
        fixture_free(f);
}

static void test_v6(void **state) {
        Fixture *f = fixture_new(NULL);
        Ask ask = { .type = PACKET_CON, .code = METHOD_GET, .mid = 100, .path = "", .token = "" };
        g_autofree Datagram *d = NULL;

        server_free(f->server);
        f->server = server_new(f->loop, "::1");
        fixture_connect(f);
        assert_string_equal(f->ops->peer(f->link), f->server->uri + strlen("coap://"));
        d = server_query(f, &ask);
        assert_header(d, PACKET_ACK, CODE(2, 5), 100);
        fixture_free(f);
}

static void test_options(void **state) {
        static const uint8_t unknown_critical[] = { 0x40, 0x01, 0, 1, 0x91, 'x' }; /* 9 */
        static const uint8_t if_match[] = { 0x40, 0x01, 0, 2, 0x11, 'x' };         /* 1 */
        static const uint8_t proxy_uri[] = { 0x40, 0x01, 0, 3, 0xd1, 22, 'x' };    /* 35 */
        static const uint8_t bad_block[] = { 0x40, 0x01, 0, 4, 0xd1, 10, 0x07 };   /* 23: szx 7 */
        static const uint8_t bad_text[] = { 0x40, 0x01, 0, 5, 0xb2, 0xff, 0xfe };  /* 11 */
        static const uint8_t host[] = { 0x40, 0x01, 0, 6, 0x31, 'h', 0x42, 0x16, 0x33 }; /* 3, 7 */
        static const uint8_t well_known[] = { 0x40, 0x01, 0,    7,   0xbb, '.', 'w',
                                              'e',  'l',  'l',  '-', 'k',  'n', 'o',
                                              'w',  'n',  0x04, 'c', 'o',  'r', 'e' };
        static const uint8_t method_con[] = { 0x41, 0x1f, 0, 9, 't', 0xb1, '3' }, /* 0.31 */
                method_non[] = { 0x51, 0x08, 0, 10, 't' },                        /* 0.08 */
                cut_token[] = { 0x48, 0x1f, 0, 11, 't' };
        static const uint8_t ping[] = { 0x40, 0, 0, 8 };
        static const struct {
                const uint8_t *v;
                size_t n;
                uint8_t type, code;
        } cases[] = {
                { unknown_critical, sizeof(unknown_critical), PACKET_ACK, CODE(4, 2) },
                { if_match, sizeof(if_match), PACKET_ACK, CODE(4, 2) },
                { proxy_uri, sizeof(proxy_uri), PACKET_ACK, CODE(5, 5) },
                { bad_block, sizeof(bad_block), PACKET_ACK, CODE(4, 0) },
                { bad_text, sizeof(bad_text), PACKET_ACK, CODE(4, 0) },
                { method_con, sizeof(method_con), PACKET_ACK, CODE(4, 5) },
                { method_con, sizeof(method_con), PACKET_ACK, CODE(4, 5) },
                { method_non, sizeof(method_non), PACKET_NON, CODE(4, 5) },
                { ping, sizeof(ping), PACKET_RST, EMPTY },
        };
        Fixture *f = fixture_new(NULL);
        Datagram *d;

        fixture_connect(f);
        for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
                server_send(f->server, cases[i].v, cases[i].n);
                d = server_receive(f);
                assert_header(d, cases[i].type, cases[i].code, -1);
                assert_int_equal(f->n_requests, 0);
                g_free(d);
        }
        server_send(f->server, cut_token, sizeof(cut_token));
        server_hears_nothing(f, 50);
        server_send(f->server, host, sizeof(host));
        d = server_receive(f);
        assert_header(d, PACKET_ACK, CODE(2, 5), 6);
        g_free(d);
        server_send(f->server, well_known, sizeof(well_known));
        d = server_receive(f);
        assert_int_equal(f->n_requests, 2); /* ours to answer, not the library's */
        g_free(d);
        fixture_free(f);
}

static void test_too_many_exchanges(void **state) {
        Fixture *f = fixture_new(&(CoapConfig){ .exchanges_max = 2 });
        Ask ask = { .type = PACKET_CON, .code = METHOD_POST, .path = "3/0/4", .token = "TT" };
        g_autofree Datagram *d = NULL;

        fixture_connect(f);
        f->keep = true;
        for (ask.mid = 1; ask.mid <= 3; ask.mid++)
                server_ask(f, &ask);
        d = server_receive(f);
        assert_header(d, PACKET_ACK, CODE(5, 3), 3);
        respond(f, take_exchange(f), CODE(2, 4));
        respond(f, take_exchange(f), CODE(2, 4));
        fixture_free(f);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_piggyback),
                cmocka_unit_test(test_separate),
                cmocka_unit_test(test_duplicates),
                cmocka_unit_test(test_duplicate_while_pending),
                cmocka_unit_test(test_non),
                cmocka_unit_test(test_notify_acked),
                cmocka_unit_test(test_notify_reset),
                cmocka_unit_test(test_retransmitted),
                cmocka_unit_test(test_request),
                cmocka_unit_test(test_request_fails),
                cmocka_unit_test(test_refused),
                cmocka_unit_test(test_close_with_open_exchange),
                cmocka_unit_test(test_close_in_callback),
                cmocka_unit_test(test_open),
                cmocka_unit_test(test_v6),
                cmocka_unit_test(test_options),
                cmocka_unit_test(test_too_many_exchanges),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
