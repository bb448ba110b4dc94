/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "ctl/ctl.h"
#include "ctl/datum.h"
#include "ctl/form.h"
#include "ctl/json.h"

static void test_path(void **state) {
        static const struct {
                const char *text;
                int r;
                unsigned n;
                const char *out;
        } cases[] = {
                { "/", 0, 0, "/" },
                { "", 0, 0, "/" },
                { "/3303/0/5700", 0, 3, "/3303/0/5700" },
                { "3/0/7/65534", 0, 4, "/3/0/7/65534" },
                { "/3/", -EINVAL, 0, NULL },
                { "//3", -EINVAL, 0, NULL },
                { "/3/0/7/0/1", -EINVAL, 0, NULL },
                { "/3/0/7/0/1/2/3", -EINVAL, 0, NULL },
                { "/3/-1", -EINVAL, 0, NULL },
                { "/3/x", -EINVAL, 0, NULL },
                { "/65535", -ERANGE, 0, NULL },
                { "/65536", -ERANGE, 0, NULL },
        };

        for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
                CtlPath p = { .n = 9 };
                g_autofree char *text = NULL;

                assert_int_equal(ctl_path_parse(cases[i].text, &p), cases[i].r);
                if (cases[i].r < 0) {
                        assert_int_equal(p.n, 9);
                        continue;
                }
                assert_int_equal(p.n, cases[i].n);
                text = ctl_path_text(&p);
                assert_string_equal(text, cases[i].out);
        }
}

static Datum parse(DatumType type, const char *text) {
        g_autofree char *error = NULL;
        Datum d = { 0 };

        assert_int_equal(datum_parse(type, text, &d, &error), 0);
        assert_int_equal(d.type, type);
        return d;
}

static void test_values(void **state) {
        Datum d;

        assert_true(parse(DATUM_INTEGER, "-9223372036854775808").i == INT64_MIN);
        assert_true(parse(DATUM_UNSIGNED, "18446744073709551615").u == UINT64_MAX);
        assert_true(parse(DATUM_FLOAT, "-1.5e3").d == -1500);
        assert_true(parse(DATUM_BOOLEAN, "on").b);
        assert_false(parse(DATUM_BOOLEAN, "0").b);
        assert_true(parse(DATUM_TIME, "-5").i == -5);
        assert_true(parse(DATUM_TIME, "2025-11-24T16:00:00Z").i == 1764000000);
        assert_true(parse(DATUM_TIME, "2025-11-24T18:00:00+02:00").i == 1764000000);
        assert_true(parse(DATUM_TIME, "now").i > 1764000000);
        d = parse(DATUM_OBJLNK, "3303:65535");
        assert_int_equal(d.link.object, 3303);
        assert_int_equal(d.link.instance, 65535);
        d = parse(DATUM_STRING, "{\"=,}");
        assert_string_equal(d.text, "{\"=,}");
        datum_clear(&d);
        assert_int_equal(d.type, DATUM_NONE);
}

static void test_opaque(void **state) {
        static const char *const texts[] = { "hex:6869", "6869", "base64:aGk=", "text:hi" };
        Datum d;

        for (size_t i = 0; i < G_N_ELEMENTS(texts); i++) {
                gsize n;

                d = parse(DATUM_OPAQUE, texts[i]);
                assert_memory_equal(g_bytes_get_data(d.bytes, &n), "hi", 2);
                assert_int_equal(n, 2);
                datum_clear(&d);
        }
        d = parse(DATUM_OPAQUE, "");
        assert_int_equal(g_bytes_get_size(d.bytes), 0);
        datum_clear(&d);
}

static void test_values_refused(void **state) {
        static const struct {
                DatumType type;
                const char *text;
        } cases[] = {
                { DATUM_INTEGER, "" },
                { DATUM_INTEGER, "1.0" },
                { DATUM_INTEGER, "0x10" },
                { DATUM_INTEGER, "9223372036854775808" },
                { DATUM_UNSIGNED, "-1" },
                { DATUM_UNSIGNED, "18446744073709551616" },
                { DATUM_FLOAT, "nan" },
                { DATUM_FLOAT, "1,5" },
                { DATUM_FLOAT, "" },
                { DATUM_BOOLEAN, "2" },
                { DATUM_TIME, "yesterday" },
                { DATUM_TIME, "2025-11-24T16:00:00" },
                { DATUM_OPAQUE, "abc" },
                { DATUM_OPAQUE, "zz" },
                { DATUM_OPAQUE, "base64:a" },
                { DATUM_OPAQUE, "base64:a===" },
                { DATUM_OPAQUE, "base64:aG*=" },
                { DATUM_OPAQUE, "base64:aGl=" }, /* bits that stand for nothing */
                { DATUM_OBJLNK, "3303" },
                { DATUM_OBJLNK, "3303:" },
                { DATUM_OBJLNK, "65536:0" },
                { DATUM_STRING, "\xff" },
                { DATUM_NONE, "x" },
        };

        for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
                g_autofree char *error = NULL;
                Datum d = { 0 };
                int r = datum_parse(cases[i].type, cases[i].text, &d, &error);

                assert_true(r == -EINVAL || r == -ERANGE);
                assert_non_null(error);
                assert_int_equal(d.type, DATUM_NONE);
        }
}

