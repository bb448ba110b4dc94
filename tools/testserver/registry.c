/* SPDX-License-Identifier: Apache-2.0 */
#include "registry.h"

#include <string.h>

#include "est.h"
#include "field.h"
#include "inbound.h"
#include "report.h"

/* A body that arrives in Block1 pieces. */
typedef struct Upload {
        Address from;
        char *path;
        GByteArray *body;
} Upload;

static void registration_free(void *p) {
        Registration *reg = p;

        g_free(reg->endpoint);
        g_free(reg->location);
        g_free(reg->version);
        cJSON_Delete(reg->params);
        g_free(reg);
}

static void upload_free(void *p) {
        Upload *u = p;

        g_free(u->path);
        g_byte_array_unref(u->body);
        g_free(u);
}

void registry_init(Server *s) {
        s->registrations = g_ptr_array_new_with_free_func(registration_free);
        s->uploads = g_ptr_array_new_with_free_func(upload_free);
}

void registry_clear(Server *s) {
        g_clear_pointer(&s->registrations, g_ptr_array_unref);
        g_clear_pointer(&s->uploads, g_ptr_array_unref);
}

void registry_forget(Server *s, Registration *reg) {
        g_ptr_array_remove(s->registrations, reg);
}

static void add_query(cJSON *params, const char *text, size_t length) {
        g_autofree char *copy = g_strndup(text, length);
        char *value = strchr(copy, '=');

        if (value)
                *value++ = '\0';
        cJSON_DeleteItemFromObjectCaseSensitive(params, copy);
        cJSON_AddStringToObject(params, copy, value ? value : "");
}

/* The part of a location that all have in common: "/rd/" of "rd/{n}". */
static char *location_stem(const Server *s) {
        g_autofree char *stem = g_strdup(s->location);
        char *mark = strstr(stem, "{n}");

        if (mark)
                *mark = '\0';
        return g_strconcat("/", stem, NULL);
}

static const char *kind_by_path(Server *s, const Message *m, const char *path) {
        g_autofree char *stem = location_stem(s);
        bool post = m->code == WIRE_CODE(0, 2) || m->code == WIRE_CODE(0, 3);
        bool known = server_by_location(s, path) != NULL || g_str_has_prefix(path, stem) ||
                     g_str_has_prefix(path, "/rd/");

        if (m->code == WIRE_CODE(0, 2) && g_str_equal(path, "/rd"))
                return "register";
        if (m->code == WIRE_CODE(0, 2) && g_str_equal(path, "/dp"))
                return "send";
        if (m->code == WIRE_CODE(0, 2) && g_str_equal(path, "/bs"))
                return "bootstrap";
        if (known && post)
                return "update";
        if (known && m->code == WIRE_CODE(0, 4))
                return "deregister";
        return "request";
}

const char *registry_kind(Server *s, const Address *from, const Message *m, cJSON *params) {
        g_autofree char *path = message_joined(m, OPTION_URI_PATH, '/');
        const Registration *reg = server_by_location(s, path);

        for (guint i = 0; i < m->options->len; i++) {
                const Option *o = &g_array_index(m->options, Option, i);
                size_t length;
                const char *text = g_bytes_get_data(o->value, &length);

                if (o->number == OPTION_URI_QUERY && length > 0)
                        add_query(params, text, length);
        }
        if (!reg)
                reg = server_by_address(s, from);
        if (reg && reg->endpoint && !cJSON_HasObjectItem(params, "ep"))
                cJSON_AddStringToObject(params, "ep", reg->endpoint);
        if (!cJSON_HasObjectItem(params, "path"))
                cJSON_AddStringToObject(params, "path", path);
        return kind_by_path(s, m, path);
}

static void add_queries(cJSON *event, const Message *m) {
        cJSON *list = cJSON_CreateArray(), *params = cJSON_CreateObject();

        for (guint i = 0; i < m->options->len; i++) {
                const Option *o = &g_array_index(m->options, Option, i);
                size_t length;
                const char *text = g_bytes_get_data(o->value, &length);
                g_autofree char *copy = g_strndup(text ? text : "", length);

                if (o->number != OPTION_URI_QUERY)
                        continue;
                cJSON_AddItemToArray(list, cJSON_CreateString(copy));
                add_query(params, copy, strlen(copy));
        }
        cJSON_AddItemToObject(event, "params", params);
        cJSON_AddItemToObject(event, "queries", list);
}

static cJSON *request_event(const char *name, const Address *from, const Message *m, GBytes *body) {
        static const char *const methods[] = { "",       "GET",   "POST",  "PUT",
                                               "DELETE", "FETCH", "PATCH", "iPATCH" };
        g_autofree char *address = address_to_string(from);
        g_autofree char *path = message_joined(m, OPTION_URI_PATH, '/');
        cJSON *event = report_event(name);

        report_message(event, m);
        cJSON_AddStringToObject(event, "addr", address);
        cJSON_AddStringToObject(event, "path", path);
        if (m->code < G_N_ELEMENTS(methods))
                cJSON_AddStringToObject(event, "method", methods[m->code]);
        add_queries(event, m);
        (void) report_body(event, body, NULL);
        return event;
}

