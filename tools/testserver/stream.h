/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The tool's CoAP over TCP and TLS (RFC 8323), in place of its UDP socket: connections, signalling
 * and frames. Messages go up and come down as datagrams of type NON, so that the rest of the tool
 * knows no difference: their type and message id mean nothing on the wire. */
#include "server.h"

typedef struct StreamConfig {    /* NULL and 0: without, or the default */
        uint32_t max_message;    /* what the CSM says (65536) */
        gboolean no_blocks;      /* … and leaves out */
        gboolean no_csm;         /* says nothing at all */
        char *psk;               /* IDENTITY:HEX: TLS with a pre-shared key */
        char *certificate, *key; /* PEM files: TLS with certificates */
        char *authority;         /* PEM file: clients must have one of it */
        char *ciphers;           /* in OpenSSL's names */
        gboolean tickets;        /* sessions are kept by the clients, not here */
        gboolean no_alpn;
} StreamConfig;

/* The config is borrowed while the server lives. */
int streams_open(Server *s, const StreamConfig *config, const char *address, uint16_t *ret_port);
void streams_clear(Server *s);

/* A message as for UDP; an empty one is swallowed. raw: bytes as they are. */
void streams_send(Server *s, const Address *to, GBytes *bytes, bool raw);
/* The largest payload of one block the peer takes, in bytes: 1024, or more with BERT. */
unsigned streams_block_size(Server *s, const Address *to);
/* "fin": closed; "rst": with a reset; "release" and "abort": with that message before. -EINVAL for
 * another, -ENOENT without such a connection. */
int streams_disconnect(Server *s, const Address *to, const char *how);
/* A Ping; its Pong is an event. -ENOENT without such a connection. */
int streams_ping(Server *s, const Address *to);
