/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <glib.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/ctl.h"
#include "ctl/json.h"

void double_text(double d, char buffer[static 40]) {
        for (int digits = 15; digits <= 17; digits++) {
                char format[8];

                g_snprintf(format, sizeof(format), "%%.%dg", digits);
                g_ascii_formatd(buffer, 40, format, d);
                if (g_ascii_strtod(buffer, NULL) == d)
                        return;
        }
}

char *printable(const char *text) {
        GString *s = g_string_new(NULL);

        for (const char *p = text; *p;) {
                gunichar u = g_utf8_get_char_validated(p, -1);

                if (u == (gunichar) -1 || u == (gunichar) -2) {
                        g_string_append_printf(s, "\\x%02x", (unsigned char) *p++);
                        continue;
                }
                if (g_unichar_iscntrl(u))
                        for (const char *end = g_utf8_next_char(p); p < end; p++)
                                g_string_append_printf(s, "\\x%02x", (unsigned char) *p);
                else {
                        g_string_append_unichar(s, u);
                        p = g_utf8_next_char(p);
                }
        }
        return g_string_free(s, FALSE);
}

char *time_text(int64_t time_ns) {
        int64_t sec = time_ns / 1000000000, ms = time_ns / 1000000 % 1000;
        g_autoptr(GDateTime) t = NULL;
        g_autofree char *day = NULL;

        if (time_ns <= 0)
                return g_strdup("never");
        t = g_date_time_new_from_unix_utc(sec);
        day = g_date_time_format(t, "%Y-%m-%dT%H:%M:%S");
        return g_strdup_printf("%s.%03" PRIi64 "Z", day, ms);
}

char *date_text(int64_t time_sec) {
        g_autoptr(GDateTime) t = g_date_time_new_from_unix_utc(time_sec);

        return t ? g_date_time_format(t, "%Y-%m-%dT%H:%M:%SZ") : g_strdup("-");
}

void json_add_integer(cJSON *object, const char *key, int64_t i) {
        g_autofree char *text = g_strdup_printf("%" PRIi64, i);

        cJSON_AddRawToObject(object, key, text);
}

static cJSON *raw_number(const char *format, ...) __attribute__((format(printf, 1, 2)));
static cJSON *raw_number(const char *format, ...) {
        va_list args;
        g_autofree char *text = NULL;

        va_start(args, format);
        text = g_strdup_vprintf(format, args);
        va_end(args);
        return cJSON_CreateRaw(text);
}

static cJSON *json_double(double d) {
        char text[40];

        if (!isfinite(d))
                return cJSON_CreateNull();
        double_text(d, text);
        return cJSON_CreateRaw(text);
}

static int read_basic(sd_bus_message *m, char type, cJSON **ret) {
        union {
                uint8_t y;
                int16_t n;
                uint16_t q;
                int32_t i;
                uint32_t u;
                int64_t x;
                uint64_t t;
                double d;
                int b;
                const char *s;
        } v;
        int r;

        r = sd_bus_message_read_basic(m, type, &v);
        if (r < 0)
                return r;
        switch (type) {
        case 'y':
                *ret = raw_number("%u", v.y);
                return 0;
        case 'n':
                *ret = raw_number("%d", v.n);
                return 0;
        case 'q':
                *ret = raw_number("%u", v.q);
                return 0;
        case 'i':
                *ret = raw_number("%" PRIi32, v.i);
                return 0;
        case 'u':
                *ret = raw_number("%" PRIu32, v.u);
                return 0;
        case 'x':
                *ret = raw_number("%" PRIi64, v.x);
                return 0;
        case 't':
                *ret = raw_number("%" PRIu64, v.t);
                return 0;
        case 'd':
                *ret = json_double(v.d);
                return 0;
        case 'b':
                *ret = cJSON_CreateBool(v.b);
                return 0;
        case 'h':
                *ret = cJSON_CreateNull();
                return 0;
        default:
                *ret = cJSON_CreateString(v.s);
                return 0;
        }
}

static int read_any(sd_bus_message *m, unsigned depth, cJSON **ret);

