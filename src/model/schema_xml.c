/* SPDX-License-Identifier: Apache-2.0 */
#include "model/schema_xml.h"

#include <errno.h>
#include <string.h>

#include "model/objectdef.h"
#include "model/ranges.h"
#include "util/parse.h"

/* Where the parser stands. What lies below an element that is none of these is skipped. */
typedef enum Place {
        PLACE_TOP,
        PLACE_ROOT,
        PLACE_OBJECT,
        PLACE_RESOURCES,
        PLACE_ITEM,
        PLACE_FIELD
} Place;

typedef enum Field {
        FIELD_NAME,
        FIELD_DESCRIPTION, /* Description1 of an object, Description of a resource */
        FIELD_OBJECT_ID,
        FIELD_URN,
        FIELD_LWM2M_VERSION,
        FIELD_OBJECT_VERSION,
        FIELD_MULTIPLE,
        FIELD_MANDATORY,
        FIELD_OPERATIONS,
        FIELD_TYPE,
        FIELD_RANGE,
        FIELD_UNITS,
        _FIELD_MAX,
} Field;

typedef struct FieldInfo {
        const char *element;
        Place place; /* in which element it belongs */
        Field field;
        bool required;
} FieldInfo;

static const FieldInfo fields[] = {
        { "Name", PLACE_OBJECT, FIELD_NAME, true },
        { "Description1", PLACE_OBJECT, FIELD_DESCRIPTION, false },
        { "ObjectID", PLACE_OBJECT, FIELD_OBJECT_ID, true },
        { "ObjectURN", PLACE_OBJECT, FIELD_URN, false },
        { "LWM2MVersion", PLACE_OBJECT, FIELD_LWM2M_VERSION, false },
        { "ObjectVersion", PLACE_OBJECT, FIELD_OBJECT_VERSION, false },
        { "MultipleInstances", PLACE_OBJECT, FIELD_MULTIPLE, true },
        { "Mandatory", PLACE_OBJECT, FIELD_MANDATORY, true },
        { "Name", PLACE_ITEM, FIELD_NAME, true },
        { "Operations", PLACE_ITEM, FIELD_OPERATIONS, true },
        { "MultipleInstances", PLACE_ITEM, FIELD_MULTIPLE, true },
        { "Mandatory", PLACE_ITEM, FIELD_MANDATORY, true },
        { "Type", PLACE_ITEM, FIELD_TYPE, true },
        { "RangeEnumeration", PLACE_ITEM, FIELD_RANGE, false },
        { "Units", PLACE_ITEM, FIELD_UNITS, false },
        { "Description", PLACE_ITEM, FIELD_DESCRIPTION, false },
};

typedef struct Loader {
        GMarkupParseContext *context;
        GPtrArray *objects;
        ObjectDef *object;
        ResourceDef item;
        Place place;
        const FieldInfo *field;
        GString *text;
        unsigned seen_object, seen_item; /* bits of Field */
        unsigned line;                   /* which is being read */
        unsigned item_line, object_line;
        unsigned depth, skip; /* elements open; of those, the ones in a part that is skipped */
        bool has_root, has_resources;
        int error;
        unsigned error_line;
        char *reason;
} Loader;

/* GMarkup stops at a GError; ours carries nothing, the loader knows more. */
__attribute__((format(printf, 5, 6))) static void fail(Loader *l, GError **error, int code,
                                                       unsigned line, const char *format, ...) {
        va_list ap;

        if (l->error != 0)
                return;
        va_start(ap, format);
        l->reason = g_strdup_vprintf(format, ap);
        va_end(ap);
        l->error = code;
        l->error_line = line;
        g_set_error_literal(error, G_MARKUP_ERROR, G_MARKUP_ERROR_INVALID_CONTENT, "refused");
}

static const char *attribute(const char **names, const char **values, const char *name) {
        for (size_t i = 0; names[i]; i++)
                if (strcmp(names[i], name) == 0)
                        return values[i];
        return NULL;
}

static void object_begin(Loader *l, const char *type, GError **error) {
        if (type && strcmp(type, "MODefinition") != 0) {
                fail(l, error, -EBADMSG, l->line, "ObjectType '%s' does not define an object",
                     type);
                return;
        }
        if (l->objects->len >= SCHEMA_XML_OBJECTS_MAX) {
                fail(l, error, -E2BIG, l->line, "more than %d objects", SCHEMA_XML_OBJECTS_MAX);
                return;
        }
        l->object = object_def_new();
        l->object_line = l->line;
        l->seen_object = 0;
        l->has_resources = false;
        l->place = PLACE_OBJECT;
}

