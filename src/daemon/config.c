/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/config_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "daemon/config_est.h"
#include "daemon/config_local.h"
#include "daemon/keyfile.h"
#include "daemon/rights.h"
#include "lwm2m/account/account.h"
#include "model/path_table.h"
#include "util/parse.h"
#include "util/timerq.h"

typedef enum KeyType {
        KEY_TEXT,
        KEY_BOOL,
        KEY_COUNT,
        KEY_SIZE,
        KEY_SECONDS,
        KEY_DURATION,
        KEY_VERSION,
        KEY_FORMAT,
        KEY_QUEUE_SOCKET,
        KEY_ADDRESS,
        KEY_INTERFACE,
        KEY_MARK,
        KEY_STOP,
        KEY_NOTIFICATIONS,
        KEY_DISCOVER /* the last */
} KeyType;

/* The words of those that are one thing or the other: false, which is the default, and true. */
static const char *const choices[KEY_DISCOVER + 1][2] = {
        [KEY_STOP] = { "deregister", "keep" },
        [KEY_NOTIFICATIONS] = { "confirmable", "non-confirmable" },
        [KEY_DISCOVER] = { "all", "permitted" },
};

typedef struct Key {
        const char *group, *name;
        size_t offset; /* of a char *, bool, uint64_t, Version or QueueSocket */
        uint64_t preset, min, max;
        KeyType type;
} Key;

static bool is_text(KeyType type) {
        return type == KEY_TEXT || type == KEY_ADDRESS || type == KEY_INTERFACE;
}

#define AT(field) offsetof(Config, field)
#define U32 UINT32_MAX
#define AWAKE_TIME_MAX (86400 * USEC_PER_SEC)

/* Every plain key: its default and what is allowed. man/lwm2md.conf.5 describes each (a test
 * compares). */
