/* SPDX-License-Identifier: Apache-2.0 */
#include "coap/link_oscore.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "coap/oscore_state.h"
#include "util/log.h"

#define LOG_EVERY_USEC (60 * USEC_PER_SEC)
#define NAME_IN_KEY 32u /* digits of the context's name that go into a request key */
#define DIAGNOSTIC_MAX 80u

/* Of all links with these keys. */
typedef struct Shared {
        unsigned n_links;
        Oscore *oscore;
        OscoreState *state;
        uint8_t echo[OSCORE_ECHO]; /* proves freshness; another one in each process */
} Shared;

struct LinkOscore {
        CoapTransport *transport;
        Shared *shared;
        uint64_t logged_usec;    /* the last refusal; 0: none */
        uint64_t challenge_usec; /* … and question for a proof, that was logged */
};

/* --- life --- */

static void free_shared(void *data) {
        Shared *s = data;

        oscore_state_close(s->state);
        oscore_free(s->oscore);
        g_free(s);
}

/* The Sender ID is that of one context only (RFC 8613, section 3.3): of two, each would count the
 * numbers for itself. */
static bool is_sender_taken(const CoapTransport *t, const char *name) {
        GHashTableIter iter;
        void *other;

        if (!t->oscore)
                return false;
        g_hash_table_iter_init(&iter, t->oscore);
        while (g_hash_table_iter_next(&iter, &other, NULL))
                if (strncmp(other, name, OSCORE_NAME_HALF) == 0)
                        return true;
        return false;
}

static int find_shared(CoapTransport *t, const OscoreKeys *keys, Shared **ret, char **ret_error) {
        g_autoptr(Oscore) oscore = NULL;
        OscoreState *state;
        Shared *s;
        int r;

        r = oscore_new(keys, &oscore);
        if (r < 0) {
                *ret_error =
                        g_strdup_printf("the OSCORE keys cannot be derived: %s", g_strerror(-r));
                return r;
        }
        *ret = t->oscore ? g_hash_table_lookup(t->oscore, oscore_name(oscore)) : NULL;
        if (*ret)
                return 0;
        if (!t->config.state_directory) {
                *ret_error = g_strdup("OSCORE needs a state directory: its sequence numbers must "
                                      "not be used twice");
                return -EPROTONOSUPPORT;
        }
        if (is_sender_taken(t, oscore_name(oscore))) {
                *ret_error = g_strdup("another account has the same OSCORE keys and Sender ID with "
                                      "another Recipient ID: numbers would be used twice");
                return -EKEYREJECTED;
        }
        r = oscore_state_open(t->config.state_directory, oscore_name(oscore), &state, ret_error);
        if (r < 0)
                return r;
        s = g_new0(Shared, 1);
        s->oscore = g_steal_pointer(&oscore);
        s->state = state;
        if (getrandom(s->echo, sizeof(s->echo), 0) != sizeof(s->echo))
                for (size_t i = 0; i < sizeof(s->echo); i++)
                        s->echo[i] = (uint8_t) g_random_int();
        if (!t->oscore)
                t->oscore = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, free_shared);
        g_hash_table_insert(t->oscore, (char *) oscore_name(s->oscore), s);
        *ret = s;
        return 0;
}

int link_oscore_new(Link *l, const OscoreKeys *keys, char **ret_error) {
        Shared *shared;
        int r;

        r = find_shared(l->transport, keys, &shared, ret_error);
        if (r < 0)
                return r;
        shared->n_links++;
        l->oscore = g_new0(LinkOscore, 1);
        l->oscore->transport = l->transport;
        l->oscore->shared = shared;
        return 0;
}

LinkOscore *link_oscore_free(LinkOscore *o) {
        if (!o)
                return NULL;
        if (--o->shared->n_links == 0)
                g_hash_table_remove(o->transport->oscore, oscore_name(o->shared->oscore));
        g_free(o);
        return NULL;
}

void link_oscore_free_all(CoapTransport *t) {
        g_clear_pointer(&t->oscore, g_hash_table_unref);
}

size_t link_oscore_overhead(const Link *l) {
        return l->oscore ? oscore_overhead(l->oscore->shared->oscore) : 0;
}

/* --- what goes wrong --- */

/* The owner is told from the loop, as whoever sends or receives may be in the middle of it. */
static int give_up(Link *l, int error, char *text /* taken over */) {
        if (l->refusal == 0) {
                l->refusal = error;
                l->refusal_text = text;
                link_defer(l);
        } else
                g_free(text);
        return error;
}

/* Anybody can send such a thing: once a minute, however many there are. */
static bool may_log(const Link *l, uint64_t *last_usec) {
        uint64_t now_usec = link_now(l);

        if (*last_usec > 0 && now_usec - *last_usec < LOG_EVERY_USEC)
                return false;
        *last_usec = now_usec;
        return true;
}