static void item_begin(Loader *l, const char *id, GError **error) {
        if (l->object->n_resources >= SCHEMA_RESOURCES_MAX) {
                fail(l, error, -E2BIG, l->line, "more than %d resources", SCHEMA_RESOURCES_MAX);
                return;
        }
        if (!id || parse_u16(id, &l->item.id) < 0 || l->item.id == ID_RESERVED) {
                fail(l, error, -EBADMSG, l->line, "resource ID '%s' is not a number from 0 to %d",
                     id ? id : "", ID_MAX);
                return;
        }
        l->item_line = l->line;
        l->seen_item = 0;
        l->place = PLACE_ITEM;
}

static const FieldInfo *find_field(Place place, const char *element) {
        for (size_t i = 0; i < G_N_ELEMENTS(fields); i++)
                if (fields[i].place == place && strcmp(fields[i].element, element) == 0)
                        return &fields[i];
        return NULL;
}

static void field_begin(Loader *l, const FieldInfo *info, GError **error) {
        unsigned *seen = info->place == PLACE_OBJECT ? &l->seen_object : &l->seen_item;

        if (*seen & 1U << info->field) {
                fail(l, error, -EBADMSG, l->line, "second %s", info->element);
                return;
        }
        *seen |= 1U << info->field;
        l->field = info;
        l->place = PLACE_FIELD;
        g_string_truncate(l->text, 0);
}

static void on_start(GMarkupParseContext *context, const char *element, const char **names,
                     const char **values, void *userdata, GError **error) {
        Loader *l = userdata;
        const FieldInfo *info;

        if (++l->depth > SCHEMA_XML_DEPTH_MAX) {
                fail(l, error, -E2BIG, l->line, "more than %d elements inside each other",
                     SCHEMA_XML_DEPTH_MAX);
                return;
        }
        if (l->skip > 0) {
                l->skip++;
        } else if (l->place == PLACE_TOP) {
                if (strcmp(element, "LWM2M") != 0 || l->has_root) {
                        fail(l, error, -EBADMSG, l->line, "the root element is '%s', not 'LWM2M'",
                             element);
                        return;
                }
                l->has_root = true;
                l->place = PLACE_ROOT;
        } else if (l->place == PLACE_ROOT && strcmp(element, "Object") == 0) {
                object_begin(l, attribute(names, values, "ObjectType"), error);
        } else if (l->place == PLACE_OBJECT && strcmp(element, "Resources") == 0) {
                l->has_resources = true;
                l->place = PLACE_RESOURCES;
        } else if (l->place == PLACE_RESOURCES && strcmp(element, "Item") == 0) {
                item_begin(l, attribute(names, values, "ID"), error);
        } else if ((info = find_field(l->place, element))) {
                field_begin(l, info, error);
        } else {
                l->skip = 1;
        }
}

static void on_text(GMarkupParseContext *context, const char *text, size_t n, void *userdata,
                    GError **error) {
        Loader *l = userdata;

        if (l->skip == 0 && l->place == PLACE_FIELD)
                g_string_append_len(l->text, text, (gssize) n);
}

static int parse_version(const char *text, Version *ret) {
        g_auto(GStrv) parts = g_strsplit(text, ".", 3);
        uint64_t major, minor;

        if (g_strv_length(parts) != 2 || parse_u64(parts[0], UINT8_MAX, &major) < 0 ||
            parse_u64(parts[1], UINT8_MAX, &minor) < 0 || (major == 0 && minor == 0))
                return -EINVAL;
        *ret = (Version){ (uint8_t) major, (uint8_t) minor };
        return 0;
}

static int parse_choice(const char *text, const char *yes, const char *no, bool *ret) {
        if (strcmp(text, yes) != 0 && strcmp(text, no) != 0)
                return -EINVAL;
        *ret = strcmp(text, yes) == 0;
        return 0;
}

static int parse_operations(const char *text, uint8_t *ret) {
        static const struct {
                const char *text;
                uint8_t operations;
        } all[] = {
                { "", 0 },
                { "R", OPERATION_READ },
                { "W", OPERATION_WRITE },
                { "RW", OPERATION_READ | OPERATION_WRITE },
                { "E", OPERATION_EXECUTE },
        };

        for (size_t i = 0; i < G_N_ELEMENTS(all); i++)
                if (strcmp(all[i].text, text) == 0) {
                        *ret = all[i].operations;
                        return 0;
                }
        return -EINVAL;
}

static int parse_type(const char *text, uint8_t *ret) {
        for (ValueType type = VALUE_NONE; type < _VALUE_TYPE_MAX; type++)
                if (g_ascii_strcasecmp(value_type_name(type), text) == 0) {
                        *ret = (uint8_t) type;
                        return 0;
                }
        return -EINVAL;
}

