/* SPDX-License-Identifier: Apache-2.0 */
#include "lwm2m/bootstrap/bootstrap.h"

#include <errno.h>

#include "lwm2m/transport.h"

#define SESSION_MAX_USEC (600 * USEC_PER_SEC)

struct Bootstrap {
        BootstrapConfig config;
        const BootstrapOps *ops;
        void *userdata;
        GRand *rnd;
        Timer *timer;
        BootstrapState state;
        Backoff backoff;
        int next;               /* a BootstrapInput that an action asks for; -1 */
        bool plain;             /* the server did not like the preferred format */
        bool pack;              /* a Bootstrap-Pack is asked for, or decided */
        uint64_t deadline_usec; /* of the session */
        int fail_error;
        uint8_t fail_code;
        char *fail_text;
};

/* --- helpers --- */

static void emit(Bootstrap *b, const char *name, bool failure, uint64_t next_usec,
                 uint64_t now_usec) {
        BootstrapEvent e = { .name = name, .failure = failure, .next_usec = next_usec };

        if (failure) {
                e.code = b->fail_code;
                e.error = b->fail_error;
                e.text = b->fail_text;
        }
        b->ops->event(b->userdata, &e, now_usec);
}

static void note_failure(Bootstrap *b, int error, uint8_t code, const char *text) {
        char *copy = g_strdup(text);

        g_free(b->fail_text);
        b->fail_text = copy;
        b->fail_error = error;
        b->fail_code = code;
}

static void send_request(Bootstrap *b, bool pack, uint64_t now_usec) {
        int r;

        b->pack = pack;
        timer_arm(b->timer, now_usec + BOOTSTRAP_ANSWER_MAX_USEC);
        r = b->ops->request(b->userdata, pack, b->config.preferred_format && !b->plain, now_usec);
        if (r < 0) {
                note_failure(b, r, 0, NULL);
                b->next = BOOTSTRAP_NO_ANSWER;
        }
}

/* --- guards --- */

static bool has_hold_off(const Bootstrap *b) {
        return b->config.hold_off_sec > 0;
}

static bool wants_pack(const Bootstrap *b) {
        return b->config.pack;
}

static bool is_pack(const Bootstrap *b) {
        return b->pack;
}

/* 4.15 stands for a preferred format that the server does not have, and older servers do not know
 * the parameter at all. */
static bool may_be_plainer(const Bootstrap *b) {
        return b->config.preferred_format && !b->plain &&
               (b->fail_code == CODE(4, 15) || b->fail_code == CODE(4, 2));
}

/* No later attempt can end otherwise until the account changes. */
static bool hopeless(const Bootstrap *b) {
        return b->fail_error == -EPROTONOSUPPORT || b->fail_error == -EINVAL;
}

static bool gives_up(const Bootstrap *b) {
        return b->config.give_up && backoff_stage(&b->backoff) == BACKOFF_EXHAUSTED;
}

/* --- actions --- */

/* Where there is nothing to listen with, the time just passes. */
static void hold_off(Bootstrap *b, uint64_t now_usec) {
        timer_arm(b->timer, now_usec + b->config.hold_off_sec * USEC_PER_SEC);
        if (b->config.unsolicited && b->ops->listen(b->userdata, now_usec) >= 0)
                b->ops->session(b->userdata, true);
}

static void connect_link(Bootstrap *b, uint64_t now_usec) {
        const char *text = NULL;
        int r;

        b->ops->disconnect(b->userdata);
        b->plain = false;
        timer_arm(b->timer, now_usec + BOOTSTRAP_CONNECT_MAX_USEC);
        r = b->ops->connect(b->userdata, &text, now_usec);
        if (r < 0) {
                note_failure(b, r, 0, text);
                b->next = BOOTSTRAP_DOWN;
        }
}

static void connect_fresh(Bootstrap *b, uint64_t now_usec) {
        backoff_reset(&b->backoff);
        connect_link(b, now_usec);
}

static void request_pack(Bootstrap *b, uint64_t now_usec) {
        send_request(b, true, now_usec);
}

/* The server may begin before its answer has reached us. */
static void request(Bootstrap *b, uint64_t now_usec) {
        b->ops->session(b->userdata, true);
        send_request(b, false, now_usec);
}

static void request_plain(Bootstrap *b, uint64_t now_usec) {
        b->plain = true;
        request(b, now_usec);
}

static void wait_more(Bootstrap *b, uint64_t now_usec) {
        timer_arm(b->timer, MIN(now_usec + BOOTSTRAP_SILENCE_MAX_USEC, b->deadline_usec));
}

