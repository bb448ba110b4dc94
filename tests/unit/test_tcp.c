/* SPDX-License-Identifier: Apache-2.0 */
/* CoAP over TCP (RFC 8323): frames as bytes, and a link against a server made of one socket, which
 * sends whatever the test says. */
#include "tcp_fixture.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "util/cleanup.h"

/* --- frames --- */

static void test_lengths(void **state) {
        static const struct {
                size_t n_payload; /* of 0: no marker either */
                size_t n_head;
        } cases[] = {
                { 0, 2 }, { 1, 2 }, { 11, 2 }, { 12, 3 }, { 267, 3 }, { 268, 4 }, { 1400, 4 }
        };

        for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
                uint8_t payload[1400], message[PACKET_OUT_MAX], frame[PACKET_OUT_MAX + FRAME_EXTRA];
                PacketOut o = PACKET_OUT_INIT;
                FrameHead h;
                Packet p;
                int n, size;

                memset(payload, 7, sizeof(payload));
                o.code = CODE(2, 5);
                o.token = (Token){ .v = "ab", .n = 2 };
                o.payload = payload;
                o.n_payload = cases[i].n_payload;
                n = packet_write(&o, message, sizeof(message));
                assert_true(n > 0);
                size = frame_write(message, (size_t) n, frame, sizeof(frame));
                assert_true(size > 0);
                for (size_t short_of = 0; short_of < cases[i].n_head; short_of++)
                        assert_int_equal(frame_head(frame, short_of, &h), 0);
                assert_int_equal(frame_head(frame, (size_t) size, &h), 1);
                assert_int_equal(h.n_head, cases[i].n_head);
                assert_int_equal(frame_size(&h), size);
                assert_int_equal(frame_parse(frame, &h, &p), 0);
                assert_int_equal(p.code, CODE(2, 5));
                assert_memory_equal(p.token.v, "ab", 2);
                assert_int_equal(p.n_payload, cases[i].n_payload);
        }
}

static void test_hostile_frames(void **state) {
        static const struct {
                const char *bytes;
                size_t n;
                int head, parsed;
        } cases[] = {
                { "\x09\x45", 2, -EBADMSG, 0 }, /* token length 9 */
                { "\x0f\x45", 2, -EBADMSG, 0 },
                { "\x10\x45\xff", 3, 1, -EBADMSG },                     /* a marker, no payload */
                { "\x10\x45\xf0", 3, 1, -EBADMSG },                     /* reserved delta */
                { "\x10\x45\x1f", 3, 1, -EBADMSG },                     /* reserved length */
                { "\x10\x45\xd0", 3, 1, -EBADMSG },                     /* delta cut off */
                { "\x20\x45\x1e\x00", 4, 1, -EBADMSG },                 /* length cut off */
                { "\x10\x45\x15", 3, 1, -EBADMSG },                     /* value cut off */
                { "\x60\x45\xe0\xff\x00\xe0\xff\x00", 8, 1, -EBADMSG }, /* numbers above 65535 */
                { "\x00\x45", 2, 1, 0 },
        };
        FrameHead h;
        Packet p;

        for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
                const uint8_t *bytes = (const uint8_t *) cases[i].bytes;

                assert_int_equal(frame_head(bytes, cases[i].n, &h), cases[i].head);
                if (cases[i].head > 0)
                        assert_int_equal(frame_parse(bytes, &h, &p), cases[i].parsed);
        }
        assert_int_equal(frame_head((const uint8_t *) "\xf0\xff\xff\xff\xff\x45", 6, &h), 1);
        assert_true(h.n_body == UINT64_C(0xffffffff) + 65805);
        assert_int_equal(frame_write((const uint8_t *) "\x48\x45\0\0", 4, (uint8_t[16]){ 0 }, 16),
                         -EMSGSIZE); /* a token that is not there */
}

/* --- both ways --- */

