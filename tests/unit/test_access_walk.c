/* SPDX-License-Identifier: Apache-2.0 */
/* A random walk of three servers' operations, of changes of object 2 and of accounts: each answer,
 * what is told and what is kept must be what the model of access control (access_model.h) says.
 *
 * LWM2MD_WALK_SEED and LWM2MD_WALK_STEPS repeat or lengthen a walk; a failure prints both. */
#include "dm_fixture.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "access_model.h"
#include "codec/format.h"

#define STEPS 1000000 /* the suite unit takes a short walk */
#define WALK 5000     /* steps on one device */
#define HISTORY 60
#define VALUE_LIMIT 100

/* What a server observes: 'a' a resource, 'b' an object, 'c' two resources by a composite. */
#define OBSERVATIONS 3

typedef struct Watch {
        bool on;
        int object, instance;
        int told; /* 'a': the last value; -1 unknown */
} Watch;

typedef struct Walk {
        Fixture *f;
        AccessModel model;
        Peer *peer[MODEL_SERVERS + 1];
        Link *link[MODEL_SERVERS + 1];
        Watch watch[MODEL_SERVERS + 1][OBSERVATIONS];
        uint64_t random, seed;
        unsigned step, n_refused, n_done, n_notified, n_withdrawn;
        bool permitted; /* Discover= */
        GQueue history; /* of text */
} Walk;

/* --- chance, and what happened --- */
/* splitmix64 */
static int draw(Walk *w, int below) {
        uint64_t z = w->random += UINT64_C(0x9e3779b97f4a7c15);

        z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
        z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
        return (int) (((z ^ z >> 31) >> 33) % (uint64_t) below);
}

static void note(Walk *w, const char *format, ...) G_GNUC_PRINTF(2, 3);
static void note(Walk *w, const char *format, ...) {
        va_list ap;

        va_start(ap, format);
        g_queue_push_tail(&w->history, g_strdup_vprintf(format, ap));
        va_end(ap);
        if (w->history.length > HISTORY)
                g_free(g_queue_pop_head(&w->history));
}

static void differ(Walk *w, const char *format, ...) G_GNUC_PRINTF(2, 3);
static void differ(Walk *w, const char *format, ...) {
        g_autofree char *text = NULL;
        va_list ap;

        va_start(ap, format);
        text = g_strdup_vprintf(format, ap);
        va_end(ap);
        for (GList *i = w->history.head; i; i = i->next)
                print_message("  %s\n", (const char *) i->data);
        fail_msg("LWM2MD_WALK_SEED=%" G_GUINT64_FORMAT " step %u: %s", w->seed, w->step, text);
}

static void expect(Walk *w, uint8_t got, uint8_t code, const char *what) {
        note(w, "%s: %u.%02u", what, got >> 5, got & 31);
        w->n_refused += code == CODE(4, 1);
        w->n_done += code >> 5 == 2;
        if (got != code)
                differ(w, "%s: %u.%02u, expected %u.%02u: %s", what, got >> 5, got & 31, code >> 5,
                       code & 31, answer_text(w->f));
}

/* --- paths --- */
static Path resource_path(int object, int instance) {
        return PATH_OIR((uint16_t) model_objects[object], (uint16_t) instance,
                        (uint16_t) model_resources[object]);
}

static bool find_resource(const Path *p, int *object, int *instance) {
        for (int o = 0; o < MODEL_OBJECTS; o++)
                for (int i = 0; i < MODEL_INSTANCES; i++) {
                        const Path r = resource_path(o, i);

                        if (path_equal(&r, p)) {
                                *object = o;
                                *instance = i;
                                return true;
                        }
                }
        return false;
}

static int rights_of(const Walk *w, int server, int object, int instance) {
        return model_rights(&w->model, server, model_objects[object], instance);
}

static bool may(const Walk *w, int server, int object, int instance, int right) {
        return w->model.exists[object][instance] && rights_of(w, server, object, instance) & right;
}