static void take_text(char **field, const char *text) {
        g_free(*field);
        *field = *text ? g_strdup(text) : NULL;
}

static int object_field(ObjectDef *def, Field field, const char *text) {
        int r = 0;

        switch (field) {
        case FIELD_NAME:
                take_text(&def->name, text);
                return def->name ? 0 : -EINVAL;
        case FIELD_DESCRIPTION:
                take_text(&def->description, text);
                break;
        case FIELD_URN:
                take_text(&def->urn, text);
                break;
        case FIELD_OBJECT_ID:
                r = parse_u16(text, &def->id);
                return r < 0 || def->id == ID_RESERVED ? -EINVAL : 0;
        case FIELD_LWM2M_VERSION:
                return *text ? parse_version(text, &def->lwm2m_version) : 0;
        case FIELD_OBJECT_VERSION:
                return *text ? parse_version(text, &def->version) : 0;
        case FIELD_MULTIPLE:
                return parse_choice(text, "Multiple", "Single", &def->multiple);
        case FIELD_MANDATORY:
                return parse_choice(text, "Mandatory", "Optional", &def->mandatory);
        case FIELD_OPERATIONS:
        case FIELD_TYPE:
        case FIELD_RANGE:
        case FIELD_UNITS:
        case _FIELD_MAX:
                break;
        }
        return r;
}

static int item_field(ResourceDef *def, Field field, const char *text) {
        switch (field) {
        case FIELD_NAME:
                take_text(&def->name, text);
                return def->name ? 0 : -EINVAL;
        case FIELD_DESCRIPTION:
                take_text(&def->description, text);
                break;
        case FIELD_RANGE:
                take_text(&def->range_text, text);
                break;
        case FIELD_UNITS:
                take_text(&def->units, text);
                break;
        case FIELD_MULTIPLE:
                return parse_choice(text, "Multiple", "Single", &def->multiple);
        case FIELD_MANDATORY:
                return parse_choice(text, "Mandatory", "Optional", &def->mandatory);
        case FIELD_OPERATIONS:
                return parse_operations(text, &def->operations);
        case FIELD_TYPE:
                return parse_type(text, &def->type);
        case FIELD_OBJECT_ID:
        case FIELD_URN:
        case FIELD_LWM2M_VERSION:
        case FIELD_OBJECT_VERSION:
        case _FIELD_MAX:
                break;
        }
        return 0;
}

static void field_end(Loader *l, GError **error) {
        const FieldInfo *info = g_steal_pointer(&l->field);
        const char *text = g_strstrip(l->text->str);
        int r;

        l->place = info->place;
        r = info->place == PLACE_OBJECT ? object_field(l->object, info->field, text)
                                        : item_field(&l->item, info->field, text);
        if (r >= 0)
                return;
        if (info->place == PLACE_ITEM)
                fail(l, error, -EBADMSG, l->line, "resource %u: bad %s '%.64s'", l->item.id,
                     info->element, text);
        else
                fail(l, error, -EBADMSG, l->line, "bad %s '%.64s'", info->element, text);
}

static const char *missing_field(Place place, unsigned seen) {
        for (size_t i = 0; i < G_N_ELEMENTS(fields); i++)
                if (fields[i].place == place && fields[i].required &&
                    !(seen & 1U << fields[i].field))
                        return fields[i].element;
        return NULL;
}

static void item_end(Loader *l, GError **error) {
        const char *missing = missing_field(PLACE_ITEM, l->seen_item);

        l->place = PLACE_RESOURCES;
        if (missing) {
                fail(l, error, -EBADMSG, l->item_line, "resource %u: no %s", l->item.id, missing);
                return;
        }
        if (l->item.operations & OPERATION_EXECUTE) {
                l->item.type = VALUE_NONE;
        } else if (l->item.type == VALUE_NONE) {
                fail(l, error, -EBADMSG, l->item_line,
                     "resource %u: a type is missing and it is not executable", l->item.id);
                return;
        }
        l->item.n_ranges = (uint16_t) ranges_parse(l->item.range_text, (ValueType) l->item.type,
                                                   &l->item.ranges);
        if (object_def_add_resource(l->object, &l->item) < 0) {
                fail(l, error, -EBADMSG, l->item_line, "resource %u: defined twice", l->item.id);
                resource_def_clear(&l->item);
        }
}

