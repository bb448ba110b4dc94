/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The one state of the tool: its socket, who has registered, and what is under way. */
#include <cjson/cJSON.h>

#include "net.h"
#include "wire.h"

#define SERVER_SEEN_MAX 512U       /* messages remembered for de-duplication */
#define SERVER_LATE_MAX 256U       /* tokens remembered after their exchange ended */
#define SERVER_UPLOAD_MAX 4194304U /* bytes of one body sent to us in blocks */

typedef struct Registration {
        char *endpoint;
        char *location; /* "/rd/1"; NULL for a bootstrap client */
        char *version;
        Address peer;
        cJSON *params;
} Registration;

typedef struct Streams Streams; /* stream.h */

typedef struct Server {
        GMainLoop *loop;
        int fd;           /* of the datagrams, or that listens */
        Streams *streams; /* NULL: datagrams */
        bool pong;        /* Pings are answered */
        int family;
        guint source; /* of fd */
        uint16_t next_mid;
        uint64_t next_token;
        unsigned next_location;
        char *location;          /* pattern, "rd/{n}" */
        unsigned ack_timeout_ms; /* of our own confirmable requests, doubled each time */
        unsigned max_retransmit;
        bool reset_unknown; /* a confirmable response nobody waits for is answered with Reset */
        GPtrArray *registrations;
        GPtrArray *exchanges;
        GPtrArray *observations;
        GPtrArray *rules;
        GPtrArray *uploads;
        struct Est *est; /* est.h; NULL until the command has come */
        GQueue seen;
        GQueue late;
} Server;

/* Sends `bytes` `copies` times, `delay_ms` apart, the first after `first_ms`. */
void server_send(Server *s, const Address *to, GBytes *bytes, unsigned first_ms, unsigned copies,
                 unsigned delay_ms);
/* … as they are, on a stream as well. */
void server_send_raw(Server *s, const Address *to, GBytes *bytes, unsigned copies,
                     unsigned delay_ms);
void server_send_empty(Server *s, const Address *to, WireType type, uint16_t mid);
Token server_token(Server *s);

/* By endpoint, location ("/rd/1") or address; NULL when there is none. A NULL endpoint means the
 * one registered last. */
Registration *server_by_endpoint(Server *s, const char *endpoint);
Registration *server_by_location(Server *s, const char *location);
Registration *server_by_address(Server *s, const Address *a);
