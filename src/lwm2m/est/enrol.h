/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The enrolment machine of one server in security mode 4 (RFC 9148 and RFC 7030): one table of
 * edges, one timer. It decides when to connect to the EST server, what to ask for next, when to try
 * again, and when to renew. Requests, keys and what is kept are its owner's affair (est_server.h).
 * Calls of EnrolOps never come back into the machine. */
#include <stdbool.h>
#include <stdint.h>

#include "lwm2m/backoff.h"
#include "util/timerq.h"

#define ENROL_CONNECT_MAX_USEC (60 * USEC_PER_SEC)
#define ENROL_ANSWER_MAX_USEC                                                                      \
        (600 * USEC_PER_SEC) /* should the transport never tell the end                            \
                              */
/* An EST server that wants us to come back says when (Max-Age); within these bounds. The lower one
 * doubles, six times, for one who says so again and again: each time is a handshake. */
#define ENROL_DELAY_MIN_USEC (1 * USEC_PER_SEC)
#define ENROL_DELAY_MAX_USEC (86400 * USEC_PER_SEC)
/* The date of a renewal is on the wall clock, which may be set meanwhile: it is looked at anew. */
#define ENROL_LOOK_MAX_USEC (6 * 3600 * USEC_PER_SEC)

typedef enum EnrolState {
        ENROL_IDLE,
        ENROL_CONNECTING,
        ENROL_TRUSTING,   /* /crts under way */
        ENROL_SEARCHING,  /* it is not there: where it is */
        ENROL_ASKING,     /* /att */
        ENROL_REQUESTING, /* /sen or /sren */
        ENROL_DELAYED,    /* the server has the request and wants to be asked again */
        ENROL_RETRYING,
        ENROL_ENROLLED, /* until it is time for the next certificate */
        ENROL_GIVEN_UP,
        ENROL_PAUSED,
        ENROL_FAILING, /* passed through */
        _ENROL_STATE_MAX,
        ENROL_ANY = _ENROL_STATE_MAX /* in the table */
} EnrolState;

typedef enum EnrolInput {
        ENROL_START,
        ENROL_NOW, /* a user: another certificate, at once */
        ENROL_UP,
        ENROL_DOWN, /* the link */
        ENROL_TAKEN,
        ENROL_REFUSED,
        ENROL_DELAY,
        ENROL_NO_ANSWER, /* what became of the request under way */
        ENROL_TIMER,
        ENROL_STOP,
        ENROL_PAUSE,
        ENROL_RESUME,
        ENROL_NEXT, /* internal: leaves a state that is passed through */
        _ENROL_INPUT_MAX,
} EnrolInput;

typedef enum EnrolRequest {
        ENROL_ASK_AUTHORITIES,
        ENROL_ASK_PLACE,
        ENROL_ASK_ATTRIBUTES,
        ENROL_ASK_CERTIFICATE,
} EnrolRequest;

typedef struct EnrolEvent {
        const char *name; /* est-enrolled, est-failed, est-delayed */
        bool failure;
        uint8_t code;       /* the server's answer; 0: none */
        int error;          /* negative errno; 0: none */
        const char *text;   /* more about it, may be NULL */
        uint64_t next_usec; /* when the machine moves by itself; USEC_INFINITY: it does not */
} EnrolEvent;

typedef struct EnrolOps {
        int (*connect)(void *userdata, const char **ret_text,
                       uint64_t now_usec);  /* then ENROL_UP or enrol_down() */
        void (*disconnect)(void *userdata); /* ends a request with it */
        /* Then enrol_answer(), once; -ENOTSUP: no attributes are wanted, the machine goes on. */
        int (*request)(void *userdata, EnrolRequest what, const char **ret_text, uint64_t now_usec);
        bool (*may_search)(void *userdata); /* the place was not told by the owner */
        /* When the next certificate is wanted; 0: at once, there is none that is valid. */
        uint64_t (*due)(void *userdata, uint64_t now_usec);
        void (*event)(void *userdata, const EnrolEvent *event, uint64_t now_usec);
        void (*changed)(void *userdata, uint64_t now_usec); /* another state; last of all */
        void (*edge)(void *userdata, size_t edge);          /* for tests; may be NULL */
} EnrolOps;

typedef struct EnrolConfig {
        RetryPolicy retry;
        bool give_up;
} EnrolConfig;

typedef struct Enrol Enrol;

Enrol *enrol_new(const EnrolConfig *config, const EnrolOps *ops, void *userdata, TimerQueue *timers,
                 GRand *rnd /* borrowed */);
Enrol *enrol_free(Enrol *e);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Enrol, enrol_free)

/* 0, or -EALREADY when the input means nothing in this state (nothing happens then). */
int enrol_input(Enrol *e, EnrolInput input, uint64_t now_usec);
void enrol_down(Enrol *e, int error, const char *text, uint64_t now_usec);
/* error 0 and class 2: taken. 5.03: the request is to be made again, after max_age_sec. */
void enrol_answer(Enrol *e, int error, uint8_t code, int64_t max_age_sec, const char *text,
                  uint64_t now_usec);

EnrolState enrol_state(const Enrol *e);
bool enrol_is_active(const Enrol *e); /* talking with the server, or trying to */
uint64_t enrol_next_usec(const Enrol *e);

/* The table, for tests. */
typedef struct EnrolEdgeInfo {
        EnrolState from, to;
        EnrolInput input;
        const char *guard; /* "" without one */
} EnrolEdgeInfo;
size_t enrol_n_edges(void);
EnrolEdgeInfo enrol_edge(size_t i);
const char *enrol_state_name(EnrolState s);
