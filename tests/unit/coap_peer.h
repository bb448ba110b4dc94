/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A server made of one UDP socket, for tests of the transport: it sends and receives datagrams as
 * they are, while the loop runs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <sys/socket.h>

#include "coap/coap_transport.h"
#include "coap/packet.h"
#include "util/loop.h"

/* A datagram taken apart. */
typedef struct Datagram {
        Packet p;
        uint8_t bytes[2048];
        size_t n;
} Datagram;

typedef struct Server {
        Loop *loop;
        LoopSource *source;
        int fd;
        char uri[64];
        struct sockaddr_storage client;
        socklen_t n_client;
        GQueue inbox; /* of Datagram */
} Server;

typedef struct Asked { /* a request that reached the owner of the link */
        Exchange *exchange;
        Message m;
        char *path;
        GBytes *token, *payload, *request_key;
} Asked;

typedef struct Fixture {
        Loop *loop;
        CoapTransport *transport;
        const TransportOps *ops;
        Server *server;
        Link *link;
        Timer *timer;
        bool up, expired, keep;
        int down;
        char *down_reason;
        unsigned n_activity, n_resets, n_requests;
        GBytes *reset_token;
        GQueue asked;       /* when keep is set, requests wait here for respond() */
        GBytes *body;       /* answered to GET and FETCH */
        int answers, error; /* of requests and notifications of ours */
        Message answer;
        char *answer_path;
        GBytes *answer_body;
} Fixture;

Server *server_new(Loop *loop, const char *address);
Server *server_free(Server *s);
void server_send(Server *s, const void *bytes, size_t n);
void server_send_packet(Server *s, const PacketOut *o);

Fixture *fixture_new(const CoapConfig *config);
void fixture_free(Fixture *f);
/* Opens the link and lets the server learn its address. */
void fixture_connect(Fixture *f);
/* Runs the loop until *flag (when not NULL) or for msec; true when the flag was set. */
bool run_for(Fixture *f, unsigned msec, const void *flag, size_t n_flag);
#define run_until(f, variable) assert_true(run_for((f), 5000, &(variable), sizeof(variable)))
/* The next datagram; fails without one. Freed with g_free(). */
Datagram *server_receive(Fixture *f);
/* Fails when one comes within msec. */
void server_hears_nothing(Fixture *f, unsigned msec);

/* Requests: text is the path without leading '/'. */
typedef struct Ask {
        uint8_t type, code;
        uint16_t mid;
        const char *path, *token;
        int observe;
        const Block *block1, *block2;
        int64_t size1;
        const void *payload;
        size_t n_payload;
} Ask;
void server_ask(Fixture *f, const Ask *ask);
/* Asks, and receives what comes back. */
Datagram *server_query(Fixture *f, const Ask *ask);

extern const LinkEvents fixture_events;
void fixture_on_response(void *userdata, int error, const Message *response, uint64_t now_usec);
void fixture_on_notified(void *userdata, int error, uint64_t now_usec);
GBytes *make_body(size_t n, unsigned seed);
