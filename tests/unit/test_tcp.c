/* SPDX-License-Identifier: Apache-2.0 */
/* CoAP over TCP (RFC 8323): frames as bytes, and a link against a server made of one socket, which
 * sends whatever the test says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "coap/coap_transport.h"
#include "coap/frame.h"
#include "util/cleanup.h"
#include "util/loop.h"

#define HEX_MAX 4096

/* --- frames --- */

static void test_lengths(void **state) {
        static const struct {
                size_t n_payload; /* of 0: no marker either */
                size_t n_head;
        } cases[] = {
                { 0, 2 }, { 1, 2 }, { 11, 2 }, { 12, 3 }, { 267, 3 }, { 268, 4 }, { 1400, 4 }
        };

        for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
                uint8_t payload[1400], message[PACKET_OUT_MAX], frame[FRAME_OUT_MAX];
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

/* --- fixture --- */

typedef struct Fixture {
        Loop *loop;
        CoapTransport *transport;
        const TransportOps *ops;
        Timer *timer;
        Link *link;
        int listener, peer;
        char uri[64];
        GByteArray *in; /* what the server has got and not looked at */
        LoopSource *accepting, *reading;
        bool up, expired, closed; /* closed: by the client */
        int down;
        char *reason;
        unsigned n_requests, n_answers;
        int error;
        uint8_t answer_code;
        Exchange *kept; /* instead of an answer */
        bool keep;
} Fixture;

static void on_readable(void *userdata, int fd, short revents) {
        Fixture *f = userdata;
        uint8_t buffer[65536];
        ssize_t n = recv(fd, buffer, sizeof(buffer), MSG_DONTWAIT);

        if (n > 0)
                g_byte_array_append(f->in, buffer, (guint) n);
        else if (n == 0 || errno != EAGAIN) {
                f->closed = true;
                f->reading = loop_source_free(f->reading);
        }
}

static void on_accept(void *userdata, int fd, short revents) {
        Fixture *f = userdata;

        f->reading = loop_source_free(f->reading);
        close_fd(&f->peer);
        f->peer = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
        assert_true(f->peer >= 0);
        f->closed = false;
        g_byte_array_set_size(f->in, 0);
        f->reading = loop_add_fd(f->loop, f->peer, POLLIN, on_readable, NULL, f);
}

static void on_expired(void *userdata, uint64_t now_usec) {
        ((Fixture *) userdata)->expired = true;
}

static Fixture *fixture_new(const CoapConfig *config) {
        static const CoapConfig defaults;
        Fixture *f = g_new0(Fixture, 1);
        struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        socklen_t n = sizeof(a);

        assert_int_equal(loop_new(&f->loop), 0);
        assert_int_equal(coap_transport_new(f->loop, config ?: &defaults, &f->transport), 0);
        f->ops = coap_transport_ops();
        f->timer = timer_new(loop_timers(f->loop), on_expired, f);
        f->peer = -1;
        f->in = g_byte_array_new();
        f->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal(bind(f->listener, (struct sockaddr *) &a, sizeof(a)), 0);
        assert_int_equal(listen(f->listener, 4), 0);
        assert_int_equal(getsockname(f->listener, (struct sockaddr *) &a, &n), 0);
        g_snprintf(f->uri, sizeof(f->uri), "coap+tcp://127.0.0.1:%u", ntohs(a.sin_port));
        f->accepting = loop_add_fd(f->loop, f->listener, POLLIN, on_accept, NULL, f);
        return f;
}

static void fixture_free(Fixture *f) {
        if (f->link)
                f->ops->close(f->link);
        loop_source_free(f->accepting);
        loop_source_free(f->reading);
        close_fd(&f->listener);
        close_fd(&f->peer);
        g_byte_array_unref(f->in);
        g_free(f->reason);
        timer_free(f->timer);
        coap_transport_free(f->transport);
        loop_free(f->loop);
        g_free(f);
}

static bool run_for(Fixture *f, unsigned msec, bool (*done)(const Fixture *f)) {
        f->expired = false;
        timer_arm(f->timer, loop_now(f->loop) + msec * USEC_PER_MSEC);
        while (!f->expired && !(done && done(f)))
                g_main_context_iteration(NULL, TRUE);
        timer_disarm(f->timer);
        return done && done(f);
}
#define run_until(f, done) assert_true(run_for((f), 10000, (done)))

static bool is_up(const Fixture *f) {
        return f->up;
}

static bool is_down(const Fixture *f) {
        return f->down != 0;
}

static bool is_closed(const Fixture *f) {
        return f->closed;
}

static bool is_answered(const Fixture *f) {
        return f->n_answers > 0;
}

static bool is_accepted(const Fixture *f) {
        return f->peer >= 0;
}

static bool has_request(const Fixture *f) {
        return f->n_requests > 0;
}

static bool has_frame(const Fixture *f) {
        FrameHead h;

        return frame_head(f->in->data, f->in->len, &h) > 0 && frame_size(&h) <= f->in->len;
}

static void on_up(void *owner, uint64_t now_usec) {
        ((Fixture *) owner)->up = true;
}

static void on_down(void *owner, int error, const char *reason, uint64_t now_usec) {
        Fixture *f = owner;

        f->down = error;
        g_free(f->reason);
        f->reason = g_strdup(reason);
        f->ops->close(f->link);
        f->link = NULL;
}

static void on_request(void *owner, Exchange *x, const Message *request, uint64_t now_usec) {
        Fixture *f = owner;
        Message m = MESSAGE_INIT(CODE(2, 4));

        f->n_requests++;
        if (f->keep)
                f->kept = x;
        else
                f->ops->respond(x, &m);
}

static const LinkEvents events = { .up = on_up, .down = on_down, .request = on_request };

static void on_response(void *userdata, int error, const Message *m, uint64_t now_usec) {
        Fixture *f = userdata;

        f->n_answers++;
        f->error = error;
        f->answer_code = m ? m->code : 0;
}

static void on_notified(void *userdata, int error, uint64_t now_usec) {
        Fixture *f = userdata;

        f->n_answers++;
        f->error = error;
}

static void say(Fixture *f, const void *bytes, size_t n) {
        assert_int_equal(send(f->peer, bytes, n, MSG_NOSIGNAL), (ssize_t) n);
}
#define say_text(f, text) say((f), (text), sizeof(text) - 1)

/* The next frame of the client, as text: code, token and body in hex. */
static char *hear(Fixture *f) {
        GString *s = g_string_new(NULL);
        FrameHead h;
        gsize n;

        run_until(f, has_frame);
        assert_int_equal(frame_head(f->in->data, f->in->len, &h), 1);
        n = (gsize) frame_size(&h);
        g_string_printf(s, "%u.%02u ", h.code >> 5, h.code & 31);
        for (gsize i = h.n_head; i < n; i++)
                g_string_append_printf(s, "%s%02x", i == (gsize) h.n_head + h.n_token ? "|" : "",
                                       f->in->data[i]);
        g_byte_array_remove_range(f->in, 0, (guint) n);
        return g_string_free(s, FALSE);
}

static void expect(Fixture *f, const char *wanted) {
        g_autofree char *got = hear(f);

        assert_string_equal(got, wanted);
}

static void open_link(Fixture *f) {
        LinkConfig config = { .uri = f->uri, .ssid = 1 };

        f->up = false;
        f->down = 0;
        assert_int_equal(f->ops->open(f->transport, &config, &events, f, &f->link), 0);
        run_until(f, is_accepted);
}

#define CSM "\x00\xe1"

static void connect_link(Fixture *f) {
        open_link(f);
        expect(f, "7.01 |22048020"); /* 1152 bytes, blocks */
        assert_false(f->up);
        say_text(f, CSM);
        run_until(f, is_up);
}

static void ask(Fixture *f, const char *path) {
        const char *const segments[] = { path, NULL };
        Message m = MESSAGE_INIT(METHOD_GET);
        Call *c;

        m.path = segments;
        f->n_answers = 0;
        assert_int_equal(f->ops->request(f->link, &m, on_response, f, &c), 0);
}

static Call *notify(Fixture *f, bool confirmable) {
        g_autoptr(GBytes) token = g_bytes_new_static("T", 1);
        g_autoptr(GBytes) payload = g_bytes_new_static("5", 1);
        Message m = MESSAGE_INIT(CODE(2, 5));
        Call *c;

        m.confirmable = confirmable;
        m.observe = 9;
        m.token = token;
        m.payload = payload;
        f->n_answers = 0;
        assert_int_equal(f->ops->notify(f->link, &m, on_notified, f, &c), 0);
        return c;
}

static void fails_with(Fixture *f, int error, const char *reason) {
        run_until(f, is_down);
        assert_int_equal(f->down, error);
        if (!strstr(f->reason, reason))
                fail_msg("'%s' does not say '%s'", f->reason, reason);
}

/* --- both ways --- */

static void test_requests(void **state) {
        Fixture *f = fixture_new(NULL);
        g_autofree char *got = NULL;
        uint8_t answer[2 + 8] = { 0x08, CODE(2, 4) };

        connect_link(f);
        /* Of the server: no token, a token; what it does not know. */
        say_text(f, "\x21\x03\x61\xb1\x33");
        expect(f, "2.04 61");
        say_text(f, "\x01\x1f\x62"); /* method 0.31 */
        expect(f, "4.05 62");
        say_text(f, "\x00\x00"); /* empty: nothing */
        ask(f, "rd");
        got = hear(f);
        assert_true(g_str_has_prefix(got, "0.01 "));
        assert_true(g_str_has_suffix(got, "|b27264"));
        for (unsigned i = 0; i < 8; i++) {
                char digits[3] = { got[5 + 2 * i], got[6 + 2 * i], 0 };

                answer[2 + i] = (uint8_t) g_ascii_strtoull(digits, NULL, 16);
        }
        answer[2] ^= 1;
        say(f, answer, sizeof(answer)); /* somebody else's */
        answer[2] ^= 1;
        for (size_t i = 0; i < sizeof(answer); i++) { /* in pieces */
                assert_int_equal(f->n_answers, 0);
                say(f, answer + i, 1);
                (void) run_for(f, 5, is_answered);
        }
        run_until(f, is_answered);
        assert_int_equal(f->error, 0);
        assert_int_equal(f->answer_code, CODE(2, 4));
        f->ops->close(f->link);
        f->link = NULL;
        expect(f, "7.04 "); /* Release */
        run_until(f, is_closed);
        fixture_free(f);
}

/* Many requests in one segment, more than are read at once. */
static void test_pipelined(void **state) {
        Fixture *f = fixture_new(NULL);
        GByteArray *all = g_byte_array_new();

        connect_link(f);
        for (unsigned i = 0; i < 4000; i++)
                g_byte_array_append(all, (const uint8_t *) "\x21\x03\x61\xb1\x33", 5);
        say(f, all->data, all->len);
        for (unsigned i = 0; i < 4000; i++)
                expect(f, "2.04 61");
        assert_int_equal(f->n_requests, 4000);
        g_byte_array_unref(all);
        fixture_free(f);
}

/* A server that asks and does not read: what waits for it has a bound, and its requests wait. */
static void test_backpressure(void **state) {
        Fixture *f = fixture_new(&(CoapConfig){ .response_usec = 2 * USEC_PER_SEC });
        static const uint8_t one[] = { 0x21, METHOD_PUT, 'a', 0xb1, '3' };
        uint8_t request[5 * 1000];
        const int small = 4096;

        for (size_t i = 0; i < sizeof(request); i += 5)
                memcpy(request + i, one, sizeof(one));
        assert_int_equal(setsockopt(f->listener, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small)), 0);
        connect_link(f);
        f->reading = loop_source_free(f->reading);
        while (!f->down) {
                (void) send(f->peer, request, sizeof(request), MSG_NOSIGNAL | MSG_DONTWAIT);
                (void) run_for(f, 1, is_down);
        }
        assert_int_equal(f->down, -ESTALE);
        assert_non_null(f->reason);
        fixture_free(f);
}

