/* SPDX-License-Identifier: Apache-2.0 */
#include "lwm2m/dm/keeper.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "util/log.h"
#include "util/parse.h"

#define PAIR 16 /* bytes of an entry of the blob of what was sent: id, hash */

struct Keeper {
        Store *store;
        Peer *peer;
        uint16_t ssid;
        uint32_t run;
        bool open; /* on disk */
        bool loaded;
        bool pending; /* the peer has something to put */
        bool urgent;
        Timer *timer;
        uint64_t due_usec; /* of the writing; 0: to be found when the timer runs */
};

/* --- names and marks --- */

static char *observation_prefix(const Keeper *k) {
        return g_strdup_printf("observation-%u-", k->ssid);
}

static char *mark_name(const Keeper *k) {
        return g_strdup_printf("observing-%u", k->ssid);
}

static char *sent_name(const Keeper *k) {
        return g_strdup_printf("notified-%u", k->ssid);
}

/* run, open */
static int put_mark(Keeper *k) {
        g_autofree char *name = mark_name(k), *text = NULL;

        text = g_strdup_printf("%" PRIu32 " %d", k->run, k->open);
        return store_put_blob(k->store, name, text, strlen(text));
}

static void load_mark(Keeper *k) {
        g_autofree char *name = mark_name(k), *text = NULL;
        g_autoptr(GBytes) blob = NULL;
        unsigned long run;
        char *end;

        if (store_get_blob(k->store, name, &blob) < 0)
                return;
        text = g_strndup(g_bytes_get_data(blob, NULL), g_bytes_get_size(blob));
        run = strtoul(text, &end, 10);
        k->run = (uint32_t) run;
        k->open = strcmp(end, " 0") != 0;
}

static void warn(const Keeper *k, int error, const char *what) {
        log_full(LOG_LEVEL_WARNING, error, &(LogFields){ .ssid = k->ssid }, "%s: %m", what);
}

/* --- writing --- */

static void put_observation(void *userdata, uint64_t id, GBytes *bytes) {
        g_autofree char *prefix = NULL, *name = NULL;
        Keeper *k = userdata;
        int r;

        prefix = observation_prefix(k);
        name = g_strdup_printf("%s%016" PRIx64, prefix, id);
        r = store_put_blob(k->store, name, bytes ? g_bytes_get_data(bytes, NULL) : NULL,
                           bytes ? g_bytes_get_size(bytes) : 0);
        if (r < 0)
                warn(k, r, "Cannot keep an observation");
}

void keeper_flush(Keeper *k) {
        if (!k->store || !k->pending)
                return;
        peer_save_observations(k->peer, put_observation, k);
        k->pending = k->urgent = k->open = false;
        timer_disarm(k->timer);
        (void) put_mark(k);
}

static void on_timer(void *userdata, uint64_t now_usec) {
        Keeper *k = userdata;
        int r;

        if (k->due_usec == 0)
                k->due_usec = now_usec + (k->urgent ? KEEPER_BURST_USEC : KEEPER_LATER_USEC);
        if (now_usec < k->due_usec) {
                timer_arm(k->timer, k->due_usec);
                return;
        }
        keeper_flush(k);
        r = store_sync(k->store);
        if (r < 0)
                warn(k, r, "Cannot keep the observations, a restart may register anew");
}

static void begin_burst(Keeper *k) {
        int r;

        k->urgent = true;
        if (k->open)
                return;
        k->open = true;
        r = put_mark(k);
        if (r >= 0)
                r = store_sync(k->store);
        if (r < 0)
                warn(k, r, "Cannot note a new observation, a restart may forget it");
}

static void on_unsaved(void *userdata, bool began) {
        Keeper *k = userdata;

        if (!k->pending || (began && !k->urgent)) {
                k->due_usec = 0;
                timer_arm(k->timer, 0);
        }
        k->pending = true;
        if (began)
                begin_burst(k);
}

static void add_pair(void *userdata, uint64_t id, uint64_t digest) {
        const uint64_t pair[] = { GUINT64_TO_BE(id), GUINT64_TO_BE(digest) };

        g_byte_array_append(userdata, (const uint8_t *) pair, PAIR);
}

void keeper_flush_last(Keeper *k) {
        g_autoptr(GByteArray) pairs = g_byte_array_new();
        g_autofree char *name = sent_name(k);
        int r;

        if (!k->store)
                return;
        keeper_flush(k);
        peer_foreach_notified(k->peer, add_pair, pairs);
        r = store_put_blob(k->store, name, pairs->len > 0 ? pairs->data : NULL, pairs->len);
        if (r < 0)
                warn(k, r, "Cannot keep what was sent last");
}

