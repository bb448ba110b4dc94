/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/config_where.h"

#include <string.h>

struct ConfigWhere {
        GHashTable *places; /* "group\nkey": "file:line" */
};

ConfigWhere *config_where_new(void) {
        ConfigWhere *w = g_new0(ConfigWhere, 1);

        w->places = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
        return w;
}

ConfigWhere *config_where_free(ConfigWhere *w) {
        if (!w)
                return NULL;
        g_hash_table_unref(w->places);
        g_free(w);
        return NULL;
}

static char *index_of(const char *group, const char *key) {
        return g_strdup_printf("%s\n%s", group, key ? key : "");
}

void config_where_note(ConfigWhere *w, KeyFile *f, const char *group, const char *key) {
        g_hash_table_insert(w->places, index_of(group, key),
                            g_strdup_printf("%s:%u", f->file, keyfile_line(f, group, key)));
}

static const char *find(const ConfigWhere *w, const char *group, const char *key) {
        g_autofree char *index = index_of(group, key);

        return g_hash_table_lookup(w->places, index);
}

static char *join(const ConfigWhere *w, const char *group, const char *key, const char *text) {
        const char *place = find(w, group, key);

        if (!place)
                place = find(w, group, NULL);
        return g_strdup_printf("%s%s[%s]%s%s: %s", place ? place : "", place ? ": " : "", group,
                               key ? " " : "", key ? key : "", text);
}

void config_where_complain(const ConfigWhere *w, GString *errors, const char *group,
                           const char *key, const char *format, ...) {
        g_autofree char *text = NULL, *line = NULL;
        va_list ap;

        va_start(ap, format);
        text = g_strdup_vprintf(format, ap);
        va_end(ap);
        line = join(w, group, key, text);
        g_string_append_printf(errors, "%s\n", line);
}

char *config_where_text(const ConfigWhere *w, const char *group, const char *text) {
        const char *colon = strstr(text, ": ");
        g_autofree char *key = colon ? g_strndup(text, (gsize) (colon - text)) : NULL;

        return key && find(w, group, key) ? join(w, group, key, colon + 2)
                                          : join(w, group, NULL, text);
}
