/* SPDX-License-Identifier: Apache-2.0 */
#include "lwm2m/server/rd.h"

#include <assert.h>
#include <errno.h>

#include "lwm2m/transport.h"

typedef enum Leave { STAY, LEAVE_TO_REST, LEAVE_DISABLED } Leave;

struct Rd {
        RdConfig config;
        const RdOps *ops;
        void *userdata;
        GRand *rnd;
        Timer *timer;
        RdState state;
        Version version;
        Backoff backoff;
        Leave leave;     /* what a de-registration is for */
        int next;        /* an RdInput that an action asks for; -1 */
        bool forced;     /* an Update is due at once */
        bool registered; /* a registration exists as far as we know; ends with its lifetime */
        bool once;
        uint64_t wanted_usec;      /* an Update is wanted then; USEC_INFINITY */
        uint64_t news_usec;        /* the same, if there is something to tell by then */
        uint64_t last_update_usec; /* USEC_INFINITY: none yet */
        uint64_t sent_usec;        /* the request under way */
        uint32_t sent_lifetime_sec;
        uint64_t deadline_usec; /* of the lifetime */
        uint64_t update_usec;   /* the next one by time */
        uint64_t disabled_usec; /* until then; 0: not disabled */
        uint64_t lost_usec;     /* when a link was last lost; 0: never */
        const char *fail_event; /* tells of the attempt that just failed */
        int fail_error;
        uint8_t fail_code;
        char *fail_text;
};

/* --- helpers --- */

static void emit(Rd *r, const char *name, bool failure, uint64_t next_usec, uint64_t now_usec) {
        RdEvent e = { .name = name, .failure = failure, .next_usec = next_usec };

        if (failure) {
                e.code = r->fail_code;
                e.error = r->fail_error;
                e.text = r->fail_text;
        }
        r->ops->event(r->userdata, &e, now_usec);
}

static void note_failure(Rd *r, int error, uint8_t code, const char *text) {
        char *copy = g_strdup(text);

        g_free(r->fail_text);
        r->fail_text = copy;
        r->fail_error = error;
        r->fail_code = code;
}

static uint64_t after_sec(uint64_t usec, uint64_t sec) {
        return usec + sec * USEC_PER_SEC;
}

/* next = min(UpdatePeriod, lifetime - early), never under 15 s. */
static uint64_t update_interval_sec(const Rd *r) {
        uint64_t next = UINT64_MAX, early = r->config.update_early_sec;

        if (r->sent_lifetime_sec > 0)
                next = r->sent_lifetime_sec > early ? r->sent_lifetime_sec - early : 0;
        if (r->config.update_period_sec > 0)
                next = MIN(next, r->config.update_period_sec);
        return MAX(next, RD_UPDATE_MIN_SEC);
}

/* Arms the timer for the earliest reason to send an Update. */
static void schedule(Rd *r, uint64_t now_usec) {
        uint64_t due = r->update_usec, wanted = MIN(r->wanted_usec, r->news_usec);

        if (wanted != USEC_INFINITY && r->last_update_usec != USEC_INFINITY)
                wanted = MAX(wanted,
                             after_sec(r->last_update_usec, r->config.update_interval_min_sec));
        due = r->forced ? now_usec : MIN(due, wanted);
        timer_arm(r->timer, due);
}

static void want_nothing(Rd *r) {
        r->forced = false;
        r->wanted_usec = r->news_usec = USEC_INFINITY;
}

static void forget(Rd *r, const char *why) {
        if (!r->registered)
                return;
        r->registered = false;
        r->ops->lost(r->userdata, why);
}

static void send_request(Rd *r, RdRequest what, uint64_t limit_usec, uint64_t now_usec) {
        int k;

        r->sent_usec = now_usec;
        r->sent_lifetime_sec =
                what == RD_SEND_DEREGISTER ? r->sent_lifetime_sec : r->config.lifetime_sec;
        timer_arm(r->timer, now_usec + limit_usec);
        k = r->ops->send(r->userdata, what, now_usec);
        if (k < 0) {
                note_failure(r, k, 0, NULL);
                r->next = RD_NO_ANSWER;
        }
}

static void start_lifetime(Rd *r) {
        uint64_t interval = update_interval_sec(r);

        r->deadline_usec = r->sent_lifetime_sec ? after_sec(r->sent_usec, r->sent_lifetime_sec)
                                                : USEC_INFINITY;
        r->update_usec = interval == UINT64_MAX ? USEC_INFINITY : after_sec(r->sent_usec, interval);
}

/* --- guards --- */

static bool is_held(const Rd *r, uint64_t now_usec) {
        return r->config.held;
}

static bool is_delayed(const Rd *r, uint64_t now_usec) {
        return r->config.initial_delay_sec > 0 && !r->once;
}

static bool alive(const Rd *r, uint64_t now_usec) {
        return r->registered && now_usec < r->deadline_usec;
}

