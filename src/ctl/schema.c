/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "ctl/json.h"
#include "ctl/schema.h"

static void delete_object(void *object) {
        cJSON_Delete(object);
}

CtlExit schema_object(Ctl *c, uint16_t object, const cJSON **ret) {
        g_autoptr(sd_bus_message) reply = NULL;
        g_autofree char *where = g_strdup_printf("/%u", object);
        cJSON *description = NULL;
        CtlExit code;
        int r;

        if (!c->objects)
                c->objects = g_hash_table_new_full(NULL, NULL, NULL, delete_object);
        *ret = g_hash_table_lookup(c->objects, GUINT_TO_POINTER(object));
        if (*ret)
                return CTL_OK;
        code = ctl_call(c, NULL, "Model", "Describe", where, &reply, "qa{sv}", object, 0);
        if (code != CTL_OK)
                return code;
        r = json_read(reply, &description);
        if (r < 0)
                return ctl_protocol_fail(r, "Describe");
        g_hash_table_insert(c->objects, GUINT_TO_POINTER(object), description);
        *ret = description;
        return CTL_OK;
}

const cJSON *schema_peek(Ctl *c, const CtlPath *p) {
        const cJSON *object = NULL, *resource;

        if (c->objects)
                object = g_hash_table_lookup(c->objects, GUINT_TO_POINTER(p->id[0]));
        cJSON_ArrayForEach(resource,
                           cJSON_GetObjectItemCaseSensitive(
                                   object, "resources")) if (json_integer(resource, "id", -1) ==
                                                             p->id[2]) return resource;
        return NULL;
}

CtlExit schema_resource(Ctl *c, const CtlPath *p, const cJSON **ret) {
        g_autofree char *path = ctl_path_text(p);
        const cJSON *object;
        CtlExit code;

        code = schema_object(c, p->id[0], &object);
        if (code != CTL_OK)
                return code;
        *ret = schema_peek(c, p);
        if (!*ret)
                return ctl_fail(CTL_NOT_FOUND, "%s: object %u (%s) has no resource %u", path,
                                p->id[0], json_string(object, "name", "?"), p->id[2]);
        return CTL_OK;
}

CtlExit ctl_path(const char *text, unsigned min, unsigned max, CtlPath *ret) {
        static const char *const levels[] = { "the root", "an object", "an instance", "a resource",
                                              "a resource instance" };

        if (ctl_path_parse(text, ret) < 0)
                return ctl_fail(CTL_USAGE,
                                "'%s' is not a path: expected /OBJECT/INSTANCE/RESOURCE with ids "
                                "0 to 65534, e.g. /3303/0/5700",
                                text);
        if (ret->n >= min && ret->n <= max)
                return CTL_OK;
        if (min == max)
                return ctl_fail(CTL_USAGE, "'%s' is the path of %s; expected that of %s", text,
                                levels[ret->n], levels[min]);
        return ctl_fail(CTL_USAGE, "'%s' is the path of %s; expected %s %s %s", text,
                        levels[ret->n], levels[min], max == min + 1 ? "or" : "to", levels[max]);
}

CtlExit ctl_assignment(const char *text, unsigned min, CtlPath *ret, const char **ret_value) {
        const char *equal = strchr(text, '=');
        g_autofree char *path = NULL;

        if (!equal)
                return ctl_fail(CTL_USAGE, "'%s' has no value: expected PATH=VALUE", text);
        path = g_strndup(text, (size_t) (equal - text));
        *ret_value = equal + 1;
        return ctl_path(path, min, 4, ret);
}

void input_clear(Input *i) {
        datum_clear(&i->value);
        g_clear_pointer(&i->items, g_array_unref);
}

CtlExit input_parse(Ctl *c, const CtlPath *path, DatumType type, const char *text, Input *ret) {
        g_autofree char *where = ctl_path_text(path), *error = NULL;
        Input in = { .path = *path };
        bool multiple = false;
        CtlExit code;
        int r;

        if (type == DATUM_NONE) {
                const cJSON *resource = NULL;

                code = schema_resource(c, path, &resource);
                if (code != CTL_OK)
                        return code;
                multiple = path->n == 3 && json_bool(resource, "multiple");
                type = datum_type_parse(json_string(resource, "type", ""));
                if (type == DATUM_NONE)
                        return ctl_fail(CTL_USAGE,
                                        "%s: '%s' holds no value; it is executed with "
                                        "`lwm2mctl exec %s`",
                                        where, json_string(resource, "name", "?"), where);
        }
        if (multiple)
                r = datum_parse_multiple(type, text, &in.items, &error);
        else
                r = datum_parse(type, text, &in.value, &error);
        if (r < 0) {
                g_autofree char *shown = printable(text);

                ctl_fail(CTL_USAGE, "%s: '%s': %s", where, shown, error);
                if (multiple && text[0] != '{')
                        ctl_hint("one instance of it is written as %s/0", where);
                return CTL_USAGE;
        }
        *ret = in;
        return CTL_OK;
}

int input_append(sd_bus_message *m, const Input *i) {
        return i->items ? datum_append_multiple(m, i->items) : datum_append(m, &i->value);
}
