/* SPDX-License-Identifier: Apache-2.0 */
#include "lwm2m/server/session.h"

#include <errno.h>
#include <string.h>

#include "util/log.h"

#define DIGEST 32u
#define HEAD (DIGEST + sizeof(uint64_t)) /* before the session: digest, and seconds since 1970 */
#define NSEC_PER_SEC INT64_C(1000000000)
#define CLOCK_SET_SEC INT64_C(1735689600) /* 2025-01-01: a clock before it has not been set */

struct Session {
        Store *store;
        uint16_t ssid;
        bool certificates;
        uint8_t digest[DIGEST]; /* of what it is bound to */
        GBytes *session;
        int64_t since_sec; /* of the full handshake, wall clock */
        unsigned n_failures;
        char *cipher;
        bool resumed, cid;
};

static char *blob_name(const Session *s) {
        return g_strdup_printf("session-%u", s->ssid);
}

static void digest_bytes(GChecksum *sum, const void *data, size_t n) {
        uint64_t length = GUINT64_TO_BE((uint64_t) n);

        g_checksum_update(sum, (const guchar *) &length, sizeof(length));
        if (n > 0)
                g_checksum_update(sum, data, (gssize) n);
}

static void digest_account(const Account *a, uint8_t ret[static DIGEST]) {
        g_autoptr(GChecksum) sum = g_checksum_new(G_CHECKSUM_SHA256);
        const Credentials *c = a->enrolled ? a->enrolled : a->credentials;
        GBytes *const bytes[] = { c->identity, c->peer, c->secret };
        const uint8_t kinds[] = { (uint8_t) c->mode, c->matching, c->usage };
        gsize n = DIGEST;

        digest_bytes(sum, a->uri, strlen(a->uri));
        digest_bytes(sum, c->sni, c->sni ? strlen(c->sni) : 0);
        digest_bytes(sum, kinds, sizeof(kinds));
        digest_bytes(sum, c->suites, c->n_suites * sizeof(c->suites[0]));
        for (size_t i = 0; i < G_N_ELEMENTS(bytes); i++)
                digest_bytes(sum, g_bytes_get_data(bytes[i], NULL), g_bytes_get_size(bytes[i]));
        g_checksum_get_digest(sum, ret, &n);
}

static void save(Session *s) {
        g_autofree char *name = blob_name(s);
        gsize n = 0, size;
        const void *session = s->session ? g_bytes_get_data(s->session, &n) : NULL;
        uint64_t since = GUINT64_TO_BE((uint64_t) s->since_sec);
        g_autofree uint8_t *blob = NULL;
        int r;

        if (!s->store)
                return;
        size = HEAD + n;
        if (session) {
                blob = g_malloc(size);
                memcpy(blob, s->digest, DIGEST);
                memcpy(blob + DIGEST, &since, sizeof(since));
                memcpy(blob + HEAD, session, n);
        }
        r = store_put_blob(s->store, name, blob, blob ? size : 0);
        if (blob)
                explicit_bzero(blob, size);
        if (r < 0 && r != -ENOENT)
                log_at(LOG_LEVEL_WARNING, r, (&(LogFields){ .ssid = s->ssid }),
                       "Cannot keep the DTLS session, a restart will make a new one: %m");
}

static void load(Session *s) {
        g_autofree char *name = blob_name(s);
        g_autoptr(GBytes) blob = NULL;
        const uint8_t *data;
        uint64_t since;
        gsize n;

        if (!s->store || store_get_blob(s->store, name, &blob) < 0)
                return;
        data = g_bytes_get_data(blob, &n);
        if (n <= HEAD || memcmp(data, s->digest, DIGEST) != 0) {
                save(s); /* of other credentials: removes it */
                return;
        }
        memcpy(&since, data + DIGEST, sizeof(since));
        s->since_sec = (int64_t) GUINT64_FROM_BE(since);
        s->session = credentials_bytes(data + HEAD, n - HEAD);
}

Session *session_new(Store *store, const Account *account) {
        Session *s = g_new0(Session, 1);

        s->store = store;
        s->ssid = account->ssid;
        s->certificates = account->credentials->mode != SECURITY_MODE_PSK;
        s->cipher = g_strdup("");
        if (account->credentials->mode != SECURITY_MODE_NOSEC) {
                digest_account(account, s->digest);
                load(s);
        }
        return s;
}

Session *session_free(Session *s) {
        if (!s)
                return NULL;
        g_clear_pointer(&s->session, g_bytes_unref);
        g_free(s->cipher);
        g_free(s);
        return NULL;
}

static void drop(Session *s) {
        if (!s->session)
                return;
        g_clear_pointer(&s->session, g_bytes_unref);
        save(s);
}

void session_follow(Session *s, const Account *account) {
        uint8_t digest[DIGEST];

        if (account->credentials->mode == SECURITY_MODE_NOSEC)
                return;
        digest_account(account, digest);
        if (memcmp(digest, s->digest, DIGEST) == 0)
                return;
        memcpy(s->digest, digest, DIGEST);
        drop(s);
}

GBytes *session_to_resume(Session *s, int64_t wall_ns) {
        int64_t age = wall_ns / NSEC_PER_SEC - s->since_sec;

        /* A clock that went back says nothing of the age. */
        if (s->certificates && (age < 0 || age > SESSION_AGE_MAX_SEC))
                drop(s);
        return s->session;
}

bool session_ignores_dates(int64_t wall_ns, bool clockless) {
        return clockless && wall_ns / NSEC_PER_SEC < CLOCK_SET_SEC;
}

LinkConfig session_link_config(Session *s, const Account *account, int64_t wall_ns,
                               bool clockless) {
        return (LinkConfig){
                .uri = account->uri,
                .ssid = account->ssid,
                .credentials = account->enrolled ? account->enrolled : account->credentials,
                .session = session_to_resume(s, wall_ns),
                .ignore_dates = session_ignores_dates(wall_ns, clockless),
        };
}

void session_agreed(Session *s, const LinkSecurity *security, int64_t wall_ns) {
        log_with(LOG_LEVEL_DEBUG, (&(LogFields){ .ssid = s->ssid }), "%s handshake, %s",
                 security->resumed ? "short" : "full", security->cipher);
        g_free(s->cipher);
        s->cipher = g_strdup(security->cipher);
        s->resumed = security->resumed;
        s->cid = security->cid;
        s->n_failures = 0;
        if (!security->resumed)
                s->since_sec = wall_ns / NSEC_PER_SEC;
        if (s->session && security->session && g_bytes_equal(s->session, security->session))
                return;
        g_clear_pointer(&s->session, g_bytes_unref);
        if (security->session)
                s->session = g_bytes_ref(security->session);
        save(s);
}

void session_link_closed(Session *s, int failed) {
        g_free(s->cipher);
        s->cipher = g_strdup("");
        s->resumed = s->cid = false;
        if (failed == -ETIMEDOUT ? ++s->n_failures >= SESSION_FAILURES_MAX : failed < 0)
                drop(s);
}

void session_forget(Session *s) {
        drop(s);
        s->store = NULL; /* its name may be that of a successor from now on */
}

const char *session_cipher(const Session *s) {
        return s->cipher;
}

bool session_is_resumed(const Session *s) {
        return s->resumed;
}

bool session_has_cid(const Session *s) {
        return s->cid;
}
