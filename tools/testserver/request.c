/* SPDX-License-Identifier: Apache-2.0 */
#include "request.h"

#include <errno.h>
#include <string.h>

#include "exchange.h"
#include "field.h"
#include "report.h"

enum { GET = 1, POST, PUT, DELETE, FETCH, PATCH, IPATCH };

static const struct {
        const char *op;
        uint8_t method;
        int accept; /* -1 for none */
        int format; /* of the payload, when the command does not say; -1 for none */
} operations[] = {
        { "read", GET, -1, -1 },
        { "observe", GET, -1, -1 },
        { "discover", GET, 40, -1 },
        { "write", PUT, -1, 0 },
        { "write_attributes", PUT, -1, -1 },
        { "execute", POST, -1, 0 },
        { "create", POST, -1, 11542 },
        { "delete", DELETE, -1, -1 },
        { "finish", POST, -1, -1 },
        { "read_composite", FETCH, -1, 110 },
        { "observe_composite", FETCH, -1, 110 },
        { "write_composite", IPATCH, -1, 110 },
};

int request_target(Server *s, const cJSON *command, Address *ret, char **ret_error) {
        const char *to = field_string(command, "to"), *ep = field_string(command, "ep");
        const Registration *reg;

        if (to) {
                if (address_parse(to, s->family, ret) >= 0)
                        return 0;
                *ret_error = g_strdup_printf("'%s' is not an address", to);
                return -EINVAL;
        }
        reg = server_by_endpoint(s, ep);
        if (!reg) {
                *ret_error = g_strdup_printf("no endpoint '%s' is registered", ep ? ep : "");
                return -ENOENT;
        }
        *ret = reg->peer;
        return 0;
}

static int refuse(char **ret_error, const char *text) {
        *ret_error = g_strdup(text);
        return -EINVAL;
}

static int parse_method(const char *text, uint8_t *ret) {
        static const char *const names[] = { "GET",   "POST",  "PUT",   "DELETE",
                                             "FETCH", "PATCH", "iPATCH" };

        for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
                if (g_strcmp0(names[i], text) == 0) {
                        *ret = (uint8_t) (i + 1);
                        return 0;
                }
        }
        return text ? field_parse_code(text, ret) : -EINVAL;
}

static void add_segments(GArray *options, const char *path) {
        g_auto(GStrv) parts = NULL;

        if (path[0] == '\0' || g_str_equal(path, "/"))
                return;
        parts = g_strsplit(path[0] == '/' ? path + 1 : path, "/", -1);
        for (size_t i = 0; parts[i]; i++)
                options_add(options, OPTION_URI_PATH, parts[i], strlen(parts[i]));
}

/* "pmin=1&pmax=5" or ["pmin=1", "pmax=5"] */
static int add_query(GArray *options, const cJSON *query) {
        g_auto(GStrv) parts = NULL;
        const cJSON *item;

        if (cJSON_IsString(query)) {
                parts = g_strsplit(query->valuestring, "&", -1);
                for (size_t i = 0; parts[i]; i++)
                        options_add(options, OPTION_URI_QUERY, parts[i], strlen(parts[i]));
                return 0;
        }
        if (query && !cJSON_IsArray(query))
                return -EINVAL;
        cJSON_ArrayForEach(item, query) {
                if (!cJSON_IsString(item))
                        return -EINVAL;
                options_add(options, OPTION_URI_QUERY, item->valuestring,
                            strlen(item->valuestring));
        }
        return 0;
}

static void cbor_head(GByteArray *out, uint8_t major, size_t value) {
        uint8_t head[3] = { (uint8_t) (major << 5 | 25), (uint8_t) (value >> 8), (uint8_t) value };
        uint8_t small[2] = { (uint8_t) (major << 5 | 24), (uint8_t) value };

        if (value < 24) {
                small[0] = (uint8_t) (major << 5 | value);
                g_byte_array_append(out, small, 1);
        } else if (value < 256)
                g_byte_array_append(out, small, 2);
        else
                g_byte_array_append(out, head, 3);
}

