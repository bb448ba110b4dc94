/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The registration machine of one server (TS Core 1.1.1, section 6.2): one table of edges, one
 * timer. It decides when to connect, register, update and leave; what is sent and remembered is its
 * owner's affair (server.c). Owner calls never come back into rd from inside an RdOps function. */
#include <stdbool.h>
#include <stdint.h>

#include "lwm2m/backoff.h"
#include "model/schema.h"
#include "util/timerq.h"

#define RD_UPDATE_MIN_SEC 15          /* updates by time are never closer */
#define RD_COALESCE_USEC USEC_PER_SEC /* changes of the object list within it make one Update */
#define RD_CONNECT_MAX_USEC                                                                        \
        (60 * USEC_PER_SEC) /* until a link is given up that neither comes nor fails */
#define RD_ANSWER_MAX_USEC                                                                         \
        (600 * USEC_PER_SEC) /* guards against a transport that never tells the end */

typedef enum RdState {
        RD_IDLE,    /* not started, or de-registered */
        RD_HELD,    /* waits for its turn in the priority order */
        RD_DELAYED, /* initial registration delay */
        RD_CONNECTING,
        RD_REGISTERING,
        RD_REGISTERED,
        RD_ASLEEP, /* registered, in queue mode, with the link closed */
        RD_UPDATING,
        RD_DEREGISTERING,
        RD_DISABLED,
        RD_RETRYING, /* waits before the next attempt */
        RD_GIVEN_UP,
        RD_PAUSED,
        RD_FAILING, /* passed through: what follows a failed attempt */
        RD_LEFT,    /* passed through: what follows a registration's end */
        _RD_STATE_MAX,
        RD_ANY = _RD_STATE_MAX /* in the table */
} RdState;

typedef enum RdInput {
        RD_START, /* the client starts */
        RD_TURN,  /* the servers before this one have had theirs */
        RD_UP,
        RD_DOWN, /* the link */
        RD_OK,
        RD_REFUSED,
        RD_NO_ANSWER, /* what became of the request under way */
        RD_TIMER,
        RD_UPDATE,   /* an Update now: a user, or the lifetime has changed */
        RD_TRIGGER,  /* an Update as soon as allowed: 1/x/8 */
        RD_CHANGED,  /* object list or binding changed: an Update after the coalescing time */
        RD_REGISTER, /* a user wants a full Register */
        RD_STOP,     /* de-register and rest */
        RD_FORCE,    /* rest at once, nothing is sent */
        RD_DISABLE,
        RD_ENABLE,
        RD_PAUSE,
        RD_RESUME,
        RD_SLEEP, /* queue mode: the link is closed until the next Update */
        RD_NEXT,  /* internal: leaves a state that is passed through */
        _RD_INPUT_MAX,
} RdInput;

typedef enum RdRequest { RD_SEND_REGISTER, RD_SEND_UPDATE, RD_SEND_DEREGISTER } RdRequest;

typedef struct RdEvent {
        const char *name;   /* DBUS.md part 8 */
        uint8_t code;       /* the server's answer; 0: none */
        int error;          /* negative errno; 0: none */
        const char *text;   /* more about it, may be NULL */
        bool failure;       /* code, error and text say what went wrong */
        uint64_t next_usec; /* when it goes on; USEC_INFINITY: does not by itself */
} RdEvent;

typedef struct RdOps {
        int (*connect)(void *userdata, const char **ret_text,
                       uint64_t now_usec);  /* then RD_UP or rd_down() */
        void (*disconnect)(void *userdata); /* also ends a request under way */
        int (*send)(void *userdata, RdRequest what, uint64_t now_usec); /* then rd_answer(), once */
        void (*cancel)(void *userdata);                /* the request under way; nothing is fine */
        void (*lost)(void *userdata, const char *why); /* the registration is no more */
        bool (*has_news)(void *userdata); /* an Update would say more than "still here" */
        /* The registration holds what a new one would end: after an Update without answer it is
         * tried again as long as the lifetime holds. May be NULL. */
        bool (*is_precious)(void *userdata);
        void (*event)(void *userdata, const RdEvent *event, uint64_t now_usec);
        void (*changed)(void *userdata,
                        uint64_t now_usec);        /* another state; after everything else */
        void (*edge)(void *userdata, size_t edge); /* for tests and debugging; may be NULL */
} RdOps;

typedef struct RdConfig {
        RetryPolicy retry;
        uint32_t lifetime_sec; /* 0 = for ever */
        uint32_t update_period_sec, update_early_sec, update_interval_min_sec;
        uint32_t initial_delay_sec; /* 1/x/14 */
        uint64_t deregister_timeout_usec;
        Version version;    /* 0.0 = auto */
        bool give_up, held; /* held: waits for RD_TURN */
} RdConfig;

typedef struct Rd Rd;

Rd *rd_new(const RdConfig *config, const RdOps *ops, void *userdata, TimerQueue *timers,
           GRand *rnd /* borrowed */);
Rd *rd_free(Rd *r);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Rd, rd_free)

/* 0, or -ENOTCONN when the input means nothing in this state (nothing happens then). */
int rd_input(Rd *r, RdInput input, uint64_t now_usec);
int rd_disable(Rd *r, uint64_t until_usec, uint64_t now_usec);
void rd_down(Rd *r, int error, const char *text, uint64_t now_usec);
/* error and text when there is no answer, or none that can be used. */
void rd_answer(Rd *r, int error, uint8_t code, const char *text, uint64_t now_usec);
/* A registration kept from an earlier run, valid until then; before RD_START. */
void rd_restore(Rd *r, Version version, uint64_t deadline_usec);
void rd_set_config(Rd *r,
                   const RdConfig *config); /* versions and lifetimes hold from the next request */

RdState rd_state(const Rd *r);
Version rd_version(const Rd *r);                  /* agreed, or to be tried next */
bool rd_is_alive(const Rd *r, uint64_t now_usec); /* registered, and the lifetime has not passed */
bool rd_has_failed(const Rd *r);                  /* all sequences used up without success */
bool rd_has_registered(const Rd *r);              /* once, since rd_new(), or restored */
uint64_t rd_next_usec(const Rd *r); /* when the machine moves by itself; USEC_INFINITY */
uint64_t rd_disabled_until(const Rd *r);

/* The table, for tests. */
typedef struct RdEdgeInfo {
        RdState from, to;
        RdInput input;
        const char *guard; /* "" without one */
} RdEdgeInfo;
size_t rd_n_edges(void);
RdEdgeInfo rd_edge(size_t i);
const char *rd_state_name(RdState s);
