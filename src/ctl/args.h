/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Command lines: options by table, words, and what follows "--". Options may stand before and after
 * words; each is spelled out (no bundling), because the shell verbs know -u8 and -s16 as options.
 * What looks like a negative number is a word. */
#include <glib.h>
#include <stdbool.h>

#define ARGS_WORDS_MAX 4096

typedef struct Option {
        const char *name;  /* "--long", or "-x" where there is only a short form */
        const char *alias; /* NULL or another spelling */
        const char *arg;   /* NULL: a flag; else the argument's name for the help */
        const char *help;
} Option;

typedef struct Args {
        GPtrArray *words;    /* of const char *, before and after "--" */
        unsigned n_before;   /* words before "--" */
        bool dashes;         /* "--" was given */
        GHashTable *options; /* Option.name -> last value given; "" for a flag */
} Args;

/* tables: NULL-terminated lists of options that end with a zero one. only_before_words stops at the
 * first word, which is what finds the verb; *ret_next is where it stopped. -EINVAL with *ret_error
 * (g_free()) saying why. */
int args_parse(const Option *const *tables, int argc, char **argv, bool only_before_words,
               Args *ret, int *ret_next, char **ret_error);
void args_clear(Args *a);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Args, args_clear)

/* The argument of an option, "" for a flag that was given, else NULL. */
const char *args_get(const Args *a, const char *name);
const char *args_word(const Args *a, unsigned i); /* NULL past the end */