static void test_requests(void **state) {
        TcpFixture *f = tcp_fixture_new(NULL);
        g_autofree char *got = NULL;
        uint8_t answer[2 + 8] = { 0x08, CODE(2, 4) };

        tcp_connect_link(f);
        /* Of the server: no token, a token; what it does not know. */
        tcp_say_text(f, "\x21\x03\x61\xb1\x33");
        tcp_expect(f, "2.04 61");
        tcp_say_text(f, "\x01\x1f\x62"); /* method 0.31 */
        tcp_expect(f, "4.05 62");
        tcp_say_text(f, "\x00\x00"); /* empty: nothing */
        tcp_ask(f, "rd", NULL);
        got = tcp_hear(f);
        assert_true(g_str_has_prefix(got, "0.01 "));
        assert_true(g_str_has_suffix(got, "|b27264"));
        for (unsigned i = 0; i < 8; i++) {
                char digits[3] = { got[5 + 2 * i], got[6 + 2 * i], 0 };

                answer[2 + i] = (uint8_t) g_ascii_strtoull(digits, NULL, 16);
        }
        answer[2] ^= 1;
        tcp_say(f, answer, sizeof(answer)); /* somebody else's */
        answer[2] ^= 1;
        for (size_t i = 0; i < sizeof(answer); i++) { /* in pieces */
                assert_int_equal(f->n_answers, 0);
                tcp_say(f, answer + i, 1);
                (void) tcp_run_for(f, 5, tcp_is_answered);
        }
        tcp_run_until(f, tcp_is_answered);
        assert_int_equal(f->error, 0);
        assert_int_equal(f->answer_code, CODE(2, 4));
        f->ops->close(f->link);
        f->link = NULL;
        tcp_expect(f, "7.04 "); /* Release */
        tcp_run_until(f, tcp_is_closed);
        tcp_fixture_free(f);
}

/* Many requests in one segment, more than are read at once. */
static void test_pipelined(void **state) {
        TcpFixture *f = tcp_fixture_new(NULL);
        GByteArray *all = g_byte_array_new();

        tcp_connect_link(f);
        for (unsigned i = 0; i < 4000; i++)
                g_byte_array_append(all, (const uint8_t *) "\x21\x03\x61\xb1\x33", 5);
        tcp_say(f, all->data, all->len);
        for (unsigned i = 0; i < 4000; i++)
                tcp_expect(f, "2.04 61");
        assert_int_equal(f->n_requests, 4000);
        g_byte_array_unref(all);
        tcp_fixture_free(f);
}

/* A server that asks and does not read: what waits for it has a bound, and its requests wait. */
static void test_backpressure(void **state) {
        TcpFixture *f = tcp_fixture_new(&(CoapConfig){ .response_usec = 2 * USEC_PER_SEC });
        static const uint8_t one[] = { 0x21, METHOD_PUT, 'a', 0xb1, '3' };
        uint8_t request[5 * 1000];
        const int small = 4096;

        for (size_t i = 0; i < sizeof(request); i += 5)
                memcpy(request + i, one, sizeof(one));
        assert_int_equal(setsockopt(f->listener, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small)), 0);
        tcp_connect_link(f);
        f->reading = loop_source_free(f->reading);
        while (!f->down) {
                (void) send(f->peer, request, sizeof(request), MSG_NOSIGNAL | MSG_DONTWAIT);
                (void) tcp_run_for(f, 1, tcp_is_down);
        }
        assert_int_equal(f->down, -ESTALE);
        assert_non_null(f->reason);
        tcp_fixture_free(f);
}

/* --- notifications --- */

static void test_notifications(void **state) {
        TcpFixture *f = tcp_fixture_new(NULL);

        tcp_connect_link(f);
        tcp_notify(f, false);
        tcp_run_until(f, tcp_is_answered); /* handed over */
        assert_int_equal(f->error, 0);
        tcp_expect(f, "2.05 54|6109ff35");
        tcp_notify(f, true);
        tcp_expect(f, "2.05 54|6109ff35");
        tcp_expect(f, "7.02 00000001|20");         /* Ping with Custody */
        tcp_say_text(f, "\x14\xe3\0\0\0\x07\x20"); /* the Pong of another */
        tcp_say_text(f, "\x00\xe3");
        assert_false(tcp_run_for(f, 50, tcp_is_answered));
        tcp_say_text(f, "\x14\xe3\0\0\0\x01\x20");
        tcp_run_until(f, tcp_is_answered);
        assert_int_equal(f->error, 0);
        /* One that is taken back keeps no other from being sent. */
        f->ops->cancel(tcp_notify(f, true));
        tcp_notify(f, true);
        tcp_expect(f, "2.05 54|6109ff35");
        tcp_expect(f, "7.02 00000002|20");
        tcp_expect(f, "2.05 54|6109ff35");
        tcp_expect(f, "7.02 00000003|20");
        tcp_say_text(f, "\x14\xe3\0\0\0\x02\x20");
        assert_false(tcp_run_for(f, 50, tcp_is_answered));
        tcp_say_text(f, "\x14\xe3\0\0\0\x03\x20");
        tcp_run_until(f, tcp_is_answered);
        tcp_fixture_free(f);
}