/* 4.04 of what is not there, then 4.01, then what the operation itself says. */
static uint8_t code_for(const Walk *w, int server, int object, int instance, int right,
                        uint8_t done) {
        return !w->model.exists[object][instance]        ? CODE(4, 4)
               : may(w, server, object, instance, right) ? done
                                                         : CODE(4, 1);
}

/* --- bodies --- */
/* The set of values in a SenML JSON body, as bits by object and instance. Each must be the model's
 * and one that the server may read. */
static unsigned values_in(Walk *w, int server, GBytes *body) {
        const FormatSchema schema = tree_format_schema(w->f->tree);
        const FormatLimits limits = { .records = 1000, .bytes = 100000, .depth = 16 };
        g_auto(RecordList) l = { .v = NULL };
        gsize n = 0;
        const void *data = body ? g_bytes_get_data(body, &n) : "";
        unsigned seen = 0;

        if (format_decode(FORMAT_SENML_JSON, &PATH_ROOT, data, n, &schema, &limits, &l, NULL) < 0)
                differ(w, "a body that cannot be read");
        for (size_t i = 0; i < l.n; i++) {
                const Value *v = &l.v[i].value;
                int object, instance;

                if (!find_resource(&l.v[i].path, &object, &instance))
                        continue; /* another resource of an instance */
                if (!may(w, server, object, instance, MODEL_R))
                        differ(w, "server %d is told %s", server, PATH_TEXT(&l.v[i].path));
                if ((v->type == VALUE_FLOAT ? (int) v->d : (int) v->i) !=
                    w->model.value[object][instance])
                        differ(w, "%s has another value", PATH_TEXT(&l.v[i].path));
                seen |= 1U << (object * MODEL_INSTANCES + instance);
        }
        return seen;
}

static unsigned readable(const Walk *w, int server, int object) {
        unsigned bits = 0;

        for (int i = 0; i < MODEL_INSTANCES; i++)
                if (may(w, server, object, i, MODEL_R))
                        bits |= 1U << (object * MODEL_INSTANCES + i);
        return bits;
}

/* --- notifications --- */
static int server_of(const Walk *w, const Call *c) {
        for (int s = 1; s <= MODEL_SERVERS; s++)
                if (w->link[s] == c->link)
                        return s;
        return 0;
}

static void check_sent(Walk *w, Call *c) {
        const int server = server_of(w, c);
        const FakeMessage *m = &c->message;
        const int token = *(const char *) g_bytes_get_data(m->token, NULL) - 'a';
        Watch *watch = &w->watch[server][token];

        note(w, "  to server %d, token %c: %u.%02u %s", server, 'a' + token, m->code >> 5,
             m->code & 31, fake_text(m));
        w->n_notified++;
        if (!watch->on)
                differ(w, "server %d observes nothing with that token", server);
        if (m->code == CODE(2, 5)) {
                const unsigned seen = values_in(w, server, m->payload);

                if (token == 0 && !seen)
                        differ(w, "an empty notification");
                watch->told = token == 0 ? w->model.value[watch->object][watch->instance] : 0;
        } else {
                if (token == 0 && may(w, server, watch->object, watch->instance, MODEL_R))
                        differ(w, "the observation ended, though it may read");
                w->n_withdrawn += m->code == CODE(4, 1);
                watch->on = false;
        }
        fake_call_end(c, 0, w->f->now);
}

static void settle(Walk *w) {
        Call *c;

        pass(w->f, 0);
        while ((c = fake_open_call(w->f->transport, 0))) {
                check_sent(w, c);
                pass(w->f, 0);
        }
        for (int s = 1; s <= MODEL_SERVERS; s++) {
                const Watch *a = &w->watch[s][0];

                if (!a->on)
                        continue;
                if (!may(w, s, a->object, a->instance, MODEL_R))
                        differ(w, "server %d still observes /%d/%d", s, model_objects[a->object],
                               a->instance);
                if (a->told != w->model.value[a->object][a->instance])
                        differ(w, "server %d has not been told of /%d/%d", s,
                               model_objects[a->object], a->instance);
        }
        g_ptr_array_set_size(w->f->transport->sent, 0);
        fake_forget_answers(w->f->transport);
        g_string_truncate(w->f->events, 0);
        g_string_truncate(w->f->executed, 0);
}

