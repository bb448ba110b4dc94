/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A transport that sends nothing: it keeps what was sent, and the test says what comes of it.
 * Nothing runs by itself, so that callbacks never come from inside the call that caused them. */
#include <glib.h>

#include "lwm2m/transport.h"

typedef struct FakeMessage { /* a deep copy of a Message; texts are "" and bytes NULL when there are
                                none */
        uint8_t code;
        bool confirmable;
        int format, accept, observe;
        char *path;  /* "/rd/5" */
        char *query; /* "ep=x&lt=60" */
        GBytes *token, *payload;
} FakeMessage;

typedef struct FakeTransport {
        guint n_over;     /* of those sent first, calls that are over and stay so */
        GPtrArray *links; /* of Link, opened and not closed */
        GPtrArray *
                sent; /* of Call: requests and notifications in the order sent, finished ones too */
        GPtrArray *answers;         /* of FakeMessage: what respond() got */
        unsigned n_exchanges;       /* exchanges not answered yet */
        uint64_t busy_until;        /* what busy_until() says */
        int sleep_error;            /* what sleep() fails with; 0 */
        int open_error, send_error; /* what open(), and request() and notify(), fail with; 0 */
} FakeTransport;

struct Link {
        FakeTransport *transport;
        char *uri;
        LinkEvents events;
        void *owner;
        uint16_t ssid;
        bool asleep, deaf;
        LinkPlace place;
};

struct Call {
        FakeTransport *transport;
        Link *link;
        FakeMessage message;
        ResponseFunc response; /* of a request … */
        NotifyFunc notified;   /* … of a notification */
        void *userdata;
        bool open; /* neither finished nor cancelled */
};

extern const TransportOps fake_transport_ops;

FakeTransport *fake_transport_new(void);
FakeTransport *fake_transport_free(FakeTransport *t);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(FakeTransport, fake_transport_free)

Link *fake_link_new(FakeTransport *t); /* one nobody opened */
Exchange *fake_exchange_new(FakeTransport *t);
const FakeMessage *fake_last_answer(const FakeTransport *t); /* NULL if none */
void fake_forget_answers(FakeTransport *t);
/* The index-th open call from the newest (0); NULL if there are fewer. */
Call *fake_open_call(const FakeTransport *t, unsigned index);
unsigned fake_n_open(const FakeTransport *t);
unsigned fake_n_sent(const FakeTransport *t);
void fake_call_respond(Call *c, const Message *response, uint64_t now_usec);
void fake_call_end(Call *c, int error,
                   uint64_t now_usec); /* either kind; 0 acknowledges a notification */
/* The payload as text; "" if none. Valid until the next call. */
const char *fake_text(const FakeMessage *m);
