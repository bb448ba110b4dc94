/* SPDX-License-Identifier: Apache-2.0 */
#include "model/schema_files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "model/schema_xml.h"
#include "util/cleanup.h"
#include "util/parse.h"

#define HEAD_BYTES 4096 /* of a text; what it defines stands in the first 2 KiB of most */

void schema_file_free(void *file) {
        SchemaFile *f = file;

        if (!f)
                return;
        g_ref_string_release(f->directory);
        g_free(f->name);
        g_free(f);
}

char *schema_file_path(const SchemaFile *f) {
        return g_build_filename(f->directory, f->name, NULL);
}

/* "3303.xml" and "3303-1_1.xml": the names of OMA's registry. */
bool schema_file_named(SchemaFile *f) {
        const size_t n_digits = strspn(f->name, "0123456789");
        const char *rest = f->name + n_digits;
        unsigned major, minor;
        char id[6];
        int n = 0;

        if (n_digits == 0 || n_digits >= sizeof(id))
                return false;
        g_strlcpy(id, f->name, n_digits + 1);
        f->closed =
                parse_u16(id, &f->id) >= 0 &&
                (strcmp(rest, ".xml") == 0 ||
                 (sscanf(rest, "-%3u_%3u.xml%n", &major, &minor, &n) == 2 && n > 0 && !rest[n]));
        return f->closed;
}

/* At most max bytes of it. */
static int read_text(const char *path, size_t max, GString *ret) {
        autoclose int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
        struct stat st;
        size_t n = 0;

        if (fd < 0 || fstat(fd, &st) < 0)
                return -errno;
        if (!S_ISREG(st.st_mode))
                return S_ISDIR(st.st_mode) ? -EISDIR : -EINVAL;
        g_string_set_size(ret, MIN((size_t) st.st_size + 1, max));
        while (n < ret->len) {
                ssize_t k = read(fd, ret->str + n, ret->len - n);

                if (k < 0 && errno == EINTR)
                        continue;
                if (k < 0)
                        return -errno;
                if (k == 0)
                        break;
                n += (size_t) k;
        }
        g_string_truncate(ret, n);
        return 0;
}

int schema_file_read(const char *path, GString *ret) {
        return read_text(path, SCHEMA_XML_BYTES_MAX + 1, ret);
}

static bool look(SchemaFile *f, size_t max, bool whole) {
        g_autofree char *path = schema_file_path(f);
        g_autoptr(GString) text = g_string_new(NULL);

        return read_text(path, max, text) >= 0 &&
               schema_xml_look(text->str, text->len, whole, &f->id, &f->version, &f->lwm2m_version);
}

bool schema_file_look(SchemaFile *f) {
        const bool named = f->closed;

        f->closed = false;
        return (named && look(f, HEAD_BYTES, false)) || look(f, SCHEMA_XML_BYTES_MAX + 1, true);
}

/* How many are before the one of that object found at that place. */
static guint position(const GPtrArray *files, uint16_t id, unsigned order) {
        guint low = 0, high = files->len;

        while (low < high) {
                guint middle = (low + high) / 2;
                const SchemaFile *f = files->pdata[middle];

                if (f->id < id || (f->id == id && f->order < order))
                        low = middle + 1;
                else
                        high = middle;
        }
        return low;
}

void schema_files_add(GPtrArray *files, SchemaFile *f) {
        g_ptr_array_insert(files, (int) position(files, f->id, f->order), f);
}

guint schema_files_first(const GPtrArray *files, uint16_t id) {
        return position(files, id, 0);
}
