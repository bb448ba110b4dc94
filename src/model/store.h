/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Keeps the tree on disk: one CBOR file per object (objects 0, 1, 2 and 21 and the account state as
 * one unit, accounts.cbor) plus a journal of the changes since. A change costs what it changes: it
 * is appended to the journal; when the journal outgrows its limit the touched objects are written
 * anew (temporary, fsync, rename, fsync of the folder, the former copy kept until the next is good)
 * and the journal starts over. Every file has a magic, a format version and a checksum; journal
 * entries have one each and a sequence number that the object files repeat, so replaying is
 * idempotent. */
#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "model/tree.h"

typedef enum Persist {
        PERSIST_DEFAULT, /* inherit: server-writes for app values, always for accounts and created
                            instances */
        PERSIST_ALWAYS,
        PERSIST_SERVER_WRITES,
        PERSIST_NEVER,
} Persist;

typedef struct StoreConfig {
        const char *directory;      /* created 0700 when missing */
        uint64_t journal_bytes_max; /* compaction threshold; 0 = 1 MiB */
        uint64_t file_bytes_max;    /* refuse to load a larger file; 0 = 256 MiB */
        uint64_t batch_usec;        /* how long app values may wait in memory; 0 = 1 s */
} StoreConfig;

typedef struct Store Store;

/* In tree_commit()'s prepare step the store journals and fdatasyncs what must be durable before an
 * answer (server writes, accounts, created instances of any origin but ORIGIN_INTERNAL); if that
 * fails the transaction is refused. App values under PERSIST_ALWAYS wait for the batch. */

/* Opens and locks the directory (a second daemon gets -EBUSY), loads what is there into tree and
 * listens to its commits from then on. message() is told of every file set aside, refused or
 * repaired, one line each. -EACCES/-EROFS/-ENOTDIR… when the directory cannot be used. */
int store_open(const StoreConfig *config, Tree *tree,
               void (*message)(void *userdata, int level, const char *text), void *userdata,
               Store **ret);
/* Writes everything out and closes; NULL is fine. */
Store *store_close(Store *s);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Store, store_close)

/* Policy for a prefix, longest wins; PERSIST_DEFAULT removes it. Changing it writes or drops what
 * is there. */
int store_set_policy(Store *s, const Path *prefix, Persist policy);
Persist store_policy(const Store *s,
                     const Path *path); /* the effective one, never PERSIST_DEFAULT */
/* Whether the value now in the tree at path would survive a restart. */
bool store_is_persisted(const Store *s, const Path *path);

/* Makes everything noted so far durable; returns after fdatasync. 0 at no cost when nothing is
 * pending. -ENOSPC, -EIO …: nothing was acknowledged, the journal is cut back to its last good
 * entry, and what was noted is tried again at the next call. */
int store_sync(Store *s);
/* When pending app values must be on disk (now_usec time line of the caller: note_usec is when the
 * oldest pending change was made); USEC_INFINITY when nothing is pending. The caller arms a timer.
 */
bool store_pending(const Store *s);
void store_on_pending(Store *s, void (*func)(void *userdata),
                      void *userdata); /* nothing -> something */

#define STORE_MODEL_PREFIX "model-" /* blobs of Model.Define with persist: OMA XML texts */

/* Small named blobs beside the tree for the layers above (registration state, Write-Attributes);
 * part of the accounts unit when account is true. data NULL removes it. Durable with the next
 * store_sync(). */
int store_put_blob(Store *s, const char *name, const void *data, size_t n);
int store_get_blob(const Store *s, const char *name, GBytes **ret); /* -ENOENT */
void store_foreach_blob(const Store *s, const char *prefix,
                        void (*func)(void *userdata, const char *name, GBytes *blob),
                        void *userdata);

uint64_t store_n_syncs(const Store *s);
/* Forgets everything on disk (FactoryReset); with keep_accounts the accounts unit stays. */
int store_reset(Store *s, bool keep_accounts);
