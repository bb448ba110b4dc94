/* SPDX-License-Identifier: Apache-2.0 */
/* The bytes of a connection: to and from the socket, with TLS or without. */
#include "coap/tcp.h"

#include <errno.h>
#include <sys/socket.h>

uint64_t tcp_patience(const Link *l) {
        return l->transport->config.response_usec;
}

/* --- the end of a connection --- */

void tcp_end(Link *l, int error, const char *format, ...) {
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
        timer_disarm(t->rest);
        timer_disarm(t->ping);
        t->source = loop_source_free(t->source);
        link_defer(l);
}

void tcp_end_errno(Link *l, int error) {
        tcp_end(l, error, "%s", g_strerror(-error));
}

/* --- out --- */

size_t tcp_n_waiting(const Tcp *t) {
        return t->out->len - t->out_at;
}

void tcp_watch(Link *l) {
        Tcp *t = l->tcp;
        short events = 0;

        if (!t->source)
                return;
        if (t->left || tcp_n_waiting(t) > 0)
                events |= POLLOUT;
        if (tcp_n_waiting(t) <= TCP_OUT_PAUSE)
                events |= POLLIN;
        loop_source_set_events(t->source, events);
}

void tcp_flush(Link *l) {
        Tcp *t = l->tcp;

        if (t->security)
                security_tls_output(t->security, t->out);
        while (t->error == 0 && tcp_n_waiting(t) > 0) {
                ssize_t n = send(l->socket_fd, t->out->data + t->out_at, tcp_n_waiting(t),
                                 MSG_NOSIGNAL | MSG_DONTWAIT);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
                        break;
                if (n < 0) {
                        tcp_end_errno(l, -errno);
                        return;
                }
                t->out_at += (size_t) n;
                timer_disarm(t->stall);
        }
        if (tcp_n_waiting(t) == 0) {
                g_byte_array_set_size(t->out, 0);
                t->out_at = 0;
        } else if (timer_due(t->stall) == USEC_INFINITY)
                timer_arm(t->stall, link_now(l) + tcp_patience(l));
        tcp_watch(l);
}

void tcp_put(Link *l, const uint8_t *frame, size_t n) {
        Tcp *t = l->tcp;

        if (t->out_at > TCP_OUT_PAUSE) { /* a server that reads slowly, but never all */
                g_byte_array_remove_range(t->out, 0, (guint) t->out_at);
                t->out_at = 0;
        }
        if (!t->security)
                g_byte_array_append(t->out, frame, (guint) n);
        else if (security_tls_write(t->security, frame, n) < 0)
                tcp_end(l, -EPROTO, "the secure session is broken");
        tcp_flush(l);
}

/* --- TLS --- */

bool tcp_is_secured(const Tcp *t) {
        return !t->security || security_state(t->security) == SECURITY_ESTABLISHED;
}

void tcp_end_handshake(Link *l, bool silent) {
        g_autofree char *text = NULL;
        int error = security_failure(l->tcp->security, silent, &text);

        tcp_flush(l); /* our alert */
        tcp_end(l, error, "%s", text);
}

/* An alert of the server is told of apart (1/x/11); one that says goodbye is none. */
void tcp_tell_alert(Link *l, uint64_t now_usec) {
        int alert = l->tcp->security ? security_alert(l->tcp->security) : -1;

        if (alert > 0 && l->events.alert)
                l->events.alert(l->owner, (uint8_t) alert, now_usec);
}

/* What the socket has given: the handshake, or records to be decrypted. */
static bool feed(Link *l, const uint8_t *bytes, size_t n) {
        Tcp *t = l->tcp;
        bool was = tcp_is_secured(t);
        LinkSecurity agreed;

        if (security_tls_feed(t->security, bytes, n) < 0) {
                tcp_end_handshake(l, false);
                return false;
        }
        tcp_flush(l);
        if (was || !tcp_is_secured(t))
                return t->error == 0;
        if (t->needs_alpn && !security_tls_has_alpn(t->security)) {
                tcp_end(l, -EPROTO,
                        "the server does not choose \"coap\" by ALPN, which port 5684 alone "
                        "does without (AlpnOptional=true in the configuration accepts it)");
                return false;
        }
        security_agreed(t->security, &agreed);
        if (l->events.secured)
                l->events.secured(l->owner, &agreed, link_now(l));
        if (!l->closed)
                tcp_send_csm(l);
        return !l->closed && t->error == 0;
}

void tcp_begin(Link *l) {
        Tcp *t = l->tcp;

        if (!t->security)
                tcp_send_csm(l);
        else if (security_tls_start(t->security) < 0)
                tcp_end_handshake(l, false);
        else
                tcp_flush(l);
}

/* --- in --- */

static void end_by_socket(Link *l, ssize_t n) {
        if (n == 0)
                tcp_end(l, -ECONNRESET, "the server has closed the connection%s",
                        tcp_is_secured(l->tcp) ? "" : " during the handshake");
        else if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)
                tcp_end_errno(l, -errno);
}

/* What was decrypted before, or what can be of the next bytes. True also when that is nothing yet.
 */
static bool fill_secure(Link *l) {
        uint8_t records[TCP_IN_SIZE];
        Tcp *t = l->tcp;
        ssize_t n = security_tls_read(t->security, t->in + t->n_in, t->in_size - t->n_in);

        if (n > 0) {
                t->n_in += (size_t) n;
                return true;
        }
        if (n < 0) {
                tcp_flush(l);
                tcp_end(l, (int) n,
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
bool tcp_fill(Link *l) {
        Tcp *t = l->tcp;
        ssize_t n;

        if (t->n_in == t->in_size)
                return false;
        if (t->security)
                return fill_secure(l);
        n = recv(l->socket_fd, t->in + t->n_in, t->in_size - t->n_in, MSG_DONTWAIT);
        if (n > 0) {
                t->n_in += (size_t) n;
                return true;
        }
        end_by_socket(l, n);
        return false;
}
