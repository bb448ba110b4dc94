/* SPDX-License-Identifier: Apache-2.0 */
#include "bus/variant.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "bus/errors.h"
#include "lwm2m/account/credentials.h"

#define RESOURCE_INSTANCES_MAX 65535

static int read_integer(sd_bus_message *m, char type, Value *ret) {
        union {
                uint8_t y;
                int16_t n;
                uint16_t q;
                int32_t i;
                uint32_t u;
                int64_t x;
                uint64_t t;
        } v;
        int64_t signed_value;
        int r;

        r = sd_bus_message_read_basic(m, type, &v);
        if (r < 0)
                return r;
        switch (type) {
        case 'y':
                signed_value = v.y;
                break;
        case 'n':
                signed_value = v.n;
                break;
        case 'q':
                signed_value = v.q;
                break;
        case 'i':
                signed_value = v.i;
                break;
        case 'u':
                signed_value = v.u;
                break;
        case 'x':
                signed_value = v.x;
                break;
        default:
                *ret = (Value){ .type = VALUE_UNSIGNED, .u = v.t };
                return 0;
        }
        *ret = (Value){ .type = VALUE_INTEGER, .i = signed_value };
        return 0;
}

static int read_text(sd_bus_message *m, char type, Value *ret) {
        const char *text;
        int r;

        r = sd_bus_message_read_basic(m, type, &text);
        if (r >= 0)
                *ret = value_string(text);
        return r;
}

static int read_bytes(sd_bus_message *m, Value *ret) {
        const void *data;
        size_t n;
        int r;

        r = sd_bus_message_read_array(m, 'y', &data, &n);
        if (r < 0)
                return r;
        if (n > VALUE_LENGTH_MAX)
                return -E2BIG;
        *ret = value_text(VALUE_OPAQUE, data, n);
        return 0;
}

/* The content of an entered variant that is no dictionary. */
static int read_content(sd_bus_message *m, const char *signature, Value *ret) {
        int b, r;

        if (strcmp(signature, "ay") == 0)
                return read_bytes(m, ret);
        if (strcmp(signature, "(qq)") == 0) {
                *ret = (Value){ .type = VALUE_OBJLNK };
                return sd_bus_message_read(m, "(qq)", &ret->link.object, &ret->link.instance);
        }
        if (strlen(signature) != 1)
                return -EINVAL;
        switch (signature[0]) {
        case 's':
        case 'o':
        case 'g':
                return read_text(m, signature[0], ret);
        case 'b':
                r = sd_bus_message_read_basic(m, 'b', &b);
                *ret = (Value){ .type = VALUE_BOOLEAN, .b = b };
                return r;
        case 'd':
                *ret = (Value){ .type = VALUE_FLOAT };
                return sd_bus_message_read_basic(m, 'd', &ret->d);
        case 'y':
        case 'n':
        case 'q':
        case 'i':
        case 'u':
        case 'x':
        case 't':
                return read_integer(m, signature[0], ret);
        default:
                return -EINVAL;
        }
}

static int read_single(sd_bus_message *m, Value *ret) {
        const char *content;
        int r;

        r = sd_bus_message_peek_type(m, NULL, &content);
        if (r < 0)
                return r;
        r = sd_bus_message_enter_container(m, 'v', content);
        if (r < 0)
                return r;
        r = read_content(m, content, ret);
        if (r < 0)
                return r;
        return sd_bus_message_exit_container(m);
}

static int read_multiple(sd_bus_message *m, const Path *path, RecordList *ret) {
        int r;

        r = sd_bus_message_enter_container(m, 'v', "a{qv}");
        if (r < 0)
                return r;
        r = sd_bus_message_enter_container(m, 'a', "{qv}");
        if (r < 0)
                return r;
        while ((r = sd_bus_message_enter_container(m, 'e', "qv")) > 0) {
                g_auto(Value) value = VALUE_INIT;
                uint16_t id;
                Path p;

                r = sd_bus_message_read_basic(m, 'q', &id);
                if (r < 0)
                        return r;
                if (id == ID_RESERVED || path->n != 3)
                        return -EINVAL;
                r = read_single(m, &value);
                if (r < 0)
                        return r;
                p = path_child(path, id);
                if (ret->n >= RESOURCE_INSTANCES_MAX)
                        return -E2BIG;
                record_list_add(ret, &p, &value, RECORD_NO_TIME);
                r = sd_bus_message_exit_container(m);
                if (r < 0)
                        return r;
        }
        if (r < 0)
                return r;
        r = sd_bus_message_exit_container(m);
        if (r < 0)
                return r;
        return sd_bus_message_exit_container(m);
}

