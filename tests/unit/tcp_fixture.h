/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A link over TCP against a server made of one socket, which sends whatever the test says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include "coap/coap_transport.h"
#include "coap/frame.h"
#include "util/loop.h"

typedef struct TcpFixture {
        Loop *loop;
        CoapTransport *transport;
        const TransportOps *ops;
        Timer *timer;
        Link *link;
        SocketOptions socket; /* of the next link */
        int listener, peer;
        char uri[64];
        GByteArray *in; /* what the server has got and not looked at */
        LoopSource *accepting, *reading;
        bool up, expired, closed; /* closed: by the client */
        int down;
        char *reason;
        unsigned n_requests, n_answers;
        int error;
        uint8_t answer_code;
        Exchange *kept; /* instead of an answer; the last one */
        GPtrArray *all; /* … of them all, if there is one */
        bool keep;
        GBytes *body;    /* of the last request, or answer */
        GBytes *payload; /* of our answers; NULL: none */
        GBytes *frame;   /* of tcp_hear_message() */
        Packet packet;
} TcpFixture;

TcpFixture *tcp_fixture_new(const CoapConfig *config); /* NULL: as a transport has it */
void tcp_fixture_free(TcpFixture *f);

/* True when done() was before the time was over. */
bool tcp_run_for(TcpFixture *f, unsigned msec, bool (*done)(const TcpFixture *f));
#define tcp_run_until(f, done) assert_true(tcp_run_for((f), 10000, (done)))
bool tcp_is_up(const TcpFixture *f);
bool tcp_is_down(const TcpFixture *f);
bool tcp_is_closed(const TcpFixture *f);
bool tcp_is_answered(const TcpFixture *f);
bool tcp_has_request(const TcpFixture *f);
bool tcp_has_frame(const TcpFixture *f);

/* The server's side. */
void tcp_say(TcpFixture *f, const void *bytes, size_t n);
#define tcp_say_text(f, text) tcp_say((f), (text), sizeof(text) - 1)
char *tcp_hear(TcpFixture *f); /* the next frame, as text: code, token and body in hex */
void tcp_expect(TcpFixture *f, const char *wanted);
void tcp_say_message(TcpFixture *f, const PacketOut *o);
/* The next frame as a message; what it points to is good until the next call. */
const Packet *tcp_hear_message(TcpFixture *f);

/* The client's. */
void tcp_begin_link(TcpFixture *f);   /* no server need be there */
void tcp_open_link(TcpFixture *f);    /* until the connection is taken */
void tcp_connect_link(TcpFixture *f); /* with an empty CSM */
/* … with these options in it. */
void tcp_connect_with(TcpFixture *f, const void *options, size_t n);
#define TCP_CSM "\x00\xe1"
#define TCP_OUR_CSM "7.01 |22840020" /* 33 KiB, blocks */
void tcp_ask(TcpFixture *f, const char *path, GBytes *payload);
Call *tcp_notify(TcpFixture *f, bool confirmable);
void tcp_fails_with(TcpFixture *f, int error, const char *reason);
