/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What the three files of a Server share: server.c (its life, link and events), server_requests.c
 * (Register, Update, De-register and their answers) and server_kept.c (what of it is on disk). */
#include "lwm2m/server/server.h"
#include "lwm2m/observe/backlog.h"
#include "lwm2m/dm/keeper.h"
#include "lwm2m/dm/presence.h"
#include "lwm2m/server/rd_links.h"
#include "lwm2m/server/registration.h"
#include "lwm2m/server/server_tell.h"
#include "lwm2m/server/session.h"

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
        Told told; /* in the log, of late */
        int64_t registered_ns;
};

static inline const TransportOps *server_transport(const Server *s) {
        return s->env->parts->transport;
}

void server_set_text(char **where, const char *text);
void server_drop_call(Server *s);

/* What the account's owner set for this server; NULL for nothing. */
const ServerOptions *server_options(const Server *s);

/* server_kept.c */
char *server_blob_name(const Server *s);
char *server_owner_blob_name(const Server *s);
bool server_is_current(const Server *s, const Registration *kept);
void server_save(Server *s, bool durable);
void server_restore(Server *s, uint64_t now_usec);
void server_show_known(Server *s);
void server_set_owner_lifetime(Server *s, uint32_t sec);
void server_load_owner_lifetime(Server *s);

/* server_requests.c: of RdOps; userdata is the Server */
int server_send(void *userdata, RdRequest what, uint64_t now_usec);
bool server_has_news(void *userdata);
void server_cancel_call(void *userdata);
void server_on_lost(void *userdata, const char *why);
