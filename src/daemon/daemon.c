/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/daemon.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "bus/bus.h"
#include "coap/coap_transport.h"
#include "coap/est_openssl.h"
#include "daemon/bootstrap_file.h"
#include "daemon/caches.h"
#include "daemon/config_est.h"
#include "daemon/endpoint.h"
#include "daemon/notify.h"
#include "daemon/seed.h"
#include "lwm2m/account/account.h"
#include "lwm2m/send/sched_object.h"
#include "util/log.h"

#define ATTRIBUTES_BLOB "attributes"
#define FEATURES_MAX 8 /* of the transport */

struct Daemon {
        const Arguments *arguments;
        Loop *loop;
        Schema *schema;
        Tree *tree;
        Store *store;
        Caches *caches;
        CoapTransport *transport;
        Bus *bus;
        Dm *dm;
        Client *client;
        SchedObject *scheduler;
        Timer *batch, *watchdog;
        uint64_t batch_usec, watchdog_usec;
        bool stopping, ready;
        bool stop_keeps; /* the registrations, for the next start */
};

/* --- object definitions --- */

static void on_bad_definition(void *userdata, const char *text) {
        log_warning("Object definition refused: %s", text);
}

static int load_definitions(Daemon *d, const Config *config) {
        static const char *const always[] = { OBJECTS_DIR, SYSCONF_DIR "/objects.d", NULL };
        int n = 0, r;

        for (const char *const *path = always; *path; path++) {
                r = schema_add_directory(d->schema, *path, on_bad_definition, NULL);
                if (r < 0 && r != -ENOENT)
                        log_warning_errno(r, "Cannot read object definitions from '%s': %m", *path);
                n += MAX(r, 0);
        }
        for (char **path = config->object_paths; path && *path; path++) {
                if (!**path)
                        continue;
                r = schema_add_directory(d->schema, *path, on_bad_definition, NULL);
                if (r < 0)
                        return log_error_errno(r, "[Objects] Path: cannot read '%s': %m", *path);
                n += r;
        }
        if (!schema_object(d->schema, 0, (Version){ 0, 0 }) ||
            !schema_object(d->schema, 1, (Version){ 0, 0 }))
                return log_error_errno(-ENOENT,
                                       "No definition of objects 0 and 1 in %s or [Objects] Path= "
                                       "(%d definitions read)",
                                       OBJECTS_DIR, n);
        log_debug("%d object definitions", n);
        return 0;
}

void daemon_log_lines(const char *text) {
        g_auto(GStrv) lines = g_strsplit(text, "\n", -1);

        for (char **line = lines; *line; line++)
                log_error("%s", *line);
}

static void load_kept_definition(void *userdata, const char *name, GBytes *blob) {
        Daemon *d = userdata;
        g_autofree char *why = NULL;
        gsize n;
        const char *xml = g_bytes_get_data(blob, &n);

        if (schema_add_xml(d->schema, name, xml, n, NULL, &why) < 0)
                log_warning("Kept object definition refused: %s", why);
}

/* --- storage --- */

static void on_store_message(void *userdata, int level, const char *text) {
        log_at(level, 0, NULL, "%s", text);
}

static void on_batch(void *userdata, uint64_t now_usec) {
        Daemon *d = userdata;
        int r;

        r = store_sync(d->store);
        if (r >= 0)
                return;
        log_error_errno(r, "Cannot write the state, trying again: %m");
        timer_arm(d->batch, now_usec + MAX(d->batch_usec, 10 * USEC_PER_SEC));
}

static void on_store_pending(void *userdata) {
        Daemon *d = userdata;

        if (timer_due(d->batch) == USEC_INFINITY)
                timer_arm(d->batch, loop_now(d->loop) + d->batch_usec);
}

