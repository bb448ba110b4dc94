/* SPDX-License-Identifier: Apache-2.0 */
#include "codec_fixture.h"

/* --- encode and decode are inverse, for all types at all levels --- */

static const Format all[] = { FORMAT_TEXT,       FORMAT_OPAQUE,     FORMAT_CBOR,
                              FORMAT_SENML_JSON, FORMAT_SENML_CBOR, FORMAT_TLV,
                              FORMAT_LWM2M_JSON, FORMAT_LWM2M_CBOR };

static char *random_text(GRand *g, size_t max) {
        static const char *const pieces[] = { "a",          "Z",      " ",
                                              "\"",         "\\",     "/",
                                              "\n",         "\t",     "\x01",
                                              "\x7f",       "\u00e9", "\u20ac",
                                              "\U0001f600", "0",      "</3/0>;ver=1.1",
                                              "\u2028" };
        GString *s = g_string_new(NULL);

        for (gint n = g_rand_int_range(g, 0, (gint) max); n > 0; n--)
                g_string_append(s, pieces[g_rand_int_range(g, 0, G_N_ELEMENTS(pieces))]);
        return g_string_free(s, FALSE);
}

static char *random_links(GRand *g) {
        static const char *const pieces[] = { "</3/0>", "</3/0/1>;dim=2", "<>;rt=\"a \\\" b\";obs",
                                              "</1>;ver=1.1;pmin=5" };
        GString *s = g_string_new(NULL);

        for (gint n = g_rand_int_range(g, 0, 5); n > 0; n--)
                g_string_append_printf(s, "%s%s", s->len > 0 ? "," : "",
                                       pieces[g_rand_int_range(g, 0, G_N_ELEMENTS(pieces))]);
        return g_string_free(s, FALSE);
}

static uint64_t random_bits(GRand *g) {
        uint64_t u = (uint64_t) g_rand_int(g) << 32 | g_rand_int(g);

        return u >> g_rand_int_range(g, 0, 64); /* of every length */
}

static double random_double(GRand *g) {
        static const double special[] = { 0,      -1,      0.5,    21.5,
                                          1e300,  -1e-300, 5e-324, 0x1p53,
                                          0x1p64, 0.1,     3.4e38, 1.7976931348623157e308 };
        uint64_t u = random_bits(g);
        double d;

        if (g_rand_boolean(g))
                return special[g_rand_int_range(g, 0, G_N_ELEMENTS(special))];
        memcpy(&d, &u, sizeof(d));
        return isfinite(d) ? d : 0;
}

static Value random_value(GRand *g, ValueType type) {
        Value v = { .type = (uint8_t) type };
        g_autofree char *text = NULL;
        uint8_t bytes[300];

        switch (type) {
        case VALUE_STRING:
                text = random_text(g, 40);
                return value_string(text);
        case VALUE_CORELNK:
                text = random_links(g);
                return value_text(type, text, strlen(text));
        case VALUE_OPAQUE:
                for (size_t i = 0; i < sizeof(bytes); i++)
                        bytes[i] = (uint8_t) g_rand_int(g);
                return value_text(type, bytes, (size_t) g_rand_int_range(g, 0, sizeof(bytes)));
        case VALUE_INTEGER:
        case VALUE_TIME:
                v.i = (int64_t) random_bits(g);
                if (g_rand_boolean(g))
                        v.i = -1 - (v.i & INT64_MAX);
                break;
        case VALUE_UNSIGNED:
                v.u = random_bits(g);
                break;
        case VALUE_FLOAT:
                v.d = random_double(g);
                break;
        case VALUE_BOOLEAN:
                v.b = g_rand_boolean(g);
                break;
        case VALUE_OBJLNK:
                v.link.object = (uint16_t) g_rand_int(g);
                v.link.instance = (uint16_t) g_rand_int(g);
                break;
        case VALUE_NONE:
        case _VALUE_TYPE_MAX:
                break;
        }
        return v;
}

static void add_random(GRand *g, RecordList *l, const Path *p) {
        Value v = random_value(g, fixture_type(NULL, p));

        record_list_add(l, p, &v, RECORD_NO_TIME);
}

static void add_resource(GRand *g, RecordList *l, const Path *p, bool empties) {
        if (!fixture_multiple(NULL, p)) {
                add_random(g, l, p);
                return;
        }
        if (empties && g_rand_int_range(g, 0, 4) == 0)
                record_list_add_path(l, p);
        else
                for (uint16_t id = 0; id < 3; id++)
                        add_random(g, l, &PATH_OIRI(p->id[0], p->id[1], p->id[2], id * id * 150));
}

