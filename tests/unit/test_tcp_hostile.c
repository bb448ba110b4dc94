/* SPDX-License-Identifier: Apache-2.0 */
/* Servers over TCP that do what none should: what comes of it has a reason, and a bound. */
#include "tcp_fixture.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "util/cleanup.h"

#define PATIENCE (300 * USEC_PER_MSEC)

static const char *const path[] = { "3", NULL };

/* --- before the CSM --- */

static void test_late_csm(void **state) {
        TcpFixture *f = tcp_fixture_new(&(CoapConfig){ .handshake_usec = 2 * USEC_PER_SEC });
        Message m = MESSAGE_INIT(METHOD_GET);
        Call *c;

        tcp_open_link(f);
        tcp_expect(f, TCP_OUR_CSM);
        m.path = path;
        assert_int_equal(f->ops->request(f->link, &m, NULL, NULL, &c), -ENOTCONN);
        (void) tcp_run_for(f, 100, NULL);
        tcp_say_text(f, "\x00"); /* in halves */
        (void) tcp_run_for(f, 20, NULL);
        assert_false(f->up);
        tcp_say_text(f, "\xe1");
        tcp_run_until(f, tcp_is_up);
        tcp_ask(f, "rd", NULL);
        assert_int_equal(tcp_hear_message(f)->code, METHOD_GET);
        tcp_fixture_free(f);
}

/* Half a CSM is none; nor do bytes that come one by one make the time longer. */
static void test_endless_csm(void **state) {
        TcpFixture *f = tcp_fixture_new(&(CoapConfig){ .handshake_usec = PATIENCE });
        uint64_t start;

        tcp_open_link(f);
        start = loop_now(f->loop);
        tcp_say_text(f, "\xd0\x64\xe1\xff"); /* with a diagnostic of 112 bytes */
        for (unsigned i = 0; i < 100 && !f->down; i++) {
                (void) send(f->peer, "x", 1, MSG_NOSIGNAL);
                (void) tcp_run_for(f, 20, tcp_is_down);
        }
        tcp_fails_with(f, -ETIMEDOUT, "says nothing");
        assert_true(loop_now(f->loop) - start < 10 * PATIENCE);
        tcp_fixture_free(f);
}

static void test_before_csm(void **state) {
        static const struct {
                const char *bytes;
                size_t n;
                const char *reason;
        } cases[] = {
                { "\xe0\x20\x00\xe1", 4, "too large" }, /* a CSM of 8 KiB */
                { "\xf0\x00\x00\x00\x00\xe1", 6, "too large" },
                { "\x0f\xe1", 2, "token length" },
                { "\x02\xe2pq", 4, "no CSM" },
                { "\x00\xe4", 2, "no CSM" },
                { "\x10\xe1\xff", 3, "broken options" },
                { "\x10\xe1\x20", 3, "Max-Message-Size" }, /* 0 */
                { "\x20\xe1\x21\x80", 4, "Max-Message-Size" },
                { "\x50\xe5\x22\x00\x02\xff!", 7, "option 2 of our CSM" },
        };

        for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
                TcpFixture *f = tcp_fixture_new(NULL);

                tcp_open_link(f);
                tcp_say(f, cases[i].bytes, cases[i].n);
                tcp_fails_with(f, -EPROTO, cases[i].reason);
                assert_int_equal(f->n_requests, 0);
                tcp_fixture_free(f);
        }
}

/* A message that is none ends it; what the Abort says of the CSM's option is heard. */
static void test_ends(void **state) {
        static const struct {
                const char *bytes;
                size_t n;
                int error;
                const char *reason, *abort;
        } cases[] = {
                { "\x30\xe5\x21\x04", 4, 0, NULL, NULL }, /* not whole: nothing yet */
                { "\x20\xe5\x21\x04", 4, -EPROTO, "option 4 of our CSM", NULL },
                { "\x10\xe5\x10", 3, -ECONNRESET, "aborted", NULL }, /* unknown, critical */
                { "\x10\xe5\xf0", 3, -ECONNRESET, "aborted", NULL }, /* broken */
                { "\x50\xe4\xff"
                  "idle",
                  7, -ECONNRESET, "released the connection: idle", NULL },
                { "\x10\xe1\x10", 3, -EPROTO, "critical option", "7.05 |220001ff" },
                { "\x10\xe2\x50", 3, -EPROTO, "critical option", "7.05 |ff" },
                { "\x10\xe1\x20", 3, -EPROTO, "Max-Message-Size", "7.05 |220002ff" },
        };

        for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
                TcpFixture *f = tcp_fixture_new(NULL);
                g_autofree char *got = NULL;

                tcp_connect_link(f);
                tcp_say(f, cases[i].bytes, cases[i].n);
                if (cases[i].error == 0)
                        assert_false(tcp_run_for(f, 50, tcp_is_down));
                else
                        tcp_fails_with(f, cases[i].error, cases[i].reason);
                if (cases[i].abort) {
                        got = tcp_hear(f);
                        if (!g_str_has_prefix(got, cases[i].abort))
                                fail_msg("%zu: %s", i, got);
                }
                assert_int_equal(f->in->len, 0);
                tcp_fixture_free(f);
        }
}

