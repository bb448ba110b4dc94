/* SPDX-License-Identifier: Apache-2.0 */
/* The file of a queue on disk. The first byte says whether the rest is the file itself or records,
 * cut at zero bytes, in a proper frame each, followed by what the last one holds. Whatever the file
 * says, it opens, takes more, and gives back the same after it was opened again. */
#include "fuzz.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "model/spill.h"

#define SPILL_BYTES 4096

static char folder[64];

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

static Spill *open_spill(void) {
        SpillConfig config = { .directory = folder, .name = "q", .bytes_max = SPILL_BYTES };
        Spill *s = NULL;

        CHECK(spill_open(&config, &s) == 0);
        return s;
}

static void put_framed(const uint8_t *data, size_t n) {
        g_autoptr(Spill) s = open_spill();

        while (n > 0) {
                const uint8_t *zero = memchr(data, 0, n);
                size_t part = zero ? (size_t) (zero - data) : n;
                g_autoptr(GBytes) record = g_bytes_new(data, part);

                (void) spill_append(s, &record, 1);
                part += zero != NULL;
                data += part;
                n -= part;
        }
}

static uint64_t drain(Spill *s) {
        uint64_t n = 0;

        while (spill_count(s) > 0) {
                g_autoptr(GBytes) record = NULL;

                CHECK(spill_peek(s, &record) == 0);
                spill_pop(s);
                n++;
        }
        CHECK(spill_bytes(s) == 0);
        return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
        g_autofree char *path = NULL;
        g_autoptr(GBytes) record = g_bytes_new_static("more", 4);
        uint64_t count;
        Spill *s;

        if (n == 0)
                return 0;
        if (!*folder) {
                g_strlcpy(folder,
                          access("/dev/shm", W_OK) == 0 ? "/dev/shm/fuzz-spill-XXXXXX"
                                                        : "/tmp/fuzz-spill-XXXXXX",
                          sizeof(folder));
                CHECK(mkdtemp(folder));
                atexit(remove_folder);
        }
        empty();
        path = g_build_filename(folder, "q", NULL);
        if (data[0] & 1)
                put_framed(data + 1, n - 1);
        else
                CHECK(g_file_set_contents(path, (const char *) data + 1, (gssize) n - 1, NULL));
        s = open_spill();
        count = spill_count(s);
        count += spill_append(s, &record, 1) == 0;
        CHECK(spill_count(s) == count);
        spill_close(s);
        s = open_spill();
        CHECK(spill_count(s) == count);
        CHECK(drain(s) == count);
        CHECK(access(path, F_OK) < 0);
        spill_close(s);
        return 0;
}
