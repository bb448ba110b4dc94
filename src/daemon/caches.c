/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/caches.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "lwm2m/dm/samples.h"
#include "lwm2m/send/sched_object.h"
#include "util/cleanup.h"
#include "util/log.h"

#define RETRY_USEC (10 * USEC_PER_SEC)

struct Caches {
        CachesConfig config;
        Series *series;
        Timer *batch;
        uint64_t batch_usec;
        int dirfd;
};

static bool is_kept(void *userdata, const Path *p) {
        const Caches *c = userdata;

        return store_policy(c->config.store, p) == PERSIST_ALWAYS;
}

static void on_pending(void *userdata) {
        Caches *c = userdata;

        if (timer_due(c->batch) == USEC_INFINITY)
                timer_arm(c->batch, c->config.now_usec(c->config.userdata) + c->batch_usec);
}

static void on_batch(void *userdata, uint64_t now_usec) {
        Caches *c = userdata;
        int r;

        r = series_sync(c->series);
        if (r >= 0)
                return;
        log_error_errno(r, "Cannot write the samples, trying again: %m");
        timer_arm(c->batch, now_usec + MAX(c->batch_usec, RETRY_USEC));
}

static void on_message(void *userdata, int level, const char *text) {
        log_at(level, 0, NULL, "%s", text);
}

/* Those of the configuration, and over them those set at run time. */
static int set_policies(Caches *c, const Config *settings) {
        g_autofree char *text = NULL;
        g_autoptr(GBytes) blob = NULL;
        int r;

        for (guint i = 0; i < settings->caches->len; i++) {
                const CacheConfig *p = &g_array_index(settings->caches, CacheConfig, i);

                r = series_set_policy(c->series, &p->prefix, &p->policy);
                if (r < 0)
                        return log_error_errno(r, "[Cache] %s: %m", PATH_TEXT(&p->prefix));
        }
        if (store_get_blob(c->config.store, SAMPLES_BLOB, &blob) < 0)
                return 0;
        text = g_strndup(g_bytes_get_data(blob, NULL), g_bytes_get_size(blob));
        if (series_load_policies(c->series, text) < 0)
                log_warning("The kept settings of caches are damaged, going on without some");
        return 0;
}

/* The caches of the send scheduler's rules: those that are in the tree, and those that the
 * configuration will put there. */
static void provide_caches(Caches *c, const Config *settings) {
        sched_provide_caches(c->series, c->config.tree);
        for (guint i = 0; i < settings->seeds->len; i++) {
                const SeedConfig *seed = settings->seeds->pdata[i];
                const uint16_t *id = seed->path.id;

                if (seed->path.n == 3 && id[0] == OBJECT_SCHED_RULES && id[2] == SCHED_PATH)
                        sched_provide_cache(c->series, seed->text);
        }
}

static int open_file(Caches *c) {
        int r;

        c->dirfd = open(c->config.directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (c->dirfd < 0)
                return log_error_errno(-errno, "Cannot open '%s': %m", c->config.directory);
        r = series_open_file(c->series, c->dirfd, on_message, NULL);
        return r < 0 ? log_error_errno(r, "Cannot use '%s/" SERIES_FILE_NAME "': %m",
                                       c->config.directory)
                     : 0;
}

int caches_open(const CachesConfig *config, const Config *settings, Caches **ret) {
        g_autoptr(Caches) c = g_new(Caches, 1);
        int r;

        *c = (Caches){ .config = *config, .batch_usec = settings->batch_usec, .dirfd = -1 };
        c->batch = timer_new(config->timers, on_batch, c);
        c->series = series_new(&(SeriesConfig){
                .bytes_max = settings->cache_bytes,
                .bytes_per_payer = settings->cache_bytes_per_user,
                .kept = is_kept,
                .pending = on_pending,
                .userdata = c,
        });
        r = set_policies(c, settings);
        if (r < 0)
                return r;
        provide_caches(c, settings);
        r = open_file(c);
        if (r < 0)
                return r;
        *ret = g_steal_pointer(&c);
        return 0;
}

Caches *caches_free(Caches *c) {
        if (!c)
                return NULL;
        series_free(c->series);
        timer_free(c->batch);
        close_fd(&c->dirfd);
        g_free(c);
        return NULL;
}

Series *caches_series(const Caches *c) {
        return c->series;
}

int caches_reload(Caches *c, const Config *settings) {
        int r;

        r = set_policies(c, settings);
        return r < 0 ? r : series_kept_changed(c->series, &PATH_ROOT);
}

int caches_reset(Caches *c, const Config *settings) {
        series_clear(c->series);
        return set_policies(c, settings);
}
