/* SPDX-License-Identifier: Apache-2.0 */
#include "lwm2m/bootstrap/bs_discover.h"

#include <inttypes.h>

#include "lwm2m/bootstrap/bs_account.h"
#include "lwm2m/server/rd_links.h"

typedef struct Discovery {
        const Tree *tree;
        Version lwm2m;
        GString *out;
        GArray *objects; /* of uint16_t, ascending */
} Discovery;

static void append_ssid(Discovery *d, uint16_t object, uint16_t instance, uint16_t resource) {
        const Value *v;

        if (tree_get(d->tree, &PATH_OIR(object, instance, resource), &v) == 0 &&
            v->type == VALUE_INTEGER)
                g_string_append_printf(d->out, ";ssid=%" PRId64, v->i);
}

static void append_uri(Discovery *d, uint16_t instance) {
        const Value *v;

        if (d->lwm2m.minor == 0 ||
            tree_get(d->tree, &PATH_OIR(OBJECT_SECURITY, instance, SECURITY_URI), &v) < 0 ||
            v->type != VALUE_STRING)
                return;
        g_string_append(d->out, ";uri=\"");
        for (const char *c = v->data; *c; c++) { /* RFC 6690: quoted-string of RFC 2616 */
                if (*c == '"' || *c == '\\')
                        g_string_append_c(d->out, '\\');
                g_string_append_c(d->out, *c);
        }
        g_string_append_c(d->out, '"');
}

/* The account whose OSCORE instance it is; the bootstrap server's has no Short Server ID. */
static void append_oscore_ssid(Discovery *d, uint16_t instance) {
        Path p = PATH_O(OBJECT_SECURITY);
        uint16_t oscore;

        while (tree_next_instance(d->tree, &p, &p) == 0 && p.id[0] == OBJECT_SECURITY)
                if (bs_account_oscore(d->tree, p.id[1], &oscore) && oscore == instance &&
                    !bs_account_is_one(d->tree, p.id[1])) {
                        append_ssid(d, OBJECT_SECURITY, p.id[1], SECURITY_SSID);
                        return;
                }
}

static void append_instance(Discovery *d, const Path *p) {
        g_string_append_printf(d->out, ",<%s>", PATH_TEXT(p));
        if (p->id[0] == OBJECT_SERVER)
                append_ssid(d, OBJECT_SERVER, p->id[1], SERVER_SSID);
        else if (p->id[0] == OBJECT_OSCORE)
                append_oscore_ssid(d, p->id[1]);
        else if (p->id[0] == OBJECT_SECURITY && !bs_account_is_one(d->tree, p->id[1])) {
                append_ssid(d, OBJECT_SECURITY, p->id[1], SECURITY_SSID);
                append_uri(d, p->id[1]);
        }
}

static Version usual_version(const Discovery *d, uint16_t object) {
        /* Object 0 is in no Register, whose table this is; its versions are those of LwM2M. */
        return object == OBJECT_SECURITY ? d->lwm2m : rd_links_default_version(object, d->lwm2m);
}

static void append_object(Discovery *d, uint16_t object) {
        const Version usual = usual_version(d, object);
        const ObjectDef *def;
        Path p = PATH_O(object);
        bool any, other;

        any = tree_next_instance(d->tree, &p, &p) == 0 && p.id[0] == object;
        def = tree_object_def(d->tree, object, any ? p.id[1] : -1);
        other = def && (def->version.major != usual.major || def->version.minor != usual.minor);
        if (!any || other)
                g_string_append_printf(d->out, ",</%u>", object);
        if (other)
                g_string_append_printf(d->out, ";ver=%u.%u", def->version.major,
                                       def->version.minor);
        if (!any)
                return;
        do
                append_instance(d, &p);
        while (tree_next_instance(d->tree, &p, &p) == 0 && p.id[0] == object);
}

static void on_definition(void *userdata, const ObjectDef *def) {
        GArray *objects = ((Discovery *) userdata)->objects;

        if (objects->len == 0 || g_array_index(objects, uint16_t, objects->len - 1) != def->id)
                g_array_append_val(objects, def->id);
}

char *bs_discover(const Tree *tree, const Path *target, Version lwm2m) {
        Discovery d = { .tree = tree, .lwm2m = lwm2m, .out = g_string_new("</>;lwm2m=") };

        g_string_append_printf(d.out, "%u.%u", lwm2m.major, lwm2m.minor);
        d.objects = g_array_new(FALSE, FALSE, sizeof(uint16_t));
        if (target->n > 0)
                g_array_append_val(d.objects, target->id[0]);
        else
                schema_foreach(tree_schema(tree), on_definition, &d);
        for (guint i = 0; i < d.objects->len; i++)
                append_object(&d, g_array_index(d.objects, uint16_t, i));
        g_array_unref(d.objects);
        return g_string_free(d.out, FALSE);
}
