/* SPDX-License-Identifier: Apache-2.0 */
#include "rule.h"

#include <errno.h>

#include "field.h"

Rule *rule_free(Rule *rule) {
        if (rule) {
                g_free(rule->on);
                g_free(rule->payload);
                g_free(rule->location);
                cJSON_Delete(rule->match);
        }
        g_free(rule);
        return NULL;
}

static bool known_kind(const char *on) {
        static const char *const kinds[] = { "register",  "update",  "deregister", "send",
                                             "bootstrap", "request", "notify",     "response",
                                             "any",       NULL };

        return on && g_strv_contains(kinds, on);
}

int rule_parse(const cJSON *command, Rule **ret, char **ret_error) {
        g_autoptr(Rule) rule = g_new0(Rule, 1);
        const cJSON *match = cJSON_GetObjectItemCaseSensitive(command, "match");
        const char *code = field_string(command, "code");
        uint8_t value;

        if (!known_kind(field_string(command, "on"))) {
                *ret_error = g_strdup("\"on\" is not a kind of message");
                return -EINVAL;
        }
        if (match && !cJSON_IsObject(match)) {
                *ret_error = g_strdup("\"match\" is not an object");
                return -EINVAL;
        }
        rule->code = -1;
        if (code) {
                if (field_parse_code(code, &value) < 0) {
                        *ret_error = g_strdup_printf("'%s' is not a code", code);
                        return -EINVAL;
                }
                rule->code = value;
        }
        rule->on = g_strdup(field_string(command, "on"));
        rule->match = match ? cJSON_Duplicate(match, true) : NULL;
        rule->times = (int) field_number(command, "times", -1);
        rule->drop = field_bool(command, "drop", false);
        rule->silent = field_bool(command, "silent", false);
        rule->reset = field_bool(command, "rst", false);
        rule->separate = field_bool(command, "separate", false);
        rule->delay_ms = (unsigned) field_number(command, "delay_ms", 0);
        rule->copies = (unsigned) field_number(command, "copies", 1);
        rule->payload = g_strdup(field_string(command, "payload"));
        rule->location = g_strdup(field_string(command, "location"));
        rule->max_age = (int) field_number(command, "max_age", -1);
        rule->format = (int) field_number(command, "format", -1);
        *ret = g_steal_pointer(&rule);
        return 0;
}

static bool fits(const Rule *rule, const char *on, const cJSON *params) {
        const cJSON *item;

        if (rule->times == 0 || (!g_str_equal(rule->on, "any") && !g_str_equal(rule->on, on)))
                return false;
        cJSON_ArrayForEach(item, rule->match) {
                const char *value = params ? field_string(params, item->string) : NULL;

                if (!cJSON_IsString(item) || g_strcmp0(value, item->valuestring) != 0)
                        return false;
        }
        return true;
}

const Rule *rule_find(Server *s, const char *on, const cJSON *params) {
        for (guint i = 0; i < s->rules->len; i++) {
                Rule *rule = s->rules->pdata[i];

                if (!fits(rule, on, params))
                        continue;
                if (rule->times > 0)
                        rule->times--;
                return rule;
        }
        return NULL;
}
