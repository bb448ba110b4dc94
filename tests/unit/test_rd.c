/* SPDX-License-Identifier: Apache-2.0 */
/* The registration machine on virtual time. A scenario is a line of words: settings (@…) first,
 * then what happens; what the machine does after "|" is compared. The last test fails if an edge of
 * the table was never taken. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lwm2m/server/rd.h"
#include "lwm2m/transport.h"

#define START_USEC (1000 * USEC_PER_SEC)
#define TIMEOUT_SEC 5

typedef struct Bed {
        TimerQueue *timers;
        GRand *rnd;
        Rd *rd;
        RdConfig config;
        GString *log;
        uint64_t now;
        uint64_t next_usec; /* of the last event */
        int connect_error, send_error;
        bool no_news, precious;
        uint64_t restored_usec;
} Bed;

static bool taken[512];

static void note(Bed *b, const char *text) {
        g_string_append_printf(b->log, "%s%s", b->log->len > 0 ? " " : "", text);
}

static int on_connect(void *userdata, const char **ret_text, uint64_t now_usec) {
        Bed *b = userdata;

        assert_true(now_usec == b->now);
        note(b, "connect");
        return b->connect_error;
}

static void on_disconnect(void *userdata) {
}

static int on_send(void *userdata, RdRequest what, uint64_t now_usec) {
        static const char *const names[] = { "REGISTER", "UPDATE", "DEREGISTER" };
        Bed *b = userdata;

        note(b, names[what]);
        return b->send_error;
}

static bool on_has_news(void *userdata) {
        return !((Bed *) userdata)->no_news;
}

static bool is_precious(void *userdata) {
        return ((Bed *) userdata)->precious;
}

static void on_cancel(void *userdata) {
}

static void on_lost(void *userdata, const char *why) {
        note(userdata, "lost");
}

static void on_event(void *userdata, const RdEvent *event, uint64_t now_usec) {
        Bed *b = userdata;

        b->next_usec = event->next_usec;
        note(b, event->name);
        if (event->failure && event->code)
                g_string_append_printf(b->log, ":%u.%02u", event->code >> 5, event->code & 31U);
        else if (event->failure)
                g_string_append_printf(b->log, ":%d", -event->error);
}

static void on_changed(void *userdata, uint64_t now_usec) {
}

static void on_edge(void *userdata, size_t edge) {
        assert_in_range(edge, 0, G_N_ELEMENTS(taken) - 1);
        taken[edge] = true;
}

static const RdOps ops = {
        .connect = on_connect,
        .disconnect = on_disconnect,
        .send = on_send,
        .cancel = on_cancel,
        .has_news = on_has_news,
        .is_precious = is_precious,
        .lost = on_lost,
        .event = on_event,
        .changed = on_changed,
        .edge = on_edge,
};

static void bed_init(Bed *b) {
        *b = (Bed){ .timers = timerq_new(),
                    .rnd = g_rand_new_with_seed(1),
                    .log = g_string_new(NULL),
                    .now = START_USEC };
        b->config = (RdConfig){
                .retry = { .count = 3,
                           .timer_sec = 60,
                           .sequence_delay_sec = 1000,
                           .sequence_count = 1,
                           .cap_sec = 3600 },
                .lifetime_sec = 300,
                .update_early_sec = 10,
                .update_interval_min_sec = 15,
                .deregister_timeout_usec = TIMEOUT_SEC * USEC_PER_SEC,
        };
}

static void bed_clear(Bed *b) {
        rd_free(b->rd);
        g_rand_free(b->rnd);
        g_string_free(b->log, TRUE);
        timerq_free(b->timers);
}

static void bed_start(Bed *b) {
        if (b->rd)
                return;
        b->rd = rd_new(&b->config, &ops, b, b->timers, b->rnd);
        if (b->restored_usec)
                rd_restore(b->rd, (Version){ 1, 1 }, b->restored_usec);
}

static void advance(Bed *b, uint64_t usec) {
        uint64_t end = b->now + usec;

        while (timerq_next(b->timers) <= end) {
                b->now = MAX(b->now, timerq_next(b->timers));
                timerq_run(b->timers, b->now);
        }
        b->now = end;
}

