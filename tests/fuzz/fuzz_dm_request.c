/* SPDX-License-Identifier: Apache-2.0 */
/* Requests made of the input, one after the other, against a small device with two servers. Each is
 * answered exactly once, nothing of object 0, nor of 9/1, which is not for this server, is told to
 * it or changed, and whatever waits ends with the device. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fake_apps.h"
#include "fake_transport.h"
#include "lwm2m/dm/dm.h"
#include "lwm2m/ops.h"

#define SECRET "hunter2-hunter2"
#define ITEM(id, operations, multiple, type, range)                                                \
        "<Item ID=\"" #id "\"><Name>R" #id "</Name><Operations>" operations                        \
        "</Operations><MultipleInstances>" multiple                                                \
        "</MultipleInstances><Mandatory>Optional</Mandatory><Type>" type                           \
        "</Type><RangeEnumeration>" range                                                          \
        "</RangeEnumeration><Units></Units><Description>x</Description></Item>"
#define OBJECT(id, items)                                                                          \
        "<LWM2M><Object ObjectType=\"MODefinition\"><Name>O" #id                                   \
        "</Name><Description1>x</Description1><ObjectID>" #id                                      \
        "</ObjectID><ObjectURN>urn:oma:lwm2m:x:" #id                                               \
        "</ObjectURN><LWM2MVersion>1.0</LWM2MVersion><ObjectVersion>1.0"                           \
        "</ObjectVersion><MultipleInstances>Multiple</MultipleInstances><Mandatory>Optional</"     \
        "Mandatory><Resources>" items "</Resources><Description2></Description2></Object></LWM2M>"

static const char *const objects[] = {
        OBJECT(0, ITEM(0, "RW", "Single", "String", "") ITEM(10, "RW", "Single", "Integer", "")),
        OBJECT(1, ITEM(0, "R", "Single", "Integer", "")),
        OBJECT(2, ITEM(0, "R", "Single", "Integer", "") ITEM(1, "R", "Single", "Integer", "")
                          ITEM(2, "RW", "Multiple", "Integer", "0..31")
                                  ITEM(3, "RW", "Single", "Integer", "")),
        OBJECT(9,
               ITEM(0, "RW", "Single", "Integer", "0..100") ITEM(1, "RW", "Single", "String", "")
                       ITEM(2, "RW", "Multiple", "Float", "") ITEM(3, "RW", "Single", "Opaque", "")
                               ITEM(4, "E", "Single", "", "") ITEM(5, "R", "Single", "Boolean", "")
                                       ITEM(6, "RW", "Single", "Objlnk", "") ITEM(7, "RW", "Single",
                                                                                  "Time", "")
                                               ITEM(8, "W", "Multiple", "Unsigned Integer", "")),
};
static const uint8_t methods[] = { METHOD_GET,   METHOD_POST,   METHOD_PUT,   METHOD_DELETE,
                                   METHOD_FETCH, METHOD_IPATCH, METHOD_PATCH, 31 };
static const int formats[] = { -1,  0,   40,    42,    60,    110,  112,
                               320, 322, 11542, 11543, 11544, 1542, 4711 };
static const char *const paths[] = { "",        "9",         "9/0",   "9/0/0", "9/0/1", "9/0/2",
                                     "9/0/2/1", "9/0/3",     "9/0/4", "9/0/5", "9/0/6", "9/0/7",
                                     "9/0/8",   "9/2",       "9/2/0", "0",     "0/0",   "0/0/0",
                                     "9/1",     "9/1/1",     "9/1/4", "2",     "2/1",   "2/1/2",
                                     "2/1/2/2", "2/1/3",     "2/0",   "1/1",   "9/1/2", "9/1/2/1",
                                     "21/0",    "9/0/2/1/1", "x",     "9//0",  "65535", "7/0" };
static const char *const queries[] = { NULL,   "pmin=1",           "pmin=1&pmax=5",
                                       "pmin", "gt=5&lt=1&st=0.5", "depth=3",
                                       "x=1",  "pmax=3&con=1" };

typedef struct Device {
        Schema *schema;
        Tree *tree;
        TimerQueue *timers;
        FakeTransport *transport;
        FakeApps *apps;
        Dm *dm;
        Peer *peer;
        uint64_t now;
} Device;

typedef struct Input {
        const uint8_t *pos;
        size_t left;
} Input;

static unsigned take(Input *in) {
        if (in->left == 0)
                return 0;
        in->left--;
        return *in->pos++;
}

static void set(Device *d, Path p, Value v) {
        g_auto(OpList) ops = { .v = NULL };

        op_list_add(&ops, OP_SET, &p, &v);
        g_assert_false(ops_apply(d->tree, ops.v, ops.n, ORIGIN_APP, 0, NULL) < 0);
}

static void create(Device *d, Path p) {
        g_auto(OpList) ops = { .v = NULL };

        op_list_add(&ops, OP_CREATE, &p, NULL);
        g_assert_false(ops_apply(d->tree, ops.v, ops.n, ORIGIN_APP, 0, NULL) < 0);
}

static void set_integer(Device *d, Path p, int64_t i) {
        set(d, p, (Value){ .type = VALUE_INTEGER, .i = i });
}

/* What server 2 may do with that instance of object 9. */
static void control(Device *d, uint16_t id, uint16_t instance, unsigned rights, uint16_t owner) {
        create(d, PATH_OI(2, id));
        set_integer(d, PATH_OIR(2, id, 0), 9);
        set_integer(d, PATH_OIR(2, id, 1), instance);
        set_integer(d, PATH_OIRI(2, id, 2, 2), rights);
        set_integer(d, PATH_OIR(2, id, 3), owner);
}

