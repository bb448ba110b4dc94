/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "ctl/ctl.h"
#include "ctl/datum.h"
#include "util/parse.h"

int ctl_path_parse(const char *text, CtlPath *ret) {
        CtlPath p = { 0 };
        g_auto(GStrv) parts = NULL;
        int r;

        if (text[0] == '/')
                text++;
        if (text[0] != '\0') {
                parts = g_strsplit(text, "/", 6);
                for (; parts[p.n]; p.n++) {
                        if (p.n == 4)
                                return -EINVAL;
                        r = parse_u16(parts[p.n], &p.id[p.n]);
                        if (r < 0)
                                return r;
                        if (p.id[p.n] == UINT16_MAX)
                                return -ERANGE;
                }
        }
        *ret = p;
        return 0;
}

char *ctl_path_text(const CtlPath *p) {
        GString *s = g_string_new(p->n == 0 ? "/" : NULL);

        for (unsigned i = 0; i < p->n; i++)
                g_string_append_printf(s, "/%u", p->id[i]);
        return g_string_free(s, FALSE);
}

static const char *const type_names[_DATUM_TYPE_MAX] = {
        [DATUM_NONE] = "none",       [DATUM_STRING] = "String",
        [DATUM_INTEGER] = "Integer", [DATUM_UNSIGNED] = "Unsigned Integer",
        [DATUM_FLOAT] = "Float",     [DATUM_BOOLEAN] = "Boolean",
        [DATUM_OPAQUE] = "Opaque",   [DATUM_TIME] = "Time",
        [DATUM_OBJLNK] = "Objlnk",   [DATUM_CORELNK] = "Corelnk",
};

DatumType datum_type_parse(const char *name) {
        for (int i = DATUM_STRING; i < _DATUM_TYPE_MAX; i++)
                if (g_ascii_strcasecmp(name, type_names[i]) == 0)
                        return (DatumType) i;
        return DATUM_NONE;
}

const char *datum_type_name(DatumType type) {
        return type_names[type];
}

static int expect(char **ret_error, int r, const char *what) {
        *ret_error = g_strdup_printf("%s%s", r == -ERANGE ? "out of range; " : "", what);
        return r;
}

static int parse_time(const char *text, int64_t *ret) {
        g_autoptr(GDateTime) t = NULL;

        if (strcmp(text, "now") == 0) {
                *ret = (int64_t) time(NULL);
                return 0;
        }
        if (!strchr(text, 'T'))
                return parse_i64(text, ret);
        t = g_date_time_new_from_iso8601(text, NULL); /* NULL without a zone */
        if (!t)
                return -EINVAL;
        *ret = g_date_time_to_unix(t);
        return 0;
}

static int parse_opaque(const char *text, GBytes **ret, char **ret_error) {
        const char *form = "expected Opaque: hexadecimal digits, hex:…, base64:… or text:…";
        g_autofree uint8_t *bytes = NULL;
        size_t n = 0;
        int r = 0;

        if (g_str_has_prefix(text, "text:")) {
                n = strlen(text + 5);
                bytes = (uint8_t *) g_strdup(text + 5);
        } else if (g_str_has_prefix(text, "base64:"))
                r = parse_base64(text + 7, &bytes, &n);
        else {
                if (g_str_has_prefix(text, "hex:"))
                        text += 4;
                if (text[0] != '\0')
                        r = parse_hex(text, &bytes, &n);
        }
        if (r < 0)
                return expect(ret_error, r, form);
        if (n > DATUM_OPAQUE_MAX)
                return expect(ret_error, -E2BIG, "more than 64 KiB; use `lwm2mctl put PATH FILE`");
        *ret = g_bytes_new(bytes, n);
        return 0;
}

static int parse_link(const char *text, Datum *ret) {
        const char *colon = strchr(text, ':');
        g_autofree char *object = NULL;
        int r;

        if (!colon)
                return -EINVAL;
        object = g_strndup(text, (size_t) (colon - text));
        r = parse_u16(object, &ret->link.object);
        return r < 0 ? r : parse_u16(colon + 1, &ret->link.instance);
}

int datum_parse(DatumType type, const char *text, Datum *ret, char **ret_error) {
        Datum d = { .type = type };
        int r = 0;

        switch (type) {
        case DATUM_STRING:
        case DATUM_CORELNK:
                if (!g_utf8_validate(text, -1, NULL))
                        return expect(ret_error, -EINVAL, "expected UTF-8 text");
                d.text = g_strdup(text);
                break;
        case DATUM_INTEGER:
                r = parse_i64(text, &d.i);
                break;
        case DATUM_UNSIGNED:
                r = parse_u64(text, UINT64_MAX, &d.u);
                break;
        case DATUM_FLOAT:
                r = parse_double(text, &d.d);
                break;
        case DATUM_BOOLEAN:
                r = parse_bool(text, &d.b);
                break;
        case DATUM_TIME:
                r = parse_time(text, &d.i);
                if (r < 0)
                        return expect(ret_error, r,
                                      "expected Time: seconds since 1970, "
                                      "2026-01-02T03:04:05Z or now");
                break;
        case DATUM_OPAQUE:
                r = parse_opaque(text, &d.bytes, ret_error);
                if (r < 0)
                        return r;
                break;
        case DATUM_OBJLNK:
                r = parse_link(text, &d);
                if (r < 0)
                        return expect(ret_error, r, "expected Objlnk: OBJECT:INSTANCE");
                break;
        case DATUM_NONE:
        case _DATUM_TYPE_MAX:
        default:
                return expect(ret_error, -EINVAL, "the resource holds no value");
        }
        if (r < 0) {
                g_autofree char *what = g_strdup_printf("expected %s", type_names[type]);

                return expect(ret_error, r, what);
        }
        *ret = d;
        return 0;
}