static bool setting(Bed *b, const char *word) {
        if (strcmp(word, "@held") == 0)
                b->config.held = true;
        else if (strcmp(word, "@delay") == 0)
                b->config.initial_delay_sec = 20;
        else if (strcmp(word, "@give-up") == 0)
                b->config.give_up = true;
        else if (strcmp(word, "@once") == 0)
                b->config.retry.count = 1;
        else if (strcmp(word, "@twice") == 0)
                b->config.retry.sequence_count = 2;
        else if (strcmp(word, "@1.1") == 0)
                b->config.version = (Version){ 1, 1 };
        else if (strcmp(word, "@restored") == 0)
                b->restored_usec = START_USEC + 100 * USEC_PER_SEC;
        else if (strcmp(word, "@no-link") == 0)
                b->connect_error = -ENETUNREACH;
        else if (strcmp(word, "@no-send") == 0)
                b->send_error = -ENETUNREACH;
        else if (strcmp(word, "@no-news") == 0)
                b->no_news = true;
        else if (strcmp(word, "@precious") == 0)
                b->precious = true;
        else if (strcmp(word, "@long") == 0)
                b->config.lifetime_sec = 86400;
        else
                return false;
        return true;
}

static bool command(Bed *b, const char *word) {
        static const struct {
                const char *word;
                RdInput input;
        } words[] = {
                { "start", RD_START },       { "turn", RD_TURN },       { "up", RD_UP },
                { "update", RD_UPDATE },     { "trigger", RD_TRIGGER }, { "changed", RD_CHANGED },
                { "register", RD_REGISTER }, { "stop", RD_STOP },       { "force", RD_FORCE },
                { "enable", RD_ENABLE },     { "pause", RD_PAUSE },     { "resume", RD_RESUME },
                { "doze", RD_SLEEP },
        };

        for (size_t i = 0; i < G_N_ELEMENTS(words); i++)
                if (strcmp(word, words[i].word) == 0) {
                        assert_int_equal(rd_input(b->rd, words[i].input, b->now), 0);
                        return true;
                }
        return false;
}

static void answer(Bed *b, const char *word) {
        unsigned class, detail;

        if (sscanf(word, "%u.%u", &class, &detail) == 2)
                rd_answer(b->rd, 0, CODE(class, detail), NULL, b->now);
        else if (strcmp(word, "timeout") == 0)
                rd_answer(b->rd, -ETIMEDOUT, 0, NULL, b->now);
        else if (strcmp(word, "refused") == 0)
                rd_answer(b->rd, -ECONNREFUSED, 0, NULL, b->now);
        else if (strcmp(word, "down") == 0)
                rd_down(b->rd, -EHOSTUNREACH, "no route", b->now);
        else if (strcmp(word, "stale") == 0)
                rd_down(b->rd, -ESTALE, "no such session", b->now);
        else if (strcmp(word, "hopeless") == 0)
                rd_down(b->rd, -EPROTONOSUPPORT, "not here", b->now);
        else if (strcmp(word, "disable") == 0)
                assert_int_equal(rd_disable(b->rd, b->now + 30 * USEC_PER_SEC, b->now), 0);
        else if (strcmp(word, "timer") == 0) {
                assert_true(timerq_next(b->timers) != USEC_INFINITY);
                advance(b, timerq_next(b->timers) - MIN(b->now, timerq_next(b->timers)));
        } else if (sscanf(word, "+%us", &detail) == 1)
                advance(b, detail * USEC_PER_SEC);
        else if (sscanf(word, "sleep%u", &detail) == 1)
                b->now += detail * USEC_PER_SEC; /* the box slept: no timer ran */
        else
                fail_msg("unknown word '%s'", word);
}

static void play(Bed *b, const char *script) {
        g_auto(GStrv) words = g_strsplit(script, " ", -1);

        for (char **w = words; *w; w++) {
                if (!**w || setting(b, *w))
                        continue;
                bed_start(b);
                if (strcmp(*w, "|") == 0)
                        g_string_truncate(b->log, 0);
                else if (!command(b, *w))
                        answer(b, *w);
        }
}

