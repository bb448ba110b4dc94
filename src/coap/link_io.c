/* SPDX-License-Identifier: Apache-2.0 */
#include "coap/link_io.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>

#include "coap/call.h"
#include "coap/exchange.h"
#include "coap/link_secure.h"
#include "coap/link_tcp.h"
#include "coap/local.h"
#include "coap/pdu.h"
#include "coap/peek.h"
#include "coap/sleep.h"
#include "util/log.h"

#define EVENTS_MAX 4
#define ROUNDS_MAX 8 /* datagrams of one server before the others have their turn */
#define LEVEL_ALERT 1

/* Whose libcoap context is running; its log handler has no other way to know. */
static Link *running;

/* --- libcoap's callbacks --- */

static Link *link_of(const coap_session_t *session) {
        Link *l = coap_session_get_app_data(session);

        return l && !l->closed ? l : NULL;
}

/* libcoap answers with an empty ACK as soon as a handler returns without a response, which would
 * make every answer of an application a separate one. An empty response of type NON is dropped
 * instead, and the ACK, piggybacked or empty, is a message of ours. */
static void on_request(coap_resource_t *resource, coap_session_t *session,
                       const coap_pdu_t *request, const coap_string_t *query,
                       coap_pdu_t *response) {
        Link *l = link_of(session);
        Packet p;

        coap_pdu_set_type(response, COAP_MESSAGE_NON);
        if (!l)
                return;
        l->active = l->heard = true;
        if (l->secure)
                link_secure_note_message(l);
        pdu_read(request, &p);
        exchange_receive(l, &p, link_now(l));
}

/* FAIL is answered with a Reset. A duplicate of a separate response never gets here: libcoap drops
 * it without acknowledging it again, which costs the server some retransmissions when our ACK is
 * lost. */
static coap_response_t on_response(coap_session_t *session, const coap_pdu_t *sent,
                                   const coap_pdu_t *received, const coap_mid_t mid) {
        Link *l = link_of(session);
        Packet p;

        if (!l)
                return COAP_RESPONSE_OK;
        l->active = l->heard = true;
        if (l->secure)
                link_secure_note_message(l);
        pdu_read(received, &p);
        return call_receive(l, &p, link_now(l)) || p.type != PACKET_CON ? COAP_RESPONSE_OK
                                                                        : COAP_RESPONSE_FAIL;
}

static void on_nack(coap_session_t *session, const coap_pdu_t *sent,
                    const coap_nack_reason_t reason, const coap_mid_t mid) {
        Link *l = link_of(session);

        if (!l)
                return;
        l->socket_stale = reason != COAP_NACK_RST || l->socket_stale;
        if (!l->outbox.current || mid != l->current_mid) {
                if (reason == COAP_NACK_RST)
                        link_on_reset(l, (uint16_t) mid);
                return;
        }
        if (reason == COAP_NACK_RST)
                l->fate = FATE_RESET;
        else if (reason == COAP_NACK_TOO_MANY_RETRIES)
                l->fate = FATE_TIMEOUT;
        else if (l->fate == FATE_OPEN)
                l->fate = FATE_REFUSED;
}

/* libcoap 4.3.1 tells nobody of a Reset to a non-confirmable message, but logs it; later ones also
 * call the nack handler, and a message id is used once only. */
static void on_log(coap_log_t level, const char *message) {
        unsigned mid;

        if (running && !running->closed && sscanf(message, "got RST for mid=0x%x", &mid) == 1) {
                running->active = true;
                if (!running->outbox.current || mid != running->current_mid)
                        link_on_reset(running, (uint16_t) mid);
        }
}

void link_io_setup(void) {
        coap_startup();
        coap_set_log_level((coap_log_t) LEVEL_ALERT);
        coap_set_log_handler(on_log);
}

/* --- descriptor --- */

