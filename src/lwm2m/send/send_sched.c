/* SPDX-License-Identifier: Apache-2.0 */
#include "lwm2m/send/send_sched.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#define NS_PER_SEC 1e9
#define CONDITIONS (1U << ATTR_GT | 1U << ATTR_LT | 1U << ATTR_ST)
#define RULES (CONDITIONS | 1U << ATTR_PMIN | 1U << ATTR_PMAX | 1U << ATTR_EPMIN | 1U << ATTR_EPMAX)

typedef struct Rule {
        Path resource;
        Attrs attrs;
} Rule;

typedef struct Sample {
        Value value; /* a number: nothing is owned */
        int64_t time_ns;
} Sample;

/* A single resource, or an instance of a multiple one. */
typedef struct Line {
        SendSched *sched;
        const Rule *rule;
        Path path;
        Sample kept, seen;             /* the last one kept, and the last one looked at */
        Sample held;                   /* one that waits for pmin, or to be looked at for epmin */
        int64_t pmin_from_ns;          /* on the clock of the samples */
        uint64_t kept_usec, seen_usec; /* when that was */
        uint64_t held_until_usec;
        bool has_kept, has_seen, has_held;
        bool decided; /* held is to be kept, whatever follows */
        bool dirty;   /* something was kept since the cache was asked for room */
        Timer *timer;
} Line;

struct SendSched {
        TimerQueue *timers;
        SchedOps ops;
        void *userdata;
        SchedControl control;
        GHashTable *rules;          /* Path -> Rule */
        GHashTable *lines;          /* Path -> Line */
        GPtrArray *dirty;           /* of Line */
        uint64_t n_waiting, n_sent; /* since the last send(), and with it */
        uint64_t oldest_due_usec;   /* when the oldest that waits is max_age old */
        int64_t oldest_ns;
        uint64_t retry_usec; /* not before, but by order */
        bool full;           /* a cache had no room */
        bool forced;
        Timer *timer;
};

/* --- numbers --- */
static double number(const Value *v) {
        switch ((ValueType) v->type) {
        case VALUE_INTEGER:
        case VALUE_TIME:
                return (double) v->i;
        case VALUE_UNSIGNED:
                return (double) v->u;
        case VALUE_BOOLEAN:
                return v->b;
        case VALUE_FLOAT:
                return v->d;
        case VALUE_NONE:
        case VALUE_STRING:
        case VALUE_OPAQUE:
        case VALUE_OBJLNK:
        case VALUE_CORELNK:
        case _VALUE_TYPE_MAX:
        default:
                return NAN;
        }
}

/* A period of the rule; 0 for none. */
static uint64_t period_usec(const Line *l, AttrName name) {
        const Attrs *a = &l->rule->attrs;

        return attrs_has(a, name) ? (uint64_t) a->value[name] * USEC_PER_SEC : 0;
}

static bool crosses(double limit, double before, double now) {
        return (before > limit) != (now > limit);
}

/* The same with a limit that belongs to the upper side, as lt does. */
static bool crosses_down(double limit, double before, double now) {
        return (before < limit) != (now < limit);
}

/* --- when to send --- */
static bool has_enough(const SendSched *s) {
        return s->full || (s->control.max_samples > 0 && s->n_waiting >= s->control.max_samples);
}

/* When what waits is to be sent without an order; USEC_INFINITY: not by time. */
static uint64_t due(const SendSched *s) {
        if (s->n_waiting == 0 || s->control.paused)
                return USEC_INFINITY;
        if (has_enough(s))
                return s->retry_usec;
        return s->control.max_age_sec > 0 ? MAX(s->oldest_due_usec, s->retry_usec) : USEC_INFINITY;
}

static void arm(SendSched *s) {
        timer_arm(s->timer, s->forced || s->dirty->len > 0 ? 0 : due(s));
}

static void note_age(SendSched *s, uint64_t now_usec) {
        const int64_t age_ns = s->ops.wall_ns(s->userdata) - s->oldest_ns;
        const uint64_t age_usec = age_ns > 0 ? (uint64_t) age_ns / 1000 : 0;
        const uint64_t max_usec = s->control.max_age_sec * USEC_PER_SEC;

        s->oldest_due_usec = now_usec + (age_usec < max_usec ? max_usec - age_usec : 0);
}

