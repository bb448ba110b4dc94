/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The transport of lwm2m/transport.h: CoAP over UDP and DTLS on libcoap, each link with a
 * libcoap context of its own, and over TCP (RFC 8323) and TLS on sockets of ours. */
#include <glib.h>
#include <stdint.h>

#include "lwm2m/account/key_provider.h"
#include "lwm2m/transport.h"
#include "util/loop.h"

typedef struct CoapTransport CoapTransport;

/* 0 (NULL) in any field stands for the value in brackets. Limits are of one link. */
typedef struct CoapConfig {
        const char *spool_directory; /* for uploads above 64 KiB (/var/tmp); copied */
        size_t body_max;             /* of an upload or of an answer to us (16 MiB) */
        uint32_t transfers_max;      /* uploads in blocks at once (8); more: 5.03 */
        uint32_t exchanges_max;      /* requests not answered yet (64); more: 5.03 */
        uint32_t dedup_entries; /* answers remembered, of safe and of other requests each (512) */
        size_t dedup_bytes;     /* of them, each (64 KiB) */
        size_t block2_bytes;    /* bodies kept for reading on by blocks (32 MiB) */
        uint32_t block2_bodies; /* of them (16) */
        uint32_t queue_max;     /* confirmable messages waiting to be sent (16384) */
        uint64_t separate_after_usec; /* an answer later than this is separate (1 s) */
        uint64_t transfer_usec;       /* a transfer without a block for so long is over (247 s) */
        uint64_t response_usec;    /* wait for the answer once a request was acknowledged (93 s) */
        uint64_t ack_timeout_usec; /* ACK_TIMEOUT, 1 s or more (2 s) */
        uint32_t max_retransmit;   /* MAX_RETRANSMIT (4) */
        uint64_t handshake_usec;   /* of DTLS and of TCP, until a server counts as silent (30 s) */
        size_t message_max; /* over TCP: the largest message either way, 1152 or more (33 KiB) */
        bool alpn_optional; /* TLS on another port than 5684 without ALPN is fine */
        uint64_t ping_usec; /* over TCP, after so long without a word (never) */
        const char *secrets_directory; /* where keys named by file:NAME are (nowhere); copied */
        const char *const *providers;  /* of OpenSSL, for keys in tokens, NULL-terminated (none) */
        const char *pin_file;          /* the PIN for them, as token.h has it (none) */
        const char *state_directory;   /* for the numbers of OSCORE (none: no OSCORE); copied */
        const char *trust_store;       /* authorities for certificate usages 0 and 1 (the system's);
                                          copied */
} CoapConfig;

/* loop is borrowed and outlives the transport. */
int coap_transport_new(Loop *loop, const CoapConfig *config, CoapTransport **ret);
/* The links must be closed before; exchanges may still be open. */
CoapTransport *coap_transport_free(CoapTransport *t);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(CoapTransport, coap_transport_free)

/* Who is asked for credentials when a link begins; both outlive the links. NULL: nobody. */
void coap_transport_set_provider(CoapTransport *t, const KeyProvider *provider, void *userdata);
/* Whether a coaps URI could be opened with these credentials, as far as can be told without the
 * server; errors as security_new(). */
int coap_transport_try(const CoapConfig *config, const char *uri,
                       const struct Credentials *credentials, char **ret_error);
/* What this build can, for people and programs. */
const char *coap_transport_tls_library(void); /* as security_library() */
bool coap_transport_has_dtls(void);
bool coap_transport_has_x509(void);
bool coap_transport_has_rpk(void);
bool coap_transport_has_cid(void);

/* Its transport argument is a CoapTransport. */
const TransportOps *coap_transport_ops(void);
