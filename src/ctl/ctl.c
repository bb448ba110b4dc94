/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl/ctl.h"
#include "ctl/json.h"

static void G_GNUC_PRINTF(2, 0) say(const char *mark, const char *format, va_list args) {
        g_autofree char *text = g_strdup_vprintf(format, args);

        fflush(stdout);
        fprintf(stderr, "lwm2mctl: %s%s\n", mark, text);
}

CtlExit ctl_fail(CtlExit code, const char *format, ...) {
        va_list args;

        va_start(args, format);
        say("", format, args);
        va_end(args);
        return code;
}

void ctl_hint(const char *format, ...) {
        va_list args;

        va_start(args, format);
        say("hint: ", format, args);
        va_end(args);
}

void ctl_clear(Ctl *c) {
        c->bus = sd_bus_flush_close_unref(c->bus);
        g_clear_pointer(&c->name, g_free);
        g_clear_pointer(&c->objects, g_hash_table_unref);
}

CtlExit ctl_error_code(const char *error_name) {
        static const struct {
                const char *name;
                CtlExit code;
        } codes[] = {
                { BUS_ERROR("NotFound"), CTL_NOT_FOUND },
                { BUS_ERROR("NotDefined"), CTL_NOT_FOUND },
                { BUS_ERROR("InvalidPath"), CTL_USAGE },
                { BUS_ERROR("InvalidOption"), CTL_USAGE },
                { BUS_ERROR("NotOwner"), CTL_DENIED },
                { BUS_ERROR("Timeout"), CTL_TIMEOUT },
                { SD_BUS_ERROR_UNKNOWN_OBJECT, CTL_NOT_FOUND },
                { SD_BUS_ERROR_ACCESS_DENIED, CTL_DENIED },
                { SD_BUS_ERROR_INTERACTIVE_AUTHORIZATION_REQUIRED, CTL_DENIED },
                { SD_BUS_ERROR_SERVICE_UNKNOWN, CTL_ABSENT },
                { SD_BUS_ERROR_NAME_HAS_NO_OWNER, CTL_ABSENT },
                { SD_BUS_ERROR_NO_REPLY, CTL_TIMEOUT },
                { SD_BUS_ERROR_TIMEOUT, CTL_TIMEOUT },
        };

        for (size_t i = 0; i < G_N_ELEMENTS(codes); i++)
                if (g_strcmp0(error_name, codes[i].name) == 0)
                        return codes[i].code;
        /* The bus could not start the service: its unit is masked, missing or fails. */
        if (error_name && g_str_has_prefix(error_name, "org.freedesktop.DBus.Error.Spawn."))
                return CTL_ABSENT;
        return CTL_FAILED;
}

static void hint_absent(const Ctl *c) {
        if (strcmp(c->address, "system") == 0)
                ctl_hint("see `systemctl status lwm2md`; a daemon on another bus is reached with "
                         "--bus=session or --bus=ADDRESS, another instance with --instance=NAME");
        else
                ctl_hint("is lwm2md running with --bus=%s? The system bus is the default here; see "
                         "--bus and LWM2MCTL_BUS",
                         c->address);
}

/* An error of the daemon has its own text; that of the library or the bus knows only the call. */
static bool says_lwm2md(const sd_bus_error *error) {
        return error && error->name && g_str_has_prefix(error->name, BUS_ERROR(""));
}

/* What lwm2mctl itself has for it: the daemon's texts speak of methods. */
static void hint_next(const char *name) {
        if (g_strcmp0(name, BUS_NAME ".Error.NotDefined") == 0)
                ctl_hint("`lwm2mctl model list` shows the objects that are known, `lwm2mctl model "
                         "add FILE` adds one");
        else if (g_strcmp0(name, BUS_NAME ".Error.NoHandler") == 0)
                ctl_hint("`lwm2mctl handle PATH -- COMMAND` runs a command for it");
}

CtlExit ctl_bus_fail(Ctl *c, const sd_bus_error *error, int r, const char *where) {
        const char *text = error && error->message ? error->message : g_strerror(-r);
        CtlExit code = ctl_error_code(error ? error->name : NULL);

        if (code == CTL_FAILED && (r == -ENOTCONN || r == -ECONNRESET || r == -ESHUTDOWN))
                code = CTL_ABSENT;
        /* The bus answers NoReply as well for a daemon that ended in the middle of a call. */
        if (code == CTL_TIMEOUT && error && sd_bus_error_has_name(error, SD_BUS_ERROR_NO_REPLY) &&
            sd_bus_get_name_creds(c->bus, c->name, 0, NULL) < 0)
                code = CTL_ABSENT;

        if (where && g_ascii_strncasecmp(text, where, strlen(where)) == 0 &&
            text[strlen(where)] == ':')
                where = NULL; /* the daemon has said so itself */
        if (where && g_str_has_prefix(where, "server ") &&
            sd_bus_error_has_name(error, SD_BUS_ERROR_UNKNOWN_OBJECT)) {
                ctl_fail(code, "%s: there is no such account", where);
                ctl_hint("`lwm2mctl server list` shows those there are");
        } else if (code == CTL_ABSENT) {
                ctl_fail(code, "%s is not on the bus '%s': %s", c->name, c->address, text);
                hint_absent(c);
        } else if (code == CTL_TIMEOUT && !says_lwm2md(error)) {
                uint64_t usec = c->timeout_usec;

                if (usec == 0)
                        sd_bus_get_method_call_timeout(c->bus, &usec);
                ctl_fail(code, "%s%sno answer from the daemon in %g s", where ?: "",
                         where ? ": " : "", (double) usec / 1e6);
        } else
                ctl_fail(code, "%s%s%s", where ?: "", where ? ": " : "", text);
        hint_next(error ? error->name : NULL);
        /* A text that begins with a path is the answer of lwm2md or of the path's owner, not of the
         * bus; nor is lwm2md's own word about a method. */
        if (code == CTL_DENIED && text[0] != '/' && !g_str_has_prefix(text, "Access denied: "))
                ctl_hint("root and the group lwm2m may talk to lwm2md; see lwm2md-access.d(5)");
        return code;
}