/* An Update timed for the very end of the lifetime is still one. */
static bool expired(const Rd *r, uint64_t now_usec) {
        return !alive(r, now_usec - MIN(now_usec, USEC_PER_SEC));
}

/* What changed has changed back, as an instance created and deleted again does. */
static bool nothing_new(const Rd *r, uint64_t now_usec) {
        return !r->forced && r->wanted_usec == USEC_INFINITY && now_usec < r->update_usec &&
               !r->ops->has_news(r->userdata);
}

/* With notifications stored for the server (1/x/6): a Register would end their observations, and
 * the outage may well be shorter than the lifetime. */
static bool precious(const Rd *r, uint64_t now_usec) {
        return alive(r, now_usec) && r->ops->is_precious && r->ops->is_precious(r->userdata);
}

static bool leaving(const Rd *r, uint64_t now_usec) {
        return r->leave != STAY;
}

static bool leaving_alive(const Rd *r, uint64_t now_usec) {
        return leaving(r, now_usec) && alive(r, now_usec);
}

static bool to_disable(const Rd *r, uint64_t now_usec) {
        return r->leave == LEAVE_DISABLED;
}

static bool still_disabled(const Rd *r, uint64_t now_usec) {
        return r->disabled_usec > now_usec;
}

/* 4.12 says so; servers of 1.0 that never heard of other versions say 4.00. */
static bool older_version(const Rd *r, uint64_t now_usec) {
        return r->config.version.major == 0 && r->version.minor == 1 &&
               (r->fail_code == CODE(4, 12) || r->fail_code == CODE(4, 0));
}

/* No later attempt can end otherwise until the account changes. */
static bool hopeless(const Rd *r, uint64_t now_usec) {
        return r->fail_error == -EPROTONOSUPPORT || r->fail_error == -EINVAL;
}

/* The session came to its end, not the way to the server: a new link may work at once. */
static bool stale(const Rd *r, uint64_t now_usec) {
        return r->fail_error == -ESTALE;
}

/* A server that ends each session as soon as it has answered is not asked again and again. */
static bool lost_again(const Rd *r, uint64_t now_usec) {
        return r->lost_usec > 0 && now_usec < after_sec(r->lost_usec, RD_UPDATE_MIN_SEC);
}

static bool more_attempts(const Rd *r, uint64_t now_usec) {
        return backoff_stage(&r->backoff) == BACKOFF_ATTEMPT;
}

static bool more_sequences(const Rd *r, uint64_t now_usec) {
        return backoff_stage(&r->backoff) == BACKOFF_SEQUENCE;
}

static bool gives_up(const Rd *r, uint64_t now_usec) {
        return r->config.give_up;
}

/* --- actions --- */

static void arm_initial_delay(Rd *r, uint64_t now_usec) {
        timer_arm(r->timer, after_sec(now_usec, r->config.initial_delay_sec));
}

static void connect_link(Rd *r, uint64_t now_usec) {
        const char *text = NULL;
        int k;

        r->ops->disconnect(r->userdata);
        timer_arm(r->timer, now_usec + RD_CONNECT_MAX_USEC);
        k = r->ops->connect(r->userdata, &text, now_usec);
        if (k < 0) {
                note_failure(r, k, 0, text);
                r->next = RD_DOWN;
        }
}

static void connect_fresh(Rd *r, uint64_t now_usec) {
        r->disabled_usec = 0;
        backoff_reset(&r->backoff);
        connect_link(r, now_usec);
}

static void connect_to_leave(Rd *r, uint64_t now_usec) {
        r->leave = LEAVE_TO_REST;
        connect_link(r, now_usec);
        timer_arm(r->timer, now_usec + r->config.deregister_timeout_usec);
}

static void send_register(Rd *r, uint64_t now_usec) {
        want_nothing(r);
        r->ops->cancel(r->userdata);
        send_request(r, RD_SEND_REGISTER, RD_ANSWER_MAX_USEC, now_usec);
}

static void register_again(Rd *r, uint64_t now_usec) {
        forget(r, "registering anew");
        send_register(r, now_usec);
}

static void register_expired(Rd *r, uint64_t now_usec) {
        note_failure(r, -ETIMEDOUT, 0, "the registration's lifetime passed");
        emit(r, "reg-timeout", true, now_usec, now_usec);
        forget(r, "lifetime passed");
        send_register(r, now_usec);
}

static void register_refused(Rd *r, uint64_t now_usec) {
        emit(r, "registration-failure", true, now_usec, now_usec);
        register_again(r, now_usec);
}

static void register_older(Rd *r, uint64_t now_usec) {
        r->version = (Version){ 1, 0 };
        send_register(r, now_usec);
}

static void registered(Rd *r, uint64_t now_usec) {
        r->registered = r->once = true;
        backoff_reset(&r->backoff);
        start_lifetime(r);
        r->last_update_usec = USEC_INFINITY;
        schedule(r, now_usec);
        emit(r, "registration-complete", false, r->update_usec, now_usec);
}

