/* SPDX-License-Identifier: Apache-2.0 */
#include "lwm2m/client/client_internal.h"

#include <errno.h>
#include <string.h>

#include "util/log.h"

#define ENDPOINT_MAX 255 /* bytes: what one Uri-Query can carry beside "ep=" */

static void free_server(void *s) {
        server_free(s);
}

static Server *find_by_instance(const Client *c, uint16_t instance) {
        for (guint i = 0; i < c->servers->len; i++)
                if (server_account(client_at(c->servers, i))->server_instance == instance)
                        return client_at(c->servers, i);
        return NULL;
}

static void arm_now(Client *c, Timer *t) {
        timer_arm(t, c->now_usec);
}

/* --- the client's own state --- */

static bool is_registered_anywhere(const Client *c) {
        for (guint i = 0; i < c->servers->len; i++) {
                RdState s = rd_state(server_rd(client_at(c->servers, i)));

                if (s == RD_REGISTERED || s == RD_UPDATING || s == RD_ASLEEP)
                        return true;
        }
        return false;
}

const char *client_state(const Client *c) {
        bool registering = false, disabled = c->servers->len > 0;

        if (c->run == STOPPED)
                return "stopped";
        if (c->paused)
                return "paused";
        if (bs_control_is_active(c->bootstrap) ||
            (bs_control_is_waiting(c->bootstrap) && c->servers->len == 0))
                return "bootstrapping";
        if (is_registered_anywhere(c))
                return "online";
        for (guint i = 0; i < c->servers->len; i++) {
                RdState s = rd_state(server_rd(client_at(c->servers, i)));

                if (s == RD_CONNECTING || s == RD_REGISTERING || s == RD_DELAYED || s == RD_HELD)
                        registering = true;
                if (s != RD_DISABLED)
                        disabled = false;
        }
        if (est_control_is_active(c->est))
                registering = true;
        return registering ? "registering" : disabled ? "disabled" : "offline";
}

void client_tell_state(Client *c) {
        const char *state = client_state(c);

        if (g_strcmp0(c->state, state) == 0)
                return;
        c->state = state;
        events_changed(c->events, 0);
}

/* --- order of registration --- 1/x/13: those with a priority go one after the other, lowest first;
 * the next has its turn when the one before is registered, or has failed without 1/x/15 to block.
 */

static int by_priority(gconstpointer a, gconstpointer b) {
        const Account *x = server_account(*(Server *const *) a);
        const Account *y = server_account(*(Server *const *) b);

        if (x->priority != y->priority)
                return x->priority < y->priority ? -1 : 1;
        return (int) x->ssid - (int) y->ssid;
}

static bool lets_next(Server *s) {
        RdState state = rd_state(server_rd(s));

        if (state == RD_IDLE || state == RD_DISABLED || rd_has_registered(server_rd(s)))
                return true;
        return rd_has_failed(server_rd(s)) && !server_account(s)->failure_block;
}

static void on_turns(void *userdata, uint64_t now_usec) {
        g_autoptr(GPtrArray) order = g_ptr_array_new();
        Client *c = userdata;

        c->now_usec = now_usec;
        if (c->run != RUNNING || c->paused)
                return;
        for (guint i = 0; i < c->servers->len; i++)
                if (server_account(client_at(c->servers, i))->has_priority)
                        g_ptr_array_add(order, client_at(c->servers, i));
        g_ptr_array_sort(order, by_priority);
        for (guint i = 0; i < order->len; i++) {
                (void) rd_input(server_rd(client_at(order, i)), RD_TURN, now_usec);
                if (!lets_next(client_at(order, i)))
                        break;
        }
}

void client_start_server(Client *c, Server *s, uint64_t now_usec) {
        if (!bs_control_holds(c->bootstrap) && !est_control_holds(c->est, server_account(s)))
                server_start(s, server_account(s)->has_priority, now_usec);
}

/* --- stopping --- */

