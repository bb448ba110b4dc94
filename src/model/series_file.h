/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The file "samples" of the state directory: frames as in the store (store_format.h), each a group
 * of entries that counts as a whole. An entry is a CBOR array:
 *   [0, [path], type, number of the first, times, values]   samples; both arrays of little-endian
 *                                                           64-bit words in byte strings
 *   [1, [path], identity, number]     a reader has acknowledged everything below the number
 *   [2, [path], number]               everything below the number has gone
 *   [3, [path]]                       the cache has gone
 *   [4, [path], identity, number, message]   everything below the number was sent, at the last in
 * the message of that number */
#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "codec/path.h"
#include "codec/reader.h"
#include "model/series.h"

typedef enum SeriesEntryKind {
        ENTRY_SAMPLES,
        ENTRY_ACKED,
        ENTRY_FIRST,
        ENTRY_GONE,
        ENTRY_SENT
} SeriesEntryKind;

typedef struct SeriesEntry {
        SeriesEntryKind kind;
        Path path;
        ValueType type;
        uint64_t seq, identity;
        uint32_t number;
        size_t n;
        Reader times, values; /* n words each */
} SeriesEntry;

/* The next entry of a frame's payload: 1, 0 at the end, -EBADMSG. */
int series_entry_next(Reader *in, SeriesEntry *ret);
Sample series_entry_sample(const SeriesEntry *e, size_t i);
void series_put_samples(GByteArray *out, const Path *p, ValueType type, uint64_t seq,
                        const Sample *samples, size_t n);
void series_put_acked(GByteArray *out, const Path *p, uint64_t identity, uint64_t seq);
void series_put_sent(GByteArray *out, const Path *p, uint64_t identity, uint64_t seq,
                     uint32_t number);
void series_put_first(GByteArray *out, const Path *p, uint64_t seq);
void series_put_gone(GByteArray *out, const Path *p);

struct SeriesFile {
        int dirfd; /* borrowed */
        int fd;    /* -1: nothing can be appended until it is written anew */
        uint64_t size;
        bool dirty; /* not synced yet */
};

/* Calls entry for each of the file's whole frames' entries. *ret_torn: bytes at the end that are no
 * whole frame. -ENOENT no file, -EBADMSG no header, -EPROTONOSUPPORT a later format. */
int series_file_read(const void *data, size_t n,
                     void (*entry)(void *userdata, const SeriesEntry *e), void *userdata,
                     size_t *ret_torn);
SeriesFile *series_file_new(int dirfd);
SeriesFile *series_file_free(SeriesFile *f);
int series_file_open(SeriesFile *f, size_t size); /* a whole file of that size, to append to */
/* Appends a frame around entries; not synced. On failure the file is cut back, and closed if even
 * that fails. */
int series_file_append(SeriesFile *f, const GByteArray *entries);
/* The file anew, with these frames of entries; synced. */
int series_file_replace(SeriesFile *f, const GPtrArray *frames /* of GByteArray */);
int series_file_sync(SeriesFile *f);