static void send_update(Rd *r, uint64_t now_usec) {
        want_nothing(r);
        r->last_update_usec = now_usec;
        emit(r, "reg-update", false, USEC_INFINITY, now_usec);
        send_request(r, RD_SEND_UPDATE, RD_ANSWER_MAX_USEC, now_usec);
}

static void updated(Rd *r, uint64_t now_usec) {
        backoff_reset(&r->backoff);
        start_lifetime(r);
        schedule(r, now_usec);
        emit(r, "reg-update-complete", false, r->update_usec, now_usec);
}

/* The specification wants a Register after an Update without answer; by a new link, for the server
 * may have moved to another address. */
static void update_unanswered(Rd *r, uint64_t now_usec) {
        emit(r, "reg-timeout", true, now_usec, now_usec);
        forget(r, "no answer to an Update");
        connect_link(r, now_usec);
}

/* Nothing is under way: the timer is that of the next Update. */
static bool is_settled(const Rd *r) {
        return r->state == RD_REGISTERED || r->state == RD_ASLEEP;
}

static void want_now(Rd *r, uint64_t now_usec) {
        r->forced = true;
        if (is_settled(r))
                schedule(r, now_usec);
}

static void want_soon(Rd *r, uint64_t now_usec) {
        r->wanted_usec = MIN(r->wanted_usec, now_usec);
        if (is_settled(r))
                schedule(r, now_usec);
}

static void want_coalesced(Rd *r, uint64_t now_usec) {
        r->news_usec = MIN(r->news_usec, now_usec + RD_COALESCE_USEC);
        if (is_settled(r))
                schedule(r, now_usec);
}

static void tell_nothing(Rd *r, uint64_t now_usec) {
        r->news_usec = USEC_INFINITY;
        schedule(r, now_usec);
}

static void link_lost(Rd *r, uint64_t now_usec) {
        r->lost_usec = MAX(now_usec, 1);
        emit(r, "disconnect", true, now_usec, now_usec);
        connect_link(r, now_usec);
}

static void refused(Rd *r, uint64_t now_usec) {
        r->fail_event = "registration-failure";
        /* Perhaps it was not the version: the next attempt begins at the top again. */
        if (r->config.version.major == 0)
                r->version = (Version){ 1, 1 };
        r->next = RD_NEXT;
}

static void unanswered(Rd *r, uint64_t now_usec) {
        r->fail_event = r->fail_error == -ETIMEDOUT ? "reg-timeout" : "registration-failure";
        r->next = RD_NEXT;
}

static void timed_out(Rd *r, uint64_t now_usec) {
        note_failure(r, -ETIMEDOUT, 0, NULL);
        unanswered(r, now_usec);
}

static void update_timed_out(Rd *r, uint64_t now_usec) {
        note_failure(r, -ETIMEDOUT, 0, NULL);
        update_unanswered(r, now_usec);
}

static void retry_at(Rd *r, uint64_t delay_usec, uint64_t now_usec) {
        r->ops->disconnect(r->userdata);
        timer_arm(r->timer, now_usec + delay_usec);
}

static void retry(Rd *r, uint64_t now_usec) {
        retry_at(r, backoff_step(&r->backoff, r->rnd), now_usec);
        emit(r, r->fail_event, true, timer_due(r->timer), now_usec);
}

/* The registration counts as failed: told once, and then the daemon goes on trying. */
static void retry_beyond(Rd *r, uint64_t now_usec) {
        bool first = r->backoff.beyond == 0;

        retry(r, now_usec);
        if (first)
                emit(r, "network-error", true, timer_due(r->timer), now_usec);
}

static void give_up(Rd *r, uint64_t now_usec) {
        r->ops->disconnect(r->userdata);
        timer_disarm(r->timer);
        emit(r, r->fail_event, true, USEC_INFINITY, now_usec);
        emit(r, "network-error", true, USEC_INFINITY, now_usec);
}

static void send_deregister(Rd *r, uint64_t now_usec) {
        r->ops->cancel(r->userdata);
        want_nothing(r);
        emit(r, "deregister", false, USEC_INFINITY, now_usec);
        send_request(r, RD_SEND_DEREGISTER, r->config.deregister_timeout_usec, now_usec);
}

static void stop_now(Rd *r, uint64_t now_usec) {
        r->leave = LEAVE_TO_REST;
        send_deregister(r, now_usec);
}

static void stop_later(Rd *r, uint64_t now_usec) {
        r->leave = LEAVE_TO_REST;
        timer_arm(r->timer, now_usec + r->config.deregister_timeout_usec);
}

/* Still de-registering for another reason: the timer of that request goes on. */
static void stop_instead(Rd *r, uint64_t now_usec) {
        r->leave = LEAVE_TO_REST;
}

