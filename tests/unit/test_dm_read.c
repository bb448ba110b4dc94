/* SPDX-License-Identifier: Apache-2.0 */
/* Read: response codes, what is left out, formats, and values of applications. */
#include "dm_fixture.h"

#include <errno.h>
#include <string.h>

static void test_codes(void **state) {
        static const struct {
                const char *path;
                int accept;
                uint8_t code;
        } cases[] = {
                { "/", -1, CODE(4, 5) },
                { "/", 40, CODE(4, 5) },
                { "/3", -1, CODE(2, 5) },
                { "/3/0", -1, CODE(2, 5) },
                { "/3/0/0", -1, CODE(2, 5) },
                { "/3/0/7", -1, CODE(2, 5) },
                { "/3/0/7/1", -1, CODE(2, 5) },
                { "/33001", -1, CODE(2, 5) }, /* known, without instances */
                { "/4711", -1, CODE(4, 4) },
                { "/3/1", -1, CODE(4, 4) },
                { "/3/0/4711", -1, CODE(4, 4) },
                { "/3/0/1", -1, CODE(4, 4) }, /* defined, no value */
                { "/3/0/7/2", -1, CODE(4, 4) },
                { "/3/0/0/0", -1, CODE(4, 4) }, /* not a multiple resource */
                { "/3/0/7/1/0", -1, CODE(4, 4) },
                { "/a", -1, CODE(4, 4) },
                { "/3/x", -1, CODE(4, 4) },
                { "/3//0", -1, CODE(4, 4) },
                { "/03", -1, CODE(4, 4) },
                { "/65535", -1, CODE(4, 4) },
                { "/65536", -1, CODE(4, 4) },
                { "/3/-1", -1, CODE(4, 4) },
                { "/3/0/4", -1, CODE(4, 5) },     /* executable */
                { "/33000/0/3", -1, CODE(4, 5) }, /* write-only */
                { "/33000/0/3", 0, CODE(4, 5) },
                { "/3/0/4711", 4711, CODE(4, 4) },
                { "/3/0/4", 4711, CODE(4, 5) },
                { "/0", -1, CODE(4, 1) },
                { "/0/0", -1, CODE(4, 1) },
                { "/0/0/5", -1, CODE(4, 1) },
                { "/0/0", 40, CODE(4, 1) },
                { "/0/77", -1, CODE(4, 1) },
                { "/21/0", -1, CODE(4, 1) },
                { "/3/0/0", 0, CODE(2, 5) },
                { "/3/0/0", 60, CODE(2, 5) },
                { "/3/0/0", 110, CODE(2, 5) },
                { "/3/0/0", 112, CODE(2, 5) },
                { "/3/0/0", 11542, CODE(2, 5) },
                { "/3/0/0", 11543, CODE(2, 5) },
                { "/3/0/0", 11544, CODE(2, 5) },
                { "/3/0/0", 4711, CODE(4, 6) },
                { "/3/0/0", 320, CODE(4, 6) },
                { "/3/0/0", 322, CODE(4, 6) },
                { "/3/0", 0, CODE(4, 6) },
                { "/3/0", 42, CODE(4, 6) },
                { "/3/0", 60, CODE(4, 6) },
                { "/3/0/7", 0, CODE(4, 6) },
                { "/3/0/7/1", 0, CODE(2, 5) },
                { "/3", 0, CODE(4, 6) },
                { "/3303", 110, CODE(2, 5) },
                { "/3303", 11542, CODE(2, 5) },
        };
        Fixture *f = *state;

        for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
                uint8_t code = get(f, cases[i].path, cases[i].accept);

                if (code != cases[i].code)
                        fail_msg("GET %s Accept %d: %u.%02u", cases[i].path, cases[i].accept,
                                 code >> 5, code & 31);
                if (code == CODE(2, 5) && cases[i].accept >= 0)
                        assert_int_equal(fake_last_answer(f->transport)->format, cases[i].accept);
        }
}

/* An error's answer never tells what stands in object 0, nor that something stands there. */
static void test_hidden_is_uniform(void **state) {
        Fixture *f = *state;

        assert_int_equal(get(f, "/0/0/5", -1), CODE(4, 1));
        assert_null(fake_last_answer(f->transport)->payload);
        assert_int_equal(get(f, "/0/0/4711", -1), CODE(4, 1));
        assert_null(fake_last_answer(f->transport)->payload);
}

static void assert_default(Fixture *f, uint8_t minor, const char *path, int format) {
        peer_set_version(f->peer, (Version){ 1, minor });
        assert_int_equal(get(f, path, -1), CODE(2, 5));
        assert_int_equal(fake_last_answer(f->transport)->format, format);
}

