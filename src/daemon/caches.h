/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The caches of time series as a daemon has them: policies of the configuration and those set over
 * the bus, the file in the state directory, and when it is synced. */
#include "daemon/config.h"
#include "model/series.h"
#include "util/timerq.h"

typedef struct Caches Caches;

typedef struct CachesConfig {
        const char *directory; /* of the state */
        Store *store;          /* borrowed: its policies say what is kept on disk */
        const Tree *tree;      /* with what was kept of it */
        TimerQueue *timers;
        uint64_t (*now_usec)(void *userdata); /* of the timers */
        void *userdata;
} CachesConfig;

/* Loads what was kept. A file that cannot be used is an error; a damaged one is set aside. */
int caches_open(const CachesConfig *config, const Config *settings, Caches **ret);
Caches *caches_free(Caches *c);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Caches, caches_free)
Series *caches_series(const Caches *c);
/* The configuration was read again. */
int caches_reload(Caches *c, const Config *settings);
/* Everything is forgotten but what the configuration says. */
int caches_reset(Caches *c, const Config *settings);