/* Those of the configuration, and over them those set at run time. */
static int set_policies(Daemon *d, const Config *config) {
        g_autofree char *text = NULL;
        g_autoptr(GBytes) blob = NULL;

        for (guint i = 0; i < config->persist->len; i++) {
                const PersistConfig *p = &g_array_index(config->persist, PersistConfig, i);
                int r;

                r = store_set_policy(d->store, &p->prefix, p->policy);
                if (r < 0)
                        return log_error_errno(r, "[Persist] %s: %m", PATH_TEXT(&p->prefix));
        }
        if (store_get_blob(d->store, STORE_PERSIST_BLOB, &blob) < 0)
                return 0;
        text = g_strndup(g_bytes_get_data(blob, NULL), g_bytes_get_size(blob));
        if (store_load_policies(d->store, text) < 0)
                log_warning("The kept policies are damaged, going on without some");
        return 0;
}

static int open_store(Daemon *d, const Config *config) {
        StoreConfig sc = {
                .directory = d->arguments->state_dir,
                .journal_bytes_max = config->journal_bytes,
        };
        int r;

        d->batch_usec = config->batch_usec;
        d->batch = timer_new(loop_timers(d->loop), on_batch, d);
        r = store_open(&sc, d->tree, on_store_message, NULL, &d->store);
        if (r == -EBUSY)
                return log_error_errno(r, "The state directory '%s' is in use by another lwm2md",
                                       sc.directory);
        if (r < 0)
                return log_error_errno(r, "Cannot use the state directory '%s': %m", sc.directory);
        store_on_pending(d->store, on_store_pending, d);
        store_foreach_blob(d->store, STORE_MODEL_PREFIX, load_kept_definition, d);
        store_adopt(d->store); /* what belongs to those definitions */
        return set_policies(d, config);
}

static uint64_t on_now(void *userdata) {
        return loop_now(((Daemon *) userdata)->loop);
}

static int open_caches(Daemon *d, const Config *config) {
        const CachesConfig cc = {
                .directory = d->arguments->state_dir,
                .store = d->store,
                .tree = d->tree,
                .timers = loop_timers(d->loop),
                .now_usec = on_now,
                .userdata = d,
        };

        return caches_open(&cc, config, &d->caches);
}

/* --- the parts --- */

static int make_transport(Daemon *d, const Config *config) {
        g_autofree char *secrets = daemon_secrets_directory(d->arguments);
        g_auto(GStrv) providers = daemon_providers(config);
        CoapConfig cc = {
                .providers = (const char *const *) providers,
                .pin_file = config->pin_file,
                .handshake_usec = config->handshake_usec,
                .ping_usec = config->tcp_ping_usec,
                .secrets_directory = secrets,
                .trust_store = config->trust_store,
                .state_directory = d->arguments->state_dir,
                .spool_directory = d->arguments->runtime_dir,
                .body_max = config->body_bytes,
                .transfers_max = (uint32_t) config->transfers,
                .exchanges_max = (uint32_t) config->exchanges,
                .separate_after_usec = config->separate_after_usec,
                .message_max = config->tcp_message_bytes,
                .alpn_optional = config->alpn_optional,
        };
        int r;

        r = coap_transport_new(d->loop, &cc, &d->transport);
        return r < 0 ? log_error_errno(r, "Cannot set up CoAP: %m") : 0;
}

/* Each lives for ever: the TLS library has one of a few names. */
static void list_features(const char *ret[static FEATURES_MAX + 1]) {
        g_autofree char *library = g_strconcat("tls-", coap_transport_tls_library(), NULL);
        size_t n = 0;

        ret[n++] = "oscore";
        if (!coap_transport_has_dtls())
                return;
        ret[n++] = g_intern_string(library);
        ret[n++] = "coaps";
        ret[n++] = "psk";
        if (coap_transport_has_x509()) {
                ret[n++] = "x509";
                ret[n++] = "est";
        }
        if (coap_transport_has_rpk())
                ret[n++] = "rpk";
        if (coap_transport_has_cid())
                ret[n] = "connection-id";
}