/* --- what is kept --- */
static int number_at(const Walk *w, Path p) {
        const Value *v;

        return tree_get(w->f->tree, &p, &v) == 0 ? (int) v->i : -1;
}

static void check_controls(Walk *w) {
        for (uint16_t i = 0; i < MODEL_CONTROLS; i++) {
                const ModelControl *c = &w->model.controls[i];

                if (tree_exists(w->f->tree, &PATH_OI(2, i)) != c->used)
                        differ(w, "/2/%u is %s", i, c->used ? "missing" : "there");
                if (!c->used)
                        continue;
                if (number_at(w, PATH_OIR(2, i, 0)) != c->object ||
                    number_at(w, PATH_OIR(2, i, 1)) != c->instance ||
                    number_at(w, PATH_OIR(2, i, 3)) != c->owner)
                        differ(w, "/2/%u is about /%d/%d, owner %d", i,
                               number_at(w, PATH_OIR(2, i, 0)), number_at(w, PATH_OIR(2, i, 1)),
                               number_at(w, PATH_OIR(2, i, 3)));
                for (uint16_t s = 0; s <= MODEL_SERVERS; s++)
                        if (number_at(w, PATH_OIRI(2, i, 2, s)) != c->entry[s])
                                differ(w, "/2/%u/2/%u is %d, not %d", i, s,
                                       number_at(w, PATH_OIRI(2, i, 2, s)), c->entry[s]);
        }
}

static void check_kept(Walk *w) {
        check_controls(w);
        for (int o = 0; o < MODEL_OBJECTS; o++)
                for (int i = 0; i < MODEL_INSTANCES; i++) {
                        const Path p = resource_path(o, i), instance = path_prefix(&p, 2);
                        const Value *v;

                        if (tree_exists(w->f->tree, &instance) != w->model.exists[o][i])
                                differ(w, "%s: whether it is there", PATH_TEXT(&instance));
                        if (!w->model.exists[o][i])
                                continue;
                        if (tree_get(w->f->tree, &p, &v) < 0 ||
                            (v->type == VALUE_FLOAT ? (int) v->d : (int) v->i) !=
                                    w->model.value[o][i])
                                differ(w, "%s: its value", PATH_TEXT(&p));
                }
}

/* --- steps of servers --- */
typedef struct Step {
        int server, object, instance;
        const char *path; /* of the instance */
        const char *resource;
        const char *what;
} Step;

static void step_read(Walk *w, const Step *s) {
        g_autofree char *object = g_strdup_printf("/%d", model_objects[s->object]);
        unsigned seen;

        switch (draw(w, 3)) {
        case 0:
                expect(w, get(w->f, s->resource, 110),
                       code_for(w, s->server, s->object, s->instance, MODEL_R, CODE(2, 5)),
                       s->what);
                return;
        case 1:
                expect(w, get(w->f, s->path, 110),
                       code_for(w, s->server, s->object, s->instance, MODEL_R, CODE(2, 5)),
                       s->what);
                return;
        default: /* 8.2.4: those instances that it may read */
                expect(w, get(w->f, object, 110), CODE(2, 5), s->what);
                seen = values_in(w, s->server, fake_last_answer(w->f->transport)->payload);
                if (seen != readable(w, s->server, s->object))
                        differ(w, "values %x, expected %x", seen,
                               readable(w, s->server, s->object));
        }
}

