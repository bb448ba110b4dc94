/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "ctl/json.h"
#include "ctl/server.h"
#include "ctl/verbs.h"

static void print_field(const char *name, const char *value) {
        g_autofree char *text = printable(value);

        if (text[0] != '\0')
                printf("  %-14s %s\n", name, text);
}

static void print_time(const char *name, int64_t time_ns) {
        g_autofree char *text = time_text(time_ns);

        printf("  %-14s %s\n", name, text);
}

static const char *colour_of(const Ctl *c, const char *state) {
        if (!c->colour)
                return "";
        if (strcmp(state, "online") == 0 || strcmp(state, "registered") == 0)
                return "\033[32m";
        if (strcmp(state, "failed") == 0 || strcmp(state, "offline") == 0)
                return "\033[31m";
        return "\033[33m";
}

/* For how long at most stands in the line below it. */
static void print_queue_mode(const char *mode) {
        if (strcmp(mode, "asleep") == 0)
                print_field("queue mode", "asleep until the next update or data to send");
        else if (strcmp(mode, "none") != 0)
                print_field("queue mode", mode);
}

/* Of what begins with prefix, the rest; NULL. */
static const char *find_feature(const cJSON *manager, const char *prefix) {
        const cJSON *item;

        cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(manager, "Features")) {
                const char *name = cJSON_GetStringValue(item);

                if (name && g_str_has_prefix(name, prefix))
                        return name + strlen(prefix);
        }
        return NULL;
}

static void print_connection_id(const cJSON *manager, const cJSON *server) {
        const char *library = find_feature(manager, "tls-");
        g_autofree char *cannot = g_strdup_printf(
                "this build cannot: %s has none",
                g_strcmp0(library, "openssl") == 0 ? "OpenSSL"
                : g_strcmp0(library, "gnutls") == 0 ? "GnuTLS" : library ?: "its TLS library");

        print_field("connection id", json_bool(server, "ConnectionId")        ? "agreed"
                                     : find_feature(manager, "connection-id") ? "not agreed by the "
                                                                                "server"
                                                                              : cannot);
}

static void print_security(const cJSON *manager, const cJSON *server) {
        const char *mode = json_string(server, "Security", ""),
                   *cipher = json_string(server, "Cipher", "");

        print_field("security", mode);
        if (json_integer(server, "EnrolledUntil", 0) > 0) {
                print_time("certificate to", json_integer(server, "EnrolledUntil", 0));
                print_field("issued by", json_string(server, "EnrolledBy", ""));
        }
        print_field("enrolment", json_string(server, "Enrolment", ""));
        if (!*cipher)
                return;
        print_field("cipher", cipher);
        print_field("session", json_bool(server, "Resumed") ? "resumed" : "new");
        if (g_ascii_strncasecmp(json_string(server, "Uri", ""), "coaps:", 6) == 0)
                print_connection_id(manager, server);
}

static void print_server(const Ctl *c, const cJSON *manager, const cJSON *server) {
        const cJSON *error = cJSON_GetObjectItemCaseSensitive(server, "LastError");
        const char *name = json_string(server, "Name", "?"),
                   *state = json_string(server, "State", "?");
        const char *code = "", *text = "";

        printf("\nserver %s  %s%s%s\n", name, colour_of(c, state), state,
               c->colour ? "\033[0m" : "");
        print_field("uri", json_string(server, "Uri", ""));
        print_security(manager, server);
        print_field("binding", json_string(server, "Binding", ""));
        print_field("LwM2M version", json_string(server, "LwM2MVersion", ""));
        print_field("location", json_string(server, "Location", ""));
        print_time(strcmp(name, "bootstrap") == 0 ? "bootstrapped" : "registered",
                   json_integer(server, "LastRegistered", 0));
        print_queue_mode(json_string(server, "QueueMode", "none"));
        if (json_integer(server, "NextUpdate", 0) > 0)
                print_time(strcmp(name, "bootstrap") == 0 ? "next attempt" : "next update",
                           json_integer(server, "NextUpdate", 0));
        if (json_integer(server, "QueuedNotifications", 0) > 0)
                printf("  %-14s %" G_GINT64_FORMAT " notifications\n", "queued",
                       json_integer(server, "QueuedNotifications", 0));
        if (json_integer(server, "DroppedNotifications", 0) > 0)
                printf("  %-14s %" G_GINT64_FORMAT " stored notifications\n", "dropped",
                       json_integer(server, "DroppedNotifications", 0));
        if (cJSON_GetArraySize(error) == 2) {
                code = cJSON_GetStringValue(cJSON_GetArrayItem(error, 0)) ?: "";
                text = cJSON_GetStringValue(cJSON_GetArrayItem(error, 1)) ?: "";
        }
        if (code[0] != '\0' || text[0] != '\0') {
                g_autofree char *both = g_strdup_printf("%s%s%s", code, code[0] ? ": " : "", text);

                print_field("last error", both);
        }
}

