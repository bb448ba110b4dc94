/* SPDX-License-Identifier: Apache-2.0 */
#include "lwm2m/dm/write_attributes.h"

#include <errno.h>

#include "lwm2m/observe/observe.h"

/* --- what may be written where --- */
static int check_attributes_target(Request *rq, const ResourceDef **ret) {
        const Path *p = &rq->path;
        const ResourceDef *def = NULL;

        if (p->n == 0)
                return request_fail(rq, -EPERM, "Write-Attributes needs a path");
        if (p->n == 1 && !tree_object_def(rq->dm->tree, p->id[0], -1))
                return -ENOENT;
        if (p->n >= 2) {
                const Path instance = path_prefix(p, 2);
                int r;

                if (!tree_exists(rq->dm->tree, &instance))
                        return -ENOENT;
                r = request_may(rq, &instance, ACCESS_READ); /* on an object: no right needed */
                if (r < 0)
                        return r;
        }
        if (p->n >= 3) {
                def = tree_resource_def(rq->dm->tree, p);
                if (!def || (p->n == 4 && !tree_exists(rq->dm->tree, p)))
                        return -ENOENT;
                if (!(def->operations & OPERATION_READ))
                        return request_fail(rq, -EPERM, "%s: not readable", PATH_TEXT(p));
        }
        *ret = def;
        return 0;
}

/* What the query says, if it may be said by this server of p. */
static int parse(Request *rq, const Path *p, const ResourceDef *def, AttrsUpdate *ret) {
        const char *bad = "";
        int r;

        r = attrs_parse(rq->message->query, ret, &bad);
        if (r < 0)
                return request_fail(rq, r, "Bad attribute '%s'", bad);
        r = attrs_check_version(ret, rq->peer->version, &bad);
        if (r < 0)
                return request_fail(rq, r, "LwM2M %u.%u has no attribute '%s'",
                                    rq->peer->version.major, rq->peer->version.minor, bad);
        r = attrs_check_target(ret, p, def);
        if (r < 0)
                return request_fail(rq, r, "%s: attribute does not fit the target", PATH_TEXT(p));
        return 0;
}

/* --- conditions that meet at a value --- */
typedef struct Below {
        const Attrs *resource;
        const char *why;
} Below;

static void on_below(void *userdata, const Path *path, const Attrs *a) {
        Below *b = userdata;
        Attrs both = *b->resource;

        if (path->n < 4)
                return;
        attrs_overlay(&both, a);
        (void) attrs_check_conditions(&both, &b->why);
}

/* attrs as written at p, with those of its resource above or its resource instances below. */
static int check_neighbours(const Request *rq, const Path *p, const Attrs *attrs,
                            const char **ret_why) {
        const AttrStore *store = rq->dm->attrs;
        Below below = { .resource = attrs };
        Attrs both = { .set = 0 };

        if (p->n == 4) {
                const Path resource = path_prefix(p, 3);

                attr_store_inherit(store, rq->peer->ssid, &resource, &both);
                attrs_overlay(&both, attrs);
                return attrs_check_conditions(&both, ret_why);
        }
        if (p->n == 3)
                attr_store_foreach(store, rq->peer->ssid, p, on_below, &below);
        if (below.why)
                *ret_why = below.why;
        return below.why ? -EINVAL : 0;
}

/* --- requests --- */
int write_attributes_request(Request *rq) {
        const Attrs *former = attr_store_get(rq->dm->attrs, rq->peer->ssid, &rq->path);
        Attrs attrs = former ? *former : (Attrs){ .set = 0 };
        const ResourceDef *def = NULL;
        const char *why = "";
        AttrsUpdate update;
        int r;

        r = check_attributes_target(rq, &def);
        if (r == 0)
                r = parse(rq, &rq->path, def, &update);
        if (r < 0)
                return r;
        attrs_update(&attrs, &update);
        r = attrs_check(&attrs, &why);
        if (r == 0)
                r = check_neighbours(rq, &rq->path, &attrs, &why);
        if (r < 0)
                return request_fail(rq, r, "%s: %s", PATH_TEXT(&rq->path), why);
        r = attr_store_put(rq->dm->attrs, rq->peer->ssid, &rq->path, &attrs);
        if (r < 0)
                return r;

        observe_attributes_changed(rq->dm, rq->peer->ssid, &rq->path);
        if (rq->dm->config.attributes_changed)
                rq->dm->config.attributes_changed(rq->dm->config.event_userdata);
        responder_code(&rq->to, CODE(2, 4));
        return 0;
}

/* There is no one value that conditions of a composite observation could be about. */
static int parse_of_observe(Request *rq, const ReadTarget *target, AttrsUpdate *ret) {
        const Path *p = &target->paths[0];
        const ResourceDef *def = NULL;
        Path first = PATH_O(0);

        if (!target->composite && p->n >= 3)
                def = tree_resource_def(rq->dm->tree, p);
        return parse(rq, target->composite ? &first : p, def, ret);
}

int write_attributes_of_observe(Request *rq, const ReadTarget *target, Attrs **ret) {
        Attrs effective = { .set = 0 };
        AttrsUpdate update;
        const char *why = "";
        int r;

        *ret = NULL;
        if (!rq->message->query || !rq->message->query[0])
                return 0;
        if (!version_reaches(rq->peer->version, 1, 2))
                return request_fail(rq, -EINVAL, "Observe has attributes since LwM2M 1.2 only");
        r = parse_of_observe(rq, target, &update);
        if (r < 0)
                return r;
        if (update.remove)
                return request_fail(rq, -EINVAL, "An attribute has no value");
        r = attrs_check(&update.set, &why);
        if (r == 0 && !target->composite) {
                attr_store_inherit(rq->dm->attrs, rq->peer->ssid, &target->paths[0], &effective);
                attrs_overlay(&effective, &update.set);
                r = attrs_check_conditions(&effective, &why);
        }
        if (r < 0)
                return request_fail(rq, r, "%s", why);
        *ret = g_memdup2(&update.set, sizeof(Attrs));
        return 0;
}
