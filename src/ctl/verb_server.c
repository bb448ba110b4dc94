/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "ctl/json.h"
#include "ctl/server.h"
#include "ctl/verbs.h"
#include "util/cleanup.h"
#include "util/parse.h"

CtlExit server_path(const char *text, char **ret) {
        uint16_t ssid;

        if (strcmp(text, "bootstrap") != 0 && (parse_u16(text, &ssid) < 0 || ssid == 0))
                return ctl_fail(CTL_USAGE,
                                "'%s' is no server: expected a short server id, 1 to 65534, or "
                                "'bootstrap'",
                                text);
        *ret = g_strdup_printf("%s/%s", SERVER_ROOT, text);
        return CTL_OK;
}

static int by_id(const void *a, const void *b) {
        int64_t left = json_integer(*(cJSON *const *) a, "ShortId", 0);
        int64_t right = json_integer(*(cJSON *const *) b, "ShortId", 0);

        return left < right ? -1 : left > right;
}

CtlExit server_list(Ctl *c, cJSON **ret) {
        g_autoptr(sd_bus_message) m = NULL, reply = NULL;
        g_autoptr(GPtrArray) found = g_ptr_array_new();
        g_autoptr(cJSON) objects = NULL;
        cJSON *object, *list;
        CtlExit code;
        int r;

        code = ctl_connect(c);
        if (code != CTL_OK)
                return code;
        r = sd_bus_message_new_method_call(c->bus, &m, c->name, BUS_ROOT,
                                           "org.freedesktop.DBus.ObjectManager",
                                           "GetManagedObjects");
        if (r >= 0)
                r = sd_bus_message_set_auto_start(m, c->may_activate);
        if (r < 0)
                return ctl_protocol_fail(r, "GetManagedObjects");
        code = ctl_send(c, m, NULL, &reply);
        if (code != CTL_OK)
                return code;
        r = json_read(reply, &objects);
        if (r < 0)
                return ctl_protocol_fail(r, "GetManagedObjects");
        cJSON_ArrayForEach(object, objects) {
                cJSON *server =
                        cJSON_DetachItemFromObjectCaseSensitive(object, BUS_INTERFACE("Server"));
                const char *slash = strrchr(object->string, '/');

                if (!server)
                        continue;
                cJSON_AddStringToObject(server, "Name", slash ? slash + 1 : object->string);
                g_ptr_array_add(found, server);
        }
        g_ptr_array_sort(found, by_id);
        list = cJSON_CreateArray();
        for (guint i = 0; i < found->len; i++)
                cJSON_AddItemToArray(list, g_ptr_array_index(found, i));
        *ret = list;
        return CTL_OK;
}

/* server.add options: each goes to the daemon only when given. */
typedef struct NewAccount {
        const char *uri, *binding;
        uint16_t ssid;
        uint32_t lifetime, hold_off, account_timeout;
        bool bootstrap;
} NewAccount;

static int append_account(sd_bus_message *m, const NewAccount *n) {
        const struct {
                const char *name;
                uint32_t value;
        } numbers[] = {
                { "lifetime", n->lifetime },
                { "hold_off", n->hold_off },
                { "account_timeout", n->account_timeout },
        };
        int r;

        r = sd_bus_message_open_container(m, 'a', "{sv}");
        if (r >= 0)
                r = sd_bus_message_append(m, "{sv}", "uri", "s", n->uri);
        if (r >= 0 && n->ssid > 0)
                r = sd_bus_message_append(m, "{sv}", "short_id", "q", n->ssid);
        for (size_t i = 0; i < G_N_ELEMENTS(numbers) && r >= 0; i++)
                if (numbers[i].value > 0)
                        r = sd_bus_message_append(m, "{sv}", numbers[i].name, "u",
                                                  numbers[i].value);
        if (r >= 0 && n->binding)
                r = sd_bus_message_append(m, "{sv}", "binding", "s", n->binding);
        if (r >= 0 && n->bootstrap)
                r = sd_bus_message_append(m, "{sv}", "bootstrap", "b", 1);
        return r;
}

