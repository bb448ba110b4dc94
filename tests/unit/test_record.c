/* SPDX-License-Identifier: Apache-2.0 */
#include "codec_fixture.h"

static void add_at(RecordList *l, Path p, int64_t i, int64_t time_ns) {
        Value v = { .type = VALUE_INTEGER, .i = i };

        record_list_add(l, &p, &v, time_ns);
        assert_int_equal(v.type, VALUE_NONE);
}

static void test_add_and_clear(void **state) {
        RecordList l = { 0 };
        Value v = value_string("abc");

        record_list_add(&l, &PATH_OIR(3, 0, 0), &v, 5);
        record_list_add_path(&l, &PATH_OI(3, 1));
        assert_int_equal(l.n, 2);
        assert_string_equal(l.v[0].value.data, "abc");
        assert_int_equal(l.v[0].time_ns, 5);
        assert_int_equal(l.v[1].value.type, VALUE_NONE);
        assert_true(l.v[1].time_ns == RECORD_NO_TIME);
        record_list_clear(&l);
        assert_null(l.v);
        assert_int_equal(l.n, 0);
        record_list_clear(&l);
}

static void test_sort(void **state) {
        g_auto(RecordList) l = { 0 };

        record_list_sort(&l);
        add_at(&l, PATH_OIR(3, 0, 9), 1, 20);
        add_at(&l, PATH_OIRI(3, 0, 6, 1), 2, RECORD_NO_TIME);
        add_at(&l, PATH_OIR(3, 0, 9), 3, 10);
        add_at(&l, PATH_OIR(3, 0, 9), 4, 10); /* stable: stays behind 3 */
        add_at(&l, PATH_OIR(1, 9, 9), 5, 99);
        add_at(&l, PATH_OIR(3, 0, 9), 6, RECORD_NO_TIME);
        record_list_sort(&l);
        assert_list(&l,
                    "/1/9/9=i5@99 /3/0/6/1=i2 /3/0/9=i6 /3/0/9=i3@10 /3/0/9=i4@10 /3/0/9=i1@20");
}

static void test_sort_large(void **state) {
        g_autoptr(GRand) g = g_rand_new_with_seed(3);
        g_auto(RecordList) l = { 0 };

        for (int i = 0; i < 5000; i++)
                add_at(&l,
                       PATH_OIR(g_rand_int_range(g, 0, 9), g_rand_int_range(g, 0, 9),
                                g_rand_int_range(g, 0, 9)),
                       i, RECORD_NO_TIME);
        record_list_sort(&l);
        for (size_t i = 1; i < l.n; i++) {
                int r = path_compare(&l.v[i - 1].path, &l.v[i].path);

                assert_true(r < 0 || (r == 0 && l.v[i - 1].value.i < l.v[i].value.i));
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_add_and_clear),
                cmocka_unit_test(test_sort),
                cmocka_unit_test(test_sort_large),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
