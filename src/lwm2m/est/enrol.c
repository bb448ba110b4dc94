/* SPDX-License-Identifier: Apache-2.0 */
#include "lwm2m/est/enrol.h"

#include <errno.h>

#include "lwm2m/transport.h"

#define MAX_AGE_DEFAULT_SEC 60 /* RFC 7252, section 5.10.5 */
#define DELAY_DOUBLINGS 6

struct Enrol {
        EnrolConfig config;
        const EnrolOps *ops;
        void *userdata;
        GRand *rnd;
        Timer *timer;
        EnrolState state;
        Backoff backoff;
        bool searched; /* in this attempt */
        int next;      /* an EnrolInput that an action asks for; -1 */
        uint64_t delay_usec;
        unsigned n_delays; /* one after the other */
        int fail_error;
        uint8_t fail_code;
        char *fail_text;
};

/* --- helpers --- */

static void emit(Enrol *e, const char *name, bool failure, uint64_t now_usec) {
        EnrolEvent event = { .name = name, .failure = failure, .next_usec = timer_due(e->timer) };

        if (failure) {
                event.code = e->fail_code;
                event.error = e->fail_error;
                event.text = e->fail_text;
        }
        e->ops->event(e->userdata, &event, now_usec);
}

static void note_failure(Enrol *e, int error, uint8_t code, const char *text) {
        char *copy = g_strdup(text);

        g_free(e->fail_text);
        e->fail_text = copy;
        e->fail_error = error;
        e->fail_code = code;
}

static void send_request(Enrol *e, EnrolRequest what, uint64_t now_usec) {
        const char *text = NULL;
        int r;

        timer_arm(e->timer, now_usec + ENROL_ANSWER_MAX_USEC);
        r = e->ops->request(e->userdata, what, &text, now_usec);
        if (r == -ENOTSUP)
                e->next = ENROL_TAKEN;
        else if (r < 0) {
                note_failure(e, r, 0, text);
                e->next = ENROL_NO_ANSWER;
        }
}

/* --- guards --- */

/* A certificate is there and is not to be renewed yet. */
static bool is_fine(const Enrol *e, uint64_t now_usec) {
        return e->ops->due(e->userdata, now_usec) > now_usec;
}

/* The server does not have them, or not for us (RFC 7030, section 4.5.2): any key will do. */
static bool has_none(const Enrol *e, uint64_t now_usec) {
        return e->fail_code == CODE(4, 4) || e->fail_code == CODE(4, 5) ||
               e->fail_code == CODE(5, 1);
}

/* Nothing at the usual place: the server may tell where it is. */
static bool may_search(const Enrol *e, uint64_t now_usec) {
        return e->fail_code == CODE(4, 4) && !e->searched && e->ops->may_search(e->userdata);
}

/* No later attempt can end otherwise until the accounts or the configuration change. */
static bool is_hopeless(const Enrol *e, uint64_t now_usec) {
        return e->fail_error == -EPROTONOSUPPORT || e->fail_error == -EINVAL ||
               e->fail_error == -EDESTADDRREQ;
}

static bool gives_up(const Enrol *e, uint64_t now_usec) {
        return e->config.give_up && backoff_stage(&e->backoff) == BACKOFF_EXHAUSTED;
}

/* --- actions --- */

static void connect_link(Enrol *e, uint64_t now_usec) {
        const char *text = NULL;
        int r;

        e->ops->disconnect(e->userdata);
        e->searched = false;
        timer_arm(e->timer, now_usec + ENROL_CONNECT_MAX_USEC);
        r = e->ops->connect(e->userdata, &text, now_usec);
        if (r < 0) {
                note_failure(e, r, 0, text);
                e->next = ENROL_DOWN;
        }
}

static void search(Enrol *e, uint64_t now_usec) {
        e->searched = true;
        send_request(e, ENROL_ASK_PLACE, now_usec);
}

static void connect_fresh(Enrol *e, uint64_t now_usec) {
        backoff_reset(&e->backoff);
        e->n_delays = 0;
        connect_link(e, now_usec);
}

static void wait_for_renewal(Enrol *e, uint64_t now_usec) {
        uint64_t due = e->ops->due(e->userdata, now_usec);

        timer_arm(e->timer, MIN(due, now_usec + ENROL_LOOK_MAX_USEC));
}

