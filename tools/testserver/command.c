/* SPDX-License-Identifier: Apache-2.0 */
#include "command.h"

#include <errno.h>
#include <string.h>

#include "est.h"
#include "field.h"
#include "observe.h"
#include "registry.h"
#include "report.h"
#include "request.h"
#include "rule.h"
#include "stream.h"

typedef struct Command {
        const char *op;
        const char *keys; /* that it knows beside "id" and "op", each between spaces */
        int (*run)(Server *s, const cJSON *command, cJSON *answer, char **ret_error);
} Command;

static int run_datagram(Server *s, const cJSON *c, cJSON *answer, char **ret_error) {
        g_autoptr(GBytes) bytes = NULL;
        Address to;
        int r;

        r = request_target(s, c, &to, ret_error);
        if (r < 0)
                return r;
        r = field_payload(c, &bytes);
        if (r < 0 || !bytes) {
                *ret_error = g_strdup("a datagram wants one payload");
                return -EINVAL;
        }
        server_send_raw(s, &to, bytes, (unsigned) field_number(c, "copies", 1),
                        (unsigned) field_number(c, "delay_ms", 0));
        return 0;
}

static int run_disconnect(Server *s, const cJSON *c, cJSON *answer, char **ret_error) {
        const char *how = field_string(c, "how");
        Address to;
        int r;

        r = request_target(s, c, &to, ret_error);
        if (r >= 0)
                r = streams_disconnect(s, &to, how ? how : "fin");
        if (r < 0 && !*ret_error)
                *ret_error = g_strdup(r == -EINVAL ? "\"how\" is fin, rst, release or abort"
                                                   : "there is no such connection");
        return r;
}

static int run_ping(Server *s, const cJSON *c, cJSON *answer, char **ret_error) {
        Address to;
        int r;

        r = request_target(s, c, &to, ret_error);
        return r < 0 ? r : streams_ping(s, &to);
}

static int run_rule(Server *s, const cJSON *c, cJSON *answer, char **ret_error) {
        g_autoptr(Rule) rule = NULL;
        int r;

        r = rule_parse(c, &rule, ret_error);
        if (r < 0)
                return r;
        g_ptr_array_add(s->rules, g_steal_pointer(&rule));
        return 0;
}

static int run_rules_clear(Server *s, const cJSON *c, cJSON *answer, char **ret_error) {
        cJSON_AddNumberToObject(answer, "cleared", s->rules->len);
        g_ptr_array_set_size(s->rules, 0);
        return 0;
}

static int run_set(Server *s, const cJSON *c, cJSON *answer, char **ret_error) {
        const char *location = field_string(c, "location");

        if (location) {
                if (location[0] == '\0' || location[0] == '/') {
                        *ret_error = g_strdup("a location has no leading slash");
                        return -EINVAL;
                }
                g_free(s->location);
                s->location = g_strdup(location);
        }
        s->ack_timeout_ms = (unsigned) field_number(c, "ack_timeout_ms", s->ack_timeout_ms);
        s->max_retransmit = (unsigned) field_number(c, "max_retransmit", s->max_retransmit);
        s->pong = field_bool(c, "pong", s->pong);
        s->reset_unknown = field_bool(c, "reset_unknown", s->reset_unknown);
        return 0;
}

static int run_peers(Server *s, const cJSON *c, cJSON *answer, char **ret_error) {
        cJSON *list = cJSON_AddArrayToObject(answer, "peers");

        for (guint i = 0; i < s->registrations->len; i++) {
                const Registration *reg = s->registrations->pdata[i];
                g_autofree char *address = address_to_string(&reg->peer);
                cJSON *item = cJSON_CreateObject();

                cJSON_AddStringToObject(item, "ep", reg->endpoint);
                cJSON_AddStringToObject(item, "addr", address);
                if (reg->location)
                        cJSON_AddStringToObject(item, "location", reg->location);
                if (reg->version)
                        cJSON_AddStringToObject(item, "version", reg->version);
                cJSON_AddItemToArray(list, item);
        }
        return 0;
}

static int run_forget(Server *s, const cJSON *c, cJSON *answer, char **ret_error) {
        const char *token = field_string(c, "token"), *ep = field_string(c, "ep");
        Registration *reg = token ? NULL : server_by_endpoint(s, ep);
        Token t;

        if (token) {
                if (field_parse_token(token, &t) < 0 || !observe_find(s, &t, NULL, NULL)) {
                        *ret_error = g_strdup_printf("no observation with token '%s'", token);
                        return -ENOENT;
                }
                observe_end(s, &t);
                return 0;
        }
        if (!reg) {
                *ret_error = g_strdup("no such endpoint");
                return -ENOENT;
        }
        registry_forget(s, reg);
        return 0;
}

static int run_quit(Server *s, const cJSON *c, cJSON *answer, char **ret_error) {
        g_main_loop_quit(s->loop);
        return 0;
}

#define TARGET " ep to "
#define PAYLOAD " payload hex base64 file fill format "
#define SENDING                                                                                    \
        " query accept type mid token copies delay_ms collect_ms timeout_ms retransmit options "
#define BLOCKS " block block2 blocks stop_after fresh_tokens out_file "
#define COMMON TARGET SENDING BLOCKS " path "