int variant_read(sd_bus_message *m, const Path *path, RecordList *ret, bool *ret_multiple) {
        g_auto(Value) value = VALUE_INIT;
        const char *content;
        int r;

        r = sd_bus_message_peek_type(m, NULL, &content);
        if (r < 0)
                return r;
        *ret_multiple = strcmp(content, "a{qv}") == 0;
        if (*ret_multiple)
                return read_multiple(m, path, ret);
        r = read_single(m, &value);
        if (r < 0)
                return r;
        record_list_add(ret, path, &value, RECORD_NO_TIME);
        return 0;
}

int variant_read_set(sd_bus_message *m, const Path *path, OpList *ops) {
        g_auto(RecordList) records = { 0 };
        bool multiple;
        int r;

        r = variant_read(m, path, &records, &multiple);
        if (r < 0)
                return r;
        if (multiple)
                op_list_add(ops, OP_REPLACE, path, NULL);
        for (size_t i = 0; i < records.n; i++)
                op_list_add(ops, OP_SET, &records.v[i].path, &records.v[i].value);
        return 0;
}

int variant_append(sd_bus_message *m, const Value *v) {
        int r;

        if (variant_size(v) > BUS_VALUE_BYTES_MAX)
                return -E2BIG;
        switch ((ValueType) v->type) {
        case VALUE_STRING:
        case VALUE_CORELNK:
                return sd_bus_message_append(m, "v", "s", v->data);
        case VALUE_INTEGER:
        case VALUE_TIME:
                return sd_bus_message_append(m, "v", "x", v->i);
        case VALUE_UNSIGNED:
                return sd_bus_message_append(m, "v", "t", v->u);
        case VALUE_FLOAT:
                return sd_bus_message_append(m, "v", "d", v->d);
        case VALUE_BOOLEAN:
                return sd_bus_message_append(m, "v", "b", v->b);
        case VALUE_OBJLNK:
                return sd_bus_message_append(m, "v", "(qq)", v->link.object, v->link.instance);
        case VALUE_OPAQUE:
                r = sd_bus_message_open_container(m, 'v', "ay");
                if (r < 0)
                        return r;
                r = sd_bus_message_append_array(m, 'y', v->data, v->length);
                if (r < 0)
                        return r;
                return sd_bus_message_close_container(m);
        case VALUE_NONE:
        case _VALUE_TYPE_MAX:
        default:
                return -EINVAL;
        }
}

/* A whole multiple resource on its way out. */
typedef struct Multiple {
        sd_bus_message *m;
        size_t n_bytes;
} Multiple;

static int append_instance(Multiple *out, uint16_t id, const Value *v) {
        sd_bus_message *m = out->m;
        int r;

        out->n_bytes += variant_size(v);
        if (out->n_bytes > BUS_VALUE_BYTES_MAX)
                return -E2BIG;
        r = sd_bus_message_open_container(m, 'e', "qv");
        if (r < 0)
                return r;
        r = sd_bus_message_append_basic(m, 'q', &id);
        if (r < 0)
                return r;
        r = variant_append(m, v);
        if (r < 0)
                return r;
        return sd_bus_message_close_container(m);
}

static int open_multiple(sd_bus_message *m) {
        int r;

        r = sd_bus_message_open_container(m, 'v', "a{qv}");
        return r < 0 ? r : sd_bus_message_open_container(m, 'a', "{qv}");
}

