/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A change that came over the bus: one list of operations, which is shown to the applications
 * concerned (but never to the sender about its own paths) and then applied as a whole. */
#include "bus/data.h"
#include "lwm2m/dm/samples.h"

#define EDIT_OPERATIONS_MAX 100000

/* From the arguments over the applications' Prepare to the reply. */
typedef struct Edit {
        Bus *bus;
        sd_bus_message *call;
        OpList ops;
        GArray *keep; /* Path: kept on disk from then on; NULL for none */
        /* Samples: ops is what applications are shown of them, applied are those of ops that are no
         * samples. NULL: ops are applied. */
        SamplePush *push;
        GArray *applied; /* Op, borrowed from ops; NULL for none */
        AppCall *prepared;
        char *reply_path; /* Create answers with the instance's path */
        Pending *waiting; /* for applications: counted for its user */
        uint64_t reply_bytes;
        bool reply_has_bytes, reply_has_dropped;
        size_t dropped;       /* samples */
        uid_t uid;            /* the sender's, who may have left when it is applied */
        bool has_uid;         /* known from edit_check() on */
        char *asked_name;     /* a bus name, and … */
        bool sender_has_name; /* … whether it is the sender's */
} Edit;

Edit *edit_new(Bus *b, sd_bus_message *call);
Edit *edit_free(Edit *e);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Edit, edit_free)
/* Takes edit over; replies now or when the applications have answered. */
int edit_run(Edit *edit, sd_bus_error *error);
/* Whether applications other than the sender have a say, in any of it or at p. */
bool edit_concerns_others(Edit *e);
bool edit_concerns_others_at(Edit *e, const Path *p);
/* The rights and the budget of the sender for what is more than setting values that are there;
 * edit_run() asks itself. */
int edit_check(Edit *e, sd_bus_error *error);
/* Applies n operations by themselves, at once, and keeps the path (NULL: none). */
int edit_apply_part(Edit *e, const Op *ops, size_t n, const Path *keep, OpError *error);
/* The error reply for a variant that variant_read…() refused with r. */
int edit_variant_error(sd_bus_error *error, int r, const Path *p);
