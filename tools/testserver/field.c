/* SPDX-License-Identifier: Apache-2.0 */
#include "field.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define FILL_MAX (64U << 20)

const char *field_string(const cJSON *o, const char *key) {
        return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(o, key));
}

double field_number(const cJSON *o, const char *key, double otherwise) {
        const cJSON *item = cJSON_GetObjectItemCaseSensitive(o, key);

        return cJSON_IsNumber(item) ? item->valuedouble : otherwise;
}

bool field_bool(const cJSON *o, const char *key, bool otherwise) {
        const cJSON *item = cJSON_GetObjectItemCaseSensitive(o, key);

        return cJSON_IsBool(item) ? cJSON_IsTrue(item) : otherwise;
}

int field_parse_code(const char *text, uint8_t *ret) {
        if (strlen(text) != 4 || text[1] != '.' || !g_ascii_isdigit(text[0]) ||
            !g_ascii_isdigit(text[2]) || !g_ascii_isdigit(text[3]) || text[0] > '7')
                return -EINVAL;
        if ((text[2] - '0') * 10 + text[3] - '0' > 31)
                return -EINVAL;
        *ret = WIRE_CODE(text[0] - '0', (text[2] - '0') * 10 + text[3] - '0');
        return 0;
}

int field_parse_hex(const char *text, GBytes **ret) {
        size_t length = strlen(text);
        g_autofree uint8_t *data = g_malloc(length / 2 + 1);

        if (length % 2 != 0)
                return -EINVAL;
        for (size_t i = 0; i < length; i++) {
                if (!g_ascii_isxdigit(text[i]))
                        return -EINVAL;
                data[i / 2] = (uint8_t) (data[i / 2] << 4 | g_ascii_xdigit_value(text[i]));
        }
        *ret = g_bytes_new(data, length / 2);
        return 0;
}

int field_parse_token(const char *text, Token *ret) {
        g_autoptr(GBytes) bytes = NULL;
        size_t length;
        const void *data;
        int r;

        r = field_parse_hex(text, &bytes);
        if (r < 0)
                return r;
        data = g_bytes_get_data(bytes, &length);
        if (length > sizeof(ret->bytes))
                return -EINVAL;
        *ret = (Token){ .length = (uint8_t) length };
        if (length > 0)
                memcpy(ret->bytes, data, length);
        return 0;
}

int field_parse_format(const cJSON *item, int *ret) {
        static const struct {
                const char *name;
                int number;
        } names[] = {
                { "text", 0 },    { "link", 40 },        { "opaque", 42 },
                { "cbor", 60 },   { "senml-json", 110 }, { "senml-cbor", 112 },
                { "tlv", 11542 }, { "json", 11543 },     { "lwm2m-cbor", 11544 },
        };

        if (cJSON_IsNumber(item) && item->valuedouble >= 0 && item->valuedouble <= UINT16_MAX) {
                *ret = (int) item->valuedouble;
                return 0;
        }
        for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
                if (g_strcmp0(cJSON_GetStringValue(item), names[i].name) == 0) {
                        *ret = names[i].number;
                        return 0;
                }
        }
        return -EINVAL;
}

static int add_option(GArray *options, uint16_t number, const cJSON *value) {
        const char *hex = field_string(value, "hex");
        g_autoptr(GBytes) bytes = NULL;
        size_t length;
        const void *data;
        int r;

        if (cJSON_IsNumber(value) && value->valuedouble >= 0 && value->valuedouble <= UINT32_MAX)
                options_add_uint(options, number, (uint32_t) value->valuedouble);
        else if (cJSON_IsString(value))
                options_add(options, number, value->valuestring, strlen(value->valuestring));
        else if (hex) {
                r = field_parse_hex(hex, &bytes);
                if (r < 0)
                        return r;
                data = g_bytes_get_data(bytes, &length);
                options_add(options, number, data, length);
        } else
                return -EINVAL;
        return 0;
}

int field_parse_options(const cJSON *list, GArray *options) {
        const cJSON *item;
        int r;

        cJSON_ArrayForEach(item, list) {
                const cJSON *number = cJSON_GetArrayItem(item, 0);

                if (!cJSON_IsArray(item) || cJSON_GetArraySize(item) != 2 ||
                    !cJSON_IsNumber(number) || number->valuedouble < 0 ||
                    number->valuedouble > UINT16_MAX)
                        return -EINVAL;
                r = add_option(options, (uint16_t) number->valuedouble,
                               cJSON_GetArrayItem(item, 1));
                if (r < 0)
                        return r;
        }
        return 0;
}

static GBytes *fill(size_t length) {
        uint8_t *data = g_malloc(length + 1);

        for (size_t i = 0; i < length; i++)
                data[i] = (uint8_t) (i ^ i >> 8 ^ i >> 16);
        return g_bytes_new_take(data, length);
}

int field_payload(const cJSON *o, GBytes **ret) {
        const char *text = field_string(o, "payload"), *hex = field_string(o, "hex");
        const char *base64 = field_string(o, "base64"), *file = field_string(o, "file");
        double length = field_number(o, "fill", -1);
        char *data;
        size_t size;

        if ((text != NULL) + (hex != NULL) + (base64 != NULL) + (file != NULL) + (length >= 0) >
                    1 ||
            length > FILL_MAX)
                return -EINVAL;
        *ret = NULL;
        if (text)
                *ret = g_bytes_new(text, strlen(text));
        else if (hex)
                return field_parse_hex(hex, ret);
        else if (base64) {
                data = (char *) g_base64_decode(base64, &size);
                *ret = g_bytes_new_take(data, size);
        } else if (file) {
                if (!g_file_get_contents(file, &data, &size, NULL))
                        return -ENOENT;
                *ret = g_bytes_new_take(data, size);
        } else if (length >= 0)
                *ret = fill((size_t) length);
        return 0;
}
