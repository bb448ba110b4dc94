/* SPDX-License-Identifier: Apache-2.0 */
#include "lwm2m/observe/attrs.h"

#include <errno.h>
#include <string.h>

#include "codec/value.h"
#include "util/parse.h"

typedef enum AttrKind { KIND_COUNT, KIND_NUMBER, KIND_STEP, KIND_FLAG } AttrKind;

static const struct {
        const char *name;
        AttrKind kind;
} attr_infos[_ATTR_MAX] = {
        [ATTR_PMIN] = { "pmin", KIND_COUNT },   [ATTR_PMAX] = { "pmax", KIND_COUNT },
        [ATTR_GT] = { "gt", KIND_NUMBER },      [ATTR_LT] = { "lt", KIND_NUMBER },
        [ATTR_ST] = { "st", KIND_STEP },        [ATTR_EPMIN] = { "epmin", KIND_COUNT },
        [ATTR_EPMAX] = { "epmax", KIND_COUNT }, [ATTR_EDGE] = { "edge", KIND_FLAG },
        [ATTR_CON] = { "con", KIND_FLAG },      [ATTR_HQMAX] = { "hqmax", KIND_COUNT },
};

static int find_name(const char *text, size_t n) {
        for (int i = 0; i < _ATTR_MAX; i++)
                if (strlen(attr_infos[i].name) == n && memcmp(attr_infos[i].name, text, n) == 0)
                        return i;
        return -EINVAL;
}

static int parse_value(AttrKind kind, const char *text, double *ret) {
        uint32_t u;
        double d;

        if (kind == KIND_COUNT || kind == KIND_FLAG) {
                if (parse_u32(text, &u) < 0 || (kind == KIND_FLAG && u > 1))
                        return -EINVAL;
                *ret = u;
                return 0;
        }
        if (parse_double(text, &d) < 0 || (kind == KIND_STEP && d < 0))
                return -EINVAL;
        *ret = d;
        return 0;
}

static int parse_one(const char *text, AttrsUpdate *u) {
        const char *equals = strchr(text, '=');
        double value;
        int name, r;

        name = find_name(text, equals ? (size_t) (equals - text) : strlen(text));
        if (name < 0)
                return name;
        if ((u->set.set | u->remove) & 1U << name)
                return -EINVAL;
        if (!equals) {
                u->remove |= (uint16_t) (1U << name);
                return 0;
        }
        r = parse_value(attr_infos[name].kind, equals + 1, &value);
        if (r < 0)
                return r;
        u->set.value[name] = value;
        u->set.set |= (uint16_t) (1U << name);
        return 0;
}

int attrs_parse(const char *const *query, AttrsUpdate *ret, const char **ret_bad) {
        AttrsUpdate u = { .remove = 0 };
        int r;

        if (!query || !query[0]) {
                if (ret_bad)
                        *ret_bad = "";
                return -EINVAL;
        }
        for (size_t i = 0; query[i]; i++) {
                r = parse_one(query[i], &u);
                if (r < 0) {
                        if (ret_bad)
                                *ret_bad = query[i];
                        return r;
                }
        }
        *ret = u;
        return 0;
}

int attrs_check_version(const AttrsUpdate *u, Version version, const char **ret_name) {
        static const struct {
                unsigned names;
                uint8_t minor;
        } since[] = { { 1U << ATTR_EPMIN | 1U << ATTR_EPMAX, 1 },
                      { 1U << ATTR_EDGE | 1U << ATTR_CON | 1U << ATTR_HQMAX, 2 } };
        const unsigned names = u->set.set | u->remove;

        for (size_t i = 0; i < G_N_ELEMENTS(since); i++) {
                const unsigned unknown = names & since[i].names;

                if (unknown && version.major == 1 && version.minor < since[i].minor) {
                        *ret_name = attr_infos[g_bit_nth_lsf(unknown, -1)].name;
                        return -EINVAL;
                }
        }
        return 0;
}

