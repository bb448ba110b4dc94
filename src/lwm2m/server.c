/* SPDX-License-Identifier: Apache-2.0 */
#include "lwm2m/server.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "lwm2m/backlog.h"
#include "lwm2m/keeper.h"
#include "lwm2m/presence.h"
#include "lwm2m/rd_links.h"
#include "lwm2m/registration.h"
#include "lwm2m/server_tell.h"
#include "lwm2m/session.h"
#include "util/log.h"

#define DIAGNOSTIC_MAX 256 /* bytes of a server's error text that are kept */

struct Server {
        const ServerEnv *env;
        Account *account;
        Rd *rd;
        Peer *peer; /* NULL once retired */
        Awake *awake;
        Keeper *keeper;
        Backlog *backlog; /* the peer's */
        Link *link;
        Session *session;
        Call *call;
        RdRequest call_what;
        Timer *disable_timer;
        uint64_t disable_until_usec;
        Registration *known;   /* what the server has confirmed; NULL: not registered */
        Registration *pending; /* what the request under way says */
        bool started;
        bool owner_lifetime; /* the next account's lifetime is the owner's */
        uint32_t owner_lifetime_sec;
        char *address; /* of the peer, for people */
        char *location;
        char *reason; /* why the last link was not opened */
        char *error_code, *error_text;
        Told told; /* in the log, last */
        int64_t registered_ns;
};

static const TransportOps *transport(const Server *s) {
        return s->env->parts->transport;
}

int64_t server_wall_ns(const ServerEnv *env) {
        return env->parts->wall_clock_ns();
}

static void set_text(char **where, const char *text) {
        g_free(*where);
        *where = g_strdup(text ? text : "");
}

/* --- the registration on disk --- */

static char *blob_name(const Server *s) {
        return g_strdup_printf("registration-%u", s->account->ssid);
}

static void save(Server *s, bool durable) {
        Store *store = s->env->parts->store;
        g_autofree char *name = blob_name(s);
        g_autoptr(GBytes) blob = NULL;
        int r;

        /* A retired server's name may already be that of its successor. */
        if (!store || !s->peer)
                return;
        blob = s->known ? registration_save(s->known) : NULL;
        r = store_put_blob(store, name, blob ? g_bytes_get_data(blob, NULL) : NULL,
                           blob ? g_bytes_get_size(blob) : 0);
        if (r >= 0 && durable)
                r = store_sync(store);
        if (r < 0)
                log_at(LOG_LEVEL_WARNING, r, (&(LogFields){ .ssid = s->account->ssid }),
                       "Cannot keep the registration, a restart will register anew: %m");
}

void server_flush(Server *s) {
        if (s->peer)
                keeper_flush(s->keeper);
}

void server_save_last(Server *s) {
        if (!s->peer || !s->known)
                return;
        backlog_flush(s->backlog);
        keeper_flush_last(s->keeper);
}

/* Whether an Update may follow on it: for us, there, not over, and not from the future. */
static bool is_current(const Server *s, const Registration *kept) {
        Version fixed = s->env->config->version;
        int64_t now = server_wall_ns(s->env);

        return strcmp(kept->endpoint, s->env->endpoint) == 0 &&
               strcmp(kept->uri, s->account->uri) == 0 && now < kept->deadline_ns &&
               now >= kept->registered_ns &&
               (fixed.major == 0 || fixed.minor == kept->version.minor);
}

static void show_known(Server *s) {
        g_autofree char *location = s->known ? registration_location(s->known) : g_strdup("");

        set_text(&s->location, location);
}

/* NULL: it can be gone on with. */
static const char *why_not(const Server *s, const Registration *kept) {
        if (!is_current(s, kept))
                return server_wall_ns(s->env) < kept->deadline_ns ? "started with other settings"
                                                                  : "lifetime passed";
        return keeper_is_open(s->keeper) ? "stopped before all was kept" : NULL;
}

