/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "ctl/owner.h"
#include "ctl/server.h"
#include "ctl/verbs.h"

/* "registered" is what people say for the client's "online"; a server that is being updated is
 * registered all the while. */
static bool reached(const char *wanted, const char *state, bool of_server) {
        if (strcmp(wanted, state) == 0)
                return true;
        if (strcmp(wanted, "registered") == 0)
                return strcmp(state, of_server ? "updating" : "online") == 0;
        return false;
}

static CtlExit check_state(const char *wanted, bool of_server) {
        static const char *const client[] = { "bootstrapping", "registering", "registered",
                                              "online",        "offline",     "disabled",
                                              "paused",        "stopped",     NULL };
        static const char *const server[] = { "idle",        "resolving",  "connecting",
                                              "registering", "registered", "updating",
                                              "disabled",    "failed",     "bootstrapping",
                                              "enrolling",   NULL };
        const char *const *states = of_server ? server : client;
        g_autofree char *known = NULL;

        if (g_strv_contains(states, wanted))
                return CTL_OK;
        known = g_strjoinv(", ", (char **) states);
        return ctl_fail(CTL_USAGE, "'%s' is no state of %s: expected one of %s", wanted,
                        of_server ? "a server" : "the client", known);
}

static int on_signal(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        *(bool *) userdata = true;
        return 0;
}

static void on_owner(void *userdata, const char *unique) {
        *(bool *) userdata = true;
}

/* Absent daemons and servers have no state yet; that is waited for as well. */
static CtlExit get_state(Ctl *c, const char *path, const char *interface, char **ret) {
        sd_bus_error error = SD_BUS_ERROR_NULL;
        CtlExit code = CTL_OK;
        int r;

        r = sd_bus_get_property_string(c->bus, c->name, path, interface, "State", &error, ret);
        if (r < 0) {
                code = ctl_error_code(error.name);
                if (code == CTL_ABSENT || code == CTL_NOT_FOUND || code == CTL_TIMEOUT ||
                    sd_bus_error_has_name(&error, SD_BUS_ERROR_UNKNOWN_INTERFACE) ||
                    sd_bus_error_has_name(&error, SD_BUS_ERROR_UNKNOWN_PROPERTY)) {
                        *ret = g_strdup("absent");
                        code = CTL_OK;
                } else
                        code = ctl_bus_fail(c, &error, r, "wait");
        }
        sd_bus_error_free(&error);
        return code;
}

static CtlExit wait_state(Ctl *c, const char *path, const char *interface, const char *wanted,
                          bool of_server, bool *changed) {
        uint64_t deadline = ctl_deadline(c);
        g_autofree char *state = NULL;
        CtlExit code;

        for (;;) {
                *changed = false;
                g_clear_pointer(&state, free);
                code = get_state(c, path, interface, &state);
                if (code != CTL_OK || reached(wanted, state, of_server))
                        return code;
                code = ctl_loop(c, changed, deadline);
                if (code == CTL_TIMEOUT)
                        return ctl_fail(CTL_TIMEOUT, "still '%s', not '%s', after the time given",
                                        state, wanted);
                if (code != CTL_OK)
                        return code;
        }
}

int verb_wait(Ctl *c, const Args *a) {
        const char *wanted = args_word(a, 0), *server = args_get(a, "--server");
        g_autofree char *path = NULL, *properties = NULL, *objects = NULL;
        g_autoptr(Owner) owner = NULL;
        bool changed = false;
        CtlExit code;
        int r;

        code = check_state(wanted, server);
        if (code == CTL_OK && server)
                code = server_path(server, &path);
        if (code == CTL_OK)
                code = owner_new(c, on_owner, &changed, &owner);
        if (code != CTL_OK)
                return code;
        properties = g_strdup_printf("type='signal',sender='%s',path='%s',"
                                     "interface='org.freedesktop.DBus.Properties',"
                                     "member='PropertiesChanged'",
                                     c->name, path ?: BUS_ROOT);
        objects = g_strdup_printf("type='signal',sender='%s',path='%s',"
                                  "interface='org.freedesktop.DBus.ObjectManager'",
                                  c->name, BUS_ROOT);
        r = sd_bus_add_match(c->bus, NULL, properties, on_signal, &changed);
        if (r >= 0)
                r = sd_bus_add_match(c->bus, NULL, objects, on_signal, &changed);
        if (r < 0)
                return ctl_fail(CTL_FAILED, "Cannot watch %s: %s", c->name, g_strerror(-r));
        return wait_state(c, path ?: BUS_ROOT,
                          server ? BUS_INTERFACE("Server") : BUS_INTERFACE("Manager"), wanted,
                          server, &changed);
}