static void ask_authorities(Enrol *e, uint64_t now_usec) {
        send_request(e, ENROL_ASK_AUTHORITIES, now_usec);
}

static void ask_attributes(Enrol *e, uint64_t now_usec) {
        send_request(e, ENROL_ASK_ATTRIBUTES, now_usec);
}

static void ask_certificate(Enrol *e, uint64_t now_usec) {
        send_request(e, ENROL_ASK_CERTIFICATE, now_usec);
}

static void enrolled(Enrol *e, uint64_t now_usec) {
        e->ops->disconnect(e->userdata);
        backoff_reset(&e->backoff);
        wait_for_renewal(e, now_usec);
        emit(e, "est-enrolled", false, now_usec);
}

/* The server may take hours: it is no failure, and the link is not kept for it. */
static void come_back(Enrol *e, uint64_t now_usec) {
        uint64_t least_usec = ENROL_DELAY_MIN_USEC << MIN(e->n_delays, DELAY_DOUBLINGS);

        e->n_delays++;
        e->ops->disconnect(e->userdata);
        backoff_reset(&e->backoff);
        timer_arm(e->timer, now_usec + MAX(e->delay_usec, least_usec));
        emit(e, "est-delayed", false, now_usec);
}

static void failed(Enrol *e, uint64_t now_usec) {
        e->next = ENROL_NEXT;
}

static void timed_out(Enrol *e, uint64_t now_usec) {
        note_failure(e, -ETIMEDOUT, 0, NULL);
        failed(e, now_usec);
}

static void retry(Enrol *e, uint64_t now_usec) {
        e->ops->disconnect(e->userdata);
        timer_arm(e->timer, now_usec + backoff_step(&e->backoff, e->rnd));
        emit(e, "est-failed", true, now_usec);
}

static void give_up(Enrol *e, uint64_t now_usec) {
        e->ops->disconnect(e->userdata);
        timer_disarm(e->timer);
        emit(e, "est-failed", true, now_usec);
}

static void rest(Enrol *e, uint64_t now_usec) {
        e->ops->disconnect(e->userdata);
        timer_disarm(e->timer);
        backoff_reset(&e->backoff);
}

/* --- the table --- first matching edge wins */

typedef struct Edge {
        EnrolState from;
        EnrolInput input;
        bool (*guard)(const Enrol *e, uint64_t now_usec);
        const char *guard_name;
        void (*action)(Enrol *e, uint64_t now_usec);
        EnrolState to;
} Edge;

#define IF(guard) guard, #guard
#define ALWAYS NULL, ""
#define S(name) ENROL_##name

