/* SPDX-License-Identifier: Apache-2.0 */
#include "coap_peer.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

#include "codec/format.h"
#include "util/cleanup.h"

/* --- server --- */

static bool parse(const uint8_t *b, size_t n, Packet *p) {
        size_t at, token = n > 0 ? b[0] & 15u : 0;
        unsigned number = 0;

        if (n < 4 + token || b[0] >> 6 != 1 || token > 8)
                return false;
        packet_begin(p, b[0] >> 4 & 3, b[1], (uint16_t) (b[2] << 8 | b[3]), b + 4, token);
        for (at = 4 + token; at < n && b[at] != 0xff;) {
                unsigned delta = b[at] >> 4, length = b[at] & 15;

                at++;
                if (delta == 13)
                        delta = 13u + b[at++];
                else if (delta == 14) {
                        delta = 269u + (unsigned) (b[at] << 8 | b[at + 1]);
                        at += 2;
                }
                if (length == 13)
                        length = 13u + b[at++];
                else if (length == 14) {
                        length = 269u + (unsigned) (b[at] << 8 | b[at + 1]);
                        at += 2;
                }
                if (at + length > n)
                        return false;
                number += delta;
                packet_option(p, (uint16_t) number, b + at, length);
                at += length;
        }
        if (at < n)
                at++;
        packet_end(p, b + at, n - at);
        return true;
}

static void on_server_fd(void *userdata, int fd, short revents) {
        Server *s = userdata;
        Datagram *d = g_new0(Datagram, 1);
        ssize_t n;

        s->n_client = sizeof(s->client);
        n = recvfrom(fd, d->bytes, sizeof(d->bytes), 0, (struct sockaddr *) &s->client,
                     &s->n_client);
        assert_true(n >= 4);
        d->n = (size_t) n;
        assert_true(parse(d->bytes, d->n, &d->p));
        g_queue_push_tail(&s->inbox, d);
}

Server *server_new(Loop *loop, const char *address) {
        Server *s = g_new0(Server, 1);
        struct sockaddr_storage a = { 0 };
        socklen_t n = sizeof(a);
        bool six = strchr(address, ':') != NULL;

        if (six) {
                ((struct sockaddr_in6 *) &a)->sin6_family = AF_INET6;
                inet_pton(AF_INET6, address, &((struct sockaddr_in6 *) &a)->sin6_addr);
        } else {
                ((struct sockaddr_in *) &a)->sin_family = AF_INET;
                inet_pton(AF_INET, address, &((struct sockaddr_in *) &a)->sin_addr);
        }
        s->loop = loop;
        s->fd = socket(six ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        assert_true(s->fd >= 0);
        assert_int_equal(bind(s->fd, (struct sockaddr *) &a,
                              six ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in)),
                         0);
        assert_int_equal(getsockname(s->fd, (struct sockaddr *) &a, &n), 0);
        g_snprintf(s->uri, sizeof(s->uri), six ? "coap://[%s]:%u" : "coap://%s:%u", address,
                   (unsigned) ntohs(six ? ((struct sockaddr_in6 *) &a)->sin6_port
                                        : ((struct sockaddr_in *) &a)->sin_port));
        s->source = loop_add_fd(loop, s->fd, POLLIN, on_server_fd, NULL, s);
        return s;
}

Server *server_free(Server *s) {
        if (!s)
                return NULL;
        loop_source_free(s->source);
        close_fd(&s->fd);
        g_queue_clear_full(&s->inbox, g_free);
        g_free(s);
        return NULL;
}

void server_send(Server *s, const void *bytes, size_t n) {
        assert_int_equal(sendto(s->fd, bytes, n, 0, (struct sockaddr *) &s->client, s->n_client),
                         (ssize_t) n);
}

void server_send_packet(Server *s, const PacketOut *o) {
        uint8_t buffer[2048];
        int n = packet_write(o, buffer, sizeof(buffer));

        assert_true(n > 0);
        server_send(s, buffer, (size_t) n);
}

