/* SPDX-License-Identifier: Apache-2.0 */
#include "lwm2m/dm/samples.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "lwm2m/dm/dm_internal.h"
#include "lwm2m/observe/observe.h"
#include "model/path_table.h"
#include "util/log.h"

#define NS_PER_S INT64_C(1000000000)
#define CLOCK_SET_NS (INT64_C(1577836800) * NS_PER_S) /* 2020: a clock before it was never set */
#define TIME_MAX_NS (INT64_C(4102444800) * NS_PER_S)  /* 2100, when there is no clock to compare */
#define COARSE_NS INT64_C(1000000)                    /* what a coarse clock may repeat */

/* --- clocks --- */
static int64_t read_clock(clockid_t id) {
        struct timespec t;

        return clock_gettime(id, &t) < 0 ? 0 : t.tv_sec * NS_PER_S + t.tv_nsec;
}

static void clocks(const Dm *dm, int64_t *ret_wall, int64_t *ret_boot) {
        if (dm->config.clocks) {
                dm->config.clocks(dm->config.event_userdata, ret_wall, ret_boot);
                return;
        }
        *ret_wall = read_clock(CLOCK_REALTIME);
        *ret_boot = read_clock(CLOCK_BOOTTIME);
}

void samples_note_clock(Dm *dm) {
        int64_t wall, boot;

        if (!dm->config.series || dm->clock_noted)
                return;
        clocks(dm, &wall, &boot);
        if (wall < CLOCK_SET_NS)
                return;
        dm->clock_noted = true;
        series_clock_set(dm->config.series, wall - boot);
}

int64_t samples_now_ns(const Dm *dm) {
        int64_t wall, boot;

        clocks(dm, &wall, &boot);
        return wall >= CLOCK_SET_NS ? wall : boot;
}

uint64_t samples_now_usec(const Dm *dm) {
        int64_t wall, boot;

        clocks(dm, &wall, &boot);
        return (uint64_t) boot / 1000;
}

static int refuse(OpError *error, int r, const Path *p, const char *format, ...)
        __attribute__((format(printf, 4, 5)));
static int refuse(OpError *error, int r, const Path *p, const char *format, ...) {
        char text[192];
        va_list ap;

        va_start(ap, format);
        (void) g_vsnprintf(text, sizeof(text), format, ap);
        va_end(ap);
        g_snprintf(error->text, sizeof(error->text), "%s: %s", PATH_TEXT(p), text);
        return r;
}

/* For people: 2026-11-28T08:00:00.250Z */
typedef struct TimeText {
        char text[40];
} TimeText;

static TimeText time_text(int64_t ns) {
        const time_t s = (time_t) (ns / NS_PER_S);
        const int ms = (int) (ns % NS_PER_S / 1000000);
        TimeText t = { .text = "" };
        struct tm tm;
        size_t n;

        n = gmtime_r(&s, &tm) ? strftime(t.text, sizeof(t.text), "%Y-%m-%dT%H:%M:%S", &tm) : 0;
        g_snprintf(t.text + n, (gulong) (sizeof(t.text) - n), ".%03dZ", MAX(ms, 0));
        return t;
}

static int check_boot_time(const Path *p, int64_t time_ns, int64_t wall, int64_t boot, int64_t *ret,
                           OpError *error) {
        if (time_ns < 0 || time_ns > boot + SAMPLE_AHEAD_NS)
                return refuse(error, -ERANGE, p,
                              "%.3f s after the boot is in the future: the boot was %.3f s ago, "
                              "and at most 60 s ahead of the clock is taken",
                              (double) time_ns / NS_PER_S, (double) boot / NS_PER_S);
        *ret = wall >= CLOCK_SET_NS ? time_ns + (wall - boot) : time_ns;
        return 0;
}

static int check_time(const Path *p, int64_t time_ns, bool boot, int64_t wall, int64_t now_boot,
                      int64_t *ret, OpError *error) {
        const bool is_set = wall >= CLOCK_SET_NS;
        const int64_t latest = is_set ? wall + SAMPLE_AHEAD_NS : TIME_MAX_NS;

        if (time_ns == 0) {
                *ret = is_set ? wall : now_boot;
                return 0;
        }
        if (boot)
                return check_boot_time(p, time_ns, wall, now_boot, ret, error);
        if (time_ns < SERIES_TIME_MIN_NS)
                return refuse(error, -ERANGE, p,
                              "time %s is before 2000 (in nanoseconds since 1970: %" PRId64 ")",
                              time_text(time_ns).text, time_ns);
        if (time_ns > latest)
                return refuse(error, -ERANGE, p,
                              is_set ? "time %s is in the future: it is %s, and at most 60 s "
                                       "ahead of the clock is taken"
                                     : "time %s is in the future: the clock is not set (it says "
                                       "%s), until then nothing after 2099 is taken",
                              time_text(time_ns).text, time_text(wall).text);
        *ret = time_ns;
        return 0;
}

