/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* lwm2md.conf and its drop-ins (GKeyFile form; man lwm2md.conf). Unknown groups and keys and bad
 * values are errors with file and line; nothing is guessed. */
#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "bus/grants.h"
#include "codec/path.h"
#include "daemon/config_security.h"
#include "daemon/config_where.h"
#include "lwm2m/server/awake.h"
#include "lwm2m/access/access_policy.h"
#include "daemon/schedule.h"
#include "model/schema.h"
#include "model/series.h"
#include "model/store.h"

typedef struct ServerConfig {
        char *name; /* of the [Server NAME] group */
        char *uri, *binding;
        uint16_t ssid;
        uint32_t lifetime_sec; /* 0 = [Client] Lifetime */
        bool bootstrap;        /* without ssid, binding and lifetime */
        uint64_t hold_off_sec, account_timeout_sec;
        SecurityTexts security;
        /* What no object holds: for the account with this ShortId at every start. Keys that are not
         * there have the values of [Client]. */
        bool has_queue_mode, queue_mode, queue_at_once;
        uint64_t queue_awake_usec;
        QueueSocket queue_socket;
        char *bind, *interface; /* NULL = as the system has it */
        uint64_t mark, dscp;
        unsigned given; /* a bit for each plain key that is there */
} ServerConfig;

typedef struct SeedConfig { /* one line of [Values] */
        Path path;
        char *text;  /* value as text/plain; empty for an instance */
        char *where; /* "file:line" */
} SeedConfig;

typedef struct PersistConfig {
        Path prefix;
        Persist policy;
} PersistConfig;

typedef struct CacheConfig {
        Path prefix;
        SeriesPolicy policy;
} CacheConfig;

typedef struct Config {
        /* [Client] */
        char *endpoint; /* NULL = by address or machine-id */
        Version version;
        uint64_t lifetime_sec, update_period_sec, update_early_sec, update_interval_sec;
        uint64_t deregister_timeout_usec, backoff_max_sec;
        uint64_t settle_usec;
        bool queue_mode, queue_at_once, give_up, non_confirmable, discover_permitted;
        bool stop_keeps; /* StopAction=keep */
        uint64_t queue_awake_usec;
        QueueSocket queue_socket;
        char *bind, *interface;
        uint64_t mark, dscp;
        char *sms, *trust_store;
        char *bootstrap_file; /* NULL = none */
        Format bootstrap_format;
        uint64_t bootstrap_port;
        uint64_t handshake_usec, tcp_ping_usec;
        bool dates_need_clock, alpn_optional;
        /* [Security] */
        char *providers, *pin_file, *pkcs11_module, *tcti;
        /* [Est] */
        char *est_uri, *est_curve; /* NULL = the bootstrap server's; P-256 */
        uint64_t est_renew_percent, est_renew_min_usec;
        bool est_ignore_attributes;
        SecurityTexts est_security;
        /* [Limits] */
        uint64_t bootstrap_paths, bootstrap_bytes, bootstrap_time_usec;
        uint64_t instances, value_bytes, body_bytes, transfers, exchanges, separate_after_usec;
        uint64_t tcp_message_bytes;
        uint64_t stored_memory, stored_file, est_body;
        uint64_t observations, observations_per_server, operations, composite_paths, records, depth;
        uint64_t sends, send_bytes, send_body_bytes, send_timeout_usec;
        uint64_t servers, events, claims_per_user, subscriptions_per_user, bus_queue, cache_bytes,
                cache_bytes_per_user;
        uint64_t fds_per_user, calls_per_user, values_per_user;
        /* [Persist] */
        uint64_t journal_bytes, batch_usec;

        ConfigWhere *where;
        GPtrArray *servers_list; /* ServerConfig */
        GPtrArray *seeds;        /* SeedConfig, in file order */
        GHashTable *seed_index;  /* the same by path */
        GArray *persist;         /* PersistConfig */
        GArray *caches;          /* CacheConfig */
        Schedule *schedule;      /* [SendScheduler]; its values are among the seeds; NULL without */
        AccessPolicy *access;    /* [AccessControl]; NULL without that group */
        Grants *grants;          /* access.d and apps.d beside the file */
        char **object_paths;     /* [Objects] Path=, NULL-terminated; may be NULL */
        GArray *offered;         /* [Objects] Offer=: of uint16_t; may be NULL */
} Config;

/* Reads file, then the *.conf of file.d in name order (for the default file lwm2md.conf.d); later
 * values win. A missing default file is an empty one when may_be_missing. *ret_error (g_free()) has
 * one line for each mistake, "file:line: what is wrong and what is allowed". */
int config_load(const char *file, bool may_be_missing, Config **ret, char **ret_error);
Config *config_free(Config *c);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Config, config_free)
