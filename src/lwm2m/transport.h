/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What lwm2m/ needs of a transport: coap/ implements it, tests fake it. A Link is the association
 * with one server. Messages carry whole bodies: blocks, retransmission, duplicates, NSTART, empty
 * ACKs and separate responses are the transport's business. Callbacks never run inside the call
 * that caused them. */
#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#define CODE(class, detail) ((uint8_t) ((class) << 5 | (detail)))
enum {
        METHOD_GET = 1,
        METHOD_POST,
        METHOD_PUT,
        METHOD_DELETE,
        METHOD_FETCH,
        METHOD_PATCH,
        METHOD_IPATCH
};

/* A CoAP request or response above the message layer. All pointers are borrowed by whoever receives
 * it. */
typedef struct Message {
        uint8_t code;     /* METHOD_… or CODE(2, 5) … */
        bool confirmable; /* requests: CON or NON; a response follows its request */
        int format,
                accept;  /* Content-Format and Accept numbers as received; -1 without the option */
        int observe;     /* Observe value; -1 without the option */
        int64_t max_age; /* of a response received: Max-Age in seconds; -1 without the option */
        size_t answer_max; /* of a request: the largest body of its answer, more is -EFBIG; 0: what
                              the transport takes */
        const char *const *path; /* Uri-Path (request) or Location-Path (response), NULL-terminated;
                                    NULL = none */
        const char *const *query; /* Uri-Query, NULL-terminated; NULL = none */
        GBytes *token;       /* of a request received or of a notification to send; NULL = empty */
        GBytes *payload;     /* NULL = none */
        GBytes *request_key; /* of a request with Observe: what the rest of a notification in blocks
                                will be asked for with. Of a notification: that of its request, if
                                kept. Means something to the transport alone; NULL = none */
} Message;

#define MESSAGE_INIT(c)                                                                            \
        ((Message){ .code = (c),                                                                   \
                    .confirmable = true,                                                           \
                    .format = -1,                                                                  \
                    .accept = -1,                                                                  \
                    .observe = -1,                                                                 \
                    .max_age = -1 })

typedef struct Link Link;
typedef struct Exchange Exchange; /* a request received and not yet answered */
typedef struct Call Call; /* a request sent and not yet answered, or a notification on its way */

struct Credentials;

/* Of the socket of a link; 0 and NULL: as the system has it. */
typedef struct SocketOptions {
        const char *bind; /* an address of this host; servers of the other family are skipped */
        const char *interface; /* nothing leaves through another, and the address is one of its */
        uint32_t mark;         /* for routing and filters (SO_MARK) */
        uint8_t dscp;          /* of the IP header: RFC 2474; 0..63 */
} SocketOptions;

#define LINK_ADDRESS_MAX 64

/* Where a server without security knows us: from another port it would take us for somebody else,
 * and drop what it observes. And which of its addresses it was met at. Links of one process to the
 * same server follow each other there by themselves. All 0: nowhere in particular. */
typedef struct LinkPlace {
        uint16_t port;     /* of our socket */
        uint16_t mid_lead; /* of our message ids there; means something to the transport alone */
        char address[LINK_ADDRESS_MAX]; /* of a server that is a name; "" */
} LinkPlace;

typedef struct LinkConfig {
        const char *uri;      /* coap, coaps, coap+tcp or coaps+tcp://host[:port]; copied */
        uint16_t ssid;        /* for log lines */
        size_t block_size;    /* preferred, 16..1024; 0 = 1024 */
        SocketOptions socket; /* copied */
        bool aside;           /* beside the server's own link: takes over nothing from one before */
        LinkPlace place;      /* of the last link of an earlier process */
        /* What must outlive open() is copied. */
        const struct Credentials *credentials; /* lwm2m/account/credentials.h; NULL: none */
        /* coaps and coaps+tcp only. */
        GBytes *session;   /* as LinkSecurity had it; NULL: a full handshake */
        bool ignore_dates; /* of certificates: the clock is not set */
} LinkConfig;

