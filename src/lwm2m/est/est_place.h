/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Which EST server is asked, and as whom. The LwM2M Bootstrap-Server is the EST server (TS
 * Transport 1.1.1, section 5.2.9), with the credentials of its account, unless the owner has
 * configured another one. RFC 9148, section 3, has certificates for both sides; the specification
 * of LwM2M takes whatever secures the bootstrap, so pre-shared and raw public keys are fine there.
 */
#include "lwm2m/account/account.h"
#include "lwm2m/est/est_crypto.h"

#define EST_RENEW_PERCENT 66u                  /* of a certificate's lifetime, then the next one */
#define EST_RENEW_MIN_USEC (60 * USEC_PER_SEC) /* between two, whatever the dates say */
#define EST_BODY_MAX (64U << 10)               /* of an answer */
#define EST_PATH_SEGMENTS_MAX 8u

/* 0 and NULL in any field stand for the value in brackets. */
typedef struct EstConfig {
        const char *uri; /* coaps://host[:port][/path] (the bootstrap server's, /.well-known/est) */
        const Credentials *credentials; /* for it (those of the bootstrap server's account) */
        unsigned renew_percent;         /* 1..99 (EST_RENEW_PERCENT) */
        uint64_t renew_min_usec;        /* (EST_RENEW_MIN_USEC) */
        EstCurve curve;                 /* of our keys, unless the server wants another (P-256) */
        bool skip_attributes;           /* do not ask what the server wants of a request (ask) */
        size_t body_max;                /* (EST_BODY_MAX) */
} EstConfig;

EstConfig *est_config_copy(const EstConfig *c); /* with the values in brackets filled in; c may be
                                                   NULL */
EstConfig *est_config_free(EstConfig *c);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(EstConfig, est_config_free)

typedef struct EstPlace {
        char *uri;   /* without the path */
        char **path; /* of the EST resources: segments */
        bool usual;  /* /.well-known/est, because nobody said otherwise */
        Credentials *credentials;
} EstPlace;

EstPlace *est_place_free(EstPlace *p);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(EstPlace, est_place_free)
bool est_place_equal(const EstPlace *a, const EstPlace *b); /* either may be NULL */

/* -EDESTADDRREQ there is none, -EPROTONOSUPPORT one without security, -EINVAL, -ENOKEY;
 * *ret_error (g_free()) says what is missing. */
int est_place_find(const Tree *tree, const EstConfig *config, EstPlace **ret, char **ret_error);
bool est_place_is_path(char *const *path); /* segments that go into options as they are */
/* The URI of an EST server, cut in two; -EINVAL, -EPROTONOSUPPORT. */
int est_place_parse(const char *uri, char **ret_uri, char ***ret_path, char **ret_error);