/* --- reading --- */

typedef struct Restoring {
        Keeper *keeper;
        GHashTable *sent; /* id -> hash */
        GPtrArray *bad;   /* names */
        size_t prefix;
        uint64_t settled_usec, now_usec;
        unsigned n;
} Restoring;

static GHashTable *load_sent(const Keeper *k) {
        g_autofree char *name = sent_name(k);
        g_autoptr(GBytes) blob = NULL;
        GHashTable *sent = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, g_free);
        const uint8_t *data;
        gsize n;

        if (store_get_blob(k->store, name, &blob) < 0)
                return sent;
        data = g_bytes_get_data(blob, &n);
        for (; n >= PAIR; n -= PAIR, data += PAIR) {
                uint64_t pair[2];

                memcpy(pair, data, PAIR);
                pair[0] = GUINT64_FROM_BE(pair[0]);
                pair[1] = GUINT64_FROM_BE(pair[1]);
                g_hash_table_insert(sent, g_memdup2(&pair[0], sizeof(uint64_t)),
                                    g_memdup2(&pair[1], sizeof(uint64_t)));
        }
        return sent;
}

static void restore_one(void *userdata, const char *name, GBytes *blob) {
        Restoring *x = userdata;
        const uint64_t *hash;
        uint64_t id;
        char *end;
        int r;

        id = g_ascii_strtoull(name + x->prefix, &end, 16);
        hash = g_hash_table_lookup(x->sent, &id);
        r = *end ? -EBADMSG
                 : peer_restore_observation(x->keeper->peer, id, blob, hash ? *hash : 0,
                                            x->settled_usec, x->now_usec);
        if (r < 0) {
                warn(x->keeper, r, "A kept observation cannot be used, dropping it");
                g_ptr_array_add(x->bad, g_strdup(name));
        } else
                x->n++;
}

unsigned keeper_restore(Keeper *k, uint64_t settled_usec, uint64_t now_usec) {
        g_autoptr(GPtrArray) bad = g_ptr_array_new_with_free_func(g_free);
        g_autofree char *prefix = observation_prefix(k), *name = sent_name(k);
        g_autoptr(GHashTable) sent = NULL;
        Restoring x = { .keeper = k,
                        .bad = bad,
                        .prefix = strlen(prefix),
                        .settled_usec = settled_usec,
                        .now_usec = now_usec };
        int r = 0;

        if (!k->store || k->loaded)
                return 0;
        k->loaded = true;
        x.sent = sent = load_sent(k);
        store_foreach_blob(k->store, prefix, restore_one, &x);
        for (guint i = 0; i < bad->len; i++)
                (void) store_put_blob(k->store, bad->pdata[i], NULL, 0);
        if (x.n == 0 && bad->len == 0 && !k->open)
                return 0;
        /* What was sent last is true for this start alone: from here on more is sent. */
        (void) store_put_blob(k->store, name, NULL, 0);
        k->open = false;
        r = put_mark(k);
        if (r >= 0)
                r = store_sync(k->store);
        if (r < 0)
                warn(k, r, "Cannot note that the observations go on");
        return x.n;
}

/* --- life --- */

static void collect_name(void *userdata, const char *name, GBytes *blob) {
        g_ptr_array_add(userdata, g_strdup(name));
}

void keeper_forget(Keeper *k) {
        g_autofree char *prefix = observation_prefix(k), *mark = mark_name(k), *sent = sent_name(k);
        g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);

        peer_keep_observations(k->peer, k->run, NULL, NULL);
        timer_disarm(k->timer);
        k->pending = false;
        if (!k->store)
                return;
        store_foreach_blob(k->store, prefix, collect_name, names);
        for (guint i = 0; i < names->len; i++)
                (void) store_put_blob(k->store, names->pdata[i], NULL, 0);
        (void) store_put_blob(k->store, mark, NULL, 0);
        (void) store_put_blob(k->store, sent, NULL, 0);
}

bool keeper_is_open(const Keeper *k) {
        return k->open;
}

Keeper *keeper_new(Store *store, TimerQueue *timers, Peer *peer, uint16_t ssid) {
        Keeper *k = g_new0(Keeper, 1);

        k->store = store;
        k->peer = peer;
        k->ssid = ssid;
        k->timer = timer_new(timers, on_timer, k);
        if (!store)
                return k;
        load_mark(k);
        k->run++;
        peer_keep_observations(peer, k->run, on_unsaved, k);
        return k;
}

Keeper *keeper_free(Keeper *k) {
        if (!k)
                return NULL;
        timer_free(k->timer);
        g_free(k);
        return NULL;
}