static const struct {
        const char *script, *state, *log;
} scenarios[] = {
        /* clang-format off */
        /* starting */
        { "| start",                              "connecting",    "connect" },
        { "@held | start",                        "held",          "" },
        { "@held start | turn",                   "connecting",    "connect" },
        { "@held @delay start | turn",            "delayed",       "" },
        { "@held start | register",               "connecting",    "connect" },
        { "@held start | stop",                   "idle",          "" },
        { "@held start | disable",                "disabled",      "server-disabled" },
        { "@delay | start +19s",                  "delayed",       "" },
        { "@delay start | timer",                 "connecting",    "connect" },
        { "@delay start | register",              "connecting",    "connect" },
        { "@delay start | stop",                  "idle",          "" },
        { "@delay start | disable",               "disabled",      "server-disabled" },
        { "@delay start | pause",                 "paused",        "" },
        { "@delay start timer up 2.01 stop 2.02 | start", "connecting", "connect" }, /* first time only */
        { "start force | register",               "connecting",    "connect" },

        /* connecting */
        { "start | up",                           "registering",   "REGISTER" },
        { "@restored start | up",                 "updating",      "reg-update UPDATE" },
        { "@restored start sleep101 | up",        "registering",   "lost REGISTER" },
        { "start | down",                         "retrying",      "registration-failure:113" },
        { "start | timer",                        "retrying",      "reg-timeout:110" },
        { "@no-link | start",                     "retrying",      "connect registration-failure:101" },
        { "start | hopeless",                     "given-up",      "registration-failure:93 network-error:93" },
        { "start | stop",                         "idle",          "" },
        { "start | disable",                      "disabled",      "server-disabled" },
        { "start | pause",                        "paused",        "" },
        { "@restored start | stop up",            "deregistering", "deregister DEREGISTER" },
        { "@restored start | stop down",          "idle",          "deregister-failure:113 lost" },
        { "@restored start | stop timer",         "idle",          "deregister-failure:110 lost" },
        { "@restored start | stop stop",          "connecting",    "" },
        { "@restored start | stop pause",         "connecting",    "" },
        { "@restored start stop | disable",       "connecting",    "" },
        { "@restored start sleep98 stop sleep4 | up", "idle",      "" }, /* nothing left to take back */

        /* registering */
        { "start up | 2.01",                      "registered",    "registration-complete" },
        { "start up | 2.04",                      "retrying",      "registration-failure:2.04" },
        { "start up | 4.03",                      "retrying",      "registration-failure:4.03" },
        { "start up | 4.12",                      "registering",   "REGISTER" },
        { "start up | 4.00",                      "registering",   "REGISTER" },
        { "start up 4.12 | 4.12",                 "retrying",      "registration-failure:4.12" },
        { "@1.1 start up | 4.12",                 "retrying",      "registration-failure:4.12" },
        { "start up | timeout",                   "retrying",      "reg-timeout:110" },
        { "start up | refused",                   "retrying",      "registration-failure:111" },
        { "start up | down",                      "retrying",      "registration-failure:113" },
        { "start up | stale",                     "connecting",    "disconnect:116 connect" },
        { "start up stale up | stale",            "retrying",      "registration-failure:116" },
        { "start up stale up 2.01 +15s register | stale", "connecting", "disconnect:116 connect" },
        { "start up | timer",                     "retrying",      "reg-timeout:110" },
        { "@no-send start | up",                  "retrying",      "REGISTER registration-failure:101" },
        { "start up | update 2.01 +0s",           "updating",      "registration-complete reg-update UPDATE" },
        { "start up | trigger 2.01 +0s",          "updating",      "registration-complete reg-update UPDATE" },
        { "start up | changed 2.01 +0s",          "registered",    "registration-complete" },
        { "start up changed 2.01 | +1s",          "updating",      "reg-update UPDATE" },
        { "start up | register",                  "registering",   "" },
        { "start up | stop 2.01",                 "deregistering", "registration-complete deregister DEREGISTER" },
        { "start up | stop 4.03",                 "idle",          "" },
        { "start up | stop timeout",              "idle",          "" },
        { "start up | stop down",                 "idle",          "" },
        { "start up | stop timer",                "idle",          "" },
        { "start up | stop pause",                "registering",   "" },
        { "start up | disable 2.01 2.02",         "disabled",      "registration-complete deregister DEREGISTER lost disconnect server-disabled" },
        { "start up | disable 4.03",              "disabled",      "server-disabled" },
        { "start up | pause",                     "paused",        "" },

        /* registered */
        { "start up 2.01 | +289s",                "registered",    "" },
        { "start up 2.01 | +290s",                "updating",      "reg-update UPDATE" },
        { "start up 2.01 sleep302 | +0s",         "registering",   "reg-timeout:110 lost REGISTER" },
        { "start up 2.01 | update +0s",           "updating",      "reg-update UPDATE" },
        { "start up 2.01 | trigger +0s",          "updating",      "reg-update UPDATE" },
        { "start up 2.01 | changed changed +0s",  "registered",    "" },
        { "start up 2.01 | changed changed +1s",  "updating",      "reg-update UPDATE" },
        { "@no-news start up 2.01 | changed +1s", "registered",    "" },
        { "@no-news start up 2.01 | changed +1s +288s", "registered", "" },
        { "@no-news start up 2.01 | changed +1s +289s", "updating", "reg-update UPDATE" },
        { "@no-news start up 2.01 | changed trigger +1s", "updating", "reg-update UPDATE" },
        { "@no-news start up 2.01 | changed update +1s", "updating", "reg-update UPDATE" },
        { "start up 2.01 | register",             "registering",   "lost REGISTER" },
        { "start up 2.01 | down",                 "connecting",    "disconnect:113 connect" },
        { "start up 2.01 down | up",              "updating",      "reg-update UPDATE" },
        { "start up 2.01 down up 2.04 | down",    "retrying",      "registration-failure:113" },
        { "start up 2.01 down up 2.04 +15s | down", "connecting",  "disconnect:113 connect" },
        { "start up 2.01 | stop",                 "deregistering", "deregister DEREGISTER" },
        { "start up 2.01 | disable",              "deregistering", "deregister DEREGISTER" },
        { "start up 2.01 | pause",                "paused",        "" },
        { "start up 2.01 | force",                "idle",          "" },
        { "start up 2.01 force start | up",       "updating",      "reg-update UPDATE" },

        /* asleep with the link closed: an Update at its time, or a Register when it is too late for that */
        { "start up 2.01 | doze",                 "asleep",        "" },
        { "start up 2.01 doze | +289s",           "asleep",        "" },
        { "start up 2.01 doze | +290s",           "connecting",    "connect" },
        { "start up 2.01 doze timer | up",        "updating",      "reg-update UPDATE" },
        { "start up 2.01 doze sleep302 +0s | up", "registering",   "lost REGISTER" },
        { "start up 2.01 doze timer | down",      "retrying",      "registration-failure:113" },
        { "start up 2.01 doze update +0s down timer | up", "updating", "reg-update UPDATE" },
        { "start up 2.01 doze timer up | 4.04",   "registering",   "registration-failure:4.04 lost REGISTER" },
        { "start up 2.01 doze timer up | 2.04 doze", "asleep",     "reg-update-complete" },
        { "start up 2.01 doze | update +0s up",   "updating",      "connect reg-update UPDATE" },
        { "start up 2.01 doze | trigger +0s up",  "updating",      "connect reg-update UPDATE" },
        { "start up 2.01 doze | changed +0s",     "asleep",        "" },
        { "start up 2.01 doze | changed +1s up",  "updating",      "connect reg-update UPDATE" },
        { "@no-news start up 2.01 doze | changed +1s", "asleep",   "" },
        { "@no-news start up 2.01 doze | changed +290s", "connecting", "connect" },
        { "start up 2.01 doze | register up",     "registering",   "lost connect REGISTER" },
        { "start up 2.01 doze | stop up",         "deregistering", "connect deregister DEREGISTER" },
        { "start up 2.01 doze | stop down",       "idle",          "connect deregister-failure:113 lost" },
        { "start up 2.01 doze sleep301 | stop",   "idle",          "" },
        { "start up 2.01 doze | disable up 2.02", "disabled",      "connect deregister DEREGISTER lost disconnect server-disabled" },
        { "start up 2.01 doze | disable down",    "disabled",      "connect deregister-failure:113 lost server-disabled" },
        { "start up 2.01 doze | disable stop up", "deregistering", "connect deregister DEREGISTER" },
        { "start up 2.01 doze disable stop up | 2.02", "idle",     "lost disconnect" },
        { "start up 2.01 doze disable | enable up 2.02 +0s", "connecting", "deregister DEREGISTER lost disconnect server-disabled connect" },
        { "start up 2.01 doze disable | pause",   "paused",        "lost" },
        { "start up 2.01 doze disable pause | resume", "disabled", "" },
        { "start up 2.01 doze sleep301 | disable", "disabled",     "lost server-disabled" },
        { "start up 2.01 doze | pause",           "paused",        "" },
        { "start up 2.01 doze pause resume | up", "updating",      "reg-update UPDATE" },
        { "start up 2.01 doze | force",           "idle",          "" },

        /* updating */
        { "start up 2.01 timer | 2.04",           "registered",    "reg-update-complete" },
        { "start up 2.01 timer | 4.04",           "registering",   "registration-failure:4.04 lost REGISTER" },
        { "start up 2.01 timer | 4.00",           "registering",   "registration-failure:4.00 lost REGISTER" },
        { "start up 2.01 timer | timeout",        "connecting",    "reg-timeout:110 lost connect" },
        { "start up 2.01 timer timeout | up",     "registering",   "REGISTER" },
        { "start up 2.01 timer | timer",          "connecting",    "reg-timeout:110 lost connect" },
        { "start up 2.01 timer | down",           "retrying",      "registration-failure:113" },
        { "start up 2.01 timer | stale",          "connecting",    "disconnect:116 connect" },
        { "start up 2.01 timer stale | up",       "updating",      "reg-update UPDATE" },
        { "start up 2.01 timer stale up | stale", "retrying",      "registration-failure:116" },
        { "start up 2.01 update +0s down +70s | up", "updating",   "reg-update UPDATE" },
        { "@precious start up 2.01 update +0s | timeout", "retrying", "reg-timeout:110" },
        { "@precious @long start up 2.01 update +0s | timer", "retrying", "reg-timeout:110" },
        { "@precious start up 2.01 update +0s timeout +70s | up", "updating", "reg-update UPDATE" },
        { "@precious start up 2.01 timer sleep600 | timeout", "connecting", "reg-timeout:110 lost connect" },
        { "start up 2.01 timer | update 2.04 +0s", "updating",     "reg-update-complete reg-update UPDATE" },
        { "start up 2.01 timer | trigger 2.04 +14s", "registered", "reg-update-complete" },
        { "start up 2.01 timer trigger 2.04 | +15s", "updating",   "reg-update UPDATE" },
        { "start up 2.01 timer changed 2.04 +14s | +1s", "updating", "reg-update UPDATE" },
        { "start up 2.01 timer | register",       "registering",   "lost REGISTER" },
        { "start up 2.01 timer | stop",           "deregistering", "deregister DEREGISTER" },
        { "start up 2.01 timer | disable",        "deregistering", "deregister DEREGISTER" },
        { "start up 2.01 timer | pause",          "paused",        "" },

        /* de-registering */
        { "start up 2.01 stop | 2.02",            "idle",          "lost disconnect" },
        { "start up 2.01 stop | 4.04",            "idle",          "deregister-failure:4.04 lost" },
        { "start up 2.01 stop | timeout",         "idle",          "deregister-failure:110 lost" },
        { "start up 2.01 stop | down",            "idle",          "deregister-failure:113 lost" },
        { "start up 2.01 stop | +4s",             "deregistering", "" },
        { "start up 2.01 stop | +5s",             "idle",          "deregister-failure:110 lost" },
        { "start up 2.01 disable | stop 2.02",    "idle",          "lost disconnect" },
        { "start up 2.01 disable | 2.02",         "disabled",      "lost disconnect server-disabled" },
        { "start up 2.01 disable | enable 2.02 +0s", "connecting", "lost disconnect server-disabled connect" },
        { "start up 2.01 stop | register 2.02 +0s", "connecting",  "lost disconnect server-disabled connect" },
        { "start up 2.01 disable | pause",        "paused",        "lost" },
        { "start up 2.01 disable pause | resume +29s", "disabled", "" },

        /* disabled */
        { "start up 2.01 disable 2.02 | +29s",    "disabled",      "" },
        { "start up 2.01 disable 2.02 | +30s up", "registering",   "connect REGISTER" },
        { "start disable | enable",               "connecting",    "connect" },
        { "start disable | register",             "connecting",    "connect" },
        { "start disable +20s | disable +29s",    "disabled",      "" },
        { "start disable | stop",                 "idle",          "" },
        { "start disable | pause +60s",           "paused",        "" },
        { "start disable pause +60s | resume",    "connecting",    "connect" },

        /* retrying */
        { "start down | timer",                   "connecting",    "connect" },
        { "start down | update",                  "connecting",    "connect" },
        { "start down | register",                "connecting",    "connect" },
        { "start down | disable",                 "disabled",      "server-disabled" },
        { "start down | stop",                    "idle",          "" },
        { "start down | pause +600s",             "paused",        "" },
        { "@restored start down | stop",          "connecting",    "connect" },
        { "@twice @once start | down",            "retrying",      "registration-failure:113" },
        { "@once start | down",                   "retrying",      "registration-failure:113 network-error:113" },
        { "@once start down timer | down",        "retrying",      "registration-failure:113" }, /* told once */
        { "@once @give-up start | down",          "given-up",      "registration-failure:113 network-error:113" },

        /* given up */
        { "start hopeless | update",              "connecting",    "connect" },
        { "start hopeless | register",            "connecting",    "connect" },
        { "start hopeless | disable",             "disabled",      "server-disabled" },
        { "start hopeless | stop",                "idle",          "" },

        /* paused */
        { "start up 2.01 pause | +100s resume up", "updating",     "connect reg-update UPDATE" },
        { "start up 2.01 pause | +301s resume up", "registering",  "connect lost REGISTER" },
        { "start up 2.01 pause | stop up",        "deregistering", "connect deregister DEREGISTER" },
        { "start pause | stop",                   "idle",          "" },
        /* clang-format on */
};

