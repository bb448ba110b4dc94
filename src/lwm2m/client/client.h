/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The LwM2M client as D-Bus and main() see it: accounts, registrations, events, and the engine
 * verbs of DBUS.md part 8. Owns a Server per account (object 0 + object 1), follows changes of
 * those objects, and puts rd (registration) and dm (operations) together over one Link each. */
#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "lwm2m/dm/dm.h"
#include "lwm2m/server/server_options.h"
#include "model/store.h"

typedef struct Client Client;

typedef struct ClientConfig {
        char *endpoint;
        Version version; /* 0.0 = auto: 1.1, stepping down on 4.12 and 4.00 (DESIGN decision 9) */
        uint32_t lifetime_sec;            /* default and lowest accepted; TS Core default 86400 */
        uint32_t update_period_sec;       /* 0 = by lifetime alone */
        uint32_t update_early_sec;        /* before the lifetime ends */
        uint32_t update_interval_min_sec; /* at most one Update in this time unless forced; 15 */
        const uint16_t *offered;          /* objects to announce without instances; copied */
        size_t n_offered;
        bool queue_mode; /* with every server, not only where 1/x/7 says so */
        AwakeConfig awake;
        SocketOptions socket;         /* copied */
        const ServerOptions *options; /* copied; where one is, it holds instead */
        size_t n_options;
        char *sms;                        /* MSISDN for the registration; NULL */
        uint64_t deregister_timeout_usec; /* bound on a stop; 5 s */
        uint32_t backoff_max_sec; /* cap of retries after the sequences of 1/x/17-20 are used up;
                                     3600 */
        bool give_up;             /* stop trying after network-error instead of going on */
        bool dates_need_clock;    /* dates of certificates do not count before the clock is set */
        uint32_t servers_max;     /* accounts served at once; 16 */
        uint32_t events_max;      /* kept for GetEvents; 256 */
        char *directory; /* of the state, for notifications stored; NULL: they stay in memory */
        uint64_t stored_memory_max, stored_file_max; /* bytes, for one server; 256 KiB, 4 MiB */
        uint64_t settle_usec; /* after a start, how long observed values may be missing */
        uint32_t seed;        /* of the retry jitter; 0 = random */

        int bootstrap_format;        /* preferred content format of a bootstrap; 0 = SenML CBOR */
        uint32_t bootstrap_paths;    /* deleted and written in one bootstrap session; 0 = 4096 */
        uint64_t bootstrap_bytes;    /* of values in one; 0 = 1 MiB */
        uint64_t bootstrap_max_usec; /* how long one may take; 0 = 10 min */
} ClientConfig;

/* For a link to the server; ssid 0: to the bootstrap server. */
static inline SocketOptions client_config_socket(const ClientConfig *c, uint16_t ssid) {
        const ServerOptions *o = server_options_find(c->options, c->n_options, ssid);

        return o ? o->socket : c->socket;
}

typedef struct ClientParts { /* borrowed, outlive the client */
        Tree *tree;
        Store *store; /* NULL: nothing is kept */
        Dm *dm;
        TimerQueue *timers;
        const TransportOps *transport;
        void *transport_userdata;
        int64_t (*wall_clock_ns)(void); /* for tests; NULL = the system's */
} ClientParts;

Client *client_new(const ClientConfig *config, const ClientParts *parts);
Client *client_free(Client *c);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Client, client_free)

/* --- events: names of DBUS.md part 8 --- */
typedef struct ClientEvent {
        int64_t time_ns; /* wall clock */
        const char *name;
        uint16_t ssid;              /* 0: of no one server */
        const char *const *details; /* key, value, key, value, …, NULL */
} ClientEvent;
typedef struct ClientListener {
        void (*event)(void *userdata, const ClientEvent *event);
        /* Something a ServerInfo or the client's state shows has changed (PropertiesChanged); ssid
         * 0 = client. */
        void (*changed)(void *userdata, uint16_t ssid);
        void (*server_added)(void *userdata, uint16_t ssid);
        void (*server_removed)(void *userdata, uint16_t ssid);
} ClientListener;
void client_add_listener(Client *c, const ClientListener *listener, void *userdata);
void client_foreach_event(const Client *c, void (*func)(void *userdata, const ClientEvent *event),
                          void *userdata);
void client_emit(Client *c, const char *name, uint16_t ssid, const char *const *details);

/* --- engine --- 0 or: -EALREADY running / not paused, -EINVAL bad endpoint, -ESHUTDOWN not
 * running. */
int client_start(Client *c, const char *endpoint /* NULL = the configured one */,
                 uint64_t now_usec);
/* The same with a bootstrap first: servers that are known wait until it is done, or has failed
 * once. -ENOENT no bootstrap server. */
int client_start_bootstrap(Client *c, const char *endpoint, uint64_t now_usec);
/* Bootstraps now; registrations go on meanwhile. -ENOENT no bootstrap server, -EALREADY under way,
 * -ENOTCONN paused. */
