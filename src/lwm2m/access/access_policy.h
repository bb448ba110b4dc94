/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What the owner of the box grants to servers ([AccessControl] of the configuration): rules for an
 * object instance, for an object, and for all the rest; the most specific one decides alone. They
 * hold where no Access Control instance (object 2) speaks of an object instance. */
#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "codec/path.h"

/* Bits of 2/x/2 (TS Core 1.1.1, appendix E.3). READ stands for Observe and Write-Attributes, too.
 */
enum {
        ACCESS_READ = 1,
        ACCESS_WRITE = 2,
        ACCESS_EXECUTE = 4,
        ACCESS_DELETE = 8,
        ACCESS_CREATE = 16,
        ACCESS_ALL = 31,
};

#define ACCESS_ENTRIES_MAX 256 /* in one rule */

typedef struct AccessEntry {
        uint16_t ssid;  /* 0: every server without an entry of its own, as in 2/x/2 */
        uint8_t rights; /* ACCESS_… */
} AccessEntry;

typedef struct AccessRule {
        GArray *entries; /* AccessEntry, by ssid */
        uint16_t owner;  /* ID_RESERVED: none */
} AccessRule;

typedef struct AccessPolicy AccessPolicy;

AccessPolicy *access_policy_new(void);
AccessPolicy *access_policy_ref(AccessPolicy *p);
AccessPolicy *access_policy_unref(AccessPolicy *p);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AccessPolicy, access_policy_unref)
/* A rule for path (the root: for all that no other rule is about), in place of a former one. text
 * has words "101:RW", "*:R", "102:none" and "owner:101"; without any, nobody may do anything.
 * -EINVAL with *ret_why (g_free()): path is no object or object instance or one that rules cannot
 * be about, or text is wrong. */
int access_policy_add(AccessPolicy *p, const Path *path, const char *text, char **ret_why);
/* Of an object (n = 1) or object instance; NULL when there is none. */
const AccessRule *access_policy_find(const AccessPolicy *p, const Path *path);
/* What the rule says of ssid: its own entry, everything but Create for the owner, or the entry of
 * all. */
unsigned access_rule_rights(const AccessRule *r, uint16_t ssid);