static int close_multiple(sd_bus_message *m) {
        int r;

        r = sd_bus_message_close_container(m);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

static int visit_instance(void *userdata, const Path *p, const Value *v, const ResourceDef *def) {
        return p->n == 4 ? append_instance(userdata, p->id[3], v) : 0;
}

int variant_append_tree(sd_bus_message *m, const Tree *tree, const Path *path) {
        const Value *v;
        int r;

        r = tree_get(tree, path, &v);
        if (r >= 0)
                return variant_append(m, v);
        if (r != -EISDIR || path->n != 3)
                return r;
        r = open_multiple(m);
        if (r < 0)
                return r;
        r = tree_walk(tree, path, visit_instance, &(Multiple){ .m = m });
        return r < 0 ? r : close_multiple(m);
}

int variant_append_records(sd_bus_message *m, const Path *path, bool multiple,
                           const RecordList *records) {
        Multiple out = { .m = m };
        int r;

        if (!multiple) {
                for (size_t i = 0; i < records->n; i++)
                        if (path_equal(&records->v[i].path, path))
                                return variant_append(m, &records->v[i].value);
                return -ENOENT;
        }
        r = open_multiple(m);
        for (size_t i = 0; i < records->n && r >= 0; i++)
                if (records->v[i].path.n == 4 && path_covers(path, &records->v[i].path))
                        r = append_instance(&out, records->v[i].path.id[3], &records->v[i].value);
        return r < 0 ? r : close_multiple(m);
}

static int read_option_bytes(sd_bus_message *m, const char *content, GBytes **ret) {
        const void *data = NULL;
        const char *text = NULL;
        size_t n = 0;
        int r;

        r = sd_bus_message_enter_container(m, 'v', content);
        if (r < 0)
                return r;
        if (*content == 's') {
                r = sd_bus_message_read_basic(m, 's', &text);
                data = text;
                n = text ? strlen(text) : 0;
        } else
                r = sd_bus_message_read_array(m, 'y', &data, &n);
        if (r < 0)
                return r;
        g_clear_pointer(ret, g_bytes_unref);
        *ret = credentials_bytes(data ? data : "", n);
        return sd_bus_message_exit_container(m);
}

static int read_texts(sd_bus_message *m, char ***ret) {
        g_autoptr(GPtrArray) texts = g_ptr_array_new();
        const char *text;
        int r;

        r = sd_bus_message_enter_container(m, 'v', "as");
        if (r >= 0)
                r = sd_bus_message_enter_container(m, 'a', "s");
        while (r >= 0 && (r = sd_bus_message_read_basic(m, 's', &text)) > 0)
                g_ptr_array_add(texts, g_strdup(text));
        g_ptr_array_add(texts, NULL);
        g_strfreev(*ret);
        *ret = (char **) g_ptr_array_free(g_steal_pointer(&texts), FALSE);
        if (r >= 0)
                r = sd_bus_message_exit_container(m);
        return r < 0 ? r : sd_bus_message_exit_container(m);
}

static int read_option(sd_bus_message *m, const Option *o, sd_bus_error *error) {
        const char simple[] = { (char) o->type, '\0' };
        const char *type = o->type == OPTION_TEXTS ? "as" : o->type == OPTION_BYTES ? "ay" : simple;
        const char *content;
        int b, r;

        r = sd_bus_message_peek_type(m, NULL, &content);
        if (r < 0)
                return r;
        if (o->type == OPTION_BYTES && strcmp(content, "s") == 0)
                return read_option_bytes(m, content, o->ret);
        if (strcmp(content, type) != 0)
                return bus_error_named(error, ERROR_PREFIX "InvalidOption",
                                       "Option '%s' has type '%s', expected '%s'", o->name, content,
                                       type);
        if (o->type == OPTION_BYTES)
                return read_option_bytes(m, content, o->ret);
        if (o->type == OPTION_TEXTS)
                return read_texts(m, o->ret);
        if (o->type != OPTION_BOOL)
                return sd_bus_message_read(m, "v", type, o->ret);
        r = sd_bus_message_read(m, "v", "b", &b);
        *(bool *) o->ret = b;
        return r;
}

int options_read(sd_bus_message *m, const Option *options, sd_bus_error *error) {
        const char *key;
        int r;

        r = sd_bus_message_enter_container(m, 'a', "{sv}");
        if (r < 0)
                return r;
        while ((r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
                const Option *o = options;

                r = sd_bus_message_read_basic(m, 's', &key);
                if (r < 0)
                        return r;
                while (o && o->name && strcmp(o->name, key) != 0)
                        o++;
                if (o && o->name)
                        r = read_option(m, o, error);
                else if (g_str_has_prefix(key, "x-"))
                        r = sd_bus_message_skip(m, "v");
                else
                        r = bus_error_named(error, ERROR_PREFIX "InvalidOption",
                                            "This method has no option '%s'", key);
                if (r < 0)
                        return r;
                r = sd_bus_message_exit_container(m);
                if (r < 0)
                        return r;
        }
        return r < 0 ? r : sd_bus_message_exit_container(m);
}

int path_argument(sd_bus_message *m, Path *ret, uint8_t n_min, uint8_t n_max, sd_bus_error *error) {
        static const char *const levels[] = { "/", "/Object", "/Object/Instance",
                                              "/Object/Instance/Resource",
                                              "/Object/Instance/Resource/ResourceInstance" };
        const char *text;
        Path p;
        int r;

        r = sd_bus_message_read_basic(m, 's', &text);
        if (r < 0)
                return r;
        if (path_parse(text, &p) < 0)
                return bus_error_named(error, ERROR_PREFIX "InvalidPath",
                                       "'%s' is not an LwM2M path (such as /3303/0/5700)", text);
        if (p.n < n_min || p.n > n_max)
                return bus_error_named(error, ERROR_PREFIX "InvalidPath", "'%s': this takes %s%s%s",
                                       text, levels[n_min], n_min < n_max ? " to " : "",
                                       n_min < n_max ? levels[n_max] : "");
        *ret = p;
        return 0;
}
