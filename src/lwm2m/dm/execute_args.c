/* SPDX-License-Identifier: Apache-2.0 */
#include "lwm2m/dm/execute_args.h"

#include <errno.h>
#include <stdbool.h>

static bool is_text(char c) {
        return c >= 0x21 && c <= 0x7e && c != '"' && c != '\'' && c != '\\';
}

/* One argument at text[*pos]; moves *pos behind it. */
static int parse_one(const char *text, size_t n, size_t *pos, ExecuteArg *ret) {
        size_t i = *pos, start;

        if (i >= n || text[i] < '0' || text[i] > '9')
                return -EINVAL;
        *ret = (ExecuteArg){ .digit = (uint8_t) (text[i++] - '0') };

        if (i < n && text[i] == '=') {
                if (++i >= n || text[i] != '\'')
                        return -EINVAL;
                start = ++i;
                while (i < n && is_text(text[i]))
                        i++;
                if (i >= n || text[i] != '\'')
                        return -EINVAL;
                ret->value = g_strndup(text + start, i - start);
                i++;
        }
        *pos = i;
        return 0;
}

int execute_args_parse(const char *text, size_t n, ExecuteArgs *ret) {
        g_auto(ExecuteArgs) a = { .n = 0 };
        unsigned seen = 0;
        size_t pos = 0;
        int r;

        while (pos < n) {
                ExecuteArg arg;

                r = parse_one(text, n, &pos, &arg);
                if (r < 0)
                        return r;
                if (seen & 1U << arg.digit) {
                        g_free(arg.value);
                        return -EINVAL;
                }
                seen |= 1U << arg.digit;
                a.v[a.n++] = arg;

                if (pos == n)
                        break;
                if (text[pos] != ',' || ++pos == n) /* a comma promises another one */
                        return -EINVAL;
        }
        *ret = a;
        a = (ExecuteArgs){ .n = 0 };
        return 0;
}

void execute_args_clear(ExecuteArgs *a) {
        for (size_t i = 0; i < a->n; i++)
                g_free(a->v[i].value);
        *a = (ExecuteArgs){ .n = 0 };
}