static void add_instance(GRand *g, RecordList *l, const Path *p, bool empties) {
        size_t before = l->n;

        for (unsigned r = 0; r < 200; r += 100)
                for (unsigned type = 1; type < _VALUE_TYPE_MAX; type++)
                        if (g_rand_int_range(g, 0, 3))
                                add_resource(g, l, &PATH_OIR(p->id[0], p->id[1], r + type),
                                             empties);
        if (l->n == before || (empties && g_rand_int_range(g, 0, 5) == 0)) {
                while (l->n > before)
                        value_clear(&l->v[--l->n].value);
                if (empties)
                        record_list_add_path(l, p);
        }
}

static void add_base(GRand *g, RecordList *l, const Path *base, bool empties) {
        if (base->n == 4)
                add_random(g, l, base);
        else if (base->n == 3)
                add_resource(g, l, base, empties);
        else if (base->n == 2)
                add_instance(g, l, base, empties);
        else
                for (uint16_t i = 0; i < 4; i++)
                        add_instance(g, l, &PATH_OI(9, i * i * i * 100), empties);
}

static void check_inverse(Format f, const Path *base, const RecordList *l) {
        g_autoptr(GByteArray) out = g_byte_array_new(), again = g_byte_array_new();
        g_auto(RecordList) back = { 0 };
        g_autofree char *expected = NULL, *got = NULL;

        assert_int_equal(format_encode(f, base, l->v, l->n, &fixture_schema, out), 0);
        assert_int_equal(format_decode(f, base, out->data, out->len, &fixture_schema,
                                       &fixture_limits, &back, NULL),
                         0);
        expected = list_text(l);
        got = list_text(&back);
        assert_string_equal(got, expected);
        for (size_t i = 0; i < l->n; i++)
                assert_true(value_equal(&l->v[i].value, &back.v[i].value));
        assert_int_equal(format_encode(f, base, back.v, back.n, &fixture_schema, again), 0);
        assert_int_equal(out->len, again->len);
        assert_memory_equal(out->data, again->data, out->len);
}

static void test_inverse(void **state) {
        g_autoptr(GRand) g = g_rand_new_with_seed(20231115);
        unsigned n_checked[G_N_ELEMENTS(all)] = { 0 };

        for (unsigned round = 0; round < 400; round++)
                for (size_t i = 0; i < G_N_ELEMENTS(all); i++)
                        for (uint8_t level = 0; level <= 4; level++) {
                                /* SenML and LwM2M JSON cannot tell of what is empty inside of more.
                                 */
                                bool empties = all[i] == FORMAT_TLV || all[i] == FORMAT_LWM2M_CBOR;
                                uint16_t type = (uint16_t) g_rand_int_range(g, 1, _VALUE_TYPE_MAX);
                                uint16_t id = g_rand_boolean(g) || level == 4 ? type + 100 : type;
                                const Path whole = PATH_OIRI(9, 800, id, 600);
                                Path base = path_prefix(&whole, level);
                                g_auto(RecordList) l = { 0 };

                                if (!format_fits(all[i], &base, level == 3 && id >= 100, type,
                                                 false))
                                        continue;
                                add_base(g, &l, &base, empties);
                                check_inverse(all[i], &base, &l);
                                n_checked[i]++;
                        }
        for (size_t i = 0; i < G_N_ELEMENTS(all); i++)
                assert_true(n_checked[i] >= 20);
}

/* A time series at a resource, and resources with different times, in the formats that carry time.
 */
static void test_inverse_time(void **state) {
        static const Format timed[] = { FORMAT_SENML_JSON, FORMAT_SENML_CBOR, FORMAT_LWM2M_JSON };
        g_autoptr(GRand) g = g_rand_new_with_seed(7);

        for (unsigned round = 0; round < 300; round++) {
                g_auto(RecordList) l = { 0 };
                int64_t time_ns = NOW_NS + g_rand_int_range(g, 0, 1000000000);

                for (uint16_t type = 1; type < _VALUE_TYPE_MAX; type++)
                        for (int i = 0; i < 4; i++) {
                                Value v = random_value(g, type);

                                record_list_add(&l, &PATH_OIR(9, 1, type), &v, time_ns);
                                time_ns += (int64_t) (random_bits(g) >> 12) + 1;
                                if (time_ns > INT64_MAX / 2)
                                        time_ns = NOW_NS;
                        }
                record_list_sort(&l);
                for (size_t i = 0; i < G_N_ELEMENTS(timed); i++)
                        check_inverse(timed[i], &PATH_OI(9, 1), &l);
        }
}

