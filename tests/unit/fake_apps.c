/* SPDX-License-Identifier: Apache-2.0 */
#include "fake_apps.h"

static void free_call(void *userdata) {
        AppCall *c = userdata;

        g_free(c->what);
        g_free(c);
}

FakeApps *fake_apps_new(void) {
        FakeApps *a = g_new0(FakeApps, 1);

        a->claims = g_array_new(FALSE, FALSE, sizeof(FakeClaim));
        a->calls = g_ptr_array_new_with_free_func(free_call);
        return a;
}

FakeApps *fake_apps_free(FakeApps *a) {
        if (!a)
                return NULL;
        g_array_unref(a->claims);
        g_ptr_array_unref(a->calls);
        g_free(a);
        return NULL;
}

void fake_apps_claim(FakeApps *a, const char *prefix, unsigned bits) {
        FakeClaim claim = { .bits = bits };

        g_assert(path_parse(prefix, &claim.prefix) == 0);
        g_array_append_val(a->claims, claim);
}

static unsigned fake_claimed(void *apps, const Path *p) {
        const FakeApps *a = apps;
        unsigned bits = 0, length = 0;

        for (guint i = 0; i < a->claims->len; i++) {
                const FakeClaim *c = &g_array_index(a->claims, FakeClaim, i);

                if (path_covers(&c->prefix, p) && c->prefix.n >= length) {
                        bits = c->bits;
                        length = c->prefix.n;
                }
        }
        return bits;
}

static AppCall *add(FakeApps *a, const char *kind, char *what, const AppContext *context,
                    AppDone done, void *userdata) {
        AppCall *c = g_new0(AppCall, 1);

        *c = (AppCall){
                .apps = a,
                .kind = kind,
                .what = what,
                .ssid = context->ssid,
                .done = done,
                .userdata = userdata,
                .pending = true,
        };
        g_ptr_array_add(a->calls, c);
        return c;
}

static AppCall *fake_execute(void *apps, const Path *p, const ExecuteArg *args, size_t n_args,
                             const char *raw, const AppContext *context, AppDone done,
                             void *userdata) {
        return add(apps, "execute", g_strdup_printf("%s %s (%zu)", PATH_TEXT(p), raw, n_args),
                   context, done, userdata);
}

static AppCall *fake_read(void *apps, const Path *paths, size_t n, const AppContext *context,
                          AppDone done, void *userdata) {
        GString *what = g_string_new(NULL);

        for (size_t i = 0; i < n; i++)
                g_string_append_printf(what, "%s%s", i > 0 ? " " : "", PATH_TEXT(&paths[i]));
        return add(apps, "read", g_string_free(what, FALSE), context, done, userdata);
}

static AppCall *fake_prepare(void *apps, const Op *ops, size_t n, const AppContext *context,
                             AppDone done, void *userdata) {
        GString *what = g_string_new(NULL);

        for (size_t i = 0; i < n; i++) {
                const unsigned need = ops[i].kind == OP_CREATE || ops[i].kind == OP_DELETE
                                              ? APP_CREATE
                                              : APP_WRITE;

                if (fake_claimed(apps, &ops[i].path) & need)
                        g_string_append_printf(what, "%s%s:%s", what->len > 0 ? " " : "",
                                               op_name(ops[i].kind), PATH_TEXT(&ops[i].path));
        }
        if (what->len == 0) {
                g_string_free(what, TRUE);
                return NULL;
        }
        return add(apps, "prepare", g_string_free(what, FALSE), context, done, userdata);
}

static void fake_finish(AppCall *c, bool commit) {
        g_assert(!c->pending && !c->finished && !c->cancelled);
        c->finished = true;
        c->committed = commit;
}

static void fake_cancel(AppCall *c) {
        g_assert(c->pending);
        c->pending = false;
        c->cancelled = true;
}

const AppOps fake_app_ops = {
        .claimed = fake_claimed,
        .execute = fake_execute,
        .read = fake_read,
        .prepare = fake_prepare,
        .finish = fake_finish,
        .cancel = fake_cancel,
};

AppCall *fake_apps_last(const FakeApps *a) {
        return a->calls->len > 0 ? a->calls->pdata[a->calls->len - 1] : NULL;
}

void fake_app_answer(AppCall *c, int error, const char *text, const RecordList *records,
                     uint64_t now_usec) {
        g_assert(c->pending);
        c->pending = false;
        c->done(c->userdata, error, text, records, now_usec);
}