static void test_no_pong(void **state) {
        TcpFixture *f = tcp_fixture_new(&(CoapConfig){ .response_usec = 200 * USEC_PER_MSEC });

        tcp_connect_link(f);
        tcp_notify(f, true);
        tcp_fails_with(f, -ETIMEDOUT, "no Pong");
        assert_int_equal(f->n_answers, 0); /* the owner takes it back with the link */
        tcp_fixture_free(f);
}

/* --- signalling --- */

static void test_keep_alive(void **state) {
        TcpFixture *f = tcp_fixture_new(&(CoapConfig){ .ping_usec = 100 * USEC_PER_MSEC,
                                                       .response_usec = 300 * USEC_PER_MSEC });

        tcp_connect_link(f);
        tcp_expect(f, "7.02 00000001|20");
        tcp_say_text(f, "\x14\xe3\0\0\0\x01\x20");
        tcp_expect(f, "7.02 00000002|20");
        tcp_fails_with(f, -ETIMEDOUT, "no Pong");
        tcp_fixture_free(f);
}

static void test_pong(void **state) {
        Message m = MESSAGE_INIT(CODE(2, 4));
        TcpFixture *f = tcp_fixture_new(NULL);

        tcp_connect_link(f);
        tcp_say_text(f, "\x02\xe2pq");
        tcp_expect(f, "7.03 7071");
        tcp_say_text(f, "\x12\xe2pq\x20"); /* asks for custody */
        tcp_expect(f, "7.03 7071|20");
        f->keep = true;
        tcp_say_text(f, "\x21\x03\x61\xb1\x33");
        tcp_run_until(f, tcp_has_request);
        tcp_say_text(f, "\x12\xe2pq\x20");
        tcp_expect(f, "7.03 7071"); /* not while a request is open */
        f->ops->respond(f->kept, &m);
        tcp_expect(f, "2.04 61");
        tcp_say_text(f, "\x00\xe9"); /* a signal of the future */
        tcp_say_text(f, "\x02\xe2pq");
        tcp_expect(f, "7.03 7071");
        tcp_fixture_free(f);
}

static void test_ends(void **state) {
        static const struct {
                const char *bytes;
                size_t n;
                int error;
                const char *reason, *abort; /* abort: what we say about it; NULL: nothing */
        } cases[] = {
                { "\x00\xe4", 2, -ECONNRESET, "released", NULL },
                { "\x60\xe5\xff"
                  "bye\n\x80",
                  8, -ECONNRESET, "aborted the connection", NULL },
                { "\x40\xe5\xff"
                  "bye",
                  6, -ECONNRESET, "aborted the connection: bye", NULL },
                { "\x09\x01", 2, -EPROTO, "reserved token length", "7.05 |ff" },
                { "\x10\x01\xff", 3, -EPROTO, "broken options", "7.05 |ff" },
                { "\x10\xe2\xff", 3, -EPROTO, "broken options", "7.05 |ff" },
                { "\x10\xe1\x10", 3, -EPROTO, "critical option", "7.05 |220001ff" },
                { "\x20\xe1\x21\x40", 4, -EPROTO, "Max-Message-Size", "7.05 |220002ff" },
                { "\xf0\xff\xff\xff\xff\x01", 6, -EPROTO, "message too large", "7.05 |ff" },
                { "\xe0\xff\xff\xe2", 4, -EPROTO, "message too large", "7.05 |ff" },
        };

        for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
                TcpFixture *f = tcp_fixture_new(NULL);
                g_autofree char *got = NULL;

                tcp_connect_link(f);
                tcp_say(f, cases[i].bytes, cases[i].n);
                tcp_fails_with(f, cases[i].error, cases[i].reason);
                tcp_run_until(f, tcp_is_closed);
                if (cases[i].abort) {
                        got = tcp_hear(f);
                        assert_true(g_str_has_prefix(got, cases[i].abort));
                }
                assert_int_equal(f->in->len, 0);
                tcp_fixture_free(f);
        }
}

