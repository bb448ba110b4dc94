/* SPDX-License-Identifier: Apache-2.0 */
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl/verbs.h"
#include "util/parse.h"

static CtlExit usage(const char *verb, const char *error) {
        ctl_fail(CTL_USAGE, "%s%s%s", verb ?: "", verb ? ": " : "", error);
        ctl_hint("see `lwm2mctl %s%s--help`", verb ?: "", verb ? " " : "");
        return CTL_USAGE;
}

/* Options that stand before the verb, then those after it. */
static CtlExit take_globals(Ctl *c, const Args *a) {
        const char *timeout = args_get(a, "--timeout");

        if (args_get(a, "--json"))
                c->json = true;
        if (args_get(a, "--bus"))
                c->address = args_get(a, "--bus");
        if (args_get(a, "--instance"))
                c->instance = args_get(a, "--instance");
        if (c->instance &&
            (!g_ascii_isalpha(c->instance[0]) || strlen(c->instance) > 64 ||
             strspn(c->instance, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                 "0123456789_") != strlen(c->instance)))
                return ctl_fail(CTL_USAGE,
                                "--instance=%s: expected letters, digits and '_', a letter first",
                                c->instance);
        if (timeout && (parse_duration(timeout, &c->timeout_usec) < 0 || c->timeout_usec == 0))
                return ctl_fail(CTL_USAGE, "--timeout=%s: expected a time like 90, 1.5s or 10min",
                                timeout);
        return CTL_OK;
}

static CtlExit check_words(const Verb *v, const Args *a) {
        unsigned n = v->command ? a->n_before : a->words->len;

        if (n < v->min)
                return usage(v->name, "an argument is missing");
        if (n > v->max) {
                g_autofree char *error =
                        g_strdup_printf("unexpected argument '%s'", args_word(a, v->max));

                return usage(v->name, error);
        }
        return CTL_OK;
}

static int run_verb(Ctl *c, const Verb *v, int argc, char **argv) {
        static const Option none[] = { { 0 } };
        const Option *tables[] = { v->options ?: none, global_options, NULL };
        g_autofree char *error = NULL;
        g_auto(Args) a = { 0 };
        CtlExit code;

        if (args_parse(tables, argc, argv, false, &a, NULL, &error) < 0)
                return usage(v->name, error);
        if (args_get(&a, "--help")) {
                help_verb(v);
                return CTL_OK;
        }
        code = take_globals(c, &a);
        if (code == CTL_OK)
                code = check_words(v, &a);
        if (code != CTL_OK)
                return code;
        c->may_activate = v->activate;
        return v->run(c, &a);
}

/* Of "help", "help server", "help server add": argv is what follows the word. */
static CtlExit help(int argc, char **argv) {
        g_autofree char *error = NULL;
        int words = 0;
        const Verb *v = verb_find(argc, argv, &words);

        if (v)
                help_verb(v);
        else if (argc == 0)
                help_program();
        else if (!help_group(argv[0])) {
                error = g_strdup_printf("unknown verb '%s'", argv[0]);
                return usage(NULL, error);
        }
        return CTL_OK;
}

/* "server" alone, or with a second word that is none of its. */
static CtlExit unknown_verb(int argc, char **argv) {
        g_autofree char *error = NULL;
        g_autoptr(GString) known = g_string_new(NULL);
        size_t n = strlen(argv[0]);

        for (const Verb *v = verbs; v->name; v++)
                if (strncmp(v->name, argv[0], n) == 0 && v->name[n] == ' ')
                        g_string_append_printf(known, "%s%s", known->len > 0 ? ", " : "",
                                               v->name + n + 1);
        if (known->len == 0)
                error = g_strdup_printf("unknown verb '%s'", argv[0]);
        else if (argc < 2)
                error = g_strdup_printf("'%s' needs one of %s", argv[0], known->str);
        else
                error = g_strdup_printf("'%s %s' is unknown; expected one of %s", argv[0], argv[1],
                                        known->str);
        return usage(NULL, error);
}

static bool want_colour(void) {
        const char *no = getenv("NO_COLOR"), *term = getenv("TERM");

        return isatty(STDOUT_FILENO) && (!no || no[0] == '\0') && g_strcmp0(term, "dumb") != 0;
}

static int run(Ctl *c, int argc, char **argv) {
        const Option *tables[] = { global_options, NULL };
        g_autofree char *error = NULL;
        g_auto(Args) a = { 0 };
        int next, words = 0;
        const Verb *v;
        CtlExit code;

        if (args_parse(tables, argc, argv, true, &a, &next, &error) < 0)
                return usage(NULL, error);
        if (args_get(&a, "--version")) {
                puts("lwm2mctl " PROJECT_VERSION);
                return CTL_OK;
        }
        if (next == argc && !args_get(&a, "--help"))
                return usage(NULL, "a verb is missing");
        v = verb_find(argc - next, argv + next, &words);
        if (args_get(&a, "--help"))
                return help(argc - next, argv + next);
        if (!v && strcmp(argv[next], "help") == 0)
                return help(argc - next - 1, argv + next + 1);
        if (!v && next + 1 < argc &&
            (strcmp(argv[next + 1], "--help") == 0 || strcmp(argv[next + 1], "-h") == 0))
                return help(1, argv + next);
        if (!v)
                return unknown_verb(argc - next, argv + next);
        code = take_globals(c, &a);
        if (code != CTL_OK)
                return code;
        return run_verb(c, v, argc - next - words, argv + next + words);
}

int main(int argc, char **argv) {
        const char *bus = getenv("LWM2MCTL_BUS");
        Ctl c = { .address = bus && bus[0] ? bus : "system" };
        int code;

        setlocale(LC_CTYPE, "C.UTF-8");
        setvbuf(stdout, NULL, _IOLBF, 0);
        c.colour = want_colour();
        code = run(&c, argc - 1, argv + 1);
        ctl_clear(&c);
        if ((fflush(stdout) == EOF || ferror(stdout)) && code == CTL_OK)
                code = ctl_fail(CTL_FAILED, "Cannot write to the standard output");
        return code;
}
