/* SPDX-License-Identifier: Apache-2.0 */
/* Runs a fuzz target without libFuzzer: every file of the folders named, then each with a fixed
 * count of seeded changes, so that a plain build finds what is shallow and never differs from run
 * to run. */
#include <glib.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROUNDS 3000 /* of each file */
#define GROWTH_MAX 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void run(const uint8_t *data, size_t n) {
        uint8_t *exact = g_malloc(n ? n : 1); /* of its own size, for the sanitizers */

        if (n > 0)
                memcpy(exact, data, n);
        LLVMFuzzerTestOneInput(exact, n);
        g_free(exact);
}

static size_t pick(GRand *g, size_t n) {
        return n ? g_rand_int(g) % n : 0;
}

static void change(GRand *g, GByteArray *b) {
        static const uint8_t bytes[] = { 0x00, 0x01, 0x7f, 0x80, 0xff, 0x5f, 0x9f, 0xbf, 0xc1,
                                         0xc4, 0xd8, 0xf6, 0xf9, '"',  '\\', '{',  '}',  '[',
                                         ']',  ',',  ':',  '-',  '.',  'e',  '9',  '/' };
        size_t at = pick(g, b->len);
        uint8_t byte = g_rand_boolean(g) ? bytes[pick(g, sizeof(bytes))] : (uint8_t) g_rand_int(g);

        switch (g_rand_int_range(g, 0, 6)) {
        case 0: /* a bit */
                if (b->len > 0)
                        b->data[at] ^= (uint8_t) (1 << g_rand_int_range(g, 0, 8));
                break;
        case 1:
                if (b->len > 0)
                        b->data[at] = byte;
                break;
        case 2:
                if (b->len > 0)
                        g_byte_array_remove_index(b, (guint) at);
                break;
        case 3: /* cut short */
                if (g_rand_int_range(g, 0, 8) == 0)
                        g_byte_array_set_size(b, (guint) at);
                break;
        case 4: /* one more byte */
                g_byte_array_append(b, &byte, 1);
                memmove(b->data + at + 1, b->data + at, b->len - at - 1);
                b->data[at] = byte;
                break;
        default: { /* a part again, further back */
                g_autofree uint8_t *part = NULL;
                size_t n = pick(g, MIN(b->len - at, GROWTH_MAX));

                if (n == 0)
                        break;
                part = g_memdup2(b->data + at, n);
                g_byte_array_append(b, part, (guint) n);
                break;
        }
        }
}

static void run_file(const char *folder, const char *name) {
        g_autofree char *path = g_build_filename(folder, name, NULL), *content = NULL;
        g_autoptr(GRand) g = g_rand_new_with_seed(g_str_hash(name));
        gsize n;

        if (!g_file_get_contents(path, &content, &n, NULL)) {
                fprintf(stderr, "Cannot read %s\n", path);
                exit(EXIT_FAILURE);
        }
        run((const uint8_t *) content, n);
        for (unsigned i = 0; i < ROUNDS; i++) {
                g_autoptr(GByteArray) b = g_byte_array_new();

                g_byte_array_append(b, (const guint8 *) content, (guint) n);
                for (int changes = g_rand_int_range(g, 1, 6); changes > 0; changes--)
                        change(g, b);
                run(b->data, b->len);
        }
}

int main(int argc, char *argv[]) {
        unsigned n_files = 0;

        run(NULL, 0);
        for (int i = 1; i < argc; i++) {
                g_autoptr(GDir) folder = g_dir_open(argv[i], 0, NULL);
                const char *name;

                while (folder && (name = g_dir_read_name(folder))) {
                        run_file(argv[i], name);
                        n_files++;
                }
        }
        printf("%u files, %u changed bodies\n", n_files, n_files * ROUNDS);
        return n_files > 0 ? EXIT_SUCCESS : EXIT_FAILURE; /* a lost corpus must not pass */
}
