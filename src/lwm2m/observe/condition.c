/* SPDX-License-Identifier: Apache-2.0 */
#include "lwm2m/observe/condition.h"

#include <math.h>

bool condition_is_set(const Attrs *a) {
        return a->set & (1U << ATTR_GT | 1U << ATTR_LT | 1U << ATTR_ST | 1U << ATTR_EDGE);
}

static bool crosses(const Attrs *a, double then, double now) {
        const double *limit = a->value;

        return (attrs_has(a, ATTR_GT) && (then > limit[ATTR_GT]) != (now > limit[ATTR_GT])) ||
               (attrs_has(a, ATTR_LT) && (then < limit[ATTR_LT]) != (now < limit[ATTR_LT]));
}

static bool turns(const Attrs *a, double then, double now) {
        if (!attrs_has(a, ATTR_EDGE))
                return false;
        return a->value[ATTR_EDGE] > 0 ? now > then : now < then;
}

bool condition_met(const Attrs *a, double then, double now) {
        if (isnan(then) || isnan(now))
                return isnan(then) != isnan(now);
        if (now == then) /* a step of 0 is a change nevertheless */
                return false;
        if (attrs_has(a, ATTR_ST) && fabs(now - then) >= a->value[ATTR_ST])
                return true;
        return crosses(a, then, now) || turns(a, then, now);
}

bool condition_number(const Value *v, double *ret) {
        switch (v->type) {
        case VALUE_INTEGER:
        case VALUE_TIME:
                *ret = (double) v->i;
                return true;
        case VALUE_UNSIGNED:
                *ret = (double) v->u;
                return true;
        case VALUE_FLOAT:
                *ret = v->d;
                return true;
        case VALUE_BOOLEAN:
                *ret = v->b;
                return true;
        default:
                return false;
        }
}