static void test_scenarios(void **state) {
        for (size_t i = 0; i < G_N_ELEMENTS(scenarios); i++) {
                Bed b;

                bed_init(&b);
                play(&b, scenarios[i].script);
                if (strcmp(rd_state_name(rd_state(b.rd)), scenarios[i].state) != 0 ||
                    strcmp(b.log->str, scenarios[i].log) != 0)
                        fail_msg("'%s' led to %s: \"%s\"", scenarios[i].script,
                                 rd_state_name(rd_state(b.rd)), b.log->str);
                bed_clear(&b);
        }
}

/* What the table does not name changes nothing and says so. */
static void test_meaningless_inputs(void **state) {
        Bed b;

        bed_init(&b);
        play(&b, "|");
        assert_int_equal(rd_input(b.rd, RD_UPDATE, b.now), -ENOTCONN);
        assert_int_equal(rd_input(b.rd, RD_STOP, b.now), -ENOTCONN);
        assert_int_equal(rd_input(b.rd, RD_ENABLE, b.now), -ENOTCONN);
        assert_int_equal(rd_disable(b.rd, b.now + 1, b.now), -ENOTCONN);
        assert_true(rd_disabled_until(b.rd) == 0);
        rd_answer(b.rd, 0, CODE(2, 1), NULL, b.now); /* an answer to nothing */
        assert_int_equal(rd_state(b.rd), RD_IDLE);
        play(&b, "start up 2.01 | ");
        assert_int_equal(rd_input(b.rd, RD_UP, b.now), -ENOTCONN);
        assert_int_equal(rd_input(b.rd, RD_RESUME, b.now), -ENOTCONN);
        assert_int_equal(rd_state(b.rd), RD_REGISTERED);
        assert_string_equal(b.log->str, "");
        bed_clear(&b);
}