static void disable_now(Rd *r, uint64_t now_usec) {
        r->leave = LEAVE_DISABLED;
        send_deregister(r, now_usec);
}

static void disable_later(Rd *r, uint64_t now_usec) {
        if (r->leave == STAY)
                r->leave = LEAVE_DISABLED;
}

static void enable_early(Rd *r, uint64_t now_usec) {
        r->leave = LEAVE_DISABLED;
        r->disabled_usec = now_usec;
}

static void registered_to_leave(Rd *r, uint64_t now_usec) {
        registered(r, now_usec);
        send_deregister(r, now_usec);
}

static void deregistered(Rd *r, uint64_t now_usec) {
        forget(r, "de-registered");
        emit(r, "disconnect", false, USEC_INFINITY, now_usec);
        r->next = RD_NEXT;
}

static void deregister_failed(Rd *r, uint64_t now_usec) {
        emit(r, "deregister-failure", true, USEC_INFINITY, now_usec);
        forget(r, "de-registered without an answer");
        r->next = RD_NEXT;
}

static void deregister_timed_out(Rd *r, uint64_t now_usec) {
        note_failure(r, -ETIMEDOUT, 0, NULL);
        deregister_failed(r, now_usec);
}

/* Nothing to de-register, or no way to. */
static void leave_quietly(Rd *r, uint64_t now_usec) {
        r->next = RD_NEXT;
}

static void rest(Rd *r, uint64_t now_usec) {
        r->ops->disconnect(r->userdata);
        timer_disarm(r->timer);
        want_nothing(r);
        backoff_reset(&r->backoff);
        r->leave = STAY;
        r->disabled_usec = 0;
}

static void stay_away(Rd *r, uint64_t now_usec) {
        r->ops->disconnect(r->userdata);
        want_nothing(r);
        forget(r, "disabled");
        r->leave = STAY;
        timer_arm(r->timer, r->disabled_usec);
        emit(r, "server-disabled", false, r->disabled_usec, now_usec);
}

static void suspend(Rd *r, uint64_t now_usec) {
        r->ops->disconnect(r->userdata);
        timer_disarm(r->timer);
}

/* The server may or may not have seen our DELETE: only a Register gives a known state. */
static void suspend_leaving(Rd *r, uint64_t now_usec) {
        forget(r, "paused while de-registering");
        r->leave = STAY;
        suspend(r, now_usec);
}

/* The timer goes on. */
static void close_to_sleep(Rd *r, uint64_t now_usec) {
        r->ops->disconnect(r->userdata);
}

static void wake_to_register(Rd *r, uint64_t now_usec) {
        forget(r, "registering anew");
        connect_fresh(r, now_usec);
}

static void wake_to_disable(Rd *r, uint64_t now_usec) {
        connect_to_leave(r, now_usec);
        r->leave = LEAVE_DISABLED;
}

static void rearm_disabled(Rd *r, uint64_t now_usec) {
        timer_arm(r->timer, r->disabled_usec);
}

/* --- the table --- first matching edge wins */

typedef struct Edge {
        RdState from;
        RdInput input;
        bool (*guard)(const Rd *r, uint64_t now_usec);
        const char *guard_name;
        void (*action)(Rd *r, uint64_t now_usec);
        RdState to;
} Edge;

#define IF(guard) guard, #guard
#define ALWAYS NULL, ""