static int read_bytes(sd_bus_message *m, cJSON **ret) {
        g_autofree char *text = NULL;
        const void *bytes;
        size_t n;
        int r;

        r = sd_bus_message_read_array(m, 'y', &bytes, &n);
        if (r < 0)
                return r;
        text = n > 0 ? g_base64_encode(bytes, n) : g_strdup("");
        *ret = cJSON_CreateObject();
        cJSON_AddStringToObject(*ret, "opaque", text);
        return 0;
}

static int read_link(sd_bus_message *m, cJSON **ret) {
        g_autofree char *text = NULL;
        uint16_t object, instance;
        int r;

        r = sd_bus_message_read(m, "(qq)", &object, &instance);
        if (r < 0)
                return r;
        text = g_strdup_printf("%u:%u", object, instance);
        *ret = cJSON_CreateObject();
        cJSON_AddStringToObject(*ret, "objlnk", text);
        return 0;
}

static int read_entry(sd_bus_message *m, const char *contents, unsigned depth, cJSON *object) {
        g_autoptr(cJSON) key = NULL;
        cJSON *value = NULL;
        int r;

        r = sd_bus_message_enter_container(m, 'e', contents);
        if (r <= 0)
                return r;
        r = read_any(m, depth, &key);
        if (r >= 0)
                r = read_any(m, depth, &value);
        if (r >= 0)
                r = sd_bus_message_exit_container(m);
        if (r < 0) {
                cJSON_Delete(value);
                return r;
        }
        cJSON_AddItemToObject(object, key->valuestring ?: "", value);
        return 1;
}

static int read_array(sd_bus_message *m, const char *contents, unsigned depth, cJSON **ret) {
        bool is_dict = contents[0] == '{';
        g_autoptr(cJSON) list = is_dict ? cJSON_CreateObject() : cJSON_CreateArray();
        g_autofree char *inner = NULL;
        int r;

        r = sd_bus_message_enter_container(m, 'a', contents);
        if (r < 0)
                return r;
        if (is_dict) {
                inner = g_strndup(contents + 1, strlen(contents) - 2);
                do
                        r = read_entry(m, inner, depth, list);
                while (r > 0);
        } else
                while ((r = sd_bus_message_at_end(m, false)) == 0) {
                        cJSON *item = NULL;

                        r = read_any(m, depth, &item);
                        if (r < 0)
                                break;
                        cJSON_AddItemToArray(list, item);
                }
        if (r < 0)
                return r;
        r = sd_bus_message_exit_container(m);
        if (r < 0)
                return r;
        *ret = g_steal_pointer(&list);
        return 0;
}

static int read_struct(sd_bus_message *m, const char *contents, unsigned depth, cJSON **ret) {
        g_autoptr(cJSON) list = cJSON_CreateArray();
        int r;

        r = sd_bus_message_enter_container(m, 'r', contents);
        if (r < 0)
                return r;
        while ((r = sd_bus_message_at_end(m, false)) == 0) {
                cJSON *item = NULL;

                r = read_any(m, depth, &item);
                if (r < 0)
                        return r;
                cJSON_AddItemToArray(list, item);
        }
        if (r < 0)
                return r;
        r = sd_bus_message_exit_container(m);
        if (r < 0)
                return r;
        *ret = g_steal_pointer(&list);
        return 0;
}

static int read_any(sd_bus_message *m, unsigned depth, cJSON **ret) {
        const char *contents;
        char type;
        int r;

        if (depth >= JSON_DEPTH_MAX)
                return -EBADMSG;
        r = sd_bus_message_peek_type(m, &type, &contents);
        if (r < 0)
                return r;
        if (r == 0)
                return -ENXIO;
        switch (type) {
        case 'v':
                r = sd_bus_message_enter_container(m, 'v', contents);
                if (r >= 0)
                        r = read_any(m, depth + 1, ret);
                if (r < 0)
                        return r;
                r = sd_bus_message_exit_container(m);
                if (r < 0)
                        g_clear_pointer(ret, cJSON_Delete);
                return r < 0 ? r : 0;
        case 'a':
                if (strcmp(contents, "y") == 0)
                        return read_bytes(m, ret);
                return read_array(m, contents, depth + 1, ret);
        case 'r':
                if (strcmp(contents, "qq") == 0)
                        return read_link(m, ret);
                return read_struct(m, contents, depth + 1, ret);
        default:
                return read_basic(m, type, ret);
        }
}

int json_read(sd_bus_message *m, cJSON **ret) {
        return read_any(m, 0, ret);
}

