/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/sink.h"

#include <assert.h>
#include <errno.h>

#include "codec/linkformat.h"

#define RECORDS_MAX 100000
#define DEPTH_MAX 16
#define NS_PER_S INT64_C(1000000000)
#define ABSOLUTE_TIME_NS ((INT64_C(1) << 28) * NS_PER_S)

void sink_init(Sink *s, const Path *base, const FormatSchema *schema, const FormatLimits *limits) {
        *s = (Sink){
                .base = base,
                .schema = schema,
                .records_max = limits && limits->records ? limits->records : RECORDS_MAX,
                .depth_max = limits && limits->depth ? limits->depth : DEPTH_MAX,
                .now_ns = limits && limits->now_ns ? limits->now_ns : g_get_real_time() * 1000,
                .keys = g_array_new(FALSE, FALSE, sizeof(Path)),
        };
}

void sink_clear(Sink *s) {
        record_list_clear(&s->list);
        g_clear_pointer(&s->keys, g_array_unref);
}

ValueType sink_at(Sink *s, const Path *p) {
        s->error_path = *p;
        if (!s->schema || !s->schema->type || p->n < 3)
                return VALUE_NONE;
        return s->schema->type(s->schema->userdata, p);
}

bool sink_is_multiple(const Sink *s, const Path *p) {
        return s->schema && s->schema->multiple && s->schema->multiple(s->schema->userdata, p);
}

/* Into the schema's type, without a copy where the bytes stay the same. A list of links must be
 * one. */
static int convert(Value *v, ValueType type) {
        Value converted;
        int r;

        if ((v->type == VALUE_STRING || v->type == VALUE_CORELNK) &&
            !g_utf8_validate(v->data, v->length, NULL))
                return -EINVAL;
        if (type == VALUE_CORELNK && (v->type == VALUE_STRING || v->type == VALUE_CORELNK) &&
            linkformat_check(v->data, v->length) < 0)
                return -EINVAL;
        if (type == VALUE_NONE || type == v->type)
                return 0;
        if ((v->type == VALUE_STRING && type == VALUE_CORELNK) ||
            (v->type == VALUE_CORELNK && type == VALUE_STRING)) {
                v->type = (uint8_t) type;
                return 0;
        }
        r = value_convert(v, type, &converted);
        if (r < 0)
                return r;
        value_clear(v);
        *v = converted;
        return 0;
}

static int check(Sink *s, const Path *p, Value *value) {
        ValueType type = sink_at(s, p);

        if (!path_covers(s->base, p))
                return -EINVAL;
        if (s->list.n >= s->records_max)
                return -E2BIG;
        if (s->paths)
                return value->type == VALUE_NONE ? 0 : -EINVAL;
        if (value->type == VALUE_NONE)
                return p->n >= 2 ? 0 : -EINVAL;
        return p->n >= 3 ? convert(value, type) : -EINVAL;
}

int sink_add(Sink *s, const Path *p, Value *value, int64_t time_ns) {
        int r;

        r = check(s, p, value);
        if (r < 0) {
                value_clear(value);
                return r;
        }
        record_list_add(&s->list, p, value, time_ns);
        s->error_path = PATH_ROOT;
        return 0;
}

int sink_add_empty(Sink *s, const Path *p) {
        return sink_add(s, p, &VALUE_INIT, RECORD_NO_TIME);
}

int sink_time(const Sink *s, int64_t sum_ns, int64_t *ret) {
        int64_t time = sum_ns;

        if (sum_ns == 0) {
                *ret = RECORD_NO_TIME;
                return 0;
        }
        if (sum_ns < ABSOLUTE_TIME_NS && __builtin_add_overflow(sum_ns, s->now_ns, &time))
                return -ERANGE;
        *ret = time;
        return 0;
}

static int compare_keys(const void *a, const void *b) {
        return path_compare(a, b);
}

size_t sink_keys_open(Sink *s) {
        return s->keys->len;
}

void sink_key(Sink *s, const Path *key) {
        g_array_append_val(s->keys, *key);
}

int sink_keys_close(Sink *s, size_t mark) {
        Path *keys = s->keys->len > mark ? &g_array_index(s->keys, Path, mark) : NULL;
        size_t n = s->keys->len - mark, i = 1;

        g_array_set_size(s->keys, (guint) mark);
        /* In order, as most peers send them, they need no sorting. */
        while (i < n && path_compare(&keys[i - 1], &keys[i]) < 0)
                i++;
        if (i >= n)
                return 0;
        assert(keys);
        qsort(keys, n, sizeof(Path), compare_keys);
        for (i = 1; i < n; i++)
                if (path_equal(&keys[i - 1], &keys[i]))
                        return -EBADMSG;
        return 0;
}

static int compare_records(const void *a, const void *b) {
        const Record *x = *(const Record *const *) a, *y = *(const Record *const *) b;
        int r = path_compare(&x->path, &y->path);

        if (r != 0 || x->time_ns == y->time_ns)
                return r;
        return x->time_ns < y->time_ns ? -1 : 1;
}

/* Of two neighbours in order: the same again, or a node with a value or none at all, and below it
 * more. Whoever asks for a path twice, or for one below another, gets it once. */
static bool contradict(const Sink *s, const Record *a, const Record *b) {
        if (s->paths)
                return false;
        if (path_equal(&a->path, &b->path))
                return a->time_ns == b->time_ns;
        return path_covers(&a->path, &b->path);
}

static int check_neighbours(Sink *s, const Record *a, const Record *b) {
        if (!contradict(s, a, b))
                return 0;
        s->error_path = b->path;
        return -EBADMSG;
}

int sink_finish(Sink *s) {
        g_autofree const Record **order = NULL;
        size_t n = s->list.n;
        bool sorted = true;
        int r = 0;

        for (size_t i = 1; i < n && sorted; i++) {
                const Record *a = &s->list.v[i - 1], *b = &s->list.v[i];

                sorted = compare_records(&a, &b) <= 0;
        }
        if (sorted) {
                for (size_t i = 1; i < n && r >= 0; i++)
                        r = check_neighbours(s, &s->list.v[i - 1], &s->list.v[i]);
                return r;
        }
        order = g_new(const Record *, n);
        for (size_t i = 0; i < n; i++)
                order[i] = &s->list.v[i];
        qsort(order, n, sizeof(*order), compare_records);
        for (size_t i = 1; i < n && r >= 0; i++)
                r = check_neighbours(s, order[i - 1], order[i]);
        return r;
}
