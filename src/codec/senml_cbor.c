/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/senml_cbor.h"

#include <errno.h>
#include <string.h>

#include "codec/cborio.h"
#include "codec/number.h"
#include "codec/senml.h"

#define LABEL_FIRST (-6)

static const SenmlField fields[] = { /* of the labels -6 to 8 */
                                     SENML_BS,   SENML_BV, SENML_BU, SENML_BT, SENML_BN,
                                     SENML_BVER, SENML_N,  SENML_U,  SENML_V,  SENML_VS,
                                     SENML_VB,   SENML_S,  SENML_T,  SENML_UT, SENML_VD
};

enum {
        LABEL_BN = -2,
        LABEL_BT = -3,
        LABEL_N = 0,
        LABEL_V = 2,
        LABEL_VS = 3,
        LABEL_VB = 4,
        LABEL_T = 6,
        LABEL_VD = 8,
};

typedef struct Decoder {
        SenmlPack pack;
        Reader in;
        GByteArray *scratch;
        unsigned depth;
} Decoder;

/* Labels are small numbers, but "vlo" has none; one that ends in "_" must be understood. */
static int read_label(Decoder *d, const CborItem *item, SenmlField *ret) {
        const uint8_t *text;
        size_t n;
        int r;

        if (item->kind == CBOR_KIND_UINT || item->kind == CBOR_KIND_NEGINT) {
                int64_t label = item->n > INT16_MAX              ? INT16_MAX
                                : item->kind == CBOR_KIND_NEGINT ? -1 - (int64_t) item->n
                                                                 : (int64_t) item->n;

                label -= LABEL_FIRST;
                *ret = label >= 0 && label < (int64_t) G_N_ELEMENTS(fields) ? fields[label]
                                                                            : SENML_UNKNOWN;
                return 0;
        }
        if (item->kind != CBOR_KIND_TEXT)
                return -EBADMSG;
        r = cborio_string(&d->in, item, d->scratch, &text, &n);
        if (r < 0)
                return r;
        *ret = senml_field((const char *) text, n);
        if (*ret == SENML_UNKNOWN && n > 0 && text[n - 1] == '_')
                return -EBADMSG;
        return 0;
}

static int read_name(Decoder *d, const CborItem *item, SenmlName *ret) {
        const uint8_t *text;
        size_t n;
        int r;

        if (item->kind != CBOR_KIND_TEXT)
                return -EBADMSG;
        r = cborio_string(&d->in, item, d->scratch, &text, &n);
        if (r < 0)
                return r;
        return senml_set_name(ret, text, n);
}

static int read_number(Decoder *d, const CborItem *item, Value *ret) {
        Value v = VALUE_INIT;
        int r;

        r = cborio_value(&d->in, item, VALUE_NONE, d->depth, &v);
        if (r < 0)
                return r;
        if (v.type == VALUE_TIME)
                v.type = VALUE_INTEGER; /* tag 1 */
        if (v.type != VALUE_INTEGER && v.type != VALUE_UNSIGNED && v.type != VALUE_FLOAT) {
                value_clear(&v);
                return -EBADMSG;
        }
        *ret = v;
        return 0;
}

static int read_time(Decoder *d, const CborItem *item, int64_t *ret) {
        Value v;
        int r;

        r = read_number(d, item, &v);
        if (r < 0)
                return r;
        return number_to_ns(&v, ret);
}

static int read_version(Decoder *d, const CborItem *item) {
        Value v;
        int r;

        r = read_number(d, item, &v);
        if (r < 0)
                return r;
        if (v.type != VALUE_INTEGER || v.i < 1)
                return -EBADMSG;
        return v.i <= SENML_VERSION ? 0 : -EBADMSG;
}

static int read_value(Decoder *d, const CborItem *item, SenmlField field, Value *ret) {
        Value v = VALUE_INIT;
        ValueType type = field == SENML_VLO ? VALUE_OBJLNK : VALUE_NONE;
        bool fits;
        int r;

        r = cborio_value(&d->in, item, type, d->depth, &v);
        if (r < 0)
                return r;
        fits = v.type == VALUE_NONE || /* null */
               (field == SENML_V ? v.type == VALUE_INTEGER || v.type == VALUE_UNSIGNED ||
                                           v.type == VALUE_FLOAT || v.type == VALUE_TIME
                                 : v.type == (field == SENML_VS   ? VALUE_STRING
                                              : field == SENML_VB ? VALUE_BOOLEAN
                                              : field == SENML_VD ? VALUE_OPAQUE
                                                                  : VALUE_OBJLNK));
        if (!fits) {
                value_clear(&v);
                return -EBADMSG;
        }
        *ret = v;
        return 0;
}

