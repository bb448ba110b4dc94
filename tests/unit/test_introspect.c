/* SPDX-License-Identifier: Apache-2.0 */
/* The macros that stand in for those of a new sd-bus, and what is told of their vtables. They are
 * tried with every sd-bus: its own macros are put aside. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "bus/sdbus.h"

#if HAVE_SDBUS_ARGS
#undef SD_BUS_ARGS
#undef SD_BUS_RESULT
#undef SD_BUS_NO_ARGS
#undef SD_BUS_NO_RESULT
#undef SD_BUS_METHOD_WITH_ARGS
#undef SD_BUS_SIGNAL_WITH_ARGS
#endif
#include "util/sdbus_compat.h"

#include "bus/introspect.h"

static int on_call(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        return 0;
}

static int on_get(sd_bus *bus, const char *path, const char *interface, const char *property,
                  sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        return 0;
}

static int on_set(sd_bus *bus, const char *path, const char *interface, const char *property,
                  sd_bus_message *value, void *userdata, sd_bus_error *error) {
        return 0;
}

#define ALL_SIX                                                                                    \
        SD_BUS_ARGS("y", one, "a{sv}", two, "(ii)", three, "as", four, "h", five, "a(sa{sv})", six)

static const sd_bus_vtable vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD_WITH_ARGS("None", SD_BUS_NO_ARGS, SD_BUS_NO_RESULT, on_call, 0),
        SD_BUS_METHOD_WITH_ARGS("One", SD_BUS_ARGS("s", path), SD_BUS_RESULT("v", value), on_call,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Two", SD_BUS_ARGS("s", path, "a{sv}", options),
                                SD_BUS_RESULT("u", id, "h", file), on_call, 0),
        SD_BUS_METHOD_WITH_ARGS("Six", ALL_SIX, SD_BUS_NO_RESULT, on_call,
                                SD_BUS_VTABLE_METHOD_NO_REPLY | SD_BUS_VTABLE_DEPRECATED),
        SD_BUS_METHOD_WITH_ARGS("Hidden", SD_BUS_NO_ARGS, SD_BUS_NO_RESULT, on_call,
                                SD_BUS_VTABLE_HIDDEN),
        SD_BUS_METHOD("Nameless", "sa{sv}", "u", on_call, 0),
        SD_BUS_SIGNAL_WITH_ARGS("Three", SD_BUS_ARGS("u", id, "a(svx)", values, "q", server), 0),
        SD_BUS_SIGNAL("Plain", "o", 0),
        SD_BUS_PROPERTY("Constant", "s", on_get, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("Told", "a{sv}", on_get, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("Quiet", "u", on_get, 0, 0),
        SD_BUS_WRITABLE_PROPERTY("Written", "s", on_get, on_set, 0,
                                 SD_BUS_VTABLE_PROPERTY_EMITS_INVALIDATION),
        SD_BUS_VTABLE_END,
};

#define CHANGES "   <annotation name=\"org.freedesktop.DBus.Property.EmitsChangedSignal\" value=\""

static void names_and_annotations(void **state) {
        g_autoptr(GString) xml = g_string_new(NULL);

        introspect_interface(xml, "org.example.I", vtable);
        assert_string_equal(
                xml->str,
                " <interface name=\"org.example.I\">\n"
                "  <method name=\"None\">\n"
                "  </method>\n"
                "  <method name=\"One\">\n"
                "   <arg type=\"s\" name=\"path\" direction=\"in\"/>\n"
                "   <arg type=\"v\" name=\"value\" direction=\"out\"/>\n"
                "  </method>\n"
                "  <method name=\"Two\">\n"
                "   <arg type=\"s\" name=\"path\" direction=\"in\"/>\n"
                "   <arg type=\"a{sv}\" name=\"options\" direction=\"in\"/>\n"
                "   <arg type=\"u\" name=\"id\" direction=\"out\"/>\n"
                "   <arg type=\"h\" name=\"file\" direction=\"out\"/>\n"
                "  </method>\n"
                "  <method name=\"Six\">\n"
                "   <arg type=\"y\" name=\"one\" direction=\"in\"/>\n"
                "   <arg type=\"a{sv}\" name=\"two\" direction=\"in\"/>\n"
                "   <arg type=\"(ii)\" name=\"three\" direction=\"in\"/>\n"
                "   <arg type=\"as\" name=\"four\" direction=\"in\"/>\n"
                "   <arg type=\"h\" name=\"five\" direction=\"in\"/>\n"
                "   <arg type=\"a(sa{sv})\" name=\"six\" direction=\"in\"/>\n"
                "   <annotation name=\"org.freedesktop.DBus.Method.NoReply\" value=\"true\"/>\n"
                "   <annotation name=\"org.freedesktop.DBus.Deprecated\" value=\"true\"/>\n"
                "  </method>\n"
                "  <method name=\"Nameless\">\n"
                "   <arg type=\"s\" direction=\"in\"/>\n"
                "   <arg type=\"a{sv}\" direction=\"in\"/>\n"
                "   <arg type=\"u\" direction=\"out\"/>\n"
                "  </method>\n"
                "  <signal name=\"Three\">\n"
                "   <arg type=\"u\" name=\"id\"/>\n"
                "   <arg type=\"a(svx)\" name=\"values\"/>\n"
                "   <arg type=\"q\" name=\"server\"/>\n"
                "  </signal>\n"
                "  <signal name=\"Plain\">\n"
                "   <arg type=\"o\"/>\n"
                "  </signal>\n"
                "  <property name=\"Constant\" type=\"s\" access=\"read\">\n" CHANGES "const\"/>\n"
                "  </property>\n"
                "  <property name=\"Told\" type=\"a{sv}\" access=\"read\">\n"
                "  </property>\n"
                "  <property name=\"Quiet\" type=\"u\" access=\"read\">\n" CHANGES "false\"/>\n"
                "  </property>\n"
                "  <property name=\"Written\" type=\"s\" access=\"readwrite\">\n" CHANGES
                "invalidates\"/>\n"
                "  </property>\n"
                " </interface>\n");
}

/* sd-bus, whichever it is, takes the vtable: it sees signatures that end where they should, and
 * minds no flag. */
static void sd_bus_takes_them(void **state) {
        sd_bus *bus = NULL;

        assert_return_code(sdbus_load(), 0);
        assert_return_code(sd_bus_new(&bus), 0);
        assert_return_code(
                sd_bus_add_object_vtable(bus, NULL, "/org/example", "org.example.I", vtable, NULL),
                0);
        assert_string_equal(vtable[3].x.method.signature, "sa{sv}");
        assert_string_equal(vtable[3].x.method.result, "uh");
        assert_string_equal(vtable[7].x.signal.signature, "ua(svx)q");
        sd_bus_unref(bus);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(names_and_annotations),
                cmocka_unit_test(sd_bus_takes_them),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
