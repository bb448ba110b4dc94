/* SPDX-License-Identifier: Apache-2.0 */
/* The enrolment machine on virtual time. A scenario is a line of words: settings (@…) first, then
 * what happens; what the machine does after "|" is compared. One test fails if an edge of the table
 * was never taken by them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lwm2m/est/enrol.h"
#include "lwm2m/transport.h"

typedef struct Bed {
        TimerQueue *timers;
        GRand *rnd;
        Enrol *machine;
        EnrolConfig config;
        GString *log;
        uint64_t now, due_usec;
        uint64_t next_usec; /* of the last event */
        int connect_error, send_error;
        bool no_attributes, may_search;
} Bed;

static bool taken[256];

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

static int on_request(void *userdata, EnrolRequest what, const char **ret_text, uint64_t now_usec) {
        static const char *const names[] = { "CRTS", "CORE", "ATT", "SEN" };
        Bed *b = userdata;

        if (b->no_attributes && what == ENROL_ASK_ATTRIBUTES)
                return -ENOTSUP;
        note(b, names[what]);
        return b->send_error;
}

static bool on_may_search(void *userdata) {
        return ((Bed *) userdata)->may_search;
}

static uint64_t on_due(void *userdata, uint64_t now_usec) {
        return ((Bed *) userdata)->due_usec;
}

