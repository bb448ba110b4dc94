/* SPDX-License-Identifier: Apache-2.0 */
/* The Model interface: object definitions at run time. */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "bus/bus_internal.h"

static Schema *schema_of(Bus *b) {
        /* The tree looks at definitions, the bus is where they are changed. */
        return (Schema *) tree_schema(client_tree(b->client));
}

static int append_definition(sd_bus_message *m, const ObjectDef *def) {
        char version[16];

        g_snprintf(version, sizeof(version), "%u.%u", def->version.major, def->version.minor);
        return sd_bus_message_append(m, "(qs)", def->id, version);
}

/* Kept as the text that was given, under the objects it defines: read again at each start. */
static int keep(Bus *b, const char *xml, size_t n, const GArray *added) {
        Store *store = client_store(b->client);

        for (guint i = 0; i < added->len; i++) {
                const ObjectDef *def = g_array_index(added, const ObjectDef *, i);
                g_autofree char *name = g_strdup_printf(STORE_MODEL_PREFIX "%u-%u.%u", def->id,
                                                        def->version.major, def->version.minor);
                int r;

                r = store_put_blob(store, name, xml, n);
                if (r < 0)
                        return r;
        }
        return store_sync(store);
}

static int forget(Bus *b, uint16_t id, Version version) {
        g_autofree char *name =
                g_strdup_printf(STORE_MODEL_PREFIX "%u-%u.%u", id, version.major, version.minor);
        Store *store = client_store(b->client);
        g_autoptr(GBytes) old = NULL;
        int r;

        if (!store || store_get_blob(store, name, &old) < 0)
                return 0;
        r = store_put_blob(store, name, NULL, 0);
        return r < 0 ? r : store_sync(store);
}

static int define(Bus *b, const char *source, const char *xml, size_t n, bool persist, GArray **ret,
                  sd_bus_error *error) {
        g_autofree char *why = NULL;
        int r;

        if (persist && !client_store(b->client))
                return bus_error(error, -ENOTSUP, "This daemon keeps nothing on disk");
        r = schema_add_xml(schema_of(b), source, xml, n, ret, &why);
        if (r < 0)
                return bus_error(error, r, "%s", why ? why : g_strerror(-r));
        if (client_store(b->client)) /* may have kept what belongs to it */
                (void) store_adopt(client_store(b->client));
        if (!persist)
                return 0;
        r = keep(b, xml, n, *ret);
        return r < 0 ? bus_error(error, r, "The definition is in use, but cannot be kept: %m") : 0;
}

static int method_define(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Bus *b = userdata;
        g_autoptr(GArray) added = NULL;
        g_autoptr(GError) gerror = NULL;
        g_autofree char *text = NULL;
        const char *xml, *file = NULL, *name = "definition";
        bool persist = false;
        const Option options[] = { { "file", OPTION_TEXT, &file },
                                   { "name", OPTION_TEXT, &name },
                                   { "persist", OPTION_BOOL, &persist },
                                   { NULL } };
        sd_bus_message *reply = NULL;
        size_t n;
        int r;

        r = sd_bus_message_read(m, "s", &xml);
        if (r >= 0)
                r = options_read(m, options, error);
        if (r < 0)
                return r;
        if (file && *xml)
                return bus_error_named(error, ERROR_PREFIX "InvalidOption",
                                       "Either the XML text or file, not both");
        n = strlen(xml);
        if (file) {
                if (!g_file_get_contents(file, &text, &n, &gerror))
                        return bus_error_named(error, ERROR_PREFIX "NotFound", "%s",
                                               gerror->message);
                xml = text;
        }
        r = define(b, file ? file : name, xml, n, persist, &added, error);
        if (r < 0)
                return r;
        assert(added);

        r = sd_bus_message_new_method_return(m, &reply);
        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'a', "(qs)");
        for (guint i = 0; i < added->len && r >= 0; i++)
                r = append_definition(reply, g_array_index(added, const ObjectDef *, i));
        if (r >= 0)
                r = sd_bus_message_close_container(reply);
        return reply_send(reply, r);
}

static int parse_version(const char *text, Version *ret) {
        unsigned major, minor;
        char rest;

        if (sscanf(text, "%3u.%3u%c", &major, &minor, &rest) != 2 || major > 255 || minor > 255)
                return -EINVAL;
        *ret = (Version){ (uint8_t) major, (uint8_t) minor };
        return 0;
}

/* What keeps a definition: instances made after it. */
static int delete_instances(Bus *b, uint16_t id, sd_bus_error *error) {
        g_auto(OpList) ops = { 0 };
        Path p = PATH_O(id), next;
        OpError why;
        int r;

        while (tree_next_instance(client_tree(b->client), &p, &next) >= 0 && next.id[0] == id) {
                op_list_add(&ops, OP_DELETE, &next, NULL);
                p = next;
        }
        r = dm_apply(client_dm(b->client), ops.v, ops.n, &why, bus_now(b));
        return r < 0 ? bus_error(error, r, "%s", why.text) : 0;
}

static void tell_released(void *userdata, const Claim *claim) {
        handlers_released(((Bus *) userdata)->handlers, claim, "the object is no longer defined");
}

