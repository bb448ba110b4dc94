/* SPDX-License-Identifier: Apache-2.0 */
#include "coap/race.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>

#include "coap/local.h"
#include "util/cleanup.h"

#define HEAD_START_USEC (250 * USEC_PER_MSEC) /* Connection Attempt Delay, RFC 8305, section 5 */
#define AGAIN_USEC (1 * USEC_PER_SEC)         /* a probe may be lost */
#define PROBE_MAX 128

typedef enum LaneState {
        LANE_WAITING,
        LANE_RUNNING,
        LANE_OUT, /* refused, or no socket for it */
} LaneState;

typedef struct Lane {
        Race *race;
        Address address;
        LaneState state;
        int fd;
        LoopSource *source;
} Lane;

struct Race {
        Link *link;
        RaceKind kind;
        RaceFunc func;
        Lane lanes[ADDRESSES_MAX];
        unsigned n_lanes;
        Timer *timer; /* the next lane's start, the probes' repetition, the end */
        uint64_t again_usec, end_usec;
        int error; /* of the last lane that went out */
        uint8_t probe[PROBE_MAX];
        size_t n_probe;
};

/* --- probes --- */

/* An empty confirmable message. */
static size_t write_ping(uint8_t *to) {
        const uint32_t mid = g_random_int();

        to[0] = 0x40;
        to[1] = 0;
        to[2] = (uint8_t) (mid >> 8);
        to[3] = (uint8_t) mid;
        return 4;
}

/* RFC 6347, section 4.3.2. A server asks for its cookie before it looks at more than the form. */
static size_t write_client_hello(uint8_t *to) {
        static const uint8_t head[] = {
                22,   0xfe, 0xff, 0,  0, 0, 0, 0, 0, 0, 0, 0,  60, /* record: handshake, epoch 0 */
                1,    0,    0,    48, 0, 0, 0, 0, 0, 0, 0, 48,     /* ClientHello, in one piece */
                0xfe, 0xfd,                                        /* DTLS 1.2 */
        };
        static const uint8_t tail[] = {
                0,    0,                            /* neither session nor cookie */
                0,    8,    0xc0, 0xa8, 0x00, 0xa8, /* PSK with AES-128-CCM-8 and GCM */
                0xc0, 0xae, 0xc0, 0x2b, 1,    0,    /* ECDHE-ECDSA likewise; no compression */
        };
        uint8_t *pos = mempcpy(to, head, sizeof(head));

        for (unsigned i = 0; i < 8; i++) {
                const uint32_t random = g_random_int();

                pos = mempcpy(pos, &random, sizeof(random));
        }
        pos = mempcpy(pos, tail, sizeof(tail));
        return (size_t) (pos - to);
}

static bool is_answer(const Race *r, const uint8_t *bytes, size_t n) {
        if (r->kind ==
            RACE_DTLS) /* HelloVerifyRequest, whatever else of a handshake, or an alert */
                return n >= 13 && (bytes[0] == 21 || bytes[0] == 22) && bytes[1] == 0xfe;
        return n >= 4 && bytes[0] >> 6 == 1 && memcmp(bytes + 2, r->probe + 2, 2) == 0;
}

