/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/json.h"
#include "ctl/schema.h"
#include "ctl/server.h"
#include "ctl/verbs.h"

/* Nodes of the tree by path, out of Data.List, with "value" from Data.GetMany where there is one.
 */
static CtlExit list_nodes(Ctl *c, const char *path, cJSON **ret) {
        g_autoptr(sd_bus_message) reply = NULL;
        CtlExit code;
        int r;

        code = ctl_call(c, NULL, "Data", "List", NULL, &reply, "sa{sv}", path, 1, "depth", "u", 4);
        if (code != CTL_OK)
                return code;
        r = json_read(reply, ret);
        return r < 0 ? ctl_protocol_fail(r, "List") : CTL_OK;
}

/* Values of one prefix into the hash table path -> cJSON. A refusal leaves the nodes without
 * values: the security objects are listed, but never readable here. */
static CtlExit add_values(Ctl *c, const char *path, GHashTable *values) {
        g_autoptr(sd_bus_message) m = NULL, reply = NULL;
        g_autoptr(cJSON) list = NULL;
        sd_bus_error error = SD_BUS_ERROR_NULL;
        cJSON *item;
        CtlExit code;
        int r;

        code = ctl_message(c, NULL, "Data", "GetMany", &m);
        if (code != CTL_OK)
                return code;
        r = sd_bus_message_append(m, "asa{sv}", 1, path, 0);
        if (r < 0)
                return ctl_protocol_fail(r, "GetMany");
        r = sd_bus_call(c->bus, m, 0, &error, &reply);
        if (r < 0) {
                code = ctl_error_code(error.name);
                if (code == CTL_DENIED || code == CTL_NOT_FOUND)
                        code = CTL_OK;
                else
                        code = ctl_bus_fail(c, &error, r, path);
                sd_bus_error_free(&error);
                return code;
        }
        r = json_read(reply, &list);
        if (r < 0)
                return ctl_protocol_fail(r, "GetMany");
        cJSON_ArrayForEach(item, list) {
                const char *key = cJSON_GetStringValue(cJSON_GetArrayItem(item, 0));

                g_hash_table_replace(values, g_strdup(key ?: ""),
                                     cJSON_DetachItemFromArray(item, 1));
        }
        return CTL_OK;
}

static void delete_json(void *item) {
        cJSON_Delete(item);
}

static CtlExit add_all_values(Ctl *c, const CtlPath *p, const cJSON *nodes, GHashTable *values) {
        g_autoptr(GHashTable) objects = g_hash_table_new(NULL, NULL);
        const cJSON *node;
        CtlExit code = CTL_OK;

        if (p->n > 0) {
                g_autofree char *path = ctl_path_text(p);

                return add_values(c, path, values);
        }
        cJSON_ArrayForEach(node, nodes) {
                const char *path = cJSON_GetStringValue(cJSON_GetArrayItem(node, 0));
                g_autofree char *object = NULL;
                CtlPath q;

                if (!path || ctl_path_parse(path, &q) < 0 || q.n == 0 ||
                    !g_hash_table_add(objects, GUINT_TO_POINTER(q.id[0])))
                        continue;
                object = g_strdup_printf("/%u", q.id[0]);
                code = add_values(c, object, values);
                if (code != CTL_OK)
                        return code;
        }
        return code;
}

/* "value (Name, Cel)  [observed by 1, 2] [owner :1.7]" */
static void print_long(Ctl *c, const CtlPath *p, const cJSON *info, const char *value) {
        const cJSON *object = NULL, *resource = NULL, *observers, *item;
        g_autofree char *path = ctl_path_text(p);
        const char *units;

        if (schema_object(c, p->id[0], &object) == CTL_OK && p->n >= 3)
                resource = schema_peek(c, p);
        printf("%-18s %-4s %s%s(%s", path, json_string(info, "ops", ""), value, value[0] ? " " : "",
               json_string(resource ?: object, "name", "?"));
        units = json_string(resource, "units", "");
        printf("%s%s)", units[0] ? ", " : "", units);
        observers = cJSON_GetObjectItemCaseSensitive(info, "observed_by");
        cJSON_ArrayForEach(item, observers) {
                g_autofree char *ssid = json_text(item);

                printf("%s%s", item == observers->child ? " observed by " : ",", ssid);
        }
        if (json_string(info, "owner", "")[0])
                printf(" owner %s", json_string(info, "owner", ""));
        cJSON_ArrayForEach(item, info) /* "attributes", or "attributes-ID" of several servers */
                if (g_str_has_prefix(item->string, "attributes") && cJSON_IsString(item))
                        printf(" <%s%s%s>", item->string[10] ? item->string + 11 : "",
                               item->string[10] ? ": " : "", item->valuestring);
        if (cJSON_GetObjectItemCaseSensitive(info, "cache"))
                printf(" cache %" PRId64 "/%" PRId64, json_integer(info, "cached", 0),
                       json_integer(info, "cache", 0));
        if (json_bool(info, "persisted"))
                printf(" kept");
        putchar('\n');
}

