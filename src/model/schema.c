/* SPDX-License-Identifier: Apache-2.0 */
#include "model/schema.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
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
        unsigned n_closed;     /* of them: not opened yet */
};

/* A file whose name or text says which object it defines, and is read when that is first asked for:
 * a start needs few of the definitions that are there, and opening each would be a tenth of it. */
typedef struct Unread {
        char *file;
        bool closed; /* known by its name only, the versions are not */
        Version version, lwm2m_version;
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

static int add_file(Schema *s, const char *file, char **ret_error);
static bool can_wait(const char *file, uint16_t *ret_id, Unread *u);
static void put_off(Schema *s, uint16_t id, Unread *u);

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

/* Reading late is no change a caller could see, hence the const. */
static void read_one(const Schema *s, const Unread *u) {
        g_autofree char *error = NULL;

        if (add_file((Schema *) s, u->file, &error) < 0 && u->on_error)
                u->on_error(u->userdata, error);
}

/* Looks into one that was known by its name. When that was wrong it goes where it belongs. */
static bool open_one(Schema *s, uint16_t id, Unread *u) {
        uint16_t real = id;

        u->closed = false;
        s->n_closed--;
        if (!can_wait(u->file, &real, u)) {
                read_one(s, u);
                return false;
        }
        if (real == id)
                return true;
        put_off(s, real, g_memdup2(u, sizeof(*u)));
        u->file = NULL;
        return false;
}

static void open_object(const Schema *s, uint16_t id) {
        GPtrArray *list = g_hash_table_lookup(s->unread, GUINT_TO_POINTER(id));

        for (guint i = 0; s->n_closed > 0 && list && i < list->len;) {
                Unread *u = g_ptr_array_index(list, i);

                if (!u->closed || open_one((Schema *) s, id, u))
                        i++;
                else
                        g_ptr_array_remove_index(list, i);
        }
        if (list && list->len == 0)
                g_hash_table_remove(s->unread, GUINT_TO_POINTER(id));
}

static void open_all(const Schema *s) {
        g_autoptr(GList) ids = g_hash_table_get_keys(s->unread);

        for (GList *l = ids; l; l = l->next)
                open_object(s, (uint16_t) GPOINTER_TO_UINT(l->data));
}

/* Reads what is there of one object, or of one version of it (0.0: all), in the order it was found.
 */
static void read_object(const Schema *s, uint16_t id, Version version) {
        const bool all = version.major == 0 && version.minor == 0;
        GPtrArray *list;

        open_object(s, id);
        list = g_hash_table_lookup(s->unread, GUINT_TO_POINTER(id));
        for (guint i = 0; list && i < list->len;) {
                Unread *u = g_ptr_array_index(list, i);

                if (!all && version_compare(u->version, version) != 0) {
                        i++;
                        continue;
                }
                g_ptr_array_steal_index(list, i);
                read_one(s, u);
                unread_free(u);
        }
        if (list && list->len == 0)
                g_hash_table_remove(s->unread, GUINT_TO_POINTER(id));
}

static void read_all(const Schema *s) {
        g_autoptr(GList) ids = NULL;

        open_all(s);
        ids = g_hash_table_get_keys(s->unread);
        for (GList *l = ids; l; l = l->next)
                read_object(s, (uint16_t) GPOINTER_TO_UINT(l->data), (Version){ 0, 0 });
}

static const ObjectDef *first_of(const Schema *s, uint16_t id, size_t *ret) {
        *ret = position(s, id, (Version){ 0, 0 });
        return *ret < s->objects->len ? s->objects->pdata[*ret] : NULL;
}

/* The choice between versions: one that the release knows before one that came later, then the
 * higher. */
typedef struct Choice {
        Version version;
        bool any, known;
} Choice;

static void consider(const Schema *s, Choice *c, Version version, Version lwm2m_version) {
        const bool known = (s->release.major == 0 && s->release.minor == 0) ||
                           version_compare(lwm2m_version, s->release) <= 0;

        if (c->any && (c->known != known ? c->known : version_compare(c->version, version) >= 0))
                return;
        *c = (Choice){ .version = version, .any = true, .known = known };
}

/* Chosen among what was read and what was not; then that one is read. A file that turns out bad, or
 * to define something else, is a candidate no more. */
static const ObjectDef *usual(const Schema *s, uint16_t id) {
        open_object(s, id);
        for (;;) {
                const GPtrArray *list = g_hash_table_lookup(s->unread, GUINT_TO_POINTER(id));
                guint n_unread = list ? list->len : 0;
                Choice c = { .any = false };
                size_t i;

                for (const ObjectDef *def = first_of(s, id, &i); def && def->id == id;
                     def = ++i < s->objects->len ? s->objects->pdata[i] : NULL)
                        consider(s, &c, def->version, def->lwm2m_version);
                for (guint k = 0; k < n_unread; k++) {
                        const Unread *u = g_ptr_array_index(list, k);

                        consider(s, &c, u->version, u->lwm2m_version);
                }
                if (!c.any)
                        return NULL;
                read_object(s, id, c.version);
                list = g_hash_table_lookup(s->unread, GUINT_TO_POINTER(id));
                if ((list ? list->len : 0) == n_unread)
                        return exact(s, id, c.version);
        }
}

static const ObjectDef *find(const Schema *s, uint16_t id, Version version) {
        unsigned packed;

        if (version.major == 0 && version.minor == 0) {
                packed = GPOINTER_TO_UINT(g_hash_table_lookup(s->preferred, GUINT_TO_POINTER(id)));
                if (packed == 0)
                        return usual(s, id);
                version = (Version){ (uint8_t) (packed >> 8), (uint8_t) packed };
        }
        read_object(s, id, version);
        return exact(s, id, version);
}

const ObjectDef *schema_object(const Schema *s, uint16_t id, Version version) {
        const ObjectDef *def = find(s, id, version);

        /* Perhaps in a file whose name is that of another object. */
        if (!def && s->n_closed > 0) {
                open_all(s);
                def = find(s, id, version);
        }
        return def;
}

void schema_set_release(Schema *s, Version lwm2m) {
        s->release = lwm2m;
}

int schema_prefer(Schema *s, uint16_t id, Version version) {
        read_object(s, id, version);
        if (!exact(s, id, version))
                return -ENOENT;
        g_hash_table_insert(s->preferred, GUINT_TO_POINTER(id),
                            GUINT_TO_POINTER((unsigned) version.major << 8 | version.minor));
        return 0;
}

int schema_remove(Schema *s, uint16_t id, Version version) {
        size_t i;
        unsigned packed = (unsigned) version.major << 8 | version.minor;

        read_object(s, id, version);
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

/* older_first: what was found before goes in before, though it is read only now. */
static int add_text(Schema *s, const char *source, const char *xml, size_t n, bool older_first,
                    GArray **ret_added, char **ret_error) {
        g_autoptr(GPtrArray) defs = g_ptr_array_new_with_free_func(unref_def);
        g_autofree char *reason = NULL;
        unsigned line = 1;
        int r;

        r = schema_xml_parse(xml, n, defs, &line, &reason);
        for (size_t i = 0; older_first && r >= 0 && i < defs->len; i++)
                read_object(s, ((const ObjectDef *) defs->pdata[i])->id, (Version){ 0, 0 });
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

int schema_add_xml(Schema *s, const char *source, const char *xml, size_t n, GArray **ret_added,
                   char **ret_error) {
        return add_text(s, source, xml, n, true, ret_added, ret_error);
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

static int read_definitions(const char *file, GString *text, char **ret_error) {
        int r = read_file(file, text);

        if (r < 0)
                *ret_error = g_strdup_printf("%s:0: %s", file, g_strerror(-r));
        return r;
}

static int add_file(Schema *s, const char *file, char **ret_error) {
        g_autoptr(GString) text = g_string_new(NULL);
        int r;

        r = read_definitions(file, text, ret_error);
        return r < 0 ? r : add_text(s, file, text->str, text->len, false, NULL, ret_error);
}

int schema_add_file(Schema *s, const char *file, GArray **ret_added, char **ret_error) {
        g_autoptr(GString) text = g_string_new(NULL);
        int r;

        r = read_definitions(file, text, ret_error);
        return r < 0 ? r : add_text(s, file, text->str, text->len, true, ret_added, ret_error);
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

/* The text of an element that stands once in front of end; NULL otherwise. */
static char *head_element(const char *text, const char *end, const char *name) {
        g_autofree char *open_tag = g_strdup_printf("<%s>", name),
                        *close_tag = g_strdup_printf("</%s>", name);
        const char *from = strstr(text, open_tag), *to = from ? strstr(from, close_tag) : NULL;

        if (!to || to > end || strstr(from + 1, open_tag))
                return NULL;
        return g_strstrip(
                g_strndup(from + strlen(open_tag), (gsize) (to - from) - strlen(open_tag)));
}

static bool head_version(const char *text, const char *end, const char *name, Version *ret) {
        g_autofree char *value = head_element(text, end, name);
        unsigned major, minor;
        char rest;

        *ret = (Version){ 1, 0 }; /* what a definition without it means */
        if (!value || !*value)
                return strstr(text, name) == NULL || value;
        if (sscanf(value, "%3u.%3u%c", &major, &minor, &rest) != 2 || major > UINT8_MAX ||
            minor > UINT8_MAX)
                return false;
        *ret = (Version){ (uint8_t) major, (uint8_t) minor };
        return true;
}

/* Whether a file can wait: it says once, before its resources, what it defines, and is all there.
 * Anything else is read now. */
static bool can_wait(const char *file, uint16_t *ret_id, Unread *u) {
        g_autoptr(GString) text = g_string_new(NULL);
        g_autofree char *id = NULL;
        const char *end;

        if (read_file(file, text) < 0 || text->len > SCHEMA_XML_BYTES_MAX ||
            strlen(text->str) != text->len)
                return false;
        g_strchomp(text->str);
        end = strstr(text->str, "<Resources>");
        if (!end || !g_str_has_suffix(text->str, "</LWM2M>"))
                return false;
        id = head_element(text->str, end, "ObjectID");
        return id && parse_u16(id, ret_id) >= 0 &&
               head_version(text->str, end, "ObjectVersion", &u->version) &&
               head_version(text->str, end, "LWM2MVersion", &u->lwm2m_version);
}

static void put_off(Schema *s, uint16_t id, Unread *u) {
        gpointer key = GUINT_TO_POINTER(id);
        GPtrArray *list = g_hash_table_lookup(s->unread, key);

        if (!list) {
                list = g_ptr_array_new_with_free_func(unread_free);
                g_hash_table_insert(s->unread, key, list);
        }
        g_ptr_array_add(list, u);
}

/* "3303.xml" and "3303-1_1.xml" say what they define: the names of OMA's registry. */
static bool is_named_after(const char *name, uint16_t *ret_id) {
        g_autofree char *id = g_strndup(name, strspn(name, "0123456789"));
        const char *rest = name + strlen(id);
        unsigned major, minor;
        int n = 0;

        if (parse_u16(id, ret_id) < 0)
                return false;
        return strcmp(rest, ".xml") == 0 ||
               (sscanf(rest, "-%3u_%3u.xml%n", &major, &minor, &n) == 2 && n > 0 && !rest[n]);
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
                Unread u = { .on_error = on_error, .userdata = userdata };
                uint16_t id;

                u.closed = is_named_after(names->pdata[i], &id);
                if (n < SCHEMA_OBJECTS_MAX && (u.closed || can_wait(file, &id, &u))) {
                        s->n_closed += u.closed;
                        u.file = g_steal_pointer(&file);
                        put_off(s, id, g_memdup2(&u, sizeof(u)));
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
