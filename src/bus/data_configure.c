/* SPDX-License-Identifier: Apache-2.0 */
/* Data.Configure: what is kept on disk, and what is cached as a time series. */
#include <errno.h>
#include <string.h>

#include "bus/data.h"
#include "lwm2m/dm/samples.h"

typedef struct Wanted {
        const char *persist, *cache_full, *cache_read;
        uint32_t cache;
} Wanted;

/* The next start has it, too: one line of the blob is the path's. */
static int remember(Store *store, const char *name, const Path *p, const char *text) {
        g_autofree char *prefix = g_strdup_printf("%s ", PATH_TEXT(p)), *old = NULL;
        g_autoptr(GString) lines = g_string_new(NULL);
        g_autoptr(GBytes) blob = NULL;
        g_auto(GStrv) former = NULL;
        int r;

        if (store_get_blob(store, name, &blob) == 0)
                old = g_strndup(g_bytes_get_data(blob, NULL), g_bytes_get_size(blob));
        former = g_strsplit(old ? old : "", "\n", -1);
        for (char **line = former; *line; line++)
                if (**line && !g_str_has_prefix(*line, prefix))
                        g_string_append_printf(lines, "%s\n", *line);
        g_string_append_printf(lines, "%s%s\n", prefix, text);
        r = store_put_blob(store, name, lines->str, lines->len);
        return r < 0 ? r : store_sync(store);
}

/* --- caches --- */
static int read_choice(const char *option, const char *text, const char *no, const char *yes,
                       bool *ret, sd_bus_error *error) {
        if (!text)
                return 0;
        if (strcmp(text, no) != 0 && strcmp(text, yes) != 0)
                return bus_error_named(error, ERROR_PREFIX "InvalidOption",
                                       "%s: '%s' is not %s or %s", option, text, yes, no);
        *ret = strcmp(text, yes) == 0;
        return 0;
}

/* What the options say, over what there is. */
static int read_policy(Bus *b, const Path *p, const Wanted *w, SeriesPolicy *ret,
                       sd_bus_error *error) {
        Series *series = dm_series(client_dm(b->client));
        const SeriesPolicy *former = series ? series_policy(series, p) : NULL;
        SeriesPolicy policy = former ? *former : (SeriesPolicy){ 0 };
        int r;

        if (w->cache == UINT32_MAX && !former)
                return bus_error_named(error, ERROR_PREFIX "InvalidOption",
                                       "%s: cache_full and cache_read need cache u, the number of "
                                       "samples",
                                       PATH_TEXT(p));
        if (w->cache != UINT32_MAX)
                policy.samples = w->cache;
        r = read_choice("cache_full", w->cache_full, "newest", "oldest", &policy.drop_oldest,
                        error);
        if (r >= 0)
                r = read_choice("cache_read", w->cache_read, "all", "latest", &policy.read_latest,
                                error);
        if (r >= 0)
                *ret = policy;
        return r;
}

static int configure_cache(Bus *b, const Path *p, const Wanted *w, sd_bus_error *error) {
        Store *store = client_store(b->client);
        g_autofree char *text = NULL;
        SeriesPolicy policy;
        OpError why;
        int r;

        r = read_policy(b, p, w, &policy, error);
        if (r < 0)
                return r;
        r = samples_configure(client_dm(b->client), p, &policy, &why);
        if (r < 0)
                return bus_error(error, r, "%s", why.text);
        text = series_policy_format(&policy);
        r = store ? remember(store, SAMPLES_BLOB, p, text) : 0;
        return r < 0 ? bus_error(error, r, "%s: is cached, but only until the daemon ends: %m",
                                 PATH_TEXT(p))
                     : 0;
}

/* --- the disk --- */
static int configure_persist(Bus *b, const Path *p, const char *text, sd_bus_error *error) {
        Series *series = dm_series(client_dm(b->client));
        Store *store = client_store(b->client);
        Persist policy;
        int r;

        if (!store)
                return bus_error(error, -ENOTSUP, "This daemon keeps nothing on disk");
        if (persist_from_name(text, &policy) < 0)
                return bus_error_named(error, ERROR_PREFIX "InvalidOption",
                                       "persist: '%s' is not default, always, server-writes or "
                                       "never",
                                       text);
        r = store_set_policy(store, p, policy);
        if (r >= 0 && series)
                r = series_kept_changed(series, p);
        if (r >= 0)
                r = remember(store, STORE_PERSIST_BLOB, p, text);
        return r < 0 ? bus_error(error, r, "%s: %m", PATH_TEXT(p)) : 0;
}

int method_configure(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Bus *b = userdata;
        Wanted w = { .cache = UINT32_MAX };
        const Option options[] = { { "persist", OPTION_TEXT, &w.persist },
                                   { "cache", OPTION_U32, &w.cache },
                                   { "cache_full", OPTION_TEXT, &w.cache_full },
                                   { "cache_read", OPTION_TEXT, &w.cache_read },
                                   { NULL } };
        bool cache;
        Path p;
        int r;

        r = path_argument(m, &p, 0, 4, error);
        if (r >= 0)
                r = check_access(m, &p, true, error);
        if (r >= 0)
                r = options_read(m, options, error);
        if (r < 0)
                return r;
        cache = w.cache != UINT32_MAX || w.cache_full || w.cache_read;
        if (!w.persist && !cache)
                return bus_error_named(error, ERROR_PREFIX "InvalidOption",
                                       "Configure needs an option (persist, cache, cache_full, "
                                       "cache_read)");
        /* First, for it is refused more often, and what is cached from now on is kept at once. */
        if (cache)
                r = configure_cache(b, &p, &w, error);
        if (r >= 0 && w.persist)
                r = configure_persist(b, &p, w.persist, error);
        return r < 0 ? r : reply_ok(m);
}