static const Key keys[] = {
        { "Client", "Endpoint", AT(endpoint), 0, 0, 0, KEY_TEXT },
        { "Client", "Version", AT(version), 0, 0, 0, KEY_VERSION },
        { "Client", "Lifetime", AT(lifetime_sec), 86400, 0, U32, KEY_SECONDS },
        { "Client", "UpdatePeriod", AT(update_period_sec), 0, 0, U32, KEY_SECONDS },
        { "Client", "UpdateEarly", AT(update_early_sec), 10, 0, U32, KEY_SECONDS },
        { "Client", "UpdateInterval", AT(update_interval_sec), 15, 0, U32, KEY_SECONDS },
        { "Client", "QueueMode", AT(queue_mode), 0, 0, 0, KEY_BOOL },
        { "Client", "QueueAwakeTime", AT(queue_awake_usec), 93 * USEC_PER_SEC, USEC_PER_SEC,
          AWAKE_TIME_MAX, KEY_DURATION },
        { "Client", "QueueSocket", AT(queue_socket), 0, 0, 0, KEY_QUEUE_SOCKET },
        { "Client", "QueueAtOnce", AT(queue_at_once), 0, 0, 0, KEY_BOOL },
        { "Client", "Bind", AT(bind), 0, 0, 0, KEY_ADDRESS },
        { "Client", "Interface", AT(interface), 0, 0, 0, KEY_INTERFACE },
        { "Client", "Dscp", AT(dscp), 0, 0, 63, KEY_COUNT },
        { "Client", "Mark", AT(mark), 0, 0, U32, KEY_MARK },
        { "Client", "Sms", AT(sms), 0, 0, 0, KEY_TEXT },
        { "Client", "DeregisterTimeout", AT(deregister_timeout_usec), 5 * USEC_PER_SEC, 0,
          60 * USEC_PER_SEC, KEY_DURATION },
        { "Client", "StopAction", AT(stop_keeps), 0, 0, 0, KEY_STOP },
        { "Client", "SettleTime", AT(settle_usec), 10 * USEC_PER_SEC, 0, 3600 * USEC_PER_SEC,
          KEY_DURATION },
        { "Client", "BackoffMax", AT(backoff_max_sec), 3600, 1, 7 * 86400, KEY_SECONDS },
        { "Client", "GiveUp", AT(give_up), 0, 0, 0, KEY_BOOL },
        { "Client", "HandshakeTimeout", AT(handshake_usec), 30 * USEC_PER_SEC, USEC_PER_SEC,
          55 * USEC_PER_SEC, KEY_DURATION },
        { "Client", "TcpPing", AT(tcp_ping_usec), 300 * USEC_PER_SEC, 0, 86400 * USEC_PER_SEC,
          KEY_DURATION },
        { "Client", "AlpnOptional", AT(alpn_optional), 0, 0, 0, KEY_BOOL },
        { "Client", "TrustStore", AT(trust_store), 0, 0, 0, KEY_TEXT },
        { "Client", "DatesNeedClock", AT(dates_need_clock), 0, 0, 0, KEY_BOOL },
        { "Client", "Discover", AT(discover_permitted), 0, 0, 0, KEY_DISCOVER },
        { "Client", "Notifications", AT(non_confirmable), 0, 0, 0, KEY_NOTIFICATIONS },
        { "Client", "BootstrapFile", AT(bootstrap_file), 0, 0, 0, KEY_TEXT },
        { "Client", "BootstrapFormat", AT(bootstrap_format), 0, 0, 0, KEY_FORMAT },
        { "Client", "BootstrapPort", AT(bootstrap_port), 5683, 1, UINT16_MAX, KEY_COUNT },
        { "Security", "Providers", AT(providers), 0, 0, 0, KEY_TEXT },
        { "Security", "PinFile", AT(pin_file), 0, 0, 0, KEY_TEXT },
        { "Security", "Pkcs11Module", AT(pkcs11_module), 0, 0, 0, KEY_TEXT },
        { "Security", "Tcti", AT(tcti), 0, 0, 0, KEY_TEXT },
        { "Est", "Uri", AT(est_uri), 0, 0, 0, KEY_TEXT },
        { "Est", "RenewAt", AT(est_renew_percent), 66, 1, 95, KEY_COUNT },
        { "Est", "RenewInterval", AT(est_renew_min_usec), 60 * USEC_PER_SEC, USEC_PER_SEC,
          86400 * USEC_PER_SEC, KEY_DURATION },
        { "Est", "Curve", AT(est_curve), 0, 0, 0, KEY_TEXT },
        { "Est", "IgnoreAttributes", AT(est_ignore_attributes), 0, 0, 0, KEY_BOOL },
        { "Limits", "Instances", AT(instances), 1000000, 1, U32, KEY_COUNT },
        { "Limits", "ValueBytes", AT(value_bytes), 256U << 20, 1024, UINT64_MAX / 2, KEY_SIZE },
        { "Limits", "Body", AT(body_bytes), 16U << 20, 1024, VALUE_LENGTH_MAX, KEY_SIZE },
        { "Limits", "Transfers", AT(transfers), 8, 1, 1024, KEY_COUNT },
        { "Limits", "Exchanges", AT(exchanges), 64, 1, 65535, KEY_COUNT },
        { "Limits", "TcpMessage", AT(tcp_message_bytes), 33U << 10, 1152, 60U << 10, KEY_SIZE },
        { "Limits", "SeparateAfter", AT(separate_after_usec), USEC_PER_SEC, 0, 2 * USEC_PER_SEC,
          KEY_DURATION },
        { "Limits", "Observations", AT(observations), 20000, 1, U32, KEY_COUNT },
        { "Limits", "ObservationsPerServer", AT(observations_per_server), 10000, 1, U32,
          KEY_COUNT },
        { "Limits", "StoredMemory", AT(stored_memory), 256U << 10, 4096, 1U << 30, KEY_SIZE },
        { "Limits", "StoredFile", AT(stored_file), 4U << 20, 0, 1U << 30, KEY_SIZE },
        { "Limits", "Operations", AT(operations), 256, 1, 65535, KEY_COUNT },
        { "Limits", "CompositePaths", AT(composite_paths), 1000, 1, 65535, KEY_COUNT },
        { "Limits", "Records", AT(records), 100000, 1, 10000000, KEY_COUNT },
        { "Limits", "Depth", AT(depth), 16, 4, 64, KEY_COUNT },
        { "Limits", "Sends", AT(sends), 64, 1, 65535, KEY_COUNT },
        { "Limits", "SendBytes", AT(send_bytes), 4U << 20, 4096, UINT64_MAX / 2, KEY_SIZE },
        { "Limits", "SendBody", AT(send_body_bytes), 64U << 10, 64, VALUE_LENGTH_MAX, KEY_SIZE },
        { "Limits", "SendTimeout", AT(send_timeout_usec), 3600 * USEC_PER_SEC, USEC_PER_SEC,
          7 * 86400 * USEC_PER_SEC, KEY_DURATION },
        { "Limits", "Servers", AT(servers), 16, 1, 1024, KEY_COUNT },
        { "Limits", "Events", AT(events), 256, 1, 65536, KEY_COUNT },
        { "Limits", "BootstrapPaths", AT(bootstrap_paths), 4096, 16, 1000000, KEY_COUNT },
        { "Limits", "BootstrapBytes", AT(bootstrap_bytes), 1U << 20, 1024, VALUE_LENGTH_MAX,
          KEY_SIZE },
        { "Limits", "BootstrapTime", AT(bootstrap_time_usec), 600 * USEC_PER_SEC, USEC_PER_SEC,
          86400 * USEC_PER_SEC, KEY_DURATION },
        { "Limits", "EstBody", AT(est_body), 64U << 10, 1024, 1U << 20, KEY_SIZE },
        { "Limits", "ClaimsPerUser", AT(claims_per_user), 64, 1, 65536, KEY_COUNT },
        { "Limits", "SubscriptionsPerUser", AT(subscriptions_per_user), 64, 1, 65536, KEY_COUNT },
        { "Limits", "FdsPerUser", AT(fds_per_user), 16, 1, 1024, KEY_COUNT },
        { "Limits", "CallsPerUser", AT(calls_per_user), 128, 1, 65536, KEY_COUNT },
        { "Limits", "ValuesPerUser", AT(values_per_user), 1000000, 1, U32, KEY_COUNT },
        { "Limits", "BusQueue", AT(bus_queue), 1024, 1, 1 << 20, KEY_COUNT },
        { "Limits", "CacheBytesPerUser", AT(cache_bytes_per_user), 48U << 20, 4096, 1U << 30,
          KEY_SIZE },
        { "Limits", "CacheBytes", AT(cache_bytes), 64U << 20, 4096, 1U << 30, KEY_SIZE },
        { "Persist", "Journal", AT(journal_bytes), 1U << 20, 4096, 1U << 30, KEY_SIZE },
        { "Persist", "Batch", AT(batch_usec), USEC_PER_SEC, 0, 3600 * USEC_PER_SEC, KEY_DURATION },
};

