/* SPDX-License-Identifier: Apache-2.0 */
#include "bus/gate.h"

#include <errno.h>
#include <string.h>

#include "bus/introspect.h"
#include "util/log.h"

#define RECONNECT_FIRST_USEC (100 * USEC_PER_MSEC)
#define RECONNECT_MAX_USEC (30 * USEC_PER_SEC)
#define QUEUED_MAX 64        /* messages in sd-bus, besides what the socket has */
#define MESSAGES_PER_TURN 64 /* others get their turn on the loop */

/* --- the application functions: all Handlers' --- */

static unsigned app_claimed(void *apps, const Path *p) {
        return handlers_app_ops.claimed(((Bus *) apps)->handlers, p);
}

static void app_offered(void *apps, GArray *ret) {
        handlers_app_ops.offered(((Bus *) apps)->handlers, ret);
}

static AppCall *app_execute(void *apps, const Path *p, const ExecuteArg *args, size_t n_args,
                            const char *raw, const AppContext *context, AppDone done,
                            void *userdata) {
        return handlers_app_ops.execute(((Bus *) apps)->handlers, p, args, n_args, raw, context,
                                        done, userdata);
}

static AppCall *app_read(void *apps, const Path *paths, size_t n, const AppContext *context,
                         AppDone done, void *userdata) {
        return handlers_app_ops.read(((Bus *) apps)->handlers, paths, n, context, done, userdata);
}

static AppCall *app_prepare(void *apps, const Op *ops, size_t n, const AppContext *context,
                            AppDone done, void *userdata) {
        return handlers_app_ops.prepare(((Bus *) apps)->handlers, ops, n, context, done, userdata);
}

const AppOps *bus_app_ops(void) {
        static AppOps ops;

        ops = handlers_app_ops;
        ops.claimed = app_claimed;
        ops.offered = app_offered;
        ops.execute = app_execute;
        ops.read = app_read;
        ops.prepare = app_prepare;
        return &ops;
}

/* --- small help for the interfaces --- */

Pending *pending_new(Bus *b, sd_bus_message *call, const Path *path) {
        Pending *p = g_new0(Pending, 1);

        p->bus = b;
        p->call = sd_bus_message_ref(call);
        p->path = *path;
        return p;
}

int pending_count(Pending *p, sd_bus_error *error) {
        Senders *senders = p->bus->senders;
        const Sender *s;
        int r;

        r = senders_get(senders, p->bus->bus, sd_bus_message_get_sender(p->call), &s);
        if (r < 0)
                return r;
        p->uid = s->uid;
        if (senders_take_call(senders, p->uid) < 0)
                return bus_error(error, -EDQUOT,
                                 "User %u has %u calls waiting, the most allowed ([Limits] "
                                 "CallsPerUser)",
                                 p->uid, senders_limits(senders)->calls);
        p->counted = true;
        return 0;
}

Pending *pending_free(Pending *p) {
        if (p && p->counted)
                senders_give_call(p->bus->senders, p->uid);
        if (p)
                sd_bus_message_unref(p->call);
        g_free(p);
        return NULL;
}

int pending_fail(Pending *p, int error, const char *text) {
        sd_bus_error e = SD_BUS_ERROR_NULL;
        int r;

        bus_error(&e, error, "%s: %s", PATH_TEXT(&p->path), text ? text : g_strerror(-error));
        r = sd_bus_reply_method_error(p->call, &e);
        sd_bus_error_free(&e);
        pending_free(p);
        return r;
}

int bus_owner(Bus *b, sd_bus_message *m, Owner **ret, sd_bus_error *error) {
        int r;

        r = owners_get(b->owners, m, ret);
        return r == -EDQUOT ? bus_error(error, r,
                                        "Too many connections hold something here: %d of one user, "
                                        "%d in all, are the most",
                                        OWNERS_OF_USER_MAX, OWNERS_MAX)
                            : r;
}

bool bus_is_behind(const Bus *b) {
        uint64_t n = 0;

        return b->bus && sd_bus_get_n_queued_write(b->bus, &n) >= 0 && n >= QUEUED_MAX;
}

int reply_ok(sd_bus_message *m) {
        return sd_bus_reply_method_return(m, NULL);
}

int reply_send(sd_bus_message *reply, int r) {
        if (r >= 0)
                r = sd_bus_send(NULL, reply, NULL);
        sd_bus_message_unref(reply);
        return r < 0 ? r : 1;
}

/* --- what happens in the client --- */

