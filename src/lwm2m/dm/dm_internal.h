/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What the modules behind dm.h share: the two owners of all state, and a request on its way to an
 * answer. Only dm.c, operation.c, read.c, write.c, create.c, execute.c, discover.c, composite.c,
 * observe.c and bs_dm.c include it. */
#include <glib.h>

#include "lwm2m/access/access.h"
#include "lwm2m/dm/attr_store.h"
#include "lwm2m/dm/dm.h"
#include "lwm2m/dm/presence.h"

typedef struct Observation Observation;
typedef struct Observer Observer;   /* all observations: observe.h */
typedef struct Backlog Backlog;     /* notifications that could not be sent: backlog.h */
typedef struct Operation Operation; /* a request that waits for applications: operation.h */
typedef struct SendQueue SendQueue; /* of one server: send_queue.h */
typedef struct SendTask SendTask;

struct Dm {
        DmConfig config;
        Tree *tree;
        GHashTable *behaviours; /* object id -> GArray of registered behaviours */
        GQueue peers;           /* of Peer */
        GQueue operations;      /* of Operation */
        guint n_counted;        /* those of them that operations_max bounds */
        AttrStore *attrs;
        Access *access;
        bool discover_permitted;
        Observer *observer;
        GQueue sends; /* of SendJob */
        void (*doubt)(void *userdata, uint16_t ssid, uint64_t now_usec);
        void *doubt_userdata;
        uint64_t gone_delivered, gone_dropped; /* stored notifications of servers removed since */
        const Op *pending;                     /* of the commit under way */
        size_t n_pending;
        struct SamplePush *pushing; /* whose values are being set: samples of their own follow */
        bool clock_noted;           /* samples.h */
        bool (*sample_filter)(void *userdata, const Path *p, const Value *v, int64_t time_ns);
        void *sample_filter_userdata;
};

struct Peer {
        Dm *dm;
        uint16_t ssid;
        Version version;
        Link *link; /* NULL while not reachable */
        Presence presence;
        PresenceWake wake;
        void *wake_userdata;
        SendQueue *sends;
        GHashTable *observations; /* token (GBytes) -> Observation, owned by it */
        size_t n_observed_paths;
        guint n_on_way; /* confirmable notifications on their way … */
        GQueue ready;   /* … and observations that are due meanwhile, in order */
        Attrs defaults; /* 1/x/2 and 1/x/3, when defaults_known */
        bool defaults_known;
        GQueue unsaved; /* of Observation: observe_save.c */
        GArray *gone;   /* ids of those on disk that have ended */
        uint32_t run;   /* counts the processes that have held its observations */
        void (*unsaved_func)(void *userdata, bool began);
        void *unsaved_userdata;
        Timer *settle;    /* of observations of an earlier process; NULL: there were none */
        Backlog *backlog; /* NULL: nothing is kept for a server that is away */
        GList node;       /* in Dm.peers */
};

/* Whom to answer. Whoever holds exchange answers exactly once. */
typedef struct Responder {
        Dm *dm;
        Exchange *exchange;
} Responder;

typedef struct Request {
        Responder to;
        Dm *dm;
        Peer *peer;
        const Message *message;
        Path path;
        uint64_t now_usec;
        char text[256]; /* why it failed: the diagnostic payload */
} Request;

#define DIAGNOSTIC_MAX 240 /* bytes of a diagnostic payload */

void responder_send(Responder *to, const Message *response);
void responder_code(Responder *to, uint8_t code);
void responder_fail(Responder *to, int error, const char *text /* may be NULL */);
/* Notes why and returns error, for `return request_fail(…)`. */
int request_fail(Request *rq, int error, const char *format, ...)
        __attribute__((format(printf, 3, 4)));
const void *request_payload(const Request *rq, size_t *ret_n); /* NULL when empty */

/* The server leaves something unanswered, or does not know us: see dm_on_doubt(). */
void dm_doubt(const Dm *dm, uint16_t ssid, uint64_t now_usec);
bool dm_is_suspended(const Dm *dm); /* a hold, or the client's pause */

/* -EACCES for what no server may see: objects 0 (security) and 21 (OSCORE), whatever names them. */
int dm_access(const Path *p);
/* What dm_may() says of the requesting server, with the reason noted. */
int request_may(Request *rq, const Path *p, unsigned right);
static inline bool dm_is_hidden(uint16_t object) {
        return object == 0 || object == 21;
}

/* The version of a 1.1 server is at least 1.1 … */
static inline bool version_reaches(Version v, uint8_t major, uint8_t minor) {
        return v.major > major || (v.major == major && v.minor >= minor);
}

/* --- behaviours --- -ENOSYS when there is none for it. */
int dm_behaviour_read(const Dm *dm, const Path *p, Value *ret);
int dm_behaviour_execute(const Dm *dm, uint16_t ssid, const Path *p, const ExecuteArg *args,
                         size_t n_args, uint64_t now_usec);
bool dm_behaviour_executes(const Dm *dm, const Path *p); /* whether it would try */
/* One transaction with the behaviours in the way. */
int dm_commit(Dm *dm, const OpList *ops, Origin origin, uint16_t ssid, OpError *error,
              uint64_t now_usec);

static inline unsigned dm_claimed(const Dm *dm, const Path *p) {
        return dm->config.apps ? dm->config.apps->claimed(dm->config.apps_userdata, p) : 0;
}
