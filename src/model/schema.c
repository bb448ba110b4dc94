/* SPDX-License-Identifier: Apache-2.0 */
#include "model/schema.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "model/objectdef.h"
#include "model/schema_xml.h"
#include "util/cleanup.h"
#include "util/parse.h"

#define SCHEMA_OBJECTS_MAX 10000

struct Schema {
        GPtrArray *objects;    /* const ObjectDef *, owned; by id and version */
        GHashTable *preferred; /* id -> Version as a number */
        Version release;       /* schema_set_release(); 0.0 any */
        GHashTable *unread;    /* id -> GPtrArray of Unread, in the order they were found */
};

/* A file that names the object it defines, and is read when that object is first asked for: a start
 * needs few of the definitions that are there. */
typedef struct Unread {
        char *file;
        void (*on_error)(void *userdata, const char *text);
        void *userdata;
} Unread;

static void unread_free(void *p) {
        Unread *u = p;

        g_free(u->file);
        g_free(u);
}

static void unread_list_free(void *p) {
        g_ptr_array_unref(p);
}

static void unref_def(void *def) {
        object_def_unref(def);
}

Schema *schema_new(void) {
        Schema *s = g_new0(Schema, 1);

        s->objects = g_ptr_array_new_with_free_func(unref_def);
        s->preferred = g_hash_table_new(NULL, NULL);
        s->unread = g_hash_table_new_full(NULL, NULL, NULL, unread_list_free);
        return s;
}

Schema *schema_free(Schema *s) {
        if (!s)
                return NULL;
        g_ptr_array_unref(s->objects);
        g_hash_table_unref(s->preferred);
        g_hash_table_unref(s->unread);
        g_free(s);
        return NULL;
}

/* The first definition that is not before (id, version). */
static size_t position(const Schema *s, uint16_t id, Version version) {
        size_t low = 0, high = s->objects->len;

        while (low < high) {
                size_t middle = (low + high) / 2;
                const ObjectDef *def = s->objects->pdata[middle];

                if (def->id < id || (def->id == id && version_compare(def->version, version) < 0))
                        low = middle + 1;
                else
                        high = middle;
        }
        return low;
}

static const ObjectDef *exact(const Schema *s, uint16_t id, Version version) {
        size_t i = position(s, id, version);
        const ObjectDef *def = i < s->objects->len ? s->objects->pdata[i] : NULL;

        return def && def->id == id && version_compare(def->version, version) == 0 ? def : NULL;
}

static const ObjectDef *highest(const Schema *s, uint16_t id) {
        size_t i = position(s, id, (Version){ UINT8_MAX, UINT8_MAX });
        const ObjectDef *def = i < s->objects->len ? s->objects->pdata[i] : NULL;

        if (def && def->id == id) /* version 255.255 itself */
                return def;
        def = i > 0 ? s->objects->pdata[i - 1] : NULL;
        return def && def->id == id ? def : NULL;
}

/* The highest that the release knows; an object which came later is taken as it is. */
static const ObjectDef *usual(const Schema *s, uint16_t id) {
        const bool any = s->release.major == 0 && s->release.minor == 0;

        for (size_t i = position(s, id, (Version){ UINT8_MAX, UINT8_MAX }); !any && i > 0; i--) {
                const ObjectDef *def = s->objects->pdata[i - 1];

                if (def->id != id)
                        break;
                if (version_compare(def->lwm2m_version, s->release) <= 0)
                        return def;
        }
        return highest(s, id);
}

/* Reads what is there of one object. Reading late is no change a caller could see, hence the const.
 */
static void read_object(const Schema *s, uint16_t id) {
        gpointer key = GUINT_TO_POINTER(id), list;

        if (!g_hash_table_steal_extended(s->unread, key, NULL, &list))
                return;
        for (guint i = 0; i < ((GPtrArray *) list)->len; i++) {
                const Unread *u = g_ptr_array_index((GPtrArray *) list, i);
                g_autofree char *error = NULL;

                if (schema_add_file((Schema *) s, u->file, NULL, &error) < 0 && u->on_error)
                        u->on_error(u->userdata, error);
        }
        unread_list_free(list);
}

static void read_all(const Schema *s) {
        g_autoptr(GList) ids = g_hash_table_get_keys(s->unread);

        for (GList *l = ids; l; l = l->next)
                read_object(s, (uint16_t) GPOINTER_TO_UINT(l->data));
}