static void step_read_composite(Walk *w, const Step *s) {
        g_autoptr(GString) body = g_string_new("[");
        unsigned asked = 0, seen;
        bool any = false;
        uint8_t code;

        for (int n = 1 + draw(w, 4); n > 0; n--) {
                const int o = draw(w, MODEL_OBJECTS), i = draw(w, MODEL_INSTANCES);
                const Path p = resource_path(o, i), instance = path_prefix(&p, 2);

                g_string_append_printf(body, "%s{\"n\":\"%s\"}", body->len > 1 ? "," : "",
                                       draw(w, 2) ? PATH_TEXT(&p) : PATH_TEXT(&instance));
                any = any || w->model.exists[o][i];
                if (may(w, s->server, o, i, MODEL_R))
                        asked |= 1U << (o * MODEL_INSTANCES + i);
        }
        g_string_append_c(body, ']');
        code = fetch(w->f, body->str, 110);
        expect(w, code, asked ? CODE(2, 5) : any ? CODE(4, 1) : CODE(4, 4), s->what);
        if (code != CODE(2, 5))
                return;
        seen = values_in(w, s->server, fake_last_answer(w->f->transport)->payload);
        if (seen != asked)
                differ(w, "values %x, expected %x", seen, asked);
}

static void step_write(Walk *w, const Step *s) {
        const int value = draw(w, VALUE_LIMIT);
        g_autofree char *text = g_strdup_printf("%d", value);
        uint8_t code = put(w->f, s->resource, 0, text);

        expect(w, code,
               code_for(w, s->server, s->object, s->instance, MODEL_W,
                        s->object == 0 ? CODE(2, 4) : CODE(4, 5)),
               s->what);
        if (code == CODE(2, 4))
                w->model.value[s->object][s->instance] = value;
}

static void step_write_composite(Walk *w, const Step *s) {
        g_autoptr(GString) body = g_string_new("[");
        int values[MODEL_INSTANCES];
        uint8_t code = CODE(2, 4), got;

        memset(values, -1, sizeof(values));
        for (int n = 1 + draw(w, 3); n > 0; n--) {
                const int i = draw(w, MODEL_INSTANCES), value = draw(w, VALUE_LIMIT);

                if (values[i] >= 0)
                        continue;
                values[i] = value;
                g_string_append_printf(body, "%s{\"n\":\"/33000/%d/1\",\"v\":%d}",
                                       body->len > 1 ? "," : "", i, value);
                if (code == CODE(2, 4)) /* the first that is wrong */
                        code = code_for(w, s->server, 0, i, MODEL_W, CODE(2, 4));
        }
        g_string_append_c(body, ']');
        got = ipatch(w->f, body->str);
        expect(w, got, code, s->what);
        for (int i = 0; i < MODEL_INSTANCES && got == CODE(2, 4); i++)
                if (values[i] >= 0)
                        w->model.value[0][i] = values[i];
}

static void step_execute(Walk *w, const Step *s) {
        g_autofree char *path = g_strdup_printf("%s/9", s->path);
        uint8_t code;

        if (s->object != 0)
                return;
        code = post(w->f, path, -1, NULL);
        expect(w, code, code_for(w, s->server, 0, s->instance, MODEL_E, CODE(2, 4)), s->what);
        if ((code == CODE(2, 4)) != (w->f->executed->len > 0))
                differ(w, "done: '%s'", w->f->executed->str);
}

static void step_delete(Walk *w, const Step *s) {
        uint8_t code = delete_path(w->f, s->path);

        expect(w, code, code_for(w, s->server, s->object, s->instance, MODEL_D, CODE(2, 2)),
               s->what);
        if (code == CODE(2, 2))
                model_remove_instance(&w->model, s->object, s->instance);
}

/* The number of the Access Control instance that came with a Create is the daemon's choice. */
static void learn_control(Walk *w, const Step *s) {
        const int former = model_control_of(&w->model, model_objects[s->object], s->instance);

        if (!model_keeps_controls(&w->model))
                return;
        if (former >= 0)
                w->model.controls[former].used = false;
        for (uint16_t i = 0; i < MODEL_CONTROLS; i++) {
                ModelControl *c = &w->model.controls[i];

                if (c->used || !tree_exists(w->f->tree, &PATH_OI(2, i)))
                        continue;
                *c = (ModelControl){ .used = true,
                                     .object = model_objects[s->object],
                                     .instance = s->instance,
                                     .owner = s->server };
                memset(c->entry, -1, sizeof(c->entry));
                return;
        }
        differ(w, "no Access Control instance came with it");
}

