/* SPDX-License-Identifier: Apache-2.0 */
#include "lwm2m/dm/discover.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "codec/format.h"
#include "util/parse.h"

#define DEPTH_MAX 3

typedef struct Discovery {
        Dm *dm;
        const Peer *peer;
        Path target;
        unsigned depth; /* levels below the target that are shown */
        bool hidden;    /* the instance being walked through is not for this server */
        GString *out;
} Discovery;

static bool may_be_told(const Discovery *d, const Path *p) {
        return !d->dm->discover_permitted || access_rights(d->dm->access, d->peer->ssid, p) != 0;
}

/* A walk goes through one instance after the other, and what it is about changes nothing. */
static bool is_hidden(Discovery *d, const Path *p) {
        if (d->dm->discover_permitted && p->n == 2)
                d->hidden = !may_be_told(d, p);
        return d->hidden;
}

static bool is_shown(Discovery *d, const Path *p) {
        return !is_hidden(d, p) && p->n <= d->target.n + d->depth;
}

static int on_count(void *userdata, const Path *p, const Value *v, const ResourceDef *def) {
        if (p->n == 4)
                ++*(unsigned *) userdata;
        return 0;
}

static void append_attributes(Discovery *d, const Path *p) {
        const bool inherits = p->n >= 3 && path_equal(p, &d->target);
        Attrs attrs = { .set = 0 };

        if (inherits)
                attr_store_inherit(d->dm->attrs, d->peer->ssid, p, &attrs);
        else {
                const Attrs *own = attr_store_get(d->dm->attrs, d->peer->ssid, p);

                if (own)
                        attrs = *own;
        }
        attrs_append(&attrs, d->out, ';', true);
}

/* Which server account it is: ssid of /1/x. */
static void append_ssid(Discovery *d, const Path *p) {
        const Path resource = path_child(p, 0);
        const Value *v;

        if (p->id[0] == 1 && tree_get(d->dm->tree, &resource, &v) == 0 && v->type == VALUE_INTEGER)
                g_string_append_printf(d->out, ";ssid=%" PRId64, v->i);
}

static void append_link(Discovery *d, const Path *p, const ResourceDef *def) {
        if (!is_shown(d, p))
                return;
        g_string_append_printf(d->out, "%s<%s>", d->out->len > 0 ? "," : "", PATH_TEXT(p));
        if (p->n == 2)
                append_ssid(d, p);
        if (p->n == 3 && def->multiple) {
                unsigned n = 0;

                tree_walk(d->dm->tree, p, on_count, &n);
                g_string_append_printf(d->out, ";dim=%u", n);
        }
        append_attributes(d, p);
}

static int on_visit(void *userdata, const Path *p, const Value *v, const ResourceDef *def) {
        append_link(userdata, p, def);
        return 0;
}

static int discover_object(Discovery *d) {
        const uint16_t object = d->target.id[0];
        const ObjectDef *def;
        Path first;

        def = tree_object_def(d->dm->tree, object, -1);
        if (!def)
                return -ENOENT;
        if (tree_next_instance(d->dm->tree, &d->target, &first) == 0 && first.id[0] == object)
                def = tree_object_def(d->dm->tree, object, first.id[1]);
        g_string_append_printf(d->out, "</%u>", object);
        if (def->version.major != 1 || def->version.minor != 0)
                g_string_append_printf(d->out, ";ver=%u.%u", def->version.major,
                                       def->version.minor);
        append_attributes(d, &d->target);
        return 0;
}

static int discover(Discovery *d) {
        int r;

        if (d->target.n == 1) {
                r = discover_object(d);
                if (r < 0 || d->depth == 0)
                        return r;
        }
        r = dm_walk(d->dm, &d->target, on_visit, d);
        /* Of what is not there, that is said: as by every other operation. */
        return r >= 0 && d->target.n > 1 && !may_be_told(d, &d->target) ? -EACCES : r;
}

/* Without a depth: an object down to its resources, everything else one level down. Resource
 * instances are known since 1.1. */
static int parse_depth(Request *rq, unsigned *ret) {
        const char *const *query = rq->message->query;
        const bool instances = version_reaches(rq->peer->version, 1, 1);
        uint64_t depth;

        *ret = rq->path.n == 1 ? 2 : rq->path.n == 3 && !instances ? 0 : 1;
        if (!query || !query[0])
                return 0;
        if (query[1] || strncmp(query[0], "depth=", 6) != 0 ||
            parse_u64(query[0] + 6, DEPTH_MAX, &depth) < 0)
                return request_fail(rq, -EINVAL, "Bad query '%s'", query[0]);
        *ret = (unsigned) depth;
        return 0;
}

int discover_request(Request *rq) {
        Discovery d = { .dm = rq->dm, .peer = rq->peer, .target = rq->path };
        Message m = MESSAGE_INIT(CODE(2, 5));
        g_autoptr(GBytes) payload = NULL;
        int r;

        if (rq->path.n == 0)
                return request_fail(rq, -EPERM, "Discover needs a path");
        r = parse_depth(rq, &d.depth);
        if (r < 0)
                return r;
        d.out = g_string_new(NULL);
        r = discover(&d);
        if (r < 0) {
                g_string_free(d.out, TRUE);
                return r == -EACCES ? request_fail(rq, r, "%s: not for this server",
                                                   PATH_TEXT(&rq->path))
                                    : r;
        }
        payload = g_string_free_to_bytes(d.out);
        m.format = FORMAT_LINK;
        m.payload = payload;
        responder_send(&rq->to, &m);
        return 0;
}
