/* SPDX-License-Identifier: Apache-2.0 */
/* The Server interface: one object an account, /org/lwm2md/Client1/server/<Short Server ID>. */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "bus/bus_internal.h"
#include "lwm2m/bootstrap/bs_account.h"
#include "util/parse.h"

void server_path(uint16_t ssid, char buffer[static 64]) {
        if (ssid == BS_SSID)
                g_strlcpy(buffer, BUS_SERVERS "/bootstrap", 64);
        else
                g_snprintf(buffer, 64, "%s/%u", BUS_SERVERS, ssid);
}

int server_ssid_of(const char *path, uint16_t *ret) {
        int r;

        if (!g_str_has_prefix(path, BUS_SERVERS "/"))
                return -EINVAL;
        path += strlen(BUS_SERVERS "/");
        if (strcmp(path, "bootstrap") == 0) {
                *ret = BS_SSID;
                return 0;
        }
        r = parse_u16(path, ret);
        return r >= 0 && *ret == BS_SSID ? -EINVAL : r;
}

int server_find(sd_bus *bus, const char *path, const char *interface, void *userdata,
                void **ret_found, sd_bus_error *error) {
        Bus *b = userdata;
        ServerInfo info;
        uint16_t ssid;

        if (server_ssid_of(path, &ssid) < 0 || client_server_info(b->client, ssid, &info) < 0)
                return 0;
        *ret_found = b;
        return 1;
}

int server_enumerate(sd_bus *bus, const char *prefix, void *userdata, char ***ret_nodes,
                     sd_bus_error *error) {
        Bus *b = userdata;
        g_autofree uint16_t *ids = NULL;
        bool bootstrap = client_has_bootstrap(b->client);
        char **nodes;
        size_t n;

        ids = client_servers(b->client, &n);
        /* sd-bus frees the list with free(). */
        nodes = calloc(n + bootstrap + 1, sizeof(char *));
        for (size_t i = 0; nodes && i < n; i++) {
                char path[64];

                server_path(ids[i], path);
                nodes[i] = strdup(path);
        }
        if (nodes && bootstrap)
                nodes[n] = strdup(BUS_SERVERS "/bootstrap");
        *ret_nodes = nodes;
        return nodes ? 0 : -ENOMEM;
}

static int get_info(Bus *b, const char *path, ServerInfo *ret) {
        uint16_t ssid;

        return server_ssid_of(path, &ssid) < 0 ? -ENOENT : client_server_info(b->client, ssid, ret);
}

static int64_t wall_clock_ns(const Bus *b, uint64_t usec) {
        struct timespec ts;

        if (usec == USEC_INFINITY || usec == 0)
                return 0;
        clock_gettime(CLOCK_REALTIME, &ts);
        return (int64_t) ts.tv_sec * 1000000000 + ts.tv_nsec +
               ((int64_t) usec - (int64_t) bus_now(b)) * 1000;
}

static const char *or_empty(const char *text) {
        return text ? text : "";
}

static int property_get(sd_bus *bus, const char *path, const char *interface, const char *property,
                        sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        Bus *b = userdata;
        char version[16] = "";
        ServerInfo s;
        int r;

        r = get_info(b, path, &s);
        if (r < 0)
                return r;
        if (s.version.major)
                g_snprintf(version, sizeof(version), "%u.%u", s.version.major, s.version.minor);
        if (strcmp(property, "ShortId") == 0)
                return sd_bus_message_append(reply, "q", s.ssid);
        if (strcmp(property, "Lifetime") == 0)
                return sd_bus_message_append(reply, "u", s.lifetime_sec);
        if (strcmp(property, "LastError") == 0)
                return sd_bus_message_append(reply, "(ss)", or_empty(s.last_error_code),
                                             or_empty(s.last_error_text));
        if (strcmp(property, "LastRegistered") == 0)
                return sd_bus_message_append(reply, "x", s.last_registered_ns);
        if (strcmp(property, "NextUpdate") == 0)
                return sd_bus_message_append(reply, "x", wall_clock_ns(b, s.next_update_usec));
        if (strcmp(property, "QueuedNotifications") == 0)
                return sd_bus_message_append(reply, "u", s.queued_notifications);
        if (strcmp(property, "DroppedNotifications") == 0)
                return sd_bus_message_append(reply, "u", s.dropped_notifications);
        if (strcmp(property, "EnrolledUntil") == 0)
                return sd_bus_message_append(reply, "x", s.enrolled_until_ns);
        if (strcmp(property, "SendMuted") == 0)
                return sd_bus_message_append(reply, "b", s.send_muted);
        if (strcmp(property, "Resumed") == 0)
                return sd_bus_message_append(reply, "b", s.resumed);
        if (strcmp(property, "ConnectionId") == 0)
                return sd_bus_message_append(reply, "b", s.cid);
        return sd_bus_message_append(reply, "s",
                                     or_empty(strcmp(property, "Uri") == 0          ? s.uri
                                              : strcmp(property, "Security") == 0   ? s.security
                                              : strcmp(property, "Cipher") == 0     ? s.cipher
                                              : strcmp(property, "Binding") == 0    ? s.binding
                                              : strcmp(property, "State") == 0      ? s.state
                                              : strcmp(property, "Location") == 0   ? s.location
                                              : strcmp(property, "Peer") == 0       ? s.peer
                                              : strcmp(property, "EnrolledBy") == 0 ? s.enrolled_by
                                              : strcmp(property, "Enrolment") == 0  ? s.enrolling
                                              : strcmp(property, "QueueMode") == 0  ? s.queue
                                                                                    : version));
}

