/* SPDX-License-Identifier: Apache-2.0 */
#include "coap/peek.h"

#include <errno.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "coap/exchange.h"
#include "coap/frame.h"
#include "coap/link_secure.h"

#define DESCRIPTORS_MAX 4096u /* looked through */
#define METHOD_LAST METHOD_IPATCH
#define HEAD 4u                    /* bytes of a message's fixed header */
#define RECORD_APPLICATION_DATA 23 /* RFC 5246, section 6.2.1 */

static bool has_address(int fd, int (*get)(int, struct sockaddr *, socklen_t *),
                        const coap_address_t *wanted) {
        coap_address_t a;

        coap_address_init(&a);
        return get(fd, &a.addr.sa, &a.size) == 0 && coap_address_equals(&a, wanted);
}

static bool is_socket_of(int fd, const coap_address_t *local, const coap_address_t *remote) {
        return has_address(fd, getpeername, remote) && has_address(fd, getsockname, local);
}

/* libcoap keeps the descriptor to itself, but no other socket has the same two addresses. */
int peek_find_socket(const coap_session_t *session, int hint) {
        const coap_address_t *local = coap_session_get_addr_local(session),
                             *remote = coap_session_get_addr_remote(session);
        struct rlimit limit;
        int max = 1024;

        if (!local || !remote)
                return -1;
        if (hint >= 0 && is_socket_of(hint, local, remote))
                return hint;
        if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
                max = (int) MIN(limit.rlim_cur, DESCRIPTORS_MAX);
        for (int fd = 0; fd < max; fd++)
                if (is_socket_of(fd, local, remote))
                        return fd;
        return -1;
}

/* The next message out of the socket, decrypted; cut to *n. */
static bool take(Link *l, uint8_t *buffer, size_t *n) {
        uint8_t datagram[1];
        ssize_t got;

        if (l->secure) { /* it is decrypted already */
                *n = link_secure_take(l, buffer, *n);
                got = recv(l->socket_fd, datagram, sizeof(datagram), MSG_DONTWAIT);
                return got > 0 && *n > 0;
        }
        got = recv(l->socket_fd, buffer, *n, MSG_DONTWAIT);
        *n = got > 0 ? (size_t) got : 0;
        return got > 0;
}

static void discard(Link *l) {
        uint8_t datagram[1];

        (void) recv(l->socket_fd, datagram, sizeof(datagram), MSG_DONTWAIT);
}

/* libcoap answers a method it does not know with 4.04; it MUST be 4.05 (RFC 7252, section 5.8). */
static bool is_unknown_method(const uint8_t head[4]) {
        return head[0] >> 6 == 1 && (head[0] >> 4 & 3) <= PACKET_NON && head[1] > METHOD_LAST &&
               head[1] < CODE(1, 0);
}

static void refuse_method(Link *l, uint64_t now_usec) {
        uint8_t buffer[PACKET_IN_MAX];
        size_t n = sizeof(buffer);
        unsigned n_token;
        Packet p;

        if (!take(l, buffer, &n) || n < 4)
                return;
        n_token = buffer[0] & 15;
        if (n_token > PACKET_TOKEN_MAX || n < 4 + n_token)
                return;
        packet_begin(&p, buffer[0] >> 4 & 3, buffer[1], (uint16_t) (buffer[2] << 8 | buffer[3]),
                     buffer + 4, n_token);
        packet_end(&p, NULL, 0);
        p.refusal = CODE(4, 5);
        exchange_receive(l, &p, now_usec);
}

/* From 4.3.2 on libcoap takes a request with the OSCORE option for its own to decrypt, and drops it
 * without keys; no handler hears of it. */
static bool is_request(const uint8_t head[4]) {
        return head[0] >> 6 == 1 && (head[0] >> 4 & 3) <= PACKET_NON && head[1] > 0 &&
               head[1] < CODE(1, 0);
}

static void reject(Link *l, uint16_t mid);

static bool parse(const uint8_t *message, size_t n, Packet *ret) {
        size_t n_token = message[0] & 15, at = HEAD + n_token;
        FrameOption o = { .number = 0 };
        int r;

        if (n_token > PACKET_TOKEN_MAX || n < at)
                return false;
        packet_begin(ret, message[0] >> 4 & 3, message[1],
                     (uint16_t) (message[2] << 8 | message[3]), message + HEAD, n_token);
        while ((r = frame_next_option(message, n, &at, &o)) > 0)
                packet_option(ret, (uint16_t) o.number, o.value, o.n);
        if (r < 0)
                return false;
        packet_end(ret, message + at, n - at);
        return true;
}