static const Edge edges[] = {
        /* clang-format off */
        { S(ANY),        S(STOP),      ALWAYS,          rest,             S(IDLE) },

        { S(IDLE),       S(START),     IF(is_fine),     wait_for_renewal, S(ENROLLED) },
        { S(IDLE),       S(START),     ALWAYS,          connect_fresh,    S(CONNECTING) },

        { S(CONNECTING), S(UP),        ALWAYS,          ask_authorities,  S(TRUSTING) },
        { S(CONNECTING), S(DOWN),      ALWAYS,          failed,           S(FAILING) },
        { S(CONNECTING), S(TIMER),     ALWAYS,          timed_out,        S(FAILING) },
        { S(CONNECTING), S(PAUSE),     ALWAYS,          rest,             S(PAUSED) },

        { S(TRUSTING),   S(TAKEN),     ALWAYS,          ask_attributes,   S(ASKING) },
        { S(TRUSTING),   S(DELAY),     ALWAYS,          come_back,        S(DELAYED) },
        { S(TRUSTING),   S(REFUSED),   IF(may_search),  search,           S(SEARCHING) },
        { S(TRUSTING),   S(REFUSED),   ALWAYS,          failed,           S(FAILING) },
        { S(TRUSTING),   S(NO_ANSWER), ALWAYS,          failed,           S(FAILING) },
        { S(TRUSTING),   S(TIMER),     ALWAYS,          timed_out,        S(FAILING) },
        { S(TRUSTING),   S(DOWN),      ALWAYS,          failed,           S(FAILING) },
        { S(TRUSTING),   S(PAUSE),     ALWAYS,          rest,             S(PAUSED) },

        { S(SEARCHING),  S(TAKEN),     ALWAYS,          ask_authorities,  S(TRUSTING) },
        { S(SEARCHING),  S(DELAY),     ALWAYS,          come_back,        S(DELAYED) },
        { S(SEARCHING),  S(REFUSED),   ALWAYS,          failed,           S(FAILING) },
        { S(SEARCHING),  S(NO_ANSWER), ALWAYS,          failed,           S(FAILING) },
        { S(SEARCHING),  S(TIMER),     ALWAYS,          timed_out,        S(FAILING) },
        { S(SEARCHING),  S(DOWN),      ALWAYS,          failed,           S(FAILING) },
        { S(SEARCHING),  S(PAUSE),     ALWAYS,          rest,             S(PAUSED) },

        { S(ASKING),     S(TAKEN),     ALWAYS,          ask_certificate,  S(REQUESTING) },
        { S(ASKING),     S(REFUSED),   IF(has_none),    ask_certificate,  S(REQUESTING) },
        { S(ASKING),     S(DELAY),     ALWAYS,          come_back,        S(DELAYED) },
        { S(ASKING),     S(REFUSED),   ALWAYS,          failed,           S(FAILING) },
        { S(ASKING),     S(NO_ANSWER), ALWAYS,          failed,           S(FAILING) },
        { S(ASKING),     S(TIMER),     ALWAYS,          timed_out,        S(FAILING) },
        { S(ASKING),     S(DOWN),      ALWAYS,          failed,           S(FAILING) },
        { S(ASKING),     S(PAUSE),     ALWAYS,          rest,             S(PAUSED) },

        { S(REQUESTING), S(TAKEN),     ALWAYS,          enrolled,         S(ENROLLED) },
        { S(REQUESTING), S(DELAY),     ALWAYS,          come_back,        S(DELAYED) },
        { S(REQUESTING), S(REFUSED),   ALWAYS,          failed,           S(FAILING) },
        { S(REQUESTING), S(NO_ANSWER), ALWAYS,          failed,           S(FAILING) },
        { S(REQUESTING), S(TIMER),     ALWAYS,          timed_out,        S(FAILING) },
        { S(REQUESTING), S(DOWN),      ALWAYS,          failed,           S(FAILING) },
        { S(REQUESTING), S(PAUSE),     ALWAYS,          rest,             S(PAUSED) },

        { S(DELAYED),    S(TIMER),     ALWAYS,          connect_link,     S(CONNECTING) },
        { S(DELAYED),    S(NOW),       ALWAYS,          connect_fresh,    S(CONNECTING) },
        { S(DELAYED),    S(PAUSE),     ALWAYS,          rest,             S(PAUSED) },

        { S(RETRYING),   S(TIMER),     ALWAYS,          connect_link,     S(CONNECTING) },
        { S(RETRYING),   S(NOW),       ALWAYS,          connect_fresh,    S(CONNECTING) },
        { S(RETRYING),   S(START),     ALWAYS,          connect_fresh,    S(CONNECTING) },
        { S(RETRYING),   S(PAUSE),     ALWAYS,          rest,             S(PAUSED) },

        { S(ENROLLED),   S(TIMER),     IF(is_fine),     wait_for_renewal, S(ENROLLED) },
        { S(ENROLLED),   S(TIMER),     ALWAYS,          connect_fresh,    S(CONNECTING) },
        { S(ENROLLED),   S(NOW),       ALWAYS,          connect_fresh,    S(CONNECTING) },
        { S(ENROLLED),   S(PAUSE),     ALWAYS,          rest,             S(PAUSED) },

        { S(GIVEN_UP),   S(NOW),       ALWAYS,          connect_fresh,    S(CONNECTING) },
        { S(GIVEN_UP),   S(START),     ALWAYS,          connect_fresh,    S(CONNECTING) },

        { S(PAUSED),     S(RESUME),    IF(is_fine),     wait_for_renewal, S(ENROLLED) },
        { S(PAUSED),     S(RESUME),    ALWAYS,          connect_fresh,    S(CONNECTING) },

        { S(FAILING),    S(NEXT),      IF(is_hopeless), give_up,          S(GIVEN_UP) },
        { S(FAILING),    S(NEXT),      IF(gives_up),    give_up,          S(GIVEN_UP) },
        { S(FAILING),    S(NEXT),      ALWAYS,          retry,            S(RETRYING) },
        /* clang-format on */
};