static void step_create(Walk *w, const Step *s) {
        const int value = draw(w, VALUE_LIMIT);
        g_autofree char *path = g_strdup_printf("/%d", model_objects[s->object]);
        g_autofree char *body = g_strdup_printf("[{\"bn\":\"%s/\",\"n\":\"%d\",\"v\":%d}]", s->path,
                                                model_resources[s->object], value);
        uint8_t code;

        if (s->object != 0)
                return; /* a server has no value for 5700 to bring */
        code = post(w->f, path, 110, body);
        expect(w, code,
               !model_may_create(&w->model, s->server, model_objects[0]) ? CODE(4, 1)
               : w->model.exists[0][s->instance]                         ? CODE(4, 0)
                                                                         : CODE(2, 1),
               s->what);
        if (code != CODE(2, 1))
                return;
        w->model.exists[0][s->instance] = true;
        w->model.value[0][s->instance] = value;
        learn_control(w, s);
}

static void step_discover(Walk *w, const Step *s) {
        g_autofree char *object = g_strdup_printf("/%d", model_objects[s->object]);
        const char *target = draw(w, 2) ? s->path : s->resource;
        const bool hides = w->permitted;

        if (draw(w, 2)) {
                expect(w, get(w->f, target, 40),
                       !w->model.exists[s->object][s->instance]                    ? CODE(4, 4)
                       : hides && !rights_of(w, s->server, s->object, s->instance) ? CODE(4, 1)
                                                                                   : CODE(2, 5),
                       s->what);
                return;
        }
        expect(w, get(w->f, object, 40), CODE(2, 5), s->what);
        for (int i = 0; i < MODEL_INSTANCES; i++) {
                const Path p = resource_path(s->object, i), instance = path_prefix(&p, 2);
                g_autofree char *links[] = { g_strdup_printf("<%s>", PATH_TEXT(&instance)),
                                             g_strdup_printf("<%s>", PATH_TEXT(&p)) };
                const bool told = w->model.exists[s->object][i] &&
                                  (!hides || rights_of(w, s->server, s->object, i));

                for (int k = 0; k < 2; k++)
                        if (!!strstr(answer_text(w->f), links[k]) != told)
                                differ(w, "%s: %s", links[k], answer_text(w->f));
                g_free(g_steal_pointer(&links[1]));
        }
}

static void step_attributes(Walk *w, const Step *s) {
        expect(w, attributes(w->f, s->resource, "pmax=86400"),
               code_for(w, s->server, s->object, s->instance, MODEL_R, CODE(2, 4)), s->what);
}

static void step_observe(Walk *w, const Step *s) {
        g_autofree char *object = g_strdup_printf("/%d", model_objects[s->object]);
        const int token = draw(w, OBSERVATIONS);
        const char name[] = { (char) ('a' + token), 0 };
        g_autofree char *pair =
                g_strdup_printf("[{\"n\":\"%s\"},{\"n\":\"/3303/0/5700\"}]", s->resource);
        const Ask ask = { .method = token == 2 ? METHOD_FETCH : METHOD_GET,
                          .path = token == 0   ? s->resource
                                  : token == 1 ? object
                                               : "/",
                          .format = token == 2 ? 110 : -1,
                          .accept = 110,
                          .token = name,
                          .payload = token == 2 ? pair : NULL,
                          .n_payload = token == 2 ? strlen(pair) : 0 };
        Watch *watch = &w->watch[s->server][token];
        uint8_t code = fixture_ask(w->f, &ask);
        const FakeMessage *answer = fake_last_answer(w->f->transport);

        if (token == 0)
                expect(w, code, code_for(w, s->server, s->object, s->instance, MODEL_R, CODE(2, 5)),
                       s->what);
        if (code == CODE(2, 5))
                (void) values_in(w, s->server, answer->payload);
        if (code == CODE(2, 5) && answer->observe < 0)
                differ(w, "not observed");
        if (code != CODE(2, 5))
                return; /* what the token stood for goes on */
        *watch = (Watch){ .on = true,
                          .object = s->object,
                          .instance = s->instance,
                          .told = w->model.value[s->object][s->instance] };
}