static void log_refusal(Link *l, const char *what) {
        if (may_log(l, &l->oscore->logged_usec))
                log_with(LOG_LEVEL_WARNING, (&(LogFields){ .ssid = l->ssid }),
                         "OSCORE: refused a request: %s", what);
}

/* --- out --- */

static int take_number(Link *l, OscoreNumber *ret) {
        uint64_t number;
        int r;

        r = oscore_state_take_own(l->oscore->shared->state, &number);
        if (r == -EOVERFLOW)
                return give_up(l, r,
                               g_strdup("all OSCORE sequence numbers are used up: new keys are "
                                        "needed"));
        if (r < 0)
                return give_up(l, r,
                               g_strdup_printf("the OSCORE sequence number cannot be kept: %s",
                                               g_strerror(-r)));
        *ret = oscore_number(number);
        return 0;
}

int link_oscore_seal(Link *l, const OscoreReply *reply, uint8_t *buffer, size_t n, size_t n_buffer,
                     OscoreNumber *ret) {
        bool own = !reply || reply->own;
        g_autofree uint8_t *sealed = NULL;
        OscoreNumber number;
        int k;

        if (!l->oscore || (reply && !reply->sealed))
                return (int) n;
        if (own) {
                k = take_number(l, &number);
                if (k < 0)
                        return k;
        }
        sealed = g_malloc(n_buffer);
        k = oscore_seal(l->oscore->shared->oscore, reply ? &reply->number : NULL,
                        own ? &number : NULL, buffer, n, sealed, n_buffer);
        if (k < 0)
                return k;
        memcpy(buffer, sealed, (size_t) k);
        if (ret && own)
                *ret = number;
        return k;
}

/* --- requests --- */

static bool refuse(Link *l, OscoreRefusal *refusal, uint8_t code, const char *text) {
        log_refusal(l, text);
        *refusal = (OscoreRefusal){ .code = code, .text = text };
        return false;
}

/* What can be told before anything is decrypted. False: *ret_refusal says why not. */
static bool check_request(Link *l, const Packet *p, OscoreOption *option, OscoreRefusal *refusal) {
        const Shared *s = l->oscore->shared;

        if (p->refusal != 0)
                return refuse(l, refusal, p->refusal, "the message cannot be used");
        if (!p->has_oscore)
                return refuse(l, refusal, CODE(4, 1), "not protected by OSCORE");
        if (p->has_block1 || p->has_block2) /* between proxies only: RFC 8613, section 4.1.3.4.2 */
                return refuse(l, refusal, CODE(4, 2), "blocks outside of OSCORE");
        if (oscore_parse_option(p->oscore, p->n_oscore, option) < 0 || option->number.n == 0)
                return refuse(l, refusal, CODE(4, 2), "Failed to decode COSE");
        if (!oscore_is_ours(s->oscore, option))
                return refuse(l, refusal, CODE(4, 1), "Security context not found");
        if (oscore_state_look(s->state, oscore_number_value(&option->number)) == OSCORE_SEEN)
                return refuse(l, refusal, CODE(4, 1), "Replay detected");
        return true;
}

/* After the system has lost power the server must prove that the request is fresh, by repeating it
 * with the Echo option (RFC 8613, appendix B.1.2). */
static bool take_request(Link *l, const Packet *inner, const OscoreOption *option,
                         OscoreReply *reply, OscoreRefusal *refusal) {
        const uint64_t number = oscore_number_value(&option->number);
        const Shared *s = l->oscore->shared;
        int r;

        *reply = (OscoreReply){ .sealed = true, .number = option->number };
        if (oscore_state_look(s->state, number) == OSCORE_FRESH)
                r = oscore_state_take(s->state, number);
        else if (inner->n_echo == sizeof(s->echo) &&
                 memcmp(inner->echo, s->echo, sizeof(s->echo)) == 0)
                r = oscore_state_take_proved(s->state, number);
        else {
                if (may_log(l, &l->oscore->challenge_usec))
                        log_with(LOG_LEVEL_INFO, (&(LogFields){ .ssid = l->ssid }),
                                 "OSCORE: asking the server for a proof that its request is fresh");
                reply->own = true;
                *refusal = (OscoreRefusal){ .code = CODE(4, 1), .protect = true, .echo = s->echo };
                return false;
        }
        if (r >= 0)
                return true;
        log_at(LOG_LEVEL_WARNING, r, (&(LogFields){ .ssid = l->ssid }),
               "OSCORE: the number of a request cannot be kept, refusing it: %m");
        reply->own = true; /* it may come again */
        *refusal = (OscoreRefusal){ .code = CODE(5, 0), .protect = true };
        return false;
}