static void look_for_room(SendSched *s) {
        for (guint i = 0; i < s->dirty->len; i++) {
                Line *l = s->dirty->pdata[i];

                l->dirty = false;
                s->full = s->full || s->ops.full(s->userdata, &l->path);
        }
        g_ptr_array_set_size(s->dirty, 0);
}

static void on_timer(void *userdata, uint64_t now_usec) {
        SendSched *s = userdata;

        look_for_room(s);
        if (s->forced || due(s) <= now_usec) {
                s->forced = s->full = false;
                s->n_sent = s->n_waiting;
                s->n_waiting = 0;
                s->ops.send(s->userdata, now_usec);
        }
        arm(s);
}

static void force(SendSched *s) {
        s->forced = true;
        arm(s);
}

void send_sched_flush(SendSched *s, uint64_t now_usec) {
        force(s);
}

void send_sched_registered(SendSched *s, uint64_t now_usec) {
        s->retry_usec = 0;
        if (!s->control.paused)
                force(s);
}

void send_sched_updated(SendSched *s, uint64_t now_usec) {
        s->retry_usec = 0;
        if (!s->control.paused && s->control.flush_on_update)
                force(s);
}

void send_sched_failed(SendSched *s, uint64_t now_usec) {
        s->n_waiting += s->n_sent;
        s->n_sent = 0; /* once, however many servers there are */
        if (s->n_waiting == 0)
                s->n_waiting = 1; /* of an earlier one: something is there */
        s->retry_usec = now_usec + SCHED_RETRY_USEC;
        arm(s);
}

/* --- one resource --- */
static void note_kept(Line *l, const Value *v, int64_t time_ns, uint64_t now_usec) {
        SendSched *s = l->sched;

        l->kept = (Sample){ .value = *v, .time_ns = time_ns };
        l->pmin_from_ns = time_ns;
        l->kept_usec = now_usec;
        l->has_kept = true;
        if (s->n_waiting++ == 0 || time_ns < s->oldest_ns) {
                s->oldest_ns = time_ns;
                note_age(s, now_usec);
        }
        if (!l->dirty)
                g_ptr_array_add(s->dirty, l);
        l->dirty = true;
        arm(s);
}

static void hold(Line *l, const Value *v, int64_t time_ns, uint64_t until_usec) {
        l->held = (Sample){ .value = *v, .time_ns = time_ns };
        l->held_until_usec = until_usec;
        l->has_held = true;
}

static bool is_wanted(const Line *l, double value) {
        const Attrs *a = &l->rule->attrs;
        const double seen = number(&l->seen.value);

        if (!(a->set & CONDITIONS) || !l->has_seen || !l->has_kept)
                return true;
        if (attrs_has(a, ATTR_GT) && crosses(a->value[ATTR_GT], seen, value))
                return true;
        if (attrs_has(a, ATTR_LT) && crosses_down(a->value[ATTR_LT], seen, value))
                return true;
        return attrs_has(a, ATTR_ST) && fabs(value - number(&l->kept.value)) >= a->value[ATTR_ST];
}

/* How long from now until period has passed since then, both by the clock of the samples; 0: it
 * has. Never longer than the period: clocks jump. */
static uint64_t left_usec(int64_t then_ns, int64_t time_ns, uint64_t period) {
        const double passed = ((double) time_ns - (double) then_ns) / NS_PER_SEC * 1e6;

        if (passed >= (double) period)
                return 0;
        return passed <= 0 ? period : period - (uint64_t) passed;
}

/* Whether the sample is kept now. */
static bool look(Line *l, const Value *v, int64_t time_ns, uint64_t now_usec) {
        const uint64_t pmin = period_usec(l, ATTR_PMIN);
        const bool wanted = is_wanted(l, number(v)) || (l->has_held && l->decided);
        uint64_t left = 0;

        l->seen = (Sample){ .value = *v, .time_ns = time_ns };
        l->seen_usec = now_usec;
        l->has_seen = true;
        l->has_held = false;
        if (!wanted)
                return false;
        if (pmin > 0 && l->has_kept)
                left = left_usec(l->pmin_from_ns, time_ns, pmin);
        if (left > 0) {
                hold(l, v, time_ns, now_usec + left);
                l->decided = true;
                return false;
        }
        l->decided = false;
        note_kept(l, v, time_ns, now_usec);
        return true;
}

static bool keeps_all(const Line *l) {
        return !(l->rule->attrs.set & (CONDITIONS | 1U << ATTR_PMIN | 1U << ATTR_EPMIN));
}