static const Edge edges[] = {
        /* clang-format off */
        { RD_ANY,           RD_FORCE,     ALWAYS,             rest,                 RD_IDLE },

        { RD_IDLE,          RD_START,     IF(is_held),        NULL,                 RD_HELD },
        { RD_IDLE,          RD_START,     IF(is_delayed),     arm_initial_delay,    RD_DELAYED },
        { RD_IDLE,          RD_START,     ALWAYS,             connect_fresh,        RD_CONNECTING },
        { RD_IDLE,          RD_REGISTER,  ALWAYS,             connect_fresh,        RD_CONNECTING },

        { RD_HELD,          RD_TURN,      IF(is_delayed),     arm_initial_delay,    RD_DELAYED },
        { RD_HELD,          RD_TURN,      ALWAYS,             connect_fresh,        RD_CONNECTING },
        { RD_HELD,          RD_REGISTER,  ALWAYS,             connect_fresh,        RD_CONNECTING },
        { RD_HELD,          RD_DISABLE,   ALWAYS,             stay_away,            RD_DISABLED },
        { RD_HELD,          RD_STOP,      ALWAYS,             rest,                 RD_IDLE },

        { RD_DELAYED,       RD_TIMER,     ALWAYS,             connect_fresh,        RD_CONNECTING },
        { RD_DELAYED,       RD_REGISTER,  ALWAYS,             connect_fresh,        RD_CONNECTING },
        { RD_DELAYED,       RD_DISABLE,   ALWAYS,             stay_away,            RD_DISABLED },
        { RD_DELAYED,       RD_STOP,      ALWAYS,             rest,                 RD_IDLE },
        { RD_DELAYED,       RD_PAUSE,     ALWAYS,             suspend,              RD_PAUSED },

        { RD_CONNECTING,    RD_UP,        IF(leaving_alive),  send_deregister,      RD_DEREGISTERING },
        { RD_CONNECTING,    RD_UP,        IF(leaving),        leave_quietly,        RD_LEFT },
        { RD_CONNECTING,    RD_UP,        IF(alive),          send_update,          RD_UPDATING },
        { RD_CONNECTING,    RD_UP,        ALWAYS,             register_again,       RD_REGISTERING },
        { RD_CONNECTING,    RD_DOWN,      IF(leaving),        deregister_failed,    RD_LEFT },
        { RD_CONNECTING,    RD_DOWN,      ALWAYS,             unanswered,           RD_FAILING },
        { RD_CONNECTING,    RD_TIMER,     IF(leaving),        deregister_timed_out, RD_LEFT },
        { RD_CONNECTING,    RD_TIMER,     ALWAYS,             timed_out,            RD_FAILING },
        { RD_CONNECTING,    RD_STOP,      IF(leaving),        stop_instead,         RD_CONNECTING },
        { RD_CONNECTING,    RD_STOP,      IF(alive),          stop_later,           RD_CONNECTING },
        { RD_CONNECTING,    RD_STOP,      ALWAYS,             rest,                 RD_IDLE },
        { RD_CONNECTING,    RD_DISABLE,   IF(leaving),        NULL,                 RD_CONNECTING },
        { RD_CONNECTING,    RD_DISABLE,   ALWAYS,             stay_away,            RD_DISABLED },
        { RD_CONNECTING,    RD_ENABLE,    IF(to_disable),     enable_early,         RD_CONNECTING },
        { RD_CONNECTING,    RD_PAUSE,     IF(to_disable),     suspend_leaving,      RD_PAUSED },
        { RD_CONNECTING,    RD_PAUSE,     IF(leaving),        NULL,                 RD_CONNECTING },
        { RD_CONNECTING,    RD_PAUSE,     ALWAYS,             suspend,              RD_PAUSED },

        { RD_REGISTERING,   RD_OK,        IF(leaving),        registered_to_leave,  RD_DEREGISTERING },
        { RD_REGISTERING,   RD_OK,        ALWAYS,             registered,           RD_REGISTERED },
        { RD_REGISTERING,   RD_REFUSED,   IF(leaving),        leave_quietly,        RD_LEFT },
        { RD_REGISTERING,   RD_REFUSED,   IF(older_version),  register_older,       RD_REGISTERING },
        { RD_REGISTERING,   RD_REFUSED,   ALWAYS,             refused,              RD_FAILING },
        { RD_REGISTERING,   RD_NO_ANSWER, IF(leaving),        leave_quietly,        RD_LEFT },
        { RD_REGISTERING,   RD_NO_ANSWER, ALWAYS,             unanswered,           RD_FAILING },
        { RD_REGISTERING,   RD_DOWN,      IF(leaving),        leave_quietly,        RD_LEFT },
        { RD_REGISTERING,   RD_DOWN,      IF(lost_again),     unanswered,           RD_FAILING },
        { RD_REGISTERING,   RD_DOWN,      IF(stale),          link_lost,            RD_CONNECTING },
        { RD_REGISTERING,   RD_DOWN,      ALWAYS,             unanswered,           RD_FAILING },
        { RD_REGISTERING,   RD_TIMER,     IF(leaving),        leave_quietly,        RD_LEFT },
        { RD_REGISTERING,   RD_TIMER,     ALWAYS,             timed_out,            RD_FAILING },
        { RD_REGISTERING,   RD_UPDATE,    ALWAYS,             want_now,             RD_REGISTERING },
        { RD_REGISTERING,   RD_TRIGGER,   ALWAYS,             want_soon,            RD_REGISTERING },
        { RD_REGISTERING,   RD_CHANGED,   ALWAYS,             want_coalesced,       RD_REGISTERING },
        { RD_REGISTERING,   RD_REGISTER,  ALWAYS,             NULL,                 RD_REGISTERING },
        { RD_REGISTERING,   RD_STOP,      ALWAYS,             stop_later,           RD_REGISTERING },
        { RD_REGISTERING,   RD_DISABLE,   ALWAYS,             disable_later,        RD_REGISTERING },
        { RD_REGISTERING,   RD_PAUSE,     IF(leaving),        NULL,                 RD_REGISTERING },
        { RD_REGISTERING,   RD_PAUSE,     ALWAYS,             suspend,              RD_PAUSED },

        { RD_REGISTERED,    RD_TIMER,     IF(expired),        register_expired,     RD_REGISTERING },
        { RD_REGISTERED,    RD_TIMER,     IF(nothing_new),    tell_nothing,         RD_REGISTERED },
        { RD_REGISTERED,    RD_TIMER,     ALWAYS,             send_update,          RD_UPDATING },
        { RD_REGISTERED,    RD_UPDATE,    ALWAYS,             want_now,             RD_REGISTERED },
        { RD_REGISTERED,    RD_TRIGGER,   ALWAYS,             want_soon,            RD_REGISTERED },
        { RD_REGISTERED,    RD_CHANGED,   ALWAYS,             want_coalesced,       RD_REGISTERED },
        { RD_REGISTERED,    RD_REGISTER,  ALWAYS,             register_again,       RD_REGISTERING },
        { RD_REGISTERED,    RD_DOWN,      IF(lost_again),     unanswered,           RD_FAILING },
        { RD_REGISTERED,    RD_DOWN,      ALWAYS,             link_lost,            RD_CONNECTING },
        { RD_REGISTERED,    RD_STOP,      ALWAYS,             stop_now,             RD_DEREGISTERING },
        { RD_REGISTERED,    RD_DISABLE,   ALWAYS,             disable_now,          RD_DEREGISTERING },
        { RD_REGISTERED,    RD_PAUSE,     ALWAYS,             suspend,              RD_PAUSED },

        { RD_REGISTERED,    RD_SLEEP,     ALWAYS,             close_to_sleep,       RD_ASLEEP },

        /* on RD_UP follows an Update, or a Register when the lifetime has passed */
        { RD_ASLEEP,        RD_TIMER,     IF(nothing_new),    tell_nothing,         RD_ASLEEP },
        { RD_ASLEEP,        RD_TIMER,     ALWAYS,             connect_link,         RD_CONNECTING },
        { RD_ASLEEP,        RD_UPDATE,    ALWAYS,             want_now,             RD_ASLEEP },
        { RD_ASLEEP,        RD_TRIGGER,   ALWAYS,             want_soon,            RD_ASLEEP },
        { RD_ASLEEP,        RD_CHANGED,   ALWAYS,             want_coalesced,       RD_ASLEEP },
        { RD_ASLEEP,        RD_REGISTER,  ALWAYS,             wake_to_register,     RD_CONNECTING },
        { RD_ASLEEP,        RD_STOP,      IF(alive),          connect_to_leave,     RD_CONNECTING },
        { RD_ASLEEP,        RD_STOP,      ALWAYS,             rest,                 RD_IDLE },
        { RD_ASLEEP,        RD_DISABLE,   IF(alive),          wake_to_disable,      RD_CONNECTING },
        { RD_ASLEEP,        RD_DISABLE,   ALWAYS,             stay_away,            RD_DISABLED },
        { RD_ASLEEP,        RD_PAUSE,     ALWAYS,             suspend,              RD_PAUSED },

        { RD_UPDATING,      RD_OK,        ALWAYS,             updated,              RD_REGISTERED },
        { RD_UPDATING,      RD_REFUSED,   ALWAYS,             register_refused,     RD_REGISTERING },
        { RD_UPDATING,      RD_NO_ANSWER, IF(precious),       unanswered,           RD_FAILING },
        { RD_UPDATING,      RD_NO_ANSWER, ALWAYS,             update_unanswered,    RD_CONNECTING },
        { RD_UPDATING,      RD_TIMER,     IF(precious),       timed_out,            RD_FAILING },
        { RD_UPDATING,      RD_TIMER,     ALWAYS,             update_timed_out,     RD_CONNECTING },
        { RD_UPDATING,      RD_DOWN,      IF(lost_again),     unanswered,           RD_FAILING },
        { RD_UPDATING,      RD_DOWN,      IF(stale),          link_lost,            RD_CONNECTING },
        { RD_UPDATING,      RD_DOWN,      ALWAYS,             unanswered,           RD_FAILING },
        { RD_UPDATING,      RD_UPDATE,    ALWAYS,             want_now,             RD_UPDATING },
        { RD_UPDATING,      RD_TRIGGER,   ALWAYS,             want_soon,            RD_UPDATING },
        { RD_UPDATING,      RD_CHANGED,   ALWAYS,             want_coalesced,       RD_UPDATING },
        { RD_UPDATING,      RD_REGISTER,  ALWAYS,             register_again,       RD_REGISTERING },
        { RD_UPDATING,      RD_STOP,      ALWAYS,             stop_now,             RD_DEREGISTERING },
        { RD_UPDATING,      RD_DISABLE,   ALWAYS,             disable_now,          RD_DEREGISTERING },
        { RD_UPDATING,      RD_PAUSE,     ALWAYS,             suspend,              RD_PAUSED },

        { RD_DEREGISTERING, RD_OK,        ALWAYS,             deregistered,         RD_LEFT },
        { RD_DEREGISTERING, RD_REFUSED,   ALWAYS,             deregister_failed,    RD_LEFT },
        { RD_DEREGISTERING, RD_NO_ANSWER, ALWAYS,             deregister_failed,    RD_LEFT },
        { RD_DEREGISTERING, RD_DOWN,      ALWAYS,             deregister_failed,    RD_LEFT },
        { RD_DEREGISTERING, RD_TIMER,     ALWAYS,             deregister_timed_out, RD_LEFT },
        { RD_DEREGISTERING, RD_STOP,      ALWAYS,             stop_instead,         RD_DEREGISTERING },
        { RD_DEREGISTERING, RD_ENABLE,    ALWAYS,             enable_early,         RD_DEREGISTERING },
        { RD_DEREGISTERING, RD_REGISTER,  ALWAYS,             enable_early,         RD_DEREGISTERING },
        { RD_DEREGISTERING, RD_PAUSE,     IF(to_disable),     suspend_leaving,      RD_PAUSED },

        { RD_DISABLED,      RD_TIMER,     ALWAYS,             connect_fresh,        RD_CONNECTING },
        { RD_DISABLED,      RD_ENABLE,    ALWAYS,             connect_fresh,        RD_CONNECTING },
        { RD_DISABLED,      RD_REGISTER,  ALWAYS,             connect_fresh,        RD_CONNECTING },
        { RD_DISABLED,      RD_DISABLE,   ALWAYS,             rearm_disabled,       RD_DISABLED },
        { RD_DISABLED,      RD_STOP,      ALWAYS,             rest,                 RD_IDLE },
        { RD_DISABLED,      RD_PAUSE,     ALWAYS,             suspend,              RD_PAUSED },

        { RD_RETRYING,      RD_TIMER,     ALWAYS,             connect_link,         RD_CONNECTING },
        { RD_RETRYING,      RD_UPDATE,    ALWAYS,             connect_link,         RD_CONNECTING },
        { RD_RETRYING,      RD_REGISTER,  ALWAYS,             connect_link,         RD_CONNECTING },
        { RD_RETRYING,      RD_DISABLE,   ALWAYS,             stay_away,            RD_DISABLED },
        { RD_RETRYING,      RD_STOP,      IF(alive),          connect_to_leave,     RD_CONNECTING },
        { RD_RETRYING,      RD_STOP,      ALWAYS,             rest,                 RD_IDLE },
        { RD_RETRYING,      RD_PAUSE,     ALWAYS,             suspend,              RD_PAUSED },

        { RD_GIVEN_UP,      RD_UPDATE,    ALWAYS,             connect_fresh,        RD_CONNECTING },
        { RD_GIVEN_UP,      RD_REGISTER,  ALWAYS,             connect_fresh,        RD_CONNECTING },
        { RD_GIVEN_UP,      RD_DISABLE,   ALWAYS,             stay_away,            RD_DISABLED },
        { RD_GIVEN_UP,      RD_STOP,      ALWAYS,             rest,                 RD_IDLE },

        { RD_PAUSED,        RD_RESUME,    IF(still_disabled), rearm_disabled,       RD_DISABLED },
        { RD_PAUSED,        RD_RESUME,    ALWAYS,             connect_fresh,        RD_CONNECTING },
        { RD_PAUSED,        RD_STOP,      IF(alive),          connect_to_leave,     RD_CONNECTING },
        { RD_PAUSED,        RD_STOP,      ALWAYS,             rest,                 RD_IDLE },

        { RD_FAILING,       RD_NEXT,      IF(hopeless),       give_up,              RD_GIVEN_UP },
        { RD_FAILING,       RD_NEXT,      IF(more_attempts),  retry,                RD_RETRYING },
        { RD_FAILING,       RD_NEXT,      IF(more_sequences), retry,                RD_RETRYING },
        { RD_FAILING,       RD_NEXT,      IF(gives_up),       give_up,              RD_GIVEN_UP },
        { RD_FAILING,       RD_NEXT,      ALWAYS,             retry_beyond,         RD_RETRYING },

        { RD_LEFT,          RD_NEXT,      IF(to_disable),     stay_away,            RD_DISABLED },
        { RD_LEFT,          RD_NEXT,      ALWAYS,             rest,                 RD_IDLE },
        /* clang-format on */
};