int client_bootstrap(Client *c, uint64_t now_usec);
bool client_has_bootstrap(const Client *c);
/* De-registers everywhere, then stops; done runs once, within deregister_timeout_usec. force: at
 * once, unsent; also while another stop is under way, which ends then, too. -EBUSY: too many wait.
 */
int client_stop(Client *c, bool force, void (*done)(void *userdata), void *userdata,
                uint64_t now_usec);
/* Makes everything noted so far durable, as store_sync() does: observations as well. */
int client_sync(Client *c);
/* After a forced stop, when the process ends and the next one is to go on with the registrations:
 * puts what that needs into the store, which the caller syncs. */
void client_save_last(Client *c);
int client_pause(Client *c, uint64_t now_usec);
int client_resume(Client *c, uint64_t now_usec);
bool client_is_paused(const Client *c);
/* The system goes to sleep: paused, if it is not already, and saved. After the wake-up it goes on,
 * unless somebody has paused or resumed it meanwhile: with an Update where the lifetime holds. */
void client_sleep(Client *c, uint64_t now_usec);
void client_wake(Client *c, uint64_t now_usec);
bool client_is_running(const Client *c);
const char *client_state(
        const Client *c); /* bootstrapping registering online offline disabled paused stopped */
const char *client_endpoint(const Client *c);
Dm *client_dm(Client *c);
Tree *client_tree(Client *c);
Store *client_store(Client *c);
const ClientParts *client_parts(const Client *c);
const ClientConfig *client_config(const Client *c);

/* What applications offer to create is another than before: the servers will be told. */
void client_offers_changed(Client *c);

/* --- servers; by Short Server ID, 0 = the bootstrap server --- -ENOENT unknown; -ENOTCONN not
 * registered. */
typedef struct ServerInfo {
        uint16_t ssid;
        const char *uri, *security, *binding, *state; /* idle resolving connecting registering
                                                         registered updating disabled failed
                                                         bootstrapping */
        const char *queue; /* queue mode: "none", "awake", "asleep" until next_update_usec or until
                              something is to be sent */
        const char *queue_socket; /* while asleep: "stop-polling", "listen", "close" */
        const char *location, *peer, *last_error_code, *last_error_text; /* "" when none */
        const char *cipher; /* IANA name of the cipher suite in use; "" when none */
        bool resumed, cid;  /* the session is an earlier one; it has a Connection ID */
        Version version;
        int64_t last_registered_ns; /* wall clock; 0 never */
        uint64_t next_update_usec;  /* now_usec time line; USEC_INFINITY none */
        uint64_t disabled_until_usec;
        uint32_t lifetime_sec, queued_notifications;
        uint32_t dropped_notifications; /* of those stored while it was away, since the start */
        bool send_muted;
} ServerInfo;
uint16_t *client_servers(const Client *c, size_t *ret_n); /* g_free(); ascending; without 0 */
int client_server_info(const Client *c, uint16_t ssid,
                       ServerInfo *ret); /* strings borrowed until the next event */
int client_update(Client *c, uint16_t ssid /* 0 = all */, uint64_t now_usec);
int client_register(Client *c, uint16_t ssid, uint64_t now_usec);
int client_deregister(Client *c, uint16_t ssid, uint64_t now_usec);
int client_disable(Client *c, uint16_t ssid, uint32_t seconds, uint64_t now_usec);
int client_enable(Client *c, uint16_t ssid, uint64_t now_usec);
/* Queue mode: a download, say, keeps awake who is awake, until it is given back. ssid 0: all, also
 * those that come later. They nest. */
int client_hold_awake(Client *c, uint16_t ssid);
int client_release_awake(Client *c, uint16_t ssid, uint64_t now_usec);

typedef struct ServerAccount {
        const char *uri; /* coap://… or coaps://…; other schemes -EPROTONOSUPPORT for now */
        uint16_t ssid;   /* 1..65534 */
        uint32_t lifetime_sec;                 /* 0 = the client's */
        const char *binding;                   /* NULL = "U"; over TCP "T" */
        const struct Credentials *credentials; /* lwm2m/account/credentials.h; NULL = nosec */
        /* The bootstrap server's: ssid, lifetime and binding mean nothing then. */
        bool bootstrap;
        uint32_t hold_off_sec;        /* 0/x/11 */
        uint32_t account_timeout_sec; /* 0/x/12; 0 = kept for ever */
} ServerAccount;
/* Creates the instances of objects 0 and 1 durably; -EEXIST, -EINVAL with *ret_error (g_free())
 * saying why. */
int client_add_account(Client *c, const ServerAccount *account, char **ret_error,
                       uint64_t now_usec);
int client_remove_account(Client *c, uint16_t ssid, uint64_t now_usec);
/* Objects 0 and 1 were changed by other means: follows at once instead of in the next turn. */
void client_follow_accounts(Client *c, uint64_t now_usec);