static int begin(sd_bus_message *m, Bus *b, ServerInfo *ret, sd_bus_error *error) {
        int r;

        r = get_info(b, sd_bus_message_get_path(m), ret);
        if (r < 0) {
                bus_error(error, r, "There is no such server any more");
                return r;
        }
        return 0;
}

/* What belongs to a registration. */
static int begin_registering(sd_bus_message *m, Bus *b, ServerInfo *ret, sd_bus_error *error) {
        int r;

        r = begin(m, b, ret, error);
        if (r >= 0 && ret->ssid == BS_SSID)
                r = bus_error(error, -ENOTSUP,
                              "The bootstrap server takes no registration; see Manager.Bootstrap");
        return r;
}

static int refused(const ServerInfo *s, const char *what, int r, sd_bus_error *error) {
        return bus_error(error, r, "Server %u: cannot %s: %s (state %s)", s->ssid, what,
                         r == -ENOTCONN    ? "it is not registered"
                         : r == -ESHUTDOWN ? "the client is not running"
                                           : g_strerror(-r),
                         s->state);
}

static int start_job(sd_bus_message *m, Bus *b, sd_bus_error *error,
                     int (*func)(Client *c, uint16_t ssid, uint64_t now_usec), const char *kind) {
        bool wait = false;
        const Option options[] = { { "wait", OPTION_BOOL, &wait }, { NULL } };
        ServerInfo s;
        int r;

        r = options_read(m, options, error);
        if (r >= 0)
                r = begin_registering(m, b, &s, error);
        if (r < 0)
                return r;
        r = func(b->client, s.ssid, bus_now(b));
        if (r < 0)
                return refused(&s, kind, r, error);
        return jobs_add(b->jobs, m, s.ssid, kind, wait, error);
}

static int method_update(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        return start_job(m, userdata, error, client_update, "update");
}

static int method_register(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        return start_job(m, userdata, error, client_register, "register");
}

static int method_deregister(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        return start_job(m, userdata, error, client_deregister, "deregister");
}

static int method_disable(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Bus *b = userdata;
        uint32_t seconds;
        ServerInfo s;
        int r;

        r = sd_bus_message_read(m, "u", &seconds);
        if (r >= 0)
                r = options_read(m, NULL, error);
        if (r >= 0)
                r = begin_registering(m, b, &s, error);
        if (r < 0)
                return r;
        r = client_disable(b->client, s.ssid, seconds, bus_now(b));
        return r < 0 ? refused(&s, "disable", r, error) : reply_ok(m);
}

static int method_enable(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Bus *b = userdata;
        ServerInfo s;
        int r;

        r = begin_registering(m, b, &s, error);
        if (r < 0)
                return r;
        r = client_enable(b->client, s.ssid, bus_now(b));
        return r < 0 ? refused(&s, "enable", r, error) : reply_ok(m);
}

static int method_enroll(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Bus *b = userdata;
        ServerInfo s;
        int r;

        r = options_read(m, NULL, error);
        if (r >= 0)
                r = begin_registering(m, b, &s, error);
        if (r < 0)
                return r;
        r = client_enrol(b->client, s.ssid, bus_now(b));
        if (r == -ENOTSUP)
                return bus_error(error, r,
                                 "Server %u: its certificate does not come by EST: the "
                                 "security mode is %s",
                                 s.ssid, s.security);
        return r == -EALREADY
                       ? bus_error(error, -EBUSY, "Server %u: an enrolment is under way", s.ssid)
               : r < 0 ? refused(&s, "enroll", r, error)
                       : reply_ok(m);
}

static int method_test(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Bus *b = userdata;
        ServerInfo s;
        int r;

        r = options_read(m, NULL, error);
        if (r >= 0)
                r = begin(m, b, &s, error);
        return r < 0 ? r : tests_add(b->tests, m, s.ssid, error);
}