static const Edge *find_edge(const Rd *r, RdInput input, uint64_t now_usec) {
        for (size_t i = 0; i < G_N_ELEMENTS(edges); i++)
                if ((edges[i].from == r->state || edges[i].from == RD_ANY) &&
                    edges[i].input == input && (!edges[i].guard || edges[i].guard(r, now_usec)))
                        return &edges[i];
        return NULL;
}

static int step(Rd *r, RdInput input, uint64_t now_usec) {
        const Edge *e = find_edge(r, input, now_usec);

        if (!e)
                return -ENOTCONN;
        if (r->ops->edge)
                r->ops->edge(r->userdata, (size_t) (e - edges));
        if (e->to == RD_FAILING)
                backoff_note_failure(&r->backoff);
        r->state = e->to;
        if (e->action)
                e->action(r, now_usec);
        return 0;
}

int rd_input(Rd *r, RdInput input, uint64_t now_usec) {
        RdState before = r->state;
        int k;

        r->next = -1;
        k = step(r, input, now_usec);
        while (r->next >= 0) {
                RdInput next = (RdInput) r->next;

                r->next = -1;
                (void) step(r, next, now_usec);
        }
        if (r->state != before)
                r->ops->changed(r->userdata, now_usec);
        return k;
}

static void on_timer(void *userdata, uint64_t now_usec) {
        (void) rd_input(userdata, RD_TIMER, now_usec);
}

