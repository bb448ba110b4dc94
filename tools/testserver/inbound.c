/* SPDX-License-Identifier: Apache-2.0 */
#include "inbound.h"

#include <errno.h>
#include <string.h>

#include "exchange.h"
#include "observe.h"
#include "registry.h"
#include "report.h"

/* A confirmable or non-confirmable message that came, and what it was answered with. */
typedef struct Seen {
        Address from;
        uint16_t mid;
        GBytes *answer; /* NULL: nothing was sent */
        int64_t time_usec;
} Seen;

#define EXCHANGE_LIFETIME_USEC (247 * G_USEC_PER_SEC)

static void seen_free(void *p) {
        Seen *seen = p;

        g_clear_pointer(&seen->answer, g_bytes_unref);
        g_free(seen);
}

void inbound_clear(Server *s) {
        g_queue_clear_full(&s->seen, seen_free);
}

static Seen *seen_find(Server *s, const Address *from, uint16_t mid) {
        int64_t now = g_get_monotonic_time();

        for (GList *l = s->seen.tail; l; l = l->prev) {
                Seen *seen = l->data;

                if (now - seen->time_usec > EXCHANGE_LIFETIME_USEC)
                        return NULL;
                if (seen->mid == mid && address_equal(&seen->from, from))
                        return seen;
        }
        return NULL;
}

static void seen_add(Server *s, const Address *from, uint16_t mid) {
        Seen *seen = g_new0(Seen, 1);

        *seen = (Seen){ .from = *from, .mid = mid, .time_usec = g_get_monotonic_time() };
        g_queue_push_tail(&s->seen, seen);
        if (s->seen.length > SERVER_SEEN_MAX)
                seen_free(g_queue_pop_head(&s->seen));
}

static void seen_answer(Server *s, const Address *from, const Message *m, GBytes *bytes) {
        Seen *seen = m->type == WIRE_CON || m->type == WIRE_NON ? seen_find(s, from, m->mid) : NULL;

        if (seen && !seen->answer)
                seen->answer = g_bytes_ref(bytes);
}

static void answer_with(Server *s, const Address *to, const Message *m, const Message *answer,
                        unsigned delay_ms, const Rule *rule) {
        g_autoptr(GBytes) bytes = message_encode(answer);

        seen_answer(s, to, m, bytes);
        server_send(s, to, bytes, delay_ms, rule ? rule->copies : 1, 0);
}

void inbound_answer_empty(Server *s, const Address *to, const Message *m, WireType type,
                          const Rule *rule) {
        g_autoptr(Message) answer = message_new(type, 0, m->mid, NULL);

        answer_with(s, to, m, answer, rule ? rule->delay_ms : 0, rule);
}

static Message *reply_message(Server *s, const Message *m, const Reply *reply, const Rule *rule) {
        bool ack = m->type == WIRE_CON && !(rule && rule->separate);
        WireType type = ack ? WIRE_ACK : m->type;
        uint8_t code = rule && rule->code >= 0 ? (uint8_t) rule->code : reply->code;
        Message *answer = message_new(type, code, ack ? m->mid : s->next_mid++, &m->token);

        if (reply->options && code == reply->code) {
                g_array_unref(answer->options);
                answer->options = g_array_ref(reply->options);
        }
        if (rule && rule->format >= 0)
                options_add_uint(answer->options, OPTION_CONTENT_FORMAT, (uint32_t) rule->format);
        if (rule && rule->max_age >= 0)
                options_add_uint(answer->options, OPTION_MAX_AGE, (uint32_t) rule->max_age);
        if (rule && rule->payload)
                answer->payload = g_bytes_new(rule->payload, strlen(rule->payload));
        else if (reply->payload)
                answer->payload = g_bytes_ref(reply->payload);
        return answer;
}

uint8_t inbound_reply(Server *s, const Address *to, const Message *m, const Reply *reply,
                      const Rule *rule) {
        g_autoptr(Message) answer = NULL;

        if (rule && rule->silent)
                return 0;
        if (rule && rule->reset) {
                inbound_answer_empty(s, to, m, WIRE_RST, rule);
                return 0;
        }
        answer = reply_message(s, m, reply, rule);
        if (rule && rule->separate && m->type == WIRE_CON) {
                g_autoptr(Message) ack = message_new(WIRE_ACK, 0, m->mid, NULL);

                answer_with(s, to, m, ack, 0, NULL);
        }
        answer_with(s, to, m, answer, rule ? rule->delay_ms : 0, rule);
        return answer->code;
}

