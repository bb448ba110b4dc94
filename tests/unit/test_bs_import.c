/* SPDX-License-Identifier: Apache-2.0 */
/* Accounts that come with the device: in every format, whole or not at all. */
#include "client_fixture.h"

#include <errno.h>
#include <string.h>

#include "codec/format.h"
#include "lwm2m/bootstrap/bs_card.h"
#include "lwm2m/bootstrap/bs_import.h"

#define ACCOUNT                                                                                    \
        "[{\"bn\":\"/0/0/\",\"n\":\"0\",\"vs\":\"coap://a.example\"},{\"n\":\"1\",\"vb\":false},"  \
        "{\"n\":\"2\",\"v\":3},{\"n\":\"10\",\"v\":5},{\"bn\":\"/1/0/\",\"n\":\"0\",\"v\":5},"     \
        "{\"n\":\"1\",\"v\":60},{\"n\":\"6\",\"vb\":true},{\"n\":\"7\",\"vs\":\"U\"}]"
#define BOOTSTRAP_ALONE                                                                            \
        "[{\"bn\":\"/0/0/\",\"n\":\"0\",\"vs\":\"coap://b.example\"},{\"n\":\"1\",\"vb\":true},"   \
        "{\"n\":\"2\",\"v\":3}]"

typedef struct Device {
        Schema *schema;
        Tree *tree;
} Device;

static void on_bad(void *userdata, const char *text) {
        fail_msg("%s", text);
}

static int setup(void **state) {
        Device *d = g_new0(Device, 1);

        d->schema = schema_new();
        schema_set_release(d->schema, (Version){ 1, 1 });
        schema_add_directory(d->schema, g_getenv("LWM2MD_OBJECTS"), on_bad, NULL);
        d->tree = tree_new(d->schema);
        *state = d;
        return 0;
}

static int teardown(void **state) {
        Device *d = *state;

        tree_free(d->tree);
        schema_free(d->schema);
        g_free(d);
        return 0;
}

static int import(Device *d, const BsImport *parts, size_t n, char **ret_error) {
        return bs_import(d->tree, parts, n, &(BsLimits){ 0 }, 1700000000, ret_error);
}

static int import_text(Device *d, const char *text, char **ret_error) {
        g_autoptr(GBytes) data = g_bytes_new_static(text, strlen(text));
        BsImport part = { .name = "pack", .base = PATH_ROOT, .data = data };

        assert_int_equal(bs_import_format(data, &part.format), 0);
        return import(d, &part, 1, ret_error);
}

static int64_t number_at(const Device *d, Path p) {
        const Value *v;

        assert_int_equal(tree_get(d->tree, &p, &v), 0);
        return v->i;
}

static void test_format_is_seen(void **state) {
        static const struct {
                const char *bytes;
                size_t n;
                int format;
        } cases[] = {
                { "[]", 2, FORMAT_SENML_JSON },
                { " \n[]", 4, FORMAT_SENML_JSON },
                { "\x80", 1, FORMAT_SENML_CBOR },
                { "\x9f\xff", 2, FORMAT_SENML_CBOR },
                { "\xa0", 1, FORMAT_LWM2M_CBOR },
                { "\xbf\xff", 2, FORMAT_LWM2M_CBOR },
                { "", 0, -EBADMSG },
                { "  ", 2, -EBADMSG },
                { "{\"e\":[]}", 8, -EBADMSG },
                { "\xc8\x00", 2, -EBADMSG },
        };

        for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
                g_autoptr(GBytes) data = g_bytes_new_static(cases[i].bytes, cases[i].n);
                Format f = FORMAT_NONE;
                int r = bs_import_format(data, &f);

                assert_int_equal(r < 0 ? r : (int) f, cases[i].format);
        }
}

static void test_account(void **state) {
        g_autofree char *why = NULL;
        Device *d = *state;

        assert_int_equal(import_text(d, ACCOUNT, &why), 0);
        assert_int_equal(number_at(d, PATH_OIR(1, 0, 1)), 60);
        assert_int_equal(number_at(d, PATH_OIR(1, 0, 12)), 1700000000);
        /* Again, with another lifetime: the objects in it are replaced. */
        assert_int_equal(import_text(d,
                                     "[{\"n\":\"/1/0/1\",\"v\":90},{\"n\":\"/1/0/0\",\"v\":5},"
                                     "{\"n\":\"/1/0/6\",\"vb\":true},"
                                     "{\"n\":\"/1/0/7\",\"vs\":\"U\"}]",
                                     &why),
                         0);
        assert_int_equal(number_at(d, PATH_OIR(1, 0, 1)), 90);
}

