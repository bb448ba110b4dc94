/* SPDX-License-Identifier: Apache-2.0 */
#include "lwm2m/device.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>

#include "lwm2m/account.h"

enum {
        DEVICE_MANUFACTURER = 0,
        DEVICE_MODEL = 1,
        DEVICE_FIRMWARE_VERSION = 3,
        DEVICE_ERROR_CODE = 11,
        DEVICE_RESET_ERROR_CODE = 12,
        DEVICE_TIME = 13,
        DEVICE_UTC_OFFSET = 14,
        DEVICE_TIMEZONE = 15,
        DEVICE_BINDING = 16,
        DEVICE_SOFTWARE_VERSION = 19,
};

#define ERROR_NONE 0

static int64_t wall_sec(const Device *d) {
        return d->wall_clock_ns() / 1000000000;
}

/* "+02:00", as the zone of the system is now. */
static char *utc_offset(const Device *d) {
        time_t now = (time_t) wall_sec(d);
        struct tm tm;
        long minutes;

        if (!localtime_r(&now, &tm))
                return NULL;
        minutes = labs(tm.tm_gmtoff) / 60;
        return g_strdup_printf("%c%02ld:%02ld", tm.tm_gmtoff < 0 ? '-' : '+', minutes / 60,
                               minutes % 60);
}

/* The IANA name the system uses; only a link into the zone database tells it. */
static char *timezone_name(void) {
        g_autofree char *target = g_file_read_link("/etc/localtime", NULL);
        const char *name = target ? strstr(target, "zoneinfo/") : NULL;

        return name ? g_strdup(name + strlen("zoneinfo/")) : NULL;
}

static bool missing(const Device *d, uint16_t resource) {
        Path p = PATH_OIR(OBJECT_DEVICE, 0, resource);
        const Value *v;

        return tree_get(d->tree, &p, &v) == -ENOENT;
}

static int seed_text(Device *d, uint16_t resource, const char *text) {
        Path p = PATH_OIR(OBJECT_DEVICE, 0, resource);
        g_auto(Value) v = VALUE_INIT;

        if (!text || !*text || !missing(d, resource))
                return 0;
        v = value_string(text);
        return tree_set(d->tree, &p, &v);
}

static int set_no_error(Tree *tree) {
        Path p = PATH_OIRI(OBJECT_DEVICE, 0, DEVICE_ERROR_CODE, 0);
        Value none = { .type = VALUE_INTEGER, .i = ERROR_NONE };

        return tree_set(tree, &p, &none);
}

/* What this machine says of itself; the owner's own words come from [Values] or D-Bus. */
static int seed_values(Device *d) {
        g_autofree char *os = g_get_os_info(G_OS_INFO_KEY_PRETTY_NAME);
        struct utsname name = { 0 };
        int r;

        (void) uname(&name);
        if ((r = seed_text(d, DEVICE_MANUFACTURER, "unknown")) < 0 ||
            (r = seed_text(d, DEVICE_MODEL, name.machine)) < 0 ||
            (r = seed_text(d, DEVICE_FIRMWARE_VERSION, os)) < 0 ||
            (r = seed_text(d, DEVICE_SOFTWARE_VERSION, PROJECT_VERSION)) < 0)
                return r;
        if (!tree_exists(d->tree, &PATH_OIRI(OBJECT_DEVICE, 0, DEVICE_ERROR_CODE, 0)) &&
            !tree_exists(d->tree, &PATH_OIR(OBJECT_DEVICE, 0, DEVICE_ERROR_CODE)))
                return set_no_error(d->tree);
        return 0;
}

int device_seed(Device *d) {
        int r = 0;

        tree_begin(d->tree, ORIGIN_INTERNAL, 0);
        if (!tree_exists(d->tree, &PATH_OI(OBJECT_DEVICE, 0)))
                r = tree_create(d->tree, OBJECT_DEVICE, 0, (Version){ 0, 0 });
        if (r >= 0)
                r = seed_values(d);
        if (r >= 0)
                return tree_commit(d->tree);
        tree_abort(d->tree);
        return r;
}

static int on_read(void *userdata, const Path *p, Value *ret) {
        const Device *d = userdata;
        g_autofree char *text = NULL;

        if (p->n != 3 || p->id[1] != 0)
                return -ENOSYS;
        switch (p->id[2]) {
        case DEVICE_TIME:
                *ret = (Value){ .type = VALUE_TIME, .i = wall_sec(d) + d->offset_sec };
                return 0;
        case DEVICE_BINDING:
                *ret = value_string(d->binding);
                return 0;
        case DEVICE_UTC_OFFSET:
                text = missing(d, DEVICE_UTC_OFFSET) ? utc_offset(d) : NULL;
                break;
        case DEVICE_TIMEZONE:
                text = missing(d, DEVICE_TIMEZONE) ? timezone_name() : NULL;
                break;
        default:
                break;
        }
        if (!text)
                return -ENOSYS;
        *ret = value_string(text);
        return 0;
}

/* Setting the system's clock is for the box's owner; the server's time is kept as an offset to it.
 */
static int on_write(void *userdata, uint16_t ssid, const Path *p, const Value *v,
                    uint64_t now_usec) {
        Device *d = userdata;
        int64_t offset;
        Value t;

        if (p->n != 3 || p->id[2] != DEVICE_TIME)
                return -ENOSYS;
        if (value_convert(v, VALUE_TIME, &t) < 0)
                return -EINVAL;
        if (__builtin_sub_overflow(t.i, wall_sec(d), &offset) || offset > DEVICE_OFFSET_MAX_SEC ||
            offset < -DEVICE_OFFSET_MAX_SEC)
                return -ERANGE;
        d->offset_sec = offset;
        return 0;
}

static int on_execute(void *userdata, uint16_t ssid, const Path *p, const ExecuteArg *args,
                      size_t n_args, uint64_t now_usec) {
        Device *d = userdata;
        int r;

        if (p->id[2] != DEVICE_RESET_ERROR_CODE)
                return -ENOSYS;
        tree_begin(d->tree, ORIGIN_INTERNAL, ssid);
        r = tree_clear_resource(d->tree, &PATH_OIR(OBJECT_DEVICE, 0, DEVICE_ERROR_CODE));
        if (r >= 0 || r == -ENOENT)
                r = set_no_error(d->tree);
        if (r >= 0)
                return tree_commit(d->tree);
        tree_abort(d->tree);
        return r;
}

static int on_create_or_remove(void *userdata, uint16_t ssid, const Path *instance) {
        return -EPERM; /* there is one device, and always */
}

const Behaviour device_behaviour = {
        .read = on_read,
        .write = on_write,
        .execute = on_execute,
        .create = on_create_or_remove,
        .remove = on_create_or_remove,
};