static uint64_t interval(uint32_t lifetime, uint32_t period, uint32_t early) {
        Bed b;
        uint64_t next;

        bed_init(&b);
        b.config.lifetime_sec = lifetime;
        b.config.update_period_sec = period;
        b.config.update_early_sec = early;
        play(&b, "start up 2.01");
        next = rd_next_usec(b.rd);
        bed_clear(&b);
        return next == USEC_INFINITY ? USEC_INFINITY : (next - START_USEC) / USEC_PER_SEC;
}

/* next = min(UpdatePeriod, lifetime - early), not under 15 s. */
static void test_update_interval(void **state) {
        assert_int_equal(interval(300, 0, 10), 290);
        assert_int_equal(interval(300, 100, 10), 100);
        assert_int_equal(interval(300, 300, 10), 290);
        assert_int_equal(interval(300, 5, 10), 15);
        assert_int_equal(interval(20, 0, 10), 15);
        assert_int_equal(interval(10, 0, 10), 15);
        assert_int_equal(interval(10, 0, 50), 15);
        assert_int_equal(interval(86400, 0, 10), 86390);
        assert_int_equal(interval(UINT32_MAX, 0, 0), UINT32_MAX);
        assert_int_equal(interval(0, 600, 10), 600); /* for ever, yet a period was asked for */
        assert_true(interval(0, 0, 10) == USEC_INFINITY);
}

