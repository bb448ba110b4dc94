/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "ctl/json.h"
#include "ctl/schema.h"
#include "ctl/verbs.h"
#include "util/cleanup.h"
#include "util/parse.h"

#define MODEL_FILE_MAX (4U << 20) /* bytes; the largest of the OMA registry has 0.2 MiB */

static CtlExit read_definition(const char *file, char **ret) {
        autofclose FILE *f = fopen(file, "re");
        g_autofree char *text = NULL;
        size_t n;

        if (!f)
                return ctl_fail(CTL_FAILED, "Cannot open '%s': %s", file, g_strerror(errno));
        text = g_malloc(MODEL_FILE_MAX + 1);
        n = fread(text, 1, MODEL_FILE_MAX + 1, f);
        if (ferror(f))
                return ctl_fail(CTL_FAILED, "Cannot read '%s': %s", file, g_strerror(errno));
        if (n > MODEL_FILE_MAX)
                return ctl_fail(CTL_FAILED, "'%s' has more than %u bytes", file, MODEL_FILE_MAX);
        text[n] = '\0';
        if (strlen(text) != n || !g_utf8_validate(text, (gssize) n, NULL))
                return ctl_fail(CTL_FAILED, "'%s' is no UTF-8 text; convert it, e.g. with iconv",
                                file);
        *ret = g_realloc(g_steal_pointer(&text), n + 1);
        return CTL_OK;
}

static CtlExit print_added(Ctl *c, sd_bus_message *reply) {
        g_autoptr(cJSON) list = NULL;
        const cJSON *item;
        int r;

        r = json_read(reply, &list);
        if (r < 0)
                return ctl_protocol_fail(r, "Model");
        if (c->json) {
                json_print_line(list);
                return CTL_OK;
        }
        cJSON_ArrayForEach(item, list) {
                g_autofree char *id = json_text(cJSON_GetArrayItem(item, 0));

                printf("%-6s %s\n", id, cJSON_GetStringValue(cJSON_GetArrayItem(item, 1)) ?: "?");
        }
        return CTL_OK;
}

int verb_model_add(Ctl *c, const Args *a) {
        bool persist = args_get(a, "--persist");
        CtlExit code = CTL_OK;

        for (unsigned i = 0; code == CTL_OK && i < a->words->len; i++) {
                const char *file = args_word(a, i);
                g_autoptr(sd_bus_message) reply = NULL;
                g_autofree char *xml = NULL;

                code = read_definition(file, &xml);
                if (code == CTL_OK)
                        code = ctl_call(c, NULL, "Model", "Define", NULL, &reply, "sa{sv}", xml, 2,
                                        "name", "s", file, "persist", "b", persist);
                if (code == CTL_OK)
                        code = print_added(c, reply);
        }
        return code;
}

int verb_model_list(Ctl *c, const Args *a) {
        g_autoptr(sd_bus_message) reply = NULL;
        g_autoptr(cJSON) list = NULL, out = cJSON_CreateArray();
        const cJSON *item;
        CtlExit code;
        int r;

        code = ctl_call(c, NULL, "Model", "List", NULL, &reply, "a{sv}", 0);
        if (code != CTL_OK)
                return code;
        r = json_read(reply, &list);
        if (r < 0)
                return ctl_protocol_fail(r, "List");
        cJSON_ArrayForEach(item, list) {
                g_autofree char *id = json_text(cJSON_GetArrayItem(item, 0));
                const char *version = cJSON_GetStringValue(cJSON_GetArrayItem(item, 1));
                const cJSON *object = NULL;
                uint16_t number;

                if (parse_u16(id, &number) < 0)
                        return ctl_protocol_fail(-EBADMSG, "List");
                code = schema_object(c, number, &object);
                if (code != CTL_OK)
                        return code;
                if (c->json) {
                        cJSON *entry = cJSON_CreateObject();

                        json_add_integer(entry, "id", number);
                        cJSON_AddStringToObject(entry, "version", version ?: "");
                        cJSON_AddStringToObject(entry, "name", json_string(object, "name", ""));
                        cJSON_AddItemToArray(out, entry);
                } else
                        printf("%-6s %-5s %s\n", id, version ?: "?",
                               json_string(object, "name", "?"));
        }
        if (c->json)
                json_print_line(out);
        return CTL_OK;
}

int verb_model_show(Ctl *c, const Args *a) {
        const cJSON *object, *resource;
        uint16_t id;
        CtlExit code;
        const char *text = args_word(a, 0);

        if (parse_u16(text[0] == '/' ? text + 1 : text, &id) < 0)
                return ctl_fail(CTL_USAGE, "'%s' is no object id: expected 0 to 65535", text);
        code = schema_object(c, id, &object);
        if (code != CTL_OK)
                return code;
        if (c->json) {
                json_print_line(object);
                return CTL_OK;
        }
        printf("%u  %s  %s\n", id, json_string(object, "name", "?"),
               json_string(object, "urn", ""));
        cJSON_ArrayForEach(resource, cJSON_GetObjectItemCaseSensitive(object, "resources")) {
                const char *range = json_string(resource, "range", "");

                printf("%6" G_GINT64_FORMAT "  %-2s  %-16s %s %s  %s%s%s%s%s\n",
                       json_integer(resource, "id", 0), json_string(resource, "operations", ""),
                       json_string(resource, "type", ""),
                       json_bool(resource, "mandatory") ? "mandatory" : "optional ",
                       json_bool(resource, "multiple") ? "multiple" : "single  ",
                       json_string(resource, "name", "?"),
                       json_string(resource, "units", "")[0] ? ", " : "",
                       json_string(resource, "units", ""), range[0] ? ", " : "", range);
        }
        return CTL_OK;
}
