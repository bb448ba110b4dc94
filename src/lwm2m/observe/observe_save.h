/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Observations that outlive the process: each in a form for the disk, and back. Which of a peer's
 * wait to be written is noted here; where they are written is keeper.c's affair. */
#include "codec/format.h"
#include "lwm2m/observe/attrs.h"
#include "lwm2m/observe/observe.h"

/* Observe values that one run of the daemon may use before it has to write again. A run begins
 * where the one before must have ended, whatever it has used: RFC 7641, section 4.4, allows steps
 * up to 2^23. */
#define OBSERVE_ROOM (1U << 16)
#define OBSERVE_REQUEST_KEY_MAX 2048 /* bytes; a longer one is not kept */

/* What a server asked for, as it stands on disk. */
typedef struct ObservationRecord {
        GBytes *token;
        GBytes *request_key; /* Message.request_key; NULL */
        ReadTarget target;   /* its paths are owned */
        Attrs *own;          /* of the request itself; NULL: none */
        uint32_t sequence;   /* run uses none at or above it, later ones OBSERVE_ROOM each */
        uint32_t run;
} ObservationRecord;

GBytes *observation_record_encode(const ObservationRecord *r);
/* -EBADMSG damaged, of another format, or what no server could have asked for. */
int observation_record_decode(GBytes *bytes, ObservationRecord *ret);
void observation_record_clear(ObservationRecord *r);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(ObservationRecord, observation_record_clear)

/* For observe.c and notify.c. began: its server is about to be told so. */
void observe_save_changed(Observation *o, bool began);
void observe_save_ended(Observation *o);
void observe_save_identify(Observation *o); /* makes sure that it has an id */
/* The Observe value of the next notification. */
int observe_save_next_sequence(Observation *o);
