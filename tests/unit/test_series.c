/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "model/series.h"

#define T0 INT64_C(1700000000000000000)

static const Path p1 = { .id = { 3303, 0, 5700 }, .n = 3 },
                  p2 = { .id = { 3303, 1, 5700 }, .n = 3 }, object = { .id = { 3303 }, .n = 1 };

static Series *series_with(const Path *prefix, SeriesPolicy policy) {
        Series *s = series_new(&(SeriesConfig){ 0 });

        series_clock_set(s, 0);
        assert_int_equal(series_set_policy(s, prefix, &policy), 0);
        return s;
}

static size_t add(Series *s, const Path *p, int64_t at, double d) {
        const Value v = { .type = VALUE_FLOAT, .d = d };
        const Sample sample = { .time_ns = T0 + at, .bits = sample_bits(&v) };
        size_t dropped;

        assert_int_equal(series_add(s, p, VALUE_FLOAT, &sample, 1, &dropped), 0);
        return dropped;
}

static void note(void *userdata, int64_t time_ns, const Value *v) {
        g_string_append_printf(userdata, "%d=%g ", (int) (time_ns - T0), v->d);
}

static char *text_of_read(Series *s, const Path *p, size_t max) {
        GString *text = g_string_new(NULL);

        series_read(s, p, max, note, text);
        return g_string_free(text, FALSE);
}

static char *text_of_take(SeriesReader *r, const Path *p, size_t max) {
        GString *text = g_string_new(NULL);

        series_reader_begin(r, max);
        series_reader_take(r, p, note, text);
        return g_string_free(text, FALSE);
}

#define assert_text(call, expected)                                                                \
        do {                                                                                       \
                g_autofree char *text_ = call;                                                     \
                assert_string_equal(text_, expected);                                              \
        } while (0)

/* --- policies --- */
static void test_no_policy(void **state) {
        g_autoptr(Series) s = series_new(&(SeriesConfig){ 0 });
        const Sample sample = { T0, 0 };

        assert_int_equal(series_add(s, &p1, VALUE_FLOAT, &sample, 1, NULL), -ENOENT);
        assert_null(series_policy(s, &p1));
        assert_int_equal(series_set_policy(s, &p1, &(SeriesPolicy){ SERIES_SAMPLES_MAX + 1 }),
                         -ERANGE);
        assert_int_equal(series_set_policy(s, &p1, &(SeriesPolicy){ 5 }), 0);
        assert_int_equal(series_add(s, &p1, VALUE_STRING, &sample, 1, NULL), -ENOENT);
}

static void test_longest_prefix_wins(void **state) {
        g_autoptr(Series) s = series_with(&object, (SeriesPolicy){ .samples = 10 });

        series_set_policy(s, &p2, &(SeriesPolicy){ .samples = 0 });
        assert_int_equal(series_policy(s, &p1)->samples, 10);
        assert_null(series_policy(s, &p2));
        series_set_policy(s, &p2, NULL);
        assert_int_equal(series_policy(s, &p2)->samples, 10);
}

static void test_policies_as_text(void **state) {
        static const char *const bad[] = { "/3303",
                                           "/3303 x",
                                           "/3303 5 maybe all",
                                           "/3303 5 newest some",
                                           "3303 5 newest all",
                                           "/3303 99999999 newest all",
                                           "/3303  5",
                                           "/3303 -1" };
        g_autoptr(Series) s = series_new(&(SeriesConfig){ 0 });
        g_autofree char *text = NULL;

        assert_int_equal(series_load_policies(s, "/3303 10\n/3303/1/5700 7 latest oldest\n"), 0);
        assert_int_equal(series_policy(s, &p1)->samples, 10);
        assert_false(series_policy(s, &p1)->drop_oldest);
        assert_true(series_policy(s, &p2)->drop_oldest);
        assert_true(series_policy(s, &p2)->read_latest);
        text = series_policy_format(series_policy(s, &p2));
        assert_string_equal(text, "7 oldest latest");
        for (size_t i = 0; i < G_N_ELEMENTS(bad); i++)
                assert_int_equal(series_load_policies(s, bad[i]), -EBADMSG);
        series_clear(s);
        assert_false(series_has_policies(s));
}