static void append_observation(void *userdata, const ObservationInfo *info) {
        sd_bus_message *m = userdata;
        g_autoptr(GString) token = g_string_new(NULL);
        gsize n = 0;
        const uint8_t *bytes = info->token ? g_bytes_get_data(info->token, &n) : NULL;

        for (gsize i = 0; i < n; i++)
                g_string_append_printf(token, "%02x", bytes[i]);
        sd_bus_message_open_container(m, 'r', "asa{sv}");
        sd_bus_message_open_container(m, 'a', "s");
        for (size_t i = 0; i < info->n_paths; i++)
                sd_bus_message_append(m, "s", PATH_TEXT(&info->paths[i]));
        sd_bus_message_close_container(m);
        sd_bus_message_append(m, "a{sv}", 6, "composite", "b", info->composite, "attributes", "s",
                              or_empty(info->attributes), "pending", "b", info->pending, "format",
                              "i", info->format, "sent", "t", info->n_sent, "token", "s",
                              token->str);
        sd_bus_message_close_container(m);
}

static int method_list_observations(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Bus *b = userdata;
        sd_bus_message *reply = NULL;
        ServerInfo s;
        int r;

        r = begin(m, b, &s, error);
        if (r < 0)
                return r;
        r = sd_bus_message_new_method_return(m, &reply);
        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'a', "(asa{sv})");
        if (r >= 0) {
                dm_foreach_observation(client_dm(b->client), s.ssid, append_observation, reply);
                r = sd_bus_message_close_container(reply);
        }
        return reply_send(reply, r);
}

#define EMITS SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE
#define CONSTANT SD_BUS_VTABLE_PROPERTY_CONST

const sd_bus_vtable server_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_PROPERTY("ShortId", "q", property_get, 0, CONSTANT),
        SD_BUS_PROPERTY("Uri", "s", property_get, 0, CONSTANT),
        SD_BUS_PROPERTY("Security", "s", property_get, 0, CONSTANT),
        SD_BUS_PROPERTY("Cipher", "s", property_get, 0, 0),
        SD_BUS_PROPERTY("Resumed", "b", property_get, 0, 0),
        SD_BUS_PROPERTY("ConnectionId", "b", property_get, 0, 0),
        SD_BUS_PROPERTY("Enrolment", "s", property_get, 0, EMITS),
        SD_BUS_PROPERTY("EnrolledUntil", "x", property_get, 0, EMITS),
        SD_BUS_PROPERTY("EnrolledBy", "s", property_get, 0, EMITS),
        SD_BUS_PROPERTY("Binding", "s", property_get, 0, 0),
        SD_BUS_PROPERTY("Lifetime", "u", property_get, 0, 0),
        SD_BUS_PROPERTY("LwM2MVersion", "s", property_get, 0, EMITS),
        SD_BUS_PROPERTY("Peer", "s", property_get, 0, 0),
        SD_BUS_PROPERTY("State", "s", property_get, 0, EMITS),
        SD_BUS_PROPERTY("Location", "s", property_get, 0, EMITS),
        SD_BUS_PROPERTY("LastError", "(ss)", property_get, 0, EMITS),
        SD_BUS_PROPERTY("LastRegistered", "x", property_get, 0, EMITS),
        SD_BUS_PROPERTY("NextUpdate", "x", property_get, 0, EMITS),
        SD_BUS_PROPERTY("QueueMode", "s", property_get, 0, EMITS),
        SD_BUS_PROPERTY("QueuedNotifications", "u", property_get, 0, EMITS),
        SD_BUS_PROPERTY("DroppedNotifications", "u", property_get, 0, 0),
        SD_BUS_PROPERTY("SendMuted", "b", property_get, 0, EMITS),
        SD_BUS_METHOD_WITH_ARGS("Update", SD_BUS_ARGS("a{sv}", options), SD_BUS_RESULT("u", job),
                                method_update, 0),
        SD_BUS_METHOD_WITH_ARGS("Register", SD_BUS_ARGS("a{sv}", options), SD_BUS_RESULT("u", job),
                                method_register, 0),
        SD_BUS_METHOD_WITH_ARGS("Deregister", SD_BUS_ARGS("a{sv}", options),
                                SD_BUS_RESULT("u", job), method_deregister, 0),
        SD_BUS_METHOD_WITH_ARGS("Disable", SD_BUS_ARGS("u", seconds, "a{sv}", options),
                                SD_BUS_NO_RESULT, method_disable, 0),
        SD_BUS_METHOD_WITH_ARGS("Enable", SD_BUS_NO_ARGS, SD_BUS_NO_RESULT, method_enable, 0),
        SD_BUS_METHOD_WITH_ARGS("Enroll", SD_BUS_ARGS("a{sv}", options), SD_BUS_NO_RESULT,
                                method_enroll, 0),
        SD_BUS_METHOD_WITH_ARGS("Test", SD_BUS_ARGS("a{sv}", options),
                                SD_BUS_RESULT("a(sss)", steps), method_test, 0),
        SD_BUS_METHOD_WITH_ARGS("ListObservations", SD_BUS_NO_ARGS,
                                SD_BUS_RESULT("a(asa{sv})", observations), method_list_observations,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_VTABLE_END,
};