static void test_untimed_takes_last(void **state) {
        g_auto(RecordList) l = { 0 };

        for (int i = 0; i < 3; i++) {
                Value v = { .type = VALUE_INTEGER, .i = i };

                record_list_add(&l, &PATH_OIR(3, 0, 9), &v, NOW_NS + i);
        }
        assert_encodes(FORMAT_TEXT, "/3/0/9", &l, "2");
        assert_encodes_hex(FORMAT_CBOR, "/3/0/9", &l, "02");
        assert_encodes_hex(FORMAT_TLV, "/3/0/9", &l, "c10902");
        assert_encodes_hex(FORMAT_TLV, "/3/0", &l, "c10902");
        assert_encodes_hex(FORMAT_LWM2M_CBOR, "/3/0/9", &l, "a183030009 02");
}

/* --- the rest of the interface --- */

static void test_names(void **state) {
        static const struct {
                unsigned number;
                Format format;
                const char *name;
        } cases[] = { { 0, FORMAT_TEXT, "text" },
                      { 1541, FORMAT_TEXT, "1541" },
                      { 40, FORMAT_LINK, "link" },
                      { 42, FORMAT_OPAQUE, "opaque" },
                      { 60, FORMAT_CBOR, "cbor" },
                      { 110, FORMAT_SENML_JSON, "senml-json" },
                      { 112, FORMAT_SENML_CBOR, "senml-cbor" },
                      { 320, FORMAT_SENML_ETCH_JSON, "320" },
                      { 322, FORMAT_SENML_ETCH_CBOR, "322" },
                      { 11542, FORMAT_TLV, "tlv" },
                      { 1542, FORMAT_TLV, "1542" },
                      { 11543, FORMAT_LWM2M_JSON, "lwm2m-json" },
                      { 1543, FORMAT_LWM2M_JSON, "1543" },
                      { 11544, FORMAT_LWM2M_CBOR, "lwm2m-cbor" } };
        Format f = FORMAT_NONE;

        for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
                assert_int_equal(format_from_number(cases[i].number, &f), 0);
                assert_int_equal(f, cases[i].format);
                assert_int_equal(format_from_name(cases[i].name, &f), 0);
                assert_int_equal(f, cases[i].format);
        }
        assert_string_equal(format_name(FORMAT_SENML_CBOR), "SenML CBOR");
        f = FORMAT_TLV;
        assert_int_equal(format_from_number(50, &f), -ENOTSUP);
        assert_int_equal(format_from_number(65535, &f), -ENOTSUP);
        assert_int_equal(format_from_number(4294967295, &f), -ENOTSUP);
        assert_int_equal(format_from_name("json", &f), -ENOTSUP);
        assert_int_equal(format_from_name("", &f), -ENOTSUP);
        assert_int_equal(f, FORMAT_TLV);
}

static void test_fits(void **state) {
        const Path root = PATH_ROOT, o = PATH_O(3), oi = PATH_OI(3, 0), oir = PATH_OIR(3, 0, 0),
                   oiri = PATH_OIRI(3, 0, 6, 0);

        assert_true(format_fits(FORMAT_TEXT, &oir, false, VALUE_OPAQUE, false));
        assert_true(format_fits(FORMAT_TEXT, &oiri, true, VALUE_INTEGER, false));
        assert_false(format_fits(FORMAT_TEXT, &oir, true, VALUE_INTEGER, false));
        assert_false(format_fits(FORMAT_TEXT, &oi, false, VALUE_NONE, false));
        assert_true(format_fits(FORMAT_OPAQUE, &oir, false, VALUE_OPAQUE, false));
        assert_false(format_fits(FORMAT_OPAQUE, &oir, false, VALUE_STRING, false));
        assert_false(format_fits(FORMAT_CBOR, &o, false, VALUE_NONE, false));
        assert_true(format_fits(FORMAT_CBOR, &oir, false, VALUE_TIME, false));
        assert_false(format_fits(FORMAT_TLV, &root, false, VALUE_NONE, false));
        assert_false(format_fits(FORMAT_TLV, &root, false, VALUE_NONE, true));
        assert_true(format_fits(FORMAT_TLV, &o, false, VALUE_NONE, false));
        assert_true(format_fits(FORMAT_SENML_CBOR, &root, false, VALUE_NONE, true));
        assert_true(format_fits(FORMAT_LWM2M_CBOR, &root, false, VALUE_NONE, true));
        assert_false(format_fits(FORMAT_LWM2M_JSON, &root, false, VALUE_NONE, true));
        assert_true(format_fits(FORMAT_SENML_ETCH_CBOR, &root, false, VALUE_NONE, true));
        assert_false(format_fits(FORMAT_SENML_ETCH_CBOR, &oi, false, VALUE_NONE, false));
        assert_false(format_fits(FORMAT_LINK, &oir, false, VALUE_CORELNK, false));
        assert_false(format_fits(FORMAT_NONE, &oir, false, VALUE_STRING, false));
}