static void on_first(void *userdata);

static void on_event(void *userdata, const ClientEvent *event) {
        Bus *b = userdata;

        if (b->first) /* a server was fast: who watches is told of it */
                on_first(b);
        manager_event(b, event);
        monitors_event(b->monitors, event);
        jobs_event(b->jobs, event);
        tests_event(b->tests, event);
}

static void server_changed(Bus *b, uint16_t ssid) {
        char path[64];

        server_path(ssid, path);
        sd_bus_emit_properties_changed(b->bus, path, BUS_NAME ".Server", "State", "Location",
                                       "LastError", "LastRegistered", "NextUpdate", "QueueMode",
                                       "QueuedNotifications", "SendMuted", "LwM2MVersion",
                                       "Enrolment", "EnrolledUntil", "EnrolledBy", NULL);
}

static void on_changed(void *userdata, uint16_t ssid) {
        Bus *b = userdata;

        if (!b->bus)
                return;
        b->stale = b->stale || bus_is_behind(b);
        if (b->stale)
                return; /* catch_up() tells the state of then */
        manager_changed(b);
        if (ssid != 0 || client_has_bootstrap(b->client))
                server_changed(b, ssid);
}

static void catch_up(Bus *b) {
        g_autofree uint16_t *servers = NULL;
        size_t n;

        if (!b->stale || bus_is_behind(b))
                return;
        b->stale = false;
        manager_changed(b);
        servers = client_servers(b->client, &n);
        for (size_t i = 0; i < n; i++)
                server_changed(b, servers[i]);
        if (client_has_bootstrap(b->client))
                server_changed(b, 0);
}

static void on_server_added(void *userdata, uint16_t ssid) {
        Bus *b = userdata;
        char path[64];

        server_path(ssid, path);
        if (b->bus)
                sd_bus_emit_object_added(b->bus, path);
}

static void on_server_removed(void *userdata, uint16_t ssid) {
        Bus *b = userdata;
        char path[64];

        server_path(ssid, path);
        if (b->bus)
                sd_bus_emit_object_removed(b->bus, path);
}

/* --- owners and claims --- */

static void on_owner_vanished(void *userdata, Owner *o) {
        Bus *b = userdata;

        claims_vanished(b->claims, o, bus_now(b));
        providers_vanished(b->providers, o);
        if (b->subscriptions)
                subscriptions_vanished(b->subscriptions, o);
}

typedef struct Removal {
        OpList ops;
} Removal;

static int collect_instance(void *userdata, const Path *p, const Value *v, const ResourceDef *def) {
        Removal *removal = userdata;

        if (p->n == 2)
                op_list_add(&removal->ops, OP_DELETE, p, NULL);
        return 0;
}

static void on_claim_ended(void *userdata, const Claim *claim) {
        Bus *b = userdata;
        Removal removal = { 0 };
        OpError e;
        int r;

        bus_owner_changed(b, claim);
        if (claim->on_vanish != ON_VANISH_REMOVE || !b->client)
                return;
        for (size_t i = 0; i < claim->n_prefixes; i++) {
                Path p = claim->prefixes[i];

                /* A claimed resource is part of an instance that others may share: only instances
                 * go. */
                if (p.n == 1 || p.n == 2)
                        tree_walk(client_tree(b->client), &p, collect_instance, &removal);
        }
        r = dm_apply(client_dm(b->client), removal.ops.v, removal.ops.n, &e, bus_now(b));
        if (r < 0)
                log_warning("Cannot remove what a vanished application left: %s", e.text);
        op_list_clear(&removal.ops);
}

/* --- the connection --- */

static void disconnected(Bus *b) {
        uint64_t wait_usec;

        b->source = loop_source_free(b->source);
        (void) sleep_set_bus(b->sleep, NULL);
        handlers_set_bus(b->handlers, NULL);
        providers_set_bus(b->providers, NULL);
        if (b->client) {
                jobs_bus_gone(b->jobs);
                tests_bus_gone(b->tests);
        }
        owners_drop_all(b->owners);
        senders_forget(b->senders);
        b->owned = b->stale = false;
        b->bus = sd_bus_close_unref(b->bus);
        g_ptr_array_set_size(b->vtables, 0);
        wait_usec = RECONNECT_FIRST_USEC << MIN(b->n_failed, 12u);
        b->n_failed++;
        timer_arm(b->reconnect, bus_now(b) + MIN(wait_usec, RECONNECT_MAX_USEC));
}

