/* SPDX-License-Identifier: Apache-2.0 */
/* The Manager interface: the engine's verbs, accounts, events. */
#include <errno.h>
#include <string.h>

#include "bus/bus_internal.h"
#include "bus/server_security.h"
#include "util/parse.h"

/* --- properties --- */

static int get_text(sd_bus *bus, const char *path, const char *interface, const char *property,
                    sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        Bus *b = userdata;
        const char *text = strcmp(property, "Version") == 0      ? PROJECT_VERSION
                           : strcmp(property, "InstanceId") == 0 ? b->instance_id
                           : strcmp(property, "Endpoint") == 0   ? client_endpoint(b->client)
                                                                 : client_state(b->client);

        return sd_bus_message_append(reply, "s", text);
}

static int get_api_version(sd_bus *bus, const char *path, const char *interface,
                           const char *property, sd_bus_message *reply, void *userdata,
                           sd_bus_error *error) {
        return sd_bus_message_append(reply, "u", BUS_API_VERSION);
}

static int get_paused(sd_bus *bus, const char *path, const char *interface, const char *property,
                      sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        return sd_bus_message_append(reply, "b", client_is_paused(((Bus *) userdata)->client));
}

/* What this build can, for programs that must work with several. */
static int get_features(sd_bus *bus, const char *path, const char *interface, const char *property,
                        sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        static const char *const always[] = { "coap",           "coap+tcp",    "ipv6",
                                              "lwm2m-1.0",      "lwm2m-1.1",   "lwm2m-1.2",
                                              "composite",      "model",       "bootstrap",
                                              "send",           "time-series", "queue-mode",
                                              "access-control", NULL };
        g_autoptr(GStrvBuilder) all = g_strv_builder_new();
        g_auto(GStrv) list = NULL;
        const Bus *b = userdata;

        g_strv_builder_addv(all, (const char **) always);
        if (b->config.features)
                g_strv_builder_addv(all, (const char **) b->config.features);
        list = g_strv_builder_end(all);
        return sd_bus_message_append_strv(reply, list);
}

static int get_stats(sd_bus *bus, const char *path, const char *interface, const char *property,
                     sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        Bus *b = userdata;
        Tree *tree = client_tree(b->client);
        Store *store = client_store(b->client);
        const Series *series = dm_series(client_dm(b->client));
        uint64_t n_samples = 0, n_dropped = 0, stored, stored_delivered, stored_dropped;
        size_t n_servers;

        if (series)
                series_totals(series, &n_samples, &n_dropped);
        dm_stored_notifications(client_dm(b->client), &stored, &stored_delivered, &stored_dropped);
        g_free(client_servers(b->client, &n_servers));
        return sd_bus_message_append(
                reply, "a{st}", 11, "sends", (uint64_t) dm_n_sends(client_dm(b->client)), "samples",
                n_samples, "samples-dropped", n_dropped, "cache-bytes",
                series ? series_bytes(series) : (uint64_t) 0, "instances",
                (uint64_t) tree_n_instances(tree, -1), "servers", (uint64_t) n_servers,
                "observations", dm_n_observations(client_dm(b->client)), "notifications-stored",
                stored, "notifications-stored-delivered", stored_delivered,
                "notifications-stored-dropped", stored_dropped, "fsyncs",
                store ? store_n_syncs(store) : (uint64_t) 0);
}

void manager_changed(Bus *b) {
        if (b->bus)
                sd_bus_emit_properties_changed(b->bus, BUS_PATH, BUS_NAME ".Manager", "State",
                                               "Endpoint", "Paused", NULL);
}

/* --- events --- */