static void test_limits(void **state) {
        static const uint8_t body[] = { 0xc1, 9, 1, 0xc1, 10, 2 };
        const FormatLimits records = { .records = 1 }, bytes = { .bytes = 5 };
        RecordList l = { 0 };
        Path at = PATH_ROOT;

        assert_int_equal(format_decode(FORMAT_TLV, &PATH_OI(3, 0), body, sizeof(body),
                                       &fixture_schema, &records, &l, &at),
                         -E2BIG);
        assert_true(path_equal(&at, &PATH_OIR(3, 0, 10)));
        assert_int_equal(format_decode(FORMAT_TLV, &PATH_OI(3, 0), body, sizeof(body),
                                       &fixture_schema, &bytes, &l, &at),
                         -E2BIG);
        assert_null(l.v);
        assert_int_equal(format_decode(FORMAT_LINK, &PATH_OI(3, 0), "", 0, NULL, NULL, &l, NULL),
                         -ENOTSUP);
        assert_int_equal(format_decode(FORMAT_TEXT, &PATH_OI(3, 0), "", 0, NULL, NULL, &l, NULL),
                         -ENOTSUP);
        assert_int_equal(format_decode_paths(FORMAT_TLV, "", 0, NULL, &l), -ENOTSUP);
}

/* A node cannot hold a value, or nothing, and have children too. */
static void test_overlap(void **state) {
        RecordList l = { 0 };

        assert_int_equal(
                decode_text(
                        FORMAT_SENML_JSON, "/9/0",
                        "[{\"n\":\"/9/0/101/0\",\"vs\":\"a\"},{\"n\":\"/9/0/101\",\"vs\":\"a\"}]",
                        &l),
                -EBADMSG);
        assert_int_equal(decode_text(FORMAT_SENML_JSON, "/9/0",
                                     "[{\"n\":\"/9/0\"},{\"n\":\"/9/0/1\",\"vs\":\"a\"}]", &l),
                         -EBADMSG);
        assert_int_equal(
                decode_hex(FORMAT_LWM2M_CBOR, "/9/0", "a2 83090001 6161 8409000100 6161", &l),
                -EBADMSG);
        assert_null(l.v);
        /* in a list of paths it may be */
        assert_int_equal(format_decode_paths(FORMAT_SENML_JSON, "[{\"n\":\"/9\"},{\"n\":\"/9/0\"}]",
                                             25, NULL, &l),
                         0);
        assert_list(&l, "/9=- /9/0=-");
}

/* A refused body leaves the output as it was. */
static void test_encode_refused(void **state) {
        g_autoptr(GByteArray) out = g_byte_array_new();
        g_auto(RecordList) l = { 0 };

        add(&l, "/9/0/1", VALUE_STRING, "x");
        add(&l, "/9/0/4", VALUE_FLOAT, "NaN");
        g_byte_array_append(out, (const guint8 *) "keep", 4);
        assert_int_equal(encode_list(FORMAT_SENML_JSON, "/9/0", &l, out), -ENOTSUP);
        assert_int_equal(encode_list(FORMAT_LWM2M_JSON, "/9/0", &l, out), -ENOTSUP);
        assert_int_equal(encode_list(FORMAT_TEXT, "/9/0", &l, out), -ENOTSUP);
        assert_int_equal(encode_list(FORMAT_LINK, "/9/0", &l, out), -ENOTSUP);
        assert_int_equal(encode_list(FORMAT_TLV, "/", &l, out), -ENOTSUP);
        assert_int_equal(out->len, 4);
        assert_int_equal(encode_list(FORMAT_SENML_CBOR, "/9/0", &l, out), 0);
        assert_memory_equal(out->data, "keep", 4);
}

static void test_names_instance(void **state) {
        assert_true(format_names_instance(FORMAT_TLV, "\x08\x00", 2));
        assert_false(format_names_instance(FORMAT_TLV, "\xc1\x00\x01", 3));
        assert_false(format_names_instance(FORMAT_TLV, "", 0));
        assert_true(format_names_instance(FORMAT_SENML_JSON, "[]", 2));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_inverse),
                cmocka_unit_test(test_inverse_time),
                cmocka_unit_test(test_untimed_takes_last),
                cmocka_unit_test(test_names),
                cmocka_unit_test(test_fits),
                cmocka_unit_test(test_limits),
                cmocka_unit_test(test_encode_refused),
                cmocka_unit_test(test_overlap),
                cmocka_unit_test(test_names_instance),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
