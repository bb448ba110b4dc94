/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* One request of ours until its last answer: retransmission, separate responses, and both kinds of
 * blocks (RFC 7252 section 4, RFC 7959). */
#include "observe.h"
#include "server.h"

typedef struct Exchange Exchange;
struct Exchange {
        /* Set by the caller before exchange_start(). */
        Server *server;
        Address to;
        WireType type;
        uint8_t method;
        Token token;
        GArray *options; /* without Observe and blocks, unless manual_blocks */
        GBytes *payload;
        int mid;     /* -1: the next one */
        int observe; /* -1: no Observe option */
        unsigned copies, delay_ms, timeout_ms, collect_ms;
        bool retransmit, manual_blocks, fresh_tokens;
        unsigned block1_size;     /* 16 to 1024 */
        int block2_szx;           /* -1: the other side chooses */
        unsigned stop_after;      /* give up after so many blocks; 0 for never */
        Observation *observation; /* what it makes when observe is 0; what it ends when 1 */
        cJSON *id;
        char *file;
        /* Called once. `error` is NULL when an answer came: `last` and `body` hold it. */
        void (*done)(Exchange *x, const char *error);
        void *userdata;

        Message *last;
        GByteArray *body;
        cJSON *responses; /* those after the first, with collect_ms */
        bool separate, stopped;
        unsigned n_blocks, n_retransmits;
        int64_t rtt_usec;

        uint16_t sent_mid;
        GBytes *sent;
        uint32_t block1_offset;
        bool uploading;
        GBytes *etag;
        int64_t started_usec;
        guint retransmit_source, timeout_source;
};

Exchange *exchange_new(Server *s, const Address *to, uint8_t method);
Exchange *exchange_free(Exchange *x);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Exchange, exchange_free)

void exchange_start(Exchange *x); /* takes it: it is freed after done() */

/* true when the message belonged to an exchange. */
bool exchange_on_response(Server *s, const Address *from, const Message *m);
bool exchange_on_empty(Server *s, const Address *from, const Message *m);
