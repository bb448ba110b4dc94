/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What store.c (policy and commits), store_load.c (reading) and store_write.c (files) share. */
#include "model/journal.h"
#include "model/path_table.h"
#include "model/store.h"
#include "model/store_format.h"
#include "model/tree_marks.h"
#include "util/log.h"

enum { UNIT_ACCOUNTS = -1, UNIT_BLOBS = -2 }; /* others: the object's number */

/* Something the disk has and the tree cannot: its definition is missing or no longer fits. */
typedef struct Orphan {
        OpKind kind;
        Path path;
        GByteArray *raw; /* wiped when freed */
} Orphan;

/* What one file holds. */
typedef struct Unit {
        int id;
        char *name;
        uint64_t seq;                 /* its file has everything up to here */
        uint64_t size;                /* of its file */
        bool touched;                 /* the journal has more, or the file is not good */
        GPtrArray *orphans;           /* Orphan *, in the order they are applied; NULL: none */
        GHashTable *orphan_instances; /* Paths with an OP_ENSURE among them */
} Unit;

struct Store {
        Tree *tree;
        char *directory;
        int dirfd; /* open and locked */
        uint64_t journal_bytes_max, file_bytes_max;
        void (*message)(void *userdata, int level, const char *text);
        void *message_userdata;
        Journal journal;
        uint64_t seq, n_syncs;
        uint64_t compact_at;  /* journal size */
        int compact_error;    /* the last one told */
        GHashTable *units;    /* id -> Unit *, owned */
        GHashTable *policies; /* Path -> Persist */
        GHashTable *dirty;    /* Paths of app values that wait to be written */
        GHashTable *shadows; /* Path -> Value *: what the disk has where the tree has a newer one */
        GHashTable *blobs;   /* name -> GBytes */
        GHashTable *dirty_blobs; /* names */
        GByteArray *ops;         /* being put together; empty between calls */
        bool replaying;          /* our own transactions are not stored */
        bool orphans_told;
        void (*on_pending)(void *userdata);
        void *pending_userdata;
};

void store_message(const Store *s, int level, const char *format, ...)
        __attribute__((format(printf, 3, 4)));
bool store_is_account(uint16_t object);
int store_unit_id(const Path *p);
Unit *store_unit(Store *s, int id); /* made when missing */
char *store_unit_file(const Unit *u);
void unit_add_orphan(Unit *u, const StoreOp *op);
void unit_drop_orphans(Unit *u, const Path *below);
void unit_clear_orphans(Unit *u);
bool unit_has_orphan(const Unit *u, const Path *at_or_below);
bool unit_has_orphan_instance(const Unit *u, const Path *p); /* the object instance of p */
void store_unit_free(void *unit);
void path_table_drop(GHashTable *table, const Path *below);
/* The disk has this path now: marks it and everything above. */
void store_mark_stored(Store *s, const Path *p);
/* What the disk has at p: the shadow or the tree's value. */
const Value *store_disk_value(const Store *s, const Path *p, const Value *v);

/* store_commit.c */
int store_on_prepare(void *userdata, Origin origin, uint16_t ssid, const Change *changes, size_t n);
void store_note_pending(Store *s);
GPtrArray *store_sorted_keys(GHashTable *table, GCompareFunc compare); /* borrowed */
/* store_load.c */
int store_load(Store *s);
int unit_adopt(Store *s, Unit *u);
void store_report_orphans(const Store *s, int level);
/* store_write.c: what a file of the unit holds, appended to out; writing every touched unit and
 * starting the journal over. */
void unit_serialize(Store *s, Unit *u, GByteArray *out);
int store_compact(Store *s);
void store_compact_if_due(Store *s);
int store_append(Store *s, GByteArray *ops); /* one durable entry; wipes ops when that worked */
void store_remove_former(Store *s, bool keep_accounts);
