/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Who calls: the user behind a unique name, what the rules grant him, and how much he may ask of us
 * at once. The bus is asked once for each name. Unique names are not used again while a bus lives,
 * so what was learnt holds until the connection ends; the table is bounded all the same. */

#include "bus/grants.h"
#include "bus/sdbus.h"

typedef struct Senders Senders;

typedef struct Sender {
        uid_t uid;
        GrantView view;
} Sender;

typedef struct SenderLimits {
        uint32_t calls;  /* of one user that wait for applications */
        uint64_t values; /* set by one user in a second */
} SenderLimits;

Senders *senders_new(Grants *g, const SenderLimits *limits); /* g gets one more reference */
Senders *senders_free(Senders *s);
void senders_set_grants(Senders *s, Grants *g);
const Grants *senders_grants(const Senders *s);
void senders_forget(Senders *s); /* the bus is gone */

/* Borrowed until the next call here. -EACCES: nobody knows who it is (it has left already). */
int senders_get(Senders *s, sd_bus *bus, const char *name, const Sender **ret);
/* Places of waiting calls: -EDQUOT, or given back later. */
int senders_take_call(Senders *s, uid_t uid);
void senders_give_call(Senders *s, uid_t uid);
/* n values more: -EDQUOT when that is too many for this second. */
int senders_spend(Senders *s, uid_t uid, uint64_t n, uint64_t now_usec);
const SenderLimits *senders_limits(const Senders *s);
