/* SPDX-License-Identifier: Apache-2.0 */
#include "coap/link_tcp.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>

#include "coap/call.h"
#include "coap/exchange.h"
#include "coap/frame.h"
#include "coap/link_io.h"
#include "coap/local.h"
#include "coap/sleep.h"
#include "util/cleanup.h"
#include "util/log.h"

#define IN_SIZE 4096u                /* room for the largest message taken, and a few small ones */
#define OUT_MAX ((size_t) 256 << 10) /* bytes that wait for the socket */
/* So much waits: no more requests are read. All those open may still be answered within OUT_MAX. */
#define OUT_PAUSE ((size_t) 64 << 10)
#define ROUNDS_MAX 8 /* reads from one server before the others have their turn */
#define ADDRESSES_MAX 8
#define DIAGNOSTIC_MAX 128
/* Options of an answer beside its block; a server that takes less is of no use. */
#define OPTIONS_ROOM 128u

G_STATIC_ASSERT(IN_SIZE >= FRAME_HEAD_MAX + PACKET_TOKEN_MAX + PACKET_IN_MAX);

typedef struct Address {
        struct sockaddr_storage v;
        socklen_t n;
} Address;

struct Tcp {
        Security *security;               /* NULL: without */
        Address addresses[ADDRESSES_MAX]; /* not tried yet */
        unsigned n_addresses, next_address;
        bool connected, open; /* open: the server's CSM has come */
        bool worked;          /* a message of the server has come after it */
        int error;            /* the connection has ended */
        char *text;           /* … in words */
        bool told;
        LoopSource *source;
        /* of the server's CSM, then of the next Pong; of what waits for the socket; of our pings */
        Timer *deadline, *stall, *ping;
        uint8_t in[IN_SIZE];
        size_t n_in;
        bool left;     /* there is more to take, whatever the socket says */
        uint64_t skip; /* bytes of a message too large to be taken */
        GByteArray *out;
        size_t out_at;       /* what the socket has taken of it */
        uint32_t max_out;    /* the largest message the server takes */
        uint32_t n_pings;    /* serial number of the last one, its token */
        uint32_t n_ponged;   /* of the last one answered */
        uint32_t confirming; /* the ping behind what is to be confirmed; 0: nothing is */
};

static void tell_alert(Link *l, uint64_t now_usec);

static uint64_t patience(const Link *l) {
        return l->transport->config.response_usec;
}

/* --- the end of a connection --- */

static void end(Link *l, int error, const char *format, ...) G_GNUC_PRINTF(3, 4);
/* The owner hears of it from link_tcp_settle(). */
static void end(Link *l, int error, const char *format, ...) {
        Tcp *t = l->tcp;
        va_list ap;

        if (t->error < 0)
                return;
        va_start(ap, format);
        t->text = g_strdup_vprintf(format, ap);
        va_end(ap);
        t->error = error;
        timer_disarm(t->deadline);
        timer_disarm(t->stall);
        timer_disarm(t->ping);
        t->source = loop_source_free(t->source);
        link_defer(l);
}

static void end_errno(Link *l, int error) {
        end(l, error, "%s", g_strerror(-error));
}

bool link_tcp_is_up(const Link *l) {
        return l->tcp->open && l->tcp->error == 0;
}

void link_tcp_settle(Link *l, uint64_t now_usec) {
        Tcp *t = l->tcp;

        if (t->error == 0 || t->told)
                return;
        t->told = true;
        tell_alert(l, now_usec);
        if (l->closed)
                return;
        /* One that has carried messages had its day: a new one may be had at once. */
        link_fail(l, t->worked ? -ESTALE : t->error, t->text, now_usec);
}

/* --- out --- */

static size_t n_waiting(const Tcp *t) {
        return t->out->len - t->out_at;
}

static void watch(Link *l) {
        Tcp *t = l->tcp;
        short events = 0;

        if (!t->source)
                return;
        if (!t->connected || t->left || n_waiting(t) > 0)
                events |= POLLOUT;
        if (t->connected && n_waiting(t) <= OUT_PAUSE)
                events |= POLLIN;
        loop_source_set_events(t->source, events);
}

