/* SPDX-License-Identifier: Apache-2.0 */
#include "dm_fixture.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define ITEM(id, name, operations, multiple, mandatory, type, range)                               \
        "<Item ID=\"" #id "\"><Name>" name "</Name><Operations>" operations                        \
        "</Operations><MultipleInstances>" multiple "</MultipleInstances><Mandatory>" mandatory    \
        "</Mandatory><Type>" type "</Type><RangeEnumeration>" range                                \
        "</RangeEnumeration><Units></Units><Description>x</Description></Item>"
#define OBJECT(id, name, multiple, items)                                                          \
        "<LWM2M><Object ObjectType=\"MODefinition\"><Name>" name                                   \
        "</Name><Description1>x</Description1><ObjectID>" #id                                      \
        "</ObjectID><ObjectURN>urn:oma:lwm2m:x:" #id                                               \
        "</ObjectURN><LWM2MVersion>1.0</LWM2MVersion><ObjectVersion>1.0"                           \
        "</ObjectVersion><MultipleInstances>" multiple                                             \
        "</MultipleInstances><Mandatory>Optional</Mandatory><Resources>" items                     \
        "</Resources><Description2></Description2></Object></LWM2M>"

static const char probe_xml[] = OBJECT(
        33000, "Probe", "Multiple",
        ITEM(0, "Reading", "R", "Single", "Mandatory", "Integer",
             "") ITEM(1, "Setting", "RW", "Single", "Mandatory", "Integer",
                      "0..100") ITEM(2, "Label", "RW", "Single", "Optional", "String",
                                     "") ITEM(3, "Secret", "W", "Single", "Optional", "String",
                                              "") ITEM(4, "Act", "E", "Single", "Optional", "", "")
                ITEM(5, "Gains", "RW", "Multiple", "Optional", "Float", "") ITEM(
                        6, "Blob", "RW", "Single", "Optional", "Opaque",
                        "") ITEM(7, "On", "RW", "Single", "Optional", "Boolean",
                                 "") ITEM(8, "Clock", "R", "Single", "Optional", "Integer",
                                          "") ITEM(9, "Reset", "E", "Single", "Optional", "", "")
                        ITEM(10, "Names", "R", "Multiple", "Optional", "String",
                             "") ITEM(11, "Mode", "RW", "Single", "Optional", "Integer", "")
                                ITEM(12, "Date", "RW", "Single", "Optional", "Time", "")
                                        ITEM(13, "Link", "RW", "Single", "Optional", "Objlnk", "")
                                                ITEM(14, "Count", "RW", "Single", "Optional",
                                                     "Unsigned Integer", ""));
static const char single_xml[] = OBJECT(
        33001, "Only", "Single", ITEM(0, "Value", "RW", "Single", "Optional", "Integer", ""));

/* --- the device --- */
static void load(Fixture *f, const char *name) {
        g_autofree char *file = g_build_filename(g_getenv("LWM2MD_OBJECTS"), name, NULL),
                        *error = NULL;

        if (schema_add_file(f->schema, file, NULL, &error) < 0)
                fail_msg("%s", error);
}

static void load_text(Fixture *f, const char *xml) {
        g_autofree char *error = NULL;

        if (schema_add_xml(f->schema, "fixture", xml, strlen(xml), NULL, &error) < 0)
                fail_msg("%s", error);
}

static Path parse(const char *path) {
        Path p;

        assert_int_equal(path_parse(path, &p), 0);
        return p;
}

static void apply(Fixture *f, OpKind kind, const char *path, Value value) {
        g_auto(OpList) ops = { .v = NULL };
        const Path p = parse(path);
        OpError error;

        op_list_add(&ops, kind, &p, &value);
        if (ops_apply(f->tree, ops.v, ops.n, ORIGIN_APP, 0, &error) < 0)
                fail_msg("%s", error.text);
}

void set_float(Fixture *f, const char *path, double d) {
        apply(f, OP_SET, path, (Value){ .type = VALUE_FLOAT, .d = d });
}

void set_integer(Fixture *f, const char *path, int64_t i) {
        apply(f, OP_SET, path, (Value){ .type = VALUE_INTEGER, .i = i });
}

static void set_text(Fixture *f, const char *path, const char *text) {
        apply(f, OP_SET, path, value_string(text));
}

void create(Fixture *f, const char *path) {
        apply(f, OP_CREATE, path, VALUE_INIT);
}

char *value_at(const Fixture *f, const char *path) {
        const Path p = parse(path);
        const Value *v;

        return tree_get(f->tree, &p, &v) == 0 ? value_format(v) : g_strdup("none");
}