static char *make_location(Server *s, const Rule *rule) {
        g_autofree char *number = g_strdup_printf("%u", s->next_location++);
        const char *pattern = rule && rule->location ? rule->location : s->location;
        g_auto(GStrv) parts = g_strsplit(pattern, "{n}", 2);
        g_autofree char *joined = g_strjoinv(number, parts);

        return g_strconcat("/", joined, NULL);
}

static Registration *add_registration(Server *s, const Address *from, const cJSON *params,
                                      char *location) {
        const char *ep = field_string(params, "ep");
        Registration *old = server_by_endpoint(s, ep ? ep : ""), *reg = g_new0(Registration, 1);

        if (old)
                registry_forget(s, old);
        reg->endpoint = g_strdup(ep ? ep : "");
        reg->location = location;
        reg->version = g_strdup(field_string(params, "lwm2m"));
        reg->peer = *from;
        reg->params = cJSON_Duplicate(params, true);
        g_ptr_array_add(s->registrations, reg);
        return reg;
}

static void add_location(GArray *options, const char *location) {
        g_auto(GStrv) parts = g_strsplit(location + 1, "/", -1);

        for (size_t i = 0; parts[i]; i++)
                options_add(options, OPTION_LOCATION_PATH, parts[i], strlen(parts[i]));
}

/* Says what was answered: `name` for success, "refused" for an error, "ignored" for nothing. */
static void report_request(const char *name, const char *kind, uint8_t code, cJSON *event) {
        bool good = WIRE_CLASS(code) == 2;

        if (code != 0)
                report_code(event, "code_sent", code);
        if (!good) {
                cJSON_ReplaceItemInObject(event, "event",
                                          cJSON_CreateString(code == 0 ? "ignored" : "refused"));
                cJSON_AddStringToObject(event, "on", kind);
        } else
                cJSON_ReplaceItemInObject(event, "event", cJSON_CreateString(name));
        report_print(event);
}

static void add_text(cJSON *event, const char *key, GBytes *body) {
        size_t length;
        const char *data;
        g_autofree char *text = NULL;

        if (!body) {
                cJSON_AddNullToObject(event, key);
                return;
        }
        data = g_bytes_get_data(body, &length);
        text = g_utf8_make_valid(data ? data : "", (gssize) length);
        cJSON_AddStringToObject(event, key, text);
}

static void on_register(Server *s, const Address *from, const Message *m, GBytes *body,
                        Block *block, const cJSON *params, const Rule *rule) {
        g_autoptr(GArray) options = options_new();
        char *location = make_location(s, rule);
        Reply reply = { .code = WIRE_CODE(2, 1), .options = options };
        cJSON *event = request_event("registered", from, m, body);
        uint8_t code;

        add_location(options, location);
        if (block)
                options_add_uint(options, OPTION_BLOCK1, block->num << 4 | block->szx);
        code = inbound_reply(s, from, m, &reply, rule);
        add_text(event, "links", body);
        cJSON_AddStringToObject(event, "endpoint",
                                field_string(params, "ep") ? field_string(params, "ep") : "");
        if (field_string(params, "lwm2m"))
                cJSON_AddStringToObject(event, "version", field_string(params, "lwm2m"));
        if (code == WIRE_CODE(2, 1)) {
                cJSON_DeleteItemFromObject(event, "location");
                cJSON_AddStringToObject(event, "location", location);
                add_registration(s, from, params, g_steal_pointer(&location));
        }
        g_free(location);
        report_request("registered", "register", code, event);
}

static void on_update(Server *s, const Address *from, const Message *m, GBytes *body, Block *block,
                      const Rule *rule) {
        g_autoptr(GArray) options = options_new();
        g_autofree char *path = message_joined(m, OPTION_URI_PATH, '/');
        Registration *reg = server_by_location(s, path);
        Reply reply = { .code = reg ? WIRE_CODE(2, 4) : WIRE_CODE(4, 4), .options = options };
        cJSON *event = request_event("updated", from, m, body);
        uint8_t code;

        if (block)
                options_add_uint(options, OPTION_BLOCK1, block->num << 4 | block->szx);
        code = inbound_reply(s, from, m, &reply, rule);
        cJSON_AddStringToObject(event, "location", path);
        add_text(event, "links", body);
        if (reg) {
                cJSON_AddStringToObject(event, "endpoint", reg->endpoint);
                if (WIRE_CLASS(code) == 2)
                        reg->peer = *from;
        }
        report_request("updated", "update", code, event);
}

