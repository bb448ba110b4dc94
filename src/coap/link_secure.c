/* SPDX-License-Identifier: Apache-2.0 */
#include "coap/link_secure.h"

#include <errno.h>
#include <inttypes.h>

#include "coap/dropped.h"
#include "coap/link_keys.h"
#include "coap/local.h"
#include "util/log.h"

/* Two retransmissions are over by then (RFC 7252, section 4.2: at most 1.5 and 4.5 times
 * ACK_TIMEOUT after the first), and most of the third wait. */
#define SIGN_OF_LIFE_TIMEOUTS 5

struct Secure {
        Security *security;
        Timer *timer; /* of the handshake, then of the server's next sign of life */
        Dropped dropped;
        bool secured; /* the owner knows */
        bool worked;  /* the server has used the session */
        bool refused; /* nobody listened at the server's address */
        bool over;    /* the owner was told that it has failed */
};

/* --- failures --- */

static void fail(Link *l, bool silent, uint64_t now_usec) {
        Secure *s = l->secure;
        g_autofree char *text = NULL;
        int error, alert = security_alert(s->security);

        s->over = true;
        timer_disarm(s->timer);
        error = security_failure(s->security, silent, &text);
        if (error == -ETIMEDOUT && s->refused && !l->heard) {
                error = -ECONNREFUSED;
                g_free(text);
                text = g_strdup("nobody listens at the server's address");
        } else if (s->worked)
                error = -ESTALE;
        if (alert >= 0 && l->events.alert)
                l->events.alert(l->owner, (uint8_t) alert, now_usec);
        if (!l->closed)
                link_fail(l, error, text, now_usec);
}

static void on_timer(void *userdata, uint64_t now_usec) {
        Link *l = userdata;
        Secure *s = l->secure;

        link_enter(l);
        if (!s->secured)
                fail(l, true, now_usec);
        else {
                s->over = true;
                link_fail(l, -ESTALE, "no answer over the secure session, making a new one",
                          now_usec);
        }
        link_leave(l);
}

/* --- life --- */

static void on_socket(void *userdata, const coap_session_t *session) {
        (void) local_apply(userdata, session);
}

int link_secure_new(Link *l, const LinkConfig *config, const char *host, char **ret_error) {
        const CoapConfig *c = &l->transport->config;
        SecurityConfig sc = {
                .credentials = config->credentials,
                .host = host,
                .secrets_directory = c->secrets_directory,
                .trust_store = c->trust_store,
                .session = config->session,
                .ignore_dates = config->ignore_dates,
                .key = link_keys_private(l),
                .once = link_keys_are_provided(l),
                .connected = on_socket,
                .userdata = l,
        };
        Security *security;
        int r;

        r = security_new(&sc, &security, ret_error);
        if (r < 0)
                return r;
        l->secure = g_new0(Secure, 1);
        l->secure->security = security;
        l->secure->timer = timer_new(loop_timers(l->transport->loop), on_timer, l);
        return 0;
}

Secure *link_secure_free(Secure *s) {
        if (!s)
                return NULL;
        timer_free(s->timer);
        security_free(s->security);
        g_free(s);
        return NULL;
}

coap_session_t *link_secure_connect(Link *l, const coap_address_t *local,
                                    const coap_address_t *remote) {
        return security_connect(l->secure->security, l->context, local, remote, COAP_PROTO_DTLS);
}

void link_secure_connected(Link *l) {
        security_cut_flights(l->secure->security);
        l->dirty = true; /* the first flight is out */
        timer_arm(l->secure->timer, link_now(l) + l->transport->config.handshake_usec);
}

bool link_secure_is_open(const Link *l) {
        return !l->secure || (l->secure->secured && !l->secure->over);
}

void link_secure_settle(Link *l, uint64_t now_usec) {
        Secure *s = l->secure;
        LinkSecurity agreed;
        SecurityState state;

        if (s->over)
                return;
        security_look_at(s->security, l->session);
        state = security_state(s->security);
        if (state == SECURITY_FAILED) {
                fail(l, false, now_usec);
                return;
        }
        if (state != SECURITY_ESTABLISHED || s->secured)
                return;
        s->secured = true;
        timer_disarm(s->timer);
        security_agreed(s->security, &agreed);
        if (l->events.secured)
                l->events.secured(l->owner, &agreed, now_usec);
        if (!l->closed && l->events.up)
                l->events.up(l->owner, now_usec);
}

/* A session that never worked is not worth another one: there the message's own end tells. */
void link_secure_watch(Link *l, uint64_t now_usec) {
        Secure *s = l->secure;

        if (!s->secured || s->over)
                return;
        if (!s->worked || coap_can_exit(l->context))
                timer_disarm(s->timer);
        else if (timer_due(s->timer) == USEC_INFINITY)
                timer_arm(s->timer,
                          now_usec + SIGN_OF_LIFE_TIMEOUTS * l->transport->config.ack_timeout_usec);
}

/* --- for peek --- */

bool link_secure_is_sound(const Link *l, const uint8_t *datagram, size_t n) {
        return security_is_sound(l->secure->security, datagram, n);
}

void link_secure_note_message(Link *l) {
        if (!link_secure_is_open(l))
                return;
        l->secure->worked = true;
        timer_disarm(l->secure->timer);
}

size_t link_secure_look(Link *l, const uint8_t *datagram, size_t n, uint8_t *head, size_t n_head) {
        size_t got = security_look(l->secure->security, datagram, n, head, n_head);

        if (got > 0)
                link_secure_note_message(l);
        return got;
}

bool link_secure_is_opaque(const Link *l) {
        return security_is_opaque(l->secure->security);
}

size_t link_secure_take(Link *l, uint8_t *buffer, size_t n_buffer) {
        return security_take(l->secure->security, buffer, n_buffer);
}

void link_secure_note_dropped(Link *l, uint64_t now_usec) {
        uint64_t n = dropped_note(&l->secure->dropped, now_usec);

        if (n > 0)
                log_with(LOG_LEVEL_WARNING, &(LogFields){ .ssid = l->ssid },
                         "%" PRIu64 " datagrams from its address were forged, repeated or out of "
                         "place, and ignored",
                         n);
}

void link_secure_note_refused(Link *l) {
        l->secure->refused = true;
}
