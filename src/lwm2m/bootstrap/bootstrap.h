/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The client's bootstrap machine (TS Core 1.1.1, sections 6.1.4 and 6.1.5): one table of edges, one
 * timer. It decides when to connect, what to ask for, how long to wait, and when to try again; what
 * is sent and kept is its owner's affair (bs_server.h). Calls of BootstrapOps never come back into
 * the machine. */
#include <stdbool.h>
#include <stdint.h>

#include "lwm2m/backoff.h"
#include "util/timerq.h"

#define BOOTSTRAP_CONNECT_MAX_USEC (60 * USEC_PER_SEC)
#define BOOTSTRAP_ANSWER_MAX_USEC                                                                  \
        (600 * USEC_PER_SEC) /* should the transport never tell the end                            \
                              */
/* EXCHANGE_LIFETIME: without another operation in this time the session has failed. */
#define BOOTSTRAP_SILENCE_MAX_USEC (247 * USEC_PER_SEC)
/* How long the link is kept after Finish, to answer the server that has lost our 2.04. */
#define BOOTSTRAP_LINGER_USEC (93 * USEC_PER_SEC)

typedef enum BootstrapState {
        BOOTSTRAP_IDLE,
        BOOTSTRAP_HOLDING, /* Client Hold Off Time, 0/x/11 */
        BOOTSTRAP_CONNECTING,
        BOOTSTRAP_PACKING,    /* Bootstrap-Pack-Request under way */
        BOOTSTRAP_REQUESTING, /* Bootstrap-Request under way */
        BOOTSTRAP_SESSION,    /* the server's turn */
        BOOTSTRAP_FINISHING,  /* applications are asked whether they agree */
        BOOTSTRAP_LINGERING,  /* done; the server may not know that we know */
        BOOTSTRAP_RETRYING,
        BOOTSTRAP_GIVEN_UP,
        BOOTSTRAP_PAUSED,
        BOOTSTRAP_FAILING, /* passed through */
        _BOOTSTRAP_STATE_MAX,
        BOOTSTRAP_ANY = _BOOTSTRAP_STATE_MAX /* in the table */
} BootstrapState;

typedef enum BootstrapInput {
        BOOTSTRAP_WANT, /* no server to register with: after the hold-off time */
        BOOTSTRAP_NOW,  /* a user, or 1/x/9: at once */
        BOOTSTRAP_DROP, /* a server has registered us: not needed any more */
        BOOTSTRAP_UP,
        BOOTSTRAP_DOWN, /* the link */
        BOOTSTRAP_OK,
        BOOTSTRAP_REFUSED,
        BOOTSTRAP_NO_ANSWER, /* what became of the request under way */
        BOOTSTRAP_OPERATION, /* the server has asked for something */
        BOOTSTRAP_FINISH,    /* the server, or a pack, is done */
        BOOTSTRAP_DONE,
        BOOTSTRAP_INCONSISTENT, /* … and it was taken, or not */
        BOOTSTRAP_TIMER,
        BOOTSTRAP_STOP,
        BOOTSTRAP_PAUSE,
        BOOTSTRAP_RESUME,
        BOOTSTRAP_NEXT, /* internal: leaves a state that is passed through */
        _BOOTSTRAP_INPUT_MAX,
} BootstrapInput;

typedef struct BootstrapEvent {
        const char *name; /* DBUS.md part 8 */
        bool failure;
        uint8_t code;       /* the server's answer; 0: none */
        int error;          /* negative errno; 0: none */
        const char *text;   /* more about it, may be NULL */
        uint64_t next_usec; /* when it is tried again; USEC_INFINITY: not by itself */
} BootstrapEvent;

typedef struct BootstrapOps {
        int (*connect)(void *userdata, const char **ret_text,
                       uint64_t now_usec); /* then BOOTSTRAP_UP or bootstrap_down() */
        /* The link for a server that may begin by itself; without BOOTSTRAP_UP. */
        int (*listen)(void *userdata, uint64_t now_usec);
        void (*disconnect)(void *userdata); /* ends a request and a session with it */
        /* Then bootstrap_answer(), once. A pack that was taken comes as BOOTSTRAP_FINISH. */
        int (*request)(void *userdata, bool pack, bool preferred_format, uint64_t now_usec);
        void (*session)(void *userdata, bool open); /* the server's requests are welcome */
        void (*event)(void *userdata, const BootstrapEvent *event, uint64_t now_usec);
        void (*changed)(void *userdata, uint64_t now_usec); /* another state; last of all */
        void (*edge)(void *userdata, size_t edge);          /* for tests; may be NULL */
} BootstrapOps;

typedef struct BootstrapConfig {
        RetryPolicy retry;
        uint32_t hold_off_sec;
        uint64_t session_max_usec; /* of all a server may take; 0 = 10 min */
        /* During the hold-off time the server may begin without having been asked: LwM2M 1.0
         * (section 5.2.3, step 4, and 5.2.3.4); later ones trigger the request (1/x/9) instead. */
        bool unsolicited;
        bool pack;             /* try a Bootstrap-Pack-Request first: LwM2M 1.2 */
        bool preferred_format; /* say pct=: LwM2M 1.1 */
        bool give_up;
} BootstrapConfig;

typedef struct Bootstrap Bootstrap;

Bootstrap *bootstrap_new(const BootstrapConfig *config, const BootstrapOps *ops, void *userdata,
                         TimerQueue *timers, GRand *rnd /* borrowed */);
Bootstrap *bootstrap_free(Bootstrap *b);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Bootstrap, bootstrap_free)

/* 0, or -EALREADY when the input means nothing in this state (nothing happens then). */
int bootstrap_input(Bootstrap *b, BootstrapInput input, uint64_t now_usec);
void bootstrap_down(Bootstrap *b, int error, const char *text, uint64_t now_usec);
void bootstrap_answer(Bootstrap *b, int error, uint8_t code, const char *text, uint64_t now_usec);
/* BOOTSTRAP_INCONSISTENT, and why. */
void bootstrap_inconsistent(Bootstrap *b, int error, const char *text, uint64_t now_usec);
void bootstrap_set_config(Bootstrap *b, const BootstrapConfig *config);

BootstrapState bootstrap_state(const Bootstrap *b);
bool bootstrap_is_active(const Bootstrap *b); /* talking with the server, or trying to */
uint64_t bootstrap_next_usec(const Bootstrap *b);

/* The table, for tests. */
typedef struct BootstrapEdgeInfo {
        BootstrapState from, to;
        BootstrapInput input;
        const char *guard; /* "" without one */
} BootstrapEdgeInfo;
size_t bootstrap_n_edges(void);
BootstrapEdgeInfo bootstrap_edge(size_t i);
const char *bootstrap_state_name(BootstrapState s);