static void test_lifetime_counts_from_the_request(void **state) {
        Bed b;

        bed_init(&b);
        play(&b, "start up +7s 2.01");
        assert_true(rd_next_usec(b.rd) == START_USEC + 290 * USEC_PER_SEC);
        assert_true(rd_is_alive(b.rd, START_USEC + 299 * USEC_PER_SEC));
        assert_false(rd_is_alive(b.rd, START_USEC + 300 * USEC_PER_SEC));
        play(&b, "timer +3s 2.04");
        assert_true(rd_is_alive(b.rd, START_USEC + 589 * USEC_PER_SEC));
        assert_false(rd_is_alive(b.rd, START_USEC + 590 * USEC_PER_SEC));
        bed_clear(&b);
}

/* A lifetime of 0 never ends, not even over a long sleep. */
static void test_forever(void **state) {
        Bed b;

        bed_init(&b);
        b.config.lifetime_sec = 0;
        play(&b, "start up 2.01 sleep4000000 | down up");
        assert_string_equal(b.log->str, "disconnect:113 connect reg-update UPDATE");
        bed_clear(&b);
}

static void test_updates_are_limited(void **state) {
        Bed b;

        bed_init(&b);
        play(&b, "start up 2.01 changed +1s 2.04 | changed +3s changed +10s");
        assert_string_equal(b.log->str, "");
        play(&b, "+2s"); /* 15 s after the Update before */
        assert_string_equal(b.log->str, "reg-update UPDATE");
        play(&b, "2.04 | update +0s"); /* a user need not wait */
        assert_string_equal(b.log->str, "reg-update UPDATE");
        play(&b, "2.04 | +20s");
        assert_string_equal(b.log->str, ""); /* nothing was left over */
        bed_clear(&b);
}