/* --- when it is full --- */
static void test_newest_is_dropped(void **state) {
        g_autoptr(Series) s = series_with(&p1, (SeriesPolicy){ .samples = 3 });
        SeriesInfo info;

        for (int i = 0; i < 3; i++)
                assert_int_equal(add(s, &p1, i, i), 0);
        assert_int_equal(add(s, &p1, 3, 3), 1);
        assert_text(text_of_read(s, &p1, 100), "0=0 1=1 2=2 ");
        assert_true(series_info(s, &p1, &info));
        assert_int_equal(info.n, 3);
        assert_int_equal(info.n_dropped, 1);
        assert_int_equal(info.newest_ns, T0 + 3); /* it became the value all the same */
}

static void test_oldest_is_dropped(void **state) {
        g_autoptr(Series) s = series_with(&p1, (SeriesPolicy){ .samples = 3, .drop_oldest = true });

        for (int i = 0; i < 5; i++)
                assert_int_equal(add(s, &p1, i, i), i >= 3);
        assert_text(text_of_read(s, &p1, 100), "2=2 3=3 4=4 ");
        assert_text(text_of_read(s, &p1, 2), "3=3 4=4 ");
}

static void test_batch_larger_than_cache(void **state) {
        Sample samples[10];
        size_t dropped;

        for (size_t i = 0; i < 10; i++)
                samples[i] = (Sample){ T0 + (int64_t) i, 0 };
        for (int oldest = 0; oldest < 2; oldest++) {
                g_autoptr(Series) s =
                        series_with(&p1, (SeriesPolicy){ .samples = 4, .drop_oldest = oldest });

                add(s, &p1, 100, 1);
                assert_int_equal(series_add(s, &p1, VALUE_FLOAT, samples, 10, &dropped), 0);
                assert_int_equal(dropped, 7);
                assert_text(text_of_read(s, &p1, 100),
                            oldest ? "6=0 7=0 8=0 9=0 " : "0=0 1=0 2=0 100=1 ");
        }
}

static void test_limit_of_all(void **state) {
        g_autoptr(Series) s = series_new(&(SeriesConfig){ .bytes_max = 16 * 30 });
        size_t n = 0;

        series_clock_set(s, 0);
        series_set_policy(s, &object, &(SeriesPolicy){ .samples = 1000 });
        for (int i = 0; i < 100; i++) {
                n += add(s, &p1, i, i);
                n += add(s, &p2, i, i);
        }
        assert_int_equal(n, 200 - 30);
        assert_true(series_bytes(s) <= 16 * 30);
        series_remove(s, &p1);
        assert_int_equal(add(s, &p2, 100, 1), 0); /* there is room again */
}

static void test_smaller_policy(void **state) {
        for (int oldest = 0; oldest < 2; oldest++) {
                g_autoptr(Series) s =
                        series_with(&p1, (SeriesPolicy){ .samples = 9, .drop_oldest = oldest });

                for (int i = 0; i < 5; i++)
                        add(s, &p1, i, i);
                series_set_policy(s, &p1, &(SeriesPolicy){ .samples = 2, .drop_oldest = oldest });
                assert_text(text_of_read(s, &p1, 9), oldest ? "3=3 4=4 " : "0=0 1=1 ");
                series_set_policy(s, &p1, NULL);
                assert_text(text_of_read(s, &p1, 9), "");
                assert_int_equal(series_bytes(s), 0);
        }
}

/* --- order and time --- */
static void test_late_samples_are_sorted_in(void **state) {
        g_autoptr(Series) s = series_with(&p1, (SeriesPolicy){ .samples = 10 });
        SeriesReader *r = series_reader_new(s, 1, &p1, 1);

        add(s, &p1, 5, 5);
        add(s, &p1, 9, 9);
        add(s, &p1, 7, 7);
        add(s, &p1, 5, 6); /* the same time again: a correction */
        assert_text(text_of_read(s, &p1, 10), "5=6 7=7 9=9 ");
        assert_text(text_of_take(r, &p1, 10), "5=6 7=7 9=9 ");
        series_reader_ack(r);
        add(s, &p1, 6, 6); /* later than what was sent before */
        assert_text(text_of_take(r, &p1, 10), "6=6 ");
        series_reader_free(r);
}

static void test_boot_times(void **state) {
        g_autoptr(Series) s = series_new(&(SeriesConfig){ 0 });
        const Sample boot = { .time_ns = 5, .bits = 0 };
        SeriesReader *r = series_reader_new(s, 1, &p1, 1);

        series_set_policy(s, &p1, &(SeriesPolicy){ .samples = 10 });
        assert_int_equal(series_add(s, &p1, VALUE_FLOAT, &boot, 1, NULL), 0);
        assert_text(text_of_read(s, &p1, 10), "");
        assert_text(text_of_take(r, &p1, 10), "");
        assert_int_equal(series_reader_waiting(r), 0);
        series_clock_set(s, T0);
        assert_int_equal(series_reader_waiting(r), 1);
        assert_text(text_of_take(r, &p1, 10), "5=0 ");
        series_reader_free(r);
}