static int append_details(sd_bus_message *m, const ClientEvent *event) {
        int r;

        r = sd_bus_message_open_container(m, 'a', "{sv}");
        for (const char *const *d = event->details; r >= 0 && d && d[0] && d[1]; d += 2)
                r = sd_bus_message_append(m, "{sv}", d[0], "s", d[1]);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

void manager_event(Bus *b, const ClientEvent *event) {
        sd_bus_message *m = NULL;
        int r;

        if (!b->bus || bus_is_behind(b))
                return;
        r = sd_bus_message_new_signal(b->bus, &m, BUS_PATH, BUS_NAME ".Manager", "Event");
        if (r >= 0)
                r = sd_bus_message_append(m, "sq", event->name, event->ssid);
        if (r >= 0)
                r = append_details(m, event);
        if (r >= 0)
                sd_bus_send(b->bus, m, NULL);
        sd_bus_message_unref(m);
}

static void append_event(void *userdata, const ClientEvent *event) {
        sd_bus_message *m = userdata;

        sd_bus_message_open_container(m, 'r', "xsqa{sv}");
        sd_bus_message_append(m, "xsq", event->time_ns, event->name, event->ssid);
        append_details(m, event);
        sd_bus_message_close_container(m);
}

static int method_get_events(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Bus *b = userdata;
        sd_bus_message *reply = NULL;
        int r;

        r = options_read(m, NULL, error);
        if (r >= 0)
                r = sd_bus_message_new_method_return(m, &reply);
        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'a', "(xsqa{sv})");
        if (r >= 0) {
                client_foreach_event(b->client, append_event, reply);
                r = sd_bus_message_close_container(reply);
        }
        return reply_send(reply, r);
}

/* --- the engine --- */

#define NO_BOOTSTRAP "There is no account of a bootstrap server"

static int method_start(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Bus *b = userdata;
        bool bootstrap = false;
        const Option options[] = { { "bootstrap", OPTION_BOOL, &bootstrap }, { NULL } };
        const char *endpoint;
        int r;

        r = sd_bus_message_read(m, "s", &endpoint);
        if (r >= 0)
                r = options_read(m, options, error);
        if (r < 0)
                return r;
        r = (bootstrap ? client_start_bootstrap
                       : client_start)(b->client, *endpoint ? endpoint : NULL, bus_now(b));
        if (r == -ENOENT)
                return bus_error(error, r, NO_BOOTSTRAP);
        if (r == -EALREADY)
                return bus_error(error, r, "The client is running already, as %s",
                                 client_endpoint(b->client));
        if (r == -EINVAL)
                return bus_error(error, r, "'%s' is not an Endpoint Client Name", endpoint);
        return r < 0 ? bus_error(error, r, "Cannot start: %m") : reply_ok(m);
}

static void on_stopped(void *userdata) {
        sd_bus_message *m = userdata;

        reply_ok(m);
        sd_bus_message_unref(m);
}

static int method_stop(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Bus *b = userdata;
        bool force = false;
        const Option options[] = { { "force", OPTION_BOOL, &force }, { NULL } };
        int r;

        r = options_read(m, options, error);
        if (r < 0)
                return r;
        r = client_stop(b->client, force, on_stopped, sd_bus_message_ref(m), bus_now(b));
        if (r >= 0)
                return 1;
        sd_bus_message_unref(m);
        return bus_error(error, r,
                         r == -EBUSY ? "Too many wait for the client's stop already"
                                     : "The client is not running");
}

static int method_pause(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Bus *b = userdata;
        int r;

        r = options_read(m, NULL, error);
        if (r < 0)
                return r;
        r = client_pause(b->client, bus_now(b));
        return r < 0 ? bus_error(error, r, "Cannot pause: the client is %s",
                                 client_state(b->client))
                     : reply_ok(m);
}

static int method_resume(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Bus *b = userdata;
        int r;

        r = options_read(m, NULL, error);
        if (r < 0)
                return r;
        r = client_resume(b->client, bus_now(b));
        return r < 0 ? bus_error_named(error, ERROR_PREFIX "NotAllowed",
                                       "Cannot resume: the client is not paused (%s)",
                                       client_state(b->client))
                     : reply_ok(m);
}

static int method_update(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Bus *b = userdata;
        int r;

        r = options_read(m, NULL, error);
        if (r < 0)
                return r;
        r = client_update(b->client, 0, bus_now(b));
        return r < 0 ? bus_error(error, r, "Cannot update: no server is registered (%s)",
                                 client_state(b->client))
                     : reply_ok(m);
}

