/* SPDX-License-Identifier: Apache-2.0 */
#include "exchange.h"

#include <errno.h>
#include <string.h>

#include "report.h"
#include "stream.h"

static void send_next(Exchange *x);

Exchange *exchange_new(Server *s, const Address *to, uint8_t method) {
        Exchange *x = g_new0(Exchange, 1);

        x->server = s;
        x->to = *to;
        x->method = method;
        x->options = options_new();
        x->token = server_token(s);
        x->mid = x->observe = x->block2_szx = -1;
        x->copies = 1;
        x->timeout_ms = 10000;
        x->retransmit = !s->streams;
        x->block1_size = s->streams ? streams_block_size(s, to) : 1024;
        x->body = g_byte_array_new();
        return x;
}

static void clear_source(guint *source) {
        if (*source != 0)
                g_source_remove(*source);
        *source = 0;
}

Exchange *exchange_free(Exchange *x) {
        if (x) {
                clear_source(&x->retransmit_source);
                clear_source(&x->timeout_source);
                g_clear_pointer(&x->options, g_array_unref);
                g_clear_pointer(&x->payload, g_bytes_unref);
                g_clear_pointer(&x->body, g_byte_array_unref);
                g_clear_pointer(&x->sent, g_bytes_unref);
                g_clear_pointer(&x->etag, g_bytes_unref);
                message_free(x->last);
                cJSON_Delete(x->id);
                cJSON_Delete(x->responses);
                observation_free(x->observation);
                g_free(x->file);
        }
        g_free(x);
        return NULL;
}

static void finish(Exchange *x, const char *error) {
        Server *s = x->server;

        clear_source(&x->retransmit_source);
        clear_source(&x->timeout_source);
        g_ptr_array_remove(s->exchanges, x);
        g_queue_push_tail(&s->late, g_memdup2(&x->token, sizeof(x->token)));
        if (s->late.length > SERVER_LATE_MAX)
                g_free(g_queue_pop_head(&s->late));
        x->done(x, error);
        exchange_free(x);
}

static gboolean on_timeout(void *p) {
        Exchange *x = p;

        x->timeout_source = 0;
        finish(x, x->rtt_usec > 0 ? NULL : "timeout"); /* collecting others ends in time */
        return G_SOURCE_REMOVE;
}

static gboolean on_retransmit(void *p) {
        Exchange *x = p;

        x->retransmit_source = 0;
        if (x->n_retransmits >= x->server->max_retransmit)
                return G_SOURCE_REMOVE; /* the timeout ends it */
        x->n_retransmits++;
        server_send(x->server, &x->to, x->sent, 0, 1, 0);
        x->retransmit_source = g_timeout_add(
                x->server->ack_timeout_ms << MIN(x->n_retransmits, 16U), on_retransmit, x);
        return G_SOURCE_REMOVE;
}

/* Later blocks of an answer are asked for without the body of the request, but for FETCH, where it
 * says what is wanted. */
static void add_payload(Exchange *x, Message *m) {
        size_t total = x->payload ? g_bytes_get_size(x->payload) : 0, length;
        uint8_t szx = 0;
        bool more;

        if (total == 0 || (x->body->len > 0 && x->method != WIRE_CODE(0, 5)))
                return;
        if (x->manual_blocks || x->body->len > 0 || (total <= x->block1_size && !x->uploading)) {
                m->payload = g_bytes_ref(x->payload);
                return;
        }
        x->uploading = true;
        while (szx < 7 && 16U << szx < x->block1_size)
                szx++;
        length = MIN(total - x->block1_offset, x->block1_size);
        more = x->block1_offset + length < total;
        options_add_uint(m->options, OPTION_BLOCK1,
                         x->block1_offset / MIN(x->block1_size, 1024) << 4 | (more ? 8U : 0U) |
                                 szx);
        if (x->block1_offset == 0)
                options_add_uint(m->options, OPTION_SIZE1, (uint32_t) total);
        m->payload = g_bytes_new_from_bytes(x->payload, x->block1_offset, length);
}

static bool last_upload(const Exchange *x) {
        return !x->uploading || x->block1_offset + x->block1_size >= g_bytes_get_size(x->payload);
}