static void test_booleans_are_small(void **state) {
        g_autoptr(Series) s = series_with(&p1, (SeriesPolicy){ .samples = 1000 });
        Sample samples[1000];

        for (size_t i = 0; i < 1000; i++)
                samples[i] = (Sample){ T0 + (int64_t) i, i % 3 == 0 };
        assert_int_equal(series_add(s, &p1, VALUE_BOOLEAN, samples, 1000, NULL), 0);
        assert_int_equal(series_bytes(s), 9000);
}

static size_t add_many(Series *s, const Path *p, size_t n) {
        g_autofree Sample *samples = g_new(Sample, n);
        size_t dropped;

        for (size_t i = 0; i < n; i++)
                samples[i] = (Sample){ T0 + (int64_t) i, i };
        assert_int_equal(series_add(s, p, VALUE_FLOAT, samples, n, &dropped), 0);
        return dropped;
}

static void test_each_has_his_bytes(void **state) {
        g_autoptr(Series) s =
                series_new(&(SeriesConfig){ .bytes_max = 1600 * 16, .bytes_per_payer = 1000 * 16 });
        SeriesReader *r;

        series_clock_set(s, 0);
        assert_int_equal(series_set_policy(s, &object,
                                           &(SeriesPolicy){ .samples = 5000, .drop_oldest = true }),
                         0);
        series_set_payer(s, 7);
        assert_int_equal(add_many(s, &p1, 800), 0);
        assert_in_range(series_bytes_of(s, 7), 800 * 16, 1000 * 16);
        assert_int_equal(add_many(s, &p1, 800), 600); /* as full as his limit, not the common one */
        assert_int_equal(series_bytes_of(s, 7), 1000 * 16);
        assert_int_equal(add_many(s, &p2, 1), 1); /* another cache of his */
        assert_int_equal(series_bytes_of(s, 7), series_bytes(s));

        series_set_payer(s, 8); /* somebody else has the rest */
        assert_int_equal(add_many(s, &p2, 500), 0);
        assert_in_range(series_bytes_of(s, 8), 500 * 16, 600 * 16);
        assert_int_equal(add_many(s, &p1, 10), 10); /* whose it is stays */
        assert_int_equal(series_bytes(s), series_bytes_of(s, 7) + series_bytes_of(s, 8));

        r = series_reader_new(s, 1, &p1, 1); /* emptied it is nobody's */
        g_free(text_of_take(r, &p1, 5000));
        series_reader_ack(r);
        assert_int_equal(series_bytes_of(s, 7), 0);
        series_reader_free(r);
        assert_int_equal(add_many(s, &p1, 10), 0);
        assert_true(series_bytes_of(s, 8) > 500 * 16 && series_bytes_of(s, 7) == 0);
        series_remove(s, &object);
        assert_int_equal(series_bytes_of(s, 8) + series_bytes(s), 0);
}

static void test_nobody_has_all(void **state) {
        g_autoptr(Series) s =
                series_new(&(SeriesConfig){ .bytes_max = 1600 * 16, .bytes_per_payer = 100 * 16 });

        series_clock_set(s, 0);
        assert_int_equal(series_set_policy(s, &object, &(SeriesPolicy){ .samples = 5000 }), 0);
        assert_int_equal(add_many(s, &p1, 500), 0); /* the device itself, or from the file */
        assert_int_equal(series_bytes_of(s, 0), 0);
        series_set_payer(s, 7);
        assert_int_equal(add_many(s, &p1, 40), 0); /* has room, and is his now … */
        assert_true(series_bytes_of(s, 7) >= 500 * 16);
        assert_int_equal(add_many(s, &p1, 500) > 400, true); /* … and gets no more */
        assert_int_equal(add_many(s, &p2, 1), 1);
}