/* Files are opened here, with the rights of who runs this, and read by the daemon: secrets stand
 * neither on a command line nor in a message. The URI of a key in a token is for the daemon. */
static CtlExit append_file(sd_bus_message *m, const Args *a, const char *option, const char *key) {
        const char *file = args_get(a, option);
        g_autofree char *name = NULL;
        autoclose int fd = -1;
        CtlExit code;
        int r;

        if (!file)
                return CTL_OK;
        if (g_str_has_prefix(file, "store:") || g_str_has_prefix(file, "pkcs11:") ||
            strcmp(file, "provider:") == 0) {
                name = g_strconcat(key, "_file", NULL);
                r = sd_bus_message_append(m, "{sv}", name, "s", file);
                return r < 0 ? ctl_protocol_fail(r, "AddServer") : CTL_OK;
        }
        code = verb_file_open(file, &fd);
        if (code != CTL_OK)
                return code;
        r = sd_bus_message_append(m, "{sv}", key, "h", fd);
        return r < 0 ? ctl_protocol_fail(r, "AddServer") : CTL_OK;
}

/* Text, hex:… or base64:…, as in the configuration. */
static int append_bytes(sd_bus_message *m, const char *key, const char *text) {
        g_autofree uint8_t *bytes = NULL;
        size_t n;
        int r;

        if (g_str_has_prefix(text, "base64:"))
                r = parse_base64(text + 7, &bytes, &n);
        else if (g_str_has_prefix(text, "hex:"))
                r = parse_hex(text + 4, &bytes, &n);
        else
                return sd_bus_message_append(m, "{sv}", key, "s", text);
        if (r < 0)
                return -EINVAL;
        if ((r = sd_bus_message_open_container(m, 'e', "sv")) < 0 ||
            (r = sd_bus_message_append(m, "s", key)) < 0 ||
            (r = sd_bus_message_open_container(m, 'v', "ay")) < 0 ||
            (r = sd_bus_message_append_array(m, 'y', bytes, n)) < 0 ||
            (r = sd_bus_message_close_container(m)) < 0)
                return r;
        return sd_bus_message_close_container(m);
}

static bool has_security(const Args *a) {
        return args_get(a, "--security") || args_get(a, "--identity") ||
               args_get(a, "--psk-file") || args_get(a, "--certificate-file");
}

static CtlExit append_all_bytes(sd_bus_message *m, const Args *a) {
        static const char *const bytes[][2] = { { "--identity", "identity" },
                                                { "--oscore-sender-id", "oscore_sender_id" },
                                                { "--oscore-recipient-id", "oscore_recipient_id" },
                                                { "--oscore-salt", "oscore_salt" },
                                                { "--oscore-id-context", "oscore_id_context" } };

        for (size_t i = 0; i < G_N_ELEMENTS(bytes); i++) {
                const char *text = args_get(a, bytes[i][0]);
                int r = text ? append_bytes(m, bytes[i][1], text) : 0;

                if (r == -EINVAL)
                        return ctl_fail(CTL_USAGE, "%s=%s: not %s", bytes[i][0], text,
                                        g_str_has_prefix(text, "hex:") ? "hexadecimal" : "Base64");
                if (r < 0)
                        return ctl_protocol_fail(r, "AddServer");
        }
        return CTL_OK;
}