static void do_epoll(Link *l, struct epoll_event *events, int n) {
        running = l;
        coap_io_do_epoll(l->context, events, (size_t) n);
        running = NULL;
        l->dirty = false; /* the library has set its timer on the way out */
}

/* Only those of the socket: the timer's are over with the first round. */
static int keep_socket_events(struct epoll_event *events, int n) {
        int kept = 0;

        for (int i = 0; i < n; i++)
                if (events[i].data.ptr)
                        events[kept++] = events[i];
        return kept;
}

/* Only the timer's: libcoap takes a socket with nothing to read for a broken one, in its log. */
static int drop_socket_events(struct epoll_event *events, int n) {
        int kept = 0;

        for (int i = 0; i < n; i++)
                if (!events[i].data.ptr)
                        events[kept++] = events[i];
        return kept;
}

void link_io_find_socket(Link *l) {
        int before = l->socket_fd;

        if (l->socket_stale)
                l->socket_fd = peek_find_socket(l->session, l->socket_fd);
        l->socket_stale = false;
        if (l->socket_fd != before)
                (void) local_apply(l, l->session);
}

/* libcoap reads one datagram a time; while there are more the events of the first round are good
 * for the next one, which saves asking for them again. */
static void run_libcoap(Link *l) {
        struct epoll_event events[EVENTS_MAX];
        int n = epoll_wait(l->epoll_fd, events, EVENTS_MAX, 0);

        link_io_find_socket(l);
        for (unsigned i = 0; i < ROUNDS_MAX && n > 0 && !l->closed; i++) {
                PeekResult next = l->socket_fd >= 0 ? peek_next(l, link_now(l))
                                  : i > 0           ? PEEK_EMPTY
                                                    : PEEK_LEFT;

                if (next == PEEK_TAKEN || l->closed)
                        continue;
                if (next == PEEK_EMPTY) {
                        n = i == 0 ? drop_socket_events(events, n) : 0;
                        if (n == 0)
                                break;
                }
                do_epoll(l, events, n);
                n = keep_socket_events(events, n);
        }
}

static void on_fd(void *userdata, int fd, short revents) {
        Link *l = userdata;

        link_enter(l);
        run_libcoap(l);
        link_settle(l, link_now(l));
        link_leave(l);
}

/* Before each sleep: the library's own timer follows what was sent since (DESIGN: a handshake begun
 * from elsewhere would not be retransmitted otherwise). */
static void on_prepare(void *userdata) {
        Link *l = userdata;
        coap_tick_t now;

        if (!l->dirty)
                return;
        l->dirty = false;
        coap_ticks(&now);
        running = l;
        coap_io_prepare_epoll(l->context, now);
        running = NULL;
        /* A message given up in here must be noticed; not from a prepare step, where timers armed
         * by a callback would come too late for this sleep. */
        if (l->fate != FATE_OPEN || !link_secure_is_open(l))
                link_defer(l);
}

void link_io_watch(Link *l, bool on) {
        l->source = loop_source_free(l->source);
        if (on)
                l->source =
                        loop_add_fd(l->transport->loop, l->epoll_fd, POLLIN, on_fd, on_prepare, l);
}

/* --- open and close --- */

static void add_resource(coap_context_t *context, coap_resource_t *resource) {
        static const coap_request_t methods[] = { COAP_REQUEST_GET,   COAP_REQUEST_POST,
                                                  COAP_REQUEST_PUT,   COAP_REQUEST_DELETE,
                                                  COAP_REQUEST_FETCH, COAP_REQUEST_PATCH,
                                                  COAP_REQUEST_IPATCH };

        for (size_t i = 0; i < G_N_ELEMENTS(methods); i++)
                coap_register_request_handler(resource, methods[i], on_request);
        coap_add_resource(context, resource);
}