bool link_oscore_open_request(Link *l, const Packet *p, uint8_t *plain, Packet *ret,
                              OscoreReply *ret_reply, OscoreRefusal *ret_refusal) {
        OscoreOption option;
        int n;

        *ret_reply = (OscoreReply){ .sealed = false };
        if (!check_request(l, p, &option, ret_refusal))
                return false;
        n = oscore_open(l->oscore->shared->oscore, p, &option, NULL, plain);
        if (n < 0 || oscore_read(p, plain, (size_t) n, ret) < 0)
                return refuse(l, ret_refusal, CODE(4, 0), "Decryption failed");
        return take_request(l, ret, &option, ret_reply, ret_refusal);
}

/* --- answers --- */

static char *diagnostic(const Packet *p) {
        gsize n = MIN(p->n_payload, DIAGNOSTIC_MAX);

        if (n == 0 || !g_utf8_validate((const char *) p->payload, (gssize) n, NULL))
                return g_strdup("");
        for (gsize i = 0; i < n; i++)
                if (g_ascii_iscntrl((char) p->payload[i]))
                        return g_strdup("");
        return g_strdup_printf(" (%.*s)", (int) n, (const char *) p->payload);
}

/* What an error without protection means (RFC 8613, section 8.2). Anybody on the way can forge it,
 * as he can drop what we send: it ends the link, and changes nothing else. */
static char *explain(const Packet *p) {
        g_autofree char *text = diagnostic(p);
        const char *why;

        switch (p->code) {
        case CODE(4, 0):
                why = "the server could not decrypt our request: its OSCORE keys are other ones";
                break;
        case CODE(4, 1):
                why = strstr(text, "eplay") ? "the server has seen our OSCORE sequence numbers "
                                              "before: new keys are needed if this stays"
                                            : "the server does not know our OSCORE Sender ID or ID "
                                              "Context";
                break;
        case CODE(4, 2):
                why = "the server has no OSCORE";
                break;
        default:
                why = "the server answers without OSCORE";
        }
        return g_strdup_printf("%s: %u.%02u%s", why, p->code >> 5, p->code & 31U, text);
}

int link_oscore_open_answer(Link *l, const Packet *p, const OscoreNumber *request, uint8_t *plain,
                            Packet *ret) {
        const Oscore *oscore = l->oscore->shared->oscore;
        OscoreOption option;
        int n;

        if (!p->has_oscore)
                return give_up(l, -EKEYREJECTED, explain(p));
        if (p->refusal != 0 || oscore_parse_option(p->oscore, p->n_oscore, &option) < 0)
                return give_up(l, -EKEYREJECTED,
                               g_strdup("the server's answer has a broken OSCORE option"));
        n = oscore_open(oscore, p, &option, request, plain);
        if (n < 0 || oscore_read(p, plain, (size_t) n, ret) < 0)
                return give_up(l, -EKEYREJECTED,
                               g_strdup("the server's answer cannot be decrypted: its OSCORE keys "
                                        "are other ones"));
        return 0;
}

/* --- observations --- */

GBytes *link_oscore_pack(const Link *l, const OscoreReply *reply, GBytes *key) {
        GByteArray *a = g_byte_array_new();
        gsize n;
        const void *bytes;

        if (!l->oscore) {
                g_byte_array_unref(a);
                return key;
        }
        bytes = g_bytes_get_data(key, &n);
        g_byte_array_append(a, (const guint8 *) oscore_name(l->oscore->shared->oscore),
                            NAME_IN_KEY);
        g_byte_array_append(a, &reply->number.n, 1);
        g_byte_array_append(a, reply->number.v, sizeof(reply->number.v));
        g_byte_array_append(a, bytes, (guint) n);
        g_bytes_unref(key);
        return g_byte_array_free_to_bytes(a);
}

int link_oscore_unpack(const Link *l, GBytes *packed, OscoreReply *ret_reply, GBytes **ret_key) {
        const gsize n_head = NAME_IN_KEY + sizeof(OscoreNumber);
        gsize n = 0;
        const uint8_t *bytes = packed ? g_bytes_get_data(packed, &n) : NULL;
        OscoreReply reply = { .sealed = true, .own = true };

        if (!l->oscore) {
                *ret_reply = (OscoreReply){ .sealed = false };
                *ret_key = packed ? g_bytes_ref(packed) : NULL;
                return 0;
        }
        if (n < n_head || memcmp(bytes, oscore_name(l->oscore->shared->oscore), NAME_IN_KEY) != 0)
                return -ESTALE;
        reply.number.n = bytes[NAME_IN_KEY];
        if (reply.number.n == 0 || reply.number.n > sizeof(reply.number.v))
                return -ESTALE;
        memcpy(reply.number.v, bytes + NAME_IN_KEY + 1, sizeof(reply.number.v));
        *ret_reply = reply;
        *ret_key = g_bytes_new_from_bytes(packed, n_head, n - n_head);
        return 0;
}
