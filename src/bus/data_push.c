/* SPDX-License-Identifier: Apache-2.0 */
/* Data.Push and Data.PushSeries: samples with times of their own. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "bus/data_edit.h"
#include "bus/gate.h"

typedef struct PushOptions {
        bool boot;
} PushOptions;

static int read_options(Edit *e, PushOptions *ret, sd_bus_error *error) {
        const Option options[] = { { "boottime", OPTION_BOOL, &ret->boot }, { NULL } };

        return options_read(e->call, options, error);
}

/* --- Push --- */
/* What was read, until the options behind it are known. */
typedef struct Item {
        Path path;
        Value value;
        int64_t time_ns;
} Item;

static void clear_item(void *item) {
        value_clear(&((Item *) item)->value);
}

static int read_item(Edit *e, Item *ret, sd_bus_error *error) {
        g_auto(RecordList) records = { 0 };
        bool multiple;
        int r;

        r = path_argument(e->call, &ret->path, 3, 4, error);
        if (r >= 0)
                r = check_access(e->call, &ret->path, true, error);
        if (r < 0)
                return r;
        r = variant_read(e->call, &ret->path, &records, &multiple);
        if (r < 0)
                return edit_variant_error(error, r, &ret->path);
        if (multiple || records.n != 1)
                return bus_error_named(error, ERROR_PREFIX "InvalidPath",
                                       "%s: Push takes the paths of single values",
                                       PATH_TEXT(&ret->path));
        ret->value = value_steal(&records.v[0].value);
        return sd_bus_message_read_basic(e->call, 'x', &ret->time_ns);
}

static int read_items(Edit *e, GArray *ret, sd_bus_error *error) {
        sd_bus_message *m = e->call;
        int r;

        r = sd_bus_message_enter_container(m, 'a', "(svx)");
        while (r >= 0 && (r = sd_bus_message_enter_container(m, 'r', "svx")) > 0) {
                Item item = { .value = VALUE_INIT };

                if (ret->len >= EDIT_OPERATIONS_MAX)
                        return bus_error(error, -E2BIG, "More than %d samples in one Push",
                                         EDIT_OPERATIONS_MAX);
                r = read_item(e, &item, error);
                g_array_append_val(ret, item);
                if (r >= 0)
                        r = sd_bus_message_exit_container(m);
                if (r < 0)
                        return r;
        }
        return r < 0 ? r : sd_bus_message_exit_container(m);
}

int method_push(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Bus *b = userdata;
        g_autoptr(Edit) e = edit_new(b, m);
        g_autoptr(GArray) items = g_array_new(FALSE, FALSE, sizeof(Item));
        PushOptions options = { 0 };
        OpError why;
        int r;

        g_array_set_clear_func(items, clear_item);
        r = read_items(e, items, error);
        if (r >= 0)
                r = read_options(e, &options, error);
        if (r < 0)
                return r;
        e->push = sample_push_new(client_dm(b->client));
        e->reply_has_dropped = true;
        for (guint i = 0; i < items->len; i++) {
                Item *item = &g_array_index(items, Item, i);

                r = sample_push_add(e->push, &item->path, &item->value, item->time_ns, options.boot,
                                    &why);
                if (r < 0)
                        return bus_error(error, r, "%s", why.text);
                /* What applications that own a path are shown: each of its values. */
                op_list_add(&e->ops, OP_SET, &item->path, &item->value);
        }
        return edit_run(g_steal_pointer(&e), error);
}

/* --- PushSeries --- */
typedef struct Values {
        char type;
        const void *v; /* borrowed from the message */
        size_t n;
} Values;

static int read_values(sd_bus_message *m, const Path *p, Values *ret, sd_bus_error *error) {
        static const struct {
                const char *signature;
                uint8_t size;
        } types[] = {
                { "ad", 8 }, { "ax", 8 }, { "at", 8 }, { "ab", 4 }, { "ai", 4 }, { "au", 4 }
        };
        const char *content;
        size_t size;
        int r;

        r = sd_bus_message_peek_type(m, NULL, &content);
        if (r < 0)
                return r;
        for (size_t i = 0; i < G_N_ELEMENTS(types); i++) {
                if (strcmp(content, types[i].signature) != 0)
                        continue;
                r = sd_bus_message_enter_container(m, 'v', content);
                if (r < 0)
                        return r;
                r = sd_bus_message_read_array(m, content[1], &ret->v, &size);
                if (r < 0)
                        return r;
                ret->type = content[1];
                ret->n = size / types[i].size;
                return sd_bus_message_exit_container(m);
        }
        return bus_error_named(error, ERROR_PREFIX "InvalidValue",
                               "%s: a variant '%s' is no series (ad, ax, at, ab, ai or au)",
                               PATH_TEXT(p), content);
}