int rd_disable(Rd *r, uint64_t until_usec, uint64_t now_usec) {
        uint64_t before = r->disabled_usec;
        int k;

        r->disabled_usec = until_usec;
        k = rd_input(r, RD_DISABLE, now_usec);
        if (k < 0)
                r->disabled_usec = before;
        return k;
}

void rd_down(Rd *r, int error, const char *text, uint64_t now_usec) {
        note_failure(r, error, 0, text);
        (void) rd_input(r, RD_DOWN, now_usec);
}

static bool is_success(const Rd *r, uint8_t code) {
        switch ((int) r->state) {
        case RD_REGISTERING:
                return code == CODE(2, 1);
        case RD_UPDATING:
                return code == CODE(2, 4);
        case RD_DEREGISTERING:
                return code == CODE(2, 2);
        default:
                return false;
        }
}

void rd_answer(Rd *r, int error, uint8_t code, const char *text, uint64_t now_usec) {
        RdInput input = error < 0 && code == 0 ? RD_NO_ANSWER : RD_REFUSED;

        if (error == 0 && is_success(r, code))
                input = RD_OK;
        else
                note_failure(r, error, code, text);
        (void) rd_input(r, input, now_usec);
}

void rd_restore(Rd *r, Version version, uint64_t deadline_usec) {
        assert(r->state == RD_IDLE);
        r->registered = r->once = true;
        r->deadline_usec = deadline_usec;
        if (r->config.version.major == 0)
                r->version = version;
}

