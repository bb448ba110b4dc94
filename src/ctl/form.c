/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "ctl/form.h"
#include "ctl/json.h"
#include "util/parse.h"

static const Form forms[] = {
        { "-x", DATUM_OPAQUE, 0 },      { "-s", DATUM_STRING, 0 },
        { "-b", DATUM_BOOLEAN, 0 },     { "-u8", DATUM_UNSIGNED, 8 },
        { "-u16", DATUM_UNSIGNED, 16 }, { "-u32", DATUM_UNSIGNED, 32 },
        { "-u64", DATUM_UNSIGNED, 64 }, { "-s8", DATUM_INTEGER, 8 },
        { "-s16", DATUM_INTEGER, 16 },  { "-s32", DATUM_INTEGER, 32 },
        { "-s64", DATUM_INTEGER, 64 },  { "-f", DATUM_FLOAT, 0 },
        { "-t", DATUM_TIME, 0 },
};

#define FORM_OPTIONS                                                                               \
        { "-x", NULL, NULL, "opaque, as hexadecimal digits" }, { "-s", NULL, NULL, "string" },     \
                { "-b", NULL, NULL, "boolean" }, { "-u8", NULL, NULL, "unsigned, 8 bits" },        \
                { "-u16", NULL, NULL, "unsigned, 16 bits" },                                       \
                { "-u32", NULL, NULL, "unsigned, 32 bits" },                                       \
                { "-u64", NULL, NULL, "unsigned, 64 bits" },                                       \
                { "-s8", NULL, NULL, "signed, 8 bits" },                                           \
                { "-s16", NULL, NULL, "signed, 16 bits" },                                         \
                { "-s32", NULL, NULL, "signed, 32 bits" },                                         \
                { "-s64", NULL, NULL, "signed, 64 bits" }, { "-f", NULL, NULL, "float" }, {        \
                "-t", NULL, NULL, "time"                                                           \
        }

const Option read_options[] = { FORM_OPTIONS, { 0 } };
const Option write_options[] = { FORM_OPTIONS,
                                 { "--persist", NULL, NULL, "keep the value over a restart" },
                                 { 0 } };

CtlExit form_option(const Args *a, const Form **ret) {
        const Form *found = NULL;

        for (size_t i = 0; i < G_N_ELEMENTS(forms); i++) {
                if (!args_get(a, forms[i].option))
                        continue;
                if (found)
                        return ctl_fail(CTL_USAGE, "Only one of %s and %s can be given",
                                        found->option, forms[i].option);
                found = &forms[i];
        }
        *ret = found;
        return CTL_OK;
}

static int refuse(char **ret_error, int r, const Form *f) {
        if (f->bits > 0)
                *ret_error = g_strdup_printf("%s %s of %u bits (%s)",
                                             r == -ERANGE ? "does not fit" : "is no",
                                             datum_type_name(f->type), f->bits, f->option);
        else
                *ret_error = g_strdup_printf("%s %s (%s)", r == -ERANGE ? "does not fit" : "is no",
                                             datum_type_name(f->type), f->option);
        return r;
}

int form_check(const Form *f, const char *text, char **ret_error) {
        int64_t i, limit;
        uint64_t u;
        int r = 0;

        if (f->type == DATUM_UNSIGNED)
                r = parse_u64(text, UINT64_MAX >> (64 - f->bits), &u);
        else if (f->type == DATUM_INTEGER) {
                r = parse_i64(text, &i);
                limit = INT64_MAX >> (64 - f->bits);
                if (r >= 0 && (i > limit || i < -limit - 1))
                        r = -ERANGE;
        }
        return r < 0 ? refuse(ret_error, r, f) : 0;
}

static char *hex_of_text(const char *text) {
        GString *s = g_string_new(NULL);

        for (const char *p = text; *p; p++)
                g_string_append_printf(s, "%02x", (unsigned char) *p);
        return g_string_free(s, FALSE);
}

static bool is_integer(const char *number) {
        return !strpbrk(number, ".eE");
}

int form_format(const Form *f, const cJSON *value, char **ret, char **ret_error) {
        g_autofree char *text = json_text(value);
        bool number = cJSON_IsRaw(value);
        int64_t t;
        int r;

        switch (f->type) {
        case DATUM_OPAQUE:
                if (cJSON_IsString(value))
                        *ret = hex_of_text(value->valuestring);
                else if (json_string(value, "opaque", NULL))
                        *ret = g_steal_pointer(&text);
                else
                        return refuse(ret_error, -EINVAL, f);
                return 0;
        case DATUM_BOOLEAN:
                if (number && strcmp(text, "0") != 0 && strcmp(text, "1") != 0)
                        return refuse(ret_error, -ERANGE, f);
                if (!number && !cJSON_IsBool(value))
                        return refuse(ret_error, -EINVAL, f);
                *ret = g_strdup(cJSON_IsTrue(value) || strcmp(text, "1") == 0 ? "true" : "false");
                return 0;
        case DATUM_UNSIGNED:
        case DATUM_INTEGER:
                if (cJSON_IsBool(value)) {
                        *ret = g_strdup(cJSON_IsTrue(value) ? "1" : "0");
                        return 0;
                }
                if (!number || !is_integer(text))
                        return refuse(ret_error, -EINVAL, f);
                r = form_check(f, text, ret_error);
                if (r == -EINVAL) { /* a minus sign in front of an unsigned one */
                        g_free(*ret_error);
                        return refuse(ret_error, -ERANGE, f);
                }
                if (r < 0)
                        return r;
                break;
        case DATUM_FLOAT:
                if (!number)
                        return refuse(ret_error, -EINVAL, f);
                break;
        case DATUM_TIME:
                if (!number || parse_i64(text, &t) < 0)
                        return refuse(ret_error, -EINVAL, f);
                if (t < -62135596800 || t > 253402300799) /* the years 1 to 9999 */
                        return refuse(ret_error, -ERANGE, f);
                *ret = date_text(t);
                return 0;
        case DATUM_STRING:
        case DATUM_NONE:
        case DATUM_OBJLNK:
        case DATUM_CORELNK:
        case _DATUM_TYPE_MAX:
        default:
                break;
        }
        *ret = g_steal_pointer(&text);
        return 0;
}
