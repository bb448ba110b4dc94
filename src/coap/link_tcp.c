/* SPDX-License-Identifier: Apache-2.0 */
#include "coap/link_tcp.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "coap/link_io.h"
#include "coap/link_keys.h"
#include "coap/tcp.h"
#include "util/cleanup.h"

#define ROUNDS_MAX 8 /* reads from one server before the others have their turn */

bool link_tcp_is_up(const Link *l) {
        return l->tcp->open && l->tcp->error == 0;
}

void link_tcp_settle(Link *l, uint64_t now_usec) {
        Tcp *t = l->tcp;

        if (t->error == 0 || t->told)
                return;
        t->told = true;
        tcp_tell_alert(l, now_usec);
        if (l->closed)
                return;
        /* One that has carried messages had its day: a new one may be had at once. */
        link_fail(l, t->worked ? -ESTALE : t->error, t->text, now_usec);
}

int link_tcp_transmit(Link *l, const uint8_t *message, size_t n) {
        g_autofree uint8_t *frame = NULL;
        Tcp *t = l->tcp;
        int size;

        if (n >= 4 && message[1] == 0)
                return 0; /* an ACK */
        if (t->error < 0 || !t->open)
                return 0; /* its end is about to be told */
        frame = g_malloc(n + FRAME_EXTRA);
        size = frame_write(message, n, frame, n + FRAME_EXTRA);
        if (size < 0)
                return size;
        if ((uint32_t) size > t->max_out)
                return -EMSGSIZE;
        if (tcp_n_waiting(t) + (size_t) size > TCP_OUT_MAX)
                return -ENOBUFS;
        tcp_put(l, frame, (size_t) size);
        return 0;
}

void link_tcp_overrun(Link *l, int error) {
        tcp_end(l, error, "the server does not read the answers it has asked for");
}

size_t link_tcp_message_max(const Link *l) {
        return MIN(l->tcp->max_out, l->transport->config.message_max);
}

bool link_tcp_has_blocks(const Link *l) {
        return l->tcp->blocks;
}

/* The two options together say so (RFC 8323, section 5.3.2). */
bool link_tcp_has_bert(const Link *l) {
        return l->tcp->blocks_told && l->tcp->max_out > PACKET_MESSAGE_SIZE;
}

void link_tcp_confirm(Link *l) {
        if (!link_tcp_is_up(l))
                return;
        tcp_send_ping(l);
        l->tcp->confirming = l->tcp->n_pings;
}

bool link_tcp_is_confirmed(const Link *l) {
        return l->tcp->error == 0 && l->tcp->confirming == 0;
}

void link_tcp_forget(Link *l) {
        l->fate = FATE_OPEN;
        l->tcp->confirming = 0;
}

int link_tcp_secure(Link *l, const LinkConfig *config, const char *host, uint16_t port,
                    char **ret_error) {
        const CoapConfig *c = &l->transport->config;
        SecurityConfig sc = { .credentials = config->credentials,
                              .host = host,
                              .secrets_directory = c->secrets_directory,
                              .trust_store = c->trust_store,
                              .session = config->session,
                              .ignore_dates = config->ignore_dates,
                              .stream = true,
                              .key = link_keys_private(l),
                              .once = link_keys_are_provided(l) };

        /* RFC 8323, section 8.2 */
        l->tcp->needs_alpn = port != COAPS_DEFAULT_PORT && !c->alpn_optional;
        return security_new(&sc, &l->tcp->security, ret_error);
}

/* --- socket --- */

/* What is not read by the end need not show at the socket: it may be here already. */
static void read_on(Link *l, uint64_t now_usec) {
        Tcp *t = l->tcp;
        unsigned i;

        for (i = 0; i < ROUNDS_MAX && tcp_may_take(l) && tcp_fill(l); i++) {
                l->heard = true;
                tcp_take_all(l, now_usec);
        }
        t->left = i == ROUNDS_MAX || tcp_n_waiting(t) > TCP_OUT_PAUSE;
}