static void test_interval_is_configurable(void **state) {
        Bed b;

        bed_init(&b);
        b.config.update_interval_min_sec = 0;
        play(&b, "start up 2.01 trigger +0s 2.04 | trigger +0s 2.04 trigger +0s 2.04");
        assert_string_equal(b.log->str, "reg-update UPDATE reg-update-complete "
                                        "reg-update UPDATE reg-update-complete");
        bed_clear(&b);
}

/* An Update asked for while a Register is under way: that Register may have been too early to know.
 */
static void test_register_takes_wishes_along(void **state) {
        Bed b;

        bed_init(&b);
        play(&b, "start up 2.01 changed | register 2.01 +5s");
        assert_string_equal(b.log->str, "lost REGISTER registration-complete");
        bed_clear(&b);
}

static void test_versions(void **state) {
        Bed b;

        bed_init(&b);
        play(&b, "start up");
        assert_int_equal(rd_version(b.rd).minor, 1);
        play(&b, "4.12");
        assert_int_equal(rd_version(b.rd).minor, 0);
        play(&b, "2.01 register"); /* agreed: stays */
        assert_int_equal(rd_version(b.rd).minor, 0);
        play(&b, "4.03"); /* perhaps another server by now: from the top */
        assert_int_equal(rd_version(b.rd).minor, 1);
        bed_clear(&b);

        bed_init(&b);
        b.config.version = (Version){ 1, 2 };
        play(&b, "start up | 4.12");
        assert_int_equal(rd_version(b.rd).minor, 2);
        assert_int_equal(rd_state(b.rd), RD_RETRYING);
        bed_clear(&b);
}

static uint64_t delay_sec(const Bed *b) {
        assert_true(b->next_usec == rd_next_usec(b->rd));
        return (b->next_usec - b->now) / USEC_PER_SEC;
}

/* 1/x/17 to 20 with defaults of TS Core 1.1.1, table 6.2.1.1-1, then the daemon's own back-off. */
static void test_retries(void **state) {
        static const uint32_t delays[] = { 60, 120, 240, 480 };
        Bed b;

        bed_init(&b);
        b.config.retry = (RetryPolicy){ RETRY_COUNT_DEFAULT, RETRY_TIMER_DEFAULT_SEC,
                                        RETRY_SEQUENCE_DELAY_DEFAULT_SEC,
                                        RETRY_SEQUENCE_COUNT_DEFAULT, 3600 };
        play(&b, "start");
        for (size_t i = 0; i < G_N_ELEMENTS(delays); i++) {
                play(&b, "| up timeout");
                assert_string_equal(b.log->str, "REGISTER reg-timeout:110");
                assert_in_range(delay_sec(&b), delays[i], delays[i] * 11 / 10);
                assert_false(rd_has_failed(b.rd));
                play(&b, "timer");
        }
        play(&b, "| up timeout");
        assert_string_equal(b.log->str, "REGISTER reg-timeout:110 network-error:110");
        assert_true(rd_has_failed(b.rd));
        assert_in_range(delay_sec(&b), 720, 960);
        for (int i = 0; i < 200; i++) { /* for ever, within the cap */
                play(&b, "timer | up timeout");
                assert_string_equal(b.log->str, "REGISTER reg-timeout:110");
                assert_in_range(delay_sec(&b), 1440, 3600);
        }
        play(&b, "timer up 2.01");
        assert_false(rd_has_failed(b.rd));
        play(&b, "register timeout"); /* and from the first delay again */
        assert_in_range(delay_sec(&b), 60, 66);
        bed_clear(&b);
}

static void test_sequences(void **state) {
        Bed b;

        bed_init(&b);
        b.config.retry = (RetryPolicy){ 2, 10, 5000, 2, 3600 };
        play(&b, "start up timeout");
        assert_in_range(delay_sec(&b), 10, 11);
        play(&b, "timer up timeout");
        assert_in_range(delay_sec(&b), 5000, 5500);
        play(&b, "timer up timeout");
        assert_in_range(delay_sec(&b), 10, 11);
        play(&b, "timer up | timeout");
        assert_string_equal(b.log->str, "reg-timeout:110 network-error:110");
        bed_clear(&b);

        bed_init(&b); /* the largest value forbids another sequence */
        b.config.retry = (RetryPolicy){ 1, 10, RETRY_NO_SEQUENCE, 5, 3600 };
        play(&b, "start up | timeout");
        assert_string_equal(b.log->str, "reg-timeout:110 network-error:110");
        bed_clear(&b);

        bed_init(&b); /* zeros do not make a tight loop */
        b.config.retry = (RetryPolicy){ 0, 0, 0, 0, 0 };
        play(&b, "start up timeout");
        assert_true(b.next_usec - b.now >= USEC_PER_SEC * 3 / 4);
        bed_clear(&b);
}