#define OF(field) offsetof(ServerConfig, field)
#define QUEUE_KEYS 0xfU /* the first ones of server_keys[], in ServerConfig.given */

/* The plain keys of a [Server NAME], whose default is the key of [Client] with the same name. */
static const Key server_keys[] = {
        { "Server", "QueueMode", OF(queue_mode), 0, 0, 0, KEY_BOOL },
        { "Server", "QueueAwakeTime", OF(queue_awake_usec), 0, USEC_PER_SEC, AWAKE_TIME_MAX,
          KEY_DURATION },
        { "Server", "QueueSocket", OF(queue_socket), 0, 0, 0, KEY_QUEUE_SOCKET },
        { "Server", "QueueAtOnce", OF(queue_at_once), 0, 0, 0, KEY_BOOL },
        { "Server", "Bind", OF(bind), 0, 0, 0, KEY_ADDRESS },
        { "Server", "Interface", OF(interface), 0, 0, 0, KEY_INTERFACE },
        { "Server", "Dscp", OF(dscp), 0, 0, 63, KEY_COUNT },
        { "Server", "Mark", OF(mark), 0, 0, U32, KEY_MARK },
};

/* What the file being read is, and what was wrong so far. */
static int version_parse(const char *text, Version *ret) {
        static const struct {
                const char *text;
                Version version;
        } versions[] = {
                { "auto", { 0, 0 } }, { "1.0", { 1, 0 } }, { "1.1", { 1, 1 } }, { "1.2", { 1, 2 } }
        };

        for (size_t i = 0; i < G_N_ELEMENTS(versions); i++)
                if (strcmp(text, versions[i].text) == 0) {
                        *ret = versions[i].version;
                        return 0;
                }
        return -EINVAL;
}

static int queue_socket_parse(const char *text, QueueSocket *ret) {
        static const char *const names[] = {
                [QUEUE_SOCKET_STOP_POLLING] = "stop-polling",
                [QUEUE_SOCKET_LISTEN] = "listen",
                [QUEUE_SOCKET_CLOSE] = "close",
        };

        for (size_t i = 0; i < G_N_ELEMENTS(names); i++)
                if (strcmp(text, names[i]) == 0) {
                        *ret = (QueueSocket) i;
                        return 0;
                }
        return -EINVAL;
}

