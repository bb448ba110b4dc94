/* SPDX-License-Identifier: Apache-2.0 */
/* A random walk of sets, transactions, attributes, observations, clock steps, losses and
 * reconnects: the daemon must send what the model of the rules (observe_model.h) says, and nothing
 * else.
 *
 * LWM2MD_WALK_SEED and LWM2MD_WALK_STEPS repeat or lengthen a walk; a failure prints both. */
#include "dm_fixture.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "codec/format.h"
#include "observe_model.h"

#define STEPS 1000000 /* the sanitizers' builds take the short walk of the suite unit */
#define WALK 20000    /* steps on one device */
#define HISTORY 200

typedef struct Walk {
        Fixture *f;
        Peer *peer[MODEL_SERVERS];
        Link *link[MODEL_SERVERS];
        Model *model;
        uint64_t random, seed;
        unsigned step;
        int64_t start; /* of the model's clock, milliseconds */
        guint n_seen;
        bool held, app_fails;
        double app_value;
        guint n_answered;
        unsigned n_notifications;
        GQueue history; /* of text */
} Walk;

/* --- chance --- */
/* splitmix64 */
static uint32_t draw(Walk *w, uint32_t below) {
        uint64_t z = w->random += UINT64_C(0x9e3779b97f4a7c15);

        z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
        z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
        return (uint32_t) ((z ^ z >> 31) >> 32) % below;
}

static bool chance(Walk *w, uint32_t percent) {
        return draw(w, 100) < percent;
}

static int64_t model_now(const Walk *w) {
        return (int64_t) (w->f->now / USEC_PER_MSEC) - w->start;
}

static void note(Walk *w, const char *format, ...) G_GNUC_PRINTF(2, 3);
static void note(Walk *w, const char *format, ...) {
        g_autofree char *text = NULL;
        va_list ap;

        va_start(ap, format);
        text = g_strdup_vprintf(format, ap);
        va_end(ap);
        g_queue_push_tail(&w->history,
                          g_strdup_printf("%8.3f %s", (double) model_now(w) / 1000, text));
        if (w->history.length > HISTORY)
                g_free(g_queue_pop_head(&w->history));
}

static void differ(Walk *w, const char *format, ...) G_GNUC_PRINTF(2, 3);
static void differ(Walk *w, const char *format, ...) {
        g_autoptr(GString) text = g_string_new(NULL);
        va_list ap;

        va_start(ap, format);
        g_string_append_vprintf(text, format, ap);
        va_end(ap);
        for (GList *i = w->history.head; i; i = i->next)
                print_message("  %s\n", (const char *) i->data);
        fail_msg("LWM2MD_WALK_SEED=%" G_GUINT64_FORMAT " step %u: %s", w->seed, w->step, text->str);
}

/* --- between the daemon's and the model's words --- */
static Path path_of(const ModelPath *p) {
        Path r = { .n = (uint8_t) p->n };

        for (int i = 0; i < p->n; i++)
                r.id[i] = (uint16_t) p->id[i];
        return r;
}

static Value value_of(size_t leaf, double d) {
        switch (model_leaves[leaf].kind) {
        case KIND_FLOAT:
                return (Value){ .type = VALUE_FLOAT, .d = d };
        case KIND_INTEGER:
                return (Value){ .type = VALUE_INTEGER, .i = (int64_t) d };
        case KIND_BOOLEAN:
                return (Value){ .type = VALUE_BOOLEAN, .b = d > 0 };
        case KIND_TEXT:
        default: {
                char text[] = { (char) ('a' + (int) d), 0 };

                return value_string(text);
        }
        }
}

static double number_of(const Value *v) {
        switch (v->type) {
        case VALUE_FLOAT:
                return v->d;
        case VALUE_INTEGER:
                return (double) v->i;
        case VALUE_UNSIGNED:
                return (double) v->u;
        case VALUE_BOOLEAN:
                return v->b;
        case VALUE_STRING:
                return v->data[0] - 'a';
        default:
                return -1;
        }
}

static bool is_leaf(size_t leaf, const Path *p) {
        const Path l = path_of(&model_leaves[leaf].path);

        return path_equal(&l, p);
}