static int method_bootstrap(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Bus *b = userdata;
        bool wait = false;
        const Option options[] = { { "wait", OPTION_BOOL, &wait }, { NULL } };
        int r;

        r = options_read(m, options, error);
        if (r < 0)
                return r;
        r = client_bootstrap(b->client, bus_now(b));
        if (r == -ENOENT)
                return bus_error(error, r, NO_BOOTSTRAP);
        if (r == -EALREADY)
                return bus_error(error, -EBUSY, "A bootstrap is under way");
        if (r < 0)
                return bus_error(error, -ESHUTDOWN, "The client is %s", client_state(b->client));
        return jobs_add(b->jobs, m, 0, "bootstrap", wait, error);
}

/* --- accounts --- */

/* The lowest Short Server ID that no account has; 0: none is left. */
static uint16_t free_short_id(const Client *c) {
        g_autofree uint16_t *taken = NULL; /* ascending */
        uint16_t id = 1;
        size_t n;

        taken = client_servers(c, &n);
        for (size_t i = 0; i < n; i++)
                if (taken[i] == id)
                        id++;
        return id <= ID_MAX ? id : 0;
}

static int method_add_server(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Bus *b = userdata;
        g_auto(ServerSecurity) security = SERVER_SECURITY_INIT;
        g_autoptr(Credentials) credentials = NULL;
        ServerAccount account = { 0 };
        g_autofree char *why = NULL;
        const Option options[] = {
                { "uri", OPTION_TEXT, &account.uri },
                { "short_id", OPTION_U16, &account.ssid },
                { "lifetime", OPTION_U32, &account.lifetime_sec },
                { "binding", OPTION_TEXT, &account.binding },
                { "bootstrap", OPTION_BOOL, &account.bootstrap },
                { "hold_off", OPTION_U32, &account.hold_off_sec },
                { "account_timeout", OPTION_U32, &account.account_timeout_sec },
                SERVER_SECURITY_OPTIONS(security),
                { NULL },
        };
        char path[64];
        int r;

        r = options_read(m, options, error);
        if (r < 0)
                return r;
        if (!account.uri)
                return bus_error_named(error, ERROR_PREFIX "InvalidOption",
                                       "A server needs the option uri");
        if (account.bootstrap && (account.ssid || account.lifetime_sec || account.binding))
                return bus_error_named(error, ERROR_PREFIX "InvalidOption",
                                       "A bootstrap server has no short_id, lifetime and binding");
        if (!account.bootstrap && (account.hold_off_sec || account.account_timeout_sec))
                return bus_error_named(error, ERROR_PREFIX "InvalidOption",
                                       "hold_off and account_timeout are for a bootstrap server");
        if (account.ssid == 0 && !account.bootstrap)
                account.ssid = free_short_id(b->client);
        r = server_security_build(&security, b->config.secrets_directory, &credentials, &why);
        if (r < 0)
                return bus_error(error, r, "%s: %s", account.uri, why);
        account.credentials = credentials;
        r = client_add_account(b->client, &account, &why, bus_now(b));
        if (r < 0)
                return account.bootstrap ? bus_error(error, r, "Bootstrap server: %s",
                                                     why ? why : g_strerror(-r))
                                         : bus_error(error, r, "Server %u: %s", account.ssid,
                                                     why ? why : g_strerror(-r));
        server_path(account.ssid, path);
        return sd_bus_reply_method_return(m, "o", path);
}

static int method_remove_server(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Bus *b = userdata;
        const char *path;
        uint16_t ssid;
        int r;

        r = sd_bus_message_read(m, "o", &path);
        if (r >= 0)
                r = options_read(m, NULL, error);
        if (r < 0)
                return r;
        if (server_ssid_of(path, &ssid) < 0)
                return bus_error_named(error, ERROR_PREFIX "NotFound",
                                       "'%s' is not the object of a server", path);
        r = client_remove_account(b->client, ssid, bus_now(b));
        if (r == -ENOENT)
                return ssid ? bus_error(error, r, "There is no server %u", ssid)
                            : bus_error(error, r, NO_BOOTSTRAP);
        return r < 0 ? bus_error(error, r, "Server %u: %m", ssid) : reply_ok(m);
}

/* --- storage --- */