static void finish_stop(Client *c, uint64_t now_usec) {
        g_autoptr(GArray) stops = g_steal_pointer(&c->stops);

        bs_control_stop(c->bootstrap, now_usec);
        for (guint i = 0; i < c->servers->len; i++)
                (void) rd_input(server_rd(client_at(c->servers, i)), RD_FORCE, now_usec);
        g_ptr_array_set_size(c->retired, 0);
        timer_disarm(c->stop_timer);
        timer_disarm(c->retired_timer);
        if (c->paused)
                dm_resume_notifications(c->parts.dm, now_usec);
        c->run = STOPPED;
        c->paused = c->sleeping = false;
        c->stops = g_array_new(FALSE, FALSE, sizeof(Stop));
        client_tell_state(c);
        for (guint i = 0; i < stops->len; i++)
                g_array_index(stops, Stop, i).done(g_array_index(stops, Stop, i).userdata);
}

static bool all_at_rest(const Client *c) {
        for (guint i = 0; i < c->servers->len; i++)
                if (rd_state(server_rd(client_at(c->servers, i))) != RD_IDLE)
                        return false;
        return c->retired->len == 0;
}

static void on_retired(void *userdata, uint64_t now_usec) {
        Client *c = userdata;

        c->now_usec = now_usec;
        for (guint i = c->retired->len; i > 0; i--)
                if (rd_state(server_rd(client_at(c->retired, i - 1))) == RD_IDLE)
                        g_ptr_array_remove_index(c->retired, i - 1);
        if (c->run == STOPPING && all_at_rest(c))
                finish_stop(c, now_usec);
}

static void on_stop_timeout(void *userdata, uint64_t now_usec) {
        Client *c = userdata;

        c->now_usec = now_usec;
        finish_stop(c, now_usec);
}

static void on_server_changed(void *userdata, Server *s, uint64_t now_usec) {
        Client *c = userdata;

        c->now_usec = now_usec;
        if (g_ptr_array_find(c->servers, s, NULL)) /* nobody knows a retired one any more */
                events_changed(c->events, server_account(s)->ssid);
        client_tell_state(c);
        timer_arm(c->turns_timer, now_usec);
        if (rd_state(server_rd(s)) == RD_IDLE)
                timer_arm(c->retired_timer, now_usec);
        if (rd_state(server_rd(s)) == RD_REGISTERED)
                bs_control_registered(c->bootstrap, now_usec);
}

/* Since 1.1 each server has a word of its own on it (1/x/16); LwM2M 1.0 (section 5.2.3, step 4)
 * asks for a bootstrap when all have failed. */
static void on_server_exhausted(void *userdata, Server *s, uint64_t now_usec) {
        Client *c = userdata;
        const bool first_version = c->config.version.major == 1 && c->config.version.minor == 0;

        if (!first_version || !is_registered_anywhere(c))
                bs_control_exhausted(c->bootstrap, s, now_usec);
}

/* --- following the accounts in the tree --- */

static void on_problem(void *userdata, const char *text) {
        log_warning("%s", text);
}

static Account *take_account(GPtrArray *accounts, uint16_t ssid) {
        for (guint i = 0; i < accounts->len; i++) {
                Account *a = g_ptr_array_index(accounts, i);

                if (a->ssid == ssid)
                        return g_ptr_array_steal_index(accounts, i);
        }
        return NULL;
}

static void retire(Client *c, guint index, uint64_t now_usec) {
        Server *s = g_ptr_array_steal_index(c->servers, index);
        uint16_t ssid = server_account(s)->ssid;

        g_ptr_array_add(c->retired, s);
        server_retire(s, now_usec);
        timer_arm(c->retired_timer, now_usec);
        events_server_removed(c->events, ssid);
}

/* Another address is another server: only the rest of an account may change under a registration.
 */
static bool same_place(const Account *a, const Account *b) {
        return strcmp(a->uri, b->uri) == 0 && credentials_equal(a->credentials, b->credentials);
}

static int compare_servers(gconstpointer a, gconstpointer b) {
        return (int) server_account(*(Server *const *) a)->ssid -
               (int) server_account(*(Server *const *) b)->ssid;
}

static void add_servers(Client *c, GPtrArray *accounts, uint64_t now_usec) {
        while (accounts->len > 0) {
                Server *s = server_new(&c->env, g_ptr_array_steal_index(accounts, 0));
                uint16_t ssid = server_account(s)->ssid;

                g_ptr_array_add(c->servers, s);
                g_ptr_array_sort(c->servers, compare_servers);
                events_server_added(c->events, ssid);
                if (c->run == RUNNING && !c->paused)
                        client_start_server(c, s, now_usec);
        }
}

