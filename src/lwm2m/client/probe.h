/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Tries one server step by step and says at which it fails: the account itself, the name, the way
 * there, the handshake, whether anybody answers, and the registration. All but the last goes over a
 * link of its own, so that the one in use is left alone; the registration is tried for real, by an
 * Update, or by a Register when there is none. A bootstrap is not begun. */
#include "lwm2m/client/client.h"

/* Until the link is up: longer than the transport tries (a connection, then the handshake, 55 s
 * each at the most), since that can say what was missing. */
#define PROBE_LINK_USEC (120 * USEC_PER_SEC)
#define PROBE_ANSWER_USEC (30 * USEC_PER_SEC)
#define PROBE_REGISTRATION_USEC (100 * USEC_PER_SEC) /* longer than a confirmable message waits */

typedef struct ProbeStep {
        const char *name;   /* account name route handshake answer registration */
        const char *result; /* ok failed skipped */
        char *text;         /* owned: what was found */
} ProbeStep;

typedef struct Probe Probe;
/* Once, and not from within probe_start(). The probe may be freed from within. */
typedef void (*ProbeDone)(void *userdata, const ProbeStep *steps, size_t n, uint64_t now_usec);

/* ssid 0: the bootstrap server. -ENOENT there is no such account. */
int probe_start(Client *c, uint16_t ssid, ProbeDone done, void *userdata, uint64_t now_usec,
                Probe **ret);
Probe *probe_free(Probe *p); /* its callback does not run any more */
/* What happens in the client, for the last step. */
void probe_event(Probe *p, const ClientEvent *event, uint64_t now_usec);
