/* SPDX-License-Identifier: Apache-2.0 */
#include "lwm2m/rd_links.h"

#include "lwm2m/account.h"

/* Objects that a release of LwM2M brought in another version than 1.0; by column 1.0, 1.1, 1.2. */
static const struct {
        uint16_t object;
        Version versions[3];
} core[] = {
        { 1, { { 1, 0 }, { 1, 1 }, { 1, 2 } } }, { 2, { { 1, 0 }, { 1, 0 }, { 1, 1 } } },
        { 3, { { 1, 0 }, { 1, 1 }, { 1, 2 } } }, { 4, { { 1, 0 }, { 1, 2 }, { 1, 3 } } },
        { 5, { { 1, 0 }, { 1, 0 }, { 1, 1 } } },
};

Version rd_links_default_version(uint16_t object, Version lwm2m) {
        for (size_t i = 0; i < G_N_ELEMENTS(core); i++)
                if (core[i].object == object)
                        return core[i].versions[MIN(lwm2m.minor, 2)];
        return (Version){ 1, 0 };
}

/* Formats beyond the mandatory ones of the version, so that the server need not guess. */
static const char *content_formats(Version lwm2m) {
        switch (lwm2m.minor) {
        case 0:
                return "11543";
        case 1:
                return "\"60 110 112 11542 11543\"";
        default:
                return "\"60 110 112 11542 11543 11544\"";
        }
}

static void add_object(GString *s, const Tree *tree, const Path *instance, Version lwm2m) {
        const ObjectDef *def = tree_object_def(tree, instance->id[0], instance->id[1]);
        Version usual = rd_links_default_version(instance->id[0], lwm2m);

        /* Without a version there is nothing to tell, and </3/0> alone says that object 3 is there.
         */
        if (!def || (def->version.major == usual.major && def->version.minor == usual.minor))
                return;
        g_string_append_printf(s, ",</%u>;ver=%u.%u", instance->id[0], def->version.major,
                               def->version.minor);
}

char *rd_links_format(const Tree *tree, Version lwm2m) {
        GString *s = g_string_new("</>;rt=\"oma.lwm2m\";ct=");
        Path p = PATH_ROOT;
        int object = -1;

        g_string_append(s, content_formats(lwm2m));
        while (tree_next_instance(tree, &p, &p) == 0) {
                if (p.id[0] == OBJECT_SECURITY || p.id[0] == OBJECT_OSCORE)
                        continue;
                if (p.id[0] != object) {
                        add_object(s, tree, &p, lwm2m);
                        object = p.id[0];
                }
                g_string_append_printf(s, ",</%u/%u>", p.id[0], p.id[1]);
        }
        return g_string_free(s, FALSE);
}