static bool take(Line *l, const Value *v, int64_t time_ns, uint64_t now_usec) {
        const uint64_t epmin = period_usec(l, ATTR_EPMIN);
        uint64_t left = 0;

        if (l->has_seen && time_ns < l->seen.time_ns) {
                if (!keeps_all(l))
                        return false;
                /* It takes no part in what follows. */
                const Sample kept = l->kept;

                note_kept(l, v, time_ns, now_usec);
                l->kept = kept;
                l->pmin_from_ns = kept.time_ns;
                return true;
        }
        if (epmin > 0 && l->has_seen)
                left = left_usec(l->seen.time_ns, time_ns, epmin);
        if (left == 0)
                return look(l, v, time_ns, now_usec);
        /* What waits for pmin already goes then, with the value that is then. */
        hold(l, v, time_ns, l->has_held ? l->held_until_usec : now_usec + left);
        return false;
}

static uint64_t pmax_due(const Line *l) {
        const uint64_t pmax = period_usec(l, ATTR_PMAX);

        return l->has_kept && pmax > period_usec(l, ATTR_PMIN) ? l->kept_usec + pmax
                                                               : USEC_INFINITY;
}

static uint64_t epmax_due(const Line *l) {
        const uint64_t epmax = period_usec(l, ATTR_EPMAX);

        return epmax > 0 ? l->seen_usec + epmax : USEC_INFINITY;
}

static void arm_line(Line *l) {
        uint64_t due = MIN(pmax_due(l), epmax_due(l));

        if (l->has_held)
                due = MIN(due, l->held_until_usec);
        timer_arm(l->timer, due);
}

static void keep(Line *l, const Value *v, int64_t time_ns) {
        l->sched->ops.keep(l->sched->userdata, &l->path, v, time_ns);
}

static void end_hold(Line *l, uint64_t now_usec) {
        const Sample held = l->held;
        const int64_t from_ns = l->pmin_from_ns + (int64_t) period_usec(l, ATTR_PMIN) * 1000;

        if (l->decided) { /* pmin has passed, and begins again */
                l->has_held = l->decided = false;
                l->seen = held;
                note_kept(l, &held.value, held.time_ns, now_usec);
                l->pmin_from_ns = MAX(from_ns, held.time_ns);
                keep(l, &held.value, held.time_ns);
        } else if (look(l, &held.value, held.time_ns, now_usec))
                keep(l, &held.value, held.time_ns);
}

static void look_again(Line *l, uint64_t now_usec) {
        SendSched *s = l->sched;
        const int64_t time_ns = s->ops.wall_ns(s->userdata);
        Value v = VALUE_INIT;

        l->seen_usec = now_usec; /* also when there is nothing */
        if (s->ops.read(s->userdata, &l->path, &v) < 0)
                return;
        if (look(l, &v, time_ns, now_usec))
                keep(l, &v, time_ns);
        value_clear(&v);
}

static void on_line(void *userdata, uint64_t now_usec) {
        Line *l = userdata;

        if (l->has_held && now_usec >= l->held_until_usec)
                end_hold(l, now_usec);
        if (now_usec >= epmax_due(l))
                look_again(l, now_usec);
        if (now_usec >= pmax_due(l)) {
                const int64_t time_ns = l->sched->ops.wall_ns(l->sched->userdata);
                const Value v = l->has_seen ? l->seen.value : l->kept.value;

                note_kept(l, &v, time_ns, now_usec);
                keep(l, &v, time_ns);
        }
        arm_line(l);
}

/* --- rules --- */
static guint hash_path(const void *key) {
        const Path *p = key;

        return ((guint) p->id[0] * 31 + p->id[1]) * 1031 + (guint) p->id[2] * 131 + p->id[3] + p->n;
}

static gboolean equal_paths(const void *a, const void *b) {
        return path_equal(a, b);
}

static void line_free(void *userdata) {
        Line *l = userdata;

        if (l->dirty)
                g_ptr_array_remove_fast(l->sched->dirty, l);
        timer_free(l->timer);
        g_free(l);
}

static const Rule *find_rule(const SendSched *s, const Path *p) {
        const Path resource = path_prefix(p, MIN(p->n, 3));

        return g_hash_table_lookup(s->rules, &resource);
}

