/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/senml_json.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#include "codec/json_value.h"
#include "codec/number.h"
#include "codec/senml.h"
#include "util/base64.h"

static int read_name(Json *j, SenmlName *ret) {
        const char *text;
        size_t n;
        int r;

        r = json_string(j, &text, &n);
        if (r < 0)
                return r;
        return senml_set_name(ret, text, n);
}

static int read_version(Json *j) {
        const char *text;
        Value v;
        size_t n;
        int r;

        r = json_number(j, &text, &n);
        if (r < 0)
                return r;
        r = number_parse(text, n, VALUE_NONE, &v);
        if (r < 0)
                return r;
        return v.type == VALUE_INTEGER && v.i >= 1 && v.i <= SENML_VERSION ? 0 : -EBADMSG;
}

static int read_base_value(Json *j, Value *ret) {
        const char *text;
        size_t n;
        int r;

        r = json_number(j, &text, &n);
        if (r < 0)
                return r;
        return number_parse(text, n, VALUE_NONE, ret);
}

static int read_value(Json *j, SenmlRecord *record, SenmlField field) {
        JsonKind kind;
        int r;

        r = json_peek(j, &kind);
        if (r < 0)
                return r;
        if (kind == JSON_NULL)
                return json_literal(j);
        if (field == SENML_V) {
                /* Only the form is checked: the type is known when the record's name is. */
                r = json_number(j, &record->number, &record->n_number);
                return r < 0 ? r : number_check(record->number, record->n_number);
        }
        if (field == SENML_VB)
                return json_read_bool(j, &record->value);
        if (field == SENML_VD)
                return json_read_opaque(j, true, &record->value);
        if (field == SENML_VLO)
                return json_read_link(j, &record->value);
        return json_read_text(j, &record->value);
}

static int read_field(Json *j, SenmlPack *pack, SenmlRecord *record, SenmlField field) {
        switch (field) {
        case SENML_BN:
                return read_name(j, &pack->base_name);
        case SENML_N:
                return read_name(j, &record->name);
        case SENML_BT:
                return json_read_time(j, &pack->base_time_ns);
        case SENML_T:
                return json_read_time(j, &record->time_ns);
        case SENML_BV:
                return read_base_value(j, &pack->base_value);
        case SENML_BVER:
                return read_version(j);
        case SENML_V:
        case SENML_VS:
        case SENML_VB:
        case SENML_VD:
        case SENML_VLO:
                return read_value(j, record, field);
        case SENML_BU:
        case SENML_U:
        case SENML_BS:
        case SENML_S:
        case SENML_UT:
        case SENML_UNKNOWN:
                break;
        }
        return json_skip(j);
}

typedef struct Reading {
        SenmlPack *pack;
        SenmlRecord record;
} Reading;

static int read_member(void *userdata, Json *j, const char *name, size_t n) {
        const SenmlField field = senml_field(name, n);
        Reading *in = userdata;
        int r = 0;

        if (field != SENML_UNKNOWN)
                r = senml_seen(&in->record, field);
        else if (n > 0 && name[n - 1] == '_')
                return -EBADMSG; /* must be understood (RFC 8428, section 4.4) */
        return r < 0 ? r : read_field(j, in->pack, &in->record, field);
}

static int read_record(void *pack, Json *j, const char *name, size_t n) {
        Reading in = { .pack = pack };
        int r;

        r = json_object(j, read_member, &in);
        if (r < 0) {
                value_clear(&in.record.value);
                return r;
        }
        return senml_record_end(pack, &in.record);
}

int senml_json_decode(Sink *s, const void *data, size_t n) {
        SenmlPack pack = { .sink = s };
        g_auto(Json) j = { 0 };
        int r;

        json_init(&j, data, n, s->depth_max);
        r = json_array(&j, read_record, &pack);
        if (r < 0)
                return r;
        r = json_end(&j);
        if (r < 0)
                return r;
        return senml_pack_end(&pack);
}

static int put_value(GByteArray *out, const Value *v) {
        switch ((ValueType) v->type) {
        case VALUE_STRING:
        case VALUE_CORELNK:
                json_put(out, "\"vs\":");
                break;
        case VALUE_BOOLEAN:
                json_put(out, "\"vb\":");
                break;
        case VALUE_OPAQUE:
                json_put(out, "\"vd\":");
                break;
        case VALUE_OBJLNK:
                json_put(out, "\"vlo\":");
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
        return json_put_value(out, v, true);
}

static void put_name(GByteArray *out, const char *label, const SenmlName *name) {
        json_put(out, label);
        json_put_string(out, name->text, name->n);
        json_put(out, ",");
}

static void put_time(GByteArray *out, const char *label, int64_t ns) {
        char buffer[32];

        number_format_ns(ns, buffer);
        json_put(out, label);
        json_put(out, buffer);
        json_put(out, ",");
}

static int put_entry(GByteArray *out, const SenmlEntry *e, const Value *v) {
        int r;

        json_put(out, "{");
        if (e->base_name)
                put_name(out, "\"bn\":", e->base_name);
        if (e->has_base_time)
                put_time(out, "\"bt\":", e->base_time_s * 1000000000);
        if (e->name.n > 0)
                put_name(out, "\"n\":", &e->name);
        if (e->has_time)
                put_time(out, "\"t\":", e->time_ns);
        r = put_value(out, v);
        json_put(out, "}");
        return r;
}

/* Appends the records with, or those without a time. */
static int put_records(GByteArray *out, SenmlWriter *w, const Record *records, size_t n_records,
                       bool timed, const char **separator) {
        SenmlEntry e;
        int r;

        for (size_t i = 0; i < n_records; i++) {
                if (!senml_is_turn(&records[i], timed))
                        continue;
                r = senml_writer_next(w, &records[i], &e);
                if (r < 0)
                        return r;
                json_put(out, *separator);
                r = put_entry(out, &e, &records[i].value);
                if (r < 0)
                        return r;
                *separator = ",";
        }
        return 0;
}

int senml_json_encode(const Path *base, const Record *records, size_t n_records, GByteArray *out) {
        const char *separator = "";
        SenmlWriter w;
        int r;

        senml_writer_init(&w, base, senml_count(records, n_records));
        json_put(out, "[");
        r = put_records(out, &w, records, n_records, false, &separator);
        if (r >= 0)
                r = put_records(out, &w, records, n_records, true, &separator);
        if (r >= 0)
                json_put(out, "]");
        return r;
}