/* The body says what the model expects. */
static bool says(Walk *w, const FakeMessage *m, const ModelNotification *expected) {
        const FormatSchema schema = tree_format_schema(w->f->tree);
        const FormatLimits limits = { .records = 100, .bytes = 100000, .depth = 16 };
        g_auto(RecordList) l = { .v = NULL };
        gsize n = 0;
        const void *data = m->payload ? g_bytes_get_data(m->payload, &n) : NULL;

        if (format_decode(FORMAT_SENML_JSON, &PATH_ROOT, data, n, &schema, &limits, &l, NULL) < 0)
                return false;
        if (l.n != expected->n)
                return false;
        for (size_t i = 0; i < l.n; i++)
                if (!is_leaf(expected->leaf[i], &l.v[i].path) ||
                    number_of(&l.v[i].value) != expected->value[i])
                        return false;
        return true;
}

static char *expectation(const ModelNotification *n) {
        g_autoptr(GString) s = g_string_new(n->end ? "end" : n->confirmable ? "con" : "non");

        for (size_t i = 0; i < n->n; i++) {
                const Path p = path_of(&model_leaves[n->leaf[i]].path);

                g_string_append_printf(s, " %s=%g", PATH_TEXT(&p), n->value[i]);
        }
        return g_strdup(s->str);
}

static int token_of(const FakeMessage *m) {
        gsize n;
        const char *data = g_bytes_get_data(m->token, &n);

        return data[0] - 'a';
}

static int server_of(const Walk *w, const Call *c) {
        return c->link == w->link[0] ? 0 : 1;
}

/* --- what was sent --- */
static void end_call(Walk *w, Call *c, int server, int token, int error) {
        if (error == 0)
                model_arrived(w->model, server, token);
        else if (error == -EPIPE)
                model_lost(w->model, server, token);
        else
                model_ended(w->model, server, token);
        note(w, "     … server %d, token %d: %s", server, token, error ? strerror(-error) : "ack");
        fake_call_end(c, error, w->f->now);
}

static void decide(Walk *w, Call *c, int server, int token) {
        const uint32_t fate = draw(w, 100);

        if (!c->message.confirmable)
                end_call(w, c, server, token, fate < 3 ? -EPIPE : 0);
        else if (fate < 5 && !model_others_wait(w->model, server, token))
                note(w, "     … stays on its way");
        else
                end_call(w, c, server, token,
                         fate < 88   ? 0
                         : fate < 96 ? -EPIPE
                         : fate < 98 ? -ETIMEDOUT
                                     : -ECONNRESET);
}

static void check_sent(Walk *w, Call *c) {
        const FakeMessage *m = &c->message;
        const int server = server_of(w, c), token = token_of(m);
        g_autofree char *text = NULL;
        ModelNotification expected;

        w->n_notifications++;
        note(w, "     sent to server %d, token %d: %s %u.%02u %s", server, token,
             m->confirmable ? "con" : "non", m->code >> 5, m->code & 31, fake_text(m));
        if (!model_pending(w->model, server, token, &expected))
                differ(w, "nothing was to be sent");
        text = expectation(&expected);
        if (m->code != (expected.end ? CODE(4, 4) : CODE(2, 5)) ||
            m->confirmable != expected.confirmable || (!expected.end && !says(w, m, &expected)))
                differ(w, "expected: %s", text);
        model_sent(w->model, server, token);
        if (expected.end)
                fake_call_end(c, 0, w->f->now);
        else
                decide(w, c, server, token);
}

static void check_nothing_left(Walk *w) {
        for (int s = 0; s < MODEL_SERVERS; s++)
                for (int t = 0; t < MODEL_OBSERVATIONS; t++) {
                        ModelNotification expected;
                        g_autofree char *text = NULL;

                        if (!model_pending(w->model, s, t, &expected))
                                continue;
                        text = expectation(&expected);
                        differ(w, "not sent to server %d, token %d: %s", s, t, text);
                }
}

static void forget_finished(Walk *w) {
        if (fake_n_open(w->f->transport) > 0)
                return;
        g_ptr_array_set_size(w->f->transport->sent, 0);
        w->n_seen = 0;
        fake_forget_answers(w->f->transport);
        g_string_truncate(w->f->events, 0);
        g_ptr_array_set_size(w->f->apps->calls, 0);
        w->n_answered = 0;
}

