/* SPDX-License-Identifier: Apache-2.0 */
#include "model/schema.h"

#include <errno.h>

#include "model/objectdef.h"
#include "model/schema_files.h"
#include "model/schema_xml.h"
#include "util/file.h"

#define SCHEMA_OBJECTS_MAX 10000

struct Schema {
        GPtrArray *objects;    /* const ObjectDef *, owned; by id and version */
        GHashTable *preferred; /* id -> Version as a number */
        Version release;       /* schema_set_release(); 0.0 any */
        GPtrArray *unread;     /* SchemaFile *, as schema_files_add() has them */
        unsigned n_closed;     /* of them */
        unsigned n_found;      /* files in all */
};

static int add_file(Schema *s, const char *file, char **ret_error);

static void unref_def(void *def) {
        object_def_unref(def);
}

Schema *schema_new(void) {
        Schema *s = g_new0(Schema, 1);

        s->objects = g_ptr_array_new_with_free_func(unref_def);
        s->preferred = g_hash_table_new(NULL, NULL);
        s->unread = g_ptr_array_new_with_free_func(schema_file_free);
        return s;
}

Schema *schema_free(Schema *s) {
        if (!s)
                return NULL;
        g_ptr_array_unref(s->objects);
        g_hash_table_unref(s->preferred);
        g_ptr_array_unref(s->unread);
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

/* The i-th file that waits if it is one of that object, or NULL. */
static SchemaFile *unread_of(const Schema *s, guint i, uint16_t id) {
        SchemaFile *f = i < s->unread->len ? s->unread->pdata[i] : NULL;

        return f && f->id == id ? f : NULL;
}

/* Reading late is no change a caller could see, hence the const. */
static void read_one(const Schema *s, SchemaFile *f) {
        g_autofree char *path = schema_file_path(f), *error = NULL;

        if (add_file((Schema *) s, path, &error) < 0 && f->on_error)
                f->on_error(f->userdata, error);
        schema_file_free(f);
}

/* Looks into those known by their names. One with a wrong name goes where it belongs. */
static void open_object(const Schema *s, uint16_t id) {
        guint i = schema_files_first(s->unread, id);
        SchemaFile *f;

        while (s->n_closed > 0 && (f = unread_of(s, i, id))) {
                if (!f->closed) {
                        i++;
                        continue;
                }
                g_ptr_array_steal_index(s->unread, i);
                ((Schema *) s)->n_closed--;
                if (!schema_file_look(f)) {
                        read_one(s, f);
                        continue;
                }
                schema_files_add(s->unread, f);
                i += f->id <= id; /* it stands in front of the next one again */
        }
}

static void open_all(const Schema *s) {
        for (guint i = 0; s->n_closed > 0;) {
                const SchemaFile *f = i < s->unread->len ? s->unread->pdata[i] : NULL;

                if (f && f->closed)
                        open_object(s, f->id);
                i = f ? i + 1 : 0; /* some may have moved up meanwhile */
        }
}

/* Reads what is there of one object, or of one version of it (0.0: all), in the order it was found.
 */
static void read_object(const Schema *s, uint16_t id, Version version) {
        const bool all = version.major == 0 && version.minor == 0;
        SchemaFile *f;
        guint i;

        open_object(s, id);
        for (i = schema_files_first(s->unread, id); (f = unread_of(s, i, id));)
                if (all || version_compare(f->version, version) == 0)
                        read_one(s, g_ptr_array_steal_index(s->unread, i));
                else
                        i++;
}

static void read_all(const Schema *s) {
        open_all(s);
        while (s->unread->len > 0)
                read_object(s, ((SchemaFile *) s->unread->pdata[0])->id, (Version){ 0, 0 });
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
                const guint n_unread = s->unread->len;
                const SchemaFile *f;
                Choice c = { .any = false };
                size_t i;

                for (const ObjectDef *def = first_of(s, id, &i); def && def->id == id;
                     def = ++i < s->objects->len ? s->objects->pdata[i] : NULL)
                        consider(s, &c, def->version, def->lwm2m_version);
                for (guint k = schema_files_first(s->unread, id); (f = unread_of(s, k, id)); k++)
                        consider(s, &c, f->version, f->lwm2m_version);
                if (!c.any)
                        return NULL;
                read_object(s, id, c.version);
                if (s->unread->len == n_unread)
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

static int read_definitions(const char *file, GString *text, char **ret_error) {
        int r = schema_file_read(file, text);

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

/* Read now: what cannot wait. Returns the number of objects. */
static int add_file_now(Schema *s, const SchemaFile *f) {
        g_autofree char *path = schema_file_path(f), *error = NULL;
        g_autoptr(GArray) added = NULL;

        if (schema_add_file(s, path, &added, &error) >= 0)
                return (int) added->len;
        if (f->on_error)
                f->on_error(f->userdata, error);
        return 0;
}

static int add_found(Schema *s, SchemaFile *f, int n) {
        if (n >= SCHEMA_OBJECTS_MAX || (!schema_file_named(f) && !schema_file_look(f))) {
                n = add_file_now(s, f);
                schema_file_free(f);
                return n;
        }
        s->n_closed += f->closed;
        schema_files_add(s->unread, f);
        return 1;
}

int schema_add_directory(Schema *s, const char *directory,
                         void (*on_error)(void *userdata, const char *text), void *userdata) {
        g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
        g_autoptr(GRefString) folder = g_ref_string_new(directory);
        int r, n = 0;

        r = file_list(directory, ".xml", names);
        if (r < 0)
                return r;
        for (guint i = 0; i < names->len; i++) {
                SchemaFile *f = g_new0(SchemaFile, 1);

                f->directory = g_ref_string_acquire(folder);
                f->name = g_steal_pointer(&names->pdata[i]);
                f->order = s->n_found++;
                f->on_error = on_error;
                f->userdata = userdata;
                n += add_found(s, f, n);
        }
        return n;
}