/* After a bootstrap: everything that is not asleep or waits for its turn. */
static void register_again(Client *c, Server *s, uint64_t now_usec) {
        switch ((int) rd_state(server_rd(s))) {
        case RD_IDLE:
                client_start_server(c, s, now_usec);
                return;
        case RD_HELD:
        case RD_DELAYED:
        case RD_DISABLED:
                return;
        case RD_RETRYING:
        case RD_GIVEN_UP:
                server_restart(s, server_account(s)->has_priority, now_usec);
                return;
        default:
                (void) rd_input(server_rd(s), RD_REGISTER, now_usec);
        }
}

static void release_enrolled(Client *c, Server *s, uint64_t now_usec) {
        RdState state = rd_state(server_rd(s));
        EstRelease release;

        if (c->run != RUNNING || c->paused)
                return;
        release = est_control_releases(c->est, server_account(s));
        if (release == EST_RELEASE_START && state == RD_IDLE)
                client_start_server(c, s, now_usec);
        else if (release != EST_RELEASE_NOTHING && (state == RD_RETRYING || state == RD_GIVEN_UP))
                server_restart(s, server_account(s)->has_priority, now_usec);
}

static void follow_accounts(Client *c, uint64_t now_usec) {
        g_autoptr(GPtrArray) accounts = accounts_load(c->parts.tree, c->config.lifetime_sec,
                                                      c->config.servers_max, on_problem, c);

        est_control_follow(c->est, accounts, now_usec);
        for (guint i = c->servers->len; i > 0; i--) {
                Server *s = client_at(c->servers, i - 1);
                g_autoptr(Account) a = take_account(accounts, server_account(s)->ssid);

                if (a && same_place(a, server_account(s))) {
                        server_set_account(s, g_steal_pointer(&a), now_usec);
                        if (c->register_anew && c->run == RUNNING && !c->paused)
                                register_again(c, s, now_usec);
                        release_enrolled(c, s, now_usec);
                        events_changed(c->events, server_account(s)->ssid);
                        continue;
                }
                if (a)
                        g_ptr_array_add(accounts, g_steal_pointer(&a));
                retire(c, i - 1, now_usec);
        }
        add_servers(c, accounts, now_usec);
        c->register_anew = false;
        bs_control_follow(c->bootstrap, c->servers->len, now_usec);
        timer_arm(c->turns_timer, now_usec);
        client_tell_state(c);
}

static void on_accounts(void *userdata, uint64_t now_usec) {
        Client *c = userdata;

        c->now_usec = now_usec;
        follow_accounts(c, now_usec);
}

/* Seen by the turns timer too: a commit says no time, so everything waits for the next turn of the
 * timer queue, and a commit is never answered from within. */
static void on_links(Client *c, uint64_t now_usec) {
        if (!c->links_changed)
                return;
        c->links_changed = false;
        for (guint i = 0; i < c->servers->len; i++)
                (void) rd_input(server_rd(client_at(c->servers, i)), RD_CHANGED, now_usec);
}

static void on_turns_and_links(void *userdata, uint64_t now_usec) {
        on_links(userdata, now_usec);
        on_turns(userdata, now_usec);
}

void client_offers_changed(Client *c) {
        c->links_changed = true;
        arm_now(c, c->turns_timer);
}

static bool path_is_lifetime(const Path *p) {
        return p->n == 3 && p->id[0] == OBJECT_SERVER && p->id[2] == SERVER_LIFETIME;
}

static void note_owner_lifetime(Client *c, uint16_t instance) {
        Server *s = find_by_instance(c, instance);

        if (s)
                server_note_owner_lifetime(s);
}