static Message *next_message(Exchange *x) {
        Message *m;

        x->sent_mid = x->mid >= 0 ? (uint16_t) x->mid : x->server->next_mid++;
        x->mid = -1;
        m = message_new(x->type, x->method, x->sent_mid, &x->token);
        for (guint i = 0; i < x->options->len; i++) {
                const Option *o = &g_array_index(x->options, Option, i);
                size_t length;
                const void *value = g_bytes_get_data(o->value, &length);

                options_add(m->options, o->number, value, length);
        }
        if (x->observe >= 0 && x->body->len == 0)
                options_add_uint(m->options, OPTION_OBSERVE, (uint32_t) x->observe);
        add_payload(x, m);
        if (x->body->len > 0 && !x->manual_blocks)
                options_add_uint(m->options, OPTION_BLOCK2,
                                 x->body->len >> (MIN(x->block2_szx, 6) + 4) << 4 |
                                         (uint32_t) x->block2_szx);
        else if (x->block2_szx >= 0 && last_upload(x))
                options_add_uint(m->options, OPTION_BLOCK2, (uint32_t) x->block2_szx);
        return m;
}

static void send_next(Exchange *x) {
        g_autoptr(Message) m = next_message(x);

        g_clear_pointer(&x->sent, g_bytes_unref);
        x->sent = message_encode(m);
        x->n_blocks++;
        clear_source(&x->retransmit_source);
        clear_source(&x->timeout_source);
        x->timeout_source = g_timeout_add(x->timeout_ms, on_timeout, x);
        if (x->type == WIRE_CON && x->retransmit)
                x->retransmit_source = g_timeout_add(x->server->ack_timeout_ms, on_retransmit, x);
        server_send(x->server, &x->to, x->sent, 0, x->copies, x->delay_ms);
}

void exchange_start(Exchange *x) {
        g_ptr_array_add(x->server->exchanges, x);
        x->started_usec = g_get_monotonic_time();
        send_next(x);
}

static bool stop_here(Exchange *x) {
        if (x->stop_after == 0 || x->n_blocks < x->stop_after)
                return false;
        x->stopped = true;
        finish(x, NULL);
        return true;
}

static void go_on(Exchange *x) {
        if (stop_here(x))
                return;
        if (x->fresh_tokens)
                x->token = server_token(x->server);
        send_next(x);
}

/* Answers to a block that was not the last: 2.31, or 4.13 with the size the other side can take. */
static bool upload_continues(Exchange *x, const Message *m) {
        Block b;

        if (!x->uploading || message_block(m, OPTION_BLOCK1, &b) < 0)
                return false;
        if (m->code == WIRE_CODE(4, 13) && x->block1_offset == 0 && b.szx < 7 &&
            16U << b.szx < x->block1_size) {
                x->block1_size = 16U << b.szx;
                send_next(x);
                return true;
        }
        if (m->code != WIRE_CODE(2, 31))
                return false;
        if (last_upload(x)) {
                finish(x, "2.31 for the last block");
                return true;
        }
        if (b.num != x->block1_offset / MIN(x->block1_size, 1024)) {
                finish(x, "2.31 for another block");
                return true;
        }
        x->block1_offset += x->block1_size;
        /* A smaller size may be asked for: the offset is a multiple of it as well. */
        if (b.szx < 7 && 16U << b.szx < x->block1_size)
                x->block1_size = 16U << b.szx;
        go_on(x);
        return true;
}

static GBytes *message_etag(const Message *m) {
        for (guint i = 0; i < m->options->len; i++) {
                const Option *o = &g_array_index(m->options, Option, i);

                if (o->number == OPTION_ETAG)
                        return o->value;
        }
        return NULL;
}

static bool same_bytes(GBytes *a, GBytes *b) {
        return a == b || (a && b && g_bytes_equal(a, b));
}

static const char *check_block(Exchange *x, const Message *m, const Block *b) {
        size_t length = m->payload ? g_bytes_get_size(m->payload) : 0;

        if (block_offset(b) != x->body->len)
                return "Block2 of another number";
        if (x->block2_szx >= 0 && b->szx > x->block2_szx)
                return "Block2 larger than asked for";
        if (!block_fits(b, length))
                return "Block2 with a payload of another size";
        if (x->body->len > 0 && !same_bytes(message_etag(m), x->etag))
                return "ETag changed between blocks";
        return NULL;
}

