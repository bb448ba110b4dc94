/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "ctl/json.h"
#include "ctl/server.h"
#include "ctl/verbs.h"

static CtlExit list_observations(Ctl *c, const char *server, cJSON *all) {
        g_autoptr(sd_bus_message) reply = NULL;
        g_autoptr(cJSON) list = NULL;
        g_autofree char *path = NULL, *where = g_strdup_printf("server %s", server);
        cJSON *entry;
        CtlExit code;
        int r;

        code = server_path(server, &path);
        if (code == CTL_OK)
                code = ctl_call(c, path, "Server", "ListObservations", where, &reply, NULL);
        if (code != CTL_OK)
                return code;
        r = json_read(reply, &list);
        if (r < 0)
                return ctl_protocol_fail(r, "ListObservations");
        cJSON_ArrayForEach(entry, list) {
                cJSON *item = cJSON_Duplicate(cJSON_GetArrayItem(entry, 1), true);

                if (!item)
                        item = cJSON_CreateObject();
                json_add_integer(item, "server", (int64_t) g_ascii_strtoull(server, NULL, 10));
                cJSON_AddItemToObject(item, "paths",
                                      cJSON_Duplicate(cJSON_GetArrayItem(entry, 0), true));
                cJSON_AddItemToArray(all, item);
        }
        return CTL_OK;
}

static char *join_paths(const cJSON *paths) {
        GString *s = g_string_new(NULL);
        const cJSON *path;

        cJSON_ArrayForEach(path, paths) g_string_append_printf(s, "%s%s", s->len > 0 ? "," : "",
                                                               cJSON_GetStringValue(path) ?: "?");
        return g_string_free(s, FALSE);
}

static void print_table(const cJSON *all) {
        const cJSON *item;
        unsigned n = 0;

        if (all->child)
                printf("%-3s %-6s %-9s %-24s %-24s %-6s %s\n", "#", "server", "composite", "path",
                       "attributes", "sent", "pending");
        cJSON_ArrayForEach(item, all) {
                const cJSON *paths = cJSON_GetObjectItemCaseSensitive(item, "paths");
                const cJSON *attributes = cJSON_GetObjectItemCaseSensitive(item, "attributes");
                g_autofree char *path = join_paths(paths), *attrs = json_text(attributes);
                g_autofree char *sent = json_text(cJSON_GetObjectItemCaseSensitive(item, "sent"));
                g_autofree char *ssid = json_text(cJSON_GetObjectItemCaseSensitive(item, "server"));

                printf("%-3u %-6s %-9s %-24s %-24s %-6s %s\n", ++n, ssid,
                       json_bool(item, "composite") ? "yes" : "no", path, attrs[0] ? attrs : "-",
                       sent, json_bool(item, "pending") ? "yes" : "no");
        }
}

int verb_obs(Ctl *c, const Args *a) {
        g_autoptr(cJSON) servers = NULL, all = cJSON_CreateArray();
        const cJSON *server;
        CtlExit code;

        code = server_list(c, &servers);
        cJSON_ArrayForEach(server, servers) if (code == CTL_OK) code =
                list_observations(c, json_string(server, "Name", ""), all);
        if (code != CTL_OK)
                return code;
        if (c->json)
                json_print_line(all);
        else
                print_table(all);
        return CTL_OK;
}