static void test_opaque_limit(void **state) {
        g_autofree char *text = g_malloc(2 * DATUM_OPAQUE_MAX + 3), *error = NULL;
        Datum d = { 0 };

        memset(text, '0', 2 * DATUM_OPAQUE_MAX + 2);
        text[2 * DATUM_OPAQUE_MAX] = '\0';
        assert_int_equal(datum_parse(DATUM_OPAQUE, text, &d, &error), 0);
        datum_clear(&d);
        text[2 * DATUM_OPAQUE_MAX] = '0';
        text[2 * DATUM_OPAQUE_MAX + 2] = '\0';
        assert_int_equal(datum_parse(DATUM_OPAQUE, text, &d, &error), -E2BIG);
}

static void test_multiple(void **state) {
        g_autoptr(GArray) items = NULL;
        g_autofree char *error = NULL;

        assert_int_equal(
                datum_parse_multiple(DATUM_STRING, "{7=\"a,}\\\"\\\\b\",0=,2=x=y}", &items, &error),
                0);
        assert_int_equal(items->len, 3);
        assert_int_equal(g_array_index(items, DatumItem, 0).id, 0);
        assert_string_equal(g_array_index(items, DatumItem, 0).value.text, "");
        assert_string_equal(g_array_index(items, DatumItem, 1).value.text, "x=y");
        assert_int_equal(g_array_index(items, DatumItem, 2).id, 7);
        assert_string_equal(g_array_index(items, DatumItem, 2).value.text, "a,}\"\\b");
        g_clear_pointer(&items, g_array_unref);
        assert_int_equal(datum_parse_multiple(DATUM_INTEGER, "{}", &items, &error), 0);
        assert_int_equal(items->len, 0);
}

static void test_multiple_refused(void **state) {
        static const char *const texts[] = {
                "",          "1",         "{",      "{0",         "{0=",     "{0=1",
                "{0=1,",     "{0=1,}",    "{0=1}x", "{=1}",       "{a=1}",   "{0=x}",
                "{0=1,0=2}", "{65535=1}", "{0=\"1", "{0=\"1\"2}", "{0={1}}", "{,}",
        };

        for (size_t i = 0; i < G_N_ELEMENTS(texts); i++) {
                g_autofree char *error = NULL;
                GArray *items = NULL;

                assert_int_equal(datum_parse_multiple(DATUM_INTEGER, texts[i], &items, &error),
                                 -EINVAL);
                assert_non_null(error);
                assert_null(items);
        }
}

static void test_type_names(void **state) {
        for (int t = DATUM_STRING; t < _DATUM_TYPE_MAX; t++)
                assert_int_equal(datum_type_parse(datum_type_name((DatumType) t)), t);
        assert_int_equal(datum_type_parse(""), DATUM_NONE);
        assert_int_equal(datum_type_parse("none"), DATUM_NONE);
}

static const Form *form_of(const char *option) {
        static const Option *const tables[] = { read_options, NULL };
        char *argv[] = { (char *) option };
        g_autofree char *error = NULL;
        g_auto(Args) a = { 0 };
        const Form *form = NULL;

        assert_int_equal(args_parse(tables, 1, argv, false, &a, NULL, &error), 0);
        assert_int_equal(form_option(&a, &form), CTL_OK);
        assert_non_null(form);
        return form;
}