static void on_bus(void *userdata, int fd, short revents) {
        Bus *b = userdata;
        int r = 1;

        for (int i = 0; i < MESSAGES_PER_TURN && r > 0; i++)
                r = sd_bus_process(b->bus, NULL);
        if (r < 0) {
                log_warning_errno(r, "The D-Bus connection is lost, trying again: %m");
                disconnected(b);
        }
}

static void on_prepare(void *userdata) {
        Bus *b = userdata;
        uint64_t usec, pending_read = 0;
        int events;

        catch_up(b);
        events = sd_bus_get_events(b->bus);
        if (events >= 0)
                loop_source_set_events(b->source, (short) events);
        sd_bus_get_n_queued_read(b->bus, &pending_read);
        if (sd_bus_get_timeout(b->bus, &usec) < 0)
                usec = USEC_INFINITY;
        /* sd-bus counts on CLOCK_MONOTONIC, we on CLOCK_BOOTTIME: turned over by what is left. */
        if (usec != USEC_INFINITY) {
                uint64_t mono = (uint64_t) g_get_monotonic_time();

                usec = bus_now(b) + (usec > mono ? usec - mono : 0);
        }
        if (pending_read > 0)
                usec = 0;
        loop_source_set_timeout(b->source, usec);
}

static const sd_bus_vtable *open_vtable(Bus *b, const sd_bus_vtable *vtable) {
        sd_bus_vtable *copy = gate_open(vtable);

        g_ptr_array_add(b->vtables, copy);
        return copy;
}

const BusInterface bus_root_interfaces[BUS_ROOT_INTERFACES] = {
        { BUS_NAME ".Manager", manager_vtable },
        { BUS_NAME ".Data", data_vtable },
        { BUS_NAME ".Claims", claims_vtable },
        { BUS_NAME ".Model", model_vtable },
};

static int add_interfaces(Bus *b) {
        int r;

        r = sd_bus_add_filter(b->bus, NULL, gate_filter, b);
        if (r >= 0 && !HAVE_SDBUS_ARGS)
                r = sd_bus_add_filter(b->bus, NULL, introspect_filter, b);
        for (size_t i = 0; i < BUS_ROOT_INTERFACES && r >= 0; i++)
                r = sd_bus_add_object_vtable(b->bus, NULL, BUS_PATH, bus_root_interfaces[i].name,
                                             open_vtable(b, bus_root_interfaces[i].vtable), b);
        if (r >= 0)
                r = sd_bus_add_object_vtable(b->bus, NULL, "/org/freedesktop/LogControl1",
                                             "org.freedesktop.LogControl1", log_control_vtable, b);
        if (r >= 0)
                r = sd_bus_add_fallback_vtable(b->bus, NULL, BUS_SERVERS, BUS_NAME ".Server",
                                               open_vtable(b, server_vtable), server_find, b);
        if (r >= 0)
                r = sd_bus_add_node_enumerator(b->bus, NULL, BUS_SERVERS, server_enumerate, b);
        return r < 0 ? r : sd_bus_add_object_manager(b->bus, NULL, BUS_PATH);
}

static int on_name(sd_bus_message *m, void *userdata, sd_bus_error *ret_error) {
        Bus *b = userdata;
        const sd_bus_error *error = sd_bus_message_get_error(m);
        uint32_t answer = 0;

        if (!error)
                sd_bus_message_read(m, "u", &answer);
        if (answer == 1 ||
            answer == 4) { /* DBUS_REQUEST_NAME_REPLY_PRIMARY_OWNER, …_ALREADY_OWNER */
                b->owned = true;
                b->n_failed = 0;
                log_info("Serving %s on the bus", b->name);
                if (b->hooks.ready)
                        b->hooks.ready(b->userdata);
                b->hooks.ready = NULL;
                return 1;
        }
        if (error)
                log_error("Cannot own the bus name %s: %s (is the policy file installed?)", b->name,
                          error->message);
        else
                log_error("The bus name %s belongs to another process: is another lwm2md running? "
                          "(see --instance=)",
                          b->name);
        /* sd-bus closes once the queue is empty; on_bus() then tries again later. */
        sd_bus_close(b->bus);
        return 1;
}

