/* SPDX-License-Identifier: Apache-2.0 */
#include "lwm2m/server/server_options.h"

SocketOptions socket_options_copy(const SocketOptions *o) {
        SocketOptions copy = *o;

        copy.bind = g_strdup(o->bind);
        copy.interface = g_strdup(o->interface);
        return copy;
}

void socket_options_clear(SocketOptions *o) {
        g_free((char *) o->bind);
        g_free((char *) o->interface);
        *o = (SocketOptions){ .bind = NULL };
}

ServerOptions *server_options_copy(const ServerOptions *o, size_t n) {
        ServerOptions *copy = n > 0 ? g_memdup2(o, n * sizeof(*o)) : NULL;

        for (size_t i = 0; i < n; i++)
                copy[i].socket = socket_options_copy(&o[i].socket);
        return copy;
}

void server_options_free(ServerOptions *o, size_t n) {
        for (size_t i = 0; i < n; i++)
                socket_options_clear(&o[i].socket);
        g_free(o);
}

const ServerOptions *server_options_find(const ServerOptions *o, size_t n, uint16_t ssid) {
        for (size_t i = 0; i < n; i++)
                if (o[i].ssid == ssid)
                        return &o[i];
        return NULL;
}