static Value value_at(const Values *values, size_t i) {
        const uint32_t *narrow = values->v;
        const uint64_t *wide = values->v;
        Value v = VALUE_INIT;

        switch (values->type) {
        case 'd':
                v = (Value){ .type = VALUE_FLOAT, .d = ((const double *) values->v)[i] };
                break;
        case 'b':
                v = (Value){ .type = VALUE_BOOLEAN, .b = narrow[i] != 0 };
                break;
        case 'i':
                v = (Value){ .type = VALUE_INTEGER, .i = (int32_t) narrow[i] };
                break;
        case 'u':
                v = (Value){ .type = VALUE_INTEGER, .i = narrow[i] };
                break;
        case 't':
                v = (Value){ .type = VALUE_UNSIGNED, .u = wide[i] };
                break;
        default:
                v = (Value){ .type = VALUE_INTEGER, .i = (int64_t) wide[i] };
                break;
        }
        return v;
}

/* The time of the first one; start 0: so that the last one is now. */
static int first_time(Edit *e, const Path *p, const Values *values, int64_t start, int64_t step,
                      PushOptions *options, int64_t *ret, sd_bus_error *error) {
        Dm *dm = client_dm(e->bus->client);
        int64_t length, now;
        OpError why;

        if (step < 0 || (step == 0 && values->n > 1))
                return bus_error_named(error, ERROR_PREFIX "InvalidValue",
                                       "%s: a step of %" PRId64 " ns; it must be above 0",
                                       PATH_TEXT(p), step);
        if (__builtin_mul_overflow(step, (int64_t) values->n - 1, &length) || length < 0)
                length = INT64_MAX;
        if (start == 0) {
                (void) samples_check_time(dm, p, 0, false, &now, &why);
                options->boot = now < SERIES_TIME_MIN_NS;
                start = now - MIN(length, now);
        }
        if (__builtin_add_overflow(start, length, &now))
                return bus_error_named(error, ERROR_PREFIX "InvalidValue",
                                       "%s: the series ends beyond all time", PATH_TEXT(p));
        *ret = start;
        return 0;
}

static int add_series(Edit *e, const Path *p, const Values *values, int64_t start, int64_t step,
                      const PushOptions *options, sd_bus_error *error) {
        const bool show = edit_concerns_others_at(e, p);
        OpError why;
        int r;

        e->push = sample_push_new(client_dm(e->bus->client));
        e->reply_has_dropped = true;
        for (size_t i = 0; i < values->n; i++) {
                Value v = value_at(values, i);

                r = sample_push_add(e->push, p, &v, start + (int64_t) i * step, options->boot,
                                    &why);
                if (r < 0)
                        return bus_error(error, r, "%s", why.text);
                if (show)
                        op_list_add(&e->ops, OP_SET, p, &v);
        }
        return 0;
}

int method_push_series(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Bus *b = userdata;
        g_autoptr(Edit) e = edit_new(b, m);
        PushOptions options = { 0 };
        int64_t start, step;
        Values values;
        Path p;
        int r;

        r = path_argument(m, &p, 3, 4, error);
        if (r >= 0)
                r = check_access(m, &p, true, error);
        if (r >= 0)
                r = read_values(m, &p, &values, error);
        if (r < 0)
                return r;
        if (values.n > EDIT_OPERATIONS_MAX)
                return bus_error(error, -E2BIG, "More than %d samples in one PushSeries",
                                 EDIT_OPERATIONS_MAX);
        r = sd_bus_message_read(m, "xx", &start, &step);
        if (r >= 0)
                r = read_options(e, &options, error);
        if (r >= 0)
                r = first_time(e, &p, &values, start, step, &options, &start, error);
        if (r >= 0)
                r = add_series(e, &p, &values, start, step, &options, error);
        if (r >= 0 && e->ops.n == 0) /* edit_run() counts what it knows of */
                r = check_budget(m, values.n, error);
        return r < 0 ? r : edit_run(g_steal_pointer(&e), error);
}
