/* SPDX-License-Identifier: Apache-2.0 */
/* Files of the state directory. The first byte says which file the rest is, and whether it is the
 * file itself or operations that get a proper frame, so that the checksum does not hide what lies
 * behind it. Whatever they hold, the daemon starts, takes a write, and has the same state after the
 * next start. */
#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#include "codec/cborio.h"
#include "model/store.h"
#include "model/store_format.h"

#include "faults.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#define CHECK(condition)                                                                           \
        do {                                                                                       \
                if (!(condition))                                                                  \
                        abort();                                                                   \
        } while (0)

#define R(id, multiple, type)                                                                      \
        "<Item ID=\"" id                                                                           \
        "\"><Name>R</Name><Operations>RW</Operations><MultipleInstances>" multiple                 \
        "</MultipleInstances><Mandatory>Optional</Mandatory><Type>" type "</Type></Item>"
#define OBJECT(id)                                                                                 \
        "<Object><Name>A</Name><ObjectID>" id                                                      \
        "</ObjectID><MultipleInstances>Multiple</MultipleInstances>"                               \
        "<Mandatory>Optional</Mandatory><Resources>" R("0", "Single", "String") R(                 \
                "1", "Single", "Integer") R("2", "Single", "Unsigned Integer")                     \
                R("3", "Single", "Float") R("4", "Single", "Boolean") R("5", "Single", "Opaque")   \
                        R("6", "Single", "Time") R("7", "Single", "Objlnk")                        \
                                R("8", "Single", "Corelnk")                                        \
                                        R("10", "Multiple", "Integer") "</Resources></Object>"

static const char definitions[] = "<LWM2M>" OBJECT("1") OBJECT("9") "</LWM2M>";
static const char *const names[] = { "journal", "object-9", "accounts", "blobs", "object-77" };

static char folder[64];

static void empty_folder(void) {
        DIR *dir = opendir(folder);
        const struct dirent *entry;

        while (dir && (entry = readdir(dir)))
                if (*entry->d_name != '.')
                        (void) syscall(SYS_unlinkat, dirfd(dir), entry->d_name, 0);
        if (dir)
                closedir(dir);
}

static void remove_folder(void) {
        empty_folder();
        rmdir(folder);
}

/* Memory, where there is a file system in memory. */
static void make_folder(void) {
        if (*folder)
                return;
        strcpy(folder, "/dev/shm/fuzz-store-XXXXXX");
        if (!mkdtemp(folder)) {
                g_snprintf(folder, sizeof(folder), "%s/fuzz-store-XXXXXX", g_get_tmp_dir());
                CHECK(mkdtemp(folder));
        }
        atexit(remove_folder);
}

static void put_file(const char *name, const uint8_t *data, size_t n) {
        g_autofree char *file = g_strdup_printf("%s/%s%s", folder, name,
                                                strcmp(name, "journal") == 0 ? "" : ".cbor");
        int fd = open(file, O_WRONLY | O_CREAT | O_TRUNC, 0600);

        CHECK(fd >= 0 && syscall(SYS_write, fd, data, n) == (ssize_t) n);
        close(fd);
}

static void put_framed(const char *name, const uint8_t *data, size_t n) {
        g_autoptr(GByteArray) file = g_byte_array_new(), entry = g_byte_array_new();

        header_put(file, name, 1);
        if (strcmp(name, "journal") == 0)
                cborio_put_uint(entry, 2);
        g_byte_array_append(entry, data, (guint) n);
        frame_put(file, entry->data, entry->len);
        put_file(name, file->data, file->len);
}

static int dump_node(void *userdata, const Path *p, const Value *v, const ResourceDef *def) {
        g_autofree char *text = v ? value_format(v) : NULL;

        g_string_append_printf(userdata, "%s=%s ", PATH_TEXT(p), text ? text : "");
        return 0;
}

static void dump_blob(void *userdata, const char *name, GBytes *blob) {
        g_string_append_printf(userdata, "%s:%zu ", name, g_bytes_get_size(blob));
}

/* One run of the daemon: what it finds, and, if asked, what it leaves. */
static char *run(bool write_too) {
        const StoreConfig config = { .directory = folder };
        g_autoptr(Schema) schema = schema_new();
        g_autoptr(Tree) tree = tree_new(schema);
        g_autoptr(Store) store = NULL;
        g_autofree char *error = NULL;
        GString *text = g_string_new(NULL);

        CHECK(schema_add_xml(schema, "x", definitions, strlen(definitions), NULL, &error) == 0);
        CHECK(store_open(&config, tree, NULL, NULL, &store) == 0);
        if (write_too) {
                tree_begin(tree, ORIGIN_SERVER, 1);
                if (!tree_exists(tree, &PATH_OI(9, 4711)))
                        CHECK(tree_create(tree, 9, 4711, (Version){ 0, 0 }) == 0);
                CHECK(tree_set(tree, &PATH_OIR(9, 4711, 1),
                               &(Value){ .type = VALUE_INTEGER, .i = 1 }) == 0);
                CHECK(tree_commit(tree) == 0);
        }
        tree_walk(tree, &PATH_ROOT, dump_node, text);
        store_foreach_blob(store, "", dump_blob, text);
        return g_string_free(text, FALSE);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
        g_autofree char *first = NULL, *second = NULL;

        if (n == 0)
                return 0;
        make_folder();
        empty_folder();
        if (*data & 0x80)
                put_framed(names[(*data & 0x7f) % G_N_ELEMENTS(names)], data + 1, n - 1);
        else
                put_file(names[*data % G_N_ELEMENTS(names)], data + 1, n - 1);
        first = run(true);
        second = run(false);
        CHECK(strcmp(first, second) == 0);
        return 0;
}