static void on_fd(void *userdata, int fd, short revents) {
        Link *l = userdata;
        uint64_t now_usec = link_now(l);

        link_enter(l);
        tcp_flush(l);
        tcp_take_all(l, now_usec); /* what was left when too much waited to be sent */
        read_on(l, now_usec);
        if (!l->closed)
                tcp_watch(l);
        link_settle(l, now_usec);
        link_leave(l);
}

void link_tcp_begin(Link *l, int fd) {
        const int timeout_msec = (int) MIN(tcp_patience(l) / USEC_PER_MSEC, INT_MAX);
        Tcp *t = l->tcp;

        /* What is sent and not acknowledged for so long is lost, and the connection with it. */
        (void) setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout_msec, sizeof(timeout_msec));
        l->socket_fd = fd;
        l->peer = link_io_name_peer((const struct sockaddr *) &l->address.v, l->address.n);
        t->source = loop_add_fd(l->transport->loop, fd, POLLIN, on_fd, NULL, l);
        timer_arm(t->deadline, link_now(l) + l->transport->config.handshake_usec);
        tcp_begin(l);
}

/* --- timers --- */

static void on_deadline(void *userdata, uint64_t now_usec) {
        Link *l = userdata;
        Tcp *t = l->tcp;

        link_enter(l);
        if (!tcp_is_secured(t))
                tcp_end_handshake(l, true);
        else if (!t->open)
                tcp_end(l, -ETIMEDOUT, "the server took the connection and says nothing");
        else
                tcp_end(l, -ETIMEDOUT, "no Pong from the server");
        link_settle(l, now_usec);
        link_leave(l);
}

static void end_late(Link *l, const char *why, uint64_t now_usec) {
        link_enter(l);
        tcp_end(l, -ETIMEDOUT, "%s", why);
        link_settle(l, now_usec);
        link_leave(l);
}

static void on_stall(void *userdata, uint64_t now_usec) {
        end_late(userdata, "the server does not read what is sent", now_usec);
}

static void on_rest(void *userdata, uint64_t now_usec) {
        end_late(userdata, "the server began a message and does not go on", now_usec);
}

static void on_ping(void *userdata, uint64_t now_usec) {
        Link *l = userdata;

        link_enter(l);
        timer_arm(l->tcp->ping, now_usec + l->transport->config.ping_usec);
        tcp_send_ping(l);
        link_settle(l, now_usec);
        link_leave(l);
}

/* A deadline is not open then, but of a ping that nobody needs an answer to. */
void link_tcp_rest(Link *l, bool asleep) {
        Tcp *t = l->tcp;
        uint64_t every = l->transport->config.ping_usec;

        timer_disarm(t->deadline);
        timer_disarm(t->rest);
        timer_disarm(t->ping);
        if (!asleep && every > 0)
                timer_arm(t->ping, link_now(l) + every);
}

/* --- life --- */

Tcp *link_tcp_new(Link *l) {
        TimerQueue *timers = loop_timers(l->transport->loop);
        Tcp *t = g_new0(Tcp, 1);

        t->deadline = timer_new(timers, on_deadline, l);
        t->stall = timer_new(timers, on_stall, l);
        t->rest = timer_new(timers, on_rest, l);
        t->ping = timer_new(timers, on_ping, l);
        t->out = g_byte_array_new();
        t->max_out = PACKET_MESSAGE_SIZE;
        t->in_size = TCP_IN_SIZE;
        t->in = g_malloc(t->in_size);
        return t;
}

Tcp *link_tcp_free(Link *l) {
        Tcp *t = l->tcp;

        if (!t)
                return NULL;
        if (link_tcp_is_up(l))
                tcp_send_signal(l, SIGNAL_RELEASE, NULL, 0, NULL, 0);
        if (t->security) {
                security_tls_end(t->security);
                tcp_flush(l);
        }
        t->source = loop_source_free(t->source);
        close_fd(&l->socket_fd);
        security_free(t->security);
        timer_free(t->deadline);
        timer_free(t->stall);
        timer_free(t->rest);
        timer_free(t->ping);
        g_byte_array_unref(t->out);
        g_free(t->in);
        g_free(t->text);
        g_free(t);
        return NULL;
}