/* --- notifications --- */

static void test_notifications(void **state) {
        Fixture *f = fixture_new(NULL);

        connect_link(f);
        notify(f, false);
        run_until(f, is_answered); /* handed over */
        assert_int_equal(f->error, 0);
        expect(f, "2.05 54|6109ff35");
        notify(f, true);
        expect(f, "2.05 54|6109ff35");
        expect(f, "7.02 00000001|20");         /* Ping with Custody */
        say_text(f, "\x14\xe3\0\0\0\x07\x20"); /* the Pong of another */
        say_text(f, "\x00\xe3");
        assert_false(run_for(f, 50, is_answered));
        say_text(f, "\x14\xe3\0\0\0\x01\x20");
        run_until(f, is_answered);
        assert_int_equal(f->error, 0);
        /* One that is taken back keeps no other from being sent. */
        f->ops->cancel(notify(f, true));
        notify(f, true);
        expect(f, "2.05 54|6109ff35");
        expect(f, "7.02 00000002|20");
        expect(f, "2.05 54|6109ff35");
        expect(f, "7.02 00000003|20");
        say_text(f, "\x14\xe3\0\0\0\x02\x20");
        assert_false(run_for(f, 50, is_answered));
        say_text(f, "\x14\xe3\0\0\0\x03\x20");
        run_until(f, is_answered);
        fixture_free(f);
}