/* --- messages --- */

static void test_slow_loris(void **state) {
        TcpFixture *f = tcp_fixture_new(
                &(CoapConfig){ .response_usec = PATIENCE, .ping_usec = 3600 * USEC_PER_SEC });
        uint64_t start;

        tcp_connect_link(f);
        tcp_say_text(f, "\xe1\x10\x00\x03q\xff"); /* a request of 4 KiB, byte by byte */
        start = loop_now(f->loop);
        for (unsigned i = 0; i < 1000 && !f->down; i++) {
                (void) send(f->peer, "x", 1, MSG_NOSIGNAL);
                (void) tcp_run_for(f, 10, tcp_is_down);
        }
        tcp_fails_with(f, -ETIMEDOUT, "does not go on");
        assert_true(loop_now(f->loop) - start < 10 * PATIENCE);
        assert_int_equal(f->n_requests, 0);
        tcp_fixture_free(f);
}

/* Bytes that make no message do not count as a sign of life. */
static void test_drip(void **state) {
        TcpFixture *f = tcp_fixture_new(
                &(CoapConfig){ .response_usec = 5 * USEC_PER_SEC, .ping_usec = PATIENCE });

        tcp_connect_link(f);
        tcp_say_text(f, "\xe1\x10\x00\x03q\xff");
        for (unsigned i = 0; i < 1000 && !tcp_has_frame(f); i++) {
                (void) send(f->peer, "x", 1, MSG_NOSIGNAL);
                (void) tcp_run_for(f, 10, tcp_has_frame);
        }
        tcp_expect(f, "7.02 00000001|20");
        tcp_fixture_free(f);
}

static void test_reset(void **state) {
        TcpFixture *f = tcp_fixture_new(NULL);
        const struct linger at_once = { .l_onoff = 1 };

        tcp_connect_link(f);
        tcp_say_text(f, "\x21\x03\x61\xb1\x33\xe1\x10");
        tcp_expect(f, "2.04 61");
        f->reading = loop_source_free(f->reading);
        assert_int_equal(setsockopt(f->peer, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once)), 0);
        close_fd(&f->peer);
        tcp_fails_with(f, -ESTALE, "reset");
        tcp_fixture_free(f);
}

static void test_option_flood(void **state) {
        static const struct {
                uint8_t first; /* option, delta, of length 0 */
                uint8_t code;
        } cases[] = {
                { 0xb0, CODE(4, 4) }, /* Uri-Path */
                { 0x60, 0 },          /* Observe, again and again: of a request to nowhere */
                { 0x90, CODE(4, 2) }, /* 9: critical, and nothing to us */
        };

        for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
                TcpFixture *f = tcp_fixture_new(NULL);
                uint8_t frame[30000] = { 0xe1, (29995 - 269) >> 8, (29995 - 269) & 0xff, 1,
                                         'q',  cases[i].first };
                const Packet *p;

                tcp_connect_link(f);
                tcp_say(f, frame, sizeof(frame));
                p = tcp_hear_message(f);
                assert_int_equal(p->code, cases[i].code ?: CODE(2, 4));
                assert_int_equal(f->n_requests, cases[i].code ? 0 : 1);
                tcp_say_text(f, "\x21\x03\x61\xb1\x33");
                tcp_expect(f, "2.04 61");
                tcp_fixture_free(f);
        }
}

/* An answer with an option that cannot be understood is no answer (RFC 7252, section 5.4.1). */
static void test_critical_answer(void **state) {
        TcpFixture *f = tcp_fixture_new(NULL);
        uint8_t answer[] = { 0x18, CODE(2, 4), 0, 0, 0, 0, 0, 0, 0, 0, 0x90 };

        tcp_connect_link(f);
        tcp_ask(f, "rd", NULL);
        memcpy(answer + 2, tcp_hear_message(f)->token.v, 8);
        tcp_say(f, answer, sizeof(answer));
        tcp_run_until(f, tcp_is_answered);
        assert_int_equal(f->error, -EBADMSG);
        tcp_fixture_free(f);
}

/* --- a server that does not read --- */

static void never_reads(TcpFixture *f) {
        const int small = 4096;

        assert_int_equal(setsockopt(f->listener, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small)), 0);
        tcp_connect_link(f);
        f->reading = loop_source_free(f->reading);
}

