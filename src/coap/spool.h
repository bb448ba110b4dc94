/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A body that arrives in pieces: small ones are kept in memory, larger ones go to a file without a
 * name, so that a download takes room on the disk and not in memory. */
#include <glib.h>
#include <stddef.h>
#include <stdint.h>

#define SPOOL_MEMORY_MAX (64u * 1024) /* above this a body is in a file */

typedef struct Spool Spool;

/* directory (borrowed) is where the file goes if one is needed; NULL: /var/tmp. */
Spool *spool_new(const char *directory, size_t size_max);
Spool *spool_free(Spool *s);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Spool, spool_free)

/* -EFBIG above size_max; -ENOSPC, -EACCES … of the file. After an error the spool is of no more
 * use. */
int spool_append(Spool *s, const void *data, size_t n);
size_t spool_size(const Spool *s);
/* The whole body, mapped when it is in a file; lives on its own. s is to be freed next. */
int spool_finish(Spool *s, GBytes **ret);