void datum_clear(Datum *d) {
        if (d->type == DATUM_STRING || d->type == DATUM_CORELNK)
                g_clear_pointer(&d->text, g_free);
        else if (d->type == DATUM_OPAQUE)
                g_clear_pointer(&d->bytes, g_bytes_unref);
        d->type = DATUM_NONE;
}

static void item_clear(void *item) {
        datum_clear(&((DatumItem *) item)->value);
}

/* One value up to an unquoted ',' or '}' which *p is left at. */
static int take_value(const char **p, GString *into) {
        if (**p != '"') {
                size_t n = strcspn(*p, ",}\"{");

                g_string_append_len(into, *p, (gssize) n);
                *p += n;
                return 0;
        }
        for ((*p)++; **p != '"'; (*p)++) {
                if (**p == '\\' && ((*p)[1] == '"' || (*p)[1] == '\\'))
                        (*p)++;
                if (**p == '\0')
                        return -EINVAL;
                g_string_append_c(into, **p);
        }
        (*p)++;
        return 0;
}

static int take_item(const char **p, DatumType type, GArray *items, char **ret_error) {
        g_autoptr(GString) text = g_string_new(NULL);
        g_autofree char *id = NULL;
        size_t n = strcspn(*p, "=,}");
        DatumItem item = { 0 };
        int r;

        id = g_strndup(*p, n);
        if ((*p)[n] != '=' || parse_u16(id, &item.id) < 0 || item.id == UINT16_MAX)
                return expect(ret_error, -EINVAL, "expected {ID=VALUE,…} with ids 0 to 65534");
        for (guint i = 0; i < items->len; i++)
                if (g_array_index(items, DatumItem, i).id == item.id) {
                        *ret_error = g_strdup_printf("resource instance %s is given twice", id);
                        return -EINVAL;
                }
        *p += n + 1;
        r = take_value(p, text);
        if (r < 0)
                return expect(ret_error, r, "a quote is not closed");
        r = datum_parse(type, text->str, &item.value, ret_error);
        if (r < 0)
                return r;
        if (items->len >= DATUM_ITEMS_MAX) {
                datum_clear(&item.value);
                return expect(ret_error, -E2BIG, "too many resource instances");
        }
        g_array_append_val(items, item);
        return 0;
}

static int by_id(const void *a, const void *b) {
        return (int) ((const DatumItem *) a)->id - (int) ((const DatumItem *) b)->id;
}

int datum_parse_multiple(DatumType type, const char *text, GArray **ret, char **ret_error) {
        g_autoptr(GArray) items = g_array_new(FALSE, FALSE, sizeof(DatumItem));
        const char *form = "expected {ID=VALUE,ID=VALUE,…} for a multiple resource";
        const char *p = text + 1;
        int r;

        g_array_set_clear_func(items, item_clear);
        if (text[0] != '{')
                return expect(ret_error, -EINVAL, form);
        while (*p != '}' || p[-1] == ',') {
                r = take_item(&p, type, items, ret_error);
                if (r < 0)
                        return r;
                if (*p == ',')
                        p++;
                else if (*p != '}')
                        return expect(ret_error, -EINVAL, form);
        }
        if (p[1] != '\0')
                return expect(ret_error, -EINVAL, form);
        g_array_sort(items, by_id);
        *ret = g_steal_pointer(&items);
        return 0;
}

static int append_bytes(sd_bus_message *m, GBytes *bytes) {
        gsize n;
        const void *data = g_bytes_get_data(bytes, &n);
        int r;

        r = sd_bus_message_open_container(m, 'v', "ay");
        if (r >= 0)
                r = sd_bus_message_append_array(m, 'y', data, n);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

int datum_append(sd_bus_message *m, const Datum *d) {
        switch (d->type) {
        case DATUM_STRING:
        case DATUM_CORELNK:
                return sd_bus_message_append(m, "v", "s", d->text);
        case DATUM_INTEGER:
        case DATUM_TIME:
                return sd_bus_message_append(m, "v", "x", d->i);
        case DATUM_UNSIGNED:
                return sd_bus_message_append(m, "v", "t", d->u);
        case DATUM_FLOAT:
                return sd_bus_message_append(m, "v", "d", d->d);
        case DATUM_BOOLEAN:
                return sd_bus_message_append(m, "v", "b", (int) d->b);
        case DATUM_OPAQUE:
                return append_bytes(m, d->bytes);
        case DATUM_OBJLNK:
                return sd_bus_message_append(m, "v", "(qq)", d->link.object, d->link.instance);
        case DATUM_NONE:
        case _DATUM_TYPE_MAX:
        default:
                return -EINVAL;
        }
}

int datum_append_multiple(sd_bus_message *m, const GArray *items) {
        int r;

        r = sd_bus_message_open_container(m, 'v', "a{qv}");
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'a', "{qv}");
        for (guint i = 0; r >= 0 && i < items->len; i++) {
                const DatumItem *item = &g_array_index(items, DatumItem, i);

                r = sd_bus_message_open_container(m, 'e', "qv");
                if (r >= 0)
                        r = sd_bus_message_append(m, "q", item->id);
                if (r >= 0)
                        r = datum_append(m, &item->value);
                if (r >= 0)
                        r = sd_bus_message_close_container(m);
        }
        if (r >= 0)
                r = sd_bus_message_close_container(m);
        return r < 0 ? r : sd_bus_message_close_container(m);
}
