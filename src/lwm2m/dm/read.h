/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Read (TS Core 1.1.1, section 6.3.1), and the gathering of values that Read-Composite, Observe and
 * notifications share: from the tree, from objects with behaviour, and from applications that
 * answer for their own paths. What a server may not read is left out of what it asked for, and
 * refused when named itself. */
#include "codec/format.h"
#include "lwm2m/dm/dm_internal.h"

/* Values found. Those of the tree are borrowed from it until its next change; the others belong to
 * the result. */
typedef struct ReadResult {
        Record *v;
        size_t n, n_allocated;
        GArray *owned;  /* of Value */
        bool elsewhere; /* some come, or have to, from an application or a behaviour */
} ReadResult;

void read_result_clear(ReadResult *r);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(ReadResult, read_result_clear)

typedef struct ReadTarget {
        Path *paths;
        size_t n;
        bool composite; /* paths that are missing or unreadable are left out */
        Format format;  /* of the answer */
        uint16_t ssid;  /* who asks: what it may not read is left out; 0: the device itself */
} ReadTarget;

/* The format of an answer. accept is the option's number or -1. Without one: for 1.0 TLV (TS
 * Core 1.0.2, section 6.4); for 1.1 and later SenML CBOR for several values, and for a single one
 * plain text, or opaque for Opaque, which every server reads. def is that of a resource, else NULL.
 * -ENOMEDIUM. */
int read_format(Version version, const Path *base, const ResourceDef *def, int accept,
                bool composite, Format *ret);

/* Gathers the values of target. answers holds what applications said, NULL when none were asked
 * yet; ask, if any, receives the paths (n = 3 or 4) they must be asked for first. -ENOENT nothing
 * there, -EPERM not readable, -EACCES hidden, or not for this server. */
int read_collect(const Dm *dm, const ReadTarget *target, const RecordList *answers, ReadResult *ret,
                 GArray *ask);
/* The second gathering, with what the applications have answered (any order, NULL for nothing). */
int read_collect_answered(const Dm *dm, const ReadTarget *target, const RecordList *records,
                          ReadResult *ret);
int read_encode(const Dm *dm, const ReadTarget *target, const ReadResult *result, GBytes **ret);

/* Answers rq, now or when applications have answered, with the values of target, whose paths are
 * taken over. observe starts an observation with it. */
int read_start(Request *rq, ReadTarget *target, bool observe);
int read_request(Request *rq);
/* For dm_read(). */
int read_local(Dm *dm, const Path *p, AppDone done, void *userdata);
