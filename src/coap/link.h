/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* One server: its libcoap context and session, and what hangs from them. Shared by the files of
 * coap/; users see it through TransportOps only.
 *
 * Callbacks of users run from link_settle() or from libcoap's handlers, always within link_enter()
 * and link_leave(): a link closed meanwhile is freed when the last frame is left. */
#include <coap3/coap.h>

#include "coap/block1.h"
#include "coap/block2.h"
#include "coap/coap_transport.h"
#include "coap/dedup.h"
#include "coap/hosts.h"
#include "coap/outbox.h"
#include "coap/packet.h"
#include "coap/resolver.h"
#include "coap/security.h"

struct CoapTransport {
        Loop *loop;
        CoapConfig config; /* with the values in brackets filled in */
        char *spool_directory;
        Resolver *resolver;
        struct TokenLoader *tokens;  /* token_loader.h */
        const KeyProvider *provider; /* NULL: there is none */
        void *provider_userdata;
        struct LocalPorts *ports; /* local.h */
        Hosts *hosts;
        GHashTable *oscore; /* link_oscore.c's; NULL without any */
};

typedef struct Secure Secure;         /* link_secure.h */
typedef struct Tcp Tcp;               /* link_tcp.h */
typedef struct Race Race;             /* race.h */
typedef struct LinkKeys LinkKeys;     /* link_keys.h */
typedef struct LinkOscore LinkOscore; /* link_oscore.h */

/* What became of the confirmable message that libcoap has. */
typedef enum Fate {
        FATE_OPEN,
        FATE_RESET,   /* rejected */
        FATE_TIMEOUT, /* no retransmission left */
        FATE_REFUSED, /* an ICMP error came back; libcoap goes on retransmitting */
        FATE_FAILED,  /* not sent at all; link->fate_error */
} Fate;

/* Non-confirmable notifications by message id, to recognise a Reset: message ids count up, so the
 * lower bits are a perfect hash of the last ones. */
#define NON_SENT_MAX 1024u
typedef struct NonSent {
        Token token;
        uint16_t mid;
        bool used;
} NonSent;

struct Link {
        CoapTransport *transport;
        LinkEvents events;
        void *owner;
        uint16_t ssid;
        uint8_t szx;
        bool aside;                             /* as LinkConfig has it */
        bool inherited;                         /* the port is that of a link before */
        bool heard;                             /* something came from the server */
        bool complained;                        /* of a body that does not fit */
        int refusal;                            /* why it is of no use; told from the loop */
        int socket_error;                       /* why the socket options could not be had … */
        char *refusal_text, *socket_error_text; /* … and in words */
        char *peer;

        Query *query;
        struct addrinfo *literal; /* the address in the URI, until it is used */
        Race *race;               /* between the addresses of a name, until there is one */
        Address address;          /* the one taken */
        bool unanswered;          /* probes were sent to it in vain */
        bool noted;               /* hosts knows that the server was heard there */
        SocketOptions socket;     /* texts owned */
        char *host;               /* the name in the URI; NULL for an address */
        Secure *secure;           /* NULL: without (D)TLS */
        LinkOscore *oscore;       /* NULL: without OSCORE */
        LinkKeys *keys;           /* NULL: all of them are in the credentials */
        Tcp *tcp; /* NULL: over UDP. Of what follows up to socket_fd nothing is set with it */
        coap_context_t *context;
        coap_session_t *session;
        int epoll_fd, socket_fd; /* libcoap's; the socket is -1 when not known */
        LoopSource *source, *deferred;
        Timer *housekeeping;
        unsigned depth;
        bool closed, dirty, active;
        bool asleep, deaf; /* sleep.h */
        bool was_open;     /* something waited when last looked at */
        bool socket_stale; /* libcoap may have taken another socket */

        /* requests of the server */
        Dedup *dedup;
        Block1 *block1;
        Block2 *block2;
        GQueue exchanges, unacked; /* of Exchange */
        Timer *ack_timer;

        /* requests and notifications to it */
        Outbox outbox;
        uint16_t current_mid;
        Fate fate;
        int fate_error;
        bool withdraw;   /* the current message is of no use any more */
        bool lingering;  /* … and libcoap goes on with it, see link_io_withdraw() */
        GQueue calls;    /* of Call, all */
        GQueue finished; /* of Call, callback due */
        GHashTable *by_token;
        uint16_t last_response_mid; /* of a confirmable response we took */
        bool has_last_response;
        NonSent *non_sent;
        GQueue resets; /* of GBytes, tokens */
};

int link_open(CoapTransport *t, const LinkConfig *config, const LinkEvents *events, void *owner,
              Link **ret);
void link_close(Link *l);
const char *link_peer(const Link *l);

void link_enter(Link *l);
void link_leave(Link *l);
/* Takes note of what was acknowledged, sends what may be sent, runs callbacks that are due. */
void link_settle(Link *l, uint64_t now_usec);
/* Tells the owner that it is of no use any more. */
void link_fail(Link *l, int error, const char *reason, uint64_t now_usec);
/* link_settle() from the loop, soon; what a call from outside uses. */
void link_defer(Link *l);
/* Makes sure that what was kept for a while is dropped in time. */
void link_keep_house(Link *l, uint64_t now_usec);
uint64_t link_now(const Link *l);

/* Sends a message as it is. 0, or a negative errno when the socket would not have it. */
int link_transmit(Link *l, const uint8_t *bytes, size_t n);
uint16_t link_next_mid(Link *l);
/* It has a session or a connection. Whether messages may be sent is told to the owner as up. */
bool link_has_way(const Link *l);
/* The peer rejected message mid, which is not the current one. */
void link_on_reset(Link *l, uint16_t mid);