static int read_field(Decoder *d, SenmlRecord *record, SenmlField field, const CborItem *item) {
        switch (field) {
        case SENML_BN:
                return read_name(d, item, &d->pack.base_name);
        case SENML_N:
                return read_name(d, item, &record->name);
        case SENML_BT:
                return read_time(d, item, &d->pack.base_time_ns);
        case SENML_T:
                return read_time(d, item, &record->time_ns);
        case SENML_BV:
                return read_number(d, item, &d->pack.base_value);
        case SENML_BVER:
                return read_version(d, item);
        case SENML_V:
        case SENML_VS:
        case SENML_VB:
        case SENML_VD:
        case SENML_VLO:
                return read_value(d, item, field, &record->value);
        case SENML_BU:
        case SENML_U:
        case SENML_BS:
        case SENML_S:
        case SENML_UT:
        case SENML_UNKNOWN:
                break;
        }
        return cborio_skip(&d->in, item, d->depth);
}

static int read_fields(Decoder *d, SenmlRecord *record, CborItem *map) {
        SenmlField field;
        CborItem item;
        int r;

        while ((r = cborio_next(&d->in, map, &item)) > 0) {
                r = read_label(d, &item, &field);
                if (r < 0)
                        return r;
                if (field != SENML_UNKNOWN) {
                        r = senml_seen(record, field);
                        if (r < 0)
                                return r;
                }
                r = cborio_read(&d->in, &item);
                if (r < 0)
                        return r;
                r = read_field(d, record, field, &item);
                if (r < 0)
                        return r;
        }
        return r;
}

static int read_pack(Decoder *d) {
        CborItem array, map;
        int r;

        r = cborio_read(&d->in, &array);
        if (r < 0)
                return r;
        if (array.kind != CBOR_KIND_ARRAY)
                return -EBADMSG;
        while ((r = cborio_next(&d->in, &array, &map)) > 0) {
                SenmlRecord record = { 0 };

                if (map.kind != CBOR_KIND_MAP)
                        return -EBADMSG;
                r = read_fields(d, &record, &map);
                if (r < 0) {
                        value_clear(&record.value);
                        return r;
                }
                r = senml_record_end(&d->pack, &record);
                if (r < 0)
                        return r;
        }
        if (r < 0)
                return r;
        return d->in.left == 0 ? senml_pack_end(&d->pack) : -EBADMSG;
}

int senml_cbor_decode(Sink *s, const void *data, size_t n) {
        Decoder d = { .pack.sink = s, .in = { .pos = data, .left = n } };
        int r;

        if (s->depth_max < 2)
                return -E2BIG;
        d.depth = s->depth_max - 2;
        d.scratch = g_byte_array_new();
        r = read_pack(&d);
        g_byte_array_unref(d.scratch);
        return r;
}

static void put_name(GByteArray *out, int label, const SenmlName *name) {
        cborio_put_int(out, label);
        cborio_put_text(out, name->text, name->n);
}

static void put_value(GByteArray *out, const Value *v) {
        switch ((ValueType) v->type) {
        case VALUE_STRING:
        case VALUE_CORELNK:
                cborio_put_int(out, LABEL_VS);
                break;
        case VALUE_BOOLEAN:
                cborio_put_int(out, LABEL_VB);
                break;
        case VALUE_OPAQUE:
                cborio_put_int(out, LABEL_VD);
                break;
        case VALUE_OBJLNK:
                cborio_put_text(out, "vlo", 3);
                break;
        case VALUE_INTEGER:
        case VALUE_UNSIGNED:
        case VALUE_FLOAT:
        case VALUE_TIME:
        case VALUE_NONE:
        case _VALUE_TYPE_MAX:
                cborio_put_int(out, LABEL_V);
                break;
        }
        cborio_put_value(out, v, false);
}

static void put_seconds(GByteArray *out, int64_t ns) {
        if (ns % 1000000000 == 0)
                cborio_put_int(out, ns / 1000000000);
        else
                cborio_put_float(out, (double) ns / 1e9);
}

static void put_entry(GByteArray *out, const SenmlEntry *e, const Value *v) {
        cborio_put_map(out, 1U + (e->base_name != NULL) + e->has_base_time + (e->name.n > 0) +
                                    e->has_time);
        if (e->base_name)
                put_name(out, LABEL_BN, e->base_name);
        if (e->has_base_time) {
                cborio_put_int(out, LABEL_BT);
                cborio_put_int(out, e->base_time_s);
        }
        if (e->name.n > 0)
                put_name(out, LABEL_N, &e->name);
        if (e->has_time) {
                cborio_put_int(out, LABEL_T);
                put_seconds(out, e->time_ns);
        }
        put_value(out, v);
}

/* Appends the records with, or those without a time. */
static int put_records(GByteArray *out, SenmlWriter *w, const Record *records, size_t n_records,
                       bool timed) {
        SenmlEntry e;
        int r;

        for (size_t i = 0; i < n_records; i++) {
                if (!senml_is_turn(&records[i], timed))
                        continue;
                r = senml_writer_next(w, &records[i], &e);
                if (r < 0)
                        return r;
                put_entry(out, &e, &records[i].value);
        }
        return 0;
}

int senml_cbor_encode(const Path *base, const Record *records, size_t n_records, GByteArray *out) {
        size_t n = senml_count(records, n_records);
        SenmlWriter w;
        int r;

        senml_writer_init(&w, base, n);
        cborio_put_array(out, n);
        r = put_records(out, &w, records, n_records, false);
        return r < 0 ? r : put_records(out, &w, records, n_records, true);
}