static void take_kept(Server *s, Registration *kept /* taken over */, uint64_t now_usec) {
        uint64_t deadline = USEC_INFINITY, settled = now_usec + s->env->config->settle_usec;
        unsigned n;

        if (kept->deadline_ns != INT64_MAX)
                deadline =
                        now_usec + (uint64_t) (kept->deadline_ns - server_wall_ns(s->env)) / 1000;
        s->registered_ns = kept->registered_ns;
        rd_restore(s->rd, kept->version, deadline);
        s->known = kept;
        show_known(s);
        n = keeper_restore(s->keeper, settled, now_usec);
        backlog_restore(s->backlog);
        log_with(LOG_LEVEL_INFO, (&(LogFields){ .ssid = s->account->ssid }),
                 "going on with the registration at %s, %u observation%s", s->location, n,
                 n == 1 ? "" : "s");
}

static void restore(Server *s, uint64_t now_usec) {
        Store *store = s->env->parts->store;
        g_autofree char *name = blob_name(s);
        const char *why = "restarted without the registration";
        g_autoptr(Registration) kept = NULL;
        g_autoptr(GBytes) blob = NULL;

        if (!store)
                return;
        if (store_get_blob(store, name, &blob) == 0)
                why = registration_load(blob, &kept) < 0 ? "damaged" : why_not(s, kept);
        if (!why) {
                take_kept(s, g_steal_pointer(&kept), now_usec);
                return;
        }
        (void) store_put_blob(store, name, NULL, 0);
        (void) keeper_restore(s->keeper, now_usec, now_usec);
        backlog_restore(s->backlog);
        peer_drop_observations(s->peer, why);
        keeper_flush(s->keeper);
}

/* --- the owner's lifetime --- kept beside the one in force, which the server may have raised */

static char *owner_blob_name(const Server *s) {
        return g_strdup_printf("lifetime-%u", s->account->ssid);
}

static void set_owner_lifetime(Server *s, uint32_t sec) {
        Store *store = s->env->parts->store;
        g_autofree char *name = owner_blob_name(s);
        uint32_t wire = GUINT32_TO_BE(sec);

        s->owner_lifetime_sec = sec;
        if (store)
                (void) store_put_blob(store, name, &wire, sizeof(wire));
}

static void load_owner_lifetime(Server *s) {
        Store *store = s->env->parts->store;
        g_autofree char *name = owner_blob_name(s);
        g_autoptr(GBytes) blob = NULL;
        uint32_t wire;

        if (!store || store_get_blob(store, name, &blob) < 0 ||
            g_bytes_get_size(blob) != sizeof(wire)) {
                set_owner_lifetime(s, s->account->lifetime_sec);
                return;
        }
        memcpy(&wire, g_bytes_get_data(blob, NULL), sizeof(wire));
        s->owner_lifetime_sec = GUINT32_FROM_BE(wire);
}

void server_note_owner_lifetime(Server *s) {
        s->owner_lifetime = true;
}

/* 0 is for ever: longer than any other. */
uint32_t server_lifetime_min_sec(const Server *s) {
        uint32_t least = s->env->config->lifetime_sec;

        return s->owner_lifetime_sec > 0 && (least == 0 || s->owner_lifetime_sec < least)
                       ? s->owner_lifetime_sec
                       : least;
}

/* --- link --- */

static void drop_call(Server *s) {
        if (s->call)
                transport(s)->cancel(s->call);
        s->call = NULL;
        s->pending = registration_free(s->pending);
}

static void drop_link(void *userdata) {
        Server *s = userdata;

        drop_call(s);
        if (!s->link)
                return;
        if (s->peer)
                peer_set_link(s->peer, NULL);
        awake_set_link(s->awake, NULL);
        transport(s)->close(s->link);
        s->link = NULL;
        session_link_closed(s->session, 0);
        set_text(&s->address, "");
}

static void on_secured(void *owner, const LinkSecurity *security, uint64_t now_usec) {
        Server *s = owner;

        session_agreed(s->session, security, server_wall_ns(s->env));
}

static void on_alert(void *owner, uint8_t description, uint64_t now_usec) {
        Server *s = owner;

        account_note_alert(s->env->parts->tree, s->account->server_instance, description);
}