static int make_bus(Daemon *d, const Config *config) {
        g_autofree char *secrets = daemon_secrets_directory(d->arguments);
        const char *features[FEATURES_MAX + 1] = { NULL };
        const KeyProvider *provider;
        void *provider_userdata;
        BusConfig bc = {
                .features = features,
                .secrets_directory = secrets,
                .address = d->arguments->bus,
                .instance = d->arguments->instance,
                .claims_per_user = (uint32_t) config->claims_per_user,
                .subscriptions_per_user = (uint32_t) config->subscriptions_per_user,
                .fds_per_user = (uint32_t) config->fds_per_user,
                .calls_per_user = (uint32_t) config->calls_per_user,
                .values_per_user = config->values_per_user,
                .grants = config->grants,
                .queue_max = (uint32_t) config->bus_queue,
        };
        int r;

        list_features(features);
        r = bus_new(&bc, d->loop, &d->bus);
        if (r >= 0) {
                provider_userdata = bus_key_provider(d->bus, &provider);
                coap_transport_set_provider(d->transport, provider, provider_userdata);
        }
        return r < 0 ? log_error_errno(r, "--instance: '%s' cannot be part of a bus name",
                                       bc.instance)
                     : 0;
}

static void on_observation_event(void *userdata, const char *name, uint16_t ssid, const Path *path,
                                 const char *why) {
        Daemon *d = userdata;
        char text[PATH_TEXT_MAX];
        const char *details[] = { "path", path ? path_format(path, text) : "",
                                  why && *why ? "error" : NULL, why, NULL };

        if (d->client)
                client_emit(d->client, name, ssid, details);
}

/* Write-Attributes are acknowledged like any write: on disk first. */
static void on_attributes_changed(void *userdata) {
        Daemon *d = userdata;
        g_autoptr(GBytes) blob = dm_save_attributes(d->dm);
        gsize n;
        const void *data = g_bytes_get_data(blob, &n);
        int r;

        r = store_put_blob(d->store, ATTRIBUTES_BLOB, data, n);
        if (r >= 0)
                r = store_sync(d->store);
        if (r < 0)
                log_error_errno(r, "Cannot keep the attributes a server wrote: %m");
}

static void load_attributes(Daemon *d) {
        g_autoptr(GBytes) blob = NULL;
        int r;

        if (store_get_blob(d->store, ATTRIBUTES_BLOB, &blob) < 0)
                return;
        r = dm_load_attributes(d->dm, blob);
        if (r < 0)
                log_warning_errno(r, "The kept attributes are damaged, going on without them: %m");
}

static void make_dm(Daemon *d, const Config *config) {
        DmConfig dc = {
                .tree = d->tree,
                .timers = loop_timers(d->loop),
                .transport = coap_transport_ops(),
                .apps = bus_app_ops(),
                .apps_userdata = d->bus,
                .limits = { .records = config->records,
                            .bytes = config->body_bytes,
                            .depth = (unsigned) config->depth },
                .observations_max = (uint32_t) config->observations,
                .observations_per_peer_max = (uint32_t) config->observations_per_server,
                .operations_max = (uint32_t) config->operations,
                .composite_paths_max = (uint32_t) config->composite_paths,
                .non_confirmable = config->non_confirmable,
                .sends_max = (uint32_t) config->sends,
                .send_bytes_max = config->send_bytes,
                .send_body_max = config->send_body_bytes,
                .send_timeout_usec = config->send_timeout_usec,
                .series = caches_series(d->caches),
                .event = on_observation_event,
                .attributes_changed = on_attributes_changed,
                .event_userdata = d,
        };

        d->dm = dm_new(&dc);
        load_attributes(d);
}

static AwakeConfig awake_config(uint64_t usec, QueueSocket socket, bool at_once) {
        return (AwakeConfig){ .time_usec = usec, .socket = socket, .at_once = at_once };
}