const ObjectDef *schema_object(const Schema *s, uint16_t id, Version version) {
        unsigned packed;

        read_object(s, id);
        if (version.major != 0 || version.minor != 0)
                return exact(s, id, version);
        packed = GPOINTER_TO_UINT(g_hash_table_lookup(s->preferred, GUINT_TO_POINTER(id)));
        if (packed != 0)
                return exact(s, id, (Version){ (uint8_t) (packed >> 8), (uint8_t) packed });
        return usual(s, id);
}

void schema_set_release(Schema *s, Version lwm2m) {
        s->release = lwm2m;
}

int schema_prefer(Schema *s, uint16_t id, Version version) {
        read_object(s, id);
        if (!exact(s, id, version))
                return -ENOENT;
        g_hash_table_insert(s->preferred, GUINT_TO_POINTER(id),
                            GUINT_TO_POINTER((unsigned) version.major << 8 | version.minor));
        return 0;
}

int schema_remove(Schema *s, uint16_t id, Version version) {
        size_t i;
        unsigned packed = (unsigned) version.major << 8 | version.minor;

        read_object(s, id);
        i = position(s, id, version);
        if (!exact(s, id, version))
                return -ENOENT;
        g_ptr_array_remove_index(s->objects, (unsigned) i);
        if (GPOINTER_TO_UINT(g_hash_table_lookup(s->preferred, GUINT_TO_POINTER(id))) == packed)
                g_hash_table_remove(s->preferred, GUINT_TO_POINTER(id));
        return 0;
}

void schema_foreach(const Schema *s, void (*func)(void *userdata, const ObjectDef *def),
                    void *userdata) {
        read_all(s);
        for (size_t i = 0; i < s->objects->len; i++)
                func(userdata, s->objects->pdata[i]);
}

/* Takes def over, or frees it when the same is there. Returns the one that is in the schema now. */
static const ObjectDef *insert(Schema *s, const ObjectDef *def) {
        size_t i = position(s, def->id, def->version);
        const ObjectDef *old = exact(s, def->id, def->version);

        if (!old) {
                g_ptr_array_insert(s->objects, (int) i, (void *) def);
                return def;
        }
        if (object_def_equal(old, def)) {
                object_def_unref(def);
                return old;
        }
        object_def_unref(old);
        s->objects->pdata[i] = (void *) def;
        return def;
}

/* Whether all of defs may go in; -EEXIST or -E2BIG and *ret_reason otherwise. */
static int check_all(const Schema *s, const GPtrArray *defs, char **ret_reason) {
        for (size_t i = 0; i < defs->len; i++) {
                const ObjectDef *def = defs->pdata[i], *old = exact(s, def->id, def->version);

                if (old && object_def_in_use(old) && !object_def_equal(old, def)) {
                        *ret_reason = g_strdup_printf(
                                "object %u version %u.%u is in use with another definition",
                                def->id, def->version.major, def->version.minor);
                        return -EEXIST;
                }
        }
        if (s->objects->len + defs->len > SCHEMA_OBJECTS_MAX) {
                *ret_reason =
                        g_strdup_printf("more than %d definitions in all", SCHEMA_OBJECTS_MAX);
                return -E2BIG;
        }
        return 0;
}

int schema_add_xml(Schema *s, const char *source, const char *xml, size_t n, GArray **ret_added,
                   char **ret_error) {
        g_autoptr(GPtrArray) defs = g_ptr_array_new_with_free_func(unref_def);
        g_autofree char *reason = NULL;
        unsigned line = 1;
        int r;

        r = schema_xml_parse(xml, n, defs, &line, &reason);
        /* What was found before is older, though it is read only now. */
        for (size_t i = 0; r >= 0 && i < defs->len; i++)
                read_object(s, ((const ObjectDef *) defs->pdata[i])->id);
        if (r >= 0)
                r = check_all(s, defs, &reason);
        if (r < 0) {
                *ret_error = g_strdup_printf("%s:%u: %s", source, line, reason);
                return r;
        }
        g_ptr_array_set_free_func(defs, NULL);
        if (ret_added)
                *ret_added = g_array_new(FALSE, FALSE, sizeof(const ObjectDef *));
        for (size_t i = 0; i < defs->len; i++) {
                const ObjectDef *def = insert(s, defs->pdata[i]);

                if (ret_added)
                        g_array_append_val(*ret_added, def);
        }
        return 0;
}