/* --- readers --- */
static void test_acknowledged_samples_leave(void **state) {
        g_autoptr(Series) s = series_with(&p1, (SeriesPolicy){ .samples = 10 });
        SeriesReader *r = series_reader_new(s, 1, &object, 1);

        for (int i = 0; i < 4; i++)
                add(s, &p1, i, i);
        assert_int_equal(series_reader_waiting(r), 4);
        assert_text(text_of_take(r, &p1, 3), "0=0 1=1 2=2 ");
        assert_int_equal(series_reader_taken(r), 3);
        assert_int_equal(series_reader_waiting(r), 1);
        assert_text(text_of_read(s, &p1, 10), "0=0 1=1 2=2 3=3 "); /* nothing has left yet */
        assert_text(text_of_take(r, &p1, 2), "0=0 1=1 "); /* nothing was acknowledged: again */
        series_reader_ack(r);
        assert_text(text_of_read(s, &p1, 10), "2=2 3=3 ");
        series_reader_ack(r); /* twice changes nothing */
        assert_text(text_of_take(r, &p1, 10), "2=2 3=3 ");
        series_reader_ack(r);
        assert_int_equal(series_bytes(s), 0);
        series_reader_free(r);
}

static void test_once_a_message(void **state) {
        g_autoptr(Series) s = series_with(&p1, (SeriesPolicy){ .samples = 10 });
        const Path paths[] = { object, p1 };
        SeriesReader *r = series_reader_new(s, 1, paths, 2);
        g_autoptr(GString) text = g_string_new(NULL);

        for (int i = 0; i < 4; i++)
                add(s, &p1, i, i);
        series_reader_begin(r, 2);
        assert_int_equal(series_reader_take(r, &p1, note, text), 2);
        assert_int_equal(series_reader_take(r, &p1, note, text), 0);
        assert_string_equal(text->str, "0=0 1=1 ");
        series_reader_free(r);
}

static void test_two_readers(void **state) {
        g_autoptr(Series) s = series_with(&p1, (SeriesPolicy){ .samples = 10 });
        SeriesReader *a = series_reader_new(s, 1, &p1, 1), *b = series_reader_new(s, 2, &object, 1);

        add(s, &p1, 0, 0);
        add(s, &p1, 1, 1);
        assert_text(text_of_take(a, &p1, 10), "0=0 1=1 ");
        series_reader_ack(a);
        assert_text(text_of_take(a, &p1, 10), "");
        assert_text(text_of_read(s, &p1, 10), "0=0 1=1 "); /* the other one waits */
        assert_text(text_of_take(b, &p1, 1), "0=0 ");
        series_reader_ack(b);
        assert_text(text_of_read(s, &p1, 10), "1=1 ");
        b = series_reader_free(b); /* nobody else waits for the rest */
        assert_text(text_of_read(s, &p1, 10), "");
        series_reader_free(a);
}

static void test_identity_goes_on(void **state) {
        g_autoptr(Series) s = series_with(&p1, (SeriesPolicy){ .samples = 10 });
        SeriesReader *slow = series_reader_new(s, 2, &p1, 1), *r = series_reader_new(s, 1, &p1, 1);

        for (int i = 0; i < 3; i++)
                add(s, &p1, i, i);
        g_free(text_of_take(r, &p1, 2));
        series_reader_ack(r);
        r = series_reader_free(r);
        r = series_reader_new(s, 1, &p1, 1); /* the server observes again */
        assert_text(text_of_take(r, &p1, 10), "2=2 ");
        series_reader_free(r);
        r = series_reader_new(s, 3, &p1, 1); /* somebody else */
        assert_text(text_of_take(r, &p1, 10), "0=0 1=1 2=2 ");
        series_reader_free(r);
        series_reader_free(slow);
}

static void test_dropped_below_a_reader(void **state) {
        g_autoptr(Series) s = series_with(&p1, (SeriesPolicy){ .samples = 2, .drop_oldest = true });
        SeriesReader *r = series_reader_new(s, 1, &p1, 1);

        for (int i = 0; i < 2; i++)
                add(s, &p1, i, i);
        assert_text(text_of_take(r, &p1, 10), "0=0 1=1 "); /* on its way … */
        for (int i = 2; i < 5; i++)
                add(s, &p1, i, i); /* … while they are pushed out */
        series_reader_ack(r);
        assert_text(text_of_take(r, &p1, 10), "3=3 4=4 ");
        series_reader_ack(r);
        assert_int_equal(series_reader_waiting(r), 0);
        series_reader_free(r);
}

static void test_cache_goes_under_a_reader(void **state) {
        g_autoptr(Series) s = series_with(&p1, (SeriesPolicy){ .samples = 10 });
        SeriesReader *r = series_reader_new(s, 1, &p1, 1);

        add(s, &p1, 0, 0);
        g_free(text_of_take(r, &p1, 10));
        series_remove(s, &object);
        series_reader_ack(r);
        assert_int_equal(series_reader_waiting(r), 0);
        add(s, &p1, 1, 1);
        assert_text(text_of_take(r, &p1, 10), "1=1 ");
        series_reader_free(r);
}

