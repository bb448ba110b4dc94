/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Which users of the bus may do what with which paths: the rules of access.d and the reservations
 * of apps.d (DBUS.md part 6). Pure: who somebody is, is the caller's to find out.
 *
 * Root and the daemon's own user may do everything. Without any rule everybody who may send to the
 * daemon at all (the policy of the bus) may do everything but what is for administrators; with
 * rules, only what one of them grants. */
#include <glib.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "codec/path.h"

typedef enum Right { /* names in lower case are what access.d says */
                     RIGHT_GET = 1 << 0,
                     RIGHT_SET = 1 << 1,
                     RIGHT_PUSH = 1 << 2,
                     RIGHT_CREATE = 1 << 3,
                     RIGHT_DELETE = 1 << 4,
                     RIGHT_CLAIM = 1 << 5,
                     RIGHT_EXECUTE = 1 << 6,
                     RIGHT_SEND = 1 << 7,
                     RIGHT_CONFIGURE = 1 << 8,
                     /* of no path */
                     RIGHT_HOLD = 1 << 9,
                     RIGHT_EVENTS = 1 << 10,
                     RIGHT_ADMIN = 1 << 11, /* Manager, Server, Model; changing objects 1 and 2 */
                     /* Nobody has it without a rule that says so; administrators do. */
                     RIGHT_CREDENTIALS = 1 << 12,
} Right;
#define RIGHT_ALL (RIGHT_ADMIN - 1U) /* what "all" means in access.d: not admin */
#define RIGHT_OF_PATH (RIGHT_HOLD - 1U)

typedef struct Subject {
        uid_t uid;
        const gid_t *gids;
        size_t n_gids;
} Subject;

typedef struct GrantRule {
        char *name;      /* of its section, for messages */
        GArray *uids;    /* uid_t */
        GArray *gids;    /* gid_t; the rule is for all of these and those */
        GArray *paths;   /* Path; none: every path */
        unsigned rights; /* RIGHT_… */
} GrantRule;
GrantRule *grant_rule_new(const char *name);
GrantRule *grant_rule_free(GrantRule *r);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(GrantRule, grant_rule_free)

#define PROVIDERS_MAX 64u      /* of credentials */
#define PROVIDER_OF_ALL 65535u /* no Short Server ID: all servers */

/* Paths that only the owner of a well-known bus name may claim. With operations, calls for them go
 * to that name while nobody has claimed them: the bus starts the application then. */
typedef struct Reservation {
        char *bus_name, *handler; /* object path of the application's Handler; NULL */
        GArray *paths;            /* Path */
        GArray *credentials; /* uint16_t: servers it provides the credentials of (providers.h) */
        unsigned operations; /* APP_…; 0: it is not started */
        uint32_t timeout_ms;
} Reservation;
Reservation *reservation_new(const char *bus_name);
Reservation *reservation_free(Reservation *r);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Reservation, reservation_free)

typedef struct Grants Grants;
Grants *grants_new(void);
Grants *grants_ref(Grants *g);
Grants *grants_unref(Grants *g);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Grants, grants_unref)
void grants_add(Grants *g, GrantRule *rule);              /* taken over */
void grants_reserve(Grants *g, Reservation *reservation); /* taken over */
bool grants_has_groups(const Grants *g); /* some rule is for a group: subjects need theirs */

/* The rules that are for somebody, to be asked many times; valid while g lives. */
typedef struct GrantView {
        bool everything;  /* root, or the daemon's user */
        bool open;        /* there are no rules */
        GPtrArray *rules; /* const GrantRule, borrowed from Grants */
} GrantView;
void grants_view(const Grants *g, const Subject *who, GrantView *ret);
void grant_view_clear(GrantView *v);
/* path NULL: the right is of no path. The path and all below it. */
bool grant_view_may(const GrantView *v, Right right, const Path *path);
/* Whether right is granted for something at, above or below path: what of it, must be asked again.
 */
bool grant_view_may_some(const GrantView *v, Right right, const Path *path);

void grants_foreach_reservation(const Grants *g, void (*func)(void *userdata, const Reservation *r),
                                void *userdata);
/* The reservation that path falls under, or that falls under path; NULL if there is none. */
const Reservation *grants_reserved(const Grants *g, const Path *path);

const char *right_name(Right right);
int right_from_name(const char *name, unsigned *ret); /* "all" is several; -EINVAL */