static void flush(Link *l) {
        Tcp *t = l->tcp;

        if (t->security)
                security_tls_output(t->security, t->out);
        while (t->error == 0 && n_waiting(t) > 0) {
                ssize_t n = send(l->socket_fd, t->out->data + t->out_at, n_waiting(t),
                                 MSG_NOSIGNAL | MSG_DONTWAIT);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
                        break;
                if (n < 0) {
                        end_errno(l, -errno);
                        return;
                }
                t->out_at += (size_t) n;
                timer_disarm(t->stall);
        }
        if (n_waiting(t) == 0) {
                g_byte_array_set_size(t->out, 0);
                t->out_at = 0;
        } else if (timer_due(t->stall) == USEC_INFINITY)
                timer_arm(t->stall, link_now(l) + patience(l));
        watch(l);
}

static void put(Link *l, const uint8_t *frame, size_t n) {
        Tcp *t = l->tcp;

        if (!t->security)
                g_byte_array_append(t->out, frame, (guint) n);
        else if (security_tls_write(t->security, frame, n) < 0)
                end(l, -EPROTO, "the secure session is broken");
        flush(l);
}

static void send_signal(Link *l, uint8_t code, const uint8_t *token, size_t n_token,
                        const void *body, size_t n_body) {
        uint8_t frame[2 + PACKET_TOKEN_MAX + DIAGNOSTIC_MAX + 2], *pos = frame;

        *pos++ = (uint8_t) (MIN(n_body, 13) << 4 | n_token);
        if (n_body >= 13)
                *pos++ = (uint8_t) (n_body - 13);
        *pos++ = code;
        if (n_token > 0)
                pos = mempcpy(pos, token, n_token);
        if (n_body > 0)
                pos = mempcpy(pos, body, n_body);
        put(l, frame, (size_t) (pos - frame));
}

/* RFC 8323, section 5.6. */
static void abort_with(Link *l, const char *why) {
        uint8_t body[DIAGNOSTIC_MAX] = { 0xff };
        size_t n = MIN(g_strlcpy((char *) body + 1, why, sizeof(body) - 1), sizeof(body) - 2);

        send_signal(l, SIGNAL_ABORT, NULL, 0, body, n + 1);
        end(l, -EPROTO, "%s", why);
}

static void send_csm(Link *l) {
        static const uint8_t options[] = { CSM_MAX_MESSAGE_SIZE << 4 | 2, PACKET_MESSAGE_SIZE >> 8,
                                           PACKET_MESSAGE_SIZE & 0xff,
                                           (CSM_BLOCK_WISE_TRANSFER - CSM_MAX_MESSAGE_SIZE) << 4 };

        send_signal(l, SIGNAL_CSM, NULL, 0, options, sizeof(options));
}

static void send_ping(Link *l) {
        static const uint8_t custody[] = { PING_CUSTODY << 4 };
        Tcp *t = l->tcp;
        uint8_t token[4];

        if (++t->n_pings == 0)
                t->n_pings = 1;
        for (unsigned i = 0; i < sizeof(token); i++)
                token[i] = (uint8_t) (t->n_pings >> (24 - 8 * i));
        if (timer_due(t->deadline) == USEC_INFINITY)
                timer_arm(t->deadline, link_now(l) + patience(l));
        send_signal(l, SIGNAL_PING, token, sizeof(token), custody, sizeof(custody));
}

int link_tcp_transmit(Link *l, const uint8_t *message, size_t n) {
        uint8_t frame[FRAME_OUT_MAX];
        Tcp *t = l->tcp;
        int size;

        if (n >= 4 && message[1] == 0)
                return 0; /* an ACK */
        if (t->error < 0 || !t->open)
                return 0; /* its end is about to be told */
        size = frame_write(message, n, frame, sizeof(frame));
        if (size < 0)
                return size;
        if ((uint32_t) size > t->max_out)
                return -EMSGSIZE;
        if (n_waiting(t) + (size_t) size > OUT_MAX)
                return -ENOBUFS;
        put(l, frame, (size_t) size);
        return 0;
}

void link_tcp_confirm(Link *l) {
        if (!link_tcp_is_up(l))
                return;
        send_ping(l);
        l->tcp->confirming = l->tcp->n_pings;
}

bool link_tcp_is_confirmed(const Link *l) {
        return l->tcp->error == 0 && l->tcp->confirming == 0;
}

void link_tcp_forget(Link *l) {
        l->fate = FATE_OPEN;
        l->tcp->confirming = 0;
}

/* --- TLS --- */

