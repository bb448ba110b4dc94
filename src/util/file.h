/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Files of a state directory, by name relative to its descriptor: read whole with a bound, replaced
 * as a whole. Everything written is mode 0600. */
#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FILE_NAME_LENGTH_MAX 200

/* The whole of a regular file of ours or root's, into memory the caller wipes and frees with
 * g_free(); never NULL. -ENOENT, -EFBIG more than max bytes, -EPERM another owner, -EINVAL no
 * regular file, -ENOMEM, -EIO …. A mode that lets others in is corrected, *ret_was_open says so. */
int file_read_at(int dirfd, const char *name, uint64_t max, uint8_t **ret, size_t *ret_n,
                 bool *ret_was_open);
int file_write_all(int fd, const void *data, size_t n);
/* Puts new content in place of NAME: temporary NAME.tmp, fsync, rename; with keep_old the former
 * one stays as NAME.old. At every moment NAME or NAME.old is whole. The caller syncs the folder. On
 * failure (-ENOSPC, -EDQUOT, -EIO …) NAME is as before. */
int file_replace_at(int dirfd, const char *name, const void *data, size_t n, bool keep_old);
/* Moves a damaged file out of the way, to NAME.bad-0 … NAME.bad-4; when all exist the oldest goes.
 * Returns the number. */
int file_set_aside_at(int dirfd, const char *name);
int file_sync_directory(int dirfd);
/* Adds the names in a folder that end in suffix and do not begin with '.', owned, in their order.
 * -ENOENT, -ENOTDIR, -EACCES …. */
int file_list(const char *folder, const char *suffix, GPtrArray *ret);