/* After a message had come, the connection had its day: a new one may be made at once. */
static void test_lost(void **state) {
        TcpFixture *f = tcp_fixture_new(NULL);

        tcp_connect_link(f);
        tcp_say_text(f, "\x21\x03\x61\xb1\x33");
        tcp_expect(f, "2.04 61");
        f->reading = loop_source_free(f->reading);
        close_fd(&f->peer);
        tcp_fails_with(f, -ESTALE, "closed the connection");
        /* … before that, the server is no good. */
        tcp_connect_link(f);
        f->reading = loop_source_free(f->reading);
        close_fd(&f->peer);
        tcp_fails_with(f, -ECONNRESET, "closed the connection");
        tcp_fixture_free(f);
}

/* A message above what the CSM allows is refused, passed over, and the next one is understood. */
static void test_large(void **state) {
        TcpFixture *f = tcp_fixture_new(NULL);
        g_autofree uint8_t *body = g_malloc0(100000);

        tcp_connect_link(f);
        tcp_say_text(f, "\xf2\x00\x00\x85\x93\x03xy"); /* 0x8593 + 65805 = 100000 */
        for (size_t i = 0; i < 100; i++) {
                tcp_say(f, body + i * 1000, 1000);
                (void) tcp_run_for(f, 1, NULL);
        }
        tcp_expect(f, "4.13 7879|d22f0400");
        tcp_say_text(f, "\x21\x03\x61\xb1\x33");
        tcp_expect(f, "2.04 61");
        assert_int_equal(f->n_requests, 1);
        tcp_fixture_free(f);
}

/* --- connecting --- */

static void test_silent(void **state) {
        TcpFixture *f = tcp_fixture_new(&(CoapConfig){ .handshake_usec = 200 * USEC_PER_MSEC });
        uint64_t start = loop_now(f->loop);

        tcp_open_link(f);
        assert_true(loop_now(f->loop) - start < 150 * USEC_PER_MSEC); /* nothing waits for it */
        assert_int_equal(f->ops->busy_until(f->link, loop_now(f->loop)), UINT64_MAX);
        tcp_fails_with(f, -ETIMEDOUT, "says nothing");
        tcp_fixture_free(f);
}

static void test_no_csm(void **state) {
        TcpFixture *f = tcp_fixture_new(NULL);
        g_autofree char *csm = NULL, *got = NULL;

        tcp_open_link(f);
        tcp_say_text(f, "\x21\x03\x61\xb1\x33");
        tcp_fails_with(f, -EPROTO, "no CSM");
        csm = tcp_hear(f);
        got = tcp_hear(f);
        assert_true(g_str_has_prefix(got, "7.05 |ff"));
        assert_int_equal(f->n_requests, 0);
        tcp_fixture_free(f);
}

static void test_http(void **state) {
        TcpFixture *f = tcp_fixture_new(NULL);

        tcp_open_link(f);
        tcp_say_text(f, "HTTP/1.1 400 Bad Request\r\n\r\n");
        tcp_fails_with(f, -EPROTO, "");
        tcp_fixture_free(f);
}

/* Ours among all descriptors of this process: the one that is connected from there. */
static int find_socket(const struct sockaddr_in *address) {
        for (int fd = 3; fd < 256; fd++) {
                struct sockaddr_in a = { 0 }, peer;
                socklen_t n = sizeof(a), n_peer = sizeof(peer);

                if (getsockname(fd, (struct sockaddr *) &a, &n) == 0 && n == sizeof(a) &&
                    a.sin_port == address->sin_port &&
                    a.sin_addr.s_addr == address->sin_addr.s_addr &&
                    getpeername(fd, (struct sockaddr *) &peer, &n_peer) == 0)
                        return fd;
        }
        return -1;
}