static void accepted(Bootstrap *b, uint64_t now_usec) {
        b->deadline_usec = now_usec + (b->config.session_max_usec ? b->config.session_max_usec
                                                                  : SESSION_MAX_USEC);
        wait_more(b, now_usec);
        emit(b, "bootstrap-reg-complete", false, USEC_INFINITY, now_usec);
}

static void transferred(Bootstrap *b, uint64_t now_usec) {
        b->ops->session(b->userdata, false);
        backoff_reset(&b->backoff);
        timer_arm(b->timer, now_usec + BOOTSTRAP_LINGER_USEC);
        emit(b, "bootstrap-transfer-complete", false, USEC_INFINITY, now_usec);
}

/* The server may put it right before the time is over (section 6.1.6). */
static void inconsistent(Bootstrap *b, uint64_t now_usec) {
        wait_more(b, now_usec);
        emit(b, "bootstrap-reg-failure", true, USEC_INFINITY, now_usec);
}

static void failed(Bootstrap *b, uint64_t now_usec) {
        b->next = BOOTSTRAP_NEXT;
}

static void timed_out(Bootstrap *b, uint64_t now_usec) {
        note_failure(b, -ETIMEDOUT, 0, NULL);
        failed(b, now_usec);
}

static void session_timed_out(Bootstrap *b, uint64_t now_usec) {
        note_failure(b, -ETIMEDOUT, 0,
                     now_usec >= b->deadline_usec ? "the session took too long"
                                                  : "no Bootstrap-Finish in time");
        failed(b, now_usec);
}

static void retry(Bootstrap *b, uint64_t now_usec) {
        b->ops->disconnect(b->userdata);
        timer_arm(b->timer, now_usec + backoff_step(&b->backoff, b->rnd));
        emit(b, "bootstrap-reg-failure", true, timer_due(b->timer), now_usec);
}

static void give_up(Bootstrap *b, uint64_t now_usec) {
        b->ops->disconnect(b->userdata);
        timer_disarm(b->timer);
        emit(b, "bootstrap-reg-failure", true, USEC_INFINITY, now_usec);
}

static void rest(Bootstrap *b, uint64_t now_usec) {
        b->ops->disconnect(b->userdata);
        timer_disarm(b->timer);
        backoff_reset(&b->backoff);
}

static void suspend(Bootstrap *b, uint64_t now_usec) {
        b->ops->disconnect(b->userdata);
        timer_disarm(b->timer);
}

/* --- the table --- first matching edge wins */

typedef struct Edge {
        BootstrapState from;
        BootstrapInput input;
        bool (*guard)(const Bootstrap *b);
        const char *guard_name;
        void (*action)(Bootstrap *b, uint64_t now_usec);
        BootstrapState to;
} Edge;

#define IF(guard) guard, #guard
#define ALWAYS NULL, ""
#define S(name) BOOTSTRAP_##name