/* The application answers what it was asked. */
static void answer(Walk *w) {
        const GPtrArray *calls = w->f->apps->calls;

        while (w->n_answered < calls->len) {
                g_auto(RecordList) l = { .v = NULL };
                Value v = { .type = VALUE_FLOAT, .d = w->app_value };
                const Path p = PATH_OIR(33003, 0, 0);
                AppCall *c = calls->pdata[w->n_answered++];

                if (!c->pending)
                        continue;
                note(w, "     asked for %s", c->what);
                record_list_add(&l, &p, &v, RECORD_NO_TIME);
                fake_app_answer(c, w->app_fails ? -EIO : 0, NULL, w->app_fails ? NULL : &l,
                                w->f->now);
        }
}

/* Timers run, the application answers, the model asks it too: until nobody has more to do. */
static void settle_timers(Walk *w) {
        do {
                const guint n_calls = w->f->apps->calls->len;
                bool asked;

                timerq_run(w->f->timers, w->f->now);
                asked = model_evaluate(w->model);
                if (w->f->apps->calls->len > n_calls && !asked)
                        differ(w, "the application was asked");
                answer(w);
        } while (timerq_next(w->f->timers) <= w->f->now);
}

/* Everything that happens now. */
static void settle(Walk *w) {
        const GPtrArray *sent = w->f->transport->sent;

        do {
                while (w->n_seen < sent->len)
                        check_sent(w, sent->pdata[w->n_seen++]);
                settle_timers(w);
        } while (w->n_seen < sent->len);
        model_look(w->model);
        check_nothing_left(w);
        forget_finished(w);
}

/* --- steps --- */
/* Some more often than others, so that what happens there meets. */
static size_t draw_leaf(Walk *w) {
        static const ModelPath often[] = { { { 3303, 0, 5700 }, 3 },
                                           { { 33002, 0, 1 }, 3 },
                                           { { 33002, 0, 3 }, 3 },
                                           { { 33002, 0, 4, 1 }, 4 } };
        const Path p = path_of(&often[draw(w, G_N_ELEMENTS(often))]);
        size_t i = 0;

        if (chance(w, 40))
                return draw(w, (uint32_t) model_n_leaves);
        while (!is_leaf(i, &p))
                i++;
        return i;
}

static double draw_value(Walk *w, size_t leaf) {
        switch (model_leaves[leaf].kind) {
        case KIND_BOOLEAN:
                return draw(w, 2);
        case KIND_FLOAT:
                return draw(w, 20) / 2.0;
        case KIND_TEXT:
                return draw(w, 4);
        case KIND_INTEGER:
        default:
                return draw(w, 10);
        }
}

static void apply(Walk *w, OpList *ops) {
        OpError error;

        if (dm_apply(w->f->dm, ops->v, ops->n, &error, w->f->now) < 0)
                differ(w, "%s", error.text);
        model_commit(w->model);
}

static bool can_set(const Walk *w, size_t leaf) {
        const ModelPath *p = &model_leaves[leaf].path;

        return !model_leaves[leaf].asked &&
               (p->id[0] == 33003 || model_has_instance(w->model, p->id[0], p->id[1]));
}

static void add_set(Walk *w, OpList *ops, size_t leaf) {
        const Path p = path_of(&model_leaves[leaf].path);
        const double d = draw_value(w, leaf);
        Value v = value_of(leaf, d);

        note(w, "set %s = %g", PATH_TEXT(&p), d);
        op_list_add(ops, OP_SET, &p, &v);
        model_set(w->model, leaf, d);
}

static void step_set(Walk *w) {
        g_auto(OpList) ops = { .v = NULL };
        const uint32_t n = chance(w, 80) ? 1 : 1 + draw(w, 5);

        model_begin(w->model);
        for (uint32_t i = 0; i < n; i++) {
                const size_t leaf = draw_leaf(w);

                if (can_set(w, leaf))
                        add_set(w, &ops, leaf);
        }
        if (ops.n > 0)
                apply(w, &ops);
}