int samples_check_time(Dm *dm, const Path *p, int64_t time_ns, bool boot, int64_t *ret,
                       OpError *error) {
        int64_t wall, now_boot;

        clocks(dm, &wall, &now_boot);
        return check_time(p, time_ns, boot, wall, now_boot, ret, error);
}

/* --- what is cached --- */
bool samples_cached(const Dm *dm, const Path *p, const ResourceDef *def) {
        return dm->config.series && def && sample_fits((ValueType) def->type) &&
               series_policy(dm->config.series, p);
}

bool samples_asks(const Dm *dm, const Path *p) {
        return dm_claimed(dm, p) & APP_READ &&
               !(dm->config.series && series_has_policies(dm->config.series) &&
                 samples_cached(dm, p, tree_resource_def(dm->tree, p)));
}

uint64_t samples_identity(uint16_t ssid, const char *kind, const Path *paths, size_t n) {
        g_autoptr(GString) text = g_string_new(kind);
        uint64_t h = UINT64_C(14695981039346656037); /* FNV-1a */

        g_string_append_printf(text, " %u", ssid);
        for (size_t i = 0; i < n; i++)
                g_string_append_printf(text, " %s", PATH_TEXT(&paths[i]));
        for (gsize i = 0; i < text->len; i++)
                h = (h ^ (uint8_t) text->str[i]) * UINT64_C(1099511628211);
        return h;
}

/* Two values in one moment are two samples. */
static int64_t next_time(const Dm *dm, const Path *p, int64_t time_ns) {
        SeriesInfo info;

        if (!series_info(dm->config.series, p, &info) || info.newest_ns == INT64_MIN ||
            time_ns > info.newest_ns || info.newest_ns - time_ns > COARSE_NS)
                return time_ns;
        return info.newest_ns + 1;
}

void samples_set_filter(Dm *dm, SampleFilter filter, void *userdata) {
        dm->sample_filter = filter;
        dm->sample_filter_userdata = userdata;
}

static bool passes(const Dm *dm, const Path *p, const Value *v, int64_t time_ns) {
        return !dm->sample_filter || dm->sample_filter(dm->sample_filter_userdata, p, v, time_ns);
}

void samples_keep(Dm *dm, const Path *p, const Value *v, int64_t time_ns) {
        const Sample s = { .time_ns = next_time(dm, p, time_ns), .bits = sample_bits(v) };
        int r;

        r = series_add(dm->config.series, p, (ValueType) v->type, &s, 1, NULL);
        if (r < 0)
                log_full(LOG_LEVEL_ERROR, r, &(LogFields){ .path = PATH_TEXT(p) },
                         "Cannot keep a sample: %m");
        else
                observe_sampled(dm, p);
}

static void add_value(Dm *dm, const Path *p) {
        const ResourceDef *def = tree_resource_def(dm->tree, p);
        const Value *v;
        int64_t time_ns;

        if (!samples_cached(dm, p, def) || tree_get(dm->tree, p, &v) < 0)
                return;
        time_ns = samples_now_ns(dm);
        if (passes(dm, p, v, time_ns))
                samples_keep(dm, p, v, time_ns);
}

void samples_on_commit(Dm *dm, Origin origin, const Change *changes, size_t n) {
        if (!dm->config.series)
                return;
        samples_note_clock(dm);
        for (size_t i = 0; i < n; i++) {
                const Change *c = &changes[i];

                if (c->kind == CHANGE_DELETED && !tree_exists(dm->tree, &c->path))
                        series_remove(dm->config.series, &c->path);
                else if (c->kind == CHANGE_SET && origin != ORIGIN_INTERNAL && !dm->pushing)
                        add_value(dm, &c->path);
        }
}

/* --- policies --- */
static bool can_be_cached(const ResourceDef *def) {
        return def && def->operations & OPERATION_READ && sample_fits((ValueType) def->type);
}

static int check_prefix(const Dm *dm, const Path *prefix, OpError *error) {
        const ObjectDef *def = prefix->n > 0 ? tree_object_def(dm->tree, prefix->id[0], -1) : NULL;
        const ResourceDef *resource;

        if (prefix->n == 0)
                return refuse(error, -EINVAL, prefix, "name an object, or less");
        if (!def)
                return refuse(error, -EINVAL, prefix, "no definition of object %u is known",
                              prefix->id[0]);
        if (prefix->n < 3) {
                for (unsigned i = 0; i < def->n_resources; i++)
                        if (can_be_cached(&def->resources[i]))
                                return 0;
                return refuse(error, -EINVAL, prefix, "the object has no resource to cache");
        }
        resource = tree_resource_def(dm->tree, prefix);
        if (!resource)
                return refuse(error, -EINVAL, prefix, "object %u has no resource %u", prefix->id[0],
                              prefix->id[2]);
        if (!can_be_cached(resource))
                return refuse(error, -EINVAL, prefix,
                              "%s; cached are readable resources of type Integer, Unsigned "
                              "Integer, Float, Boolean and Time",
                              resource->type == VALUE_NONE ? "an executable has no value"
                              : sample_fits((ValueType) resource->type)
                                      ? "not readable"
                                      : value_type_name((ValueType) resource->type));
        return 0;
}

