/* SPDX-License-Identifier: Apache-2.0 */
/* org.freedesktop.LogControl1 (org.freedesktop.LogControl1(5)), so that `systemctl
 * service-log-level` works. */
#include <errno.h>
#include <string.h>

#include "bus/bus_internal.h"
#include "util/log.h"

static const struct {
        const char *name; /* as syslog names them */
        int level;
} levels[] = {
        { "debug", LOG_LEVEL_DEBUG },   { "info", LOG_LEVEL_INFO },
        { "notice", LOG_LEVEL_NOTICE }, { "warning", LOG_LEVEL_WARNING },
        { "err", LOG_LEVEL_ERROR },
};

static int get_level(sd_bus *bus, const char *path, const char *interface, const char *property,
                     sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        for (size_t i = 0; i < G_N_ELEMENTS(levels); i++)
                if (levels[i].level == log_level())
                        return sd_bus_message_append(reply, "s", levels[i].name);
        return sd_bus_message_append(reply, "s", "info");
}

static int set_level(sd_bus *bus, const char *path, const char *interface, const char *property,
                     sd_bus_message *value, void *userdata, sd_bus_error *error) {
        const char *text;
        int level, r;

        r = sd_bus_message_read(value, "s", &text);
        if (r < 0)
                return r;
        if (log_level_parse(text, &level) < 0)
                return bus_error_named(error, SD_BUS_ERROR_INVALID_ARGS,
                                       "'%s' is not debug, info, notice, warning or err", text);
        log_set_level(level);
        return 0;
}

static int get_target(sd_bus *bus, const char *path, const char *interface, const char *property,
                      sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        return sd_bus_message_append(reply, "s", log_goes_to_journal() ? "journal" : "console");
}

static int get_identifier(sd_bus *bus, const char *path, const char *interface,
                          const char *property, sd_bus_message *reply, void *userdata,
                          sd_bus_error *error) {
        return sd_bus_message_append(reply, "s", "lwm2md");
}

const sd_bus_vtable log_control_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_WRITABLE_PROPERTY("LogLevel", "s", get_level, set_level, 0, 0),
        SD_BUS_PROPERTY("LogTarget", "s", get_target, 0, 0),
        SD_BUS_PROPERTY("SyslogIdentifier", "s", get_identifier, 0, 0),
        SD_BUS_VTABLE_END,
};