static void test_tlv_parts(void **state) {
        static const uint8_t security[] = { 0x08, 0x00, 0x1c, 0xc8, 0x00, 0x10, 'c',  'o',
                                            'a',  'p',  ':',  '/',  '/',  'a',  '.',  'e',
                                            'x',  'a',  'm',  'p',  'l',  'e',  0xc1, 0x01,
                                            0x00, 0xc1, 0x02, 0x03, 0xc1, 0x0a, 0x05 };
        static const uint8_t server[] = { 0x08, 0x02, 0x0c, 0xc1, 0x00, 0x05, 0xc1, 0x01,
                                          0x3c, 0xc1, 0x06, 0x01, 0xc1, 0x07, 'U' };
        g_autoptr(GBytes) zero = g_bytes_new_static(security, sizeof(security));
        g_autoptr(GBytes) one = g_bytes_new_static(server, sizeof(server));
        const BsImport parts[] = {
                { .name = "0.tlv", .base = PATH_O(0), .format = FORMAT_TLV, .data = zero },
                { .name = "1.tlv", .base = PATH_O(1), .format = FORMAT_TLV, .data = one },
        };
        g_autofree char *why = NULL;
        Device *d = *state;

        if (import(d, parts, 2, &why) < 0)
                fail_msg("%s", why);
        assert_int_equal(number_at(d, PATH_OIR(1, 2, 1)), 60);
        assert_int_equal(number_at(d, PATH_OIR(0, 0, 10)), 5);
}

static void test_bootstrap_server_alone(void **state) {
        g_autofree char *why = NULL;
        Device *d = *state;

        assert_int_equal(import_text(d, BOOTSTRAP_ALONE, &why), 0);
        assert_int_equal(tree_n_instances(d->tree, 0), 1);
}

static void test_bad_changes_nothing(void **state) {
        static const struct {
                const char *text, *why;
        } cases[] = {
                { "[{", "pack: malformed SenML JSON" },
                { "[]", "no server to register with is left" },
                { "[{\"n\":\"/31000/0/0\",\"v\":1}]", "pack: /31000: the object is not supported" },
                { "[{\"n\":\"/1/0/0\",\"v\":70000}]", "pack: /1/0/0: out of range" },
                { "[{\"n\":\"/1/0/1\",\"vs\":\"x\"}]", "pack: /1/0/1: Invalid argument" },
                { "[{\"n\":\"/1/0/0\",\"v\":5}]", "/1/0/1: the mandatory Lifetime is missing" },
        };

        for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
                g_autofree char *why = NULL;

                assert_true(import_text(*state, cases[i].text, &why) < 0);
                assert_string_equal(why, cases[i].why);
                assert_int_equal(tree_n_instances(((Device *) *state)->tree, -1), 0);
        }
}

/* Every prefix of a good file is refused, and leaves nothing behind. */
static void test_truncated(void **state) {
        Device *d = *state;

        for (size_t n = 1; n < strlen(ACCOUNT); n++) {
                g_autofree char *text = g_strndup(ACCOUNT, n), *why = NULL;

                assert_true(import_text(d, text, &why) < 0);
                assert_non_null(why);
                assert_int_equal(tree_n_instances(d->tree, -1), 0);
        }
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

static void test_card(void **state) {
        static const uint8_t file[] = {
                0,   2,   0,   17,                      /* two objects, 17 bytes */
                0,   0,   0,   0,  4, 0x08, 1, 1, 0x55, /* /0, no version */
                0,   1,   1,   1,  0, 2,    9, 9,       /* /1 in 1.1 */
                255, 255, 255,                          /* as erased */
        };
        BsCardObject objects[BS_CARD_OBJECTS_MAX];

        assert_true(bs_card_is_one(file, sizeof(file)));
        assert_int_equal(bs_card_read(file, sizeof(file), objects), 2);
        assert_int_equal(objects[0].id, 0);
        assert_int_equal(objects[0].version.major, 0);
        assert_ptr_equal(objects[0].instances.pos, file + 9);
        assert_int_equal(objects[0].instances.left, 4);
        assert_int_equal(objects[1].id, 1);
        assert_int_equal(objects[1].version.major, 1);
        assert_int_equal(objects[1].version.minor, 1);
        assert_ptr_equal(objects[1].instances.pos, file + 19);
        assert_int_equal(objects[1].instances.left, 2);
        for (size_t n = 0; n < 4 + 17; n++) { /* cut anywhere */
                g_autofree uint8_t *part = g_memdup2(file, MAX(n, 1));

                assert_int_equal(bs_card_read(part, n, objects), -EBADMSG);
        }
}

static void test_bad_card(void **state) {
        static const uint8_t twice[] = { 0, 2, 0, 10, 0, 5, 0, 0, 0, 0, 5, 0, 0, 0 },
                             rest[] = { 0, 1, 0, 6, 0, 5, 0, 0, 0, 7 },
                             reserved[] = { 0, 1, 0, 5, 255, 255, 0, 0, 0 },
                             many[] = { 0, 33, 0, 0 };
        BsCardObject objects[BS_CARD_OBJECTS_MAX];

        assert_int_equal(bs_card_read(twice, sizeof(twice), objects), -EEXIST);
        assert_int_equal(bs_card_read(rest, sizeof(rest), objects), -EBADMSG);
        assert_int_equal(bs_card_read(reserved, sizeof(reserved), objects), -EBADMSG);
        assert_int_equal(bs_card_read(many, sizeof(many), objects), -E2BIG);
        assert_false(bs_card_is_one((const uint8_t *) "[{}]", 4));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_card),
                cmocka_unit_test(test_bad_card),
                cmocka_unit_test(test_format_is_seen),
                T(test_account),
                T(test_tlv_parts),
                T(test_bootstrap_server_alone),
                T(test_bad_changes_nothing),
                T(test_truncated),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