static void test_forms(void **state) {
        static const struct {
                const char *option, *json, *text;
                int r;
        } cases[] = {
                { "-u8", "255", "255", 0 },
                { "-u8", "256", NULL, -ERANGE },
                { "-u8", "-1", NULL, -ERANGE },
                { "-u64", "18446744073709551615", "18446744073709551615", 0 },
                { "-s8", "-128", "-128", 0 },
                { "-s8", "-129", NULL, -ERANGE },
                { "-s8", "128", NULL, -ERANGE },
                { "-s64", "-9223372036854775808", "-9223372036854775808", 0 },
                { "-s64", "1.5", NULL, -EINVAL },
                { "-s64", "\"1\"", NULL, -EINVAL },
                { "-s32", "true", "1", 0 },
                { "-b", "1", "true", 0 },
                { "-b", "2", NULL, -ERANGE },
                { "-b", "false", "false", 0 },
                { "-b", "\"true\"", NULL, -EINVAL },
                { "-f", "21.5", "21.5", 0 },
                { "-f", "true", NULL, -EINVAL },
                { "-t", "1764000000", "2025-11-24T16:00:00Z", 0 },
                { "-t", "99999999999999", NULL, -ERANGE },
                { "-x", "\"AZ\"", "415a", 0 },
                { "-x", "{\"opaque\":\"AAE=\"}", "0001", 0 },
                { "-x", "1", NULL, -EINVAL },
                { "-s", "\"AZ\"", "AZ", 0 },
                { "-s", "{\"objlnk\":\"1:2\"}", "1:2", 0 },
        };

        for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
                g_autofree char *text = NULL, *error = NULL;
                g_autoptr(cJSON) value = NULL;

                /* Numbers come from the bus as raw text, so that no digit is lost. */
                if (g_ascii_isdigit(cases[i].json[0]) || cases[i].json[0] == '-')
                        value = cJSON_CreateRaw(cases[i].json);
                else
                        value = cJSON_Parse(cases[i].json);
                assert_int_equal(form_format(form_of(cases[i].option), value, &text, &error),
                                 cases[i].r);
                if (cases[i].r == 0)
                        assert_string_equal(text, cases[i].text);
                else
                        assert_non_null(error);
        }
}

static void test_form_check(void **state) {
        g_autofree char *error = NULL;

        assert_int_equal(form_check(form_of("-s16"), "-32768", &error), 0);
        assert_int_equal(form_check(form_of("-s16"), "-32769", &error), -ERANGE);
        g_clear_pointer(&error, g_free);
        assert_int_equal(form_check(form_of("-u32"), "4294967296", &error), -ERANGE);
        g_clear_pointer(&error, g_free);
        assert_int_equal(form_check(form_of("-u32"), "x", &error), -EINVAL);
}

static void test_text(void **state) {
        static const struct {
                const char *json, *text;
        } cases[] = {
                { "\"a\\nb\\u001b[31m\\u009b\"", "a\\x0ab\\x1b[31m\\xc2\\x9b" },
                { "\"\xc3\xa4\"", "\xc3\xa4" },
                { "{\"opaque\":\"\"}", "" },
                { "{\"0\":true,\"1\":\"a,\\\"\"}", "{0=true,1=\"a,\\\"\"}" },
                { "[]", "[]" },
                { "null", "-" },
        };
        char number[40];

        for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
                g_autoptr(cJSON) value = cJSON_Parse(cases[i].json);
                g_autofree char *text = json_text(value);

                assert_string_equal(text, cases[i].text);
        }
        double_text(0.1, number);
        assert_string_equal(number, "0.1");
        double_text(1.0 / 3, number);
        assert_true(g_ascii_strtod(number, NULL) == 1.0 / 3);
        assert_int_equal(opaque_length("AAECAwQ="), 5);
        assert_int_equal(opaque_length(""), 0);
        assert_int_equal(opaque_length("AA=="), 1);
}

static void test_exit_codes(void **state) {
        assert_int_equal(ctl_error_code(BUS_ERROR("NotFound")), CTL_NOT_FOUND);
        assert_int_equal(ctl_error_code(SD_BUS_ERROR_ACCESS_DENIED), CTL_DENIED);
        assert_int_equal(ctl_error_code(SD_BUS_ERROR_SERVICE_UNKNOWN), CTL_ABSENT);
        assert_int_equal(ctl_error_code("org.freedesktop.DBus.Error.Spawn.ChildExited"),
                         CTL_ABSENT);
        assert_int_equal(ctl_error_code(SD_BUS_ERROR_NO_REPLY), CTL_TIMEOUT);
        assert_int_equal(ctl_error_code(BUS_ERROR("InvalidValue")), CTL_FAILED);
        assert_int_equal(ctl_error_code(NULL), CTL_FAILED);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_path),
                cmocka_unit_test(test_values),
                cmocka_unit_test(test_opaque),
                cmocka_unit_test(test_values_refused),
                cmocka_unit_test(test_opaque_limit),
                cmocka_unit_test(test_multiple),
                cmocka_unit_test(test_multiple_refused),
                cmocka_unit_test(test_type_names),
                cmocka_unit_test(test_forms),
                cmocka_unit_test(test_form_check),
                cmocka_unit_test(test_text),
                cmocka_unit_test(test_exit_codes),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
