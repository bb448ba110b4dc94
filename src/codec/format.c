/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/format.h"

#include <errno.h>
#include <string.h>

#include "codec/cbor_value.h"
#include "codec/lwm2m_cbor.h"
#include "codec/lwm2m_json.h"
#include "codec/opaque.h"
#include "codec/senml_cbor.h"
#include "codec/senml_json.h"
#include "codec/text.h"
#include "codec/tlv.h"
#include "util/parse.h"

typedef struct FormatInfo {
        Format format;
        unsigned old_number; /* used before registration, by peers of 1.0; 0 = none */
        const char *name, *key;
        bool single;    /* one value only */
        bool composite; /* names several paths */
        int (*decode)(Sink *s, const void *data, size_t n);
        int (*encode)(const Path *base, const Record *records, size_t n, GByteArray *out);
} FormatInfo;

static const FormatInfo formats[] = {
        { FORMAT_TEXT, 1541, "plain text", "text", true, false, text_decode, text_encode },
        { FORMAT_LINK, 0, "CoRE link", "link", false, false, NULL, NULL },
        { FORMAT_OPAQUE, 0, "opaque", "opaque", true, false, opaque_decode, opaque_encode },
        { FORMAT_CBOR, 0, "CBOR", "cbor", true, false, cbor_value_decode, cbor_value_encode },
        { FORMAT_SENML_JSON, 0, "SenML JSON", "senml-json", false, true, senml_json_decode,
          senml_json_encode },
        { FORMAT_SENML_CBOR, 0, "SenML CBOR", "senml-cbor", false, true, senml_cbor_decode,
          senml_cbor_encode },
        { FORMAT_SENML_ETCH_JSON, 0, "SenML-ETCH JSON", "senml-etch-json", false, true,
          senml_json_decode, senml_json_encode },
        { FORMAT_SENML_ETCH_CBOR, 0, "SenML-ETCH CBOR", "senml-etch-cbor", false, true,
          senml_cbor_decode, senml_cbor_encode },
        { FORMAT_TLV, 1542, "TLV", "tlv", false, false, tlv_decode, tlv_encode },
        { FORMAT_LWM2M_JSON, 1543, "LwM2M JSON", "lwm2m-json", false, false, lwm2m_json_decode,
          lwm2m_json_encode },
        { FORMAT_LWM2M_CBOR, 1544, "LwM2M CBOR", "lwm2m-cbor", false, true, lwm2m_cbor_decode,
          lwm2m_cbor_encode },
};

static const FormatInfo *find(Format f) {
        for (size_t i = 0; i < G_N_ELEMENTS(formats); i++)
                if (formats[i].format == f)
                        return &formats[i];
        return NULL;
}

int format_from_number(unsigned number, Format *ret) {
        for (size_t i = 0; i < G_N_ELEMENTS(formats); i++)
                if ((unsigned) formats[i].format == number ||
                    (number != 0 && formats[i].old_number == number)) {
                        *ret = formats[i].format;
                        return 0;
                }
        return -ENOTSUP;
}

const char *format_name(Format f) {
        const FormatInfo *info = find(f);

        return info ? info->name : "none";
}

int format_from_name(const char *text, Format *ret) {
        uint16_t number;

        for (size_t i = 0; i < G_N_ELEMENTS(formats); i++)
                if (strcmp(text, formats[i].key) == 0) {
                        *ret = formats[i].format;
                        return 0;
                }
        return parse_u16(text, &number) < 0 ? -ENOTSUP : format_from_number(number, ret);
}

bool format_has_time(Format f) {
        return f == FORMAT_SENML_JSON || f == FORMAT_SENML_CBOR;
}

bool format_fits(Format f, const Path *base, bool multiple, ValueType type, bool composite) {
        const FormatInfo *info = find(f);

        if (!info || !info->decode)
                return false;
        if (info->single) {
                if (composite || base->n < 3 || (base->n == 3 && multiple))
                        return false;
                return f != FORMAT_OPAQUE || type == VALUE_OPAQUE || type == VALUE_NONE;
        }
        if (f == FORMAT_SENML_ETCH_JSON || f == FORMAT_SENML_ETCH_CBOR)
                return composite;
        return info->composite || (!composite && base->n > 0);
}

bool format_names_instance(Format f, const void *data, size_t n) {
        /* Of all formats only TLV leaves the instance out, and then begins with a resource. */
        return f != FORMAT_TLV || (n > 0 && *(const uint8_t *) data >> 6 == 0);
}

static int decode(Sink *s, const FormatInfo *info, const void *data, size_t n,
                  const FormatLimits *limits) {
        size_t bytes_max = limits && limits->bytes ? limits->bytes : VALUE_LENGTH_MAX;
        int r;

        /* No format decodes to more bytes of values than it has itself. */
        if (n > MIN(bytes_max, VALUE_LENGTH_MAX))
                return -E2BIG;
        r = info->decode(s, data, n);
        if (r < 0)
                return r;
        return sink_finish(s);
}

int format_decode(Format f, const Path *base, const void *data, size_t n,
                  const FormatSchema *schema, const FormatLimits *limits, RecordList *ret,
                  Path *error_path) {
        const FormatInfo *info = find(f);
        g_auto(Sink) s = { 0 };
        int r;

        if (error_path)
                *error_path = PATH_ROOT;
        if (!info || !info->decode)
                return -ENOTSUP;
        sink_init(&s, base, schema, limits);
        r = decode(&s, info, data, n, limits);
        if (r < 0) {
                if (error_path)
                        *error_path = s.error_path;
                return r;
        }
        *ret = s.list;
        s.list = (RecordList){ 0 };
        return 0;
}

int format_decode_paths(Format f, const void *data, size_t n, const FormatLimits *limits,
                        RecordList *ret) {
        const FormatInfo *info = find(f);
        g_auto(Sink) s = { 0 };
        int r;

        if (!info || !info->composite)
                return -ENOTSUP;
        sink_init(&s, &PATH_ROOT, NULL, limits);
        s.paths = true;
        r = decode(&s, info, data, n, limits);
        if (r < 0)
                return r;
        *ret = s.list;
        s.list = (RecordList){ 0 };
        return 0;
}

int format_encode(Format f, const Path *base, const Record *records, size_t n_records,
                  const FormatSchema *schema, GByteArray *out) {
        const FormatInfo *info = find(f);
        guint before = out->len;
        int r;

        if (!info || !info->encode)
                return -ENOTSUP;
        r = info->encode(base, records, n_records, out);
        if (r < 0)
                g_byte_array_set_size(out, before); /* as if nothing had been asked */
        return r;
}