static void receive_request(Link *l, uint64_t now_usec) {
        uint8_t buffer[PACKET_IN_MAX];
        size_t n = sizeof(buffer);
        Packet p;

        if (!take(l, buffer, &n) || n < HEAD)
                return;
        if (parse(buffer, n, &p))
                exchange_receive(l, &p, now_usec);
        else if ((buffer[0] >> 4 & 3) == PACKET_CON) /* RFC 7252, section 4.2 */
                reject(l, (uint16_t) (buffer[2] << 8 | buffer[3]));
}

/* A separate response that comes again because our ACK was lost: libcoap drops it without a word.
 */
static bool is_repeated_response(const Link *l, const uint8_t head[4]) {
        return l->has_last_response && head[0] >> 6 == 1 && (head[0] >> 4 & 3) == PACKET_CON &&
               head[1] >= CODE(2, 0) && (head[2] << 8 | head[3]) == l->last_response_mid;
}

static void acknowledge_again(Link *l) {
        uint8_t buffer[4];
        size_t n = sizeof(buffer);
        PacketOut o = PACKET_OUT_INIT;

        if (!take(l, buffer, &n))
                return;
        o.type = PACKET_ACK;
        o.mid = l->last_response_mid;
        if (packet_write(&o, buffer, sizeof(buffer)) == sizeof(buffer))
                (void) link_transmit(l, buffer, sizeof(buffer));
}

/* The CoAP ping: an Empty Confirmable message, which is answered by Reset (RFC 7252, section 4.3).
 * libcoap 4.3.1 does so most of the time, but was seen to leave one unanswered. */
static bool is_ping(const uint8_t head[4]) {
        return head[0] >> 6 == 1 && (head[0] >> 4 & 3) == PACKET_CON && head[1] == 0;
}

static void reject(Link *l, uint16_t mid) {
        uint8_t buffer[4];
        PacketOut o = PACKET_OUT_INIT;

        o.type = PACKET_RST;
        o.mid = mid;
        if (packet_write(&o, buffer, sizeof(buffer)) == sizeof(buffer))
                (void) link_transmit(l, buffer, sizeof(buffer));
}

static void answer_ping(Link *l) {
        uint8_t buffer[4];
        size_t n = sizeof(buffer);

        if (take(l, buffer, &n) && n == sizeof(buffer))
                reject(l, (uint16_t) (buffer[2] << 8 | buffer[3]));
}

static PeekResult look_at(Link *l, const uint8_t *head, size_t n, uint64_t now_usec) {
        if (n < HEAD)
                return PEEK_LEFT;
        if (is_unknown_method(head))
                refuse_method(l, now_usec);
        else if (l->oscore && is_request(head))
                receive_request(l, now_usec);
        else if (is_ping(head))
                answer_ping(l);
        else if (is_repeated_response(l, head))
                acknowledge_again(l);
        else
                return PEEK_LEFT;
        l->active = l->heard = true;
        return PEEK_TAKEN;
}

/* Handshake messages and alerts are libcoap's; what claims to be a message and is none, a forgery
 * or a replay, is nobody's. */
static PeekResult look_inside(Link *l, const uint8_t *datagram, size_t n, uint64_t now_usec) {
        uint8_t head[HEAD];
        size_t n_head;

        if (link_secure_is_opaque(l)) {
                l->heard = true;
                return PEEK_LEFT;
        }
        if (!link_secure_is_sound(l, datagram, n)) {
                discard(l);
                link_secure_note_dropped(l, now_usec);
                return PEEK_TAKEN;
        }
        if (n == 0 || datagram[0] != RECORD_APPLICATION_DATA || !link_secure_is_open(l)) {
                l->heard = true;
                if (link_secure_is_open(l)) /* an alert, perhaps; a handshake is over */
                        link_secure_note_dropped(l, now_usec);
                return PEEK_LEFT;
        }
        n_head = link_secure_look(l, datagram, n, head, sizeof(head));
        if (n_head > 0)
                return look_at(l, head, n_head, now_usec);
        discard(l);
        link_secure_note_dropped(l, now_usec);
        return PEEK_TAKEN;
}

PeekResult peek_next(Link *l, uint64_t now_usec) {
        uint8_t datagram[PACKET_IN_MAX];
        ssize_t n = recv(l->socket_fd, datagram, l->secure ? sizeof(datagram) : HEAD,
                         MSG_PEEK | MSG_DONTWAIT);

        if (n < 0) {
                /* The look has taken the ICMP error from libcoap, which would have told of it. */
                if (errno != ECONNREFUSED && errno != EHOSTUNREACH)
                        return PEEK_EMPTY;
                if (l->outbox.current && l->fate == FATE_OPEN)
                        l->fate = FATE_REFUSED;
                if (l->secure)
                        link_secure_note_refused(l);
                return PEEK_EMPTY;
        }
        return l->secure ? look_inside(l, datagram, (size_t) n, now_usec)
                         : look_at(l, datagram, (size_t) n, now_usec);
}