static void on_up(void *owner, uint64_t now_usec) {
        Server *s = owner;

        set_text(&s->address, transport(s)->peer(s->link));
        if (s->peer) {
                peer_set_version(s->peer, rd_version(s->rd));
                peer_set_link(s->peer, s->link);
        }
        awake_set_link(s->awake, s->link);
        (void) rd_input(s->rd, RD_UP, now_usec);
}

static void on_down(void *owner, int error, const char *reason, uint64_t now_usec) {
        Server *s = owner;
        g_autofree char *why = g_strdup(reason);
        bool handshake = !*session_cipher(s->session);

        drop_link(s);
        if (handshake)
                session_link_closed(s->session, error);
        rd_down(s->rd, error, why, now_usec);
}

static void on_request(void *owner, Exchange *x, const Message *request, uint64_t now_usec) {
        Server *s = owner;
        Message refusal = MESSAGE_INIT(CODE(5, 3));

        if (s->peer)
                peer_request(s->peer, x, request, now_usec);
        else
                transport(s)->respond(x, &refusal);
}

static void on_reset(void *owner, GBytes *token, uint64_t now_usec) {
        Server *s = owner;

        if (s->peer)
                peer_reset(s->peer, token, now_usec);
}

static void on_activity(void *owner, uint64_t now_usec) {
        Server *s = owner;

        awake_note_activity(s->awake, now_usec);
}

static const LinkEvents link_events = {
        .secured = on_secured,
        .up = on_up,
        .down = on_down,
        .alert = on_alert,
        .request = on_request,
        .reset = on_reset,
        .activity = on_activity,
};

static const ServerOptions *options(const Server *s) {
        const ClientConfig *c = s->env->config;

        return server_options_find(c->options, c->n_options, s->account->ssid);
}

static int connect_link(void *userdata, const char **ret_text, uint64_t now_usec) {
        Server *s = userdata;
        LinkConfig config = session_link_config(s->session, s->account, server_wall_ns(s->env),
                                                s->env->config->dates_need_clock);
        g_autofree char *why = NULL;
        int r;

        config.socket = client_config_socket(s->env->config, s->account->ssid);
        r = account_check_security(s->account->uri, s->account->credentials, &why);
        if (r < 0) {
                g_free(s->reason);
                *ret_text = s->reason = g_steal_pointer(&why);
                return r;
        }
        return transport(s)->open(s->env->parts->transport_userdata, &config, &link_events, s,
                                  &s->link);
}

/* --- requests --- */

static void set_binding(const Server *s, Registration *r) {
        const ServerOptions *o = options(s);

        if (o && o->has_queue_mode)
                registration_set_binding(r, NULL, o->queue_mode);
        else
                registration_set_binding(r, s->account->binding, s->env->config->queue_mode);
}

static gint compare_ids(gconstpointer a, gconstpointer b) {
        return (int) *(const uint16_t *) a - (int) *(const uint16_t *) b;
}

static char *format_links(const Server *s, Version version) {
        const ClientConfig *config = s->env->config;
        g_autoptr(GArray) offered = g_array_new(FALSE, FALSE, sizeof(uint16_t));

        g_array_append_vals(offered, config->offered, (guint) config->n_offered);
        dm_offered_objects(s->env->parts->dm, offered);
        g_array_sort(offered, compare_ids);
        return rd_links_format(s->env->parts->tree, offered, version);
}

static Registration *describe(const Server *s, char **ret_links) {
        const ClientConfig *config = s->env->config;
        Registration *r = registration_new();

        r->endpoint = g_strdup(s->env->endpoint);
        r->uri = g_strdup(s->account->uri);
        r->version = rd_version(s->rd);
        r->lifetime_sec = s->account->lifetime_sec;
        r->sms = g_strdup(config->sms);
        set_binding(s, r);
        *ret_links = format_links(s, r->version);
        r->links_digest = g_compute_checksum_for_string(G_CHECKSUM_SHA256, *ret_links, -1);
        return r;
}