static void on_commit(void *userdata, Origin origin, uint16_t ssid, const Change *changes,
                      size_t n) {
        bool accounts = false;
        Client *c = userdata;

        for (size_t i = 0; i < n; i++) {
                const Path *p = &changes[i].path;

                if (p->id[0] == OBJECT_SECURITY || p->id[0] == OBJECT_SERVER ||
                    p->id[0] == OBJECT_OSCORE)
                        accounts = true;
                if (origin != ORIGIN_SERVER && path_is_lifetime(p))
                        note_owner_lifetime(c, p->id[1]);
                if (p->n == 2 && changes[i].kind != CHANGE_SET && p->id[0] != OBJECT_SECURITY &&
                    p->id[0] != OBJECT_OSCORE)
                        c->links_changed = true;
        }
        if (accounts)
                arm_now(c, c->accounts_timer);
        if (c->links_changed)
                arm_now(c, c->turns_timer);
}

/* --- bootstrap --- */

static void on_transferred(void *userdata, uint64_t now_usec) {
        Client *c = userdata;

        c->register_anew = true;
        timer_arm(c->accounts_timer, now_usec);
}

static void on_released(void *userdata, uint64_t now_usec) {
        Client *c = userdata;

        c->now_usec = now_usec;
        for (guint i = 0; i < c->servers->len; i++)
                if (c->run == RUNNING && !c->paused &&
                    rd_state(server_rd(client_at(c->servers, i))) == RD_IDLE)
                        client_start_server(c, client_at(c->servers, i), now_usec);
        timer_arm(c->turns_timer, now_usec);
}

static void on_bootstrap_changed(void *userdata, uint64_t now_usec) {
        Client *c = userdata;

        c->now_usec = now_usec;
        client_tell_state(c);
}

static const BsControlOps bootstrap_ops = {
        .transferred = on_transferred,
        .released = on_released,
        .changed = on_bootstrap_changed,
};

/* --- enrolment --- */

static void on_renewed(void *userdata, uint64_t now_usec) {
        timer_arm(((Client *) userdata)->accounts_timer, now_usec);
}

static void on_enrolment_changed(void *userdata, uint16_t ssid, uint64_t now_usec) {
        Client *c = userdata;

        c->now_usec = now_usec;
        events_changed(c->events, ssid);
        client_tell_state(c);
}

static const EstControlOps est_ops = { .renewed = on_renewed, .changed = on_enrolment_changed };

void client_add_enrolled(const Client *c, Account *account) {
        est_control_fill(c->est, account);
}

/* --- object 1 --- */

static int on_disable(void *userdata, uint16_t instance, uint64_t now_usec) {
        Client *c = userdata;
        Server *s;

        /* A 1/x/5 written just before counts, though its turn may not have come. */
        if (timer_due(c->accounts_timer) != USEC_INFINITY)
                on_accounts(c, now_usec);
        s = find_by_instance(c, instance);
        if (!s)
                return -ENOENT;
        server_disable_soon(s, server_account(s)->disable_timeout_sec, now_usec);
        return 0;
}

static int on_trigger(void *userdata, uint16_t instance, uint64_t now_usec) {
        Server *s = find_by_instance(userdata, instance);

        if (!s)
                return -ENOENT;
        (void) rd_input(server_rd(s), RD_TRIGGER, now_usec);
        return 0;
}

static int on_bootstrap_trigger(void *userdata, uint16_t instance, uint64_t now_usec) {
        int r = bs_control_soon(((Client *) userdata)->bootstrap, now_usec);

        return r == -ENOENT ? -EPERM : r == -EALREADY ? -EBUSY : r;
}

static bool on_has_bootstrap(void *userdata) {
        return bs_control_has_account(((Client *) userdata)->bootstrap);
}

static int on_lifetime(void *userdata, uint16_t instance, uint32_t *ret_sec,
                       uint32_t *ret_min_sec) {
        Server *s = find_by_instance(userdata, instance);

        if (!s)
                return -ENOENT;
        *ret_sec = server_account(s)->lifetime_sec;
        *ret_min_sec = server_lifetime_min_sec(s);
        return 0;
}

static void on_doubt(void *userdata, uint16_t ssid, uint64_t now_usec) {
        (void) client_update(userdata, ssid, now_usec);
}

static bool is_version(const ClientConfig *config, uint8_t minor) {
        return config->version.major == 1 && config->version.minor == minor;
}

