/* SPDX-License-Identifier: Apache-2.0 */
#include "lwm2m/est/est_discover.h"

#include <errno.h>
#include <string.h>

#include "codec/linkformat.h"
#include "lwm2m/est/est_place.h"

#define TYPE "ace.est.sen"
#define NAME "/sen"

static bool is(const Reader *r, const char *text) {
        return r->left == strlen(text) && memcmp(r->pos, text, r->left) == 0;
}

/* rt has one or more types, with spaces between (RFC 6690, section 3.1). */
static bool has_type(Reader list) {
        while (list.left > 0) {
                const uint8_t *space = memchr(list.pos, ' ', list.left);
                Reader one = { .pos = list.pos,
                               .left = space ? (size_t) (space - list.pos) : list.left };

                if (is(&one, TYPE))
                        return true;
                reader_skip(&list, MIN(one.left + 1, list.left));
        }
        return false;
}

static bool is_enrolment(Reader params) {
        LinkParam p;

        while (linkformat_param(&params, &p) > 0)
                if (is(&p.name, "rt") && p.has_value && has_type(p.value))
                        return true;
        return false;
}

/* A link to another server is none for us: we have proved ourselves to this one. */
static int take_path(const Reader *uri, char ***ret) {
        g_autofree char *text = g_strndup((const char *) uri->pos, uri->left);
        g_auto(GStrv) path = NULL;

        if (uri->left < 2 || text[0] != '/' || text[1] == '/' || strlen(text) != uri->left)
                return -ENOENT;
        if (g_str_has_suffix(text, NAME))
                text[uri->left - strlen(NAME)] = '\0';
        path = g_strsplit(text[0] ? text + 1 : "", "/", -1);
        if (!est_place_is_path(path))
                return -EBADMSG;
        *ret = g_steal_pointer(&path);
        return 0;
}

int est_discover(GBytes *links, char ***ret) {
        Reader in = { .left = 0 };
        LinkItem item;
        gsize n;
        int r;

        in.pos = g_bytes_get_data(links, &n);
        in.left = n;
        if (linkformat_check(in.pos, in.left) < 0)
                return -EBADMSG;
        while (linkformat_next(&in, &item) > 0) {
                if (!is_enrolment(item.params))
                        continue;
                r = take_path(&item.uri, ret);
                if (r != -ENOENT)
                        return r;
        }
        return -ENOENT;
}