static void test_no_pong(void **state) {
        Fixture *f = fixture_new(&(CoapConfig){ .response_usec = 200 * USEC_PER_MSEC });

        connect_link(f);
        notify(f, true);
        fails_with(f, -ETIMEDOUT, "no Pong");
        assert_int_equal(f->n_answers, 0); /* the owner takes it back with the link */
        fixture_free(f);
}

/* --- signalling --- */

static void test_keep_alive(void **state) {
        Fixture *f = fixture_new(&(CoapConfig){ .ping_usec = 100 * USEC_PER_MSEC,
                                                .response_usec = 300 * USEC_PER_MSEC });

        connect_link(f);
        expect(f, "7.02 00000001|20");
        say_text(f, "\x14\xe3\0\0\0\x01\x20");
        expect(f, "7.02 00000002|20");
        fails_with(f, -ETIMEDOUT, "no Pong");
        fixture_free(f);
}

static void test_pong(void **state) {
        Message m = MESSAGE_INIT(CODE(2, 4));
        Fixture *f = fixture_new(NULL);

        connect_link(f);
        say_text(f, "\x02\xe2pq");
        expect(f, "7.03 7071");
        say_text(f, "\x12\xe2pq\x20"); /* asks for custody */
        expect(f, "7.03 7071|20");
        f->keep = true;
        say_text(f, "\x21\x03\x61\xb1\x33");
        run_until(f, has_request);
        say_text(f, "\x12\xe2pq\x20");
        expect(f, "7.03 7071"); /* not while a request is open */
        f->ops->respond(f->kept, &m);
        expect(f, "2.04 61");
        say_text(f, "\x00\xe9"); /* a signal of the future */
        say_text(f, "\x02\xe2pq");
        expect(f, "7.03 7071");
        fixture_free(f);
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
                { "\x10\xe1\x10", 3, -EPROTO, "critical option", "7.05 |ff" },
                { "\x20\xe1\x21\x40", 4, -EPROTO, "Max-Message-Size", "7.05 |ff" },
                { "\xf0\xff\xff\xff\xff\x01", 6, -EPROTO, "message too large", "7.05 |ff" },
                { "\xe0\xff\xff\xe2", 4, -EPROTO, "message too large", "7.05 |ff" },
        };

        for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
                Fixture *f = fixture_new(NULL);
                g_autofree char *got = NULL;

                connect_link(f);
                say(f, cases[i].bytes, cases[i].n);
                fails_with(f, cases[i].error, cases[i].reason);
                run_until(f, is_closed);
                if (cases[i].abort) {
                        got = hear(f);
                        assert_true(g_str_has_prefix(got, cases[i].abort));
                }
                assert_int_equal(f->in->len, 0);
                fixture_free(f);
        }
}

