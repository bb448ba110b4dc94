/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Device Management & Service Enablement and Information Reporting interfaces (TS Core 1.1.1,
 * sections 6.3 and 6.4): turns a server's request into operations on the tree, asks the owning
 * applications, answers when they have. Also the local Execute and Read that D-Bus offers, which
 * take the same road. */
#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "lwm2m/access/access_policy.h"
#include "lwm2m/app.h"
#include "lwm2m/transport.h"
#include "model/series.h"
#include "model/tree.h"
#include "util/timerq.h"

typedef struct Dm Dm;
typedef struct Peer Peer; /* a server as dm and observe see it */

/* An object with behaviour of its own in the daemon (1, 3 …). Each function may be NULL; -ENOSYS
 * means "not mine, go on as usual". They answer at once. */
typedef struct Behaviour {
        /* A value computed when asked (3/0/13); the resource need not be in the tree for it to
         * exist. */
        int (*read)(void *userdata, const Path *p, Value *ret);
        /* Vetoes or takes a value about to be set (3/0/13, 1/x/1); 0 = taken (not stored in the
         * tree). */
        int (*write)(void *userdata, uint16_t ssid, const Path *p, const Value *v,
                     uint64_t now_usec);
        int (*execute)(void *userdata, uint16_t ssid, const Path *p, const ExecuteArg *args,
                       size_t n_args, uint64_t now_usec);
        /* Whether execute() is there for p, which Discover then lists; NULL: for every executable
         * resource. */
        bool (*executes)(void *userdata, const Path *p);
        /* Vetoes a server's (ssid > 0) or app's (0) Create or Delete: -EPERM … */
        int (*create)(void *userdata, uint16_t ssid, const Path *instance);
        int (*remove)(void *userdata, uint16_t ssid, const Path *instance);
} Behaviour;

typedef struct DmConfig {
        Tree *tree;
        TimerQueue *timers;
        const TransportOps *transport;
        const AppOps *apps; /* NULL without applications */
        void *apps_userdata;
        FormatLimits limits;
        uint32_t observations_max;          /* of all servers; 0 = 20000 */
        uint32_t observations_per_peer_max; /* 0 = 10000 */
        uint32_t operations_max; /* waiting for applications, of all servers; 0 = 256 -> 5.03 */
        uint32_t composite_paths_max; /* 0 = 1000 */
        uint32_t sends_max;           /* waiting for one server; 0 = 64 */
        uint64_t send_bytes_max;      /* in memory, waiting for one server; 0 = 4 MiB */
        uint64_t send_body_max;       /* more goes in several Sends; 0 = 64 KiB */
        uint64_t send_timeout_usec;   /* until a Send that has not got through ends; 0 = 1 h */
        bool non_confirmable;         /* notifications, where con does not say */
        Series *series;               /* borrowed, outlives the Dm; NULL: nothing is cached */
        /* Wall clock (UTC since 1970) and CLOCK_BOOTTIME in nanoseconds; NULL: the system's. */
        void (*clocks)(void *userdata, int64_t *ret_wall_ns, int64_t *ret_boot_ns);
        /* What happened to observations, for the event stream: "observer-added", … (DBUS.md part
         * 8). */
        void (*event)(void *userdata, const char *name, uint16_t ssid, const Path *path,
                      const char *why);
        void (*attributes_changed)(void *userdata); /* dm_save_attributes() would say something else
                                                       now; may be NULL */
        void *event_userdata;
} DmConfig;

Dm *dm_new(const DmConfig *config);
Dm *dm_free(Dm *dm);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Dm, dm_free)
void dm_add_behaviour(Dm *dm, uint16_t object, const Behaviour *behaviour, void *userdata);
/* For Behaviour.write: the value that the same transaction sets at p, wherever it stands in it;
 * NULL if it sets none. As it was given, not converted to the schema's type yet. */
const Value *dm_pending(const Dm *dm, const Path *p);

/* --- access control (access.h has the rules) --- */
/* What the configuration grants where no Access Control instance speaks; NULL: it says nothing.
 * Taken over. Object instances whose rule names an owner get an Access Control instance. */
void dm_set_access_policy(Dm *dm, AccessPolicy *policy);
/* permitted: Discover tells a server nothing of object instances that it may do nothing with. */
void dm_set_discover(Dm *dm, bool permitted);
/* Whether the server may do that (ACCESS_…) with the object instance of p; 0, -EACCES, or -EPERM.
 * Objects 0 and 21 are for no server. */
int dm_may(const Dm *dm, uint16_t ssid, const Path *p, unsigned right);

Series *dm_series(const Dm *dm); /* NULL without */
/* Policies of its caches were set by somebody else than samples_configure(). */
void dm_caches_changed(Dm *dm);

/* --- servers --- */
Peer *peer_new(Dm *dm, uint16_t ssid);
Peer *peer_free(Peer *p); /* its operations are answered 5.03, its observations removed */
/* NULL: not reachable; notifications wait. To be called before the link is closed: it takes back
 * what is on its way. */
