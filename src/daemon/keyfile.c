/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/keyfile.h"

#include <errno.h>
#include <string.h>

#include "util/file.h"

#define FILE_BYTES_MAX (1U << 20)
#define DROP_INS_MAX 256

int keyfile_open(const char *file, GString *errors, KeyFile *ret) {
        g_autoptr(GKeyFile) keyfile = g_key_file_new();
        g_autoptr(GError) error = NULL;
        g_autofree char *text = NULL;
        gsize n;

        if (!g_file_get_contents(file, &text, &n, &error)) {
                g_string_append_printf(errors, "%s\n", error->message);
                return g_error_matches(error, G_FILE_ERROR, G_FILE_ERROR_NOENT) ? -ENOENT : -EIO;
        }
        if (n > FILE_BYTES_MAX) {
                g_string_append_printf(errors, "%s: larger than %u bytes\n", file, FILE_BYTES_MAX);
                return -E2BIG;
        }
        if (!g_key_file_load_from_data(keyfile, text, n, G_KEY_FILE_NONE, &error)) {
                g_string_append_printf(errors, "%s: %s\n", file, error->message);
                return -EBADMSG;
        }
        *ret = (KeyFile){
                .file = file,
                .lines = g_strsplit(text, "\n", -1),
                .keyfile = g_steal_pointer(&keyfile),
                .errors = errors,
        };
        return 0;
}

void keyfile_clear(KeyFile *f) {
        g_clear_pointer(&f->lines, g_strfreev);
        g_clear_pointer(&f->index, g_hash_table_unref);
        g_clear_pointer(&f->keyfile, g_key_file_unref);
}

static char *index_key(const char *group, const char *key) {
        return g_strdup_printf("%s\n%s", group, key ? key : "");
}

/* The first line of a group or key counts. */
static void index_add(GHashTable *index, const char *group, const char *key, unsigned line) {
        g_autofree char *k = index_key(group, key);

        if (!g_hash_table_contains(index, k))
                g_hash_table_insert(index, g_steal_pointer(&k), GUINT_TO_POINTER(line));
}

/* GKeyFile keeps no line numbers. */
static GHashTable *index_lines(char *const *lines) {
        GHashTable *index = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
        g_autofree char *group = NULL;

        for (unsigned i = 0; lines[i]; i++) {
                g_autofree char *line = g_strstrip(g_strdup(lines[i]));
                size_t n = strlen(line);
                char *equals = strchr(line, '=');

                if (line[0] == '[' && n > 1 && line[n - 1] == ']') {
                        g_free(group);
                        group = g_strndup(line + 1, n - 2);
                        index_add(index, group, NULL, i + 1);
                } else if (group && equals) {
                        *equals = '\0';
                        index_add(index, group, g_strchomp(line), i + 1);
                }
        }
        return index;
}

unsigned keyfile_line(KeyFile *f, const char *group, const char *key) {
        g_autofree char *k = index_key(group, key);

        if (!f->index)
                f->index = index_lines(f->lines);
        return GPOINTER_TO_UINT(g_hash_table_lookup(f->index, k));
}

void keyfile_complain(KeyFile *f, const char *group, const char *key, const char *format, ...) {
        va_list ap;

        g_string_append_printf(f->errors, "%s:%u: ", f->file, keyfile_line(f, group, key));
        if (key)
                g_string_append_printf(f->errors, "[%s] %s: ", group, key);
        else
                g_string_append_printf(f->errors, "[%s]: ", group);
        va_start(ap, format);
        g_string_append_vprintf(f->errors, format, ap);
        va_end(ap);
        g_string_append_c(f->errors, '\n');
}

GPtrArray *keyfile_folder(const char *folder, GString *errors) {
        g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
        GPtrArray *files = g_ptr_array_new_with_free_func(g_free);
        int r = file_list(folder, ".conf", names);

        if (r < 0 && r != -ENOENT)
                g_string_append_printf(errors, "%s: %s\n", folder, g_strerror(-r));
        if (names->len > DROP_INS_MAX) {
                g_string_append_printf(errors, "%s: more than %d files\n", folder, DROP_INS_MAX);
                g_ptr_array_set_size(names, 0);
        }
        for (guint i = 0; i < names->len; i++)
                g_ptr_array_add(files, g_build_filename(folder, names->pdata[i], NULL));
        return files;
}
