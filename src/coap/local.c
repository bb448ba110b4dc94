/* SPDX-License-Identifier: Apache-2.0 */
#include "coap/local.h"

#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>

#include "coap/peek.h"
#include "util/cleanup.h"

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

void local_set(Link *l, const SocketOptions *options) {
        l->socket = *options;
        l->socket.bind = g_strdup(options->bind);
        l->socket.interface = g_strdup(options->interface);
}

void local_clear(Link *l) {
        g_free((char *) l->socket.bind);
        g_free((char *) l->socket.interface);
        g_free(l->socket_error_text);
}

static int refuse(Link *l, int error, const char *format, ...) G_GNUC_PRINTF(3, 4);
static int refuse(Link *l, int error, const char *format, ...) {
        va_list ap;

        g_free(l->socket_error_text);
        va_start(ap, format);
        l->socket_error_text = g_strdup_vprintf(format, ap);
        va_end(ap);
        l->socket_error = error;
        return error;
}

/* --- the address --- */

static const char *family_name(int family) {
        return family == AF_INET6 ? "IPv6" : "IPv4";
}

static uint16_t *port_of(struct sockaddr *a) {
        switch (a->sa_family) {
        case AF_INET:
                return &((struct sockaddr_in *) (void *) a)->sin_port;
        case AF_INET6:
                return &((struct sockaddr_in6 *) (void *) a)->sin6_port;
        default:
                return NULL;
        }
}

static bool is_link_local(const struct sockaddr *a) {
        return a->sa_family == AF_INET6 &&
               IN6_IS_ADDR_LINKLOCAL(&((const struct sockaddr_in6 *) (const void *) a)->sin6_addr);
}

static void set_address(coap_address_t *to, const struct sockaddr *from) {
        to->size = from->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6)
                                               : sizeof(struct sockaddr_in);
        memcpy(&to->addr, from, to->size);
}

/* libcoap would not say what is wrong with it. */
static int try_address(Link *l, const coap_address_t *a) {
        autoclose int fd = socket(a->addr.sa.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);

        if (fd >= 0 && bind(fd, &a->addr.sa, a->size) < 0)
                return refuse(l, -errno, "Bind=%s: %s", l->socket.bind, g_strerror(errno));
        return 1;
}

static int bind_address(Link *l, const struct sockaddr *remote, coap_address_t *ret) {
        static const struct addrinfo hints = { .ai_socktype = SOCK_DGRAM,
                                               .ai_flags = AI_NUMERICHOST };
        struct addrinfo *found;

        if (getaddrinfo(l->socket.bind, NULL, &hints, &found) != 0)
                return refuse(l, -EINVAL, "Bind=%s: not an address", l->socket.bind);
        if (found->ai_family != remote->sa_family) {
                freeaddrinfo(found);
                return refuse(l, -EAFNOSUPPORT, "Bind=%s: the server has no %s address",
                              l->socket.bind,
                              family_name(remote->sa_family == AF_INET ? AF_INET6 : AF_INET));
        }
        set_address(ret, found->ai_addr);
        freeaddrinfo(found);
        return try_address(l, ret);
}

/* The system would choose an address that fits its route, which may be that of another interface.
 */
static int interface_address(Link *l, const struct sockaddr *remote, coap_address_t *ret) {
        const char *name = l->socket.interface;
        struct ifaddrs *all;
        bool found = false;

        if (if_nametoindex(name) == 0)
                return refuse(l, -ENODEV, "Interface=%s: there is no such interface", name);
        if (getifaddrs(&all) < 0)
                return refuse(l, -errno, "Interface=%s: %s", name, g_strerror(errno));
        for (const struct ifaddrs *i = all; i && !found; i = i->ifa_next) {
                found = i->ifa_addr && strcmp(i->ifa_name, name) == 0 &&
                        i->ifa_addr->sa_family == remote->sa_family &&
                        is_link_local(i->ifa_addr) == is_link_local(remote);
                if (found)
                        set_address(ret, i->ifa_addr);
        }
        freeifaddrs(all);
        return found ? 1
                     : refuse(l, -EADDRNOTAVAIL, "Interface=%s: it has no %s address", name,
                              family_name(remote->sa_family));
}

static Kept *kept(const Link *l) {
        if (l->aside || l->tcp)
                return NULL;
        return g_hash_table_lookup(l->transport->ports->by_ssid, GUINT_TO_POINTER(l->ssid));
}

int local_address(Link *l, const struct sockaddr *remote, coap_address_t *ret) {
        const Kept *k = kept(l);
        uint16_t *port;
        int r = 0;

        coap_address_init(ret);
        memset(&ret->addr, 0, sizeof(ret->addr));
        if (!port_of((struct sockaddr *) remote))
                return 0;
        if (l->socket.bind)
                r = bind_address(l, remote, ret);
        else if (l->socket.interface)
                r = interface_address(l, remote, ret);
        if (r < 0 || (r == 0 && !k))
                return r;
        if (r == 0) {
                ret->addr.sa.sa_family = remote->sa_family;
                ret->size = remote->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6)
                                                          : sizeof(struct sockaddr_in);
        }
        port = port_of(&ret->addr.sa);
        if (k && port)
                *port = k->port;
        return 1;
}