static void step_instance(Walk *w) {
        g_auto(OpList) ops = { .v = NULL };
        const int object = chance(w, 50) ? 3303 : 33002, instance = (int) draw(w, MODEL_INSTANCES);
        const Path p = PATH_OI(object, instance);
        const bool there = model_has_instance(w->model, object, instance);

        if (there && !chance(w, 15))
                return; /* they are there more often than not */
        note(w, "%s %s", there ? "delete" : "create", PATH_TEXT(&p));
        model_begin(w->model);
        op_list_add(&ops, there ? OP_DELETE : OP_CREATE, &p, NULL);
        if (there)
                model_delete(w->model, object, instance);
        else {
                model_create(w->model, object, instance);
                for (size_t i = 0; i < model_n_leaves; i++) {
                        const Path leaf = path_of(&model_leaves[i].path);

                        if (path_covers(&p, &leaf) && chance(w, 60))
                                add_set(w, &ops, i);
                }
        }
        apply(w, &ops);
}

/* One of its resource instances always stays: an empty multiple resource is another matter. */
static void step_unset(Walk *w) {
        g_auto(OpList) ops = { .v = NULL };
        const size_t leaf = draw_leaf(w);
        const ModelPath *p = &model_leaves[leaf].path;
        const Path path = path_of(p);

        if (!model_has(w->model, leaf) || (p->n == 4 && p->id[3] == 0) ||
            (p->n == 4 && !model_has(w->model, leaf - (size_t) p->id[3])))
                return;
        note(w, "unset %s", PATH_TEXT(&path));
        model_begin(w->model);
        op_list_add(&ops, OP_UNSET, &path, NULL);
        model_unset(w->model, leaf);
        apply(w, &ops);
}

static ModelPath draw_path(Walk *w) {
        ModelPath p = model_leaves[chance(w, 20) ? model_n_leaves - 2 : draw_leaf(w)].path;
        const int n = 1 + (int) draw(w, (uint32_t) p.n);

        /* Resources more often than the rest. */
        if (n < 3 && chance(w, 40))
                return p;
        for (int i = n; i < 4; i++)
                p.id[i] = 0;
        p.n = n;
        return p;
}

static const char *const names[MODEL_NAMES] = {
        [PMIN] = "pmin",   [PMAX] = "pmax",   [GT] = "gt",     [LT] = "lt",   [ST] = "st",
        [EPMIN] = "epmin", [EPMAX] = "epmax", [EDGE] = "edge", [CON] = "con",
};

static double draw_attribute(Walk *w, ModelName name) {
        switch (name) {
        case PMIN:
        case EPMIN:
                return draw(w, 8);
        case PMAX:
        case EPMAX:
                return draw(w, 6) == 0 ? draw(w, 8) : 10 + draw(w, 100);
        case GT:
                return 4 + draw(w, 12) / 2.0;
        case LT:
                return draw(w, 12) / 2.0;
        case ST:
                return draw(w, 6) / 2.0;
        case EDGE:
        case CON:
        case MODEL_NAMES:
        default:
                return draw(w, 2);
        }
}

static bool is_boolean(const ModelPath *p) {
        return p->n >= 3 && p->id[0] == 33002 && p->id[2] == 3;
}

/* One that fits, but now and then. */
static ModelName draw_name(Walk *w, const ModelPath *p) {
        const bool any = chance(w, 3);

        for (;;) {
                const ModelName name = (ModelName) draw(w, MODEL_NAMES);
                const bool compares = name == GT || name == LT || name == ST;

                if (any || (!compares && name != EDGE) ||
                    (p->n >= 3 && (name == EDGE) == is_boolean(p)))
                        return name;
        }
}

/* "pmin=5&gt"; unset NULL: none are removed. */
static char *draw_query(Walk *w, const ModelPath *p, ModelAttributes *set, bool *unset) {
        g_autoptr(GString) query = g_string_new(NULL);
        const uint32_t n = 1 + draw(w, 3);

        for (uint32_t i = 0; i < n; i++) {
                const ModelName name = draw_name(w, p);

                if (set->has[name] || (unset && unset[name]))
                        continue;
                g_string_append_printf(query, "%s%s", query->len ? "&" : "", names[name]);
                if (unset && chance(w, 40)) {
                        unset[name] = true;
                        continue;
                }
                set->has[name] = true;
                set->value[name] = draw_attribute(w, name);
                g_string_append_printf(query, "=%g", set->value[name]);
        }
        return query->len ? g_strdup(query->str) : NULL;
}

static bool exists(const Walk *w, const ModelPath *p) {
        const Path path = path_of(p);

        return p->n == 1 || tree_exists(w->f->tree, &path) ||
               (p->n == 3 && model_has_instance(w->model, p->id[0], p->id[1]));
}