/* A list of paths as SenML records with only a name, in CBOR (label 0) or JSON ("n"). */
static int paths_payload(const cJSON *paths, int format, GBytes **ret) {
        g_autoptr(GByteArray) out = g_byte_array_new();
        const cJSON *item;
        cJSON *list = cJSON_CreateArray();
        char *text;

        cbor_head(out, 4, (size_t) cJSON_GetArraySize(paths));
        cJSON_ArrayForEach(item, paths) {
                const char *path = cJSON_GetStringValue(item);
                cJSON *record = cJSON_CreateObject();

                cJSON_AddStringToObject(record, "n", path ? path : "");
                cJSON_AddItemToArray(list, record);
                if (!path)
                        continue;
                cbor_head(out, 5, 1);
                cbor_head(out, 0, 0);
                cbor_head(out, 3, strlen(path));
                g_byte_array_append(out, (const uint8_t *) path, (guint) strlen(path));
        }
        text = cJSON_PrintUnformatted(list);
        if (format == 112)
                *ret = g_bytes_new(out->data, out->len);
        else
                *ret = g_bytes_new(text, strlen(text));
        cJSON_free(text);
        cJSON_Delete(list);
        return format == 112 || format == 110 ? 0 : -EINVAL;
}

static int set_blocks(Exchange *x, const cJSON *c, char **ret_error) {
        const char *blocks = field_string(c, "blocks");
        unsigned block1 = (unsigned) field_number(c, "block", x->block1_size);
        unsigned block2 = (unsigned) field_number(c, "block2", 0);

        if (blocks && !g_str_equal(blocks, "auto") && !g_str_equal(blocks, "manual"))
                return refuse(ret_error, "\"blocks\" is auto or manual");
        if ((block1 <= 1024 ? block1 & (block1 - 1) : block1 % 1024) != 0 ||
            (block2 & (block2 - 1)) != 0)
                return refuse(ret_error,
                              "a block size is a power of two, or over TCP a multiple of 1024");
        x->manual_blocks = g_strcmp0(blocks, "manual") == 0;
        x->block1_size = block1;
        for (unsigned size = block2; size >= 16; size /= 2)
                x->block2_szx++;
        x->stop_after = (unsigned) field_number(c, "stop_after", 0);
        x->fresh_tokens = field_bool(c, "fresh_tokens", false);
        x->file = g_strdup(field_string(c, "out_file"));
        return 0;
}

static int set_sending(Exchange *x, const cJSON *c, char **ret_error) {
        const char *type = field_string(c, "type"), *token = field_string(c, "token");

        if (type && !g_str_equal(type, "con") && !g_str_equal(type, "non"))
                return refuse(ret_error, "\"type\" is con or non");
        if (token && field_parse_token(token, &x->token) < 0)
                return refuse(ret_error, "\"token\" is up to 8 bytes in hex");
        x->type = g_strcmp0(type, "non") == 0 ? WIRE_NON : WIRE_CON;
        x->mid = (int) field_number(c, "mid", -1);
        x->copies = (unsigned) field_number(c, "copies", 1);
        x->delay_ms = (unsigned) field_number(c, "delay_ms", 0);
        x->collect_ms = (unsigned) field_number(c, "collect_ms", 0);
        x->timeout_ms = (unsigned) field_number(c, "timeout_ms", x->timeout_ms);
        x->retransmit = field_bool(c, "retransmit", x->retransmit);
        return set_blocks(x, c, ret_error);
}

static int set_format(Exchange *x, const cJSON *c, const char *key, uint16_t option, int otherwise,
                      int *ret, char **ret_error) {
        const cJSON *item = cJSON_GetObjectItemCaseSensitive(c, key);
        int number = otherwise;

        if (item && !cJSON_IsNull(item) && field_parse_format(item, &number) < 0) {
                *ret_error = g_strdup_printf("\"%s\" is no format", key);
                return -EINVAL;
        }
        if (cJSON_IsNull(item))
                number = -1; /* leave the option out */
        if (number >= 0 && (x->payload || option == OPTION_ACCEPT))
                options_add_uint(x->options, option, (uint32_t) number);
        *ret = number;
        return 0;
}