static void add_behaviours(Client *c) {
        bool only_1_0 = is_version(&c->config, 0);

        c->server_object = (ServerObject){
                .tree = c->parts.tree,
                .dm = c->parts.dm,
                .lifetime_min_sec = c->config.lifetime_sec,
                .forever = !only_1_0,
                .ops = { .disable = on_disable,
                         .trigger_update = on_trigger,
                         .bootstrap = on_bootstrap_trigger,
                         .has_bootstrap = on_has_bootstrap,
                         .lifetime = on_lifetime },
                .userdata = c,
        };
        /* LwM2M 1.0 has queue mode as a part of the binding, and no TCP. */
        c->device = (Device){
                .tree = c->parts.tree,
                .binding = !only_1_0              ? "UT"
                           : c->config.queue_mode ? "UQ"
                                                  : "U",
                .wall_clock_ns = c->parts.wall_clock_ns,
        };
        dm_add_behaviour(c->parts.dm, OBJECT_SERVER, &server_object_behaviour, &c->server_object);
        dm_add_behaviour(c->parts.dm, OBJECT_DEVICE, &device_behaviour, &c->device);
}

/* --- life --- */

static int64_t system_wall_ns(void) {
        return g_get_real_time() * 1000;
}

Client *client_new(const ClientConfig *config, const ClientParts *parts) {
        Client *c = g_new0(Client, 1);

        c->config = *config;
        c->config.endpoint = g_strdup(config->endpoint);
        c->config.sms = g_strdup(config->sms);
        c->config.directory = g_strdup(config->directory);
        c->config.socket = socket_options_copy(&config->socket);
        c->config.options = server_options_copy(config->options, config->n_options);
        c->config.offered = g_memdup2(config->offered, config->n_offered * sizeof(uint16_t));
        c->parts = *parts;
        if (!c->parts.wall_clock_ns)
                c->parts.wall_clock_ns = system_wall_ns;
        c->endpoint = g_strdup(config->endpoint);
        c->events = events_new(config->events_max);
        c->rnd = config->seed ? g_rand_new_with_seed(config->seed) : g_rand_new();
        c->stops = g_array_new(FALSE, FALSE, sizeof(Stop));
        c->servers = g_ptr_array_new_with_free_func(free_server);
        c->retired = g_ptr_array_new_with_free_func(free_server);
        c->accounts_timer = timer_new(parts->timers, on_accounts, c);
        c->retired_timer = timer_new(parts->timers, on_retired, c);
        c->turns_timer = timer_new(parts->timers, on_turns_and_links, c);
        c->stop_timer = timer_new(parts->timers, on_stop_timeout, c);
        c->env = (ServerEnv){ .config = &c->config,
                              .parts = &c->parts,
                              .events = c->events,
                              .rnd = c->rnd,
                              .endpoint = c->endpoint,
                              .changed = on_server_changed,
                              .exhausted = on_server_exhausted,
                              .userdata = c };
        c->bootstrap = bs_control_new(&c->env, &bootstrap_ops, c);
        c->est = est_control_new(&c->env, config->est, &est_ops, c);
        add_behaviours(c);
        dm_on_doubt(parts->dm, on_doubt, c);
        tree_on_commit(parts->tree, on_commit, c);
        follow_accounts(c, 0);
        return c;
}

Client *client_free(Client *c) {
        if (!c)
                return NULL;
        dm_on_doubt(c->parts.dm, NULL, NULL);
        bs_control_free(c->bootstrap);
        est_control_free(c->est);
        g_ptr_array_unref(c->servers);
        g_ptr_array_unref(c->retired);
        timer_free(c->accounts_timer);
        timer_free(c->retired_timer);
        timer_free(c->turns_timer);
        timer_free(c->stop_timer);
        events_free(c->events);
        g_array_unref(c->stops);
        g_rand_free(c->rnd);
        g_free(c->endpoint);
        g_free(c->config.endpoint);
        g_free(c->config.sms);
        g_free(c->config.directory);
        socket_options_clear(&c->config.socket);
        server_options_free((ServerOptions *) c->config.options, c->config.n_options);
        g_free((void *) c->config.offered);
        g_free(c);
        return NULL;
}

/* --- events --- */

void client_add_listener(Client *c, const ClientListener *listener, void *userdata) {
        events_add_listener(c->events, listener, userdata);
}

