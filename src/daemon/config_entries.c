/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "daemon/config_internal.h"
#include "daemon/rights.h"
#include "model/path_table.h"
#include "util/parse.h"

void config_put_seed(void *userdata, const Path *path, const char *text, const char *where) {
        const Config *c = userdata;
        SeedConfig *s = g_new0(SeedConfig, 1), *old;

        s->path = *path;
        s->text = g_strdup(text);
        s->where = g_strdup(where);
        /* A later file's line for the same path takes the earlier one's place. */
        old = g_hash_table_lookup(c->seed_index, path);
        g_hash_table_insert(c->seed_index, path_dup(path), s);
        if (old)
                g_ptr_array_remove(c->seeds, old);
        g_ptr_array_add(c->seeds, s);
}

void config_add_seed(Reading *in, const char *name, const char *text) {
        g_autofree char *where = NULL;
        Path path;

        if (path_parse(name, &path) < 0 || path.n < 2) {
                complain(in, "Values", name,
                         "not the path of an Object Instance, resource or resource instance");
                return;
        }
        if (path.n == 2 && *text) {
                complain(in, "Values", name, "an Object Instance takes no value (write '%s=')",
                         name);
                return;
        }
        where = g_strdup_printf("%s:%u", in->file->file, keyfile_line(in->file, "Values", name));
        config_put_seed(in->config, &path, text, where);
}

void config_add_persist(Reading *in, const char *name, const char *text) {
        static const char *const policies[] = { "", "always", "server-writes", "never" };
        PersistConfig p = { 0 };

        if (path_parse(name, &p.prefix) < 0) {
                complain(in, "Persist", name, "neither a known key (Journal, Batch) nor a path");
                return;
        }
        for (unsigned i = 1; i < G_N_ELEMENTS(policies); i++)
                if (strcmp(text, policies[i]) == 0)
                        p.policy = (Persist) i;
        if (p.policy == PERSIST_DEFAULT)
                complain(in, "Persist", name, "'%s' is not always, server-writes or never", text);
        else
                g_array_append_val(in->config->persist, p);
}

/* "Default" is the rule for all that no other is about. */
void config_add_access(Reading *in, const char *name, const char *text) {
        bool is_default = strcmp(name, "Default") == 0;
        g_autofree char *why = NULL;
        Path path = PATH_ROOT;

        if (!is_default && (path_parse(name, &path) < 0 || path.n == 0)) {
                complain(in, "AccessControl", name,
                         "neither Default nor the path of an object or Object Instance");
                return;
        }
        if (access_policy_add(in->config->access, &path, text, &why) < 0)
                complain(in, "AccessControl", name, "%s", why);
}

void config_add_cache(Reading *in, const char *name, const char *text) {
        CacheConfig c = { 0 };

        if (path_parse(name, &c.prefix) < 0 || c.prefix.n == 0)
                complain(in, "Cache", name,
                         "not the path of an object, Object Instance, resource or resource "
                         "instance");
        else if (series_policy_parse(text, &c.policy) < 0)
                complain(
                        in, "Cache", name,
                        "'%s' is not a number of samples up to %d, and behind it oldest or newest, "
                        "all or latest",
                        text, SERIES_SAMPLES_MAX);
        else
                g_array_append_val(in->config->caches, c);
}

void config_add_schedule(Reading *in, const char *name, const char *text) {
        g_autofree char *why = NULL, *where = NULL;

        where = g_strdup_printf("%s:%u", in->file->file,
                                keyfile_line(in->file, "SendScheduler", name));
        if (schedule_add(in->config->schedule, name, text, where, &why) < 0)
                complain(in, "SendScheduler", name, "%s", why);
}

void config_set_offer(Reading *in, const char *text) {
        g_auto(GStrv) ids = g_strsplit(text, ";", -1);
        GArray *offered = g_array_new(FALSE, FALSE, sizeof(uint16_t));

        for (char **id = ids; *id; id++) {
                uint16_t number;

                if (parse_u16(g_strstrip(*id), &number) >= 0)
                        g_array_append_val(offered, number);
                else if (**id)
                        complain(in, "Objects", "Offer", "'%s' is not the number of an object",
                                 *id);
        }
        g_clear_pointer(&in->config->offered, g_array_unref);
        in->config->offered = offered;
}