static void test_default_format(void **state) {
        Fixture *f = *state;

        put(f, "/33000/0/6", 42, "bytes");
        assert_default(f, 0, "/3/0/0", 11542);
        assert_default(f, 0, "/3/0/7/1", 11542);
        assert_default(f, 0, "/3/0", 11542);
        assert_default(f, 0, "/3", 11542);
        for (uint8_t minor = 1; minor <= 2; minor++) {
                assert_default(f, minor, "/3/0/0", 0);
                assert_default(f, minor, "/3/0/7/1", 0);
                assert_default(f, minor, "/33000/0/6", 42);
                assert_default(f, minor, "/3/0/7", 112);
                assert_default(f, minor, "/3/0", 112);
                assert_default(f, minor, "/3", 112);
        }
}

static void test_text(void **state) {
        Fixture *f = *state;

        get(f, "/3/0/0", 0);
        assert_string_equal(answer_text(f), "ACME");
        get(f, "/3303/0/5700", 0);
        assert_string_equal(answer_text(f), "21.5");
        get(f, "/3/0/7/1", 0);
        assert_string_equal(answer_text(f), "5000");
}

static void test_tlv(void **state) {
        static const uint8_t power[] = { 0x88, 0x07, 0x08, 0x42, 0x00, 0x0e,
                                         0xd8, 0x42, 0x01, 0x13, 0x88 };
        Fixture *f = *state;
        gsize n;
        const void *data;

        assert_int_equal(get(f, "/3/0/7", 11542), CODE(2, 5));
        data = g_bytes_get_data(fake_last_answer(f->transport)->payload, &n);
        assert_int_equal(n, sizeof(power));
        assert_memory_equal(data, power, n);
}

/* The write-only and the executable are left out, the computed is in, a multiple resource comes
 * with its instances. */
static void test_instance(void **state) {
        Fixture *f = *state;

        assert_int_equal(put(f, "/33000/0/3", 0, "hidden"), CODE(2, 4));
        assert_int_equal(get(f, "/33000/0", 110), CODE(2, 5));
        assert_non_null(strstr(answer_text(f), "\"8\""));
        assert_non_null(strstr(answer_text(f), "1000"));
        assert_non_null(strstr(answer_text(f), "5/3"));
        assert_null(strstr(answer_text(f), "hidden"));
        assert_true(strstr(answer_text(f), "5/3") < strstr(answer_text(f), "\"8\"")); /* in order */
}

static void test_empty(void **state) {
        Fixture *f = *state;

        create(f, "/33001/0");
        assert_int_equal(get(f, "/33001/0", 11542), CODE(2, 5));
        assert_int_equal(get(f, "/33001", 11542), CODE(2, 5)); /* an instance, and nothing in it */
        assert_int_equal(g_bytes_get_size(fake_last_answer(f->transport)->payload), 2);
        assert_int_equal(get(f, "/33001", 110), CODE(2, 5));
        assert_string_equal(answer_text(f), "[]");
}

/* --- values of applications --- */
static RecordList record(const char *path, Value v) {
        RecordList l = { .v = NULL };
        Path p;

        assert_int_equal(path_parse(path, &p), 0);
        record_list_add(&l, &p, &v, RECORD_NO_TIME);
        return l;
}

static void test_app_single(void **state) {
        g_auto(RecordList) l = record("/3303/0/5700", (Value){ .type = VALUE_INTEGER, .i = 30 });
        Fixture *f = *state;

        fake_apps_claim(f->apps, "/3303/0", APP_READ);
        assert_int_equal(get(f, "/3303/0/5700", 0), 0);
        assert_string_equal(fake_apps_last(f->apps)->what, "/3303/0/5700");
        assert_int_equal(fake_apps_last(f->apps)->ssid, 1);
        fake_app_answer(fake_apps_last(f->apps), 0, NULL, &l, f->now);
        assert_int_equal(fake_last_answer(f->transport)->code, CODE(2, 5));
        assert_string_equal(answer_text(f), "30"); /* an Integer for a Float is exact */
}

static void test_app_errors(void **state) {
        static const struct {
                int error;
                uint8_t code;
        } cases[] = {
                { -ENOENT, CODE(4, 4) },  { -EPERM, CODE(4, 5) },     { -EACCES, CODE(4, 1) },
                { -EBUSY, CODE(5, 3) },   { -ETIMEDOUT, CODE(5, 3) }, { -EHOSTUNREACH, CODE(5, 3) },
                { -ENOTSUP, CODE(5, 1) }, { -EIO, CODE(5, 0) },
        };
        g_auto(RecordList) wrong = record("/3303/0/5700", value_string("warm")),
                           none = { .v = NULL };
        Fixture *f = *state;

        fake_apps_claim(f->apps, "/3303/0", APP_READ);
        for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
                assert_int_equal(get(f, "/3303/0/5700", 0), 0);
                fake_app_answer(fake_apps_last(f->apps), cases[i].error, "because", NULL, f->now);
                assert_int_equal(fake_last_answer(f->transport)->code, cases[i].code);
                assert_string_equal(answer_text(f), "because");
        }
        get(f, "/3303/0/5700", 0);
        fake_app_answer(fake_apps_last(f->apps), 0, NULL, &wrong, f->now);
        assert_int_equal(fake_last_answer(f->transport)->code, CODE(5, 0));
        get(f, "/3303/0/5700", 0);
        fake_app_answer(fake_apps_last(f->apps), 0, NULL, &none, f->now);
        assert_int_equal(fake_last_answer(f->transport)->code, CODE(4, 4));
}

