/* SPDX-License-Identifier: Apache-2.0 */
#include "lwm2m/observe/reference.h"

#include <math.h>
#include <string.h>

#include "lwm2m/observe/condition.h"

/* The place of p, or where it belongs. */
static guint place(const References *l, const Path *p) {
        guint low = 0, high = l ? l->len : 0;

        while (low < high) {
                const guint middle = low + (high - low) / 2;

                if (path_compare(&g_array_index(l, Reference, middle).path, p) < 0)
                        low = middle + 1;
                else
                        high = middle;
        }
        return low;
}

Reference *references_find(const References *l, const Path *p) {
        const guint i = place(l, p);

        if (!l || i == l->len)
                return NULL;
        return path_equal(&g_array_index(l, Reference, i).path, p) ? &g_array_index(l, Reference, i)
                                                                   : NULL;
}

void references_set(References **l, const Path *p, const Value *v) {
        Reference *found = references_find(*l, p), r = { .path = *p };

        r.is_number = condition_number(v, &r.number);
        if (!r.is_number)
                r.digest = digest_value(0, v);
        r.told = v->type == VALUE_BOOLEAN && v->b;
        if (found) {
                *found = r;
                return;
        }
        if (!*l)
                *l = g_array_sized_new(FALSE, FALSE, sizeof(Reference), 1);
        g_array_insert_val(*l, place(*l, p), r);
}

void references_remove(References **l, const Path *p) {
        Reference *found = references_find(*l, p);

        if (!found)
                return;
        g_array_remove_index(*l, (guint) (found - &g_array_index(*l, Reference, 0)));
        if ((*l)->len == 0)
                *l = references_free(*l);
}

References *references_free(References *l) {
        if (l)
                g_array_unref(l);
        return NULL;
}

static bool same_number(double a, double b) {
        return a == b || (isnan(a) && isnan(b)); /* as value_equal() */
}

bool reference_equals(const Reference *r, const Value *v) {
        double d;

        if (v->type == VALUE_BOOLEAN)
                return r->is_number && r->told == v->b;
        if (condition_number(v, &d))
                return r->is_number && same_number(d, r->number);
        return !r->is_number && r->digest == digest_value(0, v);
}

/* --- digests --- multiply and fold, as wyhash does: enough to tell a change, not against somebody
 * who searches for a collision, who would only hide news of his own. */
static uint64_t mix(uint64_t digest, uint64_t word) {
        const uint64_t odd = UINT64_C(0x9e3779b97f4a7c15);

        digest = (digest ^ word) * odd;
        digest ^= digest >> 32;
        digest = (digest + odd) * UINT64_C(0xd6e8feb86659fd93);
        return digest ^ digest >> 29;
}

static uint64_t mix_bytes(uint64_t digest, const char *data, size_t n) {
        digest = mix(digest, n);
        while (n > 0) {
                uint64_t word = 0;
                const size_t part = MIN(n, sizeof(word));

                memcpy(&word, data, part);
                digest = mix(digest, word);
                data += part;
                n -= part;
        }
        return digest;
}

uint64_t digest_value(uint64_t digest, const Value *v) {
        double number = v->type == VALUE_FLOAT && !isnan(v->d) ? v->d + 0.0 : NAN; /* -0 is 0 */
        uint64_t word = 0;

        digest = mix(digest, v->type);
        switch (v->type) {
        case VALUE_STRING:
        case VALUE_OPAQUE:
        case VALUE_CORELNK:
                digest = mix_bytes(digest, v->data, v->length);
                break;
        case VALUE_BOOLEAN:
                digest = mix(digest, v->b);
                break;
        case VALUE_OBJLNK:
                digest = mix(digest, (uint64_t) v->link.object << 16 | v->link.instance);
                break;
        case VALUE_NONE:
                break;
        case VALUE_FLOAT:
                memcpy(&word, &number, sizeof(word));
                digest = mix(digest, word);
                break;
        default:
                memcpy(&word, &v->u, sizeof(word));
                digest = mix(digest, word);
        }
        return digest ? digest : 1;
}

uint64_t digest_record(uint64_t digest, const Path *p, const Value *v) {
        digest = mix(digest, (uint64_t) p->id[0] << 48 | (uint64_t) p->id[1] << 32 |
                                     (uint64_t) p->id[2] << 16 | p->id[3]);
        return digest_value(digest ^ p->n, v);
}