static SocketOptions socket_options(const char *bind, const char *interface, uint64_t mark,
                                    uint64_t dscp) {
        return (SocketOptions){ .bind = bind,
                                .interface = interface,
                                .mark = (uint32_t) mark,
                                .dscp = (uint8_t) dscp };
}

static GArray *server_options(const Config *config) {
        GArray *options = g_array_new(FALSE, FALSE, sizeof(ServerOptions));

        for (guint i = 0; i < config->servers_list->len; i++) {
                const ServerConfig *s = g_ptr_array_index(config->servers_list, i);
                ServerOptions o = {
                        .ssid = s->ssid,
                        .has_queue_mode = s->has_queue_mode,
                        .queue_mode = s->queue_mode,
                        .awake = awake_config(s->queue_awake_usec, s->queue_socket,
                                              s->queue_at_once),
                        .socket = socket_options(s->bind, s->interface, s->mark, s->dscp),
                };

                g_array_append_val(options, o); /* a bootstrap server has the number 0 */
        }
        return options;
}

static int refuse(const Config *config, const SecurityTexts *security, const char *group, int error,
                  const char *why) {
        g_autofree char *line = config_security_explain(security, config->where, group,
                                                        why ? why : g_strerror(-error));

        return log_error_errno(error, "%s", line);
}

static int make_client(Daemon *d, const Config *config) {
        g_autofree char *endpoint = g_strdup(config->endpoint);
        g_autofree char *secrets = daemon_secrets_directory(d->arguments), *why = NULL;
        g_autoptr(GArray) options = server_options(config);
        g_autoptr(EstConfig) est = NULL;
        ClientParts parts = {
                .tree = d->tree,
                .store = d->store,
                .dm = d->dm,
                .timers = loop_timers(d->loop),
                .transport = coap_transport_ops(),
                .transport_userdata = d->transport,
                .est = coap_transport_has_x509() ? &est_openssl_ops : NULL,
        };
        ClientConfig cc = {
                .version = config->version,
                .lifetime_sec = (uint32_t) config->lifetime_sec,
                .update_period_sec = (uint32_t) config->update_period_sec,
                .update_early_sec = (uint32_t) config->update_early_sec,
                .update_interval_min_sec = (uint32_t) config->update_interval_sec,
                .queue_mode = config->queue_mode,
                .awake = awake_config(config->queue_awake_usec, config->queue_socket,
                                      config->queue_at_once),
                .socket =
                        socket_options(config->bind, config->interface, config->mark, config->dscp),
                .options = (const ServerOptions *) (const void *) options->data,
                .n_options = options->len,
                .sms = config->sms,
                .offered =
                        config->offered ? (const uint16_t *) (void *) config->offered->data : NULL,
                .n_offered = config->offered ? config->offered->len : 0,
                .deregister_timeout_usec = config->deregister_timeout_usec,
                .backoff_max_sec = (uint32_t) config->backoff_max_sec,
                .give_up = config->give_up,
                .dates_need_clock = config->dates_need_clock,
                .settle_usec = config->settle_usec,
                .directory = (char *) d->arguments->state_dir,
                .stored_memory_max = config->stored_memory,
                .stored_file_max = config->stored_file,
                .servers_max = (uint32_t) config->servers,
                .events_max = (uint32_t) config->events,
                .bootstrap_format = (int) config->bootstrap_format,
                .bootstrap_port = (uint16_t) config->bootstrap_port,
                .bootstrap_paths = (uint32_t) config->bootstrap_paths,
                .bootstrap_bytes = config->bootstrap_bytes,
                .bootstrap_max_usec = config->bootstrap_time_usec,
        };
        int r;

        if (!endpoint) {
                r = endpoint_default(NULL, NULL, &endpoint);
                if (r < 0)
                        return log_error_errno(r, "No endpoint name: neither a permanent MAC "
                                                  "address nor a machine-id; "
                                                  "set [Client] Endpoint=");
        }
        r = config_est_build(config, secrets, &est, NULL, &why);
        if (r < 0)
                return refuse(config, &config->est_security, "Est", r, why);
        cc.est = est;
        cc.endpoint = endpoint;
        d->stop_keeps = config->stop_keeps;
        d->client = client_new(&cc, &parts);
        d->scheduler = sched_object_new(d->dm, d->tree, loop_timers(d->loop));
        client_add_listener(d->client, sched_object_listener(), d->scheduler);
        return 0;
}

