/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/senml.h"

#include <errno.h>
#include <string.h>

#include "codec/number.h"

#define NS_PER_S INT64_C(1000000000)
#define BIT(field) (1U << (field))
#define VALUES (BIT(SENML_V) | BIT(SENML_VS) | BIT(SENML_VB) | BIT(SENML_VD) | BIT(SENML_VLO))

SenmlField senml_field(const char *label, size_t n) {
        static const char *const names[] = {
                [SENML_BN] = "bn", [SENML_BT] = "bt", [SENML_BU] = "bu",     [SENML_BV] = "bv",
                [SENML_BS] = "bs", [SENML_N] = "n",   [SENML_BVER] = "bver", [SENML_U] = "u",
                [SENML_V] = "v",   [SENML_VS] = "vs", [SENML_VB] = "vb",     [SENML_S] = "s",
                [SENML_T] = "t",   [SENML_UT] = "ut", [SENML_VD] = "vd",     [SENML_VLO] = "vlo",
        };

        for (unsigned i = 0; i < G_N_ELEMENTS(names); i++)
                if (strlen(names[i]) == n && memcmp(names[i], label, n) == 0)
                        return i;
        return SENML_UNKNOWN;
}

int senml_seen(SenmlRecord *r, SenmlField field) {
        if (field == SENML_S || field == SENML_BS || r->seen & BIT(field) ||
            (BIT(field) & VALUES && r->seen & VALUES))
                return -EBADMSG;
        r->seen |= BIT(field);
        return 0;
}

int senml_set_name(SenmlName *name, const void *text, size_t n) {
        if (n > SENML_NAME_MAX)
                return -EBADMSG;
        memcpy(name->text, text, n);
        name->n = n;
        return 0;
}

/* Base name and name together are the path. Some peers leave the first slash out, as RFC 8428 would
 * have names. */
static int resolve_name(const SenmlName *base, const SenmlName *name, Path *ret) {
        char text[1 + 2 * SENML_NAME_MAX + 1] = "/";
        char *path = text + 1;

        memcpy(path, base->text, base->n);
        memcpy(path + base->n, name->text, name->n);
        path[base->n + name->n] = '\0';
        if (strlen(path) != base->n + name->n)
                return -EBADMSG;
        return path_parse(*path >= '0' && *path <= '9' ? text : path, ret) < 0 ? -EBADMSG : 0;
}

/* A record that only sets base fields: {"bn":"/3/0/","bt":1700000000}. */
static bool is_base_only(const SenmlPack *pack, const SenmlRecord *r) {
        const SenmlName *name = &pack->base_name;

        if (r->seen & (VALUES | BIT(SENML_N) | BIT(SENML_T)) || pack->sink->paths)
                return false;
        if (!(r->seen & BIT(SENML_BN)))
                return r->seen != 0;
        return (name->n > 1 && name->text[name->n - 1] == '/');
}

static bool is_number(ValueType type) {
        return type == VALUE_INTEGER || type == VALUE_UNSIGNED || type == VALUE_FLOAT ||
               type == VALUE_TIME;
}

/* Some peers know no "vlo" and write a link as a string. */
static int string_to_link(Value *v) {
        Value link;
        int e;

        e = strlen(v->data) == v->length ? value_parse(v->data, VALUE_OBJLNK, &link) : -EINVAL;
        if (e < 0)
                return e;
        value_clear(v);
        *v = link;
        return 0;
}

static int resolve_value(const SenmlPack *pack, SenmlRecord *r, ValueType type) {
        int e;

        if (type == VALUE_OBJLNK && r->value.type == VALUE_STRING)
                return string_to_link(&r->value);
        if (r->number) {
                e = number_parse(r->number, r->n_number, is_number(type) ? type : VALUE_NONE,
                                 &r->value);
                if (e < 0)
                        return e;
        }
        if (!(r->seen & BIT(SENML_V)) || pack->base_value.type == VALUE_NONE ||
            r->value.type == VALUE_NONE)
                return 0;
        return number_add(&r->value, &pack->base_value);
}