static void fill(Fixture *f) {
        create(f, "/0/0");
        set_text(f, "/0/0/0", "coap://192.0.2.1");
        set_integer(f, "/0/0/10", 1);
        create(f, "/1/0");
        set_integer(f, "/1/0/0", 1);
        set_integer(f, "/1/0/1", 86400);
        create(f, "/3/0");
        set_text(f, "/3/0/0", "ACME");
        set_integer(f, "/3/0/7/0", 3800);
        set_integer(f, "/3/0/7/1", 5000);
        create(f, "/3303/0");
        set_float(f, "/3303/0/5700", 21.5);
        create(f, "/3303/1");
        set_float(f, "/3303/1/5700", 22.5);
        create(f, "/33000/0");
        set_integer(f, "/33000/0/1", 5);
        set_text(f, "/33000/0/2", "two");
        set_float(f, "/33000/0/5/1", 0.5);
        set_float(f, "/33000/0/5/3", 1.5);
}

/* --- object 33000's behaviour --- */
static int probe_read(void *userdata, const Path *p, Value *ret) {
        Fixture *f = userdata;

        if (p->n != 3 || p->id[2] != 8)
                return -ENOSYS;
        *ret = (Value){ .type = VALUE_INTEGER, .i = (int64_t) (f->now / USEC_PER_SEC) };
        return 0;
}

static int probe_write(void *userdata, uint16_t ssid, const Path *p, const Value *v,
                       uint64_t now_usec) {
        Fixture *f = userdata;

        if (p->id[2] != 11)
                return -ENOSYS;
        if (v->i == 2)
                return -EINVAL;
        if (v->i != 1)
                return -ENOSYS;
        g_string_append_printf(f->executed, "took %s from %u; ", PATH_TEXT(p), ssid);
        return 0;
}

static int probe_execute(void *userdata, uint16_t ssid, const Path *p, const ExecuteArg *args,
                         size_t n_args, uint64_t now_usec) {
        Fixture *f = userdata;

        if (p->id[2] != 9)
                return -ENOSYS;
        g_string_append_printf(f->executed, "%s (%zu) for %u; ", PATH_TEXT(p), n_args, ssid);
        return 0;
}

static bool probe_executes(void *userdata, const Path *p) {
        return p->id[2] == 9;
}

static int probe_create(void *userdata, uint16_t ssid, const Path *instance) {
        return instance->id[1] == 99 && ssid > 0 ? -EPERM : -ENOSYS;
}

static int probe_remove(void *userdata, uint16_t ssid, const Path *instance) {
        return instance->id[1] == 99 && ssid > 0 ? -EPERM : -ENOSYS;
}

static const Behaviour probe_behaviour = {
        .read = probe_read,
        .write = probe_write,
        .execute = probe_execute,
        .executes = probe_executes,
        .create = probe_create,
        .remove = probe_remove,
};

/* --- life --- */
static void on_event(void *userdata, const char *name, uint16_t ssid, const Path *path,
                     const char *why) {
        g_string_append_printf(((Fixture *) userdata)->events, "%s %u %s; ", name, ssid,
                               PATH_TEXT(path));
}

static void on_attributes_changed(void *userdata) {
        ((Fixture *) userdata)->n_attributes_changed++;
}

static void read_clocks(void *userdata, int64_t *ret_wall_ns, int64_t *ret_boot_ns) {
        const Fixture *f = userdata;

        *ret_boot_ns = (int64_t) f->now * 1000;
        *ret_wall_ns = f->wall_ns + *ret_boot_ns;
}

int fixture_setup(void **state) {
        static const char *const files[] = { "0-1_1.xml", "1-1_1.xml", "2-1_1.xml", "3-1_1.xml",
                                             "3303.xml",  "10523.xml", "10524.xml" };
        Fixture *f = g_new0(Fixture, 1);

        f->schema = schema_new();
        for (size_t i = 0; i < G_N_ELEMENTS(files); i++)
                load(f, files[i]);
        load_text(f, probe_xml);
        load_text(f, single_xml);
        f->tree = tree_new(f->schema);
        f->timers = timerq_new();
        f->transport = fake_transport_new();
        f->apps = fake_apps_new();
        f->events = g_string_new(NULL);
        f->executed = g_string_new(NULL);
        f->now = 1000 * USEC_PER_SEC;
        fill(f);
        f->wall_ns = INT64_C(1700000000000000000);
        f->series = series_new(&(SeriesConfig){ 0 });
        f->dm = dm_new(&(DmConfig){
                .series = f->series,
                .clocks = read_clocks,
                .tree = f->tree,
                .timers = f->timers,
                .transport = &fake_transport_ops,
                .apps = &fake_app_ops,
                .apps_userdata = f->apps,
                .observations_per_peer_max = 4,
                .operations_max = 3,
                .composite_paths_max = 5,
                .event = on_event,
                .attributes_changed = on_attributes_changed,
                .event_userdata = f,
        });
        dm_add_behaviour(f->dm, 33000, &probe_behaviour, f);
        f->peer = peer_new(f->dm, 1);
        f->link = fake_link_new(f->transport);
        peer_set_link(f->peer, f->link);
        *state = f;
        return 0;
}

