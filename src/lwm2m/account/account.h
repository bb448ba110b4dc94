/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Server accounts as they stand in the tree: an instance of object 0 (where and how to connect) and
 * the instance of object 1 with the same Short Server ID (how to behave), read into one struct. */
#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "lwm2m/backoff.h"
#include "lwm2m/account/credentials.h"
#include "model/tree.h"

enum { OBJECT_SECURITY = 0, OBJECT_SERVER = 1, OBJECT_DEVICE = 3, OBJECT_OSCORE = 21 };

enum { /* resources of object 0 */
       SECURITY_URI = 0,
       SECURITY_BOOTSTRAP = 1,
       SECURITY_MODE = 2,
       SECURITY_IDENTITY = 3,
       SECURITY_PEER_KEY = 4,
       SECURITY_SECRET = 5,
       SECURITY_SSID = 10,
       SECURITY_HOLD_OFF = 11,
       SECURITY_ACCOUNT_TIMEOUT = 12,
       SECURITY_MATCHING = 13,
       SECURITY_SNI = 14,
       SECURITY_USAGE = 15,
       SECURITY_SUITES = 16,
       SECURITY_OSCORE = 17,
};

enum { /* resources of object 1 */
       SERVER_SSID = 0,
       SERVER_LIFETIME = 1,
       SERVER_PMIN = 2,
       SERVER_PMAX = 3,
       SERVER_DISABLE = 4,
       SERVER_DISABLE_TIMEOUT = 5,
       SERVER_STORING = 6,
       SERVER_BINDING = 7,
       SERVER_UPDATE_TRIGGER = 8,
       SERVER_BOOTSTRAP_TRIGGER = 9,
       SERVER_ALERT = 11,
       SERVER_LAST_BOOTSTRAPPED = 12,
       SERVER_PRIORITY = 13,
       SERVER_INITIAL_DELAY = 14,
       SERVER_FAILURE_BLOCK = 15,
       SERVER_BOOTSTRAP_ON_FAILURE = 16,
       SERVER_RETRY_COUNT = 17,
       SERVER_RETRY_TIMER = 18,
       SERVER_SEQUENCE_DELAY = 19,
       SERVER_SEQUENCE_COUNT = 20,
       SERVER_PREFERRED_TRANSPORT = 22,
       SERVER_MUTE_SEND = 23,
};

#define DISABLE_TIMEOUT_DEFAULT_SEC 86400
#define URI_TEXT_MAX 255 /* 0/x/0 */

typedef struct Account {
        uint16_t ssid, security_instance, server_instance;
        char *uri, *binding;
        Credentials *credentials;
        Credentials *enrolled; /* in mode EST, for the link: what was enrolled; NULL: nothing yet */
        uint32_t lifetime_sec; /* 0: for ever */
        uint32_t disable_timeout_sec;
        uint32_t initial_delay_sec;
        uint32_t priority; /* lowest first */
        bool has_priority, failure_block, bootstrap_on_failure, mute_send;
        bool storing;                               /* 1/x/6 */
        RetryPolicy retry;                          /* without the cap */
        uint32_t hold_off_sec, account_timeout_sec; /* of the bootstrap server: 0/x/11, 0/x/12 */
} Account;

Account *account_free(Account *a);
/* What its link is made with; *ret_error (g_free()). As account_check_security(), and -ENOKEY when
 * its certificate is still to come. */
int account_link_credentials(const Account *a, const Credentials **ret, char **ret_error);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Account, account_free)

/* Every management server, by Short Server ID; at most max of them. Instances that make no account
 * (no partner in the other object, a number twice, too many) are told of by problem(), which may be
 * NULL. lifetime_sec is for accounts without one. */
GPtrArray *accounts_load(const Tree *tree, uint32_t lifetime_sec, uint32_t max,
                         void (*problem)(void *userdata, const char *text), void *userdata);

/* 1/x/23 as it stands in the tree: true where it is absent, as the definition has it. */
bool account_is_muted(const Tree *tree, uint16_t ssid);

/* Whether this build can connect there: 0, -EINVAL not of the form scheme://host[:port],
 * -EPROTONOSUPPORT. *ret_error (g_free()) says why. */
int account_check_uri(const char *uri, char **ret_error);
bool account_uri_is_secure(const char *uri); /* coaps://… or coaps+tcp://… */
bool account_uri_is_tcp(const char *uri);    /* coap+tcp://… or coaps+tcp://… */
/* The same for URI and credentials together; also -ENOKEY. */
int account_check_security(const char *uri, const Credentials *credentials /* NULL: nosec */,
                           char **ret_error);
bool account_binding_is_valid(const char *binding); /* U, T or both, and Q behind */

/* An account to be made. */
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
/* One transaction that makes, or removes, the instances. As client_add_account(); remove: -ENOENT.
 */
int account_add(Tree *tree, const ServerAccount *account, uint32_t lifetime_sec, char **ret_error);
int account_remove(Tree *tree, uint16_t ssid);
/* 1/x/11, where the object's version has it. */
void account_note_alert(Tree *tree, uint16_t server_instance, uint8_t description);