static CtlExit append_security(sd_bus_message *m, const Args *a) {
        static const char *const texts[][2] = { { "--security", "security" },
                                                { "--usage", "usage" },
                                                { "--sni", "sni" },
                                                { "--oscore-aead", "oscore_aead" },
                                                { "--oscore-hkdf", "oscore_hkdf" } };
        static const char *const files[][2] = {
                { "--psk-file", "psk" },       { "--certificate-file", "certificate" },
                { "--key-file", "key" },       { "--trust-file", "trust" },
                { "--server-file", "server" }, { "--oscore-secret-file", "oscore_secret" }
        };
        const char *suite = args_get(a, "--cipher-suite");
        CtlExit code = CTL_OK;
        int r = 0;

        for (size_t i = 0; i < G_N_ELEMENTS(texts) && r >= 0; i++)
                if (args_get(a, texts[i][0]))
                        r = sd_bus_message_append(m, "{sv}", texts[i][1], "s",
                                                  args_get(a, texts[i][0]));
        if (r >= 0 && suite)
                r = sd_bus_message_append(m, "{sv}", "cipher_suites", "as", 1, suite);
        if (r < 0)
                return ctl_protocol_fail(r, "AddServer");
        code = append_all_bytes(m, a);
        for (size_t i = 0; i < G_N_ELEMENTS(files) && code == CTL_OK; i++)
                code = append_file(m, a, files[i][0], files[i][1]);
        if (code != CTL_OK)
                return code;
        r = sd_bus_message_close_container(m);
        return r < 0 ? ctl_protocol_fail(r, "AddServer") : CTL_OK;
}

/* The lowest short id that no account has. */
static CtlExit free_id(Ctl *c, uint16_t *ret) {
        g_autoptr(cJSON) servers = NULL;
        const cJSON *server;
        uint16_t id = 1;
        CtlExit code;

        code = server_list(c, &servers);
        cJSON_ArrayForEach(server, servers) /* ascending */
                if (json_integer(server, "ShortId", 0) == id) id++;
        if (code == CTL_OK)
                *ret = id;
        return code;
}

static CtlExit seconds_of(const Args *a, const char *option, uint32_t *ret) {
        const char *text = args_get(a, option);

        if (text && (parse_u32(text, ret) < 0 || *ret == 0))
                return ctl_fail(CTL_USAGE, "%s=%s: expected seconds, 1 to 4294967295", option,
                                text);
        return CTL_OK;
}

static CtlExit read_account(Ctl *c, const Args *a, NewAccount *n) {
        const char *id = args_get(a, "--id");
        CtlExit code;

        *n = (NewAccount){ .uri = args_word(a, 0),
                           .binding = args_get(a, "--binding"),
                           .bootstrap = args_get(a, "--bootstrap") };
        if (n->bootstrap && (id || n->binding || args_get(a, "--lifetime")))
                return ctl_fail(CTL_USAGE,
                                "--bootstrap goes without --id, --lifetime and --binding");
        if (!n->bootstrap && (args_get(a, "--hold-off") || args_get(a, "--account-timeout")))
                return ctl_fail(CTL_USAGE, "--hold-off and --account-timeout are for --bootstrap");
        if (id && (parse_u16(id, &n->ssid) < 0 || n->ssid == 0 || n->ssid == UINT16_MAX))
                return ctl_fail(CTL_USAGE, "--id=%s: expected 1 to 65534", id);
        code = seconds_of(a, "--lifetime", &n->lifetime);
        if (code == CTL_OK)
                code = seconds_of(a, "--hold-off", &n->hold_off);
        if (code == CTL_OK)
                code = seconds_of(a, "--account-timeout", &n->account_timeout);
        if (code == CTL_OK && !id && !n->bootstrap)
                code = free_id(c, &n->ssid);
        return code;
}

int verb_server_add(Ctl *c, const Args *a) {
        g_autoptr(sd_bus_message) m = NULL, reply = NULL;
        const char *path, *id;
        NewAccount account;
        CtlExit code;
        int r;

        code = read_account(c, a, &account);
        if (code != CTL_OK)
                return code;
        code = ctl_message(c, NULL, "Manager", "AddServer", &m);
        if (code != CTL_OK)
                return code;
        r = append_account(m, &account);
        if (r < 0)
                return ctl_protocol_fail(r, "AddServer");
        code = append_security(m, a);
        if (code != CTL_OK)
                return code;
        code = ctl_send(c, m, NULL, &reply);
        if (code != CTL_OK) {
                if (g_str_has_prefix(account.uri, "coaps") && !has_security(a))
                        ctl_hint("coaps:// and coaps+tcp:// need --identity and --psk-file, or "
                                 "--certificate-file, --key-file and --trust-file or "
                                 "--server-file");
                return code;
        }
        r = sd_bus_message_read(reply, "o", &path);
        if (r < 0)
                return ctl_protocol_fail(r, "AddServer");
        id = strrchr(path, '/') + 1;
        if (c->json) {
                g_autoptr(cJSON) out = cJSON_CreateObject();

                cJSON_AddStringToObject(out, "server", id);
                json_print_line(out);
        } else
                puts(id);
        return CTL_OK;
}