int fixture_teardown(void **state) {
        Fixture *f = *state;

        dm_free(f->dm);
        series_free(f->series);
        assert_int_equal(f->transport->n_exchanges, 0); /* every request was answered */
        assert_int_equal(fake_n_open(f->transport), 0);
        fake_transport_free(f->transport);
        fake_apps_free(f->apps);
        tree_free(f->tree);
        schema_free(f->schema);
        timerq_free(f->timers);
        g_string_free(f->events, TRUE);
        g_string_free(f->executed, TRUE);
        g_free(f);
        return 0;
}

void pass(Fixture *f, double seconds) {
        const uint64_t end = f->now + (uint64_t) (seconds * (double) USEC_PER_SEC);

        for (;;) {
                uint64_t next = timerq_next(f->timers);

                if (next > end)
                        break;
                f->now = MAX(f->now, next);
                timerq_run(f->timers, f->now);
        }
        f->now = end;
}

/* --- requests --- */
uint8_t fixture_ask(Fixture *f, const Ask *ask) {
        g_auto(GStrv) path = NULL, query = NULL;
        g_autoptr(GBytes) token = NULL, payload = NULL;
        Message m = MESSAGE_INIT(ask->method);
        guint n = f->transport->answers->len;

        if (ask->path && ask->path[0] == '/' && ask->path[1])
                path = g_strsplit(ask->path + 1, "/", -1);
        if (ask->query)
                query = g_strsplit(ask->query, "&", -1);
        if (ask->token)
                token = g_bytes_new(ask->token, strlen(ask->token));
        if (ask->payload)
                payload = g_bytes_new(ask->payload, ask->n_payload);
        m.path = (const char *const *) path;
        m.query = (const char *const *) query;
        m.token = token;
        m.payload = payload;
        m.format = ask->format;
        m.accept = ask->accept;
        m.observe = ask->observe;
        peer_request(f->peer, fake_exchange_new(f->transport), &m, f->now);
        return f->transport->answers->len > n ? fake_last_answer(f->transport)->code : 0;
}

uint8_t get(Fixture *f, const char *path, int accept) {
        return fixture_ask(f, &(Ask){ .method = METHOD_GET,
                                      .path = path,
                                      .format = -1,
                                      .accept = accept,
                                      .observe = -1 });
}

uint8_t observe(Fixture *f, const char *path, const char *token) {
        return fixture_ask(f, &(Ask){ .method = METHOD_GET,
                                      .path = path,
                                      .format = -1,
                                      .accept = 0,
                                      .token = token });
}

uint8_t put_bytes(Fixture *f, const char *path, int format, const void *data, size_t n) {
        return fixture_ask(f, &(Ask){ .method = METHOD_PUT,
                                      .path = path,
                                      .format = format,
                                      .accept = -1,
                                      .observe = -1,
                                      .payload = data,
                                      .n_payload = n });
}

uint8_t post_bytes(Fixture *f, const char *path, int format, const void *data, size_t n) {
        return fixture_ask(f, &(Ask){ .method = METHOD_POST,
                                      .path = path,
                                      .format = format,
                                      .accept = -1,
                                      .observe = -1,
                                      .payload = data,
                                      .n_payload = n });
}

uint8_t put(Fixture *f, const char *path, int format, const char *text) {
        return put_bytes(f, path, format, text, text ? strlen(text) : 0);
}

uint8_t post(Fixture *f, const char *path, int format, const char *text) {
        return post_bytes(f, path, format, text, text ? strlen(text) : 0);
}

uint8_t delete_path(Fixture *f, const char *path) {
        return fixture_ask(f, &(Ask){ .method = METHOD_DELETE,
                                      .path = path,
                                      .format = -1,
                                      .accept = -1,
                                      .observe = -1 });
}

uint8_t attributes(Fixture *f, const char *path, const char *query) {
        return fixture_ask(f, &(Ask){ .method = METHOD_PUT,
                                      .path = path,
                                      .query = query,
                                      .format = -1,
                                      .accept = -1,
                                      .observe = -1 });
}

uint8_t fetch(Fixture *f, const char *json, int accept) {
        return fixture_ask(f, &(Ask){ .method = METHOD_FETCH,
                                      .path = "/",
                                      .format = 110,
                                      .accept = accept,
                                      .observe = -1,
                                      .payload = json,
                                      .n_payload = json ? strlen(json) : 0 });
}

uint8_t ipatch(Fixture *f, const char *json) {
        return fixture_ask(f, &(Ask){ .method = METHOD_IPATCH,
                                      .path = "/",
                                      .format = 110,
                                      .accept = -1,
                                      .observe = -1,
                                      .payload = json,
                                      .n_payload = json ? strlen(json) : 0 });
}

const char *answer_text(const Fixture *f) {
        return fake_text(fake_last_answer(f->transport));
}
