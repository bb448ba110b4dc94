/* SPDX-License-Identifier: Apache-2.0 */
#include "lwm2m/server/rd_links.h"

#include "lwm2m/account/account.h"

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

/* instance -1: there is none. Otherwise, without a version there is nothing to tell: </3/0> alone
 * says that object 3 is there. */
static void add_object(GString *s, const Tree *tree, uint16_t object, int instance, Version lwm2m) {
        const ObjectDef *def = tree_object_def(tree, object, instance);
        Version usual = rd_links_default_version(object, lwm2m);

        if (def && (def->version.major != usual.major || def->version.minor != usual.minor))
                g_string_append_printf(s, ",</%u>;ver=%u.%u", object, def->version.major,
                                       def->version.minor);
        else if (def && instance < 0)
                g_string_append_printf(s, ",</%u>", object);
}

static bool is_hidden(uint16_t object) {
        return object == OBJECT_SECURITY || object == OBJECT_OSCORE;
}

/* The offered objects from *next on that come before object, which has instances itself. */
static void add_offered(GString *s, const Tree *tree, const GArray *offered, guint *next,
                        uint32_t object, Version lwm2m) {
        for (; offered && *next < offered->len; (*next)++) {
                const uint16_t id = g_array_index(offered, uint16_t, *next);

                if (id > object)
                        return;
                if (*next > 0 && g_array_index(offered, uint16_t, *next - 1) == id)
                        continue;
                if (id < object && !is_hidden(id))
                        add_object(s, tree, id, -1, lwm2m);
        }
}

char *rd_links_format(const Tree *tree, const GArray *offered, Version lwm2m) {
        GString *s = g_string_new("</>;rt=\"oma.lwm2m\";ct=");
        Path p = PATH_ROOT;
        int object = -1;
        guint next = 0;

        g_string_append(s, content_formats(lwm2m));
        while (tree_next_instance(tree, &p, &p) == 0) {
                if (is_hidden(p.id[0]))
                        continue;
                if (p.id[0] != object) {
                        add_offered(s, tree, offered, &next, p.id[0], lwm2m);
                        add_object(s, tree, p.id[0], p.id[1], lwm2m);
                        object = p.id[0];
                }
                g_string_append_printf(s, ",</%u/%u>", p.id[0], p.id[1]);
        }
        add_offered(s, tree, offered, &next, UINT32_MAX, lwm2m);
        return g_string_free(s, FALSE);
}