static int method_sync(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Bus *b = userdata;
        int r;

        if (!client_store(b->client))
                return bus_error(error, -ENOTSUP, "This daemon keeps nothing on disk");
        r = client_sync(b->client);
        if (r >= 0 && dm_series(client_dm(b->client)))
                r = series_sync(dm_series(client_dm(b->client)));
        return r < 0 ? bus_error(error, r, "Cannot write the state: %m") : reply_ok(m);
}

static int method_reload(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Bus *b = userdata;
        g_autofree char *why = NULL;
        int r;

        r = b->hooks.reload(b->userdata, &why);
        return r < 0 ? bus_error(error, r, "%s", why ? why : g_strerror(-r)) : reply_ok(m);
}

static int method_factory_reset(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Bus *b = userdata;
        g_autofree char *why = NULL;
        bool keep = false;
        const Option options[] = { { "keep_servers", OPTION_BOOL, &keep }, { NULL } };
        int r;

        r = options_read(m, options, error);
        if (r < 0)
                return r;
        if (!client_store(b->client))
                return bus_error(error, -ENOTSUP, "This daemon keeps nothing on disk");
        r = b->hooks.factory_reset(b->userdata, keep, &why);
        return r < 0 ? bus_error(error, r, "%s", why ? why : g_strerror(-r)) : reply_ok(m);
}

#define NO_ARGS SD_BUS_ARGS("a{sv}", options)
#define EMITS SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE

const sd_bus_vtable manager_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_PROPERTY("Version", "s", get_text, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("ApiVersion", "u", get_api_version, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("Features", "as", get_features, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("InstanceId", "s", get_text, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("Endpoint", "s", get_text, 0, EMITS),
        SD_BUS_PROPERTY("State", "s", get_text, 0, EMITS),
        SD_BUS_PROPERTY("Paused", "b", get_paused, 0, EMITS),
        SD_BUS_PROPERTY("Stats", "a{st}", get_stats, 0, 0),
        SD_BUS_METHOD_WITH_ARGS("Start", SD_BUS_ARGS("s", endpoint, "a{sv}", options),
                                SD_BUS_NO_RESULT, method_start, 0),
        SD_BUS_METHOD_WITH_ARGS("Stop", NO_ARGS, SD_BUS_NO_RESULT, method_stop, 0),
        SD_BUS_METHOD_WITH_ARGS("Bootstrap", NO_ARGS, SD_BUS_RESULT("u", job), method_bootstrap, 0),
        SD_BUS_METHOD_WITH_ARGS("Pause", NO_ARGS, SD_BUS_NO_RESULT, method_pause, 0),
        SD_BUS_METHOD_WITH_ARGS("Resume", NO_ARGS, SD_BUS_NO_RESULT, method_resume, 0),
        SD_BUS_METHOD_WITH_ARGS("Update", NO_ARGS, SD_BUS_NO_RESULT, method_update, 0),
        SD_BUS_METHOD_WITH_ARGS("AddServer", NO_ARGS, SD_BUS_RESULT("o", server), method_add_server,
                                0),
        SD_BUS_METHOD_WITH_ARGS("RemoveServer", SD_BUS_ARGS("o", server, "a{sv}", options),
                                SD_BUS_NO_RESULT, method_remove_server, 0),
        SD_BUS_METHOD_WITH_ARGS("Sync", SD_BUS_NO_ARGS, SD_BUS_NO_RESULT, method_sync,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Reload", SD_BUS_NO_ARGS, SD_BUS_NO_RESULT, method_reload, 0),
        SD_BUS_METHOD_WITH_ARGS("FactoryReset", NO_ARGS, SD_BUS_NO_RESULT, method_factory_reset, 0),
        SD_BUS_METHOD_WITH_ARGS("GetEvents", NO_ARGS, SD_BUS_RESULT("a(xsqa{sv})", events),
                                method_get_events, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Monitor", SD_BUS_ARGS("as", kinds, "a{sv}", options),
                                SD_BUS_RESULT("h", pipe), method_monitor,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_SIGNAL_WITH_ARGS("Event", SD_BUS_ARGS("s", name, "q", server, "a{sv}", details), 0),
        SD_BUS_SIGNAL_WITH_ARGS("JobDone",
                                SD_BUS_ARGS("u", job, "s", kind, "s", result, "a{sv}", details), 0),
        SD_BUS_VTABLE_END,
};