void peer_set_link(Peer *p, Link *link);
void peer_set_version(Peer *p, Version version); /* agreed enabler version 1.0, 1.1, 1.2 */
/* The server has answered a Register or an Update: it knows us. See also presence.h. */
void peer_confirmed(Peer *p);
size_t peer_n_observations(const Peer *p);
/* A full Register drops every observation of the server (TS Core 1.1.1, 6.2.1); why goes into the
 * event. */
void peer_drop_observations(Peer *p, const char *why);
/* Everything the server has written with Write-Attributes, when its account goes for good. */
void peer_forget_attributes(Peer *p);
void peer_request(Peer *p, Exchange *x, const Message *request, uint64_t now_usec);
void peer_reset(Peer *p, GBytes *token, uint64_t now_usec); /* LinkEvents.reset */

/* --- everything --- */
/* What is to be done when it is in doubt whether a server still knows us: an Update, as soon as
 * possible; what is in doubt waits for peer_confirmed(). */
void dm_on_doubt(Dm *dm, void (*doubt)(void *userdata, uint16_t ssid, uint64_t now_usec),
                 void *userdata);
/* While suspended (client pause, D-Bus Hold) no notification leaves; afterwards each observation
 * with changes gets one with the final values. Calls nest. */
void dm_suspend_notifications(Dm *dm);
void dm_resume_notifications(Dm *dm, uint64_t now_usec);

/* Another application answers for p and what is below, or none: what is observed there may have
 * changed. */
void dm_owner_changed(Dm *dm, const Path *p);

/* Local Execute and Read on behalf of D-Bus: behaviour first, then the claiming application;
 * -ENOSYS when nobody handles the resource. done runs later (never inside), once; see AppDone.
 * dm_free() ends what still waits with -ECANCELED. */
int dm_execute(Dm *dm, const Path *p, const char *args, AppDone done, void *userdata,
               uint64_t now_usec);
int dm_read(Dm *dm, const Path *p, AppDone done, void *userdata, uint64_t now_usec);
/* A local change with behaviours in the way (vetoes), without asking applications. */
int dm_apply(Dm *dm, const Op *ops, size_t n, OpError *error, uint64_t now_usec);

/* tree_walk() over all that is there, asking no application: with the values that behaviours
 * compute, and with value NULL the resources without one that somebody answers for, and executable
 * ones that are mandatory or handled. -ENOENT when there is nothing at prefix. */
int dm_walk(const Dm *dm, const Path *prefix, TreeVisit visit, void *userdata);

/* Appends the objects (uint16_t) that applications offer to create instances of. */
void dm_offered_objects(const Dm *dm, GArray *ret);

/* --- for Data.List, ListObservations, and keeping attributes on disk --- */
typedef struct ObservationInfo {
        uint16_t ssid;
        const Path *paths;
        size_t n_paths;
        bool composite, pending;
        int format;
        uint64_t last_sent_usec, n_sent;
        GBytes *token;
        const char *attributes; /* effective ones of the first path, "pmin=1&pmax=60" */
} ObservationInfo;
void dm_foreach_observation(Dm *dm, uint16_t ssid /* 0 = all */,
                            void (*func)(void *userdata, const ObservationInfo *info),
                            void *userdata);
uint64_t dm_n_observations(const Dm *dm);
uint64_t dm_n_sends(const Dm *dm); /* waiting or under way */
/* Notifications kept for servers that were away, of all servers: those that wait, and what became
 * of others since the start. */
void dm_stored_notifications(const Dm *dm, uint64_t *ret_waiting, uint64_t *ret_delivered,
                             uint64_t *ret_dropped);
bool dm_is_observed(const Dm *dm, const Path *p); /* some observation covers p or is below it */
uint16_t *dm_observers(const Dm *dm, const Path *p,
                       size_t *ret_n); /* servers whose observations cover p; g_free() */
char *dm_attributes(const Dm *dm, uint16_t ssid,
                    const Path *p); /* the ones written at p, "" if none */

/* --- observations that outlive the process --- for keeper.c */
/* From now on unsaved() tells that peer_save_observations() has something to say. began: of an
 * observation whose server will be told in a moment. run: larger than in the processes before. */
void peer_keep_observations(Peer *p, uint32_t run, void (*unsaved)(void *userdata, bool began),
                            void *userdata);
/* What has changed since the last call: each observation as bytes, NULL when it has ended. */
void peer_save_observations(Peer *p, void (*put)(void *userdata, uint64_t id, GBytes *bytes),
                            void *userdata);
/* One that an earlier process has put; before anything is sent to the server. What it shows is
 * looked at when it changes, or at settled_usec: until then its values and instances may be missing
 * without ending it. digest from peer_foreach_notified(), 0 if not known: then it is notified in
 * any case. -EBADMSG, -EEXIST, -EDQUOT. */
int peer_restore_observation(Peer *p, uint64_t id, GBytes *bytes, uint64_t digest,
                             uint64_t settled_usec, uint64_t now_usec);
/* What the server knows of each, where that is known. */
void peer_foreach_notified(const Peer *p,
                           void (*func)(void *userdata, uint64_t id, uint64_t digest),
                           void *userdata);

/* All Write-Attributes of all servers as one CBOR blob, and back (-EBADMSG changes nothing). */
GBytes *dm_save_attributes(const Dm *dm);
int dm_load_attributes(Dm *dm, GBytes *blob);