/* One question for all that is asked, and what the tree has no value for is asked, too. */
static void test_app_multi(void **state) {
        g_auto(RecordList) l = record("/3303/1/5700", (Value){ .type = VALUE_FLOAT, .d = 31.5 });
        Fixture *f = *state;
        Path p = PATH_OIR(3303, 0, 5601);
        Value v = { .type = VALUE_FLOAT, .d = -4.5 };

        record_list_add(&l, &p, &v, RECORD_NO_TIME);
        fake_apps_claim(f->apps, "/3303/0/5601", APP_READ);
        fake_apps_claim(f->apps, "/3303/1/5700", APP_READ);
        assert_int_equal(get(f, "/3303", 110), 0);
        assert_int_equal(f->apps->calls->len, 1);
        assert_string_equal(fake_apps_last(f->apps)->what, "/3303/0/5601 /3303/1/5700");
        set_float(f, "/3303/0/5700", 19.5); /* what changes meanwhile is told as it is at the end */
        fake_app_answer(fake_apps_last(f->apps), 0, NULL, &l, f->now);
        assert_non_null(strstr(answer_text(f), "-4.5"));
        assert_non_null(strstr(answer_text(f), "19.5"));
        assert_non_null(strstr(answer_text(f), "31.5"));
        assert_null(strstr(answer_text(f), "22.5"));
        assert_true(strstr(answer_text(f), "-4.5") < strstr(answer_text(f), "19.5"));
}

static void test_app_limit(void **state) {
        Fixture *f = *state;

        fake_apps_claim(f->apps, "/3303", APP_READ);
        for (int i = 0; i < 3; i++)
                assert_int_equal(get(f, "/3303/0/5700", 0), 0);
        assert_int_equal(get(f, "/3303/0/5700", 0), CODE(5, 3));
        assert_int_equal(get(f, "/3/0/0", 0), CODE(2, 5)); /* nobody to be asked */
        fake_app_answer(f->apps->calls->pdata[0], -EBUSY, NULL, NULL, f->now);
        assert_int_equal(get(f, "/3303/0/5700", 0), 0);
        peer_free(f->peer); /* 5.03 to all that wait */
        f->peer = NULL;
        assert_int_equal(f->transport->n_exchanges, 0);
        assert_int_equal(fake_last_answer(f->transport)->code, CODE(5, 3));
        assert_true(fake_apps_last(f->apps)->cancelled);
}

/* --- local --- */
typedef struct Local {
        int error;
        unsigned n;
        char *text;
} Local;

static void on_local(void *userdata, int error, const char *text, const RecordList *records,
                     uint64_t now_usec) {
        Local *l = userdata;

        l->n++;
        l->error = error;
        g_free(l->text);
        l->text = records && records->n > 0 ? value_format(&records->v[0].value) : NULL;
}

static void test_local(void **state) {
        g_auto(RecordList) r = record("/3303/0/5700", (Value){ .type = VALUE_FLOAT, .d = 1.5 });
        Fixture *f = *state;
        Local l = { .n = 0 };

        assert_int_equal(dm_read(f->dm, &PATH_OIR(33000, 0, 8), on_local, &l, f->now), 0);
        assert_int_equal(l.n, 0); /* never inside */
        pass(f, 0);
        assert_int_equal(l.n, 1);
        assert_string_equal(l.text, "1000");
        assert_int_equal(dm_read(f->dm, &PATH_OIR(3, 0, 1), on_local, &l, f->now), -ENOENT);
        assert_int_equal(dm_read(f->dm, &PATH_OIR(0, 0, 5), on_local, &l, f->now), -EACCES);
        fake_apps_claim(f->apps, "/3303/0", APP_READ);
        assert_int_equal(dm_read(f->dm, &PATH_OIR(3303, 0, 5700), on_local, &l, f->now), 0);
        assert_int_equal(fake_apps_last(f->apps)->ssid, 0);
        fake_app_answer(fake_apps_last(f->apps), 0, NULL, &r, f->now);
        assert_int_equal(l.n, 2);
        assert_string_equal(l.text, "1.5");
        g_free(l.text);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                DM_TEST(test_codes),
                DM_TEST(test_hidden_is_uniform),
                DM_TEST(test_default_format),
                DM_TEST(test_text),
                DM_TEST(test_tlv),
                DM_TEST(test_instance),
                DM_TEST(test_empty),
                DM_TEST(test_app_single),
                DM_TEST(test_app_errors),
                DM_TEST(test_app_multi),
                DM_TEST(test_app_limit),
                DM_TEST(test_local),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