static void on_event(void *userdata, const EnrolEvent *event, uint64_t now_usec) {
        Bed *b = userdata;

        assert_true(g_str_has_prefix(event->name, "est-"));
        b->next_usec = event->next_usec;
        note(b, event->name + strlen("est-"));
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

static const EnrolOps ops = {
        .connect = on_connect,
        .disconnect = on_disconnect,
        .request = on_request,
        .may_search = on_may_search,
        .due = on_due,
        .event = on_event,
        .changed = on_changed,
        .edge = on_edge,
};

static void bed_init(Bed *b) {
        *b = (Bed){ .timers = timerq_new(),
                    .rnd = g_rand_new_with_seed(1),
                    .log = g_string_new(NULL),
                    .now = 1000 * USEC_PER_SEC };
        b->config = (EnrolConfig){ .retry = { .count = 3,
                                              .timer_sec = 10,
                                              .sequence_delay_sec = RETRY_NO_SEQUENCE,
                                              .cap_sec = 3600 } };
}

static void bed_clear(Bed *b) {
        enrol_free(b->machine);
        g_rand_free(b->rnd);
        g_string_free(b->log, TRUE);
        timerq_free(b->timers);
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
        unsigned sec;

        if (sscanf(word, "@due%u", &sec) == 1) /* the next certificate is wanted so much later */
                b->due_usec = b->now + sec * USEC_PER_SEC;
        else if (strcmp(word, "@for-ever") == 0)
                b->due_usec = USEC_INFINITY;
        else if (strcmp(word, "@give-up") == 0)
                b->config.give_up = true;
        else if (strcmp(word, "@no-link") == 0)
                b->connect_error = -ENETUNREACH;
        else if (strcmp(word, "@no-send") == 0)
                b->send_error = -ENETUNREACH;
        else if (strcmp(word, "@search") == 0)
                b->may_search = true;
        else if (strcmp(word, "@no-att") == 0)
                b->no_attributes = true;
        else
                return false;
        return true;
}

static bool command(Bed *b, const char *word) {
        static const struct {
                const char *word;
                EnrolInput input;
        } words[] = {
                { "start", ENROL_START }, { "now", ENROL_NOW },     { "up", ENROL_UP },
                { "stop", ENROL_STOP },   { "pause", ENROL_PAUSE }, { "resume", ENROL_RESUME },
        };

        for (size_t i = 0; i < G_N_ELEMENTS(words); i++)
                if (strcmp(word, words[i].word) == 0) {
                        assert_int_equal(enrol_input(b->machine, words[i].input, b->now), 0);
                        return true;
                }
        return false;
}

static void happen(Bed *b, const char *word) {
        unsigned class, detail, age;

        if (sscanf(word, "5.03/%u", &age) == 1)
                enrol_answer(b->machine, 0, CODE(5, 3), age, NULL, b->now);
        else if (sscanf(word, "%u.%u", &class, &detail) == 2)
                enrol_answer(b->machine, 0, CODE(class, detail), -1, NULL, b->now);
        else if (strcmp(word, "timeout") == 0)
                enrol_answer(b->machine, -ETIMEDOUT, 0, -1, NULL, b->now);
        else if (strcmp(word, "bad") == 0)
                enrol_answer(b->machine, -EKEYREJECTED, CODE(2, 4), -1, "not ours", b->now);
        else if (strcmp(word, "down") == 0)
                enrol_down(b->machine, -EHOSTUNREACH, "no route", b->now);
        else if (strcmp(word, "hopeless") == 0)
                enrol_down(b->machine, -EDESTADDRREQ, "nowhere", b->now);
        else if (strcmp(word, "timer") == 0) {
                assert_true(timerq_next(b->timers) != USEC_INFINITY);
                advance(b, timerq_next(b->timers) - MIN(b->now, timerq_next(b->timers)));
        } else if (sscanf(word, "+%us", &age) == 1)
                advance(b, age * USEC_PER_SEC);
        else if (strcmp(word, "certs") == 0) { /* all three answers */
                enrol_answer(b->machine, 0, CODE(2, 5), -1, NULL, b->now);
                enrol_answer(b->machine, 0, CODE(4, 4), -1, NULL, b->now);
                enrol_answer(b->machine, 0, CODE(2, 4), -1, NULL, b->now);
        } else
                fail_msg("unknown word '%s'", word);
}

static void play(Bed *b, const char *script) {
        g_auto(GStrv) words = g_strsplit(script, " ", -1);

        for (char **w = words; *w; w++) {
                if (!**w || setting(b, *w))
                        continue;
                if (!b->machine)
                        b->machine = enrol_new(&b->config, &ops, b, b->timers, b->rnd);
                if (strcmp(*w, "|") == 0)
                        g_string_truncate(b->log, 0);
                else if (!command(b, *w))
                        happen(b, *w);
        }
}

static const struct {
        const char *script, *state, *log;
} scenarios[] = {
        /* clang-format off */
        /* starting */
        { "| start",                           "connecting", "connect" },
        { "@due100 | start",                   "enrolled",   "" },
        { "@due100 start | +99s",              "enrolled",   "" },
        { "@due100 start | +100s",             "connecting", "connect" },
        { "@for-ever start | +1000000s",       "enrolled",   "" },
        { "start | stop",                      "idle",       "" },

        /* connecting */
        { "start | up",                        "trusting",   "CRTS" },
        { "start | down",                      "retrying",   "failed:113" },
        { "start | timer",                     "retrying",   "failed:110" },
        { "start | +59s",                      "connecting", "" },
        { "@no-link | start",                  "retrying",   "connect failed:101" },
        { "start | hopeless",                  "given-up",   "failed:89" },
        { "start | pause",                     "paused",     "" },

        /* the authorities */
        { "start up | 2.05",                   "asking",     "ATT" },
        { "start up | 4.04",                   "retrying",   "failed:4.04" },
        { "start up | 5.03/7",                 "delayed",    "delayed" },
        { "start up | timeout",                "retrying",   "failed:110" },
        { "start up | bad",                    "retrying",   "failed:2.04" },
        { "start up | timer",                  "retrying",   "failed:110" },
        { "start up | down",                   "retrying",   "failed:113" },
        { "start up | pause",                  "paused",     "" },
        { "@no-send start | up",               "retrying",   "CRTS failed:101" },

        /* they are somewhere else */
        { "@search start up | 4.04",           "searching",  "CORE" },
        { "@search start up | 4.03",           "retrying",   "failed:4.03" },
        { "@search start up 4.04 | 2.05",      "trusting",   "CRTS" },
        { "@search start up 4.04 2.05 | 4.04", "retrying",   "failed:4.04" }, /* and not there, too */
        { "@search start up 4.04 2.05 4.04 timer up | 4.04", "searching", "CORE" },
        { "@search start up 4.04 | 4.04",      "retrying",   "failed:4.04" },
        { "@search start up 4.04 | bad",       "retrying",   "failed:2.04" },
        { "@search start up 4.04 | 5.03/7",    "delayed",    "delayed" },
        { "@search start up 4.04 | timeout",   "retrying",   "failed:110" },
        { "@search start up 4.04 | timer",     "retrying",   "failed:110" },
        { "@search start up 4.04 | down",      "retrying",   "failed:113" },
        { "@search start up 4.04 | pause",     "paused",     "" },

        /* what a request is to have */
        { "start up 2.05 | 2.05",              "requesting", "SEN" },
        { "start up 2.05 | 4.04",              "requesting", "SEN" }, /* not there */
        { "start up 2.05 | 4.05",              "requesting", "SEN" },
        { "start up 2.05 | 5.01",              "requesting", "SEN" },
        { "@no-att start up | 2.05",           "requesting", "SEN" },
        { "start up 2.05 | 4.03",              "retrying",   "failed:4.03" },
        { "start up 2.05 | 5.03/7",            "delayed",    "delayed" },
        { "start up 2.05 | timeout",           "retrying",   "failed:110" },
        { "start up 2.05 | timer",             "retrying",   "failed:110" },
        { "start up 2.05 | down",              "retrying",   "failed:113" },
        { "start up 2.05 | pause",             "paused",     "" },

        /* the certificate */
        { "@due50 start +50s up 2.05 4.04 @due50 | 2.04", "enrolled", "enrolled" },
        { "start up 2.05 2.05 | 4.03",         "retrying",   "failed:4.03" },
        { "start up 2.05 2.05 | 5.00",         "retrying",   "failed:5.00" },
        { "start up 2.05 2.05 | bad",          "retrying",   "failed:2.04" },
        { "start up 2.05 2.05 | timeout",      "retrying",   "failed:110" },
        { "start up 2.05 2.05 | timer",        "retrying",   "failed:110" },
        { "start up 2.05 2.05 | down",         "retrying",   "failed:113" },
        { "start up 2.05 2.05 | pause",        "paused",     "" },

        /* the server wants to be asked again */
        { "start up 2.05 2.05 | 5.03/7",       "delayed",    "delayed" },
        { "start up 2.05 2.05 5.03/7 | +6s",   "delayed",    "" },
        { "start up 2.05 2.05 5.03/7 | +7s",   "connecting", "connect" },
        { "start up 2.05 2.05 5.03/0 | +1s",   "connecting", "connect" }, /* not at once */
        { "start up 2.05 2.05 5.03 | +59s",    "delayed",    "" }, /* RFC 7252, section 5.10.5 */
        { "start up 2.05 2.05 5.03 | +60s",    "connecting", "connect" },
        { "start up 2.05 2.05 5.03/4000000 | +86399s", "delayed", "" }, /* not for ever */
        { "start up 2.05 2.05 5.03/4000000 | +86400s", "connecting", "connect" },
        { "start up 2.05 2.05 5.03/700 | now", "connecting", "connect" },
        { "start up 2.05 2.05 5.03/700 | pause", "paused",   "" },
        { "start up 2.05 2.05 5.03/700 | stop", "idle",      "" },

        /* trying again */
        { "start down | +9s",                  "retrying",   "" },
        { "start down | +12s",                 "connecting", "connect" },
        { "start down timer down | +19s",      "retrying",   "" }, /* doubled */
        { "start down | now",                  "connecting", "connect" },
        { "start down | start",                "connecting", "connect" }, /* another account */
        { "start down | pause",                "paused",     "" },
        { "start down | stop",                 "idle",       "" },
        { "@give-up start down timer down timer | down", "given-up", "failed:113" },
        { "@give-up start down timer down timer down | +100000s", "given-up", "" },
        { "start hopeless | now",              "connecting", "connect" },
        { "start hopeless | start",            "connecting", "connect" },

        /* renewal */
        { "@due100 start | now",               "connecting", "connect" }, /* a user */
        { "@due100 start now | down",          "retrying",   "failed:113" }, /* what there is stays */
        { "@due100 start | pause",             "paused",     "" },
        { "@due100 start pause | resume",      "enrolled",   "" },
        { "@due100 start pause | +200s",       "paused",     "" },
        { "@due100 start pause +200s | resume", "connecting", "connect" },
        { "start pause | resume",              "connecting", "connect" },
        /* The wall clock says something else than it did. */
        { "@due90000 start | @due10 +21599s",  "enrolled",   "" },
        { "@due90000 start | @due10 +21600s",  "connecting", "connect" },
        { "@due30000 start | +29999s",         "enrolled",   "" },
        { "@due30000 start | +30000s",         "connecting", "connect" },
        /* clang-format on */
};

static void test_scenarios(void **state) {
        for (size_t i = 0; i < G_N_ELEMENTS(scenarios); i++) {
                Bed b;

                bed_init(&b);
                play(&b, scenarios[i].script);
                if (strcmp(enrol_state_name(enrol_state(b.machine)), scenarios[i].state) != 0 ||
                    strcmp(b.log->str, scenarios[i].log) != 0)
                        fail_msg("\"%s\": %s, '%s'", scenarios[i].script,
                                 enrol_state_name(enrol_state(b.machine)), b.log->str);
                bed_clear(&b);
        }
}

/* After test_scenarios. */
static void test_every_edge(void **state) {
        for (size_t i = 0; i < enrol_n_edges(); i++) {
                EnrolEdgeInfo e = enrol_edge(i);

                if (!taken[i])
                        fail_msg("edge %zu was never taken: %s, input %d, %s", i,
                                 enrol_state_name(e.from), (int) e.input, e.guard);
        }
}

static void test_means_nothing(void **state) {
        Bed b;

        bed_init(&b);
        play(&b, "start up");
        for (EnrolInput input = ENROL_START; input < _ENROL_INPUT_MAX; input++)
                if (input == ENROL_START || input == ENROL_NOW || input == ENROL_UP ||
                    input == ENROL_RESUME) {
                        assert_int_equal(enrol_input(b.machine, input, b.now), -EALREADY);
                        assert_int_equal(enrol_state(b.machine), ENROL_TRUSTING);
                }
        assert_true(enrol_is_active(b.machine));
        /* What comes too late changes nothing. */
        play(&b, "stop 2.05 timeout down 5.03/9");
        assert_int_equal(enrol_state(b.machine), ENROL_IDLE);
        assert_false(enrol_is_active(b.machine));
        assert_true(enrol_next_usec(b.machine) == USEC_INFINITY);
        bed_clear(&b);
}

static void test_event_says_when(void **state) {
        Bed b;

        bed_init(&b);
        play(&b, "start down");
        assert_true(b.next_usec == enrol_next_usec(b.machine) && b.next_usec > b.now);
        play(&b, "timer hopeless");
        assert_true(b.next_usec == USEC_INFINITY);
        bed_clear(&b);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_scenarios),
                cmocka_unit_test(test_every_edge),
                cmocka_unit_test(test_means_nothing),
                cmocka_unit_test(test_event_says_when),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