static void start_contact(const Server *s, Registration *r) {
        r->registered_ns = server_wall_ns(s->env);
        r->deadline_ns = r->lifetime_sec > 0
                                 ? r->registered_ns + (int64_t) r->lifetime_sec * 1000000000
                                 : INT64_MAX;
}

static char *diagnostic(const Message *response) {
        const char *data;
        gsize n = 0;

        if (!response->payload || response->code < CODE(4, 0))
                return NULL;
        data = g_bytes_get_data(response->payload, &n);
        return n > 0 ? g_strndup(data, MIN(n, DIAGNOSTIC_MAX)) : NULL;
}

static void continue_known(Registration *r, const Registration *known) {
        r->location = g_strdupv(known->location);
}

/* Takes over what the server has just agreed to; -EBADMSG for a Register's answer without a place.
 */
static int take_answer(Server *s, const Message *response) {
        g_autoptr(Registration) pending = g_steal_pointer(&s->pending);
        int r;

        if (s->call_what == RD_SEND_REGISTER && response->code == CODE(2, 1)) {
                r = registration_set_location(pending, response->path);
                if (r < 0)
                        return r;
        } else if (s->call_what == RD_SEND_UPDATE && response->code == CODE(2, 4) && s->known)
                continue_known(pending, s->known);
        else
                return 0;

        registration_free(s->known);
        s->known = g_steal_pointer(&pending);
        s->registered_ns = s->known->registered_ns;
        show_known(s);
        if (s->peer)
                peer_set_version(s->peer, s->known->version);
        save(s, s->call_what == RD_SEND_REGISTER);
        return 0;
}

static void on_response(void *userdata, int error, const Message *response, uint64_t now_usec) {
        Server *s = userdata;
        g_autofree char *text = NULL;
        uint8_t code = 0;

        s->call = NULL;
        if (error >= 0) {
                code = response->code;
                text = diagnostic(response);
                error = take_answer(s, response);
                if (error < 0)
                        text = g_strdup("no usable Location-Path in the answer");
        }
        s->pending = registration_free(s->pending);
        rd_answer(s->rd, error, code, text, now_usec);
}

static int request(Server *s, Message *m) {
        return transport(s)->request(s->link, m, on_response, s, &s->call);
}

static int send_register(Server *s) {
        static const char *const path[] = { "rd", NULL };
        Message m = MESSAGE_INIT(METHOD_POST);
        g_autoptr(GBytes) payload = NULL;
        g_auto(GStrv) query = NULL;
        char *links;

        s->pending = describe(s, &links);
        start_contact(s, s->pending);
        payload = g_bytes_new_take(links, strlen(links));
        query = registration_query(s->pending);
        m.format = FORMAT_LINK;
        m.path = path;
        m.query = (const char *const *) query;
        m.payload = payload;
        if (s->peer)
                peer_set_version(s->peer, s->pending->version);
        return request(s, &m);
}

static bool has_other_links(const Registration *r, const Registration *known) {
        return g_strcmp0(r->links_digest, known->links_digest) != 0;
}

static bool has_news(void *userdata) {
        const Server *s = userdata;
        g_autofree char *links = NULL;
        g_autoptr(Registration) r = NULL;
        g_auto(GStrv) query = NULL;

        if (!s->known)
                return true;
        r = describe(s, &links);
        query = registration_update_query(r, s->known);
        return query[0] || has_other_links(r, s->known);
}

static int send_update(Server *s) {
        Message m = MESSAGE_INIT(METHOD_POST);
        g_autoptr(GBytes) payload = NULL;
        g_auto(GStrv) query = NULL;
        char *links;

        s->pending = describe(s, &links);
        start_contact(s, s->pending);
        payload = g_bytes_new_take(links, strlen(links));
        query = registration_update_query(s->pending, s->known);
        m.path = (const char *const *) s->known->location;
        m.query = (const char *const *) query;
        if (has_other_links(s->pending, s->known)) {
                m.format = FORMAT_LINK;
                m.payload = payload;
        }
        return request(s, &m);
}

static int send_deregister(Server *s) {
        Message m = MESSAGE_INIT(METHOD_DELETE);

        m.path = (const char *const *) s->known->location;
        return request(s, &m);
}