int samples_configure(Dm *dm, const Path *prefix, const SeriesPolicy *policy, OpError *error) {
        int r;

        if (!dm->config.series)
                return refuse(error, -ENOTSUP, prefix, "this daemon has no caches");
        r = policy && policy->samples > 0 ? check_prefix(dm, prefix, error) : 0;
        if (r < 0)
                return r;
        r = series_set_policy(dm->config.series, prefix, policy);
        if (r == -ERANGE)
                return refuse(error, r, prefix, "a cache has at most %d samples",
                              SERIES_SAMPLES_MAX);
        if (r < 0)
                return refuse(error, r, prefix, "there are %d cache policies already",
                              SERIES_POLICIES_MAX);
        observe_caches_changed(dm);
        return 0;
}

/* --- pushing --- */
typedef struct Group {
        Path path;
        const ResourceDef *def; /* while samples are added; may be gone at the commit */
        ValueType type;
        GArray *samples; /* Sample, in order of arrival */
        size_t youngest; /* its index */
        int64_t last_now;
} Group;

struct SamplePush {
        Dm *dm;
        GPtrArray *groups;
        GHashTable *by_path;
        Group *last;
        int64_t wall_ns, boot_ns; /* one moment for all of it */
};

static void group_free(void *group) {
        Group *g = group;

        g_array_unref(g->samples);
        g_free(g);
}

SamplePush *sample_push_new(Dm *dm) {
        SamplePush *b = g_new(SamplePush, 1);

        *b = (SamplePush){
                .dm = dm,
                .groups = g_ptr_array_new_with_free_func(group_free),
                .by_path = path_table_new(NULL),
        };
        samples_note_clock(dm);
        clocks(dm, &b->wall_ns, &b->boot_ns);
        return b;
}

SamplePush *sample_push_free(SamplePush *b) {
        if (!b)
                return NULL;
        g_hash_table_unref(b->by_path);
        g_ptr_array_unref(b->groups);
        g_free(b);
        return NULL;
}

static int check_path(const SamplePush *b, const Path *p, const ResourceDef **ret, OpError *error) {
        const Tree *tree = b->dm->tree;
        const Path instance = path_prefix(p, 2);
        const ResourceDef *def = tree_resource_def(tree, p);

        if (!tree_exists(tree, &instance))
                return refuse(error, -ENOENT, p, "no such object instance");
        if (!def)
                return refuse(error, -ENOENT, p, "no such resource in the object's definition");
        if (def->multiple != (p->n == 4))
                return refuse(error, p->n == 4 ? -ENOTDIR : -EISDIR, p,
                              p->n == 4 ? "not a multiple resource"
                                        : "a multiple resource, name one of its instances");
        if (!sample_fits((ValueType) def->type))
                return refuse(error, -EINVAL, p, "a resource of type %s has no time series",
                              value_type_name((ValueType) def->type));
        if (!samples_cached(b->dm, p, def))
                return refuse(error, -EPERM, p,
                              "it has no cache (see Data.Configure, lwm2mctl cache)");
        *ret = def;
        return 0;
}

static int find_group(SamplePush *b, const Path *p, Group **ret, OpError *error) {
        const ResourceDef *def = NULL;
        Group *g = b->last;
        int r;

        if (!g || !path_equal(&g->path, p))
                g = g_hash_table_lookup(b->by_path, p);
        if (!g) {
                r = check_path(b, p, &def, error);
                if (r < 0)
                        return r;
                assert(def);
                g = g_new(Group, 1);
                *g = (Group){
                        .path = *p,
                        .def = def,
                        .type = (ValueType) def->type,
                        .samples = g_array_new(FALSE, FALSE, sizeof(Sample)),
                };
                g_ptr_array_add(b->groups, g);
                g_hash_table_insert(b->by_path, path_dup(p), g);
        }
        b->last = g;
        *ret = g;
        return 0;
}

