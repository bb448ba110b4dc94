/* SPDX-License-Identifier: Apache-2.0 */
#include "lwm2m/observe/timing.h"

static uint32_t seconds(const Attrs *a, AttrName name) {
        return attrs_has(a, name) ? (uint32_t) a->value[name] : 0;
}

Periods periods_from(const Attrs *a) {
        Periods p = {
                .pmin = seconds(a, ATTR_PMIN),
                .pmax = seconds(a, ATTR_PMAX),
                .epmin = seconds(a, ATTR_EPMIN),
                .epmax = seconds(a, ATTR_EPMAX),
        };

        if (p.pmax < p.pmin)
                p.pmax = 0;
        if (p.epmax < p.epmin)
                p.epmax = 0;
        return p;
}

static uint64_t after(uint64_t from_usec, uint32_t seconds) {
        return from_usec + seconds * USEC_PER_SEC;
}

uint64_t timing_due(const Periods *p, const Moments *m, Pending pending, bool asked) {
        uint64_t t = USEC_INFINITY;

        if (pending != PENDING_NONE) {
                t = after(m->told_usec, p->pmin);
                if (asked && pending == PENDING_CHANGE)
                        t = MAX(t, after(m->evaluated_usec, p->epmin));
        } else if (asked && p->epmax > 0)
                t = after(m->evaluated_usec, p->epmax);
        if (p->pmax > 0)
                t = MIN(t, after(m->told_usec, p->pmax));
        return t == USEC_INFINITY ? t : MAX(t, m->retry_usec);
}

bool timing_is_repeat(const Periods *p, const Moments *m, uint64_t now_usec) {
        return p->pmax > 0 && now_usec >= after(m->told_usec, p->pmax);
}

bool timing_may_tell(const Periods *p, const Moments *m, uint64_t now_usec) {
        return now_usec >= after(m->told_usec, p->pmin);
}

bool timing_may_ask(const Periods *p, const Moments *m, uint64_t now_usec) {
        return now_usec >= after(m->evaluated_usec, p->epmin);
}
