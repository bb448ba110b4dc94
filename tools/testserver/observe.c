/* SPDX-License-Identifier: Apache-2.0 */
#include "observe.h"

#include <string.h>

#include "exchange.h"
#include "inbound.h"
#include "report.h"

Observation *observation_free(Observation *o) {
        if (o) {
                g_free(o->endpoint);
                g_free(o->path);
                g_clear_pointer(&o->options, g_array_unref);
                g_clear_pointer(&o->payload, g_bytes_unref);
                cJSON_Delete(o->id);
        }
        g_free(o);
        return NULL;
}

static bool token_equal(const Token *a, const Token *b) {
        return a->length == b->length && memcmp(a->bytes, b->bytes, a->length) == 0;
}

Observation *observe_find(Server *s, const Token *token, const char *endpoint, const char *path) {
        for (guint i = s->observations->len; i > 0; i--) {
                Observation *o = s->observations->pdata[i - 1];

                if (token ? token_equal(&o->token, token)
                          : g_strcmp0(o->path, path) == 0 &&
                                    (!endpoint || g_strcmp0(o->endpoint, endpoint) == 0))
                        return o;
        }
        return NULL;
}

void observe_begin(Server *s, Observation *o) {
        observe_end(s, &o->token);
        g_ptr_array_add(s->observations, o);
}

void observe_end(Server *s, const Token *token) {
        Observation *o = observe_find(s, token, NULL, NULL);

        if (o)
                g_ptr_array_remove(s->observations, o);
}

static cJSON *notify_event(const Observation *o, const Message *m, const char *answer) {
        cJSON *event = report_event("notify");

        report_message(event, m);
        cJSON_AddStringToObject(event, "path", o->path);
        if (o->endpoint)
                cJSON_AddStringToObject(event, "ep", o->endpoint);
        if (o->id)
                cJSON_AddItemToObject(event, "observation", cJSON_Duplicate(o->id, true));
        cJSON_AddStringToObject(event, "answer", answer);
        return event;
}

/* The event of a notification in blocks waits here until the later blocks are read. */
static void on_rest(Exchange *x, const char *error) {
        cJSON *event = x->userdata;
        g_autoptr(GBytes) body = g_bytes_new(x->body->data, x->body->len);

        if (error)
                cJSON_AddStringToObject(event, "error", error);
        else if (x->last && WIRE_CLASS(x->last->code) != 2)
                report_code(event, "error", x->last->code);
        cJSON_AddNumberToObject(event, "blocks", x->n_blocks + 1);
        (void) report_body(event, body, NULL);
        report_print(event);
}

static void fetch_rest(Server *s, const Observation *o, const Message *m, cJSON *event,
                       uint8_t szx) {
        Exchange *x = exchange_new(s, &o->peer, o->method);
        size_t length;
        const void *data = g_bytes_get_data(m->payload, &length);

        g_array_unref(x->options);
        x->options = g_array_ref(o->options);
        x->payload = o->payload ? g_bytes_ref(o->payload) : NULL;
        x->block2_szx = szx;
        g_byte_array_append(x->body, data, (guint) length);
        for (guint i = 0; i < m->options->len; i++) {
                const Option *option = &g_array_index(m->options, Option, i);

                if (option->number == OPTION_ETAG && !x->etag)
                        x->etag = g_bytes_ref(option->value);
        }
        x->done = on_rest;
        x->userdata = event;
        exchange_start(x);
}

bool observe_on_response(Server *s, const Address *from, const Message *m, const Rule *rule) {
        Observation *o = observe_find(s, &m->token, NULL, NULL);
        const char *answer = "none";
        cJSON *event;
        Block b;

        if (!o)
                return false;
        o->peer = *from;
        if (o->reset_next || (rule && rule->reset)) {
                inbound_answer_empty(s, from, m, WIRE_RST, rule);
                answer = "rst";
        } else if (m->type == WIRE_CON && !(rule && rule->silent)) {
                inbound_answer_empty(s, from, m, WIRE_ACK, rule);
                answer = "ack";
        }
        event = notify_event(o, m, answer);
        if (m->payload && g_str_equal(answer, "rst") == FALSE && WIRE_CLASS(m->code) == 2 &&
            message_block(m, OPTION_BLOCK2, &b) >= 0 && b.more && b.num == 0) {
                fetch_rest(s, o, m, event, b.szx);
                return true;
        }
        (void) report_body(event, m->payload, NULL);
        if (WIRE_CLASS(m->code) != 2)
                cJSON_AddBoolToObject(event, "ended", true);
        report_print(event);
        if (o->reset_next || WIRE_CLASS(m->code) != 2)
                g_ptr_array_remove(s->observations, o);
        return true;
}
