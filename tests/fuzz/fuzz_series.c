/* SPDX-License-Identifier: Apache-2.0 */
/* The file of samples. The first byte says whether the rest is the file itself or the entries of
 * one frame, which gets its checksum here. Whatever it says, the caches keep their limits, samples
 * go out, more come in, and after the next start everything is as it was. */
#include "fuzz.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "model/series.h"
#include "model/store_format.h"

#define SAMPLES 64 /* of one cache */
#define BYTES 65536

static char folder[64];
static int dirfd_;

static void empty(void) {
        g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
        const char *name;

        while (dir && (name = g_dir_read_name(dir))) {
                g_autofree char *path = g_build_filename(folder, name, NULL);

                (void) unlink(path);
        }
}

static void remove_folder(void) {
        empty();
        (void) rmdir(folder);
}

static void make_folder(void) {
        if (*folder)
                return;
        g_strlcpy(folder,
                  access("/dev/shm", W_OK) == 0 ? "/dev/shm/fuzz-series-XXXXXX"
                                                : "/tmp/fuzz-series-XXXXXX",
                  sizeof(folder));
        CHECK(mkdtemp(folder));
        atexit(remove_folder);
        dirfd_ = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        CHECK(dirfd_ >= 0);
}

static bool is_kept(void *userdata, const Path *p) {
        return true;
}

/* NULL: a file of a later format, which is left alone. */
static Series *open_series(void) {
        Series *s = series_new(&(SeriesConfig){ .bytes_max = BYTES, .kept = is_kept });

        series_clock_set(s, 0);
        CHECK(series_load_policies(s, "/9 64 oldest\n/10 64\n") == 0);
        return series_open_file(s, dirfd_, NULL, NULL) < 0 ? series_free(s) : s;
}

static void put_file(const uint8_t *data, size_t n, bool framed) {
        g_autofree char *path = g_build_filename(folder, SERIES_FILE_NAME, NULL);
        g_autoptr(GByteArray) file = g_byte_array_new();

        if (framed) {
                header_put(file, SERIES_FILE_NAME, 0);
                frame_put(file, data, n);
                data = file->data;
                n = file->len;
        }
        CHECK(g_file_set_contents(path, (const char *) data, (gssize) n, NULL));
}

typedef struct Sum {
        uint64_t n, sum;
        int64_t last_ns;
} Sum;

static void on_sample(void *userdata, int64_t time_ns, const Value *v) {
        Sum *s = userdata;

        CHECK(s->n == 0 || time_ns > s->last_ns);
        CHECK(sample_fits((ValueType) v->type));
        s->last_ns = time_ns;
        s->sum = s->sum * 31 + (uint64_t) time_ns + sample_bits(v);
        s->n++;
}

static Sum sum_of(const Series *s, const Path *p) {
        Sum sum = { 0 };

        CHECK(series_read(s, p, SIZE_MAX, on_sample, &sum) == sum.n);
        CHECK(sum.n <= SAMPLES);
        return sum;
}

static void use(Series *s, const Path *p) {
        SeriesReader *r = series_reader_new(s, 1, p, 1);
        const Sample more = { .time_ns = FUZZ_NOW_NS, .bits = 1 };
        Sum sum = { 0 };
        uint32_t number;

        (void) series_reader_repeats(r, &number);
        series_reader_begin(r, 3);
        (void) series_reader_take(r, p, on_sample, &sum);
        series_reader_sent(r, 5);
        series_reader_ack(r);
        (void) series_reader_waiting(r);
        CHECK(series_add(s, p, VALUE_BOOLEAN, &more, 1, NULL) == 0);
        series_reader_begin(r, 2);
        (void) series_reader_take(r, p, on_sample, &(Sum){ 0 });
        series_reader_sent(r, 6);
        series_reader_free(r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
        const Path paths[] = { PATH_OIR(9, 0, 1), PATH_OIRI(9, 0, 1, 1), PATH_OIR(10, 0, 1) };
        Sum before[G_N_ELEMENTS(paths)];
        Series *s;

        if (n == 0)
                return 0;
        make_folder();
        empty();
        put_file(data + 1, n - 1, data[0] & 1);
        s = open_series();
        if (!s)
                return 0;
        for (size_t i = 0; i < G_N_ELEMENTS(paths); i++) {
                use(s, &paths[i]);
                before[i] = sum_of(s, &paths[i]);
        }
        CHECK(series_bytes(s) <= BYTES);
        series_free(s);
        s = open_series();
        CHECK(s);
        for (size_t i = 0; i < G_N_ELEMENTS(paths); i++) {
                const Sum after = sum_of(s, &paths[i]);

                CHECK(after.n == before[i].n && after.sum == before[i].sum);
        }
        series_free(s);
        return 0;
}