/* The owner says who may do what, or gives it away. */
static void step_manage(Walk *w, const Step *s) {
        const int number = draw(w, MODEL_CONTROLS / 4), to = draw(w, MODEL_SERVERS + 1),
                  rights = draw(w, 16);
        const bool give = draw(w, 8) == 0 && to > 0;
        g_autofree char *path = give ? g_strdup_printf("/2/%d/3", number)
                                     : g_strdup_printf("/2/%d/2/%d", number, to);
        g_autofree char *text = g_strdup_printf("%d", give ? to : rights);
        ModelControl *c = &w->model.controls[number];
        uint8_t code = put(w->f, path, 0, text);

        expect(w, code,
               !c->used                                         ? CODE(4, 4)
               : model_may_manage(&w->model, s->server, number) ? CODE(2, 4)
                                                                : CODE(4, 1),
               s->what);
        if (code != CODE(2, 4))
                return;
        if (give)
                c->owner = to;
        else
                c->entry[to] = rights;
        expect(w, get(w->f, path, 0), CODE(2, 5), "reads it"); /* all may */
}

static void step_forbidden(Walk *w, const Step *s) {
        g_autofree char *path = g_strdup_printf("/2/%d", draw(w, MODEL_CONTROLS / 4));
        uint8_t code = delete_path(w->f, path);

        if (code != CODE(4, 5) && code != CODE(4, 4))
                expect(w, code, CODE(4, 5), s->what);
        expect(w, post(w->f, "/2", 110, "[{\"bn\":\"/2/60/\",\"n\":\"3\",\"v\":1}]"), CODE(4, 5),
               s->what);
        expect(w, get(w->f, "/0/0/10", 0), CODE(4, 1), s->what);
}

static const struct {
        const char *name;
        void (*step)(Walk *w, const Step *s);
        int weight;
} server_steps[] = {
        { "read", step_read, 14 },      { "read-composite", step_read_composite, 10 },
        { "write", step_write, 14 },    { "write-composite", step_write_composite, 8 },
        { "execute", step_execute, 6 }, { "delete", step_delete, 3 },
        { "create", step_create, 9 },   { "discover", step_discover, 8 },
        { "observe", step_observe, 8 }, { "write-attributes", step_attributes, 4 },
        { "manage", step_manage, 14 },  { "forbidden", step_forbidden, 2 },
};

static void step_of_server(Walk *w) {
        const int drawn = 1 + draw(w, MODEL_SERVERS), server = w->model.account[drawn] ? drawn : 1;
        const int object = draw(w, 4) == 0;
        const int instance = draw(w, MODEL_INSTANCES);
        const Path p = resource_path(object, instance), i = path_prefix(&p, 2);
        g_autofree char *path = g_strdup(PATH_TEXT(&i)), *resource = g_strdup(PATH_TEXT(&p)),
                        *what = NULL;
        size_t k = 0;

        for (int n = draw(w, 100);
             k + 1 < G_N_ELEMENTS(server_steps) && n >= server_steps[k].weight; k++)
                n -= server_steps[k].weight;
        what = g_strdup_printf("server %d: %s at %s", server, server_steps[k].name, path);
        w->f->peer = w->peer[server];
        server_steps[k].step(w, &(Step){ .server = server,
                                         .object = object,
                                         .instance = instance,
                                         .path = path,
                                         .resource = resource,
                                         .what = what });
}

/* --- steps of the device, and of a bootstrap --- */
static void apply(Walk *w, OpList *ops) {
        OpError error;

        if (dm_apply(w->f->dm, ops->v, ops->n, &error, w->f->now) < 0)
                differ(w, "%s", error.text);
}

static Value number(int i) {
        return (Value){ .type = VALUE_INTEGER, .i = i };
}

static void add_set(OpList *ops, Path p, Value v) {
        op_list_add(ops, OP_SET, &p, &v);
}