void server_ask(Fixture *f, const Ask *ask) {
        g_auto(GStrv) path = g_strsplit(ask->path ?: "", "/", -1);
        Message m = MESSAGE_INIT(ask->code);
        PacketOut o = PACKET_OUT_INIT;

        m.path = (const char *const *) path;
        m.observe = ask->observe - 1; /* 0 in an Ask: without */
        if (ask->code == METHOD_FETCH)
                m.format = FORMAT_SENML_JSON; /* it takes one (RFC 8132, section 2.3.1) */
        o.type = ask->type;
        o.mid = ask->mid;
        o.token.n = (uint8_t) strlen(ask->token ?: "");
        memcpy(o.token.v, ask->token ?: "", o.token.n);
        o.message = &m;
        o.request = true;
        o.block1 = ask->block1;
        o.block2 = ask->block2;
        if (ask->size1 > 0)
                o.size1 = ask->size1;
        o.payload = ask->payload;
        o.n_payload = ask->n_payload;
        server_send_packet(f->server, &o);
}

/* --- fixture --- */

static void on_expired(void *userdata, uint64_t now_usec) {
        Fixture *f = userdata;

        f->expired = true;
        loop_quit(f->loop, 0);
}

static bool is_set(const void *flag, size_t n) {
        static const uint8_t zero[sizeof(uint64_t)];

        return flag && memcmp(flag, zero, n) != 0;
}

bool run_for(Fixture *f, unsigned msec, const void *flag, size_t n_flag) {
        f->expired = false;
        timer_arm(f->timer, loop_now(f->loop) + msec * USEC_PER_MSEC);
        while (!f->expired && !is_set(flag, n_flag))
                g_main_context_iteration(NULL, TRUE);
        timer_disarm(f->timer);
        return is_set(flag, n_flag);
}

Datagram *server_receive(Fixture *f) {
        run_until(f, f->server->inbox.length);
        return g_queue_pop_head(&f->server->inbox);
}

void server_hears_nothing(Fixture *f, unsigned msec) {
        assert_false(run_for(f, msec, &f->server->inbox.length, sizeof(f->server->inbox.length)));
}

Datagram *server_query(Fixture *f, const Ask *ask) {
        server_ask(f, ask);
        return server_receive(f);
}

static void on_up(void *owner, uint64_t now_usec) {
        ((Fixture *) owner)->up = true;
}

static void on_down(void *owner, int error, const char *reason, uint64_t now_usec) {
        Fixture *f = owner;

        assert_non_null(reason);
        f->down = error;
        g_free(f->down_reason);
        f->down_reason = g_strdup(reason);
        f->ops->close(f->link);
        f->link = NULL;
}

static void answer(Fixture *f, Exchange *x, const Message *request) {
        Message m = MESSAGE_INIT(request->code == METHOD_GET || request->code == METHOD_FETCH
                                         ? CODE(2, 5)
                                         : CODE(2, 4));

        if (m.code == CODE(2, 5))
                m.payload = f->body;
        if (request->observe == 0)
                m.observe = 1;
        f->ops->respond(x, &m);
}

static void asked_free(void *userdata) {
        Asked *a = userdata;

        g_free(a->path);
        g_clear_pointer(&a->token, g_bytes_unref);
        g_clear_pointer(&a->payload, g_bytes_unref);
        g_clear_pointer(&a->request_key, g_bytes_unref);
        g_free(a);
}

/* Every request is noted; without keep it is answered as well. */
static void on_request(void *owner, Exchange *x, const Message *request, uint64_t now_usec) {
        Fixture *f = owner;
        Asked *a = g_new0(Asked, 1);

        f->n_requests++;
        a->exchange = x;
        a->m = *request;
        a->path = request->path ? g_strjoinv("/", (char **) request->path) : g_strdup("");
        a->token = request->token ? g_bytes_ref(request->token) : NULL;
        a->request_key = request->request_key ? g_bytes_ref(request->request_key) : NULL;
        a->payload = request->payload ? g_bytes_ref(request->payload) : NULL;
        a->m.path = a->m.query = NULL;
        a->m.token = a->token;
        a->m.payload = a->payload;
        g_queue_push_tail(&f->asked, a);
        if (!f->keep)
                answer(f, x, request);
}

