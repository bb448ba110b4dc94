/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Why a (D)TLS handshake came to nothing, or a session ended, in words: from what OpenSSL and the
 * server have said, or from the point at which the server fell silent. */
#include <glib.h>
#include <stdbool.h>

typedef struct HandshakeEnd {
        long verify;         /* X509_V_… of the server's certificate or key */
        bool authority;      /* it was to be issued by somebody, not to be a certain one */
        int alert;           /* of the server; -1: none */
        unsigned long error; /* of OpenSSL; 0: none */
        bool silent;         /* the time is up */
        bool heard;          /* the server has answered at all */
        bool finished;       /* our last flight is out */
        bool psk;
        const char *own_key; /* why our private key could not sign; NULL */
        bool established;    /* the handshake was over, and good */
} HandshakeEnd;

/* A negative errno as LinkEvents.down() has it; the text is g_free()d. */
int security_reason(const HandshakeEnd *end, char **ret_text);