static int resolve(SenmlPack *pack, SenmlRecord *r) {
        int64_t time_ns;
        Path p;
        int e;

        e = resolve_name(&pack->base_name, &r->name, &p);
        if (e < 0)
                return e;
        e = resolve_value(pack, r, sink_at(pack->sink, &p));
        if (e < 0)
                return e;
        if (__builtin_add_overflow(pack->base_time_ns, r->time_ns, &time_ns))
                return -ERANGE;
        e = sink_time(pack->sink, time_ns, &time_ns);
        if (e < 0)
                return e;
        if (pack->sink->paths && r->seen & VALUES)
                return -EINVAL;
        return sink_add(pack->sink, &p, &r->value, time_ns);
}

int senml_record_end(SenmlPack *pack, SenmlRecord *r) {
        int e = 0;

        if (!is_base_only(pack, r))
                e = resolve(pack, r);
        value_clear(&r->value);
        return e;
}

int senml_pack_end(SenmlPack *pack) {
        Sink *s = pack->sink;

        /* [] is all SenML can say of an instance without resources, or of a multiple resource
         * without instances. */
        if (s->list.n > 0 || s->paths)
                return 0;
        if (s->base->n == 2 || (s->base->n == 3 && sink_is_multiple(s, s->base)))
                return sink_add_empty(s, s->base);
        return 0;
}

size_t senml_count(const Record *records, size_t n_records) {
        size_t n = 0;

        for (size_t i = 0; i < n_records; i++)
                n += records[i].value.type != VALUE_NONE;
        return n;
}

void senml_writer_init(SenmlWriter *w, const Path *base, size_t n_entries) {
        *w = (SenmlWriter){ .base = base, .single = n_entries == 1 };
}

static void set_path(SenmlName *name, const Path *p) {
        char buffer[PATH_TEXT_MAX];

        path_format(p, buffer);
        name->n = strlen(buffer);
        memcpy(name->text, buffer, name->n);
}

/* The base name is the request's path, or in a composite one the instance's; the name is the rest.
 */
static void name_entry(SenmlWriter *w, const Path *p, SenmlEntry *ret) {
        uint8_t level = MIN(w->base->n ? w->base->n : 2, p->n);
        Path prefix = path_prefix(p, level);
        SenmlName base;

        if (w->single) {
                set_path(&ret->name, p);
                return;
        }
        set_path(&base, &prefix);
        if (level < p->n) {
                SenmlName whole;

                base.text[base.n++] = '/';
                set_path(&whole, p);
                ret->name.n = whole.n - base.n;
                memcpy(ret->name.text, whole.text + base.n, ret->name.n);
        }
        if (base.n != w->base_name.n || memcmp(base.text, w->base_name.text, base.n) != 0) {
                w->base_name = base;
                ret->base_name = &w->base_name;
        }
}

/* Base times are whole seconds and times the rest, so that a double keeps the nanoseconds. */
static int time_entry(SenmlWriter *w, int64_t time_ns, SenmlEntry *ret) {
        const int64_t far_s = INT64_C(1) << 20;
        int64_t time_s = time_ns / NS_PER_S;

        if (time_ns == RECORD_NO_TIME)
                return w->base_time_s == 0 ? 0 : -EINVAL; /* those go first */
        if (time_ns < (INT64_C(1) << 28) * NS_PER_S)
                return -ENOTSUP;
        if (w->base_time_s == 0 || time_s - w->base_time_s > far_s ||
            w->base_time_s - time_s > far_s) {
                w->base_time_s = time_s;
                ret->has_base_time = true;
                ret->base_time_s = time_s;
        }
        ret->time_ns = time_ns - w->base_time_s * NS_PER_S;
        ret->has_time = ret->time_ns != 0;
        return 0;
}

int senml_writer_next(SenmlWriter *w, const Record *r, SenmlEntry *ret) {
        *ret = (SenmlEntry){ 0 };
        name_entry(w, &r->path, ret);
        return time_entry(w, r->time_ns, ret);
}
