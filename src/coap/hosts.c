/* SPDX-License-Identifier: Apache-2.0 */
#include "coap/hosts.h"

#include <glib.h>
#include <netinet/in.h>
#include <string.h>

typedef struct Host {
        Address last; /* where it was heard; n is 0 if nowhere yet */
        unsigned n_silent;
        bool mute;
} Host;

struct Hosts {
        GHashTable *by_name;
};

Hosts *hosts_new(void) {
        Hosts *h = g_new0(Hosts, 1);

        h->by_name = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
        return h;
}

Hosts *hosts_free(Hosts *h) {
        if (h)
                g_hash_table_unref(h->by_name);
        g_free(h);
        return NULL;
}

static Host *find(const Hosts *h, const char *host) {
        return g_hash_table_lookup(h->by_name, host);
}

static Host *get(Hosts *h, const char *host) {
        Host *found = find(h, host);

        if (found)
                return found;
        if (g_hash_table_size(h->by_name) >= HOSTS_MAX)
                g_hash_table_remove_all(h->by_name);
        found = g_new0(Host, 1);
        g_hash_table_insert(h->by_name, g_strdup(host), found);
        return found;
}

/* Whatever the port: one host may be several servers. */
static bool same_address(const struct sockaddr *a, const struct sockaddr *b) {
        const struct sockaddr_in *a4 = (const void *) a, *b4 = (const void *) b;
        const struct sockaddr_in6 *a6 = (const void *) a, *b6 = (const void *) b;

        if (a->sa_family != b->sa_family)
                return false;
        if (a->sa_family == AF_INET)
                return a4->sin_addr.s_addr == b4->sin_addr.s_addr;
        return a->sa_family == AF_INET6 && IN6_ARE_ADDR_EQUAL(&a6->sin6_addr, &b6->sin6_addr) &&
               a6->sin6_scope_id == b6->sin6_scope_id;
}

static void prefer(Address *list, unsigned n, const Address *first) {
        for (unsigned i = 0; i < n; i++)
                if (same_address((const struct sockaddr *) &list[i].v,
                                 (const struct sockaddr *) &first->v)) {
                        const Address found = list[i];

                        memmove(&list[1], &list[0], i * sizeof(list[0]));
                        list[0] = found;
                        return;
                }
}

/* From a on, the first that is of that family, or of another. */
static const struct addrinfo *skip_to(const struct addrinfo *a, int family, bool same) {
        while (a && (a->ai_family == family) != same)
                a = a->ai_next;
        return a;
}

/* The two families in turn: a whole one may lead nowhere (RFC 8305, section 4). */
static unsigned take(const struct addrinfo *list, Address ret[static ADDRESSES_MAX]) {
        const int family = list ? list->ai_family : AF_UNSPEC;
        const struct addrinfo *next[] = { list, skip_to(list, family, false) };
        unsigned n = 0;

        for (unsigned turn = 0; n < ADDRESSES_MAX && (next[0] || next[1]); turn ^= 1) {
                const struct addrinfo *a = next[turn];

                if (!a)
                        continue;
                ret[n] = (Address){ .n = MIN(a->ai_addrlen, (socklen_t) sizeof(ret[n].v)) };
                memcpy(&ret[n].v, a->ai_addr, ret[n].n);
                n++;
                next[turn] = skip_to(a->ai_next, family, turn == 0);
        }
        return n;
}

unsigned hosts_order(const Hosts *h, const char *host, const struct addrinfo *list,
                     Address ret[static ADDRESSES_MAX]) {
        const Host *known = host ? find(h, host) : NULL;
        Address all[ADDRESSES_MAX];
        unsigned n = take(list, all);

        if (known && known->last.n > 0)
                prefer(all, n, &known->last);
        for (unsigned i = 0; i < n; i++)
                ret[i] = all[(i + (known ? known->n_silent : 0)) % n];
        return n;
}

void hosts_heard(Hosts *h, const char *host, const Address *at, bool mute) {
        *get(h, host) = (Host){ .last = *at, .mute = mute };
}

void hosts_suggest(Hosts *h, const char *host, const char *address) {
        static const struct addrinfo hints = { .ai_flags = AI_NUMERICHOST,
                                               .ai_socktype = SOCK_DGRAM };
        struct addrinfo *list;
        Address at;

        if (find(h, host) || getaddrinfo(address, NULL, &hints, &list) != 0)
                return;
        at = (Address){ .n = MIN(list->ai_addrlen, (socklen_t) sizeof(at.v)) };
        memcpy(&at.v, list->ai_addr, at.n);
        hosts_heard(h, host, &at, false);
        freeaddrinfo(list);
}

void hosts_silent(Hosts *h, const char *host) {
        get(h, host)->n_silent++;
}

bool hosts_is_mute(const Hosts *h, const char *host) {
        const Host *known = find(h, host);

        return known && known->mute && known->n_silent == 0;
}