static int send_what(void *userdata, RdRequest what, uint64_t now_usec) {
        Server *s = userdata;

        drop_call(s);
        s->call_what = what;
        if (!s->link || (what != RD_SEND_REGISTER && !s->known))
                return -ENOTCONN;
        awake_contact(s->awake, now_usec);
        switch (what) {
        case RD_SEND_REGISTER:
                return send_register(s);
        case RD_SEND_UPDATE:
                return send_update(s);
        case RD_SEND_DEREGISTER:
                return send_deregister(s);
        }
        return -EINVAL;
}

static void cancel_call(void *userdata) {
        drop_call(userdata);
}

static void on_lost(void *userdata, const char *why) {
        Server *s = userdata;

        s->known = registration_free(s->known);
        show_known(s);
        if (s->peer) {
                peer_drop_observations(s->peer, why);
                keeper_flush(s->keeper);
        }
        save(s, true);
}

/* --- events --- */

static void note_error(Server *s, const RdEvent *event) {
        g_autofree char *code = NULL;

        if (event->code >= CODE(4, 0))
                code = g_strdup_printf("%u.%02u", event->code >> 5, event->code & 31U);
        set_text(&s->error_code, code ? code : tell_error_name(event->error));
        if (event->text)
                set_text(&s->error_text, event->text);
        else if (event->error)
                set_text(&s->error_text, g_strerror(-event->error));
        else
                set_text(&s->error_text, "the server refused");
}

static ServerInfo brief(const Server *s);

static void on_event(void *userdata, const RdEvent *event, uint64_t now_usec) {
        Server *s = userdata;
        g_autoptr(GPtrArray) details = NULL;
        ServerInfo info;

        if (event->failure)
                note_error(s, event);
        else if (strcmp(event->name, "registration-complete") == 0) {
                set_text(&s->error_code, "");
                set_text(&s->error_text, "");
        }
        if (strcmp(event->name, "network-error") == 0 && s->env->exhausted)
                s->env->exhausted(s->env->userdata, s, now_usec);
        info = brief(s);
        details = tell_details(&info, event, server_wall_ns(s->env), now_usec);
        if (!tell_was_told(&s->told, &info, event, now_usec))
                tell_log(&info, s->env->endpoint, event, now_usec);
        events_emit(s->env->events, server_wall_ns(s->env), event->name, s->account->ssid,
                    (const char *const *) details->pdata);
}

/* Going to sleep is an event; waking is told by the Update's, if there is one, and as a property.
 */
static void on_awake_changed(void *userdata, AwakeState before, uint64_t now_usec) {
        Server *s = userdata;
        const RdEvent off = { .name = "queue-mode-rx-off", .next_usec = rd_next_usec(s->rd) };

        if (awake_state(s->awake) == AWAKE_ASLEEP)
                on_event(s, &off, now_usec);
        /* Where rd has changed its state as well, that is told. */
        if (rd_state(s->rd) == RD_REGISTERED && (before == AWAKE_UP || before == AWAKE_ASLEEP))
                s->env->changed(s->env->userdata, s, now_usec);
}

static void on_changed(void *userdata, uint64_t now_usec) {
        Server *s = userdata;

        log_with(LOG_LEVEL_DEBUG, (&(LogFields){ .ssid = s->account->ssid }), "%s",
                 rd_state_name(rd_state(s->rd)));
        awake_follow(s->awake, s->rd, s->known && s->known->queue, now_usec);
        if (s->peer && rd_state(s->rd) == RD_REGISTERED)
                peer_confirmed(s->peer);
        s->env->changed(s->env->userdata, s, now_usec);
}

static bool is_precious(void *userdata) {
        const Server *s = userdata;

        return s->account->storing && s->peer && peer_n_observations(s->peer) > 0;
}

/* BacklogConfig.doubt: an Update tells whether the server is there. */
static bool on_doubt(void *userdata, uint64_t now_usec) {
        Server *s = userdata;

        return rd_input(s->rd, RD_UPDATE, now_usec) == 0;
}