/* What a bootstrap may be in (TS Core 1.1.1, section 6.1.7.1). */
static int bootstrap_format_parse(const char *text, Format *ret) {
        Format f;

        if (format_from_name(text, &f) < 0 || (f != FORMAT_SENML_CBOR && f != FORMAT_SENML_JSON &&
                                               f != FORMAT_LWM2M_CBOR && f != FORMAT_TLV))
                return -EINVAL;
        *ret = f;
        return 0;
}

static void set_number(Reading *in, const char *group, const Key *key, const char *text,
                       uint64_t *ret) {
        uint64_t u = 0;
        int r;

        if (key->type == KEY_COUNT)
                r = parse_u64(text, UINT64_MAX, &u);
        else if (key->type == KEY_SIZE)
                r = parse_size(text, &u);
        else
                r = parse_duration(text, &u);
        if (r >= 0 && key->type == KEY_SECONDS) {
                if (u % USEC_PER_SEC)
                        r = -EINVAL;
                u /= USEC_PER_SEC;
        }
        if (r == -EINVAL)
                complain(in, group, key->name, "'%s' is not %s", text,
                         key->type == KEY_COUNT     ? "a number"
                         : key->type == KEY_SIZE    ? "a size (bytes, or with K, M or G)"
                         : key->type == KEY_SECONDS ? "a time in whole seconds (90, 10min, 24h)"
                                                    : "a time (1.5s, 200ms, 10min)");
        else if ((r < 0 || u < key->min || u > key->max) && key->type == KEY_DURATION)
                complain(in, group, key->name, "%s is out of range, allowed are %gs to %gs", text,
                         (double) key->min / USEC_PER_SEC, (double) key->max / USEC_PER_SEC);
        else if (r < 0 || u < key->min || u > key->max)
                complain(in, group, key->name,
                         "%s is out of range, allowed are %" PRIu64 " to %" PRIu64 "%s", text,
                         key->min, key->max, key->type == KEY_SECONDS ? " seconds" : "");
        else
                *ret = u;
}

static void set_local(Reading *in, const char *group, const Key *key, char **field,
                      const char *text) {
        if (key->type == KEY_ADDRESS && !config_is_address(text))
                complain(in, group, key->name, "'%s' is not an IPv4 or IPv6 address", text);
        else if (key->type == KEY_INTERFACE && !config_is_interface(text))
                complain(in, group, key->name, "'%s' is not the name of a network interface", text);
        else {
                g_free(*field);
                *field = g_strdup(text);
        }
}

/* field: of key, in the Config or a ServerConfig. */
static void set_key(Reading *in, const char *group, const Key *key, void *field, const char *text) {
        bool b;

        switch (key->type) {
        case KEY_TEXT:
                if (!g_utf8_validate(text, -1, NULL) || !*text) {
                        complain(in, group, key->name, "must be text and not empty");
                        return;
                }
                g_free(*(char **) field);
                *(char **) field = g_strdup(text);
                return;
        case KEY_BOOL:
                if (parse_bool(text, &b) < 0)
                        complain(in, group, key->name, "'%s' is not a boolean (true or false)",
                                 text);
                else
                        *(bool *) field = b;
                return;
        case KEY_VERSION:
                if (version_parse(text, field) < 0)
                        complain(in, group, key->name, "'%s' is not auto, 1.0, 1.1 or 1.2", text);
                return;
        case KEY_FORMAT:
                if (bootstrap_format_parse(text, field) < 0)
                        complain(in, group, key->name,
                                 "'%s' is not senml-cbor, senml-json, lwm2m-cbor or tlv", text);
                return;
        case KEY_ADDRESS:
        case KEY_INTERFACE:
                set_local(in, group, key, field, text);
                return;
        case KEY_MARK:
                if (config_parse_mark(text, field) < 0)
                        complain(in, group, key->name,
                                 "'%s' is not a mark (0 to 4294967295, or 0x and hexadecimal)",
                                 text);
                return;
        case KEY_QUEUE_SOCKET:
                if (queue_socket_parse(text, field) < 0)
                        complain(in, group, key->name, "'%s' is not stop-polling, listen or close",
                                 text);
                return;
        case KEY_STOP:
        case KEY_NOTIFICATIONS:
        case KEY_DISCOVER:
                b = strcmp(text, choices[key->type][1]) == 0;
                if (!b && strcmp(text, choices[key->type][0]) != 0)
                        complain(in, group, key->name, "'%s' is not %s or %s", text,
                                 choices[key->type][0], choices[key->type][1]);
                else
                        *(bool *) field = b;
                return;
        case KEY_COUNT:
        case KEY_SIZE:
        case KEY_SECONDS:
        case KEY_DURATION:
                set_number(in, group, key, text, field);
                return;
        default:
                g_assert_not_reached();
        }
}