static void print_nodes(Ctl *c, const cJSON *nodes, GHashTable *values, bool is_long) {
        const cJSON *node;

        cJSON_ArrayForEach(node, nodes) {
                const char *path = cJSON_GetStringValue(cJSON_GetArrayItem(node, 0));
                const cJSON *info = cJSON_GetArrayItem(node, 1);
                const cJSON *value = path ? g_hash_table_lookup(values, path) : NULL;
                g_autofree char *text = value ? json_text(value) : g_strdup("");
                const char *opaque = json_string(value, "opaque", NULL);
                CtlPath p;

                if (!path || ctl_path_parse(path, &p) < 0)
                        continue;
                if (opaque) {
                        g_free(text);
                        text = g_strdup_printf("OPAQUE(%zu)", opaque_length(opaque));
                }
                if (is_long)
                        print_long(c, &p, info, text);
                else if (value)
                        printf("%s : %s\n", path, text);
        }
}

static void print_json(const cJSON *nodes, GHashTable *values) {
        g_autoptr(cJSON) out = cJSON_CreateArray();
        const cJSON *node;

        cJSON_ArrayForEach(node, nodes) {
                const char *path = cJSON_GetStringValue(cJSON_GetArrayItem(node, 0));
                cJSON *item = cJSON_Duplicate(cJSON_GetArrayItem(node, 1), true);
                const cJSON *value = path ? g_hash_table_lookup(values, path) : NULL;

                cJSON_AddStringToObject(item, "path", path ?: "");
                if (value)
                        cJSON_AddItemToObject(item, "value", cJSON_Duplicate(value, true));
                cJSON_AddItemToArray(out, item);
        }
        json_print_line(out);
}

int verb_ls(Ctl *c, const Args *a) {
        g_autoptr(GHashTable) values =
                g_hash_table_new_full(g_str_hash, g_str_equal, g_free, delete_json);
        g_autofree char *path = NULL;
        g_autoptr(cJSON) nodes = NULL;
        CtlPath p = { 0 };
        CtlExit code;

        code = ctl_path(args_word(a, 0) ?: "/", 0, 4, &p);
        if (code != CTL_OK)
                return code;
        path = ctl_path_text(&p);
        code = list_nodes(c, path, &nodes);
        if (code == CTL_OK)
                code = add_all_values(c, &p, nodes, values);
        if (code != CTL_OK)
                return code;
        if (c->json)
                print_json(nodes, values);
        else
                print_nodes(c, nodes, values, args_get(a, "--long"));
        return CTL_OK;
}

/* The values of a new instance: /RESOURCE=VALUE or RESOURCE=VALUE, relative to it. */
static CtlExit append_relative(Ctl *c, sd_bus_message *m, const CtlPath *parent, const char *text) {
        g_auto(Input) in = { 0 };
        g_autofree char *relative = NULL;
        CtlPath p, full = *parent;
        const char *value;
        CtlExit code;
        int r;

        code = ctl_assignment(text, 1, &p, &value);
        if (code != CTL_OK)
                return code;
        if (p.n > 2)
                return ctl_fail(CTL_USAGE,
                                "'%s': the path is relative to the new instance, "
                                "/RESOURCE or /RESOURCE/INSTANCE",
                                text);
        relative = ctl_path_text(&p);
        full.id[2] = p.id[0];
        full.id[3] = p.id[1];
        full.n = p.n + 2;
        code = input_parse(c, &full, DATUM_NONE, value, &in);
        if (code != CTL_OK)
                return code;
        r = sd_bus_message_open_container(m, 'r', "sv");
        if (r >= 0)
                r = sd_bus_message_append(m, "s", relative);
        if (r >= 0)
                r = input_append(m, &in);
        if (r >= 0)
                r = sd_bus_message_close_container(m);
        return r < 0 ? ctl_protocol_fail(r, "Create") : CTL_OK;
}

