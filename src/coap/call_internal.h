/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A Call as call.c and request.c see it. */
#include "coap/link_oscore.h"
#include "coap/spool.h"

typedef enum CallKind { CALL_REQUEST, CALL_NOTIFICATION, CALL_ANSWER } CallKind;

/* A request with its progress through the blocks of its own body and of the answer's. */
typedef struct Request {
        Message message; /* points to what follows; token and payload are not used */
        char **path, **query;
        GBytes *payload;
        uint64_t token;      /* of the message under way; a new one for each */
        OscoreNumber number; /* of the same */
        bool waiting;        /* token is in the link's table */
        bool in_blocks;      /* Block1 */
        bool reading;        /* follows the blocks of the answer */
        bool restarted;      /* the body, because the server had lost its beginning */
        uint8_t echo[OPTION_ECHO_MAX], n_echo; /* what the server wants to see again */
        uint8_t szx;
        size_t n_bert;         /* in a message with szx 7 */
        size_t offset, n_sent; /* of payload */
        Block wanted;          /* of the answer, when reading */
        Spool *answer;
        uint8_t etag[PACKET_ETAG_MAX], n_etag;
        Timer *timer;
} Request;

struct Call {
        OutboxItem item; /* first: an item of the outbox is a Call */
        GList node, finished_node;
        Link *link;
        CallKind kind;
        bool finished;
        int error;
        ResponseFunc on_response;
        NotifyFunc on_notified;
        void *userdata;
        Token token;        /* of a notification */
        GBytes *bytes;      /* of a notification or an answer */
        OscoreReply oscore; /* of the same */
        Request *request;
};

Call *call_new(Link *l, CallKind kind, void *userdata);
/* Out of every list, and freed; nobody is told. */
void call_drop(Call *c);
/* The callback runs with error soon. */
void call_finish(Call *c, int error);

void request_free(Request *r);
/* Takes a copy of m; -EMSGSIZE when even the smallest block has no room beside its options. */
int request_begin(Call *c, const Message *m);
/* Writes the next message of c, for g_free(); its size, or negative errno. */
int request_write(Call *c, uint8_t **ret);
/* Sends it, or queues it for call_send_next(). */
int request_send(Call *c);
/* The request was acknowledged, the answer comes later. */
void request_acknowledged(Call *c, uint64_t now_usec);
void request_forget_token(Call *c);
