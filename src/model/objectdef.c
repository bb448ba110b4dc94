/* SPDX-License-Identifier: Apache-2.0 */
#include "model/objectdef.h"

#include <errno.h>
#include <string.h>

#include "model/ranges.h"

/* What callers see stands first, so that both have one address. */
typedef struct SharedDef {
        ObjectDef def;
        unsigned n_refs;
} SharedDef;

int version_compare(Version a, Version b) {
        int x = a.major << 8 | a.minor, y = b.major << 8 | b.minor;

        return (x > y) - (x < y);
}

ObjectDef *object_def_new(void) {
        SharedDef *shared = g_new0(SharedDef, 1);

        shared->n_refs = 1;
        shared->def.version = shared->def.lwm2m_version = (Version){ 1, 0 };
        return &shared->def;
}

void resource_def_clear(ResourceDef *resource) {
        ranges_free(resource->ranges, resource->n_ranges);
        g_free(resource->name);
        g_free(resource->units);
        g_free(resource->range_text);
        g_free(resource->description);
        *resource = (ResourceDef){ 0 };
}

const ObjectDef *object_def_ref(const ObjectDef *def) {
        ((SharedDef *) def)->n_refs++;
        return def;
}

const ObjectDef *object_def_unref(const ObjectDef *def) {
        SharedDef *shared = (SharedDef *) def;

        if (!shared || --shared->n_refs > 0)
                return NULL;
        for (size_t i = 0; i < shared->def.n_resources; i++)
                resource_def_clear(&shared->def.resources[i]);
        g_free(shared->def.resources);
        g_free(shared->def.name);
        g_free(shared->def.urn);
        g_free(shared->def.description);
        g_free(shared);
        return NULL;
}

bool object_def_in_use(const ObjectDef *def) {
        return ((const SharedDef *) def)->n_refs > 1;
}

/* Ranges follow from range_text and type. */
static bool resource_equal(const ResourceDef *a, const ResourceDef *b) {
        return a->id == b->id && a->type == b->type && a->operations == b->operations &&
               a->multiple == b->multiple && a->mandatory == b->mandatory &&
               g_strcmp0(a->name, b->name) == 0 && g_strcmp0(a->units, b->units) == 0 &&
               g_strcmp0(a->range_text, b->range_text) == 0 &&
               g_strcmp0(a->description, b->description) == 0;
}

bool object_def_equal(const ObjectDef *a, const ObjectDef *b) {
        if (a->id != b->id || version_compare(a->version, b->version) != 0 ||
            version_compare(a->lwm2m_version, b->lwm2m_version) != 0 ||
            a->multiple != b->multiple || a->mandatory != b->mandatory ||
            a->n_resources != b->n_resources || g_strcmp0(a->name, b->name) != 0 ||
            g_strcmp0(a->urn, b->urn) != 0 || g_strcmp0(a->description, b->description) != 0)
                return false;
        for (size_t i = 0; i < a->n_resources; i++)
                if (!resource_equal(&a->resources[i], &b->resources[i]))
                        return false;
        return true;
}

/* Where the resource is or would be. */
static size_t resource_position(const ObjectDef *def, uint16_t id) {
        size_t low = 0, high = def->n_resources;

        while (low < high) {
                size_t middle = (low + high) / 2;

                if (def->resources[middle].id < id)
                        low = middle + 1;
                else
                        high = middle;
        }
        return low;
}

int object_def_add_resource(ObjectDef *def, ResourceDef *resource) {
        size_t i = resource_position(def, resource->id);

        if (i < def->n_resources && def->resources[i].id == resource->id)
                return -EEXIST;
        def->resources = g_renew(ResourceDef, def->resources, def->n_resources + 1U);
        memmove(&def->resources[i + 1], &def->resources[i],
                (def->n_resources - i) * sizeof(*def->resources));
        def->resources[i] = *resource;
        def->n_resources++;
        *resource = (ResourceDef){ 0 };
        return 0;
}

const ResourceDef *object_resource(const ObjectDef *def, uint16_t resource) {
        size_t i = resource_position(def, resource);

        return i < def->n_resources && def->resources[i].id == resource ? &def->resources[i] : NULL;
}

int resource_check(const ResourceDef *def, const Value *v) {
        if (v->type != def->type || v->type == VALUE_NONE)
                return -EINVAL;
        if ((v->type == VALUE_STRING || v->type == VALUE_CORELNK) &&
            !g_utf8_validate(v->data, v->length, NULL))
                return -EINVAL;
        return ranges_match(def->ranges, def->n_ranges, v) ? 0 : -ERANGE;
}