static const Command commands[] = {
        { "read", COMMON, request_run },
        { "observe", COMMON, request_run },
        { "discover", COMMON, request_run },
        { "write", COMMON PAYLOAD " mode ", request_run },
        { "write_attributes", COMMON, request_run },
        { "execute", COMMON PAYLOAD " args ", request_run },
        { "create", COMMON PAYLOAD, request_run },
        { "delete", COMMON, request_run },
        { "finish", COMMON PAYLOAD, request_run },
        { "read_composite", COMMON PAYLOAD " paths ", request_run },
        { "observe_composite", COMMON PAYLOAD " paths ", request_run },
        { "write_composite", COMMON PAYLOAD, request_run },
        { "request", COMMON PAYLOAD " method observe ", request_run },
        { "cancel", COMMON " by ", request_run_cancel },
        { "datagram", TARGET PAYLOAD " copies delay_ms ", run_datagram },
        { "disconnect", TARGET " how ", run_disconnect },
        { "ping", TARGET, run_ping },
        { "rule",
          " on match times drop silent rst separate code delay_ms copies payload format location "
          "max_age ",
          run_rule },
        { "rules_clear", "", run_rules_clear },
        { "set", " location ack_timeout_ms max_retransmit reset_unknown pong ", run_set },
        { "est", " authority key answer attributes valid_s from_s path ", est_run },
        { "peers", "", run_peers },
        { "forget", " ep token ", run_forget },
        { "quit", "", run_quit },
};

/* What each key must be: s text, n a number in the range that follows, b a boolean. */
static const struct {
        const char *key;
        char type;
        double min, max;
} fields[] = {
        { "ep", 's' },
        { "to", 's' },
        { "path", 's' },
        { "payload", 's' },
        { "hex", 's' },
        { "base64", 's' },
        { "file", 's' },
        { "type", 's' },
        { "token", 's' },
        { "blocks", 's' },
        { "out_file", 's' },
        { "mode", 's' },
        { "args", 's' },
        { "method", 's' },
        { "by", 's' },
        { "on", 's' },
        { "code", 's' },
        { "location", 's' },
        { "how", 's' },
        { "fill", 'n', 0, 64 << 20 },
        { "mid", 'n', 0, 65535 },
        { "copies", 'n', 1, 1000 },
        { "delay_ms", 'n', 0, 600000 },
        { "collect_ms", 'n', 0, 600000 },
        { "timeout_ms", 'n', 1, 600000 },
        { "block", 'n', 16, 64512 },
        { "block2", 'n', 16, 1024 },
        { "stop_after", 'n', 1, 1e6 },
        { "observe", 'n', 0, 16777215 },
        { "times", 'n', 1, 1e6 },
        { "max_age", 'n', 0, 1e6 },
        { "authority", 's' },
        { "key", 's' },
        { "answer", 's' },
        { "attributes", 's' },
        { "valid_s", 'n', -1e9, 1e9 },
        { "from_s", 'n', -1e9, 1e9 },
        { "ack_timeout_ms", 'n', 1, 60000 },
        { "max_retransmit", 'n', 0, 16 },
        { "retransmit", 'b' },
        { "fresh_tokens", 'b' },
        { "drop", 'b' },
        { "silent", 'b' },
        { "rst", 'b' },
        { "separate", 'b' },
        { "reset_unknown", 'b' },
        { "pong", 'b' },
};

static bool type_fits(const cJSON *item) {
        for (size_t i = 0; i < G_N_ELEMENTS(fields); i++) {
                if (!g_str_equal(fields[i].key, item->string))
                        continue;
                if (fields[i].type == 's')
                        return cJSON_IsString(item);
                if (fields[i].type == 'b')
                        return cJSON_IsBool(item);
                return cJSON_IsNumber(item) && item->valuedouble >= fields[i].min &&
                       item->valuedouble <= fields[i].max;
        }
        return true; /* lists, formats and matches are checked where they are read */
}

static int check_fields(const Command *command, const cJSON *c, char **ret_error) {
        const cJSON *item;

        cJSON_ArrayForEach(item, c) {
                g_autofree char *word = g_strdup_printf(" %s ", item->string);

                if (g_str_equal(item->string, "id") || g_str_equal(item->string, "op"))
                        continue;
                if (strchr(item->string, ' ') || !strstr(command->keys, word)) {
                        *ret_error =
                                g_strdup_printf("'%s' takes no \"%s\"", command->op, item->string);
                        return -EINVAL;
                }
                if (!type_fits(item)) {
                        *ret_error = g_strdup_printf("\"%s\" is of another type or out of range",
                                                     item->string);
                        return -EINVAL;
                }
        }
        return 0;
}

static int run(Server *s, const cJSON *c, cJSON *answer, char **ret_error) {
        const char *op = field_string(c, "op");
        int r;

        for (size_t i = 0; i < G_N_ELEMENTS(commands); i++) {
                if (g_strcmp0(commands[i].op, op) != 0)
                        continue;
                r = check_fields(&commands[i], c, ret_error);
                if (r < 0)
                        return r;
                return commands[i].run(s, c, answer, ret_error);
        }
        *ret_error = g_strdup_printf("there is no command '%s'", op ? op : "");
        return -EINVAL;
}

void command_run(Server *s, const char *line) {
        cJSON *command = cJSON_Parse(line), *answer = cJSON_CreateObject();
        const cJSON *id = cJSON_GetObjectItemCaseSensitive(command, "id");
        g_autofree char *error = NULL;
        int r;

        if (id)
                cJSON_AddItemToObject(answer, "id", cJSON_Duplicate(id, true));
        if (cJSON_IsObject(command))
                r = run(s, command, answer, &error);
        else {
                error = g_strdup("not a JSON object");
                r = -EINVAL;
        }
        cJSON_Delete(command);
        if (r == REQUEST_PENDING) { /* the answer comes with the response */
                cJSON_Delete(answer);
                return;
        }
        cJSON_AddBoolToObject(answer, "ok", r >= 0);
        if (r < 0)
                cJSON_AddStringToObject(answer, "error", error ? error : strerror(-r));
        report_print(answer);
}
