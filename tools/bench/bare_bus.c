/* SPDX-License-Identifier: Apache-2.0 */
#include "bare_bus.h"

#include <stdbool.h>
#include <stddef.h>

static struct {
        BareSet on_set;
        void *userdata;
} hook;

static int read_value(sd_bus_message *m) {
        const char *path;
        double value;
        int r;

        r = sd_bus_message_read(m, "s", &path);
        if (r >= 0)
                r = sd_bus_message_read(m, "v", "d", &value);
        if (r >= 0 && hook.on_set)
                hook.on_set(hook.userdata, path, value);
        return r;
}

static int method_set(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        int r;

        r = read_value(m);
        if (r >= 0)
                r = sd_bus_message_skip(m, "a{sv}");
        return r < 0 ? r : sd_bus_reply_method_return(m, NULL);
}

static int method_set_many(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        int r;

        r = sd_bus_message_enter_container(m, 'a', "(sv)");
        while (r >= 0 && (r = sd_bus_message_enter_container(m, 'r', "sv")) > 0) {
                r = read_value(m);
                if (r >= 0)
                        r = sd_bus_message_exit_container(m);
        }
        if (r >= 0)
                r = sd_bus_message_exit_container(m);
        if (r >= 0)
                r = sd_bus_message_skip(m, "a{sv}");
        return r < 0 ? r : sd_bus_reply_method_return(m, "a(uss)", 0);
}

static int method_push(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        int64_t time_ns;
        int r;

        r = sd_bus_message_enter_container(m, 'a', "(svx)");
        while (r >= 0 && (r = sd_bus_message_enter_container(m, 'r', "svx")) > 0) {
                r = read_value(m);
                if (r >= 0)
                        r = sd_bus_message_read(m, "x", &time_ns);
                if (r >= 0)
                        r = sd_bus_message_exit_container(m);
        }
        if (r >= 0)
                r = sd_bus_message_exit_container(m);
        if (r >= 0)
                r = sd_bus_message_skip(m, "a{sv}");
        return r < 0 ? r : sd_bus_reply_method_return(m, "u", 0);
}

static int method_push_series(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        int64_t start, step;
        const void *values;
        const char *path;
        size_t size;
        int r;

        r = sd_bus_message_read(m, "s", &path);
        if (r >= 0)
                r = sd_bus_message_enter_container(m, 'v', "ad");
        if (r >= 0)
                r = sd_bus_message_read_array(m, 'd', &values, &size);
        if (r >= 0)
                r = sd_bus_message_exit_container(m);
        if (r >= 0)
                r = sd_bus_message_read(m, "xx", &start, &step);
        if (r >= 0)
                r = sd_bus_message_skip(m, "a{sv}");
        return r < 0 ? r : sd_bus_reply_method_return(m, "u", 0);
}

static const sd_bus_vtable vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD("Set", "sva{sv}", "", method_set, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("SetMany", "a(sv)a{sv}", "a(uss)", method_set_many,
                      SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("Push", "a(svx)a{sv}", "u", method_push, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("PushSeries", "svxxa{sv}", "u", method_push_series,
                      SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_VTABLE_END,
};

int bare_bus_open(const char *address, BareSet on_set, void *userdata, sd_bus **ret) {
        sd_bus *bus = NULL;
        int r;

        hook.on_set = on_set;
        hook.userdata = userdata;
        r = sd_bus_new(&bus);
        if (r >= 0)
                r = sd_bus_set_address(bus, address);
        if (r >= 0)
                r = sd_bus_set_bus_client(bus, true);
        if (r >= 0)
                r = sd_bus_start(bus);
        if (r >= 0)
                r = sd_bus_add_object_vtable(bus, NULL, "/org/lwm2md/Client1",
                                             "org.lwm2md.Client1.Data", vtable, NULL);
        if (r >= 0)
                r = sd_bus_request_name(bus, "org.lwm2md.Bare1", 0);
        if (r < 0) {
                sd_bus_unref(bus);
                return r;
        }
        *ret = bus;
        return 0;
}