static char folder[64];

/* --- a walk against an obvious model --- */
typedef struct Entry {
        int64_t time;
        uint64_t bits, seq;
} Entry;

#define WALK_PATHS 3
#define WALK_READERS 3

typedef struct Model {
        GArray *entries[WALK_PATHS]; /* Entry, in order of arrival */
        uint64_t next[WALK_PATHS], first[WALK_PATHS];
        uint64_t acked[WALK_READERS + 1][WALK_PATHS]; /* by identity, for good */
        uint64_t taken[WALK_READERS][WALK_PATHS];
        uint32_t samples[WALK_PATHS];
        bool oldest[WALK_PATHS];
} Model;

typedef struct Walk {
        Model m;
        Series *s;
        SeriesReader *readers[WALK_READERS];
        GRand *rnd;
        int dirfd; /* -1: nothing is kept */
} Walk;

static Path walk_path(int i) {
        return PATH_OIR(3303, i, 5700);
}

static bool always(void *userdata, const Path *p) {
        return true;
}

static void complain(void *userdata, int level, const char *text) {
        fail_msg("%s", text);
}

static void walk_open(Walk *w) {
        w->s = series_new(&(SeriesConfig){ .kept = w->dirfd >= 0 ? always : NULL });
        series_clock_set(w->s, 0);
        for (int i = 0; i < WALK_PATHS; i++) {
                const Path p = walk_path(i);

                series_set_policy(w->s, &p,
                                  &(SeriesPolicy){ .samples = w->m.samples[i],
                                                   .drop_oldest = w->m.oldest[i] });
        }
        if (w->dirfd >= 0)
                assert_int_equal(series_open_file(w->s, w->dirfd, complain, NULL), 0);
}

static void model_drop_first(Model *m, int path, guint n) {
        if (n > 0)
                g_array_remove_range(m->entries[path], 0, n);
        m->first[path] += n;
}

static void walk_add(Walk *w) {
        const int path = g_rand_int_range(w->rnd, 0, WALK_PATHS),
                  n = g_rand_int_range(w->rnd, 1, 12);
        const Path p = walk_path(path);
        GArray *e = w->m.entries[path];
        size_t dropped, expected = 0;
        Sample samples[12];

        for (int i = 0; i < n; i++) {
                samples[i] = (Sample){ .time_ns = T0 + g_rand_int_range(w->rnd, 0, 40),
                                       .bits = g_rand_int(w->rnd) };
                const Entry new = { samples[i].time_ns, samples[i].bits, w->m.next[path] };

                if (e->len >= w->m.samples[path]) {
                        expected++;
                        if (!w->m.oldest[path])
                                continue;
                        model_drop_first(&w->m, path, 1);
                }
                g_array_append_val(e, new);
                w->m.next[path]++;
        }
        assert_int_equal(series_add(w->s, &p, VALUE_UNSIGNED, samples, (size_t) n, &dropped), 0);
        assert_int_equal(dropped, expected);
        /* A batch that is larger than the cache passes its first samples by: no numbers for them.
         */
        if (w->m.oldest[path] && (uint32_t) n > w->m.samples[path]) {
                uint64_t passed = (uint64_t) n - w->m.samples[path];

                w->m.next[path] -= passed;
                w->m.first[path] -= passed;
                for (guint i = 0; i < e->len; i++)
                        g_array_index(e, Entry, i).seq -= passed;
        }
}

static void walk_reader(Walk *w) {
        const int r = g_rand_int_range(w->rnd, 0, WALK_READERS);

        if (w->readers[r])
                w->readers[r] = series_reader_free(w->readers[r]);
        else
                w->readers[r] = series_reader_new(w->s, (uint64_t) r, &object, 1);
        memset(w->m.taken[r], 0, sizeof(w->m.taken[r]));
}

static gint by_time(gconstpointer a, gconstpointer b) {
        const Entry *x = a, *y = b;

        if (x->time != y->time)
                return x->time < y->time ? -1 : 1;
        return x->seq < y->seq ? -1 : 1;
}

static void walk_note(void *userdata, int64_t time_ns, const Value *v) {
        const Entry e = { time_ns, v->u, 0 };

        g_array_append_val(userdata, e);
}