static int open_bus(const char *address, sd_bus **ret) {
        sd_bus *bus = NULL;
        int r;

        if (strcmp(address, "system") == 0)
                return sd_bus_open_system(ret);
        if (strcmp(address, "session") == 0)
                return sd_bus_open_user(ret);
        r = sd_bus_new(&bus);
        if (r >= 0)
                r = sd_bus_set_address(bus, address);
        if (r >= 0)
                r = sd_bus_set_bus_client(bus, true);
        if (r >= 0)
                r = sd_bus_start(bus);
        if (r < 0) {
                sd_bus_unref(bus);
                return r;
        }
        *ret = bus;
        return 0;
}

static int try_connect(Bus *b) {
        int r = sdbus_load();

        if (r >= 0)
                r = open_bus(b->config.address, &b->bus);
        if (r < 0)
                return r;
        sd_bus_set_exit_on_disconnect(b->bus, false);
        r = add_interfaces(b);
        if (r >= 0)
                r = sd_bus_request_name_async(b->bus, NULL, b->name, 0, on_name, b);
        if (r >= 0)
                b->source =
                        loop_add_fd(b->loop, sd_bus_get_fd(b->bus), POLLIN, on_bus, on_prepare, b);
        if (r >= 0)
                r = sleep_set_bus(b->sleep, b->bus);
        if (r >= 0) {
                handlers_set_bus(b->handlers, b->bus);
                providers_set_bus(b->providers, b->bus);
        }
        return r;
}

static void connect_now(Bus *b) {
        int r;

        r = try_connect(b);
        if (r >= 0)
                return;
        /* Once is enough: a bus that is not there stays away for a while. */
        log_at(b->n_failed == 0 ? LOG_LEVEL_WARNING : LOG_LEVEL_DEBUG, r, NULL,
               "Cannot connect to the bus '%s', trying again: %m", b->config.address);
        disconnected(b);
}

static void on_reconnect(void *userdata, uint64_t now_usec) {
        connect_now(userdata);
}

static void on_first(void *userdata) {
        Bus *b = userdata;

        b->first = loop_source_free(b->first);
        connect_now(b);
}

/* --- system sleep --- */

static void on_sleep(void *userdata) {
        Bus *b = userdata;

        if (b->hooks.sleep)
                b->hooks.sleep(b->userdata, true);
}

static void on_wake(void *userdata) {
        Bus *b = userdata;

        if (b->hooks.sleep)
                b->hooks.sleep(b->userdata, false);
}

static const SleepHooks sleep_hooks = { .before = on_sleep, .after = on_wake };

/* --- life --- */

static char *new_instance_id(void) {
        return g_strdup_printf("%08x%08x", g_random_int(), g_random_int());
}

static void stand(void *userdata, const Reservation *r) {
        Bus *b = userdata;
        Claim c = {
                .bus_name = r->bus_name,
                .handler = r->handler,
                .prefixes = (Path *) (void *) r->paths->data,
                .n_prefixes = r->paths->len,
                .operations = r->operations,
                .timeout_ms = r->timeout_ms,
        };

        if (r->operations && r->paths->len > 0)
                claims_add_standing(b->claims, &c);
}

static void take_reservations(Bus *b) {
        claims_clear_standing(b->claims);
        providers_take_reservations(b->providers, senders_grants(b->senders));
        grants_foreach_reservation(senders_grants(b->senders), stand, b);
        if (b->client)
                client_offers_changed(b->client);
}

int bus_new(const BusConfig *config, Loop *loop, Bus **ret) {
        const uint32_t quotas[_QUOTA_MAX] = { config->claims_per_user,
                                              config->subscriptions_per_user,
                                              config->fds_per_user };
        const SenderLimits limits = { config->calls_per_user, config->values_per_user };
        g_autoptr(Grants) none = grants_new();
        Bus *b;

        if (config->instance &&
            (!*config->instance ||
             strspn(config->instance,
                    "abcdefghijklmnopqrstuvwxyz"
                    "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") != strlen(config->instance) ||
             g_ascii_isdigit(*config->instance) || strlen(config->instance) > 64))
                return -EINVAL;
        b = g_new0(Bus, 1);
        b->config = *config;
        b->config.address = g_strdup(config->address);
        b->config.secrets_directory = g_strdup(config->secrets_directory);
        b->config.features = (const char *const *) g_strdupv((char **) config->features);
        b->loop = loop;
        b->name = config->instance ? g_strdup_printf("%s.%s", BUS_NAME, config->instance)
                                   : g_strdup(BUS_NAME);
        b->instance_id = new_instance_id();
        b->reconnect = timer_new(loop_timers(loop), on_reconnect, b);
        b->config.grants = NULL; /* the senders have it */
        b->senders = senders_new(config->grants ? config->grants : none, &limits);
        b->vtables = g_ptr_array_new_with_free_func(g_free);
        b->owners = owners_new(quotas, on_owner_vanished, b);
        b->claims = claims_new(loop_timers(loop), on_claim_ended, b);
        b->providers = providers_new(b);
        take_reservations(b);
        b->handlers = handlers_new(loop, b->claims, config->queue_max);
        b->subscriptions = subscriptions_new(b);
        b->holds = holds_new(b);
        b->monitors = monitors_new(b);
        b->jobs = jobs_new(b);
        b->tests = tests_new(b);
        b->sleep = sleep_new(&sleep_hooks, b);
        *ret = b;
        return 0;
}

