/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What a server was told of us in Register and Update, so that the next Update carries only what
 * has changed and a restart inside the lifetime can go on with an Update: the record itself, its
 * query parameters (TS Core 1.1.1, sections 6.2.1 and 6.2.2), and its form on disk. */
#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "lwm2m/transport.h"
#include "model/schema.h"

#define LOCATION_SEGMENTS_MAX 64 /* of a Location-Path kept; more are refused */
#define LOCATION_SEGMENT_MAX 255 /* bytes of one, RFC 7252 section 5.10 */
#define REGISTRATION_TEXT_MAX 1024

typedef struct Registration {
        char *endpoint, *uri;
        Version version;
        uint32_t lifetime_sec;
        char *binding;         /* as sent in b= */
        bool queue;            /* Q; with 1.0 it stands in b= */
        char *sms;             /* NULL: none */
        char *links_digest;    /* of the object list; NULL: never sent */
        char **location;       /* NULL before 2.01 */
        int64_t deadline_ns;   /* end of the lifetime, wall clock; INT64_MAX: for ever */
        LinkPlace place;       /* where the server knows us */
        int64_t registered_ns; /* last Register or Update, wall clock */
} Registration;

Registration *registration_new(void);
Registration *registration_free(Registration *r);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Registration, registration_free)

/* Fills binding and queue from uri, 1/x/7, the version and the client's queue mode. */
void registration_set_binding(Registration *r, const char *binding, bool queue_mode);

/* Uri-Query of a Register. */
char **registration_query(const Registration *r);
/* Uri-Query of an Update: what differs from what the server knows. */
char **registration_update_query(const Registration *r, const Registration *known);

/* -EBADMSG no, too many or too long segments. */
int registration_set_location(Registration *r, const char *const *path);
char *registration_location(const Registration *r); /* "/rd/5a3f" */

GBytes *registration_save(const Registration *r);
/* -EBADMSG damaged or of another format. */
int registration_load(GBytes *blob, Registration **ret);