static void assert_same(const GArray *got, GArray *expected) {
        g_array_sort(expected, by_time);
        for (guint i = 0; i + 1 < expected->len;) /* of the same time the last */
                if (g_array_index(expected, Entry, i).time ==
                    g_array_index(expected, Entry, i + 1).time)
                        g_array_remove_index(expected, i);
                else
                        i++;
        assert_int_equal(got->len, expected->len);
        for (guint i = 0; i < got->len; i++) {
                assert_int_equal(g_array_index(got, Entry, i).time,
                                 g_array_index(expected, Entry, i).time);
                assert_int_equal(g_array_index(got, Entry, i).bits,
                                 g_array_index(expected, Entry, i).bits);
        }
}

static void walk_take(Walk *w) {
        const int r = g_rand_int_range(w->rnd, 0, WALK_READERS);
        size_t budget = (size_t) g_rand_int_range(w->rnd, 1, 30);

        if (!w->readers[r])
                return;
        series_reader_begin(w->readers[r], budget);
        for (int i = 0; i < WALK_PATHS; i++) {
                g_autoptr(GArray) got = g_array_new(FALSE, FALSE, sizeof(Entry));
                g_autoptr(GArray) expected = g_array_new(FALSE, FALSE, sizeof(Entry));
                const uint64_t from = MAX(w->m.acked[r][i], w->m.first[i]);
                const Path p = walk_path(i);

                series_reader_take(w->readers[r], &p, walk_note, got);
                w->m.taken[r][i] = from;
                for (guint k = 0; k < w->m.entries[i]->len && budget > 0; k++) {
                        const Entry *e = &g_array_index(w->m.entries[i], Entry, k);

                        if (e->seq < from)
                                continue;
                        g_array_append_vals(expected, e, 1);
                        w->m.taken[r][i] = e->seq + 1;
                        budget--;
                }
                assert_same(got, expected);
        }
}

static void model_release(Walk *w) {
        for (int i = 0; i < WALK_PATHS; i++) {
                uint64_t all = UINT64_MAX;

                for (int r = 0; r < WALK_READERS; r++)
                        if (w->readers[r])
                                all = MIN(all, w->m.acked[r][i]);
                if (all != UINT64_MAX && all > w->m.first[i])
                        model_drop_first(&w->m, i, (guint) (all - w->m.first[i]));
        }
}

static void walk_ack(Walk *w) {
        const int r = g_rand_int_range(w->rnd, 0, WALK_READERS);

        if (!w->readers[r])
                return;
        series_reader_ack(w->readers[r]);
        for (int i = 0; i < WALK_PATHS; i++) {
                w->m.acked[r][i] = MAX(w->m.acked[r][i], w->m.taken[r][i]);
                w->m.taken[r][i] = 0;
        }
}

/* As a daemon that is killed and starts again: what closing in order would write does not count. */
static void walk_kill(Walk *w) {
        g_autofree char *name = g_build_filename(folder, "samples", NULL), *data = NULL;
        gsize n = 0;

        if (g_rand_boolean(w->rnd))
                assert_int_equal(series_sync(w->s), 0);
        g_file_get_contents(name, &data, &n, NULL);
        for (int r = 0; r < WALK_READERS; r++)
                if (w->readers[r])
                        w->readers[r] = series_reader_free(w->readers[r]);
        memset(w->m.taken, 0, sizeof(w->m.taken));
        series_free(w->s);
        if (data)
                assert_true(g_file_set_contents(name, data, (gssize) n, NULL));
        walk_open(w);
}

static void walk_check(Walk *w) {
        for (int i = 0; i < WALK_PATHS; i++) {
                g_autoptr(GArray) got = g_array_new(FALSE, FALSE, sizeof(Entry));
                g_autoptr(GArray) expected = g_array_new(FALSE, FALSE, sizeof(Entry));
                const Path p = walk_path(i);

                series_read(w->s, &p, SIZE_MAX, walk_note, got);
                g_array_append_vals(expected, w->m.entries[i]->data, w->m.entries[i]->len);
                assert_same(got, expected);
        }
}

static void random_walk(int dirfd, unsigned steps, uint32_t seed) {
        Walk w = { .rnd = g_rand_new_with_seed(seed), .dirfd = dirfd };

        for (int i = 0; i < WALK_PATHS; i++) {
                w.m.entries[i] = g_array_new(FALSE, FALSE, sizeof(Entry));
                w.m.samples[i] = (uint32_t) (i == 0 ? 5 : i == 1 ? 40 : 300);
                w.m.oldest[i] = i < 2;
        }
        walk_open(&w);
        for (unsigned i = 0; i < steps; i++) {
                const int what = g_rand_int_range(w.rnd, 0, 100);

                if (what < 45)
                        walk_add(&w);
                else if (what < 50)
                        walk_reader(&w);
                else if (what < 75)
                        walk_take(&w);
                else if (what < 98)
                        walk_ack(&w);
                else if (dirfd >= 0)
                        walk_kill(&w);
                model_release(&w);
                walk_check(&w);
        }
        for (int r = 0; r < WALK_READERS; r++)
                series_reader_free(w.readers[r]);
        for (int i = 0; i < WALK_PATHS; i++)
                g_array_unref(w.m.entries[i]);
        series_free(w.s);
        g_rand_free(w.rnd);
}

