/* SPDX-License-Identifier: Apache-2.0 */
#include "bus/introspect.h"

#include <string.h>

#include "bus/bus_internal.h"
#include "util/sdbus_compat.h"

#define DBUS "org.freedesktop.DBus."
#define DOCTYPE                                                                                    \
        "<!DOCTYPE node PUBLIC \"-//freedesktop//DTD D-BUS Object Introspection 1.0//EN\"\n"       \
        " \"http://www.freedesktop.org/standards/dbus/1.0/introspect.dtd\">\n"

/* What sd-bus answers for every object; D-Bus Specification, "Standard Interfaces". */
static const sd_bus_vtable peer_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD_WITH_ARGS("Ping", SD_BUS_NO_ARGS, SD_BUS_NO_RESULT, NULL, 0),
        SD_BUS_METHOD_WITH_ARGS("GetMachineId", SD_BUS_NO_ARGS, SD_BUS_RESULT("s", machine_uuid),
                                NULL, 0),
        SD_BUS_VTABLE_END,
};
static const sd_bus_vtable introspectable_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD_WITH_ARGS("Introspect", SD_BUS_NO_ARGS, SD_BUS_RESULT("s", xml_data), NULL,
                                0),
        SD_BUS_VTABLE_END,
};
static const sd_bus_vtable properties_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD_WITH_ARGS("Get", SD_BUS_ARGS("s", interface_name, "s", property_name),
                                SD_BUS_RESULT("v", value), NULL, 0),
        SD_BUS_METHOD_WITH_ARGS("GetAll", SD_BUS_ARGS("s", interface_name),
                                SD_BUS_RESULT("a{sv}", props), NULL, 0),
        SD_BUS_METHOD_WITH_ARGS("Set",
                                SD_BUS_ARGS("s", interface_name, "s", property_name, "v", value),
                                SD_BUS_NO_RESULT, NULL, 0),
        SD_BUS_SIGNAL_WITH_ARGS("PropertiesChanged",
                                SD_BUS_ARGS("s", interface_name, "a{sv}", changed_properties, "as",
                                            invalidated_properties),
                                0),
        SD_BUS_VTABLE_END,
};
static const sd_bus_vtable object_manager_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD_WITH_ARGS("GetManagedObjects", SD_BUS_NO_ARGS,
                                SD_BUS_RESULT("a{oa{sa{sv}}}", objpath_interfaces_and_properties),
                                NULL, 0),
        SD_BUS_SIGNAL_WITH_ARGS(
                "InterfacesAdded",
                SD_BUS_ARGS("o", object_path, "a{sa{sv}}", interfaces_and_properties), 0),
        SD_BUS_SIGNAL_WITH_ARGS("InterfacesRemoved",
                                SD_BUS_ARGS("o", object_path, "as", interfaces), 0),
        SD_BUS_VTABLE_END,
};

static void add_args(GString *xml, const char *types, bool named, const char *direction) {
        const char *end, *name;

        if (!types)
                return;
        name = types + strlen(types) + 1; /* looked at if there is one only */
        for (const char *t = types; g_variant_type_string_scan(t, NULL, &end); t = end) {
                g_string_append_printf(xml, "   <arg type=\"%.*s\"", (int) (end - t), t);
                if (named) {
                        g_string_append_printf(xml, " name=\"%s\"", name);
                        name += strlen(name) + 1;
                }
                if (direction)
                        g_string_append_printf(xml, " direction=\"%s\"", direction);
                g_string_append(xml, "/>\n");
        }
}

static void add_annotation(GString *xml, const char *name, const char *value) {
        g_string_append_printf(xml, "   <annotation name=\"" DBUS "%s\" value=\"%s\"/>\n", name,
                               value);
}

static void add_property(GString *xml, const sd_bus_vtable *v) {
        g_string_append_printf(xml, "  <property name=\"%s\" type=\"%s\" access=\"%s\">\n",
                               v->x.property.member, v->x.property.signature,
                               v->type == _SD_BUS_VTABLE_PROPERTY ? "read" : "readwrite");
        if (v->flags & SD_BUS_VTABLE_PROPERTY_CONST)
                add_annotation(xml, "Property.EmitsChangedSignal", "const");
        else if (v->flags & SD_BUS_VTABLE_PROPERTY_EMITS_INVALIDATION)
                add_annotation(xml, "Property.EmitsChangedSignal", "invalidates");
        else if (!(v->flags & SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE))
                add_annotation(xml, "Property.EmitsChangedSignal", "false");
}

static void add_member(GString *xml, const sd_bus_vtable *v) {
        bool named = v->flags & SDBUS_NAMES;
        const char *tag = "property";

        switch (v->type) {
        case _SD_BUS_VTABLE_METHOD:
                tag = "method";
                g_string_append_printf(xml, "  <method name=\"%s\">\n", v->x.method.member);
                add_args(xml, v->x.method.signature, named, "in");
                add_args(xml, v->x.method.result, named, "out");
                if (v->flags & SD_BUS_VTABLE_METHOD_NO_REPLY)
                        add_annotation(xml, "Method.NoReply", "true");
                break;
        case _SD_BUS_VTABLE_SIGNAL:
                tag = "signal";
                g_string_append_printf(xml, "  <signal name=\"%s\">\n", v->x.signal.member);
                add_args(xml, v->x.signal.signature, named, NULL);
                break;
        case _SD_BUS_VTABLE_PROPERTY:
        case _SD_BUS_VTABLE_WRITABLE_PROPERTY:
                add_property(xml, v);
                break;
        default:
                return;
        }
        if (v->flags & SD_BUS_VTABLE_DEPRECATED)
                add_annotation(xml, "Deprecated", "true");
        g_string_append_printf(xml, "  </%s>\n", tag);
}

void introspect_interface(GString *xml, const char *interface, const sd_bus_vtable *vtable) {
        g_string_append_printf(xml, " <interface name=\"%s\">\n", interface);
        for (const sd_bus_vtable *v = vtable; v->type != _SD_BUS_VTABLE_END; v++)
                if (!(v->flags & SD_BUS_VTABLE_HIDDEN))
                        add_member(xml, v);
        g_string_append(xml, " </interface>\n");
}

int introspect_filter(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        const char *path = sd_bus_message_get_path(m);
        g_autoptr(GString) xml = NULL;
        bool is_root;
        void *found;
        int r;

        if (sd_bus_message_is_method_call(m, DBUS "Introspectable", "Introspect") <= 0 ||
            sd_bus_message_is_empty(m) <= 0)
                return 0;
        is_root = g_strcmp0(path, BUS_PATH) == 0;
        if (!is_root && server_find(NULL, path, NULL, userdata, &found, NULL) <= 0)
                return 0;

        xml = g_string_new(DOCTYPE "<node>\n");
        introspect_interface(xml, DBUS "Peer", peer_vtable);
        introspect_interface(xml, DBUS "Introspectable", introspectable_vtable);
        introspect_interface(xml, DBUS "Properties", properties_vtable);
        if (is_root) {
                introspect_interface(xml, DBUS "ObjectManager", object_manager_vtable);
                for (size_t i = 0; i < BUS_ROOT_INTERFACES; i++)
                        introspect_interface(xml, bus_root_interfaces[i].name,
                                             bus_root_interfaces[i].vtable);
                g_string_append(xml, " <node name=\"server\"/>\n");
        } else {
                introspect_interface(xml, BUS_NAME ".Server", server_vtable);
        }
        g_string_append(xml, "</node>\n");
        r = sd_bus_reply_method_return(m, "s", xml->str);
        return r < 0 ? r : 1;
}