static int method_undefine(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Bus *b = userdata;
        const ObjectDef *def;
        bool force = false;
        const Option options[] = { { "force", OPTION_BOOL, &force }, { NULL } };
        const char *text;
        Version version;
        uint16_t id;
        int r;

        r = sd_bus_message_read(m, "qs", &id, &text);
        if (r >= 0)
                r = options_read(m, options, error);
        if (r < 0)
                return r;
        if (parse_version(text, &version) < 0)
                return bus_error_named(error, ERROR_PREFIX "InvalidValue",
                                       "'%s' is not a version such as 1.0", text);
        def = schema_object(schema_of(b), id, version);
        if (!def)
                return bus_error_named(error, ERROR_PREFIX "NotDefined",
                                       "Object %u version %s is not defined", id, text);
        if (id <= 3 || id == 21)
                return bus_error(error, -EPERM, "Object %u is part of the client itself", id);
        if (tree_n_instances(client_tree(b->client), id) > 0) {
                if (!force)
                        return bus_error(error, -EBUSY,
                                         "Object %u has instances (force=true removes them)", id);
                r = delete_instances(b, id, error);
                if (r < 0)
                        return r;
        }
        r = schema_remove(schema_of(b), id, version);
        if (r >= 0 && !schema_object(schema_of(b), id, (Version){ 0, 0 }))
                claims_drop_object(b->claims, id, tell_released, b);
        if (r >= 0)
                r = forget(b, id, version);
        return r < 0 ? bus_error(error, r, "Object %u version %s: %m", id, text) : reply_ok(m);
}

static void list_definition(void *userdata, const ObjectDef *def) {
        append_definition(userdata, def);
}

static int method_list_definitions(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Bus *b = userdata;
        sd_bus_message *reply = NULL;
        int r;

        r = options_read(m, NULL, error);
        if (r >= 0)
                r = sd_bus_message_new_method_return(m, &reply);
        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'a', "(qs)");
        if (r >= 0) {
                schema_foreach(schema_of(b), list_definition, reply);
                r = sd_bus_message_close_container(reply);
        }
        return reply_send(reply, r);
}

static const char *text_of(const char *text) {
        return text ? text : "";
}

static int append_resource(sd_bus_message *m, const ResourceDef *def) {
        static const char *const operations[] = { "", "R", "W", "RW", "E", "RE", "WE", "RWE" };

        return sd_bus_message_append(
                m, "a{sv}", 9, "id", "q", def->id, "name", "s", text_of(def->name), "type", "s",
                def->type == VALUE_NONE ? "" : value_type_name(def->type), "operations", "s",
                operations[def->operations & 7], "multiple", "b", def->multiple, "mandatory", "b",
                def->mandatory, "units", "s", text_of(def->units), "range", "s",
                text_of(def->range_text), "description", "s", text_of(def->description));
}

static int append_object(sd_bus_message *m, const ObjectDef *def) {
        char version[16], lwm2m_version[16];
        int r;

        g_snprintf(version, sizeof(version), "%u.%u", def->version.major, def->version.minor);
        g_snprintf(lwm2m_version, sizeof(lwm2m_version), "%u.%u", def->lwm2m_version.major,
                   def->lwm2m_version.minor);
        r = sd_bus_message_open_container(m, 'a', "{sv}");
        if (r >= 0)
                r = sd_bus_message_append(m, "{sv}{sv}{sv}{sv}{sv}{sv}{sv}{sv}", "id", "q", def->id,
                                          "name", "s", text_of(def->name), "urn", "s",
                                          text_of(def->urn), "version", "s", version,
                                          "lwm2m_version", "s", lwm2m_version, "multiple", "b",
                                          def->multiple, "mandatory", "b", def->mandatory,
                                          "description", "s", text_of(def->description));
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'e', "sv");
        if (r >= 0)
                r = sd_bus_message_append(m, "s", "resources");
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'v', "aa{sv}");
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'a', "a{sv}");
        for (uint16_t i = 0; i < def->n_resources && r >= 0; i++)
                r = append_resource(m, &def->resources[i]);
        for (int i = 0; i < 4 && r >= 0; i++)
                r = sd_bus_message_close_container(m);
        return r;
}

static int method_describe(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Bus *b = userdata;
        const char *text = NULL;
        const Option options[] = { { "version", OPTION_TEXT, &text }, { NULL } };
        sd_bus_message *reply = NULL;
        Version version = { 0, 0 };
        const ObjectDef *def;
        uint16_t id;
        int r;

        r = sd_bus_message_read(m, "q", &id);
        if (r >= 0)
                r = options_read(m, options, error);
        if (r < 0)
                return r;
        if (text && parse_version(text, &version) < 0)
                return bus_error_named(error, ERROR_PREFIX "InvalidOption",
                                       "version: '%s' is not a version such as 1.0", text);
        def = schema_object(schema_of(b), id, version);
        if (!def)
                return bus_error_named(error, ERROR_PREFIX "NotDefined",
                                       "Object %u%s%s is not defined (see Define)", id,
                                       text ? " version " : "", text_of(text));
        r = sd_bus_message_new_method_return(m, &reply);
        if (r >= 0)
                r = append_object(reply, def);
        return reply_send(reply, r);
}

const sd_bus_vtable model_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD_WITH_ARGS("Define", SD_BUS_ARGS("s", oma_xml, "a{sv}", options),
                                SD_BUS_RESULT("a(qs)", objects), method_define, 0),
        SD_BUS_METHOD_WITH_ARGS("Undefine",
                                SD_BUS_ARGS("q", object, "s", version, "a{sv}", options),
                                SD_BUS_NO_RESULT, method_undefine, 0),
        SD_BUS_METHOD_WITH_ARGS("List", SD_BUS_ARGS("a{sv}", options),
                                SD_BUS_RESULT("a(qs)", objects), method_list_definitions,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Describe", SD_BUS_ARGS("q", object, "a{sv}", options),
                                SD_BUS_RESULT("a{sv}", description), method_describe,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_VTABLE_END,
};
