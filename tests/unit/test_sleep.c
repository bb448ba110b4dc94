/* SPDX-License-Identifier: Apache-2.0 */
/* Links that rest in queue mode, over a real socket. */
#include "coap_peer.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

static const uint64_t patience_usec = 93 * USEC_PER_SEC;

static Fixture *connected(void) {
        Fixture *f = fixture_new(NULL);

        fixture_connect(f);
        run_for(f, 20, NULL, 0); /* what follows an answer */
        f->n_activity = 0;
        return f;
}

static uint64_t busy(Fixture *f) {
        return f->ops->busy_until(f->link, loop_now(f->loop));
}

static int put_to_sleep(Fixture *f, bool deaf) {
        return f->ops->sleep(f->link, deaf, loop_now(f->loop));
}

static void assert_sleeps(Fixture *f) {
        run_for(f, 20, NULL, 0);
        assert_true(busy(f) == 0);
        assert_int_equal(put_to_sleep(f, true), 0);
}

static void assert_patient(Fixture *f) {
        uint64_t left = busy(f) - loop_now(f->loop);

        assert_true(left <= patience_usec && left > patience_usec - 10 * USEC_PER_SEC);
        assert_int_equal(put_to_sleep(f, true), -EBUSY);
        assert_true(f->ops->busy_until(f->link, loop_now(f->loop) + patience_usec) == 0);
}

static const Ask get = {
        .type = PACKET_CON, .code = METHOD_GET, .mid = 100, .path = "3/0/0", .token = "ab"
};

/* What comes while we are deaf is gone, not late. */
static void test_deaf(void **state) {
        Fixture *f = connected();
        Ask later = get;

        assert_int_equal(put_to_sleep(f, true), 0);
        assert_int_equal(put_to_sleep(f, true), -EBUSY); /* it does already */
        for (unsigned i = 0; i < 5; i++)
                server_ask(f, &get);
        server_hears_nothing(f, 100);
        f->ops->wake(f->link);
        f->ops->wake(f->link);
        server_hears_nothing(f, 100);
        assert_int_equal(f->n_requests, 0);
        assert_int_equal(f->n_activity, 0);
        later.mid = 101;
        g_free(server_query(f, &later));
        assert_int_equal(f->n_requests, 1);
        run_until(f, f->n_activity);
        fixture_free(f);
}

static void test_listening(void **state) {
        Fixture *f = connected();

        assert_int_equal(put_to_sleep(f, false), 0);
        g_free(server_query(f, &get));
        run_until(f, f->n_activity);
        f->ops->wake(f->link);
        fixture_free(f);
}

/* Only just in time: it is in the socket, the loop has not seen it yet. */
static void test_just_in_time(void **state) {
        for (unsigned deaf = 0; deaf < 2; deaf++) {
                Fixture *f = connected();

                server_ask(f, &get);
                assert_int_equal(put_to_sleep(f, deaf), -EBUSY);
                g_free(server_receive(f));
                assert_int_equal(f->n_requests, 1);
                assert_sleeps(f);
                fixture_free(f);
        }
}

static void test_open_exchange(void **state) {
        Fixture *f = connected();
        Message m = MESSAGE_INIT(CODE(2, 5));
        g_autofree Asked *a = NULL;

        f->keep = true;
        server_ask(f, &get);
        run_until(f, f->asked.length);
        run_for(f, 20, NULL, 0);
        assert_true(busy(f) == UINT64_MAX);
        assert_int_equal(put_to_sleep(f, true), -EBUSY);
        a = g_queue_pop_head(&f->asked);
        f->n_activity = 0;
        f->ops->respond(a->exchange, &m);
        run_until(f, f->n_activity);
        g_free(server_receive(f));
        assert_sleeps(f);
        g_free(a->path);
        g_bytes_unref(a->token);
        fixture_free(f);
}

/* A separate answer is out, and its acknowledgement is not here yet. */
static void test_separate_answer(void **state) {
        Fixture *f = fixture_new(&(CoapConfig){ .separate_after_usec = 50 * USEC_PER_MSEC });
        PacketOut o = PACKET_OUT_INIT;
        Message m = MESSAGE_INIT(CODE(2, 5));
        g_autofree Datagram *ack = NULL, *answer = NULL;
        g_autofree Asked *a = NULL;

        fixture_connect(f);
        f->keep = true;
        ack = server_query(f, &get);
        a = g_queue_pop_head(&f->asked);
        f->ops->respond(a->exchange, &m);
        answer = server_receive(f);
        run_for(f, 20, NULL, 0);
        assert_true(busy(f) == UINT64_MAX);
        o.type = PACKET_ACK;
        o.mid = answer->p.mid;
        f->n_activity = 0;
        server_send_packet(f->server, &o);
        run_until(f, f->n_activity);
        assert_sleeps(f);
        g_free(a->path);
        g_bytes_unref(a->token);
        fixture_free(f);
}

