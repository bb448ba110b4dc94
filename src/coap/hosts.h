/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What is known of servers that are named and have several addresses: which of them answered last,
 * and how often there was silence since. Addresses of one name are tried in that light. */
#include <netdb.h>
#include <stdbool.h>
#include <sys/socket.h>

#define ADDRESSES_MAX 8u /* of one name; more are not looked at */
#define HOSTS_MAX 256u   /* names that are remembered */

typedef struct Address {
        struct sockaddr_storage v;
        socklen_t n;
} Address;

typedef struct Hosts Hosts;

Hosts *hosts_new(void);
Hosts *hosts_free(Hosts *h);

/* The addresses in the order to try: the one that answered last, then as the resolver has them,
 * with the two families in turn. For each time of silence since, the first has gone to the end. How
 * many. */
unsigned hosts_order(const Hosts *h, const char *host, const struct addrinfo *list,
                     Address ret[static ADDRESSES_MAX]);
/* One of them was used, and the server was heard there, or not. mute: it answers no probes, which
 * were sent before. */
void hosts_heard(Hosts *h, const char *host, const Address *at, bool mute);
void hosts_silent(Hosts *h, const char *host);
/* It was met at that address (text, without a port) before this process: begin there. Of one that
 * is known this says nothing new; nor does what is no address. */
void hosts_suggest(Hosts *h, const char *host, const char *address);
/* The server has answered before, but probes never: these only cost time. */
bool hosts_is_mute(const Hosts *h, const char *host);