static void step_value(Walk *w) {
        const int object = draw(w, MODEL_OBJECTS), instance = draw(w, MODEL_INSTANCES);
        const int value = draw(w, VALUE_LIMIT);
        const Path p = resource_path(object, instance), i = path_prefix(&p, 2);
        g_auto(OpList) ops = { .v = NULL };
        bool *exists = &w->model.exists[object][instance];

        if (*exists && draw(w, 12) == 0) {
                note(w, "the device deletes %s", PATH_TEXT(&i));
                op_list_add(&ops, OP_DELETE, &i, NULL);
                apply(w, &ops);
                model_remove_instance(&w->model, object, instance);
                return;
        }
        note(w, "the device sets %s = %d", PATH_TEXT(&p), value);
        if (!*exists)
                op_list_add(&ops, OP_CREATE, &i, NULL);
        add_set(&ops, p,
                object == 0 ? number(value) : (Value){ .type = VALUE_FLOAT, .d = (double) value });
        apply(w, &ops);
        *exists = true;
        w->model.value[object][instance] = value;
}

/* As a bootstrap provides: of the bootstrap, or of a server. */
static void step_control(Walk *w) {
        const int object = model_objects[draw(w, 3) == 0], target = draw(w, MODEL_INSTANCES + 1);
        const int instance = target == MODEL_INSTANCES ? MODEL_NOBODY : target;
        int id = model_control_of(&w->model, object, instance);
        g_auto(OpList) ops = { .v = NULL };
        ModelControl *c;

        if (id >= 0) {
                note(w, "/2/%d goes", id);
                op_list_add(&ops, OP_DELETE, &PATH_OI(2, (uint16_t) id), NULL);
                apply(w, &ops);
                w->model.controls[id].used = false;
                return;
        }
        for (id = 0; w->model.controls[id].used; id++)
                ;
        c = &w->model.controls[id];
        *c = (ModelControl){ .used = true, .object = object, .instance = instance };
        c->owner =
                draw(w, 2) || instance == MODEL_NOBODY ? MODEL_NOBODY : 1 + draw(w, MODEL_SERVERS);
        if (c->owner != MODEL_NOBODY && !w->model.account[c->owner])
                c->owner = MODEL_NOBODY;
        op_list_add(&ops, OP_CREATE, &PATH_OI(2, (uint16_t) id), NULL);
        add_set(&ops, PATH_OIR(2, (uint16_t) id, 0), number(object));
        add_set(&ops, PATH_OIR(2, (uint16_t) id, 1), number(instance));
        add_set(&ops, PATH_OIR(2, (uint16_t) id, 3), number(c->owner));
        for (int s = 0; s <= MODEL_SERVERS; s++) {
                c->entry[s] =
                        draw(w, 2) && (s == 0 || w->model.account[s])
                                ? instance == MODEL_NOBODY ? draw(w, 2) * MODEL_C : draw(w, 16)
                                : -1;
                if (c->entry[s] >= 0)
                        add_set(&ops, PATH_OIRI(2, (uint16_t) id, 2, (uint16_t) s),
                                number(c->entry[s]));
        }
        note(w, "/2/%d: /%d/%d owner %d, entries %d %d %d %d", id, object, instance, c->owner,
             c->entry[0], c->entry[1], c->entry[2], c->entry[3]);
        apply(w, &ops);
}

static void make_peer(Walk *w, int server) {
        w->peer[server] = peer_new(w->f->dm, (uint16_t) server);
        w->link[server] = fake_link_new(w->f->transport);
        peer_set_link(w->peer[server], w->link[server]);
        memset(w->watch[server], 0, sizeof(w->watch[server]));
}