static int set_payload(Exchange *x, const cJSON *c, int otherwise, char **ret_error) {
        const cJSON *paths = cJSON_GetObjectItemCaseSensitive(c, "paths");
        const char *args = field_string(c, "args");
        int r, format = otherwise;

        r = field_payload(c, &x->payload);
        if (r < 0)
                return refuse(ret_error, "the payload cannot be read");
        if ((paths || args) && x->payload)
                return refuse(ret_error, "two payloads");
        if (args)
                x->payload = g_bytes_new(args, strlen(args));
        if (paths) {
                const cJSON *item = cJSON_GetObjectItemCaseSensitive(c, "format");

                if (item && field_parse_format(item, &format) < 0)
                        return refuse(ret_error, "\"format\" is no format");
                if (!cJSON_IsArray(paths) || paths_payload(paths, format, &x->payload) < 0)
                        return refuse(ret_error, "\"paths\" wants a list and a SenML format");
        }
        return set_format(x, c, "format", OPTION_CONTENT_FORMAT, otherwise, &format, ret_error);
}

static cJSON *answer_new(const Exchange *x) {
        cJSON *answer = cJSON_CreateObject();

        if (x->id)
                cJSON_AddItemToObject(answer, "id", cJSON_Duplicate(x->id, true));
        return answer;
}

static void on_done(Exchange *x, const char *error) {
        cJSON *answer = answer_new(x);
        g_autoptr(GBytes) body = g_bytes_new(x->body->data, x->body->len);

        cJSON_AddBoolToObject(answer, "ok", error == NULL);
        if (error)
                cJSON_AddStringToObject(answer, "error", error);
        if (x->last)
                report_message(answer, x->last);
        else
                report_token(answer, &x->token);
        if (x->last && report_body(answer, body, x->file) < 0) {
                cJSON_ReplaceItemInObject(answer, "ok", cJSON_CreateBool(false));
                cJSON_AddStringToObject(answer, "error", "the body cannot be written to its file");
        }
        cJSON_AddNumberToObject(answer, "rtt_us", (double) x->rtt_usec);
        cJSON_AddNumberToObject(answer, "blocks", x->n_blocks);
        cJSON_AddNumberToObject(answer, "retransmits", x->n_retransmits);
        cJSON_AddBoolToObject(answer, "separate", x->separate);
        if (x->stopped)
                cJSON_AddBoolToObject(answer, "stopped", true);
        if (x->responses)
                cJSON_AddItemToObject(answer, "responses", g_steal_pointer(&x->responses));
        report_print(answer);
}

static void on_cancelled(Exchange *x, const char *error) {
        Token *token = x->userdata;

        if (!error)
                observe_end(x->server, token);
        on_done(x, error);
        g_free(token);
}

/* What an observation must remember to be cancelled, and to ask for later blocks. */
static Observation *make_observation(const Exchange *x, const cJSON *c) {
        Observation *o = g_new0(Observation, 1);
        const char *path = field_string(c, "path"), *ep = field_string(c, "ep");
        Address to = x->to;
        const Registration *reg = server_by_address(x->server, &to);

        o->server = x->server;
        o->token = x->token;
        o->peer = x->to;
        o->endpoint = g_strdup(ep ? ep : reg ? reg->endpoint : NULL);
        o->path = g_strdup(path ? path : "");
        o->method = x->method;
        o->options = g_array_ref(x->options);
        o->payload = x->payload ? g_bytes_ref(x->payload) : NULL;
        o->id = x->id ? cJSON_Duplicate(x->id, true) : NULL;
        return o;
}