void client_foreach_event(const Client *c, void (*func)(void *userdata, const ClientEvent *event),
                          void *userdata) {
        events_foreach(c->events, func, userdata);
}

void client_emit(Client *c, const char *name, uint16_t ssid, const char *const *details) {
        events_emit(c->events, c->parts.wall_clock_ns(), name, ssid, details);
}

/* --- engine --- */

static bool is_endpoint(const char *endpoint) {
        return *endpoint && strlen(endpoint) <= ENDPOINT_MAX && g_utf8_validate(endpoint, -1, NULL);
}

static int start(Client *c, const char *endpoint, bool bootstrap, uint64_t now_usec) {
        const char *name = endpoint ? endpoint : c->config.endpoint;
        char *copy;
        int r;

        if (c->run != STOPPED)
                return -EALREADY;
        if (!name || !is_endpoint(name))
                return -EINVAL;
        if (bootstrap && !bs_control_has_account(c->bootstrap))
                return -ENOENT;
        c->now_usec = now_usec;
        copy = g_strdup(name);
        g_free(c->endpoint);
        c->env.endpoint = c->endpoint = copy;
        c->run = RUNNING;
        log_info("Starting as '%s' with %u server account%s", c->endpoint, c->servers->len,
                 c->servers->len == 1 ? "" : "s");
        r = device_seed(&c->device);
        if (r < 0)
                log_warning_errno(r, "Cannot fill the Device object, going on without: %m");
        bs_control_start(c->bootstrap, bootstrap, now_usec);
        est_control_start(c->est, now_usec);
        for (guint i = 0; i < c->servers->len; i++)
                client_start_server(c, client_at(c->servers, i), now_usec);
        bs_control_follow(c->bootstrap, c->servers->len, now_usec);
        timer_arm(c->turns_timer, now_usec);
        client_tell_state(c);
        return 0;
}

int client_start(Client *c, const char *endpoint, uint64_t now_usec) {
        return start(c, endpoint, false, now_usec);
}

int client_start_bootstrap(Client *c, const char *endpoint, uint64_t now_usec) {
        return start(c, endpoint, true, now_usec);
}

int client_bootstrap(Client *c, uint64_t now_usec) {
        if (c->run != RUNNING)
                return -ESHUTDOWN;
        if (c->paused)
                return -ENOTCONN;
        c->now_usec = now_usec;
        return bs_control_now(c->bootstrap, now_usec);
}

bool client_has_bootstrap(const Client *c) {
        return bs_control_has_account(c->bootstrap);
}

int client_stop(Client *c, bool force, void (*done)(void *userdata), void *userdata,
                uint64_t now_usec) {
        if (c->run == STOPPED || (c->run == STOPPING && !force))
                return -ESHUTDOWN;
        if (c->stops->len >= STOPS_MAX)
                return -EBUSY;
        c->now_usec = now_usec;
        c->run = STOPPING;
        log_info("Stopping%s", force ? " without de-registering" : "");
        if (done)
                g_array_append_vals(c->stops, &(Stop){ done, userdata }, 1);
        bs_control_stop(c->bootstrap, now_usec);
        est_control_stop(c->est, now_usec);
        for (guint i = 0; i < c->servers->len; i++)
                (void) rd_input(server_rd(client_at(c->servers, i)), force ? RD_FORCE : RD_STOP,
                                now_usec);
        /* done is never called from within. */
        timer_arm(c->stop_timer, now_usec + (force ? 0 : c->config.deregister_timeout_usec));
        timer_arm(c->retired_timer, now_usec);
        return 0;
}

bool client_is_running(const Client *c) {
        return c->run == RUNNING;
}

const char *client_endpoint(const Client *c) {
        return c->endpoint ? c->endpoint : "";
}

Dm *client_dm(Client *c) {
        return c->parts.dm;
}

Tree *client_tree(Client *c) {
        return c->parts.tree;
}

Store *client_store(Client *c) {
        return c->parts.store;
}

const ClientParts *client_parts(const Client *c) {
        return &c->parts;
}

const ClientConfig *client_config(const Client *c) {
        return &c->config;
}

void client_follow_accounts(Client *c, uint64_t now_usec) {
        on_accounts(c, now_usec);
}
