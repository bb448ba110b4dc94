/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* One observation, as observe.c (who and where) and notify.c (when and what) share it. */
#include "lwm2m/observe.h"
#include "lwm2m/operation.h"
#include "lwm2m/path_index.h"

#define OBSERVE_MASK 0xffffff       /* 24 bits: RFC 7641, section 2 */
#define LAST_PAYLOAD_MAX (4U << 10) /* bytes; a longer body is not compared but always sent */

struct Observer {
        Dm *dm;
        PathIndex *index;
        guint n;
        GQueue queue; /* of Observation: something may have to be sent */
        Timer *flush;
        unsigned n_suspended;
        GHashTable *bodies; /* while flushing: (path, format) -> GBytes, for paths observed more
                               than once */
};

struct Observation {
        Peer *peer;
        Observer *observer;
        GBytes *token;
        ReadTarget target;
        Attrs own; /* of the Observe request itself, LwM2M 1.2 */
        GBytes *last_payload;
        uint32_t sequence;
        uint64_t n_sent, last_sent_usec;
        uint64_t last_usec;            /* last sent or tried: pmin and pmax count from here */
        uint64_t pmin_usec, pmax_usec; /* effective; pmax 0: none */
        bool established, changed, urgent, queued,
                stale;     /* stale: pmin and pmax have to be found again */
        Observation **job; /* of the answer that will establish it */
        Call *call;        /* notification on its way */
        Operation *asking; /* applications, for the next notification */
        Timer *timer;      /* made when first needed */
        GList queue_node;
};

/* notify.c */
void notify_queue(Observation *o);                      /* looks at it in this turn of the loop */
void notify_mark(Observation *o, bool urgent);          /* a value changed */
void notify_process(Observation *o, uint64_t now_usec); /* sends or sets its timer; may end o */
void notify_on_flush(void *userdata, uint64_t now_usec);
void notify_on_answers(Operation *op, void *state, int error, const char *text,
                       const RecordList *records, uint64_t now_usec);
/* observe.c */
void observation_end(Observation *o, const char *why); /* with its event; frees o */
void observation_effective(const Observation *o, Attrs *ret);
void observe_event(const Observation *o, const char *name, const char *why);