static const RdOps rd_ops = {
        .connect = connect_link,
        .disconnect = drop_link,
        .send = send_what,
        .cancel = cancel_call,
        .lost = on_lost,
        .has_news = has_news,
        .is_precious = is_precious,
        .event = on_event,
        .changed = on_changed,
};

/* --- life --- */

static RdConfig rd_config(const Server *s, bool held) {
        const ClientConfig *c = s->env->config;
        RdConfig config = {
                .retry = s->account->retry,
                .lifetime_sec = s->account->lifetime_sec,
                .update_period_sec = c->update_period_sec,
                .update_early_sec = c->update_early_sec,
                .update_interval_min_sec = c->update_interval_min_sec,
                .initial_delay_sec = s->account->initial_delay_sec,
                .deregister_timeout_usec = c->deregister_timeout_usec,
                .version = c->version,
                .give_up = c->give_up,
                .held = held,
        };

        config.retry.cap_sec = c->backoff_max_sec;
        return config;
}

static void on_disable(void *userdata, uint64_t now_usec) {
        Server *s = userdata;

        (void) rd_disable(s->rd, s->disable_until_usec, now_usec);
}

static void new_machine(Server *s) {
        RdConfig config = rd_config(s, false);

        rd_free(s->rd);
        s->rd = rd_new(&config, &rd_ops, s, s->env->parts->timers, s->env->rnd);
}

static void configure_awake(Server *s) {
        const ServerOptions *o = options(s);

        awake_set_config(s->awake, o ? &o->awake : &s->env->config->awake);
}

Server *server_new(const ServerEnv *env, Account *account) {
        Server *s = g_new0(Server, 1);

        s->env = env;
        s->account = account;
        s->peer = peer_new(env->parts->dm, account->ssid);
        s->awake = awake_new(env->parts->timers, env->parts->transport, s->peer, &env->n_holds,
                             on_awake_changed, s);
        configure_awake(s);
        s->backlog = backlog_new(s->peer, &(BacklogConfig){
                                                  .directory = env->config->directory,
                                                  .memory_max = env->config->stored_memory_max,
                                                  .file_max = env->config->stored_file_max,
                                                  .wall_clock_ns = env->parts->wall_clock_ns,
                                                  .doubt = on_doubt,
                                                  .userdata = s,
                                          });
        backlog_set_storing(s->backlog, account->storing);
        s->keeper = keeper_new(env->parts->store, env->parts->timers, s->peer, account->ssid);
        s->session = session_new(env->parts->store, account);
        s->disable_timer = timer_new(env->parts->timers, on_disable, s);
        set_text(&s->address, "");
        set_text(&s->location, "");
        set_text(&s->error_code, "");
        set_text(&s->error_text, "");
        load_owner_lifetime(s);
        new_machine(s);
        return s;
}

Server *server_free(Server *s) {
        if (!s)
                return NULL;
        drop_link(s);
        awake_free(s->awake);
        rd_free(s->rd);
        timer_free(s->disable_timer);
        if (s->peer)
                peer_free(s->peer);
        keeper_free(s->keeper);
        registration_free(s->known);
        session_free(s->session);
        account_free(s->account);
        g_free(s->told.what);
        g_free(s->address);
        g_free(s->location);
        g_free(s->reason);
        g_free(s->error_code);
        g_free(s->error_text);
        g_free(s);
        return NULL;
}

const Account *server_account(const Server *s) {
        return s->account;
}

Awake *server_awake(Server *s) {
        return s->awake;
}

Rd *server_rd(Server *s) {
        return s->rd;
}

/* The disk was emptied: what is in memory was to go with it. */
static bool is_forgotten(const Server *s) {
        g_autofree char *name = blob_name(s);
        g_autoptr(GBytes) blob = NULL;

        return s->env->parts->store && store_get_blob(s->env->parts->store, name, &blob) < 0;
}