static const Edge edges[] = {
        /* clang-format off */
        { S(ANY),        S(STOP),         ALWAYS,             rest,              S(IDLE) },

        { S(IDLE),       S(WANT),         IF(has_hold_off),   hold_off,          S(HOLDING) },
        { S(IDLE),       S(WANT),         ALWAYS,             connect_fresh,     S(CONNECTING) },
        { S(IDLE),       S(NOW),          ALWAYS,             connect_fresh,     S(CONNECTING) },

        { S(HOLDING),    S(TIMER),        ALWAYS,             connect_fresh,     S(CONNECTING) },
        { S(HOLDING),    S(NOW),          ALWAYS,             connect_fresh,     S(CONNECTING) },
        { S(HOLDING),    S(OPERATION),    ALWAYS,             accepted,          S(SESSION) },
        { S(HOLDING),    S(FINISH),       ALWAYS,             accepted,          S(FINISHING) },
        { S(HOLDING),    S(DROP),         ALWAYS,             rest,              S(IDLE) },
        { S(HOLDING),    S(PAUSE),        ALWAYS,             suspend,           S(PAUSED) },

        { S(CONNECTING), S(UP),           IF(wants_pack),     request_pack,      S(PACKING) },
        { S(CONNECTING), S(UP),           ALWAYS,             request,           S(REQUESTING) },
        { S(CONNECTING), S(DOWN),         ALWAYS,             failed,            S(FAILING) },
        { S(CONNECTING), S(TIMER),        ALWAYS,             timed_out,         S(FAILING) },
        { S(CONNECTING), S(DROP),         ALWAYS,             rest,              S(IDLE) },
        { S(CONNECTING), S(PAUSE),        ALWAYS,             suspend,           S(PAUSED) },

        { S(PACKING),    S(FINISH),       ALWAYS,             accepted,          S(FINISHING) },
        { S(PACKING),    S(REFUSED),      ALWAYS,             request,           S(REQUESTING) },
        { S(PACKING),    S(NO_ANSWER),    ALWAYS,             failed,            S(FAILING) },
        { S(PACKING),    S(TIMER),        ALWAYS,             timed_out,         S(FAILING) },
        { S(PACKING),    S(DOWN),         ALWAYS,             failed,            S(FAILING) },
        { S(PACKING),    S(DROP),         ALWAYS,             rest,              S(IDLE) },
        { S(PACKING),    S(PAUSE),        ALWAYS,             suspend,           S(PAUSED) },

        { S(REQUESTING), S(OK),           ALWAYS,             accepted,          S(SESSION) },
        { S(REQUESTING), S(OPERATION),    ALWAYS,             accepted,          S(SESSION) },
        { S(REQUESTING), S(FINISH),       ALWAYS,             accepted,          S(FINISHING) },
        { S(REQUESTING), S(REFUSED),      IF(may_be_plainer), request_plain,     S(REQUESTING) },
        { S(REQUESTING), S(REFUSED),      ALWAYS,             failed,            S(FAILING) },
        { S(REQUESTING), S(NO_ANSWER),    ALWAYS,             failed,            S(FAILING) },
        { S(REQUESTING), S(TIMER),        ALWAYS,             timed_out,         S(FAILING) },
        { S(REQUESTING), S(DOWN),         ALWAYS,             failed,            S(FAILING) },
        { S(REQUESTING), S(DROP),         ALWAYS,             rest,              S(IDLE) },
        { S(REQUESTING), S(PAUSE),        ALWAYS,             suspend,           S(PAUSED) },

        { S(SESSION),    S(OPERATION),    ALWAYS,             wait_more,         S(SESSION) },
        { S(SESSION),    S(FINISH),       ALWAYS,             wait_more,         S(FINISHING) },
        { S(SESSION),    S(REFUSED),      ALWAYS,             failed,            S(FAILING) },
        { S(SESSION),    S(TIMER),        ALWAYS,             session_timed_out, S(FAILING) },
        { S(SESSION),    S(DOWN),         ALWAYS,             failed,            S(FAILING) },
        { S(SESSION),    S(PAUSE),        ALWAYS,             suspend,           S(PAUSED) },

        { S(FINISHING),  S(DONE),         ALWAYS,             transferred,       S(LINGERING) },
        { S(FINISHING),  S(INCONSISTENT), IF(is_pack),        request,           S(REQUESTING) },
        { S(FINISHING),  S(INCONSISTENT), ALWAYS,             inconsistent,      S(SESSION) },
        { S(FINISHING),  S(TIMER),        ALWAYS,             session_timed_out, S(FAILING) },
        { S(FINISHING),  S(DOWN),         ALWAYS,             failed,            S(FAILING) },
        { S(FINISHING),  S(PAUSE),        ALWAYS,             suspend,           S(PAUSED) },

        { S(LINGERING),  S(TIMER),        ALWAYS,             rest,              S(IDLE) },
        { S(LINGERING),  S(DOWN),         ALWAYS,             rest,              S(IDLE) },
        { S(LINGERING),  S(WANT),         ALWAYS,             connect_fresh,     S(CONNECTING) },
        { S(LINGERING),  S(NOW),          ALWAYS,             connect_fresh,     S(CONNECTING) },
        { S(LINGERING),  S(PAUSE),        ALWAYS,             rest,              S(IDLE) },

        { S(RETRYING),   S(TIMER),        ALWAYS,             connect_link,      S(CONNECTING) },
        { S(RETRYING),   S(NOW),          ALWAYS,             connect_fresh,     S(CONNECTING) },
        { S(RETRYING),   S(DROP),         ALWAYS,             rest,              S(IDLE) },
        { S(RETRYING),   S(PAUSE),        ALWAYS,             suspend,           S(PAUSED) },

        { S(GIVEN_UP),   S(WANT),         ALWAYS,             connect_fresh,     S(CONNECTING) },
        { S(GIVEN_UP),   S(NOW),          ALWAYS,             connect_fresh,     S(CONNECTING) },
        { S(GIVEN_UP),   S(DROP),         ALWAYS,             rest,              S(IDLE) },

        { S(PAUSED),     S(RESUME),       ALWAYS,             connect_fresh,     S(CONNECTING) },
        { S(PAUSED),     S(DROP),         ALWAYS,             rest,              S(IDLE) },

        { S(FAILING),    S(NEXT),         IF(hopeless),       give_up,           S(GIVEN_UP) },
        { S(FAILING),    S(NEXT),         IF(gives_up),       give_up,           S(GIVEN_UP) },
        { S(FAILING),    S(NEXT),         ALWAYS,             retry,             S(RETRYING) },
        /* clang-format on */
};

