/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Bus clients that hold something of ours: claims, subscriptions, holds. One Owner a unique name,
 * with its uid asked of the bus once; told when it leaves the bus. Quotas count per uid. */
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "bus/sdbus.h"

typedef struct Owners Owners;
typedef struct Owner Owner;

typedef enum Quota { QUOTA_CLAIMS, QUOTA_SUBSCRIPTIONS, QUOTA_FDS, _QUOTA_MAX } Quota;

/* vanished runs when a name with references left the bus (also for all of them when the bus is
 * lost); whoever holds references drops them then. */
Owners *owners_new(const uint32_t quotas[static _QUOTA_MAX],
                   void (*vanished)(void *userdata, Owner *o), void *userdata);
Owners *owners_free(Owners *os);
void owners_drop_all(Owners *os); /* the bus is gone */

/* A bus has 512 match rules for one connection; with more than that it would close ours. */
#define OWNERS_MAX 448
#define OWNERS_OF_USER_MAX 128

/* The sender of m, with one more reference. Asks the bus for its uid the first time. -EDQUOT: too
 * many are followed already, in all or of this user. */
int owners_get(Owners *os, sd_bus_message *m, Owner **ret);
Owner *owner_ref(Owner *o);
Owner *owner_unref(Owner *o);
const char *owner_name(const Owner *o);
uid_t owner_uid(const Owner *o);
/* Takes one of the uid's places; -EDQUOT with the limit in *ret_limit. Given back with
 * owner_give_back(). */
int owner_take(Owner *o, Quota q, uint32_t *ret_limit);
void owner_give_back(Owner *o, Quota q);
