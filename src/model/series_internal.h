/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What series.c (policies and samples), series_reader.c (who waits) and series_disk.c (what is
 * kept) share. */
#include "model/path_table.h"
#include "model/series.h"
#include "model/series_file.h"

typedef struct Cursor Cursor;

/* Where a reader stopped that has gone. */
typedef struct Left {
        uint64_t identity, acked;
        uint64_t sent;   /* all numbers below may have arrived, in a message … */
        uint32_t number; /* … of this number */
} Left;

#define LEFT_MAX 32 /* of one cache */

typedef struct Cache {
        Path path;
        ValueType type;
        SeriesPolicy policy;
        Ring ring;
        uint64_t first_seq; /* number of the ring's first sample */
        int64_t newest_ns;  /* INT64_MIN: none yet */
        uint64_t n_dropped;
        GPtrArray *cursors; /* Cursor, of the readers that cover it */
        GArray *left;       /* Left; only those that spare somebody a sample */
        bool kept;          /* on disk as well */
        uint32_t payer;     /* for whom the ring counts; 0: nobody */
} Cache;

struct Cursor {
        Cache *cache;
        SeriesReader *reader;
        uint64_t acked; /* all numbers below this one */
        uint64_t taken; /* and these are in the message; >= acked */
        uint64_t sent;  /* and these in one of which is not known whether it arrived */
};

struct SeriesReader {
        Series *series;
        uint64_t identity;
        Path *paths;
        size_t n_paths;
        GHashTable *cursors; /* Cache * -> Cursor *, owned */
        size_t budget, n_taken;
        uint32_t number; /* of the message that cursors mean with sent */
        bool repeating;  /* the message that was begun is that one again */
};

struct Series {
        SeriesConfig config;
        GHashTable *policies; /* Path -> SeriesPolicy * */
        GPtrArray *caches;    /* Cache *, owned, by path */
        GHashTable *readers;  /* Path -> GPtrArray of SeriesReader, under each of its paths */
        uint64_t n_bytes;     /* of all rings */
        GHashTable
                *payers; /* payer -> uint64_t *, bytes of his rings; only of those who have any */
        uint32_t payer;  /* whose samples come now */
        uint64_t n_added, n_dropped;
        uint64_t n_samples_kept; /* in caches that are kept: how large the file should be */
        bool clock_set;          /* until then there may be times since boot */
        SeriesFile *file;        /* NULL: nothing is kept */
        bool is_pending, loading, file_failed;
        void (*message)(void *userdata, int level, const char *text);
        void *message_userdata;
};

static inline uint64_t cache_end(const Cache *c) {
        return c->first_seq + c->ring.n;
}

/* Times since boot mean nothing to others. */
static inline bool cache_can_tell(const Series *s, const Cache *c) {
        return s->clock_set || c->newest_ns >= SERIES_TIME_MIN_NS;
}

/* series.c */
Cache *series_cache(const Series *s, const Path *p);
Cache *series_cache_make(Series *s, const Path *p, ValueType type, const SeriesPolicy *policy);
guint series_place(const Series *s, const Path *p); /* of the first cache not before p */
void cache_resize(Series *s, Cache *c, uint32_t size);
void cache_drop_first(Series *s, Cache *c, uint32_t n);
/* Samples from to (not with) end by time, the last of equal ones only. Returns how many. */
size_t cache_visit(const Series *s, const Cache *c, uint64_t from, uint64_t end, SeriesVisit visit,
                   void *userdata);
/* series_reader.c */
void cache_attach_readers(Series *s, Cache *c); /* a new cache */
void cache_detach_readers(Cache *c);            /* it goes */
void cache_leave(Cache *c, const Left *left);
/* Drops what every reader has acknowledged. */
void cache_release(Series *s, Cache *c);
/* series_disk.c; 0 at once for what is not kept. */
/* new_first: the number of the first sample that stays. */
int disk_added(Series *s, const Cache *c, const Sample *samples, size_t n, uint64_t new_first);
void disk_acked(Series *s, const Cache *c, uint64_t identity, uint64_t acked);
void disk_sent(Series *s, const Cache *c, const Left *left);
void disk_first(Series *s, const Cache *c, uint64_t new_first);
void disk_removed(Series *s, const Cache *c);
void disk_changed(Series *s, const Cache *c); /* in another way: anew as a whole */
bool disk_keeps(const Series *s, const Path *p);