static void test_walk(void **state) {
        random_walk(-1, 10000, 1);
}

/* --- the file --- */
static int make_folder(void **state) {
        g_strlcpy(folder,
                  access("/dev/shm", W_OK) == 0 ? "/dev/shm/test-series-XXXXXX"
                                                : "/tmp/test-series-XXXXXX",
                  sizeof(folder));
        return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state) {
        g_autofree char *command = g_strdup_printf("rm -rf %s", folder);

        return system(command);
}

static int open_folder(void) {
        int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        assert_true(fd >= 0);
        return fd;
}

static void test_walk_on_disk(void **state) {
        int fd = open_folder();

        random_walk(fd, 4000, 2);
        close(fd);
}

static Series *series_kept(int dirfd, void (*message)(void *, int, const char *), void *userdata) {
        Series *s = series_new(&(SeriesConfig){ .kept = always });

        series_clock_set(s, 0);
        series_set_policy(s, &object, &(SeriesPolicy){ .samples = 100 });
        assert_int_equal(series_open_file(s, dirfd, message, userdata), 0);
        return s;
}

static void count(void *userdata, int level, const char *text) {
        (*(unsigned *) userdata)++;
}

/* Cut anywhere, the file gives what was whole before, and can be added to. */
static void test_torn_file(void **state) {
        int fd = open_folder(), file;
        Series *s = series_kept(fd, complain, NULL);
        g_autofree char *data = NULL, *name = g_build_filename(folder, "samples", NULL);
        gsize n;

        for (int i = 0; i < 5; i++)
                add(s, &p1, i, i);
        series_free(s);
        assert_true(g_file_get_contents(name, &data, &n, NULL));
        for (gsize cut = 0; cut < n; cut++) {
                g_autofree char *before = NULL, *after = NULL;
                unsigned n_messages = 0;

                assert_true(g_file_set_contents(name, data, (gssize) cut, NULL));
                s = series_kept(fd, count, &n_messages);
                add(s, &p1, 50, 50);
                before = text_of_read(s, &p1, 100);
                series_free(s);
                s = series_kept(fd, complain, NULL);
                after = text_of_read(s, &p1, 100);
                assert_string_equal(after, before);
                assert_non_null(strstr(after, "50=50 "));
                series_free(s);
        }
        file = openat(fd, "samples", O_RDONLY | O_CLOEXEC);
        assert_true(file >= 0);
        close(file);
        close(fd);
}

static void test_damaged_file(void **state) {
        int fd = open_folder();
        unsigned n_messages = 0;
        Series *s = series_kept(fd, complain, NULL);
        g_autofree char *data = NULL, *name = g_build_filename(folder, "samples", NULL);
        gsize n;

        for (int i = 0; i < 3; i++)
                add(s, &p1, i, i);
        series_free(s);
        assert_true(g_file_get_contents(name, &data, &n, NULL));
        data[n - 3] ^= 1;
        assert_true(g_file_set_contents(name, data, (gssize) n, NULL));
        s = series_kept(fd, count, &n_messages);
        assert_int_equal(n_messages, 1);
        assert_text(text_of_read(s, &p1, 100), "0=0 1=1 ");
        assert_int_equal(faccessat(fd, "samples.bad-0", R_OK, 0), 0);
        series_free(s);
        close(fd);
}

/* What has gone does not make the file grow for ever. */
static void test_file_is_written_anew(void **state) {
        int fd = open_folder();
        Series *s = series_kept(fd, complain, NULL);
        SeriesReader *r = series_reader_new(s, 1, &p1, 1);
        g_autofree char *name = g_build_filename(folder, "samples", NULL), *data = NULL;
        gsize n;

        for (int i = 0; i < 12000; i++) {
                add(s, &p1, i, i);
                g_free(text_of_take(r, &p1, 10));
                series_reader_ack(r);
                if (i % 1000 == 0)
                        assert_int_equal(series_sync(s), 0);
        }
        assert_int_equal(series_sync(s), 0);
        assert_true(g_file_get_contents(name, &data, &n, NULL));
        assert_true(n < 1 << 20);
        series_reader_free(r);
        series_free(s);
        close(fd);
}

