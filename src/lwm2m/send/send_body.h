/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Bodies of Send (TS Core 1.1.1, section 6.4.3): a long list of records becomes several bodies, cut
 * between records only. */
#include "codec/format.h"

/* The body of the first *ret_n of n records (in path order, n > 0): as many as fit into bytes_max,
 * at least one, however long. -ENOTSUP the format cannot carry a value. */
int send_body_make(Format f, const Record *records, size_t n, size_t bytes_max,
                   const FormatSchema *schema, GBytes **ret, size_t *ret_n);
/* Memory a record takes while it waits. */
size_t send_record_size(const Record *r);
