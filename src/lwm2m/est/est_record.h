/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What one server's enrolment has led to, as one thing: the private key, its certificate and the
 * authorities that came with it stand together in one entry of the store, which is on disk as a
 * whole or not at all. Secret: it is kept where keys are kept. */
#include "lwm2m/est/est_crypto.h"
#include "model/store.h"

#define EST_BLOB_PREFIX "est-" /* and the Short Server ID */

typedef struct EstRecord {
        char *endpoint; /* whom the certificate names */
        GBytes *key;    /* NULL: not enrolled; certificate and authorities are NULL, too */
        EstCertificate *certificate;
        GBytes *authorities;
        GBytes *pending; /* a private key whose request the server has and answers later; NULL */
} EstRecord;

EstRecord *est_record_new(const char *endpoint);
EstRecord *est_record_free(EstRecord *r);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(EstRecord, est_record_free)

GBytes *est_record_pack(const EstRecord *r);           /* wiped with the last owner */
int est_record_unpack(GBytes *bytes, EstRecord **ret); /* -EBADMSG */

/* NULL when there is none, or one that is damaged (which is logged). */
EstRecord *est_record_load(const Store *store, uint16_t ssid);
/* On disk when it returns; otherwise what was there before is still there. */
int est_record_save(const EstRecord *r, Store *store, uint16_t ssid);
void est_record_forget(Store *store, uint16_t ssid);
/* Those of servers that are not in the list. */
void est_record_sweep(Store *store, const uint16_t *ssids, size_t n);
