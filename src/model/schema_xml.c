/* SPDX-License-Identifier: Apache-2.0 */
#include "model/schema_xml.h"

#include <errno.h>
#include <string.h>

#include "model/objectdef.h"
#include "model/ranges.h"
#include "model/xml.h"
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
        XmlReader xml;
        GPtrArray *objects;
        ObjectDef *object;
        ResourceDef item;
        Place place;
        const FieldInfo *field;
        GString *text;
        unsigned seen_object, seen_item; /* bits of Field */
        const char *item_at, *object_at; /* where their tags end */
        unsigned skip;                   /* elements open in a part that is skipped */
        bool has_resources;
        unsigned error_line;
        char *reason;
} Loader;

/* at NULL: where the reader stands. */
__attribute__((format(printf, 4, 5))) static int fail(Loader *l, int code, const char *at,
                                                      const char *format, ...) {
        va_list ap;

        va_start(ap, format);
        l->reason = g_strdup_vprintf(format, ap);
        va_end(ap);
        l->error_line = xml_line(&l->xml, at ? at : l->xml.pos);
        return code;
}

/* The value of an attribute stands in l->text then, which is empty if there is none. */
static int take_attribute(Loader *l, const XmlToken *token, const char *name) {
        int r;

        g_string_truncate(l->text, 0);
        r = xml_attribute(token, name, l->text);
        return r < 0 ? fail(l, r, NULL, "%s has a reference that is none", name) : r;
}

static int object_begin(Loader *l, const XmlToken *token) {
        int r = take_attribute(l, token, "ObjectType");

        if (r < 0)
                return r;
        if (r > 0 && strcmp(l->text->str, "MODefinition") != 0)
                return fail(l, -EBADMSG, NULL, "ObjectType '%s' does not define an object",
                            l->text->str);
        if (l->objects->len >= SCHEMA_XML_OBJECTS_MAX)
                return fail(l, -E2BIG, NULL, "more than %d objects", SCHEMA_XML_OBJECTS_MAX);
        l->object = object_def_new();
        l->object_at = l->xml.pos;
        l->seen_object = 0;
        l->has_resources = false;
        l->place = PLACE_OBJECT;
        return 0;
}

static int item_begin(Loader *l, const XmlToken *token) {
        int r;

        if (l->object->n_resources >= SCHEMA_RESOURCES_MAX)
                return fail(l, -E2BIG, NULL, "more than %d resources", SCHEMA_RESOURCES_MAX);
        r = take_attribute(l, token, "ID");
        if (r < 0)
                return r;
        if (parse_u16(l->text->str, &l->item.id) < 0 || l->item.id == ID_RESERVED)
                return fail(l, -EBADMSG, NULL, "resource ID '%s' is not a number from 0 to %d",
                            l->text->str, ID_MAX);
        l->item_at = l->xml.pos;
        l->seen_item = 0;
        l->place = PLACE_ITEM;
        return 0;
}

static const FieldInfo *find_field(Place place, const XmlToken *token) {
        for (size_t i = 0; i < G_N_ELEMENTS(fields); i++)
                if (fields[i].place == place && xml_is(token, fields[i].element))
                        return &fields[i];
        return NULL;
}

static int field_begin(Loader *l, const FieldInfo *info) {
        unsigned *seen = info->place == PLACE_OBJECT ? &l->seen_object : &l->seen_item;

        if (*seen & 1U << info->field)
                return fail(l, -EBADMSG, NULL, "second %s", info->element);
        *seen |= 1U << info->field;
        l->field = info;
        l->place = PLACE_FIELD;
        g_string_truncate(l->text, 0);
        return 0;
}

static int on_open(Loader *l, const XmlToken *token) {
        const FieldInfo *info;

        if (l->skip > 0) {
                l->skip++;
        } else if (l->place == PLACE_TOP) {
                if (!xml_is(token, "LWM2M"))
                        return fail(l, -EBADMSG, NULL, "the root element is '%.*s', not 'LWM2M'",
                                    (int) MIN(token->n, 64), token->text);
                l->place = PLACE_ROOT;
        } else if (l->place == PLACE_ROOT && xml_is(token, "Object")) {
                return object_begin(l, token);
        } else if (l->place == PLACE_OBJECT && xml_is(token, "Resources")) {
                l->has_resources = true;
                l->place = PLACE_RESOURCES;
        } else if (l->place == PLACE_RESOURCES && xml_is(token, "Item")) {
                return item_begin(l, token);
        } else if ((info = find_field(l->place, token))) {
                return field_begin(l, info);
        } else {
                l->skip = 1;
        }
        return 0;
}

