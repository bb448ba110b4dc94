/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* One observation, as the modules behind observe.h share it: observe.c (who and where),
 * observe_attrs.c (by which attributes), judge.c (what is worth telling), evaluate.c (asking
 * applications), notify.c (when, and getting it out) and notify_body.c (what it says). */
#include "lwm2m/observe/observe.h"
#include "lwm2m/observe/observe_save.h"
#include "lwm2m/observe/path_index.h"
#include "lwm2m/observe/reference.h"
#include "lwm2m/observe/timing.h"

#define OBSERVE_MASK 0xffffff /* 24 bits: RFC 7641, section 2 */

typedef struct Evaluation Evaluation; /* evaluate.h */

struct Observer {
        Dm *dm;
        PathIndex *index;
        guint n;
        GQueue queue; /* of Observation: to be looked at in this turn of the loop */
        Timer *flush;
        unsigned n_suspended;
        bool withdrawn;     /* a notification was taken back: others may go instead */
        GHashTable *bodies; /* notify_body.c, while flushing */
};

/* The paths of a composite observation have periods of their own. */
typedef struct PathState {
        uint32_t pmin;  /* seconds */
        bool triggered; /* what is pending is (also) about this path */
} PathState;

struct Observation {
        Peer *peer;
        Observer *observer;
        GBytes *token;
        GBytes *request_key; /* Message.request_key; NULL */
        ReadTarget target;
        Attrs *own;             /* of the Observe request itself, LwM2M 1.2; NULL none */
        PathState *path_states; /* composite: as target.paths; NULL else */
        SeriesReader *reader;   /* of the caches it covers; NULL: its format has no time */
        References *references; /* of values with conditions (judge.c) */
        uint64_t digest;        /* of the values told last; 0: not known what the server has */
        uint64_t n_sent, last_confirmed_usec; /* …: of the last confirmable one, or the request */
        Moments moments;
        Periods periods; /* effective unless stale; a composite's pmin is in path_states */
        uint32_t sequence;
        uint8_t pending, asked; /* Pending; asked: what the evaluation under way is about */
        int8_t confirmable;     /* as attributes say; -1 when they do not */
        bool established;
        bool stale,
                stale_pmin; /* periods and the like, a composite's pmin, are to be found again */
        bool conditioned;   /* some value in it may have conditions */
        bool elsewhere;     /* some value in it has to be asked for */
        bool untold;        /* what the server should know was dropped: backlog.c */
        bool check_gone;    /* the observed path was deleted, if only for a moment */
        bool call_confirmable;
        Observation **job;      /* of the answer that will establish it */
        Call *call;             /* notification on its way */
        Evaluation *evaluation; /* of applications, for the next notification */
        Timer *timer;           /* made when first needed */
        GQueue *in;             /* where queue_node is: observer->queue, peer->ready or nowhere */
        GList queue_node;
        uint32_t hqmax; /* kept at most while the server is away */
        void *kept;     /* backlog.c; NULL: nothing is kept */
        /* observe_save.c */
        uint64_t id;             /* on disk; 0: has none */
        uint32_t sequence_saved; /* none at or above it is used before it is raised on disk */
        bool saved, unsaved;     /* is on disk; has something to be written */
        bool settling;           /* after a restart its values may still be missing */
        GList save_node;
};

/* notify.c */
void notify_queue(Observation *o); /* looks at it in this turn of the loop */
/* Something at path is to be told (NULL: at any), or may have to be; below: and below it. */
void notify_mark(Observation *o, Pending pending, const Path *path, bool below);
void notify_process(Observation *o, uint64_t now_usec); /* sends or sets its timer; may end o */
void notify_on_flush(void *userdata, uint64_t now_usec);
/* What an evaluation brought; error as of AppDone. May end o. */
void notify_on_evaluated(Observation *o, int error, const RecordList *records, uint64_t now_usec);
void notify_withdraw(Observation *o); /* takes back what is on its way, leaves its queue */
void notify_lost(Observation *o);     /* what was sent may not have arrived: tells again */
/* observe.c */
void observation_end(Observation *o, const char *why); /* with its event; frees o */
void observe_event(const Observation *o, const char *name, const char *why);
/* One of an earlier process, established; digest as of the member. -EDQUOT. */
int observe_restore(Peer *p, const ObservationRecord *record, uint64_t digest, uint64_t now_usec,
                    Observation **ret);
/* observe_attrs.c */
void observation_effective(const Observation *o, Attrs *ret); /* of a composite: the sum of all */
void observation_refresh(Observation *o);                     /* periods and the like, if stale */
bool observe_defaults_differ(Peer *p); /* 1/x/2 and 1/x/3 are not what they were; looks again */
