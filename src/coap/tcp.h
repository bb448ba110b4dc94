/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A link over TCP as the files it is made of see it: link_tcp.c has the socket and the timers,
 * tcp_stream.c moves bytes (with TLS or without), tcp_in.c finds messages in them, tcp_signal.c has
 * those of the connection itself. */
#include "coap/frame.h"
#include "coap/link_tcp.h"

#define TCP_IN_SIZE 4096u /* room for some messages; one that is larger makes it for itself */
#define TCP_OUT_MAX ((size_t) 256 << 10) /* bytes that wait for the socket */
/* So much waits: no more requests are read. All those open may still be answered within
 * TCP_OUT_MAX. */
#define TCP_OUT_PAUSE ((size_t) 64 << 10)
#define TCP_DIAGNOSTIC_MAX 128

struct Tcp {
        Security *security; /* NULL: without */
        bool open;          /* the server's CSM has come */
        bool worked;        /* a message of the server has come after it */
        bool needs_alpn;    /* the server must show by it that it speaks CoAP */
        int error;          /* the connection has ended */
        char *text;         /* … in words */
        bool told;
        LoopSource *source;
        /* of the server's CSM, then of the next Pong; of what waits for the socket; of the rest of
         * a message; of our pings */
        Timer *deadline, *stall, *rest, *ping;
        uint8_t *in;
        size_t n_in, in_size;
        size_t wanted; /* size of the message that is not whole yet, as far as is known */
        bool left;     /* there is more to take, whatever the socket says */
        uint64_t skip; /* bytes of a message too large to be taken */
        GByteArray *out;
        size_t out_at;            /* what the socket has taken of it */
        uint32_t max_out;         /* the largest message the server takes */
        bool blocks_told, blocks; /* its CSM offers block-wise transfer; or it has used it */
        uint32_t n_pings;         /* serial number of the last one, its token */
        uint32_t n_ponged;        /* of the last one answered */
        uint32_t confirming;      /* the ping behind what is to be confirmed; 0: nothing is */
};

/* --- tcp_stream.c --- */
uint64_t tcp_patience(const Link *l); /* for an answer, and for the socket to take something */
/* The connection is of no use any more; the owner hears of it from link_tcp_settle(). */
void tcp_end(Link *l, int error, const char *format, ...) G_GNUC_PRINTF(3, 4);
void tcp_end_errno(Link *l, int error);
size_t tcp_n_waiting(const Tcp *t); /* bytes that the socket has not taken yet */
void tcp_watch(Link *l);
void tcp_flush(Link *l);
void tcp_put(Link *l, const uint8_t *frame, size_t n);
bool tcp_is_secured(const Tcp *t);
void tcp_end_handshake(Link *l, bool silent);
void tcp_tell_alert(Link *l, uint64_t now_usec);
void tcp_begin(Link *l); /* the connection is there */
/* Reads on. False when there is nothing more to read, or no connection any more. */
bool tcp_fill(Link *l);

/* --- tcp_signal.c --- */
void tcp_send_signal(Link *l, uint8_t code, const uint8_t *token, size_t n_token, const void *body,
                     size_t n_body);
void tcp_abort(Link *l, const char *why); /* tells the server why, and ends */
void tcp_send_csm(Link *l);
void tcp_send_ping(Link *l);
void tcp_take_signal(Link *l, const FrameHead *h, const uint8_t *frame);

/* --- tcp_in.c --- */
bool tcp_may_take(const Link *l);
void tcp_take_all(Link *l, uint64_t now_usec); /* the whole messages of what was read */