static void test_never_reads_notifications(void **state) {
        TcpFixture *f = tcp_fixture_new(&(CoapConfig){ .response_usec = USEC_PER_SEC });
        g_autoptr(GBytes) token = g_bytes_new_static("T", 1);
        g_autofree char *text = g_strnfill(1000, 'x');
        g_autoptr(GBytes) payload = g_bytes_new(text, 1000);
        Message m = MESSAGE_INIT(CODE(2, 5));
        unsigned n = 0;
        Call *c;
        int r;

        never_reads(f);
        m.confirmable = false;
        m.token = token;
        m.payload = payload;
        do {
                r = f->ops->notify(f->link, &m, NULL, NULL, &c);
                n++;
        } while (r == 0 && n < 100000);
        assert_int_equal(r, -ENOBUFS);
        tcp_fails_with(f, -ETIMEDOUT, "does not read");
        tcp_fixture_free(f);
}

/* Pings are answered, and that has a bound as well: no more of them are read. */
static void test_never_reads_pongs(void **state) {
        TcpFixture *f = tcp_fixture_new(&(CoapConfig){ .response_usec = USEC_PER_SEC });
        static const uint8_t ping[] = { 0x08, SIGNAL_PING, 1, 2, 3, 4, 5, 6, 7, 8 };
        uint8_t pings[2000];

        for (size_t i = 0; i < sizeof(pings); i += sizeof(ping))
                memcpy(pings + i, ping, sizeof(ping));
        never_reads(f);
        while (!f->down) {
                (void) send(f->peer, pings, sizeof(pings), MSG_NOSIGNAL | MSG_DONTWAIT);
                (void) tcp_run_for(f, 1, tcp_is_down);
        }
        assert_int_equal(f->down, -ETIMEDOUT);
        tcp_fixture_free(f);
}

/* Answers that applications give late may be more than may wait: the connection ends then, since
 * over TCP nobody asks again for one that is lost. */
static void test_never_reads_answers(void **state) {
        TcpFixture *f = tcp_fixture_new(&(CoapConfig){ .exchanges_max = 400 });
        g_autofree char *text = g_strnfill(30000, 'x');
        g_autoptr(GBytes) payload = g_bytes_new(text, 30000);
        g_autoptr(GPtrArray) all = g_ptr_array_new();
        Message m = MESSAGE_INIT(CODE(2, 5));
        const int small = 4096;

        assert_int_equal(setsockopt(f->listener, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small)), 0);
        tcp_connect_with(f, "\x22\x80\x00\x20", 4); /* 32 KiB, blocks */
        f->keep = true;
        f->all = all;
        while (all->len < 400) { /* more than the kernel has room for */
                tcp_say_text(f, "\x21\x03\x61\xb1\x33");
                (void) tcp_run_for(f, 1, tcp_has_frame);
        }
        f->reading = loop_source_free(f->reading);
        m.payload = payload;
        for (guint i = 0; i < all->len; i++)
                f->ops->respond(all->pdata[i], &m);
        tcp_fails_with(f, -ESTALE, "does not read the answers");
        tcp_fixture_free(f);
}

/* Of one that reads slowly nothing is lost, however long that lasts: much more goes through than
 * may wait. */
static void test_reads_slowly(void **state) {
        TcpFixture *f = tcp_fixture_new(NULL);
        g_autofree char *text = g_strnfill(20000, 'x');
        unsigned asked = 0, answered = 0;

        f->payload = g_bytes_new(text, 20000);
        tcp_connect_with(f, "\x22\x80\x00\x20", 4);
        while (answered < 100) {
                if (asked < 100 && asked - answered < 50) {
                        tcp_say_text(f, "\x21\x03\x61\xb1\x33");
                        asked++;
                }
                (void) tcp_run_for(f, 1, tcp_has_frame);
                if (tcp_has_frame(f)) {
                        assert_int_equal(tcp_hear_message(f)->n_payload, 20000);
                        answered++;
                }
        }
        tcp_fixture_free(f);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_late_csm),
                cmocka_unit_test(test_endless_csm),
                cmocka_unit_test(test_before_csm),
                cmocka_unit_test(test_ends),
                cmocka_unit_test(test_slow_loris),
                cmocka_unit_test(test_drip),
                cmocka_unit_test(test_reset),
                cmocka_unit_test(test_option_flood),
                cmocka_unit_test(test_critical_answer),
                cmocka_unit_test(test_never_reads_notifications),
                cmocka_unit_test(test_never_reads_pongs),
                cmocka_unit_test(test_never_reads_answers),
                cmocka_unit_test(test_reads_slowly),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
