/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What the client is told when it is made, which all its servers go by. */
#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "lwm2m/dm/dm.h"
#include "lwm2m/server/server_options.h"
#include "model/store.h"

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
        uint16_t bootstrap_port;     /* where a bootstrap server of LwM2M 1.0 finds us; 0 = 5683 */
        uint32_t bootstrap_paths;    /* deleted and written in one bootstrap session; 0 = 4096 */
        uint64_t bootstrap_bytes;    /* of values in one; 0 = 1 MiB */
        uint64_t bootstrap_max_usec; /* how long one may take; 0 = 10 min */

        const struct EstConfig *est; /* lwm2m/est/est_place.h; NULL: its presets; copied */
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
        const struct EstCryptoOps *est; /* lwm2m/est/est_crypto.h; NULL: security mode 4 is not had
                                         */
} ClientParts;