static int add_accounts(Daemon *d, const Config *config) {
        g_autofree char *secrets = daemon_secrets_directory(d->arguments);

        for (guint i = 0; i < config->servers_list->len; i++) {
                const ServerConfig *s = g_ptr_array_index(config->servers_list, i);
                g_autofree char *why = NULL;
                g_autoptr(Credentials) c = NULL;
                ServerAccount account = { .uri = s->uri,
                                          .ssid = s->ssid,
                                          .lifetime_sec = s->lifetime_sec,
                                          .binding = s->binding,
                                          .bootstrap = s->bootstrap,
                                          .hold_off_sec = (uint32_t) s->hold_off_sec,
                                          .account_timeout_sec =
                                                  (uint32_t) s->account_timeout_sec };
                int r;

                r = config_security_build(&s->security, secrets, &c, &why);
                if (r >= 0) {
                        account.credentials = c;
                        r = client_add_account(d->client, &account, &why, loop_now(d->loop));
                }
                if (r < 0) {
                        g_autofree char *group = g_strconcat("Server ", s->name, NULL);

                        return refuse(config, &s->security, group, r, why);
                }
        }
        return 0;
}

/* A configuration that is refused leaves no account behind, so that the next try starts anew. */
static void remove_accounts(Daemon *d) {
        g_autofree uint16_t *known = NULL;
        size_t n;

        known = client_servers(d->client, &n);
        for (size_t i = 0; i < n; i++)
                client_remove_account(d->client, known[i], loop_now(d->loop));
        if (client_has_bootstrap(d->client))
                client_remove_account(d->client, 0, loop_now(d->loop));
}

/* In the order of TS Core 1.1.1, section 6.1.5: what a smartcard or the like has goes before what
 * the factory has set. */
static int first_accounts(Daemon *d, const Config *config, char **ret_error) {
        const BsLimits limits = { .paths = (uint32_t) config->bootstrap_paths,
                                  .bytes = config->bootstrap_bytes };
        const char *file = d->arguments->bootstrap_file ? d->arguments->bootstrap_file
                                                        : config->bootstrap_file;

        int r;

        if (!file)
                return add_accounts(d, config);
        r = bootstrap_file_apply(file, d->tree, &limits, ret_error);
        if (r >= 0) {
                log_info("Bootstrap information of '%s' taken over", file);
                client_follow_accounts(d->client, loop_now(d->loop));
        }
        return r;
}

/* Factory bootstrap, only when the state has no account yet, and seeds. The accounts come first:
 * their instances take the first free numbers, which those of the seeds would be. */
static int populate(Daemon *d, const Config *config, char **ret_error) {
        g_autofree uint16_t *known = NULL;
        bool first;
        size_t n;
        int r = 0;

        known = client_servers(d->client, &n);
        first = n == 0 && !client_has_bootstrap(d->client);
        if (first) {
                r = first_accounts(d, config, ret_error);
                if (r >= 0)
                        r = seed_accounts(config, d->tree, ret_error);
        }
        if (r >= 0)
                r = seed_apply(config, d->tree, ret_error);
        if (r < 0 && first)
                remove_accounts(d);
        dm_set_discover(d->dm, config->discover_permitted);
        if (r >= 0) /* after the instances it is about */
                dm_set_access_policy(d->dm,
                                     config->access ? access_policy_ref(config->access) : NULL);
        return r;
}

