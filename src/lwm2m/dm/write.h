/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Write (TS Core 1.1.1, section 6.3.3): PUT replaces an instance, a resource or a resource
 * instance; POST updates an instance or a multiple resource in part. Write-Attributes (6.3.4). And
 * what every change by a server shares: rights per value, asking the applications, one transaction,
 * the answer. */
#include "lwm2m/dm/dm_internal.h"
#include "lwm2m/ops.h"

/* The answer to a change that succeeded. */
typedef struct WriteAnswer {
        uint8_t code;
        Path location; /* n = 0: none */
} WriteAnswer;

int write_request(Request *rq, bool replace);

/* The number of a request's Content-Format option as a format for base: -EMEDIUMTYPE if we cannot
 * take it. */
int write_format(const Request *rq, const Path *base, const ResourceDef *def, bool composite,
                 Format *ret);
/* Decodes the request's body for base; on failure the request's text says what is wrong. */
int write_decode(Request *rq, Format format, const Path *base, RecordList *ret);
/* Whether the peer may set what record names, and the operation that does: 4.01 hidden, 4.04 not
 * there, 4.05 not writable. is_new: the instance is about to be created. */
int write_add_record(Request *rq, Record *record, bool is_new, OpList *ops);
/* -EINVAL if ops leave a mandatory writable resource of instance unset (their values all come from
 * ops). */
int write_check_mandatory(Request *rq, const ObjectDef *def, const Path *instance,
                          const OpList *ops);
/* Asks the applications that own what ops touch, applies them and answers. ops are taken over. */
int write_submit(Request *rq, OpList *ops, const WriteAnswer *answer);