static const Key *find_key(const char *group, const char *name) {
        for (size_t i = 0; i < G_N_ELEMENTS(keys); i++)
                if (strcmp(keys[i].group, group) == 0 && strcmp(keys[i].name, name) == 0)
                        return &keys[i];
        return NULL;
}

static char *known_keys(const char *group) {
        g_autoptr(GString) s = g_string_new(NULL);

        for (size_t i = 0; i < G_N_ELEMENTS(keys); i++)
                if (strcmp(keys[i].group, group) == 0)
                        g_string_append_printf(s, "%s%s", s->len ? ", " : "", keys[i].name);
        if (strcmp(group, "Est") == 0)
                g_string_append(s, ", and what [Server NAME] has about security");
        return g_string_free(g_steal_pointer(&s), FALSE);
}

static void server_config_free(gpointer p) {
        ServerConfig *s = p;

        g_free(s->name);
        g_free(s->uri);
        g_free(s->binding);
        config_security_clear(&s->security);
        g_free(s->bind);
        g_free(s->interface);
        g_free(s);
}

static ServerConfig *get_server(Config *c, const char *name) {
        ServerConfig *s;

        for (guint i = 0; i < c->servers_list->len; i++) {
                s = g_ptr_array_index(c->servers_list, i);
                if (strcmp(s->name, name) == 0)
                        return s;
        }
        s = g_new0(ServerConfig, 1);
        s->name = g_strdup(name);
        g_ptr_array_add(c->servers_list, s);
        return s;
}

static bool set_plain_server_key(Reading *in, const char *group, ServerConfig *s, const char *name,
                                 const char *text) {
        for (size_t i = 0; i < G_N_ELEMENTS(server_keys); i++)
                if (strcmp(server_keys[i].name, name) == 0) {
                        set_key(in, group, &server_keys[i], (char *) s + server_keys[i].offset,
                                text);
                        s->given |= 1U << i;
                        return true;
                }
        return false;
}

/* The keys of a bootstrap server. */
static bool set_bootstrap_key(Reading *in, const char *group, ServerConfig *s, const char *name,
                              const char *text) {
        const Key key = { group, name, 0, 0, 0, UINT32_MAX, KEY_SECONDS };

        if (strcmp(name, "Bootstrap") == 0) {
                if (parse_bool(text, &s->bootstrap) < 0)
                        complain(in, group, name, "'%s' is not a boolean (true or false)", text);
        } else if (strcmp(name, "HoldOff") == 0)
                set_number(in, group, &key, text, &s->hold_off_sec);
        else if (strcmp(name, "AccountTimeout") == 0)
                set_number(in, group, &key, text, &s->account_timeout_sec);
        else
                return false;
        return true;
}

/* What can be told from the text alone; the rest when the account is made. */
static void check_security_key(Reading *in, const char *group, const char *name, const char *text) {
        g_autofree char *why = NULL;
        struct stat st;
        int64_t mode;

        if (strcmp(name, "SecurityMode") == 0 && credentials_mode_parse(text, &mode) < 0)
                complain(in, group, name, "'%s' is no security mode (nosec, psk, rpk, x509 or est)",
                         text);
        else if (strcmp(group, "Est") == 0 && (why = config_est_check(name, text)))
                complain(in, group, name, "%s", why);
        if ((strcmp(name, "Key") == 0 || strcmp(name, "OscoreSecret") == 0) &&
            stat(in->file->file, &st) == 0 && st.st_mode & 07)
                complain(in, group, name,
                         "this file is open to all users of the device: chmod o= it, or use "
                         "%sFile",
                         name);
}