static void test_notification(void **state) {
        Fixture *f = connected();
        Message m = MESSAGE_INIT(CODE(2, 5));
        PacketOut o = PACKET_OUT_INIT;
        g_autofree Datagram *d = NULL;
        Call *call;

        assert_int_equal(f->ops->notify(f->link, &m, fixture_on_notified, f, &call), 0);
        d = server_receive(f);
        run_for(f, 20, NULL, 0);
        assert_true(busy(f) == UINT64_MAX);
        assert_int_equal(put_to_sleep(f, true), -EBUSY);
        f->n_activity = 0;
        o.type = PACKET_ACK;
        o.mid = d->p.mid;
        server_send_packet(f->server, &o);
        run_until(f, f->answers);
        run_until(f, f->n_activity); /* an ACK alone has no other callback */
        assert_sleeps(f);
        fixture_free(f);
}

/* The end of a request counts, also when it is nobody's any more. */
static void test_request(void **state) {
        static const char *const path[] = { "rd", NULL };
        Fixture *f = connected();
        Message m = MESSAGE_INIT(METHOD_POST);
        Call *call;

        m.path = path;
        assert_int_equal(f->ops->request(f->link, &m, fixture_on_response, f, &call), 0);
        g_free(server_receive(f));
        run_for(f, 20, NULL, 0);
        assert_true(busy(f) == UINT64_MAX);
        f->n_activity = 0;
        f->ops->cancel(call);
        run_until(f, f->n_activity);
        assert_sleeps(f);

        /* Whoever sends all the same hears the answer. */
        assert_int_equal(f->ops->request(f->link, &m, fixture_on_response, f, &call), 0);
        {
                g_autofree Datagram *d = server_receive(f);
                PacketOut o = PACKET_OUT_INIT;

                o.type = PACKET_ACK;
                o.mid = d->p.mid;
                o.token = d->p.token;
                o.code = CODE(2, 4);
                server_send_packet(f->server, &o);
        }
        run_until(f, f->answers);
        assert_int_equal(f->error, 0);
        fixture_free(f);
}

static void test_upload(void **state) {
        static const uint8_t bytes[32] = { 1 };
        Fixture *f = connected();
        Block block = { .num = 0, .more = true };
        Ask ask = { .type = PACKET_CON,
                    .code = METHOD_PUT,
                    .mid = 1,
                    .path = "5/0/0",
                    .token = "t",
                    .block1 = &block,
                    .payload = bytes,
                    .n_payload = 16 };
        g_autofree Datagram *d = server_query(f, &ask);

        assert_int_equal(d->p.code, CODE(2, 31));
        run_for(f, 20, NULL, 0);
        assert_patient(f);
        block = (Block){ .num = 1 };
        ask.mid = 2;
        g_free(server_query(f, &ask));
        assert_sleeps(f);
        fixture_free(f);
}

static void test_download(void **state) {
        Fixture *f = connected();
        Block block = { .szx = 6 };
        Ask ask = get;

        f->body = make_body(2500, 1);
        ask.block2 = &block;
        for (; block.num < 3; block.num++, ask.mid++) {
                g_autofree Datagram *d = server_query(f, &ask);

                assert_int_equal(d->p.code, CODE(2, 5));
                run_for(f, 20, NULL, 0);
                if (block.num < 2)
                        assert_patient(f);
        }
        assert_sleeps(f);
        f->ops->wake(f->link);
        fixture_free(f);
}

static void test_close(void **state) {
        for (unsigned deaf = 0; deaf < 2; deaf++) {
                Fixture *f = connected();

                assert_int_equal(put_to_sleep(f, deaf), 0);
                fixture_free(f);
        }
}

static uint16_t port_of(const Server *s) {
        return ((const struct sockaddr_in *) (const void *) &s->client)->sin_port;
}

