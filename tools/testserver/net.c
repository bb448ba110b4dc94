/* SPDX-License-Identifier: Apache-2.0 */
#include "net.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int split(const char *text, char *host, size_t size, uint16_t *ret_port) {
        const char *colon = strrchr(text, ':');
        size_t length;
        char *end;
        long port;

        if (!colon || colon[1] < '0' || colon[1] > '9')
                return -EINVAL;
        port = strtol(colon + 1, &end, 10);
        if (*end != '\0' || port < 0 || port > UINT16_MAX)
                return -EINVAL;
        if (text[0] == '[' && colon[-1] == ']')
                text++, length = (size_t) (colon - text) - 1;
        else
                length = (size_t) (colon - text);
        if (length >= size)
                return -EINVAL;
        memcpy(host, text, length);
        host[length] = '\0';
        *ret_port = (uint16_t) port;
        return 0;
}

int address_parse(const char *text, int family, Address *ret) {
        char host[INET6_ADDRSTRLEN], mapped[INET6_ADDRSTRLEN + 8];
        struct sockaddr_in in = { .sin_family = AF_INET };
        struct sockaddr_in6 in6 = { .sin6_family = AF_INET6 };
        uint16_t port;
        int r;

        r = split(text, host, sizeof(host), &port);
        if (r < 0)
                return r;
        *ret = (Address){ 0 };
        if (family == AF_INET) {
                if (inet_pton(AF_INET, host, &in.sin_addr) != 1)
                        return -EINVAL;
                in.sin_port = htons(port);
                memcpy(&ret->storage, &in, sizeof(in));
                ret->length = sizeof(in);
                return 0;
        }
        g_snprintf(mapped, sizeof(mapped), "%s%s", strchr(host, ':') ? "" : "::ffff:", host);
        if (inet_pton(AF_INET6, mapped, &in6.sin6_addr) != 1)
                return -EINVAL;
        in6.sin6_port = htons(port);
        memcpy(&ret->storage, &in6, sizeof(in6));
        ret->length = sizeof(in6);
        return 0;
}

char *address_to_string(const Address *a) {
        char host[INET6_ADDRSTRLEN] = "";
        struct sockaddr_in6 in6;
        struct sockaddr_in in;

        if (a->storage.ss_family == AF_INET) {
                memcpy(&in, &a->storage, sizeof(in));
                inet_ntop(AF_INET, &in.sin_addr, host, sizeof(host));
                return g_strdup_printf("%s:%u", host, ntohs(in.sin_port));
        }
        memcpy(&in6, &a->storage, sizeof(in6));
        if (IN6_IS_ADDR_V4MAPPED(&in6.sin6_addr)) {
                inet_ntop(AF_INET, in6.sin6_addr.s6_addr + 12, host, sizeof(host));
                return g_strdup_printf("%s:%u", host, ntohs(in6.sin6_port));
        }
        inet_ntop(AF_INET6, &in6.sin6_addr, host, sizeof(host));
        return g_strdup_printf("[%s]:%u", host, ntohs(in6.sin6_port));
}

bool address_equal(const Address *a, const Address *b) {
        struct sockaddr_in6 a6, b6;
        struct sockaddr_in a4, b4;

        if (a->storage.ss_family != b->storage.ss_family)
                return false;
        if (a->storage.ss_family == AF_INET) {
                memcpy(&a4, &a->storage, sizeof(a4));
                memcpy(&b4, &b->storage, sizeof(b4));
                return a4.sin_port == b4.sin_port && a4.sin_addr.s_addr == b4.sin_addr.s_addr;
        }
        memcpy(&a6, &a->storage, sizeof(a6));
        memcpy(&b6, &b->storage, sizeof(b6));
        return a6.sin6_port == b6.sin6_port &&
               memcmp(&a6.sin6_addr, &b6.sin6_addr, sizeof(a6.sin6_addr)) == 0;
}

static int bind_to(const char *text, int type, int *ret_fd, int *ret_family, uint16_t *ret_port) {
        int family = text[0] == '[' ? AF_INET6 : AF_INET, size = 4 << 20, fd, r;
        Address a;

        r = address_parse(text, family, &a);
        if (r < 0)
                return r;
        fd = socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0)
                return -errno;
        if (family == AF_INET6)
                (void) setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &(int){ 0 }, sizeof(int));
        if (type == SOCK_DGRAM) /* helps bursts only */
                (void) setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
        else
                (void) setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){ 1 }, sizeof(int));
        if (bind(fd, (struct sockaddr *) &a.storage, a.length) < 0 ||
            (type == SOCK_STREAM && listen(fd, 64) < 0) ||
            getsockname(fd, (struct sockaddr *) &a.storage, &a.length) < 0) {
                r = -errno;
                close(fd);
                return r;
        }
        /* the port stands at the same place in both forms */
        *ret_port = ntohs(((struct sockaddr_in *) &a.storage)->sin_port);
        *ret_family = family;
        *ret_fd = fd;
        return 0;
}

int net_bind(const char *text, int *ret_fd, int *ret_family, uint16_t *ret_port) {
        return bind_to(text, SOCK_DGRAM, ret_fd, ret_family, ret_port);
}

int net_listen(const char *text, int *ret_fd, int *ret_family, uint16_t *ret_port) {
        return bind_to(text, SOCK_STREAM, ret_fd, ret_family, ret_port);
}