static void set_server_key(Reading *in, const char *group, ServerConfig *s, const char *name,
                           const char *text) {
        uint64_t u;

        if (strcmp(name, "Uri") == 0) {
                g_free(s->uri);
                s->uri = g_strdup(text);
        } else if (strcmp(name, "Binding") == 0) {
                if (!account_binding_is_valid(text)) {
                        complain(in, group, name,
                                 "'%s' is not a binding this version has (U, T or both, and "
                                 "Q behind)",
                                 text);
                        return;
                }
                g_free(s->binding);
                s->binding = g_strdup(text);
        } else if (strcmp(name, "ShortId") == 0) {
                if (parse_u64(text, ID_MAX, &u) < 0 || u == 0)
                        complain(in, group, name, "'%s' is not a Short Server ID (1 to 65534)",
                                 text);
                else
                        s->ssid = (uint16_t) u;
        } else if (strcmp(name, "Lifetime") == 0) {
                if (parse_duration(text, &u) < 0 || u % USEC_PER_SEC || u == 0 ||
                    u / USEC_PER_SEC > UINT32_MAX)
                        complain(in, group, name,
                                 "'%s' is not a time in whole seconds (90, 10min, 24h)", text);
                else
                        s->lifetime_sec = (uint32_t) (u / USEC_PER_SEC);
        } else if (config_security_set(&s->security, name, text) >= 0)
                check_security_key(in, group, name, text);
        else if (!set_bootstrap_key(in, group, s, name, text) &&
                 !set_plain_server_key(in, group, s, name, text))
                complain(in, group, name,
                         "unknown key (known: Uri, ShortId, Lifetime, Binding, SecurityMode, "
                         "Identity, Key, KeyFile, CertificateFile, TrustFile, ServerFile, "
                         "CertificateUsage, MatchingType, Sni, CipherSuites, OscoreSenderId, "
                         "OscoreRecipientId, OscoreSecret, OscoreSecretFile, OscoreSalt, "
                         "OscoreIdContext, OscoreAead, OscoreHkdf, QueueMode, "
                         "QueueAwakeTime, QueueSocket, QueueAtOnce, Bind, Interface, Dscp, Mark, "
                         "Bootstrap, HoldOff, AccountTimeout)");
}

/* What the server's group does not say is as [Client] says. */
static void complete_server(const Config *c, ServerConfig *s) {
        for (size_t i = 0; i < G_N_ELEMENTS(server_keys); i++) {
                const Key *key = &server_keys[i], *client = find_key("Client", key->name);
                const char *from;
                char *to = (char *) s + key->offset;

                if (s->given & 1U << i)
                        continue;
                g_assert(client); /* each of them is a key of [Client], too */
                from = (const char *) c + client->offset;
                if (key->type == KEY_BOOL)
                        *(bool *) to = *(const bool *) from;
                else if (is_text(key->type))
                        *(char **) (void *) to = g_strdup(*(char *const *) (const void *) from);
                else if (key->type == KEY_QUEUE_SOCKET)
                        *(QueueSocket *) (void *) to = *(const QueueSocket *) (const void *) from;
                else
                        *(uint64_t *) (void *) to = *(const uint64_t *) (const void *) from;
        }
        s->has_queue_mode = s->given & 1U; /* the first key */
}

static void seed_free(gpointer p) {
        SeedConfig *s = p;

        g_free(s->text);
        g_free(s->where);
        g_free(s);
}

static void set_plain_key(Reading *in, const Key *key, const char *text) {
        g_autofree char *why = strcmp(key->group, "Est") == 0 ? config_est_check(key->name, text)
                               : strcmp(key->group, "Security") == 0
                                       ? config_security_check(key->name, text)
                                       : NULL;

        if (why)
                complain(in, key->group, key->name, "%s", why);
        else
                set_key(in, key->group, key, (char *) in->config + key->offset, text);
}

static void read_entry(Reading *in, const char *group, const char *name, const char *text) {
        const Key *key = find_key(group, name);
        g_autofree char *known = NULL;

        if (key)
                set_plain_key(in, key, text);
        else if (strcmp(group, "Values") == 0)
                config_add_seed(in, name, text);
        else if (strcmp(group, "Persist") == 0)
                config_add_persist(in, name, text);
        else if (strcmp(group, "Cache") == 0)
                config_add_cache(in, name, text);
        else if (strcmp(group, "AccessControl") == 0)
                config_add_access(in, name, text);
        else if (strcmp(group, "Est") == 0 &&
                 config_security_set(&in->config->est_security, name, text) >= 0)
                check_security_key(in, group, name, text);
        else if (strcmp(group, "SendScheduler") == 0)
                config_add_schedule(in, name, text);
        else if (strcmp(group, "Objects") == 0 && strcmp(name, "Path") == 0) {
                g_strfreev(in->config->object_paths);
                in->config->object_paths = g_strsplit(text, ";", -1);
        } else if (strcmp(group, "Objects") == 0 && strcmp(name, "Offer") == 0) {
                config_set_offer(in, text);
        } else {
                known = known_keys(group);
                complain(in, group, name, "unknown key (known: %s)",
                         *known ? known : "Path, Offer");
        }
}

