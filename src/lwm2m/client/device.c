/* SPDX-License-Identifier: Apache-2.0 */
#include "lwm2m/client/device.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>

#include "lwm2m/account/account.h"

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

static int set_no_error(Tree *tree) {
        Path p = PATH_OIRI(OBJECT_DEVICE, 0, DEVICE_ERROR_CODE, 0);
        Value none = { .type = VALUE_INTEGER, .i = ERROR_NONE };

        return tree_set(tree, &p, &none);
}

int device_seed(Device *d) {
        int r = 0;

        tree_begin(d->tree, ORIGIN_INTERNAL, 0);
        if (!tree_exists(d->tree, &PATH_OI(OBJECT_DEVICE, 0)))
                r = tree_create(d->tree, OBJECT_DEVICE, 0, (Version){ 0, 0 });
        if (r >= 0 && !tree_exists(d->tree, &PATH_OIR(OBJECT_DEVICE, 0, DEVICE_ERROR_CODE)))
                r = set_no_error(d->tree);
        if (r >= 0)
                return tree_commit(d->tree);
        tree_abort(d->tree);
        return r;
}

/* What this machine says of itself when nobody has said otherwise; NULL: nothing. Computed, so that
 * no state file keeps the word of an older system. */
static char *default_text(const Device *d, uint16_t resource) {
        struct utsname name;

        switch (resource) {
        case DEVICE_MANUFACTURER:
                return g_strdup("unknown");
        case DEVICE_MODEL:
                return uname(&name) == 0 ? g_strdup(name.machine) : NULL;
        case DEVICE_FIRMWARE_VERSION:
                return g_get_os_info(G_OS_INFO_KEY_PRETTY_NAME);
        case DEVICE_SOFTWARE_VERSION:
                return g_strdup("lwm2md " PROJECT_VERSION);
        case DEVICE_UTC_OFFSET:
                return utc_offset(d);
        case DEVICE_TIMEZONE:
                return timezone_name();
        default:
                return NULL;
        }
}

static int on_read(void *userdata, const Path *p, Value *ret) {
        const Device *d = userdata;
        g_autofree char *text = NULL;

        if (p->n != 3 || p->id[1] != 0)
                return -ENOSYS;
        if (p->id[2] == DEVICE_TIME) {
                *ret = (Value){ .type = VALUE_TIME, .i = wall_sec(d) + d->offset_sec };
                return 0;
        }
        if (p->id[2] == DEVICE_BINDING) {
                *ret = value_string(d->binding);
                return 0;
        }
        text = missing(d, p->id[2]) ? default_text(d, p->id[2]) : NULL;
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

static bool on_executes(void *userdata, const Path *p) {
        return p->n == 3 && p->id[2] == DEVICE_RESET_ERROR_CODE;
}

static int on_create_or_remove(void *userdata, uint16_t ssid, const Path *instance) {
        return -EPERM; /* there is one device, and always */
}

const Behaviour device_behaviour = {
        .read = on_read,
        .write = on_write,
        .execute = on_execute,
        .executes = on_executes,
        .create = on_create_or_remove,
        .remove = on_create_or_remove,
};
