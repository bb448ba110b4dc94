/* SPDX-License-Identifier: Apache-2.0 */
/* What of a server is kept on disk: its registration, and the lifetime its owner chose. */
#include <errno.h>
#include <string.h>

#include "lwm2m/server/server_internal.h"
#include "util/log.h"

char *server_blob_name(const Server *s) {
        return g_strdup_printf("registration-%u", s->account->ssid);
}

void server_save(Server *s, bool durable) {
        Store *store = s->env->parts->store;
        g_autofree char *name = server_blob_name(s);
        g_autoptr(GBytes) blob = NULL;
        int r;

        /* A retired server's name may already be that of its successor. */
        if (!store || !s->peer)
                return;
        blob = s->known ? registration_save(s->known) : NULL;
        r = store_put_blob(store, name, blob ? g_bytes_get_data(blob, NULL) : NULL,
                           blob ? g_bytes_get_size(blob) : 0);
        if (r >= 0 && durable)
                r = store_sync(store);
        if (r < 0)
                log_at(LOG_LEVEL_WARNING, r, (&(LogFields){ .ssid = s->account->ssid }),
                       "Cannot keep the registration, a restart will register anew: %m");
}

void server_flush(Server *s) {
        if (s->peer)
                keeper_flush(s->keeper);
}

void server_save_last(Server *s) {
        if (!s->peer || !s->known)
                return;
        backlog_flush(s->backlog);
        keeper_flush_last(s->keeper);
}

/* Whether an Update may follow on it: for us, there, not over, and not from the future. */
bool server_is_current(const Server *s, const Registration *kept) {
        Version fixed = s->env->config->version;
        int64_t now = server_wall_ns(s->env);

        return strcmp(kept->endpoint, s->env->endpoint) == 0 &&
               strcmp(kept->uri, s->account->uri) == 0 && now < kept->deadline_ns &&
               now >= kept->registered_ns &&
               (fixed.major == 0 || fixed.minor == kept->version.minor);
}

void server_show_known(Server *s) {
        g_autofree char *location = s->known ? registration_location(s->known) : g_strdup("");

        server_set_text(&s->location, location);
}

/* NULL: it can be gone on with. */
static const char *why_not(const Server *s, const Registration *kept) {
        if (!server_is_current(s, kept))
                return server_wall_ns(s->env) < kept->deadline_ns ? "started with other settings"
                                                                  : "lifetime passed";
        return keeper_is_open(s->keeper) ? "stopped before all was kept" : NULL;
}

static void take_kept(Server *s, Registration *kept /* taken over */, uint64_t now_usec) {
        uint64_t deadline = USEC_INFINITY, settled = now_usec + s->env->config->settle_usec;
        unsigned n;

        if (kept->deadline_ns != INT64_MAX)
                deadline =
                        now_usec + (uint64_t) (kept->deadline_ns - server_wall_ns(s->env)) / 1000;
        s->registered_ns = kept->registered_ns;
        rd_restore(s->rd, kept->version, deadline);
        s->known = kept;
        server_show_known(s);
        n = keeper_restore(s->keeper, settled, now_usec);
        backlog_restore(s->backlog);
        log_with(LOG_LEVEL_INFO, (&(LogFields){ .ssid = s->account->ssid }),
                 "going on with the registration at %s, %u observation%s", s->location, n,
                 n == 1 ? "" : "s");
}

void server_restore(Server *s, uint64_t now_usec) {
        Store *store = s->env->parts->store;
        g_autofree char *name = server_blob_name(s);
        const char *why = "restarted without the registration";
        g_autoptr(Registration) kept = NULL;
        g_autoptr(GBytes) blob = NULL;

        if (!store)
                return;
        if (store_get_blob(store, name, &blob) == 0)
                why = registration_load(blob, &kept) < 0 ? "damaged" : why_not(s, kept);
        if (!why) {
                take_kept(s, g_steal_pointer(&kept), now_usec);
                return;
        }
        (void) store_put_blob(store, name, NULL, 0);
        (void) keeper_restore(s->keeper, now_usec, now_usec);
        backlog_restore(s->backlog);
        peer_drop_observations(s->peer, why);
        keeper_flush(s->keeper);
}

/* --- the owner's lifetime --- kept beside the one in force, which the server may have raised */

char *server_owner_blob_name(const Server *s) {
        return g_strdup_printf("lifetime-%u", s->account->ssid);
}

void server_set_owner_lifetime(Server *s, uint32_t sec) {
        Store *store = s->env->parts->store;
        g_autofree char *name = server_owner_blob_name(s);
        uint32_t wire = GUINT32_TO_BE(sec);

        s->owner_lifetime_sec = sec;
        if (store)
                (void) store_put_blob(store, name, &wire, sizeof(wire));
}

void server_load_owner_lifetime(Server *s) {
        Store *store = s->env->parts->store;
        g_autofree char *name = server_owner_blob_name(s);
        g_autoptr(GBytes) blob = NULL;
        uint32_t wire;

        if (!store || store_get_blob(store, name, &blob) < 0 ||
            g_bytes_get_size(blob) != sizeof(wire)) {
                server_set_owner_lifetime(s, s->account->lifetime_sec);
                return;
        }
        memcpy(&wire, g_bytes_get_data(blob, NULL), sizeof(wire));
        s->owner_lifetime_sec = GUINT32_FROM_BE(wire);
}

void server_note_owner_lifetime(Server *s) {
        s->owner_lifetime = true;
}

/* 0 is for ever: longer than any other. */
uint32_t server_lifetime_min_sec(const Server *s) {
        uint32_t least = s->env->config->lifetime_sec;

        return s->owner_lifetime_sec > 0 && (least == 0 || s->owner_lifetime_sec < least)
                       ? s->owner_lifetime_sec
                       : least;
}