static int make_context(Link *l) {
        l->context = coap_new_context(NULL);
        if (!l->context)
                return -ENOMEM;
        l->epoll_fd = coap_context_get_coap_fd(l->context);
        if (l->epoll_fd < 0)
                return -EOPNOTSUPP; /* a libcoap without epoll */
        coap_context_set_block_mode(l->context, 0);
        if (l->oscore) /* a critical option, which it would refuse */
                coap_register_option(l->context, OPTION_OSCORE);
        coap_register_response_handler(l->context, on_response);
        coap_register_nack_handler(l->context, on_nack);
        add_resource(l->context, coap_resource_unknown_init(on_request));
        /* Otherwise the library answers for it. */
        add_resource(l->context, coap_resource_init(coap_make_str_const(".well-known/core"), 0));
        return 0;
}

static void set_transmission(Link *l) {
        const CoapConfig *c = &l->transport->config;
        coap_fixed_point_t timeout = {
                .integer_part = (uint16_t) MIN(c->ack_timeout_usec / USEC_PER_SEC, 600),
                .fractional_part = (uint16_t) (c->ack_timeout_usec % USEC_PER_SEC / USEC_PER_MSEC)
        };

        coap_session_set_ack_timeout(l->session, timeout);
        coap_session_set_max_retransmit(l->session, (uint16_t) MIN(c->max_retransmit, 20));
        /* As much as it reads of a datagram; its own header is not counted. */
        coap_session_set_mtu(l->session, PACKET_IN_MAX + 4);
}

char *link_io_name_peer(const struct sockaddr *address, socklen_t n) {
        char host[NI_MAXHOST], port[NI_MAXSERV];

        if (getnameinfo(address, n, host, sizeof(host), port, sizeof(port),
                        NI_NUMERICHOST | NI_NUMERICSERV) != 0)
                return g_strdup("?");
        return g_strdup_printf(strchr(host, ':') ? "[%s]:%s" : "%s:%s", host, port);
}

static coap_session_t *connect_session(Link *l, const coap_address_t *local,
                                       const coap_address_t *remote) {
        errno = 0;
        return l->secure ? link_secure_connect(l, local, remote)
                         : coap_new_client_session(l->context, local, remote, COAP_PROTO_UDP);
}

static int connect_once(Link *l, const struct sockaddr *address, const coap_address_t *remote) {
        coap_address_t local;
        int r;

        l->socket_error = 0;
        r = local_address(l, address, &local);
        if (r < 0)
                return r;
        l->session = connect_session(l, r > 0 ? &local : NULL, remote);
        if (!l->session)
                return errno > 0 ? -errno : -EHOSTUNREACH;
        /* With security the handshake has begun, and they were set before that. */
        r = l->secure ? l->socket_error : local_apply(l, l->session);
        if (r < 0) {
                coap_session_release(l->session);
                l->session = NULL;
        }
        return r;
}

static int connect_from(Link *l, const struct sockaddr *address, const coap_address_t *remote) {
        int r;

        r = connect_once(l, address, remote);
        /* Perhaps somebody else has the port of the link before. */
        if (r < 0 && l->socket_error == 0 && local_forget_port(l))
                r = connect_once(l, address, remote);
        if (r >= 0)
                local_connected(l);
        return r;
}

int link_io_open(Link *l, const struct sockaddr *address, socklen_t n) {
        coap_address_t remote;
        int r;

        if (n > sizeof(remote.addr))
                return -EAFNOSUPPORT;
        if (!l->context) {
                r = make_context(l);
                if (r < 0)
                        return r;
        }
        coap_address_init(&remote);
        memcpy(&remote.addr, address, n);
        remote.size = n;
        r = connect_from(l, address, &remote);
        if (r < 0)
                return r;
        coap_session_set_app_data(l->session, l);
        set_transmission(l);
        if (l->secure)
                link_secure_connected(l);
        l->socket_fd = peek_find_socket(l->session, -1);
        l->peer = link_io_name_peer(address, n);
        link_io_watch(l, true);
        return 0;
}