/* After a message had come, the connection had its day: a new one may be made at once. */
static void test_lost(void **state) {
        Fixture *f = fixture_new(NULL);

        connect_link(f);
        say_text(f, "\x21\x03\x61\xb1\x33");
        expect(f, "2.04 61");
        f->reading = loop_source_free(f->reading);
        close_fd(&f->peer);
        fails_with(f, -ESTALE, "closed the connection");
        /* … before that, the server is no good. */
        connect_link(f);
        f->reading = loop_source_free(f->reading);
        close_fd(&f->peer);
        fails_with(f, -ECONNRESET, "closed the connection");
        fixture_free(f);
}

/* A message above what the CSM allows is refused, passed over, and the next one is understood. */
static void test_large(void **state) {
        Fixture *f = fixture_new(NULL);
        g_autofree uint8_t *body = g_malloc0(100000);

        connect_link(f);
        say_text(f, "\xf2\x00\x00\x85\x93\x03xy"); /* 0x8593 + 65805 = 100000 */
        for (size_t i = 0; i < 100; i++) {
                say(f, body + i * 1000, 1000);
                (void) run_for(f, 1, NULL);
        }
        expect(f, "4.13 7879|d22f0400");
        say_text(f, "\x21\x03\x61\xb1\x33");
        expect(f, "2.04 61");
        assert_int_equal(f->n_requests, 1);
        fixture_free(f);
}