static const Edge *find_edge(const Bootstrap *b, BootstrapInput input) {
        for (size_t i = 0; i < G_N_ELEMENTS(edges); i++)
                if ((edges[i].from == b->state || edges[i].from == BOOTSTRAP_ANY) &&
                    edges[i].input == input && (!edges[i].guard || edges[i].guard(b)))
                        return &edges[i];
        return NULL;
}

static int step(Bootstrap *b, BootstrapInput input, uint64_t now_usec) {
        const Edge *e = find_edge(b, input);

        if (!e)
                return -EALREADY;
        if (b->ops->edge)
                b->ops->edge(b->userdata, (size_t) (e - edges));
        if (e->to == BOOTSTRAP_FAILING)
                backoff_note_failure(&b->backoff);
        b->state = e->to;
        if (e->action)
                e->action(b, now_usec);
        return 0;
}

int bootstrap_input(Bootstrap *b, BootstrapInput input, uint64_t now_usec) {
        BootstrapState before = b->state;
        int r;

        b->next = -1;
        r = step(b, input, now_usec);
        while (b->next >= 0) {
                BootstrapInput next = (BootstrapInput) b->next;

                b->next = -1;
                (void) step(b, next, now_usec);
        }
        if (b->state != before)
                b->ops->changed(b->userdata, now_usec);
        return r;
}

static void on_timer(void *userdata, uint64_t now_usec) {
        (void) bootstrap_input(userdata, BOOTSTRAP_TIMER, now_usec);
}

void bootstrap_down(Bootstrap *b, int error, const char *text, uint64_t now_usec) {
        note_failure(b, error, 0, text);
        (void) bootstrap_input(b, BOOTSTRAP_DOWN, now_usec);
}

void bootstrap_answer(Bootstrap *b, int error, uint8_t code, const char *text, uint64_t now_usec) {
        BootstrapInput input = error < 0 && code == 0 ? BOOTSTRAP_NO_ANSWER : BOOTSTRAP_REFUSED;

        if (error == 0 && code == CODE(2, 4))
                input = BOOTSTRAP_OK;
        else
                note_failure(b, error, code, text);
        (void) bootstrap_input(b, input, now_usec);
}

void bootstrap_inconsistent(Bootstrap *b, int error, const char *text, uint64_t now_usec) {
        note_failure(b, error, 0, text);
        (void) bootstrap_input(b, BOOTSTRAP_INCONSISTENT, now_usec);
}

void bootstrap_set_config(Bootstrap *b, const BootstrapConfig *config) {
        b->config = *config;
        b->backoff.policy = config->retry;
}

Bootstrap *bootstrap_new(const BootstrapConfig *config, const BootstrapOps *ops, void *userdata,
                         TimerQueue *timers, GRand *rnd) {
        Bootstrap *b = g_new0(Bootstrap, 1);

        b->ops = ops;
        b->userdata = userdata;
        b->rnd = rnd;
        b->timer = timer_new(timers, on_timer, b);
        b->next = -1;
        bootstrap_set_config(b, config);
        return b;
}

Bootstrap *bootstrap_free(Bootstrap *b) {
        if (!b)
                return NULL;
        timer_free(b->timer);
        g_free(b->fail_text);
        g_free(b);
        return NULL;
}

BootstrapState bootstrap_state(const Bootstrap *b) {
        return b->state;
}

bool bootstrap_is_active(const Bootstrap *b) {
        return b->state >= BOOTSTRAP_CONNECTING && b->state <= BOOTSTRAP_FINISHING;
}

uint64_t bootstrap_next_usec(const Bootstrap *b) {
        return timer_due(b->timer);
}

size_t bootstrap_n_edges(void) {
        return G_N_ELEMENTS(edges);
}

BootstrapEdgeInfo bootstrap_edge(size_t i) {
        return (BootstrapEdgeInfo){ .from = edges[i].from,
                                    .to = edges[i].to,
                                    .input = edges[i].input,
                                    .guard = edges[i].guard_name };
}

const char *bootstrap_state_name(BootstrapState s) {
        static const char *const names[] = {
                [BOOTSTRAP_IDLE] = "idle",
                [BOOTSTRAP_HOLDING] = "holding",
                [BOOTSTRAP_CONNECTING] = "connecting",
                [BOOTSTRAP_PACKING] = "packing",
                [BOOTSTRAP_REQUESTING] = "requesting",
                [BOOTSTRAP_SESSION] = "session",
                [BOOTSTRAP_FINISHING] = "finishing",
                [BOOTSTRAP_LINGERING] = "lingering",
                [BOOTSTRAP_RETRYING] = "retrying",
                [BOOTSTRAP_GIVEN_UP] = "given-up",
                [BOOTSTRAP_PAUSED] = "paused",
                [BOOTSTRAP_FAILING] = "failing",
                [BOOTSTRAP_ANY] = "any",
        };

        return names[s];
}