int link_tcp_secure(Link *l, const LinkConfig *config, const char *host, char **ret_error) {
        const CoapConfig *c = &l->transport->config;
        SecurityConfig sc = { .credentials = config->credentials,
                              .host = host,
                              .secrets_directory = c->secrets_directory,
                              .trust_store = c->trust_store,
                              .session = config->session,
                              .ignore_dates = config->ignore_dates };

        if (!security_has_x509()) {
                *ret_error = g_strdup("TLS over TCP needs a libcoap with OpenSSL");
                return -EPROTONOSUPPORT;
        }
        return security_new(&sc, &l->tcp->security, ret_error);
}

static bool is_secured(const Tcp *t) {
        return !t->security || security_state(t->security) == SECURITY_ESTABLISHED;
}

static void end_handshake(Link *l, bool silent) {
        g_autofree char *text = NULL;
        int error = security_failure(l->tcp->security, silent, &text);

        flush(l); /* our alert */
        end(l, error, "%s", text);
}

/* An alert of the server is told of apart (1/x/11); one that says goodbye is none. */
static void tell_alert(Link *l, uint64_t now_usec) {
        int alert = l->tcp->security ? security_alert(l->tcp->security) : -1;

        if (alert > 0 && l->events.alert)
                l->events.alert(l->owner, (uint8_t) alert, now_usec);
}

/* What the socket has given: the handshake, or records to be decrypted. */
static bool feed(Link *l, const uint8_t *bytes, size_t n) {
        Tcp *t = l->tcp;
        bool was = is_secured(t);
        LinkSecurity agreed;

        if (security_tls_feed(t->security, bytes, n) < 0) {
                end_handshake(l, false);
                return false;
        }
        flush(l);
        if (was || !is_secured(t))
                return t->error == 0;
        security_agreed(t->security, &agreed);
        if (l->events.secured)
                l->events.secured(l->owner, &agreed, link_now(l));
        if (!l->closed)
                send_csm(l);
        return !l->closed && t->error == 0;
}

static void begin(Link *l) {
        Tcp *t = l->tcp;

        t->connected = true;
        if (!t->security)
                send_csm(l);
        else if (security_tls_start(t->security) < 0)
                end_handshake(l, false);
        else
                flush(l);
}

/* --- signalling --- */

static uint32_t big_endian(const uint8_t *v, size_t n) {
        uint32_t r = 0;

        for (size_t i = 0; i < n; i++)
                r = r << 8 | v[i];
        return r;
}

static void set_max_out(Link *l, const FrameOption *o) {
        uint32_t max = o->n <= 4 ? big_endian(o->value, o->n) : UINT32_MAX;

        if (max < block_size(0) + OPTIONS_ROOM) {
                abort_with(l, "Max-Message-Size is too small");
                return;
        }
        l->tcp->max_out = max;
        while (l->szx > 0 && block_size(l->szx) + OPTIONS_ROOM > max)
                l->szx--;
}

static void take_csm(Link *l, const FrameOption *o) {
        if (o->number == CSM_MAX_MESSAGE_SIZE)
                set_max_out(l, o);
}

static void take_pong(Link *l, const uint8_t *token, size_t n) {
        Tcp *t = l->tcp;
        uint32_t serial = n == 4 ? big_endian(token, n) : 0;

        if (serial - t->n_ponged - 1 >= t->n_pings - t->n_ponged)
                return; /* answers none of the pings that are open */
        t->n_ponged = serial;
        if (t->confirming != 0 && t->n_pings - t->confirming >= t->n_pings - serial)
                t->confirming = 0;
        timer_disarm(t->deadline);
        if (serial != t->n_pings)
                timer_arm(t->deadline, link_now(l) + patience(l));
}

/* The text of Abort and Release (RFC 8323, section 5.5 and 5.6). */
static void end_by_server(Link *l, const char *what, const uint8_t *payload, size_t n) {
        g_autofree char *text = NULL;

        if (n > 0 && n <= DIAGNOSTIC_MAX &&
            g_utf8_validate((const char *) payload, (gssize) n, NULL)) {
                g_autofree char *raw = g_strndup((const char *) payload, n);

                text = g_strescape(raw, NULL);
        }
        end(l, -ECONNRESET, "the server has %s the connection%s%s", what, text ? ": " : "",
            text ?: "");
}

