/* SPDX-License-Identifier: Apache-2.0 */
#include "lwm2m/server/server_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "lwm2m/observe/backlog.h"
#include "lwm2m/dm/keeper.h"
#include "lwm2m/dm/presence.h"
#include "lwm2m/server/rd_links.h"
#include "lwm2m/server/registration.h"
#include "lwm2m/server/server_tell.h"
#include "lwm2m/server/session.h"
#include "util/log.h"

void server_set_text(char **where, const char *text) {
        g_free(*where);
        *where = g_strdup(text ? text : "");
}

int64_t server_wall_ns(const ServerEnv *env) {
        return env->parts->wall_clock_ns();
}

/* --- link --- */

void server_drop_call(Server *s) {
        if (s->call)
                server_transport(s)->cancel(s->call);
        s->call = NULL;
        s->pending = registration_free(s->pending);
}

static void drop_link(void *userdata) {
        Server *s = userdata;

        server_drop_call(s);
        if (!s->link)
                return;
        if (s->peer)
                peer_set_link(s->peer, NULL);
        awake_set_link(s->awake, NULL);
        server_transport(s)->close(s->link);
        s->link = NULL;
        session_link_closed(s->session, 0);
        server_set_text(&s->address, "");
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

        server_set_text(&s->address, server_transport(s)->peer(s->link));
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
        bool asleep = awake_state(s->awake) == AWAKE_ASLEEP;

        drop_link(s);
        if (handshake)
                session_link_closed(s->session, error);
        /* A server may end a connection that is idle (RFC 8323, section 5.5): while it takes us for
         * asleep none is needed, and the next Update makes another. */
        if (asleep && rd_input(s->rd, RD_SLEEP, now_usec) >= 0) {
                log_with(LOG_LEVEL_INFO, (&(LogFields){ .ssid = s->account->ssid }),
                         "%s; asleep, the next update makes a new connection", why);
                return;
        }
        rd_down(s->rd, error, why, now_usec);
}

static void on_request(void *owner, Exchange *x, const Message *request, uint64_t now_usec) {
        Server *s = owner;
        Message refusal = MESSAGE_INIT(CODE(5, 3));

        if (s->peer)
                peer_request(s->peer, x, request, now_usec);
        else
                server_transport(s)->respond(x, &refusal);
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

const ServerOptions *server_options(const Server *s) {
        const ClientConfig *c = s->env->config;

        return server_options_find(c->options, c->n_options, s->account->ssid);
}

static int connect_link(void *userdata, const char **ret_text, uint64_t now_usec) {
        Server *s = userdata;
        LinkConfig config = session_link_config(s->session, s->account, server_wall_ns(s->env),
                                                s->env->config->dates_need_clock);
        g_autofree char *why = NULL;
        int r;

        if (s->known)
                config.place = s->known->place;
        config.socket = client_config_socket(s->env->config, s->account->ssid);
        r = account_link_credentials(s->account, &config.credentials, &why);
        if (r < 0) {
                g_free(s->reason);
                *ret_text = s->reason = g_steal_pointer(&why);
                return r;
        }
        return server_transport(s)->open(s->env->parts->transport_userdata, &config, &link_events,
                                         s, &s->link);
}

/* --- events --- */

static void note_error(Server *s, const RdEvent *event) {
        g_autofree char *code = NULL;

        if (event->code >= CODE(4, 0))
                code = g_strdup_printf("%u.%02u", event->code >> 5, event->code & 31U);
        server_set_text(&s->error_code, code ? code : tell_error_name(event->error));
        if (event->text)
                server_set_text(&s->error_text, event->text);
        else if (event->error)
                server_set_text(&s->error_text, g_strerror(-event->error));
        else
                server_set_text(&s->error_text, "the server refused");
}

static ServerInfo brief(const Server *s);

static void on_event(void *userdata, const RdEvent *event, uint64_t now_usec) {
        Server *s = userdata;
        g_autoptr(GPtrArray) details = NULL;
        ServerInfo info;

        if (event->failure)
                note_error(s, event);
        else if (strcmp(event->name, "registration-complete") == 0) {
                server_set_text(&s->error_code, "");
                server_set_text(&s->error_text, "");
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

static const RdOps rd_ops = {
        .connect = connect_link,
        .disconnect = drop_link,
        .send = server_send,
        .cancel = server_cancel_call,
        .lost = server_on_lost,
        .has_news = server_has_news,
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
        const ServerOptions *o = server_options(s);

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
                                          });
        backlog_set_storing(s->backlog, account->storing);
        s->keeper = keeper_new(env->parts->store, env->parts->timers, s->peer, account->ssid);
        s->session = session_new(env->parts->store, account);
        s->disable_timer = timer_new(env->parts->timers, on_disable, s);
        server_set_text(&s->address, "");
        server_set_text(&s->location, "");
        server_set_text(&s->error_code, "");
        server_set_text(&s->error_text, "");
        server_load_owner_lifetime(s);
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
        told_clear(&s->told);
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
        g_autofree char *name = server_blob_name(s);
        g_autoptr(GBytes) blob = NULL;

        return s->env->parts->store && store_get_blob(s->env->parts->store, name, &blob) < 0;
}

void server_start(Server *s, bool held, uint64_t now_usec) {
        RdConfig config = rd_config(s, held);

        /* Each start is a fresh machine; what the server still knows of us is on disk. */
        if (s->known && !server_is_current(s, s->known))
                server_on_lost(s, "started with other settings");
        if (s->known && is_forgotten(s))
                server_on_lost(s, "factory reset");
        if (!s->known) {
                new_machine(s);
                server_restore(s, now_usec);
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
        session_follow(s->session, account);
        if (s->owner_lifetime)
                server_set_owner_lifetime(s, account->lifetime_sec);
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
        g_autofree char *name = server_blob_name(s), *owner = server_owner_blob_name(s);

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
                .security = credentials_name(s->account->credentials),
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
