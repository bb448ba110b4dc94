/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Which application owns which paths (DBUS.md part 4, Claims). The longest claimed prefix wins; a
 * prefix is claimed once, or by several that all share it. A claim outlives its owner by its grace
 * period, so that a restarted application finds everything as it was; then on_vanish decides. */

#include "bus/owners.h"
#include "bus/sdbus.h"
#include "codec/path.h"
#include "util/timerq.h"

typedef enum OnVanish {
        ON_VANISH_KEEP, /* the claim ends, values stay */
        ON_VANISH_MARK, /* the claim stays without owner: what needs it answers 5.03 until somebody
                           claims again */
        ON_VANISH_REMOVE, /* the claim ends, the Object Instances below it are removed */
} OnVanish;

typedef struct Claim {
        uint32_t id;
        Owner *owner;         /* NULL once it vanished */
        const char *bus_name; /* of a standing claim (apps.d), which has no owner; else NULL */
        uid_t uid;
        char *handler; /* object path of the application's Handler */
        Path *prefixes;
        size_t n_prefixes;
        unsigned operations; /* APP_… */
        uint32_t timeout_ms, grace_ms;
        OnVanish on_vanish;
        bool share;
        Timer *grace;
} Claim;

typedef struct Claims Claims;

/* ended runs before a claim goes for another reason than Release: its grace period passed. */
Claims *claims_new(TimerQueue *timers, void (*ended)(void *userdata, const Claim *claim),
                   void *userdata);
Claims *claims_free(Claims *cs);
/* wanted's plain fields and prefixes are copied, its owner referenced. A vanished claim of the same
 * uid on the same prefixes gives way. -EEXIST with the other claim in *ret_other; -EDQUOT. */
int claims_add(Claims *cs, const Claim *wanted, uint32_t *ret_id, const Claim **ret_other);
int claims_release(Claims *cs, uint32_t id,
                   const Owner *owner); /* -ENOENT, -EACCES not its owner */
/* Ends the claims for which match() holds; told runs before each goes. */
void claims_drop(Claims *cs, bool (*match)(void *userdata, const Claim *claim),
                 void (*told)(void *userdata, const Claim *claim), void *userdata);
/* … and all with a prefix at or below that object. */
void claims_drop_object(Claims *cs, uint16_t object,
                        void (*told)(void *userdata, const Claim *claim), void *userdata);
void claims_vanished(Claims *cs, Owner *owner, uint64_t now_usec);
/* A claim that is there without its application, which the bus starts for a call; found where no
 * claim of somebody present is. Plain fields, texts and prefixes are copied. */
void claims_add_standing(Claims *cs, const Claim *claim);
void claims_clear_standing(Claims *cs);
/* Where its calls go: the owner, or the name the bus starts; NULL: the application has gone. */
const char *claim_address(const Claim *c);
/* The claims on the longest claimed prefix of p, in the order they were made; NULL when there is
 * none. */
const GPtrArray *claims_find(const Claims *cs, const Path *p);
void claims_foreach(const Claims *cs, void (*func)(void *userdata, const Claim *claim),
                    void *userdata);
void claims_foreach_standing(const Claims *cs, void (*func)(void *userdata, const Claim *claim),
                             void *userdata);
const Claim *claims_by_id(const Claims *cs, uint32_t id);