/* Options behind the first that is critical are of no use: nothing critical is defined. */
static void take_signal(Link *l, const FrameHead *h, const uint8_t *frame) {
        static const uint8_t custody[] = { PING_CUSTODY << 4 };
        const uint8_t *token = frame + h->n_head, *body = token + h->n_token;
        size_t n = (size_t) h->n_body, at = 0;
        FrameOption o = { .number = 0 };
        bool wants_custody = false;
        int r;

        while ((r = frame_next_option(body, n, &at, &o)) > 0 && l->tcp->error == 0) {
                if (o.number & 1) {
                        abort_with(l, "unknown critical option in a signalling message");
                        return;
                }
                if (h->code == SIGNAL_CSM)
                        take_csm(l, &o);
                wants_custody |= h->code == SIGNAL_PING && o.number == PING_CUSTODY;
        }
        if (r < 0)
                abort_with(l, "broken options");
        if (l->tcp->error < 0)
                return;
        switch (h->code) {
        case SIGNAL_PING: /* custody only of what has been answered */
                send_signal(l, SIGNAL_PONG, token, h->n_token, custody,
                            wants_custody && l->exchanges.length == 0 ? sizeof(custody) : 0);
                break;
        case SIGNAL_PONG:
                take_pong(l, token, h->n_token);
                break;
        case SIGNAL_RELEASE:
                end_by_server(l, "released", NULL, 0);
                break;
        case SIGNAL_ABORT:
                end_by_server(l, "aborted", body + at, n - at);
                break;
        default: /* a CSM, or something of the future */
                break;
        }
}

/* --- in --- */

static void take_message(Link *l, Packet *p, uint64_t now_usec) {
        l->active = l->tcp->worked = true;
        if (p->code < CODE(1, 0)) {
                if (p->code > METHOD_IPATCH)
                        p->refusal = CODE(4, 5);
                exchange_receive(l, p, now_usec);
        } else if (p->code >= CODE(2, 0) && p->code < CODE(6, 0))
                (void) call_receive(l, p, now_usec);
}

/* Of a message above what our CSM allows nothing is kept but who it is from. */
static void refuse_large(Link *l, const FrameHead *h, const uint8_t *frame, uint64_t now_usec) {
        Packet p;

        packet_begin(&p, PACKET_NON, h->code, 0, frame + h->n_head, h->n_token);
        packet_end(&p, NULL, 0);
        p.refusal = CODE(4, 13);
        take_message(l, &p, now_usec);
}

static void take_frame(Link *l, const FrameHead *h, const uint8_t *frame, uint64_t now_usec) {
        Packet p;

        if (h->code >= CODE(7, 0)) {
                take_signal(l, h, frame);
                return;
        }
        if (h->code == 0)
                return;
        if (frame_parse(frame, h, &p) < 0)
                abort_with(l, "broken options");
        else
                take_message(l, &p, now_usec);
}

/* The first message is the CSM; what comes before it comes from no CoAP server. */
static bool open_by(Link *l, const FrameHead *h, uint64_t now_usec) {
        Tcp *t = l->tcp;

        if (h->code == 0)
                return true;
        if (h->code != SIGNAL_CSM) {
                if (h->code == SIGNAL_ABORT)
                        return true;
                abort_with(l, "the first message is no CSM");
                return false;
        }
        t->open = true;
        timer_disarm(t->deadline);
        if (l->transport->config.ping_usec > 0)
                timer_arm(t->ping, now_usec + l->transport->config.ping_usec);
        return true;
}

/* How many bytes at frame are done with; 0: more are needed, or the connection is over. */
static size_t take_one(Link *l, const uint8_t *frame, size_t n, uint64_t now_usec) {
        const CoapConfig *c = &l->transport->config;
        Tcp *t = l->tcp;
        bool was_open = t->open;
        FrameHead h;
        int r;

        r = frame_head(frame, n, &h);
        if (r < 0)
                abort_with(l, "reserved token length");
        if (r <= 0)
                return 0;
        if (h.n_body > PACKET_IN_MAX) {
                if (!t->open || h.code >= CODE(7, 0) || h.n_body > c->body_max) {
                        abort_with(l, "message too large");
                        return 0;
                }
                if (n < (size_t) h.n_head + h.n_token)
                        return 0;
                t->skip = h.n_body;
                refuse_large(l, &h, frame, now_usec);
                return (size_t) h.n_head + h.n_token;
        }
        if (n < frame_size(&h) || (!t->open && !open_by(l, &h, now_usec)))
                return 0;
        take_frame(l, &h, frame, now_usec);
        if (t->open && !was_open && t->error == 0 && l->events.up)
                l->events.up(l->owner, now_usec);
        return (size_t) frame_size(&h);
}

