/* SPDX-License-Identifier: Apache-2.0 */
/* Object definitions: what begins with '<' is an XML text, all else a RangeEnumeration. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "model/objectdef.h"
#include "model/ranges.h"
#include "model/schema.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#define CHECK(condition)                                                                           \
        do {                                                                                       \
                if (!(condition))                                                                  \
                        abort();                                                                   \
        } while (0)

static void check_def(void *userdata, const ObjectDef *def) {
        unsigned *n = userdata;

        (*n)++;
        CHECK(def->id <= ID_MAX && def->name && (def->version.major > 0 || def->version.minor > 0));
        for (unsigned i = 0; i < def->n_resources; i++) {
                const ResourceDef *r = &def->resources[i];

                CHECK(i == 0 || def->resources[i - 1].id < r->id);
                CHECK(object_resource(def, r->id) == r && r->name);
                CHECK((r->type == VALUE_NONE) == ((r->operations & OPERATION_EXECUTE) != 0));
                CHECK(r->n_ranges <= RANGES_MAX + 1);
        }
}

static void fuzz_xml(const uint8_t *data, size_t n) {
        g_autoptr(Schema) s = schema_new();
        g_autoptr(GArray) added = NULL;
        g_autofree char *error = NULL, *again = NULL;
        unsigned n_defs = 0;
        int r;

        r = schema_add_xml(s, "x", (const char *) data, n, &added, &error);
        schema_foreach(s, check_def, &n_defs);
        if (r < 0) {
                CHECK(n_defs == 0 && !added && g_utf8_validate(error, -1, NULL) &&
                      strncmp(error, "x:", 2) == 0);
                CHECK(r == -EBADMSG || r == -E2BIG);
                return;
        }
        CHECK(n_defs == added->len && n_defs > 0);
        CHECK(schema_add_xml(s, "x", (const char *) data, n, NULL, &again) == 0);
        for (unsigned i = 0; i < added->len; i++) {
                const ObjectDef *def = g_array_index(added, const ObjectDef *, i);

                CHECK(schema_object(s, def->id, def->version) == def);
                CHECK(schema_remove(s, def->id, def->version) == 0);
        }
}

static void fuzz_ranges(const char *text) {
        for (ValueType type = VALUE_NONE; type < _VALUE_TYPE_MAX; type++) {
                Value v = { .type = (uint8_t) type };
                Range *ranges;
                size_t n = ranges_parse(text, type, &ranges);

                CHECK(n <= RANGES_MAX + 1 && (n > 0) == (ranges != NULL));
                for (size_t i = 0; i < n && !ranges[i].text; i++)
                        CHECK(ranges[i].min <= ranges[i].max && ranges[i].imin <= ranges[i].imax &&
                              ranges[i].umin <= ranges[i].umax);
                if (type == VALUE_STRING || type == VALUE_OPAQUE || type == VALUE_CORELNK)
                        v = value_text(type, "text", 4);
                CHECK(n > 0 || ranges_match(ranges, n, &v));
                (void) ranges_match(ranges, n, &v);
                value_clear(&v);
                ranges_free(ranges, n);
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
        if (n > 0 && *data == '<') {
                fuzz_xml(data, n);
        } else {
                g_autofree char *text = g_strndup((const char *) data, n);

                fuzz_ranges(text);
        }
        return 0;
}
