/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Socket addresses as "192.0.2.1:5683" and "[2001:db8::1]:5683", and UDP sockets bound to them. An
 * IPv6 socket serves IPv4 peers too; their addresses are shown in the IPv4 form. */
#include <glib.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

typedef struct Address {
        struct sockaddr_storage storage;
        socklen_t length;
} Address;

/* `family` is that of the socket that will send there (AF_INET or AF_INET6). */
int address_parse(const char *text, int family, Address *ret);
char *address_to_string(const Address *a);
bool address_equal(const Address *a, const Address *b);

/* -EINVAL for text that is no address, else what socket() or bind() said. */
int net_listen(const char *text, int *ret_fd, int *ret_family, uint16_t *ret_port); /* TCP */
int net_bind(const char *text, int *ret_fd, int *ret_family, uint16_t *ret_port);