static bool may_take(const Link *l) {
        return !l->closed && l->tcp->error == 0 && n_waiting(l->tcp) <= OUT_PAUSE;
}

static void take_all(Link *l, uint64_t now_usec) {
        Tcp *t = l->tcp;
        size_t at = 0, n = 1;

        while (may_take(l) && n > 0 && at < t->n_in) {
                if (t->skip > 0) {
                        n = (size_t) MIN(t->skip, t->n_in - at);
                        t->skip -= n;
                } else
                        n = take_one(l, t->in + at, t->n_in - at, now_usec);
                at += n;
        }
        t->n_in -= at;
        memmove(t->in, t->in + at, t->n_in);
}

static void end_by_socket(Link *l, ssize_t n) {
        if (n == 0)
                end(l, -ECONNRESET, "the server has closed the connection%s",
                    is_secured(l->tcp) ? "" : " during the handshake");
        else if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)
                end_errno(l, -errno);
}

/* What was decrypted before, or what can be of the next bytes. True also when that is nothing yet.
 */
static bool fill_secure(Link *l) {
        uint8_t records[IN_SIZE];
        Tcp *t = l->tcp;
        ssize_t n = security_tls_read(t->security, t->in + t->n_in, sizeof(t->in) - t->n_in);

        if (n > 0) {
                t->n_in += (size_t) n;
                return true;
        }
        if (n < 0) {
                flush(l);
                end(l, (int) n,
                    n == -ECONNRESET ? "the server has closed the connection"
                                     : "the secure session is broken");
                return false;
        }
        n = recv(l->socket_fd, records, sizeof(records), MSG_DONTWAIT);
        if (n > 0)
                return feed(l, records, (size_t) n);
        end_by_socket(l, n);
        return false;
}

/* False when there is nothing more to read, or no connection any more. */
static bool fill(Link *l) {
        Tcp *t = l->tcp;
        ssize_t n;

        if (t->n_in == sizeof(t->in))
                return false;
        if (t->security)
                return fill_secure(l);
        n = recv(l->socket_fd, t->in + t->n_in, sizeof(t->in) - t->n_in, MSG_DONTWAIT);
        if (n > 0) {
                t->n_in += (size_t) n;
                return true;
        }
        end_by_socket(l, n);
        return false;
}

/* --- connecting --- */

static void on_fd(void *userdata, int fd, short revents);

static int prepare_socket(Link *l, int fd, const Address *to) {
        const int on = 1, timeout_msec = (int) MIN(patience(l) / USEC_PER_MSEC, INT_MAX);
        coap_address_t local;
        int r;

        l->socket_error = 0;
        r = local_address(l, (const struct sockaddr *) &to->v, &local);
        if (r < 0)
                return r;
        r = r > 0 && bind(fd, &local.addr.sa, local.size) < 0 ? -errno : 0;
        if (r >= 0)
                r = local_apply_to(l, fd, to->v.ss_family);
        if (r < 0)
                return r;
        (void) setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        /* What is sent and not acknowledged for so long is lost, and the connection with it. */
        (void) setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout_msec, sizeof(timeout_msec));
        return 0;
}