/* Takes one block of an answer; true when more have been asked for or the exchange has ended. */
static bool download_continues(Exchange *x, const Message *m) {
        const char *error;
        size_t length = 0;
        const void *data = m->payload ? g_bytes_get_data(m->payload, &length) : NULL;
        Block b = { 0 };
        int r;

        r = x->manual_blocks || WIRE_CLASS(m->code) != 2 ? -ENOENT
                                                         : message_block(m, OPTION_BLOCK2, &b);
        if (r == -EBADMSG || (r == -ENOENT && x->body->len > 0 && WIRE_CLASS(m->code) == 2)) {
                finish(x, "no valid Block2 in a later block");
                return true;
        }
        if (r >= 0) {
                error = check_block(x, m, &b);
                if (error) {
                        finish(x, error);
                        return true;
                }
                if (x->body->len == 0 && message_etag(m))
                        x->etag = g_bytes_ref(message_etag(m));
                x->block2_szx = b.szx;
        } else if (x->body->len > 0)
                g_byte_array_set_size(x->body, 0); /* an error ended it: its text is the body */
        if (length > 0)
                g_byte_array_append(x->body, data, (guint) length);
        if (r < 0 || !b.more)
                return false;
        if (x->observe >= 0 && x->n_blocks == 1)
                x->token = server_token(x->server); /* the first one belongs to the observation */
        go_on(x);
        return true;
}

static Message *message_copy(const Message *m) {
        Message *copy = message_new(m->type, m->code, m->mid, &m->token);

        for (guint i = 0; i < m->options->len; i++) {
                Option o = g_array_index(m->options, Option, i);

                g_bytes_ref(o.value);
                g_array_append_val(copy->options, o);
        }
        copy->payload = m->payload ? g_bytes_ref(m->payload) : NULL;
        return copy;
}

static void collect(Exchange *x, const Message *m) {
        cJSON *o = cJSON_CreateObject();

        report_message(o, m);
        (void) report_body(o, m->payload, NULL);
        if (!x->responses)
                x->responses = cJSON_CreateArray();
        cJSON_AddItemToArray(x->responses, o);
}

static void take_response(Exchange *x, const Message *m) {
        if (x->rtt_usec > 0) { /* the answer is complete, this is one more */
                collect(x, m);
                return;
        }
        clear_source(&x->retransmit_source);
        x->separate |= m->type != WIRE_ACK;
        message_free(x->last);
        x->last = message_copy(m);
        if (x->observe == 0 && x->observation && WIRE_CLASS(m->code) == 2) {
                uint32_t seq;

                if (message_uint(m, OPTION_OBSERVE, &seq) >= 0)
                        observe_begin(x->server, g_steal_pointer(&x->observation));
        }
        if (upload_continues(x, m) || download_continues(x, m))
                return;
        x->rtt_usec = MAX(g_get_monotonic_time() - x->started_usec, 1);
        if (x->collect_ms == 0) {
                finish(x, NULL);
                return;
        }
        clear_source(&x->timeout_source);
        x->timeout_source = g_timeout_add(x->collect_ms, on_timeout, x);
}

static Exchange *find(Server *s, const Address *from, const Message *m, bool by_token) {
        for (guint i = 0; i < s->exchanges->len; i++) {
                Exchange *x = s->exchanges->pdata[i];

                if (by_token
                            ? x->token.length == m->token.length &&
                                      memcmp(&x->token.bytes, &m->token.bytes, m->token.length) == 0
                            : x->sent_mid == m->mid)
                        if (address_equal(&x->to, from))
                                return x;
        }
        return NULL;
}

bool exchange_on_response(Server *s, const Address *from, const Message *m) {
        Exchange *x = find(s, from, m, true);

        if (!x || (m->type == WIRE_ACK && m->mid != x->sent_mid))
                return false;
        take_response(x, m);
        return true;
}

bool exchange_on_empty(Server *s, const Address *from, const Message *m) {
        Exchange *x = find(s, from, m, false);

        if (!x)
                return false;
        if (m->type == WIRE_RST && x->rtt_usec == 0) {
                finish(x, "reset");
                return true;
        }
        if (m->type != WIRE_ACK)
                return false;
        clear_source(&x->retransmit_source);
        x->separate = true;
        return true;
}