int json_read_values(sd_bus_message *m, JsonValueVisit visit, void *userdata) {
        int r;

        r = sd_bus_message_enter_container(m, 'a', "(svx)");
        while (r >= 0 && (r = sd_bus_message_enter_container(m, 'r', "svx")) > 0) {
                g_autoptr(cJSON) value = NULL;
                const char *path;
                int64_t time_ns;

                r = sd_bus_message_read(m, "s", &path);
                if (r >= 0)
                        r = json_read(m, &value);
                if (r >= 0)
                        r = sd_bus_message_read(m, "x", &time_ns);
                if (r >= 0)
                        r = sd_bus_message_exit_container(m);
                if (r >= 0)
                        visit(userdata, path, g_steal_pointer(&value), time_ns);
        }
        return r < 0 ? r : sd_bus_message_exit_container(m);
}

cJSON *json_value_item(const char *path, cJSON *value, int64_t time_ns) {
        cJSON *item = cJSON_CreateObject();

        cJSON_AddStringToObject(item, "path", path);
        cJSON_AddItemToObject(item, "value", value);
        json_add_integer(item, "time_ns", time_ns);
        return item;
}

static char *opaque_text(const char *base64) {
        GString *s = g_string_new(NULL);
        g_autofree guchar *bytes = NULL;
        gsize n;

        bytes = g_base64_decode(base64, &n);
        for (gsize i = 0; i < n; i++)
                g_string_append_printf(s, "%02x", bytes[i]);
        return g_string_free(s, FALSE);
}

size_t opaque_length(const char *base64) {
        size_t n = strlen(base64);

        return n / 4 * 3 - (size_t) (g_str_has_suffix(base64, "==")  ? 2
                                     : g_str_has_suffix(base64, "=") ? 1
                                                                     : 0);
}

/* As datum.h takes it back. */
static void append_quoted(GString *s, const char *text) {
        g_string_append_c(s, '"');
        for (const char *p = text; *p; p++) {
                if (*p == '"' || *p == '\\')
                        g_string_append_c(s, '\\');
                g_string_append_c(s, *p);
        }
        g_string_append_c(s, '"');
}

char *json_text(const cJSON *value) {
        const cJSON *only = cJSON_IsObject(value) ? value->child : NULL, *item;
        const char *open = cJSON_IsObject(value) ? "{" : "[";
        GString *s;

        if (!value || cJSON_IsNull(value))
                return g_strdup("-");
        if (cJSON_IsString(value))
                return printable(value->valuestring);
        if (cJSON_IsRaw(value))
                return g_strdup(value->valuestring);
        if (cJSON_IsBool(value))
                return g_strdup(cJSON_IsTrue(value) ? "true" : "false");
        if (cJSON_IsNumber(value)) {
                char text[40];

                double_text(value->valuedouble, text);
                return g_strdup(text);
        }
        if (only && !only->next && cJSON_IsString(only)) {
                if (strcmp(only->string, "opaque") == 0)
                        return opaque_text(only->valuestring);
                if (strcmp(only->string, "objlnk") == 0)
                        return g_strdup(only->valuestring);
        }
        s = g_string_new(open);
        cJSON_ArrayForEach(item, value) {
                g_autofree char *text = json_text(item);

                if (item->prev && item != value->child)
                        g_string_append_c(s, ',');
                if (cJSON_IsObject(value))
                        g_string_append_printf(s, "%s=", item->string);
                if (cJSON_IsString(item) && strpbrk(text, ",{}[]\""))
                        append_quoted(s, text);
                else
                        g_string_append(s, text);
        }
        g_string_append_c(s, open[0] == '{' ? '}' : ']');
        return g_string_free(s, FALSE);
}

void json_print_line(const cJSON *value) {
        char *text = cJSON_PrintUnformatted(value);

        puts(text);
        cJSON_free(text);
}

const char *json_string(const cJSON *object, const char *key, const char *missing) {
        const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);

        return cJSON_IsString(item) ? item->valuestring : missing;
}

int64_t json_integer(const cJSON *object, const char *key, int64_t missing) {
        const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);

        return cJSON_IsRaw(item) ? g_ascii_strtoll(item->valuestring, NULL, 10) : missing;
}

bool json_bool(const cJSON *object, const char *key) {
        return cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(object, key));
}
