/* SPDX-License-Identifier: Apache-2.0 */
#include "coap/local.h"

#include <string.h>

typedef struct Kept {
        uint16_t port; /* network order */
        uint16_t mid;  /* the last one used */
} Kept;

/* One for each Short Server ID at most, and an entry is taken by the next link. */
struct LocalPorts {
        GHashTable *by_ssid;
};

LocalPorts *local_ports_new(void) {
        LocalPorts *p = g_new0(LocalPorts, 1);

        p->by_ssid = g_hash_table_new_full(g_direct_hash, g_direct_equal, NULL, g_free);
        return p;
}

LocalPorts *local_ports_free(LocalPorts *p) {
        if (p)
                g_hash_table_unref(p->by_ssid);
        g_free(p);
        return NULL;
}

static uint16_t port_of(const coap_address_t *a) {
        switch (a->addr.sa.sa_family) {
        case AF_INET:
                return a->addr.sin.sin_port;
        case AF_INET6:
                return a->addr.sin6.sin6_port;
        default:
                return 0;
        }
}

static Kept *kept(const Link *l) {
        return g_hash_table_lookup(l->transport->ports->by_ssid, GUINT_TO_POINTER(l->ssid));
}

void local_keep(Link *l) {
        const coap_address_t *local = l->session ? coap_session_get_addr_local(l->session) : NULL;
        Kept k = { .port = local ? port_of(local) : 0 };

        /* A server with security goes by the credentials; and few like a new handshake from the
         * port of an old association (RFC 6347, section 4.2.8). */
        if (!l->asleep || l->secure || k.port == 0)
                return;
        k.mid = coap_new_message_id(l->session);
        g_hash_table_replace(l->transport->ports->by_ssid, GUINT_TO_POINTER(l->ssid),
                             g_memdup2(&k, sizeof(k)));
}

bool local_address(const Link *l, const struct sockaddr *remote, coap_address_t *ret) {
        const Kept *k = kept(l);

        if (!k)
                return false;
        coap_address_init(ret);
        memset(&ret->addr, 0, sizeof(ret->addr));
        ret->addr.sa.sa_family = remote->sa_family;
        if (remote->sa_family == AF_INET6) {
                ret->size = sizeof(ret->addr.sin6);
                ret->addr.sin6.sin6_port = k->port;
        } else {
                ret->size = sizeof(ret->addr.sin);
                ret->addr.sin.sin_port = k->port;
        }
        return true;
}

/* A server takes a message id of the same port, seen within EXCHANGE_LIFETIME, for a repetition. */
void local_connected(Link *l) {
        const Kept *k = kept(l);

        if (!k)
                return;
        if (port_of(coap_session_get_addr_local(l->session)) == k->port)
                for (unsigned i = 0; i <= UINT16_MAX; i++)
                        if (coap_new_message_id(l->session) == k->mid)
                                break;
        g_hash_table_remove(l->transport->ports->by_ssid, GUINT_TO_POINTER(l->ssid));
}