static void on_reset(void *owner, GBytes *token, uint64_t now_usec) {
        Fixture *f = owner;

        f->n_resets++;
        g_clear_pointer(&f->reset_token, g_bytes_unref);
        f->reset_token = g_bytes_ref(token);
}

static void on_activity(void *owner, uint64_t now_usec) {
        ((Fixture *) owner)->n_activity++;
}

const LinkEvents fixture_events = { .up = on_up,
                                    .down = on_down,
                                    .request = on_request,
                                    .reset = on_reset,
                                    .activity = on_activity };

void fixture_on_response(void *userdata, int error, const Message *response, uint64_t now_usec) {
        Fixture *f = userdata;

        f->answers++;
        f->error = error;
        assert_true((error == 0) == (response != NULL));
        g_clear_pointer(&f->answer_body, g_bytes_unref);
        g_clear_pointer(&f->answer_path, g_free);
        if (!response)
                return;
        f->answer = *response;
        f->answer_path = response->path ? g_strjoinv("/", (char **) response->path) : NULL;
        f->answer_body = response->payload ? g_bytes_ref(response->payload) : NULL;
}

void fixture_on_notified(void *userdata, int error, uint64_t now_usec) {
        Fixture *f = userdata;

        f->answers++;
        f->error = error;
}

GBytes *make_body(size_t n, unsigned seed) {
        uint8_t *v = g_malloc(n);

        for (size_t i = 0; i < n; i++)
                v[i] = (uint8_t) (i * 31 + (i >> 8) * 7 + seed);
        return g_bytes_new_take(v, n);
}

Fixture *fixture_new(const CoapConfig *config) {
        static const CoapConfig defaults;
        Fixture *f = g_new0(Fixture, 1);

        assert_int_equal(loop_new(&f->loop), 0);
        assert_int_equal(coap_transport_new(f->loop, config ?: &defaults, &f->transport), 0);
        f->ops = coap_transport_ops();
        f->server = server_new(f->loop, "127.0.0.1");
        f->timer = timer_new(loop_timers(f->loop), on_expired, f);
        return f;
}

void fixture_connect(Fixture *f) {
        LinkConfig config = { .uri = f->server->uri, .ssid = 1 };
        static const char *const path[] = { "hello", NULL };
        Message m = MESSAGE_INIT(METHOD_GET);
        PacketOut o = PACKET_OUT_INIT;
        Datagram *d;
        Call *call;

        assert_int_equal(f->ops->open(f->transport, &config, &fixture_events, f, &f->link), 0);
        assert_false(f->up); /* not within the call */
        run_until(f, f->up);
        m.path = path;
        assert_int_equal(f->ops->request(f->link, &m, fixture_on_response, f, &call), 0);
        d = server_receive(f);
        o.type = PACKET_ACK;
        o.mid = d->p.mid;
        o.token = d->p.token;
        o.code = CODE(2, 5);
        server_send_packet(f->server, &o);
        run_until(f, f->answers);
        assert_int_equal(f->error, 0);
        f->answers = 0;
        g_free(d);
}

void fixture_free(Fixture *f) {
        if (f->link)
                f->ops->close(f->link);
        timer_free(f->timer);
        server_free(f->server);
        g_queue_clear_full(&f->asked, asked_free);
        g_clear_pointer(&f->reset_token, g_bytes_unref);
        g_clear_pointer(&f->body, g_bytes_unref);
        g_clear_pointer(&f->answer_body, g_bytes_unref);
        g_free(f->answer_path);
        g_free(f->down_reason);
        coap_transport_free(f->transport);
        loop_free(f->loop);
        g_free(f);
}