static int connect_to(Link *l, const Address *to) {
        autoclose int fd = socket(to->v.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        Tcp *t = l->tcp;
        int r;

        if (fd < 0)
                return -errno;
        r = prepare_socket(l, fd, to);
        if (r < 0)
                return r;
        if (connect(fd, (const struct sockaddr *) &to->v, to->n) < 0 && errno != EINPROGRESS)
                return -errno;
        l->socket_fd = steal_fd(&fd);
        g_free(l->peer);
        l->peer = link_io_name_peer((const struct sockaddr *) &to->v, to->n);
        t->source = loop_add_fd(l->transport->loop, l->socket_fd, POLLOUT, on_fd, NULL, l);
        return 0;
}

static void close_socket(Link *l) {
        l->tcp->source = loop_source_free(l->tcp->source);
        close_fd(&l->socket_fd);
}

static int connect_next(Link *l, int error) {
        Tcp *t = l->tcp;

        while (t->next_address < t->n_addresses) {
                error = connect_to(l, &t->addresses[t->next_address++]);
                if (error == 0)
                        return 0;
        }
        return error;
}

static void finish_connecting(Link *l) {
        int error = 0;
        socklen_t n = sizeof(error);

        if (getsockopt(l->socket_fd, SOL_SOCKET, SO_ERROR, &error, &n) < 0)
                error = errno;
        if (error == 0) {
                begin(l);
                return;
        }
        close_socket(l);
        error = connect_next(l, -error);
        if (error < 0)
                end_errno(l, error);
}

/* What is not read by the end need not show at the socket: it may be here already. */
static void read_on(Link *l, uint64_t now_usec) {
        Tcp *t = l->tcp;
        unsigned i;

        for (i = 0; i < ROUNDS_MAX && may_take(l) && fill(l); i++) {
                l->heard = true;
                if (timer_due(t->ping) != USEC_INFINITY)
                        timer_arm(t->ping, now_usec + l->transport->config.ping_usec);
                take_all(l, now_usec);
        }
        t->left = i == ROUNDS_MAX || n_waiting(t) > OUT_PAUSE;
}

static void on_fd(void *userdata, int fd, short revents) {
        Link *l = userdata;
        Tcp *t = l->tcp;
        uint64_t now_usec = link_now(l);

        link_enter(l);
        if (!t->connected)
                finish_connecting(l);
        else {
                link_wake(l);
                flush(l);
                take_all(l, now_usec); /* what was left when too much waited to be sent */
                read_on(l, now_usec);
        }
        if (!l->closed)
                watch(l);
        link_settle(l, now_usec);
        link_leave(l);
}

int link_tcp_open(Link *l, const struct addrinfo *list, unsigned skip) {
        Tcp *t = l->tcp;
        unsigned n = 0;
        int r;

        for (const struct addrinfo *a = list; a && n < ADDRESSES_MAX; a = a->ai_next)
                n++;
        for (const struct addrinfo *a = list; a && t->n_addresses < n; a = a->ai_next) {
                Address *to = &t->addresses[(t->n_addresses++ + n - skip % n) % n];

                to->n = MIN(a->ai_addrlen, (socklen_t) sizeof(to->v));
                memcpy(&to->v, a->ai_addr, to->n);
        }
        r = connect_next(l, -ENOENT);
        if (r == 0)
                timer_arm(t->deadline, link_now(l) + l->transport->config.handshake_usec);
        return r;
}

/* --- timers --- */

static void on_deadline(void *userdata, uint64_t now_usec) {
        Link *l = userdata;
        Tcp *t = l->tcp;

        link_enter(l);
        if (!t->connected)
                end(l, -ETIMEDOUT, "no connection: the server's address does not answer");
        else if (!is_secured(t))
                end_handshake(l, true);
        else if (!t->open)
                end(l, -ETIMEDOUT, "the server took the connection and says nothing");
        else
                end(l, -ETIMEDOUT, "no Pong from the server");
        link_settle(l, now_usec);
        link_leave(l);
}

static void on_stall(void *userdata, uint64_t now_usec) {
        Link *l = userdata;

        link_enter(l);
        end(l, -ETIMEDOUT, "the server does not read what is sent");
        link_settle(l, now_usec);
        link_leave(l);
}

static void on_ping(void *userdata, uint64_t now_usec) {
        Link *l = userdata;

        link_enter(l);
        timer_arm(l->tcp->ping, now_usec + l->transport->config.ping_usec);
        send_ping(l);
        link_settle(l, now_usec);
        link_leave(l);
}

/* A deadline is not open then, but of a ping that nobody needs an answer to. */
void link_tcp_rest(Link *l, bool asleep) {
        Tcp *t = l->tcp;
        uint64_t every = l->transport->config.ping_usec;

        timer_disarm(t->deadline);
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
        t->ping = timer_new(timers, on_ping, l);
        t->out = g_byte_array_new();
        t->max_out = PACKET_MESSAGE_SIZE;
        return t;
}

Tcp *link_tcp_free(Link *l) {
        Tcp *t = l->tcp;

        if (!t)
                return NULL;
        if (link_tcp_is_up(l))
                send_signal(l, SIGNAL_RELEASE, NULL, 0, NULL, 0);
        if (t->security) {
                security_tls_end(t->security);
                flush(l);
        }
        close_socket(l);
        security_free(t->security);
        timer_free(t->deadline);
        timer_free(t->stall);
        timer_free(t->ping);
        g_byte_array_unref(t->out);
        g_free(t->text);
        g_free(t);
        return NULL;
}
