/* SPDX-License-Identifier: Apache-2.0 */
#include "report.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

cJSON *report_event(const char *name) {
        cJSON *o = cJSON_CreateObject();

        cJSON_AddStringToObject(o, "event", name);
        cJSON_AddNumberToObject(o, "t", (double) g_get_monotonic_time());
        return o;
}

void report_hex(cJSON *o, const char *key, const uint8_t *data, size_t length) {
        static const char digits[] = "0123456789abcdef";
        g_autofree char *text = g_malloc(2 * length + 1);

        for (size_t i = 0; i < length; i++) {
                text[2 * i] = digits[data[i] >> 4];
                text[2 * i + 1] = digits[data[i] & 15];
        }
        text[2 * length] = '\0';
        cJSON_AddStringToObject(o, key, text);
}

void report_token(cJSON *o, const Token *token) {
        report_hex(o, "token", token->bytes, token->length);
}

void report_code(cJSON *o, const char *key, uint8_t code) {
        char text[8];

        g_snprintf(text, sizeof(text), "%u.%02u", WIRE_CLASS(code), code & 31U);
        cJSON_AddStringToObject(o, key, text);
}

static void add_uint(cJSON *o, const char *key, const Message *m, uint16_t number) {
        uint32_t value;

        if (message_uint(m, number, &value) >= 0)
                cJSON_AddNumberToObject(o, key, value);
}

static void add_joined(cJSON *o, const char *key, const Message *m, uint16_t number) {
        g_autofree char *text = message_joined(m, number, '/');

        if (text[0] != '\0' && g_utf8_validate(text, -1, NULL))
                cJSON_AddStringToObject(o, key, text);
}

void report_message(cJSON *o, const Message *m) {
        static const char *const types[] = { "con", "non", "ack", "rst" };
        cJSON *options = cJSON_CreateArray();

        cJSON_AddStringToObject(o, "type", types[m->type]);
        cJSON_AddNumberToObject(o, "mid", m->mid);
        report_token(o, &m->token);
        report_code(o, "code", m->code);
        add_uint(o, "format", m, OPTION_CONTENT_FORMAT);
        add_uint(o, "seq", m, OPTION_OBSERVE);
        add_uint(o, "max_age", m, OPTION_MAX_AGE);
        add_joined(o, "location", m, OPTION_LOCATION_PATH);
        for (guint i = 0; i < m->options->len; i++) {
                const Option *option = &g_array_index(m->options, Option, i);
                size_t length;
                const uint8_t *bytes = g_bytes_get_data(option->value, &length);
                cJSON *item = cJSON_CreateObject();

                if (option->number == OPTION_ETAG && !cJSON_HasObjectItem(o, "etag"))
                        report_hex(o, "etag", bytes, length);
                cJSON_AddNumberToObject(item, "number", option->number);
                report_hex(item, "hex", bytes, length);
                cJSON_AddItemToArray(options, item);
        }
        cJSON_AddItemToObject(o, "options", options);
}

int report_body(cJSON *o, GBytes *body, const char *file) {
        size_t length = 0;
        const char *data = body ? g_bytes_get_data(body, &length) : NULL;

        cJSON_AddNumberToObject(o, "length", (double) length);
        if (file && !g_file_set_contents(file, data ? data : "", (gssize) length, NULL))
                return -EIO;
        if (file)
                cJSON_AddStringToObject(o, "file", file);
        if (length > 0) {
                g_autofree char *sum = g_compute_checksum_for_bytes(G_CHECKSUM_SHA256, body);

                cJSON_AddStringToObject(o, "sha256", sum);
        }
        if (length > REPORT_INLINE_MAX)
                return 0;
        report_hex(o, "payload", (const uint8_t *) data, length);
        if (g_utf8_validate(data ? data : "", (gssize) length, NULL)) {
                g_autofree char *text = g_strndup(data ? data : "", length);

                cJSON_AddStringToObject(o, "text", text);
        }
        return 0;
}

void report_print(cJSON *o) {
        char *text = cJSON_PrintUnformatted(o);

        puts(text);
        fflush(stdout);
        cJSON_free(text);
        cJSON_Delete(o);
}