static int on_text(Loader *l, const XmlToken *token) {
        if (l->skip > 0 || l->place != PLACE_FIELD || xml_append(token, l->text) >= 0)
                return 0;
        return fail(l, -EBADMSG, NULL, "%s has a reference that is none", l->field->element);
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

static int field_end(Loader *l) {
        const FieldInfo *info = g_steal_pointer(&l->field);
        const char *text = g_strstrip(l->text->str);
        int r;

        l->place = info->place;
        r = info->place == PLACE_OBJECT ? object_field(l->object, info->field, text)
                                        : item_field(&l->item, info->field, text);
        if (r >= 0)
                return 0;
        if (info->place == PLACE_ITEM)
                return fail(l, -EBADMSG, NULL, "resource %u: bad %s '%.64s'", l->item.id,
                            info->element, text);
        return fail(l, -EBADMSG, NULL, "bad %s '%.64s'", info->element, text);
}

static const char *missing_field(Place place, unsigned seen) {
        for (size_t i = 0; i < G_N_ELEMENTS(fields); i++)
                if (fields[i].place == place && fields[i].required &&
                    !(seen & 1U << fields[i].field))
                        return fields[i].element;
        return NULL;
}

static int item_end(Loader *l) {
        const char *missing = missing_field(PLACE_ITEM, l->seen_item);

        l->place = PLACE_RESOURCES;
        if (missing)
                return fail(l, -EBADMSG, l->item_at, "resource %u: no %s", l->item.id, missing);
        if (l->item.operations & OPERATION_EXECUTE)
                l->item.type = VALUE_NONE;
        else if (l->item.type == VALUE_NONE)
                return fail(l, -EBADMSG, l->item_at,
                            "resource %u: a type is missing and it is not executable", l->item.id);
        l->item.n_ranges = (uint16_t) ranges_parse(l->item.range_text, (ValueType) l->item.type,
                                                   &l->item.ranges);
        if (object_def_add_resource(l->object, &l->item) < 0)
                return fail(l, -EBADMSG, l->item_at, "resource %u: defined twice", l->item.id);
        return 0;
}

static int object_end(Loader *l) {
        const char *missing = missing_field(PLACE_OBJECT, l->seen_object);

        l->place = PLACE_ROOT;
        if (missing || !l->has_resources)
                return fail(l, -EBADMSG, l->object_at, "no %s", missing ? missing : "Resources");
        for (size_t i = 0; i < l->objects->len; i++) {
                const ObjectDef *other = l->objects->pdata[i];

                if (other->id == l->object->id &&
                    version_compare(other->version, l->object->version) == 0)
                        return fail(l, -EBADMSG, l->object_at,
                                    "object %u version %u.%u defined twice", other->id,
                                    other->version.major, other->version.minor);
        }
        g_ptr_array_add(l->objects, g_steal_pointer(&l->object));
        return 0;
}

static int on_close(Loader *l) {
        if (l->skip > 0) {
                l->skip--;
                return 0;
        }
        switch (l->place) {
        case PLACE_FIELD:
                return field_end(l);
        case PLACE_ITEM:
                return item_end(l);
        case PLACE_RESOURCES:
                l->place = PLACE_OBJECT;
                break;
        case PLACE_OBJECT:
                return object_end(l);
        case PLACE_ROOT:
        case PLACE_TOP:
                l->place = PLACE_TOP;
                break;
        }
        return 0;
}

static int on_token(Loader *l, const XmlToken *token) {
        switch (token->kind) {
        case XML_OPEN:
                return on_open(l, token);
        case XML_CLOSE:
                return on_close(l);
        case XML_TEXT:
                break;
        }
        return on_text(l, token);
}

static void unref_def(void *def) {
        object_def_unref(def);
}

static void loader_init(Loader *l) {
        *l = (Loader){ .text = g_string_new(NULL) };
        l->objects = g_ptr_array_new_with_free_func(unref_def);
}

static void loader_clear(Loader *l) {
        g_ptr_array_unref(l->objects);
        object_def_unref(l->object);
        resource_def_clear(&l->item);
        g_string_free(l->text, TRUE);
        g_free(l->reason);
}

/* To the end, or to the resources of the first object. */
static int loader_run(Loader *l, const char *xml, size_t n, bool head) {
        XmlToken token;
        int r = xml_init(&l->xml, xml, n);

        while (r >= 0 && !(head && l->has_resources) && (r = xml_next(&l->xml, &token)) > 0) {
                r = on_token(l, &token);
                if (r < 0)
                        return r;
        }
        if (r < 0)
                return fail(l, r, NULL, "%s", l->xml.error);
        return l->objects->len > 0 || head ? 0 : fail(l, -EBADMSG, NULL, "no Object");
}

int schema_xml_parse(const char *xml, size_t n, GPtrArray *ret, unsigned *ret_line,
                     char **ret_reason) {
        Loader l;
        int r;

        *ret_line = 1;
        if (n > SCHEMA_XML_BYTES_MAX) {
                *ret_reason = g_strdup_printf("more than %u bytes", SCHEMA_XML_BYTES_MAX);
                return -E2BIG;
        }
        loader_init(&l);
        r = loader_run(&l, xml, n, false);
        if (r < 0) {
                *ret_line = l.error_line;
                /* A cut or broken character must not leave here, the text may travel over D-Bus. */
                *ret_reason = g_strdelimit(g_utf8_make_valid(l.reason, -1), "\r\n", ' ');
        } else {
                g_ptr_array_set_free_func(l.objects, NULL);
                for (size_t i = 0; i < l.objects->len; i++)
                        g_ptr_array_add(ret, l.objects->pdata[i]);
        }
        loader_clear(&l);
        return r;
}

/* Whether an element of that name may stand in the rest of a text. */
static bool has_more(const XmlReader *x, const char *name) {
        return memmem(x->pos, (size_t) (x->end - x->pos), name, strlen(name)) != NULL;
}

/* The fields of an object that are not there may come behind its resources; and a text that was
 * cut, or has a second object, is read at once. */
static bool is_whole(const Loader *l) {
        static const char end[] = "</LWM2M>";
        const XmlReader *x = &l->xml;
        const char *last = x->end;

        while (last > x->pos && g_ascii_isspace(last[-1]))
                last--;
        return (size_t) (last - x->pos) >= strlen(end) &&
               memcmp(last - strlen(end), end, strlen(end)) == 0 && !has_more(x, "<ObjectID") &&
               (l->seen_object & 1U << FIELD_OBJECT_VERSION || !has_more(x, "<ObjectVersion")) &&
               (l->seen_object & 1U << FIELD_LWM2M_VERSION || !has_more(x, "<LWM2MVersion"));
}

/* A cut text has its last character whole, too. */
static size_t last_tag(const char *xml, size_t n) {
        const char *last = memrchr(xml, '>', n);

        return last ? (size_t) (last - xml) + 1 : 0;
}

bool schema_xml_look(const char *xml, size_t n, bool whole, uint16_t *ret_id, Version *ret_version,
                     Version *ret_lwm2m_version) {
        const unsigned versions = 1U << FIELD_OBJECT_VERSION | 1U << FIELD_LWM2M_VERSION;
        Loader l;
        bool good;

        if (n > SCHEMA_XML_BYTES_MAX)
                return false;
        loader_init(&l);
        good = loader_run(&l, xml, whole ? n : last_tag(xml, n), true) >= 0 &&
               l.place == PLACE_RESOURCES && !missing_field(PLACE_OBJECT, l.seen_object) &&
               (whole ? is_whole(&l) : (l.seen_object & versions) == versions);
        if (good) {
                *ret_id = l.object->id;
                *ret_version = l.object->version;
                *ret_lwm2m_version = l.object->lwm2m_version;
        }
        loader_clear(&l);
        return good;
}
