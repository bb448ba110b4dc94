/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/bootstrap_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lwm2m/bootstrap/bs_card.h"
#include "lwm2m/bootstrap/bs_import.h"
#include "util/cleanup.h"
#include "util/log.h"
#include "util/parse.h"

static int read_whole(int fd, const struct stat *st, GBytes **ret) {
        g_autofree uint8_t *data = NULL;
        size_t n = 0, size = (size_t) st->st_size;

        if (!S_ISREG(st->st_mode))
                return -EINVAL;
        if (st->st_size > BOOTSTRAP_FILE_BYTES_MAX)
                return -EFBIG;
        data = g_malloc(size + 1);
        while (n < size) {
                ssize_t k = read(fd, data + n, size - n);

                if (k < 0 && errno != EINTR)
                        return -errno;
                if (k == 0)
                        break;
                n += k > 0 ? (size_t) k : 0;
        }
        *ret = g_bytes_new(data, n);
        explicit_bzero(data, n);
        return 0;
}

/* Keys are in it, as a rule. */
static void warn_of_mode(const char *path, const struct stat *st) {
        if (st->st_mode & (S_IRWXG | S_IRWXO))
                log_warning("'%s' may be read by others than its owner (mode %03o), and may hold "
                            "keys",
                            path, (unsigned) st->st_mode & 0777U);
}

static int read_file(const char *path, GBytes **ret, char **ret_error) {
        autoclose int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
        struct stat st = { 0 };
        int r;

        if (fd < 0 || fstat(fd, &st) < 0)
                r = -errno;
        else
                r = read_whole(fd, &st, ret);
        if (r < 0)
                *ret_error = g_strdup_printf("'%s': %s", path,
                                             r == -EFBIG ? "larger than 4 MiB" : g_strerror(-r));
        else
                warn_of_mode(path, &st);
        return r;
}

static void clear_part(void *p) {
        BsImport *part = p;

        g_free((char *) part->name);
        g_clear_pointer(&part->data, g_bytes_unref);
}

/* Cards are made for many devices: what this one does not know is left out. */
static void add_card_object(GArray *parts, const char *path, GBytes *file, const BsCardObject *o,
                            const Tree *tree) {
        const uint8_t *data = g_bytes_get_data(file, NULL);
        BsImport part = { .base = PATH_O(o->id), .format = FORMAT_TLV };
        const ObjectDef *def = tree_object_def(tree, o->id, -1);

        if (!def || (o->version.major > 0 && o->version.major != def->version.major)) {
                log_warning("'%s': object %u in version %u.%u is not known, leaving it out", path,
                            o->id, o->version.major, o->version.minor);
                return;
        }
        part.name = g_strdup_printf("%s, object %u", path, o->id);
        part.data =
                g_bytes_new_from_bytes(file, (gsize) (o->instances.pos - data), o->instances.left);
        g_array_append_val(parts, part);
}

static int add_card(GArray *parts, const char *path, GBytes *file, const Tree *tree,
                    char **ret_error) {
        BsCardObject objects[BS_CARD_OBJECTS_MAX];
        gsize size;
        const uint8_t *data = g_bytes_get_data(file, &size);
        int n = bs_card_read(data, size, objects);

        if (n < 0)
                *ret_error = g_strdup_printf("'%s': as the file of a smartcard, %s", path,
                                             n == -E2BIG    ? "it has too many objects"
                                             : n == -EEXIST ? "it has an object twice"
                                                            : "its lengths do not fit together");
        for (int i = 0; i < n; i++)
                add_card_object(parts, path, file, &objects[i], tree);
        return MIN(n, 0);
}

static bool is_card(GBytes *file) {
        gsize n;
        const uint8_t *data = g_bytes_get_data(file, &n);

        return bs_card_is_one(data, n);
}

static int add_file(GArray *parts, const char *path, const Tree *tree, char **ret_error) {
        g_autoptr(GBytes) file = NULL;
        BsImport part = { .base = PATH_ROOT };
        int r;

        r = read_file(path, &file, ret_error);
        if (r < 0)
                return r;
        if (is_card(file))
                return add_card(parts, path, file, tree, ret_error);
        r = bs_import_format(file, &part.format);
        if (r < 0) {
                *ret_error = g_strdup_printf("'%s': neither SenML JSON, SenML CBOR, LwM2M CBOR nor "
                                             "the file of a smartcard (and no folder of ID.tlv "
                                             "files)",
                                             path);
                return r;
        }
        part.name = g_strdup(path);
        part.data = g_bytes_ref(file);
        g_array_append_val(parts, part);
        return 0;
}

/* "1.tlv": TLV has no place for the number of the object. */
static int add_tlv(GArray *parts, const char *folder, const char *name, char **ret_error) {
        g_autofree char *path = g_build_filename(folder, name, NULL);
        g_autofree char *number = g_strndup(name, strlen(name) - strlen(".tlv"));
        BsImport part = { .format = FORMAT_TLV };
        uint16_t object;
        int r;

        if (parse_u16(number, &object) < 0 || object > ID_MAX) {
                *ret_error =
                        g_strdup_printf("'%s': its name is not that of an object, as 0.tlv", path);
                return -EINVAL;
        }
        r = read_file(path, &part.data, ret_error);
        if (r < 0)
                return r;
        part.base = PATH_O(object);
        part.name = g_strdup(path);
        g_array_append_val(parts, part);
        return 0;
}

static int add_folder(GArray *parts, const char *path, char **ret_error) {
        g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
        const char *name;
        int r;

        while (dir && (name = g_dir_read_name(dir))) {
                if (!g_str_has_suffix(name, ".tlv"))
                        continue;
                if (parts->len >= BOOTSTRAP_FILES_MAX) {
                        *ret_error = g_strdup_printf("'%s': more than %d files", path,
                                                     BOOTSTRAP_FILES_MAX);
                        return -E2BIG;
                }
                r = add_tlv(parts, path, name, ret_error);
                if (r < 0)
                        return r;
        }
        if (parts->len > 0)
                return 0;
        *ret_error = g_strdup_printf("'%s': no file ID.tlv in it", path);
        return -ENOENT;
}

int bootstrap_file_apply(const char *path, Tree *tree, const BsLimits *limits, char **ret_error) {
        g_autoptr(GArray) parts = g_array_new(FALSE, FALSE, sizeof(BsImport));
        int r;

        g_array_set_clear_func(parts, clear_part);
        r = g_file_test(path, G_FILE_TEST_IS_DIR) ? add_folder(parts, path, ret_error)
                                                  : add_file(parts, path, tree, ret_error);
        if (r < 0)
                return r;
        r = bs_import(tree, (const BsImport *) (const void *) parts->data, parts->len, limits,
                      g_get_real_time() / G_USEC_PER_SEC, ret_error);
        if (r < 0 && !g_str_has_prefix(*ret_error, path)) {
                g_autofree char *why = *ret_error;

                *ret_error = g_strdup_printf("'%s': %s", path, why);
        }
        return r;
}