static void test_jitter(void **state) {
        uint64_t first = 0;
        bool differs = false;

        for (uint32_t seed = 1; seed < 5; seed++) {
                Bed b;

                bed_init(&b);
                g_rand_set_seed(b.rnd, seed);
                play(&b, "start down");
                differs = differs || (first && first != b.next_usec);
                first = b.next_usec;
                bed_clear(&b);
        }
        assert_true(differs);
}

/* Whatever comes in whatever order, the machine neither sticks nor loses its timer. */
static void test_random_walk(void **state) {
        static const uint8_t codes[] = { CODE(2, 1), CODE(2, 4),  CODE(2, 2),
                                         CODE(4, 4), CODE(4, 12), CODE(5, 0) };
        g_autoptr(GRand) rnd = g_rand_new_with_seed(7);
        Bed b;

        bed_init(&b);
        bed_start(&b);
        for (int i = 0; i < 200000; i++) {
                int what = g_rand_int_range(rnd, 0, RD_NEXT + 3);

                if (what == RD_DISABLE)
                        (void) rd_disable(b.rd, b.now + 50 * USEC_PER_SEC, b.now);
                else if (what == RD_DOWN)
                        rd_down(b.rd, -EHOSTUNREACH, NULL, b.now);
                else if (what < RD_NEXT && what != RD_OK && what != RD_REFUSED &&
                         what != RD_NO_ANSWER && what != RD_TIMER)
                        (void) rd_input(b.rd, (RdInput) what, b.now);
                else if (what >= RD_NEXT)
                        advance(&b, (uint64_t) g_rand_int_range(rnd, 0, 100) * USEC_PER_SEC);
                else
                        rd_answer(b.rd, what == RD_NO_ANSWER ? -ETIMEDOUT : 0,
                                  what == RD_NO_ANSWER ? 0 : codes[g_rand_int_range(rnd, 0, 6)],
                                  NULL, b.now);
                g_string_truncate(b.log, 0);
                switch ((int) rd_state(b.rd)) {
                case RD_FAILING:
                case RD_LEFT:
                        fail_msg("rests in %s", rd_state_name(rd_state(b.rd)));
                        break;
                case RD_IDLE:
                case RD_GIVEN_UP:
                case RD_PAUSED:
                        assert_true(rd_next_usec(b.rd) == USEC_INFINITY);
                        break;
                default:
                        assert_true(rd_next_usec(b.rd) != USEC_INFINITY);
                }
        }
        bed_clear(&b);
}

static void test_every_edge_was_taken(void **state) {
        size_t missing = 0;

        for (size_t i = 0; i < rd_n_edges(); i++) {
                RdEdgeInfo e = rd_edge(i);

                if (taken[i])
                        continue;
                missing++;
                print_message("edge %zu: %s, input %d, guard '%s' -> %s\n", i,
                              rd_state_name(e.from), e.input, e.guard, rd_state_name(e.to));
        }
        assert_int_equal(missing, 0);
}

/* In a column of edges with the same start and input, only the last may stand without a guard. */
static void test_no_edge_hides_another(void **state) {
        for (size_t i = 0; i < rd_n_edges(); i++)
                for (size_t k = i + 1; k < rd_n_edges(); k++)
                        if (rd_edge(i).from == rd_edge(k).from &&
                            rd_edge(i).input == rd_edge(k).input)
                                assert_string_not_equal(rd_edge(i).guard, "");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_scenarios),
                cmocka_unit_test(test_every_edge_was_taken), /* by the scenarios alone */
                cmocka_unit_test(test_no_edge_hides_another),
                cmocka_unit_test(test_meaningless_inputs),
                cmocka_unit_test(test_update_interval),
                cmocka_unit_test(test_lifetime_counts_from_the_request),
                cmocka_unit_test(test_forever),
                cmocka_unit_test(test_updates_are_limited),
                cmocka_unit_test(test_interval_is_configurable),
                cmocka_unit_test(test_register_takes_wishes_along),
                cmocka_unit_test(test_versions),
                cmocka_unit_test(test_retries),
                cmocka_unit_test(test_sequences),
                cmocka_unit_test(test_jitter),
                cmocka_unit_test(test_random_walk),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
