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

/* Policy for a prefix, longest wins; PERSIST_DEFAULT removes it. PERSIST_ALWAYS notes what is there
 * for the next sync, PERSIST_NEVER removes it from the disk, instances included, before it returns.
 * Account objects are always kept: -EPERM for less. -EDQUOT more than STORE_POLICIES_MAX. When an
 * app sets a value over one that the disk has, under a policy that does not store app values, the
 * disk keeps the older one: after a restart the server's last word is back. What an app deletes
 * goes from the disk in any case. */
#define STORE_POLICIES_MAX 65536
int store_set_policy(Store *s, const Path *prefix, Persist policy);
const char *persist_name(Persist policy); /* "default", "always", "server-writes", "never" */
int persist_from_name(const char *name, Persist *ret); /* -EINVAL */
/* Policies as text, a line of a path and a name each. -EBADMSG: those before the bad line count. */
int store_load_policies(Store *s, const char *text);
Persist store_policy(const Store *s,
                     const Path *path); /* the effective one, never PERSIST_DEFAULT */
/* Whether the value now in the tree at path would survive a restart. */
bool store_is_persisted(const Store *s, const Path *path);

/* Makes everything noted so far durable; returns after fdatasync. 0 at no cost when nothing is
 * pending. -ENOSPC, -EIO …: nothing was acknowledged, the journal is cut back to its last good
 * entry, and what was noted is tried again at the next call. */
int store_sync(Store *s);
/* Whether something waits for store_sync(): app values under PERSIST_ALWAYS and blobs. The caller
 * decides how long they may wait. */
bool store_pending(const Store *s);
void store_on_pending(Store *s, void (*func)(void *userdata),
                      void *userdata); /* nothing -> something */

#define STORE_PERSIST_BLOB "persist" /* policies set at run time, for store_load_policies() */
#define STORE_MODEL_PREFIX "model-"  /* blobs of Model.Define with persist: OMA XML texts */

#define STORE_BLOB_MAX (8U << 20)
#define STORE_BLOB_NAME_MAX 64

/* Small named blobs beside the tree for the layers above (registration state, Write-Attributes).
 * data NULL removes it. Durable with the next store_sync(). -EINVAL bad name, -E2BIG. */
int store_put_blob(Store *s, const char *name, const void *data, size_t n);
int store_get_blob(const Store *s, const char *name, GBytes **ret); /* -ENOENT */
void store_foreach_blob(const Store *s, const char *prefix,
                        void (*func)(void *userdata, const char *name, GBytes *blob),
                        void *userdata);

uint64_t store_n_syncs(const Store *s);
/* Forgets everything on disk (FactoryReset), former copies included; with keep_accounts the
 * accounts unit stays. The tree is left as it is: the caller empties or reloads it, and what
 * changes in it afterwards is stored as new. */
int store_reset(Store *s, bool keep_accounts);
/* What the files have of objects whose definition was not known when they were loaded is kept on
 * disk as it is. After definitions were added this puts it into the tree; returns how many entries.
 */
int store_adopt(Store *s);