static void report_stray(Server *s, const char *name, const Address *from, const Message *m) {
        cJSON *event = report_event(name);
        g_autofree char *address = address_to_string(from);

        cJSON_AddStringToObject(event, "addr", address);
        report_message(event, m);
        (void) report_body(event, m->payload, NULL);
        report_print(event);
}

static bool is_late(Server *s, const Token *token) {
        for (GList *l = s->late.head; l; l = l->next) {
                const Token *t = l->data;

                if (t->length == token->length && memcmp(t->bytes, token->bytes, t->length) == 0)
                        return true;
        }
        return false;
}

static void on_response(Server *s, const Address *from, const Message *m, const Rule *rule) {
        uint32_t seq;
        bool late;

        if (exchange_on_response(s, from, m)) {
                if (m->type == WIRE_CON && !(rule && rule->silent))
                        inbound_answer_empty(s, from, m, rule && rule->reset ? WIRE_RST : WIRE_ACK,
                                             rule);
                return;
        }
        if (observe_on_response(s, from, m, rule))
                return;
        late = message_uint(m, OPTION_OBSERVE, &seq) == -ENOENT && is_late(s, &m->token);
        if (m->type == WIRE_CON && (late || s->reset_unknown))
                inbound_answer_empty(s, from, m, late ? WIRE_ACK : WIRE_RST, NULL);
        report_stray(s, late ? "late" : "unknown", from, m);
}

static void on_empty(Server *s, const Address *from, const Message *m) {
        static const char *const names[] = { "ping", "unknown", "ack", "rst" };

        if (exchange_on_empty(s, from, m))
                return;
        if (m->type == WIRE_CON)
                server_send_empty(s, from, WIRE_RST, m->mid);
        report_stray(s, names[m->type], from, m);
}

static bool on_duplicate(Server *s, const Address *from, const Message *m) {
        Seen *seen = seen_find(s, from, m->mid);

        if (!seen)
                return false;
        if (seen->answer)
                server_send(s, from, seen->answer, 0, 1, 0);
        report_stray(s, "duplicate", from, m);
        return true;
}

static const char *kind_of(Server *s, const Address *from, const Message *m, cJSON *params) {
        if (WIRE_CLASS(m->code) == 0)
                return registry_kind(s, from, m, params);
        return observe_find(s, &m->token, NULL, NULL) ? "notify" : "response";
}

static void on_message(Server *s, const Address *from, const Message *m) {
        cJSON *params = cJSON_CreateObject();
        const char *kind = kind_of(s, from, m, params);
        const Rule *rule;
        Block b;

        if (m->type <= WIRE_NON && on_duplicate(s, from, m)) {
                cJSON_Delete(params);
                return;
        }
        if (WIRE_CLASS(m->code) == 0 && message_block(m, OPTION_BLOCK1, &b) >= 0 && b.more)
                rule = NULL; /* rules are for whole requests */
        else
                rule = rule_find(s, kind, params);
        if (rule && rule->drop) {
                report_stray(s, "dropped", from, m);
        } else {
                if (m->type <= WIRE_NON)
                        seen_add(s, from, m->mid);
                if (WIRE_CLASS(m->code) == 0)
                        registry_on_request(s, from, m, kind, params, rule);
                else
                        on_response(s, from, m, rule);
        }
        cJSON_Delete(params);
}

void inbound_take(Server *s, const Address *from, const uint8_t *data, size_t length) {
        g_autoptr(Message) m = NULL;

        if (message_parse(data, length, &m) < 0) {
                cJSON *event = report_event("malformed");
                g_autofree char *address = address_to_string(from);

                cJSON_AddStringToObject(event, "addr", address);
                report_hex(event, "hex", data, length);
                report_print(event);
        } else if (m->code == 0)
                on_empty(s, from, m);
        else
                on_message(s, from, m);
}

gboolean inbound_on_readable(int fd, GIOCondition condition, void *userdata) {
        static uint8_t data[WIRE_DATAGRAM_MAX];
        Server *s = userdata;

        for (unsigned i = 0; i < 64; i++) { /* then let timers run */
                Address from = { .length = sizeof(from.storage) };
                ssize_t n = recvfrom(fd, data, sizeof(data), 0, (struct sockaddr *) &from.storage,
                                     &from.length);

                if (n < 0)
                        break; /* EAGAIN, or an ICMP error that belongs to no request */
                inbound_take(s, &from, data, (size_t) n);
        }
        return G_SOURCE_CONTINUE;
}
