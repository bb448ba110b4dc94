/* SPDX-License-Identifier: Apache-2.0 */
/* The bootstrap machine on virtual time. A scenario is a line of words: settings (@…) first, then
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

#include "lwm2m/bootstrap/bootstrap.h"
#include "lwm2m/transport.h"

typedef struct Bed {
        TimerQueue *timers;
        GRand *rnd;
        Bootstrap *machine;
        BootstrapConfig config;
        GString *log;
        uint64_t now;
        uint64_t next_usec; /* of the last event */
        int connect_error, send_error;
        bool open; /* a session */
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

static int on_listen(void *userdata, uint64_t now_usec) {
        Bed *b = userdata;

        note(b, "listen");
        return b->connect_error;
}

static void on_disconnect(void *userdata) {
        ((Bed *) userdata)->open = false;
}

static int on_request(void *userdata, bool pack, bool preferred_format, uint64_t now_usec) {
        Bed *b = userdata;

        assert_true(pack || b->open);
        note(b, pack ? "PACK" : preferred_format ? "REQUEST" : "PLAIN");
        return b->send_error;
}

static void on_session(void *userdata, bool open) {
        ((Bed *) userdata)->open = open;
}

static void on_event(void *userdata, const BootstrapEvent *event, uint64_t now_usec) {
        static const char prefix[] = "bootstrap-";
        Bed *b = userdata;

        assert_true(g_str_has_prefix(event->name, prefix));
        b->next_usec = event->next_usec;
        note(b, event->name + strlen(prefix));
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

static const BootstrapOps ops = {
        .connect = on_connect,
        .listen = on_listen,
        .disconnect = on_disconnect,
        .request = on_request,
        .session = on_session,
        .event = on_event,
        .changed = on_changed,
        .edge = on_edge,
};

static void bed_init(Bed *b) {
        *b = (Bed){ .timers = timerq_new(),
                    .rnd = g_rand_new_with_seed(1),
                    .log = g_string_new(NULL),
                    .now = 1000 * USEC_PER_SEC };
        b->config = (BootstrapConfig){
                .retry = { .count = 3,
                           .timer_sec = 10,
                           .sequence_delay_sec = RETRY_NO_SEQUENCE,
                           .cap_sec = 3600 },
                .preferred_format = true,
        };
}

static void bed_clear(Bed *b) {
        bootstrap_free(b->machine);
        g_rand_free(b->rnd);
        g_string_free(b->log, TRUE);
        timerq_free(b->timers);
}

static void bed_start(Bed *b) {
        if (!b->machine)
                b->machine = bootstrap_new(&b->config, &ops, b, b->timers, b->rnd);
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
        if (strcmp(word, "@hold-off") == 0)
                b->config.hold_off_sec = 20;
        else if (strcmp(word, "@unsolicited") == 0) {
                b->config.hold_off_sec = 20;
                b->config.unsolicited = true;
        } else if (strcmp(word, "@pack") == 0)
                b->config.pack = true;
        else if (strcmp(word, "@1.0") == 0)
                b->config.preferred_format = false;
        else if (strcmp(word, "@give-up") == 0)
                b->config.give_up = true;
        else if (strcmp(word, "@short") == 0)
                b->config.session_max_usec = 300 * USEC_PER_SEC;
        else if (strcmp(word, "@no-link") == 0)
                b->connect_error = -ENETUNREACH;
        else if (strcmp(word, "@no-send") == 0)
                b->send_error = -ENETUNREACH;
        else
                return false;
        return true;
}

static bool command(Bed *b, const char *word) {
        static const struct {
                const char *word;
                BootstrapInput input;
        } words[] = {
                { "want", BOOTSTRAP_WANT },    { "now", BOOTSTRAP_NOW },
                { "drop", BOOTSTRAP_DROP },    { "up", BOOTSTRAP_UP },
                { "op", BOOTSTRAP_OPERATION }, { "finish", BOOTSTRAP_FINISH },
                { "done", BOOTSTRAP_DONE },    { "stop", BOOTSTRAP_STOP },
                { "pause", BOOTSTRAP_PAUSE },  { "resume", BOOTSTRAP_RESUME },
        };

        for (size_t i = 0; i < G_N_ELEMENTS(words); i++)
                if (strcmp(word, words[i].word) == 0) {
                        assert_int_equal(bootstrap_input(b->machine, words[i].input, b->now), 0);
                        return true;
                }
        return false;
}

static void answer(Bed *b, const char *word) {
        unsigned class, detail;

        if (sscanf(word, "%u.%u", &class, &detail) == 2)
                bootstrap_answer(b->machine, 0, CODE(class, detail), NULL, b->now);
        else if (strcmp(word, "timeout") == 0)
                bootstrap_answer(b->machine, -ETIMEDOUT, 0, NULL, b->now);
        else if (strcmp(word, "bad-pack") == 0)
                bootstrap_answer(b->machine, -EBADMSG, CODE(2, 5), "no pack", b->now);
        else if (strcmp(word, "bad") == 0)
                bootstrap_inconsistent(b->machine, -EBADE, "no server", b->now);
        else if (strcmp(word, "down") == 0)
                bootstrap_down(b->machine, -EHOSTUNREACH, "no route", b->now);
        else if (strcmp(word, "hopeless") == 0)
                bootstrap_down(b->machine, -EPROTONOSUPPORT, "not here", b->now);
        else if (strcmp(word, "timer") == 0) {
                assert_true(timerq_next(b->timers) != USEC_INFINITY);
                advance(b, timerq_next(b->timers) - MIN(b->now, timerq_next(b->timers)));
        } else if (sscanf(word, "+%us", &detail) == 1)
                advance(b, detail * USEC_PER_SEC);
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
        { "| want",                              "connecting", "connect" },
        { "| now",                               "connecting", "connect" },
        { "@hold-off | want",                    "holding",    "" },
        { "@hold-off | want +19s",               "holding",    "" },
        { "@hold-off want | +20s",               "connecting", "connect" },
        { "@hold-off | now",                     "connecting", "connect" }, /* 1/x/9 and users do not wait */
        { "@hold-off want | now",                "connecting", "connect" },
        { "@hold-off want | drop",               "idle",       "" },
        { "@hold-off want | pause",              "paused",     "" },
        { "@hold-off want | stop",               "idle",       "" },


        /* LwM2M 1.0: a server that begins by itself */
        { "@unsolicited | want",                 "holding",    "listen" },
        { "@unsolicited @no-link | want",        "holding",    "listen" },
        { "@unsolicited want | op",              "session",    "reg-complete" },
        { "@unsolicited want op | finish done",  "lingering",  "transfer-complete" },
        { "@unsolicited want | finish bad",      "session",    "reg-complete reg-failure:52" },
        { "@unsolicited want | +20s",            "connecting", "connect" }, /* it did not */
        { "@unsolicited want op | timer",        "retrying",   "reg-failure:110" },
        { "@unsolicited want | drop",            "idle",       "" },

        /* connecting */
        { "want | up",                           "requesting", "REQUEST" },
        { "@1.0 want | up",                      "requesting", "PLAIN" },
        { "@pack want | up",                     "packing",    "PACK" },
        { "want | down",                         "retrying",   "reg-failure:113" },
        { "want | timer",                        "retrying",   "reg-failure:110" },
        { "@no-link | want",                     "retrying",   "connect reg-failure:101" },
        { "want | hopeless",                     "given-up",   "reg-failure:93" },
        { "want | drop",                         "idle",       "" },
        { "want | pause",                        "paused",     "" },
        { "want | stop",                         "idle",       "" },

        /* a pack */
        { "@pack want up | finish",              "finishing",  "reg-complete" },
        { "@pack want up | finish done",         "lingering",  "reg-complete transfer-complete" },
        { "@pack want up | finish bad",          "requesting", "reg-complete REQUEST" },
        { "@pack want up finish bad 2.04 finish | bad", "session", "reg-failure:52" },
        { "@pack want up | 4.04",                "requesting", "REQUEST" },
        { "@pack want up | 5.01",                "requesting", "REQUEST" },
        { "@pack want up | bad-pack",            "requesting", "REQUEST" },
        { "@pack want up | timeout",             "retrying",   "reg-failure:110" },
        { "@pack want up timeout timer | up",    "packing",    "PACK" },
        { "@pack want up | timer",               "retrying",   "reg-failure:110" },
        { "@pack want up | down",                "retrying",   "reg-failure:113" },
        { "@pack want up | drop",                "idle",       "" },
        { "@pack want up | pause",               "paused",     "" },

        /* requesting */
        { "want up | 2.04",                      "session",    "reg-complete" },
        { "want up | op",                        "session",    "reg-complete" }, /* ahead of its answer */
        { "want up | finish",                    "finishing",  "reg-complete" },
        { "want up | 4.15",                      "requesting", "PLAIN" },
        { "want up | 4.02",                      "requesting", "PLAIN" },
        { "want up 4.15 | 4.15",                 "retrying",   "reg-failure:4.15" },
        { "want up 4.15 4.15 timer | up",        "requesting", "REQUEST" },
        { "@1.0 want up | 4.15",                 "retrying",   "reg-failure:4.15" },
        { "want up | 4.00",                      "retrying",   "reg-failure:4.00" },
        { "want up | 2.01",                      "retrying",   "reg-failure:2.01" },
        { "want up | timeout",                   "retrying",   "reg-failure:110" },
        { "want up | timer",                     "retrying",   "reg-failure:110" },
        { "@no-send want | up",                  "retrying",   "REQUEST reg-failure:101" },
        { "want up | down",                      "retrying",   "reg-failure:113" },
        { "want up | drop",                      "idle",       "" },
        { "want up | pause",                     "paused",     "" },

        /* the session */
        { "want up 2.04 | op op",                "session",    "" },
        { "want up 2.04 | +246s op +246s",       "session",    "" },
        { "want up 2.04 | +247s",                "retrying",   "reg-failure:110" },
        { "@short want up 2.04 | +200s op +99s", "session",    "" },
        { "@short want up 2.04 | +200s op +100s", "retrying",  "reg-failure:110" }, /* not for ever */
        { "want up op | 4.03",                   "retrying",   "reg-failure:4.03" },
        { "want up 2.04 | down",                 "retrying",   "reg-failure:113" },
        { "want up 2.04 | pause",                "paused",     "" },
        { "want up 2.04 | stop",                 "idle",       "" },
        { "want up 2.04 | finish",               "finishing",  "" },
        { "want up 2.04 finish | done",          "lingering",  "transfer-complete" },
        { "want up 2.04 finish | bad",           "session",    "reg-failure:52" },
        { "want up 2.04 finish bad op finish | done", "lingering", "transfer-complete" },
        { "want up 2.04 finish bad | +247s",     "retrying",   "reg-failure:110" },
        { "want up 2.04 finish | +247s",         "retrying",   "reg-failure:110" },
        { "want up 2.04 finish | down",          "retrying",   "reg-failure:113" },
        { "want up 2.04 finish | pause",         "paused",     "" },

        /* done */
        { "want up 2.04 finish done | +92s",     "lingering",  "" },
        { "want up 2.04 finish done | +93s",     "idle",       "" },
        { "want up 2.04 finish done | down",     "idle",       "" },
        { "want up 2.04 finish done | want",     "connecting", "connect" },
        { "want up 2.04 finish done | now",      "connecting", "connect" },
        { "want up 2.04 finish done | pause",    "idle",       "" },
        { "want up 2.04 finish done +93s | now", "connecting", "connect" },

        /* trying again */
        { "want down | +9s",                     "retrying",   "" },
        { "want down | +12s",                    "connecting", "connect" },
        { "want down | now",                     "connecting", "connect" },
        { "want down | drop",                    "idle",       "" },
        { "want down | pause",                   "paused",     "" },
        { "want down | stop",                    "idle",       "" },
        { "@give-up want down timer down timer down | +10000s", "given-up", "" },
        { "@give-up want down timer down timer | down", "given-up", "reg-failure:113" },
        { "@give-up want down timer down timer down | now", "connecting", "connect" },
        { "want hopeless | want",                "connecting", "connect" },
        { "want hopeless | now",                 "connecting", "connect" },
        { "want hopeless | drop",                "idle",       "" },
        { "want pause | resume",                 "connecting", "connect" },
        { "want pause | drop",                   "idle",       "" },
        /* clang-format on */
};

static void test_scenarios(void **state) {
        for (size_t i = 0; i < G_N_ELEMENTS(scenarios); i++) {
                const char *reached;
                bool open;
                Bed b;

                bed_init(&b);
                play(&b, scenarios[i].script);
                reached = bootstrap_state_name(bootstrap_state(b.machine));
                if (strcmp(reached, scenarios[i].state) != 0 ||
                    strcmp(b.log->str, scenarios[i].log) != 0)
                        fail_msg("%s: %s, '%s'; expected %s, '%s'", scenarios[i].script, reached,
                                 b.log->str, scenarios[i].state, scenarios[i].log);
                /* The server's requests are welcome in these states and no others. */
                open = bootstrap_state(b.machine) == BOOTSTRAP_REQUESTING ||
                       bootstrap_state(b.machine) == BOOTSTRAP_SESSION ||
                       (bootstrap_state(b.machine) == BOOTSTRAP_HOLDING && b.config.unsolicited &&
                        b.connect_error == 0);
                if (bootstrap_state(b.machine) != BOOTSTRAP_FINISHING && b.open != open)
                        fail_msg("%s: session %d", scenarios[i].script, b.open);
                bed_clear(&b);
        }
}

static void test_every_edge_was_taken(void **state) {
        size_t missing = 0;

        for (size_t i = 0; i < bootstrap_n_edges(); i++) {
                BootstrapEdgeInfo e = bootstrap_edge(i);

                if (taken[i])
                        continue;
                missing++;
                print_message("edge %zu: %s, input %d, guard '%s' -> %s\n", i,
                              bootstrap_state_name(e.from), e.input, e.guard,
                              bootstrap_state_name(e.to));
        }
        assert_int_equal(missing, 0);
}

/* In a column of edges with the same start and input, only the last may stand without a guard. */
static void test_no_edge_hides_another(void **state) {
        for (size_t i = 0; i < bootstrap_n_edges(); i++)
                for (size_t k = i + 1; k < bootstrap_n_edges(); k++)
                        if (bootstrap_edge(i).from == bootstrap_edge(k).from &&
                            bootstrap_edge(i).input == bootstrap_edge(k).input)
                                assert_string_not_equal(bootstrap_edge(i).guard, "");
}

static void test_delays_grow_to_the_cap(void **state) {
        uint64_t last = 0;
        Bed b;

        bed_init(&b);
        play(&b, "want");
        for (unsigned i = 0; i < 20; i++) {
                uint64_t delay;

                play(&b, "down");
                assert_true(b.next_usec == bootstrap_next_usec(b.machine));
                delay = b.next_usec - b.now;
                assert_true(delay >= 10 * USEC_PER_SEC && delay <= 3600 * USEC_PER_SEC);
                assert_true(i > 8 || delay > last);
                last = delay;
                play(&b, "timer");
        }
        assert_true(last > 2600 * USEC_PER_SEC);
        /* A session puts it back. */
        play(&b, "up 2.04 finish done now down");
        assert_true(b.next_usec - b.now <= 11 * USEC_PER_SEC);
        bed_clear(&b);
}

static void test_meaningless_inputs(void **state) {
        Bed b;

        bed_init(&b);
        bed_start(&b);
        for (int i = 0; i < _BOOTSTRAP_INPUT_MAX; i++)
                if (i != BOOTSTRAP_WANT && i != BOOTSTRAP_NOW && i != BOOTSTRAP_STOP)
                        assert_int_equal(bootstrap_input(b.machine, (BootstrapInput) i, b.now),
                                         -EALREADY);
        assert_string_equal(b.log->str, "");
        play(&b, "want up 2.04");
        assert_int_equal(bootstrap_input(b.machine, BOOTSTRAP_NOW, b.now), -EALREADY);
        assert_int_equal(bootstrap_input(b.machine, BOOTSTRAP_DROP, b.now), -EALREADY);
        /* An answer that comes after all. */
        bootstrap_answer(b.machine, -ETIMEDOUT, 0, NULL, b.now);
        assert_int_equal(bootstrap_state(b.machine), BOOTSTRAP_SESSION);
        bed_clear(&b);
}

/* Whatever comes in whatever order: it never rests in a state that is passed through, and where it
 * has something to do it has a timer. */
static void test_random_walk(void **state) {
        Bed b;

        bed_init(&b);
        b.config.pack = b.config.give_up = true;
        b.config.hold_off_sec = 5;
        b.config.unsolicited = true;
        bed_start(&b);
        for (unsigned i = 0; i < 200000; i++) {
                int input = g_rand_int_range(b.rnd, 0, BOOTSTRAP_NEXT);

                b.connect_error = g_rand_int_range(b.rnd, 0, 10) == 0 ? -ENETUNREACH : 0;
                b.send_error = g_rand_int_range(b.rnd, 0, 10) == 0 ? -ENETUNREACH : 0;
                (void) bootstrap_input(b.machine, (BootstrapInput) input, b.now);
                if (g_rand_int_range(b.rnd, 0, 4) == 0)
                        advance(&b, (uint64_t) g_rand_int_range(b.rnd, 0, 100) * USEC_PER_SEC);
                g_string_truncate(b.log, 0);
                switch (bootstrap_state(b.machine)) {
                case BOOTSTRAP_FAILING:
                case BOOTSTRAP_ANY:
                        fail_msg("rests in %s", bootstrap_state_name(bootstrap_state(b.machine)));
                        break;
                case BOOTSTRAP_IDLE:
                case BOOTSTRAP_GIVEN_UP:
                case BOOTSTRAP_PAUSED:
                        assert_true(bootstrap_next_usec(b.machine) == USEC_INFINITY);
                        break;
                case BOOTSTRAP_HOLDING:
                case BOOTSTRAP_CONNECTING:
                case BOOTSTRAP_PACKING:
                case BOOTSTRAP_REQUESTING:
                case BOOTSTRAP_SESSION:
                case BOOTSTRAP_FINISHING:
                case BOOTSTRAP_LINGERING:
                case BOOTSTRAP_RETRYING:
                        assert_true(bootstrap_next_usec(b.machine) != USEC_INFINITY);
                        break;
                }
        }
        bed_clear(&b);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_scenarios),
                cmocka_unit_test(test_every_edge_was_taken), /* by the scenarios alone */
                cmocka_unit_test(test_no_edge_hides_another),
                cmocka_unit_test(test_delays_grow_to_the_cap),
                cmocka_unit_test(test_meaningless_inputs),
                cmocka_unit_test(test_random_walk),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