CtlExit ctl_protocol_fail(int r, const char *where) {
        return ctl_fail(CTL_FAILED, "%s: the message has not the expected form: %s", where,
                        g_strerror(-r));
}

static int open_address(const char *address, sd_bus **ret) {
        sd_bus *bus = NULL;
        int r;

        r = sd_bus_new(&bus);
        if (r < 0)
                return r;
        r = sd_bus_set_address(bus, address);
        if (r >= 0)
                r = sd_bus_set_bus_client(bus, true);
        if (r >= 0)
                r = sd_bus_start(bus);
        if (r < 0) {
                sd_bus_unref(bus);
                return r;
        }
        *ret = bus;
        return 0;
}

CtlExit ctl_connect(Ctl *c) {
        int r;

        if (c->bus)
                return CTL_OK;
        c->name =
                c->instance ? g_strdup_printf("%s.%s", BUS_NAME, c->instance) : g_strdup(BUS_NAME);
        if (strcmp(c->address, "system") == 0)
                r = sd_bus_open_system(&c->bus);
        else if (strcmp(c->address, "session") == 0)
                r = sd_bus_open_user(&c->bus);
        else
                r = open_address(c->address, &c->bus);
        /* The handshake ends with the first answer; without asking, its failure would look like
         * that of the first call. */
        if (r >= 0)
                r = sd_bus_get_unique_name(c->bus, &(const char *){ NULL });
        if (r < 0) {
                ctl_fail(CTL_ABSENT, "Cannot connect to the bus '%s': %s", c->address,
                         g_strerror(-r));
                if (r == -EINVAL)
                        ctl_hint("a bus is 'system', 'session' or an address like "
                                 "unix:path=/run/dbus/system_bus_socket");
                else
                        hint_absent(c);
                return CTL_ABSENT;
        }
        if (c->timeout_usec > 0)
                (void) sd_bus_set_method_call_timeout(c->bus, c->timeout_usec);
        return CTL_OK;
}

CtlExit ctl_message(Ctl *c, const char *path, const char *interface, const char *member,
                    sd_bus_message **ret) {
        g_autofree char *full = g_strdup_printf("%s.%s", BUS_NAME, interface);
        sd_bus_message *m = NULL;
        CtlExit code;
        int r;

        code = ctl_connect(c);
        if (code != CTL_OK)
                return code;
        r = sd_bus_message_new_method_call(c->bus, &m, c->name, path ?: BUS_ROOT, full, member);
        if (r < 0)
                return ctl_protocol_fail(r, member);
        if (!c->may_activate)
                (void) sd_bus_message_set_auto_start(m, false);
        *ret = m;
        return CTL_OK;
}

CtlExit ctl_send(Ctl *c, sd_bus_message *m, const char *where, sd_bus_message **ret_reply) {
        sd_bus_error error = SD_BUS_ERROR_NULL;
        CtlExit code = CTL_OK;
        int r;

        r = sd_bus_call(c->bus, m, 0, &error, ret_reply);
        if (r < 0)
                code = ctl_bus_fail(c, &error, r, where);
        sd_bus_error_free(&error);
        return code;
}

CtlExit ctl_call(Ctl *c, const char *path, const char *interface, const char *member,
                 const char *where, sd_bus_message **ret_reply, const char *types, ...) {
        g_autoptr(sd_bus_message) m = NULL;
        CtlExit code;
        va_list args;
        int r = 0;

        code = ctl_message(c, path, interface, member, &m);
        if (code != CTL_OK)
                return code;
        if (types) {
                va_start(args, types);
                r = sd_bus_message_appendv(m, types, args);
                va_end(args);
        }
        if (r < 0)
                return ctl_protocol_fail(r, member);
        return ctl_send(c, m, where, ret_reply);
}

CtlExit ctl_properties(Ctl *c, const char *path, const char *interface, cJSON **ret) {
        g_autofree char *full = g_strdup_printf("%s.%s", BUS_NAME, interface);
        g_autoptr(sd_bus_message) m = NULL, reply = NULL;
        CtlExit code;
        int r;

        code = ctl_connect(c);
        if (code != CTL_OK)
                return code;
        r = sd_bus_message_new_method_call(c->bus, &m, c->name, path ?: BUS_ROOT,
                                           "org.freedesktop.DBus.Properties", "GetAll");
        if (r >= 0)
                r = sd_bus_message_append(m, "s", full);
        if (r >= 0 && !c->may_activate)
                r = sd_bus_message_set_auto_start(m, false);
        if (r < 0)
                return ctl_protocol_fail(r, "GetAll");
        code = ctl_send(c, m, NULL, &reply);
        if (code != CTL_OK)
                return code;
        r = json_read(reply, ret);
        return r < 0 ? ctl_protocol_fail(r, "GetAll") : CTL_OK;
}
