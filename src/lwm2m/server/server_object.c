/* SPDX-License-Identifier: Apache-2.0 */
#include "lwm2m/server/server_object.h"

#include <errno.h>

#include "lwm2m/account/account.h"

/* A resource of the same instance as it will be after the transaction; 0 when it will not be there.
 */
static int64_t sibling(const ServerObject *o, const Path *p, uint16_t resource) {
        Path other = PATH_OIR(p->id[0], p->id[1], resource);
        const Value *v = dm_pending(o->dm, &other);
        Value n;

        if (!v && tree_get(o->tree, &other, &v) < 0)
                return 0;
        return value_convert(v, VALUE_INTEGER, &n) == 0 ? n.i : 0;
}

/* What the instance already has is always good: a Write that replaces the whole instance repeats
 * it. */
static int check_lifetime(const ServerObject *o, uint16_t ssid, const Path *p, int64_t seconds) {
        uint32_t now, least = o->lifetime_min_sec;

        if (o->ops.lifetime(o->userdata, p->id[1], &now, &least) == 0 && now == seconds)
                return 0;
        if (seconds == 0)
                return o->forever ? 0 : -ERANGE;
        if (ssid == 0) /* the owner of the box sets the limit himself */
                least = 1;
        return seconds >= least && seconds <= UINT32_MAX ? 0 : -ERANGE;
}

/* It ties the account to its half in object 0: another one would cut the server off. */
static int check_short_id(const ServerObject *o, const Path *p, int64_t id) {
        const Value *now;

        if (id < 1 || id > ID_MAX)
                return -ERANGE;
        return tree_get(o->tree, p, &now) == 0 && now->i != id ? -EPERM : 0;
}

/* A longest time between notifications below the shortest could never be kept; 0 is none. */
static int check_periods(int64_t pmin, int64_t pmax) {
        if (pmin < 0 || pmax < 0 || pmin > UINT32_MAX || pmax > UINT32_MAX)
                return -ERANGE;
        return pmax > 0 && pmin > pmax ? -ERANGE : 0;
}

static int check_number(const ServerObject *o, uint16_t ssid, const Path *p, int64_t n) {
        switch (p->id[2]) {
        case SERVER_SSID:
                return check_short_id(o, p, n);
        case SERVER_LIFETIME:
                return check_lifetime(o, ssid, p, n);
        case SERVER_PMIN:
                return check_periods(n, sibling(o, p, SERVER_PMAX));
        case SERVER_PMAX:
                return check_periods(sibling(o, p, SERVER_PMIN), n);
        case SERVER_DISABLE_TIMEOUT:
                return n >= 0 && n <= UINT32_MAX ? 0 : -ERANGE;
        default:
                return 0;
        }
}

static int on_write(void *userdata, uint16_t ssid, const Path *p, const Value *v,
                    uint64_t now_usec) {
        const ServerObject *o = userdata;
        Value n;
        int r;

        if (p->n != 3)
                return -ENOSYS;
        if (p->id[2] == SERVER_BINDING) {
                if (v->type != VALUE_STRING || !account_binding_is_valid(v->data))
                        return -EINVAL;
        } else if (p->id[2] == SERVER_PREFERRED_TRANSPORT) {
                /* One letter (TS Core 1.1.1, appendix E.2). An account has one URI and with it one
                 * transport, so that there is nothing to prefer. */
                if (v->type != VALUE_STRING || v->length != 1 || !strchr("UTSNMH", *v->data))
                        return -EINVAL;
        } else if (value_convert(v, VALUE_INTEGER, &n) == 0) {
                r = check_number(o, ssid, p, n.i);
                if (r < 0)
                        return r;
        }
        return -ENOSYS; /* good; stored like any other value */
}

static int on_execute(void *userdata, uint16_t ssid, const Path *p, const ExecuteArg *args,
                      size_t n_args, uint64_t now_usec) {
        const ServerObject *o = userdata;

        switch (p->id[2]) {
        case SERVER_DISABLE:
                return o->ops.disable(o->userdata, p->id[1], now_usec);
        case SERVER_UPDATE_TRIGGER:
                return o->ops.trigger_update(o->userdata, p->id[1], now_usec);
        case SERVER_BOOTSTRAP_TRIGGER:
                return o->ops.bootstrap(o->userdata, p->id[1], now_usec);
        default:
                return -ENOSYS;
        }
}

static bool on_executes(void *userdata, const Path *p) {
        const ServerObject *o = userdata;

        if (p->n != 3)
                return false;
        return p->id[2] == SERVER_DISABLE || p->id[2] == SERVER_UPDATE_TRIGGER ||
               (p->id[2] == SERVER_BOOTSTRAP_TRIGGER && o->ops.has_bootstrap(o->userdata));
}

/* Accounts come and go by bootstrap and by the owner of the box, not by management servers. */
static int on_create_or_remove(void *userdata, uint16_t ssid, const Path *instance) {
        return ssid > 0 ? -EPERM : -ENOSYS;
}

const Behaviour server_object_behaviour = {
        .write = on_write,
        .execute = on_execute,
        .executes = on_executes,
        .create = on_create_or_remove,
        .remove = on_create_or_remove,
};