/* CTL_OK when nothing is at path yet. */
static CtlExit check_absent(Ctl *c, const char *path) {
        g_autoptr(sd_bus_message) m = NULL, reply = NULL;
        sd_bus_error error = SD_BUS_ERROR_NULL;
        CtlExit code;
        int r;

        code = ctl_message(c, NULL, "Data", "Get", &m);
        if (code != CTL_OK)
                return code;
        r = sd_bus_message_append(m, "sa{sv}", path, 0);
        if (r < 0)
                return ctl_protocol_fail(r, "Get");
        r = sd_bus_call(c->bus, m, 0, &error, &reply);
        if (r >= 0)
                code = ctl_fail(CTL_FAILED, "%s: exists already", path);
        else if (ctl_error_code(error.name) != CTL_NOT_FOUND)
                code = ctl_bus_fail(c, &error, r, NULL);
        sd_bus_error_free(&error);
        return code;
}

/* A resource instance comes into being with its value. */
static CtlExit create_resource_instance(Ctl *c, const CtlPath *p, const Args *a) {
        g_autofree char *path = ctl_path_text(p);
        g_autoptr(sd_bus_message) m = NULL;
        g_auto(Input) in = { 0 };
        CtlExit code;
        int r;

        if (a->words->len != 2)
                return ctl_fail(CTL_USAGE,
                                "%s: a resource instance is created with its value: "
                                "lwm2mctl create %s VALUE",
                                path, path);
        code = input_parse(c, p, DATUM_NONE, args_word(a, 1), &in);
        if (code == CTL_OK)
                code = check_absent(c, path);
        if (code == CTL_OK)
                code = ctl_message(c, NULL, "Data", "Set", &m);
        if (code != CTL_OK)
                return code;
        r = sd_bus_message_append(m, "s", path);
        if (r >= 0)
                r = input_append(m, &in);
        if (r >= 0)
                r = sd_bus_message_append(m, "a{sv}", 0);
        return r < 0 ? ctl_protocol_fail(r, "Set") : ctl_send(c, m, NULL, NULL);
}

int verb_create(Ctl *c, const Args *a) {
        g_autoptr(sd_bus_message) m = NULL, reply = NULL;
        g_autofree char *path = NULL;
        const char *instance;
        CtlPath p;
        CtlExit code;
        int r;

        code = ctl_path(args_word(a, 0), 1, 4, &p);
        if (code != CTL_OK)
                return code;
        if (p.n == 4)
                return create_resource_instance(c, &p, a);
        if (p.n == 3)
                return ctl_fail(CTL_USAGE,
                                "'%s' is the path of a resource; create takes that of "
                                "an object, an instance or a resource instance",
                                args_word(a, 0));
        path = ctl_path_text(&p);
        code = ctl_message(c, NULL, "Data", "Create", &m);
        if (code != CTL_OK)
                return code;
        r = sd_bus_message_append(m, "s", path);
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'a', "(sv)");
        for (unsigned i = 1; r >= 0 && i < a->words->len; i++) {
                code = append_relative(c, m, &p, args_word(a, i));
                if (code != CTL_OK)
                        return code;
        }
        if (r >= 0)
                r = sd_bus_message_close_container(m);
        if (r >= 0)
                r = sd_bus_message_append(m, "a{sv}", 0);
        if (r < 0)
                return ctl_protocol_fail(r, "Create");
        code = ctl_send(c, m, NULL, &reply);
        if (code != CTL_OK)
                return code;
        r = sd_bus_message_read(reply, "s", &instance);
        if (r < 0)
                return ctl_protocol_fail(r, "Create");
        if (c->json) {
                g_autoptr(cJSON) out = cJSON_CreateObject();

                cJSON_AddStringToObject(out, "path", instance);
                json_print_line(out);
        } else
                puts(instance);
        return CTL_OK;
}

int verb_delete(Ctl *c, const Args *a) {
        g_autoptr(sd_bus_message) m = NULL;
        CtlExit code;
        int r;

        code = ctl_message(c, NULL, "Data", "Delete", &m);
        if (code != CTL_OK)
                return code;
        r = sd_bus_message_open_container(m, 'a', "s");
        for (unsigned i = 0; r >= 0 && i < a->words->len; i++) {
                g_autofree char *path = NULL;
                CtlPath p;

                code = ctl_path(args_word(a, i), 2, 4, &p);
                if (code != CTL_OK)
                        return code;
                if (p.n == 3)
                        return ctl_fail(CTL_USAGE,
                                        "'%s' is the path of a resource; delete takes "
                                        "that of an instance or a resource instance",
                                        args_word(a, i));
                path = ctl_path_text(&p);
                r = sd_bus_message_append(m, "s", path);
        }
        if (r >= 0)
                r = sd_bus_message_close_container(m);
        if (r >= 0)
                r = sd_bus_message_append(m, "a{sv}", 0);
        return r < 0 ? ctl_protocol_fail(r, "Delete") : ctl_send(c, m, NULL, NULL);
}