static void send_probe(const Lane *lane) {
        /* An error shows at the socket, where it is waited for. */
        if (lane->race->kind != RACE_TCP)
                (void) send(lane->fd, lane->race->probe, lane->race->n_probe,
                            MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* --- lanes --- */

static void close_lane(Lane *lane) {
        lane->source = loop_source_free(lane->source);
        close_fd(&lane->fd);
}

static void put_out(Lane *lane, int error) {
        close_lane(lane);
        lane->state = LANE_OUT;
        lane->race->error = error;
}

static void on_lane(void *userdata, int fd, short revents);

static int set_up(Link *l, RaceKind kind, int fd, const Address *to) {
        const int on = 1;
        coap_address_t local;
        int r;

        r = local_address(l, (const struct sockaddr *) &to->v, &local);
        if (r < 0)
                return r;
        if (r > 0 && kind != RACE_TCP) /* the port is for the link itself */
                local_clear_port(&local);
        if (r > 0 && bind(fd, &local.addr.sa, local.size) < 0)
                return -errno;
        r = local_apply_to(l, fd, to->v.ss_family);
        if (r >= 0 && kind == RACE_TCP)
                (void) setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        return r;
}

static int begin(Lane *lane) {
        Race *r = lane->race;
        Link *l = r->link;
        const Address *to = &lane->address;
        int type = r->kind == RACE_TCP ? SOCK_STREAM : SOCK_DGRAM, error;
        autoclose int fd = socket(to->v.ss_family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

        if (fd < 0)
                return -errno;
        l->socket_error = 0;
        error = set_up(l, r->kind, fd, to);
        if (error < 0)
                return error;
        if (connect(fd, (const struct sockaddr *) &to->v, to->n) < 0 && errno != EINPROGRESS)
                return -errno;
        lane->fd = steal_fd(&fd);
        lane->state = LANE_RUNNING;
        lane->source = loop_add_fd(l->transport->loop, lane->fd,
                                   r->kind == RACE_TCP ? POLLOUT : POLLIN, on_lane, NULL, lane);
        send_probe(lane);
        return 0;
}

/* The next that can be begun; false when there is none. */
static bool begin_next(Race *r) {
        for (unsigned i = 0; i < r->n_lanes; i++) {
                Lane *lane = &r->lanes[i];
                int error;

                if (lane->state != LANE_WAITING)
                        continue;
                error = begin(lane);
                if (error >= 0)
                        return true;
                put_out(lane, error);
        }
        return false;
}

static Lane *first_in(Race *r, LaneState state) {
        for (unsigned i = 0; i < r->n_lanes; i++)
                if (r->lanes[i].state == state)
                        return &r->lanes[i];
        return NULL;
}

/* --- the end --- */

static void finish(Race *r, Lane *winner, bool answered, int error, const char *text,
                   uint64_t now_usec) {
        const Address address = winner ? winner->address : (Address){ .n = 0 };
        RaceResult result = { .address = winner ? &address : NULL,
                              .fd = -1,
                              .answered = answered,
                              .error = error,
                              .text = text };
        RaceFunc func = r->func;
        Link *l = r->link;

        if (winner && r->kind == RACE_TCP)
                result.fd = steal_fd(&winner->fd);
        l->race = race_free(r);
        func(l, &result, now_usec);
}

static const char *error_text(const Race *r) {
        const Link *l = r->link;

        return l->socket_error < 0 && l->socket_error == r->error ? l->socket_error_text
                                                                  : g_strerror(-r->error);
}

static unsigned n_left(const Race *r) {
        unsigned n = 0;

        for (unsigned i = 0; i < r->n_lanes; i++)
                n += r->lanes[i].state != LANE_OUT;
        return n;
}

/* What follows from the lanes as they are; true: the race is over. */
static bool decide(Race *r, uint64_t now_usec) {
        unsigned n = n_left(r);
        Lane *left;

        if (n == 0)
                finish(r, NULL, false, r->error, error_text(r), now_usec);
        else if (n == 1 && r->kind != RACE_TCP) {
                left = first_in(r, LANE_RUNNING);
                finish(r, left ? left : first_in(r, LANE_WAITING), false, 0, NULL, now_usec);
        } else
                return false;
        return true;
}

static void arm(Race *r, uint64_t now_usec) {
        uint64_t next = r->end_usec;

        if (first_in(r, LANE_WAITING))
                next = MIN(next, now_usec + HEAD_START_USEC);
        else if (r->kind != RACE_TCP)
                next = MIN(next, r->again_usec);
        timer_arm(r->timer, next);
}

static void time_is_up(Race *r, uint64_t now_usec) {
        Lane *first = first_in(r, LANE_RUNNING);

        if (r->kind != RACE_TCP && first)
                finish(r, first, false, 0, NULL, now_usec);
        else
                finish(r, NULL, false, -ETIMEDOUT,
                       r->n_lanes == 1 ? "no connection: the server's address does not answer"
                                       : "no connection: no address of the server answers",
                       now_usec);
}

static void send_again(Race *r, uint64_t now_usec) {
        for (unsigned i = 0; i < r->n_lanes; i++)
                if (r->lanes[i].state == LANE_RUNNING)
                        send_probe(&r->lanes[i]);
        r->again_usec = now_usec + AGAIN_USEC;
}

static void run(Race *r, uint64_t now_usec) {
        if (decide(r, now_usec))
                return;
        if (now_usec >= r->end_usec) {
                time_is_up(r, now_usec);
                return;
        }
        if (!begin_next(r) && now_usec >= r->again_usec)
                send_again(r, now_usec);
        if (!decide(r, now_usec))
                arm(r, now_usec);
}

static void on_timer(void *userdata, uint64_t now_usec) {
        Race *r = userdata;
        Link *l = r->link;

        link_enter(l);
        run(r, now_usec);
        link_settle(l, now_usec);
        link_leave(l);
}

/* 1: it answers; 0: nothing of it; or why it is out. */
static int look_at_udp(Lane *lane) {
        uint8_t bytes[PROBE_MAX];
        ssize_t n = recv(lane->fd, bytes, sizeof(bytes), MSG_DONTWAIT);

        if (n >= 0)
                return is_answer(lane->race, bytes, (size_t) n);
        return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR ? 0 : -errno;
}

static int look_at_tcp(const Lane *lane) {
        int error = 0;
        socklen_t n = sizeof(error);

        if (getsockopt(lane->fd, SOL_SOCKET, SO_ERROR, &error, &n) < 0)
                error = errno;
        return error == 0 ? 1 : -error;
}

static void on_lane(void *userdata, int fd, short revents) {
        Lane *lane = userdata;
        Race *r = lane->race;
        Link *l = r->link;
        uint64_t now_usec = link_now(l);
        int result;

        link_enter(l);
        result = r->kind == RACE_TCP ? look_at_tcp(lane) : look_at_udp(lane);
        if (result > 0)
                finish(r, lane, true, 0, NULL, now_usec);
        else if (result < 0) {
                put_out(lane, result);
                run(r, now_usec);
        }
        link_settle(l, now_usec);
        link_leave(l);
}

/* --- life --- */

static uint64_t patience(const Link *l, RaceKind kind) {
        const CoapConfig *c = &l->transport->config;

        /* As long as a message waits for its acknowledgement, at most (RFC 7252, section 4.2). */
        return kind == RACE_TCP ? c->handshake_usec : c->ack_timeout_usec * 3 / 2;
}

int race_start(Link *l, RaceKind kind, const Address *addresses, unsigned n, RaceFunc func,
               Race **ret) {
        uint64_t now_usec = link_now(l);
        Race *r = g_new0(Race, 1);
        int error;

        r->link = l;
        r->kind = kind;
        r->func = func;
        r->n_lanes = n;
        r->n_probe = kind == RACE_UDP    ? write_ping(r->probe)
                     : kind == RACE_DTLS ? write_client_hello(r->probe)
                                         : 0;
        r->timer = timer_new(loop_timers(l->transport->loop), on_timer, r);
        for (unsigned i = 0; i < n; i++)
                r->lanes[i] = (Lane){ .race = r, .address = addresses[i], .fd = -1 };
        r->again_usec = now_usec + AGAIN_USEC;
        r->end_usec = now_usec + patience(l, kind);
        if (!begin_next(r)) {
                error = r->error;
                race_free(r);
                return error;
        }
        arm(r, now_usec);
        if (n > 1 && n_left(r) == 1) /* there is no socket for the others */
                timer_arm(r->timer, now_usec);
        *ret = r;
        return 0;
}

Race *race_free(Race *r) {
        if (!r)
                return NULL;
        for (unsigned i = 0; i < r->n_lanes; i++)
                close_lane(&r->lanes[i]);
        timer_free(r->timer);
        g_free(r);
        return NULL;
}