void rd_set_config(Rd *r, const RdConfig *config) {
        r->config = *config;
        r->backoff.policy = config->retry;
        if (config->version.major > 0)
                r->version = config->version;
}

Rd *rd_new(const RdConfig *config, const RdOps *ops, void *userdata, TimerQueue *timers,
           GRand *rnd) {
        Rd *r = g_new0(Rd, 1);

        r->ops = ops;
        r->userdata = userdata;
        r->rnd = rnd;
        r->timer = timer_new(timers, on_timer, r);
        r->version = (Version){ 1, 1 };
        r->next = -1;
        r->wanted_usec = r->news_usec = r->last_update_usec = r->update_usec = USEC_INFINITY;
        rd_set_config(r, config);
        return r;
}

Rd *rd_free(Rd *r) {
        if (!r)
                return NULL;
        timer_free(r->timer);
        g_free(r->fail_text);
        g_free(r);
        return NULL;
}

RdState rd_state(const Rd *r) {
        return r->state;
}

Version rd_version(const Rd *r) {
        return r->version;
}

bool rd_is_alive(const Rd *r, uint64_t now_usec) {
        return alive(r, now_usec);
}

bool rd_has_failed(const Rd *r) {
        return r->state == RD_GIVEN_UP || r->backoff.beyond > 0;
}

bool rd_has_registered(const Rd *r) {
        return r->once;
}

uint64_t rd_next_usec(const Rd *r) {
        return timer_due(r->timer);
}

uint64_t rd_disabled_until(const Rd *r) {
        return r->disabled_usec;
}

size_t rd_n_edges(void) {
        return G_N_ELEMENTS(edges);
}

RdEdgeInfo rd_edge(size_t i) {
        return (RdEdgeInfo){ .from = edges[i].from,
                             .to = edges[i].to,
                             .input = edges[i].input,
                             .guard = edges[i].guard_name };
}

const char *rd_state_name(RdState s) {
        static const char *const names[] = {
                [RD_IDLE] = "idle",
                [RD_HELD] = "held",
                [RD_DELAYED] = "delayed",
                [RD_CONNECTING] = "connecting",
                [RD_REGISTERING] = "registering",
                [RD_REGISTERED] = "registered",
                [RD_ASLEEP] = "asleep",
                [RD_UPDATING] = "updating",
                [RD_DEREGISTERING] = "deregistering",
                [RD_DISABLED] = "disabled",
                [RD_RETRYING] = "retrying",
                [RD_GIVEN_UP] = "given-up",
                [RD_PAUSED] = "paused",
                [RD_FAILING] = "failing",
                [RD_LEFT] = "left",
                [RD_ANY] = "any",
        };

        return names[s];
}
