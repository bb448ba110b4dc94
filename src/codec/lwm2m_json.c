/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/lwm2m_json.h"

#include <errno.h>
#include <string.h>

#include "codec/json_value.h"
#include "codec/number.h"

#define NAME_MAX_LENGTH 64

typedef struct Name {
        char text[NAME_MAX_LENGTH + 1];
        size_t n;
        bool given;
} Name;

typedef struct Pack {
        Sink *sink;
        Name base_name;
        int64_t base_time_ns;
        bool base_time_given, has_entries;
        Json entries; /* where "e" stands */
} Pack;

typedef enum Field {
        FIELD_N = 1,
        FIELD_T = 2,
        FIELD_V = 4, /* number; "sv" text, base64 or link; "bv" Boolean; "ov" link */
        FIELD_SV = 8,
        FIELD_BV = 16,
        FIELD_OV = 32,
} Field;

#define VALUES (FIELD_V | FIELD_SV | FIELD_BV | FIELD_OV)

typedef struct Entry {
        unsigned seen;
        Name name;
        int64_t time_ns;
        Json value; /* where the value stands; read when its type is known */
} Entry;

static int read_name(Json *j, Name *ret) {
        const char *text;
        size_t n;
        int r;

        r = json_string(j, &text, &n);
        if (r < 0)
                return r;
        if (n > NAME_MAX_LENGTH || ret->given)
                return -EBADMSG;
        memcpy(ret->text, text, n);
        ret->text[n] = '\0';
        ret->n = n;
        ret->given = true;
        return 0;
}

/* A name is relative to the base name or, when there is none, to the request's path. */
static int resolve_name(const Pack *pack, const Name *name, Path *ret) {
        const Path *base = pack->sink->base;
        g_autofree char *text = NULL;

        if (pack->base_name.given)
                text = g_strconcat(pack->base_name.text, name->text, NULL);
        else if (name->n == 0)
                text = g_strdup(PATH_TEXT(base));
        else
                text = g_strconcat(base->n > 0 ? PATH_TEXT(base) : "",
                                   *name->text == '/' ? "" : "/", name->text, NULL);
        return path_parse(text, ret) < 0 ? -EBADMSG : 0;
}

static int read_number(Json *j, ValueType type, Value *ret) {
        const char *text;
        bool number = type == VALUE_INTEGER || type == VALUE_UNSIGNED || type == VALUE_FLOAT ||
                      type == VALUE_TIME;
        size_t n;
        int r;

        r = json_number(j, &text, &n);
        if (r < 0)
                return r;
        return number_parse(text, n, number ? type : VALUE_NONE, ret);
}

static int read_value(Entry *e, ValueType type, Value *ret) {
        switch ((Field) (e->seen & VALUES)) {
        case FIELD_V:
                return read_number(&e->value, type, ret);
        case FIELD_BV:
                return json_read_bool(&e->value, ret);
        case FIELD_OV:
                return json_read_link(&e->value, ret);
        case FIELD_SV:
                if (type == VALUE_OPAQUE)
                        return json_read_opaque(&e->value, false, ret);
                if (type == VALUE_OBJLNK) /* some peers know no "ov" */
                        return json_read_link(&e->value, ret);
                return json_read_text(&e->value, ret);
        case FIELD_N:
        case FIELD_T:
                break;
        }
        *ret = VALUE_INIT;
        return 0;
}

static int end_entry(Pack *pack, Entry *e) {
        Value v = VALUE_INIT;
        int64_t time_ns;
        Path p;
        int r;

        r = resolve_name(pack, &e->name, &p);
        if (r < 0)
                return r;
        r = read_value(e, sink_at(pack->sink, &p), &v);
        if (r < 0)
                return r;
        if (__builtin_add_overflow(pack->base_time_ns, e->time_ns, &time_ns) ||
            sink_time(pack->sink, time_ns, &time_ns) < 0) {
                value_clear(&v);
                return -ERANGE;
        }
        return sink_add(pack->sink, &p, &v, time_ns);
}

static Field entry_field(const char *name, size_t n) {
        static const struct {
                const char *name;
                Field field;
        } fields[] = { { "n", FIELD_N },   { "t", FIELD_T },   { "v", FIELD_V },
                       { "sv", FIELD_SV }, { "bv", FIELD_BV }, { "ov", FIELD_OV } };

        for (size_t i = 0; i < G_N_ELEMENTS(fields); i++)
                if (strlen(fields[i].name) == n && memcmp(fields[i].name, name, n) == 0)
                        return fields[i].field;
        return 0;
}

static int read_field(void *userdata, Json *j, const char *name, size_t n) {
        const Field field = entry_field(name, n);
        Entry *e = userdata;

        if (field && (e->seen & field || (field & VALUES && e->seen & VALUES)))
                return -EBADMSG;
        e->seen |= field;
        if (field == FIELD_N)
                return read_name(j, &e->name);
        if (field == FIELD_T)
                return json_read_time(j, &e->time_ns);
        if (field)
                e->value = *j; /* borrows the scratch buffer */
        return json_skip(j);
}

static int read_entry(void *pack, Json *j, const char *name, size_t n) {
        Entry e = { 0 };
        int r;

        r = json_object(j, read_field, &e);
        return r < 0 ? r : end_entry(pack, &e);
}

