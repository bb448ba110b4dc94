/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/schedule.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "lwm2m/send/sched_object.h"
#include "lwm2m/send/send_sched.h"
#include "util/parse.h"

#define RULES_MAX 1000 /* lines */

typedef struct Line {
        Path path;    /* of the resource; n = 0: a switch */
        uint16_t id;  /* resource of object 10523 */
        char **texts; /* the value, or the rules */
        char *where;
} Line;

struct Schedule {
        GPtrArray *lines;
};

static void line_free(void *userdata) {
        Line *l = userdata;

        g_strfreev(l->texts);
        g_free(l->where);
        g_free(l);
}

Schedule *schedule_new(void) {
        Schedule *s = g_new(Schedule, 1);

        s->lines = g_ptr_array_new_with_free_func(line_free);
        return s;
}

Schedule *schedule_free(Schedule *s) {
        if (s)
                g_ptr_array_unref(s->lines);
        g_free(s);
        return NULL;
}

static void add(Schedule *s, const Path *path, uint16_t id, char **texts, const char *where) {
        Line *l = g_new(Line, 1);

        for (guint i = 0; i < s->lines->len; i++) {
                const Line *old = s->lines->pdata[i];

                if (path_equal(&old->path, path) && old->id == id) {
                        g_ptr_array_remove_index(s->lines, i);
                        break;
                }
        }
        *l = (Line){ .path = *path, .id = id, .texts = texts, .where = g_strdup(where) };
        g_ptr_array_add(s->lines, l);
}

/* --- switches --- */
static int read_flag(const char *text, char **ret, char **ret_error) {
        bool b;

        if (parse_bool(text, &b) < 0) {
                *ret_error = g_strdup_printf("'%s' is not a boolean (true or false)", text);
                return -EINVAL;
        }
        *ret = g_strdup(b ? "true" : "false");
        return 0;
}

static int read_count(const char *text, char **ret, char **ret_error) {
        uint64_t u;

        if (parse_u64(text, INT32_MAX, &u) < 0) {
                *ret_error = g_strdup_printf("'%s' is not a number from 0 to %d", text, INT32_MAX);
                return -EINVAL;
        }
        *ret = g_strdup_printf("%" PRIu64, u);
        return 0;
}

static int read_seconds(const char *text, char **ret, char **ret_error) {
        uint64_t usec;

        if (parse_duration(text, &usec) < 0 || usec % USEC_PER_SEC ||
            usec / USEC_PER_SEC > INT32_MAX) {
                *ret_error = g_strdup_printf("'%s' is not a time in whole seconds (90, 10min, 24h)",
                                             text);
                return -EINVAL;
        }
        *ret = g_strdup_printf("%" PRIu64, usec / USEC_PER_SEC);
        return 0;
}

static const struct {
        const char *name;
        uint16_t id;
        int (*read)(const char *text, char **ret, char **ret_error);
} switches[] = {
        { "Paused", SCHED_PAUSED, read_flag },
        { "MaxSamples", SCHED_MAX_SAMPLES, read_count },
        { "MaxAge", SCHED_MAX_AGE, read_seconds },
        { "FlushOnUpdate", SCHED_FLUSH_ON_UPDATE, read_flag },
};

/* --- rules --- */
static int check_rules(char *const *words, char **ret_error) {
        unsigned seen = 0;

        for (size_t i = 0; words[i]; i++) {
                AttrName name;
                double value;

                if (send_sched_parse_rule(words[i], &name, &value) < 0) {
                        *ret_error =
                                g_strdup_printf("'%s' is not a rule (pmin, pmax, epmin, epmax, "
                                                "gt, lt or st, each with =number)",
                                                words[i]);
                        return -EINVAL;
                }
                if (seen & 1U << name) {
                        *ret_error = g_strdup_printf("'%s': the rule is there twice", words[i]);
                        return -EINVAL;
                }
                seen |= 1U << name;
        }
        return 0;
}

static char **split(const char *text) {
        g_auto(GStrv) parts = g_strsplit_set(text, " \t", -1);
        g_autoptr(GPtrArray) words = g_ptr_array_new();

        for (char **p = parts; *p; p++)
                if (**p)
                        g_ptr_array_add(words, g_strdup(*p));
        g_ptr_array_add(words, NULL);
        return (char **) g_ptr_array_free(g_steal_pointer(&words), FALSE);
}

static int add_rules(Schedule *s, const Path *path, const char *text, const char *where,
                     char **ret_error) {
        g_auto(GStrv) words = split(text);
        int r;

        if (s->lines->len >= RULES_MAX + G_N_ELEMENTS(switches)) {
                *ret_error = g_strdup_printf("more than %d resources with rules", RULES_MAX);
                return -EINVAL;
        }
        r = check_rules(words, ret_error);
        if (r >= 0)
                add(s, path, 0, g_steal_pointer(&words), where);
        return r;
}

int schedule_add(Schedule *s, const char *name, const char *text, const char *where,
                 char **ret_error) {
        Path path;
        int r;

        for (size_t i = 0; i < G_N_ELEMENTS(switches); i++) {
                g_auto(GStrv) value = NULL;

                if (strcmp(name, switches[i].name) != 0)
                        continue;
                value = g_new0(char *, 2);
                r = switches[i].read(text, &value[0], ret_error);
                if (r >= 0)
                        add(s, &PATH_ROOT, switches[i].id, g_steal_pointer(&value), where);
                return r;
        }
        if (path_parse(name, &path) < 0 || path.n != 3) {
                *ret_error = g_strdup("neither a known key (Paused, MaxSamples, MaxAge, "
                                      "FlushOnUpdate) nor the path of a resource");
                return -EINVAL;
        }
        return add_rules(s, &path, text, where, ret_error);
}

/* --- as values --- */
static void seed_rules(const Line *l, uint16_t instance, ScheduleSeed func, void *userdata) {
        func(userdata, &PATH_OIR(OBJECT_SCHED_RULES, instance, SCHED_PATH), PATH_TEXT(&l->path),
             l->where);
        for (unsigned i = 0; l->texts[i]; i++)
                func(userdata, &PATH_OIRI(OBJECT_SCHED_RULES, instance, SCHED_RULES, i),
                     l->texts[i], l->where);
}

void schedule_foreach_seed(const Schedule *s, ScheduleSeed func, void *userdata) {
        static const char *const presets[][2] = {
                [SCHED_PAUSED] = { "false" },
                [SCHED_MAX_SAMPLES] = { "0" },
                [SCHED_MAX_AGE] = { "0" },
                [SCHED_FLUSH_ON_UPDATE] = { "true" },
        };
        const char *values[G_N_ELEMENTS(presets)] = { NULL };
        const char *where[G_N_ELEMENTS(presets)] = { NULL };
        uint16_t instance = SCHEDULE_FIRST_INSTANCE;

        for (guint i = 0; i < s->lines->len; i++) {
                const Line *l = s->lines->pdata[i];

                if (l->path.n > 0) {
                        seed_rules(l, instance++, func, userdata);
                        continue;
                }
                values[l->id] = l->texts[0];
                where[l->id] = l->where;
        }
        for (size_t id = 0; id < G_N_ELEMENTS(presets); id++)
                if (presets[id][0])
                        func(userdata, &PATH_OIR(OBJECT_SCHED_CONTROL, 0, id),
                             values[id] ? values[id] : presets[id][0],
                             where[id] ? where[id] : "[SendScheduler]");
}