int daemon_new(const Arguments *arguments, const Config *config, Loop *loop, Daemon **ret) {
        g_autoptr(Daemon) d = g_new0(Daemon, 1);
        g_autofree char *why = NULL;
        int r;

        d->arguments = arguments;
        d->loop = loop;
        d->schema = schema_new();
        schema_set_release(d->schema,
                           config->version.major > 0 ? config->version : (Version){ 1, 1 });
        r = load_definitions(d, config);
        if (r < 0)
                return r;
        d->tree = tree_new(d->schema);
        tree_set_limits(d->tree, (uint32_t) config->instances, config->value_bytes);
        if (g_mkdir_with_parents(arguments->runtime_dir, 0700) < 0)
                return log_error_errno(errno, "Cannot make the runtime directory '%s': %m",
                                       arguments->runtime_dir);
        r = open_store(d, config);
        if (r >= 0)
                r = open_caches(d, config);
        if (r >= 0)
                r = make_transport(d, config);
        if (r >= 0)
                r = make_bus(d, config);
        if (r < 0)
                return r;
        make_dm(d, config);
        r = make_client(d, config);
        if (r < 0)
                return r;
        r = populate(d, config, &why);
        if (r < 0) {
                if (why)
                        daemon_log_lines(why);
                return r;
        }
        *ret = g_steal_pointer(&d);
        return 0;
}

Daemon *daemon_free(Daemon *d) {
        if (!d)
                return NULL;
        timer_free(d->watchdog);
        if (d->bus)
                bus_stop(d->bus);
        client_free(g_steal_pointer(&d->client)); /* its end is no event */
        sched_object_free(d->scheduler);
        dm_free(d->dm);
        bus_free(d->bus);
        coap_transport_free(d->transport);
        caches_free(d->caches);
        store_close(d->store);
        timer_free(d->batch);
        tree_free(d->tree);
        schema_free(d->schema);
        g_free(d);
        return NULL;
}

/* --- life --- */

static void on_watchdog(void *userdata, uint64_t now_usec) {
        Daemon *d = userdata;

        notify_state("WATCHDOG=1");
        timer_arm(d->watchdog, now_usec + d->watchdog_usec / 2);
}

static void on_ready(void *userdata) {
        Daemon *d = userdata;

        d->ready = true;
        notify_state("READY=1\nSTATUS=Running");
}

static int on_reload(void *userdata, char **ret_error) {
        return daemon_reload(userdata, ret_error);
}

typedef struct Emptying {
        OpList ops;
        bool keep_servers;
} Emptying;

static int collect_instance(void *userdata, const Path *p, const Value *v, const ResourceDef *def) {
        Emptying *e = userdata;
        bool account = p->id[0] <= 2 || p->id[0] == 21;

        if (p->n == 2 && !(account && e->keep_servers))
                op_list_add(&e->ops, OP_DELETE, p, NULL);
        return 0;
}

static void empty_tree(Daemon *d, bool keep_servers) {
        Emptying e = { .keep_servers = keep_servers };
        OpError why;
        int r;

        tree_walk(d->tree, &PATH_ROOT, collect_instance, &e);
        r = ops_apply(d->tree, e.ops.v, e.ops.n, ORIGIN_INTERNAL, 0, &why);
        if (r < 0)
                log_error_errno(r, "Cannot empty the tree: %s", why.text);
        op_list_clear(&e.ops);
}

static void on_reset_stopped(void *userdata) {
        Daemon *d = userdata;
        int r;

        r = client_start(d->client, NULL, loop_now(d->loop));
        if (r < 0)
                log_error_errno(r, "Cannot start again: %m");
}

/* As if the daemon had been started for the first time: the disk first, so that a power cut in
 * between does not bring back what was to be forgotten. */