static Line *get_line(SendSched *s, const Path *p, const Rule *rule, uint64_t now_usec) {
        Line *l = g_hash_table_lookup(s->lines, p);

        if (l || g_hash_table_size(s->lines) >= SCHED_LINES_MAX)
                return l;
        l = g_new0(Line, 1);
        l->sched = s;
        l->rule = rule;
        l->path = *p;
        l->seen_usec = now_usec;
        l->timer = timer_new(s->timers, on_line, l);
        g_hash_table_insert(s->lines, &l->path, l);
        return l;
}

static gboolean is_below(void *key, void *value, void *resource) {
        return path_covers(resource, key);
}

int send_sched_parse_rule(const char *text, AttrName *ret_name, double *ret_value) {
        const char *const query[] = { text, NULL };
        AttrsUpdate u;

        if (attrs_parse(query, &u, NULL) < 0 || u.remove || !(u.set.set & RULES))
                return -EINVAL;
        for (AttrName name = 0; name < _ATTR_MAX; name++)
                if (attrs_has(&u.set, name)) {
                        *ret_name = name;
                        *ret_value = u.set.value[name];
                }
        return 0;
}

/* Of a single resource the line is there from the beginning: epmax runs without a sample, too. */
int send_sched_set_rule(SendSched *s, const Path *resource, const Attrs *rule, uint64_t now_usec) {
        Rule *r = g_hash_table_lookup(s->rules, resource);
        GHashTableIter i;
        void *l;

        if (!rule) {
                g_hash_table_foreach_remove(s->lines, is_below, (void *) resource);
                g_hash_table_remove(s->rules, resource);
                arm(s);
                return 0;
        }
        if (!r && g_hash_table_size(s->rules) >= SCHED_RULES_MAX)
                return -EDQUOT;
        if (!r) {
                r = g_new0(Rule, 1);
                r->resource = *resource;
                g_hash_table_insert(s->rules, &r->resource, r);
        }
        r->attrs = *rule;
        (void) get_line(s, resource, r, now_usec);
        g_hash_table_iter_init(&i, s->lines);
        while (g_hash_table_iter_next(&i, NULL, &l))
                if (((Line *) l)->rule == r)
                        arm_line(l);
        return 0;
}

bool send_sched_has_rule(const SendSched *s, const Path *p) {
        return find_rule(s, p);
}

static int compare_paths(const void *a, const void *b) {
        return path_compare(a, b);
}

Path *send_sched_paths(const SendSched *s, size_t *ret_n) {
        Path *paths = g_new(Path, g_hash_table_size(s->rules) + 1);
        GHashTableIter i;
        size_t n = 0;
        void *path;

        g_hash_table_iter_init(&i, s->rules);
        while (g_hash_table_iter_next(&i, &path, NULL))
                paths[n++] = *(const Path *) path;
        qsort(paths, n, sizeof(Path), compare_paths);
        *ret_n = n;
        return paths;
}

/* --- the whole --- */
SendSched *send_sched_new(TimerQueue *timers, const SchedOps *ops, void *userdata) {
        SendSched *s = g_new0(SendSched, 1);

        s->timers = timers;
        s->ops = *ops;
        s->userdata = userdata;
        s->control.flush_on_update = true;
        s->rules = g_hash_table_new_full(hash_path, equal_paths, NULL, g_free);
        s->lines = g_hash_table_new_full(hash_path, equal_paths, NULL, line_free);
        s->dirty = g_ptr_array_new();
        s->timer = timer_new(timers, on_timer, s);
        return s;
}

SendSched *send_sched_free(SendSched *s) {
        if (!s)
                return NULL;
        g_hash_table_unref(s->lines);
        g_hash_table_unref(s->rules);
        g_ptr_array_unref(s->dirty);
        timer_free(s->timer);
        g_free(s);
        return NULL;
}

void send_sched_set_control(SendSched *s, const SchedControl *control, uint64_t now_usec) {
        s->control = *control;
        if (s->n_waiting > 0)
                note_age(s, now_usec);
        arm(s);
}

bool send_sched_sample(SendSched *s, const Path *p, const Value *v, int64_t time_ns,
                       uint64_t now_usec) {
        const Rule *rule = find_rule(s, p);
        Line *l = rule ? get_line(s, p, rule, now_usec) : NULL;
        bool kept;

        if (!l)
                return false;
        kept = take(l, v, time_ns, now_usec);
        arm_line(l);
        return kept;
}

uint64_t send_sched_waiting(const SendSched *s) {
        return s->n_waiting;
}