/* --- connecting --- */

static void test_silent(void **state) {
        Fixture *f = fixture_new(&(CoapConfig){ .handshake_usec = 200 * USEC_PER_MSEC });
        uint64_t start = loop_now(f->loop);

        open_link(f);
        assert_true(loop_now(f->loop) - start < 150 * USEC_PER_MSEC); /* nothing waits for it */
        assert_int_equal(f->ops->busy_until(f->link, loop_now(f->loop)), UINT64_MAX);
        fails_with(f, -ETIMEDOUT, "says nothing");
        fixture_free(f);
}

static void test_no_csm(void **state) {
        Fixture *f = fixture_new(NULL);
        g_autofree char *csm = NULL, *got = NULL;

        open_link(f);
        say_text(f, "\x21\x03\x61\xb1\x33");
        fails_with(f, -EPROTO, "no CSM");
        csm = hear(f);
        got = hear(f);
        assert_true(g_str_has_prefix(got, "7.05 |ff"));
        assert_int_equal(f->n_requests, 0);
        fixture_free(f);
}

static void test_http(void **state) {
        Fixture *f = fixture_new(NULL);

        open_link(f);
        say_text(f, "HTTP/1.1 400 Bad Request\r\n\r\n");
        fails_with(f, -EPROTO, "");
        fixture_free(f);
}

static void test_refused(void **state) {
        Fixture *f = fixture_new(NULL);
        LinkConfig config = { .uri = f->uri, .ssid = 1 };

        f->accepting = loop_source_free(f->accepting);
        close_fd(&f->listener);
        assert_int_equal(f->ops->open(f->transport, &config, &events, f, &f->link), 0);
        fails_with(f, -ECONNREFUSED, "");
        fixture_free(f);
}

static void test_small_messages(void **state) {
        Fixture *f = fixture_new(NULL);
        g_autofree char *body = g_strnfill(300, 'x');
        g_autoptr(GBytes) payload = g_bytes_new(body, 300);
        g_autoptr(GBytes) token = g_bytes_new_static("T", 1);
        g_autofree char *got = NULL;
        Message m = MESSAGE_INIT(CODE(2, 5));
        Call *c;

        open_link(f);
        g_free(hear(f));
        say_text(f, "\x30\xe1\x22\x01\x00"); /* 256 bytes */
        run_until(f, is_up);
        m.confirmable = false;
        m.observe = 9;
        m.token = token;
        m.payload = payload;
        assert_int_equal(f->ops->notify(f->link, &m, on_notified, f, &c), 0);
        got = hear(f);
        assert_true(strlen(got) / 2 < 128 + 32); /* a block of 128 bytes */
        fixture_free(f);
}

/* --- queue mode --- */

static void test_sleep(void **state) {
        Fixture *f = fixture_new(&(CoapConfig){ .ping_usec = 100 * USEC_PER_MSEC });

        connect_link(f);
        (void) run_for(f, 10, NULL);
        assert_int_equal(f->ops->sleep(f->link, true, loop_now(f->loop)), 0);
        (void) run_for(f, 250, NULL);
        assert_int_equal(f->in->len, 0); /* no Ping */
        say_text(f, "\x21\x03\x61\xb1\x33");
        expect(f, "2.04 61");
        expect(f, "7.02 00000001|20"); /* awake again */
        fixture_free(f);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_lengths),        cmocka_unit_test(test_hostile_frames),
                cmocka_unit_test(test_requests),       cmocka_unit_test(test_pipelined),
                cmocka_unit_test(test_backpressure),   cmocka_unit_test(test_notifications),
                cmocka_unit_test(test_no_pong),        cmocka_unit_test(test_keep_alive),
                cmocka_unit_test(test_pong),           cmocka_unit_test(test_ends),
                cmocka_unit_test(test_lost),           cmocka_unit_test(test_large),
                cmocka_unit_test(test_silent),         cmocka_unit_test(test_no_csm),
                cmocka_unit_test(test_http),           cmocka_unit_test(test_refused),
                cmocka_unit_test(test_small_messages), cmocka_unit_test(test_sleep),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