void link_io_close(Link *l) {
        if (!l->context)
                return;
        coap_register_nack_handler(l->context, NULL);
        coap_register_response_handler(l->context, NULL);
        if (l->session)
                coap_session_release(l->session);
        coap_free_context(l->context);
        l->session = NULL;
        l->context = NULL;
        l->epoll_fd = l->socket_fd = -1;
}

/* --- messages --- */

uint16_t link_next_mid(Link *l) {
        return l->tcp || !l->session ? 0 : coap_new_message_id(l->session);
}

static int send_once(Link *l, const uint8_t *bytes, size_t n) {
        coap_pdu_t *pdu = pdu_new(bytes, n);

        if (!pdu)
                return -EMSGSIZE;
        errno = 0;
        if (coap_send(l->session, pdu) != COAP_INVALID_MID)
                return 0;
        return errno > 0 ? -errno : -EIO;
}

int link_transmit(Link *l, const uint8_t *bytes, size_t n) {
        int r;

        link_wake(l); /* the answer would not be heard */
        l->active = l->dirty = true;
        if (l->tcp)
                return link_tcp_transmit(l, bytes, n);
        if (!l->session)
                return -ENOTCONN;
        r = send_once(l, bytes, n);
        /* The socket hands out an ICMP error of an earlier message once, instead of sending this
         * one. */
        if (r == -ECONNREFUSED || r == -EHOSTUNREACH)
                r = send_once(l, bytes, n);
        return r;
}

static int take_new_session(Link *l, const coap_address_t *local, const coap_address_t *remote,
                            uint16_t last_mid) {
        int r;

        l->socket_error = 0;
        l->session = connect_session(l, local, remote);
        if (!l->session)
                return errno > 0 ? -errno : -EHOSTUNREACH;
        r = local_apply(l, l->session);
        if (r < 0) {
                coap_session_release(l->session);
                l->session = NULL;
                return r;
        }
        coap_session_set_app_data(l->session, l);
        set_transmission(l);
        local_continue(l, last_mid);
        return 0;
}

/* From 4.3.2 on libcoap closes the socket of a session that it is told is disconnected, and there
 * is no way back for that session. To the server the next one is the same: address, port and
 * message ids. Should the address be gone, so is the link. */
static void replace_session(Link *l) {
        const coap_address_t local = *coap_session_get_addr_local(l->session),
                             remote = *coap_session_get_addr_remote(l->session);
        uint16_t last_mid = (uint16_t) (coap_new_message_id(l->session) - 1);
        int r;

        coap_session_release(l->session); /* first: two with the same addresses are refused */
        l->session = NULL;
        r = take_new_session(l, &local, &remote, last_mid);
        l->socket_fd = r < 0 ? -1 : peek_find_socket(l->session, -1);
        if (r < 0) {
                l->refusal = r;
                l->refusal_text =
                        g_strdup(l->socket_error < 0 ? l->socket_error_text : g_strerror(-r));
                link_defer(l);
        }
}

void link_io_withdraw(Link *l) {
        l->fate = FATE_OPEN;
        if (l->secure) { /* it would end the session: the next message waits for this one instead */
                l->lingering = true;
                return;
        }
        /* Over UDP there is nothing to disconnect: the session forgets what it was to retransmit.
         * The handler would take that for news. */
        coap_register_nack_handler(l->context, NULL);
        coap_session_disconnected(l->session, COAP_NACK_NOT_DELIVERABLE);
        l->socket_stale = true;
        if (peek_find_socket(l->session, l->socket_fd) < 0)
                replace_session(l);
        coap_register_nack_handler(l->context, on_nack);
}

void link_on_reset(Link *l, uint16_t mid) {
        NonSent *sent = l->non_sent ? &l->non_sent[mid % NON_SENT_MAX] : NULL;

        if (!sent || !sent->used || sent->mid != mid)
                return;
        sent->used = false;
        g_queue_push_tail(&l->resets, g_bytes_new(sent->token.v, sent->token.n));
}