static void read_group(Reading *in, const char *group) {
        g_auto(GStrv) names = g_key_file_get_keys(in->file->keyfile, group, NULL, NULL);
        static const char *const groups[] = {
                "Client", "Limits",        "Persist",  "Objects", "Values", "AccessControl",
                "Cache",  "SendScheduler", "Security", "Est",     NULL
        };
        ServerConfig *server = NULL;
        bool noted; /* lines of the others are told of while they are read */

        if (g_str_has_prefix(group, "Server ") && group[strlen("Server ")])
                server = get_server(in->config, group + strlen("Server "));
        else if (!g_strv_contains(groups, group)) {
                complain(in, group, NULL,
                         "unknown group (known: Client, Server NAME, Security, Est, Objects, "
                         "Values, Limits, Persist, Cache, AccessControl, SendScheduler)");
                return;
        }
        if (strcmp(group, "AccessControl") == 0 && !in->config->access)
                in->config->access = access_policy_new();
        if (strcmp(group, "SendScheduler") == 0 && !in->config->schedule)
                in->config->schedule = schedule_new();
        noted = server || strcmp(group, "Client") == 0 || strcmp(group, "Security") == 0 ||
                strcmp(group, "Est") == 0;
        if (noted)
                config_where_note(in->config->where, in->file, group, NULL);
        for (char **name = names; name && *name; name++) {
                g_autoptr(GError) error = NULL;
                g_autofree char *text =
                        g_key_file_get_string(in->file->keyfile, group, *name, &error);

                if (noted)
                        config_where_note(in->config->where, in->file, group, *name);
                if (!text)
                        complain(in, group, *name, "%s", error->message);
                else if (server)
                        set_server_key(in, group, server, *name, text);
                else
                        read_entry(in, group, *name, text);
        }
        if (server && (!server->uri || (!server->ssid && !server->bootstrap)))
                complain(in, group, NULL, "a server needs Uri and ShortId (or Bootstrap=true)");
}

static int read_file(Config *config, const char *file, GString *errors) {
        g_auto(KeyFile) f = { .file = NULL };
        g_auto(GStrv) groups = NULL;
        int r;

        r = keyfile_open(file, errors, &f);
        if (r < 0)
                return r;
        groups = g_key_file_get_groups(f.keyfile, NULL);
        for (char **group = groups; *group; group++)
                read_group(&(Reading){ &f, errors, config }, *group);
        return errors->len ? -EINVAL : 0;
}

static void read_drop_ins(Config *config, const char *file, GString *errors) {
        g_autofree char *folder = g_strdup_printf("%s.d", file);
        g_autoptr(GPtrArray) names = keyfile_folder(folder, errors);

        for (guint i = 0; i < names->len; i++)
                read_file(config, g_ptr_array_index(names, i), errors);
}

/* A server knows the new address of a socket that was closed from the Update alone. */
static void check_queue(const Config *c, const char *group, QueueSocket socket, bool at_once,
                        GString *errors) {
        if (socket == QUEUE_SOCKET_CLOSE && at_once)
                config_where_complain(c->where, errors, group, "QueueAtOnce",
                                      "not with QueueSocket=close, the server has to learn the new "
                                      "address from an Update");
}

/* A bootstrap server is none to register with: no Short Server ID, and only one of it. */
static void check_server(const Config *c, const ServerConfig *s, const char *group, bool *bootstrap,
                         GString *errors) {
        if (s->bootstrap && (s->ssid || s->lifetime_sec || s->binding))
                config_where_complain(c->where, errors, group, NULL,
                                      "a bootstrap server has no ShortId, Lifetime and Binding");
        if (!s->bootstrap && (s->hold_off_sec || s->account_timeout_sec))
                config_where_complain(c->where, errors, group, NULL,
                                      "HoldOff and AccountTimeout are for Bootstrap=true");
        if (s->bootstrap && s->given & QUEUE_KEYS)
                config_where_complain(c->where, errors, group, NULL,
                                      "a bootstrap server knows no queue mode");
        if (s->bootstrap && g_strcmp0(s->security.mode, "est") == 0)
                config_where_complain(c->where, errors, group, "SecurityMode",
                                      "a bootstrap server cannot be in security mode est");
        if (s->bootstrap && *bootstrap)
                config_where_complain(c->where, errors, group, NULL, "a second bootstrap server");
        *bootstrap = *bootstrap || s->bootstrap;
}