static void step_attributes(Walk *w, int server) {
        ModelAttributes set = { .has = { false } };
        bool unset[MODEL_NAMES] = { false };
        const ModelPath p = draw_path(w);
        const Path path = path_of(&p);
        g_autofree char *query = draw_query(w, &p, &set, unset);
        bool taken;

        if (!query || !exists(w, &p))
                return;
        note(w, "server %d: %s?%s", server, PATH_TEXT(&path), query);
        taken = attributes(w->f, PATH_TEXT(&path), query) == CODE(2, 4);
        if (model_write_attributes(w->model, server, &p, &set, unset) != taken)
                differ(w, "attributes %s", taken ? "taken" : "refused");
}

static uint8_t ask_for(Walk *w, const ModelPath *paths, int n, bool composite, const char *query,
                       int token, int observe_value) {
        g_autoptr(GString) json = g_string_new("[");
        const Path first = path_of(&paths[0]);
        const char name[] = { (char) ('a' + token), 0 };
        Ask ask = { .method = METHOD_GET,
                    .path = PATH_TEXT(&first),
                    .query = query,
                    .format = -1,
                    .accept = FORMAT_SENML_JSON,
                    .observe = observe_value,
                    .token = name };

        for (int i = 0; i < n; i++) {
                const Path p = path_of(&paths[i]);

                g_string_append_printf(json, "%s{\"n\":\"%s\"}", i ? "," : "", PATH_TEXT(&p));
        }
        g_string_append_c(json, ']');
        if (composite) {
                ask.method = METHOD_FETCH;
                ask.path = "/";
                ask.format = FORMAT_SENML_JSON;
                ask.payload = json->str;
                ask.n_payload = json->len;
        }
        note(w, "server %d: observe %s%s?%s, token %d", w->f->peer == w->peer[1],
             composite ? "composite " : "", composite ? json->str : ask.path, query ? query : "",
             token);
        return fixture_ask(w->f, &ask);
}

static void step_observe(Walk *w, int server) {
        ModelAttributes own = { .has = { false } };
        ModelPath paths[MODEL_PATHS];
        const bool composite = chance(w, 30);
        const int n = composite ? 1 + (int) draw(w, MODEL_PATHS) : 1,
                  token = (int) draw(w, MODEL_OBSERVATIONS);
        g_autofree char *query = NULL;
        uint8_t code;
        bool runs;

        for (int i = 0; i < n; i++)
                paths[i] = draw_path(w);
        if (chance(w, 20))
                query = draw_query(w, &paths[0], &own, NULL);
        code = ask_for(w, paths, n, composite, query, token, 0);
        if (code == 0) { /* it waits for the application */
                answer(w);
                code = fake_last_answer(w->f->transport)->code;
        }
        runs = model_observe(w->model, server, token, paths, n, composite, &own);
        if (runs != (code == CODE(2, 5)))
                differ(w, "server %d: answered %u.%02u %s", server, code >> 5, code & 31,
                       answer_text(w->f));
}

static void step_cancel(Walk *w, int server) {
        const int token = (int) draw(w, MODEL_OBSERVATIONS);
        const char name[] = { (char) ('a' + token), 0 };
        g_autoptr(GBytes) bytes = g_bytes_new(name, 1);
        const ModelPath any = { { 3303 }, 1 };

        if (chance(w, 50)) {
                note(w, "server %d: reset of token %d", server, token);
                peer_reset(w->peer[server], bytes, w->f->now);
        } else
                (void) ask_for(w, &any, 1, chance(w, 30), NULL, token, 1);
        model_cancel(w->model, server, token);
}

static void step_default(Walk *w, int server) {
        const bool pmin = chance(w, 50);
        const double d = chance(w, 50) ? 0 : draw_attribute(w, pmin ? PMIN : PMAX);

        note(w, "server %d: default %s %g", server, pmin ? "pmin" : "pmax", d);
        set_integer(w->f, server == 0 ? (pmin ? "/1/0/2" : "/1/0/3") : (pmin ? "/1/1/2" : "/1/1/3"),
                    (int64_t) d);
        model_set_default(w->model, server, pmin ? PMIN : PMAX, d);
}