static const Edge *find_edge(const Enrol *e, EnrolInput input, uint64_t now_usec) {
        for (size_t i = 0; i < G_N_ELEMENTS(edges); i++)
                if ((edges[i].from == e->state || edges[i].from == ENROL_ANY) &&
                    edges[i].input == input && (!edges[i].guard || edges[i].guard(e, now_usec)))
                        return &edges[i];
        return NULL;
}

static int step(Enrol *e, EnrolInput input, uint64_t now_usec) {
        const Edge *edge = find_edge(e, input, now_usec);

        if (!edge)
                return -EALREADY;
        if (e->ops->edge)
                e->ops->edge(e->userdata, (size_t) (edge - edges));
        if (edge->to == ENROL_FAILING)
                backoff_note_failure(&e->backoff);
        e->state = edge->to;
        edge->action(e, now_usec);
        return 0;
}

int enrol_input(Enrol *e, EnrolInput input, uint64_t now_usec) {
        EnrolState before = e->state;
        int r;

        e->next = -1;
        r = step(e, input, now_usec);
        while (e->next >= 0) {
                EnrolInput next = (EnrolInput) e->next;

                e->next = -1;
                (void) step(e, next, now_usec);
        }
        if (e->state != before)
                e->ops->changed(e->userdata, now_usec);
        return r;
}

static void on_timer(void *userdata, uint64_t now_usec) {
        (void) enrol_input(userdata, ENROL_TIMER, now_usec);
}

void enrol_down(Enrol *e, int error, const char *text, uint64_t now_usec) {
        note_failure(e, error, 0, text);
        (void) enrol_input(e, ENROL_DOWN, now_usec);
}

void enrol_answer(Enrol *e, int error, uint8_t code, int64_t max_age_sec, const char *text,
                  uint64_t now_usec) {
        EnrolInput input = error < 0 ? ENROL_NO_ANSWER : ENROL_REFUSED;

        if (error == 0 && code >> 5 == 2)
                input = ENROL_TAKEN;
        else
                note_failure(e, error, code, text);
        if (error == 0 && code == CODE(5, 3)) {
                uint64_t sec = (uint64_t) (max_age_sec < 0 ? MAX_AGE_DEFAULT_SEC : max_age_sec);

                e->delay_usec = MIN(MIN(sec, UINT32_MAX) * USEC_PER_SEC, ENROL_DELAY_MAX_USEC);
                input = ENROL_DELAY;
        }
        (void) enrol_input(e, input, now_usec);
}

Enrol *enrol_new(const EnrolConfig *config, const EnrolOps *ops, void *userdata, TimerQueue *timers,
                 GRand *rnd) {
        Enrol *e = g_new0(Enrol, 1);

        e->ops = ops;
        e->userdata = userdata;
        e->rnd = rnd;
        e->timer = timer_new(timers, on_timer, e);
        e->next = -1;
        e->config = *config;
        e->backoff.policy = config->retry;
        return e;
}

Enrol *enrol_free(Enrol *e) {
        if (!e)
                return NULL;
        timer_free(e->timer);
        g_free(e->fail_text);
        g_free(e);
        return NULL;
}

EnrolState enrol_state(const Enrol *e) {
        return e->state;
}

bool enrol_is_active(const Enrol *e) {
        return e->state >= ENROL_CONNECTING && e->state <= ENROL_REQUESTING;
}

uint64_t enrol_next_usec(const Enrol *e) {
        return timer_due(e->timer);
}

size_t enrol_n_edges(void) {
        return G_N_ELEMENTS(edges);
}

EnrolEdgeInfo enrol_edge(size_t i) {
        return (EnrolEdgeInfo){ .from = edges[i].from,
                                .to = edges[i].to,
                                .input = edges[i].input,
                                .guard = edges[i].guard_name };
}

const char *enrol_state_name(EnrolState s) {
        static const char *const names[] = {
                [ENROL_IDLE] = "idle",         [ENROL_CONNECTING] = "connecting",
                [ENROL_TRUSTING] = "trusting", [ENROL_SEARCHING] = "searching",
                [ENROL_ASKING] = "asking",     [ENROL_REQUESTING] = "requesting",
                [ENROL_DELAYED] = "delayed",   [ENROL_RETRYING] = "retrying",
                [ENROL_ENROLLED] = "enrolled", [ENROL_GIVEN_UP] = "given-up",
                [ENROL_PAUSED] = "paused",     [ENROL_FAILING] = "failing",
                [ENROL_ANY] = "any",
        };

        return names[s];
}
