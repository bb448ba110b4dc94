/* SPDX-License-Identifier: Apache-2.0 */
/* Runs a fuzz target without libFuzzer: every file of the folder given, then ROUNDS inputs that a
 * fixed seed makes of them (and of nothing, when there are none), so that the target is built and
 * exercised by any compiler. */
#include <glib.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define ROUNDS 3000
#define SIZE_MAX_NEW 400

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_corpus(const char *folder, GPtrArray *corpus) {
        g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
        const char *name;

        while (dir && (name = g_dir_read_name(dir))) {
                g_autofree char *file = g_build_filename(folder, name, NULL);
                char *data;
                gsize n;

                if (g_file_get_contents(file, &data, &n, NULL))
                        g_ptr_array_add(corpus, g_bytes_new_take(data, n));
        }
}

static void run_mutated(GRand *rand, const GPtrArray *corpus) {
        g_autoptr(GByteArray) input = g_byte_array_new();
        guint n_changes;

        if (corpus->len > 0) {
                GBytes *seed = corpus->pdata[g_rand_int_range(rand, 0, (gint32) corpus->len)];
                gsize n;
                const void *data = g_bytes_get_data(seed, &n);

                g_byte_array_append(input, data, (guint) n);
        }
        n_changes = (guint) g_rand_int_range(rand, 1, input->len > 0 ? 8 : SIZE_MAX_NEW);
        for (guint i = 0; i < n_changes; i++) {
                guint8 byte = (guint8) g_rand_int_range(rand, 0, 256);

                if (input->len > 0 && g_rand_boolean(rand))
                        input->data[g_rand_int_range(rand, 0, (gint32) input->len)] = byte;
                else
                        g_byte_array_append(input, &byte, 1);
        }
        LLVMFuzzerTestOneInput(input->data, input->len);
}

static void unref(void *bytes) {
        g_bytes_unref(bytes);
}

int main(int argc, char **argv) {
        g_autoptr(GPtrArray) corpus = g_ptr_array_new_with_free_func(unref);
        g_autoptr(GRand) rand = g_rand_new_with_seed(1);

        for (int i = 1; i < argc; i++)
                read_corpus(argv[i], corpus);
        for (guint i = 0; i < corpus->len; i++) {
                gsize n;
                const void *data = g_bytes_get_data(corpus->pdata[i], &n);

                LLVMFuzzerTestOneInput(data, n);
        }
        LLVMFuzzerTestOneInput((const uint8_t *) "", 0);
        for (guint i = 0; i < ROUNDS; i++)
                run_mutated(rand, corpus);
        printf("%u files, %d made of them\n", corpus->len, ROUNDS);
        return 0;
}