static void object_end(Loader *l, GError **error) {
        const char *missing = missing_field(PLACE_OBJECT, l->seen_object);

        l->place = PLACE_ROOT;
        if (missing || !l->has_resources) {
                fail(l, error, -EBADMSG, l->object_line, "no %s", missing ? missing : "Resources");
                return;
        }
        for (size_t i = 0; i < l->objects->len; i++) {
                const ObjectDef *other = l->objects->pdata[i];

                if (other->id == l->object->id &&
                    version_compare(other->version, l->object->version) == 0) {
                        fail(l, error, -EBADMSG, l->object_line,
                             "object %u version %u.%u defined twice", other->id,
                             other->version.major, other->version.minor);
                        return;
                }
        }
        g_ptr_array_add(l->objects, g_steal_pointer(&l->object));
}

static void on_end(GMarkupParseContext *context, const char *element, void *userdata,
                   GError **error) {
        Loader *l = userdata;

        l->depth--;
        if (l->skip > 0) {
                l->skip--;
                return;
        }
        switch (l->place) {
        case PLACE_FIELD:
                field_end(l, error);
                break;
        case PLACE_ITEM:
                item_end(l, error);
                break;
        case PLACE_RESOURCES:
                l->place = PLACE_OBJECT;
                break;
        case PLACE_OBJECT:
                object_end(l, error);
                break;
        case PLACE_ROOT:
        case PLACE_TOP:
                l->place = PLACE_TOP;
                break;
        }
}

/* GLib's own text begins with "Error on line N char M: ". */
static const char *without_position(const char *message) {
        const char *p = g_str_has_prefix(message, "Error on line ") ? strstr(message, ": ") : NULL;

        return p ? p + 2 : message;
}

/* GMarkup's own count of lines is wrong after some newlines; so it gets one line at a time. */
static bool parse_lines(Loader *l, const char *xml, size_t n) {
        const char *end = xml + n;

        for (l->line = 1; xml < end; l->line++) {
                const char *newline = memchr(xml, '\n', (size_t) (end - xml));
                const char *next = newline ? newline + 1 : end;

                if (!g_markup_parse_context_parse(l->context, xml, next - xml, NULL))
                        return false;
                xml = next;
        }
        l->line -= l->line > 1; /* the last one */
        return g_markup_parse_context_end_parse(l->context, NULL);
}

/* GMarkup sometimes finds a second error behind the first, and warns if both go to one GError; it
 * tells them here first. */
static void on_error(GMarkupParseContext *context, GError *error, void *userdata) {
        Loader *l = userdata;

        if (l->error != 0)
                return;
        l->error = -EBADMSG;
        l->error_line = l->line;
        l->reason = g_strdup(without_position(error->message));
}

static int loader_run(Loader *l, const char *xml, size_t n) {
        if (parse_lines(l, xml, n) && l->objects->len == 0)
                fail(l, NULL, -EBADMSG, l->line, "no Object");
        return l->error;
}

static void unref_def(void *def) {
        object_def_unref(def);
}

int schema_xml_parse(const char *xml, size_t n, GPtrArray *ret, unsigned *ret_line,
                     char **ret_reason) {
        static const GMarkupParser parser = {
                .start_element = on_start, .end_element = on_end, .error = on_error, .text = on_text
        };
        Loader l = { 0 };
        int r;

        *ret_line = 1;
        if (n > SCHEMA_XML_BYTES_MAX) {
                *ret_reason = g_strdup_printf("more than %u bytes", SCHEMA_XML_BYTES_MAX);
                return -E2BIG;
        }
        if (n >= 3 && memcmp(xml, "\xef\xbb\xbf", 3) == 0) {
                xml += 3; /* GMarkup knows no byte order mark */
                n -= 3;
        }
        l.context = g_markup_parse_context_new(&parser, G_MARKUP_TREAT_CDATA_AS_TEXT, &l, NULL);
        l.objects = g_ptr_array_new_with_free_func(unref_def);
        l.text = g_string_new(NULL);
        r = loader_run(&l, xml, n);
        if (r < 0) {
                *ret_line = l.error_line;
                /* A cut or broken character must not leave here, the text may travel over D-Bus. */
                *ret_reason = g_strdelimit(g_utf8_make_valid(l.reason, -1), "\r\n", ' ');
                g_free(l.reason);
        } else {
                g_ptr_array_set_free_func(l.objects, NULL);
                for (size_t i = 0; i < l.objects->len; i++)
                        g_ptr_array_add(ret, l.objects->pdata[i]);
        }
        g_ptr_array_unref(l.objects);
        object_def_unref(l.object);
        resource_def_clear(&l.item);
        g_string_free(l.text, TRUE);
        g_markup_parse_context_free(l.context);
        return r;
}
