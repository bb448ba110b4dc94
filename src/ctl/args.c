/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "ctl/args.h"

static const Option *find(const Option *const *tables, const char *text, size_t n) {
        for (size_t t = 0; tables[t]; t++)
                for (const Option *o = tables[t]; o->name; o++) {
                        const char *spellings[] = { o->name, o->alias };

                        for (size_t i = 0; i < 2; i++)
                                if (spellings[i] && strlen(spellings[i]) == n &&
                                    memcmp(spellings[i], text, n) == 0)
                                        return o;
                }
        return NULL;
}

static bool is_word(const char *text) {
        if (text[0] != '-' || text[1] == '\0')
                return true;
        return g_ascii_isdigit(text[1]) || (text[1] == '.' && g_ascii_isdigit(text[2]));
}

static int take_option(const Option *const *tables, int argc, char **argv, int *i, Args *a,
                       char **ret_error) {
        const char *text = argv[*i], *equal = strchr(text, '='), *value = "";
        size_t n = equal && g_str_has_prefix(text, "--") ? (size_t) (equal - text) : strlen(text);
        bool has_value = n < strlen(text);
        const Option *o;

        o = find(tables, text, n);
        if (!o) {
                *ret_error = g_strdup_printf("unknown option '%s'", text);
                return -EINVAL;
        }
        if (o->arg && has_value)
                value = equal + 1;
        else if (o->arg) {
                if (*i + 1 >= argc) {
                        *ret_error = g_strdup_printf("option '%s' needs %s", text, o->arg);
                        return -EINVAL;
                }
                value = argv[++*i];
        } else if (has_value) {
                *ret_error = g_strdup_printf("option '%.*s' takes no value", (int) n, text);
                return -EINVAL;
        }
        g_hash_table_replace(a->options, (gpointer) o->name, (gpointer) value);
        return 0;
}

int args_parse(const Option *const *tables, int argc, char **argv, bool only_before_words,
               Args *ret, int *ret_next, char **ret_error) {
        g_auto(Args) a = { .words = g_ptr_array_new(),
                           .options = g_hash_table_new(g_str_hash, g_str_equal) };
        int i, r;

        for (i = 0; i < argc; i++) {
                if (!a.dashes && !only_before_words && strcmp(argv[i], "--") == 0) {
                        a.dashes = true;
                        a.n_before = a.words->len;
                        continue;
                }
                if (a.dashes || is_word(argv[i])) {
                        if (only_before_words)
                                break;
                        if (a.words->len >= ARGS_WORDS_MAX) {
                                *ret_error =
                                        g_strdup_printf("more than %d arguments", ARGS_WORDS_MAX);
                                return -EINVAL;
                        }
                        g_ptr_array_add(a.words, argv[i]);
                        continue;
                }
                r = take_option(tables, argc, argv, &i, &a, ret_error);
                if (r < 0)
                        return r;
        }
        if (!a.dashes)
                a.n_before = a.words->len;
        if (ret_next)
                *ret_next = i;
        *ret = a;
        a = (Args){ 0 };
        return 0;
}

void args_clear(Args *a) {
        g_clear_pointer(&a->words, g_ptr_array_unref);
        g_clear_pointer(&a->options, g_hash_table_unref);
}

const char *args_get(const Args *a, const char *name) {
        return g_hash_table_lookup(a->options, name);
}

const char *args_word(const Args *a, unsigned i) {
        return i < a->words->len ? g_ptr_array_index(a->words, i) : NULL;
}