void local_clear_port(coap_address_t *a) {
        uint16_t *port = port_of(&a->addr.sa);

        if (port)
                *port = 0;
}

/* --- socket options --- */

static int set_dscp(Link *l, int fd, int family) {
        int tos = l->socket.dscp << 2;
        int r = family == AF_INET6 ? setsockopt(fd, IPPROTO_IPV6, IPV6_TCLASS, &tos, sizeof(tos))
                                   : setsockopt(fd, IPPROTO_IP, IP_TOS, &tos, sizeof(tos));

        return r < 0 ? refuse(l, -errno, "Dscp=%u: %s", l->socket.dscp, g_strerror(errno)) : 0;
}

static int set_mark(Link *l, int fd) {
        if (setsockopt(fd, SOL_SOCKET, SO_MARK, &l->socket.mark, sizeof(l->socket.mark)) < 0)
                return refuse(l, -errno, "Mark=0x%x: %s%s", l->socket.mark, g_strerror(errno),
                              errno == EPERM ? " (it takes CAP_NET_ADMIN)" : "");
        return 0;
}

static int set_interface(Link *l, int fd) {
        const char *name = l->socket.interface;

        if (setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, name, (socklen_t) strlen(name) + 1) < 0)
                return refuse(l, -errno, "Interface=%s: %s", name, g_strerror(errno));
        return 0;
}

int local_apply_to(Link *l, int fd, int family) {
        const SocketOptions *o = &l->socket;
        int r = 0;

        if (o->interface)
                r = set_interface(l, fd);
        if (r >= 0 && o->mark)
                r = set_mark(l, fd);
        if (r >= 0 && o->dscp)
                r = set_dscp(l, fd, family);
        return r;
}

int local_apply(Link *l, const coap_session_t *session) {
        const SocketOptions *o = &l->socket;
        int fd;

        if (!o->interface && !o->mark && !o->dscp)
                return 0;
        fd = peek_find_socket(session, -1);
        if (fd < 0)
                return refuse(l, -EBADF, "Interface=, Mark= and Dscp=: the socket is not found");
        return local_apply_to(l, fd, coap_session_get_addr_remote(session)->addr.sa.sa_family);
}

/* --- the port of a link before --- */

static uint16_t local_port(const Link *l) {
        const coap_address_t *a = l->session ? coap_session_get_addr_local(l->session) : NULL;
        const uint16_t *port = a ? port_of((struct sockaddr *) &a->addr.sa) : NULL;

        return port ? *port : 0;
}

/* A server with security goes by the credentials; and few like a new handshake from the port of an
 * old association (RFC 6347, section 4.2.8). */
static bool has_place(const Link *l) {
        return !l->aside && l->session && !l->secure && !l->tcp && local_port(l) != 0;
}

/* What another process has sent from the port since it was noted is not known, and the server would
 * take a message id seen within EXCHANGE_LIFETIME for a repetition. So where ids go on depends on
 * the clock, which goes around them in 262 s: ahead of all that was sent at fewer than 250 messages
 * a second, but for a burst, and however often processes were killed. */
#define MID_USEC (4 * USEC_PER_MSEC)
#define MID_BURST 64

static uint16_t clock_mid(const Link *l) {
        return (uint16_t) (link_now(l) / MID_USEC);
}

LinkPlace local_place(const Link *l) {
        LinkPlace place = { 0 };

        if (has_place(l)) {
                place.port = ntohs(local_port(l));
                place.mid_lead = (uint16_t) (coap_new_message_id(l->session) - clock_mid(l));
        }
        if (l->host && l->address.n > 0 &&
            getnameinfo((const struct sockaddr *) &l->address.v, l->address.n, place.address,
                        sizeof(place.address), NULL, 0, NI_NUMERICHOST) != 0)
                place.address[0] = 0;
        return place;
}

void local_take_place(Link *l, const LinkPlace *place) {
        const Kept k = {
                .port = htons(place->port),
                .mid = (uint16_t) (clock_mid(l) + place->mid_lead + MID_BURST),
        };

        if (place->port > 0 && !l->aside && !l->tcp && !kept(l))
                g_hash_table_insert(l->transport->ports->by_ssid, GUINT_TO_POINTER(l->ssid),
                                    g_memdup2(&k, sizeof(k)));
}

void local_keep(Link *l) {
        Kept k;

        /* A port that has led to silence from the beginning is of no worth. */
        if (!has_place(l) || !(l->asleep || l->heard || l->inherited))
                return;
        k = (Kept){ .port = local_port(l), .mid = coap_new_message_id(l->session) };
        g_hash_table_replace(l->transport->ports->by_ssid, GUINT_TO_POINTER(l->ssid),
                             g_memdup2(&k, sizeof(k)));
}

bool local_forget_port(Link *l) {
        return !l->aside &&
               g_hash_table_remove(l->transport->ports->by_ssid, GUINT_TO_POINTER(l->ssid));
}

void local_continue(Link *l, uint16_t mid) {
        for (unsigned i = 0; i <= UINT16_MAX; i++)
                if (coap_new_message_id(l->session) == mid)
                        break;
}

void local_connected(Link *l) {
        const Kept *k = kept(l);

        l->inherited = k && local_port(l) == k->port;
        if (l->inherited)
                local_continue(l, k->mid);
        (void) local_forget_port(l);
}