/* Address, interface and DSCP hold over TCP as over UDP. */
static void test_socket_options(void **state) {
        TcpFixture *f = tcp_fixture_new(NULL);
        struct sockaddr_in from;
        socklen_t n = sizeof(from), n_tos;
        char name[64] = "";
        int fd, tos = 0;

        f->socket = (SocketOptions){ .bind = "127.0.0.9", .interface = "lo", .dscp = 46 };
        tcp_connect_link(f);
        assert_int_equal(getpeername(f->peer, (struct sockaddr *) &from, &n), 0);
        assert_int_equal(ntohl(from.sin_addr.s_addr), INADDR_LOOPBACK + 8);
        fd = find_socket(&from);
        assert_true(fd >= 0);
        n_tos = sizeof(tos);
        assert_int_equal(getsockopt(fd, IPPROTO_IP, IP_TOS, &tos, &n_tos), 0);
        assert_int_equal(tos, 46 << 2);
        n = sizeof(name);
        assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, name, &n), 0);
        assert_string_equal(name, "lo");
        tcp_fixture_free(f);
}

static void test_refused(void **state) {
        TcpFixture *f = tcp_fixture_new(NULL);

        f->accepting = loop_source_free(f->accepting);
        close_fd(&f->listener);
        tcp_begin_link(f);
        tcp_fails_with(f, -ECONNREFUSED, "");
        tcp_fixture_free(f);
}

static void test_small_messages(void **state) {
        TcpFixture *f = tcp_fixture_new(NULL);
        g_autofree char *body = g_strnfill(300, 'x');
        g_autoptr(GBytes) payload = g_bytes_new(body, 300);
        g_autoptr(GBytes) token = g_bytes_new_static("T", 1);
        g_autofree char *got = NULL;
        Message m = MESSAGE_INIT(CODE(2, 5));
        Call *c;

        tcp_open_link(f);
        g_free(tcp_hear(f));
        tcp_say_text(f, "\x40\xe1\x22\x01\x00\x20"); /* 256 bytes, blocks */
        tcp_run_until(f, tcp_is_up);
        m.confirmable = false;
        m.observe = 9;
        m.token = token;
        m.payload = payload;
        assert_int_equal(f->ops->notify(f->link, &m, NULL, NULL, &c), 0);
        got = tcp_hear(f);
        assert_true(strlen(got) / 2 < 128 + 32); /* a block of 128 bytes */
        tcp_fixture_free(f);
}

/* --- queue mode --- */

static void test_sleep(void **state) {
        TcpFixture *f = tcp_fixture_new(&(CoapConfig){ .ping_usec = 100 * USEC_PER_MSEC });

        tcp_connect_link(f);
        (void) tcp_run_for(f, 10, NULL);
        assert_int_equal(f->ops->sleep(f->link, true, loop_now(f->loop)), 0);
        (void) tcp_run_for(f, 250, NULL);
        assert_int_equal(f->in->len, 0);       /* no Ping */
        tcp_say_text(f, "\x04\xe3\0\0\0\x09"); /* a late Pong, and a Ping: no messages */
        tcp_say_text(f, "\x01\xe2p");
        tcp_expect(f, "7.03 70");
        (void) tcp_run_for(f, 250, NULL);
        assert_int_equal(f->in->len, 0);
        tcp_say_text(f, "\x21\x03\x61\xb1\x33");
        tcp_expect(f, "2.04 61");
        tcp_expect(f, "7.02 00000001|20"); /* awake again */
        tcp_fixture_free(f);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_lengths),      cmocka_unit_test(test_hostile_frames),
                cmocka_unit_test(test_requests),     cmocka_unit_test(test_pipelined),
                cmocka_unit_test(test_backpressure), cmocka_unit_test(test_notifications),
                cmocka_unit_test(test_no_pong),      cmocka_unit_test(test_keep_alive),
                cmocka_unit_test(test_pong),         cmocka_unit_test(test_ends),
                cmocka_unit_test(test_lost),         cmocka_unit_test(test_large),
                cmocka_unit_test(test_silent),       cmocka_unit_test(test_no_csm),
                cmocka_unit_test(test_http),         cmocka_unit_test(test_socket_options),
                cmocka_unit_test(test_refused),      cmocka_unit_test(test_small_messages),
                cmocka_unit_test(test_sleep),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