static void check_whole(const Config *c, GString *errors) {
        bool bootstrap = false;

        check_queue(c, "Client", c->queue_socket, c->queue_at_once, errors);
        for (guint i = 0; i < c->servers_list->len; i++) {
                ServerConfig *a = g_ptr_array_index(c->servers_list, i);
                g_autofree char *group = g_strconcat("Server ", a->name, NULL);

                complete_server(c, a);
                check_server(c, a, group, &bootstrap, errors);
                if (!(c->queue_socket == QUEUE_SOCKET_CLOSE && c->queue_at_once))
                        check_queue(c, group, a->queue_socket, a->queue_at_once, errors);
                for (guint k = 0; k < i; k++) {
                        const ServerConfig *b = g_ptr_array_index(c->servers_list, k);

                        if (a->ssid == b->ssid && a->ssid)
                                config_where_complain(c->where, errors, group, "ShortId",
                                                      "[Server %s] has the same, %u", b->name,
                                                      a->ssid);
                }
        }
        if (c->servers_list->len - bootstrap > c->servers)
                g_string_append_printf(errors, "%u servers, but [Limits] Servers is %" PRIu64 "\n",
                                       c->servers_list->len, c->servers);
}

static Config *config_new(void) {
        Config *c = g_new0(Config, 1);

        for (size_t i = 0; i < G_N_ELEMENTS(keys); i++)
                if (!is_text(keys[i].type) && keys[i].type != KEY_BOOL &&
                    keys[i].type != KEY_VERSION && keys[i].type != KEY_FORMAT &&
                    keys[i].type != KEY_QUEUE_SOCKET && !choices[keys[i].type][0])
                        *(uint64_t *) (void *) ((char *) c + keys[i].offset) = keys[i].preset;
        c->bootstrap_format = FORMAT_SENML_CBOR;
        c->where = config_where_new();
        c->servers_list = g_ptr_array_new_with_free_func(server_config_free);
        c->seeds = g_ptr_array_new_with_free_func(seed_free);
        c->seed_index = path_table_new(NULL);
        c->persist = g_array_new(FALSE, FALSE, sizeof(PersistConfig));
        c->caches = g_array_new(FALSE, FALSE, sizeof(CacheConfig));
        return c;
}

int config_load(const char *file, bool may_be_missing, Config **ret, char **ret_error) {
        g_autoptr(Config) c = config_new();
        g_autoptr(GString) errors = g_string_new(NULL);
        int r;

        r = read_file(c, file, errors);
        if (r == -ENOENT && may_be_missing) {
                g_string_truncate(errors, 0);
                r = 0;
        }
        read_drop_ins(c, file, errors);
        c->grants = rights_load(file, errors);
        if (errors->len == 0)
                check_whole(c, errors);
        if (errors->len > 0) {
                *ret_error = g_strchomp(g_string_free(g_steal_pointer(&errors), FALSE));
                return r < 0 ? r : -EINVAL;
        }
        if (c->schedule)
                schedule_foreach_seed(c->schedule, config_put_seed, c);
        *ret = g_steal_pointer(&c);
        return 0;
}

Config *config_free(Config *c) {
        if (!c)
                return NULL;
        g_free(c->endpoint);
        g_free(c->sms);
        g_free(c->bootstrap_file);
        g_free(c->trust_store);
        g_free(c->providers);
        g_free(c->pin_file);
        g_free(c->pkcs11_module);
        g_free(c->tcti);
        g_free(c->est_uri);
        g_free(c->est_curve);
        config_security_clear(&c->est_security);
        g_free(c->bind);
        g_free(c->interface);
        config_where_free(c->where);
        g_ptr_array_unref(c->servers_list);
        g_hash_table_unref(c->seed_index);
        g_ptr_array_unref(c->seeds);
        g_array_unref(c->persist);
        g_array_unref(c->caches);
        access_policy_unref(c->access);
        schedule_free(c->schedule);
        grants_unref(c->grants);
        g_strfreev(c->object_paths);
        g_clear_pointer(&c->offered, g_array_unref);
        g_free(c);
        return NULL;
}