static void device_init(Device *d) {
        *d = (Device){
                .schema = schema_new(),
                .timers = timerq_new(),
                .transport = fake_transport_new(),
                .apps = fake_apps_new(),
                .now = 1000 * USEC_PER_SEC,
        };
        for (size_t i = 0; i < G_N_ELEMENTS(objects); i++)
                g_assert_false(schema_add_xml(d->schema, "fuzz", objects[i], strlen(objects[i]),
                                              NULL, NULL) < 0);
        d->tree = tree_new(d->schema);
        create(d, PATH_OI(0, 0));
        set(d, PATH_OIR(0, 0, 0), value_string(SECRET));
        create(d, PATH_OI(9, 1));
        set(d, PATH_OIR(9, 1, 1), value_string(SECRET));
        for (uint16_t ssid = 1; ssid <= 2; ssid++) {
                create(d, PATH_OI(0, ssid));
                set_integer(d, PATH_OIR(0, ssid, 10), ssid);
                create(d, PATH_OI(1, ssid));
                set_integer(d, PATH_OIR(1, ssid, 0), ssid);
        }
        control(d, 0, 0, ACCESS_ALL, 1);
        control(d, 1, 1, 0, 1);
        control(d, 2, ID_RESERVED, ACCESS_CREATE, ID_RESERVED);
        create(d, PATH_OI(9, 0));
        set(d, PATH_OIR(9, 0, 0), (Value){ .type = VALUE_INTEGER, .i = 1 });
        set(d, PATH_OIRI(9, 0, 2, 1), (Value){ .type = VALUE_FLOAT, .d = 0.5 });
        d->dm = dm_new(&(DmConfig){
                .tree = d->tree,
                .timers = d->timers,
                .transport = &fake_transport_ops,
                .apps = &fake_app_ops,
                .apps_userdata = d->apps,
                .limits = { .records = 200, .bytes = 4096 },
                .observations_per_peer_max = 20,
                .operations_max = 4,
                .composite_paths_max = 20,
        });
        d->peer = peer_new(d->dm, 2);
        peer_set_link(d->peer, fake_link_new(d->transport));
}

static void device_clear(Device *d) {
        dm_free(d->dm);
        g_assert_cmpuint(d->transport->n_exchanges, ==, 0);
        /* Only farewells may still be on their way: they belong to nobody. */
        for (unsigned i = 0; i < fake_n_open(d->transport); i++)
                g_assert_null(fake_open_call(d->transport, i)->userdata);
        tree_free(d->tree);
        schema_free(d->schema);
        timerq_free(d->timers);
        fake_transport_free(d->transport);
        fake_apps_free(d->apps);
}

static void check_message(const FakeMessage *m) {
        gsize n;
        const char *data = m->payload ? g_bytes_get_data(m->payload, &n) : NULL;

        g_assert_false(data && memmem(data, n, SECRET, strlen(SECRET)));
        g_assert_false(m->code >> 5 < 2 || m->code >> 5 > 5);
}