int verb_status(Ctl *c, const Args *a) {
        g_autoptr(cJSON) manager = NULL, servers = NULL;
        const char *state;
        const cJSON *server;
        CtlExit code;

        code = ctl_properties(c, NULL, "Manager", &manager);
        if (code == CTL_OK)
                code = server_list(c, &servers);
        if (code != CTL_OK)
                return code;
        if (c->json) {
                cJSON_AddItemToObject(manager, "Servers", g_steal_pointer(&servers));
                json_print_line(manager);
                return CTL_OK;
        }
        state = json_string(manager, "State", "?");
        printf("lwm2md %s  %s%s%s%s\n", json_string(manager, "Version", "?"), colour_of(c, state),
               state, c->colour ? "\033[0m" : "",
               json_bool(manager, "Paused") && strcmp(state, "paused") != 0 ? " (paused)" : "");
        print_field("endpoint", json_string(manager, "Endpoint", ""));
        if (cJSON_GetArraySize(servers) == 0)
                print_field("servers", "none; add one with `lwm2mctl server add URI`");
        cJSON_ArrayForEach(server, servers) print_server(c, manager, server);
        return CTL_OK;
}

int verb_update(Ctl *c, const Args *a) {
        return ctl_call(c, NULL, "Manager", "Update", NULL, NULL, "a{sv}", 0);
}

int verb_start(Ctl *c, const Args *a) {
        const char *endpoint = args_word(a, 0) ?: "";

        if (args_get(a, "--bootstrap"))
                return ctl_call(c, NULL, "Manager", "Start", NULL, NULL, "sa{sv}", endpoint, 1,
                                "bootstrap", "b", 1);
        return ctl_call(c, NULL, "Manager", "Start", NULL, NULL, "sa{sv}", endpoint, 0);
}

int verb_stop(Ctl *c, const Args *a) {
        if (args_get(a, "--force"))
                return ctl_call(c, NULL, "Manager", "Stop", NULL, NULL, "a{sv}", 1, "force", "b",
                                1);
        return ctl_call(c, NULL, "Manager", "Stop", NULL, NULL, "a{sv}", 0);
}

int verb_pause(Ctl *c, const Args *a) {
        return ctl_call(c, NULL, "Manager", "Pause", NULL, NULL, "a{sv}", 0);
}

int verb_resume(Ctl *c, const Args *a) {
        return ctl_call(c, NULL, "Manager", "Resume", NULL, NULL, "a{sv}", 0);
}

int verb_sync(Ctl *c, const Args *a) {
        return ctl_call(c, NULL, "Manager", "Sync", NULL, NULL, NULL);
}

/* systemd's interface for this: the level is a property of a standard object. */
int verb_log_level(Ctl *c, const Args *a) {
        static const char path[] = "/org/freedesktop/LogControl1";
        static const char interface[] = "org.freedesktop.LogControl1";
        sd_bus_error error = SD_BUS_ERROR_NULL;
        g_autofree char *level = NULL;
        CtlExit code;
        int r;

        code = ctl_connect(c);
        if (code != CTL_OK)
                return code;
        if (args_word(a, 0))
                r = sd_bus_set_property(c->bus, c->name, path, interface, "LogLevel", &error, "s",
                                        args_word(a, 0));
        else
                r = sd_bus_get_property_string(c->bus, c->name, path, interface, "LogLevel", &error,
                                               &level);
        if (r < 0)
                code = ctl_bus_fail(c, &error, r, "log-level");
        sd_bus_error_free(&error);
        if (!level)
                return code;
        if (c->json) {
                g_autoptr(cJSON) out = cJSON_CreateObject();

                cJSON_AddStringToObject(out, "level", level);
                json_print_line(out);
        } else
                puts(level);
        return CTL_OK;
}
