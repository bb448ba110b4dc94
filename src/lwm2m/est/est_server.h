/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* One server in security mode 4 and its certificate: the machine of enrol.h, the link to the EST
 * server, what is asked there (RFC 9148, section 4), and the record of what came of it. It connects
 * to the EST server only; the server itself is server.h's. */
#include "lwm2m/est/est_place.h"
#include "lwm2m/est/est_record.h"
#include "lwm2m/server/server.h"

typedef struct EstServer EstServer;

typedef struct EstEnv {          /* borrowed, outlives the enrolments */
        const ServerEnv *server; /* of it changed() and userdata are not used */
        const EstConfig *config;
        /* There is another certificate, or none that is valid any more. As changed(), told last:
         * the enrolment may not be freed from within. */
        void (*renewed)(void *userdata, uint64_t now_usec);
        void (*changed)(void *userdata, uint16_t ssid, uint64_t now_usec); /* what info() shows */
        void *userdata;
} EstEnv;

EstServer *est_server_new(const EstEnv *env, uint16_t ssid);
EstServer *est_server_free(EstServer *s); /* what is on disk stays */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(EstServer, est_server_free)
uint16_t est_server_ssid(const EstServer *s);

void est_server_start(EstServer *s, uint64_t now_usec);
void est_server_stop(EstServer *s, uint64_t now_usec);
void est_server_pause(EstServer *s, uint64_t now_usec);
void est_server_resume(EstServer *s, uint64_t now_usec);
/* Accounts have changed: what failed for the EST server's account is tried again. */
void est_server_follow(EstServer *s, uint64_t now_usec);
/* Another certificate, at once. -EALREADY under way. */
int est_server_now(EstServer *s, uint64_t now_usec);
void est_server_forget(EstServer *s); /* also on disk */

/* There is a certificate that can be used. */
bool est_server_is_ready(const EstServer *s);
bool est_server_holds(EstServer *s); /* there is none, and the server waits for it from now on */
/* What the server has waited for is there; told once. */
typedef enum EstRelease {
        EST_RELEASE_NOTHING,
        EST_RELEASE_START, /* it was held back */
        EST_RELEASE_RETRY, /* its certificate had expired */
} EstRelease;
EstRelease est_server_releases(EstServer *s);
bool est_server_is_enrolling(const EstServer *s); /* there is none, and one is asked for */
/* Those of an account with what the enrolment has brought: as in certificate mode, with the
 * authorities of the EST server in place of a 0/x/4 that is empty. NULL: not ready. */
Credentials *est_server_credentials(const EstServer *s, const Credentials *given);
/* Fills in what a server in this mode has beside others; at_work: its registration is, whose
 * state stays what is shown. */
void est_server_info(const EstServer *s, bool at_work, ServerInfo *ret);