int verb_server_remove(Ctl *c, const Args *a) {
        g_autofree char *path = NULL;
        CtlExit code;

        code = server_path(args_word(a, 0), &path);
        if (code != CTL_OK)
                return code;
        return ctl_call(c, NULL, "Manager", "RemoveServer", NULL, NULL, "oa{sv}", path, 0);
}

/* What was agreed with the server; nothing without security, or while there is no session. */
static void print_session(const cJSON *server) {
        const char *cipher = json_string(server, "Cipher", "");

        if (*cipher)
                printf("  %s %s%s%s", json_string(server, "Security", "?"), cipher,
                       json_bool(server, "Resumed") ? " resumed" : "",
                       json_bool(server, "ConnectionId") ? " cid" : "");
}

static void print_certificate(const cJSON *server) {
        int64_t until = json_integer(server, "EnrolledUntil", 0);
        g_autofree char *text = until > 0 ? time_text(until) : NULL;

        if (text)
                printf(", enrolled until %s by %s", text, json_string(server, "EnrolledBy", "?"));
}

int verb_server_list(Ctl *c, const Args *a) {
        g_autoptr(cJSON) servers = NULL;
        const cJSON *server;
        CtlExit code;

        code = server_list(c, &servers);
        if (code != CTL_OK)
                return code;
        if (c->json) {
                json_print_line(servers);
                return CTL_OK;
        }
        cJSON_ArrayForEach(server, servers) {
                printf("%-10s %-12s %s", json_string(server, "Name", "?"),
                       json_string(server, "State", "?"), json_string(server, "Uri", "?"));
                print_session(server);
                print_certificate(server);
                putchar('\n');
        }
        return CTL_OK;
}

static CtlExit call_server(Ctl *c, const Args *a, const char *member) {
        g_autofree char *path = NULL, *where = NULL;
        CtlExit code;

        code = server_path(args_word(a, 0), &path);
        if (code != CTL_OK)
                return code;
        where = g_strdup_printf("server %s", args_word(a, 0));
        return ctl_call(c, path, "Server", member, where, NULL, "a{sv}", 0);
}

int verb_server_update(Ctl *c, const Args *a) {
        return call_server(c, a, "Update");
}

int verb_server_register(Ctl *c, const Args *a) {
        return call_server(c, a, "Register");
}

int verb_server_deregister(Ctl *c, const Args *a) {
        return call_server(c, a, "Deregister");
}

int verb_server_enroll(Ctl *c, const Args *a) {
        return call_server(c, a, "Enroll");
}

int verb_server_disable(Ctl *c, const Args *a) {
        const char *text = args_word(a, 1);
        g_autofree char *path = NULL, *where = NULL;
        uint32_t seconds = 86400; /* what 1/x/5 says when it is absent */
        CtlExit code;

        if (text && parse_u32(text, &seconds) < 0)
                return ctl_fail(CTL_USAGE, "'%s': expected seconds, 0 to 4294967295", text);
        code = server_path(args_word(a, 0), &path);
        if (code != CTL_OK)
                return code;
        where = g_strdup_printf("server %s", args_word(a, 0));
        return ctl_call(c, path, "Server", "Disable", where, NULL, "ua{sv}", seconds, 0);
}

int verb_server_enable(Ctl *c, const Args *a) {
        g_autofree char *path = NULL, *where = NULL;
        CtlExit code;

        code = server_path(args_word(a, 0), &path);
        if (code != CTL_OK)
                return code;
        where = g_strdup_printf("server %s", args_word(a, 0));
        return ctl_call(c, path, "Server", "Enable", where, NULL, NULL);
}