/* The next link, after a sleep or anything else, goes on with the port and the message ids. */
static void test_port_is_kept(void **state) {
        Fixture *f = connected();
        uint16_t port = port_of(f->server), mid, other;
        g_autofree Datagram *d = NULL;
        Message m = MESSAGE_INIT(CODE(2, 5));
        Call *call;

        m.confirmable = false;
        assert_int_equal(f->ops->notify(f->link, &m, fixture_on_notified, f, &call), 0);
        d = server_receive(f);
        mid = d->p.mid;
        run_for(f, 20, NULL, 0);
        assert_int_equal(put_to_sleep(f, true), 0);
        f->ops->close(f->link);
        f->up = false;
        fixture_connect(f);
        assert_int_equal(port_of(f->server), port);
        f->answers = 0;
        assert_int_equal(f->ops->notify(f->link, &m, fixture_on_notified, f, &call), 0);
        g_free(g_steal_pointer(&d));
        d = server_receive(f);
        assert_in_range((uint16_t) (d->p.mid - mid), 1, 8);

        f->ops->close(f->link); /* awake */
        f->up = false;
        f->answers = 0;
        fixture_connect(f);
        assert_int_equal(port_of(f->server), port);
        assert_int_equal(ntohs(port), f->ops->place(f->link).port);
        other = port;

        /* Somebody else has taken the port meanwhile, for this very server. */
        run_for(f, 20, NULL, 0);
        assert_int_equal(put_to_sleep(f, true), 0);
        f->ops->close(f->link);
        {
                struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = other };
                int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

                a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
                assert_int_equal(bind(fd, (struct sockaddr *) &a, sizeof(a)), 0);
                f->up = false;
                f->answers = 0;
                fixture_connect(f);
                assert_int_not_equal(port_of(f->server), other);
                close(fd);
        }
        fixture_free(f);
}

/* As an earlier process has left it; and one that cannot be had is done without. */
static void test_place(void **state) {
        Fixture *f = connected();
        LinkConfig config = { .uri = f->server->uri, .ssid = 1 };
        g_autofree Datagram *d = NULL;
        Message m = MESSAGE_INIT(CODE(2, 5));
        uint16_t used;
        Call *call;

        config.place = f->ops->place(f->link);
        used = (uint16_t) (config.place.mid_lead + loop_now(f->loop) / 4000);
        assert_int_equal(config.place.port, ntohs(port_of(f->server)));
        fixture_free(f);

        f = fixture_new(NULL);
        config.uri = f->server->uri;
        for (unsigned i = 0; i < 2; i++) {
                f->up = false;
                assert_int_equal(f->ops->open(f->transport, &config, &fixture_events, f, &f->link),
                                 0);
                run_until(f, f->up);
                assert_int_equal(f->ops->place(f->link).port, config.place.port);
                m.confirmable = false;
                assert_int_equal(f->ops->notify(f->link, &m, fixture_on_notified, f, &call), 0);
                g_free(g_steal_pointer(&d));
                d = server_receive(f);
                if (i == 0) /* ahead of what the process before has used, a burst included */
                        assert_in_range((uint16_t) (d->p.mid - used), 60, 15000);
                f->ops->close(f->link);
        }
        f->up = false;
        config.place.port = 1; /* nobody but root, and that is somebody else's */
        config.ssid = 2;
        assert_int_equal(f->ops->open(f->transport, &config, &fixture_events, f, &f->link), 0);
        run_until(f, f->up);
        fixture_free(f);
}

static void test_not_up(void **state) {
        Fixture *f = fixture_new(NULL);
        LinkConfig config = { .uri = f->server->uri, .ssid = 1 };

        assert_int_equal(f->ops->open(f->transport, &config, &fixture_events, f, &f->link), 0);
        assert_true(busy(f) == UINT64_MAX);
        assert_int_equal(put_to_sleep(f, true), -EBUSY);
        fixture_free(f);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_deaf),
                cmocka_unit_test(test_listening),
                cmocka_unit_test(test_just_in_time),
                cmocka_unit_test(test_open_exchange),
                cmocka_unit_test(test_separate_answer),
                cmocka_unit_test(test_notification),
                cmocka_unit_test(test_request),
                cmocka_unit_test(test_upload),
                cmocka_unit_test(test_download),
                cmocka_unit_test(test_close),
                cmocka_unit_test(test_port_is_kept),
                cmocka_unit_test(test_place),
                cmocka_unit_test(test_not_up),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
