/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What a bootstrap server asks for during a session, kept beside the tree until Bootstrap-Finish:
 * which instances go, and which values come. Nothing of it is seen by anybody but the session
 * itself, and the tree takes it in one transaction or not at all; a power cut before that leaves
 * the device as it was. The list of operations is its only form: Discover and Read during the
 * session look at the tree with the operations tried on it and taken back (ops_try()), so that no
 * copy of a tree with perhaps 100,000 instances is needed.
 *
 * Writes go by TS Core 1.1.1, section 6.1.7.6: whatever the operations of a resource, creating what
 * is missing; resources that are not known are ignored but when named alone. Deletes spare the
 * account of the bootstrap server and object 3 (section 6.1.7.7). */
#include "codec/record.h"
#include "lwm2m/ops.h"

typedef struct BsLimits {
        uint32_t paths; /* deleted and written; 0 = 4096 */
        uint64_t bytes; /* of text and opaque values; 0 = 1 MiB */
} BsLimits;

typedef struct BsStage BsStage;

BsStage *bs_stage_new(Tree *tree, const BsLimits *limits);
BsStage *bs_stage_free(BsStage *s);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(BsStage, bs_stage_free)
bool bs_stage_is_empty(const BsStage *s);

/* All or nothing; why says what is wrong on failure. -ENOENT unknown object (or resource, when it
 * is named by base), -EINVAL, -ERANGE a value the definition does not allow, -EPERM a path below
 * resources, -E2BIG a limit. Values are taken over. */
int bs_stage_write(BsStage *s, const Path *base, RecordList *records, char **ret_error);
/* -EPERM below instances, -EINVAL unknown, not there, or spared when named alone. */
int bs_stage_delete(BsStage *s, const Path *p, char **ret_error);
/* Bootstrap-Pack: the instances of every object that records name go first (section 6.1.7 of TS
 * Core 1.2). */
int bs_stage_pack(BsStage *s, RecordList *records, char **ret_error);

/* What the tree has to do, in order. with_time: 1/x/12 of every server becomes now_sec, and a
 * former bootstrap account gives way to one that was written. */
void bs_stage_ops(BsStage *s, OpList *ret);
void bs_stage_final_ops(BsStage *s, int64_t now_sec, OpList *ret);