static int fill_in(Exchange *x, const cJSON *c, int accept, int format, char **ret_error) {
        const char *path = field_string(c, "path");
        const cJSON *options = cJSON_GetObjectItemCaseSensitive(c, "options");
        int r, number;

        if (!path && g_str_equal(field_string(c, "op"), "finish"))
                path = "/bs";
        add_segments(x->options, path ? path : "");
        if (add_query(x->options, cJSON_GetObjectItemCaseSensitive(c, "query")) < 0)
                return refuse(ret_error, "\"query\" is text or a list of texts");
        if (options && (!cJSON_IsArray(options) || field_parse_options(options, x->options) < 0))
                return refuse(ret_error, "\"options\" is a list of [number, value]");
        r = set_payload(x, c, format, ret_error);
        if (r >= 0)
                r = set_format(x, c, "accept", OPTION_ACCEPT, accept, &number, ret_error);
        if (r >= 0)
                r = set_sending(x, c, ret_error);
        return r;
}

static int choose_method(const cJSON *c, const char *op, uint8_t *ret, int *ret_accept,
                         int *ret_format, char **ret_error) {
        const char *mode = field_string(c, "mode");

        *ret_accept = *ret_format = -1;
        if (g_str_equal(op, "request") && parse_method(field_string(c, "method"), ret) < 0)
                return refuse(ret_error, "\"method\" is no method and no code");
        if (mode && !g_str_equal(mode, "replace") && !g_str_equal(mode, "update"))
                return refuse(ret_error, "\"mode\" is replace or update");
        for (size_t i = 0; i < G_N_ELEMENTS(operations); i++) {
                if (!g_str_equal(operations[i].op, op))
                        continue;
                *ret = g_strcmp0(mode, "update") == 0 ? POST : operations[i].method;
                *ret_accept = operations[i].accept;
                *ret_format = operations[i].format;
        }
        return 0;
}

int request_run(Server *s, const cJSON *c, cJSON *answer, char **ret_error) {
        const char *op = field_string(c, "op");
        const cJSON *id = cJSON_GetObjectItemCaseSensitive(c, "id");
        g_autoptr(Exchange) x = NULL;
        int r, accept, format;
        uint8_t method;
        Address to;

        r = choose_method(c, op, &method, &accept, &format, ret_error);
        if (r >= 0)
                r = request_target(s, c, &to, ret_error);
        if (r < 0)
                return r;
        x = exchange_new(s, &to, method);
        x->id = id ? cJSON_Duplicate(id, true) : NULL;
        r = fill_in(x, c, accept, format, ret_error);
        if (r < 0)
                return r;
        x->observe = g_str_has_prefix(op, "observe") ? 0 : (int) field_number(c, "observe", -1);
        if (x->observe == 0)
                x->observation = make_observation(x, c);
        x->done = on_done;
        exchange_start(g_steal_pointer(&x));
        return REQUEST_PENDING;
}

int request_run_cancel(Server *s, const cJSON *c, cJSON *answer, char **ret_error) {
        const char *by = field_string(c, "by"), *text = field_string(c, "token");
        const char *path = field_string(c, "path");
        const cJSON *id = cJSON_GetObjectItemCaseSensitive(c, "id");
        g_autoptr(Exchange) x = NULL;
        Observation *o;
        Token token;
        int r;

        if (by && !g_str_equal(by, "observe") && !g_str_equal(by, "rst"))
                return refuse(ret_error, "\"by\" is observe or rst");
        if (text && field_parse_token(text, &token) < 0)
                return refuse(ret_error, "\"token\" is up to 8 bytes in hex");
        o = observe_find(s, text ? &token : NULL, field_string(c, "ep"), path ? path : "");
        if (!o)
                return refuse(ret_error, "there is no such observation");
        if (g_strcmp0(by, "rst") == 0) {
                o->reset_next = true;
                return 0;
        }
        x = exchange_new(s, &o->peer, o->method);
        r = set_sending(x, c, ret_error);
        if (r < 0)
                return r;
        g_array_unref(x->options);
        x->options = g_array_ref(o->options);
        x->payload = o->payload ? g_bytes_ref(o->payload) : NULL;
        x->token = o->token;
        x->observe = 1;
        x->id = id ? cJSON_Duplicate(id, true) : NULL;
        x->done = on_cancelled;
        x->userdata = g_memdup2(&o->token, sizeof(o->token));
        exchange_start(g_steal_pointer(&x));
        return REQUEST_PENDING;
}