/* "e" may stand before "bn" and "bt", which it needs: its place is kept for a second look. */
static int read_head(void *userdata, Json *j, const char *name, size_t n) {
        Pack *pack = userdata;

        if (n == 2 && memcmp(name, "bn", 2) == 0)
                return read_name(j, &pack->base_name);
        if (n == 2 && memcmp(name, "bt", 2) == 0) {
                if (pack->base_time_given)
                        return -EBADMSG;
                pack->base_time_given = true;
                return json_read_time(j, &pack->base_time_ns);
        }
        if (n == 1 && *name == 'e') {
                if (pack->has_entries)
                        return -EBADMSG;
                pack->has_entries = true;
                pack->entries = *j; /* borrows the scratch buffer */
        }
        return json_skip(j);
}

static int read_pack(Json *j, Pack *pack) {
        int r;

        r = json_object(j, read_head, pack);
        if (r >= 0)
                r = json_end(j);
        if (r < 0)
                return r;
        return pack->has_entries ? json_array(&pack->entries, read_entry, pack) : -EBADMSG;
}

int lwm2m_json_decode(Sink *s, const void *data, size_t n) {
        Pack pack = { .sink = s };
        g_auto(Json) j = { 0 };
        int r;

        if (s->base->n == 0)
                return -ENOTSUP;
        json_init(&j, data, n, s->depth_max);
        r = read_pack(&j, &pack);
        if (r < 0)
                return r;
        if (s->list.n == 0 &&
            (s->base->n == 2 || (s->base->n == 3 && sink_is_multiple(s, s->base))))
                return sink_add_empty(s, s->base);
        return 0;
}

static int put_value(GByteArray *out, const Value *v) {
        switch ((ValueType) v->type) {
        case VALUE_STRING:
        case VALUE_CORELNK:
        case VALUE_OPAQUE:
                json_put(out, "\"sv\":");
                break;
        case VALUE_BOOLEAN:
                json_put(out, "\"bv\":");
                break;
        case VALUE_OBJLNK:
                json_put(out, "\"ov\":");
                break;
        case VALUE_INTEGER:
        case VALUE_UNSIGNED:
        case VALUE_FLOAT:
        case VALUE_TIME:
        case VALUE_NONE:
        case _VALUE_TYPE_MAX:
                json_put(out, "\"v\":");
                break;
        }
        return json_put_value(out, v, false);
}

/* Times count from the first one; an entry without time is the base time's, so a body has all or
 * none. */
static int put_time(GByteArray *out, const Record *r, int64_t base_time_ns) {
        char buffer[32];

        if ((r->time_ns == RECORD_NO_TIME) != (base_time_ns == RECORD_NO_TIME))
                return -ENOTSUP;
        if (r->time_ns == base_time_ns)
                return 0;
        number_format_ns(r->time_ns - base_time_ns, buffer);
        json_put(out, "\"t\":");
        json_put(out, buffer);
        json_put(out, ",");
        return 0;
}

static int put_entry(GByteArray *out, const Record *r, size_t n_base, int64_t base_time_ns) {
        char text[PATH_TEXT_MAX];
        int e;

        path_format(&r->path, text);
        json_put(out, "{");
        if (strlen(text) > n_base) {
                json_put(out, "\"n\":\"");
                json_put(out, text + n_base);
                json_put(out, "\",");
        }
        e = put_time(out, r, base_time_ns);
        if (e < 0)
                return e;
        e = put_value(out, &r->value);
        json_put(out, "}");
        return e;
}

static void put_head(GByteArray *out, const Path *base, bool slash, int64_t base_time_ns) {
        char text[PATH_TEXT_MAX], buffer[32];

        json_put(out, "{\"bn\":\"");
        json_put(out, path_format(base, text));
        json_put(out, slash ? "/\"," : "\",");
        if (base_time_ns != RECORD_NO_TIME) {
                number_format_ns(base_time_ns, buffer);
                json_put(out, "\"bt\":");
                json_put(out, buffer);
                json_put(out, ",");
        }
        json_put(out, "\"e\":[");
}

static int64_t first_time(const Record *records, size_t n_records) {
        for (size_t i = 0; i < n_records; i++)
                if (records[i].value.type != VALUE_NONE)
                        return records[i].time_ns;
        return RECORD_NO_TIME;
}

int lwm2m_json_encode(const Path *base, const Record *records, size_t n_records, GByteArray *out) {
        int64_t base_time_ns = first_time(records, n_records);
        bool slash = n_records == 0 || records[n_records - 1].path.n > base->n || base->n <= 2;
        const char *separator = "";
        size_t n_base;
        int r;

        if (base->n == 0)
                return -ENOTSUP;
        if (base_time_ns != RECORD_NO_TIME && base_time_ns < (INT64_C(1) << 28) * 1000000000)
                return -ENOTSUP;
        n_base = strlen(PATH_TEXT(base)) + slash;
        put_head(out, base, slash, base_time_ns);
        for (size_t i = 0; i < n_records; i++) {
                if (records[i].value.type == VALUE_NONE)
                        continue;
                json_put(out, separator);
                r = put_entry(out, &records[i], n_base, base_time_ns);
                if (r < 0)
                        return r;
                separator = ",";
        }
        json_put(out, "]}");
        return 0;
}
