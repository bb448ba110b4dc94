/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What a Send takes to one server, body by body: records that were gathered once and are shared by
 * the servers, and the samples of caches, which are taken when a body is made and leave their
 * caches when the server has acknowledged it. */
#include "codec/format.h"
#include "lwm2m/dm/dm_internal.h"

typedef struct SendContent {
        unsigned n_refs;
        Format format;
        RecordList records; /* in path order */
        GArray *cached;     /* of Path, in order: resources whose samples go, too; NULL: none */
        size_t size;        /* bytes in memory */
} SendContent;

SendContent *send_content_new(Format format, RecordList *records /* taken over */);
SendContent *send_content_ref(SendContent *c);
SendContent *send_content_unref(SendContent *c);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SendContent, send_content_unref)

typedef struct SendSource SendSource;

/* Of the caches only what the server may read; what is in them from now on waits for it. */
SendSource *send_source_new(const Dm *dm, uint16_t ssid, SendContent *content);
/* What was not acknowledged stays in its caches. */
SendSource *send_source_free(SendSource *s);
/* The next body: of as many records and samples as fit into bytes_max, at least one. -ENODATA:
 * there is none; -ENOTSUP the format cannot carry a value. */
int send_source_make(SendSource *s, size_t bytes_max, GBytes **ret, size_t *ret_n);
/* The body that was made last has arrived. True: it was the last one. A sample that came after the
 * first body was made is for the next Send. */
bool send_source_acknowledge(SendSource *s);
const SendContent *send_source_content(const SendSource *s);
