/* SPDX-License-Identifier: Apache-2.0 */
#include "model/slots.h"

#include <string.h>

#include "model/objectdef.h"

G_STATIC_ASSERT(sizeof(Slot) == 24);

uint16_t slots_position(const Slots *s, uint16_t id) {
        uint16_t low = 0, high = s ? s->n : 0;

        while (low < high) {
                uint16_t middle = (uint16_t) ((low + high) / 2);

                if (s->v[middle].id < id)
                        low = (uint16_t) (middle + 1);
                else
                        high = middle;
        }
        return low;
}

Slot *slots_get(const Slots *s, uint16_t id) {
        uint16_t i = slots_position(s, id);

        return s && i < s->n && s->v[i].id == id ? (Slot *) &s->v[i] : NULL;
}

/* Most instances have a few resources: no slack for those, amortized growth beyond. */
static uint16_t grown(uint16_t n) {
        return (uint16_t) (n < 4 ? n + 1 : MIN(n + n / 2, UINT16_MAX));
}

Slot *slots_add(Slots **slots, uint16_t id) {
        Slots *s = *slots;
        uint16_t i = slots_position(s, id), n = s ? s->n : 0;

        if (!s || s->n == s->n_allocated) {
                uint16_t n_allocated = grown(n);

                s = g_realloc(s, sizeof(*s) + n_allocated * sizeof(*s->v));
                if (!*slots)
                        *s = (Slots){ .def = NULL };
                s->n_allocated = n_allocated;
                *slots = s;
        }
        memmove(&s->v[i + 1], &s->v[i], (size_t) (n - i) * sizeof(*s->v));
        s->v[i] = (Slot){ .id = id };
        s->n++;
        return &s->v[i];
}

Slot slots_take(Slots **slots, uint16_t id) {
        Slots *s = *slots;
        uint16_t i = slots_position(s, id);
        Slot slot = s->v[i];

        memmove(&s->v[i], &s->v[i + 1], (size_t) (s->n - i - 1) * sizeof(*s->v));
        s->n--;
        if (s->n == 0 && !s->def)
                g_clear_pointer(slots, g_free);
        return slot;
}

void slot_clear(Slot *s) {
        if (s->multiple)
                s->items = slots_free(s->items);
        else
                value_clear(&s->value);
}

Instance *instance_new(const ObjectDef *def) {
        Instance *instance = g_new0(Instance, 1);

        instance->def = object_def_ref(def);
        return instance;
}

Slots *slots_free(Slots *s) {
        if (!s)
                return NULL;
        for (uint16_t i = 0; i < s->n; i++)
                slot_clear(&s->v[i]);
        object_def_unref(s->def);
        g_free(s);
        return NULL;
}

static bool has_bytes(const Value *v) {
        return v->type == VALUE_STRING || v->type == VALUE_OPAQUE || v->type == VALUE_CORELNK;
}

uint64_t slot_bytes(const Slot *s) {
        uint64_t n = 0;

        if (!s->multiple)
                return sizeof(*s) + (has_bytes(&s->value) ? s->value.length : 0);
        for (uint16_t i = 0; s->items && i < s->items->n; i++)
                n += slot_bytes(&s->items->v[i]);
        return n;
}

uint8_t slot_marks(const Slot *s) {
        uint8_t mark = s->mark;

        for (uint16_t i = 0; s->multiple && s->items && i < s->items->n; i++)
                mark |= s->items->v[i].mark;
        return mark;
}