/* What the handshake has led to. */
typedef struct LinkSecurity {
        const char *cipher; /* IANA name of the cipher suite */
        bool resumed;       /* the session of LinkConfig goes on */
        bool cid;           /* the server knows us by a Connection ID (RFC 9146) */
        GBytes *session;    /* to be kept for the next link: secret. NULL: cannot be resumed */
} LinkSecurity;

typedef struct LinkEvents {
        /* The handshake is over; up follows. Not without security. */
        void (*secured)(void *owner, const LinkSecurity *security, uint64_t now_usec);
        /* The link can be used (name resolved, socket connected, handshake over). */
        void (*up)(void *owner, uint64_t now_usec);
        /* The link failed for good; the owner closes it. Name and socket errors, -EPROTONOSUPPORT,
         * -EINVAL; handshake: -ETIMEDOUT, -ENOKEY (ours is missing), -EKEYREJECTED (either side's
         * credentials), -EKEYEXPIRED, -EPROTO. -ESTALE: the session worked once and is of no use
         * any more, a new link is wanted at once. */
        void (*down)(void *owner, int error, const char *reason, uint64_t now_usec);
        /* An alert came from the server (RFC 5246, section 7.2; 1/x/11). */
        void (*alert)(void *owner, uint8_t description, uint64_t now_usec);
        /* Exactly one respond() must follow, now or later; it is the only way to release x. */
        void (*request)(void *owner, Exchange *x, const Message *request, uint64_t now_usec);
        /* The peer rejected a notification (confirmable or not) with Reset. */
        void (*reset)(void *owner, GBytes *token, uint64_t now_usec);
        /* Something was sent to or received from the server, or the last that was open has ended
         * (queue mode's clock). */
        void (*activity)(void *owner, uint64_t now_usec);
} LinkEvents;

/* error 0: response is set (any code). -ETIMEDOUT, -ECONNRESET (Reset), -ECONNREFUSED and other
 * socket errors, -EBADMSG, -ESTALE, -EFBIG (an answer in blocks that does not fit together, changed
 * on the way, is too large): response is NULL. */
typedef void (*ResponseFunc)(void *userdata, int error, const Message *response, uint64_t now_usec);
/* error 0: acknowledged (confirmable; over TCP by a Pong) or handed to the network
 * (non-confirmable). */
typedef void (*NotifyFunc)(void *userdata, int error, uint64_t now_usec);

typedef struct TransportOps {
        /* -EPROTONOSUPPORT: a scheme this transport has not; -EINVAL: no URI, or a block size
         * below 16. */
        int (*open)(void *transport, const LinkConfig *config, const LinkEvents *events,
                    void *owner, Link **ret);
        /* Drops everything of the link at once: no callback of it or of its calls runs any more,
         * and the calls are gone. Open exchanges stay valid until respond(), which then only frees.
         */
        void (*close)(Link *link);
        int (*request)(Link *link, const Message *request, ResponseFunc done, void *userdata,
                       Call **ret);
        /* A 2.05 (or error) with request->token and Observe value. Large bodies go block-wise. */
        int (*notify)(Link *link, const Message *notification, NotifyFunc done, void *userdata,
                      Call **ret);
        void (*cancel)(Call *call); /* its callback will not run */
        void (*respond)(Exchange *x, const Message *response);
        /* "address:port" of the peer, for people; NULL before up. */
        const char *(*peer)(const Link *link);
        LinkPlace (*place)(const Link *link);

        /* Queue mode. Until when something is open on the link: a request of the server that is not
         * answered, one of ours, a message not acknowledged (UINT64_MAX: until it ends, which is
         * told as activity), a body half transferred (93 s after its last block). 0: nothing. */
        uint64_t (*busy_until)(const Link *link, uint64_t now_usec);
        /* No timer of the link runs until wake() or, unless deaf, until something comes in. Deaf:
         * what comes is dropped unseen. -EBUSY: something is open or has just come in, nothing has
         * changed then. A closed link is another way to sleep; with security the transport keeps
         * the session of a closed link, for open() to the same server to resume. */
        int (*sleep)(Link *link, bool deaf, uint64_t now_usec);
        void (*wake)(Link *link); /* one that is awake is fine */
} TransportOps;