static void on_deregister(Server *s, const Address *from, const Message *m, const Rule *rule) {
        g_autofree char *path = message_joined(m, OPTION_URI_PATH, '/');
        Registration *reg = server_by_location(s, path);
        Reply reply = { .code = reg ? WIRE_CODE(2, 2) : WIRE_CODE(4, 4) };
        cJSON *event = request_event("deregistered", from, m, NULL);
        uint8_t code = inbound_reply(s, from, m, &reply, rule);

        cJSON_AddStringToObject(event, "location", path);
        if (reg) {
                cJSON_AddStringToObject(event, "endpoint", reg->endpoint);
                if (WIRE_CLASS(code) == 2)
                        registry_forget(s, reg);
        }
        report_request("deregistered", "deregister", code, event);
}

static void on_other(Server *s, const Address *from, const Message *m, GBytes *body, Block *block,
                     const char *kind, const cJSON *params, const Rule *rule) {
        g_autoptr(GArray) options = options_new();
        bool known = !g_str_equal(kind, "request");
        Reply reply = { .code = known ? WIRE_CODE(2, 4) : WIRE_CODE(4, 4), .options = options };
        cJSON *event = request_event(kind, from, m, body);
        const char *ep = field_string(params, "ep");
        bool rest;
        Block b;
        uint8_t code;

        if (block)
                options_add_uint(options, OPTION_BLOCK1, block->num << 4 | block->szx);
        if (!rule || rule->code < 0)
                (void) est_answer(s, from, m, field_string(params, "path"), body, &reply, event);
        code = inbound_reply(s, from, m, &reply, rule);
        if (ep)
                cJSON_AddStringToObject(event, "ep", ep);
        if (g_str_equal(kind, "bootstrap") && WIRE_CLASS(code) == 2)
                (void) add_registration(s, from, params, NULL);
        g_clear_pointer(&reply.payload, g_bytes_unref);
        if (code != 0)
                report_code(event, "code_sent", code);
        rest = message_block(m, OPTION_BLOCK2, &b) >= 0 && b.num > 0;
        if (rest) /* of an answer that was reported */
                cJSON_Delete(event);
        else
                report_print(event);
}

static Upload *find_upload(Server *s, const Address *from, const char *path) {
        for (guint i = 0; i < s->uploads->len; i++) {
                Upload *u = s->uploads->pdata[i];

                if (g_str_equal(u->path, path) && address_equal(&u->from, from))
                        return u;
        }
        return NULL;
}

static void refuse_block(Server *s, const Address *from, const Message *m, uint8_t code) {
        Reply reply = { .code = code };

        (void) inbound_reply(s, from, m, &reply, NULL);
}

/* Puts one Block1 piece to its body. true when the body is whole: `*ret_body` is it. */
static bool take_block(Server *s, const Address *from, const Message *m, const Block *b,
                       GBytes **ret_body) {
        g_autofree char *path = message_joined(m, OPTION_URI_PATH, '/');
        g_autoptr(GArray) options = options_new();
        Reply reply = { .code = WIRE_CODE(2, 31), .options = options };
        Upload *u = find_upload(s, from, path);
        size_t length = 0;
        const void *data = m->payload ? g_bytes_get_data(m->payload, &length) : NULL;

        if (u && b->num == 0)
                g_byte_array_set_size(u->body, 0);
        if (!u && b->num == 0) {
                u = g_new0(Upload, 1);
                *u = (Upload){ .from = *from, .path = g_strdup(path), .body = g_byte_array_new() };
                g_ptr_array_add(s->uploads, u);
        }
        if (!u || block_offset(b) != u->body->len || !block_fits(b, length)) {
                refuse_block(s, from, m, WIRE_CODE(4, 8));
                return false;
        }
        if (u->body->len + length > SERVER_UPLOAD_MAX) {
                refuse_block(s, from, m, WIRE_CODE(4, 13));
                return false;
        }
        if (length > 0)
                g_byte_array_append(u->body, data, (guint) length);
        if (b->more) {
                options_add_uint(options, OPTION_BLOCK1, b->num << 4 | 8U | b->szx);
                (void) inbound_reply(s, from, m, &reply, NULL);
                return false;
        }
        *ret_body = g_bytes_new(u->body->data, u->body->len);
        g_ptr_array_remove(s->uploads, u);
        return true;
}

void registry_on_request(Server *s, const Address *from, const Message *m, const char *kind,
                         const cJSON *params, const Rule *rule) {
        g_autoptr(GBytes) body = m->payload ? g_bytes_ref(m->payload) : NULL;
        Block b, *block = NULL;

        if (message_block(m, OPTION_BLOCK1, &b) >= 0) {
                g_clear_pointer(&body, g_bytes_unref);
                if (!take_block(s, from, m, &b, &body))
                        return;
                block = &b;
        }
        if (g_str_equal(kind, "register"))
                on_register(s, from, m, body, block, params, rule);
        else if (g_str_equal(kind, "update"))
                on_update(s, from, m, body, block, rule);
        else if (g_str_equal(kind, "deregister"))
                on_deregister(s, from, m, rule);
        else
                on_other(s, from, m, body, block, kind, params, rule);
}
