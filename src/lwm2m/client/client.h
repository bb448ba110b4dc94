/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The LwM2M client as D-Bus and main() see it: accounts, registrations, events, and the engine
 * verbs of DBUS.md part 8. Owns a Server per account (object 0 + object 1), follows changes of
 * those objects, and puts rd (registration) and dm (operations) together over one Link each. */
#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "lwm2m/account/account.h"
#include "lwm2m/events.h"
#include "lwm2m/server/client_config.h"
#include "lwm2m/server/server_info.h"

typedef struct Client Client;

Client *client_new(const ClientConfig *config, const ClientParts *parts);
Client *client_free(Client *c);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Client, client_free)

/* --- events --- */
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
uint16_t *client_servers(const Client *c, size_t *ret_n); /* g_free(); ascending; without 0 */
int client_server_info(const Client *c, uint16_t ssid,
                       ServerInfo *ret); /* strings borrowed until the next event */
int client_update(Client *c, uint16_t ssid /* 0 = all */, uint64_t now_usec);
int client_register(Client *c, uint16_t ssid, uint64_t now_usec);
int client_deregister(Client *c, uint16_t ssid, uint64_t now_usec);
int client_disable(Client *c, uint16_t ssid, uint32_t seconds, uint64_t now_usec);
int client_enable(Client *c, uint16_t ssid, uint64_t now_usec);
/* Asks the EST server for another certificate for that server, in security mode 4. -ENOTSUP in
 * another mode, -EALREADY under way. */
int client_enrol(Client *c, uint16_t ssid, uint64_t now_usec);
/* What was enrolled for an account that is not the client's own copy. */
void client_add_enrolled(const Client *c, Account *account);
/* Queue mode: a download, say, keeps awake who is awake, until it is given back. ssid 0: all, also
 * those that come later. They nest. */
int client_hold_awake(Client *c, uint16_t ssid);
int client_release_awake(Client *c, uint16_t ssid, uint64_t now_usec);

/* Creates the instances of objects 0 and 1 durably; -EEXIST, -EINVAL with *ret_error (g_free())
 * saying why. */
int client_add_account(Client *c, const ServerAccount *account, char **ret_error,
                       uint64_t now_usec);
int client_remove_account(Client *c, uint16_t ssid, uint64_t now_usec);
/* Objects 0 and 1 were changed by other means: follows at once instead of in the next turn. */
void client_follow_accounts(Client *c, uint64_t now_usec);
