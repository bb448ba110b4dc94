/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/path.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

/* One identifier in its only form: "0", or digits that do not begin with 0, up to ID_MAX. */
static int parse_id(const char **text, uint16_t *ret) {
        const char *p = *text;
        uint32_t id = 0;

        if (*p == '0' && p[1] >= '0' && p[1] <= '9')
                return -EINVAL;
        for (; *p >= '0' && *p <= '9'; p++) {
                id = id * 10 + (uint32_t) (*p - '0');
                if (id > ID_MAX)
                        return -EINVAL;
        }
        if (p == *text)
                return -EINVAL;
        *text = p;
        *ret = (uint16_t) id;
        return 0;
}

int path_parse(const char *text, Path *ret) {
        Path p = PATH_ROOT;
        int r;

        if (!text || *text != '/')
                return -EINVAL;
        if (text[1] != '\0')
                while (*text == '/') {
                        if (p.n >= 4)
                                return -EINVAL;
                        text++;
                        r = parse_id(&text, &p.id[p.n]);
                        if (r < 0)
                                return r;
                        p.n++;
                }
        else
                text++;
        if (*text != '\0')
                return -EINVAL;
        *ret = p;
        return 0;
}

static char *put_id(char *out, uint16_t id) {
        char digits[5];
        int n = 0;

        do
                digits[n++] = (char) ('0' + id % 10);
        while ((id /= 10) > 0);
        while (n > 0)
                *out++ = digits[--n];
        return out;
}

const char *path_format(const Path *p, char buffer[static PATH_TEXT_MAX]) {
        char *out = buffer;

        if (p->n == 0)
                *out++ = '/';
        for (int i = 0; i < p->n; i++) {
                *out++ = '/';
                out = put_id(out, p->id[i]);
        }
        *out = '\0';
        return buffer;
}

int path_compare(const Path *a, const Path *b) {
        for (int i = 0; i < a->n && i < b->n; i++)
                if (a->id[i] != b->id[i])
                        return a->id[i] < b->id[i] ? -1 : 1;
        return a->n == b->n ? 0 : a->n < b->n ? -1 : 1;
}

bool path_equal(const Path *a, const Path *b) {
        return a->n == b->n && path_covers(a, b);
}

bool path_covers(const Path *prefix, const Path *p) {
        if (prefix->n > p->n)
                return false;
        for (int i = 0; i < prefix->n; i++)
                if (prefix->id[i] != p->id[i])
                        return false;
        return true;
}

Path path_child(const Path *p, uint16_t id) {
        Path child = *p;

        assert(p->n < 4);
        child.id[child.n++] = id;
        return child;
}

Path path_prefix(const Path *p, uint8_t n) {
        Path prefix = PATH_ROOT;

        assert(n <= p->n);
        memcpy(prefix.id, p->id, n * sizeof(p->id[0]));
        prefix.n = n;
        return prefix;
}