static void check(Device *d) {
        const Value *v;

        for (guint i = 0; i < d->transport->answers->len; i++)
                check_message(d->transport->answers->pdata[i]);
        fake_forget_answers(d->transport);
        for (guint i = 0; i < d->transport->sent->len; i++)
                check_message(&((const Call *) d->transport->sent->pdata[i])->message);
        g_assert_false(tree_get(d->tree, &PATH_OIR(0, 0, 0), &v) < 0 ||
                       strcmp(v->data, SECRET) != 0);
        g_assert_false(tree_n_instances(d->tree, 0) != 3);
        g_assert_false(tree_get(d->tree, &PATH_OIR(9, 1, 1), &v) < 0 ||
                       strcmp(v->data, SECRET) != 0);
        g_assert_false(tree_get(d->tree, &PATH_OIRI(2, 1, 2, 2), &v) < 0 || v->i != 0);
        g_assert_false(tree_get(d->tree, &PATH_OIR(2, 1, 3), &v) < 0 || v->i != 1);
}

static void request(Device *d, Input *in) {
        const char *query_text;
        g_auto(GStrv) path = NULL, query = NULL;
        g_autoptr(GBytes) token = NULL, payload = NULL;
        Message m = MESSAGE_INIT(methods[take(in) % G_N_ELEMENTS(methods)]);
        size_t n;

        path = g_strsplit(paths[take(in) % G_N_ELEMENTS(paths)], "/", -1);
        query_text = queries[take(in) % G_N_ELEMENTS(queries)];
        if (query_text)
                query = g_strsplit(query_text, "&", -1);
        m.format = formats[take(in) % G_N_ELEMENTS(formats)];
        m.accept = formats[take(in) % G_N_ELEMENTS(formats)];
        m.observe = (int) (take(in) % 4) - 1;
        n = take(in) % 9;
        token = g_bytes_new("abcdefgh", n);
        n = take(in);
        n = MIN(n, in->left);
        payload = n > 0 ? g_bytes_new(in->pos, n) : NULL;
        in->pos += n;
        in->left -= n;
        m.path = (const char *const *) path;
        m.query = (const char *const *) query;
        m.token = token;
        m.payload = payload;
        peer_request(d->peer, fake_exchange_new(d->transport), &m, d->now);
}

static void answer_app(Device *d, unsigned how) {
        static const int errors[] = { 0, -EINVAL, -EBUSY, -EHOSTUNREACH };

        for (guint i = 0; i < d->apps->calls->len; i++) {
                AppCall *c = d->apps->calls->pdata[i];

                if (c->pending) {
                        fake_app_answer(c, errors[how % G_N_ELEMENTS(errors)], NULL, NULL, d->now);
                        return;
                }
        }
}

static void end_call(Device *d, unsigned how) {
        static const int errors[] = { 0, -ETIMEDOUT, -ECONNRESET, -ECONNREFUSED };
        Call *c = fake_open_call(d->transport, 0);

        if (c)
                fake_call_end(c, errors[how % G_N_ELEMENTS(errors)], d->now);
}

static void step(Device *d, Input *in) {
        unsigned what = take(in);

        switch (what % 16) {
        case 0:
                fake_apps_claim(d->apps, "/9/0/1", what / 16 % 16);
                break;
        case 1:
                answer_app(d, what / 16);
                break;
        case 2:
                end_call(d, what / 16);
                break;
        case 3:
                d->now += (what / 16) * USEC_PER_SEC;
                timerq_run(d->timers, d->now);
                break;
        case 4:
                peer_set_version(d->peer, (Version){ 1, (uint8_t) (what / 16 % 3) });
                break;
        case 5:
                peer_set_link(d->peer, NULL);
                peer_set_link(d->peer, d->transport->links->pdata[0]);
                break;
        default:
                request(d, in);
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        Input in = { .pos = data, .left = size };
        Device d;

        if (size > 0 && memmem(data, size, SECRET, strlen(SECRET)))
                return 0; /* who brings it may see it */
        device_init(&d);
        for (unsigned n = 0; in.left > 0 && n < 64; n++) {
                step(&d, &in);
                check(&d);
        }
        timerq_run(d.timers, d.now);
        check(&d);
        device_clear(&d);
        return 0;
}
