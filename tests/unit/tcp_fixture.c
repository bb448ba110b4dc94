/* SPDX-License-Identifier: Apache-2.0 */
#include "tcp_fixture.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "util/cleanup.h"

static void on_readable(void *userdata, int fd, short revents) {
        TcpFixture *f = userdata;
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
        TcpFixture *f = userdata;

        f->reading = loop_source_free(f->reading);
        close_fd(&f->peer);
        f->peer = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
        assert_true(f->peer >= 0);
        f->closed = false;
        g_byte_array_set_size(f->in, 0);
        f->reading = loop_add_fd(f->loop, f->peer, POLLIN, on_readable, NULL, f);
}

static void on_expired(void *userdata, uint64_t now_usec) {
        ((TcpFixture *) userdata)->expired = true;
}

TcpFixture *tcp_fixture_new(const CoapConfig *config) {
        static const CoapConfig defaults;
        TcpFixture *f = g_new0(TcpFixture, 1);
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

void tcp_fixture_free(TcpFixture *f) {
        if (f->link)
                f->ops->close(f->link);
        loop_source_free(f->accepting);
        loop_source_free(f->reading);
        close_fd(&f->listener);
        close_fd(&f->peer);
        g_byte_array_unref(f->in);
        g_free(f->reason);
        g_clear_pointer(&f->body, g_bytes_unref);
        g_clear_pointer(&f->payload, g_bytes_unref);
        g_clear_pointer(&f->frame, g_bytes_unref);
        timer_free(f->timer);
        coap_transport_free(f->transport);
        loop_free(f->loop);
        g_free(f);
}

bool tcp_run_for(TcpFixture *f, unsigned msec, bool (*done)(const TcpFixture *f)) {
        f->expired = false;
        timer_arm(f->timer, loop_now(f->loop) + msec * USEC_PER_MSEC);
        while (!f->expired && !(done && done(f)))
                g_main_context_iteration(NULL, TRUE);
        timer_disarm(f->timer);
        return done && done(f);
}

bool tcp_is_up(const TcpFixture *f) {
        return f->up;
}

bool tcp_is_down(const TcpFixture *f) {
        return f->down != 0;
}

bool tcp_is_closed(const TcpFixture *f) {
        return f->closed;
}

bool tcp_is_answered(const TcpFixture *f) {
        return f->n_answers > 0;
}

static bool is_accepted(const TcpFixture *f) {
        return f->peer >= 0;
}

bool tcp_has_request(const TcpFixture *f) {
        return f->n_requests > 0;
}

bool tcp_has_frame(const TcpFixture *f) {
        FrameHead h;

        return frame_head(f->in->data, f->in->len, &h) > 0 && frame_size(&h) <= f->in->len;
}

static void on_up(void *owner, uint64_t now_usec) {
        ((TcpFixture *) owner)->up = true;
}

static void on_down(void *owner, int error, const char *reason, uint64_t now_usec) {
        TcpFixture *f = owner;

        f->down = error;
        g_free(f->reason);
        f->reason = g_strdup(reason);
        f->ops->close(f->link);
        f->link = NULL;
}

static void note_body(TcpFixture *f, const Message *m) {
        g_clear_pointer(&f->body, g_bytes_unref);
        f->body = m && m->payload ? g_bytes_ref(m->payload) : NULL;
}

static void on_request(void *owner, Exchange *x, const Message *request, uint64_t now_usec) {
        TcpFixture *f = owner;
        Message m = MESSAGE_INIT(CODE(2, 4));

        f->n_requests++;
        note_body(f, request);
        m.payload = f->payload;
        if (f->keep) {
                f->kept = x;
                if (f->all)
                        g_ptr_array_add(f->all, x);
        } else
                f->ops->respond(x, &m);
}

static const LinkEvents events = { .up = on_up, .down = on_down, .request = on_request };

static void on_response(void *userdata, int error, const Message *m, uint64_t now_usec) {
        TcpFixture *f = userdata;

        f->n_answers++;
        f->error = error;
        f->answer_code = m ? m->code : 0;
        note_body(f, m);
}

static void on_notified(void *userdata, int error, uint64_t now_usec) {
        TcpFixture *f = userdata;

        f->n_answers++;
        f->error = error;
}

void tcp_say(TcpFixture *f, const void *bytes, size_t n) {
        assert_int_equal(send(f->peer, bytes, n, MSG_NOSIGNAL), (ssize_t) n);
}

/* The next frame of the client, as text: code, token and body in hex. */
char *tcp_hear(TcpFixture *f) {
        GString *s = g_string_new(NULL);
        FrameHead h;
        gsize n;

        tcp_run_until(f, tcp_has_frame);
        assert_int_equal(frame_head(f->in->data, f->in->len, &h), 1);
        n = (gsize) frame_size(&h);
        g_string_printf(s, "%u.%02u ", h.code >> 5, h.code & 31);
        for (gsize i = h.n_head; i < n; i++)
                g_string_append_printf(s, "%s%02x", i == (gsize) h.n_head + h.n_token ? "|" : "",
                                       f->in->data[i]);
        g_byte_array_remove_range(f->in, 0, (guint) n);
        return g_string_free(s, FALSE);
}

void tcp_expect(TcpFixture *f, const char *wanted) {
        g_autofree char *got = tcp_hear(f);

        assert_string_equal(got, wanted);
}

void tcp_say_message(TcpFixture *f, const PacketOut *o) {
        size_t size = o->n_payload + 512;
        g_autofree uint8_t *message = g_malloc(size), *frame = g_malloc(size + FRAME_EXTRA);
        int n;

        n = packet_write(o, message, size);
        assert_true(n > 0);
        n = frame_write(message, (size_t) n, frame, size + FRAME_EXTRA);
        assert_true(n > 0);
        tcp_say(f, frame, (size_t) n);
}

const Packet *tcp_hear_message(TcpFixture *f) {
        const uint8_t *bytes;
        FrameHead h;

        tcp_run_until(f, tcp_has_frame);
        assert_int_equal(frame_head(f->in->data, f->in->len, &h), 1);
        g_clear_pointer(&f->frame, g_bytes_unref);
        f->frame = g_bytes_new(f->in->data, (gsize) frame_size(&h));
        g_byte_array_remove_range(f->in, 0, (guint) frame_size(&h));
        bytes = g_bytes_get_data(f->frame, NULL);
        assert_int_equal(frame_parse(bytes, &h, &f->packet), 0);
        return &f->packet;
}

void tcp_begin_link(TcpFixture *f) {
        LinkConfig config = { .uri = f->uri, .ssid = 1, .socket = f->socket };

        f->up = false;
        f->down = 0;
        assert_int_equal(f->ops->open(f->transport, &config, &events, f, &f->link), 0);
}

void tcp_open_link(TcpFixture *f) {
        tcp_begin_link(f);
        tcp_run_until(f, is_accepted);
}

void tcp_connect_with(TcpFixture *f, const void *options, size_t n) {
        uint8_t csm[64] = { (uint8_t) (n << 4), SIGNAL_CSM };

        assert_true(n < 13);
        if (n > 0)
                memcpy(csm + 2, options, n);
        tcp_open_link(f);
        tcp_expect(f, TCP_OUR_CSM);
        assert_false(f->up);
        tcp_say(f, csm, 2 + n);
        tcp_run_until(f, tcp_is_up);
}

void tcp_connect_link(TcpFixture *f) {
        tcp_connect_with(f, NULL, 0);
}

void tcp_ask(TcpFixture *f, const char *path, GBytes *payload) {
        const char *const segments[] = { path, NULL };
        Message m = MESSAGE_INIT(payload ? METHOD_POST : METHOD_GET);
        Call *c;

        m.path = segments;
        m.payload = payload;
        f->n_answers = 0;
        assert_int_equal(f->ops->request(f->link, &m, on_response, f, &c), 0);
}

Call *tcp_notify(TcpFixture *f, bool confirmable) {
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

void tcp_fails_with(TcpFixture *f, int error, const char *reason) {
        tcp_run_until(f, tcp_is_down);
        assert_int_equal(f->down, error);
        if (!strstr(f->reason, reason))
                fail_msg("'%s' does not say '%s'", f->reason, reason);
}