void bus_stop(Bus *b) {
        timer_disarm(b->reconnect);
        b->first = loop_source_free(b->first);
        b->source = loop_source_free(b->source);
        b->jobs = jobs_free(b->jobs);
        b->tests = tests_free(b->tests);
        b->sleep = sleep_free(b->sleep);
        b->holds = holds_free(b->holds);
        b->monitors = monitors_free(b->monitors);
        b->subscriptions = subscriptions_free(b->subscriptions);
        handlers_set_bus(b->handlers, NULL);
        providers_set_bus(b->providers, NULL);
        if (b->bus)
                sd_bus_flush(b->bus);
        b->client = NULL;
}

Bus *bus_free(Bus *b) {
        if (!b)
                return NULL;
        bus_stop(b);
        claims_free(b->claims);
        providers_free(b->providers);
        owners_free(b->owners);
        handlers_free(b->handlers);
        b->bus = sd_bus_close_unref(b->bus);
        g_ptr_array_unref(b->vtables);
        senders_free(b->senders);
        timer_free(b->reconnect);
        g_free((char *) b->config.address);
        g_free((char *) b->config.secrets_directory);
        g_strfreev((char **) b->config.features);
        g_free(b->name);
        g_free(b->instance_id);
        g_free(b);
        return NULL;
}

/* "unix:path=/run/…" and the like; whether sd-bus knows the transport is found when connecting. */
static bool is_address(const char *text) {
        static const char *const names[] = { "system", "session", "none", NULL };
        const size_t n = strspn(text, "abcdefghijklmnopqrstuvwxyz-");
        const char *equals = n > 0 && text[n] == ':' ? strchr(text + n, '=') : NULL;

        return g_strv_contains(names, text) || (equals && equals > text + n + 1);
}

int bus_start(Bus *b, Client *client, const BusHooks *hooks, void *userdata) {
        static const ClientListener listener = {
                .event = on_event,
                .changed = on_changed,
                .server_added = on_server_added,
                .server_removed = on_server_removed,
        };

        b->client = client;
        b->hooks = *hooks;
        b->userdata = userdata;
        /* sd-bus would go on trying an address without a transport. */
        if (!is_address(b->config.address))
                return -EINVAL;
        client_add_listener(client, &listener, b);
        subscriptions_attach(b->subscriptions, client_tree(client));
        monitors_attach(b->monitors, client_tree(client));
        if (strcmp(b->config.address, "none") == 0) {
                hooks->ready(userdata);
                return 0;
        }
        /* The Register that is on its way waits for nothing of this. */
        b->first = loop_add_last(b->loop, on_first, b);
        return 0;
}

/* --- rules that change --- */

static bool is_withdrawn(void *userdata, const Claim *c) {
        Bus *b = userdata;

        for (size_t i = 0; c->owner && i < c->n_prefixes; i++)
                if (!gate_may_claim(b, owner_name(c->owner), &c->prefixes[i]))
                        return true;
        return false;
}

static void tell_withdrawn(void *userdata, const Claim *c) {
        Bus *b = userdata;

        handlers_released(b->handlers, c, "access.d does not allow it any more");
        bus_owner_changed(b, c); /* looked at when it is gone, in the next turn */
}

void bus_set_grants(Bus *b, Grants *grants) {
        senders_set_grants(b->senders, grants);
        take_reservations(b);
        if (!b->bus)
                return;
        claims_drop(b->claims, is_withdrawn, tell_withdrawn, b);
        providers_recheck(b->providers);
        subscriptions_recheck(b->subscriptions);
}

void *bus_key_provider(Bus *b, const KeyProvider **ret) {
        *ret = &providers_key_provider;
        return b->providers;
}

bool bus_is_connected(const Bus *b) {
        return b->owned;
}
