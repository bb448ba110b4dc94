/* SPDX-License-Identifier: Apache-2.0 */
/* The signalling messages of CoAP over TCP (RFC 8323, section 5). */
#include <string.h>

#include "coap/tcp.h"

/* Options of an answer beside its block; a server that takes less is of no use. */
#define OPTIONS_ROOM 128u

/* --- out --- */

void tcp_send_signal(Link *l, uint8_t code, const uint8_t *token, size_t n_token, const void *body,
                     size_t n_body) {
        uint8_t frame[2 + PACKET_TOKEN_MAX + TCP_DIAGNOSTIC_MAX + 2], *pos = frame;

        *pos++ = (uint8_t) (MIN(n_body, 13) << 4 | n_token);
        if (n_body >= 13)
                *pos++ = (uint8_t) (n_body - 13);
        *pos++ = code;
        if (n_token > 0)
                pos = mempcpy(pos, token, n_token);
        if (n_body > 0)
                pos = mempcpy(pos, body, n_body);
        tcp_put(l, frame, (size_t) (pos - frame));
}

/* RFC 8323, section 5.6; option: of its CSM, that is bad; 0: none. */
static void abort_for(Link *l, uint32_t option, const char *why) {
        uint8_t body[TCP_DIAGNOSTIC_MAX], *pos = body;
        size_t n;

        if (option > 0) {
                *pos++ = ABORT_BAD_CSM_OPTION << 4 | 2;
                *pos++ = (uint8_t) (option >> 8);
                *pos++ = (uint8_t) option;
        }
        *pos++ = 0xff;
        n = MIN(strlen(why), sizeof(body) - (size_t) (pos - body));
        memcpy(pos, why, n);
        tcp_send_signal(l, SIGNAL_ABORT, NULL, 0, body, (size_t) (pos - body) + n);
        tcp_end(l, -EPROTO, "%s", why);
}

void tcp_abort(Link *l, const char *why) {
        abort_for(l, 0, why);
}

void tcp_send_csm(Link *l) {
        size_t max = l->transport->config.message_max;
        uint8_t options[1 + 3 + 1], n = max >> 16 ? 3 : 2, *pos = options;

        *pos++ = (uint8_t) (CSM_MAX_MESSAGE_SIZE << 4 | n);
        for (unsigned i = n; i > 0; i--)
                *pos++ = (uint8_t) (max >> (8 * (i - 1)));
        *pos++ = (CSM_BLOCK_WISE_TRANSFER - CSM_MAX_MESSAGE_SIZE) << 4;
        tcp_send_signal(l, SIGNAL_CSM, NULL, 0, options, (size_t) (pos - options));
}

void tcp_send_ping(Link *l) {
        static const uint8_t custody[] = { PING_CUSTODY << 4 };
        Tcp *t = l->tcp;
        uint8_t token[4];

        if (++t->n_pings == 0)
                t->n_pings = 1;
        for (unsigned i = 0; i < sizeof(token); i++)
                token[i] = (uint8_t) (t->n_pings >> (24 - 8 * i));
        if (timer_due(t->deadline) == USEC_INFINITY)
                timer_arm(t->deadline, link_now(l) + tcp_patience(l));
        tcp_send_signal(l, SIGNAL_PING, token, sizeof(token), custody, sizeof(custody));
}

/* --- in --- */

static uint32_t big_endian(const uint8_t *v, size_t n) {
        uint32_t r = 0;

        for (size_t i = 0; i < n; i++)
                r = r << 8 | v[i];
        return r;
}

static void set_max_out(Link *l, const FrameOption *o) {
        uint32_t max = o->n <= 4 ? big_endian(o->value, o->n) : UINT32_MAX;

        if (max < block_size(0) + OPTIONS_ROOM) {
                abort_for(l, CSM_MAX_MESSAGE_SIZE, "Max-Message-Size is too small");
                return;
        }
        l->tcp->max_out = max;
}

static void take_csm(Link *l, const FrameOption *o) {
        if (o->number == CSM_MAX_MESSAGE_SIZE)
                set_max_out(l, o);
        else if (o->number == CSM_BLOCK_WISE_TRANSFER)
                l->tcp->blocks_told = l->tcp->blocks = true;
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
                timer_arm(t->deadline, link_now(l) + tcp_patience(l));
}

/* The text of Abort and Release (RFC 8323, section 5.5 and 5.6). bad: the option of our CSM that
 * the server does not take; 0: none. */
static void end_by_server(Link *l, const char *what, uint32_t bad, const uint8_t *payload,
                          size_t n) {
        g_autofree char *text = NULL;

        if (n > 0 && n <= TCP_DIAGNOSTIC_MAX &&
            g_utf8_validate((const char *) payload, (gssize) n, NULL)) {
                g_autofree char *raw = g_strndup((const char *) payload, n);

                text = g_strescape(raw, NULL);
        }
        if (bad > 0)
                tcp_end(l, -EPROTO, "the server does not take option %u of our CSM%s%s", bad,
                        text ? ": " : "", text ?: "");
        else
                tcp_end(l, -ECONNRESET, "the server has %s the connection%s%s", what,
                        text ? ": " : "", text ?: "");
}

/* Options behind the first that is critical are of no use: nothing critical is defined. */
void tcp_take_signal(Link *l, const FrameHead *h, const uint8_t *frame) {
        static const uint8_t custody[] = { PING_CUSTODY << 4 };
        const uint8_t *token = frame + h->n_head, *body = token + h->n_token;
        size_t n = (size_t) h->n_body, at = 0;
        FrameOption o = { .number = 0 };
        bool is_end = h->code == SIGNAL_RELEASE || h->code == SIGNAL_ABORT, wants_custody = false;
        uint32_t bad = 0;
        int r;

        while ((r = frame_next_option(body, n, &at, &o)) > 0 && l->tcp->error == 0) {
                if ((o.number & 1) && !is_end) { /* what ends does so all the same */
                        abort_for(l, h->code == SIGNAL_CSM ? o.number : 0,
                                  "unknown critical option in a signalling message");
                        return;
                }
                if (h->code == SIGNAL_ABORT && o.number == ABORT_BAD_CSM_OPTION && o.n <= 2)
                        bad = big_endian(o.value, o.n);
                if (h->code == SIGNAL_CSM)
                        take_csm(l, &o);
                wants_custody |= h->code == SIGNAL_PING && o.number == PING_CUSTODY;
        }
        if (r < 0 && is_end)
                at = n; /* no text */
        else if (r < 0)
                tcp_abort(l, "broken options");
        if (l->tcp->error < 0)
                return;
        switch (h->code) {
        case SIGNAL_PING: /* custody only of what has been answered */
                tcp_send_signal(l, SIGNAL_PONG, token, h->n_token, custody,
                                wants_custody && l->exchanges.length == 0 ? sizeof(custody) : 0);
                break;
        case SIGNAL_PONG:
                take_pong(l, token, h->n_token);
                break;
        case SIGNAL_RELEASE:
                end_by_server(l, "released", 0, body + at, n - at);
                break;
        case SIGNAL_ABORT:
                end_by_server(l, "aborted", bad, body + at, n - at);
                break;
        default: /* a CSM, or something of the future */
                break;
        }
}