static int on_factory_reset(void *userdata, bool keep_servers, char **ret_error) {
        Daemon *d = userdata;
        g_autoptr(Config) config = NULL;
        bool running = client_is_running(d->client);
        int r;

        r = config_load(d->arguments->config_file, !d->arguments->config_file_given, &config,
                        ret_error);
        if (r >= 0)
                r = store_reset(d->store, keep_servers);
        if (r < 0)
                return r;
        log_notice("Factory reset%s", keep_servers ? ", keeping the servers" : "");
        if (running)
                client_stop(d->client, true, on_reset_stopped, d, loop_now(d->loop));
        if (!keep_servers)
                remove_accounts(d);
        empty_tree(d, keep_servers);
        r = set_policies(d, config);
        if (r >= 0)
                r = caches_reset(d->caches, config);
        dm_caches_changed(d->dm);
        if (r >= 0)
                r = populate(d, config, ret_error);
        return r;
}

static void on_sleep(void *userdata, bool before) {
        Daemon *d = userdata;

        if (before)
                client_sleep(d->client, loop_now(d->loop));
        else
                client_wake(d->client, loop_now(d->loop));
}

int daemon_start(Daemon *d) {
        static const BusHooks hooks = { on_ready, on_reload, on_factory_reset, on_sleep };
        int r;

        r = bus_start(d->bus, d->client, &hooks, d);
        if (r < 0)
                return log_error_errno(r, "--bus: cannot use '%s': %m", d->arguments->bus);
        r = client_start(d->client, NULL, loop_now(d->loop));
        if (r < 0)
                return log_error_errno(r, "Cannot start as '%s': %m", client_endpoint(d->client));
        d->watchdog_usec = notify_watchdog_usec();
        if (d->watchdog_usec > 0) {
                d->watchdog = timer_new(loop_timers(d->loop), on_watchdog, d);
                on_watchdog(d, loop_now(d->loop));
        }
        return 0;
}

static void on_stopped(void *userdata) {
        Daemon *d = userdata;
        int r;

        if (d->stop_keeps)
                client_save_last(d->client);
        r = store_sync(d->store);
        if (r < 0)
                log_error_errno(r, "Cannot write the state: %m");
        loop_quit(d->loop, r < 0 ? 1 : 0);
}

void daemon_stop(Daemon *d) {
        int r;

        if (d->stopping)
                return;
        d->stopping = true;
        notify_state(d->stop_keeps ? "STOPPING=1\nSTATUS=Stopping"
                                   : "STOPPING=1\nSTATUS=De-registering");
        r = client_stop(d->client, d->stop_keeps, on_stopped, d, loop_now(d->loop));
        if (r < 0) /* it does not run */
                on_stopped(d);
}

/* The manager waits from RELOADING=1 to READY=1; with Type=notify-reload it wants to know when it
 * began, on its own clock. */
static void notify_reload(const Daemon *d, bool begins, bool failed) {
        g_autofree char *state = NULL;

        if (!d->ready || d->stopping)
                return;
        if (begins)
                state = g_strdup_printf("RELOADING=1\nMONOTONIC_USEC=%" G_GINT64_FORMAT,
                                        g_get_monotonic_time());
        else
                state = g_strdup_printf("READY=1\nSTATUS=Running%s",
                                        failed ? "; not reloaded, see the log" : "");
        notify_state(state);
}

int daemon_reload(Daemon *d, char **ret_error) {
        g_autoptr(Config) config = NULL;
        int r;

        notify_reload(d, true, false);
        r = config_load(d->arguments->config_file, !d->arguments->config_file_given, &config,
                        ret_error);
        if (r >= 0)
                r = load_definitions(d, config);
        if (r >= 0)
                r = set_policies(d, config);
        if (r >= 0)
                r = caches_reload(d->caches, config);
        dm_caches_changed(d->dm);
        if (r >= 0)
                r = populate(d, config, ret_error);
        if (r >= 0) {
                d->stop_keeps = config->stop_keeps;
                bus_set_grants(d->bus, config->grants);
                log_info("Configuration read again");
        }
        notify_reload(d, false, r < 0);
        return r;
}