int sample_push_add(SamplePush *b, const Path *p, const Value *v, int64_t time_ns, bool boot,
                    OpError *error) {
        Sample s = { 0 };
        Value converted;
        Group *g;
        int r;

        r = find_group(b, p, &g, error);
        if (r < 0)
                return r;
        r = value_convert(v, (ValueType) g->def->type, &converted);
        if (r == -EINVAL)
                return refuse(error, r, p, "%s expected, got %s",
                              value_type_name((ValueType) g->def->type),
                              value_type_name((ValueType) v->type));
        if (r >= 0)
                r = resource_check(g->def, &converted);
        if (r < 0)
                return refuse(error, r, p, "out of range, allowed is %s",
                              g->def->range_text && *g->def->range_text ? g->def->range_text
                                                                        : "what the type can hold");
        r = check_time(p, time_ns, boot, b->wall_ns, b->boot_ns, &s.time_ns, error);
        if (r < 0)
                return r;
        if (time_ns == 0) { /* several of now are one after the other */
                s.time_ns = next_time(b->dm, p, s.time_ns);
                if (g->last_now > 0 && s.time_ns <= g->last_now)
                        s.time_ns = g->last_now + 1;
                g->last_now = s.time_ns;
        }
        s.bits = sample_bits(&converted);
        if (g->samples->len == 0 ||
            s.time_ns >= g_array_index(g->samples, Sample, g->youngest).time_ns)
                g->youngest = g->samples->len;
        g_array_append_val(g->samples, s);
        return 0;
}

/* The youngest sample becomes the value, unless the cache has seen a younger one: not one of a time
 * that is yet to come, from before the clock was set back. */
static bool is_value(const SamplePush *b, const Group *g) {
        SeriesInfo info;

        return !series_info(b->dm->config.series, &g->path, &info) ||
               g_array_index(g->samples, Sample, g->youngest).time_ns >= info.newest_ns ||
               info.newest_ns > MAX(b->wall_ns, b->boot_ns) + SAMPLE_AHEAD_NS;
}

static int apply(SamplePush *b, const Op *ops, size_t n_ops, OpError *error, uint64_t now_usec) {
        g_autofree Op *all = g_new(Op, n_ops + b->groups->len);
        size_t n = n_ops;
        int r = 0;

        for (size_t i = 0; i < n_ops; i++)
                all[i] = ops[i]; /* borrowed */
        for (guint i = 0; i < b->groups->len; i++) {
                const Group *g = b->groups->pdata[i];

                if (is_value(b, g))
                        all[n++] = (Op){
                                .kind = OP_SET,
                                .path = g->path,
                                .value = sample_value(
                                        (ValueType) g->def->type,
                                        g_array_index(g->samples, Sample, g->youngest).bits),
                        };
        }
        b->dm->pushing = b;
        if (n > 0)
                r = dm_apply(b->dm, all, n, error, now_usec);
        b->dm->pushing = NULL;
        return r;
}

static void filter_group(const SamplePush *b, Group *g) {
        guint n = 0;

        if (!b->dm->sample_filter)
                return;
        for (guint i = 0; i < g->samples->len; i++) {
                const Sample s = g_array_index(g->samples, Sample, i);
                const Value v = sample_value(g->type, s.bits);

                if (passes(b->dm, &g->path, &v, s.time_ns))
                        g_array_index(g->samples, Sample, n++) = s;
        }
        g_array_set_size(g->samples, n);
}

static int cache_group(SamplePush *b, Group *g, size_t *dropped, OpError *error) {
        size_t n;
        int r;

        filter_group(b, g);
        if (g->samples->len == 0)
                return 0;
        r = series_add(b->dm->config.series, &g->path, g->type,
                       (const Sample *) (const void *) g->samples->data, g->samples->len, &n);
        if (r < 0)
                return refuse(error, r, &g->path,
                              "the value is set, but its samples cannot be "
                              "kept: %s",
                              g_strerror(-r));
        *dropped += n;
        return 0;
}

/* Applications may have been asked meanwhile. */
static int check_again(const SamplePush *b, OpError *error) {
        for (guint i = 0; i < b->groups->len; i++) {
                const Group *g = b->groups->pdata[i];
                const ResourceDef *def = NULL;
                int r;

                r = check_path(b, &g->path, &def, error);
                if (r < 0)
                        return r;
                assert(def);
                if (def->type != g->type)
                        return refuse(error, -EINVAL, &g->path,
                                      "the object was defined anew meanwhile");
        }
        return 0;
}

int sample_push_commit(SamplePush *b, const Op *ops, size_t n_ops, size_t *ret_dropped,
                       OpError *error, uint64_t now_usec) {
        size_t dropped = 0;
        int r;

        r = check_again(b, error);
        if (r >= 0)
                r = apply(b, ops, n_ops, error, now_usec);
        for (guint i = 0; i < b->groups->len && r >= 0; i++) {
                Group *g = b->groups->pdata[i];

                r = cache_group(b, g, &dropped, error);
                if (r >= 0)
                        observe_sampled(b->dm, &g->path);
        }
        if (r >= 0)
                *ret_dropped = dropped;
        return r;
}
