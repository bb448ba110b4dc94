/* SPDX-License-Identifier: Apache-2.0 */
#include "coap/dedup.h"

typedef struct Entry {
        GList node;
        uint64_t fingerprint, expires_usec;
        void *owner;
        GBytes *answer;
        uint16_t mid;
        uint8_t list;
} Entry;

/* Entries are in order of age within each list; pending ones are bounded by the caller's own limit
 * of open exchanges and are never dropped for room. */
enum { LIST_PENDING, LIST_SAFE, LIST_OTHER, N_LISTS };

struct Dedup {
        DedupLimits limits;
        GHashTable *by_mid;
        GQueue lists[N_LISTS];
        size_t bytes[N_LISTS];
};

Dedup *dedup_new(const DedupLimits *limits) {
        Dedup *d = g_new0(Dedup, 1);

        d->limits = *limits;
        d->by_mid = g_hash_table_new(g_direct_hash, g_direct_equal);
        return d;
}

static Entry *find(const Dedup *d, uint16_t mid) {
        return g_hash_table_lookup(d->by_mid, GUINT_TO_POINTER(mid));
}

static void leave_list(Dedup *d, Entry *e) {
        g_queue_unlink(&d->lists[e->list], &e->node);
        if (e->answer)
                d->bytes[e->list] -= g_bytes_get_size(e->answer);
}

static void drop(Dedup *d, Entry *e) {
        leave_list(d, e);
        g_hash_table_remove(d->by_mid, GUINT_TO_POINTER(e->mid));
        g_clear_pointer(&e->answer, g_bytes_unref);
        g_free(e);
}

Dedup *dedup_free(Dedup *d) {
        if (!d)
                return NULL;
        for (unsigned i = 0; i < N_LISTS; i++)
                while (d->lists[i].head)
                        drop(d, d->lists[i].head->data);
        g_hash_table_unref(d->by_mid);
        g_free(d);
        return NULL;
}

static void add(Dedup *d, uint16_t mid, uint64_t fingerprint, uint64_t expires_usec) {
        Entry *e = g_new0(Entry, 1);

        e->mid = mid;
        e->fingerprint = fingerprint;
        e->expires_usec = expires_usec;
        e->list = LIST_PENDING;
        e->node.data = e;
        g_queue_push_tail_link(&d->lists[LIST_PENDING], &e->node);
        g_hash_table_insert(d->by_mid, GUINT_TO_POINTER(mid), e);
}

DedupState dedup_look(Dedup *d, uint16_t mid, uint64_t fingerprint, bool confirmable,
                      uint64_t now_usec, void **ret_owner, GBytes **ret_answer) {
        uint64_t lifetime = confirmable ? DEDUP_EXCHANGE_LIFETIME_USEC : DEDUP_NON_LIFETIME_USEC;
        Entry *e = find(d, mid);

        *ret_owner = NULL;
        *ret_answer = NULL;
        if (e && (e->fingerprint != fingerprint || e->expires_usec <= now_usec)) {
                drop(d, e);
                e = NULL;
        }
        if (!e) {
                add(d, mid, fingerprint, now_usec + lifetime);
                return DEDUP_NEW;
        }
        if (e->list == LIST_PENDING) {
                *ret_owner = e->owner;
                return DEDUP_PENDING;
        }
        *ret_answer = e->answer;
        return DEDUP_ANSWERED;
}

void dedup_own(Dedup *d, uint16_t mid, void *owner) {
        Entry *e = find(d, mid);

        if (e && e->list == LIST_PENDING)
                e->owner = owner;
}

static void make_room(Dedup *d, unsigned list) {
        while (d->lists[list].length > d->limits.entries_max ||
               d->bytes[list] > d->limits.bytes_max)
                drop(d, d->lists[list].head->data);
}

void dedup_answer(Dedup *d, uint16_t mid, const void *owner, bool safe, const void *answer,
                  size_t n) {
        Entry *e = find(d, mid);
        unsigned list = safe ? LIST_SAFE : LIST_OTHER;

        if (!e || e->list != LIST_PENDING || e->owner != owner)
                return; /* the peer has reused the message id meanwhile */
        leave_list(d, e);
        e->owner = NULL;
        e->list = (uint8_t) list;
        if (n > 0) {
                e->answer = g_bytes_new(answer, n);
                d->bytes[list] += n;
        }
        g_queue_push_tail_link(&d->lists[list], &e->node);
        make_room(d, list);
}

void dedup_forget(Dedup *d, uint16_t mid) {
        Entry *e = find(d, mid);

        if (e)
                drop(d, e);
}

uint64_t dedup_expire(Dedup *d, uint64_t now_usec) {
        uint64_t next = UINT64_MAX;

        for (unsigned i = LIST_SAFE; i < N_LISTS; i++) {
                while (d->lists[i].head &&
                       ((Entry *) d->lists[i].head->data)->expires_usec <= now_usec)
                        drop(d, d->lists[i].head->data);
                if (d->lists[i].head)
                        next = MIN(next, ((Entry *) d->lists[i].head->data)->expires_usec);
        }
        return next;
}

unsigned dedup_count(const Dedup *d) {
        return g_hash_table_size(d->by_mid);
}

size_t dedup_bytes(const Dedup *d) {
        return d->bytes[LIST_SAFE] + d->bytes[LIST_OTHER];
}