static void step_link(Walk *w, int server) {
        const bool up = !w->link[server] || chance(w, 30);

        note(w, "server %d: link %s", server, up ? "up" : "down");
        peer_set_link(w->peer[server], NULL);
        model_link(w->model, server, false);
        w->link[server] = up ? fake_link_new(w->f->transport) : NULL;
        if (!up)
                return;
        peer_set_link(w->peer[server], w->link[server]);
        model_link(w->model, server, true);
}

static void step_hold(Walk *w) {
        w->held = !w->held;
        note(w, w->held ? "hold" : "let go");
        model_hold(w->model, w->held);
        if (w->held)
                dm_suspend_notifications(w->f->dm);
        else
                dm_resume_notifications(w->f->dm, w->f->now);
}

static void step_app(Walk *w) {
        static const Path asked = PATH_OIR(33003, 0, 0);
        g_auto(OpList) ops = { .v = NULL };
        Value v = { .type = VALUE_FLOAT, .d = 1 };

        if (chance(w, 30)) {
                note(w, "touch %s", PATH_TEXT(&asked));
                op_list_add(&ops, OP_SET, &asked, &v);
                if (dm_apply(w->f->dm, ops.v, ops.n, NULL, w->f->now) < 0)
                        differ(w, "not set");
                model_touch(w->model, model_n_leaves - 2);
                return;
        }
        w->app_fails = chance(w, 10);
        w->app_value = draw(w, 20) / 2.0;
        note(w, "the application has %g%s", w->app_value, w->app_fails ? ", and fails" : "");
        model_app(w->model, w->app_value, w->app_fails);
}

/* One that stayed on its way. */
static void step_end_call(Walk *w) {
        const unsigned n = fake_n_open(w->f->transport);
        Call *c = n > 0 ? fake_open_call(w->f->transport, draw(w, n)) : NULL;
        const int error = chance(w, 80) ? 0 : chance(w, 60) ? -EPIPE : -ETIMEDOUT;

        if (c)
                end_call(w, c, server_of(w, c), token_of(&c->message), error);
}

/* What is due in this moment cannot be handed to the network. */
static void step_broken(Walk *w) {
        note(w, "the network is broken");
        w->f->transport->send_error = -ENETUNREACH;
        step_set(w);
        settle_timers(w);
        for (int s = 0; s < MODEL_SERVERS; s++)
                for (int t = 0; t < MODEL_OBSERVATIONS; t++) {
                        ModelNotification n;

                        if (model_pending(w->model, s, t, &n))
                                model_failed(w->model, s, t);
                }
        w->f->transport->send_error = 0;
}

/* Stops where the daemon or the model has something to do. */
static void step_time(Walk *w) {
        static const uint32_t longest[] = { 100, 1000, 5000, 10000, 60000 };
        const uint64_t to =
                w->f->now +
                USEC_PER_MSEC * (draw(w, 500) == 0 ? 20000000 : draw(w, longest[draw(w, 5)]));

        note(w, "%.3f s pass", (double) (to - w->f->now) / 1e6);
        while (w->f->now < to) {
                const int64_t next = model_next(w->model);
                uint64_t stop = MIN(to, timerq_next(w->f->timers));

                if (next != MODEL_NEVER)
                        stop = MIN(stop, (uint64_t) (next + w->start) * USEC_PER_MSEC);
                if (stop == w->f->now)
                        differ(w, "time does not pass");
                w->f->now = stop;
                model_set_time(w->model, model_now(w));
                settle(w);
        }
}

static void do_step(Walk *w) {
        const int server = (int) draw(w, MODEL_SERVERS);
        const uint32_t kind = draw(w, 100);

        w->f->peer = w->peer[server];
        if (kind < 6)
                step_app(w);
        else if (kind < 40)
                step_set(w);
        else if (kind < 65)
                step_time(w);
        else if (kind < 70)
                step_instance(w);
        else if (kind < 73)
                step_unset(w);
        else if (kind < 75)
                step_default(w, server);
        else if (kind < 78)
                step_end_call(w);
        else if (kind < 79)
                step_hold(w);
        else if (kind < 80)
                step_broken(w);
        else if (kind < 81 || !w->link[server])
                step_link(w, server); /* what follows comes from the server */
        else if (kind < 88)
                step_attributes(w, server);
        else if (kind < 98)
                step_observe(w, server);
        else
                step_cancel(w, server);
        settle(w);
}

