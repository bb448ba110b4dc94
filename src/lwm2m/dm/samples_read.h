/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Samples on their way out: what was read (read.h), with the samples of cached resources in place
 * of their latest values. For formats with time (format_has_time()). */
#include "lwm2m/dm/read.h"
#include "lwm2m/dm/samples.h"

/* For Read: all samples that are in the caches, as the policies want it; nothing leaves. *ret has
 * borrowed values, of in and of nobody (numbers), as have those of the next one. */
void samples_read(const Dm *dm, const ReadResult *in, ReadResult *ret);
/* For a message to one server: at most max samples that reader has not had yet. To be followed by
 * series_reader_ack() when the message has arrived; otherwise the next one has them again. Returns
 * how many. */
size_t samples_take(const Dm *dm, const ReadResult *in, SeriesReader *reader, size_t max,
                    ReadResult *ret);

#define SAMPLES_BODY_MAX 1024U              /* bytes of a body with samples: one block */
#define SAMPLES_BODY_BLOCKS_MAX (16U << 10) /* where other values alone are more than that */

/* The same as a body for target, with as many samples as fit. The acknowledgement of a notification
 * in blocks is one of its first block, so it has no blocks if that can be avoided; for a request in
 * blocks, which is answered as a whole, limit may be more. */
int samples_take_body(const Dm *dm, const ReadTarget *target, const ReadResult *in,
                      SeriesReader *reader, size_t limit, GBytes **ret);
