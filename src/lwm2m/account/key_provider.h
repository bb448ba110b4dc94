/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Credentials that somebody else has: asked for at the beginning of each link, used for it alone
 * and kept nowhere. bus/ implements it, for applications; the transport asks, so that whoever opens
 * a link need not know. An account that is made for it has "provider:" as its key (0/x/5). */
#include "lwm2m/account/credentials.h"

typedef struct KeyQuestion KeyQuestion;

/* error 0: credentials for this link, the callee's. Else a negative errno as LinkEvents.down() has
 * it, and text for people. */
typedef void (*KeyAnswer)(void *userdata, int error, const char *text, Credentials *credentials,
                          uint64_t now_usec);

typedef struct KeyProvider {
        bool (*provides)(void *userdata, uint16_t ssid); /* somebody is to be asked */
        /* done runs once, later, at the latest when the one asked has had his time. account: what
         * the answer leaves open is as there. -ENOKEY: nobody to ask; -EBUSY. */
        int (*ask)(void *userdata, uint16_t ssid, const char *uri, const Credentials *account,
                   KeyAnswer done, void *done_userdata, KeyQuestion **ret);
        void (*cancel)(KeyQuestion *q); /* done will not run; not from within it */
} KeyProvider;