/* Appends the text of a regular file, at most one byte more than may be parsed. */
static int read_file(const char *file, GString *text) {
        autoclose int fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
        struct stat st;
        size_t n = 0;

        if (fd < 0 || fstat(fd, &st) < 0)
                return -errno;
        if (!S_ISREG(st.st_mode))
                return S_ISDIR(st.st_mode) ? -EISDIR : -EINVAL;
        g_string_set_size(text, MIN((size_t) st.st_size, SCHEMA_XML_BYTES_MAX) + 1);
        while (n < text->len) {
                ssize_t k = read(fd, text->str + n, text->len - n);

                if (k < 0 && errno == EINTR)
                        continue;
                if (k < 0)
                        return -errno;
                if (k == 0)
                        break;
                n += (size_t) k;
        }
        g_string_truncate(text, n);
        return 0;
}

int schema_add_file(Schema *s, const char *file, GArray **ret_added, char **ret_error) {
        g_autoptr(GString) text = g_string_new(NULL);
        int r;

        r = read_file(file, text);
        if (r < 0) {
                *ret_error = g_strdup_printf("%s:0: %s", file, g_strerror(-r));
                return r;
        }
        return schema_add_xml(s, file, text->str, text->len, ret_added, ret_error);
}

static int compare_names(const void *a, const void *b) {
        return strcmp(*(char *const *) a, *(char *const *) b);
}

static int list_directory(const char *directory, GPtrArray *ret) {
        g_autoptr(GError) error = NULL;
        g_autoptr(GDir) dir = NULL;
        const char *name;

        errno = 0;
        dir = g_dir_open(directory, 0, &error);
        if (!dir)
                return errno > 0 ? -errno : -ENOENT;
        while ((name = g_dir_read_name(dir)))
                if (*name != '.' && g_str_has_suffix(name, ".xml"))
                        g_ptr_array_add(ret, g_strdup(name));
        g_ptr_array_sort(ret, compare_names);
        return 0;
}

/* Whether a file can wait: it says once which object it defines, and is all there. Anything else is
 * read now. */
static bool can_wait(const char *file, uint16_t *ret_id) {
        static const char open_tag[] = "<ObjectID>", close_tag[] = "</ObjectID>",
                          end[] = "</LWM2M>";
        g_autoptr(GString) text = g_string_new(NULL);
        char *id, *id_end;

        if (read_file(file, text) < 0 || text->len > SCHEMA_XML_BYTES_MAX ||
            strlen(text->str) != text->len)
                return false;
        g_strchomp(text->str);
        id = strstr(text->str, open_tag);
        if (!id || strstr(id + 1, open_tag) || !g_str_has_suffix(text->str, end))
                return false;
        id += strlen(open_tag);
        id_end = strstr(id, close_tag);
        if (!id_end)
                return false;
        *id_end = '\0';
        return parse_u16(id, ret_id) >= 0;
}

static void put_off(Schema *s, uint16_t id, const char *file,
                    void (*on_error)(void *userdata, const char *text), void *userdata) {
        gpointer key = GUINT_TO_POINTER(id);
        GPtrArray *list = g_hash_table_lookup(s->unread, key);
        Unread *u = g_new0(Unread, 1);

        u->file = g_strdup(file);
        u->on_error = on_error;
        u->userdata = userdata;
        if (!list) {
                list = g_ptr_array_new_with_free_func(unread_free);
                g_hash_table_insert(s->unread, key, list);
        }
        g_ptr_array_add(list, u);
}

int schema_add_directory(Schema *s, const char *directory,
                         void (*on_error)(void *userdata, const char *text), void *userdata) {
        g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
        int r, n = 0;

        r = list_directory(directory, names);
        if (r < 0)
                return r;
        for (size_t i = 0; i < names->len; i++) {
                g_autofree char *file = g_build_filename(directory, names->pdata[i], NULL),
                                *error = NULL;
                g_autoptr(GArray) added = NULL;
                uint16_t id;

                if (n < SCHEMA_OBJECTS_MAX && can_wait(file, &id)) {
                        put_off(s, id, file, on_error, userdata);
                        n++;
                        continue;
                }
                r = schema_add_file(s, file, &added, &error);
                if (r >= 0)
                        n += (int) added->len;
                else if (on_error)
                        on_error(userdata, error);
        }
        return n;
}