int attrs_check_target(const AttrsUpdate *u, const Path *p, const ResourceDef *def) {
        const unsigned numeric = 1U << ATTR_GT | 1U << ATTR_LT | 1U << ATTR_ST;
        const unsigned names = u->set.set | u->remove;

        if (names & numeric &&
            (!def || (def->type != VALUE_INTEGER && def->type != VALUE_UNSIGNED &&
                      def->type != VALUE_FLOAT && def->type != VALUE_TIME)))
                return -EINVAL;
        if (names & 1U << ATTR_EDGE && (!def || def->type != VALUE_BOOLEAN))
                return -EINVAL;
        return p->n >= 1 ? 0 : -EINVAL;
}

bool attrs_equal(const Attrs *a, const Attrs *b) {
        for (int i = 0; i < _ATTR_MAX; i++)
                if (attrs_has(a, (AttrName) i) && a->value[i] != b->value[i])
                        return false;
        return a->set == b->set;
}

void attrs_update(Attrs *a, const AttrsUpdate *u) {
        a->set &= (uint16_t) ~u->remove;
        attrs_overlay(a, &u->set);
}

void attrs_overlay(Attrs *a, const Attrs *top) {
        for (int i = 0; i < _ATTR_MAX; i++)
                if (attrs_has(top, (AttrName) i))
                        a->value[i] = top->value[i];
        a->set |= top->set;
}

static bool is_reversed(const Attrs *a, AttrName min, AttrName max) {
        return attrs_has(a, min) && attrs_has(a, max) && a->value[max] > 0 &&
               a->value[min] > a->value[max];
}

int attrs_check_conditions(const Attrs *a, const char **ret_why) {
        const double *v = a->value;
        const char *why = NULL;

        if (!attrs_has(a, ATTR_GT) || !attrs_has(a, ATTR_LT))
                return 0;
        if (v[ATTR_LT] >= v[ATTR_GT])
                why = "lt is not below gt";
        else if (attrs_has(a, ATTR_ST) && v[ATTR_LT] + 2 * v[ATTR_ST] >= v[ATTR_GT])
                why = "lt + 2 st is not below gt";
        if (why && ret_why)
                *ret_why = why;
        return why ? -EINVAL : 0;
}

int attrs_check(const Attrs *a, const char **ret_why) {
        const char *why = NULL;

        if (is_reversed(a, ATTR_PMIN, ATTR_PMAX))
                why = "pmin is above pmax";
        else if (is_reversed(a, ATTR_EPMIN, ATTR_EPMAX))
                why = "epmin is above epmax";
        if (!why)
                return attrs_check_conditions(a, ret_why);
        if (ret_why)
                *ret_why = why;
        return -EINVAL;
}

void attrs_append(const Attrs *a, GString *out, char separator, bool lead) {
        for (int i = 0; i < _ATTR_MAX; i++) {
                g_autofree char *number = NULL;

                if (!attrs_has(a, (AttrName) i))
                        continue;
                if (attr_infos[i].kind == KIND_COUNT || attr_infos[i].kind == KIND_FLAG)
                        number = g_strdup_printf("%u", (unsigned) a->value[i]);
                else
                        number = value_format(&(Value){ .type = VALUE_FLOAT, .d = a->value[i] });
                if (lead)
                        g_string_append_c(out, separator);
                lead = true;
                g_string_append_printf(out, "%s=%s", attr_infos[i].name, number);
        }
}

char *attrs_format(const Attrs *a) {
        GString *s = g_string_new(NULL);

        attrs_append(a, s, '&', false);
        return g_string_free(s, FALSE);
}

int attrs_parse_text(const char *text, Attrs *ret) {
        g_auto(GStrv) query = g_strsplit(text, "&", _ATTR_MAX + 1);
        AttrsUpdate u;
        int r;

        r = attrs_parse((const char *const *) query, &u, NULL);
        if (r < 0)
                return r;
        if (u.remove)
                return -EINVAL;
        *ret = u.set;
        return 0;
}