/* --- a walk --- */
#define ITEM(id, operations, multiple, type)                                                       \
        "<Item ID=\"" #id "\"><Name>n" #id "</Name><Operations>" operations                        \
        "</Operations><MultipleInstances>" multiple "</MultipleInstances><Mandatory>Optional"      \
        "</Mandatory><Type>" type "</Type><RangeEnumeration></RangeEnumeration><Units></Units>"    \
        "<Description>x</Description></Item>"
#define OBJECT(id, items)                                                                          \
        "<LWM2M><Object ObjectType=\"MODefinition\"><Name>o" #id                                   \
        "</Name><Description1>x</Description1><ObjectID>" #id                                      \
        "</ObjectID><ObjectURN>urn:oma:lwm2m:x:" #id                                               \
        "</ObjectURN><LWM2MVersion>1.0</LWM2MVersion><ObjectVersion>1.0</ObjectVersion>"           \
        "<MultipleInstances>Multiple</MultipleInstances><Mandatory>Optional</Mandatory>"           \
        "<Resources>" items "</Resources><Description2></Description2></Object></LWM2M>"

static void define(Fixture *f, const char *xml) {
        g_autofree char *error = NULL;

        if (schema_add_xml(f->schema, "walk", xml, strlen(xml), NULL, &error) < 0)
                fail_msg("%s", error);
}

static void prepare(Walk *w) {
        Fixture *f = w->f;

        define(f, OBJECT(33002, ITEM(0, "RW", "Single", "Float") ITEM(1, "RW", "Single", "Integer")
                                        ITEM(2, "RW", "Single", "String")
                                                ITEM(3, "RW", "Single", "Boolean")
                                                        ITEM(4, "RW", "Multiple", "Float")));
        define(f, OBJECT(33003, ITEM(0, "R", "Single", "Float") ITEM(1, "RW", "Single", "Float")));
        for (const char *const *p = (const char *const[]){ "/3303/0", "/3303/1", NULL }; *p; p++)
                delete_path(f, *p);
        fake_forget_answers(f->transport);
        create(f, "/1/1");
        set_integer(f, "/1/1/0", 2);
        w->peer[0] = f->peer;
        w->link[0] = f->link;
        w->peer[1] = peer_new(f->dm, 2);
        w->link[1] = fake_link_new(f->transport);
        peer_set_link(w->peer[1], w->link[1]);
        for (int s = 0; s < MODEL_SERVERS; s++)
                peer_set_version(w->peer[s], (Version){ 1, 2 });
        create(f, "/33003/0");
        set_float(f, "/33003/0/1", 0);
        fake_apps_claim(f->apps, "/33003/0/0", APP_READ);
        pass(f, 0);
        w->start = (int64_t) (f->now / USEC_PER_MSEC);
        w->model = model_new();
        model_begin(w->model);
        model_set(w->model, model_n_leaves - 1, 0);
        model_commit(w->model);
}

static unsigned walk(uint64_t seed, unsigned n_steps) {
        Walk w = { .random = seed, .seed = seed, .history = G_QUEUE_INIT };
        void *state = NULL;

        assert_int_equal(fixture_setup(&state), 0);
        w.f = state;
        prepare(&w);
        for (w.step = 0; w.step < n_steps; w.step++)
                do_step(&w);
        if (w.held)
                step_hold(&w);
        settle(&w);
        model_free(w.model);
        g_queue_clear_full(&w.history, g_free);
        peer_free(w.peer[1]);
        w.f->peer = w.peer[0];
        assert_int_equal(fixture_teardown(&state), 0);
        return w.n_notifications;
}

static void test_walk(void **state) {
        const char *seed_text = g_getenv("LWM2MD_WALK_SEED"),
                   *steps_text = g_getenv("LWM2MD_WALK_STEPS");
        const uint64_t steps = steps_text ? g_ascii_strtoull(steps_text, NULL, 10) : STEPS;
        uint64_t seed = seed_text ? g_ascii_strtoull(seed_text, NULL, 10) : 1, sent = 0;

        for (uint64_t done = 0; done < steps; done += WALK)
                sent += walk(seed++, (unsigned) MIN(WALK, steps - done));
        print_message("%" G_GUINT64_FORMAT " steps, %" G_GUINT64_FORMAT " notifications\n", steps,
                      sent);
        assert_true(sent > steps / 20); /* it was about something */
}

int main(void) {
        const struct CMUnitTest tests[] = { cmocka_unit_test(test_walk) };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
