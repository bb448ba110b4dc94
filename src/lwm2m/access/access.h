/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Access control (TS Core 1.1.1, section 8; TS 1.0.2, section 7.3): which server may do what with
 * which object instance. Every operation asks here, for each object instance it touches.
 *
 * With one server account there is nothing to decide: it may do everything (8.2.1), object 2 or
 * not. With more of them, in this order:
 * - the Access Control instance about the object instance: the server's own ACL entry; without one
 *   everything for the owner, the default entry (resource instance 0) for others, or nothing;
 * - where there is no such instance, the policy of the configuration;
 * - without a policy: nothing, if a bootstrap has provided Access Control instances (any whose
 *   owner is 65535), since it then meant all; and everything, if nobody has.
 * Create is a right on the object: that of the server's own entry in the instance for /O/65535.
 * Discover needs no right: the table in 8.2 has none for it, and on an object it must be done
 * (8.2.4), for all instances (6.3.2). To tell less is a setting of discover.c. Object 2 itself: all
 * may read it, the owner of an instance may write it, and no server creates, deletes or executes
 * there. Local requests (server 0) and bootstrap are not asked.
 *
 * A decision is a look-up in a hash table and two or three in the tree. */
#include "lwm2m/access/access_policy.h"
#include "lwm2m/ops.h"

enum { OBJECT_ACCESS_CONTROL = 2 };

typedef struct Access Access;

Access *access_new(Tree *tree);
Access *access_free(Access *a);
/* NULL: none. Taken over. */
void access_set_policy(Access *a, AccessPolicy *policy);
bool access_is_enforced(const Access *a); /* more than one account */
/* ACCESS_… of the object instance (p->n >= 2), or of the object, of which Create alone counts. */
unsigned access_rights(const Access *a, uint16_t ssid, const Path *p);
/* -EACCES unless ssid has right there; -EPERM for what nobody has on object 2. 0 for ssid 0. */
int access_check(const Access *a, uint16_t ssid, const Path *p, unsigned right);

/* --- following the tree --- */
/* To be told of every commit. Whether what servers may do has changed for everything (accounts came
 * or went); what changes in object 2 alone is given to affected(), one object instance a call. */
bool access_follow(Access *a, const Change *changes, size_t n,
                   void (*affected)(void *userdata, const Path *instance), void *userdata);

/* --- keeping object 2 in step (access_keep.c) --- */
/* What must be done in the same transaction as ops of ssid (0: the device's): an Access Control
 * instance with each object instance it creates, owned by that server or as the policy says, and
 * away with that of each one it deletes. -ENOSPC: no number is left, for a server. */
int access_extend(const Access *a, const Op *ops, size_t n, uint16_t ssid, OpList *extra);
/* Transactions of their own, for changes that did not come as operations: instances whose rule of
 * the policy names an owner get theirs, and those about deleted instances go. */
void access_complete(Access *a);
void access_drop_deleted(Access *a, const Change *changes, size_t n);
/* Servers whose account has gone since the last call lose their entries, and what they owned: to
 * the server with most of the rights Write and Delete, or, if it alone had access, the object
 * instance goes, too, unless the device made it (TS Core 1.1.1, appendix E.1.3). */
void access_forget_servers(Access *a);
