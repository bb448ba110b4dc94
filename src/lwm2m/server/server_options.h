/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What no object holds of a server: how to sleep in queue mode, and how its socket is to be. It
 * stands in the configuration, for the account with its Short Server ID, whoever made that. */
#include <stddef.h>

#include "lwm2m/server/awake.h"
#include "lwm2m/transport.h"

typedef struct ServerOptions {
        uint16_t ssid;
        bool has_queue_mode, queue_mode; /* has: in place of the client's and of 1/x/7 */
        AwakeConfig awake;
        SocketOptions socket;
} ServerOptions;

SocketOptions socket_options_copy(const SocketOptions *o);
void socket_options_clear(SocketOptions *o);
ServerOptions *server_options_copy(const ServerOptions *o, size_t n);
void server_options_free(ServerOptions *o, size_t n);
/* NULL when there is nothing about it. */
const ServerOptions *server_options_find(const ServerOptions *o, size_t n, uint16_t ssid);