/* Server 1 stays; alone it may do everything, which is dull. */
static void step_account(Walk *w) {
        const int server = w->model.account[2] ? 2 + draw(w, MODEL_SERVERS - 1) : 2;
        const uint16_t id = (uint16_t) server;
        g_auto(OpList) ops = { .v = NULL };

        note(w, "server %d %s", server, w->model.account[server] ? "goes" : "comes");
        if (w->model.account[server]) {
                w->peer[server] = peer_free(w->peer[server]);
                memset(w->watch[server], 0, sizeof(w->watch[server]));
                op_list_add(&ops, OP_DELETE, &PATH_OI(0, id), NULL);
                op_list_add(&ops, OP_DELETE, &PATH_OI(1, id), NULL);
                model_remove_account(&w->model, server);
                apply(w, &ops);
                return;
        }
        op_list_add(&ops, OP_CREATE, &PATH_OI(0, id), NULL);
        add_set(&ops, PATH_OIR(0, id, 0), value_string("coap://192.0.2.9"));
        add_set(&ops, PATH_OIR(0, id, 10), number(server));
        op_list_add(&ops, OP_CREATE, &PATH_OI(1, id), NULL);
        add_set(&ops, PATH_OIR(1, id, 0), number(server));
        w->model.account[server] = true;
        apply(w, &ops);
        make_peer(w, server);
}

/* --- the walk --- */
static void do_step(Walk *w) {
        const int kind = draw(w, 1000);

        if (kind < 810)
                step_of_server(w);
        else if (kind < 920)
                step_value(w);
        else if (kind < 990)
                step_control(w);
        else if (kind < 997 && (!w->model.account[2] || draw(w, 4) == 0))
                step_account(w);
        else {
                w->permitted = !w->permitted;
                note(w, "Discover=%s", w->permitted ? "permitted" : "all");
                dm_set_discover(w->f->dm, w->permitted);
        }
        settle(w);
        check_kept(w);
}

static void prepare(Walk *w) {
        w->peer[1] = w->f->peer;
        w->link[1] = w->f->link;
        w->model.account[1] = true;
        w->model.exists[0][0] = w->model.exists[1][0] = w->model.exists[1][1] = true;
        set_float(w->f, "/3303/0/5700", 21);
        set_float(w->f, "/3303/1/5700", 22);
        w->model.value[0][0] = 5;
        w->model.value[1][0] = 21;
        w->model.value[1][1] = 22;
}

static void walk(Walk *w, unsigned n_steps) {
        void *state = NULL;

        assert_int_equal(fixture_setup(&state), 0);
        w->f = state;
        prepare(w);
        for (w->step = 0; w->step < n_steps; w->step++)
                do_step(w);
        g_queue_clear_full(&w->history, g_free);
        for (int s = 2; s <= MODEL_SERVERS; s++)
                peer_free(w->peer[s]);
        peer_free(w->peer[1]);
        w->f->peer = NULL;
        assert_int_equal(fixture_teardown(&state), 0);
}

static void test_walk(void **state) {
        const char *seed_text = g_getenv("LWM2MD_WALK_SEED"),
                   *steps_text = g_getenv("LWM2MD_WALK_STEPS");
        const uint64_t steps = steps_text ? g_ascii_strtoull(steps_text, NULL, 10) : STEPS;
        uint64_t seed = seed_text ? g_ascii_strtoull(seed_text, NULL, 10) : 1;
        uint64_t refused = 0, done = 0, notified = 0, withdrawn = 0;

        for (uint64_t n = 0; n < steps; n += WALK, seed++) {
                Walk w = { .random = seed, .seed = seed, .history = G_QUEUE_INIT };

                walk(&w, (unsigned) MIN(WALK, steps - n));
                refused += w.n_refused;
                done += w.n_done;
                notified += w.n_notified;
                withdrawn += w.n_withdrawn;
        }
        print_message("%" G_GUINT64_FORMAT " steps: done %" G_GUINT64_FORMAT
                      ", refused %" G_GUINT64_FORMAT ", notifications %" G_GUINT64_FORMAT
                      ", of them 4.01 %" G_GUINT64_FORMAT "\n",
                      steps, done, refused, notified, withdrawn);
        /* it was about something */
        assert_true(done > steps / 5 && refused > steps / 20 && notified > steps / 100 &&
                    withdrawn > steps / 1000);
}

int main(void) {
        const struct CMUnitTest tests[] = { cmocka_unit_test(test_walk) };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