void server_start(Server *s, bool held, uint64_t now_usec) {
        RdConfig config = rd_config(s, held);

        /* Each start is a fresh machine; what the server still knows of us is on disk. */
        if (s->known && !is_current(s, s->known))
                on_lost(s, "started with other settings");
        if (s->known && is_forgotten(s))
                on_lost(s, "factory reset");
        if (!s->known) {
                new_machine(s);
                restore(s, now_usec);
        }
        rd_set_config(s->rd, &config);
        s->started = true;
        (void) rd_input(s->rd, RD_START, now_usec);
}

bool server_is_started(const Server *s) {
        return s->started;
}

void server_set_account(Server *s, Account *account, uint64_t now_usec) {
        bool lifetime = account->lifetime_sec != s->account->lifetime_sec;
        bool binding = g_strcmp0(account->binding, s->account->binding) != 0;
        RdConfig config;

        account_free(s->account);
        s->account = account;
        if (s->owner_lifetime)
                set_owner_lifetime(s, account->lifetime_sec);
        s->owner_lifetime = false;
        if (s->peer)
                backlog_set_storing(s->backlog, account->storing);
        config = rd_config(s, account->has_priority);
        rd_set_config(s->rd, &config);
        if (lifetime)
                (void) rd_input(s->rd, RD_UPDATE, now_usec);
        else if (binding)
                (void) rd_input(s->rd, RD_CHANGED, now_usec);
}

void server_retire(Server *s, uint64_t now_usec) {
        g_autofree char *name = blob_name(s), *owner = owner_blob_name(s);

        if (s->env->parts->store) {
                (void) store_put_blob(s->env->parts->store, name, NULL, 0);
                (void) store_put_blob(s->env->parts->store, owner, NULL, 0);
        }
        session_forget(s->session);
        if (s->peer) {
                backlog_restore(s->backlog); /* what there is goes with the observations */
                peer_drop_observations(s->peer, "server removed");
                keeper_forget(s->keeper);
                peer_forget_attributes(s->peer);
        }
        awake_forget_peer(s->awake);
        s->peer = peer_free(s->peer);
        (void) rd_input(s->rd, RD_STOP, now_usec);
}

void server_disable_soon(Server *s, uint32_t seconds, uint64_t now_usec) {
        s->disable_until_usec = now_usec + seconds * USEC_PER_SEC;
        timer_arm(s->disable_timer, now_usec);
}

/* --- for people --- */

static void count_pending(void *userdata, const ObservationInfo *info) {
        if (info->pending)
                (*(uint32_t *) userdata)++;
}

static ServerInfo brief(const Server *s) {
        bool online = rd_state(s->rd) == RD_REGISTERED || rd_state(s->rd) == RD_ASLEEP;

        return (ServerInfo){
                .ssid = s->account->ssid,
                .uri = s->account->uri,
                .security = credentials_mode_name(s->account->credentials->mode),
                .cipher = session_cipher(s->session),
                .resumed = session_is_resumed(s->session),
                .cid = session_has_cid(s->session),
                .binding = s->account->binding ? s->account->binding : "U",
                .state = tell_state(s->rd, s->account->uri),
                .queue = awake_text(s->awake),
                .queue_socket = awake_socket_text(s->awake),
                .location = s->location,
                .peer = s->address,
                .last_error_code = s->error_code,
                .last_error_text = s->error_text,
                .version = rd_version(s->rd),
                .last_registered_ns = s->registered_ns,
                .next_update_usec = online ? rd_next_usec(s->rd) : USEC_INFINITY,
                .disabled_until_usec = rd_disabled_until(s->rd),
                .lifetime_sec = s->account->lifetime_sec,
                .send_muted = s->account->mute_send,
        };
}

void server_info(const Server *s, ServerInfo *ret) {
        *ret = brief(s);
        dm_foreach_observation(s->env->parts->dm, s->account->ssid, count_pending,
                               &ret->queued_notifications);
        if (s->peer) {
                BacklogCounts counts;

                backlog_counts(s->backlog, &counts);
                ret->queued_notifications += (uint32_t) counts.waiting;
                ret->dropped_notifications = (uint32_t) counts.dropped;
        }
}

void server_restart(Server *s, bool held, uint64_t now_usec) {
        (void) rd_input(s->rd, RD_FORCE, now_usec);
        server_start(s, held, now_usec);
}