/* A message that was on its way when the daemon was killed: the same once more. */
static void test_repeated_after_a_kill(void **state) {
        int fd = open_folder();
        Series *s = series_kept(fd, complain, NULL);
        SeriesReader *r = series_reader_new(s, 7, &p1, 1), *other = series_reader_new(s, 8, &p1, 1);
        uint32_t number = 0;

        for (int i = 0; i < 5; i++)
                add(s, &p1, i, i);
        g_free(text_of_take(r, &p1, 1));
        series_reader_sent(r, 41);
        series_reader_ack(r);
        assert_text(text_of_take(r, &p1, 2), "1=1 2=2 ");
        assert_false(series_reader_repeats(r, &number));
        series_reader_sent(r, 42);
        add(s, &p1, 9, 9);
        series_reader_free(r);
        series_reader_free(other);
        series_free(s);

        for (int turn = 0; turn < 2; turn++) {
                s = series_kept(fd, complain, NULL);
                r = series_reader_new(s, 7, &p1, 1);
                assert_true(series_reader_repeats(r, &number));
                assert_int_equal(number, 42);
                if (turn == 0) { /* what was sent goes again as a whole, whatever fits */
                        assert_text(text_of_take(r, &p1, 1), "1=1 2=2 ");
                        assert_true(series_reader_is_repeating(r));
                } else { /* or it is not known to whom it goes any more */
                        series_reader_forget_sent(r);
                        assert_text(text_of_take(r, &p1, 1), "1=1 ");
                        series_reader_ack(r);
                        assert_text(text_of_take(r, &p1, 10), "2=2 3=3 4=4 9=9 ");
                }
                series_reader_free(r);
                other = series_reader_new(s, 8, &p1, 1);
                assert_false(series_reader_repeats(other, &number));
                series_reader_free(other);
                series_free(s);
        }
        close(fd);
}

static bool kept_now;
static bool sometimes(void *userdata, const Path *p) {
        return kept_now;
}

static void test_kept_changes(void **state) {
        int fd = open_folder();

        for (int turn = 0; turn < 2; turn++) {
                Series *s = series_new(&(SeriesConfig){ .kept = sometimes });

                kept_now = turn > 0;
                series_clock_set(s, 0);
                series_set_policy(s, &object, &(SeriesPolicy){ .samples = 100 });
                assert_int_equal(series_open_file(s, fd, complain, NULL), 0);
                add(s, &p1, 1, 1);
                kept_now = !kept_now;
                assert_int_equal(series_kept_changed(s, &PATH_ROOT), 0);
                add(s, &p1, 2, 2);
                series_free(s);
                kept_now = true;
                s = series_kept(fd, complain, NULL);
                assert_text(text_of_read(s, &p1, 100), turn == 0 ? "1=1 2=2 " : "");
                series_free(s);
        }
        close(fd);
}

#define DISK_TEST(f) cmocka_unit_test_setup_teardown((f), make_folder, remove_folder)

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_no_policy),
                cmocka_unit_test(test_each_has_his_bytes),
                cmocka_unit_test(test_nobody_has_all),
                cmocka_unit_test(test_longest_prefix_wins),
                cmocka_unit_test(test_policies_as_text),
                cmocka_unit_test(test_newest_is_dropped),
                cmocka_unit_test(test_oldest_is_dropped),
                cmocka_unit_test(test_batch_larger_than_cache),
                cmocka_unit_test(test_limit_of_all),
                cmocka_unit_test(test_smaller_policy),
                cmocka_unit_test(test_late_samples_are_sorted_in),
                cmocka_unit_test(test_boot_times),
                cmocka_unit_test(test_booleans_are_small),
                cmocka_unit_test(test_acknowledged_samples_leave),
                cmocka_unit_test(test_once_a_message),
                cmocka_unit_test(test_two_readers),
                cmocka_unit_test(test_identity_goes_on),
                cmocka_unit_test(test_dropped_below_a_reader),
                cmocka_unit_test(test_cache_goes_under_a_reader),
                cmocka_unit_test(test_walk),
                DISK_TEST(test_walk_on_disk),
                DISK_TEST(test_torn_file),
                DISK_TEST(test_damaged_file),
                DISK_TEST(test_file_is_written_anew),
                DISK_TEST(test_repeated_after_a_kill),
                DISK_TEST(test_kept_changes),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
